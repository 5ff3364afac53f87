/* compile: the model as code, or as something else: its core IR, ONNX again. */
#include "cli/code.h"
#include "codegen/object_file.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum { OUT_OBJECT, OUT_SHARED, OUT_ASSEMBLY, OUT_LLVM, OUT_IR, OUT_ONNX } Kind;

typedef struct Compile {
	Common c;
	CodeOptions code;
	const char *model, *out, *emit, *weights;
	Kind kind;
	const WqTarget *target;
	wqcc_model *m;
	WqProgram *p;
} Compile;

/* ---- options ----------------------------------------------------------------------------------------------- */

static bool kind_option(Compile *k, const char *a)
{
	static const struct {
		const char *name;
		Kind kind;
	} row[] = { { "-c", OUT_OBJECT }, { "-shared", OUT_SHARED }, { "-S", OUT_ASSEMBLY }, { "-emit-llvm", OUT_LLVM } };
	for (int i = 0; i < WQ_COUNTOF(row); i++)
		if (!strcmp(a, row[i].name)) {
			k->kind = row[i].kind;
			return true;
		}
	return false;
}

static void options(Compile *k, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;
		if (kind_option(k, argv[i]))
			continue;
		if ((v = option_value("-emit", argc, argv, &i)) || (v = option_value("--emit", argc, argv, &i)))
			k->emit = v;
		else if ((v = option_value("-o", argc, argv, &i)))
			k->out = v;
		else if ((v = option_value("--weights", argc, argv, &i)))
			k->weights = v;
		else if (code_option(&k->code, &k->c, argc, argv, &i) || common_option(&k->c, argc, argv, &i))
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
	if (k->emit && strcmp(k->emit, "ir") && strcmp(k->emit, "onnx"))
		wq_fail(WQ_EINPUT, "-emit %s: there is ir and onnx", k->emit);
	if (k->emit)
		k->kind = !strcmp(k->emit, "ir") ? OUT_IR : OUT_ONNX;
}

/* ---- names --------------------------------------------------------------------------------------------------- */

/* The file's name without folders and extension. */
static char *stem(WqArena *a, const char *path)
{
	const char *slash = strrchr(path, '/'), *s = slash ? slash + 1 : path, *dot = strrchr(s, '.');
	return wq_strndup(a, s, dot && dot > s ? (size_t)(dot - s) : strlen(s));
}

static char *with_extension(WqArena *a, const char *path, const char *ext)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	size_t n = dot && dot > (slash ? slash + 1 : path) ? (size_t)(dot - path) : strlen(path);
	return wq_sprintf(a, "%.*s%s", (int)n, path, ext);
}

static void choose_names(Compile *k)
{
	static const char *const ext[] = { [OUT_OBJECT] = ".o", [OUT_SHARED] = ".so", [OUT_ASSEMBLY] = ".s", [OUT_LLVM] = ".ll" };
	if (!k->out)
		k->out = wq_sprintf(k->c.arena, "%s%s", stem(k->c.arena, k->model), ext[k->kind]);
	if (!strcmp(k->out, "-") && k->kind == OUT_SHARED)
		wq_fail(WQ_EINPUT, "-shared needs -o FILE");
	if (!k->code.symbol)
		k->code.symbol = wq_c_name(k->c.arena, stem(k->c.arena, strcmp(k->out, "-") ? k->out : k->model));
	else if (strcmp(wq_c_name(k->c.arena, k->code.symbol), k->code.symbol))
		wq_fail(WQ_EINPUT, "--symbol takes an identifier of C, not '%s'", k->code.symbol);
}

/* ---- weights beside -------------------------------------------------------------------------------------------- */

/* A blob of weights: 64 bytes (magic, version, hash, bytes), then what the code expects. */
static void write_weights(Compile *k)
{
	struct {
		char magic[8];
		uint64_t version, hash, bytes;
		uint8_t zero[32];
	} head = { "wqweight", 1, k->p->weights_hash, (uint64_t)k->p->weights_bytes, { 0 } };
	WqFileOut *f = wq_file_create(k->c.arena, k->weights);
	wq_file_write(f, &head, sizeof head);
	wq_program_weights(k->p, wq_file_sink, f);
	wq_file_commit(f);
}

/* ---- output ------------------------------------------------------------------------------------------------------- */

