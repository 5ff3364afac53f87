/* numpy's files: an array or an archive of them. */
#include "frontend/frontend.h"
#include "tests/fuzz/fuzz.h"

static void use(const WqTensor *t)
{
	const uint8_t *p = t->data;
	uint64_t sum = 0;
	for (size_t i = 0, n = wq_tensor_bytes(t); i < n; i++)
		sum += p[i];
	if (sum == 1)
		wq_fail(WQ_EINPUT, "the sum is used");
}

static void array(WqArena *a, const uint8_t *p, size_t n)
{
	WqTensor *t = wq_npy_parse(a, p, n, "x");
	use(t);
	if (t->dtype == WQ_U8)
		wq_tensor_as(a, t, WQ_U4, "x");
	wq_npy_write(a, "/dev/null", t);
}

static void archive(WqArena *a, const uint8_t *p, size_t n)
{
	int count;
	WqFileValue *v = wq_npz_parse(a, p, n, "x", &count);
	for (int i = 0; i < count; i++)
		use(v[i].t);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	fuzz_one(n && p[0] == 'P' ? archive : array, p, n);
	return 0;
}
