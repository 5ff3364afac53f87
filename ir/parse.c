/* parse.c: the text form, read. Grammar in docs/ir.md; the printer is print.c. */
#include "ir/ir.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

typedef struct Parser {
	const char *file;
	const char *text, *s, *end; /* the text is terminated */
	WqModule *m;
	WqMapped data;
	int depth;
} Parser;

WQ_NORETURN static void bad(Parser *p, const char *fmt, ...) WQ_PRINTF(2, 3);

static void bad(Parser *p, const char *fmt, ...)
{
	char what[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	int line = 1, col = 1;
	for (const char *c = p->text; c < p->s; c++) {
		col = *c == '\n' ? 1 : col + 1;
		line += *c == '\n';
	}
	wq_fail(WQ_EINPUT, "%s:%d:%d: %s", p->file, line, col, what);
}

/* ---- tokens ------------------------------------------------------------------------------------- */

static void skip(Parser *p)
{
	for (;;) {
		while (p->s < p->end && isspace((unsigned char)*p->s))
			p->s++;
		if (*p->s != '#')
			return;
		while (p->s < p->end && *p->s != '\n')
			p->s++;
	}
}

static bool name_char(char c) { return isalnum((unsigned char)c) || (c && strchr("_./-", c)); }

/* A word is eaten only if no longer name begins with it. */
static bool eat(Parser *p, const char *tok)
{
	skip(p);
	size_t n = strlen(tok);
	if ((size_t)(p->end - p->s) < n || memcmp(p->s, tok, n))
		return false;
	if (isalpha((unsigned char)*tok) && name_char(p->s[n]))
		return false;
	p->s += n;
	return true;
}

static void want(Parser *p, const char *tok)
{
	if (!eat(p, tok))
		bad(p, "expected '%s'", tok);
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static WqString string(Parser *p)
{
	want(p, "\"");
	WqStr b = { .a = p->m->arena };
	wq_str_write(&b, "", 0);
	while (p->s < p->end && *p->s != '"') {
		char c = *p->s++;
		if (c == '\\' && *p->s == 'x') {
			int hi = hex_digit(p->s[1]), lo = hi < 0 ? -1 : hex_digit(p->s[2]);
			if (lo < 0)
				bad(p, "\\x takes two hexadecimal digits");
			c = (char)(hi * 16 + lo);
			p->s += 3;
		} else if (c == '\\') {
			if (p->s == p->end)
				break;
			c = *p->s++;
		}
		wq_str_write(&b, &c, 1);
	}
	want(p, "\"");
	return (WqString){ b.s, b.n };
}

static const char *name(Parser *p)
{
	skip(p);
	if (*p->s == '"') {
		WqString s = string(p);
		if (!s.n || strlen(s.p) != s.n)
			bad(p, "not a name");
		return s.p;
	}
	const char *start = p->s;
	if (isalpha((unsigned char)*p->s) || *p->s == '_' || *p->s == '/')
		while (name_char(*p->s))
			p->s++;
	if (p->s == start)
		bad(p, "expected a name");
	return wq_strndup(p->m->arena, start, (size_t)(p->s - start));
}

static int64_t integer(Parser *p)
{
	skip(p);
	char *end;
	errno = 0;
	int64_t v = strtoll(p->s, &end, 10);
	if (end == p->s || errno)
		bad(p, "expected an integer");
	p->s = end;
	return v;
}

static double number(Parser *p)
{
	skip(p);
	char *end;
	double v = strtod(p->s, &end);
	if (end == p->s)
		bad(p, "expected a number");
	p->s = end;
	return v;
}

static uint64_t hash_text(Parser *p)
{
	skip(p);
	uint64_t h = 0;
	for (int i = 0; i < 16; i++, p->s++) {
		int d = hex_digit(*p->s);
		if (d < 0)
			bad(p, "expected 16 hexadecimal digits");
		h = h << 4 | (uint64_t)d;
	}
	return h;
}

/* ---- types -------------------------------------------------------------------------------------- */

static WqDim dim(Parser *p)
{
	skip(p);
	WqTry t;
	const char *end = NULL;
	if (WQ_TRY(&t)) {
		WqDim d = wq_dim_parse(p->m, p->s, &end);
		wq_try_end(&t);
		p->s = end;
		return d;
	}
	wq_try_passes(&t);
	bad(p, "%s", t.err.text);
}

static WqType type_in(Parser *p, bool inner)
{
	WqType t = { .kind = WQ_TENSOR };
	if (++p->depth > WQ_MAX_DEPTH)
		bad(p, "types nest too deep");
	bool seq = eat(p, "seq"), opt = !seq && eat(p, "opt");
	if (seq || opt) {
		want(p, "(");
		WqType e = type_in(p, true);
		want(p, ")");
		p->depth--;
		return wq_type_wrap(p->m, seq ? WQ_SEQUENCE : WQ_OPTIONAL, &e);
	}
	p->depth--;
	if (!eat(p, "?")) {
		const char *d = name(p);
		t.dtype = wq_dtype_parse(d);
		if (t.dtype == WQ_UNDEF)
			bad(p, "'%s' is not an element type", d);
	}
	want(p, "[");
	if (eat(p, "*")) {
		t.rank = -1;
		want(p, "]");
		return t;
	}
	while (!eat(p, "]")) {
		if (t.rank)
			want(p, ",");
		if (t.rank == WQ_MAX_RANK)
			bad(p, "more than %d dimensions", WQ_MAX_RANK);
		/* only elements of sequences leave a size open: a tensor's has a name */
		t.dim[t.rank++] = inner && eat(p, "?") ? WQ_DIM_UNKNOWN : dim(p);
	}
	return t;
}

static WqType type(Parser *p) { return type_in(p, false); }

/* ---- constants ---------------------------------------------------------------------------------- */

static WqTensor *tensor_for(Parser *p, const WqType *t)
{
	if (t->kind != WQ_TENSOR || !wq_type_static(t) || t->dtype == WQ_UNDEF)
		bad(p, "a constant needs a type of known size");
	return wq_tensor_new(p->m, t->dtype, t->rank, t->dim);
}

static void inline_elements(Parser *p, WqTensor *t, int64_t n)
{
	char cls = wq_dtype(t->dtype)->cls;
	for (int64_t i = 0; i < n; i++) {
		if (i)
			want(p, ",");
		if (t->dtype == WQ_STR)
			((WqString *)t->data)[i] = string(p);
		else if (cls == 'F')
			wq_tensor_set_f(t, i, number(p));
		else if (t->dtype == WQ_U64) {
			skip(p);
			char *end;
			wq_tensor_set_i(t, i, (int64_t)strtoull(p->s, &end, 10));
			if (end == p->s)
				bad(p, "expected an integer");
			p->s = end;
		} else if (cls == 'C')
			bad(p, "complex constants are written in hex");
		else
			wq_tensor_set_i(t, i, integer(p));
	}
	want(p, "}");
}

static void set_bytes(Parser *p, WqTensor *t, const uint8_t *b, size_t bytes, int64_t n)
{
	if (bytes != wq_packed_bytes(t->dtype, n))
		bad(p, "%zu bytes of data; the type has %zu", bytes, wq_packed_bytes(t->dtype, n));
	if (wq_dtype(t->dtype)->bits < 8)
		wq_unpack(t->dtype, b, t->data, n);
	else if (bytes)
		memcpy(t->data, b, bytes);
}

static void hex_elements(Parser *p, WqTensor *t, int64_t n)
{
	if (t->dtype == WQ_STR)
		bad(p, "strings are not written in hex");
	size_t room = wq_packed_bytes(t->dtype, n), k = 0;
	uint8_t *b = wq_alloc(p->m->arena, room + 1);
	want(p, "\"");
	while (hex_digit(*p->s) >= 0) {
		int hi = hex_digit(p->s[0]), lo = hex_digit(p->s[1]);
		if (lo < 0 || k == room)
			bad(p, "the data does not fit the type");
		b[k++] = (uint8_t)(hi * 16 + lo);
		p->s += 2;
	}
	want(p, "\"");
	set_bytes(p, t, b, k, n);
}

/* A view into the data beside; the hash tells a file that belongs to another text. */
static void data_elements(Parser *p, WqTensor *t, int64_t n)
{
	int64_t offset = integer(p);
	uint64_t h = hash_text(p);
	size_t bytes = wq_packed_bytes(t->dtype, n);
	if (t->dtype == WQ_STR || !p->data.p)
		bad(p, "there is no data beside this text");
	if (offset < 0 || (uint64_t)offset > p->data.n || bytes > p->data.n - (uint64_t)offset)
		bad(p, "the data beside ends before this constant");
	const uint8_t *b = p->data.p + offset;
	if (wq_hash(b, bytes, 0) != h)
		bad(p, "the data beside is not the one this text was written with");
	set_bytes(p, t, b, bytes, n);
}

static void origin(Parser *p, WqOrigin *o)
{
	if (!eat(p, "from"))
		return;
	WqString s = string(p);
	o->initializer = s.p;
	if (eat(p, "perm")) {
		want(p, "[");
		do {
			if (o->n_perm == WQ_MAX_RANK)
				bad(p, "more than %d axes", WQ_MAX_RANK);
			o->perm[o->n_perm++] = integer(p);
		} while (eat(p, ","));
		want(p, "]");
	}
	o->reshaped = eat(p, "reshaped");
}

static void constant(Parser *p)
{
	const char *n = name(p);
	if (wq_map_get(p->m->values, n))
		bad(p, "'%s' is defined twice", n);
	want(p, ":");
	WqType ty = type(p);
	WqOrigin o = { 0 };
	origin(p, &o);
	want(p, "=");
	if (eat(p, "hash"))
		bad(p, "the data of '%s' was not printed (a text by hash only is for reading)", n);
	/* Inline data is bounded by the text; data beside by its file. */
	WqDim count = wq_type_count(p->m, &ty);
	bool beside = eat(p, "data");
	if (count < 0 || (uint64_t)count > (beside ? p->data.n * 4 : (size_t)(p->end - p->s)) + 1)
		bad(p, "the type has more elements than there is data");
	WqTensor *t = tensor_for(p, &ty);
	if (beside)
		data_elements(p, t, count);
	else if (eat(p, "hex"))
		hex_elements(p, t, count);
	else {
		want(p, "{");
		inline_elements(p, t, count);
	}
	WqValue *v = wq_const(p->m->main, n, t);
	v->origin = o;
}

/* ---- graphs ------------------------------------------------------------------------------------- */


static WqValue *operand(Parser *p, WqGraph *g)
{
	skip(p);
	const char *at = p->s;
	const char *n = name(p);
	if (!strcmp(n, "_") && *at == '_')
		return NULL;
	WqValue *v = wq_map_get(p->m->values, n);
	const WqGraph *up = g;
	while (v && up && up != v->graph)
		up = up->parent;
	if (!v || !up) {
		p->s = at;
		bad(p, "'%s' is not defined here", n);
	}
	return v;
}

static void attr_list(Parser *p, WqNode *n, const char *key, bool dims)
{
	WQ_VEC(int64_t) v = { 0 };
	want(p, "[");
	while (!eat(p, "]")) {
		if (v.n)
			want(p, ",");
		int64_t x = dims ? dim(p) : integer(p);
		WQ_PUSH(p->m->arena, v, x);
	}
	wq_set_ints(n, key, v.n, v.v);
}

static void attr(Parser *p, WqNode *n)
{
	const char *key = name(p);
	WqAttr def;
	bool required;
	if (!wq_attr_schema(n->op, key, &def, &required))
		bad(p, "%s has no attribute '%s'", wq_op(n->op)->name, key);
	want(p, "=");
	switch (def.kind) {
	case WQ_A_INT:
		wq_set_i(n, key, integer(p));
		break;
	case WQ_A_FLOAT:
		wq_set_f(n, key, number(p));
		break;
	case WQ_A_STR: {
		WqString s = string(p);
		wq_set_s(n, key, s.p);
		break;
	}
	case WQ_A_DTYPE: {
		WqDtype t = wq_dtype_parse(name(p));
		if (t == WQ_UNDEF)
			bad(p, "not an element type");
		wq_set_i(n, key, t);
		break;
	}
	case WQ_A_TYPE: {
		WqType t = type(p);
		wq_set_type(n, key, &t);
		break;
	}
	default:
		attr_list(p, n, key, def.kind == WQ_A_DIMS);
	}
}

static void graph(Parser *p, WqGraph *g);

/* Everything of a node after its results. */
static WqNode *node_rest(Parser *p, WqGraph *g)
{
	skip(p);
	const char *at = p->s, *op_name = name(p);
	WqOp op = wq_op_find(op_name);
	if (op == WQ_OP_NONE) {
		p->s = at;
		bad(p, "'%s' is not an operator", op_name);
	}
	WQ_VEC(WqValue *) in = { 0 };
	want(p, "(");
	while (!eat(p, ")")) {
		if (in.n)
			want(p, ",");
		WqValue *v = operand(p, g);
		WQ_PUSH(p->m->arena, in, v);
	}
	WqNode *n = wq_node_new(g, op, in.n, in.v);
	if (eat(p, "<")) {
		do
			attr(p, n);
		while (eat(p, ","));
		want(p, ">");
	}
	if (eat(p, "@"))
		n->name = string(p).p;
	while (eat(p, "graph")) {
		WqGraph *b = wq_graph_new(g);
		wq_node_add_body(n, b);
		graph(p, b);
	}
	return n;
}

static void node(Parser *p, WqGraph *g)
{
	WQ_VEC(const char *) names = { 0 };
	WQ_VEC(WqType) types = { 0 };
	const char *at = p->s;
	do {
		const char *n = name(p);
		WqType t = { 0 };
		bool none = !strcmp(n, "_");
		if (!none) {
			want(p, ":");
			t = type(p);
			if (wq_map_get(p->m->values, n))
				bad(p, "'%s' is defined twice", n);
			for (int i = 0; i < names.n; i++)
				if (names.v[i] && !strcmp(names.v[i], n))
					bad(p, "'%s' is defined twice", n);
		}
		WQ_PUSH(p->m->arena, names, none ? NULL : n);
		WQ_PUSH(p->m->arena, types, t);
	} while (eat(p, ","));
	want(p, "=");
	WqNode *n = node_rest(p, g);
	WqTry t;
	if (WQ_TRY(&t)) {
		wq_node_finish_as(n, names.n, names.v, types.v);
		wq_try_end(&t);
		return;
	}
	wq_try_passes(&t);
	p->s = at;
	bad(p, "%s", t.err.text);
}

static void outputs(Parser *p, WqGraph *g)
{
	skip(p);
	while (*p->s != '}') {
		if (g->outputs.n)
			want(p, ",");
		const char *at = p->s;
		const char *n = name(p);
		if (!eat(p, "="))
			p->s = at;
		WqValue *v = operand(p, g);
		if (!v)
			bad(p, "an output needs a value");
		wq_output(g, n, v);
		skip(p);
	}
}

static void graph(Parser *p, WqGraph *g)
{
	if (++p->depth > WQ_MAX_DEPTH)
		bad(p, "graphs nest too deep");
	want(p, "(");
	while (!eat(p, ")")) {
		if (g->inputs.n)
			want(p, ",");
		const char *n = name(p);
		if (wq_map_get(p->m->values, n))
			bad(p, "'%s' is defined twice", n);
		want(p, ":");
		WqType t = type(p);
		wq_input(g, n, &t);
	}
	want(p, "{");
	while (!eat(p, "return")) {
		skip(p);
		if (p->s == p->end || *p->s == '}')
			bad(p, "expected 'return'");
		node(p, g);
	}
	outputs(p, g);
	want(p, "}");
	p->depth--;
}

static void symbol(Parser *p)
{
	WqDim d = dim(p);
	if (!wq_dim_is_sym(p->m, d, NULL))
		bad(p, "expected the name of a symbol");
	want(p, "in");
	want(p, "[");
	int64_t lo = integer(p);
	want(p, ",");
	int64_t hi = eat(p, "inf") ? WQ_DIM_INF : integer(p);
	want(p, "]");
	if (lo < 0 || hi < lo || hi > WQ_DIM_INF)
		bad(p, "not a range of sizes");
	wq_dim_bound(p->m, d, lo, hi);
}

static void module(Parser *p)
{
	for (;;) {
		skip(p);
		if (eat(p, "model"))
			p->m->name = string(p).p;
		else if (eat(p, "sym"))
			symbol(p);
		else if (eat(p, "const"))
			constant(p);
		else
			break;
	}
	want(p, "graph");
	graph(p, p->m->main);
	skip(p);
	if (p->s != p->end)
		bad(p, "expected the end");
}

WqModule *wq_parse(const char *file, const char *text, size_t n, WqMapped data)
{
	WqModule *m = wq_module_new("");
	WqTry t;
	if (WQ_TRY(&t)) {
		const char *copy = wq_strndup(m->arena, text, n);
		Parser p = { .file = file, .text = copy, .s = copy, .end = copy + n, .m = m, .data = data };
		if (memchr(text, 0, n))
			wq_fail(WQ_EINPUT, "%s: not a text", file);
		module(&p);
		wq_try_end(&t);
		return m;
	}
	wq_module_free(m);
	wq_fail(t.err.code, "%s", t.err.text);
}
