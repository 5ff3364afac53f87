/* The math functions of cg.h, run in this process: the worst error in units of the last place, on vectors of several
 * lanes, with and without a fused multiply-add. f32 is compared with libm's f64, f64 with libm's long double.
 *
 *   math_test            every 4099th float, and samples
 *   math_test sweep      every float (minutes): our own f64 functions, which the other run checks, are the reference
 */
#define _GNU_SOURCE /* memmem */
#include "codegen/codegen.h"
#include "tests/test.h"

#include <math.h>

typedef struct Fn {
	const char *name;
	CgVal (*emit)(Cg *c, CgVal x);
	double (*f64)(double);
	long double (*ext)(long double);
	double most[2]; /* errors allowed, f32 and f64 */
} Fn;

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static long double sigmoidl(long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static double tail(double x) { return 0.5 * erfc(x * M_SQRT1_2); }
static long double taill(long double x) { return 0.5L * erfcl(x * 0.707106781186547524400844362104849039L); }

static const Fn fns[] = {
#define FN(name)                                          \
	{                                                 \
#name, cg_##name, name, name##l, { 2, 3 } \
	}
	FN(exp),
	FN(log),
	FN(sin),
	FN(cos),
	FN(tan),
	FN(asin),
	FN(acos),
	FN(atan),
	FN(sinh),
	FN(cosh),
	FN(tanh),
	FN(asinh),
	FN(acosh),
	FN(atanh),
	FN(erf),
	FN(sigmoid),
	{ "normal_tail", cg_normal_tail, tail, taill, { 5, 5 } },
};
enum { N_FNS = (int)(sizeof fns / sizeof fns[0]), BLOCK = 4096 };

/* ---- functions over arrays ----------------------------------------------------------------------------- */

typedef void Loop(const void *x, void *y, int64_t n);

static void emit_loop(Cg *c, const char *name, CgType t, CgVal (*emit)(Cg *, CgVal))
{
	CgFn f;
	cg_fn_begin(c, &f, name, cg_t(CG_VOID, 1), 3, (CgType[]){ { CG_PTR, 1 }, { CG_PTR, 1 }, { cg_index(c), 1 } }, 3,
		    1, CG_EXPORT);
	CgVal i = cg_for(c, cg_idx(c, 0), f.param[2], t.lanes);
	cg_store(c, emit(c, cg_load(c, t, cg_at(c, t.kind, f.param[0], i), 0)), cg_at(c, t.kind, f.param[1], i), 0);
	cg_end(c);
	cg_return(c, NULL);
	cg_fn_end(c);
}

static WqProgram *program(WqArena *a, const char *attrs)
{
	WqProgram *p = WQ_NEW(a, WqProgram);
	p->a = a;
	p->o = (WqCodeOptions){ .target = wq_target("native", NULL, attrs, a), .level = 2 };
	p->cg = cg_new(p->o.target, "math", a);
	return p;
}

/* All functions for one kind and number of lanes. */
static void build(WqArena *a, const char *attrs, CgType t, Loop **loop)
{
	WqProgram *p = program(a, attrs);
	for (int i = 0; i < N_FNS; i++)
		emit_loop(p->cg, fns[i].name, t, fns[i].emit);
	WqJit *j = wq_jit_new(p);
	for (int i = 0; i < N_FNS; i++)
		loop[i] = (Loop *)(uintptr_t)wq_jit_symbol(j, fns[i].name);
}

/* ---- errors -------------------------------------------------------------------------------------------- */

static double f32_error(float got, double want)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got) ? 0 : INFINITY;
	if (want == 0)
		return got == 0 && !signbit(got) == !signbit(want) ? 0 : INFINITY;
	if (isinf(want))
		return got == want ? 0 : INFINITY;
	double unit = ldexp(1, (fabs(want) < 0x1p-126 ? -126 : fabs(want) >= 0x1p127 ? 127 : ilogb(want)) - 23);
	double g = isinf(got) ? copysign(0x1p128, got) : got;
	if (isinf(got) && fabs(want) > 0x1p128)
		return 0;
	return fabs(g - want) / unit;
}

