#include "tests/onnx_text.h"

#include <ctype.h>
#include <stdlib.h>

typedef struct Text {
	WqArena *a;
	const char *start, *s;
} Text;

WQ_NORETURN static void bad(Text *t, const char *what)
{
	fprintf(stderr, "onnx_text: expected %s at: %.60s\n", what, t->s);
	exit(2);
}

/* Appends to a protobuf-c repeated field of pointers or numbers. */
#define APPEND(t, n, v, item) \
	do { \
		void *grown_ = wq_alloc_n((t)->a, (n) + 1, sizeof *(v)); \
		if (n) \
			memcpy(grown_, (v), (n) * sizeof *(v)); \
		(v) = grown_; \
		(v)[(n)++] = (item); \
	} while (0)
#define NEW_MSG(t, T, init) (T *)memcpy(WQ_NEW((t)->a, T), &(T)init, sizeof(T))

/* ---- words --------------------------------------------------------------------------------------------- */

static void skip(Text *t)
{
	while (isspace((unsigned char)*t->s) || *t->s == '#')
		if (*t->s++ == '#')
			while (*t->s && *t->s != '\n')
				t->s++;
}

static bool peek(Text *t, const char *word)
{
	skip(t);
	return !strncmp(t->s, word, strlen(word));
}

static bool eat(Text *t, const char *word)
{
	if (!peek(t, word))
		return false;
	t->s += strlen(word);
	return true;
}

static void need(Text *t, const char *word)
{
	if (!eat(t, word))
		bad(t, word);
}

static char *string(Text *t)
{
	need(t, "\"");
	const char *end = strchr(t->s, '"');
	if (!end)
		bad(t, "a closing quote");
	char *s = wq_strndup(t->a, t->s, (size_t)(end - t->s));
	t->s = end + 1;
	return s;
}

static char *word(Text *t)
{
	skip(t);
	if (*t->s == '"')
		return string(t);
	size_t n = 0;
	while (isalnum((unsigned char)t->s[n]) || t->s[n] == '_' || t->s[n] == '.')
		n++;
	if (!n)
		bad(t, "a name");
	char *s = wq_strndup(t->a, t->s, n);
	t->s += n;
	return s;
}

static double number(Text *t, bool *whole)
{
	char *end;
	skip(t);
	double v = strtod(t->s, &end);
	if (end == t->s)
		bad(t, "a number");
	if (whole)
		*whole = true;
	for (const char *p = t->s; p < end; p++)
		if (whole && (*p == '.' || *p == 'e' || *p == 'n'))
			*whole = false;
	t->s = end;
	return v;
}

/* ---- types and tensors --------------------------------------------------------------------------------- */

static int32_t elem_type(const char *s)
{
	static const struct {
		const char *name;
		int32_t t;
	} names[] = { { "float", WQ_F32 },   { "double", WQ_F64 },    { "int64", WQ_I64 }, { "int32", WQ_I32 },
		      { "bool", WQ_BOOL },   { "string", WQ_STR },    { "uint8", WQ_U8 },  { "int8", WQ_I8 },
		      { "float16", WQ_F16 }, { "bfloat16", WQ_BF16 }, { "int16", WQ_I16 }, { "uint16", WQ_U16 },
		      { "uint32", WQ_U32 },  { "uint64", WQ_U64 } };
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		if (!strcmp(s, names[i].name))
			return names[i].t;
	return 0;
}

static Onnx__TypeProto *type(Text *t);

static Onnx__TensorShapeProto *shape(Text *t)
{
	Onnx__TensorShapeProto *sh = NEW_MSG(t, Onnx__TensorShapeProto, ONNX__TENSOR_SHAPE_PROTO__INIT);
	if (!eat(t, "["))
		return sh;
	if (eat(t, "]"))
		return NULL;
	do {
		Onnx__TensorShapeProto__Dimension *d =
			NEW_MSG(t, Onnx__TensorShapeProto__Dimension, ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT);
		skip(t);
		if (isdigit((unsigned char)*t->s) || *t->s == '-') {
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			d->dim_value = (int64_t)number(t, NULL);
		} else if (!eat(t, "?")) {
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			d->dim_param = word(t);
		}
		APPEND(t, sh->n_dim, sh->dim, d);
	} while (eat(t, ","));
	need(t, "]");
	return sh;
}

