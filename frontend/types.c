/* types.c: ONNX types and their symbolic dimensions. */
#include "frontend/importer.h"

#include <ctype.h>

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

static DimName *dim_name(Importer *im, const char *name)
{
	return wq_map_get(im->dim_names, name);
}

static DimName *dim_symbol(Importer *im, const char *param)
{
	DimName *d = dim_name(im, param);
	if (d)
		return d;
	d = WQ_NEW(im->tmp, DimName);
	d->dim = wq_dim_sym(im->m, param);
	wq_map_put(im->dim_names, param, d);
	return d;
}

static WqDim dim_of_name(Importer *im, const char *param)
{
	DimName *d = dim_symbol(im, param);
	d->used = true;
	return d->fixed ? d->value : d->dim;
}

/* The expression with names that --dim fixes replaced by their numbers. NULL if running could not tell what a name is,
 * as no graph input has it alone. */
static const char *bind_names(Importer *im, const char *s)
{
	WqStr b = { .a = im->tmp };
	wq_str_write(&b, "", 0);
	while (*s) {
		size_t n = 0;
		while (is_name_char(s[n]))
			n++;
		const char *word = wq_strndup(im->tmp, s, n);
		DimName *d = n ? dim_name(im, word) : NULL;
		bool symbol = n && !isdigit((unsigned char)*s) && s[n] != '(';
		if (d)
			d->used = true;
		if (d && d->fixed)
			wq_str_printf(&b, "%lld", (long long)d->value);
		else if (symbol && !wq_map_get(im->bare_dims, word))
			return NULL;
		else
			wq_str_write(&b, s, n ? n : 1);
		s += n ? n : 1;
	}
	return b.s;
}

/* "past + 1": exporters write simple expressions. Anything else is taken as a name. */
static bool dim_of_expression(Importer *im, const char *s, WqDim *out)
{
	if (!strpbrk(s, "+-*/%(") || strlen(s) > 200 || s[strspn(s, "+-*/%(), _")] == 0)
		return false;
	for (const char *p = s; *p; p++)
		if (!is_name_char(*p) && !strchr("+-*/%(), ", *p))
			return false;
	const char *text = bind_names(im, s);
	if (!text)
		return false;
	WqTry t;
	if (!WQ_TRY(&t)) {
		if (t.err.code != WQ_EINPUT)
			wq_fail(t.err.code, "%s", t.err.text);
		return false;
	}
	const char *end;
	*out = wq_dim_parse(im->m, text, &end);
	wq_try_end(&t);
	int64_t v;
	return !*end && !(wq_dim_get_const(im->m, *out, &v) && v < 0);
}

static WqDim import_dim(Importer *im, const char *what, const Onnx__TensorShapeProto__Dimension *d)
{
	if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0) {
		if (d->dim_value >
		    (int64_t)1 << 48) /* more than any machine holds; leaves room for sums and small products */
			wq_fail(WQ_EINPUT, "'%.200s' has a dimension of %lld", what, (long long)d->dim_value);
		return d->dim_value;
	}
	if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM || !d->dim_param || !*d->dim_param)
		return wq_dim_fresh(im->m, "u", 0, WQ_DIM_INF);
	WqDim out;
	if (!dim_name(im, d->dim_param) && dim_of_expression(im, d->dim_param, &out))
		return out;
	return dim_of_name(im, d->dim_param);
}

static WqType import_tensor_type(Importer *im, const char *what, int32_t elem, const Onnx__TensorShapeProto *shape)
{
	WqDim dim[WQ_MAX_RANK];
	if (!wq_dtype_valid(elem))
		wq_fail(WQ_EINPUT, "'%.200s': %d is no element type", what, elem);
	if (!shape)
		return wq_type_tensor((WqDtype)elem, -1, NULL);
	if (shape->n_dim > WQ_MAX_RANK)
		wq_fail(WQ_EUNSUPPORTED, "'%.200s' has rank %zu (at most %d)", what, shape->n_dim, WQ_MAX_RANK);
	for (size_t i = 0; i < shape->n_dim; i++)
		dim[i] = import_dim(im, what, shape->dim[i]);
	return wq_type_tensor((WqDtype)elem, (int)shape->n_dim, dim);
}

