/* wasm.c: io.h by functions of wasm.mjs. */
#include "io.h"

__attribute__((import_module("io"), import_name("read"))) int host_read(void *p, size_t n);
__attribute__((import_module("io"), import_name("write"))) void host_write(const void *p, size_t n);
__attribute__((import_module("io"), import_name("exit"))) _Noreturn void host_exit(int status);
__attribute__((import_module("io"), import_name("message"))) void host_message(const char *p);
extern unsigned char __heap_base;

void io_open(void) {}

void io_read(void *p, size_t n)
{
	if (!host_read(p, n))
		io_fail("in.bin ends early");
}

void io_write(const void *p, size_t n) { host_write(p, n); }
void io_exit(int status) { host_exit(status); }

void io_fail(const char *message)
{
	host_message(message);
	host_exit(IO_FAILED);
}

/* As much as can be had, up to a gigabyte. */
void *io_heap(size_t *n)
{
	enum { PAGE = 65536 };
	for (size_t pages = 1 << 14; pages && __builtin_wasm_memory_grow(0, pages) == (size_t)-1; pages /= 2)
		;
	unsigned char *begin = (unsigned char *)(((size_t)&__heap_base + 63) & ~(size_t)63);
	*n = __builtin_wasm_memory_size(0) * PAGE - (size_t)begin;
	return begin;
}

void *io_stack(size_t *n)
{
	*n = 0;
	return NULL;
}

__attribute__((export_name("run"))) void run(void);
void run(void) { io_exit(runner()); }
