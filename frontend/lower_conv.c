/* lower_conv.c: Conv, ConvTranspose, DeformConv, Col2Im, CausalConvWithState and the fused forms.
 *
 * Padding that the operator computes (auto_pad, output_shape) becomes explicit where the sizes are known, so that the
 * rest of the compiler sees one spelling. Only what depends on a symbolic size stays an attribute of the core operator.
 */
#include "frontend/lower_window.h"

static int64_t group_of(Lower *L)
{
	int64_t group = lo_i(L, "group", 1);

	if (group < 1)
		lo_bad(L, "group is %lld", (long long)group);
	return group;
}

/* ---- Conv ------------------------------------------------------------------------------------ */

WqValue *lo_conv(Lower *L, WqValue *x, WqValue *w, WqValue *bias)
{
	x = lo_with_rank(L, x, lo_rank(L, w));
	LoWindow win = lo_window(L, x, w);

	lo_window_resolve(L, &win, x);
	WqNode *n = lo_node(L, OP_Conv, 3, x, w, bias);
	lo_window_set(n, &win, false);
	wq_set_i(n, "group", group_of(L));
	return lo_result(L, n);
}

void lower_Conv(Lower *L) { lo_out(L, 0, lo_conv(L, lo_need(L, 0), lo_need(L, 1), lo_in(L, 2))); }

static WqValue *clamp(Lower *L, WqValue *y, double lo, double hi)
{
	return lo2(L, OP_Min, lo2(L, OP_Max, y, lo_like(L, y, lo)), lo_like(L, y, hi));
}

/* The activation of the fused contrib operators; its parameters are in activation_params. */
static WqValue *fused_activation(Lower *L, WqValue *y, const char *name)
{
	int n;
	const float *p = lo_floats(L, "activation_params", &n);

	if (!*name)
		return y;
	if (!strcmp(name, "Relu"))
		return lo1(L, OP_Relu, y);
	if (!strcmp(name, "Tanh"))
		return lo1(L, OP_Tanh, y);
	if (!strcmp(name, "Sigmoid"))
		return lo1(L, OP_Sigmoid, y);
	if (!strcmp(name, "LeakyRelu")) {
		WqValue *low = lo2(L, OP_Mul, y, lo_like(L, y, n > 0 ? p[0] : 0.01f));
		return lo3(L, OP_Where, lo2(L, OP_Less, y, lo_like(L, y, 0)), low, y);
	}
	if (!strcmp(name, "Clip"))
		return clamp(L, y, n > 0 ? p[0] : -__FLT_MAX__, n > 1 ? p[1] : __FLT_MAX__);
	if (!strcmp(name, "HardSigmoid")) {
		y = lo2(L, OP_Mul, y, lo_like(L, y, n > 0 ? p[0] : 0.2f));
		return clamp(L, lo2(L, OP_Add, y, lo_like(L, y, n > 1 ? p[1] : 0.5f)), 0, 1);
	}
	lo_unsupported(L, "activation '%s'", name);
}

void lower_ms_FusedConv(Lower *L)
{
	WqValue *y = lo_conv(L, lo_need(L, 0), lo_need(L, 1), lo_in(L, 2));

	if (lo_in(L, 3))
		y = lo2(L, OP_Add, y, lo_in(L, 3));
	lo_out(L, 0, fused_activation(L, y, lo_s(L, "activation", "")));
}

/* ---- ConvTranspose --------------------------------------------------------------------------- */

/* Attribute output_shape: the spatial sizes, which exporters sometimes write after N and C. */
static const int64_t *output_shape(Lower *L, int n)
{
	int count;
	const int64_t *v = lo_ints(L, "output_shape", &count);

	return count == n + 2 ? v + 2 : lo_window_ints(L, "output_shape", n, 1);
}

/* auto_pad and output_shape as explicit pads and output_padding; false if a size that decides is symbolic. A result
 * that must grow instead of being cut grows at its end. */
static bool transposed_pads(Lower *L, LoWindow *win, WqValue *x, const int64_t *out, int64_t *output_padding)
{
	for (int i = 0; i < win->n; i++) {
		WqDim in = lo_dim(L, x, 2 + i);
		int64_t s = win->stride[i];
		if (win->kernel[i] < 0 || (out && !wq_dim_static(in)))
			return false;
		/* the full result is s*(in-1) + extent + output_padding; SAME wants s*in */
		int64_t excess = lo_window_extent(win, i) + output_padding[i] - s;
		if (out)
			excess += wq_mul_checked(s, in, "ConvTranspose's output") - out[i];
		if (excess < 0) {
			output_padding[i] -= excess;
			excess = 0;
		}
		win->pad[i] = win->same == 'u' ? excess / 2 : excess - excess / 2;
		win->pad[win->n + i] = excess - win->pad[i];
	}
	win->same = 0;
	return true;
}

