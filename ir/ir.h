/* ir.h: the graph. One SSA graph of core operators on typed tensors, nested graphs for control flow.
 *
 * A module owns everything in one arena. A value is a graph input, a constant, or a node's result. Nested graphs
 * use outer values directly. Nodes of a graph stand in a list in an order in which they can run.
 */
#ifndef WQ_IR_H
#define WQ_IR_H

#include "ir/dim.h"
#include "ir/tensor.h"

typedef struct WqGraph WqGraph;
typedef struct WqNode WqNode;
typedef struct WqValue WqValue;

/* ---- types ------------------------------------------------------------------------------------ */

enum { WQ_TENSOR, WQ_SEQUENCE, WQ_OPTIONAL };

typedef struct WqType {
	uint8_t kind;
	WqDtype dtype;
	int rank; /* -1: not known */
	WqDim dim[WQ_MAX_RANK];
	const struct WqType *elem; /* of a sequence or optional */
} WqType;

WqType wq_type_tensor(WqDtype dtype, int rank, const WqDim *dim); /* dim may be NULL for rank <= 0 */
WqType wq_type_of_tensor(const WqTensor *t);
WqType wq_type_wrap(WqModule *m, int kind, const WqType *elem);
bool wq_type_equal(const WqType *a, const WqType *b);
bool wq_type_static(const WqType *t); /* a tensor whose dims are all numbers */
WqDim wq_type_count(WqModule *m, const WqType *t);
void wq_type_print(const WqModule *m, const WqType *t, WqStr *out); /* f32[N,3,?]; f32[*]; seq(..); opt(..) */

/* ---- operators (ops.def, op.c) ------------------------------------------------------------------ */

typedef enum WqOp {
	WQ_OP_NONE,
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) OP_##name,
#include "ir/ops.def"
#undef OP
	WQ_NUM_OPS
} WqOp;

enum {
	WQ_COMM = 1,     /* the first two operands commute */
	WQ_EW = 2,       /* elementwise with numpy broadcasting; the result may take an operand's buffer */
	WQ_VIEW = 4,     /* the result is the first operand's bytes under another shape */
	WQ_IMPURE = 8,   /* two runs differ: never folded or merged */
	WQ_BODY = 16,    /* has nested graphs */
	WQ_DATADEP = 32, /* a result's size depends on the operand's data */
	WQ_SEQ = 64,     /* works on sequences or optionals */
	WQ_TEXT = 128,   /* computes strings or from them: the engine's alone */
};

struct WqInfer;
typedef struct WqOpInfo {
	const char *name;
	const char *sig;   /* see ops.def */
	uint32_t mask;     /* what T may be */
	unsigned flags;
	const char *attrs; /* see ops.def */
	void (*infer)(struct WqInfer *);
	int min_in, max_in, min_out, max_out; /* max -1: any number; from sig */
} WqOpInfo;

const WqOpInfo *wq_op(WqOp op);
WqOp wq_op_find(const char *name); /* WQ_OP_NONE if absent */

/* Attributes: the schema is the op's; an absent one has the schema's default. */
enum WqAttrKind { WQ_A_INT, WQ_A_FLOAT, WQ_A_STR, WQ_A_INTS, WQ_A_DTYPE, WQ_A_DIMS, WQ_A_TYPE };
typedef struct WqAttr {
	const char *name;
	enum WqAttrKind kind;
	int64_t i; /* INT, DTYPE */
	double f;
	const char *s;
	int n; /* INTS, DIMS */
	const int64_t *ints; /* INTS, DIMS (WqDim) */
	const WqType *type;
	struct WqAttr *next;
} WqAttr;

int64_t wq_attr_i(const WqNode *n, const char *name);
double wq_attr_f(const WqNode *n, const char *name);
const char *wq_attr_s(const WqNode *n, const char *name);
const int64_t *wq_attr_ints(const WqNode *n, const char *name, int *count); /* NULL, 0 if absent */
/* The schema's entry: kind and default in *def (strings excepted); false if op has no such attribute. */
bool wq_attr_schema(WqOp op, const char *name, WqAttr *def, bool *required);
const WqAttr *wq_attr_find(const WqNode *n, const char *name); /* NULL if absent */
void wq_set_i(WqNode *n, const char *name, int64_t v);
void wq_set_f(WqNode *n, const char *name, double v);
void wq_set_s(WqNode *n, const char *name, const char *v);
void wq_set_ints(WqNode *n, const char *name, int count, const int64_t *v);
void wq_set_type(WqNode *n, const char *name, const WqType *t);
void wq_attr_copy(WqNode *to, const WqNode *from); /* all of them, within or across modules */

