/* attention_row.c: Attention of very few queries (a decoder's step): keys and values are streamed, and all rows of q that read the same
 * ones go through a block of them together. Lanes run along a key, then along the scores, then along a value.
 */
#include <math.h>

#include "codegen/attention.h"

enum { AT_ONCE = 4 }; /* keys whose products are in flight, or vectors of a value */

typedef struct Row {
	const Attend *f;
	AttendAt a;
	CgVal g, rows;          /* rows of q for this group */
	CgVal q, o, p, top, sum; /* parts of scratch */
	CgVal r, h, i;          /* a row: its head and query */
	CgVal lo, hi;           /* keys of it in the block */
	int along_d, along_e;   /* lanes */
} Row;

static int fit(const Attend *f, CgVal n)
{
	int64_t v;
	int lanes = f->plan.lanes;
	while (cg_const(n, &v) && lanes > 1 && lanes > v)
		lanes /= 2;
	return lanes;
}

static void choose_row(Row *t, CgVal r)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgVal own = cg_udiv(c, r, f->S);
	t->r = r;
	t->h = cg_add(c, cg_mul(c, t->g, f->ratio), own);
	t->i = cg_sub(c, r, cg_mul(c, own, f->S));
}

static CgVal q_row(const Row *t) { return cg_muli(t->f->c, t->r, t->f->plan.d_pitch); }
static CgVal o_row(const Row *t) { return cg_muli(t->f->c, t->r, t->f->plan.e_pitch); }

/* fn over [0, n), `lanes` at a time, then one by one. */
static void along(Row *t, CgVal n, int lanes, void (*fn)(Row *t, CgVal i, int lanes))
{
	Cg *c = t->f->c;
	CgVal whole = rows_whole(c, n, lanes);
	fn(t, cg_for(c, cg_idx(c, 0), whole, lanes), lanes);
	cg_end(c);
	if (lanes > 1) {
		fn(t, cg_for(c, whole, n, 1), 1);
		cg_loop_hint(c, CG_NO_VECTOR | CG_NO_UNROLL);
		cg_end(c);
	}
}

/* ---- begin ----------------------------------------------------------------------------------------------------- */

static void take_q(Row *t, CgVal d, int lanes)
{
	const Attend *f = t->f;
	CgAt at = { .rank = 4, .ix = { t->a.b, t->h, t->i, d }, .lanes = lanes, .axis = 3 };
	CgVal v = cg_mul(f->c, attend_elem(f, &f->q, &at), cg_splat(f->c, f->scale, lanes));
	attend_store(f, v, t->q, cg_add(f->c, q_row(t), d));
}

static void clear_o(Row *t, CgVal e, int lanes)
{
	attend_store(t->f, cg_zero(t->f->c, cg_t(t->f->kind, lanes)), t->o, cg_add(t->f->c, o_row(t), e));
}

static void begin_row(Row *t)
{
	const Attend *f = t->f;
	along(t, f->D, t->along_d, take_q);
	along(t, f->E, t->along_e, clear_o);
	attend_store(f, attend_low(f, 1), t->top, t->r);
	attend_store(f, cg_zero(f->c, cg_t(f->kind, 1)), t->sum, t->r);
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* Of n keys from j on. */
static void score(Row *t, CgVal j, int n)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = t->along_d;
	CgVar acc[AT_ONCE], rest[AT_ONCE];
	CgVal whole = rows_whole(c, f->D, lanes);
	for (int i = 0; i < n; i++) {
		acc[i] = cg_var(c, cg_zero(c, cg_t(f->kind, lanes)));
		rest[i] = cg_var(c, f->nothing);
	}
	for (int part = 0; part < (lanes > 1 ? 2 : 1); part++) {
		int step = part ? 1 : lanes;
		CgVar *to = part ? rest : acc;
		CgVal d = cg_for(c, part ? whole : cg_idx(c, 0), part ? f->D : whole, step);
		CgVal x = attend_load(f, t->q, cg_add(c, q_row(t), d), step);
		for (int i = 0; i < n; i++) {
			CgAt at = { .rank = 4, .ix = { t->a.b, t->g, cg_addi(c, j, i), d }, .lanes = step, .axis = 3 };
			cg_set(c, to[i], cg_fma(c, x, attend_elem(f, &f->key, &at), cg_get(c, to[i])));
		}
		cg_end(c);
	}
	for (int i = 0; i < n; i++) {
		CgVal s = cg_get(c, acc[i]);
		s = cg_add(c, lanes > 1 ? cg_hsum(c, s) : s, cg_get(c, rest[i]));
		attend_store(f, s, t->p, cg_addi(c, cg_sub(c, j, t->lo), i));
	}
}

