/* lower_attention.c: ai.onnx Attention, FlexAttention and TensorScatter, and what attention operators share. */
#include "frontend/lower_attention.h"
#include "frontend/loop.h"

#include <math.h>

/* ---- heads ----------------------------------------------------------------------------------- */

int64_t lo_num_heads(Lower *L, const char *attr)
{
	int64_t n = lo_i(L, attr, 0);

	if (n < 1 || n > INT32_MAX)
		lo_bad(L, "%s is %lld", attr, (long long)n);
	return n;
}

WqValue *lo_heads(Lower *L, WqValue *x, int64_t n)
{
	WqDim all = lo_dim(L, x, 2);

	if (wq_dim_static(all) && all % n)
		lo_bad(L, "the last axis has %lld elements, for %lld heads", (long long)all, (long long)n);
	WqDim size = wq_dim_floordiv(L->m, all, wq_dim_const(L->m, n));
	x = lo_reshape(L, x, 4, (WqDim[]){ lo_dim(L, x, 0), lo_dim(L, x, 1), n, size });
	return lo_transpose(L, x, 4, (int64_t[]){ 0, 2, 1, 3 });
}

WqValue *lo_unheads(Lower *L, WqValue *x)
{
	WqDim hidden = wq_dim_mul(L->m, lo_dim(L, x, 1), lo_dim(L, x, 3));

	x = lo_transpose(L, x, 4, (int64_t[]){ 0, 2, 1, 3 });
	return lo_reshape(L, x, 3, (WqDim[]){ lo_dim(L, x, 0), lo_dim(L, x, 1), hidden });
}

/* [B,G,T,D] with each head repeated: [B,H,T,D]. */
static WqValue *repeat_heads(Lower *L, WqValue *x, WqDim heads)
{
	WqDim b = lo_dim(L, x, 0), g = lo_dim(L, x, 1), t = lo_dim(L, x, 2), d = lo_dim(L, x, 3);

	if (g == heads)
		return x;
	if (wq_dim_static(g) && wq_dim_static(heads) && (g < 1 || heads % g))
		lo_bad(L, "%lld query heads for %lld key heads", (long long)heads, (long long)g);
	WqDim times = wq_dim_floordiv(L->m, heads, g);
	x = lo_expand(L, lo_unsqueeze(L, x, 1, (int64_t[]){ 2 }), 5, (WqDim[]){ b, g, times, t, d });
	return lo_reshape(L, x, 4, (WqDim[]){ b, heads, t, d });
}

/* ---- masks ----------------------------------------------------------------------------------- */

static WqValue *forbidding(Lower *L, WqDtype t)
{
	return t == WQ_BOOL ? lo_scalar(L, WQ_BOOL, 0) : lo_scalar(L, t, -INFINITY);
}

WqValue *lo_mask_padded(Lower *L, WqValue *mask, WqDim keys)
{
	int rank = lo_rank(L, mask);
	WqDim have = rank ? lo_dim(L, mask, -1) : keys;

	if (have == keys)
		return mask;
	if (wq_dim_static(have) && wq_dim_static(keys) && have > keys)
		lo_bad(L, "the mask has %lld columns for %lld keys", (long long)have, (long long)keys);
	WqDim ends[2] = { 0, wq_dim_max(L->m, wq_dim_sub(L->m, keys, have), 0) };
	return lo_result(
		L, lo_node(L, OP_Pad, 4, mask, wq_dims(L->g, 2, ends), forbidding(L, lo_type_of(mask)), lo_i64(L, -1)));
}

/* One number, or one per batch: [] or [B,1,1,1]. */
static WqValue *per_batch(Lower *L, WqValue *v)
{
	return lo_rank(L, v) ? lo_unsqueeze(L, v, 3, (int64_t[]){ 1, 2, 3 }) : v;
}

static WqValue *both(Lower *L, WqValue *a, WqValue *b) { return a && b ? lo2(L, OP_And, a, b) : a ? a : b; }

/* Which key a query may see, by position: broadcasts to [B,1,S,T]; NULL: every key. */
static WqValue *allowed(Lower *L, const LoAttention *a)
{
	WqValue *j = lo_unsqueeze(L, lo_range(L, lo_dim(L, a->k, 2)), 1, (int64_t[]){ 0 });
	WqValue *i = lo_unsqueeze(L, lo_range(L, lo_dim(L, a->q, 2)), 1, (int64_t[]){ 1 }), *ok = NULL;

	if (a->offset)
		i = lo2(L, OP_Add, i, per_batch(L, a->offset));
	if (a->causal)
		ok = lo2(L, OP_LessOrEqual, j, i);
	if (a->window >= 0)
		ok = both(L, ok, lo2(L, OP_Less, i, lo2(L, OP_Add, j, lo_scalar(L, WQ_I64, (double)a->window))));
	if (a->kv_len)
		ok = both(L, ok, lo2(L, OP_Less, j, per_batch(L, a->kv_len)));
	return ok;
}

