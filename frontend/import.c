/* import.c: a ModelProto becomes a module of core operators, node by node in an order in which they can run.
 *
 * A node that is refused (WQ_EUNSUPPORTED) gives poison: what needs it is skipped, and the import ends with the list of
 * all refusals. Every other error ends the import at once, with the chain of nodes it happened in.
 *
 * An initializer that is also a graph input (IR version 3 and before) is a constant, unless the caller gives a type or
 * a value for that input.
 */
#include "frontend/importer.h"

/* ---- refusals --------------------------------------------------------------------------------------- */

void import_report(Importer *im, const Onnx__NodeProto *n, const char *what)
{
	Unsupported *u = wq_map_get(im->unsupported, what);
	if (!u) {
		u = WQ_NEW(im->tmp, Unsupported);
		u->what = what;
		u->seen = wq_map_new(im->tmp);
		wq_map_put(im->unsupported, what, u);
	}
	const char *key = wq_sprintf(im->tmp, "%p", (const void *)n);
	if (wq_map_get(u->seen, key))
		return;
	wq_map_put(u->seen, key, u);
	WQ_PUSH(im->tmp, u->nodes, node_name(im, n));
}

WQ_NORETURN static void fail_unsupported(Importer *im)
{
	enum { NAMED = 5 };
	WqStr b = { .a = im->tmp };
	int n = wq_map_len(im->unsupported);
	wq_str_printf(&b, "%d unsupported operator%s:", n, n == 1 ? "" : "s");
	for (int i = 0; i < n; i++) {
		const Unsupported *u = wq_map_at(im->unsupported, i, NULL);
		wq_str_printf(&b, "\n  %s:", u->what);
		for (int k = 0; k < u->nodes.n && k < NAMED; k++)
			wq_str_printf(&b, "%s %s", k ? "," : "", u->nodes.v[k]);
		if (u->nodes.n > NAMED)
			wq_str_printf(&b, " and %d more", u->nodes.n - NAMED);
	}
	wq_fail(WQ_EUNSUPPORTED, "%s", b.s);
}

/* The operator's rules under the current opsets, or why there are none. */
static const OnnxOp *resolve(Importer *im, const Onnx__NodeProto *n, int *version, const char **why)
{
	const char *domain = node_domain(n->domain);
	const OnnxOpset *set = wq_map_get(im->frame->opsets, domain);
	const OnnxOp *def = onnx_op_find(domain, n->op_type);
	const char *shown = *domain ? domain : "ai.onnx";
	*why = NULL;
	*version = 0;
	if (!set)
		wq_fail(WQ_EINPUT, "%s: the %s imports no opset of domain '%.100s'", node_label(im, n),
			im->frame->fn ? "function" : "model", shown);
	const int *v = def ? def->versions : NULL;
	for (int i = 0; v && i < WQ_COUNTOF(def->versions) && v[i] && v[i] <= set->version; i++)
		*version = v[i];
	if (!def)
		*why = wq_sprintf(im->tmp, "%.100s.%.100s (not known)", shown, n->op_type);
	else if (!def->lower)
		*why = wq_sprintf(im->tmp, "%s.%s (%s)", shown, n->op_type, def->why ? def->why : "not implemented");
	else if (!*version)
		*why = wq_sprintf(im->tmp, "%s.%s (is of opset %d, but %lld is imported)", shown, n->op_type,
				  def->versions[0], (long long)set->version);
	return def;
}

/* Refusals inside a nested graph that is not imported, as its node is poisoned. */
static void report_nested(Importer *im, const Onnx__GraphProto *g, int depth)
{
	if (!g || depth > WQ_MAX_DEPTH)
		return;
	for (size_t i = 0; i < g->n_node; i++) {
		const Onnx__NodeProto *n = g->node[i];
		int version;
		const char *why;
		if (!n->op_type || !*n->op_type)
			continue;
		resolve(im, n, &version, &why);
		if (why && !function_find(im, n))
			import_report(im, n, why);
		for (size_t k = 0; k < n->n_attribute; k++)
			report_nested(im, n->attribute[k]->g, depth + 1);
	}
}

/* ---- nodes ------------------------------------------------------------------------------------------- */

