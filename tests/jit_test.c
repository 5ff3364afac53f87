/* jit_test: operators compiled in memory against the evaluator, in sizes that vectors do not divide, of 0 and of 1.
 *
 * A row of the table is a graph; `$` in it becomes each of its types, and #A, #B... the sizes of each of its tuples: numbers, each tuple
 * compiled for itself; then symbols, one program for all of them. jit_test NAME runs one row.
 */
#include "api/api.h"
#include "tests/eval.h"
#include "tests/test.h"

typedef struct Row {
	const char *name, *types, *sizes, *graph;
	double tol;
} Row;

static const Row rows[] = {
	{ "softmax", "f32 f16 f64", "3,17 1,1 5,64 0,7 33,2", "graph (x: $[#A,#B]) { y: $[#A,#B] = Softmax(x) return y }", 1e-5 },
	{ "softmax_columns", "f32 bf16", "3,17 4,64 1,5", "graph (x: $[#A,#B]) { y: $[#A,#B] = Softmax(x) <axis=0> return y }", 1e-5 },
	{ "softmax_fused", "f32", "3,19 2,48",
	  "graph (x: $[#A,#B], s: $[#B]) { a: $[#A,#B] = Mul(x, s) b: $[#A,#B] = Abs(a) y: $[#A,#B] = Softmax(b) z: $[#A,#B] = Neg(y) return z }",
	  1e-5 },
	{ "layer_norm", "f32 f16 f64", "3,17 2,64 1,1",
	  "graph (x: $[#A,#B], s: $[#B], b: $[#B]) { y: $[#A,#B] = LayerNormalization(x, s, b) return y }", 1e-4 },
	{ "layer_norm_fused", "f32", "3,2,19 2,5,3",
	  "graph (x: $[#A,#B,#C], w: $[#A,#B,#C]) { a: $[#A,#B,#C] = Add(x, w) y: $[#A,#B,#C] = LayerNormalization(a) <axis=1> return y }",
	  1e-4 },
	{ "rms_norm", "f32 bf16", "3,17 2,64", "graph (x: $[#A,#B], s: $[#B]) { y: $[#A,#B] = RMSNormalization(x, s) return y }", 1e-4 },
	{ "reduce_last", "f32 i32 u8 f64 i64", "3,37 2,0 1,1 5,128",
	  "graph (x: $[#A,#B]) { a: $[#A] = ReduceSum(x, last) <keepdims=0> b: $[#A,1] = ReduceMax(x, last) return a, b }", 1e-5 },
	{ "reduce_first", "f32 i8 f16", "3,37 2,5 7,64",
	  "graph (x: $[#A,#B]) { a: $[#B] = ReduceMean(x, first) <keepdims=0> b: $[1,#B] = ReduceMin(x, first) return a, b }", 1e-5 },
	{ "reduce_all", "f32 i16 u64", "3,5,7 1,1,1 2,3,32", "graph (x: $[#A,#B,#C]) { a: $[] = ReduceProd(x) <keepdims=0> return a }", 1e-4 },
	{ "reduce_bool", "bool", "3,17 2,64 0,3",
	  "graph (x: $[#A,#B]) { a: $[#A,1] = ReduceMax(x, last) b: $[1,#B] = ReduceMin(x, first) return a, b }", 0 },
	{ "global_pool", "f32", "2,33,7,7 1,64,3,5",
	  "graph (x: $[#A,#B,#C,#D]) { p: $[#A,#B,#C,#D] = MaxPool(x) <kernel=[3,3], pads=[1,1,1,1]> a: $[#A,#B,1,1] = ReduceMean(p, plane) return a }",
	  1e-5 },
	{ "arg", "f32 u8 i64 bf16", "3,37 5,1 2,64",
	  "graph (x: $[#A,#B]) { a: i64[#A,1] = ArgMax(x) <axis=1> b: i64[#B] = ArgMin(x) <keepdims=0, select_last_index=1> return a, b }", 0 },
	{ "max_pool", "f32 i8 f16", "1,3,9,33 2,16,7,7 1,24,5,5",
	  "graph (x: $[#A,#B,#C,#D]) { y: $[#A,#B,#C,#D], i: i64[#A,#B,#C,#D] = MaxPool(x) <kernel=[3,3], pads=[1,1,1,1]> return y, i }", 0 },
	{ "average_pool", "f32 f64", "1,3,9,34 2,16,8,8",
	  "graph (x: $[#A,#B,#C,#D]) { y: $[#A,#B,div(#C-1,2)+1,div(#D-1,2)+1] = AveragePool(x) <kernel=[3,3], strides=[2,2], pads=[1,1,1,1]> "
	  "return y }",
	  1e-5 },
	{ "scan", "f32 i32 f16", "3,17 5,1 0,4",
	  "graph (x: $[#A,#B]) { a: $[#A,#B] = CumSum(x, zero) <exclusive=1> b: $[#A,#B] = CumProd(x, one) <reverse=1> return a, b }", 1e-4 },
	{ "top_k", "f32 i8 f64 u64", "3,37 2,5 1,200",
	  "graph (x: $[#A,#B]) { v: $[#A,4], i: i64[#A,4] = TopK(x, four) w: $[#A,4], j: i64[#A,4] = TopK(x, four) <largest=0> return v, i, w, j }", 0 },
	{ "det", "f32 f64", "3,4 2,1 1,7", "graph (x: $[#A,#B,#B]) { d: $[#A] = Det(x) return d }", 1e-3 },
	{ "attention", "f32 f16 f64", "1,2,5,7,4 2,4,1,9,8 1,2,33,70,17 2,2,3,5,64",
	  "graph (q: $[#A,#B,#C,#E], k: $[#A,#B,#D,#E], v: $[#A,#B,#D,#E]) { y: $[#A,#B,#C,#E] = Attention(q, k, v) return y }", 1e-4 },
	{ "attention_causal", "f32 bf16", "1,4,5,7,4 2,4,1,9,8 1,2,40,40,16",
	  "graph (q: $[#A,#B,#C,#E], k: $[#A,2,#D,#E], v: $[#A,2,#D,3]) { y: $[#A,#B,#C,3] = Attention(q, k, v, _, one, four) "
	  "<causal=1, window=3, softcap=2.0> return y }",
	  1e-4 },
	{ "attention_mask", "f32", "1,2,5,7,4 2,4,1,9,8 1,2,40,65,16",
	  "graph (q: $[#A,#B,#C,#E], k: $[#A,#B,#D,#E], v: $[#A,#B,#D,#E], m: bool[#A,1,#C,#D], n: $[#D]) { "
	  "y: $[#A,#B,#C,#E] = Attention(q, k, v, m) z: $[#A,#B,#C,#E] = Attention(q, k, v, n) return y, z }",
	  1e-4 },
};

