/* engine_test: runs of graphs: memory given back in time, views and reused memory, control flow, failures that leave nothing
 * behind, inputs that don't fit. */
#include "tests/eval.h"
#include "tests/test.h"

static WqModule *parse(const char *text) { return wq_parse("test", text, strlen(text), (WqMapped){ 0 }); }

static WqRt *floats(int n, const float *v)
{
	int64_t dim = n;
	WqRt *r = wq_rt_tensor(WQ_F32, 1, &dim);
	memcpy(r->t.data, v, (size_t)n * sizeof *v);
	return r;
}

static WqRt *number(WqDtype t, int64_t v)
{
	WqRt *r = wq_rt_tensor(t, 0, NULL);
	wq_tensor_set_i(&r->t, 0, v);
	return r;
}

static void check_floats(const WqRt *v, int n, const float *want)
{
	CHECK_EQ(wq_tensor_count(&v->t), n);
	for (int i = 0; i < n && wq_tensor_count(&v->t) == n; i++)
		CHECK_MSG(((float *)v->t.data)[i] == want[i], "element %d is %g, not %g", i, (double)((float *)v->t.data)[i], (double)want[i]);
}

static WqEngine *engine(WqModule *m) { return wq_engine_new(m, &(WqEngineOptions){ .threads = 1 }); }

/* ---- memory ---------------------------------------------------------------------------------------- */

TEST(a_chain_needs_two_values)
{
	WqModule *m = parse("graph (x: f32[64,256]) {\n"
		"  w: f32[256,64] = Transpose(x) <perm=[1, 0]>\n"
		"  a: f32[64,64] = MatMul(x, w)\n  b: f32[64,64] = MatMul(a, a)\n  c: f32[64,64] = Relu(b)\n"
		"  d: f32[64,64] = MatMul(c, c)\n  e: f32[64,64] = Exp(d)\n  f: f32[64,64] = MatMul(e, e)\n  return f\n}\n");
	WqEngine *e = engine(m);
	int64_t before = wq_mem_stat()->live, one = 64 * 64 * 4;
	WqRt **in = random_inputs(m->arena, m, 1), *out;
	wq_engine_run(e, in, &out);
	WqEngineStat s = wq_engine_stat(e);
	CHECK_EQ(s.live_set_bytes, 5 * one); /* w is four, a one */
	CHECK(s.peak_bytes <= s.live_set_bytes + s.live_set_bytes / 10);
	CHECK_EQ(wq_mem_stat()->live, before + one); /* the result */
	wq_rt_unref(out);
	drop_all(in, 1);
	wq_engine_free(e);
	CHECK_EQ(wq_mem_stat()->live, before);
	wq_module_free(m);
}

/* A result may take a dying operand's memory, but never that of an input, a constant, or a value with another use. */
TEST(memory_is_reused_only_when_nobody_looks)
{
	WqModule *m = parse("const k: f32[4] = {1, 2, 3, 4}\n"
		"graph (x: f32[4]) {\n"
		"  s: i64[2] = Dims() <dims=[2, 2]>\n"
		"  a: f32[4] = Neg(x)\n  view: f32[2,2] = Reshape(a, s)\n  b: f32[4] = Neg(a)\n  c: f32[2,2] = Neg(view)\n"
		"  d: f32[4] = Add(k, k)\n  e: f32[4] = Mul(b, b)\n  f: f32[4] = Add(e, b)\n  g: f32[4] = Neg(x)\n"
		"  return b, c, d, f, g, x, k, view, again=b\n}\n");
	WqEngine *e = engine(m);
	WqRt *x = floats(4, (float[]){ 5, -6, 7, -8 }), *out[9];
	for (int run = 0; run < 2; run++) {
		wq_engine_run(e, &x, out);
		check_floats(out[0], 4, (float[]){ 5, -6, 7, -8 });
		check_floats(out[1], 4, (float[]){ 5, -6, 7, -8 });
		check_floats(out[2], 4, (float[]){ 2, 4, 6, 8 });
		check_floats(out[3], 4, (float[]){ 30, 30, 56, 56 });
		check_floats(out[4], 4, (float[]){ -5, 6, -7, 8 });
		check_floats(out[5], 4, (float[]){ 5, -6, 7, -8 });
		check_floats(out[6], 4, (float[]){ 1, 2, 3, 4 });
		check_floats(out[7], 4, (float[]){ -5, 6, -7, 8 });
		CHECK(out[8] == out[0]);
		drop_all(out, 9);
	}
	wq_rt_unref(x);
	wq_engine_free(e);
	wq_module_free(m);
}

