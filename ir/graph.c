/* graph.c: making and changing graphs. */
#include "ir/ir.h"

#include <stdlib.h>

WqModule *wq_module_new(const char *name)
{
	WqArena *a = wq_arena_new();
	WqTry t;
	if (WQ_TRY(&t)) { /* what fails in here must not lose the arena */
		WqModule *m = WQ_NEW(a, WqModule);
		m->arena = a;
		m->name = wq_strdup(a, name ? name : "");
		m->values = wq_map_new(a);
		m->main = WQ_NEW(a, WqGraph);
		m->main->mod = m;
		wq_try_end(&t);
		return m;
	}
	wq_arena_free(a);
	wq_fail(t.err.code, "%s", t.err.text);
}

void wq_module_free(WqModule *m)
{
	if (m)
		wq_arena_free(m->arena);
}

WqGraph *wq_graph_new(WqGraph *parent)
{
	WqGraph *g = WQ_NEW(parent->mod->arena, WqGraph);
	g->mod = parent->mod;
	g->parent = parent;
	return g;
}

/* ---- values ------------------------------------------------------------------------------------- */

static const char *unique_name(WqModule *m, const char *name)
{
	if (name && *name && !wq_map_get(m->values, name))
		return wq_strdup(m->arena, name);
	for (;;) {
		const char *s = name && *name ? wq_sprintf(m->arena, "%s.%u", name, m->next_id++)
					      : wq_sprintf(m->arena, "v%u", m->next_id++);
		if (!wq_map_get(m->values, s))
			return s;
	}
}

static WqValue *value_new(WqGraph *g, const char *name, const WqType *t)
{
	WqValue *v = WQ_NEW(g->mod->arena, WqValue);
	v->name = unique_name(g->mod, name);
	v->type = *t;
	v->graph = g;
	wq_map_put(g->mod->values, v->name, v);
	return v;
}

WqValue *wq_input(WqGraph *g, const char *name, const WqType *t)
{
	WqValue *v = value_new(g, name, t);
	v->index = g->inputs.n;
	WQ_PUSH(g->mod->arena, g->inputs, v);
	return v;
}

void wq_output(WqGraph *g, const char *name, WqValue *v)
{
	WqOutput o = { wq_strdup(g->mod->arena, name), v };
	WQ_PUSH(g->mod->arena, g->outputs, o);
	v->n_output++;
}

void wq_output_drop(WqGraph *g, int i)
{
	g->outputs.v[i].value->n_output--;
	memmove(&g->outputs.v[i], &g->outputs.v[i + 1], (size_t)(g->outputs.n - i - 1) * sizeof(WqOutput));
	g->outputs.n--;
}

/* A small integer constant's elements, for shape rules. */
static const WqDim *const_sym(WqModule *m, const WqTensor *t)
{
	int64_t n = wq_tensor_count(t);
	if ((t->dtype != WQ_I64 && t->dtype != WQ_I32) || n > 64)
		return NULL;
	WqDim *s = WQ_NEW_N(m->arena, WqDim, n + 1);
	for (int64_t i = 0; i < n; i++) {
		int64_t v = wq_tensor_get_i(t, i);
		if (v > WQ_DIM_INF || v < -WQ_DIM_INF)
			return NULL;
		s[i] = wq_dim_const(m, v);
	}
	return s;
}

WqValue *wq_const(WqGraph *g, const char *name, const WqTensor *t)
{
	WqType type = wq_type_of_tensor(t);
	WqValue *v = value_new(g, name, &type);
	v->data = t;
	v->sym = const_sym(g->mod, t);
	return v;
}

WqTensor *wq_tensor_new(WqModule *m, WqDtype dtype, int rank, const int64_t *dim)
{
	WqTensor *t = WQ_NEW(m->arena, WqTensor);
	t->dtype = dtype;
	t->rank = rank;
	for (int i = 0; i < rank; i++)
		t->dim[i] = dim[i];
	int64_t n = wq_shape_count(rank, dim, "constant");
	t->data = wq_alloc_n(m->arena, (size_t)n, wq_dtype_size(dtype));
	return t;
}

