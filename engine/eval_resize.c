/* eval_resize.c: Resize. Interpolation is separable: each resized axis has a table of weights (a few neighbours per
 * place), and is resized by itself, in f32 (f64 and 32-bit integers in f64). Nearest moves elements of any type by a
 * table of indices.
 *
 * Places are computed in f64. Neighbours beyond the edge repeat the edge, or with exclude_outside weigh nothing.
 */
#include "engine/convert.h"
#include "engine/ew.h"
#include "engine/move.h"

typedef enum { NEAREST, LINEAR, CUBIC } Mode;
typedef enum { HALF_PIXEL, SYMMETRIC, PYTORCH, ALIGN_CORNERS, ASYMMETRIC, CROP, FOR_NN } Place;

typedef struct Resize {
	Mode mode;
	Place place;
	const char *nearest;
	bool exclude, antialias, by_scales;
	double a; /* of cubic */
} Resize;

typedef struct Axis { /* one resized axis */
	int64_t n, m; /* before and after */
	double scale, start, end;
	int taps;
	int64_t *idx;    /* m x taps; for nearest m, -1 outside */
	double *w;       /* m x taps */
	uint8_t *beyond; /* m: the extrapolation value goes here; NULL: nowhere */
} Axis;

static int choose(const WqCall *c, const char *attr, int n, const char *const *name)
{
	const char *s = wq_attr_s(c->node, attr);
	for (int i = 0; i < n; i++)
		if (!strcmp(s, name[i]))
			return i;
	wq_call_fail(c, "%s '%s'", attr, s);
}

/* ---- places and weights ---------------------------------------------------------------------- */

/* The length of the result is a whole number, except for align_corners by scales, which takes n * scale. */
static double place_of(const Resize *r, const Axis *x, int64_t at)
{
	double n = (double)x->n, m = (double)x->m, i = (double)at, width = r->by_scales ? x->scale * n : m;
	switch (r->place) {
	case SYMMETRIC: return n / 2 * (1 - m / (x->scale * n)) + (i + 0.5) / x->scale - 0.5;
	case PYTORCH: return x->m == 1 ? 0 : (i + 0.5) / x->scale - 0.5;
	case ALIGN_CORNERS: return width == 1 ? 0 : i * (n - 1) / (width - 1);
	case ASYMMETRIC: return i / x->scale;
	case FOR_NN: return (i + 0.5) / x->scale;
	case CROP:
		if (x->m == 1)
			return 0.5 * (x->start + x->end) * (n - 1);
		return x->start * (n - 1) + i * (x->end - x->start) * (n - 1) / (m - 1);
	default: return (i + 0.5) / x->scale - 0.5;
	}
}

static int64_t clamp(double v, int64_t n)
{
	return v < 0 ? 0 : v > (double)(n - 1) ? n - 1 : (int64_t)v;
}

static int64_t nearest_of(const Resize *r, double x, int64_t n)
{
	double low = floor(x), part = x - low;
	bool up = part != 0 &&
		  (!strcmp(r->nearest, "ceil") || (!strcmp(r->nearest, "round_prefer_floor") && part > 0.5) ||
		   (!strcmp(r->nearest, "round_prefer_ceil") && part >= 0.5));
	return clamp(up ? low + 1 : low, n);
}

/* The weight of a neighbour at a distance, in units of the (stretched) filter. */
static double weight(const Resize *r, double d)
{
	d = fabs(d);
	if (r->mode == LINEAR)
		return d < 1 ? 1 - d : 0;
	if (d <= 1)
		return ((r->a + 2) * d - (r->a + 3)) * d * d + 1;
	return d < 2 ? ((r->a * d - 5 * r->a) * d + 8 * r->a) * d - 4 * r->a : 0;
}

static void weights_at(const Resize *r, Axis *x, int64_t i)
{
	double at = place_of(r, x, i), base = ceil(at) - 1, sum = 0;
	double stretch = r->antialias && x->scale < 1 ? x->scale : 1;
	int64_t *idx = x->idx + i * x->taps;
	double *w = x->w + i * x->taps;
	int before = x->taps / 2 - 1; /* taps left of the place's own */
	for (int k = 0; k < x->taps; k++) {
		double p = base + (k - before);
		bool outside = p < 0 || p > (double)(x->n - 1);
		idx[k] = clamp(p, x->n);
		w[k] = outside && r->exclude ? 0 : weight(r, (p - at) * stretch);
		sum += w[k];
	}
	if ((r->antialias || r->exclude) && sum != 0)
		for (int k = 0; k < x->taps; k++)
			w[k] /= sum;
}

