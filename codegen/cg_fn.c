/* cg_fn.c: functions, calls, intrinsics. */
#include "codegen/cg_impl.h"

void cg_add_attr(Cg *c, LLVMValueRef fn, unsigned at, const char *name, uint64_t value)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
	if (!kind) /* a newer LLVM has renamed it */
		WQ_BUG("LLVM has no attribute %s", name);
	LLVMAddAttributeAtIndex(fn, at, LLVMCreateEnumAttribute(c->ctx, kind, value));
}

void cg_add_string_attr(Cg *c, LLVMValueRef fn, const char *name, const char *value)
{
	LLVMAttributeRef a = LLVMCreateStringAttribute(c->ctx, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
	LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex, a);
}

/* The CPU is said again at each function: what LLVM's passes ask. Loops stay loops: there is no library to call. */
static void describe(Cg *c, LLVMValueRef fn, int flags)
{
	const WqTarget *t = c->t;
	if (t->cpu[0])
		cg_add_string_attr(c, fn, "target-cpu", t->cpu);
	cg_add_string_attr(c, fn, "target-features", t->features);
	cg_add_string_attr(c, fn, "no-builtins", "");
	cg_add_string_attr(c, fn, "no-trapping-math", "true");
	cg_add_string_attr(c, fn, CG_FRAME_ATTR, "0");
	if (t->family == WQ_X86) {
		const char *bits = wq_sprintf(c->a, "%d", t->vector_bytes * 8);
		cg_add_string_attr(c, fn, "prefer-vector-width", bits);
		cg_add_string_attr(c, fn, "min-legal-vector-width", bits);
	}
	cg_add_attr(c, fn, LLVMAttributeFunctionIndex, "nounwind", 0);
	cg_add_attr(c, fn, LLVMAttributeFunctionIndex, "mustprogress", 0);
	if (flags & CG_COLD)
		cg_add_attr(c, fn, LLVMAttributeFunctionIndex, "cold", 0);
	if (flags & CG_INLINE)
		cg_add_attr(c, fn, LLVMAttributeFunctionIndex, "alwaysinline", 0);
	if (flags & CG_NOINLINE)
		cg_add_attr(c, fn, LLVMAttributeFunctionIndex, "noinline", 0);
}

static LLVMTypeRef fn_type(Cg *c, CgType ret, int n, const CgType *params)
{
	LLVMTypeRef *t = WQ_NEW_N(c->a, LLVMTypeRef, n + 1);
	for (int i = 0; i < n; i++)
		t[i] = cg_llvm_type(c, params[i]);
	return LLVMFunctionType(cg_llvm_type(c, ret), t, (unsigned)n, false);
}

/* The function of that name, declared on first use. */
static LLVMValueRef declare(Cg *c, const char *name, LLVMTypeRef type)
{
	LLVMValueRef fn = LLVMGetNamedFunction(c->mod, name);
	if (!fn)
		return LLVMAddFunction(c->mod, name, type);
	if (LLVMGlobalGetValueType(fn) != type)
		WQ_BUG("%s has two types", name);
	return fn;
}

static void describe_params(Cg *c, CgFn *f, const CgType *params, uint64_t noalias, uint64_t readonly)
{
	for (int i = 0; i < f->n; i++) {
		unsigned at = (unsigned)i + 1;
		f->param[i] = LLVMGetParam(f->value, (unsigned)i);
		cg_add_attr(c, f->value, at, "noundef", 0);
		if (params[i].kind != CG_PTR || params[i].lanes > 1)
			continue;
		if (noalias >> i & 1)
			cg_add_attr(c, f->value, at, "noalias", 0);
		if (readonly >> i & 1) {
			cg_add_attr(c, f->value, at, "readonly", 0);
			cg_add_attr(c, f->value, at, "nocapture", 0);
		}
	}
}

/* Each function has its own section, so that linkers drop what nobody calls. */
static void place(Cg *c, LLVMValueRef fn, const char *name, int flags)
{
	LLVMSetLinkage(fn, flags & CG_EXPORT ? LLVMExternalLinkage : LLVMInternalLinkage);
	LLVMSetUnnamedAddress(fn, LLVMLocalUnnamedAddr);
	if (c->t->family != WQ_WASM)
		LLVMSetSection(fn, wq_sprintf(c->a, ".text.%s", name));
}

