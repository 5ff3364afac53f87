/* random_ops.h: random operands and attributes for any operator, most of them nonsense. tests/random_ops_test.c evaluates such calls,
 * tests/random_jit.c compiles them.
 */
#ifndef WQ_TEST_RANDOM_OPS_H
#define WQ_TEST_RANDOM_OPS_H

#include "ir/ir.h"

#include <math.h>

static uint64_t ops_state = 1;

static uint32_t ops_next(void)
{
	ops_state = ops_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(ops_state >> 33);
}
static int ops_below(int n) { return (int)(ops_next() % (uint32_t)n); }
static bool ops_one_in(int n) { return ops_below(n) == 0; }

static int64_t ops_number(void)
{
	static const int64_t odd[] = { INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 1ll << 40, -(1ll << 40), 255, 1000 };
	return ops_one_in(40) ? odd[ops_below(WQ_COUNTOF(odd))] : ops_below(9) - 3;
}

static double ops_real(void)
{
	static const double odd[] = { NAN, INFINITY, -INFINITY, 1e30, -1e30, -0.0, 1e-40 };
	return ops_one_in(20) ? odd[ops_below(WQ_COUNTOF(odd))] : ops_below(33) / 8.0 - 1.5;
}

/* ---- operands ---------------------------------------------------------------------------------- */

static WqDtype ops_dtype_of(uint32_t mask)
{
	for (;;) {
		WqDtype t = (WqDtype)(1 + ops_below(WQ_NUM_DTYPES - 1));
		if (mask >> t & 1)
			return t;
	}
}

static void ops_fill(WqModule *m, WqTensor *t)
{
	static const WqString words[] = { { "", 0 }, { "a", 1 }, { "1.5", 3 }, { "-7", 2 } };
	(void)m;
	for (int64_t i = 0, n = wq_tensor_count(t); i < n; i++)
		if (t->dtype == WQ_STR)
			((WqString *)t->data)[i] = words[ops_below(4)];
		else if (t->dtype == WQ_C64)
			((float *)t->data)[2 * i] = (float)ops_real();
		else if (t->dtype == WQ_C128)
			((double *)t->data)[2 * i] = ops_real();
		else if (t->dtype == WQ_BOOL)
			((uint8_t *)t->data)[i] = ops_one_in(2);
		else if (wq_dtype_is_float(t->dtype))
			wq_tensor_set_f(t, i, ops_real());
		else
			wq_tensor_set_i(t, i, ops_number());
}

/* What fits: an operand's dims as letters (a size each, the same everywhere) and digits; - a scalar, . absent. */
static const struct {
	const char *op, *shapes;
} ops_fits[] = {
	{ "Conv", "abcd ebff e" },
	{ "ConvTranspose", "abcd beff e" },
	{ "DeformConv", "1b22 eb11 1222 e 1122" },
	{ "MaxPool", "abcd" },
	{ "AveragePool", "abcd" },
	{ "MatMul", "abc acd" },
	{ "LayerNormalization", "abc c c" },
	{ "Attention", "abcd abed abef" },
	{ "Slice", "abc 2 2 2 2" },
	{ "ScatterElements", "ab cd cd" },
	{ "ScatterND", "abc d1 dbc" },
	{ "Resize", "abcd . 4 ." },
	{ "GridSample", "abcd aef2" },
	{ "RoiAlign", "abcd e4 e" },
	{ "MaxRoiPool", "abcd e5" },
	{ "NonMaxSuppression", "ab4 acb - - -" },
	{ "TopK", "abc 1" },
	{ "QuantizeLinear", "abc b b" },
	{ "DequantizeLinear", "abc b b" },
	{ "Pad", "ab 4" },
	{ "GatherND", "abc d2" },
	{ "Expand", "abc 3" },
	{ "Reshape", "abc 2" },
	{ "Det", "abb" },
};

static const char *ops_fitting(const char *op)
{
	for (int i = 0; i < WQ_COUNTOF(ops_fits); i++)
		if (!strcmp(ops_fits[i].op, op) && !ops_one_in(4))
			return ops_fits[i].shapes;
	return NULL;
}

/* Shapes of one call resemble each other, so that some calls fit. */
typedef struct Shapes {
	int rank;
	int64_t dim[6];
} Shapes;

/* A hook that may make something else of a constant than a constant. */
static WqValue *(*ops_leaf)(WqGraph *g, WqTensor *x);

static WqValue *ops_constant(WqGraph *g, WqDtype t, int rank, const int64_t *dim)
{
	WqTensor *x = wq_tensor_new(g->mod, t, rank, dim);
	ops_fill(g->mod, x);
	return ops_leaf ? ops_leaf(g, x) : wq_const(g, NULL, x);
}

/* The next operand of a template. */
static WqValue *ops_template_operand(WqGraph *g, const Shapes *s, WqDtype t, const char **p)
{
	int64_t dim[6];
	int rank = 0;
	bool absent = **p == '.';
	for (; **p && **p != ' '; (*p)++)
		if (**p >= '0' && **p <= '9')
			dim[rank++] = **p - '0';
		else if (**p >= 'a')
			dim[rank++] = s->dim[**p - 'a'];
	*p += **p == ' ';
	return absent ? NULL : ops_constant(g, t, rank, dim);
}

