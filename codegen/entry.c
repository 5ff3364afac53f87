/* entry.c: the functions that call the kernels.
 *
 *   i32 <symbol>_call(const wqrt_call *)                 binds the inputs' sizes, checks them
 *   i32 <symbol>_main(arena, weights, in, out, sizes, out_dims, pool)   calls kernels in order
 *
 * sizes[0] is the error code of the run, sizes[1 + s] the value of symbol s.
 */
#include "codegen/control.h"
#include "codegen/index.h"
#include "codegen/export.h"

/* ---- calls of kernels ------------------------------------------------------------------------------------------ */

static int64_t max_count(const WqBuild *b, const WqValue *v)
{
	int64_t n = v->type.kind == WQ_TENSOR && v->type.rank >= 0 ? wq_max_count(b->m, &v->type) : 0;
	return n < 0 ? 0 : n;
}

static int64_t last_dims(const WqBuild *b, const WqValue *v, int from)
{
	WqType t = v->type;
	t.rank -= from;
	memmove(t.dim, t.dim + from, (size_t)(t.rank > 0 ? t.rank : 0) * sizeof *t.dim);
	return t.rank < 0 ? 1 : wq_max_count(b->m, &t);
}

/* Arithmetic of a node at the largest sizes: multiply and add count as two. */
static int64_t node_flops(const WqBuild *b, const WqNode *n)
{
	int64_t out = n->out[0] ? max_count(b, n->out[0]) : 0;
	switch (n->op) {
	case OP_MatMul: return 2 * out * (n->in[0]->type.rank ? wq_dim_hi(b->m, n->in[0]->type.dim[n->in[0]->type.rank - 1]) : 1);
	case OP_Conv: return 2 * out * last_dims(b, n->in[1], 1);
	case OP_ConvTranspose: return 2 * max_count(b, n->in[0]) * last_dims(b, n->in[1], 1);
	case OP_Attention: return 4 * max_count(b, n->in[0]) * wq_dim_hi(b->m, n->in[1]->type.dim[2]);
	default: return out;
	}
}

/* How many elements of v the group reads at most: what picks elements (Gather, a Slice) reads no more than it gives. */
static int64_t read_count(const WqBuild *b, const WqGroup *g, const WqValue *v)
{
	int64_t all = max_count(b, v), most = 0;
	for (int i = 0; i < g->nodes.n; i++) {
		const WqNode *n = g->nodes.v[i];
		bool picks = wq_emit(n->op)->at && !wq_emit(n->op)->ew;
		for (int j = 0; j < n->n_in; j++) {
			int64_t here = picks && j == 0 && n->out[0] ? max_count(b, n->out[0]) : all;
			most = n->in[j] == v && here > most ? here : most;
		}
	}
	return most && most < all ? most : all;
}

static void describe(WqBuild *b, const WqGroup *g, const char *name)
{
	WqKernelInfo k = {.name = name, .root = g->root};
	WqStr s = {.a = b->a};
	for (int i = 0; i < g->nodes.n; i++) {
		k.flops += node_flops(b, g->nodes.v[i]);
		if (i < 6)
			wq_str_printf(&s, "%s%s", i ? "+" : "", wq_op(g->nodes.v[i]->op)->name);
	}
	if (g->nodes.n > 6)
		wq_str_printf(&s, "+%d", g->nodes.n - 6);
	wq_str_printf(&s, " ");
	wq_type_print(b->m, &g->root->out[0]->type, &s);
	for (int i = 0; i < g->in.n; i++)
		k.bytes += read_count(b, g, g->in.v[i]) * (int64_t)wq_dtype_size(g->in.v[i]->type.dtype);
	for (int i = 0; i < g->out.n; i++)
		k.bytes += max_count(b, g->out.v[i]) * (int64_t)wq_dtype_size(g->out.v[i]->type.dtype);
	k.text = s.s;
	WQ_PUSH(b->a, b->p->kernels, k);
}

/* The jit's clock: see jit.c. */
static void mark_time(Kg *k, int kernel)
{
	CgType t = cg_t(CG_I32, 1);
	CgVal arg = cg_int(k->cg, t, kernel), fn = cg_extern(k->cg, "wqrt_mark", cg_t(CG_VOID, 1), 1, &t);
	cg_call(k->cg, fn, 1, &arg);
}

