/* lower_signal.c: DFT, STFT, the window functions and MelWeightMatrix.
 *
 * A transform is a product with a table of cosines and one of sines: constants where the sizes are known, else made by
 * core operators at run time.
 */
#include <math.h>

#include "frontend/lower.h"

enum { MOST_TABLE = 1 << 22 }; /* elements of a table that is stored */
#define TWO_PI 6.28318530717958647692528676655900577

static WqValue *add(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Add, a, b); }
static WqValue *sub(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Sub, a, b); }
static WqValue *mul(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Mul, a, b); }
static WqValue *quot(Lower *L, WqValue *a, WqValue *b) { return lo2(L, OP_Div, a, b); }
static WqValue *num(Lower *L, const WqValue *like, double v) { return lo_like(L, like, v); }
static WqValue *plus(Lower *L, WqValue *a, double v) { return add(L, a, num(L, a, v)); }
static WqValue *times(Lower *L, WqValue *a, double v) { return mul(L, a, num(L, a, v)); }
static WqValue *f64(Lower *L, WqValue *v) { return lo_cast(L, v, WQ_F64); }

/* An integer operand of one element as an i64 scalar. */
static WqValue *integer(Lower *L, WqValue *v)
{
	return lo_cast(L, lo_rank(L, v) ? lo_reshape(L, v, 0, NULL) : v, WQ_I64);
}

/* 0 .. n-1 for an i64 scalar */
static WqValue *count_to(Lower *L, WqValue *n)
{
	return lo3(L, OP_Range, num(L, n, 0), n, num(L, n, 1));
}

static WqValue *column(Lower *L, WqValue *v)
{
	return lo_unsqueeze(L, v, 1, (int64_t[]){ 1 });
}

/* ---- transforms ------------------------------------------------------------------------------ */

typedef struct Dft {
	Lower *L;
	bool inverse, onesided;
	bool complex;    /* the operand has imaginary parts */
	WqValue *length; /* i64 scalar: of the full transform */
} Dft;

/* Results of the transform, an i64 scalar: half of a spectrum that is symmetric, except for what comes back from it. */
static WqValue *dft_results(const Dft *d)
{
	if (!d->onesided || d->inverse)
		return d->length;
	return plus(d->L, quot(d->L, d->length, num(d->L, d->length, 2)), 1);
}

/* By how much each of n terms counts: 1/length in the inverse; twice that for all of half a spectrum that stand
 * for their mirror image too. */
static WqValue *dft_weights(const Dft *d, WqValue *term)
{
	Lower *L = d->L;
	WqValue *w = quot(L, lo_scalar(L, WQ_F64, 1), f64(L, d->length));
	if (!d->onesided)
		return w;
	WqValue *alone = lo2(L, OP_Equal, lo2(L, OP_Mod, times(L, term, 2), d->length), num(L, term, 0));
	return lo3(L, OP_Where, alone, w, times(L, w, 2));
}

typedef struct Tables {
	WqValue *cosine, *sine;
} Tables;

/* The tables as constants; only their products with what comes in are left to the run. */
static Tables constant_tables(const Dft *d, int64_t terms, int64_t length, int64_t results, bool by_rows, WqDtype t)
{
	int64_t dim[] = { by_rows ? results : terms, by_rows ? terms : results };
	WqTensor *c = wq_tensor_new(d->L->m, t, 2, dim), *s = wq_tensor_new(d->L->m, t, 2, dim);
	for (int64_t i = 0; i < terms; i++) {
		double weight = !d->inverse ? 1 : (!d->onesided || 2 * i % length == 0 ? 1.0 : 2.0) / (double)length;
		for (int64_t k = 0; k < results; k++) {
			double angle = TWO_PI / (double)length * (double)(i * k % length);
			int64_t at = by_rows ? k * terms + i : i * results + k;
			wq_tensor_set_f(c, at, cos(angle) * weight);
			wq_tensor_set_f(s, at, sin(angle) * weight);
		}
	}
	return (Tables){ wq_const(d->L->g, NULL, c), wq_const(d->L->g, NULL, s) };
}