static const char constants[] = "const last: i64[1] = {-1}\nconst first: i64[1] = {0}\nconst plane: i64[2] = {2, 3}\n"
				"const zero: i64[] = {0}\nconst one: i64[] = {1}\nconst four: i64[1] = {4}\n";

/* ---- graphs ---------------------------------------------------------------------------------------- */

static int parse_sizes(const char **s, int64_t *size)
{
	int n = 0;
	while (**s == ' ')
		++*s;
	while (**s && **s != ' ') {
		size[n++] = strtoll(*s, (char **)s, 10);
		*s += **s == ',';
	}
	return n;
}

/* The largest that a tuple has in a place. */
static int64_t most_of(const Row *row, int place)
{
	int64_t size[8] = { 0 }, most = 0;
	for (const char *s = row->sizes; parse_sizes(&s, size);)
		most = size[place] > most ? size[place] : most;
	return most;
}

/* size NULL: symbols, bounded by a little more than the tuples have. */
static WqModule *graph_of(WqArena *a, const Row *row, const char *type, const int64_t *size)
{
	WqStr t = { .a = a };
	for (char c = 'A'; c <= 'E' && !size; c++)
		if (strstr(row->graph, (char[]){ '#', c, 0 }))
			wq_str_printf(&t, "sym %c in [0, %lld]\n", c, (long long)most_of(row, c - 'A') + 3);
	wq_str_printf(&t, "%s", constants);
	for (const char *p = row->graph; *p; p++)
		if (*p == '$')
			wq_str_printf(&t, "%s", type);
		else if (*p == '#' && size)
			wq_str_printf(&t, "%lld", (long long)size[*++p - 'A']);
		else if (*p != '#')
			wq_str_write(&t, p, 1);
	return wq_parse(row->name, t.s, t.n, (WqMapped){ 0 });
}

