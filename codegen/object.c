/* object.c: LLVM's machinery: target machines, passes, the bytes of an object. */
#include "codegen/cg_impl.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <pthread.h>
#include <stdlib.h>

/* LLVM is about to abort. Nothing can be unwound through its frames, so the reason is all that is left to give. */
static void fatal(const char *reason)
{
	fprintf(stderr, "wqcc: LLVM failed: %s\nThis is a mistake in wqcc, not in the model.\n", reason);
	abort();
}

#define START(arch) \
	LLVMInitialize##arch##TargetInfo(); \
	LLVMInitialize##arch##Target(); \
	LLVMInitialize##arch##TargetMC(); \
	LLVMInitialize##arch##AsmPrinter();

static void init(void)
{
	START(X86)
	START(AArch64)
	START(ARM)
	START(RISCV)
	START(WebAssembly)
	LLVMInstallFatalErrorHandler(fatal);
}

void cg_llvm_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init);
}

static char *taken(WqArena *a, char *s)
{
	char *copy = wq_strdup(a, s);
	LLVMDisposeMessage(s);
	return copy;
}

const char *wq_native_cpu(WqArena *a) { return taken(a, LLVMGetHostCPUName()); }
const char *wq_native_features(WqArena *a) { return taken(a, LLVMGetHostCPUFeatures()); }

LLVMTargetMachineRef cg_machine(const WqTarget *t, int level)
{
	static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelDefault,
		LLVMCodeGenLevelAggressive};
	LLVMTargetRef target;
	char *err = NULL;
	if (LLVMGetTargetFromTriple(t->triple, &target, &err))
		WQ_BUG("triple %s: %s", t->triple, err);
	LLVMTargetMachineOptionsRef o = LLVMCreateTargetMachineOptions();
	LLVMTargetMachineOptionsSetCPU(o, t->cpu);
	LLVMTargetMachineOptionsSetFeatures(o, t->features);
	LLVMTargetMachineOptionsSetABI(o, t->abi);
	LLVMTargetMachineOptionsSetCodeGenOptLevel(o, levels[level]);
	LLVMTargetMachineOptionsSetRelocMode(o, t->bare_metal ? LLVMRelocStatic : LLVMRelocPIC);
	LLVMTargetMachineOptionsSetCodeModel(o, t->family == WQ_RISCV ? LLVMCodeModelMedium : LLVMCodeModelDefault);
	LLVMTargetMachineRef tm = LLVMCreateTargetMachineWithOptions(target, t->triple, o);
	LLVMDisposeTargetMachineOptions(o);
	if (!tm)
		WQ_BUG("LLVM has no machine for %s", t->triple);
	return tm;
}

static void verify(Cg *c)
{
	char *text = NULL;
	if (LLVMVerifyModule(c->mod, LLVMReturnStatusAction, &text)) {
		if (getenv("WQCC_DUMP_IR"))
			LLVMDumpModule(c->mod);
		WQ_BUG("the module is not valid: %s", text);
	}
	LLVMDisposeMessage(text);
}

static void run_passes(Cg *c, const char *passes, bool fast)
{
	LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
	LLVMPassBuilderOptionsSetLoopVectorization(o, fast);
	LLVMPassBuilderOptionsSetSLPVectorization(o, fast);
	LLVMPassBuilderOptionsSetLoopInterleaving(o, fast);
	LLVMPassBuilderOptionsSetLoopUnrolling(o, fast);
	LLVMErrorRef e = LLVMRunPasses(c->mod, passes, c->tm, o);
	LLVMDisposePassBuilderOptions(o);
	if (e)
		WQ_BUG("passes %s: %s", passes, LLVMGetErrorMessage(e));
}

void cg_optimize(Cg *c, int level, bool size)
{
	WQ_ASSERT(level >= 0 && level <= 3 && !c->body && !c->optimized);
	c->optimized = true;
	verify(c);
	if (level != 3) {
		LLVMDisposeTargetMachine(c->tm);
		c->tm = NULL;
		c->tm = cg_machine(c->t, level);
	}
	run_passes(c, size && level > 0 ? "default<Os>" : wq_sprintf(c->a, "default<O%d>", level), level >= 2 && !size);
}

bool cg_optimized(const Cg *c) { return c->optimized; }

/* The attribute that asks for frames' sizes is ours: in text for others it would only make their tools warn. */
static void ask_for_frames(Cg *c, bool ask)
{
	for (LLVMValueRef fn = LLVMGetFirstFunction(c->mod); fn; fn = LLVMGetNextFunction(fn)) {
		if (LLVMIsDeclaration(fn))
			continue;
		if (ask)
			cg_add_string_attr(c, fn, CG_FRAME_ATTR, "0");
		else
			LLVMRemoveStringAttributeAtIndex(fn, LLVMAttributeFunctionIndex, CG_FRAME_ATTR, strlen(CG_FRAME_ATTR));
	}
}

static void *emit_text(Cg *c, size_t *n)
{
	ask_for_frames(c, false);
	char *s = taken(c->a, LLVMPrintModuleToString(c->mod));
	ask_for_frames(c, true);
	*n = strlen(s);
	return s;
}

void *cg_emit(Cg *c, int what, size_t *n)
{
	LLVMMemoryBufferRef buffer;
	char *err = NULL;
	if (what == CG_LLVM)
		return emit_text(c, n);
	if (LLVMTargetMachineEmitToMemoryBuffer(c->tm, c->mod, what == CG_ASSEMBLY ? LLVMAssemblyFile : LLVMObjectFile, &err, &buffer))
		WQ_BUG("no code for %s: %s", c->t->name, err);
	if (c->trouble[0])
		wq_fail(WQ_EUNSUPPORTED, "no code for %s: %s", c->t->name, c->trouble);
	*n = LLVMGetBufferSize(buffer);
	void *copy = wq_alloc(c->a, *n + 1);
	memcpy(copy, LLVMGetBufferStart(buffer), *n);
	LLVMDisposeMemoryBuffer(buffer);
	cg_read_frames(c);
	if (what == CG_OBJECT && c->t->family == WQ_RISCV && c->t->vector_f32)
		cg_note_vector_frames(c, copy, *n);
	return copy;
}
