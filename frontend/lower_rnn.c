/* lower_rnn.c: RNN, GRU and LSTM as loops over time.
 *
 * For each direction x*W (and what bias can be added early) is one MatMul over all time steps; the loop's body has h*R
 * and the activations. A sequence that ends early keeps its state from there, and gives zeros.
 */
#include "frontend/lower_loop.h"

#include <strings.h>

/* ---- activations ----------------------------------------------------------------------------- */

typedef struct Activation {
	const char *name;
	bool has_alpha, has_beta;
	double alpha, beta; /* defaults in the table */
} Activation;

static const Activation known[] = {
	{ "Relu", false, false, 0, 0 },           { "Tanh", false, false, 0, 0 },
	{ "Sigmoid", false, false, 0, 0 },        { "Softsign", false, false, 0, 0 },
	{ "Softplus", false, false, 0, 0 },       { "Affine", true, true, 1, 0 },
	{ "LeakyRelu", true, false, 0.01, 0 },    { "Elu", true, false, 1, 0 },
	{ "ThresholdedRelu", true, false, 1, 0 }, { "ScaledTanh", true, true, 1, 1 },
	{ "HardSigmoid", true, true, 0.2, 0.5 },
};

enum { MAX_ACTIVATIONS = 3, MAX_STATES = 2 };

typedef struct Cell {             /* what all directions have in common */
	const char *const *usual; /* the default activations */
	int n_act, n_gates, n_states;
	Activation act[2 * MAX_ACTIVATIONS];
	int directions;
	bool reverse, batch_first;
	double clip; /* 0: none */
	WqDim t, b, h;
	WqValue *x;                /* [T,B,I] */
	WqValue *lens;             /* i64[B], or NULL */
	WqValue *init[MAX_STATES]; /* [D,B,H], or NULL */
} Cell;

typedef struct Dir { /* one direction */
	const Cell *c;
	const Activation *act;
	bool reverse;
	WqValue *xw;     /* [T,B,gates*H] */
	WqValue *r;      /* [H,gates*H] */
	WqValue *rb;     /* GRU, linear_before_reset: the hidden gate's recurrent bias [H]; else NULL */
	WqValue *p;      /* LSTM: peepholes [3*H]; NULL */
	bool coupled;    /* LSTM: input_forget */
	bool late_reset; /* GRU: linear_before_reset */
	WqValue *turned; /* i64[T,B,2]: where the element stands that is read at a step, if lengths say; else NULL */
} Dir;

static WqValue *op_s(Lower *L, WqOp op, WqValue *x, double v) { return lo2(L, op, x, lo_like(L, x, v)); }

static WqValue *clamp(Lower *L, WqValue *x, double lo, double hi)
{
	return op_s(L, OP_Min, op_s(L, OP_Max, x, lo), hi);
}

static WqValue *softplus(Lower *L, WqValue *x) /* max(x, 0) + log(1 + exp(-|x|)) */
{
	WqValue *e = lo1(L, OP_Exp, lo1(L, OP_Neg, lo1(L, OP_Abs, x)));

	return lo2(L, OP_Add, lo1(L, OP_Relu, x), lo1(L, OP_Log, op_s(L, OP_Add, e, 1)));
}

