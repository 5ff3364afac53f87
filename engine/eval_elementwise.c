/* eval_elementwise.c: broadcasting, and the operators that choose among operands. */
#include "engine/ew.h"

static void add_axis(EwPlan *p, int64_t dim, const int64_t *step)
{
	bool merge = p->rank > 0;
	int in = p->rank - 1; /* built innermost first */
	for (int k = 0; merge && k < p->n_op; k++)
		merge = step[k] == p->step[k][in] * p->dim[in];
	if (merge) {
		p->dim[in] *= dim;
		return;
	}
	p->dim[p->rank] = dim;
	for (int k = 0; k < p->n_op; k++)
		p->step[k][p->rank] = step[k];
	p->rank++;
}

static void reverse(EwPlan *p)
{
	for (int i = 0, j = p->rank - 1; i < j; i++, j--) {
		int64_t d = p->dim[i];
		p->dim[i] = p->dim[j], p->dim[j] = d;
		for (int k = 0; k < p->n_op; k++) {
			int64_t s = p->step[k][i];
			p->step[k][i] = p->step[k][j], p->step[k][j] = s;
		}
	}
}

void ew_plan(EwPlan *p, const WqTensor *out, int n_op, const WqTensor *const *op)
{
	int64_t run[3] = {1, 1, 1};
	*p = (EwPlan){.n_op = n_op, .count = wq_tensor_count(out)};
	if (!p->count)
		return;
	for (int i = 0; i < out->rank; i++) {
		int64_t d = out->dim[out->rank - 1 - i], step[3] = {0};
		for (int k = 0; k < n_op; k++) {
			int64_t own = i < op[k]->rank ? op[k]->dim[op[k]->rank - 1 - i] : 1;
			WQ_ASSERT(own == 1 || own == d);
			step[k] = own == 1 ? 0 : run[k];
			run[k] *= own;
		}
		if (d > 1)
			add_axis(p, d, step);
	}
	reverse(p);
}

void ew_repeat(EwPlan *p, const void **data, size_t size, WqArena *tmp)
{
	int64_t width = p->dim[1], rows = p->dim[0], times = 1024 / (width + 1);
	int which = -1;
	if (p->rank != 2 || times < 2 || rows < 2 * times)
		return;
	for (int k = 0; k < p->n_op; k++) {
		bool repeats = p->step[k][0] == 0 && p->step[k][1] == 1;
		bool dense = p->step[k][0] == width && p->step[k][1] == 1,
		     single = p->step[k][0] == 0 && p->step[k][1] == 0;
		if (repeats && which < 0)
			which = k;
		else if (!dense && !single)
			return;
	}
	if (which < 0)
		return;
	size_t row = (size_t)width * size;
	char *tile = wq_alloc_n(tmp, (size_t)times, row);
	for (int64_t i = 0; i < times; i++)
		memcpy(tile + (size_t)i * row, data[which], row);
	data[which] = tile;
	p->dim[0] = (rows + times - 1) / times; /* the last row may be a part of one */
	p->dim[1] = width * times;
	for (int k = 0; k < p->n_op; k++)
		p->step[k][0] *= times;
}

void ew_walk(const EwPlan *p, int64_t begin, int64_t end, EwRow *row, void *arg)
{
	int64_t idx[WQ_MAX_RANK] = {0}, off[3] = {0};
	int last = p->rank - 1;
	if (begin >= end)
		return;
	if (last < 0) {
		row(arg, off, 0, 1);
		return;
	}
	for (int64_t i = last, left = begin; i >= 0; i--) {
		idx[i] = left % p->dim[i];
		left /= p->dim[i];
		for (int k = 0; k < p->n_op; k++)
			off[k] += idx[i] * p->step[k][i];
	}
	for (int64_t at = begin; at < end;) {
		int64_t n = p->dim[last] - idx[last];
		n = n < end - at ? n : end - at;
		row(arg, off, at, n);
		at += n;
		idx[last] += n;
		for (int k = 0; k < p->n_op; k++)
			off[k] += n * p->step[k][last];
		for (int i = last; i > 0 && idx[i] == p->dim[i]; i--) {
			idx[i] = 0;
			idx[i - 1]++;
			for (int k = 0; k < p->n_op; k++)
				off[k] += p->step[k][i - 1] - p->dim[i] * p->step[k][i];
		}
	}
}