/* [terms, results], or [results, terms] if by_rows. The angle's product of indices is reduced before it is rounded. */
static Tables dft_tables(const Dft *d, WqDim terms, bool by_rows, WqDtype t)
{
	Lower *L = d->L;
	double length, results;
	bool known = wq_dim_static(terms) && lo_const_scalar(L, d->length, &length) &&
		lo_const_scalar(L, dft_results(d), &results);
	if (known && length >= 1 && results >= 0 && results * (double)terms <= MOST_TABLE)
		return constant_tables(d, terms, (int64_t)length, (int64_t)results, by_rows, t);
	WqValue *term = lo_range(L, terms), *result = count_to(L, dft_results(d));
	if (by_rows)
		result = column(L, result);
	else
		term = column(L, term);
	WqValue *turn = lo2(L, OP_Mod, mul(L, term, result), d->length);
	WqValue *angle = mul(L, f64(L, turn), quot(L, lo_scalar(L, WQ_F64, TWO_PI), f64(L, d->length)));
	Tables tab = { lo1(L, OP_Cos, angle), lo1(L, OP_Sin, angle) };
	if (d->inverse) {
		WqValue *w = dft_weights(d, term);
		tab.cosine = mul(L, tab.cosine, w);
		tab.sine = mul(L, tab.sine, w);
	}
	return (Tables){ lo_cast(L, tab.cosine, t), lo_cast(L, tab.sine, t) };
}

/* Part c of the last axis of [A, n, B, 1 or 2], as [A, n, B], or [A, n] where B is 1. */
static WqValue *part(Lower *L, WqValue *x, int64_t c, bool flat)
{
	const WqDim *dim = x->type.dim;
	WqValue *v = lo_slice(L, x, 3, c, c + 1, 1);
	return lo_reshape(L, v, flat ? 2 : 3, dim);
}

static WqValue *apply(Lower *L, WqValue *table, WqValue *x, bool flat)
{
	return flat ? lo2(L, OP_MatMul, x, table) : lo2(L, OP_MatMul, table, x);
}

static WqValue *with_part_axis(Lower *L, WqValue *v, bool flat)
{
	WqDim dim[] = { v->type.dim[0], v->type.dim[1], flat ? 1 : v->type.dim[2], 1 };
	return lo_reshape(L, v, 4, dim);
}

/* [A, n, B, 1 or 2] along axis 1 to [A, results, B, 2]; or 1 for a real signal that comes back from half a spectrum. */
static WqValue *dft(const Dft *d, WqValue *x)
{
	Lower *L = d->L;
	WqDim n = x->type.dim[1];
	bool flat = x->type.dim[2] == 1, real_result = d->inverse && d->onesided;
	Tables tab = dft_tables(d, n, !flat, lo_type_of(x));
	WqValue *re = part(L, x, 0, flat), *y_re = apply(L, tab.cosine, re, flat), *y_im = NULL;
	if (!real_result)
		y_im = apply(L, tab.sine, re, flat);
	if (d->complex) {
		WqValue *im = part(L, x, 1, flat), *s = apply(L, tab.sine, im, flat);
		y_re = d->inverse ? sub(L, y_re, s) : add(L, y_re, s);
		if (!real_result) {
			WqValue *c = apply(L, tab.cosine, im, flat);
			y_im = d->inverse ? add(L, c, y_im) : sub(L, c, y_im);
		}
	} else if (y_im && !d->inverse) {
		y_im = lo1(L, OP_Neg, y_im);
	}
	y_re = with_part_axis(L, y_re, flat);
	return y_im ? lo_concat(L, 3, 2, (WqValue *[]){ y_re, with_part_axis(L, y_im, flat) }) : y_re;
}

