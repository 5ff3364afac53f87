/* tensor_io.c: values from .pb files. */
#include "frontend/frontend.h"

static void from_tensor(OnnxModel *m, WqArena *a, const Onnx__TensorProto *t, WqFileValue *v)
{
	v->name = t->name;
	v->t = onnx_tensor(m, a, t);
	v->type = wq_type_of_tensor(v->t);
}

static void from_sequence(OnnxModel *m, WqArena *a, const Onnx__SequenceProto *s, WqFileValue *v)
{
	v->name = s->name;
	v->n = (int)(s->n_tensor_values ? s->n_tensor_values : s->n_sequence_values);
	v->elems = WQ_NEW_N(a, WqFileValue, v->n + 1);
	for (int i = 0; i < v->n; i++)
		if (s->n_tensor_values)
			from_tensor(m, a, s->tensor_values[i], &v->elems[i]);
		else
			from_sequence(m, a, s->sequence_values[i], &v->elems[i]);
}

static void from_optional(OnnxModel *m, WqArena *a, const Onnx__OptionalProto *o, WqFileValue *v)
{
	v->name = o->name;
	v->elems = WQ_NEW_N(a, WqFileValue, 1);
	if (o->tensor_value)
		from_tensor(m, a, o->tensor_value, &v->elems[v->n++]);
	else if (o->sequence_value) {
		v->elems[v->n].type = v->type.elem ? *v->type.elem : v->type;
		from_sequence(m, a, o->sequence_value, &v->elems[v->n++]);
	}
}

WqFileValue *wq_value_read(WqArena *a, const char *path, const WqType *want)
{
	OnnxModel m = { .arena = a, .path = path, .file = wq_file_map(a, path) };
	m.externals = wq_map_new(a);
	int kind = want ? want->kind : WQ_TENSOR;
	const ProtobufCMessageDescriptor *d = kind == WQ_SEQUENCE   ? &onnx__sequence_proto__descriptor
					      : kind == WQ_OPTIONAL ? &onnx__optional_proto__descriptor
								    : &onnx__tensor_proto__descriptor;
	ProtobufCMessage *p = wire_unpack(a, d, m.file.p, m.file.n, path);
	WqFileValue *v = WQ_NEW(a, WqFileValue);
	if (want)
		v->type = *want;
	if (kind == WQ_SEQUENCE)
		from_sequence(&m, a, (Onnx__SequenceProto *)p, v);
	else if (kind == WQ_OPTIONAL)
		from_optional(&m, a, (Onnx__OptionalProto *)p, v);
	else
		from_tensor(&m, a, (Onnx__TensorProto *)p, v);
	return v;
}