void cg_fn_begin(Cg *c, CgFn *f, const char *name, CgType ret, int n, const CgType *params, uint64_t noalias, uint64_t readonly, int flags)
{
	WQ_ASSERT(n <= WQ_COUNTOF(f->param));
	f->value = declare(c, name, fn_type(c, ret, n, params));
	f->n = n;
	if (LLVMCountBasicBlocks(f->value))
		WQ_BUG("function %s is defined twice", name);
	place(c, f->value, name, flags);
	describe(c, f->value, flags);
	describe_params(c, f, params, noalias, readonly);
	CgBody *body = WQ_NEW(c->a, CgBody);
	body->fn = f->value;
	body->up = c->body;
	if (body->up)
		body->up->at = LLVMGetInsertBlock(c->b);
	LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(c->ctx, f->value, "entry");
	LLVMBasicBlockRef start = LLVMAppendBasicBlockInContext(c->ctx, f->value, "");
	LLVMPositionBuilderAtEnd(c->b, entry);
	body->entry_end = LLVMBuildBr(c->b, start);
	LLVMPositionBuilderAtEnd(c->b, start);
	CgScope s = {.kind = SCOPE_FN, .id = c->next_scope++};
	WQ_PUSH(c->a, body->scopes, s);
	c->body = body;
}

void cg_return(Cg *c, CgVal v)
{
	WQ_ASSERT(c->body && c->body->scopes.n == 1);
	if (v)
		LLVMBuildRet(c->b, v);
	else
		LLVMBuildRetVoid(c->b);
}

void cg_fn_end(Cg *c)
{
	WQ_ASSERT(c->body && c->body->scopes.n == 1);
	if (!LLVMGetBasicBlockTerminator(LLVMGetInsertBlock(c->b)))
		WQ_BUG("%s does not return", LLVMGetValueName(c->body->fn));
	c->body = c->body->up;
	if (c->body)
		LLVMPositionBuilderAtEnd(c->b, c->body->at);
}

CgVal cg_shared(Cg *c, const char *name, CgType ret, int n, const CgType *params, void (*emit)(Cg *c, CgFn *f))
{
	LLVMValueRef fn = LLVMGetNamedFunction(c->mod, name);
	if (fn)
		return fn;
	CgFn f;
	cg_fn_begin(c, &f, name, ret, n, params, 0, 0, CG_NOINLINE);
	emit(c, &f);
	cg_fn_end(c);
	return f.value;
}

/* ---- calls -------------------------------------------------------------------------------------------- */

CgVal cg_call(Cg *c, CgVal fn, int n, CgVal *args)
{
	return LLVMBuildCall2(c->b, LLVMGlobalGetValueType(fn), fn, args, (unsigned)n, "");
}

CgVal cg_call_ptr(Cg *c, CgVal ptr, CgType ret, int n, CgVal *args)
{
	CgType *params = WQ_NEW_N(c->a, CgType, n + 1);
	for (int i = 0; i < n; i++)
		params[i] = cg_type(c, args[i]);
	return LLVMBuildCall2(c->b, fn_type(c, ret, n, params), ptr, args, (unsigned)n, "");
}

CgVal cg_extern(Cg *c, const char *name, CgType ret, int n, const CgType *params)
{
	LLVMValueRef fn = declare(c, name, fn_type(c, ret, n, params));
	cg_add_attr(c, fn, LLVMAttributeFunctionIndex, "nounwind", 0);
	return fn;
}

CgVal cg_extern_data(Cg *c, const char *name)
{
	LLVMValueRef g = LLVMGetNamedGlobal(c->mod, name);
	if (!g) {
		g = LLVMAddGlobal(c->mod, c->prim[CG_I8], name);
		LLVMSetVisibility(g, LLVMHiddenVisibility); /* in the same program: no table of addresses */
		LLVMSetGlobalConstant(g, true);
		LLVMSetAlignment(g, 64);
	}
	return g;
}

/* ---- intrinsics --------------------------------------------------------------------------------------- */

static CgVal call_by_id(Cg *c, unsigned id, LLVMTypeRef *types, int n_type, int n, CgVal *args)
{
	LLVMValueRef fn = LLVMGetIntrinsicDeclaration(c->mod, id, types, (size_t)n_type);
	return LLVMBuildCall2(c->b, LLVMIntrinsicGetType(c->ctx, id, types, (size_t)n_type), fn, args, (unsigned)n, "");
}

CgVal cg_call_intrinsic(Cg *c, const char *name, CgVal v, CgVal x, CgVal y, CgVal z)
{
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMTypeRef type = LLVMTypeOf(v);
	CgVal args[3] = {x, y, z};
	WQ_ASSERT(id);
	return call_by_id(c, id, &type, 1, z ? 3 : y ? 2 : 1, args);
}

CgVal cg_intrinsic(Cg *c, const char *name, int n_type, const CgType *types, int n, CgVal *args)
{
	unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMTypeRef t[8];
	if (!id || (n_type == 0) == (bool)LLVMIntrinsicIsOverloaded(id))
		WQ_BUG("intrinsic %s: %s", name, id ? "wrong number of overload types" : "LLVM has none of this name");
	WQ_ASSERT(n_type <= WQ_COUNTOF(t));
	cg_need_intrinsic(c->t, name);
	for (int i = 0; i < n_type; i++)
		t[i] = cg_llvm_type(c, types[i]);
	return call_by_id(c, id, t, n_type, n, args);
}
