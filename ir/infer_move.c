/* infer_move.c: shape rules of operators that move elements around. */
#include "ir/infer.h"

/* Results of up to this many elements carry their elements as expressions. */
enum { MAX_KNOWN = 64 };

int wq_infer_axis(const WqInfer *x, int64_t axis, int rank)
{
	if (axis < -rank || axis >= rank)
		wq_infer_fail(x, "axis %lld is out of range for rank %d", (long long)axis, rank);
	return (int)(axis < 0 ? axis + rank : axis);
}

int64_t wq_infer_len(const WqInfer *x, int operand)
{
	if (operand >= x->n_in || !x->in[operand])
		return 0;
	const WqType *t = x->in[operand];
	if (t->rank > 1)
		wq_infer_fail(x, "operand %d has rank %d; it should be a vector", operand, t->rank);
	if (t->rank < 0)
		return -1;
	if (t->rank == 0)
		return 1;
	return wq_dim_static(t->dim[0]) ? t->dim[0] : -1;
}

bool wq_infer_int(const WqInfer *x, int operand, int64_t i, int64_t *v, WqDim *d)
{
	*d = WQ_DIM_UNKNOWN;
	if (operand >= x->n_in || !x->in[operand])
		return false;
	const WqTensor *t = x->val[operand];
	if (t) {
		if (i >= wq_tensor_count(t))
			return false;
		*v = wq_tensor_get_i(t, i);
		return true;
	}
	if (wq_infer_elem(x, operand, i, d) <= i) {
		*d = WQ_DIM_UNKNOWN;
		return false;
	}
	return wq_dim_get_const(x->mod, *d, v);
}

void wq_infer_unknown(WqInfer *x, int result, WqDtype t, int rank)
{
	x->out[result] = wq_type_tensor(t, -1, NULL);
	if (rank > WQ_MAX_RANK)
		wq_infer_fail(x, "the result has rank %d; at most %d is handled", rank, WQ_MAX_RANK);
	x->out[result].rank = rank < 0 ? -1 : rank;
	for (int i = 0; i < rank; i++)
		x->out[result].dim[i] = WQ_DIM_UNKNOWN;
}

WqDim *wq_infer_room(const WqInfer *x, int64_t *n)
{
	const WqType *t = &x->out[0];
	if (x->running || !wq_type_static(t) || (t->dtype != WQ_I64 && t->dtype != WQ_I32))
		return NULL;
	*n = 1;
	for (int i = 0; i < t->rank; i++) {
		if (t->dim[i] > MAX_KNOWN)
			return NULL;
		*n *= t->dim[i];
		if (*n > MAX_KNOWN)
			return NULL;
	}
	return WQ_NEW_N(x->mod->arena, WqDim, *n + 1);
}

bool wq_infer_known(const WqInfer *x, int operand, int64_t i, WqDim *d)
{
	if (x->val[operand] && wq_tensor_count(x->val[operand]) > 4096)
		return false;
	return wq_infer_elem(x, operand, i, d) > i && *d != WQ_DIM_UNKNOWN;
}

/* ---- Reshape --------------------------------------------------------------------------------- */

/* What -1 stands for: the operand's size over the other dims. Equal dims cancel first, so that expressions stay simple.
 */
static WqDim rest_of(const WqInfer *x, const WqType *in, const WqType *out, int hole)
{
	bool used[WQ_MAX_RANK] = {false};
	WqDim num = 1, den = 1;
	for (int i = 0; i < out->rank; i++) {
		if (i == hole)
			continue;
		int j = 0;
		while (j < in->rank && (used[j] || in->dim[j] != out->dim[i]))
			j++;
		if (j < in->rank)
			used[j] = true;
		else
			den = wq_dim_mul(x->mod, den, out->dim[i]);
	}
	for (int j = 0; j < in->rank; j++)
		if (!used[j])
			num = wq_dim_mul(x->mod, num, in->dim[j]);
	if (den == 0)
		wq_infer_fail(x, "-1 cannot be told beside a dimension of 0");
	if (num >= 0 && den >= 0 && num % den)
		wq_infer_fail(x, "%lld elements do not divide into rows of %lld", (long long)num, (long long)den);
	return den == 1 ? num : wq_dim_floordiv(x->mod, num, den);
}

