/* sequence.c: sequences and optionals that are known while compiling go away.
 *
 * Before: s = SequenceConstruct(a, b)  t = SequenceInsert(s, c, 0)  y = SequenceAt(t, 1)     After: y = a
 *
 * A known list is a SequenceConstruct with insertions and removals at constant places, or a SplitToSequence of
 * known pieces. Its elements, its length and its concatenation are values without it. Optionals: element, and
 * whether there is one. Where the element's own type says more than the sequence's, the rewrite is left: sizes
 * would change their names.
 * Keeps: every output bit for bit.
 */
#include "passes/pass.h"

enum { MAX_CHAIN = 256, MAX_PIECES = 1024 };

typedef struct List {
	WQ_VEC(WqValue *) v;
} List;

/* The place that a constant operand names in a list of n; `otherwise` if it is absent. */
static bool place(const WqNode *n, int operand, int count, int otherwise, int *at)
{
	*at = otherwise;
	if (n->n_in <= operand || !n->in[operand])
		return otherwise >= 0;
	const WqTensor *t = n->in[operand]->data;
	if (!t || wq_tensor_count(t) != 1)
		return false;
	int64_t k = wq_tensor_get_i(t, 0);
	k += k < 0 ? count : 0;
	*at = (int)k;
	return k >= 0 && k <= count;
}

/* The elements of sequence v, if they are known. */
static bool elements(WqArena *a, const WqValue *v, List *l, int depth)
{
	const WqNode *n = v->def;
	int at;
	if (!n || depth > MAX_CHAIN)
		return false;
	switch (n->op) {
	case OP_SequenceConstruct:
		for (int i = 0; i < n->n_in; i++)
			WQ_PUSH(a, l->v, n->in[i]);
		return true;
	case OP_SequenceInsert:
		if (!elements(a, n->in[0], l, depth + 1) || !place(n, 2, l->v.n, l->v.n, &at))
			return false;
		WQ_PUSH(a, l->v, n->in[1]);
		memmove(&l->v.v[at + 1], &l->v.v[at], (size_t)(l->v.n - 1 - at) * sizeof(WqValue *));
		l->v.v[at] = n->in[1];
		return true;
	case OP_SequenceErase:
		if (!elements(a, n->in[0], l, depth + 1) || !place(n, 1, l->v.n, l->v.n - 1, &at) || at >= l->v.n)
			return false;
		WQ_ASSERT(l->v.v);
		memmove(&l->v.v[at], &l->v.v[at + 1], (size_t)(l->v.n - 1 - at) * sizeof(WqValue *));
		l->v.n--;
		return true;
	default:
		return false;
	}
}

static WqValue *at(WqArena *a, const WqNode *n)
{
	List l = { 0 };
	int i;
	return elements(a, n->in[0], &l, 0) && place(n, 1, l.v.n, -1, &i) && l.v.v && i < l.v.n ? l.v.v[i] : NULL;
}

static WqValue *length(WqArena *a, const WqNode *n)
{
	List l = { 0 };
	return elements(a, n->in[0], &l, 0) ? wq_const_int(n->graph, WQ_I64, l.v.n) : NULL;
}

/* v with a new axis of 1. */
static WqValue *unsqueezed(WqNode *before, WqValue *v, int axis)
{
	WqDim dim[WQ_MAX_RANK];
	int rank = v->type.rank;
	if (rank < 0 || rank == WQ_MAX_RANK)
		return NULL;
	for (int d = 0; d <= rank; d++)
		dim[d] = d == axis ? 1 : v->type.dim[d - (d > axis)];
	WqNode *r =
		wq_node_new(before->graph, OP_Reshape, 2, (WqValue *[]){ v, wq_dims_before(before, rank + 1, dim) });
	wq_set_i(r, "allowzero", 1);
	return wq_node_value(r, before);
}

static WqValue *concat(WqArena *a, WqNode *n)
{
	List l = { 0 };
	int rank = n->out[0]->type.rank;
	if (rank < 0 || !elements(a, n->in[0], &l, 0) || !l.v.n)
		return NULL;
	int axis = wq_axis_of(n, rank);
	for (int i = 0; i < l.v.n && wq_attr_i(n, "new_axis"); i++)
		if (!(l.v.v[i] = unsqueezed(n, l.v.v[i], axis)))
			return NULL;
	WqNode *c = wq_node_new(n->graph, OP_Concat, l.v.n, l.v.v);
	wq_set_i(c, "axis", axis);
	return wq_node_value(c, n);
}

/* ---- SplitToSequence: a SequenceConstruct of slices ------------------------------------------ */

