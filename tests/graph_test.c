/* graph_test: dimensions, the builder, the text form. */
#include "ir/ir.h"
#include "tests/test.h"

static const char *text(WqModule *m, WqDim d)
{
	WqStr s = { .a = m->arena };
	wq_dim_print(m, d, &s);
	return s.s;
}

static WqDim dim(WqModule *m, const char *s) { return wq_dim_parse(m, s, NULL); }

TEST(dims_normal_form)
{
	static const char *const same[][2] = {
		{ "N+1+1", "2+N" },
		{ "N*2-N", "N" },
		{ "(N+1)*(N-1)", "N*N-1" },
		{ "div(4*N,4)", "N" },
		{ "div(4*N+7,4)", "N+1" },
		{ "div(N*T*64,T*64)", "N" },
		{ "div(N,1)", "N" },
		{ "mod(4*N+5,4)", "1" },
		{ "min(N,N+1)", "N" },
		{ "max(N,N+1)", "N+1" },
		{ "max(N,0)", "N" },
		{ "bcast(N,1)", "N" },
		{ "bcast(N,8)", "8" },
		{ "bcast(N,T)", "bcast(T,N)" },
		{ "bcast(min(64,N),N)", "N" },
		{ "bcast(N,min(N,2))", "N" },
		{ "min(T,N)", "min(N,T)" },
	};
	WqModule *m = wq_module_new("t");
	for (int i = 0; i < WQ_COUNTOF(same); i++) {
		WqDim a = dim(m, same[i][0]), b = dim(m, same[i][1]);
		CHECK_MSG(a == b, "%s is %s, not %s", same[i][0], text(m, a), text(m, b));
		CHECK(dim(m, text(m, a)) == a);
	}
	CHECK(dim(m, "N") != dim(m, "T"));
	CHECK(dim(m, "bcast(min(1,N),N)") != dim(m, "N"));
	CHECK(dim(m, "bcast(min(64,N),T)") != dim(m, "T"));
	CHECK(dim(m, "div(N,2)") != dim(m, "div(N+1,2)"));
	wq_module_free(m);
}

TEST(dims_evaluate_as_their_text_says)
{
	WqModule *m = wq_module_new("t");
	WqDim n = wq_dim_sym(m, "N"), t = wq_dim_sym(m, "T");
	(void)n, (void)t;
	const struct {
		const char *text;
		int64_t want;
	} cases[] = { { "N+2*T", 17 },     { "div(N,2)", 3 }, { "div(0-N,2)", -4 },  { "mod(N,4)", 3 },
		      { "mod(0-N,4)", 1 }, { "min(N,T)", 5 }, { "bcast(N,T)", 7 }, { "N*T-1", 34 } };
	const int64_t bind[] = { 7, 5 };
	for (int i = 0; i < WQ_COUNTOF(cases); i++) {
		int64_t got = 0;
		CHECK(wq_dim_eval(m, dim(m, cases[i].text), bind, 2, &got));
		CHECK_MSG(got == cases[i].want, "%s is %lld", cases[i].text, (long long)got);
	}
	int64_t v;
	CHECK(!wq_dim_eval(m, n, bind, 0, &v));
	CHECK(!wq_dim_eval(m, dim(m, "div(N,T-5)"), bind, 2, &v));
	wq_module_free(m);
}

TEST(dims_bounds)
{
	WqModule *m = wq_module_new("t");
	wq_dim_bound(m, wq_dim_sym(m, "N"), 1, 10);
	CHECK(wq_dim_hi(m, dim(m, "2*N+3")) == 23);
	CHECK(wq_dim_lo(m, dim(m, "3-N")) == -7);
	CHECK(wq_dim_hi(m, dim(m, "div(N+1,2)")) == 5);
	CHECK(wq_dim_hi(m, dim(m, "mod(M,4)")) == 3);
	CHECK(wq_dim_hi(m, dim(m, "M")) == WQ_DIM_INF);
	CHECK(wq_dim_hi(m, dim(m, "div(M,2)")) == WQ_DIM_INF);
	CHECK(wq_dim_hi(m, dim(m, "mod(4,M+1)")) == WQ_DIM_INF);
	CHECK(wq_dim_lo(m, dim(m, "div(N,M-5)")) < 0); /* N / -1 */
	CHECK(wq_dim_lo(m, dim(m, "div(N,M)")) == 0);
	CHECK(wq_dim_hi(m, dim(m, "div(N,M)")) == 10);
	CHECK(wq_dim_hi(m, dim(m, "M*M*M")) == WQ_DIM_INF);
	wq_module_free(m);
}

