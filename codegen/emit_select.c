/* emit_select.c: NonZero and Unique, which tell their results' sizes when they run. */
#include "codegen/index.h"

static void nest_over(Kg *k, const WqValue *v, KgBody *body, void *arg)
{
	CgVal dim[WQ_MAX_RANK];
	for (int a = 0; a < v->type.rank; a++)
		dim[a] = kg_size(k, v, a);
	CgAt only = ix_zero(k, 0);
	if (v->type.rank)
		kg_inner_nest(k, v->type.rank, dim, NULL, 1, body, arg);
	else
		body(k, &only, arg);
}

static void put_i64(Kg *k, const WqNode *n, int result, const CgAt *at, CgVal v)
{
	kg_put(k, n, result, at, cg_resize(kg_cg(k), v, CG_I64, true));
}

/* ---- NonZero ---------------------------------------------------------------------------------------------------- */

typedef struct Found {
	const WqNode *n;
	CgVar count;
} Found;

static CgVal is_set(Kg *k, const WqNode *n, const CgAt *at)
{
	CgVal v = kg_elem_f(k, n->in[0], at);
	CgType t = cg_type(kg_cg(k), v);
	return t.kind == CG_I1 ? v : cg_cmp(kg_cg(k), CG_NE, v, cg_zero(kg_cg(k), t));
}

static void count_set(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const Found *f = arg;
	cg_set(c, f->count, cg_add(c, cg_get(c, f->count), cg_resize(c, is_set(k, f->n, at), cg_index(c), false)));
}

static void put_place(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const Found *f = arg;
	CgVal i = cg_get(c, f->count);
	cg_if(c, cg_and(c, is_set(k, f->n, at), cg_cmp(c, CG_LT, i, kg_size(k, f->n->out[0], 1))));
	CgAt to = ix_zero(k, 2);
	to.ix[1] = i;
	for (int a = 0; a < (at->rank ? at->rank : 1); a++) {
		to.ix[0] = cg_idx(c, a);
		put_i64(k, f->n, 0, &to, at->rank ? at->ix[a] : cg_idx(c, 0));
	}
	cg_set(c, f->count, cg_addi(c, i, 1));
	cg_end(c);
}

static void non_zero_kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	Found f = {n, cg_var(c, cg_idx(c, 0))};
	nest_over(k, n->in[0], count_set, &f);
	kg_bind(k, n->out[0]->type.dim[1], cg_get(c, f.count));
	cg_set(c, f.count, cg_idx(c, 0));
	nest_over(k, n->in[0], put_place, &f);
}

const WqEmit emit_non_zero = {.kernel = non_zero_kernel, .repeated = 1, .serial = true};

/* ---- Unique --------------------------------------------------------------------------------------------------------
 * Scratch: the operand's elements, row-major; then four arrays of as many numbers as there are entries (elements, or slices along an axis).
 */
typedef struct Unique {
	const WqNode *n;
	bool flat, sorted;
	int axis;
	WqDtype t;
	CgVal elem, a[4];          /* the scratch arrays */
	CgVal entries, inner, all; /* how many entries; elements behind the axis; elements of an entry */
	CgVal first, of, count, rank; /* by group: an entry of it, how many; by entry: its group; by group: its place (NULL: its number) */
} Unique;

static int64_t align_up(int64_t v) { return (v + 63) & ~(int64_t)63; }

static WqDim entries_of(const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	return wq_attr_i(n, "flat") ? wq_type_count(n->graph->mod, x) : x->dim[ix_axis(n, x->rank)];
}

static int64_t elem_bytes(const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	return align_up(ix_most(n, wq_type_count(n->graph->mod, x)) * (int64_t)wq_dtype_size(x->dtype));
}

static int64_t array_bytes(const WqTarget *t, const WqNode *n) { return align_up(ix_most(n, entries_of(n)) * t->index_bits / 8); }

static int64_t unique_scratch(const WqTarget *t, const WqNode *n) { return elem_bytes(n) + 4 * array_bytes(t, n); }

static const char *unique_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	WqDim count = wq_type_count(n->graph->mod, &n->in[0]->type);
	return ix_most(n, count) > INT32_MAX ? "its operand's size has no bound" : NULL;
}

/* x before y among numbers of one kind (arithmetic form): NaN last, all of it one. */
static CgVal number_less(Cg *c, WqDtype t, CgVal x, CgVal y)
{
	CgType type = cg_type(c, x);
	if (type.kind == CG_I1)
		return cg_and(c, cg_not(c, x), y);
	if (!cg_is_float(type.kind))
		return cg_cmp(c, wq_dtype_is_signed(t) ? CG_LT : CG_ULT, x, y);
	CgVal y_nan = cg_and(c, cg_cmp(c, CG_UNO, y, y), cg_not(c, cg_cmp(c, CG_UNO, x, x)));
	return cg_or(c, cg_cmp(c, CG_LT, x, y), y_nan);
}

