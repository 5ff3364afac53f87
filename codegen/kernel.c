/* kernel.c: a kernel in the making: its function, sizes, memory, errors. */
#include "codegen/program.h"
#include "ir/infer.h"

Cg *kg_cg(const Kg *k) { return k->cg; }
WqArena *kg_arena(const Kg *k) { return k->a; }

void kg_init(Kg *k, WqBuild *b, WqGroup *g)
{
	*k = (Kg){.b = b, .cg = b->cg, .g = g, .a = b->a};
	k->thread = cg_idx(b->cg, 0);
	k->threads = cg_idx(b->cg, 1);
}

/* ---- types ---------------------------------------------------------------------------------------------- */

int kg_bytes(WqDtype t) { return (int)wq_dtype_size(t); }

CgKind kg_mem(WqDtype t)
{
	switch (wq_dtype_size(t)) {
	case 1: return CG_I8;
	case 2: return CG_I16;
	case 4: return t == WQ_F32 ? CG_F32 : CG_I32;
	case 8: return t == WQ_F64 ? CG_F64 : CG_I64;
	default: wq_fail(WQ_EUNSUPPORTED, "no code for elements of type %s", wq_dtype(t)->text);
	}
}

CgKind kg_reg(WqDtype t) { return t == WQ_BOOL ? CG_I1 : kg_mem(t); }

static bool is_small_float(WqDtype t) { return wq_dtype_is_float(t) && t != WQ_F32 && t != WQ_F64; }

CgKind kg_acc(WqDtype t) { return is_small_float(t) ? CG_F32 : kg_reg(t); }

/* ---- sizes ------------------------------------------------------------------------------------------------ */

static CgVal size_slot(Kg *k, int sym) { return cg_ati(k->cg, cg_index(k->cg), k->sizes, 1 + sym); }

static CgVal call_value(Kg *k, const char *fn, CgVal a, CgVal b)
{
	Cg *c = k->cg;
	if (!strcmp(fn, "min"))
		return cg_min(c, a, b);
	if (!strcmp(fn, "max"))
		return cg_max(c, a, b);
	if (!strcmp(fn, "bcast"))
		return cg_select(c, cg_cmp(c, CG_EQ, a, cg_idx(c, 1)), b, a);
	/* div and mod round down; a divisor of 0 cannot stand in a size that is used */
	CgVal zero = cg_idx(c, 0), safe = cg_select(c, cg_cmp(c, CG_EQ, b, zero), cg_idx(c, 1), b);
	CgVal q = cg_sdiv(c, a, safe), r = cg_srem(c, a, safe);
	CgVal off = cg_and(c, cg_cmp(c, CG_NE, r, zero), cg_cmp(c, CG_LT, cg_xor(c, r, safe), zero));
	if (!strcmp(fn, "div"))
		return cg_select(c, off, cg_addi(c, q, -1), q);
	WQ_ASSERT(!strcmp(fn, "mod"));
	return cg_select(c, off, cg_add(c, r, safe), r);
}

static CgVal sum_value(Kg *k, WqDim d)
{
	CgVal sum = NULL;
	for (int i = 0; i < wq_dim_num_terms(k->b->m, d); i++) {
		int64_t coef;
		WqDim atom[8];
		int n = wq_dim_term(k->b->m, d, i, &coef, atom);
		CgVal v = cg_idx(k->cg, coef);
		for (int j = 0; j < n; j++)
			v = cg_mul(k->cg, kg_dim(k, atom[j]), v);
		sum = sum ? cg_add(k->cg, sum, v) : v;
	}
	return sum ? sum : cg_idx(k->cg, 0);
}

CgVal kg_dim(Kg *k, WqDim d)
{
	const WqModule *m = k->b->m;
	int64_t v;
	int sym;
	if (wq_dim_get_const(m, d, &v))
		return cg_idx(k->cg, v);
	for (int i = k->dims.n - 1; i >= 0; i--)
		if (k->dims.v[i].d == d && cg_scope_open(k->cg, k->dims.v[i].scope))
			return k->dims.v[i].val;
	CgVal val;
	WqDim a, b;
	const char *fn = NULL;
	if (wq_dim_is_sym(m, d, &sym))
		val = cg_load(k->cg, cg_t(cg_index(k->cg), 1), size_slot(k, sym), 0);
	else if ((fn = wq_dim_call(m, d, &a, &b)))
		val = call_value(k, fn, kg_dim(k, a), kg_dim(k, b));
	else
		val = sum_value(k, d);
	KgSize s = {d, val, cg_scope(k->cg)};
	WQ_PUSH(k->a, k->dims, s);
	return val;
}

void kg_forget(Kg *k)
{
	k->dims.n = 0;
	k->memo.n = 0;
}

CgVal kg_size(Kg *k, const WqValue *v, int axis) { return kg_dim(k, v->type.dim[axis]); }

