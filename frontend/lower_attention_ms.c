/* lower_attention_ms.c: com.microsoft MultiHeadAttention, Attention and GroupQueryAttention.
 *
 * The first two mask by adding mask_filter_value, so that a query that may see nothing still gives an average: their
 * masks are lowered to floats. GroupQueryAttention is causal and writes its keys and values into a buffer, at each
 * sequence's end.
 */
#include "frontend/lower_attention.h"

#include <math.h>

static void refuse_operand(Lower *L, int i, const char *name)
{
	if (lo_in(L, i))
		lo_unsupported(L, "operand '%s'", name);
}

static void refuse_attr(Lower *L, const char *name)
{
	if (lo_i(L, name, 0))
		lo_unsupported(L, "attribute '%s'", name);
}

static WqValue *axis_slice(Lower *L, WqValue *x, int axis, int64_t i) /* x[.., i, ..] without the axis */
{
	return lo_squeeze(L, lo_slice(L, x, axis, i, i + 1, 1), 1, (int64_t[]){ axis });
}

/* The causal offset and the keys and values with the past before them. */
static void prepend_past(Lower *L, LoAttention *a, WqValue *past_k, WqValue *past_v)
{
	if (!past_k != !past_v)
		lo_bad(L, "past key and past value must come together");
	if (!past_k)
		return;
	a->offset = lo_dim_scalar(L, lo_dim(L, past_k, 2), WQ_I64);
	a->k = lo_concat(L, 2, 2, (WqValue *[]){ past_k, a->k });
	a->v = lo_concat(L, 2, 2, (WqValue *[]){ past_v, a->v });
}

/* ---- masks of integers ----------------------------------------------------------------------- */

static WqValue *filter(Lower *L, WqValue *keep, WqDtype t)
{
	return lo3(L, OP_Where, keep, lo_scalar(L, t, 0), lo_scalar(L, t, lo_f(L, "mask_filter_value", -10000)));
}

/* One number per sequence: where its keys end; or two rows of them, ends and then begins. */
static WqValue *mask_of_lengths(Lower *L, WqValue *mask, WqDim batch, WqDim keys, WqDtype t)
{
	WqDim n = lo_dim(L, mask, 0), two = wq_dim_mul(L->m, batch, wq_dim_const(L->m, 2));
	WqDim column[] = { batch, 1, 1, 1 };
	WqValue *j = lo_range(L, keys), *keep;

	if (n != batch && n != two)
		lo_unsupported(L, "a mask of rank 1 whose length is neither the batch size nor twice that");
	mask = lo_cast(L, mask, WQ_I64);
	keep = lo2(L, OP_Less, j, lo_reshape(L, lo_slice(L, mask, 0, 0, batch, 1), 4, column));
	if (n != batch) {
		WqValue *begin = lo_reshape(L, lo_slice(L, mask, 0, batch, two, 1), 4, column);
		keep = lo2(L, OP_And, keep, lo2(L, OP_LessOrEqual, begin, j));
	}
	return filter(L, keep, t);
}

/* [B] or [2B] lengths, [B,T], or [B,S,T]: nonzero takes part. */
static WqValue *mask_of_ints(Lower *L, WqValue *mask, const LoAttention *a)
{
	WqDtype t = lo_type_of(a->q);
	int rank = lo_rank(L, mask);

	if (rank == 1)
		return mask_of_lengths(L, mask, lo_dim(L, a->q, 0), lo_dim(L, a->k, 2), t);
	if (rank != 2 && rank != 3)
		lo_unsupported(L, "a mask of rank %d", rank);
	WqValue *keep = lo2(L, OP_Less, lo_like(L, mask, 0), mask);
	return filter(L, lo_unsqueeze(L, keep, rank == 2 ? 2 : 1, (int64_t[]){ 1, 2 }), t);
}

static WqValue *sum(Lower *L, WqValue *a, WqValue *b) { return a && b ? lo2(L, OP_Add, a, b) : a ? a : b; }

