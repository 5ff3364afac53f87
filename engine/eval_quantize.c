/* eval_quantize.c: QuantizeLinear and DequantizeLinear, per tensor, per axis and in blocks.
 *
 * The operand is cut into runs along which the scale is one number or advances with the element. Numbers are computed
 * in f32 (i32 in f64): y = saturate(round_half_even(x / scale) + zero), x = (y - zero) * scale. The quotient is rounded
 * to the type of the division (attribute precision; else the scale's type) before it is rounded to an integer. NaN
 * becomes the zero point.
 */
#include "engine/convert.h"
#include "engine/ew.h"
#include "engine/move.h"

typedef struct Quant {
	const WqTensor *x;
	WqTensor *y;
	const float *scale, *zero; /* as many; zero may be NULL */
	bool zero_one, scale_one;  /* one for the whole tensor */
	int64_t n, inner, block, n_block; /* x is [outer, n, inner]; block 0: per axis */
	int64_t run;
	double low, high; /* of the result, integers */
	WqDtype precision;
	bool saturate;
} Quant;

/* n <= EW_BLOCK elements from at on; s and z advance by ss and zs. */
typedef void RunFn(const Quant *q, int64_t at, int64_t n, const float *s, int ss, const float *z, int zs);

static const float zero_f;

/* Where element `at`'s parameter is, and whether the next element has the next one. */
static const float *param(const Quant *q, const float *p, bool one, int64_t at, int *step)
{
	int64_t i = at % q->inner, a = at / q->inner % q->n, o = at / q->inner / q->n;
	*step = 0;
	if (!p)
		return &zero_f;
	if (one)
		return p;
	if (!q->block) {
		*step = q->inner == 1;
		return p + a;
	}
	*step = q->inner > 1;
	return p + (o * q->n_block + a / q->block) * q->inner + i;
}

/* Elements from `at` on that share a parameter, or whose parameters are neighbours. */
static int64_t run_length(const Quant *q, int64_t at)
{
	if (q->inner > 1)
		return q->inner - at % q->inner;
	int64_t a = at % q->n;
	return q->block ? (q->block - a % q->block < q->n - a ? q->block - a % q->block : q->n - a) : q->n - a;
}

/* Blocks along the last axis are short: their parameters are written out for EW_BLOCK elements. */
static const float *spread(const Quant *q, const float *p, bool one, int64_t at, int64_t n, float *buf, int *step)
{
	if (!p || one)
		return param(q, p, one, at, step);
	for (int64_t i = 0; i < n;) {
		int64_t k = run_length(q, at + i);
		k = k < n - i ? k : n - i;
		const float v = *param(q, p, one, at + i, step);
		for (int64_t j = 0; j < k; j++)
			buf[i + j] = v;
		i += k;
	}
	*step = 1;
	return buf;
}

static void runs(const Quant *q, int64_t begin, int64_t end, RunFn *fn)
{
	bool single = q->scale_one && (!q->zero || q->zero_one), blocks = !single && q->block && q->inner == 1;
	float sbuf[EW_BLOCK], zbuf[EW_BLOCK];
	for (int64_t at = begin; at < end;) {
		int64_t n = end - at;
		if (!single && !blocks && run_length(q, at) < n)
			n = run_length(q, at);
		n = n < EW_BLOCK ? n : EW_BLOCK;
		int ss, zs;
		const float *s, *z;
		if (blocks) {
			s = spread(q, q->scale, q->scale_one, at, n, sbuf, &ss);
			z = spread(q, q->zero, q->zero_one, at, n, zbuf, &zs);
		} else {
			s = param(q, q->scale, q->scale_one, at, &ss);
			z = param(q, q->zero, q->zero_one, at, &zs);
		}
		fn(q, at, n, s, ss, z, zs);
		at += n;
	}
}

/* ---- QuantizeLinear -------------------------------------------------------------------------- */

WQ_CLONES static void divide(const float *x, const float *s, int ss, float *o, int64_t n)
{
	if (ss)
		for (int64_t i = 0; i < n; i++)
			o[i] = x[i] / s[i];
	else
		for (int64_t i = 0; i < n; i++)
			o[i] = x[i] / *s;
}

