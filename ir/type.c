/* type.c: types of values. */
#include "ir/ir.h"

WqType wq_type_tensor(WqDtype dtype, int rank, const WqDim *dim)
{
	WqType t = { .kind = WQ_TENSOR, .dtype = dtype, .rank = rank };
	WQ_ASSERT(rank <= WQ_MAX_RANK);
	for (int i = 0; dim && i < rank; i++)
		t.dim[i] = dim[i];
	return t;
}

WqType wq_type_of_tensor(const WqTensor *t) { return wq_type_tensor(t->dtype, t->rank, t->dim); }

WqType wq_type_wrap(WqModule *m, int kind, const WqType *elem)
{
	WqType *e = WQ_NEW(m->arena, WqType);
	*e = *elem;
	return (WqType){ .kind = (uint8_t)kind, .elem = e };
}

bool wq_type_equal(const WqType *a, const WqType *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind != WQ_TENSOR)
		return a->elem && b->elem ? wq_type_equal(a->elem, b->elem) : a->elem == b->elem;
	if (a->dtype != b->dtype || a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

const char *wq_type_conflict(const WqType *have, const WqType *rule)
{
	if (rule->kind != have->kind)
		return "one is a tensor, the other is not";
	if (rule->kind != WQ_TENSOR)
		return have->elem && rule->elem ? wq_type_conflict(have->elem, rule->elem) : NULL;
	if (rule->dtype != have->dtype && rule->dtype != WQ_UNDEF && have->dtype != WQ_UNDEF)
		return "the element types differ";
	if (rule->rank < 0 || have->rank < 0)
		return NULL;
	if (rule->rank != have->rank)
		return "the ranks differ";
	for (int i = 0; i < have->rank; i++)
		if (have->dim[i] >= 0 && rule->dim[i] >= 0 && have->dim[i] != rule->dim[i])
			return "the shapes differ";
	return NULL;
}

bool wq_type_static(const WqType *t)
{
	if (t->kind != WQ_TENSOR || t->rank < 0)
		return false;
	for (int i = 0; i < t->rank; i++)
		if (!wq_dim_static(t->dim[i]))
			return false;
	return true;
}

WqDim wq_type_count(WqModule *m, const WqType *t)
{
	WqDim n = 1;
	for (int i = 0; i < t->rank; i++)
		n = wq_dim_mul(m, n, t->dim[i]);
	return t->rank < 0 ? WQ_DIM_UNKNOWN : n;
}

void wq_type_print(const WqModule *m, const WqType *t, WqStr *out)
{
	if (t->kind != WQ_TENSOR) {
		wq_str_printf(out, t->kind == WQ_SEQUENCE ? "seq(" : "opt(");
		if (t->elem)
			wq_type_print(m, t->elem, out);
		wq_str_printf(out, ")");
		return;
	}
	wq_str_printf(out, "%s[", wq_dtype_valid(t->dtype) ? wq_dtype(t->dtype)->text : "?");
	if (t->rank < 0)
		wq_str_printf(out, "*");
	for (int i = 0; i < t->rank; i++) {
		if (i)
			wq_str_printf(out, ",");
		wq_dim_print(m, t->dim[i], out);
	}
	wq_str_printf(out, "]");
}
