/* emit_pool.c: MaxPool, AveragePool over any number of spatial axes.
 *
 * The densest axis in memory is the vector's. When it is no spatial one (channels last) every lane has the same window, and several
 * vectors share the loop over its taps. When it is spatial, neighbouring windows of stride 1 are taken together where they lie
 * wholly inside; the others one by one.
 */
#include <math.h>

#include "codegen/rows.h"
#include "ir/window.h"

enum { MANY = 4 }; /* vectors that share a window */

typedef struct Pool {
	const WqNode *n;
	Kg *k;
	Cg *c;
	const WqValue *x;
	WqWindow w;
	bool average, count_pad, column_major, indices;
	CgKind kind, index;
	int dense, lanes;
	CgVal begin[WQ_MAX_RANK], end[WQ_MAX_RANK], in[WQ_MAX_RANK], out[WQ_MAX_RANK];
} Pool;

/* The taps [lo, hi) of each axis that a window has elements for. */
typedef struct Taps {
	CgVal start[WQ_MAX_RANK], lo[WQ_MAX_RANK], hi[WQ_MAX_RANK];
} Taps;

/* ---- geometry ----------------------------------------------------------------------------------------------- */

static void padding(Pool *f, int d)
{
	Cg *c = f->c;
	const char *mode = wq_attr_s(f->n, "auto_pad");
	if (strncmp(mode, "SAME", 4)) {
		bool given = !strcmp(mode, "NOTSET");
		f->begin[d] = cg_idx(c, given ? f->w.begin[d] : 0);
		f->end[d] = cg_idx(c, given ? f->w.end[d] : 0);
		return;
	}
	CgVal reach = cg_addi(c, cg_muli(c, cg_addi(c, f->out[d], -1), f->w.stride[d]), wq_window_extent(&f->w, d));
	CgVal total = cg_max(c, cg_sub(c, reach, f->in[d]), cg_idx(c, 0)), half = cg_divi(c, total, 2);
	bool upper = !strcmp(mode, "SAME_UPPER");
	f->begin[d] = upper ? half : cg_sub(c, total, half);
	f->end[d] = cg_sub(c, total, f->begin[d]);
}

/* How many steps of axis d lie before position p, seen from start: ceil((p - start) / dilation), at least 0. */
static CgVal steps_to(const Pool *f, int d, CgVal p, CgVal start)
{
	int64_t dilation = f->w.dilation[d];
	CgVal far = cg_max(f->c, cg_sub(f->c, p, start), cg_idx(f->c, 0));
	return dilation == 1 ? far : cg_divi(f->c, cg_addi(f->c, far, dilation - 1), dilation);
}

static bool known(CgVal v, int64_t *n) { return cg_const(v, n); }

/* Do all windows of axis d end before the elements do? */
static bool never_beyond(const Pool *f, int d)
{
	int64_t in, out, begin;
	return known(f->in[d], &in) && known(f->out[d], &out) && known(f->begin[d], &begin) &&
	       (out - 1) * f->w.stride[d] - begin + wq_window_extent(&f->w, d) <= in;
}

/* Taps of axis d for the window at place o. */
static void taps_at(const Pool *f, Taps *t, int d, CgVal o)
{
	Cg *c = f->c;
	int64_t begin;
	CgVal all = cg_idx(c, f->w.kernel[d]), zero = cg_idx(c, 0);
	t->start[d] = cg_sub(c, cg_muli(c, o, f->w.stride[d]), f->begin[d]);
	t->lo[d] = known(f->begin[d], &begin) && begin <= 0 ? zero : steps_to(f, d, zero, t->start[d]);
	t->hi[d] = never_beyond(f, d) ? all : cg_min(c, all, steps_to(f, d, f->in[d], t->start[d]));
}

/* Elements of a window, with padding where that counts. */
static CgVal elements(const Pool *f, const Taps *t)
{
	Cg *c = f->c;
	CgVal n = cg_idx(c, 1), zero = cg_idx(c, 0);
	for (int d = 0; d < f->w.n; d++) {
		CgVal lo = t->lo[d], hi = t->hi[d];
		if (f->count_pad) {
			lo = steps_to(f, d, cg_sub(c, zero, f->begin[d]), t->start[d]);
			hi = steps_to(f, d, cg_add(c, f->in[d], f->end[d]), t->start[d]);
			hi = cg_min(c, hi, cg_idx(c, f->w.kernel[d]));
		}
		n = cg_mul(c, n, cg_max(c, cg_sub(c, hi, lo), zero));
	}
	return n;
}

