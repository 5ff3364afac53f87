/* eval_resize.c: Resize. Interpolation is separable: each resized axis has a table of weights (a few neighbours per
 * place), and is resized by itself, in f32 (f64 and 32-bit integers in f64). Nearest moves elements of any type by a
 * table of indices. Places and weights: ir/resample.c.
 */
#include "engine/convert.h"
#include "engine/ew.h"
#include "engine/move.h"
#include "ir/resample.h"

typedef struct Axis { /* one resized axis */
	WqResampleAxis p;
	int taps;
	int64_t *idx;    /* m x taps; for nearest m, -1 outside */
	double *w;       /* m x taps */
	uint8_t *beyond; /* m: the extrapolation value goes here; NULL: nowhere */
} Axis;

/* ---- places and weights ---------------------------------------------------------------------- */

static void make_table(WqCall *c, const WqResample *r, Axis *x)
{
	int64_t taps = wq_resample_taps(r, x->p.scale);
	if (taps > 16 * x->p.n + 16) /* beyond the edges lies nothing new */
		wq_call_fail(c, "a scale of %g for %lld elements", x->p.scale, (long long)x->p.n);
	x->taps = (int)taps;
	if (r->mode != WQ_NEAREST)
		x->w = WQ_NEW_N(c->tmp, double, wq_mul_checked(x->p.m, taps, "resize"));
	x->idx = WQ_NEW_N(c->tmp, int64_t, wq_mul_checked(x->p.m, taps, "resize"));
	x->beyond = r->place == WQ_CROP ? WQ_NEW_N(c->tmp, uint8_t, x->p.m) : NULL;
	for (int64_t i = 0; i < x->p.m; i++) {
		bool there = wq_resample_at(r, &x->p, x->taps, i, x->idx + i * taps, x->w ? x->w + i * taps : NULL);
		if (x->beyond)
			x->beyond[i] = !there;
		if (r->mode == WQ_NEAREST && !there)
			x->idx[i] = -1;
	}
}

/* ---- nearest --------------------------------------------------------------------------------- */

typedef struct Nearest {
	const WqTensor *x, *y;
	const int64_t *map[WQ_MAX_RANK];
	int64_t step[WQ_MAX_RANK];
	size_t size;
	char fill[8];
} Nearest;

static void nearest_row(const Nearest *k, char *dst, const char *src, const int64_t *map, int64_t n)
{
#define ROW(T) do { \
	T fill; \
	memcpy(&fill, k->fill, sizeof fill); \
	for (int64_t i = 0; i < n; i++) \
		((T *)dst)[i] = map[i] < 0 ? fill : ((const T *)src)[map[i]]; \
} while (0)
	switch (k->size) {
	case 1: ROW(uint8_t); break;
	case 2: ROW(uint16_t); break;
	case 4: ROW(uint32_t); break;
	default: ROW(uint64_t); break;
	}
#undef ROW
}

static void nearest_part(void *arg, int64_t begin, int64_t end)
{
	const Nearest *k = arg;
	int last = k->y->rank - 1;
	int64_t width = k->y->dim[last];
	for (int64_t r = begin; r < end; r++) {
		int64_t rest = r, off = 0;
		bool beyond = false;
		for (int i = last - 1; i >= 0; i--) {
			int64_t p = k->map[i][rest % k->y->dim[i]];
			rest /= k->y->dim[i];
			beyond |= p < 0;
			off += p * k->step[i];
		}
		char *dst = (char *)k->y->data + (size_t)(r * width) * k->size;
		if (beyond)
			wq_fill(k->size, dst, k->fill, width);
		else
			nearest_row(k, dst, (const char *)k->x->data + off * (int64_t)k->size, k->map[last], width);
	}
}

static void nearest(WqCall *c, Axis *axes, double extrapolation)
{
	Nearest k = {.x = c->in[0], .y = &c->out[0], .size = wq_dtype_size(c->in[0]->dtype)};
	wq_convert(k.x->dtype, k.fill, WQ_F64, &extrapolation, 1, true, 'n');
	wq_steps(k.x->rank, k.x->dim, k.step);
	for (int i = 0; i < k.x->rank; i++) {
		if (!axes[i].idx) {
			axes[i].idx = WQ_NEW_N(c->tmp, int64_t, axes[i].p.n);
			for (int64_t j = 0; j < axes[i].p.n; j++)
				axes[i].idx[j] = j;
		}
		k.map[i] = axes[i].idx;
	}
	int64_t width = k.y->dim[k.y->rank - 1];
	wq_parallel(c, wq_tensor_count(k.y) / width, 32768 / width + 1, nearest_part, &k);
}

