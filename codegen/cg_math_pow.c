/* cg_math_pow.c: powers and remainders. */
#include "codegen/cg_math.h"

/* (log((1 + s) / (1 - s)) / s - 2 - 2/3 s^2) / s^4 of s^2 */
static const double log2_f32[] = { 0.399999976, 0.285719007, 0.221834704, 0.194946662 };
static const double log2_f64[] = { 0.39999999999999974, 0.285714285714476,   0.22222222216936213, 0.1818181894337892,
				   0.153845519259724,   0.13336506160215766, 0.11671017446088112, 0.12020420155007812 };
static const MathPoly log2_poly = MATH_POLY(log2);

static Dd constant(Cg *c, CgVal like, double h32, double l32, double h64, double l64)
{
	return (Dd){ math_pick(c, like, h32, h64), math_pick(c, like, l32, l64) };
}

/* a * b, but for the product of the low parts. */
static Dd product(Cg *c, Dd a, Dd b)
{
	Dd p = math_two_prod(c, a.h, b.h);
	p.l = cg_add(c, p.l, cg_add(c, cg_mul(c, a.h, b.l), cg_mul(c, a.l, b.h)));
	return p;
}

/* The logarithm of a positive finite number with about 10 digits (of 2) more than one float has: 2s + 2/3 s^3 and k ln2
 * as sums of two, s = (m - 1) / (m + 1), the rest plainly. */
static Dd long_log(Cg *c, CgVal x)
{
	CgVal m, k;
	math_split(c, x, &m, &k);
	CgVal one = math_num(c, x, 1), up = cg_sub(c, m, one);
	Dd down = math_two_sum(c, m, one), s = { cg_fdiv(c, up, down.h), NULL }, p = math_two_prod(c, s.h, down.h);
	CgVal rest = cg_sub(c, cg_sub(c, up, p.h), cg_add(c, p.l, cg_mul(c, s.h, down.l)));
	s.l = cg_fdiv(c, rest, down.h);
	Dd z = product(c, s, s), cube = product(c, s, z);
	Dd third = product(c, cube,
			   constant(c, x, 0x1.555556p-1, -0x1.555556p-26, 0x1.5555555555555p-1, 0x1.5555555555555p-55));
	CgVal tail = cg_mul(c, cg_mul(c, cube.h, z.h), math_poly(c, &log2_poly, z.h));
	Dd sum = math_fast_sum(c, cg_add(c, s.h, s.h), third.h);
	CgVal low = cg_add(c, cg_add(c, s.l, s.l), cg_add(c, third.l, tail));
	low = cg_add(c, sum.l, low);
	bool wide = math_wide(c, x);
	Dd all = math_two_sum(c, cg_mul(c, k, math_num(c, x, wide ? 0x1.62e42feep-1 : 0x1.62e4p-1)), sum.h);
	CgVal ln2_low = cg_mul(c, k, math_num(c, x, wide ? 0x1.a39ef35793c76p-33 : 0x1.7f7d1cp-20));
	Dd mid = math_two_sum(c, ln2_low, all.l);
	Dd high = math_fast_sum(c, all.h, mid.h);
	return math_fast_sum(c, high.h, cg_add(c, high.l, cg_add(c, mid.l, low)));
}

/* |x|^y */
static CgVal magnitude(Cg *c, CgVal a, CgVal y)
{
	CgVal one = math_num(c, a, 1), zero = math_num(c, a, 0), inf = math_num(c, a, INFINITY);
	Dd l = long_log(c, a), p = math_two_prod(c, y, l.h);
	CgVal near = cg_cmp(c, CG_LT, cg_abs(c, p.h), math_num(c, a, 2000));
	CgVal low = cg_select(c, near, cg_add(c, p.l, cg_mul(c, y, l.l)), zero);
	CgVal r = math_exp(c, p.h, low, 0), falls = cg_cmp(c, CG_LT, y, zero);
	r = cg_select(c, cg_cmp(c, CG_EQ, a, zero), cg_select(c, falls, inf, zero), r);
	r = cg_select(c, cg_cmp(c, CG_EQ, a, inf), cg_select(c, falls, zero, inf), r);
	return cg_select(c, cg_cmp(c, CG_EQ, a, one), one, r);
}

