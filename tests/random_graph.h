/* random_graph.h: random graphs of core operators, the same for the same seed. tests/random_test.c runs passes over them,
 * tests/random_jit.c compiles them.
 */
#ifndef WQ_TEST_RANDOM_GRAPH_H
#define WQ_TEST_RANDOM_GRAPH_H

#include "tests/eval.h"

typedef struct Gen {
	WqModule *m;
	WqGraph *g;
	Rng r;
	bool smooth; /* no operator that makes a jump of a rounding error */
	bool wide;   /* more operators, types and sizes than the passes look for */
	int depth;
	WQ_VEC(WqValue *) pool;
} Gen;

static int gen_below(Gen *x, int n) { return rng_below(&x->r, n); }

static WqValue *gen_keep(Gen *x, WqValue *v)
{
	WQ_PUSH(x->m->arena, x->pool, v);
	return v;
}

/* A value of this type; recent ones more often, so that chains grow. NULL if there is none. */
static WqValue *gen_pick(Gen *x, WqDtype t, int min_rank)
{
	for (int tries = 0; tries < 20; tries++) {
		int n = x->pool.n, back = gen_below(x, gen_below(x, 3) ? (n < 6 ? n : 6) : n);
		WqValue *v = x->pool.v[n - 1 - back];
		if ((t == WQ_UNDEF || v->type.dtype == t) && v->type.rank >= min_rank)
			return v;
	}
	return NULL;
}

static WqValue *gen_finish(Gen *x, WqNode *n)
{
	wq_node_finish(n, 1, NULL);
	return gen_keep(x, n->out[0]);
}

static WqNode *gen_node(Gen *x, WqOp op, int n, ...)
{
	WqValue *in[6];
	va_list ap;
	va_start(ap, n);
	for (int i = 0; i < n; i++)
		in[i] = va_arg(ap, WqValue *);
	va_end(ap);
	return wq_node_new(x->g, op, n, in);
}

/* A constant that broadcasts against v; often one of the numbers that rules look for. */
static WqValue *gen_constant(Gen *x, const WqValue *v)
{
	static const double special[] = { 0, 1, -1, 2, 0.5, -0.0, 3, 4 };
	int64_t dim[WQ_MAX_RANK];
	int rank = gen_below(x, 2) ? 0 : gen_below(x, v->type.rank + 1);
	for (int d = 0; d < rank; d++) {
		WqDim full = v->type.dim[v->type.rank - rank + d];
		dim[d] = wq_dim_static(full) && gen_below(x, 3) ? full : 1;
	}
	WqTensor *t = random_tensor(x->m, &x->r, v->type.dtype, rank, dim);
	double s = special[gen_below(x, WQ_COUNTOF(special))];
	for (int64_t i = 0; gen_below(x, 3) && i < wq_tensor_count(t); i++)
		wq_tensor_set_f(t, i, v->type.dtype == WQ_BOOL ? s != 0 : s);
	return wq_const(x->g, NULL, t);
}

static bool gen_broadcasts(const WqValue *a, const WqValue *b)
{
	for (int i = 1; i <= a->type.rank && i <= b->type.rank; i++) {
		WqDim p = a->type.dim[a->type.rank - i], q = b->type.dim[b->type.rank - i];
		if (p != q && p != 1 && q != 1)
			return false;
	}
	return true;
}

static WqValue *gen_partner(Gen *x, const WqValue *v)
{
	WqValue *w = gen_below(x, 2) ? gen_pick(x, v->type.dtype, 0) : NULL;
	return w && gen_broadcasts(v, w) ? w : gen_constant(x, v);
}

