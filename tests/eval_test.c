/* eval_test: what single operators compute where the conformance cases do not look: wrapping, division by zero, NaN,
 * empty tensors, large ranks, indices out of range. A case is a graph's text and the constant that it should give. */
#include "engine/engine.h"
#include "tests/test.h"

#include <math.h>

typedef struct Case {
	const char *consts, *node, *want; /* want: "type = {...}" of y; or what the error says, after "!" */
} Case;

static void drop_module(void *m) { wq_module_free(m); }
static void drop_engine(void *e) { wq_engine_free(e); }
static void drop_value(void *v) { wq_rt_unref(v); }

/* The graph's only output; everything is dropped with the arena. */
static const WqTensor *output(WqArena *a, const char *consts, const char *node, const char *name)
{
	WqRt *out[1] = {0};
	char *text = wq_sprintf(a, "model \"t\"\n%s\ngraph () {\n  %s\n  return %s\n}\n", consts, node, name);
	WqModule *m = wq_parse("case", text, strlen(text), (WqMapped){0});
	wq_defer(a, drop_module, m);
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){.threads = 2});
	wq_defer(a, drop_engine, e);
	wq_engine_run(e, NULL, out);
	wq_defer(a, drop_value, out[0]);
	return &out[0]->t;
}

static bool same_float(double a, double b, double tol)
{
	return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b)) || fabs(a - b) <= tol * fabs(b);
}

static bool same_element(const WqTensor *a, const WqTensor *b, int64_t i)
{
	if (a->dtype == WQ_STR) {
		const WqString *s = (const WqString *)a->data + i, *t = (const WqString *)b->data + i;
		return s->n == t->n && !memcmp(s->p, t->p, s->n);
	}
	if (wq_dtype_is_float(a->dtype))
		return same_float(wq_tensor_get_f(a, i), wq_tensor_get_f(b, i), a->dtype == WQ_F64 ? 1e-14 : 3e-7);
	return wq_tensor_get_i(a, i) == wq_tensor_get_i(b, i);
}

static void compare(const Case *c, const WqTensor *got, const WqTensor *want)
{
	bool same = got->dtype == want->dtype && got->rank == want->rank;
	for (int i = 0; same && i < want->rank; i++)
		same = got->dim[i] == want->dim[i];
	CHECK_MSG(same, "%s: another type than %s", c->node, c->want);
	for (int64_t i = 0, n = wq_tensor_count(want); same && i < n; i++) {
		same = same_element(got, want, i);
		CHECK_MSG(same, "%s: [%lld] is %.9g, expected %.9g", c->node, (long long)i,
			  got->dtype == WQ_STR ? 0 : wq_tensor_get_f(got, i),
			  got->dtype == WQ_STR ? 0 : wq_tensor_get_f(want, i));
	}
}

static void run_case(const Case *c)
{
	WqArena *a = wq_arena_new();
	bool fails = *c->want == '!';
	WqTry t;
	if (WQ_TRY(&t)) {
		const WqTensor *got = output(a, c->consts, c->node, "y");
		if (!fails)
			compare(c, got, output(a, wq_sprintf(a, "const want: %s", c->want), "", "want"));
		CHECK_MSG(!fails, "%s: no error", c->node);
		wq_try_end(&t);
	} else {
		CHECK_MSG(fails && strstr(t.err.text, c->want + 1), "%s: '%s'", c->node, t.err.text);
	}
	wq_arena_free(a);
}

static void run_cases(const Case *c, int n)
{
	for (int i = 0; i < n; i++)
		run_case(&c[i]);
}
#define RUN(...) \
	do { \
		static const Case cases_[] = {__VA_ARGS__}; \
		run_cases(cases_, WQ_COUNTOF(cases_)); \
	} while (0)

TEST(integers_wrap_and_never_trap)
{
	RUN({ "const a: i32[5] = {7,-7,-2147483648,5,2147483647}\nconst b: i32[5] = {-2,2,-1,0,1}",
	      "y: i32[5] = Div(a, b)", "i32[5] = {-3,-3,-2147483648,0,2147483647}" },
	    { "const a: i64[3] = {-9223372036854775808,9,-9}\nconst b: i64[3] = {-1,0,4}", "y: i64[3] = Div(a, b)",
	      "i64[3] = {-9223372036854775808,0,-2}" },
	    { "const a: i8[4] = {100,-100,-128,127}\nconst b: i8[4] = {100,-100,-1,1}", "y: i8[4] = Add(a, b)",
	      "i8[4] = {-56,56,127,-128}" },
	    { "const a: u8[3] = {3,200,0}\nconst b: u8[3] = {5,100,1}", "y: u8[3] = Sub(a, b)",
	      "u8[3] = {254,100,255}" },
	    { "const a: i32[2] = {65536,-2147483648}\nconst b: i32[2] = {65536,-1}", "y: i32[2] = Mul(a, b)",
	      "i32[2] = {0,-2147483648}" },
	    { "const a: u16[2] = {65535,256}", "y: u16[2] = Mul(a, a)", "u16[2] = {1,0}" },
	    { "const a: i32[6] = {7,-7,7,-7,5,-2147483648}\nconst b: i32[6] = {3,3,-3,-3,0,-1}",
	      "y: i32[6] = Mod(a, b)", "i32[6] = {1,2,-2,-1,0,0}" },
	    { "const a: i32[6] = {7,-7,7,-7,5,-2147483648}\nconst b: i32[6] = {3,3,-3,-3,0,-1}",
	      "y: i32[6] = Mod(a, b) <fmod=1>", "i32[6] = {1,-1,1,-1,0,0}" },
	    { "const a: i8[2] = {-128,-5}", "y: i8[2] = Abs(a)", "i8[2] = {-128,5}" },
	    { "const a: i64[2] = {-9223372036854775808,4}", "y: i64[2] = Neg(a)",
	      "i64[2] = {-9223372036854775808,-4}" },
	    { "const a: u8[4] = {1,1,255,255}\nconst b: u8[4] = {7,8,255,1}", "y: u8[4] = BitShift(a, b) <left=1>",
	      "u8[4] = {128,0,0,254}" },
	    { "const a: u64[2] = {18446744073709551615,8}\nconst b: u64[2] = {64,3}", "y: u64[2] = BitShift(a, b)",
	      "u64[2] = {0,1}" },
	    { "const a: i16[3] = {-1,0,5}", "y: i16[3] = BitwiseNot(a)", "i16[3] = {0,-1,-6}" },
	    { "const a: u64[2] = {18446744073709551615,1}\nconst b: u64[2] = {1,18446744073709551615}",
	      "y: bool[2] = Less(a, b)", "bool[2] = {0,1}" });
}

