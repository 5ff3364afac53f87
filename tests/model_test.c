/* Opening models: what the wire scan refuses, where tensors keep their data. */
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "frontend/frontend.h"
#include "tests/test.h"

static WqArena *arena;

/* A model whose graph is these bytes. */
static WqStr model_of(const WqStr *graph)
{
	WqStr m = { .a = arena };
	wire_put_int(&m, 1, 8);
	wire_put_bytes(&m, 7, graph->s, graph->n);
	return m;
}

/* A model of one initializer, a TensorProto of these bytes. */
static WqStr model_with(const WqStr *tensor)
{
	WqStr g = { .a = arena };
	wire_put_bytes(&g, 5, tensor->s, tensor->n);
	return model_of(&g);
}

static WqStr tensor_head(int dtype, int rank, const int64_t *dim)
{
	WqStr t = { .a = arena };
	for (int i = 0; i < rank; i++)
		wire_put_int(&t, 1, dim[i]);
	wire_put_int(&t, 2, dtype);
	wire_put_text(&t, 8, "w");
	return t;
}

static OnnxModel *opened;
static WqTensor *read_tensor(const WqStr *tensor, const char *dir)
{
	WqStr m = model_with(tensor);
	onnx_close(opened);
	opened = NULL;
	opened = onnx_open_memory(m.s, m.n, dir);
	return onnx_tensor(opened, opened->arena, opened->proto->graph->initializer[0]);
}

static void open_bytes(const void *p, size_t n) { onnx_close(onnx_open_memory(p, n, NULL)); }

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the scan -------------------------------------------------------------------------------------- */

TEST(nested_types_are_bounded)
{
	WqStr t = { .a = arena };
	for (int i = 0; i < 8000 && t.n < 60000; i++) {
		WqStr up = { .a = arena }, seq = { .a = arena };
		wire_put_bytes(&seq, 1, t.s, t.n);
		wire_put_bytes(&up, 4, seq.s, seq.n);
		t = up;
	}
	WqStr info = { .a = arena }, g = { .a = arena };
	wire_put_bytes(&info, 2, t.s, t.n);
	wire_put_bytes(&g, 11, info.s, info.n);
	WqStr m = model_of(&g);
	CHECK(m.n > 25000);
	double start = seconds();
	CHECK_ERROR(WQ_EINPUT, "nested more than 100 deep", open_bytes(m.s, m.n));
	CHECK(seconds() - start < 0.5);
}

TEST(malformed_messages)
{
	static const struct { const char *p; size_t n; const char *why; } v[] = {
		{ "", 0, "empty" },
		{ "\x08", 1, "cut off at offset 1" },
		{ "\x3a\x05\x01", 3, "claims 5 bytes" },
		{ "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "claims" },
		{ "\x38\x05", 2, "ModelProto.graph has wire type 0" },
		{ "\x3b\x05", 2, "wire type 3" },
		{ "\x00\x05", 2, "field number 0" },
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "more than 10 bytes" },
		{ "\x08\x01", 2, "no graph" },
		{ "\x0a\x00", 2, "ir_version has wire type 2" },
		{ "not a model at all", 18, "protobuf" },
		{ "version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS" },
		{ "\x18\0\0\0ORTM\0\0", 10, "ONNX Runtime" },
	};
	for (int i = 0; i < WQ_COUNTOF(v); i++)
		CHECK_ERROR(WQ_EINPUT, v[i].why, open_bytes(v[i].p, v[i].n));
}

TEST(many_empty_messages_cost_memory)
{
	size_t n = 8u << 20;
	uint8_t *nodes = wq_alloc(arena, n);
	for (size_t i = 0; i < n; i += 2)
		nodes[i] = 1 << 3 | 2;
	WqStr g = { .a = arena, .s = (char *)nodes, .n = n };
	WqStr m = model_of(&g);
	CHECK_ERROR(WQ_EINPUT, "too many messages", open_bytes(m.s, m.n));
}

TEST(truncation_never_passes_silently)
{
	WqStr t = tensor_head(WQ_F32, 1, (int64_t[]){ 3 });
	wire_put_bytes(&t, 9, "123456789012", 12);
	WqStr m = model_with(&t);
	for (size_t n = 0; n < m.n; n++) {
		WqTry try;
		if (WQ_TRY(&try)) {
			open_bytes(m.s, n);
			wq_try_end(&try);
			CHECK(n == 2); /* never: the graph is the last field */
		} else {
			CHECK(try.err.code == WQ_EINPUT);
		}
	}
}

