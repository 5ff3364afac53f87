/* eval_pow.c: Pow. The result has the base's type; the exponent may have another. f32 and 16-bit bases with float
 * exponents are computed in f32; other pairs in f64. An integer base with an integer exponent is computed exactly and
 * wraps; with a negative exponent the result is the truncated one: 0 unless the base is 1 or -1 (and 0 for a base of
 * 0). */
#include "engine/convert.h"
#include "engine/ew.h"

typedef enum { POW_F32, POW_F64, POW_INT } Kind;

typedef struct Pow {
	const WqTensor *a, *b;
	WqTensor *o;
	Kind kind;
	WqDtype work; /* f32, f64 or i64 */
	int sa, sb;
} Pow;

/* 64-bit numbers, of either sign if so it says. */
static uint64_t int_pow(uint64_t a, bool a_signed, uint64_t n, bool n_signed)
{
	uint64_t r = 1;
	if (n_signed && (int64_t)n < 0)
		return a == 1 ? 1 : a_signed && a == UINT64_MAX ? (n & 1 ? a : 1) : 0;
	for (; n; n >>= 1, a *= a)
		if (n & 1)
			r *= a;
	return r;
}

static void f32_general(const float *a, const float *b, float *o, int64_t n, int sa, int sb)
{
	for (int64_t i = 0; i < n; i++)
		o[i] = powf(a[i * sa], b[i * sb]);
}

/* The exponents that networks use, as vector loops. */
WQ_CLONES static bool f32_special(const float *a, float b, float *o, int64_t n)
{
	if (b == 2)
		for (int64_t i = 0; i < n; i++)
			o[i] = a[i] * a[i];
	else if (b == 3)
		for (int64_t i = 0; i < n; i++)
			o[i] = (float)((double)a[i] * a[i] * a[i]);
	else if (b == 0.5f)
		for (int64_t i = 0; i < n; i++)
			o[i] = a[i] == -INFINITY ? INFINITY : sqrtf(a[i] + 0.0f);
	else if (b == 1)
		memmove(o, a, (size_t)n * sizeof *o);
	else if (b == -1)
		for (int64_t i = 0; i < n; i++)
			o[i] = 1.0f / a[i];
	else
		return false;
	return true;
}

static void block(const Pow *p, const void *a, const void *b, void *o, int64_t n)
{
	if (p->kind == POW_F32) {
		if (!p->sa || p->sb || !f32_special(a, *(const float *)b, o, n))
			f32_general(a, b, o, n, p->sa, p->sb);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		if (p->kind == POW_INT)
			((uint64_t *)o)[i] = int_pow(((const uint64_t *)a)[i * p->sa], p->a->dtype != WQ_U64,
						     ((const uint64_t *)b)[i * p->sb], p->b->dtype != WQ_U64);
		else
			((double *)o)[i] = pow(((const double *)a)[i * p->sa], ((const double *)b)[i * p->sb]);
}

static const char *address(const WqTensor *t, int64_t i)
{
	return (const char *)t->data + (size_t)i * wq_dtype_size(t->dtype);
}

static void pow_row(void *arg, const int64_t *off, int64_t at, int64_t n)
{
	const Pow *p = arg;
	double a[EW_BLOCK], b[EW_BLOCK], o[EW_BLOCK];
	for (int64_t i = 0; i < n; i += EW_BLOCK) {
		int64_t k = n - i < EW_BLOCK ? n - i : EW_BLOCK;
		wq_convert(p->work, a, p->a->dtype, address(p->a, off[0] + i * p->sa), p->sa ? k : 1, true, 'n');
		wq_convert(p->work, b, p->b->dtype, address(p->b, off[1] + i * p->sb), p->sb ? k : 1, true, 'n');
		block(p, a, b, o, k);
		wq_convert(p->o->dtype, (char *)p->o->data + (size_t)(at + i) * wq_dtype_size(p->o->dtype), p->work, o,
			   k, true, 'n');
	}
}

void eval_pow(WqCall *c)
{
	static const WqDtype work[] = {WQ_F32, WQ_F64, WQ_I64};
	EwPlan plan;
	ew_plan(&plan, &c->out[0], 2, c->in);
	WqDtype a = c->in[0]->dtype, b = c->in[1]->dtype;
	if (!wq_dtype_in(b, WQ_M_NUM))
		wq_call_fail(c, "an exponent of %s", wq_dtype(b)->text);
	Pow p = {.a = c->in[0], .b = c->in[1], .o = &c->out[0], .sa = ew_moves(&plan, 0), .sb = ew_moves(&plan, 1)};
	bool narrow_b = wq_dtype_is_float(b) ? b != WQ_F64 : wq_dtype_size(b) < 4;
	p.kind = wq_dtype_is_int(a) && wq_dtype_is_int(b)          ? POW_INT
	         : wq_dtype_is_float(a) && a != WQ_F64 && narrow_b ? POW_F32
	                                                           : POW_F64;
	/* a whole exponent that f32 holds needs no f64 */
	if (p.kind == POW_F64 && wq_dtype_is_float(a) && a != WQ_F64 && wq_tensor_count(p.b) == 1 &&
	    (double)(float)wq_tensor_get_f(p.b, 0) == wq_tensor_get_f(p.b, 0))
		p.kind = POW_F32;
	p.work = work[p.kind];
	ew_run(c, &plan, 10, pow_row, &p);
}
