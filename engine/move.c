/* move.c: strided copies. Axes that step alike are merged; then one of three loops runs: rows of bytes, tiles when the
 * elements that are neighbours in the source lie along another axis of the result, or single elements. */
#include "engine/move.h"

typedef struct Move {
	size_t size;
	int rank;
	int64_t dim[WQ_MAX_RANK], step[WQ_MAX_RANK], to[WQ_MAX_RANK]; /* to: steps of the result */
	int inner; /* axes that a single job handles, at the end of the list */
	char *dst;
	const char *src;
} Move;

void wq_steps(int rank, const int64_t *dim, int64_t *step)
{
	int64_t run = 1;
	for (int i = rank - 1; i >= 0; i--) {
		step[i] = run;
		run *= dim[i];
	}
}

static void merge_axes(Move *m, int rank, const int64_t *dim, const int64_t *step)
{
	m->rank = 0;
	for (int i = 0; i < rank; i++) {
		if (dim[i] == 1)
			continue;
		int last = m->rank - 1;
		if (last >= 0 && m->step[last] == step[i] * dim[i]) {
			m->dim[last] *= dim[i];
			m->step[last] = step[i];
			continue;
		}
		m->dim[m->rank] = dim[i];
		m->step[m->rank++] = step[i];
	}
	wq_steps(m->rank, m->dim, m->to);
}

#define BY_SIZE(size, M) \
	switch (size) { \
	case 1: M(uint8_t); break; \
	case 2: M(uint16_t); break; \
	case 4: M(uint32_t); break; \
	case 8: M(uint64_t); break; \
	default: M(WqString); break; \
	}

void wq_fill(size_t size, void *dst, const void *v, int64_t n)
{
#define FILL(T) do { \
	T x, *d = dst; \
	memcpy(&x, v, sizeof x); \
	for (int64_t i = 0; i < n; i++) \
		d[i] = x; \
} while (0)
	BY_SIZE(size, FILL)
#undef FILL
}

static void copy_line(const Move *m, char *dst, const char *src, int64_t n, int64_t step)
{
	if (step == 1) {
		memcpy(dst, src, (size_t)n * m->size);
		return;
	}
	if (step == 0) {
		wq_fill(m->size, dst, src, n);
		return;
	}
#define LINE(T) do { \
	T *d = (T *)dst; \
	const T *s = (const T *)src; \
	for (int64_t i = 0; i < n; i++) \
		d[i] = s[i * step]; \
} while (0)
	BY_SIZE(m->size, LINE)
#undef LINE
}

/* rows x cols elements: source neighbours along rows, result neighbours along cols. */
static void copy_tile(const Move *m, char *dst, const char *src, int64_t rows, int64_t to, int64_t cols, int64_t step)
{
	enum { T_ROWS = 16, T_COLS = 16 };
#define TILE(T) do { \
	T *d = (T *)dst; \
	const T *s = (const T *)src; \
	for (int64_t c0 = 0; c0 < cols; c0 += T_COLS) \
		for (int64_t r0 = 0; r0 < rows; r0 += T_ROWS) { \
			int64_t c1 = c0 + T_COLS < cols ? c0 + T_COLS : cols; \
			int64_t r1 = r0 + T_ROWS < rows ? r0 + T_ROWS : rows; \
			for (int64_t r = r0; r < r1; r++) \
				for (int64_t c = c0; c < c1; c++) \
					d[r * to + c] = s[c * step + r]; \
		} \
} while (0)
	BY_SIZE(m->size, TILE)
#undef TILE
}

/* Jobs [begin, end) of the outer axes. */
static void move_part(void *arg, int64_t begin, int64_t end)
{
	const Move *m = arg;
	int outer = m->rank - m->inner;
	for (int64_t job = begin; job < end; job++) {
		int64_t rest = job, from = 0, to = 0;
		for (int i = outer - 1; i >= 0; i--) {
			int64_t k = rest % m->dim[i];
			rest /= m->dim[i];
			from += k * m->step[i];
			to += k * m->to[i];
		}
		char *dst = m->dst + to * (int64_t)m->size;
		const char *src = m->src + from * (int64_t)m->size;
		if (m->inner == 0)
			memcpy(dst, src, m->size);
		else if (m->inner == 1)
			copy_line(m, dst, src, m->dim[outer], m->step[outer]);
		else
			copy_tile(m, dst, src, m->dim[outer], m->to[outer], m->dim[outer + 1], m->step[outer + 1]);
	}
}

/* Moves axis i to just before the last, so that a tile is the two last axes. */
static void tile_axis(Move *m, int i)
{
	int to = m->rank - 2;
	int64_t d = m->dim[i], s = m->step[i], t = m->to[i];
	for (; i < to; i++)
		m->dim[i] = m->dim[i + 1], m->step[i] = m->step[i + 1], m->to[i] = m->to[i + 1];
	m->dim[to] = d, m->step[to] = s, m->to[to] = t;
}

void wq_move(const WqCall *c, size_t size, void *dst, const void *src, int rank, const int64_t *dim,
	     const int64_t *step)
{
	Move m = {.size = size, .dst = dst, .src = src};
	for (int i = 0; i < rank; i++)
		if (dim[i] == 0)
			return;
	merge_axes(&m, rank, dim, step);
	m.inner = m.rank ? 1 : 0;
	int last = m.rank - 1;
	if (m.rank > 1 && m.step[last] != 1 && m.step[last] != 0)
		for (int i = last - 1; i >= 0; i--)
			if (m.step[i] == 1 && m.dim[i] > 1) {
				tile_axis(&m, i);
				m.inner = 2;
				break;
			}
	int64_t jobs = wq_product(m.dim, 0, m.rank - m.inner);
	int64_t each = wq_product(m.dim, m.rank - m.inner, m.rank) * (int64_t)size;
	if (c && jobs > 1 && jobs * each > (1 << 18))
		wq_parallel(c, jobs, (1 << 17) / each + 1, move_part, &m);
	else
		move_part(&m, 0, jobs);
}

static void free_slot(void *p) { wq_raw_free(*(void **)p); }

void *wq_call_scratch(const WqCall *c, int64_t count, size_t size)
{
	void **slot = WQ_NEW(c->tmp, void *);
	wq_defer(c->tmp, free_slot, slot); /* first: it may fail, too */
	*slot = wq_raw_alloc_dirty((size_t)wq_mul_checked(count, (int64_t)size, "scratch memory"));
	return *slot;
}

int64_t *wq_call_indices(const WqCall *c, int operand, int64_t n)
{
	const WqTensor *t = c->in[operand];
	int64_t count = wq_tensor_count(t);
	int64_t *v = WQ_NEW_N(c->tmp, int64_t, count + 1);
	for (int64_t i = 0; i < count; i++) {
		v[i] = t->dtype == WQ_I32 ? ((const int32_t *)t->data)[i] : ((const int64_t *)t->data)[i];
		int64_t k = v[i] < 0 ? v[i] + n : v[i];
		if (k < 0 || k >= n)
			wq_call_fail(c, "index %lld (element %lld) is out of range for %lld entries", (long long)v[i],
				     (long long)i, (long long)n);
		v[i] = k;
	}
	return v;
}
