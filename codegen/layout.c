/* layout.c: how each value lies in memory, if it is stored: the order of its axes.
 *
 * Images lie channels-last: a convolution broadcasts one input element to a vector of output channels, and whatever follows has its channels
 * side by side. The block is all of the channels, so a layout is nothing but strides, and views need no copies. What a Transpose and a
 * Reshape would have to copy is written in their order at once.
 */
#include "codegen/program.h"

static void row_major(WqPlace *p)
{
	for (int i = 0; i < WQ_MAX_RANK; i++)
		p->order[i] = (uint8_t)i;
	p->dense = true;
}

static void channels_last(WqPlace *p, int rank)
{
	p->order[0] = 0;
	for (int i = 2; i < rank; i++)
		p->order[i - 1] = (uint8_t)i;
	p->order[rank - 1] = 1;
	p->dense = true;
}

static bool makes_image(const WqNode *n)
{
	switch (n->op) {
	case OP_Conv: case OP_ConvTranspose: case OP_DeformConv: case OP_MaxPool: case OP_AveragePool:
		return n->out[0] && n->out[0]->type.rank >= 3;
	default:
		return false;
	}
}

/* Operators that keep the layout of their first operand of the same rank. */
static bool follows(const WqNode *n)
{
	switch (n->op) {
	case OP_Concat: case OP_Pad: case OP_Slice: case OP_Cast: case OP_BitCast: case OP_QuantizeLinear: case OP_DequantizeLinear:
	case OP_Resize: case OP_Softmax: case OP_LayerNormalization: case OP_RMSNormalization: case OP_CumSum: case OP_CumProd:
	case OP_Where: case OP_Expand: case OP_ReduceMean: case OP_ReduceSum: case OP_ReduceMax: case OP_ReduceMin: case OP_ReduceProd:
		return true;
	default:
		return wq_op(n->op)->flags & WQ_EW;
	}
}

static void follow(WqBuild *b, const WqNode *n, WqPlace *p)
{
	int rank = p->v->type.rank;
	for (int i = 0; i < n->n_in; i++) {
		const WqValue *v = n->in[i];
		if (!v || v->data || v->type.kind != WQ_TENSOR || v->type.rank != rank)
			continue;
		const WqPlace *q = wq_place(b, v);
		bool other = false;
		for (int j = 0; j < rank; j++)
			other |= q->order[j] != j;
		if (!other || !q->dense)
			continue;
		memcpy(p->order, q->order, sizeof p->order);
		return;
	}
}

/* v is read by one Transpose whose result is reshaped: written in that order, neither copies. */
static void anticipate(WqPlace *p)
{
	const WqValue *v = p->v;
	if (v->uses.n != 1 || wq_value_is_output(v) || v->uses.v[0].node->op != OP_Transpose)
		return;
	const WqNode *t = v->uses.v[0].node;
	int n;
	const int64_t *perm = wq_attr_ints(t, "perm", &n);
	if (!perm || n != v->type.rank || perm[n - 1] != n - 1 || t->out[0]->uses.n != 1 || t->out[0]->uses.v[0].node->op != OP_Reshape)
		return;
	for (int i = 0; i < n; i++)
		p->order[i] = (uint8_t)perm[i];
}

/* ---- views ------------------------------------------------------------------------------------------------ */

/* Axes of a shape that are not the number 1, in the order of memory. */
static int real_axes(const WqType *t, const uint8_t *order, int *out)
{
	int n = 0;
	for (int i = 0; i < t->rank; i++)
		if (t->dim[order[i]] != 1)
			out[n++] = order[i];
	return n;
}

static bool ascending(const int *v, int n)
{
	for (int i = 1; i < n; i++)
		if (v[i] < v[i - 1])
			return false;
	return true;
}