TEST(unknown_fields_are_kept)
{
	WqStr g = { .a = arena };
	wire_put_text(&g, 2, "g");
	wire_put_text(&g, 300, "from the future");
	WqStr m = model_of(&g);
	OnnxModel *o = onnx_open_memory(m.s, m.n, NULL);
	CHECK(o->proto->graph->base.n_unknown_fields == 1 && !strcmp(o->proto->graph->name, "g"));
	onnx_close(o);
}

/* ---- data in the file -------------------------------------------------------------------------------- */

TEST(raw_data_is_a_view)
{
	WqStr t = tensor_head(WQ_F32, 2, (int64_t[]){ 2, 2 });
	wire_put_bytes(&t, 9, (float[]){ 1, 2, 3, 4 }, 16); /* as long as a reference to it */
	WqTensor *v = read_tensor(&t, NULL);
	CHECK(v->dtype == WQ_F32 && v->rank == 2 && wq_tensor_get_f(v, 3) == 4);
	CHECK((const uint8_t *)v->data > opened->file.p && (const uint8_t *)v->data < opened->file.p + opened->file.n);
	t = tensor_head(WQ_F32, 1, (int64_t[]){ 2 });
	wire_put_bytes(&t, 4, (float[]){ 5, 6 }, 8);
	v = read_tensor(&t, NULL);
	CHECK(wq_tensor_get_f(v, 1) == 6 && (const uint8_t *)v->data < opened->file.p + opened->file.n);
}

TEST(packed_floats_in_pieces)
{
	WqStr t = tensor_head(WQ_F32, 1, (int64_t[]){ 3 });
	wire_put_bytes(&t, 4, (float[]){ 1, 2 }, 8);
	wire_put_bytes(&t, 4, (float[]){ 3 }, 4);
	CHECK(wq_tensor_get_f(read_tensor(&t, NULL), 2) == 3);
}

TEST(typed_fields)
{
	static const struct { int dtype, field, n; int64_t v[4]; int64_t want[4]; } c[] = {
		{ WQ_I32, 5, 2, { -1, 7 }, { -1, 7 } },    { WQ_I8, 5, 2, { -128, 127 }, { -128, 127 } },
		{ WQ_U8, 5, 2, { 255, 1 }, { 255, 1 } },   { WQ_I16, 5, 2, { -2, 3 }, { -2, 3 } },
		{ WQ_U16, 5, 2, { 65535, 3 }, { 65535, 3 } }, { WQ_BOOL, 5, 2, { 1, 2 }, { 1, 1 } },
		{ WQ_F16, 5, 2, { 0x3c00, 0xc000 }, { 1, -2 } }, { WQ_BF16, 5, 2, { 0x3f80, 0x4000 }, { 1, 2 } },
		{ WQ_F8E5M2, 5, 2, { 0x3c, 0x40 }, { 1, 2 } }, { WQ_I64, 7, 2, { -5, INT64_MAX }, { -5, INT64_MAX } },
		{ WQ_U32, 11, 2, { 4000000000, 1 }, { 4000000000, 1 } }, { WQ_U64, 11, 2, { 9, 1 }, { 9, 1 } },
	};
	for (int i = 0; i < WQ_COUNTOF(c); i++) {
		WqStr t = tensor_head(c[i].dtype, 1, (int64_t[]){ c[i].n });
		for (int k = 0; k < c[i].n; k++)
			wire_put_int(&t, (uint32_t)c[i].field, c[i].v[k]);
		WqTensor *v = read_tensor(&t, NULL);
		for (int k = 0; k < c[i].n; k++)
			CHECK_EQ(wq_tensor_get_i(v, k), c[i].want[k]);
	}
	WqStr t = tensor_head(WQ_I4, 1, (int64_t[]){ 3 });
	wire_put_int(&t, 5, 0xf1);
	wire_put_int(&t, 5, 0x02);
	WqTensor *v = read_tensor(&t, NULL);
	CHECK(v->packed && wq_tensor_get_i(v, 0) == 1 && wq_tensor_get_i(v, 1) == -1 && wq_tensor_get_i(v, 2) == 2);
	t = tensor_head(WQ_STR, 1, (int64_t[]){ 2 });
	wire_put_text(&t, 6, "a");
	wire_put_text(&t, 6, "");
	v = read_tensor(&t, NULL);
	CHECK(((WqString *)v->data)[0].n == 1 && ((WqString *)v->data)[1].n == 0);
}

TEST(bools_are_0_or_1)
{
	WqStr t = tensor_head(WQ_BOOL, 1, (int64_t[]){ 3 });
	wire_put_bytes(&t, 9, "\x00\x01\xff", 3);
	CHECK(!memcmp(read_tensor(&t, NULL)->data, "\x00\x01\x01", 3));
}

