/* jit_pool.c: threads that wait for a share of a kernel's work. The caller takes part as thread 0. Waiting spins a little first: the next
 * kernel usually follows at once.
 */
#include "codegen/jit_pool.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SPINS = 2000 };

typedef struct Pool {
	wqrt_pool base; /* first: what callers hold */
	pthread_t *thread;
	int started;
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	atomic_uint round; /* counts calls; a change wakes */
	atomic_int left;   /* threads that have not finished this round */
	bool quit;
	void (*fn)(void *arg, int32_t i, int32_t n);
	void *arg;
} Pool;

typedef struct Seat {
	Pool *pool;
	int32_t i;
} Seat;

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static void wait_for_round(Pool *p, unsigned seen)
{
	for (int i = 0; i < SPINS && atomic_load(&p->round) == seen; i++)
		pause_a_little();
	pthread_mutex_lock(&p->lock);
	while (atomic_load(&p->round) == seen)
		pthread_cond_wait(&p->wake, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
	Seat *seat = arg;
	Pool *p = seat->pool;
	for (unsigned seen = 0;; seen++) {
		wait_for_round(p, seen);
		if (p->quit)
			return NULL;
		p->fn(p->arg, seat->i, p->base.threads);
		pthread_mutex_lock(&p->lock);
		if (atomic_fetch_sub(&p->left, 1) == 1)
			pthread_cond_signal(&p->done);
		pthread_mutex_unlock(&p->lock);
	}
}

static void start_round(Pool *p)
{
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->left, p->started);
	atomic_fetch_add(&p->round, 1);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static void run(wqrt_pool *base, void (*fn)(void *arg, int32_t i, int32_t n), void *arg)
{
	Pool *p = (Pool *)base;
	p->fn = fn;
	p->arg = arg;
	start_round(p);
	fn(arg, 0, base->threads);
	for (int i = 0; i < SPINS && atomic_load(&p->left) > 0; i++)
		pause_a_little();
	pthread_mutex_lock(&p->lock);
	while (atomic_load(&p->left) > 0)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static void stop(void *arg)
{
	Pool *p = arg;
	p->quit = true;
	start_round(p);
	for (int i = 0; i < p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
}

wqrt_pool *wq_pool_new(int threads, WqArena *a)
{
	Pool *p = WQ_NEW(a, Pool);
	Seat *seats = WQ_NEW_N(a, Seat, threads);
	p->thread = WQ_NEW_N(a, pthread_t, threads);
	p->base.run = run;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->done, NULL);
	wq_defer(a, stop, p);
	for (int i = 1; i < threads; i++) {
		seats[i] = (Seat){p, i};
		if (pthread_create(&p->thread[p->started], NULL, work, &seats[i]))
			break;
		p->started++;
	}
	p->base.threads = p->started + 1;
	return &p->base;
}
