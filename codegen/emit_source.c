/* emit_source.c: values out of nothing but sizes and numbers: Dims, Shape, Range, random numbers. */
#include <math.h>

#include "codegen/index.h"

/* ---- Dims, Shape ------------------------------------------------------------------------------------------------ */

/* Of n sizes the one at index i; as i64. */
static CgVal size_at(Kg *k, int n, const WqDim *dim, CgVal i)
{
	Cg *c = kg_cg(k);
	int64_t known;
	CgVal v = n ? kg_dim(k, dim[0]) : cg_idx(c, 0);
	if (cg_const(i, &known) && known >= 0 && known < n)
		v = kg_dim(k, dim[known]);
	else
		for (int j = 1; j < n; j++)
			v = cg_select(c, cg_cmp(c, CG_EQ, i, cg_idx(c, j)), kg_dim(k, dim[j]), v);
	return cg_resize(c, v, CG_I64, true);
}

static CgVal dims_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	int count;
	const int64_t *dim = wq_attr_ints(n, "dims", &count);
	return size_at(k, count, dim, at->rank ? at->ix[0] : cg_idx(kg_cg(k), 0));
}

const WqEmit emit_dims = {.at = dims_at};

static CgVal shape_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	const WqType *x = &n->in[0]->type;
	return size_at(k, x->rank, x->dim, at->ix[0]);
}

const WqEmit emit_shape = {.at = shape_at};

/* ---- Range --------------------------------------------------------------------------------------------------------- */

static CgVal as_f64(Kg *k, const WqValue *v) { return ix_f64(k, v->type.dtype, ix_scalar(k, v)); }

static CgVal range_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Cg *c = kg_cg(k);
	WqDtype t = n->in[0]->type.dtype;
	CgVal i = cg_splat(c, at->ix[0], at->lanes);
	if (at->lanes > 1)
		i = cg_add(c, i, cg_iota(c, cg_t(cg_index(c), at->lanes)));
	if (wq_dtype_is_float(t)) {
		CgVal v = cg_mul(c, cg_to_float(c, i, CG_F64, true), as_f64(k, n->in[2]));
		return ix_narrowed(k, t, cg_add(c, as_f64(k, n->in[0]), v));
	}
	i = cg_resize(c, i, kg_reg(t), true);
	return cg_add(c, ix_scalar(k, n->in[0]), cg_mul(c, i, ix_scalar(k, n->in[2])));
}

/* How many; a step of 0 and more than any bound are faults. */
static CgVal count_float(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	CgVal zero = cg_float(c, cg_t(CG_F64, 1), 0), step = as_f64(k, n->in[2]);
	kg_fault(k, cg_cmp(c, CG_EQ, step, zero), KG_EVALUE);
	CgVal v = cg_fdiv(c, cg_sub(c, as_f64(k, n->in[1]), as_f64(k, n->in[0])), step);
	CgVal bad = cg_not(c, cg_cmp(c, CG_LT, v, cg_float(c, cg_t(CG_F64, 1), 1e15)));
	kg_fault(k, bad, KG_EBOUND);
	v = cg_select(c, bad, zero, cg_max(c, v, zero));
	CgVal whole = cg_to_int(c, v, CG_I64, true), more = cg_cmp(c, CG_GT, v, cg_to_float(c, whole, CG_F64, true));
	return cg_add(c, whole, cg_resize(c, more, CG_I64, false));
}

static CgVal count_int(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	WqDtype t = n->in[0]->type.dtype;
	bool sign = wq_dtype_is_signed(t);
	CgVal v[3], zero = cg_int(c, cg_t(CG_I64, 1), 0), one = cg_int(c, cg_t(CG_I64, 1), 1);
	for (int i = 0; i < 3; i++)
		v[i] = cg_resize(c, ix_scalar(k, n->in[i]), CG_I64, sign);
	kg_fault(k, cg_cmp(c, CG_EQ, v[2], zero), KG_EVALUE);
	CgVal back = sign ? cg_cmp(c, CG_LT, v[2], zero) : cg_cmp(c, CG_NE, zero, zero);
	CgVal from = cg_select(c, back, v[1], v[0]), to = cg_select(c, back, v[0], v[1]);
	CgVal some = cg_cmp(c, sign ? CG_LT : CG_ULT, from, to), span = cg_sub(c, to, from); /* unsigned */
	CgVal size = cg_umax(c, cg_select(c, back, cg_neg(c, v[2]), v[2]), one);
	CgVal count = cg_add(c, cg_udiv(c, cg_sub(c, cg_umax(c, span, one), one), size), one);
	return cg_select(c, some, count, zero);
}

