/* build.c: protobuf messages put together field by field. */
#include "frontend/frontend.h"

static void put_varint(WqStr *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;
	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	wq_str_write(b, bytes, n);
}

void wire_put_length(WqStr *b, uint32_t id, uint64_t n)
{
	put_varint(b, id << 3 | 2);
	put_varint(b, n);
}

void wire_put_int(WqStr *b, uint32_t id, int64_t v)
{
	put_varint(b, id << 3);
	put_varint(b, (uint64_t)v);
}

void wire_put_bytes(WqStr *b, uint32_t id, const void *p, size_t n)
{
	wire_put_length(b, id, n);
	wq_str_write(b, p, n);
}

void wire_put_text(WqStr *b, uint32_t id, const char *s)
{
	if (s)
		wire_put_bytes(b, id, s, strlen(s));
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

void onnx_put_node(WqStr *b, const char *op, const char *domain, const char *name, int n_in, const char *const *in,
		   int n_out, const char *const *out)
{
	for (int i = 0; i < n_in; i++)
		wire_put_text(b, 1, in[i] ? in[i] : "");
	for (int i = 0; i < n_out; i++)
		wire_put_text(b, 2, out[i]);
	wire_put_text(b, 3, name);
	wire_put_text(b, 4, op);
	wire_put_text(b, 7, domain);
}

static WqStr begin_attr(WqStr *node, const char *name, int type)
{
	WqStr a = { .a = node->a };
	wire_put_text(&a, 1, name);
	wire_put_int(&a, 20, type);
	return a;
}

static void end_attr(WqStr *node, const WqStr *a) { wire_put_bytes(node, 5, a->s, a->n); }

void onnx_put_attr_int(WqStr *node, const char *name, int64_t v)
{
	WqStr a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
	wire_put_int(&a, 3, v);
	end_attr(node, &a);
}

void onnx_put_attr_float(WqStr *node, const char *name, float v)
{
	WqStr a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
	put_varint(&a, 2 << 3 | 5);
	wq_str_write(&a, &v, 4);
	end_attr(node, &a);
}

void onnx_put_attr_string(WqStr *node, const char *name, const char *s)
{
	WqStr a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
	wire_put_text(&a, 4, s);
	end_attr(node, &a);
}

void onnx_put_attr_ints(WqStr *node, const char *name, int n, const int64_t *v)
{
	WqStr a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
	for (int i = 0; i < n; i++)
		wire_put_int(&a, 8, v[i]);
	end_attr(node, &a);
}

void onnx_put_attr_tensor(WqStr *node, const char *name, const WqTensor *t)
{
	WqStr a = begin_attr(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR), tensor = { .a = node->a };
	size_t n;
	const void *data = onnx_put_tensor(&tensor, NULL, t, &n);
	wq_str_write(&tensor, data, n);
	wire_put_bytes(&a, 5, tensor.s, tensor.n);
	end_attr(node, &a);
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

const void *onnx_put_tensor(WqStr *b, const char *name, const WqTensor *t, size_t *n)
{
	int64_t count = wq_tensor_count(t);
	for (int i = 0; i < t->rank; i++)
		wire_put_int(b, 1, t->dim[i]);
	wire_put_int(b, 2, t->dtype);
	wire_put_text(b, 8, name);
	*n = 0;
	if (t->dtype == WQ_STR) {
		for (const WqString *s = t->data, *end = s + count; s < end; s++)
			wire_put_bytes(b, 6, s->p, s->n);
		return "";
	}
	const void *data = t->data;
	*n = wq_packed_bytes(t->dtype, count);
	if (wq_dtype(t->dtype)->bits < 8 && !t->packed) {
		void *packed = wq_alloc(b->a, *n);
		wq_pack(t->dtype, data, packed, count);
		data = packed;
	}
	wire_put_length(b, 9, *n);
	return data;
}

void onnx_put_value_info(WqStr *b, const char *name, const WqTensor *t)
{
	WqStr shape = { .a = b->a }, tensor = { .a = b->a }, type = { .a = b->a };
	for (int i = 0; i < t->rank; i++) {
		WqStr dim = { .a = b->a };
		wire_put_int(&dim, 1, t->dim[i]);
		wire_put_bytes(&shape, 1, dim.s, dim.n);
	}
	wire_put_int(&tensor, 1, t->dtype);
	wire_put_bytes(&tensor, 2, shape.s, shape.n);
	wire_put_bytes(&type, 1, tensor.s, tensor.n);
	wire_put_text(b, 1, name);
	wire_put_bytes(b, 2, type.s, type.n);
}
