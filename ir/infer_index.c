/* infer_index.c: shape rules of operators that pick elements: gathers, TopK, NonZero, Unique; and of Range. */
#include "ir/infer.h"

/* ---- Gather and its kin ---------------------------------------------------------------------- */

static void gather_elements(WqInfer *x)
{
	int64_t n, v;
	WqDim d;
	WqDim *s = x->in[0]->rank == 1 && wq_dim_static(x->in[0]->dim[0]) ? wq_infer_room(x, &n) : NULL;
	if (!s)
		return;
	for (int64_t i = 0; i < n; i++) {
		if (!wq_infer_int(x, 1, i, &v, &d))
			return;
		v += v < 0 ? x->in[0]->dim[0] : 0;
		if (v < 0 || v >= x->in[0]->dim[0] || !wq_infer_known(x, 0, v, &s[i]))
			return;
	}
	x->out_sym = s;
}

void infer_gather(WqInfer *x)
{
	const WqType *in = x->in[0], *idx = x->in[1];
	wq_infer_unknown(x, 0, in->dtype, in->rank < 0 || idx->rank < 0 ? -1 : in->rank + idx->rank - 1);
	if (in->rank == 0)
		wq_infer_fail(x, "the operand is a scalar");
	if (x->out[0].rank < 0)
		return;
	int axis = wq_infer_axis(x, wq_attr_i(x->node, "axis"), in->rank), k = 0;
	for (int i = 0; i < axis; i++)
		x->out[0].dim[k++] = in->dim[i];
	for (int i = 0; i < idx->rank; i++)
		x->out[0].dim[k++] = idx->dim[i];
	for (int i = axis + 1; i < in->rank; i++)
		x->out[0].dim[k++] = in->dim[i];
	gather_elements(x);
}

void infer_gather_elements(WqInfer *x)
{
	const WqType *in = x->in[0], *idx = x->in[1];
	if (in->rank >= 0 && idx->rank >= 0 && in->rank != idx->rank)
		wq_infer_fail(x, "operand of rank %d, indices of rank %d", in->rank, idx->rank);
	if (in->rank >= 0)
		wq_infer_axis(x, wq_attr_i(x->node, "axis"), in->rank);
	x->out[0] = *idx;
	x->out[0].dtype = in->dtype;
}

void infer_gather_nd(WqInfer *x)
{
	const WqType *in = x->in[0], *idx = x->in[1];
	int64_t batch = wq_attr_i(x->node, "batch_dims");
	if (batch < 0 || (idx->rank >= 0 && batch >= idx->rank) || (in->rank >= 0 && batch >= in->rank))
		wq_infer_fail(x, "batch_dims=%lld", (long long)batch);
	if (in->rank < 0 || idx->rank < 0 || !wq_dim_static(idx->dim[idx->rank - 1])) {
		wq_infer_unknown(x, 0, in->dtype, -1);
		return;
	}
	int64_t depth = idx->dim[idx->rank - 1];
	if (depth > in->rank - batch)
		wq_infer_fail(x, "indices of %lld entries for rank %d", (long long)depth, in->rank);
	int k = idx->rank - 1;
	wq_infer_unknown(x, 0, in->dtype, k + in->rank - (int)(batch + depth));
	for (int i = 0; i < k; i++)
		x->out[0].dim[i] = idx->dim[i];
	for (int i = (int)(batch + depth); i < in->rank; i++)
		x->out[0].dim[k++] = in->dim[i];
}

/* ---- TopK, NonZero, Unique, Range ------------------------------------------------------------ */

void infer_top_k(WqInfer *x)
{
	const WqType *in = x->in[0];
	WqType out = *in;
	int64_t v;
	WqDim k;
	if (in->rank == 0)
		wq_infer_fail(x, "the operand is a scalar");
	if (in->rank >= 0) {
		int axis = wq_infer_axis(x, wq_attr_i(x->node, "axis"), in->rank);
		if (wq_infer_int(x, 1, 0, &v, &k)) {
			if (v < 0 || (in->dim[axis] >= 0 && v > in->dim[axis]))
				wq_infer_fail(x, "k=%lld of %lld elements", (long long)v, (long long)in->dim[axis]);
			k = v;
		} else if (x->running) {
			wq_infer_fail(x, "k has no elements");
		} else if (k != WQ_DIM_UNKNOWN && wq_dim_lo(x->mod, k) < 0) {
			k = WQ_DIM_UNKNOWN;
		}
		out.dim[axis] = k;
		x->has_hi = true;
		x->hi = in->dim[axis];
	}
	x->out[0] = out;
	if (x->n_out > 1) {
		x->out[1] = out;
		x->out[1].dtype = WQ_I64;
	}
}

