/* heavy_test: products and windows: plain C against oneDNN, the same bits on any number of threads, sizes as expressions, and
 * values that lie channels-last. */
#include "tests/eval.h"
#include "tests/test.h"

enum { ROUNDS = 120 };

static WqValue *image(WqModule *m, const char *name, int rank, const int64_t *dim)
{
	WqType t = wq_type_tensor(WQ_F32, rank, dim);
	return wq_input(m->main, name, &t);
}

static WqValue *weight(WqModule *m, Rng *r, WqDtype t, int rank, const int64_t *dim)
{
	return wq_const(m->main, NULL, random_tensor(m, r, t, rank, dim));
}

static WqValue *finish(WqNode *n)
{
	wq_node_finish(n, 1, NULL);
	return n->out[0];
}

static WqRt **run_threads(WqArena *a, WqModule *m, WqRt *const *in, bool plain, int threads)
{
	WqEngineOptions o = { .threads = threads, .plain = plain };
	WqEngine *e = wq_engine_new(m, &o);
	WqRt **out = WQ_NEW_N(a, WqRt *, m->main->outputs.n);
	wq_engine_run(e, in, out);
	wq_engine_free(e);
	return out;
}

/* Every output: oneDNN near plain C, and both the same to the bit on one and on three threads. */
static void check_module(WqModule *m, const char *what, double tol)
{
	WqArena *a = wq_arena_new();
	int n = m->main->outputs.n;
	WqRt **in = random_inputs(a, m, 7);
	WqRt **plain = run_threads(a, m, in, true, 1), **fast = run_threads(a, m, in, false, 1);
	WqRt **plain3 = run_threads(a, m, in, true, 3), **fast3 = run_threads(a, m, in, false, 3);
	WqStr why = { .a = a };
	wq_str_printf(&why, "%s: ", what);
	for (int i = 0; i < n; i++) {
		CHECK_MSG(same_value(plain[i], fast[i], tol, &why), "oneDNN: %s", why.s);
		CHECK_MSG(same_value(plain[i], plain3[i], 0, &why), "plain on threads: %s", why.s);
		CHECK_MSG(same_value(fast[i], fast3[i], 0, &why), "oneDNN on threads: %s", why.s);
	}
	drop_all(plain, n);
	drop_all(fast, n);
	drop_all(plain3, n);
	drop_all(fast3, n);
	drop_all(in, m->main->inputs.n);
	wq_arena_free(a);
}

/* ---- windows ---------------------------------------------------------------------------------------- */

typedef struct Shape {
	int n; /* spatial axes */
	int64_t x[5], kernel[3], stride[3], dilation[3], pads[6];
} Shape;

static Shape random_shape(Rng *r)
{
	Shape s = { .n = 1 + rng_below(r, 3) };
	s.x[0] = 1 + rng_below(r, 3);
	for (int d = 0; d < s.n; d++) {
		s.x[2 + d] = 5 + rng_below(r, s.n == 3 ? 5 : 15);
		s.kernel[d] = 1 + rng_below(r, 3);
		s.stride[d] = 1 + rng_below(r, 3);
		s.dilation[d] = 1 + rng_below(r, 2);
		s.pads[d] = rng_below(r, 3);
		s.pads[s.n + d] = rng_below(r, 3);
	}
	return s;
}

static void set_window(WqNode *n, const Shape *s, bool kernel)
{
	if (kernel)
		wq_set_ints(n, "kernel", s->n, s->kernel);
	wq_set_ints(n, "strides", s->n, s->stride);
	wq_set_ints(n, "dilations", s->n, s->dilation);
	wq_set_ints(n, "pads", 2 * s->n, s->pads);
}

