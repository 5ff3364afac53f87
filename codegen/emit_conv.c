/* emit_conv.c: Conv and ConvTranspose as register tiles.
 *
 * A tile's rows are places along one spatial axis of the result (its row axis), its vectors run along output channels; k runs over the
 * taps of the other axes, the taps of the row axis, and the input channels. x is read where it lies, by strides: nothing is copied.
 * What a tap would read outside x is left out: along the row axis by tiles of their own at both ends, whose taps know which rows they
 * serve; along the others by a test per tap.
 *
 * ConvTranspose gathers: the places of the result that are congruent modulo the stride (a phase) read x step by step with the same
 * taps, so a phase is a convolution of stride 1.
 */
#include "codegen/tiles.h"
#include "ir/window.h"

/* ---- the plan: what types and attributes decide -------------------------------------------------------------- */

typedef struct Plan {
	const WqNode *n;
	WqWindow w;               /* attributes only */
	int64_t group, cin, cout; /* channels of one group */
	int64_t taps;
	int axis;                 /* spatial axis along which a tile's rows lie */
	bool pointwise;           /* one tap, nothing skipped, nothing padded */
	bool depthwise;           /* lanes are channels of x too: told as one group of one input channel */
	bool by_column;           /* few output channels: weights are packed one channel after the other */
	bool dot;                 /* and x is channels-last: lanes are input channels, a vector is an output channel */
	GemmType type;
	int lanes;
	GemmShape shape;
} Plan;

static bool transposed(const WqNode *n) { return n->op == OP_ConvTranspose; }

/* The axis that rows of tiles run along: the last with places enough for a tile, else the longest. */
static int choose_axis(const WqType *y)
{
	int best = y->rank - 3;
	for (int d = y->rank - 3; d >= 0; d--) {
		WqDim a = y->dim[2 + d], b = y->dim[2 + best];
		if (wq_dim_static(b) && b < 7 && (!wq_dim_static(a) || a > b))
			best = d;
	}
	return best;
}

/* Is every output place the same place of x? Then all places are one row. */
static bool pointwise(const Plan *p)
{
	for (int d = 0; d < p->w.n; d++)
		if (p->w.kernel[d] != 1 || p->w.stride[d] != 1 || p->w.begin[d] || p->w.end[d])
			return false;
	return true;
}

static int64_t places(const Plan *p, const WqType *y)
{
	int64_t n = 1;
	for (int d = 0; d < p->w.n; d++)
		if ((p->pointwise || d == p->axis) && (n = wq_dim_static(y->dim[2 + d]) ? n * y->dim[2 + d] : -1) < 0)
			return -1;
	return transposed(p->n) ? (n + p->w.stride[p->axis] - 1) / p->w.stride[p->axis] : n;
}

/* Vectors of a tile that the output channels of a group make. */
static int64_t vectors(const Plan *p) { return p->dot ? p->cout : (p->cout + p->lanes - 1) / p->lanes; }

static int columns(const Plan *p) { return p->dot ? 1 : p->lanes; } /* of a vector */

static Plan plan(const WqTarget *t, const WqNode *n)
{
	const WqType *y = &n->out[0]->type, *w = &n->in[1]->type;
	Plan p = {.n = n, .group = wq_attr_i(n, "group"), .axis = choose_axis(y)};
	if (wq_window_attrs(n, w->rank - 2, w->dim + 2, &p.w))
		WQ_BUG("attributes of a convolution that was inferred");
	p.cout = (transposed(n) ? w->dim[1] * p.group : w->dim[0]) / p.group;
	p.cin = (transposed(n) ? w->dim[0] : w->dim[1] * p.group) / p.group;
	p.taps = 1;
	for (int d = 0; d < p.w.n; d++)
		p.taps *= p.w.kernel[d];
	p.pointwise = pointwise(&p);
	p.type = tile_type(y->dtype);
	p.lanes = gemm_lanes(t, p.type.acc);
	p.depthwise = p.cin == 1 && p.cout == 1 && p.group > 1 && !transposed(n);
	if (p.depthwise) {
		p.cout = p.group;
		p.group = 1;
	}
	p.by_column = !p.depthwise && p.lanes >= 4 && p.cout <= p.lanes / 4 && p.cin % p.lanes == 0 && n->in[1]->data;
	p.shape = p.depthwise ? (GemmShape){1, 1} : gemm_shape(t, p.type.acc, places(&p, y), vectors(&p), 0);
	return p;
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	for (int d = 0; d < n->in[1]->type.rank; d++)
		if (!wq_dim_static(n->in[1]->type.dim[d]))
			return "the sizes of its weights are not numbers";
	return NULL;
}

