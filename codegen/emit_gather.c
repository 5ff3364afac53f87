/* emit_gather.c: Gather, GatherElements, GatherND: the index says where an element comes from. */
#include "codegen/index.h"

/* x's element, but 0 where x has none: an index that was out of range must not touch memory. */
static CgVal elem_if_any(Kg *k, const WqValue *x, const CgAt *at)
{
	Cg *c = kg_cg(k);
	bool full = true;
	CgVal empty = cg_cmp(c, CG_NE, cg_idx(c, 0), cg_idx(c, 0));
	for (int i = 0; i < x->type.rank; i++)
		if (wq_dim_lo(x->graph->mod, x->type.dim[i]) < 1) {
			empty = cg_or(c, empty, cg_cmp(c, CG_EQ, kg_size(k, x, i), cg_idx(c, 0)));
			full = false;
		}
	if (full)
		return kg_elem(k, x, at);
	CgVar v = cg_var(c, cg_zero(c, cg_t(kg_reg(x->type.dtype), at->lanes)));
	cg_if(c, cg_not(c, empty));
	cg_set(c, v, kg_elem(k, x, at));
	cg_end(c);
	return cg_get(c, v);
}

/* ---- Gather --------------------------------------------------------------------------------------------------- */

/* x's index for the result's, whose indices' part (axes [axis, axis + r)) is not along the lanes; i: x's index along the axis. */
static CgAt gather_from(const WqNode *n, const CgAt *at, int axis, CgVal i)
{
	int r = n->in[1]->type.rank, rank = n->in[0]->type.rank;
	CgAt from = {.rank = rank, .lanes = at->lanes, .axis = at->axis < axis ? at->axis : at->axis - r + 1};
	for (int a = 0; a < rank; a++)
		from.ix[a] = a == axis ? i : at->ix[a < axis ? a : a + r - 1];
	return from;
}

static CgAt index_at(const WqNode *n, const CgAt *at, int axis)
{
	CgAt of = {.rank = n->in[1]->type.rank, .lanes = 1};
	for (int a = 0; a < of.rank; a++)
		of.ix[a] = at->ix[axis + a];
	return of;
}

static CgVal gather_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	int axis = ix_axis(n, n->in[0]->type.rank);
	CgAt of = index_at(n, at, axis);
	CgVal i = kg_checked(k, kg_elem(k, n->in[1], &of), kg_size(k, n->in[0], axis));
	CgAt from = gather_from(n, at, axis, i);
	return elem_if_any(k, n->in[0], &from);
}

static CgVal gather_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	int axis = ix_axis(n, n->in[0]->type.rank);
	if (at->lanes > 1 && at->axis >= axis && at->axis < axis + n->in[1]->type.rank)
		return ix_lanes(k, n, result, at, gather_one);
	return gather_one(k, n, result, at);
}

/* As a kernel: an index is read and checked once, for the row that it names. */
typedef struct Rows {
	const WqNode *n;
	int axis, inner; /* x's axis; how many axes lie behind it */
	CgAt row;        /* of the result: its axes but for the inner ones */
	CgVal i;
} Rows;

static void gather_element(Kg *k, const CgAt *at, void *arg)
{
	const Rows *r = arg;
	CgAt to = r->row;
	int first = to.rank - r->inner;
	for (int a = 0; a < r->inner; a++)
		to.ix[first + a] = at->ix[a];
	to.lanes = at->lanes;
	to.axis = first + at->axis;
	CgAt from = gather_from(r->n, &to, r->axis, r->i);
	kg_put(k, r->n, 0, &to, kg_elem(k, r->n->in[0], &from));
}

static void gather_row(Kg *k, const CgAt *at, void *arg)
{
	Rows *r = arg;
	const WqValue *x = r->n->in[0];
	CgVal dim[WQ_MAX_RANK] = {NULL};
	r->row = *at;
	r->row.rank = at->rank + r->inner;
	for (int a = 0; a < r->inner; a++)
		dim[a] = kg_size(k, x, r->axis + 1 + a);
	CgAt of = index_at(r->n, at, r->axis);
	r->i = kg_checked(k, kg_elem(k, r->n->in[1], &of), kg_size(k, x, r->axis));
	if (wq_dim_lo(x->graph->mod, x->type.dim[r->axis]) < 1)
		dim[0] = cg_select(kg_cg(k), cg_cmp(kg_cg(k), CG_EQ, kg_size(k, x, r->axis), cg_idx(kg_cg(k), 0)), cg_idx(kg_cg(k), 0), dim[0]);
	kg_inner_nest(k, r->inner, dim, NULL, kg_lanes(k, x->type.dtype), gather_element, r);
}

