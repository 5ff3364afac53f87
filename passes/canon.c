/* canon.c: one spelling for what can be written in several ways, so that other passes have fewer to know.
 *
 * Before: a = Sub(2, x)   b = Add(1, a)   y = Div(b, 4)    After: a = Sub(2, x)   b = Add(a, 1)   y = Mul(b, 0.25)
 *
 * Constants stand right of commutative operators; a constant is added, not subtracted, and multiplied by rather
 * than divided by where its reciprocal is exact; axes count from the front; shapes are numbers where types know
 * them; permutations are spelled out; a Transpose that moves no element is a Reshape. Each rule goes one way.
 * Keeps: every output bit for bit (but for which NaN it is); with the option `fast` also x / c -> x * (1/c) for
 * any c, and powers as products and roots, which differ by rounding.
 */
#include "passes/match.h"

#include <math.h>

enum { LARGE = 1 << 16 }; /* constants with more elements are weights: left as they are */

/* ---- rules ----------------------------------------------------------------------------------- */

static bool is_int(WqMatch *x) { return wq_dtype_is_int(wq_m_root(x)->out[0]->type.dtype); }
static bool int_or_fast(WqMatch *x) { return is_int(x) || wq_m_option(x, "fast"); }
static bool fast(WqMatch *x) { return !is_int(x) && wq_m_option(x, "fast"); }

/* A constant that is worth computing another from. */
static bool small(WqMatch *x)
{
	const WqValue *c = wq_m(x, "c");
	return c->graph->mod->fold && wq_tensor_count(c->data) <= LARGE;
}

static bool signed_c(WqMatch *x)
{
	WqDtype t = wq_m(x, "c")->type.dtype;
	return small(x) && (wq_dtype_is_float(t) || wq_dtype_is_signed(t));
}

static bool exact_reciprocal(WqDtype t, double v)
{
	int e, least = t == WQ_F16 ? -14 : t == WQ_F64 ? -1022 : -126;
	double m = frexp(fabs(v), &e);
	return m == 0.5 && e - 1 >= least && 1 - e >= least;
}

static bool divides_exactly(WqMatch *x)
{
	const WqValue *c = wq_m(x, "c");
	if (is_int(x) || !small(x))
		return false;
	for (int64_t i = 0; i < wq_tensor_count(c->data); i++)
		if (!exact_reciprocal(c->type.dtype, wq_tensor_get_f(c->data, i)))
			return false;
	return true;
}

static bool divides_fast(WqMatch *x)
{
	const WqValue *c = wq_m(x, "c");
	if (!fast(x) || !small(x))
		return false;
	for (int64_t i = 0; i < wq_tensor_count(c->data); i++) {
		double v = fabs(wq_tensor_get_f(c->data, i));
		if (!(v > 1e-4 && v < 1e4)) /* the reciprocal must be an ordinary number, in f16 too */
			return false;
	}
	return true;
}

static const WqRule rules[] = {
	{ "Sub(x, $c)", "Add(x, Neg($c))", signed_c },
	{ "Sub(-0, x)", "Neg(x)" },
	{ "Div(x, $c)", "Mul(x, Div(1, $c))", divides_exactly },
	{ "Div(x, $c)", "Mul(x, Div(1, $c))", divides_fast },
	{ "Mul(x, -1)", "Neg(x)" },
	{ "Div(x, -1)", "Neg(x)" },
	{ "Pow(x, 2)", "Mul(x, x)", int_or_fast },
	{ "Pow(x, 3)", "Mul(x, Mul(x, x))", int_or_fast },
	{ "Pow(x, 0.5)", "Sqrt(x)", fast },
	{ "Pow(x, -0.5)", "Div(1, Sqrt(x))", fast },
	{ "Pow(x, -1)", "Div(1, x)", fast },
};

/* ---- operand order --------------------------------------------------------------------------- */

static int order(WqNode *n)
{
	if (!wq_swaps_exactly(n) || !n->in[0]->data || n->in[1]->data)
		return 0;
	WqValue *c = n->in[0], *x = n->in[1];
	wq_node_set_in(n, 0, x);
	wq_node_set_in(n, 1, c);
	return 1;
}

/* ---- axes ------------------------------------------------------------------------------------ */

static int front_axis(WqNode *n)
{
	WqAttr def;
	bool required;
	int rank = n->n_in && n->in[0] && n->in[0]->type.kind == WQ_TENSOR ? n->in[0]->type.rank : -1;
	if (rank < 0 || !wq_attr_schema(n->op, "axis", &def, &required))
		return 0;
	int64_t axis = wq_attr_i(n, "axis");
	if (axis >= 0 || axis + rank < 0)
		return 0;
	wq_set_i(n, "axis", axis + rank);
	return 1;
}

static bool reduces(WqOp op)
{
	return op == OP_ReduceSum || op == OP_ReduceMean || op == OP_ReduceProd || op == OP_ReduceMax ||
	       op == OP_ReduceMin;
}

