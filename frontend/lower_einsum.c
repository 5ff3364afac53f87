/* lower_einsum.c: Einsum as transpositions, matrix products, elementwise products and sums.
 *
 * A label is a number: letters in the order of their codes, then the axes that an ellipsis stands for, counted so
 * that they align at the right. Operands are folded into an accumulator from left to right; at each step the
 * labels of both sides fall into four classes, which become the axes of a MatMul: [batch..., left, summed] x
 * [batch..., summed, right].
 */
#include "frontend/lower.h"

enum { LETTERS = 52, LABELS = LETTERS + WQ_MAX_RANK };

typedef struct Term {
	int n; /* axes, also of v */
	int label[WQ_MAX_RANK];
	WqValue *v;
} Term;

typedef struct Einsum {
	Lower *L;
	int n; /* operands */
	Term *term;
	Term out;
	WqDim size[LABELS];
	int ellipsis; /* axes that "..." stands for, the most of any operand */
} Einsum;

static int find(const Term *t, int label)
{
	for (int i = 0; i < t->n; i++)
		if (t->label[i] == label)
			return i;
	return -1;
}

static void push(Lower *L, Term *t, int label)
{
	if (t->n == WQ_MAX_RANK)
		lo_unsupported(L, "more than %d axes", WQ_MAX_RANK);
	t->label[t->n++] = label;
}

/* ---- the equation ---------------------------------------------------------------------------- */

/* Reads a term up to a comma, an arrow or the end. dots: how many axes an ellipsis stands for here. */
static const char *read_term(Einsum *e, const char *s, Term *t, int dots)
{
	for (; *s && *s != ',' && *s != '-'; s++) {
		if (*s == ' ')
			continue;
		if (*s >= 'A' && *s <= 'Z') {
			push(e->L, t, *s - 'A');
		} else if (*s >= 'a' && *s <= 'z') {
			push(e->L, t, 26 + *s - 'a');
		} else if (!strncmp(s, "...", 3)) {
			for (int i = 0; i < dots; i++)
				push(e->L, t, LABELS - dots + i);
			s += 2;
		} else {
			lo_bad(e->L, "the equation has an unexpected '%c'", *s);
		}
	}
	return s;
}

/* How many axes the ellipsis of the operand's term stands for: those that no letter names. */
static int count_dots(const char *s, int rank)
{
	int letters = 0;
	bool dots = false;
	for (; *s && *s != ',' && *s != '-'; s++) {
		dots |= *s == '.';
		letters += *s != '.' && *s != ' ';
	}
	return dots && rank > letters ? rank - letters : 0;
}

static void implicit_output(Einsum *e)
{
	int seen[LABELS] = {0};
	for (int i = 0; i < e->n; i++)
		for (int k = 0; k < e->term[i].n; k++)
			seen[e->term[i].label[k]]++;
	for (int i = 0; i < e->ellipsis; i++)
		push(e->L, &e->out, LABELS - e->ellipsis + i);
	for (int label = 0; label < LETTERS; label++)
		if (seen[label] == 1)
			push(e->L, &e->out, label);
}

static const char *read_operands(Einsum *e, const char *s)
{
	for (int i = 0; i < e->n; i++) {
		Term *t = &e->term[i];
		t->v = lo_need(e->L, i);
		int rank = lo_rank(e->L, t->v), dots = count_dots(s, rank);
		s = read_term(e, s, t, dots);
		if (t->n != rank)
			lo_bad(e->L, "term %d of the equation has %d axes, the operand %d", i, t->n, rank);
		if (dots > e->ellipsis)
			e->ellipsis = dots;
		if (i + 1 < e->n && *s++ != ',')
			lo_bad(e->L, "the equation has %d terms for %d operands", i + 1, e->n);
	}
	return s;
}

static void read_equation(Einsum *e, const char *s)
{
	s = read_operands(e, s);
	if (!strncmp(s, "->", 2))
		s = read_term(e, s + 2, &e->out, e->ellipsis);
	else
		implicit_output(e);
	if (*s)
		lo_bad(e->L, "the equation does not end after its output");
}

/* ---- single operands ------------------------------------------------------------------------- */

