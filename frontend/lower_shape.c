/* lower_shape.c: operators that only move or repeat elements: reshaping, slicing, joining, padding. */
#include "frontend/lower.h"

/* The shape as a value, whether or not the rank is known. */
static WqValue *shape_of(Lower *L, WqValue *x)
{
	return x->type.rank >= 0 ? wq_dims(L->g, x->type.rank, x->type.dim) : lo1(L, OP_Shape, x);
}

/* The number of elements of a vector (a scalar counts as one), or -1 if it is not known. */
static int vector_len(Lower *L, const WqValue *v)
{
	int rank = lo_rank(L, v);
	if (rank > 1)
		lo_bad(L, "'%.200s' has rank %d instead of 1", v->name, rank);
	if (rank == 0)
		return 1;
	return wq_dim_static(v->type.dim[0]) && v->type.dim[0] < INT32_MAX ? (int)v->type.dim[0] : -1;
}

static WqValue *as_vector(Lower *L, WqValue *v)
{
	v = lo_cast(L, v, WQ_I64);
	return v->type.rank == 0 ? lo_reshape_to(L, v, 1, (int64_t[]){ 1 }) : v;
}

/* ---- Reshape, Flatten, Transpose, Expand ---------------------------------------------------------------- */

/* A shape of known expressions, with its "0: as before" entries filled in and -1 worked out, so that sizes keep their
 * names. A size that was computed and happens to be 0 is then a size of 0: where ONNX would copy the old one, the
 * counts could not agree. False if an entry is not known. */
static bool known_shape(Lower *L, const WqValue *x, const WqValue *shape, WqDim *dim, int *rank)
{
	if (!shape->sym || shape->type.rank != 1 || !wq_dim_static(shape->type.dim[0]) || x->type.rank < 0 ||
	    shape->type.dim[0] > WQ_MAX_RANK || lo_i(L, "allowzero", 0))
		return false;
	*rank = (int)shape->type.dim[0];
	int64_t v;
	bool named = false;
	for (int i = 0; i < *rank; i++) {
		dim[i] = shape->sym[i];
		bool number = wq_dim_get_const(L->m, dim[i], &v);
		if (number && v == 0 && i < x->type.rank)
			dim[i] = x->type.dim[i];
		else if (number ? v <= 0 && v != -1 : wq_dim_lo(L->m, dim[i]) < 0)
			return false;
		named |= !number;
	}
	return named;
}

void lower_Reshape(Lower *L)
{
	WqValue *x = lo_need(L, 0), *shape;
	if (L->version < 5) {
		int n;
		const int64_t *v = lo_ints(L, "shape", &n);
		if (!v)
			lo_bad(L, "attribute 'shape' is missing");
		shape = lo_i64s(L, n, v);
	} else {
		shape = lo_need(L, 1);
	}
	WqDim dim[WQ_MAX_RANK];
	int rank;
	bool known = known_shape(L, x, shape, dim, &rank);
	WqNode *n = lo_node(L, OP_Reshape, 2, x, known ? wq_dims(L->g, rank, dim) : shape);
	wq_set_i(n, "allowzero", known || lo_i(L, "allowzero", 0));
	lo_out(L, 0, lo_result(L, n));
}

void lower_Flatten(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int rank = lo_rank(L, x);
	int64_t axis = lo_i(L, "axis", 1);
	if (axis < (L->version >= 11 ? -rank : 0) || axis > rank)
		lo_bad(L, "axis %lld is out of range for rank %d", (long long)axis, rank);
	axis = axis < 0 ? axis + rank : axis;
	WqDim dim[2] = { 1, 1 };
	for (int i = 0; i < rank; i++)
		dim[i >= axis] = wq_dim_mul(L->m, dim[i >= axis], x->type.dim[i]);
	lo_out(L, 0, lo_reshape(L, x, 2, dim));
}

