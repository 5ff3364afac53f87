/* cg_math.c: exponentials and what is made of them. The polynomials are minimax fits of our own; docs/math.md has the
 * measured errors. */
#include "codegen/cg_math.h"

CgVal math_poly(Cg *c, const MathPoly *p, CgVal x)
{
	int wide = math_wide(c, x);
	const double *k = p->c[wide];
	CgVal r = math_num(c, x, k[p->n[wide] - 1]);
	for (int i = p->n[wide] - 2; i >= 0; i--)
		r = cg_fma(c, r, x, math_num(c, x, k[i]));
	return r;
}

CgVal math_sign_bit(Cg *c, CgVal x)
{
	CgVal u = math_to_bits(c, x);
	return cg_and(c, u, math_int(c, u, math_wide(c, x) ? INT64_MIN : INT32_MIN));
}

/* magnitude >= 0 */
CgVal math_copysign(Cg *c, CgVal magnitude, CgVal sign)
{
	return math_from_bits(c, cg_or(c, math_to_bits(c, magnitude), math_sign_bit(c, sign)), magnitude);
}

CgVal math_pow2(Cg *c, CgVal n, CgVal x)
{
	return math_from_bits(c, cg_shl(c, cg_addi(c, n, math_bias(c, x)), math_int(c, n, math_mant(c, x))), x);
}

/* ---- sums of two ------------------------------------------------------------------------------------- */

Dd math_two_sum(Cg *c, CgVal a, CgVal b)
{
	CgVal s = cg_add(c, a, b), d = cg_sub(c, s, a);
	return (Dd){ s, cg_add(c, cg_sub(c, a, cg_sub(c, s, d)), cg_sub(c, b, d)) };
}

Dd math_fast_sum(Cg *c, CgVal a, CgVal b)
{
	CgVal s = cg_add(c, a, b);
	return (Dd){ s, cg_sub(c, b, cg_sub(c, s, a)) };
}

/* Half of the digits. */
static CgVal high_part(Cg *c, CgVal a)
{
	CgVal u = math_to_bits(c, a);
	return math_from_bits(c, cg_and(c, u, math_int(c, u, math_wide(c, a) ? -(INT64_C(1) << 27) : -(1 << 12))), a);
}

Dd math_two_prod(Cg *c, CgVal a, CgVal b)
{
	CgVal p = cg_mul(c, a, b);
	if (cg_has_fma(c, cg_type(c, a).kind))
		return (Dd){ p, cg_fma(c, a, b, cg_neg(c, p)) };
	CgVal ah = high_part(c, a), al = cg_sub(c, a, ah), bh = high_part(c, b), bl = cg_sub(c, b, bh);
	CgVal e = cg_sub(c, cg_mul(c, ah, bh), p);
	e = cg_add(c, e, cg_mul(c, ah, bl));
	e = cg_add(c, e, cg_mul(c, al, bh));
	return (Dd){ p, cg_add(c, e, cg_mul(c, al, bl)) };
}

/* The small number keeps 0 / 0 away. */
CgVal math_root_rest(Cg *c, CgVal x, CgVal root, CgVal l)
{
	Dd square = math_two_prod(c, root, root);
	CgVal rest = cg_add(c, cg_sub(c, cg_sub(c, x, square.h), square.l), l);
	return cg_fdiv(c, rest, cg_add(c, cg_add(c, root, root), math_num(c, x, 1e-30)));
}

/* ---- shared bodies ----------------------------------------------------------------------------------- */

CgVal math_shared(Cg *c, const char *name, CgVal x, CgVal y, void (*fn)(Cg *c, CgFn *f))
{
	if (y) {
		int lanes = cg_lanes(c, x) > cg_lanes(c, y) ? cg_lanes(c, x) : cg_lanes(c, y);
		x = cg_splat(c, x, lanes);
		y = cg_splat(c, y, lanes);
	}
	CgType t = cg_type(c, x), params[2] = { t, t };
	const char *full = wq_sprintf(cg_arena(c), "wq_%s_%s_%d", name, t.kind == CG_F64 ? "f64" : "f32", t.lanes);
	CgVal args[2] = { x, y };
	return cg_call(c, cg_shared(c, full, t, y ? 2 : 1, params, fn), y ? 2 : 1, args);
}

/* ---- e^x --------------------------------------------------------------------------------------------- */

/* (e^r - 1 - r) / r^2 for |r| <= ln2 / 2 */
static const double exp_f32[] = { 0.5, 0.166665167, 0.0416661948, 0.00836923439, 0.00139512261 };
static const double exp_f64[] = { 0.5000000000000013,     0.16666666666666702,    0.04166666666650938,
				  0.008333333333305885,   0.0013888888948744521,  0.00019841269920262296,
				  2.4801488022326972e-05, 2.7557213731135597e-06, 2.763200622015885e-07,
				  2.511867111404364e-08 };
