/* print.c: the text form, written. docs/ir.md is its manual.
 *
 *   model "name"
 *   sym N in [1, 64]
 *   const w: f32[8,4] from "fc.weight" perm [1, 0] = data 0 0123456789abcdef
 *   graph (x: f32[N,4]) {
 *     h: f32[N,8] = MatMul(x, w) @"/fc/MatMul"
 *     return y=h
 *   }
 */
#include "ir/ir.h"

#include <ctype.h>
#include <math.h>

typedef struct Printer {
	const WqModule *m;
	WqStr *out;
	WqStr *data;
	int64_t inline_max;
	WqMap *consts; /* by name, in order of first use */
	bool *sym;     /* symbols that occur */
} Printer;

/* ---- names and strings ------------------------------------------------------------------------- */

static bool plain_name(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_' && *s != '/')
		return false;
	if (!strcmp(s, "_") || !strcmp(s, "graph") || !strcmp(s, "return")) /* words that may stand where a name does */
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("_./-", *s))
			return false;
	return true;
}

static void print_string(WqStr *out, const char *s, size_t n)
{
	wq_str_printf(out, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '"' || c == '\\')
			wq_str_printf(out, "\\%c", c);
		else if (c < 32 || c == 127)
			wq_str_printf(out, "\\x%02x", c);
		else
			wq_str_printf(out, "%c", c);
	}
	wq_str_printf(out, "\"");
}

static void print_name(WqStr *out, const char *s)
{
	if (plain_name(s))
		wq_str_printf(out, "%s", s);
	else
		print_string(out, s, strlen(s));
}

/* ---- constants ---------------------------------------------------------------------------------- */

/* Bytes as files hold them: types under 8 bits packed. */
static const void *file_bytes(const WqTensor *t, WqArena *a, size_t *n)
{
	int64_t count = wq_tensor_count(t);
	*n = wq_packed_bytes(t->dtype, count);
	if (t->packed || wq_dtype(t->dtype)->bits >= 8)
		return t->data;
	void *p = wq_alloc(a, *n);
	wq_pack(t->dtype, t->data, p, count);
	return p;
}

static void print_hex(WqStr *out, const WqTensor *t)
{
	size_t n;
	const uint8_t *p = file_bytes(t, out->a, &n);
	wq_str_printf(out, "hex\"");
	for (size_t i = 0; i < n; i++)
		wq_str_printf(out, "%02x", p[i]);
	wq_str_printf(out, "\"");
}

static bool all_finite(const WqTensor *t, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double v = wq_tensor_get_f(t, i);
		if (!isfinite(v) || (v == 0 && signbit(v)))
			return false;
	}
	return true;
}

static void print_element(WqStr *out, const WqTensor *t, int64_t i)
{
	const WqDtypeInfo *d = wq_dtype(t->dtype);
	if (t->dtype == WQ_STR) {
		const WqString *s = t->data;
		print_string(out, s[i].p, s[i].n);
	} else if (d->cls == 'F') {
		wq_str_printf(out, t->dtype == WQ_F64 ? "%.17g" : "%.9g", wq_tensor_get_f(t, i));
	} else if (t->dtype == WQ_U64) {
		wq_str_printf(out, "%llu", (unsigned long long)wq_tensor_get_i(t, i));
	} else {
		wq_str_printf(out, "%lld", (long long)wq_tensor_get_i(t, i));
	}
}

static void print_inline(WqStr *out, const WqTensor *t, int64_t n)
{
	char cls = wq_dtype(t->dtype)->cls;
	if (cls == 'C' || (cls == 'F' && !all_finite(t, n))) {
		print_hex(out, t);
		return;
	}
	wq_str_printf(out, "{");
	for (int64_t i = 0; i < n; i++) {
		wq_str_printf(out, i ? ", " : "");
		print_element(out, t, i);
	}
	wq_str_printf(out, "}");
}