static WqDim reshape_dim(const WqInfer *x, int i, bool allow_zero)
{
	const WqType *in = x->in[0];
	int64_t v;
	WqDim d;
	/* An expression that may be negative could be a -1. One that is 0 would copy the operand's dim instead; but it
	 * is 0 because a dim is, so either way there are no elements, and sizes keep their names. */
	if (!wq_infer_int(x, 1, i, &v, &d))
		return d == WQ_DIM_UNKNOWN || wq_dim_lo(x->mod, d) < 0 ? WQ_DIM_UNKNOWN : d;
	if (v < -1)
		wq_infer_fail(x, "dimension %lld of the new shape", (long long)v);
	if (v != 0 || allow_zero)
		return v;
	if (in->rank < 0)
		return WQ_DIM_UNKNOWN;
	if (i >= in->rank)
		wq_infer_fail(x, "dimension %d of the new shape is 0, but the operand has rank %d", i, in->rank);
	return in->dim[i];
}

/* A size is no larger than the number of elements, or if there are none, for want of a better bound, than the operand's sizes. Several
 * unknown sizes would make a product of bounds: only where it stays small. */
static void bound_sizes(WqInfer *x, const WqType *in, const WqType *out)
{
	int64_t most = 1, count = 1, room = 1 << 26;
	for (int i = 0; i < in->rank; i++) {
		int64_t hi = wq_dim_hi(x->mod, in->dim[i]);
		most = hi > most ? hi : most;
		if (hi > 0 && count > WQ_DIM_INF / hi)
			return;
		count *= hi > 1 ? hi : 1;
	}
	most = count > most ? count : most;
	int unknown = 0;
	for (int i = 0; i < out->rank; i++)
		unknown += out->dim[i] == WQ_DIM_UNKNOWN;
	for (int i = 1; i < unknown; i++)
		room /= most;
	x->has_hi = unknown == 1 || (unknown > 1 && most <= room);
	x->hi = most;
}

static void check_count(const WqInfer *x, const WqType *in, const WqType *out)
{
	WqDim a = 1, b = 1;
	if (!wq_type_static(in) || !wq_type_static(out))
		return;
	for (int i = 0; i < in->rank; i++)
		a = wq_dim_mul(x->mod, a, in->dim[i]);
	for (int i = 0; i < out->rank; i++)
		b = wq_dim_mul(x->mod, b, out->dim[i]);
	if (a != b)
		wq_infer_fail(x, "%lld elements do not fit a shape of %lld", (long long)a, (long long)b);
}

void infer_reshape(WqInfer *x)
{
	const WqType *in = x->in[0];
	bool allow_zero = wq_attr_i(x->node, "allowzero") != 0;
	int64_t n = wq_infer_len(x, 1), v;
	WqDim d;
	wq_infer_unknown(x, 0, in->dtype, n > WQ_MAX_RANK ? WQ_MAX_RANK + 1 : (int)n);
	WqType *out = &x->out[0];
	int hole = -1;
	for (int i = 0; i < out->rank; i++) {
		if (wq_infer_int(x, 1, i, &v, &d) && v == -1) {
			if (hole >= 0)
				wq_infer_fail(x, "more than one -1 in the new shape");
			hole = i;
			continue;
		}
		out->dim[i] = reshape_dim(x, i, allow_zero);
	}
	if (hole >= 0 && in->rank >= 0)
		out->dim[hole] = rest_of(x, in, out, hole);
	check_count(x, in, out);
	if (!x->running && in->rank >= 0)
		bound_sizes(x, in, out);
	WqDim *s = wq_infer_room(x, &n);
	for (int64_t i = 0; s && i < n; i++)
		if (!wq_infer_known(x, 0, i, &s[i]))
			s = NULL;
	x->out_sym = s;
}

/* ---- Transpose, Expand ----------------------------------------------------------------------- */

void infer_transpose(WqInfer *x)
{
	const WqType *in = x->in[0];
	int n;
	const int64_t *perm = wq_attr_ints(x->node, "perm", &n);
	wq_infer_unknown(x, 0, in->dtype, in->rank < 0 && perm ? n : in->rank);
	if (in->rank < 0)
		return;
	if (perm && n != in->rank)
		wq_infer_fail(x, "perm has %d entries for rank %d", n, in->rank);
	unsigned seen = 0;
	for (int i = 0; i < in->rank; i++) {
		int64_t p = perm ? perm[i] : in->rank - 1 - i;
		if (p < 0 || p >= in->rank || seen >> p & 1)
			wq_infer_fail(x, "perm is not a permutation of 0..%d", in->rank - 1);
		seen |= 1u << p;
		x->out[0].dim[i] = in->dim[p];
	}
}

