/* dnnl.c: the heavy f32 operators through oneDNN (2.6 and 3.x); the only includer of its header.
 *
 * Images are channels-last on both sides (layout.c), which oneDNN's fast kernels take on every CPU; weights are in the layout
 * that it likes best, packed once if they are constant. A node keeps its primitives, made anew when its shapes change. What
 * oneDNN refuses, or would do by its reference code, is left to the plain code.
 *
 * oneDNN orders its sums by the number of threads it finds. So it is given one, and the work is cut here: into jobs of images,
 * rows of an image or rows of a matrix, in a way that depends on the sizes only.
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

static bool md_copy(Md *md, MdRef from)
{
#if DNNL_VERSION_MAJOR >= 3
	return dnnl_memory_desc_clone(md, from) == dnnl_success;
#else
	*md = *from;
	return true;
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
static dnnl_primitive_attr_t own_scratch; /* primitives leave their working memory to the caller */

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, Sides *s, bool transposed)
{
	const dnnl_prop_kind_t prop = dnnl_forward_inference;
#if DNNL_VERSION_MAJOR >= 3
	Md bias = s->has_bias ? s->bias : NULL;
	return transposed ? dnnl_deconvolution_forward_primitive_desc_create(pd, cpu, prop, dnnl_deconvolution_direct, s->src,
			s->weight, bias, s->dst, s->stride, s->dilation, s->begin, s->end, own_scratch)
		: dnnl_convolution_forward_primitive_desc_create(pd, cpu, prop, dnnl_convolution_direct, s->src, s->weight, bias,
			s->dst, s->stride, s->dilation, s->begin, s->end, own_scratch);
#else
	Md *bias = s->has_bias ? &s->bias : NULL;
	dnnl_convolution_desc_t d;
	dnnl_status_t st = transposed ? dnnl_dilated_deconvolution_forward_desc_init(&d, prop, dnnl_deconvolution_direct, &s->src,
			&s->weight, bias, &s->dst, s->stride, s->dilation, s->begin, s->end)
		: dnnl_dilated_convolution_forward_desc_init(&d, prop, dnnl_convolution_direct, &s->src, &s->weight, bias, &s->dst,
			s->stride, s->dilation, s->begin, s->end);
	return st ? st : dnnl_primitive_desc_create(pd, &d, own_scratch, cpu, NULL);
#endif
}

static dnnl_status_t describe_pool(dnnl_primitive_desc_t *pd, Sides *s, dnnl_alg_kind_t alg)
{
#if DNNL_VERSION_MAJOR >= 3
	return dnnl_pooling_forward_primitive_desc_create(pd, cpu, dnnl_forward_inference, alg, s->src, s->dst, s->stride, s->kernel,
		s->dilation, s->begin, s->end, own_scratch);
#else
	dnnl_pooling_v2_desc_t d;
	dnnl_status_t st = dnnl_pooling_v2_forward_desc_init(&d, dnnl_forward_inference, alg, &s->src, &s->dst, s->stride, s->kernel,
		s->dilation, s->begin, s->end);
	return st ? st : dnnl_primitive_desc_create(pd, &d, own_scratch, cpu, NULL);
#endif
}

static dnnl_status_t describe_matmul(dnnl_primitive_desc_t *pd, Sides *s)
{
#if DNNL_VERSION_MAJOR >= 3
	return dnnl_matmul_primitive_desc_create(pd, cpu, s->src, s->weight, NULL, s->dst, own_scratch);
#else
	dnnl_matmul_desc_t d;
	dnnl_status_t st = dnnl_matmul_desc_init(&d, &s->src, &s->weight, NULL, &s->dst);
	return st ? st : dnnl_primitive_desc_create(pd, &d, own_scratch, cpu, NULL);
#endif
}

/* ---- a node's primitives ---------------------------------------------------------------------------------- */

/* A piece of the work: n images, or rows or batches of a product. Of the first spatial axis: where it is cut. */
typedef struct Part {
	int64_t n, in, out, begin, end; /* in 0: the axis is whole */
} Part;

enum { MAX_JOBS = 16, MAX_KINDS = 4 };

typedef struct Job {
	int kind;
	Part part;
	size_t at_src, at_weight, at_dst; /* where its piece begins, in elements */
	dnnl_memory_t src, weight, bias, dst;
	dnnl_stream_t stream;
} Job;

