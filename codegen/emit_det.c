/* emit_det.c: Det, Inverse: elimination in f64 with the largest pivot of each column, a matrix at a time in scratch. */
#include "codegen/index.h"
#include "codegen/rows.h"

typedef struct Matrix {
	const WqNode *n;
	Cg *c;
	CgVal m, inv; /* n x n each, row-major */
	CgVal size;
} Matrix;

static CgVal place(const Matrix *f, CgVal m, CgVal i, CgVal j)
{
	return cg_at(f->c, CG_F64, m, cg_add(f->c, cg_mul(f->c, i, f->size), j));
}

static CgVal get(const Matrix *f, CgVal m, CgVal i, CgVal j)
{
	return cg_load(f->c, cg_t(CG_F64, 1), place(f, m, i, j), 0);
}

static void set(const Matrix *f, CgVal m, CgVal i, CgVal j, CgVal v) { cg_store(f->c, v, place(f, m, i, j), 0); }

static CgVal to_f64(const Matrix *f, CgVal v) { return cg_type(f->c, v).kind == CG_F64 ? v : cg_fcast(f->c, v, CG_F64); }

static CgVal rounded(Kg *k, const Matrix *f, CgVal v)
{
	WqDtype t = f->n->in[0]->type.dtype;
	return kg_round(k, t, t == WQ_F32 ? cg_fcast(f->c, v, CG_F32) : v);
}

/* The matrix at hand to scratch; at says which. */
static void load(Kg *k, const Matrix *f, const CgAt *matrix)
{
	Cg *c = f->c;
	const WqValue *x = f->n->in[0];
	CgAt at = *matrix;
	int r = x->type.rank;
	at.rank = r;
	at.ix[r - 2] = cg_for(c, cg_idx(c, 0), f->size, 1);
	at.ix[r - 1] = cg_for(c, cg_idx(c, 0), f->size, 1);
	set(f, f->m, at.ix[r - 2], at.ix[r - 1], to_f64(f, kg_elem_f(k, x, &at)));
	cg_end(c);
	cg_end(c);
}

/* The row from k on with the largest element in column k. */
static CgVal pivot_row(const Matrix *f, CgVal k)
{
	Cg *c = f->c;
	CgVar best = cg_var(c, k), most = cg_var(c, cg_abs(c, get(f, f->m, k, k)));
	CgVal i = cg_for(c, cg_addi(c, k, 1), f->size, 1), v = cg_abs(c, get(f, f->m, i, k));
	CgVal more = cg_cmp(c, CG_GT, v, cg_get(c, most));
	cg_set(c, best, cg_select(c, more, i, cg_get(c, best)));
	cg_set(c, most, cg_select(c, more, v, cg_get(c, most)));
	cg_end(c);
	return cg_get(c, best);
}

/* Rows a and b of m, from column j on. */
static void swap(const Matrix *f, CgVal m, CgVal a, CgVal b, CgVal from)
{
	CgVal j = cg_for(f->c, from, f->size, 1), v = get(f, m, a, j);
	set(f, m, a, j, get(f, m, b, j));
	set(f, m, b, j, v);
	cg_end(f->c);
}

/* Row i -= factor * row k, from column j on. */
static void subtract(const Matrix *f, CgVal m, CgVal i, CgVal k, CgVal factor, CgVal from)
{
	Cg *c = f->c;
	CgVal j = cg_for(c, from, f->size, 1);
	set(f, m, i, j, cg_sub(c, get(f, m, i, j), cg_mul(c, factor, get(f, m, k, j))));
	cg_end(c);
}

static Matrix begin(Kg *k, const WqNode *n)
{
	const WqValue *x = n->in[0];
	int64_t hi = wq_dim_hi(n->graph->mod, x->type.dim[x->type.rank - 1]);
	Matrix f = { .n = n, .c = kg_cg(k), .m = kg_scratch(k), .size = kg_size(k, x, x->type.rank - 1) };
	f.inv = cg_ati(f.c, CG_F64, f.m, rows_mul(hi, hi));
	return f;
}

static void each_matrix(Kg *k, Matrix *f, KgBody *body)
{
	CgVal dim[WQ_MAX_RANK];
	const WqValue *x = f->n->in[0];
	for (int i = 0; i < x->type.rank - 2; i++)
		dim[i] = kg_size(k, x, i);
	kg_nest(k, x->type.rank - 2, dim, NULL, 1, body, f);
}

static void sizes(Kg *k, const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	ix_agree(k, x->dim[x->rank - 2], x->dim[x->rank - 1]);
}

