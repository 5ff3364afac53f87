/* lower_vision.c: Resize, Upsample, sampling on grids, boxes, CenterCropPad. */
#include "frontend/lower.h"

/* ---- Resize, Upsample ------------------------------------------------------------------------ */

typedef struct Resized {
	const char *mode, *coordinate, *nearest; /* the core operator's names */
	WqValue *roi, *scales, *sizes;
} Resized;

static void one_of(Lower *L, const char *attr, const char *s, int n, const char *const *names)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(s, names[i]))
			return;
	lo_bad(L, "%s is '%s'", attr, s);
}

static WqNode *resize_node(Lower *L, WqValue *x, const Resized *r)
{
	WqNode *n = lo_node(L, OP_Resize, 4, x, r->roi, r->scales, r->sizes);

	wq_set_s(n, "mode", r->mode);
	wq_set_s(n, "coordinate", r->coordinate);
	if (!strcmp(r->mode, "nearest"))
		wq_set_s(n, "nearest", r->nearest);
	return n;
}

static WqValue *floats(Lower *L, int n, const float *v)
{
	int64_t dim = n;
	WqTensor *t = wq_tensor_new(L->m, WQ_F32, 1, &dim);

	memcpy(t->data, v, (size_t)n * sizeof *v);
	return wq_const(L->g, NULL, t);
}

static bool all_ones(const WqValue *v)
{
	double s;

	return wq_value_const_f(v, &s) && s == 1;
}

/* Before version 11: places are x / scale, and the nearest element is below, or above along axes that shrink. */
static WqValue *resize_old(Lower *L, WqValue *x, WqValue *scales, bool nearest)
{
	Resized r = {
		.mode = nearest ? "nearest" : "linear", .coordinate = "asymmetric", .nearest = "floor", .scales = scales
	};

	if (!nearest)
		return lo_result(L, resize_node(L, x, &r));
	r.scales = lo2(L, OP_Max, scales, lo_scalar(L, WQ_F32, 1));
	if (!all_ones(r.scales))
		x = lo_result(L, resize_node(L, x, &r));
	r.scales = lo2(L, OP_Min, scales, lo_scalar(L, WQ_F32, 1));
	r.nearest = "ceil";
	return all_ones(r.scales) ? x : lo_result(L, resize_node(L, x, &r));
}

static bool is_nearest(Lower *L)
{
	const char *mode = lo_s(L, "mode", "nearest");
	static const char *const linear[] = { "linear", "bilinear", "trilinear" };

	if (!strcmp(mode, "nearest"))
		return true;
	one_of(L, "mode", mode, WQ_COUNTOF(linear), linear);
	return false;
}

void lower_Upsample(Lower *L)
{
	WqValue *x = lo_need(L, 0), *scales;
	int rank = lo_rank(L, x), n = rank;
	float v[WQ_MAX_RANK];
	const float *given = v;

	if (L->version >= 9) {
		scales = lo_cast(L, lo_need(L, 1), WQ_F32);
	} else {
		for (int i = 0; i < rank; i++)
			v[i] = 1;
		if (L->version < 7 && rank == 4) {
			v[2] = (float)lo_f(L, "height_scale", 1);
			v[3] = (float)lo_f(L, "width_scale", 1);
		} else
			given = lo_floats(L, "scales", &n);
		if (n != rank)
			lo_bad(L, "%d scales for rank %d", n, rank);
		scales = floats(L, rank, given);
	}
	lo_out(L, 0, resize_old(L, x, scales, is_nearest(L)));
}

/* An operand that is absent, or empty, which is how version 11 spells it. */
static WqValue *present(Lower *L, int i, WqDtype t)
{
	WqValue *v = lo_in(L, i);

	if (!v || (lo_rank(L, v) == 1 && lo_dim(L, v, 0) == 0))
		return NULL;
	return lo_cast(L, v, t);
}

static void resize_modes(Lower *L, Resized *r)
{
	static const char *const modes[] = { "nearest", "linear", "cubic" };
	static const char *const coordinates[] = { "half_pixel",          "half_pixel_symmetric", "pytorch_half_pixel",
						   "align_corners",       "asymmetric",           "tf_crop_and_resize",
						   "tf_half_pixel_for_nn" };
	static const char *const nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };

	r->mode = lo_s(L, "mode", "nearest");
	r->coordinate = lo_s(L, "coordinate_transformation_mode", "half_pixel");
	r->nearest = lo_s(L, "nearest_mode", "round_prefer_floor");
	one_of(L, "mode", r->mode, WQ_COUNTOF(modes), modes);
	one_of(L, "nearest_mode", r->nearest, WQ_COUNTOF(nearest), nearest);
	one_of(L, "coordinate_transformation_mode", r->coordinate, WQ_COUNTOF(coordinates), coordinates);
}