typedef struct Key {
	int rank[3];
	bool bias;
	int64_t dim[3][WQ_MAX_RANK];
} Key;

typedef struct Prim {
	Key key;
	bool made, usable;
	int what, n_job, n_kind;
	Job job[MAX_JOBS];
	Part part[MAX_KINDS]; /* jobs of one kind have parts of one shape, and share a primitive */
	dnnl_primitive_desc_t desc[MAX_KINDS];
	dnnl_primitive_t run[MAX_KINDS];
	dnnl_primitive_t pack; /* weight to the layout that the primitives want; NULL: as it is */
	dnnl_memory_t plain, want;
	void *packed;
	size_t packed_bytes;
	bool filled; /* packed holds a constant weight */
	bool failed;
} Prim;

enum { CONV, DECONV, MAX_POOL, AVERAGE_POOL, AVERAGE_POOL_PADDED, MATMUL };

/* What an operator tells: the sides of a primitive for a part, false to refuse; and how to cut the work into p->job. */
typedef struct Kind {
	bool (*describe)(WqCall *c, int what, const Part *part, Sides *s);
	void (*cut)(WqCall *c, Prim *p);
} Kind;

static void jobs_clear(Prim *p)
{
	for (int i = 0; i < p->n_job; i++) {
		Job *j = &p->job[i];
		dnnl_memory_t mem[] = { j->src, j->weight, j->bias, j->dst };
		for (int k = 0; k < WQ_COUNTOF(mem); k++)
			if (mem[k])
				dnnl_memory_destroy(mem[k]);
		if (j->stream)
			dnnl_stream_destroy(j->stream);
	}
	for (int i = 0; i < p->n_kind; i++) {
		if (p->run[i])
			dnnl_primitive_destroy(p->run[i]);
		if (p->desc[i])
			dnnl_primitive_desc_destroy(p->desc[i]);
	}
	dnnl_memory_t mem[] = { p->plain, p->want };
	for (int k = 0; k < WQ_COUNTOF(mem); k++)
		if (mem[k])
			dnnl_memory_destroy(mem[k]);
	if (p->pack)
		dnnl_primitive_destroy(p->pack);
	wq_raw_free(p->packed);
}

static void prim_clear(void *arg)
{
	Prim *p = arg;
	jobs_clear(p);
	*p = (Prim){ 0 };
}

static void start_once(void)
{
	if (dnnl_engine_create(&cpu, dnnl_cpu, 0) || dnnl_primitive_attr_create(&own_scratch) ||
		dnnl_primitive_attr_set_scratchpad_mode(own_scratch, dnnl_scratchpad_mode_user))
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

/* The node's primitives if its shapes are the last ones; else an empty one to be made. */
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
	if (!p->made || memcmp(&p->key, &key, sizeof key))
		prim_clear(p);
	p->key = key;
	return p;
}

static bool memory(dnnl_memory_t *m, MdRef md) { return dnnl_memory_create(m, md, cpu, DNNL_MEMORY_NONE) == dnnl_success; }

static void sides_free(Sides *s)
{
	Md *all[] = { &s->src, &s->weight, &s->bias, &s->dst, &s->plain };
	for (int i = 0; i < WQ_COUNTOF(all); i++)
		md_free(all[i]);
}

static bool describe_any(int what, dnnl_primitive_desc_t *pd, Sides *s)
{
	const char *impl = "";
	dnnl_status_t st = what == MATMUL ? describe_matmul(pd, s)
		: what == CONV || what == DECONV ? describe_conv(pd, s, what == DECONV)
		: describe_pool(pd, s, what == MAX_POOL ? dnnl_pooling_max
			: what == AVERAGE_POOL ? dnnl_pooling_avg_exclude_padding : dnnl_pooling_avg_include_padding);
	if (st == dnnl_success)
		dnnl_primitive_desc_query(*pd, dnnl_query_impl_info_str, 0, &impl);
	return st == dnnl_success && strncmp(impl, "ref", 3);
}

