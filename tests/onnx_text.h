/* onnx_text.h: small ONNX models as text, for tests. A subset of the syntax of onnx.parser:
 *
 *   <opset_import: ["" : 18, "local" : 1]>
 *   main (float[2,N] x, int64 k) => (float[2,N] y)
 *   <float[2] w = {1, 2}>
 *   {
 *     t = local.scale <alpha = 2.0> (x)
 *     [named] y = Add(t, w)
 *   }
 *   <domain: "local", opset_import: ["" : 18]>
 *   scale <alpha: float = 1.0> (x) => (y) { a = Constant <value_float: float = @alpha> ()  y = Mul(x, a) }
 *
 * A type is an element type with dims (numbers, names, "expressions" or ?): float is a scalar, float[] of unknown rank;
 * seq(T) and optional(T). Attribute values are numbers, strings, lists, tensors (float[2] {1, 2}), types (after `:
 * type_proto =`) and graphs (body = name (..) => (..) {..}). A name of any characters stands in quotes. An overload
 * follows its operator (or function) after a colon. An initializer may be `sparse float[2,3] w = {1, 2} at int64[2] {0,
 * 5}`.
 */
#ifndef WQ_ONNX_TEXT_H
#define WQ_ONNX_TEXT_H

#include "frontend/frontend.h"

/* The serialized model; aborts the test program on a mistake in the text. */
WqMapped onnx_text(WqArena *a, const char *text);

#endif
