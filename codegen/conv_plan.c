/* conv_plan.c: what types, attributes and strides decide about a convolution before any code is made, and how its
 * weights are packed. */
#include "codegen/conv.h"

/* ---- the plan: what types and attributes decide -------------------------------------------------------------- */

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
static bool pointwise(const ConvPlan *p)
{
	for (int d = 0; d < p->w.n; d++)
		if (p->w.kernel[d] != 1 || p->w.stride[d] != 1 || p->w.begin[d] || p->w.end[d])
			return false;
	return true;
}

static int64_t places(const ConvPlan *p, const WqType *y)
{
	int64_t n = 1;
	for (int d = 0; d < p->w.n; d++)
		if ((p->pointwise || d == p->axis) && (n = wq_dim_static(y->dim[2 + d]) ? n * y->dim[2 + d] : -1) < 0)
			return -1;
	return conv_transposed(p->n) ? (n + p->w.stride[p->axis] - 1) / p->w.stride[p->axis] : n;
}

/* Vectors of a tile that the output channels of a group make. */
int64_t conv_vectors(const ConvPlan *p) { return p->dot ? p->cout : (p->cout + p->lanes - 1) / p->lanes; }

ConvPlan conv_plan(const WqTarget *t, const WqNode *n)
{
	const WqType *y = &n->out[0]->type, *w = &n->in[1]->type;
	ConvPlan p = {.n = n, .group = wq_attr_i(n, "group"), .axis = choose_axis(y)};
	if (wq_window_attrs(n, w->rank - 2, w->dim + 2, &p.w))
		WQ_BUG("attributes of a convolution that was inferred");
	p.cout = (conv_transposed(n) ? w->dim[1] * p.group : w->dim[0]) / p.group;
	p.cin = (conv_transposed(n) ? w->dim[0] : w->dim[1] * p.group) / p.group;
	p.taps = 1;
	for (int d = 0; d < p.w.n; d++)
		p.taps *= p.w.kernel[d];
	p.pointwise = pointwise(&p);
	p.type = tile_type(y->dtype);
	p.lanes = gemm_lanes(t, p.type.acc);
	p.depthwise = p.cin == 1 && p.cout == 1 && p.group > 1 && !conv_transposed(n);
	if (p.depthwise) {
		p.cout = p.group;
		p.group = 1;
	}
	p.by_column = !p.depthwise && p.lanes >= 4 && p.cout <= p.lanes / 4 && p.cin % p.lanes == 0 && n->in[1]->data;
	p.shape = p.depthwise ? (GemmShape){1, 1} : gemm_shape(t, p.type.acc, places(&p, y), conv_vectors(&p), 0);
	return p;
}

const char *conv_refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	for (int d = 0; d < n->in[1]->type.rank; d++)
		if (!wq_dim_static(n->in[1]->type.dim[d]))
			return "the sizes of its weights are not numbers";
	return NULL;
}

/* ---- packing: [group][panel][taps of other axes][taps of the row axis][cin][vecs][lanes] --------------------- */

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

GemmPanels conv_panels(const ConvPlan *p, int bytes)
{
	GemmPanels g = {p->taps * p->cin, p->cout, p->shape.vecs, p->lanes, bytes};
	if (p->by_column)
		g.vecs = g.lanes = 1;
	return g;
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

bool conv_packs(const ConvPlan *p) { return p->n->in[1]->data && p->taps * p->cin * p->cout > 0 && p->w.n <= 6; }

bool conv_pack(const WqTarget *t, const WqNode *n, int i, WqPack *w)
{
	if (i != 1)
		return false;
	ConvPlan p = conv_plan(t, n);
	if (!conv_packs(&p))
		return false;
	GemmPanels g = conv_panels(&p, (int)wq_dtype_size(n->in[1]->type.dtype));
	int64_t a[] = {p.cin, p.cout, g.vecs, g.lanes, g.bytes, p.group, p.axis, conv_transposed(n), p.w.n};
	memcpy(w->a, a, sizeof a);
	memcpy(w->a + A_KERNEL, p.w.kernel, (size_t)p.w.n * sizeof *w->a);
	w->bytes = wq_mul_checked(gemm_panels_bytes(&g), p.group, "packed weights");
	w->fill = fill;
	w->layout = "conv";
	return true;
}

/* ---- geometry ------------------------------------------------------------------------------------------------ */

/* Half of the padding that comes first; upper: the odd one at the end. */
static CgVal share_begin(Cg *c, CgVal total, bool upper)
{
	total = cg_max(c, total, cg_idx(c, 0));
	return cg_divi(c, upper ? total : cg_addi(c, total, 1), 2);
}

CgVal conv_begin(const Conv *v, int d)
{
	Cg *c = v->c;
	const WqNode *n = v->p.n;
	const WqWindow *w = &v->p.w;
	const char *mode = wq_attr_s(n, "auto_pad");
	bool same = !strncmp(mode, "SAME", 4), upper = !strcmp(mode, "SAME_UPPER");
	int64_t extent = wq_window_extent(w, d);
	int given = 0, extra = 0;
	if (conv_transposed(n)) {
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
bool conv_flatten(Conv *v)
{
	int64_t step, size, run = 0;
	bool first = true;
	if (!v->p.pointwise || v->p.w.n < 1)
		return false;
	v->unit = conv_stride(v, v->p.w.n - 1);
	for (int d = v->p.w.n - 1; d >= 0; d--) {
		if (!cg_const(v->in[d], &size) || !tile_is(v->out[d], size) || !tile_is(v->begin[d], 0))
			return v->p.w.n == 1 && !conv_transposed(v->p.n) && tile_is(v->begin[d], 0);
		if (size == 1)
			continue;
		if (!cg_const(conv_stride(v, d), &step) || (!first && step != run))
			return false;
		if (first)
			v->unit = conv_stride(v, d);
		first = false;
		run = step * size;
	}
	return true;
}

/* A tile's shape, now that strides are known. */
void conv_settle(Conv *v, const WqTarget *t)
{
	Cg *c = v->c;
	ConvPlan *p = &v->p;
	int width = p->shape.vecs;
	int64_t count = -1, step = conv_transposed(p->n) ? p->w.stride[p->axis] : 1;
	CgVal zero = cg_idx(c, 0);
	v->phase = (ConvPhase){.first = zero, .count = v->out[p->axis], .taps = cg_idx(c, 1), .kernel = zero, .at = zero};
	v->phase.step = v->phase.stride = v->phase.kernel_step = v->phase.at_step = 1;
	for (int d = 0; v->flat && d < p->w.n; d++)
		v->phase.count = d ? cg_mul(c, v->phase.count, v->out[d]) : v->out[d];
	if (cg_const(v->phase.count, &count))
		count = (count + step - 1) / step;
	p->dot = p->by_column && tile_is(v->x.stride[1], 1);
	if (p->depthwise) /* loads of x serve several taps: few enough rows that they stay in registers */
		p->shape.rows = count >= 0 && count < t->vector_regs / 4 ? (count ? (int)count : 1) : t->vector_regs / 4;
	else
		p->shape = gemm_shape(t, p->type.acc, count, conv_vectors(p), p->by_column ? (int)conv_vectors(p) : width);
}
