/* eval_sample.c: GridSample over any number of spatial axes. For every place of the result the neighbours and their
 * weights are found once and used for all channels. A coordinate that is NaN counts as outside. */
#include "engine/convert.h"
#include "engine/ew.h"
#include "engine/move.h"

enum { MAX_SPATIAL = 6 };

typedef enum { PAD_ZEROS, PAD_BORDER, PAD_REFLECTION } Padding;

typedef struct Grid {
	const WqTensor *x, *grid;
	WqTensor *y;
	int k, taps; /* spatial axes; neighbours along each: 1, 2 or 4 */
	Padding padding;
	bool corners;
	int64_t channels, in_size, places; /* elements of a channel's image; places of a result's image */
	int64_t step[MAX_SPATIAL];
} Grid;

static float denormalize(const Grid *g, float v, int64_t n)
{
	return g->corners ? (v + 1) / 2 * (float)(n - 1) : ((v + 1) * (float)n - 1) / 2;
}

/* Mirrors v at both borders until it lies between them. */
static double reflect(double v, double low, double high)
{
	double range = high - low;
	if (!(range > 0))
		return low;
	if (v >= low && v <= high)
		return v;
	double d = v < low ? low - v : v - high, n = floor(d / range), r = d - n * range;
	return (v < low) == (fmod(n, 2) == 0) ? low + r : high - r;
}

static double into_borders(const Grid *g, double v, int64_t n)
{
	double low = g->corners ? 0 : -0.5, high = (double)n - (g->corners ? 1 : 0.5);
	if (v != v)
		return -2;
	if (g->padding == PAD_BORDER && g->taps < 4) /* cubic weighs by the unclamped distance, as PyTorch does */
		return v < 0 ? 0 : v > (double)(n - 1) ? (double)(n - 1) : v;
	if (g->padding == PAD_REFLECTION)
		return reflect(v, low, high);
	return v < -4 ? -4 : v > (double)n + 4 ? (double)n + 4 : v; /* as far outside as matters */
}

/* The pixel that stands at index i along an axis; -1: none, it is 0. */
static int64_t pixel(const Grid *g, int64_t i, int64_t n)
{
	if (i >= 0 && i < n)
		return i;
	if (g->padding == PAD_ZEROS)
		return -1;
	double v = g->padding == PAD_REFLECTION ? into_borders(g, (double)i, n) : (double)i;
	return v < 0 ? 0 : v > (double)(n - 1) ? n - 1 : (int64_t)v;
}

