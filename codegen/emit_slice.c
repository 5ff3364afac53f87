/* emit_slice.c: Slice and Pad: a part of the operand, or more than it. */
#include "codegen/index.h"

/* ---- Slice -------------------------------------------------------------------------------------------------- */

typedef struct Cut { /* along one axis */
	CgVal start, step, count;
	CgVal bad; /* a step of 0 */
} Cut;

/* What entry j of a Slice's operands takes of `dim` elements; as wq_slice_clamp has it. */
static Cut cut_entry(Kg *k, const WqNode *n, int j, CgVal dim)
{
	Cg *c = kg_cg(k);
	CgVal zero = cg_idx(c, 0), one = cg_idx(c, 1), step = kg_int(k, n->in[4], j), bound[2];
	CgVal back = cg_cmp(c, CG_LT, step, zero), high = cg_select(c, back, cg_sub(c, dim, one), dim);
	CgVal low[2] = {zero, cg_select(c, back, cg_idx(c, -1), zero)};
	for (int i = 0; i < 2; i++) {
		CgVal v = kg_int(k, n->in[1 + i], j), from_end = cg_add(c, v, dim);
		CgVal neg = cg_select(c, cg_cmp(c, CG_LT, from_end, zero), low[i], from_end);
		v = cg_select(c, cg_cmp(c, CG_LT, v, zero), neg, v);
		bound[i] = cg_min(c, cg_max(c, v, low[i]), high);
	}
	CgVal span = cg_select(c, back, cg_sub(c, bound[0], bound[1]), cg_sub(c, bound[1], bound[0]));
	CgVal size = cg_umax(c, cg_select(c, back, cg_neg(c, step), step), one);
	CgVal count = cg_add(c, cg_udiv(c, cg_sub(c, cg_max(c, span, one), one), size), one);
	count = cg_select(c, cg_cmp(c, CG_LE, span, zero), zero, count);
	return (Cut){bound[0], step, count, cg_cmp(c, CG_EQ, step, zero)};
}

static int entries(const WqNode *n, int operand)
{
	const WqType *t = &n->in[operand]->type;
	return t->rank ? (int)t->dim[0] : 1;
}

/* Is entry j about axis a? */
static CgVal is_about(Kg *k, const WqNode *n, int operand, int j, int a, int rank)
{
	Cg *c = kg_cg(k);
	CgVal axis = kg_int(k, n->in[operand], j);
	return cg_or(c, cg_cmp(c, CG_EQ, axis, cg_idx(c, a)), cg_cmp(c, CG_EQ, axis, cg_idx(c, a - rank)));
}

static bool is_known(CgVal v, bool what)
{
	int64_t x;
	return cg_const(v, &x) && (x != 0) == what;
}

/* Along axis a; false: all of it is taken. */
static bool cut_axis(Kg *k, const WqNode *n, int a, Cut *cut)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type;
	CgVal dim = kg_dim(k, x->dim[a]), no = cg_cmp(c, CG_NE, cg_idx(c, 0), cg_idx(c, 0));
	bool any = false;
	*cut = (Cut){cg_idx(c, 0), cg_idx(c, 1), dim, no};
	for (int j = 0; j < entries(n, 3); j++) {
		CgVal mine = is_about(k, n, 3, j, a, x->rank);
		if (is_known(mine, false))
			continue;
		Cut e = cut_entry(k, n, j, dim);
		cut->start = cg_select(c, mine, e.start, cut->start);
		cut->step = cg_select(c, mine, e.step, cut->step);
		cut->count = cg_select(c, mine, e.count, cut->count);
		cut->bad = cg_select(c, mine, e.bad, cut->bad);
		any = true;
	}
	return any;
}

static CgVal slice_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Cg *c = kg_cg(k);
	CgAt from = *at;
	Cut cut;
	for (int a = 0; a < at->rank; a++)
		if (cut_axis(k, n, a, &cut))
			from.ix[a] = cg_add(c, cut.start, cg_mul(c, at->ix[a], cut.step));
	return kg_elem(k, n->in[0], &from);
}

static CgVal reversed(Kg *k, CgVal v, int lanes)
{
	int *mask = WQ_NEW_N(kg_arena(k), int, lanes);
	for (int i = 0; i < lanes; i++)
		mask[i] = lanes - 1 - i;
	return cg_shuffle(kg_cg(k), v, NULL, lanes, mask);
}

static CgVal slice_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Cg *c = kg_cg(k);
	Cut cut;
	int64_t step = 1;
	if (at->lanes > 1 && cut_axis(k, n, at->axis, &cut) && !(cg_const(cut.step, &step) && (step == 1 || (step == -1 && !kg_part(k)))))
		return ix_lanes(k, n, result, at, slice_one);
	if (step == 1)
		return slice_one(k, n, result, at);
	CgAt last = *at; /* backwards: from the last lane's element on */
	last.ix[at->axis] = cg_addi(c, at->ix[at->axis], at->lanes - 1);
	return reversed(k, slice_one(k, n, result, &last), at->lanes);
}

