/* cg_math.h: what the math functions share. They are written for vectors of any lanes and for scalars, f32 and f64
 * alike, without branches but where rare arguments need long work, and hold their errors with and without a fused
 * multiply-add.
 */
#ifndef WQ_CG_MATH_H
#define WQ_CG_MATH_H

#include "codegen/cg.h"

#include <math.h>

/* Coefficients, lowest first, for f32 and f64. */
typedef struct MathPoly {
	const double *c[2];
	int n[2];
} MathPoly;
#define MATH_POLY(name)                                                                        \
	{                                                                                      \
		{ name##_f32, name##_f64 }, { WQ_COUNTOF(name##_f32), WQ_COUNTOF(name##_f64) } \
	}

/* A number as a sum of two: h is the sum rounded. */
typedef struct Dd {
	CgVal h, l;
} Dd;

static inline bool math_wide(Cg *c, CgVal x) { return cg_type(c, x).kind == CG_F64; }
static inline CgType math_bits(Cg *c, CgVal x) { return cg_t(math_wide(c, x) ? CG_I64 : CG_I32, cg_lanes(c, x)); }
static inline CgVal math_num(Cg *c, CgVal x, double v) { return cg_float(c, cg_type(c, x), v); }
static inline CgVal math_pick(Cg *c, CgVal x, double f32, double f64)
{
	return math_num(c, x, math_wide(c, x) ? f64 : f32);
}
static inline CgVal math_to_bits(Cg *c, CgVal x) { return cg_bitcast(c, x, math_bits(c, x)); }
static inline CgVal math_from_bits(Cg *c, CgVal u, CgVal like)
{
	return cg_bitcast(c, u, cg_t(cg_type(c, like).kind, cg_lanes(c, u)));
}
static inline CgVal math_int(Cg *c, CgVal u, int64_t v) { return cg_int(c, cg_type(c, u), v); }
static inline int math_mant(Cg *c, CgVal x) { return math_wide(c, x) ? 52 : 23; }
static inline int math_bias(Cg *c, CgVal x) { return math_wide(c, x) ? 1023 : 127; }
static inline CgVal math_less(Cg *c, CgVal x, double v) { return cg_cmp(c, CG_LT, x, math_num(c, x, v)); }
static inline CgVal math_equal(Cg *c, CgVal x, double v) { return cg_cmp(c, CG_EQ, x, math_num(c, x, v)); }

CgVal math_poly(Cg *c, const MathPoly *p, CgVal x);
CgVal math_copysign(Cg *c, CgVal magnitude, CgVal sign);
CgVal math_sign_bit(Cg *c, CgVal x); /* as an integer with that bit alone */
/* 2^n, n an integer of x's size within the exponents of normal numbers. */
CgVal math_pow2(Cg *c, CgVal n, CgVal x);
Dd math_two_sum(Cg *c, CgVal a, CgVal b);  /* exact */
Dd math_fast_sum(Cg *c, CgVal a, CgVal b); /* exact where |a| >= |b| */
Dd math_two_prod(Cg *c, CgVal a, CgVal b); /* exact (f64 without FMA: to 2^-106) */
/* What root, the rounded square root of x, lacks to that of x + l; x from 1e-20 on, or 0. */
CgVal math_root_rest(Cg *c, CgVal x, CgVal root, CgVal l);
/* e^(x + l) / 2^halvings; l (NULL: 0) is small beside 1. */
CgVal math_exp(Cg *c, CgVal x, CgVal l, int halvings);
/* x = m 2^k, m between the roots of 1/2 and 2; x > 0, subnormal or not. k is a float. */
void math_split(Cg *c, CgVal x, CgVal *m, CgVal *k);
CgVal math_log(Cg *c, CgVal x, CgVal l, CgVal add); /* log((x + l) 2^add); l and add may be NULL */
/* A function of the module, for what is too long to be repeated: fn is its body. */
CgVal math_shared(Cg *c, const char *name, CgVal x, CgVal y, void (*fn)(Cg *c, CgFn *f));
/* fn: a shared function with the body name_of. */
#define MATH_SHARED(fn, name)                                                                \
	static void name##_body(Cg *c, CgFn *f) { cg_return(c, name##_of(c, f->param[0])); } \
	CgVal fn(Cg *c, CgVal x) { return math_shared(c, #name, x, NULL, name##_body); }

#endif
