/* move.h: copying elements whatever they are. */
#ifndef WQ_MOVE_H
#define WQ_MOVE_H

#include "engine/engine.h"

/* dst (contiguous, of shape dim) from src, stepping by step[i] elements along axis i; steps may be 0 or negative. src
 * is the first element's address. Elements of 1, 2, 4, 8 or 16 bytes. Threads are used for large copies (c NULL: none).
 */
void wq_move(const WqCall *c, size_t size, void *dst, const void *src, int rank, const int64_t *dim,
	     const int64_t *step);

/* Steps of a contiguous tensor. */
void wq_steps(int rank, const int64_t *dim, int64_t *step);

/* dst[i] = v for n elements of that size. */
void wq_fill(size_t size, void *dst, const void *v, int64_t n);

static inline int64_t wq_product(const int64_t *dim, int begin, int end)
{
	int64_t n = 1;
	for (int i = begin; i < end; i++)
		n *= dim[i];
	return n;
}

/* An axis attribute as an index (the shape rule has checked it). */
static inline int wq_call_axis(const WqCall *c, int rank)
{
	int64_t a = wq_attr_i(c->node, "axis");
	return (int)(a < 0 ? a + rank : a);
}

/* Memory of a call that is too large for c->tmp; gone with it. Contents undefined. */
void *wq_call_scratch(const WqCall *c, int64_t count, size_t size);

/* An operand's elements as indices into n entries: negative ones count from the end; fails if one is out of range. In
 * c->tmp. */
int64_t *wq_call_indices(const WqCall *c, int operand, int64_t n);

#endif
