/* eval_reduce.c: sums, means, products, maxima and minima along axes.
 *
 * Neighbouring axes of one kind (kept or reduced) are merged. Then rows are reduced where the reduced axis is the last
 * one, columns are accumulated where one reduced axis stands before kept ones, and everything else is first transposed
 * to rows. f32 and the 16-bit floats accumulate in f64 and are rounded once; integers wrap. Lanes are cut the same way
 * on every machine. Nothing reduced gives the identity: 0, 1, -inf or the lowest number, inf or the highest; the mean
 * of nothing is NaN (0 for integers).
 */
#include "engine/ew.h"
#include "engine/move.h"

/* What a block of elements is turned into before it is reduced: floats, doubles, or 64-bit integers. */
typedef enum { AS_F32, AS_F64, AS_I64, AS_U64 } Work;

typedef union Acc {
	double f;
	int64_t i;
	uint64_t u;
} Acc;

typedef struct Reduce {
	WqOp op;
	Work work;
	WqDtype t;
	size_t size;
	const char *x;
	WqTensor *y;
	int64_t outer, n, inner; /* x is [outer, n, inner], y is [outer, inner] */
} Reduce;

static Work work_of(WqDtype t)
{
	if (t == WQ_F64)
		return AS_F64;
	if (wq_dtype_is_float(t))
		return AS_F32;
	return t == WQ_U64 ? AS_U64 : AS_I64;
}

/* n elements from `at` on, in the working type: in place if they are of it, else converted into buf (EW_BLOCK of 8
 * bytes). */
static const void *load(const Reduce *r, int64_t at, int64_t n, void *buf)
{
	const char *p = r->x + (size_t)at * r->size;
	int64_t *o = buf;
#define WIDEN(T) do { \
	const T *s = (const T *)p; \
	for (int64_t i = 0; i < n; i++) \
		o[i] = s[i]; \
	return buf; \
} while (0)
	switch (r->t) {
	case WQ_F16: case WQ_BF16: ew_load_f32(r->t, r->x, at, buf, n); return buf;
	case WQ_I8: WIDEN(int8_t);
	case WQ_U8: case WQ_BOOL: WIDEN(uint8_t);
	case WQ_I16: WIDEN(int16_t);
	case WQ_U16: WIDEN(uint16_t);
	case WQ_I32: WIDEN(int32_t);
	case WQ_U32: WIDEN(uint32_t);
	default: return p;
	}
#undef WIDEN
}

static void store(const Reduce *r, int64_t at, Acc a)
{
	bool mean = r->op == OP_ReduceMean;
	if (r->work == AS_F32 || r->work == AS_F64) {
		double v = mean ? a.f / (double)r->n : a.f;
		if (r->t == WQ_F32)
			((float *)r->y->data)[at] = (float)v;
		else
			wq_tensor_set_f(r->y, at, v);
	} else {
		if (mean && r->n == 0)
			a.i = 0;
		else if (mean)
			a.i = r->work == AS_U64 ? (int64_t)(a.u / (uint64_t)r->n) : a.i / r->n;
		if (r->t == WQ_BOOL)
			((uint8_t *)r->y->data)[at] = a.i != 0;
		else
			wq_tensor_set_i(r->y, at, a.i);
	}
}

static Acc identity(const Reduce *r)
{
	static const int64_t low[WQ_NUM_DTYPES] = {
		[WQ_I8] = INT8_MIN, [WQ_I16] = INT16_MIN, [WQ_I32] = INT32_MIN, [WQ_I64] = INT64_MIN
	};
	static const int64_t high[WQ_NUM_DTYPES] = { [WQ_I8] = INT8_MAX,    [WQ_I16] = INT16_MAX, [WQ_I32] = INT32_MAX,
						     [WQ_I64] = INT64_MAX,  [WQ_U8] = UINT8_MAX,  [WQ_U16] = UINT16_MAX,
						     [WQ_U32] = UINT32_MAX, [WQ_U64] = -1,        [WQ_BOOL] = 1 };
	bool is_float = r->work <= AS_F64;
	double f = 0;
	int64_t i = 0;
	if (r->op == OP_ReduceProd) {
		f = 1;
		i = 1;
	} else if (r->op == OP_ReduceMax) {
		f = -INFINITY;
		i = low[r->t];
	} else if (r->op == OP_ReduceMin) {
		f = INFINITY;
		i = high[r->t];
	}
	if (is_float)
		return (Acc){.f = f};
	return (Acc){.i = i};
}