static double f64_error(double got, long double want)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got) ? 0 : INFINITY;
	if (want == 0)
		return got == 0 && !signbit(got) == !signbit(want) ? 0 : INFINITY;
	if (isinf(want) || (isinf(got) && fabsl(want) > 0x1p1023L * 1.9999999999999998L))
		return got == want || (isinf(got) && !isinf(want)) ? 0 : INFINITY;
	long double unit = ldexpl(1, (fabsl(want) < 0x1p-1022L ? -1022 : ilogbl(want)) - 52);
	return (double)(fabsl(got - want) / unit);
}

typedef struct Worst {
	double error, at;
} Worst;

static void note(Worst *w, double error, double at)
{
	if (error > w->error)
		*w = (Worst){ error, at };
}

static bool outside(const Fn *f, double x) { return f->emit == cg_normal_tail && !(x >= 0); }

/* ---- f32: every step-th float and the neighbours of what is special ------------------------------------ */

static float float_of(uint32_t u)
{
	float f;
	memcpy(&f, &u, 4);
	return f;
}

static uint32_t bits_of(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	return u;
}

static int specials(float *x)
{
	static const float near[] = { 0,          0x1p-149f,       0x1p-126f, 0x1p-12f,   0.41421357f, 0.5f,
				      0.625f,     0.70710677f,     1,         1.4142135f, 1.5707964f,  2.4142135f,
				      3.1415927f, 14.5f,           88.72284f, 89.41599f,  103.97208f,  8192,
				      0x1p40f,    0x1.fffffep127f, INFINITY,  NAN };
	int n = 0;
	for (int i = 0; i < WQ_COUNTOF(near); i++)
		for (int d = -20; d <= 20; d++)
			for (int s = 0; s < 2; s++)
				x[n++] = float_of((bits_of(near[i]) + (uint32_t)d) ^ (uint32_t)s << 31);
	return n;
}

static void sweep_block(const Fn *f, Loop *loop, const float *x, int n, Worst *w)
{
	float y[BLOCK];
	loop(x, y, n);
	for (int i = 0; i < n; i++)
		if (!outside(f, x[i]))
			note(w, f32_error(y[i], f->f64(x[i])), x[i]);
}

static Worst sweep_f32(const Fn *f, Loop *loop, uint32_t step)
{
	static float x[BLOCK];
	Worst w = { 0 };
	int n = specials(x);
	sweep_block(f, loop, x, n & ~15, &w);
	for (uint64_t u = 1; u < UINT64_C(1) << 32; u += (uint64_t)BLOCK * step) {
		for (int i = 0; i < BLOCK; i++)
			x[i] = float_of((uint32_t)(u + (uint64_t)i * step));
		sweep_block(f, loop, x, BLOCK, &w);
	}
	return w;
}

static const struct Config {
	const char *attrs;
	int lanes;
} configs[] = { { "", 16 }, { "", 1 }, { "-fma", 4 }, { "-fma", 16 } };

TEST(f32)
{
	Worst worst[N_FNS][WQ_COUNTOF(configs)];
	for (int k = 0; k < WQ_COUNTOF(configs); k++) {
		WqArena *a = wq_arena_new();
		Loop *loop[N_FNS];
		build(a, configs[k].attrs, cg_t(CG_F32, configs[k].lanes), loop);
		for (int i = 0; i < N_FNS; i++)
			worst[i][k] = sweep_f32(&fns[i], loop[i], 4099);
		wq_arena_free(a);
	}
	for (int i = 0; i < N_FNS; i++) {
		printf("%-12s f32", fns[i].name);
		for (int k = 0; k < WQ_COUNTOF(configs); k++) {
			printf("  %.3f at %.9g", worst[i][k].error, worst[i][k].at);
			CHECK_MSG(worst[i][k].error <= fns[i].most[0], "%s of %.9g (lanes %d, %s): %.3f ulp",
				  fns[i].name, worst[i][k].at, configs[k].lanes, configs[k].attrs, worst[i][k].error);
		}
		printf("\n");
	}
}