static void print_const(Printer *p, const WqValue *v)
{
	WqStr *out = p->out;
	const WqTensor *t = v->data;
	int64_t n = wq_tensor_count(t);
	wq_str_printf(out, "const ");
	print_name(out, v->name);
	wq_str_printf(out, ": ");
	wq_type_print(p->m, &v->type, out);
	if (v->origin.initializer) {
		wq_str_printf(out, " from ");
		print_string(out, v->origin.initializer, strlen(v->origin.initializer));
		for (int i = 0; i < v->origin.n_perm; i++)
			wq_str_printf(out, i ? ", %lld" : " perm [%lld", (long long)v->origin.perm[i]);
		wq_str_printf(out, v->origin.n_perm ? "]" : "");
		wq_str_printf(out, v->origin.reshaped ? " reshaped" : "");
	}
	wq_str_printf(out, " = ");
	if (n <= p->inline_max || t->dtype == WQ_STR) {
		print_inline(out, t, n);
	} else {
		size_t bytes;
		const void *b = file_bytes(t, out->a, &bytes);
		unsigned long long hash = wq_hash(b, bytes, 0);
		if (p->data) {
			while (p->data->n % 64)
				wq_str_write(p->data, "", 1);
			wq_str_printf(out, "data %zu %016llx", p->data->n, hash);
			wq_str_write(p->data, b, bytes);
		} else {
			wq_str_printf(out, "hash %016llx", hash);
		}
	}
	wq_str_printf(out, "\n");
}

/* ---- what occurs -------------------------------------------------------------------------------- */

static void see_dim(Printer *p, WqDim d)
{
	int sym;
	WqDim a, b;
	if (d >= 0 || d == WQ_DIM_UNKNOWN)
		return;
	if (wq_dim_is_sym(p->m, d, &sym)) {
		p->sym[sym] = true;
	} else if (wq_dim_call(p->m, d, &a, &b)) {
		see_dim(p, a);
		see_dim(p, b);
	} else {
		for (int i = 0; i < wq_dim_num_terms(p->m, d); i++) {
			WqDim atom[8];
			int64_t coef;
			int n = wq_dim_term(p->m, d, i, &coef, atom);
			for (int j = 0; j < n; j++)
				see_dim(p, atom[j]);
		}
	}
}

static void see_type(Printer *p, const WqType *t)
{
	if (t->kind != WQ_TENSOR && t->elem)
		see_type(p, t->elem);
	for (int i = 0; t->kind == WQ_TENSOR && i < t->rank; i++)
		see_dim(p, t->dim[i]);
}

static void see_value(Printer *p, WqValue *v)
{
	if (v && v->data && !wq_map_get(p->consts, v->name))
		wq_map_put(p->consts, v->name, v);
}

static void see_graph(Printer *p, const WqGraph *g)
{
	for (int i = 0; i < g->inputs.n; i++)
		see_type(p, &g->inputs.v[i]->type);
	WQ_FOR_NODES(n, g) {
		for (int i = 0; i < n->n_in; i++)
			see_value(p, n->in[i]);
		for (int i = 0; i < n->n_out; i++)
			if (n->out[i])
				see_type(p, &n->out[i]->type);
		for (const WqAttr *a = n->attrs; a; a = a->next) {
			for (int i = 0; a->kind == WQ_A_DIMS && i < a->n; i++)
				see_dim(p, a->ints[i]);
			if (a->kind == WQ_A_TYPE)
				see_type(p, a->type);
		}
		for (int i = 0; i < n->n_body; i++)
			see_graph(p, n->body[i]);
	}
	for (int i = 0; i < g->outputs.n; i++)
		see_value(p, g->outputs.v[i].value);
}

/* ---- graphs ------------------------------------------------------------------------------------- */

static void print_attr(Printer *p, const WqAttr *a)
{
	WqStr *out = p->out;
	wq_str_printf(out, "%s=", a->name);
	switch (a->kind) {
	case WQ_A_INT:
		wq_str_printf(out, "%lld", (long long)a->i);
		break;
	case WQ_A_FLOAT:
		wq_str_printf(out, "%.17g", a->f);
		break;
	case WQ_A_STR:
		print_string(out, a->s, strlen(a->s));
		break;
	case WQ_A_DTYPE:
		wq_str_printf(out, "%s", wq_dtype_valid((int)a->i) ? wq_dtype((WqDtype)a->i)->text : "none");
		break;
	case WQ_A_TYPE:
		wq_type_print(p->m, a->type, out);
		break;
	case WQ_A_INTS:
	case WQ_A_DIMS:
		wq_str_printf(out, "[");
		for (int i = 0; i < a->n; i++) {
			wq_str_printf(out, i ? ", " : "");
			if (a->kind == WQ_A_DIMS)
				wq_dim_print(p->m, a->ints[i], out);
			else
				wq_str_printf(out, "%lld", (long long)a->ints[i]);
		}
		wq_str_printf(out, "]");
	}
}

