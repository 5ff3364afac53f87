/* lower_ml.h: what lowerings of ai.onnx.ml share. */
#ifndef WQ_LOWER_ML_H
#define WQ_LOWER_ML_H

#include "frontend/lower.h"

/* x as ai.onnx.ml computes: f64 as it is, everything else as f32. */
WqValue *ml_float(Lower *L, WqValue *x);
/* The input as rows: [C] is [1,C]. */
WqValue *ml_rows(Lower *L, WqValue *x);
/* An attribute's numbers as a constant [n] of type t; NULL if it is absent or empty. */
WqValue *ml_floats(Lower *L, const char *attr, WqDtype t, int *n);
WqValue *ml_strings(Lower *L, int n, const char *const *s);

enum { ML_NONE, ML_SOFTMAX, ML_LOGISTIC, ML_SOFTMAX_ZERO, ML_PROBIT };
int ml_transform_attr(Lower *L); /* of attribute post_transform, by name */
/* Along the last axis of x, f32 or f64. */
WqValue *ml_transform(Lower *L, WqValue *x, int transform);

#endif