void wq_stop_on_error(Kg *k)
{
	Cg *c = k->cg;
	CgVal err = cg_load(c, cg_t(cg_index(c), 1), k->sizes, 0);
	cg_break_if(c, cg_cmp(c, CG_NE, err, cg_idx(c, 0)));
}

void wq_block_end(Kg *k)
{
	cg_break_if(k->cg, cg_int(k->cg, cg_t(CG_I1, 1), 1));
	cg_end(k->cg);
	kg_forget(k);
}

static void check_need(void *arg, enum WqNeed need, WqDim a, WqDim b)
{
	Kg *k = arg;
	Cg *c = k->cg;
	CgVal x = kg_dim(k, a), y = kg_dim(k, b), one = cg_idx(c, 1), bad = cg_cmp(c, CG_NE, x, y);
	if (need == WQ_NEED_BROADCAST)
		bad = cg_and(c, bad, cg_and(c, cg_cmp(c, CG_NE, x, one), cg_cmp(c, CG_NE, y, one)));
	if (need == WQ_NEED_DIVIDES) {
		CgVal none = cg_cmp(c, CG_EQ, y, cg_idx(c, 0)), rest = cg_urem(c, x, cg_select(c, none, one, y));
		bad = cg_cmp(c, CG_NE, cg_select(c, none, x, rest), cg_idx(c, 0));
	}
	kg_fault(k, bad, KG_ESHAPE);
}

/* What n's shape rule could not prove. */
static void check_rule(Kg *k, const WqNode *n)
{
	WqInfer x;
	if (wq_op(n->op)->flags & WQ_BODY)
		return;
	wq_infer_init(&x, (WqNode *)n, n->n_out, k->a);
	x.needs = check_need;
	x.needs_arg = k;
	wq_infer(&x);
}

/* Binds sizes and checks them; what follows is skipped if that faulted. */
static void emit_sizes(Kg *k, const WqGroup *g)
{
	k->faults = false;
	for (int i = 0; i < g->nodes.n; i++) {
		const WqNode *n = g->nodes.v[i];
		if (wq_emit(n->op)->sizes)
			wq_emit(n->op)->sizes(k, n);
		check_rule(k, n);
	}
	if (k->faults)
		wq_stop_on_error(k);
}

static bool binds(const WqBuild *b, const WqGroup *g)
{
	for (int i = 0; i < g->nodes.n; i++)
		if (wq_binds(b, g->nodes.v[i]))
			return true;
	return false;
}

/* Work below this is not worth waking threads for. */
enum { SHARE_WORK = 40000 };

static void call_kernel(Kg *k, WqGroup *g)
{
	WqBuild *b = k->b;
	Cg *c = k->cg;
	KgCall call;
	CgVal arg[64];
	int n = 0;
	wq_kernel(b, g, &call);
	describe(b, g, call.name);
	for (int i = 0; i < call.param.n; i++)
		arg[n++] = kg_base_ptr(k, call.param.v[i]);
	for (int i = 0; i < call.packed.n; i++)
		arg[n++] = cg_ati(c, CG_I8, k->weights, call.packed.v[i]->offset);
	arg[n++] = k->sizes;
	arg[n++] = cg_ati(c, CG_I8, k->arena, g->scratch_item < 0 ? 0 : b->items.v[g->scratch_item].offset);
	const WqKernelInfo *info = &b->p->kernels.v[b->p->kernels.n - 1];
	if (b->p->o.threads > 1 && call.shared && info->flops + info->bytes >= SHARE_WORK) {
		wq_call_shared(k, &call, n, arg);
	} else {
		arg[n] = cg_idx(c, 0);
		arg[n + 1] = cg_idx(c, 1);
		cg_call(c, call.fn->value, n + (b->p->o.threads > 1 ? 2 : 0), arg);
	}
	if (b->p->o.profile)
		mark_time(k, b->p->kernels.n - 1);
	if (binds(b, g))
		kg_forget(k);
}

