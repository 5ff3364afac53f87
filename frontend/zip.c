/* zip.c: zip archives, as far as .npz files need them.
 *
 * Reading starts at the end record (22 bytes and a comment, signature PK\5\6), goes through the central directory, and
 * checks each member's local header against it. Numbers that do not fit stand in a zip64 end record or extra field.
 * Members must not share bytes, so all of them together inflate to at most 1032 times the file.
 */
#include "frontend/frontend.h"

#include <zlib.h>

enum {
	END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50, CENTRAL = 0x02014b50, LOCAL = 0x04034b50,
	END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, CENTRAL_SIZE = 46, LOCAL_SIZE = 30,
	STORED = 0, DEFLATED = 8,
};
#define BIG 0xffffffffu

/* ---- reading ------------------------------------------------------------------------------------------- */

typedef struct Zip {
	WqArena *a;
	const uint8_t *p;
	size_t n;
	const char *what;
	z_stream *inflate; /* one for all members; its memory is the arena's */
} Zip;

typedef struct Entry { /* of the central directory */
	const char *name;
	uint64_t packed, size, local;
	uint32_t crc;
	int method;
} Entry;

static uint64_t get(const Zip *z, uint64_t at, int bytes)
{
	uint64_t v = 0;
	if (at > z->n || z->n - at < (uint64_t)bytes)
		wq_fail(WQ_EINPUT, "%s: not a valid zip archive: it is cut off", z->what);
	memcpy(&v, z->p + at, (size_t)bytes);
	return v;
}

static uint64_t find_end(const Zip *z)
{
	for (size_t back = END_SIZE; back <= z->n && back <= END_SIZE + 65535; back++)
		if (get(z, z->n - back, 4) == END && get(z, z->n - back + 20, 2) + END_SIZE == back)
			return z->n - back;
	wq_fail(WQ_EINPUT, "%s: not a zip archive: no end record", z->what);
}

/* The zip64 extra field holds, in this order, whichever of the three did not fit. */
static void widen(const Zip *z, Entry *e, uint64_t at, uint64_t end)
{
	while (end - at >= 4) {
		uint64_t id = get(z, at, 2), n = get(z, at + 2, 2);
		at += 4;
		if (n > end - at)
			break;
		if (id == 1) {
			uint64_t *field[] = { &e->size, &e->packed, &e->local }, stop = at + n;
			for (int i = 0; i < 3; i++) {
				if (*field[i] != BIG)
					continue;
				if (stop - at < 8)
					wq_fail(WQ_EINPUT, "%s: '%s': bad zip64 field", z->what, e->name);
				*field[i] = get(z, at, 8);
				at += 8;
			}
			return;
		}
		at += n;
	}
}

static Entry entry_at(const Zip *z, uint64_t *at)
{
	if (get(z, *at, 4) != CENTRAL)
		wq_fail(WQ_EINPUT, "%s: not a valid zip archive: no directory entry at offset %llu", z->what,
			(unsigned long long)*at);
	uint64_t flags = get(z, *at + 8, 2), name = get(z, *at + 28, 2), extra = get(z, *at + 30, 2);
	Entry e = { .method = (int)get(z, *at + 10, 2), .crc = (uint32_t)get(z, *at + 16, 4),
		    .packed = get(z, *at + 20, 4), .size = get(z, *at + 24, 4), .local = get(z, *at + 42, 4) };
	uint64_t next = *at + CENTRAL_SIZE + name + extra + get(z, *at + 32, 2);
	if (next > z->n)
		wq_fail(WQ_EINPUT, "%s: not a valid zip archive: its directory is cut off", z->what);
	e.name = wq_strndup(z->a, (const char *)z->p + *at + CENTRAL_SIZE, (size_t)name);
	widen(z, &e, *at + CENTRAL_SIZE + name, *at + CENTRAL_SIZE + name + extra);
	if (flags & 1)
		wq_fail(WQ_EUNSUPPORTED, "%s: '%s' is encrypted", z->what, e.name);
	*at = next;
	return e;
}

static void *z_alloc(void *a, unsigned n, unsigned size) { return wq_alloc_n(a, n, size); }
static void z_free(void *a, void *p) { (void)a, (void)p; }

