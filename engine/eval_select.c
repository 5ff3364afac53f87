/* eval_select.c: TopK, NonZero, Unique: results that depend on how elements compare.
 *
 * TopK orders totally: NaN is above everything, -0 equals 0, and of equal elements the one with the lower index comes
 * first.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "engine/ew.h"
#include "engine/move.h"

/* ---- keys: numbers as unsigned integers of the same order ------------------------------------ */

static uint64_t key_f64(double v)
{
	uint64_t u;
	if (v != v)
		return UINT64_MAX;
	v = v == 0 ? 0 : v;
	memcpy(&u, &v, 8);
	return u >> 63 ? ~u : u | 1ull << 63;
}

static uint64_t key_at(const WqTensor *t, int64_t i)
{
	const void *p = t->data;
	switch (t->dtype) {
	case WQ_F32: return key_f64(((const float *)p)[i]);
	case WQ_F64: return key_f64(((const double *)p)[i]);
	case WQ_F16: return key_f64(vm_f16_load(((const uint16_t *)p)[i]));
	case WQ_BF16: return key_f64(vm_bf16_load(((const uint16_t *)p)[i]));
	case WQ_U64: return ((const uint64_t *)p)[i];
	default: return (uint64_t)wq_tensor_get_i(t, i) ^ 1ull << 63;
	}
}

/* ---- TopK ------------------------------------------------------------------------------------ */

typedef struct Item {
	uint64_t key;
	int64_t i;
} Item;

typedef struct TopK {
	const WqTensor *x;
	WqTensor *y;
	int64_t *index; /* or NULL */
	int64_t n, k, inner;
	uint64_t flip; /* all ones when the smallest are wanted */
	size_t size;
} TopK;

static inline bool before(Item a, Item b)
{
	return a.key != b.key ? a.key > b.key : a.i < b.i;
}

static int item_cmp(const void *a, const void *b)
{
	return before(*(const Item *)a, *(const Item *)b) ? -1 : 1;
}

/* A heap whose root is the last of the kept items. */
static void sift(Item *h, int64_t n, int64_t i)
{
	for (;;) {
		int64_t l = 2 * i + 1, worst = i;
		if (l < n && before(h[worst], h[l]))
			worst = l;
		if (l + 1 < n && before(h[worst], h[l + 1]))
			worst = l + 1;
		if (worst == i)
			return;
		Item t = h[i];
		h[i] = h[worst];
		h[worst] = t;
		i = worst;
	}
}

static void top_line(const TopK *t, Item *h, int64_t outer, int64_t in)
{
	int64_t from = outer * t->n * t->inner + in, to = outer * t->k * t->inner + in;
	for (int64_t i = 0; i < t->n; i++) {
		Item it = {key_at(t->x, from + i * t->inner) ^ t->flip, i};
		if (i < t->k) {
			h[i] = it;
			if (i + 1 == t->k)
				for (int64_t j = t->k / 2; j >= 0; j--)
					sift(h, t->k, j);
		} else if (before(it, h[0])) {
			h[0] = it;
			sift(h, t->k, 0);
		}
	}
	qsort(h, (size_t)t->k, sizeof *h, item_cmp);
	for (int64_t i = 0; i < t->k; i++) {
		int64_t at = to + i * t->inner;
		memcpy((char *)t->y->data + (size_t)at * t->size,
			(const char *)t->x->data + (size_t)(from + h[i].i * t->inner) * t->size, t->size);
		if (t->index)
			t->index[at] = h[i].i;
	}
}

void eval_top_k(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int axis = wq_call_axis(c, x->rank);
	TopK t = {.x = x, .y = &c->out[0], .index = c->n_out > 1 ? c->out[1].data : NULL, .n = x->dim[axis]};
	t.k = c->out[0].dim[axis];
	t.inner = wq_product(x->dim, axis + 1, x->rank);
	t.flip = wq_attr_i(c->node, "largest") ? 0 : UINT64_MAX;
	t.size = wq_dtype_size(x->dtype);
	if (!wq_tensor_count(&c->out[0]))
		return;
	Item *h = WQ_NEW_N(c->tmp, Item, t.k);
	int64_t outer = wq_product(x->dim, 0, axis);
	for (int64_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < t.inner; i++)
			top_line(&t, h, o, i);
}

/* ---- NonZero --------------------------------------------------------------------------------- */

static bool is_set(const WqTensor *t, int64_t i)
{
	size_t size = wq_dtype_size(t->dtype);
	const uint8_t *p = (const uint8_t *)t->data + (size_t)i * size;
	uint8_t any = 0;
	for (size_t k = 0; k + 1 < size; k++)
		any |= p[k];
	/* the top byte of a float without its sign */
	return any | (wq_dtype_is_float(t->dtype) ? p[size - 1] & 0x7f : p[size - 1]);
}

void eval_non_zero(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int64_t n = wq_tensor_count(x), found = 0, at[WQ_MAX_RANK] = {0};
	for (int64_t i = 0; i < n; i++)
		found += is_set(x, i);
	int64_t dim[2] = {x->rank ? x->rank : 1, found};
	wq_call_alloc(c, 0, WQ_I64, 2, dim);
	int64_t *o = c->out[0].data;
	for (int64_t i = 0, k = 0; i < n; i++) {
		if (is_set(x, i)) {
			for (int a = 0; a < dim[0]; a++)
				o[a * found + k] = at[a];
			k++;
		}
		for (int a = x->rank - 1; a >= 0 && ++at[a] == x->dim[a]; a--)
			at[a] = 0;
	}
}

/* ---- Unique ---------------------------------------------------------------------------------- */

/* Entries are elements (flat) or slices along an axis; an entry's elements lie `inner` together, in `outer` places
 * `pitch` apart. */
