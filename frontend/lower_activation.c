/* lower_activation.c: activations and the normalisations along an axis, composed of elementwise operators and
 * reductions.
 *
 * Each is written so that no branch that is not taken overflows (exp sees min(x, 0), never a large x): its
 * gradient would be inf * 0. What takes several roundings is computed in f32 for the narrower types.
 */
#include <math.h>
#include <strings.h>

#include "frontend/lower.h"

static WqValue *add(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Add, a, b); }
static WqValue *sub(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Sub, a, b); }
static WqValue *mul(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Mul, a, b); }
static WqValue *quot(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Div, a, b); }
static WqValue *min_num(Lower *L, WqValue *a, double v) { return lo2(L, OP_Min, a, lo_like(L, a, v)); }
static WqValue *max_num(Lower *L, WqValue *a, double v) { return lo2(L, OP_Max, a, lo_like(L, a, v)); }
static WqValue *add_num(Lower *L, WqValue *a, double v) { return add(L, a, lo_like(L, a, v)); }
static WqValue *mul_num(Lower *L, WqValue *a, double v) { return v == 1 ? a : mul(L, a, lo_like(L, a, v)); }

/* The operand to compute on, and the result in the operand's own type. */
static WqValue *begin(Lower *L) { return lo_wide(L, lo_need(L, 0)); }
static void end(Lower *L, WqValue *y) { lo_out(L, 0, lo_cast(L, y, lo_type_of(lo_need(L, 0)))); }

/* ---- elementwise ----------------------------------------------------------------------------- */

/* max(x, 0) + alpha * (exp(min(x, 0) / divisor) - 1): the second term is 0 where x > 0 */
static WqValue *exp_linear(Lower *L, WqValue *x, double alpha, double divisor)
{
	WqValue *low = min_num(L, x, 0);
	if (divisor != 1)
		low = quot(L, low, lo_like(L, low, divisor));
	low = mul_num(L, add_num(L, lo1(L, OP_Exp, low), -1), alpha);
	return add(L, max_num(L, x, 0), low);
}

void lower_Elu(Lower *L)
{
	end(L, exp_linear(L, begin(L), lo_f(L, "alpha", 1), 1));
}

void lower_Celu(Lower *L)
{
	double alpha = lo_f(L, "alpha", 1);
	end(L, exp_linear(L, begin(L), alpha, alpha));
}

void lower_Selu(Lower *L)
{
	/* version 1 had the constants to fewer digits */
	double alpha = lo_f(L, "alpha", L->version < 6 ? 1.6732f : 1.67326319217681884765625);
	double gamma = lo_f(L, "gamma", L->version < 6 ? 1.0507f : 1.05070102214813232421875);
	end(L, mul_num(L, exp_linear(L, begin(L), alpha, 1), gamma));
}

/* x < 0 ? slope * x : x */
static WqValue *leaky(Lower *L, WqValue *x, WqValue *slope)
{
	return lo3(L, OP_Where, lo2(L, OP_Less, x, lo_like(L, x, 0)), mul(L, slope, x), x);
}

void lower_LeakyRelu(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, leaky(L, x, lo_like(L, x, lo_f(L, "alpha", 0.01f))));
}

void lower_PRelu(Lower *L)
{
	WqValue *x = lo_need(L, 0), *slope = lo_need(L, 1);
	/* before version 7 a vector of slopes belongs to the channels, axis 1; since then it broadcasts */
	if (L->version < 7 && lo_rank(L, slope) == 1 && lo_rank(L, x) > 2 && lo_dim(L, slope, 0) != 1)
		slope = lo_per_channel(L, slope, lo_rank(L, x));
	lo_out(L, 0, leaky(L, x, slope));
}

static WqValue *thresholded(Lower *L, WqValue *x, double alpha)
{
	return lo3(L, OP_Where, lo2(L, OP_Less, lo_like(L, x, alpha), x), x, lo_like(L, x, 0));
}

void lower_ThresholdedRelu(Lower *L)
{
	lo_out(L, 0, thresholded(L, lo_need(L, 0), lo_f(L, "alpha", 1)));
}

static WqValue *hard_sigmoid(Lower *L, WqValue *x, double alpha, double beta)
{
	return max_num(L, min_num(L, add_num(L, mul_num(L, x, alpha), beta), 1), 0);
}

void lower_HardSigmoid(Lower *L)
{
	end(L, hard_sigmoid(L, begin(L), lo_f(L, "alpha", 0.2f), lo_f(L, "beta", 0.5)));
}

