/* import_test: what the importer itself does: order, names, opsets, functions, control flow, sequences. */
#include "tests/onnx_case.h"
#include "tests/test.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* few cases have dims */

#define HEAD "<opset_import: [\"\" : 18]> "

static const OnnxCase cases[] = {
	/* ---- order and names */
	{ "unsorted", HEAD "g () => (float[2] y) <float[2] a = {1, -2}> { y = Neg(t)  t = Abs(a) }", 0, "y f32[2] {-1 -2}" },
	{ "unsorted through a nested graph",
		HEAD "g () => (float[1] y) <float[1] a = {3}> { y = If <then_branch = t () => (z) { z = Neg(later) }, "
		     "else_branch = e () => (z) { z = Identity(a) }> (c)  later = Abs(a)  c = Greater(a, zero) zero = Neg(n) n = Sub(a, a) }",
		0, "y f32[1] {-3}" },
	{ "cycle", HEAD "g (float[2] x) => (float[2] y) { [first] a = Add(x, b)  [second] b = Neg(a)  y = Neg(x) }", WQ_EINPUT,
		"the graph has a cycle: node 'first' (Add) needs node 'second' (Neg) needs node 'first' (Add)" },
	{ "itself", HEAD "g (float[2] x) => (float[2] y) { [n] y = Add(x, y) }", WQ_EINPUT, "cycle: node 'n' (Add) needs node 'n' (Add)" },
	{ "cycle through a nested graph",
		HEAD "g (bool c) => (float y) { [i] y = If <then_branch = t () => (z) { z = Neg(w) }, else_branch = e () => (z) "
		     "{ z = Neg(w) }> (c)  [n] w = Neg(y) }",
		WQ_EINPUT, "cycle: node 'i' (If) needs node 'n' (Neg) needs node 'i' (If)" },
	{ "twice", HEAD "g (float[2] x) => (float[2] y) { [one] y = Neg(x)  [two] y = Abs(x) }", WQ_EINPUT,
		"value 'y' is defined twice: by node 'one' (Neg) and by node 'two' (Abs)" },
	{ "input again", HEAD "g (float[2] x) => (float[2] x) { [one] x = Neg(x) }", WQ_EINPUT, "'x' is defined twice: as an input" },
	{ "undefined operand", HEAD "g (float[2] x) => (float[2] y) { [n] y = Add(x, nowhere) }", WQ_EINPUT,
		"node 'n' (Add): operand 1, 'nowhere', is not defined" },
	{ "undefined output", HEAD "g (float[2] x) => (float[2] z) { y = Neg(x) }", WQ_EINPUT, "graph output 'z' is not defined" },
	{ "too many results", HEAD "g (float[2] x) => (float[2] y) { [n] y, z = Neg(x) }", WQ_EINPUT, "node 'n' (Neg): Neg-13 has no result 1" },
	{ "initializer as input", HEAD "g (float[1] x) => (float[1] y) <float[1] x = {4}> { y = Neg(x) }", 0, "y f32[1] {-4}" },
	{ "sparse initializers", HEAD "g () => (float[2,3] a, float[2,3] b) <sparse float[2,3] v = {1, 2} at int64[2] {1, 5}, "
				      "sparse float[2,3] w = {3, 4} at int64[2,2] {0, 0, 1, 1}> { a = Identity(v)  b = Identity(w) }",
		0, "a f32[2,3] {0 1 0 0 0 2}; b f32[2,3] {3 0 0 0 4 0}" },
	{ "sparse, out of its shape", HEAD "g () => (float[2,3] a) <sparse float[2,3] v = {1} at int64[1] {6}> { a = Identity(v) }", WQ_EINPUT,
		"sparse tensor 'v': index 0 is outside" },
	{ "sparse, with wrong indices", HEAD "g () => (float[2,3] a) <sparse float[2,3] v = {1} at int64[2] {0, 1}> { a = Identity(v) }", WQ_EINPUT,
		"sparse tensor 'v': indices and values do not fit" },
	{ "initializer twice", HEAD "g () => (float a) <float v = {1}, float v = {2}> { a = Neg(v) }", WQ_EINPUT, "initializer 'v' is defined twice" },
	{ "shadowing", HEAD "g () => (float[1] y) <float[1] a = {1}, bool[1] c = {1}> { y = If <then_branch = t () => (z) <float[1] a = {5}> "
			    "{ z = Neg(a) }, else_branch = e () => (z) { z = Neg(a) }> (c) }",
		0, "y f32[1] {-5}" },

	/* ---- operators and opsets */
	{ "unsupported, all at once",
		HEAD "g (float[2] x, string[1] s) => (float[2] y, bool[1] b) { [p] t = Frobnicate(x)  [q] u = Neg(t)  [r] y = Frobnicate(u) "
		     "[m] b = ImageDecoder (s) }",
		WQ_EUNSUPPORTED,
		"2 unsupported operators:\n  ai.onnx.Frobnicate (not known): node 'p', node 'r'\n  ai.onnx.ImageDecoder (decoding of image files): "
		"node 'm'" },
	{ "unsupported in a nested graph",
		HEAD "g (float[2] x, bool c) => (float[2] y) { [i] y = If <then_branch = t () => (z) { [p] z = Frobnicate(x) }, "
		     "else_branch = e () => (z) { [q] z = Frobnicate(x) }> (c) }",
		WQ_EUNSUPPORTED, "(not known): node 'p'" },
	{ "unsupported in graphs that are not reached",
		HEAD "g (float[2] x, bool c) => (float[2] y) { [p] b = Frobnicate(x)  [i] y = If <then_branch = t () => (z) { [q] z = Wibble(x) }, "
		     "else_branch = e () => (z) { z = Neg(b) }> (b) }",
		WQ_EUNSUPPORTED, "2 unsupported operators:\n  ai.onnx.Frobnicate (not known): node 'p'\n  ai.onnx.Wibble (not known): node 'q'" },
	{ "unsupported, many nodes",
		HEAD "g (float x) => (float y) { a = Wibble(x) b = Wibble(x) c = Wibble(x) d = Wibble(x) e = Wibble(x) f = Wibble(x) y = Wibble(x) }", WQ_EUNSUPPORTED,
		"node of 'a', node of 'b', node of 'c', node of 'd', node of 'e' and 2 more" },
	{ "a case that is not handled", HEAD "g (float[] x) => (float[] y) { [n] y = Flatten(x) }", WQ_EUNSUPPORTED,
		"Flatten (the rank of 'x' is not known when compiling; fixing sizes by --dim may help): node 'n'" },
	{ "sequence for a tensor", HEAD "g (float[1] x) => (float[1] y) { s = SequenceConstruct(x)  [n] y = Neg(s) }", WQ_EINPUT,
		"node 'n' (Neg): operand 0, 's', is a sequence" },
	{ "missing operand", HEAD "g (float[1] x) => (float[1] y) { [n] y = Neg() }", WQ_EINPUT, "node 'n' (Neg): operand 0 is missing" },
	{ "missing graph", HEAD "g (bool c) => (float[1] y) { [n] y = If(c) }", WQ_EINPUT, "node 'n' (If): attribute 'then_branch' is missing" },
	{ "branch with inputs", HEAD "g (bool c, float[1] x) => (float[1] y) { [n] y = If <then_branch = t (float[1] a) => (a) { }, "
				      "else_branch = e () => (x) { }> (c) }",
		WQ_EINPUT, "node 'n' (If): 'then_branch' has 1 inputs instead of none" },
	{ "nested output that is not there", HEAD "g (bool c, float[1] x) => (float[1] y) { [n] y = If <then_branch = t () => (a) { }, "
						   "else_branch = e () => (x) { }> (c) }",
		WQ_EINPUT, "node 'n' (If): output 0 of a nested graph, 'a', is not defined" },
	{ "no outputs", HEAD "g (float[1] x) => () { y = Neg(x) }", WQ_EINPUT, "the graph has no outputs" },
	{ "input twice", HEAD "g (float[1] x, float[1] x) => (float[1] y) { y = Neg(x) }", WQ_EINPUT, "graph input 'x' is defined twice" },
	{ "input without a type", HEAD "g (x) => (float[1] y) { y = Neg(x) }", WQ_EINPUT, "graph input 'x' has no type" },
	{ "rank", HEAD "g (float[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1] x) => (float y) { y = Size(x) }", WQ_EUNSUPPORTED, "'x' has rank 17" },
	{ "size", HEAD "g (float[9000000000000000000] x) => (float y) { y = Size(x) }", WQ_EINPUT, "'x' has a dimension of 9000000000000000000" },
	{ "domain not imported", HEAD "g (float[2] x) => (float[2] y) { [n] y = com.microsoft.Gelu(x) }", WQ_EINPUT,
		"node 'n' (Gelu): the model imports no opset of domain 'com.microsoft'" },
	{ "opset of the future", "<opset_import: [\"\" : 99]> g (float[2] x) => (float[2] y) { y = Neg(x) }", WQ_EUNSUPPORTED,
		"imports version 99 of opset ai.onnx" },
	{ "operator of the future", "<opset_import: [\"\" : 13]> g (float[2] x) => (float[2] y) { [n] y = Mish(x) }", WQ_EUNSUPPORTED,
		"ai.onnx.Mish (is of opset 18, but 13 is imported): node 'n'" },
	{ "two opsets", "<opset_import: [\"\" : 13, \"ai.onnx\" : 14]> g (float[2] x) => (float[2] y) { y = Neg(x) }", WQ_EINPUT,
		"imports both version 13 and 14" },
	{ "no opset", "<opset_import: []> g (float[2] x) => (float[2] y) { y = Neg(x) }", WQ_EINPUT, "imports no opset of domain 'ai.onnx'" },
	{ "no opset, before there were any", "<ir_version: 2> g () => (float[1] y) <float[1] x = {2}> { y = Reshape <shape = [1]> (x) }", 0,
		"y f32[1] {2}" },
	{ "attribute of another type", HEAD "g (float[2] x) => (float[2] y) { [n] y = Flatten <axis = 1.5> (x) }", WQ_EINPUT,
		"node 'n' (Flatten): attribute 'axis' is of another type than INT" },

	/* ---- dimensions */
	{ "dims", HEAD "g (float[N,\"M + 1\"] x) => (int64[2] y) { y = Shape(x) }", 0, "y i64[2] {2 4}", { { "N", 2, false }, { "M", 3, false } } },
	{ "dims, spelled as one", HEAD "g (float[\"N * 2\",3] x) => (int64[2] y) { y = Shape(x) }", 0, "y i64[2] {4 3}", { { "N", 2, false } } },
	{ "dims, as exporters write them", HEAD "g (float[\"floor(N/2)\",\"(N - 1)//2 + 1\",\"Max(1, N)\",\"N % 3\",\"odd name!\"] x) => (int64[5] y) { y = Shape(x) }", 0,
		"y i64[5] {3 3 6 0 9}", { { "N", 6, false }, { "odd name!", 9, false } } },
	{ "dims that are no expression, as nothing tells N", HEAD "g (float[\"N * 2\",\"(N - 1)//2 + 1\"] x) => (int64[2] y) { y = Shape(x) }", 0, "y i64[2] {1 1}" },
	{ "dims, bounded", HEAD "g (float[N] x) => (int64 y, float[1] z) { y = Size(x)  z = Identity(x) }", 0, "y i64[] {1}; z f32[1] {1}", { { "N", 4, true } } },
	{ "negative dims", HEAD "g (float[-1,?] x) => (int64 y) { y = Size(x) }", 0, "y i64[] {1}" },
	{ "dim below 0", HEAD "g (float[N] x) => (int64 y) { y = Size(x) }", WQ_EINPUT, "--dim N: a dimension cannot be negative", { { "N", -4, false } } },
	{ "no such dim", HEAD "g (float[N] x) => (float[N] y) { y = Neg(x) }", WQ_EINPUT, "--dim K: no graph input", { { "K", 2, false } } },

	/* ---- functions */
	{ "function", "<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[2] y) <float[2] x = {1, 2}> { y = local.twice(x) } "
		      "<domain: \"local\", opset_import: [\"\" : 18]> twice (a) => (b) { b = Add(a, a) }",
		0, "y f32[2] {2 4}" },
	{ "attribute references",
		"<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[1] y, float[1] z, float[1] w) <float[1] x = {10}> "
		"{ y = local.scale(x)  z = local.scale <alpha = 3.0> (x)  w = local.outer <k = 7.0> (x) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> scale <alpha: float = 2.0> (a) => (b) "
		"{ c = Constant <value_float: float = @alpha> ()  b = Mul(a, c) } "
		"<domain: \"local\", opset_import: [\"\" : 18, \"local\" : 1]> outer <k> (a) => (b) { b = local.scale <alpha: float = @k> (a) }",
		0, "y f32[1] {20}; z f32[1] {30}; w f32[1] {70}" },
	{ "absent attribute",
		"<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[1,2] y) <float[1,2] x = {3, 4}> { y = local.sum(x) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> sum <keep> (a) => (b) { b = ReduceSum <keepdims: int = @keep> (a) }",
		0, "y f32[1,1] {7}" },
	{ "absent operand",
		"<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[1] y) <float[1] x = {30}, float[] hi = {6}> { y = local.clip(x, \"\", hi) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> clip (a, lo, hi) => (b) { b = Clip(a, lo, hi) }",
		0, "y f32[1] {6}" },
	{ "overloads",
		"<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[1] y, float[1] z) <float[1] x = {3}> { y = local.f:one(x)  z = local.f:two(x) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> f:one (a) => (b) { b = Neg(a) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> f:two (a) => (b) { b = Add(a, a) }",
		0, "y f32[1] {-3}; z f32[1] {6}" },
	{ "its own opset",
		"<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[2] y) <float[1,2] x = {1, 2}> { y = local.f(x) } "
		"<domain: \"local\", opset_import: [\"\" : 11]> f (a) => (b) { b = Squeeze <axes = [0]> (a) }",
		0, "y f32[2] {1 2}" },
	{ "a function for an unknown operator of a known domain",
		HEAD "g () => (float[1] y) <float[1] x = {2}> { y = Frobnicate(x) } "
		     "<domain: \"\", opset_import: [\"\" : 18]> Frobnicate (a) => (b) { b = Neg(a) }",
		0, "y f32[1] {-2}" },
	{ "functions with a nested graph and the same names",
		"<opset_import: [\"\" : 18, \"local\" : 1]> g () => (float[1] b) <float[1] a = {1}, bool c = {1}> { t = local.f(c, a)  b = local.f(c, t) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> f (c, a) => (b) { t = Add(a, a)  b = If <then_branch = x () => (u) "
		"{ u = Add(t, a) }, else_branch = y () => (v) { v = Neg(t) }> (c) }",
		0, "b f32[1] {9}" },
	{ "recursion",
		"<opset_import: [\"\" : 18, \"local\" : 1]> m (float[1] x) => (float[1] y) { [n] y = local.f(x) } "
		"<domain: \"local\", opset_import: [\"\" : 18, \"local\" : 1]> f (a) => (b) { b = local.g(a) } "
		"<domain: \"local\", opset_import: [\"\" : 18, \"local\" : 1]> g (a) => (b) { b = local.f(a) }",
		WQ_EINPUT, "function 'f' calls itself" },
	{ "error inside",
		"<opset_import: [\"\" : 18, \"local\" : 1]> m (float[1] x) => (float[1] y) { [call] y = local.f(x) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> f (a) => (b) { [inner] b = Add(a, z) }",
		WQ_EINPUT, "node 'call' (f): node 'inner' (Add): operand 1, 'z', is not defined" },
	{ "too many operands",
		"<opset_import: [\"\" : 18, \"local\" : 1]> m (float[1] x) => (float[1] y) { [call] y = local.f(x, x) } "
		"<domain: \"local\", opset_import: [\"\" : 18]> f (a) => (b) { b = Neg(a) }",
		WQ_EINPUT, "2 operands and 1 results, but the function has 1 and 1" },

	/* ---- control flow */
	{ "If, not known", HEAD "g (bool c) => (float[1] y) <float[1] a = {3}> { y = If <then_branch = t () => (z) { z = Neg(a) }, "
				"else_branch = e () => (z) { z = Add(a, a) }> (c) }",
		0, "y f32[1] {-3}" },
	{ "If, a branch that cannot be", HEAD "g () => (float[2] y) <float[2,1] a = {3, 4}> { s = Shape(a)  i = Constant <value_int = 1> () "
					      "d = Gather(s, i)  c = Equal(d, i)  y = If <then_branch = t () => (z) { x = Constant <value_ints = [1]> () "
					      "z = Squeeze(a, x) }, else_branch = e () => (z) { z = Identity(a) }> (c) }",
		0, "y f32[2] {3 4}" },
	{ "Loop", HEAD "g (int64 n) => (float[1] y, float[?,1] all) <float[1] a = {3}, float[1] b = {2}, bool go = {1}> "
		       "{ y, all = Loop <body = l (int64 i, bool c, float[1] s) => (c2, s2, s3) { s2 = Add(s, b)  s3 = Identity(s2)  c2 = Identity(c) }> (n, go, a) }",
		0, "y f32[1] {5}; all f32[1,1] {5}" },
	{ "Loop that stops", HEAD "g () => (int64 y) <int64 n = {10}, int64 a = {0}, int64 b = {3}, int64 lim = {7}> "
				  "{ y = Loop <body = l (int64 i, bool c, int64 s) => (c2, s2) { s2 = Add(s, b)  c2 = Less(s2, lim) }> (n, \"\", a) }",
		0, "y i64[] {9}" },
	{ "Loop without end but its condition", HEAD "g () => (int64 y, int64[?] all) <int64 n = {9223372036854774784}, bool go = {1}, int64 a = {0}, int64 b = {3}, int64 lim = {7}> "
						  "{ y, all = Loop <body = l (int64 i, bool c, int64 s) => (c2, s2, s3) { s2 = Add(s, b)  s3 = Identity(s2)  c2 = Less(s2, lim) }> (n, go, a) }",
		0, "y i64[] {9}; all i64[3] {3 6 9}" },
	{ "Values that no size could be", HEAD "g () => (int64 y, int64 z, bool w, int64 v) <int64 n = {9223372036854774784}, int64 b = {-3}, int64 k = {4611686018427387904}> "
					  "{ y = Add(n, b)  z = Sub(b, k)  w = Less(b, n)  v = Min(k, n) }",
		0, "y i64[] {9.22337e+18}; z i64[] {-4.61169e+18}; w bool[] {1}; v i64[] {4.61169e+18}" },
	{ "Loop whose value grows", HEAD "g () => (float[?] y) <int64 n = {3}, float[1] a = {1}> "
					 "{ y = Loop <body = l (int64 i, bool c, float[?] s) => (c, s2) { s2 = Concat <axis = 0> (s, a) }> (n, \"\", a) }",
		0, "y f32[4] {1 1 1 1}" },
	{ "Loop whose value changes rank", HEAD "g () => (float[] y) <int64 n = {2}, float[2] a = {1, 2}, float[1,2] b = {1, 1}> "
						"{ y = Loop <body = l (int64 i, bool c, float[] s) => (c, s2) { s2 = Add(s, b) }> (n, \"\", a) }",
		0, "y f32[1,2] {3 4}" },
	{ "Loop in a Loop, captured values", HEAD "g () => (int64 y) <int64 n = {3}, int64 z = {0}> "
						  "{ y = Loop <body = l (int64 i, bool c, int64 s) => (c, s2) { s2 = Loop <body = k (int64 j, bool d, int64 t) => (d, t2) "
						  "{ ij = Mul(i, j)  t2 = Add(t, ij) }> (n, \"\", s) }> (n, \"\", z) }",
		0, "y i64[] {9}" },
	{ "Loop over a sequence", HEAD "g () => (float[?] y, int64 k) <int64 n = {3}, float[2] a = {1, 2}> { e = SequenceEmpty() "
				       "s = Loop <body = l (int64 i, bool c, seq(float[?]) q) => (c, q2) { f = Cast <to = 1> (i)  x = Mul(a, f)  q2 = SequenceInsert(q, x) }> (n, \"\", e) "
				       "y = ConcatFromSequence <axis = 0> (s)  k = SequenceLength(s) }",
		0, "y f32[6] {0 0 1 2 2 4}; k i64[] {3}" },
	{ "Loop, wrong number of inputs", HEAD "g (int64 n) => (int64 y) { [n1] y = Loop <body = l (int64 i, bool c) => (c, i) { }> (n, \"\", n) }", WQ_EINPUT,
		"node 'n1' (Loop): the body has 2 inputs and 2 outputs for 1 carried values" },
	{ "Scan", HEAD "g () => (float[1] s, float[3,1] y) <float[1] a = {0}, float[3,1] x = {1, 2, 3}> "
		       "{ s, y = Scan <num_scan_inputs = 1, body = b (float[1] p, float[1] q) => (r, u) { r = Add(p, q)  u = Identity(r) }> (a, x) }",
		0, "s f32[1] {6}; y f32[3,1] {1 3 6}" },
	{ "Scan, backward and along other axes",
		HEAD "g () => (float[1] s, float[1,3] y) <float[1] a = {0}, float[1,3] x = {1, 2, 4}> "
		     "{ s, y = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [-1], scan_input_directions = [1], scan_output_directions = [1], "
		     "body = b (float[1] p, float[1] q) => (r, u) { r = Add(p, q)  u = Identity(r) }> (a, x) }",
		0, "s f32[1] {7}; y f32[1,3] {7 6 4}" },
	{ "Scan of two lengths", HEAD "g (float[2] x, float[3] y) => (float s, float[?] z) <float a = {0}> { [n] s, z = Scan <num_scan_inputs = 2, "
				      "body = b (float p, float q, float r) => (p, q) { }> (a, x, y) }",
		WQ_EINPUT, "node 'n' (Scan): sequences of 2 and 3 elements" },
	{ "Scan of version 8",
		"<opset_import: [\"\" : 8]> g () => (float[2,1] s, float[2,3,1] y) <float[2,1] a = {0, 10}, float[2,3,1] x = {1, 2, 3, 4, 5, 6}> "
		"{ s, y = Scan <num_scan_inputs = 1, body = b (float[1] p, float[1] q) => (r, u) { r = Add(p, q)  u = Identity(r) }> (\"\", a, x) }",
		0, "s f32[2,1] {6 25}; y f32[2,3,1] {1 3 6 14 19 25}" },
	{ "Scan of version 8, lengths",
		"<opset_import: [\"\" : 8]> g () => (float[2,1] s, float[2,3,1] y) <int64[2] n = {1, 3}, float[2,1] a = {0, 10}, float[2,3,1] x = {1, 2, 3, 4, 5, 6}> "
		"{ s, y = Scan <num_scan_inputs = 1, directions = [1], body = b (float[1] p, float[1] q) => (r, u) { r = Add(p, q)  u = Identity(r) }> (n, a, x) }",
		0, "s f32[2,1] {1 25}; y f32[2,3,1] {1 0 0 16 21 25}" },

	/* ---- sequences and optionals */
	{ "sequences, known", HEAD "g () => (float[2] y, int64 n) <float[2] a = {1, 2}, float[2] b = {3, 4}, int64 k = {-1}, int64 z = {0}> "
				   "{ s = SequenceConstruct(a, b)  t = SequenceInsert(s, b, z)  u = SequenceErase(t, k)  y = SequenceAt(u, k)  n = SequenceLength(t) }",
		0, "y f32[2] {1 2}; n i64[] {3}" },
	{ "sequences, not known", HEAD "g (int64 k) => (float[2] y) <float[2] a = {1, 2}, float[2] b = {3, 4}> { s = SequenceConstruct(a, b) "
				       "t = SequenceInsert(s, b, k)  y = SequenceAt(t, k) }",
		0, "y f32[2] {3 4}" },
	{ "split and concatenate", HEAD "g () => (float[2,3] y, float[3,2] z) <float[2,3] x = {1, 2, 3, 4, 5, 6}, int64[2] sz = {1, 2}> "
					"{ s = SplitToSequence <axis = 1> (x, sz)  y = ConcatFromSequence <axis = 1> (s)  "
					"t = SplitToSequence <axis = 1, keepdims = 0> (x)  z = ConcatFromSequence <axis = 0, new_axis = 1> (t) }",
		0, "y f32[2,3] {1 2 3 4 5 6}; z f32[3,2] {1 4 2 5 3 6}" },
	{ "SequenceMap", HEAD "g (int64 n) => (float[?] y, float[?] z) <float[2] a = {1, 2}, float[1] b = {3}> { s = SequenceConstruct(a, b) "
			      "m = SequenceMap <body = f (float[?] p, float[1] q) => (r) { r = Mul(p, q) }> (s, b)  y = ConcatFromSequence <axis = 0> (m) "
			      "u = SequenceInsert(s, b, n)  v = SequenceMap <body = f2 (float[?] p) => (r) { r = Neg(p) }> (u)  z = ConcatFromSequence <axis = 0> (v) }",
		0, "y f32[3] {3 6 9}; z f32[4] {-1 -2 -3 -3}" },
	{ "position out of range", HEAD "g (float[2] a) => (float[2] y) <int64 k = {1}> { s = SequenceConstruct(a)  [n] y = SequenceAt(s, k) }", WQ_EINPUT,
		"node 'n' (SequenceAt): position 1 in a sequence of 1" },
	{ "optionals", HEAD "g () => (bool a, bool b, float[2] y) <float[2] x = {1, 2}> { o = Optional(x)  e = Optional <type: type_proto = float[2]> () "
			    "a = OptionalHasElement(o)  b = OptionalHasElement(e)  y = OptionalGetElement(o) }",
		0, "a bool[] {1}; b bool[] {0}; y f32[2] {1 2}" },
};

