/* group.c: cuts a graph into groups: what one kernel computes.
 *
 * Nodes are visited backwards. A node that can be computed on demand joins the group that reads it, if that is the only one; a node with
 * loops of its own takes over the elementwise group behind it as its epilogue. What cannot join becomes a group, whose result is stored.
 */
#include "codegen/program.h"

enum { MAX_NODES = 48, MAX_IN = 24 };

typedef struct Grouper {
	WqBuild *b;
	const WqGraph *g;
	WqGroups *out;
	WqGroup **of;  /* by node position */
	const WqNode **node;
	int n;
	WqMap *pos;    /* node id -> position + 1 */
} Grouper;

static int position(const Grouper *s, const WqNode *n)
{
	char key[16];
	snprintf(key, sizeof key, "%x", n->id);
	return (int)(intptr_t)wq_map_get(s->pos, key) - 1;
}

/* The node of this graph in which a node of it, or of a graph nested in it, is. */
static const WqNode *outer(const Grouper *s, const WqNode *n)
{
	while (n && n->graph != s->g)
		n = n->graph->owner;
	return n;
}

bool wq_same_shape(const WqType *a, const WqType *b)
{
	return a->rank == b->rank && (a->rank <= 0 || !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim));
}

bool wq_is_immediate(const WqValue *v)
{
	return v->data && v->data->dtype != WQ_STR && wq_dtype(v->data->dtype)->cls != 'C' && wq_tensor_count(v->data) == 1;
}

bool wq_is_virtual(const WqValue *v)
{
	return v->sym && !v->data && wq_type_static(&v->type) && wq_max_count(v->graph->mod, &v->type) <= 16;
}

static bool is_ew(const WqNode *n) { return wq_emit(n->op)->ew || wq_emit(n->op)->pointwise; }

/* Elementwise functions that cost more than a few instructions. */
static bool is_costly(const WqNode *n)
{
	switch (n->op) {
	case OP_Add: case OP_Sub: case OP_Mul: case OP_Neg: case OP_Abs: case OP_Relu: case OP_Min: case OP_Max: case OP_Where:
	case OP_Cast: case OP_BitCast: case OP_Not: case OP_And: case OP_Or: case OP_Equal: case OP_Less: case OP_LessOrEqual:
		return false;
	default:
		return wq_emit(n->op)->ew || wq_emit(n->op)->costly;
	}
}

/* The one group that reads all of v's uses, or NULL. */
static WqGroup *only_reader(const Grouper *s, const WqValue *v)
{
	WqGroup *g = NULL;
	for (int i = 0; i < v->uses.n; i++) {
		const WqNode *u = outer(s, v->uses.v[i].node);
		WqGroup *h = u && u == v->uses.v[i].node ? s->of[position(s, u)] : NULL;
		if (!h || (g && h != g))
			return NULL;
		g = h;
	}
	return g;
}

static bool has_node(const WqGroup *g, const WqNode *n)
{
	for (int i = 0; i < g->nodes.n; i++)
		if (g->nodes.v[i] == n)
			return true;
	return false;
}

/* Is operand i read when sizes are bound, before any kernel runs? Those are the integers of the signature, and Range's. */
static bool read_for_sizes(const WqNode *n, int i)
{
	const char *s = wq_op(n->op)->sig;
	if (!wq_emit(n->op)->sizes)
		return false;
	for (; *s && *s != '>'; s++)
		if (!strchr("?+@", *s) && i-- == 0)
			return *s == 'I' || n->op == OP_Range;
	return false;
}

/* May every reader of v (all in g) ask for its elements one by one, each about once? */
static bool readers_take(const WqBuild *b, const WqGroup *g, const WqNode *n, const WqValue *v)
{
	for (int i = 0; i < v->uses.n; i++) {
		const WqNode *u = v->uses.v[i].node;
		int k = v->uses.v[i].index;
		const WqEmit *e = wq_emit(u->op);
		if ((k > 0 && wq_binds(b, u)) || read_for_sizes(u, k))
			return false;
		if (g->kind == GROUP_KERNEL && u == g->root) {
			if ((k < 32 && (e->direct >> k & 1)) || (k < 32 && (e->repeated >> k & 1)) || k >= 32)
				return false;
		} else if (!e->ew && !(e->at && k == 0)) {
			return false; /* indices and the like are read as numbers */
		}
		/* a small operand that is broadcast would be computed again for each reader */
		bool same = wq_same_shape(&v->type, &u->out[0]->type) || !e->ew;
		if ((!same || !e->ew) && (is_costly(n) || v->uses.n > 1) && !(g->kind == GROUP_KERNEL && u == g->root))
			return false;
	}
	return true;
}

