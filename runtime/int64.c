/* int64.c: 64-bit integers on 32-bit CPUs, and division where the CPU has none: the names that compilers call. Weak, so
 * that a toolchain's own library wins. What divides by zero gets 0, and the dividend as the remainder. */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name): the names are the
 * compilers' */
#include <stdint.h>

#define RT __attribute__((weak))
#ifdef __ARM_EABI__
/* Helpers of the ABI take and return everything in core registers, whatever the float ABI of the rest. */
#define AEABI __attribute__((weak, pcs("aapcs")))
#endif

typedef union {
	uint64_t all;
	struct {
		uint32_t lo, hi; /* every target is little-endian */
	} w;
} Pair;

static int leading_zeros(uint32_t v)
{
#if defined(__ARM_FEATURE_CLZ) || defined(__riscv_zbb)
	return v ? __builtin_clz(v) : 32;
#else
	int n = 32;
	for (int step = 16; step; step /= 2)
		if (v >> step) {
			n -= step;
			v >>= step;
		}
	return n - (int)v;
#endif
}

/* ---- shifts: by 0 to 63 ------------------------------------------------------------------------------ */

static uint64_t shift_left(uint64_t v, int by)
{
	Pair p = { v }, r;
	if (by >= 32) {
		r.w.hi = p.w.lo << (by - 32);
		r.w.lo = 0;
	} else {
		r.w.hi = by ? p.w.hi << by | p.w.lo >> (32 - by) : p.w.hi;
		r.w.lo = p.w.lo << by;
	}
	return r.all;
}

static uint64_t shift_right(uint64_t v, int by, uint32_t above)
{
	Pair p = { v }, r;
	if (by >= 32) {
		by -= 32;
		r.w.lo = by ? p.w.hi >> by | above << (32 - by) : p.w.hi;
		r.w.hi = above;
	} else {
		r.w.lo = by ? p.w.lo >> by | p.w.hi << (32 - by) : p.w.lo;
		r.w.hi = by ? p.w.hi >> by | above << (32 - by) : p.w.hi;
	}
	return r.all;
}

RT uint64_t __ashldi3(uint64_t v, int by);
RT uint64_t __ashldi3(uint64_t v, int by) { return shift_left(v, by); }
RT uint64_t __lshrdi3(uint64_t v, int by);
RT uint64_t __lshrdi3(uint64_t v, int by) { return shift_right(v, by, 0); }
RT int64_t __ashrdi3(int64_t v, int by);
RT int64_t __ashrdi3(int64_t v, int by) { return (int64_t)shift_right((uint64_t)v, by, v < 0 ? UINT32_MAX : 0); }

/* ---- products ------------------------------------------------------------------------------------------ */

/* 32 x 32 -> 64 from halves: a plain 64-bit product would call what this implements. */
static uint64_t widening_product(uint32_t a, uint32_t b)
{
	uint32_t al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
	uint32_t low = al * bl, mid = ah * bl + (low >> 16), cross = al * bh + (mid & 0xffff);
	Pair r;
	r.w.lo = cross << 16 | (low & 0xffff);
	r.w.hi = ah * bh + (mid >> 16) + (cross >> 16);
	return r.all;
}

static uint64_t product(uint64_t a, uint64_t b)
{
	Pair x = { a }, y = { b }, r;
	r.all = widening_product(x.w.lo, y.w.lo);
	r.w.hi += x.w.lo * y.w.hi + x.w.hi * y.w.lo;
	return r.all;
}

RT uint64_t __muldi3(uint64_t a, uint64_t b);
RT uint64_t __muldi3(uint64_t a, uint64_t b) { return product(a, b); }

/* ---- quotients ----------------------------------------------------------------------------------------- */

static uint32_t divide32(uint32_t n, uint32_t d, uint32_t *rem)
{
	uint32_t q = 0;
	if (d && n >= d)
		for (int by = leading_zeros(d) - leading_zeros(n); by >= 0; by--)
			if (n >> by >= d) {
				n -= d << by;
				q |= 1u << by;
			}
	*rem = n;
	return q;
}

#if defined(__ARM_FEATURE_IDIV) || defined(__riscv_div) || !(defined(__arm__) || defined(__riscv))
static uint32_t divide_word(uint32_t n, uint32_t d, uint32_t *rem)
{
	*rem = n % d;
	return n / d;
}
#else
#define divide_word divide32
#endif

static uint64_t divide64(uint64_t n, uint64_t d, uint64_t *rem)
{
	Pair a = { n }, b = { d }, q = { 0 };
	if (d == 0 || n < d) {
		*rem = n;
		return 0;
	}
	if (!a.w.hi) {
		uint32_t r;
		q.w.lo = divide_word(a.w.lo, b.w.lo, &r);
		*rem = r;
		return q.all;
	}
	if (!b.w.hi) { /* the high word's quotient aside, 32 steps are left at most */
		uint32_t r;
		q.w.hi = divide_word(a.w.hi, b.w.lo, &r);
		a.w.hi = r;
	}
	int steps = b.w.hi ? leading_zeros(b.w.hi) - leading_zeros(a.w.hi) : 31;
	uint64_t part = shift_left(d, steps);
	for (; steps >= 0; steps--, part >>= 1)
		if (a.all >= part) {
			a.all -= part;
			q.w.lo |= 1u << steps; /* NOLINT(clang-analyzer-core.BitwiseShift): steps is at most 31 */
		}
	*rem = a.all;
	return q.all;
}

