/* emit_boxes.c: RoiAlign, MaxRoiPool, NonMaxSuppression. */
#include <math.h>

#include "codegen/index.h"

static CgVal f64(Kg *k, double v) { return cg_float(kg_cg(k), cg_t(CG_F64, 1), v); }

/* Element (r, i) of the boxes. */
static CgVal box_number(Kg *k, const WqValue *rois, CgVal r, int i)
{
	CgAt at = ix_zero(k, 2);
	at.ix[0] = r;
	at.ix[1] = cg_idx(kg_cg(k), i);
	return ix_f64(k, rois->type.dtype, kg_elem(k, rois, &at));
}

static CgVal as_f64(Kg *k, CgVal i) { return cg_to_float(kg_cg(k), i, CG_F64, true); }
static CgVal as_index(Kg *k, CgVal v) { return cg_to_int(kg_cg(k), v, cg_index(kg_cg(k)), true); }

/* ---- RoiAlign -----------------------------------------------------------------------------------------------------
 * A bin's samples one after the other, each for all channels: their sums (or largest) stand in scratch.
 */
typedef struct Align {
	const WqNode *n;
	bool avg;
	CgVal sum, channels, first; /* of f64; how many; whether no neighbour has been seen */
	CgVal batch, gh, gw;
	CgVal y0, x0, step_y, step_x; /* the bin's first sample, and from sample to sample */
} Align;

static void find_bin(Kg *k, Align *a, const CgAt *at)
{
	Cg *c = kg_cg(k);
	const WqNode *n = a->n;
	double scale = wq_attr_f(n, "spatial_scale"), off = wq_attr_i(n, "half_pixel") ? 0.5 : 0;
	int64_t ratio = wq_attr_i(n, "sampling_ratio"), parts[2] = {wq_attr_i(n, "output_height"), wq_attr_i(n, "output_width")};
	CgVal low[2], size[2], count[2], samples = f64(k, (double)parts[0] * (double)parts[1]);
	for (int i = 0; i < 2; i++) { /* y, then x */
		CgVal begin = box_number(k, n->in[1], at->ix[0], 1 - i), end = box_number(k, n->in[1], at->ix[0], 3 - i);
		CgVal extent = cg_mul(c, cg_sub(c, end, begin), f64(k, scale));
		extent = off > 0 ? extent : cg_max(c, extent, f64(k, 1));
		low[i] = cg_sub(c, cg_mul(c, begin, f64(k, scale)), f64(k, off));
		size[i] = cg_fdiv(c, extent, f64(k, (double)parts[i]));
		count[i] = ratio > 0 ? f64(k, (double)ratio) : cg_max(c, cg_ceil(c, size[i]), f64(k, 0));
		samples = cg_mul(c, samples, count[i]);
	}
	CgVal few = cg_cmp(c, CG_LT, samples, f64(k, 1e8));
	kg_fault(k, cg_not(c, few), KG_EVALUE);
	a->gh = as_index(k, cg_select(c, few, count[0], f64(k, 0)));
	a->gw = as_index(k, cg_select(c, few, count[1], f64(k, 0)));
	a->step_y = cg_fdiv(c, size[0], as_f64(k, a->gh)); /* without a sample it is not used */
	a->step_x = cg_fdiv(c, size[1], as_f64(k, a->gw));
	a->y0 = cg_add(c, low[0], cg_mul(c, as_f64(k, at->ix[2]), size[0]));
	a->x0 = cg_add(c, low[1], cg_mul(c, as_f64(k, at->ix[3]), size[1]));
}

/* The two neighbours of a place along an axis of n elements and their weights; the place is inside. */
static void neighbours(Kg *k, CgVal v, CgVal n, CgVal *i, CgVal *w)
{
	Cg *c = kg_cg(k);
	CgVal last = cg_addi(c, n, -1), one = f64(k, 1);
	v = cg_max(c, v, f64(k, 0));
	CgVal low = as_index(k, v), end = cg_cmp(c, CG_GE, low, last);
	i[0] = cg_select(c, end, last, low);
	i[1] = cg_select(c, end, last, cg_addi(c, low, 1));
	CgVal part = cg_select(c, end, f64(k, 0), cg_sub(c, v, as_f64(k, low)));
	w[0] = cg_sub(c, one, part);
	w[1] = part;
}