void wq_emit_graph(Kg *k, const WqGraph *graph)
{
	const WqGroups *gs = wq_groups_of(k->b, graph);
	for (int i = 0; i < gs->v.n; i++) {
		WqGroup *g = gs->v.v[i];
		emit_sizes(k, g);
		if (g->kind == GROUP_CONTROL)
			wq_emit_control(k, g);
		else if (g->kind != GROUP_VIEW && g->out.n)
			call_kernel(k, g);
		if (g->kind == GROUP_CONTROL || binds(k->b, g))
			wq_stop_on_error(k);
		k->memo.n = 0; /* what was loaded may have been overwritten */
	}
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

static void emit_outputs(Kg *k, CgVal out_dims)
{
	const WqGraph *g = k->b->m->main;
	Cg *c = k->cg;
	for (int i = 0; i < g->outputs.n; i++) {
		const WqValue *v = g->outputs.v[i].value;
		const WqPlace *p = wq_place(k->b, v);
		if (p->kind == PLACE_OUTPUT && p->index == i)
			continue;
		CgVal to = cg_load(c, cg_t(CG_PTR, 1), cg_ati(c, CG_PTR, k->out, i), 0);
		CgTensor from = kg_tensor_of(k, v);
		wq_copy_dense(k, to, &from);
	}
	cg_if(c, cg_cmp(c, CG_NE, out_dims, cg_null(c)));
	int64_t at = 0;
	for (int i = 0; i < g->outputs.n; i++)
		for (int d = 0; d < g->outputs.v[i].value->type.rank; d++)
			cg_store(c, cg_resize(c, kg_size(k, g->outputs.v[i].value, d), CG_I64, true), cg_ati(c, CG_I64, out_dims, at++), 8);
	cg_end(c);
}

static CgFn emit_main(WqBuild *b)
{
	Kg k;
	Cg *c = b->cg;
	kg_init(&k, b, NULL);
	CgType t[7];
	for (int i = 0; i < 7; i++)
		t[i] = cg_t(CG_PTR, 1);
	CgFn f;
	cg_fn_begin(c, &f, wq_sprintf(b->a, "%s_main", b->p->o.symbol), cg_t(CG_I32, 1), 7, t, 0, 0, CG_NOINLINE);
	k.fn = f;
	k.arena = f.param[0];
	k.weights = f.param[1];
	k.in = f.param[2];
	k.out = f.param[3];
	k.sizes = f.param[4];
	k.pool = f.param[6];
	if (b->p->o.profile)
		mark_time(&k, -1);
	cg_while(c);
	wq_emit_graph(&k, b->m->main);
	emit_outputs(&k, f.param[5]);
	wq_block_end(&k);
	CgVal err = cg_load(c, cg_t(cg_index(c), 1), k.sizes, 0);
	cg_return(c, cg_resize(c, err, CG_I32, true));
	cg_fn_end(c);
	return f;
}

/* ---- call: sizes of inputs ---------------------------------------------------------------------------------------- */

typedef struct Bind {
	Kg *k;
	bool *bound; /* symbols */
	CgVar err;
} Bind;

static void fail_if(Bind *s, CgVal cond, int code)
{
	Cg *c = s->k->cg;
	CgVal old = cg_get(c, s->err), fresh = cg_cmp(c, CG_EQ, old, cg_int(c, cg_t(CG_I32, 1), 0));
	cg_set(c, s->err, cg_select(c, cg_and(c, cond, fresh), cg_int(c, cg_t(CG_I32, 1), code), old));
}

/* First plain symbols, then everything else must agree. */
static void bind_dim(Bind *s, WqDim d, CgVal v64, int pass)
{
	Cg *c = s->k->cg;
	const WqModule *m = s->k->b->m;
	int sym;
	CgVal v = cg_resize(c, v64, cg_index(c), true);
	if (pass == 0) {
		if (!wq_dim_is_sym(m, d, &sym) || s->bound[sym])
			return;
		s->bound[sym] = true;
		int64_t lo = wq_dim_lo(m, d), hi = wq_dim_hi(m, d);
		CgVal bad = cg_cmp(c, CG_LT, v64, cg_int(c, cg_t(CG_I64, 1), lo));
		if (hi < WQ_DIM_INF)
			bad = cg_or(c, bad, cg_cmp(c, CG_GT, v64, cg_int(c, cg_t(CG_I64, 1), hi)));
		fail_if(s, bad, KG_EBOUND);
		cg_store(c, v, cg_ati(c, cg_index(c), s->k->sizes, 1 + sym), 0);
	} else {
		CgVal want = cg_resize(c, kg_dim(s->k, d), CG_I64, true);
		fail_if(s, cg_cmp(c, CG_NE, v64, want), KG_ESHAPE);
	}
}

static void bind_inputs(Bind *s, CgVal in_dims)
{
	const WqGraph *g = s->k->b->m->main;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0, at = 0; i < g->inputs.n; i++)
			for (int d = 0; d < g->inputs.v[i]->type.rank; d++, at++)
				bind_dim(s, g->inputs.v[i]->type.dim[d],
					 cg_load(s->k->cg, cg_t(CG_I64, 1), cg_ati(s->k->cg, CG_I64, in_dims, at), 8), pass);
}