static const MathPoly exp_poly = MATH_POLY(exp);

/* e^x = 2^n (1 + tail). Adding 1.5 * 2^mantissa leaves n in the low bits of the sum; n times the high part of ln2 is
 * exact. NaN goes through the comparisons. */
typedef struct Exp {
	CgVal tail, n;
} Exp;

static Exp exp_parts(Cg *c, CgVal x, CgVal l)
{
	bool wide = math_wide(c, x);
	x = cg_max(c, math_pick(c, x, -104, -746), x);
	x = cg_min(c, math_pick(c, x, 90, 711), x);
	CgVal magic = math_pick(c, x, 0x1.8p23, 0x1.8p52);
	CgVal t = cg_fma(c, x, math_num(c, x, 0x1.71547652b82fep+0), magic), k = cg_sub(c, t, magic);
	CgVal r = cg_fma(c, k, math_num(c, x, wide ? -0x1.62e42feep-1 : -0x1.62e4p-1), x);
	r = cg_fma(c, k, math_num(c, x, wide ? -0x1.a39ef35793c76p-33 : -0x1.7f7d1cp-20), r);
	if (l)
		r = cg_add(c, r, l);
	CgVal tail = cg_fma(c, cg_mul(c, math_poly(c, &exp_poly, r), r), r, r);
	return (Exp){ tail, cg_sub(c, math_to_bits(c, t), math_to_bits(c, magic)) };
}

/* v 2^n in two factors, so that neither over- nor underflows before the result does. */
static CgVal scaled(Cg *c, CgVal v, CgVal n)
{
	CgVal half = cg_ashr(c, n, math_int(c, n, 1));
	return cg_mul(c, cg_mul(c, v, math_pow2(c, half, v)), math_pow2(c, cg_sub(c, n, half), v));
}

CgVal math_exp(Cg *c, CgVal x, CgVal l, int halvings)
{
	Exp e = exp_parts(c, x, l);
	return scaled(c, cg_add(c, e.tail, math_num(c, x, 1)), cg_addi(c, e.n, -halvings));
}

CgVal cg_exp(Cg *c, CgVal x) { return math_exp(c, x, NULL, 0); }

/* e / (1 + e), or 1 / (1 + e). What the sum loses goes into the first e before that is rounded; 1 - e/2 is near enough
 * to 1 / (1 + e). */
CgVal cg_sigmoid(Cg *c, CgVal x)
{
	CgVal one = math_num(c, x, 1);
	Exp p = exp_parts(c, cg_neg(c, cg_abs(c, x)), NULL);
	CgVal m = cg_add(c, p.tail, one), e = scaled(c, m, p.n);
	Dd sum = math_fast_sum(c, one, e);
	CgVal lost = cg_mul(c, cg_mul(c, sum.l, m), cg_fma(c, e, math_num(c, x, -0.5), one));
	CgVal up = scaled(c, cg_add(c, cg_sub(c, p.tail, lost), one), p.n);
	return cg_fdiv(c, cg_select(c, math_less(c, x, 0), up, one), sum.h);
}

/* (tanh x - x) / x^3 of x^2, |x| <= 0.625 */
static const double tanh_f32[] = { -0.333332837, 0.133314848, -0.0537429228, 0.0206486117, -0.00571472896 };
static const double tanh_f64[] = { -0.33333333333332876,  0.13333333333264305,   -0.05396825393219521,
				   0.021869487595326566,  -0.008863221231725024, 0.003591990861346734,
				   -0.001454966821419202, 0.0005863404785938978, -0.0002286088935547395,
				   7.719140447631084e-05, -1.609391633731055e-05 };
static const MathPoly tanh_poly = MATH_POLY(tanh);

CgVal cg_tanh(Cg *c, CgVal x)
{
	CgVal a = cg_abs(c, x), z = cg_mul(c, x, x), one = math_num(c, x, 1), two = math_num(c, x, 2);
	CgVal small = cg_fma(c, cg_mul(c, math_poly(c, &tanh_poly, z), z), a, a);
	CgVal e = cg_add(c, cg_exp(c, cg_add(c, a, a)), one), large = cg_sub(c, one, cg_fdiv(c, two, e));
	return math_copysign(c, cg_select(c, math_less(c, a, 0.625), small, large), x);
}