static void gen_unary(Gen *x)
{
	static const WqOp soft[] = { OP_Neg, OP_Abs, OP_Relu, OP_Tanh, OP_Sigmoid, OP_Neg, OP_Sin, OP_Erf };
	static const WqOp hard[] = { OP_Floor, OP_Ceil, OP_Round, OP_Sign };
	static const WqOp whole[] = { OP_Neg, OP_Abs, OP_Relu, OP_Sign, OP_BitwiseNot };
	WqValue *v = gen_pick(x, WQ_UNDEF, 0);
	WqDtype t = v->type.dtype;
	WqOp op = t == WQ_BOOL		    ? OP_Not
		  : wq_dtype_is_int(t)	    ? whole[gen_below(x, WQ_COUNTOF(whole))]
		  : x->smooth || gen_below(x, 2) ? soft[gen_below(x, WQ_COUNTOF(soft))]
					    : hard[gen_below(x, WQ_COUNTOF(hard))];
	gen_finish(x, gen_node(x, op, 1, v));
}

static void gen_binary(Gen *x)
{
	static const WqOp ops[] = { OP_Add, OP_Mul, OP_Sub, OP_Max, OP_Min, OP_Add, OP_Mul };
	static const WqOp logic[] = { OP_And, OP_Or, OP_Xor };
	WqValue *v = gen_pick(x, WQ_UNDEF, 0), *w = gen_partner(x, v);
	bool flip = gen_below(x, 4) == 0;
	WqOp op = v->type.dtype == WQ_BOOL ? logic[gen_below(x, 3)] : ops[gen_below(x, WQ_COUNTOF(ops))];
	gen_finish(x, gen_node(x, op, 2, flip ? w : v, flip ? v : w));
}

static void gen_divide(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 0);
	double by[] = { 1, 2, 4, 3, -1, 0.5 };
	if (v)
		gen_finish(x, gen_node(x, OP_Div, 2, v, wq_const_scalar(x->g, WQ_F32, by[gen_below(x, WQ_COUNTOF(by))])));
}

static void gen_compare(Gen *x)
{
	static const WqOp ops[] = { OP_Equal, OP_Less, OP_LessOrEqual };
	WqValue *v = gen_pick(x, x->smooth ? WQ_I32 : gen_below(x, 2) ? WQ_I32 : WQ_F32, 0);
	if (v)
		gen_finish(x, gen_node(x, ops[gen_below(x, 3)], 2, v, gen_partner(x, v)));
}

static void gen_choose(Gen *x)
{
	WqValue *c = gen_pick(x, WQ_BOOL, 0), *v = gen_pick(x, WQ_UNDEF, 0);
	if (!c || !gen_broadcasts(c, v))
		return;
	WqValue *w = gen_partner(x, v);
	if (gen_broadcasts(c, w))
		gen_finish(x, gen_node(x, OP_Where, 3, c, v, w));
}

static void gen_cast(Gen *x)
{
	static const WqDtype to[] = { WQ_F32, WQ_F64, WQ_F32, WQ_I32, WQ_I64, WQ_BOOL, WQ_I8, WQ_U8 };
	WqValue *v = gen_pick(x, WQ_UNDEF, 0);
	bool from_float = wq_dtype_is_float(v->type.dtype);
	WqDtype t = to[gen_below(x, from_float ? (x->smooth ? 3 : 2)
					   : WQ_COUNTOF(to))]; /* float to integer is not defined for all */
	WqNode *n = gen_node(x, OP_Cast, 1, v);
	wq_set_i(n, "to", t);
	gen_finish(x, n);
}

static void gen_transpose(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 2);
	int64_t perm[WQ_MAX_RANK] = { 0 };
	if (!v)
		return;
	for (int d = 0; d < v->type.rank; d++) {
		int k = gen_below(x, d + 1);
		perm[d] = perm[k];
		perm[k] = d;
	}
	WqNode *n = gen_node(x, OP_Transpose, 1, v);
	if (gen_below(x, 5))
		wq_set_ints(n, "perm", v->type.rank, perm);
	gen_finish(x, n);
}

