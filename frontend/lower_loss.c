/* lower_loss.c: losses, and the update rules of ai.onnx.preview.training. */
#include "frontend/lower.h"

static WqValue *add(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Add, a, b); }
static WqValue *sub(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Sub, a, b); }
static WqValue *mul(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Mul, a, b); }
static WqValue *quot(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Div, a, b); }
static WqValue *times(Lower *L, WqValue *a, double v) { return v == 1 ? a : mul(L, a, lo_like(L, a, v)); }
static WqValue *plus(Lower *L, WqValue *a, double v) { return v == 0 ? a : add(L, a, lo_like(L, a, v)); }

/* ---- losses ---------------------------------------------------------------------------------- */

/* -log_prob[n, target, ...], the weight of each term (NULL: 1) and what the reduction makes of them. Terms whose
 * target is ignore_index count nothing, whatever that index is. */
static WqValue *nll(Lower *L, WqValue *log_prob, WqValue *target, WqValue *weight)
{
	static const int64_t class_axis[] = { 1 };
	WqValue *zero = lo_like(L, log_prob, 0), *ignored = NULL, *w = NULL;
	if (lo_has(L, "ignore_index")) {
		ignored = lo2(L, OP_Equal, target, wq_const_int(L->g, lo_type_of(target), lo_i(L, "ignore_index", 0)));
		target = lo3(L, OP_Where, ignored, wq_const_int(L->g, lo_type_of(target), 0), target);
	}
	WqNode *n = lo_node(L, OP_GatherElements, 2, log_prob, lo_unsqueeze(L, target, 1, class_axis));
	wq_set_i(n, "axis", 1);
	WqValue *loss = lo1(L, OP_Neg, lo_squeeze(L, lo_result(L, n), 1, class_axis));
	if (weight)
		w = lo2(L, OP_Gather, lo_cast(L, weight, lo_type_of(log_prob)), target);
	if (ignored) {
		loss = lo3(L, OP_Where, ignored, zero, loss);
		w = lo3(L, OP_Where, ignored, zero, w ? w : lo_like(L, log_prob, 1));
	}
	if (w)
		loss = mul(L, loss, w);
	const char *how = lo_s(L, "reduction", "mean");
	if (!strcmp(how, "none"))
		return loss;
	if (!strcmp(how, "sum"))
		return lo_reduce(L, OP_ReduceSum, loss, 0, NULL, false);
	if (strcmp(how, "mean"))
		lo_bad(L, "reduction is \"%s\": expected \"none\", \"sum\" or \"mean\"", how);
	if (!w)
		return lo_reduce(L, OP_ReduceMean, loss, 0, NULL, false);
	return quot(L, lo_reduce(L, OP_ReduceSum, loss, 0, NULL, false), lo_reduce(L, OP_ReduceSum, w, 0, NULL, false));
}

void lower_NegativeLogLikelihoodLoss(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	lo_out(L, 0, lo_cast(L, nll(L, lo_wide(L, x), lo_need(L, 1), lo_in(L, 2)), lo_type_of(x)));
}

void lower_SoftmaxCrossEntropyLoss(Lower *L)
{
	WqValue *x = lo_need(L, 0), *log_prob = lo_log_softmax(L, lo_wide(L, x), lo_axis(L, 1, lo_rank(L, x)));
	lo_out(L, 0, lo_cast(L, nll(L, log_prob, lo_need(L, 1), lo_in(L, 2)), lo_type_of(x)));
	if (lo_wants(L, 1))
		lo_out(L, 1, lo_cast(L, log_prob, lo_type_of(x)));
}

/* ---- training -------------------------------------------------------------------------------- */

/* Operands: the rate r and the step count t, then n tensors X, n of each of `states` others, the first of them the
 * gradients. Results: n new X, then n of each state but the gradients. */
typedef struct Update {
	Lower *L;
	int n, states;
	WqValue *r, *t;
} Update;

static Update read_update(Lower *L, int states)
{
	Update u = { L, (lo_n_in(L) - 2) / (states + 1), states, lo_need(L, 0), lo_need(L, 1) };
	if (u.n < 1 || 2 + u.n * (states + 1) != lo_n_in(L))
		lo_bad(L, "%d operands: two and then %d for each tensor are needed", lo_n_in(L), states + 1);
	return u;
}

static WqValue *operand(const Update *u, int state, int i)
{
	return lo_need(u->L, 2 + state * u->n + i);
}