/* ---- rows: sixteen lanes, then the lanes together --------------------------------------------- */

enum { LANES = 16 };

#define ROW(T, A, name, INIT, STEP, JOIN) \
	WQ_CLONES static A name(const T *x, int64_t n, A init) \
	{ \
		A acc[LANES], a, b; \
		int64_t i = 0; \
		for (int l = 0; l < LANES; l++) \
			acc[l] = (A)(INIT); \
		for (; i + LANES <= n; i += LANES) \
			for (int l = 0; l < LANES; l++) { \
				a = acc[l], b = (A)x[i + l]; \
				acc[l] = (STEP); \
			} \
		for (; i < n; i++) { \
			a = acc[i % LANES], b = (A)x[i]; \
			acc[i % LANES] = (STEP); \
		} \
		for (int w = LANES / 2; w; w /= 2) \
			for (int l = 0; l < w; l++) { \
				a = acc[l], b = acc[l + w]; \
				acc[l] = (JOIN); \
			} \
		a = init, b = acc[0]; \
		return (JOIN); \
	}
/* Extremes of floats: comparisons drop NaN, so the lanes also remember whether there was one. */
#define EXTREME(T, name, INIT, BETTER) \
	WQ_CLONES static T name(const T *x, int64_t n, T init) \
	{ \
		T acc[LANES], r = init; \
		int32_t nan[LANES] = {0}, any = init != init; \
		int64_t i = 0; \
		for (int l = 0; l < LANES; l++) \
			acc[l] = (INIT); \
		for (; i + LANES <= n; i += LANES) \
			for (int l = 0; l < LANES; l++) { \
				acc[l] = x[i + l] BETTER acc[l] ? x[i + l] : acc[l]; \
				nan[l] |= x[i + l] != x[i + l]; \
			} \
		for (; i < n; i++) { \
			r = x[i] BETTER r ? x[i] : r; \
			any |= x[i] != x[i]; \
		} \
		for (int l = 0; l < LANES; l++) { \
			r = acc[l] BETTER r ? acc[l] : r; \
			any |= nan[l]; \
		} \
		return any ? (T)NAN : r; \
	}
EXTREME(float, f32_max, -INFINITY, >)
EXTREME(float, f32_min, INFINITY, <)
EXTREME(double, f64_max, -INFINITY, >)
EXTREME(double, f64_min, INFINITY, <)
#define LESS (b < a || b != b ? b : a)
#define MORE (b > a || b != b ? b : a)

ROW(float, double, f32_sum, 0, a + b, a + b)
ROW(float, double, f32_prod, 1, a * b, a * b)
ROW(double, double, f64_sum, 0, a + b, a + b)
ROW(double, double, f64_prod, 1, a * b, a * b)
ROW(uint64_t, uint64_t, u64_sum, 0, a + b, a + b)
ROW(uint64_t, uint64_t, u64_prod, 1, a * b, a * b)
ROW(uint64_t, uint64_t, u64_max, 0, (b > a ? b : a), (b > a ? b : a))
ROW(uint64_t, uint64_t, u64_min, UINT64_MAX, (b < a ? b : a), (b < a ? b : a))
ROW(int64_t, int64_t, i64_max, INT64_MIN, (b > a ? b : a), (b > a ? b : a))
ROW(int64_t, int64_t, i64_min, INT64_MAX, (b < a ? b : a), (b < a ? b : a))

