/* conv_tile.c: one tile of a convolution: the loops over taps, and what is stored. */
#include "codegen/conv.h"

/* The panel's weights at v->tap of the other axes and element `kernel` of the row axis; k counts input channels. */
static GemmWeights weights_at(const Conv *v, CgVal kernel)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
	GemmWeights w = {gemm_strided, p->type, p->lanes, .ptr = v->packed};
	CgKind mem = kg_mem(p->n->in[1]->type.dtype);
	CgVal at = cg_idx(c, 0);
	if (v->packed) {
		GemmPanels g = conv_panels(p, 1);
		for (int d = 0; d < p->w.n; d++)
			if (d != p->axis)
				at = cg_add(c, cg_muli(c, at, p->w.kernel[d]), v->tap[d]);
		int64_t width = p->by_column ? 1 : (int64_t)v->vecs * p->lanes;
		at = cg_muli(c, cg_add(c, cg_muli(c, at, p->w.kernel[p->axis]), kernel), p->cin * width);
		at = cg_add(c, at, cg_add(c, cg_muli(c, v->group, gemm_panels_bytes(&g)), cg_muli(c, v->first, g.depth)));
		w.ptr = cg_at(c, mem, w.ptr, at);
		w.load = p->dot ? gemm_columns : p->by_column ? gemm_strided : gemm_panel;
		w.step = cg_idx(c, 1);
		w.lane = cg_idx(c, g.depth);
		w.count = p->by_column && !p->dot ? cg_sub(c, cg_idx(c, p->cout), v->first) : NULL;
		return w;
	}
	int in = conv_transposed(p->n) ? 0 : 1, out = !in;
	for (int d = 0; d < p->w.n; d++)
		at = cg_add(c, at, cg_mul(c, d == p->axis ? kernel : v->tap[d], v->w.stride[2 + d]));
	at = cg_add(c, at, cg_mul(c, cg_muli(c, v->group, out == 0 ? p->cout : p->cin), v->w.stride[0]));
	w.step = v->w.stride[p->cin == 1 ? 2 + p->axis : in];
	w.lane = v->w.stride[out];
	w.ptr = cg_at(c, mem, v->w.ptr, cg_add(c, at, cg_mul(c, v->first, w.lane)));
	w.count = v->part ? cg_sub(c, cg_idx(c, p->cout), v->first) : NULL;
	return w;
}

/* A row's element is a vector of channels. */
static CgVal row_channels(const GemmRows *a, Cg *c, int row, CgVal k)
{
	GemmWeights w = {gemm_strided, a->type, a->lanes, .step = a->step, .lane = a->step, .count = a->count};
	CgVal v;
	CgVal at = cg_add(c, cg_muli(c, a->row, row - a->first), cg_mul(c, cg_muli(c, k, a->lanes), a->step));
	w.ptr = cg_at(c, gemm_bits(a->type), a->ptr, at);
	gemm_strided(&w, c, cg_idx(c, 0), 1, &v);
	return v;
}

/* Adds the products of `count` elements along k, from position `at` of x's row axis for row `first` on. */
static void steps(Conv *v, uint32_t mask, int first, CgVal at, CgVal kernel, CgVal count)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
	CgVal unit = v->flat ? v->unit : conv_stride(v, p->axis);
	GemmRows a = {p->depthwise || p->dot ? row_channels : gemm_row_splat, p->type, p->lanes, .first = first};
	GemmWeights w = weights_at(v, kernel);
	a.row = cg_muli(c, unit, v->phase.stride);
	a.step = p->cin == 1 && !p->depthwise ? cg_muli(c, unit, v->phase.at_step) : v->x.stride[1];
	a.ptr = cg_at(c, kg_mem(v->x.dtype), v->x.ptr, cg_add(c, v->base_tap, cg_mul(c, at, unit)));
	a.count = p->depthwise && v->part ? cg_sub(c, cg_idx(c, p->cout), v->first) : NULL;
	gemm_steps(&v->tile, mask, &a, &w, p->dot ? cg_divi(c, count, p->lanes) : count);
}

/* ---- taps of the row axis ------------------------------------------------------------------------------------ */

static CgVal tap_at(const Conv *v, CgVal j)
{
	Cg *c = v->c;
	CgVal place = cg_add(c, cg_muli(c, v->place, v->phase.stride), v->phase.at);
	return cg_add(c, place, cg_muli(c, j, v->phase.at_step));
}

static CgVal tap_kernel(const Conv *v, CgVal j)
{
	return cg_add(v->c, v->phase.kernel, cg_muli(v->c, j, v->phase.kernel_step));
}