static void range_sizes(Kg *k, const WqNode *n)
{
	if (!wq_dim_static(n->out[0]->type.dim[0]))
		ix_bind(k, n, 0, 0, wq_dtype_is_float(n->in[0]->type.dtype) ? count_float(k, n) : count_int(k, n));
}

const WqEmit emit_range = {.at = range_at, .at_lanes = true, .sizes = range_sizes};

/* ---- random numbers --------------------------------------------------------------------------------------------------
 * Element i is a hash of the seed and i: the same function as in engine/eval_random.c.
 */
static uint64_t mixed(uint64_t v)
{
	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9;
	v ^= v >> 27;
	v *= 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static CgVal word(Kg *k, uint64_t v, int lanes) { return cg_int(kg_cg(k), cg_t(CG_I64, lanes), (int64_t)v); }

static CgVal shifted_xor(Kg *k, CgVal v, int by)
{
	Cg *c = kg_cg(k);
	return cg_xor(c, v, cg_lshr(c, v, word(k, (uint64_t)by, cg_lanes(c, v))));
}

static CgVal mix(Kg *k, CgVal v)
{
	Cg *c = kg_cg(k);
	int lanes = cg_lanes(c, v);
	v = cg_mul(c, shifted_xor(k, v, 30), word(k, 0xbf58476d1ce4e5b9, lanes));
	v = cg_mul(c, shifted_xor(k, v, 27), word(k, 0x94d049bb133111eb, lanes));
	return shifted_xor(k, v, 31);
}

/* In [0, 1), of that many bits. */
static CgVal uniform(Kg *k, uint64_t seed, CgVal i, int bits)
{
	Cg *c = kg_cg(k);
	int lanes = cg_lanes(c, i);
	CgVal h = cg_xor(c, cg_mul(c, i, word(k, 0x9e3779b97f4a7c15, lanes)), word(k, seed, lanes));
	h = cg_lshr(c, mix(k, cg_add(c, mix(k, h), i)), word(k, (uint64_t)(64 - bits), lanes));
	return cg_mul(c, cg_to_float(c, h, CG_F64, true), cg_float(c, cg_t(CG_F64, lanes), ldexp(1, -bits)));
}

static uint64_t seed_of(const WqNode *n)
{
	double seed = wq_attr_find(n, "seed") ? wq_attr_f(n, "seed") : (double)n->id;
	uint64_t bits;
	memcpy(&bits, &seed, 8);
	return mixed(bits + 0x9e3779b97f4a7c15);
}

static CgVal normal(Kg *k, uint64_t seed, CgVal i)
{
	Cg *c = kg_cg(k);
	CgType t = cg_t(CG_F64, cg_lanes(c, i));
	CgVal two = cg_add(c, i, i), odd = cg_add(c, two, word(k, 1, t.lanes));
	CgVal u = cg_sub(c, cg_float(c, t, 1), uniform(k, seed, two, 53));
	CgVal angle = cg_mul(c, uniform(k, seed, odd, 53), cg_float(c, t, 2 * M_PI));
	CgVal r = cg_sqrt(c, cg_mul(c, cg_log(c, u), cg_float(c, t, -2)));
	return cg_mul(c, r, cg_cos(c, angle));
}

static CgVal random_at(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	(void)result;
	Cg *c = kg_cg(k);
	const WqValue *y = n->out[0];
	WqDtype t = y->type.dtype;
	CgVal i = cg_splat(c, cg_resize(c, ix_linear(k, y, at), CG_I64, true), at->lanes);
	if (at->lanes > 1) {
		CgVal step = cg_resize(c, ix_product(k, y, at->axis + 1, at->rank), CG_I64, true);
		i = cg_add(c, i, cg_mul(c, cg_iota(c, cg_t(CG_I64, at->lanes)), step));
	}
	bool is_normal = n->op == OP_RandomNormal;
	double base = wq_attr_f(n, is_normal ? "mean" : "low"), by = is_normal ? wq_attr_f(n, "scale") : wq_attr_f(n, "high") - base;
	int bits = t == WQ_F64 ? 53 : t == WQ_F32 ? 24 : t == WQ_F16 ? 11 : 8;
	CgType f = cg_t(CG_F64, at->lanes);
	CgVal v = is_normal ? normal(k, seed_of(n), i) : uniform(k, seed_of(n), i, bits);
	return ix_narrowed(k, t, cg_add(c, cg_float(c, f, base), cg_mul(c, cg_float(c, f, by), v)));
}

static void random_sizes(Kg *k, const WqNode *n)
{
	for (int a = 0; a < n->out[0]->type.rank; a++)
		ix_bind(k, n, 0, a, kg_int(k, n->in[0], a));
}

const WqEmit emit_random = {.at = random_at, .at_lanes = true, .costly = true, .sizes = random_sizes};
