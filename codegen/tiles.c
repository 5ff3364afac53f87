/* tiles.c: see tiles.h. */
#include "codegen/tiles.h"

GemmType tile_type(WqDtype t)
{
	CgKind mem = t == WQ_F16 ? CG_F16 : t == WQ_BF16 ? CG_BF16 : kg_mem(t);
	return gemm_type(mem, wq_dtype_is_signed(t));
}

void tile_put(Kg *k, const WqNode *n, const CgAt *at, CgVal acc, CgVal count)
{
	Cg *c = kg_cg(k);
	WqDtype t = n->out[0]->type.dtype;
	const WqType *y = &n->out[0]->type;
	CgAt to = *at;
	for (int d = 0; d < y->rank; d++)
		if (y->dim[d] == 1)
			to.ix[d] = cg_idx(c, 0);
	if (y->rank && y->dim[to.axis] == 1) { /* one column: the others are padding */
		acc = cg_extract(c, acc, 0);
		count = NULL;
	}
	to.lanes = cg_lanes(c, acc);
	acc = cg_is_float(cg_type(c, acc).kind) ? kg_round(k, t, acc) : cg_resize(c, acc, kg_reg(t), true);
	if (count)
		kg_put_part(k, n, 0, &to, acc, count);
	else
		kg_put(k, n, 0, &to, acc);
}

CgVal tile_columns(Cg *c, CgVal first, CgVal cols, int lanes)
{
	CgVal n = cg_min(c, cg_max(c, cg_sub(c, cols, first), cg_idx(c, 0)), cg_idx(c, lanes));
	return tile_is(n, lanes) ? NULL : n;
}

CgVal tile_ceil_div(Cg *c, CgVal n, int64_t by) { return cg_divi(c, cg_addi(c, n, by - 1), by); }

CgTensor tile_tensor(Kg *k, const WqValue *v)
{
	Cg *c = kg_cg(k);
	if (kg_in_memory(k, v))
		return kg_tensor(k, v);
	WQ_ASSERT(v->data && wq_tensor_count(v->data) == 1 && !v->data->packed);
	CgTensor t = {.dtype = v->type.dtype, .rank = v->type.rank};
	t.ptr = cg_table(c, kg_mem(v->type.dtype), 1, v->data->data);
	for (int d = 0; d < t.rank; d++) {
		t.dim[d] = cg_idx(c, 1);
		t.stride[d] = cg_idx(c, 1);
	}
	return t;
}
