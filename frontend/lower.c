/* lower.c: what a lowering may ask of its node. */
#include "frontend/importer.h"

/* ---- errors ----------------------------------------------------------------------------------------- */

void lo_unsupported(Lower *L, const char *fmt, ...)
{
	(void)L; /* the importer adds the node's name */
	va_list ap;
	va_start(ap, fmt);
	wq_failv(WQ_EUNSUPPORTED, fmt, ap);
}

void lo_bad(Lower *L, const char *fmt, ...)
{
	(void)L;
	va_list ap;
	va_start(ap, fmt);
	wq_failv(WQ_EINPUT, fmt, ap);
}

/* ---- operands and results ----------------------------------------------------------------------------- */

int lo_n_in(const Lower *L) { return (int)L->node->n_input; }
int lo_n_out(const Lower *L) { return (int)L->node->n_output; }

WqValue *lo_in(Lower *L, int i)
{
	if (i < 0 || i >= lo_n_in(L) || !*L->node->input[i])
		return NULL;
	WqValue *v = scope_find(L->im->scope, L->node->input[i]);
	if (!v)
		lo_bad(L, "operand %d, '%.200s', is not defined", i, L->node->input[i]);
	return v == L->im->absent ? NULL : v;
}

WqValue *lo_need(Lower *L, int i)
{
	WqValue *v = lo_in(L, i);
	if (!v)
		lo_bad(L, "operand %d is missing", i);
	return v;
}

bool lo_wants(const Lower *L, int i) { return i >= 0 && i < lo_n_out(L) && *L->node->output[i]; }

void lo_out(Lower *L, int i, WqValue *v)
{
	WQ_ASSERT(v);
	if (!lo_wants(L, i))
		return;
	const char *name = L->node->output[i];
	scope_bind(L->im, name, v);
	/* A value that was made for this node gets its ONNX name. */
	if (v->def && v->def->id >= L->im->first_id && v->def->graph == L->g)
		wq_value_rename(v, name);
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

const Onnx__AttributeProto *lo_attr(const Lower *L, const char *name)
{
	for (size_t i = 0; i < L->node->n_attribute; i++) {
		const Onnx__AttributeProto *a = L->node->attribute[i];
		if (!a->name || strcmp(a->name, name))
			continue;
		if (!a->ref_attr_name || !*a->ref_attr_name)
			return a;
		return L->im->frame->attrs ? wq_map_get(L->im->frame->attrs, a->ref_attr_name) : NULL;
	}
	return NULL;
}

/* The attribute if it has the type asked for; `present` is how files without the type field (IR version 1) show it. */
#define FIND(L, name, TYPE, present)                                                                                   \
	const Onnx__AttributeProto *a = lo_attr(L, name);                                                              \
	if (a &&                                                                                                       \
	    !((a->has_type && a->type) ? (int)a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##TYPE : !!(present))) \
		wq_fail(WQ_EINPUT, "attribute '%s' is of another type than " #TYPE, name);

bool lo_has(const Lower *L, const char *attr) { return lo_attr(L, attr); }

int64_t lo_i(const Lower *L, const char *attr, int64_t otherwise)
{
	FIND(L, attr, INT, a->has_i);
	return a ? a->i : otherwise;
}

double lo_f(const Lower *L, const char *attr, double otherwise)
{
	FIND(L, attr, FLOAT, a->has_f);
	return a ? (double)a->f : otherwise;
}

static const char *arena_string(Lower *L, const ProtobufCBinaryData *s)
{
	return wq_strndup(L->m->arena, s->data ? (const char *)s->data : "", s->len);
}

const char *lo_s(Lower *L, const char *attr, const char *otherwise)
{
	FIND(L, attr, STRING, a->has_s);
	return a ? arena_string(L, &a->s) : otherwise;
}

const int64_t *lo_ints(const Lower *L, const char *attr, int *n)
{
	static const int64_t empty[1];
	FIND(L, attr, INTS, a->n_ints);
	*n = a ? (int)a->n_ints : 0;
	return !a ? NULL : a->n_ints ? a->ints : empty;
}

const float *lo_floats(const Lower *L, const char *attr, int *n)
{
	static const float empty[1];
	FIND(L, attr, FLOATS, a->n_floats);
	*n = a ? (int)a->n_floats : 0;
	return !a ? NULL : a->n_floats ? a->floats : empty;
}

const char **lo_strings(Lower *L, const char *attr, int *n)
{
	FIND(L, attr, STRINGS, a->n_strings);
	*n = a ? (int)a->n_strings : 0;
	if (!a)
		return NULL;
	const char **s = WQ_NEW_N(L->m->arena, const char *, a->n_strings);
	for (size_t i = 0; i < a->n_strings; i++)
		s[i] = arena_string(L, &a->strings[i]);
	return s;
}

WqValue *lo_tensor(Lower *L, const char *attr)
{
	FIND(L, attr, TENSOR, a->t);
	if (!a)
		return NULL;
	if (!a->t)
		lo_bad(L, "attribute '%s' has no tensor", attr);
	return import_tensor(L->im, NULL, a->t);
}

WqDtype lo_dtype(Lower *L, const char *attr, WqDtype otherwise)
{
	if (!lo_has(L, attr))
		return otherwise;
	int64_t t = lo_i(L, attr, 0);
	if (t < 0 || t > INT32_MAX || !wq_dtype_valid((int)t))
		lo_bad(L, "attribute '%s' is %lld, which is no element type", attr, (long long)t);
	return (WqDtype)t;
}

bool lo_type(Lower *L, const char *attr, WqType *t)
{
	FIND(L, attr, TYPE_PROTO, a->tp);
	return a && import_type(L->im, a->tp, attr, t);
}

/* ---- nested graphs ---------------------------------------------------------------------------------------- */

const Onnx__GraphProto *lo_graph_proto(Lower *L, const char *attr)
{
	FIND(L, attr, GRAPH, a->g);
	if (!a || !a->g)
		lo_bad(L, "attribute '%s' is missing", attr);
	return a->g;
}

WqGraph *lo_graph(Lower *L, const char *attr)
{
	Importer *im = L->im;
	const Onnx__GraphProto *gp = lo_graph_proto(L, attr);
	if (gp->n_input)
		lo_bad(L, "'%s' has %zu inputs instead of none", attr, gp->n_input);
	WqGraph *g = wq_graph_new(L->g);
	Scope *outer = im->scope, inner;
	import_deeper(im);
	scope_push(im, &inner, outer, g);
	WqValue **out = WQ_NEW_N(im->tmp, WqValue *, gp->n_output);
	import_graph_body(im, gp, out);
	for (size_t i = 0; i < gp->n_output; i++)
		wq_output(g, gp->output[i]->name, out[i]);
	im->scope = outer;
	im->depth--;
	return g;
}
