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
	if (kg_part(k))
		return ix_lanes_rolled(k, n, result, at, one);
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
	CgVal room = cg_stack(c, mem, at->lanes, bytes), count = cg_idx(c, at->lanes);
	if (kg_part(k)) {
		cg_store(c, cg_zero(c, cg_t(mem, at->lanes)), room, bytes);
		count = cg_min(c, kg_part(k), count);
	}
	CgVal i = cg_for(c, cg_idx(c, 0), count, 1);
	CgAt a = *at;
	a.lanes = 1;
	a.ix[at->axis] = cg_add(c, at->ix[at->axis], i);
	CgVal v = one(k, n, result, &a);
	cg_store(c, reg == CG_I1 ? cg_resize(c, v, CG_I8, false) : v, cg_at(c, mem, room, i), 0);
	cg_end(c);
	v = cg_load(c, cg_t(mem, at->lanes), room, bytes);
	return reg == CG_I1 ? cg_cmp(c, CG_NE, v, cg_zero(c, cg_t(CG_I8, at->lanes))) : v;
}

/* ---- numbers ---------------------------------------------------------------------------------------------- */

CgVal ix_f64(Kg *k, WqDtype t, CgVal v)
{
	Cg *c = kg_cg(k);
	if (wq_dtype_is_int(t))
		return cg_to_float(c, v, CG_F64, wq_dtype_is_signed(t));
	return t == WQ_F64 ? v : cg_fcast(c, kg_arith(k, t, v), CG_F64);
}

CgVal ix_narrowed(Kg *k, WqDtype t, CgVal v)
{
	if (t == WQ_F64)
		return v;
	return t == WQ_F32 ? cg_fcast(kg_cg(k), v, CG_F32) : kg_round(k, t, v);
}

bool ix_is_single(const WqValue *v) { return v->type.rank >= 0 && wq_type_count(v->graph->mod, &v->type) == 1; }

/* ---- order ------------------------------------------------------------------------------------------------ */

CgVal ix_load(Kg *k, CgVal p, CgVal i)
{
	Cg *c = kg_cg(k);
	return cg_load(c, cg_t(cg_index(c), 1), cg_at(c, cg_index(c), p, i), 0);
}

void ix_store(Kg *k, CgVal v, CgVal p, CgVal i)
{
	Cg *c = kg_cg(k);
	cg_store(c, v, cg_at(c, cg_index(c), p, i), 0);
}

/* The runs [lo, mid) and [mid, hi) of src become one in dst. An index at the end of its run reads the last entry instead. */
static void merge(Kg *k, CgVal n, CgVal src, CgVal dst, CgVal lo, CgVal width, IxLess *less, void *arg)
{
	Cg *c = kg_cg(k);
	CgVal mid = cg_min(c, cg_add(c, lo, width), n), hi = cg_min(c, cg_add(c, mid, width), n), last = cg_addi(c, n, -1);
	CgVar i = cg_var(c, lo), j = cg_var(c, mid);
	CgVal o = cg_for(c, lo, hi, 1);
	CgVal iv = cg_get(c, i), jv = cg_get(c, j);
	CgVal x = ix_load(k, src, cg_min(c, iv, last)), y = ix_load(k, src, cg_min(c, jv, last));
	CgVal done = cg_cmp(c, CG_GE, jv, hi), first = cg_or(c, done, cg_not(c, less(k, arg, y, x)));
	CgVal take = cg_and(c, cg_cmp(c, CG_LT, iv, mid), first);
	ix_store(k, cg_select(c, take, x, y), dst, o);
	cg_set(c, i, cg_add(c, iv, cg_resize(c, take, cg_index(c), false)));
	cg_set(c, j, cg_add(c, jv, cg_resize(c, cg_not(c, take), cg_index(c), false)));
	cg_end(c);
}

CgVal ix_sort(Kg *k, CgVal n, CgVal a, CgVal b, IxLess *less, void *arg)
{
	Cg *c = kg_cg(k);
	CgVar src = cg_var(c, a), dst = cg_var(c, b), width = cg_var(c, cg_idx(c, 1));
	cg_while(c);
	CgVal w = cg_get(c, width), s = cg_get(c, src), d = cg_get(c, dst);
	cg_break_if(c, cg_cmp(c, CG_GE, w, n));
	CgVal lo = cg_for_by(c, cg_idx(c, 0), n, cg_add(c, w, w));
	merge(k, n, s, d, lo, w, less, arg);
	cg_end(c);
	cg_set(c, src, d);
	cg_set(c, dst, s);
	cg_set(c, width, cg_add(c, w, w));
	cg_end(c);
	return cg_get(c, src);
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

int64_t ix_most(const WqNode *n, WqDim d)
{
	int64_t v = d == WQ_DIM_UNKNOWN ? WQ_DIM_INF : wq_dim_hi(n->graph->mod, d);
	return v < INT32_MAX ? v : (int64_t)INT32_MAX + 1;
}

void ix_agree(Kg *k, WqDim a, WqDim b)
{
	Cg *c = kg_cg(k);
	if (a != b)
		kg_fault(k, cg_cmp(c, CG_NE, kg_dim(k, a), kg_dim(k, b)), KG_EVALUE);
}

void ix_broadcasts(Kg *k, const WqType *x, const WqType *to)
{
	Cg *c = kg_cg(k);
	for (int d = 0; d < x->rank; d++) {
		WqDim want = to->dim[d + to->rank - x->rank];
		if (x->dim[d] == want || x->dim[d] == 1)
			continue;
		CgVal have = kg_dim(k, x->dim[d]);
		CgVal fits = cg_or(c, cg_cmp(c, CG_EQ, have, cg_idx(c, 1)), cg_cmp(c, CG_EQ, have, kg_dim(k, want)));
		kg_fault(k, cg_not(c, fits), KG_ESHAPE);
	}
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