typedef struct Run {
	const EwPlan *p;
	EwRow *row;
	void *arg;
} Run;

static void run_part(void *arg, int64_t begin, int64_t end)
{
	const Run *r = arg;
	ew_walk(r->p, begin, end, r->row, r->arg);
}

void ew_run(const WqCall *c, const EwPlan *p, double cost, EwRow *row, void *arg)
{
	Run r = {p, row, arg};
	int64_t grain = (int64_t)(20000 / cost) + 1;
	if (p->count <= grain)
		ew_walk(p, 0, p->count, row, arg);
	else
		wq_parallel(c, p->count, grain, run_part, &r);
}

/* ---- 16-bit floats --------------------------------------------------------------------------- */

WQ_CLONES static void load_f16(const uint16_t *s, float *d, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		d[i] = vm_f16_load(s[i]);
}

WQ_CLONES static void load_bf16(const uint16_t *s, float *d, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		d[i] = vm_bf16_load(s[i]);
}

WQ_CLONES static void store_f16(uint16_t *d, const float *s, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		d[i] = vm_f16_store(s[i]);
}

WQ_CLONES static void store_bf16(uint16_t *d, const float *s, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		d[i] = vm_bf16_store(s[i]);
}

void ew_load_f32(WqDtype t, const void *src, int64_t at, float *dst, int64_t n)
{
	if (t == WQ_F16)
		load_f16((const uint16_t *)src + at, dst, n);
	else if (t == WQ_BF16)
		load_bf16((const uint16_t *)src + at, dst, n);
	else
		memcpy(dst, (const float *)src + at, (size_t)n * 4);
}

void ew_store_f32(WqDtype t, void *dst, int64_t at, const float *src, int64_t n)
{
	if (t == WQ_F16)
		store_f16((uint16_t *)dst + at, src, n);
	else if (t == WQ_BF16)
		store_bf16((uint16_t *)dst + at, src, n);
	else
		memcpy((float *)dst + at, src, (size_t)n * 4);
}

/* ---- Where: bytes move, whatever they mean --------------------------------------------------- */

typedef struct Choice {
	const EwPlan *p;
	const uint8_t *cond;
	const void *x, *y;
	void *out;
	size_t size;
} Choice;

#define CHOOSE(T) do { \
	const T *x = (const T *)w->x + off[1], *y = (const T *)w->y + off[2]; \
	T *o = (T *)w->out + at; \
	if (sc && sx && sy) { \
		WQ_IVDEP \
		for (int64_t i = 0; i < n; i++) \
			o[i] = c[i] ? x[i] : y[i]; \
	} else if (sc && sx) { \
		T v = *y; \
		WQ_IVDEP \
		for (int64_t i = 0; i < n; i++) \
			o[i] = c[i] ? x[i] : v; \
	} else if (sc && sy) { \
		T v = *x; \
		WQ_IVDEP \
		for (int64_t i = 0; i < n; i++) \
			o[i] = c[i] ? v : y[i]; \
	} else { \
		for (int64_t i = 0; i < n; i++) \
			o[i] = c[i * sc] ? x[i * sx] : y[i * sy]; \
	} \
} while (0)

WQ_CLONES static void where_row(void *arg, const int64_t *off, int64_t at, int64_t n)
{
	const Choice *w = arg;
	const uint8_t *c = w->cond + off[0];
	int64_t sc = ew_moves(w->p, 0), sx = ew_moves(w->p, 1), sy = ew_moves(w->p, 2);
	switch (w->size) {
	case 1: CHOOSE(uint8_t); break;
	case 2: CHOOSE(uint16_t); break;
	case 4: CHOOSE(uint32_t); break;
	case 8: CHOOSE(uint64_t); break;
	default: CHOOSE(WqString); break;
	}
}

void eval_where(WqCall *c)
{
	EwPlan p;
	ew_plan(&p, &c->out[0], 3, c->in);
	Choice w = {&p, c->in[0]->data, c->in[1]->data, c->in[2]->data, c->out[0].data, wq_dtype_size(c->out[0].dtype)};
	_Static_assert(sizeof(WqString) == 16, "complex numbers of 16 bytes are moved as strings");
	ew_run(c, &p, 1, where_row, &w);
}