static WqValue *activate(Lower *L, const Dir *d, int i, WqValue *x)
{
	const Activation *a = &d->act[i];
	const char *name = a->name;

	/* the gates are clipped, not the cell that goes into an LSTM's third: as ONNX Runtime reads the attribute */
	if (d->c->clip > 0 && i < 2)
		x = clamp(L, x, -d->c->clip, d->c->clip);
	if (!strcmp(name, "Relu"))
		return lo1(L, OP_Relu, x);
	if (!strcmp(name, "Tanh"))
		return lo1(L, OP_Tanh, x);
	if (!strcmp(name, "Sigmoid"))
		return lo1(L, OP_Sigmoid, x);
	if (!strcmp(name, "Softsign"))
		return lo2(L, OP_Div, x, op_s(L, OP_Add, lo1(L, OP_Abs, x), 1));
	if (!strcmp(name, "Softplus"))
		return softplus(L, x);
	if (!strcmp(name, "Affine"))
		return op_s(L, OP_Add, op_s(L, OP_Mul, x, a->alpha), a->beta);
	if (!strcmp(name, "ScaledTanh"))
		return op_s(L, OP_Mul, lo1(L, OP_Tanh, op_s(L, OP_Mul, x, a->beta)), a->alpha);
	if (!strcmp(name, "HardSigmoid"))
		return clamp(L, op_s(L, OP_Add, op_s(L, OP_Mul, x, a->alpha), a->beta), 0, 1);
	if (!strcmp(name, "ThresholdedRelu"))
		return lo3(L, OP_Where, op_s(L, OP_Less, x, a->alpha), lo_like(L, x, 0), x);
	WqValue *low = op_s(L, OP_Mul, !strcmp(name, "Elu") ? op_s(L, OP_Sub, lo1(L, OP_Exp, x), 1) : x, a->alpha);
	return lo3(L, OP_Where, op_s(L, OP_Less, x, 0), low, x);
}

/* Alphas and betas go to the activations that have one, in order. */
static void read_activations(Lower *L, Cell *c)
{
	int n, n_alpha, n_beta, want = c->n_act * c->directions;
	const char **names = lo_strings(L, "activations", &n);
	const float *alpha = lo_floats(L, "activation_alpha", &n_alpha),
		    *beta = lo_floats(L, "activation_beta", &n_beta);

	if (n && n < want)
		lo_bad(L, "%d activations instead of %d", n, want);
	for (int i = 0, ia = 0, ib = 0; i < want; i++) {
		const char *name = n ? names[i] : c->usual[i % c->n_act];
		int k = 0;
		while (k < WQ_COUNTOF(known) && strcasecmp(known[k].name, name))
			k++;
		if (k == WQ_COUNTOF(known))
			lo_unsupported(L, "activation '%.100s'", name);
		c->act[i] = known[k];
		if (known[k].has_alpha && ia < n_alpha)
			c->act[i].alpha = alpha[ia++];
		if (known[k].has_beta && ib < n_beta)
			c->act[i].beta = beta[ib++];
	}
}

/* ---- operands -------------------------------------------------------------------------------- */

static void read_direction(Lower *L, Cell *c)
{
	const char *s = lo_s(L, "direction", "forward");

	c->directions = strcmp(s, "bidirectional") ? 1 : 2;
	c->reverse = !strcmp(s, "reverse");
	if (c->directions == 1 && !c->reverse && strcmp(s, "forward"))
		lo_bad(L, "direction is '%s'", s);
}

static void check_weight(Lower *L, const Cell *c, int operand, WqDim columns)
{
	WqValue *w = lo_need(L, operand);
	WqDim rows = wq_dim_mul(L->m, c->h, wq_dim_const(L->m, c->n_gates));

	if (lo_rank(L, w) != 3 || (wq_dim_static(lo_dim(L, w, 0)) && lo_dim(L, w, 0) != c->directions))
		lo_bad(L, "operand %d must have %d directions on the first of 3 axes", operand, c->directions);
	if (lo_dim(L, w, 1) != rows && wq_dim_static(lo_dim(L, w, 1)) && wq_dim_static(rows))
		lo_bad(L, "operand %d has %lld rows instead of %lld", operand, (long long)lo_dim(L, w, 1),
		       (long long)rows);
	if (lo_dim(L, w, 2) != columns && wq_dim_static(lo_dim(L, w, 2)) && wq_dim_static(columns))
		lo_bad(L, "operand %d has %lld columns instead of %lld", operand, (long long)lo_dim(L, w, 2),
		       (long long)columns);
}

static WqValue *steps_first(Lower *L, const Cell *c, WqValue *x) /* swaps the first two axes of a batchwise tensor */
{
	return x && c->batch_first ? lo_transpose(L, x, 3, (int64_t[]){ 1, 0, 2 }) : x;
}

