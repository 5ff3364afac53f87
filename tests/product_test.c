/* MatMul, Conv, ConvTranspose and DeformConv compiled in memory, of random geometry, compared with the evaluator's
 * plain loops. Elements are small multiples of powers of two, so that every order of summation gives the same bits;
 * inputs end where memory does. */
#include "api/api.h"
#include "tests/test.h"

#include <sys/mman.h>
#include <unistd.h>

static unsigned state;
static int pick(int lo, int hi) { return lo + (int)((state = state * 1664525u + 1013904223u) >> 8) % (hi - lo + 1); }
static bool one_in(int n) { return pick(1, n) == 1; }

/* ---- operands ----------------------------------------------------------------------------------------- */

static void *fenced(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page + page;
	char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	mprotect(p + room - page, page, PROT_NONE);
	return p + room - page - n;
}

static WqTensor tensor(WqDtype t, int rank, const int64_t *dim)
{
	WqTensor x = {.dtype = t, .rank = rank};
	memcpy(x.dim, dim, (size_t)rank * sizeof *dim);
	int64_t n = wq_tensor_count(&x);
	x.data = fenced((size_t)n * wq_dtype_size(t));
	for (int64_t i = 0; i < n; i++)
		if (wq_dtype_is_float(t))
			wq_tensor_set_f(&x, i, pick(-8, 8) / 4.0);
		else
			wq_tensor_set_i(&x, i, pick(wq_dtype_is_signed(t) ? -50 : 0, 50));
	return x;
}

typedef struct Case {
	WqModule *m;
	WqRt *in[8];
	int n_in;
} Case;

/* An operand: an input, whose sizes may be symbols, or a constant. */
static WqValue *operand(Case *k, WqDtype t, int rank, const int64_t *dim, bool constant, unsigned symbols)
{
	WqGraph *g = k->m->main;
	WqTensor *x = WQ_NEW(k->m->arena, WqTensor);
	*x = tensor(t, rank, dim);
	if (constant)
		return wq_const(g, NULL, x);
	WqDim d[WQ_MAX_RANK];
	for (int i = 0; i < rank; i++)
		d[i] = symbols >> i & 1 ? wq_dim_fresh(k->m, "s", 0, dim[i] + 3) : dim[i];
	WqType type = wq_type_tensor(t, rank, d);
	k->in[k->n_in++] = wq_rt_borrow(x);
	return wq_input(g, NULL, &type);
}

static const WqDtype types[] = {WQ_F32, WQ_F32, WQ_F32, WQ_F32, WQ_F64, WQ_F16, WQ_BF16, WQ_I32, WQ_I8, WQ_U8, WQ_I64};

/* ---- comparing ------------------------------------------------------------------------------------------ */

static bool same(const WqTensor *a, const WqTensor *b, const char *what)
{
	bool ok = a->rank == b->rank && a->dtype == b->dtype && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
	CHECK_MSG(ok, "%s: shapes differ", what);
	for (int64_t i = 0, n = ok ? wq_tensor_count(a) : 0; i < n; i++)
		if (wq_tensor_get_f(a, i) != wq_tensor_get_f(b, i)) {
			CHECK_MSG(false, "%s: [%lld] is %g, expected %g", what, (long long)i, wq_tensor_get_f(b, i),
				wq_tensor_get_f(a, i));
			return false;
		}
	return ok;
}

static void show(const Case *k)
{
	WqStr s = {.a = k->m->arena};
	wq_print(k->m, &s, NULL, 0);
	fprintf(stderr, "%s\n", s.s);
}

static void free_engine(void *e) { wq_engine_free(e); }
static void unref(void *v) { wq_rt_unref(v); }

static void compare(Case *k, const char *what)
{
	WqArena *a = k->m->arena;
	if (getenv("SHOW"))
		show(k);
	WqEngineOptions eo = {.threads = 1, .plain = true};
	WqEngine *e = wq_engine_new(k->m, &eo);
	wq_defer(a, free_engine, e); /* the run may fail */
	WqRt *want = NULL;
	wq_engine_run(e, k->in, &want);
	wq_defer(a, unref, want);
	WqCodeOptions o = {.target = wq_target("native", NULL, NULL, a), .level = 1, .threads = 3};
	ApiCall *c = api_call_new(k->m, k->in, a);
	WqJit *j = wq_jit_new(wq_program_new(k->m, &o, a));
	for (int threads = 1; threads <= 3; threads += 2) {
		CHECK_EQ(api_call_jit(c, j, threads), 0);
		WqRt *got = api_call_result(c, 0);
		bool ok = same(&want->t, &got->t, what);
		wq_rt_unref(got);
		if (!ok) {
			show(k);
			break;
		}
	}
}

static void finish(Case *k, WqNode *n, const char *what)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		wq_node_finish(n, 1, NULL);
		WqValue *y = n->out[0];
		if (one_in(2)) { /* something behind it */
			WqNode *relu = wq_node_new(k->m->main, wq_dtype_is_float(y->type.dtype) ? OP_Relu : OP_Neg, 1, &y);
			wq_node_finish(relu, 1, NULL);
			y = relu->out[0];
		}
		wq_output(k->m->main, "y", y);
		compare(k, what);
		wq_try_end(&t);
	} else {
		CHECK_MSG(strstr(t.err.text, "larger") || strstr(t.err.text, "beyond"), "%s: %s", what, t.err.text);
	}
	for (int i = 0; i < k->n_in; i++)
		wq_rt_unref(k->in[i]);
	wq_module_free(k->m);
}

