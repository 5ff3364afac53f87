/* dim.c: dimensions as interned expressions in a normal form.
 *
 * A number >= 0 stands for itself. Everything else is an Expr of the module, and its handle is -1 - index. The normal form is a
 * sum of products of atoms with integer factors, terms sorted; atoms are symbols and the operations that do not distribute
 * (div, mod, min, max, bcast). Equal forms are interned once, so equality of handles is equality of expressions, as far as the
 * normal form sees it. An expression that grows too large becomes WQ_DIM_UNKNOWN: sizes that nobody can use stay cheap.
 */
#include "ir/dim_expr.h"

static struct WqDims *dims(WqModule *m)
{
	if (!m->dims) {
		struct WqDims *d = WQ_NEW(m->arena, struct WqDims);
		d->a = m->arena;
		d->exprs = wq_map_new(m->arena);
		d->syms = wq_map_new(m->arena);
		m->dims = d;
	}
	return m->dims;
}

static WqDim intern(WqModule *m, const char *key, const Expr *e)
{
	struct WqDims *ds = dims(m);
	intptr_t at = (intptr_t)wq_map_get(ds->exprs, key);
	if (!at) {
		WQ_PUSH(ds->a, ds->e, *e);
		at = ds->e.n;
		wq_map_put(ds->exprs, key, (void *)at);
	}
	return -(WqDim)at;
}

/* ---- symbols ---------------------------------------------------------------------------------- */

WqDim wq_dim_sym(WqModule *m, const char *name)
{
	struct WqDims *ds = dims(m);
	intptr_t at = (intptr_t)wq_map_get(ds->syms, name);
	if (at)
		return ds->sym.v[at - 1].dim;
	int index = ds->sym.n;
	char key[32];
	snprintf(key, sizeof key, "s%d", index);
	Expr e = { .kind = E_SYM, .weight = 1, .sym = index };
	Sym s = { wq_strdup(ds->a, name), intern(m, key, &e), 0, WQ_DIM_INF };
	WQ_PUSH(ds->a, ds->sym, s);
	wq_map_put(ds->syms, name, (void *)(intptr_t)(index + 1));
	return s.dim;
}

WqDim wq_dim_fresh(WqModule *m, const char *stem, int64_t lo, int64_t hi)
{
	struct WqDims *ds = dims(m);
	char name[64];
	do
		snprintf(name, sizeof name, "%.40s%d", stem, ds->fresh++);
	while (wq_map_get(ds->syms, name));
	WqDim d = wq_dim_sym(m, name);
	wq_dim_bound(m, d, lo, hi);
	return d;
}

void wq_dim_bound(WqModule *m, WqDim sym, int64_t lo, int64_t hi)
{
	Sym *s = &dims(m)->sym.v[expr(m, sym)->sym];
	s->lo = lo;
	s->hi = hi;
}

bool wq_dim_is_sym(const WqModule *m, WqDim d, int *index)
{
	if (d >= 0 || d == WQ_DIM_UNKNOWN || expr(m, d)->kind != E_SYM)
		return false;
	if (index)
		*index = expr(m, d)->sym;
	return true;
}

int wq_dim_num_syms(const WqModule *m) { return m->dims ? m->dims->sym.n : 0; }
const char *wq_dim_sym_name(const WqModule *m, int index) { return m->dims->sym.v[index].name; }
WqDim wq_dim_sym_at(const WqModule *m, int index) { return m->dims->sym.v[index].dim; }

/* ---- polynomials ------------------------------------------------------------------------------ */

static bool mul_over(int64_t a, int64_t b, int64_t *r)
{
	return __builtin_mul_overflow(a, b, r) || *r > WQ_DIM_INF || *r < -WQ_DIM_INF;
}

static bool add_over(int64_t a, int64_t b, int64_t *r)
{
	return __builtin_add_overflow(a, b, r) || *r > WQ_DIM_INF || *r < -WQ_DIM_INF;
}

void wq_poly_of(const WqModule *m, WqDim d, Poly *p)
{
	if (d >= 0) {
		*p = (Poly){ .c = d };
	} else if (expr(m, d)->kind == E_SUM) {
		*p = *expr(m, d)->p;
	} else {
		*p = (Poly){ .n = 1 };
		p->t[0] = (Term){ .coef = 1, .n = 1, .atom = { d } };
	}
}

