/* infer.h: what shape rules share. */
#ifndef WQ_INFER_H
#define WQ_INFER_H

#include "ir/ir.h"

/* Every rule, by ops.def. */
#define OP(name, sig, mask, flags, attrs, infer, eval) __attribute__((weak)) void infer(WqInfer *x);
#include "ir/ops.def"
#undef OP

/* The broadcast of two dims (fails when two numbers disagree), and of two shapes (out->rank -1 if one is not known). */
WqDim wq_infer_bcast(const WqInfer *x, WqDim a, WqDim b, int axis);
void wq_infer_bcast_shape(const WqInfer *x, const WqType *a, const WqType *b, WqType *out);
/* What two types have in common: sizes that differ are not known; fails if they are of different kinds or element types. */
WqType wq_infer_unify(const WqInfer *x, const WqType *a, const WqType *b);
const char *wq_infer_kind(const WqType *t); /* for messages: "a sequence", "f32" */
/* A dtype attribute, checked. */
WqDtype wq_infer_dtype_attr(const WqInfer *x, const char *name);

#endif
