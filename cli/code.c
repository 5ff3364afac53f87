/* code.c: options of code generation. */
#include "cli/code.h"

#include <stdlib.h>

void code_init(CodeOptions *o) { *o = (CodeOptions){ .level = -1, .flash = -1, .ram = -1, .stack = -1 }; }

int64_t option_bytes(const char *name, const char *text)
{
	char *end;
	double v = strtod(text, &end), unit = 1;
	if (*end == 'K' || *end == 'k')
		unit = 1024;
	else if (*end == 'M' || *end == 'm')
		unit = 1024 * 1024;
	else if (*end == 'G' || *end == 'g')
		unit = 1024.0 * 1024 * 1024;
	if (end == text || (unit > 1 ? end[1] : *end) || !(v >= 0) || v * unit > 9e18)
		wq_fail(WQ_EINPUT, "%s takes a size such as 96K, not '%s'", name, text);
	return (int64_t)(v * unit);
}

static bool level_option(CodeOptions *o, const char *a)
{
	if (strlen(a) != 3 || strncmp(a, "-O", 2) || !strchr("0123sz", a[2]))
		return false;
	o->size = a[2] == 's' || a[2] == 'z';
	o->level = o->size ? 2 : a[2] - '0';
	return true;
}

static bool budget_option(CodeOptions *o, int argc, char **argv, int *i)
{
	const char *v;
	if ((v = option_value("--flash", argc, argv, i)))
		o->flash = option_bytes("--flash", v);
	else if ((v = option_value("--ram", argc, argv, i)))
		o->ram = option_bytes("--ram", v);
	else if ((v = option_value("--stack", argc, argv, i)))
		o->stack = option_bytes("--stack", v);
	else
		return false;
	return true;
}

bool code_option(CodeOptions *o, Common *c, int argc, char **argv, int *i)
{
	const char *v;
	if ((v = option_value("-target", argc, argv, i)) || (v = option_value("--target", argc, argv, i)))
		o->target = v;
	else if ((v = option_value("-mcpu", argc, argv, i)))
		o->cpu = v;
	else if ((v = option_value("-mattr", argc, argv, i)))
		o->attr = v;
	else if ((v = option_value("--symbol", argc, argv, i)))
		o->symbol = v;
	else if ((v = option_value("--state", argc, argv, i)))
		WQ_PUSH(c->arena, o->state, v);
	else
		return level_option(o, argv[*i]) || budget_option(o, argc, argv, i);
	return true;
}

const WqTarget *code_target(const CodeOptions *o, Common *c)
{
	const WqTarget *t = wq_target(o->target ? o->target : "native", o->cpu, o->attr, c->arena);
	if (c->verbose > 0) {
		WqStr s = { .a = c->arena };
		wq_target_print(t, &s);
		fprintf(stderr, "%s", s.s);
	}
	return t;
}

/* ---- budgets ------------------------------------------------------------------------------------------------- */

CodeSize code_size(const WqProgram *p, int64_t flash)
{
	return (CodeSize){ .flash = flash, .weights = p->weights_bytes, .ram = p->arena_bytes, .live = p->live_bytes, .stack = p->stack_bytes };
}

static void row(WqStr *out, const char *what, int64_t bytes, int64_t budget)
{
	wq_str_printf(out, "  %-18s %12lld", what, (long long)bytes);
	if (budget >= 0)
		wq_str_printf(out, " of %lld%s", (long long)budget, bytes > budget ? ": too much" : "");
	wq_str_printf(out, "\n");
}

void code_size_text(const CodeOptions *o, const CodeSize *s, WqStr *out)
{
	row(out, "flash", s->flash, o->flash);
	row(out, "  of it weights", s->weights, -1);
	row(out, "ram (arena)", s->ram, o->ram);
	row(out, "  alive at once", s->live, -1);
	row(out, "stack", s->stack, o->stack);
}

void code_check_budget(const CodeOptions *o, const CodeSize *s, WqArena *a)
{
	bool over = (o->flash >= 0 && s->flash > o->flash) || (o->ram >= 0 && s->ram > o->ram) || (o->stack >= 0 && s->stack > o->stack);
	if (!over)
		return;
	WqStr t = { .a = a };
	code_size_text(o, s, &t);
	wq_fail(WQ_EBUDGET, "the budget is exceeded, in bytes:\n%s", t.s);
}

/* ---- this CPU ---------------------------------------------------------------------------------------------------- */

void code_bound_by_data(WqModule *m, WqRt *const *in)
{
	for (int i = 0; i < m->main->inputs.n; i++) {
		const WqType *t = &m->main->inputs.v[i]->type;
		for (int d = 0; in[i] && in[i]->kind == WQ_TENSOR && d < t->rank && d < in[i]->t.rank; d++) {
			int sym;
			if (wq_dim_is_sym(m, t->dim[d], &sym) && wq_dim_hi(m, t->dim[d]) >= WQ_DIM_INF)
				wq_dim_bound(m, t->dim[d], wq_dim_lo(m, t->dim[d]), in[i]->t.dim[d]);
		}
	}
}

void code_run_here(WqModule *m, WqRt *const *in, WqRt **out, int threads, WqArena *a)
{
	code_bound_by_data(m, in);
	WqCodeOptions o = { .target = wq_target("native", NULL, NULL, a), .level = 2, .threads = threads > 1 ? threads : 1 };
	WqProgram *p = wq_program_new(m, &o, a);
	ApiCall *c = api_call_new(m, in, a);
	int code = api_call_jit(c, wq_jit_new(p), o.threads);
	if (code)
		wq_fail(WQ_EINPUT, "the compiled code says: %s", api_wqrt_text(code));
	for (int i = 0; i < m->main->outputs.n; i++)
		out[i] = api_call_result(c, i);
}
