/* wqcc: the program. Looks the verb up and runs it; errors of any kind end here. */
#include "cli/cli.h"

#include <stdlib.h>

static const struct {
	const char *name;
	VerbFn *fn;
	const char *help;
} verbs[] = {
	{ "check", verb_check, "check DIR...    run ONNX test folders and compare" },
};

bool common_option(Common *c, int argc, char **argv, int *i)
{
	const char *a = argv[*i], *v;
	if (!strcmp(a, "-v"))
		c->verbose = 1;
	else if (!strcmp(a, "-q"))
		c->verbose = -1;
	else if (!strcmp(a, "--plain"))
		c->plain = true;
	else if ((v = option_value("--threads", argc, argv, i)))
		c->threads = atoi(v);
	else if ((v = option_value("--dim", argc, argv, i))) {
		const char *eq = strchr(v, '=');
		char *end;
		if (!eq || eq == v)
			wq_fail(WQ_EINPUT, "--dim takes NAME=N or NAME<=N, not '%s'", v);
		bool bound = eq[-1] == '<';
		ImportDim d = { wq_strndup(c->arena, v, (size_t)(eq - v - bound)), strtoll(eq + 1, &end, 10), bound };
		if (*end || end == eq + 1 || d.value < 0 || !*d.name)
			wq_fail(WQ_EINPUT, "--dim takes NAME=N or NAME<=N, not '%s'", v);
		WQ_PUSH(c->arena, c->dims, d);
	} else
		return false;
	return true;
}

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

static int dispatch(int argc, char **argv)
{
	for (int i = 0; i < WQ_COUNTOF(verbs); i++)
		if (argc > 1 && !strcmp(argv[1], verbs[i].name))
			return verbs[i].fn(argc - 1, argv + 1);
	fprintf(stderr, "usage:\n");
	for (int i = 0; i < WQ_COUNTOF(verbs); i++)
		fprintf(stderr, "  wqcc %s\n", verbs[i].help);
	return WQ_EINPUT;
}

int main(int argc, char **argv)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		int rc = dispatch(argc, argv);
		wq_try_end(&t);
		return rc;
	}
	fprintf(stderr, "wqcc: %s\n", t.err.text);
	return t.err.code == WQ_ENOMEM ? WQ_EINPUT : t.err.code;
}
