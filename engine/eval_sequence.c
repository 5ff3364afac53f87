/* eval_sequence.c: sequences and optionals. A list shares its elements; only splitting and joining moves data. */
#include "engine/engine.h"

static const WqRt *need_list(WqCall *c, int i)
{
	const WqRt *v = c->vin[i];
	if (!v || v->kind != WQ_SEQUENCE)
		wq_call_fail(c, "operand %d is not a sequence", i);
	return v;
}

/* The type that lists made by c carry: of the first element, or what the graph says. */
static WqType elem_type(const WqCall *c, int n, WqRt *const *elems)
{
	const WqValue *v = c->node->out[0];
	if (v && v->type.elem)
		return *v->type.elem;
	return n ? wq_rt_type(c->node->graph->mod, elems[0]) : wq_type_tensor(WQ_F32, -1, NULL);
}

static void give_list(WqCall *c, int kind, int n, WqRt *const *elems)
{
	WqType t = elem_type(c, n, elems);
	c->vout[0] = wq_rt_list(kind, &t, n, elems);
}

/* A position operand, counted from the end if negative; may be n itself if `end`. */
static int position(WqCall *c, int i, int n, bool end)
{
	if (i >= c->n_in || !c->in[i])
		return end ? n : n - 1;
	if (wq_tensor_count(c->in[i]) != 1)
		wq_call_fail(c, "the position is not one number");
	int64_t p = wq_tensor_get_i(c->in[i], 0);
	if (p < -n || p > n || (p == n && !end))
		wq_call_fail(c, "position %lld in a sequence of %d", (long long)p, n);
	return (int)(p < 0 ? p + n : p);
}

void eval_sequence_construct(WqCall *c) { give_list(c, WQ_SEQUENCE, c->n_in, c->vin); }

void eval_sequence_at(WqCall *c)
{
	const WqRt *list = need_list(c, 0);
	if (list->n == 0)
		wq_call_fail(c, "the sequence is empty");
	c->vout[0] = wq_rt_ref(list->elems[position(c, 1, list->n, false)]);
}

void eval_sequence_insert(WqCall *c)
{
	const WqRt *list = need_list(c, 0);
	int at = position(c, 2, list->n, true);
	WqRt **v = WQ_NEW_N(c->tmp, WqRt *, list->n + 1);
	for (int i = 0; i < list->n; i++)
		v[i < at ? i : i + 1] = list->elems[i];
	v[at] = c->vin[1];
	give_list(c, WQ_SEQUENCE, list->n + 1, v);
}

void eval_sequence_erase(WqCall *c)
{
	const WqRt *list = need_list(c, 0);
	if (list->n == 0)
		wq_call_fail(c, "the sequence is empty");
	int at = position(c, 1, list->n, false);
	WqRt **v = WQ_NEW_N(c->tmp, WqRt *, list->n);
	for (int i = 0; i < list->n; i++)
		if (i != at)
			v[i < at ? i : i - 1] = list->elems[i];
	give_list(c, WQ_SEQUENCE, list->n - 1, v);
}

void eval_sequence_length(WqCall *c)
{
	wq_call_alloc(c, 0, WQ_I64, 0, NULL);
	*(int64_t *)c->out[0].data = need_list(c, 0)->n;
}

/* ---- data -------------------------------------------------------------------------------------------------- */

static int axis_of(WqCall *c, int rank)
{
	int64_t axis = wq_attr_i(c->node, "axis");
	if (axis < -rank || axis >= rank)
		wq_call_fail(c, "axis %lld of %d axes", (long long)axis, rank);
	return (int)(axis < 0 ? axis + rank : axis);
}

/* Copies `n` blocks of `bytes` between places that lie apart by different strides. */
static void copy_blocks(char *to, size_t to_stride, const char *from, size_t from_stride, size_t bytes, int64_t n)
{
	for (int64_t i = 0; bytes && i < n; i++)
		memcpy(to + (size_t)i * to_stride, from + (size_t)i * from_stride, bytes);
}

static int64_t product(const int64_t *dim, int from, int to)
{
	int64_t n = 1;
	for (int d = from; d < to; d++)
		n *= dim[d];
	return n;
}

/* The sizes along the axis: all of one size but the last, or as listed. */
static int64_t *split_sizes(WqCall *c, int64_t total, int *count)
{
	const WqTensor *s = c->n_in > 1 ? c->in[1] : NULL;
	int64_t each = !s ? 1 : s->rank == 0 ? wq_tensor_get_i(s, 0) : 0;
	bool listed = s && s->rank > 0;
	if (!listed && each <= 0)
		wq_call_fail(c, "pieces of size %lld", (long long)each);
	int64_t n = listed ? wq_tensor_count(s) : total / each + (total % each > 0), sum = 0;
	if (n > INT32_MAX)
		wq_call_fail(c, "%lld pieces", (long long)n);
	int64_t *size = WQ_NEW_N(c->tmp, int64_t, n);
	for (int64_t i = 0; i < n; i++) {
		size[i] = listed ? wq_tensor_get_i(s, i) : total - sum < each ? total - sum : each;
		if (size[i] < 0 || size[i] > total - sum)
			wq_call_fail(c, "pieces of more than the axis's %lld", (long long)total);
		sum += size[i];
	}
	if (sum != total)
		wq_call_fail(c, "the pieces add up to %lld of %lld", (long long)sum, (long long)total);
	*count = (int)n;
	return size;
}

