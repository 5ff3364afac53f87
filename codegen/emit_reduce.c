/* emit_reduce.c: ReduceSum, ReduceMean, ReduceProd, ReduceMax, ReduceMin.
 *
 * Floats are summed in f32 (f64 in its own type), in several accumulators; products of floats, which leave the range of f32 easily,
 * in f64 where there is hardware for it. The mean of integers is taken of a sum of 64 bits. Extremes of unsigned numbers are compared
 * as signed ones with the top bit flipped, those of booleans as bytes. NaN wins every comparison.
 */
#include <math.h>

#include "codegen/rows.h"

typedef struct Reduce {
	const WqNode *n;
	WqDtype t;
	CgKind kind; /* of accumulation */
	bool sign, flip;
	RowsOp *op;
	CgVal id;    /* what nothing reduces to */
	RowsAcc acc;
	CgVal length;
} Reduce;

/* ---- the axes ---------------------------------------------------------------------------------------- */

/* The set, when it is known now. */
static bool known_axes(const WqNode *n, uint32_t *set, WqArena *a)
{
	int rank = n->in[0]->type.rank, count = 0;
	const int64_t *v = NULL;
	const WqValue *axes = n->n_in > 1 ? n->in[1] : NULL;
	*set = 0;
	if (axes && !(axes->type.rank == 1 && axes->type.dim[0] == 0) && !wq_value_const_i64s(axes, &count, &v, a))
		return false;
	for (int i = 0; i < count; i++)
		*set |= 1u << (v[i] < 0 ? v[i] + rank : v[i]);
	if (count == 0 && !wq_attr_i(n, "noop_with_empty_axes"))
		*set = (1u << rank) - 1;
	return true;
}

/* The set at run time, as an i32. An axis given twice is an error, after which all are reduced. */
static CgVal runtime_axes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	int rank = n->in[0]->type.rank;
	CgType i32 = cg_t(CG_I32, 1);
	CgVal one = cg_int(c, i32, 1), count = kg_count(k, n->in[1]);
	CgVar set = cg_var(c, cg_int(c, i32, 0)), twice = cg_var(c, cg_int(c, i32, 0));
	CgVal i = cg_for(c, cg_idx(c, 0), count, 1);
	CgVal axis = kg_checked(k, kg_int_at(k, n->in[1], i), cg_idx(c, rank));
	CgVal bit = cg_shl(c, one, cg_resize(c, axis, CG_I32, true));
	cg_set(c, twice, cg_or(c, cg_get(c, twice), cg_and(c, cg_get(c, set), bit)));
	cg_set(c, set, cg_or(c, cg_get(c, set), bit));
	cg_end(c);
	CgVal all = cg_int(c, i32, (1 << rank) - 1), none = wq_attr_i(n, "noop_with_empty_axes") ? cg_int(c, i32, 0) : all;
	CgVal bad = cg_cmp(c, CG_NE, cg_get(c, twice), cg_int(c, i32, 0));
	kg_fault(k, bad, KG_EVALUE);
	CgVal given = cg_select(c, bad, all, cg_get(c, set));
	return cg_select(c, cg_cmp(c, CG_EQ, count, cg_idx(c, 0)), none, given);
}

static CgVal in_set(Cg *c, CgVal set, int axis)
{
	return cg_cmp(c, CG_NE, cg_and(c, set, cg_int(c, cg_t(CG_I32, 1), 1 << axis)), cg_int(c, cg_t(CG_I32, 1), 0));
}

/* ---- what is computed -------------------------------------------------------------------------------- */

/* NaN of either goes on. */
static CgVal max_nan(Cg *c, CgVal a, CgVal b)
{
	return cg_select(c, cg_cmp(c, CG_UNO, b, b), b, cg_max(c, b, a));
}

static CgVal min_nan(Cg *c, CgVal a, CgVal b)
{
	return cg_select(c, cg_cmp(c, CG_UNO, b, b), b, cg_min(c, b, a));
}

static int64_t lowest(CgKind kind)
{
	switch (kind) {
	case CG_I8: return INT8_MIN;
	case CG_I16: return INT16_MIN;
	case CG_I32: return INT32_MIN;
	default: return INT64_MIN;
	}
}