static void read_cell(Lower *L, Cell *c)
{
	WqValue *x = lo_with_rank(L, lo_need(L, 0), 3);

	if (lo_rank(L, x) != 3 || lo_rank(L, lo_need(L, 2)) != 3)
		lo_bad(L, "the input and the weights must have rank 3");
	read_direction(L, c);
	read_activations(L, c);
	c->clip = lo_f(L, "clip", 0);
	c->batch_first = lo_i(L, "layout", 0) != 0;
	c->x = steps_first(L, c, x);
	c->t = lo_dim(L, c->x, 0);
	c->b = lo_dim(L, c->x, 1);
	c->h = lo_dim(L, lo_need(L, 2), 2);
	check_weight(L, c, 1, lo_dim(L, x, 2));
	check_weight(L, c, 2, c->h);
	if (lo_has(L, "hidden_size") && wq_dim_static(c->h) && lo_i(L, "hidden_size", 0) != c->h)
		lo_bad(L, "hidden_size is %lld, the weights have %lld", (long long)lo_i(L, "hidden_size", 0),
		       (long long)c->h);
	if (lo_in(L, 4))
		c->lens = lo_cast(L, lo_in(L, 4), WQ_I64);
	for (int i = 0; i < c->n_states; i++)
		c->init[i] = steps_first(L, c, lo_in(L, 5 + i) ? lo_with_rank(L, lo_in(L, 5 + i), 3) : NULL);
}

static WqValue *pick(Lower *L, WqValue *x, int i) /* x[i] */
{
	return x ? lo_squeeze(L, lo_slice(L, x, 0, i, i + 1, 1), 1, (int64_t[]){ 0 }) : NULL;
}

/* The k-th to the m-th block of H elements on the last axis. */
static WqValue *blocks(Lower *L, const Cell *c, WqValue *x, int k, int m)
{
	WqDim begin = wq_dim_mul(L->m, c->h, wq_dim_const(L->m, k)),
	      end = wq_dim_mul(L->m, c->h, wq_dim_const(L->m, m));

	return lo_slice(L, x, lo_rank(L, x) - 1, begin, end, 1);
}

/* Reading a sequence of length n backwards: step i reads n-1-i; what follows the end stays where it is. */
static WqValue *turned(Lower *L, const Cell *c)
{
	WqValue *i = lo_unsqueeze(L, lo_range(L, c->t), 1, (int64_t[]){ 1 });
	WqValue *back = lo2(L, OP_Sub, op_s(L, OP_Sub, c->lens, 1), i);
	WqValue *at = lo3(L, OP_Where, lo2(L, OP_Less, i, c->lens), back, i);
	WqValue *b = lo_expand(L, lo_range(L, c->b), 2, (WqDim[]){ c->t, c->b });
	int64_t last[] = { 2 };

	return lo_concat(L, 2, 2, (WqValue *[]){ lo_unsqueeze(L, at, 1, last), lo_unsqueeze(L, b, 1, last) });
}

static WqValue *backwards(Lower *L, const Dir *d, WqValue *x) /* [T,B,..] */
{
	if (!d->reverse)
		return x;
	if (d->turned)
		return lo2(L, OP_GatherND, x, d->turned);
	return lo_result(L,
			 lo_node(L, OP_Slice, 5, x, lo_i64(L, -1), lo_i64(L, INT64_MIN), lo_i64(L, 0), lo_i64(L, -1)));
}

/* The biases of x*W and h*R, as far as they can be added before the loop. */
static void add_bias(Lower *L, Dir *d, int i)
{
	const Cell *c = d->c;
	WqValue *b = pick(L, lo_in(L, 3), i);
	int n = c->n_gates;

	if (!b)
		return;
	WqValue *wb = blocks(L, c, b, 0, n);
	if (d->late_reset) {
		WqValue *zr = lo2(L, OP_Add, blocks(L, c, wb, 0, 2), blocks(L, c, b, n, n + 2));
		wb = lo_concat(L, 0, 2, (WqValue *[]){ zr, blocks(L, c, wb, 2, 3) });
		d->rb = blocks(L, c, b, n + 2, n + 3);
	} else
		wb = lo2(L, OP_Add, wb, blocks(L, c, b, n, 2 * n));
	d->xw = lo2(L, OP_Add, d->xw, wb);
}

