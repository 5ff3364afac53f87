/* infer_sequence.c: shape rules of sequences and optionals. An element's type is what all elements have in common. */
#include "ir/infer.h"

static const WqType *need(const WqInfer *x, int i, int kind)
{
	if (i >= x->n_in || !x->in[i])
		wq_infer_fail(x, "operand %d is missing", i);
	if (x->in[i]->kind != kind)
		wq_infer_fail(x, "operand %d is %s", i, wq_infer_kind(x->in[i]));
	return x->in[i];
}

static WqType wrap(const WqInfer *x, int kind, const WqType *elem) { return wq_type_wrap(x->mod, kind, elem); }

/* Attribute "type": of the whole, or of an element. */
static WqType declared(const WqInfer *x, int kind)
{
	const WqAttr *a = wq_attr_find(x->node, "type");
	if (!a || !a->type)
		wq_infer_fail(x, "nothing tells the type of an empty one");
	return a->type->kind == kind ? *a->type : wrap(x, kind, a->type);
}

void infer_sequence_construct(WqInfer *x)
{
	if (x->n_in == 0) {
		x->out[0] = declared(x, WQ_SEQUENCE);
		return;
	}
	for (int i = 0; i < x->n_in; i++)
		if (!x->in[i])
			wq_infer_fail(x, "operand %d is missing", i);
	WqType t = *x->in[0];
	for (int i = 1; i < x->n_in; i++)
		t = wq_infer_unify(x, &t, x->in[i]);
	x->out[0] = wrap(x, WQ_SEQUENCE, &t);
}

void infer_sequence_at(WqInfer *x) { x->out[0] = *need(x, 0, WQ_SEQUENCE)->elem; }

void infer_sequence_insert(WqInfer *x)
{
	const WqType *seq = need(x, 0, WQ_SEQUENCE);
	if (!x->in[1])
		wq_infer_fail(x, "operand 1 is missing");
	WqType t = wq_infer_unify(x, seq->elem, x->in[1]);
	x->out[0] = wrap(x, WQ_SEQUENCE, &t);
}

void infer_sequence_erase(WqInfer *x) { x->out[0] = *need(x, 0, WQ_SEQUENCE); }

void infer_sequence_length(WqInfer *x)
{
	need(x, 0, WQ_SEQUENCE);
	x->out[0] = wq_type_tensor(WQ_I64, 0, NULL);
}

static int axis_of(const WqInfer *x, int rank)
{
	int64_t axis = wq_attr_i(x->node, "axis");
	if (axis < -rank || axis >= rank)
		wq_infer_fail(x, "axis %lld of %d axes", (long long)axis, rank);
	return (int)(axis < 0 ? axis + rank : axis);
}

void infer_split_to_sequence(WqInfer *x)
{
	WqType t = *need(x, 0, WQ_TENSOR);
	bool split = x->n_in > 1 && x->in[1];
	if (t.rank >= 0) {
		int axis = axis_of(x, t.rank);
		WqDim size = WQ_DIM_UNKNOWN;
		bool even = split && x->in[1]->rank == 0 && wq_infer_elem(x, 1, 0, &size) == 1 && wq_dim_static(t.dim[axis]) &&
			wq_dim_static(size) && size > 0 && t.dim[axis] % size == 0;
		t.dim[axis] = !split ? 1 : even ? size : WQ_DIM_UNKNOWN;
		if (!split && !wq_attr_i(x->node, "keepdims")) {
			memmove(t.dim + axis, t.dim + axis + 1, (size_t)(t.rank - axis - 1) * sizeof *t.dim);
			t.rank--;
		}
	}
	x->out[0] = wrap(x, WQ_SEQUENCE, &t);
}

void infer_concat_from_sequence(WqInfer *x)
{
	WqType t = *need(x, 0, WQ_SEQUENCE)->elem;
	if (t.kind != WQ_TENSOR)
		wq_infer_fail(x, "the elements are not tensors");
	if (t.rank >= 0) {
		bool stack = wq_attr_i(x->node, "new_axis");
		if (t.rank + stack > WQ_MAX_RANK)
			wq_infer_fail(x, "more than %d axes", WQ_MAX_RANK);
		t.rank += stack;
		int axis = axis_of(x, t.rank);
		if (stack)
			memmove(t.dim + axis + 1, t.dim + axis, (size_t)(t.rank - 1 - axis) * sizeof *t.dim);
		t.dim[axis] = WQ_DIM_UNKNOWN;
	}
	x->out[0] = t;
}

void infer_optional(WqInfer *x)
{
	bool has = x->n_in > 0 && x->in[0];
	x->out[0] = has ? wrap(x, WQ_OPTIONAL, x->in[0]) : declared(x, WQ_OPTIONAL);
}

void infer_optional_has_element(WqInfer *x) { x->out[0] = wq_type_tensor(WQ_BOOL, 0, NULL); }

/* Of a tensor or a sequence itself too. */
void infer_optional_get_element(WqInfer *x)
{
	if (!x->in[0])
		wq_infer_fail(x, "operand 0 is missing");
	x->out[0] = x->in[0]->kind == WQ_OPTIONAL ? *x->in[0]->elem : *x->in[0];
}
