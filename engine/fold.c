/* fold.c: evaluates one node whose operands are constants, while a graph is being built.
 *
 * A result may take 64 KB, or as many bytes as the operands do. So shape arithmetic and small tables go, weights are
 * transposed, sliced and scaled once - but nothing grows: an Expand of a scalar to a mask, and above all the
 * DequantizeLinear, Cast or Gather that decodes a compressed weight, stay in the graph in their small form. What is
 * computed from types that only store numbers may hardly grow at all: all the weights of a model for a microcontroller
 * are under 64 KB.
 */
#include "engine/exec.h"

enum { SMALL = 64 << 10, SMALL_DECODED = 1 << 10 };

/* Integers and floats of at most 8 bits. */
static bool only_stores(WqDtype t)
{
	return wq_dtype(t)->bits <= 8 && (wq_dtype_is_int(t) || wq_dtype_is_float(t));
}

/* The result's bytes in the module's arena; types under 8 bits packed, as in files. */
static WqTensor *store(WqModule *m, const WqTensor *t)
{
	WqTensor *r = WQ_NEW(m->arena, WqTensor);
	*r = *t;
	r->packed = wq_dtype(t->dtype)->bits < 8;
	int64_t count = wq_tensor_count(t);
	size_t n = r->packed ? wq_packed_bytes(t->dtype, count) : wq_tensor_bytes(t);
	r->data = wq_alloc(m->arena, n);
	if (r->packed)
		wq_pack(t->dtype, t->data, r->data, count);
	else if (n)
		memcpy(r->data, t->data, n);
	return r;
}

/* A view keeps its operand's bytes, packed or not. */
static WqTensor *store_view(WqModule *m, const WqTensor *of, const WqTensor *shape)
{
	WqTensor *r = WQ_NEW(m->arena, WqTensor);
	*r = *of;
	r->rank = shape->rank;
	memcpy(r->dim, shape->dim, sizeof r->dim);
	return r;
}

static bool foldable(const WqNode *n)
{
	if (wq_op(n->op)->flags & (WQ_IMPURE | WQ_BODY | WQ_SEQ))
		return false;
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && !n->in[i]->data)
			return false;
	return true;
}

static void evaluate(Step *s)
{
	WqCall *c = &s->call;
	int64_t bytes = 0, least = SMALL;
	for (int i = 0; i < c->n_in; i++) {
		if (!s->node->in[i])
			continue;
		c->vin[i] = wq_rt_borrow(s->node->in[i]->data);
		bytes += (int64_t)wq_tensor_bytes(&c->vin[i]->t);
		if (only_stores(c->vin[i]->t.dtype))
			least = SMALL_DECODED;
	}
	s->limit = bytes > least ? bytes : least;
	wq_step_eval(s);
}

static void clear(Step *s)
{
	wq_step_drop(s);
	for (int i = 0; i < s->call.n_in; i++)
		wq_rt_unref(s->call.vin[i]);
	for (int i = 0; i < s->call.n_out; i++)
		wq_rt_unref(s->call.vout[i]);
}

static void keep_results(const Step *s, WqTensor **out)
{
	WqModule *m = s->node->graph->mod;
	for (int i = 0; i < s->call.n_out; i++) {
		const WqRt *v = s->call.vout[i];
		bool view = i == 0 && (wq_op(s->node->op)->flags & WQ_VIEW);
		out[i] = !v ? NULL : view ? store_view(m, s->node->in[0]->data, &v->t) : store(m, &v->t);
	}
}

/* An operand that is wrong (an index out of range...) is left to the run: the node may stand in a branch never taken. */
bool wq_engine_fold(WqNode *n, WqTensor **out)
{
	if (!foldable(n))
		return false;
	WqArena *a = wq_arena_new();
	Step *volatile s = NULL;
	WqTry t;
	if (WQ_TRY(&t)) {
		s = WQ_NEW(a, Step);
		wq_step_init(a, s, n, n->n_out ? n->n_out : wq_op(n->op)->min_out);
		s->call.threads = 1;
		s->call.plain = true;
		evaluate(s);
		keep_results(s, out);
		wq_try_end(&t);
	}
	int code = t.err.code;
	if (s)
		clear(s);
	wq_arena_free(a);
	if (code == WQ_ENOMEM)
		wq_fail(code, "%s", t.err.text);
	return code == WQ_OK;
}
