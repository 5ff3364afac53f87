/* scale_test: graphs of many thousand nodes, each of a shape that a careless loop would walk once per node. What is linear takes a second
 * or less; what is quadratic takes minutes.
 */
#include "engine/engine.h"
#include "passes/pass.h"
#include "tests/test.h"

#include <time.h>

enum { N = 20000, LIMIT = 60 }; /* nodes; seconds, for the slowest sanitizer on the slowest machine */

static WqModule *m;
static WqGraph *g;

static WqValue *begin(int rank, const WqDim *dim)
{
	m = wq_module_new("scale");
	m->fold = wq_engine_fold;
	g = m->main;
	WqType t = wq_type_tensor(WQ_F32, rank, dim);
	return wq_input(g, "x", &t);
}

static int nodes(void)
{
	int k = 0;
	WQ_FOR_NODES(n, g)
		k++;
	return k;
}

/* Optimises, prints, parses back and evaluates; returns the number of nodes that are left. */
static int all(void)
{
	clock_t from = clock();
	wq_passes(m, "opt");
	int left = nodes();
	WqArena *a = wq_arena_new();
	WqStr text = { .a = a }, faults = { .a = a };
	wq_print(m, &text, NULL, 16);
	WqModule *again = wq_parse("scale", text.s, text.n, (WqMapped){ 0 });
	CHECK(wq_verify(again, &faults));
	wq_module_free(again);
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){ .threads = 1 });
	WqRt **in = WQ_NEW_N(a, WqRt *, g->inputs.n), **out = WQ_NEW_N(a, WqRt *, g->outputs.n);
	for (int i = 0; i < g->inputs.n; i++) {
		const WqType *t = &g->inputs.v[i]->type;
		in[i] = wq_rt_tensor(t->dtype, t->rank, t->dim);
		memset(in[i]->t.data, 0, wq_tensor_bytes(&in[i]->t));
	}
	wq_engine_run(e, in, out);
	for (int i = 0; i < g->outputs.n; i++)
		wq_rt_unref(out[i]);
	for (int i = 0; i < g->inputs.n; i++)
		wq_rt_unref(in[i]);
	wq_engine_free(e);
	wq_arena_free(a);
	wq_module_free(m);
	double seconds = (double)(clock() - from) / CLOCKS_PER_SEC;
	CHECK_MSG(seconds < LIMIT, "%.1f seconds", seconds);
	return left;
}

static const WqDim matrix[] = { 3, 4 };

TEST(chain)
{
	static const WqOp ops[] = { OP_Relu, OP_Sigmoid, OP_Tanh, OP_Neg, OP_Abs };
	WqValue *v = begin(2, matrix);
	for (int i = 0; i < N; i++)
		v = wq_build(g, ops[i % 5], 1, &v);
	wq_output(g, "y", v);
	CHECK(all() > 0);
}

TEST(one_value_for_all)
{
	WqValue *x = begin(2, matrix), **v = WQ_NEW_N(m->arena, WqValue *, N);
	for (int i = 0; i < N; i++)
		v[i] = wq_build(g, OP_Exp, 1, &x);
	WqNode *n = wq_node_new(g, OP_Concat, N, v);
	wq_set_i(n, "axis", 0);
	wq_output(g, "y", wq_node_value(n, NULL));
	CHECK_EQ(all(), 2);
}

TEST(every_node_is_an_output)
{
	WqValue *v = begin(2, matrix), *one = wq_const_scalar(g, WQ_F32, 1);
	for (int i = 0; i < N; i++) {
		v = wq_build(g, OP_Mul, 2, (WqValue *[]){ v, one });
		wq_output(g, wq_sprintf(m->arena, "y%d", i), v);
	}
	CHECK_EQ(all(), 0);
}

TEST(transposes)
{
	WqValue *v = begin(2, matrix);
	for (int i = 0; i < N; i++)
		v = wq_build(g, i % 2 ? OP_Relu : OP_Transpose, 1, &v);
	wq_output(g, "y", v);
	CHECK(all() <= N / 2 + 1);
}

TEST(nested_concatenations)
{
	WqValue *x = begin(2, matrix), *v = x;
	for (int i = 0; i < N; i++) {
		WqNode *n = wq_node_new(g, OP_Concat, 2, (WqValue *[]){ v, x });
		wq_set_i(n, "axis", 1);
		v = wq_node_value(n, NULL);
	}
	wq_output(g, "y", v);
	CHECK_EQ(all(), 1);
}

/* Written out they would have 2^20 operands. */
TEST(doubled_concatenations)
{
	WqValue *v = begin(2, matrix);
	for (int i = 0; i < 20; i++) {
		WqNode *n = wq_node_new(g, OP_Concat, 2, (WqValue *[]){ v, v });
		wq_set_i(n, "axis", 0);
		v = wq_node_value(n, NULL);
	}
	wq_output(g, "y", v);
	CHECK_EQ(all(), 20);
}

TEST(affine_chain)
{
	static const float weights[16] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	WqValue *v = begin(2, matrix);
	WqTensor w = { .dtype = WQ_F32, .rank = 2, .dim = { 4, 4 }, .data = (void *)weights };
	WqValue *c = wq_const(g, "w", &w);
	for (int i = 0; i < N / 4; i++) {
		v = wq_build(g, OP_MatMul, 2, (WqValue *[]){ v, c });
		v = wq_build(g, OP_Mul, 2, (WqValue *[]){ v, wq_const_scalar(g, WQ_F32, 2) });
		v = wq_build(g, OP_Add, 2, (WqValue *[]){ v, v });
	}
	wq_output(g, "y", v);
	CHECK(all() > 0);
}

static WqGraph *branch(WqOp op, WqValue *v)
{
	WqGraph *b = wq_graph_new(g);
	wq_output(b, "r", wq_build(b, op, 1, &v));
	return b;
}

TEST(nested_graphs)
{
	WqType t = wq_type_tensor(WQ_BOOL, 0, NULL);
	WqValue *v = begin(2, matrix), *go = wq_input(g, "go", &t);
	for (int i = 0; i < N / 2; i++) {
		WqNode *n = wq_node_new(g, OP_If, 1, &go);
		wq_node_add_body(n, branch(OP_Neg, v));
		wq_node_add_body(n, branch(OP_Exp, v));
		wq_node_finish(n, 1, NULL);
		v = n->out[0];
	}
	wq_output(g, "y", v);
	CHECK_EQ(all(), N / 2);
}

TEST_MAIN(TEST_RUN(chain) TEST_RUN(one_value_for_all) TEST_RUN(every_node_is_an_output) TEST_RUN(transposes)
	TEST_RUN(nested_concatenations) TEST_RUN(doubled_concatenations) TEST_RUN(affine_chain) TEST_RUN(nested_graphs))