void lower_ConvTranspose(Lower *L)
{
	WqValue *x = lo_need(L, 0), *w = lo_need(L, 1);
	LoWindow win = lo_window(L, x, w);
	const int64_t *out = output_shape(L, win.n);
	const int64_t *extra = lo_window_ints(L, "output_padding", win.n, 0);
	int64_t output_padding[WQ_MAX_RANK] = { 0 };

	if (extra)
		memcpy(output_padding, extra, (size_t)win.n * sizeof *extra);
	if ((out || win.same) && transposed_pads(L, &win, x, out, output_padding))
		out = NULL;
	WqNode *n = lo_node(L, OP_ConvTranspose, 3, x, w, lo_in(L, 2));
	lo_window_set(n, &win, false);
	for (int i = 0; i < win.n; i++)
		if (output_padding[i])
			wq_set_ints(n, "output_padding", win.n, output_padding);
	if (out)
		wq_set_ints(n, "output_shape", win.n, out);
	wq_set_i(n, "group", group_of(L));
	lo_out(L, 0, lo_result(L, n));
}

/* ---- DeformConv ------------------------------------------------------------------------------ */

void lower_DeformConv(Lower *L)
{
	WqValue *x = lo_need(L, 0), *w = lo_need(L, 1);
	LoWindow win = lo_window(L, x, w);
	int64_t offset_group = lo_i(L, "offset_group", 1);

	if (offset_group < 1)
		lo_bad(L, "offset_group is %lld", (long long)offset_group);
	WqNode *n = lo_node(L, OP_DeformConv, 5, x, w, lo_need(L, 2), lo_in(L, 3), lo_in(L, 4));
	lo_window_set(n, &win, false);
	wq_set_i(n, "group", group_of(L));
	wq_set_i(n, "offset_group", offset_group);
	lo_out(L, 0, lo_result(L, n));
}

/* ---- Col2Im ---------------------------------------------------------------------------------- */

static WqValue *item(Lower *L, WqValue *v, int i) /* v[i] as a rank-0 i64 */
{
	return lo2(L, OP_Gather, v, lo_scalar(L, WQ_I64, i));
}

static WqValue *int_op(Lower *L, WqOp op, WqValue *a, int64_t b)
{
	return lo2(L, op, a, lo_scalar(L, WQ_I64, (double)b));
}

static WqValue *reshape_to(Lower *L, WqValue *x, WqValue *shape) { return lo2(L, OP_Reshape, x, shape); }

static WqValue *steps(Lower *L, WqValue *n, int64_t step) /* step * (0 .. n-1) */
{
	WqValue *r = lo3(L, OP_Range, lo_scalar(L, WQ_I64, 0), n, lo_scalar(L, WQ_I64, 1));

	return int_op(L, OP_Mul, r, step);
}

static WqValue *along(Lower *L, WqValue *v, int axis, int rank) /* [n] -> [1, .., n, .., 1] */
{
	int64_t axes[2 * WQ_MAX_RANK];
	int n = 0;

	for (int i = 0; i < rank; i++)
		if (i != axis)
			axes[n++] = i;
	return lo_unsqueeze(L, v, n, axes);
}

typedef struct Col2Im {
	int n; /* spatial axes */
	WqValue *image, *block;
	const int64_t *stride, *dilation, *pad;
	WqValue *pixels; /* of the image, rank 0 */
	WqValue *target; /* i64[prod(block) * L]: where a column's element is added; `pixels` for padding */
} Col2Im;

/* Element k of window l along an axis lands at k*dilation + l*stride - pad: the sums over axes, flattened. */
static void col2im_target(Lower *L, Col2Im *c)
{
	WqValue *flat = NULL, *inside = NULL;

	c->pixels = lo_scalar(L, WQ_I64, 1);
	for (int i = c->n - 1; i >= 0; i--) {
		int64_t s = c->stride ? c->stride[i] : 1, d = c->dilation ? c->dilation[i] : 1;
		int64_t lo = c->pad ? c->pad[i] : 0, hi = c->pad ? c->pad[c->n + i] : 0;
		WqValue *size = item(L, c->image, i), *k = item(L, c->block, i);
		WqValue *extent = int_op(L, OP_Mul, int_op(L, OP_Sub, k, 1), d);
		WqValue *room = int_op(L, OP_Add, lo2(L, OP_Sub, size, extent), lo + hi - 1);
		WqValue *windows = int_op(L, OP_Add, int_op(L, OP_Div, room, s), 1);
		WqValue *at = lo2(L, OP_Add, along(L, steps(L, k, d), i, 2 * c->n),
				  along(L, steps(L, windows, s), c->n + i, 2 * c->n));
		at = int_op(L, OP_Sub, at, lo);
		WqValue *ok =
			lo2(L, OP_And, lo2(L, OP_LessOrEqual, lo_scalar(L, WQ_I64, 0), at), lo2(L, OP_Less, at, size));
		at = lo2(L, OP_Mul, at, c->pixels);
		flat = flat ? lo2(L, OP_Add, flat, at) : at;
		inside = inside ? lo2(L, OP_And, inside, ok) : ok;
		c->pixels = lo2(L, OP_Mul, c->pixels, size);
	}
	c->target = reshape_to(L, lo3(L, OP_Where, inside, flat, c->pixels), lo_i64(L, -1));
}