static void finish_scores(Row *t, CgVal i, int lanes)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgVal s = attend_cap(f, attend_load(f, t->p, i, lanes));
	CgAt at = { .rank = 4, .ix = { t->a.b, t->h, t->i, cg_add(c, t->lo, i) }, .lanes = lanes, .axis = 3 };
	if (f->mask)
		s = attend_mask(f, &at, s, NULL);
	attend_store(f, s, t->p, i);
}

/* p becomes exponentials, the sum goes on; returns what the values so far are worth now. */
static CgVal exponentials(Row *t, CgVal n)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = f->plan.lanes;
	CgVar most = cg_var(c, attend_low(f, lanes)), sum = cg_var(c, cg_zero(c, cg_t(f->kind, lanes)));
	attend_store(f, attend_low(f, lanes), t->p, n); /* fills the last vector */
	CgVal i = cg_for(c, cg_idx(c, 0), n, lanes);
	cg_set(c, most, cg_max(c, attend_load(f, t->p, i, lanes), cg_get(c, most)));
	cg_end(c);
	CgVal old = attend_load(f, t->top, t->r, 1), top = cg_max(c, cg_hmax(c, cg_get(c, most)), old);
	CgVal safe = attend_safe(f, top), alpha = attend_exp(f, cg_sub(c, old, safe));
	i = cg_for(c, cg_idx(c, 0), n, lanes);
	CgVal p = attend_exp(f, cg_sub(c, attend_load(f, t->p, i, lanes), cg_splat(c, safe, lanes)));
	attend_store(f, p, t->p, i);
	cg_set(c, sum, cg_add(c, cg_get(c, sum), p));
	cg_end(c);
	CgVal total = cg_fma(c, attend_load(f, t->sum, t->r, 1), alpha, cg_hsum(c, cg_get(c, sum)));
	attend_store(f, top, t->top, t->r);
	attend_store(f, total, t->sum, t->r);
	return alpha;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* `n` vectors of o from e on: times alpha, plus the block's keys' p times v. */
static void value_part(Row *t, CgVal alpha, CgVal e, int lanes, int n)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgVar acc[AT_ONCE];
	for (int i = 0; i < n; i++) {
		CgVal o = attend_load(f, t->o, cg_addi(c, cg_add(c, o_row(t), e), (int64_t)i * lanes), lanes);
		acc[i] = cg_var(c, cg_mul(c, o, cg_splat(c, alpha, lanes)));
	}
	CgVal j = cg_for(c, t->lo, t->hi, 1), p = cg_splat(c, attend_load(f, t->p, cg_sub(c, j, t->lo), 1), lanes);
	for (int i = 0; i < n; i++) {
		CgAt at = { .rank = 4, .ix = { t->a.b, t->g, j, cg_addi(c, e, (int64_t)i * lanes) }, .lanes = lanes, .axis = 3 };
		cg_set(c, acc[i], cg_fma(c, p, attend_elem(f, &f->v, &at), cg_get(c, acc[i])));
	}
	cg_end(c);
	for (int i = 0; i < n; i++)
		attend_store(f, cg_get(c, acc[i]), t->o, cg_addi(c, cg_add(c, o_row(t), e), (int64_t)i * lanes));
}

