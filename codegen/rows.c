/* rows.c: loops over rows and along them. */
#include "codegen/rows.h"

static bool is_const(CgVal v, int64_t x)
{
	int64_t n;
	return cg_const(v, &n) && n == x;
}

CgVal rows_whole(Cg *c, CgVal n, int64_t step)
{
	int64_t v;
	if (step == 1)
		return n;
	if (cg_const(n, &v))
		return cg_idx(c, v - v % step);
	if ((step & (step - 1)) == 0)
		return cg_and(c, n, cg_idx(c, -step));
	return cg_muli(c, cg_divi(c, n, step), step);
}

int64_t rows_mul(int64_t a, int64_t b)
{
	int64_t r;
	return __builtin_mul_overflow(a, b, &r) || r > WQ_DIM_INF ? WQ_DIM_INF : r;
}

uint32_t rows_axes_from(const WqNode *n, int rank)
{
	int64_t axis = wq_attr_i(n, "axis");
	axis += axis < 0 ? rank : 0;
	uint32_t all = (1u << rank) - 1;
	return rank ? all & ~((1u << axis) - 1) : 0;
}

/* ---- the shape of it ------------------------------------------------------------------------------- */

/* Lanes that suit an axis of `n` elements: no more than there are. */
static int fit_lanes(CgVal n, int lanes)
{
	int64_t v;
	if (!cg_const(n, &v))
		return lanes;
	while (lanes > 1 && lanes > v)
		lanes /= 2;
	return lanes;
}

void rows_init(Rows *r, Kg *k, const WqValue *x, uint32_t axes, CgKind kind)
{
	int order[WQ_MAX_RANK] = { 0 }, n = 0;
	const WqTarget *t = cg_target(kg_cg(k));
	*r = (Rows){ .k = k, .c = kg_cg(k), .x = x, .rank = x->type.rank, .lanes = 1 };
	kg_order(k, x, order);
	for (int part = 0; part < 2; part++) {
		for (int i = 0; i < r->rank; i++)
			if ((int)(axes >> order[i] & 1) == part)
				r->order[n++] = order[i];
		if (part == 0)
			r->n_kept = n;
	}
	/* the densest axis that has more than one element */
	int dense = -1;
	for (int i = 0; i < r->rank; i++) {
		r->dim[order[i]] = kg_size(k, x, order[i]);
		if (!is_const(r->dim[order[i]], 1))
			dense = order[i];
	}
	if (dense < 0)
		return;
	r->across = !(axes >> dense & 1);
	int from = r->across ? 0 : r->n_kept, to = r->across ? r->n_kept : r->rank;
	for (int i = from; i < to - 1; i++) /* it becomes the last of its kind: after it come axes of one element */
		if (r->order[i] == dense) {
			memmove(r->order + i, r->order + i + 1, (size_t)(to - 1 - i) * sizeof *r->order);
			r->order[to - 1] = dense;
		}
	int most = t->vector_bytes / cg_kind_bytes(r->c, kind);
	int lanes = kg_lanes(k, x->type.dtype);
	r->lanes = fit_lanes(r->dim[dense], lanes < most ? lanes : most > 0 ? most : 1);
}

typedef struct Each {
	Rows *r;
	void (*body)(Rows *r, void *arg);
	void *arg;
} Each;

static void each_row(Kg *k, const CgAt *at, void *arg)
{
	(void)k;
	Each *e = arg;
	e->r->row = *at;
	e->body(e->r, e->arg);
}

void rows_each(Rows *r, void (*body)(Rows *r, void *arg), void *arg)
{
	CgVal dim[WQ_MAX_RANK];
	int order[WQ_MAX_RANK], n = 0;
	Each e = { r, body, arg };
	for (int i = r->n_kept; i < r->rank; i++) { /* a row's own axes: one place, where it begins */
		dim[r->order[i]] = cg_idx(r->c, 1);
		order[n++] = r->order[i];
	}
	for (int i = 0; i < r->n_kept; i++) {
		dim[r->order[i]] = r->dim[r->order[i]];
		order[n++] = r->order[i];
	}
	kg_nest(r->k, r->rank, dim, order, r->across ? r->lanes : 1, each_row, &e);
}

int rows_width(const Rows *r) { return r->across ? r->row.lanes : r->lanes; }

CgVal rows_length(const Rows *r)
{
	CgVal n = cg_idx(r->c, 1);
	for (int i = r->n_kept; i < r->rank; i++)
		n = cg_mul(r->c, n, r->dim[r->order[i]]);
	return n;
}

/* ---- along a row ------------------------------------------------------------------------------------- */

