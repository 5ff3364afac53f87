/* emit_move.c: Reshape, Transpose, Expand, Concat: where an element comes from. */
#include "codegen/index.h"

/* ---- Transpose, Expand ------------------------------------------------------------------------------------ */

static CgVal transpose_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	int count, rank = at->rank;
	const int64_t *perm = wq_attr_ints(n, "perm", &count);
	CgAt from = *at;
	for (int i = 0; i < rank; i++) {
		int to = perm ? (int)perm[i] : rank - 1 - i;
		from.ix[to] = at->ix[i];
		if (i == at->axis)
			from.axis = to;
	}
	return kg_elem(k, n->in[0], &from);
}

const WqEmit emit_transpose = {.at = transpose_at, .at_lanes = true};

static CgVal expand_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	CgAt from = kg_align(k, n->in[0], &n->out[0]->type, at);
	return kg_elem(k, n->in[0], &from);
}

static void expand_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type, *y = &n->out[0]->type, *shape = &n->in[1]->type;
	int asked = shape->rank ? (int)shape->dim[0] : 1;
	CgVal one = cg_idx(c, 1);
	for (int i = 0; i < y->rank; i++) {
		int a = i - (y->rank - x->rank), b = i - (y->rank - asked);
		CgVal da = a < 0 ? one : kg_dim(k, x->dim[a]), db = b < 0 ? one : kg_int(k, n->in[1], b);
		CgVal differ = cg_and(c, cg_and(c, cg_cmp(c, CG_NE, da, one), cg_cmp(c, CG_NE, db, one)), cg_cmp(c, CG_NE, da, db));
		int64_t known;
		if (!cg_const(differ, &known) || known)
			kg_fault(k, differ, KG_EVALUE);
		ix_bind(k, n, 0, i, cg_select(c, cg_cmp(c, CG_EQ, da, one), db, da));
	}
}

const WqEmit emit_expand = {.at = expand_at, .at_lanes = true, .sizes = expand_sizes};

/* ---- Reshape -----------------------------------------------------------------------------------------------
 * Both shapes are cut into groups of axes that hold the same elements: [A, B, C*D] -> [A*B, C, D] are [A, B] -> [A*B] and
 * [C*D] -> [C, D]. An index is linearised and split within its group; axes of size 1 belong to none.
 */
typedef struct Side {
	const WqType *t;
	int n, axis[WQ_MAX_RANK]; /* those that are not 1 */
} Side;

static Side side_of(const WqType *t)
{
	Side s = {.t = t};
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] != 1)
			s.axis[s.n++] = i;
	return s;
}

static WqDim product_of(WqModule *m, const Side *s, int from, int to)
{
	WqDim p = 1;
	for (int i = from; i < to && p != WQ_DIM_UNKNOWN; i++)
		p = wq_dim_mul(m, p, s->t->dim[s->axis[i]]);
	return p;
}

/* The least group that begins at x's i and y's j: their ends. What is not known to be equal goes together with all that follows. */
static void group_end(WqModule *m, const Side *x, const Side *y, int i, int j, int *to_i, int *to_j)
{
	for (int len = 2; i < x->n && j < y->n && len <= x->n - i + y->n - j; len++)
		for (int a = 1; a < len; a++) {
			if (i + a > x->n || j + len - a > y->n)
				continue;
			WqDim p = product_of(m, x, i, i + a);
			if (p == WQ_DIM_UNKNOWN || p != product_of(m, y, j, j + len - a))
				continue;
			*to_i = i + a;
			*to_j = j + len - a;
			return;
		}
	*to_i = x->n;
	*to_j = y->n;
}

/* How lanes along an axis of the result lie in the operand. */
typedef enum { APART, TOGETHER, MAYBE /* unless they reach over the end of a row */ } Run;

/* x's axes [i, ie) of from, given y's [j, je) of at. */
static void regroup(Kg *k, const Side *x, int i, int ie, const Side *y, int j, int je, const CgAt *at, CgAt *from)
{
	Cg *c = kg_cg(k);
	CgVal l = cg_idx(c, 0);
	for (int a = j; a < je; a++)
		l = a == j ? at->ix[y->axis[a]] : cg_add(c, cg_mul(c, l, kg_dim(k, y->t->dim[y->axis[a]])), at->ix[y->axis[a]]);
	for (int a = ie - 1; a > i; a--) {
		CgVal d = kg_dim(k, x->t->dim[x->axis[a]]);
		from->ix[x->axis[a]] = cg_urem(c, l, d);
		l = cg_udiv(c, l, d);
	}
	if (ie > i)
		from->ix[x->axis[i]] = l;
}

