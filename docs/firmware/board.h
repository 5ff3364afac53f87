/* board.h: what start.c gives to main.c. On a board of your own, a UART in the place of semihosting. */
#ifndef BOARD_H
#define BOARD_H

void board_print(const char *text);
int main(void); /* its result is the exit status under QEMU */

#endif
