/* cg_memory.c: addresses, loads and stores, whole and in part. */
#include "codegen/cg_impl.h"

CgVal cg_at(Cg *c, CgKind k, CgVal ptr, CgVal index)
{
	int64_t i;
	WQ_ASSERT(k != CG_I1);
	if (cg_const(index, &i) && i == 0)
		return ptr;
	return LLVMBuildInBoundsGEP2(c->b, c->prim[k], ptr, &index, 1, "");
}

CgVal cg_ati(Cg *c, CgKind k, CgVal ptr, int64_t index) { return cg_at(c, k, ptr, cg_idx(c, index)); }

static unsigned alignment(const Cg *c, CgKind k, int align) { return (unsigned)(align ? align : cg_kind_bytes(c, k)); }

CgVal cg_load(Cg *c, CgType t, CgVal ptr, int align)
{
	WQ_ASSERT(t.kind != CG_I1);
	CgVal v = LLVMBuildLoad2(c->b, cg_llvm_type(c, t), ptr, "");
	LLVMSetAlignment(v, alignment(c, t.kind, align));
	return v;
}

void cg_store(Cg *c, CgVal v, CgVal ptr, int align)
{
	CgKind k = cg_type(c, v).kind;
	WQ_ASSERT(k != CG_I1);
	LLVMSetAlignment(LLVMBuildStore(c->b, v, ptr), alignment(c, k, align));
}

/* ---- parts of vectors ------------------------------------------------------------------------------------ */

/* Has the CPU a masked load and store of such a vector? */
static bool maskable(const Cg *c, CgType t)
{
	int bytes = cg_kind_bytes(c, t.kind), size = bytes * t.lanes;
	const WqTarget *g = c->t;
	if (!g->masked || t.kind == CG_PTR || (t.lanes & (t.lanes - 1)) != 0 || size < 8 || size > g->vector_bytes)
		return false;
	switch (g->family) {
	case WQ_X86: return size >= 16 && (bytes >= 4 || wq_target_has(g, "avx512bw")) && (size == 64 || bytes >= 4 || wq_target_has(g, "avx512vl"));
	case WQ_CORTEX_M: return size == 16 && bytes <= 4 && (!cg_is_float(t.kind) || g->vector_f32);
	default: return true;
	}
}

static CgVal first_lanes(Cg *c, int lanes, CgVal n)
{
	return cg_cmp(c, CG_LT, cg_iota(c, cg_t(cg_index(c), lanes)), n);
}

static CgVal masked_load(Cg *c, CgType t, CgVal ptr, CgVal n, int align)
{
	CgType types[2] = {t, cg_t(CG_PTR, 1)};
	CgVal args[4] = {ptr, cg_int(c, cg_t(CG_I32, 1), alignment(c, t.kind, align)), first_lanes(c, t.lanes, n), cg_zero(c, t)};
	return cg_intrinsic(c, "llvm.masked.load", 2, types, 4, args);
}

static void masked_store(Cg *c, CgVal v, CgVal ptr, CgVal n, int align)
{
	CgType t = cg_type(c, v), types[2] = {t, cg_t(CG_PTR, 1)};
	CgVal args[4] = {v, ptr, cg_int(c, cg_t(CG_I32, 1), alignment(c, t.kind, align)), first_lanes(c, t.lanes, n)};
	cg_intrinsic(c, "llvm.masked.store", 2, types, 4, args);
}

