/* object_elf.c: adds a blob to a relocatable ELF object, of 32 or 64 bits, little-endian.
 *
 * The code's object has the symbol as an undefined one already, so nothing is renumbered. What is written:
 *
 *   the object up to its section headers, with the ELF header and the symbol changed
 *   the string table once more, with the new section's name
 *   the blob, aligned to 64
 *   the section headers, and one more
 */
#include "codegen/object_file.h"

typedef struct Field {
	uint8_t at[2], size[2]; /* 32-bit, 64-bit */
} Field;

static const Field EH_SHOFF = {{32, 40}, {4, 8}}, EH_SHNUM = {{48, 60}, {2, 2}}, EH_SHSTRNDX = {{50, 62}, {2, 2}};
static const Field SH_NAME = {{0, 0}, {4, 4}}, SH_TYPE = {{4, 4}, {4, 4}}, SH_FLAGS = {{8, 8}, {4, 8}}, SH_OFFSET = {{16, 24}, {4, 8}},
		   SH_SIZE = {{20, 32}, {4, 8}}, SH_LINK = {{24, 40}, {4, 4}}, SH_ALIGN = {{32, 48}, {4, 8}};
static const Field ST_NAME = {{0, 0}, {4, 4}}, ST_VALUE = {{4, 8}, {4, 8}}, ST_SIZE = {{8, 16}, {4, 8}}, ST_INFO = {{12, 4}, {1, 1}}, ST_SHNDX = {{14, 6}, {2, 2}};
enum { SHT_PROGBITS = 1, SHT_SYMTAB = 2, SHF_ALLOC = 2, STT_OBJECT = 1, STT_FUNC = 2, MAX_SECTIONS = 0xfe00 };

typedef struct Elf {
	const uint8_t *p;
	size_t n;
	int wide; /* 0: 32 bits, 1: 64 */
	size_t shoff, n_sections, header; /* header: bytes of a section header */
	size_t strings;                   /* index of the section of names */
	const uint8_t *symbols;           /* the symbol table, and its names */
	size_t n_symbols, symbol;
	const char *names;
} Elf;

static uint64_t get(const Elf *e, const uint8_t *record, Field f)
{
	uint64_t v = 0;
	memcpy(&v, record + f.at[e->wide], f.size[e->wide]);
	return v;
}

static void set(const Elf *e, uint8_t *record, Field f, uint64_t v)
{
	if (f.size[e->wide] < 8 && v >> (8 * f.size[e->wide]))
		wq_fail(WQ_EUNSUPPORTED, "the object would be larger than its format allows: write the weights to a file of their own (--weights=FILE)");
	memcpy(record + f.at[e->wide], &v, f.size[e->wide]);
}

static const uint8_t *section(const Elf *e, size_t i) { return e->p + e->shoff + i * e->header; }
static const uint8_t *contents(const Elf *e, size_t i) { return e->p + get(e, section(e, i), SH_OFFSET); }

/* The bytes are LLVM's: they are not suspected, only checked for what we rely on. */
static Elf parse(const void *code, size_t n)
{
	Elf e = {.p = code, .n = n};
	WQ_ASSERT(n > 64 && !memcmp(code, "\177ELF", 4) && e.p[5] == 1);
	e.wide = e.p[4] == 2;
	e.header = e.wide ? 64 : 40;
	e.symbol = e.wide ? 24 : 16;
	e.shoff = get(&e, e.p, EH_SHOFF);
	e.n_sections = get(&e, e.p, EH_SHNUM);
	e.strings = get(&e, e.p, EH_SHSTRNDX);
	if (!e.n_sections || e.n_sections > MAX_SECTIONS)
		wq_fail(WQ_EUNSUPPORTED, "the object has too many sections for ELF: %zu", e.n_sections);
	WQ_ASSERT(e.shoff + e.n_sections * e.header <= n && e.strings < e.n_sections);
	for (size_t i = 0; i < e.n_sections; i++) {
		const uint8_t *s = section(&e, i);
		if (get(&e, s, SH_TYPE) != SHT_SYMTAB)
			continue;
		e.symbols = contents(&e, i);
		e.n_symbols = get(&e, s, SH_SIZE) / e.symbol;
		e.names = (const char *)contents(&e, get(&e, s, SH_LINK));
	}
	return e;
}

static const uint8_t *find_symbol(const Elf *e, const char *name)
{
	for (size_t i = 1; i < e->n_symbols; i++) {
		const uint8_t *s = e->symbols + i * e->symbol;
		if (!strcmp(e->names + get(e, s, ST_NAME), name))
			return s;
	}
	return NULL;
}

void wq_elf_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg)
{
	Elf e = parse(o->code, o->n);
	for (size_t i = 1; i < e.n_symbols; i++) {
		const uint8_t *s = e.symbols + i * e.symbol;
		const char *name = e.names + get(&e, s, ST_NAME);
		bool defined = get(&e, s, ST_SHNDX) != 0 || (o->blob && !strcmp(name, o->blob->symbol));
		if (get(&e, s, ST_INFO) >> 4 && defined) /* not local */
			fn(arg, name);
	}
}

