/* cg_math_log.c: the logarithm, and the inverse hyperbolic functions made of it. */
#include "codegen/cg_math.h"

/* f32: (log(1 + f) - f + f^2/2) / f^3; f64: (log((1 + s) / (1 - s)) / s - 2) / s^2 of s^2, s = f / (2 + f) */
static const double log_f32[] = { 0.333333105,  -0.249999851, 0.200022697,  -0.166693613, 0.142177865,
				  -0.123817556, 0.11877396,   -0.118079774, 0.0692710057 };
static const double log_f64[] = { 0.6666666666666745,  0.39999999999339714, 0.28571428760510864, 0.2222219657906925,
				  0.18183674348289566, 0.15311084911810496, 0.14827024042273934 };
static const MathPoly log_poly = MATH_POLY(log);

void math_split(Cg *c, CgVal x, CgVal *m, CgVal *k)
{
	int mant = math_mant(c, x);
	CgVal tiny = cg_cmp(c, CG_LT, x, math_pick(c, x, 0x1p-126, 0x1p-1022));
	x = cg_select(c, tiny, cg_mul(c, x, math_num(c, x, ldexp(1, mant))), x);
	CgVal u = math_to_bits(c, x), root = math_to_bits(c, math_num(c, x, 0.70710678118654752));
	CgVal e = cg_ashr(c, cg_sub(c, u, root), math_int(c, u, mant));
	*m = math_from_bits(c, cg_sub(c, u, cg_shl(c, e, math_int(c, u, mant))), x);
	e = cg_sub(c, e, cg_select(c, tiny, math_int(c, u, mant), math_int(c, u, 0)));
	*k = cg_to_float(c, cg_resize(c, e, CG_I32, true), cg_type(c, x).kind, true);
}

/* log(1 + f) as f minus the result. */
static CgVal below(Cg *c, CgVal f, CgVal small)
{
	CgVal half = cg_mul(c, cg_mul(c, math_num(c, f, 0.5), f), f);
	if (!math_wide(c, f)) {
		CgVal tail = cg_mul(c, cg_mul(c, cg_mul(c, f, f), f), math_poly(c, &log_poly, f));
		return cg_sub(c, half, cg_add(c, tail, small));
	}
	CgVal s = cg_fdiv(c, f, cg_add(c, f, math_num(c, f, 2))), z = cg_mul(c, s, s);
	CgVal tail = cg_mul(c, s, cg_fma(c, z, math_poly(c, &log_poly, z), half));
	return cg_sub(c, half, cg_add(c, tail, small));
}

/* k times the high part of ln2 is exact. l moves the result by log(1 + l/x). */
CgVal math_log(Cg *c, CgVal x, CgVal l, CgVal add)
{
	bool wide = math_wide(c, x);
	CgVal m, k;
	math_split(c, x, &m, &k);
	if (add)
		k = cg_add(c, k, add);
	CgVal f = cg_sub(c, m, math_num(c, x, 1));
	CgVal small = cg_mul(c, k, math_num(c, x, wide ? 0x1.a39ef35793c76p-33 : 0x1.7f7d1cp-20));
	if (l) {
		CgVal q = cg_fdiv(c, l, x);
		small = cg_add(c, small, cg_fma(c, cg_mul(c, q, math_num(c, x, -0.5)), q, q));
	}
	CgVal r = cg_sub(c, f, below(c, f, small));
	r = cg_fma(c, k, math_num(c, x, wide ? 0x1.62e42feep-1 : 0x1.62e4p-1), r);
	CgVal inf = math_num(c, x, INFINITY), zero = math_num(c, x, 0);
	CgVal special = cg_select(c, cg_cmp(c, CG_LT, x, zero), math_num(c, x, NAN), x); /* infinity and NaN stay */
	special = cg_select(c, cg_cmp(c, CG_EQ, x, zero), math_num(c, x, -INFINITY), special);
	return cg_select(c, cg_and(c, cg_cmp(c, CG_GT, x, zero), cg_cmp(c, CG_LT, x, inf)), r, special);
}

