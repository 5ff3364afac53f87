/* emit_scatter.c: ScatterElements, ScatterND: the operand is copied, then the updates are applied in order, so that of several to one place
 * the last wins. On one thread, since places may repeat.
 */
#include "codegen/index.h"

typedef enum { NONE, ADD, MUL, MIN, MAX } Reduction;
static const char *const reductions[] = {"none", "add", "mul", "min", "max"};

typedef struct Scatter {
	const WqNode *n;
	Reduction red;
	CgTensor y;
	int rows, depth; /* ScatterND: axes of rows; how many axes a row names */
	CgAt block;      /* where the block of the current row begins */
	CgVal row[WQ_MAX_RANK];
} Scatter;

static CgVal joined_bool(Cg *c, Reduction red, CgVal a, CgVal b)
{
	return red == ADD || red == MAX ? cg_or(c, a, b) : cg_and(c, a, b);
}

/* In arithmetic form; NaN wins. */
static CgVal joined(Cg *c, WqDtype t, Reduction red, CgVal a, CgVal b)
{
	if (t == WQ_BOOL)
		return joined_bool(c, red, a, b);
	if (red == ADD)
		return cg_add(c, a, b);
	if (red == MUL)
		return cg_mul(c, a, b);
	bool is_unsigned = wq_dtype_is_int(t) && !wq_dtype_is_signed(t);
	if (is_unsigned)
		return red == MIN ? cg_umin(c, a, b) : cg_umax(c, a, b);
	CgVal first = cg_cmp(c, red == MIN ? CG_LT : CG_GT, a, b);
	if (wq_dtype_is_float(t))
		first = cg_or(c, first, cg_cmp(c, CG_UNO, a, a));
	return cg_select(c, first, a, b);
}

static void apply(Kg *k, const Scatter *s, const CgAt *to, CgVal update)
{
	WqDtype t = s->y.dtype;
	if (s->red == NONE) {
		kg_write(k, &s->y, to, update);
		return;
	}
	CgVal a = kg_arith(k, t, kg_load(k, &s->y, to)), b = kg_arith(k, t, update);
	kg_write(k, &s->y, to, kg_round(k, t, joined(kg_cg(k), t, s->red, a, b)));
}

static void copy_element(Kg *k, const CgAt *at, void *arg)
{
	const Scatter *s = arg;
	kg_write(k, &s->y, at, kg_elem(k, s->n->in[0], at));
}

static void nest_over(Kg *k, const WqValue *v, const int *order, int lanes, KgBody *body, void *arg)
{
	CgVal dim[WQ_MAX_RANK];
	for (int a = 0; a < v->type.rank; a++)
		dim[a] = kg_size(k, v, a);
	kg_inner_nest(k, v->type.rank, dim, order, lanes, body, arg);
}

/* The copy; then, unless there is nowhere to put them, the caller applies the updates and ends the condition. */
static Scatter begin(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *y = n->out[0];
	Scatter s = {.n = n, .red = (Reduction)ix_choose(n, "reduction", 5, reductions), .y = kg_tensor(k, y)};
	int order[WQ_MAX_RANK];
	kg_order(k, y, order);
	nest_over(k, y, order, kg_lanes(k, y->type.dtype), copy_element, &s);
	cg_if(c, cg_cmp(c, CG_GT, kg_count(k, y), cg_idx(c, 0)));
	return s;
}

/* ---- ScatterElements ------------------------------------------------------------------------------------------ */

static void scatter_element(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const Scatter *s = arg;
	const WqNode *n = s->n;
	int axis = ix_axis(n, at->rank);
	CgAt to = *at;
	for (int a = 0; a < at->rank; a++) {
		CgVal dim = kg_size(k, n->in[0], a);
		if (a == axis)
			to.ix[a] = kg_checked(k, kg_elem(k, n->in[1], at), dim);
		else if (n->in[0]->type.dim[a] != n->in[1]->type.dim[a])
			to.ix[a] = cg_min(c, at->ix[a], cg_addi(c, dim, -1));
	}
	apply(k, s, &to, kg_elem(k, n->in[2], at));
}

static void scatter_elements_kernel(Kg *k, const WqNode *n)
{
	Scatter s = begin(k, n);
	nest_over(k, n->in[1], NULL, 1, scatter_element, &s);
	cg_end(kg_cg(k));
}

