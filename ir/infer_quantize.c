/* infer_quantize.c: shape rule of QuantizeLinear and DequantizeLinear. */
#include "ir/infer.h"

static bool one_element(const WqInfer *x, const WqType *t)
{
	return t->rank == 0 || (wq_type_static(t) && wq_type_count(x->mod, t) == 1);
}

/* Scale (or zero point): one element, one per index of the axis, or one per block along it. */
static void check_param(const WqInfer *x, const WqType *s, const char *what)
{
	const WqType *in = x->in[0];
	int64_t block = wq_attr_i(x->node, "block_size");
	if (s->rank < 0 || in->rank < 0 || one_element(x, s))
		return;
	int axis = wq_infer_axis(x, wq_attr_i(x->node, "axis"), in->rank);
	if (block < 0)
		wq_infer_fail(x, "block_size=%lld", (long long)block);
	if (block == 0) {
		WqDim want = in->dim[axis];
		if (s->rank != 1 || (s->dim[0] >= 0 && want >= 0 && s->dim[0] != want))
			wq_infer_fail(x, "%s does not fit axis %d of %lld", what, axis, (long long)want);
		wq_infer_spreads(x, s->dim[0], want, what);
		return;
	}
	if (s->rank != in->rank)
		wq_infer_fail(x, "%s has rank %d, not %d, for blocks", what, s->rank, in->rank);
	for (int i = 0; i < in->rank; i++) {
		WqDim want = i == axis ? wq_dim_ceildiv(x->mod, in->dim[i], block) : in->dim[i];
		if (want >= 0 && s->dim[i] >= 0 && want != s->dim[i])
			wq_infer_fail(x, "%s has %lld blocks along axis %d, not %lld", what, (long long)s->dim[i], i,
				      (long long)want);
		wq_infer_equal(x, s->dim[i], want, what);
	}
}

void infer_quantize(WqInfer *x)
{
	for (int i = 1; i < 3; i++) {
		const char *what = i == 1 ? "the scale" : "the zero point";
		if (i >= x->n_in || !x->in[i])
			continue;
		if (x->in[i]->kind != WQ_TENSOR)
			wq_infer_fail(x, "%s is not a tensor", what);
		check_param(x, x->in[i], what);
	}
	x->out[0] = *x->in[0];
	x->out[0].dtype = wq_infer_dtype_attr(x, "to");
}