/* ---- packing: [group][panel][taps of other axes][taps of the row axis][cin][vecs][lanes] ------------------------- */

typedef struct Source {
	const WqPack *w;
	const char *data;
} Source;

enum { A_CIN, A_COUT, A_VECS, A_LANES, A_BYTES, A_GROUP, A_AXIS, A_TRANSPOSED, A_SPATIAL, A_KERNEL };

/* k counts taps in the order above, and channels innermost. */
static const void *element(const void *arg, int64_t k, int64_t col)
{
	const Source *s = arg;
	const int64_t *a = s->w->a, *kernel = a + A_KERNEL;
	int64_t ci = k % a[A_CIN], tap = k / a[A_CIN], ix[WQ_MAX_RANK], at;
	int axis = (int)a[A_AXIS], n = (int)a[A_SPATIAL];
	ix[axis] = tap % kernel[axis];
	tap /= kernel[axis];
	for (int d = n - 1; d >= 0; d--)
		if (d != axis) {
			ix[d] = tap % kernel[d];
			tap /= kernel[d];
		}
	at = a[A_TRANSPOSED] ? ci * a[A_COUT] + col : col * a[A_CIN] + ci;
	for (int d = 0; d < n; d++)
		at = at * kernel[d] + ix[d];
	return s->data + at * a[A_BYTES];
}

static GemmPanels panels(const Plan *p, int bytes)
{
	return (GemmPanels){p->taps * p->cin, p->cout, p->by_column ? 1 : p->shape.vecs, p->by_column ? 1 : p->lanes, bytes};
}

static void fill(const WqPack *w, const WqTensor *t, void *out)
{
	const int64_t *a = w->a;
	int64_t taps = 1;
	for (int d = 0; d < a[A_SPATIAL]; d++)
		taps *= a[A_KERNEL + d];
	GemmPanels p = {taps * a[A_CIN], a[A_COUT], (int)a[A_VECS], (int)a[A_LANES], (int)a[A_BYTES]};
	for (int64_t g = 0; g < a[A_GROUP]; g++) {
		Source s = {w, (const char *)t->data + g * p.depth * p.cols * p.bytes};
		gemm_pack(&p, element, &s, (char *)out + g * gemm_panels_bytes(&p));
	}
}

static bool packs(const Plan *p) { return p->n->in[1]->data && p->taps * p->cin * p->cout > 0 && p->w.n <= 6; }

static bool pack(const WqTarget *t, const WqNode *n, int i, WqPack *w)
{
	if (i != 1)
		return false;
	Plan p = plan(t, n);
	if (!packs(&p))
		return false;
	GemmPanels g = panels(&p, (int)wq_dtype_size(n->in[1]->type.dtype));
	int64_t a[] = {p.cin, p.cout, g.vecs, g.lanes, g.bytes, p.group, p.axis, transposed(n), p.w.n};
	memcpy(w->a, a, sizeof a);
	memcpy(w->a + A_KERNEL, p.w.kernel, (size_t)p.w.n * sizeof *w->a);
	w->bytes = wq_mul_checked(gemm_panels_bytes(&g), p.group, "packed weights");
	w->fill = fill;
	w->layout = "conv";
	return true;
}

/* ---- the kernel ------------------------------------------------------------------------------------------------- */

/* Places of the row axis that read x with the same taps: first, first + step, ...; tap j of place p is the kernel's element
 * kernel + j * kernel_step and reads x at p * stride + at + j * at_step. */
