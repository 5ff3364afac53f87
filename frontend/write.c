/* write.c: a model written back, with some values replaced.
 *
 * The editor walks the original bytes and the unpacked messages side by side. A message that holds nothing to change is
 * taken over as it is; one that does is taken over field by field. Lengths come first on the wire, so each such message
 * is walked twice, first into a sink that only counts.
 */
#include "frontend/write.h"

#include <limits.h>

typedef struct New { /* an added initializer: a TensorProto in two parts */
	WqStr head;
	const void *data;
	size_t n;
	bool external;
	uint64_t offset; /* then: of its data */
} New;

typedef struct Writer {
	OnnxModel *m;
	WqArena *a;
	const OnnxChange *c;
	Pointers dropped;
	ExternalPlan *external;
	int64_t ir_version;
	New **fresh;              /* by edit, then tensor */
	const char *new_location; /* of added external data */
	uint64_t new_bytes;
	WqStr *scratch; /* for headers */
} Writer;

typedef struct Sink {
	WqFileOut *f; /* NULL: only count */
	uint64_t n;
} Sink;

static void put(Sink *o, const void *p, size_t n)
{
	if (o->f)
		wq_file_write(o->f, p, n);
	o->n += n;
}

static void put_str(Sink *o, const WqStr *s) { put(o, s->s, s->n); }

bool pointers_have(const Pointers *v, const void *p)
{
	for (int i = 0; i < v->n; i++)
		if (v->v[i] == p)
			return true;
	return false;
}

/* ---- what changes -------------------------------------------------------------------------------------------- */

static const Onnx__GraphProto *graph_of(const Writer *w, const OnnxEdit *e)
{
	return e->graph ? e->graph : w->m->proto->graph;
}

static bool graph_edited(const Writer *w, const Onnx__GraphProto *g)
{
	for (int i = 0; i < w->c->n_edits; i++)
		if (graph_of(w, &w->c->edits[i]) == g)
			return true;
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_attribute; k++) {
			const Onnx__AttributeProto *a = g->node[i]->attribute[k];
			if (a->g && graph_edited(w, a->g))
				return true;
			for (size_t j = 0; j < a->n_graphs; j++)
				if (graph_edited(w, a->graphs[j]))
					return true;
		}
	return false;
}

static bool attribute_edited(const Writer *w, const Onnx__AttributeProto *a)
{
	for (size_t j = 0; j < a->n_graphs; j++)
		if (graph_edited(w, a->graphs[j]))
			return true;
	return a->g && graph_edited(w, a->g);
}

/* Is anything below changed by an edit? Only main graph, nodes, attributes and their graphs can be. */
static bool edited(const Writer *w, const ProtobufCMessage *msg)
{
	if (!msg || !w->c->n_edits)
		return false;
	if (msg->descriptor == &onnx__graph_proto__descriptor)
		return graph_edited(w, (const Onnx__GraphProto *)msg);
	if (msg->descriptor == &onnx__attribute_proto__descriptor)
		return attribute_edited(w, (const Onnx__AttributeProto *)msg);
	if (msg->descriptor != &onnx__node_proto__descriptor)
		return false;
	const Onnx__NodeProto *n = (const Onnx__NodeProto *)msg;
	for (size_t k = 0; k < n->n_attribute; k++)
		if (attribute_edited(w, n->attribute[k]))
			return true;
	return false;
}

static bool is(const char *a, const char *b) { return a && !strcmp(a, b); }

static void drop_value(Writer *w, const Onnx__GraphProto *g, const char *name)
{
	int before = w->dropped.n;
	for (size_t i = 0; i < g->n_initializer; i++)
		if (is(g->initializer[i]->name, name))
			WQ_PUSH(w->a, w->dropped, (const void *)g->initializer[i]);
	for (size_t i = 0; i < g->n_sparse_initializer; i++)
		if (g->sparse_initializer[i]->values && is(g->sparse_initializer[i]->values->name, name))
			WQ_PUSH(w->a, w->dropped, (const void *)g->sparse_initializer[i]);
	for (size_t i = 0; i < g->n_node; i++) {
		const Onnx__NodeProto *n = g->node[i];
		if (is(n->op_type, "Constant") && n->n_output == 1 && is(n->output[0], name))
			WQ_PUSH(w->a, w->dropped, (const void *)n);
	}
	if (w->dropped.n == before)
		wq_fail(WQ_EINPUT, "%s: no initializer or Constant '%s' to replace", w->m->path, name);
	for (size_t i = 0; i < g->n_input; i++)
		if (is(g->input[i]->name, name))
			WQ_PUSH(w->a, w->dropped, (const void *)g->input[i]);
}

