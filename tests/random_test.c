/* random_test: random graphs of core operators, evaluated before and after each pass, must agree: to the bit for
 * the passes that promise it, to rounding for the others. random_test [SEED [COUNT]]; a failure prints its seed,
 * the pass, and the graph.
 */
#include "tests/eval.h"

typedef struct Gen {
	WqModule *m;
	WqGraph *g;
	Rng r;
	bool smooth; /* no operator that makes a jump of a rounding error */
	int depth;
	WQ_VEC(WqValue *) pool;
} Gen;

static int below(Gen *x, int n) { return rng_below(&x->r, n); }

static WqValue *keep(Gen *x, WqValue *v)
{
	WQ_PUSH(x->m->arena, x->pool, v);
	return v;
}

/* A value of this type; recent ones more often, so that chains grow. NULL if there is none. */
static WqValue *pick(Gen *x, WqDtype t, int min_rank)
{
	for (int tries = 0; tries < 20; tries++) {
		int n = x->pool.n, back = below(x, below(x, 3) ? (n < 6 ? n : 6) : n);
		WqValue *v = x->pool.v[n - 1 - back];
		if ((t == WQ_UNDEF || v->type.dtype == t) && v->type.rank >= min_rank)
			return v;
	}
	return NULL;
}

static WqValue *finish(Gen *x, WqNode *n)
{
	wq_node_finish(n, 1, NULL);
	return keep(x, n->out[0]);
}

static WqNode *node(Gen *x, WqOp op, int n, ...)
{
	WqValue *in[6];
	va_list ap;
	va_start(ap, n);
	for (int i = 0; i < n; i++)
		in[i] = va_arg(ap, WqValue *);
	va_end(ap);
	return wq_node_new(x->g, op, n, in);
}

/* A constant that broadcasts against v; often one of the numbers that rules look for. */
static WqValue *constant(Gen *x, const WqValue *v)
{
	static const double special[] = { 0, 1, -1, 2, 0.5, -0.0, 3, 4 };
	int64_t dim[WQ_MAX_RANK];
	int rank = below(x, 2) ? 0 : below(x, v->type.rank + 1);
	for (int d = 0; d < rank; d++) {
		WqDim full = v->type.dim[v->type.rank - rank + d];
		dim[d] = wq_dim_static(full) && below(x, 3) ? full : 1;
	}
	WqTensor *t = random_tensor(x->m, &x->r, v->type.dtype, rank, dim);
	double s = special[below(x, WQ_COUNTOF(special))];
	for (int64_t i = 0; below(x, 3) && i < wq_tensor_count(t); i++)
		wq_tensor_set_f(t, i, v->type.dtype == WQ_BOOL ? s != 0 : s);
	return wq_const(x->g, NULL, t);
}

static bool broadcasts(const WqValue *a, const WqValue *b)
{
	for (int i = 1; i <= a->type.rank && i <= b->type.rank; i++) {
		WqDim p = a->type.dim[a->type.rank - i], q = b->type.dim[b->type.rank - i];
		if (p != q && p != 1 && q != 1)
			return false;
	}
	return true;
}

static WqValue *partner(Gen *x, const WqValue *v)
{
	WqValue *w = below(x, 2) ? pick(x, v->type.dtype, 0) : NULL;
	return w && broadcasts(v, w) ? w : constant(x, v);
}

static void unary(Gen *x)
{
	static const WqOp soft[] = { OP_Neg, OP_Abs, OP_Relu, OP_Tanh, OP_Sigmoid, OP_Neg, OP_Sin, OP_Erf };
	static const WqOp hard[] = { OP_Floor, OP_Ceil, OP_Round, OP_Sign };
	static const WqOp whole[] = { OP_Neg, OP_Abs, OP_Relu, OP_Sign, OP_BitwiseNot };
	WqValue *v = pick(x, WQ_UNDEF, 0);
	WqDtype t = v->type.dtype;
	WqOp op = t == WQ_BOOL		    ? OP_Not
		  : wq_dtype_is_int(t)	    ? whole[below(x, WQ_COUNTOF(whole))]
		  : x->smooth || below(x, 2) ? soft[below(x, WQ_COUNTOF(soft))]
					    : hard[below(x, WQ_COUNTOF(hard))];
	finish(x, node(x, op, 1, v));
}

