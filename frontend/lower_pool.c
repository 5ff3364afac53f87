/* lower_pool.c: pooling over windows, over the whole image and over regions; unpooling; space and depth. */
#include "frontend/lower_window.h"

/* ---- windows --------------------------------------------------------------------------------- */

WqNode *lo_pool(Lower *L, WqOp op, WqValue *x)
{
	LoWindow win = lo_window(L, x, NULL);

	lo_window_resolve(L, &win, x);
	WqNode *n = lo_node(L, op, 1, x);
	lo_window_set(n, &win, true);
	if (lo_i(L, "ceil_mode", 0))
		wq_set_i(n, "ceil_mode", 1);
	return n;
}

void lower_MaxPool(Lower *L)
{
	WqNode *n = lo_pool(L, OP_MaxPool, lo_need(L, 0));

	if (!lo_wants(L, 1)) {
		lo_out(L, 0, lo_result(L, n));
		return;
	}
	if (lo_i(L, "storage_order", 0))
		wq_set_i(n, "column_major", 1);
	wq_node_finish(n, 2, NULL);
	lo_out(L, 0, n->out[0]);
	lo_out(L, 1, n->out[1]);
}

void lower_AveragePool(Lower *L)
{
	WqNode *n = lo_pool(L, OP_AveragePool, lo_need(L, 0));

	if (lo_i(L, "count_include_pad", 0))
		wq_set_i(n, "count_include_pad", 1);
	lo_out(L, 0, lo_result(L, n));
}

WqValue *lo_move_channels(Lower *L, WqValue *x, bool last)
{
	int rank = lo_rank(L, x);
	int64_t perm[WQ_MAX_RANK] = { 0 };

	for (int i = 1; i < rank; i++)
		perm[i] = last ? (i + 1 < rank ? i + 1 : 1) : (i > 1 ? i - 1 : rank - 1);
	return lo_transpose(L, x, rank, perm);
}

void lower_ms_NhwcMaxPool(Lower *L)
{
	WqValue *x = lo_need(L, 0);

	if (lo_rank(L, x) < 3)
		lo_bad(L, "the input has rank %d, at least 3 is needed", lo_rank(L, x));
	WqNode *n = lo_pool(L, OP_MaxPool, lo_move_channels(L, x, false));
	lo_out(L, 0, lo_move_channels(L, lo_result(L, n), true));
}

/* ---- p norms --------------------------------------------------------------------------------- */

static double norm_order(Lower *L)
{
	double p = L->version == 1 ? lo_f(L, "p", 2) : (double)lo_i(L, "p", 2);

	if (!(p > 0))
		lo_bad(L, "p is %g", p);
	return p;
}

static WqValue *power(Lower *L, WqValue *x, double p)
{
	if (p == 1)
		return lo1(L, OP_Abs, x);
	if (p == 2)
		return lo2(L, OP_Mul, x, x);
	return lo2(L, OP_Pow, lo1(L, OP_Abs, x), lo_like(L, x, p));
}

static WqValue *root(Lower *L, WqValue *x, double p)
{
	if (p == 1)
		return x;
	return p == 2 ? lo1(L, OP_Sqrt, x) : lo2(L, OP_Pow, x, lo_like(L, x, 1 / p));
}

static WqValue *ones(Lower *L, WqDtype t, int rank, const int64_t *dim)
{
	WqTensor *w = wq_tensor_new(L->m, t, rank, dim);

	for (int64_t i = 0, n = wq_tensor_count(w); i < n; i++)
		wq_tensor_set_f(w, i, 1);
	return wq_const(L->g, NULL, w);
}

/* ceil_mode: as if the end were padded by stride - 1 more, but no window may begin in the padding at the end. */
static WqValue *without_late_windows(Lower *L, WqValue *y, const LoWindow *win, WqValue *x)
{
	for (int i = 0; i < win->n; i++) {
		WqDim begun = wq_dim_add(L->m, lo_dim(L, x, 2 + i), wq_dim_const(L->m, win->pad[i]));
		WqDim most = wq_dim_ceildiv(L->m, begun, wq_dim_const(L->m, win->stride[i]));
		WqDim have = lo_dim(L, y, 2 + i), keep = wq_dim_min(L->m, have, most);
		if (keep != have)
			y = lo_slice(L, y, 2 + i, 0, keep, 1);
	}
	return y;
}

enum { MAX_WINDOW = 1 << 22 }; /* the ones are a constant of the model */

