/* plan.c: packs what lives in the arena. Given when each item is alive, offsets such that what is alive at once does not overlap.
 *
 * Items are placed one after the other where they fit best, in several orders; the best plan then is the start of a search that gives
 * whatever ended at the top a better place in the order. The search counts its steps instead of looking at a clock, so that the plan
 * depends on nothing but the items.
 */
#include "codegen/codegen.h"

#include <stdlib.h>

typedef struct Item {
	int64_t size; /* rounded up to the alignment */
	int begin, end;
	int index;     /* in the caller's array */
	int rivals;    /* how many items are alive at some time that this one is, at most */
	int64_t crowd; /* the most bytes alive at once while this item is */
} Item;

typedef struct Span { /* bytes taken */
	int64_t from, to;
} Span;

typedef struct Packer {
	int n;
	Item *item;    /* by begin: a balanced tree whose root is the middle */
	int *max_end;  /* of the subtree at each item */
	int64_t *at;   /* offset; -1: not placed */
	int *placed;   /* by offset */
	int n_placed;
	Span *span;    /* taken by the rivals of the item at hand, by offset */
	int n_span;
	int64_t work;  /* steps so far */
	int64_t bound; /* no plan is smaller */
	int64_t best;  /* total of the best plan, and its offsets and order */
	int64_t *best_at;
	int *best_order, *order;
	uint64_t random;
} Packer;

typedef enum Fit { FIRST, TIGHT, N_FIT } Fit;
enum { SEARCH = 6000000, PATIENCE = 60 }; /* steps of the search (some 20 ms); trials without gain until it starts from the best again */

/* ---- what is alive with what --------------------------------------------------------------------- */

static int by_begin(const void *a, const void *b)
{
	const Item *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

typedef struct Death {
	int end;
	int64_t size;
} Death;

static int by_end(const void *a, const void *b)
{
	const Death *x = a, *y = b;
	return (x->end > y->end) - (x->end < y->end);
}

static int fill_tree(Packer *p, int lo, int hi)
{
	if (lo >= hi)
		return -1;
	int mid = lo + (hi - lo) / 2, most = p->item[mid].end;
	int left = fill_tree(p, lo, mid), right = fill_tree(p, mid + 1, hi);
	most = left > most ? left : most;
	return p->max_end[mid] = right > most ? right : most;
}

/* The largest of v[from..to) in a tree of 2n numbers whose leaves are its second half. */
static int64_t range_max(const int64_t *tree, int n, int from, int to)
{
	int64_t most = 0;
	for (from += n, to += n; from < to; from /= 2, to /= 2) {
		if (from & 1)
			most = tree[from] > most ? tree[from] : most, from++;
		if (to & 1)
			to--, most = tree[to] > most ? tree[to] : most;
	}
	return most;
}

/* The first item that begins after `step`. */
static int first_after(const Packer *p, int step)
{
	int lo = 0, n = p->n;
	while (n > 0) {
		int half = n / 2;
		if (p->item[lo + half].begin <= step)
			lo += half + 1, n -= half + 1;
		else
			n = half;
	}
	return lo;
}

/* Each item's rivals and crowd, and the bound: the most bytes alive at once. */
static void count_rivals(Packer *p, WqArena *a)
{
	Death *death = WQ_NEW_N(a, Death, p->n);
	int64_t *alive = WQ_NEW_N(a, int64_t, 2 * (int64_t)p->n); /* leaf k: when item k begins, with it */
	int *died = WQ_NEW_N(a, int, p->n);                       /* how many ended before */
	for (int i = 0; i < p->n; i++)
		death[i] = (Death){ p->item[i].end, p->item[i].size };
	qsort(death, (size_t)p->n, sizeof *death, by_end);
	int64_t bytes = 0;
	for (int i = 0, k = 0; i < p->n; i++) {
		for (; death[k].end < p->item[i].begin; k++)
			bytes -= death[k].size;
		died[i] = k;
		alive[p->n + i] = bytes += p->item[i].size;
		p->bound = bytes > p->bound ? bytes : p->bound;
	}
	for (size_t i = (size_t)p->n; i-- > 1;)
		alive[i] = alive[2 * i] > alive[2 * i + 1] ? alive[2 * i] : alive[2 * i + 1];
	for (int i = 0; i < p->n; i++) {
		int until = first_after(p, p->item[i].end);
		p->item[i].rivals = until - died[i];
		p->item[i].crowd = range_max(alive, p->n, i, until);
	}
}

/* ---- placing -------------------------------------------------------------------------------------- */

static bool rival(const Item *x, const Item *y) { return x->begin <= y->end && y->begin <= x->end; }

static void add_span(Packer *p, int i)
{
	p->span[p->n_span++] = (Span){ p->at[i], p->at[i] + p->item[i].size };
}

static void walk_tree(Packer *p, int lo, int hi, const Item *x)
{
	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;
		p->work++;
		if (p->max_end[mid] < x->begin)
			return;
		walk_tree(p, lo, mid, x);
		if (p->item[mid].begin > x->end)
			return;
		if (p->at[mid] >= 0 && p->item[mid].end >= x->begin)
			add_span(p, mid);
		lo = mid + 1;
	}
}

