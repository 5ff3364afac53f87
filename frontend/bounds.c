/* bounds.c: sizes that only running tells are at most what the model declares for the outputs that have them. For code, which needs
 * bounds; the evaluator does without. */
#include "frontend/importer.h"

static bool is_input_size(const WqModule *m, WqDim sym)
{
	const WqGraph *g = m->main;
	for (int i = 0; i < g->inputs.n; i++)
		for (int d = 0; d < g->inputs.v[i]->type.rank; d++)
			if (g->inputs.v[i]->type.dim[d] == sym)
				return true;
	return false;
}

/* Of a sum or product, each part is at most the whole; the same holds for max. */
static void bound_size(WqModule *m, WqDim d, int64_t declared)
{
	WqDim atom[8], a, b;
	int64_t coef;
	int sym;
	if (wq_dim_static(d) || wq_dim_hi(m, d) < WQ_DIM_INF)
		return;
	if (wq_dim_is_sym(m, d, &sym)) {
		if (!is_input_size(m, d) && wq_dim_lo(m, d) <= declared)
			wq_dim_bound(m, d, wq_dim_lo(m, d), declared);
		return;
	}
	const char *call = wq_dim_call(m, d, &a, &b);
	if (call && !strcmp(call, "max")) {
		bound_size(m, a, declared);
		bound_size(m, b, declared);
	}
	for (int i = 0; !call && i < wq_dim_num_terms(m, d); i++)
		for (int j = wq_dim_term(m, d, i, &coef, atom) - 1; j >= 0; j--)
			if (coef > 0)
				bound_size(m, atom[j], declared);
}

static const Onnx__ValueInfoProto *declared(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_output; i++)
		if (g->output[i]->name && !strcmp(g->output[i]->name, name))
			return g->output[i];
	return NULL;
}

static void bound_output(WqModule *m, const Onnx__ValueInfoProto *o, const WqType *t)
{
	const Onnx__TypeProto__Tensor *tensor = o && o->type ? o->type->tensor_type : NULL;
	if (!tensor || !tensor->shape || t->kind != WQ_TENSOR || (size_t)(t->rank < 0 ? 0 : t->rank) != tensor->shape->n_dim)
		return;
	for (int i = 0; i < t->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *d = tensor->shape->dim[i];
		if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0)
			bound_size(m, t->dim[i], d->dim_value);
	}
}

void onnx_bound_sizes(const OnnxModel *model, WqModule *m)
{
	for (int i = 0; i < m->main->outputs.n; i++)
		bound_output(m, declared(model->proto->graph, m->main->outputs.v[i].name), &m->main->outputs.v[i].value->type);
}
