/* fuse_attention.c: Attention from its parts.
 *
 * Before: t = Transpose(k)  s = MatMul(q, t)  a = Mul(s, c)  b = Add(a, mask)  p = Softmax(b)  y = MatMul(p, v)
 * After:  y = Attention{scale=c}(q, k, v, mask)
 *
 * Walks up from MatMul(Softmax(..), v): casts between float types; masks added, several too; Where(allowed, s,
 * -inf) and its negation; a soft cap c * tanh(s / c); scale factors on the scores, on q, on k, before or after k's
 * transposition. Heads that are repeated for grouped queries (Expand of an inserted axis) are read where they
 * were. Tensors of three axes get a second one of size 1, or batch and heads again where the scores were [B,H,S,T]
 * between two Reshapes for the sake of a mask. A mask that only hides later keys (constant, or LessOrEqual of two
 * ranges) becomes causal=1. Nothing in between may have another use. A row that is masked altogether by -inf gives
 * zeros, not NaN.
 * Keeps: results to rounding.
 */
#include "passes/pass.h"

#include <math.h>

typedef struct Scores { /* what stands between Softmax and q*k */
	WqNode *root;          /* the product with v */
	WqArena *a;
	WqValue *q, *k, *v;    /* k as [.., D, T] while walking up */
	WqValue *mask[4];      /* to be added */
	int n_mask;
	WqValue *allowed;      /* bool, or NULL */
	bool forbids;          /* `allowed` says the opposite */
	double scale, softcap;
	const WqDim *split;    /* batch and heads that [N,S,T] was taken apart into, or NULL */
} Scores;

/* A score with this much added has no weight beside one without: exporters write -1e4 up to -inf. */
#define NEVER (-1e4)

static bool only_use(const WqValue *v) { return wq_value_num_uses(v) == 1; }

/* ---- walking up ------------------------------------------------------------------------------ */

static bool number(const WqValue *v, double *x) { return wq_value_const_f(v, x); }

/* v as something times a number; the something, or NULL. */
static WqValue *unscaled(WqValue *v, double *by)
{
	WqNode *n = v->def;
	double c;
	if (!n || v->index || n->n_in != 2 || !wq_type_same(&n->in[0]->type, &v->type))
		return NULL;
	if ((n->op == OP_Mul || n->op == OP_Div) && number(n->in[1], &c) && c != 0 && isfinite(c)) {
		*by = n->op == OP_Mul ? c : 1 / c;
		return n->in[0];
	}
	return NULL;
}

static WqValue *uncast(WqValue *v)
{
	WqNode *n = wq_def(v, OP_Cast);
	if (!n || !only_use(v) || !wq_dtype_in(v->type.dtype, WQ_M_FLOAT) ||
	    !wq_dtype_in(n->in[0]->type.dtype, WQ_M_FLOAT))
		return v;
	return n->in[0];
}

/* softcap * tanh(s / softcap) */
static WqValue *uncapped(WqValue *v, Scores *s)
{
	double out, in;
	WqValue *t = unscaled(v, &out), *u;
	WqNode *tanh = t ? wq_def(t, OP_Tanh) : NULL;
	if (!tanh || !only_use(t) || !only_use(tanh->in[0]) || !(u = unscaled(tanh->in[0], &in)) ||
	    fabs(out * in - 1) > 1e-5 || out < 0)
		return NULL;
	s->softcap = out;
	return u;
}

/* A Reshape that leaves queries and keys alone. */
static bool regroups(const WqNode *n)
{
	if (n->op != OP_Reshape)
		return false;
	const WqType *a = &n->in[0]->type, *b = &n->out[0]->type;
	if (a->rank < 3 || b->rank < 3 || a->rank + b->rank != 7)
		return false;
	for (int d = 1; d <= 2; d++)
		if (a->dim[a->rank - d] != b->dim[b->rank - d] || b->dim[b->rank - d] == WQ_DIM_UNKNOWN)
			return false;
	return true;
}