TEST(floats_keep_nan_zero_and_infinity)
{
	RUN({ "const a: f32[4] = {nan,1,-0.0,inf}\nconst b: f32[4] = {1,nan,0.0,-inf}", "y: f32[4] = Max(a, b)",
	      "f32[4] = {nan,nan,0,inf}" },
	    { "const a: f32[3] = {nan,1,-inf}\nconst b: f32[3] = {1,nan,3}", "y: f32[3] = Min(a, b)",
	      "f32[3] = {nan,nan,-inf}" },
	    { "const a: f32[3] = {1,-1,0}\nconst b: f32[3] = {0,0,0}", "y: f32[3] = Div(a, b)",
	      "f32[3] = {inf,-inf,nan}" },
	    { "const a: f32[5] = {0.5,1.5,2.5,-0.5,nan}", "y: f32[5] = Round(a)", "f32[5] = {0,2,2,-0.0,nan}" },
	    { "const a: f32[4] = {nan,-0.0,-3,inf}", "y: f32[4] = Sign(a)", "f32[4] = {nan,0,-1,1}" },
	    { "const a: f32[4] = {nan,-1,2,-inf}", "y: f32[4] = Relu(a)", "f32[4] = {nan,0,2,0}" },
	    { "const a: f32[4] = {5.5,-5.5,5.5,-5.5}\nconst b: f32[4] = {3,3,-3,-3}", "y: f32[4] = Mod(a, b)",
	      "f32[4] = {2.5,0.5,-0.5,-2.5}" },
	    { "const a: f32[4] = {5.5,-5.5,5.5,-5.5}\nconst b: f32[4] = {3,3,-3,-3}", "y: f32[4] = Mod(a, b) <fmod=1>",
	      "f32[4] = {2.5,-2.5,2.5,-2.5}" },
	    { "const a: f32[4] = {nan,inf,-inf,1}", "y: bool[4] = IsInf(a) <detect_negative=0>",
	      "bool[4] = {0,1,0,0}" },
	    { "const a: f64[3] = {nan,1e300,inf}", "y: bool[3] = IsNaN(a)", "bool[3] = {1,0,0}" },
	    { "const a: bf16[2] = {nan,1}", "y: bool[2] = IsNaN(a)", "bool[2] = {1,0}" },
	    { "const a: f32[2] = {nan,0.0}\nconst b: f32[2] = {nan,-0.0}", "y: bool[2] = Equal(a, b)",
	      "bool[2] = {0,1}" },
	    /* 2049 is not an f16: each operation rounds */
	    { "const a: f16[2] = {2048,1}\nconst b: f16[2] = {1,0.00048828125}", "y: f16[2] = Add(a, b)",
	      "f16[2] = {2048,1}" },
	    { "const a: f16[1] = {60000}", "y: f16[1] = Add(a, a)", "f16[1] = {inf}" });
}

TEST(functions_are_accurate)
{
	RUN({ "const a: f32[7] = {-200,-104,-88,0,1,88.5,200}", "y: f32[7] = Exp(a)",
	      "f32[7] = {0,0,6.0546014e-39,1,2.71828183,2.72308792e38,inf}" },
	    { "const a: f32[6] = {-inf,-100,-1,0,1,inf}", "y: f32[6] = Sigmoid(a)",
	      "f32[6] = {0,3.7835059e-44,0.268941421,0.5,0.731058579,1}" },
	    { "const a: f32[6] = {-inf,-0.0,1e-5,0.5,2,inf}", "y: f32[6] = Tanh(a)",
	      "f32[6] = {-1,-0.0,1e-5,0.462117157,0.96402758,1}" },
	    { "const a: f32[6] = {-inf,-0.5,1e-6,0.99999,1.5,nan}", "y: f32[6] = Erf(a)",
	      "f32[6] = {-1,-0.520499878,1.12837917e-6,0.842696641,0.966105146,nan}" },
	    { "const a: f32[6] = {-20,-8,-3,0,1,9}", "y: f32[6] = Gelu(a)",
	      "f32[6] = {-0.0,-4.97676858e-15,-0.00404969409,0,0.841344746,9}" },
	    { "const a: f32[4] = {-3,-1,0.5,4}", "y: f32[4] = Gelu(a) <approximate=\"tanh\">",
	      "f32[4] = {-0.00363739208,-0.158808009,0.345714010,3.99992975}" },
	    { "const a: f32[3] = {-2,0,3}", "y: f32[3] = Swish(a) <alpha=2>", "f32[3] = {-0.0359724199,0,2.99258213}" },
	    { "const a: f64[2] = {-1,0.25}", "y: f64[2] = Sigmoid(a)",
	      "f64[2] = {0.26894142136999512,0.56217650088579807}" });
}

TEST(powers_of_mixed_types)
{
	RUN({ "const a: i32[5] = {2,-3,0,1,-1}\nconst b: i64[5] = {10,3,0,-5,-3}", "y: i32[5] = Pow(a, b)",
	      "i32[5] = {1024,-27,1,1,-1}" },
	    { "const a: i32[2] = {2,0}\nconst b: i32[2] = {-1,-2}", "y: i32[2] = Pow(a, b)", "i32[2] = {0,0}" },
	    { "const a: u64[2] = {18446744073709551615,3}\nconst b: i64[] = {-1}", "y: u64[2] = Pow(a, b)", "u64[2] = {0,0}" },
	    { "const a: i64[2] = {-1,2}\nconst b: u64[] = {18446744073709551615}", "y: i64[2] = Pow(a, b)", "i64[2] = {-1,0}" },
	    { "const a: i64[2] = {4,9}\nconst b: f32[] = {0.5}", "y: i64[2] = Pow(a, b)", "i64[2] = {2,3}" },
	    { "const a: f32[3] = {-2,0.5,3}\nconst b: i64[] = {3}", "y: f32[3] = Pow(a, b)", "f32[3] = {-8,0.125,27}" },
	    { "const a: f32[4] = {-inf,-0.0,4,-1}\nconst b: f32[] = {0.5}", "y: f32[4] = Pow(a, b)",
	      "f32[4] = {inf,0,2,nan}" },
	    { "const a: f16[2] = {3,1.5}\nconst b: f64[] = {2}", "y: f16[2] = Pow(a, b)", "f16[2] = {9,2.25}" });
}

