/* tensor_io.c: values in files: which format, and ONNX's own (.pb). */
#include "frontend/frontend.h"

/* ---- .pb --------------------------------------------------------------------------------------------------- */

static WqFileValue tensor_value(WqTensor *t, const char *name)
{
	return (WqFileValue){ .name = name, .type = wq_type_of_tensor(t), .t = t };
}

static WqFileValue of_tensor(OnnxModel *m, const Onnx__TensorProto *t)
{
	WqTensor *v = onnx_tensor(m, m->arena, t);
	if (v->packed) {
		int64_t n = wq_tensor_count(v);
		void *own = wq_alloc_n(m->arena, (size_t)n, 1);
		wq_unpack(v->dtype, v->data, own, n);
		v->data = own;
		v->packed = false;
	}
	return tensor_value(v, t->name);
}

static WqFileValue of_sparse(OnnxModel *m, const Onnx__SparseTensorProto *t)
{
	return tensor_value(onnx_sparse_tensor(m, m->arena, t), t->values->name);
}

static WqFileValue of_sequence(OnnxModel *m, const Onnx__SequenceProto *s, const WqType *want);
static WqFileValue of_optional(OnnxModel *m, const Onnx__OptionalProto *o, const WqType *want);

/* Around elements. Their type is what the reader wants, or the first one's with its shape left open. */
static WqFileValue wrap(OnnxModel *m, int kind, const char *name, int n, WqFileValue *elems, const WqType *elem)
{
	WqFileValue v = {
		.name = name, .type = { .kind = (uint8_t)kind, .rank = -1, .elem = elem }, .n = n, .elems = elems
	};
	if (!elem && n) {
		WqType *e = WQ_NEW(m->arena, WqType);
		*e = elems[0].type;
		if (e->kind == WQ_TENSOR)
			*e = wq_type_tensor(e->dtype, -1, NULL);
		v.type.elem = e;
	}
	return v;
}

static WqFileValue of_sequence(OnnxModel *m, const Onnx__SequenceProto *s, const WqType *want)
{
	const WqType *elem = want && want->kind == WQ_SEQUENCE ? want->elem : NULL;
	size_t n = 0;
	switch (s->elem_type) {
	case ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR: n = s->n_tensor_values; break;
	case ONNX__SEQUENCE_PROTO__DATA_TYPE__SPARSE_TENSOR: n = s->n_sparse_tensor_values; break;
	case ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE: n = s->n_sequence_values; break;
	case ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL: n = s->n_optional_values; break;
	case ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP:
		wq_fail(WQ_EUNSUPPORTED, "%s: sequences of maps are not supported", m->path);
	default: break; /* undefined: an empty one */
	}
	WqFileValue *v = WQ_NEW_N(m->arena, WqFileValue, n);
	for (size_t i = 0; i < n; i++) {
		switch (s->elem_type) {
		case ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR: v[i] = of_tensor(m, s->tensor_values[i]); break;
		case ONNX__SEQUENCE_PROTO__DATA_TYPE__SPARSE_TENSOR:
			v[i] = of_sparse(m, s->sparse_tensor_values[i]);
			break;
		case ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE:
			v[i] = of_sequence(m, s->sequence_values[i], elem);
			break;
		default: v[i] = of_optional(m, s->optional_values[i], elem); break;
		}
	}
	return wrap(m, WQ_SEQUENCE, s->name, (int)n, v, elem);
}

static WqFileValue of_optional(OnnxModel *m, const Onnx__OptionalProto *o, const WqType *want)
{
	const WqType *elem = want && want->kind == WQ_OPTIONAL ? want->elem : NULL;
	WqFileValue *v = WQ_NEW(m->arena, WqFileValue);
	int n = 1;
	if (o->elem_type == ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP)
		wq_fail(WQ_EUNSUPPORTED, "%s: optional maps are not supported", m->path);
	if (o->elem_type == ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR && o->tensor_value)
		*v = of_tensor(m, o->tensor_value);
	else if (o->elem_type == ONNX__SEQUENCE_PROTO__DATA_TYPE__SPARSE_TENSOR && o->sparse_tensor_value)
		*v = of_sparse(m, o->sparse_tensor_value);
	else if (o->elem_type == ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE && o->sequence_value)
		*v = of_sequence(m, o->sequence_value, elem);
	else if (o->elem_type == ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL && o->optional_value)
		*v = of_optional(m, o->optional_value, elem);
	else
		n = 0;
	return wrap(m, WQ_OPTIONAL, o->name, n, v, elem);
}