/* x [A, n, B, c] with no more terms than the transform takes */
static WqValue *cut_terms(const Dft *d, WqValue *x, WqValue *most)
{
	Lower *L = d->L;
	double v;
	if (wq_dim_static(x->type.dim[1]) && lo_const_scalar(L, most, &v) && v >= (double)x->type.dim[1])
		return x;
	WqValue *end = lo_reshape(L, most, 1, (WqDim[]){ 1 });
	return lo_result(L, lo_node(L, OP_Slice, 5, x, lo_i64(L, 0), end, lo_i64(L, 1), lo_i64(L, 1)));
}

static bool has_imaginary(Lower *L, const WqValue *x)
{
	int rank = lo_rank(L, x);
	WqDim c = lo_dim(L, x, -1);
	if (!wq_dim_static(c))
		lo_unsupported(L, "a last axis (real, or real and imaginary part) of unknown size");
	if (rank < 2 || (c != 1 && c != 2))
		lo_bad(L, "the last axis has size %lld instead of 1 or 2", (long long)c);
	return c == 2;
}

/* An axis that is an operand: sizes become values, all vectors of known length, so that ranks stay known. */
typedef struct Around {
	WqValue *shape; /* i64[rank] */
	WqValue *at;    /* i64[1]: the axis, not negative */
	WqValue *before, *n, *after; /* i64[1]: elements before the axis, along it, after it without the last axis */
} Around;

/* The product of the sizes where `which` holds. */
static WqValue *product_where(Lower *L, WqValue *which, WqValue *shape)
{
	WqValue *sizes = lo3(L, OP_Where, which, shape, num(L, shape, 1));
	return lo_reduce(L, OP_ReduceProd, sizes, 1, (int64_t[]){ 0 }, true);
}

static Around around_axis(Lower *L, WqValue *x, WqValue *axis)
{
	int rank = lo_rank(L, x);
	Around r;
	r.shape = wq_dims(L->g, rank, x->type.dim);
	r.at = plus(L, lo_reshape(L, integer(L, axis), 1, (WqDim[]){ 1 }), rank);
	r.at = lo2(L, OP_Mod, r.at, num(L, r.at, rank));
	WqValue *i = lo_range(L, rank), *last = lo2(L, OP_Less, i, num(L, i, rank - 1));
	r.before = product_where(L, lo2(L, OP_Less, i, r.at), r.shape);
	r.n = lo2(L, OP_Gather, r.shape, r.at);
	r.after = product_where(L, lo2(L, OP_And, lo2(L, OP_Less, r.at, i), last), r.shape);
	return r;
}

/* The sizes with the one at `at` changed. */
static WqValue *with_size(Lower *L, WqValue *shape, WqValue *at, WqValue *size)
{
	return lo_result(L, lo_node(L, OP_ScatterElements, 3, shape, at, size));
}

/* The default length: as many as there are terms, or as many as half a spectrum comes from. */
static WqValue *dft_length(Lower *L, const Dft *d, WqDim n, WqValue *given)
{
	if (given)
		return integer(L, given);
	if (d->inverse && d->onesided)
		n = wq_dim_mul(L->m, 2, wq_dim_sub(L->m, n, 1));
	return lo_dim_scalar(L, n, WQ_I64);
}

static WqValue *transform(Lower *L, Dft *d, WqValue *x4, WqValue *given)
{
	d->length = dft_length(L, d, x4->type.dim[1], given);
	if (!given)
		return dft(d, x4);
	WqValue *most = d->length;
	if (d->inverse && d->onesided) /* what half a spectrum has */
		most = plus(L, quot(L, most, num(L, most, 2)), 1);
	return dft(d, cut_terms(d, x4, most));
}

static WqValue *dft_along(Lower *L, Dft *d, WqValue *x, int axis, WqValue *given)
{
	int rank = lo_rank(L, x);
	WqDim dim[WQ_MAX_RANK], before = 1, after = 1;
	memcpy(dim, x->type.dim, sizeof dim);
	for (int i = 0; i < rank - 1; i++) {
		if (i < axis)
			before = wq_dim_mul(L->m, before, dim[i]);
		else if (i > axis)
			after = wq_dim_mul(L->m, after, dim[i]);
	}
	WqValue *x4 = lo_reshape(L, x, 4, (WqDim[]){ before, dim[axis], after, dim[rank - 1] });
	WqValue *y = transform(L, d, x4, given);
	dim[axis] = y->type.dim[1];
	dim[rank - 1] = y->type.dim[3];
	return lo_reshape(L, y, rank, dim);
}