TEST(broadcasting_any_shape)
{
	RUN({ "const a: f32[2,1,2] = {1,2,3,4}\nconst b: f32[3,1] = {10,20,30}", "y: f32[2,3,2] = Add(a, b)",
	      "f32[2,3,2] = {11,12,21,22,31,32,13,14,23,24,33,34}" },
	    { "const a: f32[2,0] = {}\nconst b: f32[1] = {1}", "y: f32[2,0] = Add(a, b)", "f32[2,0] = {}" },
	    { "const a: f32[1,1,1,1,1,1,1,1,1,1,1,2] = {1,2}\nconst b: f32[2,1,1,1,1,1,1,1,1,1,1,1] = {10,20}",
	      "y: f32[2,1,1,1,1,1,1,1,1,1,1,2] = Sub(a, b)", "f32[2,1,1,1,1,1,1,1,1,1,1,2] = {-9,-8,-19,-18}" },
	    { "const c: bool[2,1] = {1,0}\nconst a: str[1,2] = {\"a\",\"bc\"}\nconst b: str[] = {\"\"}",
	      "y: str[2,2] = Where(c, a, b)", "str[2,2] = {\"a\",\"bc\",\"\",\"\"}" },
	    { "const a: str[2] = {\"x\",\"y\"}\nconst b: str[] = {\"y\"}", "y: bool[2] = Equal(a, b)",
	      "bool[2] = {0,1}" },
	    { "const a: f32[2] = {1,2}\nconst b: f32[3] = {1,2,3}", "y: f32[3] = Add(a, b)", "!do not broadcast" });
}

TEST(casts)
{
	RUN({ "const a: f32[6] = {3e9,-3e9,nan,-1.9,300,-1}", "y: i32[6] = Cast(a) <to=i32>",
	      "i32[6] = {2147483647,-2147483648,0,-1,300,-1}" },
	    { "const a: f32[4] = {300,-1,255.9,nan}", "y: u8[4] = Cast(a) <to=u8>", "u8[4] = {44,255,255,0}" },
	    { "const a: f64[3] = {1e19,-1,1.9e19}", "y: u64[3] = Cast(a) <to=u64>",
	      "u64[3] = {10000000000000000000,18446744073709551615,18446744073709551615}" },
	    { "const a: i16[3] = {200,-200,9}", "y: i8[3] = Cast(a) <to=i8>", "i8[3] = {-56,56,9}" },
	    { "const a: i32[3] = {-9,7,20}", "y: i4[3] = Cast(a) <to=i4>", "i4[3] = {7,7,4}" },
	    { "const a: f32[3] = {0.5,-0.0,nan}", "y: bool[3] = Cast(a) <to=bool>", "bool[3] = {1,0,1}" },
	    { "const a: f32[3] = {1e6,-1e6,0.1}", "y: f8e4m3fn[3] = Cast(a) <to=f8e4m3fn>",
	      "f8e4m3fn[3] = {448,-448,0.1015625}" },
	    { "const a: f32[1] = {1e6}", "y: f8e4m3fn[1] = Cast(a) <to=f8e4m3fn, saturate=0>", "f8e4m3fn[1] = {nan}" },
	    /* twice rounded, 1 + 2^-11 + 2^-40 would be 1 */
	    { "const a: f64[1] = {1.00048828125090949}", "y: f16[1] = Cast(a) <to=f16>", "f16[1] = {1.0009765625}" },
	    { "const a: f32[4] = {300,-120000,1e9,2.5e-7}", "y: str[4] = Cast(a) <to=str>",
	      "str[4] = {\"300\",\"-120000\",\"1e+09\",\"2.5e-07\"}" },
	    { "const a: f64[2] = {1e16,1e17}", "y: str[2] = Cast(a) <to=str>",
	      "str[2] = {\"10000000000000000\",\"1e+17\"}" },
	    { "const a: f32[3] = {0.1,1e10,inf}", "y: str[3] = Cast(a) <to=str>",
	      "str[3] = {\"0.1\",\"1e+10\",\"INF\"}" },
	    { "const a: str[3] = {\" 2.5\",\"-inf\",\"7\"}", "y: f32[3] = Cast(a) <to=f32>", "f32[3] = {2.5,-inf,7}" },
	    { "const a: str[1] = {\"9223372036854775807\"}", "y: i64[1] = Cast(a) <to=i64>",
	      "i64[1] = {9223372036854775807}" },
	    { "const a: str[1] = {\"seven\"}", "y: f32[1] = Cast(a) <to=f32>", "!is not a number" },
	    { "const a: f32[2] = {1,-0.0}", "y: u32[2] = BitCast(a) <to=u32>", "u32[2] = {1065353216,2147483648}" },
	    { "const a: u4[2] = {15,7}", "y: i4[2] = BitCast(a) <to=i4>", "i4[2] = {-1,7}" });
}

TEST(quantization)
{
	RUN({ "const a: f32[6] = {-1000,1000,0.5,1.5,nan,-2.5}\nconst s: f32[] = {1}\nconst z: u8[] = {128}",
	      "y: u8[6] = QuantizeLinear(a, s, z) <to=u8>", "u8[6] = {0,255,128,130,128,126}" },
	    { "const a: f32[2,3] = {1,2,3,4,5,6}\nconst s: f32[2] = {1,2}",
	      "y: i8[2,3] = QuantizeLinear(a, s, _) <to=i8, axis=0>", "i8[2,3] = {1,2,3,2,2,3}" },
	    { "const a: f32[1,5] = {1,2,3,4,5}\nconst s: f32[1,2] = {1,2}\nconst z: i4[1,2] = {1,-1}",
	      "y: i4[1,5] = QuantizeLinear(a, s, z) <to=i4, axis=1, block_size=3>", "i4[1,5] = {2,3,4,1,1}" },
	    { "const a: u2[4] = {0,1,2,3}\nconst s: f16[] = {0.5}\nconst z: u2[] = {1}",
	      "y: f16[4] = DequantizeLinear(a, s, z) <to=f16>", "f16[4] = {-0.5,0,0.5,1}" },
	    { "const a: i8[2,2] = {1,2,3,4}\nconst s: f32[2,2] = {1,10,100,1000}",
	      "y: f32[2,2] = DequantizeLinear(a, s, _) <to=f32, axis=0, block_size=1>", "f32[2,2] = {1,20,300,4000}" },
	    { "const a: i32[2] = {16777217,-5}\nconst s: f32[] = {2}\nconst z: i32[] = {1}",
	      "y: f32[2] = DequantizeLinear(a, s, z) <to=f32>", "f32[2] = {33554432,-12}" },
	    { "const a: f32[3] = {1,2,3}\nconst s: f32[2] = {1,1}",
	      "y: u8[3] = QuantizeLinear(a, s, _) <to=u8, axis=0>", "!does not fit" });
}