static void random_conv(Rng *r, bool transposed)
{
	WqModule *m = wq_module_new("t");
	Shape s = random_shape(r);
	int64_t group = 1 + rng_below(r, 3), in = 1 + rng_below(r, 9), out = 1 + rng_below(r, 9), w[5];
	if (rng_below(r, 4) == 0)
		group = 8, in = out = 1; /* one channel a group */
	s.x[1] = in * group;
	w[0] = transposed ? in * group : out * group;
	w[1] = transposed ? out : in;
	memcpy(w + 2, s.kernel, sizeof s.kernel);
	int64_t bias = out * group;
	WqValue *v[3] = { image(m, "x", 2 + s.n, s.x), weight(m, r, WQ_F32, 2 + s.n, w),
		rng_below(r, 2) ? weight(m, r, WQ_F32, 1, &bias) : NULL };
	WqNode *n = wq_node_new(m->main, transposed ? OP_ConvTranspose : OP_Conv, 3, v);
	set_window(n, &s, false);
	wq_set_i(n, "group", group);
	wq_output(m->main, "y", finish(n));
	check_module(m, transposed ? "ConvTranspose" : "Conv", 1e-5);
	wq_module_free(m);
}

TEST(convolutions)
{
	Rng r = { 1 };
	for (int i = 0; i < ROUNDS; i++)
		random_conv(&r, false);
	for (int i = 0; i < ROUNDS; i++)
		random_conv(&r, true);
}

TEST(pools)
{
	Rng r = { 2 };
	for (int i = 0; i < ROUNDS; i++) {
		WqModule *m = wq_module_new("t");
		Shape s = random_shape(&r);
		bool average = rng_below(&r, 2);
		s.x[1] = 1 + rng_below(&r, 20);
		WqValue *x = image(m, "x", 2 + s.n, s.x);
		WqNode *n = wq_node_new(m->main, average ? OP_AveragePool : OP_MaxPool, 1, &x);
		set_window(n, &s, true);
		wq_set_i(n, "ceil_mode", rng_below(&r, 2));
		if (average)
			wq_set_i(n, "count_include_pad", rng_below(&r, 2));
		wq_output(m->main, "y", finish(n));
		check_module(m, average ? "AveragePool" : "MaxPool", 1e-6);
		wq_module_free(m);
	}
}

/* The same plane through one axis and through three: what is true for n axes must not depend on n. */
TEST(axes_of_one_do_not_matter)
{
	WqModule *m = wq_module_new("t");
	Rng r = { 3 };
	int64_t x1[] = { 2, 4, 17 }, x3[] = { 2, 4, 1, 17, 1 }, w1[] = { 6, 2, 3 }, w3[] = { 6, 2, 1, 3, 1 };
	WqTensor *w = random_tensor(m, &r, WQ_F32, 3, w1), *wide = WQ_NEW(m->arena, WqTensor);
	*wide = *w;
	wide->rank = 5;
	memcpy(wide->dim, w3, sizeof w3);
	WqValue *x = image(m, "x", 3, x1);
	WqValue *v1[2] = { x, wq_const(m->main, NULL, w) };
	WqValue *re[2] = { x, wq_const_i64s(m->main, 5, x3) };
	WqValue *v3[2] = { wq_build(m->main, OP_Reshape, 2, re), wq_const(m->main, NULL, wide) };
	for (int k = 0; k < 2; k++) {
		WqNode *n = wq_node_new(m->main, OP_Conv, 2, k ? v3 : v1);
		wq_set_i(n, "group", 2);
		wq_set_ints(n, "pads", k ? 6 : 2, k ? (int64_t[]){ 0, 2, 0, 0, 1, 0 } : (int64_t[]){ 2, 1 });
		wq_output(m->main, k ? "b" : "a", finish(n));
	}
	WqArena *a = wq_arena_new();
	WqRt **in = random_inputs(a, m, 1), **out = run_graph(a, m, in, true);
	CHECK(!memcmp(out[0]->t.data, out[1]->t.data, wq_tensor_bytes(&out[0]->t)));
	drop_all(out, 2);
	drop_all(in, 1);
	wq_arena_free(a);
	wq_module_free(m);
}

/* ---- sizes as expressions --------------------------------------------------------------------------------- */