static LoAttention attention_attrs(Lower *L)
{
	return (LoAttention){ .window = -1, .scale = lo_f(L, "scale", 0), .causal = lo_i(L, "unidirectional", 0) != 0 };
}

/* ---- MultiHeadAttention ---------------------------------------------------------------------- */

/* The part of a joint bias that belongs to the operand whose hidden axis begins there, added. */
static WqValue *biased(Lower *L, WqValue *x, WqValue *bias, WqDim *begin)
{
	WqDim end = wq_dim_add(L->m, *begin, lo_dim(L, x, 2));
	WqValue *part = bias ? lo_slice(L, bias, 0, *begin, end, 1) : NULL;

	*begin = end;
	return part ? lo2(L, OP_Add, x, part) : x;
}

/* [B,S,N,n,D] -> the i-th of n as [B,S,N*D]. */
static WqValue *unpacked(Lower *L, WqValue *x, int i)
{
	WqDim hidden = wq_dim_mul(L->m, lo_dim(L, x, 2), lo_dim(L, x, 4));

	return lo_reshape(L, axis_slice(L, x, 3, i), 3, (WqDim[]){ lo_dim(L, x, 0), lo_dim(L, x, 1), hidden });
}

/* Query, key and value as [B,S,hidden] each (or key and value as [B,N,T,D] already), from any of the packings. */
static void mha_operands(Lower *L, LoAttention *a, int64_t heads)
{
	WqValue *q = lo_need(L, 0), *k = lo_in(L, 1), *v = lo_in(L, 2), *bias = lo_in(L, 3);
	WqDim begin = 0;

	if (!k) {
		if (lo_rank(L, q) != 5)
			lo_bad(L, "a query without key must be packed, of rank 5");
		v = unpacked(L, q, 2);
		k = unpacked(L, q, 1);
		q = unpacked(L, q, 0);
	} else if (!v) {
		if (lo_rank(L, k) != 5)
			lo_bad(L, "a key without value must be packed, of rank 5");
		v = unpacked(L, k, 1);
		k = unpacked(L, k, 0);
	}
	if (lo_rank(L, q) != 3)
		lo_bad(L, "query has rank %d", lo_rank(L, q));
	a->q = lo_heads(L, biased(L, q, bias, &begin), heads);
	if (lo_rank(L, k) == 4) { /* the cache of a cross attention: there are heads, and no bias to add */
		a->k = k;
		a->v = v;
		return;
	}
	a->k = lo_heads(L, biased(L, k, bias, &begin), heads);
	a->v = lo_heads(L, biased(L, v, bias, &begin), heads);
}

void lower_ms_MultiHeadAttention(Lower *L)
{
	LoAttention a = attention_attrs(L);

	refuse_operand(L, 8, "past_sequence_length");
	refuse_operand(L, 9, "cache_indirection");
	mha_operands(L, &a, lo_num_heads(L, "num_heads"));
	prepend_past(L, &a, lo_in(L, 6), lo_in(L, 7));
	if (lo_in(L, 4))
		a.mask = mask_of_ints(L, lo_in(L, 4), &a);
	a.mask = sum(L, a.mask, lo_in(L, 5));
	if (lo_wants(L, 3)) { /* the masked scores; what is after a query has the lowest finite number */
		WqValue *qk, *y = lo_attention_composed(L, &a, LO_QK_BIASED, &qk);
		lo_out(L, 0, lo_unheads(L, y));
		lo_out(L, 3, lo2(L, OP_Max, qk, lo_like(L, qk, -__FLT_MAX__)));
	} else
		lo_out(L, 0, lo_unheads(L, lo_attention(L, &a)));
	if (lo_wants(L, 1))
		lo_out(L, 1, a.k);
	if (lo_wants(L, 2))
		lo_out(L, 2, a.v);
}

/* ---- Attention ------------------------------------------------------------------------------- */

