/* infer_nn.c: shape rules of products, windows and attention. */
#include "ir/infer.h"
#include "ir/window.h"

static void unranked(WqInfer *x) { x->out[0] = wq_type_tensor(x->in[0]->dtype, -1, NULL); }

/* ---- MatMul --------------------------------------------------------------------------------------- */

void infer_matmul(WqInfer *x)
{
	const WqType *a = x->in[0], *b = x->in[1];
	if (a->rank < 0 || b->rank < 0) {
		unranked(x);
		return;
	}
	if (a->rank == 0 || b->rank == 0)
		wq_infer_fail(x, "an operand is a scalar");
	bool row = a->rank == 1, col = b->rank == 1;
	wq_infer_equal(x, a->dim[a->rank - 1], b->dim[col ? 0 : b->rank - 2], "the summed axes differ");
	WqType ab = *a, bb = *b, out = { .rank = 0 };
	ab.rank = row ? 0 : a->rank - 2;
	bb.rank = col ? 0 : b->rank - 2;
	wq_infer_bcast_shape(x, &ab, &bb, &out);
	if (!row)
		out.dim[out.rank++] = a->dim[a->rank - 2];
	if (!col)
		out.dim[out.rank++] = b->dim[b->rank - 1];
	x->out[0] = wq_type_tensor(a->dtype, out.rank, out.dim);
}

/* ---- windows --------------------------------------------------------------------------------------- */

static bool all_known(const WqType *t, int from)
{
	for (int d = from; d < t->rank; d++)
		if (!wq_dim_static(t->dim[d]))
			return false;
	return true;
}

static WqDim num(const WqInfer *x, int64_t v) { return wq_dim_const(x->mod, v); }

/* The spatial result where a size is an expression: no checks, explicit padding or SAME. */
static WqDim window_out(const WqInfer *x, const WqWindow *w, int d, WqDim in)
{
	WqModule *m = x->mod;
	bool pool = x->node->op == OP_MaxPool || x->node->op == OP_AveragePool;
	const char *mode = x->node->op == OP_DeformConv ? "NOTSET" : wq_attr_s(x->node, "auto_pad");
	bool ceil = pool && wq_attr_i(x->node, "ceil_mode");
	WqDim stride = num(x, w->stride[d]);
	if (in == WQ_DIM_UNKNOWN)
		return in;
	if (!strncmp(mode, "SAME", 4))
		return wq_dim_ceildiv(m, in, stride);
	bool valid = !strcmp(mode, "VALID");
	int64_t begin = valid ? 0 : w->begin[d], end = valid ? 0 : w->end[d];
	WqDim room = wq_dim_add(m, in, num(x, begin + end - wq_window_extent(w, d)));
	WqDim n = wq_dim_add(m, ceil ? wq_dim_ceildiv(m, room, stride) : wq_dim_floordiv(m, room, stride), num(x, 1));
	if (ceil) { /* one window less if the last would begin in the padding at the end */
		WqDim begun = wq_dim_ceildiv(m, wq_dim_add(m, in, num(x, begin)), stride);
		if (end > wq_window_extent(w, d)) /* more than one might: all but one stay */
			begun = wq_dim_max(m, begun, wq_dim_sub(m, n, num(x, 1)));
		n = wq_dim_min(m, n, begun);
	}
	return n;
}

/* The spatial dims of out from those of x: by resolve() when all are numbers. */
static void spatial(WqInfer *x, const int64_t *kernel, WqType *out)
{
	const WqType *t = x->in[0];
	WqWindow w;
	const char *bad = wq_window_attrs(x->node, t->rank - 2, kernel, &w);
	if (bad)
		wq_infer_fail(x, "attribute %s does not fit", bad);
	out->rank = t->rank;
	if (!all_known(t, 2)) {
		for (int d = 0; d < w.n; d++)
			out->dim[2 + d] = window_out(x, &w, d, t->dim[2 + d]);
		return;
	}
	for (int d = 0; d < w.n; d++)
		w.in[d] = t->dim[2 + d];
	bad = wq_window_resolve(x->node, &w);
	if (bad)
		wq_infer_fail(x, "%s", bad);
	memcpy(out->dim + 2, w.out, (size_t)w.n * sizeof *w.out);
}

static void check_bias(const WqInfer *x, int i, WqDim channels)
{
	const WqType *b = x->n_in > i ? x->in[i] : NULL;
	if (!b || b->rank < 0)
		return;
	if (b->rank != 1)
		wq_infer_fail(x, "the bias has %d axes", b->rank);
	wq_infer_equal(x, b->dim[0], channels, "the bias does not fit the output channels");
}

