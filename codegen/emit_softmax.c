/* emit_softmax.c: Softmax along one axis. The row's elements are read once, into scratch, where their exponentials replace them; an
 * operand that lies in memory is read twice instead, which costs no more. */
#include <math.h>

#include "codegen/rows.h"

typedef struct Soft {
	const WqNode *n;
	CgKind kind;
	bool direct; /* x is in memory: scratch gets the exponentials only */
	RowsAcc acc;
	CgVal none, top, scale;
} Soft;

static uint32_t axis_of(const WqNode *n)
{
	int rank = n->in[0]->type.rank;
	int64_t axis = wq_attr_i(n, "axis");
	return rank ? 1u << (axis < 0 ? axis + rank : axis) : 0;
}

static void find_top(const Rows *r, const RowsAt *s, void *arg)
{
	Soft *f = arg;
	CgVal v = rows_elem(r, r->x, s);
	if (!f->direct)
		rows_store(r, s, v);
	rows_join(r, &f->acc, s, cg_max, v, f->none);
}

static CgVal spread(const RowsAt *s, Cg *c, CgVal v) { return cg_splat(c, v, s->at.lanes); }

static void raise(const Rows *r, const RowsAt *s, void *arg)
{
	Soft *f = arg;
	CgVal v = f->direct ? rows_elem(r, r->x, s) : rows_load(r, f->kind, s);
	v = cg_exp(r->c, cg_sub(r->c, v, spread(s, r->c, f->top)));
	rows_store(r, s, v);
	rows_join(r, &f->acc, s, cg_add, v, cg_zero(r->c, cg_t(f->kind, 1)));
}

static void divide(const Rows *r, const RowsAt *s, void *arg)
{
	Soft *f = arg;
	rows_put_f(r, f->n, s, cg_mul(r->c, rows_load(r, f->kind, s), spread(s, r->c, f->scale)));
}

/* A NaN is lost on the way to the top, but not in the sum. */
static void row(Rows *r, void *arg)
{
	Soft *f = arg;
	Cg *c = r->c;
	int unroll = f->direct ? ROWS_UNROLL : 2;
	f->acc = rows_acc(r, unroll, f->none);
	rows_walk(r, unroll, find_top, f);
	f->top = rows_total(r, &f->acc, cg_max);
	f->acc = rows_acc(r, 2, cg_zero(c, cg_t(f->kind, 1)));
	rows_walk(r, 2, raise, f);
	CgVal sum = rows_total(r, &f->acc, cg_add);
	f->scale = cg_fdiv(c, cg_float(c, cg_type(c, sum), 1), sum);
	rows_walk(r, 2, divide, f);
}

static void kernel(Kg *k, const WqNode *n)
{
	Rows r;
	Soft f = { .n = n, .kind = kg_acc(n->in[0]->type.dtype), .direct = kg_in_memory(k, n->in[0]) };
	int bytes = cg_kind_bytes(kg_cg(k), f.kind);
	f.none = cg_float(kg_cg(k), cg_t(f.kind, 1), -INFINITY);
	rows_init(&r, k, n->in[0], axis_of(n), f.kind);
	rows_fit_scratch(&r, n, axis_of(n), bytes);
	rows_each(&r, row, &f);
}

static int64_t scratch(const WqTarget *t, const WqNode *n)
{
	return rows_scratch(t, n, axis_of(n), n->in[0]->type.dtype == WQ_F64 ? 8 : 4);
}

const WqEmit emit_softmax = { .kernel = kernel, .epilogue = true, .scratch = scratch };
