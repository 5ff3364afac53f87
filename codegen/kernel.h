/* kernel.h: what the author of an emitter sees. A kernel is a group of nodes that becomes one function: loops around a root, with
 * what feeds it (prologue) and what follows it (epilogue) computed in registers.
 *
 * The model is pull: kg_elem asks for an operand's element at an index. If the operand lies in memory it is loaded; if its node
 * belongs to the group it is computed there and then, from its own operands' elements. kg_put gives a root's element away: what
 * follows in the group is computed from it and stored. So an emitter of loops never sees what was fused to it.
 *
 * Elements travel in register form: f32, f64 as floats; f16, bf16 as i16 bits; 8- and 4-bit floats as i8 codes; integers as they
 * are (under 8 bits: i8); bool as i1; c64 as i64. kg_arith and kg_round convert to and from what arithmetic is done in: f16, bf16, f8
 * and f4 in f32, rounded once at the end of each operator.
 */
#ifndef WQ_KERNEL_H
#define WQ_KERNEL_H

#include "codegen/cg.h"
#include "ir/ir.h"

typedef struct Kg Kg;

/* An index into a tensor. lanes > 1: that many consecutive elements along `axis`, ix[axis] being the first one's. */
typedef struct CgAt {
	int rank;
	CgVal ix[WQ_MAX_RANK]; /* index type */
	int lanes, axis;
} CgAt;

/* A tensor in memory, as the kernel sees it. Memory form: as register form, but bool is a byte (0 or 1), c64 8 bytes. */
typedef struct CgTensor {
	WqDtype dtype;
	int rank;
	CgVal ptr;
	CgVal dim[WQ_MAX_RANK];
	CgVal stride[WQ_MAX_RANK]; /* in elements; 0 where broadcast */
	int align;                 /* of ptr, in bytes */
} CgTensor;

Cg *kg_cg(const Kg *k);
WqArena *kg_arena(const Kg *k); /* gone after the kernel */

/* ---- elements ------------------------------------------------------------------------------------------ */

int kg_bytes(WqDtype t); /* of an element in memory */
CgKind kg_reg(WqDtype t);   /* kind in registers */
CgKind kg_mem(WqDtype t);   /* kind in memory */
CgKind kg_acc(WqDtype t);   /* kind of arithmetic: CG_F32 for small floats, CG_I1 for bool, else kg_reg */
CgVal kg_arith(Kg *k, WqDtype t, CgVal v); /* register form -> arithmetic */
CgVal kg_round(Kg *k, WqDtype t, CgVal v); /* and back; for f16 and bf16 also from f64 */
/* Any number (or bool) as another type, both in register form, as Cast defines it; saturate and round ('n', 'u', 'd') are for 8-
 * and 4-bit floats. And the codes of those to f32 and back. */
CgVal kg_convert(Kg *k, WqDtype to, WqDtype from, CgVal v, bool saturate, char round);
CgVal kg_small_to_f32(Kg *k, WqDtype t, CgVal code);
CgVal kg_f32_to_small(Kg *k, WqDtype t, CgVal v, bool saturate, char round);

/* at has v's rank. Along an axis where v has size 1 the index is ignored, so an operand may be asked at its consumer's index once
 * kg_align has dropped leading axes. Lanes: as many as at->lanes, always. */
CgVal kg_elem(Kg *k, const WqValue *v, const CgAt *at);
CgVal kg_elem_f(Kg *k, const WqValue *v, const CgAt *at); /* kg_arith of it */
/* The index of an operand that broadcasts against something of at's rank (aligned at the last axis) and of type `of` (NULL: its sizes are not
 * known). Only for kg_elem and its kin: lanes along an axis of which only running tells whether it is broadcast have axis -1 - a. */
CgAt kg_align(Kg *k, const WqValue *v, const WqType *of, const CgAt *at);
/* The element of result `result` of n (a node with a kernel) at an index: in register form; what follows in the group is computed and
 * stored. kg_put_f takes arithmetic form. */
void kg_put(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v);
void kg_put_f(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v);
/* The same for only the first `count` lanes (index type). */
void kg_put_part(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v, CgVal count);
CgVal kg_elem_part(Kg *k, const WqValue *v, const CgAt *at, CgVal count);
/* While one of these two is under way: how many lanes count (NULL: all). An emitter that asks for lanes one by one asks for no others. */
CgVal kg_part(const Kg *k);
/* An integer operand's element i (of a scalar or vector), as index type (clamped to what that holds: INT64_MAX as the end of a slice stays
 * large): constants and known expressions fold. */
CgVal kg_int(Kg *k, const WqValue *v, int64_t i);
CgVal kg_int_at(Kg *k, const WqValue *v, CgVal i);

/* ---- sizes, memory ------------------------------------------------------------------------------------- */

CgVal kg_dim(Kg *k, WqDim d);
CgVal kg_size(Kg *k, const WqValue *v, int axis);
CgVal kg_count(Kg *k, const WqValue *v); /* elements */
/* The size that this node's result binds: gives the symbol (a bare symbol, or a number: then nothing happens) its value. */
void kg_bind(Kg *k, WqDim d, CgVal n);
/* Does v lie in memory (so that kg_tensor may be asked, as it may of any constant)? A group never fuses a producer into an operand for which its root's
 * WqEmit.direct has the bit set. Results have memory unless the group keeps them in registers: ask kg_stored. */
