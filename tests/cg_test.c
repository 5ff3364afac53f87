/* The emission helpers: small functions run in this process and are compared with C; the same modules become objects for every target. */
#include "codegen/codegen.h"
#include "ir/tensor.h"
#include "tests/test.h"

#include <math.h>

static const CgType P = {CG_PTR, 1}, NONE = {CG_VOID, 1};

/* This CPU, or this CPU with everything done in software. */
static const WqTarget *native(bool soft, WqArena *a)
{
	WqTarget *t = WQ_NEW(a, WqTarget);
	*t = *wq_target("native", NULL, NULL, a);
	if (soft)
		t->hard_f32 = t->hard_f64 = t->round = t->half = t->fma = t->masked = t->gather = t->vector_f32 = false;
	return t;
}

static WqProgram *program(bool soft, WqArena *a)
{
	WqProgram *p = WQ_NEW(a, WqProgram);
	p->a = a;
	p->o = (WqCodeOptions){.target = native(soft, a), .level = 2};
	p->cg = cg_new(p->o.target, "test", a);
	return p;
}

/* ---- lane by lane: a helper and what it means in C ------------------------------------------------------- */

typedef struct Case {
	const char *name;
	CgKind in, out; /* out CG_I1: stored as bytes */
	CgVal (*emit)(Cg *c, CgVal a, CgVal b);
	void (*want)(const void *a, const void *b, void *out);
	int avoid; /* operands that the contract excludes */
} Case;
enum { ANY, NOT_ZERO = 1, SHIFT = 2 };

