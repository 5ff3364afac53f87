/* eval_binary.c: two operands with broadcasting.
 *
 * Integers wrap as two's complement. Div truncates; a division by zero gives 0 and the smallest number divided by -1
 * itself, so that nothing traps. Mod follows the divisor's sign (fmod=0) or the dividend's (fmod=1); modulo zero is 0.
 * Shifts by the width or more give 0. Min and Max give NaN if either operand is NaN. f16 and bf16 are computed in f32
 * and rounded once.
 */
#include "engine/ew.h"

/* sa and sb: 1, or 0 for an operand that stays. */
typedef void BinaryFn(const void *a, const void *b, void *o, int64_t n, int sa, int sb);

#define LOOPS(T, E) \
	{ \
		const T *pa = va, *pb = vb; \
		T *o = vo; \
		if (sa && sb) { \
			WQ_IVDEP \
			for (int64_t i = 0; i < n; i++) { \
				T a = pa[i], b = pb[i]; \
				o[i] = (E); \
			} \
		} else if (sa) { \
			T b = *pb; \
			WQ_IVDEP \
			for (int64_t i = 0; i < n; i++) { \
				T a = pa[i]; \
				o[i] = (E); \
			} \
		} else if (sb) { \
			T a = *pa; \
			WQ_IVDEP \
			for (int64_t i = 0; i < n; i++) { \
				T b = pb[i]; \
				o[i] = (E); \
			} \
		} else { \
			T a = *pa, b = *pb, v = (E); \
			for (int64_t i = 0; i < n; i++) \
				o[i] = v; \
		} \
	}
#define ARGS const void *va, const void *vb, void *vo, int64_t n, int sa, int sb
#define FAST(T, name, E) WQ_CLONES static void name(ARGS) LOOPS(T, E)
#define SLOW(T, name, E) static void name(ARGS) LOOPS(T, E)

/* ---- floats ---------------------------------------------------------------------------------- */

/* NaN operands win; otherwise the smaller or larger. */
#define F_MIN (a < b || a != a ? a : b)
#define F_MAX (a > b || a != a ? a : b)

static float py_fmodf(float a, float b)
{
	float r = fmodf(a, b);
	return r != 0 && (r < 0) != (b < 0) ? r + b : r == 0 ? copysignf(0, b) : r;
}

static double py_fmod(double a, double b)
{
	double r = fmod(a, b);
	return r != 0 && (r < 0) != (b < 0) ? r + b : r == 0 ? copysign(0, b) : r;
}

