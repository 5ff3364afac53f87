/* infer.h: what shape rules share. */
#ifndef WQ_INFER_H
#define WQ_INFER_H

#include "ir/ir.h"

/* Every rule, by ops.def. */
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) void infer(WqInfer *x);
#include "ir/ops.def"
#undef OP

/* Two sizes that must be equal; a must be 1 or equal to b; b must divide a. Fails (`what`: the fault) if numbers tell otherwise; what is not known is noted in x->needs. */
void wq_infer_equal(const WqInfer *x, WqDim a, WqDim b, const char *what);
void wq_infer_spreads(const WqInfer *x, WqDim a, WqDim b, const char *what);
void wq_infer_divides(const WqInfer *x, WqDim a, WqDim b, const char *what);
/* The broadcast of two dims (fails when two numbers disagree), and of two shapes (out->rank -1 if one is not known). */
WqDim wq_infer_bcast(const WqInfer *x, WqDim a, WqDim b, int axis);
void wq_infer_bcast_shape(const WqInfer *x, const WqType *a, const WqType *b, WqType *out);
/* What two types have in common: sizes that differ are not known; fails if they are of different kinds or element
 * types. */
WqType wq_infer_unify(const WqInfer *x, const WqType *a, const WqType *b);
const char *wq_infer_kind(const WqType *t); /* for messages: "a sequence", "f32" */
/* A dtype attribute, checked. */
WqDtype wq_infer_dtype_attr(const WqInfer *x, const char *name);

/* infer_move.c: an axis normalised, or a failure. */
int wq_infer_axis(const WqInfer *x, int64_t axis, int rank);
/* Elements of a scalar or vector operand: 0 when absent, -1 when not known. */
int64_t wq_infer_len(const WqInfer *x, int operand);
/* Element i of an integer operand: true and a number in *v, or false and an expression in *d (WQ_DIM_UNKNOWN if not
 * even that). */
bool wq_infer_int(const WqInfer *x, int operand, int64_t i, int64_t *v, WqDim *d);
/* Makes a result's type one of unknown dims (rank -1: of unknown rank); fails above WQ_MAX_RANK. */
void wq_infer_unknown(WqInfer *x, int result, WqDtype t, int rank);
/* Room for result 0's elements as expressions (x->out_sym), if it is small and of integers; NULL if not. *n: how many.
 */
WqDim *wq_infer_room(const WqInfer *x, int64_t *n);
/* Element i of an operand as an expression; false if not known (or if there are too many to be of interest). */
bool wq_infer_known(const WqInfer *x, int operand, int64_t i, WqDim *d);

/* A slice's bounds as ONNX clamps them: afterwards elements start, start + step, ... before (or above) end, and how
 * many. */
void wq_slice_clamp(int64_t dim, int64_t step, int64_t *start, int64_t *end);
int64_t wq_slice_count(int64_t start, int64_t end, int64_t step);

#endif
