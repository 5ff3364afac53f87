/* eval_attention.c: softmax(scale * q k^T, capped, masked) v, a row of q at a time. Keys that a row may not see are left out
 * of its sums; a row that sees none is zero. */
#include "engine/arith.h"
#include "engine/vmath.h"

typedef struct Attend {
	const void *q, *k, *v, *mask;
	void *y;
	const WqTensor *mask_shape;
	bool bool_mask, causal;
	int64_t B, Hq, Hk, Sq, Sk, D, Dv;
	int64_t mask_step[4]; /* elements to go on by along B, Hq, Sq, Sk */
	const int64_t *offset, *kv_len; /* per batch, NULL: 0 and Sk */
	int64_t window;
	double scale, softcap;
} Attend;

enum { LANES = 16 };

#define ATTEND(NAME, T, EXP, TANH) \
	/* In lanes, so that the order of the sum is fixed and the compiler may use vectors. */ \
	WQ_INLINE T dot_##NAME(const T *a, const T *b, int64_t n) \
	{ \
		T lane[LANES] = { 0 }, sum = 0; \
		int64_t i = 0; \
		for (; i + LANES <= n; i += LANES) \
			for (int l = 0; l < LANES; l++) \
				lane[l] += a[i + l] * b[i + l]; \
		for (; i < n; i++) \
			sum += a[i] * b[i]; \
		for (int l = 0; l < LANES; l++) \
			sum += lane[l]; \
		return sum; \
	} \
	/* Scores of keys lo..hi-1; returns the largest. */ \
	WQ_INLINE T scores_##NAME(const Attend *s, const T *q, const T *k, int64_t at, int64_t lo, int64_t hi, T *p) \
	{ \
		T top = -(T)INFINITY; \
		for (int64_t j = lo; j < hi; j++) { \
			T e = dot_##NAME(q, k + j * s->D, s->D) * (T)s->scale; \
			if (s->softcap > 0) \
				e = (T)s->softcap * TANH(e / (T)s->softcap); \
			int64_t m = at + j * s->mask_step[3]; \
			if (s->mask && !s->bool_mask) \
				e += ((const T *)s->mask)[m]; \
			else if (s->mask && !((const uint8_t *)s->mask)[m]) \
				e = -(T)INFINITY; \
			p[j] = e; \
			top = e > top || e != e ? e : top; \
		} \
		return top; \
	} \
	WQ_CLONES static void row_##NAME(const Attend *s, int64_t b, int64_t h, int64_t i, int64_t lo, int64_t hi, T *p) \
	{ \
		int64_t kv = b * s->Hk + h / (s->Hq / s->Hk); \
		const T *q = (const T *)s->q + ((b * s->Hq + h) * s->Sq + i) * s->D; \
		const T *k = (const T *)s->k + kv * s->Sk * s->D, *v = (const T *)s->v + kv * s->Sk * s->Dv; \
		T *y = (T *)s->y + ((b * s->Hq + h) * s->Sq + i) * s->Dv; \
		int64_t at = b * s->mask_step[0] + h * s->mask_step[1] + i * s->mask_step[2]; \
		T top = scores_##NAME(s, q, k, at, lo, hi, p), sum = 0; \
		for (int64_t d = 0; d < s->Dv; d++) \
			y[d] = 0; \
		if (top == -(T)INFINITY) \
			return; \
		for (int64_t j = lo; j < hi; j++) \
			p[j] = EXP(p[j] - top); \
		for (int64_t j = lo; j < hi; j++) \
			sum += p[j]; \
		for (int64_t j = lo; j < hi; j++) { \
			T f = p[j] / sum; \
			for (int64_t d = 0; d < s->Dv && f != 0; d++) \
				y[d] += f * v[j * s->Dv + d]; \
		} \
	} \
	static void rows_##NAME(void *arg, int64_t begin, int64_t end) \
	{ \
		const Attend *s = arg; \
		T *p = wq_raw_alloc_dirty((size_t)s->Sk * sizeof *p); \
		for (int64_t r = begin; r < end; r++) { \
			int64_t i = r % s->Sq, h = r / s->Sq % s->Hq, b = r / s->Sq / s->Hq, lo, hi; \
			visible(s, b, i, &lo, &hi); \
			row_##NAME(s, b, h, i, lo, hi, p); \
		} \
		wq_raw_free(p); \
	}