/* Both ways: *less, *more. */
static void compare(Kg *k, WqDtype t, CgVal x, CgVal y, CgVal *less, CgVal *more)
{
	Cg *c = kg_cg(k);
	if (t != WQ_C64) {
		x = kg_arith(k, t, x);
		y = kg_arith(k, t, y);
		*less = number_less(c, t, x, y);
		*more = number_less(c, t, y, x);
		return;
	}
	CgVal l[2], m[2]; /* by real part, then imaginary part */
	x = cg_bitcast(c, x, cg_t(CG_F32, 2));
	y = cg_bitcast(c, y, cg_t(CG_F32, 2));
	for (int i = 0; i < 2; i++)
		compare(k, WQ_F32, cg_extract(c, x, i), cg_extract(c, y, i), &l[i], &m[i]);
	*less = cg_or(c, l[0], cg_and(c, cg_not(c, m[0]), l[1]));
	*more = cg_or(c, m[0], cg_and(c, cg_not(c, l[0]), m[1]));
}

static CgVal copied(Kg *k, const Unique *u, CgVal i)
{
	Cg *c = kg_cg(k);
	CgKind mem = kg_mem(u->t);
	CgVal v = cg_load(c, cg_t(mem, 1), cg_at(c, mem, u->elem, i), 0);
	return u->t == WQ_BOOL ? cg_cmp(c, CG_NE, v, cg_zero(c, cg_t(mem, 1))) : v;
}

/* Entries x and y: the first elements in which they differ decide. */
static void compare_entries(Kg *k, const Unique *u, CgVal x, CgVal y, CgVal *less, CgVal *more)
{
	Cg *c = kg_cg(k);
	if (u->flat) {
		compare(k, u->t, copied(k, u, x), copied(k, u, y), less, more);
		return;
	}
	CgVal no = cg_int(c, cg_t(CG_I1, 1), 0), pitch = cg_mul(c, u->entries, u->inner);
	CgVar i = cg_var(c, cg_idx(c, 0)), l = cg_var(c, no), m = cg_var(c, no);
	cg_while(c);
	CgVal iv = cg_get(c, i);
	cg_break_if(c, cg_cmp(c, CG_GE, iv, u->all));
	cg_break_if(c, cg_or(c, cg_get(c, l), cg_get(c, m)));
	CgVal at = cg_add(c, cg_mul(c, cg_udiv(c, iv, u->inner), pitch), cg_urem(c, iv, u->inner));
	compare(k, u->t, copied(k, u, cg_add(c, at, cg_mul(c, x, u->inner))), copied(k, u, cg_add(c, at, cg_mul(c, y, u->inner))), less,
		more);
	cg_set(c, l, *less);
	cg_set(c, m, *more);
	cg_set(c, i, cg_addi(c, iv, 1));
	cg_end(c);
	*less = cg_get(c, l);
	*more = cg_get(c, m);
}

static CgVal entry_less(Kg *k, void *arg, CgVal x, CgVal y)
{
	CgVal less, more;
	compare_entries(k, arg, x, y, &less, &more);
	return less;
}

static void copy_in(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const Unique *u = arg;
	CgKind mem = kg_mem(u->t);
	CgVal v = kg_elem(k, u->n->in[0], at);
	cg_store(c, u->t == WQ_BOOL ? cg_resize(c, v, mem, false) : v, cg_at(c, mem, u->elem, ix_linear(k, u->n->in[0], at)), 0);
}

/* Runs of equal entries in `order` are the groups. Returns how many. */
static CgVal find_groups(Kg *k, Unique *u, CgVal order)
{
	Cg *c = kg_cg(k);
	CgVal zero = cg_idx(c, 0), one = cg_idx(c, 1);
	CgVar groups = cg_var(c, zero);
	CgVal i = cg_for(c, zero, u->entries, 1), e = ix_load(k, order, i);
	CgVal before = ix_load(k, order, cg_max(c, cg_addi(c, i, -1), zero)), less, more;
	compare_entries(k, u, before, e, &less, &more);
	CgVal fresh = cg_or(c, cg_cmp(c, CG_EQ, i, zero), cg_or(c, less, more)), g = cg_get(c, groups);
	cg_if(c, fresh);
	ix_store(k, e, u->first, g);
	ix_store(k, zero, u->count, g);
	cg_end(c);
	g = cg_add(c, g, cg_resize(c, fresh, cg_index(c), false));
	cg_set(c, groups, g);
	CgVal mine = cg_sub(c, g, one);
	ix_store(k, mine, u->of, e);
	ix_store(k, cg_add(c, ix_load(k, u->count, mine), one), u->count, mine);
	cg_end(c);
	return cg_get(c, groups);
}