/* The sum of |x|^p over a window is a convolution with ones, of images that have one channel each. */
void lower_LpPool(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	LoWindow win = lo_window(L, x, NULL);
	double p = norm_order(L);
	WqDim shape[WQ_MAX_RANK];
	int64_t kernel[WQ_MAX_RANK] = { 1, 1 };
	bool ceil = lo_i(L, "ceil_mode", 0) && !win.same;

	lo_window_resolve(L, &win, x);
	memcpy(kernel + 2, win.kernel, (size_t)win.n * sizeof *kernel);
	for (int i = 0; i < win.n; i++) {
		shape[2 + i] = lo_dim(L, x, 2 + i);
		if (ceil)
			win.pad[win.n + i] += win.stride[i] - 1;
	}
	shape[0] = wq_dim_mul(L->m, lo_dim(L, x, 0), lo_dim(L, x, 1));
	shape[1] = 1;
	if (wq_shape_count(win.n + 2, kernel, "LpPool's kernel") > MAX_WINDOW)
		lo_unsupported(L, "a window of more than %d elements", MAX_WINDOW);
	WqValue *images = lo_reshape(L, power(L, x, p), win.n + 2, shape);
	WqNode *n = lo_node(L, OP_Conv, 2, images, ones(L, lo_type_of(x), win.n + 2, kernel));
	lo_window_set(n, &win, false);
	WqValue *y = lo_result(L, n);
	if (ceil)
		y = without_late_windows(L, y, &win, x);
	for (int i = 0; i < win.n + 2; i++)
		shape[i] = lo_dim(L, i < 2 ? x : y, i);
	lo_out(L, 0, root(L, lo_reshape(L, y, win.n + 2, shape), p));
}

/* ---- the whole image ------------------------------------------------------------------------- */

static WqValue *over_image(Lower *L, WqOp op, WqValue *x)
{
	int64_t axes[WQ_MAX_RANK];
	int n = lo_rank(L, x) - 2;

	if (n < 1)
		lo_bad(L, "the input has rank %d, at least 3 is needed", n + 2);
	for (int i = 0; i < n; i++)
		axes[i] = 2 + i;
	return lo_reduce(L, op, x, n, axes, true);
}

void lower_GlobalAveragePool(Lower *L) { lo_out(L, 0, over_image(L, OP_ReduceMean, lo_need(L, 0))); }

void lower_GlobalMaxPool(Lower *L) { lo_out(L, 0, over_image(L, OP_ReduceMax, lo_need(L, 0))); }

void lower_GlobalLpPool(Lower *L)
{
	double p = norm_order(L);

	lo_out(L, 0, root(L, over_image(L, OP_ReduceSum, power(L, lo_need(L, 0), p)), p));
}

/* ---- MaxUnpool ------------------------------------------------------------------------------- */

/* The size that the pooled image had if every window fits: (in - 1)*stride + kernel - pads. */
static WqValue *unpooled_shape(Lower *L, WqValue *x, const LoWindow *win)
{
	WqDim d[WQ_MAX_RANK] = { lo_dim(L, x, 0), lo_dim(L, x, 1) };

	for (int i = 0; i < win->n; i++) {
		WqDim steps = wq_dim_sub(L->m, lo_dim(L, x, 2 + i), wq_dim_const(L->m, 1));
		int64_t rest = win->kernel[i] - win->pad[i] - win->pad[win->n + i];
		d[2 + i] = wq_dim_add(L->m, wq_dim_mul(L->m, steps, wq_dim_const(L->m, win->stride[i])),
				      wq_dim_const(L->m, rest));
		if (wq_dim_hi(L->m, d[2 + i]) < 0)
			lo_bad(L, "the unpooled size of axis %d is negative", 2 + i);
	}
	return wq_dims(L->g, win->n + 2, d);
}

/* Indices count elements of the inferred shape. A larger output_shape adds zeros at the end of each axis. */
void lower_MaxUnpool(Lower *L)
{
	WqValue *x = lo_need(L, 0), *all = lo_i64(L, -1), *zero = lo_like(L, x, 0);
	LoWindow win = lo_window(L, x, NULL);
	WqValue *shape = unpooled_shape(L, x, &win), *want = lo_in(L, 2);
	WqValue *count = lo_reduce(L, OP_ReduceProd, shape, 1, (int64_t[]){ 0 }, true);
	WqValue *flat = lo2(L, OP_Expand, zero, count);
	WqValue *at = lo2(L, OP_Reshape, lo_need(L, 1), all);
	WqValue *y = lo3(L, OP_ScatterElements, flat, at, lo2(L, OP_Reshape, x, all));

	y = lo2(L, OP_Reshape, y, shape);
	if (want) {
		WqDim n = win.n + 2;
		WqValue *more = lo2(L, OP_Sub, lo_cast(L, want, WQ_I64), shape);
		WqValue *begins = lo_expand(L, lo_scalar(L, WQ_I64, 0), 1, &n);
		y = lo3(L, OP_Pad, y, lo_concat(L, 0, 2, (WqValue *[]){ begins, more }), zero);
	}
	lo_out(L, 0, y);
}

/* ---- regions --------------------------------------------------------------------------------- */

static void positive(Lower *L, const char *attr, int64_t v)
{
	if (v < 1 || v > INT32_MAX)
		lo_bad(L, "%s is %lld", attr, (long long)v);
}

