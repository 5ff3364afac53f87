/* emit_resize.c: Resize. Each resized axis has, for every place of the result, a few neighbours and their weights. Where sizes and scales are
 * known they stand in tables (ir/resample.c fills them); else code computes them in f64. An element of the result is the weighted sum over
 * the neighbours along all these axes, the last one innermost, as if each axis were resized by itself.
 */
#include <math.h>

#include "codegen/index.h"
#include "ir/resample.h"

enum { MAX_TABLE = 1 << 20, MAX_UNROLL = 4 };

typedef struct Axis {
	int axis, entry; /* entry: its number among scales, sizes */
	bool known;
	WqResampleAxis p;     /* known */
	int taps;             /* known beforehand; 0: only when it runs */
	CgVal idx, w, beyond; /* tables */
	CgVal n, m, scale, start, end, stretch, n_taps; /* when it runs: all f64 but for n and n_taps */
} Axis;

typedef struct Resize {
	const WqNode *n;
	WqResample r;
	WqDtype t;
	CgKind work; /* f32 for narrow floats, else f64 */
	int n_axis;
	Axis a[WQ_MAX_RANK]; /* those that change, outermost first */
	int n_entry;         /* of scales and sizes */
	/* By rows: the row of the operand at hand, blended along all axes but the last, in scratch; and the row of the result. */
	CgVal row;
	CgAt at;
} Resize;

/* The taps of one place along an axis. */
typedef struct Taps {
	const Axis *a;
	CgVal i;          /* the result's index */
	CgVal at, base;   /* when it runs: the place, its first neighbour */
	CgVal sum, there; /* what the weights add up to, if they are to be divided by it; is the place within the operand? NULL: it is */
} Taps;

/* ---- what is known ------------------------------------------------------------------------------------------------- */

static const WqValue *given(const WqNode *n, int i)
{
	const WqValue *v = i < n->n_in ? n->in[i] : NULL;
	return v && v->type.dim[0] != 0 ? v : NULL;
}

static bool known_f(const WqValue *v, int64_t i, double *out)
{
	if (!v || !v->data || i >= wq_tensor_count(v->data))
		return false;
	*out = wq_tensor_get_f(v->data, i);
	return true;
}

static int axes_of(const WqNode *n, int *list)
{
	int count, rank = n->in[0]->type.rank;
	const int64_t *v = wq_attr_ints(n, "axes", &count);
	if (!count) {
		v = NULL;
		count = rank;
	}
	for (int i = 0; i < count; i++)
		list[i] = v ? (int)(v[i] < 0 ? v[i] + rank : v[i]) : i;
	return count;
}

static bool by_policy(const WqNode *n) { return !given(n, 2) && strcmp(wq_attr_s(n, "keep_aspect_ratio_policy"), "stretch"); }

/* The scale that a policy gives all axes; false: not known. */
static bool known_policy_scale(const WqNode *n, int count, const int *list, double *scale)
{
	bool larger = !strcmp(wq_attr_s(n, "keep_aspect_ratio_policy"), "not_smaller");
	*scale = 1;
	for (int i = 0; i < count; i++) {
		double size;
		WqDim dim = n->in[0]->type.dim[list[i]];
		if (!wq_dim_static(dim) || !known_f(given(n, 3), i, &size))
			return false;
		double s = size / (double)dim;
		*scale = i == 0 || (larger ? s > *scale : s < *scale) ? s : *scale;
	}
	return true;
}

/* Fills p as far as it is known beforehand; true if all of it is. */
static bool know_axis(const WqNode *n, const WqResample *r, int entry, int count, const int *list, WqResampleAxis *p)
{
	WqDim from = n->in[0]->type.dim[list[entry]], to = n->out[0]->type.dim[list[entry]];
	*p = (WqResampleAxis){from, to, 0, 0, 1};
	bool known = wq_dim_static(from) && wq_dim_static(to);
	if (r->place == WQ_CROP)
		known = known_f(given(n, 1), entry, &p->start) && known_f(given(n, 1), count + entry, &p->end) && known;
	if (given(n, 2))
		return known_f(given(n, 2), entry, &p->scale) && known;
	if (by_policy(n)) {
		double scale;
		if (!known_policy_scale(n, count, list, &scale))
			return false;
		p->scale = scale;
		return known;
	}
	p->scale = from == to ? 1 : (double)to / (double)from;
	return known;
}

