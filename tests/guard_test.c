/* Compiled code stays inside its buffers: arena, weights, inputs and outputs each end (then begin) at a page that may
 * not be touched; inputs and weights may not be written, and have no alignment but their elements'. Odd sizes, 0 and 1;
 * indices and sizes out of range. */
#include "tests/eval.h"
#include "tests/test.h"

#include "api/api.h"
#include "wqrt.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- pages ------------------------------------------------------------------------------------------------ */

typedef struct Pages {
	void *map;
	size_t size;
} Pages;

static void unmap(void *p)
{
	const Pages *g = p;
	munmap(g->map, g->size);
}

typedef struct Buffer {
	uint8_t *p;
	Pages *pages;
} Buffer;

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* n bytes before a page that may not be touched, as near as multiples of `align` come, or behind one. */
static Buffer guarded(WqArena *a, size_t n, size_t align, bool at_start)
{
	size_t page = page_size(), inner = (n + page - 1) / page * page;
	Pages *g = WQ_NEW(a, Pages);
	g->size = inner + 2 * page;
	g->map = mmap(NULL, g->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED)
		wq_fail(WQ_ENOMEM, "no memory for a buffer");
	wq_defer(a, unmap, g);
	uint8_t *begin = (uint8_t *)g->map + page;
	if (inner && mprotect(begin, inner, PROT_READ | PROT_WRITE))
		wq_fail(WQ_ENOMEM, "no memory for a buffer");
	return (Buffer){ at_start ? begin : begin + inner - (n + align - 1) / align * align, g };
}

static void make_constant(const Buffer *b)
{
	if (mprotect((uint8_t *)b->pages->map + page_size(), b->pages->size - 2 * page_size(), PROT_READ))
		wq_fail(WQ_ENOMEM, "a buffer cannot be protected");
}

static char current[4096]; /* what runs, for the handler */

static void stray(int signal)
{
	static const char text[] = "memory outside of the buffers was touched by:\n";
	(void)signal;
	if (write(2, text, sizeof text - 1) < 0 || write(2, current, strlen(current)) < 0)
		_exit(2);
	_exit(1);
}

/* ---- a model in guarded memory -------------------------------------------------------------------------- */

typedef struct Model {
	WqModule *m;
	WqProgram *p;
	int32_t (*call)(const wqrt_call *call);
	WqArena *a;
} Model;

static Model compile(WqModule *m, const char *cpu, WqArena *a)
{
	WqCodeOptions o = { .target = wq_target(cpu ? "x86_64" : "native", cpu, NULL, a), .level = 2, .threads = 1 };
	wq_passes(m, "opt");
	WqProgram *p = wq_program_new(m, &o, a);
	return (Model){ m, p, (int32_t(*)(const wqrt_call *))(uintptr_t)wq_jit_symbol(wq_jit_new(p), "model_call"), a };
}

static void append(void *arg, const void *p, size_t n)
{
	uint8_t **at = arg;
	if (n)
		memcpy(*at, p, n);
	*at += n;
}

static const void *guarded_weights(const Model *x, bool at_start)
{
	Buffer b = guarded(x->a, (size_t)x->p->weights_bytes, 64, at_start);
	uint8_t *at = b.p;
	wq_program_weights(x->p, append, &at);
	make_constant(&b);
	return b.p;
}

static int call_guarded(const Model *x, const ApiCall *c, bool at_start)
{
	const WqGraph *g = x->m->main;
	const void **in = WQ_NEW_N(x->a, const void *, g->inputs.n + 1);
	const int64_t *dim = c->in_dims;
	for (int i = 0; i < g->inputs.n; i++) {
		const WqType *t = &g->inputs.v[i]->type;
		size_t elem = wq_dtype_size(t->dtype), n = elem;
		for (int d = 0; d < t->rank; d++)
			n *= (size_t)*dim++;
		Buffer b = guarded(x->a, n, elem, at_start);
		if (n)
			memcpy(b.p, c->in[i], n);
		make_constant(&b);
		in[i] = b.p;
	}
	for (int i = 0; i < g->outputs.n; i++)
		c->out[i] =
			guarded(x->a, c->out_bytes[i], wq_dtype_size(g->outputs.v[i].value->type.dtype), at_start).p;
	Buffer arena = guarded(x->a, (size_t)x->p->arena_bytes, 64, at_start);
	memset(arena.p, 0xff, (size_t)x->p->arena_bytes);
	wqrt_call call = { .arena = arena.p,
			   .weights = guarded_weights(x, at_start),
			   .in = in,
			   .in_dims = c->in_dims,
			   .out = c->out,
			   .out_dims = c->out_dims };
	return x->call(&call);
}