static int count_in(const WqGroup *g, const WqNode *extra)
{
	int n = 0;
	for (int i = 0; i < g->nodes.n; i++)
		n += g->nodes.v[i]->n_in;
	return n + (extra ? extra->n_in : 0);
}

static void add(Grouper *s, WqGroup *g, const WqNode *n)
{
	WQ_PUSH(s->b->a, g->nodes, n);
	s->of[position(s, n)] = g;
}

/* Is n, or what it is computed from elementwise, the only reader of a node whose epilogue it can be? Then it belongs there rather than
 * before some other kernel: what it makes is stored in the right place at once. */
static bool belongs_behind(const WqNode *n, int depth)
{
	if (!is_ew(n) || depth > 8)
		return false;
	for (int i = 0; i < n->n_in; i++) {
		const WqValue *v = n->in[i];
		if (!v || !v->def || v->def->graph != n->graph || v->uses.n != 1 || wq_value_is_output(v) ||
		    !wq_same_shape(&v->type, &n->out[0]->type) || v->index)
			continue;
		if (wq_emit(v->def->op)->epilogue || belongs_behind(v->def, depth + 1))
			return true;
	}
	return false;
}

/* Joins the group behind it as a prologue. */
static bool join_reader(Grouper *s, const WqNode *n)
{
	const WqEmit *e = wq_emit(n->op);
	if (n->n_out != 1 || !n->out[0] || !(e->ew || e->at) || (e->at && e->kernel && n->n_in > 2) || wq_binds(s->b, n) || wq_op(n->op)->flags & WQ_IMPURE)
		return false;
	const WqValue *v = n->out[0];
	WqGroup *g = v->uses.n ? only_reader(s, v) : NULL;
	if (!g || g->kind == GROUP_CONTROL || g->kind == GROUP_VIEW || g->nodes.n >= MAX_NODES || count_in(g, n) > 2 * MAX_IN)
		return false;
	if (!readers_take(s->b, g, n, v) || (g->kind == GROUP_KERNEL && belongs_behind(n, 0)))
		return false;
	if (wq_value_is_output(v)) { /* it must be stored as well: only at the index of the group's loops */
		if (g->kind != GROUP_LOOP || !is_ew(n) || !wq_same_shape(&v->type, &g->root->out[0]->type))
			return false;
	}
	add(s, g, n);
	return true;
}

/* n has loops of its own: the elementwise group behind it becomes its epilogue if it reads nothing of n but this. */
static bool take_epilogue(Grouper *s, const WqNode *n)
{
	const WqEmit *e = wq_emit(n->op);
	if (!e->epilogue || wq_binds(s->b, n) /* what is read behind it may need the size first */ || !n->out[0] || !n->out[0]->uses.n || wq_value_is_output(n->out[0]))
		return false;
	for (int i = 1; i < n->n_out; i++) /* what follows may depend on another result, too */
		if (n->out[i] && wq_value_num_uses(n->out[i]))
			return false;
	const WqValue *v = n->out[0];
	WqGroup *g = only_reader(s, v);
	if (!g || g->kind != GROUP_LOOP || g->nodes.n >= MAX_NODES || count_in(g, n) > 2 * MAX_IN)
		return false;
	/* everything that depends on n in the group is elementwise on n's index */
	WqMap *reach = wq_map_new(s->b->a);
	for (int i = g->nodes.n - 1; i >= 0; i--) { /* graph order: nodes were added backwards */
		const WqNode *u = g->nodes.v[i];
		bool dep = false;
		for (int j = 0; j < u->n_in; j++)
			dep |= u->in[j] && (u->in[j] == v || wq_map_get(reach, u->in[j]->name));
		if (!dep)
			continue;
		if (!is_ew(u) || !wq_same_shape(&u->out[0]->type, &v->type))
			return false;
		for (int j = 0; j < u->n_in; j++)
			if (u->in[j] && (u->in[j] == v || wq_map_get(reach, u->in[j]->name)) && !wq_same_shape(&u->in[j]->type, &v->type))
				return false;
		wq_map_put(reach, u->out[0]->name, (void *)u);
	}
	if (!wq_same_shape(&g->root->out[0]->type, &v->type) || !wq_map_get(reach, g->root->out[0]->name))
		return false;
	g->kind = GROUP_KERNEL;
	g->root = n;
	add(s, g, n);
	return true;
}

