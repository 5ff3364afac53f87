/* exec.c: runs a planned graph. A value is freed right after its last use; a result takes a dying operand's memory where
 * the operator allows it; a failure anywhere unwinds to wq_engine_run, which releases everything the run still holds. */
#include "engine/exec.h"

#include <time.h>
#include <unistd.h>

struct WqEngine {
	WqArena *arena;
	WqModule *mod;
	WqEngineOptions o;
	Plan main;
	Slots slots;
	WqRt **value;    /* by slot; constants stay */
	WqRt **other;    /* by slot: a constant in channels-last layout */
	int64_t *bind;   /* by symbol; -1: not bound */
	int n_bind;
	Step *active;    /* innermost */
	WqEngineStat stat;
	int64_t live_set;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int machine_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

/* ---- dimensions --------------------------------------------------------------------------------------- */

int64_t wq_call_dim(const WqCall *c, WqDim d)
{
	int64_t v;
	if (wq_dim_get_const(c->node->graph->mod, d, &v))
		return v;
	if (c->e && wq_dim_eval(c->node->graph->mod, d, c->e->bind, c->e->n_bind, &v))
		return v;
	WqStr name = { .a = c->tmp };
	wq_dim_print(c->node->graph->mod, d, &name);
	wq_call_fail(c, "the size %s is not known", name.s);
}

static void bind_value(WqEngine *e, const Bind *b, const WqRt *v)
{
	if (v && v->kind == WQ_TENSOR && b->axis < v->t.rank && b->sym < e->n_bind)
		e->bind[b->sym] = v->t.dim[b->axis];
}

static const char *type_text(WqEngine *e, WqArena *a, const WqType *t)
{
	WqStr s = { .a = a };
	wq_type_print(e->mod, t, &s);
	return s.s;
}

WQ_NORETURN static void bad_input(WqEngine *e, const WqValue *v, const WqRt *given)
{
	char want[512], got[512];
	WqArena *a = wq_arena_new();
	WqTry t;
	if (WQ_TRY(&t)) {
		WqType gt = wq_rt_type(e->mod, given);
		snprintf(want, sizeof want, "%s", type_text(e, a, &v->type));
		snprintf(got, sizeof got, "%s", type_text(e, a, &gt));
		wq_try_end(&t);
	} else {
		want[0] = got[0] = 0;
	}
	wq_arena_free(a);
	wq_fail(WQ_EINPUT, "input %s: the model wants %s, given is %s", v->name, want, got);
}

/* Does the given tensor fit what is declared? Plain symbols are bound when they are met first. */
static bool fits(WqEngine *e, const WqType *t, const WqRt *v)
{
	if (t->kind != v->kind)
		return false;
	if (t->kind != WQ_TENSOR)
		return true;
	if (t->dtype && t->dtype != v->t.dtype)
		return false;
	if (t->rank >= 0 && t->rank != v->t.rank)
		return false;
	for (int d = 0; d < t->rank; d++) {
		int64_t have = v->t.dim[d], want;
		int sym;
		if (wq_dim_is_sym(e->mod, t->dim[d], &sym) && sym < e->n_bind) {
			if (have < wq_dim_lo(e->mod, t->dim[d]) || have > wq_dim_hi(e->mod, t->dim[d]))
				return false;
			if (e->bind[sym] < 0)
				e->bind[sym] = have;
		}
		if (t->dim[d] != WQ_DIM_UNKNOWN && wq_dim_eval(e->mod, t->dim[d], e->bind, e->n_bind, &want) && have != want)
			return false;
	}
	return true;
}

/* Dimensions that are expressions can be checked once every plain symbol is bound: hence two rounds. */
static void check_inputs(WqEngine *e, WqRt *const *in)
{
	const WqGraph *g = e->mod->main;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < g->inputs.n; i++)
			if (in[i] && !fits(e, &g->inputs.v[i]->type, in[i]))
				bad_input(e, g->inputs.v[i], in[i]);
}

/* ---- a graph ---------------------------------------------------------------------------------------------- */

static WqRt *operand(WqEngine *e, int slot)
{
	if (slot < 0)
		return NULL;
	if (!e->value[slot] && e->slots.v[slot].value->data)
		e->value[slot] = wq_rt_borrow(e->slots.v[slot].value->data);
	return e->value[slot];
}

