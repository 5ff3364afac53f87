/* object_wasm.c: adds a blob to a relocatable wasm object, as one more data segment.
 *
 * A module is sections: id, size, payload; numbers are LEB128. Custom sections (id 0) begin with a name. What changes:
 *
 *   data count   one more
 *   data         one more segment, last
 *   "linking"    subsection 5, segments' names: one more; subsection 8, symbols: the blob's becomes a defined one
 *   "reloc.DATA" offsets in the data section, if its leading count takes a byte more now
 *
 * The code refers to the symbol by its place in the symbol table, which stays.
 */
#include "codegen/object_file.h"

enum { CUSTOM = 0, CODE = 10, DATA = 11, DATA_COUNT = 12, SEGMENT_INFO = 5, SYMBOL_TABLE = 8 };
enum { END = 0x0b, I32_CONST = 0x41 };
enum { FUNCTION_SYMBOL, DATA_SYMBOL, GLOBAL_SYMBOL, SECTION_SYMBOL };
enum { IS_LOCAL = 2, IS_UNDEFINED = 0x10, HAS_NAME = 0x40 };

typedef struct Section {
	uint8_t id;
	const uint8_t *p; /* payload; of a custom section what follows the name */
	size_t n;
	const uint8_t *whole; /* with id and size */
	size_t whole_n;
	const char *name; /* custom: not terminated */
	size_t name_n;
} Section;

typedef struct Symbol {
	uint8_t kind;
	uint64_t flags;
	const uint8_t *begin, *end; /* its record */
	const char *name;
	size_t name_n;
} Symbol;

/* The bytes are LLVM's: that they end where they should is an assertion. */
typedef struct Reader {
	const uint8_t *p, *end;
} Reader;

static const uint8_t *take(Reader *r, uint64_t n)
{
	WQ_ASSERT(n <= (uint64_t)(r->end - r->p));
	r->p += n;
	return r->p - n;
}

