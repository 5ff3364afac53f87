/* control.c: If and Loop in the entry function, and kernels that run on a pool of threads. */
#include "codegen/control.h"

/* ---- copies ----------------------------------------------------------------------------------------------------- */

static CgTensor dense_at(Kg *k, CgVal ptr, const CgTensor *like)
{
	CgTensor t = *like;
	CgVal s = cg_idx(k->cg, 1);
	t.ptr = ptr;
	for (int i = t.rank - 1; i >= 0; i--) {
		t.stride[i] = s;
		s = cg_mul(k->cg, s, t.dim[i]);
	}
	return t;
}

static bool is_dense(const CgTensor *a, const CgTensor *dense)
{
	for (int i = 0; i < a->rank; i++) {
		int64_t one;
		if (a->stride[i] != dense->stride[i] && !(cg_const(a->dim[i], &one) && one == 1))
			return false;
	}
	return true;
}

static CgVal tensor_bytes(Kg *k, const CgTensor *t)
{
	CgVal n = cg_idx(k->cg, kg_bytes(t->dtype));
	for (int i = 0; i < t->rank; i++)
		n = cg_mul(k->cg, n, t->dim[i]);
	return n;
}

void wq_copy_dense(Kg *k, CgVal to, const CgTensor *from)
{
	CgTensor t = dense_at(k, to, from);
	if (is_dense(from, &t))
		cg_memcpy(k->cg, to, from->ptr, tensor_bytes(k, from));
	else
		kg_copy(k, &t, from);
}

/* ---- threads ------------------------------------------------------------------------------------------------------ */

void wq_call_shared(Kg *k, const KgCall *call, int n, CgVal *arg)
{
	Cg *c = k->cg;
	const CgFn *task = wq_map_get(k->b->kernels, wq_sprintf(k->a, "%s_task", call->name));
	WQ_ASSERT(task);
	CgVal none = cg_cmp(c, CG_EQ, k->pool, cg_null(c));
	cg_if(c, none);
	arg[n] = cg_idx(c, 0);
	arg[n + 1] = cg_idx(c, 1);
	cg_call(c, call->fn->value, n + 2, arg);
	cg_else(c);
	CgVal args = cg_stack(c, CG_PTR, n, 16);
	for (int i = 0; i < n; i++)
		cg_store(c, arg[i], cg_ati(c, CG_PTR, args, i), 0);
	/* wqrt_pool: an i32, then the function, at the next pointer's place */
	CgVal run = cg_load(c, cg_t(CG_PTR, 1), cg_ati(c, CG_PTR, k->pool, 1), 0);
	CgVal pass[] = {k->pool, task->value, args};
	cg_call_ptr(c, run, cg_t(CG_VOID, 1), 3, pass);
	cg_end(c);
}

/* ---- sizes of results ---------------------------------------------------------------------------------------------- */

static void bind_type(Kg *k, const WqType *t, const CgVal *dim, int from)
{
	int sym;
	for (int i = from; i < t->rank; i++)
		if (wq_dim_is_sym(k->b->m, t->dim[i], &sym))
			kg_bind(k, t->dim[i], dim[i - from]);
}

static bool is_tensor(const WqValue *v) { return v && v->type.kind == WQ_TENSOR && v->type.rank >= 0; }

/* ---- If -------------------------------------------------------------------------------------------------------------- */

static void emit_branch(Kg *k, const WqNode *n, const WqGraph *body)
{
	kg_forget(k);
	cg_while(k->cg);
	wq_emit_graph(k, body);
	for (int i = 0; i < n->n_out; i++) {
		if (!is_tensor(n->out[i]) || wq_place(k->b, n->out[i])->kind == PLACE_FUSED)
			continue;
		CgTensor from = kg_tensor_of(k, body->outputs.v[i].value);
		bind_type(k, &n->out[i]->type, from.dim, 0);
		wq_copy_dense(k, kg_base_ptr(k, n->out[i]), &from);
	}
	wq_block_end(k);
}

static void emit_if(Kg *k, const WqNode *n)
{
	CgVal cond = kg_number(k, n->in[0], 0);
	cg_if(k->cg, cond);
	emit_branch(k, n, n->body[0]);
	cg_else(k->cg);
	emit_branch(k, n, n->body[1]);
	cg_end(k->cg);
	kg_forget(k);
}

/* ---- Loop ------------------------------------------------------------------------------------------------------------- */

typedef struct LoopCode {
	Kg *k;
	WqGroup *g;
	const WqNode *n;
	const WqGraph *body;
	int carried, scanned;
	CgVar i, go;
} LoopCode;

static CgVal trip_count(Kg *k, const WqNode *n)
{
	Cg *c = k->cg;
	int64_t most = cg_kind_bytes(c, cg_index(c)) == 4 ? INT32_MAX : INT64_MAX;
	if (!n->in[0])
		return cg_idx(c, most);
	CgVal v = kg_number(k, n->in[0], 0);
	v = cg_min(c, v, cg_int(c, cg_t(CG_I64, 1), most));
	return cg_resize(c, v, cg_index(c), true);
}