void wq_elf_functions(const void *code, size_t n, void (*fn)(void *arg, const char *name, const uint8_t *p, size_t n), void *arg)
{
	Elf e = parse(code, n);
	for (size_t i = 1; i < e.n_symbols; i++) {
		const uint8_t *s = e.symbols + i * e.symbol;
		size_t at = get(&e, s, ST_SHNDX);
		if ((get(&e, s, ST_INFO) & 15) == STT_FUNC && at > 0 && at < e.n_sections)
			fn(arg, e.names + get(&e, s, ST_NAME), contents(&e, at) + get(&e, s, ST_VALUE), get(&e, s, ST_SIZE));
	}
}

/* ---- the new file ------------------------------------------------------------------------------------- */

typedef struct Plan {
	Elf e;
	const uint8_t *symbol; /* the blob's; NULL: the code does not refer to it, so nothing is added */
	size_t cut;            /* what is kept of the object */
	char *name;            /* of the new section */
	size_t strings, blob, headers, end; /* where they stand */
} Plan;

static size_t align_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

static Plan plan(const WqObject *o, WqArena *a)
{
	Plan p = {.e = parse(o->code, o->n)};
	if (o->blob)
		p.symbol = find_symbol(&p.e, o->blob->symbol);
	if (!p.symbol) {
		p.end = o->n;
		return p;
	}
	size_t table_end = p.e.shoff + p.e.n_sections * p.e.header;
	p.cut = table_end == o->n ? p.e.shoff : o->n;
	p.name = wq_sprintf(a, ".rodata.%s", o->blob->symbol);
	p.strings = p.cut;
	p.blob = align_up(p.strings + get(&p.e, section(&p.e, p.e.strings), SH_SIZE) + strlen(p.name) + 1, 64);
	p.headers = align_up(p.blob + (size_t)o->blob->bytes, 8);
	p.end = p.headers + (p.e.n_sections + 1) * p.e.header;
	return p;
}

int64_t wq_elf_bytes(const WqObject *o, WqArena *a) { return (int64_t)plan(o, a).end; }

static void write_front(const Plan *p, const WqObject *o, WqSink *sink, void *arg, WqArena *a)
{
	const Elf *e = &p->e;
	uint8_t *copy = wq_alloc(a, p->cut);
	memcpy(copy, e->p, p->cut);
	set(e, copy, EH_SHOFF, p->headers);
	set(e, copy, EH_SHNUM, e->n_sections + 1);
	uint8_t *s = copy + (p->symbol - e->p);
	set(e, s, ST_SHNDX, e->n_sections);
	set(e, s, ST_SIZE, (uint64_t)o->blob->bytes);
	set(e, s, ST_INFO, (get(e, s, ST_INFO) & 0xf0) | STT_OBJECT);
	sink(arg, copy, p->cut);
}

static void write_padding(size_t n, WqSink *sink, void *arg)
{
	static const char zero[64];
	sink(arg, zero, n);
}

static void write_headers(const Plan *p, const WqObject *o, WqSink *sink, void *arg, WqArena *a)
{
	const Elf *e = &p->e;
	size_t old_names = get(e, section(e, e->strings), SH_SIZE), n = (e->n_sections + 1) * e->header;
	uint8_t *table = wq_alloc(a, n), *names = table + e->strings * e->header, *added = table + e->n_sections * e->header;
	memcpy(table, section(e, 0), e->n_sections * e->header);
	set(e, names, SH_OFFSET, p->strings);
	set(e, names, SH_SIZE, old_names + strlen(p->name) + 1);
	set(e, added, SH_NAME, old_names);
	set(e, added, SH_TYPE, SHT_PROGBITS);
	set(e, added, SH_FLAGS, SHF_ALLOC);
	set(e, added, SH_OFFSET, p->blob);
	set(e, added, SH_SIZE, (uint64_t)o->blob->bytes);
	set(e, added, SH_ALIGN, 64);
	sink(arg, table, n);
}

/* Code of the small model reaches 2 GB. */
static void check_reach(const Plan *p, const WqBlob *b)
{
	if (b->bytes > INT64_C(0x7f000000) && p->e.wide)
		wq_fail(WQ_EUNSUPPORTED, "%lld MB of weights: code reaches 2 GB of data in an object; write them to a file of their own (--weights=FILE)",
			(long long)(b->bytes >> 20));
}

void wq_elf_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a)
{
	Plan p = plan(o, a);
	if (!p.symbol) {
		sink(arg, o->code, o->n);
		return;
	}
	check_reach(&p, o->blob);
	write_front(&p, o, sink, arg, a);
	size_t old_names = get(&p.e, section(&p.e, p.e.strings), SH_SIZE), names = old_names + strlen(p.name) + 1;
	sink(arg, contents(&p.e, p.e.strings), old_names);
	sink(arg, p.name, strlen(p.name) + 1);
	write_padding(p.blob - p.strings - names, sink, arg);
	o->blob->write(o->blob->from, sink, arg);
	write_padding(p.headers - p.blob - (size_t)o->blob->bytes, sink, arg);
	write_headers(&p, o, sink, arg, a);
}

int64_t wq_elf_flash(const WqObject *o)
{
	enum { NOBITS = 8, ALLOC = 2 };
	Elf e = parse(o->code, o->n);
	int64_t sum = o->blob ? o->blob->bytes : 0;
	size_t n = get(&e, e.p, EH_SHNUM);
	for (size_t i = 0; i < n; i++)
		if (get(&e, section(&e, i), SH_FLAGS) & ALLOC && get(&e, section(&e, i), SH_TYPE) != NOBITS)
			sum += (int64_t)get(&e, section(&e, i), SH_SIZE);
	return sum;
}