WqFileValue *wq_pb_parse(WqArena *a, const uint8_t *p, size_t n, const WqType *want, const char *what)
{
	OnnxModel m = { .arena = a, .path = what, .file = { p, n }, .externals = wq_map_new(a) };
	WqFileValue *v = WQ_NEW(a, WqFileValue);
	int kind = want ? want->kind : WQ_TENSOR;
	if (kind == WQ_SEQUENCE)
		*v = of_sequence(
			&m, (Onnx__SequenceProto *)wire_unpack(a, &onnx__sequence_proto__descriptor, p, n, what), want);
	else if (kind == WQ_OPTIONAL)
		*v = of_optional(
			&m, (Onnx__OptionalProto *)wire_unpack(a, &onnx__optional_proto__descriptor, p, n, what), want);
	else
		*v = of_tensor(&m, (Onnx__TensorProto *)wire_unpack(a, &onnx__tensor_proto__descriptor, p, n, what));
	return v;
}

void wq_pb_write(WqArena *a, const char *path, const char *name, const WqTensor *t)
{
	WqStr head = { .a = a };
	size_t n;
	const void *data = onnx_put_tensor(&head, name, t, &n);
	WqFileOut *f = wq_file_create(a, path);
	wq_file_write(f, head.s, head.n);
	wq_file_write(f, data, n);
	wq_file_commit(f);
}

/* ---- any format -------------------------------------------------------------------------------------------- */

WqTensor *wq_tensor_as(WqArena *a, WqTensor *t, WqDtype want, const char *what)
{
	WqDtype have = t->dtype;
	if (have == want || t->packed || !want)
		return t;
	int bits = wq_dtype(want)->bits;
	bool small = bits <= 8 && !wq_dtype(want)->npy && (have == WQ_U8 || have == WQ_I8 || have == WQ_F8E5M2);
	bool words = want == WQ_BF16 && have == WQ_U16;
	if (!small && !words)
		return t;
	const uint8_t *p = t->data;
	for (int64_t i = 0, n = wq_tensor_count(t); bits < 8 && i < n; i++) {
		bool sign = wq_dtype(want)->cls == 'I';
		int v = sign ? (int8_t)p[i] : p[i];
		int lo = sign ? -(1 << (bits - 1)) : 0;
		if (v < lo || v >= lo + (1 << bits))
			wq_fail(WQ_EINPUT, "%s: element %lld is %d, which %s cannot hold", what, (long long)i, v,
				wq_dtype(want)->text);
	}
	WqTensor *r = WQ_NEW(a, WqTensor);
	*r = *t;
	r->dtype = want;
	return r;
}

static WqFileValue *of_array(WqArena *a, WqTensor *t, const char *name, const WqType *want, const char *what)
{
	WqFileValue *v = WQ_NEW(a, WqFileValue);
	if (want && want->kind == WQ_TENSOR)
		t = wq_tensor_as(a, t, want->dtype, what);
	*v = tensor_value(t, name);
	return v;
}

WqFileValue *wq_value_read(WqArena *a, const char *path, const WqType *want)
{
	WqMapped f = wq_file_map(a, path);
	if (f.n >= 6 && !memcmp(f.p, "\x93NUMPY", 6))
		return of_array(a, wq_npy_parse(a, f.p, f.n, path), NULL, want, path);
	if (f.n >= 4 && !memcmp(f.p, "PK\3\4", 4)) {
		int n;
		WqFileValue *v = wq_npz_parse(a, f.p, f.n, path, &n);
		if (n != 1)
			wq_fail(WQ_EINPUT, "%s: has %d arrays; one was expected", path, n);
		return of_array(a, v->t, v->name, want, path);
	}
	return wq_pb_parse(a, f.p, f.n, want, path);
}

WqFileValue *wq_npz_read(WqArena *a, const char *path, int *n)
{
	WqMapped f = wq_file_map(a, path);
	return wq_npz_parse(a, f.p, f.n, path, n);
}
