/* lower_quant.h: what the lowerings of quantized operators share. */
#ifndef WQ_LOWER_QUANT_H
#define WQ_LOWER_QUANT_H

#include "frontend/lower.h"

/* A scale or zero point of one element as a scalar; others, and NULL, as they are. */
WqValue *lq_scalar(Lower *L, WqValue *v);
/* Per-tensor; zero_point may be NULL. */
WqValue *lq_dequantize(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point);
WqValue *lq_quantize(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point, WqDtype to);
/* x - zero_point, exactly: in i32, or f32 for 8-bit floats. The zero point must broadcast. */
WqValue *lq_centre(Lower *L, WqValue *x, WqValue *zero_point);
/* Blocked along an axis: scale has ceil(dim / block) elements there. */
WqValue *lq_dequantize_blocks(Lower *L, WqValue *x, WqValue *scale, WqValue *zero_point, int axis, int64_t block,
	WqDtype to);

/* The numbers of `bits` bits in a tensor of bytes seen as rows (low bits first, or high nibble first), of which
 * the first `keep` of each row count: [rows, keep], of the type of that width when the bytes are constant (a view
 * if it can be), else u8. */
WqValue *lq_unpack(Lower *L, WqValue *bytes, int64_t rows, int64_t keep, int bits, bool high_first);

#endif
