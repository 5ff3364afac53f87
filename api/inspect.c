/* inspect.c: what is in a model, as text and as JSON. */
#include "api/api.h"

#include <stdlib.h>

typedef struct OpCount {
	const char *name;
	int n;
	WqDim macs;
} OpCount;

typedef struct Weight {
	const WqValue *v;
	int64_t bytes;
} Weight;

typedef struct Facts {
	WqModule *m;
	WqArena *a;
	OpCount op[WQ_NUM_OPS];
	WqDim macs;
	int nodes;
	WqMap *seen;
	WQ_VEC(Weight) weights;
	int64_t params, weight_bytes;
} Facts;

/* Multiply-adds of a node: the products that a straightforward implementation makes. */
static WqDim macs_of(WqModule *m, const WqNode *n)
{
	const WqType *a = n->n_in > 0 && n->in[0] ? &n->in[0]->type : NULL;
	const WqType *b = n->n_in > 1 && n->in[1] ? &n->in[1]->type : NULL;
	const WqType *y = n->n_out > 0 && n->out[0] ? &n->out[0]->type : NULL;
	if (!a || !b || !y || a->rank < 1 || b->rank < 1 || y->rank < 0)
		return 0;
	switch (n->op) {
	case OP_MatMul:
		return wq_dim_mul(m, wq_type_count(m, y), a->dim[a->rank - 1]);
	case OP_Conv:
	case OP_DeformConv: { /* each output point sees one filter: b is [M, C/group, k...] */
		WqDim k = 1;
		for (int i = 1; i < b->rank; i++)
			k = wq_dim_mul(m, k, b->dim[i]);
		return wq_dim_mul(m, wq_type_count(m, y), k);
	}
	case OP_ConvTranspose: { /* each input point meets one filter: b is [C, M/group, k...] */
		WqDim k = 1;
		for (int i = 1; i < b->rank; i++)
			k = wq_dim_mul(m, k, b->dim[i]);
		return wq_dim_mul(m, wq_type_count(m, a), k);
	}
	case OP_Attention: { /* q k' and p v */
		const WqType *v = &n->in[2]->type;
		if (a->rank != 4 || b->rank != 4 || v->rank != 4)
			return 0;
		WqDim pairs = wq_dim_mul(m, wq_dim_mul(m, a->dim[0], a->dim[1]), wq_dim_mul(m, a->dim[2], b->dim[2]));
		return wq_dim_mul(m, pairs, wq_dim_add(m, a->dim[3], v->dim[3]));
	}
	default:
		return 0;
	}
}

static void see_const(Facts *f, const WqValue *v)
{
	if (!v || !v->data || wq_map_get(f->seen, v->name))
		return;
	wq_map_put(f->seen, v->name, (void *)(uintptr_t)v);
	int64_t n = wq_tensor_count(v->data), bytes = (int64_t)wq_packed_bytes(v->data->dtype, n);
	f->params += n;
	f->weight_bytes += bytes;
	WQ_PUSH(f->a, f->weights, ((Weight){ v, bytes }));
}

static void see_graph(Facts *f, const WqGraph *g)
{
	WQ_FOR_NODES(n, g) {
		OpCount *c = &f->op[n->op];
		WqDim macs = macs_of(f->m, n);
		c->name = wq_op(n->op)->name;
		c->n++;
		c->macs = wq_dim_add(f->m, c->macs, macs);
		f->macs = wq_dim_add(f->m, f->macs, macs);
		f->nodes++;
		for (int i = 0; i < n->n_in; i++)
			see_const(f, n->in[i]);
		for (int i = 0; i < n->n_body; i++)
			see_graph(f, n->body[i]);
	}
	for (int i = 0; i < g->outputs.n; i++)
		see_const(f, g->outputs.v[i].value);
}