TEST(reductions)
{
	RUN({ "const a: f32[2,0] = {}\nconst x: i64[1] = {1}", "y: f32[2,1] = ReduceMax(a, x)",
	      "f32[2,1] = {-inf,-inf}" },
	    { "const a: i32[0,2] = {}\nconst x: i64[1] = {0}", "y: i32[2] = ReduceMin(a, x) <keepdims=0>",
	      "i32[2] = {2147483647,2147483647}" },
	    { "const a: f32[0] = {}", "y: f32[] = ReduceProd(a) <keepdims=0>", "f32[] = {1}" },
	    { "const a: f32[0] = {}", "y: f32[] = ReduceMean(a) <keepdims=0>", "f32[] = {nan}" },
	    { "const a: i32[4] = {1,2,2,-8}", "y: i32[] = ReduceMean(a) <keepdims=0>", "i32[] = {0}" },
	    { "const a: i8[3] = {100,100,100}", "y: i8[] = ReduceSum(a) <keepdims=0>", "i8[] = {44}" },
	    { "const a: f32[3] = {1,nan,2}", "y: f32[1] = ReduceMax(a)", "f32[1] = {nan}" },
	    { "const a: f32[2,2,2,2] = {0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}\nconst x: i64[2] = {-1,1}",
	      "y: f32[2,2] = ReduceSum(a, x) <keepdims=0>", "f32[2,2] = {10,18,42,50}" },
	    { "const a: f32[2] = {1,2}\nconst x: i64[0] = {}", "y: f32[2] = ReduceSum(a, x) <noop_with_empty_axes=1>",
	      "f32[2] = {1,2}" },
	    { "const a: f32[4] = {16777216,1,1,1}", "y: f32[1] = ReduceSum(a)", "f32[1] = {16777220}" },
	    { "const a: f32[2,2] = {1,2,3,4}\nconst x: i64[2] = {0,-2}", "y: f32[1,2] = ReduceSum(a, x)", "!twice" },
	    { "const a: f32[2,2] = {1,2,3,4}\nconst x: i64[1] = {2}", "y: f32[2,2] = ReduceSum(a, x)",
	      "!out of range" },
	    { "const a: f32[2,3] = {1,nan,3,5,5,4}", "y: i64[2] = ArgMax(a) <axis=1, keepdims=0>", "i64[2] = {1,0}" },
	    { "const a: f32[2,3] = {1,3,3,5,5,4}", "y: i64[2] = ArgMax(a) <axis=1, keepdims=0, select_last_index=1>",
	      "i64[2] = {2,1}" },
	    { "const a: i32[3] = {2,-1,-1}", "y: i64[1] = ArgMin(a)", "i64[1] = {1}" },
	    { "const a: u8[2,2] = {200,100,1,2}\nconst x: i32[] = {-1}", "y: u8[2,2] = CumSum(a, x)",
	      "u8[2,2] = {200,44,1,3}" },
	    { "const a: f32[3] = {1,2,3}\nconst x: i64[] = {0}", "y: f32[3] = CumSum(a, x) <exclusive=1, reverse=1>",
	      "f32[3] = {5,3,0}" },
	    { "const a: i64[3] = {2,3,4}\nconst x: i64[] = {0}", "y: i64[3] = CumProd(a, x)", "i64[3] = {2,6,24}" },
	    { "const a: i64[3] = {2,3,4}\nconst x: i64[] = {1}", "y: i64[3] = CumProd(a, x)", "!out of range" });
}

