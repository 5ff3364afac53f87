/* common.c: options that several verbs take, and loading a model by them. */
#include "cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

const char *option_value(const char *name, int argc, char **argv, int *i)
{
	size_t n = strlen(name);
	const char *a = argv[*i];
	if (strncmp(a, name, n))
		return NULL;
	if (a[n] == '=')
		return a + n + 1;
	if (a[n])
		return NULL;
	if (*i + 1 >= argc)
		wq_fail(WQ_EINPUT, "%s needs a value", name);
	return argv[++*i];
}

double option_number(const char *name, const char *text)
{
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end || !(v >= 0) || v > 1e18)
		wq_fail(WQ_EINPUT, "%s takes a number, not '%s'", name, text);
	return v;
}

/* -O PIPELINE, -OPIPELINE. Attached digits are the code generator's levels: code.c takes them first where there are any. */
static bool pipeline_option(Common *c, int argc, char **argv, int *i)
{
	const char *a = argv[*i];
	if (strncmp(a, "-O", 2))
		return false;
	if (a[2] && (isdigit((unsigned char)a[2]) || !strcmp(a, "-Os") || !strcmp(a, "-Oz")))
		wq_fail(WQ_EINPUT, "%s is a level of the code generator, and no code is generated here", a);
	if (!a[2] && *i + 1 >= argc)
		wq_fail(WQ_EINPUT, "-O needs a pipeline of passes");
	c->passes = a[2] ? a + 2 : argv[++*i];
	return true;
}

bool common_option(Common *c, int argc, char **argv, int *i)
{
	const char *a = argv[*i], *v;
	if (!strcmp(a, "-v"))
		c->verbose = 1;
	else if (!strcmp(a, "-q"))
		c->verbose = -1;
	else if (!strcmp(a, "--plain"))
		c->plain = true;
	else if (!strcmp(a, "--from-ir"))
		c->from_ir = true;
	else if (!strcmp(a, "--time-passes"))
		c->time_passes = true;
	else if ((v = option_value("--print-after", argc, argv, i)))
		c->print_after = v;
	else if ((v = option_value("--threads", argc, argv, i)))
		c->threads = (int)option_number("--threads", v);
	else if ((v = option_value("--dim", argc, argv, i)))
		WQ_PUSH(c->arena, c->dims, v);
	else
		return pipeline_option(c, argc, argv, i);
	return true;
}

static void free_model(void *m) { wqcc_free(m); }

static void run_passes(const Common *c, wqcc_model *m)
{
	WqPassLog log = { .a = c->arena, .print_after = c->print_after, .out = stdout };
	wq_pipeline_run(m->module, wq_pipeline_parse(c->arena, c->passes), &log);
	if (c->time_passes || c->verbose > 0) {
		WqStr s = { .a = c->arena };
		wq_pass_log_print(&log, &s);
		fprintf(stderr, "%s", s.s ? s.s : "");
	}
}

wqcc_model *common_load(Common *c, const char *path)
{
	wqcc_options o = { c->dims.v, c->dims.n, c->threads, c->plain };
	wqcc_error err;
	wqcc_model *m = c->from_ir ? wqcc_load_ir(path, &o, &err) : wqcc_load_file(path, &o, &err);
	if (!m)
		wq_fail(err.code, "%s", err.message);
	wq_defer(c->arena, free_model, m);
	if (c->passes)
		run_passes(c, m);
	return m;
}

void progress(const Common *c, int64_t done, int64_t all, const char *what)
{
	if (c->verbose < 0 || !isatty(STDERR_FILENO))
		return;
	if (done == all)
		fprintf(stderr, "\r\033[K");
	else
		fprintf(stderr, "\r\033[K%lld/%lld %.60s", (long long)done, (long long)all, what);
	(void)fflush(stderr);
}
