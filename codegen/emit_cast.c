/* emit_cast.c: Cast between numbers, and BitCast. Every conversion rounds once. */
#include "codegen/kernel.h"

static bool is_small_float(WqDtype t) { return wq_dtype(t)->cls == 'F' && wq_dtype(t)->bits <= 8; }

/* v, of a type under 8 bits in an i8, with its high bits ignored: as such a byte should be. */
static CgVal extend(Cg *c, CgVal v, int bits, bool sign)
{
	CgType t = cg_type(c, v);
	CgVal by = cg_int(c, t, 8 - bits), up = cg_shl(c, v, by);
	return bits == 8 ? v : sign ? cg_ashr(c, up, by) : cg_lshr(c, up, by);
}

/* An integer's low bits as type t. */
static CgVal narrow(Cg *c, WqDtype t, CgVal v, bool sign)
{
	int bits = wq_dtype(t)->bits;
	v = cg_resize(c, v, kg_reg(t), sign);
	return bits < 8 ? extend(c, v, bits, wq_dtype_is_signed(t)) : v;
}

/* ---- integers to floats ------------------------------------------------------------------------- */

/* What is below bit `bit` of m, in that bit. */
static CgVal sticky(Cg *c, CgVal m, int bit)
{
	CgType t = cg_type(c, m);
	CgVal one = cg_int(c, t, (int64_t)1 << bit), low = cg_sub(c, one, cg_int(c, t, 1));
	CgVal rest = cg_cmp(c, CG_NE, cg_and(c, m, low), cg_zero(c, t));
	return cg_or(c, cg_and(c, m, cg_not(c, low)), cg_select(c, rest, one, cg_zero(c, t)));
}

/* An integer as f32 rounded to odd: rounding that again to at most 11 bits is the same as rounding the integer. */
static CgVal int_to_odd(Cg *c, CgVal v, bool sign)
{
	if (cg_kind_bytes(c, cg_type(c, v).kind) < 4)
		return cg_to_float(c, cg_resize(c, v, CG_I32, sign), CG_F32, true);
	CgType t = cg_type(c, v);
	CgVal m = sign ? cg_abs(c, v) : v; /* the least number is its magnitude, unsigned */
	CgVal big = cg_cmp(c, CG_UGE, m, cg_int(c, t, 1 << 24)), odd = sticky(c, m, t.kind == CG_I64 ? 16 : 8);
	if (t.kind == CG_I64)
		odd = cg_select(c, cg_cmp(c, CG_UGE, m, cg_int(c, t, (int64_t)1 << 40)), sticky(c, m, 40), odd);
	CgVal f = cg_to_float(c, cg_select(c, big, odd, m), CG_F32, false);
	return sign ? cg_select(c, cg_cmp(c, CG_LT, v, cg_zero(c, t)), cg_neg(c, f), f) : f;
}

static CgVal from_int(Kg *k, WqDtype to, CgVal v, bool sign, bool saturate, char round)
{
	Cg *c = kg_cg(k);
	if (to == WQ_F32 || to == WQ_F64) {
		if (cg_kind_bytes(c, cg_type(c, v).kind) < 4) /* what CPUs convert is i32 */
			v = cg_resize(c, v, CG_I32, sign), sign = true;
		return cg_to_float(c, v, kg_reg(to), sign);
	}
	CgVal f = int_to_odd(c, v, sign);
	return to == WQ_F16    ? cg_f32_to_half(c, f)
	       : to == WQ_BF16 ? cg_f32_to_bf16(c, f)
			       : kg_f32_to_small(k, to, f, saturate, round);
}

/* ---- floats to anything ------------------------------------------------------------------------- */

/* Saturates at the range of i32, of i64 for u32 and i64, of u64 where not negative; NaN is 0. */
static CgVal float_to_int(Cg *c, WqDtype to, CgVal v)
{
	if (to == WQ_U32 || to == WQ_I64)
		return narrow(c, to, cg_to_int(c, v, CG_I64, true), true);
	if (to != WQ_U64)
		return narrow(c, to, cg_to_int(c, v, CG_I32, true), true);
	CgVal high = cg_cmp(c, CG_GE, v, cg_float(c, cg_type(c, v), 0x1p63));
	return cg_select(c, high, cg_to_int(c, v, CG_I64, false), cg_to_int(c, v, CG_I64, true));
}

