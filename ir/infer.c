/* infer.c: runs shape rules: checks a node's operands against its signature, then calls the operator's rule. Here are the rules of
 * elementwise operators and types; the others stand in infer_*.c by family. */
#include "ir/infer.h"

void wq_infer_fail(const WqInfer *x, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (x->node->name)
		wq_fail(WQ_EINPUT, "node '%s' (%s): %s", x->node->name, wq_op(x->node->op)->name, text);
	wq_fail(WQ_EINPUT, "%s: %s", wq_op(x->node->op)->name, text);
}

/* Expressions that are known, if the value is a small vector of them. */
static const WqDim *known(const WqValue *v)
{
	if (!v->sym || v->type.kind != WQ_TENSOR || v->type.rank < 0)
		return NULL;
	return v->sym;
}

void wq_infer_init(WqInfer *x, WqNode *n, int n_out, WqArena *a)
{
	*x = (WqInfer){ .mod = n->graph->mod, .node = n, .n_in = n->n_in, .n_out = n_out };
	x->in = WQ_NEW_N(a, const WqType *, n->n_in + 1);
	x->val = WQ_NEW_N(a, const WqTensor *, n->n_in + 1);
	x->sym = WQ_NEW_N(a, const WqDim *, n->n_in + 1);
	x->out = WQ_NEW_N(a, WqType, n_out + 1);
	for (int i = 0; i < n->n_in; i++)
		if (n->in[i]) {
			x->in[i] = &n->in[i]->type;
			x->val[i] = n->in[i]->data;
			x->sym[i] = known(n->in[i]);
		}
}

/* ---- signatures ------------------------------------------------------------------------------- */

static void check_operand(const WqInfer *x, int i, char letter, WqDtype *T, WqDtype *U)
{
	const WqOpInfo *op = wq_op(x->node->op);
	const WqType *t = x->in[i];
	if (letter == '*')
		return;
	if (t->kind != WQ_TENSOR)
		wq_infer_fail(x, "operand %d is a %s, not a tensor", i, t->kind == WQ_SEQUENCE ? "sequence" : "optional");
	WqDtype d = t->dtype;
	const char *got = wq_dtype_valid(d) ? wq_dtype(d)->text : "of no type";
	switch (letter) {
	case 'T':
		if (!wq_dtype_in(d, op->mask))
			wq_infer_fail(x, "operand %d is %s, which the operator does not take", i, got);
		if (*T != WQ_UNDEF && d != *T)
			wq_infer_fail(x, "operand %d is %s, but another is %s", i, got, wq_dtype(*T)->text);
		*T = d;
		break;
	case 'U':
		if (*U != WQ_UNDEF && d != *U)
			wq_infer_fail(x, "operand %d is %s, but another is %s", i, got, wq_dtype(*U)->text);
		*U = d;
		break;
	case 'N':
		if (d != WQ_I32 && d != WQ_I64)
			wq_infer_fail(x, "operand %d is %s, not i32 or i64", i, got);
		break;
	default: {
		WqDtype want = letter == 'I' ? WQ_I64 : letter == 'B' ? WQ_BOOL : WQ_F32;
		if (d != want)
			wq_infer_fail(x, "operand %d is %s, not %s", i, got, wq_dtype(want)->text);
	}
	}
}

static void check_operands(const WqInfer *x)
{
	const WqOpInfo *op = wq_op(x->node->op);
	if (x->n_in < op->min_in || (op->max_in >= 0 && x->n_in > op->max_in))
		wq_infer_fail(x, "%d operands; it takes %d%s", x->n_in, op->min_in, op->min_in == op->max_in ? "" : " or more");
	WqDtype T = WQ_UNDEF, U = WQ_UNDEF;
	const char *s = op->sig;
	for (int i = 0; i < x->n_in; i++) {
		char letter = *s, mod = s[1];
		if (x->in[i])
			check_operand(x, i, letter, &T, &U);
		else if (mod != '?')
			wq_infer_fail(x, "operand %d is missing", i);
		if (mod == '?')
			s += 2;
		else if (mod != '+' && mod != '@')
			s++;
	}
	if (x->n_out < op->min_out || (op->max_out >= 0 && x->n_out > op->max_out))
		wq_infer_fail(x, "%d results; it has %d", x->n_out, op->min_out);
}