/* ---- every float ------------------------------------------------------------------------------------------ */

static void every_float(const Fn *f, Loop *f32, Loop *f64, Worst *w)
{
	static float x[BLOCK], y[BLOCK];
	static double d[BLOCK], r[BLOCK];
	for (uint64_t u = 0; u < UINT64_C(1) << 32; u += BLOCK) {
		for (int i = 0; i < BLOCK; i++) {
			x[i] = float_of((uint32_t)(u + (uint64_t)i));
			d[i] = x[i];
		}
		f32(x, y, BLOCK);
		f64(d, r, BLOCK);
		for (int i = 0; i < BLOCK; i++) {
			double big = fabs(r[i]);
			if (big > 0x1p-125 && big < 0x1p126) { /* the usual case, without calls */
				uint64_t e;
				memcpy(&e, &r[i], 8);
				e = (e & UINT64_C(0x7ff0000000000000)) - (UINT64_C(23) << 52);
				double unit;
				memcpy(&unit, &e, 8);
				double error = fabs(y[i] - r[i]);
				if ((error > w->error * unit || error != error) && !outside(f, x[i]))
					note(w, f32_error(y[i], r[i]), x[i]);
			} else if (!outside(f, x[i])) {
				note(w, f32_error(y[i], r[i]), x[i]);
			}
		}
	}
}

static void sweep(const char *only)
{
	static const char *attrs[] = { "", "-fma" };
	for (int k = 0; k < 2; k++) {
		WqArena *a = wq_arena_new();
		Loop *f32[N_FNS], *f64[N_FNS];
		build(a, attrs[k], cg_t(CG_F32, 16), f32);
		build(a, "", cg_t(CG_F64, 8), f64);
		for (int i = 0; i < N_FNS; i++) {
			if (only && strcmp(only, fns[i].name) != 0)
				continue;
			Worst w = { 0 };
			every_float(&fns[i], f32[i], f64[i], &w);
			printf("%-12s %-5s %.4f at %.9g\n", fns[i].name, attrs[k], w.error, w.at);
			fflush(stdout);
			CHECK_MSG(w.error <= fns[i].most[0], "%s of %.9g: %.3f ulp", fns[i].name, w.at, w.error);
		}
		wq_arena_free(a);
	}
}

/* ---- f64 ---------------------------------------------------------------------------------------------------- */

static uint64_t rng_state = 88172645463325252u;
static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	return rng_state ^= rng_state << 17;
}

static double double_of(uint64_t u)
{
	double d;
	memcpy(&d, &u, 8);
	return d;
}

/* All numbers alike by their bits, and those of size about 1, where functions turn. */
static double sample(int i)
{
	uint64_t u = rng();
	switch (i % 4) {
	case 0:
		return double_of(u);
	case 1:
		return double_of((u & UINT64_C(0x800fffffffffffff)) | (UINT64_C(1023 - 6) + rng() % 16) << 52);
	case 2:
		return ((double)(u >> 11) * 0x1p-53 - 0.5) * 4;
	default:
		return ((double)(u >> 11) * 0x1p-53 - 0.5) * 1600;
	}
}

static void f64_config(const char *attrs, int lanes)
{
	WqArena *a = wq_arena_new();
	Loop *loop[N_FNS];
	static double x[BLOCK], y[BLOCK];
	build(a, attrs, cg_t(CG_F64, lanes), loop);
	for (int i = 0; i < N_FNS; i++) {
		Worst w = { 0 };
		for (int block = 0; block < 64; block++) {
			for (int j = 0; j < BLOCK; j++)
				x[j] = sample(j);
			static const double special[] = { 0,
							  -0.0,
							  1,
							  -1,
							  INFINITY,
							  -INFINITY,
							  NAN,
							  0x1p-1074,
							  0x1.fffffffffffffp1023,
							  6381956970095103 * 0x1p797 };
			memcpy(x, special, sizeof special);
			loop[i](x, y, BLOCK);
			for (int j = 0; j < BLOCK; j++)
				if (!outside(&fns[i], x[j]))
					note(&w, f64_error(y[j], fns[i].ext((long double)x[j])), x[j]);
		}
		printf("%-12s f64 %-5s %.3f at %.17g\n", fns[i].name, attrs, w.error, w.at);
		CHECK_MSG(w.error <= fns[i].most[1], "%s of %.17g (f64 %s): %.3f ulp", fns[i].name, w.at, attrs,
			  w.error);
	}
	wq_arena_free(a);
}

