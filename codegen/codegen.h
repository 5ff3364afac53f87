/* codegen.h: from a graph to code. groups (group.c) -> layout (layout.c) -> places (place.c) -> memory plan (plan.c) -> functions
 * (kernel.c, entry.c) -> LLVM's passes -> an object, or memory of this process (jit.c).
 */
#ifndef WQ_CODEGEN_H
#define WQ_CODEGEN_H

#include "codegen/cg.h"
#include "ir/ir.h"

typedef struct WqCodeOptions {
	const WqTarget *target;
	const char *symbol;  /* prefix of names in the object; NULL: "model" */
	int level;           /* 0 to 3 */
	bool size;           /* -Os */
	int threads;         /* at most so many: kernels share their work over the caller's pool; 1: no pool */
	bool profile;        /* time per kernel, for bench */
	bool weights_inside; /* in the object */
	bool weights_file;   /* in a file of their own, whose hash the descriptor has */
} WqCodeOptions;

typedef struct WqKernelInfo { /* a kernel as it is called: for bench and reports */
	const char *name;  /* of the function: equal kernels share one */
	const char *text;  /* "Conv+Relu 1x64x56x56" */
	const WqNode *root;
	int64_t flops, bytes; /* of one call at the largest sizes: arithmetic, memory read and written */
} WqKernelInfo;

typedef struct WqProgram {
	WqModule *mod;
	WqCodeOptions o;
	WqArena *a;
	Cg *cg;
	int64_t arena_bytes, live_bytes; /* planned; the largest sum of values alive at once */
	int64_t weights_bytes;
	WQ_VEC(WqKernelInfo) kernels;    /* in the order of calls */
	struct WqWeight *weights;        /* a list; weights.c */
	uint64_t weights_hash;
	int64_t stack_bytes;             /* known once emitted; 0 before */
} WqProgram;

/* Everything up to LLVM's optimisation. Fails with WQ_EUNSUPPORTED and a list of what no code can be made for. The module must have gone
 * through the passes before. All lives in `a`. */
WqProgram *wq_program_new(WqModule *m, const WqCodeOptions *o, WqArena *a);
/* What cannot be compiled, a line each ("SequenceAt: sequences (node x)"); true if nothing. */
bool wq_program_supported(WqModule *m, const WqTarget *t, WqStr *why);
/* The bytes of the weights, in order, to sink; one weight at a time is in memory. */
void wq_program_weights(const WqProgram *p, void (*sink)(void *arg, const void *bytes, size_t n), void *arg);

/* ---- what the caller sees (export.c, header.c) ---------------------------------------------------------- */

/* The sizes that a caller gives: symbols that are plain dimensions of inputs, in order; returns how many. */
int wq_program_sizes(const WqProgram *p, int *sym); /* sym: room for all of the module's symbols */
const char *wq_c_name(WqArena *a, const char *name); /* as an identifier of C */
/* The C header of the object. */
void wq_program_header(const WqProgram *p, WqStr *out);

/* ---- memory plan (plan.c): known alone, so that it is tested alone ----------------------------------- */

typedef struct WqPlanItem {
	int64_t bytes;
	int begin, end; /* alive at steps begin..end, both included */
	int64_t offset; /* out */
} WqPlanItem;
/* Gives every item an offset (multiples of align) such that what is alive at once does not overlap. Returns the total; *live is the
 * largest sum alive at one step, which no plan can beat. Deterministic. */
int64_t wq_plan(WqPlanItem *item, int n, int64_t align, int64_t *live, WqArena *a);

/* ---- in this process (jit.c) ---------------------------------------------------------------------------- */

typedef struct WqJit WqJit;
WqJit *wq_jit_new(WqProgram *c); /* the code must be for this CPU; optimises it if nobody has; lives as long as c->a */
/* dims: in, as wqrt_call.in_dims. Returns a WQRT code. Memory for arena and weights is the jit's own. */
int wq_jit_call(WqJit *j, const void *const *in, const int64_t *in_dims, void *const *out, int64_t *out_dims, int threads);
const void *wq_jit_symbol(WqJit *j, const char *name);
/* Nanoseconds each kernel took in the last call (option profile): one per c->kernels. The entry function then calls void wqrt_mark(i32)
 * (cg_extern) with -1 at its start, and with i after kernel i; several marks of one kernel (in a loop) add up. */
const int64_t *wq_jit_profile(const WqJit *j);
const int64_t *wq_jit_counts(const WqJit *j); /* how often each ran: more than once in a Loop */

#endif
