/* affine.c: constant factors and terms go into the weights and bias of Conv, ConvTranspose and MatMul.
 *
 * Before: a = Conv(x, w)  b = Mul(a, s)  y = Add(b, c)     (a BatchNormalization, lowered)
 * After:  y = Conv(x, w*s, c)
 *
 * After the operator: factors and terms per output channel (for MatMul, per column; a term stays an Add). Before
 * it: factors per input channel, terms where the window is not padded. Chains of constant factors and terms become
 * one of each. Weights that something else uses stay as they are. A changed weight is no longer the model's
 * initializer: run compression first, which sees that one.
 * Needs: constants on the right (canon). Each rule removes a node or moves a constant nearer to the weights.
 * Keeps: results to rounding.
 */
#include "passes/match.h"

static bool is_window(const WqNode *n) { return n->op == OP_Conv || n->op == OP_ConvTranspose; }

/* Does the factor or term before the operator leave its operand's shape? (It may make it larger.) */
static bool keeps_shape(const WqMatch *x) { return wq_type_same(&wq_m(x, "x")->type, &wq_m(x, "m")->type); }

static WqValue *reshape(const WqMatch *x, WqValue *v, int rank, const int64_t *dim)
{
	WqNode *n = wq_m_node(x, OP_Reshape, 2, (WqValue *[]){ v, wq_const_i64s(wq_m_root(x)->graph, rank, dim) });
	wq_set_i(n, "allowzero", 1);
	return wq_node_value(n, wq_m_root(x));
}

static WqValue *times(const WqMatch *x, WqValue *a, WqValue *b)
{
	return wq_m_build(x, OP_Mul, 2, (WqValue *[]){ a, b });
}
static WqValue *plus(const WqMatch *x, WqValue *a, WqValue *b)
{
	return wq_m_build(x, OP_Add, 2, (WqValue *[]){ a, b });
}

/* A float weight that is the product's alone, and that the folder will change for us. */
static bool own_weight(const WqValue *w)
{
	return w->data && !w->data->packed && wq_dtype_in(w->type.dtype, WQ_M_FLOAT) && wq_value_num_uses(w) == 1 &&
	       w->graph->mod->fold;
}

/* c as [n] when it has one number per channel: all its axes are 1 but for `axis` of t, which is 1 or n. A single
 * number is repeated. NULL if it is anything else. */
static WqValue *channels(const WqMatch *x, WqValue *c, int rank, int axis, int64_t n)
{
	int at = axis - (rank - c->type.rank);
	if (c->type.rank > rank)
		return NULL;
	for (int d = 0; d < c->type.rank; d++)
		if (c->type.dim[d] != 1 && (d != at || c->type.dim[d] != n))
			return NULL;
	int64_t count = at >= 0 && at < c->type.rank ? c->type.dim[at] : 1;
	WqValue *v = reshape(x, c, 1, &count);
	if (count == n)
		return v;
	return wq_m_build(x, OP_Expand, 2, (WqValue *[]){ v, wq_const_i64s(wq_m_root(x)->graph, 1, &n) });
}

/* ---- windows --------------------------------------------------------------------------------- */

typedef struct Window {
	WqNode *node;
	WqValue *w, *bias; /* bias: NULL if absent */
	int64_t group, in, out; /* channels */
} Window;

static bool window_of(const WqValue *v, Window *k)
{
	WqNode *n = v->def;
	if (!n || !is_window(n) || !own_weight(n->in[1]) || n->in[1]->type.rank < 3)
		return false;
	const WqDim *d = n->in[1]->type.dim;
	*k = (Window){ n, n->in[1], n->n_in > 2 ? n->in[2] : NULL, wq_attr_i(n, "group"), 0, 0 };
	k->out = n->op == OP_Conv ? d[0] : d[1] * k->group;
	k->in = n->op == OP_Conv ? d[1] * k->group : d[0];
	return k->group > 0 && k->out % k->group == 0 && k->in % k->group == 0 && (!k->bias || k->bias->data);
}

/* The weight times one factor per output (or input) channel. Conv weights are [out, in/group, ..], ConvTranspose's
 * [in, out/group, ..]. */