static void copy_elements(Cg *c, CgKind k, CgVal to, CgVal from, CgVal n)
{
	CgVal i = cg_for(c, cg_idx(c, 0), n, 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	cg_store(c, cg_load(c, cg_t(k, 1), cg_at(c, k, from, i), 0), cg_at(c, k, to, i), 0);
	cg_end(c);
}

static CgVal load_known(Cg *c, CgType t, CgVal ptr, int64_t n)
{
	CgVal v = cg_zero(c, t);
	for (int i = 0; i < n; i++)
		v = cg_insert(c, v, cg_load(c, cg_t(t.kind, 1), cg_ati(c, t.kind, ptr, i), 0), i);
	return v;
}

/* Whole vectors are loaded as such; for the last part of a row elements gather on the stack. */
static CgVal stacked_load(Cg *c, CgType t, CgVal ptr, CgVal n, int align)
{
	int bytes = cg_kind_bytes(c, t.kind);
	CgVal slot = cg_stack(c, t.kind, t.lanes, bytes * t.lanes > 16 ? 16 : bytes);
	CgVar v = cg_var(c, cg_undef(c, t));
	cg_if(c, cg_cmp(c, CG_GE, n, cg_idx(c, t.lanes)));
	cg_set(c, v, cg_load(c, t, ptr, align));
	cg_else(c);
	cg_store(c, cg_zero(c, t), slot, bytes);
	copy_elements(c, t.kind, slot, ptr, n);
	cg_set(c, v, cg_load(c, t, slot, bytes));
	cg_end(c);
	return cg_get(c, v);
}

CgVal cg_load_part(Cg *c, CgType t, CgVal ptr, CgVal n, int align)
{
	int64_t k;
	if (cg_const(n, &k) && (k <= 0 || k >= t.lanes))
		return k <= 0 ? cg_zero(c, t) : cg_load(c, t, ptr, align);
	if (t.lanes > 1 && maskable(c, t))
		return masked_load(c, t, ptr, n, align);
	if (cg_const(n, &k) && k <= 8)
		return load_known(c, t, ptr, k);
	return stacked_load(c, t, ptr, n, align);
}

static void stacked_store(Cg *c, CgVal v, CgVal ptr, CgVal n, int align)
{
	CgType t = cg_type(c, v);
	int bytes = cg_kind_bytes(c, t.kind);
	CgVal slot = cg_stack(c, t.kind, t.lanes, bytes * t.lanes > 16 ? 16 : bytes);
	cg_if(c, cg_cmp(c, CG_GE, n, cg_idx(c, t.lanes)));
	cg_store(c, v, ptr, align);
	cg_else(c);
	cg_store(c, v, slot, bytes);
	copy_elements(c, t.kind, ptr, slot, n);
	cg_end(c);
}

void cg_store_part(Cg *c, CgVal v, CgVal ptr, CgVal n, int align)
{
	int64_t k;
	CgType t = cg_type(c, v);
	bool known = cg_const(n, &k);
	if (known && k >= t.lanes)
		cg_store(c, v, ptr, align);
	else if (t.lanes > 1 && maskable(c, t) && !(known && k <= 0))
		masked_store(c, v, ptr, n, align);
	else if (known && k <= 8)
		for (int i = 0; i < k; i++)
			cg_store(c, cg_extract(c, v, i), cg_ati(c, t.kind, ptr, i), 0);
	else
		stacked_store(c, v, ptr, n, align);
}

static CgVal masked_gather(Cg *c, CgType t, CgVal ptr, CgVal index)
{
	CgType types[2] = {t, cg_t(CG_PTR, t.lanes)};
	CgVal at = LLVMBuildInBoundsGEP2(c->b, c->prim[t.kind], ptr, &index, 1, "");
	CgVal args[4] = {at, cg_int(c, cg_t(CG_I32, 1), cg_kind_bytes(c, t.kind)), cg_int(c, cg_t(CG_I1, t.lanes), 1), cg_undef(c, t)};
	return cg_intrinsic(c, "llvm.masked.gather", 2, types, 4, args);
}

CgVal cg_gather(Cg *c, CgKind k, CgVal ptr, CgVal index)
{
	CgType t = cg_t(k, cg_lanes(c, index));
	if (t.lanes == 1)
		return cg_load(c, t, cg_at(c, k, ptr, index), 0);
	if (c->t->gather && cg_kind_bytes(c, k) >= 4 && (t.lanes & (t.lanes - 1)) == 0)
		return masked_gather(c, t, ptr, index);
	CgVal v = cg_undef(c, t);
	for (int i = 0; i < t.lanes; i++)
		v = cg_insert(c, v, cg_load(c, cg_t(k, 1), cg_at(c, k, ptr, cg_extract(c, index, i)), 0), i);
	return v;
}

/* ---- blocks of memory ----------------------------------------------------------------------------------- */

/* Bytes one by one is what LLVM makes vectors of; small CPUs get words where both sides allow it. */
static void copy_words(Cg *c, CgFn *f, CgVar done)
{
	CgKind ix = cg_index(c);
	CgVal a = LLVMBuildPtrToInt(c->b, f->param[0], c->prim[ix], ""), b = LLVMBuildPtrToInt(c->b, f->param[1], c->prim[ix], "");
	cg_if(c, cg_cmp(c, CG_EQ, cg_and(c, cg_or(c, a, b), cg_idx(c, 3)), cg_idx(c, 0)));
	CgVal words = cg_divi(c, f->param[2], 4), i = cg_for(c, cg_idx(c, 0), words, 1);
	cg_store(c, cg_load(c, cg_t(CG_I32, 1), cg_at(c, CG_I32, f->param[1], i), 4), cg_at(c, CG_I32, f->param[0], i), 4);
	cg_end(c);
	cg_set(c, done, cg_muli(c, words, 4));
	cg_end(c);
}

static void copy_body(Cg *c, CgFn *f)
{
	cg_add_attr(c, f->value, 1, "noalias", 0);
	cg_add_attr(c, f->value, 2, "noalias", 0);
	cg_add_attr(c, f->value, 2, "readonly", 0);
	CgVar done = cg_var(c, cg_idx(c, 0));
	if (c->t->vector_bytes < 16)
		copy_words(c, f, done);
	CgVal i = cg_for(c, cg_get(c, done), f->param[2], 1);
	cg_store(c, cg_load(c, cg_t(CG_I8, 1), cg_at(c, CG_I8, f->param[1], i), 1), cg_at(c, CG_I8, f->param[0], i), 1);
	cg_end(c);
	cg_return(c, NULL);
}

/* n bytes in the largest pieces there are: LLVM's own memcpy would call the library on small CPUs. */
static void move_few(Cg *c, CgVal to, CgVal from, CgVal fill, int64_t n)
{
	static const CgKind kind[] = {CG_I64, CG_I32, CG_I16, CG_I8};
	int64_t at = 0;
	for (int i = 0; i < WQ_COUNTOF(kind); i++) {
		CgType t = {kind[i], 1};
		for (int bytes = cg_kind_bytes(c, kind[i]); n - at >= bytes; at += bytes) {
			CgVal v = from ? cg_load(c, t, cg_ati(c, CG_I8, from, at), 1) : cg_mul(c, fill, cg_int(c, cg_t(CG_I64, 1), 0x0101010101010101));
			cg_store(c, cg_resize(c, v, kind[i], false), cg_ati(c, CG_I8, to, at), 1);
		}
	}
}

void cg_memcpy(Cg *c, CgVal to, CgVal from, CgVal bytes)
{
	CgType params[3] = {{CG_PTR, 1}, {CG_PTR, 1}, {cg_index(c), 1}};
	int64_t n;
	if (cg_const(bytes, &n) && n <= 32)
		move_few(c, to, from, NULL, n);
	else
		cg_call(c, cg_shared(c, "wq_copy", cg_t(CG_VOID, 1), 3, params, copy_body), 3, (CgVal[]){to, from, bytes});
}

static void fill_body(Cg *c, CgFn *f)
{
	CgVal i = cg_for(c, cg_idx(c, 0), f->param[2], 1);
	cg_store(c, f->param[1], cg_at(c, CG_I8, f->param[0], i), 1);
	cg_end(c);
	cg_return(c, NULL);
}

void cg_memset(Cg *c, CgVal to, int byte, CgVal bytes)
{
	CgType params[3] = {{CG_PTR, 1}, {CG_I8, 1}, {cg_index(c), 1}};
	int64_t n;
	if (cg_const(bytes, &n) && n <= 32)
		move_few(c, to, NULL, cg_int(c, cg_t(CG_I64, 1), byte & 255), n);
	else
		cg_call(c, cg_shared(c, "wq_fill", cg_t(CG_VOID, 1), 3, params, fill_body), 3, (CgVal[]){to, cg_int(c, cg_t(CG_I8, 1), byte), bytes});
}

void cg_prefetch(Cg *c, CgVal ptr, int locality)
{
	CgType type = cg_t(CG_PTR, 1), i32 = cg_t(CG_I32, 1);
	CgVal args[4] = {ptr, cg_int(c, i32, 0), cg_int(c, i32, locality), cg_int(c, i32, 1)};
	if (c->t->family == WQ_X86 || c->t->family == WQ_AARCH64 || c->t->family == WQ_ARM)
		cg_intrinsic(c, "llvm.prefetch", 1, &type, 4, args);
}
