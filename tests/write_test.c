/* The writer: nothing changes that was not asked for. */
#include <unistd.h>

#include "frontend/frontend.h"
#include "tests/onnx_text.h"
#include "tests/test.h"

static const char text[] =
	"<opset_import: [\"\" : 18]>\n"
	"main (float[2,3] x, bool c) => (float[2,3] z)\n"
	"<float[3] w = {1, 2, 3}, float[3] v = {4, 5, 6}>\n"
	"{\n"
	"  k = Constant <value = float[3] {7, 8, 9}> ()\n"
	"  y = Add(x, w)\n"
	"  u = Add(y, k)\n"
	"  z = If (c) <then_branch = a () => (float[2,3] p) <float[3] q = {1, 1, 1}> { p = Mul(u, q) },\n"
	"              else_branch = b () => (float[2,3] r) { r = Mul(u, v) }>\n"
	"}\n";

static char *in_dir(WqArena *a, const char *name) { return wq_sprintf(a, "%s/%s", test_dir(), name); }

static OnnxModel *write_and_open(WqArena *a, OnnxModel *m, const OnnxChange *c)
{
	char *path = in_dir(a, "out.onnx");
	onnx_write(m, c, path);
	return onnx_open(path);
}

static WqTensor tensor(WqDtype t, int64_t n, void *data)
{
	return (WqTensor){ .dtype = t, .rank = 1, .dim = { n }, .data = data };
}

static const Onnx__TensorProto *initializer(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_initializer; i++)
		if (!strcmp(g->initializer[i]->name, name))
			return g->initializer[i];
	return NULL;
}

TEST(no_change)
{
	WqArena *a = wq_arena_new();
	WqMapped f = onnx_text(a, text);
	/* with fields that nobody knows */
	WqStr s = { .a = a };
	wq_str_write(&s, f.p, f.n);
	wire_put_text(&s, 200, "later");
	OnnxModel *m = onnx_open_memory(s.s, s.n, NULL);
	onnx_write(m, NULL, in_dir(a, "same.onnx"));
	WqMapped out = wq_file_map(a, in_dir(a, "same.onnx"));
	CHECK(out.n == s.n && !memcmp(out.p, s.s, s.n));
	onnx_close(m);
	wq_arena_free(a);
}

TEST(an_initializer_becomes_nodes)
{
	WqArena *a = wq_arena_new();
	WqMapped f = onnx_text(a, text);
	OnnxModel *m = onnx_open_memory(f.p, f.n, NULL);
	WqStr node = { .a = a };
	onnx_put_node(&node, "Gather", NULL, "decode w", 2, (const char *[]){ "w.book", "w.map" }, 1,
		      (const char *[]){ "w" });
	onnx_put_attr_int(&node, "axis", 0);
	WqTensor book = tensor(WQ_F32, 2, (float[]){ 1.5f, 2.5f }), map = tensor(WQ_U4, 3, (uint8_t[]){ 0, 1, 1 });
	OnnxNamed added[] = { { "w.book", &book }, { "w.map", &map } };
	OnnxEdit e = { .drop = "w", .n_nodes = 1, .nodes = &node, .n_tensors = 2, .tensors = added };
	OnnxPair meta[] = { { "wqcc", "1" } };
	OnnxImport imports[] = { { "ai.onnx", 13 }, { "com.microsoft", 1 } };
	OnnxChange c = { .n_edits = 1,
			 .edits = &e,
			 .n_meta = 1,
			 .meta = meta,
			 .n_imports = 2,
			 .imports = imports,
			 .ir_version = 10 };
	OnnxModel *o = write_and_open(a, m, &c);
	const Onnx__GraphProto *g = o->proto->graph;
	CHECK_EQ(g->n_node, m->proto->graph->n_node + 1);
	CHECK(!strcmp(g->node[0]->op_type, "Gather") && g->node[0]->attribute[0]->i == 0);
	CHECK(!strcmp(g->node[1]->op_type, "Constant"));
	CHECK(!initializer(g, "w") && initializer(g, "v"));
	WqTensor *got = onnx_tensor(o, a, initializer(g, "w.map"));
	CHECK(got->dtype == WQ_U4 && wq_tensor_get_i(got, 2) == 1);
	CHECK(wq_tensor_get_f(onnx_tensor(o, a, initializer(g, "w.book")), 1) == 2.5);
	CHECK_EQ(o->proto->ir_version, 10);
	CHECK_EQ(o->proto->n_opset_import, 2);
	CHECK(o->proto->n_metadata_props == 1 && !strcmp(o->proto->metadata_props[0]->value, "1"));
	/* Once more, with the same key. */
	meta[0].value = "2";
	c = (OnnxChange){ .n_meta = 1, .meta = meta };
	OnnxModel *o2 = write_and_open(a, o, &c);
	CHECK(o2->proto->n_metadata_props == 1 && !strcmp(o2->proto->metadata_props[0]->value, "2"));
	onnx_close(o2);
	onnx_close(o);
	onnx_close(m);
	wq_arena_free(a);
}

