/* random_jit: random graphs and random calls of operators, compiled in memory and compared with the evaluator.
 *
 *   random_jit                          the cases that once failed (tests/random_jit.cases), and some more: the quick test
 *   random_jit --seed N --seconds S     cases from N on for so long; --count N instead of seconds
 *   random_jit --case g123              one case: g: a graph, o: an operator's call; -v prints it
 *   random_jit --op NAME                calls of one operator alone
 *
 * Cases run in a child process, many in one: whatever kills it is a finding too, with the seed at hand. Buffers end or begin at pages
 * that may not be touched. The seed chooses the CPU's features, the level, the number of threads and the sizes of symbols.
 */
#include "codegen/codegen.h"
#include "tests/random_graph.h"
#include "tests/random_ops.h"

#include "api/api.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct Case {
	char kind; /* 'g', 'o' */
	uint64_t seed;
} Case;

typedef enum { AGREES, DIFFERS, REFUSED, NO_CASE } Verdict; /* REFUSED: WQ_EUNSUPPORTED; NO_CASE: the call is wrong in itself */

typedef struct Shared { /* with the child */
	Case at;
	int ran, count[4];
	char why[2000]; /* of the last DIFFERS */
} Shared;

static Shared *shared;
static bool verbose;
static WqOp only_op;

/* ---- buffers with guards ---------------------------------------------------------------------------- */

typedef struct Guarded {
	void *map;
	size_t size;
} Guarded;

static void unmap(void *p)
{
	Guarded *g = p;
	munmap(g->map, g->size);
}

/* n bytes right before a page that may not be touched, or right after one. */
static void *guarded(WqArena *a, size_t n, size_t elem, bool at_start)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (n + page - 1) / page * page;
	Guarded *g = WQ_NEW(a, Guarded);
	g->size = inner + 2 * page;
	g->map = mmap(NULL, g->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED)
		wq_fail(WQ_ENOMEM, "no memory for a buffer");
	wq_defer(a, unmap, g);
	if (inner && mprotect((char *)g->map + page, inner, PROT_READ | PROT_WRITE))
		wq_fail(WQ_ENOMEM, "no memory for a buffer");
	char *end = (char *)g->map + page + inner - n / elem * elem;
	return at_start ? (char *)g->map + page : end;
}

/* ---- making cases --------------------------------------------------------------------------------------- */

typedef struct Made {
	WqModule *m;
	WqTensor *data[16]; /* of the inputs; NULL: made up */
	double tol;
} Made;

static Made *making;
static Rng leaf_rng;

/* An operand becomes an input, of a symbolic shape now and then. Equal sizes are one symbol. */
static WqValue *input_leaf(WqGraph *g, WqTensor *t)
{
	WqType type = wq_type_of_tensor(t);
	if (g->inputs.n >= WQ_COUNTOF(making->data) || t->dtype == WQ_STR || (g->inputs.n && rng_below(&leaf_rng, 3) == 0))
		return wq_const(g, NULL, t);
	bool symbolic = rng_below(&leaf_rng, 3) == 0;
	for (int d = 0; d < t->rank && symbolic; d++) {
		type.dim[d] = wq_dim_sym(g->mod, wq_sprintf(g->mod->arena, "n%lld", (long long)t->dim[d]));
		wq_dim_bound(g->mod, type.dim[d], 0, t->dim[d] + 2);
	}
	making->data[g->inputs.n] = t;
	return wq_input(g, wq_sprintf(g->mod->arena, "x%d", g->inputs.n), &type);
}

/* Elementwise neighbours, so that something is fused. */
static WqValue *around(WqGraph *g, WqValue *v)
{
	static const WqOp ops[] = { OP_Neg, OP_Abs, OP_Relu };
	if (!v || !wq_dtype_in(v->type.dtype, WQ_M_FLOAT | WQ_M_SINT) || rng_below(&leaf_rng, 3))
		return v;
	if (rng_below(&leaf_rng, 2))
		return wq_build(g, ops[rng_below(&leaf_rng, 3)], 1, &v);
	return wq_build(g, OP_Add, 2, (WqValue *[]){ v, wq_const_scalar(g, v->type.dtype, 1) });
}

static bool compilable(WqOp op)
{
	return !(wq_op(op)->flags & (WQ_BODY | WQ_SEQ | WQ_TEXT | WQ_IMPURE));
}

/* Sums of numbers of very different sizes depend on their order: such numbers go to operators that sum nothing. A NaN of a value that
 * Attention weighs with 0 is nobody's business. */
static void tame(WqOp op, const WqTensor *data)
{
	WqTensor t = *data; /* made by this program, in its arena */
	for (int64_t k = 0; wq_dtype_is_float(t.dtype) && k < wq_tensor_count(&t); k++)
		if (fabs(wq_tensor_get_f(&t, k)) > 1e4 || (op == OP_Attention && isnan(wq_tensor_get_f(&t, k))))
			wq_tensor_set_f(&t, k, 3);
}

