/* cg_math_trig.c: sine, cosine, tangent and their inverses. */
#include "codegen/cg_math.h"

/* (sin x - x) / x^3, (cos x - 1 + x^2/2) / x^4, (tan x - x) / x^3 of x^2, |x| <= pi/4 */
static const double sin_f32[] = { -0.166666552, 0.00833215564, -0.00019514111 };
static const double sin_f64[] = { -0.1666666666666663,    0.008333333333321872,   -0.00019841269829355134,
				  2.7557313528899406e-06, -2.505073173666229e-08, 1.5895220974363393e-10 };
static const double cos_f32[] = { 0.0416666456, -0.00138873386, 2.44350067e-05 };
static const double cos_f64[] = { 0.041666666666666595,    -0.00138888888888734,   2.480158728900919e-05,
				  -2.7557314210222866e-07, 2.0875703268667938e-09, -1.1358578910096098e-11 };
static const double tan_f32[] = { 0.333333522,  0.133325562,     0.0540717989, 0.0212221611,
				  0.0109886518, -0.000101424674, 0.00446936162 };
static const double tan_f64[] = { 0.3333333333333339,     0.13333333333323544,     0.05396825397385292,
				  0.02186948837401706,    0.008863238321483337,    0.0035920968103270103,
				  0.0014560738511061207,  0.0005887260744408595,   0.00024423634658707143,
				  8.23365529756495e-05,   6.941692396128384e-05,   -2.83749033158042e-05,
				  5.0897460838281134e-05, -2.5381938208194663e-05, 1.0043118384624373e-05 };
static const MathPoly sin_poly = MATH_POLY(sin), cos_poly = MATH_POLY(cos), tan_poly = MATH_POLY(tan);

/* ---- reduction -------------------------------------------------------------------------------------------- */

/* pi/2 in parts whose products with the quadrants up to the limit are exact, but for the last. */
enum { PARTS = 5 };
static const double half_pi[2][PARTS] = {
	{ 0x1.92p+0, 0x1.fb4p-12, 0x1.444p-24, 0x1.68cp-39, 0x1.1a62633145c07p-54 },
	{ 0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104, 0 },
};
static const double limit[2] = { 8192, 1048576 };

/* 2/pi in words, after 64 zero bits. */
static const uint32_t two_over_pi[] = {
	0x00000000, 0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
	0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
	0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f, 0xef2f118b,
	0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b, 0x3d0739f7, 0x8a5292ea,
	0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab, 0xf0cfbc20, 0x9af4361d, 0xa9e39161, 0x5ee61b08,
};

typedef struct Turn {
	Dd r;    /* within about pi/4 */
	CgVal q; /* quadrant, as an integer: its low two bits */
} Turn;

/* a >= 0 up to the limit. */
static Turn reduce_near(Cg *c, CgVal a)
{
	int wide = math_wide(c, a);
	CgVal magic = math_pick(c, a, 0x1.8p23, 0x1.8p52);
	CgVal t = cg_fma(c, a, math_num(c, a, 0x1.45f306dc9c883p-1), magic), k = cg_neg(c, cg_sub(c, t, magic));
	CgVal q = cg_sub(c, math_to_bits(c, t), math_to_bits(c, magic));
	Dd r = { cg_fma(c, k, math_num(c, a, half_pi[wide][0]), a), math_num(c, a, 0) };
	for (int i = 1; i < 4 - wide; i++) {
		Dd s = math_two_sum(c, r.h, cg_mul(c, k, math_num(c, a, half_pi[wide][i])));
		r = (Dd){ s.h, cg_add(c, r.l, s.l) };
	}
	r.l = cg_fma(c, k, math_num(c, a, half_pi[wide][4 - wide]), r.l);
	return (Turn){ math_two_sum(c, r.h, r.l), q };
}

