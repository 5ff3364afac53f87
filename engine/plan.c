/* plan.c: lays out a graph for running. Every value gets a slot; the slots that die are listed with the step after which
 * nobody needs them. A value that a nested graph uses is used, for its own graph, by the node that has the nested graph. */
#include "engine/exec.h"

typedef struct Level { /* a graph being laid out, and the graphs around it */
	const WqGraph *graph;
	int step; /* the one at hand */
	const struct Level *up;
} Level;

typedef struct Planner {
	WqArena *a;
	WqMap *slot_of; /* name -> slot + 1 */
	Slots *slots;
	bool *defined; /* by symbol: somebody before has defined it */
	int n_sym;
} Planner;

static int slot_of(Planner *p, const WqValue *v)
{
	intptr_t k = (intptr_t)wq_map_get(p->slot_of, v->name);
	if (k)
		return (int)k - 1;
	Slot s = { v, -1, false };
	WQ_PUSH(p->a, *p->slots, s);
	wq_map_put(p->slot_of, v->name, (void *)(intptr_t)p->slots->n);
	return p->slots->n - 1;
}

static int use(Planner *p, const Level *l, const WqValue *v)
{
	if (!v)
		return -1;
	int k = slot_of(p, v);
	for (; l; l = l->up)
		if (l->graph == v->graph)
			p->slots->v[k].last = l->step;
	return k;
}

/* The symbols that v is the first to have as a dimension: a run binds them to v's actual size. */
static void define(Planner *p, int value, const WqType *t, WqModule *m, Bind *bind, int *n)
{
	for (int d = 0; t->kind == WQ_TENSOR && d < t->rank; d++) {
		int sym;
		if (!wq_dim_is_sym(m, t->dim[d], &sym) || p->defined[sym])
			continue;
		p->defined[sym] = true;
		bind[(*n)++] = (Bind){ value, d, sym };
	}
}

/* Scratch for the dimensions of n values is n * WQ_MAX_RANK; what was found is kept. */
static Bind *keep(Planner *p, const Bind *found, int n)
{
	Bind *b = WQ_NEW_N(p->a, Bind, n);
	if (n)
		memcpy(b, found, (size_t)n * sizeof *b);
	return b;
}

void wq_step_init(WqArena *a, Step *s, const WqNode *n, int n_out)
{
	s->node = n;
	s->body = WQ_NEW_N(a, Plan, n->n_body);
	s->types = WQ_NEW_N(a, WqType, n->n_in);
	s->dying = WQ_NEW_N(a, bool, n->n_in);
	s->call = (WqCall){ .node = n, .n_in = n->n_in, .n_out = n_out };
	s->call.in = WQ_NEW_N(a, const WqTensor *, n->n_in);
	s->call.vin = WQ_NEW_N(a, WqRt *, n->n_in);
	s->call.out = WQ_NEW_N(a, WqTensor, n_out);
	s->call.vout = WQ_NEW_N(a, WqRt *, n_out);
	s->infer = (WqInfer){ .mod = n->graph->mod, .node = n, .n_in = n->n_in, .n_out = n_out, .running = true };
	s->infer.in = WQ_NEW_N(a, const WqType *, n->n_in);
	s->infer.val = WQ_NEW_N(a, const WqTensor *, n->n_in);
	s->infer.sym = WQ_NEW_N(a, const WqDim *, n->n_in);
	s->infer.out = WQ_NEW_N(a, WqType, n_out);
}

static void plan_graph(Planner *p, const WqGraph *g, Plan *plan, const Level *up);

static void plan_step(Planner *p, Level *l, const WqNode *n, Step *s)
{
	wq_step_init(p->a, s, n, n->n_out);
	s->in = WQ_NEW_N(p->a, int, n->n_in);
	s->out = WQ_NEW_N(p->a, int, n->n_out);
	for (int i = 0; i < n->n_in; i++)
		s->in[i] = use(p, l, n->in[i]);
	for (int i = 0; i < n->n_body; i++)
		plan_graph(p, n->body[i], &s->body[i], l);
	Bind *found = WQ_NEW_N(p->a, Bind, n->n_out * WQ_MAX_RANK);
	for (int i = 0; i < n->n_out; i++) {
		s->out[i] = use(p, l, n->out[i]);
		if (n->out[i])
			define(p, i, &n->out[i]->type, n->graph->mod, found, &s->n_bind);
	}
	s->bind = keep(p, found, s->n_bind);
}

