/* emit_top_k.c: TopK. Elements become unsigned keys of the same order (NaN above everything, -0 as 0, inverted when the smallest are
 * wanted); a heap in scratch keeps the best k with the worst at its root, and is sorted by taking that away again and again. Of equal
 * keys the one with the lower index is better, so the order is total.
 */
#include "codegen/rows.h"

typedef struct Top {
	const WqNode *n;
	Kg *k;
	Cg *c;
	const WqValue *x;
	int axis;
	CgKind key; /* CG_I32 or CG_I64 */
	CgVal length, want, keys, places; /* the axis's size; how many are wanted; the heap's two arrays */
} Top;

typedef struct Item {
	CgVal key, place;
} Item;

static CgKind key_kind(WqDtype t) { return wq_dtype_size(t) == 8 ? CG_I64 : CG_I32; }

/* ---- keys -------------------------------------------------------------------------------------------------- */

static CgVal float_key(Cg *c, CgVal v, CgType t)
{
	int bits = 8 * cg_kind_bytes(c, t.kind);
	CgVal nan = cg_cmp(c, CG_UNO, v, v), zero = cg_zero(c, cg_type(c, v));
	CgVal u = cg_bitcast(c, cg_select(c, cg_cmp(c, CG_EQ, v, zero), zero, v), t);
	CgVal sign = cg_ashr(c, u, cg_int(c, t, bits - 1)), top = cg_shl(c, cg_int(c, t, 1), cg_int(c, t, bits - 1));
	return cg_select(c, nan, cg_int(c, t, -1), cg_xor(c, u, cg_or(c, sign, top)));
}

static CgVal key_at(const Top *f, const CgAt *at)
{
	Cg *c = f->c;
	WqDtype dtype = f->x->type.dtype;
	CgType t = cg_t(f->key, 1);
	CgVal v = kg_elem_f(f->k, f->x, at);
	if (wq_dtype_is_float(dtype)) {
		v = float_key(c, v, t);
	} else {
		bool sign = wq_dtype_is_signed(dtype);
		v = cg_resize(c, v, f->key, sign);
		if (sign)
			v = cg_xor(c, v, cg_shl(c, cg_int(c, t, 1), cg_int(c, t, 8 * cg_kind_bytes(c, f->key) - 1)));
	}
	return wq_attr_i(f->n, "largest") ? v : cg_not(c, v);
}

/* ---- the heap ------------------------------------------------------------------------------------------------ */

static Item get(const Top *f, CgVal i)
{
	Cg *c = f->c;
	return (Item){ cg_load(c, cg_t(f->key, 1), cg_at(c, f->key, f->keys, i), 0),
		       cg_load(c, cg_t(cg_index(c), 1), cg_at(c, cg_index(c), f->places, i), 0) };
}

static void set(const Top *f, CgVal i, Item v)
{
	cg_store(f->c, v.key, cg_at(f->c, f->key, f->keys, i), 0);
	cg_store(f->c, v.place, cg_at(f->c, cg_index(f->c), f->places, i), 0);
}

static CgVal before(Cg *c, Item a, Item b)
{
	CgVal equal = cg_cmp(c, CG_EQ, a.key, b.key);
	return cg_select(c, equal, cg_cmp(c, CG_LT, a.place, b.place), cg_cmp(c, CG_UGT, a.key, b.key));
}

/* Puts v where it belongs at or below `from` in a heap of n items, whose place `from` is free. */
static void sift(const Top *f, CgVal n, CgVal from, Item v)
{
	Cg *c = f->c;
	CgVar hole = cg_var(c, from);
	cg_while(c);
	CgVal left = cg_addi(c, cg_muli(c, cg_get(c, hole), 2), 1), right = cg_addi(c, left, 1);
	cg_break_if(c, cg_cmp(c, CG_GE, left, n));
	right = cg_select(c, cg_cmp(c, CG_LT, right, n), right, left);
	Item a = get(f, left), b = get(f, right);
	CgVal second = before(c, a, b), child = cg_select(c, second, right, left);
	Item worst = { cg_select(c, second, b.key, a.key), cg_select(c, second, b.place, a.place) };
	cg_break_if(c, before(c, worst, v));
	set(f, cg_get(c, hole), worst);
	cg_set(c, hole, child);
	cg_end(c);
	set(f, cg_get(c, hole), v);
}

