/* program.c: from a graph to an LLVM module: what can be compiled, and the order of work. */
#include "codegen/program.h"

/* ---- what cannot be compiled -------------------------------------------------------------------------------------- */

static void complain(WqStr *why, const WqNode *n, const char *text)
{
	wq_str_printf(why, "%s%s: %s", why->n ? "\n" : "", wq_op(n->op)->name, text);
	if (n->name)
		wq_str_printf(why, " (%s)", n->name);
}

static const char *value_trouble(const WqModule *m, const WqValue *v)
{
	if (!v)
		return NULL;
	if (v->type.kind != WQ_TENSOR)
		return "sequences and optionals are the evaluator's alone";
	if (v->type.dtype == WQ_STR)
		return "strings are the evaluator's alone";
	if (v->type.rank < 0)
		return "a tensor of unknown rank";
	if (wq_dtype_size(v->type.dtype) > 8)
		return "complex numbers of two f64";
	if (!v->data && wq_max_count(m, &v->type) < 0)
		return "a size without an upper bound (--dim NAME<=N)";
	return NULL;
}

static const char *node_trouble(const WqModule *m, const WqTarget *t, const WqNode *n)
{
	const WqEmit *e = wq_emit(n->op);
	if (wq_op(n->op)->flags & WQ_SEQ)
		return "sequences and optionals are the evaluator's alone";
	if (wq_op(n->op)->flags & WQ_TEXT)
		return "strings are the evaluator's alone";
	for (int i = 0; i < n->n_in; i++)
		if (value_trouble(m, n->in[i]))
			return value_trouble(m, n->in[i]);
	for (int i = 0; i < n->n_out; i++)
		if (value_trouble(m, n->out[i]))
			return value_trouble(m, n->out[i]);
	if (!e || (!e->ew && !e->at && !e->kernel && !(wq_op(n->op)->flags & WQ_BODY)))
		return "no code can be made for it";
	return e->refuse ? e->refuse(t, n) : NULL;
}

static void check_graph(const WqGraph *g, const WqTarget *t, WqStr *why)
{
	for (const WqNode *n = g->first; n; n = n->next) {
		const char *trouble = node_trouble(g->mod, t, n);
		if (trouble)
			complain(why, n, trouble);
		for (int i = 0; i < n->n_body; i++)
			check_graph(n->body[i], t, why);
	}
	for (int i = 0; i < g->inputs.n + g->outputs.n; i++) {
		const WqValue *v = i < g->inputs.n ? g->inputs.v[i] : g->outputs.v[i - g->inputs.n].value;
		const char *trouble = value_trouble(g->mod, v);
		if (trouble && (!v->def || v->graph != g))
			wq_str_printf(why, "%s%s: %s", why->n ? "\n" : "", v->name, trouble);
	}
}

/* Sizes of inputs that nobody bounded make everything behind them unbounded: they alone are named. */
static bool open_inputs(const WqModule *m, WqStr *why)
{
	const WqGraph *g = m->main;
	int sym;
	bool *named = WQ_NEW_N(why->a, bool, wq_dim_num_syms(m) + 1);
	for (int i = 0; i < g->inputs.n; i++)
		for (int d = 0; d < g->inputs.v[i]->type.rank; d++) {
			WqDim x = g->inputs.v[i]->type.dim[d];
			if (!wq_dim_is_sym(m, x, &sym) || wq_dim_hi(m, x) < WQ_DIM_INF || named[sym])
				continue;
			const char *name = wq_dim_sym_name(m, sym);
			named[sym] = true;
			wq_str_printf(why, "%ssize '%s' of input '%s' has no upper bound: --dim %s=N fixes it, --dim '%s<=N' bounds it",
				      why->n ? "\n" : "", name, g->inputs.v[i]->name, name, name);
		}
	return why->n > 0;
}

bool wq_program_supported(WqModule *m, const WqTarget *t, WqStr *why)
{
	if (!open_inputs(m, why))
		check_graph(m->main, t, why);
	return why->n == 0;
}

/* ---- which nodes give sizes their values ---------------------------------------------------------------------------- */

