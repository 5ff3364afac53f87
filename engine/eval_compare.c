/* eval_compare.c: Equal, Less, LessOrEqual. Every element type has equality: strings by bytes, complex numbers by
 * parts, small floats by value (so that NaN differs from itself and both zeros are equal). */
#include "engine/ew.h"

typedef struct Compare {
	const EwPlan *p;
	const char *a, *b;
	uint8_t *o;
	WqDtype t;
	WqOp op;
	int sa, sb;
} Compare;

/* Two loops where it matters; E names a and b. */
#define LOOP(T, E) do { \
	const T *pa = va, *pb = vb; \
	if (sa && sb) \
		for (int64_t i = 0; i < n; i++) { \
			T a = pa[i], b = pb[i]; \
			o[i] = (E); \
		} \
	else \
		for (int64_t i = 0; i < n; i++) { \
			T a = pa[i * sa], b = pb[i * sb]; \
			o[i] = (E); \
		} \
} while (0)

#define COMPARE(T, t) \
	static void t##_compare(WqOp op, const void *va, const void *vb, uint8_t *o, int64_t n, int sa, int sb) \
	{ \
		if (op == OP_Equal) \
			LOOP(T, a == b); \
		else if (op == OP_Less) \
			LOOP(T, a < b); \
		else \
			LOOP(T, a <= b); \
	}

COMPARE(int8_t, i8)
COMPARE(int16_t, i16)
COMPARE(int32_t, i32)
COMPARE(int64_t, i64)
COMPARE(uint8_t, u8)
COMPARE(uint16_t, u16)
COMPARE(uint32_t, u32)
COMPARE(uint64_t, u64)
COMPARE(float, f32)
COMPARE(double, f64)

typedef struct { float re, im; } C64;
typedef struct { double re, im; } C128;

static void odd_compare(WqDtype t, const void *va, const void *vb, uint8_t *o, int64_t n, int sa, int sb)
{
	if (t == WQ_STR)
		LOOP(WqString, a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n)));
	else if (t == WQ_C64)
		LOOP(C64, a.re == b.re && a.im == b.im);
	else if (t == WQ_C128)
		LOOP(C128, a.re == b.re && a.im == b.im);
	else
		LOOP(uint8_t, wq_f8_to_f32(t, a) == wq_f8_to_f32(t, b));
}

static void half_compare(const Compare *c, const int64_t *off, int64_t at, int64_t n)
{
	float x[EW_BLOCK], y[EW_BLOCK];
	for (int64_t i = 0; i < n; i += EW_BLOCK) {
		int64_t k = n - i < EW_BLOCK ? n - i : EW_BLOCK;
		ew_load_f32(c->t, c->a, off[0] + i * c->sa, x, c->sa ? k : 1);
		ew_load_f32(c->t, c->b, off[1] + i * c->sb, y, c->sb ? k : 1);
		f32_compare(c->op, x, y, c->o + at + i, k, c->sa, c->sb);
	}
}

static void compare_row(void *arg, const int64_t *off, int64_t at, int64_t n)
{
	const Compare *c = arg;
	size_t size = wq_dtype_size(c->t);
	const void *a = c->a + (size_t)off[0] * size, *b = c->b + (size_t)off[1] * size;
	uint8_t *o = c->o + at;
	int sa = c->sa, sb = c->sb;
	switch (c->t) {
	case WQ_I8: case WQ_I4: case WQ_I2: i8_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_U8: case WQ_BOOL: case WQ_U4: case WQ_U2: u8_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_I16: i16_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_U16: u16_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_I32: i32_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_U32: u32_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_I64: i64_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_U64: u64_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_F32: f32_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_F64: f64_compare(c->op, a, b, o, n, sa, sb); break;
	case WQ_F16: case WQ_BF16: half_compare(c, off, at, n); break;
	default: odd_compare(c->t, a, b, o, n, sa, sb);
	}
}

void eval_compare(WqCall *c)
{
	EwPlan p;
	ew_plan(&p, &c->out[0], 2, c->in);
	const void *data[] = {c->in[0]->data, c->in[1]->data};
	ew_repeat(&p, data, wq_dtype_size(c->in[0]->dtype), c->tmp);
	Compare k = {&p, data[0], data[1], c->out[0].data, c->in[0]->dtype, c->node->op, ew_moves(&p, 0),
		ew_moves(&p, 1)};
	ew_run(c, &p, 1, compare_row, &k);
}