typedef struct Phase {
	CgVal first, count, taps, kernel, at;
	int64_t step, stride, kernel_step, at_step;
} Phase;

typedef struct Conv {
	Kg *k;
	Cg *c;
	Plan p;
	CgTensor x, w; /* w: where it is not packed */
	CgVal packed;
	CgVal begin[WQ_MAX_RANK], in[WQ_MAX_RANK], out[WQ_MAX_RANK]; /* of spatial axes */
	CgVal out_images;
	bool flat;        /* all places are one row: unit is the step from place to place in x */
	CgVal unit;
	Phase phase;
	CgAt at;          /* the line's place in the result: all but channel and row axis */
	CgVal group, first; /* the panel: its group and its first column there */
	CgVal base;       /* in x: image and channel */
	CgVal tap[WQ_MAX_RANK]; /* the kernel's element: of other axes */
	CgVal base_tap;   /* in x, with them */
	int vecs;         /* of the panel */
	bool part;
	enum { INSIDE, MASKED, CLIPPED } edge; /* all taps hit x; some, known now; some, tested when it runs */
	GemmTile tile;
	CgVal place;      /* of the tile's first row */
} Conv;

static CgVal spatial(const Conv *v, int d) { return v->x.stride[2 + d]; }

/* The panel's weights at v->tap of the other axes and element `kernel` of the row axis; k counts input channels. */
static GemmWeights weights_at(const Conv *v, CgVal kernel)
{
	Cg *c = v->c;
	const Plan *p = &v->p;
	GemmWeights w = {gemm_strided, p->type, p->lanes, .ptr = v->packed};
	CgKind mem = kg_mem(p->n->in[1]->type.dtype);
	CgVal at = cg_idx(c, 0);
	if (v->packed) {
		GemmPanels g = panels(p, 1);
		for (int d = 0; d < p->w.n; d++)
			if (d != p->axis)
				at = cg_add(c, cg_muli(c, at, p->w.kernel[d]), v->tap[d]);
		at = cg_muli(c, cg_add(c, cg_muli(c, at, p->w.kernel[p->axis]), kernel), p->cin * (p->by_column ? 1 : v->vecs * p->lanes));
		at = cg_add(c, at, cg_add(c, cg_muli(c, v->group, gemm_panels_bytes(&g)), cg_muli(c, v->first, g.depth)));
		w.ptr = cg_at(c, mem, w.ptr, at);
		w.load = p->dot ? gemm_columns : p->by_column ? gemm_strided : gemm_panel;
		w.step = cg_idx(c, 1);
		w.lane = cg_idx(c, g.depth);
		w.count = p->by_column && !p->dot ? cg_sub(c, cg_idx(c, p->cout), v->first) : NULL;
		return w;
	}
	int in = transposed(p->n) ? 0 : 1, out = !in;
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
	const Plan *p = &v->p;
	CgVal unit = v->flat ? v->unit : spatial(v, p->axis);
	GemmRows a = {p->depthwise || p->dot ? row_channels : gemm_row_splat, p->type, p->lanes, .first = first};
	GemmWeights w = weights_at(v, kernel);
	a.row = cg_muli(c, unit, v->phase.stride);
	a.step = p->cin == 1 && !p->depthwise ? cg_muli(c, unit, v->phase.at_step) : v->x.stride[1];
	a.ptr = cg_at(c, kg_mem(v->x.dtype), v->x.ptr, cg_add(c, v->base_tap, cg_mul(c, at, unit)));
	a.count = p->depthwise && v->part ? cg_sub(c, cg_idx(c, p->cout), v->first) : NULL;
	gemm_steps(&v->tile, mask, &a, &w, p->dot ? cg_divi(c, count, p->lanes) : count);
}

enum { MASKED_TAPS = 12, MASKED_DEPTH = 4 }; /* at most so many taps, of at least so many channels, are written out */

