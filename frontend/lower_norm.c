/* lower_norm.c: normalisation, and the contrib operators that fuse an addition with it.
 *
 * Statistics of half-precision tensors are taken in f32 (ONNX: stash_type), which the core operators do by themselves.
 */
#include "frontend/lower.h"

/* The type in which statistics over values of type t are computed. */
static WqDtype wide(WqDtype t) { return t == WQ_F64 ? WQ_F64 : WQ_F32; }

static WqValue *plus(Lower *L, WqValue *a, double b) { return lo2(L, OP_Add, a, lo_like(L, a, b)); }

static WqValue *scaled(Lower *L, WqValue *a, double b) { return lo2(L, OP_Mul, a, lo_like(L, a, b)); }

/* ---- BatchNormalization ---------------------------------------------------------------------- */

typedef struct Batch {
	int rank;
	bool spatial; /* parameters are per channel; else per element of a sample */
	WqDtype t;    /* of the computation */
	double epsilon, momentum;
	WqValue *x, *scale, *bias, *mean, *var; /* in t */
} Batch;

static WqValue *spread(Lower *L, const Batch *b, WqValue *v)
{
	return b->spatial && b->rank > 1 ? lo_per_channel(L, v, b->rank) : v;
}

/* x*a + c with a = scale / sqrt(var + epsilon), c = bias - mean*a: constants in a trained model, so that they fold into
 * the convolution before. */
static WqValue *batch_apply(Lower *L, const Batch *b, WqValue *mean, WqValue *var)
{
	WqValue *a = lo2(L, OP_Div, b->scale, lo1(L, OP_Sqrt, plus(L, var, b->epsilon)));
	WqValue *c = lo2(L, OP_Sub, b->bias, lo2(L, OP_Mul, mean, a));

	return lo2(L, OP_Add, lo2(L, OP_Mul, b->x, spread(L, b, a)), spread(L, b, c));
}

static WqValue *batch_mean(Lower *L, const Batch *b, WqValue *x, bool keepdims)
{
	int64_t axes[WQ_MAX_RANK];
	int n = 0;

	for (int i = 0; i < b->rank; i++)
		if (i == 0 || (b->spatial && i > 1))
			axes[n++] = i;
	/* a single axis is N with one channel: the parameters still have one element */
	return lo_reduce(L, OP_ReduceMean, x, n, axes, keepdims || b->rank == 1);
}

static WqValue *running(Lower *L, const Batch *b, WqValue *old, WqValue *now)
{
	return lo2(L, OP_Add, scaled(L, old, b->momentum), scaled(L, now, 1 - b->momentum));
}

static bool batch_training(Lower *L)
{
	bool more = false;

	for (int i = 1; i < lo_n_out(L); i++)
		more |= lo_wants(L, i);
	if (L->version >= 14)
		return lo_i(L, "training_mode", 0) != 0;
	return more && !(L->version < 7 && lo_i(L, "is_test", 0));
}

static void batch_train(Lower *L, const Batch *b)
{
	WqDtype t = lo_type_of(lo_in(L, 0)), stat = lo_type_of(lo_in(L, 3));
	WqValue *d = lo2(L, OP_Sub, b->x, batch_mean(L, b, b->x, true));
	WqValue *mean = batch_mean(L, b, b->x, false);
	WqValue *var = batch_mean(L, b, lo2(L, OP_Mul, d, d), false);

	lo_out(L, 0, lo_cast(L, batch_apply(L, b, mean, var), t));
	if (lo_wants(L, 1))
		lo_out(L, 1, lo_cast(L, running(L, b, b->mean, mean), stat));
	if (lo_wants(L, 2))
		lo_out(L, 2, lo_cast(L, running(L, b, b->var, var), stat));
	if (lo_wants(L, 3))
		lo_out(L, 3, lo_cast(L, mean, stat));
	if (lo_wants(L, 4))
		lo_out(L, 4, lo_cast(L, var, stat));
}

void lower_BatchNormalization(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	Batch b = { .rank = lo_rank(L, x),
		    .t = wide(lo_type_of(x)),
		    .epsilon = lo_f(L, "epsilon", 1e-5),
		    .momentum = lo_f(L, "momentum", 0.9) };

	if (b.rank < 1)
		lo_bad(L, "the input is a scalar");
	b.spatial = L->version >= 9 || lo_i(L, "spatial", 1) || lo_rank(L, lo_need(L, 1)) != b.rank - 1;
	b.x = lo_cast(L, x, b.t);
	b.scale = lo_cast(L, lo_need(L, 1), b.t);
	b.bias = lo_cast(L, lo_need(L, 2), b.t);
	b.mean = lo_cast(L, lo_need(L, 3), b.t);
	b.var = lo_cast(L, lo_need(L, 4), b.t);
	if (batch_training(L))
		batch_train(L, &b);
	else
		lo_out(L, 0, lo_cast(L, batch_apply(L, &b, b.mean, b.var), lo_type_of(x)));
}

