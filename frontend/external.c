/* external.c: the external data files of a model that is written to another directory.
 *
 * A file that loses no tensor is copied as it is. Of the others, the bytes that are still used move together, each
 * piece at its old place modulo a page, so that what was aligned stays aligned.
 */
#include "frontend/write.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PAGE = 4096 };

typedef struct Piece {
	uint64_t from, n, to;
} Piece;

typedef struct File {
	const char *location, *dest;
	const uint8_t *p; /* the mapped source */
	uint64_t n;
	bool shrinks, in_place;
	WQ_VEC(Piece) pieces; /* in use, ascending, disjoint */
} File;

struct ExternalPlan {
	OnnxModel *m;
	WqArena *a;
	const Pointers *dropped;
	const char *dir; /* of the output */
	bool in_place;   /* the files stay where they are */
	WqMap *files;    /* location -> File * */
	bool moves;
};

/* ---- every tensor of a model ------------------------------------------------------------------------------- */

static void visit(ExternalPlan *x, const ProtobufCMessage *msg, bool dropped);

static void visit_field(ExternalPlan *x, const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *fd, bool dropped)
{
	const char *base = (const char *)msg;
	if (fd->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(const size_t *)(base + fd->quantifier_offset);
		ProtobufCMessage *const *v = *(ProtobufCMessage *const *const *)(base + fd->offset);
		for (size_t i = 0; i < n; i++)
			visit(x, v[i], dropped);
		return;
	}
	if (fd->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)(base + fd->quantifier_offset) != fd->id)
		return;
	const ProtobufCMessage *child = *(const ProtobufCMessage *const *)(base + fd->offset);
	if (child)
		visit(x, child, dropped);
}

static File *file_of(ExternalPlan *x, const char *location)
{
	File *f = wq_map_get(x->files, location);
	if (!f) {
		f = WQ_NEW(x->a, File);
		f->location = location;
		wq_map_put(x->files, location, f);
	}
	return f;
}

