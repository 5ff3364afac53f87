/* eval_random.c: RandomUniform, RandomNormal: element i is a hash of the seed and i, so that the same seed gives the
 * same numbers on any number of threads. Without a seed, the node's number in its graph is one. Also Det. */
#include "engine/convert.h"
#include "engine/ew.h"
#include "engine/move.h"

typedef struct Random {
	WqTensor *y;
	uint64_t seed;
	bool normal;
	double a, b; /* low and range, or mean and scale */
	int bits;    /* of a uniform number's fraction: what the type holds, so that 1 is not reached by rounding */
} Random;

static uint64_t mix(uint64_t v)
{
	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9;
	v ^= v >> 27;
	v *= 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static double uniform(const Random *r, uint64_t i, int bits)
{
	uint64_t h = mix(mix(r->seed ^ i * 0x9e3779b97f4a7c15) + i);
	return ldexp((double)(h >> (64 - bits)), -bits);
}

static double draw(const Random *r, uint64_t i)
{
	if (!r->normal)
		return r->a + r->b * uniform(r, i, r->bits);
	double u = 1 - uniform(r, 2 * i, 53), v = uniform(r, 2 * i + 1, 53);
	return r->a + r->b * sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static void random_part(void *arg, int64_t begin, int64_t end)
{
	const Random *r = arg;
	double v[EW_BLOCK];
	for (int64_t at = begin; at < end; at += EW_BLOCK) {
		int64_t n = end - at < EW_BLOCK ? end - at : EW_BLOCK;
		for (int64_t i = 0; i < n; i++)
			v[i] = draw(r, (uint64_t)(at + i));
		wq_convert(r->y->dtype, (char *)r->y->data + (size_t)at * wq_dtype_size(r->y->dtype), WQ_F64, v, n,
			   true, 'n');
	}
}

void eval_random(WqCall *c)
{
	const WqNode *n = c->node;
	WqDtype t = c->out[0].dtype;
	Random r = {.y = &c->out[0], .normal = n->op == OP_RandomNormal};
	double seed = wq_attr_find(n, "seed") ? wq_attr_f(n, "seed") : (double)n->id;
	memcpy(&r.seed, &seed, 8);
	r.seed = mix(r.seed + 0x9e3779b97f4a7c15);
	r.a = wq_attr_f(n, r.normal ? "mean" : "low");
	r.b = r.normal ? wq_attr_f(n, "scale") : wq_attr_f(n, "high") - r.a;
	r.bits = t == WQ_F64 ? 53 : t == WQ_F32 ? 24 : t == WQ_F16 ? 11 : 8;
	wq_parallel(c, wq_tensor_count(r.y), 1024, random_part, &r);
}

/* ---- Det ------------------------------------------------------------------------------------- */

/* By elimination with the largest pivot of each column; destroys m. */
static double determinant(double *m, int64_t n)
{
	double det = 1;
	for (int64_t k = 0; k < n; k++) {
		int64_t p = k;
		for (int64_t i = k + 1; i < n; i++)
			p = fabs(m[i * n + k]) > fabs(m[p * n + k]) ? i : p;
		double pivot = m[p * n + k];
		det *= p == k ? pivot : -pivot;
		if (pivot == 0)
			return det;
		for (int64_t j = k; j < n; j++) {
			double t = m[k * n + j];
			m[k * n + j] = m[p * n + j];
			m[p * n + j] = t;
		}
		for (int64_t i = k + 1; i < n; i++) {
			double f = m[i * n + k] / pivot;
			for (int64_t j = k; j < n; j++)
				m[i * n + j] -= f * m[k * n + j];
		}
	}
	return det;
}

void eval_det(WqCall *c)
{
	const WqTensor *x = c->in[0];
	WqTensor *y = &c->out[0];
	int64_t n = x->dim[x->rank - 1], size = wq_mul_checked(n, n, "matrix");
	double *m = WQ_NEW_N(c->tmp, double, size + 1);
	for (int64_t i = 0, count = wq_tensor_count(y); i < count; i++) {
		wq_convert(WQ_F64, m, x->dtype, (const char *)x->data + (size_t)(i * size) * wq_dtype_size(x->dtype),
			   size, true, 'n');
		double d = determinant(m, n);
		wq_convert(y->dtype, (char *)y->data + (size_t)i * wq_dtype_size(y->dtype), WQ_F64, &d, 1, true, 'n');
	}
}
