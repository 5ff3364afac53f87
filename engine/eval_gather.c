/* eval_gather.c: Gather, GatherElements, GatherND and the scatters. Indices are checked before anything is moved.
 * Scatters apply updates in order, so that of several to one place the last wins. */
#include "engine/ew.h"
#include "engine/move.h"

/* ---- Gather ---------------------------------------------------------------------------------- */

typedef struct Gather {
	const int64_t *idx;
	int64_t n_idx, entries, inner; /* per outer row; elements of an entry */
	size_t size;
	const char *src;
	char *dst;
} Gather;

/* Rows [begin, end) of outer x n_idx. */
static void gather_part(void *arg, int64_t begin, int64_t end)
{
	const Gather *g = arg;
	size_t bytes = (size_t)g->inner * g->size;
	/* memcpy of a constant size is a load and a store, aligned or not */
#define PICK(N) \
	case N: \
		for (int64_t r = begin; r < end; r++) { \
			int64_t o = r / g->n_idx, k = o * g->entries + g->idx[r - o * g->n_idx]; \
			memcpy(g->dst + r * N, g->src + k * N, N); \
		} \
		return;
	switch (bytes) {
		PICK(1)
		PICK(2)
		PICK(4)
		PICK(8)
		PICK(16)
	default:
		break;
	}
#undef PICK
	for (int64_t r = begin; r < end; r++) {
		int64_t o = r / g->n_idx, k = o * g->entries + g->idx[r - o * g->n_idx];
		memcpy(g->dst + (size_t)r * bytes, g->src + (size_t)k * bytes, bytes);
	}
}

void eval_gather(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int axis = wq_call_axis(c, x->rank);
	Gather g = {.n_idx = wq_tensor_count(c->in[1]), .entries = x->dim[axis], .size = wq_dtype_size(x->dtype)};
	g.inner = wq_product(x->dim, axis + 1, x->rank);
	g.src = x->data;
	g.dst = c->out[0].data;
	g.idx = wq_call_indices(c, 1, g.entries);
	int64_t rows = wq_product(x->dim, 0, axis) * g.n_idx;
	if (rows && g.inner)
		wq_parallel(c, rows, 65536 / (g.inner * (int64_t)g.size) + 1, gather_part, &g);
}

/* ---- places: where element i of an index tensor points --------------------------------------- */

/* For GatherElements and ScatterElements: each element of the index tensor (shape idx->dim) names a place of x along
 * axis. */
static int64_t *element_places(WqCall *c, const WqTensor *x, const WqTensor *idx, int axis)
{
	int64_t n = wq_tensor_count(idx), step[WQ_MAX_RANK], at[WQ_MAX_RANK] = {0};
	for (int i = 0; i < x->rank; i++)
		if (i != axis && n && idx->dim[i] > x->dim[i])
			wq_call_fail(c, "indices are larger than the operand along axis %d: %lld against %lld", i,
				(long long)idx->dim[i], (long long)x->dim[i]);
	if (x->rank == 0)
		wq_call_fail(c, "the operand is a scalar");
	int64_t *place = wq_call_indices(c, 1, x->dim[axis]);
	wq_steps(x->rank, x->dim, step);
	int64_t base = 0;
	for (int64_t i = 0; i < n; i++) {
		place[i] = base + place[i] * step[axis];
		for (int k = x->rank - 1; k >= 0; k--) {
			at[k]++;
			base += k == axis ? 0 : step[k];
			if (at[k] < idx->dim[k])
				break;
			base -= k == axis ? 0 : at[k] * step[k];
			at[k] = 0;
		}
	}
	return place;
}

