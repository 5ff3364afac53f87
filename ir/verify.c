/* verify.c: every invariant of a module. Reports every fault it finds, a line each. */
#include "ir/ir.h"

typedef struct Verifier {
	const WqModule *m;
	WqStr *out;
	bool fine;
	int *place; /* by node id: 1 + its place in its graph's list; 0: in no list */
} Verifier;

static void fault(Verifier *v, const char *fmt, ...) WQ_PRINTF(2, 3);

static void fault(Verifier *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	wq_str_printf(v->out, "%s\n", text);
	v->fine = false;
}

static const char *label(const WqNode *n)
{
	static _Thread_local char text[256];
	const char *out = n->n_out && n->out[0] ? n->out[0]->name : "-";
	snprintf(text, sizeof text, "%s %.200s", wq_op(n->op)->name, out);
	return text;
}

static bool inside(const WqGraph *g, const WqGraph *outer)
{
	for (; g; g = g->parent)
		if (g == outer)
			return true;
	return false;
}

static void check_uses(Verifier *v, const WqValue *x)
{
	for (int i = 0; i < x->uses.n; i++) {
		const WqUse u = x->uses.v[i];
		if (u.index >= u.node->n_in || u.node->in[u.index] != x)
			fault(v, "'%s' lists a use by %s that is not there", x->name, label(u.node));
	}
}

/* Positions once, so that "computed before" is a comparison. Nodes that the module does not list have none. */
static int number(Verifier *v, const WqGraph *g, int n)
{
	WQ_FOR_NODES(x, g) {
		if (x->id < v->m->next_id)
			v->place[x->id] = ++n;
		for (int i = 0; i < x->n_body; i++)
			n = number(v, x->body[i], n);
	}
	return n;
}

/* A node of a graph around counts as everything nested in it: nested nodes are numbered after their owner. */
static bool before(const Verifier *v, const WqNode *def, const WqNode *use)
{
	while (use && use->graph != def->graph)
		use = use->graph->owner;
	return use && use != def && v->place[def->id] && v->place[def->id] < v->place[use->id];
}

static void check_operand(Verifier *v, const WqNode *n, int i)
{
	const WqValue *x = n->in[i];
	int at = n->use[i];
	if (at < 0 || at >= x->uses.n || x->uses.v[at].node != n || x->uses.v[at].index != i)
		fault(v, "%s uses '%s', which does not list it", label(n), x->name);
	if (x->data)
		return;
	if (!inside(n->graph, x->graph))
		fault(v, "%s uses '%s' of a graph that it is not in", label(n), x->name);
	else if (x->def && !before(v, x->def, n))
		fault(v, "%s uses '%s' before it is computed", label(n), x->name);
}

static void check_types(Verifier *v, WqNode *n)
{
	WqArena *a = v->out->a;
	WqTry t;
	if (WQ_TRY(&t)) {
		WqInfer x;
		wq_infer_init(&x, n, n->n_out, a);
		wq_infer(&x);
		for (int i = 0; i < n->n_out; i++) {
			const char *why = n->out[i] ? wq_type_conflict(&n->out[i]->type, &x.out[i]) : NULL;
			if (why)
				fault(v, "%s: result %d: %s", label(n), i, why);
		}
		wq_try_end(&t);
		return;
	}
	wq_try_passes(&t);
	fault(v, "%s: %s", label(n), t.err.text);
}

static void check_attrs(Verifier *v, const WqNode *n)
{
	for (const WqAttr *a = n->attrs; a; a = a->next) {
		WqAttr def;
		bool required;
		if (!wq_attr_schema(n->op, a->name, &def, &required))
			fault(v, "%s has no attribute '%s'", label(n), a->name);
		else if (def.kind != a->kind)
			fault(v, "%s: attribute '%s' is of the wrong kind", label(n), a->name);
	}
}

static void check_graph(Verifier *v, const WqGraph *g);

static void check_node(Verifier *v, WqNode *n, const WqGraph *g)
{
	if (n->graph != g)
		fault(v, "%s stands in a graph that is not its own", label(n));
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i])
			check_operand(v, n, i);
	for (int i = 0; i < n->n_out; i++) {
		const WqValue *r = n->out[i];
		if (!r)
			continue;
		if (r->def != n || r->index != i || r->graph != g)
			fault(v, "result '%s' does not point back at %s", r->name, label(n));
		if (wq_map_get(v->m->values, r->name) != r)
			fault(v, "'%s' is not in the module's names", r->name);
		check_uses(v, r);
	}
	check_attrs(v, n);
	for (int i = 0; i < n->n_body; i++) {
		if (n->body[i]->owner != n || n->body[i]->parent != g)
			fault(v, "a nested graph of %s does not point back", label(n));
		check_graph(v, n->body[i]);
	}
	bool body = wq_op(n->op)->flags & WQ_BODY;
	if (body != (n->n_body > 0))
		fault(v, "%s has %d nested graphs", label(n), n->n_body);
	else
		check_types(v, n);
}

static void check_graph(Verifier *v, const WqGraph *g)
{
	for (int i = 0; i < g->inputs.n; i++)
		if (g->inputs.v[i]->graph != g || g->inputs.v[i]->def || g->inputs.v[i]->data || g->inputs.v[i]->index != i)
			fault(v, "input '%s' is not an input of its graph", g->inputs.v[i]->name);
		else
			check_uses(v, g->inputs.v[i]);
	const WqNode *prev = NULL;
	WQ_FOR_NODES(n, g) {
		if (n->prev != prev) {
			fault(v, "the list of nodes is broken at %s", label(n));
			return;
		}
		check_node(v, n, g);
		prev = n;
	}
	if (g->last != prev)
		fault(v, "the list of nodes does not end where the graph says");
	for (int i = 0; i < g->outputs.n; i++) {
		const WqValue *x = g->outputs.v[i].value;
		if (!x->data && !inside(g, x->graph))
			fault(v, "output '%s' is of another graph", g->outputs.v[i].name);
	}
}

static void count_outputs(const WqGraph *g, WqMap *count)
{
	for (int i = 0; i < g->outputs.n; i++) {
		const char *name = g->outputs.v[i].value->name;
		wq_map_put(count, name, (void *)((intptr_t)wq_map_get(count, name) + 1));
	}
	WQ_FOR_NODES(n, g)
		for (int i = 0; i < n->n_body; i++)
			count_outputs(n->body[i], count);
}

/* Every value knows how many outputs it is. */
static void check_outputs(Verifier *v)
{
	WqMap *count = wq_map_new(v->out->a);
	count_outputs(v->m->main, count);
	for (int i = 0; i < wq_map_len(v->m->values); i++) {
		const WqValue *x = wq_map_at(v->m->values, i, NULL);
		if (x && x->n_output != (intptr_t)wq_map_get(count, x->name))
			fault(v, "'%s' is said to be %d outputs", x->name, x->n_output);
	}
}

bool wq_verify(const WqModule *m, WqStr *out)
{
	Verifier v = { m, out, true, WQ_NEW_N(out->a, int, m->next_id + 1) };
	number(&v, m->main, 0);
	check_graph(&v, m->main);
	check_outputs(&v);
	return v.fine;
}
