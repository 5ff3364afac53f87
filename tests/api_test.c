/* api_test: the public interface: its errors, inputs by name and by order, memory models, and different models on different threads. */
#include "ir/tensor.h"
#include "tests/test.h"
#include "wqcc.h"

#include <locale.h>
#include <pthread.h>
#include <unistd.h>

static const char digits[] = "models/digits/model.onnx", tones[] = "models/tones/model.onnx";

static wqcc_model *load(const char *path, const char *dim)
{
	wqcc_error err = { 0 };
	wqcc_options o = { .dims = &dim, .n_dims = dim != NULL, .threads = 1 };
	wqcc_model *m = wqcc_load_file(path, &o, &err);
	CHECK_MSG(m, "%s", err.message);
	return m;
}

/* The first output for a ramp of the input's size; n floats at most. */
static size_t ramp_through(wqcc_model *m, float *out, size_t room)
{
	static float data[1 << 12];
	wqcc_port port;
	wqcc_error err = { 0 };
	CHECK(wqcc_input(m, 0, &port) == 0);
	wqcc_tensor t = { .name = port.name, .dtype = port.dtype, .rank = port.rank, .data = data, .bytes = 4 };
	for (int i = 0; i < port.rank; i++) {
		t.dim[i] = port.dim[i] < 0 ? 1 : port.dim[i];
		t.bytes *= (size_t)t.dim[i];
	}
	wqcc_values *y = wqcc_evaluate(m, &t, 1, &err);
	if (!y || t.bytes > sizeof data)
		return 0;
	const wqcc_tensor *r = wqcc_values_tensor(y, 0);
	size_t n = r->bytes / 4 < room ? r->bytes / 4 : room;
	memcpy(out, r->data, n * 4);
	wqcc_values_free(y);
	return n;
}

TEST(ports_and_order)
{
	wqcc_model *m = load(digits, NULL);
	wqcc_port p;
	CHECK(wqcc_num_inputs(m) == 1 && wqcc_num_outputs(m) == 1);
	CHECK(wqcc_input(m, 0, &p) == 0 && !strcmp(p.name, "image") && p.dtype == 1 && p.rank == 4 && p.dim[0] == -1 && p.dim[3] == 28);
	CHECK(!strcmp(p.type, "f32[batch,1,28,28]"));
	CHECK(wqcc_input(m, 1, &p) == -1 && wqcc_input(m, -1, &p) == -1 && wqcc_output(m, 1, &p) == -1);
	float named[10], ordered[10];
	static float zeros[28 * 28];
	CHECK(ramp_through(m, named, 10) == 10);
	wqcc_tensor t = { .dtype = 1, .rank = 4, .dim = { 1, 1, 28, 28 }, .data = zeros, .bytes = sizeof zeros };
	wqcc_error err;
	wqcc_values *y = wqcc_evaluate(m, &t, 1, &err);
	memcpy(ordered, wqcc_values_tensor(y, 0)->data, sizeof ordered);
	CHECK(!memcmp(named, ordered, sizeof named));
	CHECK(!wqcc_values_tensor(y, 1) && !wqcc_values_tensor(y, -1));
	int64_t peak, live;
	wqcc_memory(m, &peak, &live);
	CHECK(live > 0 && peak >= live && peak < 2 * live);
	wqcc_values_free(y);
	wqcc_free(m);
	wqcc_free(NULL);
	wqcc_values_free(NULL);
}