/* For GatherND and ScatterND: each row of the index tensor names a block of x; the first `batch` axes are shared. */
static int64_t *nd_places(WqCall *c, const WqTensor *x, const WqTensor *idx, int batch)
{
	int depth = (int)idx->dim[idx->rank - 1];
	int64_t rows = wq_product(idx->dim, 0, idx->rank - 1), step[WQ_MAX_RANK];
	int64_t per_batch = wq_product(idx->dim, batch, idx->rank - 1);
	int64_t block = wq_product(x->dim, batch, x->rank);
	int64_t *place = WQ_NEW_N(c->tmp, int64_t, rows + 1);
	for (int i = 0; i < batch; i++)
		if (idx->dim[i] != x->dim[i])
			wq_call_fail(c, "batch axis %d: %lld against %lld", i, (long long)idx->dim[i],
				     (long long)x->dim[i]);
	wq_steps(x->rank, x->dim, step);
	for (int64_t r = 0; r < rows; r++) {
		place[r] = r / per_batch * block;
		for (int k = 0; k < depth; k++) {
			int64_t n = x->dim[batch + k], v = wq_tensor_get_i(idx, r * depth + k), w = v < 0 ? v + n : v;
			if (w < 0 || w >= n)
				wq_call_fail(c, "index %lld (row %lld) is out of range for axis %d of %lld",
					     (long long)v, (long long)r, batch + k, (long long)n);
			place[r] += w * step[batch + k];
		}
	}
	return place;
}

/* dst[i] = block of `inner` elements at place[i]. */
static void pick(size_t size, char *dst, const char *src, const int64_t *place, int64_t n, int64_t inner)
{
	size_t bytes = (size_t)inner * size;
	for (int64_t i = 0; i < n; i++)
		memcpy(dst + (size_t)i * bytes, src + (size_t)place[i] * size, bytes);
}

void eval_gather_elements(WqCall *c)
{
	const WqTensor *x = c->in[0];
	if (!wq_tensor_count(c->in[1]))
		return;
	int64_t *place = element_places(c, x, c->in[1], wq_call_axis(c, x->rank));
	pick(wq_dtype_size(x->dtype), c->out[0].data, x->data, place, wq_tensor_count(c->in[1]), 1);
}

void eval_gather_nd(WqCall *c)
{
	const WqTensor *x = c->in[0], *idx = c->in[1];
	int batch = (int)wq_attr_i(c->node, "batch_dims"), depth = (int)idx->dim[idx->rank - 1];
	if (!wq_tensor_count(&c->out[0]))
		return;
	int64_t *place = nd_places(c, x, idx, batch);
	int64_t inner = wq_product(x->dim, batch + depth, x->rank), rows = wq_product(idx->dim, 0, idx->rank - 1);
	pick(wq_dtype_size(x->dtype), c->out[0].data, x->data, place, rows, inner);
}

/* ---- scatter --------------------------------------------------------------------------------- */

typedef enum { RED_NONE, RED_ADD, RED_MUL, RED_MIN, RED_MAX } Reduction;

static Reduction reduction(const WqCall *c)
{
	static const char *const name[] = {"none", "add", "mul", "min", "max"};
	const char *s = wq_attr_s(c->node, "reduction");
	for (int i = 0; i < WQ_COUNTOF(name); i++)
		if (!strcmp(s, name[i]))
			return (Reduction)i;
	wq_call_fail(c, "reduction '%s'", s);
}

/* One block of n elements joined into d. LOAD and STORE convert where the arithmetic is done in another type. */
#define JOIN(T, W, LOAD, STORE, NAN) do { \
	T *d = vd; \
	const T *s = vs; \
	for (int64_t i = 0; i < n; i++) { \
		W a = LOAD(d[i]), b = LOAD(s[i]), r; \
		switch (red) { \
		case RED_ADD: r = a + b; break; \
		case RED_MUL: r = a * b; break; \
		case RED_MIN: r = a < b || NAN(a) ? a : b; break; \
		default: r = a > b || NAN(a) ? a : b; break; \
		} \
		d[i] = STORE(r); \
	} \
} while (0)
#define SAME(x) (x)
#define IS_NAN(x) ((x) != (x))
#define NEVER(x) 0
/* Wrapping: products of unsigned numbers; order by the signed ones. */
#define JOIN_INT(T, U) do { \
	if (red == RED_ADD || red == RED_MUL) \
		JOIN(U, U, SAME, SAME, NEVER); \
	else \
		JOIN(T, T, SAME, SAME, NEVER); \
} while (0)

