/* kernel_fn.c: the function of a group. Groups that read alike share one: the key spells out all that the code can depend on. */
#include "codegen/program.h"

/* ---- key ------------------------------------------------------------------------------------------------------ */

typedef struct Key {
	WqBuild *b;
	const WqGroup *g;
	WqStr s;
	WqValueVec seen; /* values by number */
} Key;

static void key_place(Key *k, const WqValue *v)
{
	const WqPlace *p = wq_place(k->b, v);
	wq_str_printf(&k->s, " p%d%d", p->kind, p->dense);
	for (int i = 0; i < v->type.rank; i++)
		wq_str_printf(&k->s, ".%d", p->order[i]);
}

static void key_attrs(Key *k, const WqNode *n)
{
	for (const WqAttr *a = n->attrs; a; a = a->next) {
		wq_str_printf(&k->s, " %s=%d:%lld,%a,%s", a->name, a->kind, (long long)a->i, a->f, a->s ? a->s : "");
		for (int i = 0; i < a->n; i++)
			wq_str_printf(&k->s, ",%lld", (long long)a->ints[i]);
	}
}

static void key_value(Key *k, const WqValue *v);

/* Constants whose elements an emitter may have folded into the code. */
static bool in_the_code(const WqTensor *t)
{
	int64_t n = wq_tensor_count(t);
	return n == 1 || (n <= 64 && wq_dtype_is_int(t->dtype) && wq_dtype_size(t->dtype) >= 4) || n <= 8;
}

static void key_data(Key *k, const WqTensor *t)
{
	if (!in_the_code(t)) {
		wq_str_printf(&k->s, " const");
		return;
	}
	size_t n = wq_tensor_bytes(t);
	const uint8_t *p = t->data;
	wq_str_printf(&k->s, " =");
	for (size_t i = 0; i < n && t->dtype != WQ_STR; i++)
		wq_str_printf(&k->s, "%02x", p[i]);
}

static void key_value(Key *k, const WqValue *v)
{
	if (!v) {
		wq_str_printf(&k->s, " _");
		return;
	}
	for (int i = 0; i < k->seen.n; i++)
		if (k->seen.v[i] == v) {
			wq_str_printf(&k->s, " %d", i);
			return;
		}
	WQ_PUSH(k->b->a, k->seen, v);
	wq_str_printf(&k->s, " %d:", k->seen.n - 1);
	wq_type_print(k->b->m, &v->type, &k->s);
	if (v->sym && !v->data) {
		int64_t n = wq_max_count(k->b->m, &v->type);
		for (int64_t i = 0; i < n; i++) {
			wq_str_printf(&k->s, i ? "," : " sym ");
			wq_dim_print(k->b->m, v->sym[i], &k->s);
		}
	}
	if (v->data) {
		key_data(k, v->data);
		return;
	}
	key_place(k, v);
	const WqPlace *p = wq_place(k->b, v);
	if (p->kind == PLACE_PART) {
		wq_str_printf(&k->s, " part %lld", (long long)wq_attr_i(p->node, "axis"));
		for (int i = 0; i < p->index; i++) {
			wq_str_printf(&k->s, " ");
			wq_type_print(k->b->m, &p->node->in[i]->type, &k->s);
		}
		key_value(k, p->base);
	}
	if (p->kind == PLACE_VIEW) {
		wq_str_printf(&k->s, " view %s", wq_op(p->node->op)->name);
		key_attrs(k, p->node);
		for (int i = 0; i < p->node->n_in; i++)
			key_value(k, p->node->in[i]);
	}
}

