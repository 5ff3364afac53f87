/* cg_stack.c: how much stack calls take at most. LLVM tells each frame's size as it emits code (a diagnostic, asked for by an attribute); who
 * calls whom is in the module.
 */
#include "codegen/cg_impl.h"

#include <stdlib.h>

typedef struct Frame {
	int64_t bytes, deepest; /* its own; with what it calls, -1 while being computed, 0 before */
} Frame;

static Frame *frame_of(Cg *c, const char *fn)
{
	Frame *f = wq_map_get(c->frames, fn);
	if (!f) {
		f = WQ_NEW(c->a, Frame);
		wq_map_put(c->frames, fn, f);
	}
	return f;
}

void cg_grow_frame(Cg *c, const char *fn, int64_t bytes) { frame_of(c, fn)->bytes += bytes; }

/* "FILE:LINE: stack frame size (N) exceeds limit (0) in function 'NAME'", a line each. */
void cg_read_frames(Cg *c)
{
	static const char size[] = "stack frame size (", where[] = " in function '";
	c->frames = wq_map_new(c->a);
	for (const char *p = c->notes; p && (p = strstr(p, size));) {
		const char *name = strstr(p, where);
		WQ_ASSERT(name);
		int64_t bytes = strtoll(p + strlen(size), NULL, 10);
		name += strlen(where);
		p = name + strcspn(name, "'\n");
		cg_grow_frame(c, wq_strndup(c->a, name, (size_t)(p - name)), bytes);
	}
	c->n_notes = 0; /* the next emission tells anew */
	if (c->notes)
		c->notes[0] = 0;
}

/* What lies between two frames: a return address, arguments beyond the registers, and what aligns a frame for vectors. */
static int64_t around(const Cg *c, const Frame *f, unsigned n_args)
{
	int word = c->t->index_bits / 8, align = c->t->vector_bytes > 16 ? 64 : 16;
	return (f->bytes ? align : word) + (n_args > 4 ? (n_args - 4) * word : 0);
}

static int64_t depth(Cg *c, LLVMValueRef fn);

/* The deepest of the functions that an instruction calls, or hands to something that may. */
static int64_t depth_of_operands(Cg *c, LLVMValueRef i)
{
	int64_t most = 0;
	for (int k = 0; k < LLVMGetNumOperands(i); k++) {
		LLVMValueRef v = LLVMGetOperand(i, (unsigned)k);
		int64_t d = v && LLVMIsAFunction(v) ? depth(c, v) : 0;
		most = d > most ? d : most;
	}
	return most;
}

static int64_t depth_below(Cg *c, LLVMValueRef fn)
{
	int64_t most = 0;
	for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b)) {
		for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) {
			int64_t d = depth_of_operands(c, i);
			most = d > most ? d : most;
		}
	}
	return most;
}

/* The runtime's arithmetic may be called from anywhere on 32-bit CPUs; its deepest is a division on a Cortex-M0. */
static int64_t runtime_depth(const Cg *c) { return c->t->index_bits == 32 && c->t->family != WQ_WASM ? 320 : 0; }

static int64_t depth(Cg *c, LLVMValueRef fn)
{
	if (LLVMIsDeclaration(fn))
		return LLVMGetIntrinsicID(fn) ? 0 : runtime_depth(c);
	Frame *f = frame_of(c, LLVMGetValueName(fn));
	WQ_ASSERT(f->deepest >= 0); /* nothing recurses */
	if (!f->deepest) {
		f->deepest = -1;
		int64_t below = depth_below(c, fn), least = runtime_depth(c);
		f->deepest = f->bytes + around(c, f, LLVMCountParams(fn)) + (below > least ? below : least);
	}
	return f->deepest;
}

int64_t cg_stack_bytes(Cg *c)
{
	int64_t most = 0;
	WQ_ASSERT(c->frames);
	for (LLVMValueRef fn = LLVMGetFirstFunction(c->mod); fn; fn = LLVMGetNextFunction(fn)) {
		int64_t d = LLVMIsDeclaration(fn) ? 0 : depth(c, fn);
		most = d > most ? d : most;
	}
	return most;
}