/* Puts numbers in the place of operand i, if they are not there already. */
static int set_numbers(WqNode *n, int i, int count, const int64_t *v, WqArena *a)
{
	int k;
	const int64_t *old;
	if (wq_value_const_i64s(n->in[i], &k, &old, a) && k == count && !memcmp(old, v, (size_t)count * sizeof *v))
		return 0;
	wq_node_set_in(n, i, wq_const_i64s(n->graph, count, v));
	return 1;
}

static int reduce_axes(WqNode *n, WqArena *a)
{
	int k, count = 0;
	const int64_t *v;
	int64_t axes[WQ_MAX_RANK];
	bool flag[WQ_MAX_RANK] = { 0 };
	if (!reduces(n->op) || n->n_in < 2 || !wq_value_const_i64s(n->in[1], &k, &v, a) || k == 0)
		return 0;
	int rank = n->in[0]->type.rank;
	if (rank < 0)
		return 0;
	for (int i = 0; i < k; i++)
		flag[v[i] < 0 ? v[i] + rank : v[i]] = true;
	for (int d = 0; d < rank; d++)
		if (flag[d])
			axes[count++] = d;
	return set_numbers(n, 1, count, axes, a);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static int number_shape(WqNode *n, WqArena *a)
{
	const WqType *t = &n->out[0]->type;
	if ((n->op != OP_Reshape && n->op != OP_Expand) || !wq_type_static(t) || !n->in[1]->data)
		return 0;
	int changes = set_numbers(n, 1, t->rank, t->dim, a);
	bool empty = false;
	for (int d = 0; d < t->rank; d++)
		empty |= t->dim[d] == 0;
	if (n->op == OP_Reshape && empty && !wq_attr_i(n, "allowzero")) {
		wq_set_i(n, "allowzero", 1);
		changes++;
	}
	return changes;
}

/* Starts and ends within the axis, steps and axes positive where the sizes are numbers. Steps back are left alone. */
static int slice_range(WqNode *n, WqArena *a)
{
	int k, count = 0;
	const int64_t *in[4];
	int64_t v[4][WQ_MAX_RANK];
	if (n->op != OP_Slice || n->in[0]->type.rank < 0)
		return 0;
	const WqType *t = &n->in[0]->type;
	for (int i = 0; i < 4; i++)
		if (!wq_value_const_i64s(n->in[1 + i], &k, &in[i], a) || (i && k != count))
			return 0;
		else
			count = k;
	k = 0;
	for (int i = 0; i < count; i++) {
		int64_t axis = in[2][i] < 0 ? in[2][i] + t->rank : in[2][i], size = t->dim[axis];
		if (!wq_dim_static(size) || in[3][i] < 1)
			return 0;
		int64_t from = in[0][i] < 0 ? in[0][i] + size : in[0][i],
			to = in[1][i] < 0 ? in[1][i] + size : in[1][i];
		from = from < 0 ? 0 : from > size ? size : from;
		to = to < from ? from : to > size ? size : to;
		if (from == 0 && to == size && in[3][i] == 1)
			continue;
		int64_t row[] = { from, to, axis, in[3][i] };
		for (int j = 0; j < 4; j++)
			v[j][k] = row[j];
		k++;
	}
	int changes = 0;
	for (int j = 0; k && j < 4; j++) /* one that takes all is algebra's */
		changes += set_numbers(n, 1 + j, k, v[j], a);
	return changes;
}

/* ---- Transpose ------------------------------------------------------------------------------- */

static bool moves_nothing(const WqType *t, int rank, const int64_t *perm)
{
	int64_t last = -1;
	for (int i = 0; i < rank; i++) {
		if (t->dim[perm[i]] == 1)
			continue;
		if (perm[i] < last)
			return false;
		last = perm[i];
	}
	return true;
}

static int transpose(WqNode *n)
{
	int64_t perm[WQ_MAX_RANK];
	int count;
	if (n->op != OP_Transpose)
		return 0;
	int rank = wq_perm_of(n, perm);
	if (rank < 0)
		return 0;
	if (moves_nothing(&n->in[0]->type, rank, perm)) {
		WqValue *in[] = { n->in[0], wq_dims_before(n, rank, n->out[0]->type.dim) };
		WqNode *r = wq_node_new(n->graph, OP_Reshape, 2, in);
		r->name = n->name;
		wq_set_i(r, "allowzero", 1);
		wq_node_replace(n, wq_node_value(r, n));
		return 1;
	}
	if (wq_attr_ints(n, "perm", &count), count == rank)
		return 0;
	wq_set_ints(n, "perm", rank, perm);
	return 1;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static int spell(WqGraph *g, void *arena)
{
	int changes = 0;
	for (WqNode *n = g->first, *next; n; n = next) {
		next = n->next;
		if (!n->n_out || !n->out[0])
			continue;
		changes += order(n) + front_axis(n) + reduce_axes(n, arena) + number_shape(n, arena) +
			   slice_range(n, arena);
		changes += transpose(n);
	}
	return changes;
}

int pass_canon(WqModule *m, const WqPassRun *r)
{
	int changes = wq_each_graph(m, spell, wq_pass_arena(r));
	return changes + wq_rewrite(m, r, rules, WQ_COUNTOF(rules));
}
