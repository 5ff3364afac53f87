/* convert.h: numbers of any element type into any other. */
#ifndef WQ_CONVERT_H
#define WQ_CONVERT_H

#include "ir/tensor.h"

/* n unpacked elements; no strings or complex numbers. saturate and round ('n', 'u', 'd') are for f8 and f4. Floats that
 * do not fit an integer: i32, i64 and u64 saturate, narrower ones keep their low bits, NaN is 0. dst and src do not
 * overlap. */
void wq_convert(WqDtype to, void *dst, WqDtype from, const void *src, int64_t n, bool saturate, char round);

#endif
