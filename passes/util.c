/* util.c: what passes share. */
#include "passes/pass.h"

/* Does a result have a size that no operand has? A Dims node may then rely on it, which pass dce knows and nobody
 * else. */
static bool makes_size(const WqNode *n)
{
	for (int i = 0; i < n->n_out; i++) {
		const WqType *t = n->out[i] ? &n->out[i]->type : NULL;
		for (int d = 0; t && t->kind == WQ_TENSOR && d < t->rank; d++) {
			bool found = !wq_dim_is_sym(n->graph->mod, t->dim[d], NULL);
			for (int k = 0; k < n->n_in && !found; k++)
				for (int e = 0; n->in[k] && n->in[k]->type.kind == WQ_TENSOR && e < n->in[k]->type.rank;
				     e++)
					found |= n->in[k]->type.dim[e] == t->dim[d];
			if (!found)
				return true;
		}
	}
	return false;
}

/* Chains are followed so far; what is left is for dce. */
enum { MAX_CHAIN = 1000 };

static int prune(WqNode *n, int depth)
{
	if (!n->graph || depth > MAX_CHAIN || makes_size(n))
		return 0;
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i] && wq_value_num_uses(n->out[i]))
			return 0;
	int removed = 1;
	wq_node_remove(n);
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && n->in[i]->def)
			removed += prune(n->in[i]->def, depth + 1);
	return removed;
}

int wq_node_prune(WqNode *n) { return prune(n, 0); }

void wq_nodes_take_back(WqNode *mark, WqNode *end)
{
	for (WqNode *n = end->prev, *prev; n && n != mark; n = prev) {
		bool used = false;
		prev = n->prev;
		for (int i = 0; i < n->n_out; i++)
			used |= n->out[i] && wq_value_num_uses(n->out[i]);
		if (!used)
			wq_node_remove(n);
	}
}

void wq_node_replace(WqNode *n, WqValue *with)
{
	WqValue *old = n->out[0];
	const char *name = old->name;
	bool fresh = with->def && with->def->id > n->id && with->graph == n->graph;
	wq_value_replace(old, with);
	if (wq_node_prune(n) && fresh)
		wq_value_rename(with, name);
}

bool wq_used_only_by(const WqValue *v, int n, WqNode *const *nodes)
{
	for (int i = 0; i < v->uses.n; i++) {
		bool found = false;
		for (int j = 0; j < n; j++)
			found |= v->uses.v[i].node == nodes[j];
		if (!found)
			return false;
	}
	return !wq_value_is_output(v);
}

bool wq_swaps_exactly(const WqNode *n)
{
	bool picks = (n->op == OP_Max || n->op == OP_Min) && n->in[0] && wq_dtype_is_float(n->in[0]->type.dtype);
	return (wq_op(n->op)->flags & WQ_COMM) && !picks;
}

bool wq_type_same(const WqType *a, const WqType *b)
{
	const WqType *t = a;
	while (t && t->kind != WQ_TENSOR)
		t = t->elem;
	return t && t->rank >= 0 && wq_type_equal(a, b);
}

bool wq_const_same(const WqValue *a, const WqValue *b, size_t max)
{
	if (a == b)
		return true;
	const WqTensor *s = a->data, *t = b->data;
	if (!s || !t || s->packed != t->packed || !wq_type_equal(&a->type, &b->type) || s->dtype == WQ_STR)
		return false;
	size_t n = s->packed ? wq_packed_bytes(s->dtype, wq_tensor_count(s)) : wq_tensor_bytes(s);
	return s->data == t->data || n == 0 || (n <= max && !memcmp(s->data, t->data, n));
}

static int each(WqGraph *g, int (*fn)(WqGraph *g, void *arg), void *arg)
{
	int sum = fn(g, arg);
	WQ_FOR_NODES(n, g)
		for (int i = 0; i < n->n_body; i++)
			sum += each(n->body[i], fn, arg);
	return sum;
}

int wq_each_graph(WqModule *m, int (*fn)(WqGraph *g, void *arg), void *arg) { return each(m->main, fn, arg); }

WqNode *wq_def(const WqValue *v, WqOp op)
{
	return v && v->def && v->def->op == op && v->index == 0 ? v->def : NULL;
}

int wq_axis_of(const WqNode *n, int rank)
{
	int64_t axis = wq_attr_i(n, "axis");
	axis += axis < 0 ? rank : 0;
	return axis >= 0 && axis < rank ? (int)axis : -1;
}

int wq_perm_of(const WqNode *n, int64_t *perm)
{
	int rank = n->in[0]->type.rank, count;
	const int64_t *p = wq_attr_ints(n, "perm", &count);
	for (int i = 0; i < rank; i++)
		perm[i] = count == rank ? p[i] : rank - 1 - i;
	return rank;
}

WqValue *wq_dims_before(WqNode *before, int n, const WqDim *dim)
{
	bool numbers = true;
	for (int i = 0; i < n; i++)
		numbers &= wq_dim_static(dim[i]);
	if (numbers)
		return wq_const_i64s(before->graph, n, dim);
	WqNode *node = wq_node_new(before->graph, OP_Dims, 0, NULL);
	wq_set_ints(node, "dims", n, dim);
	wq_node_finish(node, 1, before);
	return node->out[0];
}
