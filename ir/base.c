#include "ir/base.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- errors ---------------------------------------------------------------------------------- */

static _Thread_local WqTry *try_top;

void wq_try_push(WqTry *t)
{
	t->err.code = WQ_OK;
	t->err.text[0] = 0;
	t->up = try_top;
	try_top = t;
}

void wq_try_end(WqTry *t)
{
	WQ_ASSERT(try_top == t);
	try_top = t->up;
}

void wq_failv(int code, const char *fmt, va_list ap)
{
	WqTry *t = try_top;
	if (!t) {
		vfprintf(stderr, fmt, ap);
		fputc('\n', stderr);
		WQ_BUG("an error outside of any WqTry");
	}
	/* The message may quote another frame's text: format aside, then store. */
	char text[sizeof t->err.text];
	vsnprintf(text, sizeof text, fmt, ap);
	memcpy(t->err.text, text, sizeof text);
	t->err.code = code;
	try_top = t->up;
	longjmp(t->jb, 1);
}

void wq_fail(int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	wq_failv(code, fmt, ap);
}

void wq_try_passes(const WqTry *t)
{
	if (t->err.code == WQ_ENOMEM)
		wq_fail(WQ_ENOMEM, "%s", t->err.text);
}

void wq_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "wqcc: internal error at %s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

/* ---- raw memory ------------------------------------------------------------------------------- */

static bool (*alloc_deny)(size_t n);
static atomic_size_t alloc_limit;
static atomic_llong alloc_live;

void wq_alloc_set_deny(bool (*deny)(size_t n)) { alloc_deny = deny; }
int64_t wq_alloc_live(void) { return atomic_load(&alloc_live); }
void wq_alloc_set_limit(size_t bytes) { atomic_store(&alloc_limit, bytes); }

static size_t limit(void)
{
	size_t n = atomic_load(&alloc_limit);
	if (n == 0) {
		long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
		n = pages > 0 && size > 0 ? (size_t)pages * (size_t)size : SIZE_MAX / 4;
		atomic_store(&alloc_limit, n);
	}
	return n;
}

static void *raw(size_t n, bool zero)
{
	if (n == 0)
		n = 1;
	if (n > limit())
		wq_fail(WQ_ENOMEM, "out of memory: %zu bytes asked for, more than this machine has", n);
	void *p = NULL;
	size_t size = (n + 63) / 64 * 64 + 64;
	if (!alloc_deny || !alloc_deny(n)) {
		/* the block's own start stands just before the aligned one; calloc gets large zeroed blocks from the system for free */
		void *base = zero ? calloc(1, size) : malloc(size);
		if (base) {
			p = (void *)(((uintptr_t)base + 64) & ~(uintptr_t)63);
			((void **)p)[-1] = base;
		}
	}
	if (!p)
		wq_fail(WQ_ENOMEM, "out of memory (%zu bytes)", n);
	atomic_fetch_add_explicit(&alloc_live, 1, memory_order_relaxed);
	return p;
}

void *wq_raw_alloc(size_t n) { return raw(n, true); }
void *wq_raw_alloc_dirty(size_t n) { return raw(n, false); }

void wq_raw_free(void *p)
{
	if (!p)
		return;
	atomic_fetch_sub_explicit(&alloc_live, 1, memory_order_relaxed);
	free(((void **)p)[-1]);
}

/* ---- arenas ------------------------------------------------------------------------------------- */

typedef struct Block {
	struct Block *next;
	size_t used, size;
} Block;

typedef struct Deferred {
	struct Deferred *next;
	void (*fn)(void *);
	void *p;
} Deferred;

struct WqArena {
	Block *blocks;
	Deferred *deferred;
	size_t bytes;
};

enum { BLOCK = 1 << 16, HEAD = (sizeof(Block) + 63) / 64 * 64 };

WqArena *wq_arena_new(void) { return wq_raw_alloc(sizeof(WqArena)); }

void wq_arena_free(WqArena *a)
{
	if (!a)
		return;
	for (Deferred *d = a->deferred; d; d = d->next)
		d->fn(d->p);
	for (Block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		wq_raw_free(b);
	}
	wq_raw_free(a);
}

void *wq_alloc(WqArena *a, size_t n)
{
	if (n > SIZE_MAX / 4)
		wq_fail(WQ_ENOMEM, "out of memory: %zu bytes asked for", n);
	n = (n + 15) / 16 * 16;
	Block *b = a->blocks;
	if (!b || b->size - b->used < n) {
		bool own = n > BLOCK / 4;
		size_t size = own ? n : BLOCK;
		Block *fresh = wq_raw_alloc(HEAD + size);
		fresh->size = size;
		a->bytes += size;
		if (own && b) { /* keep filling the current block */
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			a->blocks = fresh;
		}
		b = fresh;
	}
	void *p = (char *)b + HEAD + b->used;
	b->used += n;
	return p;
}

void *wq_alloc_n(WqArena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		wq_fail(WQ_ENOMEM, "out of memory: %zu x %zu bytes asked for", n, size);
	return wq_alloc(a, bytes);
}