static WqValue *ops_operand(WqGraph *g, const Shapes *s, WqDtype t, bool vector)
{
	int64_t dim[6];
	int rank = vector ? ops_below(8) != 0 : ops_one_in(4) ? ops_below(6) : s->rank;
	for (int i = 0; i < rank; i++)
		dim[i] = vector ? (ops_one_in(2) ? s->rank : ops_below(6)) : ops_one_in(4) ? ops_below(4) : s->dim[i];
	return ops_constant(g, t, rank, dim);
}

static int ops_operands(WqGraph *g, const WqOpInfo *op, WqValue **in)
{
	Shapes s = { .rank = ops_below(5) };
	int n = 0;
	WqDtype T = ops_dtype_of(op->mask), U = ops_dtype_of(ops_one_in(2) ? WQ_M_NUM : WQ_M_ANY);
	for (int i = 0; i < 6; i++)
		s.dim[i] = ops_one_in(12) ? 0 : 1 + ops_below(5);
	const char *shapes = ops_fitting(op->name);
	for (const char *p = op->sig; *p != '>'; p++) {
		if (strchr("?+@", *p))
			continue;
		if (shapes && !*shapes)
			break;
		int times = p[1] == '+' || p[1] == '@' ? 1 + ops_below(3) : 1;
		if (!shapes && p[1] == '?' && ops_one_in(2)) {
			in[n++] = NULL;
			continue;
		}
		WqDtype t = *p == 'T'   ? T
			    : *p == 'U' ? U
			    : *p == 'N' ? (ops_one_in(2) ? WQ_I32 : WQ_I64)
			    : *p == 'I' ? WQ_I64
			    : *p == 'B' ? WQ_BOOL
			    : *p == 'F' ? WQ_F32
					: ops_dtype_of(ops_one_in(3) ? WQ_M_ANY : WQ_M_NUM);
		if (shapes) {
			in[n++] = ops_template_operand(g, &s, t, &shapes);
			continue;
		}
		while (times--)
			in[n++] = ops_operand(g, &s, t, *p == 'I' || *p == 'N' ? !ops_one_in(3) : *p == 'F' && ops_one_in(2));
	}
	return n;
}

/* ---- attributes -------------------------------------------------------------------------------- */

static const char *ops_word(void)
{
	static const char *const words[] = { "avg",
					     "nearest",
					     "linear",
					     "half_pixel",
					     "zeros",
					     "stretch",
					     "NOTSET",
					     "constant",
					     "reflect",
					     "edge",
					     "wrap",
					     "none",
					     "add",
					     "mul",
					     "min",
					     "max",
					     "nearest",
					     "linear",
					     "cubic",
					     "half_pixel",
					     "align_corners",
					     "asymmetric",
					     "tf_crop_and_resize",
					     "pytorch_half_pixel",
					     "half_pixel_symmetric",
					     "floor",
					     "ceil",
					     "round_prefer_ceil",
					     "zeros",
					     "border",
					     "reflection",
					     "avg",
					     "tanh",
					     "SAME_UPPER",
					     "SAME_LOWER",
					     "VALID",
					     "NOTSET",
					     "stretch",
					     "not_larger",
					     "not_smaller",
					     "up",
					     "down",
					     "" };
	return words[ops_below(WQ_COUNTOF(words))];
}

static void ops_set_attr(WqNode *n, const char *name, char kind)
{
	int64_t v[8];
	int count = ops_one_in(3) ? ops_below(7) : 2;
	bool small = !ops_one_in(3);
	switch (kind) {
	case 'i':
		wq_set_i(n, name, ops_number());
		break;
	case 'f':
		wq_set_f(n, name, ops_real());
		break;
	case 's':
		wq_set_s(n, name, ops_word());
		break;
	case 't':
		wq_set_i(n, name, ops_dtype_of(ops_one_in(3) ? WQ_M_ANY : WQ_M_NUM));
		break;
	default:
		for (int i = 0; i < count; i++)
			v[i] = kind == 'd' ? ops_below(4) : small ? 1 + ops_below(2) : ops_number();
		wq_set_ints(n, name, count, v);
	}
}

/* attrs: "name:kind=default name:kind!" */
static void ops_attributes(WqNode *n, const char *attrs)
{
	for (const char *p = attrs; *p;) {
		char name[64];
		size_t len = strcspn(p, ":");
		memcpy(name, p, len);
		name[len] = 0;
		char kind = p[len + 1] == 'i' && p[len + 2] == 's' ? 'v' : p[len + 1];
		size_t rest = strcspn(p, " ");
		if (kind != 'y' && (p[rest - 1] == '!' || !ops_one_in(3)))
			ops_set_attr(n, name, kind);
		p += rest;
		p += strspn(p, " ");
	}
}

#endif
