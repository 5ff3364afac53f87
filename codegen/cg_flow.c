/* cg_flow.c: loops and branches, and variables that live across them. */
#include "codegen/cg_impl.h"

#include <llvm-c/DebugInfo.h>

static CgScope *top(Cg *c)
{
	WQ_ASSERT(c->body && c->body->scopes.n > 0);
	return &c->body->scopes.v[c->body->scopes.n - 1];
}

static LLVMBasicBlockRef new_block(Cg *c) { return LLVMAppendBasicBlockInContext(c->ctx, c->body->fn, ""); }

static void go_on_at(Cg *c, LLVMBasicBlockRef block)
{
	LLVMMoveBasicBlockAfter(block, LLVMGetLastBasicBlock(c->body->fn)); /* in the order of the source */
	LLVMPositionBuilderAtEnd(c->b, block);
}

static CgScope *push(Cg *c, CgScopeKind kind)
{
	CgScope s = {.kind = kind, .id = c->next_scope++};
	WQ_PUSH(c->a, c->body->scopes, s);
	return top(c);
}

/* ---- variables ---------------------------------------------------------------------------------------- */

CgVal cg_alloca(Cg *c, LLVMTypeRef type, int64_t n, int align)
{
	LLVMBasicBlockRef here = LLVMGetInsertBlock(c->b);
	LLVMPositionBuilderBefore(c->b, c->body->entry_end);
	CgVal slot = LLVMBuildAlloca(c->b, n == 1 ? type : LLVMArrayType2(type, (uint64_t)n), "");
	if (align)
		LLVMSetAlignment(slot, (unsigned)align);
	LLVMPositionBuilderAtEnd(c->b, here);
	return slot;
}

CgVal cg_stack(Cg *c, CgKind k, int64_t n, int align) { return cg_alloca(c, c->prim[k], n < 1 ? 1 : n, align); }

CgVar cg_var(Cg *c, CgVal init)
{
	CgType t = cg_type(c, init);
	CgVar v = {cg_alloca(c, cg_llvm_type(c, t), 1, 0), t};
	cg_set(c, v, init);
	return v;
}

CgVal cg_get(Cg *c, CgVar v) { return LLVMBuildLoad2(c->b, cg_llvm_type(c, v.type), v.slot, ""); }

void cg_set(Cg *c, CgVar v, CgVal x)
{
	x = cg_splat(c, x, v.type.lanes);
	WQ_ASSERT(cg_type(c, x).kind == v.type.kind);
	LLVMBuildStore(c->b, x, v.slot);
}

/* ---- loops -------------------------------------------------------------------------------------------- */

/* A loop that is known to run once is no loop, only a place to break from. */
static bool runs_once(CgVal from, CgVal to, CgVal step)
{
	int64_t a, b, s;
	return cg_const(from, &a) && cg_const(to, &b) && cg_const(step, &s) && a < b && b - a <= s;
}

CgVal cg_for_by(Cg *c, CgVal from, CgVal to, CgVal step)
{
	if (runs_once(from, to, step)) {
		CgScope *s = push(c, SCOPE_ONCE);
		s->exit = new_block(c);
		return from;
	}
	CgScope *s = push(c, SCOPE_FOR);
	LLVMBasicBlockRef before = LLVMGetInsertBlock(c->b), body = new_block(c);
	s->head = new_block(c);
	s->exit = new_block(c);
	LLVMBuildBr(c->b, s->head);
	go_on_at(c, s->head);
	s->index = LLVMBuildPhi(c->b, LLVMTypeOf(from), "");
	s->step = step;
	LLVMAddIncoming(s->index, &from, &before, 1);
	LLVMBuildCondBr(c->b, cg_cmp(c, CG_LT, s->index, to), body, s->exit);
	go_on_at(c, body);
	return s->index;
}

CgVal cg_for(Cg *c, CgVal from, CgVal to, int64_t step)
{
	WQ_ASSERT(step > 0);
	return cg_for_by(c, from, to, cg_int(c, cg_type(c, from), step));
}

void cg_while(Cg *c)
{
	CgScope *s = push(c, SCOPE_WHILE);
	s->head = new_block(c);
	s->exit = new_block(c);
	LLVMBuildBr(c->b, s->head);
	go_on_at(c, s->head);
}

void cg_break_if(Cg *c, CgVal cond)
{
	CgScope *s = top(c);
	WQ_ASSERT(s->kind == SCOPE_FOR || s->kind == SCOPE_ONCE || s->kind == SCOPE_WHILE);
	LLVMBasicBlockRef next = new_block(c);
	LLVMBuildCondBr(c->b, cond, s->exit, next);
	go_on_at(c, next);
}

