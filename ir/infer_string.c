/* infer_string.c: shape rules of operators on strings. */
#include "ir/infer.h"
#include "ir/text.h"

/* The pieces along a new last axis, and how many of them there are of each. */
void infer_string_split(WqInfer *x)
{
	WqType *pieces = &x->out[0];
	*pieces = *x->in[0];
	if (pieces->rank == WQ_MAX_RANK)
		wq_infer_fail(x, "more than %d axes", WQ_MAX_RANK);
	if (pieces->rank >= 0)
		pieces->dim[pieces->rank++] = WQ_DIM_UNKNOWN;
	if (x->n_out > 1) {
		x->out[1] = *x->in[0];
		x->out[1].dtype = WQ_I64;
	}
}

void infer_string_case(WqInfer *x)
{
	const char *to = wq_attr_s(x->node, "to");
	if (strcmp(to, "lower") && strcmp(to, "upper"))
		wq_infer_fail(x, "to=\"%s\" is neither lower nor upper", to);
	x->out[0] = *x->in[0];
}

/* A pattern that cannot be read is found out when the graph is built. */
void infer_regex_full_match(WqInfer *x)
{
	if (!x->running)
		wq_regex_new(x->mod->arena, wq_attr_s(x->node, "pattern"));
	x->out[0] = *x->in[0];
	x->out[0].dtype = WQ_BOOL;
}