#define FLOATS(KIND, T, t, f) \
	KIND(T, t##_Add, a + b) \
	KIND(T, t##_Sub, a - b) \
	KIND(T, t##_Mul, a * b) \
	KIND(T, t##_Div, a / b) \
	KIND(T, t##_Min, F_MIN) \
	KIND(T, t##_Max, F_MAX) \
	SLOW(T, t##_Mod, py_fmod##f(a, b)) \
	SLOW(T, t##_Fmod, fmod##f(a, b))

FLOATS(FAST, float, f32, f)
FLOATS(FAST, double, f64, )

/* ---- integers: W is unsigned and at least as wide as int, where sums and products wrap ------- */

#define ANY_INT(T, W, t) \
	SLOW(T, t##_Add, (T)((W)a + (W)b)) \
	SLOW(T, t##_Sub, (T)((W)a - (W)b)) \
	SLOW(T, t##_Mul, (T)((W)a * (W)b)) \
	SLOW(T, t##_Min, a < b ? a : b) \
	SLOW(T, t##_Max, a > b ? a : b) \
	SLOW(T, t##_Mod, t##_mod(a, b)) \
	SLOW(T, t##_Fmod, t##_rem(a, b)) \
	SLOW(T, t##_Div, t##_div(a, b))

#define SIGNED(T, W, t) \
	static inline T t##_div(T a, T b) \
	{ \
		return b == 0 ? 0 : b == -1 ? (T)(0 - (W)a) : (T)(a / b); \
	} \
	static inline T t##_rem(T a, T b) \
	{ \
		return b == 0 || b == -1 ? 0 : (T)(a % b); \
	} \
	static inline T t##_mod(T a, T b) \
	{ \
		T r = t##_rem(a, b); \
		return r != 0 && (r < 0) != (b < 0) ? (T)(r + b) : r; \
	} \
	ANY_INT(T, W, t)
#define UNSIGNED(T, W, t) \
	static inline T t##_div(T a, T b) \
	{ \
		return b == 0 ? 0 : (T)(a / b); \
	} \
	static inline T t##_rem(T a, T b) \
	{ \
		return b == 0 ? 0 : (T)(a % b); \
	} \
	static inline T t##_mod(T a, T b) \
	{ \
		return t##_rem(a, b); \
	} \
	ANY_INT(T, W, t) \
	SLOW(T, t##_BitwiseAnd, a & b) \
	SLOW(T, t##_BitwiseOr, a | b) \
	SLOW(T, t##_BitwiseXor, a ^ b) \
	SLOW(T, t##_Shl, b < sizeof(T) * 8 ? (T)((W)a << b) : 0) \
	SLOW(T, t##_Shr, b < sizeof(T) * 8 ? (T)(a >> b) : 0)

SIGNED(int8_t, uint32_t, i8)
SIGNED(int16_t, uint32_t, i16)
SIGNED(int32_t, uint32_t, i32)
SIGNED(int64_t, uint64_t, i64)
UNSIGNED(uint8_t, uint32_t, u8)
UNSIGNED(uint16_t, uint32_t, u16)
UNSIGNED(uint32_t, uint32_t, u32)
UNSIGNED(uint64_t, uint64_t, u64)

#define COL(name) {[WQ_U8] = u8_##name, [WQ_I8] = i8_##name, [WQ_U16] = u16_##name, [WQ_I16] = i16_##name, \
	[WQ_U32] = u32_##name, [WQ_I32] = i32_##name, [WQ_U64] = u64_##name, [WQ_I64] = i64_##name, \
	[WQ_F32] = f32_##name, [WQ_F16] = f32_##name, [WQ_BF16] = f32_##name, [WQ_F64] = f64_##name}
/* By width alone. */
#define BITS(name)                                                                                          \
	{                                                                                                   \
		[WQ_U8] = u8_##name, [WQ_I8] = u8_##name, [WQ_U16] = u16_##name, [WQ_I16] = u16_##name,     \
		[WQ_U32] = u32_##name, [WQ_I32] = u32_##name, [WQ_U64] = u64_##name, [WQ_I64] = u64_##name, \
		[WQ_BOOL] = u8_##name                                                                       \
	}

static BinaryFn *choose(const WqNode *n, WqDtype t)
{
	static BinaryFn *const fn[WQ_NUM_OPS][WQ_NUM_DTYPES] = {
		[OP_Add] = COL(Add),
		[OP_Sub] = COL(Sub),
		[OP_Mul] = COL(Mul),
		[OP_Div] = COL(Div),
		[OP_Min] = COL(Min),
		[OP_Max] = COL(Max),
		[OP_Mod] = COL(Mod),
		[OP_And] = BITS(BitwiseAnd),
		[OP_Or] = BITS(BitwiseOr),
		[OP_Xor] = BITS(BitwiseXor),
		[OP_BitwiseAnd] = BITS(BitwiseAnd),
		[OP_BitwiseOr] = BITS(BitwiseOr),
		[OP_BitwiseXor] = BITS(BitwiseXor),
		[OP_BitShift] = BITS(Shr),
	};
	static BinaryFn *const fmods[WQ_NUM_DTYPES] = COL(Fmod), *const shl[WQ_NUM_DTYPES] = BITS(Shl);
	if (n->op == OP_Mod && wq_attr_i(n, "fmod"))
		return fmods[t];
	if (n->op == OP_BitShift && wq_attr_i(n, "left"))
		return shl[t];
	return fn[n->op][t];
}

typedef struct Binary {
	const EwPlan *p;
	BinaryFn *fn;
	const char *a, *b;
	char *o;
	size_t size;
	WqDtype t;
	int sa, sb;
} Binary;

static void binary_row(void *arg, const int64_t *off, int64_t at, int64_t n)
{
	const Binary *b = arg;
	b->fn(b->a + (size_t)off[0] * b->size, b->b + (size_t)off[1] * b->size, b->o + (size_t)at * b->size, n, b->sa,
	      b->sb);
}

static void half_row(void *arg, const int64_t *off, int64_t at, int64_t n)
{
	const Binary *b = arg;
	float x[EW_BLOCK], y[EW_BLOCK];
	for (int64_t i = 0; i < n; i += EW_BLOCK) {
		int64_t k = n - i < EW_BLOCK ? n - i : EW_BLOCK;
		ew_load_f32(b->t, b->a, off[0] + i * b->sa, x, b->sa ? k : 1);
		ew_load_f32(b->t, b->b, off[1] + i * b->sb, y, b->sb ? k : 1);
		if (b->sa || !b->sb)
			b->fn(x, y, x, k, b->sa, b->sb);
		else
			b->fn(x, y, y, k, b->sa, b->sb);
		ew_store_f32(b->t, b->o, at + i, b->sa || !b->sb ? x : y, k);
	}
}

void eval_binary(WqCall *c)
{
	EwPlan p;
	ew_plan(&p, &c->out[0], 2, c->in);
	WqDtype t = c->in[0]->dtype;
	const void *data[] = {c->in[0]->data, c->in[1]->data};
	ew_repeat(&p, data, wq_dtype_size(t), c->tmp);
	Binary b = { &p, choose(c->node, t), data[0],        data[1], c->out[0].data, wq_dtype_size(t),
		     t,  ew_moves(&p, 0),    ew_moves(&p, 1) };
	WQ_ASSERT(b.fn);
	ew_run(c, &p, 0.5, ew_is_half(t) ? half_row : binary_row, &b);
}
