/* eval_boxes.c: RoiAlign, MaxRoiPool, NonMaxSuppression. */
#include <stdlib.h>

#include "engine/convert.h"
#include "engine/ew.h"
#include "engine/move.h"

/* An operand as doubles. */
static const double *as_doubles(WqCall *c, int i)
{
	int64_t n = wq_tensor_count(c->in[i]);
	double *v = wq_call_scratch(c, n + 1, sizeof *v);
	wq_convert(WQ_F64, v, c->in[i]->dtype, c->in[i]->data, n, true, 'n');
	return v;
}

static void put(WqTensor *y, int64_t i, double v)
{
	wq_convert(y->dtype, (char *)y->data + (size_t)i * wq_dtype_size(y->dtype), WQ_F64, &v, 1, true, 'n');
}

/* ---- RoiAlign -------------------------------------------------------------------------------- */

typedef struct Point { /* a bilinear sample of an image */
	int64_t at[4];
	double w[4];
} Point;

/* One box: bins of ph x pw, each of gh x gw samples. */
typedef struct Box {
	double y0, x0, bin_h, bin_w;
	int64_t gh, gw;
} Box;

static Box box_of(const WqCall *c, const double *r, int64_t ph, int64_t pw)
{
	double scale = wq_attr_f(c->node, "spatial_scale");
	bool half = wq_attr_i(c->node, "half_pixel") != 0;
	int64_t ratio = wq_attr_i(c->node, "sampling_ratio");
	double off = half ? 0.5 : 0, w = (r[2] - r[0]) * scale, h = (r[3] - r[1]) * scale;
	if (!half) {
		w = w > 1 ? w : 1;
		h = h > 1 ? h : 1;
	}
	Box b = {r[1] * scale - off, r[0] * scale - off, h / (double)ph, w / (double)pw, ratio, ratio};
	double gh = ratio > 0 ? (double)ratio : ceil(b.bin_h), gw = ratio > 0 ? (double)ratio : ceil(b.bin_w);
	gh = gh > 0 ? gh : 0;
	gw = gw > 0 ? gw : 0;
	if (!(gh * gw * (double)ph * (double)pw < 1e8))
		wq_call_fail(c, "a box of %g x %g needs too many samples", r[2] - r[0], r[3] - r[1]);
	b.gh = (int64_t)gh;
	b.gw = (int64_t)gw;
	return b;
}

static Point point_at(double y, double x, int64_t h, int64_t w)
{
	Point p = {{0}, {0}};
	if (!(y >= -1 && y <= (double)h && x >= -1 && x <= (double)w))
		return p;
	y = y > 0 ? y : 0;
	x = x > 0 ? x : 0;
	int64_t y0 = (int64_t)y, x0 = (int64_t)x, y1 = y0 + 1, x1 = x0 + 1;
	if (y0 >= h - 1)
		y = (double)(y0 = y1 = h - 1);
	if (x0 >= w - 1)
		x = (double)(x0 = x1 = w - 1);
	double ly = y - (double)y0, lx = x - (double)x0;
	int64_t at[4] = {y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1};
	double weight[4] = {(1 - ly) * (1 - lx), (1 - ly) * lx, ly * (1 - lx), ly * lx};
	memcpy(p.at, at, sizeof at);
	memcpy(p.w, weight, sizeof weight);
	return p;
}

/* A bin's average, or the largest of all weighted neighbours (which is what the operator's `max` computes). */
static double bin_value(const Point *p, int64_t n, const double *image, bool avg)
{
	double v = 0;
	for (int64_t i = 0; i < n; i++)
		for (int k = 0; k < 4; k++) {
			double t = p[i].w[k] * image[p[i].at[k]];
			v = avg ? v + t : (i == 0 && k == 0) || t > v ? t : v;
		}
	return avg && n ? v / (double)n : v;
}

