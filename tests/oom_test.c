/* oom_test: a failing allocator swept over the first allocations of everything the library does: each one ends in an error, nothing
 * leaks, and the next attempt works. */
#include "tests/test.h"
#include "wqcc.h"

enum { SWEEP = 3000 };

static long left; /* allocations until one fails; < 0: none does */

static bool deny(size_t n)
{
	(void)n;
	return left >= 0 && left-- == 0;
}

static wqcc_tensor zeros(const wqcc_port *p, const float *data, size_t room)
{
	wqcc_tensor t = { .name = p->name, .dtype = p->dtype, .rank = p->rank, .data = data, .bytes = sizeof *data };
	for (int i = 0; i < p->rank; i++) {
		t.dim[i] = p->dim[i] < 0 ? 1 : p->dim[i];
		t.bytes *= (size_t)t.dim[i];
	}
	CHECK(t.bytes <= room);
	return t;
}

/* Everything once; the code of the first failure, or 0. */
static int whole_way(const char *path)
{
	static const float data[1 << 14];
	wqcc_error err = { 0 };
	wqcc_model *m = wqcc_load_file(path, NULL, &err);
	if (!m)
		return err.code;
	int rc = wqcc_run_passes(m, "clean", &err);
	if (!rc) {
		wqcc_port port;
		rc = wqcc_input(m, 0, &port) ? WQCC_MEMORY : 0;
		if (!rc) {
			wqcc_tensor t = zeros(&port, data, sizeof data);
			wqcc_values *y = wqcc_evaluate(m, &t, 1, &err);
			rc = y ? 0 : err.code;
			wqcc_values_free(y);
		}
	}
	if (!rc) {
		char *text = wqcc_inspect(m, 1, &err);
		rc = text ? 0 : err.code;
		wqcc_text_free(text);
	}
	if (!rc)
		rc = wqcc_emit(m, WQCC_IR, "/dev/null", &err);
	if (!rc)
		rc = wqcc_emit(m, WQCC_ONNX, "/dev/null", &err);
	wqcc_free(m);
	return rc;
}

static void sweep(const char *path)
{
	left = -1;
	int64_t before = wq_alloc_live();
	wq_alloc_set_deny(deny);
	int failures = 0;
	for (long k = 0; k < SWEEP; k++) {
		left = k;
		int rc = whole_way(path);
		bool failed = left < 0; /* the k-th allocation took place, and was denied */
		CHECK_MSG(rc == (failed ? WQCC_MEMORY : 0), "%s: allocation %ld denied: code %d", path, k, rc);
		int64_t live = wq_alloc_live();
		CHECK_MSG(live == before, "%s: allocation %ld denied: %lld blocks leak", path, k, (long long)(live - before));
		before = live;
		failures += failed;
		if (!failed)
			break;
	}
	wq_alloc_set_deny(NULL);
	CHECK(failures > 100);
}

TEST(cnn) { sweep("models/digits/model.onnx"); }
TEST(recurrent) { sweep("models/tones/model.onnx"); }

TEST_MAIN(TEST_RUN(cnn) TEST_RUN(recurrent))