/* a joined with n elements of the working type. */
static Acc row_acc(const Reduce *r, Acc a, const void *x, int64_t n)
{
#define PICK(SUM, PROD, MAX, MIN, field) \
	switch (r->op) { \
	case OP_ReduceProd: a.field = PROD; break; \
	case OP_ReduceMax: a.field = MAX; break; \
	case OP_ReduceMin: a.field = MIN; break; \
	default: a.field = SUM; break; \
	} \
	break
	switch (r->work) {
	case AS_F32:
		PICK(f32_sum(x, n, a.f), f32_prod(x, n, a.f), f32_max(x, n, (float)a.f), f32_min(x, n, (float)a.f), f);
	case AS_F64: PICK(f64_sum(x, n, a.f), f64_prod(x, n, a.f), f64_max(x, n, a.f), f64_min(x, n, a.f), f);
	case AS_I64:
		PICK((int64_t)u64_sum(x, n, a.u), (int64_t)u64_prod(x, n, a.u), i64_max(x, n, a.i), i64_min(x, n, a.i),
		     i);
	case AS_U64: PICK(u64_sum(x, n, a.u), u64_prod(x, n, a.u), u64_max(x, n, a.u), u64_min(x, n, a.u), u);
	}
#undef PICK
	return a;
}

static void row_part(void *arg, int64_t begin, int64_t end)
{
	const Reduce *r = arg;
	double buf[EW_BLOCK];
	bool direct = wq_dtype_in(r->t, WQ_BIT(WQ_F32) | WQ_BIT(WQ_F64) | WQ_BIT(WQ_I64) | WQ_BIT(WQ_U64));
	int64_t block = direct ? r->n : EW_BLOCK;
	for (int64_t row = begin; row < end; row++) {
		Acc a = identity(r);
		for (int64_t i = 0; i < r->n; i += block) {
			int64_t k = r->n - i < block ? r->n - i : block;
			a = row_acc(r, a, load(r, row * r->n + i, k, buf), k);
		}
		store(r, row, a);
	}
}

/* ---- columns --------------------------------------------------------------------------------- */

#define COLUMN(T, A, name, STEP) \
	WQ_CLONES static void name(const T *x, A *acc, int64_t n) \
	{ \
		for (int64_t i = 0; i < n; i++) { \
			A a = acc[i], b = (A)x[i]; \
			acc[i] = (STEP); \
		} \
	}

COLUMN(float, double, f32_cols_sum, a + b)
COLUMN(float, double, f32_cols_prod, a * b)
COLUMN(float, double, f32_cols_max, MORE)
COLUMN(float, double, f32_cols_min, LESS)
COLUMN(double, double, f64_cols_sum, a + b)
COLUMN(double, double, f64_cols_prod, a * b)
COLUMN(double, double, f64_cols_max, MORE)
COLUMN(double, double, f64_cols_min, LESS)
COLUMN(uint64_t, uint64_t, u64_cols_sum, a + b)
COLUMN(uint64_t, uint64_t, u64_cols_prod, a * b)
COLUMN(uint64_t, uint64_t, u64_cols_max, b > a ? b : a)
COLUMN(uint64_t, uint64_t, u64_cols_min, b < a ? b : a)
COLUMN(int64_t, int64_t, i64_cols_max, b > a ? b : a)
COLUMN(int64_t, int64_t, i64_cols_min, b < a ? b : a)

static void column_acc(const Reduce *r, Acc *acc, const void *x, int64_t n)
{
#define PICK(SUM, PROD, MAX, MIN) \
	switch (r->op) { \
	case OP_ReduceProd: PROD; break; \
	case OP_ReduceMax: MAX; break; \
	case OP_ReduceMin: MIN; break; \
	default: SUM; break; \
	} \
	break
	double *f = &acc->f;
	int64_t *i = &acc->i;
	uint64_t *u = &acc->u;
	switch (r->work) {
	case AS_F32: PICK(f32_cols_sum(x, f, n), f32_cols_prod(x, f, n), f32_cols_max(x, f, n), f32_cols_min(x, f, n));
	case AS_F64: PICK(f64_cols_sum(x, f, n), f64_cols_prod(x, f, n), f64_cols_max(x, f, n), f64_cols_min(x, f, n));
	case AS_I64: PICK(u64_cols_sum(x, u, n), u64_cols_prod(x, u, n), i64_cols_max(x, i, n), i64_cols_min(x, i, n));
	case AS_U64: PICK(u64_cols_sum(x, u, n), u64_cols_prod(x, u, n), u64_cols_max(x, u, n), u64_cols_min(x, u, n));
	}
#undef PICK
}