static void set_sizes(Einsum *e)
{
	for (int i = 0; i < LABELS; i++)
		e->size[i] = -1;
	bool seen[LABELS] = {0};
	for (int i = 0; i < e->n; i++)
		for (int k = 0; k < e->term[i].n; k++) {
			int label = e->term[i].label[k];
			WqDim d = e->term[i].v->type.dim[k];
			if (!seen[label] || e->size[label] == 1)
				e->size[label] = d;
			else if (d != 1 && wq_dim_static(d) && wq_dim_static(e->size[label]) && d != e->size[label])
				lo_bad(e->L, "an axis has sizes %lld and %lld", (long long)e->size[label], (long long)d);
			seen[label] = true;
		}
}

/* Moves the axes to the order given, order[i] being the old place of axis i. */
static void reorder(Lower *L, Term *t, const int64_t *order)
{
	Term old = *t;
	for (int i = 0; i < t->n; i++)
		t->label[i] = old.label[order[i]];
	t->v = lo_transpose(L, t->v, t->n, order);
}

static void drop_axis(Term *t, int axis)
{
	t->n--;
	memmove(t->label + axis, t->label + axis + 1, sizeof *t->label * (size_t)(t->n - axis));
}

/* Axes p and q have the same label: one axis remains, their diagonal, at the end. */
static void take_diagonal(Lower *L, Term *t, int p, int q)
{
	int64_t order[WQ_MAX_RANK];
	int k = 0;
	for (int i = 0; i < t->n; i++)
		if (i != p && i != q)
			order[k++] = i;
	order[k] = p;
	order[k + 1] = q;
	reorder(L, t, order);
	WqDim dim[WQ_MAX_RANK], n = t->v->type.dim[k];
	memcpy(dim, t->v->type.dim, sizeof dim);
	dim[k] = wq_dim_mul(L->m, n, n);
	WqValue *flat = lo_reshape(L, t->v, k + 1, dim);
	WqValue *step = lo_dim_scalar(L, wq_dim_add(L->m, n, 1), WQ_I64);
	WqNode *g = lo_node(L, OP_Gather, 2, flat, lo2(L, OP_Mul, lo_range(L, n), step));
	wq_set_i(g, "axis", k);
	t->v = lo_result(L, g);
	t->n--;
}

static bool find_repeated(const Term *t, int *p, int *q)
{
	for (*p = 0; *p < t->n; ++*p)
		for (*q = *p + 1; *q < t->n; ++*q)
			if (t->label[*p] == t->label[*q])
				return true;
	return false;
}

static void normalise(Einsum *e, Term *t)
{
	int p, q;
	while (find_repeated(t, &p, &q))
		take_diagonal(e->L, t, p, q);
	/* an axis of size 1 that others have larger broadcasts: without the axis all the same */
	for (int i = t->n - 1; i >= 0; i--)
		if (t->v->type.dim[i] == 1 && e->size[t->label[i]] != 1) {
			t->v = lo_squeeze(e->L, t->v, 1, (int64_t[]){ i });
			drop_axis(t, i);
		}
}