void lower_Transpose(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int n;
	const int64_t *perm = lo_ints(L, "perm", &n);
	int64_t checked[WQ_MAX_RANK];
	bool seen[WQ_MAX_RANK] = { 0 };
	x = perm ? lo_with_rank(L, x, n) : x;
	int rank = lo_rank(L, x);
	if (perm && n != rank)
		lo_bad(L, "'perm' has %d elements for an operand of rank %d", n, rank);
	for (int i = 0; i < rank; i++) {
		checked[i] = perm ? lo_axis(L, perm[i], rank) : rank - 1 - i;
		if (seen[checked[i]])
			lo_bad(L, "'perm' is no permutation");
		seen[checked[i]] = true;
	}
	lo_out(L, 0, lo_transpose(L, x, rank, checked));
}

void lower_Expand(Lower *L) { lo_out(L, 0, lo2(L, OP_Expand, lo_need(L, 0), lo_need(L, 1))); }

/* ---- Squeeze, Unsqueeze ------------------------------------------------------------------------------------ */

/* The axes, by attribute before version 13, by operand since: NULL if there are none. *v is set instead if only running
 * tells them. */
static const int64_t *axes_of(Lower *L, int *n, WqValue **v)
{
	const int64_t *axes = NULL;
	*v = NULL;
	*n = 0;
	if (L->version < 13)
		return lo_ints(L, "axes", n);
	WqValue *a = lo_in(L, 1);
	if (!a || lo_const_ints(L, a, n, &axes))
		return axes;
	*n = vector_len(L, a);
	*v = as_vector(L, a);
	return NULL;
}

static WqValue *reshape_to_value(Lower *L, WqValue *x, WqValue *shape)
{
	WqNode *n = lo_node(L, OP_Reshape, 2, x, shape);
	wq_set_i(n, "allowzero", 1);
	return lo_result(L, n);
}

/* i64 [1]: the number of elements of a vector. */
static WqValue *length_of(Lower *L, WqValue *v) { return shape_of(L, v); }

/* i64 [rank]: 1 at the axes, 0 elsewhere. rank is i64 [1]. */
static WqValue *axis_mask(Lower *L, WqValue *axes, WqValue *rank)
{
	WqValue *zeros = lo2(L, OP_Expand, wq_const_int(L->g, WQ_I64, 0), rank);
	WqValue *ones = lo2(L, OP_Expand, wq_const_int(L->g, WQ_I64, 1), length_of(L, axes));
	WqValue *a = lo2(L, OP_Mod, lo2(L, OP_Add, axes, rank), rank);
	return lo_result(L, lo_node(L, OP_ScatterElements, 3, zeros, a, ones));
}

/* For axes, or an operand's rank, that only running tells. */
static WqValue *unsqueeze_at_run_time(Lower *L, WqValue *x, WqValue *axes)
{
	WqValue *shape = shape_of(L, x), *one = wq_const_int(L->g, WQ_I64, 1);
	WqValue *mask = axis_mask(L, axes, lo2(L, OP_Add, length_of(L, shape), length_of(L, axes)));
	/* Where the mask is 0, the k-th such place takes the operand's dimension k. The 1 in front serves places before
	 * any. */
	WqValue *k = lo2(L, OP_CumSum, lo2(L, OP_Sub, one, mask), wq_const_int(L->g, WQ_I64, 0));
	WqValue *dims = lo_concat(L, 0, 2, (WqValue *[]){ lo_i64(L, 1), shape });
	return reshape_to_value(L, x, lo3(L, OP_Where, lo2(L, OP_Equal, mask, one), one, lo2(L, OP_Gather, dims, k)));
}

