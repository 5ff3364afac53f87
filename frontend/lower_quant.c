/* lower_quant.c: QuantizeLinear and DequantizeLinear, and the operators on quantized integers: exact in i32, then
 * scaled. */
#include "frontend/lower_quant.h"
#include "frontend/lower_window.h"

/* ---- building blocks ------------------------------------------------------------------------- */

WqValue *lq_scalar(Lower *L, WqValue *v)
{
	return v && v->type.rank > 0 && wq_type_count(L->m, &v->type) == 1 ? lo_reshape(L, v, 0, NULL) : v;
}

static WqNode *dequantize_node(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point, WqDtype to)
{
	WqNode *n = lo_node(L, OP_DequantizeLinear, 3, x, scale, zero_point);
	wq_set_i(n, "to", to);
	return n;
}

WqValue *lq_dequantize(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point)
{
	scale = lq_scalar(L, scale);
	return lo_result(L, dequantize_node(L, x, scale, lq_scalar(L, zero_point), lo_type_of(scale)));
}

WqValue *lq_dequantize_blocks(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point, int axis, int64_t block,
	WqDtype to)
{
	WqNode *n = dequantize_node(L, x, scale, zero_point, to);
	wq_set_i(n, "axis", axis);
	wq_set_i(n, "block_size", block);
	return lo_result(L, n);
}

WqValue *lq_quantize(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point, WqDtype to)
{
	WqNode *n = lo_node(L, OP_QuantizeLinear, 3, x, lq_scalar(L, scale), lq_scalar(L, zero_point));
	wq_set_i(n, "to", to);
	return lo_result(L, n);
}

WqValue *lq_centre(Lower *L, WqValue *x, WqValue *zero_point)
{
	WqDtype t = wq_dtype_is_int(lo_type_of(x)) ? WQ_I32 : WQ_F32;
	double zero;
	x = lo_cast(L, x, t);
	if (!zero_point || (lo_const_scalar(L, zero_point, &zero) && zero == 0))
		return x;
	return lo2(L, OP_Sub, x, lo_cast(L, zero_point, t));
}

/* ---- QuantizeLinear, DequantizeLinear -------------------------------------------------------- */

/* A type attribute, 0 of which means that it is not there. */
static WqDtype optional_dtype(Lower *L, const char *attr, WqDtype otherwise)
{
	return lo_i(L, attr, 0) ? lo_dtype(L, attr, otherwise) : otherwise;
}

/* Axis and block size for a scale that is not a scalar. A vector has only one axis, whatever `axis` says. */
static void set_axis(Lower *L, WqNode *n, WqValue *x, int64_t block)
{
	int rank = lo_rank(L, x);
	int64_t axis = lo_i(L, "axis", 1);
	if (block < 0)
		lo_bad(L, "block_size is %lld", (long long)block);
	wq_set_i(n, "axis", rank == 1 ? 0 : lo_axis(L, axis, rank));
	if (block)
		wq_set_i(n, "block_size", block);
}

void lower_QuantizeLinear(Lower *L)
{
	WqValue *x = lo_need(L, 0), *scale = lo_need(L, 1), *zp = lo_in(L, 2);
	int64_t block = lo_i(L, "block_size", 0);
	if (!block) {
		scale = lq_scalar(L, scale);
		zp = lq_scalar(L, zp);
	}
	WqNode *n = lo_node(L, OP_QuantizeLinear, 3, x, scale, zp);
	wq_set_i(n, "to", zp ? lo_type_of(zp) : optional_dtype(L, "output_dtype", WQ_U8));
	wq_set_i(n, "saturate", lo_i(L, "saturate", 1) != 0);
	WqDtype precision = optional_dtype(L, "precision", WQ_UNDEF);
	if (precision)
		wq_set_i(n, "precision", precision);
	if (lo_rank(L, scale) > 0)
		set_axis(L, n, x, block);
	lo_out(L, 0, lo_result(L, n));
}

void lower_DequantizeLinear(Lower *L)
{
	WqValue *x = lo_need(L, 0), *scale = lo_need(L, 1), *zp = lo_in(L, 2);
	int64_t block = lo_i(L, "block_size", 0);
	if (!block) {
		scale = lq_scalar(L, scale);
		zp = lq_scalar(L, zp);
	}
	/* a scale that is a power of two and nothing else cannot be the type of the result */
	WqDtype of_scale = lo_type_of(scale) == WQ_F8E8M0 ? WQ_F32 : lo_type_of(scale);
	WqNode *n = dequantize_node(L, x, scale, zp, optional_dtype(L, "output_dtype", of_scale));
	if (lo_rank(L, scale) > 0)
		set_axis(L, n, x, block);
	lo_out(L, 0, lo_result(L, n));
}