TEST(dims_hostile)
{
	WqModule *m = wq_module_new("t");
	char deep[400];
	memset(deep, '(', sizeof deep - 1);
	deep[sizeof deep - 1] = 0;
	CHECK_FAILS(dim(m, deep), "not a dimension");
	CHECK_FAILS(dim(m, "N+"), "not a dimension");
	CHECK_FAILS(dim(m, "f(N,1)"), "not a dimension");
	CHECK_FAILS(dim(m, "99999999999999999999"), "not a dimension");
	CHECK_FAILS(wq_dim_mul(m, WQ_DIM_INF / 2, 8), "larger than");
	WqDim d = wq_dim_sym(m, "N"); /* grows by a half each time, unless it is cut */
	for (int i = 0; i < 100 && d != WQ_DIM_UNKNOWN; i++)
		d = wq_dim_max(m, wq_dim_floordiv(m, d, 3), wq_dim_sub(m, wq_dim_mul(m, d, d), 1));
	CHECK(d == WQ_DIM_UNKNOWN);
	wq_module_free(m);
}

static const char example[] =
	"model \"example\"\n"
	"sym N in [1, 64]\n"
	"const w: f32[4,2] from \"fc.weight\" perm [1, 0] = {1, 2, 3, 4, 5, 6, 7.5, 8}\n"
	"const c: f32[] = hex\"0000807f\"\n"
	"const \"odd name\": u4[3] = {1, 15, 7}\n"
	"graph (x: f32[N,4], b: bool[]) {\n"
	"  h: f32[N,2] = MatMul(x, w) @\"/fc/MatMul\"\n"
	"  y: f32[N,2] = If(b) graph () {\n"
	"    p: f32[N,2] = Relu(h)\n"
	"    return p\n"
	"  } graph () {\n"
	"    q: f32[N,2] = Min(h, c)\n"
	"    return q\n"
	"  }\n"
	"  m: f32[N,1], _ = MaxPool(y) <kernel=[2]>\n"
	"  return \"the output\"=y, codes=\"odd name\"\n"
	"}\n";

TEST(text_round_trip)
{
	/* MaxPool wants [N,C,...]: the example is made legal by leaving that line out */
	char src[sizeof example];
	const char *cut = strstr(example, "  m: ");
	int n = snprintf(src, sizeof src, "%.*s%s", (int)(cut - example), example, strchr(cut, '\n') + 1);
	WqModule *m = wq_parse("example", src, (size_t)n, (WqMapped){ 0 });
	WqStr out = { .a = m->arena }, faults = { .a = m->arena };
	wq_print(m, &out, NULL, 64);
	CHECK_MSG(!strcmp(out.s, src), "printed:\n%s", out.s);
	CHECK(wq_verify(m, &faults));
	wq_module_free(m);
}

TEST(text_names_like_words)
{
	static const char src[] = "model \"m\"\n"
				  "graph (const: f32[2]) {\n"
				  "  \"return\": f32[2] = Neg(const)\n"
				  "  graph/y: f32[2] = Abs(\"return\")\n"
				  "  return.z: f32[2] = Neg(graph/y)\n"
				  "  \"graph\": f32[2] = Neg(return.z)\n"
				  "  return \"return\", y=\"graph\"\n"
				  "}\n";
	WqModule *m = wq_parse("m", src, sizeof src - 1, (WqMapped){ 0 });
	WqStr out = { .a = m->arena };
	wq_print(m, &out, NULL, 64);
	CHECK_MSG(!strcmp(out.s, src), "printed:\n%s", out.s);
	wq_module_free(m);
}

/* Names of the text may look like those that the compiler makes, and an element of a sequence may leave its sizes open. */
TEST(text_names_and_open_sizes)
{
	static const char src[] = "model \"\"\n"
				  "const n: i64[] = {1}\n"
				  "graph (x: f32[1,1,4,4], q: seq(f32[?,2])) {\n"
				  "  v6: f32[1,1,2,2], v5: i64[1,1,2,2] = MaxPool(x) <kernel=[3, 3]>\n"
				  "  v4: f32[1,1,2,2], _ = MaxPool(x) <kernel=[3, 3]>\n"
				  "  v9: f32[1,1,2,2] = Add(v6, v4)\n"
				  "  return v9, v5, q\n"
				  "}\n";
	WqModule *m = wq_parse("t", src, sizeof src - 1, (WqMapped){ 0 });
	WqStr out = { .a = m->arena }, faults = { .a = m->arena };
	wq_print(m, &out, NULL, 64);
	CHECK_MSG(strstr(out.s, strstr(src, "graph")), "printed:\n%s", out.s);
	CHECK(wq_verify(m, &faults));
	wq_module_free(m);
}