/* An axis that is out of range, or given twice. */
static CgVal bad_axes(Kg *k, const WqNode *n, int operand, int rank)
{
	Cg *c = kg_cg(k);
	CgVal bad = cg_cmp(c, CG_NE, cg_idx(c, 0), cg_idx(c, 0)), axis[WQ_MAX_RANK];
	for (int j = 0; j < entries(n, operand); j++) {
		CgVal v = kg_int(k, n->in[operand], j);
		axis[j] = cg_select(c, cg_cmp(c, CG_LT, v, cg_idx(c, 0)), cg_addi(c, v, rank), v);
		bad = cg_or(c, bad, cg_cmp(c, CG_UGE, axis[j], cg_idx(c, rank)));
		for (int i = 0; i < j; i++)
			bad = cg_or(c, bad, cg_cmp(c, CG_EQ, axis[i], axis[j]));
	}
	return bad;
}

static void slice_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	int rank = n->in[0]->type.rank;
	CgVal bad = bad_axes(k, n, 3, rank);
	Cut cut[WQ_MAX_RANK];
	for (int a = 0; a < rank; a++)
		if (cut_axis(k, n, a, &cut[a]))
			bad = cg_or(c, bad, cut[a].bad);
	kg_fault(k, bad, KG_EVALUE);
	for (int a = 0; a < rank; a++)
		ix_bind(k, n, 0, a, cut[a].count);
}

const WqEmit emit_slice = {.at = slice_at, .at_lanes = true, .sizes = slice_sizes};

/* ---- Pad ------------------------------------------------------------------------------------------------------ */

typedef enum { CONSTANT, REFLECT, EDGE, WRAP } Mode;
static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};

typedef struct Border { /* of one axis */
	CgVal before, crop, left; /* elements before; the operand's elements dropped at the beginning; those that are left */
	CgVal total;
	bool none; /* the axis stays as it is */
} Border;

static const WqValue *operand(const WqNode *n, int i) { return i < n->n_in ? n->in[i] : NULL; }

/* Cut to what adds up without overflow: it is beyond every bound anyway. */
static CgVal pad_size(Kg *k, const WqNode *n, int i)
{
	Cg *c = kg_cg(k);
	int64_t most = cg_index(c) == CG_I64 ? WQ_DIM_INF : INT32_MAX / 4;
	return cg_max(c, cg_min(c, kg_int(k, n->in[1], i), cg_idx(c, most)), cg_idx(c, -most));
}

static Border border_of(Kg *k, const WqNode *n, int a)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type;
	const WqValue *axes = operand(n, 3);
	int count = axes ? entries(n, 3) : x->rank;
	CgVal zero = cg_idx(c, 0), first = zero, last = zero, dim = kg_dim(k, x->dim[a]);
	for (int j = 0; j < count; j++) {
		if (!axes && j != a)
			continue;
		CgVal b = pad_size(k, n, j), e = pad_size(k, n, count + j);
		CgVal mine = axes ? is_about(k, n, 3, j, a, x->rank) : NULL;
		first = mine ? cg_select(c, mine, b, first) : b;
		last = mine ? cg_select(c, mine, e, last) : e;
	}
	Border r = {.before = cg_max(c, first, zero), .crop = cg_neg(c, cg_min(c, first, zero))};
	r.left = cg_max(c, cg_sub(c, cg_sub(c, dim, r.crop), cg_neg(c, cg_min(c, last, zero))), zero);
	r.total = cg_add(c, cg_add(c, dim, first), last);
	r.none = is_known(first, false) && is_known(last, false);
	return r;
}

/* The operand's index of position p among what is left, for p outside of it, too. */
static CgVal mirrored(Kg *k, Mode mode, CgVal p, CgVal left)
{
	Cg *c = kg_cg(k);
	CgVal zero = cg_idx(c, 0), top = cg_addi(c, left, -1);
	if (mode == EDGE)
		return cg_max(c, cg_min(c, p, top), zero);
	CgVal period = cg_max(c, mode == WRAP ? left : cg_muli(c, top, 2), cg_idx(c, 1)), r = cg_srem(c, p, period);
	r = cg_select(c, cg_cmp(c, CG_LT, r, zero), cg_add(c, r, period), r);
	r = mode == WRAP ? r : cg_select(c, cg_cmp(c, CG_LT, r, left), r, cg_sub(c, period, r));
	CgVal inside = cg_cmp(c, CG_ULT, p, left);
	return cg_select(c, inside, p, cg_max(c, cg_min(c, r, top), zero));
}

