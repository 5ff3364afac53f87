/* dce.c: removes what nothing uses.
 *
 * Before: y, i = MaxPool(x)   z = Exp(y)   return y        After: y = MaxPool(x)   return y
 *
 * Works in nested graphs too. Results that nothing uses become absent; an If loses results (and its branches
 * outputs) that nothing uses; a Loop loses scanned results, and carried values that only carry themselves. A node
 * whose result has a size that a Dims node asks for stays: the run learns the size from it.
 * Keeps: every output, bit for bit.
 */
#include "passes/pass.h"

typedef struct Dce {
	WqModule *m;
	WqArena *a;
	bool *needed;        /* by symbol: a Dims node that stays asks for it */
	const void **binder; /* by symbol: the node, or main graph, that has it first */
	int changes;
} Dce;

/* ---- symbols --------------------------------------------------------------------------------- */

static void need_dim(Dce *x, WqDim d)
{
	int sym;
	WqDim a, b, atoms[16];
	int64_t coef;
	if (d >= 0 || d == WQ_DIM_UNKNOWN)
		return;
	if (wq_dim_is_sym(x->m, d, &sym)) {
		x->needed[sym] = true;
	} else if (wq_dim_call(x->m, d, &a, &b)) {
		need_dim(x, a);
		need_dim(x, b);
	} else {
		for (int i = 0; i < wq_dim_num_terms(x->m, d); i++)
			for (int k = wq_dim_term(x->m, d, i, &coef, atoms); k > 0; k--)
				need_dim(x, atoms[k - 1]);
	}
}

static void note_binder(Dce *x, const WqType *t, const void *by)
{
	int sym;
	for (int d = 0; t->kind == WQ_TENSOR && d < t->rank; d++)
		if (wq_dim_is_sym(x->m, t->dim[d], &sym) && !x->binder[sym])
			x->binder[sym] = by;
}

static void find_binders(Dce *x, const WqGraph *g)
{
	for (int i = 0; i < g->inputs.n; i++)
		note_binder(x, &g->inputs.v[i]->type, g);
	WQ_FOR_NODES(n, g) {
		for (int i = 0; i < n->n_body; i++)
			find_binders(x, n->body[i]);
		for (int i = 0; i < n->n_out; i++)
			if (n->out[i])
				note_binder(x, &n->out[i]->type, n);
	}
}

static bool binds_needed(const Dce *x, const WqNode *n, const WqValue *v)
{
	int sym;
	for (int d = 0; v->type.kind == WQ_TENSOR && d < v->type.rank; d++)
		if (wq_dim_is_sym(x->m, v->type.dim[d], &sym) && x->needed[sym] && x->binder[sym] == n)
			return true;
	return false;
}

static bool wanted(const Dce *x, const WqNode *n, int i)
{
	return n->out[i] && (wq_value_num_uses(n->out[i]) || binds_needed(x, n, n->out[i]));
}

/* ---- nested graphs --------------------------------------------------------------------------- */

static void drop_at(void *v, int *n, int i, size_t size)
{
	char *at = (char *)v + (size_t)i * size;
	memmove(at, at + size, (size_t)(--*n - i) * size);
}

static void drop_result(Dce *x, WqNode *n, int i)
{
	if (n->out[i])
		wq_map_put(x->m->values, n->out[i]->name, NULL);
	drop_at(n->out, &n->n_out, i, sizeof *n->out);
	for (int k = i; k < n->n_out; k++)
		if (n->out[k])
			n->out[k]->index = k;
	x->changes++;
}

static void shrink_if(Dce *x, WqNode *n)
{
	for (int i = n->n_out - 1; i >= 0; i--)
		if (!wanted(x, n, i)) {
			for (int b = 0; b < n->n_body; b++)
				wq_output_drop(n->body[b], i);
			drop_result(x, n, i);
		}
}

/* Is the body's input in[2+i] used for nothing but output i+1, through nodes that feed nothing else? A chain is
 * followed by dce's own later rounds; here the value must go straight through or not be used at all. */
static bool idle(const WqGraph *g, int i)
{
	const WqValue *in = g->inputs.v[2 + i];
	int own = g->outputs.v[1 + i].value == in;
	return wq_value_num_uses(in) == own;
}

static void drop_carried(Dce *x, WqNode *n, int i)
{
	WqGraph *g = n->body[0];
	drop_result(x, n, i);
	wq_output_drop(g, 1 + i);
	wq_map_put(x->m->values, g->inputs.v[2 + i]->name, NULL);
	drop_at(g->inputs.v, &g->inputs.n, 2 + i, sizeof *g->inputs.v);
	for (int k = 2 + i; k < g->inputs.n; k++)
		g->inputs.v[k]->index = k;
	for (int k = 2 + i; k + 1 < n->n_in; k++)
		wq_node_set_in(n, k, n->in[k + 1]);
	wq_node_set_in(n, n->n_in - 1, NULL);
	n->n_in--;
}

static void shrink_loop(Dce *x, WqNode *n)
{
	int carried = n->n_in > 2 ? n->n_in - 2 : 0;
	for (int i = n->n_out - 1; i >= 0; i--) {
		if (wanted(x, n, i))
			continue;
		if (i >= carried) {
			wq_output_drop(n->body[0], 1 + i);
			drop_result(x, n, i);
		} else if (idle(n->body[0], i)) {
			drop_carried(x, n, i);
		}
	}
}

/* ---- the pass -------------------------------------------------------------------------------- */

static void clean_graph(Dce *x, WqGraph *g);

static void clean_node(Dce *x, WqNode *n)
{
	if (n->op == OP_Dims) {
		int count;
		const int64_t *d = wq_attr_ints(n, "dims", &count);
		for (int i = 0; i < count; i++)
			need_dim(x, d[i]);
	}
	if (n->op == OP_If)
		shrink_if(x, n);
	else if (n->op == OP_Loop)
		shrink_loop(x, n);
	else
		for (int i = 1; i < n->n_out; i++)
			if (n->out[i] && !wanted(x, n, i)) {
				wq_map_put(x->m->values, n->out[i]->name, NULL);
				n->out[i] = NULL;
				x->changes++;
			}
	while (n->n_out > wq_op(n->op)->min_out && n->n_out > 1 && !n->out[n->n_out - 1])
		n->n_out--;
	for (int i = 0; i < n->n_body; i++)
		clean_graph(x, n->body[i]);
}

static void clean_graph(Dce *x, WqGraph *g)
{
	for (WqNode *n = g->last, *prev; n; n = prev) {
		bool used = false;
		prev = n->prev;
		for (int i = 0; i < n->n_out; i++)
			used |= wanted(x, n, i);
		if (used) {
			clean_node(x, n);
		} else {
			wq_node_remove(n);
			x->changes++;
		}
	}
}

/* Constants without a use lose their name; the module forgets them. */
static void forget_constants(Dce *x)
{
	for (int i = 0; i < wq_map_len(x->m->values); i++) {
		const WqValue *v = wq_map_at(x->m->values, i, NULL);
		if (v && v->data && !v->uses.n && !wq_value_is_output(v))
			wq_map_put(x->m->values, v->name, NULL);
	}
}

int pass_dce(WqModule *m, const WqPassRun *r)
{
	int n = wq_dim_num_syms(m);
	Dce x = { .m = m, .a = wq_pass_arena(r) };
	x.needed = WQ_NEW_N(x.a, bool, n + 1);
	x.binder = WQ_NEW_N(x.a, const void *, n + 1);
	find_binders(&x, m->main);
	clean_graph(&x, m->main);
	if (x.changes)
		forget_constants(&x);
	return x.changes;
}
