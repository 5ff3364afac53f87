/* eval_norm.c: Softmax, LayerNormalization, RMSNormalization. Sums are double, so that they are exact enough for f32. */
#include "engine/arith.h"

#include <math.h>

static int axis_of(WqCall *c, int rank)
{
	int64_t axis = wq_attr_i(c->node, "axis");
	if (axis < -rank || axis >= rank)
		wq_call_fail(c, "axis %lld of %d axes", (long long)axis, rank);
	return (int)(axis < 0 ? axis + rank : axis);
}

static int64_t product(const int64_t *dim, int from, int to)
{
	int64_t n = 1;
	for (int d = from; d < to; d++)
		n *= dim[d];
	return n;
}

/* ---- Softmax ------------------------------------------------------------------------------------------ */

typedef struct Soft {
	const void *x;
	void *y;
	int64_t n, inner; /* elements along the axis; their distance */
	bool f64;
} Soft;

#define SOFTMAX(NAME, T, EXP) \
	static void softmax_##NAME(const T *x, T *y, int64_t n, int64_t step) \
	{ \
		T top = x[0]; \
		double sum = 0; \
		for (int64_t i = 1; i < n; i++) \
			top = x[i * step] > top ? x[i * step] : top; \
		for (int64_t i = 0; i < n; i++) { \
			y[i * step] = EXP(x[i * step] - top); \
			sum += (double)y[i * step]; \
		} \
		for (int64_t i = 0; i < n; i++) \
			y[i * step] = (T)((double)y[i * step] / sum); \
	}
SOFTMAX(f32, float, expf)
SOFTMAX(f64, double, exp)

static void softmax_lines(void *arg, int64_t begin, int64_t end)
{
	const Soft *s = arg;
	for (int64_t i = begin; i < end; i++) {
		int64_t at = i / s->inner * s->inner * s->n + i % s->inner;
		if (s->f64)
			softmax_f64((const double *)s->x + at, (double *)s->y + at, s->n, s->inner);
		else
			softmax_f32((const float *)s->x + at, (float *)s->y + at, s->n, s->inner);
	}
}

void eval_softmax(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int64_t count = wq_tensor_count(x);
	if (count == 0)
		return;
	int axis = x->rank ? axis_of(c, x->rank) : 0;
	Soft s = { .f64 = x->dtype == WQ_F64, .n = x->rank ? x->dim[axis] : 1 };
	s.inner = product(x->dim, axis + 1, x->rank);
	s.x = wq_wide_in(c, x);
	s.y = wq_wide_out(c, 0);
	wq_parallel(c, count / s.n, 4096 / s.n + 1, softmax_lines, &s);
	wq_wide_done(c, 0, s.y);
}

/* ---- normalisation of trailing axes --------------------------------------------------------------------- */

typedef struct Norm {
	const void *x, *scale, *bias; /* scale and bias: an element for each of the trailing axes' */
	void *y;
	int64_t n; /* elements normalised together */
	int64_t scale_step, bias_step; /* elements to go on by from one to the next: n when it differs for each, 0 when shared */
	double epsilon;
	bool f64, centred;
} Norm;

#define NORM(NAME, T) \
	static void norm_##NAME(const Norm *s, int64_t i) \
	{ \
		const T *x = (const T *)s->x + i * s->n; \
		const T *scale = s->scale ? (const T *)s->scale + i * s->scale_step : NULL; \
		const T *bias = s->bias ? (const T *)s->bias + i * s->bias_step : NULL; \
		T *y = (T *)s->y + i * s->n; \
		double mean = 0, square = 0; \
		for (int64_t k = 0; k < s->n && s->centred; k++) \
			mean += (double)x[k]; \
		mean /= (double)s->n; \
		for (int64_t k = 0; k < s->n; k++) \
			square += ((double)x[k] - mean) * ((double)x[k] - mean); \
		double factor = 1 / sqrt(square / (double)s->n + s->epsilon); \
		for (int64_t k = 0; k < s->n; k++) \
			y[k] = (T)(((double)x[k] - mean) * factor * (scale ? (double)scale[k] : 1) + (bias ? (double)bias[k] : 0)); \
	}
NORM(f32, float)
NORM(f64, double)

static void norm_lines(void *arg, int64_t begin, int64_t end)
{
	const Norm *s = arg;
	for (int64_t i = begin; i < end; i++)
		if (s->f64)
			norm_f64(s, i);
		else
			norm_f32(s, i);
}

/* t broadcast to x's axes from `first` on (first 0: to all of x). */
static void *spread(WqCall *c, const WqTensor *t, const WqTensor *x, int first)
{
	size_t size = wq_dtype_size(wq_wide_type(t->dtype));
	const char *from = wq_wide_in(c, t);
	int64_t n = product(x->dim, first, x->rank);
	char *to = wq_alloc_n(c->tmp, (size_t)n, size);
	for (int64_t i = 0; i < n; i++) {
		int64_t rest = i, at = 0, step = 1;
		for (int d = x->rank - 1; d >= first; d--, rest /= x->dim[d + 1]) {
			int own = d - (x->rank - t->rank);
			if (own < 0)
				continue;
			at += t->dim[own] == 1 ? 0 : rest % x->dim[d] * step;
			step *= t->dim[own];
		}
		memcpy(to + (size_t)i * size, from + (size_t)at * size, size);
	}
	return to;
}

/* A scale or bias, as the loops want it: as it is if it has the trailing axes' shape, else broadcast. */
static const void *per_element(WqCall *c, const WqTensor *t, const WqTensor *x, int axis, int64_t n, int64_t *step)
{
	*step = 0;
	if (!t)
		return NULL;
	bool leading = false, fits = t->rank <= x->rank;
	for (int d = 0; d < t->rank && fits; d++) {
		int at = d + x->rank - t->rank;
		fits = t->dim[d] == 1 || t->dim[d] == x->dim[at];
		leading |= at < axis && t->dim[d] != 1;
	}
	if (!fits)
		wq_call_fail(c, "the scale or bias does not broadcast to the input");
	if (leading)
		*step = n;
	return wq_tensor_count(t) == n && !leading ? wq_wide_in(c, t) : spread(c, t, x, leading ? 0 : axis);
}

static void normalise(WqCall *c, bool centred)
{
	const WqTensor *x = c->in[0];
	int64_t count = wq_tensor_count(x);
	if (count == 0)
		return;
	int axis = x->rank ? axis_of(c, x->rank) : 0;
	Norm s = { .f64 = x->dtype == WQ_F64, .centred = centred, .epsilon = (double)wq_attr_f(c->node, "epsilon") };
	s.n = product(x->dim, axis, x->rank);
	s.scale = per_element(c, c->n_in > 1 ? c->in[1] : NULL, x, axis, s.n, &s.scale_step);
	s.bias = per_element(c, c->n_in > 2 ? c->in[2] : NULL, x, axis, s.n, &s.bias_step);
	s.x = wq_wide_in(c, x);
	s.y = wq_wide_out(c, 0);
	wq_parallel(c, count / s.n, 8192 / s.n + 1, norm_lines, &s);
	wq_wide_done(c, 0, s.y);
}

void eval_layer_norm(WqCall *c) { normalise(c, true); }
void eval_rms_norm(WqCall *c) { normalise(c, false); }