/* An operator on an input of named sizes: at every size, the result has the shape that its type's expressions say. */
static void check_expressions(WqModule *m, const char *what, int rank, const int64_t *least, Rng *r)
{
	WqGraph *g = m->main;
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){ .threads = 1, .plain = true });
	for (int k = 0; k < 6; k++) {
		int64_t dim[WQ_MAX_RANK], *bind = WQ_NEW_N(m->arena, int64_t, wq_dim_num_syms(m) + 1), want;
		memset(bind, -1, (size_t)wq_dim_num_syms(m) * sizeof *bind);
		for (int d = 0; d < rank; d++) {
			int sym;
			dim[d] = least[d] + rng_below(r, 7);
			if (wq_dim_is_sym(m, g->inputs.v[0]->type.dim[d], &sym))
				bind[sym] = dim[d];
			else
				dim[d] = g->inputs.v[0]->type.dim[d];
		}
		WqRt *x = wq_rt_borrow(random_tensor(m, r, WQ_F32, rank, dim)), *y;
		wq_engine_run(e, &x, &y);
		const WqType *t = &g->outputs.v[0].value->type;
		CHECK_EQ(y->t.rank, t->rank);
		for (int d = 0; d < t->rank; d++) {
			WqStr s = { .a = m->arena };
			wq_type_print(m, t, &s);
			CHECK_MSG(wq_dim_eval(m, t->dim[d], bind, wq_dim_num_syms(m), &want) && want == y->t.dim[d],
				"%s: %s: axis %d is %lld, the expression says %lld", what, s.s, d, (long long)y->t.dim[d], (long long)want);
		}
		wq_rt_unref(x);
		wq_rt_unref(y);
	}
	wq_engine_free(e);
}