/* The live set counts each memory once, from the first slot that holds it to the last; the caller's inputs never. */
static void enter(WqEngine *e, WqRt *v, bool ours)
{
	if (v && v->buf && v->buf->slots++ == 0 && ours && v->buf->counted) {
		v->buf->in_set = true;
		e->live_set += (int64_t)v->buf->bytes;
		if (e->live_set > e->stat.live_set_bytes)
			e->stat.live_set_bytes = e->live_set;
	}
	for (int i = 0; v && i < v->n; i++)
		enter(e, v->elems[i], ours);
}

static void leave(WqEngine *e, WqRt *v)
{
	if (v && v->buf && --v->buf->slots == 0 && v->buf->in_set) {
		v->buf->in_set = false;
		e->live_set -= (int64_t)v->buf->bytes;
	}
	for (int i = 0; v && i < v->n; i++)
		leave(e, v->elems[i]);
}

static void put(WqEngine *e, int slot, WqRt *v, bool ours)
{
	e->value[slot] = v;
	enter(e, v, ours);
}

static void drop(WqEngine *e, int slot)
{
	WqRt *v = e->value[slot];
	e->value[slot] = NULL;
	leave(e, v);
	wq_rt_unref(v);
}

/* The value of a slot in the layout asked for; it takes the other's place, except for constants, which keep both. */
static WqRt *slot_layout(WqEngine *e, const WqCall *c, int slot, bool last)
{
	WqRt *v = operand(e, slot);
	if (!v || v->channels_last == last)
		return v;
	if (e->slots.v[slot].value->data) {
		if (!e->other[slot])
			e->other[slot] = wq_layout_convert(c, v);
		return e->other[slot];
	}
	WqRt *made = wq_layout_convert(c, v);
	enter(e, made, true);
	leave(e, v);
	wq_rt_unref(v);
	e->value[slot] = made;
	return made;
}

void wq_layout_operand(WqCall *c, int i, bool last)
{
	Step *s = wq_step_of(c);
	if (i >= c->n_in || !c->vin[i] || c->vin[i]->kind != WQ_TENSOR || c->vin[i]->channels_last == last)
		return;
	WqRt *v = slot_layout(c->e, c, s->in[i], last);
	for (int k = 0; k < c->n_in; k++)
		if (s->in[k] == s->in[i]) {
			c->vin[k] = v;
			c->in[k] = &v->t;
		}
}

static void step_done(WqEngine *e, Step *s)
{
	WqCall *c = &s->call;
	int64_t busy = wq_mem_stat()->live + (int64_t)wq_arena_bytes(c->tmp);
	if (busy > wq_mem_stat()->peak)
		wq_mem_stat()->peak = busy;
	wq_step_drop(s);
	e->active = s->up;
	for (int i = 0; i < s->n_bind; i++)
		bind_value(e, &s->bind[i], c->vout[s->bind[i].value]);
	for (int i = 0; i < c->n_out; i++)
		if (s->out[i] >= 0)
			put(e, s->out[i], c->vout[i], true);
		else
			wq_rt_unref(c->vout[i]);
}

static void run_step(WqEngine *e, Step *s)
{
	double begin = e->o.profile ? now() : 0;
	WqCall *c = &s->call;
	for (int i = 0; i < c->n_in; i++)
		c->vin[i] = operand(e, s->in[i]);
	memset(c->vout, 0, (size_t)c->n_out * sizeof *c->vout);
	s->up = e->active;
	e->active = s;
	wq_step_eval(s);
	step_done(e, s);
	if (e->o.profile) {
		s->seconds += now() - begin;
		s->calls++;
	}
	if (e->o.on_node) {
		for (int i = 0; i < c->n_out; i++)
			c->vout[i] = s->out[i] < 0 ? NULL : slot_layout(e, c, s->out[i], false);
		e->o.on_node(e->o.arg, s->node, c->vout);
	}
	memset(c->vout, 0, (size_t)c->n_out * sizeof *c->vout);
	for (int i = 0; i < s->n_dead; i++)
		drop(e, s->dead[i]);
}