static int term_cmp(const Term *a, const Term *b)
{
	if (a->n != b->n)
		return a->n < b->n ? 1 : -1; /* higher products first */
	for (int i = 0; i < a->n; i++)
		if (a->atom[i] != b->atom[i])
			return a->atom[i] > b->atom[i] ? -1 : 1; /* older atoms first */
	return 0;
}

/* Adds coef * (atoms of t) in place; false when it no longer fits. */
static bool poly_add_term(Poly *p, const Term *t)
{
	if (t->coef == 0)
		return true;
	if (t->n == 0)
		return !add_over(p->c, t->coef, &p->c);
	int i = 0;
	while (i < p->n && term_cmp(&p->t[i], t) < 0)
		i++;
	if (i < p->n && term_cmp(&p->t[i], t) == 0) {
		if (add_over(p->t[i].coef, t->coef, &p->t[i].coef))
			return false;
		if (p->t[i].coef == 0) {
			memmove(&p->t[i], &p->t[i + 1], (size_t)(p->n - i - 1) * sizeof(Term));
			p->n--;
		}
		return true;
	}
	if (p->n == MAX_TERMS)
		return false;
	memmove(&p->t[i + 1], &p->t[i], (size_t)(p->n - i) * sizeof(Term));
	p->t[i] = *t;
	p->n++;
	return true;
}

static bool term_mul(const Term *a, const Term *b, Term *r)
{
	if (a->n + b->n > MAX_ATOMS || mul_over(a->coef, b->coef, &r->coef))
		return false;
	int i = 0, j = 0, n = 0;
	while (i < a->n || j < b->n) /* merge, older atoms (larger handles) first */
		r->atom[n++] = j == b->n || (i < a->n && a->atom[i] >= b->atom[j]) ? a->atom[i++] : b->atom[j++];
	r->n = n;
	return true;
}

/* Term -1 is the number. */
static Term poly_term(const Poly *p, int i)
{
	if (i >= 0)
		return p->t[i];
	return (Term){ .coef = p->c };
}

static bool poly_mul(const Poly *a, const Poly *b, Poly *r)
{
	*r = (Poly){ 0 };
	for (int i = -1; i < a->n; i++) {
		Term ta = poly_term(a, i);
		for (int j = -1; j < b->n; j++) {
			Term tb = poly_term(b, j), t;
			if (ta.coef == 0 || tb.coef == 0)
				continue;
			if (!term_mul(&ta, &tb, &t) || !poly_add_term(r, &t))
				return false;
		}
	}
	return true;
}

static int poly_weight(const WqModule *m, const Poly *p)
{
	int w = 0;
	for (int i = 0; i < p->n; i++)
		for (int j = 0; j < p->t[i].n; j++)
			w += expr(m, p->t[i].atom[j])->weight;
	return w;
}

static WqDim poly_dim(WqModule *m, const Poly *p)
{
	if (p->n == 0 && p->c >= 0)
		return p->c;
	if (p->n == 1 && p->c == 0 && p->t[0].coef == 1 && p->t[0].n == 1)
		return p->t[0].atom[0];
	int w = poly_weight(m, p);
	if (w > MAX_WEIGHT)
		return WQ_DIM_UNKNOWN;
	char key[MAX_TERMS * (MAX_ATOMS + 1) * 24 + 32];
	int n = snprintf(key, sizeof key, "+%lld", (long long)p->c);
	for (int i = 0; i < p->n; i++) {
		n += snprintf(key + n, sizeof key - (size_t)n, ";%lld", (long long)p->t[i].coef);
		for (int j = 0; j < p->t[i].n; j++)
			n += snprintf(key + n, sizeof key - (size_t)n, "*%lld", (long long)p->t[i].atom[j]);
	}
	Expr e = { .kind = E_SUM, .weight = w + 1 };
	intptr_t at = (intptr_t)wq_map_get(dims(m)->exprs, key);
	if (at)
		return -(WqDim)at;
	e.p = WQ_NEW(m->arena, Poly);
	*e.p = *p;
	return intern(m, key, &e);
}

static WqDim binary(WqModule *m, ExprKind k, WqDim a, WqDim b)
{
	static const char name[] = { [E_DIV] = '/', [E_MOD] = '%', [E_MIN] = 'm', [E_MAX] = 'M', [E_BCAST] = 'b' };
	bool commutes = k == E_MIN || k == E_MAX || k == E_BCAST;
	if (commutes && a < b) {
		WqDim t = a;
		a = b;
		b = t;
	}
	int w = (a < 0 ? expr(m, a)->weight : 1) + (b < 0 ? expr(m, b)->weight : 1) + 1;
	if (w > MAX_WEIGHT)
		return WQ_DIM_UNKNOWN;
	char key[64];
	snprintf(key, sizeof key, "%c%lld,%lld", name[k], (long long)a, (long long)b);
	Expr e = { .kind = k, .weight = w, .a = a, .b = b };
	return intern(m, key, &e);
}