typedef struct Unique {
	const WqTensor *x;
	int64_t n, outer, pitch, inner;
} Unique;

static int string_cmp(const WqString *a, const WqString *b)
{
	size_t n = a->n < b->n ? a->n : b->n;
	int r = n ? memcmp(a->p, b->p, n) : 0;
	return r ? r : (a->n > b->n) - (a->n < b->n);
}

static int element_cmp(const WqTensor *t, int64_t i, int64_t j)
{
	if (t->dtype == WQ_STR)
		return string_cmp((const WqString *)t->data + i, (const WqString *)t->data + j);
	if (t->dtype == WQ_C64 || t->dtype == WQ_C128) {
		WqTensor part = *t; /* by real part, then imaginary part */
		part.dtype = t->dtype == WQ_C64 ? WQ_F32 : WQ_F64;
		int r = element_cmp(&part, 2 * i, 2 * j);
		return r ? r : element_cmp(&part, 2 * i + 1, 2 * j + 1);
	}
	uint64_t a, b;
	if (wq_dtype_is_float(t->dtype) && wq_dtype_size(t->dtype) == 1)
		a = key_f64(wq_tensor_get_f(t, i)), b = key_f64(wq_tensor_get_f(t, j));
	else
		a = key_at(t, i), b = key_at(t, j);
	return (a > b) - (a < b);
}

static int entry_cmp(const Unique *u, int64_t a, int64_t b)
{
	for (int64_t o = 0; o < u->outer; o++)
		for (int64_t k = 0; k < u->inner; k++) {
			int64_t at = o * u->pitch + k;
			int r = element_cmp(u->x, at + a * u->inner, at + b * u->inner);
			if (r)
				return r;
		}
	return 0;
}

static int order_cmp(const void *pa, const void *pb, void *arg)
{
	int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
	int r = entry_cmp(arg, a, b);
	return r ? r : (a > b) - (a < b);
}

static int first_cmp(const void *pa, const void *pb)
{
	int64_t a = **(int64_t *const *)pa, b = **(int64_t *const *)pb;
	return (a > b) - (a < b);
}

typedef struct Groups {
	int64_t n;
	int64_t *first, *count; /* by group, in the result's order */
	int64_t *of;            /* by entry */
} Groups;

static Groups group(WqCall *c, Unique *u, bool sorted)
{
	Groups g = {0};
	int64_t *order = WQ_NEW_N(c->tmp, int64_t, u->n + 1);
	int64_t *first = WQ_NEW_N(c->tmp, int64_t, u->n + 1), *count = WQ_NEW_N(c->tmp, int64_t, u->n + 1);
	g.of = WQ_NEW_N(c->tmp, int64_t, u->n + 1);
	for (int64_t i = 0; i < u->n; i++)
		order[i] = i;
	qsort_r(order, (size_t)u->n, sizeof *order, order_cmp, u);
	for (int64_t i = 0; i < u->n; i++) {
		if (i == 0 || entry_cmp(u, order[i - 1], order[i]))
			first[g.n++] = order[i];
		g.of[order[i]] = g.n - 1;
		count[g.n - 1]++;
	}
	g.first = first;
	g.count = count;
	if (sorted)
		return g;
	/* renumber the groups by where they appear first */
	int64_t **by = WQ_NEW_N(c->tmp, int64_t *, g.n + 1);
	int64_t *rank = WQ_NEW_N(c->tmp, int64_t, g.n + 1);
	for (int64_t i = 0; i < g.n; i++)
		by[i] = &first[i];
	qsort(by, (size_t)g.n, sizeof *by, first_cmp);
	g.first = WQ_NEW_N(c->tmp, int64_t, g.n + 1);
	g.count = WQ_NEW_N(c->tmp, int64_t, g.n + 1);
	for (int64_t i = 0; i < g.n; i++) {
		int64_t old = by[i] - first;
		rank[old] = i;
		g.first[i] = first[old];
		g.count[i] = count[old];
	}
	for (int64_t i = 0; i < u->n; i++)
		g.of[i] = rank[g.of[i]];
	return g;
}

static void put_numbers(WqCall *c, int i, int64_t n, const int64_t *v)
{
	if (i >= c->n_out || !c->node->out[i])
		return;
	wq_call_alloc(c, i, WQ_I64, 1, &n);
	if (n)
		memcpy(c->out[i].data, v, (size_t)n * 8);
}

void eval_unique(WqCall *c)
{
	const WqTensor *x = c->in[0];
	bool flat = wq_attr_i(c->node, "flat") != 0;
	int axis = flat ? 0 : wq_call_axis(c, x->rank);
	Unique u = {x, wq_tensor_count(x), 1, 0, 1};
	int64_t dim[WQ_MAX_RANK];
	memcpy(dim, x->dim, sizeof dim);
	if (!flat) {
		u.n = x->dim[axis];
		u.outer = wq_product(x->dim, 0, axis);
		u.inner = wq_product(x->dim, axis + 1, x->rank);
		u.pitch = u.n * u.inner;
	}
	Groups g = group(c, &u, wq_attr_i(c->node, "sorted") != 0);
	dim[axis] = g.n;
	wq_call_alloc(c, 0, x->dtype, flat ? 1 : x->rank, dim);
	size_t size = wq_dtype_size(x->dtype), bytes = (size_t)u.inner * size;
	for (int64_t o = 0; o < u.outer; o++)
		for (int64_t i = 0; i < g.n; i++)
			memcpy((char *)c->out[0].data + (size_t)(o * g.n + i) * bytes,
				(const char *)x->data + (size_t)(o * u.pitch + g.first[i] * u.inner) * size, bytes);
	put_numbers(c, 1, g.n, g.first);
	put_numbers(c, 2, u.n, g.of);
	put_numbers(c, 3, g.n, g.count);
}