/* The remainder has the dividend's sign. */
static int64_t divide64_signed(int64_t n, int64_t d, int64_t *rem)
{
	uint64_t r, q = divide64(n < 0 ? -(uint64_t)n : (uint64_t)n, d < 0 ? -(uint64_t)d : (uint64_t)d, &r);
	*rem = (int64_t)(n < 0 ? -r : r);
	return (int64_t)((n < 0) != (d < 0) ? -q : q);
}

static int32_t divide32_signed(int32_t n, int32_t d, int32_t *rem)
{
	uint32_t r, q = divide32(n < 0 ? -(uint32_t)n : (uint32_t)n, d < 0 ? -(uint32_t)d : (uint32_t)d, &r);
	*rem = (int32_t)(n < 0 ? -r : r);
	return (int32_t)((n < 0) != (d < 0) ? -q : q);
}

#define DIVISION(T, div, mod, divide)    \
	RT T div(T n, T d);              \
	RT T div(T n, T d)               \
	{                                \
		T r;                     \
		return divide(n, d, &r); \
	}                                \
	RT T mod(T n, T d);              \
	RT T mod(T n, T d)               \
	{                                \
		T r;                     \
		divide(n, d, &r);        \
		return r;                \
	}
DIVISION(uint64_t, __udivdi3, __umoddi3, divide64)
DIVISION(int64_t, __divdi3, __moddi3, divide64_signed)
DIVISION(uint32_t, __udivsi3, __umodsi3, divide32)
DIVISION(int32_t, __divsi3, __modsi3, divide32_signed)

RT uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rem);
RT uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rem) { return divide64(n, d, rem); }

RT int __clzsi2(uint32_t v);
RT int __clzsi2(uint32_t v) { return leading_zeros(v); }
RT int __clzdi2(uint64_t v);
RT int __clzdi2(uint64_t v)
{
	Pair p = { v };
	return p.w.hi ? leading_zeros(p.w.hi) : 32 + leading_zeros(p.w.lo);
}

/* ---- ARM's names ----------------------------------------------------------------------------------------- */

#ifdef __ARM_EABI__
AEABI uint64_t __aeabi_llsl(uint64_t v, int by) { return shift_left(v, by); }
AEABI uint64_t __aeabi_llsr(uint64_t v, int by) { return shift_right(v, by, 0); }
AEABI int64_t __aeabi_lasr(int64_t v, int by) { return (int64_t)shift_right((uint64_t)v, by, v < 0 ? UINT32_MAX : 0); }
AEABI uint64_t __aeabi_lmul(uint64_t a, uint64_t b) { return product(a, b); }
AEABI int __aeabi_lcmp(int64_t a, int64_t b) { return (a > b) - (a < b); }
AEABI int __aeabi_ulcmp(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

AEABI uint32_t __aeabi_uidiv(uint32_t n, uint32_t d)
{
	uint32_t r;
	return divide32(n, d, &r);
}

AEABI int32_t __aeabi_idiv(int32_t n, int32_t d)
{
	int32_t r;
	return divide32_signed(n, d, &r);
}

/* Two words come back in r0 and r1, as a 64-bit integer does. */
AEABI uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d)
{
	Pair p;
	p.w.lo = divide32(n, d, &p.w.hi);
	return p.all;
}

AEABI uint64_t __aeabi_idivmod(int32_t n, int32_t d)
{
	Pair p;
	int32_t r;
	p.w.lo = (uint32_t)divide32_signed(n, d, &r);
	p.w.hi = (uint32_t)r;
	return p.all;
}

/* Quotient in r0:r1, remainder in r2:r3, which C cannot say. */
__attribute__((used)) static uint64_t wqrt_uldivmod(uint64_t n, uint64_t d, uint64_t *rem)
{
	return divide64(n, d, rem);
}
__attribute__((used)) static int64_t wqrt_ldivmod(int64_t n, int64_t d, int64_t *rem)
{
	return divide64_signed(n, d, rem);
}
#define DIVMOD(name, real)                           \
	__attribute__((naked, weak)) void name(void) \
	{                                            \
		__asm__("push {r4, lr}\n\t"          \
			"sub sp, #16\n\t"            \
			"add r4, sp, #8\n\t"         \
			"str r4, [sp]\n\t"           \
			"bl " #real "\n\t"           \
			"ldr r2, [sp, #8]\n\t"       \
			"ldr r3, [sp, #12]\n\t"      \
			"add sp, #16\n\t"            \
			"pop {r4, pc}");             \
	}
DIVMOD(__aeabi_uldivmod, wqrt_uldivmod)
DIVMOD(__aeabi_ldivmod, wqrt_ldivmod)
#endif
/* NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name) */
