/* algebra.c: identities that make the graph smaller.
 *
 * Before: a = Mul(x, 1)   y = Neg(Neg(a))                  After: y = x
 *
 * Every rule removes a node or moves one to smaller tensors, so the set ends.
 * Needs: types. Works best after canon.
 * Keeps: every output bit for bit (but for which NaN it is); with the option `fast` also rules under which a zero may
 * change its sign: x + 0.0, sums and means of one element.
 */
#include "passes/match.h"

/* ---- guards ---------------------------------------------------------------------------------- */

static bool is_int(const WqValue *v) { return wq_dtype_is_int(v->type.dtype); }
static bool root_is_int(WqMatch *x) { return is_int(wq_m_root(x)->out[0]); }
static bool int_or_fast(WqMatch *x) { return root_is_int(x) || wq_m_option(x, "fast"); }
static bool root_is_float(WqMatch *x) { return !root_is_int(x); }
static bool root_is_signed(WqMatch *x)
{
	return !root_is_int(x) || wq_dtype_is_signed(wq_m_root(x)->out[0]->type.dtype);
}
static bool x_is_int(WqMatch *x) { return is_int(wq_m(x, "x")); }

static bool c_positive(WqMatch *x)
{
	double v;
	return wq_m_num(x, "c", &v) && v > 0;
}

static bool c_negative(WqMatch *x)
{
	double v;
	return wq_m_num(x, "c", &v) && v < 0;
}

/* Of two zeros Max and Min take either: constants must not be zero for the order not to show. */
static bool not_zero(const WqMatch *x, const char *name)
{
	double v;
	return wq_m_num(x, name, &v) && v != 0;
}

static bool no_zeros(WqMatch *x) { return int_or_fast(x) || (not_zero(x, "a") && not_zero(x, "b")); }

/* ---- makers: a value in the root's shape ----------------------------------------------------- */

static WqValue *expanded(WqMatch *x, WqValue *v)
{
	const WqType *t = &wq_m_root(x)->out[0]->type;
	if (wq_type_same(&v->type, t) || t->rank < 0 || v->type.rank < 0)
		return v;
	for (int d = 0; d < t->rank; d++)
		if (!wq_dim_static(t->dim[d]))
			return v;
	return wq_m_build(x, OP_Expand, 2, (WqValue *[]){ v, wq_dims_before(wq_m_root(x), t->rank, t->dim) });
}

static WqValue *keep_x(WqMatch *x) { return expanded(x, wq_m(x, "x")); }

static WqValue *filled(WqMatch *x, int v)
{
	WqNode *root = wq_m_root(x);
	return expanded(x, wq_const_int(root->graph, root->out[0]->type.dtype, v));
}

static WqValue *zeros(WqMatch *x) { return filled(x, 0); }
static WqValue *ones(WqMatch *x) { return filled(x, 1); }

/* ---- Cast ------------------------------------------------------------------------------------ */

/* Whole numbers of so many bits a float type holds; 0 if t is none of these. */
static int whole_bits(WqDtype t)
{
	return t == WQ_F64 ? 53 : t == WQ_F32 ? 24 : t == WQ_F16 ? 10 : t == WQ_BF16 ? 8 : 0;
}

/* Is every value of a also a value of b? */
static bool holds(WqDtype b, WqDtype a)
{
	int bits = wq_dtype(a)->bits;
	if (a == b)
		return true;
	if (a == WQ_BOOL)
		return wq_dtype_is_int(b) || whole_bits(b);
	if (wq_dtype_is_int(a) && wq_dtype_is_int(b))
		return wq_dtype_is_signed(a) ? wq_dtype_is_signed(b) && wq_dtype(b)->bits >= bits
					     : wq_dtype(b)->bits >= bits + wq_dtype_is_signed(b);
	if (wq_dtype_is_int(a))
		return whole_bits(b) >= bits;
	return whole_bits(a) && (b == WQ_F64 || (b == WQ_F32 && a != WQ_F64));
}

/* Cast(Cast(x: A -> B) -> C) is Cast(x -> C) if B loses nothing and C asks the same of an A as of a B. */
static WqValue *cast_chain(WqMatch *x)
{
	WqValue *v = wq_m(x, "x");
	WqNode *root = wq_m_root(x);
	WqDtype a = v->type.dtype, b = root->in[0]->type.dtype, c = root->out[0]->type.dtype;
	if (!holds(b, a))
		return NULL;
	bool float_a = wq_dtype_is_float(a), float_b = wq_dtype_is_float(b);
	if (float_a != float_b && !holds(c, a) && !whole_bits(c) && c != WQ_BOOL)
		return NULL; /* from a whole number the low bits are taken; from a float, something else */
	if (c == a)
		return v;
	WqNode *n = wq_m_node(x, OP_Cast, 1, &v);
	wq_attr_copy(n, root);
	return wq_node_value(n, root);
}