static bool inflate_all(Zip *z, const uint8_t *from, uint64_t n, uint8_t *to, uint64_t size)
{
	z_stream *s = z->inflate;
	if (!s) {
		s = z->inflate = WQ_NEW(z->a, z_stream);
		*s = (z_stream){ .zalloc = z_alloc, .zfree = z_free, .opaque = z->a };
		WQ_ASSERT(inflateInit2(s, -MAX_WBITS) == Z_OK);
	}
	inflateReset(s);
	s->next_in = (Bytef *)from;
	s->next_out = to;
	int r = Z_OK;
	while (r == Z_OK) {
		uint64_t in = n - (uint64_t)(s->next_in - from), out = size - (uint64_t)(s->next_out - to);
		uInt give = in < BIG ? (uInt)in : BIG, room = out < BIG ? (uInt)out : BIG;
		s->avail_in = give;
		s->avail_out = room;
		r = inflate(s, Z_NO_FLUSH);
		if (s->avail_in == give && s->avail_out == room && r == Z_OK)
			break;
	}
	return r == Z_STREAM_END && (uint64_t)(s->next_out - to) == size;
}

static uint32_t crc_of(uint32_t crc, const void *p, size_t n) { return (uint32_t)crc32_z(crc, p, n); }

static ZipMember extract(Zip *z, const Entry *e)
{
	if (get(z, e->local, 4) != LOCAL)
		wq_fail(WQ_EINPUT, "%s: '%s': no header at its offset", z->what, e->name);
	uint64_t at = e->local + LOCAL_SIZE + get(z, e->local + 26, 2) + get(z, e->local + 28, 2);
	if (at > z->n || e->packed > z->n - at)
		wq_fail(WQ_EINPUT, "%s: '%s' is cut off", z->what, e->name);
	ZipMember m = { e->name, z->p + at, (size_t)e->size };
	if (e->method == STORED) {
		if (e->packed != e->size)
			wq_fail(WQ_EINPUT, "%s: '%s' is stored, with two different sizes", z->what, e->name);
	} else if (e->method == DEFLATED) {
		if (e->size / 1032 > e->packed)
			wq_fail(WQ_EINPUT, "%s: '%s': %llu bytes cannot inflate to %llu", z->what, e->name,
				(unsigned long long)e->packed, (unsigned long long)e->size);
		uint8_t *to = wq_alloc(z->a, (size_t)e->size);
		if (!inflate_all(z, m.p, e->packed, to, e->size))
			wq_fail(WQ_EINPUT, "%s: '%s': damaged compressed data", z->what, e->name);
		m.p = to;
	} else {
		wq_fail(WQ_EUNSUPPORTED, "%s: '%s': compression method %d (only stored and deflate are known)", z->what,
			e->name, e->method);
	}
	if (crc_of(0, m.p, m.n) != e->crc)
		wq_fail(WQ_EINPUT, "%s: '%s': the checksum does not match", z->what, e->name);
	return m;
}

/* Where the directory starts and how many entries it has. */
static uint64_t directory(const Zip *z, uint64_t *n)
{
	uint64_t end = find_end(z), at = get(z, end + 16, 4);
	*n = get(z, end + 10, 2);
	if (end < LOCATOR_SIZE || get(z, end - LOCATOR_SIZE, 4) != LOCATOR64)
		return at;
	uint64_t end64 = get(z, end - LOCATOR_SIZE + 8, 8);
	if (get(z, end64, 4) != END64)
		wq_fail(WQ_EINPUT, "%s: not a valid zip archive: no zip64 end record", z->what);
	*n = get(z, end64 + 32, 8);
	return get(z, end64 + 48, 8);
}

