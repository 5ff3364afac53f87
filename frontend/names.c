#include "frontend/importer.h"

void scope_push(Importer *im, Scope *s, Scope *up, WqGraph *g)
{
	s->up = up;
	s->values = wq_map_new(im->tmp);
	s->g = g;
	im->scope = s;
}

void scope_bind(Importer *im, const char *name, WqValue *v)
{
	wq_map_put(im->scope->values, name, v);
}

WqValue *scope_find(const Scope *s, const char *name)
{
	for (; s; s = s->up) {
		WqValue *v = wq_map_get(s->values, name);
		if (v)
			return v;
	}
	return NULL;
}

const char *node_domain(const char *domain)
{
	return !domain || !strcmp(domain, "ai.onnx") ? "" : domain;
}

const char *node_name(Importer *im, const Onnx__NodeProto *n)
{
	if (n->name && *n->name)
		return wq_sprintf(im->tmp, "node '%.200s'", n->name);
	for (size_t i = 0; i < n->n_output; i++)
		if (*n->output[i])
			return wq_sprintf(im->tmp, "node of '%.200s'", n->output[i]);
	return "a node";
}

const char *node_label(Importer *im, const Onnx__NodeProto *n)
{
	return wq_sprintf(im->tmp, "%s (%.100s)", node_name(im, n),
			  n->op_type && *n->op_type ? n->op_type : "no operator");
}