static CgVal identity(Cg *c, const Reduce *r)
{
	CgType t = cg_t(r->kind, 1);
	WqOp op = r->n->op;
	bool is_float = cg_is_float(r->kind), least = op == OP_ReduceMin;
	if (op == OP_ReduceProd)
		return is_float ? cg_float(c, t, 1) : cg_int(c, t, 1);
	if (op != OP_ReduceMax && !least)
		return cg_zero(c, t);
	if (is_float)
		return cg_float(c, t, least ? INFINITY : -INFINITY);
	if (r->t == WQ_BOOL)
		return cg_int(c, t, least);
	return cg_int(c, t, least ? ~lowest(r->kind) : lowest(r->kind));
}

static void setup(Kg *k, const WqNode *n, Reduce *r)
{
	const WqTarget *t = cg_target(kg_cg(k));
	*r = (Reduce){ .n = n, .t = n->in[0]->type.dtype };
	bool is_float = wq_dtype_is_float(r->t), extreme = n->op == OP_ReduceMax || n->op == OP_ReduceMin;
	r->kind = r->t == WQ_BOOL ? CG_I8 : kg_acc(r->t);
	r->sign = wq_dtype_is_signed(r->t);
	r->flip = extreme && !is_float && !r->sign && r->t != WQ_BOOL;
	if (n->op == OP_ReduceProd && is_float && t->hard_f64)
		r->kind = CG_F64;
	if (n->op == OP_ReduceMean && !is_float)
		r->kind = CG_I64;
	if (extreme)
		r->op = n->op == OP_ReduceMax ? is_float ? max_nan : cg_max : is_float ? min_nan : cg_min;
	else
		r->op = n->op == OP_ReduceProd ? cg_mul : cg_add;
	r->id = identity(kg_cg(k), r);
}

static CgVal flipped(Cg *c, const Reduce *r, CgVal v)
{
	return r->flip ? cg_xor(c, v, cg_int(c, cg_type(c, v), lowest(r->kind))) : v;
}

/* An element in arithmetic form as it is accumulated. */
static CgVal enter(Cg *c, const Reduce *r, CgVal v)
{
	CgKind have = cg_type(c, v).kind;
	if (have != r->kind)
		v = cg_is_float(r->kind) ? cg_fcast(c, v, r->kind) : cg_resize(c, v, r->kind, r->sign);
	return flipped(c, r, v);
}

/* The mean of no integers is 0. */
static CgVal mean_of(Cg *c, const Reduce *r, CgVal sum)
{
	int lanes = cg_lanes(c, sum);
	if (cg_is_float(r->kind))
		return cg_fdiv(c, sum, cg_splat(c, cg_to_float(c, r->length, r->kind, true), lanes));
	CgVal n = cg_resize(c, cg_max(c, r->length, cg_idx(c, 1)), CG_I64, true);
	n = cg_splat(c, n, lanes);
	return r->t == WQ_U64 ? cg_udiv(c, sum, n) : cg_sdiv(c, sum, n);
}

/* What was accumulated, in the result's register form. */
static CgVal leave(Kg *k, const Reduce *r, CgVal v)
{
	Cg *c = kg_cg(k);
	CgKind want = kg_acc(r->t);
	if (r->n->op == OP_ReduceMean)
		v = mean_of(c, r, v);
	v = flipped(c, r, v);
	if (r->t == WQ_BOOL)
		v = cg_cmp(c, CG_NE, v, cg_zero(c, cg_type(c, v)));
	else if (cg_is_float(want) && r->kind != want && r->t == WQ_F32)
		v = cg_fcast(c, v, want);
	else if (!cg_is_float(want) && r->kind != want)
		v = cg_resize(c, v, want, r->sign);
	return kg_round(k, r->t, v);
}

/* ---- axes that are known ------------------------------------------------------------------------------ */

static void step(const Rows *rows, const RowsAt *s, void *arg)
{
	Reduce *r = arg;
	CgVal v = enter(rows->c, r, rows_elem(rows, rows->x, s));
	rows_join(rows, &r->acc, s, r->op, v, r->id);
}

/* Where the row's result goes. */
static CgAt result_at(const Rows *rows, const WqNode *n)
{
	CgAt at = rows->row;
	uint32_t kept = 0;
	for (int i = 0; i < rows->n_kept; i++)
		kept |= 1u << rows->order[i];
	if (wq_attr_i(n, "keepdims"))
		return at;
	at.rank = 0;
	for (int i = 0; i < rows->rank; i++) {
		if (!(kept >> i & 1))
			continue;
		if (i == rows->row.axis)
			at.axis = at.rank;
		at.ix[at.rank++] = rows->row.ix[i];
	}
	if (at.lanes == 1)
		at.axis = 0;
	return at;
}