/* A symbolic axis of which it is certain that nothing happens to it. */
static bool surely_stays(const WqResample *r, const WqResampleAxis *p) { return p->n == p->m && wq_resample_stays(r, p); }

static int find_axes(Resize *z, const WqNode *n)
{
	int list[WQ_MAX_RANK], at[WQ_MAX_RANK], count = axes_of(n, list);
	for (int i = 0; i < n->in[0]->type.rank; i++)
		at[i] = -1;
	for (int i = 0; i < count; i++)
		at[list[i]] = i;
	for (int i = 0; i < n->in[0]->type.rank; i++) {
		Axis a = {.axis = i, .entry = at[i]};
		if (at[i] < 0)
			continue;
		a.known = know_axis(n, &z->r, at[i], count, list, &a.p);
		if (surely_stays(&z->r, &a.p) && (a.known || z->r.place != WQ_CROP))
			continue;
		int64_t taps = wq_resample_taps(&z->r, a.known ? a.p.scale : 1);
		a.taps = !a.known && z->r.antialias && z->r.mode != WQ_NEAREST ? 0 : (int)taps;
		a.known &= a.p.m * taps <= MAX_TABLE;
		z->a[z->n_axis++] = a;
	}
	return count;
}

static Resize resize_of(const WqNode *n)
{
	Resize z = {.n = n, .t = n->in[0]->type.dtype};
	wq_resample_of(n, given(n, 2) != NULL, &z.r);
	z.work = wq_dtype_is_float(z.t) && z.t != WQ_F64 ? CG_F32 : CG_F64;
	z.n_entry = find_axes(&z, n);
	return z;
}

static bool changes(const Resize *z, int axis)
{
	for (int i = 0; i < z->n_axis; i++)
		if (z->a[i].axis == axis)
			return true;
	return false;
}

/* ---- tables ----------------------------------------------------------------------------------------------------------- */

static void make_tables(Kg *k, const Resize *z, Axis *a)
{
	Cg *c = kg_cg(k);
	int64_t m = a->p.m, count = m * a->taps, idx[64];
	int32_t *table = WQ_NEW_N(kg_arena(k), int32_t, count + 1);
	double *w = WQ_NEW_N(kg_arena(k), double, count + 64);
	uint8_t *beyond = WQ_NEW_N(kg_arena(k), uint8_t, m + 1);
	int64_t *near = a->taps <= 64 ? idx : WQ_NEW_N(kg_arena(k), int64_t, a->taps);
	for (int64_t i = 0; i < m; i++) {
		beyond[i] = !wq_resample_at(&z->r, &a->p, a->taps, i, near, w + i * a->taps);
		for (int t = 0; t < a->taps; t++)
			table[i * a->taps + t] = (int32_t)near[t];
	}
	a->idx = cg_table(c, CG_I32, (int)count, table);
	if (z->r.place == WQ_CROP)
		a->beyond = cg_table(c, CG_I8, (int)m, beyond);
	if (z->r.mode == WQ_NEAREST)
		return;
	if (z->work == CG_F32)
		for (int64_t i = 0; i < count; i++)
			((float *)w)[i] = (float)w[i];
	a->w = cg_table(c, z->work, (int)count, w);
}

static CgVal f64(Kg *k, double v) { return cg_float(kg_cg(k), cg_t(CG_F64, 1), v); }
static CgVal of_index(Kg *k, CgVal i) { return cg_to_float(kg_cg(k), i, CG_F64, true); }

static CgVal entry_f(Kg *k, const WqValue *v, int i)
{
	CgAt at = ix_zero(k, 1);
	at.ix[0] = cg_idx(kg_cg(k), i);
	return ix_f64(k, v->type.dtype, kg_elem(k, v, &at));
}

/* ---- scales when it runs ------------------------------------------------------------------------------------------------- */

