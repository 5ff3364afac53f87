/* emit_attention.c: Attention in one kernel, online softmax over blocks of keys: what attention_tile.c and attention_row.c share. */
#include <math.h>

#include "codegen/attention.h"
#include "codegen/index.h"

static const WqValue *operand(const WqNode *n, int i) { return i < n->n_in ? n->in[i] : NULL; }

/* ---- the plan ------------------------------------------------------------------------------------------------ */

static int64_t dim_hi(const WqNode *n, int i, int axis)
{
	int64_t hi = wq_dim_hi(n->graph->mod, n->in[i]->type.dim[axis]);
	return hi > 1 ? hi : 1;
}

static int64_t round_up(int64_t n, int64_t to) { return n >= WQ_DIM_INF ? n : (n + to - 1) / to * to; }

/* The largest tile of values that divides them, or else as large as fits. */
static int value_tile(int64_t e, int most)
{
	for (int i = most; 2 * i > most; i--)
		if (e % i == 0)
			return i;
	return most;
}

static void choose(AttendPlan *p, const WqTarget *t, const WqNode *n, int bytes)
{
	WqDim s = n->in[0]->type.dim[2];
	int64_t keys = dim_hi(n, 1, 2), l1 = t->l1 > 4096 ? t->l1 : 4096;
	int accumulators = t->vector_regs * 3 / 4 > 4 ? t->vector_regs * 3 / 4 : 4;
	p->lanes = t->vector_bytes > bytes && t->vector_f32 ? t->vector_bytes / bytes : 1;
	p->few = p->lanes / 4 > 1 ? p->lanes / 4 : 1;
	p->rows = wq_dim_lo(n->graph->mod, s) <= p->few;
	p->tiles = wq_dim_hi(n->graph->mod, s) > p->few;
	p->vectors = wq_dim_hi(n->graph->mod, s) <= p->lanes ? 1 : 2;
	p->keys = accumulators / p->vectors;
	p->values = value_tile(p->e, accumulators / p->vectors);
	int64_t tile = p->keys, block = l1 / 2 / (((int64_t)p->lanes * p->vectors + p->e) * bytes) / tile * tile;
	block = block > 256 ? 256 / tile * tile : block < tile ? tile : block;
	p->block = block > round_up(keys, p->keys) ? round_up(keys, p->keys) : block;
}

