/* eval_norm.c: Softmax, LayerNormalization, RMSNormalization. Sums are double, so that they are exact enough for f32, and run
 * in LANES partial sums, so that they may become vector code in a fixed order. */
#include "engine/arith.h"
#include "engine/vmath.h"

enum { LANES = 8, COLUMNS = 64 };

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
} Soft;

/* y = e^(x - top), and the sum of it. */
WQ_INLINE double exps(const float *x, float *y, int64_t n, float top)
{
	double lane[LANES] = { 0 }, sum = 0;
	for (int64_t i = 0; i < n; i++)
		y[i] = vm_exp(x[i] - top);
	int64_t whole = n / LANES * LANES;
	for (int64_t i = 0; i < whole; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] += (double)y[i + l];
	for (int64_t i = whole; i < n; i++)
		sum += (double)y[i];
	for (int l = 0; l < LANES; l++)
		sum += lane[l];
	return sum;
}

WQ_CLONES static void softmax_line(const float *x, float *y, int64_t n)
{
	float top = x[0];
	for (int64_t i = 1; i < n; i++)
		top = x[i] > top ? x[i] : top;
	float sum = (float)exps(x, y, n, top);
	for (int64_t i = 0; i < n; i++)
		y[i] /= sum;
}

/* `cols` lines side by side. */
WQ_CLONES static void softmax_columns(const float *x, float *y, int64_t n, int64_t step, int64_t cols)
{
	float top[COLUMNS];
	double sum[COLUMNS] = { 0 };
	for (int64_t k = 0; k < cols; k++)
		top[k] = x[k];
	for (int64_t i = 1; i < n; i++)
		for (int64_t k = 0; k < cols; k++)
			top[k] = x[i * step + k] > top[k] ? x[i * step + k] : top[k];
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < cols; k++) {
			float e = vm_exp(x[i * step + k] - top[k]);
			y[i * step + k] = e;
			sum[k] += (double)e;
		}
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < cols; k++)
			y[i * step + k] /= (float)sum[k];
}

/* Lines [begin, end), those that lie side by side together. */
static void softmax_lines(void *arg, int64_t begin, int64_t end)
{
	const Soft *s = arg;
	for (int64_t i = begin, cols; i < end; i += cols) {
		int64_t col = i % s->inner, at = (i - col) * s->n + col;
		cols = s->inner - col < end - i ? s->inner - col : end - i;
		cols = cols < COLUMNS ? cols : COLUMNS;
		const float *x = (const float *)s->x + at;
		float *y = (float *)s->y + at;
		if (s->inner == 1)
			softmax_line(x, y, s->n);
		else
			softmax_columns(x, y, s->n, s->inner, cols);
		cols = s->inner == 1 ? 1 : cols;
	}
}

static void softmax_lines_f64(void *arg, int64_t begin, int64_t end)
{
	const Soft *s = arg;
	for (int64_t i = begin; i < end; i++) {
		int64_t at = i / s->inner * s->inner * s->n + i % s->inner, step = s->inner;
		const double *x = (const double *)s->x + at;
		double *y = (double *)s->y + at, top = x[0], sum = 0;
		for (int64_t k = 1; k < s->n; k++)
			top = x[k * step] > top ? x[k * step] : top;
		for (int64_t k = 0; k < s->n; k++)
			sum += y[k * step] = exp(x[k * step] - top);
		for (int64_t k = 0; k < s->n; k++)
			y[k * step] /= sum;
	}
}

void eval_softmax(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int64_t count = wq_tensor_count(x);
	if (count == 0)
		return;
	int axis = x->rank ? axis_of(c, x->rank) : 0;
	Soft s = { .n = x->rank ? x->dim[axis] : 1 };
	s.inner = product(x->dim, axis + 1, x->rank);
	s.x = wq_wide_in(c, x);
	s.y = wq_wide_out(c, 0);
	wq_parallel(c, count / s.n, 8192 / s.n + 1, x->dtype == WQ_F64 ? softmax_lines_f64 : softmax_lines, &s);
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
	/* The sum of x - mean, or of its square. */ \
	WQ_INLINE double moment_##NAME(const T *x, int64_t n, double mean, bool square) \
	{ \
		double lane[LANES] = { 0 }, sum = 0; \
		int64_t whole = n / LANES * LANES; \
		for (int64_t i = 0; i < whole; i += LANES) \
			for (int l = 0; l < LANES; l++) { \
				double d = (double)x[i + l] - mean; \
				lane[l] += square ? d * d : d; \
			} \
		for (int64_t i = whole; i < n; i++) { \
			double d = (double)x[i] - mean; \
			sum += square ? d * d : d; \
		} \
		for (int l = 0; l < LANES; l++) \
			sum += lane[l]; \
		return sum; \
	} \
	WQ_CLONES static void norm_##NAME(const Norm *s, int64_t line) \
	{ \
		int64_t n = s->n; \
		const T *restrict x = (const T *)s->x + line * n; \
		const T *restrict scale = s->scale ? (const T *)s->scale + line * s->scale_step : NULL; \
		const T *restrict bias = s->bias ? (const T *)s->bias + line * s->bias_step : NULL; \
		T *restrict y = (T *)s->y + line * n; \
		double mean = s->centred ? moment_##NAME(x, n, 0, false) / (double)n : 0; \
		double factor = 1 / sqrt(moment_##NAME(x, n, mean, true) / (double)n + s->epsilon); \
		for (int64_t i = 0; i < n; i++) \
			y[i] = (T)(((double)x[i] - mean) * factor); \
		for (int64_t i = 0; i < n && scale; i++) \
			y[i] *= scale[i]; \
		for (int64_t i = 0; i < n && bias; i++) \
			y[i] += bias[i]; \
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
	Norm s = { .f64 = x->dtype == WQ_F64, .centred = centred, .epsilon = wq_attr_f(c->node, "epsilon") };
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
