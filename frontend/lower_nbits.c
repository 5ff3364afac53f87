/* lower_nbits.c: com.microsoft's operators on weights of 2, 4 and 8 bits: MatMulNBits, MatMulBnb4,
 * GatherBlockQuantized.
 *
 * A constant weight stays as small as it was: MatMulNBits becomes MatMul(A, Transpose(DequantizeLinear(q, scales,
 * zeros))) with q [N, K] a view of the file's bytes, blocked along K; MatMulBnb4 a Gather of 16 numbers by q,
 * times the scales.
 */
#include "frontend/lower_quant.h"

/* ---- packed integers ------------------------------------------------------------------------- */

typedef struct Packed {
	int64_t rows, stride; /* bytes of a row */
	int64_t keep;         /* numbers of a row that count */
	int bits, per_byte;
	bool high_first;
} Packed;

static WqDtype uint_of(int bits)
{
	return bits == 2 ? WQ_U2 : bits == 4 ? WQ_U4 : WQ_U8;
}

static Packed packed_rows(Lower *L, const WqValue *v, int64_t rows, int64_t keep, int bits, bool high_first)
{
	WqDim count = wq_type_count(L->m, &v->type);
	if (v->type.rank < 0 || !wq_dim_static(count))
		lo_unsupported(L, "the shape of '%.200s' is not known when compiling", v->name);
	if (lo_type_of(v) != WQ_U8)
		lo_bad(L, "'%.200s' has type %s instead of u8", v->name, wq_dtype(lo_type_of(v))->text);
	if (rows <= 0 || count % rows || count / rows < 1 || keep < 0 || keep > count / rows * (8 / bits))
		lo_bad(L, "'%.200s' has %lld bytes for %lld rows of %lld numbers of %d bits", v->name, (long long)count,
			(long long)rows, (long long)keep, bits);
	return (Packed){ rows, count / rows, keep, bits, 8 / bits, high_first };
}

static int shift_of(const Packed *p, int64_t i)
{
	int at = (int)(i % p->per_byte);
	return p->bits * (p->high_first ? p->per_byte - 1 - at : at);
}

/* The numbers that count, without gaps, lowest bits first: the file's own bytes if that is what they are. */
static WqTensor *pack_constant(Lower *L, const Packed *p, uint8_t *from)
{
	int64_t dim[] = { p->rows, p->keep };
	int64_t count = wq_shape_count(2, dim, "a packed weight");
	WqTensor *q = WQ_NEW(L->m->arena, WqTensor);
	*q = (WqTensor){ .dtype = uint_of(p->bits), .packed = p->bits < 8, .rank = 2, .dim = { p->rows, p->keep } };
	q->data = from;
	if (p->keep == p->stride * p->per_byte && !p->high_first)
		return q;
	uint8_t *to = wq_alloc(L->m->arena, wq_packed_bytes(q->dtype, count));
	unsigned mask = (1u << p->bits) - 1;
	q->data = to;
	for (int64_t r = 0, k = 0; r < p->rows; r++, from += p->stride)
		for (int64_t i = 0; i < p->keep; i++, k++) {
			unsigned code = from[i / p->per_byte] >> shift_of(p, i) & mask;
			to[k / p->per_byte] |= (uint8_t)(code << k % p->per_byte * p->bits);
		}
	return q;
}

static WqValue *unpack_at_run(Lower *L, const Packed *p, WqValue *bytes)
{
	WqValue *x = lo_reshape(L, bytes, 3, (WqDim[]){ p->rows, p->stride, 1 });
	if (p->bits < 8) {
		WqTensor *shift = wq_tensor_new(L->m, WQ_U8, 1, (int64_t[]){ p->per_byte });
		for (int i = 0; i < p->per_byte; i++)
			wq_tensor_set_i(shift, i, shift_of(p, i));
		x = lo2(L, OP_BitShift, x, wq_const(L->g, NULL, shift));
		x = lo2(L, OP_BitwiseAnd, x, lo_scalar(L, WQ_U8, (1 << p->bits) - 1));
	}
	x = lo_reshape(L, x, 2, (WqDim[]){ p->rows, p->stride * p->per_byte });
	return lo_slice(L, x, 1, 0, p->keep, 1);
}

WqValue *lq_unpack(Lower *L, WqValue *bytes, int64_t rows, int64_t keep, int bits, bool high_first)
{
	Packed p = packed_rows(L, bytes, rows, keep, bits, high_first);
	if (!bytes->data)
		return unpack_at_run(L, &p, bytes);
	WqValue *q = wq_const(L->g, NULL, pack_constant(L, &p, bytes->data->data));
	q->origin = bytes->origin;
	return q;
}

