/* target.h: what a target is: one row of targets.def, refined by -mcpu and -mattr. */
#ifndef WQ_TARGET_H
#define WQ_TARGET_H

#include "ir/base.h"

/* Families decide which instructions the kernels may ask for. */
typedef enum WqFamily { WQ_X86, WQ_AARCH64, WQ_ARM, WQ_CORTEX_M, WQ_RISCV, WQ_WASM } WqFamily;

/* How products of bytes are summed. */
typedef enum WqDot {
	WQ_DOT_NONE,  /* widen and multiply */
	WQ_DOT_SMLAD, /* Cortex-M4, M7: two i16 products */
	WQ_DOT_MADD,  /* x86 pmaddwd on i16 */
	WQ_DOT_VNNI,  /* x86 vpdpbusd: u8 x s8, four to an i32 */
	WQ_DOT_SDOT,  /* aarch64 sdot: s8 x s8, four to an i32 */
	WQ_DOT_I8MM,  /* aarch64 smmla besides sdot */
	WQ_DOT_MVE,   /* vmladava */
	WQ_DOT_WASM,  /* i32x4.dot_i16x8_s */
} WqDot;

typedef struct WqTarget {
	const char *name;     /* "aarch64", "cortex-m4", "native" */
	const char *triple;
	const char *cpu;
	const char *features; /* LLVM's: "+avx2,+fma" */
	const char *abi;      /* "" or lp64d ... */
	WqFamily family;
	int index_bits;       /* 32 or 64 */
	int vector_bytes;     /* the widest vector register worth using; a scalar CPU: its word */
	int vector_regs;      /* how many; the matmul's tile comes from it */
	int64_t l1, l2;       /* bytes of data cache, or of the fast memory in its place */
	int line;             /* bytes of a cache line */
	bool bare_metal;      /* no operating system: no threads, mem functions from our runtime */
	bool fma;             /* f32 fused multiply-add is one instruction */
	bool hard_f32, hard_f64; /* in hardware */
	bool vector_f32;      /* vector registers do f32 */
	bool round;           /* floor, ceil, rint are instructions */
	bool half, bf16;      /* conversions of f16, bf16 in hardware */
	bool gather, masked;  /* masked loads and stores are instructions */
	bool unaligned;       /* vector loads may be unaligned at no great cost */
	WqDot dot;
	const char *qemu;     /* how its programs run here: "qemu-aarch64", "an386", ... or NULL */
} WqTarget;

/* "aarch64", "native", or a triple; cpu and attrs as clang's -mcpu and -mattr (NULL: the target's own). Fails when unknown. */
const WqTarget *wq_target(const char *name, const char *cpu, const char *attrs, WqArena *a);
bool wq_target_has(const WqTarget *t, const char *feature); /* "avx512vbmi": enabled in features or implied by the CPU */
void wq_target_list(WqStr *out); /* name and one line each */
void wq_target_print(const WqTarget *t, WqStr *out); /* resolved triple, CPU, features: -v */

/* This CPU, as LLVM names it, and its features (object.c). */
const char *wq_native_cpu(WqArena *a);
const char *wq_native_features(WqArena *a);

#endif
