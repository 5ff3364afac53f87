/* emit_arg_reduce.c: ArgMax, ArgMin. Every lane keeps its best element and where that stands; along a row the lanes are folded at the
 * end. NaN is better than anything; of equal ones the first or the last is kept. */
#include "codegen/index.h"
#include "codegen/rows.h"

typedef struct Arg {
	const WqNode *n;
	bool least, last, flip;
	int axis;
	CgKind index; /* of places while they are compared */
	CgVar best[ROWS_UNROLL], at[ROWS_UNROLL];
} Arg;

static CgVal is_nan(Cg *c, CgVal v) { return cg_cmp(c, CG_UNO, v, v); }

/* Does a stand before b, places aside? */
static CgVal better(Cg *c, const Arg *f, CgVal a, CgVal b)
{
	CgVal yes = cg_cmp(c, f->least ? CG_LT : CG_GT, a, b);
	if (!cg_is_float(cg_type(c, a).kind))
		return yes;
	return cg_or(c, yes, cg_and(c, is_nan(c, a), cg_not(c, is_nan(c, b))));
}

static CgVal equal(Cg *c, CgVal a, CgVal b)
{
	CgVal yes = cg_cmp(c, CG_EQ, a, b);
	return cg_is_float(cg_type(c, a).kind) ? cg_or(c, yes, cg_and(c, is_nan(c, a), is_nan(c, b))) : yes;
}

/* Unsigned numbers keep their order as signed ones when the top bit is flipped. */
static CgVal signed_form(Cg *c, const Arg *f, CgVal v)
{
	CgType t = cg_type(c, v);
	return f->flip ? cg_xor(c, v, cg_int(c, t, -1 - (INT64_MAX >> (64 - 8 * cg_kind_bytes(c, t.kind))))) : v;
}

static void step(const Rows *r, const RowsAt *s, void *arg)
{
	Arg *f = arg;
	Cg *c = r->c;
	int width = rows_width(r);
	CgVal v = rows_elem(r, r->x, s), mask = rows_mask(r, s);
	v = rows_widen(r, signed_form(c, f, v));
	CgVal place = cg_splat(c, cg_resize(c, s->at.ix[f->axis], f->index, true), width);
	if (!r->across)
		place = cg_add(c, place, cg_iota(c, cg_t(f->index, width)));
	CgVal best = cg_get(c, f->best[s->u]), wins = better(c, f, v, best);
	if (f->last)
		wins = cg_or(c, wins, equal(c, v, best));
	if (mask)
		wins = cg_and(c, wins, mask);
	cg_set(c, f->best[s->u], cg_select(c, wins, v, best));
	cg_set(c, f->at[s->u], cg_select(c, wins, place, cg_get(c, f->at[s->u])));
}

typedef struct Pair {
	CgVal v, at;
} Pair;

static Pair pick(Cg *c, const Arg *f, Pair a, Pair b)
{
	CgVal nearer = cg_cmp(c, f->last ? CG_GT : CG_LT, b.at, a.at);
	CgVal wins = cg_or(c, better(c, f, b.v, a.v), cg_and(c, equal(c, a.v, b.v), nearer));
	return (Pair){ cg_select(c, wins, b.v, a.v), cg_select(c, wins, b.at, a.at) };
}

static CgVal total(const Rows *r, const Arg *f, int n)
{
	Cg *c = r->c;
	Pair p = { cg_get(c, f->best[0]), cg_get(c, f->at[0]) };
	for (int i = 1; i < n; i++)
		p = pick(c, f, p, (Pair){ cg_get(c, f->best[i]), cg_get(c, f->at[i]) });
	for (int w = r->across ? 0 : rows_width(r) / 2; w >= 1; w /= 2)
		p = pick(c, f, (Pair){ cg_part(c, p.v, 0, w), cg_part(c, p.at, 0, w) },
			 (Pair){ cg_part(c, p.v, w, w), cg_part(c, p.at, w, w) });
	return p.at;
}

static CgAt result_at(const Rows *r, const Arg *f)
{
	CgAt at = r->row;
	if (wq_attr_i(f->n, "keepdims"))
		return at;
	at.rank = r->rank - 1;
	for (int i = f->axis; i < at.rank; i++)
		at.ix[i] = r->row.ix[i + 1];
	at.axis = at.lanes == 1 ? 0 : at.axis > f->axis ? at.axis - 1 : at.axis;
	return at;
}

/* Every accumulator begins with the row's first element, so that it holds an element that is there. */
static void row(Rows *r, void *arg)
{
	Arg *f = arg;
	Cg *c = r->c;
	int unroll = kg_in_memory(r->k, r->x) ? 2 : 1;
	CgVal first = signed_form(c, f, kg_elem_f(r->k, r->x, &r->row));
	for (int i = 0; i < unroll; i++) {
		f->best[i] = cg_var(c, cg_splat(c, first, rows_width(r)));
		f->at[i] = cg_var(c, cg_zero(c, cg_t(f->index, rows_width(r))));
	}
	rows_walk(r, unroll, step, f);
	CgAt at = result_at(r, f);
	kg_put(r->k, f->n, 0, &at, cg_resize(c, total(r, f, unroll), CG_I64, true));
}

static void kernel(Kg *k, const WqNode *n)
{
	Rows r;
	const WqType *x = &n->in[0]->type;
	int64_t axis = wq_attr_i(n, "axis");
	if (x->rank == 0) {
		CgAt at = { .lanes = 1 };
		kg_put(k, n, 0, &at, cg_int(kg_cg(k), cg_t(CG_I64, 1), 0));
		return;
	}
	Arg f = { .n = n, .least = n->op == OP_ArgMin, .last = wq_attr_i(n, "select_last_index") != 0 };
	f.axis = (int)(axis < 0 ? axis + x->rank : axis);
	f.flip = wq_dtype_is_int(x->dtype) && !wq_dtype_is_signed(x->dtype);
	int64_t hi = wq_dim_hi(n->graph->mod, x->dim[f.axis]);
	f.index = hi < INT32_MAX ? CG_I32 : CG_I64;
	rows_init(&r, k, n->in[0], 1u << f.axis, f.index);
	rows_each(&r, row, &f);
}

static void sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type;
	if (x->rank)
		kg_fault(k, cg_cmp(c, CG_EQ, kg_size(k, n->in[0], ix_axis(n, x->rank)), cg_idx(c, 0)), KG_EVALUE);
}

const WqEmit emit_arg_reduce = { .kernel = kernel, .sizes = sizes, .epilogue = true };
