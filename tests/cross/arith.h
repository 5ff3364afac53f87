/* arith.h: sums over the results of arithmetic that a CPU may lack, on patterns from a seed; the same on every CPU. */
#include <stdint.h>

enum { ARITH_SUMS = 24 };

static uint64_t arith_next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Exponents near each other or far apart, at the ends of the range, infinite. */
static double arith_f64(uint64_t *seed)
{
	uint64_t r = arith_next(seed), e = r % 3 == 0   ? r >> 54 & 2047
					   : r % 3 == 1 ? 1000 + (r >> 54 & 63)
							: (r >> 54 & 3) * 682 + (r >> 58 & 1);
	union {
		uint64_t b;
		double f;
	} u = { (r & 0x800fffffffffffffu) | e << 52 };
	return u.f;
}

static float arith_f32(uint64_t *seed)
{
	uint32_t r = (uint32_t)arith_next(seed), e = r % 3 == 0   ? r >> 23 & 255
						     : r % 3 == 1 ? 110 + (r >> 23 & 31)
								  : (r >> 23 & 3) * 85;
	union {
		uint32_t b;
		float f;
	} u = { (r & 0x807fffffu) | e << 23 };
	return u.f;
}

static void arith_sum(uint64_t *sum, uint64_t v) { *sum = (*sum ^ v) * 0x100000001b3u; }

static void arith_sum_f64(uint64_t *sum, double v)
{
	union {
		double f;
		uint64_t b;
	} u = { v };
	arith_sum(sum, v == v ? u.b : 1); /* NaN differ among CPUs */
}

static void arith_sum_f32(uint64_t *sum, float v)
{
	union {
		float f;
		uint32_t b;
	} u = { v };
	arith_sum(sum, v == v ? u.b : 1);
}

/* The same expressions for each float type; conversions where C defines them. */
#define ARITH_FLOATS(s, f, a, b)                                                                               \
	f(s, (a) + (b));                                                                                       \
	f((s) + 1, (a) - (b));                                                                                 \
	f((s) + 2, (a) * (b));                                                                                 \
	f((s) + 3, (a) / (b));                                                                                 \
	arith_sum((s) + 4, (uint64_t)(((a) == (b)) | ((a) < (b)) << 1 | ((a) <= (b)) << 2 | ((a) > (b)) << 3 | \
				      ((a) >= (b)) << 4 | ((a) != (b)) << 5));                                 \
	arith_sum((s) + 5, (a) > -2e9f && (a) < 2e9f ? (uint64_t)(int32_t)(a) : 0);                            \
	arith_sum((s) + 5, (a) > -1 && (a) < 4e9f ? (uint32_t)(a) : 0);                                        \
	arith_sum((s) + 6, (a) > -9e18f && (a) < 9e18f ? (uint64_t)(int64_t)(a) : 0);                          \
	arith_sum((s) + 6, (a) > -1 && (a) < 18e18f ? (uint64_t)(a) : 0);

static void arith_integers(uint64_t *sum, uint64_t n, uint64_t d)
{
	uint32_t a = (uint32_t)n, b = (uint32_t)d | 1;
	d |= 1;
	arith_sum(sum, n / d + n % d);
	arith_sum(sum + 1, (uint64_t)((int64_t)n / ((int64_t)d >> 1 | 1) + (int64_t)n % ((int64_t)d >> 1 | 1)));
	arith_sum(sum + 2,
		  a / b + a % b + (uint32_t)((int32_t)a / ((int32_t)b >> 1 | 1) + (int32_t)a % ((int32_t)b >> 1 | 1)));
	arith_sum(sum + 3, n * d);
	arith_sum(sum + 4, n << (d & 63) ^ n >> (d & 63) ^ (uint64_t)((int64_t)n >> (d & 63)));
}

static void arith(int n, uint64_t sum[ARITH_SUMS])
{
	uint64_t seed = 1;
	for (int i = 0; i < ARITH_SUMS; i++)
		sum[i] = 0;
	for (int i = 0; i < n; i++) {
		volatile float a = arith_f32(&seed), b = arith_f32(&seed);
		volatile double c = arith_f64(&seed), d = arith_f64(&seed);
		ARITH_FLOATS(sum, arith_sum_f32, a, b)
		ARITH_FLOATS(sum + 7, arith_sum_f64, c, d)
		arith_sum_f64(sum + 14, a);
		arith_sum_f32(sum + 15, (float)c);
		volatile uint64_t x = arith_next(&seed), y = arith_next(&seed);
		x >>= y & 63;
		y >>= y >> 6 & 63;
		arith_integers(sum + 16, x, y);
		arith_sum_f32(sum + 21, (float)x + (float)(int64_t)y + (float)(int32_t)x + (float)(uint32_t)y);
		arith_sum_f64(sum + 22, (double)x + (double)(int64_t)y + (double)(int32_t)x + (double)(uint32_t)y);
	}
}