void infer_non_zero(WqInfer *x)
{
	const WqType *in = x->in[0];
	wq_infer_unknown(x, 0, WQ_I64, 2);
	if (in->rank < 0)
		return;
	x->out[0].dim[0] = in->rank ? in->rank : 1;
	x->has_hi = true;
	x->hi = wq_type_count(x->mod, in);
}

void infer_unique(WqInfer *x)
{
	const WqType *in = x->in[0];
	bool flat = wq_attr_i(x->node, "flat") != 0;
	WqDim line = in->rank < 0 ? WQ_DIM_UNKNOWN : wq_type_count(x->mod, in);
	wq_infer_unknown(x, 0, in->dtype, flat ? 1 : in->rank);
	if (!flat && in->rank >= 0) {
		int axis = wq_infer_axis(x, wq_attr_i(x->node, "axis"), in->rank);
		x->out[0] = *in;
		x->out[0].dim[axis] = WQ_DIM_UNKNOWN;
		line = in->dim[axis];
	}
	for (int i = 1; i < x->n_out; i++)
		wq_infer_unknown(x, i, WQ_I64, 1);
	if (x->n_out > 2)
		x->out[2].dim[0] = line;
	x->has_hi = in->rank >= 0;
	x->hi = line;
}

static WqDim range_count_float(const WqInfer *x)
{
	double v[3];
	for (int i = 0; i < 3; i++) {
		if (!x->val[i] || wq_tensor_count(x->val[i]) != 1)
			return WQ_DIM_UNKNOWN;
		v[i] = wq_tensor_get_f(x->val[i], 0);
	}
	if (v[2] == 0)
		wq_infer_fail(x, "a step of 0");
	double n = (v[1] - v[0]) / v[2];
	if (!(n < 1e15))
		wq_infer_fail(x, "from %g to %g by %g", v[0], v[1], v[2]);
	int64_t k = n <= 0 ? 0 : (int64_t)n;
	return n > (double)k ? k + 1 : k;
}

static WqDim range_count_int(const WqInfer *x)
{
	int64_t v[3];
	WqDim d[3];
	bool num = true;
	for (int i = 0; i < 3; i++)
		if (wq_infer_int(x, i, 0, &v[i], &d[i])) {
			d[i] = v[i] > WQ_DIM_INF || v[i] < -WQ_DIM_INF || x->running ? WQ_DIM_UNKNOWN
										     : wq_dim_const(x->mod, v[i]);
			if (i == 2 && v[2] == 0)
				wq_infer_fail(x, "a step of 0");
		} else {
			num = false;
		}
	if (num) {
		bool wide = x->in[0]->dtype == WQ_U64;
		__int128 a = wide ? (__int128)(uint64_t)v[0] : v[0], b = wide ? (__int128)(uint64_t)v[1] : v[1];
		__int128 s = wide ? (__int128)(uint64_t)v[2] : v[2], span = s < 0 ? a - b : b - a, mag = s < 0 ? -s : s;
		__int128 n = span <= 0 ? 0 : (span - 1) / mag + 1;
		if (n > WQ_DIM_INF)
			wq_infer_fail(x, "from %lld to %lld by %lld", (long long)v[0], (long long)v[1],
				      (long long)v[2]);
		return (WqDim)n;
	}
	WqModule *m = x->mod;
	if (d[0] == WQ_DIM_UNKNOWN || d[1] == WQ_DIM_UNKNOWN || d[2] == WQ_DIM_UNKNOWN)
		return WQ_DIM_UNKNOWN;
	if (wq_dim_lo(m, d[2]) > 0)
		return wq_dim_max(m, wq_dim_ceildiv(m, wq_dim_sub(m, d[1], d[0]), d[2]), 0);
	if (wq_dim_hi(m, d[2]) < 0)
		return wq_dim_max(m, wq_dim_ceildiv(m, wq_dim_sub(m, d[0], d[1]), wq_dim_sub(m, 0, d[2])), 0);
	return WQ_DIM_UNKNOWN;
}

void infer_range(WqInfer *x)
{
	WqDtype t = x->in[0]->dtype;
	for (int i = 0; i < 3; i++)
		if (wq_type_static(x->in[i]) && wq_type_count(x->mod, x->in[i]) != 1)
			wq_infer_fail(x, "operand %d is not a scalar", i);
	WqDim n = wq_dtype_is_float(t) ? range_count_float(x) : range_count_int(x), start, step;
	int64_t k;
	x->out[0] = wq_type_tensor(t, 1, &n);
	WqDim *s = wq_infer_room(x, &k);
	if (!s || !wq_infer_known(x, 0, 0, &start) || !wq_infer_known(x, 2, 0, &step))
		return;
	for (int64_t i = 0; i < k; i++) {
		s[i] = wq_dim_add(x->mod, start, wq_dim_mul(x->mod, step, i));
		if (s[i] == WQ_DIM_UNKNOWN)
			return;
	}
	x->out_sym = s;
}
