/* lower_sequence.c: sequences and optionals. A sequence whose elements are known (a SequenceConstruct) is taken apart
 * here; others are the engine's. */
#include "frontend/loop.h"

enum { KNOWN_MAX = 256 }; /* beyond, taking sequences apart would make graphs of quadratic size */

bool sequence_known(const WqValue *v, int *n, WqValue *const **elems)
{
	if (!v->def || v->def->op != OP_SequenceConstruct || v->def->n_in > KNOWN_MAX)
		return false;
	*n = v->def->n_in;
	*elems = v->def->in;
	return true;
}

WqValue *sequence_make(Lower *L, int n, WqValue *const *elems, const WqType *elem)
{
	WqNode *node = wq_node_new(L->g, OP_SequenceConstruct, n, elems);
	if (n == 0) {
		WqType t = wq_type_wrap(L->m, WQ_SEQUENCE, elem);
		wq_set_type(node, "type", &t);
	}
	return lo_result(L, node);
}

static WqValue *need_sequence(Lower *L, int i)
{
	WqValue *v = lo_need(L, i);
	if (v->type.kind != WQ_SEQUENCE)
		lo_bad(L, "operand %d, '%.200s', is not a sequence", i, v->name);
	return v;
}

/* A position in a sequence of n: true if it is known. */
static bool known_position(Lower *L, WqValue *pos, int n, int limit, int *at)
{
	int count;
	const int64_t *v;
	if (!pos || !lo_const_ints(L, pos, &count, &v) || count != 1)
		return false;
	if (v[0] < -n || v[0] >= limit)
		lo_bad(L, "position %lld in a sequence of %d", (long long)v[0], n);
	*at = (int)(v[0] < 0 ? v[0] + n : v[0]);
	return true;
}

void lower_SequenceConstruct(Lower *L)
{
	int n = lo_n_in(L);
	WqValue **v = WQ_NEW_N(L->m->arena, WqValue *, n + 1);
	for (int i = 0; i < n; i++)
		v[i] = lo_need(L, i);
	if (n < 1)
		lo_bad(L, "there are no operands");
	lo_out(L, 0, sequence_make(L, n, v, NULL));
}

void lower_SequenceEmpty(Lower *L)
{
	WqType t = wq_type_tensor(lo_dtype(L, "dtype", WQ_F32), -1, NULL);
	lo_out(L, 0, sequence_make(L, 0, NULL, &t));
}

void lower_SequenceAt(Lower *L)
{
	WqValue *seq = need_sequence(L, 0), *pos = lo_need(L, 1), *const *v;
	int n, at;
	if (sequence_known(seq, &n, &v) && known_position(L, pos, n, n, &at))
		lo_out(L, 0, v[at]);
	else
		lo_out(L, 0, lo2(L, OP_SequenceAt, seq, lo_scalar_of(L, pos)));
}

void lower_SequenceInsert(Lower *L)
{
	WqValue *seq = need_sequence(L, 0), *x = lo_need(L, 1), *pos = lo_in(L, 2), *const *v;
	int n, at = 0;
	if (!sequence_known(seq, &n, &v) || n == KNOWN_MAX || (pos && !known_position(L, pos, n, n + 1, &at))) {
		lo_out(L, 0, lo3(L, OP_SequenceInsert, seq, x, pos ? lo_scalar_of(L, pos) : NULL));
		return;
	}
	WqValue *all[KNOWN_MAX];
	at = pos ? at : n;
	for (int i = 0; i <= n; i++)
		all[i] = i == at ? x : v[i - (i > at)];
	if (n == 0 && x->type.dtype != seq->type.elem->dtype)
		lo_bad(L, "an element of another type than the sequence's is inserted");
	lo_out(L, 0, sequence_make(L, n + 1, all, NULL));
}

void lower_SequenceErase(Lower *L)
{
	WqValue *seq = need_sequence(L, 0), *pos = lo_in(L, 1), *const *v;
	int n, at = 0;
	if (!sequence_known(seq, &n, &v) || (pos && !known_position(L, pos, n, n, &at))) {
		lo_out(L, 0, lo2(L, OP_SequenceErase, seq, pos ? lo_scalar_of(L, pos) : NULL));
		return;
	}
	if (n == 0)
		lo_bad(L, "the sequence is empty");
	WqValue *rest[KNOWN_MAX];
	at = pos ? at : n - 1;
	for (int i = 0; i < n - 1; i++)
		rest[i] = v[i + (i >= at)];
	lo_out(L, 0, sequence_make(L, n - 1, rest, seq->type.elem));
}

