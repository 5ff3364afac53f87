/* lower_elementwise.c: operators that map one to one or two to core elementwise operators. */
#include "frontend/lower.h"

/* ---- one operand ----------------------------------------------------------------------------- */

/* 8-bit floats are storage: they compute as f32, into which they all fit. */
static WqValue *widen_f8(Lower *L, WqValue *x)
{
	WqDtype t = lo_type_of(x);
	return wq_dtype_is_float(t) && !wq_dtype_in(t, WQ_M_FLOAT) ? lo_cast(L, x, WQ_F32) : x;
}

WqValue *lo_wide(Lower *L, WqValue *x)
{
	WqDtype t = lo_type_of(x);
	return t == WQ_F16 || t == WQ_BF16 ? lo_cast(L, x, WQ_F32) : widen_f8(L, x);
}

/* Erf, of all functions, is defined for integers too. */
void lower_unary(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	WqOp op = wq_op_find(L->op);
	WqDtype t = lo_type_of(x);
	if (op == OP_IsNaN)
		x = widen_f8(L, x);
	if (wq_dtype_is_int(t) && !wq_dtype_in(t, wq_op(op)->mask))
		lo_out(L, 0, lo_cast(L, lo1(L, op, lo_cast(L, x, WQ_F64)), t));
	else
		lo_out(L, 0, lo1(L, op, x));
}

void lower_IsInf(Lower *L)
{
	WqNode *n = lo_node(L, OP_IsInf, 1, widen_f8(L, lo_need(L, 0)));
	wq_set_i(n, "detect_negative", lo_i(L, "detect_negative", 1) != 0);
	wq_set_i(n, "detect_positive", lo_i(L, "detect_positive", 1) != 0);
	lo_out(L, 0, lo_result(L, n));
}

void lower_Reciprocal(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, lo2(L, OP_Div, lo_like(L, x, 1), x));
}

void lower_Gelu(Lower *L)
{
	WqNode *n = lo_node(L, OP_Gelu, 1, lo_need(L, 0));
	const char *how = lo_s(L, "approximate", "none");
	if (strcmp(how, "none") && strcmp(how, "tanh"))
		lo_bad(L, "approximate is \"%s\": expected \"none\" or \"tanh\"", how);
	wq_set_s(n, "approximate", how);
	lo_out(L, 0, lo_result(L, n));
}

static WqValue *swish(Lower *L, WqValue *x)
{
	WqNode *n = lo_node(L, OP_Swish, 1, x);
	wq_set_f(n, "alpha", lo_f(L, "alpha", 1));
	return lo_result(L, n);
}

void lower_Swish(Lower *L)
{
	lo_out(L, 0, swish(L, lo_need(L, 0)));
}

void lower_SwiGLU(Lower *L)
{
	lo_out(L, 0, lo2(L, OP_Mul, swish(L, lo_need(L, 0)), lo_need(L, 1)));
}

/* ---- two operands ---------------------------------------------------------------------------- */

/* Before version 7 the second operand is broadcast to the first one's shape only when `broadcast` says so: its
 * shape is a contiguous part of the first one's that starts at `axis` (its end, if absent), or it has a single
 * element. */
static WqValue *align_legacy(Lower *L, WqValue *a, WqValue *b)
{
	if (!lo_i(L, "broadcast", 0) || !lo_has(L, "axis"))
		return b;
	int ra = lo_rank(L, a), rb = lo_rank(L, b);
	if (wq_type_count(L->m, &b->type) == 1)
		return lo_reshape(L, b, 0, NULL);
	int axis = lo_axis(L, lo_i(L, "axis", 0), ra);
	if (axis + rb > ra)
		lo_bad(L, "axis %d leaves no room for the second operand's rank %d in rank %d", axis, rb, ra);
	WqDim dim[WQ_MAX_RANK];
	for (int i = 0; i < ra - axis; i++)
		dim[i] = i < rb ? b->type.dim[i] : 1;
	return lo_reshape(L, b, ra - axis, dim);
}

static WqValue *binary(Lower *L, WqOp op, WqValue *a, WqValue *b)
{
	if (L->version < 7)
		b = align_legacy(L, a, b);
	return lo2(L, op, a, b);
}

void lower_binary(Lower *L)
{
	lo_out(L, 0, binary(L, wq_op_find(L->op), lo_need(L, 0), lo_need(L, 1)));
}

/* b is aligned with a before they change places */
static void swapped(Lower *L, WqOp op)
{
	WqValue *a = lo_need(L, 0), *b = lo_need(L, 1);
	if (L->version < 7)
		b = align_legacy(L, a, b);
	lo_out(L, 0, lo2(L, op, b, a));
}

void lower_Greater(Lower *L)
{
	swapped(L, OP_Less);
}

void lower_GreaterOrEqual(Lower *L)
{
	swapped(L, OP_LessOrEqual);
}

void lower_Mod(Lower *L)
{
	WqNode *n = lo_node(L, OP_Mod, 2, lo_need(L, 0), lo_need(L, 1));
	wq_set_i(n, "fmod", lo_i(L, "fmod", 0) != 0);
	lo_out(L, 0, lo_result(L, n));
}

void lower_BitShift(Lower *L)
{
	const char *way = lo_s(L, "direction", "");
	if (strcmp(way, "LEFT") && strcmp(way, "RIGHT"))
		lo_bad(L, "direction is \"%s\": expected \"LEFT\" or \"RIGHT\"", way);
	WqNode *n = lo_node(L, OP_BitShift, 2, lo_need(L, 0), lo_need(L, 1));
	wq_set_i(n, "left", way[0] == 'L');
	lo_out(L, 0, lo_result(L, n));
}

/* ---- any number of operands ------------------------------------------------------------------ */

static WqValue *chain(Lower *L, WqOp op)
{
	WqValue *v = lo_need(L, 0);
	for (int i = 1; i < lo_n_in(L); i++)
		v = lo2(L, op, v, lo_need(L, i));
	return v;
}

void lower_Min(Lower *L)
{
	lo_out(L, 0, chain(L, OP_Min));
}

void lower_Max(Lower *L)
{
	lo_out(L, 0, chain(L, OP_Max));
}

void lower_Sum(Lower *L)
{
	lo_out(L, 0, chain(L, OP_Add));
}

void lower_Mean(Lower *L)
{
	WqValue *sum = chain(L, OP_Add);
	lo_out(L, 0, lo_n_in(L) > 1 ? lo2(L, OP_Div, sum, lo_like(L, sum, lo_n_in(L))) : sum);
}

/* A bound of Clip: an attribute before version 11 (absent: the type's own limit), a scalar operand since. */
static WqValue *bound(Lower *L, WqValue *x, const char *attr, int operand)
{
	if (L->version < 11)
		return lo_has(L, attr) ? lo_like(L, x, lo_f(L, attr, 0)) : NULL;
	WqValue *v = lo_in(L, operand);
	return v && v->type.rank > 0 ? lo_reshape(L, v, 0, NULL) : v;
}

void lower_Clip(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	WqValue *lo = bound(L, x, "min", 1), *hi = bound(L, x, "max", 2);
	if (lo)
		x = lo2(L, OP_Max, x, lo);
	if (hi)
		x = lo2(L, OP_Min, x, hi);
	lo_out(L, 0, x);
}