/* Result 0's elements, each from the operand's element that broadcasting puts there. */
static void expand_elements(WqInfer *x)
{
	int64_t n;
	WqDim *s = wq_infer_room(x, &n);
	const WqType *in = x->in[0], *out = &x->out[0];
	if (!s || !wq_type_static(in))
		return;
	for (int64_t i = 0; i < n; i++) {
		int64_t at = 0, run = 1, rest = i;
		for (int k = 0; k < out->rank; k++) {
			int64_t idx = rest % out->dim[out->rank - 1 - k];
			int64_t own = k < in->rank ? in->dim[in->rank - 1 - k] : 1;
			rest /= out->dim[out->rank - 1 - k];
			at += own == 1 ? 0 : idx * run;
			run *= own;
		}
		if (!wq_infer_known(x, 0, at, &s[i]))
			return;
	}
	x->out_sym = s;
}

void infer_expand(WqInfer *x)
{
	const WqType *in = x->in[0];
	int64_t n = wq_infer_len(x, 1), v;
	WqDim d;
	if (n < 0 || in->rank < 0) {
		wq_infer_unknown(x, 0, in->dtype, -1);
		return;
	}
	WqType shape = wq_type_tensor(WQ_I64, -1, NULL);
	if (n > WQ_MAX_RANK)
		wq_infer_fail(x, "rank %lld", (long long)n);
	shape.rank = (int)n;
	bool all = true;
	for (int i = 0; i < n; i++) {
		if (wq_infer_int(x, 1, i, &v, &d)) {
			if (v < 0)
				wq_infer_fail(x, "dimension %lld", (long long)v);
			d = v;
		}
		all &= d != WQ_DIM_UNKNOWN;
		shape.dim[i] = d;
	}
	x->out[0].dtype = in->dtype;
	if (all) {
		wq_infer_bcast_shape(x, in, &shape, &x->out[0]);
		expand_elements(x);
		return;
	}
	int rank = in->rank > shape.rank ? in->rank : shape.rank;
	wq_infer_unknown(x, 0, in->dtype, rank);
	for (int i = 0; i < rank; i++) {
		int a = i - (rank - in->rank), b = i - (rank - shape.rank);
		WqDim da = a < 0 ? 1 : in->dim[a], db = b < 0 ? 1 : shape.dim[b];
		if (db != WQ_DIM_UNKNOWN)
			x->out[0].dim[i] = wq_infer_bcast(x, da, db, i);
		else if (da > 1)
			x->out[0].dim[i] = da;
	}
}

/* ---- Slice ----------------------------------------------------------------------------------- */

/* A bound of a slice (operand 1: start, 2: end), negative ones counted from the end, before it is clamped;
 * WQ_DIM_UNKNOWN if it could be negative or not. Bounds far outside are given as the limit that they clamp to. */
static WqDim slice_bound(const WqInfer *x, int operand, int64_t i, WqDim dim, WqDim low, WqDim high)
{
	WqModule *m = x->mod;
	int64_t v;
	WqDim d;
	if (wq_infer_int(x, operand, i, &v, &d)) {
		if (v >= INT32_MAX || v >= wq_dim_hi(m, dim))
			return high;
		if (v < -INT32_MAX || v < -wq_dim_hi(m, dim))
			return low;
		return v >= 0 ? v : wq_dim_add(m, dim, wq_dim_const(m, v));
	}
	if (d == WQ_DIM_UNKNOWN || wq_dim_lo(m, d) >= 0)
		return d;
	return wq_dim_hi(m, d) < 0 ? wq_dim_add(m, dim, d) : WQ_DIM_UNKNOWN;
}

static WqDim clamped(WqModule *m, WqDim v, WqDim low, WqDim high)
{
	return v == high ? high : wq_dim_min(m, wq_dim_max(m, v, low), high);
}