/* One matrix gives query, key and value; qkv_hidden_sizes says how much of it each has. */
static void fused_operands(Lower *L, LoAttention *a, int64_t heads)
{
	WqValue *x = lo2(L, OP_MatMul, lo_need(L, 0), lo_need(L, 1)), **part[] = { &a->q, &a->k, &a->v };
	int n;
	const int64_t *sizes = lo_ints(L, "qkv_hidden_sizes", &n);
	WqDim all = lo_dim(L, x, -1), third = wq_dim_floordiv(L->m, all, wq_dim_const(L->m, 3)), begin = 0;

	if (lo_rank(L, x) != 3 || (n && n != 3))
		lo_bad(L, "the input must have rank 3, and qkv_hidden_sizes 3 elements");
	if (lo_in(L, 2))
		x = lo2(L, OP_Add, x, lo_in(L, 2));
	for (int i = 0; i < 3; i++) {
		WqDim end = wq_dim_add(L->m, begin, n ? wq_dim_const(L->m, sizes[i]) : third);
		if ((n && sizes[i] < 1) || (wq_dim_static(all) && wq_dim_static(end) && end > all))
			lo_bad(L, "qkv_hidden_sizes do not fit the weight's %lld columns", (long long)all);
		*part[i] = lo_heads(L, lo_slice(L, x, 2, begin, end, 1), heads);
		begin = end;
	}
}

void lower_ms_Attention(Lower *L)
{
	LoAttention a = attention_attrs(L);
	WqValue *past = lo_in(L, 4);

	refuse_attr(L, "do_rotary");
	refuse_attr(L, "past_present_share_buffer");
	refuse_operand(L, 6, "past_sequence_length");
	fused_operands(L, &a, lo_num_heads(L, "num_heads"));
	if (past)
		prepend_past(L, &a, axis_slice(L, past, 0, 0), axis_slice(L, past, 0, 1));
	if (lo_in(L, 3))
		a.mask = mask_of_ints(L, lo_in(L, 3), &a);
	a.mask = sum(L, a.mask, lo_in(L, 5));
	lo_out(L, 0, lo_unheads(L, lo_attention(L, &a)));
	if (lo_wants(L, 1)) {
		int64_t axis[] = { 0 };
		lo_out(L, 1,
		       lo_concat(L, 0, 2,
				 (WqValue *[]){ lo_unsqueeze(L, a.k, 1, axis), lo_unsqueeze(L, a.v, 1, axis) }));
	}
}

/* ---- GroupQueryAttention --------------------------------------------------------------------- */

typedef struct Group {
	LoAttention a; /* k, v: the new ones until they are stored */
	WqValue *past_k, *past_v;
	WqValue *past;        /* i64: keys before the new ones; rank 0, or [B] */
	bool append;          /* the past buffer is full and all sequences are as long: the new keys follow it */
	WqDim total;          /* length of the present; WQ_DIM_UNKNOWN if only the run tells */
	WqValue *total_value; /* i64[1] */
} Group;

static void group_operands(Lower *L, Group *g)
{
	int64_t heads = lo_num_heads(L, "num_heads"), kv = lo_num_heads(L, "kv_num_heads");
	WqValue *q = lo_need(L, 0), *k = lo_in(L, 1), *v = lo_in(L, 2);

	if (lo_rank(L, q) != 3 || !k != !v)
		lo_bad(L, "query must have rank 3, and key and value come together");
	if (!k) {
		WqDim all = lo_dim(L, q, 2), size = wq_dim_floordiv(L->m, all, wq_dim_const(L->m, heads + 2 * kv));
		WqDim at_k = wq_dim_mul(L->m, size, wq_dim_const(L->m, heads));
		WqDim at_v = wq_dim_mul(L->m, size, wq_dim_const(L->m, heads + kv));
		v = lo_slice(L, q, 2, at_v, wq_dim_mul(L->m, size, wq_dim_const(L->m, heads + 2 * kv)), 1);
		k = lo_slice(L, q, 2, at_k, at_v, 1);
		q = lo_slice(L, q, 2, 0, at_k, 1);
	}
	g->a.q = lo_heads(L, q, heads);
	g->a.k = lo_heads(L, k, kv);
	g->a.v = lo_heads(L, v, kv);
	g->past_k = lo_in(L, 3);
	g->past_v = lo_in(L, 4);
	if (!g->past_k != !g->past_v)
		lo_bad(L, "past_key and past_value must come together");
}