/* ---- taps of the row axis ------------------------------------------------------------------------------------------ */

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
	return v->p.cin == 1 || (v->packed && cg_const(v->x.stride[1], &channel) && cg_const(spatial(v, v->p.axis), &unit) &&
		v->phase.at_step * unit == v->p.cin * channel);
}

static void one_tap(Conv *v, CgVal j) { steps(v, UINT32_MAX, 0, tap_at(v, j), tap_kernel(v, j), cg_idx(v->c, v->p.cin)); }

/* Taps are a loop at run time, where written out side by side LLVM would keep what they share of x in registers that are not there.
 * Depthwise it pays: a vector of x serves every tap. */
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
static uint32_t hits(const Conv *v, int64_t place, int rows, int64_t j)
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
		uint32_t mask = hits(v, place, v->tile.rows, j);
		if (!mask)
			continue;
		int first = __builtin_ctz(mask);
		CgVal at = cg_addi(c, tap_at(v, cg_idx(c, j)), first * v->phase.stride);
		steps(v, mask, first, at, tap_kernel(v, cg_idx(c, j)), cg_idx(c, v->p.cin));
	}
}

/* ---- taps of the other axes ----------------------------------------------------------------------------------------- */

/* Does every tap of axis d hit x, whatever the place? */
static bool always_hits(const Conv *v, int d)
{
	int64_t begin, in, out;
	const WqWindow *w = &v->p.w;
	return !transposed(v->p.n) && cg_const(v->begin[d], &begin) && begin <= 0 && cg_const(v->in[d], &in) && cg_const(v->out[d], &out) &&
		(out - 1) * w->stride[d] - begin + (w->kernel[d] - 1) * w->dilation[d] < in;
}

/* Where x is read along axis d by element `kernel`; *hit: i1, or NULL if it always is. */
static CgVal position(const Conv *v, int d, CgVal kernel, CgVal *hit)
{
	Cg *c = v->c;
	const WqWindow *w = &v->p.w;
	CgVal o = v->at.ix[2 + d], by = cg_muli(c, kernel, w->dilation[d]), at;
	if (!transposed(v->p.n)) {
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
		other_taps(v, d + 1, cg_add(c, base, cg_mul(c, at, spatial(v, d))));
		if (hit)
			cg_end(c);
		cg_end(c);
	} else {
		v->base_tap = base;
		v->edge == INSIDE ? inside_taps(v) : v->edge == MASKED ? masked_taps(v) : clipped_taps(v);
	}
}

/* ---- tiles ------------------------------------------------------------------------------------------------------------ */

/* The panel's bias, one vector each (a scalar each of a dot product); false if there is none. */
static bool bias(const Conv *v, CgVal *init)
{
	Cg *c = v->c;
	const Plan *p = &v->p;
	const WqValue *b = p->n->n_in > 2 ? p->n->in[2] : NULL;
	int per = columns(p);
	for (int i = 0; b && i < v->vecs; i++) {
		CgVal col = cg_addi(c, v->first, (int64_t)i * per), count = v->part ? tile_columns(c, col, cg_idx(c, p->cout), per) : NULL;
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
	const Plan *p = &v->p;
	int per = columns(p);
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
			tile_put(v->k, p->n, &at, add ? cg_add(c, x, after[i]) : x, v->part ? tile_columns(c, col, cols, per) : NULL);
		}
	}
}

static void tile(void *arg, CgVal place, int rows)
{
	Conv *v = arg;
	CgVal init[GEMM_VECS];
	v->place = place;
	gemm_start(&v->tile, v->c, (GemmShape){rows, v->vecs}, cg_t(v->p.type.acc, v->p.lanes), !v->p.dot && bias(v, init) ? init : NULL);
	other_taps(v, 0, v->base);
	store(v);
}

/* ---- rows of tiles --------------------------------------------------------------------------------------------------------- */

static bool all_hit(const Conv *v, int64_t place, int rows, int64_t taps)
{
	for (int64_t j = 0; j < taps; j++)
		if (hits(v, place, rows, j) != (rows == 32 ? UINT32_MAX : (1u << rows) - 1))
			return false;
	return true;
}