void lower_ms_QuantizeLinear(Lower *L)
{
	lower_QuantizeLinear(L);
}

void lower_ms_DequantizeLinear(Lower *L)
{
	lower_DequantizeLinear(L);
}

typedef struct Dynamic {
	WqValue *y, *scale, *zero_point;
} Dynamic;

/* x as u8 over its own range, which 0 always belongs to. */
static Dynamic quantize_dynamic(Lower *L, WqValue *x)
{
	WqValue *zero = lo_like(L, x, 0);
	WqValue *hi = lo2(L, OP_Max, lo_reduce(L, OP_ReduceMax, x, 0, NULL, false), zero);
	WqValue *lo = lo2(L, OP_Min, lo_reduce(L, OP_ReduceMin, x, 0, NULL, false), zero);
	WqValue *range = lo2(L, OP_Sub, hi, lo);
	range = lo3(L, OP_Where, lo2(L, OP_Equal, range, zero), lo_like(L, x, 1), range);
	Dynamic d;
	d.scale = lo2(L, OP_Div, range, lo_like(L, x, 255));
	d.zero_point = lq_quantize(L, lo1(L, OP_Neg, lo), d.scale, NULL, WQ_U8);
	d.y = lq_quantize(L, x, d.scale, d.zero_point, WQ_U8);
	return d;
}

void lower_DynamicQuantizeLinear(Lower *L)
{
	Dynamic d = quantize_dynamic(L, lo_need(L, 0));
	lo_out(L, 0, d.y);
	lo_out(L, 1, d.scale);
	lo_out(L, 2, d.zero_point);
}

/* ---- integer products ------------------------------------------------------------------------ */

/* A parameter of the left factor: a vector of it belongs to the rows. */
static WqValue *by_row(Lower *L, WqValue *v)
{
	v = lq_scalar(L, v);
	return v && lo_rank(L, v) == 1 ? lo_unsqueeze(L, v, 1, (int64_t[]){ 1 }) : v;
}

static WqValue *integer_product(Lower *L, WqValue *a, WqValue *a_zero, WqValue *b, WqValue *b_zero)
{
	return lo2(L, OP_MatMul, lq_centre(L, a, by_row(L, a_zero)), lq_centre(L, b, lq_scalar(L, b_zero)));
}

void lower_MatMulInteger(Lower *L)
{
	lo_out(L, 0, integer_product(L, lo_need(L, 0), lo_in(L, 2), lo_need(L, 1), lo_in(L, 3)));
}

/* a_scale * b_scale / y_scale in f32; y_scale may be NULL */
static WqValue *multiplier(Lower *L, WqValue *a_scale, WqValue *b_scale, WqValue *y_scale)
{
	WqValue *m = lo2(L, OP_Mul, lo_wide(L, a_scale), lo_wide(L, b_scale));
	return y_scale ? lo2(L, OP_Div, m, lo_wide(L, y_scale)) : m;
}

static WqValue *scaled(Lower *L, WqValue *sum, WqValue *by)
{
	return lo2(L, OP_Mul, lo_cast(L, sum, lo_type_of(by)), by);
}

/* round(sum * by) + zero_point, saturated */
static WqValue *requantize(Lower *L, WqValue *sum, WqValue *by, WqValue *zero_point, WqDtype to)
{
	zero_point = lq_scalar(L, zero_point);
	if (zero_point && lo_rank(L, zero_point) > 0)
		lo_unsupported(L, "a zero point of the result that is not a scalar");
	return lq_quantize(L, scaled(L, sum, by), lo_scalar(L, WQ_F32, 1), zero_point, to);
}

void lower_QLinearMatMul(Lower *L)
{
	WqValue *a = lo_need(L, 0), *y_zero = lo_in(L, 7);
	WqValue *sum = integer_product(L, a, lo_in(L, 2), lo_need(L, 3), lo_in(L, 5));
	WqValue *by = multiplier(L, by_row(L, lo_need(L, 1)), lq_scalar(L, lo_need(L, 4)), lq_scalar(L, lo_need(L, 6)));
	lo_out(L, 0, requantize(L, sum, by, y_zero, lo_type_of(y_zero ? y_zero : a)));
}

static WqValue *maybe_transposed(Lower *L, WqValue *v, const char *attr)
{
	return lo_i(L, attr, 0) ? lo_swap_last(L, v) : v;
}

