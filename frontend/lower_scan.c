/* lower_scan.c: Scan is a Loop whose body takes its slices by the iteration number. Version 8 has a batch axis in front
 * of everything and lengths per batch: a Loop of Loops.
 */
#include "frontend/loop.h"

typedef struct Scan {
	const Onnx__GraphProto *body;
	int n_state, n_scan;
	WqValue **state, **scan;  /* initial states; what is scanned */
	int *axis;                /* per scanned operand */
	bool *backward;
	WqValue *length;          /* i64 scalar */
} Scan;

static WqValue *gather_at(Lower *L, WqValue *x, WqValue *i, int axis)
{
	WqNode *n = lo_node(L, OP_Gather, 2, x, i);
	wq_set_i(n, "axis", axis);
	return lo_result(L, n);
}

static void bind_scan(LoopBody *b, Lower *in, WqValue *i, WqValue *cond, WqValue *const *carried)
{
	const Scan *s = b->arg;
	WqValue *back = NULL;
	(void)cond;
	for (int k = 0; k < s->n_state; k++)
		scope_bind(in->im, b->gp->input[k]->name ? b->gp->input[k]->name : "", carried[k]);
	for (int k = 0; k < s->n_scan; k++) {
		const char *name = b->gp->input[s->n_state + k]->name;
		if (s->backward[k] && !back)
			back = lo2(in, OP_Sub, lo2(in, OP_Sub, s->length, wq_const_int(in->g, WQ_I64, 1)), i);
		scope_bind(in->im, name ? name : "", gather_at(in, s->scan[k], s->backward[k] ? back : i, s->axis[k]));
	}
}

static WqValue **scan_loop(Lower *L, Scan *s)
{
	LoopBody b = { .L = L, .gp = s->body, .n_carried = s->n_state, .bind = bind_scan, .arg = s };
	b.i_type = wq_type_tensor(WQ_I64, 0, NULL);
	b.cond_type = wq_type_tensor(WQ_BOOL, 0, NULL);
	WqValue **in = WQ_NEW_N(L->im->tmp, WqValue *, s->n_state + 2);
	in[0] = s->length;
	for (int k = 0; k < s->n_state; k++)
		in[2 + k] = s->state[k];
	return loop_make(&b, in);
}

static const int64_t *flags(Lower *L, const char *attr, int n)
{
	int have;
	const int64_t *v = lo_ints(L, attr, &have);
	if (v && have != n)
		lo_bad(L, "'%s' has %d elements instead of %d", attr, have, n);
	return v;
}

/* What is scanned must have one length; where only running tells, the first operand's counts. */
static void same_length(Lower *L, WqDim a, WqDim b)
{
	if (wq_dim_static(a) && wq_dim_static(b) && a != b)
		lo_bad(L, "sequences of %lld and %lld elements are scanned together", (long long)a, (long long)b);
}

/* Operands from `first` on: states, then what is scanned. */
static Scan scan_operands(Lower *L, int first)
{
	Scan s = { .body = lo_graph_proto(L, "body") };
	int64_t m = lo_i(L, "num_scan_inputs", 0);
	int n = lo_n_in(L) - first;
	if (m < 1 || m > n)
		lo_bad(L, "'num_scan_inputs' is %lld for %d operands", (long long)m, n);
	s.n_scan = (int)m;
	s.n_state = n - s.n_scan;
	if (s.body->n_input != (size_t)n || s.body->n_output < (size_t)s.n_state)
		lo_bad(L, "the body has %zu inputs and %zu outputs for %d states and %d scanned operands",
		       s.body->n_input, s.body->n_output, s.n_state, s.n_scan);
	s.state = WQ_NEW_N(L->im->tmp, WqValue *, n);
	s.scan = s.state + s.n_state;
	s.axis = WQ_NEW_N(L->im->tmp, int, n);
	s.backward = WQ_NEW_N(L->im->tmp, bool, n);
	const int64_t *dirs = flags(L, L->version == 8 ? "directions" : "scan_input_directions", s.n_scan);
	for (int k = 0; k < n; k++)
		s.state[k] = lo_need(L, first + k);
	for (int k = 0; k < s.n_scan; k++)
		s.backward[k] = dirs && dirs[k];
	return s;
}

static WqValue *reversed(Lower *L, WqValue *x)
{
	return lo_result(L,
			 lo_node(L, OP_Slice, 5, x, lo_i64(L, -1), lo_i64(L, INT64_MIN), lo_i64(L, 0), lo_i64(L, -1)));
}