static bool dies_in(const Slot *s, const WqGraph *g) { return s->value->graph == g && !s->value->data && !s->kept; }

/* Each of g's values goes to the list of its last step; those that no step needs die with the graph's start or end. The slots before
 * `from` are of graphs around: a model may have as many small graphs as nodes. */
static void bury(Planner *p, const WqGraph *g, Plan *plan, int from)
{
	plan->dead = WQ_NEW_N(p->a, int, p->slots->n - from);
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < plan->n_step; i++) {
			if (pass)
				plan->step[i].dead = WQ_NEW_N(p->a, int, plan->step[i].n_dead);
			plan->step[i].n_dead = pass ? 0 : plan->step[i].n_dead;
		}
		for (int k = from; k < p->slots->n; k++) {
			const Slot *s = &p->slots->v[k];
			if (!dies_in(s, g) || s->last < 0)
				continue;
			Step *at = &plan->step[s->last];
			if (pass)
				at->dead[at->n_dead] = k;
			at->n_dead++;
		}
	}
	for (int i = 0; i < plan->n_step; i++)
		for (int k = 0; k < plan->step[i].node->n_in; k++) {
			const Slot *s = plan->step[i].in[k] < 0 ? NULL : &p->slots->v[plan->step[i].in[k]];
			plan->step[i].dying[k] = s && dies_in(s, g) && s->last == i;
		}
}

static void plan_graph(Planner *p, const WqGraph *g, Plan *plan, const Level *up)
{
	if (up) { /* nesting is bounded where graphs are made; this is the engine's own recursion */
		int depth = 0;
		for (const Level *l = up; l; l = l->up)
			depth++;
		if (depth > WQ_MAX_DEPTH)
			wq_fail(WQ_EINPUT, "graphs are nested more than %d deep", WQ_MAX_DEPTH);
	}
	Level level = { g, 0, up };
	int from = p->slots->n;
	plan->graph = g;
	plan->in = WQ_NEW_N(p->a, int, g->inputs.n);
	plan->out = WQ_NEW_N(p->a, int, g->outputs.n);
	Bind *found = WQ_NEW_N(p->a, Bind, g->inputs.n * WQ_MAX_RANK);
	for (int i = 0; i < g->inputs.n; i++) {
		plan->in[i] = slot_of(p, g->inputs.v[i]);
		define(p, i, &g->inputs.v[i]->type, g->mod, found, &plan->n_bind);
	}
	plan->bind = keep(p, found, plan->n_bind);
	WQ_FOR_NODES(n, g)
		plan->n_step++;
	plan->step = WQ_NEW_N(p->a, Step, plan->n_step);
	WQ_FOR_NODES(n, g) {
		plan_step(p, &level, n, &plan->step[level.step]);
		level.step++;
	}
	level.step = plan->n_step - 1;
	for (int i = 0; i < g->outputs.n; i++) {
		const WqValue *v = g->outputs.v[i].value;
		plan->out[i] = v->graph == g ? slot_of(p, v) : use(p, up, v);
		p->slots->v[plan->out[i]].kept |= v->graph == g;
	}
	bury(p, g, plan, from);
	for (int k = from; k < p->slots->n; k++) {
		const Slot *s = &p->slots->v[k];
		if (s->value->graph == g && !s->value->data && (s->kept || s->last < 0))
			plan->dead[plan->n_dead++] = k;
	}
}

void wq_engine_plan(WqArena *a, const WqGraph *g, Plan *main, Slots *slots)
{
	Planner p = { .a = a, .slots = slots, .slot_of = wq_map_new(a), .n_sym = wq_dim_num_syms(g->mod) };
	p.defined = WQ_NEW_N(a, bool, p.n_sym);
	plan_graph(&p, g, main, NULL);
}