void wq_slice_clamp(int64_t dim, int64_t step, int64_t *start, int64_t *end)
{
	int64_t low[2] = {0, step < 0 ? -1 : 0}, high = step < 0 ? dim - 1 : dim;
	int64_t *const b[2] = {start, end};
	for (int i = 0; i < 2; i++) {
		int64_t v = *b[i];
		if (v < 0)
			v = v < -dim ? low[i] : v + dim;
		*b[i] = v < low[i] ? low[i] : v > high ? high : v;
	}
}

int64_t wq_slice_count(int64_t start, int64_t end, int64_t step)
{
	uint64_t mag = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
	int64_t span = step < 0 ? start - end : end - start;
	return span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / mag) + 1;
}

static WqDim slice_dim(const WqInfer *x, int64_t i, WqDim dim, int64_t step)
{
	WqModule *m = x->mod;
	int64_t start, end;
	WqDim d;
	if (wq_dim_static(dim) && wq_infer_int(x, 1, i, &start, &d) && wq_infer_int(x, 2, i, &end, &d)) {
		wq_slice_clamp(dim, step, &start, &end);
		return wq_slice_count(start, end, step);
	}
	if (step > INT32_MAX || step < -INT32_MAX)
		return WQ_DIM_UNKNOWN;
	WqDim high = step < 0 ? wq_dim_sub(m, dim, 1) : dim, low = step < 0 ? wq_dim_const(m, -1) : 0;
	WqDim s = clamped(m, slice_bound(x, 1, i, dim, 0, high), 0, high);
	WqDim e = clamped(m, slice_bound(x, 2, i, dim, low, high), low, high);
	WqDim span = step < 0 ? wq_dim_sub(m, s, e) : wq_dim_sub(m, e, s);
	return wq_dim_max(m, wq_dim_ceildiv(m, span, step < 0 ? -step : step), 0);
}

/* A one-dimensional slice of known elements. */
static void slice_elements(WqInfer *x)
{
	int64_t n, start, end, step;
	WqDim d;
	WqDim *s = x->in[0]->rank == 1 && wq_infer_len(x, 1) == 1 ? wq_infer_room(x, &n) : NULL;
	if (!s || !wq_dim_static(x->in[0]->dim[0]) || !wq_infer_int(x, 1, 0, &start, &d) ||
	    !wq_infer_int(x, 2, 0, &end, &d) || !wq_infer_int(x, 4, 0, &step, &d))
		return;
	wq_slice_clamp(x->in[0]->dim[0], step, &start, &end);
	for (int64_t i = 0; i < n; i++)
		if (!wq_infer_known(x, 0, start + i * step, &s[i]))
			return;
	x->out_sym = s;
}

void infer_slice(WqInfer *x)
{
	const WqType *in = x->in[0];
	int64_t n = wq_infer_len(x, 3), axis, step;
	WqDim d;
	for (int i = 1; i < 5; i++) {
		int64_t k = wq_infer_len(x, i);
		if (n >= 0 && k >= 0 && k != n)
			wq_infer_fail(x, "starts, ends, axes and steps have different lengths");
	}
	wq_infer_unknown(x, 0, in->dtype, in->rank);
	if (in->rank < 0 || n < 0)
		return;
	x->axis_hi = x->running ? NULL : in->dim;
	unsigned seen = 0;
	int64_t axes[WQ_MAX_RANK];
	if (n > in->rank)
		wq_infer_fail(x, "%lld axes for rank %d", (long long)n, in->rank);
	for (int64_t i = 0; i < n; i++) {
		if (!wq_infer_int(x, 3, i, &axis, &d))
			return; /* any axis may be cut */
		axes[i] = wq_infer_axis(x, axis, in->rank);
		if (seen >> axes[i] & 1)
			wq_infer_fail(x, "axis %lld twice", (long long)axes[i]);
		seen |= 1u << axes[i];
	}
	for (int i = 0; i < in->rank; i++)
		if (!(seen >> i & 1))
			x->out[0].dim[i] = in->dim[i];
	for (int64_t i = 0; i < n; i++) {
		if (!wq_infer_int(x, 4, i, &step, &d))
			continue;
		if (step == 0)
			wq_infer_fail(x, "a step of 0");
		x->out[0].dim[axes[i]] = slice_dim(x, i, in->dim[axes[i]], step);
	}
	slice_elements(x);
}