/* ---- one window, or neighbours ------------------------------------------------------------------------------ */

typedef struct Best {
	CgVar v, place; /* the sum, or the largest; where in the plane that is, -1: nowhere */
} Best;

static CgVal least(const Pool *f, int lanes)
{
	CgType t = cg_t(f->kind, lanes);
	WqDtype x = f->x->type.dtype;
	if (f->average)
		return cg_zero(f->c, t);
	if (wq_dtype_is_float(x))
		return cg_float(f->c, t, -INFINITY);
	return cg_int(f->c, t, wq_dtype_is_signed(x) ? -1 - (INT64_MAX >> (64 - 8 * cg_kind_bytes(f->c, f->kind))) : 0);
}

/* The plane's number of the element at `at`, in the order that the indices count. */
static CgVal place_of(const Pool *f, const CgAt *at)
{
	Cg *c = f->c;
	CgVal p = cg_idx(c, 0), step = cg_idx(c, 1), lane = step;
	for (int i = 0; i < f->w.n; i++) {
		int d = f->column_major ? i : f->w.n - 1 - i;
		p = cg_add(c, p, cg_mul(c, at->ix[2 + d], step));
		lane = 2 + d == f->dense ? step : lane;
		step = cg_mul(c, step, f->in[d]);
	}
	p = cg_splat(c, cg_resize(c, p, f->index, true), at->lanes);
	if (at->lanes == 1 || f->dense < 2)
		return p;
	lane = cg_splat(c, cg_resize(c, lane, f->index, true), at->lanes);
	return cg_add(c, p, cg_mul(c, cg_iota(c, cg_t(f->index, at->lanes)), lane));
}

static void join(const Pool *f, Best *b, CgVal v, const CgAt *at)
{
	Cg *c = f->c;
	CgVal old = cg_get(c, b->v);
	bool is_float = cg_is_float(f->kind), sign = wq_dtype_is_signed(f->x->type.dtype);
	if (f->average) {
		cg_set(c, b->v, cg_add(c, old, v));
		return;
	}
	if (!f->indices) {
		CgVal most = is_float || sign ? cg_max(c, v, old) : cg_umax(c, v, old);
		cg_set(c, b->v, is_float ? cg_select(c, cg_cmp(c, CG_UNO, v, v), v, most) : most);
		return;
	}
	CgVal wins = cg_cmp(c, is_float || sign ? CG_GT : CG_UGT, v, old), place = cg_get(c, b->place);
	if (is_float)
		wins = cg_or(c, wins, cg_and(c, cg_cmp(c, CG_UNO, v, v), cg_cmp(c, CG_EQ, old, old)));
	wins = cg_or(c, wins, cg_cmp(c, CG_LT, place, cg_zero(c, cg_type(c, place))));
	cg_set(c, b->place, cg_select(c, wins, place_of(f, at), place));
	cg_set(c, b->v, cg_select(c, wins, v, old));
}

/* Indices count in the whole of x: plane * (its size) + place. */
static CgVal whole_index(const Pool *f, const CgAt *at, CgVal place)
{
	Cg *c = f->c;
	CgVal none = cg_cmp(c, CG_LT, place, cg_zero(c, cg_type(c, place))), size = cg_idx(c, 1);
	for (int d = 0; d < f->w.n; d++)
		size = cg_mul(c, size, f->in[d]);
	CgVal plane[2] = { at->ix[0], at->ix[1] };
	for (int a = 0; a < 2; a++) {
		plane[a] = cg_splat(c, cg_resize(c, plane[a], CG_I64, true), at->lanes);
		if (at->axis == a && at->lanes > 1)
			plane[a] = cg_add(c, plane[a], cg_iota(c, cg_t(CG_I64, at->lanes)));
	}
	CgVal n = cg_splat(c, cg_resize(c, kg_size(f->k, f->x, 1), CG_I64, true), at->lanes);
	CgVal base = cg_add(c, cg_mul(c, plane[0], n), plane[1]);
	base = cg_mul(c, base, cg_splat(c, cg_resize(c, size, CG_I64, true), at->lanes));
	CgVal i = cg_add(c, base, cg_resize(c, place, CG_I64, true));
	return cg_select(c, none, cg_int(c, cg_type(c, i), -1), i);
}