void wq_infer(WqInfer *x)
{
	check_operands(x);
	wq_op(x->node->op)->infer(x);
}

int64_t wq_infer_elem(const WqInfer *x, int operand, int64_t i, WqDim *d)
{
	if (operand >= x->n_in || !x->in[operand])
		return -1;
	const WqTensor *t = x->val[operand];
	if (t && (wq_dtype_is_int(t->dtype) || t->dtype == WQ_BOOL)) {
		int64_t n = wq_tensor_count(t);
		if (i < n)
			*d = wq_dim_const(x->mod, wq_tensor_get_i(t, i));
		return n;
	}
	const WqType *type = x->in[operand];
	if (!x->sym[operand] || !wq_type_static(type))
		return -1;
	int64_t n = wq_type_count(x->mod, type);
	if (i < n)
		*d = x->sym[operand][i];
	return n;
}

/* ---- elementwise ------------------------------------------------------------------------------- */

/* Elements of an operand broadcast to n elements: i-th expression. */
static WqDim elem(const WqInfer *x, int operand, int64_t n, int64_t i)
{
	WqDim d = WQ_DIM_UNKNOWN;
	int64_t count = wq_infer_elem(x, operand, 0, &d);
	if (count == 1)
		return d;
	if (count != n)
		return WQ_DIM_UNKNOWN;
	wq_infer_elem(x, operand, i, &d);
	return d;
}

/* Values are not sizes: two numbers whose sum, difference or product no size could be are no expression, and no mistake. */
static bool beyond_sizes(const WqModule *m, WqOp op, WqDim a, WqDim b)
{
	int64_t x, y, r;
	if (!wq_dim_get_const(m, a, &x) || !wq_dim_get_const(m, b, &y))
		return false;
	bool over = op == OP_Mul ? __builtin_mul_overflow(x, y, &r) : op == OP_Add ? __builtin_add_overflow(x, y, &r)
										    : __builtin_sub_overflow(x, y, &r);
	return over || r > WQ_DIM_INF || r < -WQ_DIM_INF;
}

/* 1, 0, or -1 when it cannot be decided. */
static int decide(const WqInfer *x, WqOp op, WqDim a, WqDim b)
{
	if (a == WQ_DIM_UNKNOWN || b == WQ_DIM_UNKNOWN)
		return -1;
	WqDim diff = wq_dim_sub(x->mod, a, b);
	if (diff == WQ_DIM_UNKNOWN)
		return -1;
	int64_t lo = wq_dim_lo(x->mod, diff), hi = wq_dim_hi(x->mod, diff);
	switch (op) {
	case OP_Equal:
		return lo == 0 && hi == 0 ? 1 : lo > 0 || hi < 0 ? 0 : -1;
	case OP_Less:
		return hi < 0 ? 1 : lo >= 0 ? 0 : -1;
	default:
		return hi <= 0 ? 1 : lo > 0 ? 0 : -1;
	}
}

static WqDim elem_op(const WqInfer *x, WqOp op, WqDim a, WqDim b)
{
	WqModule *m = x->mod;
	if (a == WQ_DIM_UNKNOWN || b == WQ_DIM_UNKNOWN || beyond_sizes(m, op, a, b))
		return WQ_DIM_UNKNOWN;
	switch (op) {
	case OP_Add:
		return wq_dim_add(m, a, b);
	case OP_Sub:
		return wq_dim_sub(m, a, b);
	case OP_Mul:
		return wq_dim_mul(m, a, b);
	case OP_Div: /* truncates; the same as the floor for what cannot be negative */
		return wq_dim_lo(m, a) >= 0 && wq_dim_lo(m, b) > 0 ? wq_dim_floordiv(m, a, b) : WQ_DIM_UNKNOWN;
	case OP_Mod:
		return wq_dim_lo(m, a) >= 0 && wq_dim_lo(m, b) > 0 ? wq_dim_mod(m, a, b) : WQ_DIM_UNKNOWN;
	case OP_Min:
		return wq_dim_min(m, a, b);
	case OP_Max:
		return wq_dim_max(m, a, b);
	case OP_Equal:
	case OP_Less:
	case OP_LessOrEqual: {
		int r = decide(x, op, a, b);
		return r < 0 ? WQ_DIM_UNKNOWN : r;
	}
	default:
		return WQ_DIM_UNKNOWN;
	}
}