CgVal kg_count(Kg *k, const WqValue *v)
{
	CgVal n = cg_idx(k->cg, 1);
	for (int i = 0; i < v->type.rank; i++)
		n = cg_mul(k->cg, n, kg_size(k, v, i));
	return n;
}

void kg_bind(Kg *k, WqDim d, CgVal n)
{
	int sym;
	Cg *c = k->cg;
	if (!wq_dim_is_sym(k->b->m, d, &sym)) {
		/* known otherwise: what runs must agree */
		kg_fault(k, cg_cmp(c, CG_NE, n, kg_dim(k, d)), KG_EBOUND);
		return;
	}
	int64_t hi = wq_dim_hi(k->b->m, d);
	if (hi < WQ_DIM_INF) {
		CgVal over = cg_cmp(c, CG_UGT, n, cg_idx(c, hi));
		kg_fault(k, over, KG_EBOUND);
		n = cg_select(c, over, cg_idx(c, hi), n);
	}
	cg_store(c, n, size_slot(k, sym), 0);
	kg_forget(k);
}

/* ---- errors ----------------------------------------------------------------------------------------------- */

void kg_fault(Kg *k, CgVal cond, int code)
{
	Cg *c = k->cg;
	int64_t known;
	if (cg_lanes(c, cond) > 1)
		cond = cg_any(c, cond);
	if (cg_const(cond, &known) && !known)
		return;
	k->faults = true;
	cg_if(c, cond);
	cg_store(c, cg_idx(c, code), k->sizes, 0);
	cg_end(c);
}