/* Another order of the same dims with one inserted, or two neighbours joined. */
static void gen_reshape(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 1);
	WqDim dim[WQ_MAX_RANK];
	int n = 0;
	if (!v || v->type.rank > 5)
		return;
	int at = gen_below(x, v->type.rank), how = gen_below(x, 3);
	for (int d = 0; d < v->type.rank; d++) {
		if (how == 0 && d == at)
			dim[n++] = 1;
		if (how == 1 && d == at && d > 0)
			dim[n - 1] = wq_dim_mul(x->m, dim[n - 1], v->type.dim[d]);
		else if (!(how == 2 && v->type.dim[d] == 1))
			dim[n++] = v->type.dim[d];
	}
	WqNode *r = gen_node(x, OP_Reshape, 2, v, wq_dims(x->g, n, dim));
	wq_set_i(r, "allowzero", 1);
	gen_finish(x, r);
}

static void gen_slice(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 1);
	if (!v)
		return;
	int64_t axis = gen_below(x, v->type.rank), size = v->type.dim[axis], one = 1;
	if (size < 1)
		return;
	int64_t from = gen_below(x, (int)size), to = gen_below(x, 3) ? size : from + 1,
		back = axis - (gen_below(x, 2) ? v->type.rank : 0);
	gen_finish(x, gen_node(x, OP_Slice, 5, v, wq_const_i64s(x->g, 1, &from), wq_const_i64s(x->g, 1, &to),
		       wq_const_i64s(x->g, 1, &back), wq_const_i64s(x->g, 1, &one)));
}

static void gen_concat(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 1), *w = v ? gen_pick(x, v->type.dtype, 1) : NULL;
	if (!w || !wq_type_equal(&v->type, &w->type))
		return;
	int axis = gen_below(x, v->type.rank);
	if (!wq_dim_static(v->type.dim[axis]) || v->type.dim[axis] > 12)
		return;
	WqNode *n = gen_node(x, OP_Concat, 2, v, w);
	wq_set_i(n, "axis", axis - (gen_below(x, 2) ? v->type.rank : 0));
	gen_finish(x, n);
}

static void gen_reduce(Gen *x)
{
	static const WqOp ops[] = { OP_ReduceSum, OP_ReduceMean, OP_ReduceMax, OP_ReduceMin };
	WqValue *v = gen_pick(x, WQ_F32, 1);
	if (!v)
		return;
	int64_t axis = gen_below(x, v->type.rank) - (gen_below(x, 2) ? v->type.rank : 0);
	WqNode *n = gen_node(x, ops[gen_below(x, 4)], 2, v, wq_const_i64s(x->g, 1, &axis));
	wq_set_i(n, "keepdims", gen_below(x, 3) > 0);
	gen_finish(x, n);
}

static void gen_softmax(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 1);
	if (!v)
		return;
	WqNode *n = gen_node(x, OP_Softmax, 1, v);
	wq_set_i(n, "axis", gen_below(x, v->type.rank));
	gen_finish(x, n);
}

static void gen_expand(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 0);
	WqDim dim[WQ_MAX_RANK];
	if (v->type.rank > 3)
		return;
	dim[0] = 2;
	for (int d = 0; d < v->type.rank; d++)
		dim[d + 1] = v->type.dim[d] == 1 ? 3 : v->type.dim[d];
	gen_finish(x, gen_node(x, OP_Expand, 2, v, wq_dims(x->g, v->type.rank + 1, dim)));
}

static void gen_matmul(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 2);
	if (!v || !wq_dim_static(v->type.dim[v->type.rank - 1]))
		return;
	int64_t dim[] = { v->type.dim[v->type.rank - 1], 1 + gen_below(x, 3) };
	gen_finish(x, gen_node(x, OP_MatMul, 2, v, wq_const(x->g, NULL, random_tensor(x->m, &x->r, WQ_F32, 2, dim))));
}

static void gen_conv(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 3);
	if (!v || v->type.rank != 4 ||
	    !wq_type_static(&(WqType){
		    .kind = WQ_TENSOR, .rank = 3, .dim = { v->type.dim[1], v->type.dim[2], v->type.dim[3] } }))
		return;
	int64_t k = gen_below(x, 2) + 1, dim[] = { 2, v->type.dim[1], k, k }, pads[] = { 1, 1, 1, 1 };
	if (v->type.dim[1] < 1 || v->type.dim[2] < 2 || v->type.dim[3] < 2)
		return;
	WqNode *n = gen_node(x, OP_Conv, 2, v, wq_const(x->g, NULL, random_tensor(x->m, &x->r, WQ_F32, 4, dim)));
	if (gen_below(x, 2))
		wq_set_ints(n, "pads", 4, pads);
	gen_finish(x, n);
}

