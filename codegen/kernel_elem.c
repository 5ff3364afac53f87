/* kernel_elem.c: elements on demand: loads, what is fused, and what becomes of a root's results. */
#include "codegen/program.h"

static CgVal one_lane(Kg *k, const WqValue *v, const CgAt *at);

/* ---- register, memory and arithmetic forms ----------------------------------------------------------------- */

static CgVal from_mem(Kg *k, WqDtype t, CgVal v)
{
	return t == WQ_BOOL ? cg_cmp(k->cg, CG_NE, v, cg_zero(k->cg, cg_type(k->cg, v))) : v;
}

static CgVal to_mem(Kg *k, WqDtype t, CgVal v) { return t == WQ_BOOL ? cg_resize(k->cg, v, CG_I8, false) : v; }

static bool is_small_float(WqDtype t) { return wq_dtype_is_float(t) && wq_dtype_size(t) < 4; }

CgVal kg_arith(Kg *k, WqDtype t, CgVal v) { return is_small_float(t) ? kg_convert(k, WQ_F32, t, v, true, 'n') : v; }

CgVal kg_round(Kg *k, WqDtype t, CgVal v)
{
	if (!is_small_float(t))
		return v;
	WqDtype from = cg_type(k->cg, v).kind == CG_F64 ? WQ_F64 : WQ_F32;
	return kg_convert(k, t, from, v, true, t == WQ_F8E8M0 ? 'u' : 'n');
}

/* The bytes of a constant's only element, as register form. */
static CgVal immediate(Kg *k, const WqValue *v)
{
	Cg *c = k->cg;
	WqDtype t = v->data->dtype;
	uint64_t bits = 0;
	if (v->data->packed)
		wq_unpack(t, v->data->data, &bits, 1);
	else
		memcpy(&bits, v->data->data, wq_dtype_size(t));
	CgKind kind = kg_mem(t);
	if (t == WQ_BOOL)
		return cg_int(c, cg_t(CG_I1, 1), bits != 0);
	CgKind ik = kind == CG_F32 ? CG_I32 : kind == CG_F64 ? CG_I64 : kind;
	return cg_bitcast(c, cg_int(c, cg_t(ik, 1), (int64_t)bits), cg_t(kind, 1));
}

/* ---- memory ------------------------------------------------------------------------------------------------- */

static bool is_known(CgVal v, int64_t want)
{
	int64_t x;
	return cg_const(v, &x) && x == want;
}

static CgVal lane_offsets(Kg *k, CgVal stride, int lanes)
{
	CgType t = cg_t(cg_index(k->cg), lanes);
	CgVal i = cg_iota(k->cg, t);
	if (k->part) /* lanes past the end read what the last one reads */
		i = cg_min(k->cg, i, cg_splat(k->cg, cg_max(k->cg, cg_addi(k->cg, k->part, -1), cg_idx(k->cg, 0)), lanes));
	return cg_mul(k->cg, i, cg_splat(k->cg, stride, lanes));
}

CgVal kg_load(Kg *k, const CgTensor *t, const CgAt *at)
{
	Cg *c = k->cg;
	CgKind m = kg_mem(t->dtype);
	CgVal p = kg_addr(k, t, at);
	if (at->lanes == 1)
		return from_mem(k, t->dtype, cg_load(c, cg_t(m, 1), p, 0));
	CgVal stride = t->stride[at->axis];
	if (is_known(stride, 1) && k->part)
		return from_mem(k, t->dtype, cg_load_part(c, cg_t(m, at->lanes), p, k->part, 0));
	if (is_known(stride, 1))
		return from_mem(k, t->dtype, cg_load(c, cg_t(m, at->lanes), p, 0));
	if (is_known(stride, 0))
		return cg_splat(c, from_mem(k, t->dtype, cg_load(c, cg_t(m, 1), p, 0)), at->lanes);
	if (!k->part)
		return from_mem(k, t->dtype, cg_gather(c, m, p, lane_offsets(k, stride, at->lanes)));
	CgVar v = cg_var(c, cg_zero(c, cg_t(m, at->lanes)));
	cg_if(c, cg_cmp(c, CG_GT, k->part, cg_idx(c, 0))); /* there may be none at all */
	cg_set(c, v, cg_gather(c, m, p, lane_offsets(k, stride, at->lanes)));
	cg_end(c);
	return from_mem(k, t->dtype, cg_get(c, v));
}