/* Keys [lo, hi) that query i of batch b may see, masks aside. Numbers of the caller's are clamped before they are added. */
static void visible(const Attend *s, int64_t b, int64_t i, int64_t *lo, int64_t *hi)
{
	int64_t bound = s->Sk + s->Sq, offset = s->offset ? s->offset[b] : 0;
	offset = offset > bound ? bound : offset < -bound ? -bound : offset;
	*lo = 0;
	*hi = s->Sk;
	if (s->kv_len && s->kv_len[b] < *hi)
		*hi = s->kv_len[b];
	if (s->causal && i + offset + 1 < *hi)
		*hi = i + offset + 1;
	if (s->window >= 0 && s->window < 2 * bound && i + offset - s->window + 1 > 0)
		*lo = i + offset - s->window + 1;
	if (*hi < *lo)
		*hi = *lo = 0;
}

ATTEND(f32, float, vm_exp, tanhf)
ATTEND(f64, double, exp, tanh)

/* An i64 operand with one number, or one per batch, as one per batch. */
static const int64_t *per_batch(WqCall *c, int operand, int64_t B)
{
	const WqTensor *t = operand < c->n_in ? c->in[operand] : NULL;
	if (!t)
		return NULL;
	int64_t n = wq_tensor_count(t), *v = WQ_NEW_N(c->tmp, int64_t, B);
	for (int64_t b = 0; b < B; b++)
		v[b] = wq_tensor_get_i(t, n == 1 ? 0 : b);
	return v;
}

static void take_mask(WqCall *c, Attend *s)
{
	const WqTensor *m = c->n_in > 3 ? c->in[3] : NULL;
	int64_t step = 1;
	if (!m)
		return;
	s->bool_mask = m->dtype == WQ_BOOL;
	s->mask = wq_wide_in(c, m);
	for (int d = 3; d >= 4 - m->rank; d--) {
		int64_t n = m->dim[d - (4 - m->rank)];
		s->mask_step[d] = n == 1 ? 0 : step;
		step *= n;
	}
}

void eval_attention(WqCall *c)
{
	const WqTensor *q = c->in[0], *k = c->in[1], *v = c->in[2];
	if (wq_tensor_count(&c->out[0]) == 0)
		return;
	Attend s = { .B = q->dim[0], .Hq = q->dim[1], .Hk = k->dim[1], .Sq = q->dim[2], .Sk = k->dim[2], .D = q->dim[3],
		.Dv = v->dim[3] };
	s.q = wq_wide_in(c, q);
	s.k = wq_wide_in(c, k);
	s.v = wq_wide_in(c, v);
	s.scale = wq_attr_f(c->node, "scale");
	if (s.scale == 0)
		s.scale = 1 / sqrt((double)s.D);
	s.softcap = wq_attr_f(c->node, "softcap");
	s.causal = wq_attr_i(c->node, "causal");
	s.window = wq_attr_i(c->node, "window");
	s.offset = per_batch(c, 4, s.B);
	s.kv_len = per_batch(c, 5, s.B);
	take_mask(c, &s);
	s.y = wq_wide_out(c, 0);
	int64_t work = s.Sk * (s.D + s.Dv) + 1;
	wq_parallel(c, s.B * s.Hq * s.Sq, (1 << 15) / work + 1, q->dtype == WQ_F64 ? rows_f64 : rows_f32, &s);
	wq_wide_done(c, 0, s.y);
}
