/* wire.c: the protobuf wire format, and the scan that stands before protobuf-c.
 *
 * protobuf-c trusts its input with the stack (no bound on nesting) and the heap (a two-byte field can cost hundreds of
 * bytes), and it copies every payload. So a model is first copied without its weights, message by message, guided by
 * protobuf-c's own descriptors: each tensor's raw_data becomes a WireRef, each nested message gets a length that fits
 * (always five bytes: the real one is known afterwards), everything else is taken over byte by byte.
 */
#include "frontend/frontend.h"

#include <limits.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "payloads are used in place");

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* ---- fields --------------------------------------------------------------------------------------- */

void wire_fail(const WireScan *s, size_t at, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	wq_fail(WQ_EINPUT, "%s: not a valid protobuf message: %s at offset %zu", s->what, text, at);
}

static uint64_t varint(WireScan *s, int max_bytes)
{
	uint64_t v = 0;
	size_t start = s->at;
	for (int i = 0; i < max_bytes; i++) {
		if (s->at == s->end)
			wire_fail(s, start, "a number is cut off");
		uint8_t b = s->p[s->at++];
		v |= (uint64_t)(b & 0x7f) << 7 * i;
		if (b < 0x80)
			return v;
	}
	wire_fail(s, start, "a number of more than %d bytes", max_bytes);
}

static uint64_t fixed(WireScan *s, size_t n)
{
	uint64_t v = 0;
	if (s->end - s->at < n)
		wire_fail(s, s->at, "a number is cut off");
	memcpy(&v, s->p + s->at, n);
	s->at += n;
	return v;
}

bool wire_next(WireScan *s, WireField *f)
{
	if (s->at == s->end)
		return false;
	f->start = s->at;
	uint64_t tag = varint(s, 5);
	f->id = (uint32_t)(tag >> 3);
	f->type = (int)(tag & 7);
	if (tag > UINT32_MAX || f->id == 0)
		wire_fail(s, f->start, "field number 0 or too large");
	f->at = s->at;
	f->value = 0;
	switch (f->type) {
	case VARINT: f->value = varint(s, 10); break;
	case FIXED64: f->value = fixed(s, 8); break;
	case FIXED32: f->value = fixed(s, 4); break;
	case BYTES: {
		uint64_t n = varint(s, 10);
		if (n > s->end - s->at)
			wire_fail(s, f->start, "field %u claims %llu bytes, %zu are left", f->id,
				  (unsigned long long)n, s->end - s->at);
		f->at = s->at;
		s->at += n;
		break;
	}
	default: wire_fail(s, f->start, "field %u has wire type %d", f->id, f->type);
	}
	f->end = s->at;
	return true;
}

/* ---- the copy without payloads ----------------------------------------------------------------------- */

typedef struct Slim {
	WqStr out;
	uint64_t cost, budget; /* bytes that unpacking takes, estimated from above */
} Slim;

static void spend(Slim *sl, const WireScan *s, uint64_t bytes)
{
	sl->cost += bytes;
	if (sl->cost > sl->budget)
		wire_fail(s, s->at, "too many messages and fields for its size");
}

/* Bytes [from, to) of the source, as they are. */
static void take(Slim *sl, const WireScan *s, size_t from, size_t to)
{
	if (to - from + sl->out.n > INT_MAX)
		wire_fail(s, from, "more than 2 GB without tensor data");
	wq_str_write(&sl->out, s->p + from, to - from);
}

static int wire_type_of(ProtobufCType t)
{
	switch (t) {
	case PROTOBUF_C_TYPE_FLOAT: case PROTOBUF_C_TYPE_FIXED32: case PROTOBUF_C_TYPE_SFIXED32: return FIXED32;
	case PROTOBUF_C_TYPE_DOUBLE: case PROTOBUF_C_TYPE_FIXED64: case PROTOBUF_C_TYPE_SFIXED64: return FIXED64;
	case PROTOBUF_C_TYPE_STRING: case PROTOBUF_C_TYPE_BYTES: case PROTOBUF_C_TYPE_MESSAGE: return BYTES;
	default: return VARINT;
	}
}

/* A known field's wire type, and for packed numbers their length. */
static void check_field(Slim *sl, const WireScan *s, const ProtobufCMessageDescriptor *kind,
			const ProtobufCFieldDescriptor *fd, const WireField *f)
{
	int want = wire_type_of(fd->type);
	size_t n = f->end - f->at;
	if (f->type == want) {
		spend(sl, s, want == BYTES ? n + 24 : 8);
		return;
	}
	if (f->type != BYTES || fd->label != PROTOBUF_C_LABEL_REPEATED)
		wire_fail(s, f->start, "%s.%s has wire type %d", kind->short_name, fd->name, f->type);
	if (want == VARINT ? n > 0 && s->p[f->end - 1] >= 0x80 : n % (want == FIXED32 ? 4 : 8) != 0)
		wire_fail(s, f->start, "%s.%s ends inside of a number", kind->short_name, fd->name);
	spend(sl, s, want == VARINT ? 8 * (uint64_t)n : n);
}