static Onnx__TypeProto *type(Text *t)
{
	Onnx__TypeProto *p = NEW_MSG(t, Onnx__TypeProto, ONNX__TYPE_PROTO__INIT);
	if (eat(t, "seq(")) {
		p->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
		p->sequence_type = NEW_MSG(t, Onnx__TypeProto__Sequence, ONNX__TYPE_PROTO__SEQUENCE__INIT);
		p->sequence_type->elem_type = type(t);
		need(t, ")");
	} else if (eat(t, "optional(")) {
		p->value_case = ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
		p->optional_type = NEW_MSG(t, Onnx__TypeProto__Optional, ONNX__TYPE_PROTO__OPTIONAL__INIT);
		p->optional_type->elem_type = type(t);
		need(t, ")");
	} else {
		p->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
		p->tensor_type = NEW_MSG(t, Onnx__TypeProto__Tensor, ONNX__TYPE_PROTO__TENSOR__INIT);
		p->tensor_type->has_elem_type = true;
		p->tensor_type->elem_type = elem_type(word(t));
		if (!p->tensor_type->elem_type)
			bad(t, "an element type before");
		p->tensor_type->shape = shape(t);
	}
	return p;
}

/* {1, 2}: after the type. */
static Onnx__TensorProto *tensor(Text *t, const Onnx__TypeProto *p, char *name)
{
	Onnx__TensorProto *r = NEW_MSG(t, Onnx__TensorProto, ONNX__TENSOR_PROTO__INIT);
	r->name = name;
	r->has_data_type = true;
	r->data_type = p->tensor_type->elem_type;
	for (size_t i = 0; p->tensor_type->shape && i < p->tensor_type->shape->n_dim; i++)
		APPEND(t, r->n_dims, r->dims, p->tensor_type->shape->dim[i]->dim_value);
	need(t, "{");
	while (!eat(t, "}")) {
		if (r->data_type == WQ_STR) {
			char *s = string(t);
			APPEND(t, r->n_string_data, r->string_data, ((ProtobufCBinaryData){ strlen(s), (uint8_t *)s }));
		} else {
			double v = number(t, NULL);
			if (r->data_type == WQ_F32)
				APPEND(t, r->n_float_data, r->float_data, (float)v);
			else if (r->data_type == WQ_F64)
				APPEND(t, r->n_double_data, r->double_data, v);
			else if (r->data_type == WQ_I64)
				APPEND(t, r->n_int64_data, r->int64_data, (int64_t)v);
			else
				APPEND(t, r->n_int32_data, r->int32_data, (int32_t)v);
		}
		eat(t, ",");
	}
	return r;
}

static Onnx__SparseTensorProto *sparse_tensor(Text *t, const Onnx__TypeProto *p, char *name)
{
	Onnx__SparseTensorProto *r = NEW_MSG(t, Onnx__SparseTensorProto, ONNX__SPARSE_TENSOR_PROTO__INIT);
	r->values = tensor(t, p, name);
	r->n_dims = r->values->n_dims;
	r->dims = r->values->dims;
	r->values->n_dims = 0;
	r->values->dims = NULL;
	APPEND(t, r->values->n_dims, r->values->dims,
	       (int64_t)(r->values->n_float_data + r->values->n_int64_data + r->values->n_int32_data));
	need(t, "at");
	r->indices = tensor(t, type(t), NULL);
	return r;
}

/* ---- graphs ------------------------------------------------------------------------------------------------ */

static Onnx__GraphProto *graph(Text *t);

static void attr_list(Text *t, Onnx__AttributeProto *a)
{
	bool floats = false;
	need(t, "[");
	while (!eat(t, "]")) {
		if (peek(t, "\"")) {
			char *s = string(t);
			APPEND(t, a->n_strings, a->strings, ((ProtobufCBinaryData){ strlen(s), (uint8_t *)s }));
			a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS;
		} else {
			bool whole;
			double v = number(t, &whole);
			floats |= !whole;
			APPEND(t, a->n_floats, a->floats, (float)v);
			APPEND(t, a->n_ints, a->ints, (int64_t)v);
		}
		eat(t, ",");
	}
	if (a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS)
		return;
	*(floats ? &a->n_ints : &a->n_floats) = 0;
	a->type = floats ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
}

