/* emit_binary.c: two operands with broadcasting, and Pow. What integers do at the edges is told in docs/ir.md. */
#include "codegen/kernel.h"

#include <math.h>

static bool is_unsigned(const WqValue *v) { return wq_dtype(v->type.dtype)->cls == 'U'; }

static CgVal zero_of(Cg *c, CgVal x) { return cg_zero(c, cg_type(c, x)); }

static CgVal less(Cg *c, CgVal a, CgVal b, bool uns)
{
	return cg_cmp(c, uns && !cg_is_float(cg_type(c, a).kind) ? CG_ULT : CG_LT, a, b);
}

/* The smaller, or the larger: a where a wins or is NaN. */
static CgVal extreme(Cg *c, CgVal a, CgVal b, bool max, bool uns)
{
	CgVal first = max ? less(c, b, a, uns) : less(c, a, b, uns);
	if (cg_is_float(cg_type(c, a).kind))
		first = cg_or(c, first, cg_cmp(c, CG_UNO, a, a));
	return cg_select(c, first, a, b);
}

/* ---- integer division: by 0 gives 0, the least number by -1 itself; remainders of both are 0 --------- */

/* The divisor without those two: 1 in their place. */
static CgVal safe(Cg *c, CgVal b, bool uns, CgVal *zero, CgVal *minus)
{
	CgType t = cg_type(c, b);
	*zero = cg_cmp(c, CG_EQ, b, cg_zero(c, t));
	*minus = uns ? NULL : cg_cmp(c, CG_EQ, b, cg_int(c, t, -1));
	return cg_select(c, uns ? *zero : cg_or(c, *zero, *minus), cg_int(c, t, 1), b);
}

static CgVal int_div(Cg *c, CgVal a, CgVal b, bool uns)
{
	CgVal zero, minus, d = safe(c, b, uns, &zero, &minus);
	CgVal q = uns ? cg_udiv(c, a, d) : cg_sdiv(c, a, d);
	if (!uns)
		q = cg_select(c, minus, cg_neg(c, a), q);
	return cg_select(c, zero, zero_of(c, q), q);
}

static CgVal int_rem(Cg *c, CgVal a, CgVal b, bool uns)
{
	CgVal zero, minus, d = safe(c, b, uns, &zero, &minus);
	return uns ? cg_urem(c, a, d) : cg_srem(c, a, d);
}

static CgVal int_mod(Cg *c, CgVal a, CgVal b, bool uns)
{
	CgVal r = int_rem(c, a, b, uns), zero = zero_of(c, r);
	if (uns)
		return r;
	CgVal differ = cg_cmp(c, CG_LT, cg_xor(c, r, b), zero);
	return cg_select(c, cg_and(c, differ, cg_cmp(c, CG_NE, r, zero)), cg_add(c, r, b), r);
}

/* The remainder with the divisor's sign, a zero too. */
static CgVal float_mod(Cg *c, CgVal a, CgVal b)
{
	CgVal r = cg_fmod(c, a, b), zero = zero_of(c, r);
	CgVal differ = cg_xor(c, cg_cmp(c, CG_LT, r, zero), cg_cmp(c, CG_LT, b, zero));
	CgKind bits = cg_type(c, r).kind == CG_F64 ? CG_I64 : CG_I32;
	CgType t = cg_t(bits, cg_lanes(c, b));
	CgVal sign = cg_and(c, cg_bitcast(c, b, t), cg_int(c, t, bits == CG_I64 ? INT64_MIN : INT32_MIN));
	CgVal is_zero = cg_cmp(c, CG_EQ, r, zero);
	CgVal other = cg_select(c, differ, cg_add(c, r, b), r);
	return cg_select(c, is_zero, cg_bitcast(c, sign, cg_t(cg_type(c, r).kind, cg_lanes(c, b))), other);
}

static CgVal modulo(Cg *c, const WqNode *n, CgVal a, CgVal b, bool uns)
{
	bool dividend = wq_attr_i(n, "fmod") != 0;
	if (cg_is_float(cg_type(c, a).kind))
		return dividend ? cg_fmod(c, a, b) : float_mod(c, a, b);
	return dividend ? int_rem(c, a, b, uns) : int_mod(c, a, b, uns);
}

static CgVal shift(Cg *c, CgVal a, CgVal b, bool left)
{
	CgType t = cg_type(c, b);
	CgVal fits = cg_cmp(c, CG_ULT, b, cg_int(c, t, (int64_t)cg_kind_bytes(c, t.kind) * 8));
	CgVal by = cg_select(c, fits, b, cg_zero(c, t));
	CgVal r = left ? cg_shl(c, a, by) : cg_lshr(c, a, by);
	return cg_select(c, fits, r, zero_of(c, r));
}

