/* infer_sample.c: shape rules of sampling, boxes and random numbers. */
#include <math.h>

#include "ir/infer.h"

/* ---- Resize ---------------------------------------------------------------------------------- */

typedef struct Axes {
	int n, axis[WQ_MAX_RANK];
} Axes;

static Axes resize_axes(const WqInfer *x)
{
	Axes a = {0};
	int n, rank = x->in[0]->rank;
	const int64_t *v = wq_attr_ints(x->node, "axes", &n);
	unsigned seen = 0;
	if (n > rank)
		wq_infer_fail(x, "%d axes for rank %d", n, rank);
	a.n = n ? n : rank;
	for (int i = 0; i < a.n; i++) {
		a.axis[i] = n ? wq_infer_axis(x, v[i], rank) : i;
		if (seen >> a.axis[i] & 1)
			wq_infer_fail(x, "axis %d twice", a.axis[i]);
		seen |= 1u << a.axis[i];
	}
	return a;
}

/* A symbolic dim times a scale that is a whole number or one over it. */
static WqDim scaled_dim(const WqInfer *x, WqDim dim, double s)
{
	if (wq_dim_static(dim)) {
		double v = floor(s * (double)dim);
		if (!(v >= 0 && v < 0x1p53))
			wq_infer_fail(x, "a scale of %g", s);
		return (WqDim)v;
	}
	if (s >= 1 && s < 65536 && s == floor(s))
		return wq_dim_mul(x->mod, dim, (WqDim)s);
	if (s > 0 && s < 1 && 1 / s == floor(1 / s) && 1 / s < 65536)
		return wq_dim_floordiv(x->mod, dim, (WqDim)(1 / s));
	return WQ_DIM_UNKNOWN;
}

static void sizes_by_policy(WqInfer *x, const Axes *a, bool larger)
{
	double scale = 0;
	for (int i = 0; i < a->n; i++) {
		int64_t v, dim = x->in[0]->dim[a->axis[i]];
		WqDim d;
		if (!wq_dim_static(dim) || !wq_infer_int(x, 3, i, &v, &d))
			return;
		double s = (double)v / (double)dim;
		scale = i == 0 || (larger ? s > scale : s < scale) ? s : scale;
	}
	for (int i = 0; i < a->n; i++) {
		double v = floor(scale * (double)x->in[0]->dim[a->axis[i]] + 0.5);
		if (!(v >= 0 && v < 0x1p53))
			wq_infer_fail(x, "a scale of %g", scale);
		x->out[0].dim[a->axis[i]] = (WqDim)v;
	}
}

void infer_resize(WqInfer *x)
{
	const WqType *in = x->in[0];
	wq_infer_unknown(x, 0, in->dtype, in->rank);
	if (in->rank < 0)
		return;
	Axes a = resize_axes(x);
	for (int i = 0; i < in->rank; i++)
		x->out[0].dim[i] = in->dim[i];
	for (int i = 0; i < a.n; i++)
		x->out[0].dim[a.axis[i]] = WQ_DIM_UNKNOWN;
	int64_t n_scale = wq_infer_len(x, 2), n_size = wq_infer_len(x, 3);
	if ((n_scale > 0 && n_scale != a.n) || (n_size > 0 && n_size != a.n))
		wq_infer_fail(x, "%lld scales or sizes for %d axes", (long long)(n_scale > 0 ? n_scale : n_size), a.n);
	if (n_scale == 0 && n_size == 0 && a.n > 0)
		wq_infer_fail(x, "neither scales nor sizes");
	if (n_scale && x->val[2]) {
		for (int i = 0; i < a.n; i++) {
			int k = a.axis[i];
			x->out[0].dim[k] = scaled_dim(x, in->dim[k], wq_tensor_get_f(x->val[2], i));
		}
		return;
	}
	if (n_scale || n_size <= 0)
		return;
	const char *policy = wq_attr_s(x->node, "keep_aspect_ratio_policy");
	if (strcmp(policy, "stretch")) {
		sizes_by_policy(x, &a, !strcmp(policy, "not_smaller"));
		return;
	}
	for (int i = 0; i < a.n; i++) {
		int64_t v;
		WqDim d;
		if (wq_infer_int(x, 3, i, &v, &d)) {
			if (v < 0)
				wq_infer_fail(x, "a size of %lld", (long long)v);
			d = v;
		}
		x->out[0].dim[a.axis[i]] = d;
	}
}

/* ---- GridSample, boxes ----------------------------------------------------------------------- */