/* Elements of a small integer result, where all are known. Booleans of comparisons count as 0 and 1. */
static void elements(WqInfer *x)
{
	WqOp op = x->node->op;
	const WqType *t = &x->out[0];
	if (x->running || t->rank > 1 || !wq_type_static(t) || (wq_dtype_is_float(t->dtype)) || t->dtype == WQ_STR)
		return;
	int64_t n = t->rank == 1 ? t->dim[0] : 1;
	if (n > 64)
		return;
	WqDim *s = WQ_NEW_N(x->mod->arena, WqDim, n + 1);
	for (int64_t i = 0; i < n; i++) {
		WqDim a = elem(x, 0, n, i), b = x->n_in > 1 ? elem(x, 1, n, i) : 0;
		if (op == OP_Neg)
			s[i] = elem_op(x, OP_Sub, 0, a);
		else if (op == OP_Cast)
			s[i] = a;
		else if (op == OP_Where)
			s[i] = a == 1 ? b : a == 0 ? elem(x, 2, n, i) : WQ_DIM_UNKNOWN;
		else
			s[i] = elem_op(x, op, a, b);
		if (s[i] == WQ_DIM_UNKNOWN)
			return;
	}
	x->out_sym = s;
}

void infer_same(WqInfer *x)
{
	x->out[0] = *x->in[0];
	if (x->node->op == OP_Neg)
		elements(x);
}

void infer_to_bool(WqInfer *x)
{
	x->out[0] = *x->in[0];
	x->out[0].dtype = WQ_BOOL;
}

static void note(const WqInfer *x, enum WqNeed need, WqDim a, WqDim b)
{
	if (x->needs && a != b && a != WQ_DIM_UNKNOWN && b != WQ_DIM_UNKNOWN && !(wq_dim_static(a) && wq_dim_static(b)))
		x->needs(x->needs_arg, need, a, b);
}

void wq_infer_equal(const WqInfer *x, WqDim a, WqDim b, const char *what)
{
	if (wq_dim_static(a) && wq_dim_static(b) && a != b)
		wq_infer_fail(x, "%s: %lld against %lld", what, (long long)a, (long long)b);
	note(x, WQ_NEED_EQUAL, a, b);
}

void wq_infer_spreads(const WqInfer *x, WqDim a, WqDim b, const char *what)
{
	if (a == 1)
		return;
	if (wq_dim_static(a) && wq_dim_static(b) && a != b)
		wq_infer_fail(x, "%s: %lld against %lld", what, (long long)a, (long long)b);
	note(x, WQ_NEED_BROADCAST, a, b);
}

void wq_infer_divides(const WqInfer *x, WqDim a, WqDim b, const char *what)
{
	if (wq_dim_static(a) && wq_dim_static(b) && (b ? a % b : a))
		wq_infer_fail(x, "%s: %lld by %lld", what, (long long)a, (long long)b);
	if (b != 1)
		note(x, WQ_NEED_DIVIDES, a, b);
}

WqDim wq_infer_bcast(const WqInfer *x, WqDim a, WqDim b, int axis)
{
	if (a != 1 && b != 1)
		note(x, WQ_NEED_BROADCAST, a, b);
	if (a >= 0 && b >= 0 && a != b && a != 1 && b != 1)
		wq_infer_fail(x, "operands do not broadcast: %lld against %lld (axis %d)", (long long)a, (long long)b, axis);
	return wq_dim_bcast(x->mod, a, b);
}