TEST(moves)
{
	RUN({ "const a: str[2,2] = {\"a\",\"b\",\"c\",\"d\"}", "y: str[2,2] = Transpose(a)",
	      "str[2,2] = {\"a\",\"c\",\"b\",\"d\"}" },
	    { "const a: u8[2,1,3] = {1,2,3,4,5,6}", "y: u8[3,2,1] = Transpose(a) <perm=[2,0,1]>",
	      "u8[3,2,1] = {1,4,2,5,3,6}" },
	    { "const a: i32[5] = {0,1,2,3,4}\nconst s: i64[1] = {-1}\nconst e: i64[1] = {-9223372036854775808}\nconst "
	      "x: i64[1] = {0}\n"
	      "const t: i64[1] = {-2}",
	      "y: i32[3] = Slice(a, s, e, x, t)", "i32[3] = {4,2,0}" },
	    { "const a: i32[5] = {0,1,2,3,4}\nconst s: i64[1] = {1}\nconst e: i64[1] = {9223372036854775807}\nconst x: "
	      "i64[1] = {-1}\n"
	      "const t: i64[1] = {9223372036854775807}",
	      "y: i32[1] = Slice(a, s, e, x, t)", "i32[1] = {1}" },
	    { "const a: i32[5] = {0,1,2,3,4}\nconst s: i64[1] = {4}\nconst e: i64[1] = {1}\nconst x: i64[1] = "
	      "{0}\nconst t: i64[1] = {1}",
	      "y: i32[0] = Slice(a, s, e, x, t)", "i32[0] = {}" },
	    /* a start before the beginning is the first element, also backwards (numpy: nothing) */
	    { "const a: i32[3] = {5,6,7}\nconst s: i64[1] = {-9}\nconst e: i64[1] = {-99}\nconst x: i64[1] = "
	      "{0}\nconst t: i64[1] = {-1}",
	      "y: i32[1] = Slice(a, s, e, x, t)", "i32[1] = {5}" },
	    { "const a: i32[2] = {0,1}\nconst s: i64[1] = {0}\nconst e: i64[1] = {1}\nconst x: i64[1] = {0}\nconst t: "
	      "i64[1] = {0}",
	      "y: i32[1] = Slice(a, s, e, x, t)", "!step of 0" },
	    { "const a: i32[2,0] = {}\nconst b: i32[2,2] = {1,2,3,4}", "y: i32[2,2] = Concat(a, b) <axis=1>",
	      "i32[2,2] = {1,2,3,4}" },
	    { "const a: i32[3] = {1,2,3}\nconst p: i64[2] = {4,3}", "y: i32[10] = Pad(a, p) <mode=\"reflect\">",
	      "i32[10] = {1,2,3,2,1,2,3,2,1,2}" },
	    { "const a: i32[3] = {1,2,3}\nconst p: i64[2] = {4,4}", "y: i32[11] = Pad(a, p) <mode=\"wrap\">",
	      "i32[11] = {3,1,2,3,1,2,3,1,2,3,1}" },
	    { "const a: i32[4] = {1,2,3,4}\nconst p: i64[2] = {-1,2}\nconst v: i32[] = {9}", "y: i32[5] = Pad(a, p, v)",
	      "i32[5] = {2,3,4,9,9}" },
	    { "const a: i32[2,2] = {1,2,3,4}\nconst p: i64[2] = {1,0}\nconst x: i64[1] = {-1}",
	      "y: i32[2,3] = Pad(a, p, _, x) <mode=\"edge\">", "i32[2,3] = {1,1,2,3,3,4}" },
	    { "const a: i32[0] = {}\nconst p: i64[2] = {1,0}", "y: i32[1] = Pad(a, p) <mode=\"edge\">",
	      "!nothing to pad with" },
	    { "const a: i32[2] = {1,2}\nconst p: i64[2] = {-2,-1}", "y: i32[0] = Pad(a, p)", "!negative padding" },
	    { "const a: i32[0,3] = {}\nconst s: i64[2] = {3,0}", "y: i32[3,0] = Reshape(a, s) <allowzero=1>",
	      "i32[3,0] = {}" },
	    { "const a: i32[0,3] = {}\nconst s: i64[2] = {0,-1}", "y: i32[0,3] = Reshape(a, s)", "i32[0,3] = {}" },
	    { "const a: i32[4] = {1,2,3,4}\nconst s: i64[2] = {3,-1}", "y: i32[3,1] = Reshape(a, s)",
	      "!do not divide" },
	    { "const a: i32[2,1] = {1,2}\nconst s: i64[3] = {2,1,2}", "y: i32[2,2,2] = Expand(a, s)",
	      "i32[2,2,2] = {1,1,2,2,1,1,2,2}" },
	    { "const a: f32[] = {5}\nconst b: f32[] = {1}\nconst c: f32[] = {-1.5}", "y: f32[3] = Range(a, b, c)",
	      "f32[3] = {5,3.5,2}" },
	    { "const a: i64[] = {0}\nconst b: i64[] = {9223372036854775807}\nconst c: i64[] = {1}",
	      "y: i64[3] = Range(a, b, c)", "!Range" });
}

TEST(indices_are_checked)
{
	RUN({ "const a: i32[3] = {1,2,3}\nconst i: i64[2] = {-1,-3}", "y: i32[2] = Gather(a, i)", "i32[2] = {3,1}" },
	    { "const a: i32[3] = {1,2,3}\nconst i: i64[1] = {3}", "y: i32[1] = Gather(a, i)", "!index 3" },
	    { "const a: i32[3] = {1,2,3}\nconst i: i32[1] = {-4}", "y: i32[1] = Gather(a, i)", "!index -4" },
	    { "const a: i32[0,2] = {}\nconst i: i64[1] = {0}", "y: i32[1,2] = Gather(a, i)", "!out of range" },
	    { "const a: i32[2,2] = {1,2,3,4}\nconst i: i64[2,1] = {1,0}", "y: i32[2,1] = GatherElements(a, i) <axis=1>",
	      "i32[2,1] = {2,3}" },
	    { "const a: i32[2,2] = {1,2,3,4}\nconst i: i64[3,1] = {1,0,0}",
	      "y: i32[3,1] = GatherElements(a, i) <axis=1>", "!larger than" },
	    { "const a: i32[2,2] = {1,2,3,4}\nconst i: i64[1,2] = {-1,2}", "y: i32[1] = GatherND(a, i)", "!index 2" },
	    { "const a: i32[2,2] = {1,2,3,4}\nconst i: i64[2,1] = {1,0}", "y: i32[2] = GatherND(a, i) <batch_dims=1>",
	      "i32[2] = {2,3}" },
	    { "const a: i32[3] = {0,0,0}\nconst i: i64[3] = {1,1,-1}\nconst u: i32[3] = {5,6,7}",
	      "y: i32[3] = ScatterElements(a, i, u)", "i32[3] = {0,6,7}" },
	    { "const a: f16[2] = {1,nan}\nconst i: i64[3] = {0,0,1}\nconst u: f16[3] = {5,2,3}",
	      "y: f16[2] = ScatterElements(a, i, u) <reduction=\"max\">", "f16[2] = {5,nan}" },
	    { "const a: i8[2] = {100,2}\nconst i: i64[2] = {0,1}\nconst u: i8[2] = {100,3}",
	      "y: i8[2] = ScatterElements(a, i, u) <reduction=\"add\">", "i8[2] = {-56,5}" },
	    { "const a: str[2] = {\"a\",\"b\"}\nconst i: i64[1,1] = {1}\nconst u: str[1] = {\"z\"}",
	      "y: str[2] = ScatterND(a, i, u)", "str[2] = {\"a\",\"z\"}" },
	    { "const a: i32[2] = {1,2}\nconst i: i64[1,1] = {-3}\nconst u: i32[1] = {9}",
	      "y: i32[2] = ScatterND(a, i, u)", "!index -3" },
	    { "const a: i32[2] = {1,2}\nconst i: i64[1,1] = {0}\nconst u: i32[2] = {9,9}",
	      "y: i32[2] = ScatterND(a, i, u)", "!shape" });
}