/* What is added to the scores: floats of type t, or NULL for nothing. */
static WqValue *bias_of(Lower *L, const LoAttention *a, WqDtype t)
{
	WqValue *ok = allowed(L, a), *mask = a->mask;

	if (mask && lo_type_of(mask) == WQ_BOOL) {
		ok = both(L, ok, mask);
		mask = NULL;
	}
	mask = mask ? lo_cast(L, mask, t) : ok ? lo_scalar(L, t, 0) : NULL;
	return ok ? lo3(L, OP_Where, ok, mask, forbidding(L, t)) : mask;
}

/* ---- the two ways ---------------------------------------------------------------------------- */

static void check(Lower *L, const LoAttention *a)
{
	WqDim h = lo_dim(L, a->q, 1), g = lo_dim(L, a->k, 1);

	if (lo_rank(L, a->q) != 4 || lo_rank(L, a->k) != 4 || lo_rank(L, a->v) != 4)
		lo_bad(L, "query, key and value must have the same rank, 3 or 4");
	if (wq_dim_static(h) && wq_dim_static(g) && (g < 1 || h % g))
		lo_bad(L, "%lld query heads for %lld key heads", (long long)h, (long long)g);
}

WqValue *lo_attention(Lower *L, const LoAttention *a)
{
	if (a->sink)
		return lo_attention_composed(L, a, LO_QK_RAW, NULL);
	check(L, a);
	WqNode *n = lo_node(L, OP_Attention, 6, a->q, a->k, lo_cast(L, a->v, lo_type_of(a->q)), a->mask, a->offset,
			    a->kv_len);
	wq_set_f(n, "scale", a->scale);
	wq_set_f(n, "softcap", a->softcap);
	wq_set_i(n, "causal", a->causal);
	wq_set_i(n, "window", a->window);
	return lo_result(L, n);
}

static WqValue *cap(Lower *L, WqValue *s, double softcap)
{
	if (!(softcap > 0))
		return s;
	s = lo1(L, OP_Tanh, lo2(L, OP_Div, s, lo_like(L, s, softcap)));
	return lo2(L, OP_Mul, s, lo_like(L, s, softcap));
}

/* The scores of q and k, each scaled by sqrt(scale) so that half precision does not overflow. */
static WqValue *raw_scores(Lower *L, const LoAttention *a)
{
	WqDim size = lo_dim(L, a->q, 3);
	WqValue *k = lo_swap_last(L, repeat_heads(L, a->k, lo_dim(L, a->q, 1)));

	if (a->scale) {
		WqValue *root = lo_like(L, k, sqrt(fabs(a->scale)));
		WqValue *s = lo2(L, OP_MatMul, lo2(L, OP_Mul, a->q, root), lo2(L, OP_Mul, k, root));
		return a->scale < 0 ? lo1(L, OP_Neg, s) : s;
	}
	WqValue *root = lo1(L, OP_Sqrt, lo1(L, OP_Sqrt, lo_dim_scalar(L, size, WQ_F32)));
	root = lo_cast(L, root, lo_type_of(k));
	return lo2(L, OP_MatMul, lo2(L, OP_Div, a->q, root), lo2(L, OP_Div, k, root));
}

/* Softmax over the keys; a row that `bias` forbids altogether is zero. */
static WqValue *probabilities(Lower *L, const LoAttention *a, WqValue *s, WqValue *bias)
{
	WqDtype t = a->precision ? a->precision : lo_type_of(s);
	WqDim keys = lo_dim(L, s, 3);

	s = lo_cast(L, s, t);
	if (a->sink) {
		WqDim shape[] = { lo_dim(L, s, 0), lo_dim(L, s, 1), lo_dim(L, s, 2), 1 };
		WqValue *sink = lo_cast(L, a->sink, t);
		if (lo_rank(L, sink))
			sink = lo_unsqueeze(L, sink, 2, (int64_t[]){ 1, 2 });
		s = lo_concat(L, 3, 2, (WqValue *[]){ s, lo_expand(L, sink, 4, shape) });
	}
	WqValue *p = lo1(L, OP_Softmax, s);
	if (a->sink)
		return lo_slice(L, p, 3, 0, keys, 1);
	if (!bias)
		return p;
	WqValue *most = lo_reduce(L, OP_ReduceMax, bias, 1, (int64_t[]){ lo_rank(L, bias) - 1 }, true);
	WqValue *empty = lo2(L, OP_Equal, most, forbidding(L, lo_type_of(most)));
	return lo3(L, OP_Where, empty, lo_like(L, p, 0), p);
}

