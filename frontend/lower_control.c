/* lower_control.c: If and Loop. Nested graphs use outer values directly, so that captured values need nothing. */
#include "frontend/loop.h"

void graph_inline(Lower *L, const Onnx__GraphProto *gp, int n_in, WqValue *const *in, WqValue **out)
{
	Importer *im = L->im;
	Scope *outer = im->scope, inner;
	if (gp->n_input != (size_t)n_in)
		lo_bad(L, "a nested graph has %zu inputs instead of %d", gp->n_input, n_in);
	import_deeper(im);
	scope_push(im, &inner, outer, L->g);
	for (int i = 0; i < n_in; i++)
		scope_bind(im, gp->input[i]->name ? gp->input[i]->name : "", in[i]);
	import_graph_body(im, gp, out);
	im->scope = outer;
	im->depth--;
}

/* ---- If --------------------------------------------------------------------------------------------- */

static void inline_branch(Lower *L, const char *attr)
{
	const Onnx__GraphProto *gp = lo_graph_proto(L, attr);
	WqValue **out = WQ_NEW_N(L->im->tmp, WqValue *, gp->n_output);
	graph_inline(L, gp, 0, NULL, out);
	if ((size_t)lo_n_out(L) > gp->n_output)
		lo_bad(L, "'%s' has %zu outputs for %d results", attr, gp->n_output, lo_n_out(L));
	for (int i = 0; i < lo_n_out(L); i++)
		lo_out(L, i, out[i]);
}

void lower_If(Lower *L)
{
	WqValue *cond = lo_need(L, 0);
	double known;
	if (lo_const_scalar(L, cond, &known)) {
		inline_branch(L, known != 0 ? "then_branch" : "else_branch");
		return;
	}
	WqGraph *yes = lo_graph(L, "then_branch"), *no = lo_graph(L, "else_branch");
	int n = lo_n_out(L);
	if (yes->outputs.n < n || no->outputs.n < n)
		lo_bad(L, "the branches have %d and %d outputs for %d results", yes->outputs.n, no->outputs.n, n);
	WqNode *node = lo_node(L, OP_If, 1, lo_scalar_of(L, cond));
	wq_node_add_body(node, yes);
	wq_node_add_body(node, no);
	wq_node_finish(node, n, NULL);
	for (int i = 0; i < n; i++)
		lo_out(L, i, node->out[i]);
}

/* ---- carried types ------------------------------------------------------------------------------------- */

/* What a carried value is at the start of every iteration, as far as known. A dimension that was found to change has a
 * symbol of its own, which stands for any size. */
typedef struct Carried {
	WqType t;
	bool any[WQ_MAX_RANK];
	bool bare; /* an optional of which the body makes an element: comes out as the element */
} Carried;

WqType type_of_elements(Lower *L, const WqType *t)
{
	WqType r = *t;
	if (t->kind != WQ_TENSOR) {
		WqType elem = type_of_elements(L, t->elem);
		return wq_type_wrap(L->m, t->kind, &elem);
	}
	for (int i = 0; i < t->rank; i++)
		if (!wq_dim_static(t->dim[i]))
			r.dim[i] = WQ_DIM_UNKNOWN;
	return r;
}

/* The type of elements of both types. */
static WqType join_elements(Lower *L, const WqType *a, const WqType *b)
{
	WqType t = type_of_elements(L, a);
	if (a->kind != b->kind || a->dtype != b->dtype)
		lo_bad(L, "a value carried from one iteration to the next changes its type");
	if (a->kind != WQ_TENSOR) {
		WqType elem = join_elements(L, a->elem, b->elem);
		return wq_type_wrap(L->m, a->kind, &elem);
	}
	if (a->rank != b->rank)
		return wq_type_tensor(a->dtype, -1, NULL);
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			t.dim[i] = WQ_DIM_UNKNOWN;
	return t;
}

/* Makes c wide enough for a value of type t too; false if it was already. */
static bool widen(Lower *L, Carried *c, const WqType *t)
{
	if (c->t.kind != t->kind || c->t.dtype != t->dtype)
		lo_bad(L, "a value carried from one iteration to the next changes its type");
	if (t->kind != WQ_TENSOR) {
		WqType elem = join_elements(L, c->t.elem, t->elem), joined = wq_type_wrap(L->m, t->kind, &elem);
		bool same = wq_type_equal(&joined, &c->t);
		c->t = joined;
		return !same;
	}
	if (c->t.rank < 0)
		return false;
	if (c->t.rank != t->rank) {
		c->t = wq_type_tensor(t->dtype, -1, NULL);
		return true;
	}
	bool changed = false;
	for (int i = 0; i < t->rank; i++)
		if (!c->any[i] && c->t.dim[i] != t->dim[i]) {
			c->any[i] = changed = true;
			c->t.dim[i] = wq_dim_fresh(L->m, "u", 0, WQ_DIM_INF);
		}
	return changed;
}

/* An empty sequence tells nothing of its elements, but what the body inserts does: so that the elements' rank is known.
 * Follows the insertions from `out` back to the body's input `in`; false if they do not lead there. */
static bool inserted_type(Lower *L, const WqValue *in, const WqValue *out, WqType *elem)
{
	bool any = false;
	for (; out != in; out = out->def->in[0]) {
		if (!out->def || out->def->op != OP_SequenceInsert || !out->def->in[1])
			return false;
		WqType t = type_of_elements(L, &out->def->in[1]->type);
		*elem = any ? join_elements(L, elem, &t) : t;
		any = true;
	}
	return any;
}

/* ---- Loop ------------------------------------------------------------------------------------------------- */