static bool inputs_are_static(const WqGraph *g)
{
	for (int i = 0; i < g->inputs.n; i++)
		if (!wq_type_static(&g->inputs.v[i]->type))
			return false;
	return true;
}

/* Fields of wqrt_call, in order. */
enum { CALL_ARENA, CALL_WEIGHTS, CALL_IN, CALL_IN_DIMS, CALL_OUT, CALL_OUT_DIMS, CALL_POOL };

static CgVal field(Cg *c, CgVal call, int i) { return cg_load(c, cg_t(CG_PTR, 1), cg_ati(c, CG_PTR, call, i), 0); }

static CgVal own_weights(WqBuild *b, CgVal given)
{
	if (!b->p->o.weights_inside)
		return given;
	CgVal own = cg_extern_data(b->cg, wq_sprintf(b->a, "%s_weights_data", b->p->o.symbol));
	return cg_select(b->cg, cg_cmp(b->cg, CG_EQ, given, cg_null(b->cg)), own, given);
}

static CgFn emit_call(WqBuild *b, const CgFn *main)
{
	Kg k;
	Cg *c = b->cg;
	CgFn f;
	CgType t = cg_t(CG_PTR, 1);
	kg_init(&k, b, NULL);
	cg_fn_begin(c, &f, wq_sprintf(b->a, "%s_call", b->p->o.symbol), cg_t(CG_I32, 1), 1, &t, 0, 1, CG_EXPORT);
	k.fn = f;
	int n_syms = wq_dim_num_syms(b->m);
	k.sizes = cg_stack(c, cg_index(c), 1 + n_syms, 16);
	for (int i = 0; i <= n_syms; i++)
		cg_store(c, cg_idx(c, 0), cg_ati(c, cg_index(c), k.sizes, i), 0);
	Bind s = {.k = &k, .bound = WQ_NEW_N(b->a, bool, n_syms + 1)};
	s.err = cg_var(c, cg_int(c, cg_t(CG_I32, 1), 0));
	CgVal in_dims = field(c, f.param[0], CALL_IN_DIMS), given = cg_cmp(c, CG_NE, in_dims, cg_null(c));
	cg_if(c, given);
	bind_inputs(&s, in_dims);
	cg_end(c);
	if (!inputs_are_static(b->m->main))
		fail_if(&s, cg_not(c, given), KG_ESHAPE);
	cg_if(c, cg_cmp(c, CG_EQ, cg_get(c, s.err), cg_int(c, cg_t(CG_I32, 1), 0)));
	CgVal arg[] = {field(c, f.param[0], CALL_ARENA), own_weights(b, field(c, f.param[0], CALL_WEIGHTS)), field(c, f.param[0], CALL_IN),
		       field(c, f.param[0], CALL_OUT), k.sizes, field(c, f.param[0], CALL_OUT_DIMS), field(c, f.param[0], CALL_POOL)};
	cg_set(c, s.err, cg_call(c, main->value, 7, arg));
	cg_end(c);
	cg_return(c, cg_get(c, s.err));
	cg_fn_end(c);
	return f;
}

static void hash_weights(void *arg, const void *p, size_t n)
{
	uint64_t *h = arg;
	*h = wq_hash(p, n, *h);
}

void wq_emit_entry(WqBuild *b)
{
	CgFn main = emit_main(b), call = emit_call(b, &main);
	if (b->p->o.weights_file)
		wq_program_weights(b->p, hash_weights, &b->p->weights_hash);
	wq_emit_exports(b, &main, &call);
}