static int64_t scratch(const WqTarget *t, const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	int64_t hi = wq_dim_hi(n->graph->mod, x->dim[x->rank - 1]);
	(void)t;
	return rows_mul(rows_mul(hi, hi), n->op == OP_Det ? 8 : 16) + 8;
}

/* ---- Det ----------------------------------------------------------------------------------------------------- */

static void det(Kg *kg, const CgAt *at, void *arg)
{
	const Matrix *f = arg;
	Cg *c = f->c;
	CgVar value = cg_var(c, cg_float(c, cg_t(CG_F64, 1), 1)), column = cg_var(c, cg_idx(c, 0));
	load(kg, f, at);
	cg_while(c);
	CgVal k = cg_get(c, column);
	cg_break_if(c, cg_cmp(c, CG_GE, k, f->size));
	CgVal p = pivot_row(f, k), pivot = get(f, f->m, p, k);
	CgVal factor = cg_select(c, cg_cmp(c, CG_EQ, p, k), pivot, cg_neg(c, pivot));
	cg_set(c, value, cg_mul(c, cg_get(c, value), factor));
	cg_break_if(c, cg_cmp(c, CG_EQ, pivot, cg_zero(c, cg_t(CG_F64, 1))));
	swap(f, f->m, k, p, k);
	CgVal i = cg_for(c, cg_addi(c, k, 1), f->size, 1);
	subtract(f, f->m, i, k, cg_fdiv(c, get(f, f->m, i, k), pivot), k);
	cg_end(c);
	cg_set(c, column, cg_addi(c, k, 1));
	cg_end(c);
	kg_put(kg, f->n, 0, at, rounded(kg, f, cg_get(c, value)));
}

static void det_kernel(Kg *k, const WqNode *n)
{
	Matrix f = begin(k, n);
	each_matrix(k, &f, det);
}

/* ---- Inverse ------------------------------------------------------------------------------------------------- */

static void identity(const Matrix *f)
{
	Cg *c = f->c;
	CgType t = cg_t(CG_F64, 1);
	CgVal i = cg_for(c, cg_idx(c, 0), f->size, 1), j = cg_for(c, cg_idx(c, 0), f->size, 1);
	set(f, f->inv, i, j, cg_select(c, cg_cmp(c, CG_EQ, i, j), cg_float(c, t, 1), cg_zero(c, t)));
	cg_end(c);
	cg_end(c);
}

static void divide_row(const Matrix *f, CgVal k, CgVal pivot)
{
	Cg *c = f->c;
	CgVal j = cg_for(c, cg_idx(c, 0), f->size, 1);
	set(f, f->m, k, j, cg_fdiv(c, get(f, f->m, k, j), pivot));
	set(f, f->inv, k, j, cg_fdiv(c, get(f, f->inv, k, j), pivot));
	cg_end(c);
}

static void give(Kg *kg, const Matrix *f, CgAt at)
{
	Cg *c = f->c;
	int r = f->n->in[0]->type.rank;
	at.rank = r;
	at.ix[r - 2] = cg_for(c, cg_idx(c, 0), f->size, 1);
	at.ix[r - 1] = cg_for(c, cg_idx(c, 0), f->size, 1);
	kg_put(kg, f->n, 0, &at, rounded(kg, f, get(f, f->inv, at.ix[r - 2], at.ix[r - 1])));
	cg_end(c);
	cg_end(c);
}

static void inverse(Kg *kg, const CgAt *at, void *arg)
{
	const Matrix *f = arg;
	Cg *c = f->c;
	CgVal zero = cg_idx(c, 0);
	load(kg, f, at);
	identity(f);
	CgVal k = cg_for(c, zero, f->size, 1), p = pivot_row(f, k);
	swap(f, f->m, k, p, zero);
	swap(f, f->inv, k, p, zero);
	divide_row(f, k, get(f, f->m, k, k));
	CgVal i = cg_for(c, zero, f->size, 1);
	cg_if(c, cg_cmp(c, CG_NE, i, k));
	CgVal factor = get(f, f->m, i, k);
	subtract(f, f->m, i, k, factor, zero);
	subtract(f, f->inv, i, k, factor, zero);
	cg_end(c);
	cg_end(c);
	cg_end(c);
	give(kg, f, *at);
}

static void inverse_kernel(Kg *k, const WqNode *n)
{
	Matrix f = begin(k, n);
	each_matrix(k, &f, inverse);
}

const WqEmit emit_det = { .kernel = det_kernel, .sizes = sizes, .epilogue = true, .scratch = scratch };
const WqEmit emit_inverse = { .kernel = inverse_kernel, .sizes = sizes, .epilogue = true, .scratch = scratch };
