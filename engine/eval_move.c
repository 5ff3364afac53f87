/* eval_move.c: Reshape, Transpose, Expand, Slice, Concat, Pad, Dims, Shape, Range. Elements of any type, strings
 * included. */
#include "engine/move.h"
#include "ir/infer.h"

void eval_reshape(WqCall *c)
{
	if (c->out[0].data != c->in[0]->data)
		memcpy(c->out[0].data, c->in[0]->data, wq_tensor_bytes(c->in[0]));
}

void eval_transpose(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int n;
	const int64_t *perm = wq_attr_ints(c->node, "perm", &n);
	int64_t step[WQ_MAX_RANK], of[WQ_MAX_RANK];
	wq_steps(x->rank, x->dim, step);
	for (int i = 0; i < x->rank; i++)
		of[i] = step[perm ? perm[i] : x->rank - 1 - i];
	wq_move(c, wq_dtype_size(x->dtype), c->out[0].data, x->data, x->rank, c->out[0].dim, of);
}

void eval_expand(WqCall *c)
{
	const WqTensor *x = c->in[0], *y = &c->out[0];
	int64_t step[WQ_MAX_RANK], of[WQ_MAX_RANK];
	wq_steps(x->rank, x->dim, step);
	for (int i = 0; i < y->rank; i++) {
		int k = i - (y->rank - x->rank);
		of[i] = k < 0 || x->dim[k] == 1 ? 0 : step[k];
	}
	wq_move(c, wq_dtype_size(x->dtype), y->data, x->data, y->rank, y->dim, of);
}

void eval_slice(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int64_t step[WQ_MAX_RANK], first = 0;
	wq_steps(x->rank, x->dim, step);
	if (!wq_tensor_count(&c->out[0]))
		return;
	for (int64_t i = 0, n = wq_tensor_count(c->in[1]); i < n; i++) {
		int64_t axis = wq_tensor_get_i(c->in[3], i), by = wq_tensor_get_i(c->in[4], i);
		int64_t start = wq_tensor_get_i(c->in[1], i), end = wq_tensor_get_i(c->in[2], i);
		axis += axis < 0 ? x->rank : 0;
		wq_slice_clamp(x->dim[axis], by, &start, &end);
		first += start * step[axis];
		step[axis] = c->out[0].dim[axis] > 1 ? step[axis] * by : 0; /* a huge step takes one element */
	}
	size_t size = wq_dtype_size(x->dtype);
	wq_move(c, size, c->out[0].data, (const char *)x->data + first * (int64_t)size, x->rank, c->out[0].dim, step);
}

/* ---- Concat ---------------------------------------------------------------------------------- */

typedef struct Piece {
	const char *src;
	char *dst;
	size_t bytes, pitch; /* of a row; from row to row of the result */
} Piece;

static void copy_rows(void *arg, int64_t begin, int64_t end)
{
	const Piece *p = arg;
	for (int64_t i = begin; i < end; i++)
		memcpy(p->dst + (size_t)i * p->pitch, p->src + (size_t)i * p->bytes, p->bytes);
}

void eval_concat(WqCall *c)
{
	const WqTensor *y = &c->out[0];
	int axis = wq_call_axis(c, y->rank);
	size_t size = wq_dtype_size(y->dtype), at = 0;
	int64_t outer = wq_product(y->dim, 0, axis);
	Piece p = {.pitch = (size_t)wq_product(y->dim, axis, y->rank) * size};
	for (int i = 0; i < c->n_in; i++) {
		const WqTensor *x = c->in[i];
		p.bytes = (size_t)wq_product(x->dim, axis, x->rank) * size;
		p.src = x->data;
		p.dst = (char *)y->data + at;
		at += p.bytes;
		if (p.bytes && outer > 0)
			wq_parallel(c, outer, (int64_t)((1 << 17) / p.bytes) + 1, copy_rows, &p);
	}
}

/* ---- Pad ------------------------------------------------------------------------------------- */

typedef enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } PadMode;

typedef struct Pad {
	const WqTensor *x, *y;
	size_t size;
	const char *value;
	int64_t *map[WQ_MAX_RANK]; /* per axis: the operand's index of each index of the result; -1 is the constant */
	int64_t step[WQ_MAX_RANK];
	int64_t body, body_end; /* the last axis' run that is copied as it is */
} Pad;

/* The operand's index for position i (counted from what is left of the operand after cropping, n > 0 elements). */
static int64_t pad_index(PadMode mode, int64_t i, int64_t n)
{
	if (i >= 0 && i < n)
		return i;
	if (mode == PAD_CONSTANT)
		return -1;
	if (mode == PAD_EDGE)
		return i < 0 ? 0 : n - 1;
	if (mode == PAD_WRAP)
		return ((i % n) + n) % n;
	if (n == 1)
		return 0;
	int64_t period = 2 * (n - 1), k = ((i % period) + period) % period;
	return k < n ? k : period - k;
}

static void pad_axis(WqCall *c, Pad *p, PadMode mode, int axis, int64_t before, int64_t after)
{
	int64_t n = p->x->dim[axis], total = p->y->dim[axis];
	int64_t crop = before < 0 ? -before : 0, left = n - crop - (after < 0 ? -after : 0);
	p->map[axis] = WQ_NEW_N(c->tmp, int64_t, total + 1);
	before = before > 0 ? before : 0;
	if (left <= 0 && mode != PAD_CONSTANT && total > 0)
		wq_call_fail(c, "nothing to pad with along axis %d", axis);
	for (int64_t i = 0; i < total; i++) {
		int64_t k = pad_index(mode, i - before, left > 0 ? left : 0);
		p->map[axis][i] = k < 0 ? -1 : k + crop;
	}
	if (axis == p->x->rank - 1) {
		p->body = before < total ? before : total;
		p->body_end = left > 0 ? before + left : p->body;
	}
}