static Run run_of(const Side *x, int i, int ie, const Side *y, int je, const CgAt *at)
{
	if (ie == i || y->axis[je - 1] != at->axis)
		return APART;
	WqDim from = x->t->dim[x->axis[ie - 1]], to = y->t->dim[at->axis];
	if (ie == i + 1 || from == to || (from > 0 && to > 0 && from % to == 0))
		return TOGETHER;
	return from > 0 && from < at->lanes ? APART : MAYBE;
}

/* The operand's index of at's first lane; *run and from->axis tell of the others. */
static CgAt reshape_from(Kg *k, const WqNode *n, const CgAt *at, Run *run)
{
	Side x = side_of(&n->in[0]->type), y = side_of(&n->out[0]->type);
	CgAt from = ix_zero(k, x.t->rank);
	*run = APART;
	for (int i = 0, j = 0, ie, je; i < x.n || j < y.n; i = ie, j = je) {
		group_end(n->graph->mod, &x, &y, i, j, &ie, &je);
		regroup(k, &x, i, ie, &y, j, je, at, &from);
		for (int a = j; a < je; a++)
			if (y.axis[a] == at->axis && ie > i) {
				*run = run_of(&x, i, ie, &y, je, at);
				from.axis = x.axis[ie - 1];
			}
	}
	return from;
}

static CgVal reshape_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Run run;
	CgAt from = reshape_from(k, n, at, &run);
	return kg_elem(k, n->in[0], &from);
}

static CgVal reshape_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Cg *c = kg_cg(k);
	Run run;
	if (at->lanes == 1)
		return reshape_one(k, n, result, at);
	CgAt from = reshape_from(k, n, at, &run);
	from.lanes = at->lanes;
	if (run == TOGETHER)
		return kg_elem(k, n->in[0], &from);
	if (run == APART)
		return ix_lanes(k, n, result, at, reshape_one);
	CgVal end = cg_addi(c, from.ix[from.axis], at->lanes);
	CgVar v = cg_var(c, cg_zero(c, cg_t(kg_reg(n->out[0]->type.dtype), at->lanes)));
	cg_if(c, cg_cmp(c, CG_LE, end, kg_size(k, n->in[0], from.axis)));
	cg_set(c, v, kg_elem(k, n->in[0], &from));
	cg_else(c);
	cg_set(c, v, ix_lanes_rolled(k, n, result, at, reshape_one));
	cg_end(c);
	return cg_get(c, v);
}

/* The size that the shape asks for at a place, 0 resolved; -1 stays. */
static CgVal asked_size(Kg *k, const WqNode *n, int i)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type;
	CgVal v = kg_int(k, n->in[1], i);
	if (wq_attr_i(n, "allowzero"))
		return v;
	CgVal own = i < x->rank ? kg_dim(k, x->dim[i]) : cg_idx(c, -2); /* nothing to copy: refused below */
	return cg_select(c, cg_cmp(c, CG_EQ, v, cg_idx(c, 0)), own, v);
}

/* Sizes that operand and result share are left out first, so that -1 can be told beside them also if they are 0. */
static void reshape_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	WqModule *m = n->graph->mod;
	const WqType *x = &n->in[0]->type, *y = &n->out[0]->type;
	WqDim count = wq_type_count(m, x);
	if (count != WQ_DIM_UNKNOWN && count == wq_type_count(m, y))
		return;
	CgVal no = cg_cmp(c, CG_NE, cg_idx(c, 0), cg_idx(c, 0)), zero = cg_idx(c, 0), one = cg_idx(c, 1);
	CgVal used[WQ_MAX_RANK], size[WQ_MAX_RANK], hole[WQ_MAX_RANK], bad = no, holes = no, num = one, den = one;
	for (int j = 0; j < x->rank; j++)
		used[j] = no;
	for (int i = 0; i < y->rank; i++) {
		size[i] = asked_size(k, n, i);
		hole[i] = cg_cmp(c, CG_EQ, size[i], cg_idx(c, -1));
		bad = cg_or(c, bad, cg_or(c, cg_cmp(c, CG_LT, size[i], cg_idx(c, -1)), cg_and(c, holes, hole[i])));
		holes = cg_or(c, holes, hole[i]);
		CgVal found = hole[i];
		for (int j = 0; j < x->rank; j++) {
			CgVal same = cg_cmp(c, CG_EQ, size[i], kg_dim(k, x->dim[j]));
			CgVal take = cg_and(c, same, cg_not(c, cg_or(c, found, used[j])));
			used[j] = cg_or(c, used[j], take);
			found = cg_or(c, found, take);
		}
		den = ix_mul_sat(k, den, cg_select(c, found, one, cg_max(c, size[i], zero)));
	}
	for (int j = 0; j < x->rank; j++)
		num = cg_mul(c, num, cg_select(c, used[j], one, kg_dim(k, x->dim[j])));
	CgVal by = cg_max(c, den, one), rest = cg_udiv(c, num, by);
	bad = cg_or(c, bad, cg_and(c, holes, cg_or(c, cg_cmp(c, CG_EQ, den, zero), cg_cmp(c, CG_NE, cg_urem(c, num, by), zero))));
	bad = cg_or(c, bad, cg_and(c, cg_not(c, holes), cg_cmp(c, CG_NE, num, den)));
	kg_fault(k, bad, KG_EVALUE);
	for (int i = 0; i < y->rank; i++)
		ix_bind(k, n, 0, i, cg_select(c, bad, zero, cg_select(c, hole[i], rest, size[i])));
}

