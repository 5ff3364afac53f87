/* eval_inverse.c: Inverse, by elimination in f64 with the largest pivot of each column. A singular matrix gives
 * infinities and NaN. */
#include <math.h>

#include "engine/convert.h"
#include "engine/engine.h"

static void swap_rows(double *m, int64_t n, int64_t a, int64_t b)
{
	for (int64_t j = 0; j < n; j++) {
		double t = m[a * n + j];
		m[a * n + j] = m[b * n + j];
		m[b * n + j] = t;
	}
}

/* row a -= f * row b */
static void subtract(double *m, int64_t n, int64_t a, int64_t b, double f)
{
	for (int64_t j = 0; j < n; j++)
		m[a * n + j] -= f * m[b * n + j];
}

/* Turns m into the identity, and the identity in inv into m's inverse. */
static void invert(double *m, double *inv, int64_t n)
{
	for (int64_t i = 0; i < n * n; i++)
		inv[i] = i % (n + 1) == 0;
	for (int64_t k = 0; k < n; k++) {
		int64_t p = k;
		for (int64_t i = k + 1; i < n; i++)
			p = fabs(m[i * n + k]) > fabs(m[p * n + k]) ? i : p;
		swap_rows(m, n, k, p);
		swap_rows(inv, n, k, p);
		double pivot = m[k * n + k];
		for (int64_t j = 0; j < n; j++) {
			m[k * n + j] /= pivot;
			inv[k * n + j] /= pivot;
		}
		for (int64_t i = 0; i < n; i++) {
			double f = m[i * n + k];
			if (i == k)
				continue;
			subtract(m, n, i, k, f);
			subtract(inv, n, i, k, f);
		}
	}
}

void eval_inverse(WqCall *c)
{
	const WqTensor *x = c->in[0];
	WqTensor *y = &c->out[0];
	int64_t count = wq_tensor_count(x), n = x->dim[x->rank - 1];
	if (count == 0)
		return;
	int64_t each = wq_mul_checked(n, n, "matrix");
	size_t bytes = (size_t)each * wq_dtype_size(x->dtype);
	double *m = WQ_NEW_N(c->tmp, double, each), *inv = WQ_NEW_N(c->tmp, double, each);
	for (int64_t i = 0; i < count / each; i++) {
		wq_convert(WQ_F64, m, x->dtype, (const char *)x->data + (size_t)i * bytes, each, true, 'n');
		invert(m, inv, n);
		wq_convert(y->dtype, (char *)y->data + (size_t)i * bytes, WQ_F64, inv, each, true, 'n');
	}
}