/* The axes that stay are picked by what is 0 in drop; they are `left` if that is known, else -1. */
static WqValue *squeeze_masked(Lower *L, WqValue *x, WqValue *drop, int left)
{
	WqValue *shape = shape_of(L, x), *keep;
	if (left >= 0) { /* the smallest of index + rank * mask, so that the rank stays known */
		WqValue *rank = wq_const_int(L->g, WQ_I64, x->type.rank);
		WqNode *top =
			lo_node(L, OP_TopK, 2, lo2(L, OP_Add, lo_range(L, x->type.rank), lo2(L, OP_Mul, drop, rank)),
				lo_i64(L, left));
		wq_set_i(top, "largest", 0);
		wq_node_finish(top, 2, NULL);
		keep = top->out[0];
	} else {
		WqValue *stays = lo2(L, OP_Equal, drop, wq_const_int(L->g, WQ_I64, 0));
		keep = lo_reshape_to(L, lo1(L, OP_NonZero, stays), 1, (int64_t[]){ -1 });
	}
	return reshape_to_value(L, x, lo2(L, OP_Gather, shape, keep));
}

void lower_Unsqueeze(Lower *L)
{
	WqValue *x = lo_need(L, 0), *v;
	int n;
	const int64_t *axes = axes_of(L, &n, &v);
	if (!axes && !v)
		lo_bad(L, "the axes are missing");
	if (axes && x->type.rank >= 0)
		lo_out(L, 0, lo_unsqueeze(L, x, n, axes));
	else
		lo_out(L, 0, unsqueeze_at_run_time(L, x, v ? v : lo_i64s(L, n, axes)));
}

/* Axes that are known to have size 1; false if only running tells. */
static bool ones_of(Lower *L, const WqValue *x, int *n, int64_t *axes)
{
	*n = 0;
	for (int i = 0; i < x->type.rank; i++) {
		WqDim d = x->type.dim[i];
		if (d == 1)
			axes[(*n)++] = i;
		else if (wq_dim_lo(L->m, d) <= 1 && wq_dim_hi(L->m, d) >= 1)
			return false;
	}
	return x->type.rank >= 0;
}

void lower_Squeeze(Lower *L)
{
	WqValue *x = lo_need(L, 0), *v;
	int n;
	const int64_t *axes = axes_of(L, &n, &v);
	int64_t ones[WQ_MAX_RANK];
	if (!axes && !v) {
		if (ones_of(L, x, &n, ones)) {
			lo_out(L, 0, lo_squeeze(L, x, n, ones));
			return;
		}
		WqValue *is_one = lo2(L, OP_Equal, shape_of(L, x), wq_const_int(L->g, WQ_I64, 1));
		lo_out(L, 0, squeeze_masked(L, x, lo_cast(L, is_one, WQ_I64), -1));
	} else if (axes && x->type.rank >= 0) {
		lo_out(L, 0, lo_squeeze(L, x, n, axes));
	} else {
		if (x->type.rank >= 0 && n > x->type.rank)
			lo_bad(L, "%d axes for an operand of rank %d", n, x->type.rank);
		WqValue *drop = axis_mask(L, v ? v : lo_i64s(L, n, axes), length_of(L, shape_of(L, x)));
		lo_out(L, 0, squeeze_masked(L, x, drop, x->type.rank >= 0 && n >= 0 ? x->type.rank - n : -1));
	}
}

/* ---- Concat, Split, Slice ------------------------------------------------------------------------------------- */

void lower_Concat(Lower *L)
{
	int n = lo_n_in(L);
	if (L->version >= 4 && !lo_has(L, "axis"))
		lo_bad(L, "attribute 'axis' is missing");
	int64_t axis = lo_i(L, "axis", 1);
	WqValue **v = WQ_NEW_N(L->m->arena, WqValue *, n);
	if (n < 1)
		lo_bad(L, "there are no operands");
	for (int i = 0; i < n; i++) {
		v[i] = lo_need(L, i);
		if (v[i]->type.rank >= 0)
			axis = lo_axis(L, axis, v[i]->type.rank);
	}
	if (axis < INT32_MIN || axis > INT32_MAX)
		lo_bad(L, "axis %lld is out of range", (long long)axis);
	lo_out(L, 0, lo_concat(L, (int)axis, n, v));
}