/* Axis 0 goes where `axis` says. */
static WqValue *move_front(Lower *L, WqValue *x, int64_t to)
{
	int rank = lo_rank(L, x), axis = lo_axis(L, to, rank);
	int64_t perm[WQ_MAX_RANK];
	for (int p = 0; p < rank; p++)
		perm[p] = p < axis ? p + 1 : p == axis ? 0 : p;
	return lo_transpose(L, x, rank, perm);
}

static void scan9(Lower *L)
{
	Scan s = scan_operands(L, 0);
	int n_collect = (int)s.body->n_output - s.n_state;
	const int64_t *in_axes = flags(L, "scan_input_axes", s.n_scan),
		      *out_axes = flags(L, "scan_output_axes", n_collect);
	const int64_t *out_dirs = flags(L, "scan_output_directions", n_collect);
	for (int k = 0; k < s.n_scan; k++)
		s.axis[k] = lo_axis(L, in_axes ? in_axes[k] : 0, lo_rank(L, s.scan[k]));
	for (int k = 1; k < s.n_scan; k++)
		same_length(L, s.scan[0]->type.dim[s.axis[0]], s.scan[k]->type.dim[s.axis[k]]);
	s.length = lo_dim_scalar(L, s.scan[0]->type.dim[s.axis[0]], WQ_I64);
	WqValue **out = scan_loop(L, &s);
	for (int i = 0; i < lo_n_out(L) && i < s.n_state + n_collect; i++) {
		WqValue *v = out[i];
		int k = i - s.n_state;
		if (k >= 0 && out_dirs && out_dirs[k])
			v = reversed(L, v);
		if (k >= 0 && out_axes && out_axes[k])
			v = move_front(L, v, out_axes[k]);
		lo_out(L, i, v);
	}
}

/* ---- version 8 ---------------------------------------------------------------------------------------- */

/* Collected results get the longest sequence's length. */
static WqValue *pad_to(Lower *L, WqValue *x, WqValue *length, WqValue *longest)
{
	WqValue *more = lo_reshape_to(L, lo2(L, OP_Sub, longest, length), 1, (int64_t[]){ 1 });
	WqValue *pads[2] = { lo_i64(L, 0), more };
	return lo_result(L, lo_node(L, OP_Pad, 4, x, lo_concat(L, 0, 2, pads), NULL, lo_i64(L, 0)));
}

static void scan8(Lower *L)
{
	Scan s = scan_operands(L, 1), one;
	WqValue *lens = lo_in(L, 0), *longest;
	int n = s.n_state + s.n_scan;
	for (int k = 0; k < n; k++)
		if (lo_rank(L, s.state[k]) < (k < s.n_state ? 1 : 2))
			lo_bad(L, "operand %d has no batch and sequence axes", 1 + k);
	for (int k = 1; k < s.n_scan; k++)
		same_length(L, s.scan[0]->type.dim[1], s.scan[k]->type.dim[1]);
	longest = lo_dim_scalar(L, s.scan[0]->type.dim[1], WQ_I64);
	/* The body of the loop over the batch: i, go -> go, and everything collected. */
	Lower in = *L;
	WqType i64 = wq_type_tensor(WQ_I64, 0, NULL), truth = wq_type_tensor(WQ_BOOL, 0, NULL);
	WqGraph *g = in.g = wq_graph_new(L->g);
	WqValue *b = wq_input(g, "batch", &i64), *go = wq_input(g, "go", &truth);
	one = s;
	one.state = WQ_NEW_N(L->im->tmp, WqValue *, n);
	one.scan = one.state + s.n_state;
	for (int k = 0; k < n; k++)
		one.state[k] = gather_at(&in, s.state[k], b, 0);
	one.length = lens ? gather_at(&in, lo_cast(&in, lens, WQ_I64), b, 0) : longest;
	WqValue **inner = scan_loop(&in, &one);
	int n_out = (int)s.body->n_output;
	wq_output(g, "go", go);
	for (int i = 0; i < n_out; i++)
		wq_output(g, s.body->output[i]->name,
			  lens && i >= s.n_state ? pad_to(&in, inner[i], one.length, longest) : inner[i]);
	WqNode *outer = lo_node(L, OP_Loop, 2, lo_dim_scalar(L, s.scan[0]->type.dim[0], WQ_I64), NULL);
	wq_node_add_body(outer, g);
	wq_node_finish(outer, n_out, NULL);
	for (int i = 0; i < lo_n_out(L) && i < outer->n_out; i++)
		lo_out(L, i, outer->out[i]);
}

void lower_Scan(Lower *L)
{
	if (L->version == 8)
		scan8(L);
	else
		scan9(L);
}
