/* lower_qlinear.c: com.microsoft's QLinear*: an operator between DequantizeLinear and QuantizeLinear. */
#include "frontend/lower_quant.h"
#include "frontend/lower_window.h"

/* Operands at, at+1, at+2 are a tensor, its scale and its zero point. */
static WqValue *dequantized(Lower *L, int at)
{
	return lq_dequantize(L, lo_need(L, at), lo_need(L, at + 1), lo_in(L, at + 2));
}

/* Operands at, at+1 are the result's scale and zero point; its type is `like`'s where there is no zero point. */
static void out_quantized(Lower *L, WqValue *y, int at, WqValue *like)
{
	WqValue *zp = lo_in(L, at + 1);
	lo_out(L, 0, lq_quantize(L, y, lo_need(L, at), zp, lo_type_of(zp ? zp : like)));
}

void lower_ms_QLinearAdd(Lower *L)
{
	out_quantized(L, lo2(L, OP_Add, dequantized(L, 0), dequantized(L, 3)), 6, lo_need(L, 0));
}

void lower_ms_QLinearMul(Lower *L)
{
	out_quantized(L, lo2(L, OP_Mul, dequantized(L, 0), dequantized(L, 3)), 6, lo_need(L, 0));
}

void lower_ms_QLinearSigmoid(Lower *L)
{
	out_quantized(L, lo1(L, OP_Sigmoid, dequantized(L, 0)), 3, lo_need(L, 0));
}

void lower_ms_QLinearLeakyRelu(Lower *L)
{
	WqValue *y = lo_activation(L, dequantized(L, 0), "LeakyRelu", lo_f(L, "alpha", 0.01f), 0);
	out_quantized(L, y, 3, lo_need(L, 0));
}

void lower_ms_QLinearSoftmax(Lower *L)
{
	WqValue *y = lo_softmax(L, dequantized(L, 0), lo_i(L, "axis", -1), lo_i(L, "opset", 13) < 13);
	out_quantized(L, y, 3, lo_need(L, 0));
}

void lower_ms_QLinearReduceMean(Lower *L)
{
	int n;
	const int64_t *axes = lo_ints(L, "axes", &n);
	WqValue *y = lo_reduce(L, OP_ReduceMean, dequantized(L, 0), n, axes, lo_i(L, "keepdims", 1) != 0);
	out_quantized(L, y, 3, lo_need(L, 0));
}

void lower_ms_QLinearAveragePool(Lower *L)
{
	bool last = lo_i(L, "channels_last", 0) != 0;
	WqValue *x = dequantized(L, 0);
	WqNode *n = lo_pool(L, OP_AveragePool, last ? lo_move_channels(L, x, false) : x);
	wq_set_i(n, "count_include_pad", lo_i(L, "count_include_pad", 0) != 0);
	WqValue *y = lo_result(L, n);
	out_quantized(L, last ? lo_move_channels(L, y, true) : y, 3, lo_need(L, 0));
}

void lower_ms_QLinearGlobalAveragePool(Lower *L)
{
	WqValue *x = dequantized(L, 0);
	int first = lo_i(L, "channels_last", 0) ? 1 : 2, n = lo_rank(L, x) - 2;
	if (n < 1)
		lo_bad(L, "the input has rank %d, at least 3 is needed", n + 2);
	int64_t axes[WQ_MAX_RANK];
	for (int i = 0; i < n; i++)
		axes[i] = first + i;
	out_quantized(L, lo_reduce(L, OP_ReduceMean, x, n, axes, true), 3, lo_need(L, 0));
}

/* y_scale, y_zero, then a tensor, its scale and zero point for each part */
void lower_ms_QLinearConcat(Lower *L)
{
	int n = (lo_n_in(L) - 2) / 3;
	if (n < 1 || 2 + 3 * n != lo_n_in(L))
		lo_bad(L, "%d operands: two and then three for each part are needed", lo_n_in(L));
	WqValue **part = WQ_NEW_N(L->m->arena, WqValue *, n);
	for (int i = 0; i < n; i++)
		part[i] = dequantized(L, 2 + 3 * i);
	int axis = lo_axis(L, lo_i(L, "axis", 0), lo_rank(L, part[0]));
	out_quantized(L, lo_concat(L, axis, n, part), 0, lo_need(L, 2));
}

void lower_ms_QLinearWhere(Lower *L)
{
	out_quantized(L, lo3(L, OP_Where, lo_need(L, 0), dequantized(L, 1), dequantized(L, 4)), 7, lo_need(L, 1));
}
