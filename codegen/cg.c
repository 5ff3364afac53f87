/* cg.c: a module, its types and constants. */
#include "codegen/cg_impl.h"

#include <stdlib.h>

static const char *const kind_names[CG_KINDS] = {"void", "i1", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64", "ptr"};

static void note(Cg *c, const char *text)
{
	size_t n = strlen(text);
	char *p = realloc(c->notes, c->n_notes + n + 2);
	if (!p)
		return;
	memcpy(p + c->n_notes, text, n);
	p[c->n_notes + n] = '\n';
	p[c->n_notes + n + 1] = 0;
	c->notes = p;
	c->n_notes += n + 1;
}

/* LLVM's complaints must not unwind through its frames, so nothing here can fail: they are kept until cg_emit looks. */
static void complain(LLVMDiagnosticInfoRef info, void *arg)
{
	Cg *c = arg;
	LLVMDiagnosticSeverity severity = LLVMGetDiagInfoSeverity(info);
	if (severity != LLVMDSError && severity != LLVMDSWarning)
		return;
	char *text = LLVMGetDiagInfoDescription(info);
	if (severity == LLVMDSWarning)
		note(c, text);
	else if (!c->trouble[0])
		snprintf(c->trouble, sizeof c->trouble, "%s", text);
	LLVMDisposeMessage(text);
}

static void dispose(void *arg)
{
	Cg *c = arg;
	if (c->b)
		LLVMDisposeBuilder(c->b);
	if (c->mod)
		LLVMDisposeModule(c->mod);
	if (c->tm)
		LLVMDisposeTargetMachine(c->tm);
	LLVMContextDispose(c->ctx);
	free(c->notes);
}

static void make_types(Cg *c)
{
	LLVMTypeRef *t = c->prim;
	t[CG_VOID] = LLVMVoidTypeInContext(c->ctx);
	t[CG_I1] = LLVMInt1TypeInContext(c->ctx);
	t[CG_I8] = LLVMInt8TypeInContext(c->ctx);
	t[CG_I16] = LLVMInt16TypeInContext(c->ctx);
	t[CG_I32] = LLVMInt32TypeInContext(c->ctx);
	t[CG_I64] = LLVMInt64TypeInContext(c->ctx);
	t[CG_F16] = LLVMHalfTypeInContext(c->ctx);
	t[CG_BF16] = LLVMBFloatTypeInContext(c->ctx);
	t[CG_F32] = LLVMFloatTypeInContext(c->ctx);
	t[CG_F64] = LLVMDoubleTypeInContext(c->ctx);
	t[CG_PTR] = LLVMPointerTypeInContext(c->ctx, 0);
}

static void set_layout(Cg *c)
{
	LLVMTargetDataRef data = LLVMCreateTargetDataLayout(c->tm);
	LLVMSetModuleDataLayout(c->mod, data);
	LLVMDisposeTargetData(data);
	LLVMSetTarget(c->mod, c->t->triple);
	if (c->t->abi[0]) {
		LLVMValueRef abi = LLVMMDStringInContext(c->ctx, c->t->abi, (unsigned)strlen(c->t->abi));
		LLVMAddModuleFlag(c->mod, LLVMModuleFlagBehaviorError, "target-abi", strlen("target-abi"), LLVMValueAsMetadata(abi));
	}
}

Cg *cg_new(const WqTarget *t, const char *name, WqArena *a)
{
	Cg *c = WQ_NEW(a, Cg);
	c->t = t;
	c->a = a;
	cg_llvm_init();
	c->ctx = LLVMContextCreate();
	wq_defer(a, dispose, c);
	LLVMContextSetDiagnosticHandler(c->ctx, complain, c);
	c->mod = LLVMModuleCreateWithNameInContext(name, c->ctx);
	c->b = LLVMCreateBuilderInContext(c->ctx);
	c->tm = cg_machine(t, 3);
	make_types(c);
	set_layout(c);
	return c;
}

const WqTarget *cg_target(const Cg *c) { return c->t; }
WqArena *cg_arena(const Cg *c) { return c->a; }

/* ---- types ------------------------------------------------------------------------------------------ */

LLVMTypeRef cg_llvm_type(Cg *c, CgType t)
{
	LLVMTypeRef e = c->prim[t.kind];
	WQ_ASSERT(t.lanes >= 1);
	return t.lanes == 1 ? e : LLVMVectorType(e, (unsigned)t.lanes);
}

static CgKind int_kind(unsigned width)
{
	switch (width) {
	case 1: return CG_I1;
	case 8: return CG_I8;
	case 16: return CG_I16;
	case 32: return CG_I32;
	case 64: return CG_I64;
	default: WQ_BUG("an integer of %u bits", width);
	}
}

static CgKind kind_of(LLVMTypeRef t)
{
	switch (LLVMGetTypeKind(t)) {
	case LLVMVoidTypeKind: return CG_VOID;
	case LLVMHalfTypeKind: return CG_F16;
	case LLVMBFloatTypeKind: return CG_BF16;
	case LLVMFloatTypeKind: return CG_F32;
	case LLVMDoubleTypeKind: return CG_F64;
	case LLVMPointerTypeKind: return CG_PTR;
	case LLVMIntegerTypeKind: return int_kind(LLVMGetIntTypeWidth(t));
	default: WQ_BUG("LLVM type of kind %d", (int)LLVMGetTypeKind(t));
	}
}

CgType cg_type(Cg *c, CgVal v)
{
	(void)c;
	LLVMTypeRef t = LLVMTypeOf(v);
	if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
		return cg_t(kind_of(LLVMGetElementType(t)), (int)LLVMGetVectorSize(t));
	return cg_t(kind_of(t), 1);
}

int cg_lanes(Cg *c, CgVal v) { return cg_type(c, v).lanes; }

int cg_kind_bytes(const Cg *c, CgKind k)
{
	static const int8_t bytes[CG_KINDS] = {[CG_I1] = 1, [CG_I8] = 1, [CG_I16] = 2, [CG_I32] = 4, [CG_I64] = 8,
		[CG_F16] = 2, [CG_BF16] = 2, [CG_F32] = 4, [CG_F64] = 8};
	return k == CG_PTR ? c->t->index_bits / 8 : bytes[k];
}

bool cg_is_float(CgKind k) { return k >= CG_F16 && k <= CG_F64; }
CgKind cg_index(const Cg *c) { return c->t->index_bits == 64 ? CG_I64 : CG_I32; }

/* ---- constants -------------------------------------------------------------------------------------- */

CgVal cg_idx(Cg *c, int64_t v) { return LLVMConstInt(c->prim[cg_index(c)], (unsigned long long)v, true); }

CgVal cg_int(Cg *c, CgType t, int64_t v)
{
	if (cg_is_float(t.kind))
		return cg_float(c, t, (double)v);
	return cg_splat(c, LLVMConstInt(c->prim[t.kind], (unsigned long long)v, true), t.lanes);
}

CgVal cg_float(Cg *c, CgType t, double v)
{
	if (!cg_is_float(t.kind))
		WQ_BUG("cg_float of %s", kind_names[t.kind]);
	return cg_splat(c, LLVMConstReal(c->prim[t.kind], v), t.lanes);
}

CgVal cg_zero(Cg *c, CgType t) { return LLVMConstNull(cg_llvm_type(c, t)); }
CgVal cg_undef(Cg *c, CgType t) { return LLVMGetUndef(cg_llvm_type(c, t)); }
CgVal cg_null(Cg *c) { return LLVMConstNull(c->prim[CG_PTR]); }

CgVal cg_iota(Cg *c, CgType t)
{
	if (t.lanes == 1)
		return cg_zero(c, t);
	CgVal *lane = WQ_NEW_N(c->a, CgVal, t.lanes);
	for (int i = 0; i < t.lanes; i++)
		lane[i] = cg_int(c, cg_t(t.kind, 1), i);
	return LLVMConstVector(lane, (unsigned)t.lanes);
}

bool cg_const(CgVal v, int64_t *out)
{
	if (!LLVMIsAConstantInt(v))
		return false;
	*out = LLVMConstIntGetSExtValue(v);
	return true;
}

bool cg_splat_const(CgVal v, int64_t *out)
{
	if (LLVMGetTypeKind(LLVMTypeOf(v)) != LLVMVectorTypeKind)
		return cg_const(v, out);
	if (!LLVMIsConstant(v))
		return false;
	unsigned n = LLVMGetVectorSize(LLVMTypeOf(v));
	LLVMValueRef first = LLVMGetAggregateElement(v, 0);
	for (unsigned i = 1; first && i < n; i++)
		if (LLVMGetAggregateElement(v, i) != first)
			return false;
	return first && cg_const(first, out);
}

/* Private data; equal constants become one. */
static LLVMValueRef add_constant(Cg *c, LLVMValueRef init, const char *name)
{
	LLVMValueRef g = LLVMAddGlobal(c->mod, LLVMTypeOf(init), name);
	LLVMSetInitializer(g, init);
	LLVMSetLinkage(g, LLVMPrivateLinkage);
	LLVMSetGlobalConstant(g, true);
	LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
	return g;
}

CgVal cg_table(Cg *c, CgKind k, int n, const void *data)
{
	unsigned bytes = (unsigned)(n * cg_kind_bytes(c, k));
	LLVMValueRef g = add_constant(c, LLVMConstStringInContext2(c->ctx, data, bytes, true), "table");
	LLVMSetAlignment(g, 64);
	return g;
}

CgVal cg_string(Cg *c, const char *s) { return add_constant(c, LLVMConstStringInContext2(c->ctx, s, strlen(s), false), "string"); }

CgVal cg_data(Cg *c, const char *name, int n, CgVal *field)
{
	LLVMValueRef g = add_constant(c, LLVMConstStructInContext(c->ctx, field, (unsigned)n, false), name ? name : "data");
	if (name) {
		LLVMSetLinkage(g, LLVMExternalLinkage);
		LLVMSetUnnamedAddress(g, LLVMNoUnnamedAddr);
	}
	return g;
}