static void fill(const Top *f, CgAt at)
{
	Cg *c = f->c;
	CgVal zero = cg_idx(c, 0);
	CgVal i = cg_for(c, zero, f->want, 1);
	at.ix[f->axis] = i;
	set(f, i, (Item){ key_at(f, &at), i });
	cg_end(c);
	CgVal half = cg_divi(c, f->want, 2);
	i = cg_for(c, zero, half, 1);
	CgVal parent = cg_sub(c, cg_addi(c, half, -1), i);
	sift(f, f->want, parent, get(f, parent));
	cg_end(c);
	i = cg_for(c, f->want, f->length, 1); /* of equal ones those already there are better */
	at.ix[f->axis] = i;
	Item v = { key_at(f, &at), i };
	cg_if(c, cg_cmp(c, CG_UGT, v.key, get(f, zero).key));
	sift(f, f->want, zero, v);
	cg_end(c);
	cg_end(c);
}

static void sort(const Top *f)
{
	Cg *c = f->c;
	CgVal zero = cg_idx(c, 0), last = cg_addi(c, f->want, -1);
	CgVal n = cg_sub(c, last, cg_for(c, zero, last, 1));
	Item root = get(f, zero), v = get(f, n);
	set(f, n, root);
	sift(f, n, zero, v);
	cg_end(c);
}

static void give(const Top *f, CgAt at)
{
	Cg *c = f->c;
	CgVal i = cg_for(c, cg_idx(c, 0), f->want, 1);
	CgVal place = get(f, i).place;
	CgAt from = at;
	at.ix[f->axis] = i;
	from.ix[f->axis] = place;
	if (f->n->out[0])
		kg_put(f->k, f->n, 0, &at, kg_elem(f->k, f->x, &from));
	if (f->n->n_out > 1 && f->n->out[1])
		kg_put(f->k, f->n, 1, &at, cg_resize(c, place, CG_I64, true));
	cg_end(c);
}

static void line(Kg *k, const CgAt *at, void *arg)
{
	const Top *f = arg;
	(void)k;
	cg_if(f->c, cg_cmp(f->c, CG_GT, f->want, cg_idx(f->c, 0)));
	fill(f, *at);
	sort(f);
	give(f, *at);
	cg_end(f->c);
}

/* ---- the kernel ------------------------------------------------------------------------------------------------ */

static int axis_of(const WqNode *n)
{
	int64_t axis = wq_attr_i(n, "axis");
	return (int)(axis < 0 ? axis + n->in[0]->type.rank : axis);
}

static const WqValue *result_of(const WqNode *n) { return n->out[0] ? n->out[0] : n->out[1]; }

static void check_k(Kg *k, CgVal want, CgVal length)
{
	Cg *c = kg_cg(k);
	kg_fault(k, cg_or(c, cg_cmp(c, CG_GT, want, length), cg_cmp(c, CG_LT, want, cg_idx(c, 0))), KG_EVALUE);
}

static void sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	int axis = axis_of(n);
	CgVal want = kg_int(k, n->in[1], 0), length = kg_size(k, n->in[0], axis);
	check_k(k, want, length);
	want = cg_min(c, cg_max(c, want, cg_idx(c, 0)), length);
	for (int i = 0; i < n->n_out; i++) /* each result has a symbol of its own */
		if (n->out[i])
			kg_bind(k, n->out[i]->type.dim[axis], want);
}

static int64_t room(const WqNode *n)
{
	const WqModule *m = n->graph->mod;
	int64_t have = wq_dim_hi(m, n->in[0]->type.dim[axis_of(n)]), want = wq_dim_hi(m, result_of(n)->type.dim[axis_of(n)]);
	int64_t most = want < have ? want : have;
	return most > 1 ? most : 1;
}

static int64_t scratch(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return rows_mul(room(n), 16);
}

static void kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	Top f = { .n = n, .k = k, .c = c, .x = n->in[0], .axis = axis_of(n), .key = key_kind(n->in[0]->type.dtype) };
	CgVal dim[WQ_MAX_RANK];
	int rank = f.x->type.rank, order[WQ_MAX_RANK];
	f.length = kg_size(k, f.x, f.axis);
	f.want = cg_max(c, cg_idx(c, 0), cg_min(c, kg_size(k, result_of(n), f.axis), f.length));
	f.keys = kg_scratch(k);
	f.places = cg_ati(c, CG_I64, f.keys, room(n));
	for (int a = 0; a < rank; a++) {
		dim[a] = a == f.axis ? cg_idx(c, 1) : kg_size(k, f.x, a);
		order[a] = a;
	}
	kg_nest(k, rank, dim, order, 1, line, &f);
}

const WqEmit emit_top_k = { .kernel = kernel, .sizes = sizes, .epilogue = true, .repeated = 1, .scratch = scratch };
