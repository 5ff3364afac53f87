/* wqcc: the program. Looks the verb up and runs it; errors of any kind end here. */
#include "cli/cli.h"

static const struct {
	const char *name;
	VerbFn *fn;
	const char *help;
} verbs[] = {
	{ "compile", verb_compile,
	  "[compile] MODEL [-O PIPELINE] [-target T] [-o OUT]   compile to OUT (model.o) and its header; also -shared, -S, -emit-llvm, -emit ir|onnx" },
	{ "run", verb_run, "run MODEL [--input NAME=FILE]... [--output DIR] [--engine jit|eval]   run on .npy, .npz or .pb files" },
	{ "check", verb_check, "check DIR...   run folders in the layout of ONNX's tests and compare" },
	{ "eval", verb_eval, "eval MODEL --data FILE.npz --metric top1|top5|ppl|mse   accuracy on labelled data" },
	{ "bench", verb_bench, "bench MODEL|FOLDER [--json] [--runs N] [--input NAME=FILE]...   latency, kernel by kernel" },
	{ "inspect", verb_inspect, "inspect MODEL [--json] [-target T]   operators, parameters, work, weights; flash, RAM and stack on a target" },
	{ "runtime", verb_runtime, "runtime DIR   write the sources of what an object may need of a runtime" },
	{ "support", verb_support, "support   the ONNX operators that are read, as Markdown" },
};

static WqArena *arenas[8];

WqArena *cli_arena(void)
{
	for (int i = 0; i < WQ_COUNTOF(arenas); i++)
		if (!arenas[i])
			return arenas[i] = wq_arena_new();
	WQ_BUG("the program has more arenas than expected");
}

void cli_arena_done(WqArena *a)
{
	for (int i = 0; i < WQ_COUNTOF(arenas); i++)
		if (arenas[i] == a) {
			arenas[i] = NULL;
			wq_arena_free(a);
		}
}

static void usage(FILE *f)
{
	fprintf(f, "wqcc %s: the ONNX compiler for compressed weights\n\n", wqcc_version());
	for (int i = 0; i < WQ_COUNTOF(verbs); i++)
		fprintf(f, "  wqcc %s\n", verbs[i].help);
	fprintf(f, "\nOptions of several verbs:\n"
		   "  -O PIPELINE            passes to run, e.g. -O clean or -O fold,cse,dce ('wqcc --help-passes' lists them)\n"
		   "  --dim NAME=N           fix a symbolic dimension;  --dim 'NAME<=N' bounds it\n"
		   "  --from-ir              MODEL is in the text form that -emit ir writes\n"
		   "  --print-after P|all    print the IR after a pass;  --time-passes  print what each took\n"
		   "  --threads N            threads of the evaluator;  --plain  evaluate in plain C only\n"
		   "\nCode generation (compile, inspect):\n"
		   "  -target T              native (default) or one of wqcc --help-targets;  -mcpu=C, -mattr=+a,-b  refine it\n"
		   "  -O0 -O1 -O2 -O3 -Os    the code generator's level (default 3)\n"
		   "  --weights FILE         weights in a file beside the object, to be swapped without compiling\n"
		   "  --symbol NAME          prefix of the object's names (default: the output's name)\n"
		   "  --flash N --ram N --stack N   budgets, such as 96K: exit code 3 and the table when they are exceeded\n"
		   "\n"
		   "  -v, -q                 say more; say nothing but results\n"
		   "  --help, --version\n"
		   "\nExit codes: 0 ok, 1 error in the input or options, 2 unsupported, 3 budget exceeded, 4 check failed\n");
}

/* A list of what there is. */
static int help_list(void (*list)(WqStr *out))
{
	WqArena *a = cli_arena();
	WqStr s = { .a = a };
	list(&s);
	printf("%s", s.s);
	cli_arena_done(a);
	return WQ_OK;
}

static int dispatch(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return WQ_EINPUT;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return WQ_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("wqcc %s (engine: %s)\n", wqcc_version(), wq_dnnl_version());
		return WQ_OK;
	}
	if (!strcmp(argv[1], "--help-passes"))
		return help_list(wq_pass_list);
	if (!strcmp(argv[1], "--help-targets"))
		return help_list(wq_target_list);
	for (int i = 0; i < WQ_COUNTOF(verbs); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].fn(argc - 1, argv + 1);
	return verb_compile(argc, argv); /* "wqcc model.onnx ..." is short for "wqcc compile model.onnx ..." */
}

int main(int argc, char **argv)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		int rc = dispatch(argc, argv);
		wq_try_end(&t);
		if (fflush(stdout) || ferror(stdout)) {
			fprintf(stderr, "wqcc: standard output could not be written\n");
			return WQ_EINPUT;
		}
		return rc;
	}
	fprintf(stderr, "wqcc: %s\n", t.err.text);
	for (int i = WQ_COUNTOF(arenas); i-- > 0;)
		cli_arena_done(arenas[i]);
	return t.err.code == WQ_ENOMEM ? WQ_EINPUT : t.err.code;
}