/* ---- LayerNormalization, RMSNormalization ---------------------------------------------------- */

/* A scale or bias that has exactly the normalised axes goes into the core operator; others broadcast after it. */
static bool fits(Lower *L, WqValue *v, WqValue *x, int axis)
{
	int n = lo_rank(L, x) - axis;

	if (lo_type_of(v) != lo_type_of(x) || lo_rank(L, v) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (lo_dim(L, v, i) != lo_dim(L, x, axis + i))
			return false;
	return true;
}

/* LayerNormalization (or, rms, RMSNormalization) of x over [axis, rank), times scale plus bias (each may be NULL). */
static WqValue *normalise(Lower *L, bool rms, WqValue *x, int axis, double epsilon, WqValue *scale, WqValue *bias)
{
	WqValue *in_scale = scale && fits(L, scale, x, axis) ? scale : NULL;
	WqValue *in_bias = bias && !rms && (in_scale || !scale) && fits(L, bias, x, axis) ? bias : NULL;
	WqNode *n = rms ? lo_node(L, OP_RMSNormalization, 2, x, in_scale)
			: lo_node(L, OP_LayerNormalization, 3, x, in_scale, in_bias);

	wq_set_i(n, "axis", axis);
	wq_set_f(n, "epsilon", epsilon);
	WqValue *y = lo_result(L, n);
	if (scale && !in_scale)
		y = lo2(L, OP_Mul, lo_cast(L, y, lo_type_of(scale)), scale);
	if (bias && !in_bias)
		y = lo2(L, OP_Add, y, bias);
	return y;
}

/* Mean and 1 / sqrt(variance + epsilon) over [axis, rank) as extra results; mean < 0: only the second, around zero. */
static void statistics(Lower *L, WqValue *x, int axis, double epsilon, WqDtype type, int mean, int inv)
{
	int64_t axes[WQ_MAX_RANK];
	int n = 0;

	for (int i = axis; i < lo_rank(L, x); i++)
		axes[n++] = i;
	if (!lo_wants(L, inv) && !(mean >= 0 && lo_wants(L, mean)))
		return;
	x = lo_cast(L, x, wide(lo_type_of(x)));
	if (mean >= 0) {
		WqValue *m = lo_reduce(L, OP_ReduceMean, x, n, axes, true);
		lo_out(L, mean, lo_cast(L, m, type));
		x = lo2(L, OP_Sub, x, m);
	}
	WqValue *var = lo_reduce(L, OP_ReduceMean, lo2(L, OP_Mul, x, x), n, axes, true);
	WqValue *sd = lo1(L, OP_Sqrt, plus(L, var, epsilon));
	lo_out(L, inv, lo_cast(L, lo2(L, OP_Div, lo_like(L, sd, 1), sd), type));
}

static WqDtype stash_type(Lower *L)
{
	WqDtype t = lo_dtype(L, "stash_type", WQ_F32);

	if (!wq_dtype_in(t, WQ_M_FLOAT))
		lo_bad(L, "stash_type is %s", wq_dtype(t)->text);
	return t;
}

void lower_LayerNormalization(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int axis = lo_axis(L, lo_i(L, "axis", -1), lo_rank(L, x));
	double epsilon = lo_f(L, "epsilon", 1e-5);

	lo_out(L, 0, normalise(L, false, x, axis, epsilon, lo_need(L, 1), lo_in(L, 2)));
	statistics(L, x, axis, epsilon, stash_type(L), 1, 2);
}

void lower_RMSNormalization(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int axis = lo_axis(L, lo_i(L, "axis", -1), lo_rank(L, x));

	stash_type(L);
	lo_out(L, 0, normalise(L, true, x, axis, lo_f(L, "epsilon", 1e-5), lo_need(L, 1), NULL));
}

void lower_SimplifiedLayerNormalization(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int axis = lo_axis(L, lo_i(L, "axis", -1), lo_rank(L, x));
	double epsilon = lo_f(L, "epsilon", 1e-5);

	lo_out(L, 0, normalise(L, true, x, axis, epsilon, lo_need(L, 1), NULL));
	statistics(L, x, axis, epsilon, stash_type(L), -1, 1);
}

void lower_ms_SimplifiedLayerNormalization(Lower *L) { lower_SimplifiedLayerNormalization(L); }

/* ---- InstanceNormalization, GroupNormalization ----------------------------------------------- */

void lower_InstanceNormalization(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int rank = lo_rank(L, x);

	if (rank < 3)
		lo_bad(L, "the input has rank %d, at least 3 is needed", rank);
	WqValue *scale = lo_per_channel(L, lo_need(L, 1), rank), *bias = lo_per_channel(L, lo_need(L, 2), rank);
	lo_out(L, 0, normalise(L, false, x, 2, lo_f(L, "epsilon", 1e-5), scale, bias));
}

/* Version 18 has a scale and bias for each group, version 21 for each channel. */
void lower_GroupNormalization(Lower *L)
{
	WqValue *x = lo_need(L, 0), *scale = lo_need(L, 1), *bias = lo_need(L, 2);
	int rank = lo_rank(L, x);
	int64_t groups = lo_i(L, "num_groups", 0);
	WqDim dims[WQ_MAX_RANK], rest;

	if (rank < 2)
		lo_bad(L, "the input has rank %d, at least 2 is needed", rank);
	for (int i = 0; i < rank; i++)
		dims[i] = lo_dim(L, x, i);
	if (groups < 1 || (wq_dim_static(dims[1]) && dims[1] % groups))
		lo_bad(L, "%lld groups of %lld channels", (long long)groups, (long long)dims[1]);
	rest = wq_dim_floordiv(L->m, dims[1], wq_dim_const(L->m, groups));
	for (int i = 2; i < rank; i++)
		rest = wq_dim_mul(L->m, rest, dims[i]);
	stash_type(L);
	bool by_group = L->version < 21;
	WqValue *y = lo_reshape(L, x, 3, (WqDim[]){ dims[0], groups, rest });
	if (by_group) {
		scale = lo_per_channel(L, scale, 3);
		bias = lo_per_channel(L, bias, 3);
	}
	y = normalise(L, false, y, 2, lo_f(L, "epsilon", 1e-5), by_group ? scale : NULL, by_group ? bias : NULL);
	y = lo_reshape(L, y, rank, dims);
	if (!by_group) {
		y = lo2(L, OP_Mul, y, lo_per_channel(L, scale, rank));
		y = lo2(L, OP_Add, y, lo_per_channel(L, bias, rank));
	}
	lo_out(L, 0, y);
}

/* ---- LRN ------------------------------------------------------------------------------------- */

/* x / (bias + alpha * mean)^beta; the mean of squares over neighbouring channels is a pool over [N, 1, C, D...]. */
void lower_LRN(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int rank = lo_rank(L, x);
	int64_t size = lo_i(L, "size", 0);
	WqDim dims[WQ_MAX_RANK], area = 1;

	if (rank < 2)
		lo_bad(L, "the input has rank %d, at least 2 is needed", rank);
	if (size < 1 || size > INT32_MAX)
		lo_bad(L, "size is %lld", (long long)size);
	for (int i = 0; i < rank; i++) {
		dims[i] = lo_dim(L, x, i);
		area = i < 2 ? area : wq_dim_mul(L->m, area, dims[i]);
	}
	WqValue *squares = lo2(L, OP_Mul, x, x);
	WqNode *n = lo_node(L, OP_AveragePool, 1, lo_reshape(L, squares, 4, (WqDim[]){ dims[0], 1, dims[1], area }));
	wq_set_ints(n, "kernel", 2, (int64_t[]){ size, 1 });
	wq_set_ints(n, "pads", 4, (int64_t[]){ (size - 1) / 2, 0, size / 2, 0 });
	wq_set_i(n, "count_include_pad", 1);
	WqValue *mean = lo_reshape(L, lo_result(L, n), rank, dims);
	WqValue *base = plus(L, scaled(L, mean, lo_f(L, "alpha", 1e-4)), lo_f(L, "bias", 1));
	lo_out(L, 0, lo2(L, OP_Div, x, lo2(L, OP_Pow, base, lo_like(L, base, lo_f(L, "beta", 0.75)))));
}

/* ---- com.microsoft: additions fused with a normalisation ------------------------------------- */

/* Normalises input + skip (+ bias) over the last axis. Results: the norm, mean, 1/deviation, the sum. */
static void skip_norm(Lower *L, bool rms, WqValue *gamma, WqValue *beta, WqValue *bias)
{
	WqValue *sum = lo2(L, OP_Add, lo_need(L, 0), lo_need(L, 1));
	double epsilon = lo_f(L, "epsilon", 1e-12);

	if (bias)
		sum = lo2(L, OP_Add, sum, bias);
	int axis = lo_rank(L, sum) - 1;
	if (axis < 0)
		lo_bad(L, "the input is a scalar");
	lo_out(L, 0, normalise(L, rms, sum, axis, epsilon, gamma, beta));
	statistics(L, sum, axis, epsilon, WQ_F32, rms ? -1 : 1, 2);
	if (lo_wants(L, 3))
		lo_out(L, 3, sum);
}

void lower_ms_SkipLayerNormalization(Lower *L) { skip_norm(L, false, lo_need(L, 2), lo_in(L, 3), lo_in(L, 4)); }

void lower_ms_SkipSimplifiedLayerNormalization(Lower *L)
{
	if (lo_wants(L, 1))
		lo_unsupported(L, "result 'mean'");
	skip_norm(L, true, lo_need(L, 2), NULL, lo_in(L, 3));
}

/* The number of ones in each row of the mask; zeros without a mask. */
static WqValue *mask_lengths(Lower *L, WqValue *mask, WqDim batch)
{
	if (!mask)
		return lo_expand(L, lo_scalar(L, WQ_I32, 0), 1, &batch);
	WqValue *set = lo_cast(L, lo2(L, OP_Equal, mask, lo_like(L, mask, 1)), WQ_I32);
	return lo_reduce(L, OP_ReduceSum, set, 1, (int64_t[]){ 1 }, false);
}

void lower_ms_EmbedLayerNormalization(Lower *L)
{
	WqValue *ids = lo_need(L, 0), *segments = lo_in(L, 1), *positions = lo_in(L, 8);
	WqValue *sum = lo2(L, OP_Gather, lo_need(L, 2), ids);

	if (lo_rank(L, ids) != 2)
		lo_bad(L, "input_ids has rank %d, 2 is needed", lo_rank(L, ids));
	if (!positions)
		positions = lo_range(L, lo_dim(L, ids, 1));
	sum = lo2(L, OP_Add, sum, lo2(L, OP_Gather, lo_need(L, 3), positions));
	if (segments)
		sum = lo2(L, OP_Add, sum, lo2(L, OP_Gather, lo_need(L, 4), segments));
	lo_out(L, 0, normalise(L, false, sum, 2, lo_f(L, "epsilon", 1e-12), lo_need(L, 5), lo_need(L, 6)));
	if (lo_wants(L, 1))
		lo_out(L, 1, mask_lengths(L, lo_in(L, 7), lo_dim(L, ids, 0)));
	if (lo_wants(L, 2))
		lo_out(L, 2, sum);
}

/* ---- com.microsoft: additions fused with an activation --------------------------------------- */

static WqValue *with_bias(Lower *L, WqValue *x, WqValue *bias) { return bias ? lo2(L, OP_Add, x, bias) : x; }

void lower_ms_Gelu(Lower *L) { lo_out(L, 0, lo1(L, OP_Gelu, lo_need(L, 0))); }

void lower_ms_BiasGelu(Lower *L) { lo_out(L, 0, lo1(L, OP_Gelu, lo2(L, OP_Add, lo_need(L, 0), lo_need(L, 1)))); }

void lower_ms_FastGelu(Lower *L)
{
	WqNode *n = lo_node(L, OP_Gelu, 1, with_bias(L, lo_need(L, 0), lo_in(L, 1)));

	wq_set_s(n, "approximate", "tanh");
	lo_out(L, 0, lo_result(L, n));
}

void lower_ms_QuickGelu(Lower *L)
{
	WqNode *n = lo_node(L, OP_Swish, 1, lo_need(L, 0));

	wq_set_f(n, "alpha", lo_f(L, "alpha", 1.702));
	lo_out(L, 0, lo_result(L, n));
}

void lower_ms_BiasAdd(Lower *L)
{
	lo_out(L, 0, lo2(L, OP_Add, lo2(L, OP_Add, lo_need(L, 0), lo_need(L, 1)), lo_need(L, 2)));
}

/* The first half of the last axis times the GELU of the second. */
void lower_ms_BiasSplitGelu(Lower *L)
{
	WqValue *sum = lo2(L, OP_Add, lo_need(L, 0), lo_need(L, 1));
	int axis = lo_rank(L, sum) - 1;
	WqDim all = lo_dim(L, sum, axis), half = wq_dim_floordiv(L->m, all, wq_dim_const(L->m, 2));
	WqValue *gate = lo1(L, OP_Gelu, lo_slice(L, sum, axis, half, all, 1));

	lo_out(L, 0, lo2(L, OP_Mul, lo_slice(L, sum, axis, 0, half, 1), gate));
}