static bool mark(WqBuild *b, WqDim d, const WqNode *by)
{
	int sym;
	WqDim x, y;
	int64_t coef;
	bool fresh = false;
	if (wq_dim_static(d))
		return false;
	if (wq_dim_is_sym(b->m, d, &sym)) {
		fresh = !b->known[sym];
		b->known[sym] = true;
		if (fresh)
			b->binder[sym] = by;
	} else if (wq_dim_call(b->m, d, &x, &y)) {
		fresh = mark(b, x, by);
		fresh |= mark(b, y, by);
	} else {
		for (int i = 0; i < wq_dim_num_terms(b->m, d); i++) {
			WqDim atom[8];
			int n = wq_dim_term(b->m, d, i, &coef, atom);
			for (int j = 0; j < n; j++)
				fresh |= mark(b, atom[j], by);
		}
	}
	return fresh;
}

static bool mark_type(WqBuild *b, const WqType *t, const WqNode *by)
{
	bool fresh = false;
	for (int i = 0; i < t->rank; i++)
		fresh |= mark(b, t->dim[i], by);
	return fresh;
}

static void mark_graph(WqBuild *b, const WqGraph *g)
{
	for (int i = 0; i < g->inputs.n; i++)
		mark_type(b, &g->inputs.v[i]->type, g->owner);
	for (const WqNode *n = g->first; n; n = n->next) {
		bool fresh = false;
		for (int i = 0; i < n->n_body; i++)
			mark_graph(b, n->body[i]);
		for (int i = 0; i < n->n_out; i++)
			if (n->out[i])
				fresh |= mark_type(b, &n->out[i]->type, n);
		if (fresh)
			b->binds[n->id] = true;
	}
}

static void each_binder(const WqBuild *b, WqDim d, void (*fn)(void *arg, const WqNode *n), void *arg)
{
	int sym;
	WqDim x, y;
	int64_t coef;
	if (wq_dim_static(d))
		return;
	if (wq_dim_is_sym(b->m, d, &sym)) {
		if (b->binder[sym])
			fn(arg, b->binder[sym]);
	} else if (wq_dim_call(b->m, d, &x, &y)) {
		each_binder(b, x, fn, arg);
		each_binder(b, y, fn, arg);
	} else {
		for (int i = 0; i < wq_dim_num_terms(b->m, d); i++) {
			WqDim atom[8];
			for (int j = wq_dim_term(b->m, d, i, &coef, atom) - 1; j >= 0; j--)
				each_binder(b, atom[j], fn, arg);
		}
	}
}

void wq_each_binder(const WqBuild *b, const WqValue *v, void (*fn)(void *arg, const WqNode *n), void *arg)
{
	for (int i = 0; i < v->type.rank; i++)
		each_binder(b, v->type.dim[i], fn, arg);
	int64_t n = v->sym && !v->data ? wq_max_count(b->m, &v->type) : 0;
	for (int64_t i = 0; i < n; i++)
		each_binder(b, v->sym[i], fn, arg);
}

bool wq_binds(const WqBuild *b, const WqNode *n) { return b->binds[n->id]; }

/* ------------------------------------------------------------------------------------------------------------------------ */

WqProgram *wq_program_new(WqModule *m, const WqCodeOptions *o, WqArena *a)
{
	WqStr why = {.a = a};
	if (!wq_program_supported(m, o->target, &why))
		wq_fail(WQ_EUNSUPPORTED, "%s: no code can be made for %s (wqcc run and check also have --engine eval):\n%s", m->name, o->target->name,
			why.s);
	WqProgram *p = WQ_NEW(a, WqProgram);
	p->mod = m;
	p->o = *o;
	p->a = a;
	if (!p->o.symbol)
		p->o.symbol = "model";
	if (p->o.threads < 1)
		p->o.threads = 1;
	p->cg = cg_new(o->target, p->o.symbol, a);
	WqBuild b = {.p = p, .m = m, .a = a, .cg = p->cg, .target = o->target, .kernels = wq_map_new(a), .max_threads = p->o.threads};
	b.known = WQ_NEW_N(a, bool, wq_dim_num_syms(m) + 1);
	b.binder = WQ_NEW_N(a, const WqNode *, wq_dim_num_syms(m) + 1);
	b.binds = WQ_NEW_N(a, bool, m->next_id + 1);
	mark_graph(&b, m->main);
	wq_layout(&b, m->main);
	wq_groups(&b, m->main);
	wq_places(&b);
	wq_emit_entry(&b);
	return p;
}