#define U64(x) ((uint64_t)(x))
#define LIST \
	X(add8, CG_I8, int8_t, CG_I8, int8_t, cg_add(c, a, b), (int8_t)(x + y), ANY) \
	X(mul16, CG_I16, int16_t, CG_I16, int16_t, cg_mul(c, a, b), (int16_t)((uint32_t)x * (uint32_t)y), ANY) \
	X(add32, CG_I32, int32_t, CG_I32, int32_t, cg_add(c, a, b), (int32_t)((uint32_t)x + (uint32_t)y), ANY) \
	X(sub64, CG_I64, int64_t, CG_I64, int64_t, cg_sub(c, a, b), (int64_t)(U64(x) - U64(y)), ANY) \
	X(mul64, CG_I64, int64_t, CG_I64, int64_t, cg_mul(c, a, b), (int64_t)(U64(x) * U64(y)), ANY) \
	X(div32, CG_I32, int32_t, CG_I32, int32_t, cg_sdiv(c, a, b), x / y, NOT_ZERO) \
	X(div64, CG_I64, int64_t, CG_I64, int64_t, cg_sdiv(c, a, b), x / y, NOT_ZERO) \
	X(udiv64, CG_I64, uint64_t, CG_I64, uint64_t, cg_udiv(c, a, b), x / y, NOT_ZERO) \
	X(rem64, CG_I64, int64_t, CG_I64, int64_t, cg_srem(c, a, b), x % y, NOT_ZERO) \
	X(urem8, CG_I8, uint8_t, CG_I8, uint8_t, cg_urem(c, a, b), (uint8_t)(x % y), NOT_ZERO) \
	X(neg64, CG_I64, int64_t, CG_I64, int64_t, cg_add(c, cg_neg(c, a), b), (int64_t)(U64(y) - U64(x)), ANY) \
	X(abs16, CG_I16, int16_t, CG_I16, int16_t, cg_abs(c, a), (int16_t)(x < 0 ? -x : x), ANY) \
	X(logic32, CG_I32, uint32_t, CG_I32, uint32_t, cg_xor(c, cg_and(c, a, b), cg_not(c, cg_or(c, a, b))), (x & y) ^ ~(x | y), ANY) \
	X(shl32, CG_I32, uint32_t, CG_I32, uint32_t, cg_shl(c, a, b), x << y, SHIFT) \
	X(lshr64, CG_I64, uint64_t, CG_I64, uint64_t, cg_lshr(c, a, b), x >> y, SHIFT) \
	X(ashr64, CG_I64, int64_t, CG_I64, int64_t, cg_ashr(c, a, b), x >> y, SHIFT) \
	X(ashr8, CG_I8, int8_t, CG_I8, int8_t, cg_ashr(c, a, b), (int8_t)(x >> y), SHIFT) \
	X(min64, CG_I64, int64_t, CG_I64, int64_t, cg_min(c, a, b), x < y ? x : y, ANY) \
	X(umax16, CG_I16, uint16_t, CG_I16, uint16_t, cg_umax(c, a, b), x > y ? x : y, ANY) \
	X(umin8, CG_I8, uint8_t, CG_I8, uint8_t, cg_umin(c, a, b), x < y ? x : y, ANY) \
	X(pop64, CG_I64, uint64_t, CG_I64, int64_t, cg_popcount(c, a), __builtin_popcountll(x), ANY) \
	X(pop8, CG_I8, uint8_t, CG_I8, int8_t, cg_popcount(c, a), (int8_t)__builtin_popcount(x), ANY) \
	X(clz32, CG_I32, uint32_t, CG_I32, int32_t, cg_clz(c, a), x ? __builtin_clz(x) : 32, ANY) \
	X(lt64, CG_I64, int64_t, CG_I1, int8_t, cg_cmp(c, CG_LT, a, b), x < y, ANY) \
	X(uge64, CG_I64, uint64_t, CG_I1, int8_t, cg_cmp(c, CG_UGE, a, b), x >= y, ANY) \
	X(ne8, CG_I8, int8_t, CG_I1, int8_t, cg_cmp(c, CG_NE, a, b), x != y, ANY) \
	X(select16, CG_I16, int16_t, CG_I16, int16_t, cg_select(c, cg_cmp(c, CG_GT, a, b), a, cg_int(c, cg_t(CG_I16, 1), 7)), x > y ? x : 7, ANY) \
	X(addf, CG_F32, float, CG_F32, float, cg_add(c, a, b), x + y, ANY) \
	X(mulf, CG_F32, float, CG_F32, float, cg_mul(c, a, b), x * y, ANY) \
	X(divf, CG_F32, float, CG_F32, float, cg_fdiv(c, a, b), x / y, ANY) \
	X(subd, CG_F64, double, CG_F64, double, cg_sub(c, a, b), x - y, ANY) \
	X(divd, CG_F64, double, CG_F64, double, cg_fdiv(c, a, b), x / y, ANY) \
	X(negf, CG_F32, float, CG_F32, float, cg_neg(c, a), -x, ANY) \
	X(absd, CG_F64, double, CG_F64, double, cg_abs(c, a), fabs(x), ANY) \
	X(minf, CG_F32, float, CG_F32, float, cg_min(c, a, b), x < y ? x : y, ANY) \
	X(maxd, CG_F64, double, CG_F64, double, cg_max(c, a, b), x > y ? x : y, ANY) \
	X(eqf, CG_F32, float, CG_I1, int8_t, cg_cmp(c, CG_EQ, a, b), x == y, ANY) \
	X(nef, CG_F32, float, CG_I1, int8_t, cg_cmp(c, CG_NE, a, b), x != y, ANY) \
	X(unod, CG_F64, double, CG_I1, int8_t, cg_cmp(c, CG_UNO, a, b), isnan(x) || isnan(y), ANY) \
	X(gef, CG_F32, float, CG_I1, int8_t, cg_cmp(c, CG_GE, a, b), x >= y, ANY) \
	X(sqrtf, CG_F32, float, CG_F32, float, cg_sqrt(c, a), sqrtf(x), ANY) \
	X(sqrtd, CG_F64, double, CG_F64, double, cg_sqrt(c, a), sqrt(x), ANY) \
	X(floorf, CG_F32, float, CG_F32, float, cg_floor(c, a), floorf(x), ANY) \
	X(ceilf, CG_F32, float, CG_F32, float, cg_ceil(c, a), ceilf(x), ANY) \
	X(rintf, CG_F32, float, CG_F32, float, cg_rint(c, a), rintf(x), ANY) \
	X(truncf, CG_F32, float, CG_F32, float, cg_trunc(c, a), truncf(x), ANY) \
	X(floord, CG_F64, double, CG_F64, double, cg_floor(c, a), floor(x), ANY) \
	X(ceild, CG_F64, double, CG_F64, double, cg_ceil(c, a), ceil(x), ANY) \
	X(rintd, CG_F64, double, CG_F64, double, cg_rint(c, a), rint(x), ANY) \
	X(truncd, CG_F64, double, CG_F64, double, cg_trunc(c, a), trunc(x), ANY) \
	X(wide, CG_I8, int8_t, CG_I64, int64_t, cg_resize(c, a, CG_I64, true), x, ANY) \
	X(uwide, CG_I16, uint16_t, CG_I32, uint32_t, cg_resize(c, a, CG_I32, false), x, ANY) \
	X(narrow, CG_I64, int64_t, CG_I8, int8_t, cg_resize(c, a, CG_I8, true), (int8_t)x, ANY) \
	X(i64f, CG_I64, int64_t, CG_F32, float, cg_to_float(c, a, CG_F32, true), (float)x, ANY) \
	X(u64f, CG_I64, uint64_t, CG_F32, float, cg_to_float(c, a, CG_F32, false), (float)x, ANY) \
	X(i64d, CG_I64, int64_t, CG_F64, double, cg_to_float(c, a, CG_F64, true), (double)x, ANY) \
	X(u64d, CG_I64, uint64_t, CG_F64, double, cg_to_float(c, a, CG_F64, false), (double)x, ANY) \
	X(i8f, CG_I8, int8_t, CG_F32, float, cg_to_float(c, a, CG_F32, true), (float)x, ANY) \
	X(f_i8, CG_F32, float, CG_I8, int8_t, cg_to_int(c, a, CG_I8, true), (int8_t)saturate(x, -128, 127), ANY) \
	X(f_u8, CG_F32, float, CG_I8, uint8_t, cg_to_int(c, a, CG_I8, false), (uint8_t)saturate(x, 0, 255), ANY) \
	X(f_i32, CG_F32, float, CG_I32, int32_t, cg_to_int(c, a, CG_I32, true), (int32_t)saturate(x, INT32_MIN, INT32_MAX), ANY) \
	X(f_u32, CG_F32, float, CG_I32, uint32_t, cg_to_int(c, a, CG_I32, false), (uint32_t)saturate(x, 0, UINT32_MAX), ANY) \
	X(f_i64, CG_F32, float, CG_I64, int64_t, cg_to_int(c, a, CG_I64, true), to_i64(x), ANY) \
	X(d_i64, CG_F64, double, CG_I64, int64_t, cg_to_int(c, a, CG_I64, true), to_i64(x), ANY) \
	X(d_u64, CG_F64, double, CG_I64, uint64_t, cg_to_int(c, a, CG_I64, false), to_u64(x), ANY) \
	X(d_i16, CG_F64, double, CG_I16, int16_t, cg_to_int(c, a, CG_I16, true), (int16_t)saturate(x, -32768, 32767), ANY) \
	X(fd, CG_F32, float, CG_F64, double, cg_fcast(c, a, CG_F64), x, ANY) \
	X(df, CG_F64, double, CG_F32, float, cg_fcast(c, a, CG_F32), (float)x, ANY) \
	X(fbits, CG_F32, float, CG_I32, uint32_t, cg_bitcast(c, a, cg_t(CG_I32, cg_lanes(c, a))), bits_of(x), ANY)

/* Truncated, within bounds, NaN is 0. */
static int64_t saturate(double x, double lo, double hi) { return isnan(x) ? 0 : (int64_t)(x < lo ? lo : x > hi ? hi : x); }
static int64_t to_i64(double x) { return isnan(x) ? 0 : x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x; }
static uint64_t to_u64(double x) { return isnan(x) || x <= 0 ? 0 : x >= 0x1p64 ? UINT64_MAX : (uint64_t)x; }
static uint32_t bits_of(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u;
}

#define X(name, in, tin, out, tout, emit, want, avoid) \
	static CgVal emit_##name(Cg *c, CgVal a, CgVal b) { return (void)b, emit; } \
	static void want_##name(const void *pa, const void *pb, void *po) \
	{ \
		tin x, y; \
		memcpy(&x, pa, sizeof x); \
		memcpy(&y, pb, sizeof y); \
		(void)y; \
		tout r = (want); \
		memcpy(po, &r, sizeof r); \
	}
LIST
#undef X

