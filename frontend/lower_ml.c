/* lower_ml.c: ai.onnx.ml: features, labels, linear models. */
#include <math.h>

#include "frontend/lower_ml.h"

WqValue *ml_float(Lower *L, WqValue *x) { return lo_type_of(x) == WQ_F64 ? x : lo_cast(L, x, WQ_F32); }

WqValue *ml_rows(Lower *L, WqValue *x)
{
	int rank = lo_rank(L, x);
	if (rank != 1 && rank != 2)
		lo_bad(L, "the input has rank %d instead of 1 or 2", rank);
	return rank == 1 ? lo_unsqueeze(L, x, 1, (int64_t[]){ 0 }) : x;
}

WqValue *ml_floats(Lower *L, const char *attr, WqDtype t, int *n)
{
	const float *f = lo_floats(L, attr, n);
	if (!*n)
		return NULL;
	WqTensor *c = wq_tensor_new(L->m, t, 1, (int64_t[]){ *n });
	for (int i = 0; i < *n; i++)
		wq_tensor_set_f(c, i, (double)f[i]);
	return wq_const(L->g, NULL, c);
}

WqValue *ml_strings(Lower *L, int n, const char *const *s)
{
	WqTensor *t = wq_tensor_new(L->m, WQ_STR, 1, (int64_t[]){ n });
	for (int i = 0; i < n; i++)
		((WqString *)t->data)[i] = (WqString){ s[i], strlen(s[i]) };
	return wq_const(L->g, NULL, t);
}

static const int64_t last[] = { -1 }; /* as a shape: all in one axis */

static WqValue *over_last(Lower *L, WqOp op, WqValue *x)
{
	return lo_reduce(L, op, x, 1, (int64_t[]){ lo_rank(L, x) - 1 }, true);
}

/* ---- transforms of scores -------------------------------------------------------------------------------- */

int ml_transform_attr(Lower *L)
{
	static const char *const names[] = { "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT" };
	const char *name = lo_s(L, "post_transform", "NONE");
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		if (!strcmp(name, names[i]))
			return i;
	lo_bad(L, "post_transform is \"%s\"", name);
}

/* exp(x - max), where a score of 0 stays 0; in equal parts of a half if nothing else is there. */
static WqValue *softmax_zero(Lower *L, WqValue *x)
{
	WqValue *zero = lo_like(L, x, 0), *max = over_last(L, OP_ReduceMax, x);
	WqValue *e = lo1(L, OP_Exp, lo2(L, OP_Sub, x, max));
	WqValue *tiny = lo2(L, OP_LessOrEqual, lo1(L, OP_Abs, x), lo_like(L, x, 1e-7));
	WqValue *y = lo3(L, OP_Where, tiny, lo2(L, OP_Mul, x, lo1(L, OP_Exp, lo1(L, OP_Neg, max))), e);
	WqValue *sum = over_last(L, OP_ReduceSum, y);
	return lo3(L, OP_Where, lo2(L, OP_Equal, sum, zero), lo_like(L, x, 0.5), lo2(L, OP_Div, y, sum));
}

/* sqrt(2) * erfinv(2 x - 1), by the closed form that ONNX Runtime and ONNX's reference use: good to three digits. */
static WqValue *probit(Lower *L, WqValue *x)
{
	const double a = 0.147, pi = 3.14159265358979323846;
	WqValue *one = lo_like(L, x, 1);
	WqValue *v = lo2(L, OP_Sub, lo2(L, OP_Mul, x, lo_like(L, x, 2)), one);
	WqValue *u = lo2(L, OP_Mul, lo2(L, OP_Sub, one, v), lo2(L, OP_Add, one, v));
	WqValue *log = lo1(L, OP_Log, u);
	WqValue *b = lo2(L, OP_Add, lo2(L, OP_Mul, log, lo_like(L, x, 0.5)), lo_like(L, x, 2 / (pi * a)));
	WqValue *c = lo2(L, OP_Sub, lo2(L, OP_Mul, b, b), lo2(L, OP_Mul, log, lo_like(L, x, 1 / a)));
	WqValue *root = lo1(L, OP_Sqrt, lo2(L, OP_Sub, lo1(L, OP_Sqrt, c), b));
	WqValue *y = lo2(L, OP_Mul, lo2(L, OP_Mul, lo1(L, OP_Sign, v), root), lo_like(L, x, 1.41421356));
	return lo3(L, OP_Where, lo2(L, OP_Equal, u, lo_like(L, x, 0)), lo_like(L, x, 0), y);
}

