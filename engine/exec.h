/* exec.h: inside the engine. A graph made ready: where every value stands, when it dies, what each node's call looks like. */
#ifndef WQ_EXEC_H
#define WQ_EXEC_H

#include "engine/engine.h"

struct WqBuf {
	int refs;
	bool counted; /* in WqMemStat */
	bool in_set;  /* in the run's live set */
	int slots;    /* of the running engine that hold it */
	size_t bytes;
	void *data;
};

void wq_buf_unref(WqBuf *b);
WqRt *wq_rt_view(WqRt *of, int rank, const int64_t *dim); /* the same bytes under another shape */

typedef struct Bind { /* a symbol that result (or input) `value` defines by its dimension `axis` */
	int value, axis, sym;
} Bind;

/* A node's place in its graph. A node is never active twice at once, so its call lives here. */
typedef struct Step {
	const WqNode *node;
	WqCall call;
	int *in, *out;   /* slots of the operands and results; -1: absent */
	int n_dead;
	int *dead;       /* slots that nobody needs after this step */
	bool *dying;     /* operand i is among them: its memory may take the result */
	int n_bind;
	Bind *bind;
	struct Plan *body; /* n_body */
	WqInfer infer;
	WqTensor *seen;  /* operands as a channels-last call sees them; NULL until needed */
	WqNode shadow;   /* the node as such a call sees it */
	WqAttr shadow_attr;
	WqType *types;   /* of the operands, for infer */
	void *cache;
	int64_t calls;
	double seconds;
	struct Step *up; /* the active step that this one runs inside */
	int64_t limit;   /* bytes that its results may take (folding); 0: any */
} Step;

typedef struct Plan {
	const WqGraph *graph;
	int n_step, n_dead, n_bind;
	Step *step;
	int *in, *out; /* slots of the graph's inputs and outputs */
	int *dead;     /* inputs that nobody reads, outputs when they have been handed over */
	Bind *bind;
} Plan;

/* Every call that an evaluator sees is the member of a step. */
static inline Step *wq_step_of(const WqCall *c) { return (Step *)((char *)(uintptr_t)c - offsetof(Step, call)); }

/* ---- layouts (layout.c) ---- */

/* A new reference to v's data in the other layout (the same memory where the two agree). */
WqRt *wq_layout_convert(const WqCall *c, WqRt *v);
/* Before a step's shape rule: brings the operands to a layout that the operator takes. True: it runs on channels-last data, and
 * wq_layout_enter and _leave put the evaluator's view of operands and result in place and set the result's layout. */
bool wq_layout_begin(Step *s);
void wq_layout_enter(Step *s);
void wq_layout_leave(Step *s);
/* Operand i of the call in this layout from now on (exec.c: other users of the value see it so, too). */
void wq_layout_operand(WqCall *c, int i, bool last);

/* What stands in a slot, and until when: filled in while planning. */
typedef struct Slot {
	const WqValue *value;
	int last; /* the last step of the value's own graph that needs it; -1: none */
	bool kept; /* an output of its graph */
} Slot;

typedef WQ_VEC(Slot) Slots;

/* Lays out g and what is nested in it. All graphs of a module share one row of slots, for none is active twice at once. */
void wq_engine_plan(WqArena *a, const WqGraph *g, Plan *main, Slots *slots);
void wq_step_init(WqArena *a, Step *s, const WqNode *n, int n_out);
/* One call of s, whose operands are in call.vin: results in call.vout. */
void wq_step_eval(Step *s);
void wq_step_drop(Step *s); /* what the call held; results stay */

#endif
