/* kernel_loop.c: loops over index spaces, their division among threads, and groups that are nothing but such loops. */
#include "codegen/program.h"

/* ---- threads ------------------------------------------------------------------------------------------------ */

void kg_share(Kg *k, CgVal n, CgVal *lo, CgVal *hi)
{
	Cg *c = k->cg;
	k->shared = true;
	int64_t threads;
	if (cg_const(k->threads, &threads) && threads == 1) {
		*lo = cg_idx(c, 0);
		*hi = n;
		return;
	}
	/* the first n % threads shares are one larger */
	CgVal q = cg_udiv(c, n, k->threads), r = cg_urem(c, n, k->threads);
	CgVal next = cg_addi(c, k->thread, 1);
	*lo = cg_add(c, cg_mul(c, q, k->thread), cg_min(c, k->thread, r));
	*hi = cg_add(c, cg_mul(c, q, next), cg_min(c, next, r));
}

/* ---- nests ---------------------------------------------------------------------------------------------------- */

typedef struct Nest {
	Kg *k;
	int rank, lanes;
	const CgVal *dim;
	int order[WQ_MAX_RANK];
	int shared; /* the level whose loop is shared; -1: none */
	CgVal lo, hi;
	KgBody *body;
	void *arg;
	CgAt at;
} Nest;

static bool is_one(CgVal v)
{
	int64_t x;
	return cg_const(v, &x) && x == 1;
}

static void vector_loop(Nest *n, int axis, CgVal from, CgVal to)
{
	Cg *c = n->k->cg;
	int64_t f, t;
	CgVal end = cg_add(c, from, cg_muli(c, cg_divi(c, cg_sub(c, to, from), n->lanes), n->lanes));
	bool known = cg_const(from, &f) && cg_const(to, &t);
	n->at.axis = axis;
	if (!known || t - f >= n->lanes) {
		n->at.lanes = n->lanes;
		n->at.ix[axis] = cg_for(c, from, end, n->lanes);
		n->body(n->k, &n->at, n->arg);
		cg_end(c);
	}
	n->at.lanes = 1;
	if (known && (t - f) % n->lanes == 0)
		return;
	n->at.ix[axis] = cg_for(c, end, to, 1);
	cg_loop_hint(c, CG_NO_VECTOR | CG_NO_UNROLL);
	n->body(n->k, &n->at, n->arg);
	cg_end(c);
}

static void level(Nest *n, int l)
{
	Cg *c = n->k->cg;
	if (l == n->rank) {
		n->body(n->k, &n->at, n->arg);
		return;
	}
	int axis = n->order[l];
	CgVal from = l == n->shared ? n->lo : cg_idx(c, 0), to = l == n->shared ? n->hi : n->dim[axis];
	if (l == n->rank - 1 && n->lanes > 1) {
		vector_loop(n, axis, from, to);
	} else if (is_one(to) && l != n->shared) {
		n->at.ix[axis] = from;
		level(n, l + 1);
	} else {
		n->at.ix[axis] = cg_for(c, from, to, 1);
		level(n, l + 1);
		cg_end(c);
	}
}

static void start(Nest *n, Kg *k, int rank, const CgVal *dim, const int *order, int lanes, KgBody *body, void *arg)
{
	*n = (Nest){.k = k, .rank = rank, .dim = dim, .lanes = rank ? lanes : 1, .shared = -1, .body = body, .arg = arg};
	n->at = (CgAt){.rank = rank, .lanes = 1};
	for (int i = 0; i < rank; i++)
		n->order[i] = order ? order[i] : i;
}

void kg_inner_nest(Kg *k, int rank, const CgVal *dim, const int *order, int lanes, KgBody *body, void *arg)
{
	Nest n;
	start(&n, k, rank, dim, order, lanes, body, arg);
	level(&n, 0);
}

void kg_nest(Kg *k, int rank, const CgVal *dim, const int *order, int lanes, KgBody *body, void *arg)
{
	Nest n;
	Cg *c = k->cg;
	start(&n, k, rank, dim, order, lanes, body, arg);
	int64_t threads;
	if (rank && !(cg_const(k->threads, &threads) && threads == 1)) {
		/* the outermost loop that is one; the innermost by whole vectors */
		int l = 0;
		while (l < rank - 1 && is_one(dim[n.order[l]]))
			l++;
		CgVal size = dim[n.order[l]];
		int step = l == rank - 1 ? n.lanes : 1;
		kg_share(k, cg_divi(c, cg_addi(c, size, step - 1), step), &n.lo, &n.hi);
		n.lo = cg_muli(c, n.lo, step);
		n.hi = cg_min(c, cg_muli(c, n.hi, step), size);
		n.shared = l;
	}
	level(&n, 0);
}

void kg_order(Kg *k, const WqValue *v, int *order)
{
	const WqPlace *p = wq_place(k->b, v);
	for (int i = 0; i < v->type.rank; i++)
		order[i] = p->kind == PLACE_FUSED || v->data ? i : p->order[i];
}

int kg_lanes(Kg *k, WqDtype t)
{
	int lanes = k->b->target->vector_bytes / cg_kind_bytes(k->cg, kg_acc(t) == CG_I1 ? CG_I8 : kg_acc(t));
	return lanes > 1 ? lanes : 1;
}

