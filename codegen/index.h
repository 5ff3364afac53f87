/* index.h: index arithmetic that the emitters of moving operators share (index.c). */
#ifndef WQ_INDEX_H
#define WQ_INDEX_H

#include "codegen/kernel.h"

/* ---- indices ------------------------------------------------------------------------------------------- */

CgAt ix_zero(Kg *k, int rank); /* all 0, one element */
CgAt ix_one(Kg *k, const CgAt *at, int lane); /* the element of a lane alone */
/* The only element of an operand of one element, of whatever rank. */
CgVal ix_scalar(Kg *k, const WqValue *v);
/* An integer of any width as index type, clamped to what that holds. */
CgVal ix_clamp(Kg *k, CgVal v, bool sign);
CgVal ix_linear(Kg *k, const WqValue *v, const CgAt *at); /* row-major; at's first lane */
CgVal ix_product(Kg *k, const WqValue *v, int from, int to); /* of v's sizes of axes [from, to) */
CgVal ix_mul_sat(Kg *k, CgVal a, CgVal b); /* of two indices >= 0; a large number when it overflows */

/* ---- lanes: for emitters that make one element at a time ------------------------------------------------ */

typedef CgVal IxOne(Kg *k, const WqNode *n, int result, const CgAt *at);
/* at's lanes by calling `one` for each, in a row; rolled: in a loop, for what is rare. */
CgVal ix_lanes(Kg *k, const WqNode *n, int result, const CgAt *at, IxOne *one);
CgVal ix_lanes_rolled(Kg *k, const WqNode *n, int result, const CgAt *at, IxOne *one);

/* ---- numbers -------------------------------------------------------------------------------------------- */

CgVal ix_f64(Kg *k, WqDtype t, CgVal v);       /* register form of a float type (or integers, by value) -> f64 */
CgVal ix_narrowed(Kg *k, WqDtype t, CgVal v);  /* f64 -> register form of a float type, rounded once */
/* May operands of n that are to be one number be more or less? */
bool ix_is_single(const WqValue *v);

/* ---- order ---------------------------------------------------------------------------------------------- */

typedef CgVal IxLess(Kg *k, void *arg, CgVal x, CgVal y); /* i1: does entry x stand before y? */
/* Sorts n entries (numbers of index type) in memory at a, with room for as many at b; equal ones keep their order. Returns where they are
 * then: a or b. */
CgVal ix_sort(Kg *k, CgVal n, CgVal a, CgVal b, IxLess *less, void *arg);
CgVal ix_load(Kg *k, CgVal p, CgVal i); /* entry i of an array of index type */
void ix_store(Kg *k, CgVal v, CgVal p, CgVal i);

/* ---- sizes ---------------------------------------------------------------------------------------------- */

/* Gives the value n (index type or i64, signed) to result `result`'s size along an axis if that is a symbol; below 0 or beyond the index
 * type is KG_EBOUND and becomes 0. */
void ix_bind(Kg *k, const WqNode *n, int result, int axis, CgVal size);
int64_t ix_most(const WqNode *n, WqDim d); /* the largest value a size can have; more than INT32_MAX stands for any */
/* If two sizes differ, the call fails; nothing is emitted where they are known to agree. */
void ix_agree(Kg *k, WqDim a, WqDim b);
void ix_broadcasts(Kg *k, const WqType *x, const WqType *to); /* the same for x's sizes, which are `to`'s or 1; x has no more axes */
int ix_axis(const WqNode *n, int rank); /* the attribute `axis`, not negative */
int ix_choose(const WqNode *n, const char *attr, int count, const char *const *name); /* which of the names an attribute is; fails */


/* ---- places that indices name (emit_gather.c) ------------------------------------------------------------ */

/* Faults if indices of GatherElements and ScatterElements are larger than the operand, where they may not be. */
void ix_fit_elements(Kg *k, const WqNode *n);
/* GatherND, ScatterND: where the block begins that row `row` (its leading indices) of operand 1 names. */
CgAt ix_nd_place(Kg *k, const WqNode *n, int batch, const CgVal *row);

#endif