void lower_SequenceLength(Lower *L)
{
	WqValue *seq = need_sequence(L, 0), *const *v;
	int n;
	lo_out(L, 0, sequence_known(seq, &n, &v) ? wq_const_int(L->g, WQ_I64, n) : lo1(L, OP_SequenceLength, seq));
}

/* ---- tensors to sequences and back -------------------------------------------------------------------- */

/* The sizes of the parts, if known and few: -1 parts if not. */
static int split_sizes(Lower *L, WqDim dim, const WqValue *split, WqDim *sizes)
{
	int n;
	if (split && split->type.rank == 1) {
		const WqDim *known = lo_known(split, &n);
		if (!known || n > KNOWN_MAX)
			return -1;
		WqDim sum = 0;
		for (int i = 0; i < n; i++)
			sum = wq_dim_add(L->m, sum, sizes[i] = known[i]);
		if (wq_dim_static(sum) && wq_dim_static(dim) && sum != dim)
			lo_bad(L, "the sizes add up to %lld instead of %lld", (long long)sum, (long long)dim);
		return n;
	}
	const WqDim *chunk = split ? lo_known(split, &n) : NULL;
	WqDim size = split ? (chunk ? chunk[0] : WQ_DIM_UNKNOWN) : 1;
	int64_t v;
	if (split && chunk && wq_dim_get_const(L->m, size, &v) && v < 1)
		lo_bad(L, "parts of %lld elements", (long long)v);
	if (!wq_dim_static(size) || !wq_dim_static(dim) || dim / size >= KNOWN_MAX)
		return -1;
	n = 0;
	for (int64_t at = 0; at < dim; at += size)
		sizes[n++] = dim - at < size ? dim - at : size;
	return n;
}

void lower_SplitToSequence(Lower *L)
{
	WqValue *x = lo_need(L, 0), *split = lo_in(L, 1), *parts[KNOWN_MAX];
	int axis = lo_axis(L, lo_i(L, "axis", 0), lo_rank(L, x));
	bool keep = split || lo_i(L, "keepdims", 1);
	WqDim sizes[KNOWN_MAX], at = 0;
	int n = split_sizes(L, x->type.dim[axis], split, sizes);
	if (n < 1) {
		WqNode *node = lo_node(L, OP_SplitToSequence, 2, x, split);
		wq_set_i(node, "axis", axis);
		wq_set_i(node, "keepdims", keep);
		lo_out(L, 0, lo_result(L, node));
		return;
	}
	for (int i = 0; i < n; i++) {
		WqDim end = wq_dim_add(L->m, at, sizes[i]);
		parts[i] = lo_slice(L, x, axis, at, end, 1);
		if (!keep)
			parts[i] = lo_squeeze(L, parts[i], 1, (int64_t[]){ axis });
		at = end;
	}
	lo_out(L, 0, sequence_make(L, n, parts, NULL));
}

void lower_ConcatFromSequence(Lower *L)
{
	WqValue *seq = need_sequence(L, 0), *parts[KNOWN_MAX] = { NULL };
	WqValue *const *v;
	int64_t axis = lo_i(L, "axis", 0);
	bool stack = lo_i(L, "new_axis", 0);
	int n;
	if (!lo_has(L, "axis"))
		lo_bad(L, "attribute 'axis' is missing");
	if (!sequence_known(seq, &n, &v) || n == 0) {
		WqNode *node = lo_node(L, OP_ConcatFromSequence, 1, seq);
		wq_set_i(node, "axis", axis);
		wq_set_i(node, "new_axis", stack);
		lo_out(L, 0, lo_result(L, node));
		return;
	}
	for (int i = 0; i < n; i++)
		parts[i] = stack ? lo_unsqueeze(L, v[i], 1, &axis) : v[i];
	lo_out(L, 0, lo_concat(L, lo_axis(L, axis, lo_rank(L, parts[0])), n, parts));
}

/* ---- SequenceMap --------------------------------------------------------------------------------------- */

static void map_known(Lower *L, const Onnx__GraphProto *gp, int n, WqValue *const *in)
{
	int n_in = lo_n_in(L), n_out = lo_n_out(L);
	WqValue **args = WQ_NEW_N(L->im->tmp, WqValue *, n_in), **out = WQ_NEW_N(L->im->tmp, WqValue *, gp->n_output);
	WqValue **all = WQ_NEW_N(L->im->tmp, WqValue *, wq_mul_checked(n, n_out, "results"));
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < n_in; k++) {
			WqValue *const *v;
			int len = n;
			args[k] = in[k];
			if (in[k]->type.kind == WQ_SEQUENCE && sequence_known(in[k], &len, &v) && i < len)
				args[k] = v[i];
			if (len != n)
				lo_bad(L, "sequences of %d and %d elements", n, len);
		}
		graph_inline(L, gp, n_in, args, out);
		for (int k = 0; k < n_out; k++)
			all[(size_t)k * n + i] = out[k];
	}
	for (int k = 0; k < n_out; k++)
		lo_out(L, k, sequence_make(L, n, all + (size_t)k * n, NULL));
}