/* Sizes are numbers: tiles whose taps miss are written out one by one, the others between them are a loop. */
static void known_row(Conv *v, int64_t count, int64_t taps)
{
	Cg *c = v->c;
	int64_t most = v->p.shape.rows;
	for (int64_t at = 0; at < count;) {
		int64_t end = at;
		while (end + most <= count && all_hit(v, end, (int)most, taps))
			end += most;
		v->edge = INSIDE;
		gemm_cover(c, cg_idx(c, at), cg_idx(c, end), 0, (int)most, tile, v);
		if (end < count) {
			int rows = (int)(count - end < most ? count - end : most);
			v->edge = all_hit(v, end, rows, taps) ? INSIDE : MASKED;
			tile(v, cg_idx(c, end), rows);
			end += rows;
		}
		at = end;
	}
}

/* In general: single places at both ends, tiles between them. */
static void any_row(Conv *v)
{
	Cg *c = v->c;
	const Phase *p = &v->phase;
	CgVal zero = cg_idx(c, 0), reach = cg_muli(c, cg_addi(c, p->taps, -1), p->at_step), low = p->at, high = p->at;
	if (p->at_step > 0)
		high = cg_add(c, high, reach);
	else
		low = cg_add(c, low, reach);
	CgVal left = tile_ceil_div(c, cg_max(c, cg_neg(c, low), zero), p->stride);
	CgVal right = tile_ceil_div(c, cg_max(c, cg_sub(c, v->in[v->p.axis], high), zero), p->stride);
	left = cg_min(c, left, p->count);
	right = cg_max(c, cg_min(c, right, p->count), left);
	v->edge = CLIPPED;
	gemm_cover(c, zero, left, 0, 1, tile, v);
	v->edge = INSIDE;
	gemm_cover(c, left, right, -1, v->p.shape.rows, tile, v);
	v->edge = CLIPPED;
	gemm_cover(c, right, p->count, 0, 1, tile, v);
}

static void row(Conv *v)
{
	int64_t count, taps, at, in;
	bool known = cg_const(v->phase.count, &count) && cg_const(v->phase.taps, &taps) && cg_const(v->phase.at, &at) &&
		cg_const(v->in[v->p.axis], &in);
	if (known && taps <= MASKED_TAPS && (v->p.depthwise || v->p.cin >= MASKED_DEPTH))
		known_row(v, count, taps);
	else
		any_row(v);
}

/* ---- phases ------------------------------------------------------------------------------------------------------------------ */

static void whole_row(Conv *v)
{
	const Plan *p = &v->p;
	Cg *c = v->c;
	v->phase = (Phase){
		.first = cg_idx(c, 0), .step = 1, .count = v->out[p->axis], .stride = p->w.stride[p->axis],
		.taps = cg_idx(c, p->w.kernel[p->axis]), .kernel = cg_idx(c, 0), .kernel_step = 1,
		.at = cg_neg(c, v->begin[p->axis]), .at_step = p->w.dilation[p->axis],
	};
	row(v);
}

static int64_t common(int64_t a, int64_t b) { return b ? common(b, a % b) : a; }

/* The taps of a phase: elements of the kernel with element * dilation = phase modulo the stride. A phase may have none. */
static void phase_taps(Conv *v, CgVal phase, CgVal *shift)
{
	Cg *c = v->c;
	const WqWindow *w = &v->p.w;
	int d = v->p.axis;
	int64_t stride = w->stride[d], dilation = w->dilation[d], shared = common(stride, dilation), number, tap = 0;
	v->phase.kernel_step = stride / shared;
	v->phase.at_step = -dilation / shared;
	if (!cg_const(phase, &number)) { /* dilation 1 */
		v->phase.kernel = phase;
		v->phase.taps = tile_ceil_div(c, cg_max(c, cg_sub(c, cg_idx(c, w->kernel[d]), phase), cg_idx(c, 0)), stride);
		*shift = cg_idx(c, 0);
		return;
	}
	while (tap < v->phase.kernel_step && (tap * dilation - number) % stride != 0)
		tap++;
	bool any = tap < v->phase.kernel_step && tap < w->kernel[d];
	v->phase.kernel = cg_idx(c, any ? tap : 0);
	v->phase.taps = cg_idx(c, any ? (w->kernel[d] - tap + v->phase.kernel_step - 1) / v->phase.kernel_step : 0);
	*shift = cg_idx(c, any ? (number - tap * dilation) / stride : 0);
}

