/* lower_index.c: gathering, scattering, selecting, ordering. */
#include "frontend/lower.h"

static WqValue *with_axis(Lower *L, WqOp op, int n_in, WqValue *b, WqValue *c, int64_t otherwise)
{
	WqValue *x = lo_need(L, 0);
	int64_t axis = lo_i(L, "axis", otherwise);
	WqNode *n = lo_node(L, op, n_in, x, b, c);
	wq_set_i(n, "axis", x->type.rank >= 0 ? lo_axis(L, axis, x->type.rank) : axis);
	if (op == OP_ScatterElements)
		wq_set_s(n, "reduction", lo_s(L, "reduction", "none"));
	return lo_result(L, n);
}

void lower_Gather(Lower *L) { lo_out(L, 0, with_axis(L, OP_Gather, 2, lo_need(L, 1), NULL, 0)); }
void lower_GatherElements(Lower *L) { lo_out(L, 0, with_axis(L, OP_GatherElements, 2, lo_need(L, 1), NULL, 0)); }

void lower_ScatterElements(Lower *L)
{
	lo_out(L, 0, with_axis(L, OP_ScatterElements, 3, lo_need(L, 1), lo_need(L, 2), 0));
}

void lower_Scatter(Lower *L) { lower_ScatterElements(L); }

void lower_GatherND(Lower *L)
{
	WqNode *n = lo_node(L, OP_GatherND, 2, lo_need(L, 0), lo_need(L, 1));
	wq_set_i(n, "batch_dims", lo_i(L, "batch_dims", 0));
	lo_out(L, 0, lo_result(L, n));
}

void lower_ScatterND(Lower *L)
{
	WqNode *n = lo_node(L, OP_ScatterND, 3, lo_need(L, 0), lo_need(L, 1), lo_need(L, 2));
	wq_set_s(n, "reduction", lo_s(L, "reduction", "none"));
	lo_out(L, 0, lo_result(L, n));
}

void lower_Where(Lower *L) { lo_out(L, 0, lo3(L, OP_Where, lo_need(L, 0), lo_need(L, 1), lo_need(L, 2))); }
void lower_NonZero(Lower *L) { lo_out(L, 0, lo1(L, OP_NonZero, lo_need(L, 0))); }

void lower_Compress(Lower *L)
{
	WqValue *x = lo_need(L, 0), *cond = lo_need(L, 1);
	bool flat = !lo_has(L, "axis");
	int axis = flat ? 0 : lo_axis(L, lo_i(L, "axis", 0), lo_rank(L, x));
	if (lo_rank(L, cond) != 1)
		lo_bad(L, "the condition has rank %d instead of 1", cond->type.rank);
	if (flat)
		x = lo_reshape_to(L, x, 1, (int64_t[]){ -1 });
	WqNode *n = lo_node(L, OP_Gather, 2, x, lo_reshape_to(L, lo1(L, OP_NonZero, cond), 1, (int64_t[]){ -1 }));
	wq_set_i(n, "axis", axis);
	lo_out(L, 0, lo_result(L, n));
}

void lower_Unique(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	WqNode *n = lo_node(L, OP_Unique, 1, x);
	bool flat = !lo_has(L, "axis");
	wq_set_i(n, "flat", flat);
	if (!flat)
		wq_set_i(n, "axis", lo_axis(L, lo_i(L, "axis", 0), lo_rank(L, x)));
	wq_set_i(n, "sorted", lo_i(L, "sorted", 1) != 0);
	wq_node_finish(n, 4, NULL);
	for (int i = 0; i < 4; i++)
		lo_out(L, i, n->out[i]);
}

void lower_TopK(Lower *L)
{
	WqValue *x = lo_need(L, 0), *k;
	if (L->version == 1) {
		if (!lo_has(L, "k"))
			lo_bad(L, "attribute 'k' is missing");
		k = lo_i64(L, lo_i(L, "k", 0));
	} else {
		k = lo_reshape_to(L, lo_need(L, 1), 1, (int64_t[]){ 1 });
	}
	WqNode *n = lo_node(L, OP_TopK, 2, x, k);
	wq_set_i(n, "axis", lo_axis(L, lo_i(L, "axis", -1), lo_rank(L, x)));
	wq_set_i(n, "largest", lo_i(L, "largest", 1) != 0);
	wq_set_i(n, "sorted", lo_i(L, "sorted", 1) != 0);
	wq_node_finish(n, 2, NULL);
	lo_out(L, 0, n->out[0]);
	lo_out(L, 1, n->out[1]);
}

