/* fuse_swish.c: Sigmoid and Swish (SiLU) from their parts.
 *
 * Before: a = Mul(x, 1.702)  b = Sigmoid(a)  y = Mul(x, b)      After: y = Swish{alpha=1.702}(x)
 *
 * Keeps: results to rounding. Not for integers, which have no Sigmoid.
 */
#include "passes/match.h"

static bool one_number(WqMatch *x)
{
	double v;
	return wq_m_num(x, "a", &v);
}

static bool is_float(WqMatch *x) { return wq_dtype_is_float(wq_m_root(x)->out[0]->type.dtype); }

static const WqRule rules[] = {
	{ "Div(1, Add!(Exp!(Neg!(x)), 1))", "Sigmoid(x)", is_float },
	{ "Div(x, Add!(Exp!(Neg!(x)), 1))", "Swish(x)", is_float },
	{ "Mul(x, Sigmoid!(x))", "Swish(x)" },
	{ "Mul(x, Sigmoid!(Mul!(x, $a)))", "Swish{alpha=$a}(x)", one_number },
};

int pass_fuse_swish(WqModule *m, const WqPassRun *r) { return wq_rewrite(m, r, rules, WQ_COUNTOF(rules)); }