static CgVal binary(Kg *k, const WqNode *n, CgVal *x)
{
	Cg *c = kg_cg(k);
	CgVal a = x[0], b = x[1];
	bool uns = is_unsigned(n->in[0]);
	switch (n->op) {
	case OP_Add:
		return cg_add(c, a, b);
	case OP_Sub:
		return cg_sub(c, a, b);
	case OP_Mul:
		return cg_mul(c, a, b);
	case OP_Div:
		return cg_is_float(cg_type(c, a).kind) ? cg_fdiv(c, a, b) : int_div(c, a, b, uns);
	case OP_Mod:
		return modulo(c, n, a, b, uns);
	case OP_Min:
		return extreme(c, a, b, false, uns);
	case OP_Max:
		return extreme(c, a, b, true, uns);
	case OP_And:
	case OP_BitwiseAnd:
		return cg_and(c, a, b);
	case OP_Or:
	case OP_BitwiseOr:
		return cg_or(c, a, b);
	case OP_Xor:
	case OP_BitwiseXor:
		return cg_xor(c, a, b);
	case OP_BitShift:
		return shift(c, a, b, wq_attr_i(n, "left") != 0);
	default:
		WQ_BUG("no code for %s", wq_op(n->op)->name);
	}
}

const WqEmit emit_binary = { .ew = binary };

/* ---- Pow ------------------------------------------------------------------------------------------ */

/* a^n by squaring, in a's width: what is above it does not matter. */
static CgVal int_pow(Cg *c, CgVal a, bool a_uns, CgVal b, bool b_uns)
{
	int lanes = cg_lanes(c, a) > cg_lanes(c, b) ? cg_lanes(c, a) : cg_lanes(c, b);
	CgVal base = cg_splat(c, a, lanes), n = cg_splat(c, b, lanes);
	CgType ta = cg_type(c, base), tb = cg_type(c, n);
	CgVal one = cg_int(c, ta, 1), none = cg_zero(c, tb), least = cg_int(c, tb, 1);
	CgVal negative = b_uns ? NULL : cg_cmp(c, CG_LT, n, none);
	CgVar r = cg_var(c, one), p = cg_var(c, base), left = cg_var(c, b_uns ? n : cg_select(c, negative, none, n));
	cg_while(c);
	CgVal l = cg_get(c, left), more = cg_cmp(c, CG_NE, l, none);
	cg_break_if(c, cg_not(c, cg_any(c, more)));
	CgVal odd = cg_cmp(c, CG_NE, cg_and(c, l, least), none), square = cg_get(c, p);
	cg_set(c, r, cg_select(c, odd, cg_mul(c, cg_get(c, r), square), cg_get(c, r)));
	cg_set(c, p, cg_mul(c, square, square));
	cg_set(c, left, cg_lshr(c, l, least));
	cg_end(c);
	if (b_uns)
		return cg_get(c, r);
	CgVal tiny = cg_select(c, cg_cmp(c, CG_EQ, base, one), one, cg_zero(c, ta));
	if (!a_uns) {
		CgVal minus = cg_int(c, ta, -1), odd_n = cg_cmp(c, CG_NE, cg_and(c, n, least), none);
		tiny = cg_select(c, cg_cmp(c, CG_EQ, base, minus), cg_select(c, odd_n, minus, one), tiny);
	}
	return cg_select(c, negative, tiny, cg_get(c, r));
}

/* The exponents that networks use; NULL: another one. */
static CgVal special_pow(Cg *c, CgVal a, double b)
{
	CgType t = cg_type(c, a);
	if (b == 1)
		return a;
	if (b == 2)
		return cg_mul(c, a, a);
	if (b == 3)
		return cg_mul(c, cg_mul(c, a, a), a);
	if (b == -1)
		return cg_fdiv(c, cg_float(c, t, 1), a);
	if (b != 0.5)
		return NULL;
	CgVal root = cg_sqrt(c, cg_add(c, a, cg_zero(c, t))); /* of -0: 0 */
	return cg_select(c, cg_cmp(c, CG_EQ, a, cg_float(c, t, -INFINITY)), cg_float(c, t, INFINITY), root);
}

/* x, of type t in arithmetic form, as f32 or f64. */
static CgVal working(Kg *k, WqDtype work, WqDtype t, CgVal x)
{
	return wq_dtype_is_float(t) ? cg_fcast(kg_cg(k), x, kg_reg(work)) : kg_convert(k, work, t, x, true, 'n');
}

static CgVal power(Kg *k, const WqNode *n, CgVal *x)
{
	Cg *c = kg_cg(k);
	WqDtype a = n->in[0]->type.dtype, b = n->in[1]->type.dtype;
	double e = 0;
	bool fixed = wq_value_const_f(n->in[1], &e);
	if (wq_dtype_is_int(a) && wq_dtype_is_int(b))
		return int_pow(c, x[0], is_unsigned(n->in[0]), x[1], is_unsigned(n->in[1]));
	bool narrow = wq_dtype_is_float(b) ? b != WQ_F64 : wq_dtype_size(b) < 4;
	bool wide = !wq_dtype_is_float(a) || a == WQ_F64 || !(narrow || (fixed && (double)(float)e == e));
	WqDtype work = wide ? WQ_F64 : WQ_F32;
	CgVal base = working(k, work, a, x[0]), r = fixed ? special_pow(c, base, e) : NULL;
	if (!r)
		r = cg_pow(c, base, working(k, work, b, x[1]));
	if (wq_dtype_is_int(a))
		return kg_convert(k, a, work, r, true, 'n');
	return a == WQ_F32 ? cg_fcast(c, r, CG_F32) : r; /* halves are rounded once, from either */
}

static const char *refuse_pow(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return wq_dtype_in(n->in[1]->type.dtype, WQ_M_NUM) ? NULL : "an exponent that is no number";
}

const WqEmit emit_pow = { .ew = power, .refuse = refuse_pow };
