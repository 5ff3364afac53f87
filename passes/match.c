/* match.c: rewrite rules as text: parsing, matching, building, the driver. The language is in match.h.
 *
 * A pattern with choices (operand orders, alternatives) is matched by replay: every choice made on the way is
 * written down; after a failure the last one that has another way left takes it, and the match starts over. So a
 * matcher is straight-line code, and a guard that says no sends it on to the next way.
 */
#include "passes/match.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_KIDS = 6, MAX_NAMES = 20, MAX_NODES = 40, MAX_CHOICES = 40 };

typedef enum { P_ANY, P_VALUE, P_CONST, P_NUMBER, P_OP, P_EITHER } PatKind;

typedef struct PatAttr { /* name=text, name=$const, or *node (name NULL) */
	const char *name, *text;
	int from; /* slot of the constant or node; -1: text */
	struct PatAttr *next;
} PatAttr;

typedef struct Pat {
	PatKind kind;
	int slot; /* of its name, or -1 */
	WqOp op;
	bool single, rest;
	double num;
	bool approx;
	PatAttr *attrs;
	int n;
	struct Pat *kid[MAX_KIDS];
} Pat;

typedef struct Rule {
	const WqRule *text;
	Pat *from, *to;
	int n_names;
	const char *name[MAX_NAMES];
} Rule;

struct WqMatch {
	WqModule *m;
	const WqPassRun *run;
	const Rule *rule;
	WqNode *root;
	WqValue *slot[MAX_NAMES];
	WqNode *node[MAX_NODES];
	int n_node;
	const WqValue *single[MAX_NODES];
	int n_single;
	uint8_t choice[MAX_CHOICES], ways[MAX_CHOICES];
	int at, fixed; /* choices made in this try; those given from the last */
};

/* ---- parsing --------------------------------------------------------------------------------- */

typedef struct Parser {
	WqArena *a;
	const char *text, *s;
	Rule *rule;
} Parser;

#define BAD(p, what) WQ_BUG("rule \"%s\", at \"%.20s\": %s", (p)->text, (p)->s, what)

static void blanks(Parser *p)
{
	while (*p->s == ' ')
		p->s++;
}

static bool take(Parser *p, const char *word)
{
	blanks(p);
	size_t n = strlen(word);
	if (strncmp(p->s, word, n))
		return false;
	p->s += n;
	return true;
}

static const char *word(Parser *p)
{
	const char *s = p->s;
	while (isalnum((unsigned char)*p->s) || *p->s == '_')
		p->s++;
	if (s == p->s)
		BAD(p, "name expected");
	return wq_strndup(p->a, s, (size_t)(p->s - s));
}

static int slot_of(Parser *p, const char *name)
{
	Rule *r = p->rule;
	for (int i = 0; i < r->n_names; i++)
		if (!strcmp(r->name[i], name))
			return i;
	if (r->n_names == MAX_NAMES)
		BAD(p, "too many names");
	r->name[r->n_names] = name;
	return r->n_names++;
}

static void parse_attrs(Parser *p, Pat *t)
{
	PatAttr **at = &t->attrs;
	while (!take(p, "}")) {
		PatAttr *a = WQ_NEW(p->a, PatAttr);
		a->from = -1;
		if (take(p, "*")) {
			a->from = slot_of(p, word(p));
		} else {
			a->name = word(p);
			if (!take(p, "="))
				BAD(p, "\"=\" expected");
			if (take(p, "$")) {
				a->from = slot_of(p, word(p));
			} else {
				size_t n = strcspn(p->s, " }");
				a->text = wq_strndup(p->a, p->s, n);
				p->s += n;
			}
		}
		*at = a;
		at = &a->next;
	}
}

static Pat *parse_operand(Parser *p);

static void parse_op(Parser *p, Pat *t, const char *name)
{
	t->kind = P_OP;
	t->op = wq_op_find(name);
	if (!t->op)
		BAD(p, "no such operator");
	t->single = take(p, "!");
	if (take(p, "{"))
		parse_attrs(p, t);
	t->single |= take(p, "!");
	if (!take(p, "("))
		BAD(p, "\"(\" expected");
	if (take(p, ")"))
		return;
	do {
		if (take(p, "...")) {
			t->rest = true;
			break;
		}
		if (t->n == MAX_KIDS)
			BAD(p, "too many operands");
		t->kid[t->n++] = parse_operand(p);
	} while (take(p, ","));
	if (!take(p, ")"))
		BAD(p, "\")\" expected");
}