/* ---- control flow ------------------------------------------------------------------------------------- */

static const char *const looped = /* sums 1..i of x, and stops when the sum passes the limit */
	"sym u0 in [0, inf]\n"
	"const zero: f32[1] = {0}\nconst k: f32[1] = {10}\n"
	"graph (n: i64[], x: f32[1]) {\n"
	"  sum: f32[1], scan: f32[u0,1] = Loop(n, _, zero) graph (i: i64[], go: bool[], s: f32[1]) {\n"
	"    t: f32[1] = Add(s, x)\n    more: bool[1] = Less(t, k)\n    sh: i64[0] = Dims() <dims=[]>\n"
	"    go_on: bool[] = Reshape(more, sh)\n    twice: f32[1] = Add(t, t)\n"
	"    return go_on, t, twice\n  }\n"
	"  return sum, scan\n}\n";

TEST(loops)
{
	WqModule *m = parse(looped);
	WqEngine *e = engine(m);
	static const struct {
		int64_t n;
		float x;
		int trips;
		float sum;
	} cases[] = { { 3, 2, 3, 6 }, { 100, 2, 5, 10 }, { 0, 2, 0, 0 }, { -5, 2, 0, 0 }, { 1, 50, 1, 50 }, { 600, 0.015625f, 600, 9.375f } };
	int64_t before = wq_mem_stat()->live;
	for (int i = 0; i < WQ_COUNTOF(cases); i++) {
		WqRt *in[2] = { number(WQ_I64, cases[i].n), floats(1, &cases[i].x) }, *out[2];
		wq_engine_run(e, in, out);
		check_floats(out[0], 1, &cases[i].sum);
		CHECK_EQ(out[1]->t.rank, 2);
		CHECK_EQ(out[1]->t.dim[0], cases[i].trips);
		CHECK_EQ(out[1]->t.dim[1], 1);
		for (int k = 0; k < cases[i].trips; k++)
			CHECK(((float *)out[1]->t.data)[k] == 2 * (float)(k + 1) * cases[i].x);
		drop_all(in, 2);
		drop_all(out, 2);
	}
	CHECK_EQ(wq_mem_stat()->live, before);
	wq_engine_free(e);
	wq_module_free(m);
}

TEST(branches_see_the_values_around_them)
{
	WqModule *m = parse("graph (p: bool[], x: f32[2]) {\n"
		"  y: f32[2] = Neg(x)\n"
		"  r: f32[2], q: f32[2] = If(p) graph () {\n    a: f32[2] = Add(x, y)\n    return a, y\n  } graph () {\n"
		"    b: f32[2] = Mul(y, y)\n    return b, x\n  }\n  z: f32[2] = Add(r, y)\n  return z, q\n}\n");
	WqEngine *e = engine(m);
	WqRt *x = floats(2, (float[]){ 1, 2 });
	for (int yes = 0; yes < 2; yes++) {
		WqRt *in[2] = { number(WQ_BOOL, yes), x }, *out[2];
		wq_engine_run(e, in, out);
		check_floats(out[0], 2, yes ? (float[]){ -1, -2 } : (float[]){ 0, 2 });
		check_floats(out[1], 2, yes ? (float[]){ -1, -2 } : (float[]){ 1, 2 });
		wq_rt_unref(in[0]);
		drop_all(out, 2);
	}
	wq_rt_unref(x);
	wq_engine_free(e);
	wq_module_free(m);
}