static void gen_grow(Gen *x, int n);

static WqGraph *gen_branch(Gen *x, WqValue **v)
{
	Gen y = *x;
	y.g = wq_graph_new(x->g);
	y.pool = (typeof(y.pool)){ 0 };
	y.depth++;
	for (int i = 0; i < x->pool.n; i++)
		gen_keep(&y, x->pool.v[i]);
	gen_grow(&y, 4);
	*v = y.pool.v[y.pool.n - 1];
	x->r = y.r;
	return y.g;
}

/* Both branches must give one type: the second ends in a value of the first's, or in the same. */
static void gen_branches(Gen *x)
{
	WqValue *c = gen_pick(x, WQ_BOOL, 0), *a, *b;
	if (!c || c->type.rank || x->depth)
		return;
	WqGraph *yes = gen_branch(x, &a), *no = gen_branch(x, &b);
	if (a->graph != yes || b->graph != no || !wq_type_equal(&a->type, &b->type)) {
		/* what was built is not used: take the uses back */
		WqNode *n = gen_node(x, OP_If, 1, c);
		wq_node_add_body(n, yes);
		wq_node_add_body(n, no);
		wq_node_finish(n, 0, NULL);
		return;
	}
	WqNode *n = gen_node(x, OP_If, 1, c);
	wq_output(yes, "a", a);
	wq_output(no, "b", b);
	wq_node_add_body(n, yes);
	wq_node_add_body(n, no);
	gen_finish(x, n);
}

/* ---- wide: what the code generator has to get right besides ----------------------------------------- */

static bool gen_static_dims(const WqValue *v, int from)
{
	for (int d = from; d < v->type.rank; d++)
		if (!wq_dim_static(v->type.dim[d]) || v->type.dim[d] < 1 || v->type.dim[d] > 64)
			return false;
	return v->type.rank >= from;
}

static WqValue *gen_const_of(Gen *x, WqDtype t, int rank, const int64_t *dim)
{
	return wq_const(x->g, NULL, random_tensor(x->m, &x->r, t, rank, dim));
}

static void gen_more_unary(Gen *x)
{
	static const WqOp any[] = { OP_Exp, OP_Cos, OP_Atan, OP_Sinh, OP_Asinh, OP_Gelu, OP_Swish, OP_Erf, OP_Sigmoid, OP_Tanh };
	static const WqOp positive[] = { OP_Sqrt, OP_Log };
	WqValue *v = gen_pick(x, gen_below(x, 3) ? WQ_F32 : WQ_UNDEF, 0);
	if (!v || !wq_dtype_is_float(v->type.dtype))
		return;
	v = gen_keep(x, wq_build(x->g, OP_Tanh, 1, &v)); /* towers of Exp overflow */
	if (gen_below(x, 4)) {
		gen_finish(x, gen_node(x, any[gen_below(x, WQ_COUNTOF(any))], 1, v));
		return;
	}
	WqValue *mag = wq_build(x->g, OP_Abs, 1, &v);
	mag = wq_build(x->g, OP_Add, 2, (WqValue *[]){ mag, wq_const_scalar(x->g, v->type.dtype, 0.5) });
	gen_finish(x, gen_node(x, positive[gen_below(x, 2)], 1, mag));
}

static void gen_whole_binary(Gen *x)
{
	static const WqOp ops[] = { OP_BitwiseAnd, OP_BitwiseOr, OP_BitwiseXor, OP_Mul, OP_Sub };
	WqValue *v = gen_pick(x, gen_below(x, 2) ? WQ_I64 : WQ_I32, 0);
	if (!v)
		return;
	if (gen_below(x, 3) == 0) {
		int64_t by[] = { 3, -3, 7, 2, 5, -1 };
		gen_finish(x, gen_node(x, gen_below(x, 2) ? OP_Div : OP_Mod, 2, v, wq_const_int(x->g, v->type.dtype, by[gen_below(x, 6)])));
		return;
	}
	gen_finish(x, gen_node(x, ops[gen_below(x, WQ_COUNTOF(ops))], 2, v, gen_partner(x, v)));
}