static bool leads_to_product(const WqValue *v, int depth)
{
	const WqNode *n = v->def;
	if (!n || v->index || depth > 6)
		return false;
	if (n->op == OP_MatMul)
		return true;
	if (n->op == OP_Where)
		return leads_to_product(n->in[1], depth + 1) || leads_to_product(n->in[2], depth + 1);
	bool pass = n->op == OP_Add || n->op == OP_Mul || n->op == OP_Div || n->op == OP_Tanh || n->op == OP_Cast ||
		    regroups(n);
	return pass &&
	       (leads_to_product(n->in[0], depth + 1) || (n->op == OP_Add && leads_to_product(n->in[1], depth + 1)));
}

static bool every_row_sees(WqValue *allowed, bool forbids);

/* Where(allowed, s, -inf). A finite number does the same only where no row is masked altogether. */
static WqValue *unmasked(const WqNode *n, Scores *s)
{
	double c;
	bool forbids = number(n->in[1], &c);
	if (s->allowed || s->split || (!forbids && !number(n->in[2], &c)))
		return NULL;
	if (!(c == -INFINITY || (c <= NEVER && every_row_sees(n->in[0], forbids))))
		return NULL;
	s->allowed = n->in[0];
	s->forbids = forbids;
	return n->in[forbids ? 2 : 1];
}

static WqValue *unbiased(const WqNode *n, Scores *s)
{
	int scores = leads_to_product(n->in[0], 0) ? 0 : 1;
	if (s->n_mask == WQ_COUNTOF(s->mask) || s->split || s->scale != 1 || s->softcap)
		return NULL;
	s->mask[s->n_mask++] = n->in[!scores];
	return n->in[scores];
}

/* Scores [N,S,T] that were [B,H,S,T] while masks came in: from the Reshape back to [N,S,T] up to what the first one
 * took. */
static WqValue *unsplit(const WqNode *merge, Scores *s)
{
	const WqType *type = &merge->in[0]->type;
	WqValue *v = merge->in[0];
	if (!regroups(merge) || type->rank != 4 || s->split || s->n_mask || s->allowed)
		return NULL;
	if (merge->out[0]->type.dim[0] == WQ_DIM_UNKNOWN)
		return NULL;
	while (v && v->def && !v->index && only_use(v) && wq_type_same(&v->type, type)) {
		const WqNode *n = v->def;
		if (n->op == OP_Reshape) {
			s->split = type->dim;
			return wq_type_same(&n->in[0]->type, &merge->out[0]->type) ? n->in[0] : NULL;
		}
		v = n->op == OP_Add ? unbiased(n, s) : n->op == OP_Where ? unmasked(n, s) : NULL;
	}
	return NULL;
}

/* From the operand of Softmax up to the product of q and k. */
static bool walk_scores(Scores *s, WqValue *v)
{
	double by;
	for (int depth = 0; depth < 12; depth++) {
		WqNode *n = v->def;
		WqValue *up;
		if (!n || v->index || !only_use(v))
			return false;
		if (n->op == OP_MatMul) {
			s->q = n->in[0];
			s->k = n->in[1];
			return true;
		}
		if ((up = uncast(v)) != v || (!s->softcap && s->scale == 1 && (up = uncapped(v, s))))
			;
		else if ((up = unscaled(v, &by)))
			s->scale *= by;
		else if (n->op == OP_Where && s->scale == 1 && !s->softcap)
			up = unmasked(n, s);
		else if (n->op == OP_Reshape && s->scale == 1 && !s->softcap)
			up = unsplit(n, s);
		else if (n->op == OP_Add)
			up = unbiased(n, s);
		if (!up ||
		    (n->op != OP_Add && n->op != OP_Where && n->op != OP_Cast && !wq_type_same(&up->type, &v->type)))
			return false;
		v = up;
	}
	return false;
}