/* Fails if the operands' ranks or channels don't fit; false if something is not known. */
static bool check_conv(const WqInfer *x, bool transposed)
{
	const WqType *t = x->in[0], *w = x->in[1];
	int64_t group = wq_attr_i(x->node, "group");
	if (group < 1)
		wq_infer_fail(x, "group is %lld", (long long)group);
	if (t->rank >= 0 && t->rank < 3)
		wq_infer_fail(x, "the input has %d axes; at least 3 are needed", t->rank);
	if (t->rank < 0 || w->rank < 0)
		return false;
	if (w->rank != t->rank)
		wq_infer_fail(x, "the weight has %d axes, the input %d", w->rank, t->rank);
	WqDim in = t->dim[1], first = w->dim[0], second = w->dim[1];
	wq_infer_divides(x, first, group, "channels do not divide into groups");
	if (transposed)
		wq_infer_equal(x, in, first, "the weight does not fit the input channels");
	else
		wq_infer_equal(x, in, wq_dim_static(second) ? wq_mul_checked(second, group, "channels") : wq_dim_mul(x->mod, second, group), "the weight does not fit the input channels");
	return true;
}

static void conv_shape(WqInfer *x, int bias)
{
	if (!check_conv(x, false)) {
		unranked(x);
		return;
	}
	const WqType *t = x->in[0], *w = x->in[1];
	WqType out = wq_type_tensor(t->dtype, t->rank, t->dim);
	out.dim[1] = w->dim[0];
	check_bias(x, bias, w->dim[0]);
	if (all_known(w, 2))
		spatial(x, w->dim + 2, &out);
	else
		for (int d = 2; d < t->rank; d++)
			out.dim[d] = WQ_DIM_UNKNOWN;
	x->out[0] = out;
}

void infer_conv(WqInfer *x)
{
	conv_shape(x, 2);
}

static WqDim transposed_out(const WqInfer *x, const WqWindow *w, int d, WqDim in)
{
	WqModule *m = x->mod;
	const char *mode = wq_attr_s(x->node, "auto_pad");
	int n_shape, n_extra;
	const int64_t *shape = wq_attr_ints(x->node, "output_shape", &n_shape);
	const int64_t *extra = wq_attr_ints(x->node, "output_padding", &n_extra);
	if (n_shape == w->n)
		return shape[d];
	if (in == WQ_DIM_UNKNOWN)
		return in;
	if (!strncmp(mode, "SAME", 4))
		return wq_dim_mul(m, in, num(x, w->stride[d]));
	int64_t rest = wq_window_extent(w, d) + (n_extra == w->n ? extra[d] : 0) - w->stride[d];
	if (strcmp(mode, "VALID"))
		rest -= w->begin[d] + w->end[d];
	return wq_dim_add(m, wq_dim_mul(m, in, num(x, w->stride[d])), num(x, rest));
}

void infer_conv_transpose(WqInfer *x)
{
	if (!check_conv(x, true)) {
		unranked(x);
		return;
	}
	const WqType *t = x->in[0], *wt = x->in[1];
	WqType out = wq_type_tensor(t->dtype, t->rank, t->dim);
	out.dim[1] = wq_dim_mul(x->mod, wt->dim[1], wq_attr_i(x->node, "group"));
	check_bias(x, 2, out.dim[1]);
	x->out[0] = out;
	for (int d = 2; d < t->rank; d++)
		x->out[0].dim[d] = WQ_DIM_UNKNOWN;
	if (!all_known(wt, 2))
		return;
	WqWindow w;
	const char *bad = wq_window_attrs(x->node, t->rank - 2, wt->dim + 2, &w);
	if (bad)
		wq_infer_fail(x, "attribute %s does not fit", bad);
	for (int d = 0; d < w.n; d++) {
		w.in[d] = t->dim[2 + d];
		x->out[0].dim[2 + d] = all_known(t, 2) ? 0 : transposed_out(x, &w, d, t->dim[2 + d]);
	}
	if (!all_known(t, 2))
		return;
	bad = wq_window_resolve_transposed(x->node, &w);
	if (bad)
		wq_infer_fail(x, "%s", bad);
	memcpy(x->out[0].dim + 2, w.out, (size_t)w.n * sizeof *w.out);
}

