/* importer.h: the import's own state, shared by import.c, names.c, types.c, sort.c, functions.c and the lowerings that
 * have nested graphs. Ordinary lowerings need lower.h only.
 */
#ifndef WQ_IMPORTER_H
#define WQ_IMPORTER_H

#include "frontend/lower.h"

/* What operators mean here: the opset imports, and the attributes of the call when inside a model-local function. */
typedef struct Frame {
	struct Frame *up;                  /* of the caller; NULL for the model */
	const Onnx__FunctionProto *fn;     /* NULL for the model */
	WqMap *opsets;                     /* domain ("" is ai.onnx) -> OnnxOpset */
	WqMap *attrs;                      /* name -> Onnx__AttributeProto *; NULL for the model */
} Frame;

typedef struct OnnxOpset {
	int64_t version;
} OnnxOpset;

/* The names of one graph or function body. */
typedef struct Scope {
	struct Scope *up; /* the graph around; NULL for the main graph and for function bodies */
	WqMap *values;    /* ONNX name -> WqValue * */
	WqGraph *g;       /* where nodes are built: several scopes share a graph when a body is inlined */
} Scope;

typedef struct Unsupported { /* one operator that was refused, and the nodes that use it */
	const char *what;
	WQ_VEC(const char *) nodes;
	WqMap *seen; /* nodes by address, as a nested graph may be imported more than once */
} Unsupported;

struct Importer {
	OnnxModel *model;
	const ImportOptions *opt;
	WqModule *m;
	WqArena *tmp; /* gone with the import */
	Frame *frame;
	Scope *scope;
	WqMap *functions;   /* "domain\1name\1overload" -> Onnx__FunctionProto * */
	WqMap *unsupported; /* text -> Unsupported * */
	WqMap *origins;     /* initializer name -> the TensorProto that has it */
	WqMap *tensors;     /* TensorProto (by address) -> WqTensor *: bodies are imported more than once */
	WqMap *dim_names;   /* dim_param -> DimName */
	WqMap *bare_dims;   /* dim_params that are a whole dimension of some graph input, so that running knows them */
	WqValue *poison;    /* result of a node that was refused: what uses it is skipped */
	WqValue *absent;    /* a function's input that the call left out */
	unsigned first_id;  /* nodes made for the current ONNX node have ids from here */
	int depth;          /* of nested graphs and function calls */
	int64_t n_nodes, max_nodes;
};

typedef struct DimName {
	bool fixed;
	int64_t value; /* if fixed */
	WqDim dim;     /* else */
	bool used;
} DimName;

/* ---- names.c ---- */
void scope_push(Importer *im, Scope *s, Scope *up, WqGraph *g);
void scope_bind(Importer *im, const char *name, WqValue *v);
WqValue *scope_find(const Scope *s, const char *name); /* NULL if not defined */
/* "node 'x'" and "node 'x' (Op)": how messages name a node. In the import's arena. */
const char *node_name(Importer *im, const Onnx__NodeProto *n);
const char *node_label(Importer *im, const Onnx__NodeProto *n);
const char *node_domain(const char *domain); /* "ai.onnx" and NULL are "" */

/* ---- types.c ---- */
/* false: no type there. `what` names the value in messages. */
bool import_type(Importer *im, const Onnx__TypeProto *t, const char *what, WqType *out);
void import_dim_options(Importer *im);  /* --dim */
/* N of [N,3] given as [2,3] is 2. */
void import_dims_from(Importer *im, const Onnx__TypeProto *t, const WqType *actual);
void import_bare_dims(Importer *im, const Onnx__TypeProto *t);
void import_check_dim_options(Importer *im); /* every --dim was used */

/* ---- sort.c ---- */
/* An order in which the nodes can run (theirs, if it can); fails on cycles and duplicate definitions. */
int *import_order(Importer *im, size_t n, Onnx__NodeProto *const *nodes);

/* ---- import.c ---- */
WqValue *import_tensor(Importer *im, const char *name, const Onnx__TensorProto *t);
WqValue *import_sparse(Importer *im, const char *name, const Onnx__SparseTensorProto *t);
void import_initializers(Importer *im, const Onnx__GraphProto *gp); /* into the current scope */
void import_nodes(Importer *im, size_t n, Onnx__NodeProto *const *nodes);
/* One level deeper; fails when that is too deep. The caller's WqTry puts it back. */
void import_deeper(Importer *im);
/* Imports the nodes of a nested graph into the current scope, whose inputs are bound already; out[] gets a value per
 * output. Fails silently (reported already) when an output depends on something unsupported. */
void import_graph_body(Importer *im, const Onnx__GraphProto *gp, WqValue **out);
void import_report(Importer *im, const Onnx__NodeProto *n, const char *what);

/* ---- functions.c ---- */
void functions_collect(Importer *im);
WqMap *opsets_collect(Importer *im, size_t n, Onnx__OperatorSetIdProto *const *imports, const char *whose);
const Onnx__FunctionProto *function_find(Importer *im, const Onnx__NodeProto *n);
void function_expand(Lower *L, const Onnx__FunctionProto *fn);

/* ---- lower.c ---- */
/* Attribute references resolved; NULL if absent. */
const Onnx__AttributeProto *lo_attr(const Lower *L, const char *name);
const Onnx__GraphProto *lo_graph_proto(Lower *L, const char *attr);

#endif