static void row(Rows *rows, void *arg)
{
	Reduce *r = arg;
	int unroll = kg_in_memory(rows->k, rows->x) ? ROWS_UNROLL : 2;
	r->acc = rows_acc(rows, unroll, r->id);
	rows_walk(rows, unroll, step, r);
	CgAt at = result_at(rows, r->n);
	kg_put(rows->k, r->n, 0, &at, leave(rows->k, r, rows_total(rows, &r->acc, r->op)));
}

/* ---- axes that only running tells ---------------------------------------------------------------------- */

typedef struct Late {
	Reduce r;
	CgVal set;
} Late;

/* The result's place of axis a: how many kept axes stand before it. */
static CgVal place_of(Cg *c, CgVal set, int a)
{
	CgVal n = cg_idx(c, 0);
	for (int i = 0; i < a; i++)
		n = cg_add(c, n, cg_select(c, in_set(c, set, i), cg_idx(c, 0), cg_idx(c, 1)));
	return n;
}

static CgVal index_at(Cg *c, const CgAt *at, CgVal place)
{
	CgVal v = cg_idx(c, 0);
	for (int i = 0; i < at->rank; i++)
		v = cg_select(c, cg_cmp(c, CG_EQ, place, cg_idx(c, i)), at->ix[i], v);
	return v;
}

static void late_body(Kg *k, const CgAt *at, void *arg)
{
	Late *l = arg;
	Cg *c = kg_cg(k);
	const WqValue *x = l->r.n->in[0];
	CgAt in = { .rank = x->type.rank, .lanes = 1 };
	CgVar acc = cg_var(c, l->r.id);
	bool keep = wq_attr_i(l->r.n, "keepdims") != 0;
	l->r.length = cg_idx(c, 1);
	for (int a = 0; a < in.rank; a++) {
		CgVal n = cg_select(c, in_set(c, l->set, a), kg_size(k, x, a), cg_idx(c, 1));
		l->r.length = cg_mul(c, l->r.length, n);
	}
	for (int a = 0; a < in.rank; a++) {
		CgVal own = keep ? at->ix[a] : index_at(c, at, place_of(c, l->set, a)), all = in_set(c, l->set, a);
		CgVal n = kg_size(k, x, a);
		in.ix[a] = cg_for(c, cg_select(c, all, cg_idx(c, 0), own), cg_select(c, all, n, cg_addi(c, own, 1)), 1);
	}
	cg_set(c, acc, l->r.op(c, cg_get(c, acc), enter(c, &l->r, kg_elem_f(k, x, &in))));
	for (int a = 0; a < in.rank; a++)
		cg_end(c);
	kg_put(k, l->r.n, 0, at, leave(k, &l->r, cg_get(c, acc)));
}

static void late_reduce(Kg *k, const WqNode *n)
{
	Late l;
	const WqValue *y = n->out[0];
	CgVal dim[WQ_MAX_RANK];
	setup(k, n, &l.r);
	l.set = runtime_axes(k, n);
	for (int i = 0; i < y->type.rank; i++)
		dim[i] = kg_size(k, y, i);
	kg_nest(k, y->type.rank, dim, NULL, 1, late_body, &l);
}

static void sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type, *y = &n->out[0]->type;
	uint32_t known;
	if (known_axes(n, &known, kg_arena(k)) || y->rank < 0)
		return;
	CgVal set = runtime_axes(k, n);
	for (int i = 0; i < y->rank; i++) {
		CgVal size = cg_idx(c, 1);
		for (int a = 0; a < x->rank; a++) {
			CgVal all = in_set(c, set, a), own = kg_size(k, n->in[0], a);
			if (wq_attr_i(n, "keepdims")) {
				size = a == i ? cg_select(c, all, cg_idx(c, 1), own) : size;
				continue;
			}
			CgVal here = cg_cmp(c, CG_EQ, place_of(c, set, a), cg_idx(c, i));
			size = cg_select(c, cg_and(c, here, cg_not(c, all)), own, size);
		}
		kg_bind(k, y->dim[i], size);
	}
}

static void kernel(Kg *k, const WqNode *n)
{
	Reduce r;
	Rows rows;
	uint32_t set;
	if (!known_axes(n, &set, kg_arena(k))) {
		late_reduce(k, n);
		return;
	}
	setup(k, n, &r);
	rows_init(&rows, k, n->in[0], set, r.kind);
	r.length = rows_length(&rows);
	rows_each(&rows, row, &r);
}

const WqEmit emit_reduce = { .kernel = kernel, .sizes = sizes, .epilogue = true };