/* ---- Concat ---------------------------------------------------------------------------------- */

static void concat_elements(WqInfer *x)
{
	int64_t n, at = 0;
	WqDim *s = x->out[0].rank == 1 ? wq_infer_room(x, &n) : NULL;
	if (!s)
		return;
	for (int i = 0; i < x->n_in; i++)
		for (int64_t k = 0; k < x->in[i]->dim[0]; k++)
			if (!wq_infer_known(x, i, k, &s[at++]))
				return;
	x->out_sym = s;
}

void infer_concat(WqInfer *x)
{
	int rank = -1;
	for (int i = 0; i < x->n_in; i++) {
		if (x->in[i]->rank < 0)
			continue;
		if (rank >= 0 && x->in[i]->rank != rank)
			wq_infer_fail(x, "operands of rank %d and %d", rank, x->in[i]->rank);
		rank = x->in[i]->rank;
	}
	wq_infer_unknown(x, 0, x->in[0]->dtype, rank);
	if (rank < 0)
		return;
	int axis = wq_infer_axis(x, wq_attr_i(x->node, "axis"), rank);
	WqDim *dim = x->out[0].dim, sum = 0;
	for (int i = 0; i < x->n_in; i++) {
		const WqType *t = x->in[i];
		sum = t->rank < 0 ? WQ_DIM_UNKNOWN : wq_dim_add(x->mod, sum, t->dim[axis]);
		for (int k = 0; k < rank && t->rank >= 0; k++) {
			if (k == axis)
				continue;
			if (dim[k] >= 0 && t->dim[k] >= 0 && dim[k] != t->dim[k])
				wq_infer_fail(x, "operands disagree in axis %d: %lld and %lld", k, (long long)dim[k],
					(long long)t->dim[k]);
			if (dim[k] == WQ_DIM_UNKNOWN || t->dim[k] >= 0)
				dim[k] = t->dim[k];
		}
	}
	dim[axis] = sum;
	concat_elements(x);
}

/* ---- Pad ------------------------------------------------------------------------------------- */

void infer_pad(WqInfer *x)
{
	const WqType *in = x->in[0];
	bool some = x->n_in > 3 && x->in[3];
	int64_t n = some ? wq_infer_len(x, 3) : in->rank, len = wq_infer_len(x, 1);
	wq_infer_unknown(x, 0, in->dtype, in->rank);
	if (in->rank < 0 || n < 0)
		return;
	if (n > in->rank || (len >= 0 && len != 2 * n))
		wq_infer_fail(x, "%lld pads for %lld axes", (long long)len, (long long)n);
	unsigned seen = 0;
	int64_t axes[WQ_MAX_RANK], v;
	WqDim d;
	for (int64_t i = 0; i < n; i++) {
		if (some && !wq_infer_int(x, 3, i, &v, &d))
			return;
		axes[i] = some ? wq_infer_axis(x, v, in->rank) : i;
		if (seen >> axes[i] & 1)
			wq_infer_fail(x, "axis %lld twice", (long long)axes[i]);
		seen |= 1u << axes[i];
	}
	for (int i = 0; i < in->rank; i++)
		if (!(seen >> i & 1))
			x->out[0].dim[i] = in->dim[i];
	for (int64_t i = 0; i < n; i++) {
		WqDim sum = in->dim[axes[i]];
		for (int side = 0; side < 2; side++) {
			if (wq_infer_int(x, 1, side * n + i, &v, &d)) {
				if (v > WQ_DIM_INF || v < -WQ_DIM_INF)
					wq_infer_fail(x, "padding of %lld", (long long)v);
				sum = wq_dim_static(sum) && v < 0 ? wq_dim_sub(x->mod, sum, -v)
				                                  : wq_dim_add(x->mod, sum, wq_dim_const(x->mod, v));
			} else {
				sum = wq_dim_add(x->mod, sum, d);
			}
		}
		if (sum != WQ_DIM_UNKNOWN && wq_dim_get_const(x->mod, sum, &v) && v < 0)
			wq_infer_fail(x, "negative padding leaves %lld elements of axis %lld", (long long)v,
				      (long long)axes[i]);
		x->out[0].dim[axes[i]] = sum;
	}
}