static int32_t attr_type(const char *s)
{
	static const char *const names[] = { "undefined",      "float",     "int",    "string",
					     "tensor",         "graph",     "floats", "ints",
					     "strings",        "tensors",   "graphs", "sparse_tensor",
					     "sparse_tensors", "type_proto" };
	for (int i = 1; i < WQ_COUNTOF(names); i++)
		if (!strcmp(s, names[i]))
			return i;
	return 0;
}

static bool at_number(const Text *t)
{
	return isdigit((unsigned char)*t->s) || *t->s == '-' || !strncmp(t->s, "inf", 3);
}

static void attr_value(Text *t, Onnx__AttributeProto *a)
{
	skip(t);
	if (*t->s == '@') {
		t->s++;
		a->ref_attr_name = word(t);
	} else if (a->has_type && a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO) {
		a->tp = type(t);
	} else if (*t->s == '"') {
		char *s = string(t);
		a->has_s = true;
		a->s = (ProtobufCBinaryData){ strlen(s), (uint8_t *)s };
		a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
	} else if (*t->s == '[') {
		attr_list(t, a);
	} else if (at_number(t)) {
		bool whole, is_float = a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
		double v = number(t, &whole);
		is_float |= !whole;
		a->has_f = is_float;
		a->has_i = !is_float;
		a->f = (float)v;
		a->i = (int64_t)v;
		a->type = is_float ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
				   : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
	} else {
		const char *here = t->s;
		bool is_tensor = elem_type(word(t));
		t->s = here;
		a->type = is_tensor ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR
				    : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
		if (is_tensor)
			a->t = tensor(t, type(t), NULL);
		else
			a->g = graph(t);
	}
	a->has_type = true;
}

/* <name = value, name: type = value>; without "= value" only the name goes to names (of a function's attributes). */
static void attributes(Text *t, size_t *n, Onnx__AttributeProto ***v, size_t *n_names, char ***names)
{
	if (!eat(t, "<"))
		return;
	while (!eat(t, ">")) {
		Onnx__AttributeProto *a = NEW_MSG(t, Onnx__AttributeProto, ONNX__ATTRIBUTE_PROTO__INIT);
		a->name = word(t);
		if (eat(t, ":")) {
			a->has_type = true;
			a->type = (Onnx__AttributeProto__AttributeType)attr_type(word(t));
		}
		if (eat(t, "=")) {
			attr_value(t, a);
			APPEND(t, *n, *v, a);
		} else if (names) {
			APPEND(t, *n_names, *names, a->name);
		} else {
			bad(t, "= and a value");
		}
		eat(t, ",");
	}
}

static void names_until(Text *t, const char *end, size_t *n, char ***v)
{
	while (!eat(t, end)) {
		APPEND(t, *n, *v, word(t));
		eat(t, ",");
	}
}

static void nodes(Text *t, size_t *n, Onnx__NodeProto ***v)
{
	need(t, "{");
	while (!eat(t, "}")) {
		Onnx__NodeProto *p = NEW_MSG(t, Onnx__NodeProto, ONNX__NODE_PROTO__INIT);
		if (eat(t, "[")) {
			p->name = word(t);
			need(t, "]");
		}
		names_until(t, "=", &p->n_output, &p->output);
		p->op_type = word(t);
		char *dot = strrchr(p->op_type, '.');
		if (dot) {
			p->domain = p->op_type;
			p->op_type = dot + 1;
			*dot = 0;
		}
		if (eat(t, ":"))
			p->overload = word(t);
		attributes(t, &p->n_attribute, &p->attribute, NULL, NULL);
		need(t, "(");
		names_until(t, ")", &p->n_input, &p->input);
		attributes(t, &p->n_attribute, &p->attribute, NULL, NULL);
		APPEND(t, *n, *v, p);
	}
}

