/* dnnl_ops.c: the heavy f32 operators through oneDNN.
 *
 * Images are channels-last on both sides (layout.c), which oneDNN's fast kernels take on every CPU; weights are in the layout
 * that it likes best. What oneDNN refuses, or would do by its reference code, is left to the plain code.
 */
#ifndef WQ_DNNL

#include "engine/engine.h"

bool wq_dnnl_matmul(WqCall *c) { return (void)c, false; }
bool wq_dnnl_conv(WqCall *c) { return (void)c, false; }
bool wq_dnnl_conv_transpose(WqCall *c) { return (void)c, false; }
bool wq_dnnl_pool(WqCall *c) { return (void)c, false; }
const char *wq_dnnl_version(void) { return "none"; }

#else

#include "engine/dnnl_lib.h"

/* ---- windows ------------------------------------------------------------------------------------------------- */

static void strides_of(int n, const int64_t *dim, const int *order, int64_t *stride)
{
	int64_t step = 1;
	WQ_ASSERT(n > 0);
	for (int i = n - 1; i >= 0; i--) {
		stride[order[i]] = step;
		step *= dim[order[i]];
	}
}

static bool image_md(Md *md, int rank, const int64_t *dim)
{
	int order[WQ_MAX_RANK];
	int64_t stride[WQ_MAX_RANK];
	for (int d = 0; d < rank; d++)
		order[d] = d == 0 ? 0 : d == rank - 1 ? 1 : d + 1;
	strides_of(rank, dim, order, stride);
	return wq_md_make(md, rank, dim, stride);
}

/* [group, out, in, taps...], which lies in memory as [group, out, in, ...] or (transposed) [group, in, out, ...]. */
static bool weight_md(Sides *s, const WqTensor *w, int64_t group, bool transposed)
{
	int64_t dim[WQ_MAX_RANK + 1], stride[WQ_MAX_RANK + 1];
	int order[WQ_MAX_RANK + 1], n = w->rank + 1;
	dim[0] = group;
	dim[1] = transposed ? w->dim[1] : w->dim[0] / group;
	dim[2] = transposed ? w->dim[0] / group : w->dim[1];
	for (int d = 0; d < n; d++)
		order[d] = transposed && (d == 1 || d == 2) ? 3 - d : d;
	memcpy(dim + 3, w->dim + 2, (size_t)(w->rank - 2) * sizeof *dim);
	strides_of(n, dim, order, stride);
	int skip = group == 1;
	s->has_weight = true;
	return wq_md_make(&s->plain, n - skip, dim + skip, stride + skip) && wq_md_make(&s->weight, n - skip, dim + skip, NULL);
}

/* Geometry as oneDNN counts it: dilation 0 is dense, and the padding at the end is what makes the sizes agree. */
static bool window_sides(WqCall *c, const WqWindow *whole, bool transposed, const Part *part, Sides *s)
{
	WqWindow cut = *whole, *w = &cut;
	int rank = c->in[0]->rank;
	int64_t x[5], y[5];
	if (rank > 5)
		return false;
	if (part->in) {
		w->in[0] = part->in;
		w->out[0] = part->out;
		w->begin[0] = part->begin;
		w->end[0] = part->end;
	}
	for (int d = 0; d < w->n; d++) {
		int64_t small = transposed ? w->in[d] : w->out[d], large = transposed ? w->out[d] : w->in[d];
		s->stride[d] = w->stride[d];
		s->kernel[d] = w->kernel[d];
		s->dilation[d] = w->dilation[d] - 1;
		s->begin[d] = w->begin[d];
		int64_t extent = wq_window_extent(w, d), fit = (small - 1) * w->stride[d] + extent - large - w->begin[d];
		bool floors = !transposed && (large + w->begin[d] + w->end[d] - extent) / w->stride[d] + 1 == small;
		s->end[d] = floors ? w->end[d] : fit;
		if (w->begin[d] < 0 || w->end[d] < 0 || large < 1 || small < 1)
			return false;
	}
	for (int d = 0; d < rank; d++) {
		x[d] = d == 0 && part->n ? part->n : d < 2 ? c->in[0]->dim[d] : w->in[d - 2];
		y[d] = d == 0 && part->n ? part->n : d < 2 ? c->out[0].dim[d] : w->out[d - 2];
	}
	return image_md(&s->src, rank, x) && image_md(&s->dst, rank, y);
}

enum { MAX_PADDING = 1024 }; /* beyond the window's extent */

static bool window_of(WqCall *c, const int64_t *kernel, bool transposed, WqWindow *w)
{
	const WqTensor *x = c->in[0];
	if (wq_window_attrs(c->node, x->rank - 2, kernel, w))
		return false;
	memcpy(w->in, x->dim + 2, (size_t)w->n * sizeof *w->in);
	if (transposed ? wq_window_resolve_transposed(c->node, w) : wq_window_resolve(c->node, w))
		return false;
	/* oneDNN generates code for every column of the padding: windows that lie in nothing but padding are not for it. */
	for (int d = 0; d < w->n; d++)
		if (w->begin[d] > MAX_PADDING + wq_window_extent(w, d) || w->end[d] > MAX_PADDING + wq_window_extent(w, d))
			return false;
	return true;
}