/* Where the new keys go. In a first prompt they begin the sequence, however much of it is padding. */
static void group_lengths(Lower *L, Group *g)
{
	WqValue *seqlens = lo_need(L, 5), *total = lo_need(L, 6);
	WqDim batch = lo_dim(L, g->a.q, 0), s = lo_dim(L, g->a.q, 2);
	WqDim past = g->past_k ? lo_dim(L, g->past_k, 2) : 0;

	g->total_value = lo_reshape(L, lo_cast(L, total, WQ_I64), 1, (WqDim[]){ 1 });
	g->total = g->total_value->sym ? g->total_value->sym[0] : WQ_DIM_UNKNOWN;
	bool first = g->total == s;
	g->append = g->total == wq_dim_add(L->m, past, s) && (first || batch == 1);
	if (first) {
		g->past = lo_scalar(L, WQ_I64, 0);
		return;
	}
	if (g->append) {
		g->past = lo_dim_scalar(L, past, WQ_I64);
		return;
	}
	WqValue *n = lo_reshape(L, lo_cast(L, seqlens, WQ_I64), 1, &batch), *new = lo_dim_scalar(L, s, WQ_I64);
	n = lo2(L, OP_Sub, lo2(L, OP_Add, n, lo_scalar(L, WQ_I64, 1)), new);
	WqValue *prompt = lo2(L, OP_Equal, g->total_value, new);
	g->past = lo3(L, OP_Where, prompt, lo_scalar(L, WQ_I64, 0), n);
}

/* Positions of the new tokens: [B or 1, S]. */
static WqValue *group_positions(Lower *L, const Group *g)
{
	WqValue *p = lo_unsqueeze(L, lo_range(L, lo_dim(L, g->a.q, 2)), 1, (int64_t[]){ 0 });
	WqValue *past = lo_rank(L, g->past) ? lo_unsqueeze(L, g->past, 1, (int64_t[]){ 1 }) : g->past;

	return lo2(L, OP_Add, past, p);
}

static void group_rotate(Lower *L, Group *g)
{
	WqValue *at = lo_in(L, 9);
	bool interleaved = lo_i(L, "rotary_interleaved", 0) != 0;
	int64_t axis[] = { 1 };

	if (!lo_i(L, "do_rotary", 0))
		return;
	if (!at)
		at = group_positions(L, g);
	WqValue *cos = lo_unsqueeze(L, lo2(L, OP_Gather, lo_need(L, 7), at), 1, axis);
	WqValue *sin = lo_unsqueeze(L, lo2(L, OP_Gather, lo_need(L, 8), at), 1, axis);
	g->a.q = lo_rotate(L, g->a.q, cos, sin, interleaved);
	g->a.k = lo_rotate(L, g->a.k, cos, sin, interleaved);
}

/* The buffer of max(total, past buffer) rows, with the past in it. */
static WqValue *group_buffer(Lower *L, const Group *g, WqValue *past, WqValue *new)
{
	WqDim dims[] = { lo_dim(L, new, 0), lo_dim(L, new, 1), 0, lo_dim(L, new, 3) };

	if (!past)
		past = lo_expand(L, lo_like(L, new, 0), 4, dims);
	WqDim rows = lo_dim(L, past, 2);
	if (g->total != WQ_DIM_UNKNOWN && wq_dim_max(L->m, rows, g->total) == rows)
		return past;
	WqValue *more = lo2(L, OP_Sub, g->total_value, wq_dims(L->g, 1, &rows));
	more = lo2(L, OP_Max, more, lo_i64(L, 0));
	WqValue *pads = lo_concat(L, 0, 2, (WqValue *[]){ lo_i64(L, 0), more });
	return lo_result(L, lo_node(L, OP_Pad, 4, past, pads, lo_like(L, past, 0), lo_i64(L, 2)));
}