static void align_box(WqCall *c, const double *x, const double *roi, int64_t n, int64_t batch, bool avg)
{
	WqTensor *y = &c->out[0];
	int64_t h = c->in[0]->dim[2], w = c->in[0]->dim[3], channels = y->dim[1], ph = y->dim[2], pw = y->dim[3];
	Box b = box_of(c, roi, ph, pw);
	int64_t each = b.gh * b.gw;
	Point *p = wq_raw_alloc_dirty((size_t)(ph * pw * each + 1) * sizeof *p), *q = p;
	for (int64_t i = 0; i < ph; i++)
		for (int64_t j = 0; j < pw; j++)
			for (int64_t iy = 0; iy < b.gh; iy++)
				for (int64_t ix = 0; ix < b.gw; ix++)
					*q++ = point_at(b.y0 + (double)i * b.bin_h +
								((double)iy + 0.5) * b.bin_h / (double)b.gh,
							b.x0 + (double)j * b.bin_w +
								((double)ix + 0.5) * b.bin_w / (double)b.gw,
							h, w);
	for (int64_t ch = 0; ch < channels; ch++)
		for (int64_t k = 0; k < ph * pw; k++)
			put(y, (n * channels + ch) * ph * pw + k,
			    bin_value(p + k * each, each, x + (batch * channels + ch) * h * w, avg));
	wq_raw_free(p);
}

void eval_roi_align(WqCall *c)
{
	const char *mode = wq_attr_s(c->node, "mode");
	bool avg = !strcmp(mode, "avg");
	if (!avg && strcmp(mode, "max"))
		wq_call_fail(c, "mode '%s'", mode);
	if (wq_tensor_count(&c->out[0]) == 0)
		return;
	if (wq_tensor_count(c->in[0]) == 0)
		wq_call_fail(c, "the operand is empty");
	if (wq_tensor_count(c->in[2]) != c->out[0].dim[0])
		wq_call_fail(c, "%lld batch indices for %lld boxes", (long long)wq_tensor_count(c->in[2]), (long long)c->out[0].dim[0]);
	int64_t *batch = wq_call_indices(c, 2, c->in[0]->dim[0]);
	const double *x = as_doubles(c, 0), *roi = as_doubles(c, 1);
	for (int64_t n = 0; n < c->out[0].dim[0]; n++)
		align_box(c, x, roi + n * 4, n, batch[n], avg);
}

/* ---- MaxRoiPool ------------------------------------------------------------------------------ */

/* Bin i of n over [start, start + size), cut to [0, limit). */
static void bin_range(int64_t i, int64_t n, double start, double size, int64_t limit, int64_t *from, int64_t *to)
{
	double a = floor((double)i * size / (double)n) + start, b = ceil((double)(i + 1) * size / (double)n) + start;
	*from = a < 0 ? 0 : a > (double)limit ? limit : (int64_t)a;
	*to = b < 0 ? 0 : b > (double)limit ? limit : (int64_t)b;
}

static double bin_max(const double *image, int64_t w, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
	double v = y0 < y1 && x0 < x1 ? -INFINITY : 0;
	for (int64_t y = y0; y < y1; y++)
		for (int64_t x = x0; x < x1; x++)
			v = image[y * w + x] > v ? image[y * w + x] : v;
	return v;
}

static void pool_box(WqCall *c, const double *x, const double *roi, int64_t n)
{
	WqTensor *y = &c->out[0];
	const int64_t *d = c->in[0]->dim, ph = y->dim[2], pw = y->dim[3];
	double scale = wq_attr_f(c->node, "spatial_scale"), v[4];
	for (int i = 0; i < 4; i++) {
		v[i] = round(roi[1 + i] * scale);
		if (!(fabs(v[i]) < 1e15))
			wq_call_fail(c, "box %lld is not finite", (long long)n);
	}
	if (!(roi[0] >= 0 && roi[0] < (double)d[0]))
		wq_call_fail(c, "box %lld is of image %g of %lld", (long long)n, roi[0], (long long)d[0]);
	double w = v[2] - v[0] + 1, h = v[3] - v[1] + 1;
	w = w > 1 ? w : 1;
	h = h > 1 ? h : 1;
	const double *image = x + (int64_t)roi[0] * d[1] * d[2] * d[3];
	for (int64_t ch = 0; ch < d[1]; ch++)
		for (int64_t i = 0; i < ph; i++)
			for (int64_t j = 0; j < pw; j++) {
				int64_t y0, y1, x0, x1;
				bin_range(i, ph, v[1], h, d[2], &y0, &y1);
				bin_range(j, pw, v[0], w, d[3], &x0, &x1);
				put(y, ((n * d[1] + ch) * ph + i) * pw + j,
				    bin_max(image + ch * d[2] * d[3], d[3], y0, y1, x0, x1));
			}
}