WqValue *ml_transform(Lower *L, WqValue *x, int transform)
{
	switch (transform) {
	case ML_SOFTMAX: return lo_softmax(L, x, lo_rank(L, x) - 1, false);
	case ML_LOGISTIC: return lo1(L, OP_Sigmoid, x);
	case ML_SOFTMAX_ZERO: return softmax_zero(L, x);
	case ML_PROBIT: return probit(L, x);
	default: return x;
	}
}

/* ---- features ------------------------------------------------------------------------------------------- */

/* Columns of x; a vector gives one row. */
void lower_ArrayFeatureExtractor(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int rank = lo_rank(L, x);
	if (rank == 0)
		lo_bad(L, "the input is a scalar");
	WqNode *n = lo_node(L, OP_Gather, 2, x, lo_reshape_to(L, lo_need(L, 1), 1, last));
	wq_set_i(n, "axis", rank - 1);
	WqValue *y = lo_result(L, n);
	lo_out(L, 0, rank == 1 ? lo_unsqueeze(L, y, 1, (int64_t[]){ 0 }) : y);
}

void lower_Binarizer(Lower *L)
{
	WqValue *x = lo_need(L, 0), *v = ml_float(L, x);
	WqValue *above = lo2(L, OP_Less, lo_like(L, v, lo_f(L, "threshold", 0)), v);
	lo_out(L, 0, lo_cast(L, above, lo_type_of(x)));
}

/* One number for all features, or one for each. */
static WqValue *check_features(Lower *L, WqValue *x, WqValue *v, int n, const char *attr)
{
	WqDim features = lo_rank(L, x) ? lo_dim(L, x, -1) : 1;
	if (n > 1 && wq_dim_static(features) && features != n)
		lo_bad(L, "%d elements in %s for %lld features", n, attr, (long long)features);
	return v;
}

void lower_Scaler(Lower *L)
{
	WqValue *x = ml_float(L, lo_need(L, 0));
	int n_offset, n_scale;
	WqValue *offset = ml_floats(L, "offset", lo_type_of(x), &n_offset);
	WqValue *scale = ml_floats(L, "scale", lo_type_of(x), &n_scale);
	if (offset)
		x = lo2(L, OP_Sub, x, check_features(L, x, offset, n_offset, "offset"));
	if (scale)
		x = lo2(L, OP_Mul, x, check_features(L, x, scale, n_scale, "scale"));
	lo_out(L, 0, lo_cast(L, x, WQ_F32));
}

/* Each row by its largest element, or its norm; a row of zeros stays. */
void lower_Normalizer(Lower *L)
{
	WqValue *x = ml_float(L, lo_need(L, 0)), *by;
	const char *norm = lo_s(L, "norm", "MAX");
	if (lo_rank(L, x) < 1 || lo_rank(L, x) > 2)
		lo_bad(L, "the input has rank %d instead of 1 or 2", lo_rank(L, x));
	if (!strcmp(norm, "MAX"))
		by = over_last(L, OP_ReduceMax, x);
	else if (!strcmp(norm, "L1"))
		by = over_last(L, OP_ReduceSum, lo1(L, OP_Abs, x));
	else if (!strcmp(norm, "L2"))
		by = lo1(L, OP_Sqrt, over_last(L, OP_ReduceSum, lo2(L, OP_Mul, x, x)));
	else
		lo_bad(L, "norm is \"%s\": expected \"MAX\", \"L1\" or \"L2\"", norm);
	WqValue *none = lo2(L, OP_Equal, by, lo_like(L, x, 0));
	WqValue *y = lo2(L, OP_Div, x, lo3(L, OP_Where, none, lo_like(L, x, 1), by));
	lo_out(L, 0, lo_cast(L, y, WQ_F32));
}

void lower_Imputer(Lower *L)
{
	WqValue *x = lo_need(L, 0), *values, *missing;
	WqDtype t = lo_type_of(x);
	int n;
	if (wq_dtype_is_float(t)) {
		double replaced = lo_f(L, "replaced_value_float", 0);
		values = ml_floats(L, "imputed_value_floats", t, &n);
		missing = isnan(replaced) ? lo1(L, OP_IsNaN, x) : lo2(L, OP_Equal, x, lo_like(L, x, replaced));
	} else {
		const int64_t *v = lo_ints(L, "imputed_value_int64s", &n);
		values = n ? lo_cast(L, lo_i64s(L, n, v), t) : NULL;
		missing = lo2(L, OP_Equal, x, wq_const_int(L->g, t, lo_i(L, "replaced_value_int64", 0)));
	}
	if (!values)
		lo_bad(L, "no imputed values of the input's type");
	lo_out(L, 0, lo3(L, OP_Where, missing, check_features(L, x, values, n, "the imputed values"), x));
}

