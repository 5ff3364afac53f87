/* lower_util.c: what is known of values, and building blocks of lowerings. */
#include "frontend/importer.h"

/* ---- what is known ------------------------------------------------------------------------------------ */

int lo_rank(Lower *L, const WqValue *v)
{
	if (v->type.kind != WQ_TENSOR)
		lo_bad(L, "'%.200s' is not a tensor", v->name);
	if (v->type.rank < 0)
		lo_unsupported(L, "the rank of '%.200s' is not known when compiling; fixing sizes by --dim may help",
			       v->name);
	return v->type.rank;
}

int lo_axis(Lower *L, int64_t axis, int rank)
{
	if (axis < -rank || axis >= rank)
		lo_bad(L, "axis %lld is out of range for rank %d", (long long)axis, rank);
	return (int)(axis < 0 ? axis + rank : axis);
}

WqDim lo_dim(Lower *L, const WqValue *v, int axis)
{
	return v->type.dim[lo_axis(L, axis, lo_rank(L, v))];
}

WqDtype lo_type_of(const WqValue *v) { return v->type.dtype; }

bool lo_const_ints(Lower *L, const WqValue *v, int *n, const int64_t **out)
{
	return wq_value_const_i64s(v, n, out, L->m->arena);
}

bool lo_const_scalar(Lower *L, const WqValue *v, double *out)
{
	(void)L;
	return wq_value_const_f(v, out);
}

const WqDim *lo_known(const WqValue *v, int *n)
{
	if (!v->sym || v->type.rank < 0 || v->type.rank > 1 || (v->type.rank == 1 && !wq_dim_static(v->type.dim[0])))
		return NULL;
	*n = v->type.rank ? (int)v->type.dim[0] : 1;
	for (int i = 0; i < *n; i++)
		if (v->sym[i] == WQ_DIM_UNKNOWN)
			return NULL;
	return v->sym;
}

/* ---- nodes ----------------------------------------------------------------------------------------------- */

WqNode *lo_node(Lower *L, WqOp op, int n_in, ...)
{
	WqValue *in[8];
	va_list ap;
	WQ_ASSERT(n_in <= WQ_COUNTOF(in));
	va_start(ap, n_in);
	for (int i = 0; i < n_in; i++)
		in[i] = va_arg(ap, WqValue *);
	va_end(ap);
	return wq_node_new(L->g, op, n_in, in);
}

WqValue *lo_result(Lower *L, WqNode *n)
{
	(void)L;
	return wq_node_value(n, NULL);
}

WqValue *lo1(Lower *L, WqOp op, WqValue *a) { return wq_build(L->g, op, 1, (WqValue *[]){ a }); }
WqValue *lo2(Lower *L, WqOp op, WqValue *a, WqValue *b) { return wq_build(L->g, op, 2, (WqValue *[]){ a, b }); }

WqValue *lo3(Lower *L, WqOp op, WqValue *a, WqValue *b, WqValue *c)
{
	return wq_build(L->g, op, 3, (WqValue *[]){ a, b, c });
}

/* ---- constants --------------------------------------------------------------------------------------------- */

WqValue *lo_scalar(Lower *L, WqDtype t, double v)
{
	if (t != WQ_C64 && t != WQ_C128 && t != WQ_STR)
		return wq_const_scalar(L->g, t, v);
	WqTensor *c = wq_tensor_new(L->m, t, 0, NULL);
	if (t == WQ_C64)
		*(float *)c->data = (float)v;
	else if (t == WQ_C128)
		*(double *)c->data = v;
	else if (v == 0)
		((WqString *)c->data)->p = "";
	else
		lo_bad(L, "a string where a number is needed");
	return wq_const(L->g, NULL, c);
}

WqValue *lo_like(Lower *L, const WqValue *x, double v)
{
	if (x->type.kind != WQ_TENSOR)
		lo_bad(L, "'%.200s' is not a tensor", x->name);
	return lo_scalar(L, x->type.dtype, v);
}

WqValue *lo_i64s(Lower *L, int n, const int64_t *v) { return wq_const_i64s(L->g, n, v); }
WqValue *lo_i64(Lower *L, int64_t v) { return wq_const_i64s(L->g, 1, &v); }

WqValue *lo_dim_scalar(Lower *L, WqDim d, WqDtype t)
{
	if (wq_dim_static(d))
		return wq_const_int(L->g, t, d);
	return lo_cast(L, wq_dim_value(L->g, d), t);
}

WqValue *lo_range(Lower *L, WqDim n)
{
	return lo3(L, OP_Range, wq_const_int(L->g, WQ_I64, 0), lo_dim_scalar(L, n, WQ_I64),
		   wq_const_int(L->g, WQ_I64, 1));
}

/* ---- shapes -------------------------------------------------------------------------------------------------- */

static bool has_shape(const WqValue *x, int rank, const WqDim *dim)
{
	return x->type.rank == rank && (rank == 0 || !memcmp(x->type.dim, dim, (size_t)rank * sizeof *dim));
}

WqValue *lo_cast(Lower *L, WqValue *x, WqDtype to)
{
	if (x->type.dtype == to)
		return x;
	WqNode *n = lo_node(L, OP_Cast, 1, x);
	wq_set_i(n, "to", to);
	return lo_result(L, n);
}

WqValue *lo_reshape(Lower *L, WqValue *x, int rank, const WqDim *dim)
{
	if (rank > WQ_MAX_RANK)
		lo_unsupported(L, "a tensor of rank %d (at most %d)", rank, WQ_MAX_RANK);
	if (has_shape(x, rank, dim))
		return x;
	WqNode *n = lo_node(L, OP_Reshape, 2, x, wq_dims(L->g, rank, dim));
	wq_set_i(n, "allowzero", 1); /* a 0 is a size here, never "as before" */
	return lo_result(L, n);
}