/* The sizes of the pieces; 0 if they are not known, or too many. */
static int pieces(const WqNode *n, int64_t size, int64_t *piece)
{
	const WqTensor *t = n->n_in > 1 && n->in[1] ? n->in[1]->data : NULL;
	if (n->n_in > 1 && n->in[1] && !t)
		return 0;
	bool list = t && t->rank == 1;
	int64_t each = t && !list ? wq_tensor_get_i(t, 0) : 1, sum = 0;
	int64_t count = list ? wq_tensor_count(t) : each > 0 ? (size + each - 1) / each : 0;
	if (count < 1 || count > MAX_PIECES)
		return 0;
	for (int64_t i = 0; i < count; i++) {
		piece[i] = list ? wq_tensor_get_i(t, i) : each < size - sum ? each : size - sum;
		if (piece[i] < 0 || piece[i] > size - sum)
			return 0;
		sum += piece[i];
	}
	return sum == size ? (int)count : 0;
}

static WqValue *split(WqArena *a, WqNode *n)
{
	const WqType *t = &n->in[0]->type;
	int axis = t->rank < 0 ? -1 : wq_axis_of(n, t->rank);
	int64_t *piece = WQ_NEW_N(a, int64_t, MAX_PIECES), from = 0, one = 1;
	if (axis < 0 || !wq_dim_static(t->dim[axis]))
		return NULL;
	int count = pieces(n, t->dim[axis], piece);
	bool drop = (n->n_in < 2 || !n->in[1]) && !wq_attr_i(n, "keepdims");
	List l = { 0 };
	for (int i = 0; i < count; i++) {
		int64_t to = from + piece[i], ax = axis;
		WqGraph *g = n->graph;
		WqValue *in[] = { n->in[0], wq_const_i64s(g, 1, &from), wq_const_i64s(g, 1, &to),
				  wq_const_i64s(g, 1, &ax), wq_const_i64s(g, 1, &one) };
		WqValue *v = wq_node_value(wq_node_new(g, OP_Slice, 5, in), n);
		if (drop) {
			WqDim dim[WQ_MAX_RANK];
			for (int d = 0; d + 1 < t->rank; d++)
				dim[d] = t->dim[d + (d >= axis)];
			WqNode *r =
				wq_node_new(g, OP_Reshape, 2, (WqValue *[]){ v, wq_dims_before(n, t->rank - 1, dim) });
			wq_set_i(r, "allowzero", 1);
			v = wq_node_value(r, n);
		}
		WQ_PUSH(a, l.v, v);
		from = to;
	}
	if (!count)
		return NULL;
	WqNode *c = wq_node_new(n->graph, OP_SequenceConstruct, l.v.n, l.v.v);
	wq_node_finish(c, 1, n);
	return c->out[0];
}

/* ---- optionals, and the pass ----------------------------------------------------------------- */

static WqValue *get_element(const WqNode *n)
{
	if (n->in[0]->type.kind != WQ_OPTIONAL)
		return n->in[0];
	const WqNode *o = wq_def(n->in[0], OP_Optional);
	return o && o->n_in ? o->in[0] : NULL;
}

static WqValue *has_element(const WqNode *n)
{
	const WqValue *v = n->n_in ? n->in[0] : NULL;
	const WqNode *o = v ? wq_def(v, OP_Optional) : NULL;
	if (v && v->type.kind == WQ_OPTIONAL && !o)
		return NULL;
	return wq_const_int(n->graph, WQ_BOOL, v && (!o || (o->n_in && o->in[0])));
}

static WqValue *resolved(WqArena *a, WqNode *n)
{
	switch (n->op) {
	case OP_SequenceAt:
		return at(a, n);
	case OP_SequenceLength:
		return length(a, n);
	case OP_ConcatFromSequence:
		return concat(a, n);
	case OP_SplitToSequence:
		return split(a, n);
	case OP_OptionalGetElement:
		return get_element(n);
	case OP_OptionalHasElement:
		return has_element(n);
	default:
		return NULL;
	}
}

static int resolve_graph(WqGraph *g, void *a)
{
	int changes = 0;
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		if (!(wq_op(n->op)->flags & WQ_SEQ) || !n->out[0])
			continue;
		WqNode *mark = n->prev;
		g->mod->where = n->name;
		WqValue *v = resolved(a, n);
		g->mod->where = NULL;
		if (v && wq_type_same(&v->type, &n->out[0]->type)) {
			wq_node_replace(n, v);
			changes++;
		} else {
			wq_nodes_take_back(mark, n);
		}
	}
	return changes;
}

int pass_sequence(WqModule *m, const WqPassRun *r) { return wq_each_graph(m, resolve_graph, wq_pass_arena(r)); }
