#include "engine/arith.h"
#include "engine/vmath.h"

#define LOOPS(NAME, T, A) \
	WQ_CLONES static void axpy_##NAME(void *acc, int64_t as, const void *x, int64_t xs, const void *w, int64_t n) \
	{ \
		A *restrict y = acc; \
		const T *restrict p = x; \
		A f = (A)*(const T *)w; \
		if (as == 1 && xs == 1) \
			for (int64_t i = 0; i < n; i++) \
				y[i] += f * (A)p[i]; \
		else \
			for (int64_t i = 0; i < n; i++) \
				y[i * as] += f * (A)p[i * xs]; \
	} \
	WQ_CLONES static void row_##NAME(void *acc, const void *a, const void *b, int64_t K, int64_t ldb, int64_t n) \
	{ \
		A *restrict y = acc; \
		const T *restrict l = a, *restrict r = b; \
		for (int64_t j = 0; j < n; j++) \
			y[j] = 0; \
		for (int64_t k = 0; k < K; k++) \
			for (int64_t j = 0; j < n; j++) \
				y[j] += (A)l[k] * (A)r[k * ldb + j]; \
	} \
	static void fill_##NAME(void *acc, const void *value, int64_t n) \
	{ \
		A *y = acc, v = value ? (A)*(const T *)value : 0; \
		for (int64_t i = 0; i < n; i++) \
			y[i] = v; \
	} \
	static void store_##NAME(void *y, const void *acc, int64_t n) \
	{ \
		T *restrict to = y; \
		const A *restrict from = acc; \
		for (int64_t i = 0; i < n; i++) \
			to[i] = (T)from[i]; \
	}
WQ_ARITH_TYPES(LOOPS)

const WqArith *wq_arith(WqDtype t)
{
	static const WqArith table[WQ_NUM_DTYPES] = {
#define ROW(NAME, T, A) [WQ_##NAME] = { sizeof(T), sizeof(A), axpy_##NAME, row_##NAME, fill_##NAME, store_##NAME },
		WQ_ARITH_TYPES(ROW)
	};
	WQ_ASSERT(wq_dtype_valid((int)t) && table[t].size);
	return &table[t];
}

/* ---- half types -------------------------------------------------------------------------------------- */

static bool half(WqDtype t) { return t == WQ_F16 || t == WQ_BF16; }

WqDtype wq_wide_type(WqDtype t) { return half(t) ? WQ_F32 : t; }

const void *wq_wide_in(WqCall *c, const WqTensor *t)
{
	if (!t || !half(t->dtype))
		return t ? t->data : NULL;
	int64_t n = wq_tensor_count(t);
	float *f = WQ_NEW_N(c->tmp, float, n);
	const uint16_t *h = t->data;
	for (int64_t i = 0; i < n; i++)
		f[i] = t->dtype == WQ_F16 ? vm_f16_load(h[i]) : vm_bf16_load(h[i]);
	return f;
}

void *wq_wide_out(WqCall *c, int i)
{
	WqTensor *t = &c->out[i];
	return half(t->dtype) ? WQ_NEW_N(c->tmp, float, wq_tensor_count(t)) : t->data;
}

void wq_wide_done(WqCall *c, int i, const void *wide)
{
	const WqTensor *t = &c->out[i];
	if (!half(t->dtype))
		return;
	const float *f = wide;
	uint16_t *h = t->data;
	int64_t n = wq_tensor_count(t);
	for (int64_t k = 0; k < n; k++)
		h[k] = t->dtype == WQ_F16 ? vm_f16_store(f[k]) : vm_bf16_store(f[k]);
}