/* A Loop that carries the result sequences. The body is imported before they are made, as it tells their elements'
 * types. */
static void map_loop(Lower *L, const Onnx__GraphProto *gp, WqValue *const *in)
{
	int n_in = lo_n_in(L), n_out = lo_n_out(L);
	Lower inner = *L;
	WqType i64 = wq_type_tensor(WQ_I64, 0, NULL), truth = wq_type_tensor(WQ_BOOL, 0, NULL);
	WqGraph *g = inner.g = wq_graph_new(L->g);
	WqValue *i = wq_input(g, "iteration", &i64), *go = wq_input(g, "go", &truth);
	WqValue **args = WQ_NEW_N(L->im->tmp, WqValue *, n_in), **out = WQ_NEW_N(L->im->tmp, WqValue *, gp->n_output);
	WqValue **operands = WQ_NEW_N(L->im->tmp, WqValue *, n_out + 2);
	for (int k = 0; k < n_in; k++)
		args[k] = in[k]->type.kind == WQ_SEQUENCE ? lo2(&inner, OP_SequenceAt, in[k], i) : in[k];
	graph_inline(&inner, gp, n_in, args, out);
	wq_output(g, "go", go);
	for (int k = 0; k < n_out; k++) {
		WqType elem = type_of_elements(L, &out[k]->type);
		operands[2 + k] = sequence_make(L, 0, NULL, &elem);
		WqValue *so_far = wq_input(g, NULL, &operands[2 + k]->type);
		wq_output(g, gp->output[k]->name, lo3(&inner, OP_SequenceInsert, so_far, out[k], NULL));
	}
	operands[0] = lo1(L, OP_SequenceLength, in[0]);
	WqNode *node = wq_node_new(L->g, OP_Loop, n_out + 2, operands);
	wq_node_add_body(node, g);
	wq_node_finish(node, n_out, NULL);
	for (int k = 0; k < n_out; k++)
		lo_out(L, k, node->out[k]);
}

void lower_SequenceMap(Lower *L)
{
	const Onnx__GraphProto *gp = lo_graph_proto(L, "body");
	int n_in = lo_n_in(L), n;
	WqValue *const *v, **in = WQ_NEW_N(L->im->tmp, WqValue *, n_in);
	need_sequence(L, 0);
	bool known = true;
	for (int k = 0; k < n_in; k++) {
		in[k] = lo_need(L, k);
		known &= in[k]->type.kind != WQ_SEQUENCE || sequence_known(in[k], &n, &v);
	}
	if (gp->n_output < (size_t)lo_n_out(L))
		lo_bad(L, "the body has %zu outputs for %d results", gp->n_output, lo_n_out(L));
	if (known && sequence_known(in[0], &n, &v) && n > 0)
		map_known(L, gp, n, in);
	else
		map_loop(L, gp, in);
}

/* ---- optionals -------------------------------------------------------------------------------------------- */

void lower_Optional(Lower *L)
{
	WqValue *v = lo_in(L, 0);
	WqType t;
	WqNode *n = lo_node(L, OP_Optional, v ? 1 : 0, v);
	if (!v && !lo_type(L, "type", &t))
		lo_bad(L, "neither an element nor a type is given");
	if (!v) {
		WqType o = wq_type_wrap(L->m, WQ_OPTIONAL, &t);
		wq_set_type(n, "type", &o);
	}
	lo_out(L, 0, lo_result(L, n));
}

void lower_OptionalHasElement(Lower *L)
{
	WqValue *v = lo_in(L, 0);
	if (!v || v->type.kind != WQ_OPTIONAL)
		lo_out(L, 0, wq_const_int(L->g, WQ_BOOL, v != NULL));
	else if (v->def && v->def->op == OP_Optional)
		lo_out(L, 0, wq_const_int(L->g, WQ_BOOL, v->def->n_in > 0));
	else
		lo_out(L, 0, lo1(L, OP_OptionalHasElement, v));
}

void lower_OptionalGetElement(Lower *L)
{
	WqValue *v = lo_need(L, 0);
	if (v->type.kind != WQ_OPTIONAL)
		lo_out(L, 0, v);
	else if (v->def && v->def->op == OP_Optional && v->def->n_in > 0)
		lo_out(L, 0, v->def->in[0]);
	else
		lo_out(L, 0, lo1(L, OP_OptionalGetElement, v));
}
