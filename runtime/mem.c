/* mem.c: the memory functions that compilers call by themselves. Weak, so that a C library's own win. */
#include <stddef.h>
#include <stdint.h>

#define RT __attribute__((weak))
/* Keeps the loop below from being recognised as the function that it implements. */
static inline void plain_loop(void) { __asm__ volatile(""); }

typedef uintptr_t __attribute__((may_alias)) Word;
#define W sizeof(Word)

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

static void copy_up(unsigned char *d, const unsigned char *s, size_t n)
{
	if (((uintptr_t)d - (uintptr_t)s) % W == 0) {
		for (; n && (uintptr_t)d % W; n--, plain_loop())
			*d++ = *s++;
		for (; n >= 4 * W; n -= 4 * W, d += 4 * W, s += 4 * W, plain_loop()) {
			Word a = ((const Word *)s)[0], b = ((const Word *)s)[1], c = ((const Word *)s)[2],
			     e = ((const Word *)s)[3];
			((Word *)d)[0] = a;
			((Word *)d)[1] = b;
			((Word *)d)[2] = c;
			((Word *)d)[3] = e;
		}
	}
	for (; n; n--, plain_loop())
		*d++ = *s++;
}

RT void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	copy_up(to, from, n);
	return to;
}

RT void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *d = to;
	const unsigned char *s = from;
	if ((uintptr_t)d - (uintptr_t)s >= n) { /* d before s, or behind its end */
		copy_up(d, s, n);
		return to;
	}
	for (; n; plain_loop()) {
		n--;
		d[n] = s[n];
	}
	return to;
}

RT void *memset(void *to, int byte, size_t n)
{
	unsigned char *d = to;
	Word w = (Word)(unsigned char)byte * ((Word)-1 / 255);
	for (; n && (uintptr_t)d % W; n--, plain_loop())
		*d++ = (unsigned char)byte;
	for (; n >= W; n -= W, d += W, plain_loop())
		*(Word *)d = w;
	for (; n; n--, plain_loop())
		*d++ = (unsigned char)byte;
	return to;
}

RT int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;
	for (; n; n--, x++, y++, plain_loop())
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

/* The run-time ABI of ARM has names of its own, by what is known of the alignment; memset's arguments are the other way
 * round. */
#ifdef __ARM_EABI__
#define COPIES(name, real)                                  \
	RT void name(void *to, const void *from, size_t n); \
	RT void name(void *to, const void *from, size_t n) { real(to, from, n); }
#define SETS(name, clear)                                                   \
	RT void name(void *to, size_t n, int byte);                         \
	RT void name(void *to, size_t n, int byte) { memset(to, byte, n); } \
	RT void clear(void *to, size_t n);                                  \
	RT void clear(void *to, size_t n) { memset(to, 0, n); }
COPIES(__aeabi_memcpy, memcpy)
COPIES(__aeabi_memcpy4, memcpy)
COPIES(__aeabi_memcpy8, memcpy)
COPIES(__aeabi_memmove, memmove)
COPIES(__aeabi_memmove4, memmove)
COPIES(__aeabi_memmove8, memmove)
SETS(__aeabi_memset, __aeabi_memclr)
SETS(__aeabi_memset4, __aeabi_memclr4)
SETS(__aeabi_memset8, __aeabi_memclr8)
#endif
