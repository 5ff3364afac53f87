/* layout.c: values that lie channels-last in memory.
 *
 * oneDNN leaves images as [N, S..., C]. Such a value keeps its shape [N, C, S...] and carries a mark. Elementwise operators
 * and Concat run on it as it lies: their evaluators are shown tensors of the shape that the memory has. Every other operator
 * gets the usual layout: the value is converted once, in its slot.
 */
#include "engine/exec.h"

/* ---- conversion ----------------------------------------------------------------------------------------- */

typedef struct Turn { /* [n][rows][cols] to [n][cols][rows] */
	const char *from;
	char *to;
	int64_t rows, cols;
	size_t size;
} Turn;

enum { TILE = 16 };

#define TURN_TILE(NAME, T) \
	static void tile_##NAME(const T *restrict from, T *restrict to, int64_t rows, int64_t cols, int64_t r0, int64_t c0) \
	{ \
		int64_t r1 = r0 + TILE < rows ? r0 + TILE : rows, c1 = c0 + TILE < cols ? c0 + TILE : cols; \
		for (int64_t c = c0; c < c1; c++) \
			for (int64_t r = r0; r < r1; r++) \
				to[c * rows + r] = from[r * cols + c]; \
	}
TURN_TILE(1, uint8_t)
TURN_TILE(2, uint16_t)
TURN_TILE(4, uint32_t)
TURN_TILE(8, uint64_t)

typedef uint32_t Four __attribute__((vector_size(16), aligned(4), may_alias));

/* Whole tiles of the common size: 4 x 4 elements at once, in two rounds of interleaving. */
static void tile_whole_4(const uint32_t *from, uint32_t *to, int64_t rows, int64_t cols)
{
	for (int c = 0; c < TILE; c += 4)
		for (int r = 0; r < TILE; r += 4) {
			const uint32_t *f = from + r * cols + c;
			uint32_t *t = to + c * rows + r;
			Four v0 = *(const Four *)f, v1 = *(const Four *)(f + cols), v2 = *(const Four *)(f + 2 * cols),
				v3 = *(const Four *)(f + 3 * cols);
			Four a = __builtin_shufflevector(v0, v2, 0, 4, 1, 5), b = __builtin_shufflevector(v0, v2, 2, 6, 3, 7);
			Four d = __builtin_shufflevector(v1, v3, 0, 4, 1, 5), e = __builtin_shufflevector(v1, v3, 2, 6, 3, 7);
			*(Four *)t = __builtin_shufflevector(a, d, 0, 4, 1, 5);
			*(Four *)(t + rows) = __builtin_shufflevector(a, d, 2, 6, 3, 7);
			*(Four *)(t + 2 * rows) = __builtin_shufflevector(b, e, 0, 4, 1, 5);
			*(Four *)(t + 3 * rows) = __builtin_shufflevector(b, e, 2, 6, 3, 7);
		}
}

/* A strip is TILE columns of one of the n matrices. */
static void turn_strips(void *arg, int64_t begin, int64_t end)
{
	const Turn *t = arg;
	int64_t strips = (t->cols + TILE - 1) / TILE;
	for (int64_t i = begin; i < end; i++) {
		size_t at = (size_t)(i / strips * t->rows * t->cols) * t->size;
		const void *from = t->from + at;
		void *to = t->to + at;
		int64_t c0 = i % strips * TILE;
		for (int64_t r0 = 0; r0 < t->rows; r0 += TILE)
			switch (t->size) {
			case 1:
				tile_1(from, to, t->rows, t->cols, r0, c0);
				break;
			case 2:
				tile_2(from, to, t->rows, t->cols, r0, c0);
				break;
			case 4:
				if (r0 + TILE <= t->rows && c0 + TILE <= t->cols)
					tile_whole_4((const uint32_t *)from + r0 * t->cols + c0, (uint32_t *)to + c0 * t->rows + r0, t->rows,
						t->cols);
				else
					tile_4(from, to, t->rows, t->cols, r0, c0);
				break;
			default:
				tile_8(from, to, t->rows, t->cols, r0, c0);
			}
	}
}

static int64_t product(const int64_t *dim, int from, int to)
{
	int64_t n = 1;
	for (int d = from; d < to; d++)
		n *= dim[d];
	return n;
}

