/* Elementwise operators, casts and quantisation in compiled code against the evaluator, over all types, with all kinds
 * of bits: NaN, infinities, subnormals, the least and greatest integers. To the bit where the operator's definition is
 * exact.
 *
 *   elementwise_test [TEST]
 *   elementwise_test -target T [ATTRS]    code for another CPU that this one can run
 */
#include "api/api.h"
#include "codegen/codegen.h"
#include "tests/eval.h"
#include "tests/test.h"

static const char *target = "native", *attrs;

/* ---- operands ------------------------------------------------------------------------------------------ */

/* Numbers that mean something for floats, and any bits. */
static double float_of_note(Rng *r)
{
	static const double some[] = { 0,
				       -0.0,
				       1,
				       -1,
				       0.5,
				       -0.5,
				       1.5,
				       2.5,
				       -2.5,
				       3,
				       127,
				       128,
				       255,
				       256,
				       -128,
				       -129,
				       448,
				       464,
				       57344,
				       61440,
				       65504,
				       65520,
				       6,
				       0.25,
				       0.75,
				       2147483648.0,
				       -2147483648.0,
				       2147483647,
				       4294967296.0,
				       9223372036854775808.0,
				       -9223372036854775808.0,
				       18446744073709551616.0,
				       1e-3,
				       1e-5,
				       1e-8,
				       1e-40,
				       1e38,
				       1e300,
				       100,
				       -100,
				       88,
				       10 };
	double v = rng_below(r, 3) ? 40 * rng_unit(r) - 20 : some[rng_below(r, WQ_COUNTOF(some))];
	return rng_below(r, 40) ? v : rng_below(r, 2) ? INFINITY : rng_below(r, 2) ? -INFINITY : NAN;
}

static void fill_bits(Rng *r, void *p, size_t n)
{
	uint8_t *b = p;
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)rng_u32(r);
}

static void set_any(Rng *r, WqTensor *t, int64_t i)
{
	WqDtype d = t->dtype;
	size_t size = wq_dtype_size(d);
	int bits = wq_dtype(d)->bits;
	uint8_t *p = (uint8_t *)t->data + (size_t)i * size;
	if (d == WQ_BOOL || bits < 8) {
		int v = rng_below(r, d == WQ_BOOL ? 2 : 1 << bits);
		*p = (uint8_t)(wq_dtype(d)->cls == 'I' && v >> (bits - 1) ? v - (1 << bits) : v);
	} else if (wq_dtype_is_int(d) && rng_below(r, 2)) {
		wq_tensor_set_i(t, i, rng_below(r, 13) - (wq_dtype_is_signed(d) ? 6 : 0));
	} else if (wq_dtype_is_int(d) && rng_below(r, 4) == 0) { /* the ends */
		memset(p, rng_below(r, 2) ? 0xff : 0, size);
		p[size - 1] = rng_below(r, 2) ? 0x80 : 0x7f;
	} else if (wq_dtype(d)->cls == 'F' && bits > 8 && rng_below(r, 4)) {
		wq_tensor_set_f(t, i, float_of_note(r));
	} else {
		fill_bits(r, p, size);
		if (bits > 8 && wq_dtype(d)->cls == 'F' && isnan(wq_tensor_get_f(t, i)))
			wq_tensor_set_f(t, i, NAN); /* not a signalling one: libm knows the difference */
	}
}

static WqRt *any_tensor(WqModule *m, Rng *r, const WqType *t)
{
	WqTensor *x = wq_tensor_new(m, t->dtype, t->rank, t->dim);
	for (int64_t i = 0; i < wq_tensor_count(x); i++)
		set_any(r, x, i);
	return wq_rt_borrow(x);
}

/* ---- comparison ------------------------------------------------------------------------------------------ */

