/* dnnl.c: the heavy f32 operators through oneDNN (2.6 and 3.x); the only includer of its header.
 *
 * Images are channels-last on both sides (layout.c), which oneDNN's fast kernels take on every CPU; weights are in the layout
 * that it likes best, packed once if they are constant. A node keeps one primitive, made anew when its shapes change. What
 * oneDNN refuses, or would do by its reference code, is left to the plain code.
 */
#include "engine/exec.h"
#include "ir/window.h"

#ifndef WQ_DNNL

bool wq_dnnl_matmul(WqCall *c) { return (void)c, false; }
bool wq_dnnl_conv(WqCall *c) { return (void)c, false; }
bool wq_dnnl_conv_transpose(WqCall *c) { return (void)c, false; }
bool wq_dnnl_pool(WqCall *c) { return (void)c, false; }
const char *wq_dnnl_version(void) { return "none"; }

#else

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- the two versions of the library ------------------------------------------------------------------ */

typedef dnnl_memory_desc_t Md;
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t MdRef;
#define REF(md) (md)
#define MD_NONE NULL
#else
typedef const dnnl_memory_desc_t *MdRef;
#define REF(md) (&(md))
#define MD_NONE ((Md){ 0 })
#endif

/* stride NULL: of whatever layout the primitive likes. */
static bool md_make(Md *md, int n, const int64_t *dim, const int64_t *stride)
{
	dnnl_dims_t dims = { 0 }, strides = { 0 };
	memcpy(dims, dim, (size_t)n * sizeof *dim);
	if (stride)
		memcpy(strides, stride, (size_t)n * sizeof *stride);
#if DNNL_VERSION_MAJOR >= 3
	return (stride ? dnnl_memory_desc_create_with_strides(md, n, dims, dnnl_f32, strides)
		: dnnl_memory_desc_create_with_tag(md, n, dims, dnnl_f32, dnnl_format_tag_any)) == dnnl_success;
#else
	return (stride ? dnnl_memory_desc_init_by_strides(md, n, dims, dnnl_f32, strides)
		: dnnl_memory_desc_init_by_tag(md, n, dims, dnnl_f32, dnnl_format_tag_any)) == dnnl_success;
#endif
}

static void md_free(Md *md)
{
#if DNNL_VERSION_MAJOR >= 3
	if (*md)
		dnnl_memory_desc_destroy(*md);
#endif
	*md = MD_NONE;
}

/* What a primitive is made from. */
typedef struct Sides {
	Md src, weight, bias, dst; /* weight: of any layout */
	Md plain;                  /* the weight as the graph has it */
	bool has_weight, has_bias;
	dnnl_dims_t stride, kernel, dilation, begin, end;
} Sides;

static dnnl_engine_t cpu;

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, Sides *s, bool transposed)
{
	const dnnl_prop_kind_t prop = dnnl_forward_inference;
#if DNNL_VERSION_MAJOR >= 3
	Md bias = s->has_bias ? s->bias : NULL;
	return transposed ? dnnl_deconvolution_forward_primitive_desc_create(pd, cpu, prop, dnnl_deconvolution_direct, s->src,
			s->weight, bias, s->dst, s->stride, s->dilation, s->begin, s->end, NULL)
		: dnnl_convolution_forward_primitive_desc_create(pd, cpu, prop, dnnl_convolution_direct, s->src, s->weight, bias,
			s->dst, s->stride, s->dilation, s->begin, s->end, NULL);
#else
	Md *bias = s->has_bias ? &s->bias : NULL;
	dnnl_convolution_desc_t d;
	dnnl_status_t st = transposed ? dnnl_dilated_deconvolution_forward_desc_init(&d, prop, dnnl_deconvolution_direct, &s->src,
			&s->weight, bias, &s->dst, s->stride, s->dilation, s->begin, s->end)
		: dnnl_dilated_convolution_forward_desc_init(&d, prop, dnnl_convolution_direct, &s->src, &s->weight, bias, &s->dst,
			s->stride, s->dilation, s->begin, s->end);
	return st ? st : dnnl_primitive_desc_create(pd, &d, NULL, cpu, NULL);
#endif
}

static dnnl_status_t describe_pool(dnnl_primitive_desc_t *pd, Sides *s, dnnl_alg_kind_t alg)
{
#if DNNL_VERSION_MAJOR >= 3
	return dnnl_pooling_forward_primitive_desc_create(pd, cpu, dnnl_forward_inference, alg, s->src, s->dst, s->stride, s->kernel,
		s->dilation, s->begin, s->end, NULL);
#else
	dnnl_pooling_v2_desc_t d;
	dnnl_status_t st = dnnl_pooling_v2_forward_desc_init(&d, dnnl_forward_inference, alg, &s->src, &s->dst, s->stride, s->kernel,
		s->dilation, s->begin, s->end);
	return st ? st : dnnl_primitive_desc_create(pd, &d, NULL, cpu, NULL);
#endif
}

