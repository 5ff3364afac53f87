/* data.c: a TensorProto's elements, wherever the file keeps them. */
#include "frontend/frontend.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

static const uint8_t nothing[16]; /* data of tensors without elements */

static const char *name_of(const Onnx__TensorProto *t) { return t->name && *t->name ? t->name : "(no name)"; }

/* f32[2,3] */
static char *shape_text(WqArena *a, const WqTensor *t)
{
	WqStr s = { .a = a };
	wq_str_printf(&s, "%s[", wq_dtype(t->dtype)->text);
	for (int i = 0; i < t->rank; i++)
		wq_str_printf(&s, "%s%lld", i ? "," : "", (long long)t->dim[i]);
	wq_str_printf(&s, "]");
	return s.s;
}

static void check_bytes(OnnxModel *m, const Onnx__TensorProto *t, const WqTensor *to, uint64_t have, const char *where)
{
	size_t need = wq_tensor_bytes(to);
	if (have != need)
		wq_fail(WQ_EINPUT, "%s: tensor '%s': %s takes %zu bytes, %s has %llu", m->path, name_of(t),
			shape_text(m->arena, to), need, where, (unsigned long long)have);
}

/* ---- external data ------------------------------------------------------------------------------------ */

/* Stays below the model's directory by its spelling. */
static bool location_ok(const char *s)
{
	if (!*s || *s == '/')
		return false;
	for (const char *p = s; p; p = strchr(p, '/'), p = p ? p + 1 : NULL)
		if (!strncmp(p, "..", 2) && (p[2] == '/' || !p[2]))
			return false;
	return true;
}

static bool inside(const char *path, const char *dir)
{
	char real[PATH_MAX];
	if (!realpath(dir, real))
		return false;
	size_t n = strlen(real);
	return !strncmp(path, real, n) && (path[n] == '/' || n == 1);
}

static const WqMapped *external_file(OnnxModel *m, const Onnx__TensorProto *t, const char *location)
{
	WqMapped *f = wq_map_get(m->externals, location);
	if (f)
		return f;
	if (!m->dir)
		wq_fail(WQ_EINPUT, "%s: tensor '%s' has external data, but the model has no directory", m->path,
			name_of(t));
	if (!location_ok(location))
		wq_fail(WQ_EINPUT, "%s: tensor '%s': external data at '%s' must stay inside of the model's directory",
			m->path, name_of(t), location);
	char *path = wq_sprintf(m->arena, "%s/%s", m->dir, location), real[PATH_MAX];
	if (!realpath(path, real))
		wq_fail(WQ_EINPUT, "%s: tensor '%s': external data file %s: %s", m->path, name_of(t), path,
			strerror(errno));
	/* By its links: inside of the directory, or of the one that the model's own link leads to. */
	if (!inside(real, m->dir) && !(m->real_dir && inside(real, m->real_dir)))
		wq_fail(WQ_EINPUT, "%s: tensor '%s': external data file %s: a link leads out of the model's directory",
			m->path, name_of(t), path);
	f = WQ_NEW(m->arena, WqMapped);
	*f = wq_file_map(m->arena, real);
	wq_map_put(m->externals, location, f);
	return f;
}

static uint64_t decimal(OnnxModel *m, const Onnx__TensorProto *t, const char *key, const char *s)
{
	char *end = NULL;
	errno = 0;
	unsigned long long v = *s >= '0' && *s <= '9' ? strtoull(s, &end, 10) : 0;
	if (!end || *end || errno)
		wq_fail(WQ_EINPUT, "%s: tensor '%s': external data: %s is '%s', not a number", m->path, name_of(t), key,
			s);
	return v;
}

OnnxExternal onnx_external(OnnxModel *m, const Onnx__TensorProto *t)
{
	OnnxExternal e = { .length = UINT64_MAX };
	for (size_t i = 0; i < t->n_external_data; i++) {
		const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
		if (!key || !value)
			continue;
		if (!strcmp(key, "location"))
			e.location = value;
		else if (!strcmp(key, "offset"))
			e.offset = decimal(m, t, key, value);
		else if (!strcmp(key, "length"))
			e.length = decimal(m, t, key, value);
	}
	if (!e.location)
		wq_fail(WQ_EINPUT, "%s: tensor '%s': external data without a location", m->path, name_of(t));
	return e;
}