CgVal kg_checked(Kg *k, CgVal i, CgVal n)
{
	Cg *c = k->cg;
	CgType t = cg_type(c, i);
	if (t.kind != cg_index(c)) { /* a 64-bit index on a 32-bit target must not be cut before it is checked */
		if (cg_kind_bytes(c, t.kind) > cg_kind_bytes(c, cg_index(c))) {
			CgVal low = cg_resize(c, i, cg_index(c), true);
			CgVal lost = cg_cmp(c, CG_NE, cg_resize(c, low, t.kind, true), i);
			i = cg_select(c, lost, cg_int(c, cg_t(cg_index(c), t.lanes), INT32_MIN), low);
		} else {
			i = cg_resize(c, i, cg_index(c), true);
		}
	}
	CgVal zero = cg_zero(c, cg_type(c, i));
	CgVal pos = cg_select(c, cg_cmp(c, CG_LT, i, zero), cg_add(c, i, n), i);
	CgVal bad = cg_cmp(c, CG_UGE, pos, cg_splat(c, n, t.lanes));
	kg_fault(k, bad, KG_EINDEX);
	return cg_select(c, bad, zero, pos);
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

static CgVal entry_ptr(Kg *k, const WqValue *v)
{
	const WqPlace *p = wq_place(k->b, v);
	Cg *c = k->cg;
	if (v->data)
		return cg_ati(c, CG_I8, k->weights, wq_weight(k->b, v, NULL)->offset);
	switch (p->kind) {
	case PLACE_ARENA: return cg_ati(c, CG_I8, k->arena, p->offset);
	case PLACE_INPUT: return cg_load(c, cg_t(CG_PTR, 1), cg_ati(c, CG_PTR, k->in, p->index), 0);
	case PLACE_OUTPUT: return cg_load(c, cg_t(CG_PTR, 1), cg_ati(c, CG_PTR, k->out, p->index), 0);
	default: WQ_BUG("%s has no memory", v->name);
	}
}

CgVal kg_base_ptr(Kg *k, const WqValue *v)
{
	if (!k->g)
		return entry_ptr(k, v);
	for (int i = 0; i < k->param.n; i++)
		if (k->param.v[i] == v)
			return k->fn.param[i];
	WQ_BUG("%s is no parameter of the kernel", v->name);
}

/* A constant that is otherwise known to the code, for who must have it in memory. */
static CgVal immediate_ptr(Kg *k, const WqValue *v)
{
	_Alignas(8) uint8_t bytes[8];
	if (v->data->packed)
		wq_unpack(v->type.dtype, v->data->data, bytes, 1);
	else
		memcpy(bytes, v->data->data, wq_dtype_size(v->type.dtype));
	return cg_table(k->cg, kg_mem(v->type.dtype), 1, bytes);
}

CgVal kg_packed(Kg *k, int i)
{
	for (int j = 0; j < k->packed.n; j++)
		if (k->packed.v[j] && k->packed.v[j]->v == k->g->root->in[i])
			return k->fn.param[k->param.n + j];
	WQ_BUG("operand %d was not packed", i);
}

CgVal kg_scratch(Kg *k) { return k->scratch; }

static bool in_group(const Kg *k, const WqNode *n)
{
	for (int i = 0; k->g && i < k->g->nodes.n; i++)
		if (k->g->nodes.v[i] == n)
			return true;
	return false;
}

bool kg_in_memory(const Kg *k, const WqValue *v) { return !wq_is_immediate(v) && !(v->def && in_group(k, v->def)); }

bool kg_stored(const Kg *k, const WqValue *v)
{
	for (int i = 0; i < k->g->out.n; i++)
		if (k->g->out.v[i] == v)
			return true;
	return false;
}

bool kg_plain_result(const Kg *k, const WqValue *v) { return kg_stored(k, v) && k->g->nodes.n == 1; }

static void dense_strides(Kg *k, CgTensor *t, const uint8_t *order)
{
	CgVal s = cg_idx(k->cg, 1);
	for (int i = t->rank - 1; i >= 0; i--) {
		int axis = order ? order[i] : i;
		t->stride[axis] = s;
		s = cg_mul(k->cg, s, t->dim[axis]);
	}
}

static bool is_one(CgVal v)
{
	int64_t x;
	return cg_const(v, &x) && x == 1;
}

/* Sizes of 1 come and go; the others keep their strides. */
static void spread_strides(Kg *k, CgTensor *t, const CgTensor *from)
{
	for (int i = 0, j = 0; i < t->rank; i++) {
		t->stride[i] = cg_idx(k->cg, 0);
		if (is_one(t->dim[i]))
			continue;
		while (is_one(from->dim[j]))
			j++;
		t->stride[i] = from->stride[j++];
	}
}

/* A Slice's first position along an axis, as ONNX clamps it. */
static CgVal slice_start(Kg *k, CgVal start, CgVal dim, int64_t step)
{
	Cg *c = k->cg;
	CgVal zero = cg_idx(c, 0);
	start = cg_select(c, cg_cmp(c, CG_LT, start, zero), cg_add(c, start, dim), start);
	CgVal top = step > 0 ? dim : cg_addi(c, dim, -1);
	return cg_min(c, cg_max(c, start, zero), top);
}

static void slice_tensor(Kg *k, CgTensor *t, const CgTensor *from, const WqNode *n)
{
	memcpy(t->stride, from->stride, sizeof t->stride);
	int64_t count = n->in[3]->type.dim[0];
	CgVal offset = cg_idx(k->cg, 0);
	for (int64_t i = 0; i < count; i++) {
		int64_t axis = wq_tensor_get_i(n->in[3]->data, i), step = wq_tensor_get_i(n->in[4]->data, i);
		axis += axis < 0 ? t->rank : 0;
		CgVal start = slice_start(k, kg_int(k, n->in[1], i), from->dim[axis], step);
		offset = cg_add(k->cg, offset, cg_mul(k->cg, start, from->stride[axis]));
		t->stride[axis] = cg_muli(k->cg, from->stride[axis], step);
	}
	t->ptr = cg_at(k->cg, kg_mem(t->dtype), from->ptr, offset);
	t->align = kg_bytes(t->dtype);
}

bool kg_in_place(const Kg *k, const WqNode *n, int i)
{
	const WqPlace *p = wq_place(k->b, n->in[i]);
	return p->kind == PLACE_PART && p->node == n && p->index == i && !n->in[i]->data;
}

/* A piece of a Concat's result, behind the operands before it. */
static void part_tensor(Kg *k, CgTensor *t, const WqPlace *p)
{
	CgTensor whole = kg_tensor_of(k, p->base);
	int64_t axis = wq_attr_i(p->node, "axis");
	axis += axis < 0 ? t->rank : 0;
	CgVal first = cg_idx(k->cg, 0);
	for (int i = 0; i < p->index; i++)
		first = cg_add(k->cg, first, kg_size(k, p->node->in[i], (int)axis));
	memcpy(t->stride, whole.stride, sizeof t->stride);
	t->ptr = cg_at(k->cg, kg_mem(t->dtype), whole.ptr, cg_mul(k->cg, first, whole.stride[axis]));
}

static void view_tensor(Kg *k, CgTensor *t, const WqPlace *p)
{
	CgTensor from = kg_tensor_of(k, p->base);
	t->ptr = from.ptr;
	t->align = from.align;
	const WqNode *n = p->node;
	if (n->op == OP_Transpose) {
		int count;
		const int64_t *perm = wq_attr_ints(n, "perm", &count);
		for (int i = 0; i < t->rank; i++)
			t->stride[i] = from.stride[perm ? perm[i] : t->rank - 1 - i];
	} else if (n->op == OP_Slice) {
		slice_tensor(k, t, &from, n);
	} else {
		const WqPlace *q = wq_place(k->b, p->base);
		bool ascending = q->dense;
		int last = -1;
		for (int i = 0; i < from.rank; i++) {
			int axis = q->order[i];
			if (p->base->type.dim[axis] == 1)
				continue;
			ascending &= axis > last;
			last = axis;
		}
		if (ascending)
			dense_strides(k, t, NULL);
		else
			spread_strides(k, t, &from);
	}
}

CgTensor kg_tensor_of(Kg *k, const WqValue *v)
{
	CgTensor t = {.dtype = v->type.dtype, .rank = v->type.rank, .align = kg_bytes(v->type.dtype)};
	for (int i = 0; i < t.rank; i++)
		t.dim[i] = kg_size(k, v, i);
	const WqPlace *p = wq_place(k->b, v);
	if (p->kind == PLACE_VIEW && !v->data) {
		view_tensor(k, &t, p);
		return t;
	}
	if (p->kind == PLACE_PART && !v->data) {
		part_tensor(k, &t, p);
		return t;
	}
	t.ptr = wq_is_immediate(v) ? immediate_ptr(k, v) : kg_base_ptr(k, v);
	if (v->data || p->kind == PLACE_ARENA)
		t.align = 64;
	dense_strides(k, &t, v->data ? NULL : p->order);
	return t;
}

CgTensor kg_tensor(Kg *k, const WqValue *v)
{
	WQ_ASSERT(wq_is_immediate(v) || kg_in_memory(k, v) || kg_stored(k, v));
	return kg_tensor_of(k, v);
}

CgVal kg_addr(Kg *k, const CgTensor *t, const CgAt *at)
{
	Cg *c = k->cg;
	CgVal off = cg_idx(c, 0);
	for (int i = 0; i < t->rank; i++)
		off = cg_add(c, off, cg_mul(c, at->ix[i], t->stride[i]));
	return cg_at(c, kg_mem(t->dtype), t->ptr, off);
}

/* ---- integers ------------------------------------------------------------------------------------------------ */

/* Clamped where the index type is narrower. */
static CgVal as_index(Kg *k, CgVal v, WqDtype t)
{
	Cg *c = k->cg;
	CgType from = cg_type(c, v);
	if (cg_kind_bytes(c, from.kind) > cg_kind_bytes(c, cg_index(c)) && wq_dtype_is_signed(t))
		v = cg_min(c, cg_max(c, v, cg_int(c, from, -INT32_MAX)), cg_int(c, from, INT32_MAX));
	return cg_resize(c, v, cg_index(c), wq_dtype_is_signed(t));
}

static CgVal known_index(Kg *k, int64_t v)
{
	int64_t most = cg_index(k->cg) == CG_I64 ? INT64_MAX : INT32_MAX;
	return cg_idx(k->cg, v > most ? most : v < -most ? -most : v);
}

/* Has v surely an element i of the last axis? NULL: yes; else what tells. */
static CgVal is_there(Kg *k, const WqValue *v, int64_t i)
{
	Cg *c = k->cg;
	CgVal there = NULL;
	for (int d = 0; d < v->type.rank; d++) {
		int64_t need = d == v->type.rank - 1 ? i + 1 : 1;
		if (wq_dim_lo(k->b->m, v->type.dim[d]) >= need)
			continue;
		CgVal yes = cg_cmp(c, CG_GE, kg_size(k, v, d), cg_idx(c, need));
		there = there ? cg_and(c, there, yes) : yes;
	}
	return there;
}

CgVal kg_number(Kg *k, const WqValue *v, int64_t i)
{
	Cg *c = k->cg;
	CgAt at = {.rank = v->type.rank, .lanes = 1};
	for (int d = 0; d < at.rank; d++)
		at.ix[d] = cg_idx(c, d == at.rank - 1 ? i : 0);
	CgVal there = is_there(k, v, i);
	if (!there)
		return kg_elem(k, v, &at);
	kg_fault(k, cg_not(c, there), KG_EVALUE);
	CgVar x = cg_var(c, cg_zero(c, cg_t(kg_reg(v->type.dtype), 1)));
	cg_if(c, there);
	cg_set(c, x, kg_elem(k, v, &at));
	cg_end(c);
	return cg_get(c, x);
}

CgVal kg_int_at(Kg *k, const WqValue *v, CgVal i)
{
	int64_t known;
	if (cg_const(i, &known))
		return kg_int(k, v, known);
	if (wq_is_immediate(v))
		return kg_int(k, v, 0);
	CgAt at = {.rank = v->type.rank, .lanes = 1};
	if (at.rank)
		at.ix[0] = i;
	return as_index(k, kg_elem(k, v, &at), v->type.dtype);
}

CgVal kg_int(Kg *k, const WqValue *v, int64_t i)
{
	if (v->data)
		return known_index(k, wq_tensor_get_i(v->data, i));
	if (v->sym)
		return kg_dim(k, v->sym[i]);
	return as_index(k, kg_number(k, v, i), v->type.dtype);
}