static Dir direction(Lower *L, const Cell *c, int i)
{
	Dir d = { .c = c, .act = c->act + (ptrdiff_t)i * c->n_act, .reverse = c->reverse || i == 1 };

	d.late_reset = c->n_gates == 3 && lo_i(L, "linear_before_reset", 0);
	d.coupled = c->n_gates == 4 && lo_i(L, "input_forget", 0);
	d.xw = lo2(L, OP_MatMul, c->x, lo_swap_last(L, pick(L, lo_need(L, 1), i)));
	d.r = lo_swap_last(L, pick(L, lo_need(L, 2), i));
	add_bias(L, &d, i);
	if (c->n_gates == 4)
		d.p = pick(L, lo_in(L, 7), i);
	if (d.reverse && c->lens)
		d.turned = turned(L, c);
	d.xw = backwards(L, &d, d.xw);
	return d;
}

/* ---- cells: one step ------------------------------------------------------------------------- */

typedef void StepFn(Lower *L, const Dir *d, WqValue *x, WqValue *const *state, WqValue **next);

static void step_rnn(Lower *L, const Dir *d, WqValue *x, WqValue *const *state, WqValue **next)
{
	next[0] = activate(L, d, 0, lo2(L, OP_Add, x, lo2(L, OP_MatMul, state[0], d->r)));
}

/* Gates z, r, h. */
static void step_gru(Lower *L, const Dir *d, WqValue *x, WqValue *const *state, WqValue **next)
{
	const Cell *c = d->c;
	WqValue *h = state[0], *r_h = blocks(L, c, d->r, 2, 3), *hidden;
	WqValue *zr = lo2(L, OP_Add, blocks(L, c, x, 0, 2), lo2(L, OP_MatMul, h, blocks(L, c, d->r, 0, 2)));

	zr = activate(L, d, 0, zr);
	WqValue *z = blocks(L, c, zr, 0, 1), *r = blocks(L, c, zr, 1, 2);
	if (d->late_reset) {
		hidden = lo2(L, OP_MatMul, h, r_h);
		if (d->rb)
			hidden = lo2(L, OP_Add, hidden, d->rb);
		hidden = lo2(L, OP_Mul, r, hidden);
	} else
		hidden = lo2(L, OP_MatMul, lo2(L, OP_Mul, r, h), r_h);
	hidden = activate(L, d, 1, lo2(L, OP_Add, blocks(L, c, x, 2, 3), hidden));
	WqValue *fresh = lo2(L, OP_Mul, lo2(L, OP_Sub, lo_like(L, z, 1), z), hidden);
	next[0] = lo2(L, OP_Add, fresh, lo2(L, OP_Mul, z, h));
}

static WqValue *peep(Lower *L, const Dir *d, WqValue *gate, int i, WqValue *cell)
{
	return d->p ? lo2(L, OP_Add, gate, lo2(L, OP_Mul, blocks(L, d->c, d->p, i, i + 1), cell)) : gate;
}

/* Gates i, o, f, c; states h, c. */
static void step_lstm(Lower *L, const Dir *d, WqValue *x, WqValue *const *state, WqValue **next)
{
	WqValue *all = lo2(L, OP_Add, x, lo2(L, OP_MatMul, state[0], d->r)), *gate[4], *old = state[1];

	for (int k = 0; k < 4; k++)
		gate[k] = blocks(L, d->c, all, k, k + 1);
	WqValue *i = activate(L, d, 0, peep(L, d, gate[0], 0, old));
	WqValue *f = d->coupled ? lo2(L, OP_Sub, lo_like(L, i, 1), i) : activate(L, d, 0, peep(L, d, gate[2], 2, old));
	WqValue *cell = activate(L, d, 1, gate[3]);
	cell = lo2(L, OP_Add, lo2(L, OP_Mul, f, old), lo2(L, OP_Mul, i, cell));
	WqValue *o = activate(L, d, 0, peep(L, d, gate[1], 1, cell));
	next[0] = lo2(L, OP_Mul, o, activate(L, d, 2, cell));
	next[1] = cell;
}