/* The places o with (o + begin) = phase modulo the stride. */
static void one_phase(Conv *v, CgVal phase)
{
	Cg *c = v->c;
	int d = v->p.axis;
	int64_t stride = v->p.w.stride[d];
	CgVal by = cg_idx(c, stride), shift;
	CgVal begun = cg_srem(c, cg_add(c, cg_srem(c, v->begin[d], by), by), by); /* 0 .. stride - 1 */
	CgVal first = cg_urem(c, cg_sub(c, cg_add(c, phase, by), begun), by);
	v->phase = (Phase){.first = first, .step = stride, .stride = 1};
	phase_taps(v, phase, &shift);
	v->phase.count = tile_ceil_div(c, cg_max(c, cg_sub(c, v->out[d], first), cg_idx(c, 0)), stride);
	v->phase.at = cg_add(c, cg_sdiv(c, cg_sub(c, cg_add(c, first, v->begin[d]), phase), by), shift);
	row(v);
}

enum { PHASES = 8 }; /* that are written out, each with its own tiles */

static void all_phases(Conv *v)
{
	Cg *c = v->c;
	int64_t stride = v->p.w.stride[v->p.axis];
	if (stride > PHASES && v->p.w.dilation[v->p.axis] == 1) {
		CgVal phase = cg_for(c, cg_idx(c, 0), cg_idx(c, stride), 1);
		one_phase(v, phase);
		cg_end(c);
	} else {
		for (int64_t i = 0; i < stride; i++)
			one_phase(v, cg_idx(c, i));
	}
}

/* ---- lines, panels, pieces of work --------------------------------------------------------------------------------------------- */

/* Line `line` of the result: an image and a place of the other axes, or a chunk of an image's places. */
static void line(Conv *v, CgVal number, int64_t chunk, CgVal chunks)
{
	Cg *c = v->c;
	const Plan *p = &v->p;
	CgVal lo = NULL, hi = NULL, channel = cg_muli(c, v->group, p->cin);
	if (v->flat) {
		lo = cg_muli(c, cg_urem(c, number, chunks), chunk);
		hi = cg_min(c, cg_addi(c, lo, chunk), v->phase.count);
		number = cg_udiv(c, number, chunks);
	} else {
		for (int d = p->w.n - 1; d >= 0; d--)
			if (d != p->axis) {
				v->at.ix[2 + d] = cg_urem(c, number, v->out[d]);
				number = cg_udiv(c, number, v->out[d]);
			}
	}
	v->at.ix[0] = number;
	if (p->depthwise)
		channel = v->first;
	v->base = cg_add(c, cg_mul(c, number, v->x.stride[0]), cg_mul(c, channel, v->x.stride[1]));
	if (v->flat) {
		int64_t count, rest = cg_const(v->phase.count, &count) ? count % p->shape.rows : -1;
		v->edge = INSIDE;
		gemm_cover(c, lo, hi, rest, p->shape.rows, tile, v);
	} else if (transposed(p->n)) {
		all_phases(v);
	} else {
		whole_row(v);
	}
}

typedef struct Work { /* pieces: [block of lines][group][panel] */
	CgVal lines, panels, chunks;
	int64_t block, chunk;
} Work;