static CgVal policy_scale(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	int list[WQ_MAX_RANK], count = axes_of(n, list);
	bool larger = !strcmp(wq_attr_s(n, "keep_aspect_ratio_policy"), "not_smaller");
	CgVal scale = NULL;
	for (int i = 0; i < count; i++) {
		CgVal s = cg_fdiv(c, of_index(k, kg_int(k, n->in[3], i)), of_index(k, kg_size(k, n->in[0], list[i])));
		scale = !scale ? s : larger ? cg_max(c, s, scale) : cg_min(c, s, scale);
	}
	return scale;
}

static CgVal scale_of(Kg *k, const WqNode *n, int entry, int axis)
{
	Cg *c = kg_cg(k);
	if (given(n, 2))
		return entry_f(k, n->in[2], entry);
	if (by_policy(n))
		return policy_scale(k, n);
	return cg_fdiv(c, of_index(k, kg_size(k, n->out[0], axis)), of_index(k, kg_size(k, n->in[0], axis)));
}

static void measure(Kg *k, const Resize *z, Axis *a)
{
	Cg *c = kg_cg(k);
	const WqNode *n = z->n;
	a->n = kg_size(k, n->in[0], a->axis);
	a->m = of_index(k, kg_size(k, n->out[0], a->axis));
	a->scale = a->known || a->p.scale > 0 ? f64(k, a->p.scale) : scale_of(k, n, a->entry, a->axis);
	if (!given(n, 2) && !by_policy(n))
		a->scale = cg_fdiv(c, a->m, of_index(k, a->n));
	if (z->r.place == WQ_CROP) {
		a->start = entry_f(k, n->in[1], a->entry);
		a->end = entry_f(k, n->in[1], z->n_entry + a->entry);
	}
	a->stretch = z->r.antialias ? cg_min(c, a->scale, f64(k, 1)) : f64(k, 1);
	a->n_taps = cg_idx(c, a->taps);
	if (a->taps)
		return;
	CgVal radius = f64(k, z->r.mode == WQ_LINEAR ? -1 : -2);
	CgVal half = cg_add(c, cg_floor(c, cg_fdiv(c, radius, a->stretch)), f64(k, 1));
	a->n_taps = cg_to_int(c, cg_sub(c, f64(k, 2), cg_add(c, half, half)), cg_index(c), true);
}

static void prepare(Kg *k, Resize *z)
{
	for (int i = 0; i < z->n_axis; i++)
		if (z->a[i].known)
			make_tables(k, z, &z->a[i]);
		else
			measure(k, z, &z->a[i]);
}

/* As place_of of ir/resample.c. */
static CgVal place_of(Kg *k, const Resize *z, const Axis *a, CgVal index)
{
	Cg *c = kg_cg(k);
	CgVal i = of_index(k, index), n = of_index(k, a->n), one = f64(k, 1), half = f64(k, 0.5), last = cg_sub(c, n, one);
	CgVal centred = cg_fdiv(c, cg_add(c, i, half), a->scale), plain = cg_sub(c, centred, half);
	CgVal single = cg_cmp(c, CG_EQ, a->m, one), width = z->r.by_scales ? cg_mul(c, a->scale, n) : a->m;
	switch (z->r.place) {
	case WQ_SYMMETRIC: {
		CgVal off = cg_sub(c, one, cg_fdiv(c, a->m, cg_mul(c, a->scale, n)));
		return cg_sub(c, cg_add(c, cg_mul(c, cg_mul(c, n, half), off), centred), half);
	}
	case WQ_PYTORCH: return cg_select(c, single, f64(k, 0), plain);
	case WQ_ALIGN_CORNERS:
		return cg_select(c, cg_cmp(c, CG_EQ, width, one), f64(k, 0), cg_fdiv(c, cg_mul(c, i, last), cg_sub(c, width, one)));
	case WQ_ASYMMETRIC: return cg_fdiv(c, i, a->scale);
	case WQ_FOR_NN: return centred;
	case WQ_CROP: {
		CgVal middle = cg_mul(c, cg_mul(c, half, cg_add(c, a->start, a->end)), last);
		CgVal step = cg_mul(c, cg_mul(c, i, cg_sub(c, a->end, a->start)), last);
		return cg_select(c, single, middle, cg_add(c, cg_mul(c, a->start, last), cg_fdiv(c, step, cg_sub(c, a->m, one))));
	}
	default: return plain;
	}
}