static const Case cases[] = {
#define X(name, in, tin, out, tout, emit, want, avoid) {#name, in, out, emit_##name, want_##name, avoid},
	LIST
#undef X
};

static const uint64_t int_values[] = {0, 1, 2, 3, 7, 31, 100, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 0x12345678, 0x7fffffff, 0x80000000,
	0xffffffff, 0x100000000, 0x123456789abcdef0, 0x7fffffffffffffff, 0x8000000000000000, 0xfedcba9876543210, UINT64_C(0) - 2,
	UINT64_C(0) - 1, UINT64_C(0) - 127, UINT64_C(0) - 128};
static const double real_values[] = {0, -0.0, 0.5, -0.5, 1, -1, 1.5, 2.5, -2.5, 3.7, -3.7, 0.49999997, 127.5, -128.9, 255.6, 300, 1e-3, 8388607.5,
	8388609, -4194303.5, 2147483648.0, -2147483649.0, 4294967295.0, 4294967296.0, 1e10, 9.2e18, 9.3e18, 1.8e19, -1e19, 1.9e19, 3.4e38, -3.4e38, 1e300,
	-1e300, 1e-40, -1e-45, 5e-324, 1e-310, 4503599627370495.5, -4503599627370497.0, INFINITY, -INFINITY, NAN};

static int n_values(CgKind k) { return cg_is_float(k) ? WQ_COUNTOF(real_values) : WQ_COUNTOF(int_values); }

static void value(CgKind k, int i, void *to, size_t size)
{
	float f = (float)real_values[i % WQ_COUNTOF(real_values)];
	memcpy(to, k == CG_F32 ? (const void *)&f : k == CG_F64 ? (const void *)&real_values[i] : (const void *)&int_values[i], size);
}

static bool allowed(const Case *k, int i, int j, size_t size)
{
	int64_t x = 0, y = 0;
	if (!k->avoid)
		return true;
	memcpy(&x, &int_values[i], size);
	memcpy(&y, &int_values[j], size);
	bool overflow = (uint64_t)x << (64 - 8 * size) == UINT64_C(1) << 63;
	return k->avoid == SHIFT ? y >= 0 && y < (int64_t)(8 * size) : y != 0 && !overflow;
}

static const char *fn_name(WqArena *a, const Case *k, int lanes) { return wq_sprintf(a, "%s_%d", k->name, lanes); }

/* void NAME_LANES(const in *a, const in *b, out *r) */
static void emit_case(Cg *c, const Case *k, int lanes)
{
	CgFn f;
	cg_fn_begin(c, &f, fn_name(cg_arena(c), k, lanes), NONE, 3, (CgType[]){P, P, P}, 4, 3, CG_EXPORT);
	CgType t = cg_t(k->in, lanes);
	CgVal r = k->emit(c, cg_load(c, t, f.param[0], 0), cg_load(c, t, f.param[1], 0));
	cg_store(c, k->out == CG_I1 ? cg_resize(c, r, CG_I8, false) : r, f.param[2], 0);
	cg_return(c, NULL);
	cg_fn_end(c);
}

static bool same(CgKind k, const void *a, const void *b, size_t size)
{
	double x, y;
	float f, g;
	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	memcpy(&f, a, sizeof f);
	memcpy(&g, b, sizeof g);
	if ((k == CG_F64 && isnan(x) && isnan(y)) || (k == CG_F32 && isnan(f) && isnan(g)))
		return true;
	return !memcmp(a, b, size);
}

typedef void Fn3(const void *, const void *, void *);

/* Every pair of values, `lanes` pairs a call. */
static void run_case(WqJit *j, const Case *k, const WqProgram *p, int lanes)
{
	size_t in = (size_t)cg_kind_bytes(p->cg, k->in), out = (size_t)cg_kind_bytes(p->cg, k->out);
	_Alignas(64) uint8_t x[64 * 8], y[64 * 8], got[64 * 8], want[64 * 8 + 8];
	Fn3 *fn = (Fn3 *)(uintptr_t)wq_jit_symbol(j, fn_name(p->a, k, lanes));
	int n = n_values(k->in), have = 0;
	for (int i = 0; i < n * n + lanes; i++) {
		int a = i / n % n, b = i % n;
		if (!allowed(k, a, b, in))
			continue;
		value(k->in, a, x + have * in, in);
		value(k->in, b, y + have * in, in);
		k->want(x + have * in, y + have * in, want + have * out);
		if (++have < lanes)
			continue;
		fn(x, y, got);
		for (int l = 0; l < lanes; l++)
			CHECK_MSG(same(k->out, got + l * out, want + l * out, out), "%s, %d lanes, lane %d of pair %d (%d, %d)", k->name, lanes, l, i,
				  a, b);
		have = 0;
	}
}

static const int widths[] = {1, 2, 3, 8, 16, 17, 64};

static void run_all(bool soft)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(soft, a);
	int n = soft ? 3 : WQ_COUNTOF(widths);
	for (int i = 0; i < WQ_COUNTOF(cases); i++)
		for (int w = 0; w < n; w++)
			emit_case(p->cg, &cases[i], widths[w]);
	WqJit *j = wq_jit_new(p);
	for (int i = 0; i < WQ_COUNTOF(cases); i++)
		for (int w = 0; w < n; w++)
			run_case(j, &cases[i], p, widths[w]);
	wq_arena_free(a);
}

TEST(lane_by_lane) { run_all(false); }
TEST(lane_by_lane_in_software) { run_all(true); }

/* ---- small floats ------------------------------------------------------------------------------------------ */

static void emit_map(Cg *c, const char *name, CgKind in, CgKind out, int lanes, CgVal (*fn)(Cg *c, CgVal v))
{
	CgFn f;
	cg_fn_begin(c, &f, name, NONE, 3, (CgType[]){P, P, {cg_index(c), 1}}, 2, 1, CG_EXPORT);
	CgVal i = cg_for(c, cg_idx(c, 0), f.param[2], lanes);
	CgVal v = cg_load(c, cg_t(in, lanes), cg_at(c, in, f.param[0], i), 0);
	cg_store(c, fn(c, v), cg_at(c, out, f.param[1], i), 0);
	cg_end(c);
	cg_return(c, NULL);
	cg_fn_end(c);
}

typedef void Map(const void *in, void *out, int64_t n);