/* A chain of functions each of which calls the next twice would be 2^60 nodes. */
TEST(explosion)
{
	WqArena *a = wq_arena_new();
	WqStr s = { .a = a };
	wq_str_printf(&s, "<opset_import: [\"\" : 18, \"l\" : 1]> g (float[1] x) => (float[1] y) { y = l.f0(x) } ");
	for (int i = 0; i < 60; i++)
		wq_str_printf(&s, "<domain: \"l\", opset_import: [\"\" : 18, \"l\" : 1]> f%d (a) => (c) { b = l.f%d(a) c = l.f%d(b) } ", i, i + 1, i + 1);
	wq_str_printf(&s, "<domain: \"l\", opset_import: [\"\" : 18]> f60 (a) => (b) { b = Neg(a) } ");
	onnx_cases(1, &(OnnxCase){ "explosion", s.s, WQ_EINPUT, "expands to more than" });
	wq_arena_free(a);
}

/* Nested Ifs, deeper than anything sane. */
TEST(depth)
{
	WqArena *a = wq_arena_new();
	WqStr s = { .a = a };
	wq_str_printf(&s, HEAD "g (bool c, float[1] x) => (float[1] y) { y = ");
	for (int i = 0; i < 90; i++)
		wq_str_printf(&s, "If <else_branch = e () => (v) { v = Identity(x) }, then_branch = t () => (z) { z = ");
	wq_str_printf(&s, "Neg(x)");
	for (int i = 0; i < 90; i++)
		wq_str_printf(&s, " }> (c)");
	wq_str_printf(&s, " }");
	onnx_cases(1, &(OnnxCase){ "depth", s.s, WQ_EINPUT, "nested" });
	wq_arena_free(a);
}