static CgVal clamped(Kg *k, CgVal v, CgVal n)
{
	Cg *c = kg_cg(k);
	CgVal last = cg_addi(c, n, -1);
	v = cg_min(c, cg_max(c, v, f64(k, 0)), of_index(k, last));
	return cg_max(c, cg_min(c, cg_to_int(c, v, cg_index(c), true), last), cg_idx(c, 0));
}

static CgVal nearest_of(Kg *k, const Resize *z, const Axis *a, CgVal at)
{
	Cg *c = kg_cg(k);
	CgVal low = cg_floor(c, at), part = cg_sub(c, at, low), half = f64(k, 0.5), one = f64(k, 1), up;
	switch (z->r.nearest) {
	case WQ_CEIL: up = cg_cmp(c, CG_GT, part, f64(k, 0)); break;
	case WQ_PREFER_FLOOR: up = cg_cmp(c, CG_GT, part, half); break;
	case WQ_PREFER_CEIL: up = cg_cmp(c, CG_GE, part, half); break;
	default: up = cg_cmp(c, CG_LT, part, f64(k, 0)); break;
	}
	return clamped(k, cg_select(c, up, cg_add(c, low, one), low), a->n);
}

static CgVal filter(Kg *k, const Resize *z, CgVal d)
{
	Cg *c = kg_cg(k);
	double a = z->r.a;
	CgVal zero = f64(k, 0), one = f64(k, 1);
	d = cg_abs(c, d);
	if (z->r.mode == WQ_LINEAR)
		return cg_select(c, cg_cmp(c, CG_LT, d, one), cg_sub(c, one, d), zero);
	CgVal near = cg_sub(c, cg_mul(c, d, f64(k, a + 2)), f64(k, a + 3));
	near = cg_add(c, cg_mul(c, cg_mul(c, near, d), d), one);
	CgVal far = cg_add(c, cg_mul(c, cg_sub(c, cg_mul(c, d, f64(k, a)), f64(k, 5 * a)), d), f64(k, 8 * a));
	far = cg_sub(c, cg_mul(c, far, d), f64(k, 4 * a));
	far = cg_select(c, cg_cmp(c, CG_LT, d, f64(k, 2)), far, zero);
	return cg_select(c, cg_cmp(c, CG_LE, d, one), near, far);
}

/* ---- taps ------------------------------------------------------------------------------------------------------------------- */

/* Tap t (index type): the neighbour, and its weight in f64, not yet divided by the sum. */
static CgVal raw_tap(Kg *k, const Resize *z, const Taps *p, CgVal t, CgVal *w)
{
	Cg *c = kg_cg(k);
	const Axis *a = p->a;
	CgVal v = cg_add(c, p->base, of_index(k, t)), last = of_index(k, cg_addi(c, a->n, -1));
	*w = filter(k, z, cg_mul(c, cg_sub(c, v, p->at), a->stretch));
	if (z->r.exclude) {
		CgVal outside = cg_or(c, cg_cmp(c, CG_LT, v, f64(k, 0)), cg_cmp(c, CG_GT, v, last));
		*w = cg_select(c, outside, f64(k, 0), *w);
	}
	return clamped(k, v, a->n);
}

static CgVal tap(Kg *k, const Resize *z, const Taps *p, CgVal t, CgVal *w)
{
	Cg *c = kg_cg(k);
	const Axis *a = p->a;
	if (!a->known) {
		CgVal i = raw_tap(k, z, p, t, w);
		*w = p->sum ? cg_fdiv(c, *w, p->sum) : *w;
		*w = z->work == CG_F32 ? cg_fcast(c, *w, CG_F32) : *w;
		return i;
	}
	CgVal at = cg_add(c, cg_muli(c, p->i, a->taps), t);
	*w = cg_load(c, cg_t(z->work, 1), cg_at(c, z->work, a->w, at), 0);
	return cg_resize(c, cg_load(c, cg_t(CG_I32, 1), cg_at(c, CG_I32, a->idx, at), 0), cg_index(c), true);
}