static void emit_small_floats(Cg *c, int lanes)
{
	WqArena *a = cg_arena(c);
	emit_map(c, wq_sprintf(a, "h2f_%d", lanes), CG_I16, CG_F32, lanes, cg_half_to_f32);
	emit_map(c, wq_sprintf(a, "b2f_%d", lanes), CG_I16, CG_F32, lanes, cg_bf16_to_f32);
	emit_map(c, wq_sprintf(a, "f2h_%d", lanes), CG_F32, CG_I16, lanes, cg_f32_to_half);
	emit_map(c, wq_sprintf(a, "f2b_%d", lanes), CG_F32, CG_I16, lanes, cg_f32_to_bf16);
	emit_map(c, wq_sprintf(a, "d2h_%d", lanes), CG_F64, CG_I16, lanes, cg_f64_to_half);
	emit_map(c, wq_sprintf(a, "d2b_%d", lanes), CG_F64, CG_I16, lanes, cg_f64_to_bf16);
}

enum { N_SMALL = 1 << 16, N_REAL = 1 << 18 };

static Map *map(WqJit *j, WqArena *a, const char *name, int lanes)
{
	return (Map *)(uintptr_t)wq_jit_symbol(j, wq_sprintf(a, "%s_%d", name, lanes));
}

static void check_widening(WqJit *j, WqArena *a, int lanes)
{
	uint16_t *in = WQ_NEW_N(a, uint16_t, N_SMALL);
	float *out = WQ_NEW_N(a, float, N_SMALL);
	for (int i = 0; i < N_SMALL; i++)
		in[i] = (uint16_t)i;
	for (int bf = 0; bf < 2; bf++) {
		map(j, a, bf ? "b2f" : "h2f", lanes)(in, out, N_SMALL);
		for (int i = 0; i < N_SMALL; i++) {
			float want = bf ? wq_bf16_to_f32((uint16_t)i) : wq_f16_to_f32((uint16_t)i);
			CHECK_MSG(same(CG_F32, (float[2]){out[i]}, (float[2]){want}, 4), "%s of %x", bf ? "bf16" : "f16", (unsigned)i);
		}
	}
}

static bool small_nan(uint16_t h, bool bf) { return (h & 0x7fff) > (bf ? 0x7f80 : 0x7c00); }

static void check_code(uint16_t got, uint16_t want, bool bf, double x)
{
	CHECK_MSG(got == want || (small_nan(got, bf) && small_nan(want, bf)), "%s of %a: %x, expected %x", bf ? "bf16" : "f16", x, got, want);
}

/* Each small float, its neighbourhood, the middle to the next and that one's neighbourhood. */
static void check_narrowing(WqJit *j, WqArena *a, int lanes)
{
	double *d = WQ_NEW_N(a, double, N_REAL);
	float *f = WQ_NEW_N(a, float, N_REAL);
	uint16_t *out = WQ_NEW_N(a, uint16_t, N_REAL);
	for (int bf = 0; bf < 2; bf++) {
		for (int i = 0; i < N_SMALL; i++) {
			uint16_t lo = (uint16_t)i, hi = (uint16_t)(i + 1);
			double x = bf ? wq_bf16_to_f32(lo) : wq_f16_to_f32(lo), y = bf ? wq_bf16_to_f32(hi) : wq_f16_to_f32(hi), mid = (x + y) / 2;
			d[4 * i] = x;
			d[4 * i + 1] = mid;
			d[4 * i + 2] = nextafter(mid, INFINITY);
			d[4 * i + 3] = nextafter(mid, -INFINITY);
		}
		for (int i = 0; i < N_REAL; i++)
			f[i] = i % 4 == 2 ? nextafterf((float)d[i], INFINITY) : i % 4 == 3 ? nextafterf((float)d[i], -INFINITY) : (float)d[i];
		map(j, a, bf ? "f2b" : "f2h", lanes)(f, out, N_REAL);
		for (int i = 0; i < N_REAL; i++)
			check_code(out[i], bf ? wq_f32_to_bf16(f[i]) : wq_f32_to_f16(f[i]), bf, f[i]);
		map(j, a, bf ? "d2b" : "d2h", lanes)(d, out, N_REAL);
		for (int i = 0; i < N_REAL; i++)
			check_code(out[i], bf ? wq_f64_to_bf16(d[i]) : wq_f64_to_f16(d[i]), bf, d[i]);
	}
}

static void small_floats(bool soft)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(soft, a);
	emit_small_floats(p->cg, 1);
	emit_small_floats(p->cg, 16);
	WqJit *j = wq_jit_new(p);
	for (int lanes = 1; lanes <= 16; lanes += 15) {
		check_widening(j, a, lanes);
		check_narrowing(j, a, lanes);
	}
	wq_arena_free(a);
}

TEST(small_floats_in_hardware) { small_floats(false); }
TEST(small_floats_in_software) { small_floats(true); }

/* ---- memory ------------------------------------------------------------------------------------------------ */

/* void part_KIND_LANES(const k *in, k *out, n): copies the first n of a vector, and the other lanes (zeros) behind. */
static void emit_part(Cg *c, CgKind k, int lanes)
{
	CgFn f;
	cg_fn_begin(c, &f, wq_sprintf(cg_arena(c), "part_%d_%d", (int)k, lanes), NONE, 4, (CgType[]){P, P, P, {cg_index(c), 1}}, 6, 1, CG_EXPORT);
	CgVal v = cg_load_part(c, cg_t(k, lanes), f.param[0], f.param[3], 0);
	cg_store_part(c, v, f.param[1], f.param[3], 0);
	cg_store(c, v, f.param[2], 0);
	cg_return(c, NULL);
	cg_fn_end(c);
}

static const CgKind memory_kinds[] = {CG_I8, CG_I16, CG_I32, CG_I64, CG_F32, CG_F64};