WqValue *lo_attention_composed(Lower *L, const LoAttention *a, int mode, WqValue **qk)
{
	WqDtype t = lo_type_of(a->q);

	check(L, a);
	WqValue *raw = raw_scores(L, a), *capped = cap(L, raw, a->softcap), *bias = bias_of(L, a, t);
	if (bias && lo_rank(L, bias) == 0)
		bias = lo_unsqueeze(L, bias, 1, (int64_t[]){ 0 });
	WqValue *biased = bias ? lo2(L, OP_Add, capped, bias) : capped;
	WqValue *p = lo_cast(L, probabilities(L, a, biased, bias), t);
	if (qk)
		*qk = mode == LO_QK_RAW ? raw : mode == LO_QK_CAPPED ? capped : mode == LO_QK_BIASED ? biased : p;
	return lo2(L, OP_MatMul, p, repeat_heads(L, lo_cast(L, a->v, t), lo_dim(L, a->q, 1)));
}

/* ---- Attention ------------------------------------------------------------------------------- */

/* A window to the right is a causal frontier that is as much further on; the left one counts from there. */
static void set_windows(Lower *L, LoAttention *a)
{
	int64_t left = lo_i(L, "left_window_size", -1), right = lo_i(L, "right_window_size", -1);

	if (left < -1 || right < -1 || left > INT32_MAX || right > INT32_MAX)
		lo_bad(L, "left_window_size is %lld, right_window_size %lld", (long long)left, (long long)right);
	a->window = left < 0 ? -1 : left + 1;
	if (a->causal || right < 0)
		return;
	WqValue *by = lo_scalar(L, WQ_I64, (double)right);
	a->offset = a->offset ? lo2(L, OP_Add, a->offset, by) : by;
	a->causal = true;
	if (a->window >= 0)
		a->window += right;
}

static void attention_operands(Lower *L, LoAttention *a)
{
	WqValue *past_k = lo_in(L, 4), *past_v = lo_in(L, 5);

	if (lo_rank(L, a->q) == 3) {
		a->q = lo_heads(L, a->q, lo_num_heads(L, "q_num_heads"));
		a->k = lo_heads(L, a->k, lo_num_heads(L, "kv_num_heads"));
		a->v = lo_heads(L, a->v, lo_num_heads(L, "kv_num_heads"));
	}
	if (!past_k != !past_v)
		lo_bad(L, "past_key and past_value must come together");
	if (past_k) {
		a->k = lo_concat(L, 2, 2, (WqValue *[]){ past_k, a->k });
		a->v = lo_concat(L, 2, 2, (WqValue *[]){ past_v, a->v });
		a->offset = lo_dim_scalar(L, lo_dim(L, past_k, 2), WQ_I64);
	}
	if (lo_in(L, 6)) {
		if (past_k)
			lo_bad(L, "nonpad_kv_seqlen together with past_key");
		a->kv_len = lo_cast(L, lo_in(L, 6), WQ_I64);
		a->offset = lo2(L, OP_Sub, a->kv_len, lo_dim_scalar(L, lo_dim(L, a->q, 2), WQ_I64));
	}
	if (lo_in(L, 3))
		a->mask = lo_mask_padded(L, lo_in(L, 3), lo_dim(L, a->k, 2));
}

/* A scale of 0 is a scale, while the core operator means its default by it. */
static void set_scale(Lower *L, LoAttention *a)
{
	a->scale = lo_f(L, "scale", 0);
	if (lo_has(L, "scale") && a->scale == 0) {
		a->q = lo2(L, OP_Mul, a->q, lo_like(L, a->q, 0));
		a->scale = 1;
	}
}

static WqDtype softmax_precision(Lower *L, WqDtype otherwise)
{
	WqDtype t = lo_dtype(L, "softmax_precision", otherwise);

	if (!wq_dtype_in(t, WQ_M_FLOAT))
		lo_bad(L, "softmax_precision is %s", wq_dtype(t)->text);
	return t;
}