static dnnl_status_t describe_matmul(dnnl_primitive_desc_t *pd, Sides *s)
{
#if DNNL_VERSION_MAJOR >= 3
	return dnnl_matmul_primitive_desc_create(pd, cpu, s->src, s->weight, NULL, s->dst, NULL);
#else
	dnnl_matmul_desc_t d;
	dnnl_status_t st = dnnl_matmul_desc_init(&d, &s->src, &s->weight, NULL, &s->dst);
	return st ? st : dnnl_primitive_desc_create(pd, &d, NULL, cpu, NULL);
#endif
}

/* ---- a node's primitive ----------------------------------------------------------------------------------- */

typedef struct Key {
	int rank[3];
	bool bias;
	int64_t dim[3][WQ_MAX_RANK];
} Key;

typedef struct Prim {
	Key key;
	bool made, usable;
	dnnl_stream_t stream;
	dnnl_primitive_t run, pack; /* pack: weight to the layout of run; NULL: as it is */
	dnnl_memory_t src, weight, plain, bias, dst;
	void *packed;
	bool filled; /* packed holds a constant weight */
} Prim;

static void prim_clear(void *arg)
{
	Prim *p = arg;
	dnnl_memory_t mem[] = { p->src, p->weight, p->plain, p->bias, p->dst };
	for (int i = 0; i < WQ_COUNTOF(mem); i++)
		if (mem[i])
			dnnl_memory_destroy(mem[i]);
	if (p->run)
		dnnl_primitive_destroy(p->run);
	if (p->pack)
		dnnl_primitive_destroy(p->pack);
	if (p->stream)
		dnnl_stream_destroy(p->stream);
	wq_raw_free(p->packed);
	*p = (Prim){ 0 };
}

static void start_once(void)
{
	if (dnnl_engine_create(&cpu, dnnl_cpu, 0))
		cpu = NULL;
}

static bool start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, start_once);
	return cpu != NULL;
}

static void key_of(const WqCall *c, Key *k)
{
	const WqTensor *t[3] = { c->in[0], c->n_in > 1 ? c->in[1] : NULL, &c->out[0] };
	memset(k, 0, sizeof *k);
	for (int i = 0; i < 3; i++)
		if (t[i]) {
			k->rank[i] = t[i]->rank;
			memcpy(k->dim[i], t[i]->dim, (size_t)t[i]->rank * sizeof *t[i]->dim);
		}
	k->bias = c->n_in > 2 && c->in[2];
}

/* The node's primitive if its shapes are the last ones; else an empty one to be made. */
static Prim *prim_of(WqCall *c)
{
	Prim *p = *c->cache;
	Key key;
	key_of(c, &key);
	if (!p) {
		p = WQ_NEW(c->cache_arena, Prim);
		wq_defer(c->cache_arena, prim_clear, p);
		*c->cache = p;
	}
	if (p->made && memcmp(&p->key, &key, sizeof key))
		prim_clear(p);
	p->key = key;
	return p;
}

static bool memory(dnnl_memory_t *m, MdRef md) { return dnnl_memory_create(m, md, cpu, DNNL_MEMORY_NONE) == dnnl_success; }

/* Memories and the packing of the weight, once pd is known. */
static bool prim_finish(Prim *p, dnnl_primitive_desc_t pd, Sides *s)
{
	const char *impl = "";
	dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &impl);
	if (!strncmp(impl, "ref", 3) || dnnl_stream_create(&p->stream, cpu, dnnl_stream_default_flags) ||
		dnnl_primitive_create(&p->run, pd) || !memory(&p->src, REF(s->src)) || !memory(&p->dst, REF(s->dst)))
		return false;
	if (s->has_bias && !memory(&p->bias, REF(s->bias)))
		return false;
	if (!s->has_weight)
		return true;
	MdRef want = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
	if (!memory(&p->weight, want))
		return false;
	if (dnnl_memory_desc_equal(want, REF(s->plain)))
		return true;
	dnnl_primitive_desc_t re = NULL;
	bool ok = memory(&p->plain, REF(s->plain)) &&
		!dnnl_reorder_primitive_desc_create(&re, REF(s->plain), cpu, want, cpu, NULL) && !dnnl_primitive_create(&p->pack, re);
	if (re)
		dnnl_primitive_desc_destroy(re);
	if (ok)
		p->packed = wq_raw_alloc(dnnl_memory_desc_get_size(want));
	return ok;
}

static void sides_free(Sides *s)
{
	Md *all[] = { &s->src, &s->weight, &s->bias, &s->dst, &s->plain };
	for (int i = 0; i < WQ_COUNTOF(all); i++)
		md_free(all[i]);
}