/* Row s of sequence b goes to row past[b] + s of the buffer. */
static WqValue *group_store(Lower *L, const Group *g, WqValue *past, WqValue *new)
{
	WqDim dims[] = { lo_dim(L, new, 0), lo_dim(L, new, 1), lo_dim(L, new, 2), 1 };
	WqValue *index[3];

	if (g->append)
		return past ? lo_concat(L, 2, 2, (WqValue *[]){ past, new }) : new;
	for (int i = 0; i < 2; i++) {
		WqDim shape[] = { 1, 1, 1, 1 };
		shape[i] = dims[i];
		index[i] = lo_expand(L, lo_reshape(L, lo_range(L, dims[i]), 4, shape), 4, dims);
	}
	WqValue *at = lo_unsqueeze(L, group_positions(L, g), 2, (int64_t[]){ 1, 3 });
	index[2] = lo_expand(L, at, 4, dims);
	return lo3(L, OP_ScatterND, group_buffer(L, g, past, new), lo_concat(L, 3, 3, index), new);
}

static void group_refuse(Lower *L)
{
	const char *k = lo_s(L, "k_quant_type", "NONE"), *v = lo_s(L, "v_quant_type", "NONE");

	if (strcmp(k, "NONE") || strcmp(v, "NONE"))
		lo_unsupported(L, "a quantized cache (k_quant_type '%s', v_quant_type '%s')", k, v);
}

/* qk_output 1: the masked scores, 2: the probabilities; of the first `total` keys. What is hidden is 0. */
static WqValue *group_scores(Lower *L, const Group *g)
{
	int64_t mode = lo_i(L, "qk_output", 0);
	WqValue *qk, *y = lo_attention_composed(L, &g->a, mode == 2 ? LO_QK_SOFTMAX : LO_QK_BIASED, &qk);
	WqValue *cut =
		lo_result(L, lo_node(L, OP_Slice, 5, qk, lo_i64(L, 0), g->total_value, lo_i64(L, 3), lo_i64(L, 1)));

	if (mode != 1 && mode != 2)
		lo_bad(L, "qk_output is %lld, but there is a fourth result", (long long)mode);
	if (mode == 1)
		cut = lo3(L, OP_Where, lo2(L, OP_Equal, cut, lo_like(L, cut, -INFINITY)), lo_like(L, cut, 0), cut);
	lo_out(L, 3, cut);
	return y;
}

void lower_ms_GroupQueryAttention(Lower *L)
{
	Group g = { .a = { .causal = true,
			   .window = lo_i(L, "local_window_size", -1),
			   .scale = lo_f(L, "scale", 0),
			   .softcap = lo_f(L, "softcap", 0),
			   .sink = lo_in(L, 11) } };

	group_refuse(L);
	group_operands(L, &g);
	group_lengths(L, &g);
	group_rotate(L, &g);
	g.a.k = group_store(L, &g, g.past_k, g.a.k);
	g.a.v = group_store(L, &g, g.past_v, g.a.v);
	g.a.offset = g.past;
	if (lo_in(L, 10))
		g.a.mask = lo_mask_padded(L, lo_in(L, 10), lo_dim(L, g.a.k, 2));
	if (!g.a.sink && lo_i(L, "smooth_softmax", 0) > 0)
		g.a.sink = lo_like(L, g.a.q, 0);
	lo_out(L, 0, lo_unheads(L, lo_wants(L, 3) ? group_scores(L, &g) : lo_attention(L, &g.a)));
	if (lo_wants(L, 1))
		lo_out(L, 1, g.a.k);
	if (lo_wants(L, 2))
		lo_out(L, 2, g.a.v);
}