/* A constant of n equal integers. */
static WqValue *filled(Lower *L, WqDtype t, int64_t n, int v)
{
	WqTensor *q = WQ_NEW(L->m->arena, WqTensor);
	int bits = wq_dtype(t)->bits;
	size_t bytes = wq_packed_bytes(t, n);
	*q = (WqTensor){ .dtype = t, .packed = bits < 8, .rank = 1, .dim = { n }, .data = wq_alloc(L->m->arena, bytes) };
	for (int at = bits; at < 8; at += bits)
		v |= v << bits;
	memset(q->data, v, bytes);
	return wq_const(L->g, NULL, q);
}

/* The zero points, for these scales, of numbers q that have none: half of their range. A constant where the weight
 * is one: its size is bounded by the file's then. */
static WqValue *half_range(Lower *L, const WqValue *scales, const WqValue *q, int bits)
{
	int rank = lo_rank(L, scales), half = 1 << (bits - 1);
	const WqDim *dim = scales->type.dim;
	if (q->data && scales->data)
		return lo_reshape(L, filled(L, lo_type_of(q), wq_type_count(L->m, &scales->type), half), rank, dim);
	return lo_expand(L, wq_const_int(L->g, lo_type_of(q), half), rank, dim);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static int64_t positive(Lower *L, const char *attr, int64_t otherwise)
{
	int64_t v = lo_i(L, attr, otherwise);
	if (v <= 0 || v > INT32_MAX)
		lo_bad(L, "%s is %lld", attr, (long long)v);
	return v;
}

static int read_bits(Lower *L)
{
	int64_t bits = lo_i(L, "bits", 4);
	if (bits != 2 && bits != 4 && bits != 8)
		lo_unsupported(L, "bits is %lld: only 2, 4 and 8 are handled", (long long)bits);
	return (int)bits;
}

/* ---- MatMulNBits ----------------------------------------------------------------------------- */

typedef struct NBits {
	int64_t n, k, block, blocks; /* [N, K], blocks of a row */
	int bits;
	WqDtype t; /* of the computation: f32 also for f16, whose scales would round every weight */
	WqValue *q, *scales, *zeros;
	WqValue *group; /* of each k, where it is not k / block; else NULL */
} NBits;

/* Whole numbers in the range of the weights' type, stored as floats, lose nothing as integers. */
static WqTensor *zeros_as_integers(Lower *L, const NBits *w, const WqTensor *f)
{
	int64_t dim[] = { w->n, w->blocks };
	WqTensor *z = wq_tensor_new(L->m, lo_type_of(w->q), 2, dim);
	for (int64_t i = 0; i < w->n * w->blocks; i++) {
		double v = wq_tensor_get_f(f, i);
		if (!(v >= 0 && v < 1 << w->bits && v == (int)v))
			return NULL;
		wq_tensor_set_i(z, i, (int64_t)v);
	}
	return z;
}

/* Zero points: packed, or floats [N, blocks], or half of the range; integers wherever they can be. */
static WqValue *read_zeros(Lower *L, const NBits *w, WqValue *v)
{
	WqDtype t = lo_type_of(w->q);
	if (!v)
		return half_range(L, w->scales, w->q, w->bits);
	if (lo_type_of(v) == WQ_U8) {
		WqValue *z = lq_unpack(L, v, w->n, w->blocks, w->bits, false);
		return lo_cast(L, z, t); /* one of the two may be a constant and the other not */
	}
	v = lo_reshape(L, v, 2, (WqDim[]){ w->n, w->blocks });
	WqTensor *z = v->data ? zeros_as_integers(L, w, v->data) : NULL;
	return z ? wq_const(L->g, NULL, z) : v;
}

/* Which block each k belongs to: an operand, or k / block. */
static WqValue *block_of(Lower *L, const NBits *w)
{
	if (w->group)
		return lo_slice(L, w->group, 0, 0, w->k, 1);
	return lo2(L, OP_Div, lo_range(L, w->k), wq_const_int(L->g, WQ_I64, w->block));
}

static WqValue *spread(Lower *L, const NBits *w, WqValue *per_block)
{
	WqNode *n = lo_node(L, OP_Gather, 2, lo_cast(L, per_block, w->t), block_of(L, w));
	wq_set_i(n, "axis", 1);
	return lo_result(L, n);
}

/* The weight [N, K]. Float zero points and shuffled groups are not what DequantizeLinear can say. */
static WqValue *nbits_weight(Lower *L, const NBits *w)
{
	if (!w->group && lo_type_of(w->zeros) == lo_type_of(w->q))
		return lq_dequantize_blocks(L, w->q, w->scales, w->zeros, 1, w->block, w->t);
	WqValue *d = lo2(L, OP_Sub, lo_cast(L, w->q, w->t), spread(L, w, w->zeros));
	return lo2(L, OP_Mul, d, spread(L, w, w->scales));
}

static bool trivial_groups(Lower *L, const NBits *w, const WqValue *group)
{
	int n;
	const int64_t *g;
	if (!lo_const_ints(L, group, &n, &g) || n < w->k)
		return false;
	for (int64_t i = 0; i < w->k; i++)
		if (g[i] != i / w->block)
			return false;
	return true;
}

void lower_ms_MatMulNBits(Lower *L)
{
	NBits w = { .n = positive(L, "N", 0), .k = positive(L, "K", 0), .bits = read_bits(L) };
	w.block = positive(L, "block_size", 0);
	if (lo_i(L, "weight_prepacked", 0))
		lo_unsupported(L, "weights that are packed for a particular GPU");
	WqValue *a = lo_need(L, 0), *x = lo_wide(L, a);
	w.t = lo_type_of(x);
	w.blocks = (w.k - 1) / w.block + 1;
	w.q = lq_unpack(L, lo_need(L, 1), w.n, w.k, w.bits, false);
	w.scales = lo_reshape(L, lo_need(L, 2), 2, (WqDim[]){ w.n, w.blocks });
	w.zeros = read_zeros(L, &w, lo_in(L, 3));
	w.group = lo_in(L, 4);
	if (w.group && trivial_groups(L, &w, w.group))
		w.group = NULL;
	WqValue *y = lo2(L, OP_MatMul, x, lo_swap_last(L, nbits_weight(L, &w)));
	if (lo_in(L, 5))
		y = lo2(L, OP_Add, y, lo_cast(L, lo_in(L, 5), w.t));
	lo_out(L, 0, lo_cast(L, y, lo_type_of(a)));
}

/* ---- MatMulBnb4 ------------------------------------------------------------------------------ */

/* By code: a sign and three bits of an odd float, divided by the largest; and the quantiles of a normal
 * distribution. */
static const float fp4_values[16] = { 0, 5.208333333e-03f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f, 0.25f,
	-0.0f, -5.208333333e-03f, -0.66666667f, -1, -0.33333333f, -0.5f, -0.16666667f, -0.25f };
static const float nf4_values[16] = { -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
	-0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f,
	0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1 };

static WqValue *bnb4_table(Lower *L, WqDtype t)
{
	int64_t type = lo_i(L, "quant_type", 1), n = 16;
	if (type != 0 && type != 1)
		lo_bad(L, "quant_type is %lld: expected 0 or 1", (long long)type);
	WqTensor *table = wq_tensor_new(L->m, t, 1, &n);
	for (int i = 0; i < 16; i++)
		wq_tensor_set_f(table, i, (type ? nf4_values : fp4_values)[i]);
	return wq_const(L->g, NULL, table);
}

/* Blocks run over the flattened weight; the last one may be cut short. */
static WqValue *bnb4_weight(Lower *L, int64_t n, int64_t k, int64_t block)
{
	WqValue *absmax = lo_need(L, 2);
	int64_t count = wq_mul_checked(n, k, "MatMulBnb4's weight"), blocks = (count - 1) / block + 1;
	WqValue *q = lo_reshape(L, lq_unpack(L, lo_need(L, 1), 1, count, 4, true), 1, (WqDim[]){ count });
	WqValue *v = lo2(L, OP_Gather, bnb4_table(L, lo_type_of(absmax)), lo_cast(L, q, WQ_I32));
	WqValue *scale = lo_reshape(L, absmax, 2, (WqDim[]){ blocks, 1 });
	if (count % block) {
		int64_t whole = count - count % block;
		WqValue *head = lo_reshape(L, lo_slice(L, v, 0, 0, whole, 1), 2, (WqDim[]){ blocks - 1, block });
		WqValue *tail = lo_reshape(L, lo_slice(L, v, 0, whole, count, 1), 2, (WqDim[]){ 1, count - whole });
		head = lo2(L, OP_Mul, head, lo_slice(L, scale, 0, 0, blocks - 1, 1));
		tail = lo2(L, OP_Mul, tail, lo_slice(L, scale, 0, blocks - 1, blocks, 1));
		head = lo_reshape(L, head, 1, (WqDim[]){ whole });
		tail = lo_reshape(L, tail, 1, (WqDim[]){ count - whole });
		v = lo_concat(L, 0, 2, (WqValue *[]){ head, tail });
	} else {
		v = lo2(L, OP_Mul, lo_reshape(L, v, 2, (WqDim[]){ blocks, block }), scale);
	}
	return lo_reshape(L, v, 2, (WqDim[]){ n, k });
}

void lower_ms_MatMulBnb4(Lower *L)
{
	WqValue *w = bnb4_weight(L, positive(L, "N", 0), positive(L, "K", 0), positive(L, "block_size", 0));
	lo_out(L, 0, lo2(L, OP_MatMul, lo_need(L, 0), lo_i(L, "transB", 1) ? lo_swap_last(L, w) : w));
}

/* ---- GatherBlockQuantized -------------------------------------------------------------------- */

/* Bytes as the integers packed along their last axis, of which `last` count (-1: all). */
static WqValue *unpack_last(Lower *L, WqValue *v, int bits, WqDim last)
{
	int rank = lo_rank(L, v);
	int64_t rows = 1;
	WqDim dim[WQ_MAX_RANK];
	memcpy(dim, v->type.dim, sizeof dim);
	for (int i = 0; i < rank; i++) {
		if (!wq_dim_static(dim[i]))
			lo_unsupported(L, "the shape of '%.200s' is not known when compiling", v->name);
		if (i + 1 < rank)
			rows = wq_mul_checked(rows, dim[i], v->name);
	}
	if (rank < 1)
		lo_bad(L, "'%.200s' is a scalar", v->name);
	dim[rank - 1] = last >= 0 ? last : wq_mul_checked(dim[rank - 1], 8 / bits, v->name);
	return lo_reshape(L, lq_unpack(L, v, rows, dim[rank - 1], bits, false), rank, dim);
}

typedef struct Blocks {
	WqValue *q, *scales, *zeros; /* zeros may be NULL */
	int gather_axis, axis;       /* which is gathered, which is quantized */
	int64_t block;
} Blocks;

static WqValue *gather(Lower *L, WqValue *v, WqValue *indices, int axis)
{
	if (!v)
		return NULL;
	WqNode *n = lo_node(L, OP_Gather, 2, v, indices);
	wq_set_i(n, "axis", axis);
	return lo_result(L, n);
}

/* 8- and 4-bit floats may have one scale for a whole row (block_size 0) or for all rows. */
static void read_float_blocks(Lower *L, Blocks *b)
{
	int rank = lo_rank(L, b->q);
	if (b->zeros)
		lo_bad(L, "zero points of a float type");
	if (lo_rank(L, b->scales) != rank)
		lo_bad(L, "scales of rank %d for data of rank %d", lo_rank(L, b->scales), rank);
	if (!b->block) {
		b->block = b->q->type.dim[b->axis];
		if (b->block < 1)
			lo_unsupported(L, "a size of axis %d that is not known when compiling", b->axis);
	}
	WqDim dim[WQ_MAX_RANK];
	for (int i = 0; i < rank; i++)
		dim[i] = i == b->axis ? b->scales->type.dim[i] : b->q->type.dim[i];
	b->scales = lo_expand(L, b->scales, rank, dim);
}

static Blocks read_blocks(Lower *L)
{
	Blocks b = { .q = lo_need(L, 0), .scales = lo_need(L, 2), .zeros = lo_in(L, 3) };
	int rank = lo_rank(L, b.q);
	b.gather_axis = lo_axis(L, lo_i(L, "gather_axis", 0), rank);
	b.axis = lo_axis(L, lo_i(L, "quantize_axis", 1), rank);
	b.block = lo_i(L, "block_size", 128);
	if (wq_dtype_is_float(lo_type_of(b.q))) {
		read_float_blocks(L, &b);
		return b;
	}
	b.block = positive(L, "block_size", 128);
	if (lo_type_of(b.q) != WQ_U8)
		return b;
	int bits = read_bits(L);
	b.q = unpack_last(L, b.q, bits, -1);
	if (b.zeros)
		b.zeros = lo_cast(L, unpack_last(L, b.zeros, bits, lo_dim(L, b.scales, -1)), lo_type_of(b.q));
	else
		b.zeros = half_range(L, b.scales, b.q, bits);
	return b;
}

/* The codes are gathered, and what they and their scales make decoded; unless blocks lie along the axis that is
 * gathered. */
void lower_ms_GatherBlockQuantized(Lower *L)
{
	Blocks b = read_blocks(L);
	WqValue *indices = lo_need(L, 1);
	if (b.axis == b.gather_axis) {
		WqValue *w = lq_dequantize_blocks(L, b.q, b.scales, b.zeros, b.axis, b.block, lo_type_of(b.scales));
		lo_out(L, 0, gather(L, w, indices, b.gather_axis));
		return;
	}
	WqValue *q = gather(L, b.q, indices, b.gather_axis), *scales = gather(L, b.scales, indices, b.gather_axis);
	int axis = b.axis > b.gather_axis ? b.axis + lo_rank(L, indices) - 1 : b.axis;
	WqValue *zeros = gather(L, b.zeros, indices, b.gather_axis);
	lo_out(L, 0, lq_dequantize_blocks(L, q, scales, zeros, axis, b.block, lo_type_of(scales)));
}