enum { CONV, DECONV, MAX_POOL, AVERAGE_POOL, AVERAGE_POOL_PADDED, MATMUL };

static bool prim_make(Prim *p, Sides *s, int what)
{
	dnnl_primitive_desc_t pd = NULL;
	dnnl_status_t st = what == MATMUL ? describe_matmul(&pd, s)
		: what == CONV || what == DECONV ? describe_conv(&pd, s, what == DECONV)
		: describe_pool(&pd, s, what == MAX_POOL ? dnnl_pooling_max
			: what == AVERAGE_POOL ? dnnl_pooling_avg_exclude_padding : dnnl_pooling_avg_include_padding);
	bool ok = st == dnnl_success && prim_finish(p, pd, s);
	if (pd)
		dnnl_primitive_desc_destroy(pd);
	return ok;
}

static int set_threads(int n)
{
#ifdef _OPENMP
	int before = omp_get_max_threads();
	omp_set_num_threads(n);
	return before;
#else
	return n;
#endif
}

static bool pack(Prim *p, const void *weight, bool constant)
{
	if (!p->pack) {
		dnnl_memory_set_data_handle(p->weight, (void *)(uintptr_t)weight);
		return true;
	}
	if (p->filled)
		return true;
	dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, p->plain }, { DNNL_ARG_TO, p->weight } };
	dnnl_memory_set_data_handle(p->plain, (void *)(uintptr_t)weight);
	dnnl_memory_set_data_handle(p->weight, p->packed);
	p->filled = constant;
	return !dnnl_primitive_execute(p->pack, p->stream, 2, args) && !dnnl_stream_wait(p->stream);
}

static bool prim_run(WqCall *c, Prim *p, int weight)
{
	dnnl_exec_arg_t args[4];
	int n = 0;
	if (weight >= 0) {
		if (!pack(p, c->in[weight]->data, wq_call_is_const(c, weight)))
			return false;
		args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_WEIGHTS, p->weight };
	}
	if (p->bias) {
		dnnl_memory_set_data_handle(p->bias, c->in[2]->data);
		args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_BIAS, p->bias };
	}
	dnnl_memory_set_data_handle(p->src, c->in[0]->data);
	dnnl_memory_set_data_handle(p->dst, c->out[0].data);
	args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_SRC, p->src };
	args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_DST, p->dst };
	return !dnnl_primitive_execute(p->run, p->stream, n, args) && !dnnl_stream_wait(p->stream);
}

/* The node's primitive for its operands' shapes; NULL if oneDNN or describe() refuses. */
static Prim *prim_ready(WqCall *c, int what, bool (*describe)(WqCall *c, int what, Sides *s))
{
	if (c->out[0].dtype != WQ_F32 || !c->cache || !start())
		return NULL;
	Prim *p = prim_of(c);
	if (!p->made) {
		Sides s = { .src = MD_NONE };
		int before = set_threads(c->threads);
		p->usable = describe(c, what, &s) && prim_make(p, &s, what);
		p->made = true;
		set_threads(before);
		sides_free(&s);
	}
	return p->usable ? p : NULL;
}

static bool prim_go(WqCall *c, Prim *p, int weight)
{
	int before = set_threads(c->threads);
	bool ok = prim_run(c, p, weight);
	set_threads(before);
	return ok;
}

/* ---- windows ------------------------------------------------------------------------------------------------- */

static void strides_of(int n, const int64_t *dim, const int *order, int64_t *stride)
{
	int64_t step = 1;
	for (int i = n - 1; i >= 0; i--) {
		stride[order[i]] = step;
		step *= dim[order[i]];
	}
}

static bool image_md(Md *md, const WqTensor *t)
{
	int order[WQ_MAX_RANK];
	int64_t stride[WQ_MAX_RANK];
	for (int d = 0; d < t->rank; d++)
		order[d] = d == 0 ? 0 : d == t->rank - 1 ? 1 : d + 1;
	strides_of(t->rank, t->dim, order, stride);
	return md_make(md, t->rank, t->dim, stride);
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
	return md_make(&s->plain, n - skip, dim + skip, stride + skip) && md_make(&s->weight, n - skip, dim + skip, NULL);
}

/* Geometry as oneDNN counts it: dilation 0 is dense, and the padding at the end is what makes the sizes agree. */
static bool window_sides(WqCall *c, const WqWindow *w, bool transposed, Sides *s)
{
	if (c->in[0]->rank > 5)
		return false;
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
	return image_md(&s->src, c->in[0]) && image_md(&s->dst, &c->out[0]);
}