static int by_count(const void *a, const void *b)
{
	const OpCount *x = a, *y = b;
	return x->n != y->n ? y->n - x->n : strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

static int by_bytes(const void *a, const void *b)
{
	const Weight *x = a, *y = b;
	return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : strcmp(x->v->name, y->v->name);
}

static void collect(Facts *f, WqModule *m, WqArena *a)
{
	*f = (Facts){ .m = m, .a = a, .seen = wq_map_new(a) };
	see_graph(f, m->main);
	qsort(f->op, WQ_NUM_OPS, sizeof *f->op, by_count);
	if (f->weights.n)
		qsort(f->weights.v, (size_t)f->weights.n, sizeof *f->weights.v, by_bytes);
}

static const char *dim_text(const Facts *f, WqDim d)
{
	WqStr s = { .a = f->a };
	wq_dim_print(f->m, d, &s);
	return s.s;
}

static const char *type_text(const Facts *f, const WqType *t)
{
	WqStr s = { .a = f->a };
	wq_type_print(f->m, t, &s);
	return s.s;
}

static const char *weight_name(const Weight *w) { return w->v->origin.initializer ? w->v->origin.initializer : w->v->name; }

static void ports_text(const Facts *f, WqStr *out)
{
	const WqGraph *g = f->m->main;
	for (int i = 0; i < g->inputs.n; i++)
		wq_str_printf(out, "  input   %s: %s\n", g->inputs.v[i]->name, type_text(f, &g->inputs.v[i]->type));
	for (int i = 0; i < g->outputs.n; i++)
		wq_str_printf(out, "  output  %s: %s\n", g->outputs.v[i].name, type_text(f, &g->outputs.v[i].value->type));
}

void inspect_text(const wqcc_model *m, WqStr *out)
{
	enum { SHOWN = 20 };
	Facts f;
	collect(&f, m->module, out->a);
	wq_str_printf(out, "%s\n", m->module->name);
	ports_text(&f, out);
	wq_str_printf(out, "  %d operators, %lld parameters, %lld bytes of weights, %s multiply-adds\n\n", f.nodes, (long long)f.params,
		      (long long)f.weight_bytes, dim_text(&f, f.macs));
	wq_str_printf(out, "%8s  %-24s %s\n", "count", "operator", "multiply-adds");
	for (int i = 0; i < WQ_NUM_OPS && f.op[i].n; i++)
		wq_str_printf(out, "%8d  %-24s %s\n", f.op[i].n, f.op[i].name, f.op[i].macs ? dim_text(&f, f.op[i].macs) : "");
	wq_str_printf(out, "\n%12s  weight\n", "bytes");
	for (int i = 0; i < f.weights.n && i < SHOWN; i++)
		wq_str_printf(out, "%12lld  %s: %s\n", (long long)f.weights.v[i].bytes, weight_name(&f.weights.v[i]),
			      type_text(&f, &f.weights.v[i].v->type));
	if (f.weights.n > SHOWN)
		wq_str_printf(out, "%12s  and %d smaller ones (--json lists all)\n", "", f.weights.n - SHOWN);
}

static void port_json(Json *j, const Facts *f, const char *name, const WqType *t)
{
	json_begin(j, NULL, '{');
	json_str(j, "name", name);
	json_str(j, "type", type_text(f, t));
	json_end(j, '}');
}

void inspect_json(const wqcc_model *m, WqStr *out)
{
	Facts f;
	collect(&f, m->module, out->a);
	const WqGraph *g = m->module->main;
	Json j = { .out = out };
	json_begin(&j, NULL, '{');
	json_int(&j, "inspection_version", 1);
	json_str(&j, "model", m->module->name);
	json_begin(&j, "inputs", '[');
	for (int i = 0; i < g->inputs.n; i++)
		port_json(&j, &f, g->inputs.v[i]->name, &g->inputs.v[i]->type);
	json_end(&j, ']');
	json_begin(&j, "outputs", '[');
	for (int i = 0; i < g->outputs.n; i++)
		port_json(&j, &f, g->outputs.v[i].name, &g->outputs.v[i].value->type);
	json_end(&j, ']');
	json_int(&j, "operators", f.nodes);
	json_int(&j, "parameters", f.params);
	json_int(&j, "weight_bytes", f.weight_bytes);
	json_str(&j, "macs", dim_text(&f, f.macs));
	json_begin(&j, "ops", '[');
	for (int i = 0; i < WQ_NUM_OPS && f.op[i].n; i++) {
		json_begin(&j, NULL, '{');
		json_str(&j, "op", f.op[i].name);
		json_int(&j, "count", f.op[i].n);
		json_str(&j, "macs", dim_text(&f, f.op[i].macs));
		json_end(&j, '}');
	}
	json_end(&j, ']');
	json_begin(&j, "weights", '[');
	for (int i = 0; i < f.weights.n; i++) {
		json_begin(&j, NULL, '{');
		json_str(&j, "name", weight_name(&f.weights.v[i]));
		json_str(&j, "type", type_text(&f, &f.weights.v[i].v->type));
		json_int(&j, "bytes", f.weights.v[i].bytes);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	json_begin(&j, "unsupported", '[');
	json_end(&j, ']');
	json_end(&j, '}');
}
