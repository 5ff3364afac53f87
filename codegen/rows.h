/* rows.h: a tensor seen as rows along some of its axes: what reductions, softmax and norms share.
 *
 * The vector axis is the one that lies densest in memory. If it belongs to the row, a step takes `lanes` neighbours of one row, and
 * what was accumulated is folded at the row's end. If it is kept, a step takes one element of each of `lanes` rows side by side
 * ("across"), and nothing is ever folded. Emitters are written once for both.
 */
#ifndef WQ_ROWS_H
#define WQ_ROWS_H

#include "codegen/kernel.h"

enum { ROWS_UNROLL = 4 }; /* accumulators at most: hides the latency of an addition */

typedef struct Rows {
	Kg *k;
	Cg *c;
	const WqValue *x;
	int rank, n_kept;
	int order[WQ_MAX_RANK]; /* kept axes, then the row's; the densest last in both */
	CgVal dim[WQ_MAX_RANK];
	int lanes;   /* of a whole step */
	bool across; /* lanes belong to different rows */
	CgAt row;    /* the row (or rows) at hand: kept axes' indices; across: with lanes */
} Rows;

/* A step of a walk along a row. */
typedef struct RowsAt {
	CgAt at;
	CgVal slot;  /* its place in scratch, in elements: whole vectors have room there */
	CgVal count; /* NULL: every lane is an element; else the first `count` are */
	int u;       /* accumulator to use */
} RowsAt;

typedef struct RowsAcc {
	int n;
	CgVar v[ROWS_UNROLL];
} RowsAcc;

typedef CgVal RowsOp(Cg *c, CgVal a, CgVal b);
typedef void RowsStep(const Rows *r, const RowsAt *s, void *arg);

/* Rows of x along `axes` (a bit each), accumulated in `kind`. */
void rows_init(Rows *r, Kg *k, const WqValue *x, uint32_t axes, CgKind kind);
/* body for every row (or `lanes` of them); r->row says which. Shared among threads. */
void rows_each(Rows *r, void (*body)(Rows *r, void *arg), void *arg);
/* step for every element of the current row; up to `unroll` steps follow each other without depending on each other. */
void rows_walk(const Rows *r, int unroll, RowsStep *step, void *arg);
CgVal rows_length(const Rows *r); /* elements of a row */
int rows_width(const Rows *r);    /* lanes of accumulators */

/* x's element at a step in arithmetic form; lanes that are no elements are undefined. */
CgVal rows_elem(const Rows *r, const WqValue *x, const RowsAt *s);
void rows_put_f(const Rows *r, const WqNode *n, const RowsAt *s, CgVal v);

RowsAcc rows_acc(const Rows *r, int n, CgVal init); /* init: a scalar */
/* Joins v to the step's accumulator; lanes that are no elements count as `none`, a scalar. */
void rows_join(const Rows *r, RowsAcc *a, const RowsAt *s, RowsOp *op, CgVal v, CgVal none);
CgVal rows_total(const Rows *r, RowsAcc *a, RowsOp *op); /* of the row: a scalar, or across: a lane a row */
CgVal rows_fold(Cg *c, CgVal v, RowsOp *op);             /* all lanes to one */
CgVal rows_mask(const Rows *r, const RowsAt *s);         /* which of rows_width lanes are elements; NULL: all */
CgVal rows_widen(const Rows *r, CgVal v);                /* to rows_width lanes: the rest is undefined */

/* Scratch for the rows at hand at the largest sizes; as many side by side as it has room for; a step's values there. */
int64_t rows_scratch(const WqTarget *t, const WqNode *n, uint32_t axes, int kind_bytes);
void rows_fit_scratch(Rows *r, const WqNode *n, uint32_t axes, int kind_bytes);
CgVal rows_load(const Rows *r, CgKind kind, const RowsAt *s);
void rows_store(const Rows *r, const RowsAt *s, CgVal v);

uint32_t rows_axes_from(const WqNode *n, int rank); /* attribute axis and all after it */
int64_t rows_mul(int64_t a, int64_t b);             /* of sizes, saturating at WQ_DIM_INF */
CgVal rows_whole(Cg *c, CgVal n, int64_t step); /* the largest multiple of step that is not above n */

#endif
