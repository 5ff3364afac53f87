/* fuse_softmax.c: Softmax from its parts.
 *
 * Before: m = ReduceMax(x, [a])  d = Sub(x, m)  e = Exp(d)  s = ReduceSum(e, [a])  y = Div(e, s)
 * After:  y = Softmax{axis=a}(x)
 *
 * Also without the maximum (where the result is finite, it is the same; where exp overflows, Softmax does not),
 * with the sum's reciprocal, and with reductions that drop the axis and a Reshape that puts it back. One axis.
 * Keeps: results to rounding.
 */
#include "passes/match.h"

/* The one axis of constant axes; -1 if there is another number of them. */
static int axis_of(const WqValue *axes, int rank)
{
	if (wq_tensor_count(axes->data) != 1 || rank < 0)
		return -1;
	int64_t a = wq_tensor_get_i(axes->data, 0);
	a += a < 0 ? rank : 0;
	return a >= 0 && a < rank ? (int)a : -1;
}

/* Has `sum` the shape of x with 1 at the axis? (A Reshape could have made anything of it.) */
static bool kept(const WqType *sum, const WqType *x, int axis)
{
	if (sum->rank != x->rank)
		return false;
	for (int d = 0; d < x->rank; d++)
		if (sum->dim[d] != (d == axis ? 1 : x->dim[d]))
			return false;
	return true;
}

static WqValue *softmax(WqMatch *x, bool has_max)
{
	WqValue *v = wq_m(x, "x");
	int axis = axis_of(wq_m(x, "b"), v->type.rank);
	if (axis < 0 || !kept(&wq_m(x, "s")->type, &v->type, axis))
		return NULL;
	if (has_max && (axis_of(wq_m(x, "a"), v->type.rank) != axis || !kept(&wq_m(x, "m")->type, &v->type, axis)))
		return NULL;
	WqNode *n = wq_m_node(x, OP_Softmax, 1, &v);
	wq_set_i(n, "axis", axis);
	return wq_node_value(n, wq_m_root(x));
}

static WqValue *stable(WqMatch *x) { return softmax(x, true); }
static WqValue *plain(WqMatch *x) { return softmax(x, false); }

#define SUM "s=ReduceSum!{keepdims=1}(e, $b) | s=Reshape!(ReduceSum!{keepdims=0}(e, $b), _)"
#define STABLE "e=Exp!(Sub!(x, m=ReduceMax!{keepdims=1}(x, $a) | m=Reshape!(ReduceMax!{keepdims=0}(x, $a), _)))"

static const WqRule rules[] = {
	{ "Div(" STABLE ", " SUM ")", .make = stable },
	{ "Mul(" STABLE ", Div!(1, " SUM "))", .make = stable },
	{ "Div(e=Exp!(x), " SUM ")", .make = plain },
	{ "Mul(e=Exp!(x), Div!(1, " SUM "))", .make = plain },
};

int pass_fuse_softmax(WqModule *m, const WqPassRun *r) { return wq_rewrite(m, r, rules, WQ_COUNTOF(rules)); }
