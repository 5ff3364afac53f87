/* threads.c: wqrt_pool over POSIX threads.
 *
 * A run is a list of pieces, one for each thread. Every piece has a generation, the last run in which somebody took it;
 * a thread takes its own piece first and the others' afterwards, so that a thread that the system does not run holds
 * nobody up. Between runs the threads watch the pool's generation for SPIN_NS, then sleep. No thread is bound to a CPU.
 */
#include "wqrt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { SPIN_NS = 50000, LINE = 64 };

typedef struct Piece {
	_Alignas(LINE) atomic_uint taken; /* generation */
} Piece;

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what different threads write lies on different lines */
typedef struct Pool {
	wqrt_pool pub; /* first: callers have its address */
	int32_t started;
	pthread_t *thread;
	Piece *piece;
	atomic_bool busy; /* with a run */
	_Alignas(LINE) atomic_uint generation;
	atomic_bool end;
	_Atomic(void (*)(void *, int32_t, int32_t)) fn;
	_Atomic(void *) arg;
	_Alignas(LINE) atomic_int left; /* pieces that are not done */
	_Alignas(LINE) pthread_mutex_t mutex;
	pthread_cond_t work, done;
	atomic_int sleepers; /* on work */
	atomic_bool waiting; /* the caller, on done */
} Pool;

typedef struct Start {
	Pool *pool;
	int32_t index;
} Start;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ volatile("yield");
#endif
}

/* Is the condition true within SPIN_NS? */
#define SPIN_UNTIL(cond)                                                               \
	__extension__({                                                                \
		bool ok_ = false;                                                      \
		for (int64_t end_ = now() + SPIN_NS; !(ok_ = (cond)) && now() < end_;) \
			for (int i_ = 0; i_ < 16 && !(cond); i_++)                     \
				relax();                                               \
		ok_;                                                                   \
	})

/* Takes and does piece i of the generation, unless it is taken. fn and arg are read before: what they were is what they
 * are when the exchange succeeds, since the run cannot end before this piece is done. */
static void do_piece(Pool *p, int32_t i, unsigned generation)
{
	void (*fn)(void *, int32_t, int32_t) = atomic_load(&p->fn);
	void *arg = atomic_load(&p->arg);
	unsigned before = generation - 1;
	if (!atomic_compare_exchange_strong(&p->piece[i].taken, &before, generation))
		return;
	fn(arg, i, p->pub.threads);
	if (atomic_fetch_sub(&p->left, 1) == 1 && atomic_load(&p->waiting)) {
		pthread_mutex_lock(&p->mutex);
		pthread_cond_signal(&p->done);
		pthread_mutex_unlock(&p->mutex);
	}
}

static void do_pieces(Pool *p, int32_t first, unsigned generation)
{
	for (int32_t k = 0; k < p->pub.threads; k++)
		do_piece(p, (first + k) % p->pub.threads, generation);
}

static void sleep_until_work(Pool *p, unsigned seen)
{
	pthread_mutex_lock(&p->mutex);
	atomic_fetch_add(&p->sleepers, 1);
	while (atomic_load(&p->generation) == seen && !atomic_load(&p->end))
		pthread_cond_wait(&p->work, &p->mutex);
	atomic_fetch_sub(&p->sleepers, 1);
	pthread_mutex_unlock(&p->mutex);
}

static void *worker(void *arg)
{
	Start s = *(Start *)arg;
	free(arg);
	Pool *p = s.pool;
	unsigned seen = 0;
	for (;;) {
		if (!SPIN_UNTIL(atomic_load(&p->generation) != seen || atomic_load(&p->end)))
			sleep_until_work(p, seen);
		if (atomic_load(&p->end))
			return NULL;
		seen = atomic_load(&p->generation);
		do_pieces(p, s.index, seen);
	}
}

static void wake(Pool *p)
{
	if (!atomic_load(&p->sleepers))
		return;
	pthread_mutex_lock(&p->mutex);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
}

static void wait_done(Pool *p)
{
	if (SPIN_UNTIL(atomic_load(&p->left) == 0))
		return;
	pthread_mutex_lock(&p->mutex);
	atomic_store(&p->waiting, true);
	while (atomic_load(&p->left))
		pthread_cond_wait(&p->done, &p->mutex);
	atomic_store(&p->waiting, false);
	pthread_mutex_unlock(&p->mutex);
}

/* A second caller at the same time, or a piece that asks for pieces, does them all itself. */
static void run(wqrt_pool *pub, void (*fn)(void *arg, int32_t i, int32_t n), void *arg)
{
	Pool *p = (Pool *)pub;
	int32_t n = pub->threads;
	bool idle = false;
	if (n == 1 || !atomic_compare_exchange_strong(&p->busy, &idle, true)) {
		for (int32_t i = 0; i < n; i++)
			fn(arg, i, n);
		return;
	}
	atomic_store(&p->fn, fn);
	atomic_store(&p->arg, arg);
	atomic_store(&p->left, n);
	unsigned generation = atomic_fetch_add(&p->generation, 1) + 1;
	wake(p);
	do_pieces(p, 0, generation);
	wait_done(p);
	atomic_store(&p->busy, false);
}

static bool start(Pool *p, int32_t index)
{
	Start *s = malloc(sizeof *s);
	if (!s)
		return false;
	*s = (Start){ p, index };
	if (pthread_create(&p->thread[p->started], NULL, worker, s)) {
		free(s);
		return false;
	}
	p->started++;
	return true;
}

wqrt_pool *wqrt_pool_new(int32_t threads)
{
	int32_t n = threads < 1 ? 1 : threads;
	Pool *p = aligned_alloc(LINE, sizeof *p);
	Piece *piece = aligned_alloc(LINE, (size_t)n * sizeof *piece);
	pthread_t *thread = calloc((size_t)n, sizeof *thread);
	if (!p || !piece || !thread) {
		free(p);
		free(piece);
		free(thread);
		return NULL;
	}
	*p = (Pool){ .pub = { n, run }, .thread = thread, .piece = piece };
	for (int32_t i = 0; i < n; i++)
		atomic_init(&piece[i].taken, 0);
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	/* Threads that cannot be had are not missed: others do their pieces. */
	for (int32_t i = 1; i < n && start(p, i); i++)
		;
	return &p->pub;
}

void wqrt_pool_free(wqrt_pool *pool)
{
	Pool *p = (Pool *)pool;
	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	atomic_store(&p->end, true);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
	for (int32_t i = 0; i < p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->mutex);
	free(p->thread);
	free(p->piece);
	free(p);
}
