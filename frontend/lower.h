/* lower.h: what a lowering sees. A lowering turns one ONNX node into core operators, by the rules of the operator's own
 * version (L->version is the newest version of the operator that the model's opset has).
 *
 *   void lower_Gemm(Lower *L) { ... lo_out(L, 0, y); }
 *
 * Shapes are known and constants folded on the way: ask lo_rank, lo_dim, lo_const_ints before building shape arithmetic.
 */
#ifndef WQ_LOWER_H
#define WQ_LOWER_H

#include "frontend/frontend.h"
#include "ir/ir.h"

typedef struct Importer Importer;

typedef struct Lower {
	Importer *im;
	WqGraph *g; /* where to build */
	WqModule *m;
	const Onnx__NodeProto *node;
	const char *op;
	int version; /* since_version of the rules that apply */
	const struct OnnxOp *def;
} Lower;

typedef void LowerFn(Lower *L);

/* ---- the node: operands, attributes, results -------------------------------------------------------- */

int lo_n_in(const Lower *L);
WqValue *lo_in(Lower *L, int i);     /* NULL if absent or empty */
WqValue *lo_need(Lower *L, int i);   /* fails if absent */
int lo_n_out(const Lower *L);
bool lo_wants(const Lower *L, int i); /* result i has a name */
void lo_out(Lower *L, int i, WqValue *v);

bool lo_has(const Lower *L, const char *attr);
int64_t lo_i(const Lower *L, const char *attr, int64_t otherwise);
double lo_f(const Lower *L, const char *attr, double otherwise);
const char *lo_s(Lower *L, const char *attr, const char *otherwise); /* in the module's arena */
const int64_t *lo_ints(const Lower *L, const char *attr, int *n);     /* NULL, 0 if absent */
const float *lo_floats(const Lower *L, const char *attr, int *n);
const char **lo_strings(Lower *L, const char *attr, int *n);
WqValue *lo_tensor(Lower *L, const char *attr); /* NULL if absent */
WqDtype lo_dtype(Lower *L, const char *attr, WqDtype otherwise); /* a TensorProto.DataType attribute */
bool lo_type(Lower *L, const char *attr, WqType *t); /* a TypeProto attribute */
WqGraph *lo_graph(Lower *L, const char *attr); /* a nested graph without inputs, as a graph of its own */

WQ_NORETURN void lo_unsupported(Lower *L, const char *fmt, ...) WQ_PRINTF(2, 3); /* valid, but not handled */
WQ_NORETURN void lo_bad(Lower *L, const char *fmt, ...) WQ_PRINTF(2, 3);         /* the model is wrong */

/* ---- what is known ------------------------------------------------------------------------------------ */

int lo_rank(Lower *L, const WqValue *v); /* fails (unsupported) if not known */
WqDim lo_dim(Lower *L, const WqValue *v, int axis); /* negative axes count from the end; fails if out of range */
int lo_axis(Lower *L, int64_t axis, int rank); /* normalised, checked */
WqDtype lo_type_of(const WqValue *v);
/* A constant integer operand's elements; false if v is not constant. */
bool lo_const_ints(Lower *L, const WqValue *v, int *n, const int64_t **out);
bool lo_const_scalar(Lower *L, const WqValue *v, double *out);
/* The elements of an integer vector or scalar as expressions, or NULL. */
const WqDim *lo_known(const WqValue *v, int *n);

/* ---- building ------------------------------------------------------------------------------------------- */

WqNode *lo_node(Lower *L, WqOp op, int n_in, ...); /* WqValue *...; set attributes, then lo_result */
WqValue *lo_result(Lower *L, WqNode *n);           /* finish a one-result node */
WqValue *lo1(Lower *L, WqOp op, WqValue *a);
WqValue *lo2(Lower *L, WqOp op, WqValue *a, WqValue *b);
WqValue *lo3(Lower *L, WqOp op, WqValue *a, WqValue *b, WqValue *c);
WqValue *lo_scalar(Lower *L, WqDtype t, double v);     /* rank 0 */
WqValue *lo_like(Lower *L, const WqValue *x, double v); /* rank-0 scalar of x's type */
WqValue *lo_i64s(Lower *L, int n, const int64_t *v);
WqValue *lo_i64(Lower *L, int64_t v);                  /* i64[1] */
WqValue *lo_cast(Lower *L, WqValue *x, WqDtype to);
WqValue *lo_reshape(Lower *L, WqValue *x, int rank, const WqDim *dim); /* dims may be expressions */
WqValue *lo_reshape_to(Lower *L, WqValue *x, int n, const int64_t *shape); /* numbers, one of which may be -1 */
/* x, whose rank must be this: where it is not known, running checks it. */
WqValue *lo_with_rank(Lower *L, WqValue *x, int rank);
WqValue *lo_scalar_of(Lower *L, WqValue *x); /* a tensor of one element as rank 0 */
WqValue *lo_unsqueeze(Lower *L, WqValue *x, int n, const int64_t *axes);
WqValue *lo_squeeze(Lower *L, WqValue *x, int n, const int64_t *axes);
WqValue *lo_transpose(Lower *L, WqValue *x, int rank, const int64_t *perm);
WqValue *lo_swap_last(Lower *L, WqValue *x); /* the last two axes */
WqValue *lo_slice(Lower *L, WqValue *x, int axis, WqDim start, WqDim end, int64_t step); /* one axis; 0 <= start <= end <= dim when step > 0 */
WqValue *lo_concat(Lower *L, int axis, int n, WqValue *const *v);
WqValue *lo_reduce(Lower *L, WqOp op, WqValue *x, int n, const int64_t *axes, bool keepdims);
WqValue *lo_expand(Lower *L, WqValue *x, int rank, const WqDim *dim);
WqValue *lo_range(Lower *L, WqDim n); /* i64: 0 .. n-1 */
WqValue *lo_per_channel(Lower *L, WqValue *v, int rank); /* [C] -> [C,1,1,...] so that it broadcasts over NC... of that rank */
WqValue *lo_dim_scalar(Lower *L, WqDim d, WqDtype t); /* rank 0 */
/* Types narrower than f32 as f32: for compositions whose steps must not each round to f16. Cast the result back. */
WqValue *lo_wide(Lower *L, WqValue *x);
WqValue *lo_log_softmax(Lower *L, WqValue *x, int axis);
WqValue *lo_softmax(Lower *L, WqValue *x, int64_t axis, bool merged); /* merged: over all axes from it on (opset < 13) */
/* An activation by the name that RNN operators give it; NAN for a parameter that is absent. Fails if there is no such name. */
WqValue *lo_activation(Lower *L, WqValue *x, const char *name, double alpha, double beta);

/* ---- the table (onnx_ops.def) ------------------------------------------------------------------------------ */

typedef struct OnnxOp {
	const char *domain; /* "" is ai.onnx */
	const char *name;
	LowerFn *lower;      /* NULL: refused, because */
	const char *why;
	int versions[16];    /* ascending, 0-terminated */
} OnnxOp;

const OnnxOp *onnx_op_find(const char *domain, const char *name);
const OnnxOp *onnx_op_table(int *n);

/* Forms of lowered operators that are refused (onnx_limits.def). */
typedef struct OnnxLimit {
	const char *domain, *name; /* NULL: of any operator */
	const char *message, *form;
} OnnxLimit;

const OnnxLimit *onnx_limit_table(int *n);
#define WQ_MAX_OPSET 28

#endif
