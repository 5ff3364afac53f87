/* infer_test: shape rules on symbolic sizes. A case is a graph whose last node says y: T[*]; its rule is run again and
 * must give the expected type, and running the graph for several sizes must give results of exactly that type. */
#include "engine/engine.h"
#include "tests/test.h"

typedef struct Case {
	const char *consts, *inputs, *nodes, *want;
} Case;

static void drop_module(void *m) { wq_module_free(m); }
static void drop_engine(void *e) { wq_engine_free(e); }
static void drop_value(void *v) { wq_rt_unref(v); }

static const char *type_text(WqArena *a, const WqModule *m, const WqType *t)
{
	WqStr s = {.a = a};
	wq_type_print(m, t, &s);
	return s.s;
}

/* Runs the graph with every symbol of the inputs at `size`: the result's dims against the rule's. */
static void run_at(WqArena *a, WqModule *m, WqEngine *e, const Case *c, const WqType *t, int64_t size)
{
	int n = wq_dim_num_syms(m), n_in = m->main->inputs.n;
	int64_t *bind = WQ_NEW_N(a, int64_t, n + 1), dim[WQ_MAX_RANK];
	for (int i = 0; i < n; i++)
		bind[i] = wq_dim_sym_name(m, i)[0] == 'u' ? -1 : size;
	WqRt **in = WQ_NEW_N(a, WqRt *, n_in + 1), *out[1];
	for (int i = 0; i < n_in; i++) {
		const WqType *ty = &m->main->inputs.v[i]->type;
		for (int k = 0; k < ty->rank; k++)
			CHECK(wq_dim_eval(m, ty->dim[k], bind, n, &dim[k]));
		in[i] = wq_rt_tensor(ty->dtype, ty->rank, dim);
		wq_defer(a, drop_value, in[i]);
		if (wq_tensor_bytes(&in[i]->t))
			memset(in[i]->t.data, 0, wq_tensor_bytes(&in[i]->t));
	}
	wq_engine_run(e, in, out);
	wq_defer(a, drop_value, out[0]);
	CHECK_MSG(out[0]->t.rank == t->rank, "%s: rank %d", c->nodes, out[0]->t.rank);
	for (int k = 0; k < t->rank; k++) {
		int64_t v;
		if (wq_dim_eval(m, t->dim[k], bind, n, &v))
			CHECK_MSG(out[0]->t.dim[k] == v, "%s: axis %d is %lld for %lld, not %lld", c->nodes, k,
				  (long long)out[0]->t.dim[k], (long long)size, (long long)v);
	}
}

static void check_case(WqArena *a, const Case *c)
{
	char *text =
		wq_sprintf(a, "model \"t\"\n%s\ngraph (%s) {\n  %s\n  return y\n}\n", c->consts, c->inputs, c->nodes);
	WqModule *m = wq_parse("case", text, strlen(text), (WqMapped){0});
	wq_defer(a, drop_module, m);
	WqInfer x;
	wq_infer_init(&x, m->main->last, m->main->last->n_out, a);
	wq_infer(&x);
	const char *got = type_text(a, m, &x.out[0]);
	CHECK_MSG(!strcmp(got, c->want), "%s: %s, expected %s", c->nodes, got, c->want);
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){.threads = 1});
	wq_defer(a, drop_engine, e);
	static const int64_t sizes[] = {1, 2, 4, 9};
	for (int i = 0; i < WQ_COUNTOF(sizes); i++)
		run_at(a, m, e, c, &x.out[0], sizes[i]);
}

static void run_cases(const Case *c, int n)
{
	for (int i = 0; i < n; i++) {
		WqArena *a = wq_arena_new();
		WqTry t;
		if (WQ_TRY(&t)) {
			check_case(a, &c[i]);
			wq_try_end(&t);
		} else {
			CHECK_MSG(false, "%s: %s", c[i].nodes, t.err.text);
		}
		wq_arena_free(a);
	}
}
#define RUN(...) \
	do { \
		static const Case cases_[] = {__VA_ARGS__}; \
		run_cases(cases_, WQ_COUNTOF(cases_)); \
	} while (0)

