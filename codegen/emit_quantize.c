/* emit_quantize.c: QuantizeLinear and DequantizeLinear, per tensor, per axis and in blocks, as elements on demand. */
#include "codegen/kernel.h"

#include <math.h>

typedef struct Quant {
	Kg *k;
	Cg *c;
	const WqNode *n;
	const CgAt *at; /* of the operand and the result */
} Quant;

static bool one_element(const WqValue *v)
{
	for (int i = 0; i < v->type.rank; i++)
		if (v->type.dim[i] != 1)
			return false;
	return true;
}

/* The block that the element with number i of the axis is in. */
static CgVal block_of(const Quant *q, CgVal i) { return cg_divi(q->c, i, wq_attr_i(q->n, "block_size")); }

/* Lanes along the axis that is in blocks. Those past the end of a part read what is there. */
static CgVal spread(const Quant *q, const WqValue *v, int axis)
{
	Cg *c = q->c;
	CgAt p = *q->at;
	int lanes = p.lanes;
	CgVal from = p.ix[axis], last = cg_addi(c, kg_size(q->k, v, axis), -1),
	      first = cg_min(c, block_of(q, from), last);
	p.lanes = 1;
	p.ix[axis] = first;
	CgVal a = cg_splat(c, kg_elem(q->k, v, &p), lanes);
	if (wq_attr_i(q->n, "block_size") >= lanes) { /* at most two blocks */
		p.ix[axis] = cg_min(c, block_of(q, cg_addi(c, from, lanes - 1)), last);
		CgVal b = kg_elem(q->k, v, &p), next = cg_muli(c, cg_addi(c, first, 1), wq_attr_i(q->n, "block_size"));
		CgVal left = cg_sub(c, next, from), lane = cg_iota(c, cg_t(cg_index(c), lanes));
		return cg_select(c, cg_cmp(c, CG_LT, lane, left), a, b);
	}
	for (int i = 1; i < lanes; i++) {
		p.ix[axis] = cg_min(c, block_of(q, cg_addi(c, from, i)), last);
		a = cg_insert(c, a, kg_elem(q->k, v, &p), i);
	}
	return a;
}

/* The parameter of the element at hand, of which there is one for each place along the axis; or one alone, which only
 * running tells. */
static CgVal per_axis(const Quant *q, const WqValue *v, int axis)
{
	Cg *c = q->c;
	CgAt p = { .rank = 1, .lanes = 1 };
	int lanes = q->at->lanes > 1 && q->at->axis == axis ? q->at->lanes : 1;
	WqDim have = v->type.dim[0];
	p.ix[0] = q->at->ix[axis];
	if (have == q->n->in[0]->type.dim[axis] || wq_dim_lo(q->n->graph->mod, have) > 1) {
		p.lanes = lanes;
		return kg_elem(q->k, v, &p);
	}
	CgVal n = kg_dim(q->k, have), one = cg_cmp(c, CG_EQ, n, cg_idx(c, 1)), last = cg_addi(c, n, -1);
	CgVar out = cg_var(c, cg_zero(c, cg_t(kg_reg(v->type.dtype), lanes)));
	cg_if(c, cg_cmp(c, CG_GT, n, cg_idx(c, 0))); /* an empty zero point is none */
	for (int i = 0; i < lanes; i++) {
		CgVal at = cg_min(c, cg_addi(c, q->at->ix[axis], i), last);
		p.ix[0] = cg_select(c, one, cg_idx(c, 0), at);
		CgVal x = kg_elem(q->k, v, &p);
		cg_set(c, out, lanes > 1 ? cg_insert(c, cg_get(c, out), x, i) : x);
	}
	cg_end(c);
	if (v == q->n->in[1])
		kg_fault(q->k, cg_cmp(c, CG_EQ, n, cg_idx(c, 0)), KG_EVALUE);
	return cg_get(c, out);
}

/* The element of operand i (a scale or a zero point) that belongs to the element at hand, in register form; NULL: there
 * is none. */
