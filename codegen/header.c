/* header.c: the C header of an object. */
#include "codegen/export.h"

#include <ctype.h>

static const char *c_type(WqDtype t)
{
	switch (t) {
	case WQ_F32: return "float";
	case WQ_F64: return "double";
	case WQ_I16: return "int16_t";
	case WQ_I32: return "int32_t";
	case WQ_I64: return "int64_t";
	case WQ_U16: case WQ_F16: case WQ_BF16: return "uint16_t";
	case WQ_U32: return "uint32_t";
	case WQ_U64: return "uint64_t";
	case WQ_I8: case WQ_I4: case WQ_I2: return "int8_t";
	case WQ_C64: return "float"; /* real and imaginary part in turn */
	default: return "uint8_t";
	}
}

static const char *upper(WqArena *a, const char *s)
{
	char *u = wq_strdup(a, s);
	for (char *p = u; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return u;
}

/* Identifiers that differ: in_x, in_x_2, ... */
static const char *unique(WqArena *a, WqMap *taken, const char *prefix, const char *name)
{
	char *s = wq_sprintf(a, "%s%s", prefix, wq_c_name(a, name));
	for (int i = 2; wq_map_get(taken, s); i++)
		s = wq_sprintf(a, "%s%s_%d", prefix, wq_c_name(a, name), i);
	wq_map_put(taken, s, s);
	return s;
}

typedef struct Header {
	const WqProgram *p;
	WqArena *a;
	WqStr *out;
	WqMap *taken;
	const char *macro; /* the symbol in capitals */
	int *sym, n_sym;
} Header;

static void type_comment(Header *h, const char *what, const char *name, const WqType *t)
{
	wq_str_printf(h->out, " *   %s: ", what);
	for (const char *c = name; *c; c++) /* a name must not end the comment */
		wq_str_printf(h->out, "%c", isprint((unsigned char)*c) && !(c[0] == '*' && c[1] == '/') ? *c : '?');
	wq_str_printf(h->out, ", ");
	wq_type_print(h->p->mod, t, h->out);
	wq_str_printf(h->out, "\n");
}

static void macros(Header *h)
{
	const WqProgram *p = h->p;
	wq_str_printf(h->out, "#define %s_ARENA_BYTES %lld\n#define %s_ARENA_ALIGN 64\n#define %s_WEIGHTS_BYTES %lld\n", h->macro,
		      (long long)p->arena_bytes, h->macro, h->macro, (long long)p->weights_bytes);
	if (p->stack_bytes)
		wq_str_printf(h->out, "#define %s_STACK_BYTES %lld /* at most, of one call */\n", h->macro, (long long)p->stack_bytes);
	for (int i = 0; i < h->n_sym; i++) {
		WqDim d = wq_dim_sym_at(p->mod, h->sym[i]);
		wq_str_printf(h->out, "#define %s_MAX_%s %lld\n", h->macro, upper(h->a, wq_c_name(h->a, wq_dim_sym_name(p->mod, h->sym[i]))),
			      (long long)wq_dim_hi(p->mod, d));
	}
}

static void port_macros(Header *h, const char *name, const WqType *t)
{
	wq_str_printf(h->out, "#define %s_%s_ELEMENTS %lld%s\n", h->macro, upper(h->a, name), (long long)wq_max_count(h->p->mod, t),
		      wq_type_static(t) ? "" : " /* at most */");
}

static void prototype(Header *h, const char **in, const char **out)
{
	const WqGraph *g = h->p->mod->main;
	wq_str_printf(h->out, "int32_t %s_run(void *arena", h->p->o.symbol);
	if (!h->p->o.weights_inside)
		wq_str_printf(h->out, ", const void *weights");
	for (int i = 0; i < g->inputs.n; i++)
		wq_str_printf(h->out, ", const %s *%s", c_type(g->inputs.v[i]->type.dtype), in[i]);
	for (int i = 0; i < g->outputs.n; i++)
		wq_str_printf(h->out, ", %s *%s", c_type(g->outputs.v[i].value->type.dtype), out[i]);
	for (int i = 0; i < h->n_sym; i++)
		wq_str_printf(h->out, ", int64_t %s", unique(h->a, h->taken, "size_", wq_dim_sym_name(h->p->mod, h->sym[i])));
	if (wq_has_open_outputs(h->p))
		wq_str_printf(h->out, ", int64_t *out_dims");
	wq_str_printf(h->out, ");\n");
}

void wq_program_header(const WqProgram *p, WqStr *out)
{
	const WqGraph *g = p->mod->main;
	Header h = {.p = p, .a = out->a, .out = out, .taken = wq_map_new(out->a), .macro = upper(out->a, p->o.symbol)};
	h.sym = WQ_NEW_N(h.a, int, wq_dim_num_syms(p->mod) + 1);
	h.n_sym = wq_program_sizes(p, h.sym);
	const char **in = WQ_NEW_N(h.a, const char *, g->inputs.n + 1), **to = WQ_NEW_N(h.a, const char *, g->outputs.n + 1);
	for (int i = 0; i < g->inputs.n; i++)
		in[i] = unique(h.a, h.taken, "in_", g->inputs.v[i]->name);
	for (int i = 0; i < g->outputs.n; i++)
		to[i] = unique(h.a, h.taken, "out_", g->outputs.v[i].name);
	wq_str_printf(out, "/* %s: a model compiled by wqcc " WQ_VERSION " for %s.\n *\n", p->o.symbol, p->o.target->name);
	for (int i = 0; i < g->inputs.n; i++)
		type_comment(&h, "input", g->inputs.v[i]->name, &g->inputs.v[i]->type);
	for (int i = 0; i < g->outputs.n; i++)
		type_comment(&h, "output", g->outputs.v[i].name, &g->outputs.v[i].value->type);
	wq_str_printf(out, " *\n * %s_run returns 0 or a code of wqrt.h. Tensors are row-major; the arena holds nothing between calls.\n */\n",
		      p->o.symbol);
	wq_str_printf(out, "#ifndef WQ_MODEL_%s_H\n#define WQ_MODEL_%s_H\n\n#include \"wqrt.h\"\n\n", h.macro, h.macro);
	macros(&h);
	for (int i = 0; i < g->inputs.n; i++)
		port_macros(&h, in[i], &g->inputs.v[i]->type);
	for (int i = 0; i < g->outputs.n; i++)
		port_macros(&h, to[i], &g->outputs.v[i].value->type);
	wq_str_printf(out, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
	if (g->inputs.n + g->outputs.n + h.n_sym + 3 <= 64)
		prototype(&h, in, to);
	wq_str_printf(out, "int32_t %s_call(const wqrt_call *call);\nextern const wqrt_model %s_model;\n", p->o.symbol, p->o.symbol);
	wq_str_printf(out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
