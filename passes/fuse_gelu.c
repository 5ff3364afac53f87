/* fuse_gelu.c: GELU from its parts, in the spellings of exporters.
 *
 * Before: a = Div(x, 1.414)  b = Erf(a)  c = Add(b, 1)  d = Mul(x, c)  y = Mul(d, 0.5)
 * After:  y = Gelu(x)
 *
 * Both forms: with erf, and with tanh(0.797 * (x + 0.0447 x^3)), also written as a sigmoid of twice that.
 * Constants may be rounded to five digits, or to the tensor's type. Nothing in between may have another use.
 * Keeps: results to rounding.
 */
#include "passes/match.h"

/* 1 + erf(x / sqrt(2)) */
#define ERF "Erf!(Div!(x, 1.4142135623730951~) | Mul!(x, 0.7071067811865476~))"
#define ONE_ERF "Add!(" ERF ", 1)"

/* x^2; 0.044715 x^3; and the argument of tanh, times k */
#define SQUARE "Mul!(x, x) | Pow!(x, 2)"
#define CUBE \
	"Mul!(Pow!(x, 3) | Mul!(x, " SQUARE "), 0.044715~) | Mul!(Mul!(x, 0.044715~), " SQUARE ")" \
	" | Mul!(x, Mul!(" SQUARE ", 0.044715~)) | Mul!(x, Mul!(x, Mul!(x, 0.044715~)))"
#define SERIES "Add!(Mul!(" SQUARE ", 0.044715~) | Mul!(x, Mul!(x, 0.044715~)), 1)"
#define ARGUMENT(k) \
	"Mul!(Add!(x, " CUBE "), " k "~) | Mul!(Mul!(x, " k "~), " SERIES ") | Mul!(x, Mul!(" SERIES ", " k "~))" \
	" | Mul!(Mul!(x, " SERIES "), " k "~)"
#define TANH "Tanh!(" ARGUMENT("0.7978845608028654") ")"
#define ONE_TANH "Add!(" TANH ", 1)"

/* x * 0.5 * E, in every order of multiplication */
#define HALVES(E, e, result) \
	{ "Mul(Mul!(x, " E "), 0.5)", result }, { "Mul(Mul!(x, 0.5), " E ")", result }, \
	{ "Mul(x, Mul!(" E ", 0.5))", result }, { "Div(Mul!(x, " E "), 2)", result }, \
	{ "Mul(Div!(x, 2), " E ")", result }, { "Mul(x, Div!(" E ", 2))", result }, \
	{ "Mul(x, Add!(Mul!(" e ", 0.5), 0.5))", result }

static const WqRule rules[] = {
	HALVES(ONE_ERF, ERF, "Gelu(x)"),
	HALVES(ONE_TANH, TANH, "Gelu{approximate=tanh}(x)"),
	{ "Mul(x, Sigmoid!(" ARGUMENT("1.5957691216057308") "))", "Gelu{approximate=tanh}(x)" },
};

int pass_fuse_gelu(WqModule *m, const WqPassRun *r) { return wq_rewrite(m, r, rules, WQ_COUNTOF(rules)); }