static const void *external_data(OnnxModel *m, const Onnx__TensorProto *t, const WqTensor *to)
{
	OnnxExternal e = onnx_external(m, t);
	if (e.length == UINT64_MAX)
		e.length = wq_tensor_bytes(to);
	check_bytes(m, t, to, e.length, "its external data");
	const WqMapped *f = external_file(m, t, e.location);
	if (e.offset > f->n || e.length > f->n - e.offset)
		wq_fail(WQ_EINPUT, "%s: tensor '%s': external data: %llu bytes at offset %llu of %s, which has %zu",
			m->path, name_of(t), (unsigned long long)e.length, (unsigned long long)e.offset, e.location,
			f->n);
	return f->p + e.offset;
}

/* ---- data in the file ------------------------------------------------------------------------------------ */

/* The field that ONNX gives the type, its elements and their size. */
typedef struct Typed {
	const char *field;
	const void *v;
	size_t n, size;
} Typed;

static Typed typed_data(WqDtype type, const Onnx__TensorProto *t)
{
	switch (type) {
	case WQ_F32: case WQ_C64: return (Typed){ "float_data", t->float_data, t->n_float_data, 4 };
	case WQ_F64: case WQ_C128: return (Typed){ "double_data", t->double_data, t->n_double_data, 8 };
	case WQ_I64: return (Typed){ "int64_data", t->int64_data, t->n_int64_data, 8 };
	case WQ_U32: case WQ_U64: return (Typed){ "uint64_data", t->uint64_data, t->n_uint64_data, 8 };
	case WQ_STR: return (Typed){ "string_data", t->string_data, t->n_string_data, sizeof *t->string_data };
	default: return (Typed){ "int32_data", t->int32_data, t->n_int32_data, 4 };
	}
}

static void *strings(WqArena *a, const Onnx__TensorProto *t)
{
	WqString *s = WQ_NEW_N(a, WqString, t->n_string_data);
	for (size_t i = 0; i < t->n_string_data; i++) {
		const ProtobufCBinaryData *b = &t->string_data[i];
		s[i] = (WqString){ b->len ? (const char *)b->data : "", b->len };
	}
	return s;
}

/* Numbers of the typed fields; where the field is wider than the element, its low bytes. */
static void *from_typed(OnnxModel *m, WqArena *a, const Onnx__TensorProto *t, const WqTensor *to)
{
	Typed from = typed_data(to->dtype, t);
	size_t bytes = wq_tensor_bytes(to), size = to->packed ? 1 : wq_dtype_size(to->dtype);
	if (to->dtype == WQ_C64 || to->dtype == WQ_C128)
		size /= 2;
	if (from.n != bytes / size)
		wq_fail(WQ_EINPUT, "%s: tensor '%s': %s takes %zu values (%zu bytes), %s has %zu", m->path, name_of(t),
			shape_text(m->arena, to), bytes / size, bytes, from.field, from.n);
	if (to->dtype == WQ_STR)
		return strings(a, t);
	if (size == from.size)
		return (void *)from.v;
	uint8_t *out = wq_alloc(a, bytes);
	for (size_t i = 0; i < from.n; i++)
		memcpy(out + i * size, (const uint8_t *)from.v + i * from.size, size);
	return out;
}

static const void *from_ref(OnnxModel *m, const Onnx__TensorProto *t, const WqTensor *to)
{
	WireRef ref;
	WQ_ASSERT(t->raw_data.len == sizeof ref);
	memcpy(&ref, t->raw_data.data, sizeof ref);
	WQ_ASSERT(ref.offset <= m->file.n && ref.length <= m->file.n - ref.offset);
	const char *field = ref.field == 9 ? "raw_data" : ref.field == 4 ? "float_data" : "double_data";
	if (to->dtype == WQ_STR || (ref.field != 9 && strcmp(field, typed_data(to->dtype, t).field) != 0))
		wq_fail(WQ_EINPUT, "%s: tensor '%s': elements of type %s cannot stand in %s", m->path, name_of(t),
			wq_dtype(to->dtype)->text, field);
	if (t->n_float_data || t->n_double_data || t->n_int32_data || t->n_int64_data || t->n_uint64_data ||
	    t->n_string_data)
		wq_fail(WQ_EINPUT, "%s: tensor '%s' has its data twice: in %s and in another field", m->path,
			name_of(t), field);
	check_bytes(m, t, to, ref.length, field);
	return m->file.p + ref.offset;
}

