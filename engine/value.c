/* value.c: runtime values. Values and the memory behind tensors are counted apart, so that a view shares its memory. */
#include "engine/exec.h"

static _Thread_local WqMemStat stat;

WqMemStat *wq_mem_stat(void) { return &stat; }

/* The memory of n bytes; `drop` is freed first if there is none. */
static void *alloc_or_drop(size_t n, bool dirty, void *drop)
{
	WqTry t;
	if (WQ_TRY(&t)) {
		void *p = dirty ? wq_raw_alloc_dirty(n) : wq_raw_alloc(n);
		wq_try_end(&t);
		return p;
	}
	wq_raw_free(drop);
	wq_fail(t.err.code, "%s", t.err.text);
}

/* Header and data are one block: the data starts at the next multiple of 64. */
enum { BUF_HEAD = 64 };
_Static_assert(sizeof(WqBuf) <= BUF_HEAD, "the header of a buffer fits before its data");

static WqBuf *buf_new(size_t bytes, bool counted, void *drop)
{
	WqBuf *b = alloc_or_drop(BUF_HEAD + bytes, true, drop);
	*b = (WqBuf){ .refs = 1, .counted = counted, .bytes = bytes, .data = (char *)b + BUF_HEAD };
	if (counted) {
		stat.live += (int64_t)bytes;
		if (stat.live > stat.peak)
			stat.peak = stat.live;
	}
	return b;
}

void wq_buf_unref(WqBuf *b)
{
	if (!b || --b->refs > 0)
		return;
	if (b->counted)
		stat.live -= (int64_t)b->bytes;
	wq_raw_free(b);
}

static WqRt *rt_new(int kind)
{
	WqRt *v = wq_raw_alloc(sizeof *v);
	v->refs = 1;
	v->kind = (uint8_t)kind;
	return v;
}

static WqRt *tensor_new(WqDtype t, int rank, const int64_t *dim, bool counted)
{
	WQ_ASSERT(rank >= 0 && rank <= WQ_MAX_RANK);
	int64_t n = wq_shape_count(rank, dim, "a tensor");
	int64_t bytes = wq_mul_checked(n, (int64_t)wq_dtype_size(t), "a tensor");
	WqRt *v = rt_new(WQ_TENSOR);
	v->t.dtype = t;
	v->t.rank = rank;
	if (rank)
		memcpy(v->t.dim, dim, (size_t)rank * sizeof *dim);
	v->buf = buf_new((size_t)bytes, counted, v);
	v->t.data = v->buf->data;
	return v;
}

WqRt *wq_rt_tensor(WqDtype t, int rank, const int64_t *dim) { return tensor_new(t, rank, dim, true); }

/* The alignment evaluators may count on: of the element, or of half of it for complex ones. */
static size_t dtype_align(WqDtype t)
{
	size_t n = t == WQ_STR ? sizeof(void *) : wq_dtype_size(t);
	return n > 8 ? 8 : n;
}

/* Copies that only stand for data of someone else's are not memory of the run: they are not counted. */
WqRt *wq_rt_borrow(const WqTensor *t)
{
	if (!t->packed && (uintptr_t)t->data % dtype_align(t->dtype) == 0) {
		WqRt *v = rt_new(WQ_TENSOR);
		v->t = *t;
		return v;
	}
	WqRt *v = tensor_new(t->dtype, t->rank, t->dim, false);
	if (t->packed)
		wq_unpack(t->dtype, t->data, v->t.data, wq_tensor_count(t));
	else
		memcpy(v->t.data, t->data, wq_tensor_bytes(t));
	return v;
}

WqRt *wq_rt_view(WqRt *of, int rank, const int64_t *dim)
{
	WqRt *v = rt_new(WQ_TENSOR);
	v->t = of->t;
	v->t.rank = rank;
	if (rank)
		memcpy(v->t.dim, dim, (size_t)rank * sizeof *dim);
	v->buf = of->buf;
	if (v->buf)
		v->buf->refs++;
	return v;
}

WqRt *wq_rt_list(int kind, const WqType *elem, int n, WqRt *const *elems)
{
	WqRt *v = rt_new(kind);
	v->elem = *elem;
	v->elems = alloc_or_drop((size_t)n * sizeof *elems, false, v);
	v->n = n;
	for (int i = 0; i < n; i++)
		v->elems[i] = wq_rt_ref(elems[i]);
	return v;
}

WqRt *wq_rt_ref(WqRt *v)
{
	v->refs++;
	return v;
}

void wq_rt_unref(WqRt *v)
{
	if (!v || --v->refs > 0)
		return;
	wq_buf_unref(v->buf);
	for (int i = 0; i < v->n; i++)
		wq_rt_unref(v->elems[i]);
	wq_raw_free(v->elems);
	wq_raw_free(v);
}

/* The element's type of a list stays in the value. */
WqType wq_rt_type(WqModule *m, const WqRt *v)
{
	(void)m;
	if (v->kind == WQ_TENSOR)
		return wq_type_of_tensor(&v->t);
	return (WqType){ .kind = v->kind, .rank = -1, .elem = &v->elem };
}
