/* transpose.c: moves Transpose towards the outputs, past what does not care, until two meet and cancel.
 *
 * Before: a = Transpose{0,2,3,1}(x)  b = Relu(a)  c = Transpose{0,3,1,2}(b)      After: c = Relu(x)
 *
 * Past elementwise operators (other operands being transposed alike, constants, or single numbers), Softmax,
 * reductions, Concat, Slice, Pad. A Transpose moves only if its result has no other use, or dies with its last; so
 * their number never grows, and each moves down a graph of finite depth. Two in a row are one. A Reshape moves
 * past elementwise operators of one tensor when another Reshape follows.
 * Keeps: every output bit for bit (a reduction may add in another order: to rounding).
 */
#include "passes/match.h"

typedef struct Move {
	WqNode *n;
	WqArena *a;
	int rank;                    /* of the transposed operands */
	int64_t perm[WQ_MAX_RANK];   /* result axis i is operand axis perm[i] */
	int64_t inv[WQ_MAX_RANK];
} Move;

static WqNode *transpose_of(const WqValue *v) { return v && !v->data ? wq_def(v, OP_Transpose) : NULL; }

/* Takes the permutation of the first operand that is transposed. */
static bool start(Move *x, WqNode *n)
{
	for (int i = 0; i < n->n_in; i++) {
		WqNode *t = transpose_of(n->in[i]);
		if (!t)
			continue;
		x->rank = wq_perm_of(t, x->perm);
		for (int d = 0; d < x->rank; d++)
			x->inv[x->perm[d]] = d;
		return x->rank > 0;
	}
	return false;
}

static bool same_perm(const Move *x, const WqNode *t)
{
	int64_t p[WQ_MAX_RANK];
	return wq_perm_of(t, p) == x->rank && !memcmp(p, x->perm, (size_t)x->rank * sizeof *p);
}

/* Do the transposes below n go away with it: at least one, and no more than one stays to be counted for the new one? */
static bool some_dies(const Move *x)
{
	for (int i = 0; i < x->n->n_in; i++) {
		WqNode *t = transpose_of(x->n->in[i]);
		if (t && wq_used_only_by(t->out[0], 1, &x->n))
			return true;
	}
	return false;
}

static bool one_element(const WqValue *v)
{
	for (int d = 0; d < v->type.rank; d++)
		if (v->type.dim[d] != 1)
			return false;
	return v->type.rank >= 0;
}

static WqValue *permuted(const Move *x, WqValue *v, const int64_t *perm)
{
	WqNode *t = wq_node_new(x->n->graph, OP_Transpose, 1, &v);
	wq_set_ints(t, "perm", x->rank, perm);
	return wq_node_value(t, x->n);
}

/* A constant that broadcasts against the transposed operands, as it must look before the transposition. */
static WqValue *constant_before(const Move *x, WqValue *c)
{
	int extra = x->rank - c->type.rank;
	WqDim dim[WQ_MAX_RANK];
	if (extra < 0 || !x->n->graph->mod->fold)
		return NULL;
	for (int d = 0; d < x->rank; d++)
		dim[d] = d < extra ? 1 : c->type.dim[d - extra];
	WqNode *r =
		wq_node_new(x->n->graph, OP_Reshape, 2, (WqValue *[]){ c, wq_const_i64s(x->n->graph, x->rank, dim) });
	wq_set_i(r, "allowzero", 1);
	WqValue *v = permuted(x, wq_node_value(r, x->n), x->inv);
	return v->data ? v : NULL;
}

/* Operand i before the transposition; NULL if there is no such thing. */
static WqValue *before(const Move *x, int i)
{
	WqValue *v = x->n->in[i];
	WqNode *t = transpose_of(v);
	if (t)
		return same_perm(x, t) ? t->in[0] : NULL;
	if (v->type.rank == 0 || (one_element(v) && v->type.rank <= x->rank))
		return v;
	return v->data ? constant_before(x, v) : NULL;
}

/* ---- what a Transpose may pass: each builds the operator on untransposed operands ------------ */