static void scatter(Kg *k, CgKind m, CgVal p, CgVal stride, CgVal v)
{
	Cg *c = k->cg;
	CgVal off = cg_idx(c, 0);
	for (int i = 0; i < cg_lanes(c, v); i++) {
		if (k->part)
			cg_if(c, cg_cmp(c, CG_GT, k->part, cg_idx(c, i)));
		cg_store(c, cg_extract(c, v, i), cg_at(c, m, p, off), 0);
		if (k->part)
			cg_end(c);
		off = cg_add(c, off, stride);
	}
}

void kg_write(Kg *k, const CgTensor *t, const CgAt *at, CgVal v)
{
	Cg *c = k->cg;
	CgVal p = kg_addr(k, t, at);
	v = to_mem(k, t->dtype, v);
	if (at->lanes > 1 && k->part && is_known(t->stride[at->axis], 1))
		cg_store_part(c, v, p, k->part, 0);
	else if (at->lanes == 1 || is_known(t->stride[at->axis], 1))
		cg_store(c, v, p, 0);
	else
		scatter(k, kg_mem(t->dtype), p, t->stride[at->axis], v);
}

/* ---- elements ------------------------------------------------------------------------------------------------- */

static bool same_at(const CgAt *a, const CgAt *b)
{
	if (a->rank != b->rank || a->lanes != b->lanes || (a->lanes > 1 && a->axis != b->axis))
		return false;
	int n = a->rank < 0 ? 1 : a->rank;
	for (int i = 0; i < n; i++)
		if (a->ix[i] != b->ix[i])
			return false;
	return true;
}

static CgVal *remembered(Kg *k, const WqValue *v, const CgAt *at)
{
	for (int i = k->memo.n - 1; i >= 0; i--) {
		KgMemo *m = &k->memo.v[i];
		if (m->v == v && same_at(&m->at, at) && cg_scope_open(k->cg, m->scope))
			return &m->val;
	}
	return NULL;
}

static CgVal remember(Kg *k, const WqValue *v, const CgAt *at, CgVal val)
{
	KgMemo m = {v, *at, val, cg_scope(k->cg)};
	WQ_PUSH(k->a, k->memo, m);
	return val;
}

/* The index at which operand v of a node of type `of` is read for the node's element at `at`. */
CgAt kg_align(Kg *k, const WqValue *v, const WqType *of, const CgAt *at)
{
	if (at->rank < 0) { /* flat: either of the same shape, or a single element */
		if (wq_same_shape(&v->type, of))
			return *at;
		CgAt o = {.rank = v->type.rank, .lanes = 1};
		for (int i = 0; i < o.rank; i++)
			o.ix[i] = cg_idx(k->cg, 0);
		return o;
	}
	int drop = at->rank - v->type.rank;
	CgAt o = {.rank = v->type.rank, .lanes = at->lanes, .axis = at->axis - drop};
	if (at->axis < drop)
		o.lanes = 1;
	for (int i = 0; i < o.rank; i++) {
		WqDim d = v->type.dim[i];
		o.ix[i] = at->ix[i + drop];
		if (d == 1) {
			o.ix[i] = cg_idx(k->cg, 0);
			if (o.axis == i)
				o.lanes = 1;
		} else if ((!of || d != of->dim[i + of->rank - o.rank]) && wq_dim_lo(k->b->m, d) <= 1) {
			/* only running tells whether this axis is broadcast */
			CgVal one = cg_cmp(k->cg, CG_EQ, kg_dim(k, d), cg_idx(k->cg, 1));
			o.ix[i] = cg_select(k->cg, one, cg_idx(k->cg, 0), o.ix[i]);
			if (o.axis == i && o.lanes > 1)
				o.axis = -1 - i; /* see maybe_broadcast */
		}
	}
	return o;
}

/* Lanes along axis -1 - at->axis of v, of which only running tells whether it is broadcast. */
static CgVal maybe_broadcast(Kg *k, const WqValue *v, const CgAt *at)
{
	Cg *c = k->cg;
	CgAt many = *at, one = *at;
	many.axis = one.axis = -1 - at->axis;
	one.lanes = 1;
	one.ix[one.axis] = cg_idx(c, 0);
	CgVar out = cg_var(c, cg_zero(c, cg_t(kg_reg(v->type.dtype), at->lanes)));
	cg_if(c, cg_cmp(c, CG_EQ, kg_size(k, v, one.axis), cg_idx(c, 1)));
	cg_set(c, out, kg_elem(k, v, &one));
	cg_else(c);
	cg_set(c, out, kg_elem(k, v, &many));
	cg_end(c);
	return cg_get(c, out);
}

