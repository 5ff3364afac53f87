/* lower_random.c: random numbers, and dropout, which is the identity unless it is told to train. */
#include "frontend/lower.h"

static WqNode *random_node(Lower *L, WqOp op, WqValue *shape, WqDtype t)
{
	WqNode *n = lo_node(L, op, 1, shape);
	wq_set_i(n, "dtype", t);
	bool whole = !strcmp(L->op, "Dropout"); /* its seed is an integer */
	if (lo_has(L, "seed"))
		wq_set_f(n, "seed", whole ? (double)lo_i(L, "seed", 0) : lo_f(L, "seed", 0));
	return n;
}

static WqValue *shape_of(Lower *L, WqValue *x)
{
	return x->type.rank >= 0 ? wq_dims(L->g, x->type.rank, x->type.dim) : lo1(L, OP_Shape, x);
}

static WqValue *shape_attr(Lower *L)
{
	int n;
	const int64_t *shape = lo_ints(L, "shape", &n);
	if (!shape)
		lo_bad(L, "attribute 'shape' is missing");
	return lo_i64s(L, n, shape);
}

static void uniform(Lower *L, WqValue *shape, WqDtype t)
{
	WqNode *n = random_node(L, OP_RandomUniform, shape, t);
	wq_set_f(n, "low", lo_f(L, "low", 0));
	wq_set_f(n, "high", lo_f(L, "high", 1));
	lo_out(L, 0, lo_result(L, n));
}

static void normal(Lower *L, WqValue *shape, WqDtype t)
{
	WqNode *n = random_node(L, OP_RandomNormal, shape, t);
	wq_set_f(n, "mean", lo_f(L, "mean", 0));
	wq_set_f(n, "scale", lo_f(L, "scale", 1));
	lo_out(L, 0, lo_result(L, n));
}

void lower_RandomUniform(Lower *L) { uniform(L, shape_attr(L), lo_dtype(L, "dtype", WQ_F32)); }
void lower_RandomNormal(Lower *L) { normal(L, shape_attr(L), lo_dtype(L, "dtype", WQ_F32)); }

void lower_RandomUniformLike(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	uniform(L, shape_of(L, x), lo_dtype(L, "dtype", x->type.dtype));
}

void lower_RandomNormalLike(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	normal(L, shape_of(L, x), lo_dtype(L, "dtype", x->type.dtype));
}

void lower_Bernoulli(Lower *L)
{
	WqValue *p = lo_need(L, 0);
	WqValue *u = lo_result(L, random_node(L, OP_RandomUniform, shape_of(L, p), p->type.dtype));
	lo_out(L, 0, lo_cast(L, lo2(L, OP_Less, u, p), lo_dtype(L, "dtype", p->type.dtype)));
}

/* The class with the largest log-probability plus Gumbel noise is distributed as asked. */
void lower_Multinomial(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int64_t samples = lo_i(L, "sample_size", 1);
	if (lo_rank(L, x) != 2)
		lo_bad(L, "the operand has rank %d instead of 2", x->type.rank);
	if (samples < 1)
		lo_bad(L, "attribute 'sample_size' is %lld", (long long)samples);
	WqDim dim[3] = { x->type.dim[0], samples, x->type.dim[1] };
	WqValue *u = lo_result(L, random_node(L, OP_RandomUniform, wq_dims(L->g, 3, dim), WQ_F32));
	WqValue *noise = lo1(L, OP_Neg, lo1(L, OP_Log, lo1(L, OP_Neg, lo1(L, OP_Log, u))));
	WqValue *logits = lo_unsqueeze(L, lo_cast(L, x, WQ_F32), 1, (int64_t[]){ 1 });
	WqNode *best = lo_node(L, OP_ArgMax, 1, lo2(L, OP_Add, logits, noise));
	wq_set_i(best, "axis", 2);
	wq_set_i(best, "keepdims", 0);
	lo_out(L, 0, lo_cast(L, lo_result(L, best), lo_dtype(L, "dtype", WQ_I32)));
}

/* ---- dropout ---------------------------------------------------------------------------------------------- */

static WqValue *all_true(Lower *L, WqValue *x) { return lo2(L, OP_Expand, lo_scalar(L, WQ_BOOL, 1), shape_of(L, x)); }

/* Keeps an element where the random number is at least the ratio, and scales what is kept. */
static void dropout_train(Lower *L, WqValue *x, WqValue *ratio, WqValue *train)
{
	WqValue *u = lo_result(L, random_node(L, OP_RandomUniform, shape_of(L, x), WQ_F32));
	WqValue *keep = lo2(L, OP_LessOrEqual, ratio, u), *one = lo_scalar(L, WQ_F32, 1);
	if (train)
		keep = lo2(L, OP_Or, keep, lo1(L, OP_Not, train));
	WqValue *scale = lo2(L, OP_Div, one, lo2(L, OP_Sub, one, ratio));
	if (train)
		scale = lo3(L, OP_Where, train, scale, one);
	WqValue *y = lo2(L, OP_Mul, x, lo_cast(L, scale, x->type.dtype));
	lo_out(L, 0, lo3(L, OP_Where, keep, y, lo_like(L, x, 0)));
	lo_out(L, 1, keep);
}

/* Before version 12 whether to train was the runtime's choice (or is_test's): here it is inference. */
void lower_Dropout(Lower *L)
{
	WqValue *x = lo_need(L, 0), *train = L->version >= 12 ? lo_in(L, 2) : NULL;
	WqValue *ratio = train ? lo_in(L, 1) : NULL;
	double on = 0, part;
	bool drops = train && !(ratio && lo_const_scalar(L, ratio, &part) && part == 0);
	if (drops && (!lo_const_scalar(L, train, &on) || on != 0)) {
		ratio = ratio ? lo_scalar_of(L, lo_cast(L, ratio, WQ_F32)) : lo_scalar(L, WQ_F32, 0.5);
		dropout_train(L, x, ratio, on != 0 ? NULL : lo_scalar_of(L, train));
		return;
	}
	lo_out(L, 0, x);
	if (lo_wants(L, 1))
		lo_out(L, 1, lo_cast(L, all_true(L, x), L->version >= 10 ? WQ_BOOL : x->type.dtype));
}
