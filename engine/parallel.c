/* parallel.c: loops over threads. The chunks depend on n and grain only, so that results do not depend on the threads. */
#include "engine/engine.h"

enum { MAX_CHUNKS = 256 };

typedef struct Loop {
	void (*fn)(void *arg, int64_t begin, int64_t end);
	void *arg;
	int64_t n, chunk;
	int64_t failed; /* the first chunk that failed, or -1 */
	WqError err;
} Loop;

static void run_chunk(const Loop *l, int64_t i)
{
	int64_t begin = i * l->chunk, end = begin + l->chunk;
	l->fn(l->arg, begin, end < l->n ? end : l->n);
}

#ifdef _OPENMP
/* An error must not leave the parallel region: it is kept, the one of the lowest chunk wins, as without threads. */
static void try_chunk(Loop *l, int64_t i)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		run_chunk(l, i);
		wq_try_end(&t);
		return;
	}
#pragma omp critical(wq_parallel_error)
	if (l->failed < 0 || i < l->failed) {
		l->failed = i;
		l->err = t.err;
	}
}

static void run_threads(Loop *l, int64_t n_chunk, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(dynamic)
	for (int64_t i = 0; i < n_chunk; i++)
		try_chunk(l, i);
	if (l->failed >= 0)
		wq_fail(l->err.code, "%s", l->err.text);
}
#endif

void wq_parallel(const WqCall *c, int64_t n, int64_t grain, void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
	if (n <= 0)
		return;
	int64_t chunk = (n + MAX_CHUNKS - 1) / MAX_CHUNKS;
	if (chunk < grain)
		chunk = grain;
	Loop l = { fn, arg, n, chunk, -1, { 0 } };
	int64_t n_chunk = (n + chunk - 1) / chunk;
#ifdef _OPENMP
	int threads = c ? c->threads : 1;
	if (threads > n_chunk)
		threads = (int)n_chunk;
	if (threads > 1) {
		run_threads(&l, n_chunk, threads);
		return;
	}
#else
	(void)c;
#endif
	for (int64_t i = 0; i < n_chunk; i++)
		run_chunk(&l, i);
}
