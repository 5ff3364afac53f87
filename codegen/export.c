/* export.c: what an object shows: the typed function <symbol>_run and the descriptor <symbol>_model (wqrt.h). */
#include "codegen/export.h"

#include <ctype.h>

/* ---- names and sizes ------------------------------------------------------------------------------------------------ */

const char *wq_c_name(WqArena *a, const char *name)
{
	char *s = wq_sprintf(a, "%s%s", isdigit((unsigned char)*name) || !*name ? "_" : "", name);
	for (char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			*p = '_';
	return s;
}

int wq_program_sizes(const WqProgram *p, int *sym)
{
	int n = 0, s;
	const WqGraph *g = p->mod->main;
	for (int i = 0; i < g->inputs.n; i++)
		for (int d = 0; d < g->inputs.v[i]->type.rank; d++) {
			bool seen = !wq_dim_is_sym(p->mod, g->inputs.v[i]->type.dim[d], &s);
			for (int j = 0; j < n && !seen; j++)
				seen = sym[j] == s;
			if (!seen)
				sym[n++] = s;
		}
	return n;
}

/* ---- descriptor ------------------------------------------------------------------------------------------------------- */

typedef struct Export {
	WqBuild *b;
	Cg *c;
	int *sym, n_sym;
} Export;

static CgVal i32(Export *e, int64_t v) { return cg_int(e->c, cg_t(CG_I32, 1), v); }
static CgVal i64(Export *e, int64_t v) { return cg_int(e->c, cg_t(CG_I64, 1), v); }

/* wqrt_port.dim: a number, or which size it is. */
static int64_t dim_code(const Export *e, WqDim d)
{
	int s;
	if (wq_dim_static(d))
		return d;
	for (int i = 0; wq_dim_is_sym(e->b->m, d, &s) && i < e->n_sym; i++)
		if (e->sym[i] == s)
			return -1 - i;
	return -1000;
}

enum { PORT_FIELDS = 5 };

static void port(Export *e, const char *name, const WqType *t, CgVal *field)
{
	CgVal dim[WQ_MAX_RANK + 1];
	for (int i = 0; i < t->rank; i++)
		dim[i] = i64(e, dim_code(e, t->dim[i]));
	dim[t->rank] = i64(e, 0); /* never empty */
	field[0] = cg_string(e->c, name);
	field[1] = i32(e, t->dtype);
	field[2] = i32(e, t->rank);
	field[3] = cg_data(e->c, NULL, t->rank + 1, dim);
	field[4] = i64(e, wq_max_bytes(e->b->m, t));
}

/* An array of structures that are laid out alike: one structure of all their fields in turn. */
static CgVal ports(Export *e, bool inputs)
{
	const WqGraph *g = e->b->m->main;
	size_t n = (size_t)(inputs ? g->inputs.n : g->outputs.n);
	CgVal *field = WQ_NEW_N(e->b->a, CgVal, PORT_FIELDS * n + 1);
	for (size_t i = 0; i < n; i++) {
		const WqValue *v = inputs ? g->inputs.v[i] : g->outputs.v[i].value;
		port(e, inputs ? v->name : g->outputs.v[i].name, &v->type, field + PORT_FIELDS * i);
	}
	field[PORT_FIELDS * n] = i64(e, 0);
	return cg_data(e->c, NULL, (int)(PORT_FIELDS * n) + 1, field);
}

static CgVal sizes(Export *e)
{
	size_t n = (size_t)e->n_sym;
	CgVal *field = WQ_NEW_N(e->b->a, CgVal, 3 * n + 1);
	for (size_t i = 0; i < n; i++) {
		WqDim d = wq_dim_sym_at(e->b->m, e->sym[i]);
		field[3 * i] = cg_string(e->c, wq_dim_sym_name(e->b->m, e->sym[i]));
		field[3 * i + 1] = i64(e, wq_dim_lo(e->b->m, d));
		field[3 * i + 2] = i64(e, wq_dim_hi(e->b->m, d));
	}
	field[3 * n] = i64(e, 0);
	return cg_data(e->c, NULL, 3 * e->n_sym + 1, field);
}

static void descriptor(Export *e, CgVal call, CgVal weights)
{
	const WqProgram *p = e->b->p;
	const WqGraph *g = e->b->m->main;
	CgVal field[] = {
		i32(e, WQRT_VERSION), cg_string(e->c, p->o.symbol), cg_string(e->c, p->o.target->name),
		i64(e, p->arena_bytes), i64(e, 64), i64(e, p->weights_bytes), i64(e, WQ_STACK_MARK), i64(e, (int64_t)p->weights_hash),
		i32(e, g->inputs.n), i32(e, g->outputs.n), i32(e, e->n_sym), i32(e, 0),
		ports(e, true), ports(e, false), sizes(e), cg_null(e->c), call, weights ? weights : cg_null(e->c),
	};
	cg_data(e->c, wq_sprintf(p->a, "%s_model", p->o.symbol), WQ_COUNTOF(field), field);
}

/* ---- the typed function --------------------------------------------------------------------------------------------------- */

bool wq_has_open_outputs(const WqProgram *p)
{
	const WqGraph *g = p->mod->main;
	int *sym = WQ_NEW_N(p->a, int, wq_dim_num_syms(p->mod) + 1), n = wq_program_sizes(p, sym);
	int64_t *bind = WQ_NEW_N(p->a, int64_t, wq_dim_num_syms(p->mod) + 1), v;
	for (int i = 0; i < wq_dim_num_syms(p->mod); i++)
		bind[i] = -1;
	for (int i = 0; i < n; i++)
		bind[sym[i]] = 1;
	for (int i = 0; i < g->outputs.n; i++)
		for (int d = 0; d < g->outputs.v[i].value->type.rank; d++)
			if (!wq_dim_eval(p->mod, g->outputs.v[i].value->type.dim[d], bind, wq_dim_num_syms(p->mod), &v))
				return true;
	return false;
}

/* sizes[] from the arguments, which must lie in their bounds; the i1 that says so. */
static CgVal take_sizes(Export *e, CgVal slots, const CgVal *arg)
{
	Cg *c = e->c;
	CgVal bad = cg_int(c, cg_t(CG_I1, 1), 0);
	for (int i = 0; i <= wq_dim_num_syms(e->b->m); i++)
		cg_store(c, cg_idx(c, 0), cg_ati(c, cg_index(c), slots, i), 0);
	for (int i = 0; i < e->n_sym; i++) {
		WqDim d = wq_dim_sym_at(e->b->m, e->sym[i]);
		bad = cg_or(c, bad, cg_cmp(c, CG_LT, arg[i], i64(e, wq_dim_lo(e->b->m, d))));
		bad = cg_or(c, bad, cg_cmp(c, CG_GT, arg[i], i64(e, wq_dim_hi(e->b->m, d))));
		cg_store(c, cg_resize(c, arg[i], cg_index(c), true), cg_ati(c, cg_index(c), slots, 1 + e->sym[i]), 0);
	}
	return bad;
}

/* int32_t <symbol>_run(void *arena, [const void *weights,] inputs..., outputs..., int64_t sizes..., [int64_t *out_dims]) */
static void typed_run(Export *e, const CgFn *main, CgVal own)
{
	Cg *c = e->c;
	const WqGraph *g = e->b->m->main;
	bool open = wq_has_open_outputs(e->b->p);
	int given = own ? 0 : 1, n = 1 + given + g->inputs.n + g->outputs.n + e->n_sym + open;
	CgType *t = WQ_NEW_N(e->b->a, CgType, n);
	CgFn f;
	if (n > WQ_COUNTOF(f.param))
		return; /* the descriptor's call serves */
	for (int i = 0; i < n; i++)
		t[i] = cg_t(i >= n - open - e->n_sym && i < n - open ? CG_I64 : CG_PTR, 1);
	cg_fn_begin(c, &f, wq_sprintf(e->b->a, "%s_run", e->b->p->o.symbol), cg_t(CG_I32, 1), n, t, 0, 0, CG_EXPORT);
	CgVal slots = cg_stack(c, cg_index(c), 1 + wq_dim_num_syms(e->b->m), 16);
	CgVal bad = take_sizes(e, slots, f.param + n - open - e->n_sym);
	CgVal in = cg_stack(c, CG_PTR, g->inputs.n + 1, 16), out = cg_stack(c, CG_PTR, g->outputs.n + 1, 16);
	for (int i = 0; i < g->inputs.n; i++)
		cg_store(c, f.param[1 + given + i], cg_ati(c, CG_PTR, in, i), 0);
	for (int i = 0; i < g->outputs.n; i++)
		cg_store(c, f.param[1 + given + g->inputs.n + i], cg_ati(c, CG_PTR, out, i), 0);
	CgVar code = cg_var(c, i32(e, WQRT_EBOUND));
	cg_if(c, cg_not(c, bad));
	CgVal arg[] = {f.param[0], own ? own : f.param[1], in, out, slots, open ? f.param[n - 1] : cg_null(c), cg_null(c)};
	cg_set(c, code, cg_call(c, main->value, 7, arg));
	cg_end(c);
	cg_return(c, cg_get(c, code));
	cg_fn_end(c);
}

void wq_emit_exports(WqBuild *b, const CgFn *main, const CgFn *call)
{
	Export e = {.b = b, .c = b->cg};
	e.sym = WQ_NEW_N(b->a, int, wq_dim_num_syms(b->m) + 1);
	e.n_sym = wq_program_sizes(b->p, e.sym);
	CgVal own = b->p->o.weights_inside ? cg_extern_data(b->cg, wq_sprintf(b->a, "%s_weights_data", b->p->o.symbol)) : NULL;
	typed_run(&e, main, own);
	descriptor(&e, call->value, own);
}