TEST(constants_and_nested_graphs)
{
	WqArena *a = wq_arena_new();
	WqMapped f = onnx_text(a, text);
	OnnxModel *m = onnx_open_memory(f.p, f.n, NULL);
	const Onnx__NodeProto *branch = m->proto->graph->node[3];
	WqTensor k = tensor(WQ_F32, 3, (float[]){ 1, 2, 3 }), q = tensor(WQ_F32, 3, (float[]){ 4, 5, 6 });
	OnnxNamed new_k = { "k", &k }, new_q = { "q", &q };
	OnnxEdit e[] = { { .drop = "k", .n_tensors = 1, .tensors = &new_k },
			 { .graph = branch->attribute[0]->g, .drop = "q", .n_tensors = 1, .tensors = &new_q } };
	OnnxChange c = { .n_edits = 2, .edits = e };
	OnnxModel *o = write_and_open(a, m, &c);
	const Onnx__GraphProto *g = o->proto->graph, *inner = g->node[2]->attribute[0]->g;
	CHECK_EQ(g->n_node, 3);
	CHECK(wq_tensor_get_f(onnx_tensor(o, a, initializer(g, "k")), 2) == 3);
	CHECK(inner->n_initializer == 1 && wq_tensor_get_f(onnx_tensor(o, a, inner->initializer[0]), 2) == 6);
	CHECK(!strcmp(g->node[2]->attribute[1]->g->name, "b"));
	onnx_close(o);
	e[0].drop = "nothing";
	CHECK_ERROR(WQ_EINPUT, "no initializer or Constant 'nothing'", onnx_write(m, &c, in_dir(a, "bad.onnx")));
	CHECK(access(in_dir(a, "bad.onnx"), F_OK) != 0);
	OnnxImport newer = { "", 99 };
	c = (OnnxChange){ .n_imports = 1, .imports = &newer };
	CHECK_ERROR(WQ_EUNSUPPORTED, "needs 99", onnx_write(m, &c, in_dir(a, "bad.onnx")));
	onnx_close(m);
	wq_arena_free(a);
}

/* ---- external data ------------------------------------------------------------------------------------ */

static void put_external(WqStr *g, const char *name, int64_t n, const char *location, long long offset)
{
	WqStr t = { .a = g->a };
	const char *pair[][2] = { { "location", location }, { "offset", wq_sprintf(g->a, "%lld", offset) },
				  { "length", wq_sprintf(g->a, "%lld", (long long)n * 4) } };
	wire_put_int(&t, 1, n);
	wire_put_int(&t, 2, WQ_F32);
	wire_put_text(&t, 8, name);
	for (int i = 0; i < 3; i++) {
		WqStr e = { .a = g->a };
		wire_put_text(&e, 1, pair[i][0]);
		wire_put_text(&e, 2, pair[i][1]);
		wire_put_bytes(&t, 13, e.s, e.n);
	}
	wire_put_int(&t, 14, 1);
	wire_put_bytes(g, 5, t.s, t.n);
}

enum { N = 5000 };

/* Three tensors of N floats in one file, one in another. */
static const char *make_external(WqArena *a)
{
	const char *dir = in_dir(a, "from");
	WqStr g = { .a = a }, m = { .a = a };
	CHECK(!system(wq_sprintf(a, "mkdir -p '%s/sub' '%s'", dir, in_dir(a, "to"))));
	WqFileOut *f = wq_file_create(a, wq_sprintf(a, "%s/w.bin", dir));
	for (int i = 0; i < 3 * N; i++)
		wq_file_write(f, &(float){ (float)i }, 4);
	wq_file_commit(f);
	f = wq_file_create(a, wq_sprintf(a, "%s/sub/x.bin", dir));
	wq_file_write(f, (float[]){ 1, 2 }, 8);
	wq_file_commit(f);
	put_external(&g, "a", N, "w.bin", 0);
	put_external(&g, "b", N, "w.bin", 4 * N);
	put_external(&g, "c", N, "w.bin", 8 * N);
	put_external(&g, "x", 2, "sub/x.bin", 0);
	wire_put_int(&m, 1, 8);
	wire_put_bytes(&m, 7, g.s, g.n);
	f = wq_file_create(a, wq_sprintf(a, "%s/m.onnx", dir));
	wq_file_write(f, m.s, m.n);
	wq_file_commit(f);
	return wq_sprintf(a, "%s/m.onnx", dir);
}

static double last(OnnxModel *o, WqArena *a, const char *name)
{
	WqTensor *t = onnx_tensor(o, a, initializer(o->proto->graph, name));
	return wq_tensor_get_f(t, wq_tensor_count(t) - 1);
}

