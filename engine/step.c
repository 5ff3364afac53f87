/* step.c: one call of one node: types and memory of the results by the operator's own shape rule, then the evaluator. */
#include "engine/exec.h"

static const char *node_name(const WqNode *n)
{
	for (int i = 0; !n->name && i < n->n_out; i++)
		if (n->out[i])
			return n->out[i]->name;
	return n->name ? n->name : "?";
}

void wq_call_fail(const WqCall *c, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	wq_fail(WQ_EINPUT, "%s node %s: %s", wq_op(c->node->op)->name, node_name(c->node), text);
}

bool wq_call_is_const(const WqCall *c, int i) { return i < c->n_in && c->node->in[i] && c->node->in[i]->data; }

static bool wanted(const Step *s, int i)
{
	return i >= s->node->n_out || s->node->out[i] || i < wq_op(s->node->op)->min_out;
}

void wq_call_alloc(WqCall *c, int i, WqDtype t, int rank, const int64_t *dim)
{
	Step *s = wq_step_of(c);
	int64_t bytes = wq_mul_checked(wq_shape_count(rank, dim, node_name(c->node)), (int64_t)wq_dtype_size(t), node_name(c->node));
	if (s->limit && bytes > s->limit)
		wq_fail(WQ_EINPUT, "%s: too large to fold", node_name(c->node));
	wq_rt_unref(c->vout[i]);
	c->vout[i] = NULL;
	c->vout[i] = wq_rt_tensor(t, rank, dim);
	c->out[i] = c->vout[i]->t;
}

static void release(void *p)
{
	wq_rt_unref(*(WqRt **)p);
}

WqRt **wq_call_hold(WqCall *c, int n)
{
	WqRt **v = WQ_NEW_N(c->tmp, WqRt *, n);
	for (int i = 0; i < n; i++)
		wq_defer(c->tmp, release, &v[i]);
	return v;
}

/* The operand whose memory result 0 may take, or -1. */
static int reusable(const Step *s, const WqType *t)
{
	if (!(wq_op(s->node->op)->flags & WQ_EW))
		return -1;
	int64_t count = 1;
	for (int d = 0; d < t->rank; d++)
		count *= t->dim[d];
	for (int i = 0; i < s->call.n_in; i++) {
		const WqRt *v = s->call.vin[i];
		if (s->dying[i] && v && v->kind == WQ_TENSOR && v->refs == 1 && v->buf && v->buf->refs == 1 &&
			wq_dtype_size(v->t.dtype) == wq_dtype_size(t->dtype) && wq_tensor_count(&v->t) == count)
			return i;
	}
	return -1;
}

static bool concrete(const WqType *t)
{
	if (t->kind != WQ_TENSOR || t->rank < 0)
		return false;
	for (int d = 0; d < t->rank; d++)
		if (!wq_dim_static(t->dim[d]))
			return false;
	return true;
}

static void make_result(Step *s, int i)
{
	WqCall *c = &s->call;
	const WqType *t = &s->infer.out[i];
	c->out[i] = (WqTensor){ .dtype = t->dtype, .rank = -1 };
	if (!wanted(s, i) || !concrete(t))
		return;
	int from = i == 0 ? (wq_op(s->node->op)->flags & WQ_VIEW ? 0 : reusable(s, t)) : -1;
	if (from < 0) {
		wq_call_alloc(c, i, t->dtype, t->rank, t->dim);
		return;
	}
	c->vout[i] = wq_rt_view(c->vin[from], t->rank, t->dim);
	c->vout[i]->t.dtype = t->dtype;
	c->out[i] = c->vout[i]->t;
}

static void infer_results(Step *s)
{
	WqInfer *x = &s->infer;
	for (int i = 0; i < s->call.n_in; i++) {
		const WqRt *v = s->call.vin[i];
		x->in[i] = v ? &s->types[i] : NULL;
		x->val[i] = s->call.in[i];
		if (v)
			s->types[i] = wq_rt_type(x->mod, v);
	}
	memset(x->out, 0, (size_t)x->n_out * sizeof *x->out);
	wq_infer(x);
	for (int i = 0; i < x->n_out; i++)
		make_result(s, i);
}

static WqEvalFn *evaluator(WqOp op)
{
	static WqEvalFn *const table[WQ_NUM_OPS] = {
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) [OP_##name] = eval,
#include "ir/ops.def"
#undef OP
	};
	return table[op];
}

void wq_step_eval(Step *s)
{
	WqCall *c = &s->call;
	unsigned flags = wq_op(s->node->op)->flags;
	c->tmp = wq_arena_new();
	for (int i = 0; i < c->n_in; i++)
		c->in[i] = c->vin[i] && c->vin[i]->kind == WQ_TENSOR ? &c->vin[i]->t : NULL;
	for (int i = 0; i < c->n_out; i++)
		c->out[i] = (WqTensor){ .rank = -1 };
	c->node = s->node;
	bool last = c->e && wq_layout_begin(s);
	if (!(flags & (WQ_BODY | WQ_SEQ)))
		infer_results(s);
	WqEvalFn *eval = evaluator(s->node->op);
	if (!eval)
		wq_call_fail(c, "no evaluator");
	if (last)
		wq_layout_enter(s);
	if (!(flags & WQ_VIEW) || !c->vout[0])
		eval(c);
	if (last)
		wq_layout_leave(s);
	for (int i = 0; i < c->n_out; i++)
		if (!c->vout[i] && wanted(s, i))
			wq_call_fail(c, "result %d was not computed", i);
}

void wq_step_drop(Step *s)
{
	wq_arena_free(s->call.tmp);
	s->call.tmp = NULL;
}
