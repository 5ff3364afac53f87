/* weights.c: the constants that kernels read: where each stands, and their bytes, one at a time. */
#include "codegen/program.h"

static bool same_pack(const WqWeight *w, const WqValue *v, const WqPack *pack)
{
	if (w->v->data != v->data || w->packed != (pack != NULL))
		return false;
	return !pack || (w->pack.bytes == pack->bytes && w->pack.fill == pack->fill && !strcmp(w->pack.layout, pack->layout) &&
			 !memcmp(w->pack.a, pack->a, sizeof pack->a));
}

WqWeight *wq_weight(WqBuild *b, const WqValue *v, const WqPack *pack)
{
	for (WqWeight *w = b->p->weights; w; w = w->next)
		if (same_pack(w, v, pack))
			return w;
	WqWeight *w = WQ_NEW(b->a, WqWeight);
	w->v = v;
	w->packed = pack != NULL;
	if (pack)
		w->pack = *pack;
	w->bytes = pack ? pack->bytes : wq_tensor_count(v->data) * (int64_t)wq_dtype_size(v->data->dtype);
	w->offset = (b->p->weights_bytes + 63) / 64 * 64;
	b->p->weights_bytes = w->offset + w->bytes;
	if (b->last_weight)
		b->last_weight->next = w;
	else
		b->p->weights = w;
	b->last_weight = w;
	return w;
}

static void write_weight(const WqWeight *w, void (*sink)(void *arg, const void *p, size_t n), void *arg)
{
	const WqTensor *t = w->v->data;
	if (!w->packed && !t->packed) {
		sink(arg, t->data, (size_t)w->bytes);
		return;
	}
	void *buf = wq_raw_alloc((size_t)w->bytes);
	WqTry try;
	if (WQ_TRY(&try)) {
		if (w->packed)
			w->pack.fill(&w->pack, t, buf);
		else
			wq_unpack(t->dtype, t->data, buf, wq_tensor_count(t));
		sink(arg, buf, (size_t)w->bytes);
		wq_try_end(&try);
		wq_raw_free(buf);
	} else {
		wq_raw_free(buf);
		wq_fail(try.err.code, "%s", try.err.text);
	}
}

void wq_program_weights(const WqProgram *p, void (*sink)(void *arg, const void *p, size_t n), void *arg)
{
	static const char zero[64];
	int64_t at = 0;
	for (const WqWeight *w = p->weights; w; w = w->next) {
		sink(arg, zero, (size_t)(w->offset - at));
		write_weight(w, sink, arg);
		at = w->offset + w->bytes;
	}
}