/* ---- cases ------------------------------------------------------------------------------------------------ */

static int some(int most) { return one_in(3) ? pick(1, 3) : pick(1, most); }

static void matmul(unsigned seed)
{
	state = seed * 7919 + 1;
	Case k = {.m = wq_module_new("test")};
	WqDtype t = types[pick(0, WQ_COUNTOF(types) - 1)];
	int64_t M = some(40), N = some(70), K = one_in(12) ? 0 : some(80), b0 = pick(1, 3), b1 = pick(1, 3);
	int64_t a[] = {b0, one_in(3) ? 1 : b1, M, K}, b[] = {one_in(3) ? 1 : b0, b1, K, N};
	int ra = pick(1, 4), rb = pick(1, 4);
	bool turned = rb >= 2 && one_in(3); /* a transposed view */
	if (turned) {
		b[2] = N;
		b[3] = K;
	}
	WqValue *in[2];
	in[0] = operand(&k, t, ra, ra == 1 ? a + 3 : a + 4 - ra, one_in(4), pick(0, 15) & (ra > 1 ? 1 << (ra - 2) : 0));
	unsigned symbols = one_in(4) ? 1u << (rb - 1 - (turned && rb > 1)) : 0;
	in[1] = operand(&k, t, rb, rb == 1 ? b + 2 : b + 4 - rb, one_in(2), symbols);
	if (rb == 1 && wq_type_static(&in[1]->type) == false)
		in[0]->type.dim[ra - 1] = in[1]->type.dim[0];
	if (turned) {
		WqNode *n = wq_node_new(k.m->main, OP_Transpose, 1, in + 1);
		int64_t perm[] = {0, 1, 2, 3};
		perm[rb - 1] = rb - 2;
		perm[rb - 2] = rb - 1;
		wq_set_ints(n, "perm", rb, perm);
		wq_node_finish(n, 1, NULL);
		in[1] = n->out[0];
	}
	char what[32];
	snprintf(what, sizeof what, "matmul %u", seed);
	finish(&k, wq_node_new(k.m->main, OP_MatMul, 2, in), what);
}

static void conv(unsigned seed, bool transposed)
{
	state = seed * 7907 + 1;
	Case k = {.m = wq_module_new("test")};
	WqDtype t = types[pick(0, WQ_COUNTOF(types) - 1)];
	int n = one_in(4) ? 1 : one_in(5) ? 3 : 2;
	int64_t group = one_in(3) ? pick(2, 40) : 1, cin = one_in(3) && group > 1 ? 1 : some(group > 1 ? 5 : 36);
	int64_t cout = one_in(2) && group > 1 ? 1 : some(group > 1 ? 5 : 70), strides[3], dilations[3], pads[6], extra[3];
	int64_t x[5] = {pick(1, 2), cin * group}, w[5] = {transposed ? cin * group : cout * group, transposed ? cout : cin};
	for (int d = 0; d < n; d++) {
		x[2 + d] = some(n == 3 ? 7 : 20);
		w[2 + d] = one_in(3) ? 1 : pick(1, n == 1 ? 15 : 5);
		strides[d] = one_in(2) ? 1 : pick(1, n == 1 ? 10 : 3);
		dilations[d] = one_in(3) ? pick(1, 3) : 1;
		pads[d] = one_in(2) ? 0 : pick(-1, 3);
		pads[n + d] = one_in(2) ? 0 : pick(-1, 3);
		extra[d] = one_in(2) ? 0 : pick(0, (int)strides[d] - 1);
	}
	int64_t bias[] = {cout * group};
	WqValue *in[3] = {operand(&k, t, n + 2, x, false, one_in(4) ? (unsigned)pick(0, 31) & ~2u & ((4u << n) - 1) : 0),
		operand(&k, t, n + 2, w, !one_in(8), 0)};
	if (one_in(2))
		in[2] = operand(&k, t, 1, bias, one_in(2), 0);
	WqNode *node = wq_node_new(k.m->main, transposed ? OP_ConvTranspose : OP_Conv, in[2] ? 3 : 2, in);
	static const char *const modes[] = {"NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
	wq_set_ints(node, "strides", n, strides);
	wq_set_ints(node, "dilations", n, dilations);
	wq_set_i(node, "group", group);
	wq_set_s(node, "auto_pad", modes[pick(0, 4)]);
	wq_set_ints(node, "pads", 2 * n, pads);
	if (transposed)
		wq_set_ints(node, "output_padding", n, extra);
	char what[32];
	snprintf(what, sizeof what, "conv%s %u", transposed ? " transposed" : "", seed);
	finish(&k, node, what);
}

/* FIRST and ROUNDS in the environment: other cases, by hand; SHOW prints them. */
static void each(void (*fn)(unsigned seed))
{
	const char *from = getenv("FIRST"), *count = getenv("ROUNDS");
	unsigned first = from ? (unsigned)atoi(from) : 0, rounds = count ? (unsigned)atoi(count) : 40;
	for (unsigned i = first; i < first + rounds; i++)
		fn(i);
}

static void forward(unsigned seed) { conv(seed, false); }
static void backward(unsigned seed) { conv(seed, true); }

TEST(matmuls) { each(matmul); }
TEST(convolutions) { each(forward); }
TEST(transposed_convolutions) { each(backward); }

TEST_MAIN(TEST_RUN(matmuls) TEST_RUN(convolutions) TEST_RUN(transposed_convolutions))