void wq_infer_bcast_shape(const WqInfer *x, const WqType *a, const WqType *b, WqType *out)
{
	if (a->rank < 0 || b->rank < 0) {
		out->rank = -1;
		return;
	}
	WqDim dim[WQ_MAX_RANK] = { 0 };
	int rank = a->rank > b->rank ? a->rank : b->rank;
	for (int i = 0; i < rank; i++) {
		int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
		dim[i] = ia < 0 ? b->dim[ib] : ib < 0 ? a->dim[ia] : wq_infer_bcast(x, a->dim[ia], b->dim[ib], i);
	}
	out->kind = WQ_TENSOR;
	out->rank = rank;
	memcpy(out->dim, dim, sizeof dim);
}

void infer_broadcast(WqInfer *x)
{
	x->out[0].dtype = x->in[0]->dtype;
	wq_infer_bcast_shape(x, x->in[0], x->in[1], &x->out[0]);
	elements(x);
}

void infer_compare(WqInfer *x)
{
	x->out[0].dtype = WQ_BOOL;
	wq_infer_bcast_shape(x, x->in[0], x->in[1], &x->out[0]);
	elements(x);
}

void infer_where(WqInfer *x)
{
	x->out[0].dtype = x->in[1]->dtype;
	wq_infer_bcast_shape(x, x->in[0], x->in[1], &x->out[0]);
	wq_infer_bcast_shape(x, &x->out[0], x->in[2], &x->out[0]);
	elements(x);
}

/* ---- types and sources ------------------------------------------------------------------------- */

WqDtype wq_infer_dtype_attr(const WqInfer *x, const char *name)
{
	int64_t t = wq_attr_i(x->node, name);
	if (t < 0 || t >= WQ_NUM_DTYPES || !wq_dtype_valid((int)t))
		wq_infer_fail(x, "%s=%lld is not an element type", name, (long long)t);
	return (WqDtype)t;
}

void infer_cast(WqInfer *x)
{
	if (x->in[0]->kind != WQ_TENSOR)
		wq_infer_fail(x, "the operand is not a tensor");
	x->out[0] = *x->in[0];
	x->out[0].dtype = wq_infer_dtype_attr(x, "to");
	if (wq_dtype_is_int(x->in[0]->dtype) && (x->out[0].dtype == WQ_I64 || x->out[0].dtype == WQ_I32))
		elements(x);
}

void infer_bitcast(WqInfer *x)
{
	if (x->in[0]->kind != WQ_TENSOR)
		wq_infer_fail(x, "the operand is not a tensor");
	WqDtype to = wq_infer_dtype_attr(x, "to");
	if (to == WQ_STR || x->in[0]->dtype == WQ_STR || wq_dtype(to)->bits != wq_dtype(x->in[0]->dtype)->bits)
		wq_infer_fail(x, "%s and %s have different widths", wq_dtype(x->in[0]->dtype)->text, wq_dtype(to)->text);
	x->out[0] = *x->in[0];
	x->out[0].dtype = to;
}

void infer_dims(WqInfer *x)
{
	int n;
	const WqDim *d = wq_attr_ints(x->node, "dims", &n);
	WqDim dim = n;
	bool scalar = wq_attr_i(x->node, "scalar");
	if (scalar && n != 1)
		wq_infer_fail(x, "a scalar has one element, not %d", n);
	x->out[0] = wq_type_tensor(WQ_I64, scalar ? 0 : 1, &dim);
	x->out_sym = x->running ? NULL : d;
}

void infer_shape(WqInfer *x)
{
	if (x->in[0]->kind != WQ_TENSOR)
		wq_infer_fail(x, "the operand is not a tensor");
	WqDim rank = x->in[0]->rank < 0 ? WQ_DIM_UNKNOWN : x->in[0]->rank;
	x->out[0] = wq_type_tensor(WQ_I64, 1, &rank);
	if (x->in[0]->rank >= 0)
		x->out_sym = x->in[0]->dim;
	x->has_hi = true;
	x->hi = WQ_MAX_RANK;
}
