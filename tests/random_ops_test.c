/* random_ops_test: every operator on random operands and attributes, most of them nonsense. Each call gives a result
 * whose type is what the rule said, or an error of the input; nothing crashes. WQ_RANDOM_OPS=N: calls per operator
 * (default 300), WQ_RANDOM_SEED=N: other ones, WQ_RANDOM_OP=NAME: of one operator. */
#include "engine/engine.h"
#include "tests/test.h"

#include <math.h>

static uint64_t state = 1;

static uint32_t next(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}
static int below(int n) { return (int)(next() % (uint32_t)n); }
static bool one_in(int n) { return below(n) == 0; }

static int64_t number(void)
{
	static const int64_t odd[] = { INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 1ll << 40, -(1ll << 40), 255, 1000 };
	return one_in(40) ? odd[below(WQ_COUNTOF(odd))] : below(9) - 3;
}

static double real(void)
{
	static const double odd[] = { NAN, INFINITY, -INFINITY, 1e30, -1e30, -0.0, 1e-40 };
	return one_in(20) ? odd[below(WQ_COUNTOF(odd))] : below(33) / 8.0 - 1.5;
}

/* ---- operands ---------------------------------------------------------------------------------- */

static WqDtype dtype_of(uint32_t mask)
{
	for (;;) {
		WqDtype t = (WqDtype)(1 + below(WQ_NUM_DTYPES - 1));
		if (mask >> t & 1)
			return t;
	}
}

static void fill(WqModule *m, WqTensor *t)
{
	static const WqString words[] = { { "", 0 }, { "a", 1 }, { "1.5", 3 }, { "-7", 2 } };
	(void)m;
	for (int64_t i = 0, n = wq_tensor_count(t); i < n; i++)
		if (t->dtype == WQ_STR)
			((WqString *)t->data)[i] = words[below(4)];
		else if (t->dtype == WQ_C64)
			((float *)t->data)[2 * i] = (float)real();
		else if (t->dtype == WQ_C128)
			((double *)t->data)[2 * i] = real();
		else if (t->dtype == WQ_BOOL)
			((uint8_t *)t->data)[i] = one_in(2);
		else if (wq_dtype_is_float(t->dtype))
			wq_tensor_set_f(t, i, real());
		else
			wq_tensor_set_i(t, i, number());
}

/* What fits: an operand's dims as letters (a size each, the same everywhere) and digits; - a scalar, . absent. */
static const struct {
	const char *op, *shapes;
} fits[] = {
	{ "Conv", "abcd ebff e" },
	{ "ConvTranspose", "abcd beff e" },
	{ "DeformConv", "1b22 eb11 1222 e 1122" },
	{ "MaxPool", "abcd" },
	{ "AveragePool", "abcd" },
	{ "MatMul", "abc acd" },
	{ "LayerNormalization", "abc c c" },
	{ "Attention", "abcd abed abef" },
	{ "Slice", "abc 2 2 2 2" },
	{ "ScatterElements", "ab cd cd" },
	{ "ScatterND", "abc d1 dbc" },
	{ "Resize", "abcd . 4 ." },
	{ "GridSample", "abcd aef2" },
	{ "RoiAlign", "abcd e4 e" },
	{ "MaxRoiPool", "abcd e5" },
	{ "NonMaxSuppression", "ab4 acb - - -" },
	{ "TopK", "abc 1" },
	{ "QuantizeLinear", "abc b b" },
	{ "DequantizeLinear", "abc b b" },
	{ "Pad", "ab 4" },
	{ "GatherND", "abc d2" },
	{ "Expand", "abc 3" },
	{ "Reshape", "abc 2" },
	{ "Det", "abb" },
};

static const char *fitting(const char *op)
{
	for (int i = 0; i < WQ_COUNTOF(fits); i++)
		if (!strcmp(fits[i].op, op) && !one_in(4))
			return fits[i].shapes;
	return NULL;
}

/* Shapes of one call resemble each other, so that some calls fit. */
typedef struct Shapes {
	int rank;
	int64_t dim[6];
} Shapes;

static WqValue *constant(WqGraph *g, WqDtype t, int rank, const int64_t *dim)
{
	WqTensor *x = wq_tensor_new(g->mod, t, rank, dim);
	fill(g->mod, x);
	return wq_const(g, NULL, x);
}