/* ---- graphs: @ is a size, ~ the numbers of a constant; inputs called i* are indices into an axis of that size
 * ------------ */

/* NOLINTBEGIN(bugprone-suspicious-missing-comma) */
static const char *const graphs[] = {
	"graph (x: f32[@], y: f32[@]) {\n a: f32[@] = Add(x, y)\n b: f32[@] = Exp(a)\n c: f32[@] = Sigmoid(b)\n return "
	"c\n}",
	"graph (x: f16[@], y: i8[@]) {\n a: f32[@] = Cast(x) <to=f32>\n b: f32[@] = Cast(y) <to=f32>\n c: f32[@] = "
	"Mul(a, b)\n"
	" d: f16[@] = Cast(c) <to=f16>\n e: bool[@] = Less(a, b)\n return d, e\n}",
	"graph (x: i64[@,3], y: f64[3]) {\n a: f64[@,3] = Cast(x) <to=f64>\n b: f64[@,3] = Add(a, y)\n return b\n}",
	"const w: f32[7,@] = ~\nconst c: f32[@] = ~\ngraph (x: f32[3,7]) {\n a: f32[3,@] = MatMul(x, w)\n b: f32[3,@] "
	"= Add(a, c)\n return b\n}",
	"const w: f32[@,9] = ~\ngraph (x: f32[1,@]) {\n a: f32[1,9] = MatMul(x, w)\n b: f32[1,9] = Relu(a)\n return "
	"b\n}",
	"graph (x: f32[2,@,5], y: f32[2,5,@]) {\n a: f32[2,@,@] = MatMul(x, y)\n return a\n}",
	"const w: f32[5,3,3,3] = ~\nconst c: f32[5] = ~\n"
	"graph (x: f32[1,3,@,5]) {\n a: f32[1,5,@,5] = Conv(x, w, c) <pads=[1, 1, 1, 1]>\n b: f32[1,5,@,5] = Relu(a)\n "
	"return b\n}",
	"const w: f32[@,1,3,3] = ~\ngraph (x: f32[1,@,5,7]) {\n a: f32[1,@,5,7] = Conv(x, w) <pads=[1, 1, 1, 1], "
	"group=@>\n return a\n}",
	"const w: f32[@,17,1] = ~\ngraph (x: f32[2,17,9]) {\n a: f32[2,@,9] = Conv(x, w)\n return a\n}",
	"const w: f32[3,@,2,2] = ~\ngraph (x: f32[1,3,4,5]) {\n a: f32[1,@,8,10] = ConvTranspose(x, w) <strides=[2, "
	"2]>\n return a\n}",
	"graph (x: f32[1,3,@,5]) {\n a: f32[1,3,@,5] = MaxPool(x) <kernel=[3, 3], pads=[1, 1, 1, 1]>\n"
	" b: f32[1,3,@,5] = AveragePool(x) <kernel=[3, 3], pads=[1, 1, 1, 1]>\n return a, b\n}",
	"graph (x: f32[3,@]) {\n a: f32[3,@] = Softmax(x)\n b: f32[3,@] = Softmax(x) <axis=0>\n return a, b\n}",
	"const s: f32[@] = ~\ngraph (x: f32[3,@]) {\n a: f32[3,@] = LayerNormalization(x, s)\n b: f32[3,@] = "
	"RMSNormalization(x, s)\n return a, b\n}",
	"const p: i64[1] = {0}\nconst q: i64[1] = {1}\n"
	"graph (x: f32[@,5]) {\n a: f32[1,5] = ReduceSum(x, p)\n b: f32[@,1] = ReduceMax(x, q)\n c: f32[@,1] = "
	"ReduceMean(x, q)\n return a, b, c\n}",
	"graph (x: f32[3,@,5], y: u8[@,7]) {\n a: f32[5,@,3] = Transpose(x) <perm=[2, 1, 0]>\n b: u8[7,@] = "
	"Transpose(y) <perm=[1, 0]>\n return a, b\n}",
	"graph (x: f32[@,3], y: f32[@,4]) {\n a: f32[@,7] = Concat(x, y) <axis=1>\n b: f32[@,7] = Relu(a)\n return "
	"b\n}",
	"graph (x: f32[@,6], i: i64[4]) {\n a: f32[4,6] = Gather(x, i)\n return a\n}",
	"graph (x: f32[@,6], i: i32[3,6]) {\n a: f32[3,6] = GatherElements(x, i)\n return a\n}",
	"graph (x: f32[@,6], i: i64[3,6], y: f32[3,6]) {\n a: f32[@,6] = ScatterElements(x, i, y) "
	"<reduction=\"add\">\n return a\n}",
	"graph (x: f32[@,6], i: i64[2,1], y: f32[2,6]) {\n a: f32[@,6] = ScatterND(x, i, y) <reduction=\"add\">\n "
	"return a\n}",
	"const p: i64[] = {1}\ngraph (x: f32[5,@]) {\n a: f32[5,@] = CumSum(x, p)\n return a\n}",
	"const k: i64[1] = {1}\ngraph (x: f32[5,@]) {\n a: f32[5,1], b: i64[5,1] = TopK(x, k)\n return a, b\n}",
	"graph (q: f32[1,2,@,4], k: f32[1,2,@,4], v: f32[1,2,@,4]) {\n a: f32[1,2,@,4] = Attention(q, k, v)\n return "
	"a\n}",
	"graph (x: i8[3,@], y: i8[@,5]) {\n a: i32[3,@] = Cast(x) <to=i32>\n b: i32[@,5] = Cast(y) <to=i32>\n c: "
	"i32[3,5] = MatMul(a, b)\n return c\n}",
	"graph (x: bool[@], y: i16[@], z: i16[1]) {\n a: i16[@] = Where(x, y, z)\n return a\n}",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

static void numbers(WqStr *s, const char *shape, Rng *r)
{
	int64_t n = 1;
	for (const char *p = strchr(shape, '[') + 1; *p != ']'; p += *p == ',') {
		char *end;
		n *= strtoll(p, &end, 10);
		p = end;
	}
	wq_str_printf(s, "{");
	for (int64_t i = 0; i < n; i++)
		wq_str_printf(s, "%s%g", i ? ", " : "", (double)(rng_below(r, 33) - 16) / 16);
	wq_str_printf(s, "}");
}

static WqModule *parse_graph(const char *text, int64_t size, WqArena *a)
{
	WqStr s = { .a = a };
	Rng r = { 7 };
	const char *shape = NULL;
	for (; *text; text++) {
		if (*text == '[')
			shape = wq_sprintf(a, "%zu", s.n);
		if (*text == '@')
			wq_str_printf(&s, "%lld", (long long)size);
		else if (*text == '~')
			numbers(&s, s.s + strtoll(shape, NULL, 10), &r);
		else
			wq_str_write(&s, text, 1);
	}
	wq_str_printf(&s, "\n");
	snprintf(current, sizeof current, "%.4000s", s.s);
	return wq_parse("guard_test", s.s, s.n, (WqMapped){ 0 });
}

/* Indices of both signs; returns whether there are any. */
static bool set_indices(const WqModule *m, WqRt **in, int64_t size)
{
	bool any = false;
	for (int k = 0; k < m->main->inputs.n; k++)
		if (m->main->inputs.v[k]->name[0] == 'i') {
			for (int64_t i = 0; i < wq_tensor_count(&in[k]->t); i++)
				wq_tensor_set_i(&in[k]->t, i, (i * 5 + 2) % (2 * size) - size);
			any = true;
		}
	return any;
}

static void one_case(const char *text, int64_t size, const char *cpu, WqArena *a)
{
	WqModule *m = parse_graph(text, size, a);
	WqRt **in = random_inputs(a, m, 11);
	bool indices = size && set_indices(m, in, size);
	WqRt **want = run_graph(a, m, in, true);
	Model x = compile(m, cpu, a);
	ApiCall *c = api_call_new(m, in, a);
	for (int at_start = 0; at_start < 2; at_start++) {
		CHECK_EQ(call_guarded(&x, c, at_start), WQRT_OK);
		for (int i = 0; i < m->main->outputs.n; i++) {
			WqRt *got = api_call_result(c, i);
			WqStr why = { .a = a };
			CHECK_MSG(same_value(got, want[i], 1e-4, &why), "%s\noutput %d: %s", current, i, why.s);
			wq_rt_unref(got);
		}
	}
	for (int k = 0; indices && k < m->main->inputs.n; k++)
		if (m->main->inputs.v[k]->name[0] == 'i')
			for (int s = -1; s <= 1; s++) {
				static const int64_t far[] = { INT32_MIN, 0, INT32_MAX };
				wq_tensor_set_i(&in[k]->t, wq_tensor_count(&in[k]->t) - 1, s ? far[s + 1] : size);
				CHECK_EQ(call_guarded(&x, c, s & 1), WQRT_EINDEX);
			}
	drop_all(want, m->main->outputs.n);
	drop_all(in, m->main->inputs.n);
	wq_module_free(m);
}

static void all_cases(const char *cpu)
{
	static const int64_t sizes[] = { 0, 1, 5, 17, 67 };
	for (int i = 0; i < WQ_COUNTOF(graphs); i++)
		for (int k = 0; k < WQ_COUNTOF(sizes); k++) {
			if (!sizes[k] && (strstr(graphs[i], "Conv") || strstr(graphs[i], "Pool") ||
					  strstr(graphs[i], " i: ") || strstr(graphs[i], "TopK")))
				continue;
			WqArena *a = wq_arena_new();
			one_case(graphs[i], sizes[k], cpu, a);
			wq_arena_free(a);
		}
}

TEST(this_cpu) { all_cases(NULL); }
#ifdef __x86_64__
TEST(sse2) { all_cases("x86-64"); }
TEST(avx2)
{
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		all_cases("x86-64-v3");
}
#define OTHERS TEST_RUN(sse2) TEST_RUN(avx2)
#else
#define OTHERS
#endif

/* ---- sizes that only the call tells ---------------------------------------------------------------------------- */

static void sized_call(const Model *x, WqArena *a, int64_t n, int64_t n2, int want)
{
	int64_t xd[2] = { n, 3 }, yd[1] = { n2 };
	WqRt *in[2] = { wq_rt_tensor(WQ_F32, 2, xd), wq_rt_tensor(WQ_F32, 1, yd) };
	memset(in[0]->t.data, 0, wq_tensor_bytes(&in[0]->t));
	memset(in[1]->t.data, 0, wq_tensor_bytes(&in[1]->t));
	ApiCall *c = api_call_new(x->m, in, a);
	for (int at_start = 0; at_start < 2; at_start++)
		CHECK_EQ(call_guarded(x, c, at_start), want);
	wq_rt_unref(in[0]);
	wq_rt_unref(in[1]);
}

TEST(sizes_of_calls)
{
	static const char text[] =
		"const w: f32[3,5] = ~\ngraph (x: f32[n,3], y: f32[n]) {\n a: f32[n,5] = MatMul(x, w)\n"
		" b: f32[5,n] = Transpose(a) <perm=[1, 0]>\n c: f32[5,n] = Add(b, y)\n d: f32[5,n] = Softmax(c)\n "
		"return d\n}";
	WqArena *a = wq_arena_new();
	WqModule *m = parse_graph(text, 0, a);
	wq_dim_bound(m, wq_dim_sym(m, "n"), 0, 9);
	Model x = compile(m, NULL, a);
	for (int n = 0; n <= 9; n++)
		sized_call(&x, a, n, n, WQRT_OK);
	sized_call(&x, a, 4, 5, WQRT_ESHAPE);
	sized_call(&x, a, 10, 10, WQRT_EBOUND);
	sized_call(&x, a, 100000, 100000, WQRT_EBOUND);
	wq_module_free(m);
	wq_arena_free(a);
}

static void catch_strays(void)
{
	struct sigaction s = { .sa_handler = stray };
	sigaction(SIGSEGV, &s, NULL);
	sigaction(SIGBUS, &s, NULL);
}

TEST_MAIN(catch_strays(); TEST_RUN(this_cpu) OTHERS TEST_RUN(sizes_of_calls))