/* ---- graph (graph.c) ---------------------------------------------------------------------------- */

typedef struct WqUse {
	WqNode *node;
	int index;
} WqUse;

/* Where a constant's bytes came from, so that the writer finds its way back. */
typedef struct WqOrigin {
	const char *initializer; /* name in the model, or NULL: made by the compiler */
	int n_perm;              /* transposed since by perm (n_perm > 0), then, if reshaped, put into the constant's shape */
	int64_t perm[WQ_MAX_RANK];
	bool reshaped;
} WqOrigin;

struct WqValue {
	const char *name; /* unique in the module; never NULL */
	WqType type;
	WqGraph *graph;
	WqNode *def; /* the node it is a result of, or NULL (input or constant) */
	int index;   /* of the result, or of the graph input */
	const WqTensor *data; /* constants */
	WqOrigin origin;      /* constants */
	const WqDim *sym;     /* small integer tensors whose elements are known expressions; else NULL */
	WQ_VEC(WqUse) uses;   /* operands of nodes; graph outputs are not among them: see wq_value_is_output */
	int n_output;         /* how many outputs it is, of its graph and nested ones; kept by wq_output and what changes outputs */
};

struct WqNode {
	WqOp op;
	int n_in, n_out, n_body;
	WqValue **in;  /* NULL: absent optional operand */
	int *use;      /* n_in: where in[i]->uses lists operand i */
	WqValue **out; /* NULL: unused optional result */
	WqGraph **body;
	WqAttr *attrs;
	WqGraph *graph;
	WqNode *prev, *next;
	const char *name; /* of the ONNX node it came from, for messages; may be NULL */
	unsigned id;      /* unique in the module */
};

typedef struct WqOutput {
	const char *name;
	WqValue *value;
} WqOutput;

struct WqGraph {
	WqModule *mod;
	WqGraph *parent; /* NULL for the main graph */
	WqNode *owner;   /* whose body it is */
	WQ_VEC(WqValue *) inputs;
	WQ_VEC(WqOutput) outputs;
	WqNode *first, *last;
};

struct WqDims;
struct WqModule {
	WqArena *arena;
	const char *name; /* of the model, for messages */
	WqGraph *main;
	struct WqDims *dims;
	WqMap *values; /* by name */
	unsigned next_id;
	/* Set by the library: evaluates a node whose operands are all constants into out[] (n_out, in the module's
	 * arena); false when it would rather not (too large, impure). NULL: no folding on the way. */
	bool (*fold)(WqNode *n, WqTensor **out);
	const char *where; /* name for nodes made now (the ONNX node being lowered), or NULL */
};

WqModule *wq_module_new(const char *name); /* with an empty main graph */
void wq_module_free(WqModule *m);
WqGraph *wq_graph_new(WqGraph *parent); /* a nested graph, to be given to a node by wq_node_add_body */

WqValue *wq_input(WqGraph *g, const char *name, const WqType *t);
void wq_output(WqGraph *g, const char *name, WqValue *v);
void wq_output_drop(WqGraph *g, int i); /* those after it move down */
/* Gives c, which is what n makes of its constant operand, the origin that follows; other operators than Transpose and Reshape lose it. */
void wq_origin_follow(WqValue *c, const WqNode *n);
/* A constant over data that lives as long as the module. name NULL: a fresh one. */
WqValue *wq_const(WqGraph *g, const char *name, const WqTensor *t);
/* Constants from numbers. */
WqValue *wq_const_i64s(WqGraph *g, int n, const int64_t *v); /* i64[n] */
WqValue *wq_const_scalar(WqGraph *g, WqDtype dtype, double v);   /* rank 0 */
WqValue *wq_const_int(WqGraph *g, WqDtype dtype, int64_t v);     /* rank 0, exact for 64 bits */
WqTensor *wq_tensor_new(WqModule *m, WqDtype dtype, int rank, const int64_t *dim); /* unpacked, zeroed, in the arena */

/* Build: a node without results yet, its attributes, then wq_node_finish, which checks operands, runs the shape rule, makes
 * the results, and appends it to the graph (or before `before`). */