static bool join(WqDtype t, Reduction red, void *vd, const void *vs, int64_t n)
{
	switch (t) {
	case WQ_F32: JOIN(float, float, SAME, SAME, IS_NAN); return true;
	case WQ_F64: JOIN(double, double, SAME, SAME, IS_NAN); return true;
	case WQ_F16: JOIN(uint16_t, float, vm_f16_load, vm_f16_store, IS_NAN); return true;
	case WQ_BF16: JOIN(uint16_t, float, vm_bf16_load, vm_bf16_store, IS_NAN); return true;
	case WQ_I8: JOIN(int8_t, int64_t, SAME, SAME, NEVER); return true;
	case WQ_U8: JOIN(uint8_t, int64_t, SAME, SAME, NEVER); return true;
	case WQ_I16: JOIN(int16_t, int64_t, SAME, SAME, NEVER); return true;
	case WQ_U16: JOIN(uint16_t, int64_t, SAME, SAME, NEVER); return true;
	case WQ_I32: JOIN_INT(int32_t, uint32_t); return true;
	case WQ_U32: JOIN_INT(uint32_t, uint32_t); return true;
	case WQ_I64: JOIN_INT(int64_t, uint64_t); return true;
	case WQ_U64: JOIN_INT(uint64_t, uint64_t); return true;
	case WQ_BOOL: /* or, and */
		for (int64_t i = 0; i < n; i++) {
			uint8_t *d = (uint8_t *)vd + i, s = ((const uint8_t *)vs)[i];
			*d = red == RED_ADD || red == RED_MAX ? *d | s : *d & s;
		}
		return true;
	default:
		return false;
	}
}

static void scatter(WqCall *c, const int64_t *place, int64_t n, int64_t inner)
{
	const WqTensor *u = c->in[2];
	Reduction red = reduction(c);
	size_t size = wq_dtype_size(u->dtype), bytes = (size_t)inner * size;
	char *y = c->out[0].data;
	const char *s = u->data;
	if (red != RED_NONE && !join(u->dtype, red, NULL, NULL, 0))
		wq_call_fail(c, "no reduction of %s", wq_dtype(u->dtype)->text);
	for (int64_t i = 0; i < n; i++)
		if (red == RED_NONE)
			memcpy(y + (size_t)place[i] * size, s + (size_t)i * bytes, bytes);
		else
			join(u->dtype, red, y + (size_t)place[i] * size, s + (size_t)i * bytes, inner);
}

static void copy_operand(WqCall *c)
{
	size_t n = wq_tensor_bytes(c->in[0]);
	if (n && c->out[0].data != c->in[0]->data)
		memcpy(c->out[0].data, c->in[0]->data, n);
}

void eval_scatter_elements(WqCall *c)
{
	const WqTensor *x = c->in[0], *idx = c->in[1], *u = c->in[2];
	bool same = idx->rank == u->rank && idx->rank == x->rank;
	for (int i = 0; same && i < idx->rank; i++)
		same = idx->dim[i] == u->dim[i];
	if (!same)
		wq_call_fail(c, "indices and updates have different shapes, or another rank than the operand");
	int64_t axis = wq_attr_i(c->node, "axis");
	if (axis < -x->rank || axis >= x->rank)
		wq_call_fail(c, "axis %lld is out of range for rank %d", (long long)axis, x->rank);
	copy_operand(c);
	if (wq_tensor_count(idx))
		scatter(c, element_places(c, x, idx, wq_call_axis(c, x->rank)), wq_tensor_count(idx), 1);
}

void eval_scatter_nd(WqCall *c)
{
	const WqTensor *x = c->in[0], *idx = c->in[1], *u = c->in[2];
	int64_t depth = idx->rank ? idx->dim[idx->rank - 1] : -1;
	if (depth < 0 || depth > x->rank)
		wq_call_fail(c, "indices of %lld entries for rank %d", (long long)depth, x->rank);
	bool fits = u->rank == idx->rank - 1 + x->rank - (int)depth;
	for (int i = 0; fits && i < u->rank; i++)
		fits = u->dim[i] == (i < idx->rank - 1 ? idx->dim[i] : x->dim[i - (idx->rank - 1) + (int)depth]);
	if (!fits)
		wq_call_fail(c, "the updates' shape does not fit indices and operand");
	copy_operand(c);
	if (wq_tensor_count(u))
		scatter(c, nd_places(c, x, idx, 0), wq_product(idx->dim, 0, idx->rank - 1),
			wq_product(x->dim, (int)depth, x->rank));
}