static void make_call(Made *c, uint64_t seed)
{
	WqOp op = only_op;
	ops_state = seed * 2862933555777941757u + 3037000493u;
	leaf_rng = (Rng){ seed + 77 };
	while (!op || !compilable(op))
		op = (WqOp)(1 + ops_below(WQ_NUM_OPS - 1));
	making = c;
	ops_leaf = input_leaf;
	WqValue *in[16];
	c->m = wq_module_new("call");
	c->m->fold = wq_engine_fold;
	int n_in = ops_operands(c->m->main, wq_op(op), in);
	ops_leaf = NULL;
	for (int i = 0; i < n_in; i++) {
		if (in[i] && !(wq_op(op)->flags & WQ_EW) && op != OP_Cast)
			tame(op, in[i]->data ? in[i]->data : c->data[in[i]->index]);
		in[i] = around(c->m->main, in[i]);
	}
	WqNode *n = wq_node_new(c->m->main, op, n_in, in);
	ops_attributes(n, wq_op(op)->attrs);
	if (op == OP_Cast) /* any other word is one that no lowering writes */
		wq_set_s(n, "round", (const char *const[]){ "nearest", "up", "down" }[ops_below(3)]);
	if (op == OP_Attention && !isfinite(wq_attr_f(n, "scale"))) /* scores without a number */
		wq_set_f(n, "scale", 0.5);
	int n_out = wq_op(op)->max_out < 0 ? wq_op(op)->min_out : wq_op(op)->max_out;
	wq_node_finish(n, n_out, NULL);
	for (int i = 0; i < n_out; i++)
		wq_output(c->m->main, wq_sprintf(c->m->arena, "y%d", i), around(c->m->main, n->out[i]));
	c->tol = 1e-4;
}

/* Rounding to half precision makes jumps of what was equal but for the last bits. */
static double tolerance(const WqGraph *g)
{
	double tol = 5e-3;
	WQ_FOR_NODES(n, g) {
		for (int i = 0; i < n->n_out; i++) {
			WqDtype t = n->out[i] ? n->out[i]->type.dtype : WQ_F32;
			tol = fmax(tol, t == WQ_BF16 ? 8e-2 : t == WQ_F16 ? 1e-2 : 0);
		}
		for (int i = 0; i < n->n_body; i++)
			tol = fmax(tol, tolerance(n->body[i]));
	}
	return tol;
}

static void make(Made *c, Case k)
{
	if (k.kind == 'o') {
		make_call(c, k.seed);
		return;
	}
	c->m = random_graph_wide(k.seed);
	c->tol = tolerance(c->m->main);
}

/* ---- running one ------------------------------------------------------------------------------------------ */

/* Symbols get sizes within their bounds, other ones each round; a call's own data has the sizes it was made with. */
static WqRt **inputs(WqArena *a, const Made *c, Rng *r, bool own)
{
	WqModule *m = c->m;
	int n_sym = wq_dim_num_syms(m);
	int64_t *bind = WQ_NEW_N(a, int64_t, n_sym + 1);
	WqRt **in = WQ_NEW_N(a, WqRt *, m->main->inputs.n + 1);
	for (int i = 0; i < n_sym; i++) {
		int64_t lo = wq_dim_lo(m, wq_dim_sym_at(m, i)), hi = wq_dim_hi(m, wq_dim_sym_at(m, i));
		bind[i] = hi - lo < 100000 ? lo + rng_below(r, (int)(hi - lo) + 1) : lo;
	}
	for (int i = 0; i < m->main->inputs.n; i++) {
		const WqType *t = &m->main->inputs.v[i]->type;
		int64_t dim[WQ_MAX_RANK];
		for (int d = 0; d < t->rank; d++)
			if (!wq_dim_eval(m, t->dim[d], bind, n_sym, &dim[d]))
				wq_fail(WQ_EINPUT, "no size");
		WqTensor *x = own && c->data[i] ? c->data[i] : NULL;
		if (!x) {
			x = wq_tensor_new(m, t->dtype, t->rank, dim);
			for (int64_t k = 0, n = wq_tensor_count(x), had = c->data[i] ? wq_tensor_count(c->data[i]) : 0; k < n; k++)
				if (!c->data[i])
					wq_tensor_set_f(x, k, random_element(r, t->dtype));
				else if (had && wq_dtype_is_float(t->dtype))
					wq_tensor_set_f(x, k, wq_tensor_get_f(c->data[i], k % had));
				else if (had)
					wq_tensor_set_i(x, k, wq_tensor_get_i(c->data[i], k % had));
		}
		in[i] = wq_rt_borrow(x);
	}
	drop_with(a, in, m->main->inputs.n);
	return in;
}

