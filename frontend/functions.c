/* functions.c: model-local functions. A call is expanded in place: the body's names live in a scope of their own, its
 * operators mean what the function's own opset imports say, and attribute references are resolved through the frame.
 */
#include "frontend/importer.h"

static const char *function_key(Importer *im, const char *domain, const char *name, const char *overload)
{
	return wq_sprintf(im->tmp, "%s\1%s\1%s", node_domain(domain), name ? name : "", overload ? overload : "");
}

void functions_collect(Importer *im)
{
	const Onnx__ModelProto *p = im->model->proto;
	im->functions = wq_map_new(im->tmp);
	for (size_t i = 0; i < p->n_functions; i++) {
		Onnx__FunctionProto *f = p->functions[i];
		const char *key = function_key(im, f->domain, f->name, f->overload);
		if (!f->name || !*f->name)
			wq_fail(WQ_EINPUT, "model-local function %zu has no name", i);
		if (wq_map_get(im->functions, key))
			wq_fail(WQ_EINPUT, "model-local function '%.200s' is defined twice", f->name);
		wq_map_put(im->functions, key, f);
	}
}

const Onnx__FunctionProto *function_find(Importer *im, const Onnx__NodeProto *n)
{
	if (!wq_map_len(im->functions))
		return NULL;
	return wq_map_get(im->functions, function_key(im, n->domain, n->op_type, n->overload));
}

WqMap *opsets_collect(Importer *im, size_t n, Onnx__OperatorSetIdProto *const *imports, const char *whose)
{
	WqMap *m = wq_map_new(im->tmp);
	for (size_t i = 0; i < n; i++) {
		const char *domain = node_domain(imports[i]->domain);
		int64_t v = imports[i]->version;
		const char *shown = *domain ? domain : "ai.onnx";
		if (v < 1)
			wq_fail(WQ_EINPUT, "%s imports version %lld of opset %.100s", whose, (long long)v, shown);
		if (!*domain && v > WQ_MAX_OPSET)
			wq_fail(WQ_EUNSUPPORTED,
				"%s imports version %lld of opset ai.onnx: the newest known here is %d", whose,
				(long long)v, WQ_MAX_OPSET);
		OnnxOpset *o = wq_map_get(m, domain);
		if (o && o->version != v)
			wq_fail(WQ_EINPUT, "%s imports both version %lld and %lld of opset %.100s", whose,
				(long long)o->version, (long long)v, shown);
		o = WQ_NEW(im->tmp, OnnxOpset);
		o->version = v;
		wq_map_put(m, domain, o);
	}
	return m;
}

static void refuse_recursion(Importer *im, const Onnx__FunctionProto *fn)
{
	for (const Frame *f = im->frame; f; f = f->up) {
		if (f->fn != fn)
			continue;
		WqStr b = { .a = im->tmp };
		for (const Frame *k = im->frame; k != f->up; k = k->up)
			wq_str_printf(&b, "'%.100s', called by ", k->fn->name);
		wq_fail(WQ_EINPUT, "function '%.100s' calls itself: it is called by %s the graph", fn->name, b.s);
	}
}

/* What the body's attribute references mean: the call's attributes (which may be references themselves), then the
 * defaults. */
static WqMap *bind_attributes(Lower *L, const Onnx__FunctionProto *fn)
{
	WqMap *m = wq_map_new(L->im->tmp);
	for (size_t i = 0; i < fn->n_attribute_proto; i++)
		if (fn->attribute_proto[i]->name)
			wq_map_put(m, fn->attribute_proto[i]->name, fn->attribute_proto[i]);
	for (size_t i = 0; i < L->node->n_attribute; i++) {
		const char *name = L->node->attribute[i]->name;
		const Onnx__AttributeProto *a = name ? lo_attr(L, name) : NULL;
		if (a)
			wq_map_put(m, name, (void *)(uintptr_t)a);
	}
	return m;
}

static void bind_inputs(Lower *L, const Onnx__FunctionProto *fn, const Scope *caller)
{
	Importer *im = L->im;
	for (size_t i = 0; i < fn->n_input; i++) {
		if (wq_map_get(im->scope->values, fn->input[i]))
			wq_fail(WQ_EINPUT, "function '%.100s' has two inputs '%.100s'", fn->name, fn->input[i]);
		WqValue *v = im->absent;
		if (i < L->node->n_input && *L->node->input[i]) {
			v = scope_find(caller, L->node->input[i]);
			if (!v)
				lo_bad(L, "operand %zu, '%.200s', is not defined", i, L->node->input[i]);
		}
		scope_bind(im, fn->input[i], v);
	}
}

void function_expand(Lower *L, const Onnx__FunctionProto *fn)
{
	Importer *im = L->im;
	const char *whose = wq_sprintf(im->tmp, "function '%.100s'", fn->name);
	refuse_recursion(im, fn);
	if (L->node->n_input > fn->n_input || L->node->n_output > fn->n_output)
		lo_bad(L, "%zu operands and %zu results, but the function has %zu and %zu", L->node->n_input,
		       L->node->n_output, fn->n_input, fn->n_output);
	Frame *caller = im->frame;
	Scope *outer = im->scope, inner;
	Frame frame = { caller, fn, NULL, bind_attributes(L, fn) };
	frame.opsets =
		fn->n_opset_import ? opsets_collect(im, fn->n_opset_import, fn->opset_import, whose) : caller->opsets;
	import_deeper(im);
	scope_push(im, &inner, NULL, outer->g);
	bind_inputs(L, fn, outer);
	im->frame = &frame;
	import_nodes(im, fn->n_node, fn->node);
	im->frame = caller;
	im->scope = outer;
	im->depth--;
	for (size_t i = 0; i < L->node->n_output; i++) {
		if (!*L->node->output[i])
			continue;
		WqValue *v = scope_find(&inner, fn->output[i]);
		if (!v)
			wq_fail(WQ_EINPUT, "result '%.200s' of function '%.100s' is not defined in it", fn->output[i],
				fn->name);
		lo_out(L, (int)i, v);
	}
}