/* A, a_scale, a_zero, B, b_scale, b_zero, C (in units of alpha * a_scale * b_scale), y_scale, y_zero */
void lower_ms_QGemm(Lower *L)
{
	WqValue *a = maybe_transposed(L, lo_need(L, 0), "transA"), *b = maybe_transposed(L, lo_need(L, 3), "transB");
	WqValue *sum = integer_product(L, a, lo_in(L, 2), b, lo_in(L, 5));
	WqValue *y_scale = lq_scalar(L, lo_in(L, 7)), *y_zero = lo_in(L, 8);
	if (lo_in(L, 6))
		sum = lo2(L, OP_Add, sum, lo_in(L, 6));
	WqValue *a_scale = lq_scalar(L, lo_need(L, 1));
	double alpha = lo_f(L, "alpha", 1);
	if (alpha != 1)
		a_scale = lo2(L, OP_Mul, a_scale, lo_like(L, a_scale, alpha));
	WqValue *by = multiplier(L, a_scale, lq_scalar(L, lo_need(L, 4)), y_scale);
	if (y_scale)
		lo_out(L, 0, requantize(L, sum, by, y_zero, lo_type_of(y_zero ? y_zero : a)));
	else
		lo_out(L, 0, scaled(L, sum, by));
}

static WqValue *plus_bias(Lower *L, WqValue *y, WqValue *bias)
{
	return bias ? lo2(L, OP_Add, y, bias) : y;
}

/* A, B, a_scale, b_scale, a_zero, b_zero, bias */
void lower_ms_MatMulIntegerToFloat(Lower *L)
{
	WqValue *sum = integer_product(L, lo_need(L, 0), lo_in(L, 4), lo_need(L, 1), lo_in(L, 5));
	WqValue *a_scale = lo_need(L, 2);
	WqValue *y = scaled(L, sum, multiplier(L, by_row(L, a_scale), lq_scalar(L, lo_need(L, 3)), NULL));
	lo_out(L, 0, plus_bias(L, lo_cast(L, y, lo_type_of(a_scale)), lo_in(L, 6)));
}

/* A (float), B, b_scale, b_zero, bias */
void lower_ms_DynamicQuantizeMatMul(Lower *L)
{
	Dynamic d = quantize_dynamic(L, lo_need(L, 0));
	WqValue *sum = integer_product(L, d.y, d.zero_point, lo_need(L, 1), lo_in(L, 3));
	WqValue *y = scaled(L, sum, multiplier(L, d.scale, lq_scalar(L, lo_need(L, 2)), NULL));
	lo_out(L, 0, plus_bias(L, y, lo_in(L, 4)));
}

/* ---- integer convolutions -------------------------------------------------------------------- */

/* A parameter of the weights: a vector of it belongs to the output channels, axis 0 of `rank`. */
static WqValue *by_filter(Lower *L, WqValue *v, int rank)
{
	v = lq_scalar(L, v);
	if (!v || lo_rank(L, v) == 0)
		return v;
	WqDim dim[WQ_MAX_RANK];
	for (int i = 0; i < rank; i++)
		dim[i] = i ? 1 : lo_dim(L, v, 0);
	return lo_reshape(L, v, rank, dim);
}

/* Padding with 0 after the zero point is gone is padding with the zero point. */
static WqValue *integer_conv(Lower *L, WqValue *x, WqValue *x_zero, WqValue *w, WqValue *w_zero, WqValue *bias)
{
	w = lq_centre(L, w, by_filter(L, w_zero, lo_rank(L, w)));
	return lo_conv(L, lq_centre(L, x, lq_scalar(L, x_zero)), w, bias);
}

void lower_ConvInteger(Lower *L)
{
	lo_out(L, 0, integer_conv(L, lo_need(L, 0), lo_in(L, 2), lo_need(L, 1), lo_in(L, 3), NULL));
}

static WqValue *qlinear_conv(Lower *L, WqValue *x)
{
	WqValue *w_scale = lq_scalar(L, lo_need(L, 4)), *y_zero = lo_in(L, 7);
	WqValue *sum = integer_conv(L, x, lo_in(L, 2), lo_need(L, 3), lo_in(L, 5), lo_in(L, 8));
	if (lo_rank(L, w_scale) > 0)
		w_scale = lo_per_channel(L, w_scale, lo_rank(L, sum));
	WqValue *by = multiplier(L, lq_scalar(L, lo_need(L, 1)), w_scale, lq_scalar(L, lo_need(L, 6)));
	return requantize(L, sum, by, y_zero, lo_type_of(y_zero ? y_zero : x));
}

void lower_QLinearConv(Lower *L)
{
	lo_out(L, 0, qlinear_conv(L, lo_need(L, 0)));
}

void lower_ms_QLinearConv(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	if (lo_i(L, "channels_last", 0))
		lo_out(L, 0, lo_move_channels(L, qlinear_conv(L, lo_move_channels(L, x, false)), true));
	else
		lo_out(L, 0, qlinear_conv(L, x));
}