void import_deeper(Importer *im)
{
	if (++im->depth > WQ_MAX_DEPTH)
		wq_fail(WQ_EINPUT, "graphs and function calls are nested deeper than %d", WQ_MAX_DEPTH);
}

static bool poisoned(Importer *im, const Onnx__NodeProto *n)
{
	for (size_t i = 0; i < n->n_input; i++)
		if (scope_find(im->scope, n->input[i]) == im->poison)
			return true;
	return false;
}

static void poison_results(Importer *im, const Onnx__NodeProto *n)
{
	for (size_t i = 0; i < n->n_output; i++)
		if (*n->output[i])
			scope_bind(im, n->output[i], im->poison);
}

/* Most operators take tensors only: their lowerings need not ask. */
static void check_kinds(Lower *L)
{
	static const char *const others[] = { "Identity", "If", "Loop", "SequenceAt", "SequenceConstruct",
		"SequenceInsert", "SequenceErase", "SequenceLength", "SequenceMap", "ConcatFromSequence", "Optional",
		"OptionalHasElement", "OptionalGetElement" };
	for (int i = 0; i < lo_n_in(L); i++) {
		const WqValue *v = lo_in(L, i);
		bool ok = !v || v->type.kind == WQ_TENSOR;
		for (int k = 0; !ok && k < WQ_COUNTOF(others); k++)
			ok = !strcmp(L->op, others[k]);
		if (!ok)
			lo_bad(L, "operand %d, '%.200s', is %s", i, v->name,
			       v->type.kind == WQ_SEQUENCE ? "a sequence" : "an optional");
	}
}

static void lower_node(Importer *im, const Onnx__NodeProto *n)
{
	int version;
	const char *why;
	if (!n->op_type || !*n->op_type)
		wq_fail(WQ_EINPUT, "the node has no operator type");
	if (++im->n_nodes > im->max_nodes)
		wq_fail(WQ_EINPUT, "the model expands to more than %lld nodes", (long long)im->max_nodes);
	const OnnxOp *def = resolve(im, n, &version, &why);
	Lower L = { im, im->scope->g, im->m, n, n->op_type, version, def };
	if (why) {
		const Onnx__FunctionProto *fn = function_find(im, n);
		if (fn) {
			function_expand(&L, fn);
			return;
		}
		import_report(im, n, why);
	}
	if (why || poisoned(im, n)) {
		for (size_t k = 0; k < n->n_attribute; k++)
			report_nested(im, n->attribute[k]->g, 0);
		poison_results(im, n);
		return;
	}
	check_kinds(&L);
	def->lower(&L);
	for (size_t i = 0; i < n->n_output; i++)
		if (*n->output[i] && !wq_map_get(im->scope->values, n->output[i]))
			wq_fail(WQ_EINPUT, "%s-%d has no result %zu", n->op_type, version, i);
}

/* How core nodes name the ONNX node that they come from. */
static const char *where_of(const Onnx__NodeProto *n)
{
	return n->name && *n->name ? n->name : n->n_output ? n->output[0] : "";
}

static void node_failed(Importer *im, const Onnx__NodeProto *n, const WqError *e)
{
	if (e->code == WQ_EUNSUPPORTED) {
		if (*e->text)
			import_report(im, n, wq_sprintf(im->tmp, "%.100s (%s)", n->op_type, e->text));
		poison_results(im, n);
		return;
	}
	if (e->code == WQ_ENOMEM)
		wq_fail(e->code, "%s", e->text);
	/* A shape rule has named the node already: by where, and by the core operator, which may be another than the
	 * model's. */
	const char *named = wq_sprintf(im->tmp, "node '%s' (", where_of(n));
	bool again = !strncmp(e->text, named, strlen(named));
	const char *rest = again ? strstr(e->text, "): ") : NULL;
	wq_fail(e->code, "%s: %s", node_label(im, n), rest ? rest + 3 : e->text);
}

static void import_node(Importer *im, const Onnx__NodeProto *n)
{
	Frame *const frame = im->frame;
	Scope *const scope = im->scope;
	const int depth = im->depth;
	const unsigned first_id = im->first_id;
	const char *const where = im->m->where;
	WqTry t;
	im->first_id = im->m->next_id;
	im->m->where = wq_strdup(im->m->arena, where_of(n));
	if (WQ_TRY(&t)) {
		lower_node(im, n);
		wq_try_end(&t);
	} else {
		im->frame = frame;
		im->scope = scope;
		im->depth = depth;
		im->m->where = where;
		node_failed(im, n, &t.err);
	}
	im->first_id = first_id;
	im->m->where = where;
}

