/* pass.h: passes rewrite a module; a pipeline names passes in order.
 *
 *   fold,dce,cse                  one after the other
 *   fold(limit=64K),dce           options, by the pass's schema; a bare key is key=1
 *   (canon,algebra,dce)*          a group, repeated until it changes nothing
 *   clean                         a named pipeline
 *
 * passes.def has a line per pass and per named pipeline.
 */
#ifndef WQ_PASS_H
#define WQ_PASS_H

#include "ir/ir.h"

/* ---- writing a pass -------------------------------------------------------------------------- */

typedef struct WqPassRun WqPassRun; /* one run of a pass: its options, its memory */

/* Rewrites m and returns the number of changes: 0 exactly when the module is as it was. */
typedef int WqPassFn(WqModule *m, const WqPassRun *r);

WqArena *wq_pass_arena(const WqPassRun *r); /* gone after the run */
int64_t wq_pass_i(const WqPassRun *r, const char *name); /* of the option */
double wq_pass_f(const WqPassRun *r, const char *name);
const char *wq_pass_s(const WqPassRun *r, const char *name);

#define PASS(name, function, help, options) WqPassFn function;
#define PIPELINE(name, text, help)
#include "passes/passes.def"
#undef PASS
#undef PIPELINE

/* ---- running passes (pass.c) ----------------------------------------------------------------- */

typedef struct WqPassInfo {
	const char *name;
	WqPassFn *run;
	const char *help;
	const char *options; /* "limit:i=64K fast:i=0": kinds i, f, s, each with its default */
} WqPassInfo;

const WqPassInfo *wq_pass_table(int *n);
const WqPassInfo *wq_pass_find(const char *name); /* NULL if absent */
void wq_pass_list(WqStr *out); /* every pass with its options and every named pipeline, a line each */

typedef struct WqPipeline WqPipeline;
/* Fails with a message that lists what exists. The text may name passes, groups and pipelines. */
WqPipeline *wq_pipeline_parse(WqArena *a, const char *text);

typedef struct WqPassStat { /* of one pass over all its runs */
	const WqPassInfo *pass;
	int runs, changes;
	double seconds;
} WqPassStat;

typedef struct WqPassLog {
	WqArena *a;
	WQ_VEC(WqPassStat) stats; /* in order of first run */
	int changes;
	int unsettled; /* groups that still changed after the last round allowed */
	/* Set by the caller: text of the module goes to `out` after the pass of that name, or "all". NULL: never. */
	const char *print_after;
	FILE *out;
	/* Set by the caller, or NULL: called after every pass that changed something. */
	void (*after)(void *arg, WqModule *m, const WqPassInfo *pass, int changes);
	void *arg;
} WqPassLog;

/* Runs it, verifying after every pass: a fault is our mistake, dumps the module and aborts. Returns the number of
 * changes. */
int wq_pipeline_run(WqModule *m, const WqPipeline *p, WqPassLog *log);
void wq_pass_log_print(const WqPassLog *log, WqStr *out); /* a table: pass, runs, changes, milliseconds */
/* The common case: parses and runs, with a log of its own. */
int wq_passes(WqModule *m, const char *pipeline);

/* ---- what passes share (util.c) -------------------------------------------------------------- */

/* Removes n if nothing uses its results, then what it alone used. Returns the number of nodes removed. */
int wq_node_prune(WqNode *n);
/* Takes back what was made after `mark` (NULL: the graph's start) and before `end`, where nothing uses it: a
 * rewrite that did not come off. */
void wq_nodes_take_back(WqNode *mark, WqNode *end);
/* Puts `with` in the place of a one-result node and prunes it. A new value takes over the name of the old. */
void wq_node_replace(WqNode *n, WqValue *with);
/* Is every use of v inside one of these nodes (and v no graph output)? */
bool wq_used_only_by(const WqValue *v, int n, WqNode *const *nodes);
/* Can the two operands change places, to the bit? (Of two zeros, Max and Min give one or the other.) */
bool wq_swaps_exactly(const WqNode *n);
/* Known to be the same type: two tensors of unknown rank are not. */
bool wq_type_same(const WqType *a, const WqType *b);
/* Two constants of equal type and content; content is compared up to `max` bytes, above that data must be the same
 * memory. */
bool wq_const_same(const WqValue *a, const WqValue *b, size_t max);
/* Calls fn for every graph of the module, outer ones first; returns the sum. */
int wq_each_graph(WqModule *m, int (*fn)(WqGraph *g, void *arg), void *arg);
/* The node whose result 0 v is, if it is of this operator; else NULL. */
WqNode *wq_def(const WqValue *v, WqOp op);
/* attribute "axis", counted from the front; -1 if the rank is not known. */
int wq_axis_of(const WqNode *n, int rank);
/* The permutation of a Transpose (absent: reversed); its rank, or -1 if that is not known. */
int wq_perm_of(const WqNode *n, int64_t *perm);
/* i64[n] of expressions as an operand for a node made before `before`. */
WqValue *wq_dims_before(WqNode *before, int n, const WqDim *dim);

#endif
