/* attention_tile.c: Attention, a tile of queries at a time. Every vector holds a number for each of its queries, so a key's score is a sum
 * over d of q[d] (a vector, transposed once for the tile) times the key's element (a scalar), and the same goes for the values.
 */
#include "codegen/attention.h"

enum { MANY = 32 }; /* registers of a tile, at most */

typedef struct Tile {
	const Attend *f;
	AttendAt a;
	CgVal first, count;        /* queries */
	CgVal q, p, o, y;          /* parts of scratch */
	CgVal lo, hi;              /* keys of the block */
	CgVal key, key_first, key_row, key_col, v, v_row, v_col; /* elements of arithmetic: key_first is where `key` points */
	CgVar top[2], sum[2];
	CgVal alpha[2];
} Tile;

static int queries(const Attend *f) { return f->plan.lanes * f->plan.vectors; }

CgVal attend_tile_units(const Attend *f)
{
	Cg *c = f->c;
	CgVal tiles = cg_divi(c, cg_addi(c, f->S, queries(f) - 1), queries(f));
	return cg_mul(c, cg_mul(c, f->batches, f->heads), tiles);
}

/* ---- queries in, results out ------------------------------------------------------------------------------------ */

/* v[lane] of each vector becomes vector [lane]: log2 steps of interleaving the halves. */
static void transpose(Cg *c, CgVal *v, int n)
{
	int low[64], high[64];
	WQ_ASSERT(n <= 64);
	for (int i = 0; i < n; i++) {
		low[i] = i / 2 + (i & 1 ? n : 0);
		high[i] = low[i] + n / 2;
	}
	for (int step = 1; step < n; step *= 2) {
		CgVal w[64];
		for (size_t i = 0; i < (size_t)n / 2; i++) {
			CgVal a = v[i], b = v[i + (size_t)n / 2];
			w[2 * i] = cg_shuffle(c, a, b, n, low);
			w[2 * i + 1] = cg_shuffle(c, a, b, n, high);
		}
		memcpy(v, w, (size_t)n * sizeof *v);
	}
}

/* `lanes` elements of each of a vector's queries, from d on, transposed to scratch. Queries past the last repeat it. */
static void take_q(const Tile *t, CgVal vector, CgVal d, int lanes)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int n = f->plan.lanes;
	CgVal v[64], base = cg_muli(c, vector, n);
	for (int i = 0; i < n; i++) {
		CgVal query = cg_add(c, t->first, cg_min(c, cg_addi(c, base, i), cg_addi(c, t->count, -1)));
		CgAt at = { .rank = 4, .ix = { t->a.b, t->a.h, query, d }, .lanes = lanes, .axis = 3 };
		v[i] = cg_mul(c, attend_elem(f, &f->q, &at), cg_splat(c, f->scale, lanes));
	}
	if (lanes == 1) {
		CgVal one = cg_undef(c, cg_t(f->kind, n));
		for (int i = 0; i < n; i++)
			one = n == 1 ? v[0] : cg_insert(c, one, v[i], i);
		v[0] = one;
	} else {
		transpose(c, v, n);
	}
	for (int i = 0; i < lanes; i++) {
		CgVal row = cg_muli(c, cg_addi(c, d, i), queries(f));
		attend_store(f, v[i], t->q, cg_add(c, row, base));
	}
}

static void load_queries(const Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int n = f->plan.lanes;
	CgVal zero = cg_idx(c, 0), whole = rows_whole(c, f->D, n);
	CgVal vector = cg_for(c, zero, cg_idx(c, f->plan.vectors), 1);
	cg_loop_hint(c, CG_NO_UNROLL);
	CgVal d = cg_for(c, zero, whole, n);
	cg_loop_hint(c, CG_NO_UNROLL);
	take_q(t, vector, d, n);
	cg_end(c);
	if (n > 1) {
		d = cg_for(c, whole, f->D, 1);
		cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
		take_q(t, vector, d, 1);
		cg_end(c);
	}
	cg_end(c);
	CgVal i = cg_for(c, zero, cg_mul(c, f->E, cg_idx(c, queries(f))), n);
	attend_store(f, cg_zero(c, cg_t(f->kind, n)), t->o, i);
	cg_end(c);
}