WqValue *wq_const_i64s(WqGraph *g, int n, const int64_t *v)
{
	int64_t dim = n;
	WqTensor *t = wq_tensor_new(g->mod, WQ_I64, 1, &dim);
	if (n)
		memcpy(t->data, v, (size_t)n * sizeof *v);
	return wq_const(g, NULL, t);
}

/* The element types that a file gives may be anything. */
static void need_number(WqDtype t)
{
	if (!wq_dtype_valid((int)t) || t == WQ_STR || t == WQ_C64 || t == WQ_C128)
		wq_fail(WQ_EINPUT, "a number of type %s is needed", wq_dtype_valid((int)t) ? wq_dtype(t)->text : "none");
}

WqValue *wq_const_scalar(WqGraph *g, WqDtype dtype, double v)
{
	need_number(dtype);
	WqTensor *t = wq_tensor_new(g->mod, dtype, 0, NULL);
	wq_tensor_set_f(t, 0, v);
	return wq_const(g, NULL, t);
}

WqValue *wq_const_int(WqGraph *g, WqDtype dtype, int64_t v)
{
	need_number(dtype);
	WqTensor *t = wq_tensor_new(g->mod, dtype, 0, NULL);
	wq_tensor_set_i(t, 0, v);
	return wq_const(g, NULL, t);
}

void wq_value_rename(WqValue *v, const char *name)
{
	WqModule *m = v->graph->mod;
	if (!strcmp(v->name, name))
		return;
	wq_map_put(m->values, v->name, NULL);
	v->name = unique_name(m, name);
	wq_map_put(m->values, v->name, v);
}

bool wq_value_is_output(const WqValue *v) { return v->n_output > 0; }
int wq_value_num_uses(const WqValue *v) { return v->uses.n + v->n_output; }

bool wq_value_const_i64s(const WqValue *v, int *n, const int64_t **out, WqArena *a)
{
	if (!v || !v->data || !wq_dtype_is_int(v->data->dtype))
		return false;
	int64_t count = wq_tensor_count(v->data);
	if (count > 1 << 20)
		return false;
	int64_t *p = WQ_NEW_N(a, int64_t, count + 1);
	for (int64_t i = 0; i < count; i++)
		p[i] = wq_tensor_get_i(v->data, i);
	*n = (int)count;
	*out = p;
	return true;
}

bool wq_value_const_f(const WqValue *v, double *out)
{
	if (!v || !v->data || v->data->dtype == WQ_STR || v->data->dtype == WQ_C64 || v->data->dtype == WQ_C128)
		return false;
	int64_t count = wq_tensor_count(v->data);
	if (count == 0 || count > 1 << 16)
		return false;
	*out = wq_tensor_get_f(v->data, 0);
	for (int64_t i = 1; i < count; i++)
		if (wq_tensor_get_f(v->data, i) != *out)
			return false;
	return true;
}

/* ---- uses ----------------------------------------------------------------------------------------- */

static void use_add(WqValue *v, WqNode *n, int index)
{
	if (!v)
		return;
	n->use[index] = v->uses.n;
	WQ_PUSH(v->graph->mod->arena, v->uses, ((WqUse){ n, index }));
}

/* The last use takes the place of the one that goes: a value may have as many uses as the model has nodes. */
static void use_drop(WqValue *v, const WqNode *n, int index)
{
	if (!v)
		return;
	int at = n->use[index];
	WQ_ASSERT(at < v->uses.n && v->uses.v[at].node == n && v->uses.v[at].index == index);
	WqUse last = v->uses.v[--v->uses.n];
	v->uses.v[at] = last;
	last.node->use[last.index] = at;
}

void wq_node_set_in(WqNode *n, int i, WqValue *v)
{
	if (n->in[i] == v)
		return;
	use_drop(n->in[i], n, i);
	n->in[i] = v;
	use_add(v, n, i);
}

