/* index.c: index arithmetic that the emitters of moving operators share. */
#include "codegen/index.h"

CgAt ix_zero(Kg *k, int rank)
{
	CgAt at = {.rank = rank, .lanes = 1, .axis = rank > 0 ? rank - 1 : 0};
	for (int i = 0; i < rank; i++)
		at.ix[i] = cg_idx(kg_cg(k), 0);
	return at;
}

CgAt ix_one(Kg *k, const CgAt *at, int lane)
{
	CgAt one = *at;
	if (at->lanes > 1)
		one.ix[at->axis] = cg_addi(kg_cg(k), at->ix[at->axis], lane);
	one.lanes = 1;
	return one;
}

CgVal ix_scalar(Kg *k, const WqValue *v)
{
	CgAt at = ix_zero(k, v->type.rank);
	return kg_elem(k, v, &at);
}

CgVal ix_clamp(Kg *k, CgVal v, bool sign)
{
	Cg *c = kg_cg(k);
	CgType t = cg_type(c, v);
	CgKind index = cg_index(c);
	if (cg_kind_bytes(c, t.kind) <= cg_kind_bytes(c, index) && (sign || t.kind != index))
		return cg_resize(c, v, index, sign);
	int64_t high = index == CG_I64 ? INT64_MAX : INT32_MAX;
	if (!sign)
		return cg_resize(c, cg_umin(c, v, cg_int(c, t, high)), index, false);
	v = cg_min(c, cg_max(c, v, cg_int(c, t, -high)), cg_int(c, t, high));
	return cg_resize(c, v, index, true);
}

CgVal ix_linear(Kg *k, const WqValue *v, const CgAt *at)
{
	Cg *c = kg_cg(k);
	CgVal l = cg_idx(c, 0);
	for (int i = 0; i < at->rank; i++)
		l = i ? cg_add(c, cg_mul(c, l, kg_size(k, v, i)), at->ix[i]) : at->ix[i];
	return l;
}

CgVal ix_product(Kg *k, const WqValue *v, int from, int to)
{
	CgVal p = cg_idx(kg_cg(k), 1);
	for (int i = from; i < to; i++)
		p = cg_mul(kg_cg(k), p, kg_size(k, v, i));
	return p;
}

CgVal ix_mul_sat(Kg *k, CgVal a, CgVal b)
{
	Cg *c = kg_cg(k);
	CgVal high = cg_idx(c, cg_index(c) == CG_I64 ? INT64_MAX / 2 : INT32_MAX / 2);
	CgVal over = cg_cmp(c, CG_GT, a, cg_udiv(c, high, cg_max(c, b, cg_idx(c, 1))));
	return cg_select(c, over, high, cg_mul(c, a, b));
}

/* ---- lanes ------------------------------------------------------------------------------------------------ */

CgVal ix_lanes(Kg *k, const WqNode *n, int result, const CgAt *at, IxOne *one)
{
	Cg *c = kg_cg(k);
	if (at->lanes == 1)
		return one(k, n, result, at);
	CgVal v = cg_undef(c, cg_t(kg_reg(n->out[result]->type.dtype), at->lanes));
	for (int i = 0; i < at->lanes; i++) {
		CgAt a = ix_one(k, at, i);
		v = cg_insert(c, v, one(k, n, result, &a), i);
	}
	return v;
}

CgVal ix_lanes_rolled(Kg *k, const WqNode *n, int result, const CgAt *at, IxOne *one)
{
	Cg *c = kg_cg(k);
	if (at->lanes == 1)
		return one(k, n, result, at);
	CgKind reg = kg_reg(n->out[result]->type.dtype), mem = reg == CG_I1 ? CG_I8 : reg;
	int bytes = cg_kind_bytes(c, mem) * at->lanes;
	CgVal room = cg_stack(c, mem, at->lanes, bytes);
	CgVal i = cg_for(c, cg_idx(c, 0), cg_idx(c, at->lanes), 1);
	CgAt a = *at;
	a.lanes = 1;
	a.ix[at->axis] = cg_add(c, at->ix[at->axis], i);
	CgVal v = one(k, n, result, &a);
	cg_store(c, reg == CG_I1 ? cg_resize(c, v, CG_I8, false) : v, cg_at(c, mem, room, i), 0);
	cg_end(c);
	v = cg_load(c, cg_t(mem, at->lanes), room, bytes);
	return reg == CG_I1 ? cg_cmp(c, CG_NE, v, cg_zero(c, cg_t(CG_I8, at->lanes))) : v;
}

/* ---- sizes ------------------------------------------------------------------------------------------------ */

void ix_bind(Kg *k, const WqNode *n, int result, int axis, CgVal size)
{
	Cg *c = kg_cg(k);
	WqDim d = n->out[result]->type.dim[axis];
	int sym;
	if (!wq_dim_is_sym(n->graph->mod, d, &sym))
		return;
	CgType t = cg_type(c, size);
	CgVal bad = cg_cmp(c, CG_LT, size, cg_zero(c, t));
	if (cg_kind_bytes(c, t.kind) > cg_kind_bytes(c, cg_index(c)))
		bad = cg_or(c, bad, cg_cmp(c, CG_GT, size, cg_int(c, t, INT32_MAX)));
	int64_t is_bad;
	if (!cg_const(bad, &is_bad) || is_bad)
		kg_fault(k, bad, KG_EBOUND);
	size = cg_select(c, bad, cg_zero(c, t), size);
	kg_bind(k, d, cg_resize(c, size, cg_index(c), true));
}

bool ix_is_open(const WqNode *n, int result)
{
	const WqType *t = &n->out[result]->type;
	int sym;
	for (int i = 0; i < t->rank; i++)
		if (wq_dim_is_sym(n->graph->mod, t->dim[i], &sym))
			return true;
	return false;
}

void ix_agree(Kg *k, WqDim a, WqDim b)
{
	Cg *c = kg_cg(k);
	if (a != b)
		kg_fault(k, cg_cmp(c, CG_NE, kg_dim(k, a), kg_dim(k, b)), KG_EVALUE);
}

int ix_axis(const WqNode *n, int rank)
{
	int64_t a = wq_attr_i(n, "axis");
	return (int)(a < 0 ? a + rank : a);
}

int ix_choose(const WqNode *n, const char *attr, int count, const char *const *name)
{
	const char *s = wq_attr_s(n, attr);
	for (int i = 0; i < count; i++)
		if (!strcmp(s, name[i]))
			return i;
	wq_fail(WQ_EUNSUPPORTED, "%s%s%s: %s '%s'", wq_op(n->op)->name, n->name ? " " : "", n->name ? n->name : "", attr, s);
}