/* Jobs are blocks of columns: [outer][blocks of inner]. */
static void column_part(void *arg, int64_t begin, int64_t end)
{
	const Reduce *r = arg;
	int64_t blocks = (r->inner + EW_BLOCK - 1) / EW_BLOCK;
	Acc acc[EW_BLOCK];
	double buf[EW_BLOCK];
	for (int64_t job = begin; job < end; job++) {
		int64_t o = job / blocks, at = job % blocks * EW_BLOCK,
			k = r->inner - at < EW_BLOCK ? r->inner - at : EW_BLOCK;
		for (int64_t i = 0; i < k; i++)
			acc[i] = identity(r);
		for (int64_t j = 0; j < r->n; j++)
			column_acc(r, acc, load(r, (o * r->n + j) * r->inner + at, k, buf), k);
		for (int64_t i = 0; i < k; i++)
			store(r, o * r->inner + at + i, acc[i]);
	}
}

/* ---- the axes -------------------------------------------------------------------------------- */

static unsigned axes_of(const WqCall *c)
{
	const WqTensor *a = c->n_in > 1 ? c->in[1] : NULL;
	int rank = c->in[0]->rank;
	int64_t n = a ? wq_tensor_count(a) : 0;
	unsigned set = 0;
	if (n == 0)
		return wq_attr_i(c->node, "noop_with_empty_axes") ? 0 : (1u << rank) - 1;
	for (int64_t i = 0; i < n; i++) {
		int64_t v = wq_tensor_get_i(a, i);
		set |= 1u << (v < 0 ? v + rank : v);
	}
	return set;
}

/* The operand with kept axes first and reduced axes last. */
static const char *to_rows(WqCall *c, unsigned set)
{
	const WqTensor *x = c->in[0];
	int64_t step[WQ_MAX_RANK], dim[WQ_MAX_RANK], of[WQ_MAX_RANK];
	int k = 0;
	wq_steps(x->rank, x->dim, step);
	for (unsigned kind = 0; kind < 2; kind++)
		for (int i = 0; i < x->rank; i++)
			if ((set >> i & 1) == kind) {
				dim[k] = x->dim[i];
				of[k++] = step[i];
			}
	char *p = wq_call_scratch(c, wq_tensor_count(x), wq_dtype_size(x->dtype));
	wq_move(c, wq_dtype_size(x->dtype), p, x->data, x->rank, dim, of);
	return p;
}

void eval_reduce(WqCall *c)
{
	const WqTensor *x = c->in[0];
	Reduce r = { .op = c->node->op,
		     .work = work_of(x->dtype),
		     .t = x->dtype,
		     .size = wq_dtype_size(x->dtype),
		     .x = x->data,
		     .y = &c->out[0],
		     .outer = 1,
		     .n = 1,
		     .inner = 1 };
	unsigned set = axes_of(c);
	int changes = 0;
	for (int i = 0, was = 0; i < x->rank; i++) {
		int now = set >> i & 1;
		if (x->dim[i] == 1)
			continue;
		changes += now != was;
		was = now;
		*(now ? &r.n : changes ? &r.inner : &r.outer) *= x->dim[i];
	}
	if (changes > 2) {
		r.x = to_rows(c, set);
		r.outer *= r.inner;
		r.inner = 1;
	}
	if (r.outer == 0 || r.inner == 0)
		return;
	if (r.inner == 1) {
		wq_parallel(c, r.outer, 32768 / (r.n + 1) + 1, row_part, &r);
	} else {
		int64_t blocks = (r.inner + EW_BLOCK - 1) / EW_BLOCK, width = r.inner < EW_BLOCK ? r.inner : EW_BLOCK;
		wq_parallel(c, r.outer * blocks, 32768 / ((r.n + 1) * width) + 1, column_part, &r);
	}
}