static void pad_one(const Pad *p, char *dst, const char *row, int64_t from)
{
	memcpy(dst, from < 0 ? p->value : row + from * (int64_t)p->size, p->size);
}

static void pad_rows(void *arg, int64_t begin, int64_t end)
{
	const Pad *p = arg;
	int last = p->x->rank - 1;
	int64_t width = p->y->dim[last];
	const int64_t *map = p->map[last];
	for (int64_t r = begin; r < end; r++) {
		int64_t rest = r, off = 0;
		bool outside = false;
		for (int i = last - 1; i >= 0; i--) {
			int64_t k = p->map[i][rest % p->y->dim[i]];
			rest /= p->y->dim[i];
			outside |= k < 0;
			off += k * p->step[i];
		}
		char *dst = (char *)p->y->data + (size_t)(r * width) * p->size;
		if (outside) {
			wq_fill(p->size, dst, p->value, width);
			continue;
		}
		const char *row = (const char *)p->x->data + off * (int64_t)p->size;
		for (int64_t i = 0; i < p->body; i++)
			pad_one(p, dst + (size_t)i * p->size, row, map[i]);
		if (p->body_end > p->body)
			memcpy(dst + (size_t)p->body * p->size, row + map[p->body] * (int64_t)p->size,
				(size_t)(p->body_end - p->body) * p->size);
		for (int64_t i = p->body_end; i < width; i++)
			pad_one(p, dst + (size_t)i * p->size, row, map[i]);
	}
}

static PadMode pad_mode(const WqCall *c)
{
	static const char *const name[] = {"constant", "reflect", "edge", "wrap"};
	const char *s = wq_attr_s(c->node, "mode");
	for (int i = 0; i < WQ_COUNTOF(name); i++)
		if (!strcmp(s, name[i]))
			return (PadMode)i;
	wq_call_fail(c, "mode '%s'", s);
}

void eval_pad(WqCall *c)
{
	const WqTensor *x = c->in[0], *axes = c->n_in > 3 ? c->in[3] : NULL;
	Pad p = {.x = x, .y = &c->out[0], .size = wq_dtype_size(x->dtype)};
	static const WqString empty = {"", 0}; /* a null string; as bytes, zero apart from the pointer */
	static const char zero[16];
	int64_t before[WQ_MAX_RANK] = {0}, after[WQ_MAX_RANK] = {0};
	if (!wq_tensor_count(p.y))
		return;
	p.value = c->n_in > 2 && c->in[2] ? c->in[2]->data : x->dtype == WQ_STR ? (const char *)&empty : zero;
	if (c->n_in > 2 && c->in[2] && wq_tensor_count(c->in[2]) < 1)
		wq_call_fail(c, "the padding value is empty");
	int64_t n = axes ? wq_tensor_count(axes) : x->rank;
	for (int64_t i = 0; i < n; i++) {
		int64_t a = axes ? wq_tensor_get_i(axes, i) : i;
		a += a < 0 ? x->rank : 0;
		before[a] = wq_tensor_get_i(c->in[1], i);
		after[a] = wq_tensor_get_i(c->in[1], n + i);
	}
	if (x->rank == 0) {
		memcpy(p.y->data, x->data, p.size);
		return;
	}
	wq_steps(x->rank, x->dim, p.step);
	PadMode mode = pad_mode(c);
	for (int i = 0; i < x->rank; i++)
		pad_axis(c, &p, mode, i, before[i], after[i]);
	int64_t rows = wq_product(p.y->dim, 0, x->rank - 1), width = p.y->dim[x->rank - 1];
	wq_parallel(c, rows, 65536 / width + 1, pad_rows, &p);
}

/* ---- sources --------------------------------------------------------------------------------- */

void eval_dims(WqCall *c)
{
	int n;
	const int64_t *d = wq_attr_ints(c->node, "dims", &n);
	int64_t *o = c->out[0].data;
	for (int i = 0; i < n; i++)
		o[i] = wq_call_dim(c, d[i]);
}

void eval_shape(WqCall *c)
{
	memcpy(c->out[0].data, c->in[0]->dim, (size_t)c->in[0]->rank * 8);
}

void eval_range(WqCall *c)
{
	WqTensor *y = &c->out[0];
	WqDtype t = c->in[0]->dtype;
	int64_t n = wq_tensor_count(y);
	if (wq_dtype_is_float(t)) {
		double start = wq_tensor_get_f(c->in[0], 0), step = wq_tensor_get_f(c->in[2], 0);
		for (int64_t i = 0; i < n; i++)
			wq_tensor_set_f(y, i, start + (double)i * step);
		return;
	}
	uint64_t start = (uint64_t)wq_tensor_get_i(c->in[0], 0), step = (uint64_t)wq_tensor_get_i(c->in[2], 0);
	for (int64_t i = 0; i < n; i++)
		wq_tensor_set_i(y, i, (int64_t)(start + (uint64_t)i * step));
}