CgVal cg_log(Cg *c, CgVal x) { return math_log(c, x, NULL, NULL); }

/* log(1 + u + l): the rounding error of the sum is not lost. */
static CgVal log_of_1_plus(Cg *c, CgVal u, CgVal l, CgVal add)
{
	Dd y = math_two_sum(c, math_num(c, u, 1), u);
	return math_log(c, y.h, l ? cg_add(c, y.l, l) : y.l, add);
}

/* log(1 + a + a^2 / (1 + sqrt(1 + a^2))); log(2a) where a^2 might overflow. */
static CgVal asinh_of(Cg *c, CgVal x)
{
	CgVal a = cg_abs(c, x), one = math_num(c, x, 1), zero = math_num(c, x, 0);
	CgVal far = cg_cmp(c, CG_GT, a, math_pick(c, x, 0x1p40, 0x1p80)), b = cg_select(c, far, one, a);
	CgVal z = cg_mul(c, b, b), root = cg_sqrt(c, cg_add(c, z, one));
	Dd u = math_two_sum(c, b, cg_fdiv(c, z, cg_add(c, root, one)));
	Dd y = math_two_sum(c, one, u.h);
	CgVal low = cg_select(c, far, zero, cg_add(c, y.l, u.l));
	CgVal r = math_log(c, cg_select(c, far, a, y.h), low, cg_select(c, far, one, zero));
	return math_copysign(c, r, x);
}

/* t = x - 1: log(1 + t + sqrt(2t + t^2)) */
static CgVal acosh_of(Cg *c, CgVal x)
{
	CgVal one = math_num(c, x, 1), zero = math_num(c, x, 0);
	CgVal far = cg_cmp(c, CG_GT, x, math_pick(c, x, 0x1p40, 0x1p80)), b = cg_select(c, far, one, x);
	Dd t = math_two_sum(c, b, cg_neg(c, one)), s = math_two_sum(c, b, one), p = math_two_prod(c, t.h, s.h);
	CgVal root = cg_sqrt(c, p.h);
	Dd u = math_two_sum(c, t.h, root), y = math_two_sum(c, one, u.h);
	CgVal lost = cg_add(c, math_root_rest(c, p.h, root, cg_fma(c, t.h, s.l, p.l)), t.l);
	CgVal low = cg_select(c, far, zero, cg_add(c, cg_add(c, y.l, u.l), lost));
	CgVal r = math_log(c, cg_select(c, far, x, y.h), low, cg_select(c, far, one, zero));
	return cg_select(c, math_less(c, x, 1), math_num(c, x, NAN), r);
}

/* log(1 + 2a / (1 - a)) / 2 */
static CgVal atanh_of(Cg *c, CgVal x)
{
	CgVal a = cg_abs(c, x), one = math_num(c, x, 1);
	Dd d = math_two_sum(c, one, cg_neg(c, a));
	CgVal u = cg_fdiv(c, cg_add(c, a, a), d.h), finite = cg_cmp(c, CG_LT, u, math_num(c, x, INFINITY));
	Dd p = math_two_prod(c, u, d.h); /* what u lacks: (2a - u (h + l)) / h */
	CgVal rest = cg_sub(c, cg_sub(c, cg_sub(c, cg_add(c, a, a), p.h), p.l), cg_mul(c, u, d.l));
	CgVal low = cg_select(c, finite, cg_fdiv(c, rest, d.h), math_num(c, x, 0));
	CgVal r = log_of_1_plus(c, u, low, NULL);
	CgVal bad = cg_cmp(c, CG_GT, a, one);
	r = cg_select(c, bad, math_num(c, x, NAN), cg_mul(c, r, math_num(c, x, 0.5)));
	return math_copysign(c, r, x);
}

MATH_SHARED(cg_asinh, asinh)
MATH_SHARED(cg_acosh, acosh)
MATH_SHARED(cg_atanh, atanh)
