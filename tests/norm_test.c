/* norm_test: softmax, norms and attention against their formulas, in every float type. */
#include "tests/eval.h"
#include "tests/test.h"

enum { ROUNDS = 120 };

static WqValue *finish(WqNode *n)
{
	wq_node_finish(n, 1, NULL);
	return n->out[0];
}

/* ---- norms -------------------------------------------------------------------------------------------------- */

typedef struct NormCase {
	WqOp op;
	int axis, scale_rank; /* scale_rank: axes of scale and bias, from the end; -1: none */
	bool ones;            /* their first axis is 1 */
} NormCase;

static double at_broadcast(const WqTensor *t, const WqTensor *x, int64_t i)
{
	int64_t at = 0, step = 1;
	for (int d = x->rank - 1, own = t->rank - 1; own >= 0; d--, own--) {
		at += t->dim[own] == 1 ? 0 : i % x->dim[d] * step;
		i /= x->dim[d];
		step *= t->dim[own];
	}
	return wq_tensor_get_f(t, at);
}

/* Element i of the result by the formula. */
static double naive_norm(const NormCase *k, const WqTensor *x, const WqTensor *scale, const WqTensor *bias, int64_t i)
{
	int64_t n = 1, step = 1;
	for (int d = k->axis; d < x->rank; d++)
		n *= k->op == OP_Softmax && d > k->axis ? 1 : x->dim[d];
	for (int d = k->axis + 1; d < x->rank && k->op == OP_Softmax; d++)
		step *= x->dim[d];
	int64_t first = k->op == OP_Softmax ? i / (n * step) * n * step + i % step : i / n * n;
	double mean = 0, square = 0, sum = 0, v = wq_tensor_get_f(x, i);
	for (int64_t q = 0; q < n; q++)
		mean += wq_tensor_get_f(x, first + q * step) / (double)n;
	if (k->op == OP_RMSNormalization)
		mean = 0;
	for (int64_t q = 0; q < n; q++) {
		double e = wq_tensor_get_f(x, first + q * step);
		square += (e - mean) * (e - mean) / (double)n;
		sum += exp(e);
	}
	if (k->op == OP_Softmax)
		return exp(v) / sum;
	v = (v - mean) / sqrt(square + 1e-5);
	return v * (scale ? at_broadcast(scale, x, i) : 1) + (bias ? at_broadcast(bias, x, i) : 0);
}

static void norm_once(const NormCase *k, WqDtype t, Rng *r)
{
	WqModule *m = wq_module_new("t");
	int64_t dim[] = { 2, 3, 1 + rng_below(r, 5), 1 + rng_below(r, 90) };
	WqTensor *x = random_tensor(m, r, t, 4, dim), *side[2] = { NULL, NULL };
	WqValue *v[3] = { wq_const(m->main, NULL, x), NULL, NULL };
	int n_in = k->op == OP_Softmax ? 1 : k->op == OP_RMSNormalization ? 2 : 3;
	for (int i = 1; i < n_in && k->scale_rank >= 0; i++) {
		int64_t own[4];
		memcpy(own, dim + 4 - k->scale_rank, (size_t)k->scale_rank * sizeof *own);
		own[0] = k->ones ? 1 : own[0];
		side[i - 1] = random_tensor(m, r, t, k->scale_rank, own);
		v[i] = wq_const(m->main, NULL, side[i - 1]);
	}
	WqNode *n = wq_node_new(m->main, k->op, n_in, v);
	wq_set_i(n, "axis", k->axis - (rng_below(r, 2) ? 4 : 0));
	wq_output(m->main, "y", finish(n));
	WqArena *a = wq_arena_new();
	WqRt **out = run_graph(a, m, NULL, false);
	double tol = t == WQ_F16 ? 2e-3 : t == WQ_BF16 ? 2e-2 : t == WQ_F32 ? 2e-6 : 1e-12;
	for (int64_t i = 0; i < wq_tensor_count(x); i++) {
		if (i % 7 && i > 100)
			continue;
		double want = naive_norm(k, x, side[0], side[1], i), got = wq_tensor_get_f(&out[0]->t, i);
		if (fabs(want - got) > tol * (1 + fabs(want))) {
			CHECK_MSG(false, "%s %s axis %d: %.9g, by the formula %.9g", wq_op(k->op)->name, wq_dtype(t)->text, k->axis, got, want);
			break;
		}
	}
	CHECK(true);
	drop_all(out, 1);
	wq_arena_free(a);
	wq_module_free(m);
}

TEST(norms)
{
	static const WqDtype types[] = { WQ_F32, WQ_F64, WQ_F16, WQ_BF16 };
	static const WqOp ops[] = { OP_Softmax, OP_LayerNormalization, OP_RMSNormalization };
	Rng r = { 11 };
	for (int i = 0; i < 300; i++) {
		NormCase k = { ops[i % 3], rng_below(&r, 4), rng_below(&r, 6) - 1, rng_below(&r, 2) };
		k.ones &= k.scale_rank > 0;
		norm_once(&k, types[rng_below(&r, 4)], &r);
	}
}

/* ---- Attention ------------------------------------------------------------------------------------------------ */

