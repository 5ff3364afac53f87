/* wqcc.c: the public API: every entry is one WqTry around the inner parts; errors become error objects. */
#include "api/api.h"

#include "passes/pass.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- entering and leaving --------------------------------------------------------------------------- */

static locale_t plain_locale;
static void make_locale(void) { plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Numbers in texts have a point, whatever the host program's locale; the thread gets its own back. */
static locale_t enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_locale);
	return plain_locale ? uselocale(plain_locale) : (locale_t)0;
}

static void leave(locale_t before)
{
	if (before)
		uselocale(before);
}

static int report(wqcc_error *err, const WqError *e)
{
	if (err) {
		err->code = e->code;
		snprintf(err->message, sizeof err->message, "%s", e->text);
	}
	return e->code;
}

const char *wqcc_version(void) { return WQ_VERSION; }

/* ---- models ------------------------------------------------------------------------------------- */

ImportDim api_parse_dim(WqArena *a, const char *s)
{
	const char *eq = strchr(s, '=');
	bool bound = eq && eq > s && eq[-1] == '<';
	char *end = NULL;
	ImportDim d = { .bound_only = bound };
	if (eq) {
		d.name = wq_strndup(a, s, (size_t)(eq - s - bound));
		d.value = strtoll(eq + 1, &end, 10);
	}
	if (!eq || !*d.name || end == eq + 1 || *end || d.value < 0)
		wq_fail(WQ_EINPUT, "a dimension is given as NAME=N or NAME<=N, not '%s'", s);
	return d;
}

static void set_options(wqcc_model *m, const wqcc_options *o, ImportOptions *io)
{
	*io = (ImportOptions){ .fold = wq_engine_fold };
	if (!o)
		return;
	ImportDim *d = WQ_NEW_N(m->arena, ImportDim, o->n_dims + 1);
	for (int i = 0; i < o->n_dims; i++)
		d[i] = api_parse_dim(m->arena, o->dims[i]);
	io->n_dims = o->n_dims;
	io->dims = d;
	m->engine_options.threads = o->threads;
	m->engine_options.plain = o->plain != 0;
}

typedef struct Source { /* where a model comes from: one of these */
	const char *path, *ir;
	const void *data;
	size_t size;
	const char *dir;
} Source;

/* The text form's data stands beside it under the same name plus ".data". */
static WqModule *load_text(wqcc_model *m, const char *path)
{
	WqMapped text = wq_file_map(m->arena, path), data = { 0 };
	const char *beside = wq_sprintf(m->arena, "%s.data", path);
	FILE *f = fopen(beside, "rb");
	if (f) {
		(void)fclose(f);
		data = wq_file_map(m->arena, beside);
	}
	WqModule *r = wq_parse(path, (const char *)text.p, text.n, data);
	r->fold = wq_engine_fold;
	return r;
}

static void load(wqcc_model *m, const Source *s, const wqcc_options *o)
{
	ImportOptions io;
	set_options(m, o, &io);
	if (s->ir) {
		if (io.n_dims)
			wq_fail(WQ_EINPUT, "%s: the dimensions of a text form are what they are: '%s' is for an ONNX model", s->ir, o->dims[0]);
		m->module = load_text(m, s->ir);
		return;
	}
	m->onnx = s->path ? onnx_open(s->path) : onnx_open_memory(s->data, s->size, s->dir);
	m->module = onnx_import(m->onnx, &io);
}

static wqcc_model *load_from(const Source *s, const wqcc_options *o, wqcc_error *err)
{
	const locale_t before = enter();
	WqTry t;
	wqcc_model *volatile m = NULL;
	WqArena *volatile a = NULL;
	if (WQ_TRY(&t)) {
		a = wq_arena_new();
		m = WQ_NEW(a, wqcc_model);
		m->arena = a;
		load(m, s, o);
		wq_try_end(&t);
		leave(before);
		return m;
	}
	if (m)
		wqcc_free(m);
	else
		wq_arena_free(a);
	report(err, &t.err);
	leave(before);
	return NULL;
}