TEST(data_must_fit_the_shape)
{
	WqStr t = tensor_head(WQ_F32, 2, (int64_t[]){ 2, 3 }), u = t;
	wire_put_bytes(&t, 9, "12345678901234567890", 20);
	CHECK_ERROR(WQ_EINPUT, "tensor 'w': f32[2,3] takes 24 bytes, raw_data has 20", read_tensor(&t, NULL));
	t = u;
	t.s = wq_strndup(arena, u.s, u.n);
	t.cap = 0;
	wire_put_bytes(&t, 9, "1234567890123456789012345678", 28);
	CHECK_ERROR(WQ_EINPUT, "raw_data has 28", read_tensor(&t, NULL));
	t = tensor_head(WQ_I64, 1, (int64_t[]){ 3 });
	wire_put_int(&t, 7, 1);
	CHECK_ERROR(WQ_EINPUT, "takes 3 values (24 bytes), int64_data has 1", read_tensor(&t, NULL));
	t = tensor_head(WQ_F32, 2, (int64_t[]){ INT64_MAX / 2, 4 });
	CHECK_ERROR(WQ_EINPUT, "overflows", read_tensor(&t, NULL));
	t = tensor_head(WQ_F32, 1, (int64_t[]){ -1 });
	CHECK_ERROR(WQ_EINPUT, "negative", read_tensor(&t, NULL));
	t = tensor_head(99, 1, (int64_t[]){ 1 });
	CHECK_ERROR(WQ_EINPUT, "element type 99", read_tensor(&t, NULL));
	t = tensor_head(WQ_F32, 0, NULL);
	wire_put_bytes(&t, 9, "1234", 4);
	wire_put_int(&t, 5, 1);
	CHECK_ERROR(WQ_EINPUT, "data twice", read_tensor(&t, NULL));
	t = tensor_head(WQ_I32, 0, NULL);
	wire_put_bytes(&t, 4, "1234", 4);
	CHECK_ERROR(WQ_EINPUT, "cannot stand in float_data", read_tensor(&t, NULL));
	t = tensor_head(WQ_F32, 2, (int64_t[]){ 0, 1 << 30 });
	CHECK_EQ(wq_tensor_count(read_tensor(&t, NULL)), 0);
}

TEST(sparse_tensors)
{
	WqStr v = tensor_head(WQ_F32, 1, (int64_t[]){ 2 }), at = tensor_head(WQ_I64, 2, (int64_t[]){ 2, 2 }),
	      s = { .a = arena }, g = { .a = arena };
	wire_put_bytes(&v, 9, (float[]){ 5, 6 }, 8);
	wire_put_bytes(&at, 9, (int64_t[]){ 0, 1, 2, 0 }, 32);
	wire_put_bytes(&s, 1, v.s, v.n);
	wire_put_bytes(&s, 2, at.s, at.n);
	wire_put_int(&s, 3, 3);
	wire_put_int(&s, 3, 2);
	wire_put_bytes(&g, 15, s.s, s.n);
	WqStr m = model_of(&g);
	OnnxModel *o = onnx_open_memory(m.s, m.n, NULL);
	Onnx__SparseTensorProto *p = o->proto->graph->sparse_initializer[0];
	WqTensor *t = onnx_sparse_tensor(o, o->arena, p);
	CHECK(t->rank == 2 && t->dim[0] == 3 && t->dim[1] == 2);
	CHECK(!memcmp(t->data, (float[]){ 0, 5, 0, 0, 6, 0 }, 24));
	p->dims[0] = 2;
	CHECK_ERROR(WQ_EINPUT, "index 2 is outside", onnx_sparse_tensor(o, o->arena, p));
	onnx_close(o);
}

/* ---- external data ----------------------------------------------------------------------------------- */

static void entry(WqStr *t, const char *key, const char *value)
{
	WqStr e = { .a = arena };
	wire_put_text(&e, 1, key);
	wire_put_text(&e, 2, value);
	wire_put_bytes(t, 13, e.s, e.n);
}

static WqStr external(const char *location, const char *offset, const char *length)
{
	WqStr t = tensor_head(WQ_F32, 1, (int64_t[]){ 2 });
	entry(&t, "location", location);
	if (offset)
		entry(&t, "offset", offset);
	if (length)
		entry(&t, "length", length);
	wire_put_int(&t, 14, 1);
	return t;
}

static void write_file(const char *dir, const char *name, const void *p, size_t n)
{
	WqFileOut *f = wq_file_create(arena, wq_sprintf(arena, "%s/%s", dir, name));
	wq_file_write(f, p, n);
	wq_file_commit(f);
}

