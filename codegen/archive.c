/* archive.c: objects as a static library, in GNU ar's format.
 *
 * "!<arch>\n", then members: a header of 60 characters, the bytes, padded to even. The first member, "/", is the index:
 * how many symbols, the file offset of each one's member, both big-endian, then their names. A second, "//", holds names that are longer
 * than a header has room for.
 */
#include "codegen/object_file.h"

enum { HEADER = 60, MAX_NAME = 15 };

typedef struct Index {
	WqStr names;
	WQ_VEC(int) member; /* of each name */
	int now;
	WqArena *a;
} Index;

static void add_symbol(void *arg, const char *name)
{
	Index *x = arg;
	wq_str_write(&x->names, name, strlen(name) + 1);
	WQ_PUSH(x->a, x->member, x->now);
}

static int64_t even(int64_t n) { return n + n % 2; }

/* Dates and owners are 0: the same objects give the same library. */
static void write_header(const char *name, int64_t bytes, WqSink *sink, void *arg)
{
	char h[HEADER + 20];
	if (bytes > INT64_C(9999999999))
		wq_fail(WQ_EUNSUPPORTED, "%s: an archive's member has at most 9999999999 bytes", name);
	snprintf(h, sizeof h, "%-16.16s%-12d%-6d%-6d%-8s%-10lld`\n", name, 0, 0, 0, *name == '/' && !name[1] ? "0" : "644", (long long)bytes);
	sink(arg, h, HEADER);
}

static void put_u32(WqStr *s, int64_t v)
{
	if (v > UINT32_MAX)
		wq_fail(WQ_EUNSUPPORTED, "the library is larger than 4 GB: write the weights to a file of their own (--weights=FILE)");
	const uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	wq_str_write(s, b, 4);
}

/* Where each member's header stands, given how much comes before the first. */
static int64_t *place(const WqObject *o, int n, int64_t at, WqArena *a)
{
	int64_t *offset = WQ_NEW_N(a, int64_t, n + 1);
	for (int i = 0; i < n; i++) {
		offset[i] = at;
		at += HEADER + even(wq_object_bytes(&o[i], a));
	}
	return offset;
}

/* "name/", or "/offset" into the table of long names. */
static const char **member_names(const WqObject *o, int n, WqStr *table, WqArena *a)
{
	const char **name = WQ_NEW_N(a, const char *, n + 1);
	for (int i = 0; i < n; i++) {
		if (strlen(o[i].name) <= MAX_NAME) {
			name[i] = wq_sprintf(a, "%s/", o[i].name);
		} else {
			name[i] = wq_sprintf(a, "/%zu", table->n);
			wq_str_printf(table, "%s/\n", o[i].name);
		}
	}
	return name;
}

static void write_member(const char *name, const void *p, size_t n, WqSink *sink, void *arg)
{
	write_header(name, (int64_t)n, sink, arg);
	sink(arg, p, n);
	sink(arg, "\n", n % 2);
}

void wq_archive_write(const WqObject *o, int n, WqSink *sink, void *arg, WqArena *a)
{
	Index x = {.names = {.a = a}, .a = a};
	WqStr table = {.a = a}, index = {.a = a};
	const char **name = member_names(o, n, &table, a);
	for (x.now = 0; x.now < n; x.now++)
		wq_object_symbols(&o[x.now], add_symbol, &x);
	int64_t index_bytes = 4 + 4 * (int64_t)x.member.n + (int64_t)x.names.n;
	int64_t first = 8 + HEADER + even(index_bytes) + (table.n ? HEADER + even((int64_t)table.n) : 0);
	const int64_t *offset = place(o, n, first, a);
	put_u32(&index, x.member.n);
	for (int i = 0; i < x.member.n; i++)
		put_u32(&index, offset[x.member.v[i]]);
	if (x.names.n)
		wq_str_write(&index, x.names.s, x.names.n);
	sink(arg, "!<arch>\n", 8);
	write_member("/", index.s, index.n, sink, arg);
	if (table.n)
		write_member("//", table.s, table.n, sink, arg);
	for (int i = 0; i < n; i++) {
		int64_t bytes = wq_object_bytes(&o[i], a);
		write_header(name[i], bytes, sink, arg);
		wq_object_write(&o[i], sink, arg, a);
		sink(arg, "\n", (size_t)(bytes % 2));
	}
}
