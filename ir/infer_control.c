/* infer_control.c: shape rules of operators with nested graphs. */
#include "ir/infer.h"

WqType wq_infer_unify(const WqInfer *x, const WqType *a, const WqType *b)
{
	if (a->kind != b->kind || a->dtype != b->dtype)
		wq_infer_fail(x, "two types for one value: %s and %s", wq_infer_kind(a), wq_infer_kind(b));
	WqType t = *a;
	if (a->kind != WQ_TENSOR) {
		if (!wq_type_equal(a->elem, b->elem)) {
			WqType elem = wq_infer_unify(x, a->elem, b->elem);
			t = wq_type_wrap(x->mod, a->kind, &elem);
		}
		return t;
	}
	if (a->rank != b->rank)
		return wq_type_tensor(a->dtype, -1, NULL);
	for (int d = 0; d < a->rank; d++)
		if (a->dim[d] != b->dim[d])
			t.dim[d] = WQ_DIM_UNKNOWN;
	return t;
}

const char *wq_infer_kind(const WqType *t)
{
	return t->kind == WQ_SEQUENCE ? "a sequence" : t->kind == WQ_OPTIONAL ? "an optional"
		: wq_dtype_valid(t->dtype) ? wq_dtype(t->dtype)->text : "a tensor";
}

static const WqGraph *body(const WqInfer *x, int i, int min_out)
{
	if (i >= x->node->n_body)
		wq_infer_fail(x, "it has %d nested graphs, not %d", x->node->n_body, i + 1);
	const WqGraph *g = x->node->body[i];
	if (g->outputs.n < min_out)
		wq_infer_fail(x, "nested graph %d has %d outputs, not %d", i, g->outputs.n, min_out);
	return g;
}

void infer_if(WqInfer *x)
{
	const WqGraph *yes = body(x, 0, x->n_out), *no = body(x, 1, x->n_out);
	for (int i = 0; i < x->n_out; i++)
		x->out[i] = wq_infer_unify(x, &yes->outputs.v[i].value->type, &no->outputs.v[i].value->type);
}

/* ---- Loop ------------------------------------------------------------------------------------------ */

/* Does the body's condition stay true, whatever it computes? */
static bool never_stops(const WqInfer *x, const WqGraph *g)
{
	const WqValue *v = g->outputs.v[0].value;
	if (v->data)
		return wq_tensor_count(v->data) == 1 && wq_tensor_get_i(v->data, 0);
	if (g->inputs.n < 2 || v != g->inputs.v[1])
		return false;
	if (x->n_in < 2 || !x->in[1])
		return true;
	return x->val[1] && wq_tensor_count(x->val[1]) == 1 && wq_tensor_get_i(x->val[1], 0);
}

/* The number of iterations, or at most so many. */
static WqDim trips(WqInfer *x, const WqGraph *g)
{
	WqDim n = WQ_DIM_UNKNOWN;
	if (wq_infer_elem(x, 0, 0, &n) != 1 || n == WQ_DIM_UNKNOWN)
		return WQ_DIM_UNKNOWN;
	if (n > WQ_DIM_INF) /* an exporter's "without end" */
		return WQ_DIM_UNKNOWN;
	n = wq_dim_max(x->mod, n, 0);
	bool starts = x->n_in < 2 || !x->in[1] || (x->val[1] && wq_tensor_count(x->val[1]) == 1 && wq_tensor_get_i(x->val[1], 0));
	if (starts && never_stops(x, g))
		return n;
	return WQ_DIM_UNKNOWN;
}

static void see(const WqModule *m, const WqType *t, int64_t *bind, int64_t v)
{
	int sym;
	for (int d = 0; t->kind == WQ_TENSOR && d < t->rank; d++)
		if (wq_dim_is_sym(m, t->dim[d], &sym))
			bind[sym] = v;
}

static void see_graph(const WqGraph *g, int64_t *bind, int64_t v)
{
	for (int i = 0; i < g->inputs.n; i++)
		see(g->mod, &g->inputs.v[i]->type, bind, v);
	WQ_FOR_NODES(n, g)
		for (int i = 0; i < n->n_out; i++)
			if (n->out[i])
				see(g->mod, &n->out[i]->type, bind, v);
}

/* A size that the body's own symbols make differs from one iteration to the next: outside it is not known. */
static void hide_inner(WqInfer *x, const WqGraph *g, WqType *t)
{
	int n = wq_dim_num_syms(x->mod);
	if (wq_type_static(t))
		return;
	if (x->running) { /* the evaluator sees the values themselves; the module does not grow with runs */
		for (int d = 0; d < t->rank; d++)
			t->dim[d] = wq_dim_static(t->dim[d]) ? t->dim[d] : WQ_DIM_UNKNOWN;
		return;
	}
	int64_t *bind = WQ_NEW_N(x->mod->arena, int64_t, n + 1), v;
	for (int i = 0; i < n; i++)
		bind[i] = 1;
	see_graph(g, bind, -1);
	for (const WqGraph *up = x->node->graph; up; up = up->parent)
		see_graph(up, bind, 1);
	for (int d = 0; d < t->rank; d++)
		if (!wq_dim_static(t->dim[d]) && (t->dim[d] == WQ_DIM_UNKNOWN || !wq_dim_eval(x->mod, t->dim[d], bind, n, &v)))
			t->dim[d] = WQ_DIM_UNKNOWN;
}

static WqType scanned(WqInfer *x, const WqGraph *g, int i, WqDim n)
{
	WqType t = g->outputs.v[i].value->type;
	if (t.kind != WQ_TENSOR)
		wq_infer_fail(x, "scanned result %d is %s", i, wq_infer_kind(&t));
	if (t.rank < 0)
		return t;
	if (t.rank == WQ_MAX_RANK)
		wq_infer_fail(x, "scanned result %d has more than %d axes", i, WQ_MAX_RANK);
	hide_inner(x, g, &t);
	memmove(t.dim + 1, t.dim, (size_t)t.rank * sizeof *t.dim);
	t.dim[0] = n;
	t.rank++;
	return t;
}

void infer_loop(WqInfer *x)
{
	int n_carried = x->n_in > 2 ? x->n_in - 2 : 0;
	const WqGraph *g = body(x, 0, 1 + n_carried);
	if (g->inputs.n != 2 + n_carried)
		wq_infer_fail(x, "the body has %d inputs; the node has operands for %d", g->inputs.n, 2 + n_carried);
	if (x->n_out > g->outputs.n - 1)
		wq_infer_fail(x, "%d results; the body gives %d", x->n_out, g->outputs.n - 1);
	if (!(x->n_in > 0 && x->in[0]) && never_stops(x, g))
		wq_infer_fail(x, "the loop has no number of iterations and a condition that stays true");
	WqDim n = trips(x, g);
	for (int i = 0; i < x->n_out; i++) {
		const WqType *t = &g->outputs.v[1 + i].value->type;
		if (i < n_carried && !x->in[2 + i])
			wq_infer_fail(x, "operand %d is missing", 2 + i);
		x->out[i] = i < n_carried ? wq_infer_unify(x, x->in[2 + i], t) : scanned(x, g, 1 + i, n);
	}
}