/* Types and values that the caller knows: of x the shape, which decides N for z; k as a constant. */
TEST(options)
{
	static const char *const names[] = { "x" }, *const consts[] = { "k" };
	WqArena *a = wq_arena_new();
	WqMapped bytes = onnx_text(a, HEAD "g (float[N,2] x, float[N] z, int64[1] k, float[1] w) => (float[M] y, float[N] u, float[1] v) "
				           "<float[1] w = {1}> { y = Reshape(x, k)  u = Neg(z)  v = Neg(w) }");
	WqType t = wq_type_tensor(WQ_F32, 2, (WqDim[]){ 3, 2 });
	WqTensor k = { .dtype = WQ_I64, .rank = 1, .dim = { 1 }, .data = &(int64_t){ -1 } };
	ImportOptions o = { .n_types = 1, .type_names = names, .types = &t, .n_consts = 1, .const_names = consts, .consts = &k };
	OnnxModel *model = onnx_open_memory(bytes.p, bytes.n, NULL);
	WqModule *m = onnx_import(model, &o);
	CHECK(m->main->inputs.n == 2);
	CHECK(m->main->outputs.v[0].value->type.dim[0] == 6);
	CHECK(m->main->outputs.v[1].value->type.dim[0] == 3);
	wq_module_free(m);
	onnx_close(model);
	wq_arena_free(a);
}

TEST(cases)
{
	onnx_cases(WQ_COUNTOF(cases), cases);
}

TEST_MAIN(TEST_RUN(options) TEST_RUN(cases) TEST_RUN(explosion) TEST_RUN(depth))