/* Do taps follow each other in x as channels do, so that both are one run of k? */
static bool runs_on(const Conv *v)
{
	int64_t channel, unit;
	if (v->phase.kernel_step != 1 || v->phase.at_step < 1 || v->p.depthwise)
		return false;
	if (v->p.cin == 1)
		return true;
	return v->packed && cg_const(v->x.stride[1], &channel) && cg_const(conv_stride(v, v->p.axis), &unit) &&
		v->phase.at_step * unit == v->p.cin * channel;
}

static void one_tap(Conv *v, CgVal j)
{
	steps(v, UINT32_MAX, 0, tap_at(v, j), tap_kernel(v, j), cg_idx(v->c, v->p.cin));
}

/* Taps are a loop at run time, where written out side by side LLVM would keep what they share of x in registers that
 * are not there. Depthwise it pays: a vector of x serves every tap. */
static void inside_taps(Conv *v)
{
	Cg *c = v->c;
	CgVal zero = cg_idx(c, 0);
	int64_t n;
	if (v->flat || runs_on(v)) {
		steps(v, UINT32_MAX, 0, tap_at(v, zero), tap_kernel(v, zero), cg_muli(c, v->phase.taps, v->p.cin));
	} else if (v->p.depthwise && cg_const(v->phase.taps, &n) && n <= MASKED_TAPS) {
		for (int64_t j = 0; j < n; j++)
			one_tap(v, cg_idx(c, j));
	} else {
		CgVal j = cg_for(c, zero, v->phase.taps, 1);
		cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
		one_tap(v, j);
		cg_end(c);
	}
}

/* One row: the run of taps that hit x. */
static void clipped_run(Conv *v)
{
	Cg *c = v->c;
	int64_t step = v->phase.at_step;
	CgVal zero = cg_idx(c, 0), at = tap_at(v, zero);
	CgVal lo = tile_ceil_div(c, cg_max(c, cg_neg(c, at), zero), step);
	CgVal hi = tile_ceil_div(c, cg_max(c, cg_sub(c, v->in[v->p.axis], at), zero), step);
	lo = cg_min(c, lo, v->phase.taps);
	hi = cg_max(c, cg_min(c, hi, v->phase.taps), lo);
	steps(v, UINT32_MAX, 0, tap_at(v, lo), tap_kernel(v, lo), cg_muli(c, cg_sub(c, hi, lo), v->p.cin));
}