/* The payload of a tensor that stays where it is. */
static WireRef payload(const WireScan *tensor, bool *found)
{
	WireScan s = *tensor;
	WireField f;
	WireRef raw = { 0 }, typed = { 0 };
	int n_raw = 0, n_typed = 0;
	while (wire_next(&s, &f)) {
		if (f.type == BYTES && f.id == 9) {
			raw = (WireRef){ f.at, f.end - f.at, 9 };
			n_raw++;
		} else if (f.id == 4 || f.id == 10) {
			typed = (WireRef){ f.at, f.end - f.at, f.id };
			n_typed += f.type == BYTES ? 1 : 2;
		}
	}
	*found = n_raw > 0 || n_typed == 1;
	return n_raw ? raw : typed;
}

static void slim_message(Slim *sl, WireScan s, const ProtobufCMessageDescriptor *kind, int depth);

static void slim_nested(Slim *sl, const WireScan *s, const WireField *f, const ProtobufCMessageDescriptor *kind,
			int depth)
{
	if (depth >= WQ_MAX_DEPTH)
		wire_fail(s, f->start, "messages nested more than %d deep", WQ_MAX_DEPTH);
	uint8_t length[5] = { 0 };
	wire_put_length(&sl->out, f->id, 0);
	size_t mark = --sl->out.n;
	wq_str_write(&sl->out, length, 5);
	slim_message(sl, (WireScan){ s->p, f->at, f->end, s->what }, kind, depth + 1);
	size_t n = sl->out.n - mark - 5;
	for (int i = 0; i < 5; i++)
		sl->out.s[mark + (size_t)i] = (char)((n >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
}

static void slim_message(Slim *sl, WireScan s, const ProtobufCMessageDescriptor *kind, int depth)
{
	bool is_tensor = kind == &onnx__tensor_proto__descriptor, found = false;
	WireRef ref = { 0 };
	WireField f;
	size_t from = s.at; /* what is not taken over yet */
	spend(sl, &s, kind->sizeof_message + 64);
	if (is_tensor)
		ref = payload(&s, &found);
	while (wire_next(&s, &f)) {
		const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(kind, f.id);
		spend(sl, &s, 48);
		if (is_tensor && f.type == BYTES && (f.id == 9 || (found && f.id == ref.field))) {
			take(sl, &s, from, f.start);
			from = f.end;
		} else if (!fd) {
			spend(sl, &s, f.end - f.start + 48);
		} else {
			check_field(sl, &s, kind, fd, &f);
			if (fd->type != PROTOBUF_C_TYPE_MESSAGE)
				continue;
			take(sl, &s, from, f.start);
			from = f.end;
			slim_nested(sl, &s, &f, fd->descriptor, depth);
		}
	}
	take(sl, &s, from, s.end);
	if (found) {
		const uint8_t head[2] = { 9 << 3 | BYTES, sizeof ref };
		wq_str_write(&sl->out, head, 2);
		wq_str_write(&sl->out, &ref, sizeof ref);
	}
}

/* ---- unpacking --------------------------------------------------------------------------------------- */

static void *arena_alloc(void *a, size_t n) { return wq_alloc(a, n); } /* fails the whole call, never returns NULL */
static void arena_release(void *a, void *p) { (void)a, (void)p; }

static void free_scratch(void *p)
{
	wq_arena_free(*(WqArena **)p);
	*(WqArena **)p = NULL;
}

ProtobufCMessage *wire_unpack(WqArena *a, const ProtobufCMessageDescriptor *kind, const uint8_t *p, size_t n,
			      const char *what)
{
	const uint64_t base = 64u << 20, cap = 2ull << 30;
	Slim sl = { .budget = n < (cap - base) / 64 ? base + 64 * n : cap };
	WqArena **scratch = WQ_NEW(a, WqArena *);
	wq_defer(a, free_scratch, scratch);
	sl.out.a = *scratch = wq_arena_new();
	slim_message(&sl, (WireScan){ p, 0, n, what }, kind, 1);
	ProtobufCAllocator alloc = { arena_alloc, arena_release, a };
	ProtobufCMessage *m = protobuf_c_message_unpack(kind, &alloc, sl.out.n, (const uint8_t *)sl.out.s);
	free_scratch(scratch);
	if (!m)
		wq_fail(WQ_EINPUT, "%s: not a valid %s", what, kind->name);
	return m;
}