static WqValue *reshape_to(Lower *L, WqValue *x, WqValue *shape)
{
	WqNode *r = lo_node(L, OP_Reshape, 2, x, shape);
	wq_set_i(r, "allowzero", 1);
	return lo_result(L, r);
}

static WqValue *dft_along_operand(Lower *L, Dft *d, WqValue *x, WqValue *axis, WqValue *given)
{
	Around s = around_axis(L, x, axis);
	WqValue *sizes[] = { s.before, s.n, s.after, lo_i64(L, lo_dim(L, x, -1)) };
	WqValue *y = transform(L, d, reshape_to(L, x, lo_concat(L, 0, 4, sizes)), given);
	WqValue *shape = with_size(L, s.shape, s.at, wq_dims(L->g, 1, &y->type.dim[1]));
	return reshape_to(L, y, with_size(L, shape, lo_i64(L, lo_rank(L, x) - 1), wq_dims(L->g, 1, &y->type.dim[3])));
}

void lower_DFT(Lower *L)
{
	WqValue *in = lo_need(L, 0), *x = lo_wide(L, in), *given = lo_in(L, 1), *y;
	int rank = lo_rank(L, x);
	Dft d = { L, lo_i(L, "inverse", 0) != 0, lo_i(L, "onesided", 0) != 0, has_imaginary(L, x), NULL };
	int64_t axis = L->version < 20 ? lo_i(L, "axis", 1) : -2;
	WqValue *operand = L->version < 20 ? NULL : lo_in(L, 2);
	int n;
	const int64_t *v;
	if (operand && lo_const_ints(L, operand, &n, &v) && n == 1) {
		axis = v[0];
		operand = NULL;
	}
	if (operand) {
		y = dft_along_operand(L, &d, x, operand, given);
	} else {
		int at = lo_axis(L, axis, rank);
		if (at == rank - 1)
			lo_bad(L, "axis %lld is the one of the real and imaginary parts", (long long)axis);
		y = dft_along(L, &d, x, at, given);
	}
	lo_out(L, 0, lo_cast(L, y, lo_type_of(in)));
}

/* Frames of the signal [batch, length, parts] as [batch, frames, terms, parts] */
static WqValue *frames(Lower *L, WqValue *x, WqValue *step, WqValue *length, WqValue *terms)
{
	WqValue *room = sub(L, lo_dim_scalar(L, lo_dim(L, x, 1), WQ_I64), length);
	WqValue *start = mul(L, count_to(L, plus(L, quot(L, room, step), 1)), step);
	WqNode *n = lo_node(L, OP_Gather, 2, x, add(L, column(L, start), count_to(L, terms)));
	wq_set_i(n, "axis", 1);
	return lo_result(L, n);
}

void lower_STFT(Lower *L)
{
	WqValue *in = lo_need(L, 0), *x = lo_wide(L, in), *window = lo_in(L, 2), *given = lo_in(L, 3);
	if (lo_rank(L, x) == 2)
		x = lo_unsqueeze(L, x, 1, (int64_t[]){ 2 });
	Dft d = { L, false, lo_i(L, "onesided", 1) != 0, has_imaginary(L, x), NULL };
	if (lo_rank(L, x) != 3)
		lo_bad(L, "the signal has rank %d instead of 3", lo_rank(L, x));
	WqValue *terms = window ? lo_dim_scalar(L, lo_dim(L, window, 0), WQ_I64) : NULL;
	WqValue *length = given ? integer(L, given) : terms ? terms : lo_dim_scalar(L, lo_dim(L, x, 1), WQ_I64);
	WqValue *f = frames(L, x, integer(L, lo_need(L, 1)), length, terms ? terms : length);
	if (window)
		f = mul(L, f, lo_reshape(L, lo_cast(L, window, lo_type_of(x)), 2, (WqDim[]){ lo_dim(L, window, 0), 1 }));
	const WqDim *dim = f->type.dim;
	WqDim flat[] = { wq_dim_mul(L->m, dim[0], dim[1]), dim[2], 1, dim[3] };
	WqValue *y = transform(L, &d, lo_reshape(L, f, 4, flat), length);
	y = lo_reshape(L, y, 4, (WqDim[]){ dim[0], dim[1], y->type.dim[1], 2 });
	lo_out(L, 0, lo_cast(L, y, lo_type_of(in)));
}

