/* op.c: the operator table, and attributes by the operators' schemas. */
#include "ir/ir.h"

#include <stdlib.h>

struct WqInfer;
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) void infer(struct WqInfer *);
#include "ir/ops.def"
#undef OP

static const WqOpInfo table[WQ_NUM_OPS] = {
#define OP(name, sig, mask, flags, attrs, infer, eval, emit) [OP_##name] = { #name, sig, mask, flags, attrs, infer, -1, -1, -1, -1 },
#include "ir/ops.def"
#undef OP
};

/* Operand and result counts from one half of a signature. */
static void arity(const char *s, const char *end, int *min, int *max)
{
	*min = *max = 0;
	for (; s < end; s++) {
		if (*s == '?') {
			(*min)--;
		} else if (*s == '+') {
			*max = -1;
		} else if (*s == '@') {
			(*min)--;
			*max = -1;
		} else {
			(*min)++;
			*max = *max < 0 ? -1 : *max + 1;
		}
	}
}

static void fill(WqOpInfo *o)
{
	const char *gt = strchr(o->sig, '>');
	arity(o->sig, gt, &o->min_in, &o->max_in);
	arity(gt + 1, gt + strlen(gt), &o->min_out, &o->max_out);
}

const WqOpInfo *wq_op(WqOp op)
{
	static _Thread_local WqOpInfo filled[WQ_NUM_OPS]; /* arity is worked out once a thread */
	WQ_ASSERT(op > WQ_OP_NONE && op < WQ_NUM_OPS);
	WqOpInfo *o = &filled[op];
	if (!o->name) {
		*o = table[op];
		fill(o);
	}
	return o;
}

WqOp wq_op_find(const char *name)
{
	for (int i = 1; i < WQ_NUM_OPS; i++)
		if (!strcmp(table[i].name, name))
			return (WqOp)i;
	return WQ_OP_NONE;
}

/* ---- attributes --------------------------------------------------------------------------------- */

static const char kinds[] = { [WQ_A_INT] = 'i', [WQ_A_FLOAT] = 'f', [WQ_A_STR] = 's', [WQ_A_INTS] = 'I',
			      [WQ_A_DTYPE] = 't', [WQ_A_DIMS] = 'd', [WQ_A_TYPE] = 'y' };

bool wq_attr_schema(WqOp op, const char *name, WqAttr *def, bool *required)
{
	size_t len = strlen(name);
	for (const char *s = wq_op(op)->attrs; *s;) {
		const char *end = s + strcspn(s, " ");
		if ((size_t)(end - s) > len && !memcmp(s, name, len) && s[len] == ':') {
			const char *k = s + len + 1, *v = k + 1;
			*def = (WqAttr){ .name = name };
			*required = false;
			char kind = *k;
			if (k[0] == 'i' && k[1] == 's') {
				kind = 'I';
				v++;
			}
			for (int i = 0; i < WQ_COUNTOF(kinds); i++)
				if (kinds[i] == kind)
					def->kind = (enum WqAttrKind)i;
			*required = *v == '!';
			if (*v == '=' && def->kind == WQ_A_FLOAT)
				def->f = strtod(v + 1, NULL);
			else if (*v == '=' && def->kind == WQ_A_INT)
				def->i = strtoll(v + 1, NULL, 10);
			return true;
		}
		s = end + (*end == ' ');
	}
	return false;
}

/* The text of a string attribute's default: points into the schema; up to a space. */
static const char *default_text(WqOp op, const char *name, size_t *n)
{
	size_t len = strlen(name);
	for (const char *s = wq_op(op)->attrs; *s;) {
		const char *end = s + strcspn(s, " ");
		if ((size_t)(end - s) > len + 3 && !memcmp(s, name, len) && s[len] == ':' && s[len + 2] == '=') {
			*n = (size_t)(end - (s + len + 3));
			return s + len + 3;
		}
		s = end + (*end == ' ');
	}
	*n = 0;
	return "";
}