/* Numbers the groups by where they first occur. */
static void rank_groups(Kg *k, Unique *u, CgVal rank)
{
	Cg *c = kg_cg(k);
	CgVar next = cg_var(c, cg_idx(c, 0));
	CgVal e = cg_for(c, cg_idx(c, 0), u->entries, 1), g = ix_load(k, u->of, e);
	cg_if(c, cg_cmp(c, CG_EQ, ix_load(k, u->first, g), e));
	CgVal at = cg_get(c, next);
	ix_store(k, at, rank, g);
	cg_set(c, next, cg_addi(c, at, 1));
	cg_end(c);
	cg_end(c);
	u->rank = rank;
}

static CgVal place_of(Kg *k, const Unique *u, CgVal group) { return u->rank ? ix_load(k, u->rank, group) : group; }

static bool wanted(const WqNode *n, int result) { return result < n->n_out && n->out[result]; }

static void put_numbers(Kg *k, const Unique *u, CgVal groups)
{
	Cg *c = kg_cg(k);
	const WqNode *n = u->n;
	CgAt to = ix_zero(k, 1);
	CgVal g = cg_for(c, cg_idx(c, 0), groups, 1);
	to.ix[0] = place_of(k, u, g);
	if (wanted(n, 1))
		put_i64(k, n, 1, &to, ix_load(k, u->first, g));
	if (wanted(n, 3))
		put_i64(k, n, 3, &to, ix_load(k, u->count, g));
	cg_end(c);
	if (!wanted(n, 2))
		return;
	to.ix[0] = cg_for(c, cg_idx(c, 0), u->entries, 1);
	put_i64(k, n, 2, &to, place_of(k, u, ix_load(k, u->of, to.ix[0])));
	cg_end(c);
}

static void put_element(Kg *k, const CgAt *at, void *arg)
{
	const Unique *u = arg;
	CgAt from = *at, to = *at;
	from.ix[u->axis] = ix_load(k, u->first, at->ix[u->axis]);
	to.ix[u->axis] = place_of(k, u, at->ix[u->axis]);
	kg_put(k, u->n, 0, &to, copied(k, u, u->flat ? from.ix[0] : ix_linear(k, u->n->in[0], &from)));
}

static void put_values(Kg *k, Unique *u, CgVal groups)
{
	const WqValue *y = u->n->out[0];
	CgVal dim[WQ_MAX_RANK];
	for (int a = 0; a < y->type.rank; a++)
		dim[a] = a == u->axis ? groups : kg_size(k, u->n->in[0], a);
	kg_inner_nest(k, y->type.rank, dim, NULL, 1, put_element, u);
}

static Unique unique_of(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *x = n->in[0];
	Unique u = {.n = n, .flat = wq_attr_i(n, "flat") != 0, .sorted = wq_attr_i(n, "sorted") != 0, .t = x->type.dtype};
	u.axis = u.flat ? 0 : ix_axis(n, x->type.rank);
	u.entries = u.flat ? kg_count(k, x) : kg_size(k, x, u.axis);
	u.inner = u.flat ? cg_idx(c, 1) : ix_product(k, x, u.axis + 1, x->type.rank);
	u.all = u.flat ? cg_idx(c, 1) : cg_mul(c, ix_product(k, x, 0, u.axis), u.inner);
	u.elem = kg_scratch(k);
	for (int i = 0; i < 4; i++)
		u.a[i] = cg_ati(c, CG_I8, u.elem, elem_bytes(n) + i * array_bytes(cg_target(c), n));
	return u;
}

static void unique_kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	Unique u = unique_of(k, n);
	nest_over(k, n->in[0], copy_in, &u);
	CgVal i = cg_for(c, cg_idx(c, 0), u.entries, 1);
	ix_store(k, i, u.a[0], i);
	cg_end(c);
	CgVal order = ix_sort(k, u.entries, u.a[0], u.a[1], entry_less, &u);
	u.first = cg_select(c, cg_cmp(c, CG_EQ, order, u.a[0]), u.a[1], u.a[0]); /* what sorting left free */
	u.of = u.a[2];
	u.count = u.a[3];
	CgVal groups = find_groups(k, &u, order);
	if (!u.sorted)
		rank_groups(k, &u, order);
	for (int r = 0; r < n->n_out; r++)
		if (wanted(n, r) && r != 2)
			kg_bind(k, n->out[r]->type.dim[r == 0 ? u.axis : 0], groups);
	CgVal fits = cg_int(c, cg_t(CG_I1, 1), 1); /* false if a size was declared otherwise */
	for (int r = 0; r < n->n_out; r++)
		if (wanted(n, r))
			fits = cg_and(c, fits, cg_cmp(c, CG_LE, r == 2 ? u.entries : groups, kg_size(k, n->out[r], r == 0 ? u.axis : 0)));
	kg_fault(k, cg_not(c, fits), KG_EBOUND);
	cg_if(c, fits);
	put_values(k, &u, groups);
	put_numbers(k, &u, groups);
	cg_end(c);
}

const WqEmit emit_unique = {.kernel = unique_kernel, .serial = true, .scratch = unique_scratch, .refuse = unique_refuse};