void eval_max_roi_pool(WqCall *c)
{
	if (wq_tensor_count(&c->out[0]) == 0)
		return;
	const double *x = as_doubles(c, 0), *roi = as_doubles(c, 1);
	for (int64_t n = 0; n < c->out[0].dim[0]; n++)
		pool_box(c, x, roi + n * 5, n);
}

/* ---- NonMaxSuppression ----------------------------------------------------------------------- */

typedef struct Scored {
	float score;
	int64_t i;
} Scored;

static int score_cmp(const void *pa, const void *pb)
{
	const Scored *a = pa, *b = pb;
	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return (a->i > b->i) - (a->i < b->i);
}

/* Corners in order: y0, x0, y1, x1. */
static void corners(const float *b, bool center, float *o)
{
	if (center) {
		o[0] = b[1] - b[3] / 2, o[1] = b[0] - b[2] / 2, o[2] = b[1] + b[3] / 2, o[3] = b[0] + b[2] / 2;
		return;
	}
	for (int i = 0; i < 2; i++) {
		o[i] = b[i] < b[i + 2] ? b[i] : b[i + 2];
		o[i + 2] = b[i] < b[i + 2] ? b[i + 2] : b[i];
	}
}

static bool overlap(const float *a, const float *b, float limit)
{
	float y0 = a[0] > b[0] ? a[0] : b[0], x0 = a[1] > b[1] ? a[1] : b[1];
	float y1 = a[2] < b[2] ? a[2] : b[2], x1 = a[3] < b[3] ? a[3] : b[3];
	float both = (y1 > y0 ? y1 - y0 : 0) * (x1 > x0 ? x1 - x0 : 0);
	float either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
	return both > 0 && either > 0 && both / either > limit;
}

static double scalar(const WqCall *c, int i, double otherwise)
{
	if (i >= c->n_in || !c->in[i])
		return otherwise;
	if (wq_tensor_count(c->in[i]) != 1)
		wq_call_fail(c, "operand %d is not a scalar", i);
	return wq_tensor_get_f(c->in[i], 0);
}

typedef struct Picked {
	int64_t v[3];
} Picked;

void eval_nms(WqCall *c)
{
	const WqTensor *boxes = c->in[0], *scores = c->in[1];
	int64_t n_batch = scores->dim[0], n_class = scores->dim[1], n_box = scores->dim[2],
		most = (int64_t)scalar(c, 2, 0);
	float limit = (float)scalar(c, 3, 0), least = (float)scalar(c, 4, -INFINITY);
	bool center = wq_attr_i(c->node, "center_point_box") != 0, bounded = c->n_in > 4 && c->in[4];
	WQ_VEC(Picked) picked = {0};
	float *corner = WQ_NEW_N(c->tmp, float, wq_mul_checked(n_box, 4, "boxes") + 1);
	Scored *list = WQ_NEW_N(c->tmp, Scored, n_box + 1);
	int64_t *kept = WQ_NEW_N(c->tmp, int64_t, n_box + 1);
	for (int64_t b = 0; b < n_batch && most > 0; b++) {
		for (int64_t i = 0; i < n_box; i++)
			corners((const float *)boxes->data + (b * n_box + i) * 4, center, corner + i * 4);
		for (int64_t k = 0; k < n_class; k++) {
			const float *s = (const float *)scores->data + (b * n_class + k) * n_box;
			int64_t n = 0, n_kept = 0;
			for (int64_t i = 0; i < n_box; i++)
				if (s[i] == s[i] && (!bounded || s[i] > least))
					list[n++] = (Scored){s[i], i};
			qsort(list, (size_t)n, sizeof *list, score_cmp);
			for (int64_t i = 0; i < n && n_kept < most; i++) {
				bool keep = true;
				for (int64_t j = 0; j < n_kept && keep; j++)
					keep = !overlap(corner + list[i].i * 4, corner + kept[j] * 4, limit);
				if (!keep)
					continue;
				kept[n_kept++] = list[i].i;
				WQ_PUSH(c->tmp, picked, ((Picked){{b, k, list[i].i}}));
			}
		}
	}
	wq_call_alloc(c, 0, WQ_I64, 2, (int64_t[]){picked.n, 3});
	if (picked.n)
		memcpy(c->out[0].data, picked.v, (size_t)picked.n * sizeof *picked.v);
}
