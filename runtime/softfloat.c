/* softfloat.c: f32 and f64 for CPUs that lack them, under the names that compilers call: those of ARM's run-time ABI,
 * elsewhere those of libgcc and compiler-rt. Weak, so that a toolchain's own library wins. The arithmetic is in
 * softfloat.h.
 */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name): the names are the
 * compilers' */
#include <stdbool.h>
#include <stdint.h>

static inline int zeros32(uint32_t v)
{
#if defined(__thumb__) && !defined(__ARM_FEATURE_CLZ)
	int n = 32;
	for (int step = 16; step; step /= 2)
		if (v >> step) {
			n -= step;
			v >>= step;
		}
	return n - (int)v;
#else
	return v ? __builtin_clz(v) : 32;
#endif
}

static inline int zeros64(uint64_t v) { return v >> 32 ? zeros32((uint32_t)(v >> 32)) : 32 + zeros32((uint32_t)v); }

static inline uint32_t f32_wide_product(uint32_t a, uint32_t b, uint32_t *low)
{
	uint64_t p = (uint64_t)a * b;
	*low = (uint32_t)p;
	return (uint32_t)(p >> 32);
}

static inline uint64_t f64_wide_product(uint64_t a, uint64_t b, uint64_t *low)
{
	uint32_t al = (uint32_t)a, ah = (uint32_t)(a >> 32), bl = (uint32_t)b, bh = (uint32_t)(b >> 32);
	uint64_t ll = (uint64_t)al * bl, hl = (uint64_t)ah * bl + (ll >> 32), lh = (uint64_t)al * bh + (uint32_t)hl;
	*low = lh << 32 | (uint32_t)ll;
	return (uint64_t)ah * bh + (hl >> 32) + (lh >> 32);
}

#define FLOAT float
#define BITS uint32_t
#define WIDTH 32
#define FRAC 23
#define N(x) f32_##x
#include "softfloat.h"

#define FLOAT double
#define BITS uint64_t
#define WIDTH 64
#define FRAC 52
#define N(x) f64_##x
#include "softfloat.h"

static inline uint64_t f64_of_f32(uint32_t b)
{
	uint32_t sig, magnitude = b & 0x7fffffff;
	uint64_t sign = (uint64_t)(b & 0x80000000) << 32;
	if (magnitude >= 0x7f800000) /* the NaN's payload stays at the top */
		return sign | 0x7ff0000000000000 | (uint64_t)(magnitude & 0x7fffff) << 29 |
		       (f32_is_nan(b) ? 1ull << 51 : 0);
	if (!magnitude)
		return sign;
	int e = f32_normal(magnitude, &sig) - 127 + 1023;
	return sign | (((uint64_t)(e - 1) << 52) + ((uint64_t)sig << 29));
}

static inline uint32_t f32_of_f64(uint64_t b)
{
	uint32_t sign = (uint32_t)(b >> 32) & 0x80000000;
	uint64_t sig, magnitude = b & 0x7fffffffffffffff;
	if (magnitude >= 0x7ff0000000000000)
		return sign | 0x7f800000 | (f64_is_nan(b) ? 0x400000 | ((uint32_t)(b >> 29) & 0x3fffff) : 0);
	if (!magnitude)
		return sign;
	int e = f64_normal(magnitude, &sig) - 1023 + 127;
	return f32_round(sign, e, (uint32_t)f64_shift_sticky(sig, 52 - 26));
}

/* ---- names ------------------------------------------------------------------------------------------------ */

#ifdef __ARM_EABI__
/* Helpers of the ABI take and return everything in core registers, whatever the float ABI of the rest. */
#define RT __attribute__((weak, pcs("aapcs")))
#else
#define RT __attribute__((weak))
#endif
#define FUNCTION(ret, name, params, result) \
	RT ret name params;                 \
	RT ret name params { return result; }

#define BINARY(T, P, name, op) FUNCTION(T, name, (T a, T b), P##_value(P##_##op(P##_bits(a), P##_bits(b))))
#define SUB(T, P, name, sign) FUNCTION(T, name, (T a, T b), P##_value(P##_add_bits(P##_bits(a), P##_bits(b) ^ (sign))))
#define COMPARE(T, P, name, test)                              \
	RT int name(T a, T b);                                 \
	RT int name(T a, T b)                                  \
	{                                                      \
		int c = P##_compare(P##_bits(a), P##_bits(b)); \
		return test;                                   \
	}