/* The next operand of a template. */
static WqValue *template_operand(WqGraph *g, const Shapes *s, WqDtype t, const char **p)
{
	int64_t dim[6];
	int rank = 0;
	bool absent = **p == '.';
	for (; **p && **p != ' '; (*p)++)
		if (**p >= '0' && **p <= '9')
			dim[rank++] = **p - '0';
		else if (**p >= 'a')
			dim[rank++] = s->dim[**p - 'a'];
	*p += **p == ' ';
	return absent ? NULL : constant(g, t, rank, dim);
}

static WqValue *operand(WqGraph *g, const Shapes *s, WqDtype t, bool vector)
{
	int64_t dim[6];
	int rank = vector ? below(8) != 0 : one_in(4) ? below(6) : s->rank;
	for (int i = 0; i < rank; i++)
		dim[i] = vector ? (one_in(2) ? s->rank : below(6)) : one_in(4) ? below(4) : s->dim[i];
	return constant(g, t, rank, dim);
}

static int operands(WqGraph *g, const WqOpInfo *op, WqValue **in)
{
	Shapes s = { .rank = below(5) };
	int n = 0;
	WqDtype T = dtype_of(op->mask), U = dtype_of(one_in(2) ? WQ_M_NUM : WQ_M_ANY);
	for (int i = 0; i < 6; i++)
		s.dim[i] = one_in(12) ? 0 : 1 + below(5);
	const char *shapes = fitting(op->name);
	for (const char *p = op->sig; *p != '>'; p++) {
		if (strchr("?+@", *p))
			continue;
		if (shapes && !*shapes)
			break;
		int times = p[1] == '+' || p[1] == '@' ? 1 + below(3) : 1;
		if (!shapes && p[1] == '?' && one_in(2)) {
			in[n++] = NULL;
			continue;
		}
		WqDtype t = *p == 'T'   ? T
			    : *p == 'U' ? U
			    : *p == 'N' ? (one_in(2) ? WQ_I32 : WQ_I64)
			    : *p == 'I' ? WQ_I64
			    : *p == 'B' ? WQ_BOOL
			    : *p == 'F' ? WQ_F32
					: dtype_of(one_in(3) ? WQ_M_ANY : WQ_M_NUM);
		if (shapes) {
			in[n++] = template_operand(g, &s, t, &shapes);
			continue;
		}
		while (times--)
			in[n++] = operand(g, &s, t, *p == 'I' || *p == 'N' ? !one_in(3) : *p == 'F' && one_in(2));
	}
	return n;
}

/* ---- attributes -------------------------------------------------------------------------------- */

static const char *word(void)
{
	static const char *const words[] = { "avg",
					     "nearest",
					     "linear",
					     "half_pixel",
					     "zeros",
					     "stretch",
					     "NOTSET",
					     "constant",
					     "reflect",
					     "edge",
					     "wrap",
					     "none",
					     "add",
					     "mul",
					     "min",
					     "max",
					     "nearest",
					     "linear",
					     "cubic",
					     "half_pixel",
					     "align_corners",
					     "asymmetric",
					     "tf_crop_and_resize",
					     "pytorch_half_pixel",
					     "half_pixel_symmetric",
					     "floor",
					     "ceil",
					     "round_prefer_ceil",
					     "zeros",
					     "border",
					     "reflection",
					     "avg",
					     "tanh",
					     "SAME_UPPER",
					     "SAME_LOWER",
					     "VALID",
					     "NOTSET",
					     "stretch",
					     "not_larger",
					     "not_smaller",
					     "up",
					     "down",
					     "" };
	return words[below(WQ_COUNTOF(words))];
}

static void set_attr(WqNode *n, const char *name, char kind)
{
	int64_t v[8];
	int count = one_in(3) ? below(7) : 2;
	bool small = !one_in(3);
	switch (kind) {
	case 'i':
		wq_set_i(n, name, number());
		break;
	case 'f':
		wq_set_f(n, name, real());
		break;
	case 's':
		wq_set_s(n, name, word());
		break;
	case 't':
		wq_set_i(n, name, dtype_of(one_in(3) ? WQ_M_ANY : WQ_M_NUM));
		break;
	default:
		for (int i = 0; i < count; i++)
			v[i] = kind == 'd' ? below(4) : small ? 1 + below(2) : number();
		wq_set_ints(n, name, count, v);
	}
}

/* attrs: "name:kind=default name:kind!" */
static void attributes(WqNode *n, const char *attrs)
{
	for (const char *p = attrs; *p;) {
		char name[64];
		size_t len = strcspn(p, ":");
		memcpy(name, p, len);
		name[len] = 0;
		char kind = p[len + 1] == 'i' && p[len + 2] == 's' ? 'v' : p[len + 1];
		size_t rest = strcspn(p, " ");
		if (kind != 'y' && (p[rest - 1] == '!' || !one_in(3)))
			set_attr(n, name, kind);
		p += rest;
		p += strspn(p, " ");
	}
}

