/* Lowering and shape rules: a model is imported, with folding; what comes out verifies and survives every pass. */
#include "engine/engine.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include "tests/fuzz/fuzz.h"

static void close_model(void *m) { onnx_close(m); }
static void free_module(void *m) { wq_module_free(m); }

static void import(WqArena *a, const uint8_t *p, size_t n)
{
	OnnxModel *model = onnx_open_memory(p, n, NULL);
	wq_defer(a, close_model, model);
	ImportOptions o = { .fold = wq_engine_fold };
	WqModule *m = onnx_import(model, &o);
	wq_defer(a, free_module, m);
	WqStr faults = { .a = a };
	if (!wq_verify(m, &faults))
		WQ_BUG("the importer made a broken graph: %s", faults.s);
	wq_passes(m, "opt");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	fuzz_one(import, p, n);
	return 0;
}