/* Later code relies on 0 and 1. */
static const void *clean_bools(WqArena *a, const uint8_t *p, size_t n)
{
	size_t i = 0;
	while (i < n && p[i] <= 1)
		i++;
	if (i == n)
		return p;
	uint8_t *own = wq_alloc(a, n);
	for (i = 0; i < n; i++)
		own[i] = p[i] != 0;
	return own;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

WqTensor *onnx_tensor(OnnxModel *m, WqArena *a, const Onnx__TensorProto *t)
{
	WqTensor *to = WQ_NEW(a, WqTensor);
	char what[256];
	snprintf(what, sizeof what, "%s: tensor '%.100s'", m->path, name_of(t));
	if (!wq_dtype_valid(t->data_type))
		wq_fail(WQ_EINPUT, "%s: element type %d is none of ONNX's", what, t->data_type);
	if (t->segment)
		wq_fail(WQ_EUNSUPPORTED, "%s: tensors in segments are not supported", what);
	to->dtype = (WqDtype)t->data_type;
	to->packed = wq_dtype(to->dtype)->bits < 8;
	int64_t count = wq_shape_count(t->n_dims > WQ_MAX_RANK ? WQ_MAX_RANK + 1 : (int)t->n_dims, t->dims, what);
	to->rank = (int)t->n_dims;
	for (int i = 0; i < to->rank; i++)
		to->dim[i] = t->dims[i];
	const void *p;
	if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
		if (to->dtype == WQ_STR)
			wq_fail(WQ_EINPUT, "%s: strings cannot be external data", what);
		p = external_data(m, t, to);
	} else {
		p = t->has_raw_data ? from_ref(m, t, to) : from_typed(m, a, t, to);
	}
	if (to->dtype == WQ_BOOL)
		p = clean_bools(a, p, (size_t)count);
	to->data = count ? (void *)p : (void *)nothing;
	return to;
}

/* Where element k of a sparse tensor goes: a linear index, or one index a dimension. */
static int64_t sparse_place(const WqTensor *to, const WqTensor *at, int64_t k, const char *what)
{
	int64_t place = 0, count = wq_tensor_count(to);
	if (at->rank == 1) {
		place = wq_tensor_get_i(at, k);
	} else {
		for (int i = 0; i < to->rank; i++) {
			int64_t x = wq_tensor_get_i(at, k * to->rank + i);
			if (x < 0 || x >= to->dim[i])
				wq_fail(WQ_EINPUT, "%s: index %lld is outside of dimension %d", what, (long long)x, i);
			place = place * to->dim[i] + x;
		}
	}
	if (place < 0 || place >= count)
		wq_fail(WQ_EINPUT, "%s: index %lld is outside of the shape", what, (long long)place);
	return place;
}

WqTensor *onnx_sparse_tensor(OnnxModel *m, WqArena *a, const Onnx__SparseTensorProto *t)
{
	if (!t->values || !t->indices)
		wq_fail(WQ_EINPUT, "%s: a sparse tensor without values or indices", m->path);
	WqTensor *v = onnx_tensor(m, a, t->values), *at = onnx_tensor(m, a, t->indices), *to = WQ_NEW(a, WqTensor);
	char what[256];
	snprintf(what, sizeof what, "%s: sparse tensor '%.100s'", m->path, name_of(t->values));
	int64_t count = wq_shape_count(t->n_dims > WQ_MAX_RANK ? WQ_MAX_RANK + 1 : (int)t->n_dims, t->dims, what);
	bool linear = at->rank == 1, full = at->rank == 2 && at->dim[1] == (int64_t)t->n_dims;
	if (at->dtype != WQ_I64 || v->rank != 1 || !(linear || full) || at->dim[0] != v->dim[0])
		wq_fail(WQ_EINPUT, "%s: indices must be i64[N] or i64[N,rank] for N values", what);
	if (v->dtype == WQ_STR)
		wq_fail(WQ_EINPUT, "%s: strings cannot be sparse", what);
	to->dtype = v->dtype;
	to->rank = (int)t->n_dims;
	for (int i = 0; i < to->rank; i++)
		to->dim[i] = t->dims[i];
	size_t size = wq_dtype_size(v->dtype);
	uint8_t *from = v->data;
	if (v->packed) {
		from = wq_alloc_n(a, (size_t)v->dim[0], 1);
		wq_unpack(v->dtype, v->data, from, v->dim[0]);
	}
	uint8_t *out = to->data = wq_alloc_n(a, (size_t)count, size);
	for (int64_t k = 0; k < v->dim[0]; k++)
		memcpy(out + (size_t)sparse_place(to, at, k, what) * size, from + (size_t)k * size, size);
	return to;
}