/* 32 bits of 2/pi from bit `at` on, and the n - 1 that follow: v[0] the last of them, as 64-bit numbers. */
static void window(Cg *c, CgVal at, int n, CgVal *v)
{
	CgVal table = cg_table(c, CG_I32, WQ_COUNTOF(two_over_pi), two_over_pi);
	CgVal word = cg_lshr(c, at, math_int(c, at, 5)),
	      shift = cg_resize(c, cg_and(c, at, math_int(c, at, 31)), CG_I64, false);
	CgVal prev = NULL;
	for (int i = 0; i <= n; i++) {
		CgVal w = cg_resize(c, cg_gather(c, CG_I32, table, cg_addi(c, word, i)), CG_I64, false),
		      by = math_int(c, w, 32);
		if (prev)
			v[n - i] = cg_lshr(c, cg_shl(c, cg_or(c, cg_shl(c, prev, by), w), shift), by);
		prev = w;
	}
}

/* The low n words of the product of m and v, in words of 32 bits. */
static void multiply(Cg *c, int nm, const CgVal *m, int n, const CgVal *v, CgVal *p)
{
	CgVal by = math_int(c, v[0], 32), mask = math_int(c, v[0], 0xffffffff);
	for (int i = 0; i < n; i++)
		p[i] = math_int(c, v[0], 0);
	for (int i = 0; i < nm; i++) {
		CgVal carry = math_int(c, v[0], 0);
		for (int j = 0; i + j < n; j++) {
			CgVal s = cg_add(c, cg_add(c, cg_mul(c, m[i], v[j]), p[i + j]), carry);
			p[i + j] = cg_and(c, s, mask);
			carry = cg_lshr(c, s, by);
		}
	}
}

/* The fraction of pi/2 that the 64 bits g say, times 2^-down: g's highest bit is 1/4 before that. */
static Dd fraction(Cg *c, CgVal g, CgVal down, CgVal like)
{
	bool wide = math_wide(c, like);
	CgType t = cg_type(c, like);
	int p = wide ? 53 : 24, low = wide ? 0 : 16, bits = 64 - p - low;
	CgVal h = cg_lshr(c, g, math_int(c, g, 64 - p));
	CgVal l = cg_and(c, cg_lshr(c, g, math_int(c, g, low)), math_int(c, g, (INT64_C(1) << bits) - 1));
	CgKind k = wide ? CG_I64 : CG_I32;
	h = cg_to_float(c, cg_resize(c, h, k, false), t.kind, true);
	l = cg_mul(c, cg_to_float(c, cg_resize(c, l, k, false), t.kind, true), cg_float(c, t, ldexp(1, -bits)));
	double unit = ldexp(1, 2 - p), high = wide ? 0x1.921fb54442d18p+0 : 0x1.921fb6p+0,
	       rest = wide ? 0x1.1a62633145c07p-54 : -0x1.777a5cp-25;
	CgVal ch = cg_float(c, t, high * unit), cl = cg_float(c, t, rest * unit);
	Dd r = math_two_prod(c, h, ch);
	r.l = cg_add(c, r.l, cg_add(c, cg_mul(c, h, cl), cg_mul(c, l, ch)));
	CgVal scale = math_pow2(c, cg_neg(c, cg_resize(c, down, math_bits(c, like).kind, false)), like);
	return (Dd){ cg_mul(c, r.h, scale), cg_mul(c, r.l, scale) };
}

/* a from the limit on (what it makes of others does not matter): a = m 2^e with an integer m. Bits of 2/pi that are
 * whole turns when multiplied are left out; of the product, the highest two bits are the quadrant, the others a
 * fraction of it. As many as m has and as many as can be lost when the fraction is near 0 are enough. */
