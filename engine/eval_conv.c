/* eval_conv.c: Conv, ConvTranspose and DeformConv over any number of spatial axes.
 *
 * A plane is one image of one output channel. Conv adds, for every input channel and tap, the shifted input plane times the
 * weight; ConvTranspose runs the same loops with the two sides exchanged.
 */
#include "engine/arith.h"
#include "engine/exec.h"
#include "ir/window.h"

#include <math.h>

typedef struct Conv {
	const WqArith *op;
	WqWindow w;
	bool transposed;
	const char *x, *weight, *bias;
	char *y;
	int64_t C, M, group; /* channels in and out */
	int64_t in_plane, out_plane, taps;
} Conv;

static int64_t product(const int64_t *v, int n)
{
	int64_t p = 1;
	for (int i = 0; i < n; i++)
		p *= v[i];
	return p;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* One weight over a plane. `small` is the side that windows are counted on, `large` the side that they reach into. */
static void add_tap(const Conv *v, const int64_t *tap, void *acc, const char *x, const void *weight)
{
	const WqWindow *w = &v->w;
	const int64_t *small = v->transposed ? w->in : w->out, *large = v->transposed ? w->out : w->in;
	int64_t lo[WQ_MAX_RANK] = { 0 }, hi[WQ_MAX_RANK] = { 0 }, shift[WQ_MAX_RANK], at[WQ_MAX_RANK];
	int n = w->n, last = n - 1;
	for (int d = 0; d < n; d++) { /* 0 <= o * stride + shift < large */
		shift[d] = tap[d] * w->dilation[d] - w->begin[d];
		lo[d] = shift[d] < 0 ? (-shift[d] + w->stride[d] - 1) / w->stride[d] : 0;
		hi[d] = floor_div(large[d] - 1 - shift[d], w->stride[d]) + 1;
		hi[d] = hi[d] < small[d] ? hi[d] : small[d];
		if (lo[d] >= hi[d])
			return;
		at[d] = lo[d];
	}
	for (;;) {
		int64_t s = 0, l = 0;
		at[last] = lo[last];
		for (int d = 0; d < n; d++) {
			s = s * small[d] + at[d];
			l = l * large[d] + at[d] * w->stride[d] + shift[d];
		}
		if (v->transposed)
			v->op->axpy((char *)acc + (size_t)l * v->op->acc, w->stride[last], x + (size_t)s * v->op->size, 1, weight,
				hi[last] - lo[last]);
		else
			v->op->axpy((char *)acc + (size_t)s * v->op->acc, 1, x + (size_t)l * v->op->size, w->stride[last], weight,
				hi[last] - lo[last]);
		int d = last - 1;
		while (d >= 0 && ++at[d] == hi[d]) {
			at[d] = lo[d];
			d--;
		}
		if (d < 0)
			return;
	}
}

static void plane(const Conv *v, int64_t image, int64_t m, void *acc)
{
	int64_t per_c = v->C / v->group, per_m = v->M / v->group, g = m / per_m;
	v->op->fill(acc, v->bias ? v->bias + (size_t)m * v->op->size : NULL, v->out_plane);
	for (int64_t i = 0; i < per_c; i++) {
		int64_t ch = g * per_c + i;
		const char *x = v->x + (size_t)((image * v->C + ch) * v->in_plane) * v->op->size;
		int64_t at = v->transposed ? ch * per_m + m % per_m : m * per_c + i, tap[WQ_MAX_RANK] = { 0 };
		const char *weight = v->weight + (size_t)(at * v->taps) * v->op->size;
		for (int64_t t = 0; t < v->taps; t++, weight += v->op->size) {
			add_tap(v, tap, acc, x, weight);
			for (int d = v->w.n - 1; d >= 0 && ++tap[d] == v->w.kernel[d]; d--)
				tap[d] = 0;
		}
	}
	v->op->store(v->y + (size_t)((image * v->M + m) * v->out_plane) * v->op->size, acc, v->out_plane);
}

static void planes(void *arg, int64_t begin, int64_t end)
{
	const Conv *v = arg;
	void *acc = wq_raw_alloc_dirty((size_t)v->out_plane * v->op->acc);
	for (int64_t i = begin; i < end; i++)
		plane(v, i / v->M, i % v->M, acc);
	wq_raw_free(acc);
}

static void convolve(WqCall *c, bool transposed)
{
	if (c->e)
		wq_layout_operand(c, 0, false);
	const WqTensor *x = c->in[0], *w = c->in[1], *y = &c->out[0];
	int n = x->rank - 2;
	Conv v = { .op = wq_arith(wq_wide_type(y->dtype)), .transposed = transposed };
	const char *bad = wq_window_attrs(c->node, n, w->dim + 2, &v.w);
	memcpy(v.w.in, x->dim + 2, (size_t)n * sizeof *v.w.in);
	if (!bad)
		bad = transposed ? wq_window_resolve_transposed(c->node, &v.w) : wq_window_resolve(c->node, &v.w);
	if (bad)
		wq_call_fail(c, "%s", bad);
	v.C = x->dim[1];
	v.M = y->dim[1];
	v.group = wq_attr_i(c->node, "group");
	v.in_plane = product(x->dim + 2, n);
	v.out_plane = product(y->dim + 2, n);
	v.taps = product(w->dim + 2, n);
	v.x = wq_wide_in(c, x);
	v.weight = wq_wide_in(c, w);
	v.bias = wq_wide_in(c, c->n_in > 2 ? c->in[2] : NULL);
	void *to = wq_wide_out(c, 0);
	v.y = to;
	wq_parallel(c, x->dim[0] * v.M, 1, planes, &v);
	wq_wide_done(c, 0, to);
}

void eval_conv(WqCall *c)
{
	if (wq_tensor_count(&c->out[0]) && (c->plain || !wq_dnnl_conv(c)))
		convolve(c, false);
}

void eval_conv_transpose(WqCall *c)
{
	if (wq_tensor_count(&c->out[0]) && (c->plain || !wq_dnnl_conv_transpose(c)))
		convolve(c, true);
}

/* ---- DeformConv ----------------------------------------------------------------------------------------- */

typedef struct Deform {
	WqWindow w;
	bool f64;
	const void *x, *weight, *bias, *offset, *mask;
	void *y;
	int64_t C, M, group, offset_group, in_plane, out_plane, taps;
} Deform;

static double get(const Deform *v, const void *p, int64_t i) { return v->f64 ? ((const double *)p)[i] : ((const float *)p)[i]; }

/* The plane at a place between its points: linear along every axis, zero outside. */
static double sample(const Deform *v, int64_t base, const double *at)
{
	int n = v->w.n;
	int64_t low[WQ_MAX_RANK];
	double frac[WQ_MAX_RANK], sum = 0;
	for (int d = 0; d < n; d++) {
		if (!(at[d] > -1 && at[d] < (double)v->w.in[d]))
			return 0;
		low[d] = (int64_t)floor(at[d]);
		frac[d] = at[d] - (double)low[d];
	}
	for (unsigned corner = 0; corner < 1u << n; corner++) {
		double f = 1;
		int64_t i = 0;
		for (int d = 0; d < n; d++) {
			int up = corner >> d & 1;
			int64_t p = low[d] + up;
			f = p < 0 || p >= v->w.in[d] ? 0 : f * (up ? frac[d] : 1 - frac[d]);
			i = i * v->w.in[d] + p;
		}
		if (f != 0)
			sum += f * get(v, v->x, base + i);
	}
	return sum;
}

/* Tap t of window o: where channel group og reads, and by what it is scaled. */
static double tap_place(const Deform *v, int64_t image, int64_t og, int64_t t, int64_t o, const int64_t *tap, double *at)
{
	int n = v->w.n;
	int64_t rest = o, at_t = (image * v->offset_group + og) * v->taps + t;
	for (int d = n - 1; d >= 0; d--) {
		int64_t k = rest % v->w.out[d];
		rest /= v->w.out[d];
		at[d] = (double)(k * v->w.stride[d] + tap[d] * v->w.dilation[d] - v->w.begin[d]) +
			get(v, v->offset, (at_t * n + d) * v->out_plane + o);
	}
	return v->mask ? get(v, v->mask, at_t * v->out_plane + o) : 1;
}

static void deform_window(const Deform *v, int64_t image, int64_t o, double *sum)
{
	int64_t per_c = v->C / v->group, per_m = v->M / v->group, per_off = v->C / v->offset_group, tap[WQ_MAX_RANK] = { 0 };
	for (int64_t m = 0; m < v->M; m++)
		sum[m] = v->bias ? get(v, v->bias, m) : 0;
	for (int64_t t = 0; t < v->taps; t++) {
		double at[WQ_MAX_RANK], scale = 0;
		for (int64_t ch = 0; ch < v->C; ch++) {
			if (ch % per_off == 0)
				scale = tap_place(v, image, ch / per_off, t, o, tap, at);
			double x = scale * sample(v, (image * v->C + ch) * v->in_plane, at);
			int64_t first = ch / per_c * per_m;
			for (int64_t m = first; m < first + per_m; m++)
				sum[m] += x * get(v, v->weight, (m * per_c + ch % per_c) * v->taps + t);
		}
		for (int d = v->w.n - 1; d >= 0 && ++tap[d] == v->w.kernel[d]; d--)
			tap[d] = 0;
	}
}

static void deform_windows(void *arg, int64_t begin, int64_t end)
{
	const Deform *v = arg;
	double *sum = wq_raw_alloc_dirty((size_t)v->M * sizeof *sum);
	for (int64_t i = begin; i < end; i++) {
		int64_t image = i / v->out_plane, o = i % v->out_plane;
		deform_window(v, image, o, sum);
		for (int64_t m = 0; m < v->M; m++) {
			int64_t at = (image * v->M + m) * v->out_plane + o;
			if (v->f64)
				((double *)v->y)[at] = sum[m];
			else
				((float *)v->y)[at] = (float)sum[m];
		}
	}
	wq_raw_free(sum);
}

void eval_deform_conv(WqCall *c)
{
	const WqTensor *x = c->in[0], *w = c->in[1], *y = &c->out[0];
	int n = x->rank - 2;
	Deform v = { .f64 = y->dtype == WQ_F64 };
	const char *bad = wq_window_attrs(c->node, n, w->dim + 2, &v.w);
	memcpy(v.w.in, x->dim + 2, (size_t)n * sizeof *v.w.in);
	if (!bad)
		bad = wq_window_resolve(c->node, &v.w);
	if (bad)
		wq_call_fail(c, "%s", bad);
	v.C = x->dim[1];
	v.M = y->dim[1];
	v.group = wq_attr_i(c->node, "group");
	v.offset_group = wq_attr_i(c->node, "offset_group");
	v.in_plane = product(x->dim + 2, n);
	v.out_plane = product(y->dim + 2, n);
	v.taps = product(w->dim + 2, n);
	v.x = wq_wide_in(c, x);
	v.weight = wq_wide_in(c, w);
	v.offset = wq_wide_in(c, c->in[2]);
	v.bias = wq_wide_in(c, c->n_in > 3 ? c->in[3] : NULL);
	v.mask = wq_wide_in(c, c->n_in > 4 ? c->in[4] : NULL);
	v.y = wq_wide_out(c, 0);
	wq_parallel(c, y->dim[0] * v.out_plane, 1, deform_windows, &v);
	wq_wide_done(c, 0, v.y);
}
