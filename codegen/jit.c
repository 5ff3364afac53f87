/* jit.c: a program in the memory of this process. The object that would be written is loaded instead. */
#include "codegen/codegen.h"

#include "wqrt.h"

#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>

#include <time.h>

struct WqJit {
	WqProgram *program;
	LLVMOrcLLJITRef jit;
	int32_t (*call)(const wqrt_call *call);
	void *arena, *weights;
	wqrt_pool *pool;
	int pool_threads;
	int64_t *ns, *marks; /* per kernel, of the last call */
};

/* ---- profile: the code calls wqrt_mark(-1), and wqrt_mark(i) after kernel i -------------------------------- */

static _Thread_local WqJit *running;
static _Thread_local int64_t last_mark;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void mark(int32_t kernel)
{
	int64_t t = now();
	if (kernel >= 0 && kernel < running->program->kernels.n)
		running->ns[kernel] += t - last_mark, running->marks[kernel]++;
	last_mark = now();
}

static void fail_on(LLVMErrorRef e, const char *what)
{
	if (!e)
		return;
	char text[1024], *s = LLVMGetErrorMessage(e);
	snprintf(text, sizeof text, "%s", s);
	LLVMDisposeErrorMessage(s);
	WQ_BUG("%s: %s", what, text);
}

/* ---- loading ---------------------------------------------------------------------------------------------- */

static void dispose(void *arg)
{
	WqJit *j = arg;
	LLVMErrorRef e = j->jit ? LLVMOrcDisposeLLJIT(j->jit) : NULL;
	if (e)
		LLVMConsumeError(e);
	wq_raw_free(j->arena);
	wq_raw_free(j->weights);
	wqrt_pool_free(j->pool);
}

static void define_mark(WqJit *j)
{
	LLVMOrcCSymbolMapPair pair = {LLVMOrcLLJITMangleAndIntern(j->jit, "wqrt_mark"),
		{(LLVMOrcExecutorAddress)(uintptr_t)mark, {LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0}}};
	LLVMOrcMaterializationUnitRef unit = LLVMOrcAbsoluteSymbols(&pair, 1);
	fail_on(LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(j->jit), unit), "jit");
}

static void load(WqJit *j)
{
	size_t n;
	const void *bytes = cg_emit(j->program->cg, CG_OBJECT, &n);
	fail_on(LLVMOrcCreateLLJIT(&j->jit, NULL), "jit");
	define_mark(j);
	LLVMMemoryBufferRef object = LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes, n, "model.o");
	fail_on(LLVMOrcLLJITAddObjectFile(j->jit, LLVMOrcLLJITGetMainJITDylib(j->jit), object), "jit");
}

const void *wq_jit_symbol(WqJit *j, const char *name)
{
	LLVMOrcExecutorAddress at = 0;
	fail_on(LLVMOrcLLJITLookup(j->jit, &at, name), name);
	return (const void *)(uintptr_t)at;
}

static void append(void *arg, const void *p, size_t n)
{
	uint8_t **at = arg;
	memcpy(*at, p, n);
	*at += n;
}

static void make_memory(WqJit *j)
{
	const WqProgram *c = j->program;
	j->arena = wq_raw_alloc_dirty((size_t)c->arena_bytes + 64);
	j->weights = wq_raw_alloc_dirty((size_t)c->weights_bytes + 64);
	uint8_t *at = j->weights;
	if (c->weights_bytes)
		wq_program_weights(c, append, &at);
	WQ_ASSERT(at == (uint8_t *)j->weights + c->weights_bytes);
}

WqJit *wq_jit_new(WqProgram *c)
{
	WqJit *j = WQ_NEW(c->a, WqJit);
	j->program = c;
	wq_defer(c->a, dispose, j);
	if (!cg_optimized(c->cg))
		cg_optimize(c->cg, c->o.level, c->o.size);
	load(j);
	j->ns = WQ_NEW_N(c->a, int64_t, c->kernels.n + 1);
	j->marks = WQ_NEW_N(c->a, int64_t, c->kernels.n + 1);
	return j;
}

int wq_jit_call(WqJit *j, const void *const *in, const int64_t *in_dims, void *const *out, int64_t *out_dims, int threads)
{
	const WqProgram *c = j->program;
	if (!j->call) {
		j->call = (int32_t (*)(const wqrt_call *))(uintptr_t)wq_jit_symbol(j, wq_sprintf(c->a, "%s_call", c->o.symbol ? c->o.symbol : "model"));
		make_memory(j);
	}
	if (threads > 1 && j->pool_threads != threads) {
		wqrt_pool_free(j->pool);
		j->pool = wqrt_pool_new(threads);
		j->pool_threads = threads;
	}
	memset(j->ns, 0, sizeof *j->ns * (size_t)c->kernels.n);
	memset(j->marks, 0, sizeof *j->marks * (size_t)c->kernels.n);
	wqrt_call call = {.arena = j->arena, .weights = j->weights, .in = in, .in_dims = in_dims, .out = out, .out_dims = out_dims,
		.pool = threads > 1 ? j->pool : NULL};
	running = j;
	return j->call(&call);
}

const int64_t *wq_jit_profile(const WqJit *j) { return j->ns; }
const int64_t *wq_jit_counts(const WqJit *j) { return j->marks; }
