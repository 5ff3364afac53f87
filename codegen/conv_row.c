/* conv_row.c: a line of the result cut into tiles: at its ends, where taps miss x, and between; and the phases of
 * ConvTranspose. */
#include "codegen/conv.h"

/* ---- rows of tiles ------------------------------------------------------------------------------------------- */

static bool all_hit(const Conv *v, int64_t place, int rows, int64_t taps)
{
	for (int64_t j = 0; j < taps; j++)
		if (conv_hits(v, place, rows, j) != (rows == 32 ? UINT32_MAX : (1u << rows) - 1))
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
		gemm_cover(c, cg_idx(c, at), cg_idx(c, end), 0, (int)most, conv_tile, v);
		if (end < count) {
			int rows = (int)(count - end < most ? count - end : most);
			v->edge = all_hit(v, end, rows, taps) ? INSIDE : MASKED;
			conv_tile(v, cg_idx(c, end), rows);
			end += rows;
		}
		at = end;
	}
}

/* In general: single places at both ends, tiles between them. */
static void any_row(Conv *v)
{
	Cg *c = v->c;
	const ConvPhase *p = &v->phase;
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
	gemm_cover(c, zero, left, 0, 1, conv_tile, v);
	v->edge = INSIDE;
	gemm_cover(c, left, right, -1, v->p.shape.rows, conv_tile, v);
	v->edge = CLIPPED;
	gemm_cover(c, right, p->count, 0, 1, conv_tile, v);
}

static void one_row(Conv *v)
{
	int64_t count, taps, at, in;
	bool known = cg_const(v->phase.count, &count) && cg_const(v->phase.taps, &taps) && cg_const(v->phase.at, &at) &&
		cg_const(v->in[v->p.axis], &in);
	if (known && taps <= MASKED_TAPS && (v->p.depthwise || v->p.cin >= MASKED_DEPTH))
		known_row(v, count, taps);
	else
		any_row(v);
}

/* ---- phases -------------------------------------------------------------------------------------------------- */

static void whole_row(Conv *v)
{
	const ConvPlan *p = &v->p;
	Cg *c = v->c;
	v->phase = (ConvPhase){
		.first = cg_idx(c, 0), .step = 1, .count = v->out[p->axis], .stride = p->w.stride[p->axis],
		.taps = cg_idx(c, p->w.kernel[p->axis]), .kernel = cg_idx(c, 0), .kernel_step = 1,
		.at = cg_neg(c, v->begin[p->axis]), .at_step = p->w.dilation[p->axis],
	};
	one_row(v);
}

static int64_t common(int64_t a, int64_t b) { return b ? common(b, a % b) : a; }

/* The taps of a phase: elements of the kernel with element * dilation = phase modulo the stride. A phase may have
 * none. */
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
	v->phase = (ConvPhase){.first = first, .step = stride, .stride = 1};
	phase_taps(v, phase, &shift);
	v->phase.count = tile_ceil_div(c, cg_max(c, cg_sub(c, v->out[d], first), cg_idx(c, 0)), stride);
	v->phase.at = cg_add(c, cg_sdiv(c, cg_sub(c, cg_add(c, first, v->begin[d]), phase), by), shift);
	one_row(v);
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

void conv_row(Conv *v)
{
	if (conv_transposed(v->p.n))
		all_phases(v);
	else
		whole_row(v);
}