static void new_group(Grouper *s, const WqNode *n)
{
	WqGroup *g = WQ_NEW(s->b->a, WqGroup);
	const WqEmit *e = wq_emit(n->op);
	g->root = n;
	if (n->op == OP_If || n->op == OP_Loop)
		g->kind = GROUP_CONTROL;
	else
		g->kind = e->kernel ? GROUP_KERNEL : GROUP_LOOP;
	add(s, g, n);
	WQ_PUSH(s->b->a, s->out->v, g);
}

/* Operators whose result may be the operand's memory seen otherwise: place.c decides for good. */
static bool view_like(const WqNode *n)
{
	return n->op == OP_Reshape || n->op == OP_Transpose || n->op == OP_Slice || n->op == OP_Expand;
}

static void visit(Grouper *s, const WqNode *n)
{
	if (view_like(n) && wq_view_of(s->b, n)) {
		WqGroup *g = WQ_NEW(s->b->a, WqGroup);
		g->kind = GROUP_VIEW;
		g->root = n;
		add(s, g, n);
		WQ_PUSH(s->b->a, s->out->v, g);
	} else if (!join_reader(s, n) && !take_epilogue(s, n)) {
		new_group(s, n);
	}
}

/* ---- what a group reads and stores --------------------------------------------------------------------- */

static void push_distinct(WqBuild *b, WqGroup *g, const WqValue *v)
{
	for (int i = 0; i < g->in.n; i++)
		if (g->in.v[i] == v)
			return;
	WQ_PUSH(b->a, g->in, v);
}

typedef struct Reads {
	Grouper *s;
	WqGroup *g;
} Reads;

static bool is_nested(const WqGraph *in, const WqGraph *g)
{
	while (in && in != g)
		in = in->parent;
	return in != NULL;
}

static void on_operand(void *arg, const WqValue *v)
{
	Reads *r = arg;
	if (v->graph != r->s->g && is_nested(v->graph, r->s->g))
		return;
	if (v->def && v->def->graph == r->s->g && has_node(r->g, v->def))
		return;
	if (!wq_is_immediate(v) && !wq_is_virtual(v))
		push_distinct(r->s->b, r->g, v);
}

static void outer_values(const WqGraph *g, const WqNode *top, void (*fn)(void *, const WqValue *), void *arg)
{
	for (const WqNode *n = g->first; n; n = n->next) {
		for (int i = 0; i < n->n_in; i++)
			if (n->in[i])
				fn(arg, n->in[i]);
		for (int i = 0; i < n->n_body; i++)
			outer_values(n->body[i], top, fn, arg);
	}
	for (int i = 0; i < g->outputs.n; i++)
		fn(arg, g->outputs.v[i].value);
}

void wq_each_operand(const WqNode *n, void (*fn)(void *arg, const WqValue *v), void *arg)
{
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i])
			fn(arg, n->in[i]);
	for (int i = 0; i < n->n_body; i++)
		outer_values(n->body[i], n, fn, arg);
}

static int by_position(const Grouper *s, const WqNode *a, const WqNode *b) { return position(s, a) - position(s, b); }

static void sort_nodes(Grouper *s, WqGroup *g)
{
	for (int i = 1; i < g->nodes.n; i++)
		for (int j = i; j > 0 && by_position(s, g->nodes.v[j - 1], g->nodes.v[j]) > 0; j--) {
			const WqNode *t = g->nodes.v[j];
			g->nodes.v[j] = g->nodes.v[j - 1];
			g->nodes.v[j - 1] = t;
		}
}

static bool read_outside(const WqGroup *g, const WqValue *v)
{
	if (wq_value_is_output(v))
		return true;
	for (int i = 0; i < v->uses.n && !wq_is_virtual(v); i++)
		if (!has_node(g, v->uses.v[i].node))
			return true;
	return false;
}

static void find_edges(Grouper *s, WqGroup *g)
{
	sort_nodes(s, g);
	Reads r = {s, g};
	for (int i = 0; i < g->nodes.n; i++) {
		const WqNode *n = g->nodes.v[i];
		wq_each_operand(n, on_operand, &r);
		for (int j = 0; j < n->n_out; j++)
			if (n->out[j] && (read_outside(g, n->out[j])))
				WQ_PUSH(s->b->a, g->out, (const WqValue *)n->out[j]);
	}
}

static void on_binder(void *arg, const WqNode *n)
{
	Reads *r = arg;
	const WqNode *o = outer(r->s, n);
	WqGroup *g = o ? r->s->of[position(r->s, o)] : NULL;
	if (g && g != r->g && o == n)
		WQ_PUSH(r->s->b->a, r->g->after, g);
}

