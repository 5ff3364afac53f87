/* bench: how long a model takes, in all and kernel by kernel, and how far that is from what the machine can do. */
#include "cli/cli.h"
#include "cli/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct Bench {
	Common c;
	const char *path;      /* as given: a model, or a folder in the layout of ONNX's tests */
	const char *model;     /* the file */
	WQ_VEC(const char *) given; /* --input NAME=FILE */
	bool json, serve, eval;
	int runs;              /* 0: as many as a second has */
	wqcc_model *m;
	WqRt **in;
	WqEngine *engine;      /* --engine eval */
	WqProgram *program;    /* --engine jit */
	WqJit *jit;
	ApiCall *call;
	double compiled;       /* seconds */
	double *took;          /* of each run, ascending in the end */
	int n_took;
} Bench;

typedef struct Row { /* all calls of one kernel */
	const WqKernelInfo *k;
	int64_t calls;
	double seconds;
	int64_t flops, bytes;
	double least; /* seconds, by the roofline */
} Row;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- options --------------------------------------------------------------------------------------- */

static void options(Bench *b, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;
		if ((v = option_value("--input", argc, argv, &i)))
			WQ_PUSH(b->c.arena, b->given, v);
		else if ((v = option_value("--runs", argc, argv, &i)))
			b->runs = (int)fmin(option_number("--runs", v), 1e9);
		else if ((v = option_value("--engine", argc, argv, &i))) {
			b->eval = !strcmp(v, "eval");
			if (!b->eval && strcmp(v, "jit"))
				wq_fail(WQ_EINPUT, "unknown engine '%s' (there are: eval, jit)", v);
		} else if (!strcmp(argv[i], "--json"))
			b->json = true;
		else if (!strcmp(argv[i], "--serve"))
			b->serve = true;
		else if (common_option(&b->c, argc, argv, &i))
			continue;
		else if (argv[i][0] == '-' || b->path)
			wq_fail(WQ_EINPUT, "bench: unexpected '%s'", argv[i]);
		else
			b->path = argv[i];
	}
	if (!b->path)
		wq_fail(WQ_EINPUT, "bench: which model?");
	b->model = is_folder(b->path) ? wq_sprintf(b->c.arena, "%s/model.onnx", b->path) : b->path;
	if (!b->c.passes)
		b->c.passes = "opt";
	if (b->c.threads < 1)
		b->c.threads = 1;
}

/* ---- inputs ------------------------------------------------------------------------------------------ */

static void drop(void *v) { wq_rt_unref(v); }

static WqRt *kept(Bench *b, WqRt *r)
{
	wq_defer(b->c.arena, drop, r);
	return r;
}

/* The file for input i of this name, or NULL. */
static const char *file_of(const Bench *b, int i, const char *name)
{
	size_t n = strlen(name);
	for (int k = 0; k < b->given.n; k++)
		if (!strncmp(b->given.v[k], name, n) && b->given.v[k][n] == '=')
			return b->given.v[k] + n + 1;
	const char *path = wq_sprintf(b->c.arena, "%s/test_data_set_0/input_%d.pb", b->path, i);
	return is_folder(b->path) && !access(path, R_OK) ? path : NULL;
}

static void read_inputs(Bench *b)
{
	const WqGraph *g = b->m->module->main;
	for (int k = 0; k < b->given.n; k++) {
		bool known = false;
		for (int i = 0; i < g->inputs.n; i++) {
			size_t n = strlen(g->inputs.v[i]->name);
			known |= !strncmp(b->given.v[k], g->inputs.v[i]->name, n) && b->given.v[k][n] == '=';
		}
		if (!known)
			wq_fail(WQ_EINPUT, "--input %s: the model has no such input", b->given.v[k]);
	}
	b->in = WQ_NEW_N(b->c.arena, WqRt *, g->inputs.n + 1);
	for (int i = 0; i < g->inputs.n; i++) {
		const char *file = file_of(b, i, g->inputs.v[i]->name);
		if (!file)
			continue;
		const WqType *type = &g->inputs.v[i]->type;
		WqTensor *t = wq_value_read(b->c.arena, file, type)->t;
		if (t && type->rank == 0 && wq_tensor_count(t) == 1)
			t->rank = 0; /* stored data has [1] for a scalar at times */
		if (!t || t->rank != type->rank || t->dtype != type->dtype)
			wq_fail(WQ_EINPUT, "%s does not fit input '%s'", file, g->inputs.v[i]->name);
		b->in[i] = kept(b, wq_rt_borrow(t));
	}
}

