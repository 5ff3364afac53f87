/* lower_math.c: matrix products and their fused forms, determinants. */
#include <math.h>

#include "frontend/lower.h"

void lower_MatMul(Lower *L)
{
	lo_out(L, 0, lo2(L, OP_MatMul, lo_need(L, 0), lo_need(L, 1)));
}

/* x * by, for an attribute `by`; integers go through f64 when it is not a whole number. */
static WqValue *scaled(Lower *L, WqValue *x, double by)
{
	WqDtype t = lo_type_of(x);
	if (by == 1)
		return x;
	if (wq_dtype_is_float(t) || by == (double)(int64_t)by)
		return lo2(L, OP_Mul, x, lo_like(L, x, by));
	return lo_cast(L, lo2(L, OP_Mul, lo_cast(L, x, WQ_F64), lo_scalar(L, WQ_F64, by)), t);
}

static WqValue *matrix(Lower *L, int operand, const char *transpose)
{
	WqValue *v = lo_need(L, operand);
	if (lo_rank(L, v) != 2)
		lo_bad(L, "operand %d has rank %d instead of 2", operand, lo_rank(L, v));
	return lo_i(L, transpose, 0) ? lo_swap_last(L, v) : v;
}

/* alpha * A' * B' + beta * C; C broadcasts, in the versions before 7 without saying `broadcast` too */
static WqValue *gemm(Lower *L)
{
	WqValue *y = lo2(L, OP_MatMul, matrix(L, 0, "transA"), matrix(L, 1, "transB"));
	WqValue *c = L->version < 11 && !*L->def->domain ? lo_need(L, 2) : lo_in(L, 2);
	double beta = lo_f(L, "beta", 1);
	y = scaled(L, y, lo_f(L, "alpha", 1));
	return c && beta != 0 ? lo2(L, OP_Add, y, scaled(L, c, beta)) : y;
}

void lower_Gemm(Lower *L)
{
	lo_out(L, 0, gemm(L));
}

void lower_ms_FusedGemm(Lower *L)
{
	WqValue *y = gemm(L);
	const char *act = lo_s(L, "activation", "");
	if (*act)
		y = lo_activation(L, y, act, lo_f(L, "activation_alpha", NAN), lo_f(L, "activation_beta", NAN));
	lo_out(L, 0, y);
}

/* An operand of FusedMatMul: first its axis 0 moves behind the batch axes (transBatch), then the last two change
 * places. */
static WqValue *fused_operand(Lower *L, int operand, const char *trans, const char *trans_batch)
{
	WqValue *v = lo_need(L, operand);
	int rank = lo_rank(L, v);
	if (rank > 2 && lo_i(L, trans_batch, 0)) {
		int64_t perm[WQ_MAX_RANK];
		for (int i = 0; i < rank; i++)
			perm[i] = i < rank - 2 ? i + 1 : i == rank - 2 ? 0 : i;
		v = lo_transpose(L, v, rank, perm);
	}
	return rank > 1 && lo_i(L, trans, 0) ? lo_swap_last(L, v) : v;
}

void lower_ms_FusedMatMul(Lower *L)
{
	WqValue *a = fused_operand(L, 0, "transA", "transBatchA"), *b = fused_operand(L, 1, "transB", "transBatchB");
	lo_out(L, 0, scaled(L, lo2(L, OP_MatMul, a, b), lo_f(L, "alpha", 1)));
}

void lower_ms_TransposeMatMul(Lower *L)
{
	lower_ms_FusedMatMul(L);
}

void lower_Det(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, lo_cast(L, lo1(L, OP_Det, lo_wide(L, x)), lo_type_of(x)));
}

void lower_ms_Inverse(Lower *L)
{
	lo_out(L, 0, lo1(L, OP_Inverse, lo_need(L, 0)));
}