static void put(const Pool *f, int result, const CgAt *at, CgVal v, CgVal count)
{
	if (count)
		kg_put_part(f->k, f->n, result, at, v, count);
	else
		kg_put(f->k, f->n, result, at, v);
}

static void give(const Pool *f, const Best *b, const CgAt *at, CgVal scale, CgVal count)
{
	Cg *c = f->c;
	CgVal v = cg_get(c, b->v);
	if (f->average)
		v = cg_mul(c, v, cg_splat(c, scale, at->lanes));
	if (f->n->out[0])
		put(f, 0, at, kg_round(f->k, f->x->type.dtype, v), count);
	if (f->indices)
		put(f, 1, at, whole_index(f, at, cg_get(c, b->place)), count);
}

/* A tap's elements, all vectors of it. */
static void tap_vectors(const Pool *f, Best *b, const CgAt *at, int lanes, int n, CgVal count)
{
	for (int v = 0; v < n; v++) {
		CgAt here = *at;
		here.ix[f->dense] = cg_addi(f->c, at->ix[f->dense], (int64_t)v * lanes);
		CgVal x = count && v == n - 1 ? kg_elem_part(f->k, f->x, &here, count) : kg_elem(f->k, f->x, &here);
		join(f, &b[v], kg_arith(f->k, f->x->type.dtype, x), &here);
	}
}

static void loop_taps(const Pool *f, Best *b, CgAt at, const Taps *t, int lanes, int n, CgVal count)
{
	Cg *c = f->c;
	for (int d = 0; d < f->w.n; d++) {
		CgVal tap = cg_for(c, t->lo[d], t->hi[d], 1);
		at.ix[2 + d] = cg_add(c, t->start[d], cg_muli(c, tap, f->w.dilation[d]));
	}
	tap_vectors(f, b, &at, lanes, n, count);
	for (int d = 0; d < f->w.n; d++)
		cg_end(c);
}

static int64_t taps_of(const Pool *f)
{
	int64_t n = 1;
	for (int d = 0; d < f->w.n; d++)
		n = rows_mul(n, f->w.kernel[d]);
	return n;
}

/* Every tap, without loops. */
static void all_taps(const Pool *f, Best *b, CgAt at, const Taps *t, int lanes, int n, CgVal count)
{
	for (int64_t i = 0; i < taps_of(f); i++) {
		int64_t rest = i;
		for (int d = f->w.n - 1; d >= 0; d--) {
			at.ix[2 + d] = cg_addi(f->c, t->start[d], rest % f->w.kernel[d] * f->w.dilation[d]);
			rest /= f->w.kernel[d];
		}
		tap_vectors(f, b, &at, lanes, n, count);
	}
}

enum { UNROLLED = 48 }; /* vectors that a window without loops reads at most */

/* A window that lies wholly inside, as most do, needs no loops. */
static void take_taps(const Pool *f, Best *b, const CgAt *at, const Taps *t, int lanes, int n, CgVal count)
{
	Cg *c = f->c;
	CgVal inside = cg_int(c, cg_t(CG_I1, 1), 1);
	int64_t known_inside;
	if (lanes == 1 || rows_mul(taps_of(f), n) > UNROLLED) {
		loop_taps(f, b, *at, t, lanes, n, count);
		return;
	}
	for (int d = 0; d < f->w.n; d++) {
		CgVal whole = cg_cmp(c, CG_EQ, cg_sub(c, t->hi[d], t->lo[d]), cg_idx(c, f->w.kernel[d]));
		inside = cg_and(c, inside, whole);
	}
	if (cg_const(inside, &known_inside) && known_inside) {
		all_taps(f, b, *at, t, lanes, n, count);
		return;
	}
	cg_if(c, inside);
	all_taps(f, b, *at, t, lanes, n, count);
	cg_else(c);
	loop_taps(f, b, *at, t, lanes, n, count);
	cg_end(c);
}