/* Sizes that the given data tells and nothing bounds: the model is loaded again with them. */
static bool sizes_from_data(Bench *b)
{
	const WqModule *m = b->m->module;
	int before = b->c.dims.n, sym;
	for (int i = 0; i < m->main->inputs.n; i++) {
		const WqType *t = &m->main->inputs.v[i]->type;
		for (int d = 0; b->in[i] && d < t->rank; d++) {
			if (!wq_dim_is_sym(m, t->dim[d], &sym) || wq_dim_hi(m, t->dim[d]) < WQ_DIM_INF)
				continue;
			const char *fixed = wq_sprintf(b->c.arena, "%s=%lld", wq_dim_sym_name(m, sym), (long long)b->in[i]->t.dim[d]);
			bool known = false;
			for (int k = before; k < b->c.dims.n; k++)
				known |= !strcmp(b->c.dims.v[k], fixed);
			if (!known)
				WQ_PUSH(b->c.arena, b->c.dims, fixed);
		}
	}
	return b->c.dims.n > before;
}

/* Floats in [-1, 1), whole numbers small enough to be indices, bytes in full. */
static void fill(WqTensor *t, uint64_t *state)
{
	int below = t->dtype == WQ_U8 ? 256 : t->dtype == WQ_BOOL ? 2 : 4;
	for (int64_t i = 0, n = wq_tensor_count(t); i < n; i++) {
		*state = *state * 6364136223846793005u + 1442695040888963407u;
		uint32_t r = (uint32_t)(*state >> 33);
		if (wq_dtype_is_float(t->dtype))
			wq_tensor_set_f(t, i, (double)r / (1u << 30) - 1);
		else
			wq_tensor_set_i(t, i, r % (uint32_t)below);
	}
}

static void random_inputs(Bench *b)
{
	WqModule *m = b->m->module;
	uint64_t state = 1;
	int n_bind = wq_dim_num_syms(m);
	int64_t *bind = WQ_NEW_N(b->c.arena, int64_t, n_bind + 1);
	for (int s = 0; s < n_bind; s++) { /* the largest sizes */
		int64_t hi = wq_dim_hi(m, wq_dim_sym_at(m, s));
		bind[s] = hi < WQ_DIM_INF ? hi : -1;
	}
	for (int i = 0; i < m->main->inputs.n; i++) {
		const WqValue *v = m->main->inputs.v[i];
		int64_t dim[WQ_MAX_RANK];
		if (b->in[i])
			continue;
		if (v->type.kind != WQ_TENSOR || v->type.rank < 0 || v->type.dtype == WQ_STR)
			wq_fail(WQ_EINPUT, "input '%s' cannot be made up: give --input %s=FILE", v->name, v->name);
		for (int d = 0; d < v->type.rank; d++)
			if (!wq_dim_eval(m, v->type.dim[d], bind, n_bind, &dim[d])) {
				WqStr s = { .a = b->c.arena };
				wq_dim_print(m, v->type.dim[d], &s);
				wq_fail(WQ_EINPUT, "input '%s' has a size %s without a bound: give --dim %s=N", v->name, s.s, s.s);
			}
		b->in[i] = kept(b, wq_rt_tensor(v->type.dtype, v->type.rank, dim));
		fill(&b->in[i]->t, &state);
	}
}