/* ---- one axis: [outer, n, inner] -> [outer, m, inner] ---------------------------------------- */

typedef struct Pass {
	const Axis *x;
	const void *src;
	void *dst;
	int64_t inner;
	double fill;
} Pass;

/* Rows [begin, end) of outer x m; and, for the last axis, lines [begin, end) of outer. */
#define PASS(T, rows, lines) \
	WQ_CLONES static void rows(void *arg, int64_t begin, int64_t end) \
	{ \
		const Pass *p = arg; \
		const Axis *x = p->x; \
		for (int64_t r = begin; r < end; r++) { \
			int64_t i = r % x->p.m; \
			const T *s = (const T *)p->src + r / x->p.m * x->p.n * p->inner; \
			T *d = (T *)p->dst + r * p->inner; \
			const int64_t *idx = x->idx + i * x->taps; \
			const double *w = x->w + i * x->taps; \
			if (x->beyond && x->beyond[i]) { \
				for (int64_t j = 0; j < p->inner; j++) \
					d[j] = (T)p->fill; \
				continue; \
			} \
			const T *a = s + idx[0] * p->inner, *b = s + idx[1] * p->inner; \
			T wa = (T)w[0], wb = (T)w[1]; \
			for (int64_t j = 0; j < p->inner; j++) \
				d[j] = wa * a[j] + wb * b[j]; \
			for (int k = 2; k < x->taps; k++) { \
				a = s + idx[k] * p->inner; \
				wa = (T)w[k]; \
				for (int64_t j = 0; j < p->inner; j++) \
					d[j] += wa * a[j]; \
			} \
		} \
	} \
	WQ_CLONES static void lines(void *arg, int64_t begin, int64_t end) \
	{ \
		const Pass *p = arg; \
		const Axis *x = p->x; \
		for (int64_t r = begin; r < end; r++) { \
			const T *s = (const T *)p->src + r * x->p.n; \
			T *d = (T *)p->dst + r * x->p.m; \
			const int64_t *idx = x->idx; \
			const double *w = x->w; \
			for (int64_t i = 0; i < x->p.m; i++, idx += x->taps, w += x->taps) { \
				T v = (T)w[0] * s[idx[0]] + (T)w[1] * s[idx[1]]; \
				for (int k = 2; k < x->taps; k++) \
					v += (T)w[k] * s[idx[k]]; \
				d[i] = v; \
			} \
			for (int64_t i = 0; x->beyond && i < x->p.m; i++) \
				d[i] = x->beyond[i] ? (T)p->fill : d[i]; \
		} \
	}

PASS(float, rows_f32, lines_f32)
PASS(double, rows_f64, lines_f64)

/* Integers are rounded half to even and saturate. */
static void store(const WqTensor *y, WqDtype work, void *v, int64_t n)
{
	if (wq_dtype_is_int(y->dtype)) {
		bool is_signed = wq_dtype_is_signed(y->dtype);
		int bits = wq_dtype(y->dtype)->bits;
		double low = is_signed ? -ldexp(1, bits - 1) : 0, high = ldexp(1, is_signed ? bits - 1 : bits) - 1;
		for (int64_t i = 0; i < n; i++) {
			double r = rint(((double *)v)[i]);
			((double *)v)[i] = r < low ? low : r > high ? high : r;
		}
	}
	wq_convert(y->dtype, y->data, work, v, n, true, 'n');
}