/* One row; what its taps hit is tested. */
static void clipped_taps(Conv *v)
{
	Cg *c = v->c;
	if (runs_on(v)) {
		clipped_run(v);
		return;
	}
	CgVal j = cg_for(c, cg_idx(c, 0), v->phase.taps, 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	cg_if(c, cg_cmp(c, CG_ULT, tap_at(v, j), v->in[v->p.axis]));
	one_tap(v, j);
	cg_end(c);
	cg_end(c);
}

/* The rows of a tile at a known place for which tap j hits x. */
uint32_t conv_hits(const Conv *v, int64_t place, int rows, int64_t j)
{
	int64_t at, in;
	uint32_t mask = 0;
	if (!cg_const(v->phase.at, &at) || !cg_const(v->in[v->p.axis], &in))
		return 0;
	for (int r = 0; r < rows; r++) {
		int64_t x = (place + r) * v->phase.stride + at + j * v->phase.at_step;
		mask |= (uint32_t)(x >= 0 && x < in) << r;
	}
	return mask;
}

static void masked_taps(Conv *v)
{
	Cg *c = v->c;
	int64_t n = 0, place = 0;
	cg_const(v->phase.taps, &n);
	cg_const(v->place, &place);
	for (int64_t j = 0; j < n; j++) {
		uint32_t mask = conv_hits(v, place, v->tile.rows, j);
		if (!mask)
			continue;
		int first = __builtin_ctz(mask);
		CgVal at = cg_addi(c, tap_at(v, cg_idx(c, j)), first * v->phase.stride);
		steps(v, mask, first, at, tap_kernel(v, cg_idx(c, j)), cg_idx(c, v->p.cin));
	}
}

/* ---- taps of the other axes ---------------------------------------------------------------------------------- */

/* Does every tap of axis d hit x, whatever the place? */
static bool always_hits(const Conv *v, int d)
{
	int64_t begin, in, out;
	const WqWindow *w = &v->p.w;
	if (conv_transposed(v->p.n) || !cg_const(v->begin[d], &begin))
		return false;
	return begin <= 0 && cg_const(v->in[d], &in) && cg_const(v->out[d], &out) &&
		(out - 1) * w->stride[d] - begin + (w->kernel[d] - 1) * w->dilation[d] < in;
}

/* Where x is read along axis d by element `kernel`; *hit: i1, or NULL if it always is. */
static CgVal position(const Conv *v, int d, CgVal kernel, CgVal *hit)
{
	Cg *c = v->c;
	const WqWindow *w = &v->p.w;
	CgVal o = v->at.ix[2 + d], by = cg_muli(c, kernel, w->dilation[d]), at;
	if (!conv_transposed(v->p.n)) {
		at = cg_sub(c, cg_add(c, cg_muli(c, o, w->stride[d]), by), v->begin[d]);
		*hit = always_hits(v, d) ? NULL : cg_cmp(c, CG_ULT, at, v->in[d]);
		return at;
	}
	/* what lies before x wraps around to beyond it */
	CgVal from = cg_sub(c, cg_add(c, o, v->begin[d]), by), stride = cg_idx(c, w->stride[d]);
	at = cg_udiv(c, from, stride);
	*hit = cg_and(c, cg_cmp(c, CG_EQ, cg_urem(c, from, stride), cg_idx(c, 0)), cg_cmp(c, CG_ULT, at, v->in[d]));
	return at;
}

/* Taps of the other axes from d on; base: what those before make of x's address. */
static void other_taps(Conv *v, int d, CgVal base)
{
	Cg *c = v->c;
	if (d < v->p.w.n && (v->flat || d == v->p.axis)) {
		v->tap[d] = cg_idx(c, 0);
		other_taps(v, d + 1, base);
	} else if (d < v->p.w.n) {
		CgVal hit;
		v->tap[d] = cg_for(c, cg_idx(c, 0), cg_idx(c, v->p.w.kernel[d]), 1);
		cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
		CgVal at = position(v, d, v->tap[d], &hit);
		if (hit)
			cg_if(c, hit);
		other_taps(v, d + 1, cg_add(c, base, cg_mul(c, at, conv_stride(v, d))));
		if (hit)
			cg_end(c);
		cg_end(c);
	} else {
		v->base_tap = base;
		v->edge == INSIDE ? inside_taps(v) : v->edge == MASKED ? masked_taps(v) : clipped_taps(v);
	}
}

/* ---- tiles --------------------------------------------------------------------------------------------------- */

/* The panel's bias, one vector each (a scalar each of a dot product); false if there is none. */
static bool bias(const Conv *v, CgVal *init)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
	const WqValue *b = p->n->n_in > 2 ? p->n->in[2] : NULL;
	int per = conv_columns(p);
	for (int i = 0; b && i < v->vecs; i++) {
		CgVal col = cg_addi(c, v->first, (int64_t)i * per);
		CgVal count = v->part ? tile_columns(c, col, cg_idx(c, p->cout), per) : NULL;
		CgAt at = {.rank = 1, .ix = {cg_add(c, cg_muli(c, v->group, p->cout), col)}, .lanes = per, .axis = 0};
		CgVal x = kg_arith(v->k, b->type.dtype, count ? kg_elem_part(v->k, b, &at, count) : kg_elem(v->k, b, &at));
		init[i] = cg_is_float(p->type.acc) ? x : cg_resize(c, x, p->type.acc, p->type.sign);
	}
	return b != NULL;
}

/* The result's index of row r. */
static void set_row(const Conv *v, CgAt *at, int r)
{
	Cg *c = v->c;
	CgVal place = cg_addi(c, v->place, r);
	if (!v->flat) {
		at->ix[2 + v->p.axis] = cg_add(c, cg_muli(c, place, v->phase.step), v->phase.first);
		return;
	}
	for (int d = v->p.w.n - 1; d > 0; d--) {
		at->ix[2 + d] = cg_urem(c, place, v->out[d]);
		place = cg_udiv(c, place, v->out[d]);
	}
	at->ix[2] = place;
}

static void store(Conv *v)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
	int per = conv_columns(p);
	CgVal cols = cg_idx(c, p->cout), channel = cg_muli(c, v->group, p->cout), after[GEMM_VECS];
	bool add = p->dot && bias(v, after);
	for (int r = 0; r < v->tile.rows; r++) {
		CgAt at = v->at;
		set_row(v, &at, r);
		for (int i = 0; i < v->vecs; i++) {
			CgVal col = cg_addi(c, v->first, (int64_t)i * per), x = gemm_result(&v->tile, r, i);
			at.axis = 1;
			at.ix[1] = cg_add(c, channel, col);
			if (p->dot)
				x = cg_hsum(c, x);
			if (add)
				x = cg_add(c, x, after[i]);
			tile_put(v->k, p->n, &at, x, v->part ? tile_columns(c, col, cols, per) : NULL);
		}
	}
}

void conv_tile(void *arg, CgVal place, int rows)
{
	Conv *v = arg;
	CgVal init[GEMM_VECS];
	v->place = place;
	bool from = !v->p.dot && bias(v, init);
	gemm_start(&v->tile, v->c, (GemmShape){rows, v->vecs}, cg_t(v->p.type.acc, v->p.lanes), from ? init : NULL);
	other_taps(v, 0, v->base);
	store(v);
}