/* ---- the loop
 * --------------------------------------------------------------------------------------------------------- */

/* out: Y [T,B,H], then the last states [B,H]. */
static void run(Lower *L, const Dir *d, StepFn *step, int i, WqValue **out)
{
	const Cell *c = d->c;
	WqValue *init[MAX_STATES], *next[MAX_STATES], *y, *last[MAX_STATES + 1];
	LoLoop loop;

	for (int k = 0; k < c->n_states; k++) {
		init[k] = pick(L, c->init[k], i);
		if (!init[k])
			init[k] = lo_expand(L, lo_like(L, c->x, 0), 2, (WqDim[]){ c->b, c->h });
	}
	lo_loop_begin(L, &loop, c->t, c->n_states, init);
	step(L, d, lo2(L, OP_Gather, d->xw, loop.i), loop.state, next);
	y = next[0];
	if (c->lens) {
		WqValue *alive = lo_unsqueeze(L, lo2(L, OP_Less, loop.i, c->lens), 1, (int64_t[]){ 1 });
		y = lo3(L, OP_Where, alive, y, lo_like(L, y, 0));
		for (int k = 0; k < c->n_states; k++)
			next[k] = lo3(L, OP_Where, alive, next[k], loop.state[k]);
	}
	lo_loop_end(L, &loop, next, lo_wants(L, 0), &y, last);
	memcpy(out + 1, last, (size_t)c->n_states * sizeof *out);
	out[0] = lo_wants(L, 0) ? backwards(L, d, last[c->n_states]) : NULL;
}

/* Stacks the directions: [T,D,B,H] and [D,B,H], or batchwise [B,T,D,H] and [B,D,H]. */
static void results(Lower *L, const Cell *c, WqValue *(*of)[MAX_STATES + 1])
{
	for (int k = 0; k <= c->n_states; k++) {
		WqValue *v[2];
		int axis = k ? 0 : 1;
		if (!lo_wants(L, k))
			continue;
		for (int i = 0; i < c->directions; i++)
			v[i] = lo_unsqueeze(L, of[i][k], 1, (int64_t[]){ axis });
		WqValue *all = lo_concat(L, axis, c->directions, v);
		if (c->batch_first)
			all = k ? lo_transpose(L, all, 3, (int64_t[]){ 1, 0, 2 })
				: lo_transpose(L, all, 4, (int64_t[]){ 2, 0, 1, 3 });
		lo_out(L, k, all);
	}
}

static void recurrent(Lower *L, Cell *c, StepFn *step)
{
	WqValue *of[2][MAX_STATES + 1];

	read_cell(L, c);
	for (int i = 0; i < c->directions; i++) {
		Dir d = direction(L, c, i);
		run(L, &d, step, i, of[i]);
	}
	results(L, c, of);
}

void lower_RNN(Lower *L)
{
	static const char *const usual[] = { "Tanh" };

	recurrent(L, &(Cell){ .usual = usual, .n_act = 1, .n_gates = 1, .n_states = 1 }, step_rnn);
}

void lower_GRU(Lower *L)
{
	static const char *const usual[] = { "Sigmoid", "Tanh" };

	recurrent(L, &(Cell){ .usual = usual, .n_act = 2, .n_gates = 3, .n_states = 1 }, step_gru);
}

void lower_LSTM(Lower *L)
{
	static const char *const usual[] = { "Sigmoid", "Tanh", "Tanh" };

	recurrent(L, &(Cell){ .usual = usual, .n_act = 3, .n_gates = 4, .n_states = 2 }, step_lstm);
}