typedef struct Walk {
	const Rows *r;
	int axis;
	RowsAt s;
	CgVal base; /* slot of the inner axis's first element */
	RowsStep *step;
	void *arg;
} Walk;

static void take(Walk *w, CgVal i, int lanes, CgVal count, int u)
{
	const Rows *r = w->r;
	w->s.at.ix[w->axis] = i;
	if (!r->across) {
		w->s.at.lanes = lanes;
		w->s.at.axis = w->axis;
	}
	w->s.slot = cg_add(r->c, w->base, cg_muli(r->c, i, r->across ? rows_width(r) : 1));
	w->s.count = count;
	w->s.u = u;
	w->step(r, &w->s, w->arg);
}

/* [lo, hi), `unroll` steps of `step` at a time. */
static void span(Walk *w, CgVal lo, CgVal hi, int step, int unroll)
{
	Cg *c = w->r->c;
	int64_t a, b;
	if (cg_const(lo, &a) && cg_const(hi, &b) && a >= b)
		return;
	CgVal i = cg_for(c, lo, hi, (int64_t)step * unroll);
	for (int u = 0; u < unroll; u++)
		take(w, cg_addi(c, i, (int64_t)u * step), step, NULL, u);
	cg_end(c);
}

/* What is left of a vector: masked where the target can, else one by one. */
static void tail(Walk *w, CgVal lo, CgVal n)
{
	Cg *c = w->r->c;
	int64_t a, b;
	bool known = cg_const(lo, &a) && cg_const(n, &b);
	if (known && a >= b)
		return;
	if (!cg_target(c)->masked) {
		span(w, lo, n, 1, 1);
		return;
	}
	if (!known)
		cg_if(c, cg_cmp(c, CG_LT, lo, n));
	take(w, lo, w->r->lanes, cg_sub(c, n, lo), 0);
	if (!known)
		cg_end(c);
}

static void inner(Walk *w, int unroll)
{
	const Rows *r = w->r;
	Cg *c = r->c;
	int step = r->across ? 1 : r->lanes;
	int64_t v;
	CgVal n = r->dim[w->axis], lo = cg_idx(c, 0);
	while (unroll > 1 && cg_const(n, &v) && v < (int64_t)step * unroll)
		unroll /= 2;
	if (unroll > 1) {
		CgVal hi = rows_whole(c, n, (int64_t)step * unroll);
		span(w, lo, hi, step, unroll);
		lo = hi;
	}
	CgVal hi = rows_whole(c, n, step);
	span(w, lo, hi, step, 1);
	if (step > 1)
		tail(w, hi, n);
}

static CgVal pitch_of(const Rows *r)
{
	CgVal n = r->dim[r->order[r->rank - 1]];
	return r->across ? cg_muli(r->c, n, rows_width(r)) : rows_whole(r->c, cg_addi(r->c, n, r->lanes - 1), r->lanes);
}

void rows_walk(const Rows *r, int unroll, RowsStep *step, void *arg)
{
	Walk w = { .r = r, .s = { .at = r->row }, .step = step, .arg = arg };
	CgVal segment = cg_idx(r->c, 0);
	if (r->n_kept == r->rank) {
		w.s.slot = segment;
		step(r, &w.s, arg);
		return;
	}
	for (int i = r->n_kept; i < r->rank - 1; i++) {
		int a = r->order[i];
		w.s.at.ix[a] = cg_for(r->c, cg_idx(r->c, 0), r->dim[a], 1);
		segment = cg_add(r->c, cg_mul(r->c, segment, r->dim[a]), w.s.at.ix[a]);
	}
	w.axis = r->order[r->rank - 1];
	w.base = cg_mul(r->c, segment, pitch_of(r));
	inner(&w, unroll);
	for (int i = r->n_kept; i < r->rank - 1; i++)
		cg_end(r->c);
}

/* ---- values of a step ---------------------------------------------------------------------------------- */

CgVal rows_elem(const Rows *r, const WqValue *x, const RowsAt *s)
{
	CgAt at = kg_align(r->k, x, &r->x->type, &s->at);
	return s->count ? kg_arith(r->k, x->type.dtype, kg_elem_part(r->k, x, &at, s->count)) : kg_elem_f(r->k, x, &at);
}

void rows_put_f(const Rows *r, const WqNode *n, const RowsAt *s, CgVal v)
{
	WqDtype t = n->out[0]->type.dtype;
	if (s->count)
		kg_put_part(r->k, n, 0, &s->at, kg_round(r->k, t, v), s->count);
	else
		kg_put_f(r->k, n, 0, &s->at, v);
}