static void check_part(WqJit *j, WqProgram *p, CgKind k, int lanes)
{
	void (*fn)(const void *, void *, void *, int64_t) =
		(void (*)(const void *, void *, void *, int64_t))(uintptr_t)wq_jit_symbol(j, wq_sprintf(p->a, "part_%d_%d", (int)k, lanes));
	int size = cg_kind_bytes(p->cg, k), total = size * lanes;
	uint8_t in[520], out[520], all[520];
	for (int i = 0; i < WQ_COUNTOF(in); i++)
		in[i] = (uint8_t)(i * 7 + 1);
	for (int n = 0; n <= lanes; n++) {
		memset(out, 0xee, sizeof out);
		fn(in + size, out + size, all, n);
		for (int i = 0; i < total; i++) {
			bool inside = i < n * size;
			CHECK_EQ(out[size + i], inside ? in[size + i] : 0xee);
			CHECK_EQ(all[i], inside ? in[size + i] : 0);
		}
	}
}

static void parts(bool soft)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(soft, a);
	for (int w = 0; w < WQ_COUNTOF(widths); w++)
		for (int k = 0; k < WQ_COUNTOF(memory_kinds); k++)
			emit_part(p->cg, memory_kinds[k], widths[w]);
	WqJit *j = wq_jit_new(p);
	for (int w = 0; w < WQ_COUNTOF(widths); w++)
		for (int k = 0; k < WQ_COUNTOF(memory_kinds); k++)
			check_part(j, p, memory_kinds[k], widths[w]);
	wq_arena_free(a);
}

TEST(parts_of_vectors) { parts(false), parts(true); }

/* void blocks(to, from, n): copies, fills the 5 bytes behind; then 7 and 64 known bytes behind that. */
static void emit_blocks(Cg *c)
{
	CgFn f;
	cg_fn_begin(c, &f, "blocks", NONE, 3, (CgType[]){P, P, {cg_index(c), 1}}, 3, 2, CG_EXPORT);
	cg_memcpy(c, f.param[0], f.param[1], f.param[2]);
	CgVal end = cg_at(c, CG_I8, f.param[0], f.param[2]);
	cg_prefetch(c, end, 3);
	cg_memset(c, end, 0xab, cg_idx(c, 5));
	cg_memcpy(c, cg_ati(c, CG_I8, end, 5), f.param[1], cg_idx(c, 7));
	cg_memset(c, cg_ati(c, CG_I8, end, 12), 0x11, cg_idx(c, 64));
	cg_return(c, NULL);
	cg_fn_end(c);
}

TEST(blocks_of_memory)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(false, a);
	emit_blocks(p->cg);
	WqJit *j = wq_jit_new(p);
	void (*fn)(void *, const void *, int64_t) = (void (*)(void *, const void *, int64_t))(uintptr_t)wq_jit_symbol(j, "blocks");
	uint8_t from[300], to[400];
	for (int i = 0; i < WQ_COUNTOF(from); i++)
		from[i] = (uint8_t)(i + 3);
	for (int n = 0; n <= 280; n++) {
		memset(to, 0, sizeof to);
		fn(to + 1, from + 2, n);
		CHECK(!memcmp(to + 1, from + 2, (size_t)n) && to[0] == 0 && to[n + 77] == 0);
		CHECK(to[n + 1] == 0xab && to[n + 5] == 0xab && !memcmp(to + n + 6, from + 2, 7) && to[n + 13] == 0x11 && to[n + 76] == 0x11);
	}
	wq_arena_free(a);
}

static void emit_gather(Cg *c, CgKind k, int lanes)
{
	CgFn f;
	cg_fn_begin(c, &f, wq_sprintf(cg_arena(c), "gather_%d_%d", (int)k, lanes), NONE, 3, (CgType[]){P, P, P}, 4, 3, CG_EXPORT);
	CgVal index = cg_load(c, cg_t(cg_index(c), lanes), f.param[1], 0);
	cg_store(c, cg_gather(c, k, f.param[0], index), f.param[2], 0);
	cg_return(c, NULL);
	cg_fn_end(c);
}

TEST(gathers)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(false, a);
	for (int w = 0; w < 5; w++)
		for (int k = 0; k < WQ_COUNTOF(memory_kinds); k++)
			emit_gather(p->cg, memory_kinds[k], widths[w]);
	WqJit *j = wq_jit_new(p);
	uint8_t table[8 * 100], out[8 * 64];
	int64_t index[64];
	for (int i = 0; i < WQ_COUNTOF(table); i++)
		table[i] = (uint8_t)(i * 11);
	for (int i = 0; i < WQ_COUNTOF(index); i++)
		index[i] = (i * 37 + 5) % 100;
	for (int w = 0; w < 5; w++) {
		for (int k = 0; k < WQ_COUNTOF(memory_kinds); k++) {
			size_t size = (size_t)cg_kind_bytes(p->cg, memory_kinds[k]);
			((Fn3 *)(uintptr_t)wq_jit_symbol(j, wq_sprintf(a, "gather_%d_%d", (int)memory_kinds[k], widths[w])))(table, index, out);
			for (int i = 0; i < widths[w]; i++)
				CHECK(!memcmp(out + i * size, table + index[i] * size, size));
		}
	}
	wq_arena_free(a);
}

/* ---- lanes ------------------------------------------------------------------------------------------------- */

/* void lanes(const i32 in[5], i32 out[40], index) */
static void emit_lanes(Cg *c)
{
	static const int32_t numbers[] = {100, 200, 300};
	CgFn f;
	cg_fn_begin(c, &f, "lanes", NONE, 3, (CgType[]){P, P, {cg_index(c), 1}}, 2, 1, CG_EXPORT);
	CgVal v = cg_load(c, cg_t(CG_I32, 5), f.param[0], 0), out = f.param[1], two = cg_part(c, v, 1, 2);
	CgVal result[] = {
		cg_hsum(c, v), cg_hmin(c, v), cg_hmax(c, v), cg_extract(c, v, 4), cg_extract_at(c, v, f.param[2]),
		cg_concat(c, v, two), cg_shuffle(c, two, cg_splat(c, cg_extract(c, v, 0), 2), 3, (int[]){2, 0, 1}),
		cg_insert(c, two, cg_int(c, cg_t(CG_I32, 1), 9), 1), cg_concat(c, cg_extract(c, v, 0), two),
		cg_resize(c, cg_any(c, cg_cmp(c, CG_GT, v, cg_int(c, cg_t(CG_I32, 1), 40))), CG_I32, false), cg_iota(c, cg_t(CG_I32, 4)),
		cg_load(c, cg_t(CG_I32, 1), cg_at(c, CG_I32, cg_table(c, CG_I32, 3, numbers), f.param[2]), 0),
		cg_add(c, cg_bitcast(c, cg_iota(c, cg_t(CG_I8, 8)), cg_t(CG_I32, 2)), cg_extract(c, v, 0)),
	};
	for (int i = 0, at = 0; i < WQ_COUNTOF(result); at += cg_lanes(c, result[i]), i++)
		cg_store(c, result[i], cg_ati(c, CG_I32, out, at), 0);
	cg_return(c, NULL);
	cg_fn_end(c);
}