static void write_bytes(Compile *k, const char *path, const void *p, size_t n)
{
	WqFileOut *f = wq_file_create(k->c.arena, path);
	wq_file_write(f, p, n);
	wq_file_commit(f);
}

/* Nothing is written when a budget is exceeded. */
static void write_object(Compile *k, const char *path)
{
	WqObject o = wq_program_object(k->p, wq_sprintf(k->c.arena, "%s.o", k->code.symbol));
	CodeSize size = code_size(k->p, wq_object_flash(&o, k->c.arena) + (k->weights ? k->p->weights_bytes : 0));
	code_check_budget(&k->code, &size, k->c.arena);
	if (k->c.verbose > 0) {
		WqStr s = { .a = k->c.arena };
		code_size_text(&k->code, &size, &s);
		fprintf(stderr, "bytes:\n%s", s.s);
	}
	WqFileOut *f = wq_file_create(k->c.arena, path);
	wq_object_write(&o, wq_file_sink, f, k->c.arena);
	wq_file_commit(f);
}

static void link_shared(Compile *k)
{
	char *object = wq_sprintf(k->c.arena, "%s.%ld.o", k->out, (long)getpid()), *so = wq_sprintf(k->c.arena, "%s.%ld.so", k->out, (long)getpid());
	write_object(k, object);
	const char *argv[] = { k->target->family == WQ_WASM ? "wasm-ld-19" : "ld.lld-19", "-shared", "-o", so, object, NULL };
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "wqcc: -shared needs the linker %s, which is not there\n", argv[0]);
		_exit(127);
	}
	int status = -1;
	if (pid > 0)
		waitpid(pid, &status, 0);
	unlink(object);
	if (status || rename(so, k->out)) {
		unlink(so);
		wq_fail(WQ_EINPUT, "%s could not be linked", k->out);
	}
}

static void write_text(Compile *k, int what)
{
	const char *text = wq_program_text(k->p, what);
	write_bytes(k, k->out, text, strlen(text));
}

static void write_header(Compile *k)
{
	if (!strcmp(k->out, "-"))
		return;
	WqStr s = { .a = k->c.arena };
	wq_program_header(k->p, &s);
	write_bytes(k, with_extension(k->c.arena, k->out, ".h"), s.s, s.n);
}

static void generate(Compile *k)
{
	choose_names(k);
	k->target = code_target(&k->code, &k->c);
	if (!k->c.passes)
		k->c.passes = "opt";
	k->m = common_load(&k->c, k->model);
	if (k->m->onnx)
		onnx_bound_sizes(k->m->onnx, k->m->module);
	WqCodeOptions o = { .target = k->target, .symbol = k->code.symbol, .level = k->code.level < 0 ? 3 : k->code.level, .size = k->code.size,
		.threads = k->c.threads > 1 ? k->c.threads : 1, .weights_inside = !k->weights, .weights_file = k->weights != NULL };
	k->p = wq_program_new(k->m->module, &o, k->c.arena);
	switch (k->kind) {
	case OUT_SHARED: link_shared(k); break;
	case OUT_ASSEMBLY: write_text(k, CG_ASSEMBLY); break;
	case OUT_LLVM: write_text(k, CG_LLVM); break;
	default: write_object(k, k->out);
	}
	write_header(k);
	if (k->weights)
		write_weights(k);
}

/* ---- other forms ---------------------------------------------------------------------------------------------------- */

static void emit_model(Compile *k)
{
	int what = k->kind == OUT_IR ? WQCC_IR : WQCC_ONNX;
	if (what == WQCC_ONNX && !k->out)
		wq_fail(WQ_EINPUT, "-emit onnx needs -o FILE (or -o - for standard output)");
	k->m = common_load(&k->c, k->model);
	if (what == WQCC_ONNX && k->c.passes && k->c.verbose >= 0)
		fprintf(stderr, "wqcc: note: -emit onnx writes the model as it was read, but for weights that passes compressed; "
				"-O %s compressed none\n", k->c.passes);
	wqcc_error err;
	if (wqcc_emit(k->m, what, k->out ? k->out : "-", &err))
		wq_fail(err.code, "%s", err.message);
}

int verb_compile(int argc, char **argv)
{
	Compile k = { .c.arena = cli_arena() };
	code_init(&k.code);
	options(&k, argc, argv);
	if (k.kind >= OUT_IR)
		emit_model(&k);
	else
		generate(&k);
	cli_arena_done(k.c.arena);
	return WQ_OK;
}
