/* eval_unary.c: one operand, one result of the same shape. f16 and bf16 are computed in f32 and rounded once. */
#include "engine/ew.h"

typedef void UnaryFn(const void *x, void *y, int64_t n, double param);

#define LOOP(T, name, E) \
	WQ_CLONES static void name(const void *px, void *py, int64_t n, double param) \
	{ \
		const T *xs = px, p = (T)param; \
		T *ys = py; \
		(void)p; \
		WQ_IVDEP \
		for (int64_t i = 0; i < n; i++) { \
			T x = xs[i]; \
			ys[i] = (E); \
		} \
	}

/* ---- f32 ------------------------------------------------------------------------------------- */

LOOP(float, f32_Abs, vm_abs(x))
LOOP(float, f32_Neg, -x)
LOOP(float, f32_Sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? 0.0f : x)
LOOP(float, f32_Floor, floorf(x))
LOOP(float, f32_Ceil, ceilf(x))
LOOP(float, f32_Round, rintf(x))
LOOP(float, f32_Sqrt, sqrtf(x))
LOOP(float, f32_Exp, vm_exp(x))
LOOP(float, f32_Log, logf(x))
LOOP(float, f32_Sin, sinf(x))
LOOP(float, f32_Cos, cosf(x))
LOOP(float, f32_Tan, tanf(x))
LOOP(float, f32_Asin, asinf(x))
LOOP(float, f32_Acos, acosf(x))
LOOP(float, f32_Atan, atanf(x))
LOOP(float, f32_Sinh, sinhf(x))
LOOP(float, f32_Cosh, coshf(x))
LOOP(float, f32_Tanh, vm_tanh(x))
LOOP(float, f32_Asinh, asinhf(x))
LOOP(float, f32_Acosh, acoshf(x))
LOOP(float, f32_Atanh, atanhf(x))
LOOP(float, f32_Erf, vm_erf(x))
LOOP(float, f32_Sigmoid, vm_sigmoid(x))
LOOP(float, f32_Relu, x < 0 ? 0.0f : x)
LOOP(float, f32_Gelu, vm_gelu(x))
LOOP(float, f32_GeluTanh, vm_gelu_tanh(x))
LOOP(float, f32_Swish, vm_swish(x, p))

/* ---- f64 ------------------------------------------------------------------------------------- */

LOOP(double, f64_Abs, fabs(x))
LOOP(double, f64_Neg, -x)
LOOP(double, f64_Sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x)
LOOP(double, f64_Floor, floor(x))
LOOP(double, f64_Ceil, ceil(x))
LOOP(double, f64_Round, rint(x))
LOOP(double, f64_Sqrt, sqrt(x))
LOOP(double, f64_Exp, exp(x))
LOOP(double, f64_Log, log(x))
LOOP(double, f64_Sin, sin(x))
LOOP(double, f64_Cos, cos(x))
LOOP(double, f64_Tan, tan(x))
LOOP(double, f64_Asin, asin(x))
LOOP(double, f64_Acos, acos(x))
LOOP(double, f64_Atan, atan(x))
LOOP(double, f64_Sinh, sinh(x))
LOOP(double, f64_Cosh, cosh(x))
LOOP(double, f64_Tanh, tanh(x))
LOOP(double, f64_Asinh, asinh(x))
LOOP(double, f64_Acosh, acosh(x))
LOOP(double, f64_Atanh, atanh(x))
LOOP(double, f64_Erf, erf(x))
LOOP(double, f64_Sigmoid, x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)))
LOOP(double, f64_Relu, x < 0 ? 0.0 : x)
LOOP(double, f64_Gelu, x < -40 ? -0.0 : x * 0.5 * erfc(-x * M_SQRT1_2))
LOOP(double, f64_GeluTanh, 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))))
LOOP(double, f64_Swish, x / (1 + exp(-p * x)))

#define FLOAT_ROWS(X) \
	X(Abs) X(Neg) X(Sign) X(Floor) X(Ceil) X(Round) X(Sqrt) X(Exp) X(Log) X(Sin) X(Cos) X(Tan) X(Asin) \
	X(Acos) X(Atan) X(Sinh) X(Cosh) X(Tanh) X(Asinh) X(Acosh) X(Atanh) X(Erf) X(Sigmoid) X(Relu) X(Gelu) X(Swish)

static UnaryFn *float_fn(WqOp op, bool wide, bool gelu_tanh)
{
#define ROW(name) [OP_##name] = {f32_##name, f64_##name},
	static UnaryFn *const fn[WQ_NUM_OPS][2] = {FLOAT_ROWS(ROW)};
	if (gelu_tanh)
		return wide ? f64_GeluTanh : f32_GeluTanh;
	return fn[op][wide];
#undef ROW
}

/* Nanoseconds per element, roughly: what a thread is worth. */
static double float_cost(WqOp op)
{
	switch (op) {
	case OP_Abs: case OP_Neg: case OP_Sign: case OP_Floor: case OP_Ceil: case OP_Round: case OP_Sqrt:
	case OP_Relu:
		return 0.5;
	case OP_Exp: case OP_Tanh: case OP_Sigmoid: case OP_Erf: case OP_Gelu: case OP_Swish:
		return 2;
	default:
		return 10;
	}
}

/* ---- integers: two's complement wraps -------------------------------------------------------- */

