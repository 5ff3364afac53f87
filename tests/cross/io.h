/* io.h: what runner.c needs of the machine that it runs on: linux.c, board.c and wasm.c implement it. No C library
 * anywhere. */
#ifndef WQ_CROSS_IO_H
#define WQ_CROSS_IO_H

#include <stddef.h>

void io_open(void);                     /* in.bin and out.bin of the working directory */
void io_read(void *p, size_t n);        /* the next n bytes of in.bin; ends the program when there are fewer */
void io_write(const void *p, size_t n); /* to out.bin */
void *io_heap(size_t *n);               /* all memory there is, aligned to 64 */
void *io_stack(size_t *n); /* the lowest address of the stack and its size; NULL where memory does not tell */
_Noreturn void io_exit(int status);
_Noreturn void io_fail(const char *message); /* says it and exits with IO_FAILED */

enum { IO_FAILED = 98, IO_FAULT = 99 }; /* the latter: a fault of the CPU */

int runner(void);

#endif
