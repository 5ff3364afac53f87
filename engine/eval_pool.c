/* eval_pool.c: MaxPool and AveragePool over any number of spatial axes. The positions that a window reads are listed once
 * and used for every plane of a chunk. */
#include "engine/arith.h"
#include "engine/exec.h"
#include "ir/window.h"

typedef struct Pool {
	WqWindow w;
	WqDtype type; /* computed on */
	const char *x;
	char *y;
	int64_t *index; /* MaxPool's second result, or NULL */
	int64_t in_plane, out_plane, most; /* positions in a window at most */
	bool column_major, count_pad, average;
} Pool;

/* What a window covers: positions of the input plane in order, and its size counting the padding. */
typedef struct Cover {
	int64_t *at, *name; /* position; as the indices count it (column major, or the same) */
	int64_t n, padded;
} Cover;

/* The taps of axis d whose position lies in [lo, hi). */
static void taps_within(const WqWindow *w, int d, int64_t o, int64_t lo, int64_t hi, int64_t *first, int64_t *last)
{
	int64_t start = o * w->stride[d] - w->begin[d], dil = w->dilation[d];
	*first = start < lo ? (lo - start + dil - 1) / dil : 0;
	*last = hi > start ? (hi - start + dil - 1) / dil : 0;
	if (*last > w->kernel[d])
		*last = w->kernel[d];
}

static void cover(const Pool *p, int64_t o, Cover *v)
{
	const WqWindow *w = &p->w;
	int n = w->n;
	int64_t first[WQ_MAX_RANK] = { 0 }, last[WQ_MAX_RANK] = { 0 }, tap[WQ_MAX_RANK] = { 0 }, place[WQ_MAX_RANK] = { 0 }, a, b;
	bool empty = false;
	v->n = 0;
	v->padded = 1;
	for (int d = n - 1; d >= 0; d--) {
		int64_t at = o % w->out[d];
		o /= w->out[d];
		taps_within(w, d, at, 0, w->in[d], &first[d], &last[d]);
		taps_within(w, d, at, -w->begin[d], w->in[d] + w->end[d], &a, &b);
		v->padded *= b > a ? b - a : 0;
		empty |= first[d] >= last[d];
		tap[d] = first[d];
		place[d] = at * w->stride[d] - w->begin[d];
	}
	while (!empty) {
		int64_t row = 0, col = 0;
		for (int d = 0; d < n; d++)
			row = row * w->in[d] + place[d] + tap[d] * w->dilation[d];
		for (int d = n - 1; d >= 0 && p->column_major; d--)
			col = col * w->in[d] + place[d] + tap[d] * w->dilation[d];
		v->at[v->n] = row;
		v->name[v->n++] = p->column_major ? col : row;
		int d = n - 1;
		while (d >= 0 && ++tap[d] == last[d]) {
			tap[d] = first[d];
			d--;
		}
		empty = d < 0;
	}
}

/* The first of the largest; a NaN is larger than anything. An empty window has the least value there is. */
#define MAX_OF(NAME, T, LEAST) \
	static int64_t max_##NAME(const void *x, void *y, const Cover *v) \
	{ \
		const T *p = x; \
		T best = LEAST; \
		int64_t at = -1; \
		for (int64_t i = 0; i < v->n; i++) { \
			T e = p[v->at[i]]; \
			if (at < 0 || e > best || (e != e && best == best)) { \
				best = e; \
				at = v->name[i]; \
			} \
		} \
		*(T *)y = best; \
		return at; \
	}
MAX_OF(F32, float, -__builtin_inff())
MAX_OF(F64, double, -__builtin_inf())
MAX_OF(I8, int8_t, INT8_MIN)
MAX_OF(U8, uint8_t, 0)
MAX_OF(I16, int16_t, INT16_MIN)
MAX_OF(U16, uint16_t, 0)
MAX_OF(I32, int32_t, INT32_MIN)
MAX_OF(U32, uint32_t, 0)
MAX_OF(I64, int64_t, INT64_MIN)
MAX_OF(U64, uint64_t, 0)

typedef int64_t MaxFn(const void *x, void *y, const Cover *v);
static MaxFn *const max_of[WQ_NUM_DTYPES] = {
#define ROW(NAME, T, A) [WQ_##NAME] = max_##NAME,
	WQ_ARITH_TYPES(ROW)
};

static void average_of(const Pool *p, const void *x, void *y, const Cover *v)
{
	double sum = 0;
	int64_t n = p->count_pad ? v->padded : v->n;
	for (int64_t i = 0; i < v->n; i++)
		sum += p->type == WQ_F64 ? ((const double *)x)[v->at[i]] : (double)((const float *)x)[v->at[i]];
	sum = n ? sum / (double)n : 0;
	if (p->type == WQ_F64)
		*(double *)y = sum;
	else
		*(float *)y = (float)sum;
}

static void planes(void *arg, int64_t begin, int64_t end)
{
	const Pool *p = arg;
	size_t size = wq_dtype_size(p->type);
	Cover v = { 0 };
	v.at = wq_raw_alloc_dirty(2 * (size_t)p->most * sizeof *v.at);
	v.name = v.at + p->most;
	for (int64_t o = 0; o < p->out_plane; o++) {
		cover(p, o, &v);
		for (int64_t i = begin; i < end; i++) {
			const char *x = p->x + (size_t)(i * p->in_plane) * size;
			char *y = p->y + (size_t)(i * p->out_plane + o) * size;
			if (p->average) {
				average_of(p, x, y, &v);
				continue;
			}
			int64_t at = max_of[p->type](x, y, &v);
			if (p->index)
				p->index[i * p->out_plane + o] = at < 0 ? -1 : i * p->in_plane + at;
		}
	}
	wq_raw_free(v.at);
}

static void pool(WqCall *c, bool average)
{
	if (c->e)
		wq_layout_operand(c, 0, false);
	const WqTensor *x = c->in[0];
	int n = x->rank - 2;
	Pool p = { .type = wq_wide_type(x->dtype), .average = average, .in_plane = 1, .out_plane = 1, .most = 1 };
	const char *bad = wq_window_attrs(c->node, n, NULL, &p.w);
	memcpy(p.w.in, x->dim + 2, (size_t)n * sizeof *p.w.in);
	if (!bad)
		bad = wq_window_resolve(c->node, &p.w);
	if (bad)
		wq_call_fail(c, "%s", bad);
	for (int d = 0; d < n; d++) {
		p.in_plane *= p.w.in[d];
		p.out_plane *= p.w.out[d];
		p.most *= p.w.kernel[d] < p.w.in[d] ? p.w.kernel[d] : p.w.in[d];
	}
	p.count_pad = average && wq_attr_i(c->node, "count_include_pad");
	p.column_major = !average && wq_attr_i(c->node, "column_major");
	p.index = c->n_out > 1 ? c->out[1].data : NULL;
	p.x = wq_wide_in(c, x);
	void *to = wq_wide_out(c, 0);
	p.y = to;
	wq_parallel(c, x->dim[0] * x->dim[1], 8, planes, &p);
	wq_wide_done(c, 0, to);
}

void eval_max_pool(WqCall *c)
{
	if (wq_tensor_count(&c->out[0]) && (c->plain || !wq_dnnl_pool(c)))
		pool(c, false);
}

void eval_average_pool(WqCall *c)
{
	if (wq_tensor_count(&c->out[0]) && (c->plain || !wq_dnnl_pool(c)))
		pool(c, true);
}
