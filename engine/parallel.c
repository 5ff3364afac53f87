/* parallel.c: loops over threads. The chunks depend on n and grain only, so that results do not depend on the threads.
 *
 * One pool of sleeping threads serves the process. A loop inside a loop, or while another engine has the pool, runs on its
 * caller's thread alone: the results are the same.
 */
#include "engine/engine.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_CHUNKS = 256, MAX_WORKERS = 255, SPINS = 1000 };

typedef struct Loop {
	void (*fn)(void *arg, int64_t begin, int64_t end);
	void *arg;
	int64_t n, chunk, n_chunk;
	atomic_llong next;
	int64_t failed; /* the first chunk that failed, or -1 */
	WqError *err;   /* of that one */
} Loop;

static struct Pool {
	pthread_mutex_t busy; /* held by the loop that has the pool */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake, done;
	Loop *loop;
	int workers, seats; /* threads there are; that may still join the loop */
	atomic_int running; /* that have joined and not left */
	atomic_uint round;  /* counts loops */
} pool = { .busy = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER };

static _Thread_local bool inside; /* this thread runs a chunk */

static void run_chunk(const Loop *l, int64_t i)
{
	int64_t begin = i * l->chunk, end = begin + l->chunk;
	l->fn(l->arg, begin, end < l->n ? end : l->n);
}

/* An error must not leave the thread: it is kept; that of the lowest chunk wins, as without threads. */
static void try_chunk(Loop *l, int64_t i)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		run_chunk(l, i);
		wq_try_end(&t);
		return;
	}
	pthread_mutex_lock(&pool.lock);
	if (l->failed < 0 || i < l->failed) {
		l->failed = i;
		*l->err = t.err;
	}
	pthread_mutex_unlock(&pool.lock);
}

static void work(Loop *l)
{
	inside = true;
	for (int64_t i; (i = atomic_fetch_add(&l->next, 1)) < l->n_chunk;)
		try_chunk(l, i);
	inside = false;
}

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static void *worker(void *arg)
{
	unsigned seen = 0;
	for (;;) {
		for (int i = 0; i < SPINS && atomic_load(&pool.round) == seen; i++)
			pause_a_little();
		pthread_mutex_lock(&pool.lock);
		while (!pool.loop || pool.seats == 0 || atomic_load(&pool.round) == seen)
			pthread_cond_wait(&pool.wake, &pool.lock);
		seen = atomic_load(&pool.round);
		Loop *l = pool.loop;
		pool.seats--;
		atomic_fetch_add(&pool.running, 1);
		pthread_mutex_unlock(&pool.lock);
		work(l);
		pthread_mutex_lock(&pool.lock);
		if (atomic_fetch_sub(&pool.running, 1) == 1)
			pthread_cond_signal(&pool.done);
		pthread_mutex_unlock(&pool.lock);
	}
	return arg;
}

/* A child process has none of the threads. */
static void after_fork(void)
{
	pthread_mutex_init(&pool.busy, NULL);
	pthread_mutex_init(&pool.lock, NULL);
	pthread_cond_init(&pool.wake, NULL);
	pthread_cond_init(&pool.done, NULL);
	pool.workers = pool.seats = 0;
	pool.loop = NULL;
	atomic_store(&pool.running, 0);
	inside = false;
}

static void at_start(void) { pthread_atfork(NULL, NULL, after_fork); }

/* With pool.lock held: as many threads as wanted, or as there can be. */
static void hire(int wanted)
{
	pthread_attr_t a;
	if (wanted > MAX_WORKERS)
		wanted = MAX_WORKERS;
	if (pool.workers >= wanted || pthread_attr_init(&a))
		return;
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	for (pthread_t t; pool.workers < wanted && !pthread_create(&t, &a, worker, NULL);)
		pool.workers++;
	pthread_attr_destroy(&a);
}

/* False if the pool is not free. */
static bool run_threads(Loop *l, int threads)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, at_start);
	if (inside || pthread_mutex_trylock(&pool.busy))
		return false;
	pthread_mutex_lock(&pool.lock);
	hire(threads - 1);
	pool.loop = l;
	pool.seats = threads - 1;
	atomic_fetch_add(&pool.round, 1);
	pthread_cond_broadcast(&pool.wake);
	pthread_mutex_unlock(&pool.lock);
	work(l);
	for (int i = 0; i < SPINS && atomic_load(&pool.running) > 0; i++)
		pause_a_little();
	pthread_mutex_lock(&pool.lock);
	pool.loop = NULL;
	pool.seats = 0;
	while (atomic_load(&pool.running) > 0)
		pthread_cond_wait(&pool.done, &pool.lock);
	pthread_mutex_unlock(&pool.lock);
	pthread_mutex_unlock(&pool.busy);
	return true;
}

void wq_parallel(const WqCall *c, int64_t n, int64_t grain, void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
	if (n <= 0)
		return;
	int64_t chunk = (n + MAX_CHUNKS - 1) / MAX_CHUNKS;
	if (chunk < grain)
		chunk = grain;
	WqError err;
	err.code = WQ_OK;
	Loop l = { .fn = fn, .arg = arg, .n = n, .chunk = chunk, .n_chunk = (n + chunk - 1) / chunk, .failed = -1, .err = &err };
	int threads = c ? c->threads : 1;
	if (threads > l.n_chunk)
		threads = (int)l.n_chunk;
	if (threads > 1 && run_threads(&l, threads)) {
		if (l.failed >= 0)
			wq_fail(err.code, "%s", err.text);
		return;
	}
	for (int64_t i = 0; i < l.n_chunk; i++)
		run_chunk(&l, i);
}