static bool same_domain(const char *a, const char *b)
{
	a = a && strcmp(a, "ai.onnx") != 0 ? a : "";
	b = b && strcmp(b, "ai.onnx") != 0 ? b : "";
	return !strcmp(a, b);
}

/* Does the model import it already? */
static bool imported(const Writer *w, const OnnxImport *o)
{
	const Onnx__ModelProto *p = w->m->proto;
	for (size_t i = 0; i < p->n_opset_import; i++) {
		if (!same_domain(p->opset_import[i]->domain, o->domain))
			continue;
		if (p->opset_import[i]->version < o->version)
			wq_fail(WQ_EUNSUPPORTED, "%s: imports version %lld of '%s', the change needs %lld", w->m->path,
				(long long)p->opset_import[i]->version, o->domain ? o->domain : "",
				(long long)o->version);
		return true;
	}
	return false;
}

static void plan_changes(Writer *w)
{
	const Onnx__ModelProto *p = w->m->proto;
	for (int i = 0; i < w->c->n_edits; i++)
		if (w->c->edits[i].drop)
			drop_value(w, graph_of(w, &w->c->edits[i]), w->c->edits[i].drop);
	for (int i = 0; i < w->c->n_meta; i++)
		for (size_t k = 0; k < p->n_metadata_props; k++)
			if (is(p->metadata_props[k]->key, w->c->meta[i].key))
				WQ_PUSH(w->a, w->dropped, (const void *)p->metadata_props[k]);
	w->ir_version = p->ir_version > w->c->ir_version ? p->ir_version : w->c->ir_version;
}

/* ---- added messages -------------------------------------------------------------------------------------------- */

static void external_entry(WqStr *b, const char *key, const char *value)
{
	WqStr e = { .a = b->a };
	wire_put_text(&e, 1, key);
	wire_put_text(&e, 2, value);
	wire_put_bytes(b, 13, e.s, e.n);
}

static New fresh_tensor(Writer *w, const OnnxNamed *from, uint64_t external_from)
{
	New t = { .head = { .a = w->a } };
	t.data = onnx_put_tensor(&t.head, from->name, from->t, &t.n);
	if (t.n < external_from)
		return t;
	t.external = true;
	t.offset = w->new_bytes = (w->new_bytes + 63) / 64 * 64;
	w->new_bytes += t.n;
	t.head = (WqStr){ .a = w->a };
	for (int i = 0; i < from->t->rank; i++)
		wire_put_int(&t.head, 1, from->t->dim[i]);
	wire_put_int(&t.head, 2, from->t->dtype);
	wire_put_text(&t.head, 8, from->name);
	external_entry(&t.head, "location", w->new_location);
	external_entry(&t.head, "offset", wq_sprintf(w->a, "%llu", (unsigned long long)t.offset));
	external_entry(&t.head, "length", wq_sprintf(w->a, "%zu", t.n));
	wire_put_int(&t.head, 14, ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL);
	return t;
}

static void plan_tensors(Writer *w, uint64_t external_from)
{
	w->new_bytes = 0;
	w->fresh = WQ_NEW_N(w->a, New *, w->c->n_edits);
	for (int i = 0; i < w->c->n_edits; i++) {
		const OnnxEdit *e = &w->c->edits[i];
		w->fresh[i] = WQ_NEW_N(w->a, New, e->n_tensors);
		for (int k = 0; k < e->n_tensors; k++)
			w->fresh[i][k] = fresh_tensor(w, &e->tensors[k], external_from);
	}
}

static void put_header(const Writer *w, Sink *o, uint32_t id, uint64_t n)
{
	w->scratch->n = 0;
	wire_put_length(w->scratch, id, n);
	put_str(o, w->scratch);
}

static void put_nodes(const Writer *w, Sink *o, const Onnx__GraphProto *g)
{
	for (int i = 0; i < w->c->n_edits; i++) {
		const OnnxEdit *e = &w->c->edits[i];
		for (int k = 0; graph_of(w, e) == g && k < e->n_nodes; k++) {
			put_header(w, o, 1, e->nodes[k].n);
			put_str(o, &e->nodes[k]);
		}
	}
}