/* Takes the references in[]. */
static void run_graph(WqEngine *e, Plan *p, WqRt **in, WqRt **out)
{
	for (int i = 0; i < p->graph->inputs.n; i++) {
		put(e, p->in[i], in[i], p != &e->main);
		in[i] = NULL;
	}
	for (int i = 0; i < p->n_bind; i++)
		bind_value(e, &p->bind[i], e->value[p->in[p->bind[i].value]]);
	for (int i = 0; i < p->n_step; i++)
		run_step(e, &p->step[i]);
	for (int i = 0; i < p->graph->outputs.n; i++) {
		WqRt *v = slot_layout(e, &(WqCall){ .threads = e->o.threads }, p->out[i], false);
		if (!v)
			wq_fail(WQ_EINPUT, "output %s: it is an input that was not given", p->graph->outputs.v[i].name);
		out[i] = wq_rt_ref(v);
	}
	for (int i = 0; i < p->n_dead; i++)
		drop(e, p->dead[i]);
}

void wq_call_body(WqCall *c, const WqGraph *body, WqRt **in, WqRt **out)
{
	Step *s = wq_step_of(c);
	for (int i = 0; i < s->node->n_body; i++)
		if (s->node->body[i] == body) {
			run_graph(c->e, &s->body[i], in, out);
			return;
		}
	WQ_BUG("node %u has no such nested graph", s->node->id);
}

/* ---- the engine ----------------------------------------------------------------------------------------------- */

static void ready(WqEngine *e, Plan *p)
{
	for (int i = 0; i < p->n_step; i++) {
		Step *s = &p->step[i];
		s->call.e = e;
		s->call.plain = e->o.plain;
		s->call.threads = e->o.threads;
		s->call.cache = &s->cache;
		s->call.cache_arena = e->arena;
		for (int b = 0; b < s->node->n_body; b++)
			ready(e, &s->body[b]);
	}
}

static WqEngine *engine_make(WqArena *a, WqModule *m, const WqEngineOptions *o)
{
	WqEngine *e = WQ_NEW(a, WqEngine);
	e->arena = a;
	e->mod = m;
	if (o)
		e->o = *o;
	if (e->o.threads <= 0)
		e->o.threads = machine_threads();
	wq_engine_plan(a, m->main, &e->main, &e->slots);
	e->value = WQ_NEW_N(a, WqRt *, e->slots.n);
	e->other = WQ_NEW_N(a, WqRt *, e->slots.n);
	e->n_bind = wq_dim_num_syms(m);
	e->bind = WQ_NEW_N(a, int64_t, e->n_bind);
	ready(e, &e->main);
	return e;
}

WqEngine *wq_engine_new(WqModule *m, const WqEngineOptions *o)
{
	WqArena *a = wq_arena_new();
	WqTry t;
	if (WQ_TRY(&t)) {
		WqEngine *e = engine_make(a, m, o);
		wq_try_end(&t);
		return e;
	}
	wq_arena_free(a);
	wq_fail(t.err.code, "%s", t.err.text);
}

/* Everything but the constants, which stay for the next run. */
static void release_run(WqEngine *e)
{
	for (; e->active; e->active = e->active->up) {
		WqCall *c = &e->active->call;
		wq_step_drop(e->active);
		for (int i = 0; i < c->n_out; i++) {
			wq_rt_unref(c->vout[i]);
			c->vout[i] = NULL;
		}
	}
	for (int i = 0; i < e->slots.n; i++)
		if (!e->slots.v[i].value->data)
			drop(e, i);
}

void wq_engine_free(WqEngine *e)
{
	if (!e)
		return;
	for (int i = 0; i < e->slots.n; i++) {
		wq_rt_unref(e->value[i]);
		wq_rt_unref(e->other[i]);
	}
	wq_arena_free(e->arena);
}

static void reset(WqEngine *e, Plan *p)
{
	for (int i = 0; i < p->n_step; i++) {
		p->step[i].seconds = 0;
		p->step[i].calls = 0;
		for (int b = 0; b < p->step[i].node->n_body; b++)
			reset(e, &p->step[i].body[b]);
	}
}