static void gen_more_cast(Gen *x)
{
	static const WqDtype to[] = { WQ_F16, WQ_BF16, WQ_F64, WQ_F32, WQ_F32, WQ_I64, WQ_U8, WQ_I16 };
	WqValue *v = gen_pick(x, WQ_UNDEF, 0);
	bool from_float = wq_dtype_is_float(v->type.dtype);
	WqNode *n = gen_node(x, OP_Cast, 1, v);
	wq_set_i(n, "to", to[gen_below(x, from_float ? 5 : WQ_COUNTOF(to))]);
	gen_finish(x, n);
}

static void gen_pool(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 3);
	if (!v || v->type.rank > 5 || !gen_static_dims(v, 1))
		return;
	int s = v->type.rank - 2;
	int64_t kernel[3], strides[3], pads[6];
	for (int d = 0; d < s; d++) {
		kernel[d] = 1 + gen_below(x, v->type.dim[d + 2] < 3 ? (int)v->type.dim[d + 2] : 3);
		strides[d] = 1 + gen_below(x, 2);
		pads[d] = pads[d + s] = kernel[d] > 1 ? gen_below(x, 2) : 0;
	}
	bool most = gen_below(x, 2);
	WqNode *n = gen_node(x, most ? OP_MaxPool : OP_AveragePool, 1, v);
	wq_set_ints(n, "kernel", s, kernel);
	wq_set_ints(n, "strides", s, strides);
	wq_set_ints(n, "pads", 2 * s, pads);
	wq_set_i(n, "ceil_mode", gen_below(x, 3) == 0);
	if (!most)
		wq_set_i(n, "count_include_pad", gen_below(x, 2));
	gen_finish(x, n);
}

static void gen_norm(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 1);
	if (!v || !gen_static_dims(v, v->type.rank - 1))
		return;
	int64_t dim = v->type.dim[v->type.rank - 1];
	bool layer = gen_below(x, 2), bias = gen_below(x, 2);
	WqNode *n = gen_node(x, layer ? OP_LayerNormalization : OP_RMSNormalization, layer && bias ? 3 : 2, v, gen_const_of(x, WQ_F32, 1, &dim),
			 layer && bias ? gen_const_of(x, WQ_F32, 1, &dim) : NULL);
	wq_set_f(n, "epsilon", 0.01);
	gen_finish(x, n);
}

static void gen_more_conv(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 3);
	if (!v || v->type.rank > 5 || !gen_static_dims(v, 1))
		return;
	int s = v->type.rank - 2, c = (int)v->type.dim[1], how = gen_below(x, 4);
	int64_t dim[5], strides[3], dilations[3], pads[6], group = how == 0 ? c : 1;
	bool transposed = how == 3;
	int64_t made = how == 0 ? c * (1 + gen_below(x, 2)) : 1 + gen_below(x, 20);
	dim[0] = transposed ? c : made;
	dim[1] = transposed ? made : c / group;
	for (int d = 0; d < s; d++) {
		int64_t size = v->type.dim[d + 2];
		dim[d + 2] = 1 + gen_below(x, size < 3 ? (int)size : 3);
		strides[d] = 1 + gen_below(x, 2);
		dilations[d] = (dim[d + 2] - 1) * 2 < size ? 1 + gen_below(x, 2) : 1;
		pads[d] = dim[d + 2] > 1 && !transposed ? gen_below(x, 2) : 0;
		pads[d + s] = dim[d + 2] > 1 && !transposed ? gen_below(x, 2) : 0;
	}
	int64_t bias = made;
	WqValue *w = gen_const_of(x, WQ_F32, s + 2, dim), *b = gen_below(x, 2) ? gen_const_of(x, WQ_F32, 1, &bias) : NULL;
	WqNode *n = gen_node(x, transposed ? OP_ConvTranspose : OP_Conv, b ? 3 : 2, v, w, b);
	wq_set_ints(n, "strides", s, strides);
	wq_set_ints(n, "dilations", s, dilations);
	wq_set_ints(n, "pads", 2 * s, pads);
	wq_set_i(n, "group", group);
	gen_finish(x, n);
}