static ApiCall *guarded_call(const Made *c, WqRt **in, Rng *r, WqArena *a)
{
	ApiCall *call = api_call_new(c->m, in, a);
	const WqGraph *g = c->m->main;
	for (int i = 0; i < g->inputs.n; i++) {
		size_t n = wq_tensor_bytes(&in[i]->t);
		void *p = guarded(a, n, wq_dtype_size(in[i]->t.dtype), rng_below(r, 2));
		if (n)
			memcpy(p, in[i]->t.data, n);
		call->in[i] = p;
	}
	for (int i = 0; i < g->outputs.n; i++)
		call->out[i] = guarded(a, call->out_bytes[i], wq_dtype_size(g->outputs.v[i].value->type.dtype), rng_below(r, 2));
	return call;
}

static bool evaluates(const Made *c, WqRt **in, WqRt ***out, WqArena *a)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		*out = run_graph(a, c->m, in, true);
		wq_try_end(&t);
		drop_with(a, *out, c->m->main->outputs.n);
		return true;
	}
	return false;
}

static Verdict compare(const Made *c, WqJit *j, int threads, Rng *r, bool own, WqStr *why, WqArena *a)
{
	WqRt **in = inputs(a, c, r, own), **want;
	bool fine = evaluates(c, in, &want, a);
	ApiCall *call = guarded_call(c, in, r, a);
	int code = api_call_jit(call, j, threads);
	if (!fine) /* what the evaluator refuses must not harm; whether it is refused is the evaluator's own matter */
		return NO_CASE;
	bool empty = true; /* nothing is computed, so sizes need not fit: the code may mind */
	for (int i = 0; i < c->m->main->outputs.n; i++)
		empty &= !wq_tensor_count(&want[i]->t);
	if (code && empty)
		return NO_CASE;
	if (code) {
		wq_str_printf(why, "the code returns %d (%s)", code, api_wqrt_text(code));
		return DIFFERS;
	}
	for (int i = 0; i < c->m->main->outputs.n; i++) {
		WqRt *got = api_call_result(call, i);
		drop_with(a, &got, 1);
		bool none = !wq_tensor_count(&want[i]->t) && !wq_tensor_count(&got->t); /* a Loop that never ran may not know all sizes */
		if (!none && !same_value(want[i], got, c->tol, why)) {
			wq_str_printf(why, " (output %d)", i);
			return DIFFERS;
		}
	}
	return AGREES;
}

static void free_module(void *m) { wq_module_free(m); }

static const WqTarget *cpu_of(uint64_t seed, WqArena *a)
{
#ifdef __x86_64__
	static const char *const cpus[] = { "x86-64", "x86-64-v2", "x86-64-v3" };
	if (seed % 5 < 3 && __builtin_cpu_supports("avx2"))
		return wq_target("x86_64", cpus[seed % 5], NULL, a);
#endif
	(void)seed;
	return wq_target("native", NULL, NULL, a);
}

static void print(const WqModule *m)
{
	WqArena *a = wq_arena_new();
	WqStr text = { .a = a };
	if (verbose) {
		wq_print(m, &text, NULL, 64);
		fprintf(stderr, "%s\n", text.s);
	}
	wq_arena_free(a);
}

static Verdict run_made(Made *c, Case k, WqStr *why, WqArena *a)
{
	enum { ROUNDS = 3 };
	Rng r = { k.seed * 31 + 5 };
	int threads = k.seed % 4 == 1 ? 2 : 1;
	WqCodeOptions o = { .target = cpu_of(k.seed, a), .level = (int)(k.seed % 7 % 4), .threads = threads };
	if (verbose)
		fprintf(stderr, "%s, level %d, %d threads\n", o.target->cpu, o.level, threads);
	print(c->m);
	wq_passes(c->m, "opt");
	print(c->m);
	WqProgram *p = wq_program_new(c->m, &o, a);
	if (verbose && getenv("WQ_LLVM")) {
		size_t n;
		const char *s = cg_emit(p->cg, CG_LLVM, &n);
		fprintf(stderr, "%.*s", (int)n, s);
	}
	WqJit *j = wq_jit_new(p);
	Verdict v = AGREES;
	for (int i = 0; i < ROUNDS && v != DIFFERS; i++)
		v = compare(c, j, threads, &r, i == 0, why, a);
	return v;
}