static void replace_outputs(WqGraph *g, WqValue *old, WqValue *with)
{
	for (int i = 0; i < g->outputs.n && old->n_output; i++)
		if (g->outputs.v[i].value == old) {
			g->outputs.v[i].value = with;
			old->n_output--;
			with->n_output++;
		}
	for (const WqNode *n = g->first; n && old->n_output; n = n->next)
		for (int i = 0; i < n->n_body; i++)
			replace_outputs(n->body[i], old, with);
}

void wq_value_replace(WqValue *old, WqValue *with)
{
	if (old == with)
		return;
	while (old->uses.n) {
		WqUse u = old->uses.v[old->uses.n - 1];
		wq_node_set_in(u.node, u.index, with);
	}
	if (old->n_output)
		replace_outputs(old->graph, old, with);
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

WqNode *wq_node_new(WqGraph *g, WqOp op, int n_in, WqValue *const *in)
{
	WqArena *a = g->mod->arena;
	WqNode *n = WQ_NEW(a, WqNode);
	n->op = op;
	n->graph = g;
	n->id = g->mod->next_id++;
	n->name = g->mod->where;
	while (n_in > 0 && !in[n_in - 1] && n_in > wq_op(op)->min_in) /* absent ones at the end are left out */
		n_in--;
	n->n_in = n_in;
	n->in = WQ_NEW_N(a, WqValue *, n_in + 1);
	n->use = WQ_NEW_N(a, int, n_in + 1);
	for (int i = 0; i < n_in; i++)
		n->in[i] = in[i];
	return n;
}

void wq_node_add_body(WqNode *n, WqGraph *body)
{
	WqGraph **b = WQ_NEW_N(n->graph->mod->arena, WqGraph *, n->n_body + 1);
	for (int i = 0; i < n->n_body; i++)
		b[i] = n->body[i];
	b[n->n_body++] = body;
	n->body = b;
	body->owner = n;
	body->parent = n->graph;
}

static void link_before(WqNode *n, WqNode *before)
{
	WqGraph *g = n->graph;
	WQ_ASSERT(!before || before->graph == g);
	n->next = before;
	n->prev = before ? before->prev : g->last;
	*(n->prev ? &n->prev->next : &g->first) = n;
	*(before ? &before->prev : &g->last) = n;
}

static void unlink_node(WqNode *n)
{
	*(n->prev ? &n->prev->next : &n->graph->first) = n->next;
	*(n->next ? &n->next->prev : &n->graph->last) = n->prev;
	n->prev = n->next = NULL;
}

/* Sizes that only running tells become fresh symbols, bounded where the rule knew a bound. */
static void name_unknowns(WqModule *m, const WqInfer *x, int result, WqType *t)
{
	if (t->kind != WQ_TENSOR)
		return;
	for (int i = 0; i < t->rank; i++) {
		if (t->dim[i] != WQ_DIM_UNKNOWN)
			continue;
		WqDim hi = x->has_hi ? x->hi : WQ_DIM_UNKNOWN;
		if (result == 0 && x->axis_hi)
			hi = x->axis_hi[i];
		t->dim[i] = wq_dim_fresh(m, "u", 0, hi == WQ_DIM_UNKNOWN ? WQ_DIM_INF : wq_dim_hi(m, hi));
	}
}

/* names: of the results, NULL for one that is not there; NULL: all are, under fresh names. */
static void finish(WqNode *n, int n_out, const char *const *names, WqNode *before, const WqInfer *x)
{
	WqModule *m = n->graph->mod;
	n->n_out = n_out;
	n->out = WQ_NEW_N(m->arena, WqValue *, n_out + 1);
	for (int i = 0; i < n_out; i++) {
		if (names && !names[i])
			continue;
		WqType t = x->out[i];
		name_unknowns(m, x, i, &t);
		n->out[i] = value_new(n->graph, names ? names[i] : NULL, &t);
		n->out[i]->def = n;
		n->out[i]->index = i;
	}
	if (x->out_sym && n_out > 0 && n->out[0])
		n->out[0]->sym = x->out_sym;
	for (int i = 0; i < n->n_in; i++)
		use_add(n->in[i], n, i);
	link_before(n, before);
}

void wq_node_finish(WqNode *n, int n_out, WqNode *before)
{
	WqInfer x;
	wq_infer_init(&x, n, n_out, n->graph->mod->arena);
	wq_infer(&x);
	finish(n, n_out, NULL, before, &x);
}

void wq_node_finish_as(WqNode *n, int n_out, const char *const *names, const WqType *types)
{
	WqInfer x;
	wq_infer_init(&x, n, n_out, n->graph->mod->arena);
	wq_infer(&x);
	for (int i = 0; i < n_out; i++) {
		const char *why = names[i] ? wq_type_conflict(&types[i], &x.out[i]) : NULL;
		if (why)
			wq_infer_fail(&x, "result '%s': %s", names[i], why);
		x.out[i] = types[i];
	}
	finish(n, n_out, names, NULL, &x);
}

void wq_origin_follow(WqValue *c, const WqNode *n)
{
	const WqValue *from = n->n_in ? n->in[0] : NULL;
	if (!from || !from->origin.initializer || (n->op != OP_Transpose && n->op != OP_Reshape))
		return;
	WqOrigin o = from->origin;
	if (n->op == OP_Reshape) {
		o.reshaped |= !wq_type_equal(&c->type, &from->type);
		c->origin = o;
		return;
	}
	int count, rank = from->type.rank;
	const int64_t *perm = wq_attr_ints(n, "perm", &count);
	if (o.reshaped)
		return; /* not a transposition of the initializer's own axes */
	for (int i = 0; i < rank; i++) {
		int64_t axis = count ? perm[i] : rank - 1 - i;
		o.perm[i] = o.n_perm ? from->origin.perm[axis] : axis;
	}
	o.n_perm = rank;
	c->origin = o;
}

/* A node that would return its operand as it is. */
static WqValue *no_op(const WqNode *n, const WqType *t)
{
	switch (n->op) {
	case OP_Cast:
	case OP_BitCast:
	case OP_Reshape:
	case OP_Expand:
		return wq_type_equal(&n->in[0]->type, t) && t->kind == WQ_TENSOR && t->rank >= 0 ? n->in[0] : NULL;
	case OP_Concat:
		return n->n_in == 1 ? n->in[0] : NULL;
	case OP_Transpose: {
		int count;
		const int64_t *perm = wq_attr_ints(n, "perm", &count);
		for (int i = 0; i < count; i++)
			if (perm[i] != i)
				return NULL;
		return count || t->rank == 1 || t->rank == 0 ? n->in[0] : NULL;
	}
	default:
		return NULL;
	}
}

static bool all_const(const WqNode *n)
{
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && !n->in[i]->data)
			return false;
	return n->op != OP_Dims;
}