void import_nodes(Importer *im, size_t n, Onnx__NodeProto *const *nodes)
{
	int *order = import_order(im, n, nodes);
	for (size_t i = 0; i < n; i++)
		import_node(im, nodes[order[i]]);
}

void import_graph_body(Importer *im, const Onnx__GraphProto *gp, WqValue **out)
{
	bool poison = false;
	import_initializers(im, gp);
	import_nodes(im, gp->n_node, gp->node);
	for (size_t i = 0; i < gp->n_output; i++) {
		const char *name = gp->output[i]->name ? gp->output[i]->name : "";
		out[i] = scope_find(im->scope, name);
		if (!out[i])
			wq_fail(WQ_EINPUT, "output %zu of a nested graph, '%.200s', is not defined", i, name);
		poison |= out[i] == im->poison;
	}
	if (poison)
		wq_fail(WQ_EUNSUPPORTED, "%s", "");
}

/* ---- initializers ------------------------------------------------------------------------------------- */

/* The writer finds its way back by name, so only one tensor may have it; what a function makes has none. */
static WqValue *initializer_const(Importer *im, const char *name, const void *proto, const WqTensor *t)
{
	WqValue *v = wq_const(im->scope->g, NULL, t);
	if (!name || !*name)
		return v;
	wq_value_rename(v, name);
	const void *known = wq_map_get(im->origins, name);
	if (im->frame->fn || (known && known != proto))
		return v;
	wq_map_put(im->origins, name, (void *)(uintptr_t)proto);
	v->origin.initializer = wq_strdup(im->m->arena, name);
	return v;
}

WqValue *import_tensor(Importer *im, const char *name, const Onnx__TensorProto *t)
{
	const char *key = im->depth ? wq_sprintf(im->tmp, "%p", (const void *)t) : NULL;
	WqTensor *data = key ? wq_map_get(im->tensors, key) : NULL;
	if (!data)
		data = onnx_tensor(im->model, im->m->arena, t);
	if (key)
		wq_map_put(im->tensors, key, data);
	return initializer_const(im, name, t, data);
}

static void sparse_fill(WqTensor *dense, const WqTensor *values, const WqTensor *indices, const char *name)
{
	int64_t count = wq_tensor_count(dense), n = wq_tensor_count(values);
	size_t size = wq_dtype_size(dense->dtype);
	bool flat = indices->rank == 1;
	const uint8_t *from = values->data;
	if (values->packed) {
		uint8_t *bytes = wq_raw_alloc((size_t)n);
		wq_unpack(values->dtype, values->data, bytes, n);
		from = bytes;
	}
	int64_t bad = -1;
	for (int64_t i = 0; i < n && bad < 0; i++) {
		int64_t at = flat ? wq_tensor_get_i(indices, i) : 0;
		for (int k = 0; !flat && k < dense->rank; k++) {
			int64_t x = wq_tensor_get_i(indices, i * dense->rank + k);
			if (x < 0 || x >= dense->dim[k])
				at = -1;
			else if (at >= 0)
				at = at * dense->dim[k] + x;
		}
		if (at < 0 || at >= count)
			bad = i;
		else
			memcpy((char *)dense->data + (size_t)at * size, from + (size_t)i * size, size);
	}
	if (values->packed)
		wq_raw_free((void *)(uintptr_t)from);
	if (bad >= 0)
		wq_fail(WQ_EINPUT, "sparse tensor '%.200s': index %lld is outside of its shape", name, (long long)bad);
}