/* Columns [N, C*prod(block), L] are added into rows of [pixels + 1, N*C]: the last row takes the padding's. */
void lower_Col2Im(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	Col2Im c = { .image = lo_need(L, 1), .block = lo_need(L, 2) };
	WqDim n = lo_dim(L, x, 0), rank = lo_dim(L, c.image, 0);

	if (lo_rank(L, x) != 3 || lo_rank(L, c.image) != 1)
		lo_bad(L, "the input must have rank 3, and image_shape rank 1");
	if (!wq_dim_static(rank))
		lo_unsupported(L, "the number of image_shape's elements is not known");
	if (rank < 1 || rank > WQ_MAX_RANK / 2)
		lo_unsupported(L, "%lld spatial axes (1 to %d)", (long long)rank, WQ_MAX_RANK / 2);
	c.n = (int)rank;
	c.image = lo_cast(L, c.image, WQ_I64);
	c.block = lo_cast(L, c.block, WQ_I64);
	c.stride = lo_window_ints(L, "strides", c.n, 1);
	c.dilation = lo_window_ints(L, "dilations", c.n, 1);
	c.pad = lo_window_ints(L, "pads", 2 * c.n, 0);
	col2im_target(L, &c);

	WqValue *batch = wq_dims(L->g, 1, &n), *one = lo_i64(L, 1);
	WqValue *taps = lo_reduce(L, OP_ReduceProd, c.block, 1, (int64_t[]){ 0 }, false);
	WqValue *size = wq_dims(L->g, 1, (WqDim[]){ lo_dim(L, x, 1) });
	WqValue *channels = lo2(L, OP_Div, size, taps);
	WqValue *images = lo2(L, OP_Mul, batch, channels);
	/* [N, C, K*L] -> [K*L, N*C] */
	WqValue *split = lo_concat(L, 0, 2, (WqValue *[]){ images, lo_i64(L, -1) });
	WqValue *rows = lo_swap_last(L, reshape_to(L, x, split));
	WqValue *shape = lo_concat(L, 0, 2, (WqValue *[]){ lo2(L, OP_Add, c.pixels, one), images });
	WqValue *zeros = lo2(L, OP_Expand, lo_like(L, x, 0), shape);
	WqNode *add = lo_node(L, OP_ScatterND, 3, zeros, lo_unsqueeze(L, c.target, 1, (int64_t[]){ -1 }), rows);
	wq_set_s(add, "reduction", "add");
	WqValue *kept = lo_unsqueeze(L, c.pixels, 1, (int64_t[]){ 0 });
	WqNode *cut = lo_node(L, OP_Slice, 5, lo_result(L, add), lo_i64(L, 0), kept, lo_i64(L, 0), one);
	WqValue *y = lo_swap_last(L, lo_result(L, cut));
	lo_out(L, 0, reshape_to(L, y, lo_concat(L, 0, 3, (WqValue *[]){ batch, channels, c.image })));
}

/* ---- CausalConvWithState --------------------------------------------------------------------- */

/* A depthwise convolution over [state, input] along the last axis; the last k-1 positions are the next state. */
void lower_CausalConvWithState(Lower *L)
{
	WqValue *x = lo_need(L, 0), *w = lo_need(L, 1), *state = lo_in(L, 3);
	const char *activation = lo_s(L, "activation", "none");
	bool silu = !strcmp(activation, "silu") || !strcmp(activation, "swish");

	if (!silu && strcmp(activation, "none"))
		lo_bad(L, "activation is '%s'", activation);
	if (lo_rank(L, x) != 3 || lo_rank(L, w) != 3)
		lo_bad(L, "input and weight must have rank 3");
	WqDim channels = lo_dim(L, w, 0), past = wq_dim_sub(L->m, lo_dim(L, w, 2), wq_dim_const(L->m, 1));
	if (!wq_dim_static(channels))
		channels = lo_dim(L, x, 1);
	if (!wq_dim_static(channels))
		lo_unsupported(L, "the number of channels is not known");
	if (!state) {
		WqDim shape[] = { lo_dim(L, x, 0), lo_dim(L, x, 1), past };
		state = lo_expand(L, lo_like(L, x, 0), 3, shape);
	}
	WqValue *all = lo_concat(L, 2, 2, (WqValue *[]){ state, x });
	WqNode *n = lo_node(L, OP_Conv, 3, all, w, lo_in(L, 2));
	wq_set_i(n, "group", channels);
	WqValue *y = lo_result(L, n);
	lo_out(L, 0, silu ? lo1(L, OP_Swish, y) : y);
	if (lo_wants(L, 1))
		lo_out(L, 1, lo_slice(L, all, 2, lo_dim(L, x, 2), lo_dim(L, all, 2), 1));
}