wqcc_model *wqcc_load_file(const char *path, const wqcc_options *options, wqcc_error *err)
{
	return load_from(&(Source){ .path = path }, options, err);
}

wqcc_model *wqcc_load_memory(const void *data, size_t size, const char *base_dir, const wqcc_options *options, wqcc_error *err)
{
	return load_from(&(Source){ .data = data, .size = size, .dir = base_dir }, options, err);
}

wqcc_model *wqcc_load_ir(const char *path, const wqcc_options *options, wqcc_error *err)
{
	return load_from(&(Source){ .ir = path }, options, err);
}

void wqcc_free(wqcc_model *m)
{
	if (!m)
		return;
	wq_engine_free(m->engine);
	wq_module_free(m->module);
	if (m->onnx)
		onnx_close(m->onnx);
	wq_arena_free(m->arena);
}

/* ---- inputs and outputs --------------------------------------------------------------------------- */

static int port_of(const wqcc_model *m, const char *name, const WqType *t, wqcc_port *port)
{
	const locale_t before = enter();
	WqTry tr;
	if (WQ_TRY(&tr)) {
		*port = (wqcc_port){ .name = name, .dtype = t->kind == WQ_TENSOR ? (int)t->dtype : 0, .rank = t->kind == WQ_TENSOR ? t->rank : -1 };
		for (int i = 0; i < port->rank; i++)
			port->dim[i] = wq_dim_static(t->dim[i]) ? t->dim[i] : -1;
		WqStr s = { .a = m->arena };
		wq_type_print(m->module, t, &s);
		port->type = s.s;
		wq_try_end(&tr);
		leave(before);
		return 0;
	}
	leave(before);
	return -1;
}

int wqcc_num_inputs(const wqcc_model *m) { return m->module->main->inputs.n; }
int wqcc_num_outputs(const wqcc_model *m) { return m->module->main->outputs.n; }

int wqcc_input(const wqcc_model *m, int i, wqcc_port *port)
{
	const WqGraph *g = m->module->main;
	return i < 0 || i >= g->inputs.n ? -1 : port_of(m, g->inputs.v[i]->name, &g->inputs.v[i]->type, port);
}

int wqcc_output(const wqcc_model *m, int i, wqcc_port *port)
{
	const WqGraph *g = m->module->main;
	return i < 0 || i >= g->outputs.n ? -1 : port_of(m, g->outputs.v[i].name, &g->outputs.v[i].value->type, port);
}

/* ---- passes ----------------------------------------------------------------------------------------- */

int wqcc_run_passes(wqcc_model *m, const char *pipeline, wqcc_error *err)
{
	const locale_t before = enter();
	WqTry t;
	if (WQ_TRY(&t)) {
		wq_engine_free(m->engine);
		m->engine = NULL;
		wq_passes(m->module, pipeline);
		wq_try_end(&t);
		leave(before);
		return 0;
	}
	leave(before);
	return report(err, &t.err);
}

/* ---- evaluation ------------------------------------------------------------------------------------- */

struct wqcc_values {
	WqArena *arena;
	int n;
	WqRt **v;
	wqcc_tensor *t;
};

/* The tensor for graph input i: by name if names are given, else by order. */
static const wqcc_tensor *given(const WqGraph *g, int i, const wqcc_tensor *in, int n)
{
	bool named = false;
	for (int k = 0; k < n; k++) {
		named |= in[k].name != NULL;
		if (in[k].name && !strcmp(in[k].name, g->inputs.v[i]->name))
			return &in[k];
	}
	return !named && i < n ? &in[i] : NULL;
}

