/* engine_bench DIR [RUNS [THREADS [PIPELINE]]]: evaluates DIR/model.onnx on DIR/test_data_set_0 and prints a line of JSON: the median
 * and the least milliseconds of a run, its memory, and the time by operator on standard error. */
#include "engine/engine.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static WqRt **inputs(WqArena *a, const WqGraph *g, const char *dir)
{
	WqRt **in = WQ_NEW_N(a, WqRt *, g->inputs.n + 1);
	for (int i = 0; i < g->inputs.n; i++) {
		const char *path = wq_sprintf(a, "%s/test_data_set_0/input_%d.pb", dir, i);
		if (!access(path, R_OK))
			in[i] = wq_rt_borrow(wq_value_read(a, path, &g->inputs.v[i]->type)->t);
	}
	return in;
}

static double run(WqEngine *e, WqRt *const *in, WqRt **out, int n_out)
{
	double begin = now();
	wq_engine_run(e, in, out);
	double took = now() - begin;
	for (int i = 0; i < n_out; i++)
		wq_rt_unref(out[i]);
	return took;
}

static void bench(const char *dir, int runs, int threads, const char *pipeline)
{
	WqArena *a = wq_arena_new();
	OnnxModel *model = onnx_open(wq_sprintf(a, "%s/model.onnx", dir));
	WqModule *m = onnx_import(model, &(ImportOptions){ .fold = wq_engine_fold });
	if (*pipeline)
		wq_passes(m, pipeline);
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){ .threads = threads, .profile = true });
	int n_out = m->main->outputs.n;
	WqRt **in = inputs(a, m->main, dir), **out = WQ_NEW_N(a, WqRt *, n_out + 1);
	double *took = WQ_NEW_N(a, double, runs);
	for (int i = -2; i < runs; i++) {
		double t = run(e, in, out, n_out);
		if (i >= 0)
			took[i] = t;
	}
	qsort(took, (size_t)runs, sizeof *took, by_size);
	WqEngineStat s = wq_engine_stat(e);
	WqStr profile = { .a = a };
	wq_engine_profile(e, &profile);
	fputs(profile.s, stderr);
	printf("{\"median\": %.4f, \"least\": %.4f, \"peak_bytes\": %lld, \"live_bytes\": %lld}\n", took[runs / 2], took[0],
		(long long)s.peak_bytes, (long long)s.live_set_bytes);
	for (int i = 0; i < m->main->inputs.n; i++)
		wq_rt_unref(in[i]);
	wq_engine_free(e);
	wq_module_free(m);
	onnx_close(model);
	wq_arena_free(a);
}

int main(int argc, char **argv)
{
	WqTry t;
	int runs = argc > 2 ? atoi(argv[2]) : 20, threads = argc > 3 ? atoi(argv[3]) : 1;
	if (argc < 2 || runs < 1) {
		fprintf(stderr, "usage: engine_bench DIR [RUNS [THREADS [PIPELINE]]]\n");
		return 1;
	}
	if (WQ_TRY(&t)) {
		bench(argv[1], runs, threads, argc > 4 ? argv[4] : "");
		wq_try_end(&t);
		return 0;
	}
	fprintf(stderr, "%s\n", t.err.text);
	return 1;
}