static void pow_body(Cg *c, CgFn *fn)
{
	CgVal x = fn->param[0], y = fn->param[1], zero = math_num(c, x, 0), one = math_num(c, x, 1);
	CgVal r = magnitude(c, cg_abs(c, x), y), half = cg_mul(c, y, math_num(c, x, 0.5));
	CgVal whole = cg_cmp(c, CG_EQ, cg_rint(c, y), y),
	      odd = cg_and(c, whole, cg_cmp(c, CG_NE, cg_rint(c, half), half));
	CgVal sign = math_sign_bit(c, x);
	sign = cg_select(c, odd, sign, math_int(c, sign, 0));
	r = math_from_bits(c, cg_or(c, math_to_bits(c, r), sign), x);
	CgVal below = cg_and(c, cg_cmp(c, CG_LT, x, zero), cg_cmp(c, CG_GT, x, math_num(c, x, -INFINITY)));
	CgVal bad = cg_or(c, cg_and(c, below, cg_not(c, whole)), cg_cmp(c, CG_UNO, x, y));
	r = cg_select(c, bad, math_num(c, x, NAN), r);
	cg_return(c, cg_select(c, cg_or(c, cg_cmp(c, CG_EQ, x, one), cg_cmp(c, CG_EQ, y, zero)), one, r));
}

CgVal cg_pow(Cg *c, CgVal x, CgVal y) { return math_shared(c, "pow", x, y, pow_body); }

/* ---- remainders ------------------------------------------------------------------------------------------- */

/* a > 0 as digits 2^e: digits an integer with the highest bit of the mantissa set. */
static void digits_of(Cg *c, CgVal a, CgVal *digits, CgVal *e)
{
	int mant = math_mant(c, a), bits = math_wide(c, a) ? 64 : 32;
	CgVal u = math_to_bits(c, a), one = math_int(c, u, 1), top = cg_shl(c, one, math_int(c, u, mant));
	CgVal raw = cg_lshr(c, u, math_int(c, u, mant)), normal = cg_or(c, cg_and(c, u, cg_sub(c, top, one)), top);
	CgVal tiny = cg_cmp(c, CG_ULT, u, top);
	CgVal up = cg_umin(c, cg_sub(c, cg_clz(c, u), math_int(c, u, bits - 1 - mant)), math_int(c, u, mant));
	up = cg_select(c, tiny, up, math_int(c, u, 0));
	*digits = cg_select(c, tiny, cg_shl(c, u, up), normal);
	*e = cg_sub(c, cg_select(c, tiny, one, raw), up);
}

/* n mod d after `steps` doublings, one binary digit of the quotient at a time; n < 2d. Lanes wait until the last is
 * done. */
static CgVal long_division(Cg *c, CgVal n, CgVal d, CgVal steps)
{
	CgVal zero = math_int(c, n, 0), one = math_int(c, n, 1);
	CgVar r = cg_var(c, n), left = cg_var(c, steps);
	cg_while(c);
	CgVal l = cg_get(c, left), more = cg_cmp(c, CG_GT, l, zero), v = cg_get(c, r);
	cg_break_if(c, cg_not(c, cg_any(c, more)));
	CgVal rest = cg_select(c, cg_cmp(c, CG_UGE, v, d), cg_sub(c, v, d), v);
	cg_set(c, r, cg_select(c, more, cg_shl(c, rest, one), v));
	cg_set(c, left, cg_sub(c, l, one));
	cg_end(c);
	CgVal last = cg_get(c, r);
	return cg_select(c, cg_cmp(c, CG_UGE, last, d), cg_sub(c, last, d), last);
}

static void fmod_body(Cg *c, CgFn *fn)
{
	CgVal x = fn->param[0], y = fn->param[1], a = cg_abs(c, x), b = cg_abs(c, y), da, ea, db, eb;
	digits_of(c, a, &da, &ea);
	digits_of(c, b, &db, &eb);
	CgVal r = cg_to_float(c, long_division(c, da, db, cg_sub(c, ea, eb)), cg_type(c, x).kind, true);
	CgVal e = cg_addi(c, eb, -math_bias(c, x) - math_mant(c, x)), half = cg_ashr(c, e, math_int(c, e, 1));
	r = cg_mul(c, cg_mul(c, r, math_pow2(c, half, x)), math_pow2(c, cg_sub(c, e, half), x));
	r = cg_select(c, cg_cmp(c, CG_LT, a, b), a, r);
	CgVal fine = cg_and(c, cg_cmp(c, CG_LT, a, math_num(c, a, INFINITY)), cg_cmp(c, CG_GT, b, math_num(c, b, 0)));
	cg_return(c, cg_select(c, fine, math_copysign(c, r, x), math_num(c, x, NAN)));
}

CgVal cg_fmod(Cg *c, CgVal x, CgVal y) { return math_shared(c, "fmod", x, y, fmod_body); }
