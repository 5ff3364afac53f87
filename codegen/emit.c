/* emit.c: the table of emitters, from ops.def. */
#include "codegen/kernel.h"

static const WqEmit *const table[WQ_NUM_OPS] = {
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) [OP_##name] = &emit,
#include "ir/ops.def"
#undef OP
};

const WqEmit emit_none = {0};    /* sequences, strings: no code */
const WqEmit emit_control = {0}; /* If, Loop: entry.c */

const WqEmit *wq_emit(WqOp op) { return table[op]; }