/* `n` vectors of `lanes` windows along the dense axis from out on; count: of the last vector, as for kg_put_part. */
static void windows(const Pool *f, const CgAt *out, const Taps *t, int lanes, int n, CgVal count)
{
	Cg *c = f->c;
	Best b[MANY];
	CgAt at = *out;
	CgVal scale = NULL;
	at.lanes = lanes;
	at.axis = f->dense;
	if (f->average) {
		CgVal many = cg_to_float(c, cg_max(c, elements(f, t), cg_idx(c, 1)), f->kind, true);
		scale = cg_fdiv(c, cg_float(c, cg_t(f->kind, 1), 1), many);
	}
	for (int v = 0; v < n; v++) {
		b[v].v = cg_var(c, least(f, lanes));
		if (f->indices)
			b[v].place = cg_var(c, cg_int(c, cg_t(f->index, lanes), -1));
	}
	take_taps(f, b, &at, t, lanes, n, count);
	for (int v = 0; v < n; v++) {
		CgAt here = at;
		here.ix[f->dense] = cg_addi(c, out->ix[f->dense], (int64_t)v * lanes);
		give(f, &b[v], &here, scale, v == n - 1 ? count : NULL);
	}
}

/* ---- the dense axis is none of the window's ------------------------------------------------------------------ */

static void some(const Pool *f, CgAt at, const Taps *t, CgVal lo, CgVal hi, int lanes, int n)
{
	int64_t a, b;
	if (cg_const(lo, &a) && cg_const(hi, &b) && a >= b)
		return;
	at.ix[f->dense] = cg_for(f->c, lo, hi, (int64_t)lanes * n);
	windows(f, &at, t, lanes, n, NULL);
	cg_end(f->c);
}

/* [lo, size), less than `MANY` vectors; all at once when the size is known. */
static void rest(const Pool *f, CgAt at, const Taps *t, CgVal lo, CgVal size)
{
	Cg *c = f->c;
	int64_t a, b;
	bool fixed = cg_const(lo, &a) && cg_const(size, &b), masked = cg_target(c)->masked;
	CgVal whole = rows_whole(c, size, f->lanes);
	at.ix[f->dense] = lo;
	if (fixed && a == b)
		return;
	if (fixed && (masked || (b - a) % f->lanes == 0)) {
		int64_t left = (b - a) % f->lanes;
		windows(f, &at, t, f->lanes, (int)((b - a + f->lanes - 1) / f->lanes), left ? cg_idx(c, left) : NULL);
		return;
	}
	some(f, at, t, lo, whole, f->lanes, 1);
	if (!masked) {
		some(f, at, t, whole, size, 1, 1);
		return;
	}
	at.ix[f->dense] = whole;
	cg_if(c, cg_cmp(c, CG_LT, whole, size));
	windows(f, &at, t, f->lanes, 1, cg_sub(c, size, whole));
	cg_end(c);
}

static void all_lanes(Kg *k, const CgAt *out, void *arg)
{
	const Pool *f = arg;
	Taps t;
	CgVal size = kg_size(k, f->x, f->dense), many = rows_whole(f->c, size, (int64_t)f->lanes * MANY);
	for (int d = 0; d < f->w.n; d++)
		taps_at(f, &t, d, out->ix[2 + d]);
	some(f, *out, &t, cg_idx(f->c, 0), many, f->lanes, MANY);
	rest(f, *out, &t, many, size);
}

/* ---- the dense axis is a window's ---------------------------------------------------------------------------- */

static void one_by_one(const Pool *f, CgAt at, Taps t, CgVal lo, CgVal hi)
{
	int64_t a, b;
	if (cg_const(lo, &a) && cg_const(hi, &b) && a >= b)
		return;
	at.ix[f->dense] = cg_for(f->c, lo, hi, 1);
	taps_at(f, &t, f->dense - 2, at.ix[f->dense]);
	windows(f, &at, &t, 1, 1, NULL);
	cg_end(f->c);
}