/* f64 as f32 rounded to odd. */
static CgVal f64_to_odd(Cg *c, CgVal d)
{
	CgVal f = cg_fcast(c, d, CG_F32), back = cg_fcast(c, f, CG_F64);
	CgType t = cg_t(CG_I32, cg_lanes(c, d));
	CgVal u = cg_bitcast(c, f, t), one = cg_int(c, t, 1), zero = cg_zero(c, t);
	CgVal above = cg_cmp(c, CG_GT, cg_abs(c, back), cg_abs(c, d));
	CgVal other = cg_select(c, above, cg_sub(c, u, one), cg_add(c, u, one));
	CgVal exact = cg_or(c, cg_cmp(c, CG_EQ, back, d), cg_cmp(c, CG_UNO, d, d));
	CgVal stays = cg_or(c, exact, cg_cmp(c, CG_NE, cg_and(c, u, one), zero));
	return cg_bitcast(c, cg_select(c, stays, u, other), cg_t(CG_F32, t.lanes));
}

static CgVal from_float(Kg *k, WqDtype to, CgVal v, bool saturate, char round)
{
	Cg *c = kg_cg(k);
	bool wide = cg_type(c, v).kind == CG_F64;
	switch (to) {
	case WQ_F32:
	case WQ_F64:
		return cg_fcast(c, v, kg_reg(to));
	case WQ_F16:
		return wide ? cg_f64_to_half(c, v) : cg_f32_to_half(c, v);
	case WQ_BF16:
		return wide ? cg_f64_to_bf16(c, v) : cg_f32_to_bf16(c, v);
	default:
		break;
	}
	if (is_small_float(to))
		return kg_f32_to_small(k, to, wide ? f64_to_odd(c, v) : v, saturate, round);
	return float_to_int(c, to, v);
}

/* ---- all ------------------------------------------------------------------------------------------ */

CgVal kg_convert(Kg *k, WqDtype to, WqDtype from, CgVal v, bool saturate, char round)
{
	Cg *c = kg_cg(k);
	bool is_int = wq_dtype_is_int(from) || from == WQ_BOOL, sign = wq_dtype_is_signed(from);
	if (to == from)
		return v;
	if (from == WQ_F16)
		v = cg_half_to_f32(c, v);
	else if (from == WQ_BF16)
		v = cg_bf16_to_f32(c, v);
	else if (is_small_float(from))
		v = kg_small_to_f32(k, from, v);
	if (to == WQ_BOOL) /* NaN is true */
		return cg_cmp(c, CG_NE, v, cg_zero(c, cg_type(c, v)));
	if (!is_int)
		return from_float(k, to, v, saturate, round);
	if (from == WQ_BOOL)
		v = cg_resize(c, v, CG_I8, false);
	return wq_dtype_is_int(to) ? narrow(c, to, v, sign) : from_int(k, to, v, sign, saturate, round);
}

static CgVal cast(Kg *k, const WqNode *n, CgVal *x)
{
	Cg *c = kg_cg(k);
	WqDtype from = n->in[0]->type.dtype, to = n->out[0]->type.dtype;
	bool saturate = wq_attr_i(n, "saturate") != 0;
	CgVal v = x[0];
	if (from == to)
		return v;
	if (from == WQ_C64) { /* the real part */
		v = cg_resize(c, v, CG_I32, false);
		return kg_convert(k, to, WQ_F32, cg_bitcast(c, v, cg_t(CG_F32, cg_lanes(c, v))), true, 'n');
	}
	if (to != WQ_C64)
		return kg_convert(k, to, from, v, saturate, wq_attr_s(n, "round")[0]);
	/* as the evaluator: wide integers by way of f64 */
	bool wide = wq_dtype_is_int(from) && wq_dtype(from)->bits > 32;
	v = kg_convert(k, WQ_F32, wide ? WQ_F64 : from, wide ? kg_convert(k, WQ_F64, from, v, true, 'n') : v, true,
		       'n');
	return cg_resize(c, cg_bitcast(c, v, cg_t(CG_I32, cg_lanes(c, v))), CG_I64, false);
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	WqDtype from = n->in[0]->type.dtype, to = n->out[0]->type.dtype;
	return from == WQ_C128 || to == WQ_C128 ? "complex numbers of 128 bits"
	       : from == WQ_STR || to == WQ_STR ? "strings"
						: NULL;
}

const WqEmit emit_cast = { .ew = cast, .raw = true, .refuse = refuse };

static CgVal bitcast(Kg *k, const WqNode *n, CgVal *x)
{
	Cg *c = kg_cg(k);
	WqDtype from = n->in[0]->type.dtype, to = n->out[0]->type.dtype;
	int bits = wq_dtype(to)->bits;
	CgVal v = x[0];
	if (from == to)
		return v;
	if (from == WQ_BOOL)
		v = cg_resize(c, v, CG_I8, false);
	if (to == WQ_BOOL)
		return cg_cmp(c, CG_NE, v, cg_zero(c, cg_type(c, v)));
	if (bits < 8)
		return extend(c, v, bits, wq_dtype(to)->cls == 'I');
	return cg_bitcast(c, v, cg_t(kg_reg(to), cg_lanes(c, v)));
}

const WqEmit emit_bitcast = { .ew = bitcast, .raw = true, .refuse = refuse };
