/* compile: the model as something else: its core IR, or ONNX again. */
#include "cli/cli.h"

typedef struct Compile {
	Common c;
	const char *model, *out, *emit;
} Compile;

static void options(Compile *k, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;
		if ((v = option_value("-emit", argc, argv, &i)) || (v = option_value("--emit", argc, argv, &i)))
			k->emit = v;
		else if ((v = option_value("-o", argc, argv, &i)))
			k->out = v;
		else if (common_option(&k->c, argc, argv, &i))
			continue;
		else if (argv[i][0] == '-' && argv[i][1])
			wq_fail(WQ_EINPUT, "unknown option '%s' ('wqcc --help' lists them)", argv[i]);
		else if (k->model)
			wq_fail(WQ_EINPUT, "one model at a time: '%s' and '%s'", k->model, argv[i]);
		else
			k->model = argv[i];
	}
	if (!k->model)
		wq_fail(WQ_EINPUT, "which model? ('wqcc --help' shows the usage)");
	if (!k->emit)
		wq_fail(WQ_EINPUT, "this version has no code generator: choose -emit ir or -emit onnx");
}

int verb_compile(int argc, char **argv)
{
	Compile k = { .c.arena = cli_arena() };
	options(&k, argc, argv);
	int what = !strcmp(k.emit, "ir") ? WQCC_IR : !strcmp(k.emit, "onnx") ? WQCC_ONNX : -1;
	if (what < 0)
		wq_fail(WQ_EINPUT, "-emit %s: there is ir and onnx", k.emit);
	if (what == WQCC_ONNX && !k.out)
		wq_fail(WQ_EINPUT, "-emit onnx needs -o FILE (or -o - for standard output)");
	wqcc_model *m = common_load(&k.c, k.model);
	if (what == WQCC_ONNX && k.c.passes && k.c.verbose >= 0)
		fprintf(stderr, "wqcc: note: -emit onnx writes the model as it was read, but for weights that passes compressed; "
				"-O %s compressed none\n", k.c.passes);
	wqcc_error err;
	if (wqcc_emit(m, what, k.out ? k.out : "-", &err))
		wq_fail(err.code, "%s", err.message);
	cli_arena_done(k.c.arena);
	return WQ_OK;
}