/* by its own transpose, or by weights of some width */
static void gen_more_matmul(Gen *x)
{
	WqValue *v = gen_pick(x, gen_below(x, 4) ? WQ_F32 : WQ_F64, 2);
	if (!v || !gen_static_dims(v, v->type.rank - 1))
		return;
	if (gen_below(x, 2)) {
		int64_t dim[] = { v->type.dim[v->type.rank - 1], 1 + gen_below(x, 40) };
		gen_finish(x, gen_node(x, OP_MatMul, 2, v, gen_const_of(x, v->type.dtype, 2, dim)));
		return;
	}
	int64_t perm[WQ_MAX_RANK];
	for (int d = 0; d < v->type.rank; d++)
		perm[d] = d < v->type.rank - 2 ? d : 2 * v->type.rank - 3 - d;
	WqNode *t = gen_node(x, OP_Transpose, 1, v);
	wq_set_ints(t, "perm", v->type.rank, perm);
	wq_node_finish(t, 1, NULL);
	gen_finish(x, gen_node(x, OP_MatMul, 2, v, t->out[0]));
}

static void gen_gather(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 1);
	if (!v)
		return;
	int axis = gen_below(x, v->type.rank);
	if (!wq_dim_static(v->type.dim[axis]) || v->type.dim[axis] < 1)
		return;
	int64_t dim[2] = { 1 + gen_below(x, 4), 1 + gen_below(x, 3) }, size = v->type.dim[axis];
	WqTensor *t = wq_tensor_new(x->m, gen_below(x, 2) ? WQ_I64 : WQ_I32, gen_below(x, 3), dim);
	for (int64_t i = 0; i < wq_tensor_count(t); i++)
		wq_tensor_set_i(t, i, gen_below(x, (int)(2 * size)) - size);
	WqNode *n = gen_node(x, OP_Gather, 2, v, wq_const(x->g, NULL, t));
	wq_set_i(n, "axis", axis);
	gen_finish(x, n);
}

static void gen_scan(Gen *x)
{
	WqValue *v = gen_pick(x, gen_below(x, 2) ? WQ_F32 : WQ_I32, 1);
	if (!v)
		return;
	WqNode *n = gen_node(x, OP_CumSum, 2, v, wq_const_int(x->g, WQ_I64, gen_below(x, v->type.rank)));
	wq_set_i(n, "exclusive", gen_below(x, 2));
	wq_set_i(n, "reverse", gen_below(x, 2));
	gen_finish(x, n);
}

/* of whole numbers: floats that are nearly equal change places */
static void gen_choose_index(Gen *x)
{
	WqValue *v = gen_pick(x, gen_below(x, 2) ? WQ_I64 : WQ_I32, 1);
	if (!v || !gen_static_dims(v, 0))
		return;
	int axis = gen_below(x, v->type.rank);
	if (gen_below(x, 2)) {
		WqNode *n = gen_node(x, gen_below(x, 2) ? OP_ArgMax : OP_ArgMin, 1, v);
		wq_set_i(n, "axis", axis);
		wq_set_i(n, "keepdims", gen_below(x, 2));
		wq_set_i(n, "select_last_index", gen_below(x, 2));
		gen_finish(x, n);
		return;
	}
	int64_t k = 1 + gen_below(x, (int)v->type.dim[axis]);
	WqNode *n = gen_node(x, OP_TopK, 2, v, wq_const_i64s(x->g, 1, &k));
	wq_set_i(n, "axis", axis);
	wq_set_i(n, "largest", gen_below(x, 2));
	wq_node_finish(n, 2, NULL);
	gen_keep(x, n->out[0]);
	gen_keep(x, n->out[1]);
}