TEST(lanes)
{
	static const int32_t in[5] = {10, 50, 30, -7, 20};
	static const int32_t want[] = {103, -7, 50, 20, 30, 10, 50, 30, -7, 20, 50, 30, 10, 50, 30, 50, 9, 10, 50, 30, 1, 0, 1, 2, 3, 300, 0x0302010a, 0x0706050e};
	WqArena *a = wq_arena_new();
	WqProgram *p = program(false, a);
	emit_lanes(p->cg);
	void (*fn)(const void *, void *, int64_t) = (void (*)(const void *, void *, int64_t))(uintptr_t)wq_jit_symbol(wq_jit_new(p), "lanes");
	int32_t out[40] = {0};
	fn(in, out, 2);
	for (int i = 0; i < WQ_COUNTOF(want); i++)
		CHECK_MSG(out[i] == want[i], "number %d is %d, expected %d", i, out[i], want[i]);
	wq_arena_free(a);
}

/* ---- control flow ------------------------------------------------------------------------------------------- */

/* i64 flow(n): sums i for i < n in steps of 3, of which those that are 4 (mod 5) count double and odd ones not; 1000 more for each step of an
 * inner while loop; stops above 100000. */
static void emit_flow(Cg *c)
{
	CgFn f;
	CgKind ix = cg_index(c);
	cg_fn_begin(c, &f, "flow", cg_t(ix, 1), 1, (CgType[]){{ix, 1}}, 0, 0, CG_EXPORT);
	CgVar sum = cg_var(c, cg_idx(c, 0));
	CgVal i = cg_for(c, cg_idx(c, 0), f.param[0], 3);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	cg_if(c, cg_cmp(c, CG_EQ, cg_urem(c, i, cg_idx(c, 5)), cg_idx(c, 4)));
	cg_set(c, sum, cg_add(c, cg_get(c, sum), cg_muli(c, i, 2)));
	cg_else(c);
	cg_if(c, cg_cmp(c, CG_EQ, cg_and(c, i, cg_idx(c, 1)), cg_idx(c, 0)));
	cg_set(c, sum, cg_add(c, cg_get(c, sum), i));
	cg_end(c);
	cg_end(c);
	cg_break_if(c, cg_cmp(c, CG_GT, cg_get(c, sum), cg_idx(c, 100000)));
	CgVar k = cg_var(c, i);
	cg_while(c);
	cg_break_if(c, cg_cmp(c, CG_LT, cg_get(c, k), cg_idx(c, 50)));
	cg_set(c, k, cg_divi(c, cg_get(c, k), 2));
	cg_set(c, sum, cg_addi(c, cg_get(c, sum), 1000));
	cg_end(c);
	cg_end(c);
	CgVal once = cg_for(c, cg_idx(c, 5), cg_idx(c, 7), 2);
	cg_break_if(c, cg_cmp(c, CG_EQ, f.param[0], cg_idx(c, 1)));
	cg_set(c, sum, cg_add(c, cg_get(c, sum), once));
	cg_end(c);
	cg_return(c, cg_get(c, sum));
	cg_fn_end(c);
}

static int64_t flow(int64_t n)
{
	int64_t sum = 0;
	for (int64_t i = 0; i < n; i += 3) {
		sum += i % 5 == 4 ? 2 * i : i % 2 == 0 ? i : 0;
		if (sum > 100000)
			break;
		for (int64_t k = i; k >= 50; k /= 2)
			sum += 1000;
	}
	return n == 1 ? sum : sum + 5;
}

TEST(control_flow)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(false, a);
	emit_flow(p->cg);
	int64_t (*fn)(int64_t) = (int64_t (*)(int64_t))(uintptr_t)wq_jit_symbol(wq_jit_new(p), "flow");
	for (int n = -2; n < 300; n++)
		CHECK_EQ(fn(n), flow(n));
	wq_arena_free(a);
}

TEST(scopes)
{
	WqArena *a = wq_arena_new();
	Cg *c = program(false, a)->cg;
	CgFn f;
	cg_fn_begin(c, &f, "f", NONE, 1, (CgType[]){{CG_I1, 1}}, 0, 0, CG_EXPORT);
	int outer = cg_scope(c);
	cg_if(c, f.param[0]);
	int yes = cg_scope(c);
	CHECK(cg_scope_open(c, outer) && cg_scope_open(c, yes) && yes != outer);
	cg_else(c);
	int no = cg_scope(c);
	CHECK(cg_scope_open(c, outer) && !cg_scope_open(c, yes) && cg_scope_open(c, no));
	cg_end(c);
	cg_for(c, cg_idx(c, 0), cg_idx(c, 1), 1);
	int loop = cg_scope(c);
	CHECK(!cg_scope_open(c, no) && cg_scope_open(c, loop) && loop != yes && loop != no);
	cg_end(c);
	CHECK(cg_scope(c) == outer && !cg_scope_open(c, loop));
	cg_return(c, NULL);
	cg_fn_end(c);
	wq_arena_free(a);
}

/* ---- constants and functions ---------------------------------------------------------------------------------- */

static int64_t known(CgVal v)
{
	int64_t x = -12345;
	CHECK(cg_const(v, &x));
	return x;
}