const WqEmit emit_reshape = {.at = reshape_at, .at_lanes = true, .sizes = reshape_sizes};

/* ---- Concat ------------------------------------------------------------------------------------------------ */

/* The operand that an index belongs to is found by comparing it with where they begin, one after the other. */
static CgVal concat_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Cg *c = kg_cg(k);
	int axis = ix_axis(n, at->rank), open = 0;
	CgAt from = *at;
	CgVar v = cg_var(c, cg_zero(c, cg_t(kg_reg(n->out[0]->type.dtype), at->lanes)));
	for (int i = 0; i < n->n_in; i++) {
		if (n->in[i]->type.dim[axis] == 0)
			continue;
		CgVal size = kg_size(k, n->in[i], axis);
		if (i + 1 < n->n_in) {
			cg_if(c, cg_cmp(c, CG_LT, from.ix[axis], size));
			open++;
		}
		cg_set(c, v, kg_elem(k, n->in[i], &from));
		if (i + 1 < n->n_in)
			cg_else(c);
		from.ix[axis] = cg_sub(c, from.ix[axis], size);
	}
	while (open--)
		cg_end(c);
	return cg_get(c, v);
}

/* Lanes along the axis: together where they belong to one operand. */
static CgVal concat_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Cg *c = kg_cg(k);
	int axis = ix_axis(n, at->rank), open = 0;
	if (at->lanes == 1 || at->axis != axis)
		return concat_one(k, n, result, at);
	CgAt from = *at;
	CgVar v = cg_var(c, cg_zero(c, cg_t(kg_reg(n->out[0]->type.dtype), at->lanes)));
	for (int i = 0; i < n->n_in; i++, open++) {
		CgVal size = kg_size(k, n->in[i], axis), end = cg_addi(c, from.ix[axis], at->lanes);
		CgVal inside = cg_and(c, cg_cmp(c, CG_GE, from.ix[axis], cg_idx(c, 0)), cg_cmp(c, CG_LE, end, size));
		cg_if(c, inside);
		cg_set(c, v, kg_elem(k, n->in[i], &from));
		cg_else(c);
		from.ix[axis] = cg_sub(c, from.ix[axis], size);
	}
	cg_set(c, v, ix_lanes_rolled(k, n, result, at, concat_one));
	while (open--)
		cg_end(c);
	return cg_get(c, v);
}

typedef struct Part {
	const WqNode *n;
	const WqValue *x;
	int axis;
	CgVal first; /* where the operand begins */
} Part;

static void copy_part(Kg *k, const CgAt *at, void *arg)
{
	const Part *p = arg;
	CgAt to = *at;
	to.ix[p->axis] = cg_add(kg_cg(k), at->ix[p->axis], p->first);
	kg_put(k, p->n, 0, &to, kg_elem(k, p->x, at));
}

static void concat_kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *y = n->out[0];
	int rank = y->type.rank, order[WQ_MAX_RANK];
	Part p = {.n = n, .axis = ix_axis(n, rank), .first = cg_idx(c, 0)};
	kg_order(k, y, order);
	for (int i = 0; i < n->n_in; i++) {
		CgVal dim[WQ_MAX_RANK];
		p.x = n->in[i];
		for (int a = 0; a < rank; a++)
			dim[a] = kg_size(k, p.x, a);
		if (p.x->type.dim[p.axis] == 0)
			continue;
		if (!kg_in_place(k, n, i))
			kg_nest(k, rank, dim, order, kg_lanes(k, y->type.dtype), copy_part, &p);
		p.first = cg_add(c, p.first, dim[p.axis]);
	}
}

static void concat_sizes(Kg *k, const WqNode *n)
{
	const WqType *y = &n->out[0]->type;
	int axis = ix_axis(n, y->rank);
	CgVal sum = cg_idx(kg_cg(k), 0);
	for (int i = 0; i < n->n_in; i++) {
		for (int a = 0; a < y->rank; a++)
			if (a != axis)
				ix_agree(k, n->in[i]->type.dim[a], y->dim[a]);
		sum = cg_add(kg_cg(k), sum, kg_size(k, n->in[i], axis));
	}
	ix_bind(k, n, 0, axis, sum);
}

const WqEmit emit_concat = {
	.at = concat_at, .at_lanes = true, .kernel = concat_kernel, .sizes = concat_sizes, .epilogue = true
};