static void binary(Gen *x)
{
	static const WqOp ops[] = { OP_Add, OP_Mul, OP_Sub, OP_Max, OP_Min, OP_Add, OP_Mul };
	static const WqOp logic[] = { OP_And, OP_Or, OP_Xor };
	WqValue *v = pick(x, WQ_UNDEF, 0), *w = partner(x, v);
	bool flip = below(x, 4) == 0;
	WqOp op = v->type.dtype == WQ_BOOL ? logic[below(x, 3)] : ops[below(x, WQ_COUNTOF(ops))];
	finish(x, node(x, op, 2, flip ? w : v, flip ? v : w));
}

static void divide(Gen *x)
{
	WqValue *v = pick(x, WQ_F32, 0);
	double by[] = { 1, 2, 4, 3, -1, 0.5 };
	if (v)
		finish(x, node(x, OP_Div, 2, v, wq_const_scalar(x->g, WQ_F32, by[below(x, WQ_COUNTOF(by))])));
}

static void compare(Gen *x)
{
	static const WqOp ops[] = { OP_Equal, OP_Less, OP_LessOrEqual };
	WqValue *v = pick(x, x->smooth ? WQ_I32 : below(x, 2) ? WQ_I32 : WQ_F32, 0);
	if (v)
		finish(x, node(x, ops[below(x, 3)], 2, v, partner(x, v)));
}

static void choose(Gen *x)
{
	WqValue *c = pick(x, WQ_BOOL, 0), *v = pick(x, WQ_UNDEF, 0);
	if (!c || !broadcasts(c, v))
		return;
	WqValue *w = partner(x, v);
	if (broadcasts(c, w))
		finish(x, node(x, OP_Where, 3, c, v, w));
}

static void cast(Gen *x)
{
	static const WqDtype to[] = { WQ_F32, WQ_F64, WQ_F32, WQ_I32, WQ_I64, WQ_BOOL, WQ_I8, WQ_U8 };
	WqValue *v = pick(x, WQ_UNDEF, 0);
	bool from_float = wq_dtype_is_float(v->type.dtype);
	WqDtype t = to[below(x, from_float ? (x->smooth ? 3 : 2)
					   : WQ_COUNTOF(to))]; /* float to integer is not defined for all */
	WqNode *n = node(x, OP_Cast, 1, v);
	wq_set_i(n, "to", t);
	finish(x, n);
}

static void transpose(Gen *x)
{
	WqValue *v = pick(x, WQ_UNDEF, 2);
	int64_t perm[WQ_MAX_RANK] = { 0 };
	if (!v)
		return;
	for (int d = 0; d < v->type.rank; d++) {
		int k = below(x, d + 1);
		perm[d] = perm[k];
		perm[k] = d;
	}
	WqNode *n = node(x, OP_Transpose, 1, v);
	if (below(x, 5))
		wq_set_ints(n, "perm", v->type.rank, perm);
	finish(x, n);
}

/* Another order of the same dims with one inserted, or two neighbours joined. */
static void reshape(Gen *x)
{
	WqValue *v = pick(x, WQ_UNDEF, 1);
	WqDim dim[WQ_MAX_RANK];
	int n = 0;
	if (!v || v->type.rank > 5)
		return;
	int at = below(x, v->type.rank), how = below(x, 3);
	for (int d = 0; d < v->type.rank; d++) {
		if (how == 0 && d == at)
			dim[n++] = 1;
		if (how == 1 && d == at && d > 0)
			dim[n - 1] = wq_dim_mul(x->m, dim[n - 1], v->type.dim[d]);
		else if (!(how == 2 && v->type.dim[d] == 1))
			dim[n++] = v->type.dim[d];
	}
	WqNode *r = node(x, OP_Reshape, 2, v, wq_dims(x->g, n, dim));
	wq_set_i(r, "allowzero", 1);
	finish(x, r);
}

static void slice(Gen *x)
{
	WqValue *v = pick(x, WQ_UNDEF, 1);
	if (!v)
		return;
	int64_t axis = below(x, v->type.rank), size = v->type.dim[axis], one = 1;
	if (size < 1)
		return;
	int64_t from = below(x, (int)size), to = below(x, 3) ? size : from + 1,
		back = axis - (below(x, 2) ? v->type.rank : 0);
	finish(x, node(x, OP_Slice, 5, v, wq_const_i64s(x->g, 1, &from), wq_const_i64s(x->g, 1, &to),
		       wq_const_i64s(x->g, 1, &back), wq_const_i64s(x->g, 1, &one)));
}

static void concat(Gen *x)
{
	WqValue *v = pick(x, WQ_UNDEF, 1), *w = v ? pick(x, v->type.dtype, 1) : NULL;
	if (!w || !wq_type_equal(&v->type, &w->type))
		return;
	int axis = below(x, v->type.rank);
	if (!wq_dim_static(v->type.dim[axis]) || v->type.dim[axis] > 12)
		return;
	WqNode *n = node(x, OP_Concat, 2, v, w);
	wq_set_i(n, "axis", axis - (below(x, 2) ? v->type.rank : 0));
	finish(x, n);
}

