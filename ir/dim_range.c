/* dim_range.c: expressions of dimensions read: bounds, values, structure. */
#include "ir/dim_expr.h"

/* ---- bounds: interval arithmetic, saturating at +-inf ----------------------------------------- */

typedef struct Range {
	int64_t lo, hi;
} Range;

static int64_t sat(__int128 v) { return v > WQ_DIM_INF ? WQ_DIM_INF : v < -WQ_DIM_INF ? -WQ_DIM_INF : (int64_t)v; }
static int64_t smul(int64_t a, int64_t b) { return sat((__int128)a * b); }

static Range range_mul(Range a, Range b)
{
	int64_t v[4] = { smul(a.lo, b.lo), smul(a.lo, b.hi), smul(a.hi, b.lo), smul(a.hi, b.hi) };
	Range r = { v[0], v[0] };
	for (int i = 1; i < 4; i++) {
		r.lo = v[i] < r.lo ? v[i] : r.lo;
		r.hi = v[i] > r.hi ? v[i] : r.hi;
	}
	return r;
}

static Range range(const WqModule *m, WqDim d);

static Range range_sum(const WqModule *m, const Poly *p)
{
	Range r = { p->c, p->c };
	for (int i = 0; i < p->n; i++) {
		Range t = { p->t[i].coef, p->t[i].coef };
		for (int j = 0; j < p->t[i].n; j++)
			t = range_mul(t, range(m, p->t[i].atom[j]));
		r.lo = sat((__int128)r.lo + t.lo);
		r.hi = sat((__int128)r.hi + t.hi);
	}
	return r;
}

/* The floor of a / b, b not 0. Without a bound above or below, there is none either. */
static Range range_div(Range a, Range b)
{
	if (b.lo < 0)
		return (Range){ -WQ_DIM_INF, WQ_DIM_INF };
	b.lo = b.lo ? b.lo : 1;
	b.hi = b.hi ? b.hi : 1;
	Range r = { floordiv(a.lo, a.lo < 0 ? b.lo : b.hi), floordiv(a.hi, a.hi < 0 ? b.hi : b.lo) };
	return (Range){ a.lo <= -WQ_DIM_INF ? a.lo : r.lo, a.hi >= WQ_DIM_INF ? a.hi : r.hi };
}

static Range range(const WqModule *m, WqDim d)
{
	if (d >= 0)
		return (Range){ d, d };
	if (d == WQ_DIM_UNKNOWN)
		return (Range){ 0, WQ_DIM_INF };
	const Expr *e = expr(m, d);
	if (e->kind == E_SYM)
		return (Range){ m->dims->sym.v[e->sym].lo, m->dims->sym.v[e->sym].hi };
	if (e->kind == E_SUM)
		return range_sum(m, e->p);
	Range a = range(m, e->a), b = range(m, e->b);
	switch (e->kind) {
	case E_DIV:
		return range_div(a, b);
	case E_MOD:
		return b.lo > 0 ? (Range){ 0, b.hi < WQ_DIM_INF ? b.hi - 1 : WQ_DIM_INF } : (Range){ -WQ_DIM_INF, WQ_DIM_INF };
	case E_MIN:
		return (Range){ a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi };
	case E_MAX:
		return (Range){ a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
	default:
		return (Range){ a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi };
	}
}

int64_t wq_dim_lo(const WqModule *m, WqDim d) { return range(m, d).lo; }
int64_t wq_dim_hi(const WqModule *m, WqDim d) { return range(m, d).hi; }

/* ---- evaluation ------------------------------------------------------------------------------- */

bool wq_dim_eval(const WqModule *m, WqDim d, const int64_t *bind, int n_bind, int64_t *out)
{
	if (d >= 0) {
		*out = d;
		return true;
	}
	if (d == WQ_DIM_UNKNOWN)
		return false;
	const Expr *e = expr(m, d);
	int64_t a, b;
	if (e->kind == E_SYM) {
		if (e->sym >= n_bind || bind[e->sym] < 0)
			return false;
		*out = bind[e->sym];
		return true;
	}
	if (e->kind == E_SUM) {
		int64_t sum = e->p->c;
		for (int i = 0; i < e->p->n; i++) {
			int64_t t = e->p->t[i].coef;
			for (int j = 0; j < e->p->t[i].n; j++) {
				if (!wq_dim_eval(m, e->p->t[i].atom[j], bind, n_bind, &a))
					return false;
				t = smul(t, a);
			}
			sum = sat((__int128)sum + t);
		}
		*out = sum;
		return true;
	}
	if (!wq_dim_eval(m, e->a, bind, n_bind, &a) || !wq_dim_eval(m, e->b, bind, n_bind, &b))
		return false;
	if ((e->kind == E_DIV || e->kind == E_MOD) && b == 0)
		return false;
	*out = e->kind == E_DIV   ? floordiv(a, b)
	       : e->kind == E_MOD ? a - floordiv(a, b) * b
	       : e->kind == E_MIN ? (a < b ? a : b)
	       : e->kind == E_MAX ? (a > b ? a : b)
				  : (a == 1 ? b : a);
	return true;
}

/* ---- structure, for printing and code ------------------------------------------------------------ */

int wq_dim_num_terms(const WqModule *m, WqDim d)
{
	Poly p;
	wq_poly_of(m, d, &p);
	return p.n + (p.c != 0 || p.n == 0);
}

int wq_dim_term(const WqModule *m, WqDim d, int i, int64_t *coef, WqDim *atoms)
{
	Poly p;
	wq_poly_of(m, d, &p);
	if (i == p.n) {
		*coef = p.c;
		return 0;
	}
	*coef = p.t[i].coef;
	memcpy(atoms, p.t[i].atom, sizeof p.t[i].atom);
	return p.t[i].n;
}

const char *wq_dim_call(const WqModule *m, WqDim d, WqDim *a, WqDim *b)
{
	static const char *const name[] = { [E_DIV] = "div", [E_MOD] = "mod", [E_MIN] = "min", [E_MAX] = "max", [E_BCAST] = "bcast" };
	const Expr *e = expr(m, d);
	if (e->kind == E_SUM || e->kind == E_SYM)
		return NULL;
	*a = e->a;
	*b = e->b;
	return name[e->kind];
}