static void split_at(Lower *L, WqValue *x, int axis, int n, const WqDim *sizes)
{
	WqDim at = 0;
	for (int i = 0; i < n; i++) {
		int64_t size;
		if (wq_dim_get_const(L->m, sizes[i], &size) && size < 0)
			lo_bad(L, "size %d is negative", i);
		WqDim end = wq_dim_add(L->m, at, sizes[i]);
		lo_out(L, i, lo_slice(L, x, axis, at, end, 1));
		at = end;
	}
	WqDim have = x->type.rank >= 0 ? x->type.dim[axis] : at;
	if (wq_dim_static(at) && wq_dim_static(have) && at != have)
		lo_bad(L, "the sizes add up to %lld, but axis %d has %lld", (long long)at, axis, (long long)have);
}

/* Only running tells the sizes: part i lies between the sums of those before and with it. */
static void split_at_run_time(Lower *L, WqValue *x, int axis, int n, WqValue *sizes)
{
	WqValue *ends = lo2(L, OP_CumSum, sizes, wq_const_int(L->g, WQ_I64, 0));
	WqValue *starts = lo2(L, OP_Sub, ends, sizes);
	for (int i = 0; i < n; i++)
		lo_out(L, i, lo_result(L, lo_node(L, OP_Slice, 5, x, lo_slice(L, starts, 0, i, i + 1, 1),
			lo_slice(L, ends, 0, i, i + 1, 1), lo_i64(L, axis), lo_i64(L, 1))));
}

static void split_evenly(Lower *L, WqValue *x, int axis, int n)
{
	WqDim dim = x->type.dim[axis];
	if (L->version < 18 && wq_dim_static(dim) && dim % n)
		lo_bad(L, "axis %d has size %lld, which does not split into %d equal parts", axis, (long long)dim, n);
	WqDim part = L->version < 18 ? wq_dim_floordiv(L->m, dim, n) : wq_dim_ceildiv(L->m, dim, n), at = 0;
	for (int i = 0; i < n; i++) {
		WqDim end = i == n - 1 ? dim : wq_dim_min(L->m, wq_dim_add(L->m, at, part), dim);
		lo_out(L, i, lo_slice(L, x, axis, at, end, 1));
		at = end;
	}
}

/* Equal parts of an axis whose size only running tells: its operand's rank is not known. The last one takes what is
 * left. */
static void split_evenly_at_run_time(Lower *L, WqValue *x, int axis, int n)
{
	WqNode *gather = lo_node(L, OP_Gather, 2, lo1(L, OP_Shape, x), lo_i64(L, axis));
	WqValue *size = lo2(L, OP_Add, lo_result(L, gather), lo_i64(L, L->version < 18 ? 0 : n - 1));
	WqValue *part = lo2(L, OP_Div, size, lo_i64(L, n));
	for (int i = 0; i < n; i++) {
		WqValue *start = lo2(L, OP_Mul, part, lo_i64(L, i));
		WqValue *end = i == n - 1 ? lo_i64(L, INT64_MAX) : lo2(L, OP_Mul, part, lo_i64(L, i + 1));
		lo_out(L, i, lo_result(L, lo_node(L, OP_Slice, 5, x, start, end, lo_i64(L, axis), lo_i64(L, 1))));
	}
}