/* The first so many columns of each input, filled up with zeros. */
void lower_FeatureVectorizer(Lower *L)
{
	int n_sizes, n = lo_n_in(L);
	const int64_t *size = lo_ints(L, "inputdimensions", &n_sizes);
	WqValue **part = WQ_NEW_N(L->m->arena, WqValue *, n);
	if (n_sizes && n_sizes != n)
		lo_bad(L, "%d inputdimensions for %d inputs", n_sizes, n);
	for (int i = 0; i < n; i++) {
		WqValue *x = ml_rows(L, lo_cast(L, lo_need(L, i), WQ_F32));
		WqDim columns = lo_dim(L, x, 1), want = n_sizes ? size[i] : columns;
		if (n_sizes && want < 0)
			lo_bad(L, "inputdimensions has %lld", (long long)want);
		if (want != columns) {
			WqDim rows = lo_dim(L, x, 0), keep = wq_dim_min(L->m, columns, want);
			WqValue *fill = lo_expand(L, lo_scalar(L, WQ_F32, 0), 2,
				(WqDim[]){ rows, wq_dim_sub(L->m, want, keep) });
			x = lo_concat(L, 1, 2, (WqValue *[]){ lo_slice(L, x, 1, 0, keep, 1), fill });
		}
		part[i] = x;
	}
	lo_out(L, 0, lo_concat(L, 1, n, part));
}

/* ---- labels ------------------------------------------------------------------------------------------------- */

/* x and a new last axis: equal to each of keys [K]? NaN is equal to NaN. */
static WqValue *equals(Lower *L, WqValue *x, WqValue *keys)
{
	if (lo_type_of(x) != lo_type_of(keys))
		lo_bad(L, "the input and the keys have different types");
	x = lo_unsqueeze(L, x, 1, (int64_t[]){ lo_rank(L, x) });
	WqValue *same = lo2(L, OP_Equal, x, keys);
	if (!wq_dtype_is_float(lo_type_of(x)))
		return same;
	return lo2(L, OP_Or, same, lo2(L, OP_And, lo1(L, OP_IsNaN, x), lo1(L, OP_IsNaN, keys)));
}

/* The value of the last key that x is equal to, or `otherwise` (a scalar). */
static WqValue *look_up(Lower *L, WqValue *x, WqValue *keys, WqValue *values, WqValue *otherwise)
{
	int axis = lo_rank(L, x);
	WqValue *same = equals(L, x, keys);
	WqNode *n = lo_node(L, OP_ArgMax, 1, lo_cast(L, same, WQ_U8));
	wq_set_i(n, "axis", axis);
	wq_set_i(n, "keepdims", 0);
	wq_set_i(n, "select_last_index", 1);
	WqValue *y = lo2(L, OP_Gather, values, lo_result(L, n));
	return lo3(L, OP_Where, lo_reduce(L, OP_ReduceMax, same, 1, (int64_t[]){ axis }, false), y, otherwise);
}

/* One of WHAT_tensor, WHAT_strings, WHAT_int64s, WHAT_floats; NULL: none */
static WqValue *list_attr(Lower *L, const char *what)
{
	int n;
	char name[32];
	snprintf(name, sizeof name, "%s_tensor", what);
	WqValue *t = lo_tensor(L, name);
	if (t)
		return lo_reshape_to(L, t, 1, last);
	snprintf(name, sizeof name, "%s_strings", what);
	const char **s = lo_strings(L, name, &n);
	if (n)
		return ml_strings(L, n, s);
	snprintf(name, sizeof name, "%s_int64s", what);
	const int64_t *v = lo_ints(L, name, &n);
	if (n)
		return lo_i64s(L, n, v);
	snprintf(name, sizeof name, "%s_floats", what);
	return ml_floats(L, name, WQ_F32, &n);
}