static void gen_pad(Gen *x)
{
	static const char *const modes[] = { "constant", "reflect", "edge", "wrap" };
	WqValue *v = gen_pick(x, gen_below(x, 2) ? WQ_F32 : WQ_UNDEF, 1);
	int64_t pads[2 * WQ_MAX_RANK] = { 0 };
	if (!v || v->type.rank > 4 || !gen_static_dims(v, 0))
		return;
	int mode = gen_below(x, 4);
	for (int d = 0; d < v->type.rank; d++) {
		int most = mode && v->type.dim[d] < 3 ? (int)v->type.dim[d] : 3;
		pads[d] = gen_below(x, most);
		pads[d + v->type.rank] = gen_below(x, most) - (mode == 0 && v->type.dim[d] > 1 ? gen_below(x, 2) : 0);
	}
	WqNode *n = gen_node(x, OP_Pad, 2, v, wq_const_i64s(x->g, 2 * v->type.rank, pads));
	wq_set_s(n, "mode", modes[mode]);
	gen_finish(x, n);
}

static void gen_resize(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 3);
	if (!v || v->type.rank != 4 || !gen_static_dims(v, 1))
		return;
	int64_t dim = 4;
	WqTensor *t = wq_tensor_new(x->m, WQ_F32, 1, &dim);
	for (int d = 0; d < 4; d++)
		wq_tensor_set_f(t, d, d < 2 ? 1 : 1 + gen_below(x, 2));
	WqNode *n = gen_node(x, OP_Resize, 3, v, NULL, wq_const(x->g, NULL, t));
	wq_set_s(n, "mode", gen_below(x, 2) ? "nearest" : "linear");
	wq_set_s(n, "coordinate", gen_below(x, 2) ? "asymmetric" : "half_pixel");
	wq_set_s(n, "nearest", "floor");
	gen_finish(x, n);
}

static void gen_strided_slice(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_UNDEF, 1);
	if (!v)
		return;
	int64_t axis = gen_below(x, v->type.rank), size = v->type.dim[axis];
	if (size < 2)
		return;
	bool down = gen_below(x, 2);
	int64_t step = down ? -1 - gen_below(x, 2) : 2, from = down ? size - 1 : gen_below(x, 2), to = down ? -size - 1 : size;
	gen_finish(x, gen_node(x, OP_Slice, 5, v, wq_const_i64s(x->g, 1, &from), wq_const_i64s(x->g, 1, &to), wq_const_i64s(x->g, 1, &axis),
		       wq_const_i64s(x->g, 1, &step)));
}

/* acc = acc / 2 + v, some times; scans acc */
static void gen_loop(Gen *x)
{
	WqValue *v = gen_pick(x, WQ_F32, 0);
	if (!v || x->depth || v->type.rank > 4)
		return;
	int trips = gen_static_dims(v, 0) ? gen_below(x, 4) : 1 + gen_below(x, 3); /* one that never ran does not know all sizes */
	WqGraph *g = wq_graph_new(x->g);
	WqType counter = wq_type_tensor(WQ_I64, 0, NULL), flag = wq_type_tensor(WQ_BOOL, 0, NULL);
	wq_input(g, wq_sprintf(x->m->arena, "i%u", x->m->next_id), &counter);
	WqValue *go = wq_input(g, wq_sprintf(x->m->arena, "c%u", x->m->next_id), &flag);
	WqValue *acc = wq_input(g, wq_sprintf(x->m->arena, "a%u", x->m->next_id), &v->type);
	WqValue *half = wq_build(g, OP_Mul, 2, (WqValue *[]){ acc, wq_const_scalar(g, WQ_F32, 0.5) });
	WqValue *next = wq_build(g, OP_Add, 2, (WqValue *[]){ half, v });
	wq_output(g, "go", go);
	wq_output(g, "next", next);
	wq_output(g, "all", half);
	WqNode *n = gen_node(x, OP_Loop, 3, wq_const_int(x->g, WQ_I64, trips), wq_const_int(x->g, WQ_BOOL, 1), v);
	wq_node_add_body(n, g);
	wq_node_finish(n, 2, NULL);
	gen_keep(x, n->out[0]);
	gen_keep(x, n->out[1]);
}

