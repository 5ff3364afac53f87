/* The runner of cli/cross.c on every machine, with a model written by hand (tests/cross/model.c) that behaves, and that
 * does not: what it must find wrong, it finds. */
#include "tests/test.h"

/* NOLINTBEGIN(bugprone-suspicious-include) */
#include "cli/cross.c"
/* NOLINTEND(bugprone-suspicious-include) */
#include "tests/cross/arith.h"

static const char *build_source(const Cross *x, const char *name, int mode, WqArena *a)
{
	Args l = { 0 };
	const char *said;
	compiler_args(x->target, &l, a);
	arg(&l, wq_sprintf(a, "-DMODE=%d", mode));
	arg(&l, wq_sprintf(a, "%s.c", name));
	CHECK_MSG(!run_in(x->dir, &l, &said, a), "%s", said);
	return wq_sprintf(a, "%s/%s.o", x->dir, name);
}

static const char *build(const Cross *x, int mode, WqArena *a) { return build_source(x, "model", mode, a); }

/* Of the same inputs and outputs as model.c. */
static const char graph[] =
	"const s: i64[2] = {7, 1}\n"
	"graph (x: f32[7], n: i64[2]) {\n"
	"  a: f64[7] = Cast(x) <to=f64>\n  b: f64[7,1] = Reshape(a, s)\n  c: f64[2] = Cast(n) <to=f64>\n"
	"  y: f64[7,2] = Add(b, c)\n  return y\n}\n";

static const float xs[7] = { 0, 1.5f, -2.25f, 3e38f, 1e-40f, -0.0f, 7 };
static const int64_t ns[2] = { -1000000000000000007, 8 };

static void check_results(const ApiCall *c)
{
	WqRt *y = api_call_result(c, 0);
	const double *got = y->t.data;
	for (int i = 0; i < 14; i++) {
		double want = 2.0 * (double)xs[i / 2] + (double)(ns[i % 2] / 3); // NOLINT(bugprone-integer-division)
		CHECK_MSG(!memcmp(&got[i], &want, sizeof want), "y[%d] is %.17g, expected %.17g", i, got[i], want);
	}
	wq_rt_unref(y);
}

static void misbehave(const Cross *x, const ApiCall *c, WqArena *a)
{
	CHECK_ERROR(WQ_ECHECK, "outside of the model's buffers", cross_call(x, c, build(x, 1, a), NULL, "", a));
	CHECK_ERROR(WQ_ECHECK, "an input was written", cross_call(x, c, build(x, 2, a), NULL, "", a));
	if (x->target->family != WQ_WASM)
		CHECK_ERROR(WQ_ECHECK, "bytes of stack were used, 500 promised",
			    cross_call(x, c, build(x, 3, a), NULL, "", a));
	CHECK_ERROR(WQ_ECHECK, x->target->family == WQ_AARCH64 ? "signal 5" : "status 99",
		    cross_call(x, c, build(x, 4, a), NULL, "", a));
	CHECK_ERROR(WQ_ECHECK, "outside of the model's buffers", cross_call(x, c, build(x, 5, a), NULL, "", a));
}

static void one_target(const char *name, bool all)
{
	WqArena *a = wq_arena_new();
	WqModule *m = wq_parse("test", graph, strlen(graph), (WqMapped){ 0 });
	const Cross *x = cross_new(wq_target(name, NULL, NULL, a), NULL, a);
	int64_t seven = 7, two = 2;
	WqRt *in[2] = { wq_rt_tensor(WQ_F32, 1, &seven), wq_rt_tensor(WQ_I64, 1, &two) };
	memcpy(in[0]->t.data, xs, sizeof xs);
	memcpy(in[1]->t.data, ns, sizeof ns);
	ApiCall *c = api_call_new(m, in, a);
	CHECK_EQ(cross_call(x, c, build(x, 0, a), NULL, "", a), WQRT_OK);
	check_results(c);
	c->in_dims[0] = 10;
	CHECK_EQ(cross_call(x, c, build(x, 0, a), NULL, "", a), WQRT_EBOUND);
	c->in_dims[0] = 7;
	if (all)
		misbehave(x, c, a);
	wq_rt_unref(in[0]);
	wq_rt_unref(in[1]);
	wq_module_free(m);
	wq_arena_free(a);
}