/* o[e][query], divided by the queries' sums, to y[query][e]. */
static void finish(const Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int n = f->plan.lanes;
	for (int vec = 0; vec < f->plan.vectors; vec++) {
		CgVal sum = cg_get(c, t->sum[vec]), zero = cg_zero(c, cg_type(c, sum)), one = cg_float(c, cg_type(c, sum), 1);
		CgVal none = cg_cmp(c, CG_EQ, sum, zero), factor = cg_fdiv(c, one, cg_select(c, none, one, sum)), v[64];
		CgVal e = cg_for(c, cg_idx(c, 0), f->E, n);
		cg_loop_hint(c, CG_NO_UNROLL);
		for (int i = 0; i < n; i++) {
			CgVal row = cg_muli(c, cg_addi(c, e, i), queries(f));
			v[i] = attend_load(f, t->o, cg_addi(c, row, (int64_t)vec * n), n);
			v[i] = cg_select(c, none, zero, cg_mul(c, v[i], factor));
		}
		transpose(c, v, n);
		for (int i = 0; i < n; i++)
			attend_store(f, v[i], t->y, cg_addi(c, e, (vec * n + i) * f->plan.e_pitch));
		cg_end(c);
	}
}

static void put(const Tile *t, CgVal i, CgVal e, int lanes)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgAt at = { .rank = 4, .ix = { t->a.b, t->a.h, cg_add(c, t->first, i), e }, .lanes = lanes, .axis = 3 };
	CgVal v = attend_load(f, t->y, cg_add(c, cg_muli(c, i, f->plan.e_pitch), e), lanes);
	kg_put_f(f->k, f->n, 0, &at, v);
}

static void give(const Tile *t)
{
	Cg *c = t->f->c;
	int n = t->f->plan.lanes;
	CgVal i = cg_for(c, cg_idx(c, 0), t->count, 1), whole = rows_whole(c, t->f->E, n);
	int64_t none;
	if (!cg_const(whole, &none) || none) {
		put(t, i, cg_for(c, cg_idx(c, 0), whole, n), n);
		cg_end(c);
	}
	if (n > 1) {
		CgVal e = cg_for(c, whole, t->f->E, 1);
		cg_loop_hint(c, CG_NO_VECTOR | CG_NO_UNROLL);
		put(t, i, e, 1);
		cg_end(c);
	}
	cg_end(c);
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* Rows [from, to) of a tensor of keys or values to scratch, in arithmetic form; `pitch` elements from row to row. */
static void convert(const Tile *t, const CgTensor *x, CgVal from, CgVal to, CgVal width, CgVal dest, int64_t pitch)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int n = f->plan.lanes;
	CgVal whole = rows_whole(c, width, n), j = cg_for(c, from, to, 1);
	CgVal row = cg_muli(c, cg_sub(c, j, from), pitch);
	CgAt at = { .rank = 4, .ix = { t->a.b, t->a.g, j }, .lanes = n, .axis = 3 };
	at.ix[3] = cg_for(c, cg_idx(c, 0), whole, n);
	attend_store(f, attend_elem(f, x, &at), dest, cg_add(c, row, at.ix[3]));
	cg_end(c);
	at.lanes = 1;
	at.ix[3] = cg_for(c, whole, width, 1);
	attend_store(f, attend_elem(f, x, &at), dest, cg_add(c, row, at.ix[3]));
	cg_end(c);
	cg_end(c);
}

/* Where this block's keys and values are read from. */
static void open_block(Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgVal zero = cg_idx(c, 0);
	if (f->plan.copied) {
		/* the last register tile may begin before the block */
		t->key_first = cg_max(c, zero, cg_addi(c, t->lo, -f->plan.keys));
		t->key = attend_part(f, f->plan.at_k);
		t->key_row = cg_idx(c, f->plan.d_pitch);
		t->v = attend_part(f, f->plan.at_v);
		t->v_row = cg_idx(c, f->plan.e_pitch);
		t->key_col = t->v_col = cg_idx(c, 1);
		convert(t, &f->key, t->key_first, t->hi, f->D, t->key, f->plan.d_pitch);
		convert(t, &f->v, t->lo, t->hi, f->E, t->v, f->plan.e_pitch);
		return;
	}
	CgAt at = { .rank = 4, .ix = { t->a.b, t->a.g, zero, zero }, .lanes = 1 };
	t->key_first = zero;
	t->key = kg_addr(f->k, &f->key, &at);
	t->key_row = f->key.stride[2];
	t->key_col = f->key.stride[3];
	at.ix[2] = t->lo;
	t->v = kg_addr(f->k, &f->v, &at);
	t->v_row = f->v.stride[2];
	t->v_col = f->v.stride[3];
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* Raw scores of `n` keys from j on. */
static void score_tile(const Tile *t, CgVal j, int n)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = f->plan.lanes, vectors = f->plan.vectors;
	CgVar acc[MANY];
	CgVal row = cg_mul(c, cg_sub(c, j, t->key_first), t->key_row), x[2];
	WQ_ASSERT(n * vectors <= MANY);
	for (int i = 0; i < n * vectors; i++)
		acc[i] = cg_var(c, cg_splat(c, f->nothing, lanes));
	CgVal d = cg_for(c, cg_idx(c, 0), f->D, 1);
	for (int v = 0; v < vectors; v++)
		x[v] = attend_load(f, t->q, cg_addi(c, cg_muli(c, d, queries(f)), (int64_t)v * lanes), lanes);
	CgVal at = cg_add(c, row, cg_mul(c, d, t->key_col));
	for (int i = 0; i < n; i++, at = cg_add(c, at, t->key_row)) {
		CgVal y = cg_splat(c, attend_load(f, t->key, at, 1), lanes);
		for (int v = 0; v < vectors; v++)
			cg_set(c, acc[i * vectors + v], cg_fma(c, x[v], y, cg_get(c, acc[i * vectors + v])));
	}
	cg_end(c);
	CgVal to = cg_muli(c, cg_sub(c, j, t->lo), queries(f));
	for (int i = 0; i < n * vectors; i++)
		attend_store(f, cg_get(c, acc[i]), t->p, cg_addi(c, to, (int64_t)i * lanes));
}