static CgVal param(const Quant *q, int i)
{
	const WqValue *v = i < q->n->n_in ? q->n->in[i] : NULL;
	if (!v)
		return NULL;
	if (v->type.rank == 1 && v->type.dim[0] == 0) /* nor is there anything to be scaled, or it is the zero point */
		return cg_zero(q->c, cg_t(kg_reg(v->type.dtype), 1));
	CgAt p = { .rank = v->type.rank, .lanes = 1 };
	if (one_element(v)) {
		for (int j = 0; j < p.rank; j++)
			p.ix[j] = cg_idx(q->c, 0);
		return kg_elem(q->k, v, &p);
	}
	int axis = (int)wq_attr_i(q->n, "axis");
	axis += axis < 0 ? q->at->rank : 0;
	bool along = q->at->lanes > 1 && q->at->axis == axis;
	if (!wq_attr_i(q->n, "block_size"))
		return per_axis(q, v, axis);
	if (along)
		return spread(q, v, axis);
	p = *q->at;
	p.ix[axis] = block_of(q, p.ix[axis]);
	return kg_elem(q->k, v, &p);
}

static CgVal as(const Quant *q, WqDtype to, WqDtype from, CgVal v) { return kg_convert(q->k, to, from, v, true, 'n'); }
static WqDtype type_of(const Quant *q, int i) { return q->n->in[i]->type.dtype; }

/* Operand i's element as f32: a zero point that is absent is NULL. */
static CgVal param_f32(const Quant *q, int i)
{
	CgVal v = param(q, i);
	return v ? as(q, WQ_F32, type_of(q, i), v) : NULL;
}

static bool is_wide(WqDtype t) { return wq_dtype_is_int(t) && wq_dtype(t)->bits > 16; }

/* ---- QuantizeLinear -------------------------------------------------------------------------------- */

static CgVal rounded(const Quant *q, WqDtype t, CgVal v)
{
	return t == WQ_F16 || t == WQ_BF16 ? as(q, WQ_F32, t, as(q, t, WQ_F32, v)) : v;
}

static void range(WqDtype t, double *low, double *high)
{
	int bits = wq_dtype(t)->bits;
	bool is_signed = wq_dtype_is_signed(t);
	*low = is_signed ? -ldexp(1, bits - 1) : 0;
	*high = ldexp(1, is_signed ? bits - 1 : bits) - 1;
}

/* Results of 32 bits do not fit f32. */
static CgVal quantize_wide(const Quant *q, WqDtype to)
{
	Cg *c = q->c;
	double low, high;
	range(to, &low, &high);
	CgVal x = as(q, WQ_F64, type_of(q, 0), kg_elem(q->k, q->n->in[0], q->at));
	CgVal s = cg_fcast(c, param_f32(q, 1), CG_F64), z = param_f32(q, 2);
	CgVal r = cg_rint(c, cg_fdiv(c, x, s));
	z = z ? cg_fcast(c, z, CG_F64) : cg_float(c, cg_t(CG_F64, 1), 0);
	r = cg_add(c, r, z);
	CgVal nan = cg_cmp(c, CG_UNO, r, r);
	r = cg_min(c, cg_max(c, r, cg_float(c, cg_type(c, r), low)), cg_float(c, cg_type(c, r), high));
	return as(q, to, WQ_F64, cg_select(c, nan, z, r));
}

/* v to an integer of up to 16 bits with a whole zero point. Limits are whole too, so clipping comes first; then the sum
 * with 1.5 * 2^23 has the number, rounded half to even, in its low bits. */
static CgVal round_clip(const Quant *q, WqDtype to, CgVal v, CgVal z)
{
	Cg *c = q->c;
	double low, high;
	range(to, &low, &high);
	CgType f = cg_type(c, v), i = cg_t(CG_I32, f.lanes);
	CgVal least = cg_float(c, f, low), most = cg_float(c, f, high);
	if (z) {
		CgVal zf = cg_to_float(c, z, CG_F32, true);
		least = cg_sub(c, least, zf);
		most = cg_sub(c, most, zf);
	}
	v = cg_select(c, cg_cmp(c, CG_UNO, v, v), cg_zero(c, f), v);
	v = cg_min(c, cg_max(c, v, least), most);
	CgVal magic = cg_float(c, f, 0x1.8p23);
	CgVal r = cg_sub(c, cg_bitcast(c, cg_add(c, v, magic), i), cg_bitcast(c, magic, i));
	return cg_resize(c, z ? cg_add(c, r, z) : r, kg_reg(to), true);
}