TEST(reshapes)
{
	RUN({ "const s: i64[3] = {0,0,-1}", "x: f32[N,T,4,8]", "y: f32[*] = Reshape(x, s)", "f32[N,T,32]" },
	    { "const s: i64[2] = {-1,8}", "x: f32[N,T,4,8]", "y: f32[*] = Reshape(x, s)", "f32[4*N*T,8]" },
	    { "const s: i64[3] = {2,-1,0}", "x: f32[6,N,5]", "y: f32[*] = Reshape(x, s)", "f32[2,3*N,5]" },
	    { "", "x: f32[N,T,64]", "s: i64[4] = Dims() <dims=[N,T,8,8]>\n y: f32[*] = Reshape(x, s)", "f32[N,T,8,8]" },
	    { "", "x: f32[N,T,64]", "s: i64[2] = Dims() <dims=[N*T,64]>\n y: f32[*] = Reshape(x, s)", "f32[N*T,64]" },
	    { "const m: i64[1] = {-1}", "x: f32[N,T,6]",
	      "s: i64[2] = Dims() <dims=[T,N]>\n t: i64[3] = Concat(s, m) <axis=0>\n"
	      " y: f32[*] = Reshape(x, t)",
	      "f32[T,N,6]" });
}

TEST(shape_arithmetic)
{
	RUN({ "const i: i64[1] = {1}\nconst j: i64[2] = {-1,4}", "x: f32[N,T,4]",
	      "s: i64[3] = Shape(x)\n t: i64[1] = Gather(s, i)\n u: i64[3] = Concat(t, j) <axis=0>\n y: f32[*] = "
	      "Reshape(x, u)",
	      "f32[T,N,4]" },
	    { "const one: i64[1] = {1}\nconst two: i64[1] = {2}\nconst z: i64[1] = {0}\nconst e: f32[] = {1}",
	      "x: f32[N,T,7]", "s: i64[3] = Shape(x)\n t: i64[2] = Slice(s, z, two, z, one)\n y: f32[*] = Expand(e, t)",
	      "f32[N,T]" },
	    { "const m: i64[1] = {-1}\nconst low: i64[1] = {-9}\nconst z: i64[1] = {0}\nconst e: f32[] = {1}",
	      "x: f32[N,T,7]", "s: i64[3] = Shape(x)\n t: i64[3] = Slice(s, m, low, z, m)\n y: f32[*] = Expand(e, t)",
	      "f32[7,T,N]" },
	    { "const e: f32[] = {1}", "x: f32[N,T]",
	      "s: i64[2] = Shape(x)\n t: i64[1] = ReduceProd(s)\n y: f32[*] = Expand(e, t)", "f32[N*T]" },
	    { "const a: i64[] = {0}\nconst b: i64[] = {1}", "x: f32[N]",
	      "n: i64[] = Dims() <dims=[2*N+1], scalar=1>\n"
	      " y: i64[*] = Range(a, n, b)",
	      "i64[2*N+1]" },
	    { "const a: i64[] = {0}\nconst b: i64[] = {2}", "x: f32[N]",
	      "n: i64[] = Dims() <dims=[4*N], scalar=1>\n"
	      " y: i64[*] = Range(a, n, b)",
	      "i64[2*N]" });
}

TEST(slices)
{
	RUN({ "const s: i64[1] = {1}\nconst e: i64[1] = {9223372036854775807}\nconst a: i64[1] = {0}\nconst o: i64[1] "
	      "= {1}",
	      "x: f32[N+1]", "y: f32[*] = Slice(x, s, e, a, o)", "f32[N]" },
	    { "const s: i64[1] = {0}\nconst e: i64[1] = {-1}\nconst a: i64[1] = {0}\nconst o: i64[1] = {1}",
	      "x: f32[N+2]", "y: f32[*] = Slice(x, s, e, a, o)", "f32[N+1]" },
	    { "const s: i64[1] = {-1}\nconst e: i64[1] = {-9223372036854775807}\nconst a: i64[1] = {-1}\nconst o: "
	      "i64[1] = {-1}",
	      "x: f32[3,N]", "y: f32[*] = Slice(x, s, e, a, o)", "f32[3,N]" },
	    { "const s: i64[1] = {0}\nconst e: i64[1] = {2147483647}\nconst a: i64[1] = {1}\nconst o: i64[1] = {2}",
	      "x: f32[3,2*N]", "y: f32[*] = Slice(x, s, e, a, o)", "f32[3,N]" },
	    { "const s: i64[1] = {0}\nconst a: i64[1] = {0}\nconst o: i64[1] = {1}", "x: f32[N+5], z: f32[N]",
	      "e: i64[1] = Dims() <dims=[N]>\n y: f32[*] = Slice(x, s, e, a, o)", "f32[N]" },
	    { "const s: i64[1] = {2}\nconst e: i64[1] = {4}\nconst a: i64[1] = {0}\nconst o: i64[1] = {1}",
	      "x: f32[N+4]", "y: f32[*] = Slice(x, s, e, a, o)", "f32[2]" });
}