/* Of the block. What does not fill a register tile is taken with keys before it once more, if there are as many. */
static void scores(const Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int n = f->plan.keys;
	CgVal whole = cg_add(c, t->lo, rows_whole(c, cg_sub(c, t->hi, t->lo), n));
	CgVal j = cg_for(c, t->lo, whole, n);
	score_tile(t, j, n);
	cg_end(c);
	if (n == 1)
		return;
	cg_if(c, cg_cmp(c, CG_LT, whole, t->hi));
	cg_if(c, cg_cmp(c, CG_GE, t->hi, cg_idx(c, n)));
	CgVal back = cg_addi(c, t->hi, -n);
	score_tile(t, back, n);
	cg_else(c);
	j = cg_for(c, whole, t->hi, 1);
	score_tile(t, j, 1);
	cg_end(c);
	cg_end(c);
	cg_end(c);
}

/* A bound of each lane's keys, compared with key j. */
static CgVal seen(const Tile *t, CgVal j, CgVal s, int v)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = f->plan.lanes;
	CgType type = cg_t(CG_I32, lanes); /* sizes of more than 2^30 are refused */
	CgVal place = cg_add(c, cg_addi(c, t->first, (int64_t)v * lanes), t->a.offset);
	CgVal last = cg_add(c, cg_splat(c, cg_resize(c, place, CG_I32, true), lanes), cg_iota(c, type));
	CgVal key = cg_splat(c, cg_resize(c, j, CG_I32, true), lanes), low = attend_low(f, lanes);
	if (f->causal)
		s = cg_select(c, cg_cmp(c, CG_LE, key, last), s, low);
	if (f->window >= 0)
		s = cg_select(c, cg_cmp(c, CG_GT, key, cg_addi(c, last, -f->window)), s, low);
	return s;
}

static bool mask_varies(const Attend *f)
{
	const WqType *m = &f->mask->type;
	return m->rank >= 2 && m->dim[m->rank - 2] != 1;
}

static CgVal masked(const Tile *t, CgVal j, CgVal s, int v)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = f->plan.lanes;
	CgVal i = cg_addi(c, t->first, (int64_t)v * lanes);
	CgAt at = { .rank = 4, .ix = { t->a.b, t->a.h, i, j }, .lanes = mask_varies(f) ? lanes : 1, .axis = 2 };
	CgVal left = cg_max(c, cg_idx(c, 0), cg_sub(c, f->S, i));
	return attend_mask(f, &at, s, at.lanes > 1 ? cg_min(c, left, cg_idx(c, lanes)) : NULL);
}