/* Reshape: dense in its logical order (sizes of 1 do not count), or only sizes of 1 come and go. */
static bool reshape_view(const WqPlace *from, const WqType *to)
{
	const WqType *t = &from->v->type;
	static const uint8_t plain[WQ_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	int a[WQ_MAX_RANK], b[WQ_MAX_RANK];
	int n = real_axes(t, from->order, a);
	if (from->dense && ascending(a, n))
		return true;
	n = real_axes(t, plain, a);
	if (n != real_axes(to, plain, b))
		return false;
	for (int i = 0; i < n; i++)
		if (t->dim[a[i]] != to->dim[b[i]])
			return false;
	return true;
}

/* All bounds of a Slice known as expressions, steps numbers. */
static bool slice_view(const WqNode *n)
{
	if (n->n_in < 5)
		return false;
	for (int i = 1; i < n->n_in; i++)
		if (!n->in[i] || !(n->in[i]->data || n->in[i]->sym))
			return false;
	return n->in[3]->data && n->in[4]->data;
}

bool wq_view_of(WqBuild *b, const WqNode *n)
{
	const WqValue *v = n->in[0];
	if (!v || !n->out[0] || wq_is_immediate(v) || v->type.kind != WQ_TENSOR || v->type.rank < 0 || n->out[0]->type.rank < 0 ||
	    wq_dtype(v->type.dtype)->cls == 'S')
		return false;
	switch (n->op) {
	case OP_Reshape: return reshape_view(wq_place(b, v), &n->out[0]->type);
	case OP_Transpose: return true;
	case OP_Slice: return slice_view(n);
	default: return false;
	}
}

/* The layout of a view's result. */
static void view_layout(WqBuild *b, const WqNode *n, WqPlace *p)
{
	const WqPlace *from = wq_place(b, n->in[0]);
	int rank = p->v->type.rank, axes[WQ_MAX_RANK], k;
	if (n->op == OP_Transpose) {
		const int64_t *perm = wq_attr_ints(n, "perm", &k);
		int where[WQ_MAX_RANK];
		for (int i = 0; i < rank; i++)
			where[perm ? perm[i] : rank - 1 - i] = i;
		for (int i = 0; i < rank; i++)
			p->order[i] = (uint8_t)where[from->order[i]];
		p->dense = from->dense;
	} else if (n->op == OP_Slice) {
		memcpy(p->order, from->order, sizeof p->order);
		p->dense = false;
	} else if (!from->dense || !ascending(axes, real_axes(&from->v->type, from->order, axes))) {
		/* sizes of 1 moved: the others keep their order in memory */
		int to[WQ_MAX_RANK] = {0}, at[WQ_MAX_RANK] = {0}, m = 0, done = 0;
		const WqType *t = &from->v->type;
		for (int i = 0; i < rank; i++)
			if (p->v->type.dim[i] != 1)
				to[m++] = i;
		for (int i = 0, j = 0; i < t->rank; i++)
			if (t->dim[i] != 1)
				at[i] = to[j++];
		for (int i = 0; i < t->rank; i++)
			if (t->dim[from->order[i]] != 1)
				p->order[done++] = (uint8_t)at[from->order[i]];
		for (int i = 0; i < rank; i++)
			if (p->v->type.dim[i] == 1)
				p->order[done++] = (uint8_t)i;
		p->dense = from->dense;
	}
}

/* What is copied or computed anyway is written as the convolution that reads it wants it. */
static bool read_as_image(const WqValue *v)
{
	for (int i = 0; i < v->uses.n; i++) {
		const WqNode *u = v->uses.v[i].node;
		if (v->uses.v[i].index == 0 && (u->op == OP_Conv || u->op == OP_ConvTranspose))
			return v->type.rank >= 3;
	}
	return false;
}

static void node_layout(WqBuild *b, const WqNode *n)
{
	for (int i = 0; i < n->n_out; i++) {
		if (!n->out[i])
			continue;
		WqPlace *p = wq_place(b, n->out[i]);
		row_major(p);
		if (p->v->type.kind != WQ_TENSOR || p->v->type.rank < 0)
			continue;
		if ((n->op == OP_Reshape || n->op == OP_Transpose || n->op == OP_Slice) && wq_view_of(b, n))
			view_layout(b, n, p);
		else if (makes_image(n) || (follows(n) && !(wq_op(n->op)->flags & WQ_EW) && read_as_image(p->v)))
			channels_last(p, p->v->type.rank);
		else if (follows(n))
			follow(b, n, p);
		else if (!wq_op(n->op)->flags)
			anticipate(p);
	}
	for (int i = 0; i < n->n_body; i++)
		wq_layout(b, n->body[i]);
}

void wq_layout(WqBuild *b, const WqGraph *g)
{
	for (int i = 0; i < g->inputs.n; i++)
		row_major(wq_place(b, g->inputs.v[i]));
	for (const WqNode *n = g->first; n; n = n->next) {
		for (int i = 0; i < n->n_in; i++)
			if (n->in[i] && n->in[i]->data && !wq_place(b, n->in[i])->dense)
				row_major(wq_place(b, n->in[i]));
		node_layout(b, n);
	}
	for (int i = 0; i < g->outputs.n; i++)
		if (g->outputs.v[i].value->data)
			row_major(wq_place(b, g->outputs.v[i].value));
}