static Turn reduce_far(Cg *c, CgVal a)
{
	bool wide = math_wide(c, a);
	int mant = math_mant(c, a), n = wide ? 6 : 3, nm = wide ? 2 : 1;
	CgVal u = math_to_bits(c, a), m[2], v[6], p[6];
	CgVal e = cg_resize(c, cg_lshr(c, u, math_int(c, u, mant)), CG_I32, false);
	CgVal at = cg_addi(c, e, 64 - 2 - math_bias(c, a) - mant), zero = math_int(c, at, 0);
	int64_t most = (int64_t)(WQ_COUNTOF(two_over_pi) - n - 1) * 32;
	window(c, cg_min(c, cg_max(c, at, zero), math_int(c, at, most)), n, v);
	CgVal digits =
		cg_or(c, cg_and(c, u, math_int(c, u, (INT64_C(1) << mant) - 1)), math_int(c, u, INT64_C(1) << mant));
	m[0] = cg_and(c, cg_resize(c, digits, CG_I64, false), math_int(c, v[0], 0xffffffff));
	m[1] = wide ? cg_lshr(c, digits, math_int(c, digits, 32)) : NULL;
	multiply(c, nm, m, n, v, p);
	CgVal by = math_int(c, v[0], 32), one = math_int(c, v[0], 1), none = math_int(c, v[0], 0);
	CgVal high = cg_or(c, cg_shl(c, p[n - 1], by), p[n - 2]),
	      low = cg_or(c, cg_shl(c, p[n - 3], by), wide ? p[n - 4] : none);
	CgVal q = cg_lshr(c, cg_add(c, high, math_int(c, high, INT64_C(1) << 61)), math_int(c, high, 62));
	high = cg_sub(c, high, cg_shl(c, q, math_int(c, high, 62)));
	CgVal negative = cg_cmp(c, CG_LT, high, none);
	CgVal borrow = cg_select(c, cg_cmp(c, CG_EQ, low, none), one, none);
	high = cg_select(c, negative, cg_add(c, cg_not(c, high), borrow), high);
	low = cg_select(c, negative, cg_neg(c, low), low);
	CgVal down = cg_umin(c, cg_clz(c, high), math_int(c, high, 63));
	CgVal g = cg_or(c, cg_shl(c, high, down),
			cg_lshr(c, cg_lshr(c, low, one), cg_sub(c, math_int(c, high, 63), down)));
	Dd r = fraction(c, g, down, a);
	r.h = cg_select(c, negative, cg_neg(c, r.h), r.h);
	r.l = cg_select(c, negative, cg_neg(c, r.l), r.l);
	return (Turn){ r, cg_resize(c, q, math_bits(c, a).kind, false) };
}

/* a >= 0. Large arguments are rare and their reduction is long: it is passed over when no lane needs it. */
static Turn reduce(Cg *c, CgVal a)
{
	Turn near = reduce_near(c, a);
	CgVal far = cg_cmp(c, CG_GT, a, math_num(c, a, limit[math_wide(c, a)]));
	CgVar h = cg_var(c, near.r.h), l = cg_var(c, near.r.l), q = cg_var(c, near.q);
	cg_if(c, cg_any(c, far));
	Turn other = reduce_far(c, a);
	cg_set(c, h, cg_select(c, far, other.r.h, near.r.h));
	cg_set(c, l, cg_select(c, far, other.r.l, near.r.l));
	cg_set(c, q, cg_select(c, far, other.q, near.q));
	cg_end(c);
	CgVal finite = cg_cmp(c, CG_LT, a, math_num(c, a, INFINITY));
	return (Turn){ { cg_select(c, finite, cg_get(c, h), cg_sub(c, a, a)), cg_get(c, l) }, cg_get(c, q) };
}

/* ---- sine, cosine, tangent -------------------------------------------------------------------------------- */

static CgVal sin_near(Cg *c, Dd r)
{
	CgVal z = cg_mul(c, r.h, r.h), p = cg_mul(c, math_poly(c, &sin_poly, z), z);
	CgVal low = cg_fma(c, cg_mul(c, r.l, z), math_num(c, z, -0.5), r.l);
	return cg_add(c, r.h, cg_fma(c, p, r.h, low));
}