TEST(selection)
{
	RUN({ "const a: f32[5] = {1,nan,3,3,-0.0}\nconst k: i64[1] = {3}", "y: f32[3], i: i64[3] = TopK(a, k)",
	      "f32[3] = {nan,3,3}" },
	    { "const a: f32[5] = {1,nan,0.0,3,-0.0}\nconst k: i64[1] = {5}",
	      "v: f32[5], y: i64[5] = TopK(a, k) <largest=0>", "i64[5] = {2,4,0,3,1}" },
	    { "const a: u64[3] = {1,18446744073709551615,2}\nconst k: i64[1] = {1}",
	      "v: u64[1], y: i64[1] = TopK(a, k)", "i64[1] = {1}" },
	    { "const a: i32[2] = {1,2}\nconst k: i64[1] = {3}", "y: i32[3], i: i64[3] = TopK(a, k)", "!k=3" },
	    { "const a: f32[2,2] = {0,-0.0,nan,1}", "y: i64[2,n] = NonZero(a)", "i64[2,2] = {1,1,0,1}" },
	    { "const a: i32[] = {7}", "y: i64[1,n] = NonZero(a)", "i64[1,1] = {0}" },
	    { "const a: str[4] = {\"b\",\"a\",\"b\",\"\"}", "y: str[n], i: i64[m], j: i64[4], c: i64[k] = Unique(a)",
	      "str[3] = {\"\",\"a\",\"b\"}" },
	    { "const a: f32[4] = {2,nan,2,nan}", "y: f32[n], i: i64[m], j: i64[4], c: i64[k] = Unique(a) <sorted=0>",
	      "f32[2] = {2,nan}" },
	    { "const a: i32[3,2] = {2,1,0,1,2,1}",
	      "v: i32[n,2], i: i64[m], y: i64[3], c: i64[k] = Unique(a) <flat=0, axis=0>", "i64[3] = {1,0,1}" });
}

/* The same small numbers in every type. @ stands for the type. */
static void in_every_type(const char *const *types, int n, const Case *c, int n_case)
{
	for (int t = 0; t < n; t++)
		for (int i = 0; i < n_case; i++) {
			const char *src[3] = { c[i].consts, c[i].node, c[i].want };
			char *text[3];
			WqArena *a = wq_arena_new();
			for (int k = 0; k < 3; k++) {
				WqStr s = { .a = a };
				for (const char *p = src[k]; *p; p++)
					wq_str_printf(&s, *p == '@' ? "%s" : "%.1s", *p == '@' ? types[t] : p);
				text[k] = s.s;
			}
			run_case(&(Case){ text[0], text[1], text[2] });
			wq_arena_free(a);
		}
}
#define EVERY(types, ...) \
	do { \
		static const Case cases_[] = { __VA_ARGS__ }; \
		in_every_type(types, WQ_COUNTOF(types), cases_, WQ_COUNTOF(cases_)); \
	} while (0)

static const char *const numbers[] = {
	"f32", "f16", "bf16", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"
};
static const char *const signed_numbers[] = { "f32", "f16", "bf16", "f64", "i8", "i16", "i32", "i64" };
static const char *const whole[] = { "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64" };

TEST(every_number_type)
{
#define A "const a: @[4] = {3,1,2,1}\n"
#define B "const b: @[4] = {2,1,3,0}\n"
	EVERY(numbers, { A B, "y: @[4] = Add(a, b)", "@[4] = {5,2,5,1}" },
	      { A, "y: @[4] = Mul(a, a)", "@[4] = {9,1,4,1}" }, { A B, "y: @[4] = Max(a, b)", "@[4] = {3,1,3,1}" },
	      { A B, "y: @[4] = Min(a, b)", "@[4] = {2,1,2,0}" },
	      { A B, "y: bool[4] = Less(a, b)", "bool[4] = {0,0,1,0}" },
	      { A B, "y: bool[4] = LessOrEqual(a, b)", "bool[4] = {0,1,1,0}" },
	      { A B, "y: bool[4] = Equal(a, b)", "bool[4] = {0,1,0,0}" },
	      { A B, "y: @[4] = Pow(a, b)", "@[4] = {9,1,8,1}" }, { A, "y: @[4] = Sign(a)", "@[4] = {1,1,1,1}" },
	      { A, "y: @[4] = Abs(a)", "@[4] = {3,1,2,1}" }, { A, "y: @[4] = Relu(a)", "@[4] = {3,1,2,1}" },
	      { A, "y: @[] = ReduceSum(a) <keepdims=0>", "@[] = {7}" }, { A, "y: @[1] = ReduceProd(a)", "@[1] = {6}" },
	      { A, "y: @[1] = ReduceMax(a)", "@[1] = {3}" }, { A, "y: @[1] = ReduceMin(a)", "@[1] = {1}" },
	      { A, "y: i64[1] = ArgMax(a)", "i64[1] = {0}" },
	      { A, "y: i64[1] = ArgMin(a) <select_last_index=1>", "i64[1] = {3}" },
	      { A "const x: i64[] = {0}", "y: @[4] = CumSum(a, x)", "@[4] = {3,4,6,7}" },
	      { A "const x: i64[] = {-1}", "y: @[4] = CumProd(a, x) <reverse=1>", "@[4] = {6,2,2,1}" },
	      { A "const k: i64[1] = {2}", "v: @[2], y: i64[2] = TopK(a, k) <largest=0>", "i64[2] = {1,3}" },
	      { A, "y: @[n], i: i64[m], j: i64[4], c: i64[k] = Unique(a)", "@[3] = {1,2,3}" },
	      { B, "y: i64[1,n] = NonZero(b)", "i64[1,3] = {0,1,2}" },
	      { A B "const i: i64[4] = {1,1,2,0}", "y: @[4] = ScatterElements(a, i, b) <reduction=\"add\">",
		"@[4] = {3,4,5,1}" },
	      { A B "const i: i64[4] = {1,1,2,0}", "y: @[4] = ScatterElements(a, i, b) <reduction=\"mul\">",
		"@[4] = {0,2,6,1}" },
	      { A B "const i: i64[4] = {1,1,2,0}", "y: @[4] = ScatterElements(a, i, b) <reduction=\"min\">",
		"@[4] = {0,1,2,1}" },
	      { A B "const i: i64[4] = {1,1,2,0}", "y: @[4] = ScatterElements(a, i, b) <reduction=\"max\">",
		"@[4] = {3,2,3,1}" },
	      { "const s: @[] = {1}\nconst e: @[] = {6}\nconst d: @[] = {2}", "y: @[3] = Range(s, e, d)",
		"@[3] = {1,3,5}" },
	      { A, "z: f64[4] = Cast(a) <to=f64>\n y: @[4] = Cast(z) <to=@>", "@[4] = {3,1,2,1}" },
	      { A, "z: f8e5m2[4] = Cast(a) <to=f8e5m2>\n y: @[4] = Cast(z) <to=@>", "@[4] = {3,1,2,1}" },
	      { A, "z: i4[4] = Cast(a) <to=i4>\n y: @[4] = Cast(z) <to=@>", "@[4] = {3,1,2,1}" },
	      { A, "z: u2[4] = Cast(a) <to=u2>\n y: @[4] = Cast(z) <to=@>", "@[4] = {3,1,2,1}" },
	      { A, "z: bool[4] = Cast(a) <to=bool>\n y: @[4] = Cast(z) <to=@>", "@[4] = {1,1,1,1}" },
	      { A, "z: str[4] = Cast(a) <to=str>\n y: @[4] = Cast(z) <to=@>", "@[4] = {3,1,2,1}" },
	      { A, "z: c64[4] = Cast(a) <to=c64>\n w: c128[4] = Cast(z) <to=c128>\n y: @[4] = Cast(w) <to=@>",
		"@[4] = {3,1,2,1}" },
	      { "const a: @[2,2,2] = {1,2,3,4,5,6,7,8}\nconst x: i64[1] = {1}", "y: @[2,1,2] = ReduceSum(a, x)",
		"@[2,1,2] = {4,6,12,14}" },
	      { "const a: @[2,2,2] = {1,2,3,4,5,6,7,8}\nconst x: i64[2] = {0,2}",
		"y: @[2] = ReduceMax(a, x) <keepdims=0>", "@[2] = {6,8}" });
	EVERY(signed_numbers, { A, "y: @[4] = Neg(a)", "@[4] = {-3,-1,-2,-1}" },
	      { "const a: @[3] = {-2,0,2}", "y: @[3] = Sign(a)", "@[3] = {-1,0,1}" },
	      { "const a: @[3] = {-2,0,2}", "y: @[3] = Relu(a)", "@[3] = {0,0,2}" },
	      { "const a: @[4] = {7,-7,7,-7}\nconst b: @[4] = {4,4,-4,-4}", "y: @[4] = Mod(a, b)",
		"@[4] = {3,1,-1,-3}" },
	      { "const a: @[4] = {7,-7,7,-7}\nconst b: @[] = {4}", "y: @[4] = Mod(a, b) <fmod=1>",
		"@[4] = {3,-3,3,-3}" });
	EVERY(whole, { A B, "y: @[4] = Div(a, b)", "@[4] = {1,1,0,0}" },
	      { A B, "y: @[4] = Mod(a, b)", "@[4] = {1,0,2,0}" },
	      { A B, "y: @[4] = BitwiseAnd(a, b)", "@[4] = {2,1,2,0}" },
	      { A B, "y: @[4] = BitwiseOr(a, b)", "@[4] = {3,1,3,1}" },
	      { A B, "y: @[4] = BitwiseXor(a, b)", "@[4] = {1,0,1,1}" },
	      { A, "z: @[4] = BitwiseNot(a)\n y: @[4] = BitwiseNot(z)", "@[4] = {3,1,2,1}" },
	      { A, "y: @[] = ReduceMean(a) <keepdims=0>", "@[] = {1}" });
#undef A
#undef B
}