/* ---- failures -------------------------------------------------------------------------------------------- */

/* Fails in iteration 5 of the loop, with lists, scans and captured values alive. */
static const char *const fragile =
	"sym u0 in [0, inf]\nsym u1 in [0, inf]\n"
	"const n: i64[] = {8}\nconst zero: f32[1] = {0}\n"
	"graph (table: f32[u0]) {\n"
	"  big: f32[u0] = Neg(table)\n  list: seq(f32[u0]) = SequenceConstruct(big, table)\n"
	"  sum: f32[1], l: seq(f32[u0]), scan: f32[u1,1] = Loop(n, _, zero, list) graph (i: i64[], go: bool[], s: f32[1], c: seq(f32[u0])) {\n"
	"    first: i64[1] = Dims() <dims=[1]>\n    at: i64[1] = Reshape(i, first)\n"
	"    d: seq(f32[u0]) = SequenceInsert(c, big)\n"
	"    v: f32[1] = Gather(big, at)\n    t: f32[1] = Add(s, v)\n    return go, t, d, t\n  }\n"
	"  len: i64[] = SequenceLength(l)\n  return sum, len, scan\n}\n";

TEST(a_failed_run_leaves_nothing)
{
	WqModule *m = parse(fragile);
	WqEngine *e = engine(m);
	int64_t before = wq_mem_stat()->live;
	WqRt *bad = floats(5, (float[]){ 1, 2, 3, 4, 5 }), *good = floats(8, (float[]){ 1, 2, 3, 4, 5, 6, 7, 8 });
	WqRt *out[3] = { good, good, good };
	for (int i = 0; i < 3; i++) {
		int64_t live = wq_mem_stat()->live;
		CHECK_FAILS(wq_engine_run(e, &bad, out), "Gather");
		CHECK_EQ(wq_mem_stat()->live, live);
		CHECK(!out[0] && !out[1] && !out[2]);
		wq_engine_run(e, &good, out);
		check_floats(out[0], 1, (float[]){ -36 });
		CHECK_EQ(wq_tensor_get_i(&out[1]->t, 0), 10);
		CHECK_EQ(out[2]->t.dim[0], 8);
		drop_all(out, 3);
	}
	wq_rt_unref(bad);
	wq_rt_unref(good);
	CHECK_EQ(wq_mem_stat()->live, before);
	wq_engine_free(e);
	wq_module_free(m);
}

static long left; /* allocations until one fails */

static bool deny(size_t n)
{
	(void)n;
	return left >= 0 && left-- == 0;
}

/* Every allocation of a run fails once: an error, nothing left, and the next run is right. */
TEST(a_run_without_memory_leaves_nothing)
{
	WqModule *m = parse(fragile);
	WqRt *x = floats(8, (float[]){ 1, 2, 3, 4, 5, 6, 7, 8 }), *out[3];
	WqEngine *e = engine(m);
	int64_t before = wq_mem_stat()->live;
	bool done = false;
	for (int i = 0; i < 2000 && !done; i++) {
		WqTry t;
		left = i;
		wq_alloc_set_deny(deny);
		if (WQ_TRY(&t)) {
			wq_engine_run(e, &x, out);
			wq_try_end(&t);
			drop_all(out, 3);
		}
		done = t.err.code == WQ_OK;
		left = -1;
		wq_alloc_set_deny(NULL);
		CHECK(done || t.err.code == WQ_ENOMEM);
		CHECK_EQ(wq_mem_stat()->live, before);
	}
	CHECK(done);
	wq_engine_run(e, &x, out);
	check_floats(out[0], 1, (float[]){ -36 });
	drop_all(out, 3);
	wq_rt_unref(x);
	wq_engine_free(e);
	wq_module_free(m);
}

/* ---- inputs ------------------------------------------------------------------------------------------------ */