static void line(Kg *k, const CgAt *out, void *arg)
{
	const Pool *f = arg;
	Cg *c = f->c;
	int last = f->dense - 2;
	Taps t;
	CgAt at = *out;
	CgVal zero = cg_idx(c, 0), n = f->out[last];
	(void)k;
	for (int d = 0; d < f->w.n; d++)
		if (d != last)
			taps_at(f, &t, d, out->ix[2 + d]);
	if (f->lanes == 1 || f->w.stride[last] != 1) {
		one_by_one(f, at, t, zero, n);
		return;
	}
	/* windows [a, b) have all their taps */
	CgVal a = cg_min(c, cg_max(c, f->begin[last], zero), n);
	CgVal b = cg_sub(c, cg_add(c, f->in[last], f->begin[last]), cg_idx(c, wq_window_extent(&f->w, last) - 1));
	b = cg_max(c, a, cg_min(c, b, n));
	CgVal whole = cg_add(c, a, rows_whole(c, cg_sub(c, b, a), f->lanes));
	one_by_one(f, at, t, zero, a);
	at.ix[f->dense] = cg_for(c, a, whole, f->lanes);
	t.start[last] = cg_sub(c, at.ix[f->dense], f->begin[last]);
	t.lo[last] = zero;
	t.hi[last] = cg_idx(c, f->w.kernel[last]);
	windows(f, &at, &t, f->lanes, 1, NULL);
	cg_end(c);
	one_by_one(f, *out, t, whole, n);
}

/* ---- the kernel ------------------------------------------------------------------------------------------------ */

static void choose_axis(Pool *f, const int *order)
{
	int64_t n;
	f->dense = f->x->type.rank - 1;
	for (int i = 0; i < f->x->type.rank; i++)
		if (!known(kg_size(f->k, f->x, order[i]), &n) || n != 1)
			f->dense = order[i];
	f->lanes = kg_lanes(f->k, f->x->type.dtype);
	CgVal size = f->dense < 2 ? kg_size(f->k, f->x, f->dense) : f->out[f->dense - 2];
	while (f->lanes > 1 && known(size, &n) && n < f->lanes)
		f->lanes /= 2;
}

static void kernel(Kg *k, const WqNode *n)
{
	Pool f = { .n = n, .k = k, .c = kg_cg(k), .x = n->in[0], .average = n->op == OP_AveragePool, .index = CG_I32 };
	int rank = f.x->type.rank, order[WQ_MAX_RANK];
	const WqValue *y = n->out[0] ? n->out[0] : n->out[1];
	CgVal dim[WQ_MAX_RANK];
	int64_t plane = 1;
	wq_window_attrs(n, rank - 2, NULL, &f.w);
	f.kind = kg_acc(f.x->type.dtype);
	f.count_pad = f.average && wq_attr_i(n, "count_include_pad");
	f.column_major = !f.average && wq_attr_i(n, "column_major");
	f.indices = n->n_out > 1 && n->out[1];
	for (int d = 0; d < f.w.n; d++) {
		f.in[d] = kg_size(k, f.x, 2 + d);
		f.out[d] = kg_size(k, y, 2 + d);
		plane = rows_mul(plane, wq_dim_hi(n->graph->mod, f.x->type.dim[2 + d]));
		padding(&f, d);
	}
	if (plane >= INT32_MAX)
		f.index = CG_I64;
	kg_order(k, f.x, order);
	choose_axis(&f, order);
	for (int a = 0; a < rank; a++)
		dim[a] = a == f.dense ? cg_min(f.c, kg_size(k, y, a), cg_idx(f.c, 1)) : kg_size(k, y, a);
	kg_nest(k, rank, dim, order, 1, f.dense < 2 ? all_lanes : line, &f);
}

/* A window that is larger than what there is. */
static void sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *y = n->out[0] ? n->out[0] : n->out[1];
	for (int d = 2; d < y->type.rank; d++)
		if (wq_dim_lo(n->graph->mod, y->type.dim[d]) < 0)
			kg_fault(k, cg_cmp(c, CG_LT, kg_size(k, y, d), cg_idx(c, 0)), KG_EVALUE);
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	WqWindow w;
	(void)t;
	return wq_window_attrs(n, n->in[0]->type.rank - 2, NULL, &w) ? "its attributes do not fit" : NULL;
}

const WqEmit emit_max_pool = { .kernel = kernel, .sizes = sizes, .epilogue = true, .repeated = 1, .refuse = refuse };
const WqEmit emit_average_pool = { .kernel = kernel, .sizes = sizes, .epilogue = true, .repeated = 1, .refuse = refuse };