TEST(errors)
{
	wqcc_error err = { 0 };
	static float zeros[28 * 28];
	CHECK(!wqcc_load_file("no/such.onnx", NULL, &err) && err.code == WQCC_INPUT && strstr(err.message, "no/such.onnx"));
	CHECK(!wqcc_load_memory("nonsense", 8, NULL, NULL, &err) && err.code == WQCC_INPUT);
	CHECK(!wqcc_load_memory("nonsense", 8, NULL, NULL, NULL)); /* nobody asks why */
	const char *bad_dim = "batch";
	wqcc_options o = { .dims = &bad_dim, .n_dims = 1 };
	CHECK(!wqcc_load_file(digits, &o, &err) && strstr(err.message, "NAME=N"));
	wqcc_model *m = load(digits, NULL);
	const wqcc_tensor cases[] = {
		{ .name = "nope", .dtype = 1, .rank = 4, .dim = { 1, 1, 28, 28 }, .data = zeros, .bytes = sizeof zeros },
		{ .name = "image", .dtype = 1, .rank = 4, .dim = { 1, 1, 28, 28 }, .data = zeros, .bytes = 4 },
		{ .name = "image", .dtype = 99, .rank = 4, .dim = { 1, 1, 28, 28 }, .data = zeros, .bytes = sizeof zeros },
		{ .name = "image", .dtype = 1, .rank = 40, .data = zeros, .bytes = sizeof zeros },
		{ .name = "image", .dtype = 1, .rank = 4, .dim = { 1, 1, -28, -28 }, .data = zeros, .bytes = sizeof zeros },
		{ .name = "image", .dtype = 1, .rank = 3, .dim = { 1, 28, 28 }, .data = zeros, .bytes = sizeof zeros },
		{ .name = "image", .dtype = 6, .rank = 4, .dim = { 1, 1, 28, 28 }, .data = zeros, .bytes = sizeof zeros },
		{ .name = "image", .dtype = 1, .rank = 4, .dim = { 1, 1, 14, 56 }, .data = zeros, .bytes = sizeof zeros },
	};
	for (int i = 0; i < WQ_COUNTOF(cases); i++) {
		err.message[0] = 0;
		CHECK(!wqcc_evaluate(m, &cases[i], 1, &err) && err.code == WQCC_INPUT && err.message[0]);
	}
	CHECK(!wqcc_evaluate(m, NULL, 0, &err) && strstr(err.message, "missing"));
	CHECK(wqcc_emit(m, 77, "-", &err) == WQCC_INPUT);
	CHECK(wqcc_emit(m, WQCC_ONNX, "no/such/dir/x.onnx", &err) == WQCC_INPUT);
	CHECK(wqcc_run_passes(m, "fold,nonsense", &err) == WQCC_INPUT && strstr(err.message, "nonsense"));
	float out[10];
	CHECK(ramp_through(m, out, 10) == 10); /* errors leave the model usable */
	wqcc_free(m);
}

TEST(memory_and_passes)
{
	WqArena *a = wq_arena_new();
	WqMapped f = wq_file_map(a, tones);
	wqcc_error err;
	wqcc_model *m = wqcc_load_memory(f.p, f.n, NULL, NULL, &err);
	CHECK(m);
	float before[8] = { 0 }, after[8] = { 0 };
	CHECK(ramp_through(m, before, 8) == 8);
	CHECK(wqcc_run_passes(m, "opt", &err) == 0);
	CHECK(ramp_through(m, after, 8) == 8);
	for (int i = 0; i < 8; i++)
		CHECK(after[i] - before[i] < 1e-4 && before[i] - after[i] < 1e-4);
	char *text = wqcc_inspect(m, 0, &err);
	CHECK(text && strstr(text, "parameters"));
	wqcc_text_free(text);
	wqcc_text_free(NULL);
	wqcc_free(m);
	wq_arena_free(a);
}

/* What runs in: an operator of strings, a constant as an output, an input as an output. */
static const char mixed[] = "const k: f32[2] = {1.5, 2.5}\nconst s: str[1] = {\"b\"}\n"
	"graph (x: f32[2], t: str[1]) {\n  a: f32[2] = Neg(x)\n  u: str[1] = StringConcat(t, s)\n"
	"  return a, k, x, u\n}\n";

static wqcc_model *load_mixed(WqArena *a)
{
	const char *path = wq_sprintf(a, "%s/mixed.ir", test_dir());
	WqFileOut *f = wq_file_create(a, path);
	wq_file_write(f, mixed, sizeof mixed - 1);
	wq_file_commit(f);
	wqcc_error err = { 0 };
	wqcc_model *m = wqcc_load_ir(path, NULL, &err);
	CHECK_MSG(m, "%s", err.message);
	return m;
}

