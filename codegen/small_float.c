/* small_float.c: the codes of 8- and 4-bit floats to f32 and back, as integer arithmetic on the bits.
 *
 * A format with M mantissa bits and bias B has the code s|e|m. Shifted to f32's place its exponent is 127-B too small;
 * where e is 0, the number is what m adds to the least normal one.
 */
#include "codegen/kernel.h"

typedef struct Small {
	int mant, bias, sign; /* sign: its bit */
	int max;              /* the largest finite code */
	int inf, nan;         /* codes without sign; inf = nan where there is no infinity */
	bool unsigned_zero;   /* -0 is the only NaN */
} Small;

enum { F32_INF = 0x7f800000, QUIET = 0x400000 };

static const Small *small_of(WqDtype t)
{
	static const Small e4m3fn = { 3, 7, 0x80, 0x7e, 0x7f, 0x7f, false },
			   e4m3fnuz = { 3, 8, 0x80, 0x7f, 0x80, 0x80, true };
	static const Small e5m2 = { 2, 15, 0x80, 0x7b, 0x7c, 0x7e, false },
			   e5m2fnuz = { 2, 16, 0x80, 0x7f, 0x80, 0x80, true };
	static const Small e2m1 = { 1, 1, 0x08, 0x07, 0x07, 0x08, false };
	switch (t) {
	case WQ_F8E4M3FN:
		return &e4m3fn;
	case WQ_F8E4M3FNUZ:
		return &e4m3fnuz;
	case WQ_F8E5M2:
		return &e5m2;
	case WQ_F8E5M2FNUZ:
		return &e5m2fnuz;
	case WQ_F4E2M1:
		return &e2m1;
	default:
		WQ_BUG("%d is no small float", (int)t);
	}
}

/* Integer helpers with a constant beside a value of i32 lanes. */
static CgVal num(Cg *c, CgVal x, int64_t v) { return cg_int(c, cg_type(c, x), v); }
static CgVal and (Cg * c, CgVal x, int64_t v) { return cg_and(c, x, num(c, x, v)); }
static CgVal shl(Cg *c, CgVal x, int by) { return cg_shl(c, x, num(c, x, by)); }
static CgVal shr(Cg *c, CgVal x, int by) { return cg_lshr(c, x, num(c, x, by)); }
static CgVal is(Cg *c, CgCmp op, CgVal x, int64_t v) { return cg_cmp(c, op, x, num(c, x, v)); }
static CgVal pick(Cg *c, CgVal cond, int64_t yes, CgVal no) { return cg_select(c, cond, num(c, no, yes), no); }
static CgVal bits_of(Cg *c, CgVal f) { return cg_bitcast(c, f, cg_t(CG_I32, cg_lanes(c, f))); }
static CgVal float_of(Cg *c, CgVal u) { return cg_bitcast(c, u, cg_t(CG_F32, cg_lanes(c, u))); }

/* f8e8m0: 2^(code-127), 0xff is NaN; there is no zero and no sign. */
static CgVal e8m0_to_f32(Cg *c, CgVal code)
{
	CgVal u = pick(c, is(c, CG_EQ, code, 0), 1 << 22, shl(c, code, 23));
	return float_of(c, pick(c, is(c, CG_EQ, code, 0xff), F32_INF | QUIET, u));
}

