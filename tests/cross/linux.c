/* linux.c: io.h by system calls of Linux, for programs without a C library. */
#include "io.h"

#include <stdint.h>

#if defined(__x86_64__)
enum { SYS_read = 0, SYS_write = 1, SYS_mmap = 9, SYS_exit = 231, SYS_openat = 257 };
static long call(long n, long a, long b, long c, long d, long e, long f)
{
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n and $-16, %rsp\n call begin\n");
#elif defined(__aarch64__)
enum { SYS_openat = 56, SYS_read = 63, SYS_write = 64, SYS_exit = 94, SYS_mmap = 222 };
#define REGISTERS "x0", "x1", "x2", "x3", "x4", "x5", "x8", "svc #0"
__asm__(".globl _start\n_start: b begin\n");
#elif defined(__riscv)
enum { SYS_openat = 56, SYS_read = 63, SYS_write = 64, SYS_exit = 94, SYS_mmap = 222 };
#define REGISTERS "a0", "a1", "a2", "a3", "a4", "a5", "a7", "ecall"
__asm__(".globl _start\n_start: .option push\n.option norelax\n la gp, __global_pointer$\n.option pop\n tail begin\n");
#elif defined(__arm__)
enum { SYS_read = 3, SYS_write = 4, SYS_mmap = 192 /* mmap2 */, SYS_exit = 248, SYS_openat = 322 };
#define REGISTERS "r0", "r1", "r2", "r3", "r4", "r5", "r7", "svc #0"
__asm__(".globl _start\n_start: bic sp, sp, #15\n b begin\n");
#endif

#ifdef REGISTERS
#define CALL(r0, r1, r2, r3, r4, r5, rn, trap)                                                                   \
	register long x0 __asm__(r0) = a;                                                                        \
	register long x1 __asm__(r1) = b;                                                                        \
	register long x2 __asm__(r2) = c;                                                                        \
	register long x3 __asm__(r3) = d;                                                                        \
	register long x4 __asm__(r4) = e;                                                                        \
	register long x5 __asm__(r5) = f;                                                                        \
	register long number __asm__(rn) = n;                                                                    \
	__asm__ volatile(trap : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(number) : "memory"); \
	return x0;
#define CALL_BY(registers) CALL(registers)
static long call(long n, long a, long b, long c, long d, long e, long f) { CALL_BY(REGISTERS) }
#endif

enum { AT_CWD = -100, READ_ONLY = 0, WRITE_CREATE_TRUNCATE = 01 | 0100 | 01000 };
static long from, to;
static char *stack_here;

void io_exit(int status)
{
	for (;;)
		call(SYS_exit, status, 0, 0, 0, 0, 0);
}

void io_fail(const char *message)
{
	size_t n = 0;
	while (message[n])
		n++;
	call(SYS_write, 2, (long)message, (long)n, 0, 0, 0);
	io_exit(IO_FAILED);
}

void io_open(void)
{
	from = call(SYS_openat, AT_CWD, (long)"in.bin", READ_ONLY, 0, 0, 0);
	to = call(SYS_openat, AT_CWD, (long)"out.bin", WRITE_CREATE_TRUNCATE, 0600, 0, 0);
	if (from < 0 || to < 0)
		io_fail("in.bin or out.bin cannot be opened");
}

void io_read(void *p, size_t n)
{
	for (char *at = p; n;) {
		long got = call(SYS_read, from, (long)at, (long)n, 0, 0, 0);
		if (got <= 0)
			io_fail("in.bin ends early");
		at += got;
		n -= (size_t)got;
	}
}

void io_write(const void *p, size_t n)
{
	for (const char *at = p; n;) {
		long put = call(SYS_write, to, (long)at, (long)n, 0, 0, 0);
		if (put <= 0)
			io_fail("out.bin cannot be written");
		at += put;
		n -= (size_t)put;
	}
}

void *io_heap(size_t *n)
{
	enum { READ_WRITE = 3, PRIVATE_ANONYMOUS_NORESERVE = 0x4022 };
	for (*n = (size_t)1 << (sizeof(long) == 8 ? 34 : 30); *n; *n /= 2) {
		long p = call(SYS_mmap, 0, (long)*n, READ_WRITE, PRIVATE_ANONYMOUS_NORESERVE, -1, 0);
		if ((unsigned long)p < (unsigned long)-4096)
			return (void *)p;
	}
	io_fail("no memory");
}

/* Linux gives 8 MB at least; half a megabyte is asked for at most here. */
void *io_stack(size_t *n)
{
	*n = 1 << 20;
	return stack_here - *n;
}

__attribute__((used)) _Noreturn void begin(void)
{
	stack_here = __builtin_frame_address(0);
	io_exit(runner());
}