/* Where the size is an expression that nobody would write down: what counts is that running agrees. */
TEST(slices_that_clamp)
{
	static const int64_t v[] = {-100, -3, -1, 0, 1, 3, 100}, steps[] = {1, 2, -1, -3};
	for (int s = 0; s < WQ_COUNTOF(v); s++)
		for (int e = 0; e < WQ_COUNTOF(v); e++)
			for (int o = 0; o < WQ_COUNTOF(steps); o++) {
				char consts[256];
				snprintf(consts, sizeof consts,
					 "const s: i64[1] = {%lld}\nconst e: i64[1] = {%lld}\nconst a: i64[1] = "
					 "{0}\nconst o: i64[1] = {%lld}",
					 (long long)v[s], (long long)v[e], (long long)steps[o]);
				Case c = {consts, "x: f32[N]", "y: f32[*] = Slice(x, s, e, a, o)", ""};
				WqArena *a = wq_arena_new();
				char *text = wq_sprintf(a, "model \"t\"\n%s\ngraph (%s) {\n  %s\n  return y\n}\n",
							c.consts, c.inputs, c.nodes);
				WqModule *m = wq_parse("case", text, strlen(text), (WqMapped){0});
				wq_defer(a, drop_module, m);
				WqInfer x;
				wq_infer_init(&x, m->main->last, 1, a);
				wq_infer(&x);
				WqEngine *eng = wq_engine_new(m, &(WqEngineOptions){.threads = 1});
				wq_defer(a, drop_engine, eng);
				for (int64_t size = 0; size < 6; size++)
					run_at(a, m, eng, &c, &x.out[0], size);
				wq_arena_free(a);
			}
}

TEST(moves)
{
	RUN({ "", "x: f32[N,3], z: f32[2*N,3]", "y: f32[*] = Concat(x, z, x) <axis=0>", "f32[4*N,3]" },
	    { "const p: i64[4] = {1,0,2,0}", "x: f32[N,T]", "y: f32[*] = Pad(x, p)", "f32[N+3,T]" },
	    { "const p: i64[2] = {-1,0}\nconst a: i64[1] = {-2}", "x: f32[N,T]", "y: f32[*] = Pad(x, p, _, a)",
	      "f32[N-1,T]" },
	    { "", "x: f32[N,T], i: i64[2,N]", "y: f32[*] = Gather(x, i) <axis=0>", "f32[2,N,T]" },
	    { "", "x: f32[N,T,5], i: i64[N,3,1]", "y: f32[*] = GatherND(x, i) <batch_dims=1>", "f32[N,3,5]" },
	    { "", "x: f32[N,T,2]", "y: f32[*] = Transpose(x) <perm=[2,0,1]>", "f32[2,N,T]" },
	    { "const k: i64[1] = {1}", "x: f32[N,T]", "y: f32[*], i: i64[*] = TopK(x, k)", "f32[N,1]" },
	    { "const s: f32[4] = {1,1,2,0.5}", "x: f32[1,2,N,4*T]", "y: f32[*] = Resize(x, _, s)", "f32[1,2,2*N,2*T]" },
	    { "const a: i64[2] = {-1,0}", "x: f32[N,T,2]", "y: f32[*] = ReduceSum(x, a) <keepdims=0>", "f32[T]" },
	    { "const a: i64[1] = {1}", "x: f32[N,T,2]", "y: f32[*] = ReduceMax(x, a)", "f32[N,1,2]" },
	    { "", "x: f32[N,T]", "y: i64[*] = ArgMax(x) <axis=-1, keepdims=0>", "i64[N]" },
	    { "", "x: i8[N,T], s: f32[N]", "y: f32[*] = DequantizeLinear(x, s, _) <to=f32, axis=0>", "f32[N,T]" });
}

TEST_MAIN(TEST_RUN(reshapes) TEST_RUN(shape_arithmetic) TEST_RUN(slices) TEST_RUN(slices_that_clamp) TEST_RUN(moves))