/* The operand's index of at's first lane, and whether it lies inside the operand (constant mode; the first lane of lanes along a padded
 * axis, of all of which `run` tells). */
static CgAt pad_from(Kg *k, const WqNode *n, const CgAt *at, Mode mode, CgVal *inside, CgVal *run)
{
	Cg *c = kg_cg(k);
	CgAt from = *at;
	*inside = *run = cg_cmp(c, CG_EQ, cg_idx(c, 0), cg_idx(c, 0));
	for (int a = 0; a < at->rank; a++) {
		Border b = border_of(k, n, a);
		if (b.none)
			continue;
		CgVal p = cg_sub(c, at->ix[a], b.before);
		if (at->lanes > 1 && a == at->axis) {
			*run = cg_and(c, cg_cmp(c, CG_GE, p, cg_idx(c, 0)), cg_cmp(c, CG_LE, cg_addi(c, p, at->lanes), b.left));
			from.ix[a] = cg_add(c, p, b.crop);
			continue;
		}
		if (mode == CONSTANT)
			*inside = cg_and(c, *inside, cg_cmp(c, CG_ULT, p, b.left));
		else
			p = mirrored(k, mode, p, b.left);
		from.ix[a] = cg_add(c, p, b.crop);
	}
	return from;
}

static CgVal pad_value(Kg *k, const WqNode *n, int lanes)
{
	Cg *c = kg_cg(k);
	const WqValue *v = operand(n, 2);
	CgVal x = v ? ix_scalar(k, v) : cg_zero(c, cg_t(kg_reg(n->in[0]->type.dtype), 1));
	return cg_splat(c, x, lanes);
}

static CgVal pad_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Cg *c = kg_cg(k);
	Mode mode = (Mode)ix_choose(n, "mode", 4, modes);
	CgVal inside, run;
	CgAt from = pad_from(k, n, at, mode, &inside, &run);
	if (is_known(inside, true))
		return kg_elem(k, n->in[0], &from);
	CgVar v = cg_var(c, pad_value(k, n, at->lanes));
	cg_if(c, inside);
	cg_set(c, v, kg_elem(k, n->in[0], &from));
	cg_end(c);
	return cg_get(c, v);
}

static CgVal pad_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Cg *c = kg_cg(k);
	Mode mode = (Mode)ix_choose(n, "mode", 4, modes);
	if (at->lanes == 1 || border_of(k, n, at->axis).none)
		return pad_one(k, n, result, at);
	CgVal inside, run;
	CgAt from = pad_from(k, n, at, mode, &inside, &run);
	CgVar v = cg_var(c, pad_value(k, n, at->lanes));
	cg_if(c, inside);
	cg_if(c, run);
	cg_set(c, v, kg_elem(k, n->in[0], &from));
	cg_else(c);
	cg_set(c, v, ix_lanes_rolled(k, n, result, at, pad_one));
	cg_end(c);
	cg_end(c);
	return cg_get(c, v);
}

static void pad_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	Mode mode = (Mode)ix_choose(n, "mode", 4, modes);
	const WqType *x = &n->in[0]->type;
	Border b[WQ_MAX_RANK];
	if (operand(n, 3))
		kg_fault(k, bad_axes(k, n, 3, x->rank), KG_EVALUE);
	if (operand(n, 2) && !wq_dim_static(wq_type_count(n->graph->mod, &n->in[2]->type)))
		kg_fault(k, cg_cmp(c, CG_EQ, kg_count(k, n->in[2]), cg_idx(c, 0)), KG_EVALUE);
	CgVal empty = cg_cmp(c, CG_NE, cg_idx(c, 0), cg_idx(c, 0)), some = cg_not(c, empty);
	for (int a = 0; a < x->rank; a++) {
		b[a] = border_of(k, n, a);
		kg_fault(k, cg_cmp(c, CG_LT, b[a].total, cg_idx(c, 0)), KG_EVALUE); /* cropped by more than there is */
		some = cg_and(c, some, cg_cmp(c, CG_GT, b[a].total, cg_idx(c, 0)));
		if (!b[a].none)
			empty = cg_or(c, empty, cg_cmp(c, CG_EQ, b[a].left, cg_idx(c, 0)));
	}
	if (mode != CONSTANT) /* nothing to pad with */
		kg_fault(k, cg_and(c, some, empty), KG_EVALUE);
	for (int a = 0; a < x->rank; a++)
		ix_bind(k, n, 0, a, b[a].total);
}

static const char *pad_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	const WqValue *v = operand(n, 2);
	return v && wq_type_count(n->graph->mod, &v->type) == 0 ? "the padding value is empty" : NULL;
}

const WqEmit emit_pad = {.at = pad_at, .at_lanes = true, .sizes = pad_sizes, .refuse = pad_refuse};