static bool same(const WqTensor *x, const WqTensor *y, double tol, int64_t *at)
{
	size_t size = wq_dtype_size(x->dtype);
	for (int64_t i = 0; i < wq_tensor_count(x); i++) {
		const char *p = (const char *)x->data + (size_t)i * size, *q = (const char *)y->data + (size_t)i * size;
		*at = i;
		if (!memcmp(p, q, size))
			continue;
		if (wq_dtype(x->dtype)->cls != 'F' && !tol)
			return false;
		double u = wq_tensor_get_f(x, i), v = wq_tensor_get_f(y, i);
		if (isnan(u) && isnan(v))
			continue;
		double unit = x->dtype == WQ_F16    ? 1e-3
			      : x->dtype == WQ_BF16 ? 8e-3
			      : x->dtype == WQ_F32  ? 2e-6
						    : 4e-15;
		if (!tol || !(fabs(u - v) <= tol * unit * fmax(fabs(u), fabs(v)) + (x->dtype == WQ_F64   ? tol * 1e-320
										    : x->dtype == WQ_F16 ? 1e-7
													 : 1e-44)))
			return false;
	}
	return true;
}

static const char *element_text(WqArena *a, const WqTensor *t, int64_t i)
{
	int64_t n = wq_tensor_count(t);
	return wq_dtype_is_int(t->dtype) ? wq_sprintf(a, "%lld", (long long)wq_tensor_get_i(t, i % n))
					 : wq_sprintf(a, "%.17g", wq_tensor_get_f(t, i % n));
}

/* Runs the text both ways; tol: of floats, in units of a few roundings. */
static void check(WqArena *a, const char *text, double tol, uint64_t seed)
{
	WqModule *m = wq_parse("test", text, strlen(text), (WqMapped){ 0 });
	Rng r = { seed };
	int n = m->main->inputs.n;
	WqRt **in = WQ_NEW_N(a, WqRt *, n + 1);
	for (int i = 0; i < n; i++)
		in[i] = any_tensor(m, &r, &m->main->inputs.v[i]->type);
	WqRt **want = run_graph(a, m, in, true);
	WqCodeOptions o = { .target = wq_target(target, NULL, attrs, a), .level = 1 };
	WqJit *j = wq_jit_new(wq_program_new(m, &o, a));
	ApiCall *call = api_call_new(m, in, a);
	CHECK_EQ(api_call_jit(call, j, 1), 0);
	for (int i = 0; i < m->main->outputs.n; i++) {
		WqRt *got = api_call_result(call, i);
		int64_t at = 0;
		bool ok = same(&want[i]->t, &got->t, tol, &at);
		CHECK_MSG(ok, "%s\n  output %s: element %lld is %s, should be %s; operands %s %s", text,
			  m->main->outputs.v[i].name, (long long)at, element_text(a, &got->t, at),
			  element_text(a, &want[i]->t, at), element_text(a, &in[0]->t, at),
			  n > 1 ? element_text(a, &in[1]->t, at) : "");
		wq_rt_unref(got);
	}
	drop_all(want, m->main->outputs.n);
	drop_all(in, n);
	wq_module_free(m);
}

/* ---- one and two operands ---------------------------------------------------------------------------------- */

static const WqDtype numbers[] = { WQ_F32, WQ_F64, WQ_F16, WQ_BF16, WQ_I8,  WQ_U8,
				   WQ_I16, WQ_U16, WQ_I32, WQ_U32,  WQ_I64, WQ_U64 };

/* `x: T[..], y: T[..]`, then a node for each operator of the list, each an output. */
static void each(const char *inputs, const char *result, const char *operands, WqDtype t, const char *list, double tol)
{
	WqArena *a = wq_arena_new();
	WqStr s = { .a = a }, outs = { .a = a };
	wq_str_printf(&s, "graph (%s) {\n", inputs);
	int k = 0;
	for (const char *p = list; *p; k++) {
		int n = (int)strcspn(p, "<|"), all = (int)strcspn(p, "|");
		wq_str_printf(&s, "r%d: %s = %.*s(%s) %.*s\n", k, result, n, p, operands, all - n, p + n);
		wq_str_printf(&outs, "%sr%d", k ? ", " : "", k);
		p += all + (p[all] != 0);
	}
	wq_str_printf(&s, "return %s\n}", outs.s);
	check(a, s.s, tol, (uint64_t)t * 7 + 1);
	wq_arena_free(a);
}