static Verdict run_case(Case k, WqStr *why)
{
	WqArena *a = wq_arena_new();
	Made c = { 0 };
	WqTry t;
	volatile bool made = false; /* then the arena frees it */
	Verdict v;
	if (WQ_TRY(&t)) {
		make(&c, k);
		wq_defer(a, free_module, c.m);
		made = true;
		v = run_made(&c, k, why, a);
		wq_try_end(&t);
	} else {
		if (verbose)
			fprintf(stderr, "%s\n", t.err.text);
		v = t.err.code == WQ_EUNSUPPORTED ? REFUSED : NO_CASE;
		if (!made && c.m)
			wq_module_free(c.m);
	}
	wq_arena_free(a);
	return v;
}

/* ---- children ----------------------------------------------------------------------------------------------- */

enum { BATCH = 100, TIMEOUT = 120 };

static void child(Case k, int n)
{
	for (int i = 0; i < n; i++, k.seed++) {
		WqArena *a = wq_arena_new();
		WqStr why = { .a = a };
		shared->at = k;
		alarm(TIMEOUT);
		Verdict v = run_case(k, &why);
		shared->count[v]++;
		shared->ran++;
		if (v == DIFFERS) {
			snprintf(shared->why, sizeof shared->why, "%s", why.s);
			_exit(1);
		}
		wq_arena_free(a);
	}
	_exit(0);
}

/* Runs n cases; returns how many, the first that fails included. */
static int run_batch(Case k, int n, bool *failed)
{
	shared->ran = 0;
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0)
		child(k, n);
	int status;
	waitpid(pid, &status, 0);
	*failed = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (!*failed)
		return n;
	if (WIFSIGNALED(status)) {
		shared->ran++;
		printf("FAIL %c%llu: %s\n", shared->at.kind, (unsigned long long)shared->at.seed,
			WTERMSIG(status) == SIGALRM ? "no end" : strsignal(WTERMSIG(status)));
	} else {
		shared->ran += WEXITSTATUS(status) != 1;
		printf("FAIL %c%llu: %s\n", shared->at.kind, (unsigned long long)shared->at.seed,
			WEXITSTATUS(status) == 1 ? shared->why : "the process ended");
	}
	return shared->ran;
}

static int run_from(Case k, int64_t n)
{
	int found = 0;
	while (n > 0) {
		bool failed;
		int ran = run_batch(k, n < BATCH ? (int)n : BATCH, &failed);
		found += failed;
		k.seed += (uint64_t)ran;
		n -= ran;
	}
	return found;
}

static int kept_cases(const char *path)
{
	FILE *f = fopen(path, "r");
	int found = 0;
	char line[256];
	if (!f) {
		fprintf(stderr, "%s is missing\n", path);
		return 1;
	}
	while (fgets(line, sizeof line, f)) {
		Case k = { line[0], strtoull(line + 1, NULL, 10) };
		if (k.kind == 'g' || k.kind == 'o')
			found += run_from(k, 1);
	}
	fclose(f);
	return found;
}

static int for_seconds(uint64_t seed, double seconds, bool calls_only)
{
	struct timespec from, at;
	int found = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		if (!calls_only)
			found += run_from((Case){ 'g', seed }, BATCH / 2);
		found += run_from((Case){ 'o', seed }, BATCH);
		seed += BATCH;
		clock_gettime(CLOCK_MONOTONIC, &at);
	} while ((double)(at.tv_sec - from.tv_sec) < seconds);
	printf("up to seed %llu: ", (unsigned long long)seed);
	return found;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1;
	double seconds = 0;
	int64_t count = 0;
	Case one = { 0 };
	for (int i = 1; i < argc; i++) {
		const char *v = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "-v")) {
			verbose = true;
			continue;
		}
		if (!strcmp(argv[i], "--seed"))
			seed = strtoull(v, NULL, 10);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = atof(v);
		else if (!strcmp(argv[i], "--count"))
			count = strtoll(v, NULL, 10);
		else if (!strcmp(argv[i], "--case"))
			one = (Case){ v[0], strtoull(v + !!*v, NULL, 10) };
		else if (!strcmp(argv[i], "--op"))
			only_op = wq_op_find(v);
		else {
			fprintf(stderr, "random_jit: unknown option %s\n", argv[i]);
			return 1;
		}
		i++;
	}
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	wq_alloc_set_limit((size_t)1 << 30);
	int found;
	if (one.kind)
		found = run_from(one, 1);
	else if (seconds > 0)
		found = for_seconds(seed, seconds, only_op != WQ_OP_NONE);
	else if (count > 0)
		found = (only_op ? 0 : run_from((Case){ 'g', seed }, count)) + run_from((Case){ 'o', seed }, count);
	else
		found = kept_cases("tests/random_jit.cases") + run_from((Case){ 'g', 1 }, 40) + run_from((Case){ 'o', 1 }, 100);
	printf("%d agree, %d are refused, %d are no cases\n", shared->count[AGREES], shared->count[REFUSED], shared->count[NO_CASE]);
	printf("%d passed, %d failed\n", shared->count[AGREES], found);
	return found != 0;
}