/* The same with any zero point, in f32. */
static CgVal round_clip_f(const Quant *q, WqDtype to, CgVal v, CgVal z)
{
	Cg *c = q->c;
	double low, high;
	range(to, &low, &high);
	CgVal r = cg_rint(c, v), zero = cg_zero(c, cg_type(c, r));
	r = cg_select(c, cg_cmp(c, CG_UNO, r, r), zero, r);
	CgVal least = cg_sub(c, cg_float(c, cg_type(c, z), low), z),
	      most = cg_sub(c, cg_float(c, cg_type(c, z), high), z);
	return as(q, to, WQ_F32, cg_add(c, cg_min(c, cg_max(c, r, least), most), z));
}

static CgVal quantize(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Quant q = { k, kg_cg(k), n, at };
	Cg *c = q.c;
	WqDtype to = n->out[result]->type.dtype, zt = n->n_in > 2 && n->in[2] ? n->in[2]->type.dtype : WQ_UNDEF;
	if (is_wide(to))
		return quantize_wide(&q, to);
	WqDtype precision = wq_attr_find(n, "precision") ? (WqDtype)wq_attr_i(n, "precision") : type_of(&q, 1);
	CgVal x = as(&q, WQ_F32, type_of(&q, 0), kg_elem(k, n->in[0], at));
	CgVal v = cg_fdiv(c, rounded(&q, precision, x), rounded(&q, precision, param_f32(&q, 1)));
	v = rounded(&q, precision, v);
	if (wq_dtype_is_int(to) && (!zt || (wq_dtype_is_int(zt) && wq_dtype(zt)->bits <= 16))) {
		CgVal z = param(&q, 2);
		return round_clip(&q, to, v, z ? cg_resize(c, z, CG_I32, wq_dtype_is_signed(zt)) : NULL);
	}
	CgVal z = to == WQ_F4E2M1 || wq_dtype_is_int(to) ? param_f32(&q, 2) : NULL;
	if (!z && to == WQ_F4E2M1)
		z = cg_zero(c, cg_t(CG_F32, 1)); /* makes 0 of -0 */
	if (wq_dtype_is_int(to))
		return round_clip_f(&q, to, v, z);
	return kg_convert(k, to, WQ_F32, z ? cg_add(c, v, z) : v, wq_attr_i(n, "saturate") != 0, 'n');
}

static const char *refuse_type(WqDtype t)
{
	return t == WQ_STR                   ? "strings"
	       : t == WQ_C64 || t == WQ_C128 ? "complex numbers"
	       : t == WQ_BOOL                ? "booleans"
					     : NULL;
}

static const char *refuse(const WqTarget *t, const WqNode *n)
{
	(void)t;
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i] && (i == 0 || n->in[i]->type.dtype != WQ_BOOL) && refuse_type(n->in[i]->type.dtype))
			return refuse_type(n->in[i]->type.dtype);
	WqDtype to = n->out[0]->type.dtype;
	if (n->op == OP_QuantizeLinear && wq_dtype_is_int(to) && wq_dtype(to)->bits > 32)
		return "integers of 64 bits";
	return refuse_type(to);
}

const WqEmit emit_quantize = { .at = quantize, .at_lanes = true, .pointwise = true, .refuse = refuse };

/* ---- DequantizeLinear ------------------------------------------------------------------------------ */

static CgVal dequantize(Kg *k, const WqNode *n, int result, const CgAt *at)
{
	Quant q = { k, kg_cg(k), n, at };
	Cg *c = q.c;
	WqDtype work = is_wide(type_of(&q, 0)) ? WQ_F64 : WQ_F32;
	CgVal x = as(&q, work, type_of(&q, 0), kg_elem(k, n->in[0], at));
	CgVal s = cg_fcast(c, param_f32(&q, 1), kg_reg(work)), z = param_f32(&q, 2);
	if (z)
		x = cg_sub(c, x, cg_fcast(c, z, kg_reg(work)));
	return as(&q, n->out[result]->type.dtype, work, cg_mul(c, x, s));
}

const WqEmit emit_dequantize = { .at = dequantize, .at_lanes = true, .pointwise = true, .refuse = refuse };
