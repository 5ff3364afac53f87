/* cse.c: computes equal things once.
 *
 * Before: a = Exp(x)   b = Exp(x)   y = Add(a, b)          After: a = Exp(x)   y = Add(a, a)
 *
 * Two nodes are equal when operator, attributes and operands are (the two operands of a commutative operator in
 * any order) and the first stands where the second sees it: before it, in the same graph or one around. Constants
 * are equal by content; two initializers of the model stay apart unless they are small, so that compression and
 * the writer meet both. Impure operators and those with nested graphs are left alone.
 * Keeps: every output, bit for bit.
 */
#include "passes/pass.h"

enum { SMALL = 4096 }; /* bytes of constants that are compared by content */

typedef struct Entry {
	uint64_t hash;
	WqNode *node;
	WqValue *constant;
	struct Entry *next;
} Entry;

typedef struct Table { /* of one graph; what stands in it is seen by the nodes that come */
	Entry **slot;
	int n, cap; /* a power of two */
	struct Table *up;
} Table;

typedef struct Cse {
	WqArena *a;
	Table constants;
	int changes;
} Cse;

static void grow(WqArena *a, Table *t)
{
	int cap = t->cap ? 2 * t->cap : 64;
	Entry **slot = WQ_NEW_N(a, Entry *, cap);
	for (int i = 0; i < t->cap; i++)
		for (Entry *e = t->slot[i], *next; e; e = next) {
			next = e->next;
			e->next = slot[e->hash & (uint64_t)(cap - 1)];
			slot[e->hash & (uint64_t)(cap - 1)] = e;
		}
	t->slot = slot;
	t->cap = cap;
}

static void put(WqArena *a, Table *t, uint64_t hash, WqNode *node, WqValue *constant)
{
	if (t->n >= t->cap)
		grow(a, t);
	Entry *e = WQ_NEW(a, Entry), **at = &t->slot[hash & (uint64_t)(t->cap - 1)];
	*e = (Entry){ hash, node, constant, *at };
	*at = e;
	t->n++;
}

/* ---- constants ------------------------------------------------------------------------------- */

static uint64_t hash_const(const WqTensor *t)
{
	uint64_t h = wq_hash(t->dim, (size_t)t->rank * sizeof *t->dim, (uint64_t)t->dtype);
	size_t n = t->packed ? wq_packed_bytes(t->dtype, wq_tensor_count(t)) : wq_tensor_bytes(t);
	return n <= SMALL && t->dtype != WQ_STR ? wq_hash(t->data, n, h) : wq_hash(&t->data, sizeof t->data, h);
}

static bool same_origin(const WqValue *a, const WqValue *b)
{
	const WqOrigin *x = &a->origin, *y = &b->origin;
	if (!x->initializer || !y->initializer || wq_tensor_bytes(a->data) <= SMALL)
		return true;
	return !strcmp(x->initializer, y->initializer) && x->n_perm == y->n_perm && x->reshaped == y->reshaped &&
	       !memcmp(x->perm, y->perm, (size_t)x->n_perm * sizeof *x->perm);
}

/* The constant that stands for all like v. */
static WqValue *canonical(Cse *x, WqValue *v)
{
	uint64_t h = hash_const(v->data);
	Table *t = &x->constants;
	for (Entry *e = t->cap ? t->slot[h & (uint64_t)(t->cap - 1)] : NULL; e; e = e->next)
		if (e->hash == h && wq_const_same(e->constant, v, SMALL) && same_origin(e->constant, v))
			return e->constant;
	put(x->a, t, h, NULL, v);
	return v;
}