static bool describe_windowed(WqCall *c, int what, Sides *s)
{
	const WqTensor *x = c->in[0], *w = c->in[1];
	WqWindow win;
	if (wq_window_attrs(c->node, x->rank - 2, w->dim + 2, &win))
		return false;
	memcpy(win.in, x->dim + 2, (size_t)win.n * sizeof *win.in);
	if (what == DECONV ? wq_window_resolve_transposed(c->node, &win) : wq_window_resolve(c->node, &win))
		return false;
	int64_t one = 1, m = c->out[0].dim[1];
	s->has_bias = c->n_in > 2 && c->in[2];
	return wq_tensor_count(w) && window_sides(c, &win, what == DECONV, s) &&
		weight_md(s, w, wq_attr_i(c->node, "group"), what == DECONV) && (!s->has_bias || md_make(&s->bias, 1, &m, &one));
}

/* Both sides channels-last, in whatever layout the operand comes. */
static bool on_images(WqCall *c, int what, int weight, bool (*describe)(WqCall *c, int what, Sides *s))
{
	Prim *p = prim_ready(c, what, describe);
	if (!p)
		return false;
	wq_layout_operand(c, 0, true);
	if (!prim_go(c, p, weight))
		return false;
	c->vout[0]->channels_last = true;
	return true;
}

bool wq_dnnl_conv(WqCall *c) { return on_images(c, CONV, 1, describe_windowed); }
bool wq_dnnl_conv_transpose(WqCall *c) { return on_images(c, DECONV, 1, describe_windowed); }

static bool describe_pooling(WqCall *c, int what, Sides *s)
{
	const WqTensor *x = c->in[0];
	WqWindow w;
	if (wq_window_attrs(c->node, x->rank - 2, NULL, &w))
		return false;
	memcpy(w.in, x->dim + 2, (size_t)w.n * sizeof *w.in);
	if (wq_window_resolve(c->node, &w) || !window_sides(c, &w, false, s))
		return false;
	for (int d = 0; d < w.n; d++) { /* windows in nothing but padding, or past the padding that counts */
		int64_t extent = wq_window_extent(&w, d);
		if (s->begin[d] >= extent || s->end[d] >= extent || (what == AVERAGE_POOL_PADDED && s->end[d] > w.end[d]))
			return false;
	}
	return true;
}

bool wq_dnnl_pool(WqCall *c)
{
	if (c->node->op == OP_MaxPool)
		return !(c->n_out > 1 && c->vout[1]) && on_images(c, MAX_POOL, -1, describe_pooling);
	bool padded = wq_attr_i(c->node, "count_include_pad");
	return on_images(c, padded ? AVERAGE_POOL_PADDED : AVERAGE_POOL, -1, describe_pooling);
}

/* ---- MatMul ---------------------------------------------------------------------------------------------------- */

enum { SMALL_PRODUCT = 2048 }; /* multiplications that are not worth a call */

static int64_t product(const int64_t *v, int n)
{
	int64_t p = 1;
	for (int i = 0; i < n; i++)
		p *= v[i];
	return p;
}

static bool dense_md(Md *md, int n, const int64_t *dim)
{
	static const int order[] = { 0, 1, 2 };
	int64_t stride[3];
	strides_of(n, dim, order, stride);
	return md_make(md, n, dim, stride);
}

/* A stack of rows times one matrix, or matrices in pairs; other broadcasts are left to the plain code. */
static bool describe_product(WqCall *c, int what, Sides *s)
{
	(void)what;
	const WqTensor *a = c->in[0], *b = c->in[1];
	bool row = a->rank == 1, col = b->rank == 1;
	int64_t M = row ? 1 : a->dim[a->rank - 2], N = col ? 1 : b->dim[b->rank - 1], K = a->dim[a->rank - 1];
	int64_t batch_a = row ? 1 : product(a->dim, a->rank - 2), batch_b = col ? 1 : product(b->dim, b->rank - 2);
	if (K == 0 || M * N * K * (batch_a > batch_b ? batch_a : batch_b) < SMALL_PRODUCT)
		return false;
	bool one = batch_b == 1;
	if (!one && ((batch_a != batch_b && batch_a != 1) || product(c->out[0].dim, c->out[0].rank) != batch_b * M * N))
		return false;
	int64_t x[3] = { batch_a, M, K }, w[3] = { batch_b, K, N }, y[3] = { batch_b, M, N };
	if (one)
		x[1] = y[1] = batch_a * M;
	s->has_weight = true;
	int n = one ? 2 : 3;
	return dense_md(&s->src, n, x + one) && dense_md(&s->plain, n, w + one) && dense_md(&s->dst, n, y + one) &&
		(wq_call_is_const(c, 1) ? md_make(&s->weight, n, w + one, NULL) : dense_md(&s->weight, n, w + one));
}

bool wq_dnnl_matmul(WqCall *c)
{
	Prim *p = prim_ready(c, MATMUL, describe_product);
	return p && prim_go(c, p, 1);
}

const char *wq_dnnl_version(void)
{
	static char text[32];
	const dnnl_version_t *v = dnnl_version();
	snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
	return text;
}

#endif
