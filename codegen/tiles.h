/* tiles.h: what the emitters that are made of register tiles share: from gemm.h's terms to the kernel's. */
#ifndef WQ_TILES_H
#define WQ_TILES_H

#include "codegen/gemm.h"
#include "codegen/kernel.h"

GemmType tile_type(WqDtype t);
/* Result 0's lanes at `at`, from an accumulator; only the first count of them where count is not NULL. */
void tile_put(Kg *k, const WqNode *n, const CgAt *at, CgVal acc, CgVal count);
/* How many of `lanes` columns from `first` on exist; NULL if it is known that all do. */
CgVal tile_columns(Cg *c, CgVal first, CgVal cols, int lanes);
static inline bool tile_is(CgVal v, int64_t n)
{
	int64_t x;
	return cg_const(v, &x) && x == n;
}
/* kg_tensor, also of a constant of one element, which the kernel knows and no memory holds. */
CgTensor tile_tensor(Kg *k, const WqValue *v);
CgVal tile_ceil_div(Cg *c, CgVal n, int64_t by);

#endif