TEST(values_outlive_model_and_inputs)
{
	WqArena *a = wq_arena_new();
	wqcc_model *m = load_mixed(a);
	float *x = wq_raw_alloc(8);
	char *text = wq_raw_alloc(8);
	memcpy(x, (float[]){ 3, 4 }, 8);
	text[0] = 'a';
	WqString s = { text, 1 };
	wqcc_tensor in[] = { { .dtype = WQ_F32, .rank = 1, .dim = { 2 }, .data = x, .bytes = 8 },
		{ .dtype = WQ_STR, .rank = 1, .dim = { 1 }, .data = &s, .bytes = sizeof s } };
	wqcc_error err;
	wqcc_values *y = wqcc_evaluate(m, in, 2, &err);
	CHECK(y && wqcc_values_count(y) == 4);
	wqcc_free(m);
	wq_raw_free(x);
	wq_raw_free(text);
	const float *v[3];
	for (int i = 0; i < 3; i++)
		v[i] = wqcc_values_tensor(y, i)->data;
	CHECK(v[0][1] == -4 && v[1][0] == 1.5F && v[1][1] == 2.5F && v[2][0] == 3);
	const WqString *u = wqcc_values_tensor(y, 3)->data;
	CHECK(u->n == 2 && !memcmp(u->p, "ab", 2));
	wqcc_values_free(y);
	wq_arena_free(a);
}

/* Where numbers have a comma, texts of ours still have a point. */
TEST(locale_of_the_host)
{
	WqArena *a = wq_arena_new();
	const char *dir = test_dir();
	setenv("LOCPATH", dir, 1);
	if (system(wq_sprintf(a, "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1", dir)) ||
		!setlocale(LC_ALL, "de_DE.UTF-8")) {
		printf("SKIP: locale_of_the_host: no source of de_DE (package locales)\n");
		wq_arena_free(a);
		return;
	}
	wqcc_model *m = load_mixed(a);
	wqcc_error err = { 0 };
	const char *out = wq_sprintf(a, "%s/out.ir", dir);
	CHECK_MSG(!wqcc_emit(m, WQCC_IR, out, &err), "%s", err.message);
	WqMapped text = wq_file_map(a, out);
	CHECK(strstr(wq_strndup(a, (const char *)text.p, text.n), "{1.5, 2.5}"));
	char comma[8];
	snprintf(comma, sizeof comma, "%.1f", 1.5);
	CHECK(!strcmp(comma, "1,5")); /* the thread has its own back */
	setlocale(LC_ALL, "C");
	wqcc_free(m);
	wq_arena_free(a);
}

typedef struct Job {
	const char *path;
	float out[10];
	bool same;
} Job;

/* Loads, cleans and evaluates a model of its own again and again. */
static void *work(void *arg)
{
	Job *j = arg;
	j->same = true;
	for (int i = 0; i < 10; i++) {
		wqcc_error err;
		wqcc_model *m = wqcc_load_file(j->path, NULL, &err);
		float out[10] = { 0 };
		if (!m || wqcc_run_passes(m, "clean", &err) || !ramp_through(m, out, 8) || memcmp(out, j->out, 8 * sizeof *out))
			j->same = false;
		wqcc_free(m);
	}
	return NULL;
}

TEST(models_on_threads)
{
	Job jobs[4] = { { .path = digits }, { .path = tones }, { .path = digits }, { .path = tones } };
	pthread_t t[4];
	for (int i = 0; i < 4; i++) {
		wqcc_error err;
		wqcc_model *m = wqcc_load_file(jobs[i].path, NULL, &err);
		CHECK(m && wqcc_run_passes(m, "clean", &err) == 0 && ramp_through(m, jobs[i].out, 8) == 8);
		wqcc_free(m);
	}
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, work, &jobs[i]) == 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		CHECK_MSG(jobs[i].same, "%s on thread %d", jobs[i].path, i);
	}
}

TEST_MAIN(TEST_RUN(ports_and_order) TEST_RUN(errors) TEST_RUN(memory_and_passes) TEST_RUN(values_outlive_model_and_inputs)
	TEST_RUN(locale_of_the_host) TEST_RUN(models_on_threads))
