/* random_test: random graphs of core operators, evaluated before and after each pass, must agree: to the bit for
 * the passes that promise it, to rounding for the others. random_test [SEED [COUNT]]; a failure prints its seed,
 * the pass, and the graph.
 */
#include "tests/random_graph.h"

/* ---- comparing ------------------------------------------------------------------------------- */

typedef struct Trial {
	uint64_t seed;
	const char *pipeline;
	double tol; /* 0: to the bit */
} Trial;

static void report(const Trial *t, WqModule *m, WqArena *a, const char *why)
{
	WqStr s = { .a = a };
	wq_print(m, &s, NULL, 64);
	fprintf(stderr, "seed %llu, %s: %s\nafter:\n%s", (unsigned long long)t->seed, t->pipeline, why, s.s);
	WqModule *was = random_graph(t->seed, t->tol > 0);
	WqStr w = { .a = a };
	wq_print(was, &w, NULL, 64);
	fprintf(stderr, "before:\n%s", w.s);
	wq_module_free(was);
}

static bool compared(const Trial *t)
{
	WqArena *a = wq_arena_new();
	WqModule *before = random_graph(t->seed, t->tol > 0), *after = random_graph(t->seed, t->tol > 0);
	int n = before->main->outputs.n;
	WqStr why = { .a = a };
	WqPassLog log = { .a = a };
	wq_pipeline_run(after, wq_pipeline_parse(a, t->pipeline), &log);
	WqRt **in = random_inputs(a, before, t->seed);
	WqRt **x = run_graph(a, before, in, true), **y = run_graph(a, after, in, true);
	for (int i = 0; i < n && !why.n; i++)
		same_value(x[i], y[i], t->tol, &why);
	if (log.unsettled && !why.n)
		wq_str_printf(&why, "does not settle");
	if (why.n)
		report(t, after, a, why.s);
	drop_all(x, n);
	drop_all(y, n);
	drop_all(in, before->main->inputs.n);
	wq_module_free(before);
	wq_module_free(after);
	bool ok = !why.n;
	wq_arena_free(a);
	return ok;
}

static bool agrees(const Trial *t)
{
	WqTry e;
	if (WQ_TRY(&e)) {
		bool ok = compared(t);
		wq_try_end(&e);
		return ok;
	}
	fprintf(stderr, "seed %llu, %s: %s\n", (unsigned long long)t->seed, t->pipeline, e.err.text);
	return false;
}

int main(int argc, char **argv)
{
	static const char *const exact[] = { "fold", "dce", "cse", "canon", "algebra", "sequence", "clean" };
	static const char *const rounding[] = { "canon(fast)", "algebra(fast)", "affine",
						"transpose",   "clean,fuse",    "opt" };
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
		 count = argc > 2 ? strtoull(argv[2], NULL, 10) : 300;
	int failed = 0, ran = 0;
	for (uint64_t s = first; s < first + count && failed < 3; s++) {
		for (int i = 0; i < WQ_COUNTOF(exact); i++, ran++)
			failed += !agrees(&(Trial){ s, exact[i], 0 });
		for (int i = 0; i < WQ_COUNTOF(rounding); i++, ran++)
			failed += !agrees(&(Trial){ s, rounding[i], 2e-3 });
	}
	printf("seeds %llu to %llu: %d passed, %d failed\n", (unsigned long long)first,
	       (unsigned long long)(first + count - 1), ran - failed, failed);
	return failed != 0;
}