static WqGraph *body_import(LoopBody *b, Carried *c)
{
	Lower in = *b->L;
	Importer *im = b->L->im;
	Scope *outer = im->scope, inner;
	size_t n_out = b->gp->n_output, first = b->has_cond;
	WqGraph *g = in.g = wq_graph_new(b->L->g);
	WqValue **carried = WQ_NEW_N(im->tmp, WqValue *, b->n_carried), **out = WQ_NEW_N(im->tmp, WqValue *, n_out);
	WqValue *i = wq_input(g, "iteration", &b->i_type), *cond = wq_input(g, "go", &b->cond_type);
	import_deeper(im);
	scope_push(im, &inner, outer, g);
	for (int k = 0; k < b->n_carried; k++)
		carried[k] = wq_input(g, NULL, &c[k].t);
	b->bind(b, &in, i, cond, carried);
	import_graph_body(im, b->gp, out);
	wq_output(g, "go", first ? out[0] : cond);
	for (size_t k = first; k < n_out; k++) {
		WqValue *v = out[k];
		Carried *state = k - first < (size_t)b->n_carried ? &c[k - first] : NULL;
		if (state && state->t.kind == WQ_OPTIONAL && v->type.kind != WQ_OPTIONAL) {
			state->bare = true;
			v = lo1(&in, OP_Optional, v);
		}
		wq_output(g, b->gp->output[k]->name, v);
	}
	im->scope = outer;
	im->depth--;
	return g;
}

/* Takes a body away that is to be imported again. */
static void body_discard(WqGraph *g)
{
	while (g->outputs.n)
		wq_output_drop(g, g->outputs.n - 1);
	while (g->last)
		wq_node_remove(g->last);
	for (int i = 0; i < g->inputs.n; i++)
		wq_map_put(g->mod->values, g->inputs.v[i]->name, NULL);
}

static bool widen_all(LoopBody *b, const WqGraph *g, Carried *c, WqValue **in)
{
	bool changed = false;
	for (int k = 0; k < b->n_carried; k++) {
		const WqValue *v = g->outputs.v[1 + k].value;
		WqValue *const *none;
		int n;
		WqType elem;
		if (sequence_known(in[2 + k], &n, &none) && n == 0 && c[k].t.elem->kind == WQ_TENSOR &&
		    c[k].t.elem->rank < 0 && inserted_type(b->L, g->inputs.v[2 + k], v, &elem) && elem.rank >= 0 &&
		    elem.dtype == c[k].t.elem->dtype) {
			in[2 + k] = sequence_make(b->L, 0, NULL, &elem);
			c[k] = (Carried){ .t = in[2 + k]->type };
			changed = true;
		} else {
			changed |= widen(b->L, &c[k], &v->type);
		}
	}
	return changed;
}

WqValue **loop_make(LoopBody *b, WqValue **in)
{
	Lower *L = b->L;
	int n = b->n_carried, n_out = b->n_out = (int)b->gp->n_output - b->has_cond;
	Carried *c = WQ_NEW_N(L->im->tmp, Carried, n);
	if (n_out < n)
		lo_bad(L, "the body has %d outputs for %d carried values", n_out, n);
	for (int k = 0; k < n; k++)
		c[k].t = in[2 + k]->type;
	WqGraph *g = body_import(b, c);
	while (widen_all(b, g, c, in)) {
		body_discard(g);
		g = body_import(b, c);
	}
	WqNode *node = wq_node_new(L->g, OP_Loop, 2 + n, in);
	wq_node_add_body(node, g);
	wq_node_finish(node, n_out, NULL);
	WqValue **out = WQ_NEW_N(L->im->tmp, WqValue *, n_out);
	for (int k = 0; k < n_out; k++)
		out[k] = k < n && c[k].bare ? lo1(L, OP_OptionalGetElement, node->out[k]) : node->out[k];
	return out;
}

static void bind_loop(LoopBody *b, Lower *in, WqValue *i, WqValue *cond, WqValue *const *carried)
{
	const Onnx__GraphProto *gp = b->gp;
	for (size_t k = 0; k < gp->n_input; k++) {
		WqValue *v = k == 0 ? i : k == 1 ? cond : carried[k - 2];
		scope_bind(in->im, gp->input[k]->name ? gp->input[k]->name : "", v);
	}
}

/* The iteration number and the condition are scalars, unless the body is declared to take vectors of one element. */
static WqType scalar_type(const Onnx__ValueInfoProto *v, WqDtype t)
{
	const Onnx__TypeProto *p = v->type;
	bool vector = p && p->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && p->tensor_type->shape &&
		p->tensor_type->shape->n_dim == 1;
	return wq_type_tensor(t, vector, (WqDim[]){ 1 });
}

void lower_Loop(Lower *L)
{
	const Onnx__GraphProto *gp = lo_graph_proto(L, "body");
	int n = lo_n_in(L) > 2 ? lo_n_in(L) - 2 : 0;
	LoopBody b = { .L = L, .gp = gp, .n_carried = n, .has_cond = true, .bind = bind_loop };
	if (gp->n_input != (size_t)n + 2 || gp->n_output < (size_t)n + 1)
		lo_bad(L, "the body has %zu inputs and %zu outputs for %d carried values", gp->n_input, gp->n_output,
		       n);
	b.i_type = scalar_type(gp->input[0], WQ_I64);
	b.cond_type = scalar_type(gp->input[1], WQ_BOOL);
	WqValue **in = WQ_NEW_N(L->im->tmp, WqValue *, n + 2);
	for (int i = 0; i < n + 2; i++)
		in[i] = i < 2 ? lo_in(L, i) : lo_need(L, i);
	WqValue **out = loop_make(&b, in);
	if (b.n_out < lo_n_out(L))
		lo_bad(L, "the body gives %d results instead of %d", b.n_out, lo_n_out(L));
	for (int i = 0; i < lo_n_out(L); i++)
		lo_out(L, i, out[i]);
}