static WqValue *scale_weight(const WqMatch *x, const Window *k, WqValue *s, bool by_out)
{
	int rank = k->w->type.rank + 1;
	bool first = (k->node->op == OP_Conv) == by_out; /* the channel is the weight's first axis */
	int64_t split[WQ_MAX_RANK + 1], factor[WQ_MAX_RANK + 1];
	if (rank > WQ_MAX_RANK)
		return NULL;
	split[0] = k->group;
	split[1] = k->w->type.dim[0] / k->group;
	for (int d = 1; d < rank - 1; d++)
		split[d + 1] = k->w->type.dim[d];
	for (int d = 0; d < rank; d++)
		factor[d] = 1;
	factor[0] = k->group;
	factor[first ? 1 : 2] = split[first ? 1 : 2];
	WqValue *w = times(x, reshape(x, k->w, rank, split), reshape(x, s, rank, factor));
	return reshape(x, w, rank - 1, k->w->type.dim);
}

static WqValue *rebuilt(const WqMatch *x, const Window *k, WqValue *in, WqValue *w, WqValue *bias)
{
	if (!w || !w->data || (bias && !bias->data))
		return NULL;
	WqNode *n = wq_m_node(x, k->node->op, 3, (WqValue *[]){ in, w, bias });
	wq_attr_copy(n, k->node);
	return wq_node_value(n, wq_m_root(x));
}

static WqValue *window_times(WqMatch *x)
{
	Window k;
	WqValue *v = wq_m(x, "y");
	if (!window_of(v, &k))
		return NULL;
	WqValue *s = channels(x, wq_m(x, "c"), v->type.rank, 1, k.out);
	return s ? rebuilt(x, &k, k.node->in[0], scale_weight(x, &k, s, true), k.bias ? times(x, k.bias, s) : NULL)
		 : NULL;
}

static WqValue *window_plus(WqMatch *x)
{
	Window k;
	WqValue *v = wq_m(x, "y");
	WqNode *n = v->def;
	if (!is_window(n) || n->in[1]->type.rank < 2 || (n->n_in > 2 && n->in[2] && !n->in[2]->data))
		return NULL;
	k = (Window){ n, n->in[1], n->n_in > 2 ? n->in[2] : NULL, 1, 0, 0 };
	if (!wq_dim_static(v->type.dim[1]))
		return NULL;
	WqValue *c = channels(x, wq_m(x, "c"), v->type.rank, 1, v->type.dim[1]);
	if (!c)
		return NULL;
	WqNode *m = wq_m_node(x, n->op, 3, (WqValue *[]){ n->in[0], k.w, k.bias ? plus(x, k.bias, c) : c });
	wq_attr_copy(m, n);
	return wq_node_value(m, wq_m_root(x));
}

static WqValue *window_of_times(WqMatch *x)
{
	Window k;
	WqValue *v = wq_m(x, "x");
	if (!keeps_shape(x) || !window_of(wq_m_root(x)->out[0], &k))
		return NULL;
	WqValue *s = channels(x, wq_m(x, "c"), wq_m(x, "m")->type.rank, 1, k.in);
	return s ? rebuilt(x, &k, v, scale_weight(x, &k, s, false), k.bias) : NULL;
}

static bool unpadded(const WqNode *n)
{
	int count;
	const char *how = wq_attr_s(n, "auto_pad");
	const int64_t *pads = wq_attr_ints(n, "pads", &count);
	for (int i = 0; i < count; i++)
		if (pads[i])
			return false;
	return !strcmp(how, "NOTSET") || !strcmp(how, "VALID");
}

/* A term before the window is a term per output channel after it: the weights' sums. */
static WqValue *window_of_plus(WqMatch *x)
{
	Window k;
	WqNode *root = wq_m_root(x);
	if (root->op != OP_Conv || !keeps_shape(x) || !unpadded(root) || !window_of(root->out[0], &k))
		return NULL;
	WqValue *t = channels(x, wq_m(x, "c"), wq_m(x, "m")->type.rank, 1, k.in);
	WqValue *w = t ? scale_weight(x, &k, t, false) : NULL;
	int64_t axes[WQ_MAX_RANK];
	int rank = k.w->type.rank;
	if (!w || !w->data)
		return NULL;
	for (int d = 1; d < rank; d++)
		axes[d - 1] = d;
	WqNode *sum = wq_m_node(x, OP_ReduceSum, 2, (WqValue *[]){ w, wq_const_i64s(root->graph, rank - 1, axes) });
	wq_set_i(sum, "keepdims", 0);
	WqValue *b = wq_node_value(sum, root);
	return rebuilt(x, &k, wq_m(x, "x"), k.w, k.bias ? plus(x, k.bias, b) : b);
}

/* ---- MatMul ---------------------------------------------------------------------------------- */

static bool matrix(const WqValue *w) { return own_weight(w) && w->type.rank == 2; }

static WqValue *matmul(const WqMatch *x, WqValue *a, WqValue *w)
{
	return w->data ? wq_m_build(x, OP_MatMul, 2, (WqValue *[]){ a, w }) : NULL;
}