/* ---- arithmetic ------------------------------------------------------------------------------- */

WqDim wq_dim_const(WqModule *m, int64_t v)
{
	Poly p = { .c = v };
	return v >= 0 ? v : poly_dim(m, &p);
}

bool wq_dim_get_const(const WqModule *m, WqDim d, int64_t *v)
{
	if (d == WQ_DIM_UNKNOWN)
		return false;
	if (d < 0 && (expr(m, d)->kind != E_SUM || expr(m, d)->p->n > 0))
		return false;
	*v = d >= 0 ? d : expr(m, d)->p->c;
	return true;
}

static bool unknown(WqDim a, WqDim b) { return a == WQ_DIM_UNKNOWN || b == WQ_DIM_UNKNOWN; }

/* a + f*b */
static WqDim add_scaled(WqModule *m, WqDim a, WqDim b, int64_t f)
{
	if (unknown(a, b))
		return WQ_DIM_UNKNOWN;
	int64_t r;
	if (a >= 0 && b >= 0) {
		if (mul_over(b, f, &r) || add_over(a, r, &r))
			wq_fail(WQ_EINPUT, "a dimension is larger than 2^61");
		return wq_dim_const(m, r);
	}
	Poly pa, pb;
	wq_poly_of(m, a, &pa);
	wq_poly_of(m, b, &pb);
	for (int i = -1; i < pb.n; i++) {
		Term t = poly_term(&pb, i);
		if (mul_over(t.coef, f, &t.coef) || !poly_add_term(&pa, &t))
			return WQ_DIM_UNKNOWN;
	}
	return poly_dim(m, &pa);
}

WqDim wq_dim_add(WqModule *m, WqDim a, WqDim b) { return add_scaled(m, a, b, 1); }
WqDim wq_dim_sub(WqModule *m, WqDim a, WqDim b) { return add_scaled(m, a, b, -1); }

WqDim wq_dim_mul(WqModule *m, WqDim a, WqDim b)
{
	if (a == 0 || b == 0)
		return 0;
	if (unknown(a, b))
		return WQ_DIM_UNKNOWN;
	if (a >= 0 && b >= 0) {
		int64_t r;
		if (mul_over(a, b, &r))
			wq_fail(WQ_EINPUT, "a dimension is larger than 2^61");
		return r;
	}
	Poly pa, pb, r;
	wq_poly_of(m, a, &pa);
	wq_poly_of(m, b, &pb);
	return poly_mul(&pa, &pb, &r) ? poly_dim(m, &r) : WQ_DIM_UNKNOWN;
}

/* t / d as a term, if d's atoms and factor divide it. */
static bool term_div(const Term *t, const Term *d, Term *r)
{
	if (t->coef % d->coef != 0 || d->n > t->n)
		return false;
	*r = (Term){ .coef = t->coef / d->coef };
	int j = 0;
	for (int i = 0; i < t->n; i++) {
		if (j < d->n && t->atom[i] == d->atom[j])
			j++;
		else
			r->atom[r->n++] = t->atom[i];
	}
	return j == d->n;
}

/* Splits p = q*d + r with what divides exactly; d is one term. */
static void poly_split(const Poly *p, const Term *d, Poly *q, Poly *r)
{
	*q = (Poly){ 0 };
	*r = (Poly){ 0 };
	for (int i = 0; i < p->n; i++) {
		Term t;
		if (term_div(&p->t[i], d, &t))
			poly_add_term(q, &t);
		else
			poly_add_term(r, &p->t[i]);
	}
	if (d->n == 0) { /* by a number: keep 0 <= the rest's constant < d */
		int64_t whole = floordiv(p->c, d->coef);
		Term t = { .coef = whole };
		poly_add_term(q, &t);
		r->c = p->c - whole * d->coef;
	} else {
		r->c = p->c;
	}
}

/* The divisor as one term, or false (a sum, zero). */
static bool divisor(const WqModule *m, WqDim b, Term *t)
{
	Poly p;
	wq_poly_of(m, b, &p);
	if (p.n == 0 && p.c != 0)
		*t = (Term){ .coef = p.c };
	else if (p.n == 1 && p.c == 0)
		*t = p.t[0];
	else
		return false;
	return true;
}