static void put_tensors(const Writer *w, Sink *o, const Onnx__GraphProto *g)
{
	for (int i = 0; i < w->c->n_edits; i++) {
		const OnnxEdit *e = &w->c->edits[i];
		for (int k = 0; graph_of(w, e) == g && k < e->n_tensors; k++) {
			const New *t = &w->fresh[i][k];
			put_header(w, o, 5, t->head.n + (t->external ? 0 : t->n));
			put_str(o, &t->head);
			if (!t->external)
				put(o, t->data, t->n);
			/* Before version 4, every initializer is an input too. */
			if (w->ir_version < 4 && g == w->m->proto->graph) {
				WqStr info = { .a = w->a };
				onnx_put_value_info(&info, e->tensors[k].name, e->tensors[k].t);
				put_header(w, o, 11, info.n);
				put_str(o, &info);
			}
		}
	}
}

static void put_model_tail(const Writer *w, Sink *o)
{
	WqStr b = { .a = w->a };
	if (w->ir_version && !w->m->proto->has_ir_version)
		wire_put_int(&b, 1, w->ir_version);
	for (int i = 0; i < w->c->n_imports; i++) {
		WqStr e = { .a = w->a };
		if (imported(w, &w->c->imports[i]))
			continue;
		wire_put_text(&e, 1, w->c->imports[i].domain);
		wire_put_int(&e, 2, w->c->imports[i].version);
		wire_put_bytes(&b, 8, e.s, e.n);
	}
	for (int i = 0; i < w->c->n_meta; i++) {
		WqStr e = { .a = w->a };
		wire_put_text(&e, 1, w->c->meta[i].key);
		wire_put_text(&e, 2, w->c->meta[i].value);
		wire_put_bytes(&b, 14, e.s, e.n);
	}
	for (int i = 0; i < w->c->n_functions; i++)
		wire_put_bytes(&b, 25, w->c->functions[i].s, w->c->functions[i].n);
	put_str(o, &b);
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

/* The message that field occurrence k was unpacked to; NULL where msg is not followed, or the field is no message. */
static const ProtobufCMessage *child_of(const Writer *w, const ProtobufCMessage *msg,
					const ProtobufCFieldDescriptor *fd, size_t k)
{
	if (!msg || fd->type != PROTOBUF_C_TYPE_MESSAGE)
		return NULL;
	const char *base = (const char *)msg;
	if (fd->label == PROTOBUF_C_LABEL_REPEATED) {
		WQ_ASSERT(k < *(const size_t *)(base + fd->quantifier_offset));
		return (*(ProtobufCMessage *const *const *)(base + fd->offset))[k];
	}
	/* Types: nothing to change in them, and the pointer may be another member's. */
	if (fd->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return NULL;
	const ProtobufCMessage *child = *(const ProtobufCMessage *const *)(base + fd->offset);
	if (k > 0 && (edited(w, child) || w->dropped.n))
		wq_fail(WQ_EUNSUPPORTED, "%s: a message in several pieces (%s) cannot be edited", w->m->path, fd->name);
	return child;
}

static void walk(const Writer *w, Sink *o, WireScan s, const ProtobufCMessageDescriptor *kind,
		 const ProtobufCMessage *msg);

static bool is_offset(WireScan in)
{
	WireField e;
	bool yes = false;
	while (wire_next(&in, &e))
		if (e.type == 2 && e.id == 1)
			yes = e.end - e.at == 6 && !memcmp(in.p + e.at, "offset", 6);
	return yes;
}

static void walk_tensor(const Writer *w, Sink *o, WireScan s, const Onnx__TensorProto *t)
{
	bool external = t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	WireField f;
	while (wire_next(&s, &f)) {
		if (!external || f.id != 13 || !is_offset((WireScan){ s.p, f.at, f.end, s.what })) {
			put(o, s.p + f.start, f.end - f.start);
			continue;
		}
		OnnxExternal e = onnx_external(w->m, t);
		uint64_t moved = external_offset(w->external, e.location, e.offset);
		w->scratch->n = 0;
		external_entry(w->scratch, "offset", wq_sprintf(w->a, "%llu", (unsigned long long)moved));
		put_str(o, w->scratch);
	}
}

static void walk_field(const Writer *w, Sink *o, const WireScan *s, const WireField *f,
		       const ProtobufCFieldDescriptor *fd, const ProtobufCMessage *child)
{
	WireScan in = { s->p, f->at, f->end, s->what };
	Sink count = { 0 };
	walk(w, &count, in, fd->descriptor, child);
	put_header(w, o, f->id, count.n);
	walk(w, o, in, fd->descriptor, child);
}

static void walk(const Writer *w, Sink *o, WireScan s, const ProtobufCMessageDescriptor *kind,
		 const ProtobufCMessage *msg)
{
	if (kind == &onnx__tensor_proto__descriptor) {
		walk_tensor(w, o, s, (const Onnx__TensorProto *)msg);
		return;
	}
	size_t seen[32] = { 0 }; /* occurrences by field number: all of ours are below */
	bool graph = kind == &onnx__graph_proto__descriptor, model = kind == &onnx__model_proto__descriptor;
	WireField f;
	if (graph)
		put_nodes(w, o, (const Onnx__GraphProto *)msg);
	while (wire_next(&s, &f)) {
		const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(kind, f.id);
		const ProtobufCMessage *child = fd ? child_of(w, msg, fd, seen[f.id]++) : NULL;
		if (child && pointers_have(&w->dropped, child))
			continue;
		if (child && (edited(w, child) || external_moves(w->external))) {
			walk_field(w, o, &s, &f, fd, child);
		} else if (model && f.id == 1) {
			WqStr b = { .a = w->a };
			wire_put_int(&b, 1, w->ir_version);
			put_str(o, &b);
		} else {
			put(o, s.p + f.start, f.end - f.start);
		}
	}
	if (graph)
		put_tensors(w, o, (const Onnx__GraphProto *)msg);
	if (model)
		put_model_tail(w, o);
}

static void walk_model(const Writer *w, Sink *o)
{
	WireScan all = { w->m->file.p, 0, w->m->file.n, w->m->path };
	walk(w, o, all, &onnx__model_proto__descriptor, &w->m->proto->base);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static void write_new_data(const Writer *w, const char *path)
{
	static const uint8_t zeros[64];
	if (!w->new_bytes)
		return;
	if (!strcmp(path, "-"))
		wq_fail(WQ_EINPUT, "the model needs external data, which cannot go to standard output");
	const char *slash = strrchr(path, '/');
	WqFileOut *f = wq_file_create(
		w->a, wq_sprintf(w->a, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, w->new_location));
	uint64_t at = 0;
	for (int i = 0; i < w->c->n_edits; i++)
		for (int k = 0; k < w->c->edits[i].n_tensors; k++) {
			const New *t = &w->fresh[i][k];
			if (!t->external)
				continue;
			wq_file_write(f, zeros, t->offset - at);
			wq_file_write(f, t->data, t->n);
			at = t->offset + t->n;
		}
	wq_file_commit(f);
}

static void write_model(Writer *w, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	plan_changes(w);
	w->external = external_plan(w->m, w->a, &w->dropped, path);
	w->new_location = wq_sprintf(w->a, "%s.data", base);
	if (external_has(w->external, w->new_location))
		w->new_location = wq_sprintf(w->a, "%s.new.data", base);
	plan_tensors(w, w->c->external ? w->c->external : UINT64_MAX);
	Sink size = { 0 };
	walk_model(w, &size);
	if (size.n > INT_MAX && !w->c->external) {
		plan_tensors(w, 1024);
		size.n = 0;
		walk_model(w, &size);
	}
	if (size.n > INT_MAX)
		wq_fail(WQ_EINPUT, "%s: the written model has %llu bytes; protobuf allows 2 GB", w->m->path,
			(unsigned long long)size.n);
	Sink out = { wq_file_create(w->a, path), 0 };
	walk_model(w, &out);
	WQ_ASSERT(out.n == size.n);
	external_copy(w->external);
	write_new_data(w, path);
	wq_file_commit(out.f);
}

void onnx_write(OnnxModel *m, const OnnxChange *c, const char *path)
{
	static const OnnxChange none;
	WqArena *a = wq_arena_new();
	WqStr scratch = { .a = a };
	Writer w = { .m = m, .a = a, .c = c ? c : &none, .scratch = &scratch };
	WqTry t;
	if (WQ_TRY(&t)) {
		write_model(&w, path);
		wq_try_end(&t);
		wq_arena_free(a);
		return;
	}
	wq_arena_free(a);
	wq_fail(t.err.code, "%s", t.err.text);
}
