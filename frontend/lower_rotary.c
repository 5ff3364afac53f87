/* lower_rotary.c: RotaryEmbedding, of ai.onnx and com.microsoft. */
#include "frontend/lower_attention.h"

/* ---- the rotation ---------------------------------------------------------------------------- */

/* The pairs' first and second members: halves of the axis, or its even and odd elements (then on an axis of 1). */
static void pairs(Lower *L, WqValue *x, WqDim half, bool interleaved, WqValue **a, WqValue **b)
{
	int rank = lo_rank(L, x);
	WqDim dims[WQ_MAX_RANK + 1];

	if (!interleaved) {
		*a = lo_slice(L, x, rank - 1, 0, half, 1);
		*b = lo_slice(L, x, rank - 1, half, lo_dim(L, x, -1), 1);
		return;
	}
	memcpy(dims, x->type.dim, (size_t)rank * sizeof *dims);
	dims[rank - 1] = half;
	dims[rank] = 2;
	x = lo_reshape(L, x, rank + 1, dims);
	*a = lo_slice(L, x, rank, 0, 1, 1);
	*b = lo_slice(L, x, rank, 1, 2, 1);
}

WqValue *lo_rotate(Lower *L, WqValue *x, WqValue *cos, WqValue *sin, bool interleaved)
{
	int rank = lo_rank(L, x), last = rank - 1;
	WqDim size = lo_dim(L, x, last), half = lo_dim(L, cos, -1);
	WqDim both = wq_dim_mul(L->m, half, wq_dim_const(L->m, 2));
	WqValue *turned = lo_slice(L, x, last, 0, both, 1), *a, *b;
	WqDim dims[WQ_MAX_RANK];

	memcpy(dims, turned->type.dim, (size_t)rank * sizeof *dims);
	cos = lo_cast(L, cos, lo_type_of(x));
	sin = lo_cast(L, sin, lo_type_of(x));
	pairs(L, turned, half, interleaved, &a, &b);
	if (interleaved) {
		cos = lo_unsqueeze(L, cos, 1, (int64_t[]){ -1 });
		sin = lo_unsqueeze(L, sin, 1, (int64_t[]){ -1 });
	}
	WqValue *re = lo2(L, OP_Sub, lo2(L, OP_Mul, cos, a), lo2(L, OP_Mul, sin, b));
	WqValue *im = lo2(L, OP_Add, lo2(L, OP_Mul, sin, a), lo2(L, OP_Mul, cos, b));
	WqValue *y = lo_concat(L, interleaved ? rank : last, 2, (WqValue *[]){ re, im });
	y = lo_reshape(L, y, rank, dims);
	if (both == size)
		return y;
	return lo_concat(L, last, 2, (WqValue *[]){ y, lo_slice(L, x, last, both, size, 1) });
}

/* ---- the operators --------------------------------------------------------------------------- */

typedef struct Rotary {
	WqValue *x, *cos, *sin; /* cos, sin: [B or 1, S, half] */
	int64_t dim;            /* rotated elements of a head; 0: all */
	int64_t heads;          /* of a 3-D input; 0: as many as `cos` tells */
} Rotary;

static void check_half(Lower *L, const Rotary *r, WqDim head)
{
	WqDim half = lo_dim(L, r->cos, -1), other = lo_dim(L, r->sin, -1), dim = r->dim ? r->dim : head;

	if (wq_dim_static(half) && wq_dim_static(other) && half != other)
		lo_bad(L, "the cosines and sines have different sizes");
	if (wq_dim_static(dim) && wq_dim_static(half) && (dim % 2 || half != dim / 2))
		lo_bad(L, "%lld angles for %lld rotated elements", (long long)half, (long long)dim);
	if (wq_dim_static(head) && wq_dim_static(half) && half > head / 2)
		lo_bad(L, "%lld angles for heads of %lld elements", (long long)half, (long long)head);
}

