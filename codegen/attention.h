/* attention.h: inside the emitter of Attention. Two ways to go through it: tiles of queries, whose lanes are queries, so that the
 * softmax never crosses lanes and keys are read as scalars where they lie; and for very few queries rows, whose lanes run along
 * a key. Both keep, for every query, the largest score so far, the sum of exponentials and the sum of values, and go through the keys
 * in blocks.
 */
#ifndef WQ_ATTENTION_H
#define WQ_ATTENTION_H

#include "codegen/rows.h"

/* Sizes that the code is made for, and where in scratch (in elements of arithmetic) its parts lie. */
typedef struct AttendPlan {
	int lanes;         /* of a vector */
	int vectors;       /* of queries in a tile */
	int keys, values;  /* keys and values of a register tile */
	int few;           /* at most so many queries go by rows */
	int64_t block;     /* keys at a time */
	int64_t d, e;      /* at most */
	int64_t heads;     /* of q for one of k, at most */
	bool copied;       /* keys and values are converted, a block at a time */
	bool rows, tiles;  /* which are needed */
	int64_t at_q, at_p, at_o, at_y, at_k, at_v, at_m, at_l; /* tiles: q[d][query], p[key][query], o[e][query], y[query][e] */
	int64_t e_pitch, d_pitch, bytes;
} AttendPlan;

typedef struct Attend {
	const WqNode *n;
	Kg *k;
	Cg *c;
	AttendPlan plan;
	WqDtype dtype;
	CgKind kind;
	CgTensor q, key, v;
	const WqValue *mask, *offsets, *lengths; /* or NULL */
	CgVal batches, heads, groups, S, T, D, E, ratio; /* ratio: heads of q for one of k */
	CgVal scale, nothing; /* nothing: the score of keys that have no elements, 0 times the scale */
	double softcap;
	int64_t window;
	bool causal;
} Attend;

/* The queries at hand. */
typedef struct AttendAt {
	CgVal b, h, g, offset, length; /* length: keys that there are */
} AttendAt;

AttendPlan attend_plan(const WqTarget *t, const WqNode *n);
AttendAt attend_at(const Attend *f, CgVal b, CgVal h);
/* Keys [*lo, *hi) that queries first..last see, all of them together; masks aside. */
void attend_range(const Attend *f, const AttendAt *a, CgVal first, CgVal last, CgVal *lo, CgVal *hi);
CgVal attend_part(const Attend *f, int64_t at); /* a part of scratch */
CgVal attend_load(const Attend *f, CgVal base, CgVal index, int lanes);
void attend_store(const Attend *f, CgVal v, CgVal base, CgVal index);
CgVal attend_elem(const Attend *f, const CgTensor *t, const CgAt *at); /* in arithmetic form */
CgVal attend_cap(const Attend *f, CgVal score);                        /* softcap */
CgVal attend_low(const Attend *f, int lanes);                          /* -inf */
/* What the mask makes of scores at `at` (lanes along axis 3, or a scalar; count as for kg_elem_part). */
CgVal attend_mask(const Attend *f, const CgAt *at, CgVal score, CgVal count);
CgVal attend_safe(const Attend *f, CgVal top); /* what scores are taken relative to: 0 where there is none */

CgVal attend_exp(const Attend *f, CgVal x);    /* of x <= 0: 0 of -inf, NaN of NaN */

void attend_tiles(const Attend *f, CgVal lo, CgVal hi); /* of attend_tile_units */
CgVal attend_tile_units(const Attend *f);
void attend_rows(const Attend *f, CgVal lo, CgVal hi);  /* of groups x batches */

#endif