WqValue *import_sparse(Importer *im, const char *name, const Onnx__SparseTensorProto *t)
{
	const char *shown = name ? name : "";
	if (!t->values || !t->indices)
		wq_fail(WQ_EINPUT, "sparse tensor '%.200s' lacks its values or indices", shown);
	const WqTensor *values = onnx_tensor(im->model, im->tmp, t->values);
	const WqTensor *indices = onnx_tensor(im->model, im->tmp, t->indices);
	int64_t n = wq_tensor_count(values);
	if (t->n_dims > WQ_MAX_RANK)
		wq_fail(WQ_EUNSUPPORTED, "a sparse tensor of rank %zu (at most %d)", t->n_dims, WQ_MAX_RANK);
	int rank = (int)t->n_dims;
	wq_shape_count(rank, t->dims, shown);
	bool flat = indices->rank == 1 && indices->dim[0] == n;
	bool pairs = indices->rank == 2 && indices->dim[0] == n && indices->dim[1] == rank;
	if (values->rank != 1 || indices->dtype != WQ_I64 || (!flat && !pairs))
		wq_fail(WQ_EINPUT, "sparse tensor '%.200s': indices and values do not fit each other", shown);
	WqTensor *dense = wq_tensor_new(im->m, values->dtype, rank, t->dims);
	sparse_fill(dense, values, indices, shown);
	return initializer_const(im, name, t, dense);
}

static void bind_initializer(Importer *im, WqMap *seen, const char *name, const Onnx__TensorProto *t,
	const Onnx__SparseTensorProto *sparse)
{
	if (!name || !*name)
		wq_fail(WQ_EINPUT, "an initializer has no name");
	if (wq_map_get(seen, name))
		wq_fail(WQ_EINPUT, "initializer '%.200s' is defined twice", name);
	wq_map_put(seen, name, seen);
	if (!wq_map_get(im->scope->values, name)) /* else it is the default of an input that is given */
		scope_bind(im, name, t ? import_tensor(im, name, t) : import_sparse(im, name, sparse));
}

void import_initializers(Importer *im, const Onnx__GraphProto *gp)
{
	WqMap *seen = wq_map_new(im->tmp);
	for (size_t i = 0; i < gp->n_initializer; i++)
		bind_initializer(im, seen, gp->initializer[i]->name, gp->initializer[i], NULL);
	for (size_t i = 0; i < gp->n_sparse_initializer; i++) {
		const Onnx__SparseTensorProto *s = gp->sparse_initializer[i];
		bind_initializer(im, seen, s->values ? s->values->name : NULL, NULL, s);
	}
}

/* ---- the main graph ------------------------------------------------------------------------------------- */

static const WqTensor *given_const(const Importer *im, const char *name)
{
	for (int i = 0; i < im->opt->n_consts; i++)
		if (!strcmp(im->opt->const_names[i], name))
			return &im->opt->consts[i];
	return NULL;
}

static const WqType *given_type(const Importer *im, const char *name)
{
	for (int i = 0; i < im->opt->n_types; i++)
		if (!strcmp(im->opt->type_names[i], name))
			return &im->opt->types[i];
	return NULL;
}

static void initializer_names(const Onnx__GraphProto *gp, WqMap *names)
{
	for (size_t i = 0; i < gp->n_initializer; i++)
		if (gp->initializer[i]->name)
			wq_map_put(names, gp->initializer[i]->name, names);
	for (size_t i = 0; i < gp->n_sparse_initializer; i++)
		if (gp->sparse_initializer[i]->values && gp->sparse_initializer[i]->values->name)
			wq_map_put(names, gp->sparse_initializer[i]->values->name, names);
}

/* What the file says of an input, made sharper by what the caller knows. */
static WqType input_type(Importer *im, const Onnx__ValueInfoProto *v)
{
	static const WqType nothing = { .kind = WQ_TENSOR, .rank = -1 };
	const WqType *given = given_type(im, v->name);
	WqType t = nothing;
	bool known = import_type(im, v->type, v->name, &t);
	if (!given)
		given = &nothing;
	if (given->kind != WQ_TENSOR || (given->dtype && (given->rank >= 0 || !known)))
		return *given;
	if (!known)
		wq_fail(WQ_EINPUT, "graph input '%.200s' has no type", v->name);
	if (given->dtype)
		t.dtype = given->dtype;
	if (given->rank >= 0 && t.kind == WQ_TENSOR)
		t = wq_type_tensor(t.dtype, given->rank, given->dim);
	return t;
}