/* MatMul(x, w) * c, c per column. */
static WqValue *matmul_times(WqMatch *x)
{
	WqValue *w = wq_m(x, "w"), *y = wq_m(x, "y");
	if (!matrix(w))
		return NULL;
	WqValue *s = channels(x, wq_m(x, "c"), y->type.rank, y->type.rank - 1, w->type.dim[1]);
	return s ? matmul(x, wq_m(x, "x"), times(x, w, s)) : NULL;
}

/* MatMul(x * c, w), c per row of w. */
static WqValue *matmul_of_times(WqMatch *x)
{
	WqValue *w = wq_m(x, "w"), *m = wq_m(x, "m");
	if (!matrix(w) || !keeps_shape(x))
		return NULL;
	int64_t k = w->type.dim[0];
	WqValue *s = channels(x, wq_m(x, "c"), m->type.rank, m->type.rank - 1, k);
	return s ? matmul(x, wq_m(x, "x"), times(x, w, reshape(x, s, 2, (int64_t[]){ k, 1 }))) : NULL;
}

/* MatMul(x + c, w) + d: the first term goes through the matrix. */
static WqValue *matmul_of_plus(WqMatch *x)
{
	WqValue *w = wq_m(x, "w"), *m = wq_m(x, "m");
	if (!matrix(w) || !keeps_shape(x) || m->type.rank < 2)
		return NULL;
	WqValue *t = channels(x, wq_m(x, "c"), m->type.rank, m->type.rank - 1, w->type.dim[0]);
	if (!t)
		return NULL;
	WqValue *term = plus(x, wq_m_build(x, OP_MatMul, 2, (WqValue *[]){ t, w }), wq_m(x, "d"));
	WqValue *y = term->data ? wq_m_build(x, OP_MatMul, 2, (WqValue *[]){ wq_m(x, "x"), w }) : NULL;
	return y ? plus(x, y, term) : NULL;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool is_float(WqMatch *x) { return wq_dtype_in(wq_m_root(x)->out[0]->type.dtype, WQ_M_FLOAT); }

/* Constants that are only as large as channels are: products with weights are not what this is for. */
static bool small(const WqValue *v) { return wq_tensor_count(v->data) <= 1 << 16; }
static bool small_ab(WqMatch *x) { return is_float(x) && small(wq_m(x, "a")) && small(wq_m(x, "b")); }
static bool small_abc(WqMatch *x) { return small_ab(x) && small(wq_m(x, "c")); }

/* A factor moves inside the sum where it will meet weights. */
static bool meets_weights(WqMatch *x)
{
	const WqNode *n = wq_m(x, "y")->def;
	return small_ab(x) && n && n->n_in > 1 && (is_window(n) || n->op == OP_MatMul) && n->in[1]->data;
}

static const WqRule rules[] = {
	{ "Mul(y=Conv!(...), $c)", .make = window_times },
	{ "Mul(y=ConvTranspose!(...), $c)", .make = window_times },
	{ "Add(y=Conv!(...), $c)", .make = window_plus },
	{ "Add(y=ConvTranspose!(...), $c)", .make = window_plus },
	{ "Conv(m=Mul!(x, $c), ...)", .make = window_of_times },
	{ "ConvTranspose(m=Mul!(x, $c), ...)", .make = window_of_times },
	{ "Conv(m=Add!(x, $c), ...)", .make = window_of_plus },
	{ "Mul(y=MatMul!(x, $w), $c)", .make = matmul_times },
	{ "MatMul(m=Mul!(x, $c), $w)", .make = matmul_of_times },
	{ "Add(MatMul!(m=Add!(x, $c), $w), $d)", .make = matmul_of_plus },
	{ "Mul(Add!(y, $a), $b)", "Add(Mul(y, $b), Mul($a, $b))", meets_weights },
	{ "Mul(Mul!(x, $a), $b)", "Mul(x, Mul($a, $b))", small_ab },
	{ "Add(Add!(x, $a), $b)", "Add(x, Add($a, $b))", small_ab },
	{ "Mul(Add!(Mul!(x, $a), $b), $c)", "Add(Mul(x, Mul($a, $c)), Mul($b, $c))", small_abc },
	{ "Add(Mul!(Add!(x, $a), $b), $c)", "Add(Mul(x, $b), Add(Mul($a, $b), $c))", small_abc },
};

int pass_affine(WqModule *m, const WqPassRun *r) { return wq_rewrite(m, r, rules, WQ_COUNTOF(rules)); }