CgVal kg_small_to_f32(Kg *k, WqDtype t, CgVal code)
{
	Cg *c = kg_cg(k);
	code = cg_resize(c, code, CG_I32, false);
	if (t == WQ_F8E8M0)
		return e8m0_to_f32(c, code);
	const Small *s = small_of(t);
	CgVal a = and(c, code, s->sign - 1),
	      sign = cg_and(c, shl(c, code, s->sign == 8 ? 28 : 24), num(c, code, INT32_MIN));
	/* No f32 below its normal range arises: vector units of Arm (32 bits, MVE) take those for 0. */
	CgVal u = shl(c, a, 23 - s->mant), least = num(c, u, (int64_t)(128 - s->bias) << 23);
	CgVal tiny = bits_of(c, cg_sub(c, float_of(c, cg_add(c, u, least)), float_of(c, least)));
	CgVal f =
		cg_select(c, is(c, CG_ULT, u, 1 << 23), tiny, cg_add(c, u, num(c, u, (int64_t)(127 - s->bias) << 23)));
	if (s->unsigned_zero)
		f = pick(c, is(c, CG_EQ, code, s->nan), F32_INF | QUIET, f);
	else if (s->max < s->sign - 1)
		f = pick(c, is(c, CG_UGT, a, s->max), F32_INF | QUIET, f);
	if (s->inf != s->nan && s->inf > s->max)
		f = pick(c, is(c, CG_EQ, a, s->inf), F32_INF, f);
	return float_of(c, cg_or(c, f, sign));
}

static CgVal f32_to_e8m0(Cg *c, CgVal v, bool saturate, char round)
{
	CgVal u = and(c, bits_of(c, v), INT32_MAX), code = shr(c, u, 23), m = and(c, u, 0x7fffff);
	if (round != 'd') { /* of numbers below 2^-126 the highest bit of m is the 1 before the point */
		CgVal tiny = is(c, CG_EQ, code, 0);
		CgVal least = cg_select(c, tiny, num(c, u, round == 'u' ? 0x400001 : 0x600000),
					num(c, u, round == 'u' ? 1 : 0x400000));
		code = cg_add(c, code, cg_resize(c, cg_cmp(c, CG_UGE, m, least), CG_I32, false));
	}
	int64_t over = saturate ? 0xfe : 0xff;
	code = pick(c, cg_or(c, is(c, CG_UGT, code, 0xfe), is(c, CG_UGE, u, F32_INF)), over, code);
	code = pick(c, is(c, CG_ULT, u, 1 << 22), saturate ? 0 : 0xff, code);
	return pick(c, is(c, CG_UGT, u, F32_INF), 0xff, code);
}

static CgVal to_code(Cg *c, const Small *s, CgVal v, bool saturate)
{
	int drop = 23 - s->mant;
	int64_t magic = (int64_t)(127 + 1 - s->bias + drop) << 23;
	CgVal u = bits_of(c, v), a = and(c, u, INT32_MAX);
	CgVal sign = and(c, shr(c, u, s->sign == 8 ? 28 : 24), s->sign);
	/* below the smallest normal the addition rounds to its unit */
	CgVal tiny = cg_sub(c, bits_of(c, cg_add(c, float_of(c, a), float_of(c, num(c, a, magic)))), num(c, a, magic));
	CgVal even = and(c, shr(c, a, drop), 1), up = cg_add(c, cg_add(c, a, even), num(c, a, (1 << (drop - 1)) - 1));
	CgVal normal = cg_sub(c, shr(c, up, drop), num(c, a, (int64_t)(127 - s->bias) << s->mant));
	CgVal code = cg_select(c, is(c, CG_ULT, a, (int64_t)(127 + 1 - s->bias) << 23), tiny, normal);
	CgVal over = is(c, CG_UGT, code, s->max), nan = is(c, CG_UGT, a, F32_INF);
	if (saturate)
		code = pick(c, over, s->max, code);
	if (s->unsigned_zero) {
		CgVal r = pick(c, is(c, CG_EQ, code, 0), 0, cg_or(c, code, sign));
		return pick(c, saturate ? nan : cg_or(c, nan, over), s->nan, r);
	}
	if (!saturate)
		code = pick(c, over, s->inf, code);
	if (s->nan == s->sign) /* f4e2m1 */
		return pick(c, nan, s->nan, cg_or(c, code, sign));
	return cg_or(c, pick(c, nan, s->nan, code), sign);
}

CgVal kg_f32_to_small(Kg *k, WqDtype t, CgVal v, bool saturate, char round)
{
	Cg *c = kg_cg(k);
	CgVal code = t == WQ_F8E8M0 ? f32_to_e8m0(c, v, saturate, round) : to_code(c, small_of(t), v, saturate);
	return cg_resize(c, code, CG_I8, false);
}