AttendPlan attend_plan(const WqTarget *t, const WqNode *n)
{
	WqDtype dtype = n->in[0]->type.dtype;
	int bytes = dtype == WQ_F64 ? 8 : 4;
	AttendPlan p = { .copied = dtype == WQ_F16 || dtype == WQ_BF16, .d = dim_hi(n, 0, 3), .e = dim_hi(n, 2, 3) };
	choose(&p, t, n, bytes);
	int64_t lanes = p.lanes, queries = lanes * p.vectors, h = dim_hi(n, 0, 1), g = dim_hi(n, 1, 1), at = 0;
	p.heads = wq_dim_static(n->in[0]->type.dim[1]) && wq_dim_static(n->in[1]->type.dim[1]) ? h / g : h;
	p.d_pitch = round_up(p.d, lanes);
	p.e_pitch = round_up(p.e, lanes);
	/* tiles; the scores of a register tile that begins before the block have room before it */
	p.at_q = at, at += rows_mul(p.d_pitch, queries);
	p.at_o = at, at += rows_mul(p.e_pitch, queries);
	p.at_y = at, at += rows_mul(p.e_pitch, queries);
	p.at_p = at + p.keys * queries, at += rows_mul(p.block + p.keys, queries);
	p.at_k = at, at += p.copied ? rows_mul(round_up(p.block + p.keys, lanes), p.d_pitch) : 0;
	p.at_v = at, at += p.copied ? rows_mul(p.block, p.e_pitch) : 0;
	/* rows, in the same memory: q[row][d], o[row][e], p[key], the largest score and the sum of each row */
	if (p.rows) {
		int64_t rows = rows_mul(p.heads, p.few), need = rows_mul(rows, p.d_pitch + p.e_pitch + 2);
		at = need + round_up(p.block, lanes) + 2 * lanes > at ? need + round_up(p.block, lanes) + 2 * lanes : at;
	}
	p.bytes = rows_mul(at + lanes, bytes);
	return p;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

CgVal attend_part(const Attend *f, int64_t at) { return cg_ati(f->c, f->kind, kg_scratch(f->k), at); }

CgVal attend_load(const Attend *f, CgVal base, CgVal index, int lanes)
{
	return cg_load(f->c, cg_t(f->kind, lanes), cg_at(f->c, f->kind, base, index), 0);
}

void attend_store(const Attend *f, CgVal v, CgVal base, CgVal index) { cg_store(f->c, v, cg_at(f->c, f->kind, base, index), 0); }

CgVal attend_elem(const Attend *f, const CgTensor *t, const CgAt *at) { return kg_arith(f->k, f->dtype, kg_load(f->k, t, at)); }

CgVal attend_low(const Attend *f, int lanes) { return cg_float(f->c, cg_t(f->kind, lanes), -INFINITY); }

CgVal attend_cap(const Attend *f, CgVal score)
{
	CgType t = cg_type(f->c, score);
	if (f->softcap <= 0)
		return score;
	CgVal cap = cg_float(f->c, t, f->softcap);
	return cg_mul(f->c, cap, cg_tanh(f->c, cg_mul(f->c, score, cg_float(f->c, t, 1 / f->softcap))));
}

/* A mask of -inf forbids whatever the score is, as false does. */
CgVal attend_mask(const Attend *f, const CgAt *at, CgVal score, CgVal count)
{
	Cg *c = f->c;
	int lanes = cg_lanes(c, score);
	WqType scores = f->n->in[0]->type; /* [B, H, S, T] */
	scores.dim[3] = f->n->in[1]->type.dim[2];
	CgAt m = kg_align(f->k, f->mask, &scores, at);
	CgVal v = count && m.lanes > 1 ? kg_elem_part(f->k, f->mask, &m, count) : kg_elem(f->k, f->mask, &m);
	WqDtype t = f->mask->type.dtype;
	CgVal low = attend_low(f, lanes);
	if (t == WQ_BOOL)
		return cg_select(c, cg_splat(c, v, lanes), score, low);
	v = cg_splat(c, kg_arith(f->k, t, v), lanes);
	return cg_select(c, cg_cmp(c, CG_EQ, v, low), low, cg_add(c, score, v));
}

CgVal attend_safe(const Attend *f, CgVal top)
{
	CgType t = cg_type(f->c, top);
	return cg_select(f->c, cg_cmp(f->c, CG_EQ, top, attend_low(f, t.lanes)), cg_zero(f->c, t), top);
}

/* 2^r for |r| <= 1/2, without its constant 1: a minimax fit, 1e-7 at most beside the rounding. */
static const double power[] = { 0.6931470036506653, 0.24022242426872253, 0.05550733953714371, 0.009671512991189957,
				0.0013264717999845743 };

/* x = n + r in base 2; adding 1.5 * 2^23 leaves n in the lowest bits, from where it moves to the exponent. Below 2^-127 the exponent is
 * 0 and so is r: nothing is left. Errors in r are those of x itself, so that only weights that count for nothing have larger ones. */
CgVal attend_exp(const Attend *f, CgVal x)
{
	Cg *c = f->c;
	CgType t = cg_type(c, x), bits = cg_t(CG_I32, t.lanes);
	if (t.kind != CG_F32)
		return cg_exp(c, x);
	CgVal magic = cg_float(c, t, 12582912.0);
	x = cg_max(c, cg_float(c, t, -127), cg_mul(c, x, cg_float(c, t, 1.4426950408889634))); /* in this order a NaN stays */
	CgVal moved = cg_add(c, x, magic), r = cg_sub(c, x, cg_sub(c, moved, magic)), p = cg_float(c, t, power[4]);
	for (int i = 3; i >= 0; i--)
		p = cg_fma(c, p, r, cg_float(c, t, power[i]));
	p = cg_fma(c, p, r, cg_float(c, t, 1));
	CgVal n = cg_shl(c, cg_bitcast(c, moved, bits), cg_int(c, bits, 23));
	return cg_bitcast(c, cg_add(c, cg_bitcast(c, p, bits), n), t);
}

/* ---- which keys -------------------------------------------------------------------------------------------------- */

/* An operand with one number, or one per batch. */
static CgVal per_batch(const Attend *f, const WqValue *v, CgVal b)
{
	CgVal zero = cg_idx(f->c, 0);
	if (v->type.rank == 0)
		return kg_int_at(f->k, v, zero);
	CgVal one = cg_cmp(f->c, CG_EQ, kg_size(f->k, v, 0), cg_idx(f->c, 1));
	return kg_int_at(f->k, v, v->type.dim[0] == 1 ? zero : cg_select(f->c, one, zero, b));
}

AttendAt attend_at(const Attend *f, CgVal b, CgVal h)
{
	Cg *c = f->c;
	AttendAt a = { .b = b, .h = h, .offset = cg_idx(c, 0), .length = f->T };
	CgVal bound = cg_add(c, f->S, f->T), zero = cg_idx(c, 0);
	a.g = cg_udiv(c, h, f->ratio);
	if (f->offsets) /* a number of the caller's: kept from overflowing */
		a.offset = cg_max(c, cg_sub(c, zero, bound), cg_min(c, per_batch(f, f->offsets, b), bound));
	if (f->lengths)
		a.length = cg_max(c, zero, cg_min(c, per_batch(f, f->lengths, b), f->T));
	return a;
}

void attend_range(const Attend *f, const AttendAt *a, CgVal first, CgVal last, CgVal *lo, CgVal *hi)
{
	Cg *c = f->c;
	*lo = cg_idx(c, 0);
	*hi = a->length;
	if (f->causal)
		*hi = cg_max(c, *lo, cg_min(c, *hi, cg_addi(c, cg_add(c, last, a->offset), 1)));
	if (f->window >= 0)
		*lo = cg_min(c, *hi, cg_max(c, *lo, cg_addi(c, cg_add(c, first, a->offset), 1 - f->window)));
}

/* ---- the kernel --------------------------------------------------------------------------------------------------- */

static void setup(Attend *f, Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	*f = (Attend){ .n = n, .k = k, .c = c, .plan = attend_plan(cg_target(c), n), .dtype = n->in[0]->type.dtype };
	f->kind = kg_acc(f->dtype);
	f->q = kg_tensor(k, n->in[0]);
	f->key = kg_tensor(k, n->in[1]);
	f->v = kg_tensor(k, n->in[2]);
	f->mask = operand(n, 3);
	f->offsets = operand(n, 4);
	f->lengths = operand(n, 5);
	f->batches = kg_size(k, n->in[0], 0);
	f->heads = kg_size(k, n->in[0], 1);
	f->groups = kg_size(k, n->in[1], 1);
	f->S = kg_size(k, n->in[0], 2);
	f->T = kg_size(k, n->in[1], 2);
	f->D = kg_size(k, n->in[0], 3);
	f->E = kg_size(k, n->in[2], 3);
	f->ratio = cg_max(c, cg_udiv(c, f->heads, cg_max(c, f->groups, cg_idx(c, 1))), cg_idx(c, 1));
	f->softcap = wq_attr_f(n, "softcap");
	f->causal = wq_attr_i(n, "causal") != 0;
	f->window = wq_attr_i(n, "window");
	if (f->window > INT32_MAX / 2)
		f->window = INT32_MAX / 2;
	double scale = wq_attr_f(n, "scale");
	CgType t = cg_t(f->kind, 1);
	if (scale != 0)
		f->scale = cg_float(c, t, scale);
	else
		f->scale = cg_fdiv(c, cg_float(c, t, 1), cg_sqrt(c, cg_to_float(c, f->D, f->kind, true)));
}

/* Static sizes make this a number as precise as the engine's. */
static void constant_scale(Attend *f)
{
	WqDim d = f->n->in[0]->type.dim[3];
	if (wq_attr_f(f->n, "scale") == 0 && wq_dim_static(d) && d > 0)
		f->scale = cg_float(f->c, cg_t(f->kind, 1), 1 / sqrt((double)d));
	f->nothing = cg_mul(f->c, cg_zero(f->c, cg_t(f->kind, 1)), f->scale);
}

/* The shape rule compares what it knows; the rest is compared now. */
static void sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqDim *q = n->in[0]->type.dim, *key = n->in[1]->type.dim, *v = n->in[2]->type.dim;
	const WqType *m = operand(n, 3) ? &n->in[3]->type : NULL;
	ix_agree(k, key[0], q[0]);
	ix_agree(k, v[0], q[0]);
	ix_agree(k, v[1], key[1]);
	ix_agree(k, v[2], key[2]);
	ix_agree(k, key[3], q[3]);
	CgVal heads = kg_dim(k, q[1]), groups = kg_dim(k, key[1]), none = cg_cmp(c, CG_EQ, groups, cg_idx(c, 0));
	CgVal rest = cg_select(c, none, heads, cg_urem(c, heads, cg_max(c, groups, cg_idx(c, 1))));
	kg_fault(k, cg_cmp(c, CG_NE, rest, cg_idx(c, 0)), KG_EVALUE);
	WqType full = wq_type_tensor(WQ_F32, 4, (WqDim[]){ q[0], q[1], q[2], key[2] });
	if (m)
		ix_broadcasts(k, m, &full);
	full.rank = 1;
	for (int i = 4; i < 6; i++)
		if (operand(n, i))
			ix_broadcasts(k, &n->in[i]->type, &full);
}