static CgVal lane_by_lane(Kg *k, const WqValue *v, const CgAt *at)
{
	Cg *c = k->cg;
	CgVar out = cg_var(c, cg_zero(c, cg_t(kg_reg(v->type.dtype), at->lanes)));
	for (int i = 0; i < at->lanes; i++) {
		CgAt s = *at;
		s.lanes = 1;
		s.ix[s.axis] = cg_addi(c, at->ix[at->axis], i);
		if (k->part)
			cg_if(c, cg_cmp(c, CG_GT, k->part, cg_idx(c, i)));
		cg_set(c, out, cg_insert(c, cg_get(c, out), kg_elem(k, v, &s), i));
		if (k->part)
			cg_end(c);
	}
	return cg_get(c, out);
}

static CgVal operand(Kg *k, const WqNode *n, int i, const CgAt *at)
{
	const WqValue *v = n->in[i];
	CgAt o = kg_align(k, v, &n->out[0]->type, at);
	CgVal x = kg_elem(k, v, &o);
	return wq_emit(n->op)->raw ? x : kg_arith(k, v->type.dtype, x);
}

static CgVal elementwise(Kg *k, const WqNode *n, const CgAt *at)
{
	CgVal x[8] = {0};
	int lanes = 1;
	WQ_ASSERT(n->n_in <= WQ_COUNTOF(x));
	for (int i = 0; i < n->n_in; i++) {
		x[i] = n->in[i] ? operand(k, n, i, at) : NULL;
		if (x[i] && cg_lanes(k->cg, x[i]) > lanes)
			lanes = cg_lanes(k->cg, x[i]);
	}
	for (int i = 0; i < n->n_in; i++)
		if (x[i])
			x[i] = cg_splat(k->cg, x[i], lanes);
	const WqEmit *e = wq_emit(n->op);
	CgVal r = e->ew(k, n, x);
	return e->raw ? r : kg_round(k, n->out[0]->type.dtype, r);
}

static CgVal computed(Kg *k, const WqValue *v, const CgAt *at)
{
	const WqEmit *e = wq_emit(v->def->op);
	if (e->ew)
		return elementwise(k, v->def, at);
	WQ_ASSERT(e->at && (at->rank >= 0 || e->pointwise));
	if (at->lanes > 1 && !e->at_lanes)
		return one_lane(k, v, at);
	return e->at(k, v->def, v->index, at);
}

static CgVal one_lane(Kg *k, const WqValue *v, const CgAt *at) { return lane_by_lane(k, v, at); }

static bool fused(const Kg *k, const WqValue *v)
{
	for (int i = 0; k->g && v->def && i < k->g->nodes.n; i++)
		if (k->g->nodes.v[i] == v->def)
			return true;
	return false;
}

/* An element of a value whose elements are known expressions of sizes. */
static CgVal virtual_elem(Kg *k, const WqValue *v, CgVal i)
{
	Cg *c = k->cg;
	int64_t known, n = wq_max_count(k->b->m, &v->type);
	CgVal x = NULL;
	if (cg_const(i, &known))
		x = kg_dim(k, v->sym[known >= 0 && known < n ? known : 0]);
	for (int64_t j = 0; j < n && !cg_const(i, &known); j++) {
		CgVal e = kg_dim(k, v->sym[j]);
		x = x ? cg_select(c, cg_cmp(c, CG_EQ, i, cg_idx(c, j)), e, x) : e;
	}
	return cg_resize(c, x ? x : cg_idx(c, 0), kg_reg(v->type.dtype), true);
}

/* The same over several lanes or axes: by its position in the flattened tensor. */
static CgVal virtual_at(Kg *k, const WqValue *v, const CgAt *at)
{
	Cg *c = k->cg;
	CgVal i = at->rank < 0 ? at->ix[0] : cg_idx(c, 0), out = NULL, step = cg_idx(c, 1);
	for (int d = at->rank - 1; d >= 0; d--) {
		i = cg_add(c, i, cg_mul(c, at->ix[d], step));
		step = cg_muli(c, step, v->type.dim[d]);
	}
	if (at->lanes == 1)
		return virtual_elem(k, v, i);
	WQ_ASSERT(at->rank <= 1); /* sizes are vectors */
	out = cg_undef(c, cg_t(kg_reg(v->type.dtype), at->lanes));
	for (int l = 0; l < at->lanes; l++)
		out = cg_insert(c, out, virtual_elem(k, v, cg_addi(c, i, l)), l);
	return out;
}