static void check_names(const WqGraph *g, const wqcc_tensor *in, int n)
{
	for (int k = 0; k < n; k++) {
		bool known = in[k].name == NULL && n <= g->inputs.n;
		for (int i = 0; in[k].name && i < g->inputs.n; i++)
			known |= !strcmp(in[k].name, g->inputs.v[i]->name);
		if (!known && in[k].name)
			wq_fail(WQ_EINPUT, "the model has no input '%s'", in[k].name);
		if (!known)
			wq_fail(WQ_EINPUT, "%d tensors for %d inputs", n, g->inputs.n);
	}
}

static WqRt *value_of(const WqValue *input, const wqcc_tensor *t)
{
	if (!t) {
		if (input->type.kind == WQ_OPTIONAL)
			return NULL;
		wq_fail(WQ_EINPUT, "the input '%s' is missing", input->name);
	}
	if (!wq_dtype_valid(t->dtype) || t->rank < 0 || t->rank > WQ_MAX_RANK)
		wq_fail(WQ_EINPUT, "the tensor for '%s' has no valid type", input->name);
	WqTensor x = { .dtype = (WqDtype)t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data };
	memcpy(x.dim, t->dim, (size_t)t->rank * sizeof *t->dim);
	int64_t count = wq_shape_count(x.rank, x.dim, input->name);
	if (t->bytes != (size_t)count * wq_dtype_size(x.dtype))
		wq_fail(WQ_EINPUT, "the tensor for '%s' has %zu bytes, its shape needs %zu", input->name, t->bytes,
			(size_t)count * wq_dtype_size(x.dtype));
	return wq_rt_borrow(&x);
}

static void release_inputs(WqRt **in, int n)
{
	for (int i = 0; in && i < n; i++)
		wq_rt_unref(in[i]);
}

static const WqString *own_strings(WqArena *a, const WqString *s, int64_t n)
{
	WqString *own = WQ_NEW_N(a, WqString, n);
	for (int64_t i = 0; i < n; i++)
		own[i] = (WqString){ wq_strndup(a, s[i].n ? s[i].p : "", s[i].n), s[i].n };
	return own;
}

/* An output may be the caller's input or a constant of the model, and strings are the model's: neither need outlive the values. */
static const void *own_data(WqArena *a, const WqRt *v)
{
	const WqTensor *t = &v->t;
	if (t->dtype == WQ_STR)
		return own_strings(a, t->data, wq_tensor_count(t));
	if (v->buf)
		return t->data;
	size_t n = wq_tensor_bytes(t);
	return n ? memcpy(wq_alloc(a, n), t->data, n) : wq_alloc(a, 1);
}

static void describe(wqcc_values *r, const WqGraph *g)
{
	for (int i = 0; i < r->n; i++) {
		if (!r->v[i] || r->v[i]->kind != WQ_TENSOR)
			continue;
		const WqTensor *t = &r->v[i]->t;
		r->t[i] = (wqcc_tensor){ .name = wq_strdup(r->arena, g->outputs.v[i].name), .dtype = (int)t->dtype, .rank = t->rank };
		r->t[i].data = own_data(r->arena, r->v[i]);
		r->t[i].bytes = wq_tensor_bytes(t);
		memcpy(r->t[i].dim, t->dim, (size_t)t->rank * sizeof *t->dim);
	}
}