TEST(f64)
{
	f64_config("", 8);
	f64_config("-fma", 2);
}

/* ---- two operands --------------------------------------------------------------------------------------------- */

typedef void Loop2(const void *x, const void *y, void *z, int64_t n);

static Loop2 *build2(WqArena *a, const char *attrs, CgType t, CgVal (*emit)(Cg *, CgVal, CgVal))
{
	WqProgram *p = program(a, attrs);
	Cg *c = p->cg;
	CgFn f;
	CgType ptr = { CG_PTR, 1 };
	cg_fn_begin(c, &f, "f", cg_t(CG_VOID, 1), 4, (CgType[]){ ptr, ptr, ptr, { cg_index(c), 1 } }, 7, 3, CG_EXPORT);
	CgVal i = cg_for(c, cg_idx(c, 0), f.param[3], t.lanes), v[2];
	for (int k = 0; k < 2; k++)
		v[k] = cg_load(c, t, cg_at(c, t.kind, f.param[k], i), 0);
	cg_store(c, emit(c, v[0], v[1]), cg_at(c, t.kind, f.param[2], i), 0);
	cg_end(c);
	cg_return(c, NULL);
	cg_fn_end(c);
	return (Loop2 *)(uintptr_t)wq_jit_symbol(wq_jit_new(p), "f");
}

static float sample_f32(int i)
{
	static const float special[] = { 0,         -0.0f, 1,         -1,      2,
					 3,         -3,    0.5f,      -0.5f,   INFINITY,
					 -INFINITY, NAN,   0x1p-149f, 0x1p24f, 0x1.000002p24f };
	uint64_t r = rng();
	if (r % 8 == 0)
		return special[rng() % (sizeof special / sizeof *special)];
	if (i % 3 == 0)
		return float_of((uint32_t)(r >> 32));
	return i % 3 == 1 ? (float)sample(2) : float_of((uint32_t)((r >> 32 & 0x807fffff) | (120 + rng() % 16) << 23));
}

static double sample_base(int i) { return i & 1 ? 1 + (double)(int64_t)rng() * 0x1p-73 : sample(i); }

/* Bases near 1 with large exponents are hardest. */
static void pow_config(const char *attrs, int lanes)
{
	WqArena *a = wq_arena_new();
	Loop2 *f32 = build2(a, attrs, cg_t(CG_F32, lanes), cg_pow),
	      *f64 = build2(a, attrs, cg_t(CG_F64, lanes), cg_pow);
	Worst w[2] = { { 0 } };
	static float x[BLOCK], y[BLOCK], z[BLOCK];
	static double dx[BLOCK], dy[BLOCK], dz[BLOCK];
	for (int block = 0; block < 128; block++) {
		for (int i = 0; i < BLOCK; i++) {
			x[i] = i % 5 ? sample_f32(i) : 1 + (float)(int32_t)rng() * 0x1p-40f;
			y[i] = i % 7 ? sample_f32(i / 3) : 90 / logf(fabsf(x[i]));
			dx[i] = i % 3 ? sample_base(i) : (double)x[i];
			dy[i] = i % 7 ? sample(i / 5) : 700 / log(fabs(dx[i]));
		}
		f32(x, y, z, BLOCK);
		f64(dx, dy, dz, BLOCK);
		for (int i = 0; i < BLOCK; i++) {
			double error = f32_error(z[i], pow((double)x[i], (double)y[i])), wide = f64_error(dz[i], powl(dx[i], dy[i]));
			CHECK_MSG(error <= 2, "pow(%.9g, %.9g) = %.9g: %.3f ulp", x[i], y[i], z[i], error);
			CHECK_MSG(wide <= 3, "pow(%.17g, %.17g) = %.17g: %.3f ulp", dx[i], dy[i], dz[i], wide);
			note(&w[0], error, x[i]);
			note(&w[1], wide, dx[i]);
		}
	}
	printf("pow %-5s f32 %.3f  f64 %.3f\n", attrs, w[0].error, w[1].error);
	wq_arena_free(a);
}