static void values(Row *t, CgVal alpha)
{
	Cg *c = t->f->c;
	int lanes = t->along_e;
	CgVal from = cg_idx(c, 0), E = t->f->E;
	for (int k = 0; k < 3; k++) { /* several vectors, one, single elements */
		int n = k == 0 ? AT_ONCE : 1, width = k == 2 ? 1 : lanes;
		if (k == 2 && lanes == 1)
			break;
		CgVal to = rows_whole(c, E, (int64_t)n * width);
		value_part(t, alpha, cg_for(c, from, to, (int64_t)n * width), width, n);
		cg_end(c);
		from = to;
	}
}

/* ---- a block, a row's end ------------------------------------------------------------------------------------------ */

static void block(Row *t, CgVal lo, CgVal hi)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgVal from, to;
	choose_row(t, cg_for(c, cg_idx(c, 0), t->rows, 1));
	attend_range(f, &t->a, t->i, t->i, &from, &to);
	t->lo = cg_max(c, lo, from);
	t->hi = cg_min(c, hi, to);
	CgVal n = cg_sub(c, t->hi, t->lo);
	cg_if(c, cg_cmp(c, CG_GT, n, cg_idx(c, 0)));
	CgVal whole = cg_add(c, t->lo, rows_whole(c, n, AT_ONCE));
	score(t, cg_for(c, t->lo, whole, AT_ONCE), AT_ONCE);
	cg_end(c);
	score(t, cg_for(c, whole, t->hi, 1), 1);
	cg_end(c);
	if (f->mask || f->softcap > 0)
		along(t, n, f->plan.lanes, finish_scores);
	values(t, exponentials(t, n));
	cg_end(c);
	cg_end(c);
}

static void put(Row *t, CgVal e, int lanes)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgAt at = { .rank = 4, .ix = { t->a.b, t->h, t->i, e }, .lanes = lanes, .axis = 3 };
	CgVal sum = attend_load(f, t->sum, t->r, 1), zero = cg_zero(c, cg_t(f->kind, 1)), one = cg_float(c, cg_t(f->kind, 1), 1);
	CgVal none = cg_cmp(c, CG_EQ, sum, zero), factor = cg_fdiv(c, one, cg_select(c, none, one, sum));
	CgVal v = cg_mul(c, attend_load(f, t->o, cg_add(c, o_row(t), e), lanes), cg_splat(c, factor, lanes));
	kg_put_f(f->k, f->n, 0, &at, cg_select(c, cg_splat(c, none, lanes), cg_zero(c, cg_type(c, v)), v));
}

static void group(Row *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgVal zero = cg_idx(c, 0), lo, hi;
	int64_t rows = rows_mul(f->plan.heads, f->plan.few), at = 0;
	t->q = attend_part(f, at), at += rows_mul(rows, f->plan.d_pitch);
	t->o = attend_part(f, at), at += rows_mul(rows, f->plan.e_pitch);
	t->top = attend_part(f, at), at += rows;
	t->sum = attend_part(f, at), at += rows;
	t->p = attend_part(f, at);
	choose_row(t, cg_for(c, zero, t->rows, 1));
	begin_row(t);
	cg_end(c);
	attend_range(f, &t->a, zero, cg_addi(c, f->S, -1), &lo, &hi);
	CgVal from = cg_for(c, lo, hi, f->plan.block);
	block(t, from, cg_min(c, cg_addi(c, from, f->plan.block), hi));
	cg_end(c);
	choose_row(t, cg_for(c, zero, t->rows, 1));
	along(t, f->E, t->along_e, put);
	cg_end(c);
}

void attend_rows(const Attend *f, CgVal lo, CgVal hi)
{
	Cg *c = f->c;
	Row t = { .f = f, .along_d = fit(f, f->D), .along_e = fit(f, f->E) };
	CgVal unit = cg_for(c, lo, hi, 1), b = cg_udiv(c, unit, f->groups);
	t.g = cg_sub(c, unit, cg_mul(c, b, f->groups));
	CgVal none = cg_cmp(c, CG_EQ, f->heads, cg_idx(c, 0)); /* then the ratio is none */
	t.rows = cg_select(c, none, cg_idx(c, 0), cg_mul(c, f->ratio, f->S));
	t.a = attend_at(f, b, cg_mul(c, t.g, f->ratio));
	group(&t);
	cg_end(c);
}