#define FROM(T, P, I, name) \
	FUNCTION(T, name, (I v), P##_value(P##_from_integer(v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v)))
#define FROM_U(T, P, I, name) FUNCTION(T, name, (I v), P##_value(P##_from_integer(false, v)))
#define TO(T, P, I, name, sign, max) FUNCTION(I, name, (T v), (I)P##_to_integer(P##_bits(v), sign, max))

#ifdef __ARM_EABI__
#define ALL(T, P, p, SIGN)                                                                                   \
	BINARY(T, P, __aeabi_##p##add, add_bits)                                                             \
	SUB(T, P, __aeabi_##p##sub, SIGN)                                                                    \
	FUNCTION(T, __aeabi_##p##rsub, (T a, T b), P##_value(P##_add_bits(P##_bits(b), P##_bits(a) ^ SIGN))) \
	BINARY(T, P, __aeabi_##p##mul, mul_bits)                                                             \
	BINARY(T, P, __aeabi_##p##div, div_bits)                                                             \
	COMPARE(T, P, __aeabi_##p##cmpeq, c == 0)                                                            \
	COMPARE(T, P, __aeabi_##p##cmplt, c == -1)                                                           \
	COMPARE(T, P, __aeabi_##p##cmple, c <= 0)                                                            \
	COMPARE(T, P, __aeabi_##p##cmpgt, c == 1)                                                            \
	COMPARE(T, P, __aeabi_##p##cmpge, c == 0 || c == 1)                                                  \
	COMPARE(T, P, __aeabi_##p##cmpun, c == 2)                                                            \
	FROM(T, P, int32_t, __aeabi_i2##p)                                                                   \
	FROM_U(T, P, uint32_t, __aeabi_ui2##p)                                                               \
	FROM(T, P, int64_t, __aeabi_l2##p)                                                                   \
	FROM_U(T, P, uint64_t, __aeabi_ul2##p)                                                               \
	TO(T, P, int32_t, __aeabi_##p##2iz, true, INT32_MAX)                                                 \
	TO(T, P, uint32_t, __aeabi_##p##2uiz, false, UINT32_MAX)                                             \
	TO(T, P, int64_t, __aeabi_##p##2lz, true, INT64_MAX)                                                 \
	TO(T, P, uint64_t, __aeabi_##p##2ulz, false, UINT64_MAX)
ALL(float, f32, f, 0x80000000)
ALL(double, f64, d, 0x8000000000000000)
FUNCTION(double, __aeabi_f2d, (float v), f64_value(f64_of_f32(f32_bits(v))))
FUNCTION(float, __aeabi_d2f, (double v), f32_value(f32_of_f64(f64_bits(v))))
#else
/* A NaN makes every comparison but != false: less-than's answer is positive then, greater-than's negative. */
#define ALL(T, P, p, SIGN)                                     \
	BINARY(T, P, __add##p##3, add_bits)                    \
	SUB(T, P, __sub##p##3, SIGN)                           \
	BINARY(T, P, __mul##p##3, mul_bits)                    \
	BINARY(T, P, __div##p##3, div_bits)                    \
	COMPARE(T, P, __eq##p##2, c)                           \
	COMPARE(T, P, __ne##p##2, c)                           \
	COMPARE(T, P, __lt##p##2, c)                           \
	COMPARE(T, P, __le##p##2, c)                           \
	COMPARE(T, P, __gt##p##2, c == 2 ? -1 : c)             \
	COMPARE(T, P, __ge##p##2, c == 2 ? -1 : c)             \
	COMPARE(T, P, __unord##p##2, c == 2)                   \
	FROM(T, P, int32_t, __floatsi##p)                      \
	FROM_U(T, P, uint32_t, __floatunsi##p)                 \
	FROM(T, P, int64_t, __floatdi##p)                      \
	FROM_U(T, P, uint64_t, __floatundi##p)                 \
	TO(T, P, int32_t, __fix##p##si, true, INT32_MAX)       \
	TO(T, P, uint32_t, __fixuns##p##si, false, UINT32_MAX) \
	TO(T, P, int64_t, __fix##p##di, true, INT64_MAX)       \
	TO(T, P, uint64_t, __fixuns##p##di, false, UINT64_MAX)
ALL(float, f32, sf, 0x80000000)
ALL(double, f64, df, 0x8000000000000000)
FUNCTION(double, __extendsfdf2, (float v), f64_value(f64_of_f32(f32_bits(v))))
FUNCTION(float, __truncdfsf2, (double v), f32_value(f32_of_f64(f64_bits(v))))
#endif

/* Of the C library, but compilers call them for themselves; in the target's float ABI. */
__attribute__((weak)) float sqrtf(float v);
__attribute__((weak)) float sqrtf(float v) { return f32_value(f32_sqrt_bits(f32_bits(v))); }
__attribute__((weak)) double sqrt(double v);
__attribute__((weak)) double sqrt(double v) { return f64_value(f64_sqrt_bits(f64_bits(v))); }
/* NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name) */