static Pat *parse_one(Parser *p)
{
	Pat *t = WQ_NEW(p->a, Pat);
	char *end;
	t->slot = -1;
	blanks(p);
	if (take(p, "$")) {
		t->kind = P_CONST;
		t->slot = slot_of(p, word(p));
	} else if (isdigit((unsigned char)*p->s) || *p->s == '-') {
		t->kind = P_NUMBER;
		t->num = strtod(p->s, &end);
		p->s = end;
		t->approx = take(p, "~");
	} else if (*p->s == '_' && !isalnum((unsigned char)p->s[1])) {
		p->s++;
	} else if (isupper((unsigned char)*p->s)) {
		parse_op(p, t, word(p));
	} else {
		int slot = slot_of(p, word(p));
		if (take(p, "="))
			parse_op(p, t, (blanks(p), word(p)));
		else
			t->kind = P_VALUE;
		t->slot = slot;
	}
	return t;
}

static Pat *parse_operand(Parser *p)
{
	Pat *first = parse_one(p);
	blanks(p);
	if (*p->s != '|')
		return first;
	Pat *t = WQ_NEW(p->a, Pat);
	t->kind = P_EITHER;
	t->slot = -1;
	t->kid[t->n++] = first;
	while (take(p, "|")) {
		if (t->n == MAX_KIDS)
			BAD(p, "too many alternatives");
		t->kid[t->n++] = parse_one(p);
	}
	return t;
}

static Pat *parse_pattern(WqArena *a, Rule *r, const char *text)
{
	Parser p = { a, text, text, r };
	Pat *t = parse_operand(&p);
	blanks(&p);
	if (*p.s)
		BAD(&p, "end expected");
	return t;
}

static void parse_rule(WqArena *a, Rule *r, const WqRule *text)
{
	r->text = text;
	r->from = parse_pattern(a, r, text->from);
	if (r->from->kind != P_OP)
		WQ_BUG("rule \"%s\" does not start with an operator", text->from);
	if (text->to)
		r->to = parse_pattern(a, r, text->to);
}

/* ---- matching -------------------------------------------------------------------------------- */

static int choose(WqMatch *x, int ways)
{
	if (x->at == MAX_CHOICES)
		WQ_BUG("rule \"%s\" has too many choices", x->rule->text->from);
	if (x->at >= x->fixed) {
		x->choice[x->at] = 0;
		x->ways[x->at] = (uint8_t)ways;
	}
	return x->choice[x->at++];
}

/* Takes the last choice that has another way left; false when there is none. */
static bool next_try(WqMatch *x)
{
	int n = x->at;
	while (n > 0 && x->choice[n - 1] + 1 == x->ways[n - 1])
		n--;
	if (n == 0)
		return false;
	x->choice[n - 1]++;
	x->fixed = n;
	return true;
}

/* The one number that a constant's elements all are, to the bit. */
static bool uniform(const WqValue *v, double *num)
{
	const WqTensor *t = v->data;
	if (!t || t->packed || !(wq_dtype_is_float(t->dtype) || wq_dtype_is_int(t->dtype) || t->dtype == WQ_BOOL))
		return false;
	int64_t n = wq_tensor_count(t);
	size_t size = wq_dtype_size(t->dtype);
	const char *p = t->data;
	if (n == 0 || n > 1 << 20 || memcmp(p, p + size, (size_t)(n - 1) * size))
		return false;
	*num = wq_tensor_get_f(t, 0);
	return true;
}

static double round_to(WqDtype t, double v)
{
	switch (t) {
	case WQ_F32:
		return (float)v;
	case WQ_F16:
		return wq_f16_to_f32(wq_f64_to_f16(v));
	case WQ_BF16:
		return wq_bf16_to_f32(wq_f64_to_bf16(v));
	default:
		return v;
	}
}

static bool match_number(const Pat *p, const WqValue *v)
{
	double have, want;
	if (!uniform(v, &have))
		return false;
	want = round_to(v->type.dtype, p->num);
	if (have == want)
		return signbit(have) == signbit(want) || !wq_dtype_is_float(v->type.dtype);
	double slack = v->type.dtype == WQ_F16 ? 1e-3 : v->type.dtype == WQ_BF16 ? 8e-3 : 1e-5;
	return p->approx && fabs(have - want) <= slack * fabs(want);
}

static bool same_value(const WqValue *a, const WqValue *b) { return a == b || wq_const_same(a, b, 4096); }

static bool bind(WqMatch *x, int slot, WqValue *v)
{
	if (slot < 0)
		return true;
	if (x->slot[slot])
		return same_value(x->slot[slot], v);
	x->slot[slot] = v;
	return true;
}