TEST(text_data_beside)
{
	static const char src[] = "model \"\"\nconst w: f32[4] = {1, 2, 3, 4}\ngraph () {\n  return w\n}\n";
	WqModule *m = wq_parse("a", src, sizeof src - 1, (WqMapped){ 0 });
	WqStr out = { .a = m->arena }, data = { .a = m->arena }, again = { .a = m->arena }, data2 = { .a = m->arena };
	wq_print(m, &out, &data, 2);
	CHECK(strstr(out.s, "data 0 ") && data.n == 16);
	WqMapped map = { (const uint8_t *)data.s, data.n };
	WqModule *m2 = wq_parse("b", out.s, out.n, map);
	wq_print(m2, &again, &data2, 2);
	CHECK(!strcmp(out.s, again.s) && data2.n == 16 && !memcmp(data.s, data2.s, 16));
	data.s[3] ^= 1;
	CHECK_FAILS(wq_parse("b", out.s, out.n, map), "not the one");
	CHECK_FAILS(wq_parse("b", out.s, out.n, (WqMapped){ map.p, 8 }), "ends before");
	wq_module_free(m2);
	wq_module_free(m);
}

TEST(text_errors_have_a_place)
{
	static const struct {
		const char *src, *part;
	} cases[] = {
		{ "graph (x: f32[2]) {\n  y: f32[2] = Nope(x)\n  return y\n}", "t:2:15: 'Nope' is not an operator" },
		{ "graph (x: f32[2]) {\n  y: f32[3] = Relu(x)\n  return y\n}", "t:2:3: Relu: result 'y': the shapes differ" },
		{ "graph (x: f32[2]) {\n  y: f32[2] = Relu(z)\n  return y\n}", "t:2:20: 'z' is not defined" },
		{ "graph (x: f32[2]) {\n  y: f32[2] = Relu(x, x)\n  return y\n}", "2 operands" },
		{ "graph (x: f32[2]) {\n  x: f32[2] = Relu(x)\n  return x\n}", "defined twice" },
		{ "graph (x: i8[2]) {\n  y: i8[2] = Exp(x)\n  return y\n}", "operand 0 is i8" },
		{ "const w: f32[4] = {1, 2}\ngraph () {\n return w\n}", "expected ','" },
		{ "const w: f32[1000000000,1000000000] = {1}\ngraph () {\n return w\n}", "more elements" },
		{ "graph (x: f32[2]) {\n  y: f32[2] = Relu(x) <no=1>\n  return y\n}", "no attribute 'no'" },
		{ "graph (x: f32[2]) {", "expected 'return'" },
		{ "graph (x: f32[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]) { return x }", "more than 16" },
	};
	for (int i = 0; i < WQ_COUNTOF(cases); i++)
		CHECK_FAILS(wq_parse("t", cases[i].src, strlen(cases[i].src), (WqMapped){ 0 }), cases[i].part);
}

TEST(verifier_reports_all)
{
	static const char src[] = "graph (x: f32[2], z: f32[2]) {\n  a: f32[2] = Relu(x)\n  b: f32[2] = Relu(a)\n  return b\n}\n";
	WqModule *m = wq_parse("a", src, sizeof src - 1, (WqMapped){ 0 });
	WqStr out = { .a = m->arena };
	WqNode *first = m->main->first, *second = first->next;
	first->out[0]->type.dim[0] = 3; /* a wrong shape, and an operand behind its use's back */
	second->in[0] = m->main->inputs.v[1];
	CHECK(!wq_verify(m, &out));
	CHECK(strstr(out.s, "the shapes differ") && strstr(out.s, "lists a use") && strstr(out.s, "does not list it"));
	wq_module_free(m);
}

TEST_MAIN(TEST_RUN(dims_normal_form) TEST_RUN(dims_evaluate_as_their_text_says) TEST_RUN(dims_bounds) TEST_RUN(dims_hostile)
	  TEST_RUN(text_round_trip) TEST_RUN(text_names_like_words) TEST_RUN(text_names_and_open_sizes) TEST_RUN(text_data_beside)
	  TEST_RUN(text_errors_have_a_place) TEST_RUN(verifier_reports_all))