static CgVal slot(Kg *k, const Align *a, CgVal channel) { return cg_at(kg_cg(k), CG_F64, a->sum, channel); }

static void add_sample(Kg *k, Align *a, CgVal y, CgVal x, CgVal inside, CgVal first)
{
	Cg *c = kg_cg(k);
	const WqValue *image = a->n->in[0];
	CgVal iy[2], ix[2], wy[2], wx[2], zero = f64(k, 0);
	neighbours(k, cg_select(c, inside, y, zero), kg_size(k, image, 2), iy, wy);
	neighbours(k, cg_select(c, inside, x, zero), kg_size(k, image, 3), ix, wx);
	CgVal ch = cg_for(c, cg_idx(c, 0), a->channels, 1), v = cg_load(c, cg_t(CG_F64, 1), slot(k, a, ch), 0);
	for (int t = 0; t < 4; t++) {
		CgAt at = {.rank = 4, .lanes = 1, .ix = {a->batch, ch, iy[t / 2], ix[t % 2]}};
		CgVal e = cg_mul(c, cg_mul(c, wy[t / 2], wx[t % 2]), ix_f64(k, image->type.dtype, kg_elem(k, image, &at)));
		e = cg_select(c, inside, e, zero); /* also of an infinity */
		CgVal larger = cg_cmp(c, CG_GT, e, v);
		larger = t ? larger : cg_or(c, first, larger);
		v = a->avg ? cg_add(c, v, e) : cg_select(c, larger, e, v);
	}
	cg_store(c, v, slot(k, a, ch), 0);
	cg_end(c);
}

/* -1 <= v <= n: a NaN is outside. */
static CgVal is_near(Kg *k, CgVal v, CgVal n)
{
	Cg *c = kg_cg(k);
	return cg_and(c, cg_cmp(c, CG_GE, v, f64(k, -1)), cg_cmp(c, CG_LE, v, as_f64(k, n)));
}

static void align_bin(Kg *k, const CgAt *at3, void *arg)
{
	Cg *c = kg_cg(k);
	Align *a = arg;
	const WqValue *image = a->n->in[0];
	CgAt at = {.rank = 4, .lanes = 1, .ix = {at3->ix[0], cg_idx(c, 0), at3->ix[1], at3->ix[2]}}, b = ix_zero(k, a->n->in[2]->type.rank);
	b.ix[0] = at.ix[0];
	a->batch = kg_checked(k, kg_elem(k, a->n->in[2], &b), kg_size(k, image, 0));
	find_bin(k, a, &at);
	CgVal ch = cg_for(c, cg_idx(c, 0), a->channels, 1);
	cg_store(c, f64(k, 0), slot(k, a, ch), 0);
	cg_end(c);
	CgVal i = cg_for(c, cg_idx(c, 0), a->gh, 1), half = f64(k, 0.5);
	CgVal y = cg_add(c, a->y0, cg_mul(c, cg_add(c, as_f64(k, i), half), a->step_y));
	CgVal j = cg_for(c, cg_idx(c, 0), a->gw, 1);
	CgVal x = cg_add(c, a->x0, cg_mul(c, cg_add(c, as_f64(k, j), half), a->step_x));
	CgVal inside = cg_and(c, is_near(k, y, kg_size(k, image, 2)), is_near(k, x, kg_size(k, image, 3)));
	add_sample(k, a, y, x, inside, cg_cmp(c, CG_EQ, cg_or(c, i, j), cg_idx(c, 0)));
	cg_end(c);
	cg_end(c);
	CgVal count = as_f64(k, cg_max(c, cg_mul(c, a->gh, a->gw), cg_idx(c, 1)));
	at.ix[1] = cg_for(c, cg_idx(c, 0), a->channels, 1);
	CgVal v = cg_load(c, cg_t(CG_F64, 1), slot(k, a, at.ix[1]), 0);
	v = a->avg ? cg_fdiv(c, v, count) : v;
	kg_put(k, a->n, 0, &at, ix_narrowed(k, image->type.dtype, v));
	cg_end(c);
}