static bool match_attr(const PatAttr *a, const WqNode *n)
{
	WqAttr def;
	bool required;
	if (!a->name || !a->text || !wq_attr_schema(n->op, a->name, &def, &required))
		WQ_BUG("a rule asks %s for an attribute it does not have", wq_op(n->op)->name);
	switch (def.kind) {
	case WQ_A_STR:
		return !strcmp(wq_attr_s(n, a->name), a->text);
	case WQ_A_FLOAT:
		return wq_attr_f(n, a->name) == strtod(a->text, NULL);
	case WQ_A_DTYPE:
		return wq_attr_i(n, a->name) == (int64_t)wq_dtype_parse(a->text);
	default:
		return wq_attr_i(n, a->name) == strtoll(a->text, NULL, 10);
	}
}

static bool match(WqMatch *x, const Pat *p, WqValue *v);

static bool match_operands(WqMatch *x, const Pat *p, const WqNode *n)
{
	int swap = 0;
	if (p->n == 2 && n->n_in == 2 && (wq_op(n->op)->flags & WQ_COMM) && n->in[0] != n->in[1])
		swap = choose(x, 2);
	for (int i = 0; i < p->n || i < n->n_in; i++) {
		WqValue *in = i < n->n_in ? n->in[i ^ swap] : NULL;
		if (i >= p->n ? in && !p->rest : !match(x, p->kid[i], in))
			return false;
	}
	return true;
}

static bool match_op(WqMatch *x, const Pat *p, WqValue *v)
{
	WqNode *n = wq_def(v, p->op);
	if (!n)
		return false;
	for (const PatAttr *a = p->attrs; a; a = a->next)
		if (!match_attr(a, n))
			return false;
	if (x->n_node == MAX_NODES)
		WQ_BUG("rule \"%s\" is too large", x->rule->text->from);
	x->node[x->n_node++] = n;
	if (p->single)
		x->single[x->n_single++] = v;
	return match_operands(x, p, n);
}

static bool match(WqMatch *x, const Pat *p, WqValue *v)
{
	if (p->kind == P_EITHER)
		return match(x, p->kid[choose(x, p->n)], v);
	if (p->kind == P_ANY)
		return true;
	if (!v || v->type.kind != WQ_TENSOR || !bind(x, p->slot, v))
		return false;
	return p->kind == P_VALUE || (p->kind == P_CONST && v->data) || (p->kind == P_NUMBER && match_number(p, v)) ||
	       (p->kind == P_OP && match_op(x, p, v));
}

static bool match_once(WqMatch *x)
{
	x->at = x->n_node = x->n_single = 0;
	memset(x->slot, 0, sizeof x->slot);
	if (!match(x, x->rule->from, x->root->out[0]))
		return false;
	for (int i = 0; i < x->n_single; i++)
		if (!wq_used_only_by(x->single[i], x->n_node, x->node))
			return false;
	return !x->rule->text->when || x->rule->text->when(x);
}

/* ---- for guards and makers ------------------------------------------------------------------- */

WqValue *wq_m(const WqMatch *x, const char *name)
{
	for (int i = 0; i < x->rule->n_names; i++)
		if (!strcmp(x->rule->name[i], name))
			return x->slot[i];
	WQ_BUG("rule \"%s\" has no \"%s\"", x->rule->text->from, name);
}

WqNode *wq_m_root(const WqMatch *x) { return x->root; }
WqArena *wq_m_arena(const WqMatch *x) { return wq_pass_arena(x->run); }
int64_t wq_m_option(const WqMatch *x, const char *option) { return wq_pass_i(x->run, option); }

bool wq_m_num(const WqMatch *x, const char *name, double *v)
{
	const WqValue *c = wq_m(x, name);
	return c && uniform(c, v);
}

WqNode *wq_m_node(const WqMatch *x, WqOp op, int n, WqValue *const *in)
{
	return wq_node_new(x->root->graph, op, n, in);
}

WqValue *wq_m_build(const WqMatch *x, WqOp op, int n, WqValue *const *in)
{
	return wq_node_value(wq_m_node(x, op, n, in), x->root);
}

/* ---- building -------------------------------------------------------------------------------- */