TEST(constants_fold)
{
	WqArena *a = wq_arena_new();
	Cg *c = program(false, a)->cg;
	CgFn f;
	cg_fn_begin(c, &f, "f", NONE, 2, (CgType[]){{cg_index(c), 1}, P}, 0, 0, CG_EXPORT);
	CgVal x = f.param[0], zero = cg_idx(c, 0), one = cg_idx(c, 1), seven = cg_idx(c, 7), v = cg_splat(c, x, 4);
	CHECK_EQ(known(cg_add(c, seven, cg_muli(c, seven, 3))), 28);
	CHECK_EQ(known(cg_min(c, seven, cg_idx(c, -3))), -3);
	CHECK_EQ(known(cg_max(c, seven, cg_idx(c, -3))), 7);
	CHECK_EQ(known(cg_divi(c, seven, 2)), 3);
	CHECK_EQ(known(cg_select(c, cg_cmp(c, CG_LT, one, seven), zero, x)), 0);
	CHECK_EQ(known(cg_resize(c, cg_int(c, cg_t(CG_I8, 1), -1), CG_I64, false)), 255);
	CHECK_EQ(known(cg_extract(c, cg_splat(c, seven, 4), 2)), 7);
	CHECK_EQ(known(cg_mul(c, x, zero)), 0);
	CHECK_EQ(known(cg_sub(c, x, x)), 0);
	CHECK_EQ(known(cg_urem(c, x, one)), 0);
	CHECK(cg_add(c, x, zero) == x && cg_add(c, zero, x) == x && cg_mul(c, one, x) == x && cg_divi(c, x, 1) == x && cg_sub(c, x, zero) == x);
	CHECK(cg_add(c, v, zero) == v && cg_mul(c, one, v) == v && cg_and(c, x, cg_idx(c, -1)) == x && cg_or(c, zero, x) == x && cg_shl(c, x, zero) == x);
	CHECK(cg_at(c, CG_F32, f.param[1], zero) == f.param[1]);
	CHECK_EQ(known(cg_for(c, zero, seven, 8)), 0);
	cg_end(c);
	cg_return(c, NULL);
	cg_fn_end(c);
	wq_arena_free(a);
}

static void emit_square(Cg *c, CgFn *f) { cg_return(c, cg_mul(c, f->param[0], f->param[0])); }

/* i32 calls(x): square twice through a shared function, then through a pointer to one of ours. */
static void emit_calls(Cg *c)
{
	CgType i32 = {CG_I32, 1};
	CgFn g, f;
	cg_fn_begin(c, &g, "plus_one", i32, 1, &i32, 0, 0, 0);
	cg_return(c, cg_addi(c, g.param[0], 1));
	cg_fn_end(c);
	cg_fn_begin(c, &f, "calls", i32, 1, &i32, 0, 0, CG_EXPORT);
	CgVal x = f.param[0];
	for (int i = 0; i < 2; i++)
		x = cg_call(c, cg_shared(c, "square", i32, 1, &i32, emit_square), 1, &x);
	CgVar slot = cg_var(c, g.value);
	CgVal at = cg_get(c, slot);
	x = cg_call_ptr(c, at, i32, 1, &x);
	cg_return(c, x);
	cg_fn_end(c);
}

TEST(calls)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(false, a);
	emit_calls(p->cg);
	int32_t (*fn)(int32_t) = (int32_t (*)(int32_t))(uintptr_t)wq_jit_symbol(wq_jit_new(p), "calls");
	CHECK_EQ(fn(3), 82);
	wq_arena_free(a);
}

/* ---- targets ---------------------------------------------------------------------------------------------------- */

static void emit_everything(Cg *c)
{
	for (int i = 0; i < WQ_COUNTOF(cases); i++)
		for (int w = 0; w < 5; w += 2) /* 1, 3, 16 */
			emit_case(c, &cases[i], widths[w]);
	for (int w = 0; w < 5; w++)
		for (int k = 0; k < WQ_COUNTOF(memory_kinds); k++) {
			emit_part(c, memory_kinds[k], widths[w]);
			emit_gather(c, memory_kinds[k], widths[w]);
		}
	emit_small_floats(c, 1);
	emit_small_floats(c, 8);
	emit_blocks(c);
	emit_lanes(c);
	emit_flow(c);
	emit_calls(c);
}

static const void *object_for(const char *name, const char *cpu, WqArena *a, void (*emit)(Cg *c), size_t *n)
{
	Cg *c = cg_new(wq_target(name, cpu, NULL, a), "everything", a);
	emit(c);
	cg_optimize(c, 2, false);
	return cg_emit(c, CG_OBJECT, n);
}

static void emit_a_little(Cg *c)
{
	emit_flow(c);
	emit_calls(c);
	emit_lanes(c);
	emit_small_floats(c, 8);
}

static void check_target(const char *name, const char *cpu)
{
	WqArena *a = wq_arena_new();
	size_t n = 0, again = 0;
	const void *o = object_for(name, cpu, a, emit_everything, &n);
	CHECK_MSG(n > 4096 && !memcmp(o, strcmp(name, "wasm32") ? "\177ELF" : "\0asm", 4), "%s: %zu bytes", name, n);
	if (getenv("CG_TEST_KEEP")) { /* for a look at what it calls */
		WqFileOut *f = wq_file_create(a, wq_sprintf(a, "%s/%s-%s.o", getenv("CG_TEST_KEEP"), name, cpu ? cpu : ""));
		wq_file_write(f, o, n);
		wq_file_commit(f);
	}
	o = object_for(name, cpu, a, emit_a_little, &n);
	const void *p = object_for(name, cpu, a, emit_a_little, &again);
	CHECK_MSG(n == again && !memcmp(o, p, n), "%s: not the same bytes each time", name);
	wq_arena_free(a);
}

TEST(every_target)
{
	static const char *const names[][2] = {
#define TARGET(name, triple, cpu, attrs, abi, family, bits, bare, qemu, about) {name},
#include "codegen/targets.def"
		{"x86_64", "x86-64-v3"}, {"x86_64", "x86-64-v4"}, {"aarch64", "neoverse-v1"}, {"armv7", "cortex-a7"}};
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		check_target(names[i][0], names[i][1]);
}

