/* emit_deform.c: DeformConv, place by place: what every tap samples goes to scratch memory, [channel][tap], then
 * each output channel sums its products. Reads all operands on demand; not made for speed. */
#include "codegen/kernel.h"
#include "ir/window.h"

enum { MAX_AXES = 4 };

typedef struct Deform {
	Kg *k;
	Cg *c;
	const WqNode *n;
	WqWindow w; /* attributes */
	CgType type;
	int64_t group, offset_group;
	CgVal kernel[MAX_AXES], in[MAX_AXES], taps, cin, cout, channels;
	const CgAt *at; /* [image, place...] */
	CgVal tap[MAX_AXES];
	CgVal m, ci; /* output channel, channel of its group */
	CgVar sum;
} Deform;

static CgVal f(const Deform *v, double x) { return cg_float(v->c, v->type, x); }

/* An element of an operand in the type of the sum. */
static CgVal element(const Deform *v, int operand, const CgAt *at)
{
	CgVal x = kg_elem_f(v->k, v->n->in[operand], at);
	return cg_fcast(v->c, x, v->type.kind);
}

static const WqValue *optional(const WqNode *n, int i) { return i < n->n_in ? n->in[i] : NULL; }

/* Element `channel` of offset or mask at this place. */
static CgVal at_place(const Deform *v, int operand, CgVal channel)
{
	CgAt at = {.rank = v->w.n + 2, .ix = {v->at->ix[0], channel}, .lanes = 1};
	for (int d = 0; d < v->w.n; d++)
		at.ix[2 + d] = v->at->ix[1 + d];
	return element(v, operand, &at);
}

/* Where the tap reads x along axis d. */
static CgVal position(const Deform *v, int d, CgVal number)
{
	Cg *c = v->c;
	CgVal at = cg_addi(c, cg_muli(c, v->at->ix[1 + d], v->w.stride[d]), -v->w.begin[d]);
	at = cg_add(c, at, cg_muli(c, v->tap[d], v->w.dilation[d]));
	CgVal offset = at_place(v, 2, cg_addi(c, cg_muli(c, number, v->w.n), d));
	return cg_add(c, cg_to_float(c, at, v->type.kind, true), offset);
}

/* x between its elements: linear along every axis, 0 outside; every p is in (-1, size). */
static CgVal sample(const Deform *v, CgVal channel, const CgVal *p)
{
	Cg *c = v->c;
	int n = v->w.n;
	CgVal sum = f(v, 0);
	for (unsigned corner = 0; corner < 1u << n; corner++) {
		CgAt at = {.rank = n + 2, .ix = {v->at->ix[0], channel}, .lanes = 1};
		CgVal share = f(v, 1);
		for (int d = 0; d < n; d++) {
			CgVal low = cg_floor(c, p[d]), part = cg_sub(c, p[d], low), last = cg_addi(c, v->in[d], -1);
			CgVal i = cg_addi(c, cg_to_int(c, low, cg_index(c), true), corner >> d & 1);
			CgVal inside = cg_cmp(c, CG_ULT, i, v->in[d]);
			share = cg_mul(c, share, corner >> d & 1 ? part : cg_sub(c, f(v, 1), part));
			share = cg_select(c, inside, share, f(v, 0));
			at.ix[2 + d] = cg_min(c, cg_max(c, i, cg_idx(c, 0)), last);
		}
		/* what has no share counts nothing, be it infinite */
		CgVal x = cg_select(c, cg_cmp(c, CG_EQ, share, f(v, 0)), f(v, 0), element(v, 0, &at));
		sum = cg_add(c, sum, cg_mul(c, share, x));
	}
	return sum;
}

/* Tap `tap` (number `flat`) of offset group og: its samples of all of the group's channels. */
static void one_tap(const Deform *v, CgVal og, CgVal flat)
{
	Cg *c = v->c;
	CgVal number = cg_add(c, cg_mul(c, og, v->taps), flat), inside = NULL, p[MAX_AXES];
	for (int d = 0; d < v->w.n; d++) {
		p[d] = position(v, d, number);
		CgVal size = cg_to_float(c, v->in[d], v->type.kind, true);
		CgVal here = cg_and(c, cg_cmp(c, CG_GT, p[d], f(v, -1)), cg_cmp(c, CG_LT, p[d], size));
		inside = inside ? cg_and(c, inside, here) : here;
	}
	CgVal scale = optional(v->n, 4) ? at_place(v, 4, number) : f(v, 1);
	CgVal per = cg_divi(c, v->channels, v->offset_group), first = cg_mul(c, og, per);
	CgVal ch = cg_for(c, first, cg_add(c, first, per), 1);
	CgVar x = cg_var(c, f(v, 0));
	cg_if(c, inside);
	cg_set(c, x, sample(v, ch, p));
	cg_end(c);
	CgVal to = cg_at(c, v->type.kind, kg_scratch(v->k), cg_add(c, cg_mul(c, ch, v->taps), flat));
	cg_store(c, cg_mul(c, scale, cg_get(c, x)), to, 0);
	cg_end(c);
}

