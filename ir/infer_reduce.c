/* infer_reduce.c: shape rules of reductions along axes. */
#include "ir/infer.h"

/* The axes as a bit set; false when they are not known now. No axes: all of them, or none by attribute. */
static bool axes_of(const WqInfer *x, int rank, unsigned *set)
{
	int64_t n = wq_infer_len(x, 1), v;
	WqDim d;
	*set = 0;
	if (n < 0)
		return false;
	for (int64_t i = 0; i < n; i++) {
		if (!wq_infer_int(x, 1, i, &v, &d))
			return false;
		unsigned bit = 1u << wq_infer_axis(x, v, rank);
		if (*set & bit)
			wq_infer_fail(x, "axis %lld twice", (long long)v);
		*set |= bit;
	}
	if (n == 0 && !wq_attr_i(x->node, "noop_with_empty_axes"))
		*set = (1u << rank) - 1;
	return true;
}

static void drop_axes(WqInfer *x, unsigned set, bool keep)
{
	const WqType *in = x->in[0];
	WqType *out = &x->out[0];
	out->rank = 0;
	for (int i = 0; i < in->rank; i++)
		if (!(set >> i & 1))
			out->dim[out->rank++] = in->dim[i];
		else if (keep)
			out->dim[out->rank++] = 1;
}

/* Sums and products of known elements, as sizes are computed. */
static void scalar_element(WqInfer *x)
{
	const WqType *in = x->in[0], *out = &x->out[0];
	bool sum = x->node->op == OP_ReduceSum, prod = x->node->op == OP_ReduceProd;
	if (x->running || (!sum && !prod) || (in->dtype != WQ_I64 && in->dtype != WQ_I32))
		return;
	if (in->rank != 1 || !wq_dim_static(in->dim[0]) || in->dim[0] > 64 || (out->rank == 1 && out->dim[0] != 1))
		return;
	WqDim *s = WQ_NEW(x->mod->arena, WqDim), d;
	*s = sum ? 0 : 1;
	for (int64_t i = 0; i < in->dim[0]; i++) {
		if (wq_infer_elem(x, 0, i, &d) < 0)
			return;
		*s = sum ? wq_dim_add(x->mod, *s, d) : wq_dim_mul(x->mod, *s, d);
		if (*s == WQ_DIM_UNKNOWN)
			return;
	}
	x->out_sym = s;
}

void infer_reduce(WqInfer *x)
{
	const WqType *in = x->in[0];
	bool keep = wq_attr_i(x->node, "keepdims") != 0;
	unsigned set;
	wq_infer_unknown(x, 0, in->dtype, -1);
	if (in->rank < 0)
		return;
	if (axes_of(x, in->rank, &set)) {
		drop_axes(x, set, keep);
		if (set || in->rank == 0)
			scalar_element(x);
		return;
	}
	x->has_hi = true;
	x->hi = 1;
	for (int i = 0; i < in->rank; i++)
		x->hi = wq_dim_max(x->mod, x->hi, in->dim[i]);
	int64_t n = wq_infer_len(x, 1);
	if (n > in->rank)
		wq_infer_fail(x, "%lld axes for rank %d", (long long)n, in->rank);
	if (keep)
		wq_infer_unknown(x, 0, in->dtype, in->rank);
	else if (n > 0)
		wq_infer_unknown(x, 0, in->dtype, in->rank - (int)n);
}

void infer_arg_reduce(WqInfer *x)
{
	const WqType *in = x->in[0];
	wq_infer_unknown(x, 0, WQ_I64, -1);
	if (in->rank < 0)
		return;
	/* a scalar is a line of one element */
	int axis = wq_infer_axis(x, wq_attr_i(x->node, "axis"), in->rank ? in->rank : 1);
	if (in->rank && in->dim[axis] == 0)
		wq_infer_fail(x, "axis %d is empty", axis);
	drop_axes(x, 1u << axis, wq_attr_i(x->node, "keepdims") != 0);
}