static void print_graph(Printer *p, const WqGraph *g, int depth);

static void print_node(Printer *p, const WqNode *n, int depth)
{
	WqStr *out = p->out;
	wq_str_printf(out, "%*s", depth * 2, "");
	for (int i = 0; i < n->n_out; i++) {
		wq_str_printf(out, i ? ", " : "");
		if (!n->out[i]) {
			wq_str_printf(out, "_");
			continue;
		}
		print_name(out, n->out[i]->name);
		wq_str_printf(out, ": ");
		wq_type_print(p->m, &n->out[i]->type, out);
	}
	wq_str_printf(out, "%s%s(", n->n_out ? " = " : "", wq_op(n->op)->name);
	for (int i = 0; i < n->n_in; i++) {
		wq_str_printf(out, i ? ", " : "");
		if (n->in[i])
			print_name(out, n->in[i]->name);
		else
			wq_str_printf(out, "_");
	}
	wq_str_printf(out, ")");
	for (const WqAttr *a = n->attrs; a; a = a->next) {
		wq_str_printf(out, a == n->attrs ? " <" : ", ");
		print_attr(p, a);
	}
	wq_str_printf(out, n->attrs ? ">" : "");
	if (n->name && *n->name) {
		wq_str_printf(out, " @");
		print_string(out, n->name, strlen(n->name));
	}
	for (int i = 0; i < n->n_body; i++) {
		wq_str_printf(out, " graph ");
		print_graph(p, n->body[i], depth);
	}
	wq_str_printf(out, "\n");
}

static void print_graph(Printer *p, const WqGraph *g, int depth)
{
	WqStr *out = p->out;
	wq_str_printf(out, "(");
	for (int i = 0; i < g->inputs.n; i++) {
		wq_str_printf(out, i ? ", " : "");
		print_name(out, g->inputs.v[i]->name);
		wq_str_printf(out, ": ");
		wq_type_print(p->m, &g->inputs.v[i]->type, out);
	}
	wq_str_printf(out, ") {\n");
	WQ_FOR_NODES(n, g)
		print_node(p, n, depth + 1);
	wq_str_printf(out, "%*sreturn", (depth + 1) * 2, "");
	for (int i = 0; i < g->outputs.n; i++) {
		const WqOutput *o = &g->outputs.v[i];
		wq_str_printf(out, i ? ", " : " ");
		if (strcmp(o->name, o->value->name)) {
			print_name(out, o->name);
			wq_str_printf(out, "=");
		}
		print_name(out, o->value->name);
	}
	wq_str_printf(out, "\n%*s}", depth * 2, "");
}

void wq_print(const WqModule *m, WqStr *out, WqStr *data, int64_t inline_max)
{
	Printer p = { .m = m, .out = out, .data = data, .inline_max = inline_max, .consts = wq_map_new(out->a) };
	p.sym = WQ_NEW_N(out->a, bool, wq_dim_num_syms(m) + 1);
	see_graph(&p, m->main);
	wq_str_printf(out, "model ");
	print_string(out, m->name, strlen(m->name));
	wq_str_printf(out, "\n");
	for (int i = 0; i < wq_dim_num_syms(m); i++) {
		WqDim d = wq_dim_sym_at(m, i);
		if (!p.sym[i])
			continue;
		wq_str_printf(out, "sym ");
		wq_dim_print(m, d, out);
		wq_str_printf(out, " in [%lld, ", (long long)wq_dim_lo(m, d));
		if (wq_dim_hi(m, d) >= WQ_DIM_INF)
			wq_str_printf(out, "inf]\n");
		else
			wq_str_printf(out, "%lld]\n", (long long)wq_dim_hi(m, d));
	}
	for (int i = 0; i < wq_map_len(p.consts); i++)
		print_const(&p, wq_map_at(p.consts, i, NULL));
	wq_str_printf(out, "graph ");
	print_graph(&p, m->main, 0);
	wq_str_printf(out, "\n");
}