TEST(x86_64) { one_target("x86_64", false); }
TEST(aarch64) { one_target("aarch64", true); }
TEST(armv7) { one_target("armv7", false); }
TEST(riscv64) { one_target("riscv64", false); }
TEST(riscv32) { one_target("riscv32", true); }
TEST(cortex_m0) { one_target("cortex-m0", false); }
TEST(cortex_m4) { one_target("cortex-m4", true); }
TEST(cortex_m7) { one_target("cortex-m7", false); }
TEST(cortex_m55) { one_target("cortex-m55", false); }
TEST(wasm32) { one_target("wasm32", true); }

/* ---- the runtime's arithmetic where it is used ------------------------------------------------------------ */

static void one_arith(const char *target)
{
	static const char text[] = "graph (n: i64[1]) {\n  a: u64[1] = Cast(n) <to=u64>\n  y: u64[24] = Concat(a, a, "
				   "a, a, a, a, a, a, a, a, a, a, "
				   "a, a, a, a, a, a, a, a, a, a, a, a) <axis=0>\n  return y\n}\n";
	WqArena *a = wq_arena_new();
	WqModule *m = wq_parse("test", text, strlen(text), (WqMapped){ 0 });
	const Cross *x = cross_new(wq_target(target, NULL, NULL, a), NULL, a);
	int64_t one = 1, count = 20000;
	WqRt *in = wq_rt_tensor(WQ_I64, 1, &one);
	memcpy(in->t.data, &count, sizeof count);
	ApiCall *c = api_call_new(m, &in, a);
	CHECK_EQ(cross_call(x, c, build_source(x, "arith", 0, a), NULL, "", a), WQRT_OK);
	uint64_t want[ARITH_SUMS];
	arith((int)count, want);
	for (int i = 0; i < ARITH_SUMS; i++)
		CHECK_MSG(((uint64_t *)c->out[0])[i] == want[i], "%s: sum %d is %#llx, expected %#llx", target, i,
			  ((unsigned long long *)c->out[0])[i], (unsigned long long)want[i]);
	wq_rt_unref(in);
	wq_module_free(m);
	wq_arena_free(a);
}

TEST(arith_m0) { one_arith("cortex-m0"); }
TEST(arith_m4) { one_arith("cortex-m4"); }
TEST(arith_m55) { one_arith("cortex-m55"); }
TEST(arith_armv7) { one_arith("armv7"); }
TEST(arith_riscv32) { one_arith("riscv32"); }

TEST(missing_tools)
{
	WqArena *a = wq_arena_new();
	char *path = wq_strdup(a, getenv("PATH"));
	setenv("PATH", "/nowhere", 1);
	CHECK_ERROR(WQ_EINPUT, "needs clang-19, ld.lld-19, qemu-aarch64 (scripts/setup.sh --cross)",
		    cross_new(wq_target("aarch64", NULL, NULL, a), NULL, a));
	setenv("PATH", path, 1);
	wq_arena_free(a);
}

static void need_all(void)
{
	static const char *const tools[] = { "clang-19",     "ld.lld-19",       "wasm-ld-19",
					     "qemu-x86_64",  "qemu-aarch64",    "qemu-arm",
					     "qemu-riscv64", "qemu-system-arm", "qemu-system-riscv32",
					     "node" };
	WqArena *a = wq_arena_new();
	for (int i = 0; i < WQ_COUNTOF(tools); i++)
		if (!in_path(tools[i], a)) {
			printf("SKIP: %s is not installed (scripts/setup.sh --cross)\n", tools[i]);
			exit(77);
		}
	wq_arena_free(a);
}

TEST_MAIN(need_all(); TEST_RUN(missing_tools) TEST_RUN(x86_64) TEST_RUN(aarch64) TEST_RUN(armv7) TEST_RUN(riscv64)
		  TEST_RUN(riscv32) TEST_RUN(cortex_m0) TEST_RUN(arith_m0) TEST_RUN(arith_m4) TEST_RUN(arith_m55)
			  TEST_RUN(arith_armv7) TEST_RUN(arith_riscv32) TEST_RUN(cortex_m4) TEST_RUN(cortex_m7)
				  TEST_RUN(cortex_m55) TEST_RUN(wasm32))