/* ---- groups without a root of their own ------------------------------------------------------------------------- */

/* Lanes for the group: the widest element decides; no more than the last loop has. */
static int group_lanes(Kg *k, const WqValue *out, int last)
{
	int lanes = kg_lanes(k, out->type.dtype);
	bool f32_only = true;
	for (int i = 0; i < k->g->nodes.n; i++) {
		const WqNode *n = k->g->nodes.v[i];
		const WqEmit *e = wq_emit(n->op);
		if (!e->ew && !e->at_lanes)
			return 1;
		for (int j = -1; j < n->n_in; j++) {
			const WqValue *v = j < 0 ? n->out[0] : n->in[j];
			if (v && v->type.kind == WQ_TENSOR && kg_lanes(k, v->type.dtype) < lanes)
				lanes = kg_lanes(k, v->type.dtype);
			f32_only &= !v || wq_dtype_size(v->type.dtype) <= 4;
		}
	}
	if (!k->b->target->vector_f32)
		return 1;
	int64_t size;
	if (last >= 0 && cg_const(kg_size(k, out, last), &size))
		while (lanes > 1 && lanes > size)
			lanes /= 2;
	return f32_only || k->b->target->family == WQ_X86 || k->b->target->family == WQ_AARCH64 ? lanes : 1;
}

static bool lies_like(Kg *k, const WqValue *v, const WqValue *out)
{
	const WqPlace *p = wq_place(k->b, v), *q = wq_place(k->b, out);
	if (v->data)
		return q->dense && !memcmp(q->order, (uint8_t[WQ_MAX_RANK]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, (size_t)v->type.rank);
	return p->dense && q->dense && !memcmp(p->order, q->order, (size_t)v->type.rank);
}

static bool one_element(const WqType *t)
{
	for (int i = 0; i < t->rank; i++)
		if (t->dim[i] != 1)
			return false;
	return true;
}

/* A pointwise node whose other operands are numbers needs no more than the element's place: quantisation with one scale. */
static bool is_single(const WqNode *n)
{
	for (int j = 1; j < n->n_in; j++)
		if (n->in[j] && !one_element(&n->in[j]->type))
			return false;
	return wq_emit(n->op)->pointwise;
}

/* Everything is elementwise over one shape that lies alike: one loop does. */
static bool is_flat(Kg *k)
{
	const WqValue *out = k->g->out.v[0];
	for (int i = 0; i < k->g->nodes.n; i++) {
		const WqNode *n = k->g->nodes.v[i];
		if (!wq_emit(n->op)->ew && !is_single(n))
			return false;
		for (int j = -1; j < n->n_in; j++) {
			const WqValue *v = j < 0 ? n->out[0] : n->in[j];
			if (!v || one_element(&v->type))
				continue;
			bool same = wq_same_shape(&v->type, &out->type);
			if (!same || (kg_in_memory(k, v) && !lies_like(k, v, out)) || (kg_stored(k, v) && !lies_like(k, v, out)))
				return false;
		}
	}
	return !one_element(&out->type);
}

static void store_outputs(Kg *k, const CgAt *at, void *arg)
{
	bool flat = *(bool *)arg;
	CgAt f = *at;
	if (flat)
		f.rank = -1;
	for (int i = 0; i < k->g->out.n; i++) {
		const WqValue *o = k->g->out.v[i];
		CgVal v = kg_elem(k, o, &f);
		CgTensor t = kg_tensor_of(k, o);
		if (flat) {
			t.rank = 1;
			t.stride[0] = cg_idx(k->cg, 1);
		}
		kg_write(k, &t, at, v);
	}
}

void kg_loop_group(Kg *k)
{
	const WqValue *out = k->g->out.v[0];
	bool flat = is_flat(k);
	CgVal dim[WQ_MAX_RANK];
	int order[WQ_MAX_RANK] = {0}, rank = out->type.rank;
	if (flat) {
		dim[0] = kg_count(k, out);
		kg_nest(k, 1, dim, NULL, group_lanes(k, out, -1), store_outputs, &flat);
		return;
	}
	for (int i = 0; i < rank; i++)
		dim[i] = kg_size(k, out, i);
	kg_order(k, out, order);
	/* a last axis of size 1 would waste the vector: it goes outside */
	for (int i = rank - 1; i > 0 && out->type.dim[order[rank - 1]] == 1; i--) {
		int last = order[rank - 1];
		memmove(order + 1, order, (size_t)(rank - 1) * sizeof *order);
		order[0] = last;
	}
	kg_nest(k, rank, dim, order, rank ? group_lanes(k, out, order[rank - 1]) : 1, store_outputs, &flat);
}

static void copy_body(Kg *k, const CgAt *at, void *arg)
{
	const CgTensor *const *t = arg;
	kg_write(k, t[0], at, kg_load(k, t[1], at));
}

void kg_copy(Kg *k, const CgTensor *to, const CgTensor *from)
{
	const CgTensor *t[] = {to, from};
	kg_inner_nest(k, to->rank, to->dim, NULL, 1, copy_body, t);
}