TEST(external_data)
{
	const char *dir = test_dir();
	write_file(dir, "w.bin", (float[]){ 1, 2, 3, 4 }, 16);
	WqStr t = external("w.bin", "8", "8");
	CHECK(wq_tensor_get_f(read_tensor(&t, dir), 1) == 4);
	t = external("./w.bin", NULL, NULL);
	CHECK(wq_tensor_get_f(read_tensor(&t, dir), 1) == 2);
	static const struct { const char *location, *offset, *length, *why;
	} bad[] = {
		{ "/etc/passwd", NULL, NULL, "must stay inside" },
		{ "../w.bin", NULL, NULL, "must stay inside" },
		{ "a/../../w.bin", NULL, NULL, "must stay inside" },
		{ "..", NULL, NULL, "must stay inside" },
		{ "", NULL, NULL, "must stay inside" },
		{ "none.bin", NULL, NULL, "No such file" },
		{ "w.bin", "12", "8", "which has 16" },
		{ "w.bin", "18446744073709551615", "8", "which has 16" },
		{ "w.bin", "18446744073709551616", "8", "not a number" },
		{ "w.bin", "-8", "8", "not a number" },
		{ "w.bin", "0", "12", "takes 8 bytes, its external data has 12" },
		{ "w.bin", "8x", "8", "not a number" },
		{ ".", NULL, NULL, "directory" },
	};
	for (int i = 0; i < WQ_COUNTOF(bad); i++) {
		t = external(bad[i].location, bad[i].offset, bad[i].length);
		CHECK_ERROR(WQ_EINPUT, bad[i].why, read_tensor(&t, dir));
	}
	t = external("w.bin", NULL, NULL);
	CHECK_ERROR(WQ_EINPUT, "has no directory", read_tensor(&t, NULL));
}

TEST(links_of_external_data)
{
	const char *dir = wq_sprintf(arena, "%s/sub", test_dir());
	char *cmd = wq_sprintf(arena, "mkdir -p '%s/in'", dir);
	CHECK(!system(cmd));
	write_file(test_dir(), "secret", "12345678", 8);
	write_file(dir, "in/w", "12345678", 8);
	CHECK(!symlink("../secret", wq_sprintf(arena, "%s/out_link", dir)));
	CHECK(!symlink("in/w", wq_sprintf(arena, "%s/in_link", dir)));
	WqStr t = external("out_link", NULL, NULL);
	CHECK_ERROR(WQ_EINPUT, "leads out", read_tensor(&t, dir));
	t = external("in_link", NULL, NULL);
	CHECK(read_tensor(&t, dir) != NULL);
	/* A hub's layout: the model itself is a link, its data stand beside the link's target. */
	t = external("hub_link", NULL, NULL);
	WqStr m = model_with(&t);
	write_file(test_dir(), "blob_model", m.s, m.n);
	CHECK(!symlink("../blob_model", wq_sprintf(arena, "%s/model.onnx", dir)));
	CHECK(!symlink("../secret", wq_sprintf(arena, "%s/hub_link", dir)));
	OnnxModel *o = onnx_open(wq_sprintf(arena, "%s/model.onnx", dir));
	CHECK(onnx_tensor(o, o->arena, o->proto->graph->initializer[0]) != NULL);
	onnx_close(o);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static WqStr starving;

static void open_starving(WqArena *a)
{
	OnnxModel *o = onnx_open_memory(starving.s, starving.n, "dir");
	WqTry t;
	if (WQ_TRY(&t)) {
		onnx_tensor(o, a, o->proto->graph->initializer[0]);
		wq_try_end(&t);
	}
	onnx_close(o);
	if (t.err.code)
		wq_fail(t.err.code, "%s", t.err.text);
}

TEST(failing_allocations)
{
	WqStr t = tensor_head(WQ_I8, 1, (int64_t[]){ 2 });
	wire_put_int(&t, 5, 1);
	wire_put_int(&t, 5, 2);
	starving = model_with(&t);
	test_sweep(open_starving);
}

static void before(void) { arena = wq_arena_new(); }
static void after(void)
{
	onnx_close(opened);
	opened = NULL;
	wq_arena_free(arena);
}

#define RUN(name) before(); TEST_RUN(name) after();
TEST_MAIN(RUN(nested_types_are_bounded)
	  RUN(malformed_messages)
	  RUN(many_empty_messages_cost_memory)
	  RUN(truncation_never_passes_silently)
	  RUN(unknown_fields_are_kept)
	  RUN(raw_data_is_a_view)
	  RUN(packed_floats_in_pieces)
	  RUN(typed_fields)
	  RUN(bools_are_0_or_1)
	  RUN(data_must_fit_the_shape)
	  RUN(sparse_tensors)
	  RUN(external_data)
	  RUN(links_of_external_data)
	  RUN(failing_allocations))