static bool describe_windowed(WqCall *c, int what, const Part *part, Sides *s)
{
	const WqTensor *w = c->in[1];
	WqWindow win;
	int64_t one = 1, m = c->out[0].dim[1];
	s->has_bias = c->n_in > 2 && c->in[2];
	return wq_tensor_count(w) && window_of(c, w->dim + 2, what == DECONV, &win) &&
		window_sides(c, &win, what == DECONV, part, s) && weight_md(s, w, wq_attr_i(c->node, "group"), what == DECONV) &&
		(!s->has_bias || wq_md_make(&s->bias, 1, &m, &one));
}

static int64_t product(const int64_t *v, int n)
{
	int64_t p = 1;
	for (int i = 0; i < n; i++)
		p *= v[i];
	return p;
}

enum { JOB_WORK = 4 << 20 }; /* multiplications that are worth a job of their own */

/* Rows [o0, o1) of the first spatial axis, of image i. */
static Job rows_job(const WqWindow *w, int64_t i, int64_t o0, int64_t o1, int64_t row_in, int64_t row_out)
{
	int64_t first = o0 * w->stride[0] - w->begin[0], last = (o1 - 1) * w->stride[0] - w->begin[0] + wq_window_extent(w, 0);
	int64_t lo = first > 0 ? first : 0, hi = last < w->in[0] ? last : w->in[0];
	return (Job){ .part = { 1, hi - lo, o1 - o0, lo - first, last - hi }, .at_src = (size_t)((i * w->in[0] + lo) * row_in),
		.at_dst = (size_t)((i * w->out[0] + o0) * row_out) };
}

/* Into groups of images; the rows of one image, where it is large and alone. */
static void cut_windowed(WqCall *c, Prim *p)
{
	const WqTensor *x = c->in[0], *y = &c->out[0];
	int64_t images = x->dim[0], space_in = wq_tensor_count(x) / images, space_out = wq_tensor_count(y) / images;
	int64_t each = wq_tensor_count(c->in[1]) / y->dim[1] * (p->what == DECONV ? space_in : space_out) + 1;
	if (images > 1) {
		int64_t jobs = images * each / JOB_WORK < MAX_JOBS ? images * each / JOB_WORK + 1 : MAX_JOBS;
		int64_t n = (images + jobs - 1) / jobs;
		p->n_job = (int)((images + n - 1) / n);
		for (int j = 0; j < p->n_job; j++)
			p->job[j] = (Job){ .part.n = j * n + n < images ? n : images - j * n, .at_src = (size_t)(j * n * space_in),
				.at_dst = (size_t)(j * n * space_out) };
		return;
	}
	WqWindow w;
	int64_t jobs = each / JOB_WORK / 2 < MAX_JOBS ? each / JOB_WORK / 2 : MAX_JOBS, rows = y->dim[2];
	if (p->what != CONV || jobs < 2 || rows < 4 * jobs || !window_of(c, c->in[1]->dim + 2, false, &w))
		return;
	int64_t n = (rows + jobs - 1) / jobs;
	p->n_job = (int)((rows + n - 1) / n);
	for (int j = 0; j < p->n_job; j++)
		p->job[j] = rows_job(&w, 0, j * n, j * n + n < rows ? j * n + n : rows, space_in / x->dim[2], space_out / rows);
}

/* Both sides channels-last, in whatever layout the operand comes. */
static bool on_images(WqCall *c, int what, int weight, const Kind *op)
{
	Prim *p = wq_prim_ready(c, what, op);
	if (!p)
		return false;
	wq_layout_operand(c, 0, true);
	if (!wq_prim_run(c, p, weight))
		return false;
	c->vout[0]->channels_last = true;
	return true;
}

static const Kind windowed = { describe_windowed, cut_windowed };

bool wq_dnnl_conv(WqCall *c) { return on_images(c, CONV, 1, &windowed); }
bool wq_dnnl_conv_transpose(WqCall *c) { return on_images(c, DECONV, 1, &windowed); }

static bool describe_pooling(WqCall *c, int what, const Part *part, Sides *s)
{
	WqWindow w;
	if (!window_of(c, NULL, false, &w) || !window_sides(c, &w, false, part, s))
		return false;
	for (int d = 0; d < w.n; d++) { /* windows in nothing but padding, or past the padding that counts */
		int64_t extent = wq_window_extent(&w, d);
		if (s->begin[d] >= extent || s->end[d] >= extent || (what == AVERAGE_POOL_PADDED && s->end[d] > w.end[d]))
			return false;
	}
	return true;
}

