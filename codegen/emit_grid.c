/* emit_grid.c: GridSample over any number of spatial axes. For every place of the result the neighbours along each axis and their weights are
 * found once; then the weighted sums of all channels. A coordinate that is NaN counts as outside.
 */
#include <math.h>

#include "codegen/index.h"

typedef enum { ZEROS, BORDER, REFLECTION } Padding;

typedef struct Grid {
	const WqNode *n;
	int axes, taps; /* spatial axes; neighbours along each: 1, 2 or 4 */
	Padding padding;
	bool corners;
	CgVal idx, w;   /* on the stack, axes x taps: neighbours (index type, -1: outside) and weights (f64) */
	CgAt at;        /* of the result; the channel is to be filled in */
} Grid;

static CgVal f64(Kg *k, double v) { return cg_float(kg_cg(k), cg_t(CG_F64, 1), v); }
static CgVal of_index(Kg *k, CgVal i) { return cg_to_float(kg_cg(k), i, CG_F64, true); }
static CgVal size_of(Kg *k, const Grid *g, int axis) { return kg_size(k, g->n->in[0], 2 + axis); }

/* ---- coordinates ------------------------------------------------------------------------------------------------------ */

/* In f32, as the grid's numbers are. */
static CgVal place_of(Kg *k, const Grid *g, CgVal v, CgVal n)
{
	Cg *c = kg_cg(k);
	CgType t = cg_t(CG_F32, 1);
	CgVal one = cg_float(c, t, 1), half = cg_float(c, t, 0.5), up = cg_add(c, v, one);
	if (g->corners)
		return cg_mul(c, cg_mul(c, up, half), cg_to_float(c, cg_addi(c, n, -1), CG_F32, true));
	return cg_mul(c, cg_sub(c, cg_mul(c, up, cg_to_float(c, n, CG_F32, true)), one), half);
}

/* Mirrors v at both borders until it lies between them. */
static CgVal reflected(Kg *k, CgVal v, CgVal low, CgVal high)
{
	Cg *c = kg_cg(k);
	CgVal range = cg_sub(c, high, low), zero = f64(k, 0), below = cg_cmp(c, CG_LT, v, low);
	CgVal d = cg_select(c, below, cg_sub(c, low, v), cg_sub(c, v, high)), times = cg_floor(c, cg_fdiv(c, d, range));
	CgVal r = cg_sub(c, d, cg_mul(c, times, range)), halves = cg_mul(c, times, f64(k, 0.5));
	CgVal odd = cg_cmp(c, CG_NE, cg_floor(c, halves), halves);
	CgVal out = cg_select(c, cg_xor(c, below, odd), cg_add(c, low, r), cg_sub(c, high, r));
	CgVal inside = cg_and(c, cg_cmp(c, CG_GE, v, low), cg_cmp(c, CG_LE, v, high));
	out = cg_select(c, inside, v, out);
	return cg_select(c, cg_cmp(c, CG_GT, range, zero), out, low);
}

static CgVal into_borders(Kg *k, const Grid *g, CgVal v, CgVal n)
{
	Cg *c = kg_cg(k);
	CgVal size = of_index(k, n), out;
	if (g->padding == BORDER && g->taps < 4) /* cubic weighs by the unclamped distance, as PyTorch does */
		out = cg_min(c, cg_max(c, v, f64(k, 0)), cg_sub(c, size, f64(k, 1)));
	else if (g->padding == REFLECTION)
		out = reflected(k, v, f64(k, g->corners ? 0 : -0.5), cg_sub(c, size, f64(k, g->corners ? 1 : 0.5)));
	else /* as far outside as matters */
		out = cg_min(c, cg_max(c, v, f64(k, -4)), cg_add(c, size, f64(k, 4)));
	return cg_select(c, cg_cmp(c, CG_UNO, v, v), f64(k, -2), out);
}

static CgVal clamped(Kg *k, CgVal i, CgVal n)
{
	Cg *c = kg_cg(k);
	return cg_max(c, cg_min(c, i, cg_addi(c, n, -1)), cg_idx(c, 0));
}

/* The pixel that stands at index i (a whole f64) along an axis; -1: none, it is 0. */
static CgVal pixel(Kg *k, const Grid *g, CgVal v, CgVal n)
{
	Cg *c = kg_cg(k);
	CgVal i = cg_to_int(c, v, cg_index(c), true), inside = cg_cmp(c, CG_ULT, i, n);
	if (g->padding == ZEROS)
		return cg_select(c, inside, i, cg_idx(c, -1));
	if (g->padding == REFLECTION)
		i = cg_select(c, inside, i, cg_to_int(c, into_borders(k, g, of_index(k, i), n), cg_index(c), true));
	return clamped(k, i, n);
}