static void each_of(WqDtype t, const char *shapes[], int n, const char *result, const char *out, const char *list,
		    double tol)
{
	WqArena *a = wq_arena_new();
	WqStr in = { .a = a }, names = { .a = a };
	for (int i = 0; i < n; i++) {
		wq_str_printf(&in, "%sx%d: %s%s", i ? ", " : "", i, wq_dtype(t)->text, shapes[i]);
		wq_str_printf(&names, "%sx%d", i ? ", " : "", i);
	}
	each(in.s, wq_sprintf(a, "%s%s", result ? result : wq_dtype(t)->text, out), names.s, t, list, tol);
	wq_arena_free(a);
}

TEST(unary)
{
	for (int i = 0; i < WQ_COUNTOF(numbers); i++) {
		WqDtype t = numbers[i];
		each_of(t, (const char *[]){ "[1003]" }, 1, NULL, "[1003]", "Abs|Neg|Sign|Relu", 0);
		if (wq_dtype_is_int(t)) {
			each_of(t, (const char *[]){ "[1003]" }, 1, NULL, "[1003]", "BitwiseNot", 0);
			continue;
		}
		each_of(t, (const char *[]){ "[1003]" }, 1, NULL, "[1003]", "Floor|Ceil|Round|Sqrt", 0);
		each_of(t, (const char *[]){ "[1003]" }, 1, NULL, "[1003]",
			"Exp|Log|Sin|Cos|Tan|Asin|Acos|Atan|Sinh|Cosh|Tanh", 1);
		each_of(t, (const char *[]){ "[1003]" }, 1, NULL, "[1003]",
			"Asinh|Acosh|Atanh|Erf|Sigmoid|Gelu|Swish|Swish<alpha=1.7>", t == WQ_F64 ? 100 : 4);
		if (t != WQ_F64) /* where the evaluator's tail is lost in 1 + tanh */
			each_of(t, (const char *[]){ "[1003]" }, 1, NULL, "[1003]", "Gelu<approximate=\"tanh\">", 4);
		each_of(t, (const char *[]){ "[1003]" }, 1, "bool", "[1003]",
			"IsNaN|IsInf|IsInf<detect_negative=0>|IsInf<detect_positive=0>", 0);
	}
	each_of(WQ_BOOL, (const char *[]){ "[77]" }, 1, NULL, "[77]", "Not", 0);
}

static void binary_shapes(const char *a, const char *b, const char *out)
{
	const char *shapes[] = { a, b };
	for (int i = 0; i < WQ_COUNTOF(numbers); i++) {
		WqDtype t = numbers[i];
		each_of(t, shapes, 2, NULL, out, "Add|Sub|Mul|Div|Mod|Mod<fmod=1>|Min|Max", 0);
		each_of(t, shapes, 2, "bool", out, "Equal|Less|LessOrEqual", 0);
		each_of(t, shapes, 2, NULL, out, "Pow", 1);
		if (wq_dtype_is_int(t))
			each_of(t, shapes, 2, NULL, out, "BitwiseAnd|BitwiseOr|BitwiseXor", 0);
		if (wq_dtype(t)->cls == 'U')
			each_of(t, shapes, 2, NULL, out, "BitShift|BitShift<left=1>", 0);
	}
	each_of(WQ_BOOL, shapes, 2, NULL, out, "And|Or|Xor|Equal", 0);
}

TEST(binary)
{
	binary_shapes("[1531]", "[1531]", "[1531]");
	binary_shapes("[7,1,19]", "[5,1]", "[7,5,19]");
}

TEST(pow_types)
{
	for (int i = 0; i < WQ_COUNTOF(numbers); i++)
		for (int j = 0; j < WQ_COUNTOF(numbers); j++) {
			WqArena *a = wq_arena_new();
			const char *x = wq_dtype(numbers[i])->text, *y = wq_dtype(numbers[j])->text;
			check(a,
			      wq_sprintf(a, "graph (x: %s[301], y: %s[301]) { z: %s[301] = Pow(x, y)\n return z }", x,
					 y, x),
			      1, 5);
			wq_arena_free(a);
		}
	static const double fixed[] = { 0, 1, 2, 3, -1, 0.5, -2, 2.5, 7 };
	for (int i = 0; i < WQ_COUNTOF(fixed); i++) {
		WqArena *a = wq_arena_new();
		check(a,
		      wq_sprintf(a,
				 "const e: f32[] = {%g} graph (x: f32[301], h: f16[301]) { y: f32[301] = Pow(x, e)\n "
				 "z: f16[301] = Pow(h, e)\n return y, z }",
				 fixed[i]),
		      1, 5);
		if (fixed[i] == (int)fixed[i])
			check(a,
			      wq_sprintf(a,
					 "const e: i64[1] = {%g} graph (x: f32[301], i: i32[301]) { y: f32[301] = "
					 "Pow(x, e)\n z: i32[301] = Pow(i, e)\n return y, z }",
					 fixed[i]),
			      1, 5);
		wq_arena_free(a);
	}
}

