/* lower_basic.c: constants, types, and what only asks for a shape. */
#include "frontend/importer.h"

void lower_Identity(Lower *L) { lo_out(L, 0, lo_need(L, 0)); }

/* ---- constants ---------------------------------------------------------------------------------------- */

static WqValue *strings_const(Lower *L, int rank, size_t n, const ProtobufCBinaryData *s)
{
	WqTensor *t = wq_tensor_new(L->m, WQ_STR, rank, (int64_t[]){ (int64_t)n });
	WqString *to = t->data;
	for (size_t i = 0; i < n; i++) {
		to[i].p = wq_strndup(L->m->arena, s[i].data ? (const char *)s[i].data : "", s[i].len);
		to[i].n = s[i].len;
	}
	return wq_const(L->g, NULL, t);
}

static WqValue *floats_const(Lower *L)
{
	int n;
	const float *f = lo_floats(L, "value_floats", &n);
	WqTensor *t = wq_tensor_new(L->m, WQ_F32, 1, (int64_t[]){ n });
	if (n)
		memcpy(t->data, f, (size_t)n * sizeof *f);
	return wq_const(L->g, NULL, t);
}

void lower_Constant(Lower *L)
{
	static const char *const forms[] = { "value", "sparse_value", "value_float", "value_floats", "value_int",
		"value_ints", "value_string", "value_strings" };
	const Onnx__AttributeProto *a = NULL;
	int form = -1, n;
	for (int i = 0; i < WQ_COUNTOF(forms); i++) {
		const Onnx__AttributeProto *b = lo_attr(L, forms[i]);
		if (a && b)
			lo_bad(L, "both '%s' and '%s' are given", a->name, b->name);
		if (b) {
			a = b;
			form = i;
		}
	}
	const char *name = lo_wants(L, 0) ? L->node->output[0] : NULL;
	switch (form) {
	case 0:
		if (!a->t)
			lo_bad(L, "attribute 'value' is not a tensor");
		lo_out(L, 0, import_tensor(L->im, name, a->t));
		return;
	case 1:
		if (!a->sparse_tensor)
			lo_bad(L, "attribute 'sparse_value' is not a sparse tensor");
		lo_out(L, 0, import_sparse(L->im, name, a->sparse_tensor));
		return;
	case 2:
		lo_out(L, 0, lo_scalar(L, WQ_F32, lo_f(L, forms[2], 0)));
		return;
	case 3:
		lo_out(L, 0, floats_const(L));
		return;
	case 4:
		lo_out(L, 0, wq_const_int(L->g, WQ_I64, lo_i(L, forms[4], 0)));
		return;
	case 5: {
		const int64_t *v = lo_ints(L, forms[5], &n);
		lo_out(L, 0, lo_i64s(L, n, v));
		return;
	}
	case 6:
		lo_out(L, 0, strings_const(L, 0, 1, &a->s));
		return;
	case 7:
		lo_out(L, 0, strings_const(L, 1, a->n_strings, a->strings));
		return;
	default:
		lo_bad(L, "no value is given");
	}
}

void lower_ConstantOfShape(Lower *L)
{
	WqValue *v = lo_tensor(L, "value");
	if (v && (!wq_type_static(&v->type) || wq_tensor_count(v->data) != 1))
		lo_bad(L, "attribute 'value' needs one element");
	v = v ? lo_scalar_of(L, v) : lo_scalar(L, WQ_F32, 0);
	lo_out(L, 0, lo2(L, OP_Expand, v, lo_need(L, 0)));
}

/* ---- types ------------------------------------------------------------------------------------------------ */

static WqDtype dtype_of_name(Lower *L, const char *s)
{
	static const struct {
		const char *name;
		WqDtype t;
	} names[] = { { "FLOAT", WQ_F32 }, { "UINT8", WQ_U8 },    { "INT8", WQ_I8 },    { "UINT16", WQ_U16 },
		      { "INT16", WQ_I16 }, { "INT32", WQ_I32 },   { "INT64", WQ_I64 },  { "STRING", WQ_STR },
		      { "BOOL", WQ_BOOL }, { "FLOAT16", WQ_F16 }, { "DOUBLE", WQ_F64 }, { "UINT32", WQ_U32 },
		      { "UINT64", WQ_U64 } };
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		if (!strcmp(s, names[i].name))
			return names[i].t;
	lo_bad(L, "attribute 'to' is '%.100s', which is no element type", s);
}

static WqValue *cast(Lower *L, WqValue *x, WqDtype to)
{
	if (x->type.kind != WQ_TENSOR)
		lo_bad(L, "'%.200s' is not a tensor", x->name);
	if (x->type.dtype == to)
		return x;
	WqNode *n = lo_node(L, OP_Cast, 1, x);
	wq_set_i(n, "to", to);
	wq_set_i(n, "saturate", lo_i(L, "saturate", 1));
	if (to == WQ_F8E8M0)
		wq_set_s(n, "round", lo_s(L, "round_mode", "up"));
	return lo_result(L, n);
}