static CgVal input_ptr(LoopCode *l, int i) { return kg_base_ptr(l->k, l->body->inputs.v[i]); }

static void enter_carried(LoopCode *l)
{
	for (int j = 0; j < l->carried; j++) {
		CgTensor from = kg_tensor_of(l->k, l->n->in[2 + j]);
		bind_type(l->k, &l->body->inputs.v[2 + j]->type, from.dim, 0);
		wq_copy_dense(l->k, input_ptr(l, 2 + j), &from);
	}
}

static void store_scanned(LoopCode *l, CgVal i)
{
	Kg *k = l->k;
	Cg *c = k->cg;
	for (int s = 0; s < l->scanned; s++) {
		const WqValue *r = l->n->out[l->carried + s];
		if (!is_tensor(r) || wq_place(k->b, r)->kind == PLACE_FUSED)
			continue;
		CgTensor from = kg_tensor_of(k, l->body->outputs.v[1 + l->carried + s].value);
		bind_type(k, &r->type, from.dim, 1);
		int64_t hi = wq_dim_hi(k->b->m, r->type.dim[0]);
		CgVal full = cg_cmp(c, CG_GE, i, cg_idx(c, hi));
		kg_fault(k, full, KG_EBOUND);
		CgVal at = cg_select(c, full, cg_idx(c, 0), i);
		wq_copy_dense(k, cg_at(c, CG_I8, kg_base_ptr(k, r), cg_mul(c, at, tensor_bytes(k, &from))), &from);
	}
}

/* All new values are known before any is written: one may be a view of another's old one. */
static void next_carried(LoopCode *l)
{
	Kg *k = l->k;
	Cg *c = k->cg;
	CgTensor *from = WQ_NEW_N(k->a, CgTensor, l->carried + 1);
	for (int j = 0; j < l->carried; j++)
		from[j] = kg_tensor_of(k, l->body->outputs.v[1 + j].value);
	for (int j = 0; j < l->carried; j++) {
		int item = l->g->temp_item[j];
		if (item < 0)
			continue;
		CgVal tmp = cg_ati(c, CG_I8, k->arena, k->b->items.v[item].offset);
		wq_copy_dense(k, tmp, &from[j]);
		from[j] = dense_at(k, tmp, &from[j]);
	}
	for (int j = 0; j < l->carried; j++) {
		bind_type(k, &l->body->inputs.v[2 + j]->type, from[j].dim, 0);
		if (l->body->outputs.v[1 + j].value != l->body->inputs.v[2 + j])
			wq_copy_dense(k, input_ptr(l, 2 + j), &from[j]);
	}
}

static void leave_loop(LoopCode *l)
{
	Kg *k = l->k;
	CgVal count = cg_get(k->cg, l->i);
	for (int j = 0; j < l->n->n_out; j++) {
		const WqValue *r = l->n->out[j];
		if (!is_tensor(r) || wq_place(k->b, r)->kind == PLACE_FUSED)
			continue;
		if (j >= l->carried) {
			int sym;
			if (wq_dim_is_sym(k->b->m, r->type.dim[0], &sym) && wq_binds(k->b, l->n))
				kg_bind(k, r->type.dim[0], count);
			continue;
		}
		CgTensor from = kg_tensor_of(k, l->body->inputs.v[2 + j]);
		bind_type(k, &r->type, from.dim, 0);
		wq_copy_dense(k, kg_base_ptr(k, r), &from);
	}
	kg_forget(k);
}

static void emit_loop(Kg *k, WqGroup *g)
{
	Cg *c = k->cg;
	const WqNode *n = g->root;
	LoopCode l = {.k = k, .g = g, .n = n, .body = n->body[0], .carried = n->body[0]->inputs.n - 2};
	l.scanned = l.body->outputs.n - 1 - l.carried;
	CgVal most = trip_count(k, n);
	l.go = cg_var(c, n->in[1] ? kg_number(k, n->in[1], 0) : cg_int(c, cg_t(CG_I1, 1), 1));
	l.i = cg_var(c, cg_idx(c, 0));
	enter_carried(&l);
	kg_forget(k);
	cg_while(c);
	CgVal i = cg_get(c, l.i);
	cg_break_if(c, cg_cmp(c, CG_GE, i, most));
	cg_break_if(c, cg_not(c, cg_get(c, l.go)));
	cg_store(c, cg_resize(c, i, CG_I64, true), input_ptr(&l, 0), 8);
	cg_store(c, cg_int(c, cg_t(CG_I8, 1), 1), input_ptr(&l, 1), 0);
	wq_emit_graph(k, l.body);
	cg_set(c, l.go, kg_number(k, l.body->outputs.v[0].value, 0));
	store_scanned(&l, i);
	next_carried(&l);
	cg_set(c, l.i, cg_addi(c, i, 1));
	kg_forget(k);
	cg_end(c);
	kg_forget(k);
	wq_stop_on_error(k);
	leave_loop(&l);
}

void wq_emit_control(Kg *k, WqGroup *g)
{
	if (g->root->op == OP_If)
		emit_if(k, g->root);
	else
		emit_loop(k, g);
}