void lower_HardSwish(Lower *L)
{
	WqValue *x = begin(L);
	end(L, mul(L, x, hard_sigmoid(L, x, 1.0f / 6, 0.5)));
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)) */
static WqValue *softplus(Lower *L, WqValue *x)
{
	WqValue *e = lo1(L, OP_Exp, lo1(L, OP_Neg, lo1(L, OP_Abs, x)));
	return add(L, max_num(L, x, 0), lo1(L, OP_Log, add_num(L, e, 1)));
}

void lower_Softplus(Lower *L)
{
	end(L, softplus(L, begin(L)));
}

void lower_Mish(Lower *L)
{
	WqValue *x = begin(L);
	end(L, mul(L, x, lo1(L, OP_Tanh, softplus(L, x))));
}

static WqValue *softsign(Lower *L, WqValue *x)
{
	return quot(L, x, add_num(L, lo1(L, OP_Abs, x), 1));
}

void lower_Softsign(Lower *L)
{
	end(L, softsign(L, begin(L)));
}

void lower_Shrink(Lower *L)
{
	WqValue *x = begin(L);
	double bias = lo_f(L, "bias", 0), lambd = lo_f(L, "lambd", 0.5);
	if (wq_dtype_is_int(lo_type_of(x))) /* the attributes need not be whole numbers */
		x = lo_cast(L, x, WQ_F64);
	WqValue *high = lo2(L, OP_Less, lo_like(L, x, lambd), x), *low = lo2(L, OP_Less, x, lo_like(L, x, -lambd));
	WqValue *y = lo3(L, OP_Where, high, add_num(L, x, -bias), lo_like(L, x, 0));
	end(L, lo3(L, OP_Where, low, add_num(L, x, bias), y));
}

/* ---- by name --------------------------------------------------------------------------------- */

typedef struct Activation {
	const char *name;
	double alpha, beta; /* when absent */
	WqValue *(*build)(Lower *L, WqValue *x, double alpha, double beta);
} Activation;

static WqValue *act_relu(Lower *L, WqValue *x, double a, double b) { (void)a, (void)b; return lo1(L, OP_Relu, x); }
static WqValue *act_tanh(Lower *L, WqValue *x, double a, double b) { (void)a, (void)b; return lo1(L, OP_Tanh, x); }
static WqValue *act_sigm(Lower *L, WqValue *x, double a, double b) { (void)a, (void)b; return lo1(L, OP_Sigmoid, x); }
static WqValue *act_softsign(Lower *L, WqValue *x, double a, double b) { (void)a, (void)b; return softsign(L, x); }
static WqValue *act_softplus(Lower *L, WqValue *x, double a, double b) { (void)a, (void)b; return softplus(L, x); }
static WqValue *act_elu(Lower *L, WqValue *x, double a, double b) { (void)b; return exp_linear(L, x, a, 1); }
static WqValue *act_leaky(Lower *L, WqValue *x, double a, double b) { (void)b; return leaky(L, x, lo_like(L, x, a)); }
static WqValue *act_threshold(Lower *L, WqValue *x, double a, double b) { (void)b; return thresholded(L, x, a); }
static WqValue *act_affine(Lower *L, WqValue *x, double a, double b) { return add_num(L, mul_num(L, x, a), b); }

static WqValue *act_scaled_tanh(Lower *L, WqValue *x, double a, double b)
{
	return mul_num(L, lo1(L, OP_Tanh, mul_num(L, x, b)), a);
}

static const Activation activations[] = {
	{ "Relu", 0, 0, act_relu },
	{ "Tanh", 0, 0, act_tanh },
	{ "Sigmoid", 0, 0, act_sigm },
	{ "Affine", 1, 0, act_affine },
	{ "LeakyRelu", 0.01f, 0, act_leaky },
	{ "ThresholdedRelu", 1, 0, act_threshold },
	{ "ScaledTanh", 1, 1, act_scaled_tanh },
	{ "HardSigmoid", 0.2f, 0.5, hard_sigmoid },
	{ "Elu", 1, 0, act_elu },
	{ "Softsign", 0, 0, act_softsign },
	{ "Softplus", 0, 0, act_softplus },
};

WqValue *lo_activation(Lower *L, WqValue *x, const char *name, double alpha, double beta)
{
	for (int i = 0; i < WQ_COUNTOF(activations); i++) {
		const Activation *a = &activations[i];
		if (!strcasecmp(name, a->name))
			return a->build(L, x, isnan(alpha) ? a->alpha : alpha, isnan(beta) ? a->beta : beta);
	}
	lo_unsupported(L, "activation '%s'", name);
}

/* ---- along an axis --------------------------------------------------------------------------- */