#define INT_LOOPS(T, W, t) \
	LOOP(T, t##_Abs, (T)(x < 0 ? 0 - (W)x : (W)x)) \
	LOOP(T, t##_Neg, (T)(0 - (W)x)) \
	LOOP(T, t##_Sign, (T)((x > 0) - (x < 0))) \
	LOOP(T, t##_Relu, x < 0 ? 0 : x)
#define UINT_LOOPS(T, t) \
	LOOP(T, t##_Abs, x) \
	LOOP(T, t##_Neg, (T)(0 - x)) \
	LOOP(T, t##_Sign, x > 0) \
	LOOP(T, t##_Relu, x) \
	LOOP(T, t##_BitwiseNot, (T)~x)

INT_LOOPS(int8_t, uint32_t, i8)
INT_LOOPS(int16_t, uint32_t, i16)
INT_LOOPS(int32_t, uint32_t, i32)
INT_LOOPS(int64_t, uint64_t, i64)
UINT_LOOPS(uint8_t, u8)
UINT_LOOPS(uint16_t, u16)
UINT_LOOPS(uint32_t, u32)
UINT_LOOPS(uint64_t, u64)
LOOP(uint8_t, bool_Not, !x)

static UnaryFn *int_fn(WqOp op, WqDtype t)
{
#define COL(name) {[WQ_U8] = u8_##name, [WQ_I8] = i8_##name, [WQ_U16] = u16_##name, [WQ_I16] = i16_##name, \
	[WQ_U32] = u32_##name, [WQ_I32] = i32_##name, [WQ_U64] = u64_##name, [WQ_I64] = i64_##name}
	static UnaryFn *const abs[WQ_NUM_DTYPES] = COL(Abs), *const neg[WQ_NUM_DTYPES] = COL(Neg);
	static UnaryFn *const sign[WQ_NUM_DTYPES] = COL(Sign), *const relu[WQ_NUM_DTYPES] = COL(Relu);
	static UnaryFn *const inv[4] = {u8_BitwiseNot, u16_BitwiseNot, u32_BitwiseNot, u64_BitwiseNot};
#undef COL
	switch (op) {
	case OP_Abs: return abs[t];
	case OP_Neg: return neg[t];
	case OP_Sign: return sign[t];
	case OP_Relu: return relu[t];
	case OP_Not: return bool_Not;
	case OP_BitwiseNot: return inv[__builtin_ctz((unsigned)wq_dtype_size(t))];
	default: return NULL;
	}
}

/* ---- running --------------------------------------------------------------------------------- */

typedef struct Unary {
	UnaryFn *fn;
	const WqTensor *x;
	WqTensor *y;
	size_t size;
	double param;
} Unary;

static void unary_part(void *arg, int64_t begin, int64_t end)
{
	const Unary *u = arg;
	size_t at = (size_t)begin * u->size;
	u->fn((const char *)u->x->data + at, (char *)u->y->data + at, end - begin, u->param);
}

static void half_part(void *arg, int64_t begin, int64_t end)
{
	const Unary *u = arg;
	float b[EW_BLOCK];
	for (int64_t at = begin; at < end; at += EW_BLOCK) {
		int64_t n = end - at < EW_BLOCK ? end - at : EW_BLOCK;
		ew_load_f32(u->x->dtype, u->x->data, at, b, n);
		u->fn(b, b, n, u->param);
		ew_store_f32(u->y->dtype, u->y->data, at, b, n);
	}
}

void eval_unary(WqCall *c)
{
	WqOp op = c->node->op;
	WqDtype t = c->in[0]->dtype;
	bool gelu_tanh = op == OP_Gelu && !strcmp(wq_attr_s(c->node, "approximate"), "tanh");
	Unary u = {.x = c->in[0], .y = &c->out[0], .size = wq_dtype_size(t)};
	bool is_float = wq_dtype_is_float(t);
	u.param = op == OP_Swish ? wq_attr_f(c->node, "alpha") : 0;
	u.fn = is_float ? float_fn(op, t == WQ_F64, gelu_tanh) : int_fn(op, t);
	WQ_ASSERT(u.fn);
	double cost = is_float ? float_cost(op) : 0.5;
	wq_parallel(c, wq_tensor_count(u.x), (int64_t)(20000 / cost), ew_is_half(t) ? half_part : unary_part, &u);
}

/* ---- IsNaN, IsInf ---------------------------------------------------------------------------- */

typedef struct Test {
	const WqTensor *x;
	uint8_t *y;
	bool nan, pos, neg;
} Test;

static void test_part(void *arg, int64_t begin, int64_t end)
{
	const Test *t = arg;
	float b[EW_BLOCK];
	const double *d = t->x->data;
	for (int64_t at = begin; at < end; at += EW_BLOCK) {
		int64_t n = end - at < EW_BLOCK ? end - at : EW_BLOCK;
		if (t->x->dtype == WQ_F64)
			/* keeps NaN, infinities and their sign; finite numbers become 0 */
			for (int64_t i = 0; i < n; i++)
				b[i] = isfinite(d[at + i]) ? 0 : (float)d[at + i];
		else
			ew_load_f32(t->x->dtype, t->x->data, at, b, n);
		if (t->nan)
			for (int64_t i = 0; i < n; i++)
				t->y[at + i] = b[i] != b[i];
		else
			for (int64_t i = 0; i < n; i++)
				t->y[at + i] = (t->pos && b[i] == INFINITY) || (t->neg && b[i] == -INFINITY);
	}
}

void eval_test(WqCall *c)
{
	Test t = {.x = c->in[0], .y = c->out[0].data, .nan = c->node->op == OP_IsNaN};
	if (!t.nan) {
		t.pos = wq_attr_i(c->node, "detect_positive") != 0;
		t.neg = wq_attr_i(c->node, "detect_negative") != 0;
	}
	wq_parallel(c, wq_tensor_count(t.x), 20000, test_part, &t);
}
