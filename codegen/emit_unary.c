/* emit_unary.c: one operand, one result of the same shape. */
#include "codegen/kernel.h"

#include <math.h>

static CgVal number(Cg *c, CgVal x, double v)
{
	CgType t = cg_type(c, x);
	return cg_is_float(t.kind) ? cg_float(c, t, v) : cg_int(c, t, (int64_t)v);
}

static CgVal positive(Cg *c, CgVal x, bool is_unsigned)
{
	return cg_cmp(c, is_unsigned ? CG_NE : CG_GT, x, number(c, x, 0));
}

static CgVal sign(Cg *c, CgVal x, bool is_unsigned)
{
	CgVal zero = number(c, x, 0), rest = zero;
	if (cg_is_float(cg_type(c, x).kind)) /* NaN stays, -0 becomes 0 */
		rest = cg_select(c, cg_cmp(c, CG_EQ, x, zero), zero, x);
	if (!is_unsigned)
		rest = cg_select(c, cg_cmp(c, CG_LT, x, zero), number(c, x, -1), rest);
	return cg_select(c, positive(c, x, is_unsigned), number(c, x, 1), rest);
}

static CgVal relu(Cg *c, CgVal x, bool is_unsigned)
{
	CgVal zero = number(c, x, 0);
	return is_unsigned ? x : cg_select(c, cg_cmp(c, CG_LT, x, zero), zero, x);
}

/* x P(Z < x). Below `least` the product would be of subnormals, or of 0 and infinity. */
static CgVal gelu(Cg *c, CgVal x)
{
	bool wide = cg_type(c, x).kind == CG_F64;
	CgVal tail = cg_normal_tail(c, cg_abs(c, x)), zero = number(c, x, 0);
	CgVal p = cg_select(c, cg_cmp(c, CG_LT, x, zero), tail, cg_sub(c, number(c, x, 1), tail));
	CgVal far = cg_cmp(c, CG_LT, x, number(c, x, wide ? -40 : -14.5));
	return cg_select(c, far, wide ? number(c, x, -0.0) : cg_mul(c, x, zero), cg_mul(c, x, p));
}

/* (1 + tanh z) / 2 is sigmoid(2z), which keeps the negative tail. */
static CgVal gelu_tanh(Cg *c, CgVal x)
{
	CgVal cube = cg_mul(c, cg_mul(c, cg_mul(c, number(c, x, 0.044715), x), x), x);
	CgVal z = cg_mul(c, number(c, x, 2 * 0.79788456080286535588), cg_add(c, x, cube));
	CgVal far = cg_cmp(c, CG_LT, x, number(c, x, -1e6)); /* the cube may be infinite */
	return cg_select(c, far, number(c, x, -0.0), cg_mul(c, x, cg_sigmoid(c, z)));
}

static CgVal swish(Cg *c, CgVal x, double alpha)
{
	CgVal z = alpha == 1 ? x : cg_mul(c, number(c, x, alpha), x);
	return cg_mul(c, x, cg_sigmoid(c, z));
}

static CgVal unary(Kg *k, const WqNode *n, CgVal *in)
{
	static CgVal (*const fn[WQ_NUM_OPS])(Cg *, CgVal) = {
		[OP_Neg] = cg_neg,         [OP_Floor] = cg_floor, [OP_Ceil] = cg_ceil,      [OP_Round] = cg_rint,
		[OP_Sqrt] = cg_sqrt,       [OP_Exp] = cg_exp,     [OP_Log] = cg_log,        [OP_Sin] = cg_sin,
		[OP_Cos] = cg_cos,         [OP_Tan] = cg_tan,     [OP_Asin] = cg_asin,      [OP_Acos] = cg_acos,
		[OP_Atan] = cg_atan,       [OP_Sinh] = cg_sinh,   [OP_Cosh] = cg_cosh,      [OP_Tanh] = cg_tanh,
		[OP_Asinh] = cg_asinh,     [OP_Acosh] = cg_acosh, [OP_Atanh] = cg_atanh,    [OP_Erf] = cg_erf,
		[OP_Sigmoid] = cg_sigmoid, [OP_Not] = cg_not,     [OP_BitwiseNot] = cg_not,
	};
	Cg *c = kg_cg(k);
	CgVal x = in[0];
	bool is_unsigned = wq_dtype(n->in[0]->type.dtype)->cls == 'U';
	switch (n->op) {
	case OP_Abs:
		return is_unsigned ? x : cg_abs(c, x);
	case OP_Sign:
		return sign(c, x, is_unsigned);
	case OP_Relu:
		return relu(c, x, is_unsigned);
	case OP_Gelu:
		return strcmp(wq_attr_s(n, "approximate"), "tanh") ? gelu(c, x) : gelu_tanh(c, x);
	case OP_Swish:
		return swish(c, x, wq_attr_f(n, "alpha"));
	default:
		return fn[n->op](c, x);
	}
}

const WqEmit emit_unary = { .ew = unary };

/* ---- IsNaN, IsInf ------------------------------------------------------------------------------ */

static CgVal test(Kg *k, const WqNode *n, CgVal *in)
{
	Cg *c = kg_cg(k);
	CgVal x = in[0], yes = cg_zero(c, cg_t(CG_I1, cg_lanes(c, x)));
	if (n->op == OP_IsNaN)
		return cg_cmp(c, CG_UNO, x, x);
	if (wq_attr_i(n, "detect_positive"))
		yes = cg_or(c, yes, cg_cmp(c, CG_EQ, x, number(c, x, INFINITY)));
	if (wq_attr_i(n, "detect_negative"))
		yes = cg_or(c, yes, cg_cmp(c, CG_EQ, x, number(c, x, -INFINITY)));
	return yes;
}

const WqEmit emit_test = { .ew = test };