void lower_Split(Lower *L)
{
	WqValue *x = lo_need(L, 0), *sizes = L->version == 1 || L->version >= 13 ? lo_in(L, 1) : NULL;
	int n = lo_n_out(L), rank = x->type.rank, n_sizes = 0;
	int axis = lo_axis(L, lo_i(L, "axis", 0), rank < 0 ? WQ_MAX_RANK : rank);
	if (rank < 0 && lo_i(L, "axis", 0) < 0)
		axis -= WQ_MAX_RANK; /* counts from the end of what only running tells */
	const int64_t *attr = L->version < 13 ? lo_ints(L, "split", &n_sizes) : NULL;
	if (n < 1)
		lo_bad(L, "there are no results");
	if (lo_has(L, "num_outputs") && (sizes || lo_i(L, "num_outputs", 0) != n))
		lo_bad(L, "'num_outputs' does not fit: %d results%s", n, sizes ? ", and 'split' is given as well" : "");
	const WqDim *known = sizes ? lo_known(sizes, &n_sizes) : NULL;
	if (attr) {
		WqDim *d = WQ_NEW_N(L->m->arena, WqDim, n_sizes);
		for (int i = 0; i < n_sizes; i++)
			d[i] = wq_dim_const(L->m, attr[i]);
		known = d;
	} else if (sizes && !known) {
		n_sizes = vector_len(L, sizes);
	}
	if ((attr || sizes) && n_sizes >= 0 && n_sizes != n)
		lo_bad(L, "%d sizes for %d results", n_sizes, n);
	if (known)
		split_at(L, x, axis, n, known);
	else if (sizes)
		split_at_run_time(L, x, axis, n, as_vector(L, sizes));
	else if (rank < 0)
		split_evenly_at_run_time(L, x, axis, n);
	else
		split_evenly(L, x, axis, n);
}

void lower_Slice(Lower *L)
{
	WqValue *x = lo_need(L, 0), *starts, *ends, *axes = NULL, *steps = NULL;
	int n;
	if (L->version < 10) {
		int n_ends, n_axes;
		const int64_t *s = lo_ints(L, "starts", &n), *e = lo_ints(L, "ends", &n_ends),
			      *a = lo_ints(L, "axes", &n_axes);
		if (!s || !e || n != n_ends || (a && n_axes != n))
			lo_bad(L, "'starts', 'ends' and 'axes' do not fit each other");
		starts = lo_i64s(L, n, s);
		ends = lo_i64s(L, n, e);
		axes = a ? lo_i64s(L, n, a) : NULL;
	} else {
		starts = as_vector(L, lo_need(L, 1));
		ends = as_vector(L, lo_need(L, 2));
		axes = lo_in(L, 3) ? as_vector(L, lo_in(L, 3)) : NULL;
		steps = lo_in(L, 4) ? as_vector(L, lo_in(L, 4)) : NULL;
		n = vector_len(L, starts);
		n = n < 0 ? vector_len(L, ends) : n;
		if (n < 0 && (!axes || !steps))
			lo_unsupported(L, "the number of axes is not known when compiling");
	}
	axes = axes ? axes : lo_range(L, n);
	steps = steps ? steps : lo_expand(L, wq_const_int(L->g, WQ_I64, 1), 1, (WqDim[]){ n });
	lo_out(L, 0, lo_result(L, lo_node(L, OP_Slice, 5, x, starts, ends, axes, steps)));
}

/* ---- Tile, Pad ----------------------------------------------------------------------------------------------------
 */

/* Before: [a, b]. Puts a dimension in front of each, expands it, and merges the two: [r0, a, r1, b] -> [r0*a, r1*b].
 * Axes that are known not to repeat are left alone. */
static WqValue *tile_known(Lower *L, WqValue *x, const WqDim *repeats)
{
	int rank = lo_rank(L, x), wide = 0;
	WqDim from[2 * WQ_MAX_RANK], to[2 * WQ_MAX_RANK], out[WQ_MAX_RANK];
	for (int i = 0; i < rank; i++) {
		WqDim d = x->type.dim[i];
		int64_t r;
		if (wq_dim_get_const(L->m, repeats[i], &r) && r < 0)
			lo_bad(L, "axis %d is repeated %lld times", i, (long long)r);
		if (repeats[i] != 1 && d != 1) {
			from[wide] = 1;
			to[wide++] = repeats[i];
		}
		from[wide] = d;
		to[wide++] = d == 1 ? repeats[i] : d;
		out[i] = wq_dim_mul(L->m, repeats[i], d);
	}
	if (wide > WQ_MAX_RANK)
		lo_unsupported(L, "repeats a tensor of rank %d along %d axes", rank, wide - rank);
	return lo_reshape(L, lo_expand(L, lo_reshape(L, x, wide, from), wide, to), rank, out);
}