static void resize_axes(Lower *L, WqNode *n, int rank)
{
	static const char *const policies[] = { "stretch", "not_larger", "not_smaller" };
	const char *policy = lo_s(L, "keep_aspect_ratio_policy", "stretch");
	int count;
	const int64_t *axes = lo_ints(L, "axes", &count);
	int64_t v[WQ_MAX_RANK];

	one_of(L, "keep_aspect_ratio_policy", policy, WQ_COUNTOF(policies), policies);
	wq_set_s(n, "keep_aspect_ratio_policy", policy);
	if (count > rank)
		lo_bad(L, "%d axes for rank %d", count, rank);
	for (int i = 0; i < count; i++)
		v[i] = lo_axis(L, axes[i], rank);
	if (count)
		wq_set_ints(n, "axes", count, v);
}

void lower_Resize(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	Resized r;

	if (L->version < 11) {
		lo_out(L, 0, resize_old(L, x, lo_cast(L, lo_need(L, 1), WQ_F32), is_nearest(L)));
		return;
	}
	resize_modes(L, &r);
	r.scales = present(L, 2, WQ_F32);
	r.sizes = present(L, 3, WQ_I64);
	r.roi = strcmp(r.coordinate, "tf_crop_and_resize") ? NULL : present(L, 1, WQ_F32);
	if (!r.scales == !r.sizes)
		lo_bad(L, "one of scales and sizes must be given");
	WqNode *n = resize_node(L, x, &r);
	if (!strcmp(r.mode, "cubic"))
		wq_set_f(n, "cubic_coeff_a", lo_f(L, "cubic_coeff_a", -0.75));
	wq_set_i(n, "exclude_outside", lo_i(L, "exclude_outside", 0) != 0);
	wq_set_f(n, "extrapolation_value", lo_f(L, "extrapolation_value", 0));
	wq_set_i(n, "antialias", lo_i(L, "antialias", 0) != 0);
	resize_axes(L, n, lo_rank(L, x));
	lo_out(L, 0, lo_result(L, n));
}

/* ---- grids ----------------------------------------------------------------------------------- */

void lower_GridSample(Lower *L)
{
	static const char *const modes[] = { "linear", "nearest", "cubic" }, *const paddings[] = { "zeros", "border",
												   "reflection" };
	const char *mode = lo_s(L, "mode", L->version < 20 ? "bilinear" : "linear");
	const char *padding = lo_s(L, "padding_mode", "zeros");

	if (!strcmp(mode, "bilinear"))
		mode = "linear";
	else if (!strcmp(mode, "bicubic"))
		mode = "cubic";
	one_of(L, "mode", mode, WQ_COUNTOF(modes), modes);
	one_of(L, "padding_mode", padding, WQ_COUNTOF(paddings), paddings);
	WqNode *n = lo_node(L, OP_GridSample, 2, lo_need(L, 0), lo_need(L, 1));
	wq_set_s(n, "mode", mode);
	wq_set_s(n, "padding_mode", padding);
	wq_set_i(n, "align_corners", lo_i(L, "align_corners", 0) != 0);
	lo_out(L, 0, lo_result(L, n));
}

/* Places along an axis of n elements, from -1 to 1: the elements' centres, or (corners) with the first and last at the
 * ends. */
static WqValue *places(Lower *L, WqValue *n, bool corners, WqDtype t)
{
	WqValue *i = lo3(L, OP_Range, lo_scalar(L, WQ_I64, 0), n, lo_scalar(L, WQ_I64, 1)), *steps = lo_cast(L, n, t);

	i = lo_cast(L, i, t);
	if (corners) {
		steps = lo2(L, OP_Max, lo2(L, OP_Sub, steps, lo_scalar(L, t, 1)), lo_scalar(L, t, 1));
		i = lo2(L, OP_Mul, i, lo_scalar(L, t, 2));
	} else
		i = lo2(L, OP_Add, lo2(L, OP_Mul, i, lo_scalar(L, t, 2)), lo_scalar(L, t, 1));
	return lo2(L, OP_Sub, lo2(L, OP_Div, i, steps), lo_scalar(L, t, 1));
}