static CgVal has_elements(Kg *k, const WqValue *x)
{
	Cg *c = kg_cg(k);
	return cg_cmp(c, CG_GT, kg_count(k, x), cg_idx(c, 0));
}

static void roi_align_kernel(Kg *k, const WqNode *n)
{
	static const char *const modes[] = {"avg", "max"};
	const WqValue *y = n->out[0];
	Align a = {.n = n, .avg = ix_choose(n, "mode", 2, modes) == 0, .sum = kg_scratch(k), .channels = kg_size(k, y, 1)};
	CgVal dim[3] = {kg_size(k, y, 0), kg_size(k, y, 2), kg_size(k, y, 3)};
	dim[0] = cg_select(kg_cg(k), has_elements(k, n->in[0]), dim[0], cg_idx(kg_cg(k), 0));
	kg_nest(k, 3, dim, NULL, 1, align_bin, &a);
}

static void roi_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	ix_agree(k, n->in[1]->type.dim[1], 4);
	ix_agree(k, n->in[1]->type.dim[0], n->in[2]->type.rank ? n->in[2]->type.dim[0] : 1);
	CgVal some = has_elements(k, n->out[0]);
	kg_fault(k, cg_and(c, some, cg_not(c, has_elements(k, n->in[0]))), KG_EVALUE);
}

static int64_t align_scratch(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return ix_most(n, n->in[0]->type.dim[1]) * 8;
}

static const char *align_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return ix_most(n, n->in[0]->type.dim[1]) > INT32_MAX ? "the number of channels has no bound" : NULL;
}

const WqEmit emit_roi_align = {
	.kernel = roi_align_kernel, .sizes = roi_sizes, .scratch = align_scratch, .refuse = align_refuse, .epilogue = true, .repeated = 7
};

/* ---- MaxRoiPool ----------------------------------------------------------------------------------------------------- */

/* Halves away from 0. */
static CgVal rounded(Kg *k, CgVal v)
{
	Cg *c = kg_cg(k);
	CgVal t = cg_trunc(c, v), part = cg_sub(c, v, t), zero = f64(k, 0);
	t = cg_add(c, t, cg_select(c, cg_cmp(c, CG_GE, part, f64(k, 0.5)), f64(k, 1), zero));
	return cg_sub(c, t, cg_select(c, cg_cmp(c, CG_LE, part, f64(k, -0.5)), f64(k, 1), zero));
}

static CgVal clamped(Kg *k, CgVal v, CgVal limit)
{
	Cg *c = kg_cg(k);
	return as_index(k, cg_min(c, cg_max(c, v, f64(k, 0)), as_f64(k, limit)));
}

/* Bin i of `parts` over corners that are rounded, cut to [0, limit). */
static void bin_range(Kg *k, CgVal i, int64_t parts, CgVal low, CgVal high, CgVal limit, CgVal *from, CgVal *to)
{
	Cg *c = kg_cg(k);
	CgVal size = cg_max(c, cg_add(c, cg_sub(c, high, low), f64(k, 1)), f64(k, 1)), n = f64(k, (double)parts), at = as_f64(k, i);
	CgVal a = cg_floor(c, cg_fdiv(c, cg_mul(c, at, size), n));
	CgVal b = cg_ceil(c, cg_fdiv(c, cg_mul(c, cg_add(c, at, f64(k, 1)), size), n));
	*from = clamped(k, cg_add(c, a, low), limit);
	*to = clamped(k, cg_add(c, b, low), limit);
}