/* [B,S,heads*D] is rotated as [B,S,heads,D], where the angles are the same for all heads. */
static WqValue *rotate_hidden(Lower *L, const Rotary *r, bool interleaved)
{
	WqDim b = lo_dim(L, r->x, 0), s = lo_dim(L, r->x, 1), all = lo_dim(L, r->x, 2);
	WqDim half = lo_dim(L, r->cos, -1), two = wq_dim_const(L->m, 2), head, heads = r->heads;

	if (heads && wq_dim_static(all) && all % heads)
		lo_bad(L, "the last axis has %lld elements, for %lld heads", (long long)all, (long long)heads);
	head = heads ? wq_dim_floordiv(L->m, all, heads) : wq_dim_mul(L->m, half, two);
	if (!heads) {
		if (wq_dim_static(head) && wq_dim_static(all) && (head < 1 || all % head))
			lo_bad(L, "the last axis has %lld elements, for heads of %lld", (long long)all,
			       (long long)head);
		heads = wq_dim_floordiv(L->m, all, head);
	}
	check_half(L, r, head);
	WqValue *x = lo_reshape(L, r->x, 4, (WqDim[]){ b, s, heads, head });
	int64_t axis[] = { 2 };
	x = lo_rotate(L, x, lo_unsqueeze(L, r->cos, 1, axis), lo_unsqueeze(L, r->sin, 1, axis), interleaved);
	return lo_reshape(L, x, 3, (WqDim[]){ b, s, all });
}

static WqValue *rotary(Lower *L, const Rotary *r)
{
	bool interleaved = lo_i(L, "interleaved", 0) != 0;
	int64_t axis[] = { 1 };

	if (lo_rank(L, r->cos) != 3 || lo_rank(L, r->sin) != 3)
		lo_bad(L, "the cosines and sines must have one row for each position");
	if (r->dim < 0 || r->heads < 0)
		lo_bad(L, "rotary_embedding_dim is %lld, num_heads %lld", (long long)r->dim, (long long)r->heads);
	if (lo_rank(L, r->x) == 3)
		return rotate_hidden(L, r, interleaved);
	if (lo_rank(L, r->x) != 4)
		lo_bad(L, "the input has rank %d, 3 or 4 is needed", lo_rank(L, r->x));
	check_half(L, r, lo_dim(L, r->x, 3));
	return lo_rotate(L, r->x, lo_unsqueeze(L, r->cos, 1, axis), lo_unsqueeze(L, r->sin, 1, axis), interleaved);
}

void lower_RotaryEmbedding(Lower *L)
{
	Rotary r = { .x = lo_need(L, 0), .cos = lo_need(L, 1), .sin = lo_need(L, 2) };
	WqValue *positions = lo_in(L, 3);

	r.dim = lo_i(L, "rotary_embedding_dim", 0);
	r.heads = lo_i(L, "num_heads", 0);
	if (lo_rank(L, r.x) == 3 && !r.heads)
		lo_bad(L, "num_heads is missing");
	if (positions) {
		r.cos = lo2(L, OP_Gather, r.cos, positions);
		r.sin = lo2(L, OP_Gather, r.sin, positions);
	}
	lo_out(L, 0, rotary(L, &r));
}

/* Positions come as [B,S], or as one number: where the sequence begins. */
void lower_ms_RotaryEmbedding(Lower *L)
{
	Rotary r = { .x = lo_need(L, 0) };
	WqValue *positions = lo_need(L, 1);

	r.dim = lo_i(L, "rotary_embedding_dim", 0);
	r.heads = lo_i(L, "num_heads", 0);
	if (r.dim && lo_rank(L, r.x) == 3 && !r.heads)
		lo_bad(L, "rotary_embedding_dim without num_heads");
	if (lo_rank(L, positions) < 2) {
		WqDim s = lo_dim(L, r.x, lo_rank(L, r.x) - 2);
		positions = lo_reshape(L, positions, 1, (WqDim[]){ 1 });
		positions = lo2(L, OP_Add, lo_cast(L, positions, WQ_I64), lo_range(L, s));
		positions = lo_unsqueeze(L, positions, 1, (int64_t[]){ 0 });
	}
	r.cos = lo2(L, OP_Gather, lo_need(L, 2), positions);
	r.sin = lo2(L, OP_Gather, lo_need(L, 3), positions);
	lo_out(L, 0, rotary(L, &r));
}
