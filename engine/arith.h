/* arith.h: the inner loops of products, for every numeric type. A type has an accumulator: itself for floats, an unsigned
 * one of at least 32 bits for integers, so that sums wrap around. f16 and bf16 are widened to f32 first and rounded once. */
#ifndef WQ_ARITH_H
#define WQ_ARITH_H

#include "engine/engine.h"

/* X(enum, element, accumulator) */
#define WQ_ARITH_TYPES(X) \
	X(F32, float, float) X(F64, double, double) \
	X(I8, int8_t, uint32_t) X(U8, uint8_t, uint32_t) X(I16, int16_t, uint32_t) X(U16, uint16_t, uint32_t) \
	X(I32, int32_t, uint32_t) X(U32, uint32_t, uint32_t) X(I64, int64_t, uint64_t) X(U64, uint64_t, uint64_t)

typedef struct WqArith {
	size_t size, acc; /* bytes of an element, of an accumulator */
	/* acc[i * acc_stride] += x[i * x_stride] * *w for i < n */
	void (*axpy)(void *acc, int64_t acc_stride, const void *x, int64_t x_stride, const void *w, int64_t n);
	/* acc[j] = sum over k of a[k] * b[k * ldb + j], j < n */
	void (*row)(void *acc, const void *a, const void *b, int64_t K, int64_t ldb, int64_t n);
	void (*fill)(void *acc, const void *value, int64_t n); /* NULL: zero */
	void (*store)(void *y, const void *acc, int64_t n);
} WqArith;

const WqArith *wq_arith(WqDtype t); /* of a type that computes as itself */

/* Tensors to compute on: those of half types as f32 in c->tmp, others as they are. */
WqDtype wq_wide_type(WqDtype t);
const void *wq_wide_in(WqCall *c, const WqTensor *t); /* NULL for NULL */
void *wq_wide_out(WqCall *c, int i); /* where to compute result i; then */
void wq_wide_done(WqCall *c, int i, const void *wide); /* rounds it into place */

#endif