void wq_defer(WqArena *a, void (*fn)(void *), void *p)
{
	Deferred *d = WQ_NEW(a, Deferred);
	d->fn = fn;
	d->p = p;
	d->next = a->deferred;
	a->deferred = d;
}

size_t wq_arena_bytes(const WqArena *a) { return a->bytes; }

/* ---- strings ---------------------------------------------------------------------------------- */

char *wq_strndup(WqArena *a, const char *s, size_t n)
{
	char *p = wq_alloc(a, n + 1);
	memcpy(p, s, n);
	return p;
}

char *wq_strdup(WqArena *a, const char *s) { return wq_strndup(a, s, strlen(s)); }

/* What vsnprintf returned. */
static size_t length(int n)
{
	if (n < 0)
		wq_fail(WQ_EINPUT, "a text of more than 2 GB");
	return (size_t)n;
}

char *wq_sprintf(WqArena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	size_t n = length(vsnprintf(NULL, 0, fmt, ap));
	char *p = wq_alloc(a, n + 1);
	vsnprintf(p, n + 1, fmt, again);
	va_end(ap);
	va_end(again);
	return p;
}

static void str_room(WqStr *b, size_t more)
{
	if (b->n + more + 1 <= b->cap)
		return;
	size_t cap = b->cap ? b->cap : 256;
	while (cap < b->n + more + 1)
		cap *= 2;
	char *s = wq_alloc(b->a, cap);
	if (b->n)
		memcpy(s, b->s, b->n);
	b->s = s;
	b->cap = cap;
}

void wq_str_printf(WqStr *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	size_t n = length(vsnprintf(NULL, 0, fmt, ap));
	str_room(b, n);
	vsnprintf(b->s + b->n, n + 1, fmt, again);
	b->n += n;
	va_end(ap);
	va_end(again);
}

void wq_str_write(WqStr *b, const void *p, size_t n)
{
	str_room(b, n);
	if (n)
		memcpy(b->s + b->n, p, n);
	b->n += n;
	b->s[b->n] = 0;
}

/* ---- containers --------------------------------------------------------------------------------- */

void wq_vec_grow(WqArena *a, void **v, int *cap, int need, size_t size)
{
	if (need <= *cap)
		return;
	if (need > INT_MAX / 2)
		wq_fail(WQ_ENOMEM, "out of memory: a list of %d entries", need);
	int c = *cap ? *cap : 4;
	while (c < need)
		c *= 2;
	void *p = wq_alloc_n(a, (size_t)c, size);
	if (*cap)
		memcpy(p, *v, (size_t)*cap * size);
	*v = p;
	*cap = c;
}

typedef struct Entry {
	const char *key;
	void *value;
	uint64_t hash;
} Entry;

struct WqMap {
	WqArena *a;
	WQ_VEC(Entry) e;
	int *slot; /* index + 1, open addressing */
	int n_slot;
};

WqMap *wq_map_new(WqArena *a)
{
	WqMap *m = WQ_NEW(a, WqMap);
	m->a = a;
	m->n_slot = 16;
	m->slot = WQ_NEW_N(a, int, m->n_slot);
	return m;
}

static int *map_find(const WqMap *m, const char *key, uint64_t h)
{
	for (int i = (int)(h & (uint64_t)(m->n_slot - 1));; i = (i + 1) & (m->n_slot - 1)) {
		int k = m->slot[i];
		if (!k || (m->e.v[k - 1].hash == h && !strcmp(m->e.v[k - 1].key, key)))
			return &m->slot[i];
	}
}

void *wq_map_get(const WqMap *m, const char *key)
{
	int k = *map_find(m, key, wq_hash(key, strlen(key), 0));
	return k ? m->e.v[k - 1].value : NULL;
}

void wq_map_put(WqMap *m, const char *key, void *value)
{
	uint64_t h = wq_hash(key, strlen(key), 0);
	int *s = map_find(m, key, h);
	if (*s) {
		m->e.v[*s - 1].value = value;
		return;
	}
	Entry e = { wq_strdup(m->a, key), value, h };
	WQ_PUSH(m->a, m->e, e);
	*s = m->e.n;
	if (m->e.n * 2 > m->n_slot) {
		int n = m->n_slot * 2;
		int *slot = WQ_NEW_N(m->a, int, n);
		m->slot = slot;
		m->n_slot = n;
		for (int i = 0; i < m->e.n; i++)
			*map_find(m, m->e.v[i].key, m->e.v[i].hash) = i + 1;
	}
}

int wq_map_len(const WqMap *m) { return m->e.n; }

void *wq_map_at(const WqMap *m, int i, const char **key)
{
	if (key)
		*key = m->e.v[i].key;
	return m->e.v[i].value;
}

uint64_t wq_hash(const void *p, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(p, n, seed); }

int64_t wq_mul_checked(int64_t a, int64_t b, const char *what)
{
	int64_t r;
	if (__builtin_mul_overflow(a, b, &r))
		wq_fail(WQ_EINPUT, "%s: a size overflows 64 bits", what);
	return r;
}

int64_t wq_add_checked(int64_t a, int64_t b, const char *what)
{
	int64_t r;
	if (__builtin_add_overflow(a, b, &r))
		wq_fail(WQ_EINPUT, "%s: a size overflows 64 bits", what);
	return r;
}