static void pool_bin(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const WqNode *n = arg;
	const WqValue *image = n->in[0];
	int count;
	const int64_t *shape = wq_attr_ints(n, "pooled_shape", &count);
	CgVal v[4], from[2], to[2], b = box_number(k, n->in[1], at->ix[0], 0);
	for (int i = 0; i < 4; i++) {
		v[i] = rounded(k, cg_mul(c, box_number(k, n->in[1], at->ix[0], 1 + i), f64(k, wq_attr_f(n, "spatial_scale"))));
		CgVal finite = cg_cmp(c, CG_LT, cg_abs(c, v[i]), f64(k, 1e15));
		kg_fault(k, cg_not(c, finite), KG_EVALUE);
		v[i] = cg_select(c, finite, v[i], f64(k, 0));
	}
	CgVal good = cg_and(c, cg_cmp(c, CG_GE, b, f64(k, 0)), cg_cmp(c, CG_LT, b, as_f64(k, kg_size(k, image, 0))));
	kg_fault(k, cg_not(c, good), KG_EINDEX);
	CgAt e = *at;
	e.ix[0] = as_index(k, cg_select(c, good, b, f64(k, 0)));
	for (int i = 0; i < 2; i++)
		bin_range(k, at->ix[2 + i], shape[i], v[1 - i], v[3 - i], kg_size(k, image, 2 + i), &from[i], &to[i]);
	to[0] = cg_select(c, good, to[0], from[0]); /* there may be no image at all */
	CgVal some = cg_and(c, cg_cmp(c, CG_LT, from[0], to[0]), cg_cmp(c, CG_LT, from[1], to[1]));
	CgType t = cg_t(kg_acc(image->type.dtype), 1);
	CgVar best = cg_var(c, cg_select(c, some, cg_float(c, t, -INFINITY), cg_zero(c, t)));
	e.ix[2] = cg_for(c, from[0], to[0], 1);
	e.ix[3] = cg_for(c, from[1], to[1], 1);
	CgVal x = kg_elem_f(k, image, &e), old = cg_get(c, best);
	cg_set(c, best, cg_select(c, cg_cmp(c, CG_GT, x, old), x, old));
	cg_end(c);
	cg_end(c);
	kg_put_f(k, n, 0, at, cg_get(c, best));
}

static void max_roi_pool_kernel(Kg *k, const WqNode *n)
{
	CgVal dim[4];
	for (int a = 0; a < 4; a++)
		dim[a] = kg_size(k, n->out[0], a);
	kg_nest(k, 4, dim, NULL, 1, pool_bin, (void *)n);
}

static void max_roi_pool_sizes(Kg *k, const WqNode *n) { ix_agree(k, n->in[1]->type.dim[1], 5); }

const WqEmit emit_max_roi_pool = {.kernel = max_roi_pool_kernel, .sizes = max_roi_pool_sizes, .epilogue = true, .repeated = 3};

/* ---- NonMaxSuppression ------------------------------------------------------------------------------------------------
 * Scratch: four f32 a box (its corners in order: y0, x0, y1, x1), then three arrays of numbers: the candidates, room to sort them, and
 * those that were kept.
 */
typedef struct Nms {
	const WqNode *n;
	CgVal batch, cls, boxes, corner, a[3], most, limit, least;
	CgVar total; /* picked so far */
} Nms;

static int64_t corner_bytes(const WqNode *n) { return (ix_most(n, n->in[1]->type.dim[2]) * 16 + 63) & ~(int64_t)63; }

static int64_t list_bytes(const WqTarget *t, const WqNode *n)
{
	return ((ix_most(n, n->in[1]->type.dim[2]) + 1) * t->index_bits / 8 + 63) & ~(int64_t)63;
}

static int64_t nms_scratch(const WqTarget *t, const WqNode *n) { return corner_bytes(n) + 3 * list_bytes(t, n); }

static const WqValue *given(const WqNode *n, int i) { return i < n->n_in ? n->in[i] : NULL; }

static CgVal score_of(Kg *k, const Nms *s, CgVal i)
{
	CgAt at = {.rank = 3, .lanes = 1, .ix = {s->batch, s->cls, i}};
	return kg_elem(k, s->n->in[1], &at);
}

static CgVal scores_more(Kg *k, void *arg, CgVal x, CgVal y)
{
	return cg_cmp(kg_cg(k), CG_GT, score_of(k, arg, x), score_of(k, arg, y));
}