static WqValue *finish(const Move *x, WqOp op, int n_in, WqValue *const *in)
{
	WqNode *n = wq_node_new(x->n->graph, op, n_in, in);
	wq_attr_copy(n, x->n);
	wq_node_finish(n, 1, x->n);
	return n->out[0];
}

static bool all_before(const Move *x, int n, WqValue **in)
{
	for (int i = 0; i < n; i++)
		if (!x->n->in[i] || !(in[i] = before(x, i)))
			return false;
	return true;
}

static WqValue *elementwise(const Move *x)
{
	WqValue *in[3];
	if (x->n->n_in > 3 || x->n->out[0]->type.rank != x->rank || !all_before(x, x->n->n_in, in))
		return NULL;
	return finish(x, x->n->op, x->n->n_in, in);
}

static WqValue *along_axis(const Move *x)
{
	int axis = wq_axis_of(x->n, x->rank);
	WqValue **in = WQ_NEW_N(x->a, WqValue *, x->n->n_in);
	if (axis < 0 || !all_before(x, x->n->op == OP_Concat ? x->n->n_in : 1, in))
		return NULL;
	WqNode *n = wq_node_new(x->n->graph, x->n->op, x->n->n_in, in);
	wq_attr_copy(n, x->n);
	wq_set_i(n, "axis", x->perm[axis]);
	wq_node_finish(n, 1, x->n);
	return n->out[0];
}

static WqValue *concat(const Move *x)
{
	for (int i = 0; i < x->n->n_in;
	     i++) /* a single element or broadcast constant is no operand of Concat's shape */
		if (!transpose_of(x->n->in[i]) && x->n->in[i]->type.rank != x->rank)
			return NULL;
	return along_axis(x);
}

static WqValue *pad(const Move *x)
{
	int n;
	const int64_t *v;
	int64_t pads[2 * WQ_MAX_RANK];
	WqValue *in[3] = { before(x, 0), NULL, x->n->n_in > 2 ? x->n->in[2] : NULL };
	if ((x->n->n_in > 3 && x->n->in[3]) || !wq_value_const_i64s(x->n->in[1], &n, &v, x->a) || n != 2 * x->rank)
		return NULL;
	for (int d = 0; d < x->rank; d++) {
		pads[x->perm[d]] = v[d];
		pads[x->rank + x->perm[d]] = v[x->rank + d];
	}
	in[1] = wq_const_i64s(x->n->graph, n, pads);
	return finish(x, OP_Pad, 3, in);
}

/* The axes operand of n, moved to before the transposition. */
static WqValue *moved_axes(const Move *x, const WqValue *axes, int *count, bool *flag)
{
	const int64_t *v;
	int64_t to[WQ_MAX_RANK];
	if (!wq_value_const_i64s(axes, count, &v, x->a) || *count > x->rank)
		return NULL;
	for (int i = 0; i < *count; i++) {
		int64_t d = v[i] < 0 ? v[i] + x->rank : v[i];
		flag[d] = true;
		to[i] = x->perm[d];
	}
	return wq_const_i64s(x->n->graph, *count, to);
}

static WqValue *slice(const Move *x)
{
	int n;
	bool flag[WQ_MAX_RANK] = { 0 };
	WqValue *in[5] = { before(x, 0), x->n->in[1], x->n->in[2], moved_axes(x, x->n->in[3], &n, flag), x->n->in[4] };
	return in[3] ? finish(x, OP_Slice, 5, in) : NULL;
}

/* Without kept axes the permutation is of those that are left. */
static WqValue *reduce(Move *x)
{
	int n, k = 0;
	bool flag[WQ_MAX_RANK] = { 0 };
	WqValue *in[2] = { before(x, 0), x->n->n_in > 1 && x->n->in[1] ? moved_axes(x, x->n->in[1], &n, flag) : NULL };
	if (!in[1] || n == 0)
		return NULL;
	WqValue *v = finish(x, x->n->op, 2, in);
	if (wq_attr_i(x->n, "keepdims"))
		return v;
	int place[WQ_MAX_RANK]; /* of an operand's axis in the result */
	for (int d = 0; d < x->rank; d++) {
		place[d] = k;
		k += !flag[x->inv[d]];
	}
	k = 0;
	for (int d = 0; d < x->rank; d++)
		if (!flag[d])
			x->perm[k++] = place[x->perm[d]];
	x->rank = k;
	return v;
}

