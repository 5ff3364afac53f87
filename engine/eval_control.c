/* eval_control.c: operators with nested graphs. */
#include "engine/engine.h"

static bool truth(WqCall *c, const WqRt *v)
{
	if (!v || v->kind != WQ_TENSOR || v->t.dtype != WQ_BOOL || wq_tensor_count(&v->t) != 1)
		wq_call_fail(c, "the condition is not one boolean");
	return *(const uint8_t *)v->t.data;
}

void eval_if(WqCall *c)
{
	const WqGraph *g = c->node->body[truth(c, c->vin[0]) ? 0 : 1];
	WqRt **out = wq_call_hold(c, g->outputs.n);
	wq_call_body(c, g, NULL, out);
	for (int i = 0; i < c->n_out; i++) {
		c->vout[i] = out[i];
		out[i] = NULL;
	}
}

/* ---- Loop --------------------------------------------------------------------------------------------- */

/* What a loop collects of one scanned result: `n` elements in memory for `cap`. */
typedef struct Scan {
	WqRt **v; /* held */
	int64_t n, cap;
} Scan;

enum { SCAN_FIRST = 256 };

static WqRt *stack_new(WqCall *c, const WqTensor *elem, int64_t n)
{
	if (elem->rank >= WQ_MAX_RANK)
		wq_call_fail(c, "a scanned result has more than %d axes", WQ_MAX_RANK);
	int64_t dim[WQ_MAX_RANK];
	dim[0] = n;
	memcpy(dim + 1, elem->dim, (size_t)elem->rank * sizeof *dim);
	return wq_rt_tensor(elem->dtype, elem->rank + 1, dim);
}

static void scan_resize(WqCall *c, Scan *s, const WqTensor *elem, int64_t cap)
{
	WqRt *bigger = stack_new(c, elem, cap);
	if (*s->v)
		memcpy(bigger->t.data, (*s->v)->t.data, (size_t)s->n * wq_tensor_bytes(elem));
	wq_rt_unref(*s->v);
	*s->v = bigger;
	s->cap = cap;
}

static void scan_add(WqCall *c, Scan *s, const WqRt *v, int64_t trips)
{
	if (v->kind != WQ_TENSOR)
		wq_call_fail(c, "a scanned result is not a tensor");
	const WqTensor *t = &v->t;
	if (*s->v && ((*s->v)->t.dtype != t->dtype || (*s->v)->t.rank != t->rank + 1 ||
		memcmp((*s->v)->t.dim + 1, t->dim, (size_t)t->rank * sizeof *t->dim)))
		wq_call_fail(c, "a scanned result changes its shape in iteration %lld", (long long)s->n);
	if (s->n == s->cap) {
		int64_t cap = s->cap ? 2 * s->cap : SCAN_FIRST;
		scan_resize(c, s, t, cap < trips ? cap : trips);
	}
	size_t bytes = wq_tensor_bytes(t);
	WQ_ASSERT(*s->v);
	if (bytes)
		memcpy((char *)(*s->v)->t.data + (size_t)s->n * bytes, t->data, bytes);
	s->n++;
}

/* Without an iteration the element's shape is what the types tell; what they don't is 0. */
static WqRt *scan_empty(const WqType *t)
{
	int64_t dim[WQ_MAX_RANK] = { 0 };
	int rank = t->rank < 0 ? 0 : t->rank;
	for (int d = 0; d < rank; d++)
		dim[d + 1] = wq_dim_static(t->dim[d]) ? t->dim[d] : 0;
	return wq_rt_tensor(t->dtype, rank + 1 > WQ_MAX_RANK ? WQ_MAX_RANK : rank + 1, dim);
}

static WqRt *scan_done(WqCall *c, Scan *s, const WqType *elem)
{
	if (!*s->v)
		return scan_empty(elem);
	if (s->n < s->cap) {
		WqTensor t = (*s->v)->t;
		t.rank--;
		memmove(t.dim, t.dim + 1, (size_t)t.rank * sizeof *t.dim);
		scan_resize(c, s, &t, s->n);
	}
	WqRt *v = *s->v;
	*s->v = NULL;
	return v;
}

/* A scalar of the rank (0 or 1) that the body's input is declared with. */
static WqRt *scalar(const WqValue *input, WqDtype t, int64_t value)
{
	int64_t one = 1;
	WqRt *v = wq_rt_tensor(t, input->type.rank == 1, &one);
	wq_tensor_set_i(&v->t, 0, value);
	return v;
}

static int64_t trip_count(WqCall *c)
{
	const WqTensor *t = c->n_in > 0 ? c->in[0] : NULL;
	if (!t)
		return INT64_MAX;
	if (wq_tensor_count(t) != 1)
		wq_call_fail(c, "the number of iterations is not one number");
	int64_t n = wq_tensor_get_i(t, 0);
	return n < 0 ? 0 : n;
}

void eval_loop(WqCall *c)
{
	const WqGraph *g = c->node->body[0];
	int n_in = g->inputs.n, n_out = g->outputs.n, n_carried = n_in - 2;
	int64_t trips = trip_count(c);
	bool go = c->n_in < 2 || !c->vin[1] || truth(c, c->vin[1]);
	WqRt **in = wq_call_hold(c, n_in), **out = wq_call_hold(c, n_out), **stack = wq_call_hold(c, n_out);
	Scan *scan = WQ_NEW_N(c->tmp, Scan, n_out);
	for (int i = 0; i < n_carried; i++)
		in[2 + i] = wq_rt_ref(c->vin[2 + i]);
	for (int i = 1 + n_carried; i < n_out; i++)
		scan[i].v = &stack[i];
	for (int64_t k = 0; k < trips && go; k++) {
		in[0] = scalar(g->inputs.v[0], WQ_I64, k);
		in[1] = scalar(g->inputs.v[1], WQ_BOOL, go);
		wq_call_body(c, g, in, out);
		go = truth(c, out[0]);
		for (int i = 1 + n_carried; i < n_out; i++)
			scan_add(c, &scan[i], out[i], trips);
		for (int i = 0; i < n_out; i++) {
			bool keep = i > 0 && i <= n_carried;
			if (keep)
				in[1 + i] = out[i];
			else
				wq_rt_unref(out[i]);
			out[i] = NULL;
		}
	}
	for (int i = 0; i < c->n_out; i++) {
		bool carried = i < n_carried;
		c->vout[i] = carried ? in[2 + i] : scan_done(c, &scan[1 + i], &g->outputs.v[1 + i].value->type);
		if (carried)
			in[2 + i] = NULL;
	}
}