/* ---- windows --------------------------------------------------------------------------------- */

static WqDtype output_type(Lower *L)
{
	WqDtype t = lo_dtype(L, "output_datatype", WQ_F32);
	if (!wq_dtype_in(t, WQ_M_NUM))
		lo_bad(L, "output_datatype is %s", wq_dtype(t)->text);
	return t;
}

/* a - b cos(2 pi n / N) + c cos(4 pi n / N) for n = 0 .. size-1; N is size, or size - 1 if not periodic */
static void cosine_window(Lower *L, double a, double b, double c)
{
	WqValue *size = integer(L, lo_need(L, 0)), *n = f64(L, count_to(L, size)), *period = f64(L, size);
	if (!lo_i(L, "periodic", 1))
		period = plus(L, period, -1);
	WqValue *angle = quot(L, times(L, n, TWO_PI), period);
	WqValue *y = plus(L, times(L, lo1(L, OP_Cos, angle), -b), a);
	if (c != 0)
		y = add(L, y, times(L, lo1(L, OP_Cos, times(L, angle, 2)), c));
	lo_out(L, 0, lo_cast(L, y, output_type(L)));
}

void lower_HannWindow(Lower *L)
{
	cosine_window(L, 0.5, 0.5, 0);
}

void lower_HammingWindow(Lower *L)
{
	cosine_window(L, 25.0 / 46, 21.0 / 46, 0);
}

void lower_BlackmanWindow(Lower *L)
{
	cosine_window(L, 0.42, 0.5, 0.08);
}

/* ---- MelWeightMatrix ------------------------------------------------------------------------- */

/* 2595 log10(1 + f / 700) */
static WqValue *mel(Lower *L, WqValue *f)
{
	WqValue *v = lo1(L, OP_Log, plus(L, times(L, f64(L, f), 1.0 / 700), 1));
	return lo_cast(L, times(L, v, 2595 / log(10)), lo_type_of(f));
}

static WqValue *as_scalar(Lower *L, WqValue *v)
{
	return lo_rank(L, v) ? lo_reshape(L, v, 0, NULL) : v;
}

/* The spectrogram bins (f64, whole numbers) of n + 2 points at equal mel distances. */
static WqValue *mel_points(Lower *L, WqValue *n, WqValue *dft_length, WqValue *rate)
{
	WqValue *low = mel(L, lo_wide(L, as_scalar(L, lo_need(L, 3))));
	WqValue *high = mel(L, lo_wide(L, as_scalar(L, lo_need(L, 4))));
	WqValue *points = plus(L, n, 2);
	WqValue *step = quot(L, sub(L, high, low), lo_cast(L, points, lo_type_of(low)));
	WqValue *m = add(L, mul(L, f64(L, count_to(L, points)), f64(L, step)), f64(L, low));
	WqValue *hertz = times(L, plus(L, lo2(L, OP_Pow, num(L, m, 10), times(L, m, 1.0 / 2595)), -1), 700);
	return lo1(L, OP_Floor, quot(L, mul(L, plus(L, f64(L, dft_length), 1), hertz), f64(L, rate)));
}