static void values(Text *t, size_t *n, Onnx__ValueInfoProto ***v)
{
	need(t, "(");
	while (!eat(t, ")")) {
		Onnx__ValueInfoProto *p = NEW_MSG(t, Onnx__ValueInfoProto, ONNX__VALUE_INFO_PROTO__INIT);
		const char *here = t->s;
		const char *w = word(t);
		bool typed = elem_type(w) || !strcmp(w, "seq") || !strcmp(w, "optional");
		t->s = here;
		p->type = typed ? type(t) : NULL;
		p->name = word(t);
		APPEND(t, *n, *v, p);
		eat(t, ",");
	}
}

static Onnx__GraphProto *graph(Text *t)
{
	Onnx__GraphProto *g = NEW_MSG(t, Onnx__GraphProto, ONNX__GRAPH_PROTO__INIT);
	g->name = word(t);
	values(t, &g->n_input, &g->input);
	need(t, "=>");
	values(t, &g->n_output, &g->output);
	if (eat(t, "<"))
		while (!eat(t, ">")) {
			bool sparse = eat(t, "sparse");
			Onnx__TypeProto *p = type(t);
			char *name = word(t);
			need(t, "=");
			if (sparse) {
				APPEND(t, g->n_sparse_initializer, g->sparse_initializer, sparse_tensor(t, p, name));
				eat(t, ",");
				continue;
			}
			APPEND(t, g->n_initializer, g->initializer, tensor(t, p, name));
			eat(t, ",");
		}
	nodes(t, &g->n_node, &g->node);
	return g;
}

/* ---- models -------------------------------------------------------------------------------------------------- */

static void opsets(Text *t, size_t *n, Onnx__OperatorSetIdProto ***v)
{
	need(t, "[");
	while (!eat(t, "]")) {
		Onnx__OperatorSetIdProto *o = NEW_MSG(t, Onnx__OperatorSetIdProto, ONNX__OPERATOR_SET_ID_PROTO__INIT);
		o->domain = string(t);
		need(t, ":");
		o->has_version = true;
		o->version = (int64_t)number(t, NULL);
		APPEND(t, *n, *v, o);
		eat(t, ",");
	}
}

static Onnx__FunctionProto *function(Text *t)
{
	Onnx__FunctionProto *f = NEW_MSG(t, Onnx__FunctionProto, ONNX__FUNCTION_PROTO__INIT);
	need(t, "<");
	while (!eat(t, ">")) {
		if (eat(t, "domain:"))
			f->domain = string(t);
		else if (eat(t, "opset_import:"))
			opsets(t, &f->n_opset_import, &f->opset_import);
		else
			bad(t, "domain or opset_import");
		eat(t, ",");
	}
	f->name = word(t);
	if (eat(t, ":"))
		f->overload = word(t);
	attributes(t, &f->n_attribute_proto, &f->attribute_proto, &f->n_attribute, &f->attribute);
	need(t, "(");
	names_until(t, ")", &f->n_input, &f->input);
	need(t, "=>");
	need(t, "(");
	names_until(t, ")", &f->n_output, &f->output);
	nodes(t, &f->n_node, &f->node);
	return f;
}

WqMapped onnx_text(WqArena *a, const char *text)
{
	Text t = { a, text, text };
	Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
	m.has_ir_version = true;
	m.ir_version = 10;
	need(&t, "<");
	while (!eat(&t, ">")) {
		if (eat(&t, "opset_import:"))
			opsets(&t, &m.n_opset_import, &m.opset_import);
		else if (eat(&t, "ir_version:"))
			m.ir_version = (int64_t)number(&t, NULL);
		else
			bad(&t, "opset_import or ir_version");
		eat(&t, ",");
	}
	m.graph = graph(&t);
	while (peek(&t, "<"))
		APPEND(&t, m.n_functions, m.functions, function(&t));
	skip(&t);
	if (*t.s)
		bad(&t, "the end");
	size_t n = onnx__model_proto__get_packed_size(&m);
	uint8_t *p = wq_alloc(a, n + 1);
	onnx__model_proto__pack(&m, p);
	return (WqMapped){ p, n };
}