TEST(windows_of_symbolic_sizes)
{
	static const char *const pads[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
	static const WqOp ops[] = { OP_Conv, OP_ConvTranspose, OP_MaxPool, OP_AveragePool };
	Rng r = { 9 };
	for (int i = 0; i < 4 * ROUNDS; i++) {
		WqModule *m = wq_module_new("t");
		Shape s = random_shape(&r);
		WqOp op = ops[i % 4];
		WqDim dim[5] = { wq_dim_sym(m, "N"), 4, wq_dim_sym(m, "H"), wq_dim_sym(m, "W"), wq_dim_sym(m, "D") };
		int64_t least[5] = { 1, 4, 9, 9, 9 }, w[5] = { 4, 4, s.kernel[0], s.kernel[1], s.kernel[2] };
		WqType t = wq_type_tensor(WQ_F32, 2 + s.n, dim);
		bool windowed = op == OP_Conv || op == OP_ConvTranspose;
		WqValue *v[2] = { wq_input(m->main, "x", &t), windowed ? weight(m, &r, WQ_F32, 2 + s.n, w) : NULL };
		WqNode *n = wq_node_new(m->main, op, windowed ? 2 : 1, v);
		set_window(n, &s, !windowed);
		wq_set_s(n, "auto_pad", pads[rng_below(&r, 4)]);
		if (!windowed)
			wq_set_i(n, "ceil_mode", rng_below(&r, 2));
		if (op == OP_ConvTranspose && rng_below(&r, 2))
			wq_set_ints(n, "output_padding", s.n, (int64_t[]){ s.stride[0] - 1, s.stride[1] - 1, s.stride[2] - 1 });
		wq_output(m->main, "y", finish(n));
		check_expressions(m, wq_op(op)->name, 2 + s.n, least, &r);
		wq_module_free(m);
	}
}

/* With offsets of zero it is a convolution; of whole steps, a convolution of the shifted image. */
TEST(deformed_by_nothing)
{
	static const WqDtype types[] = { WQ_F32, WQ_F64, WQ_F16 };
	Rng r = { 10 };
	for (int i = 0; i < 60; i++) {
		WqModule *m = wq_module_new("t");
		WqDtype t = types[i % 3];
		Shape s = random_shape(&r);
		int64_t group = 1 + rng_below(&r, 2), og = 1 + rng_below(&r, 2), taps = 1, w[5] = { 3 * group, 2 * og };
		s.x[1] = 2 * og * group;
		memcpy(w + 2, s.kernel, sizeof s.kernel);
		for (int d = 0; d < s.n; d++)
			taps *= s.kernel[d];
		WqValue *v[5] = { wq_const(m->main, NULL, random_tensor(m, &r, t, 2 + s.n, s.x)), weight(m, &r, t, 2 + s.n, w) };
		WqNode *conv = wq_node_new(m->main, OP_Conv, 2, v);
		set_window(conv, &s, false);
		wq_set_i(conv, "group", group);
		wq_output(m->main, "conv", finish(conv));
		int64_t off[5], mask[5];
		memcpy(off, conv->out[0]->type.dim, sizeof off);
		memcpy(mask, off, sizeof mask);
		off[1] = og * taps * s.n;
		mask[1] = og * taps;
		WqTensor *ones = wq_tensor_new(m, t, 2 + s.n, mask);
		for (int64_t k = 0; k < wq_tensor_count(ones); k++)
			wq_tensor_set_f(ones, k, 1);
		v[2] = wq_const(m->main, NULL, wq_tensor_new(m, t, 2 + s.n, off));
		v[4] = rng_below(&r, 2) ? wq_const(m->main, NULL, ones) : NULL;
		WqNode *n = wq_node_new(m->main, OP_DeformConv, 5, v);
		set_window(n, &s, false);
		wq_set_i(n, "group", group);
		wq_set_i(n, "offset_group", og);
		wq_output(m->main, "deform", finish(n));
		WqArena *a = wq_arena_new();
		WqRt **out = run_graph(a, m, NULL, true);
		WqStr why = { .a = a };
		CHECK_MSG(same_value(out[0], out[1], 1e-5, &why), "DeformConv: %s", why.s);
		drop_all(out, 2);
		wq_arena_free(a);
		wq_module_free(m);
	}
}

/* What a model may get wrong about an operator is told when it is built. */
TEST(wrong_shapes_are_told)
{
	static const struct {
		WqOp op;
		int n, rank[3];
		int64_t dim[3][4], group;
		const char *why;
	} cases[] = {
		{ OP_MatMul, 2, { 2, 2 }, { { 2, 3 }, { 4, 5 } }, 0, "3 against 4" },
		{ OP_MatMul, 2, { 0, 2 }, { { 0 }, { 4, 5 } }, 0, "scalar" },
		{ OP_Conv, 2, { 2, 2 }, { { 2, 3 }, { 4, 5 } }, 1, "at least 3" },
		{ OP_Conv, 2, { 4, 3 }, { { 1, 3, 5, 5 }, { 4, 3, 3 } }, 1, "the weight has 3 axes" },
		{ OP_Conv, 2, { 4, 4 }, { { 1, 3, 5, 5 }, { 4, 2, 3, 3 } }, 1, "input channels" },
		{ OP_Conv, 2, { 4, 4 }, { { 1, 3, 5, 5 }, { 4, 1, 3, 3 } }, 3, "do not divide" },
		{ OP_Conv, 2, { 4, 4 }, { { 1, 3, 5, 5 }, { 4, 3, 7, 3 } }, 1, "larger than the padded input" },
		{ OP_Conv, 2, { 4, 4 }, { { 1, 3, 5, 5 }, { 4, 3, 3, 3 } }, 0, "group is 0" },
		{ OP_Conv, 3, { 4, 4, 1 }, { { 1, 3, 5, 5 }, { 4, 3, 3, 3 }, { 5 } }, 1, "bias" },
		{ OP_ConvTranspose, 2, { 4, 4 }, { { 1, 3, 5, 5 }, { 4, 3, 3, 3 } }, 1, "input channels" },
		{ OP_Attention, 3, { 4, 4, 3 }, { { 1, 2, 3, 4 }, { 1, 2, 3, 4 }, { 1, 2, 3 } }, 0, "not 4" },
		{ OP_Attention, 3, { 4, 4, 4 }, { { 1, 3, 3, 4 }, { 1, 2, 3, 4 }, { 1, 2, 3, 4 } }, 0, "the heads of q cannot share those of k: 3 by 2" },
		{ OP_Attention, 3, { 4, 4, 4 }, { { 1, 2, 3, 4 }, { 1, 2, 3, 5 }, { 1, 2, 3, 4 } }, 0, "head sizes" },
	};
	for (int i = 0; i < WQ_COUNTOF(cases); i++) {
		WqModule *m = wq_module_new("t");
		WqValue *v[3];
		for (int k = 0; k < cases[i].n; k++)
			v[k] = image(m, wq_sprintf(m->arena, "x%d", k), cases[i].rank[k], cases[i].dim[k]);
		WqNode *n = wq_node_new(m->main, cases[i].op, cases[i].n, v);
		if (cases[i].op == OP_Conv || cases[i].op == OP_ConvTranspose)
			wq_set_i(n, "group", cases[i].group);
		CHECK_ERROR(WQ_EINPUT, cases[i].why, wq_node_finish(n, 1, NULL));
		wq_module_free(m);
	}
}

/* ---- products ---------------------------------------------------------------------------------------------- */

TEST(products)
{
	Rng r = { 4 };
	static const int64_t sizes[] = { 1, 2, 3, 7, 16, 33, 64, 130 };
	for (int i = 0; i < ROUNDS; i++) {
		WqModule *m = wq_module_new("t");
		int64_t M = sizes[rng_below(&r, 8)], N = sizes[rng_below(&r, 8)], K = i % 10 ? sizes[rng_below(&r, 8)] : 3000;
		int64_t p = 1 + rng_below(&r, 3), q = 1 + rng_below(&r, 3);
		int shape = rng_below(&r, 5);
		int64_t a[4] = { p, q, M, K }, b[4] = { shape & 1 ? 1 : p, shape & 2 ? 1 : q, K, N };
		int skip = rng_below(&r, 3), skip_b = shape == 4 ? 2 : rng_below(&r, 3);
		WqValue *v[2] = { image(m, "a", 4 - skip, a + skip),
			rng_below(&r, 2) ? weight(m, &r, WQ_F32, 4 - skip_b, b + skip_b) : image(m, "b", 4 - skip_b, b + skip_b) };
		wq_output(m->main, "y", wq_build(m->main, OP_MatMul, 2, v));
		check_module(m, "MatMul", 2e-5);
		wq_module_free(m);
	}
}

/* Sums of integers wrap around in their own type. */
TEST(integer_products_wrap)
{
	static const WqDtype types[] = { WQ_I8, WQ_U8, WQ_I16, WQ_U16, WQ_I32, WQ_U32, WQ_I64, WQ_U64 };
	enum { M = 3, N = 5, K = 40 };
	for (int k = 0; k < WQ_COUNTOF(types); k++) {
		WqModule *m = wq_module_new("t");
		WqDtype t = types[k];
		WqTensor *a = wq_tensor_new(m, t, 2, (int64_t[]){ M, K }), *b = wq_tensor_new(m, t, 2, (int64_t[]){ K, N });
		Rng r = { (uint64_t)k };
		for (int i = 0; i < M * K; i++)
			wq_tensor_set_i(a, i, (int64_t)((uint64_t)rng_u32(&r) * 0x9e3779b97f4a7c15u));
		for (int i = 0; i < K * N; i++)
			wq_tensor_set_i(b, i, (int64_t)((uint64_t)rng_u32(&r) * 0x9e3779b97f4a7c15u));
		WqValue *v[2] = { wq_const(m->main, NULL, a), wq_const(m->main, NULL, b) };
		wq_output(m->main, "y", wq_build(m->main, OP_MatMul, 2, v));
		WqArena *tmp = wq_arena_new();
		WqRt **out = run_graph(tmp, m, NULL, false);
		WqTensor *want = wq_tensor_new(m, t, 0, NULL);
		for (int i = 0; i < M * N; i++) {
			uint64_t sum = 0;
			for (int q = 0; q < K; q++)
				sum += (uint64_t)wq_tensor_get_i(a, i / N * K + q) * (uint64_t)wq_tensor_get_i(b, q * N + i % N);
			wq_tensor_set_i(want, 0, (int64_t)sum);
			CHECK_EQ(wq_tensor_get_i(&out[0]->t, i), wq_tensor_get_i(want, 0));
		}
		drop_all(out, 1);
		wq_arena_free(tmp);
		wq_module_free(m);
	}
}

/* ---- channels-last ------------------------------------------------------------------------------------------- */

/* A convolution's result through everything that may meet it: its own kind of operator, others, and an output. */
TEST(images_keep_their_meaning)
{
	Rng r = { 5 };
	for (int i = 0; i < 20; i++) {
		WqModule *m = wq_module_new("t");
		WqGraph *g = m->main;
		int64_t x[] = { 2, 3, 9, 7 }, w[] = { 8, 3, 3, 3 }, w2[] = { 8, 8, 1, 1 }, chan[] = { 8, 1, 1 }, row[] = { 7 }, full[] = { 8, 7, 5 };
		WqValue *v[3] = { image(m, "x", 4, x), weight(m, &r, WQ_F32, 4, w), NULL };
		WqValue *a = wq_build(g, OP_Conv, 3, v), *b = a;
		int64_t whole[] = { 2, 8, 7, 5 };
		for (int k = 0; k < 6; k++) {
			WqValue *with[3] = { b, NULL, NULL };
			switch (rng_below(&r, 8)) {
			case 0:
				with[1] = weight(m, &r, WQ_F32, 3, chan);
				b = wq_build(g, OP_Mul, 2, with);
				break;
			case 1:
				with[1] = image(m, "full", 4, whole); /* as the model gives it */
				b = wq_build(g, OP_Sub, 2, with);
				break;
			case 2:
				with[1] = a;
				b = wq_build(g, OP_Add, 2, with);
				break;
			case 3:
				with[1] = weight(m, &r, WQ_F32, 3, full);
				b = wq_build(g, OP_Max, 2, with);
				break;
			case 4:
				with[1] = weight(m, &r, WQ_F32, 4, w2);
				b = wq_build(g, OP_Conv, 3, with);
				break;
			case 5: {
				WqValue *less[2] = { b, a };
				WqValue *pick[3] = { wq_build(g, OP_Less, 2, less), b, a };
				b = wq_build(g, OP_Where, 3, pick);
				break;
			}
			case 6: {
				WqNode *n = wq_node_new(g, OP_Softmax, 1, &b);
				wq_set_i(n, "axis", 1);
				b = finish(n);
				break;
			}
			default: {
				with[1] = wq_build(g, OP_Relu, 1, &a);
				WqNode *n = wq_node_new(g, OP_Concat, 2, with);
				wq_set_i(n, "axis", -3);
				WqValue *cat = finish(n);
				wq_output(g, wq_sprintf(m->arena, "cat%d", k), cat);
			}
			}
		}
		(void)row;
		wq_output(g, "a", a);
		wq_output(g, "b", b);
		check_module(m, "images", 1e-4);
		wq_module_free(m);
	}
}

/* A model of free batch: the primitive of one size must not serve another. */
TEST(sizes_may_change_between_runs)
{
	WqModule *m = wq_module_new("t");
	Rng r = { 6 };
	WqDim dim[] = { wq_dim_sym(m, "N"), 3, wq_dim_sym(m, "H"), 8 };
	WqType t = wq_type_tensor(WQ_F32, 4, dim);
	int64_t w[] = { 4, 3, 3, 3 };
	WqValue *v[2] = { wq_input(m->main, "x", &t), weight(m, &r, WQ_F32, 4, w) };
	wq_output(m->main, "y", wq_build(m->main, OP_Conv, 2, v));
	WqEngine *fast = wq_engine_new(m, &(WqEngineOptions){ .threads = 1 });
	WqEngine *plain = wq_engine_new(m, &(WqEngineOptions){ .threads = 1, .plain = true });
	WqStr why = { .a = m->arena };
	for (int i = 0; i < 6; i++) {
		int64_t shape[] = { 1 + i % 3, 3, 5 + i % 2, 8 };
		WqRt *x = wq_rt_borrow(random_tensor(m, &r, WQ_F32, 4, shape)), *y[2];
		wq_engine_run(fast, &x, &y[0]);
		wq_engine_run(plain, &x, &y[1]);
		CHECK_MSG(same_value(y[1], y[0], 1e-5, &why), "%s", why.s);
		drop_all(y, 2);
		wq_rt_unref(x);
	}
	wq_engine_free(fast);
	wq_engine_free(plain);
	wq_module_free(m);
}

TEST_MAIN(TEST_RUN(convolutions) TEST_RUN(pools) TEST_RUN(axes_of_one_do_not_matter) TEST_RUN(windows_of_symbolic_sizes)
	TEST_RUN(deformed_by_nothing) TEST_RUN(wrong_shapes_are_told) TEST_RUN(products) TEST_RUN(integer_products_wrap)
		TEST_RUN(images_keep_their_meaning) TEST_RUN(sizes_may_change_between_runs))