static Taps taps_at(Kg *k, const Resize *z, const Axis *a, CgVal i)
{
	Cg *c = kg_cg(k);
	Taps p = {.a = a, .i = i};
	if (a->known) {
		if (a->beyond)
			p.there = cg_cmp(c, CG_EQ, cg_load(c, cg_t(CG_I8, 1), cg_at(c, CG_I8, a->beyond, i), 0), cg_int(c, cg_t(CG_I8, 1), 0));
		return p;
	}
	CgVal n = of_index(k, a->n), same = cg_and(c, cg_cmp(c, CG_EQ, a->scale, f64(k, 1)), cg_cmp(c, CG_EQ, a->m, n));
	p.at = place_of(k, z, a, i);
	if (z->r.place == WQ_CROP)
		p.there = cg_and(c, cg_cmp(c, CG_GE, p.at, f64(k, 0)), cg_cmp(c, CG_LE, p.at, cg_sub(c, n, f64(k, 1))));
	else
		p.at = cg_select(c, same, of_index(k, i), p.at); /* left alone */
	if (z->r.mode == WQ_NEAREST)
		return p;
	CgVal before = cg_addi(c, cg_divi(c, a->n_taps, 2), -1);
	p.base = cg_sub(c, cg_sub(c, cg_ceil(c, p.at), f64(k, 1)), of_index(k, before));
	if (!z->r.antialias && !z->r.exclude)
		return p;
	CgVar sum = cg_var(c, f64(k, 0));
	CgVal t = cg_for(c, cg_idx(c, 0), a->n_taps, 1), w;
	raw_tap(k, z, &p, t, &w);
	cg_set(c, sum, cg_add(c, cg_get(c, sum), w));
	cg_end(c);
	CgVal s = cg_get(c, sum);
	p.sum = cg_select(c, cg_cmp(c, CG_EQ, s, f64(k, 0)), f64(k, 1), s);
	return p;
}

/* ---- elements ------------------------------------------------------------------------------------------------------------------ */

static CgVal fill_of(Kg *k, const Resize *z, int lanes)
{
	return cg_splat(kg_cg(k), cg_float(kg_cg(k), cg_t(z->work, 1), z->r.extrapolation), lanes);
}

static CgVal as_work(Kg *k, const Resize *z, CgVal v)
{
	return z->work == CG_F32 ? kg_arith(k, z->t, v) : ix_f64(k, z->t, v);
}

static CgVal blend(Kg *k, const Resize *z, int i, CgAt *from);

static CgVal tap_value(Kg *k, const Resize *z, int i, CgAt *from, const Taps *p, CgVal t)
{
	CgVal w;
	from->ix[z->a[i].axis] = tap(k, z, p, t, &w);
	CgVal v = blend(k, z, i + 1, from);
	return cg_mul(kg_cg(k), cg_splat(kg_cg(k), w, from->lanes), v);
}

/* The sum over the neighbours along axes i and on; from has the result's index there. */
static CgVal blend(Kg *k, const Resize *z, int i, CgAt *from)
{
	Cg *c = kg_cg(k);
	if (i == z->n_axis - (z->row != NULL))
		return as_work(k, z, kg_elem(k, z->n->in[0], from));
	const Axis *a = &z->a[i];
	CgVal keep = from->ix[a->axis], sum = NULL;
	Taps p = taps_at(k, z, a, keep);
	if (a->taps && a->taps <= MAX_UNROLL) {
		for (int t = 0; t < a->taps; t++) {
			CgVal v = tap_value(k, z, i, from, &p, cg_idx(c, t));
			sum = sum ? cg_add(c, sum, v) : v;
		}
	} else {
		CgVar acc = cg_var(c, cg_zero(c, cg_t(z->work, from->lanes)));
		CgVal t = cg_for(c, cg_idx(c, 0), a->known ? cg_idx(c, a->taps) : a->n_taps, 1), v = tap_value(k, z, i, from, &p, t);
		cg_set(c, acc, cg_add(c, cg_get(c, acc), v));
		cg_end(c);
		sum = cg_get(c, acc);
	}
	from->ix[a->axis] = keep;
	return p.there ? cg_select(c, cg_splat(c, p.there, from->lanes), sum, fill_of(k, z, from->lanes)) : sum;
}

