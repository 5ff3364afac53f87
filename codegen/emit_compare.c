/* emit_compare.c: Equal, Less, LessOrEqual, and Where. */
#include "codegen/kernel.h"

/* A c64 in a register is its bits, the real part low. */
static CgVal complex_equal(Cg *c, CgVal a, CgVal b)
{
	CgVal equal = NULL;
	for (int shift = 0; shift < 64; shift += 32) {
		CgVal part[2] = { a, b };
		for (int i = 0; i < 2; i++) {
			CgVal low =
				cg_resize(c, cg_lshr(c, part[i], cg_int(c, cg_type(c, part[i]), shift)), CG_I32, false);
			part[i] = cg_bitcast(c, low, cg_t(CG_F32, cg_lanes(c, low)));
		}
		CgVal same = cg_cmp(c, CG_EQ, part[0], part[1]);
		equal = equal ? cg_and(c, equal, same) : same;
	}
	return equal;
}

static CgVal compare(Kg *k, const WqNode *n, CgVal *x)
{
	Cg *c = kg_cg(k);
	WqDtype t = n->in[0]->type.dtype;
	bool uns = wq_dtype(t)->cls == 'U';
	if (t == WQ_C64)
		return complex_equal(c, x[0], x[1]);
	switch (n->op) {
	case OP_Equal:
		return cg_cmp(c, CG_EQ, x[0], x[1]);
	case OP_Less:
		return cg_cmp(c, uns ? CG_ULT : CG_LT, x[0], x[1]);
	default:
		return cg_cmp(c, uns ? CG_ULE : CG_LE, x[0], x[1]);
	}
}

static const char *refuse_wide(const WqTarget *t, const WqNode *n)
{
	(void)t;
	return n->in[n->op == OP_Where ? 1 : 0]->type.dtype == WQ_C128 ? "complex numbers of 128 bits" : NULL;
}

const WqEmit emit_compare = { .ew = compare, .refuse = refuse_wide };

static CgVal where(Kg *k, const WqNode *n, CgVal *x)
{
	(void)n;
	return cg_select(kg_cg(k), x[0], x[1], x[2]);
}

const WqEmit emit_where = { .ew = where, .raw = true, .refuse = refuse_wide };