static void reduce(Gen *x)
{
	static const WqOp ops[] = { OP_ReduceSum, OP_ReduceMean, OP_ReduceMax, OP_ReduceMin };
	WqValue *v = pick(x, WQ_F32, 1);
	if (!v)
		return;
	int64_t axis = below(x, v->type.rank) - (below(x, 2) ? v->type.rank : 0);
	WqNode *n = node(x, ops[below(x, 4)], 2, v, wq_const_i64s(x->g, 1, &axis));
	wq_set_i(n, "keepdims", below(x, 3) > 0);
	finish(x, n);
}

static void softmax(Gen *x)
{
	WqValue *v = pick(x, WQ_F32, 1);
	if (!v)
		return;
	WqNode *n = node(x, OP_Softmax, 1, v);
	wq_set_i(n, "axis", below(x, v->type.rank));
	finish(x, n);
}

static void expand(Gen *x)
{
	WqValue *v = pick(x, WQ_UNDEF, 0);
	WqDim dim[WQ_MAX_RANK];
	if (v->type.rank > 3)
		return;
	dim[0] = 2;
	for (int d = 0; d < v->type.rank; d++)
		dim[d + 1] = v->type.dim[d] == 1 ? 3 : v->type.dim[d];
	finish(x, node(x, OP_Expand, 2, v, wq_dims(x->g, v->type.rank + 1, dim)));
}

static void matmul(Gen *x)
{
	WqValue *v = pick(x, WQ_F32, 2);
	if (!v || !wq_dim_static(v->type.dim[v->type.rank - 1]))
		return;
	int64_t dim[] = { v->type.dim[v->type.rank - 1], 1 + below(x, 3) };
	finish(x, node(x, OP_MatMul, 2, v, wq_const(x->g, NULL, random_tensor(x->m, &x->r, WQ_F32, 2, dim))));
}

static void conv(Gen *x)
{
	WqValue *v = pick(x, WQ_F32, 3);
	if (!v || v->type.rank != 4 ||
	    !wq_type_static(&(WqType){
		    .kind = WQ_TENSOR, .rank = 3, .dim = { v->type.dim[1], v->type.dim[2], v->type.dim[3] } }))
		return;
	int64_t k = below(x, 2) + 1, dim[] = { 2, v->type.dim[1], k, k }, pads[] = { 1, 1, 1, 1 };
	if (v->type.dim[1] < 1 || v->type.dim[2] < 2 || v->type.dim[3] < 2)
		return;
	WqNode *n = node(x, OP_Conv, 2, v, wq_const(x->g, NULL, random_tensor(x->m, &x->r, WQ_F32, 4, dim)));
	if (below(x, 2))
		wq_set_ints(n, "pads", 4, pads);
	finish(x, n);
}

static void grow(Gen *x, int n);

static WqGraph *branch(Gen *x, WqValue **v)
{
	Gen y = *x;
	y.g = wq_graph_new(x->g);
	y.pool = (typeof(y.pool)){ 0 };
	y.depth++;
	for (int i = 0; i < x->pool.n; i++)
		keep(&y, x->pool.v[i]);
	grow(&y, 4);
	*v = y.pool.v[y.pool.n - 1];
	x->r = y.r;
	return y.g;
}

/* Both branches must give one type: the second ends in a value of the first's, or in the same. */
static void branches(Gen *x)
{
	WqValue *c = pick(x, WQ_BOOL, 0), *a, *b;
	if (!c || c->type.rank || x->depth)
		return;
	WqGraph *yes = branch(x, &a), *no = branch(x, &b);
	if (a->graph != yes || b->graph != no || !wq_type_equal(&a->type, &b->type)) {
		/* what was built is not used: take the uses back */
		WqNode *n = node(x, OP_If, 1, c);
		wq_node_add_body(n, yes);
		wq_node_add_body(n, no);
		wq_node_finish(n, 0, NULL);
		return;
	}
	WqNode *n = node(x, OP_If, 1, c);
	wq_output(yes, "a", a);
	wq_output(no, "b", b);
	wq_node_add_body(n, yes);
	wq_node_add_body(n, no);
	finish(x, n);
}

static void grow(Gen *x, int n)
{
	static void (*const make[])(Gen *) = { unary,     binary,  binary, divide,    compare, choose,  cast,
					       transpose, reshape, slice,  concat,    reduce,  softmax, expand,
					       matmul,    conv,    unary,  transpose, branches };
	for (int i = 0; i < n; i++)
		make[below(x, WQ_COUNTOF(make))](x);
}