bool kg_in_memory(const Kg *k, const WqValue *v);
CgTensor kg_tensor(Kg *k, const WqValue *v);
bool kg_stored(const Kg *k, const WqValue *result);
/* Is operand i of n, a Concat, written straight into its place in n's result, so that nothing needs copying? */
bool kg_in_place(const Kg *k, const WqNode *n, int i);
/* Is result's element what memory gets, with no epilogue in between? Then a root may write through kg_tensor(result). */
bool kg_plain_result(const Kg *k, const WqValue *result);
CgVal kg_addr(Kg *k, const CgTensor *t, const CgAt *at);
CgVal kg_load(Kg *k, const CgTensor *t, const CgAt *at); /* register form; lanes by stride: vector, splat or gather */
void kg_write(Kg *k, const CgTensor *t, const CgAt *at, CgVal v);
CgVal kg_scratch(Kg *k); /* this thread's, of WqEmit.scratch bytes, aligned to 64 */
CgVal kg_packed(Kg *k, int i); /* what WqEmit.pack made of operand i of the root */

/* ---- loops --------------------------------------------------------------------------------------------- */

/* This thread's share [lo, hi) of n pieces of work, cut the same way on every run; outside all loops. What comes before
 * it, every thread does; of several shared loops none may read what another wrote. A kernel that never asks runs on one thread. */
void kg_share(Kg *k, CgVal n, CgVal *lo, CgVal *hi);
/* All indices of a shape, the last axis `lanes` at a time (the rest of it one by one), shared among threads by the outer axes.
 * order: the loops' axes, outermost first (NULL: 0, 1, ...). The vector axis is the last of the order. */
typedef void KgBody(Kg *k, const CgAt *at, void *arg);
void kg_nest(Kg *k, int rank, const CgVal *dim, const int *order, int lanes, KgBody *body, void *arg);
/* The same without sharing, inside other loops. */
void kg_inner_nest(Kg *k, int rank, const CgVal *dim, const int *order, int lanes, KgBody *body, void *arg);
/* How many lanes suit a loop over v's elements with what is fused to it, and the axes in the order of v's memory. */
int kg_lanes(Kg *k, WqDtype t);
void kg_order(Kg *k, const WqValue *v, int *order);

/* ---- errors -------------------------------------------------------------------------------------------- */

enum { KG_ESHAPE = 1, KG_EINDEX = 2, KG_EBOUND = 3, KG_EVALUE = 4 }; /* as in wqrt.h: an index out of range; a size over its bound; a bad value */
/* If cond (i1, any lanes) holds the call will return `code`; the kernel goes on and must stay inside its memory. */
void kg_fault(Kg *k, CgVal cond, int code);
/* i (i32, i64 or index type, any lanes: an element as kg_elem gives it) as an index into n elements, of index type: negative ones count from
 * the end; out of range (checked before it is narrowed) is KG_EINDEX and becomes 0 (n == 0: always; the caller keeps off the memory). */
CgVal kg_checked(Kg *k, CgVal i, CgVal n);

/* ---- emitters: one record per family, named in ops.def -------------------------------------------------- */

typedef struct WqPack { /* how a constant operand is packed for a kernel */
	int64_t bytes;
	/* Fills `bytes` at out from the tensor; called once, when weights are written. */
	void (*fill)(const struct WqPack *p, const WqTensor *t, void *out);
	const char *layout;  /* part of the kernel's identity: equal text, equal layout */
	int64_t a[16];       /* the filler's own */
} WqPack;

typedef struct WqEmit {
	/* Elementwise, lane by lane: x[] are the operands in arithmetic form (NULL: absent), the result too. */
	CgVal (*ew)(Kg *k, const WqNode *n, CgVal *x);
	bool raw; /* ew takes and gives register form */
	/* Result `result`'s element at an index from elements of operands, in register form. at_lanes: takes at->lanes > 1 (else it is
	 * called lane by lane). */
	CgVal (*at)(Kg *k, const WqNode *n, int result, const CgAt *at);
	bool at_lanes;
	/* at reads every operand at the index itself, broadcast or nearly so (the scale of a quantisation): it is fused like ew. */
	bool pointwise;
	/* Computing an element costs much or reads many: never repeated for several readers. */
	bool costly;
	/* Loops of its own over n, the group's root: every element of every stored result by kg_put, exactly once. */
	void (*kernel)(Kg *k, const WqNode *n);
	/* Binds (kg_bind) the sizes of results that only running tells, from operands' values (kg_int_at), before anything uses them.
	 * NULL: there are none, or kernel binds them. It also checks (kg_fault) sizes that no shape rule can compare, like the elements before
	 * and after a Reshape: so it runs for every node that has it, views included (what needs no code emits none), and when it
	 * faulted the call ends before anything else runs. */
	void (*sizes)(Kg *k, const WqNode *n);
	bool epilogue;     /* elementwise consumers of result 0 may be fused behind kernel */
	uint32_t direct;   /* bit i: operand i is read through kg_tensor, so nothing is fused into it */
	uint32_t repeated; /* bit i: operand i's elements are read many times: only what is free is fused into it */
	bool serial;       /* runs on one thread */
	/* Bytes of scratch memory a thread needs, at the largest sizes (wq_dim_hi). NULL: none. */
	int64_t (*scratch)(const WqTarget *t, const WqNode *n);
	/* Packed form wanted of constant operand i: true and *p filled. NULL: none is packed. */
	bool (*pack)(const WqTarget *t, const WqNode *n, int i, WqPack *p);
	/* May this node be compiled? NULL or a reason ("its first operand has 20 axes"). */
	const char *(*refuse)(const WqTarget *t, const WqNode *n);
} WqEmit;

const WqEmit *wq_emit(WqOp op);
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) extern const WqEmit emit;
#include "ir/ops.def"
#undef OP

#endif