/* (sinh x - x) / x^3 of x^2, |x| <= 1 */
static const double sinh_f32[] = { 0.166666672, 0.00833335053, 0.000198360562, 2.81749863e-06 };
static const double sinh_f64[] = { 0.16666666666666669,   0.008333333333333137,  0.00019841269841438483,
				   2.755731915507423e-06, 2.505212344167404e-08, 1.6057236884002961e-10,
				   7.759419948210925e-13 };
static const MathPoly sinh_poly = MATH_POLY(sinh);

/* Half of e^|x| is finite wherever the result is. */
CgVal cg_sinh(Cg *c, CgVal x)
{
	CgVal a = cg_abs(c, x), z = cg_mul(c, x, x), e = math_exp(c, a, NULL, 1);
	CgVal small = cg_fma(c, cg_mul(c, math_poly(c, &sinh_poly, z), z), x, x);
	CgVal large = math_copysign(c, cg_sub(c, e, cg_fdiv(c, math_num(c, x, 0.25), e)), x);
	return cg_select(c, math_less(c, a, 1), small, large);
}

CgVal cg_cosh(Cg *c, CgVal x)
{
	CgVal e = math_exp(c, cg_abs(c, x), NULL, 1);
	return cg_add(c, e, cg_fdiv(c, math_num(c, x, 0.25), e));
}

/* ---- the normal distribution ---------------------------------------------------------------------------- */

/* P(Z > t) e^(t^2/2) (t + 1) of (t - 4) / (t + 4); up to 14.5 and 39, where P is below the least number */
static const double tail_f32[] = { 0.4720532,      -0.0967034698,   0.0139995972,   0.0285999775,
				   -0.0321972854,  0.0179402083,    -0.00500428863, -0.000303691602,
				   0.000692718022, -6.07732691e-05, -7.16932045e-05 };
static const double tail_f64[] = { 0.47205320650984467,     -0.09670347732652579,    0.013999634724425438,
				   0.02860036405354933,     -0.03219783742808796,    0.01793609747972079,
				   -0.005002378590979555,   -0.0002856230986470587,  0.0006948971036205864,
				   -9.443024871630543e-05,  -8.785317595351412e-05,  2.1250026001758138e-05,
				   1.3626831821849297e-05,  -3.4321350543671926e-06, -2.6127946864270797e-06,
				   4.0438016784665967e-07,  5.517908079242304e-07,   1.553872451793984e-09,
				   -1.1076536671777097e-07, -1.992011600148221e-08,  1.7495994386427794e-08,
				   6.208254138528773e-09,   -1.4993747274210712e-09, -7.704408305502827e-10 };
static const MathPoly tail_poly = MATH_POLY(tail);
/* erf(x) / x - 1 of x^2, |x| <= 1 */
static const double erf_f32[] = { 0.128379166,   -0.37612626,     0.112835996,   -0.0268544052,
				  0.00518945092, -0.000802000985, 7.88606922e-05 };
static const double erf_f64[] = { 0.1283791670955126,      -0.3761263890318375,     0.11283791670954882,
				  -0.026866170645077347,   0.0052239776248230105,   -0.0008548326981098305,
				  0.00012055331120476078,  -1.4925595459858659e-05, 1.6461003278098563e-06,
				  -1.6350339187055624e-07, 1.4659932861985539e-08,  -1.137338061252389e-09,
				  5.957948412664798e-11 };
static const MathPoly erf_poly = MATH_POLY(erf);

/* The square of t in two parts: that of its high digits, which is exact, and the rest. */
CgVal cg_normal_tail(Cg *c, CgVal x)
{
	CgVal t = cg_min(c, math_pick(c, x, 14.5, 39), x), four = math_num(c, x, 4), half = math_num(c, x, -0.5);
	CgVal p = math_poly(c, &tail_poly, cg_fdiv(c, cg_sub(c, t, four), cg_add(c, t, four)));
	CgVal th = high_part(c, t), low = cg_mul(c, cg_mul(c, half, cg_sub(c, t, th)), cg_add(c, t, th));
	CgVal e = math_exp(c, cg_mul(c, cg_mul(c, half, th), th), low, 0);
	return cg_fdiv(c, cg_mul(c, e, p), cg_add(c, t, math_num(c, x, 1)));
}

CgVal cg_erf(Cg *c, CgVal x)
{
	CgVal a = cg_abs(c, x), one = math_num(c, x, 1);
	CgVal small = cg_fma(c, x, math_poly(c, &erf_poly, cg_mul(c, x, x)), x);
	CgVal tail = cg_normal_tail(c, cg_mul(c, a, math_num(c, x, 1.4142135623730951)));
	CgVal large = math_copysign(c, cg_sub(c, one, cg_add(c, tail, tail)), x);
	return cg_select(c, math_less(c, a, 1), small, large);
}