static bool import_type_at(Importer *im, const Onnx__TypeProto *t, const char *what, WqType *out, int depth)
{
	if (depth > WQ_MAX_DEPTH)
		wq_fail(WQ_EINPUT, "the type of '%.200s' is nested deeper than %d", what, WQ_MAX_DEPTH);
	if (!t)
		return false;
	WqType elem;
	switch (t->value_case) {
	case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
		if (!t->tensor_type || !t->tensor_type->elem_type)
			return false;
		*out = import_tensor_type(im, what, t->tensor_type->elem_type, t->tensor_type->shape);
		return true;
	case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
	case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: {
		bool seq = t->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
		const Onnx__TypeProto *e = seq ? t->sequence_type->elem_type : t->optional_type->elem_type;
		if (!import_type_at(im, e, what, &elem, depth + 1))
			return false;
		*out = wq_type_wrap(im->m, seq ? WQ_SEQUENCE : WQ_OPTIONAL, &elem);
		return true;
	}
	case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
		wq_fail(WQ_EUNSUPPORTED, "'%.200s' is a sparse tensor", what);
	case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
		wq_fail(WQ_EUNSUPPORTED, "'%.200s' is a map", what);
	default:
		return false;
	}
}

bool import_type(Importer *im, const Onnx__TypeProto *t, const char *what, WqType *out)
{
	return import_type_at(im, t, what ? what : "", out, 0);
}

/* ---- --dim and actual shapes ------------------------------------------------------------------------ */

void import_dim_options(Importer *im)
{
	for (int i = 0; i < im->opt->n_dims; i++) {
		const ImportDim *o = &im->opt->dims[i];
		if (o->value < 0)
			wq_fail(WQ_EINPUT, "--dim %s: a dimension cannot be negative", o->name);
		DimName *d = dim_symbol(im, o->name);
		if (o->bound_only) {
			wq_dim_bound(im->m, d->dim, 0, o->value);
		} else {
			d->fixed = true;
			d->value = o->value;
		}
	}
}

void import_check_dim_options(Importer *im)
{
	for (int i = 0; i < im->opt->n_dims; i++) {
		const char *name = im->opt->dims[i].name;
		if (dim_name(im, name)->used)
			continue;
		WqStr b = { .a = im->tmp };
		wq_str_write(&b, "", 0);
		for (int k = 0; k < wq_map_len(im->dim_names); k++) {
			const char *known;
			DimName *d = wq_map_at(im->dim_names, k, &known);
			if (d->used && b.n < 2000)
				wq_str_printf(&b, "%s %s", b.n ? "," : "", known);
		}
		wq_fail(WQ_EINPUT, "--dim %s: no graph input has a dimension of that name (the model has:%s)", name,
			b.n ? b.s : " none");
	}
}

void import_bare_dims(Importer *im, const Onnx__TypeProto *t)
{
	if (!t || t->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !t->tensor_type->shape)
		return;
	const Onnx__TensorShapeProto *s = t->tensor_type->shape;
	for (size_t i = 0; i < s->n_dim; i++)
		if (s->dim[i]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
		    s->dim[i]->dim_param)
			wq_map_put(im->bare_dims, s->dim[i]->dim_param, im);
}

void import_dims_from(Importer *im, const Onnx__TypeProto *t, const WqType *actual)
{
	if (!t || t->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || actual->kind != WQ_TENSOR ||
	    !t->tensor_type->shape)
		return;
	const Onnx__TensorShapeProto *s = t->tensor_type->shape;
	if (actual->rank < 0 || s->n_dim != (size_t)actual->rank)
		return;
	for (size_t i = 0; i < s->n_dim; i++) {
		const char *param = s->dim[i]->dim_param;
		if (s->dim[i]->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM || !param || !*param)
			continue;
		WqDim ignored;
		if (!wq_dim_static(actual->dim[i]) || (!dim_name(im, param) && dim_of_expression(im, param, &ignored)))
			continue;
		DimName *d = dim_symbol(im, param);
		d->used = true;
		if (!d->fixed) {
			d->fixed = true;
			d->value = actual->dim[i];
		}
	}
}