WQ_CLONES static void round_to(WqDtype t, float *v, int64_t n)
{
	if (t == WQ_F16)
		for (int64_t i = 0; i < n; i++)
			v[i] = vm_f16_load(vm_f16_store(v[i]));
	if (t == WQ_BF16)
		for (int64_t i = 0; i < n; i++)
			v[i] = vm_bf16_load(vm_bf16_store(v[i]));
}

WQ_CLONES static void round_clip(float *v, const float *z, int zs, float low, float high, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		float zero = z[i * zs], r = rintf(v[i]);
		r = r != r ? 0 : r;
		r = r < low - zero ? low - zero : r;
		r = r > high - zero ? high - zero : r;
		v[i] = r + zero;
	}
}

/* Results of 32 bits do not fit f32. */
static void quantize_wide(const Quant *q, int64_t at, int64_t n, const float *s, int ss, const float *z, int zs)
{
	double v[EW_BLOCK];
	wq_convert(WQ_F64, v, q->x->dtype, (const char *)q->x->data + (size_t)at * wq_dtype_size(q->x->dtype), n, true,
		   'n');
	for (int64_t i = 0; i < n; i++) {
		double r = rint(v[i] / s[i * ss]) + z[i * zs];
		v[i] = r != r ? z[i * zs] : r < q->low ? q->low : r > q->high ? q->high : r;
	}
	wq_convert(q->y->dtype, (char *)q->y->data + (size_t)at * wq_dtype_size(q->y->dtype), WQ_F64, v, n, true, 'n');
}

static void quantize_run(const Quant *q, int64_t at, int64_t n, const float *s, int ss, const float *z, int zs)
{
	float v[EW_BLOCK];
	bool is_int = wq_dtype_is_int(q->y->dtype);
	if (is_int && wq_dtype(q->y->dtype)->bits > 16) {
		quantize_wide(q, at, n, s, ss, z, zs);
		return;
	}
	wq_convert(WQ_F32, v, q->x->dtype, (const char *)q->x->data + (size_t)at * wq_dtype_size(q->x->dtype), n, true,
		   'n');
	round_to(q->precision, v, n);
	divide(v, s, ss, v, n);
	round_to(q->precision, v, n);
	if (is_int)
		round_clip(v, z, zs, (float)q->low, (float)q->high, n);
	else if (q->y->dtype == WQ_F4E2M1)
		for (int64_t i = 0; i < n; i++)
			v[i] += z[i * zs];
	wq_convert(q->y->dtype, (char *)q->y->data + (size_t)at * wq_dtype_size(q->y->dtype), WQ_F32, v, n, q->saturate,
		   'n');
}

static void quantize_part(void *arg, int64_t begin, int64_t end)
{
	runs(arg, begin, end, quantize_run);
}

/* ---- DequantizeLinear ------------------------------------------------------------------------ */

WQ_CLONES static void scale_f32(const float *v, const float *z, int zs, const float *s, int ss, float *o, int64_t n)
{
	if (!zs && !ss)
		for (int64_t i = 0; i < n; i++)
			o[i] = (v[i] - *z) * *s;
	else if (!zs)
		for (int64_t i = 0; i < n; i++)
			o[i] = (v[i] - *z) * s[i];
	else
		for (int64_t i = 0; i < n; i++)
			o[i] = (v[i] - z[i]) * s[i * ss];
}