static void free_module(void *m) { wq_module_free(m); }

/* The inputs of a graph of numbers. */
static WqRt **inputs_of(WqArena *a, WqModule *m, uint64_t seed)
{
	WqRt **in = random_inputs(a, m, seed);
	drop_with(a, in, m->main->inputs.n);
	return in;
}

/* ---- comparing ------------------------------------------------------------------------------------- */

static WqJit *compiled(WqArena *a, WqModule *m, const char *cpu, int threads)
{
	const WqTarget *t = cpu ? wq_target("x86_64", cpu, NULL, a) : wq_target("native", NULL, NULL, a);
	WqCodeOptions o = { .target = t, .level = 1, .threads = threads };
	wq_passes(m, "opt");
	return wq_jit_new(wq_program_new(m, &o, a));
}

/* m: what was compiled; fixed: the same of numbers, for the evaluator. */
static void compare(WqArena *a, const Row *row, const char *what, WqJit *j, WqModule *m, WqModule *fixed, int threads)
{
	WqRt **in = inputs_of(a, fixed, 7), **want = run_graph(a, fixed, in, true);
	drop_with(a, want, fixed->main->outputs.n);
	ApiCall *call = api_call_new(m, in, a);
	int code = api_call_jit(call, j, threads);
	CHECK_MSG(code == 0, "%s %s: code %d", row->name, what, code);
	for (int i = 0; i < fixed->main->outputs.n && !code; i++) {
		WqStr why = { .a = a };
		WqRt *got = api_call_result(call, i);
		drop_with(a, &got, 1);
		CHECK_MSG(same_value(want[i], got, row->tol, &why), "%s %s, result %d: %s", row->name, what, i, why.s);
	}
}

static void run_type(const Row *row, const char *type)
{
	int64_t size[8];
	WqArena *a = wq_arena_new();
	const char *cpu = NULL;
#ifdef __x86_64__
	cpu = "x86-64";
#endif
	WqModule *any = graph_of(a, row, type, NULL);
	wq_defer(a, free_module, any);
	WqJit *j = compiled(a, any, cpu, 2);
	for (const char *s = row->sizes; parse_sizes(&s, size);) {
		WqModule *fixed = graph_of(a, row, type, size), *m = graph_of(a, row, type, size);
		wq_defer(a, free_module, fixed);
		wq_defer(a, free_module, m);
		const char *what = wq_sprintf(a, "%s %lld,%lld", type, (long long)size[0], (long long)size[1]);
		compare(a, row, what, compiled(a, m, NULL, 1), m, fixed, 1);
		compare(a, row, wq_sprintf(a, "%s by symbols", what), j, any, fixed, 2);
	}
	wq_arena_free(a);
}

int main(int argc, char **argv)
{
	int failed = 0, ran = 0;
	for (int i = 0; i < WQ_COUNTOF(rows); i++) {
		char type[16];
		int n;
		if (argc > 1 && strcmp(argv[1], rows[i].name))
			continue;
		int before = test_failed;
		for (const char *s = rows[i].types; sscanf(s, "%15s%n", type, &n) == 1; s += n) {
			WqTry t;
			if (WQ_TRY(&t)) {
				run_type(&rows[i], type);
				wq_try_end(&t);
			} else {
				CHECK_MSG(false, "%s %s: %s", rows[i].name, type, t.err.text);
			}
		}
		failed += test_failed > before;
		ran++;
	}
	printf("%d passed, %d failed\n", ran - failed, failed);
	return failed != 0;
}