static void store_tap(Kg *k, const Grid *g, int axis, int tap, CgVal i, CgVal w)
{
	Cg *c = kg_cg(k);
	ix_store(k, i, g->idx, cg_idx(c, axis * g->taps + tap));
	cg_store(c, w, cg_ati(c, CG_F64, g->w, axis * g->taps + tap), 0);
}

/* A weight of cubic convolution: near (distance up to 1) or far (up to 2). */
static CgVal cubic(Kg *k, CgVal d, bool near)
{
	Cg *c = kg_cg(k);
	const double a = -0.75;
	if (near)
		return cg_add(c, cg_mul(c, cg_mul(c, cg_sub(c, cg_mul(c, d, f64(k, a + 2)), f64(k, a + 3)), d), d), f64(k, 1));
	CgVal v = cg_sub(c, cg_mul(c, d, f64(k, a)), f64(k, 5 * a));
	v = cg_add(c, cg_mul(c, v, d), f64(k, 8 * a));
	return cg_sub(c, cg_mul(c, v, d), f64(k, 4 * a));
}

static void find_taps(Kg *k, const Grid *g, int axis, CgVal coord)
{
	Cg *c = kg_cg(k);
	CgVal n = size_of(k, g, axis), one = f64(k, 1), v = cg_fcast(c, place_of(k, g, coord, n), CG_F64);
	if (g->taps == 1) {
		store_tap(k, g, axis, 0, pixel(k, g, into_borders(k, g, cg_rint(c, v), n), n), one);
		return;
	}
	v = into_borders(k, g, v, n);
	CgVal low = cg_floor(c, v), t = cg_sub(c, v, low), u = cg_sub(c, one, t), w[4];
	if (g->taps == 2) {
		w[0] = u;
		w[1] = t;
	} else {
		w[0] = cubic(k, cg_add(c, t, one), false);
		w[1] = cubic(k, t, true);
		w[2] = cubic(k, u, true);
		w[3] = cubic(k, cg_add(c, u, one), false);
	}
	for (int i = 0; i < g->taps; i++)
		store_tap(k, g, axis, i, pixel(k, g, cg_add(c, low, f64(k, i - (g->taps == 4))), n), w[i]);
}

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

/* The element of x at from, or 0 if a neighbour of it is outside: then from's places are not used. */
static CgVal value_at(Kg *k, const Grid *g, const CgAt *from)
{
	return ix_f64(k, g->n->in[0]->type.dtype, kg_elem(k, g->n->in[0], from));
}

/* Adds what the neighbours along axes a and on weigh; w, inside: of those before (NULL: none). */
static void add_taps(Kg *k, const Grid *g, int a, CgAt *from, CgVal w, CgVal inside, CgVar sum)
{
	Cg *c = kg_cg(k);
	if (a == g->axes) {
		CgVal v = cg_mul(c, cg_splat(c, w, from->lanes), value_at(k, g, from));
		v = cg_select(c, cg_splat(c, inside, from->lanes), v, cg_zero(c, cg_type(c, v)));
		cg_set(c, sum, cg_add(c, cg_get(c, sum), v));
		return;
	}
	CgVal t = cg_for(c, cg_idx(c, 0), cg_idx(c, g->taps), 1), at = cg_addi(c, t, (int64_t)a * g->taps), i = ix_load(k, g->idx, at);
	CgVal here = cg_cmp(c, CG_GE, i, cg_idx(c, 0)), by = cg_load(c, cg_t(CG_F64, 1), cg_at(c, CG_F64, g->w, at), 0);
	from->ix[2 + a] = cg_max(c, i, cg_idx(c, 0));
	add_taps(k, g, a + 1, from, w ? cg_mul(c, w, by) : by, inside ? cg_and(c, inside, here) : here, sum);
	cg_end(c);
}

/* Nearest moves the element as it is. */
static CgVal moved(Kg *k, const Grid *g, CgAt *from)
{
	Cg *c = kg_cg(k);
	CgVal inside = NULL;
	for (int a = 0; a < g->axes; a++) {
		CgVal i = ix_load(k, g->idx, cg_idx(c, a)), here = cg_cmp(c, CG_GE, i, cg_idx(c, 0));
		inside = inside ? cg_and(c, inside, here) : here;
		from->ix[2 + a] = cg_max(c, i, cg_idx(c, 0));
	}
	CgVal v = kg_elem(k, g->n->in[0], from);
	return cg_select(c, cg_splat(c, inside, from->lanes), v, cg_zero(c, cg_type(c, v)));
}