/* theta [N,k,k+1] times (x, y, .., 1) at every place: a sum over the axes, the innermost of which is x. */
void lower_AffineGrid(Lower *L)
{
	WqValue *theta = lo_need(L, 0), *size = lo_cast(L, lo_need(L, 1), WQ_I64), *y;
	bool corners = lo_i(L, "align_corners", 0) != 0;
	WqDim n = lo_dim(L, theta, 0), k = lo_rank(L, size) == 1 ? lo_dim(L, size, 0) : 0;
	WqDtype t = lo_type_of(theta);

	if (!wq_dim_static(k) || lo_rank(L, theta) != 3)
		lo_unsupported(L, "the number of spatial axes is not known, or theta is no batch of matrices");
	k -= 2;
	if ((k != 2 && k != 3) || (wq_dim_static(lo_dim(L, theta, 1)) && lo_dim(L, theta, 1) != k))
		lo_bad(L, "size must have 4 or 5 elements, and theta be of shape [N,2,3] or [N,3,4]");
	WqDim column[WQ_MAX_RANK] = { n, 1, 1, k, k };
	if (k == 3)
		column[3] = 1;
	y = lo_reshape(L, lo_slice(L, theta, 2, k, k + 1, 1), (int)k + 2, column);
	for (int d = 0; d < k; d++) {
		WqValue *count = lo2(L, OP_Gather, size, lo_scalar(L, WQ_I64, (double)(2 + d)));
		WqDim shape[WQ_MAX_RANK] = { 1, 1, 1, 1, 1 };
		WqValue *at = places(L, count, corners, t), *by = lo_slice(L, theta, 2, k - 1 - d, k - d, 1);
		shape[1 + d] = lo_dim(L, at, 0);
		at = lo_reshape(L, at, (int)k + 2, shape);
		y = lo2(L, OP_Add, y, lo2(L, OP_Mul, at, lo_reshape(L, by, (int)k + 2, column)));
	}
	lo_out(L, 0, y);
}

/* ---- boxes ----------------------------------------------------------------------------------- */

static WqValue *limit(Lower *L, int i, WqDtype t) /* an optional scalar, also written as [1] */
{
	WqValue *v = lo_in(L, i);

	return v ? lo_reshape(L, lo_cast(L, v, t), 1, (WqDim[]){ 1 }) : NULL;
}

void lower_NonMaxSuppression(Lower *L)
{
	WqNode *n = lo_node(L, OP_NonMaxSuppression, 5, lo_need(L, 0), lo_need(L, 1), limit(L, 2, WQ_I64),
			    limit(L, 3, WQ_F32), limit(L, 4, WQ_F32));

	wq_set_i(n, "center_point_box", lo_i(L, "center_point_box", 0) != 0);
	lo_out(L, 0, lo_result(L, n));
}

/* ---- CenterCropPad --------------------------------------------------------------------------- */

static WqValue *halved(Lower *L, WqValue *v) { return lo2(L, OP_Div, v, lo_scalar(L, WQ_I64, 2)); }

static WqValue *not_negative(Lower *L, WqValue *v) { return lo2(L, OP_Max, v, lo_scalar(L, WQ_I64, 0)); }

/* The odd element that is cut or added stands at the end. */
void lower_CenterCropPad(Lower *L)
{
	WqValue *x = lo_need(L, 0), *want = lo_cast(L, lo_need(L, 1), WQ_I64);
	int rank = lo_rank(L, x), n;
	const int64_t *given = lo_ints(L, "axes", &n);
	int64_t axes[WQ_MAX_RANK];
	WqDim dims[WQ_MAX_RANK];

	if (n > rank)
		lo_bad(L, "%d axes for rank %d", n, rank);
	if (!given)
		n = rank;
	for (int i = 0; i < n; i++) {
		axes[i] = given ? lo_axis(L, given[i], rank) : i;
		dims[i] = lo_dim(L, x, (int)axes[i]);
	}
	if (n == 0) {
		lo_out(L, 0, x);
		return;
	}
	WqValue *have = wq_dims(L->g, n, dims), *which = lo_i64s(L, n, axes);
	WqDim count = n;
	WqValue *begin = not_negative(L, halved(L, lo2(L, OP_Sub, have, want)));
	WqValue *end = lo2(L, OP_Add, begin, lo2(L, OP_Min, have, want));
	WqValue *ones = lo_expand(L, lo_scalar(L, WQ_I64, 1), 1, &count);
	WqValue *y = lo_result(L, lo_node(L, OP_Slice, 5, x, begin, end, which, ones));
	WqValue *more = not_negative(L, lo2(L, OP_Sub, want, have)), *before = halved(L, more);
	WqValue *pads = lo_concat(L, 0, 2, (WqValue *[]){ before, lo2(L, OP_Sub, more, before) });
	lo_out(L, 0, lo_result(L, lo_node(L, OP_Pad, 4, y, pads, NULL, which)));
}