/* ---- Reshape --------------------------------------------------------------------------------- */

static WqValue *reshape_chain(WqMatch *x)
{
	WqNode *root = wq_m_root(x);
	const WqType *t = &root->out[0]->type;
	WqValue *shape = root->in[1];
	int n;
	const int64_t *v;
	bool exact = wq_attr_i(root, "allowzero"), reuse = !exact;
	if (reuse && wq_value_const_i64s(shape, &n, &v, wq_m_arena(x))) {
		for (int i = 0; i < n; i++)
			reuse &= v[i] != 0;
	} else if (reuse) {
		reuse = false;
		exact = shape->sym && t->rank > 0 && !memcmp(shape->sym, t->dim, (size_t)t->rank * sizeof *t->dim);
	}
	if (!reuse && !exact && !wq_type_static(t))
		return NULL;
	WqValue *in[] = { wq_m(x, "x"), reuse || exact ? shape : wq_const_i64s(root->graph, t->rank, t->dim) };
	WqNode *r = wq_m_node(x, OP_Reshape, 2, in);
	if (!reuse)
		wq_set_i(r, "allowzero", 1);
	return wq_node_value(r, root);
}

/* ---- Slice and Concat ------------------------------------------------------------------------ */

typedef struct Cut { /* of one axis, step 1, within the axis */
	int axis;
	int64_t from, to;
} Cut;

static bool one_number(const WqValue *v, int64_t *out)
{
	if (!v || !v->data || wq_tensor_count(v->data) != 1)
		return false;
	*out = wq_tensor_get_i(v->data, 0);
	return true;
}

static bool cut_of(const WqNode *n, Cut *c)
{
	int64_t axis, step;
	const WqType *t = &n->in[0]->type;
	if (!one_number(n->in[1], &c->from) || !one_number(n->in[2], &c->to) || !one_number(n->in[3], &axis) ||
	    !one_number(n->in[4], &step) || step != 1 || t->rank < 0)
		return false;
	axis += axis < 0 ? t->rank : 0;
	if (axis < 0 || axis >= t->rank || !wq_dim_static(t->dim[axis]))
		return false;
	int64_t size = t->dim[axis];
	c->axis = (int)axis;
	c->from = c->from < 0 ? c->from + size : c->from;
	c->to = c->to < 0 ? c->to + size : c->to;
	c->from = c->from < 0 ? 0 : c->from > size ? size : c->from;
	c->to = c->to < c->from ? c->from : c->to > size ? size : c->to;
	return true;
}

static WqValue *slice(WqMatch *x, WqValue *v, Cut c)
{
	WqGraph *g = wq_m_root(x)->graph;
	int64_t axis = c.axis, one = 1;
	if (c.from == 0 && c.to == v->type.dim[c.axis])
		return v;
	WqValue *in[] = { v, wq_const_i64s(g, 1, &c.from), wq_const_i64s(g, 1, &c.to), wq_const_i64s(g, 1, &axis),
			  wq_const_i64s(g, 1, &one) };
	return wq_m_build(x, OP_Slice, 5, in);
}

/* A slice that stays within one operand of a Concat along the same axis. */
static WqValue *slice_of_concat(WqMatch *x)
{
	const WqNode *concat = wq_m(x, "cat")->def;
	Cut c;
	if (!cut_of(wq_m_root(x), &c) || c.from == c.to || wq_axis_of(concat, concat->out[0]->type.rank) != c.axis)
		return NULL;
	for (int i = 0; i < concat->n_in; i++) {
		int64_t size = concat->in[i]->type.dim[c.axis];
		if (!wq_dim_static(size))
			return NULL;
		if (c.from >= size) {
			c.from -= size;
			c.to -= size;
		} else {
			return c.to <= size ? slice(x, concat->in[i], c) : NULL;
		}
	}
	return NULL;
}