static void kernel(Kg *k, const WqNode *n)
{
	Attend f;
	Cg *c = kg_cg(k);
	CgVal lo, hi;
	setup(&f, k, n);
	constant_scale(&f);
	CgVal by_rows = cg_mul(c, f.batches, f.groups), few = cg_cmp(c, CG_LE, f.S, cg_idx(c, f.plan.few));
	CgVal by_tiles = f.plan.tiles ? attend_tile_units(&f) : NULL;
	if (!f.plan.rows || !f.plan.tiles) {
		kg_share(k, f.plan.rows ? by_rows : by_tiles, &lo, &hi);
		if (f.plan.rows)
			attend_rows(&f, lo, hi);
		else
			attend_tiles(&f, lo, hi);
		return;
	}
	kg_share(k, cg_select(c, few, by_rows, by_tiles), &lo, &hi);
	cg_if(c, few);
	attend_rows(&f, lo, hi);
	cg_else(c);
	attend_tiles(&f, lo, hi);
	cg_end(c);
}

static int64_t scratch(const WqTarget *t, const WqNode *n) { return attend_plan(t, n).bytes; }

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return isfinite(wq_attr_f(n, "scale")) && isfinite(wq_attr_f(n, "softcap")) ? NULL : "its scale or softcap is not finite";
}

const WqEmit emit_attention = { .kernel = kernel, .sizes = sizes, .epilogue = true, .direct = 7, .repeated = 1 << 3,
				.scratch = scratch, .refuse = refuse };