void infer_grid_sample(WqInfer *x)
{
	const WqType *in = x->in[0], *grid = x->in[1];
	int rank = in->rank >= 0 ? in->rank : grid->rank;
	if (in->rank >= 0 && grid->rank >= 0 && in->rank != grid->rank)
		wq_infer_fail(x, "the operand has rank %d, the grid %d", in->rank, grid->rank);
	if (rank >= 0 && rank < 3)
		wq_infer_fail(x, "rank %d", rank);
	wq_infer_unknown(x, 0, in->dtype, rank);
	if (grid->rank >= 0) {
		WqDim k = grid->dim[rank - 1];
		if (k >= 0 && k != rank - 2)
			wq_infer_fail(x, "%lld coordinates for %d spatial axes", (long long)k, rank - 2);
		for (int i = 2; i < rank; i++)
			x->out[0].dim[i] = grid->dim[i - 1];
	}
	if (in->rank >= 0) {
		x->out[0].dim[0] = in->dim[0];
		x->out[0].dim[1] = in->dim[1];
		if (grid->rank >= 0)
			wq_infer_equal(x, in->dim[0], grid->dim[0], "images and grids");
	}
}

static void boxes(WqInfer *x, int64_t width, int64_t h, int64_t w)
{
	const WqType *in = x->in[0], *roi = x->in[1];
	if ((in->rank >= 0 && in->rank != 4) || (roi->rank >= 0 && roi->rank != 2))
		wq_infer_fail(x, "the operand should have rank 4, the boxes rank 2");
	if (roi->rank == 2)
		wq_infer_equal(x, roi->dim[1], width, "the numbers of a box");
	if (h < 1 || w < 1 || h > INT32_MAX || w > INT32_MAX)
		wq_infer_fail(x, "a result of %lld x %lld", (long long)h, (long long)w);
	wq_infer_unknown(x, 0, in->dtype, 4);
	WqDim *d = x->out[0].dim;
	if (roi->rank == 2)
		d[0] = roi->dim[0];
	if (in->rank == 4)
		d[1] = in->dim[1];
	d[2] = h;
	d[3] = w;
}

void infer_roi_align(WqInfer *x)
{
	boxes(x, 4, wq_attr_i(x->node, "output_height"), wq_attr_i(x->node, "output_width"));
	if (x->in[2]->rank > 1)
		wq_infer_fail(x, "batch indices should be a vector");
	if (x->in[2]->rank == 1 && x->in[1]->rank == 2) {
		wq_infer_equal(x, x->in[2]->dim[0], x->in[1]->dim[0], "batch indices and boxes");
	}
}

void infer_max_roi_pool(WqInfer *x)
{
	int n;
	const int64_t *shape = wq_attr_ints(x->node, "pooled_shape", &n);
	if (n != 2)
		wq_infer_fail(x, "pooled_shape has %d entries, not 2", n);
	boxes(x, 5, shape[0], shape[1]);
}

void infer_nms(WqInfer *x)
{
	const WqType *b = x->in[0], *s = x->in[1];
	if ((b->rank >= 0 && b->rank != 3) || (s->rank >= 0 && s->rank != 3))
		wq_infer_fail(x, "boxes and scores should have rank 3");
	if (b->rank == 3)
		wq_infer_equal(x, b->dim[2], 4, "the numbers of a box");
	if (b->rank == 3 && s->rank == 3) {
		wq_infer_equal(x, b->dim[0], s->dim[0], "boxes and scores disagree");
		wq_infer_equal(x, b->dim[1], s->dim[2], "boxes and scores disagree");
	}
	wq_infer_unknown(x, 0, WQ_I64, 2);
	x->out[0].dim[1] = 3;
	if (s->rank == 3) {
		x->has_hi = true;
		x->hi = wq_type_count(x->mod, s);
	}
}

static void need_squares(const WqInfer *x)
{
	const WqType *in = x->in[0];
	if (in->rank < 0)
		return;
	if (in->rank < 2)
		wq_infer_fail(x, "the operand is not made of square matrices");
	wq_infer_equal(x, in->dim[in->rank - 2], in->dim[in->rank - 1], "the operand is not made of square matrices");
}

void infer_det(WqInfer *x)
{
	need_squares(x);
	x->out[0] = *x->in[0];
	if (x->out[0].rank >= 0)
		x->out[0].rank -= 2;
}

void infer_inverse(WqInfer *x)
{
	need_squares(x);
	x->out[0] = *x->in[0];
}

void infer_random(WqInfer *x)
{
	int64_t n = wq_infer_len(x, 0), v;
	WqDim d;
	WqDtype t = wq_infer_dtype_attr(x, "dtype");
	if (!wq_dtype_in(t, WQ_M_FLOAT))
		wq_infer_fail(x, "random numbers of %s", wq_dtype(t)->text);
	wq_infer_unknown(x, 0, t, n > WQ_MAX_RANK ? WQ_MAX_RANK + 1 : (int)n);
	for (int64_t i = 0; i < n; i++) {
		if (wq_infer_int(x, 0, i, &v, &d)) {
			if (v < 0)
				wq_infer_fail(x, "dimension %lld", (long long)v);
			d = v;
		}
		x->out[0].dim[i] = d;
	}
}