wqcc_values *wqcc_evaluate(wqcc_model *m, const wqcc_tensor *inputs, int n, wqcc_error *err)
{
	const locale_t before = enter();
	const WqGraph *g = m->module->main;
	WqTry t;
	WqArena *volatile a = NULL;
	wqcc_values *volatile r = NULL;
	WqRt **volatile in = NULL;
	if (WQ_TRY(&t)) {
		a = wq_arena_new();
		wqcc_values *made = WQ_NEW(a, wqcc_values);
		made->arena = a;
		made->v = WQ_NEW_N(a, WqRt *, g->outputs.n + 1);
		made->t = WQ_NEW_N(a, wqcc_tensor, g->outputs.n + 1);
		r = made;
		check_names(g, inputs, n);
		in = WQ_NEW_N(a, WqRt *, g->inputs.n + 1);
		for (int i = 0; i < g->inputs.n; i++)
			in[i] = value_of(g->inputs.v[i], given(g, i, inputs, n));
		if (!m->engine)
			m->engine = wq_engine_new(m->module, &m->engine_options);
		wq_engine_run(m->engine, in, made->v);
		made->n = g->outputs.n;
		m->stat = wq_engine_stat(m->engine);
		describe(made, g);
		release_inputs(in, g->inputs.n);
		wq_try_end(&t);
		leave(before);
		return r;
	}
	release_inputs(in, g->inputs.n);
	if (r)
		wqcc_values_free(r);
	else
		wq_arena_free(a);
	report(err, &t.err);
	leave(before);
	return NULL;
}

int wqcc_values_count(const wqcc_values *v) { return v->n; }

const wqcc_tensor *wqcc_values_tensor(const wqcc_values *v, int i)
{
	return i >= 0 && i < v->n && v->t[i].dtype ? &v->t[i] : NULL;
}

void wqcc_values_free(wqcc_values *v)
{
	if (!v)
		return;
	for (int i = 0; i < v->n; i++)
		wq_rt_unref(v->v[i]);
	wq_arena_free(v->arena);
}

void wqcc_memory(const wqcc_model *m, int64_t *peak_bytes, int64_t *live_bytes)
{
	*peak_bytes = m->stat.peak_bytes;
	*live_bytes = m->stat.live_set_bytes;
}

/* ---- output ------------------------------------------------------------------------------------------- */

static void emit_ir(const wqcc_model *m, WqArena *a, const char *path)
{
	WqStr text = { .a = a }, data = { .a = a };
	bool file = strcmp(path, "-") != 0; /* standard output has no place beside it */
	wq_print(m->module, &text, file ? &data : NULL, 64);
	if (file && data.n) {
		WqFileOut *d = wq_file_create(a, wq_sprintf(a, "%s.data", path));
		wq_file_write(d, data.s, data.n);
		wq_file_commit(d);
	}
	WqFileOut *f = wq_file_create(a, path);
	wq_file_write(f, text.s, text.n);
	wq_file_commit(f);
}

static void emit(wqcc_model *m, WqArena *a, int what, const char *path)
{
	if (what == WQCC_IR)
		emit_ir(m, a, path);
	else if (what == WQCC_ONNX && m->onnx)
		onnx_write(m->onnx, NULL, path);
	else if (what == WQCC_ONNX)
		wq_fail(WQ_EINPUT, "a model read from the text form has no ONNX model to write back");
	else
		wq_fail(WQ_EINPUT, "there is no output form %d", what);
}

int wqcc_emit(wqcc_model *m, int what, const char *path, wqcc_error *err)
{
	const locale_t before = enter();
	WqTry t;
	WqArena *volatile a = NULL;
	if (WQ_TRY(&t)) {
		a = wq_arena_new();
		emit(m, a, what, path);
		wq_arena_free(a);
		wq_try_end(&t);
		leave(before);
		return 0;
	}
	wq_arena_free(a);
	leave(before);
	return report(err, &t.err);
}

char *wqcc_inspect(wqcc_model *m, int json, wqcc_error *err)
{
	const locale_t before = enter();
	WqTry t;
	WqArena *volatile a = NULL;
	if (WQ_TRY(&t)) {
		a = wq_arena_new();
		WqStr s = { .a = a };
		if (json)
			inspect_json(m, &s);
		else
			inspect_text(m, &s);
		char *text = wq_raw_alloc(s.n + 1);
		memcpy(text, s.s, s.n);
		wq_arena_free(a);
		wq_try_end(&t);
		leave(before);
		return text;
	}
	wq_arena_free(a);
	report(err, &t.err);
	leave(before);
	return NULL;
}

void wqcc_text_free(char *text) { wq_raw_free(text); }