static char *group_key(WqBuild *b, const WqGroup *g, const KgCall *call)
{
	Key k = {.b = b, .g = g, .s = {.a = b->a}};
	wq_str_printf(&k.s, "%d %lld", g->kind, (long long)g->scratch);
	for (int i = 0; i < g->nodes.n; i++) {
		const WqNode *n = g->nodes.v[i];
		wq_str_printf(&k.s, "\n%s%s", wq_op(n->op)->name, n == g->root ? "*" : "");
		key_attrs(&k, n);
		if (wq_op(n->op)->flags & WQ_IMPURE)
			wq_str_printf(&k.s, " id=%u", n->id);
		for (int j = 0; j < n->n_in; j++)
			key_value(&k, n->in[j]);
		wq_str_printf(&k.s, " >");
		for (int j = 0; j < n->n_out; j++)
			key_value(&k, n->out[j]);
	}
	wq_str_printf(&k.s, "\nstored");
	for (int i = 0; i < g->out.n; i++)
		key_value(&k, g->out.v[i]);
	wq_str_printf(&k.s, "\nparams");
	for (int i = 0; i < call->param.n; i++)
		key_value(&k, call->param.v[i]);
	for (int i = 0; i < call->packed.n; i++)
		wq_str_printf(&k.s, " packed %s %lld", call->packed.v[i]->pack.layout, (long long)call->packed.v[i]->pack.bytes);
	return k.s.s;
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

static void add_param(WqBuild *b, KgCall *call, const WqValue *v)
{
	for (int i = 0; i < call->param.n; i++)
		if (call->param.v[i] == v)
			return;
	WQ_PUSH(b->a, call->param, v);
}

static bool root_reads_only_packed(const WqGroup *g, const WqValue *v)
{
	for (int i = 0; i < g->nodes.n; i++)
		for (int j = 0; j < g->nodes.v[i]->n_in; j++)
			if (g->nodes.v[i]->in[j] == v && g->nodes.v[i] != g->root)
				return false;
	int n = 0;
	for (int j = 0; j < g->root->n_in; j++)
		n += g->root->in[j] == v;
	return n == 1;
}

static void view_operands(WqBuild *b, KgCall *call, const WqValue *v);

static void memory_of(WqBuild *b, KgCall *call, const WqValue *v)
{
	if (wq_is_immediate(v) || v->type.kind != WQ_TENSOR)
		return;
	add_param(b, call, wq_base(b, v));
	view_operands(b, call, v);
}

/* What a view's position is computed from. */
static void view_operands(WqBuild *b, KgCall *call, const WqValue *v)
{
	for (const WqPlace *p = wq_place(b, v); p->kind == PLACE_VIEW; p = wq_place(b, p->base))
		for (int i = 1; i < p->node->n_in && p->node->op == OP_Slice; i++)
			if (p->node->in[i] && !p->node->in[i]->data && !p->node->in[i]->sym)
				memory_of(b, call, p->node->in[i]);
}

static void find_params(WqBuild *b, WqGroup *g, KgCall *call)
{
	const WqEmit *e = wq_emit(g->root->op);
	WqValueVec skip = {0};
	for (int i = 0; i < g->root->n_in && g->kind == GROUP_KERNEL && e->pack; i++) {
		const WqValue *v = g->root->in[i];
		WqPack pack = {0};
		if (!v || !v->data || !e->pack(b->target, g->root, i, &pack))
			continue;
		WQ_PUSH(b->a, call->packed, wq_weight(b, v, &pack));
		if (root_reads_only_packed(g, v))
			WQ_PUSH(b->a, skip, v);
	}
	for (int i = 0; i < g->in.n; i++) {
		bool packed = false;
		for (int j = 0; j < skip.n; j++)
			packed |= skip.v[j] == g->in.v[i];
		if (!packed)
			memory_of(b, call, g->in.v[i]);
	}
	for (int i = 0; i < g->out.n; i++)
		if (g->out.v[i]->type.kind == WQ_TENSOR)
			memory_of(b, call, g->out.v[i]);
}

/* ---- function ----------------------------------------------------------------------------------------------------- */

static void emit_body(Kg *k)
{
	const WqEmit *e = wq_emit(k->g->root->op);
	if (k->g->kind == GROUP_KERNEL && e->kernel)
		e->kernel(k, k->g->root);
	else
		kg_loop_group(k);
}

/* void <name>_task(ptr arg, i32 i, i32 n): one thread's part of a kernel whose pointers lie in arg[]. */
static void emit_task(WqBuild *b, const KgCall *call, const CgFn *kernel, int n)
{
	Cg *c = b->cg;
	CgFn *f = WQ_NEW(b->a, CgFn);
	CgType t[] = {cg_t(CG_PTR, 1), cg_t(CG_I32, 1), cg_t(CG_I32, 1)};
	CgVal arg[64];
	char *name = wq_sprintf(b->a, "%s_task", call->name);
	cg_fn_begin(c, f, name, cg_t(CG_VOID, 1), 3, t, 0, 1, 0);
	for (int i = 0; i < n; i++)
		arg[i] = cg_load(c, cg_t(CG_PTR, 1), cg_ati(c, CG_PTR, f->param[0], i), 0);
	arg[n] = cg_resize(c, f->param[1], cg_index(c), true);
	arg[n + 1] = cg_resize(c, f->param[2], cg_index(c), true);
	cg_call(c, kernel->value, n + 2, arg);
	cg_return(c, NULL);
	cg_fn_end(c);
	wq_map_put(b->kernels, name, f);
}

static CgFn *emit_function(WqBuild *b, WqGroup *g, KgCall *call)
{
	Kg k;
	kg_init(&k, b, g);
	int n = call->param.n + call->packed.n;
	bool threads = b->p->o.threads > 1;
	CgType *t = WQ_NEW_N(b->a, CgType, n + 4);
	if (n + 4 > WQ_COUNTOF(k.fn.param))
		wq_fail(WQ_EUNSUPPORTED, "%s: too many operands for one kernel (%d)", wq_op(g->root->op)->name, n);
	for (int i = 0; i < n + 2; i++)
		t[i] = cg_t(CG_PTR, 1);
	t[n + 2] = t[n + 3] = cg_t(cg_index(b->cg), 1);
	uint64_t readonly = 0;
	for (int i = 0; i < n; i++) {
		bool written = false;
		for (int j = 0; j < g->out.n && i < call->param.n; j++)
			written |= wq_base(b, g->out.v[j]) == call->param.v[i];
		readonly |= written ? 0 : (uint64_t)1 << i;
	}
	cg_fn_begin(b->cg, &k.fn, call->name, cg_t(CG_VOID, 1), n + 2 + (threads ? 2 : 0), t, ((uint64_t)1 << (n + 2)) - 1, readonly,
		    CG_NOINLINE);
	k.param = call->param;
	k.packed = call->packed;
	k.sizes = k.fn.param[n];
	k.scratch = k.fn.param[n + 1];
	if (threads) {
		k.thread = k.fn.param[n + 2];
		k.threads = k.fn.param[n + 3];
		k.scratch = cg_at(b->cg, CG_I8, k.scratch, cg_muli(b->cg, k.thread, g->scratch));
	}
	emit_body(&k);
	cg_return(b->cg, NULL);
	cg_fn_end(b->cg);
	CgFn *f = WQ_NEW(b->a, CgFn);
	*f = k.fn;
	call->shared = k.shared && !wq_emit(g->root->op)->serial;
	if (threads && call->shared)
		emit_task(b, call, f, n + 2);
	return f;
}

typedef struct Known {
	CgFn *fn;
	const char *name;
	bool shared;
} Known;

void wq_kernel(WqBuild *b, WqGroup *g, KgCall *call)
{
	*call = (KgCall){0};
	find_params(b, g, call);
	char *key = group_key(b, g, call);
	Known *known = wq_map_get(b->kernels, key);
	if (!known) {
		known = WQ_NEW(b->a, Known);
		call->name = wq_sprintf(b->a, "%s_k%d_%s", b->p->o.symbol, b->n_kernels++, wq_op(g->root->op)->name);
		known->fn = emit_function(b, g, call);
		known->name = call->name;
		known->shared = call->shared;
		wq_map_put(b->kernels, key, known);
	}
	call->fn = known->fn;
	call->name = known->name;
	call->shared = known->shared;
}
