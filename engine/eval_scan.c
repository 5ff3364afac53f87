/* eval_scan.c: ArgMax, ArgMin, CumSum, CumProd. The operand is seen as [outer, n, inner]. */
#include "engine/ew.h"
#include "engine/move.h"

/* ---- ArgMax, ArgMin: NaN wins, as in numpy --------------------------------------------------- */

typedef struct Arg {
	const WqTensor *x;
	int64_t *y;
	int64_t n, inner;
	bool least, last;
} Arg;

/* One line: the place of the extreme; with `last`, of its last occurrence. */
#define LINE(T, W, LOAD) do { \
	const T *p = (const T *)a->x->data + from; \
	int64_t at = 0; \
	W best = LOAD(p[0]); \
	for (int64_t i = 1; i < a->n; i++) { \
		W v = LOAD(p[i * a->inner]); \
		bool better = a->least ? v < best : v > best; \
		if (best != best) \
			better = a->last && v != v; \
		else if (v != v) \
			better = true; \
		else if (v == best) \
			better = a->last; \
		if (better) \
			best = v, at = i; \
	} \
	return at; \
} while (0)
#define SAME(x) (x)

enum { LANES = 16 };

/* Neighbouring floats: the extreme by lanes, then its place. -1 if there is a NaN. */
WQ_CLONES static int64_t arg_f32(const float *x, int64_t n, float sign, bool last)
{
	float top[LANES], best = sign * x[0];
	int32_t nan[LANES] = {0}, any = 0;
	int64_t i = 0;
	for (int l = 0; l < LANES; l++)
		top[l] = best;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++) {
			float v = sign * x[i + l];
			top[l] = v > top[l] ? v : top[l];
			nan[l] |= v != v;
		}
	for (; i < n; i++) {
		best = sign * x[i] > best ? sign * x[i] : best;
		any |= x[i] != x[i];
	}
	for (int l = 0; l < LANES; l++) {
		best = top[l] > best ? top[l] : best;
		any |= nan[l];
	}
	if (any || best != best)
		return -1;
	if (last)
		for (i = n - 1; sign * x[i] != best;)
			i--;
	else
		for (i = 0; sign * x[i] != best;)
			i++;
	return i;
}

static int64_t arg_line(const Arg *a, int64_t from)
{
	if (a->x->dtype == WQ_F32 && a->inner == 1) {
		int64_t at = arg_f32((const float *)a->x->data + from, a->n, a->least ? -1 : 1, a->last);
		if (at >= 0)
			return at;
	}
	switch (a->x->dtype) {
	case WQ_F32: LINE(float, float, SAME);
	case WQ_F64: LINE(double, double, SAME);
	case WQ_F16: LINE(uint16_t, float, vm_f16_load);
	case WQ_BF16: LINE(uint16_t, float, vm_bf16_load);
	case WQ_I8: LINE(int8_t, int8_t, SAME);
	case WQ_U8: LINE(uint8_t, uint8_t, SAME);
	case WQ_I16: LINE(int16_t, int16_t, SAME);
	case WQ_U16: LINE(uint16_t, uint16_t, SAME);
	case WQ_I32: LINE(int32_t, int32_t, SAME);
	case WQ_U32: LINE(uint32_t, uint32_t, SAME);
	case WQ_I64: LINE(int64_t, int64_t, SAME);
	default: LINE(uint64_t, uint64_t, SAME);
	}
}

static void arg_part(void *arg, int64_t begin, int64_t end)
{
	const Arg *a = arg;
	for (int64_t i = begin; i < end; i++)
		a->y[i] = arg_line(a, i / a->inner * a->n * a->inner + i % a->inner);
}

void eval_arg_reduce(WqCall *c)
{
	const WqTensor *x = c->in[0];
	int axis = wq_call_axis(c, x->rank ? x->rank : 1);
	Arg a = {.x = x, .y = c->out[0].data, .n = x->rank ? x->dim[axis] : 1, .least = c->node->op == OP_ArgMin};
	a.inner = wq_product(x->dim, axis + 1, x->rank);
	a.last = wq_attr_i(c->node, "select_last_index") != 0;
	wq_parallel(c, wq_tensor_count(&c->out[0]), 16384 / a.n + 1, arg_part, &a);
}

/* ---- CumSum, CumProd: floats accumulate in f64 and each element is rounded; integers wrap ---- */

typedef struct Scan {
	const WqTensor *x;
	WqTensor *y;
	int64_t n, inner;
	bool prod, exclusive, reverse;
} Scan;

#define SCAN(T, A, LOAD, STORE) do { \
	const T *x = (const T *)s->x->data + from; \
	T *y = (T *)s->y->data + from; \
	A acc = s->prod; \
	for (int64_t k = 0; k < s->n; k++) { \
		int64_t i = (s->reverse ? s->n - 1 - k : k) * s->inner; \
		A v = LOAD(x[i]), next = s->prod ? acc * v : acc + v; \
		y[i] = STORE(s->exclusive ? acc : next); \
		acc = next; \
	} \
} while (0)
#define TO_F16(v) vm_f16_store((float)(v))
#define TO_BF16(v) vm_bf16_store((float)(v))

static void scan_line(const Scan *s, int64_t from)
{
	switch (s->x->dtype) {
	case WQ_F32: SCAN(float, double, SAME, (float)SAME); break;
	case WQ_F64: SCAN(double, double, SAME, SAME); break;
	case WQ_F16: SCAN(uint16_t, double, vm_f16_load, TO_F16); break;
	case WQ_BF16: SCAN(uint16_t, double, vm_bf16_load, TO_BF16); break;
	case WQ_I8: case WQ_U8: SCAN(uint8_t, uint32_t, SAME, (uint8_t)SAME); break;
	case WQ_I16: case WQ_U16: SCAN(uint16_t, uint32_t, SAME, (uint16_t)SAME); break;
	case WQ_I32: case WQ_U32: SCAN(uint32_t, uint32_t, SAME, SAME); break;
	default: SCAN(uint64_t, uint64_t, SAME, SAME); break;
	}
}

static void scan_part(void *arg, int64_t begin, int64_t end)
{
	const Scan *s = arg;
	for (int64_t i = begin; i < end; i++)
		scan_line(s, i / s->inner * s->n * s->inner + i % s->inner);
}

void eval_cumulate(WqCall *c)
{
	const WqTensor *x = c->in[0];
	if (wq_tensor_count(c->in[1]) != 1)
		wq_call_fail(c, "the axis is not a scalar");
	int64_t axis = wq_tensor_get_i(c->in[1], 0);
	if (axis < -x->rank || axis >= x->rank)
		wq_call_fail(c, "axis %lld is out of range for rank %d", (long long)axis, x->rank);
	axis += axis < 0 ? x->rank : 0;
	Scan s = {.x = x, .y = &c->out[0], .n = x->dim[axis], .prod = c->node->op == OP_CumProd};
	s.inner = wq_product(x->dim, (int)axis + 1, x->rank);
	s.exclusive = wq_attr_i(c->node, "exclusive") != 0;
	s.reverse = wq_attr_i(c->node, "reverse") != 0;
	if (wq_tensor_count(x))
		wq_parallel(c, wq_tensor_count(x) / s.n, 16384 / s.n + 1, scan_part, &s);
}