static void arg_reduce(Lower *L, WqOp op)
{
	WqValue *x = lo_need(L, 0);
	WqNode *n = lo_node(L, op, 1, x);
	wq_set_i(n, "axis", lo_axis(L, lo_i(L, "axis", 0), lo_rank(L, x)));
	wq_set_i(n, "keepdims", lo_i(L, "keepdims", 1) != 0);
	wq_set_i(n, "select_last_index", lo_i(L, "select_last_index", 0) != 0);
	lo_out(L, 0, lo_result(L, n));
}

void lower_ArgMax(Lower *L) { arg_reduce(L, OP_ArgMax); }
void lower_ArgMin(Lower *L) { arg_reduce(L, OP_ArgMin); }

static void cumulate(Lower *L, WqOp op)
{
	WqNode *n = lo_node(L, op, 2, lo_need(L, 0), lo_scalar_of(L, lo_need(L, 1)));
	wq_set_i(n, "exclusive", lo_i(L, "exclusive", 0) != 0);
	wq_set_i(n, "reverse", lo_i(L, "reverse", 0) != 0);
	lo_out(L, 0, lo_result(L, n));
}

void lower_CumSum(Lower *L) { cumulate(L, OP_CumSum); }
void lower_CumProd(Lower *L) { cumulate(L, OP_CumProd); }

/* indices == 0, 1, .. depth-1 along a new axis; a negative index counts from depth. */
void lower_OneHot(Lower *L)
{
	WqValue *index = lo_cast(L, lo_need(L, 0), WQ_I64), *values = lo_need(L, 2);
	WqValue *depth = lo_scalar_of(L, lo_cast(L, lo_need(L, 1), WQ_I64)), *zero = wq_const_int(L->g, WQ_I64, 0);
	int rank = lo_rank(L, index), axis = lo_axis(L, lo_i(L, "axis", -1), rank + 1);
	int64_t along[WQ_MAX_RANK + 1];
	for (int i = 0; i <= rank; i++)
		along[i] = 1;
	along[axis] = -1;
	index = lo_unsqueeze(L, index, 1, (int64_t[]){ axis });
	index = lo3(L, OP_Where, lo2(L, OP_Less, index, zero), lo2(L, OP_Add, index, depth), index);
	WqValue *classes = lo3(L, OP_Range, zero, depth, wq_const_int(L->g, WQ_I64, 1));
	WqValue *hot = lo2(L, OP_Equal, index, lo_reshape_to(L, classes, rank + 1, along));
	WqValue *off = lo_scalar_of(L, lo_slice(L, values, 0, 0, 1, 1)),
		*on = lo_scalar_of(L, lo_slice(L, values, 0, 1, 2, 1));
	lo_out(L, 0, lo3(L, OP_Where, hot, on, off));
}

/* Element t of row b comes from lens[b]-1-t while t < lens[b], else from t. */
void lower_ReverseSequence(Lower *L)
{
	WqValue *x = lo_need(L, 0), *lens = lo_cast(L, lo_need(L, 1), WQ_I64);
	int64_t time = lo_i(L, "time_axis", 0), batch = lo_i(L, "batch_axis", 1);
	if (lo_rank(L, x) < 2 || time < 0 || time > 1 || batch != 1 - time)
		lo_bad(L, "the time and batch axes must be the first two axes");
	WqValue *t = lo_unsqueeze(L, lo_range(L, x->type.dim[time]), 1, &batch);
	WqValue *b = lo_unsqueeze(L, lo_range(L, x->type.dim[batch]), 1, &time);
	lens = lo_unsqueeze(L, lens, 1, &time);
	WqValue *back = lo2(L, OP_Sub, lo2(L, OP_Sub, lens, wq_const_int(L->g, WQ_I64, 1)), t);
	WqValue *from = lo3(L, OP_Where, lo2(L, OP_Less, t, lens), back, t), *index[2];
	index[time] = lo_unsqueeze(L, from, 1, (int64_t[]){ 2 });
	index[batch] = lo_unsqueeze(L, lo_expand(L, b, 2, x->type.dim), 1, (int64_t[]){ 2 });
	lo_out(L, 0, lo2(L, OP_GatherND, x, lo_concat(L, 2, 2, index)));
}