/* Integers are rounded half to even and saturate. */
static CgVal from_work(Kg *k, const Resize *z, CgVal v)
{
	Cg *c = kg_cg(k);
	if (wq_dtype_is_int(z->t))
		return cg_to_int(c, cg_rint(c, v), kg_reg(z->t), wq_dtype_is_signed(z->t));
	return z->work == CG_F32 && z->t != WQ_F32 ? kg_round(k, z->t, v) : v;
}

static CgVal nearest(Kg *k, const Resize *z, const CgAt *at)
{
	Cg *c = kg_cg(k);
	CgAt from = *at;
	CgVal there = NULL;
	for (int i = 0; i < z->n_axis; i++) {
		const Axis *a = &z->a[i];
		CgVal at_i = at->ix[a->axis];
		Taps p = taps_at(k, z, a, at_i);
		if (p.there)
			there = there ? cg_and(c, there, p.there) : p.there;
		from.ix[a->axis] = a->known
			? cg_resize(c, cg_load(c, cg_t(CG_I32, 1), cg_at(c, CG_I32, a->idx, at_i), 0), cg_index(c), true)
			: nearest_of(k, z, a, p.at);
	}
	CgVal v = kg_elem(k, z->n->in[0], &from);
	if (!there)
		return v;
	return cg_select(c, cg_splat(c, there, at->lanes), v, from_work(k, z, fill_of(k, z, at->lanes)));
}

/* at's lanes are not along an axis that changes. */
static CgVal element(Kg *k, const Resize *z, const CgAt *at)
{
	CgAt from = *at;
	return z->r.mode == WQ_NEAREST ? nearest(k, z, at) : from_work(k, z, blend(k, z, 0, &from));
}

static CgVal resize_one(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Resize z = resize_of(n);
	prepare(k, &z);
	return element(k, &z, at);
}

static CgVal resize_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Resize z = resize_of(n);
	if (at->lanes > 1 && changes(&z, at->axis))
		return ix_lanes_rolled(k, n, result, at, resize_one);
	return resize_one(k, n, result, at);
}

static void put_element(Kg *k, const CgAt *at, void *arg)
{
	const Resize *z = arg;
	kg_put(k, z->n, 0, at, element(k, z, at));
}

/* ---- by rows: when the axis that is dense in memory changes as well as others, each row of the operand is blended from its neighbours
 * first, in vectors, and the result's row is made of that.
 */
enum { MAX_ROW = 1 << 16 };

static bool may_go_by_rows(const Resize *z)
{
	if (z->r.mode == WQ_NEAREST || z->n_axis < 2)
		return false;
	const Axis *last = &z->a[z->n_axis - 1];
	bool reads_all = !last->known || last->p.n <= last->p.m * last->taps;
	return reads_all && last->taps && last->taps <= MAX_UNROLL && ix_most(z->n, z->n->in[0]->type.dim[last->axis]) <= MAX_ROW;
}

static void blend_in_row(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const Resize *z = arg;
	int last = z->a[z->n_axis - 1].axis;
	CgAt from = z->at;
	from.ix[last] = at->ix[0];
	from.lanes = at->lanes;
	from.axis = last;
	cg_store(c, blend(k, z, 0, &from), cg_at(c, z->work, z->row, at->ix[0]), 0);
}

static void put_of_row(Kg *k, const CgAt *at, void *arg)
{
	Cg *c = kg_cg(k);
	const Resize *z = arg;
	const Axis *a = &z->a[z->n_axis - 1];
	Taps p = taps_at(k, z, a, at->ix[0]);
	CgVal sum = NULL, w;
	for (int t = 0; t < a->taps; t++) {
		CgVal i = tap(k, z, &p, cg_idx(c, t), &w), v = cg_load(c, cg_t(z->work, 1), cg_at(c, z->work, z->row, i), 0);
		v = cg_mul(c, w, v);
		sum = sum ? cg_add(c, sum, v) : v;
	}
	CgAt to = z->at;
	to.ix[a->axis] = at->ix[0];
	kg_put(k, z->n, 0, &to, from_work(k, z, p.there ? cg_select(c, p.there, sum, fill_of(k, z, 1)) : sum));
}