static CgVal cos_near(Cg *c, Dd r)
{
	CgVal z = cg_mul(c, r.h, r.h), half = cg_mul(c, z, math_num(c, z, 0.5)), one = math_num(c, z, 1);
	CgVal w = cg_sub(c, one, half), lost = cg_sub(c, cg_sub(c, one, w), half);
	CgVal p = cg_mul(c, cg_mul(c, math_poly(c, &cos_poly, z), z), z);
	return cg_add(c, w, cg_add(c, lost, cg_sub(c, p, cg_mul(c, r.h, r.l))));
}

/* sin(r + (q + ahead) pi/2) */
static CgVal by_quadrant(Cg *c, Turn t, int ahead)
{
	CgVal q = cg_addi(c, t.q, ahead), one = math_int(c, q, 1),
	      odd = cg_cmp(c, CG_NE, cg_and(c, q, one), math_int(c, q, 0));
	CgVal v = cg_select(c, odd, cos_near(c, t.r), sin_near(c, t.r));
	CgVal sign = cg_shl(c, cg_and(c, q, math_int(c, q, 2)),
			    math_int(c, q, cg_kind_bytes(c, cg_type(c, q).kind) * 8 - 2));
	return math_from_bits(c, cg_xor(c, math_to_bits(c, v), sign), v);
}

static CgVal with_sign_of(Cg *c, CgVal v, CgVal x)
{
	return math_from_bits(c, cg_xor(c, math_to_bits(c, v), math_sign_bit(c, x)), v);
}

static CgVal sin_of(Cg *c, CgVal x) { return with_sign_of(c, by_quadrant(c, reduce(c, cg_abs(c, x)), 0), x); }
static CgVal cos_of(Cg *c, CgVal x) { return by_quadrant(c, reduce(c, cg_abs(c, x)), 1); }

/* In odd quadrants -1 / tan. */
static CgVal tan_of(Cg *c, CgVal x)
{
	Turn a = reduce(c, cg_abs(c, x));
	CgVal z = cg_mul(c, a.r.h, a.r.h), p = cg_mul(c, cg_mul(c, math_poly(c, &tan_poly, z), z), a.r.h);
	CgVal first = cg_add(c, a.r.h, p),
	      t = cg_add(c, a.r.h, cg_add(c, p, cg_fma(c, cg_mul(c, first, first), a.r.l, a.r.l)));
	CgVal odd = cg_cmp(c, CG_NE, cg_and(c, a.q, math_int(c, a.q, 1)), math_int(c, a.q, 0));
	return with_sign_of(c, cg_select(c, odd, cg_fdiv(c, math_num(c, x, -1), t), t), x);
}

MATH_SHARED(cg_sin, sin)
MATH_SHARED(cg_cos, cos)
MATH_SHARED(cg_tan, tan)

/* ---- inverses --------------------------------------------------------------------------------------------- */

/* (asin x - x) / x^3 of x^2, |x| <= 1/2; (atan x - x) / x^3 of x^2, |x| <= tan(pi/8) */
static const double asin_f32[] = { 0.166667536, 0.0749523491, 0.0454780944, 0.0241421424, 0.0422286801 };
static const double asin_f64[] = { 0.16666666666666763,   0.07499999999970088,  0.044642857175300206,
				   0.030381942674548985,  0.022372215926574943, 0.017351595139960676,
				   0.013981022640639171,  0.011397261492139809, 0.010789486078525081,
				   0.0036716070932461364, 0.02179194709803846,  -0.021118414622937433,
				   0.03270313630983806 };
static const double atan_f32[] = { -0.333333135, 0.199984342, -0.142427444, 0.105873838, -0.0606057718 };
static const double atan_f64[] = { -0.33333333333333187, 0.19999999999949736,  -0.14285714279789138,
				   0.11111110762236409,  -0.0909089712572449,  0.07692048627256129,
				   -0.06662968779154348, 0.058468814776983846, -0.05034666267215242,
				   0.03794443740058016,  -0.017773362837263808 };
