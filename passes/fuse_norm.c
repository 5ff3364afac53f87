/* fuse_norm.c: LayerNormalization and RMSNormalization from their parts.
 *
 * Before: m = ReduceMean(x, [-1])  d = Sub(x, m)  v = ReduceMean(Pow(d, 2), [-1])  y = Div(d, Sqrt(Add(v, eps)))
 *         z = Add(Mul(y, scale), bias)
 * After:  z = LayerNormalization{axis, epsilon}(x, scale, bias)
 *
 * RMSNormalization is the same without the mean. Squares as powers or products; division by a root, or
 * multiplication by its reciprocal or by a power of -1/2; the mean over the last axis or the last several; with or
 * without epsilon, scale, bias. A scale or bias joins if it has exactly the normalised axes (after axes of 1). A
 * norm computed in f32 between casts from and to half precision becomes one in half precision, which computes in
 * f32 by itself.
 * Keeps: results to rounding.
 */
#include "passes/match.h"

/* mean(v^2) + epsilon over axes $b, then its root or inverse root */
#define SQUARE(v) "Mul!(" v ", " v ") | Pow!(" v ", 2)"
#define MEAN(v) "ReduceMean!{keepdims=1}(" SQUARE(v) ", $b)"
#define VARIANCE(v) "Add!(" MEAN(v) ", $eps) | " MEAN(v)
#define ROOT(v) "Sqrt!(" VARIANCE(v) ") | Pow!(" VARIANCE(v) ", 0.5)"
#define INVERSE(v) "Div!(1, " ROOT(v) ") | Pow!(" VARIANCE(v) ", -0.5) | Sqrt!(Div!(1, " VARIANCE(v) "))"
#define CENTRED "d=Sub!(x, ReduceMean!{keepdims=1}(x, $a))"

/* The first of the axes, if they are the last ones of x without a gap; else -1. */
static int first_axis(const WqMatch *x, const WqValue *axes, int rank)
{
	int n;
	const int64_t *v;
	bool flag[WQ_MAX_RANK] = { 0 };
	if (rank < 1 || !wq_value_const_i64s(axes, &n, &v, wq_m_arena(x)) || n < 1 || n > rank)
		return -1;
	for (int i = 0; i < n; i++)
		flag[v[i] < 0 ? v[i] + rank : v[i]] = true;
	for (int d = rank - n; d < rank; d++)
		if (!flag[d])
			return -1;
	return rank - n;
}

static WqValue *normalise(WqMatch *x, WqOp op)
{
	WqValue *v = wq_m(x, "x");
	double eps = 0;
	int axis = first_axis(x, wq_m(x, "b"), v->type.rank);
	if (axis < 0 || (wq_m(x, "eps") && (!wq_m_num(x, "eps", &eps) || eps < 0)))
		return NULL;
	if (op == OP_LayerNormalization && first_axis(x, wq_m(x, "a"), v->type.rank) != axis)
		return NULL;
	WqNode *n = wq_m_node(x, op, 1, &v);
	wq_set_i(n, "axis", axis);
	wq_set_f(n, "epsilon", eps);
	return wq_node_value(n, wq_m_root(x));
}

static WqValue *layer_norm(WqMatch *x) { return normalise(x, OP_LayerNormalization); }
static WqValue *rms_norm(WqMatch *x) { return normalise(x, OP_RMSNormalization); }

/* ---- scale and bias -------------------------------------------------------------------------- */

/* v with the shape of the normalised axes alone, or NULL if it does not have it. */
static WqValue *fitted(WqMatch *x, WqValue *v, const WqType *t, int axis)
{
	int n = t->rank - axis, extra = v->type.rank - n;
	if (extra < 0 || v->type.dtype != t->dtype)
		return NULL;
	for (int d = 0; d < v->type.rank; d++)
		if (v->type.dim[d] != (d < extra ? 1 : t->dim[axis + d - extra]))
			return NULL;
	if (!extra)
		return v;
	WqValue *in[] = { v, wq_dims_before(wq_m_root(x), n, t->dim + axis) };
	WqNode *r = wq_m_node(x, OP_Reshape, 2, in);
	wq_set_i(r, "allowzero", 1);
	return wq_node_value(r, wq_m_root(x));
}

static WqValue *join(WqMatch *x, int operand)
{
	WqNode *norm = wq_m(x, "n")->def;
	WqValue *v = norm->in[0], *in[3] = { v, norm->n_in > 1 ? norm->in[1] : NULL, NULL };
	int axis = wq_axis_of(norm, v->type.rank);
	in[operand] = axis < 0 ? NULL : fitted(x, wq_m(x, "s"), &v->type, axis);
	if (!in[operand])
		return NULL;
	WqNode *n = wq_m_node(x, norm->op, operand + 1, in);
	wq_attr_copy(n, norm);
	return wq_node_value(n, wq_m_root(x));
}

static WqValue *add_scale(WqMatch *x) { return join(x, 1); }
static WqValue *add_bias(WqMatch *x) { return join(x, 2); }

/* ---- half precision -------------------------------------------------------------------------- */

static bool through_f32(WqMatch *x)
{
	WqDtype t = wq_m(x, "x")->type.dtype;
	return (t == WQ_F16 || t == WQ_BF16) && wq_m(x, "n")->type.dtype == WQ_F32 &&
	       wq_m_root(x)->out[0]->type.dtype == t;
}

static const WqRule rules[] = {
	{ "Div(" CENTRED ", " ROOT("d") ")", .make = layer_norm },
	{ "Mul(" CENTRED ", " INVERSE("d") ")", .make = layer_norm },
	{ "Div(x, " ROOT("x") ")", .make = rms_norm },
	{ "Mul(x, " INVERSE("x") ")", .make = rms_norm },
	{ "Mul(n=LayerNormalization!(_), s)", .make = add_scale },
	{ "Add(n=LayerNormalization!(_), s)", .make = add_bias },
	{ "Add(n=LayerNormalization!(_, _), s)", .make = add_bias },
	{ "Mul(n=RMSNormalization!(_), s)", .make = add_scale },
	{ "Cast(n=LayerNormalization!(Cast(x)))", "LayerNormalization{*n}(x)", through_f32 },
	{ "Cast(n=RMSNormalization!(Cast(x)))", "RMSNormalization{*n}(x)", through_f32 },
};

int pass_fuse_norm(WqModule *m, const WqPassRun *r) { return wq_rewrite(m, r, rules, WQ_COUNTOF(rules)); }