static void scatter_elements_sizes(Kg *k, const WqNode *n)
{
	ix_fit_elements(k, n);
	for (int a = 0; a < n->in[1]->type.rank; a++)
		ix_agree(k, n->in[1]->type.dim[a], n->in[2]->type.dim[a]);
}

static const char *no_reduction(const WqNode *n)
{
	WqDtype t = n->in[0]->type.dtype;
	bool numbers = wq_dtype_in(t, WQ_M_NUM | WQ_M_BOOL);
	return numbers || !strcmp(wq_attr_s(n, "reduction"), "none") ? NULL : "only numbers and booleans can be joined";
}

static const char *refuse_elements(const WqTarget *t, const WqNode *n)
{
	(void)t;
	int rank = n->in[0]->type.rank;
	if (rank == 0 || n->in[1]->type.rank != rank || n->in[2]->type.rank != rank)
		return "indices and updates have another rank than the operand";
	int64_t axis = wq_attr_i(n, "axis");
	return axis < -rank || axis >= rank ? "the axis is out of range" : no_reduction(n);
}

const WqEmit emit_scatter_elements = {
	.kernel = scatter_elements_kernel, .sizes = scatter_elements_sizes, .refuse = refuse_elements, .serial = true
};

/* ---- ScatterND -------------------------------------------------------------------------------------------------- */

static void scatter_in_block(Kg *k, const CgAt *at, void *arg)
{
	const Scatter *s = arg;
	CgAt from = {.rank = s->rows + at->rank, .lanes = at->lanes, .axis = s->rows + at->axis}, to = s->block;
	for (int a = 0; a < s->rows; a++)
		from.ix[a] = s->row[a];
	for (int a = 0; a < at->rank; a++)
		from.ix[s->rows + a] = to.ix[s->depth + a] = at->ix[a];
	to.lanes = at->lanes;
	to.axis = s->depth + at->axis;
	apply(k, s, &to, kg_elem(k, s->n->in[2], &from));
}

static void scatter_row(Kg *k, const CgAt *at, void *arg)
{
	Scatter *s = arg;
	CgVal dim[WQ_MAX_RANK];
	memcpy(s->row, at->ix, sizeof s->row);
	s->block = ix_nd_place(k, s->n, 0, at->ix);
	int inner = s->block.rank - s->depth;
	for (int a = 0; a < inner; a++)
		dim[a] = kg_size(k, s->n->in[0], s->depth + a);
	CgAt only = ix_zero(k, 0);
	if (inner)
		kg_inner_nest(k, inner, dim, NULL, kg_lanes(k, s->y.dtype), scatter_in_block, s);
	else
		scatter_in_block(k, &only, s);
}

static void scatter_nd_kernel(Kg *k, const WqNode *n)
{
	const WqType *index = &n->in[1]->type;
	Scatter s = begin(k, n);
	CgVal dim[WQ_MAX_RANK];
	s.rows = index->rank - 1;
	s.depth = (int)index->dim[s.rows];
	for (int a = 0; a < s.rows; a++)
		dim[a] = kg_dim(k, index->dim[a]);
	CgAt only = ix_zero(k, 0);
	if (s.rows)
		kg_inner_nest(k, s.rows, dim, NULL, 1, scatter_row, &s);
	else
		scatter_row(k, &only, &s);
	cg_end(kg_cg(k));
}

static void scatter_nd_sizes(Kg *k, const WqNode *n)
{
	const WqType *x = &n->in[0]->type, *index = &n->in[1]->type, *u = &n->in[2]->type;
	int rows = index->rank - 1, depth = (int)index->dim[rows];
	for (int a = 0; a < u->rank; a++)
		ix_agree(k, u->dim[a], a < rows ? index->dim[a] : x->dim[a - rows + depth]);
}

static const char *refuse_nd(const WqTarget *t, const WqNode *n)
{
	(void)t;
	const WqType *x = &n->in[0]->type, *index = &n->in[1]->type;
	if (index->rank < 1 || !wq_dim_static(index->dim[index->rank - 1]))
		return "how many axes the indices name is not known";
	int64_t depth = index->dim[index->rank - 1];
	if (depth > x->rank || n->in[2]->type.rank != index->rank - 1 + x->rank - (int)depth)
		return "the updates' shape does not fit indices and operand";
	return no_reduction(n);
}

const WqEmit emit_scatter_nd = {.kernel = scatter_nd_kernel, .sizes = scatter_nd_sizes, .refuse = refuse_nd, .serial = true};