static int by_from(const void *a, const void *b)
{
	const Span *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

static void sort_spans(Packer *p)
{
	if (p->n_span > 48) {
		qsort(p->span, (size_t)p->n_span, sizeof *p->span, by_from);
		return;
	}
	for (int i = 1; i < p->n_span; i++) {
		Span s = p->span[i];
		int k = i;
		for (; k > 0 && p->span[k - 1].from > s.from; k--)
			p->span[k] = p->span[k - 1];
		p->span[k] = s;
	}
}

/* The bytes that x's rivals have taken, by offset. Few rivals are found by time and then sorted; many by walking over all. */
static void find_spans(Packer *p, const Item *x)
{
	p->n_span = 0;
	if ((int64_t)x->rivals * 8 < p->n_placed) {
		walk_tree(p, 0, p->n, x);
		sort_spans(p);
		return;
	}
	p->work += p->n_placed;
	for (int k = 0; k < p->n_placed; k++)
		if (rival(&p->item[p->placed[k]], x))
			add_span(p, p->placed[k]);
}

static int64_t fit(const Packer *p, int64_t size, Fit how)
{
	int64_t end = 0, tight = -1, at = -1;
	for (int k = 0; k < p->n_span; k++) {
		int64_t gap = p->span[k].from - end;
		if (gap >= size && (tight < 0 || gap < tight)) {
			tight = gap;
			at = end;
			if (how == FIRST)
				break;
		}
		end = p->span[k].to > end ? p->span[k].to : end;
	}
	return at < 0 ? end : at;
}

static void insert_placed(Packer *p, int i)
{
	int lo = 0, n = p->n_placed;
	while (n > 0) {
		int half = n / 2;
		if (p->at[p->placed[lo + half]] < p->at[i])
			lo += half + 1, n -= half + 1;
		else
			n = half;
	}
	memmove(p->placed + lo + 1, p->placed + lo, (size_t)(p->n_placed - lo) * sizeof *p->placed);
	p->placed[lo] = i;
	p->n_placed++;
}

/* Places all items in p->order; a better plan than before is kept. Returns where in the order the plan became no better, or -1. */
static int pack(Packer *p, Fit how)
{
	int64_t total = 0;
	p->n_placed = 0;
	for (int i = 0; i < p->n; i++)
		p->at[i] = -1;
	for (int k = 0; k < p->n; k++) {
		int i = p->order[k];
		find_spans(p, &p->item[i]);
		p->work += p->n_span + 1;
		p->at[i] = fit(p, p->item[i].size, how);
		int64_t top = p->at[i] + p->item[i].size;
		if (top >= p->best)
			return k;
		total = top > total ? top : total;
		insert_placed(p, i);
	}
	p->best = total;
	memcpy(p->best_at, p->at, (size_t)p->n * sizeof *p->at);
	memcpy(p->best_order, p->order, (size_t)p->n * sizeof *p->order);
	return -1;
}

/* ---- orders ----------------------------------------------------------------------------------------- */

typedef struct Key {
	double first, second;
	int item;
} Key;

static int by_key(const void *a, const void *b)
{
	const Key *x = a, *y = b;
	if (x->first != y->first)
		return x->first > y->first ? -1 : 1;
	if (x->second != y->second)
		return x->second > y->second ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

enum { SIZE, AREA, CROWD, LENGTH, BEGIN, N_ORDER };

/* What comes first: the larger, then the larger by the second measure. */
static Key key_of(const Item *x, int order)
{
	double size = (double)x->size, length = (double)x->end - x->begin + 1;
	switch (order) {
	case SIZE: return (Key){ size, length, 0 };
	case AREA: return (Key){ size * length, size, 0 };
	case CROWD: return (Key){ (double)x->crowd, size, 0 };
	case LENGTH: return (Key){ length, size, 0 };
	default: return (Key){ -(double)x->begin, size, 0 };
	}
}

static void make_order(Packer *p, int order, Key *key)
{
	for (int i = 0; i < p->n; i++) {
		key[i] = key_of(&p->item[i], order);
		key[i].item = i;
	}
	qsort(key, (size_t)p->n, sizeof *key, by_key);
	for (int i = 0; i < p->n; i++)
		p->order[i] = key[i].item;
}

static uint32_t roll(Packer *p, int n)
{
	p->random = p->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((p->random >> 33) % (uint64_t)n);
}

/* Moves the item at `from` to an earlier place in the order. */
static void promote(Packer *p, int from, int to)
{
	int i = p->order[from];
	memmove(p->order + to + 1, p->order + to, (size_t)(from - to) * sizeof *p->order);
	p->order[to] = i;
}

/* Whoever ended at the top, and now and then someone before, goes earlier, until nothing is gained or the steps are used up. */
static void search(Packer *p)
{
	int tried = 0;
	int64_t until = p->work + SEARCH;
	while (p->best > p->bound && p->work < until) {
		if (tried % PATIENCE == 0)
			memcpy(p->order, p->best_order, (size_t)p->n * sizeof *p->order);
		int64_t before = p->best;
		int k = pack(p, roll(p, 4) ? FIRST : TIGHT);
		tried = p->best < before ? 0 : tried + 1;
		if (k < 0)
			continue;
		if (k > 0)
			promote(p, k, (int)roll(p, k));
		if (k > 1 && !roll(p, 3)) {
			int other = 1 + (int)roll(p, k);
			promote(p, other, (int)roll(p, other));
		}
		p->work += p->n / 8;
	}
}

/* ---- the plan ----------------------------------------------------------------------------------------- */

static Packer *packer(const WqPlanItem *item, int n, int64_t align, WqArena *a)
{
	Packer *p = WQ_NEW(a, Packer);
	p->item = WQ_NEW_N(a, Item, n);
	for (int i = 0; i < n; i++) {
		WQ_ASSERT(item[i].bytes >= 0 && item[i].begin <= item[i].end);
		if (item[i].bytes) /* what is empty overlaps nothing */
			p->item[p->n++] = (Item){ wq_add_checked(item[i].bytes, align - 1, "arena") / align * align, item[i].begin, item[i].end, i, 0, 0 };
	}
	int64_t all = 0;
	for (int i = 0; i < p->n; i++)
		all = wq_add_checked(all, p->item[i].size, "arena");
	qsort(p->item, (size_t)p->n, sizeof *p->item, by_begin);
	p->max_end = WQ_NEW_N(a, int, p->n);
	p->at = WQ_NEW_N(a, int64_t, p->n);
	p->best_at = WQ_NEW_N(a, int64_t, p->n);
	p->placed = WQ_NEW_N(a, int, p->n + 1);
	p->order = WQ_NEW_N(a, int, p->n);
	p->best_order = WQ_NEW_N(a, int, p->n);
	p->span = WQ_NEW_N(a, Span, p->n);
	p->best = INT64_MAX;
	p->random = 1;
	fill_tree(p, 0, p->n);
	count_rivals(p, a);
	return p;
}

/* The largest sum of bytes alive at one step, from the items as they were given. */
static int64_t live_bytes(const Packer *p, const WqPlanItem *item, WqArena *a)
{
	Key *edge = WQ_NEW_N(a, Key, 2 * (int64_t)p->n);
	for (size_t i = 0; i < (size_t)p->n; i++) { /* by time, ends of the step before first */
		const Item *x = &p->item[i];
		edge[2 * i] = (Key){ -(double)x->begin, 0, x->index };
		edge[2 * i + 1] = (Key){ -((double)x->end + 1), 1, x->index };
	}
	qsort(edge, 2 * (size_t)p->n, sizeof *edge, by_key);
	int64_t live = 0, most = 0;
	for (int i = 0; i < 2 * p->n; i++) {
		live += edge[i].second > 0 ? -item[edge[i].item].bytes : item[edge[i].item].bytes;
		most = live > most ? live : most;
	}
	return most;
}

int64_t wq_plan(WqPlanItem *item, int n, int64_t align, int64_t *live, WqArena *a)
{
	Packer *p = packer(item, n, align, a);
	Key *key = WQ_NEW_N(a, Key, p->n);
	int64_t enough = 4 * (int64_t)SEARCH;
	for (int order = 0; order < N_ORDER; order++)
		for (Fit how = FIRST; how < N_FIT && p->best > p->bound && (p->best == INT64_MAX || p->work < enough); how++) {
			make_order(p, order, key);
			pack(p, how);
		}
	if (p->work < enough)
		search(p);
	for (int i = 0; i < n; i++)
		item[i].offset = 0;
	int64_t total = 0;
	for (int i = 0; i < p->n; i++) {
		WqPlanItem *x = &item[p->item[i].index];
		x->offset = p->best_at[i];
		total = x->offset + x->bytes > total ? x->offset + x->bytes : total;
	}
	*live = live_bytes(p, item, a);
	return total;
}
