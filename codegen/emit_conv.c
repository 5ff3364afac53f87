/* emit_conv.c: Conv and ConvTranspose as register tiles.
 *
 * A tile's rows are places along one spatial axis of the result (its row axis), its vectors run along output
 * channels; k runs over the taps of the other axes, the taps of the row axis, and the input channels. x is read
 * where it lies, by strides: nothing is copied. What a tap would read outside x is left out: along the row axis by
 * tiles of their own at both ends, whose taps know which rows they serve; along the others by a test per tap.
 *
 * ConvTranspose gathers: the places of the result that are congruent modulo the stride (a phase) read x step by step
 * with the same taps, so a phase is a convolution of stride 1.
 */
#include "codegen/conv.h"

/* ---- lines, panels, pieces of work --------------------------------------------------------------------------- */

/* Line `line` of the result: an image and a place of the other axes, or a chunk of an image's places. */
static void line(Conv *v, CgVal number, int64_t chunk, CgVal chunks)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
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
		gemm_cover(c, lo, hi, rest, p->shape.rows, conv_tile, v);
	} else {
		conv_row(v);
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

static int64_t panels_per_group(const ConvPlan *p) { return (conv_vectors(p) + p->shape.vecs - 1) / p->shape.vecs; }

static void piece(Conv *v, const Work *w, CgVal number)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
	GemmPanels g = conv_panels(p, 1);
	int64_t width = (int64_t)p->shape.vecs * conv_columns(p), whole = p->cout / width, per_group = panels_per_group(p);
	bool part = p->cout % conv_columns(p) != 0;
	CgVal block = cg_udiv(c, number, w->panels), panel = cg_urem(c, number, w->panels);
	CgVal in_group = cg_urem(c, panel, cg_idx(c, per_group));
	v->group = cg_divi(c, panel, per_group);
	v->first = cg_muli(c, in_group, width);
	if (whole == per_group) {
		lines(v, w, block, p->shape.vecs, false);
	} else if (!whole) {
		v->first = cg_idx(c, 0);
		lines(v, w, block, gemm_last_vecs(&g), part);
	} else {
		cg_if(c, cg_cmp(c, CG_LT, in_group, cg_idx(c, whole)));
		lines(v, w, block, p->shape.vecs, false);
		cg_else(c);
		v->first = cg_idx(c, whole * width);
		lines(v, w, block, gemm_last_vecs(&g), part);
		cg_end(c);
	}
}

/* How many lines, and how large a piece: what it reads of x should stay in the second cache while one panel after
 * the other is done. */
static Work divide(Conv *v)
{
	Cg *c = v->c;
	const ConvPlan *p = &v->p;
	const WqTarget *t = cg_target(c);
	Work w = {.lines = v->out_images, .chunks = cg_idx(c, 1), .block = 1};
	w.panels = cg_idx(c, p->group * panels_per_group(p));
	int64_t bytes = cg_kind_bytes(c, kg_mem(v->x.dtype)), row = 4096, rows = 1, tile = p->shape.rows;
	int64_t place = bytes * (p->depthwise ? p->lanes : p->cin * p->group) + 1; /* bytes of x, about */
	if (v->flat) {
		w.chunk = t->l2 / 4 / place / tile * tile;
		if (w.chunk < 4 * tile)
			w.chunk = 4 * tile;
		w.chunks = tile_ceil_div(c, v->phase.count, w.chunk);
		w.lines = cg_mul(c, v->out_images, w.chunks);
		return w;
	}
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
	Conv v = {.k = k, .c = c, .p = conv_plan(t, n), .x = tile_tensor(k, n->in[0])};
	v.at.rank = n->out[0]->type.rank;
	ConvPlan *p = &v.p;
	if (conv_packs(p))
		v.packed = kg_packed(k, 1);
	else
		v.w = tile_tensor(k, n->in[1]);
	for (int d = 0; d < p->w.n; d++) {
		v.in[d] = kg_size(k, n->in[0], 2 + d);
		v.out[d] = kg_size(k, n->out[0], 2 + d);
		v.begin[d] = conv_begin(&v, d);
	}
	v.out_images = kg_size(k, n->out[0], 0);
	v.flat = conv_flatten(&v);
	conv_settle(&v, t);
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
	.pack = conv_pack,
	.refuse = conv_refuse,
};

const WqEmit emit_conv_transpose = {
	.kernel = kernel,
	.epilogue = true,
	.direct = 3,
	.pack = conv_pack,
	.refuse = conv_refuse,
};