/* x for a Softmax along an axis. When `merged`, the axes from it on count as one: x comes with them merged, and
 * its result needs x's shape again. */
static WqValue *merge_axes(Lower *L, WqValue *x, int64_t axis, bool merged, int *at)
{
	int rank = lo_rank(L, x);
	*at = merged && axis == rank ? rank : lo_axis(L, axis, rank);
	if (!merged || *at == rank - 1)
		return x;
	WqDim dim[WQ_MAX_RANK], rest = 1;
	memcpy(dim, x->type.dim, sizeof dim);
	for (int i = *at; i < rank; i++)
		rest = wq_dim_mul(L->m, rest, x->type.dim[i]);
	dim[*at] = rest;
	return lo_reshape(L, x, *at + 1, dim);
}

/* The same by the node's axis: merged before version 13. */
static WqValue *node_axis(Lower *L, WqValue *x, int *at)
{
	bool merged = L->version < 13;
	return merge_axes(L, x, lo_i(L, "axis", merged ? 1 : -1), merged, at);
}

static WqValue *restore(Lower *L, WqValue *y, const WqValue *x)
{
	return lo_reshape(L, y, x->type.rank, x->type.dim);
}

WqValue *lo_softmax(Lower *L, WqValue *x, int64_t axis, bool merged)
{
	int at;
	WqNode *n = lo_node(L, OP_Softmax, 1, merge_axes(L, x, axis, merged, &at));
	wq_set_i(n, "axis", at);
	return restore(L, lo_result(L, n), x);
}

void lower_Softmax(Lower *L)
{
	bool merged = L->version < 13;
	lo_out(L, 0, lo_softmax(L, lo_need(L, 0), lo_i(L, "axis", merged ? 1 : -1), merged));
}

WqValue *lo_log_softmax(Lower *L, WqValue *x, int axis)
{
	int64_t axes[] = { axis };
	WqValue *d = sub(L, x, lo_reduce(L, OP_ReduceMax, x, 1, axes, true));
	return sub(L, d, lo1(L, OP_Log, lo_reduce(L, OP_ReduceSum, lo1(L, OP_Exp, d), 1, axes, true)));
}

void lower_LogSoftmax(Lower *L)
{
	int axis;
	WqValue *x = begin(L), *merged = node_axis(L, x, &axis);
	end(L, restore(L, lo_log_softmax(L, merged, axis), x));
}

/* 1 at the first maximum, else 0 */
void lower_Hardmax(Lower *L)
{
	int axis;
	WqValue *x = node_axis(L, lo_need(L, 0), &axis);
	int rank = lo_rank(L, x);
	WqNode *arg = lo_node(L, OP_ArgMax, 1, x);
	wq_set_i(arg, "axis", axis);
	WqDim dim[WQ_MAX_RANK];
	for (int i = 0; i < rank; i++)
		dim[i] = i == axis ? x->type.dim[i] : 1;
	WqValue *at = lo_reshape(L, lo_range(L, dim[axis]), rank, dim);
	WqValue *y = lo_cast(L, lo2(L, OP_Equal, lo_result(L, arg), at), lo_type_of(x));
	lo_out(L, 0, restore(L, y, lo_need(L, 0)));
}

void lower_LpNormalization(Lower *L)
{
	WqValue *x = begin(L);
	int64_t p = lo_i(L, "p", 2), axes[] = { lo_axis(L, lo_i(L, "axis", -1), lo_rank(L, x)) };
	if (p != 1 && p != 2)
		lo_bad(L, "p is %lld: expected 1 or 2", (long long)p);
	WqValue *norm = lo_reduce(L, OP_ReduceSum, p == 1 ? lo1(L, OP_Abs, x) : mul(L, x, x), 1, axes, true);
	if (p == 2)
		norm = lo1(L, OP_Sqrt, norm);
	WqValue *zero = lo_like(L, x, 0);
	end(L, lo3(L, OP_Where, lo2(L, OP_Equal, norm, zero), zero, quot(L, x, norm)));
}

void lower_MeanVarianceNormalization(Lower *L)
{
	static const int64_t nchw[] = { 0, 2, 3 };
	WqValue *x = begin(L);
	int n;
	const int64_t *axes = lo_ints(L, "axes", &n);
	if (!axes) {
		axes = nchw;
		n = 3;
	}
	WqValue *d = sub(L, x, lo_reduce(L, OP_ReduceMean, x, n, axes, true));
	WqValue *dev = lo1(L, OP_Sqrt, lo_reduce(L, OP_ReduceMean, mul(L, d, d), n, axes, true));
	end(L, quot(L, d, add_num(L, dev, 1e-9f)));
}