void cg_loop_hint(Cg *c, int hints)
{
	for (int i = c->body->scopes.n - 1; i > 0; i--) {
		CgScope *s = &c->body->scopes.v[i];
		if (s->kind != SCOPE_IF) {
			s->hints |= hints;
			return;
		}
	}
	WQ_BUG("a hint outside loops");
}

static LLVMMetadataRef text(Cg *c, const char *s) { return LLVMMDStringInContext2(c->ctx, s, strlen(s)); }

static LLVMMetadataRef property(Cg *c, const char *name, LLVMValueRef value)
{
	LLVMMetadataRef pair[2] = {text(c, name), value ? LLVMValueAsMetadata(value) : NULL};
	return LLVMMDNodeInContext2(c->ctx, pair, value ? 2 : 1);
}

/* What LLVM knows of a loop hangs at its last branch, in a node that refers to itself so that no two loops share it. */
static void attach_hints(Cg *c, LLVMValueRef branch, int hints)
{
	LLVMMetadataRef list[6], self = LLVMTemporaryMDNode(c->ctx, NULL, 0);
	size_t n = 0;
	CgVal no = LLVMConstInt(c->prim[CG_I1], 0, false), yes = LLVMConstInt(c->prim[CG_I1], 1, false);
	list[n++] = self;
	list[n++] = property(c, "llvm.loop.mustprogress", NULL);
	if (hints & CG_NO_UNROLL)
		list[n++] = property(c, "llvm.loop.unroll.disable", NULL);
	if (hints & CG_UNROLL)
		list[n++] = property(c, "llvm.loop.unroll.enable", NULL);
	if (hints & (CG_NO_VECTOR | CG_VECTOR))
		list[n++] = property(c, "llvm.loop.vectorize.enable", hints & CG_VECTOR ? yes : no);
	LLVMMetadataRef node = LLVMMDNodeInContext2(c->ctx, list, n);
	LLVMMetadataReplaceAllUsesWith(self, node);
	LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c->ctx, "llvm.loop", strlen("llvm.loop")), LLVMMetadataAsValue(c->ctx, node));
}

static void close_loop(Cg *c, CgScope *s)
{
	LLVMBasicBlockRef last = LLVMGetInsertBlock(c->b);
	if (s->kind == SCOPE_FOR) {
		LLVMValueRef next = LLVMBuildNSWAdd(c->b, s->index, s->step, "");
		LLVMAddIncoming(s->index, &next, &last, 1);
	}
	attach_hints(c, LLVMBuildBr(c->b, s->head), s->hints);
	go_on_at(c, s->exit);
}

/* ---- branches ----------------------------------------------------------------------------------------- */

void cg_if(Cg *c, CgVal cond)
{
	CgScope *s = push(c, SCOPE_IF);
	LLVMBasicBlockRef yes = new_block(c);
	s->head = new_block(c);
	s->exit = new_block(c);
	LLVMBuildCondBr(c->b, cond, yes, s->head);
	go_on_at(c, yes);
}

void cg_else(Cg *c)
{
	CgScope *s = top(c);
	WQ_ASSERT(s->kind == SCOPE_IF && s->head);
	LLVMBuildBr(c->b, s->exit);
	go_on_at(c, s->head);
	s->head = NULL;
	s->id = c->next_scope++;
}

void cg_end(Cg *c)
{
	CgScope s = *top(c);
	WQ_ASSERT(s.kind != SCOPE_FN);
	if (s.kind == SCOPE_FOR || s.kind == SCOPE_WHILE) {
		close_loop(c, &s);
	} else {
		LLVMBuildBr(c->b, s.exit);
		if (s.kind == SCOPE_IF && s.head) { /* no else: it is empty */
			go_on_at(c, s.head);
			LLVMBuildBr(c->b, s.exit);
		}
		go_on_at(c, s.exit);
	}
	c->body->scopes.n--;
}

int cg_scope(const Cg *c)
{
	WQ_ASSERT(c->body && c->body->scopes.n > 0);
	return c->body->scopes.v[c->body->scopes.n - 1].id;
}

bool cg_scope_open(const Cg *c, int scope)
{
	for (int i = 0; c->body && i < c->body->scopes.n; i++)
		if (c->body->scopes.v[i].id == scope)
			return true;
	return false;
}