/* Every function of one operand against libm, in each float type. */
TEST(functions_in_every_float)
{
	static const struct {
		const char *name;
		double (*fn)(double);
	} fns[] = { { "Sqrt", sqrt },   { "Exp", exp },     { "Log", log },     { "Sin", sin },     { "Cos", cos },
		    { "Tan", tan },     { "Asin", asin },   { "Acos", acos },   { "Atan", atan },   { "Sinh", sinh },
		    { "Cosh", cosh },   { "Tanh", tanh },   { "Asinh", asinh }, { "Atanh", atanh }, { "Erf", erf },
		    { "Floor", floor }, { "Ceil", ceil },   { "Round", rint } };
	static const struct {
		const char *name;
		double tol;
	} types[] = { { "f64", 1e-14 }, { "f32", 5e-7 }, { "f16", 1e-3 }, { "bf16", 8e-3 } };
	for (int f = 0; f < WQ_COUNTOF(fns); f++)
		for (int t = 0; t < WQ_COUNTOF(types); t++) {
			WqArena *a = wq_arena_new();
			const char *ty = types[t].name;
			const WqTensor *y = output(a, wq_sprintf(a, "const x: %s[3] = {0.125,0.5,0.9375}", ty),
						   wq_sprintf(a, "y: %s[3] = %s(x)", ty, fns[f].name), "y");
			static const double x[] = { 0.125, 0.5, 0.9375 };
			for (int i = 0; i < 3; i++) {
				double got = wq_tensor_get_f(y, i), want = fns[f].fn(x[i]);
				CHECK_MSG(fabs(got - want) <= types[t].tol * fabs(want), "%s of %s: %g is %g, not %g",
					  fns[f].name, ty, x[i], got, want);
			}
			wq_arena_free(a);
		}
}