void lower_Attention(Lower *L)
{
	LoAttention a = {
		.q = lo_need(L, 0), .k = lo_need(L, 1), .v = lo_need(L, 2), .causal = lo_i(L, "is_causal", 0) != 0
	};
	int rank = lo_rank(L, a.q);
	int64_t mode = lo_i(L, "qk_matmul_output_mode", 0);
	WqValue *y, *qk;

	if ((rank != 3 && rank != 4) || lo_rank(L, a.k) != rank || lo_rank(L, a.v) != rank)
		lo_bad(L, "query, key and value must have the same rank, 3 or 4");
	if (mode < LO_QK_RAW || mode > LO_QK_SOFTMAX)
		lo_bad(L, "qk_matmul_output_mode is %lld", (long long)mode);
	attention_operands(L, &a);
	set_windows(L, &a);
	set_scale(L, &a);
	a.softcap = lo_f(L, "softcap", 0);
	a.precision = softmax_precision(L, lo_type_of(a.q));
	if (lo_wants(L, 3)) {
		y = lo_attention_composed(L, &a, (int)mode, &qk);
		lo_out(L, 3, qk);
	} else
		y = lo_attention(L, &a);
	lo_out(L, 0, rank == 3 ? lo_unheads(L, y) : y);
	if (lo_wants(L, 1))
		lo_out(L, 1, a.k);
	if (lo_wants(L, 2))
		lo_out(L, 2, a.v);
}

/* ---- FlexAttention --------------------------------------------------------------------------- */

/* The nested graph of the attribute, applied to x; x itself if there is none. */
static WqValue *modified(Lower *L, const char *attr, WqValue *x)
{
	WqValue *y;

	if (!lo_has(L, attr))
		return x;
	const Onnx__GraphProto *gp = lo_graph_proto(L, attr);
	if (gp->n_input != 1 || gp->n_output != 1)
		lo_bad(L, "'%s' has %zu inputs and %zu outputs instead of one each", attr, gp->n_input, gp->n_output);
	graph_inline(L, gp, 1, &x, &y);
	if (lo_type_of(y) != lo_type_of(x) || lo_rank(L, y) != 4)
		lo_bad(L, "'%s' must give a tensor like its input", attr);
	return y;
}

void lower_FlexAttention(Lower *L)
{
	LoAttention a = { .q = lo_need(L, 0), .k = lo_need(L, 1), .v = lo_need(L, 2) };
	WqDtype t = lo_type_of(a.q), wide = softmax_precision(L, t == WQ_F64 ? WQ_F64 : WQ_F32);

	check(L, &a);
	set_scale(L, &a);
	WqValue *s = modified(L, "score_mod", lo_cast(L, raw_scores(L, &a), wide));
	WqValue *p = modified(L, "prob_mod", lo1(L, OP_Softmax, s));
	WqValue *v = repeat_heads(L, lo_cast(L, a.v, wide), lo_dim(L, a.q, 1));
	lo_out(L, 0, lo_cast(L, lo2(L, OP_MatMul, p, v), t));
}

/* ---- TensorScatter --------------------------------------------------------------------------- */

/* Row (i0, .., position) of the update goes to row (i0, .., write_indices[i0] + position) of the cache. */
void lower_TensorScatter(Lower *L)
{
	WqValue *cache = lo_need(L, 0), *update = lo_need(L, 1), *begin = lo_in(L, 2);
	const char *mode = lo_s(L, "mode", "linear");
	int rank = lo_rank(L, cache), axis = lo_axis(L, lo_i(L, "axis", -2), rank);
	WqDim dims[WQ_MAX_RANK + 1];
	WqValue *index[WQ_MAX_RANK];

	if (axis == 0 || lo_rank(L, update) != rank)
		lo_bad(L, "axis is 0, or cache and update have different ranks");
	if (strcmp(mode, "linear") && strcmp(mode, "circular"))
		lo_bad(L, "mode is '%s'", mode);
	for (int i = 0; i <= axis; i++)
		dims[i] = lo_dim(L, update, i);
	dims[axis + 1] = 1;
	for (int i = 0; i <= axis; i++) {
		WqDim shape[WQ_MAX_RANK + 1];
		for (int k = 0; k < axis + 2; k++)
			shape[k] = k == i ? dims[i] : 1;
		WqValue *at = lo_reshape(L, lo_range(L, dims[i]), axis + 2, shape);
		if (i == axis && begin) {
			shape[0] = dims[0];
			shape[axis] = 1;
			at = lo2(L, OP_Add, at, lo_reshape(L, lo_cast(L, begin, WQ_I64), axis + 2, shape));
		}
		if (i == axis && !strcmp(mode, "circular"))
			at = lo2(L, OP_Mod, at, lo_dim_scalar(L, lo_dim(L, cache, axis), WQ_I64));
		index[i] = lo_expand(L, at, axis + 2, dims);
	}
	lo_out(L, 0, lo3(L, OP_ScatterND, cache, lo_concat(L, axis + 1, axis + 1, index), update));
}