static WqValue *past(Move *x)
{
	switch (x->n->op) {
	case OP_Cast:
		return elementwise(x);
	case OP_Softmax:
		return along_axis(x);
	case OP_Concat:
		return concat(x);
	case OP_Pad:
		return transpose_of(x->n->in[0]) ? pad(x) : NULL;
	case OP_Slice:
		return transpose_of(x->n->in[0]) ? slice(x) : NULL;
	case OP_ReduceSum:
	case OP_ReduceMean:
	case OP_ReduceProd:
	case OP_ReduceMax:
	case OP_ReduceMin:
		return transpose_of(x->n->in[0]) ? reduce(x) : NULL;
	default:
		return wq_op(x->n->op)->flags & WQ_EW ? elementwise(x) : NULL;
	}
}

static bool move(WqNode *n, WqArena *a)
{
	Move x = { .n = n, .a = a };
	WqNode *mark = n->prev;
	if (n->n_out < 1 || !n->out[0] || !start(&x, n) || !some_dies(&x))
		return false;
	n->graph->mod->where = n->name;
	WqValue *v = past(&x);
	WqValue *y = v ? permuted(&x, v, x.perm) : NULL;
	n->graph->mod->where = NULL;
	if (!y || !wq_type_same(&y->type, &n->out[0]->type)) {
		wq_nodes_take_back(mark, n);
		return false;
	}
	wq_node_replace(n, y);
	return true;
}

/* Two that meet are one at once: what it moves past next is in the same sweep, so that long chains take few. */
static bool meet(WqNode *n)
{
	WqNode *inner = n->n_out == 1 && n->out[0] ? transpose_of(n->in[0]) : NULL;
	if (!inner || !wq_used_only_by(inner->out[0], 1, &n))
		return false;
	n->graph->mod->where = n->name;
	WqValue *v = wq_transpose_both(n);
	n->graph->mod->where = NULL;
	if (!v || !wq_type_same(&v->type, &n->out[0]->type))
		return false;
	wq_node_replace(n, v);
	return true;
}

static int move_graph(WqGraph *g, void *a)
{
	int changes = 0;
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		changes += n->op == OP_Transpose ? meet(n) : move(n, a);
	}
	return changes;
}

/* ---- Reshape past elementwise operators ------------------------------------------------------ */

static WqValue *reshape_past(WqMatch *x)
{
	WqNode *root = wq_m_root(x), *op = wq_m(x, "y")->def, *r;
	if (!op || (!(wq_op(op->op)->flags & WQ_EW) && op->op != OP_Cast) || !wq_used_only_by(op->out[0], 1, &root))
		return NULL;
	WqValue *in[3] = { NULL, NULL, NULL };
	int from = -1;
	for (int i = 0; i < op->n_in; i++) {
		in[i] = op->in[i];
		if (in[i]->type.rank != 0 && from < 0)
			from = i;
		else if (!one_element(in[i]))
			return NULL;
	}
	if (from < 0 || !(r = wq_def(in[from], OP_Reshape)) || !wq_used_only_by(r->out[0], 1, &op))
		return NULL;
	/* only where the shape comes back: a Reshape of a Reshape is algebra's */
	WqType back = r->in[0]->type;
	back.dtype = root->out[0]->type.dtype;
	if (!wq_type_same(&back, &root->out[0]->type))
		return NULL;
	in[from] = r->in[0];
	WqNode *n = wq_m_node(x, op->op, op->n_in, in);
	wq_attr_copy(n, op);
	return wq_node_value(n, root);
}

static const WqRule rules[] = {
	{ "Reshape(y, _)", .make = reshape_past },
};

int pass_transpose(WqModule *m, const WqPassRun *r)
{
	int total = 0, changes;
	do {
		changes = wq_each_graph(m, move_graph, wq_pass_arena(r));
		changes += wq_rewrite(m, r, rules, WQ_COUNTOF(rules));
		total += changes;
	} while (changes);
	return total;
}