void lower_Cast(Lower *L)
{
	const Onnx__AttributeProto *a = lo_attr(L, "to");
	if (!a)
		lo_bad(L, "attribute 'to' is missing");
	WqDtype to = L->version == 1 && a->has_s ? dtype_of_name(L, lo_s(L, "to", "")) : lo_dtype(L, "to", WQ_F32);
	lo_out(L, 0, cast(L, lo_need(L, 0), to));
}

void lower_CastLike(Lower *L) { lo_out(L, 0, cast(L, lo_need(L, 0), lo_need(L, 1)->type.dtype)); }

void lower_BitCast(Lower *L)
{
	if (!lo_has(L, "to"))
		lo_bad(L, "attribute 'to' is missing");
	WqNode *n = lo_node(L, OP_BitCast, 1, lo_need(L, 0));
	wq_set_i(n, "to", lo_dtype(L, "to", WQ_F32));
	lo_out(L, 0, lo_result(L, n));
}

/* ---- shapes as values --------------------------------------------------------------------------------------- */

static int64_t clamp_axis(int64_t a, int rank)
{
	a = a < 0 ? a + rank : a;
	return a < 0 ? 0 : a > rank ? rank : a;
}

void lower_Shape(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	int64_t start = lo_i(L, "start", 0), end = lo_i(L, "end", INT64_MAX);
	if (x->type.kind != WQ_TENSOR)
		lo_bad(L, "'%.200s' is not a tensor", x->name);
	if (x->type.rank < 0) {
		WqValue *s = lo1(L, OP_Shape, x);
		if (start != 0 || end != INT64_MAX)
			s = lo_result(L, lo_node(L, OP_Slice, 5, s, lo_i64(L, start), lo_i64(L, end), lo_i64(L, 0),
						 lo_i64(L, 1)));
		lo_out(L, 0, s);
		return;
	}
	start = clamp_axis(start, x->type.rank);
	end = clamp_axis(end, x->type.rank);
	lo_out(L, 0, wq_dims(L->g, end > start ? (int)(end - start) : 0, x->type.dim + start));
}

void lower_Size(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	if (x->type.kind != WQ_TENSOR)
		lo_bad(L, "'%.200s' is not a tensor", x->name);
	if (x->type.rank >= 0)
		lo_out(L, 0, lo_dim_scalar(L, wq_type_count(L->m, &x->type), WQ_I64));
	else
		lo_out(L, 0, lo_reduce(L, OP_ReduceProd, lo1(L, OP_Shape, x), 0, NULL, false));
}

void lower_Range(Lower *L)
{
	lo_out(L, 0, lo3(L, OP_Range, lo_scalar_of(L, lo_need(L, 0)), lo_scalar_of(L, lo_need(L, 1)),
		lo_scalar_of(L, lo_need(L, 2))));
}

/* i64 [n,1] and [1,n], to compare rows with columns. */
static WqValue *rows(Lower *L, WqDim n) { return lo_unsqueeze(L, lo_range(L, n), 1, (int64_t[]){ 1 }); }
static WqValue *columns(Lower *L, WqDim n) { return lo_unsqueeze(L, lo_range(L, n), 1, (int64_t[]){ 0 }); }

void lower_EyeLike(Lower *L)
{
	WqValue *x = lo_need(L, 0);
	if (lo_rank(L, x) != 2)
		lo_bad(L, "the operand has rank %d instead of 2", x->type.rank);
	WqValue *i = lo2(L, OP_Add, rows(L, x->type.dim[0]), wq_const_int(L->g, WQ_I64, lo_i(L, "k", 0)));
	WqValue *eq = lo2(L, OP_Equal, i, columns(L, x->type.dim[1]));
	lo_out(L, 0, lo_cast(L, eq, lo_dtype(L, "dtype", x->type.dtype)));
}

static void trilu(Lower *L, bool upper)
{
	WqValue *x = lo_need(L, 0), *k = lo_in(L, 1);
	int rank = lo_rank(L, x);
	if (rank < 2)
		lo_bad(L, "the operand has rank %d instead of 2 or more", rank);
	WqValue *i = rows(L, x->type.dim[rank - 2]), *j = columns(L, x->type.dim[rank - 1]);
	if (k)
		i = lo2(L, OP_Add, i, lo_scalar_of(L, lo_cast(L, k, WQ_I64)));
	WqValue *keep = upper ? lo2(L, OP_LessOrEqual, i, j) : lo2(L, OP_LessOrEqual, j, i);
	lo_out(L, 0, lo3(L, OP_Where, keep, x, lo_like(L, x, 0)));
}

void lower_Trilu(Lower *L) { trilu(L, lo_i(L, "upper", 1)); }
void lower_ms_Trilu(Lower *L) { trilu(L, lo_i(L, "upper", 1)); }