/* How the weight gets from the graph's layout into that of the first kind, which the others then take, too. */
static bool make_pack(Prim *p, Sides *s)
{
	MdRef want = dnnl_primitive_desc_query_md(p->desc[0], dnnl_query_weights_md, 0);
	if (dnnl_memory_desc_equal(want, REF(s->plain)))
		return true;
	dnnl_primitive_desc_t re = NULL;
	bool ok = memory(&p->plain, REF(s->plain)) && memory(&p->want, want) &&
		!dnnl_reorder_primitive_desc_create(&re, REF(s->plain), cpu, want, cpu, NULL) && !dnnl_primitive_create(&p->pack, re);
	if (re)
		dnnl_primitive_desc_destroy(re);
	p->packed_bytes = dnnl_memory_desc_get_size(want);
	return ok;
}

static bool make_kind(WqCall *c, Prim *p, int kind, const Kind *op)
{
	Sides s = { .src = MD_NONE };
	bool ok = op->describe(c, p->what, &p->part[kind], &s);
	if (ok && s.has_weight && kind > 0) {
		md_free(&s.weight);
		ok = md_copy(&s.weight, dnnl_primitive_desc_query_md(p->desc[0], dnnl_query_weights_md, 0));
	}
	ok = ok && describe_any(p->what, &p->desc[kind], &s) && !dnnl_primitive_create(&p->run[kind], p->desc[kind]);
	if (ok && s.has_weight && kind == 0)
		ok = make_pack(p, &s);
	sides_free(&s);
	return ok;
}

static bool make_job(WqCall *c, Prim *p, Job *j, const Kind *op)
{
	for (j->kind = 0; j->kind < p->n_kind && memcmp(&p->part[j->kind], &j->part, sizeof j->part); j->kind++)
		;
	if (j->kind == p->n_kind) {
		if (p->n_kind == MAX_KINDS)
			return false;
		p->part[p->n_kind++] = j->part;
		if (!make_kind(c, p, j->kind, op))
			return false;
	}
	const_dnnl_primitive_desc_t pd = p->desc[j->kind];
	if (dnnl_stream_create(&j->stream, cpu, dnnl_stream_default_flags) ||
		!memory(&j->src, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0)) ||
		!memory(&j->dst, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0)))
		return false;
	if (p->key.bias && !memory(&j->bias, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1)))
		return false;
	bool has_weight = p->what == CONV || p->what == DECONV || p->what == MATMUL;
	return !has_weight || memory(&j->weight, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
}

static bool make_jobs(WqCall *c, Prim *p, const Kind *op)
{
	for (int i = 0; i < p->n_job; i++)
		if (!make_job(c, p, &p->job[i], op))
			return false;
	return true;
}

/* Cut as the operator says; where oneDNN refuses a piece, whole. */
static bool prim_make(WqCall *c, Prim *p, const Kind *op)
{
	p->n_job = 1;
	op->cut(c, p);
	if (make_jobs(c, p, op))
		return true;
	Prim clean = { .key = p->key, .what = p->what, .made = true, .n_job = 1 };
	bool whole = p->n_job == 1;
	jobs_clear(p);
	*p = clean;
	return !whole && make_jobs(c, p, op);
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

/* Which weight the jobs read: packed, or as it is. NULL if packing failed. */
static const void *pack(Prim *p, Job *by, const void *weight, bool constant)
{
	if (!p->pack)
		return weight;
	if (p->filled)
		return p->packed;
	if (!p->packed)
		p->packed = wq_raw_alloc(p->packed_bytes);
	dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, p->plain }, { DNNL_ARG_TO, p->want } };
	dnnl_memory_set_data_handle(p->plain, (void *)(uintptr_t)weight);
	dnnl_memory_set_data_handle(p->want, p->packed);
	p->filled = constant;
	return !dnnl_primitive_execute(p->pack, by->stream, 2, args) && !dnnl_stream_wait(by->stream) ? p->packed : NULL;
}