/* Slices that follow each other on one tensor, or Concats inside: how many operands from in[i] on become v. */
static int join(WqMatch *x, const WqNode *n, int axis, int i, WqValue **v)
{
	const WqNode *s = wq_def(n->in[i], OP_Slice);
	Cut a, b;
	int k = i + 1;
	*v = n->in[i];
	if (!s || !cut_of(s, &a) || a.axis != axis)
		return 1;
	for (; k < n->n_in; k++) {
		const WqNode *t = wq_def(n->in[k], OP_Slice);
		if (!t || t->in[0] != s->in[0] || !cut_of(t, &b) || b.axis != axis || b.from != a.to)
			break;
		a.to = b.to;
	}
	if (k > i + 1)
		*v = slice(x, s->in[0], a);
	return k - i;
}

/* The Concat along the same axis that alone uses v, once: else what is written out for each use could double with
 * each of them. */
static const WqNode *absorber(const WqValue *v, int axis)
{
	const WqNode *n = wq_value_num_uses(v) == 1 && v->uses.n ? v->uses.v[0].node : NULL;
	return n && n->op == OP_Concat && wq_axis_of(n, v->type.rank) == axis ? n : NULL;
}

typedef WQ_VEC(WqValue *) Values;

typedef struct Level { /* a Concat, and how far in it */
	const WqNode *n;
	int i;
} Level;

/* The operands of the outermost Concat with those of the inner ones in their places: in one go, as they may be
 * nested deeply. */
static bool flatten(WqMatch *x, const WqNode *root, int axis, Values *in)
{
	WQ_VEC(Level) level = { 0 };
	WqArena *a = wq_m_arena(x);
	bool shorter = false;
	WQ_PUSH(a, level, ((Level){ root, 0 }));
	while (level.n) {
		const WqNode *n = level.v[level.n - 1].n;
		int *i = &level.v[level.n - 1].i;
		WqValue *v;
		if (*i == n->n_in) {
			level.n--;
			continue;
		}
		int used = join(x, n, axis, *i, &v);
		const WqNode *c = used == 1 ? wq_def(v, OP_Concat) : NULL;
		bool inner = c && wq_axis_of(c, v->type.rank) == axis && absorber(v, axis) == n;
		bool empty = v->type.rank > axis && v->type.dim[axis] == 0 && n->n_in > 1;
		*i += used;
		shorter |= used > 1 || inner || empty;
		if (inner)
			WQ_PUSH(a, level, ((Level){ v->def, 0 }));
		else if (!empty)
			WQ_PUSH(a, *in, v);
	}
	return shorter;
}

static WqValue *shorter_concat(WqMatch *x)
{
	WqNode *root = wq_m_root(x);
	int axis = wq_axis_of(root, root->out[0]->type.rank);
	Values in = { 0 };
	if (axis < 0 || absorber(root->out[0], axis) || !flatten(x, root, axis, &in) || in.n == 0)
		return NULL;
	WqNode *n = wq_m_node(x, OP_Concat, in.n, in.v);
	wq_set_i(n, "axis", axis);
	return wq_node_value(n, root);
}

/* ---- Transpose ------------------------------------------------------------------------------- */

WqValue *wq_transpose_both(WqNode *outer)
{
	WqNode *inner = outer->in[0]->def;
	int64_t p[WQ_MAX_RANK], q[WQ_MAX_RANK];
	int rank = wq_perm_of(outer, p);
	if (rank < 0 || wq_perm_of(inner, q) != rank)
		return NULL;
	for (int i = 0; i < rank; i++)
		p[i] = q[p[i]];
	WqNode *n = wq_node_new(outer->graph, OP_Transpose, 1, inner->in);
	wq_set_ints(n, "perm", rank, p);
	return wq_node_value(n, outer);
}

static WqValue *transpose_chain(WqMatch *x) { return wq_transpose_both(wq_m_root(x)); }

/* ---- padding into windows -------------------------------------------------------------------- */

static bool zero_or_absent(const WqNode *pad)
{
	double v;
	return pad->n_in < 3 || !pad->in[2] || (wq_value_const_f(pad->in[2], &v) && v == 0);
}

/* The padding of the spatial axes (before each, then after each), if there is no other and none is negative. */
static bool spatial_pads(const WqNode *pad, WqArena *a, int64_t *out)
{
	int n, rank = pad->in[0]->type.rank;
	const int64_t *v;
	if (strcmp(wq_attr_s(pad, "mode"), "constant") || !zero_or_absent(pad) || (pad->n_in > 3 && pad->in[3]) ||
	    rank < 3 || !wq_value_const_i64s(pad->in[1], &n, &v, a) || n != 2 * rank)
		return false;
	if (v[0] || v[1] || v[rank] || v[rank + 1])
		return false;
	for (int d = 2; d < rank; d++) {
		out[d - 2] = v[d];
		out[rank - 4 + d] = v[rank + d];
		if (v[d] < 0 || v[rank + d] < 0)
			return false;
	}
	return true;
}