/* ---- calls ------------------------------------------------------------------------------------- */

/* What a call has made so far. */
typedef struct Held {
	WqModule *m;
	WqEngine *e;
	WqRt *out[8];
} Held;

static void drop(Held *h)
{
	for (int i = 0; i < WQ_COUNTOF(h->out); i++)
		wq_rt_unref(h->out[i]);
	wq_engine_free(h->e);
	wq_module_free(h->m);
}

static void call(Held *h, WqOp op)
{
	const WqOpInfo *info = wq_op(op);
	WqModule *m = h->m = wq_module_new("random");
	WqValue *in[16];
	int n_in = operands(m->main, info, in);
	WqNode *n = wq_node_new(m->main, op, n_in, in);
	attributes(n, info->attrs);
	int n_out = info->max_out < 0 ? info->min_out : info->max_out;
	wq_node_finish(n, n_out, NULL);
	for (int i = 0; i < n_out; i++)
		wq_output(m->main, "y", n->out[i]);
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){ .threads = 1, .plain = one_in(2) });
	h->e = e;
	WqRt **out = h->out;
	wq_engine_run(e, NULL, out);
	for (int i = 0; i < n_out; i++) {
		const WqType *t = &n->out[i]->type;
		CHECK_MSG(out[i]->t.dtype == t->dtype && (t->rank < 0 || out[i]->t.rank == t->rank), "%s: result %d",
			  info->name, i);
		for (int k = 0; k < t->rank; k++)
			CHECK_MSG(!wq_dim_static(t->dim[k]) || t->dim[k] == out[i]->t.dim[k],
				  "%s: result %d, axis %d: %lld, not %lld", info->name, i, k,
				  (long long)out[i]->t.dim[k], (long long)t->dim[k]);
	}
}

TEST(no_call_crashes)
{
	const char *env = getenv("WQ_RANDOM_OPS"), *only = getenv("WQ_RANDOM_OP"), *seed = getenv("WQ_RANDOM_SEED");
	int times = env ? atoi(env) : 300;
	state = seed ? strtoull(seed, NULL, 10) : 1;
	for (int op = 1; op < WQ_NUM_OPS; op++) {
		int worked = 0;
		if (wq_op((WqOp)op)->flags & (WQ_BODY | WQ_SEQ))
			continue;
		if (only && strcmp(only, wq_op((WqOp)op)->name))
			continue;
		for (int i = 0; i < times; i++) {
			Held h = { 0 };
			WqTry t;
			if (WQ_TRY(&t)) {
				call(&h, (WqOp)op);
				wq_try_end(&t);
				worked++;
			} else {
				CHECK_MSG(t.err.code != WQ_OK && t.err.text[0], "%s: an error that says nothing",
					  wq_op((WqOp)op)->name);
			}
			drop(&h);
		}
		if (getenv("WQ_VERBOSE"))
			printf("%-24s %d of %d\n", wq_op((WqOp)op)->name, worked, times);
	}
}

static int until_failure;
static bool deny(size_t n)
{
	(void)n;
	return until_failure-- == 0;
}

/* The same call with its first, second, ... allocation failing; leaks are the sanitizer's to find. */
static void fail_allocations(WqOp op, uint64_t seed)
{
	for (int k = 0; k < 60; k++) {
		Held h = { 0 };
		WqTry t;
		state = seed;
		until_failure = k;
		wq_alloc_set_deny(deny);
		if (WQ_TRY(&t)) {
			call(&h, op);
			wq_try_end(&t);
		}
		wq_alloc_set_deny(NULL);
		drop(&h);
		if (until_failure >= 0)
			break;
	}
}

TEST(allocations_may_fail)
{
	const char *only = getenv("WQ_RANDOM_OP");
	for (int op = 1; op < WQ_NUM_OPS; op++)
		for (int i = 0; i < 8; i++)
			if (!(wq_op((WqOp)op)->flags & (WQ_BODY | WQ_SEQ)) &&
			    (!only || !strcmp(only, wq_op((WqOp)op)->name)))
				fail_allocations((WqOp)op, (uint64_t)(op * 1000 + i));
	CHECK(true);
}

int main(void)
{
	wq_alloc_set_limit(64 << 20);
	int failed = test_run("no_call_crashes", test_no_call_crashes, NULL);
	failed += test_run("allocations_may_fail", test_allocations_may_fail, NULL);
	printf("%d passed, %d failed\n", 2 - failed, failed);
	return failed != 0;
}