static void interpolate(WqCall *c, Axis *axes, double extrapolation)
{
	const WqTensor *x = c->in[0];
	WqTensor *y = &c->out[0];
	bool narrow = wq_dtype_is_float(x->dtype) && x->dtype != WQ_F64;
	WqDtype work = narrow ? WQ_F32 : WQ_F64;
	int64_t dim[WQ_MAX_RANK], n = wq_tensor_count(x);
	void *v = x->data;
	memcpy(dim, x->dim, sizeof dim);
	if (x->dtype != work) {
		v = wq_call_scratch(c, n, wq_dtype_size(work));
		wq_convert(work, v, x->dtype, x->data, n, true, 'n');
	}
	int left = 0;
	for (int i = 0; i < x->rank; i++)
		left += axes[i].idx != NULL;
	for (int i = x->rank - 1; i >= 0;
	     i--) { /* the last axis first: it is the dearest, and there may be few rows yet */
		if (!axes[i].idx)
			continue;
		dim[i] = axes[i].p.m;
		int64_t rows = wq_product(dim, 0, i + 1), inner = wq_product(dim, i + 1, x->rank);
		bool into = --left == 0 && y->dtype == work;
		Pass p = { &axes[i], v,
			   into ? y->data
				: wq_call_scratch(c, wq_mul_checked(rows, inner, "resize"), wq_dtype_size(work)),
			   inner, extrapolation };
		if (inner == 1)
			wq_parallel(c, rows / axes[i].p.m, 8192 / axes[i].p.m + 1, narrow ? lines_f32 : lines_f64, &p);
		else
			wq_parallel(c, rows, 16384 / inner + 1, narrow ? rows_f32 : rows_f64, &p);
		v = p.dst;
	}
	if (v != y->data)
		store(y, work, v, wq_tensor_count(y));
}

/* ---- the operator ---------------------------------------------------------------------------- */

static const WqTensor *given(const WqCall *c, int i)
{
	return i < c->n_in && c->in[i] && wq_tensor_count(c->in[i]) ? c->in[i] : NULL;
}

/* The scale that a policy gives all axes; 0: none. */
static double policy_scale(const WqCall *c, int n, const int *axis)
{
	const char *policy = wq_attr_s(c->node, "keep_aspect_ratio_policy");
	double scale = 0;
	if (given(c, 2) || !strcmp(policy, "stretch"))
		return 0;
	bool larger = !strcmp(policy, "not_smaller");
	if (!larger && strcmp(policy, "not_larger"))
		wq_call_fail(c, "keep_aspect_ratio_policy '%s'", policy);
	for (int i = 0; i < n; i++) {
		double s = (double)wq_tensor_get_i(c->in[3], i) / (double)c->in[0]->dim[axis[i]];
		scale = i == 0 || (larger ? s > scale : s < scale) ? s : scale;
	}
	return scale;
}

void eval_resize(WqCall *c)
{
	const WqTensor *x = c->in[0], *roi = given(c, 1), *scales = given(c, 2);
	WqResample r;
	const char *wrong = wq_resample_of(c->node, scales != NULL, &r);
	if (wrong)
		wq_call_fail(c, "%s is none that is known", wrong);
	Axis axes[WQ_MAX_RANK] = {0};
	int n, list[WQ_MAX_RANK];
	const int64_t *v = wq_attr_ints(c->node, "axes", &n);
	if (!n) {
		v = NULL;
		n = x->rank;
	}
	for (int i = 0; i < n; i++)
		list[i] = v ? (int)(v[i] < 0 ? v[i] + x->rank : v[i]) : i;
	if (!wq_tensor_count(&c->out[0]))
		return;
	if (!wq_tensor_count(x))
		wq_call_fail(c, "the operand is empty");
	if (roi && wq_tensor_count(roi) != 2 * (int64_t)n)
		wq_call_fail(c, "roi has %lld entries for %d axes", (long long)wq_tensor_count(roi), n);
	if (r.place == WQ_CROP && !roi)
		wq_call_fail(c, "roi is missing");
	double policy = policy_scale(c, n, list);
	for (int i = 0; i < x->rank; i++)
		axes[i].p.n = axes[i].p.m = x->dim[i];
	for (int i = 0; i < n; i++) {
		WqResampleAxis *a = &axes[list[i]].p;
		a->m = c->out[0].dim[list[i]];
		a->scale = scales ? wq_tensor_get_f(scales, i) : policy > 0 ? policy : (double)a->m / (double)a->n;
		a->start = roi ? wq_tensor_get_f(roi, i) : 0;
		a->end = roi ? wq_tensor_get_f(roi, n + i) : 1;
		if (!(a->scale > 0))
			wq_call_fail(c, "a scale of %g", a->scale);
		if (!wq_resample_stays(&r, a))
			make_table(c, &r, &axes[list[i]]);
	}
	if (r.mode == WQ_NEAREST && x->rank)
		nearest(c, axes, r.extrapolation);
	else
		interpolate(c, axes, r.extrapolation);
}