static void run_jobs(void *arg, int64_t begin, int64_t end)
{
	Prim *p = arg;
	for (int64_t i = begin; i < end; i++) {
		Job *j = &p->job[i];
		MdRef need = dnnl_primitive_desc_query_md(p->desc[j->kind], dnnl_query_scratchpad_md, 0);
		size_t bytes = need ? dnnl_memory_desc_get_size(need) : 0;
		void *room = bytes ? wq_raw_alloc_dirty(bytes) : NULL;
		dnnl_memory_t scratch = NULL;
		dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, j->src }, { DNNL_ARG_DST, j->dst }, { DNNL_ARG_WEIGHTS, j->weight },
			{ DNNL_ARG_BIAS, j->bias }, { DNNL_ARG_SCRATCHPAD, NULL } };
		int n = 0;
		bool ok = !bytes || !dnnl_memory_create(&scratch, need, cpu, room);
		args[4].memory = scratch;
		for (int k = 0; k < WQ_COUNTOF(args); k++)
			if (args[k].memory)
				args[n++] = args[k];
		int before = set_threads(1);
		ok = ok && !dnnl_primitive_execute(p->run[j->kind], j->stream, n, args) && !dnnl_stream_wait(j->stream);
		set_threads(before);
		if (!ok)
			p->failed = true;
		if (scratch)
			dnnl_memory_destroy(scratch);
		wq_raw_free(room);
	}
}

/* The node's primitives for its operands' shapes; NULL if oneDNN or the operator refuses. */
static Prim *prim_ready(WqCall *c, int what, const Kind *op)
{
	if (c->out[0].dtype != WQ_F32 || !c->cache || !start())
		return NULL;
	Prim *p = prim_of(c);
	if (!p->made) {
		int before = set_threads(1);
		p->what = what;
		p->usable = prim_make(c, p, op);
		p->made = true;
		set_threads(before);
	}
	return p->usable ? p : NULL;
}

static bool prim_go(WqCall *c, Prim *p, int weight)
{
	const char *w = weight < 0 ? NULL : pack(p, &p->job[0], c->in[weight]->data, wq_call_is_const(c, weight));
	if (weight >= 0 && !w)
		return false;
	for (int i = 0; i < p->n_job; i++) {
		Job *j = &p->job[i];
		dnnl_memory_set_data_handle(j->src, (float *)c->in[0]->data + j->at_src);
		dnnl_memory_set_data_handle(j->dst, (float *)c->out[0].data + j->at_dst);
		if (w)
			dnnl_memory_set_data_handle(j->weight, (void *)(uintptr_t)(w + j->at_weight * sizeof(float)));
		if (j->bias)
			dnnl_memory_set_data_handle(j->bias, c->in[2]->data);
	}
	p->failed = false;
	wq_parallel(c, p->n_job, 1, run_jobs, p);
	return !p->failed;
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

static bool image_md(Md *md, int rank, const int64_t *dim)
{
	int order[WQ_MAX_RANK];
	int64_t stride[WQ_MAX_RANK];
	for (int d = 0; d < rank; d++)
		order[d] = d == 0 ? 0 : d == rank - 1 ? 1 : d + 1;
	strides_of(rank, dim, order, stride);
	return md_make(md, rank, dim, stride);
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

static bool window_of(WqCall *c, const int64_t *kernel, bool transposed, WqWindow *w)
{
	const WqTensor *x = c->in[0];
	if (wq_window_attrs(c->node, x->rank - 2, kernel, w))
		return false;
	memcpy(w->in, x->dim + 2, (size_t)w->n * sizeof *w->in);
	return !(transposed ? wq_window_resolve_transposed(c->node, w) : wq_window_resolve(c->node, w));
}

static bool describe_windowed(WqCall *c, int what, const Part *part, Sides *s)
{
	const WqTensor *w = c->in[1];
	WqWindow win;
	int64_t one = 1, m = c->out[0].dim[1];
	s->has_bias = c->n_in > 2 && c->in[2];
	return wq_tensor_count(w) && window_of(c, w->dim + 2, what == DECONV, &win) &&
		window_sides(c, &win, what == DECONV, part, s) && weight_md(s, w, wq_attr_i(c->node, "group"), what == DECONV) &&
		(!s->has_bias || md_make(&s->bias, 1, &m, &one));
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
	int64_t jobs = each / (2 * JOB_WORK) < MAX_JOBS ? each / (2 * JOB_WORK) : MAX_JOBS, rows = y->dim[2];
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
	Prim *p = prim_ready(c, what, op);
	if (!p)
		return false;
	wq_layout_operand(c, 0, true);
	if (!prim_go(c, p, weight))
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
	return md_make(md, n, dim, stride);
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
		(one && wq_call_is_const(c, 1) ? md_make(&s->weight, n, w + one, NULL) : dense_md(&s->weight, n, w + one));
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
	Prim *p = prim_ready(c, MATMUL, &op);
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
