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
