/* pass.c: the pass manager: pipeline text, options, verification after every pass, the log. */
#include "passes/pass.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_ROUNDS = 64 }; /* of a repeated group */

static const WqPassInfo table[] = {
#define PASS(name, function, help, options) { #name, function, help, options },
#define PIPELINE(name, text, help)
#include "passes/passes.def"
#undef PASS
#undef PIPELINE
};

static const struct {
	const char *name, *text, *help;
} pipelines[] = {
#define PASS(name, function, help, options)
#define PIPELINE(name, text, help) { #name, text, help },
#include "passes/passes.def"
#undef PASS
#undef PIPELINE
};

const WqPassInfo *wq_pass_table(int *n)
{
	*n = WQ_COUNTOF(table);
	return table;
}

const WqPassInfo *wq_pass_find(const char *name)
{
	for (int i = 0; i < WQ_COUNTOF(table); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

void wq_pass_list(WqStr *out)
{
	for (int i = 0; i < WQ_COUNTOF(table); i++)
		wq_str_printf(out, "  %-15s %s%s%s%s\n", table[i].name, table[i].help, *table[i].options ? " (" : "",
			      table[i].options, *table[i].options ? ")" : "");
	for (int i = 0; i < WQ_COUNTOF(pipelines); i++)
		wq_str_printf(out, "  %-15s %s: %s\n", pipelines[i].name, pipelines[i].help, pipelines[i].text);
}

/* ---- pipelines ------------------------------------------------------------------------------- */

typedef struct Option { /* as given; absent ones have the schema's default */
	const char *key, *value;
	struct Option *next;
} Option;

typedef struct Step {
	const WqPassInfo *pass; /* NULL: a group */
	Option *options;
	WqPipeline *group;
	bool repeat;
} Step;

struct WqPipeline {
	WQ_VEC(Step) steps;
};

typedef struct Parser {
	WqArena *a;
	const char *s, *text;
	int depth;
} Parser;

WQ_NORETURN static void bad(const Parser *p, const char *fmt, ...) WQ_PRINTF(2, 3);

static void bad(const Parser *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	WqStr list = { .a = p->a };
	wq_pass_list(&list);
	wq_fail(WQ_EINPUT, "pipeline \"%.200s\", at %d: %s\npasses and pipelines:\n%s", p->text,
		(int)(p->s - p->text) + 1, text, list.s);
}

static void blanks(Parser *p)
{
	while (*p->s == ' ' || *p->s == '\n' || *p->s == '\t')
		p->s++;
}

static bool take(Parser *p, char c)
{
	blanks(p);
	if (*p->s != c)
		return false;
	p->s++;
	return true;
}

static const char *word(Parser *p, const char *what)
{
	blanks(p);
	size_t n = 0;
	while (isalnum((unsigned char)p->s[n]) || p->s[n] == '_' || p->s[n] == '-')
		n++;
	if (!n)
		bad(p, "%s expected", what);
	p->s += n;
	return wq_strndup(p->a, p->s - n, n);
}

/* The entry "name:kind=default" of a schema: kind and default; 0 if absent. */
static char schema(const char *s, const char *name, const char **def, size_t *len)
{
	size_t n = strlen(name);
	for (; *s; s += strcspn(s, " "), s += *s == ' ')
		if (!strncmp(s, name, n) && s[n] == ':') {
			*def = s + n + 3;
			*len = strcspn(*def, " ");
			return s[n + 1];
		}
	return 0;
}

static bool parse_int(const char *s, int64_t *v)
{
	char *end;
	*v = strtoll(s, &end, 0);
	int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
	if (end == s || end[shift != 0] || *v > INT64_MAX >> shift || *v < INT64_MIN >> shift)
		return false;
	*v *= (int64_t)1 << shift;
	return true;
}

static void check_value(const Parser *p, char kind, const char *key, const char *value)
{
	int64_t i;
	char *end;
	if (kind == 'i' && !parse_int(value, &i))
		bad(p, "%s takes a whole number, not \"%s\"", key, value);
	if (kind == 'f' && (strtod(value, &end), end == value || *end))
		bad(p, "%s takes a number, not \"%s\"", key, value);
}

/* A value runs to the comma or parenthesis that ends it; parentheses nest. */
static const char *option_text(Parser *p)
{
	int depth = 0;
	const char *s = p->s;
	while (*p->s && (depth || (*p->s != ',' && *p->s != ')')))
		depth += (*p->s == '(') - (*p->s == ')'), p->s++;
	return wq_strndup(p->a, s, (size_t)(p->s - s));
}

static void parse_options(Parser *p, Step *st)
{
	Option **at = &st->options;
	if (take(p, ')'))
		return;
	do {
		Option *o = WQ_NEW(p->a, Option);
		const char *def;
		size_t len;
		o->key = word(p, "an option");
		char kind = schema(st->pass->options, o->key, &def, &len);
		if (!kind)
			bad(p, "%s has no option \"%s\"; it has: %s", st->pass->name, o->key,
			    *st->pass->options ? st->pass->options : "none");
		o->value = take(p, '=') ? option_text(p) : "1";
		check_value(p, kind, o->key, o->value);
		*at = o;
		at = &o->next;
	} while (take(p, ','));
	if (!take(p, ')'))
		bad(p, "\")\" expected");
}

static WqPipeline *parse_list(Parser *p);

static WqPipeline *named(Parser *p, const char *name)
{
	for (int i = 0; i < WQ_COUNTOF(pipelines); i++)
		if (!strcmp(pipelines[i].name, name)) {
			Parser sub = { p->a, pipelines[i].text, pipelines[i].text, p->depth };
			return parse_list(&sub);
		}
	bad(p, "there is no pass \"%s\"", name);
}

static void parse_step(Parser *p, Step *st)
{
	if (take(p, '(')) {
		st->group = parse_list(p);
		if (!take(p, ')'))
			bad(p, "\")\" expected");
	} else {
		const char *name = word(p, "a pass");
		st->pass = wq_pass_find(name);
		if (!st->pass)
			st->group = named(p, name);
		else if (take(p, '('))
			parse_options(p, st);
	}
	st->repeat = take(p, '*');
}

static WqPipeline *parse_list(Parser *p)
{
	WqPipeline *l = WQ_NEW(p->a, WqPipeline);
	if (++p->depth > WQ_MAX_DEPTH)
		bad(p, "nested too deeply");
	do {
		Step st = { 0 };
		parse_step(p, &st);
		WQ_PUSH(p->a, l->steps, st);
	} while (take(p, ','));
	p->depth--;
	return l;
}

WqPipeline *wq_pipeline_parse(WqArena *a, const char *text)
{
	Parser p = { a, text, text, 0 };
	blanks(&p);
	WqPipeline *l = *p.s ? parse_list(&p) : WQ_NEW(a, WqPipeline);
	blanks(&p);
	if (*p.s)
		bad(&p, "\",\" expected");
	return l;
}

/* ---- options, as a pass asks for them -------------------------------------------------------- */

struct WqPassRun {
	WqArena *tmp;
	const Step *step;
};

WqArena *wq_pass_arena(const WqPassRun *r) { return r->tmp; }

static const char *option(const WqPassRun *r, const char *name, char kind)
{
	const char *def = NULL, *given = NULL;
	size_t len = 0;
	if (schema(r->step->pass->options, name, &def, &len) != kind)
		WQ_BUG("pass %s has no option %s of this kind", r->step->pass->name, name);
	for (const Option *o = r->step->options; o; o = o->next)
		if (!strcmp(o->key, name))
			given = o->value; /* the last one counts */
	return given ? given : wq_strndup(r->tmp, def, len);
}

int64_t wq_pass_i(const WqPassRun *r, const char *name)
{
	int64_t v;
	if (!parse_int(option(r, name, 'i'), &v))
		WQ_BUG("the default of %s is no number", name);
	return v;
}

double wq_pass_f(const WqPassRun *r, const char *name) { return strtod(option(r, name, 'f'), NULL); }
const char *wq_pass_s(const WqPassRun *r, const char *name) { return option(r, name, 's'); }

/* ---- running --------------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static WqPassStat *stat_of(WqPassLog *log, const WqPassInfo *pass)
{
	for (int i = 0; i < log->stats.n; i++)
		if (log->stats.v[i].pass == pass)
			return &log->stats.v[i];
	WQ_PUSH(log->a, log->stats, (WqPassStat){ .pass = pass });
	return &log->stats.v[log->stats.n - 1];
}

static void dump(const WqModule *m, WqArena *a, FILE *to, const char *title)
{
	WqStr s = { .a = a };
	wq_print(m, &s, NULL, 16);
	fprintf(to, "# %s\n%s", title, s.s);
}

static void verify(const WqModule *m, WqArena *a, const WqPassInfo *pass)
{
	WqStr faults = { .a = a };
	if (wq_verify(m, &faults))
		return;
	dump(m, a, stderr, pass->name);
	WQ_BUG("pass %s left a broken graph (above):\n%s", pass->name, faults.s);
}

static int run_pass(WqModule *m, const Step *st, WqPassLog *log, WqArena *tmp)
{
	const WqPassRun r = { tmp, st };
	double t = now();
	int changes = st->pass->run(m, &r);
	WqPassStat *s = stat_of(log, st->pass);
	s->seconds += now() - t;
	s->runs++;
	s->changes += changes;
	log->changes += changes;
	verify(m, tmp, st->pass);
	if (log->print_after && (!strcmp(log->print_after, "all") || !strcmp(log->print_after, st->pass->name)))
		dump(m, tmp, log->out, wq_sprintf(tmp, "after %s: %d changes", st->pass->name, changes));
	if (changes && log->after)
		log->after(log->arg, m, st->pass, changes);
	return changes;
}

/* A pass's memory must go also when the pass fails (out of memory). */
static int run_guarded(WqModule *m, const Step *st, WqPassLog *log)
{
	WqArena *volatile tmp = wq_arena_new();
	const char *where = m->where;
	WqTry t;
	if (WQ_TRY(&t)) {
		int changes = run_pass(m, st, log, tmp);
		wq_try_end(&t);
		wq_arena_free(tmp);
		m->where = where;
		return changes;
	}
	wq_arena_free(tmp);
	m->where = where;
	wq_fail(t.err.code, "%s", t.err.text);
}

static int run_list(WqModule *m, const WqPipeline *p, WqPassLog *log)
{
	int total = 0;
	for (int i = 0; i < p->steps.n; i++) {
		const Step *st = &p->steps.v[i];
		int changes, round = 0;
		do {
			changes = st->pass ? run_guarded(m, st, log) : run_list(m, st->group, log);
			total += changes;
		} while (st->repeat && changes && ++round < MAX_ROUNDS);
		log->unsettled += round == MAX_ROUNDS;
	}
	return total;
}

int wq_pipeline_run(WqModule *m, const WqPipeline *p, WqPassLog *log)
{
	if (!log->out)
		log->out = stderr;
	return run_list(m, p, log);
}

int wq_passes(WqModule *m, const char *pipeline)
{
	WqArena *volatile a = wq_arena_new();
	WqTry t;
	if (WQ_TRY(&t)) {
		WqPassLog log = { .a = a };
		int changes = wq_pipeline_run(m, wq_pipeline_parse(a, pipeline), &log);
		wq_try_end(&t);
		wq_arena_free(a);
		return changes;
	}
	wq_arena_free(a);
	wq_fail(t.err.code, "%s", t.err.text);
}

void wq_pass_log_print(const WqPassLog *log, WqStr *out)
{
	wq_str_printf(out, "%-16s %5s %8s %9s\n", "pass", "runs", "changes", "ms");
	for (int i = 0; i < log->stats.n; i++) {
		const WqPassStat *s = &log->stats.v[i];
		wq_str_printf(out, "%-16s %5d %8d %9.2f\n", s->pass->name, s->runs, s->changes, 1e3 * s->seconds);
	}
}
