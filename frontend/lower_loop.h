/* lower_loop.h: a Loop that a lowering writes step by step: recurrences over time. */
#ifndef WQ_LOWER_LOOP_H
#define WQ_LOWER_LOOP_H

#include "frontend/lower.h"

enum { LO_MAX_STATES = 4 };

typedef struct LoLoop {
	WqGraph *outer, *body; /* body NULL: there is one step, and it stands in the outer graph */
	WqDim steps;
	int n; /* states */
	WqValue *init[LO_MAX_STATES];
	WqValue *i;                    /* the step, rank 0, i64 */
	WqValue *state[LO_MAX_STATES]; /* in this step */
} LoLoop;

/* Until lo_loop_end everything is built in the body. */
void lo_loop_begin(Lower *L, LoLoop *loop, WqDim steps, int n, WqValue *const *init);
/* next: the n states after the step, of the types of init. scan: what a step yields. out: the last states, then each
 * scan stacked along a new first axis. */
void lo_loop_end(Lower *L, LoLoop *loop, WqValue *const *next, int n_scan, WqValue *const *scan, WqValue **out);

#endif