static bool all_numbers(const WqModule *m, int64_t n, const WqDim *d, int64_t *v)
{
	for (int64_t i = 0; i < n; i++)
		if (!wq_dim_get_const(m, d[i], &v[i]))
			return false;
	return true;
}

/* A known vector (or scalar) of expressions replaces whatever computed it; other integers (and decided comparisons) only when all
 * are numbers. */
static WqValue *known_elements(WqNode *n, const WqInfer *x)
{
	WqModule *m = n->graph->mod;
	const WqType *t = &x->out[0];
	if (!x->out_sym || n->op == OP_Dims || !wq_type_static(t))
		return NULL;
	int64_t count = wq_type_count(m, t);
	int64_t *v = WQ_NEW_N(m->arena, int64_t, count + 1);
	if (all_numbers(m, count, x->out_sym, v)) {
		WqTensor *c = wq_tensor_new(m, t->dtype, t->rank, t->dim);
		for (int64_t i = 0; i < count; i++)
			wq_tensor_set_i(c, i, v[i]);
		return wq_const(n->graph, NULL, c);
	}
	if (t->dtype != WQ_I64 || t->rank > 1)
		return NULL;
	for (int64_t i = 0; i < count; i++)
		if (x->out_sym[i] == WQ_DIM_UNKNOWN)
			return NULL;
	return t->rank == 1 ? wq_dims(n->graph, (int)count, x->out_sym) : wq_dim_value(n->graph, x->out_sym[0]);
}