static WqRt *zeros(WqDtype t, int rank, const int64_t *dim)
{
	WqRt *v = wq_rt_tensor(t, rank, dim);
	memset(v->t.data, 0, wq_tensor_bytes(&v->t));
	return v;
}

TEST(inputs_must_fit)
{
	WqModule *m = parse("sym N in [1, 8]\ngraph (x: f32[N,3], y: f32[2*N]) {\n  z: f32[N,3] = Neg(x)\n  w: f32[2*N] = Neg(y)\n  return z, w\n}\n");
	WqEngine *e = engine(m);
	static const struct {
		WqDtype t;
		int rank;
		int64_t x[3], y;
		const char *why;
	} cases[] = {
		{ WQ_F32, 2, { 2, 3 }, 4, NULL },
		{ WQ_F32, 2, { 2, 4 }, 4, "input x" },
		{ WQ_F32, 1, { 2 }, 4, "input x" },
		{ WQ_F64, 2, { 2, 3 }, 4, "f64[2,3]" },
		{ WQ_F32, 2, { 9, 3 }, 18, "input x" },
		{ WQ_F32, 2, { 0, 3 }, 0, "input x" },
		{ WQ_F32, 2, { 2, 3 }, 5, "input y" },
	};
	for (int i = 0; i < WQ_COUNTOF(cases); i++) {
		WqRt *in[2] = { zeros(cases[i].t, cases[i].rank, cases[i].x), zeros(WQ_F32, 1, &cases[i].y) }, *out[2];
		if (cases[i].why) {
			CHECK_ERROR(WQ_EINPUT, cases[i].why, wq_engine_run(e, in, out));
		} else {
			wq_engine_run(e, in, out);
			drop_all(out, 2);
		}
		drop_all(in, 2);
	}
	WqRt *none[2] = { NULL, NULL }, *out[2];
	CHECK_ERROR(WQ_EINPUT, "input x is missing", wq_engine_run(e, none, out));
	wq_engine_free(e);
	wq_module_free(m);
}

/* ---- folding ------------------------------------------------------------------------------------------------ */

static WqValue *constant(WqModule *m, WqDtype t, int64_t n)
{
	Rng r = { 1 };
	return wq_const(m->main, NULL, random_tensor(m, &r, t, 1, &n));
}

/* What would grow stays; what shrinks or keeps its size goes; what fails is left to the run. */
TEST(folding_never_grows_a_weight)
{
	WqModule *m = wq_module_new("t");
	m->fold = wq_engine_fold;
	int64_t many = 1 << 20;
	WqValue *codes = constant(m, WQ_I8, many), *f = constant(m, WQ_F32, many), *few = constant(m, WQ_I8, 100);
	CHECK(wq_build(m->main, OP_Neg, 1, &f)->data != NULL);
	for (int small = 0; small < 2; small++) {
		WqNode *cast = wq_node_new(m->main, OP_Cast, 1, small ? &few : &codes);
		wq_set_i(cast, "to", WQ_F32);
		CHECK((wq_node_value(cast, NULL)->data != NULL) == small);
	}
	WqValue *spread[2] = { wq_const_scalar(m->main, WQ_F32, 0), wq_const_i64s(m->main, 1, &many) };
	CHECK(!wq_build(m->main, OP_Expand, 2, spread)->data);
	WqValue *take[2] = { few, wq_const_i64s(m->main, 1, (int64_t[]){ 1000 }) };
	CHECK(!wq_build(m->main, OP_Gather, 2, take)->data);
	wq_module_free(m);
}

TEST_MAIN(TEST_RUN(a_chain_needs_two_values) TEST_RUN(memory_is_reused_only_when_nobody_looks) TEST_RUN(loops)
	TEST_RUN(branches_see_the_values_around_them) TEST_RUN(a_failed_run_leaves_nothing)
		TEST_RUN(a_run_without_memory_leaves_nothing) TEST_RUN(inputs_must_fit) TEST_RUN(folding_never_grows_a_weight))