/* ---- making ready --------------------------------------------------------------------------------------- */

static void load(Bench *b)
{
	b->m = common_load(&b->c, b->model);
	read_inputs(b);
	if (sizes_from_data(b)) {
		b->m = common_load(&b->c, b->model);
		read_inputs(b);
	}
	random_inputs(b);
}

static void free_engine(void *e) { wq_engine_free(e); }

static void compile(Bench *b, bool profile)
{
	const WqTarget *target = wq_target("native", NULL, NULL, b->c.arena);
	WqCodeOptions o = { .target = target, .level = 3, .threads = b->c.threads, .profile = profile };
	double from = now();
	b->program = wq_program_new(b->m->module, &o, b->c.arena);
	b->jit = wq_jit_new(b->program);
	b->compiled = now() - from;
	if (!b->call)
		b->call = api_call_new(b->m->module, b->in, b->c.arena);
}

static void make_ready(Bench *b)
{
	if (!b->eval) {
		compile(b, false);
		return;
	}
	WqEngineOptions o = { .threads = b->c.threads, .plain = b->c.plain };
	b->engine = wq_engine_new(b->m->module, &o);
	wq_defer(b->c.arena, free_engine, b->engine);
}

/* ---- running ---------------------------------------------------------------------------------------------- */

static double once(Bench *b)
{
	if (b->jit) {
		double from = now();
		int code = api_call_jit(b->call, b->jit, b->c.threads);
		double took = now() - from;
		if (code)
			wq_fail(WQ_EINPUT, "the model failed: %s (inputs may be given by --input)", api_wqrt_text(code));
		return took;
	}
	int n = b->m->module->main->outputs.n;
	WqArena *a = wq_arena_new();
	WqRt **out = WQ_NEW_N(a, WqRt *, n + 1);
	double from = now();
	wq_engine_run(b->engine, b->in, out);
	double took = now() - from;
	for (int i = 0; i < n; i++)
		wq_rt_unref(out[i]);
	wq_arena_free(a);
	return took;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* runs 0: for about a second, and at least ten. */
static void run(Bench *b, int runs)
{
	enum { LEAST = 10, MOST = 2000 };
	for (int i = 0; i < 2; i++)
		once(b);
	if (runs <= 0) {
		double took = fmax(once(b), 1e-7);
		runs = (int)fmin(fmax(1 / took, LEAST), MOST);
	}
	b->took = WQ_NEW_N(b->c.arena, double, runs);
	b->n_took = runs;
	for (int i = 0; i < runs; i++)
		b->took[i] = once(b);
	qsort(b->took, (size_t)runs, sizeof *b->took, ascending);
}

static double median(const Bench *b) { return b->took[b->n_took / 2]; }

/* A line of a number on standard input: so many runs; their median and least in milliseconds go out. For programs that time
 * something else in turn. */
static int serve(Bench *b)
{
	char line[64];
	printf("ready\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		int runs = (int)strtol(line, NULL, 10);
		if (runs < 1)
			break;
		run(b, runs);
		printf("{\"median\": %.6f, \"least\": %.6f}\n", median(b) * 1e3, b->took[0] * 1e3);
		(void)fflush(stdout);
	}
	return WQ_OK;
}

/* ---- kernel by kernel ------------------------------------------------------------------------------------- */

static int slower_first(const void *a, const void *b)
{
	const Row *x = a, *y = b;
	if (x->seconds != y->seconds)
		return x->seconds > y->seconds ? -1 : 1;
	return x->k < y->k ? -1 : 1;
}

/* Each call's median over some runs with the clock on, added up by kernel. */
static Row *profile(Bench *b, const Roofline *roof, int *n_rows)
{
	enum { RUNS = 15 };
	compile(b, true);
	int n = b->program->kernels.n;
	double *sample = WQ_NEW_N(b->c.arena, double, (int64_t)n * RUNS + 1);
	for (int r = -1; r < RUNS; r++) {
		once(b);
		const int64_t *ns = wq_jit_profile(b->jit);
		for (int i = 0; i < n && r >= 0; i++)
			sample[i * RUNS + r] = (double)ns[i] * 1e-9;
	}
	Row *row = WQ_NEW_N(b->c.arena, Row, n + 1);
	WqMap *by_name = wq_map_new(b->c.arena);
	*n_rows = 0;
	for (int i = 0; i < n; i++) {
		const WqKernelInfo *k = &b->program->kernels.v[i];
		Row *x = wq_map_get(by_name, k->name);
		if (!x) {
			x = &row[(*n_rows)++];
			x->k = k;
			wq_map_put(by_name, k->name, x);
		}
		int64_t times = wq_jit_counts(b->jit)[i];
		qsort(sample + (int64_t)i * RUNS, RUNS, sizeof *sample, ascending);
		x->calls += times;
		x->seconds += sample[i * RUNS + RUNS / 2];
		x->flops += k->flops * times;
		x->bytes += k->bytes * times;
		x->least += (double)times * roofline_seconds(roof, k->flops, k->bytes);
	}
	qsort(row, (size_t)*n_rows, sizeof *row, slower_first);
	return row;
}

static double of_roof(const Row *r) { return r->seconds > 0 ? 100 * r->least / r->seconds : 0; }
static double rate(int64_t n, double seconds) { return seconds > 0 ? (double)n / seconds * 1e-9 : 0; }

static void print_rows(const Bench *b, const Row *row, int n)
{
	double all = 0, rest = 0;
	int left = 0;
	for (int i = 0; i < n; i++)
		all += row[i].seconds;
	printf("\n      us  share  calls   GFLOP/s     GB/s   roof  kernel\n");
	for (int i = 0; i < n; i++) {
		const Row *r = &row[i];
		if (r->seconds < 0.005 * all && b->c.verbose <= 0) {
			rest += r->seconds;
			left++;
			continue;
		}
		printf("%8.1f %5.1f%% %6lld %9.1f %8.1f %5.0f%%  %s\n", r->seconds * 1e6, all > 0 ? 100 * r->seconds / all : 0, (long long)r->calls,
		       rate(r->flops, r->seconds), rate(r->bytes, r->seconds), of_roof(r), r->k->text);
	}
	if (left)
		printf("%8.1f %5.1f%%                                    %d kernels of less than 0.5%% (-v lists them)\n", rest * 1e6,
		       all > 0 ? 100 * rest / all : 0, left);
	double best = 0;
	for (int i = 0; i < n; i++)
		best += row[i].least;
	printf("%8.1f   100%%                            %5.0f%%  all kernels\n", all * 1e6, all > 0 ? 100 * best / all : 0);
}

static void print_head(const Bench *b)
{
	printf("%s: %.4f ms (median of %d, least %.4f), %s, %d thread%s\n", b->path, median(b) * 1e3, b->n_took, b->took[0] * 1e3,
	       b->eval ? "evaluator" : "compiled", b->c.threads, b->c.threads > 1 ? "s" : "");
	if (b->program)
		printf("compiled in %.2f s; arena %lld bytes (%.3f of the %lld alive at once), weights %lld bytes\n", b->compiled,
		       (long long)b->program->arena_bytes,
		       b->program->live_bytes ? (double)b->program->arena_bytes / (double)b->program->live_bytes : 1.0,
		       (long long)b->program->live_bytes, (long long)b->program->weights_bytes);
	if (b->eval)
		printf("memory %lld bytes at most (%lld alive at once)\n", (long long)wq_engine_stat(b->engine).peak_bytes,
		       (long long)wq_engine_stat(b->engine).live_set_bytes);
}

static void print_roof(const Roofline *r)
{
	printf("this machine: %.1f GFLOP/s of f32", r->flops * 1e-9);
	for (int i = 0; i < r->n; i++)
		printf(", %s %.1f GB/s", r->level[i].name, r->level[i].read * 1e-9);
	printf("\n");
}

/* ---- as JSON ---------------------------------------------------------------------------------------------- */

static void json_head(const Bench *b, Json *j)
{
	json_str(j, "model", b->path);
	json_str(j, "engine", b->eval ? "eval" : "jit");
	json_int(j, "threads", b->c.threads);
	json_int(j, "runs", b->n_took);
	json_num(j, "median_ms", median(b) * 1e3);
	json_num(j, "least_ms", b->took[0] * 1e3);
	if (b->eval) {
		json_int(j, "peak_bytes", wq_engine_stat(b->engine).peak_bytes);
		json_int(j, "live_bytes", wq_engine_stat(b->engine).live_set_bytes);
		return;
	}
	json_num(j, "compile_s", b->compiled);
	json_int(j, "arena_bytes", b->program->arena_bytes);
	json_int(j, "live_bytes", b->program->live_bytes);
	json_int(j, "weights_bytes", b->program->weights_bytes);
}

static void json_roof(const Roofline *r, Json *j)
{
	json_begin(j, "machine", '{');
	json_num(j, "gflops", r->flops * 1e-9);
	for (int i = 0; i < r->n; i++) {
		json_begin(j, r->level[i].name, '{');
		json_num(j, "read_gbs", r->level[i].read * 1e-9);
		json_end(j, '}');
	}
	json_end(j, '}');
}

static void json_rows(const Row *row, int n, Json *j)
{
	json_begin(j, "kernels", '[');
	for (int i = 0; i < n; i++) {
		json_begin(j, NULL, '{');
		json_str(j, "name", row[i].k->name);
		json_str(j, "text", row[i].k->text);
		json_int(j, "calls", row[i].calls);
		json_num(j, "us", row[i].seconds * 1e6);
		json_int(j, "flops", row[i].flops);
		json_int(j, "bytes", row[i].bytes);
		json_num(j, "gflops", rate(row[i].flops, row[i].seconds));
		json_num(j, "gbs", rate(row[i].bytes, row[i].seconds));
		json_num(j, "roof_percent", of_roof(&row[i]));
		json_end(j, '}');
	}
	json_end(j, ']');
}

/* The evaluator's own table, by operator. */
static void print_operators(Bench *b)
{
	WqEngineOptions o = { .threads = b->c.threads, .plain = b->c.plain, .profile = true };
	WqStr s = { .a = b->c.arena };
	b->engine = wq_engine_new(b->m->module, &o);
	wq_defer(b->c.arena, free_engine, b->engine);
	for (int i = 0; i < 3; i++)
		once(b);
	wq_engine_profile(b->engine, &s);
	printf("\n%s", s.s ? s.s : "");
}

static void report(Bench *b)
{
	Roofline roof;
	Row *row = NULL;
	int n = 0;
	WqStr s = { .a = b->c.arena };
	Json j = { .out = &s };
	json_begin(&j, NULL, '{');
	json_head(b, &j);
	if (!b->json)
		print_head(b);
	if (!b->eval) {
		roofline_measure(&roof, b->c.threads);
		row = profile(b, &roof, &n);
		json_roof(&roof, &j);
		json_rows(row, n, &j);
	}
	json_end(&j, '}');
	if (b->json)
		printf("%s\n", s.s);
	else if (b->eval)
		print_operators(b);
	else {
		print_roof(&roof);
		print_rows(b, row, n);
	}
}

int verb_bench(int argc, char **argv)
{
	Bench b = { .c.arena = cli_arena() };
	options(&b, argc, argv);
	load(&b);
	make_ready(&b);
	int rc = WQ_OK;
	if (b.serve)
		rc = serve(&b);
	else {
		run(&b, b.runs);
		report(&b);
	}
	cli_arena_done(b.c.arena);
	return rc;
}