typedef struct Att {
	int64_t B, Hq, Hk, Sq, Sk, D, Dv, window, offset[2], len[2];
	bool causal, has_offset, has_len;
	double softcap;
	const WqTensor *q, *k, *v, *mask;
} Att;

static bool sees(const Att *s, int64_t b, int64_t h, int64_t i, int64_t j, double *bias)
{
	int64_t offset = s->has_offset ? s->offset[b] : 0;
	*bias = 0;
	if (s->mask) { /* [Hq, 1, Sk] */
		if (s->mask->dtype == WQ_BOOL && !wq_tensor_get_i(s->mask, h * s->Sk + j))
			return false;
		*bias = s->mask->dtype == WQ_BOOL ? 0 : wq_tensor_get_f(s->mask, h * s->Sk + j);
	}
	return !(s->causal && j > i + offset) && !(s->window >= 0 && j <= i + offset - s->window) && !(s->has_len && j >= s->len[b]);
}

static double naive(const Att *s, int64_t b, int64_t h, int64_t i, int64_t d)
{
	int64_t kv = b * s->Hk + h / (s->Hq / s->Hk);
	double sum = 0, y = 0;
	for (int64_t j = 0; j < s->Sk; j++) {
		double e = 0, bias;
		if (!sees(s, b, h, i, j, &bias))
			continue;
		for (int64_t c = 0; c < s->D; c++)
			e += wq_tensor_get_f(s->q, ((b * s->Hq + h) * s->Sq + i) * s->D + c) * wq_tensor_get_f(s->k, (kv * s->Sk + j) * s->D + c);
		e /= sqrt((double)s->D);
		if (s->softcap > 0)
			e = s->softcap * tanh(e / s->softcap);
		e = exp(e + bias);
		sum += e;
		y += e * wq_tensor_get_f(s->v, (kv * s->Sk + j) * s->Dv + d);
	}
	return sum > 0 ? y / sum : 0;
}

static void attention_once(Rng *r, WqDtype t)
{
	WqModule *m = wq_module_new("t");
	Att s = { .B = 2, .Hk = 1 + rng_below(r, 2), .Sq = 1 + rng_below(r, 4), .Sk = 1 + rng_below(r, 7), .D = 1 + rng_below(r, 40),
		.Dv = 1 + rng_below(r, 5), .window = rng_below(r, 5) - 1, .offset = { rng_below(r, 5) - 2, rng_below(r, 5) - 2 },
		.len = { rng_below(r, 8), rng_below(r, 8) }, .causal = rng_below(r, 2), .has_offset = rng_below(r, 2),
		.has_len = rng_below(r, 2), .softcap = rng_below(r, 2) ? 1.5 : 0 };
	s.Hq = s.Hk * (1 + rng_below(r, 2));
	s.q = random_tensor(m, r, t, 4, (int64_t[]){ s.B, s.Hq, s.Sq, s.D });
	s.k = random_tensor(m, r, t, 4, (int64_t[]){ s.B, s.Hk, s.Sk, s.D });
	s.v = random_tensor(m, r, t, 4, (int64_t[]){ s.B, s.Hk, s.Sk, s.Dv });
	int mask = rng_below(r, 3);
	s.mask = mask ? random_tensor(m, r, mask == 1 ? WQ_BOOL : t, 3, (int64_t[]){ s.Hq, 1, s.Sk }) : NULL;
	WqValue *v[6] = { wq_const(m->main, NULL, s.q), wq_const(m->main, NULL, s.k), wq_const(m->main, NULL, s.v),
		s.mask ? wq_const(m->main, NULL, s.mask) : NULL, s.has_offset ? wq_const_i64s(m->main, 2, s.offset) : NULL,
		s.has_len ? wq_const_i64s(m->main, 2, s.len) : NULL };
	WqNode *n = wq_node_new(m->main, OP_Attention, 6, v);
	wq_set_i(n, "causal", s.causal);
	wq_set_i(n, "window", s.window);
	wq_set_f(n, "softcap", s.softcap);
	wq_output(m->main, "y", finish(n));
	WqArena *a = wq_arena_new();
	WqRt **out = run_graph(a, m, NULL, false);
	double tol = t == WQ_F16 ? 2e-3 : t == WQ_BF16 ? 2e-2 : t == WQ_F32 ? 1e-5 : 1e-12;
	for (int64_t i = 0; i < s.B * s.Hq * s.Sq * s.Dv; i++) {
		int64_t row = i / s.Dv, h = row / s.Sq;
		double want = naive(&s, h / s.Hq, h % s.Hq, row % s.Sq, i % s.Dv), got = wq_tensor_get_f(&out[0]->t, i);
		CHECK_MSG(fabs(want - got) <= tol * (1 + fabs(want)), "Attention %s: %.9g, naively %.9g", wq_dtype(t)->text, got, want);
	}
	drop_all(out, 1);
	wq_arena_free(a);
	wq_module_free(m);
}

TEST(attention)
{
	static const WqDtype types[] = { WQ_F32, WQ_F64, WQ_F16, WQ_BF16 };
	Rng r = { 8 };
	for (int i = 0; i < ROUNDS; i++)
		attention_once(&r, types[i % 4]);
}

TEST_MAIN(TEST_RUN(norms) TEST_RUN(attention))