WqNode *wq_node_new(WqGraph *g, WqOp op, int n_in, WqValue *const *in);
void wq_node_add_body(WqNode *n, WqGraph *body);
void wq_node_finish(WqNode *n, int n_out, WqNode *before);
/* The same for one-result operators, folding and simplifying on the way: the value may be a constant or another node's. */
WqValue *wq_node_value(WqNode *n, WqNode *before);
/* The results' names and types are given (by the text form); the shape rule must agree. NULL names: no such result. */
void wq_node_finish_as(WqNode *n, int n_out, const char *const *names, const WqType *types);
/* What is wrong with declaring `have` where the shape rule says `rule`: NULL if they can both be true. */
const char *wq_type_conflict(const WqType *have, const WqType *rule);
/* The common case in one call. */
WqValue *wq_build(WqGraph *g, WqOp op, int n_in, WqValue *const *in);
WqValue *wq_dims(WqGraph *g, int n, const WqDim *dim); /* i64[n] of expressions: a constant, or a Dims node */
WqValue *wq_dim_value(WqGraph *g, WqDim dim);           /* the same as a scalar */

/* Change. */
void wq_node_set_in(WqNode *n, int i, WqValue *v);
void wq_value_replace(WqValue *old, WqValue *with); /* every use, graph outputs included */
void wq_node_remove(WqNode *n); /* its results have no uses; n->graph becomes NULL */
void wq_node_move(WqNode *n, WqNode *before); /* NULL: to the end of its graph */
void wq_node_adopt(WqNode *n, WqGraph *g, WqNode *before); /* the same into another graph, results and nested graphs with it */
void wq_value_rename(WqValue *v, const char *name); /* made unique if taken */
bool wq_value_is_output(const WqValue *v);
int wq_value_num_uses(const WqValue *v); /* graph outputs included */
bool wq_value_const_i64s(const WqValue *v, int *n, const int64_t **out, WqArena *a); /* a small integer constant */
bool wq_value_const_f(const WqValue *v, double *out); /* a constant all of whose elements are equal */

#define WQ_FOR_NODES(n, g) for (WqNode *n = (g)->first; n; n = n->next)

/* ---- shape rules (infer.c, infer_*.c) -------------------------------------------------------------
 * One rule serves the builder (symbolic dims) and the engine (numbers, and every operand's data at hand).
 */
enum WqNeed { WQ_NEED_EQUAL, WQ_NEED_BROADCAST /* equal, or either is 1 */, WQ_NEED_DIVIDES /* b divides a */ };

typedef struct WqInfer {
	WqModule *mod; /* for expressions; only numbers are seen at run time */
	const WqNode *node;
	int n_in, n_out;
	const WqType **in;    /* n_in; NULL: absent */
	const WqTensor **val; /* n_in; the operand's data (unpacked or packed), if known now */
	const WqDim **sym;    /* n_in; or its elements as expressions, row-major; else NULL */
	WqType *out;          /* n_out, zeroed; the rule fills them */
	const WqDim *out_sym; /* may be set by a rule: result 0's elements as expressions (in the module's arena) */
	bool has_hi;          /* may be set by a rule: every WQ_DIM_UNKNOWN it leaves is at most hi */
	WqDim hi;
	const WqDim *axis_hi; /* may be set by a rule: the same for each axis of result 0 (WQ_DIM_UNKNOWN: no bound) */
	bool running;         /* called by the engine */
	/* Told of what the rule needs but no number proves, if set: the code checks it when it runs. */
	void (*needs)(void *arg, enum WqNeed need, WqDim a, WqDim b);
	void *needs_arg;
} WqInfer;

void wq_infer_init(WqInfer *x, WqNode *n, int n_out, WqArena *a); /* from the graph's values; the engine fills its own */
int64_t wq_infer_elem(const WqInfer *x, int operand, int64_t i, WqDim *d); /* element count of a known integer operand, or -1; *d its i-th */
void wq_infer(WqInfer *x); /* runs the node's rule; fails with a message that names the node */
WQ_NORETURN void wq_infer_fail(const WqInfer *x, const char *fmt, ...) WQ_PRINTF(2, 3);

/* ---- verifier (verify.c), text form (print.c, parse.c) --------------------------------------------- */

/* Appends every fault found, a line each, to out; true if there was none. */
bool wq_verify(const WqModule *m, WqStr *out);

/* Constants over `inline_max` elements go to `data` (their hash and offset in the text); data NULL: by name and hash only. */
void wq_print(const WqModule *m, WqStr *out, WqStr *data, int64_t inline_max);
/* data: the bytes beside, or {0}. Fails with line:column. */
WqModule *wq_parse(const char *file, const char *text, size_t n, WqMapped data);

#endif