CgVal rows_mask(const Rows *r, const RowsAt *s)
{
	Cg *c = r->c;
	int width = rows_width(r);
	if (!s->count && s->at.lanes == width)
		return NULL;
	CgKind index = cg_index(c);
	CgVal count = s->count ? s->count : cg_idx(c, s->at.lanes);
	return cg_cmp(c, CG_LT, cg_iota(c, cg_t(index, width)), cg_splat(c, count, width));
}

CgVal rows_widen(const Rows *r, CgVal v)
{
	int width = rows_width(r);
	CgType t = cg_type(r->c, v);
	return t.lanes == width ? v : cg_insert(r->c, cg_undef(r->c, cg_t(t.kind, width)), v, 0);
}

RowsAcc rows_acc(const Rows *r, int n, CgVal init)
{
	RowsAcc a = { .n = n };
	for (int i = 0; i < n; i++)
		a.v[i] = cg_var(r->c, cg_splat(r->c, init, rows_width(r)));
	return a;
}

void rows_join(const Rows *r, RowsAcc *a, const RowsAt *s, RowsOp *op, CgVal v, CgVal none)
{
	Cg *c = r->c;
	CgVal mask = rows_mask(r, s), old = cg_get(c, a->v[s->u]);
	if (mask)
		v = cg_select(c, mask, rows_widen(r, v), cg_splat(c, none, rows_width(r)));
	cg_set(c, a->v[s->u], op(c, old, v));
}

CgVal rows_fold(Cg *c, CgVal v, RowsOp *op)
{
	for (int n = cg_lanes(c, v) / 2; n >= 1; n /= 2)
		v = op(c, cg_part(c, v, 0, n), cg_part(c, v, n, n));
	return v;
}

CgVal rows_total(const Rows *r, RowsAcc *a, RowsOp *op)
{
	CgVal v[ROWS_UNROLL] = { NULL };
	int n = a->n;
	for (int i = 0; i < n; i++)
		v[i] = cg_get(r->c, a->v[i]);
	for (; n > 1; n /= 2)
		for (int i = 0; i < n / 2; i++)
			v[i] = op(r->c, v[i], v[i + n / 2]);
	return r->across ? v[0] : rows_fold(r->c, v[0], op);
}

/* ---- scratch ------------------------------------------------------------------------------------------- */

enum { ACROSS_BYTES = 1 << 16 }; /* of scratch, for rows side by side; a long row may take more */

static int64_t hi_of(const WqNode *n, int axis)
{
	int64_t hi = wq_dim_hi(n->graph->mod, n->in[0]->type.dim[axis]);
	return hi > 1 ? hi : 1;
}

static int64_t row_hi(const WqNode *n, uint32_t axes, int but)
{
	int64_t row = 1;
	for (int i = 0; i < n->in[0]->type.rank; i++)
		row = axes >> i & 1 && i != but ? rows_mul(row, hi_of(n, i)) : row;
	return row;
}

int64_t rows_scratch(const WqTarget *t, const WqNode *n, uint32_t axes, int kind_bytes)
{
	int64_t lanes = t->vector_bytes > kind_bytes ? t->vector_bytes / kind_bytes : 1;
	int64_t most = rows_mul(row_hi(n, axes, -1), lanes);
	if (most > ACROSS_BYTES / kind_bytes)
		most = ACROSS_BYTES / kind_bytes;
	for (int i = 0; i < n->in[0]->type.rank; i++) { /* whichever axis is the densest is padded to vectors */
		int64_t row = axes >> i & 1 ? rows_mul(row_hi(n, axes, i), hi_of(n, i) + lanes - 1) : 1;
		most = row > most ? row : most;
	}
	return rows_mul(most + lanes, kind_bytes);
}

void rows_fit_scratch(Rows *r, const WqNode *n, uint32_t axes, int kind_bytes)
{
	int64_t room = rows_scratch(cg_target(r->c), n, axes, kind_bytes), row = rows_mul(row_hi(n, axes, -1), kind_bytes);
	while (r->across && r->lanes > 1 && rows_mul(row, r->lanes) > room)
		r->lanes /= 2;
}

static int slot_align(const Rows *r, CgType t)
{
	int bytes = cg_kind_bytes(r->c, t.kind) * t.lanes;
	return t.lanes == rows_width(r) ? bytes < 64 ? bytes : 64 : 0;
}

CgVal rows_load(const Rows *r, CgKind kind, const RowsAt *s)
{
	CgType t = cg_t(kind, s->at.lanes);
	return cg_load(r->c, t, cg_at(r->c, kind, kg_scratch(r->k), s->slot), slot_align(r, t));
}

void rows_store(const Rows *r, const RowsAt *s, CgVal v)
{
	CgType t = cg_type(r->c, v);
	cg_store(r->c, v, cg_at(r->c, t.kind, kg_scratch(r->k), s->slot), slot_align(r, t));
}
