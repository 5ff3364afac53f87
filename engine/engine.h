/* engine.h: runs a graph operator by operator. The oracle of the tests, the constant folder, the calibrator. */
#ifndef WQ_ENGINE_H
#define WQ_ENGINE_H

#include "ir/ir.h"

/* ---- runtime values (value.c): counted references -------------------------------------------------- */

typedef struct WqBuf WqBuf; /* counted memory of a tensor */

typedef struct WqRt {
	int refs;
	uint8_t kind; /* WQ_TENSOR, WQ_SEQUENCE, WQ_OPTIONAL */
	bool channels_last; /* tensors: [N, C, S...] whose data lies as [N, S..., C]: inside the engine only (layout.c) */
	WqTensor t;   /* tensors: unpacked */
	WqBuf *buf;   /* owner of t.data; NULL: the data belongs to someone who outlives the run */
	WqType elem;  /* sequences and optionals: what an element is */
	int n;        /* elements; an optional has 0 or 1 */
	struct WqRt **elems;
} WqRt;

WqRt *wq_rt_tensor(WqDtype t, int rank, const int64_t *dim); /* new memory, contents undefined */
WqRt *wq_rt_borrow(const WqTensor *t);                       /* a view; packed data is unpacked into new memory */
WqRt *wq_rt_list(int kind, const WqType *elem, int n, WqRt *const *elems); /* takes a reference to each */
WqRt *wq_rt_ref(WqRt *v);
void wq_rt_unref(WqRt *v); /* NULL is fine */
WqType wq_rt_type(WqModule *m, const WqRt *v);

/* Bytes of tensor memory alive now / at most since peak was last set, over all values of this thread's runs. */
typedef struct WqMemStat {
	int64_t live, peak;
} WqMemStat;
WqMemStat *wq_mem_stat(void);

/* ---- running (exec.c) -------------------------------------------------------------------------------- */

typedef struct WqEngineOptions {
	int threads;   /* 0: the machine's */
	bool plain;    /* plain C only: the definition, no oneDNN */
	bool profile;  /* time per operator */
	/* called after each node of the main graph and nested graphs, with its results: calibration, --print-values */
	void (*on_node)(void *arg, const WqNode *n, WqRt *const *out);
	void *arg;
} WqEngineOptions;

typedef struct WqEngine WqEngine; /* a graph made ready: order, last uses, cached packed weights */

WqEngine *wq_engine_new(WqModule *m, const WqEngineOptions *o);
void wq_engine_free(WqEngine *e);
/* in: one per graph input, in order (NULL: an absent optional). out: one new reference per graph output. */
void wq_engine_run(WqEngine *e, WqRt *const *in, WqRt **out);

typedef struct WqEngineStat {
	int64_t peak_bytes;     /* of tensors that the run made, at their largest */
	int64_t live_set_bytes; /* the largest sum of values alive at once by the order: what no allocator can beat */
	double seconds;
} WqEngineStat;
WqEngineStat wq_engine_stat(const WqEngine *e); /* of the last run */
/* Time by operator of the last run, as text lines (option profile). */
void wq_engine_profile(const WqEngine *e, WqStr *out);

/* The folder for WqModule.fold. */
bool wq_engine_fold(WqNode *n, WqTensor **out);

/* ---- evaluators (eval_*.c): one call of one node ----------------------------------------------------- */

typedef struct WqCall {
	WqEngine *e;       /* NULL when folding */
	const WqNode *node;
	int n_in, n_out;
	const WqTensor **in; /* tensor operands, unpacked; NULL: absent or not a tensor */
	WqTensor *out;     /* results: type, shape and memory are there unless the shape depends on the data (rank -1) */
	WqRt **vin, **vout; /* the same as values; an evaluator of sequences sets vout[i] itself */
	bool plain;
	int threads;
	WqArena *tmp;      /* gone after the call */
	void **cache;      /* of this node in this engine: packed weights, primitives; NULL when folding */
	WqArena *cache_arena; /* what *cache points at lives here; NULL when folding */
} WqCall;

/* Shape and memory of result i, for operators whose shape rule could not tell. */
void wq_call_alloc(WqCall *c, int i, WqDtype t, int rank, const int64_t *dim);
WQ_NORETURN void wq_call_fail(const WqCall *c, const char *fmt, ...) WQ_PRINTF(2, 3);
/* Runs a nested graph: takes the references in[] (one per input of the body, set to NULL as they go), gives new ones in out[],
 * of the call: whatever is still in c->vout or wq_call_hold when the run fails is released with it. */
void wq_call_body(WqCall *c, const WqGraph *body, WqRt **in, WqRt **out);
/* n places for references, released (where not NULL) when the call ends, however it ends. */
WqRt **wq_call_hold(WqCall *c, int n);
/* Is operand i a constant of the graph (so that what is packed of it may be kept in *cache)? */
bool wq_call_is_const(const WqCall *c, int i);

/* A dimension under the run's bindings (the Dims operator; shapes of results). Fails if a symbol is not bound. exec.c */
int64_t wq_call_dim(const WqCall *c, WqDim d);

typedef void WqEvalFn(WqCall *c);
/* One row per op, from ops.def; every name must exist. */
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) WqEvalFn eval;
#include "ir/ops.def"
#undef OP

/* fn(arg, begin, end) over [0, n) in chunks of at least `grain`, on c's threads. Chunks are cut the same way for every
 * number of threads, so that results do not depend on it. */
void wq_parallel(const WqCall *c, int64_t n, int64_t grain, void (*fn)(void *arg, int64_t begin, int64_t end), void *arg);

/* ---- oneDNN (dnnl.c, the only includer of dnnl.h): false when the plain code should do it --------------- */

bool wq_dnnl_matmul(WqCall *c);
bool wq_dnnl_conv(WqCall *c);
bool wq_dnnl_conv_transpose(WqCall *c);
bool wq_dnnl_pool(WqCall *c);
const char *wq_dnnl_version(void);

#endif