static void axis_taps(const Grid *g, double v, int64_t n, int64_t *idx, double *w)
{
	const double a = -0.75;
	if (g->taps == 1) {
		idx[0] = pixel(g, (int64_t)v, n);
		w[0] = 1;
		return;
	}
	double low = floor(v), t = v - low, u = 1 - t;
	for (int i = 0; i < g->taps; i++)
		idx[i] = pixel(g, (int64_t)low + i - (g->taps == 4), n);
	if (g->taps == 2) {
		w[0] = u, w[1] = t;
		return;
	}
	w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
	w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
	w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
	w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

typedef struct Taps {
	int n;
	int64_t at[4096];
	double w[4096];
} Taps;

/* All neighbours of one place that lie inside. */
static void place_taps(const Grid *g, const float *coord, Taps *t)
{
	int64_t idx[MAX_SPATIAL][4] = { { 0 } };
	double w[MAX_SPATIAL][4] = { { 0 } };
	int total = 1;
	for (int a = 0; a < g->k; a++) {
		int64_t n = g->x->dim[2 + a];
		double v = denormalize(g, coord[g->k - 1 - a], n); /* the last axis' coordinate comes first */
		v = g->taps == 1 ? rint(v) : v;
		axis_taps(g, into_borders(g, v, n), n, idx[a], w[a]);
		total *= g->taps;
	}
	t->n = 0;
	for (int i = 0; i < total; i++) {
		int64_t at = 0;
		double weight = 1;
		bool inside = true;
		for (int a = g->k - 1, rest = i; a >= 0; a--, rest /= g->taps) {
			int64_t p = idx[a][rest % g->taps];
			inside &= p >= 0;
			at += p * g->step[a];
			weight *= w[a][rest % g->taps];
		}
		if (inside) {
			t->at[t->n] = at;
			t->w[t->n++] = weight;
		}
	}
}

/* Nearest moves the element; otherwise the weighted sum. */
static void sample(const Grid *g, const Taps *t, int64_t from, int64_t to)
{
	if (g->taps == 1) {
		size_t size = wq_dtype_size(g->x->dtype);
		char *d = (char *)g->y->data + (size_t)to * size;
		if (t->n)
			memcpy(d, (const char *)g->x->data + (size_t)(from + t->at[0]) * size, size);
		else
			memset(d, 0, size);
		return;
	}
	double sum = 0;
	if (g->x->dtype == WQ_F32)
		for (int i = 0; i < t->n; i++)
			sum += t->w[i] * ((const float *)g->x->data)[from + t->at[i]];
	else
		for (int i = 0; i < t->n; i++)
			sum += t->w[i] * wq_tensor_get_f(g->x, from + t->at[i]);
	if (g->x->dtype == WQ_F32)
		((float *)g->y->data)[to] = (float)sum;
	else
		wq_convert(g->y->dtype, (char *)g->y->data + (size_t)to * wq_dtype_size(g->y->dtype), WQ_F64, &sum, 1,
			   true, 'n');
}

/* Places [begin, end) of batch x places. */
static void grid_part(void *arg, int64_t begin, int64_t end)
{
	const Grid *g = arg;
	float coord[MAX_SPATIAL];
	size_t size = wq_dtype_size(g->grid->dtype);
	Taps t;
	for (int64_t p = begin; p < end; p++) {
		int64_t b = p / g->places, i = p % g->places;
		wq_convert(WQ_F32, coord, g->grid->dtype, (const char *)g->grid->data + (size_t)(p * g->k) * size, g->k,
			   true, 'n');
		place_taps(g, coord, &t);
		for (int64_t ch = 0; ch < g->channels; ch++)
			sample(g, &t, (b * g->channels + ch) * g->in_size, (b * g->channels + ch) * g->places + i);
	}
}

static int choose(const WqCall *c, const char *attr, int n, const char *const *name)
{
	const char *s = wq_attr_s(c->node, attr);
	for (int i = 0; i < n; i++)
		if (!strcmp(s, name[i]))
			return i;
	wq_call_fail(c, "%s '%s'", attr, s);
}

void eval_grid_sample(WqCall *c)
{
	static const char *const modes[] = { "nearest", "linear", "cubic" }, *const paddings[] = { "zeros", "border",
												   "reflection" };
	const WqTensor *x = c->in[0];
	Grid g = {.x = x, .grid = c->in[1], .y = &c->out[0], .k = x->rank - 2, .channels = x->dim[1]};
	g.taps = 1 << choose(c, "mode", 3, modes);
	g.padding = (Padding)choose(c, "padding_mode", 3, paddings);
	g.corners = wq_attr_i(c->node, "align_corners") != 0;
	if (g.k > MAX_SPATIAL)
		wq_call_fail(c, "%d spatial axes; at most %d are handled", g.k, MAX_SPATIAL);
	if (!wq_dtype_in(g.grid->dtype, WQ_M_FLOAT))
		wq_call_fail(c, "a grid of %s", wq_dtype(g.grid->dtype)->text);
	if (!wq_tensor_count(g.y))
		return;
	if (!wq_tensor_count(x))
		wq_call_fail(c, "the operand is empty");
	wq_steps(g.k, x->dim + 2, g.step);
	g.in_size = wq_product(x->dim, 2, x->rank);
	g.places = wq_product(g.y->dim, 2, g.y->rank);
	wq_parallel(c, x->dim[0] * g.places, 1024 / (g.channels + 1) + 1, grid_part, &g);
}