/* Factors on an operand of q*k move into the scale. */
static WqValue *strip_scale(Scores *s, WqValue *v)
{
	double by;
	WqValue *up;
	while ((up = unscaled(v, &by))) {
		s->scale *= by;
		v = up;
	}
	return v;
}

/* ---- making operands ------------------------------------------------------------------------- */

static WqValue *reshape(const Scores *s, WqValue *v, int rank, const WqDim *dim)
{
	WqValue *in[] = { v, wq_dims_before(s->root, rank, dim) };
	WqNode *n = wq_node_new(s->root->graph, OP_Reshape, 2, in);
	wq_set_i(n, "allowzero", 1);
	return wq_node_value(n, s->root);
}

static WqValue *transpose(const Scores *s, WqValue *v, int rank, const int64_t *perm)
{
	WqNode *n = wq_node_new(s->root->graph, OP_Transpose, 1, &v);
	wq_set_ints(n, "perm", rank, perm);
	return wq_node_value(n, s->root);
}

/* [.., D, T] -> [.., T, D], going through a Transpose that made it, and through factors around it. */
static WqValue *swap_last(Scores *s, WqValue *v)
{
	int64_t perm[WQ_MAX_RANK];
	int rank = v->type.rank;
	WQ_ASSERT(rank >= 2);
	WqNode *t = wq_def(v, OP_Transpose);
	WqValue *from = t ? t->in[0] : v;
	for (int i = 0; i < rank; i++)
		perm[i] = i;
	if (t)
		wq_perm_of(t, perm);
	int64_t last = perm[rank - 1];
	perm[rank - 1] = perm[rank - 2];
	perm[rank - 2] = last;
	return t ? strip_scale(s, transpose(s, strip_scale(s, from), rank, perm)) : transpose(s, v, rank, perm);
}

/* [B,G,T,D] behind [B,G*n,T,D] whose heads are its heads, each n times; else v. */
static WqValue *unrepeated(WqValue *v)
{
	const WqNode *r = wq_def(v, OP_Reshape), *e = r ? wq_def(r->in[0], OP_Expand) : NULL,
		     *u = e ? wq_def(e->in[0], OP_Reshape) : NULL;
	if (!u || u->in[0]->type.rank != 4 || u->out[0]->type.rank != 5 || e->out[0]->type.rank != 5)
		return v;
	const WqDim *to = v->type.dim, *wide = e->out[0]->type.dim, *thin = u->out[0]->type.dim,
		    *from = u->in[0]->type.dim;
	static const int place[] = { 0, 1, 3, 4 };
	for (int i = 0; i < 4; i++)
		if (wide[place[i]] != from[i] || thin[place[i]] != from[i] || (i != 1 && to[i] != from[i]))
			return v;
	return thin[2] == 1 && wq_dim_static(from[1]) && wq_dim_static(wide[2]) && to[1] == from[1] * wide[2] ? u->in[0]
													      : v;
}