static void gen_indices(Gen *x)
{
	WqValue *c = gen_pick(x, WQ_BOOL, 1);
	if (c)
		gen_finish(x, gen_node(x, OP_NonZero, 1, c));
}

static void gen_grow_wide(Gen *x, int n)
{
	static void (*const make[])(Gen *) = { gen_unary, gen_binary, gen_divide, gen_compare, gen_choose, gen_cast, gen_transpose, gen_reshape, gen_slice, gen_concat, gen_reduce,
					       gen_softmax, gen_expand, gen_matmul, gen_conv, gen_branches, gen_more_unary, gen_more_unary, gen_whole_binary, gen_more_cast,
					       gen_pool, gen_norm, gen_more_conv, gen_more_conv, gen_more_matmul, gen_gather, gen_scan, gen_choose_index, gen_pad, gen_resize,
					       gen_strided_slice, gen_loop, gen_indices, gen_binary };
	for (int i = 0; i < n; i++)
		make[gen_below(x, WQ_COUNTOF(make))](x);
}

static void gen_grow(Gen *x, int n)
{
	if (x->wide) {
		gen_grow_wide(x, n);
		return;
	}
	static void (*const make[])(Gen *) = { gen_unary,     gen_binary,  gen_binary, gen_divide,    gen_compare, gen_choose,  gen_cast,
					       gen_transpose, gen_reshape, gen_slice,  gen_concat,    gen_reduce,  gen_softmax, gen_expand,
					       gen_matmul,    gen_conv,    gen_unary,  gen_transpose, gen_branches };
	for (int i = 0; i < n; i++)
		make[gen_below(x, WQ_COUNTOF(make))](x);
}

/* Dimension d of an input: small, or wide: now and then past a vector's lanes. */
static int64_t gen_input_dim(Gen *x)
{
	if (!x->wide)
		return 1 + gen_below(x, 3);
	int how = gen_below(x, 12);
	return how < 8 ? 1 + gen_below(x, 5) : how < 11 ? 5 + gen_below(x, 15) : how == 11 && gen_below(x, 8) == 0 ? 0 : 30 + gen_below(x, 8);
}

static WqModule *random_graph_of(uint64_t seed, bool smooth, bool wide)
{
	WqModule *m = wq_module_new("random");
	Gen x = { .m = m, .g = m->main, .r = { seed * 7919 + 1 }, .smooth = smooth, .wide = wide };
	static const WqDtype types[] = { WQ_F32, WQ_F32, WQ_I32, WQ_BOOL, WQ_I64, WQ_F16, WQ_F64 };
	int n_in = wide ? WQ_COUNTOF(types) : 4;
	WqDim n = wq_dim_sym(m, "N");
	wq_dim_bound(m, n, 1, 4);
	for (int i = 0; i < n_in; i++) {
		WqDim dim[4];
		int rank = i == 0 ? 4 : gen_below(&x, 4);
		for (int d = 0; d < rank; d++)
			dim[d] = d == 0 && gen_below(&x, 3) == 0 ? n : gen_input_dim(&x);
		WqType t = wq_type_tensor(types[i], rank, dim);
		gen_keep(&x, wq_input(m->main, wq_sprintf(m->arena, "x%d", i), &t));
	}
	gen_grow(&x, 12 + gen_below(&x, 24));
	int outputs = 0;
	for (int i = x.pool.n - 1; i >= n_in && outputs < 4; i--)
		if (!x.pool.v[i]->uses.n || outputs == 0)
			wq_output(m->main, wq_sprintf(m->arena, "y%d", outputs++), x.pool.v[i]);
	m->fold = wq_engine_fold;
	return m;
}

static inline WqModule *random_graph(uint64_t seed, bool smooth) { return random_graph_of(seed, smooth, false); }
static inline WqModule *random_graph_wide(uint64_t seed) { return random_graph_of(seed, true, true); }

#endif