static void put_one(Kg *k, const CgAt *at, void *arg)
{
	const WqNode *n = arg;
	kg_put(k, n, 0, at, gather_at(k, n, 0, at));
}

static void gather_kernel(Kg *k, const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	Rows r = {.n = n, .axis = ix_axis(n, x->rank)};
	r.inner = x->rank - r.axis - 1;
	int rank = n->out[0]->type.rank;
	CgVal dim[WQ_MAX_RANK];
	for (int a = 0; a < rank; a++)
		dim[a] = kg_size(k, n->out[0], a);
	if (r.inner)
		kg_nest(k, rank - r.inner, dim, NULL, 1, gather_row, &r);
	else
		kg_nest(k, rank, dim, NULL, 1, put_one, (void *)n);
}

const WqEmit emit_gather = {.at = gather_at, .at_lanes = true, .kernel = gather_kernel, .epilogue = true};

/* ---- GatherElements --------------------------------------------------------------------------------------------- */

static CgVal gather_elements_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Cg *c = kg_cg(k);
	const WqValue *x = n->in[0];
	int axis = ix_axis(n, at->rank);
	CgAt from = *at;
	for (int a = 0; a < at->rank; a++) {
		CgVal dim = kg_size(k, x, a);
		if (a == axis)
			from.ix[a] = kg_checked(k, kg_elem(k, n->in[1], at), dim);
		else if (x->type.dim[a] != n->in[1]->type.dim[a]) /* sizes has complained, should it be larger */
			from.ix[a] = cg_max(c, cg_min(c, at->ix[a], cg_addi(c, dim, -1)), cg_idx(c, 0));
	}
	return elem_if_any(k, x, &from);
}

static CgVal gather_elements_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	return ix_lanes(k, n, result, at, gather_elements_one);
}

/* Along the other axes the indices may not be larger than the operand. */
void ix_fit_elements(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type, *index = &n->in[1]->type;
	CgVal some = cg_cmp(c, CG_GT, kg_count(k, n->in[1]), cg_idx(c, 0));
	for (int a = 0; a < x->rank; a++)
		if (a != ix_axis(n, x->rank) && x->dim[a] != index->dim[a])
			kg_fault(k, cg_and(c, some, cg_cmp(c, CG_GT, kg_dim(k, index->dim[a]), kg_dim(k, x->dim[a]))), KG_EVALUE);
}

static const char *no_scalar(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return n->in[0]->type.rank == 0 ? "the operand is a scalar" : NULL;
}

const WqEmit emit_gather_elements = {
	.at = gather_elements_at, .at_lanes = true, .sizes = ix_fit_elements, .refuse = no_scalar
};

/* ---- GatherND ----------------------------------------------------------------------------------------------------- */

static int depth_of(const WqNode *n)
{
	const WqType *t = &n->in[1]->type;
	return (int)t->dim[t->rank - 1];
}

CgAt ix_nd_place(Kg *k, const WqNode *n, int batch, const CgVal *row)
{
	const WqType *index = &n->in[1]->type, *x = &n->in[0]->type;
	CgAt of = ix_zero(k, index->rank), from = ix_zero(k, x->rank);
	for (int a = 0; a + 1 < index->rank; a++)
		of.ix[a] = row[a];
	for (int a = 0; a < batch; a++)
		from.ix[a] = row[a];
	for (int d = 0; d < depth_of(n); d++) {
		of.ix[index->rank - 1] = cg_idx(kg_cg(k), d);
		from.ix[batch + d] = kg_checked(k, kg_elem(k, n->in[1], &of), kg_dim(k, x->dim[batch + d]));
	}
	return from;
}

static CgVal gather_nd_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	int batch = (int)wq_attr_i(n, "batch_dims"), rows = n->in[1]->type.rank - 1, named = batch + depth_of(n);
	CgAt from = ix_nd_place(k, n, batch, at->ix);
	for (int a = named; a < from.rank; a++)
		from.ix[a] = at->ix[rows + a - named];
	from.lanes = at->lanes;
	from.axis = at->axis - rows + named;
	return elem_if_any(k, n->in[0], &from);
}

static CgVal gather_nd_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	if (at->lanes > 1 && at->axis < n->in[1]->type.rank - 1)
		return ix_lanes(k, n, result, at, gather_nd_one);
	return gather_nd_one(k, n, result, at);
}

static void gather_nd_sizes(Kg *k, const WqNode *n)
{
	for (int a = 0; a < wq_attr_i(n, "batch_dims"); a++)
		ix_agree(k, n->in[0]->type.dim[a], n->in[1]->type.dim[a]);
}

const WqEmit emit_gather_nd = {.at = gather_nd_at, .at_lanes = true, .sizes = gather_nd_sizes};