/* AveragePool sums what is there and divides by the window with its padding: only without ceil_mode and other
 * padding is Pad's zero the same as its own. */
static bool pool_takes(const WqNode *pool)
{
	int n;
	const int64_t *own = wq_attr_ints(pool, "pads", &n);
	bool none = true;
	for (int i = 0; i < n; i++)
		none &= own[i] == 0;
	return !wq_attr_i(pool, "ceil_mode") && (none || wq_attr_i(pool, "count_include_pad"));
}

static WqValue *pad_into_window(WqMatch *x)
{
	WqNode *root = wq_m_root(x), *pad = root->in[0]->def;
	int64_t pads[2 * WQ_MAX_RANK];
	int n, k = 2 * (pad->in[0]->type.rank - 2);
	if (strcmp(wq_attr_s(root, "auto_pad"), "NOTSET") || !spatial_pads(pad, wq_m_arena(x), pads) ||
	    (root->op == OP_AveragePool && !pool_takes(root)))
		return NULL;
	const int64_t *own = wq_attr_ints(root, "pads", &n);
	for (int i = 0; i < n && i < k; i++)
		pads[i] += own[i];
	WqValue *in[] = { pad->in[0], root->n_in > 1 ? root->in[1] : NULL, root->n_in > 2 ? root->in[2] : NULL };
	WqNode *w = wq_m_node(x, root->op, root->n_in, in);
	wq_attr_copy(w, root);
	wq_set_ints(w, "pads", k, pads);
	if (root->op == OP_AveragePool)
		wq_set_i(w, "count_include_pad", 1);
	return wq_node_value(w, root);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static const WqRule rules[] = {
	/* neutral elements; -0 is also the integers' zero */
	{ "Add(x, -0)", .make = keep_x },
	{ "Add(x, 0)", .when = int_or_fast, .make = keep_x },
	{ "Sub(x, 0)", .make = keep_x },
	{ "Sub(x, -0)", .when = int_or_fast, .make = keep_x },
	{ "Mul(x, 1)", .make = keep_x },
	{ "Div(x, 1)", .make = keep_x },
	{ "Pow(x, 1)", .make = keep_x },
	{ "And(x, 1)", .make = keep_x },
	{ "Or(x, 0)", .make = keep_x },
	{ "Xor(x, 0)", .make = keep_x },
	{ "BitwiseOr(x, 0)", .make = keep_x },
	{ "BitwiseXor(x, 0)", .make = keep_x },
	{ "BitShift(x, 0)", .make = keep_x },

	/* what is always the same; of floats, NaN would show */
	{ "Mul(_, 0)", .when = root_is_int, .make = zeros },
	{ "Sub(x, x)", .when = root_is_int, .make = zeros },
	{ "And(_, 0)", .make = zeros },
	{ "Or(_, 1)", .make = ones },
	{ "Xor(x, x)", .make = zeros },
	{ "BitwiseAnd(_, 0)", .make = zeros },
	{ "BitwiseXor(x, x)", .make = zeros },
	{ "Less(x, x)", .make = zeros },
	{ "LessOrEqual(x, x)", .when = x_is_int, .make = ones },
	{ "Equal(x, x)", .when = x_is_int, .make = ones },

	/* twice is once, or not at all */
	{ "Neg(Neg(x))", "x" },
	{ "Not(Not(x))", "x" },
	{ "BitwiseNot(BitwiseNot(x))", "x" },
	{ "Abs(y=Abs(_))", "y" },
	{ "Abs(Neg(x))", "Abs(x)", root_is_signed },
	{ "Sign(y=Sign(_))", "y" },
	{ "Relu(y=Relu(_))", "y" },
	{ "Relu(y=Abs(_) | y=Exp(_) | y=Sqrt(_) | y=Sigmoid(_))", "y", root_is_float },
	{ "Floor(y=Floor(_) | y=Ceil(_) | y=Round(_))", "y" },
	{ "Ceil(y=Floor(_) | y=Ceil(_) | y=Round(_))", "y" },
	{ "Round(y=Floor(_) | y=Ceil(_) | y=Round(_))", "y" },
	{ "Max(x, x)", "x" },
	{ "Min(x, x)", "x" },
	{ "And(x, x)", "x" },
	{ "Or(x, x)", "x" },
	{ "BitwiseAnd(x, x)", "x" },
	{ "BitwiseOr(x, x)", "x" },
	{ "Max(y=Max(x, _), x)", "y", int_or_fast },
	{ "Min(y=Min(x, _), x)", "y", int_or_fast },

	/* signs */
	{ "Add(x, Neg(y))", "Sub(x, y)" },
	{ "Sub(x, Neg(y))", "Add(x, y)" },
	{ "Mul(Neg(x), Neg(y))", "Mul(x, y)" },
	{ "Div(Neg(x), Neg(y))", "Div(x, y)", root_is_float },
	{ "Mul(Neg(x), $c)", "Mul(x, Neg($c))" },
	{ "Neg(Mul!(x, $c))", "Mul(x, Neg($c))" },

	/* two constants become one: exact for integers, and where nothing is rounded */
	{ "Add(Add(x, $a), $b)", "Add(x, Add($a, $b))", root_is_int },
	{ "Mul(Mul(x, $a), $b)", "Mul(x, Mul($a, $b))", root_is_int },
	{ "Max(Max(x, $a), $b)", "Max(x, Max($a, $b))", no_zeros },
	{ "Min(Min(x, $a), $b)", "Min(x, Min($a, $b))", no_zeros },
	{ "Relu(y=Max(_, $c))", "y", c_positive },
	{ "Max(Relu(x), $c)", "Max(x, $c)", c_positive },
	{ "Max(y=Relu(_), $c)", "y", c_negative },

	/* choices that are made */
	{ "Where(1, x, _)", .make = keep_x },
	{ "Where(0, _, x)", .make = keep_x },
	{ "Where(_, x, x)", .make = keep_x },
	{ "Where(Not(c), a, b)", "Where(c, b, a)" },
	{ "Where(c, Where(c, a, _), b)", "Where(c, a, b)" },
	{ "Where(c, a, Where(c, _, b))", "Where(c, a, b)" },

	/* types and shapes: where the result is of the type of x, nothing happens */
	{ "Cast(Cast(x))", .make = cast_chain },
	{ "Cast(x)", "x" },
	{ "Reshape(Reshape(x, _), _)", .make = reshape_chain },
	{ "Reshape(x, _)", "x" },
	{ "Expand(Expand(x, _), s)", "Expand(x, s)" },
	{ "Expand(x, _)", "x" },
	{ "Pad(x, 0, ...)", "x" },
	{ "Slice(x, _, _, _, 1)", "x" },
	{ "Slice(cat=Concat(...), ...)", .make = slice_of_concat },
	{ "Concat(...)", .make = shorter_concat },
	{ "Transpose(Transpose(_))", .make = transpose_chain },
	{ "ReduceMax(x, ...)", "x" },
	{ "ReduceMin(x, ...)", "x" },
	{ "ReduceProd(x, ...)", "x" },
	{ "ReduceSum(x, ...)", "x", int_or_fast },
	{ "ReduceMean(x, ...)", "x", int_or_fast },

	/* padding belongs to the window */
	{ "Conv(Pad(_, ...), ...)", .make = pad_into_window },
	{ "AveragePool(Pad(_, ...))", .make = pad_into_window },
};

/* ---- Expand before an operator that broadcasts by itself ------------------------------------- */

static bool drop_expand(WqNode *n, int i)
{
	WqNode *e = wq_def(n->in[i], OP_Expand);
	WqValue *in[3];
	if (!e)
		return false;
	for (int k = 0; k < n->n_in; k++)
		in[k] = k == i ? e->in[0] : n->in[k];
	/* only if the others make the shape */
	WqNode *m = wq_node_new(n->graph, n->op, n->n_in, in);
	wq_attr_copy(m, n);
	m->name = n->name;
	wq_node_finish(m, 1, n);
	if (wq_type_same(&m->out[0]->type, &n->out[0]->type)) {
		wq_node_replace(n, m->out[0]);
		return true;
	}
	wq_node_prune(m);
	return false;
}

static int drop_expands(WqGraph *g, void *arg)
{
	int changes = 0;
	(void)arg;
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		if (!(wq_op(n->op)->flags & WQ_EW) || n->n_in < 2 || n->n_in > 3 || !n->out[0])
			continue;
		for (int i = 0; n->graph && i < n->n_in; i++)
			changes += drop_expand(n, i);
	}
	return changes;
}

int pass_algebra(WqModule *m, const WqPassRun *r)
{
	return wq_rewrite(m, r, rules, WQ_COUNTOF(rules)) + wq_each_graph(m, drop_expands, NULL);
}