TEST(target_facts)
{
	WqArena *a = wq_arena_new();
	const WqTarget *t = wq_target("x86_64", NULL, NULL, a);
	CHECK(t->vector_bytes == 16 && !t->fma && !t->round && t->index_bits == 64 && wq_target_has(t, "sse2") && !wq_target_has(t, "sse3"));
	t = wq_target("x86_64", "x86-64-v4", "+avx512vnni", a);
	CHECK(t->vector_bytes == 64 && t->vector_regs == 32 && t->fma && t->half && t->dot == WQ_DOT_VNNI && wq_target_has(t, "avx512bw"));
	t = wq_target("x86_64", "x86-64-v4", "-avx", a);
	CHECK(t->vector_bytes == 16 && !t->fma && !wq_target_has(t, "avx512f") && !wq_target_has(t, "avx512vl") && wq_target_has(t, "sse4.2"));
	CHECK(wq_target("aarch64-linux-gnu", NULL, "+dotprod", a)->dot == WQ_DOT_SDOT);
	CHECK(wq_target("cortex-m55", NULL, NULL, a)->dot == WQ_DOT_MVE && wq_target("cortex-m0", NULL, NULL, a)->hard_f32 == false);
	CHECK(wq_target("riscv64", NULL, "-v", a)->vector_f32 == false && wq_target("wasm32", NULL, "-simd128", a)->vector_bytes == 4);
	t = wq_target("native", NULL, NULL, a);
	CHECK(t->l1 >= 8192 && t->l2 > t->l1 && t->line >= 16 && t->cpu[0]);
	CHECK_ERROR(WQ_EINPUT, "unknown target", wq_target("vax", NULL, NULL, a));
	CHECK_ERROR(WQ_EINPUT, "unknown CPU", wq_target("aarch64", "cortex-m4", NULL, a));
	CHECK_ERROR(WQ_EINPUT, "unknown feature", wq_target("aarch64", NULL, "+avx", a));
	CHECK_ERROR(WQ_EINPUT, "-mattr", wq_target("aarch64", NULL, "dotprod", a));
	CHECK_ERROR(WQ_EUNSUPPORTED, "ELF", wq_target("aarch64-apple-darwin", NULL, NULL, a));
	wq_arena_free(a);
}

TEST(missing_instructions)
{
	WqArena *a = wq_arena_new();
	Cg *c = cg_new(wq_target("x86_64", NULL, NULL, a), "m", a);
	CgFn f;
	CgType v = {CG_I32, 16};
	cg_fn_begin(c, &f, "f", NONE, 3, (CgType[]){v, v, v}, 0, 0, CG_EXPORT);
	CHECK_ERROR(WQ_EUNSUPPORTED, "lacks avx512vnni", cg_intrinsic(c, "llvm.x86.avx512.vpdpbusd.512", 0, NULL, 3, f.param));
	CHECK_ERROR(WQ_EUNSUPPORTED, "x86_64 has no", cg_intrinsic(c, "llvm.arm.smlad", 0, NULL, 3, f.param));
	wq_arena_free(a);
}

static void emit_deep(Cg *c, CgFn *f)
{
	CgVal slot = cg_stack(c, CG_I8, 500, 1);
	cg_memset(c, slot, 3, cg_resize(c, f->param[0], cg_index(c), false));
	cg_return(c, cg_resize(c, cg_load(c, cg_t(CG_I8, 1), cg_at(c, CG_I8, slot, cg_resize(c, f->param[0], cg_index(c), false)), 0), CG_I32, false));
}

/* A frame of 1000 bytes that calls one of 500, which calls what fills memory; nothing else is as deep. */
TEST(stack_bytes)
{
	static const char *const names[] = {
#define TARGET(name, triple, cpu, attrs, abi, family, bits, bare, qemu, about) name,
#include "codegen/targets.def"
	};
	CgType i32 = {CG_I32, 1};
	for (int i = 0; i < WQ_COUNTOF(names); i++) {
		WqArena *a = wq_arena_new();
		Cg *c = cg_new(wq_target(names[i], NULL, NULL, a), "m", a);
		CgFn f;
		size_t n;
		emit_calls(c);
		cg_fn_begin(c, &f, "outer", i32, 1, &i32, 0, 0, CG_EXPORT);
		CgVal slot = cg_stack(c, CG_I8, 1000, 1);
		cg_memset(c, slot, 1, cg_resize(c, f.param[0], cg_index(c), false));
		CgVal at = cg_call(c, cg_shared(c, "deep", i32, 1, &i32, emit_deep), 1, f.param);
		cg_return(c, cg_resize(c, cg_load(c, cg_t(CG_I8, 1), cg_at(c, CG_I8, slot, cg_resize(c, at, cg_index(c), false)), 0), CG_I32, false));
		cg_fn_end(c);
		cg_optimize(c, 2, false);
		cg_emit(c, CG_OBJECT, &n);
		int64_t bytes = cg_stack_bytes(c);
		CHECK_MSG(bytes >= 1500 && bytes < 2200, "%s: %lld bytes of stack", names[i], (long long)bytes);
		wq_arena_free(a);
	}
}

/* LLVM's own comparison is wrong for vectors of a Cortex-M55. */
TEST(nan_with_mve)
{
	WqArena *a = wq_arena_new();
	Cg *c = cg_new(wq_target("cortex-m55", NULL, NULL, a), "m", a);
	Case k = {"is_nan", CG_F32, CG_I1, emit_unod, NULL, ANY};
	size_t n;
	emit_case(c, &k, 4);
	cg_optimize(c, 3, false);
	const char *text = cg_emit(c, CG_ASSEMBLY, &n);
	CHECK(!strstr(text, "vcmp.f32") && strstr(text, "vcmp."));
	wq_arena_free(a);
}

TEST(text_forms)
{
	WqArena *a = wq_arena_new();
	Cg *c = cg_new(wq_target("aarch64", NULL, NULL, a), "m", a);
	size_t n = 0;
	emit_flow(c);
	cg_optimize(c, 2, false);
	const char *ir = cg_emit(c, CG_LLVM, &n);
	CHECK(strstr(ir, "@flow(i64") && !strstr(ir, "warn-stack-size"));
	CHECK(strstr(cg_emit(c, CG_ASSEMBLY, &n), "flow:") && n > 100);
	CHECK(cg_stack_bytes(c) > 0);
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(lane_by_lane) TEST_RUN(lane_by_lane_in_software) TEST_RUN(small_floats_in_hardware) TEST_RUN(small_floats_in_software)
	  TEST_RUN(parts_of_vectors) TEST_RUN(blocks_of_memory) TEST_RUN(gathers) TEST_RUN(lanes) TEST_RUN(control_flow) TEST_RUN(scopes)
	  TEST_RUN(constants_fold) TEST_RUN(calls) TEST_RUN(target_facts) TEST_RUN(missing_instructions) TEST_RUN(text_forms) TEST_RUN(stack_bytes) TEST_RUN(nan_with_mve) TEST_RUN(every_target))