static void import_input(Importer *im, const Onnx__ValueInfoProto *v, const WqMap *initialized)
{
	WqGraph *g = im->scope->g;
	const char *name = v->name;
	if (wq_map_get(im->scope->values, name))
		wq_fail(WQ_EINPUT, "graph input '%.200s' is defined twice", name);
	const WqTensor *c = given_const(im, name);
	if (c)
		scope_bind(im, name, wq_const(g, name, c));
	else if (!wq_map_get(initialized, name) || given_type(im, name)) {
		WqType t = input_type(im, v);
		scope_bind(im, name, wq_input(g, name, &t));
	}
}

static void import_main(Importer *im, const Onnx__GraphProto *gp)
{
	WqMap *initialized = wq_map_new(im->tmp);
	initializer_names(gp, initialized);
	for (size_t i = 0; i < gp->n_input; i++) {
		if (!gp->input[i]->name || !*gp->input[i]->name)
			wq_fail(WQ_EINPUT, "graph input %zu has no name", i);
		if (!wq_map_get(initialized, gp->input[i]->name))
			import_bare_dims(im, gp->input[i]->type);
	}
	for (size_t i = 0; i < gp->n_input; i++) {
		const WqType *given = given_type(im, gp->input[i]->name);
		if (given)
			import_dims_from(im, gp->input[i]->type, given);
	}
	for (size_t i = 0; i < gp->n_input; i++)
		import_input(im, gp->input[i], initialized);
	import_check_dim_options(im);
	import_initializers(im, gp);
	import_nodes(im, gp->n_node, gp->node);
	if (!gp->n_output)
		wq_fail(WQ_EINPUT, "the graph has no outputs");
	for (size_t i = 0; i < gp->n_output; i++) {
		const char *name = gp->output[i]->name ? gp->output[i]->name : "";
		WqValue *v = scope_find(im->scope, name);
		if (!v)
			wq_fail(WQ_EINPUT, "graph output '%.200s' is not defined by any node", name);
		if (v != im->poison)
			wq_output(im->scope->g, name, v);
	}
	if (wq_map_len(im->unsupported))
		fail_unsupported(im);
}

static void import_model(Importer *im)
{
	const Onnx__ModelProto *p = im->model->proto;
	if (!p->graph)
		wq_fail(WQ_EINPUT, "the model has no graph");
	Frame *frame = WQ_NEW(im->tmp, Frame);
	Scope *scope = WQ_NEW(im->tmp, Scope);
	functions_collect(im);
	frame->opsets = opsets_collect(im, p->n_opset_import, p->opset_import, "the model");
	if (!p->n_opset_import && p->ir_version < 3) { /* before there were imports */
		OnnxOpset *o = WQ_NEW(im->tmp, OnnxOpset);
		o->version = 1;
		wq_map_put(frame->opsets, "", o);
	}
	im->frame = frame;
	im->poison = WQ_NEW(im->tmp, WqValue);
	im->absent = WQ_NEW(im->tmp, WqValue);
	im->unsupported = wq_map_new(im->tmp);
	im->origins = wq_map_new(im->tmp);
	im->tensors = wq_map_new(im->tmp);
	im->dim_names = wq_map_new(im->tmp);
	im->bare_dims = wq_map_new(im->tmp);
	im->max_nodes = 100000 + 16 * (int64_t)p->graph->n_node;
	import_dim_options(im);
	scope_push(im, scope, NULL, im->m->main);
	import_main(im, p->graph);
}

WqModule *onnx_import(OnnxModel *model, const ImportOptions *o)
{
	static const ImportOptions none;
	WqModule *const m = wq_module_new(model->path);
	WqArena *volatile tmp = NULL;
	WqTry t;
	if (WQ_TRY(&t)) {
		tmp = wq_arena_new();
		Importer *im = WQ_NEW(tmp, Importer);
		im->model = model;
		im->opt = o ? o : &none;
		im->m = m;
		im->tmp = tmp;
		m->fold = im->opt->fold;
		import_model(im);
		wq_try_end(&t);
		wq_arena_free(tmp);
		return m;
	}
	wq_arena_free(tmp);
	wq_module_free(m);
	bool told = !strncmp(t.err.text, model->path, strlen(model->path)); /* tensors' errors begin with the file */
	wq_fail(t.err.code, "%s%s%s", told ? "" : model->path, told ? "" : ": ", t.err.text);
}