/* x, w, offset [N, offset groups * taps * axes, out...], bias, mask [N, offset groups * taps, out...] */
void infer_deform_conv(WqInfer *x)
{
	const WqType *off = x->in[2], *mask = x->n_in > 4 ? x->in[4] : NULL;
	conv_shape(x, 3);
	WqType *out = &x->out[0];
	if (out->rank < 0)
		return;
	int n = out->rank - 2;
	int64_t groups = wq_attr_i(x->node, "offset_group"), taps = 1;
	if (groups < 1)
		wq_infer_fail(x, "offset_group is %lld", (long long)groups);
	wq_infer_divides(x, x->in[0]->dim[1], groups, "channels do not divide into offset_group");
	for (int d = 0; d < n && all_known(x->in[1], 2); d++)
		taps = wq_mul_checked(taps, x->in[1]->dim[2 + d], "DeformConv's kernel");
	for (int k = 0; k < 2; k++) {
		const WqType *t = k ? mask : off;
		if (!t || t->rank < 0)
			continue;
		if (t->rank != out->rank)
			wq_infer_fail(x, "%s has %d axes", k ? "the mask" : "the offset", t->rank);
		wq_infer_equal(x, t->dim[0], out->dim[0], "the batches differ");
		if (all_known(x->in[1], 2))
			wq_infer_equal(x, t->dim[1], wq_mul_checked(taps * groups, k ? 1 : n, "DeformConv's offset"), "the offset's channels");
		for (int d = 2; d < t->rank; d++)
			wq_infer_equal(x, t->dim[d], out->dim[d], "the offset's size");
	}
}

void infer_pool(WqInfer *x)
{
	const WqType *t = x->in[0];
	unranked(x);
	if (t->rank >= 0 && t->rank < 3)
		wq_infer_fail(x, "the input has %d axes; at least 3 are needed", t->rank);
	if (t->rank >= 0) {
		x->out[0] = wq_type_tensor(t->dtype, t->rank, t->dim);
		spatial(x, NULL, &x->out[0]);
	}
	if (x->n_out > 1) {
		x->out[1] = x->out[0];
		x->out[1].dtype = WQ_I64;
	}
}

/* ---- Attention ------------------------------------------------------------------------------------------ */

static void check_heads(const WqInfer *x)
{
	const WqType *q = x->in[0], *k = x->in[1], *v = x->in[2];
	wq_infer_equal(x, q->dim[0], k->dim[0], "the batches of q and k differ");
	wq_infer_equal(x, q->dim[0], v->dim[0], "the batches of q and v differ");
	wq_infer_equal(x, k->dim[1], v->dim[1], "the heads of k and v differ");
	wq_infer_equal(x, k->dim[2], v->dim[2], "the lengths of k and v differ");
	wq_infer_equal(x, q->dim[3], k->dim[3], "the head sizes of q and k differ");
	wq_infer_divides(x, q->dim[1], k->dim[1], "the heads of q cannot share those of k");
}

/* The mask broadcasts to [B, Hq, Sq, Sk]. */
static void check_mask(const WqInfer *x, const WqType *m)
{
	if (!m || m->rank < 0)
		return;
	if (m->dtype != WQ_BOOL && m->dtype != x->in[0]->dtype)
		wq_infer_fail(x, "the mask is neither boolean nor of q's type");
	WqDim full[4] = { x->in[0]->dim[0], x->in[0]->dim[1], x->in[0]->dim[2], x->in[1]->dim[2] };
	if (m->rank > 4)
		wq_infer_fail(x, "the mask has %d axes", m->rank);
	for (int d = 0; d < m->rank; d++)
		wq_infer_spreads(x, m->dim[d], full[4 - m->rank + d], "the mask does not broadcast");
}

void infer_attention(WqInfer *x)
{
	for (int i = 0; i < 3; i++)
		if (x->in[i]->rank >= 0 && x->in[i]->rank != 4)
			wq_infer_fail(x, "operand %d has %d axes, not 4", i, x->in[i]->rank);
	const WqType *q = x->in[0], *v = x->in[2];
	if (q->rank < 0 || v->rank < 0 || x->in[1]->rank < 0) {
		unranked(x);
		return;
	}
	check_heads(x);
	check_mask(x, x->n_in > 3 ? x->in[3] : NULL);
	for (int i = 4; i < x->n_in && i < 6; i++) {
		const WqType *t = x->in[i];
		if (t && t->rank > 1)
			wq_infer_fail(x, "operand %d has %d axes", i, t->rank);
		if (t && t->rank == 1)
			wq_infer_spreads(x, t->dim[0], q->dim[0], "one number per batch");
	}
	WqDim dim[4] = { q->dim[0], q->dim[1], q->dim[2], v->dim[3] };
	x->out[0] = wq_type_tensor(q->dtype, 4, dim);
}