const WqAttr *wq_attr_find(const WqNode *n, const char *name)
{
	for (const WqAttr *a = n->attrs; a; a = a->next)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

static WqAttr lookup(const WqNode *n, const char *name, enum WqAttrKind kind)
{
	const WqAttr *a = wq_attr_find(n, name);
	WqAttr def;
	bool required;
	if (a) {
		WQ_ASSERT(a->kind == kind || (kind == WQ_A_INT && a->kind == WQ_A_DTYPE) || (kind == WQ_A_INTS && a->kind == WQ_A_DIMS));
		return *a;
	}
	if (!wq_attr_schema(n->op, name, &def, &required))
		WQ_BUG("%s has no attribute %s", wq_op(n->op)->name, name);
	if (required)
		wq_fail(WQ_EINPUT, "%s needs the attribute %s", wq_op(n->op)->name, name);
	return def;
}

int64_t wq_attr_i(const WqNode *n, const char *name) { return lookup(n, name, WQ_A_INT).i; }
double wq_attr_f(const WqNode *n, const char *name) { return lookup(n, name, WQ_A_FLOAT).f; }

const char *wq_attr_s(const WqNode *n, const char *name)
{
	WqAttr a = lookup(n, name, WQ_A_STR);
	if (a.s)
		return a.s;
	/* Defaults are few and short; keep one terminated copy of each. */
	static _Thread_local struct {
		const char *at;
		char text[24];
	} kept[64];
	size_t len;
	const char *s = default_text(n->op, name, &len);
	WQ_ASSERT(len < sizeof kept[0].text);
	for (int i = 0; i < WQ_COUNTOF(kept); i++) {
		if (kept[i].at == s)
			return kept[i].text;
		if (!kept[i].at) {
			kept[i].at = s;
			memcpy(kept[i].text, s, len);
			return kept[i].text;
		}
	}
	WQ_BUG("more string defaults than expected");
}

const int64_t *wq_attr_ints(const WqNode *n, const char *name, int *count)
{
	WqAttr a = lookup(n, name, WQ_A_INTS);
	*count = a.n;
	return a.ints;
}

static WqAttr *set(WqNode *n, const char *name, enum WqAttrKind kind)
{
	WqAttr def;
	bool required;
	if (!wq_attr_schema(n->op, name, &def, &required))
		WQ_BUG("%s has no attribute %s", wq_op(n->op)->name, name);
	bool same = def.kind == kind || (kind == WQ_A_INT && def.kind == WQ_A_DTYPE) || (kind == WQ_A_INTS && def.kind == WQ_A_DIMS);
	if (!same)
		WQ_BUG("attribute %s of %s is of another kind", name, wq_op(n->op)->name);
	WqArena *arena = n->graph->mod->arena;
	WqAttr **at = &n->attrs;
	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	if (!*at) {
		*at = WQ_NEW(arena, WqAttr);
		(*at)->name = wq_strdup(arena, name);
	}
	(*at)->kind = def.kind;
	return *at;
}

void wq_set_i(WqNode *n, const char *name, int64_t v) { set(n, name, WQ_A_INT)->i = v; }
void wq_set_f(WqNode *n, const char *name, double v) { set(n, name, WQ_A_FLOAT)->f = v; }
void wq_set_s(WqNode *n, const char *name, const char *v) { set(n, name, WQ_A_STR)->s = wq_strdup(n->graph->mod->arena, v); }

void wq_set_ints(WqNode *n, const char *name, int count, const int64_t *v)
{
	WqAttr *a = set(n, name, WQ_A_INTS);
	int64_t *copy = WQ_NEW_N(n->graph->mod->arena, int64_t, count);
	if (count)
		memcpy(copy, v, (size_t)count * sizeof *v);
	a->ints = copy;
	a->n = count;
}

static const WqType *type_copy(WqArena *a, const WqType *t)
{
	WqType *c = WQ_NEW(a, WqType);
	*c = *t;
	if (t->elem)
		c->elem = type_copy(a, t->elem);
	return c;
}

void wq_set_type(WqNode *n, const char *name, const WqType *t)
{
	set(n, name, WQ_A_TYPE)->type = type_copy(n->graph->mod->arena, t);
}

void wq_attr_copy(WqNode *to, const WqNode *from)
{
	for (const WqAttr *a = from->attrs; a; a = a->next) {
		switch (a->kind) {
		case WQ_A_INT:
		case WQ_A_DTYPE:
			wq_set_i(to, a->name, a->i);
			break;
		case WQ_A_FLOAT:
			wq_set_f(to, a->name, a->f);
			break;
		case WQ_A_STR:
			wq_set_s(to, a->name, a->s);
			break;
		case WQ_A_INTS:
		case WQ_A_DIMS:
			wq_set_ints(to, a->name, a->n, a->ints);
			break;
		case WQ_A_TYPE:
			wq_set_type(to, a->name, a->type);
			break;
		}
	}
}