WqValue *lo_reshape_to(Lower *L, WqValue *x, int n, const int64_t *shape)
{
	WqNode *node = lo_node(L, OP_Reshape, 2, x, lo_i64s(L, n, shape));
	wq_set_i(node, "allowzero", 1);
	return lo_result(L, node);
}

WqValue *lo_with_rank(Lower *L, WqValue *x, int rank)
{
	int64_t index[WQ_MAX_RANK];
	if (x->type.rank >= 0 || rank > WQ_MAX_RANK)
		return x;
	for (int i = 0; i < rank; i++)
		index[i] = i;
	WqNode *n = lo_node(L, OP_Reshape, 2, x, lo2(L, OP_Gather, lo1(L, OP_Shape, x), lo_i64s(L, rank, index)));
	wq_set_i(n, "allowzero", 1);
	return lo_result(L, n);
}

WqValue *lo_scalar_of(Lower *L, WqValue *x)
{
	return lo_reshape(L, x, 0, NULL);
}

/* Marks the axes (negative ones count from the end) in flag[rank]; each may stand once. */
static void mark_axes(Lower *L, int rank, int n, const int64_t *axes, bool *flag)
{
	memset(flag, 0, sizeof *flag * (size_t)rank);
	for (int i = 0; i < n; i++) {
		int a = lo_axis(L, axes[i], rank);
		if (flag[a])
			lo_bad(L, "axis %d stands twice", a);
		flag[a] = true;
	}
}

WqValue *lo_unsqueeze(Lower *L, WqValue *x, int n, const int64_t *axes)
{
	int rank = lo_rank(L, x) + n;
	if (rank > WQ_MAX_RANK)
		lo_unsupported(L, "a tensor of rank %d (at most %d)", rank, WQ_MAX_RANK);
	WqDim dim[WQ_MAX_RANK];
	bool one[WQ_MAX_RANK];
	mark_axes(L, rank, n, axes, one);
	for (int i = 0, k = 0; i < rank; i++)
		dim[i] = one[i] ? 1 : x->type.dim[k++];
	return lo_reshape(L, x, rank, dim);
}

WqValue *lo_squeeze(Lower *L, WqValue *x, int n, const int64_t *axes)
{
	int rank = lo_rank(L, x), k = 0;
	WqDim dim[WQ_MAX_RANK];
	bool drop[WQ_MAX_RANK];
	mark_axes(L, rank, n, axes, drop);
	for (int i = 0; i < rank; i++) {
		WqDim d = x->type.dim[i];
		if (drop[i] && wq_dim_static(d) && d != 1)
			lo_bad(L, "axis %d has size %lld and cannot be squeezed", i, (long long)d);
		if (!drop[i])
			dim[k++] = d;
	}
	return lo_reshape(L, x, k, dim);
}

WqValue *lo_transpose(Lower *L, WqValue *x, int rank, const int64_t *perm)
{
	bool same = true;
	for (int i = 0; i < rank; i++)
		same &= perm[i] == i;
	if (same)
		return x;
	WqNode *n = lo_node(L, OP_Transpose, 1, x);
	wq_set_ints(n, "perm", rank, perm);
	return lo_result(L, n);
}

WqValue *lo_swap_last(Lower *L, WqValue *x)
{
	int rank = lo_rank(L, x);
	int64_t perm[WQ_MAX_RANK];
	if (rank < 2)
		lo_bad(L, "'%.200s' has rank %d instead of 2 or more", x->name, rank);
	for (int i = 0; i < rank; i++)
		perm[i] = i;
	perm[rank - 2] = rank - 1;
	perm[rank - 1] = rank - 2;
	return lo_transpose(L, x, rank, perm);
}

WqValue *lo_slice(Lower *L, WqValue *x, int axis, WqDim start, WqDim end, int64_t step)
{
	if (start == 0 && step == 1 && axis >= 0 && x->type.rank > axis && x->type.dim[axis] == end)
		return x;
	return lo_result(L, lo_node(L, OP_Slice, 5, x, wq_dims(L->g, 1, &start), wq_dims(L->g, 1, &end),
				    lo_i64(L, axis), lo_i64(L, step)));
}

WqValue *lo_concat(Lower *L, int axis, int n, WqValue *const *v)
{
	if (n == 1)
		return v[0];
	WqNode *node = wq_node_new(L->g, OP_Concat, n, v);
	wq_set_i(node, "axis", axis);
	return lo_result(L, node);
}

WqValue *lo_reduce(Lower *L, WqOp op, WqValue *x, int n, const int64_t *axes, bool keepdims)
{
	WqNode *node = lo_node(L, op, 2, x, n ? lo_i64s(L, n, axes) : NULL);
	wq_set_i(node, "keepdims", keepdims);
	return lo_result(L, node);
}

WqValue *lo_expand(Lower *L, WqValue *x, int rank, const WqDim *dim)
{
	return has_shape(x, rank, dim) ? x : lo2(L, OP_Expand, x, wq_dims(L->g, rank, dim));
}

WqValue *lo_per_channel(Lower *L, WqValue *v, int rank)
{
	WqDim dim[WQ_MAX_RANK];
	dim[0] = lo_dim(L, v, 0);
	for (int i = 1; i < rank - 1; i++)
		dim[i] = 1;
	return lo_reshape(L, v, rank > 2 ? rank - 1 : 1, dim);
}