static WqValue *default_of(Lower *L, WqDtype t)
{
	WqValue *v = lo_tensor(L, "default_tensor");
	if (v && lo_type_of(v) != t)
		lo_bad(L, "the values and their default have different types");
	if (v)
		return lo_scalar_of(L, v);
	if (t == WQ_STR) {
		const char *s = lo_s(L, "default_string", "_Unused");
		return lo_scalar_of(L, ml_strings(L, 1, &s));
	}
	if (wq_dtype_is_float(t))
		return lo_scalar(L, t, lo_f(L, "default_float", -0.0));
	return wq_const_int(L->g, t, lo_i(L, "default_int64", -1));
}

/* Between strings and integers, whichever the input has. */
static void map_strings(Lower *L, WqValue *strings, WqValue *ints)
{
	WqValue *x = lo_need(L, 0);
	bool text = lo_type_of(x) == WQ_STR;
	WqValue *otherwise = default_of(L, text ? WQ_I64 : WQ_STR);
	lo_out(L, 0, look_up(L, x, text ? strings : ints, text ? ints : strings, otherwise));
}

void lower_LabelEncoder(Lower *L)
{
	int n;
	if (L->version == 1) { /* strings by their place */
		const char **s = lo_strings(L, "classes_strings", &n);
		if (!n)
			lo_bad(L, "no classes_strings");
		map_strings(L, ml_strings(L, n, s), lo_range(L, n));
		return;
	}
	WqValue *keys = list_attr(L, "keys"), *values = list_attr(L, "values");
	if (!keys || !values || lo_dim(L, keys, 0) != lo_dim(L, values, 0) || lo_dim(L, keys, 0) == 0)
		lo_bad(L, "keys and values are not of one length, or missing");
	lo_out(L, 0, look_up(L, lo_need(L, 0), keys, values, default_of(L, lo_type_of(values))));
}

void lower_CategoryMapper(Lower *L)
{
	int n, n_strings;
	const int64_t *v = lo_ints(L, "cats_int64s", &n);
	const char **s = lo_strings(L, "cats_strings", &n_strings);
	if (!n || n != n_strings)
		lo_bad(L, "cats_strings and cats_int64s are not of one length, or missing");
	map_strings(L, ml_strings(L, n, s), lo_i64s(L, n, v));
}

void lower_OneHotEncoder(Lower *L)
{
	WqValue *x = lo_need(L, 0), *cats;
	int n;
	if (!lo_i(L, "zeros", 1))
		lo_unsupported(L, "OneHotEncoder that fails on a category it does not know (zeros = 0)");
	if (lo_type_of(x) == WQ_STR) {
		const char **s = lo_strings(L, "cats_strings", &n);
		cats = ml_strings(L, n, s);
	} else {
		const int64_t *v = lo_ints(L, "cats_int64s", &n);
		cats = lo_i64s(L, n, v);
		x = lo_cast(L, x, WQ_I64);
	}
	if (!n)
		lo_bad(L, "no categories of the input's type");
	lo_out(L, 0, lo_cast(L, equals(L, x, cats), WQ_F32));
}

/* ---- linear models ------------------------------------------------------------------------------------------ */

/* x [N,C] * coefficients + intercepts; attribute coefficients is [K,C]. */
static WqValue *linear(Lower *L, WqValue *x, int64_t k)
{
	int n, n_intercepts;
	const float *f = lo_floats(L, "coefficients", &n);
	WqDtype t = lo_type_of(x);
	WqValue *intercepts = ml_floats(L, "intercepts", t, &n_intercepts);
	if (k < 1 || n < k || n % k)
		lo_bad(L, "%d coefficients for %lld targets", n, (long long)k);
	int64_t c = n / k;
	WqTensor *w = wq_tensor_new(L->m, t, 2, (int64_t[]){ c, k });
	for (int64_t i = 0; i < n; i++)
		wq_tensor_set_f(w, i % c * k + i / c, (double)f[i]);
	WqValue *y = lo2(L, OP_MatMul, x, wq_const(L->g, NULL, w));
	if (intercepts && n_intercepts != k && n_intercepts != 1)
		lo_bad(L, "%d intercepts for %lld targets", n_intercepts, (long long)k);
	return intercepts ? lo2(L, OP_Add, y, intercepts) : y;
}

void lower_LinearRegressor(Lower *L)
{
	WqValue *y = linear(L, ml_rows(L, ml_float(L, lo_need(L, 0))), lo_i(L, "targets", 1));
	lo_out(L, 0, lo_cast(L, ml_transform(L, y, ml_transform_attr(L)), WQ_F32));
}