WqValue *wq_node_value(WqNode *n, WqNode *before)
{
	WqModule *m = n->graph->mod;
	WqInfer x;
	wq_infer_init(&x, n, 1, m->arena);
	wq_infer(&x);
	WqValue *same = no_op(n, &x.out[0]);
	if (same)
		return same;
	if (m->fold && all_const(n) && !(wq_op(n->op)->flags & (WQ_IMPURE | WQ_BODY | WQ_SEQ))) {
		WqTensor *t = NULL;
		if (m->fold(n, &t)) {
			WqValue *c = wq_const(n->graph, NULL, t);
			wq_origin_follow(c, n);
			return c;
		}
	}
	WqValue *known = before ? NULL : known_elements(n, &x);
	if (known)
		return known;
	finish(n, 1, NULL, before, &x);
	return n->out[0];
}

WqValue *wq_build(WqGraph *g, WqOp op, int n_in, WqValue *const *in)
{
	return wq_node_value(wq_node_new(g, op, n_in, in), NULL);
}

static WqValue *dims_node(WqGraph *g, int n, const WqDim *dim, bool scalar)
{
	WqNode *node = wq_node_new(g, OP_Dims, 0, NULL);
	wq_set_ints(node, "dims", n, dim);
	if (scalar)
		wq_set_i(node, "scalar", 1);
	wq_node_finish(node, 1, NULL);
	return node->out[0];
}

WqValue *wq_dims(WqGraph *g, int n, const WqDim *dim)
{
	int64_t *v = WQ_NEW_N(g->mod->arena, int64_t, n + 1);
	return all_numbers(g->mod, n, dim, v) ? wq_const_i64s(g, n, v) : dims_node(g, n, dim, false);
}

WqValue *wq_dim_value(WqGraph *g, WqDim dim)
{
	int64_t v;
	return all_numbers(g->mod, 1, &dim, &v) ? wq_const_int(g, WQ_I64, v) : dims_node(g, 1, &dim, true);
}

void wq_node_remove(WqNode *n)
{
	for (int i = 0; i < n->n_out; i++)
		WQ_ASSERT(!n->out[i] || n->out[i]->uses.n == 0);
	for (int i = 0; i < n->n_in; i++)
		use_drop(n->in[i], n, i);
	/* Nested graphs go too: what they used is used no longer. */
	for (int i = 0; i < n->n_body; i++) {
		while (n->body[i]->outputs.n)
			wq_output_drop(n->body[i], n->body[i]->outputs.n - 1);
		while (n->body[i]->last) {
			WqNode *last = n->body[i]->last;
			for (int j = 0; j < last->n_out; j++)
				if (last->out[j])
					last->out[j]->uses.n = 0;
			wq_node_remove(last);
		}
	}
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i])
			wq_map_put(n->graph->mod->values, n->out[i]->name, NULL);
	unlink_node(n);
	n->graph = NULL;
}

void wq_node_move(WqNode *n, WqNode *before)
{
	if (n == before)
		return;
	unlink_node(n);
	link_before(n, before);
}

void wq_node_adopt(WqNode *n, WqGraph *g, WqNode *before)
{
	unlink_node(n);
	n->graph = g;
	for (int i = 0; i < n->n_out; i++)
		if (n->out[i])
			n->out[i]->graph = g;
	for (int i = 0; i < n->n_body; i++)
		n->body[i]->parent = g;
	link_before(n, before);
}