/* Calls body for every tap, with v->tap set and its number. */
static void each_tap(Deform *v, int d, CgVal flat, void (*body)(const Deform *v, CgVal arg, CgVal flat), CgVal arg)
{
	if (d == v->w.n) {
		body(v, arg, flat);
		return;
	}
	v->tap[d] = cg_for(v->c, cg_idx(v->c, 0), v->kernel[d], 1);
	each_tap(v, d + 1, cg_add(v->c, cg_mul(v->c, flat, v->kernel[d]), v->tap[d]), body, arg);
	cg_end(v->c);
}

/* One product of output channel v->m and channel v->ci of its group. */
static void multiply(const Deform *v, CgVal group, CgVal flat)
{
	Cg *c = v->c;
	CgAt at = {.rank = v->w.n + 2, .ix = {v->m, v->ci}, .lanes = 1};
	for (int d = 0; d < v->w.n; d++)
		at.ix[2 + d] = v->tap[d];
	CgVal ch = cg_add(c, cg_mul(c, group, v->cin), v->ci);
	CgVal x = cg_load(c, v->type, cg_at(c, v->type.kind, kg_scratch(v->k), cg_add(c, cg_mul(c, ch, v->taps), flat)), 0);
	cg_set(c, v->sum, cg_add(c, cg_get(c, v->sum), cg_mul(c, x, element(v, 1, &at))));
}

static void output(Deform *v)
{
	Cg *c = v->c;
	WqDtype t = v->n->out[0]->type.dtype;
	v->m = cg_for(c, cg_idx(c, 0), v->cout, 1);
	CgAt one = {.rank = 1, .ix = {v->m}, .lanes = 1};
	v->sum = cg_var(c, optional(v->n, 3) ? element(v, 3, &one) : f(v, 0));
	CgVal group = cg_udiv(c, v->m, cg_divi(c, v->cout, v->group));
	v->ci = cg_for(c, cg_idx(c, 0), v->cin, 1);
	each_tap(v, 0, cg_idx(c, 0), multiply, group);
	cg_end(c);
	CgAt at = {.rank = v->w.n + 2, .ix = {v->at->ix[0], v->m}, .lanes = 1};
	for (int d = 0; d < v->w.n; d++)
		at.ix[2 + d] = v->at->ix[1 + d];
	kg_put(v->k, v->n, 0, &at, kg_round(v->k, t, cg_get(c, v->sum)));
	cg_end(c);
}

static void place(Kg *k, const CgAt *at, void *arg)
{
	Deform *v = arg;
	Cg *c = kg_cg(k);
	v->at = at;
	CgVal og = cg_for(c, cg_idx(c, 0), cg_idx(c, v->offset_group), 1);
	each_tap(v, 0, cg_idx(c, 0), one_tap, og);
	cg_end(c);
	output(v);
}

static CgKind kind(const WqNode *n) { return n->out[0]->type.dtype == WQ_F64 ? CG_F64 : CG_F32; }

static void kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqValue *w = n->in[1], *y = n->out[0];
	Deform v = {.k = k, .c = c, .n = n, .type = cg_t(kind(n), 1)};
	CgVal dim[1 + MAX_AXES];
	if (wq_window_attrs(n, w->type.rank - 2, w->type.dim + 2, &v.w))
		WQ_BUG("attributes of a convolution that was inferred");
	v.group = wq_attr_i(n, "group");
	v.offset_group = wq_attr_i(n, "offset_group");
	v.cout = kg_size(k, w, 0);
	v.cin = kg_size(k, w, 1);
	v.channels = kg_size(k, n->in[0], 1);
	v.taps = cg_idx(c, 1);
	dim[0] = kg_size(k, y, 0);
	for (int d = 0; d < v.w.n; d++) {
		v.kernel[d] = kg_size(k, w, 2 + d);
		v.in[d] = kg_size(k, n->in[0], 2 + d);
		v.taps = cg_mul(c, v.taps, v.kernel[d]);
		dim[1 + d] = kg_size(k, y, 2 + d);
	}
	kg_nest(k, 1 + v.w.n, dim, NULL, 1, place, &v);
}

static int64_t scratch(const WqTarget *t, const WqNode *n)
{
	const WqType *w = &n->in[1]->type;
	int64_t size = wq_dim_hi(n->graph->mod, n->in[0]->type.dim[1]);
	(void)t;
	for (int d = 2; d < w->rank; d++)
		size = wq_mul_checked(size, w->dim[d], "samples");
	return wq_mul_checked(size, kind(n) == CG_F64 ? 8 : 4, "samples");
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	const WqType *w = &n->in[1]->type;
	(void)t;
	if (w->rank > 2 + MAX_AXES)
		return "it has more than 4 spatial axes";
	for (int d = 0; d < w->rank; d++)
		if (!wq_dim_static(w->dim[d]))
			return "the sizes of its weights are not numbers";
	return wq_dim_hi(n->graph->mod, n->in[0]->type.dim[1]) >= WQ_DIM_INF ? "its channels are not bounded" : NULL;
}

const WqEmit emit_deform_conv = {
	.kernel = kernel,
	.epilogue = true,
	.repeated = 1 | 2 | 4 | 16,
	.scratch = scratch,
	.refuse = refuse,
};
