/* eval_matmul.c: MatMul as numpy's matmul, for every numeric type. */
#include "engine/arith.h"

typedef struct Product {
	const WqArith *op;
	const char *a, *b;
	char *y;
	int64_t M, N, K;
	const int64_t *at_a, *at_b; /* by batch: the matrix's number */
} Product;

enum { TILE = 512 }; /* columns at once: their accumulators stay in the cache */

static void rows(void *arg, int64_t begin, int64_t end)
{
	const Product *p = arg;
	const WqArith *op = p->op;
	uint64_t acc[TILE];
	for (int64_t r = begin; r < end; r++) {
		int64_t batch = r / p->M, i = r % p->M;
		const char *a = p->a + (size_t)((p->at_a[batch] * p->M + i) * p->K) * op->size;
		const char *b = p->b + (size_t)(p->at_b[batch] * p->K * p->N) * op->size;
		for (int64_t j = 0; j < p->N; j += TILE) {
			int64_t n = p->N - j < TILE ? p->N - j : TILE;
			op->row(acc, a, b + (size_t)j * op->size, p->K, p->N, n);
			op->store(p->y + (size_t)(r * p->N + j) * op->size, acc, n);
		}
	}
}

/* Which of t's matrices stands at each of the result's batch places. */
static const int64_t *batch_of(WqCall *c, const WqTensor *t, int n_batch, const int64_t *batch)
{
	int64_t count = 1, step[WQ_MAX_RANK] = { 0 }, size = 1;
	int own = t->rank > 2 ? t->rank - 2 : 0;
	for (int d = n_batch - 1; d >= 0; d--) {
		int from = d - (n_batch - own);
		step[d] = from < 0 || t->dim[from] == 1 ? 0 : size;
		size *= from < 0 ? 1 : t->dim[from];
		count *= batch[d];
	}
	int64_t *at = WQ_NEW_N(c->tmp, int64_t, count);
	for (int64_t i = 0; i < count; i++) {
		int64_t rest = i;
		for (int d = n_batch - 1; d >= 0; d--) {
			at[i] += rest % batch[d] * step[d];
			rest /= batch[d];
		}
	}
	return at;
}

void eval_matmul(WqCall *c)
{
	const WqTensor *a = c->in[0], *b = c->in[1], *y = &c->out[0];
	if (wq_tensor_count(y) == 0 || (!c->plain && wq_dnnl_matmul(c)))
		return;
	bool row = a->rank == 1, col = b->rank == 1;
	int n_batch = y->rank - !row - !col;
	Product p = { .op = wq_arith(wq_wide_type(y->dtype)) };
	p.M = row ? 1 : a->dim[a->rank - 2];
	p.N = col ? 1 : b->dim[b->rank - 1];
	p.K = a->dim[a->rank - 1];
	p.a = wq_wide_in(c, a);
	p.b = wq_wide_in(c, b);
	p.at_a = batch_of(c, a, n_batch, y->dim);
	p.at_b = batch_of(c, b, n_batch, y->dim);
	void *to = wq_wide_out(c, 0);
	p.y = to;
	int64_t work = p.N * p.K + 1;
	wq_parallel(c, wq_tensor_count(y) / p.N, (1 << 16) / work + 1, rows, &p);
	wq_wide_done(c, 0, to);
}