static void merge_constants(Cse *x, WqNode *n)
{
	for (int i = 0; i < n->n_in; i++) {
		WqValue *v = n->in[i], *with = v && v->data ? canonical(x, v) : v;
		if (with == v)
			continue;
		if (!with->origin.initializer)
			with->origin = v->origin;
		with->graph = n->graph->mod->main; /* seen from everywhere now */
		wq_node_set_in(n, i, with);
		x->changes++;
	}
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Attributes in any order: hashes are added. */
static uint64_t hash_attr(const WqAttr *a)
{
	uint64_t h = wq_hash(a->name, strlen(a->name), 1);
	switch (a->kind) {
	case WQ_A_INT:
	case WQ_A_DTYPE:
		return wq_hash(&a->i, sizeof a->i, h);
	case WQ_A_FLOAT:
		return wq_hash(&a->f, sizeof a->f, h);
	case WQ_A_STR:
		return wq_hash(a->s, strlen(a->s), h);
	case WQ_A_INTS:
	case WQ_A_DIMS:
		return wq_hash(a->ints, (size_t)a->n * sizeof *a->ints, h);
	case WQ_A_TYPE:
		return h;
	}
	return h;
}

/* -0 is not 0 here, and a NaN is itself. */
static uint64_t bits(double f)
{
	uint64_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

static bool same_attr(const WqAttr *a, const WqAttr *b)
{
	if (!b || a->kind != b->kind)
		return false;
	switch (a->kind) {
	case WQ_A_INT:
	case WQ_A_DTYPE:
		return a->i == b->i;
	case WQ_A_FLOAT:
		return bits(a->f) == bits(b->f);
	case WQ_A_STR:
		return !strcmp(a->s, b->s);
	case WQ_A_INTS:
	case WQ_A_DIMS:
		return a->n == b->n && (a->n == 0 || !memcmp(a->ints, b->ints, (size_t)a->n * sizeof *a->ints));
	case WQ_A_TYPE:
		return wq_type_equal(a->type, b->type);
	}
	return false;
}

static uint64_t hash_node(const WqNode *n)
{
	uint64_t h = wq_hash(&n->op, sizeof n->op, (uint64_t)n->n_in);
	for (const WqAttr *a = n->attrs; a; a = a->next)
		h += hash_attr(a);
	const WqValue *in[2] = { n->n_in > 0 ? n->in[0] : NULL, n->n_in > 1 ? n->in[1] : NULL };
	if (wq_swaps_exactly(n) && in[0] > in[1]) {
		const WqValue *v = in[0];
		in[0] = in[1];
		in[1] = v;
	}
	h = wq_hash(in, sizeof in, h);
	return n->n_in > 2 ? wq_hash(n->in + 2, (size_t)(n->n_in - 2) * sizeof *n->in, h) : h;
}

static bool same_operands(const WqNode *a, const WqNode *b)
{
	int from = 0;
	if (wq_swaps_exactly(a) && a->in[0] == b->in[1] && a->in[1] == b->in[0])
		from = 2;
	for (int i = from; i < a->n_in; i++)
		if (a->in[i] != b->in[i])
			return false;
	return true;
}

static bool same_node(const WqNode *a, const WqNode *b)
{
	if (a->op != b->op || a->n_in != b->n_in || !same_operands(a, b))
		return false;
	int n = 0, k = 0;
	for (const WqAttr *t = a->attrs; t; t = t->next, n++)
		if (!same_attr(t, wq_attr_find(b, t->name)))
			return false;
	for (const WqAttr *t = b->attrs; t; t = t->next)
		k++;
	return n == k;
}

/* Every result of b that is there must be in a, and of the same type: a size that only running tells has another
 * symbol. */
static bool covers(const WqNode *a, const WqNode *b)
{
	for (int i = 0; i < b->n_out; i++)
		if (b->out[i] && (i >= a->n_out || !a->out[i] || !wq_type_equal(&a->out[i]->type, &b->out[i]->type)))
			return false;
	return true;
}

static WqNode *find(const Table *t, uint64_t h, const WqNode *n)
{
	for (; t; t = t->up)
		for (Entry *e = t->cap ? t->slot[h & (uint64_t)(t->cap - 1)] : NULL; e; e = e->next)
			if (e->hash == h && same_node(e->node, n) && covers(e->node, n))
				return e->node;
	return NULL;
}

static void merge_graph(Cse *x, WqGraph *g, Table *up)
{
	Table t = { .up = up };
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		merge_constants(x, n);
		for (int i = 0; i < n->n_body; i++)
			merge_graph(x, n->body[i], &t);
		if (wq_op(n->op)->flags & (WQ_IMPURE | WQ_BODY))
			continue;
		uint64_t h = hash_node(n);
		WqNode *first = find(&t, h, n);
		if (!first) {
			put(x->a, &t, h, n, NULL);
			continue;
		}
		for (int i = 0; i < n->n_out; i++)
			if (n->out[i])
				wq_value_replace(n->out[i], first->out[i]);
		wq_node_remove(n);
		x->changes++;
	}
}

int pass_cse(WqModule *m, const WqPassRun *r)
{
	Cse x = { .a = wq_pass_arena(r) };
	merge_graph(&x, m->main, NULL);
	return x.changes;
}
