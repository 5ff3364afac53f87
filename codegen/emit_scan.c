/* emit_scan.c: CumSum, CumProd: lines of one running value each, side by side in vectors where the lines lie so. Floats accumulate in
 * f64 where there is hardware for it. */
#include "codegen/index.h"
#include "codegen/rows.h"

typedef struct Scan {
	const WqNode *n;
	CgKind kind;
	CgVal axis, length; /* axis: of index type; length: along it */
	bool exclusive, reverse, prod;
} Scan;

static CgVal is_axis(Cg *c, const Scan *s, int a) { return cg_cmp(c, CG_EQ, s->axis, cg_idx(c, a)); }

/* One line, or several side by side; at's index along the axis is 0. */
static void line(Kg *k, const CgAt *at, void *arg)
{
	const Scan *s = arg;
	Cg *c = kg_cg(k);
	const WqValue *x = s->n->in[0];
	WqDtype t = x->type.dtype;
	CgType type = cg_t(s->kind, at->lanes);
	CgVar acc = cg_var(c, !s->prod ? cg_zero(c, type) : cg_is_float(s->kind) ? cg_float(c, type, 1) : cg_int(c, type, 1));
	CgVal i = cg_for(c, cg_idx(c, 0), s->length, 1);
	CgVal place = s->reverse ? cg_sub(c, cg_addi(c, s->length, -1), i) : i;
	CgAt here = *at;
	for (int a = 0; a < at->rank; a++)
		here.ix[a] = cg_select(c, is_axis(c, s, a), place, at->ix[a]);
	CgVal v = kg_elem_f(k, x, &here), old = cg_get(c, acc);
	if (cg_type(c, v).kind != s->kind)
		v = cg_fcast(c, v, s->kind);
	CgVal next = s->prod ? cg_mul(c, old, v) : cg_add(c, old, v), y = s->exclusive ? old : next;
	cg_set(c, acc, next);
	if (t == WQ_F32 && s->kind == CG_F64)
		y = cg_fcast(c, y, CG_F32);
	kg_put(k, s->n, 0, &here, kg_round(k, t, y));
	cg_end(c);
}

static void kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *x = n->in[0];
	Scan s = { .n = n, .kind = kg_acc(x->type.dtype), .prod = n->op == OP_CumProd };
	int rank = x->type.rank, order[WQ_MAX_RANK], m = 0;
	CgVal dim[WQ_MAX_RANK];
	int64_t fixed = -1;
	s.exclusive = wq_attr_i(n, "exclusive") != 0;
	s.reverse = wq_attr_i(n, "reverse") != 0;
	if (cg_is_float(s.kind) && cg_target(c)->hard_f64)
		s.kind = CG_F64;
	s.axis = kg_checked(k, kg_int(k, n->in[1], 0), cg_idx(c, rank));
	s.length = cg_idx(c, 0);
	cg_const(s.axis, &fixed);
	kg_order(k, x, order);
	for (int a = 0; a < rank; a++) {
		CgVal size = kg_size(k, x, a), along = is_axis(c, &s, a);
		s.length = cg_select(c, along, size, s.length);
		/* an empty axis leaves no lines */
		dim[a] = cg_select(c, along, cg_min(c, size, cg_idx(c, 1)), size);
	}
	for (int i = 0; i < rank; i++) /* the axis itself goes first, so that a vector runs along another */
		if (order[i] != fixed)
			order[m++] = order[i];
	if (fixed >= 0) {
		memmove(order + 1, order, (size_t)m * sizeof *order);
		order[0] = (int)fixed;
	}
	int lanes = fixed < 0 || order[rank - 1] == fixed ? 1 : kg_lanes(k, x->type.dtype);
	kg_nest(k, rank, dim, order, lanes, line, &s);
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	const WqType *axis = &n->in[1]->type;
	if (axis->rank > 1 || (axis->rank == 1 && wq_dim_static(axis->dim[0]) && axis->dim[0] != 1))
		return "its axis is not one number";
	return n->in[0]->type.rank == 0 ? "a scalar has no axis" : NULL;
}

static void sizes(Kg *k, const WqNode *n)
{
	if (n->in[1]->type.rank)
		ix_agree(k, n->in[1]->type.dim[0], 1);
}

const WqEmit emit_cumulate = { .kernel = kernel, .sizes = sizes, .epilogue = true, .refuse = refuse };
