/* emit_norm.c: LayerNormalization, RMSNormalization: over all axes from one on. The variance is taken of what is left after the mean, so
 * that nothing cancels. An operand that lies in memory is read once for each of the sums and once for the result; any other one
 * is read once, into scratch. */
#include <math.h>

#include "codegen/index.h"
#include "codegen/rows.h"

typedef struct Norm {
	const WqNode *n;
	CgKind kind;
	bool centred, direct; /* direct: the operand lies in memory */
	RowsAcc acc;
	CgVal zero, mean, factor;
} Norm;

static const WqValue *operand(const WqNode *n, int i) { return i < n->n_in ? n->in[i] : NULL; }

static CgVal spread(const Rows *r, const RowsAt *s, CgVal v) { return cg_splat(r->c, v, s->at.lanes); }

/* Keeps x, and sums it; of RMSNormalization its square. */
static void take(const Rows *r, const RowsAt *s, void *arg)
{
	Norm *f = arg;
	CgVal v = rows_elem(r, r->x, s);
	if (!f->direct)
		rows_store(r, s, v);
	rows_join(r, &f->acc, s, cg_add, f->centred ? v : cg_mul(r->c, v, v), f->zero);
}

static void centre(const Rows *r, const RowsAt *s, void *arg)
{
	Norm *f = arg;
	CgVal v = f->direct ? rows_elem(r, r->x, s) : rows_load(r, f->kind, s);
	v = cg_sub(r->c, v, spread(r, s, f->mean));
	if (!f->direct)
		rows_store(r, s, v);
	rows_join(r, &f->acc, s, cg_add, cg_mul(r->c, v, v), f->zero);
}

static void finish(const Rows *r, const RowsAt *s, void *arg)
{
	Norm *f = arg;
	const WqValue *scale = operand(f->n, 1), *bias = operand(f->n, 2);
	CgVal v = f->direct ? rows_elem(r, r->x, s) : rows_load(r, f->kind, s);
	if (f->direct && f->centred)
		v = cg_sub(r->c, v, spread(r, s, f->mean));
	v = cg_mul(r->c, v, spread(r, s, f->factor));
	if (scale)
		v = cg_mul(r->c, v, rows_elem(r, scale, s));
	if (bias)
		v = cg_add(r->c, v, rows_elem(r, bias, s));
	rows_put_f(r, f->n, s, v);
}

static void row(Rows *r, void *arg)
{
	Norm *f = arg;
	Cg *c = r->c;
	int unroll = f->direct ? ROWS_UNROLL : 2;
	CgVal n = cg_to_float(c, rows_length(r), f->kind, true);
	f->acc = rows_acc(r, unroll, f->zero);
	rows_walk(r, unroll, take, f);
	CgVal sum = rows_total(r, &f->acc, cg_add);
	if (f->centred) {
		f->mean = cg_fdiv(c, sum, n);
		f->acc = rows_acc(r, ROWS_UNROLL, f->zero);
		rows_walk(r, ROWS_UNROLL, centre, f);
		sum = rows_total(r, &f->acc, cg_add);
	}
	CgVal epsilon = cg_float(c, cg_type(c, sum), wq_attr_f(f->n, "epsilon"));
	CgVal deviation = cg_sqrt(c, cg_add(c, cg_fdiv(c, sum, n), epsilon));
	f->factor = cg_fdiv(c, cg_float(c, cg_type(c, sum), 1), deviation);
	rows_walk(r, 2, finish, f);
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	int64_t axis = wq_attr_i(n, "axis");
	(void)t;
	if (x->rank && (axis < -x->rank || axis >= x->rank))
		return "its axis is out of range";
	for (int i = 1; i < n->n_in; i++)
		if (n->in[i] && n->in[i]->type.rank > x->rank)
			return "its scale or bias has more axes than its input";
	return NULL;
}

static void sizes(Kg *k, const WqNode *n)
{
	for (int i = 1; i < n->n_in; i++)
		if (n->in[i])
			ix_broadcasts(k, &n->in[i]->type, &n->in[0]->type);
}

static void kernel(Kg *k, const WqNode *n)
{
	Rows r;
	const WqValue *x = n->in[0];
	Norm f = { .n = n, .kind = kg_acc(x->type.dtype), .centred = n->op == OP_LayerNormalization };
	uint32_t axes = rows_axes_from(n, x->type.rank);
	f.zero = cg_zero(kg_cg(k), cg_t(f.kind, 1));
	f.direct = kg_in_memory(k, x);
	rows_init(&r, k, x, axes, f.kind);
	if (!f.direct)
		rows_fit_scratch(&r, n, axes, cg_kind_bytes(kg_cg(k), f.kind));
	rows_each(&r, row, &f);
}

static int64_t scratch(const WqTarget *t, const WqNode *n)
{
	const WqType *x = &n->in[0]->type;
	return rows_scratch(t, n, rows_axes_from(n, x->rank), x->dtype == WQ_F64 ? 8 : 4);
}

#define NORM { .kernel = kernel, .sizes = sizes, .epilogue = true, .repeated = 6, .scratch = scratch, .refuse = refuse }
const WqEmit emit_layer_norm = NORM;
const WqEmit emit_rms_norm = NORM;