static void put_row(Kg *k, const CgAt *at, void *arg)
{
	Resize *z = arg;
	int last = z->a[z->n_axis - 1].axis;
	CgVal n = kg_size(k, z->n->in[0], last), m = kg_size(k, z->n->out[0], last);
	z->at = *at;
	kg_inner_nest(k, 1, &n, NULL, kg_lanes(k, z->work == CG_F32 ? WQ_F32 : WQ_F64), blend_in_row, z);
	kg_inner_nest(k, 1, &m, NULL, 1, put_of_row, z);
}

static int64_t resize_scratch(const WqTarget *t, const WqNode *n)
{
	(void)t;
	Resize z = resize_of(n);
	return may_go_by_rows(&z) ? ix_most(n, n->in[0]->type.dim[z.a[z.n_axis - 1].axis]) * 8 : 0;
}

static void resize_kernel(Kg *k, const WqNode *n)
{
	const WqValue *y = n->out[0];
	int rank = y->type.rank, order[WQ_MAX_RANK];
	CgVal dim[WQ_MAX_RANK];
	Resize z = resize_of(n);
	prepare(k, &z);
	kg_order(k, y, order);
	for (int a = 0; a < rank; a++)
		dim[a] = kg_size(k, y, a);
	if (may_go_by_rows(&z) && order[rank - 1] == z.a[z.n_axis - 1].axis) {
		dim[order[rank - 1]] = cg_idx(kg_cg(k), 1);
		z.row = kg_scratch(k);
		kg_nest(k, rank, dim, order, 1, put_row, &z);
		return;
	}
	int lanes = rank && !changes(&z, order[rank - 1]) ? kg_lanes(k, z.work == CG_F32 ? WQ_F32 : WQ_F64) : 1;
	kg_nest(k, rank, dim, order, lanes, put_element, &z);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------------------ */

/* Sizes that the scales, or the policy, make. */
static CgVal new_size(Kg *k, const WqNode *n, int entry, int axis)
{
	Cg *c = kg_cg(k);
	if (!given(n, 2) && !by_policy(n))
		return kg_int(k, n->in[3], entry);
	CgVal dim = of_index(k, kg_size(k, n->in[0], axis));
	CgVal v = given(n, 2) ? cg_mul(c, entry_f(k, n->in[2], entry), dim) : cg_add(c, cg_mul(c, policy_scale(k, n), dim), f64(k, 0.5));
	return cg_to_int(c, cg_floor(c, v), cg_index(c), true);
}

static void resize_sizes(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	int list[WQ_MAX_RANK], count = axes_of(n, list);
	for (int i = 0; i < count; i++) {
		CgVal size = new_size(k, n, i, list[i]);
		ix_bind(k, n, 0, list[i], size);
		CgVal bad = cg_and(c, cg_cmp(c, CG_GT, size, cg_idx(c, 0)), cg_cmp(c, CG_LE, kg_size(k, n->in[0], list[i]), cg_idx(c, 0)));
		if (given(n, 2))
			bad = cg_or(c, bad, cg_not(c, cg_cmp(c, CG_GT, entry_f(k, n->in[2], i), f64(k, 0))));
		kg_fault(k, bad, KG_EVALUE);
	}
}

static const char *resize_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	WqResample r;
	const char *wrong = wq_resample_of(n, given(n, 2) != NULL, &r);
	if (wrong)
		return wrong;
	for (int i = 1; i < 4 && i < n->n_in; i++)
		if (n->in[i] && !wq_dim_static(n->in[i]->type.dim[0]))
			return "whether it has scales or sizes is not known";
	if (r.place == WQ_CROP && !given(n, 1))
		return "the region is missing";
	Resize z = resize_of(n);
	for (int i = 0; i < z.n_axis; i++) {
		const WqResampleAxis *p = &z.a[i].p;
		if (z.a[i].known && !(p->scale > 0))
			return "a scale is not above 0";
		if (z.a[i].known && wq_resample_taps(&r, p->scale) > 16 * p->n + 16)
			return "a scale is absurdly small";
	}
	return NULL;
}

const WqEmit emit_resize = {
	.at = resize_at, .at_lanes = true, .costly = true, .kernel = resize_kernel, .sizes = resize_sizes, .refuse = resize_refuse,
	.scratch = resize_scratch,
	.repeated = 15, .epilogue = true
};
