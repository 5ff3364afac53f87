/* ew.h: what the elementwise evaluators share: broadcasting as rows, and 16-bit floats by blocks. */
#ifndef WQ_EW_H
#define WQ_EW_H

#include "engine/engine.h"
#include "engine/vmath.h"

/* Up to three operands broadcast to a result. Axes along which every operand steps alike are merged, so that the last
 * axis is as long as it can be; along it an operand's step is 1 or 0. */
typedef struct EwPlan {
	int n_op, rank;
	int64_t count;
	int64_t dim[WQ_MAX_RANK];
	int64_t step[3][WQ_MAX_RANK]; /* in elements */
} EwPlan;

void ew_plan(EwPlan *p, const WqTensor *out, int n_op, const WqTensor *const *op);

/* One row or a part of one: n results from element `at` on, operands from off[] on. */
typedef void EwRow(void *arg, const int64_t *off, int64_t at, int64_t n);
void ew_walk(const EwPlan *p, int64_t begin, int64_t end, EwRow *row, void *arg);
static inline bool ew_moves(const EwPlan *p, int k)
{
	return p->rank > 0 && p->step[k][p->rank - 1] != 0;
}

/* Short rows with one operand repeating from row to row (a bias of three channels): lays that operand out over many
 * rows in tmp, so that the plan's rows become long. data: the operands' addresses, size: of their elements. */
void ew_repeat(EwPlan *p, const void **data, size_t size, WqArena *tmp);

/* All rows, on the call's threads; `cost` is roughly nanoseconds per element. */
void ew_run(const WqCall *c, const EwPlan *p, double cost, EwRow *row, void *arg);

/* Work space of a block, for types that are computed in another type. */
#define EW_BLOCK 512

/* f16 and bf16 (and f32, plainly) to and from f32. */
void ew_load_f32(WqDtype t, const void *src, int64_t at, float *dst, int64_t n);
void ew_store_f32(WqDtype t, void *dst, int64_t at, const float *src, int64_t n);
static inline bool ew_is_half(WqDtype t)
{
	return t == WQ_F16 || t == WQ_BF16;
}

#endif