WqDim wq_dim_floordiv(WqModule *m, WqDim a, WqDim b)
{
	int64_t ca, cb;
	if (unknown(a, b) || b == 0)
		return WQ_DIM_UNKNOWN;
	if (b == 1 || a == 0)
		return a;
	if (a == b)
		return 1;
	if (wq_dim_get_const(m, a, &ca) && wq_dim_get_const(m, b, &cb))
		return wq_dim_const(m, floordiv(ca, cb));
	Poly p, q, r;
	Term d;
	wq_poly_of(m, a, &p);
	if (!divisor(m, b, &d))
		return binary(m, E_DIV, a, b);
	poly_split(&p, &d, &q, &r);
	WqDim whole = poly_dim(m, &q), rest = poly_dim(m, &r);
	if (rest == 0 || unknown(whole, rest))
		return unknown(whole, rest) ? WQ_DIM_UNKNOWN : whole;
	if (d.n == 0 && d.coef > 0 && wq_dim_lo(m, rest) >= 0 && wq_dim_hi(m, rest) < d.coef)
		return whole;
	return wq_dim_add(m, whole, binary(m, E_DIV, rest, b));
}

WqDim wq_dim_ceildiv(WqModule *m, WqDim a, WqDim b)
{
	WqDim n = wq_dim_floordiv(m, wq_dim_sub(m, 0, a), b);
	return wq_dim_sub(m, 0, n);
}

WqDim wq_dim_mod(WqModule *m, WqDim a, WqDim b)
{
	WqDim q = wq_dim_floordiv(m, a, b);
	if (q == WQ_DIM_UNKNOWN)
		return q;
	WqDim r = wq_dim_sub(m, a, wq_dim_mul(m, q, b));
	int64_t c;
	Term d;
	/* a - (a/b)*b is exact when the division was; else keep the shorter mod. */
	if (r == 0 || (r != WQ_DIM_UNKNOWN && wq_dim_get_const(m, r, &c)))
		return r;
	if (divisor(m, b, &d)) {
		Poly p, qq, rr;
		wq_poly_of(m, a, &p);
		poly_split(&p, &d, &qq, &rr);
		a = poly_dim(m, &rr);
		if (d.n == 0 && d.coef > 0 && wq_dim_lo(m, a) >= 0 && wq_dim_hi(m, a) < d.coef)
			return a;
	}
	return a == WQ_DIM_UNKNOWN ? a : binary(m, E_MOD, a, b);
}

WqDim wq_dim_min(WqModule *m, WqDim a, WqDim b)
{
	if (unknown(a, b))
		return WQ_DIM_UNKNOWN;
	if (a == b)
		return a;
	WqDim d = wq_dim_sub(m, a, b);
	if (d != WQ_DIM_UNKNOWN && wq_dim_hi(m, d) <= 0)
		return a;
	if (d != WQ_DIM_UNKNOWN && wq_dim_lo(m, d) >= 0)
		return b;
	return binary(m, E_MIN, a, b);
}

WqDim wq_dim_max(WqModule *m, WqDim a, WqDim b)
{
	WqDim least = wq_dim_min(m, a, b);
	if (least == WQ_DIM_UNKNOWN)
		return least;
	if (least == a)
		return b;
	return least == b ? a : binary(m, E_MAX, a, b);
}

/* Is a = min(number, b), the number not 1? A mask's first b rows of so many: a broadcasts with b only where it is b. */
static bool caps(const WqModule *m, WqDim a, WqDim b)
{
	const Expr *e = a < 0 ? expr(m, a) : NULL;
	int64_t n;
	return e && e->kind == E_MIN && ((e->a == b && wq_dim_get_const(m, e->b, &n)) || (e->b == b && wq_dim_get_const(m, e->a, &n))) && n > 1;
}

WqDim wq_dim_bcast(WqModule *m, WqDim a, WqDim b)
{
	if (a == b || b == 1)
		return a;
	if (a == 1)
		return b;
	if (a >= 0) /* a number other than 1 wins: the other is it or 1 */
		return a;
	if (b >= 0)
		return b;
	if (unknown(a, b))
		return WQ_DIM_UNKNOWN;
	if (wq_dim_lo(m, a) > 1 || caps(m, b, a))
		return a;
	if (wq_dim_lo(m, b) > 1 || caps(m, a, b))
		return b;
	return binary(m, E_BCAST, a, b);
}
