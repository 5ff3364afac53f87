/* board.c: io.h and the start-up of bare metal under QEMU, by semihosting: Cortex-M and 32-bit RISC-V. The symbols are
 * board.ld's. */
#include "io.h"

#include <stdint.h>

extern unsigned char bss_begin[], bss_end[], heap_begin[], heap_end[], stack_low[], stack_high[];

enum { SYS_OPEN = 1, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT_EXTENDED = 0x20, EXITED = 0x20026 };
enum { OPEN_READ = 1, OPEN_WRITE = 5 };

#ifdef __riscv
/* Three instructions, not compressed, on one page, are what the host looks for. */
intptr_t host(uintptr_t op, const void *arg);
__asm__(".section .text.host, \"ax\"\n.option push\n.option norvc\n.option norelax\n.balign 16\nhost:\n"
	"slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\nret\n.option pop\n.previous\n");
#else
static intptr_t host(uintptr_t op, const void *arg)
{
	register uintptr_t r0 __asm__("r0") = op;
	register const void *r1 __asm__("r1") = arg;
	__asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
	return (intptr_t)r0;
}
#endif

static uintptr_t from, to;

void io_exit(int status)
{
	uintptr_t arg[2] = { EXITED, (uintptr_t)status };
	for (;;)
		host(SYS_EXIT_EXTENDED, arg);
}

void io_fail(const char *message)
{
	host(SYS_WRITE0, message);
	io_exit(IO_FAILED);
}

static uintptr_t open(const char *name, uintptr_t n, uintptr_t mode)
{
	uintptr_t arg[3] = { (uintptr_t)name, mode, n };
	intptr_t f = host(SYS_OPEN, arg);
	if (f < 0)
		io_fail("in.bin or out.bin cannot be opened");
	return (uintptr_t)f;
}

void io_open(void)
{
	from = open("in.bin", 6, OPEN_READ);
	to = open("out.bin", 7, OPEN_WRITE);
}

/* Both answer how many bytes are left undone. */
void io_read(void *p, size_t n)
{
	uintptr_t arg[3] = { from, (uintptr_t)p, n };
	if (n && host(SYS_READ, arg))
		io_fail("in.bin ends early");
}

void io_write(const void *p, size_t n)
{
	uintptr_t arg[3] = { to, (uintptr_t)p, n };
	if (n && host(SYS_WRITE, arg))
		io_fail("out.bin cannot be written");
}

void *io_heap(size_t *n)
{
	*n = (size_t)(heap_end - heap_begin);
	return heap_begin;
}

void *io_stack(size_t *n)
{
	*n = (size_t)(stack_high - stack_low);
	return stack_low;
}

static void fault(void)
{
	host(SYS_WRITE0, "the CPU took a fault");
	io_exit(IO_FAULT);
}

__attribute__((used)) static void begin(void)
{
	for (volatile unsigned char *p = bss_begin; p < bss_end;)
		*p++ = 0;
	io_exit(runner());
}

#ifdef __riscv
__attribute__((interrupt, used)) static void trap(void) { fault(); }
/* mstatus.FS and VS: floats and vectors on. */
__asm__(".section .start, \"ax\"\n.globl reset\nreset:\n"
	".option push\n.option norelax\nla gp, __global_pointer$\n.option pop\n"
	"la sp, stack_high\nla t0, trap\ncsrw mtvec, t0\nli t0, 0x2200\ncsrs mstatus, t0\ntail begin\n.previous\n");
#else
static void reset(void)
{
	*(volatile uint32_t *)0xE000ED88 |= 0xfu << 20; /* CPACR: floats and MVE on */
	__asm__ volatile("dsb\n\tisb" ::: "memory");
	begin();
}
__attribute__((section(".start"), used)) static void *const vectors[16] = { stack_high, reset, fault, fault,
									    fault,      fault, fault };
#endif
