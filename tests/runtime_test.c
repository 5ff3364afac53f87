/* The runtime's arithmetic against this CPU's: special values in all pairs, and random ones. The files are compiled
 * here, as 64-bit code; cross_test does the same on the CPUs that they are for. */
#include "tests/test.h"

#include <math.h>
#include <pthread.h>

#include "wqrt.h"

/* NOLINTBEGIN(bugprone-suspicious-include) */
#define memcpy rt_memcpy
#define memmove rt_memmove
#define memset rt_memset
#define memcmp rt_memcmp
#include "runtime/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef RT
#include "runtime/int64.c"
#undef RT
#define sqrtf rt_sqrtf
#define sqrt rt_sqrt
#include "runtime/softfloat.c"
#undef sqrtf
#undef sqrt
/* NOLINTEND(bugprone-suspicious-include) */

enum { RANDOM = 1000000 };

static uint64_t seed = 1;
static uint64_t rnd(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* ---- floats --------------------------------------------------------------------------------------------- */

/* Exponents at both ends, in the middle and random; fractions of few ones, of few zeros, and random. */
static uint64_t pattern(int width, int frac)
{
	uint64_t r = rnd(), fraction = rnd() & ((1ull << frac) - 1), top = (1ull << (width - 1 - frac)) - 1, e;
	switch (r & 7) {
	case 0:
		e = r >> 8 & 3;
		break;
	case 1:
		e = top - (r >> 8 & 3);
		break;
	case 2:
		e = top / 2 + (r >> 8 & 63) - 32;
		break;
	default:
		e = r >> 8;
		break;
	}
	switch (r >> 3 & 3) {
	case 0:
		fraction &= rnd(), fraction &= rnd();
		break;
	case 1:
		fraction |= rnd(), fraction |= rnd(), fraction &= (1ull << frac) - 1;
		break;
	case 2:
		fraction = r >> 40 & 1 ? 0 : fraction >> (r >> 41 & 15);
		break;
	default:
		break;
	}
	return (r >> 63) << (width - 1) | (e & top) << frac | fraction;
}

static const uint64_t special64[] = {
	0, 1, 2, 3, 0x000fffffffffffff, 0x0010000000000000,
	0x0010000000000001, 0x001fffffffffffff, 0x3fefffffffffffff, 0x3ff0000000000000, 0x3ff0000000000001, 0x3ff8000000000000,
	0x4000000000000000, 0x41dfffffffc00000, 0x41e0000000000000, 0x41efffffffe00000, 0x41f0000000000000, 0x43dfffffffffffff,
	0x43e0000000000000, 0x43efffffffffffff, 0x43f0000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x36a0000000000000,
	0x3690000000000000, 0x3690000000000001, 0x380fffffffffffff, 0x7fe0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000,
	0x7ff8000000000000, 0x7ff0000000000001, 0x7fffffffffffffff,
};
static const uint32_t special32[] = {
	0, 1, 2, 3, 0x007fffff, 0x00800000, 0x00800001, 0x00ffffff, 0x3f7fffff,
	0x3f800000, 0x3f800001, 0x3fc00000, 0x40000000, 0x4effffff, 0x4f000000, 0x4f7fffff, 0x4f800000, 0x5effffff,
	0x5f000000, 0x5f7fffff, 0x5f800000, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7f800001, 0x7fffffff,
};

/* Equal bits, or both NaN, then quiet. */
static void same(uint64_t got, uint64_t want, int width, int frac, const char *what, uint64_t a, uint64_t b)
{
	uint64_t top = (1ull << (width - 1 - frac)) - 1, inf = top << frac, magnitude = (1ull << (width - 1)) - 1;
	bool nan = (want & magnitude) > inf,
	     ok = nan ? (got & magnitude) > inf && (got >> (frac - 1) & 1) : got == want;
	CHECK_MSG(ok, "%s(%#llx, %#llx) is %#llx, expected %#llx", what, (unsigned long long)a, (unsigned long long)b,
		  (unsigned long long)got, (unsigned long long)want);
}

/* Out of range is undefined in C: the nearest here. */
#define CLAMPED(I, lo, hi, v) (isnan(v) ? 0 : (v) <= (double)(lo) ? (lo) : (v) >= (double)(hi) ? (hi) : (I)(v))

#define FLOAT_TESTS(T, U, W, F, P, p, fsqrt)                                                                          \
	static void P##_pair(U x, U y)                                                                                \
	{                                                                                                             \
		volatile T a = P##_value(x), b = P##_value(y);                                                        \
		same(P##_bits(__add##p##3(a, b)), P##_bits(a + b), W, F, #P " add", x, y);                            \
		same(P##_bits(__sub##p##3(a, b)), P##_bits(a - b), W, F, #P " sub", x, y);                            \
		same(P##_bits(__mul##p##3(a, b)), P##_bits(a *b), W, F, #P " mul", x, y);                             \
		same(P##_bits(__div##p##3(a, b)), P##_bits(a / b), W, F, #P " div", x, y);                            \
		int got = (__eq##p##2(a, b) == 0) | (__ne##p##2(a, b) != 0) << 1 | (__lt##p##2(a, b) < 0) << 2 |      \
			  (__le##p##2(a, b) <= 0) << 3 | (__gt##p##2(a, b) > 0) << 4 | (__ge##p##2(a, b) >= 0) << 5 | \
			  (__unord##p##2(a, b) != 0) << 6;                                                            \
		int want = (a == b) | (a != b) << 1 | (a < b) << 2 | (a <= b) << 3 | (a > b) << 4 | (a >= b) << 5 |   \
			   !!isunordered(a, b) << 6;                                                                  \
		CHECK_MSG(got == want, #P " compares %#llx, %#llx: %#x, expected %#x", (unsigned long long)x,         \
			  (unsigned long long)y, got, want);                                                          \
	}                                                                                                             \
	static void P##_one(U x)                                                                                      \
	{                                                                                                             \
		volatile T a = P##_value(x);                                                                          \
		same(P##_bits(rt_##fsqrt(a)), P##_bits((fsqrt)(a)), W, F, #P " sqrt", x, 0);                          \
		CHECK_EQ(__fix##p##si(a), CLAMPED(int32_t, INT32_MIN, INT32_MAX, a));                                 \
		CHECK_EQ(__fixuns##p##si(a), CLAMPED(uint32_t, 0u, UINT32_MAX, a));                                   \
		CHECK_EQ(__fix##p##di(a), CLAMPED(int64_t, INT64_MIN, INT64_MAX, a));                                 \
		CHECK_EQ(__fixuns##p##di(a), CLAMPED(uint64_t, 0ull, UINT64_MAX, a));                                 \
	}                                                                                                             \
	static void P##_integer(uint64_t v)                                                                           \
	{                                                                                                             \
		same(P##_bits(__floatsi##p((int32_t)v)), P##_bits((T)(int32_t)v), W, F, #P " of int32", v, 0);        \
		same(P##_bits(__floatunsi##p((uint32_t)v)), P##_bits((T)(uint32_t)v), W, F, #P " of uint32", v, 0);   \
		same(P##_bits(__floatdi##p((int64_t)v)), P##_bits((T)(int64_t)v), W, F, #P " of int64", v, 0);        \
		same(P##_bits(__floatundi##p(v)), P##_bits((T)v), W, F, #P " of uint64", v, 0);                       \
	}                                                                                                             \
	TEST(P##_specials)                                                                                            \
	{                                                                                                             \
		const U sign = (U)1 << (W - 1);                                                                       \
		for (int i = 0; i < WQ_COUNTOF(special##W); i++) {                                                    \
			P##_one(special##W[i]);                                                                       \
			P##_one(special##W[i] | sign);                                                                \
			for (int j = 0; j < WQ_COUNTOF(special##W); j++)                                              \
				for (int s = 0; s < 4; s++)                                                           \
					P##_pair(special##W[i] | (s & 1 ? sign : 0),                                  \
						 special##W[j] | (s & 2 ? sign : 0));                                 \
		}                                                                                                     \
	}                                                                                                             \
	TEST(P##_random)                                                                                              \
	{                                                                                                             \
		for (int i = 0; i < RANDOM; i++) {                                                                    \
			U x = (U)pattern(W, F), y = (U)pattern(W, F);                                                 \
			P##_pair(x, y);                                                                               \
			P##_pair(x, (U)(x + (rnd() & 7) - 4)); /* cancellation */                                     \
			P##_one(x);                                                                                   \
			P##_integer(rnd() >> (rnd() & 63));                                                           \
		}                                                                                                     \
	}
FLOAT_TESTS(float, uint32_t, 32, 23, f32, sf, sqrtf)
FLOAT_TESTS(double, uint64_t, 64, 52, f64, df, sqrt)

TEST(between_floats)
{
	for (int i = 0; i < 2 * RANDOM; i++) {
		uint64_t d = pattern(64, 52);
		if (i & 1) /* within f32's range, near its halves */
			d = f64_bits((double)f32_value((uint32_t)pattern(32, 23))) + (rnd() & 3) - 1 +
			    (rnd() & 1 ? 0x10000000 : 0);
		uint32_t f = (uint32_t)pattern(32, 23);
		same(f32_bits(__truncdfsf2(f64_value(d))), f32_bits((float)f64_value(d)), 32, 23, "f32 of f64", d, 0);
		same(f64_bits(__extendsfdf2(f32_value(f))), f64_bits((double)f32_value(f)), 64, 52, "f64 of f32", f, 0);
	}
}

/* ---- integers -------------------------------------------------------------------------------------------- */

static void divisions(uint64_t n, uint64_t d)
{
	uint64_t r;
	CHECK_EQ(__udivdi3(n, d), n / d);
	CHECK_EQ(__umoddi3(n, d), n % d);
	CHECK_EQ(__udivmoddi4(n, d, &r), n / d);
	CHECK_EQ(r, n % d);
	if (!((int64_t)n == INT64_MIN && (int64_t)d == -1)) {
		CHECK_EQ(__divdi3((int64_t)n, (int64_t)d), (int64_t)n / (int64_t)d);
		CHECK_EQ(__moddi3((int64_t)n, (int64_t)d), (int64_t)n % (int64_t)d);
	}
	uint32_t a = (uint32_t)n, b = (uint32_t)d;
	if (b) {
		CHECK_EQ(__udivsi3(a, b), a / b);
		CHECK_EQ(__umodsi3(a, b), a % b);
	}
	if (b && !((int32_t)a == INT32_MIN && (int32_t)b == -1)) {
		CHECK_EQ(__divsi3((int32_t)a, (int32_t)b), (int32_t)a / (int32_t)b);
		CHECK_EQ(__modsi3((int32_t)a, (int32_t)b), (int32_t)a % (int32_t)b);
	}
}

TEST(integers)
{
	for (int i = 0; i < RANDOM; i++) {
		uint64_t n = rnd() >> (rnd() & 63), d = rnd() >> (rnd() & 63);
		int by = (int)(rnd() & 63);
		divisions(n, d ? d : 1);
		divisions(-n, d ? d : 1);
		divisions(n, d ? -d : 1);
		CHECK_EQ(__muldi3(n, d), n * d);
		CHECK_EQ(__ashldi3(n, by), n << by);
		CHECK_EQ(__lshrdi3(-n, by), -n >> by);
		CHECK_EQ(__ashrdi3((int64_t)-n, by), (int64_t)-n >> by);
		CHECK_EQ(__clzdi2(n), n ? __builtin_clzll(n) : 64);
		CHECK_EQ(__clzsi2((uint32_t)n), (uint32_t)n ? __builtin_clz((uint32_t)n) : 32);
	}
	divisions(INT64_MIN, 1);
	divisions(UINT64_MAX, UINT64_MAX);
	divisions(UINT64_MAX, 1ull << 32);
	divisions(UINT64_MAX << 32, UINT32_MAX);
	CHECK_EQ(__udivdi3(5, 0), 0);
	CHECK_EQ(__umoddi3(5, 0), 5);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

TEST(memory)
{
	unsigned char a[200], b[200], want[200];
	for (int i = 0; i < 100000; i++) {
		size_t from = rnd() % 40, to = rnd() % 40, n = rnd() % 150;
		for (int k = 0; k < 200; k++)
			a[k] = b[k] = want[k] = (unsigned char)rnd();
		memmove(want + to, want + from, n);
		CHECK(rt_memmove(a + to, a + from, n) == a + to && !memcmp(a, want, sizeof a));
		memcpy(want, b, sizeof b);
		memcpy(want + to, a + from, n);
		CHECK(rt_memcpy(b + to, a + from, n) == b + to && !memcmp(b, want, sizeof b));
		memset(want + to, (int)from * 9, n);
		CHECK(rt_memset(b + to, (int)from * 9, n) == b + to && !memcmp(b, want, sizeof b));
		int got = rt_memcmp(a + from, b + to, n), real = memcmp(a + from, b + to, n);
		CHECK((got > 0) - (got < 0) == (real > 0) - (real < 0));
		CHECK(rt_memcmp(want, b, sizeof b) == 0);
	}
}

/* ---- the pool --------------------------------------------------------------------------------------------- */

typedef struct Sum {
	wqrt_pool *pool;
	_Atomic int64_t sum, calls;
	bool nest;
} Sum;

static void add_piece(void *arg, int32_t i, int32_t n)
{
	Sum *s = arg;
	CHECK(i >= 0 && i < n);
	s->sum += i + 1;
	s->calls++;
	if (s->nest) {
		Sum inner = { .pool = s->pool };
		s->pool->run(s->pool, add_piece, &inner);
		CHECK_EQ(inner.calls, n);
	}
}

static void *runs(void *arg)
{
	wqrt_pool *p = arg;
	for (int i = 0; i < 2000; i++) {
		Sum s = { .pool = p, .nest = i % 100 == 0 };
		p->run(p, add_piece, &s);
		CHECK_EQ(s.calls, p->threads);
		CHECK_EQ(s.sum, (int64_t)p->threads * (p->threads + 1) / 2);
	}
	return NULL;
}

TEST(pool)
{
	for (int n = 1; n <= 7; n++) {
		wqrt_pool *p = wqrt_pool_new(n);
		CHECK_EQ(p->threads, n);
		runs(p);
		struct timespec pause = { .tv_nsec = 2000000 }; /* they go to sleep, and wake */
		nanosleep(&pause, NULL);
		runs(p);
		pthread_t other;
		CHECK(!pthread_create(&other, NULL, runs, p));
		runs(p);
		pthread_join(other, NULL);
		wqrt_pool_free(p);
	}
	wqrt_pool *p = wqrt_pool_new(-3);
	CHECK_EQ(p->threads, 1);
	wqrt_pool_free(p);
	wqrt_pool_free(NULL);
}

TEST_MAIN(TEST_RUN(f32_specials) TEST_RUN(f64_specials) TEST_RUN(f32_random) TEST_RUN(f64_random)
		  TEST_RUN(between_floats) TEST_RUN(integers) TEST_RUN(memory) TEST_RUN(pool))