static void make_table(WqCall *c, const Resize *r, Axis *x)
{
	x->taps = 1;
	if (r->mode != NEAREST) {
		double radius = r->mode == LINEAR ? 1 : 2, stretch = r->antialias && x->scale < 1 ? x->scale : 1;
		double taps = 2 - 2 * (floor(-radius / stretch) + 1);
		if (!(taps <= 16 * (double)x->n + 16)) /* beyond the edges lies nothing new */
			wq_call_fail(c, "a scale of %g for %lld elements", x->scale, (long long)x->n);
		x->taps = (int)taps;
		x->w = WQ_NEW_N(c->tmp, double, wq_mul_checked(x->m, x->taps, "resize"));
	}
	x->idx = WQ_NEW_N(c->tmp, int64_t, wq_mul_checked(x->m, x->taps, "resize"));
	x->beyond = r->place == CROP ? WQ_NEW_N(c->tmp, uint8_t, x->m) : NULL;
	for (int64_t i = 0; i < x->m; i++) {
		double at = place_of(r, x, i);
		if (x->beyond)
			x->beyond[i] = !(at >= 0 && at <= (double)(x->n - 1));
		if (r->mode == NEAREST)
			x->idx[i] = x->beyond && x->beyond[i] ? -1 : nearest_of(r, at, x->n);
		else
			weights_at(r, x, i);
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
			axes[i].idx = WQ_NEW_N(c->tmp, int64_t, axes[i].n);
			for (int64_t j = 0; j < axes[i].n; j++)
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
			int64_t i = r % x->m; \
			const T *s = (const T *)p->src + r / x->m * x->n * p->inner; \
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
			const T *s = (const T *)p->src + r * x->n; \
			T *d = (T *)p->dst + r * x->m; \
			const int64_t *idx = x->idx; \
			const double *w = x->w; \
			for (int64_t i = 0; i < x->m; i++, idx += x->taps, w += x->taps) { \
				T v = (T)w[0] * s[idx[0]] + (T)w[1] * s[idx[1]]; \
				for (int k = 2; k < x->taps; k++) \
					v += (T)w[k] * s[idx[k]]; \
				d[i] = v; \
			} \
			for (int64_t i = 0; x->beyond && i < x->m; i++) \
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
		dim[i] = axes[i].m;
		int64_t rows = wq_product(dim, 0, i + 1), inner = wq_product(dim, i + 1, x->rank);
		bool into = --left == 0 && y->dtype == work;
		Pass p = { &axes[i], v,
			   into ? y->data
				: wq_call_scratch(c, wq_mul_checked(rows, inner, "resize"), wq_dtype_size(work)),
			   inner, extrapolation };
		if (inner == 1)
			wq_parallel(c, rows / axes[i].m, 8192 / axes[i].m + 1, narrow ? lines_f32 : lines_f64, &p);
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
	static const char *const modes[] = {"nearest", "linear", "cubic"};
	static const char *const places[] = { "half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
					      "align_corners", "asymmetric",           "tf_crop_and_resize",
					      "tf_half_pixel_for_nn" };
	const WqTensor *x = c->in[0], *roi = given(c, 1), *scales = given(c, 2);
	Resize r = { .mode = (Mode)choose(c, "mode", 3, modes),
		     .place = (Place)choose(c, "coordinate", 7, places),
		     .nearest = wq_attr_s(c->node, "nearest"),
		     .exclude = wq_attr_i(c->node, "exclude_outside") != 0,
		     .antialias = wq_attr_i(c->node, "antialias") != 0,
		     .by_scales = scales != NULL,
		     .a = wq_attr_f(c->node, "cubic_coeff_a") };
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
	if (r.place == CROP && !roi)
		wq_call_fail(c, "roi is missing");
	double policy = policy_scale(c, n, list);
	for (int i = 0; i < x->rank; i++)
		axes[i].n = axes[i].m = x->dim[i];
	for (int i = 0; i < n; i++) {
		Axis *a = &axes[list[i]];
		a->m = c->out[0].dim[list[i]];
		a->scale = scales ? wq_tensor_get_f(scales, i) : policy > 0 ? policy : (double)a->m / (double)a->n;
		a->start = roi ? wq_tensor_get_f(roi, i) : 0;
		a->end = roi ? wq_tensor_get_f(roi, n + i) : 1;
		if (!(a->scale > 0))
			wq_call_fail(c, "a scale of %g", a->scale);
		if (a->scale != 1 || a->m != a->n || (r.place == CROP && (a->start != 0 || a->end != 1)))
			make_table(c, &r, a);
	}
	if (r.mode == NEAREST && x->rank)
		nearest(c, axes, wq_attr_f(c->node, "extrapolation_value"));
	else
		interpolate(c, axes, wq_attr_f(c->node, "extrapolation_value"));
}