static void store_corners(Kg *k, const Nms *s)
{
	Cg *c = kg_cg(k);
	CgVal i = cg_for(c, cg_idx(c, 0), s->boxes, 1), b[4], o[4], half = cg_float(c, cg_t(CG_F32, 1), 0.5);
	for (int j = 0; j < 4; j++) {
		CgAt at = {.rank = 3, .lanes = 1, .ix = {s->batch, i, cg_idx(c, j)}};
		b[j] = kg_elem(k, s->n->in[0], &at);
	}
	for (int j = 0; j < 2; j++) {
		if (wq_attr_i(s->n, "center_point_box")) { /* x, y, width, height */
			CgVal reach = cg_mul(c, b[3 - j], half);
			o[j] = cg_sub(c, b[1 - j], reach);
			o[j + 2] = cg_add(c, b[1 - j], reach);
		} else {
			CgVal less = cg_cmp(c, CG_LT, b[j], b[j + 2]);
			o[j] = cg_select(c, less, b[j], b[j + 2]);
			o[j + 2] = cg_select(c, less, b[j + 2], b[j]);
		}
	}
	for (int j = 0; j < 4; j++)
		cg_store(c, o[j], cg_at(c, CG_F32, s->corner, cg_addi(c, cg_muli(c, i, 4), j)), 0);
	cg_end(c);
}

static CgVal corner_of(Kg *k, const Nms *s, CgVal box, int j)
{
	Cg *c = kg_cg(k);
	return cg_load(c, cg_t(CG_F32, 1), cg_at(c, CG_F32, s->corner, cg_addi(c, cg_muli(c, box, 4), j)), 0);
}

static CgVal overlaps(Kg *k, const Nms *s, CgVal x, CgVal y)
{
	Cg *c = kg_cg(k);
	CgVal zero = cg_float(c, cg_t(CG_F32, 1), 0), both = NULL, area[2] = {NULL, NULL};
	for (int j = 0; j < 2; j++) {
		CgVal a[2] = {corner_of(k, s, x, j), corner_of(k, s, x, j + 2)}, b[2] = {corner_of(k, s, y, j), corner_of(k, s, y, j + 2)};
		CgVal low = cg_max(c, a[0], b[0]), high = cg_min(c, a[1], b[1]);
		CgVal side = cg_select(c, cg_cmp(c, CG_GT, high, low), cg_sub(c, high, low), zero);
		both = both ? cg_mul(c, both, side) : side;
		area[0] = j ? cg_mul(c, area[0], cg_sub(c, a[1], a[0])) : cg_sub(c, a[1], a[0]);
		area[1] = j ? cg_mul(c, area[1], cg_sub(c, b[1], b[0])) : cg_sub(c, b[1], b[0]);
	}
	CgVal either = cg_sub(c, cg_add(c, area[0], area[1]), both);
	CgVal some = cg_and(c, cg_cmp(c, CG_GT, both, zero), cg_cmp(c, CG_GT, either, zero));
	return cg_and(c, some, cg_cmp(c, CG_GT, cg_fdiv(c, both, either), s->limit));
}

/* The boxes whose score counts, into a[0]. Returns how many. */
static CgVal candidates(Kg *k, const Nms *s)
{
	Cg *c = kg_cg(k);
	CgVar n = cg_var(c, cg_idx(c, 0));
	CgVal i = cg_for(c, cg_idx(c, 0), s->boxes, 1), score = score_of(k, s, i), at = cg_get(c, n);
	CgVal counts = s->least ? cg_cmp(c, CG_GT, score, s->least) : cg_not(c, cg_cmp(c, CG_UNO, score, score));
	ix_store(k, i, s->a[0], at); /* overwritten by the next if it does not count */
	cg_set(c, n, cg_add(c, at, cg_resize(c, counts, cg_index(c), false)));
	cg_end(c);
	return cg_get(c, n);
}

static CgVal may_stay(Kg *k, const Nms *s, CgVal box, CgVal kept)
{
	Cg *c = kg_cg(k);
	CgVar j = cg_var(c, cg_idx(c, 0)), stays = cg_var(c, cg_int(c, cg_t(CG_I1, 1), 1));
	cg_while(c);
	CgVal at = cg_get(c, j);
	cg_break_if(c, cg_cmp(c, CG_GE, at, kept));
	CgVal clash = overlaps(k, s, box, ix_load(k, s->a[2], at));
	cg_set(c, stays, cg_not(c, clash));
	cg_break_if(c, clash);
	cg_set(c, j, cg_addi(c, at, 1));
	cg_end(c);
	return cg_get(c, stays);
}