ZipMember *zip_read(WqArena *a, const uint8_t *p, size_t n, const char *what, int *count)
{
	Zip z = { a, p, n, what, NULL };
	uint64_t entries, at = directory(&z, &entries), left = n;
	if (entries > n / CENTRAL_SIZE)
		wq_fail(WQ_EINPUT, "%s: not a valid zip archive: %llu members in %zu bytes", what,
			(unsigned long long)entries, n);
	WQ_VEC(ZipMember) v = { 0 };
	for (uint64_t i = 0; i < entries; i++) {
		Entry e = entry_at(&z, &at);
		if (e.packed > left)
			wq_fail(WQ_EINPUT, "%s: its members overlap", what);
		left -= e.packed;
		WQ_PUSH(a, v, extract(&z, &e));
	}
	*count = v.n;
	return v.v;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

typedef struct Written {
	const char *name;
	uint64_t size, local;
	uint32_t crc;
} Written;

struct ZipOut {
	WqArena *a;
	WqFileOut *f;
	uint64_t at;
	WQ_VEC(Written) done;
};

static void put(ZipOut *z, uint64_t v, int bytes)
{
	wq_file_write(z->f, &v, (size_t)bytes);
	z->at += (uint64_t)bytes;
}

static void put_bytes(ZipOut *z, const void *p, size_t n)
{
	wq_file_write(z->f, p, n);
	z->at += n;
}

static uint64_t clip(uint64_t v) { return v < BIG ? v : BIG; }

ZipOut *zip_create(WqArena *a, const char *path)
{
	ZipOut *z = WQ_NEW(a, ZipOut);
	z->a = a;
	z->f = wq_file_create(a, path);
	return z;
}

/* What local and central headers share, from "version needed" to "extra length". 1980-01-01, so that files repeat. */
static void put_header(ZipOut *z, const Written *w, size_t extra)
{
	put(z, extra ? 45 : 20, 2);
	put(z, 1 << 11, 2); /* names are UTF-8 */
	put(z, STORED, 2);
	put(z, 0, 2);
	put(z, 1 << 5 | 1, 2);
	put(z, w->crc, 4);
	put(z, clip(w->size), 4);
	put(z, clip(w->size), 4);
	put(z, strlen(w->name), 2);
	put(z, extra, 2);
}

void zip_add(ZipOut *z, const char *name, const void *head, size_t n_head, const void *data, size_t n_data)
{
	if (strlen(name) > 65535)
		wq_fail(WQ_EINPUT, "a name of %zu bytes is too long for a zip archive", strlen(name));
	Written w = { wq_strdup(z->a, name), (uint64_t)n_head + n_data, z->at,
		      crc_of(crc_of(0, head, n_head), data, n_data) };
	bool big = w.size >= BIG;
	put(z, LOCAL, 4);
	put_header(z, &w, big ? 20 : 0);
	put_bytes(z, w.name, strlen(w.name));
	if (big) {
		put(z, 1, 2);
		put(z, 16, 2);
		put(z, w.size, 8);
		put(z, w.size, 8);
	}
	put_bytes(z, head, n_head);
	put_bytes(z, data, n_data);
	WQ_PUSH(z->a, z->done, w);
}

static void put_central(ZipOut *z, const Written *w)
{
	bool big_size = w->size >= BIG, big_at = w->local >= BIG;
	size_t extra = (big_size ? 16 : 0) + (big_at ? 8 : 0);
	put(z, CENTRAL, 4);
	put(z, 45, 2);
	put_header(z, w, extra ? extra + 4 : 0);
	put(z, 0, 2); /* comment */
	put(z, 0, 2); /* disk */
	put(z, 0, 2);
	put(z, 0, 4);
	put(z, clip(w->local), 4);
	put_bytes(z, w->name, strlen(w->name));
	if (extra) {
		put(z, 1, 2);
		put(z, extra, 2);
	}
	for (int i = 0; big_size && i < 2; i++)
		put(z, w->size, 8);
	if (big_at)
		put(z, w->local, 8);
}

void zip_commit(ZipOut *z)
{
	uint64_t start = z->at, n = (uint64_t)z->done.n;
	for (int i = 0; i < z->done.n; i++)
		put_central(z, &z->done.v[i]);
	uint64_t size = z->at - start, end64 = z->at;
	if (start >= BIG || n >= 65535) {
		put(z, END64, 4);
		put(z, END64_SIZE - 12, 8);
		put(z, 45, 2);
		put(z, 45, 2);
		put(z, 0, 8); /* disks */
		put(z, n, 8);
		put(z, n, 8);
		put(z, size, 8);
		put(z, start, 8);
		put(z, LOCATOR64, 4);
		put(z, 0, 4);
		put(z, end64, 8);
		put(z, 1, 4);
	}
	put(z, END, 4);
	put(z, 0, 4); /* disks */
	put(z, n < 65535 ? n : 65535, 2);
	put(z, n < 65535 ? n : 65535, 2);
	put(z, clip(size), 4);
	put(z, clip(start), 4);
	put(z, 0, 2); /* comment */
	wq_file_commit(z->f);
}