/* Finishes the block's scores and turns them into exponentials, relative to the largest so far. */
static void exponentials(Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = f->plan.lanes, vectors = f->plan.vectors;
	bool changes = f->softcap > 0 || f->mask || f->causal || f->window >= 0;
	CgVar top[2];
	CgVal old[2], safe[2];
	for (int v = 0; v < vectors; v++) {
		old[v] = cg_get(c, t->top[v]);
		top[v] = cg_var(c, old[v]);
	}
	CgVal j = cg_for(c, t->lo, t->hi, 1), row = cg_muli(c, cg_sub(c, j, t->lo), queries(f));
	for (int v = 0; v < vectors; v++) {
		CgVal at = cg_addi(c, row, (int64_t)v * lanes), s = attend_cap(f, attend_load(f, t->p, at, lanes));
		s = f->mask ? masked(t, j, s, v) : s;
		s = seen(t, j, s, v);
		if (changes)
			attend_store(f, s, t->p, at);
		cg_set(c, top[v], cg_max(c, s, cg_get(c, top[v])));
	}
	cg_end(c);
	for (int v = 0; v < vectors; v++) {
		CgVal now = cg_get(c, top[v]);
		safe[v] = attend_safe(f, now);
		t->alpha[v] = attend_exp(f, cg_sub(c, old[v], safe[v]));
		cg_set(c, t->top[v], now);
		cg_set(c, t->sum[v], cg_mul(c, cg_get(c, t->sum[v]), t->alpha[v]));
	}
	j = cg_for(c, cg_idx(c, 0), cg_sub(c, t->hi, t->lo), 1);
	for (int v = 0; v < vectors; v++) {
		CgVal at = cg_addi(c, cg_muli(c, j, queries(f)), (int64_t)v * lanes);
		CgVal p = attend_exp(f, cg_sub(c, attend_load(f, t->p, at, lanes), safe[v]));
		attend_store(f, p, t->p, at);
		cg_set(c, t->sum[v], cg_add(c, cg_get(c, t->sum[v]), p));
	}
	cg_end(c);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* o[e..e+n) = alpha o + the sum over the block's keys of p times v. */
static void value_tile(const Tile *t, CgVal e, int n)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int lanes = f->plan.lanes, vectors = f->plan.vectors;
	CgVar acc[MANY];
	CgVal to = cg_muli(c, e, queries(f)), p[2];
	for (int i = 0; i < n * vectors; i++) {
		CgVal o = attend_load(f, t->o, cg_addi(c, to, (int64_t)i * lanes), lanes);
		acc[i] = cg_var(c, cg_mul(c, o, t->alpha[i % vectors]));
	}
	CgVal j = cg_for(c, cg_idx(c, 0), cg_sub(c, t->hi, t->lo), 1);
	for (int v = 0; v < vectors; v++)
		p[v] = attend_load(f, t->p, cg_addi(c, cg_muli(c, j, queries(f)), (int64_t)v * lanes), lanes);
	CgVal at = cg_add(c, cg_mul(c, j, t->v_row), cg_mul(c, e, t->v_col));
	for (int i = 0; i < n; i++, at = cg_add(c, at, t->v_col)) {
		CgVal y = cg_splat(c, attend_load(f, t->v, at, 1), lanes);
		for (int v = 0; v < vectors; v++)
			cg_set(c, acc[i * vectors + v], cg_fma(c, p[v], y, cg_get(c, acc[i * vectors + v])));
	}
	cg_end(c);
	for (int i = 0; i < n * vectors; i++)
		attend_store(f, cg_get(c, acc[i]), t->o, cg_addi(c, to, (int64_t)i * lanes));
}

static void values(const Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	int n = f->plan.values;
	CgVal whole = rows_whole(c, f->E, n);
	int64_t a, b;
	value_tile(t, cg_for(c, cg_idx(c, 0), whole, n), n);
	cg_end(c);
	if (cg_const(whole, &a) && cg_const(f->E, &b)) {
		if (a < b)
			value_tile(t, whole, (int)(b - a));
		return;
	}
	value_tile(t, cg_for(c, whole, f->E, 1), 1);
	cg_end(c);
}

/* ---- the tile ------------------------------------------------------------------------------------------------------ */

static void tile(Tile *t)
{
	const Attend *f = t->f;
	Cg *c = f->c;
	CgType type = cg_t(f->kind, f->plan.lanes);
	CgVal lo, hi;
	t->q = attend_part(f, f->plan.at_q);
	t->p = attend_part(f, f->plan.at_p);
	t->o = attend_part(f, f->plan.at_o);
	t->y = attend_part(f, f->plan.at_y);
	for (int v = 0; v < f->plan.vectors; v++) {
		t->top[v] = cg_var(c, attend_low(f, type.lanes));
		t->sum[v] = cg_var(c, cg_zero(c, type));
	}
	load_queries(t);
	attend_range(f, &t->a, t->first, cg_addi(c, cg_add(c, t->first, t->count), -1), &lo, &hi);
	t->lo = cg_for(c, lo, hi, f->plan.block);
	t->hi = cg_min(c, cg_addi(c, t->lo, f->plan.block), hi);
	open_block(t);
	scores(t);
	exponentials(t);
	values(t);
	cg_end(c);
	finish(t);
	give(t);
}

void attend_tiles(const Attend *f, CgVal lo, CgVal hi)
{
	Cg *c = f->c;
	Tile t = { .f = f };
	CgVal tiles = cg_divi(c, cg_addi(c, f->S, queries(f) - 1), queries(f));
	CgVal unit = cg_for(c, lo, hi, 1), head = cg_udiv(c, unit, tiles);
	t.first = cg_muli(c, cg_sub(c, unit, cg_mul(c, head, tiles)), queries(f));
	t.count = cg_min(c, cg_idx(c, queries(f)), cg_sub(c, f->S, t.first));
	CgVal b = cg_udiv(c, head, f->heads);
	t.a = attend_at(f, b, cg_sub(c, head, cg_mul(c, b, f->heads)));
	tile(&t);
	cg_end(c);
}