static CgVal rounded(Kg *k, WqDtype t, CgVal v)
{
	Cg *c = kg_cg(k);
	return wq_dtype_is_int(t) ? cg_to_int(c, v, kg_reg(t), wq_dtype_is_signed(t)) : ix_narrowed(k, t, v);
}

static void put_channel(Kg *k, const CgAt *channel, void *arg)
{
	Cg *c = kg_cg(k);
	Grid *g = arg;
	CgAt to = g->at, from = {.rank = to.rank, .lanes = channel->lanes, .axis = 1, .ix = {to.ix[0], channel->ix[0]}};
	to.ix[1] = channel->ix[0];
	to.lanes = channel->lanes;
	to.axis = 1;
	if (g->taps == 1) {
		kg_put(k, g->n, 0, &to, moved(k, g, &from));
		return;
	}
	CgVar sum = cg_var(c, cg_zero(c, cg_t(CG_F64, to.lanes)));
	add_taps(k, g, 0, &from, NULL, NULL, sum);
	kg_put(k, g->n, 0, &to, rounded(k, g->n->out[0]->type.dtype, cg_get(c, sum)));
}

/* at: the result's axes but for the channel. */
static void sample_place(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	Grid *g = arg;
	const WqValue *grid = g->n->in[1], *y = g->n->out[0];
	CgAt of = {.rank = grid->type.rank, .lanes = 1};
	g->at = (CgAt){.rank = y->type.rank, .lanes = 1};
	for (int a = 0; a <= g->axes; a++)
		g->at.ix[a ? a + 1 : 0] = of.ix[a] = at->ix[a];
	for (int a = 0; a < g->axes; a++) { /* the last axis' coordinate comes first */
		of.ix[g->axes + 1] = cg_idx(c, g->axes - 1 - a);
		CgVal v = kg_elem_f(k, grid, &of);
		find_taps(k, g, a, cg_type(c, v).kind == CG_F64 ? cg_fcast(c, v, CG_F32) : v);
	}
	int order[WQ_MAX_RANK];
	kg_order(k, y, order);
	CgVal channels = kg_size(k, y, 1);
	kg_inner_nest(k, 1, &channels, NULL, order[y->type.rank - 1] == 1 ? kg_lanes(k, WQ_F64) : 1, put_channel, g);
}

static Grid grid_of(const WqNode *n)
{
	static const char *const modes[] = {"nearest", "linear", "cubic"}, *const paddings[] = {"zeros", "border", "reflection"};
	return (Grid){.n = n, .axes = n->in[0]->type.rank - 2, .taps = 1 << ix_choose(n, "mode", 3, modes),
		.padding = (Padding)ix_choose(n, "padding_mode", 3, paddings), .corners = wq_attr_i(n, "align_corners") != 0};
}

static void grid_sample_kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	Grid g = grid_of(n);
	CgVal dim[WQ_MAX_RANK], some = cg_cmp(c, CG_GT, kg_count(k, n->in[0]), cg_idx(c, 0));
	g.idx = cg_stack(c, cg_index(c), (int64_t)g.axes * g.taps, 0);
	g.w = cg_stack(c, CG_F64, (int64_t)g.axes * g.taps, 0);
	dim[0] = cg_select(c, some, kg_size(k, n->out[0], 0), cg_idx(c, 0));
	for (int a = 0; a < g.axes; a++)
		dim[1 + a] = kg_size(k, n->out[0], 2 + a);
	kg_nest(k, 1 + g.axes, dim, NULL, 1, sample_place, &g);
}

static void grid_sample_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqType *x = &n->in[0]->type, *grid = &n->in[1]->type;
	CgVal zero = cg_idx(c, 0), empty = cg_cmp(c, CG_EQ, kg_count(k, n->in[0]), zero);
	ix_agree(k, x->dim[0], grid->dim[0]);
	ix_agree(k, grid->dim[x->rank - 1], x->rank - 2);
	kg_fault(k, cg_and(c, empty, cg_cmp(c, CG_GT, kg_count(k, n->out[0]), zero)), KG_EVALUE);
}

static const char *grid_sample_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	if (n->in[0]->type.rank > 8)
		return "more than 6 spatial axes";
	return wq_dtype_in(n->in[1]->type.dtype, WQ_M_FLOAT) ? NULL : "its grid is not of floats";
}

const WqEmit emit_grid_sample = {
	.kernel = grid_sample_kernel, .sizes = grid_sample_sizes, .refuse = grid_sample_refuse, .epilogue = true, .repeated = 1
};