static const MathPoly asin_poly = MATH_POLY(asin), atan_poly = MATH_POLY(atan);
static const double half_pi_dd[2][2] = { { 0x1.921fb6p+0, -0x1.777a5cp-25 },
					 { 0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54 } };

/* n pi/2 - v */
static CgVal from_half_pi(Cg *c, double n, CgVal v)
{
	const double *k = half_pi_dd[math_wide(c, v)];
	return cg_sub(c, math_num(c, v, n * k[0]), cg_sub(c, v, math_num(c, v, n * k[1])));
}

/* asin(s) for s = a up to 1/2, beyond it of sqrt((1 - a) / 2), half of what is missing to pi/2. */
static CgVal asin_half(Cg *c, CgVal a, CgVal *large)
{
	*large = cg_cmp(c, CG_GT, a, math_num(c, a, 0.5));
	CgVal half = cg_mul(c, cg_sub(c, math_num(c, a, 1), a), math_num(c, a, 0.5));
	CgVal root = cg_sqrt(c, half), z = cg_select(c, *large, half, cg_mul(c, a, a)),
	      s = cg_select(c, *large, root, a);
	CgVal zero = math_num(c, a, 0), lost = cg_select(c, *large, math_root_rest(c, half, root, zero), zero);
	return cg_add(c, s, cg_fma(c, cg_mul(c, math_poly(c, &asin_poly, z), z), s, lost));
}

static CgVal asin_of(Cg *c, CgVal x)
{
	CgVal large, p = asin_half(c, cg_abs(c, x), &large);
	return math_copysign(c, cg_select(c, large, from_half_pi(c, 1, cg_add(c, p, p)), p), x);
}

static CgVal acos_of(Cg *c, CgVal x)
{
	CgVal large, p = asin_half(c, cg_abs(c, x), &large), twice = cg_add(c, p, p);
	CgVal beyond = cg_select(c, math_less(c, x, 0), from_half_pi(c, 2, twice), twice);
	return cg_select(c, large, beyond, from_half_pi(c, 1, with_sign_of(c, p, x)));
}

/* From tan(pi/8) on: pi/4 + atan((a - 1) / (a + 1)); from tan(3 pi/8) on: pi/2 + atan(-1 / a). */
static CgVal atan_of(Cg *c, CgVal x)
{
	CgVal a = cg_abs(c, x), one = math_num(c, x, 1), zero = math_num(c, x, 0);
	const double *k = half_pi_dd[math_wide(c, x)];
	CgVal far = cg_cmp(c, CG_GT, a, math_num(c, x, 2.414213562373095)),
	      mid = cg_cmp(c, CG_GT, a, math_num(c, x, 0.4142135623730951));
	CgVal up = cg_select(c, far, math_num(c, x, -1), cg_select(c, mid, cg_sub(c, a, one), a));
	CgVal down = cg_select(c, far, a, cg_select(c, mid, cg_add(c, a, one), one));
	CgVal base = cg_select(c, far, math_num(c, x, k[0]), cg_select(c, mid, math_num(c, x, k[0] / 2), zero));
	CgVal low = cg_select(c, far, math_num(c, x, k[1]), cg_select(c, mid, math_num(c, x, k[1] / 2), zero));
	CgVal t = cg_fdiv(c, up, down), z = cg_mul(c, t, t);
	CgVal p = cg_fma(c, cg_mul(c, math_poly(c, &atan_poly, z), z), t, low);
	return math_copysign(c, cg_add(c, base, cg_add(c, t, p)), x);
}

MATH_SHARED(cg_asin, asin)
MATH_SHARED(cg_acos, acos)
MATH_SHARED(cg_atan, atan)
