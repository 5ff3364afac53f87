/* versions_test: the rules of operator versions that newer test suites no longer show. */
#include "tests/onnx_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define V(v) "<opset_import: [\"\" : " #v "]> "

static const OnnxCase cases[] = {
	/* ---- constants and types */
	{ "Constant-12", V(12) "g () => (float a, float[2] b, int64 c, int64[2] d) { a = Constant <value_float = 1.5> ()  b = Constant <value_floats = [1.0, 2.5]> () "
			       "c = Constant <value_int = 3> ()  d = Constant <value_ints = [4, 5]> () }",
		0, "a f32[] {1.5}; b f32[2] {1 2.5}; c i64[] {3}; d i64[2] {4 5}" },
	{ "Constant without a value", V(12) "g () => (float a) { [n] a = Constant () }", WQ_EINPUT, "node 'n' (Constant): no value is given" },
	{ "Constant with two", V(12) "g () => (float a) { [n] a = Constant <value_int = 1, value_float = 1.5> () }", WQ_EINPUT, "both 'value_float' and 'value_int'" },
	{ "Cast-1", V(1) "g () => (int32[2] y) <float[2] x = {1.5, -2.5}> { y = Cast <to = \"INT32\"> (x) }", 0, "y i32[2] {1 -2}" },
	{ "Cast to nonsense", V(13) "g (float[2] x) => (float[2] y) { [n] y = Cast <to = 99> (x) }", WQ_EINPUT, "attribute 'to' is 99" },
	{ "Cast without a type", V(13) "g (float[2] x) => (float[2] y) { [n] y = Cast (x) }", WQ_EINPUT, "attribute 'to' is missing" },
	{ "ConstantOfShape", V(9) "g () => (float[2] y, int64[1,2] z) <int64[1] s = {2}, int64[2] t = {1, 2}> { y = ConstantOfShape(s) "
				  "z = ConstantOfShape <value = int64[1] {7}> (t) }",
		0, "y f32[2] {0 0}; z i64[1,2] {7 7}" },

	{ "strings", V(13) "g () => (bool[2] y, bool z) { a = Constant <value_strings = [\"p\", \"q\"]> ()  b = Constant <value_string = \"q\"> () "
			   "y = Equal(a, b)  z = Equal(b, b) }",
		0, "y bool[2] {0 1}; z bool[] {1}" },
	{ "Trilu of a vector", V(14) "g (float[2] x) => (float[2] y) { [n] y = Trilu(x) }", WQ_EINPUT, "rank 1 instead of 2 or more" },
	{ "EyeLike of a vector", V(9) "g (float[2] x) => (float[2] y) { [n] y = EyeLike(x) }", WQ_EINPUT, "rank 1 instead of 2" },

	/* ---- shapes */
	{ "Reshape-1", V(1) "g () => (float[2,1] y) <float[2] x = {1, 2}> { y = Reshape <shape = [-1, 1]> (x) }", 0, "y f32[2,1] {1 2}" },
	{ "Reshape-14", V(14) "g () => (float[0,3] y, float[2,1] z) <float[0] x = {}, int64[2] s = {0, 3}, float[2] w = {1, 2}, int64[2] t = {0, 1}> "
			      "{ y = Reshape <allowzero = 1> (x, s)  z = Reshape(w, t) }",
		0, "y f32[0,3] {}; z f32[2,1] {1 2}" },
	{ "Flatten", V(11) "g () => (float[1,4] a, float[2,2] b, float[4,1] c) <float[2,2] x = {1, 2, 3, 4}> { a = Flatten <axis = 0> (x)  b = Flatten <axis = -1> (x) "
			   "c = Flatten <axis = 2> (x) }",
		0, "a f32[1,4] {1 2 3 4}; b f32[2,2] {1 2 3 4}; c f32[4,1] {1 2 3 4}" },
	{ "Flatten-9 has no negative axes", V(9) "g (float[2,2] x) => (float[2,2] y) { [n] y = Flatten <axis = -1> (x) }", WQ_EINPUT, "axis -1 is out of range" },
	{ "Squeeze-1, Unsqueeze-1", V(1) "g () => (float[2] y, float[1,2,1] z) <float[1,2,1] x = {1, 2}> { y = Squeeze(x)  z = Unsqueeze <axes = [0, 2]> (y) }", 0,
		"y f32[2] {1 2}; z f32[1,2,1] {1 2}" },
	{ "Squeeze of a size that is not 1", V(13) "g (float[2,1] x) => (float[2] y) <int64[1] a = {0}> { [n] y = Squeeze(x, a) }", WQ_EINPUT, "axis 0 has size 2" },
	{ "Squeeze and Unsqueeze by runtime axes",
		V(13) "g (int64[1] one) => (float[2,1] y, float[2,1] z) <float[1,2,1] x = {1, 2}, float[2] v = {1, 2}, int64[1] m = {1}> "
		      "{ zero = Sub(one, m)  y = Squeeze(x, zero)  z = Unsqueeze(v, one) }",
		0, "y f32[2,1] {1 2}; z f32[2,1] {1 2}" },
	{ "ranks that differ between branches",
		V(13) "g (bool c) => (float[] y, float[] z, float[] w, float[] t) <float[1,2,3] x = {1, 2, 3, 4, 5, 6}, int64[1] a = {0}, int64[1] e = {-1}> "
		      "{ r = If <then_branch = p () => (u) { u = Squeeze(x, a) }, else_branch = q () => (u) { u = Identity(x) }> (c)  "
		      "y, rest = Split <axis = 0> (r)  z = Unsqueeze(r, e)  w = Squeeze(r)  t = Transpose <perm = [1, 0]> (r) }",
		0, "y f32[1,3] {1 2 3}; z f32[2,3,1] {1 2 3 4 5 6}; w f32[2,3] {1 2 3 4 5 6}; t f32[3,2] {1 4 2 5 3 6}" },
	{ "Shape-15", V(15) "g () => (int64[1] a, int64[2] b, int64[0] c) <float[1,2,1] x = {1, 2}> { a = Shape <start = -1> (x)  b = Shape <start = -9, end = 2> (x) "
			    "c = Shape <start = 2, end = 1> (x) }",
		0, "a i64[1] {1}; b i64[2] {1 2}; c i64[0] {}" },
	{ "Transpose by a wrong perm", V(13) "g (float[2,2] x) => (float[2,2] y) { [n] y = Transpose <perm = [0, 0]> (x) }", WQ_EINPUT, "no permutation" },

	/* ---- parts */
	{ "Concat-1", V(1) "g () => (float[1,4] y) <float[1,2] x = {1, 2}> { y = Concat(x, x) }", 0, "y f32[1,4] {1 2 1 2}" },
	{ "Split-1", V(1) "g () => (float[1] a, float[2] b) <float[3] x = {1, 2, 3}> { a, b = Split <axis = 0, split = [1, 2]> (x) }", 0, "a f32[1] {1}; b f32[2] {2 3}" },
	{ "Split-2", V(2) "g () => (float[1] a, float[1] b) <float[2] x = {1, 2}> { a, b = Split(x) }", 0, "a f32[1] {1}; b f32[1] {2}" },
	{ "Split-13 of an odd size", V(13) "g (float[3] x) => (float[1] a, float[1] b) { [n] a, b = Split(x) }", WQ_EINPUT, "does not split into 2 equal parts" },
	{ "Split-18", V(18) "g () => (float[2] a, float[2] b, float[1] c) <float[5] x = {1, 2, 3, 4, 5}> { a, b, c = Split <num_outputs = 3> (x) }", 0,
		"a f32[2] {1 2}; b f32[2] {3 4}; c f32[1] {5}" },
	{ "Split by runtime sizes", V(13) "g (int64[2] s) => (float[1] a, float[1] b) <float[2] x = {1, 2}> { a, b = Split(x, s) }", 0, "a f32[1] {1}; b f32[1] {2}" },
	{ "Split, sizes that do not add up", V(13) "g (float[3] x) => (float[1] a, float[1] b) <int64[2] s = {1, 1}> { [n] a, b = Split(x, s) }", WQ_EINPUT,
		"the sizes add up to 2, but axis 0 has 3" },
	{ "Slice-1", V(1) "g () => (float[2] y) <float[4] x = {1, 2, 3, 4}> { y = Slice <starts = [1], ends = [-1]> (x) }", 0, "y f32[2] {2 3}" },
	{ "Slice-10", V(10) "g () => (float[2,2] y) <float[2,4] x = {1, 2, 3, 4, 5, 6, 7, 8}, int32[1] s = {-1}, int32[1] e = {-99}, int32[1] a = {-1}, int32[1] t = {-2}> "
			    "{ y = Slice(x, s, e, a, t) }",
		0, "y f32[2,2] {4 2 8 6}" },
	{ "Tile-1", V(1) "g () => (float[1,4] y) <float[1,2] x = {1, 2}, float n = {2}, float a = {1}> { y = Tile(x, n, a) }", 0, "y f32[1,4] {1 2 1 2}" },
	{ "Tile by runtime repeats", V(13) "g (int64[2] r) => (float[?,?] y) <float[1,2] x = {1, 2}> { two = Add(r, r)  y = Tile(x, two) }", 0,
		"y f32[2,4] {1 2 1 2 1 2 1 2}" },
	{ "Pad-1", V(1) "g () => (float[3] y) <float[1] x = {1}> { y = Pad <paddings = [1, 1], value = 7.0> (x) }", 0, "y f32[3] {7 1 7}" },
	{ "Pad-2", V(2) "g () => (float[4] y) <float[2] x = {1, 2}> { y = Pad <pads = [1, 1], mode = \"reflect\"> (x) }", 0, "y f32[4] {2 1 2 1}" },
	{ "Pad-18", V(18) "g () => (float[1,4] y) <float[1,2] x = {1, 2}, int64[2] p = {1, 1}, int64[1] a = {-1}> { y = Pad <mode = \"edge\"> (x, p, \"\", a) }", 0,
		"y f32[1,4] {1 1 2 2}" },

	{ "Resize-11, tf_half_pixel_for_nn",
		V(11) "g () => (float[2] y) <float[4] x = {1, 2, 3, 4}, float[0] r = {}, float[1] s = {0.5}> "
		      "{ y = Resize <coordinate_transformation_mode = \"tf_half_pixel_for_nn\"> (x, r, s) }",
		0, "y f32[2] {2 4}" },

	{ "Tile, a wrong number of repeats", V(13) "g (float[2,2] x) => (float[?,?] y) <int64[1] r = {2}> { [n] y = Tile(x, r) }", WQ_EINPUT, "1 repeats for an operand of rank 2" },
	{ "Tile, a negative number", V(13) "g (float[2] x) => (float[?] y) <int64[1] r = {-2}> { [n] y = Tile(x, r) }", WQ_EINPUT, "axis 0 is repeated -2 times" },
	{ "Split, a wrong number of sizes", V(13) "g (float[3] x) => (float[1] a, float[1] b) <int64[1] s = {3}> { [n] a, b = Split(x, s) }", WQ_EINPUT, "1 sizes for 2 results" },
	{ "Split-18, a wrong number of results", V(18) "g (float[3] x) => (float[1] a, float[1] b) { [n] a, b = Split <num_outputs = 3> (x) }", WQ_EINPUT,
		"'num_outputs' does not fit" },
	{ "Slice-1 that does not fit", V(1) "g (float[3] x) => (float[1] a) { [n] a = Slice <starts = [1, 2], ends = [1]> (x) }", WQ_EINPUT, "do not fit each other" },
	{ "Concat without an axis", V(13) "g (float[3] x) => (float[1] a) { [n] a = Concat(x) }", WQ_EINPUT, "attribute 'axis' is missing" },
	{ "Concat along a wrong axis", V(13) "g (float[3] x) => (float[1] a) { [n] a = Concat <axis = 1> (x, x) }", WQ_EINPUT, "axis 1 is out of range for rank 1" },
	{ "Unsqueeze at one place twice", V(13) "g (float[3] x) => (float[1] a) <int64[2] s = {0, -3}> { [n] a = Unsqueeze(x, s) }", WQ_EINPUT, "axis 0 stands twice" },

	/* ---- picking */
	{ "TopK-1", V(1) "g () => (float[2] y, int64[2] i) <float[3] x = {1, 3, 2}> { y, i = TopK <k = 2> (x) }", 0, "y f32[2] {3 2}; i i64[2] {1 2}" },
	{ "TopK-10", V(10) "g () => (float[2] y, int64[2] i) <float[3] x = {1, 3, 2}, int64[1] k = {2}> { y, i = TopK(x, k) }", 0, "y f32[2] {3 2}; i i64[2] {1 2}" },
	{ "TopK-11", V(11) "g () => (float[2] y, int64[2] i) <float[3] x = {3, 1, 2}, int64[1] k = {2}> { y, i = TopK <largest = 0> (x, k) }", 0,
		"y f32[2] {1 2}; i i64[2] {1 2}" },
	{ "Scatter-9", V(9) "g () => (float[3] y) <float[3] x = {1, 2, 3}, int64[1] i = {1}, float[1] u = {9}> { y = Scatter(x, i, u) }", 0, "y f32[3] {1 9 3}" },
	{ "OneHot-9", V(9) "g () => (float[2,3] y) <int64[2] i = {-1, 7}, int64[1] d = {3}, float[2] v = {0, 5}> { y = OneHot(i, d, v) }", 0, "y f32[2,3] {0 0 5 0 0 0}" },
	{ "ReverseSequence", V(10) "g () => (float[2,3] y) <float[2,3] x = {1, 2, 3, 4, 5, 6}, int64[2] n = {2, 3}> { y = ReverseSequence <time_axis = 1, batch_axis = 0> (x, n) }",
		0, "y f32[2,3] {2 1 3 6 5 4}" },
	{ "Compress", V(11) "g () => (float[2,1] y, float[2] z) <float[2,2] x = {1, 2, 3, 4}, bool[2] c = {0, 1}, bool[3] d = {1, 0, 1}> "
			    "{ y = Compress <axis = -1> (x, c)  z = Compress(x, d) }",
		0, "y f32[2,1] {2 4}; z f32[2] {1 3}" },
	{ "EyeLike", V(9) "g () => (int64[2,3] y) <float[2,3] x = {0, 0, 0, 0, 0, 0}> { y = EyeLike <k = 1, dtype = 7> (x) }", 0, "y i64[2,3] {0 1 0 0 0 1}" },
	{ "Trilu", V(14) "g () => (float[2,2] y, float[2,2] z) <float[2,2] x = {1, 2, 3, 4}, int64 k = {-1}> { y = Trilu(x)  z = Trilu <upper = 0> (x, k) }", 0,
		"y f32[2,2] {1 2 0 4}; z f32[2,2] {0 0 3 0}" },
	{ "ArgMax-12", V(12) "g () => (int64[1] a, int64 b) <float[3] x = {5, 1, 5}> { a = ArgMax(x)  b = ArgMax <keepdims = 0, select_last_index = 1> (x) }", 0,
		"a i64[1] {0}; b i64[] {2}" },
	{ "CumSum", V(11) "g () => (float[3] y) <float[3] x = {1, 2, 3}, int32 a = {-1}> { y = CumSum <exclusive = 1, reverse = 1> (x, a) }", 0, "y f32[3] {5 3 0}" },

	/* ---- com.microsoft */
	{ "Inverse", "<opset_import: [\"\" : 17, \"com.microsoft\" : 1]> g () => (float[2,2] y) <float[2,2] x = {1, 2, 3, 4}> "
		     "{ y = com.microsoft.Inverse(x) }",
		0, "y f32[2,2] {-2 1 1.5 -0.5}" },

	/* ---- random */
	{ "Dropout-6", V(6) "g () => (float[2] y, float[2] m) <float[2] x = {1, 2}> { y, m = Dropout(x) }", 0, "y f32[2] {1 2}; m f32[2] {1 1}" },
	{ "Dropout-12", V(12) "g () => (float[2] y, bool[2] m) <float[2] x = {1, 2}> { y, m = Dropout(x) }", 0, "y f32[2] {1 2}; m bool[2] {1 1}" },
	{ "Dropout-12, training with ratio 0",
		V(12) "g (bool t) => (float[2] y, bool[2] m) <float[2] x = {1, 2}, float r = {0}> { y, m = Dropout(x, r, t) }", 0, "y f32[2] {1 2}; m bool[2] {1 1}" },
	{ "Bernoulli", V(15) "g () => (float[2] y) <float[2] x = {0, 1}> { y = Bernoulli(x) }", 0, "y f32[2] {0 1}" },
	{ "Multinomial", V(7) "g () => (int32[1,3] y) <float[1,3] x = {-1e9, 0, -1e9}> { y = Multinomial <sample_size = 3> (x) }", 0, "y i32[1,3] {1 1 1}" },
	{ "RandomNormal", V(1) "g () => (float[3] y, int64[1] s) { x = RandomNormal <shape = [3], scale = 0.0, mean = 2.5> ()  t = RandomNormalLike <scale = 0.0> (x) "
			       "y = Add(x, t)  s = Shape(t) }",
		0, "y f32[3] {2.5 2.5 2.5}; s i64[1] {3}" },
	{ "RandomUniform without a shape", V(1) "g () => (float[3] y) { [n] y = RandomUniform() }", WQ_EINPUT, "attribute 'shape' is missing" },
	{ "RandomUniform", V(1) "g () => (int64[2] y) { x = RandomUniform <shape = [2, 3]> ()  y = Shape(x) }", 0, "y i64[2] {2 3}" },
};

TEST(cases) { onnx_cases(WQ_COUNTOF(cases), cases); }

TEST_MAIN(TEST_RUN(cases))