static void on_sized(void *arg, const WqValue *v)
{
	Reads *r = arg;
	if (v->type.kind == WQ_TENSOR)
		wq_each_binder(r->s->b, v, on_binder, r);
}

/* Whose sizes the group needs. */
static void find_binders(Grouper *s, WqGroup *g)
{
	Reads r = {s, g};
	for (int i = 0; i < g->nodes.n; i++) {
		const WqNode *n = g->nodes.v[i];
		wq_each_operand(n, on_sized, &r);
		for (int j = 0; j < n->n_out; j++)
			if (n->out[j])
				on_sized(&r, n->out[j]);
	}
}

/* ---- order ------------------------------------------------------------------------------------------------ */

/* The index of the i-th group that g needs, -1: none. */
static int needs(const Grouper *s, const WqGroup *g, int i)
{
	if (i >= g->in.n)
		return g->after.v[i - g->in.n]->index;
	const WqValue *v = g->in.v[i];
	return v->def && v->def->graph == s->g ? s->of[position(s, v->def)]->index : -1;
}

/* Groups by dependence, and among those that are ready by the position of their first... last node: near the graph's own order. */
static void topo(Grouper *s)
{
	int n = s->out->v.n;
	WqGroup **g = s->out->v.v, **sorted = WQ_NEW_N(s->b->a, WqGroup *, n);
	int *key = WQ_NEW_N(s->b->a, int, n), *state = WQ_NEW_N(s->b->a, int, n);
	for (int i = 0; i < n; i++) {
		g[i]->index = i;
		key[i] = position(s, g[i]->nodes.v[g[i]->nodes.n - 1]);
	}
	/* depth first from the groups in order of their last node: what a group needs goes before it */
	int *by_key = WQ_NEW_N(s->b->a, int, s->n), *stack = WQ_NEW_N(s->b->a, int, n + 1), *next = WQ_NEW_N(s->b->a, int, n), done = 0;
	for (int i = 0; i < s->n; i++)
		by_key[i] = -1;
	for (int i = 0; i < n; i++)
		by_key[key[i]] = i;
	for (int p = 0; p < s->n; p++) {
		if (by_key[p] < 0 || state[by_key[p]] == 2)
			continue;
		int sp = 0;
		stack[sp++] = by_key[p];
		while (sp) {
			int i = stack[sp - 1];
			state[i] = 1;
			bool pushed = false;
			while (next[i] < g[i]->in.n + g[i]->after.n && !pushed) {
				int d = needs(s, g[i], next[i]++);
				if (d < 0 || d == i || state[d] == 2)
					continue;
				WQ_ASSERT(state[d] == 0); /* a cycle among groups */
				stack[sp++] = d;
				pushed = true;
			}
			if (!pushed) {
				state[i] = 2;
				sorted[done++] = g[i];
				sp--;
			}
		}
	}
	WQ_ASSERT(done == n);
	if (n)
		memcpy(g, sorted, (size_t)n * sizeof *g);
	for (int i = 0; i < n; i++)
		g[i]->index = i;
}

WqGroups *wq_groups(WqBuild *b, const WqGraph *g)
{
	Grouper s = {.b = b, .g = g, .pos = wq_map_new(b->a)};
	WqGroups *out = WQ_NEW(b->a, WqGroups);
	out->graph = g;
	s.out = out;
	for (const WqNode *n = g->first; n; n = n->next)
		s.n++;
	s.of = WQ_NEW_N(b->a, WqGroup *, s.n + 1);
	s.node = WQ_NEW_N(b->a, const WqNode *, s.n + 1);
	int i = 0;
	for (const WqNode *n = g->first; n; n = n->next) {
		char key[16];
		snprintf(key, sizeof key, "%x", n->id);
		s.node[i++] = n;
		wq_map_put(s.pos, key, (void *)(intptr_t)i);
	}
	for (i = s.n - 1; i >= 0; i--)
		visit(&s, s.node[i]);
	for (i = 0; i < out->v.n; i++)
		find_edges(&s, out->v.v[i]);
	for (i = 0; i < out->v.n; i++)
		find_binders(&s, out->v.v[i]);
	topo(&s);
	WQ_PUSH(b->a, b->graphs, out);
	for (const WqNode *n = g->first; n; n = n->next)
		for (int k = 0; k < n->n_body; k++)
			wq_groups(b, n->body[k]);
	return out;
}

WqGroups *wq_groups_of(const WqBuild *b, const WqGraph *g)
{
	for (int i = 0; i < b->graphs.n; i++)
		if (b->graphs.v[i]->graph == g)
			return b->graphs.v[i];
	WQ_BUG("no groups");
}