/* [N,S,D] -> [N,1,S,D], or [B,H,S,D] */
static WqValue *with_head(const Scores *s, WqValue *v)
{
	const WqDim *split = s->split, *of = v->type.dim;
	WqDim dim[] = { split ? split[0] : of[0], split ? split[1] : 1, of[1], of[2] };
	return v->type.rank == 4 ? v : reshape(s, v, 4, dim);
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* A boolean or additive constant as "may query i see key j", for the last two axes; -1: neither, or another number. */
static int sees(const WqTensor *t, int64_t at)
{
	if (t->dtype == WQ_BOOL)
		return wq_tensor_get_i(t, at) != 0;
	double v = wq_tensor_get_f(t, at);
	return v == 0 ? 1 : v <= NEVER ? 0 : -1;
}

static bool constant_causal(const WqTensor *t, bool forbids)
{
	int r = t->rank;
	int64_t count = wq_tensor_count(t);
	if (r < 2 || t->dim[r - 1] != t->dim[r - 2] || t->dim[r - 1] < 2 || count != t->dim[r - 1] * t->dim[r - 1] ||
	    t->packed)
		return false;
	for (int64_t i = 0, n = t->dim[r - 1]; i < n; i++)
		for (int64_t j = 0; j < n; j++)
			if (sees(t, i * n + j) != ((j <= i) ^ forbids))
				return false;
	return true;
}

/* 0 .. n-1 along one of the last two axes: returns that axis from the end (1 or 2), or 0. */
static int counts_along(const WqValue *v, WqDim *n)
{
	while (wq_def(v, OP_Reshape) || wq_def(v, OP_Cast)) {
		if (wq_def(v, OP_Cast) && !wq_dtype_is_int(v->type.dtype))
			return 0;
		if (wq_def(v, OP_Reshape))
			break;
		v = v->def->in[0];
	}
	const WqNode *r = wq_def(v, OP_Reshape), *range = wq_def(r ? r->in[0] : v, OP_Range);
	double from, step;
	if (!range || !number(range->in[0], &from) || !number(range->in[2], &step) || from != 0 || step != 1)
		return 0;
	const WqType *t = &v->type;
	*n = range->out[0]->type.dim[0];
	for (int d = 0; d < t->rank; d++)
		if (t->dim[d] != 1)
			return t->dim[d] == *n && d >= t->rank - 2 ? t->rank - d : 0;
	return 0;
}

/* What a Slice is of, if it starts at the first query and key (rows: at any query) and leaves nothing out between. */
static WqValue *unsliced(WqValue *v, bool rows)
{
	WqNode *n = wq_def(v, OP_Slice);
	int rank = v->type.rank, count;
	const WqValue *from = n ? n->in[1] : NULL;
	int64_t start;
	if (!n || !n->in[3]->data || !n->in[4]->data)
		return NULL;
	count = (int)wq_tensor_count(n->in[3]->data);
	for (int i = 0; i < count; i++) {
		int64_t axis = wq_tensor_get_i(n->in[3]->data, i);
		axis += axis < 0 ? rank : 0;
		bool zero = from->sym && wq_dim_get_const(v->graph->mod, from->sym[i], &start) && start == 0;
		if (wq_tensor_get_i(n->in[4]->data, i) != 1 ||
		    (!zero && (axis == rank - 1 || (axis == rank - 2 && !rows))))
			return NULL;
	}
	return n->in[0];
}

/* LessOrEqual(j, i) over ranges of one length: key j is hidden from earlier queries. */
static bool range_causal(const WqValue *v)
{
	const WqNode *n = wq_def(v, OP_LessOrEqual);
	WqDim a, b;
	return n && counts_along(n->in[0], &a) == 1 && counts_along(n->in[1], &b) == 2 && a == b;
}

static bool is_causal(WqValue *v, bool forbids)
{
	for (WqValue *of; (of = unsliced(v, false)); v = of)
		;
	const WqNode *w = wq_def(v, OP_Where), *no = wq_def(v, OP_Not);
	double yes, never;
	if (v->data)
		return constant_causal(v->data, forbids);
	if (no)
		return is_causal(no->in[0], !forbids);
	if (w && !forbids && number(w->in[1], &yes) && number(w->in[2], &never) && yes == 0 && never <= NEVER)
		return is_causal(w->in[0], false);
	return !forbids && range_causal(v);
}

/* LessOrEqual(j, past + i): the first key is open to every query, however many keys the cache holds. */
static bool first_key_open(const WqValue *v)
{
	const WqNode *n = wq_def(v, OP_LessOrEqual), *r = n ? wq_def(n->in[1], OP_Reshape) : NULL;
	const WqNode *rows = n ? wq_def(r ? r->in[0] : n->in[1], OP_Range) : NULL;
	WqDim keys;
	double step;
	if (!rows || counts_along(n->in[0], &keys) != 1 || !number(rows->in[2], &step) || step < 0)
		return false;
	const WqDim *from = rows->in[0]->sym;
	double start;
	return number(rows->in[0], &start) ? start >= 0 : from && wq_dim_lo(v->graph->mod, *from) >= 0;
}

static bool every_row_sees(WqValue *allowed, bool forbids)
{
	const WqNode *no = wq_def(allowed, OP_Not);
	if (no)
		return every_row_sees(no->in[0], !forbids);
	if (is_causal(allowed, forbids) || (!forbids && first_key_open(allowed)))
		return true;
	bool sliced = false; /* then only the first key is sure to be there */
	for (WqValue *of; (of = unsliced(allowed, true)); allowed = of)
		sliced = true;
	const WqTensor *t = allowed->data;
	if (!t || t->rank < 1 || t->packed)
		return false;
	int64_t count = wq_tensor_count(t), n = t->dim[t->rank - 1];
	for (int64_t i = 0; i < count; i += n) {
		bool any = false;
		for (int64_t j = 0; j < (sliced ? 1 : n); j++)
			any |= sees(t, i + j) == !forbids;
		if (!any)
			return false;
	}
	return true;
}

/* Takes causal masks out. Returns whether there was one. The scores must be square. */
static bool take_causal(Scores *s)
{
	bool causal = false;
	int k = 0;
	if (s->q->type.dim[2] != s->k->type.dim[2])
		return false;
	for (int i = 0; i < s->n_mask; i++)
		if (is_causal(s->mask[i], false))
			causal = true;
		else
			s->mask[k++] = s->mask[i];
	s->n_mask = k;
	if (s->allowed && is_causal(s->allowed, s->forbids)) {
		s->allowed = NULL;
		causal = true;
	}
	return causal;
}

/* [N,S,T] -> [N,1,S,T], where scores had three axes. */
static WqValue *mask_with_head(const Scores *s, WqValue *v, int rank)
{
	return v && rank == 3 && !s->split && v->type.rank == 3 ? with_head(s, v) : v;
}

static WqValue *build2(const Scores *s, WqOp op, WqValue *a, WqValue *b)
{
	return wq_node_value(wq_node_new(s->root->graph, op, b ? 2 : 1, (WqValue *[]){ a, b }), s->root);
}

/* One operand for all masks; NULL for none. */
static WqValue *one_mask(const Scores *s, int rank)
{
	WqDtype t = s->q->type.dtype;
	WqValue *sum = NULL, *ok = mask_with_head(s, s->allowed, rank);
	for (int i = 0; i < s->n_mask; i++) {
		WqValue *m = mask_with_head(s, s->mask[i], rank);
		sum = sum ? build2(s, OP_Add, sum, m) : m;
	}
	if (sum && sum->type.dtype != t) {
		WqNode *c = wq_node_new(s->root->graph, OP_Cast, 1, &sum);
		wq_set_i(c, "to", t);
		sum = wq_node_value(c, s->root);
	}
	if (ok && s->forbids)
		ok = build2(s, OP_Not, ok, NULL);
	if (!ok || !sum)
		return ok ? ok : sum;
	WqValue *in[] = { ok, sum, wq_const_scalar(s->root->graph, t, -INFINITY) };
	return wq_node_value(wq_node_new(s->root->graph, OP_Where, 3, in), s->root);
}

/* ---- the pass -------------------------------------------------------------------------------- */

/* Softmax over the last axis, perhaps cast, perhaps with NaN (a row of -inf) made zero. */
static WqNode *softmax_of(WqValue *p)
{
	double zero;
	const WqNode *w = wq_def(p, OP_Where), *nan = w ? wq_def(w->in[0], OP_IsNaN) : NULL;
	if (nan && number(w->in[1], &zero) && zero == 0 && nan->in[0] == w->in[2] && wq_value_num_uses(w->in[2]) == 2 &&
	    only_use(w->in[0]))
		p = w->in[2];
	else if (uncast(p) != p || only_use(p))
		p = uncast(p);
	else
		return NULL;
	WqNode *n = wq_def(p, OP_Softmax);
	int rank = p->type.rank;
	bool sole = only_use(p) || nan;
	return n && sole && (rank == 3 || rank == 4) && wq_axis_of(n, rank) == rank - 1 ? n : NULL;
}

static bool same_rank(const Scores *s, int rank)
{
	return s->q->type.rank == rank && s->k->type.rank == rank && s->v->type.rank == rank;
}

/* Attention does not broadcast: batch and heads of q, k and v are those of the scores. */
static bool fits(const Scores *s)
{
	const WqDim *q = s->q->type.dim, *k = s->k->type.dim, *v = s->v->type.dim;
	if (q[0] != k[0] || q[0] != v[0] || k[1] != v[1] || k[2] != v[2] || q[3] != k[3])
		return false;
	return q[1] == k[1] || (wq_dim_static(q[1]) && wq_dim_static(k[1]) && k[1] > 0 && q[1] % k[1] == 0);
}

static bool mask_fits(const Scores *s, const WqValue *m)
{
	WqDim dim[] = { s->q->type.dim[0], s->q->type.dim[1], s->q->type.dim[2], s->k->type.dim[2] };
	for (int d = 0; d < m->type.rank; d++)
		if (m->type.dim[d] != 1 && m->type.dim[d] != dim[4 - m->type.rank + d])
			return false;
	return m->type.rank >= 0 && m->type.rank <= 4;
}

/* What is taken apart must have been put together: q, k and v each have the scores' N. */
static bool splits(const Scores *s, WqDim n)
{
	return !s->split || (s->q->type.dim[0] == n && s->k->type.dim[0] == n && s->v->type.dim[0] == n);
}

static WqValue *attention(Scores *s, int rank)
{
	s->q = with_head(s, strip_scale(s, s->q));
	s->k = with_head(s, swap_last(s, strip_scale(s, s->k)));
	s->v = with_head(s, s->v);
	WqValue *k = unrepeated(s->k), *v = unrepeated(s->v);
	if (k->type.dim[1] == v->type.dim[1]) {
		s->k = k;
		s->v = v;
	}
	if (s->scale <= 0 || !fits(s) || s->k->type.dtype != s->q->type.dtype || s->v->type.dtype != s->q->type.dtype)
		return NULL;
	bool causal = take_causal(s);
	WqValue *mask = one_mask(s, rank);
	if (mask && (!mask_fits(s, mask)))
		return NULL;
	WqNode *n = wq_node_new(s->root->graph, OP_Attention, 4, (WqValue *[]){ s->q, s->k, s->v, mask });
	wq_set_f(n, "scale", s->scale);
	if (s->softcap)
		wq_set_f(n, "softcap", s->softcap);
	if (causal)
		wq_set_i(n, "causal", 1);
	WqValue *y = wq_node_value(n, s->root);
	return rank == 4 ? y : reshape(s, y, 3, s->root->out[0]->type.dim);
}

static bool fuse(WqNode *root, WqArena *a)
{
	WqNode *softmax = root->op == OP_MatMul ? softmax_of(root->in[0]) : NULL;
	Scores s = { .root = root, .a = a, .v = root->in[root->op == OP_MatMul], .scale = 1 };
	if (!softmax || !walk_scores(&s, softmax->in[0]))
		return false;
	int rank = softmax->out[0]->type.rank;
	if (!same_rank(&s, rank) || !splits(&s, softmax->out[0]->type.dim[0]))
		return false;
	WqNode *mark = root->prev;
	root->graph->mod->where = root->name;
	WqValue *y = attention(&s, rank);
	root->graph->mod->where = NULL;
	if (!y || !wq_type_same(&y->type, &root->out[0]->type)) {
		wq_nodes_take_back(mark, root);
		return false;
	}
	wq_node_replace(root, y);
	return true;
}

static int fuse_graph(WqGraph *g, void *a)
{
	int changes = 0;
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->n_in)
			changes += fuse(n, a);
	}
	return changes;
}

int pass_fuse_attention(WqModule *m, const WqPassRun *r) { return wq_each_graph(m, fuse_graph, wq_pass_arena(r)); }