static void result(const Update *u, int state, int i, WqValue *v)
{
	lo_out(u->L, state * u->n + i, v);
}

/* Scalars of one element may come as vectors; they compute in the tensors' type. */
static WqValue *scalar_as(Lower *L, WqValue *v, const WqValue *like)
{
	return lo_cast(L, v->type.rank > 0 ? lo_reshape(L, v, 0, NULL) : v, lo_type_of(like));
}

/* The gradient of x with its regularisation */
static WqValue *regularised(const Update *u, int i)
{
	double norm = lo_f(u->L, "norm_coefficient", 0);
	WqValue *g = operand(u, 1, i);
	return norm == 0 ? g : add(u->L, times(u->L, operand(u, 0, i), norm), g);
}

void lower_Adagrad(Lower *L)
{
	Update u = read_update(L, 2);
	for (int i = 0; i < u.n; i++) {
		WqValue *x = operand(&u, 0, i), *g = regularised(&u, i);
		WqValue *t = scalar_as(L, u.t, x);
		WqValue *r = quot(L, scalar_as(L, u.r, x), plus(L, times(L, t, lo_f(L, "decay_factor", 0)), 1));
		WqValue *h = add(L, operand(&u, 2, i), mul(L, g, g));
		WqValue *root = plus(L, lo1(L, OP_Sqrt, h), lo_f(L, "epsilon", 0));
		result(&u, 0, i, sub(L, x, quot(L, mul(L, r, g), root)));
		result(&u, 1, i, h);
	}
}

/* 1 - base^t */
static WqValue *bias_correction(Lower *L, WqValue *t, double base)
{
	return sub(L, lo_like(L, t, 1), lo2(L, OP_Pow, lo_like(L, t, base), t));
}

void lower_Adam(Lower *L)
{
	Update u = read_update(L, 3);
	double alpha = lo_f(L, "alpha", 0.9f), beta = lo_f(L, "beta", 0.999f);
	for (int i = 0; i < u.n; i++) {
		WqValue *x = operand(&u, 0, i), *g = regularised(&u, i);
		WqValue *v = add(L, times(L, operand(&u, 2, i), alpha), times(L, g, 1 - alpha));
		WqValue *h = add(L, times(L, operand(&u, 3, i), beta), times(L, mul(L, g, g), 1 - beta));
		WqValue *root = plus(L, lo1(L, OP_Sqrt, h), lo_f(L, "epsilon", 0));
		/* in f64: both corrections are small differences from 1 */
		WqValue *t = scalar_as(L, u.t, lo_scalar(L, WQ_F64, 0)), *r = scalar_as(L, u.r, t);
		WqValue *fixed = quot(L, mul(L, r, lo1(L, OP_Sqrt, bias_correction(L, t, beta))), bias_correction(L, t, alpha));
		r = lo_cast(L, lo3(L, OP_Where, lo2(L, OP_Less, lo_like(L, t, 0), t), fixed, r), lo_type_of(x));
		WqValue *y = sub(L, x, mul(L, r, quot(L, v, root)));
		result(&u, 0, i, times(L, y, 1 - lo_f(L, "norm_coefficient_post", 0)));
		result(&u, 1, i, v);
		result(&u, 2, i, h);
	}
}

void lower_Momentum(Lower *L)
{
	Update u = read_update(L, 2);
	const char *mode = lo_s(L, "mode", "standard");
	double alpha = lo_f(L, "alpha", 0), beta = lo_f(L, "beta", 0);
	if (strcmp(mode, "standard") && strcmp(mode, "nesterov"))
		lo_bad(L, "mode is \"%s\": expected \"standard\" or \"nesterov\"", mode);
	for (int i = 0; i < u.n; i++) {
		WqValue *x = operand(&u, 0, i), *g = regularised(&u, i), *t = scalar_as(L, u.t, x), *r = scalar_as(L, u.r, x);
		/* the first step takes the whole gradient */
		WqValue *b = lo3(L, OP_Where, lo2(L, OP_Less, lo_like(L, t, 0), t), lo_like(L, x, beta), lo_like(L, x, 1));
		WqValue *v = add(L, times(L, operand(&u, 2, i), alpha), mul(L, b, g));
		WqValue *step = mode[0] == 'n' ? add(L, g, times(L, v, alpha)) : v;
		result(&u, 0, i, sub(L, x, mul(L, r, step)));
		result(&u, 1, i, v);
	}
}
