/* A model, and as a value file: opened, every tensor read, edited, written. */
#include "frontend/frontend.h"
#include "tests/fuzz/fuzz.h"

static OnnxModel *model;

static void close_model(void *p)
{
	(void)p;
	onnx_close(model);
	model = NULL;
}

static void open_model(WqArena *a, const uint8_t *p, size_t n)
{
	model = onnx_open_memory(p, n, "/nonexistent");
	wq_defer(a, close_model, NULL);
}

static void read_tensors(WqArena *a, const uint8_t *p, size_t n)
{
	open_model(a, p, n);
	const Onnx__GraphProto *g = model->proto->graph;
	uint64_t sum = 0;
	for (size_t i = 0; i < g->n_initializer; i++) {
		WqTensor *t = onnx_tensor(model, a, g->initializer[i]);
		size_t bytes = wq_tensor_bytes(t);
		for (size_t k = 0; k < bytes; k++)
			sum += ((const uint8_t *)t->data)[k];
	}
	for (size_t i = 0; i < g->n_sparse_initializer; i++)
		sum += wq_tensor_bytes(onnx_sparse_tensor(model, a, g->sparse_initializer[i]));
	if (sum == 1)
		wq_fail(WQ_EINPUT, "the sum is used");
}

static void write_same(WqArena *a, const uint8_t *p, size_t n)
{
	open_model(a, p, n);
	onnx_write(model, NULL, "/dev/null");
}

static void write_edited(WqArena *a, const uint8_t *p, size_t n)
{
	open_model(a, p, n);
	const Onnx__GraphProto *g = model->proto->graph;
	WqTensor t = { .dtype = WQ_I4, .rank = 1, .dim = { 3 }, .data = (int8_t[]){ 1, -2, 3 } };
	OnnxNamed fresh = { "fresh", &t };
	OnnxPair meta = { "key", "value" };
	OnnxImport import = { "wqcc", 1 };
	OnnxEdit e = { .drop = g->n_initializer ? g->initializer[0]->name : NULL, .n_tensors = 1, .tensors = &fresh };
	for (size_t i = 0; i < g->n_node; i++) /* a nested graph where there is one */
		for (size_t k = 0; k < g->node[i]->n_attribute; k++)
			if (g->node[i]->attribute[k]->g)
				e = (OnnxEdit){ .graph = g->node[i]->attribute[k]->g,
						.n_tensors = 1,
						.tensors = &fresh };
	OnnxChange c = { .n_edits = 1,
			 .edits = &e,
			 .n_meta = 1,
			 .meta = &meta,
			 .n_imports = 1,
			 .imports = &import,
			 .ir_version = 10 };
	onnx_write(model, &c, "/dev/null");
}

static void value(WqArena *a, const uint8_t *p, size_t n)
{
	WqType want = { .kind = n ? p[0] % 3 : 0 };
	wq_pb_parse(a, p, n, &want, "value");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	fuzz_one(read_tensors, p, n);
	fuzz_one(write_same, p, n);
	fuzz_one(write_edited, p, n);
	fuzz_one(value, p, n);
	return 0;
}
