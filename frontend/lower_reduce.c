/* lower_reduce.c: Reduce*: the axes were an attribute, then became an operand (ReduceSum at 13, the others at 18). */
#include "frontend/lower.h"

typedef struct Reduce {
	Lower *L;
	WqValue *axes; /* NULL: all of them */
	bool keepdims, noop;
} Reduce;

static Reduce read_reduce(Lower *L)
{
	Reduce r = { L, NULL, lo_i(L, "keepdims", 1) != 0, false };
	if (L->version >= (strcmp(L->op, "ReduceSum") ? 18 : 13)) {
		r.axes = lo_in(L, 1);
		r.noop = lo_i(L, "noop_with_empty_axes", 0) != 0;
		if (r.axes && r.axes->type.rank == 0)
			r.axes = lo_reshape(L, r.axes, 1, (WqDim[]){ 1 });
		return r;
	}
	int n;
	const int64_t *axes = lo_ints(L, "axes", &n);
	if (n)
		r.axes = lo_i64s(L, n, axes);
	return r;
}

static WqValue *reduce_keep(const Reduce *r, WqOp op, WqValue *x, bool keepdims)
{
	WqNode *n = lo_node(r->L, op, 2, x, r->axes);
	wq_set_i(n, "keepdims", keepdims);
	wq_set_i(n, "noop_with_empty_axes", r->noop);
	return lo_result(r->L, n);
}

static WqValue *reduce(const Reduce *r, WqOp op, WqValue *x)
{
	return reduce_keep(r, op, x, r->keepdims);
}

static void direct(Lower *L, WqOp op)
{
	Reduce r = read_reduce(L);
	lo_out(L, 0, reduce(&r, op, lo_need(L, 0)));
}

void lower_ReduceSum(Lower *L)
{
	direct(L, OP_ReduceSum);
}

void lower_ReduceMean(Lower *L)
{
	direct(L, OP_ReduceMean);
}

void lower_ReduceProd(Lower *L)
{
	direct(L, OP_ReduceProd);
}

void lower_ReduceMax(Lower *L)
{
	direct(L, OP_ReduceMax);
}

void lower_ReduceMin(Lower *L)
{
	direct(L, OP_ReduceMin);
}

void lower_ReduceL1(Lower *L)
{
	Reduce r = read_reduce(L);
	lo_out(L, 0, reduce(&r, OP_ReduceSum, lo1(L, OP_Abs, lo_need(L, 0))));
}

static WqValue *sum_square(const Reduce *r, WqValue *x)
{
	return reduce(r, OP_ReduceSum, lo2(r->L, OP_Mul, x, x));
}

void lower_ReduceSumSquare(Lower *L)
{
	Reduce r = read_reduce(L);
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, lo_cast(L, sum_square(&r, lo_wide(L, x)), lo_type_of(x)));
}

/* A float to take roots and logarithms of: integers go through f64, and the result is cut off. */
static WqValue *as_float(Lower *L, WqValue *x)
{
	return wq_dtype_is_int(lo_type_of(x)) ? lo_cast(L, x, WQ_F64) : lo_wide(L, x);
}

void lower_ReduceL2(Lower *L)
{
	Reduce r = read_reduce(L);
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, lo_cast(L, lo1(L, OP_Sqrt, sum_square(&r, as_float(L, x))), lo_type_of(x)));
}

void lower_ReduceLogSum(Lower *L)
{
	Reduce r = read_reduce(L);
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, lo_cast(L, lo1(L, OP_Log, reduce(&r, OP_ReduceSum, as_float(L, x))), lo_type_of(x)));
}

/* m + log(sum(exp(x - m))) with m the maximum, or 0 where that is infinite: then the sum itself says -inf (also of
 * nothing) or inf. */
void lower_ReduceLogSumExp(Lower *L)
{
	Reduce r = read_reduce(L);
	WqValue *x = as_float(L, lo_need(L, 0));
	WqValue *m = reduce_keep(&r, OP_ReduceMax, x, true);
	m = lo3(L, OP_Where, lo1(L, OP_IsInf, m), lo_like(L, m, 0), m);
	WqValue *s = lo1(L, OP_Log, reduce(&r, OP_ReduceSum, lo1(L, OP_Exp, lo2(L, OP_Sub, x, m))));
	if (!r.keepdims)
		m = s->type.rank < 0 ? lo2(L, OP_Reshape, m, lo1(L, OP_Shape, s)) :
			lo_reshape(L, m, s->type.rank, s->type.dim);
	lo_out(L, 0, lo_cast(L, lo2(L, OP_Add, s, m), lo_type_of(lo_need(L, 0))));
}