/* The values for the graph's inputs: what was given, lists where only an element was, empty ones where nothing was. */
/* One element serves for a scalar, as elsewhere: exporters and their callers disagree about [] and [1]. */
static WqRt *take_tensor(const WqType *want, WqRt *given)
{
	bool scalar = want->kind == WQ_TENSOR && want->rank == 0 && given->kind == WQ_TENSOR && given->t.rank > 0 &&
		      wq_tensor_count(&given->t) == 1;
	return scalar ? wq_rt_view(given, 0, NULL) : wq_rt_ref(given);
}

static void take_inputs(WqEngine *e, WqRt *const *in, WqRt **mine)
{
	const WqGraph *g = e->mod->main;
	for (int i = 0; i < g->inputs.n; i++) {
		const WqValue *v = g->inputs.v[i];
		bool wrap = v->type.kind == WQ_OPTIONAL && (!in[i] || in[i]->kind != WQ_OPTIONAL);
		if (wrap)
			mine[i] = wq_rt_list(WQ_OPTIONAL, v->type.elem, in[i] != NULL, &in[i]);
		else if (in[i])
			mine[i] = take_tensor(&v->type, in[i]);
		else if (v->uses.n || wq_value_is_output(v))
			wq_fail(WQ_EINPUT, "input %s is missing", v->name);
	}
	check_inputs(e, mine);
}

void wq_engine_run(WqEngine *e, WqRt *const *in, WqRt **out)
{
	int n_in = e->mod->main->inputs.n, n_out = e->mod->main->outputs.n;
	WqArena *a = wq_arena_new();
	WqRt **volatile mine = NULL;
	WqTry t;
	WqMemStat *mem = wq_mem_stat();
	int64_t before = mem->live;
	mem->peak = before;
	e->stat = (WqEngineStat){ .seconds = now() };
	e->live_set = 0;
	for (int i = 0; i < e->n_bind; i++)
		e->bind[i] = -1;
	reset(e, &e->main);
	memset(out, 0, (size_t)n_out * sizeof *out);
	if (WQ_TRY(&t)) {
		mine = WQ_NEW_N(a, WqRt *, n_in);
		take_inputs(e, in, mine);
		run_graph(e, &e->main, mine, out);
		wq_try_end(&t);
	}
	if (t.err.code) {
		release_run(e);
		for (int i = 0; mine && i < n_in; i++)
			wq_rt_unref(mine[i]);
		for (int i = 0; i < n_out; i++) {
			wq_rt_unref(out[i]);
			out[i] = NULL;
		}
	}
	wq_arena_free(a);
	e->stat.seconds = now() - e->stat.seconds;
	e->stat.peak_bytes = mem->peak - before;
	if (t.err.code)
		wq_fail(t.err.code, "%s", t.err.text);
}

WqEngineStat wq_engine_stat(const WqEngine *e) { return e->stat; }

/* ---- profile -------------------------------------------------------------------------------------------------- */

typedef struct OpTime {
	WqOp op;
	int64_t calls;
	double seconds;
} OpTime;

static void sum_times(const Plan *p, OpTime *by_op)
{
	for (int i = 0; i < p->n_step; i++) {
		const Step *s = &p->step[i];
		by_op[s->node->op].op = s->node->op;
		by_op[s->node->op].calls += s->calls;
		by_op[s->node->op].seconds += s->seconds;
		for (int b = 0; b < s->node->n_body; b++)
			sum_times(&s->body[b], by_op);
	}
}

/* Slowest first; a node with nested graphs has their time in its own. */
void wq_engine_profile(const WqEngine *e, WqStr *out)
{
	OpTime by_op[WQ_NUM_OPS] = { 0 };
	sum_times(&e->main, by_op);
	double total = e->stat.seconds > 0 ? e->stat.seconds : 1e-9;
	for (;;) {
		OpTime *top = &by_op[0];
		for (int i = 1; i < WQ_NUM_OPS; i++)
			if (by_op[i].calls && (!top->calls || by_op[i].seconds > top->seconds))
				top = &by_op[i];
		if (!top->calls)
			break;
		wq_str_printf(out, "%-24s %8lld calls %10.3f ms %5.1f %%\n", wq_op(top->op)->name, (long long)top->calls,
			top->seconds * 1e3, 100 * top->seconds / total);
		top->calls = 0;
	}
	wq_str_printf(out, "%-24s %25.3f ms\n", "total", total * 1e3);
}