WqRt *wq_layout_convert(const WqCall *c, WqRt *v)
{
	int64_t channels = v->t.dim[1], space = product(v->t.dim, 2, v->t.rank);
	bool last = !v->channels_last;
	if (channels == 1 || space == 1) {
		WqRt *r = wq_rt_view(v, v->t.rank, v->t.dim);
		r->channels_last = last;
		return r;
	}
	WqRt *r = wq_rt_tensor(v->t.dtype, v->t.rank, v->t.dim);
	r->channels_last = last;
	Turn t = { v->t.data, r->t.data, last ? channels : space, last ? space : channels, wq_dtype_size(v->t.dtype) };
	int64_t strips = (t.cols + TILE - 1) / TILE;
	wq_parallel(c, v->t.dim[0] * strips, 32768 / (t.rows * TILE) + 1, turn_strips, &t);
	return r;
}

/* ---- operators that run on it --------------------------------------------------------------------------------- */

/* Is the memory of t, as a part of a value of this rank, the same in both layouts? */
static bool same_in_both(const WqTensor *t, int rank)
{
	int lead = rank - t->rank; /* axes that broadcasting puts before */
	int64_t channels = lead <= 1 ? t->dim[1 - lead] : 1, space = 1;
	for (int d = 2; d < rank; d++)
		space *= d >= lead ? t->dim[d - lead] : 1;
	return channels == 1 || space == 1;
}

static bool takes(const Step *s)
{
	WqOp op = s->node->op;
	return (wq_op(op)->flags & WQ_EW) || op == OP_Concat;
}

/* Can all operands be shown channels-last? Rank is the result's. */
static bool can_show(const Step *s, int rank)
{
	if (!takes(s) || s->call.n_out != 1 || rank < 3)
		return false;
	for (int i = 0; i < s->call.n_in; i++) {
		const WqRt *v = s->call.vin[i];
		if (!v || v->kind != WQ_TENSOR || wq_dtype_size(v->t.dtype) > 8)
			return false;
		if (v->t.rank != rank && (v->channels_last || s->node->op == OP_Concat || !same_in_both(&v->t, rank)))
			return false;
	}
	return true;
}

static void all_plain(Step *s, int from)
{
	for (int i = from; i < s->call.n_in; i++)
		wq_layout_operand(&s->call, i, false);
}

bool wq_layout_begin(Step *s)
{
	WqOp op = s->node->op;
	bool any = false;
	int rank = 0;
	for (int i = 0; i < s->call.n_in; i++) {
		const WqRt *v = s->call.vin[i];
		if (!v || v->kind != WQ_TENSOR)
			continue;
		any |= v->channels_last;
		rank = v->t.rank > rank ? v->t.rank : rank;
	}
	if (!any)
		return false;
	if (op == OP_Conv || op == OP_ConvTranspose || op == OP_MaxPool || op == OP_AveragePool) {
		all_plain(s, 1);
		return false;
	}
	if (!can_show(s, rank)) {
		all_plain(s, 0);
		return false;
	}
	for (int i = 0; i < s->call.n_in; i++)
		if (!same_in_both(&s->call.vin[i]->t, rank))
			wq_layout_operand(&s->call, i, true);
	return true;
}

/* t of [N, C, S...], given leading axes of 1 up to rank, as [N, S..., C]. */
static WqTensor shown(const WqTensor *t, int rank)
{
	WqTensor r = *t;
	int64_t dim[WQ_MAX_RANK];
	int lead = rank - t->rank;
	for (int d = 0; d < rank; d++)
		dim[d] = d < lead ? 1 : t->dim[d - lead];
	r.rank = rank;
	for (int d = 0; d < rank; d++)
		r.dim[d] = dim[d == 0 ? 0 : d == rank - 1 ? 1 : d + 1];
	return r;
}

/* Where axis d of [N, C, S...] stands in memory. */
static int axis_shown(int d, int rank) { return d == 0 ? 0 : d == 1 ? rank - 1 : d - 1; }

void wq_layout_enter(Step *s)
{
	WqCall *c = &s->call;
	int rank = c->out[0].rank;
	s->seen = WQ_NEW_N(c->tmp, WqTensor, c->n_in);
	for (int i = 0; i < c->n_in; i++) {
		s->seen[i] = shown(c->in[i], rank);
		c->in[i] = &s->seen[i];
	}
	c->out[0] = shown(&c->out[0], rank);
	if (s->node->op == OP_Concat) {
		int axis = (int)wq_attr_i(s->node, "axis");
		s->shadow = *s->node;
		s->shadow_attr = (WqAttr){ .name = "axis", .kind = WQ_A_INT, .i = axis_shown(axis < 0 ? axis + rank : axis, rank) };
		s->shadow.attrs = &s->shadow_attr;
		c->node = &s->shadow;
	}
}

void wq_layout_leave(Step *s)
{
	s->call.vout[0]->channels_last = true;
	s->call.node = s->node;
}