static uint64_t leb(Reader *r)
{
	uint64_t v = 0;
	int shift = 0;
	uint8_t b;
	do {
		b = *take(r, 1);
		v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	return v;
}

static void put(WqStr *s, uint64_t v)
{
	do {
		uint8_t b = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		wq_str_write(s, &b, 1);
		v >>= 7;
	} while (v);
}

static size_t leb_bytes(uint64_t v)
{
	size_t n = 1;
	for (; v > 0x7f; v >>= 7)
		n++;
	return n;
}

static void put_byte(WqStr *s, uint8_t b) { wq_str_write(s, &b, 1); }

static void put_text(WqStr *s, const char *text)
{
	put(s, strlen(text));
	wq_str_write(s, text, strlen(text));
}

static Section next_section(Reader *r)
{
	Section s = {.whole = r->p};
	s.id = *take(r, 1);
	s.n = leb(r);
	s.p = take(r, s.n);
	s.whole_n = (size_t)(r->p - s.whole);
	if (s.id == CUSTOM) {
		Reader in = {s.p, r->p};
		s.name_n = leb(&in);
		s.name = (const char *)take(&in, s.name_n);
		s.p = in.p;
		s.n = (size_t)(in.end - in.p);
	}
	return s;
}

static Reader payload(const Section *s) { return (Reader){s->p, s->p + s->n}; }
static Reader sections(const WqObject *o) { return (Reader){(const uint8_t *)o->code + 8, (const uint8_t *)o->code + o->n}; }

static bool is_custom(const Section *s, const char *name)
{
	return s->id == CUSTOM && s->name_n == strlen(name) && !memcmp(s->name, name, s->name_n);
}

static Symbol next_symbol(Reader *r)
{
	Symbol s = {.begin = r->p};
	s.kind = *take(r, 1);
	s.flags = leb(r);
	bool undefined = s.flags & IS_UNDEFINED;
	if (s.kind != DATA_SYMBOL)
		leb(r);
	if (s.kind == DATA_SYMBOL || (s.kind != SECTION_SYMBOL && (!undefined || s.flags & HAS_NAME))) {
		s.name_n = leb(r);
		s.name = (const char *)take(r, s.name_n);
	}
	for (int i = 0; s.kind == DATA_SYMBOL && !undefined && i < 3; i++)
		leb(r);
	s.end = r->p;
	return s;
}

/* A part of the section "linking": its type, and a reader of its contents. */
static uint8_t next_part(Reader *r, Reader *part)
{
	uint8_t type = *take(r, 1);
	uint64_t n = leb(r);
	part->p = take(r, n);
	part->end = r->p;
	return type;
}

/* Calls fn with each symbol of the object. */
static void each_symbol(const WqObject *o, void (*fn)(void *arg, const Symbol *s), void *arg)
{
	for (Reader r = sections(o); r.p < r.end;) {
		Section s = next_section(&r);
		Reader in = payload(&s), part;
		if (!is_custom(&s, "linking"))
			continue;
		for (leb(&in) /* version */; in.p < in.end;) {
			uint8_t type = next_part(&in, &part);
			for (uint64_t i = type == SYMBOL_TABLE ? leb(&part) : 0; i > 0; i--) {
				Symbol y = next_symbol(&part);
				fn(arg, &y);
			}
		}
	}
}

typedef struct Visit {
	const WqObject *o;
	void (*fn)(void *arg, const char *name);
	void *arg;
	bool found; /* is the blob's symbol there, undefined? */
} Visit;

static bool is_blob(const WqObject *o, const Symbol *s)
{
	return o->blob && s->name && s->kind == DATA_SYMBOL && s->flags & IS_UNDEFINED && s->name_n == strlen(o->blob->symbol) &&
	       !memcmp(s->name, o->blob->symbol, s->name_n);
}

static void give_name(void *arg, const Symbol *s)
{
	Visit *v = arg;
	char name[1024];
	if (!s->name || s->flags & IS_LOCAL || (s->flags & IS_UNDEFINED && !is_blob(v->o, s)))
		return;
	WQ_ASSERT(s->name_n < sizeof name);
	memcpy(name, s->name, s->name_n);
	name[s->name_n] = 0;
	v->fn(v->arg, name);
}

void wq_wasm_symbols(const WqObject *o, void (*fn)(void *arg, const char *name), void *arg)
{
	Visit v = {.o = o, .fn = fn, .arg = arg};
	each_symbol(o, give_name, &v);
}

static void look(void *arg, const Symbol *s)
{
	Visit *v = arg;
	v->found |= is_blob(v->o, s);
}

/* ---- the new module ----------------------------------------------------------------------------------- */

typedef struct Build {
	const WqObject *o;
	uint64_t n_segments; /* there were */
	uint64_t data_end;   /* of memory that they fill */
	bool has_data;
	WqStr before, after; /* the blob's bytes */
	WqStr *out;
	WqArena *a;
} Build;

static void put_section(WqStr *s, uint8_t id, const char *name, const WqStr *payload)
{
	put_byte(s, id);
	put(s, payload->n + (name ? leb_bytes(strlen(name)) + strlen(name) : 0));
	if (name)
		put_text(s, name);
	if (payload->n)
		wq_str_write(s, payload->s, payload->n);
}

/* Active segments of memory 0, at constant addresses: all that LLVM writes. */
static void measure_data(Build *b, const Section *s)
{
	Reader r = payload(s);
	b->has_data = true;
	b->n_segments = leb(&r);
	for (uint64_t i = 0; i < b->n_segments; i++) {
		WQ_ASSERT(leb(&r) == 0 && *take(&r, 1) == I32_CONST);
		uint64_t at = leb(&r);
		WQ_ASSERT(*take(&r, 1) == END);
		uint64_t bytes = leb(&r);
		take(&r, bytes);
		b->data_end = at + bytes > b->data_end ? at + bytes : b->data_end;
	}
}

static void put_signed(WqStr *s, int64_t v)
{
	bool more = true;
	while (more) {
		uint8_t b = v & 0x7f;
		v >>= 7;
		more = !((v == 0 && !(b & 0x40)) || (v == -1 && b & 0x40));
		put_byte(s, b | (more ? 0x80 : 0));
	}
}

/* The data section up to the blob; its size counts the blob's bytes. */
static void put_data(Build *b, const Section *s)
{
	WqStr head = {.a = b->a}, tail = {.a = b->a};
	Reader r = s ? payload(s) : (Reader){NULL, NULL};
	if (s)
		leb(&r);
	put(&head, b->n_segments + 1);
	put_byte(&tail, 0);
	put_byte(&tail, I32_CONST);
	put_signed(&tail, (int32_t)(uint32_t)((b->data_end + 63) / 64 * 64));
	put_byte(&tail, END);
	put(&tail, (uint64_t)b->o->blob->bytes);
	size_t old = (size_t)(r.end - r.p);
	uint64_t bytes = head.n + old + tail.n + (uint64_t)b->o->blob->bytes;
	if (bytes > UINT32_MAX - 65536)
		wq_fail(WQ_EUNSUPPORTED, "the weights do not fit the memory of wasm32");
	put_byte(b->out, DATA);
	put(b->out, bytes);
	wq_str_write(b->out, head.s, head.n);
	if (old)
		wq_str_write(b->out, r.p, old);
	wq_str_write(b->out, tail.s, tail.n);
	b->out = &b->after;
}

static void put_symbols(Build *b, Reader r, WqStr *out)
{
	uint64_t n = leb(&r);
	put(out, n);
	for (uint64_t i = 0; i < n; i++) {
		Symbol s = next_symbol(&r);
		if (!is_blob(b->o, &s)) {
			wq_str_write(out, s.begin, (size_t)(s.end - s.begin));
			continue;
		}
		put_byte(out, DATA_SYMBOL);
		put(out, s.flags & ~(uint64_t)IS_UNDEFINED);
		put_text(out, b->o->blob->symbol);
		put(out, b->n_segments);
		put(out, 0);
		put(out, (uint64_t)b->o->blob->bytes);
	}
}

/* r is empty if there were none. */
static void put_segment_names(Build *b, Reader r, WqStr *out)
{
	put(out, (r.p < r.end ? leb(&r) : 0) + 1);
	if (r.p < r.end)
		wq_str_write(out, r.p, (size_t)(r.end - r.p));
	put_text(out, wq_sprintf(b->a, ".rodata.%s", b->o->blob->symbol));
	put(out, 6); /* aligned to 2^6 */
	put(out, 0);
}

static void put_subsection(WqStr *out, uint8_t type, const WqStr *payload)
{
	put_byte(out, type);
	put(out, payload->n);
	if (payload->n)
		wq_str_write(out, payload->s, payload->n);
}

static void put_linking(Build *b, const Section *s)
{
	WqStr all = {.a = b->a};
	Reader r = payload(s), part, names = {NULL, NULL};
	put(&all, leb(&r));
	while (r.p < r.end) {
		WqStr copy = {.a = b->a};
		uint8_t type = next_part(&r, &part);
		if (type == SEGMENT_INFO) {
			names = part;
			continue;
		}
		if (type == SYMBOL_TABLE)
			put_symbols(b, part, &copy);
		else
			wq_str_write(&copy, part.p, (size_t)(part.end - part.p));
		put_subsection(&all, type, &copy);
	}
	WqStr copy = {.a = b->a};
	put_segment_names(b, names, &copy);
	put_subsection(&all, SEGMENT_INFO, &copy);
	put_section(b->out, CUSTOM, "linking", &all);
}

/* Has a relocation of this type an addend? Those of addresses in memory (3 to 5, of 64 bits 14 to 17, relative 11, 21, 23, 25) and of offsets
 * in functions and sections (8, 9, 22) do.
 */
static bool has_addend(uint8_t type)
{
	static const uint8_t with[] = {3, 4, 5, 8, 9, 11, 14, 15, 16, 17, 21, 22, 23, 25};
	return memchr(with, type, sizeof with) != NULL;
}

static void put_relocations(Build *b, const Section *s)
{
	WqStr all = {.a = b->a};
	Reader r = payload(s);
	uint64_t shift = leb_bytes(b->n_segments + 1) - leb_bytes(b->n_segments);
	put(&all, leb(&r));
	uint64_t n = leb(&r);
	put(&all, n);
	for (uint64_t i = 0; i < n; i++) {
		uint8_t type = *take(&r, 1);
		put_byte(&all, type);
		put(&all, leb(&r) + shift);
		const uint8_t *rest = r.p;
		leb(&r);
		if (has_addend(type))
			leb(&r);
		wq_str_write(&all, rest, (size_t)(r.p - rest));
	}
	put_section(b->out, CUSTOM, "reloc.DATA", &all);
}

static void put_count(Build *b)
{
	WqStr count = {.a = b->a};
	put(&count, b->n_segments + 1);
	put_section(b->out, DATA_COUNT, NULL, &count);
}

static void build(Build *b)
{
	for (Reader r = sections(b->o); r.p < r.end;) {
		Section s = next_section(&r);
		if (s.id == DATA)
			measure_data(b, &s);
	}
	b->out = &b->before;
	wq_str_write(b->out, b->o->code, 8);
	for (Reader r = sections(b->o); r.p < r.end;) {
		Section s = next_section(&r);
		if (s.id == CUSTOM && !b->has_data && b->out == &b->before) /* data follows code */
			put_data(b, NULL);
		if (s.id == DATA_COUNT)
			put_count(b);
		else if (s.id == DATA)
			put_data(b, &s);
		else if (is_custom(&s, "linking"))
			put_linking(b, &s);
		else if (is_custom(&s, "reloc.DATA"))
			put_relocations(b, &s);
		else
			wq_str_write(b->out, s.whole, s.whole_n);
	}
}

/* False: the code does not refer to the blob, and the object stays as it is. */
static bool plan(Build *b, const WqObject *o, WqArena *a)
{
	Visit v = {.o = o};
	each_symbol(o, look, &v);
	*b = (Build){.o = o, .before = {.a = a}, .after = {.a = a}, .a = a};
	if (v.found)
		build(b);
	return v.found;
}

int64_t wq_wasm_bytes(const WqObject *o, WqArena *a)
{
	Build b;
	return plan(&b, o, a) ? (int64_t)(b.before.n + b.after.n) + o->blob->bytes : (int64_t)o->n;
}

void wq_wasm_write(const WqObject *o, WqSink *sink, void *arg, WqArena *a)
{
	Build b;
	if (!plan(&b, o, a)) {
		sink(arg, o->code, o->n);
		return;
	}
	sink(arg, b.before.s, b.before.n);
	o->blob->write(o->blob->from, sink, arg);
	sink(arg, b.after.s, b.after.n);
}