void eval_split_to_sequence(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int axis = axis_of(c, x->rank), n;
	int64_t *size = split_sizes(c, x->dim[axis], &n);
	bool squeeze = !(c->n_in > 1 && c->in[1]) && !wq_attr_i(c->node, "keepdims");
	int64_t outer = product(x->dim, 0, axis);
	size_t inner = (size_t)product(x->dim, axis + 1, x->rank) * wq_dtype_size(x->dtype), at = 0;
	WqRt **v = wq_call_hold(c, n);
	for (int i = 0; i < n; i++) {
		WqTensor t = *x;
		t.dim[axis] = size[i];
		if (squeeze) {
			t.rank--;
			memmove(t.dim + axis, t.dim + axis + 1, (size_t)(t.rank - axis) * sizeof *t.dim);
		}
		v[i] = wq_rt_tensor(t.dtype, t.rank, t.dim);
		size_t bytes = (size_t)size[i] * inner;
		copy_blocks(v[i]->t.data, bytes, (const char *)x->data + at, (size_t)x->dim[axis] * inner, bytes, outer);
		at += bytes;
	}
	give_list(c, WQ_SEQUENCE, n, v);
}

/* The elements' shape with the axis's total; fails where they don't match. */
static WqTensor joined_shape(WqCall *c, const WqRt *list, bool stack, int *axis)
{
	WqTensor t = list->elems[0]->t;
	*axis = axis_of(c, t.rank + stack);
	if (t.rank + stack > WQ_MAX_RANK)
		wq_call_fail(c, "more than %d axes", WQ_MAX_RANK);
	int64_t total = 0;
	for (int i = 0; i < list->n; i++) {
		const WqTensor *e = &list->elems[i]->t;
		bool same = list->elems[i]->kind == WQ_TENSOR && e->dtype == t.dtype && e->rank == t.rank;
		for (int d = 0; same && d < t.rank; d++)
			same = e->dim[d] == t.dim[d] || (!stack && d == *axis);
		if (!same)
			wq_call_fail(c, "element %d does not fit the first", i);
		total += stack ? 1 : e->dim[*axis];
	}
	if (stack) {
		memmove(t.dim + *axis + 1, t.dim + *axis, (size_t)(t.rank - *axis) * sizeof *t.dim);
		t.rank++;
	}
	t.dim[*axis] = total;
	return t;
}

void eval_concat_from_sequence(WqCall *c)
{
	const WqRt *list = need_list(c, 0);
	bool stack = wq_attr_i(c->node, "new_axis");
	if (list->n == 0)
		wq_call_fail(c, "the sequence is empty");
	int axis;
	WqTensor t = joined_shape(c, list, stack, &axis);
	wq_call_alloc(c, 0, t.dtype, t.rank, t.dim);
	int64_t outer = product(t.dim, 0, axis);
	size_t inner = (size_t)product(t.dim, axis + 1, t.rank) * wq_dtype_size(t.dtype), at = 0;
	for (int i = 0; i < list->n; i++) {
		const WqTensor *e = &list->elems[i]->t;
		size_t bytes = (size_t)(stack ? 1 : e->dim[axis]) * inner;
		copy_blocks((char *)c->out[0].data + at, (size_t)t.dim[axis] * inner, e->data, bytes, bytes, outer);
		at += bytes;
	}
}

/* ---- optionals ------------------------------------------------------------------------------------------------ */

void eval_optional(WqCall *c)
{
	bool has = c->n_in > 0 && c->vin[0];
	give_list(c, WQ_OPTIONAL, has, c->vin);
}

void eval_optional_has_element(WqCall *c)
{
	const WqRt *v = c->n_in > 0 ? c->vin[0] : NULL;
	wq_call_alloc(c, 0, WQ_BOOL, 0, NULL);
	*(uint8_t *)c->out[0].data = v && (v->kind != WQ_OPTIONAL || v->n > 0);
}

void eval_optional_get_element(WqCall *c)
{
	WqRt *v = c->vin[0];
	if (!v || (v->kind == WQ_OPTIONAL && v->n == 0))
		wq_call_fail(c, "the optional is empty");
	c->vout[0] = wq_rt_ref(v->kind == WQ_OPTIONAL ? v->elems[0] : v);
}
