/* start.c: from reset to main on a Cortex-M, and a console by semihosting, which a debugger or QEMU answers. */
#include "board.h"

#include <stdint.h>

extern uint32_t data_begin[], data_end[], data_image[], bss_begin[], bss_end[], stack_top[]; /* the linker script's */

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, EXITED = 0x20026 };

static void debugger(uint32_t operation, const void *argument)
{
	register uint32_t r0 __asm__("r0") = operation;
	register const void *r1 __asm__("r1") = argument;
	__asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void board_print(const char *text) { debugger(SYS_WRITE0, text); }

static void leave(int status)
{
	uint32_t argument[2] = { EXITED, (uint32_t)status };
	for (;;)
		debugger(SYS_EXIT_EXTENDED, argument);
}

static void fault(void)
{
	board_print("fault\n");
	leave(99);
}

void reset(void);
void reset(void)
{
	*(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR: the float unit, and MVE where there is one */
	__asm__ volatile("dsb\n\tisb" ::: "memory");
	for (uint32_t *to = data_begin, *from = data_image; to < data_end;)
		*to++ = *from++;
	for (uint32_t *to = bss_begin; to < bss_end;)
		*to++ = 0;
	leave(main());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
	(void (*)(void))stack_top, reset, fault, fault, fault, fault, fault
};