/* The root's element, which kg_put was given: it can be asked for at that index alone, but for axes of size 1. */
static CgVal bound_elem(Kg *k, const CgAt *at)
{
	const CgAt *b = &k->bound_at;
	for (int i = 0; i < at->rank; i++)
		WQ_ASSERT(k->bound->type.dim[i] == 1 || at->ix[i] == b->ix[i]);
	if (at->lanes == b->lanes)
		return k->bound_val;
	WQ_ASSERT(k->bound->type.dim[at->lanes > 1 ? at->axis : b->axis] == 1);
	return at->lanes > 1 ? cg_splat(k->cg, k->bound_val, at->lanes) : cg_extract(k->cg, k->bound_val, 0);
}

CgVal kg_elem(Kg *k, const WqValue *v, const CgAt *at)
{
	Cg *c = k->cg;
	if (wq_is_immediate(v))
		return cg_splat(c, immediate(k, v), at->lanes);
	if (at->lanes > 1 && at->axis < 0)
		return maybe_broadcast(k, v, at);
	if (k->bound == v)
		return bound_elem(k, at);
	CgAt o = *at;
	for (int i = 0; i < o.rank; i++)
		if (v->type.dim[i] == 1) {
			o.ix[i] = cg_idx(c, 0);
			if (o.axis == i)
				o.lanes = 1;
		}
	CgVal *have = remembered(k, v, &o);
	if (have)
		return cg_splat(c, *have, at->lanes);
	CgVal x;
	if (fused(k, v)) {
		x = computed(k, v, &o);
	} else if (wq_is_virtual(v)) {
		x = virtual_at(k, v, &o);
	} else {
		CgTensor t = kg_tensor_of(k, v);
		if (o.rank < 0) { /* flat */
			t.rank = 1;
			t.stride[0] = cg_idx(c, 1);
			o.rank = 1;
			o.axis = 0;
		}
		x = kg_load(k, &t, &o);
		o = *at;
	}
	x = cg_splat(c, x, at->lanes);
	return remember(k, v, at, x);
}

CgVal kg_elem_f(Kg *k, const WqValue *v, const CgAt *at) { return kg_arith(k, v->type.dtype, kg_elem(k, v, at)); }

/* ---- partial vectors: while k->part is set, loads and stores of several lanes touch the first `part` alone ------- */

CgVal kg_part(const Kg *k) { return k->part; }

CgVal kg_elem_part(Kg *k, const WqValue *v, const CgAt *at, CgVal count)
{
	if (at->lanes == 1 || is_known(count, at->lanes))
		return kg_elem(k, v, at);
	int n = k->memo.n;
	CgVal outer = k->part;
	k->part = count;
	CgVal x = kg_elem(k, v, at);
	k->part = outer;
	k->memo.n = n;
	return x;
}

static void store_all(Kg *k, const WqValue *root, const CgAt *at)
{
	for (int i = 0; i < k->g->out.n; i++) {
		const WqValue *o = k->g->out.v[i];
		if (o->def == root->def && o != root)
			continue; /* another result of the root: its own kg_put */
		CgTensor t = kg_tensor_of(k, o);
		kg_write(k, &t, at, kg_elem(k, o, at));
	}
}

void kg_put(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v)
{
	const WqValue *r = n->out[result];
	if (!r)
		return;
	v = cg_splat(k->cg, v, at->lanes);
	if (result > 0) {
		if (kg_stored(k, r)) {
			CgTensor t = kg_tensor_of(k, r);
			kg_write(k, &t, at, v);
		}
		return;
	}
	k->bound = r;
	k->bound_at = *at;
	k->bound_val = v;
	store_all(k, r, at);
	k->bound = NULL;
}

void kg_put_f(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v)
{
	if (n->out[result])
		kg_put(k, n, result, at, kg_round(k, n->out[result]->type.dtype, v));
}

void kg_put_part(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v, CgVal count)
{
	if (at->lanes == 1) {
		cg_if(k->cg, cg_cmp(k->cg, CG_GT, count, cg_idx(k->cg, 0)));
		kg_put(k, n, result, at, v);
		cg_end(k->cg);
		return;
	}
	int memo = k->memo.n;
	CgVal outer = k->part;
	k->part = is_known(count, at->lanes) ? NULL : count;
	kg_put(k, n, result, at, v);
	k->part = outer;
	k->memo.n = memo;
}