static void put_pick(Kg *k, const Nms *s, CgVal box)
{
	Cg *c = kg_cg(k);
	CgVal total = cg_get(c, s->total), part[3] = {s->batch, s->cls, box};
	cg_if(c, cg_cmp(c, CG_LT, total, kg_size(k, s->n->out[0], 0)));
	CgAt to = ix_zero(k, 2);
	to.ix[0] = total;
	for (int i = 0; i < 3; i++) {
		to.ix[1] = cg_idx(c, i);
		kg_put(k, s->n, 0, &to, cg_resize(c, part[i], CG_I64, true));
	}
	cg_end(c);
	cg_set(c, s->total, cg_addi(c, total, 1));
}

static void pick_boxes(Kg *k, Nms *s)
{
	Cg *c = kg_cg(k);
	CgVal n = candidates(k, s), list = ix_sort(k, n, s->a[0], s->a[1], scores_more, s);
	CgVar i = cg_var(c, cg_idx(c, 0)), kept = cg_var(c, cg_idx(c, 0));
	cg_while(c);
	CgVal at = cg_get(c, i), have = cg_get(c, kept);
	cg_break_if(c, cg_or(c, cg_cmp(c, CG_GE, at, n), cg_cmp(c, CG_GE, have, s->most)));
	CgVal box = ix_load(k, list, at);
	cg_if(c, may_stay(k, s, box, have));
	ix_store(k, box, s->a[2], have);
	put_pick(k, s, box);
	cg_set(c, kept, cg_addi(c, have, 1));
	cg_end(c);
	cg_set(c, i, cg_addi(c, at, 1));
	cg_end(c);
}

static void nms_kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *scores = n->in[1], *most = given(n, 2), *limit = given(n, 3), *least = given(n, 4);
	Nms s = {.n = n, .boxes = kg_size(k, scores, 2), .corner = kg_scratch(k), .total = cg_var(c, cg_idx(c, 0))};
	for (int i = 0; i < 3; i++)
		s.a[i] = cg_ati(c, CG_I8, s.corner, corner_bytes(n) + i * list_bytes(cg_target(c), n));
	s.most = most ? ix_clamp(k, ix_scalar(k, most), true) : cg_idx(c, 0);
	s.limit = limit ? ix_scalar(k, limit) : cg_float(c, cg_t(CG_F32, 1), 0);
	s.least = least ? ix_scalar(k, least) : NULL;
	ix_bind(k, n, 0, 0, kg_count(k, scores)); /* for now */
	CgVal batches = kg_size(k, scores, 0);
	s.batch = cg_for(c, cg_idx(c, 0), cg_select(c, cg_cmp(c, CG_GT, s.most, cg_idx(c, 0)), batches, cg_idx(c, 0)), 1);
	store_corners(k, &s);
	s.cls = cg_for(c, cg_idx(c, 0), kg_size(k, scores, 1), 1);
	pick_boxes(k, &s);
	cg_end(c);
	cg_end(c);
	kg_bind(k, n->out[0]->type.dim[0], cg_get(c, s.total));
}

static void nms_sizes(Kg *k, const WqNode *n)
{
	ix_agree(k, n->in[0]->type.dim[0], n->in[1]->type.dim[0]);
	ix_agree(k, n->in[0]->type.dim[1], n->in[1]->type.dim[2]);
	ix_agree(k, n->in[0]->type.dim[2], 4);
}

static const char *nms_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	for (int i = 2; i < 5; i++)
		if (given(n, i) && !ix_is_single(given(n, i)))
			return "a limit is not one number";
	return ix_most(n, n->in[1]->type.dim[2]) > INT32_MAX ? "the number of boxes has no bound" : NULL;
}

const WqEmit emit_nms = {
	.kernel = nms_kernel, .sizes = nms_sizes, .scratch = nms_scratch, .refuse = nms_refuse, .serial = true, .repeated = 3
};
