/* inputs.c: what a model wants to be given, known without importing it. */
#include "frontend/frontend.h"

static bool is_initializer(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_initializer; i++)
		if (g->initializer[i]->name && !strcmp(g->initializer[i]->name, name))
			return true;
	for (size_t i = 0; i < g->n_sparse_initializer; i++) {
		const Onnx__TensorProto *v = g->sparse_initializer[i]->values;
		if (v && v->name && !strcmp(v->name, name))
			return true;
	}
	return false;
}

/* Kind and element type; shapes are the importer's business. Depth is bounded by the wire scan. */
static WqType kind_of(WqArena *a, const Onnx__TypeProto *t)
{
	WqType r = { .kind = WQ_TENSOR, .rank = -1 };
	const Onnx__TypeProto *elem = NULL;
	if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		r.dtype = wq_dtype_valid(t->tensor_type->elem_type) ? (WqDtype)t->tensor_type->elem_type : WQ_UNDEF;
	else if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE) {
		r.kind = WQ_SEQUENCE;
		elem = t->sequence_type->elem_type;
	} else if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE) {
		r.kind = WQ_OPTIONAL;
		elem = t->optional_type->elem_type;
	}
	if (r.kind != WQ_TENSOR) {
		WqType *e = WQ_NEW(a, WqType);
		*e = kind_of(a, elem);
		r.elem = e;
	}
	return r;
}

int onnx_inputs(const OnnxModel *m, WqArena *a, const char *const **names, const WqType **types)
{
	const Onnx__GraphProto *g = m->proto->graph;
	size_t all = g ? g->n_input : 0;
	const char **ns = WQ_NEW_N(a, const char *, all + 1);
	WqType *ts = WQ_NEW_N(a, WqType, all + 1);
	int n = 0;
	for (size_t i = 0; i < all; i++) {
		const char *name = g->input[i]->name ? g->input[i]->name : "";
		if (is_initializer(g, name))
			continue;
		ns[n] = name;
		ts[n++] = kind_of(a, g->input[i]->type);
	}
	*names = ns;
	*types = ts;
	return n;
}
