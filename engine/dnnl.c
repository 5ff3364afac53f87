/* dnnl.c: oneDNN (2.6 and 3.x): descriptions, and the primitives that a node keeps, made anew when its shapes change. Weights are in
 * the layout that oneDNN likes best, packed once if they are constant.
 *
 * oneDNN orders its sums by the number of threads it finds. So it is given one, and the work is cut (dnnl_ops.c) into jobs of images,
 * rows of an image or rows of a matrix, in a way that depends on the sizes only.
 */
#ifdef WQ_DNNL

#include "engine/dnnl_lib.h"

#include <pthread.h>
#ifdef _OPENMP
#include <omp.h>
#endif

static dnnl_engine_t cpu;
static dnnl_primitive_attr_t own_scratch; /* primitives leave their working memory to the caller */

/* ---- descriptions ------------------------------------------------------------------------------------------ */

bool wq_md_make(Md *md, int n, const int64_t *dim, const int64_t *stride)
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
	if (dnnl_primitive_execute(p->pack, by->stream, 2, args) || dnnl_stream_wait(by->stream))
		return NULL;
	p->filled = constant;
	return p->packed;
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

Prim *wq_prim_ready(WqCall *c, int what, const Kind *op)
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

bool wq_prim_run(WqCall *c, Prim *p, int weight)
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

const char *wq_dnnl_version(void)
{
	static char text[32];
	const dnnl_version_t *v = dnnl_version();
	snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
	return text;
}

#endif