static WqValue *tile_at_run_time(Lower *L, WqValue *x, WqValue *repeats)
{
	int rank = lo_rank(L, x);
	if (2 * rank > WQ_MAX_RANK)
		lo_unsupported(L, "repeats a tensor of rank %d along axes that only running tells", rank);
	WqValue *shape = shape_of(L, x);
	WqDim from[WQ_MAX_RANK];
	for (int i = 0; i < rank; i++) {
		from[(ptrdiff_t)2 * i] = 1;
		from[(ptrdiff_t)2 * i + 1] = x->type.dim[i];
	}
	WqValue *pair[2] = { lo_reshape_to(L, repeats, 2, (int64_t[]){ rank, 1 }),
			     lo_reshape_to(L, shape, 2, (int64_t[]){ rank, 1 }) };
	WqValue *to = lo_reshape_to(L, lo_concat(L, 1, 2, pair), 1, (int64_t[]){ 2 * (int64_t)rank });
	WqNode *n = lo_node(L, OP_Reshape, 2, lo2(L, OP_Expand, lo_reshape(L, x, 2 * rank, from), to),
			    lo2(L, OP_Mul, repeats, shape));
	wq_set_i(n, "allowzero", 1);
	return lo_result(L, n);
}

/* Version 1 repeats along one axis, both given as operands. */
static const WqDim *tile_v1(Lower *L, int rank)
{
	double times, axis;
	WqDim *r = WQ_NEW_N(L->m->arena, WqDim, WQ_MAX_RANK);
	if (!lo_const_scalar(L, lo_need(L, 1), &times) || !lo_const_scalar(L, lo_need(L, 2), &axis))
		lo_unsupported(L, "the axis or the number of tiles is not known when compiling");
	if (!(times >= 0 && times < INT32_MAX && axis > -100 && axis < 100))
		lo_bad(L, "%g tiles along axis %g", times, axis);
	for (int i = 0; i < rank; i++)
		r[i] = 1;
	r[lo_axis(L, (int64_t)axis, rank)] = (int64_t)times;
	return r;
}

void lower_Tile(Lower *L)
{
	WqValue *x = lo_need(L, 0), *repeats = lo_need(L, 1);
	int rank = lo_rank(L, x), n = rank;
	const WqDim *known = L->version == 1 ? tile_v1(L, rank) : lo_known(repeats, &n);
	if (!known)
		n = vector_len(L, repeats);
	if (n >= 0 && n != rank)
		lo_bad(L, "%d repeats for an operand of rank %d", n, rank);
	lo_out(L, 0, known ? tile_known(L, x, known) : tile_at_run_time(L, x, as_vector(L, repeats)));
}

void lower_Pad(Lower *L)
{
	WqValue *x = lo_need(L, 0), *pads, *value = NULL, *axes = NULL;
	if (L->version < 11) {
		int n;
		const int64_t *p = lo_ints(L, L->version == 1 ? "paddings" : "pads", &n);
		if (!p)
			lo_bad(L, "attribute '%s' is missing", L->version == 1 ? "paddings" : "pads");
		pads = lo_i64s(L, n, p);
		if (lo_f(L, "value", 0) != 0)
			value = lo_like(L, x, lo_f(L, "value", 0));
	} else {
		pads = as_vector(L, lo_need(L, 1));
		value = lo_in(L, 2) ? lo_scalar_of(L, lo_in(L, 2)) : NULL;
		axes = L->version >= 18 && lo_in(L, 3) ? as_vector(L, lo_in(L, 3)) : NULL;
	}
	WqNode *n = lo_node(L, OP_Pad, 4, x, pads, value, axes);
	wq_set_s(n, "mode", lo_s(L, "mode", "constant"));
	lo_out(L, 0, lo_result(L, n));
}