static void use_tensor(ExternalPlan *x, const Onnx__TensorProto *t, bool dropped)
{
	if (t->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
		return;
	OnnxExternal e = onnx_external(x->m, t);
	File *f = file_of(x, e.location);
	f->shrinks |= dropped;
	if (dropped || x->in_place)
		return;
	WqTensor *v = onnx_tensor(x->m, x->a, t);
	const WqMapped *src = wq_map_get(x->m->externals, e.location);
	f->p = src->p;
	f->n = src->n;
	Piece piece = { e.offset, wq_tensor_bytes(v), e.offset };
	WQ_PUSH(x->a, f->pieces, piece);
}

static void visit(ExternalPlan *x, const ProtobufCMessage *msg, bool dropped)
{
	dropped |= pointers_have(x->dropped, msg);
	if (msg->descriptor == &onnx__tensor_proto__descriptor) {
		use_tensor(x, (const Onnx__TensorProto *)msg, dropped);
		return;
	}
	for (unsigned i = 0; i < msg->descriptor->n_fields; i++)
		if (msg->descriptor->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			visit_field(x, msg, &msg->descriptor->fields[i], dropped);
}

/* ---- the plan ---------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const Piece *p = a, *q = b;
	return (p->from > q->from) - (p->from < q->from);
}

static void pack_pieces(File *f)
{
	uint64_t at = 0;
	int n = 0;
	if (f->pieces.n)
		qsort(f->pieces.v, (size_t)f->pieces.n, sizeof *f->pieces.v, by_place);
	for (int i = 0; i < f->pieces.n; i++) {
		Piece p = f->pieces.v[i], *last = n ? &f->pieces.v[n - 1] : NULL;
		if (last && p.from <= last->from + last->n) {
			if (p.from + p.n > last->from + last->n)
				last->n = p.from + p.n - last->from;
			continue;
		}
		f->pieces.v[n++] = p;
	}
	f->pieces.n = n;
	for (int i = 0; i < n; i++) {
		Piece *p = &f->pieces.v[i];
		p->to = at + (p->from - at) % PAGE;
		at = p->to + p->n;
	}
}

static bool hidden(const char *location)
{
	for (const char *p = location; p; p = strchr(p, '/'), p = p ? p + 1 : NULL)
		if (p[0] == '.' && p[1] && p[1] != '/')
			return true;
	return false;
}

static bool same_file(const char *a, const char *b)
{
	char x[PATH_MAX], y[PATH_MAX];
	return realpath(a, x) && realpath(b, y) && !strcmp(x, y);
}

static void plan_file(ExternalPlan *x, File *f, const char *path)
{
	const char *source = wq_sprintf(x->a, "%s/%s", x->m->dir, f->location);
	f->dest = wq_sprintf(x->a, "%s/%s", x->dir, f->location);
	if (!strcmp(f->dest, path) || same_file(f->dest, path))
		wq_fail(WQ_EINPUT, "%s: external data '%s' and the output are the same file", x->m->path, f->location);
	f->in_place = x->in_place || same_file(source, f->dest);
	if (f->in_place || !f->pieces.n)
		return;
	if (hidden(f->location))
		wq_fail(WQ_EINPUT, "%s: external data '%s' has a hidden name and is not copied", x->m->path,
			f->location);
	if (f->shrinks)
		pack_pieces(f);
	for (int i = 0; i < f->pieces.n; i++)
		x->moves |= f->pieces.v[i].from != f->pieces.v[i].to;
}

static char *dir_of(WqArena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? wq_strndup(a, path, slash == path ? 1 : (size_t)(slash - path)) : wq_strdup(a, ".");
}

ExternalPlan *external_plan(OnnxModel *m, WqArena *a, const Pointers *dropped, const char *path)
{
	ExternalPlan *x = WQ_NEW(a, ExternalPlan);
	*x = (ExternalPlan){ .m = m, .a = a, .dropped = dropped, .dir = dir_of(a, path), .files = wq_map_new(a) };
	x->in_place = !m->dir || !strcmp(path, "-") || same_file(m->dir, x->dir);
	visit(x, &m->proto->base, false);
	for (int i = 0; m->dir && i < wq_map_len(x->files); i++)
		plan_file(x, wq_map_at(x->files, i, NULL), path);
	return x;
}

bool external_moves(const ExternalPlan *x) { return x->moves; }
bool external_has(const ExternalPlan *x, const char *location) { return wq_map_get(x->files, location); }

uint64_t external_offset(const ExternalPlan *x, const char *location, uint64_t old)
{
	const File *f = wq_map_get(x->files, location);
	for (int i = 0; f && i < f->pieces.n; i++) {
		const Piece *p = &f->pieces.v[i];
		if (old >= p->from && old <= p->from + p->n)
			return p->to + (old - p->from);
	}
	return old;
}

/* ---- copying ----------------------------------------------------------------------------------------------- */

static void make_dirs(WqArena *a, const char *path)
{
	char *p = wq_strdup(a, path);
	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = 0;
		if (mkdir(p, 0777) && errno != EEXIST)
			wq_fail(WQ_EINPUT, "%s: cannot create the directory: %s", p, strerror(errno));
		*s = '/';
	}
}

static void copy_file(const ExternalPlan *x, const File *f)
{
	static const uint8_t zeros[PAGE];
	make_dirs(x->a, f->dest);
	WqFileOut *out = wq_file_create(x->a, f->dest);
	uint64_t at = 0;
	if (!f->shrinks)
		wq_file_write(out, f->p, f->n);
	for (int i = 0; f->shrinks && i < f->pieces.n; i++) {
		const Piece *p = &f->pieces.v[i];
		wq_file_write(out, zeros, p->to - at);
		wq_file_write(out, f->p + p->from, p->n);
		at = p->to + p->n;
	}
	wq_file_commit(out);
}

void external_copy(const ExternalPlan *x)
{
	for (int i = 0; i < wq_map_len(x->files); i++) {
		const File *f = wq_map_at(x->files, i, NULL);
		if (!f->in_place && f->pieces.n)
			copy_file(x, f);
	}
}