TEST(power)
{
	pow_config("", 16);
	pow_config("-fma", 4);
}

TEST(remainder)
{
	WqArena *a = wq_arena_new();
	Loop2 *f32 = build2(a, "", cg_t(CG_F32, 16), cg_fmod), *f64 = build2(a, "", cg_t(CG_F64, 4), cg_fmod);
	static float x[BLOCK], y[BLOCK], z[BLOCK];
	static double dx[BLOCK], dy[BLOCK], dz[BLOCK];
	for (int block = 0; block < 32; block++) {
		for (int i = 0; i < BLOCK; i++) {
			x[i] = sample_f32(i);
			y[i] = sample_f32(i / 3);
			dx[i] = sample(i);
			dy[i] = sample(i / 4);
		}
		f32(x, y, z, BLOCK);
		f64(dx, dy, dz, BLOCK);
		for (int i = 0; i < BLOCK; i++) {
			CHECK_MSG(f32_error(z[i], fmodf(x[i], y[i])) == 0, "fmod(%.9g, %.9g) = %.9g", x[i], y[i], z[i]);
			CHECK_MSG(f64_error(dz[i], fmod(dx[i], dy[i])) == 0, "fmod(%.17g, %.17g) = %.17g", dx[i], dy[i],
				  dz[i]);
		}
	}
	wq_arena_free(a);
}

/* ---- no library ------------------------------------------------------------------------------------------------ */

/* Is name, with zeros around it, in an object's string table? */
static bool names(const char *object, size_t n, const char *name)
{
	char text[32];
	size_t len = strlen(name) + 2;
	memset(text, 0, sizeof text);
	memcpy(text + 1, name, len - 2);
	return memmem(object, n, text, len) != NULL;
}

TEST(no_libm)
{
	static const char *const targets[] = { "x86_64",    "aarch64",    "armv7",   "cortex-m0", "cortex-m4",
					       "cortex-m7", "cortex-m55", "riscv64", "riscv32" };
	static const char *const libm[] = { "exp",       "log",       "sin",      "cos",   "tan",   "pow",
					    "fmod",      "fma",       "sqrt",     "floor", "trunc", "rint",
					    "nearbyint", "roundeven", "copysign", "fabs",  "ldexp" };
	for (int i = 0; i < WQ_COUNTOF(targets); i++) {
		WqArena *a = wq_arena_new();
		Cg *c = cg_new(wq_target(targets[i], NULL, NULL, a), "math", a);
		for (int k = 0; k < N_FNS; k++) {
			emit_loop(c, wq_sprintf(a, "%s_f32", fns[k].name), cg_t(CG_F32, 4), fns[k].emit);
			emit_loop(c, wq_sprintf(a, "%s_f64", fns[k].name), cg_t(CG_F64, 1), fns[k].emit);
		}
		cg_optimize(c, 2, false);
		size_t n;
		const char *object = cg_emit(c, CG_OBJECT, &n);
		for (int k = 0; k < WQ_COUNTOF(libm); k++) {
			CHECK_MSG(!names(object, n, libm[k]), "%s calls %s", targets[i], libm[k]);
			CHECK_MSG(!names(object, n, wq_sprintf(a, "%sf", libm[k])), "%s calls %sf", targets[i],
				  libm[k]);
		}
		wq_arena_free(a);
	}
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	int failed = 0, ran = 0;
	if (only && !strcmp(only, "sweep")) {
		sweep(argc > 2 ? argv[2] : NULL);
		return test_failed != 0;
	}
	TEST_RUN(f32)
	TEST_RUN(f64) TEST_RUN(power) TEST_RUN(remainder) TEST_RUN(no_libm)
		printf("%d passed, %d failed\n", ran - failed, failed);
	return failed != 0;
}