static bool has_code(WqDtype t) { return t != WQ_STR && t != WQ_C128; }

TEST(where_and_equal)
{
	for (int t = 1; t < WQ_NUM_DTYPES; t++) {
		if (!has_code((WqDtype)t))
			continue;
		WqArena *a = wq_arena_new();
		const char *s = wq_dtype((WqDtype)t)->text;
		check(a,
		      wq_sprintf(a,
				 "graph (c: bool[40,3,1], x: %s[40,1,9], y: %s[9]) { z: %s[40,3,9] = Where(c, x, y)\n "
				 "e: bool[40,1,9] = Equal(x, y)\n return z, e }",
				 s, s, s),
		      0, 3);
		wq_arena_free(a);
	}
}

/* ---- types ------------------------------------------------------------------------------------------------- */

TEST(casts)
{
	static const char *const how[] = { "", ", saturate=0", ", round=\"up\"", ", round=\"down\", saturate=0" };
	for (int from = 1; from < WQ_NUM_DTYPES; from++)
		for (int k = 0;
		     k < (wq_dtype((WqDtype)from)->bits > 16 ? WQ_COUNTOF(how) : 2) && has_code((WqDtype)from); k++) {
			WqArena *a = wq_arena_new();
			WqStr s = { .a = a }, outs = { .a = a };
			wq_str_printf(&s, "graph (x: %s[2111]) {\n", wq_dtype((WqDtype)from)->text);
			for (int to = 1; to < WQ_NUM_DTYPES; to++) {
				const char *t = wq_dtype((WqDtype)to)->text;
				if (!has_code((WqDtype)to) ||
				    (k && (wq_dtype((WqDtype)to)->cls != 'F' || wq_dtype((WqDtype)to)->bits > 8)))
					continue;
				wq_str_printf(&s, "y%d: %s[2111] = Cast(x) <to=%s%s>\n", to, t, t, how[k]);
				wq_str_printf(&outs, "%sy%d", outs.n ? ", " : "", to);
			}
			wq_str_printf(&s, "return %s\n}", outs.s);
			check(a, s.s, 0, 11);
			wq_arena_free(a);
		}
}

TEST(bitcasts)
{
	for (int from = 1; from < WQ_NUM_DTYPES; from++)
		for (int to = 1; to < WQ_NUM_DTYPES; to++) {
			if (!has_code((WqDtype)from) || !has_code((WqDtype)to) ||
			    wq_dtype((WqDtype)from)->bits != wq_dtype((WqDtype)to)->bits ||
			    (to == WQ_BOOL && from != WQ_BOOL))
				continue;
			WqArena *a = wq_arena_new();
			const char *x = wq_dtype((WqDtype)from)->text, *y = wq_dtype((WqDtype)to)->text;
			check(a,
			      wq_sprintf(a, "graph (x: %s[133]) { y: %s[133] = BitCast(x) <to=%s>\n return y }", x, y,
					 y),
			      0, 13);
			wq_arena_free(a);
		}
}

/* ---- quantisation --------------------------------------------------------------------------------------------- */

static const WqDtype codes[] = { WQ_I8,  WQ_U8,  WQ_I16,      WQ_U16,        WQ_I4,     WQ_U4,         WQ_I2,    WQ_U2,
				 WQ_I32, WQ_U32, WQ_F8E4M3FN, WQ_F8E4M3FNUZ, WQ_F8E5M2, WQ_F8E5M2FNUZ, WQ_F4E2M1 };

