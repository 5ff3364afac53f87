/* call.c: what a program in memory is called with, made of the engine's values, and its results as such values. */
#include "api/api.h"

#include "wqrt.h"

const char *api_wqrt_text(int code)
{
	switch (code) {
	case WQRT_OK: return "no error";
	case WQRT_ESHAPE: return "sizes of inputs disagree";
	case WQRT_EINDEX: return "an index in the data is out of range";
	case WQRT_EBOUND: return "a size is beyond the bound that the model was compiled for";
	case WQRT_EVALUE: return "a value that the model cannot work with";
	default: return "an unknown error";
	}
}

static void free_buffer(void *p) { wq_raw_free(p); }

static const void *input(const WqValue *v, const WqRt *r, int64_t *dim)
{
	if (!r)
		wq_fail(WQ_EINPUT, "input '%s' is missing", v->name);
	if (r->kind != WQ_TENSOR || r->t.dtype != v->type.dtype || r->t.rank != v->type.rank)
		wq_fail(WQ_EINPUT, "input '%s' has another type than the model declares", v->name);
	memcpy(dim, r->t.dim, (size_t)r->t.rank * sizeof *dim);
	return r->t.data;
}

/* At the largest sizes; the code writes no more. */
static size_t output_bytes(const WqModule *m, const WqOutput *o)
{
	int64_t bytes = (int64_t)wq_dtype_size(o->value->type.dtype);
	for (int d = 0; d < o->value->type.rank; d++) {
		int64_t hi = wq_dim_hi(m, o->value->type.dim[d]);
		if (hi >= WQ_DIM_INF)
			wq_fail(WQ_EUNSUPPORTED, "output '%s' has no largest size: bound its sizes by --dim 'NAME<=N'", o->name);
		bytes = wq_mul_checked(bytes, hi, o->name);
	}
	return (size_t)bytes;
}

ApiCall *api_call_new(const WqModule *m, WqRt *const *in, WqArena *a)
{
	const WqGraph *g = m->main;
	ApiCall *c = WQ_NEW(a, ApiCall);
	int n_dims = 0;
	c->mod = m;
	c->in = WQ_NEW_N(a, const void *, g->inputs.n + 1);
	c->in_dims = WQ_NEW_N(a, int64_t, g->inputs.n * WQ_MAX_RANK + 1);
	for (int i = 0; i < g->inputs.n; i++) {
		c->in[i] = input(g->inputs.v[i], in[i], c->in_dims + n_dims);
		n_dims += g->inputs.v[i]->type.rank;
	}
	c->out = WQ_NEW_N(a, void *, g->outputs.n + 1);
	c->out_dims = WQ_NEW_N(a, int64_t, g->outputs.n * WQ_MAX_RANK + 1);
	c->out_bytes = WQ_NEW_N(a, size_t, g->outputs.n + 1);
	for (int i = 0; i < g->outputs.n; i++) {
		c->out_bytes[i] = output_bytes(m, &g->outputs.v[i]);
		c->out[i] = wq_raw_alloc(c->out_bytes[i] + 1); /* not NULL when there is nothing */
		wq_defer(a, free_buffer, c->out[i]);
	}
	return c;
}

int api_call_jit(const ApiCall *c, WqJit *j, int threads)
{
	return wq_jit_call(j, c->in, c->in_dims, c->out, c->out_dims, threads);
}

WqRt *api_call_result(const ApiCall *c, int i)
{
	const WqGraph *g = c->mod->main;
	const int64_t *dim = c->out_dims;
	for (int k = 0; k < i; k++)
		dim += g->outputs.v[k].value->type.rank;
	const WqType *t = &g->outputs.v[i].value->type;
	WqRt *r = wq_rt_tensor(t->dtype, t->rank, dim);
	size_t n = wq_tensor_bytes(&r->t);
	WQ_ASSERT(n <= c->out_bytes[i]);
	if (n)
		memcpy(r->t.data, c->out[i], n);
	return r;
}
