/* fold.c: computes what depends on constants alone, and takes the branch of an If that is known.
 *
 * Before: c = Add(c1, c2)   y = Mul(x, c)                  After: y = Mul(x, c)
 * Before: y = If(true) {a = Exp(x); return a} {..}         After: a = Exp(x)
 *
 * The module's folder evaluates (and declines what would grow: see engine/fold.c); a result above the option
 * `limit` bytes is not tried. A value whose elements are known expressions, all of them numbers, becomes a
 * constant too.
 * Keeps: every output, bit for bit.
 */
#include "passes/pass.h"

typedef struct Fold {
	WqArena *a;
	int64_t limit;
	int changes;
} Fold;

static bool small_enough(const Fold *x, const WqNode *n)
{
	for (int i = 0; i < n->n_out; i++) {
		const WqType *t = n->out[i] ? &n->out[i]->type : NULL;
		if (!t || !wq_type_static(t))
			continue;
		int64_t bytes = (int64_t)wq_dtype_size(t->dtype);
		for (int d = 0; d < t->rank; d++)
			if (__builtin_mul_overflow(bytes, t->dim[d], &bytes))
				return false;
		if (bytes > x->limit)
			return false;
	}
	return true;
}

static bool foldable(const Fold *x, const WqNode *n)
{
	if ((wq_op(n->op)->flags & (WQ_IMPURE | WQ_BODY | WQ_SEQ)) || n->op == OP_Dims)
		return false;
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && !n->in[i]->data)
			return false;
	return small_enough(x, n);
}

static bool fold_node(const Fold *x, WqNode *n)
{
	WqModule *m = n->graph->mod;
	if (!m->fold || !foldable(x, n))
		return false;
	WqTensor **out = WQ_NEW_N(x->a, WqTensor *, n->n_out + 1);
	if (!m->fold(n, out))
		return false;
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && !out[i])
			return false;
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i]) {
			WqValue *c = wq_const(n->graph, NULL, out[i]);
			wq_origin_follow(c, n);
			wq_value_replace(n->out[i], c);
		}
	wq_node_remove(n);
	return true;
}

/* Shape arithmetic whose every element has turned out to be a number. */
static bool fold_known(WqNode *n)
{
	WqModule *m = n->graph->mod;
	WqValue *v = n->n_out == 1 ? n->out[0] : NULL;
	if (!v || !v->sym || !wq_type_static(&v->type) || (wq_op(n->op)->flags & (WQ_IMPURE | WQ_BODY)))
		return false;
	int64_t count = wq_type_count(m, &v->type), e;
	for (int64_t i = 0; i < count; i++)
		if (!wq_dim_get_const(m, v->sym[i], &e))
			return false;
	WqTensor *t = wq_tensor_new(m, v->type.dtype, v->type.rank, v->type.dim);
	for (int64_t i = 0; i < count; i++) {
		wq_dim_get_const(m, v->sym[i], &e);
		wq_tensor_set_i(t, i, e);
	}
	wq_value_replace(v, wq_const(n->graph, NULL, t));
	wq_node_remove(n);
	return true;
}

/* ---- If -------------------------------------------------------------------------------------- */

/* The branch must give what the If's type says: users rely on it. */
static bool same_types(const WqNode *n, const WqGraph *body)
{
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && !wq_type_same(&n->out[i]->type, &body->outputs.v[i].value->type))
			return false;
	return true;
}

static bool take_branch(WqNode *n)
{
	if (n->op != OP_If || !n->in[0]->data || wq_tensor_count(n->in[0]->data) != 1)
		return false;
	WqGraph *body = n->body[wq_tensor_get_i(n->in[0]->data, 0) ? 0 : 1];
	if (!same_types(n, body))
		return false;
	while (body->first)
		wq_node_adopt(body->first, n->graph, n);
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i]) {
			WqValue *v = body->outputs.v[i].value;
			if (v->data && v->graph == body)
				v->graph = n->graph;
			wq_value_replace(n->out[i], v);
		}
	wq_node_remove(n);
	return true;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static void fold_graph(Fold *x, WqGraph *g)
{
	for (WqNode *n = g->first, *next; n; n = next) {
		WqNode *prev = n->prev;
		next = n->next;
		if (fold_node(x, n) || fold_known(n)) {
			x->changes++;
		} else if (take_branch(n)) {
			x->changes++;
			next = prev ? prev->next : g->first; /* the branch's nodes stand here now */
		} else {
			for (int i = 0; i < n->n_body; i++)
				fold_graph(x, n->body[i]);
		}
	}
}

int pass_fold(WqModule *m, const WqPassRun *r)
{
	Fold x = { .a = wq_pass_arena(r), .limit = wq_pass_i(r, "limit") };
	fold_graph(&x, m->main);
	return x.changes;
}