/* Sums over the labels that neither `other` nor `keep` has. */
static void sum_private(Lower *L, Term *t, const Term *other, const bool *keep)
{
	int64_t axes[WQ_MAX_RANK];
	int n = 0;
	for (int i = 0; i < t->n; i++)
		if (!keep[t->label[i]] && (!other || find(other, t->label[i]) < 0))
			axes[n++] = i;
	if (!n)
		return;
	t->v = lo_reduce(L, OP_ReduceSum, t->v, n, axes, false);
	while (n)
		drop_axis(t, (int)axes[--n]);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

typedef struct Labels {
	int n, v[WQ_MAX_RANK];
} Labels;

/* The axes of t in the order of the groups, those of one group merged into one if `merge` has its bit. */
static WqValue *arrange(Einsum *e, const Term *t, const Labels *const *group, int n_groups, unsigned merge)
{
	Lower *L = e->L;
	int64_t order[WQ_MAX_RANK];
	WqDim dim[WQ_MAX_RANK];
	int n = 0, rank = 0;
	for (int g = 0; g < n_groups; g++) {
		WqDim all = 1;
		for (int i = 0; i < group[g]->n; i++) {
			int at = find(t, group[g]->v[i]);
			WqDim d = 1; /* of a label that only the other side has */
			if (at >= 0) {
				d = t->v->type.dim[at];
				order[n++] = at;
			}
			if (!(merge >> g & 1)) {
				if (rank == WQ_MAX_RANK)
					lo_unsupported(L, "more than %d axes", WQ_MAX_RANK);
				dim[rank++] = d;
			}
			all = wq_dim_mul(L->m, all, d);
		}
		if (merge >> g & 1) {
			if (rank == WQ_MAX_RANK)
				lo_unsupported(L, "more than %d axes", WQ_MAX_RANK);
			dim[rank++] = all;
		}
	}
	WQ_ASSERT(n == t->n);
	return lo_reshape(L, lo_transpose(L, t->v, n, order), rank, dim);
}

static void classify(Lower *L, const Term *a, const Term *b, const bool *keep, Labels *batch, Labels *sum, Labels *left,
	Labels *right)
{
	for (int i = 0; i < a->n; i++) {
		int label = a->label[i];
		Labels *to = find(b, label) < 0 ? left : keep[label] ? batch : sum;
		to->v[to->n++] = label;
	}
	for (int i = 0; i < b->n; i++)
		if (find(a, b->label[i]) < 0)
			right->v[right->n++] = b->label[i];
	if (batch->n + left->n + right->n > WQ_MAX_RANK)
		lo_unsupported(L, "more than %d axes", WQ_MAX_RANK);
}

/* The size of a label of a, b or both: a symbol may turn out to be 1 on one side. */
static WqDim broadcast_size(Lower *L, const Term *a, const Term *b, int label)
{
	int in_a = find(a, label), in_b = find(b, label);
	if (in_a < 0)
		return b->v->type.dim[in_b];
	WqDim d = a->v->type.dim[in_a];
	return in_b < 0 || b->v->type.dim[in_b] == d ? d : wq_dim_bcast(L->m, d, b->v->type.dim[in_b]);
}

static Term contract(Einsum *e, Term a, Term b, const bool *keep)
{
	Lower *L = e->L;
	sum_private(L, &a, &b, keep);
	sum_private(L, &b, &a, keep);
	Labels batch = {0}, sum = {0}, left = {0}, right = {0};
	classify(L, &a, &b, keep, &batch, &sum, &left, &right);
	Term y = {0};
	WqDim dim[WQ_MAX_RANK];
	const Labels *kept[] = { &batch, &left, &right };
	for (int g = 0; g < 3; g++)
		for (int i = 0; i < kept[g]->n; i++) {
			int label = kept[g]->v[i];
			dim[y.n] = broadcast_size(L, &a, &b, label);
			y.label[y.n++] = label;
		}
	if (sum.n) {
		WqValue *m = arrange(e, &a, (const Labels *[]){ &batch, &left, &sum }, 3, 6);
		WqValue *n = arrange(e, &b, (const Labels *[]){ &batch, &sum, &right }, 3, 6);
		y.v = lo_reshape(L, lo2(L, OP_MatMul, m, n), y.n, dim);
	} else {
		y.v = lo2(L, OP_Mul, arrange(e, &a, kept, 3, 0), arrange(e, &b, kept, 3, 0));
	}
	return y;
}

/* ---- all together ---------------------------------------------------------------------------- */

static void to_output(Einsum *e, Term *t)
{
	int64_t order[WQ_MAX_RANK];
	for (int i = 0; i < e->out.n; i++) {
		int at = find(t, e->out.label[i]);
		if (at < 0)
			lo_bad(e->L, "the equation's output has a label that no term has");
		if (find(&e->out, e->out.label[i]) != i)
			lo_bad(e->L, "the equation's output has a label twice");
		order[i] = at;
	}
	WQ_ASSERT(t->n == e->out.n);
	reorder(e->L, t, order);
}

void lower_Einsum(Lower *L)
{
	Einsum e = { .L = L, .n = lo_n_in(L) };
	if (!e.n)
		lo_bad(L, "no operands");
	e.term = WQ_NEW_N(L->m->arena, Term, e.n);
	read_equation(&e, lo_s(L, "equation", ""));
	set_sizes(&e);
	for (int i = 0; i < e.n; i++)
		normalise(&e, &e.term[i]);
	Term acc = e.term[0];
	bool keep[LABELS];
	for (int i = 1; i < e.n; i++) {
		memset(keep, 0, sizeof keep);
		for (int k = 0; k < e.out.n; k++)
			keep[e.out.label[k]] = true;
		for (int j = i + 1; j < e.n; j++)
			for (int k = 0; k < e.term[j].n; k++)
				keep[e.term[j].label[k]] = true;
		acc = contract(&e, acc, e.term[i], keep);
	}
	memset(keep, 0, sizeof keep);
	for (int k = 0; k < e.out.n; k++)
		keep[e.out.label[k]] = true;
	sum_private(L, &acc, NULL, keep);
	to_output(&e, &acc);
	lo_out(L, 0, acc.v);
}