TEST(external_files_go_along)
{
	WqArena *a = wq_arena_new();
	OnnxModel *m = onnx_open(make_external(a));
	onnx_write(m, NULL, in_dir(a, "to/all.onnx"));
	OnnxModel *o = onnx_open(in_dir(a, "to/all.onnx"));
	CHECK(last(o, a, "a") == N - 1 && last(o, a, "c") == 3 * N - 1 && last(o, a, "x") == 2);
	CHECK(o->file.n == m->file.n && !memcmp(o->file.p, m->file.p, m->file.n));
	onnx_close(o);
	/* Without b: its bytes stay behind. */
	WqTensor t = tensor(WQ_F32, 1, (float[]){ 8 });
	OnnxNamed added = { "b2", &t };
	OnnxEdit e = { .drop = "b", .n_tensors = 1, .tensors = &added };
	OnnxChange c = { .n_edits = 1, .edits = &e, .external = 4 };
	onnx_write(m, &c, in_dir(a, "to/less.onnx"));
	o = onnx_open(in_dir(a, "to/less.onnx"));
	CHECK(last(o, a, "a") == N - 1 && last(o, a, "c") == 3 * N - 1 && last(o, a, "x") == 2 &&
	      last(o, a, "b2") == 8);
	CHECK(!strcmp(onnx_external(o, initializer(o->proto->graph, "b2")).location, "less.onnx.data"));
	CHECK(wq_file_map(a, in_dir(a, "to/w.bin")).n < 2 * 4 * N + 4096);
	onnx_close(o);
	/* Beside the input, the files stay as they are. */
	onnx_write(m, &c, in_dir(a, "from/less.onnx"));
	o = onnx_open(in_dir(a, "from/less.onnx"));
	CHECK(last(o, a, "c") == 3 * N - 1);
	CHECK_EQ(wq_file_map(a, in_dir(a, "from/w.bin")).n, 3 * 4 * N);
	onnx_close(o);
	CHECK_ERROR(WQ_EINPUT, "are the same file", onnx_write(m, NULL, in_dir(a, "from/w.bin")));
	onnx_close(m);
	wq_arena_free(a);
}

TEST(old_models_name_initializers_as_inputs)
{
	WqArena *a = wq_arena_new();
	WqStr g = { .a = a }, m = { .a = a }, w = { .a = a };
	WqTensor t = tensor(WQ_F32, 1, (float[]){ 8 });
	size_t n;
	const void *data = onnx_put_tensor(&w, "w", &t, &n);
	wq_str_write(&w, data, n);
	wire_put_bytes(&g, 5, w.s, w.n);
	WqStr info = { .a = a };
	onnx_put_value_info(&info, "w", &t);
	wire_put_bytes(&g, 11, info.s, info.n);
	wire_put_int(&m, 1, 3);
	wire_put_bytes(&m, 7, g.s, g.n);
	OnnxModel *old = onnx_open_memory(m.s, m.n, NULL);
	OnnxNamed added = { "w2", &t };
	OnnxEdit e = { .drop = "w", .n_tensors = 1, .tensors = &added };
	OnnxChange c = { .n_edits = 1, .edits = &e };
	OnnxModel *o = write_and_open(a, old, &c);
	CHECK(o->proto->graph->n_input == 1 && !strcmp(o->proto->graph->input[0]->name, "w2"));
	onnx_close(o);
	c.ir_version = 4;
	o = write_and_open(a, old, &c);
	CHECK(o->proto->graph->n_input == 0 && o->proto->ir_version == 4);
	onnx_close(o);
	onnx_close(old);
	wq_arena_free(a);
}

static OnnxModel *starving;

static void write_starving(WqArena *a)
{
	WqTensor t = tensor(WQ_I4, 3, (int8_t[]){ 1, 2, 3 });
	OnnxNamed added = { "b2", &t };
	OnnxEdit e = { .drop = "b", .n_tensors = 1, .tensors = &added };
	OnnxChange c = { .n_edits = 1, .edits = &e, .external = 1 };
	onnx_write(starving, &c, in_dir(a, "to/starved.onnx"));
}

TEST(failing_allocations)
{
	WqArena *a = wq_arena_new();
	starving = onnx_open(make_external(a));
	test_sweep(write_starving);
	CHECK(!system(wq_sprintf(a, "cd '%s' && ! ls *.tmp* 2>/dev/null", in_dir(a, "to"))));
	onnx_close(starving);
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(no_change)
	  TEST_RUN(an_initializer_becomes_nodes)
	  TEST_RUN(constants_and_nested_graphs)
	  TEST_RUN(external_files_go_along)
	  TEST_RUN(old_models_name_initializers_as_inputs)
	  TEST_RUN(failing_allocations))