/* Scales s of shape `small`, as the attributes say, for the first n types. */
static void quantization(int n, const char *shape, const char *small, const char *attrs)
{
	static const WqDtype reals[5] = { WQ_F32, WQ_F16, WQ_BF16, WQ_F64, WQ_I32 };
	for (int i = 0; i < n; i++)
		for (int j = i % 2; j < WQ_COUNTOF(codes); j += n == 2 ? 2 : 1) {
			WqArena *a = wq_arena_new();
			const char *x = wq_dtype(reals[i])->text, *q = wq_dtype(codes[j])->text,
				   *s = reals[i] == WQ_F64 || reals[i] == WQ_I32 ? "f32" : x;
			check(a,
			      wq_sprintf(a,
					 "graph (x: %s%s, s: %s%s, z: %s%s, q: %s%s) {\n"
					 "a: %s%s = QuantizeLinear(x, s, z) <to=%s%s>\n b: %s%s = QuantizeLinear(x, s) "
					 "<to=%s%s>\n"
					 "c: %s%s = DequantizeLinear(q, s, z) <to=%s%s>\n d: %s%s = "
					 "DequantizeLinear(q, s) <to=%s%s>\n return a, b, c, d }",
					 x, shape, s, small, q, small, q, shape, q, shape, q, attrs, q, shape, q, attrs,
					 s, shape, s, attrs, s, shape, s, attrs),
			      0, 17);
			wq_arena_free(a);
		}
}

TEST(quantize)
{
	quantization(5, "[37,11]", "[]", "");
	quantization(2, "[5,7,33]", "[7]", ", axis=1");
	quantization(2, "[9,35]", "[35]", ", axis=-1");
	quantization(2, "[3,50]", "[3,4]", ", axis=1, block_size=16");
	quantization(2, "[3,50]", "[3,17]", ", axis=1, block_size=3");
	quantization(2, "[10,33]", "[4,33]", ", axis=0, block_size=3");
}

/* Behind a product of whole numbers, whose sums are exact in any order. */
static void behind_product(const char *scale, const char *attrs, const char *type)
{
	WqArena *a = wq_arena_new();
	check(a,
	      wq_sprintf(a,
			 "graph (x: i8[13,40], w: i8[40,35], s: f32%s, z: %s%s) {\n"
			 "a: f32[13,40] = Cast(x) <to=f32>\n b: f32[40,35] = Cast(w) <to=f32>\n y: f32[13,35] = "
			 "MatMul(a, b)\n"
			 "q: %s[13,35] = QuantizeLinear(y, s, z) <to=%s%s>\n return q }",
			 scale, type, scale, type, type, attrs),
	      0, 19);
	check(a,
	      wq_sprintf(a,
			 "graph (x: i8[13,40], w: i8[40,35], s: f32%s, z: %s%s, c: bool[35]) {\n"
			 "a: f32[13,40] = Cast(x) <to=f32>\n b: f32[40,35] = Cast(w) <to=f32>\n y: f32[13,35] = "
			 "MatMul(a, b)\n"
			 "q: %s[13,35] = QuantizeLinear(y, s, z) <to=%s%s>\n d: f16[13,35] = DequantizeLinear(q, s, z) "
			 "<to=f16%s>\n"
			 "h: f16[13,35] = Cast(y) <to=f16>\n r: f16[13,35] = Where(c, d, h)\n return r }",
			 scale, type, scale, type, type, attrs, attrs),
	      0, 23);
	wq_arena_free(a);
}

TEST(behind_products)
{
	behind_product("[]", "", "i8");
	behind_product("[]", "", "u16");
	behind_product("[35]", ", axis=1", "u8");
	behind_product("[13]", ", axis=0", "i4");
	behind_product("[13,3]", ", axis=1, block_size=16", "i8");
	behind_product("[13,9]", ", axis=1, block_size=4", "f8e4m3fn");
	behind_product("[3,35]", ", axis=0, block_size=5", "u4");
}

int main(int argc, char **argv)
{
	int failed = 0, ran = 0;
	if (argc > 2 && !strcmp(argv[1], "-target")) {
		target = argv[2];
		attrs = argc > 3 ? argv[3] : NULL;
		argc = 1;
	}
	TEST_RUN(unary)
	TEST_RUN(binary) TEST_RUN(pow_types) TEST_RUN(where_and_equal) TEST_RUN(casts) TEST_RUN(bitcasts)
		TEST_RUN(quantize) TEST_RUN(behind_products) printf("%d passed, %d failed\n", ran - failed, failed);
	return failed != 0;
}
