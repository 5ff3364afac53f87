/* cg_impl.h: inside a Cg. Included by cg*.c, object.c and jit.c alone. */
#ifndef WQ_CG_IMPL_H
#define WQ_CG_IMPL_H

#include "codegen/cg.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

enum { CG_KINDS = CG_PTR + 1 };

typedef enum CgScopeKind { SCOPE_FN, SCOPE_FOR, SCOPE_ONCE, SCOPE_WHILE, SCOPE_IF } CgScopeKind;

typedef struct CgScope {
	CgScopeKind kind;
	int id;
	LLVMBasicBlockRef head; /* loops: where the next round begins; an if: its else block, or NULL once that is open */
	LLVMBasicBlockRef exit;
	LLVMValueRef index, step; /* SCOPE_FOR */
	int hints;
} CgScope;

/* A function in the making. */
typedef struct CgBody {
	LLVMValueRef fn;
	LLVMValueRef entry_end; /* the entry block's branch: allocas go before it */
	LLVMBasicBlockRef at;   /* where emission goes on, while another function is being built */
	WQ_VEC(CgScope) scopes;
	struct CgBody *up;
} CgBody;

struct Cg {
	const WqTarget *t;
	WqArena *a;
	LLVMContextRef ctx;
	LLVMModuleRef mod;
	LLVMBuilderRef b;
	LLVMTargetMachineRef tm;
	LLVMTypeRef prim[CG_KINDS];
	CgBody *body;   /* NULL outside functions */
	int next_scope; /* never used twice, so that a closed scope is never taken for an open one */
	bool optimized;
	char trouble[512]; /* what LLVM's diagnostics complained about first */
	char *notes;       /* its warnings, a line each: malloc's, since nothing may fail inside LLVM */
	size_t n_notes;
	WqMap *frames;     /* cg_stack.c: by function; made anew by each emission */
};

LLVMTypeRef cg_llvm_type(Cg *c, CgType t);
/* Gives a scalar beside a vector its lanes. */
void cg_match(Cg *c, CgVal *a, CgVal *b);
/* Is v an integer constant, or a vector of one such? */
bool cg_splat_const(CgVal v, int64_t *out);
/* A call of llvm.NAME, overloaded by v's type, with up to three arguments of any type (NULL: none). */
CgVal cg_call_intrinsic(Cg *c, const char *name, CgVal v, CgVal x, CgVal y, CgVal z);
/* An alloca in the entry block. */
CgVal cg_alloca(Cg *c, LLVMTypeRef type, int64_t n, int align);
void cg_add_attr(Cg *c, LLVMValueRef fn, unsigned at, const char *name, uint64_t value);
void cg_add_string_attr(Cg *c, LLVMValueRef fn, const char *name, const char *value);
#define CG_FRAME_ATTR "warn-stack-size" /* with "0": tells each frame's size (cg_stack.c) */
LLVMTargetMachineRef cg_machine(const WqTarget *t, int level);
void cg_llvm_init(void);
/* After emission: what LLVM told of frames; the rest of one that it did not tell, found in the code (cg_stack_riscv.c). */
void cg_read_frames(Cg *c);
void cg_grow_frame(Cg *c, const char *fn, int64_t bytes);
void cg_note_vector_frames(Cg *c, const void *code, size_t n);
/* Fails if the target lacks what the intrinsic needs: LLVM would abort. (cg_gate.c) */
void cg_need_intrinsic(const WqTarget *t, const char *name);

#endif