static void lines(Conv *v, const Work *w, CgVal block, int vecs, bool part)
{
	Cg *c = v->c;
	CgVal lo = cg_muli(c, block, w->block), hi = cg_min(c, cg_addi(c, lo, w->block), w->lines);
	v->vecs = vecs;
	v->part = part;
	CgVal i = cg_for(c, lo, hi, 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	line(v, i, w->chunk, w->chunks);
	cg_end(c);
}

static int64_t panels_per_group(const Plan *p) { return (vectors(p) + p->shape.vecs - 1) / p->shape.vecs; }

static void piece(Conv *v, const Work *w, CgVal number)
{
	Cg *c = v->c;
	const Plan *p = &v->p;
	GemmPanels g = panels(p, 1);
	int64_t width = (int64_t)p->shape.vecs * columns(p), whole = p->cout / width, per_group = panels_per_group(p);
	bool part = p->cout % columns(p) != 0;
	CgVal block = cg_udiv(c, number, w->panels), panel = cg_urem(c, number, w->panels), in_group = cg_urem(c, panel, cg_idx(c, per_group));
	v->group = cg_divi(c, panel, per_group);
	v->first = cg_muli(c, in_group, width);
	if (whole == per_group) {
		lines(v, w, block, p->shape.vecs, false);
	} else if (!whole) {
		lines(v, w, block, gemm_last_vecs(&g), part);
	} else {
		cg_if(c, cg_cmp(c, CG_LT, in_group, cg_idx(c, whole)));
		lines(v, w, block, p->shape.vecs, false);
		cg_else(c);
		lines(v, w, block, gemm_last_vecs(&g), part);
		cg_end(c);
	}
}

/* ---- geometry -------------------------------------------------------------------------------------------------------------------- */

/* Half of the padding that comes first; upper: the odd one at the end. */
static CgVal share_begin(Cg *c, CgVal total, bool upper)
{
	total = cg_max(c, total, cg_idx(c, 0));
	return cg_divi(c, upper ? total : cg_addi(c, total, 1), 2);
}

static CgVal begin_of(const Conv *v, int d)
{
	Cg *c = v->c;
	const WqNode *n = v->p.n;
	const WqWindow *w = &v->p.w;
	const char *mode = wq_attr_s(n, "auto_pad");
	bool same = !strncmp(mode, "SAME", 4), upper = !strcmp(mode, "SAME_UPPER");
	int64_t extent = wq_window_extent(w, d);
	int given = 0, extra = 0;
	if (transposed(n)) {
		const int64_t *pad = wq_attr_ints(n, "output_padding", &extra);
		wq_attr_ints(n, "output_shape", &given);
		int64_t rest = extent - w->stride[d] + (extra ? pad[d] : 0);
		if (given || same)
			return share_begin(c, cg_sub(c, cg_addi(c, cg_muli(c, v->in[d], w->stride[d]), rest), v->out[d]), upper);
	} else if (same) {
		CgVal need = cg_addi(c, cg_muli(c, cg_addi(c, v->out[d], -1), w->stride[d]), extent);
		return share_begin(c, cg_sub(c, need, v->in[d]), upper);
	}
	return cg_idx(c, strcmp(mode, "VALID") ? w->begin[d] : 0);
}

/* Do all places of an image lie in x at equal steps? */
static bool flatten(Conv *v)
{
	int64_t step, size, run = 0;
	bool first = true;
	if (!v->p.pointwise || v->p.w.n < 1)
		return false;
	v->unit = spatial(v, v->p.w.n - 1);
	for (int d = v->p.w.n - 1; d >= 0; d--) {
		if (!cg_const(v->in[d], &size) || !tile_is(v->out[d], size) || !tile_is(v->begin[d], 0))
			return v->p.w.n == 1 && !transposed(v->p.n) && tile_is(v->begin[d], 0);
		if (size == 1)
			continue;
		if (!cg_const(spatial(v, d), &step) || (!first && step != run))
			return false;
		if (first)
			v->unit = spatial(v, d);
		first = false;
		run = step * size;
	}
	return true;
}

/* A tile's shape, now that strides are known. */
static void settle_rows(Conv *v, const WqTarget *t)
{
	Cg *c = v->c;
	Plan *p = &v->p;
	int64_t count = -1, step = transposed(p->n) ? p->w.stride[p->axis] : 1;
	v->phase = (Phase){.first = cg_idx(c, 0), .count = v->out[p->axis], .taps = cg_idx(c, 1), .kernel = cg_idx(c, 0), .at = cg_idx(c, 0)};
	v->phase.step = v->phase.stride = v->phase.kernel_step = v->phase.at_step = 1;
	for (int d = 0; v->flat && d < p->w.n; d++)
		v->phase.count = d ? cg_mul(c, v->phase.count, v->out[d]) : v->out[d];
	if (cg_const(v->phase.count, &count))
		count = (count + step - 1) / step;
	p->dot = p->by_column && tile_is(v->x.stride[1], 1);
	if (p->depthwise) /* loads of x serve several taps: few enough rows that they stay in registers */
		p->shape.rows = count >= 0 && count < t->vector_regs / 4 ? (count ? (int)count : 1) : t->vector_regs / 4;
	else
		p->shape = gemm_shape(t, p->type.acc, count, vectors(p), p->by_column ? (int)vectors(p) : p->shape.vecs);
}

/* How many lines, and how large a piece: what it reads of x should stay in the second cache while one panel after the other is done. */
static Work divide(Conv *v)
{
	Cg *c = v->c;
	const Plan *p = &v->p;
	const WqTarget *t = cg_target(c);
	Work w = {.lines = v->out[p->axis], .panels = cg_idx(c, p->group * panels_per_group(p)), .chunks = cg_idx(c, 1), .block = 1};
	int64_t bytes = cg_kind_bytes(c, kg_mem(v->x.dtype)), row = 4096, rows = 1, place = bytes * p->cin * p->group;
	if (p->depthwise)
		place = bytes * p->lanes;
	if (v->flat) {
		w.chunk = t->l2 / 4 / place / p->shape.rows * p->shape.rows;
		if (w.chunk < 4 * p->shape.rows)
			w.chunk = 4 * p->shape.rows;
		w.chunks = tile_ceil_div(c, v->phase.count, w.chunk);
		w.lines = cg_mul(c, v->out_images, w.chunks);
		return w;
	}
	w.lines = v->out_images;
	for (int d = 0; d < p->w.n; d++)
		if (d != p->axis) {
			w.lines = cg_mul(c, w.lines, v->out[d]);
			if (cg_const(v->out[d], &rows))
				w.block = w.block * rows;
		}
	cg_const(v->in[p->axis], &row);
	int64_t fit = t->l2 / 4 / (row * place + 1);
	if (w.block > fit)
		w.block = fit;
	if (!t->bare_metal && cg_const(w.lines, &rows) && w.block > (rows + 7) / 8) /* for threads */
		w.block = (rows + 7) / 8;
	if (w.block < 1)
		w.block = 1;
	return w;
}

static void kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqTarget *t = cg_target(c);
	Conv v = {.k = k, .c = c, .p = plan(t, n), .x = tile_tensor(k, n->in[0]), .at = {.rank = n->out[0]->type.rank}};
	Plan *p = &v.p;
	if (packs(p))
		v.packed = kg_packed(k, 1);
	else
		v.w = tile_tensor(k, n->in[1]);
	for (int d = 0; d < p->w.n; d++) {
		v.in[d] = kg_size(k, n->in[0], 2 + d);
		v.out[d] = kg_size(k, n->out[0], 2 + d);
		v.begin[d] = begin_of(&v, d);
	}
	v.out_images = kg_size(k, n->out[0], 0);
	v.flat = flatten(&v);
	settle_rows(&v, t);
	Work w = divide(&v);
	CgVal pieces = cg_mul(c, tile_ceil_div(c, w.lines, w.block), w.panels), lo, hi;
	kg_share(k, pieces, &lo, &hi);
	CgVal i = cg_for(c, lo, hi, 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	piece(&v, &w, i);
	cg_end(c);
}

const WqEmit emit_conv = {
	.kernel = kernel,
	.epilogue = true,
	.direct = 3,
	.pack = pack,
	.refuse = refuse,
};

const WqEmit emit_conv_transpose = {
	.kernel = kernel,
	.epilogue = true,
	.direct = 3,
	.pack = pack,
	.refuse = refuse,
};