static void cut_images(WqCall *c, Prim *p)
{
	int64_t images = c->in[0]->dim[0], n = (images + MAX_JOBS - 1) / MAX_JOBS;
	int64_t in = wq_tensor_count(c->in[0]) / images, out = wq_tensor_count(&c->out[0]) / images;
	p->n_job = (int)((images + n - 1) / n);
	for (int j = 0; j < p->n_job; j++)
		p->job[j] = (Job){ .part.n = j * n + n < images ? n : images - j * n, .at_src = (size_t)(j * n * in),
			.at_dst = (size_t)(j * n * out) };
}

static const Kind pooling = { describe_pooling, cut_images };

bool wq_dnnl_pool(WqCall *c)
{
	if (c->node->op == OP_MaxPool)
		return !(c->n_out > 1 && c->vout[1]) && on_images(c, MAX_POOL, -1, &pooling);
	bool padded = wq_attr_i(c->node, "count_include_pad");
	return on_images(c, padded ? AVERAGE_POOL_PADDED : AVERAGE_POOL, -1, &pooling);
}

/* ---- MatMul ---------------------------------------------------------------------------------------------------- */

enum { SMALL_PRODUCT = 2048 }; /* multiplications that are not worth a call */

static bool dense_md(Md *md, int n, const int64_t *dim)
{
	static const int order[] = { 0, 1, 2 };
	int64_t stride[3];
	strides_of(n, dim, order, stride);
	return wq_md_make(md, n, dim, stride);
}

typedef struct Product {
	int64_t M, N, K, batch_a, batch_b;
} Product;

/* A stack of rows times one matrix (batch_b 1, M all rows), or matrices in pairs; other broadcasts are left to the plain code. */
static bool product_of(WqCall *c, Product *p)
{
	const WqTensor *a = c->in[0], *b = c->in[1];
	bool row = a->rank == 1, col = b->rank == 1;
	p->M = row ? 1 : a->dim[a->rank - 2];
	p->N = col ? 1 : b->dim[b->rank - 1];
	p->K = a->dim[a->rank - 1];
	p->batch_a = row ? 1 : product(a->dim, a->rank - 2);
	p->batch_b = col ? 1 : product(b->dim, b->rank - 2);
	int64_t batch = p->batch_a > p->batch_b ? p->batch_a : p->batch_b;
	if (p->K == 0 || p->M * p->N * p->K * batch < SMALL_PRODUCT)
		return false;
	if (p->batch_b == 1) {
		p->M *= p->batch_a;
		p->batch_a = 1;
		return true;
	}
	return (p->batch_a == p->batch_b || p->batch_a == 1) && wq_tensor_count(&c->out[0]) == p->batch_b * p->M * p->N;
}

static bool describe_product(WqCall *c, int what, const Part *part, Sides *s)
{
	(void)what;
	Product p;
	if (!product_of(c, &p))
		return false;
	bool one = p.batch_b == 1;
	if (part->n && one)
		p.M = part->n;
	else if (part->n)
		p.batch_b = part->n;
	if (p.batch_a > p.batch_b)
		p.batch_a = p.batch_b;
	int64_t x[3] = { p.batch_a, p.M, p.K }, w[3] = { p.batch_b, p.K, p.N }, y[3] = { p.batch_b, p.M, p.N };
	int n = one ? 2 : 3;
	s->has_weight = true;
	return dense_md(&s->src, n, x + one) && dense_md(&s->plain, n, w + one) && dense_md(&s->dst, n, y + one) &&
		(one && wq_call_is_const(c, 1) ? wq_md_make(&s->weight, n, w + one, NULL) : dense_md(&s->weight, n, w + one));
}

static void cut_product(WqCall *c, Prim *prim)
{
	Product p;
	if (!product_of(c, &p))
		return;
	bool one = p.batch_b == 1;
	int64_t items = one ? p.M : p.batch_b, work = items * (one ? 1 : p.M) * p.N * p.K;
	int64_t jobs = work / JOB_WORK < MAX_JOBS ? work / JOB_WORK : MAX_JOBS;
	if (jobs < 2 || items < jobs * (one ? 16 : 1))
		return;
	int64_t n = (items + jobs - 1) / jobs, a = one ? p.K : p.batch_a == 1 ? 0 : p.M * p.K, y = one ? p.N : p.M * p.N;
	prim->n_job = (int)((items + n - 1) / n);
	for (int j = 0; j < prim->n_job; j++)
		prim->job[j] = (Job){ .part.n = j * n + n < items ? n : items - j * n, .at_src = (size_t)(j * n * a),
			.at_dst = (size_t)(j * n * y), .at_weight = one ? 0 : (size_t)(j * n * p.K * p.N) };
}

bool wq_dnnl_matmul(WqCall *c)
{
	static const Kind op = { describe_product, cut_product };
	Prim *p = wq_prim_ready(c, MATMUL, &op);
	return p && wq_prim_run(c, p, 1);
}

#endif