static WqModule *generate(uint64_t seed, bool smooth)
{
	WqModule *m = wq_module_new("random");
	Gen x = { .m = m, .g = m->main, .r = { seed * 7919 + 1 }, .smooth = smooth };
	static const WqDtype types[] = { WQ_F32, WQ_F32, WQ_I32, WQ_BOOL };
	WqDim n = wq_dim_sym(m, "N");
	wq_dim_bound(m, n, 1, 4);
	for (int i = 0; i < 4; i++) {
		WqDim dim[4];
		int rank = i == 0 ? 4 : below(&x, 4);
		for (int d = 0; d < rank; d++)
			dim[d] = d == 0 && below(&x, 3) == 0 ? n : 1 + below(&x, 3);
		WqType t = wq_type_tensor(types[i], rank, dim);
		keep(&x, wq_input(m->main, wq_sprintf(m->arena, "x%d", i), &t));
	}
	grow(&x, 12 + below(&x, 24));
	int outputs = 0;
	for (int i = x.pool.n - 1; i >= 4 && outputs < 4; i--)
		if (!x.pool.v[i]->uses.n || outputs == 0)
			wq_output(m->main, wq_sprintf(m->arena, "y%d", outputs++), x.pool.v[i]);
	m->fold = wq_engine_fold;
	return m;
}

/* ---- comparing ------------------------------------------------------------------------------- */

typedef struct Trial {
	uint64_t seed;
	const char *pipeline;
	double tol; /* 0: to the bit */
} Trial;

static void report(const Trial *t, WqModule *m, WqArena *a, const char *why)
{
	WqStr s = { .a = a };
	wq_print(m, &s, NULL, 64);
	fprintf(stderr, "seed %llu, %s: %s\nafter:\n%s", (unsigned long long)t->seed, t->pipeline, why, s.s);
	WqModule *was = generate(t->seed, t->tol > 0);
	WqStr w = { .a = a };
	wq_print(was, &w, NULL, 64);
	fprintf(stderr, "before:\n%s", w.s);
	wq_module_free(was);
}

static bool compared(const Trial *t)
{
	WqArena *a = wq_arena_new();
	WqModule *before = generate(t->seed, t->tol > 0), *after = generate(t->seed, t->tol > 0);
	int n = before->main->outputs.n;
	WqStr why = { .a = a };
	WqPassLog log = { .a = a };
	wq_pipeline_run(after, wq_pipeline_parse(a, t->pipeline), &log);
	WqRt **in = random_inputs(a, before, t->seed);
	WqRt **x = run_graph(a, before, in, true), **y = run_graph(a, after, in, true);
	for (int i = 0; i < n && !why.n; i++)
		same_value(x[i], y[i], t->tol, &why);
	if (log.unsettled && !why.n)
		wq_str_printf(&why, "does not settle");
	if (why.n)
		report(t, after, a, why.s);
	drop_all(x, n);
	drop_all(y, n);
	drop_all(in, before->main->inputs.n);
	wq_module_free(before);
	wq_module_free(after);
	bool ok = !why.n;
	wq_arena_free(a);
	return ok;
}

static bool agrees(const Trial *t)
{
	WqTry e;
	if (WQ_TRY(&e)) {
		bool ok = compared(t);
		wq_try_end(&e);
		return ok;
	}
	fprintf(stderr, "seed %llu, %s: %s\n", (unsigned long long)t->seed, t->pipeline, e.err.text);
	return false;
}

int main(int argc, char **argv)
{
	static const char *const exact[] = { "fold", "dce", "cse", "canon", "algebra", "sequence", "clean" };
	static const char *const rounding[] = { "canon(fast)", "algebra(fast)", "affine",
						"transpose",   "clean,fuse",    "opt" };
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
		 count = argc > 2 ? strtoull(argv[2], NULL, 10) : 300;
	int failed = 0, ran = 0;
	for (uint64_t s = first; s < first + count && failed < 3; s++) {
		for (int i = 0; i < WQ_COUNTOF(exact); i++, ran++)
			failed += !agrees(&(Trial){ s, exact[i], 0 });
		for (int i = 0; i < WQ_COUNTOF(rounding); i++, ran++)
			failed += !agrees(&(Trial){ s, rounding[i], 2e-3 });
	}
	printf("seeds %llu to %llu: %d passed, %d failed\n", (unsigned long long)first,
	       (unsigned long long)(first + count - 1), ran - failed, failed);
	return failed != 0;
}