/* What bin j has of the triangle over three points. */
static double triangle(double j, const double *p)
{
	if (j >= p[1] && j < p[2])
		return (p[2] - j) / (p[2] - p[1]);
	if (j < p[0] || j > p[1])
		return 0;
	return p[1] == p[0] ? 1 : (j - p[0]) / (p[1] - p[0]);
}

/* The weights from constant operands, as a constant. */
static bool constant_mel(Lower *L, WqDtype t)
{
	double n, length, rate, edge[2];
	if (!lo_const_scalar(L, lo_need(L, 0), &n) || !lo_const_scalar(L, lo_need(L, 1), &length) ||
		!lo_const_scalar(L, lo_need(L, 2), &rate) || !lo_const_scalar(L, lo_need(L, 3), &edge[0]) ||
		!lo_const_scalar(L, lo_need(L, 4), &edge[1]) || !(n >= 1 && length >= 0 && rate > 0))
		return false;
	double bins = floor(length / 2) + 1;
	if (n > MOST_TABLE || length > MOST_TABLE || n * bins > MOST_TABLE)
		return false;
	int64_t dim[] = { (int64_t)bins, (int64_t)n };
	WqTensor *w = wq_tensor_new(L->m, t, 2, dim);
	bool narrow = lo_type_of(lo_need(L, 3)) != WQ_F64; /* the steps on the mel scale are of the edges' type */
	for (int i = 0; i < 2; i++) {
		edge[i] = 2595 * log10(1 + edge[i] / 700);
		if (narrow)
			edge[i] = (float)edge[i];
	}
	double step = narrow ? ((float)edge[1] - (float)edge[0]) / (float)(n + 2) : (edge[1] - edge[0]) / (n + 2);
	double *point = WQ_NEW_N(L->m->arena, double, n + 2);
	for (int64_t i = 0; i < dim[1] + 2; i++)
		point[i] = floor((length + 1) * (700 * (pow(10, ((double)i * step + edge[0]) / 2595) - 1)) / rate);
	for (int64_t j = 0; j < dim[0]; j++)
		for (int64_t i = 0; i < dim[1]; i++)
			wq_tensor_set_f(w, j * dim[1] + i, triangle((double)j, point + i));
	lo_out(L, 0, wq_const(L->g, NULL, w));
	return true;
}

static WqValue *no_less(Lower *L, WqValue *a, WqValue *b)
{
	return lo2(L, OP_LessOrEqual, b, a);
}

/* Column i rises from point i to 1 at point i+1 and falls to 0 at point i+2; rows are bins. */
void lower_MelWeightMatrix(Lower *L)
{
	WqDtype t = output_type(L);
	if (constant_mel(L, t))
		return;
	WqValue *n = integer(L, lo_need(L, 0)), *length = integer(L, lo_need(L, 1)), *rate = integer(L, lo_need(L, 2));
	WqValue *points = mel_points(L, n, length, rate), *edge[3];
	for (int i = 0; i < 3; i++) {
		WqValue *from = num(L, n, i);
		edge[i] = lo2(L, OP_Gather, points, add(L, count_to(L, n), from));
	}
	WqValue *bin = column(L, f64(L, count_to(L, plus(L, quot(L, length, num(L, length, 2)), 1))));
	WqValue *zero = num(L, bin, 0), *one = num(L, bin, 1);
	WqValue *rise = sub(L, edge[1], edge[0]), *fall = sub(L, edge[2], edge[1]);
	WqValue *up = lo3(L, OP_Where, lo2(L, OP_Equal, rise, zero), one, quot(L, sub(L, bin, edge[0]), rise));
	WqValue *rising = lo2(L, OP_And, no_less(L, bin, edge[0]), no_less(L, edge[1], bin));
	WqValue *falling = lo2(L, OP_And, no_less(L, bin, edge[1]), lo2(L, OP_Less, bin, edge[2]));
	WqValue *y = lo3(L, OP_Where, rising, up, zero);
	y = lo3(L, OP_Where, falling, quot(L, sub(L, edge[2], bin), fall), y);
	lo_out(L, 0, lo_cast(L, y, t));
}