static void dequantize_run(const Quant *q, int64_t at, int64_t n, const float *s, int ss, const float *z, int zs)
{
	double v[EW_BLOCK], o[EW_BLOCK];
	WqDtype from = q->x->dtype, to = q->y->dtype;
	bool wide = wq_dtype_is_int(from) && wq_dtype(from)->bits > 16;
	const char *x = (const char *)q->x->data + (size_t)at * wq_dtype_size(from);
	char *y = (char *)q->y->data + (size_t)at * wq_dtype_size(to);
	wq_convert(wide ? WQ_F64 : WQ_F32, v, from, x, n, true, 'n');
	if (wide)
		for (int64_t i = 0; i < n; i++)
			o[i] = (v[i] - z[i * zs]) * s[i * ss];
	else if (to == WQ_F32)
		scale_f32((float *)v, z, zs, s, ss, (float *)y, n);
	else
		scale_f32((float *)v, z, zs, s, ss, (float *)o, n);
	if (wide || to != WQ_F32)
		wq_convert(to, y, wide ? WQ_F64 : WQ_F32, o, n, true, 'n');
}

static void dequantize_part(void *arg, int64_t begin, int64_t end)
{
	runs(arg, begin, end, dequantize_run);
}

/* ---- both ------------------------------------------------------------------------------------ */

static float *as_floats(WqCall *c, const WqTensor *t)
{
	int64_t n = wq_tensor_count(t);
	float *v = WQ_NEW_N(c->tmp, float, n + 1);
	if (t->dtype == WQ_STR || t->dtype == WQ_C64 || t->dtype == WQ_C128)
		wq_call_fail(c, "a scale or zero point of %s", wq_dtype(t->dtype)->text);
	wq_convert(WQ_F32, v, t->dtype, t->data, n, true, 'n');
	return v;
}

static void prepare(WqCall *c, Quant *q)
{
	const WqTensor *x = c->in[0], *s = c->in[1], *z = c->n_in > 2 ? c->in[2] : NULL;
	*q = (Quant){.x = x, .y = &c->out[0], .n = 1, .inner = 1};
	q->scale = as_floats(c, s);
	q->scale_one = wq_tensor_count(s) == 1;
	if (z && wq_tensor_count(z)) {
		q->zero = as_floats(c, z);
		q->zero_one = wq_tensor_count(z) == 1;
	}
	if (wq_tensor_count(x) && !wq_tensor_count(s))
		wq_call_fail(c, "the scale is empty");
	if (x->rank && !(q->scale_one && (!q->zero || q->zero_one))) {
		int axis = wq_call_axis(c, x->rank);
		q->n = x->dim[axis];
		q->inner = wq_product(x->dim, axis + 1, x->rank);
		q->block = wq_attr_i(c->node, "block_size");
		q->n_block = q->block ? (q->n + q->block - 1) / q->block : 0;
	}
}

static void check_numbers(WqCall *c, WqDtype t)
{
	if (t == WQ_STR || t == WQ_C64 || t == WQ_C128 || t == WQ_BOOL)
		wq_call_fail(c, "%s is not a number type", wq_dtype(t)->text);
}

void eval_quantize(WqCall *c)
{
	Quant q;
	prepare(c, &q);
	WqDtype t = c->out[0].dtype;
	check_numbers(c, t);
	int bits = wq_dtype(t)->bits;
	if (wq_dtype_is_int(t)) {
		if (bits > 32)
			wq_call_fail(c, "quantizing to %s", wq_dtype(t)->text);
		bool is_signed = wq_dtype_is_signed(t);
		q.low = is_signed ? -ldexp(1, bits - 1) : 0;
		q.high = ldexp(1, is_signed ? bits - 1 : bits) - 1;
	}
	q.saturate = wq_attr_i(c->node, "saturate") != 0;
	q.precision = wq_attr_find(c->node, "precision") ? (WqDtype)wq_attr_i(c->node, "precision") : c->in[1]->dtype;
	if (q.precision == WQ_F16 || q.precision == WQ_BF16) {
		int64_t n = wq_tensor_count(c->in[1]);
		round_to(q.precision, (float *)(uintptr_t)q.scale, n);
	}
	wq_parallel(c, wq_tensor_count(c->in[0]), 16384, quantize_part, &q);
}

void eval_dequantize(WqCall *c)
{
	Quant q;
	prepare(c, &q);
	check_numbers(c, c->in[0]->dtype);
	check_numbers(c, c->out[0].dtype);
	wq_parallel(c, wq_tensor_count(c->in[0]), 16384, dequantize_part, &q);
}