TEST(samples_and_boxes)
{
#define X "const x: f32[1,1,3,4] = {0,1,2,3,4,5,6,7,8,9,10,11}\n"
	RUN({ X "const r: f32[2,5] = {0,0,0,3,2,0,1,1,9,9}", "y: f32[2,1,2,2] = MaxRoiPool(x, r) <pooled_shape=[2,2]>",
	      "f32[2,1,2,2] = {5,7,9,11,11,0,0,0}" },
	    { X "const r: f32[1,5] = {1,0,0,3,2}", "y: f32[1,1,1,1] = MaxRoiPool(x, r) <pooled_shape=[1,1]>",
	      "!image 1" },
	    { X "const r: f32[1,4] = {0,0,3,2}\nconst b: i64[1] = {0}",
	      "y: f32[1,1,1,1] = RoiAlign(x, r, b) <half_pixel=0, sampling_ratio=1>", "f32[1,1,1,1] = {5.5}" },
	    { X "const r: f32[1,4] = {0,0,3,2}\nconst b: i64[1] = {1}", "y: f32[1,1,1,1] = RoiAlign(x, r, b)",
	      "!index 1" },
	    { X "const r: f32[1,4] = {0,0,3e9,2e9}\nconst b: i64[1] = {0}", "y: f32[1,1,1,1] = RoiAlign(x, r, b)",
	      "!too many samples" },
	    { X "const g: f32[1,1,3,2] = {-1,-1,0,0,nan,0}", "y: f32[1,1,1,3] = GridSample(x, g) <align_corners=1>",
	      "f32[1,1,1,3] = {0,5.5,0}" },
	    { X "const s: f32[4] = {1,1,1,2}", "y: f32[1,1,3,8] = Resize(x, _, s) <mode=\"none\">", "!mode" },
	    { X "const s: f32[3] = {1,1,2}", "y: f32[1,1,3,8] = Resize(x, _, s)", "!3 scales" },
	    { X "const s: f32[4] = {1,1,1,-2}", "y: f32[1,1,3,8] = Resize(x, _, s)", "!scale of -2" },
	    { "const x: u8[1,4] = {0,10,20,250}\nconst s: i64[2] = {1,2}",
	      "y: u8[1,2] = Resize(x, _, _, s) <mode=\"linear\">", "u8[1,2] = {5,135}" },
	    { "const x: f64[2,2] = {1,2,3,4}", "y: f64[] = Det(x)", "f64[] = {-2}" },
	    { "const x: f32[2,3] = {1,2,3,4,5,6}", "y: f32[] = Det(x)", "!square" },
	    { "const b: f32[1,3,4] = {0,0,1,1,0,0,1,1.1,5,5,6,6}\nconst s: f32[1,1,3] = {0.5,0.9,nan}\nconst n: i64[] "
	      "= {5}\n"
	      "const t: f32[] = {0.5}",
	      "y: i64[n0,3] = NonMaxSuppression(b, s, n, t)", "i64[1,3] = {0,0,1}" });
#undef X
}

TEST(inverse)
{
	RUN({ "const x: f32[2,2] = {1,2,3,4}", "y: f32[2,2] = Inverse(x)", "f32[2,2] = {-2,1,1.5,-0.5}" },
	    { "const x: f64[2,2,2] = {0,1,1,0,2,0,0,4}", "y: f64[2,2,2] = Inverse(x)", "f64[2,2,2] = {0,1,1,0,0.5,0,0,0.25}" },
	    { "const x: f16[1,1] = {0}", "y: f16[1,1] = Inverse(x)", "f16[1,1] = {inf}" },
	    { "const x: f32[3,0,0] = {}", "y: f32[3,0,0] = Inverse(x)", "f32[3,0,0] = {}" },
	    { "const x: f32[2,3] = {1,2,3,4,5,6}", "y: f32[2,3] = Inverse(x)", "!square" },
	    { "const x: f32[3] = {1,2,3}", "y: f32[3] = Inverse(x)", "!square" });
}

TEST(random_numbers_repeat)
{
	WqArena *a = wq_arena_new();
	const char *dims = "const d: i64[1] = {100000}";
	const char *text = "y: f32[100000] = RandomUniform(d) <dtype=f32, low=-1, high=3, seed=7>";
	const float *u = output(a, dims, text, "y")->data, *v = output(a, dims, text, "y")->data;
	const float *n =
		output(a, dims, "y: f32[100000] = RandomNormal(d) <dtype=f32, mean=2, scale=3, seed=7>", "y")->data;
	double sum = 0, mean = 0, square = 0;
	CHECK(!memcmp(u, v, 100000 * sizeof *u));
	for (int i = 0; i < 100000; i++) {
		CHECK(u[i] >= -1 && u[i] < 3);
		sum += u[i];
		mean += n[i];
		square += (n[i] - 2) * (n[i] - 2);
	}
	CHECK(fabs(sum / 1e5 - 1) < 0.02);
	CHECK(fabs(mean / 1e5 - 2) < 0.05);
	CHECK(fabs(sqrt(square / 1e5) - 3) < 0.05);
	wq_arena_free(a);
}

/* Large enough for several threads and blocks; checked against a plain sum. */
TEST(large_reductions_are_exact)
{
	enum { ROWS = 37, COLS = 9001 };
	WqModule *m = wq_module_new("t");
	const int64_t dim[] = {ROWS, COLS};
	WqTensor *t = wq_tensor_new(m, WQ_F32, 2, dim);
	for (int64_t i = 0; i < ROWS * COLS; i++)
		((float *)t->data)[i] = (float)((i * 7919 + 13) % 1000 - 300) / 64;
	WqValue *x = wq_const(m->main, "x", t);
	for (int axis = 0; axis < 2; axis++) {
		WqValue *ops[] = {x, wq_const_i64s(m->main, 1, (int64_t[]){axis})};
		WqNode *n = wq_node_new(m->main, OP_ReduceSum, 2, ops);
		wq_node_finish(n, 1, NULL);
		wq_output(m->main, axis ? "rows" : "cols", n->out[0]);
	}
	WqRt *out[2];
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){.threads = 3});
	wq_engine_run(e, NULL, out);
	for (int64_t r = 0; r < ROWS; r++) {
		double sum = 0;
		for (int64_t c = 0; c < COLS; c++)
			sum += ((float *)t->data)[r * COLS + c];
		CHECK(((float *)out[1]->t.data)[r] == (float)sum);
	}
	for (int64_t c = 0; c < COLS; c++) {
		double sum = 0;
		for (int64_t r = 0; r < ROWS; r++)
			sum += ((float *)t->data)[r * COLS + c];
		CHECK(((float *)out[0]->t.data)[c] == (float)sum);
	}
	wq_rt_unref(out[0]);
	wq_rt_unref(out[1]);
	wq_engine_free(e);
	wq_module_free(m);
}

TEST_MAIN(TEST_RUN(integers_wrap_and_never_trap) TEST_RUN(floats_keep_nan_zero_and_infinity)
		  TEST_RUN(functions_are_accurate) TEST_RUN(powers_of_mixed_types) TEST_RUN(broadcasting_any_shape)
			  TEST_RUN(casts) TEST_RUN(quantization) TEST_RUN(reductions) TEST_RUN(moves)
				  TEST_RUN(indices_are_checked) TEST_RUN(selection) TEST_RUN(every_number_type)
					  TEST_RUN(functions_in_every_float) TEST_RUN(samples_and_boxes)
						  TEST_RUN(inverse) TEST_RUN(random_numbers_repeat) TEST_RUN(large_reductions_are_exact))