void lower_MaxRoiPool(Lower *L)
{
	int n;
	const int64_t *shape = lo_ints(L, "pooled_shape", &n);

	if (n != 2)
		lo_bad(L, "pooled_shape must have 2 elements");
	positive(L, "pooled_shape", shape[0]);
	positive(L, "pooled_shape", shape[1]);
	WqNode *roi = lo_node(L, OP_MaxRoiPool, 2, lo_need(L, 0), lo_need(L, 1));
	wq_set_ints(roi, "pooled_shape", 2, shape);
	wq_set_f(roi, "spatial_scale", lo_f(L, "spatial_scale", 1));
	lo_out(L, 0, lo_result(L, roi));
}

void lower_RoiAlign(Lower *L)
{
	int64_t h = lo_i(L, "output_height", 1), w = lo_i(L, "output_width", 1), ratio = lo_i(L, "sampling_ratio", 0);
	const char *mode = lo_s(L, "mode", "avg");
	/* before version 16 regions were never shifted by half a pixel */
	const char *coordinate =
		lo_s(L, "coordinate_transformation_mode", L->version < 16 ? "output_half_pixel" : "half_pixel");
	bool half = !strcmp(coordinate, "half_pixel");

	positive(L, "output_height", h);
	positive(L, "output_width", w);
	if (ratio < 0 || ratio > INT32_MAX)
		lo_bad(L, "sampling_ratio is %lld", (long long)ratio);
	if (strcmp(mode, "avg") && strcmp(mode, "max"))
		lo_bad(L, "mode is '%s'", mode);
	if (!half && strcmp(coordinate, "output_half_pixel"))
		lo_bad(L, "coordinate_transformation_mode is '%s'", coordinate);
	WqNode *n = lo_node(L, OP_RoiAlign, 3, lo_need(L, 0), lo_need(L, 1), lo_need(L, 2));
	wq_set_s(n, "mode", mode);
	wq_set_i(n, "output_height", h);
	wq_set_i(n, "output_width", w);
	wq_set_i(n, "sampling_ratio", ratio);
	wq_set_f(n, "spatial_scale", lo_f(L, "spatial_scale", 1));
	wq_set_i(n, "half_pixel", half);
	lo_out(L, 0, lo_result(L, n));
}

/* ---- space and depth ------------------------------------------------------------------------- */

static int64_t block_size(Lower *L)
{
	int64_t b = lo_i(L, "blocksize", 0);

	if (b < 1 || b > INT32_MAX)
		lo_bad(L, "blocksize is %lld", (long long)b);
	if (lo_rank(L, lo_need(L, 0)) != 4)
		lo_bad(L, "the input has rank %d, 4 is needed", lo_rank(L, lo_in(L, 0)));
	return b;
}

static WqDim divided(Lower *L, WqDim d, int64_t by, const char *what)
{
	if (wq_dim_static(d) && d % by)
		lo_bad(L, "%s is %lld, not a multiple of %lld", what, (long long)d, (long long)by);
	return wq_dim_floordiv(L->m, d, wq_dim_const(L->m, by));
}

static WqDim times(Lower *L, WqDim d, int64_t by) { return wq_dim_mul(L->m, d, wq_dim_const(L->m, by)); }

void lower_DepthToSpace(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int64_t b = block_size(L);
	const char *mode = lo_s(L, "mode", "DCR");
	bool crd = !strcmp(mode, "CRD");
	WqDim n = lo_dim(L, x, 0), h = lo_dim(L, x, 2), w = lo_dim(L, x, 3);
	WqDim c = divided(L, lo_dim(L, x, 1), b * b, "the number of channels");

	if (!crd && strcmp(mode, "DCR"))
		lo_bad(L, "mode is '%s'", mode);
	WqDim dcr_split[] = { n, b, b, c, h, w }, crd_split[] = { n, c, b, b, h, w };
	WqValue *y = lo_reshape(L, x, 6, crd ? crd_split : dcr_split);
	y = lo_transpose(L, y, 6, crd ? (int64_t[]){ 0, 1, 4, 2, 5, 3 } : (int64_t[]){ 0, 3, 4, 1, 5, 2 });
	lo_out(L, 0, lo_reshape(L, y, 4, (WqDim[]){ n, c, times(L, h, b), times(L, w, b) }));
}

void lower_SpaceToDepth(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int64_t b = block_size(L);
	WqDim n = lo_dim(L, x, 0), c = lo_dim(L, x, 1);
	WqDim h = divided(L, lo_dim(L, x, 2), b, "the height"), w = divided(L, lo_dim(L, x, 3), b, "the width");
	WqValue *y = lo_reshape(L, x, 6, (WqDim[]){ n, c, h, b, w, b });

	y = lo_transpose(L, y, 6, (int64_t[]){ 0, 3, 5, 1, 2, 4 });
	lo_out(L, 0, lo_reshape(L, y, 4, (WqDim[]){ n, times(L, c, b * b), h, w }));
}
