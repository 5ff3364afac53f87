/* roofline.c: loops that do nothing but multiply and add, or nothing but read. Each is compiled for several widths of vectors; the CPU
 * says which. All threads run a loop at once, since they share memory and often clocks.
 */
#include "cli/roofline.h"

#include "ir/base.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

typedef struct Work {
	double (*run)(const struct Work *w); /* seconds for `times` rounds */
	int64_t times;
	const char *data; /* `bytes` of it, aligned to 64 */
	int64_t bytes;
	double seconds;
	pthread_t thread;
} Work;

static volatile float sink_f;
static volatile long long sink_i;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the loops ---------------------------------------------------------------------------------- */

/* A round of ADDS independent multiply-adds of vectors: enough of them to cover their latency, few enough for the registers. */
#define LOOPS(name, attribute, BYTES, ADDS) \
	typedef float name##_f __attribute__((vector_size(BYTES))); \
	typedef long long name##_i __attribute__((vector_size(BYTES))); \
	attribute static double name##_flops(const Work *w) \
	{ \
		name##_f sum[ADDS] = { { 0 } }, a = { 0 }, b = { 0 }; \
		float near_one = 0.999f, small = 0.001f; \
		__asm__ volatile("" : "+m"(near_one), "+m"(small)); \
		a += near_one; \
		b += small; \
		double from = now(); \
		for (int64_t t = 0; t < w->times; t++) { \
			_Pragma("GCC unroll 32") \
			for (int i = 0; i < ADDS; i++) \
				sum[i] = sum[i] * a + b; \
		} \
		double took = now() - from; \
		for (int i = 1; i < ADDS; i++) \
			sum[0] += sum[i]; \
		sink_f = sum[0][0]; \
		return took; \
	} \
	attribute static double name##_read(const Work *w) \
	{ \
		name##_i sum[8] = { { 0 } }; \
		double from = now(); \
		for (int64_t t = 0; t < w->times; t++) { \
			const name##_i *p = (const name##_i *)w->data, *end = (const name##_i *)(w->data + w->bytes); \
			for (; p < end; p += 8) { \
				_Pragma("GCC unroll 8") \
				for (int i = 0; i < 8; i++) \
					sum[i] |= p[i]; \
			} \
			__asm__ volatile("" ::: "memory"); \
		} \
		double took = now() - from; \
		for (int i = 1; i < 8; i++) \
			sum[0] |= sum[i]; \
		sink_i = sum[0][0]; \
		return took; \
	} \
	enum { name##_per_round = ADDS * (BYTES) / 4 * 2 };

LOOPS(narrow, , 16, 12)
#ifdef __x86_64__
LOOPS(wide, __attribute__((target("avx2,fma"))), 32, 12)
LOOPS(widest, __attribute__((target("avx512f"))), 64, 24)
#endif

typedef struct Loops {
	double (*flops)(const Work *w), (*read)(const Work *w);
	int per_round;
} Loops;

static Loops loops_of_cpu(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512f"))
		return (Loops){ widest_flops, widest_read, widest_per_round };
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return (Loops){ wide_flops, wide_read, wide_per_round };
#endif
	return (Loops){ narrow_flops, narrow_read, narrow_per_round };
}

/* ---- measuring ------------------------------------------------------------------------------------ */

static void *work(void *arg)
{
	Work *w = arg;
	w->seconds = w->run(w);
	return NULL;
}

/* The slowest thread's seconds. */
static double all_at_once(Work *w, int n)
{
	int started = 1;
	while (started < n && !pthread_create(&w[started].thread, NULL, work, &w[started]))
		started++;
	work(&w[0]);
	double most = w[0].seconds;
	for (int i = 1; i < started; i++) {
		pthread_join(w[i].thread, NULL);
		most = w[i].seconds > most ? w[i].seconds : most;
	}
	if (started < n)
		wq_fail(WQ_EINPUT, "no threads for the measurement of the machine");
	return most;
}

/* Rounds a second, of one thread, while n run: the best of a few tries of some milliseconds each. */
static double rate(Work *w, int n)
{
	enum { TRIES = 5 };
	double best = 0, took = 0;
	int64_t times = 1;
	while ((took = all_at_once(w, n)) < 4e-3) {
		times = took > 1e-4 ? (int64_t)((double)times * 6e-3 / took) + 1 : times * 8;
		for (int i = 0; i < n; i++)
			w[i].times = times;
	}
	for (int i = 0; i < TRIES; i++) {
		double r = (double)times / all_at_once(w, n);
		best = r > best ? r : best;
	}
	return best;
}

static int64_t cache_bytes(int which, int64_t otherwise)
{
	long n = sysconf(which);
	return n > 0 ? n : otherwise;
}

static void measure_read(Roofline *r, const Loops *l, const char *name, int64_t level_bytes, int64_t bytes)
{
	enum { STEP = 512 }; /* what a round of the widest loop reads */
	WqArena *a = wq_arena_new();
	Work *w = WQ_NEW_N(a, Work, r->threads);
	bytes = bytes / STEP * STEP;
	for (int i = 0; i < r->threads; i++) {
		void *data = wq_raw_alloc_dirty((size_t)bytes);
		wq_defer(a, wq_raw_free, data);
		memset(data, 1, (size_t)bytes);
		w[i] = (Work){ .run = l->read, .times = 1, .data = data, .bytes = bytes };
	}
	r->level[r->n].name = name;
	r->level[r->n].bytes = level_bytes;
	r->level[r->n++].read = rate(w, r->threads) * (double)bytes * r->threads;
	wq_arena_free(a);
}

void roofline_measure(Roofline *r, int threads)
{
	Loops l = loops_of_cpu();
	int64_t l1 = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32 << 10), l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512 << 10);
	int64_t l3 = cache_bytes(_SC_LEVEL3_CACHE_SIZE, 0), last = l3 > l2 ? l3 : l2;
	*r = (Roofline){ .threads = threads < 1 ? 1 : threads };
	WqArena *a = wq_arena_new();
	Work *w = WQ_NEW_N(a, Work, r->threads);
	for (int i = 0; i < r->threads; i++)
		w[i] = (Work){ .run = l.flops, .times = 1 };
	r->flops = rate(w, r->threads) * l.per_round * r->threads;
	wq_arena_free(a);
	measure_read(r, &l, "L1", l1, l1 / 2);
	measure_read(r, &l, "L2", l2, l2 / 2);
	if (l3 > l2)
		measure_read(r, &l, "L3", l3 / r->threads, l3 / r->threads / 4);
	measure_read(r, &l, "DRAM", INT64_MAX, 4 * last < 256 << 20 ? 4 * last : 256 << 20);
}

double roofline_seconds(const Roofline *r, int64_t flops, int64_t bytes)
{
	int k = 0;
	while (k < r->n - 1 && r->level[k].bytes * r->threads < bytes)
		k++;
	double compute = (double)flops / r->flops, traffic = (double)bytes / r->level[k].read;
	return compute > traffic ? compute : traffic;
}