static void set_attr(const WqMatch *x, WqNode *n, const PatAttr *a)
{
	WqAttr def;
	bool required;
	double num = 0;
	if (!a->name) {
		wq_attr_copy(n, x->slot[a->from]->def);
		return;
	}
	if (!wq_attr_schema(n->op, a->name, &def, &required) || (a->from >= 0 && !uniform(x->slot[a->from], &num)))
		WQ_BUG("rule \"%s\": attribute %s", x->rule->text->to, a->name);
	if (def.kind == WQ_A_STR)
		wq_set_s(n, a->name, a->text);
	else if (def.kind == WQ_A_FLOAT)
		wq_set_f(n, a->name, a->from >= 0 ? num : strtod(a->text, NULL));
	else
		wq_set_i(n, a->name, a->from >= 0 ? (int64_t)num : strtoll(a->text, NULL, 10));
}

static WqValue *build(const WqMatch *x, const Pat *p)
{
	WqValue *in[MAX_KIDS];
	WqDtype t = x->root->out[0]->type.dtype;
	switch (p->kind) {
	case P_ANY:
		return NULL;
	case P_VALUE:
	case P_CONST:
		return x->slot[p->slot];
	case P_NUMBER:
		return wq_dtype_is_float(t) ? wq_const_scalar(x->root->graph, t, p->num)
					    : wq_const_int(x->root->graph, t, (int64_t)p->num);
	case P_OP: {
		for (int i = 0; i < p->n; i++)
			in[i] = build(x, p->kid[i]);
		WqNode *n = wq_m_node(x, p->op, p->n, in);
		for (const PatAttr *a = p->attrs; a; a = a->next)
			set_attr(x, n, a);
		return wq_node_value(n, x->root);
	}
	default:
		WQ_BUG("rule \"%s\" has a choice in its result", x->rule->text->to);
	}
}

/* ---- the driver ------------------------------------------------------------------------------ */

typedef struct Rewrite {
	const WqPassRun *run;
	WqModule *m;
	Rule *rules;
	int *first, *next; /* rules by root operator: chains, in the order given */
	int n, fired;
	int64_t bound;
} Rewrite;

static bool fire(WqMatch *x)
{
	WqNode *root = x->root;
	const WqRule *r = x->rule->text;
	WqNode *mark = root->prev;
	x->m->where = root->name;
	WqValue *with = r->make ? r->make(x) : build(x, x->rule->to);
	x->m->where = NULL;
	if (!with || with == root->out[0] || !wq_type_same(&with->type, &root->out[0]->type)) {
		wq_nodes_take_back(mark, root);
		return false;
	}
	wq_node_replace(root, with);
	return true;
}

static bool try_rule(const Rewrite *w, const Rule *rule, WqNode *n)
{
	WqMatch x = { .m = w->m, .run = w->run, .rule = rule, .root = n };
	do
		if (match_once(&x) && fire(&x))
			return true;
	while (next_try(&x));
	return false;
}

static bool rewrite_node(Rewrite *w, WqNode *n)
{
	if (n->n_out < 1 || !n->out[0] || !(n->out[0]->uses.n || wq_value_is_output(n->out[0])))
		return false;
	for (int i = 1; i < n->n_out; i++)
		if (n->out[i])
			return false;
	for (int i = w->first[n->op]; i >= 0; i = w->next[i])
		if (try_rule(w, &w->rules[i], n)) {
			if (++w->fired > w->bound)
				WQ_BUG("rules without an end: \"%s\" fired last", w->rules[i].text->from);
			return true;
		}
	return false;
}

static bool sweep(Rewrite *w, WqGraph *g)
{
	bool changed = false;
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		for (int i = 0; i < n->n_body; i++)
			changed |= sweep(w, n->body[i]);
		changed |= rewrite_node(w, n);
	}
	return changed;
}

static int count_nodes(WqGraph *g, void *arg)
{
	(void)arg;
	int k = 0;
	WQ_FOR_NODES(n, g)
		k++;
	return k;
}

int wq_rewrite(WqModule *m, const WqPassRun *r, const WqRule *rules, int n)
{
	WqArena *a = wq_pass_arena(r);
	Rewrite w = { .run = r, .m = m, .n = n };
	w.rules = WQ_NEW_N(a, Rule, n);
	w.first = WQ_NEW_N(a, int, WQ_NUM_OPS);
	w.next = WQ_NEW_N(a, int, n);
	for (int i = 0; i < WQ_NUM_OPS; i++)
		w.first[i] = -1;
	for (int i = n - 1; i >= 0; i--) {
		parse_rule(a, &w.rules[i], &rules[i]);
		w.next[i] = w.first[w.rules[i].from->op];
		w.first[w.rules[i].from->op] = i;
	}
	w.bound = 1000 + 64 * (int64_t)wq_each_graph(m, count_nodes, NULL);
	while (sweep(&w, m->main))
		;
	return w.fired;
}
