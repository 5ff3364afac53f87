/* lower_linear_attention.c: LinearAttention, a recurrence over time on a matrix per head:
 *
 *   state = exp(decay) * state + key x (beta * (value - key . state));  y = scale * query . state
 *
 * where the update rule leaves out the decay, the correction by beta, or both. Computed in f32.
 */
#include "frontend/lower_attention.h"
#include "frontend/lower_loop.h"

typedef struct Linear {
	int64_t q_heads, kv_heads;
	bool gated, delta;
	WqDim b, t, dk, dv;
	WqValue *q, *k, *v, *decay,
		*beta; /* step first: [T,B,G,R,dk], [T,B,G,dk,1], [T,B,G,1,dv], [T,B,G,dk or 1,1], [T,B,G or 1,1,1] */
	WqValue *scale;
} Linear;

static WqDim per_head(Lower *L, WqValue *x, int64_t heads, const char *what)
{
	WqDim all = lo_dim(L, x, 2);

	if (wq_dim_static(all) && all % heads)
		lo_bad(L, "%s has %lld elements on its last axis, for %lld heads", what, (long long)all,
		       (long long)heads);
	return wq_dim_floordiv(L->m, all, wq_dim_const(L->m, heads));
}

/* [B,T,n*D] as [T,B,n,d0,d1], with d0*d1 = D. */
static WqValue *by_step(Lower *L, WqValue *x, WqDim n, WqDim d0, WqDim d1)
{
	x = lo_reshape(L, x, 5, (WqDim[]){ lo_dim(L, x, 0), lo_dim(L, x, 1), n, d0, d1 });
	return lo_cast(L, lo_transpose(L, x, 5, (int64_t[]){ 1, 0, 2, 3, 4 }), WQ_F32);
}

static WqValue *operand(Lower *L, int i)
{
	WqValue *x = lo_need(L, i);

	if (lo_rank(L, x) != 3)
		lo_bad(L, "operand %d has rank %d, 3 is needed", i, lo_rank(L, x));
	return x;
}

static void gates(Lower *L, Linear *a)
{
	if (!a->gated != !lo_in(L, 4) || !a->delta != !lo_in(L, 5))
		lo_bad(L, "the update rule %s a decay and %s a beta", a->gated ? "needs" : "has not",
		       a->delta ? "needs" : "has not");
	if (a->gated) {
		WqValue *x = operand(L, 4);
		WqDim each = per_head(L, x, a->kv_heads, "decay"); /* 1 or dk */
		a->decay = lo1(L, OP_Exp, by_step(L, x, a->kv_heads, each, 1));
	}
	if (a->delta)
		a->beta = by_step(L, operand(L, 5), lo_dim(L, lo_in(L, 5), 2), 1, 1);
}

static void linear_operands(Lower *L, Linear *a)
{
	WqValue *q = operand(L, 0), *k = operand(L, 1), *v = operand(L, 2);
	const char *rule = lo_s(L, "update_rule", "gated_delta");
	double scale = lo_f(L, "scale", 0);

	a->gated = !strcmp(rule, "gated") || !strcmp(rule, "gated_delta");
	a->delta = !strcmp(rule, "delta") || !strcmp(rule, "gated_delta");
	if (!a->gated && !a->delta && strcmp(rule, "linear"))
		lo_bad(L, "update_rule is '%s'", rule);
	if (a->q_heads % a->kv_heads)
		lo_bad(L, "%lld query heads for %lld key heads", (long long)a->q_heads, (long long)a->kv_heads);
	a->b = lo_dim(L, q, 0);
	a->t = lo_dim(L, q, 1);
	a->dk = per_head(L, q, a->q_heads, "query");
	a->dv = per_head(L, v, a->kv_heads, "value");
	a->q = by_step(L, q, a->kv_heads, a->q_heads / a->kv_heads, a->dk);
	a->k = by_step(L, k, a->kv_heads, per_head(L, k, a->kv_heads, "key"), 1);
	a->v = by_step(L, v, a->kv_heads, 1, a->dv);
	gates(L, a);
	a->scale = scale ? lo_scalar(L, WQ_F32, scale)
			 : lo2(L, OP_Div, lo_scalar(L, WQ_F32, 1), lo1(L, OP_Sqrt, lo_dim_scalar(L, a->dk, WQ_F32)));
}

static WqValue *at(Lower *L, WqValue *x, const LoLoop *loop) { return lo2(L, OP_Gather, x, loop->i); }

/* One step on the state [B,G,dk,dv]. */
static WqValue *next_state(Lower *L, const Linear *a, const LoLoop *loop)
{
	WqValue *s = loop->state[0], *k = at(L, a->k, loop), *v = at(L, a->v, loop);

	if (a->gated)
		s = lo2(L, OP_Mul, s, at(L, a->decay, loop));
	if (a->delta) {
		WqValue *known = lo2(L, OP_MatMul, lo_swap_last(L, k), s);
		v = lo2(L, OP_Mul, at(L, a->beta, loop), lo2(L, OP_Sub, v, known));
	}
	return lo2(L, OP_Add, s, lo2(L, OP_Mul, k, v));
}

void lower_LinearAttention(Lower *L)
{
	Linear a = { .q_heads = lo_num_heads(L, "q_num_heads"), .kv_heads = lo_num_heads(L, "kv_num_heads") };
	WqValue *past = lo_in(L, 3), *out[2], *next, *y;
	WqDtype t = lo_type_of(lo_need(L, 0));
	LoLoop loop;

	linear_operands(L, &a);
	WqDim shape[] = { a.b, a.kv_heads, a.dk, a.dv };
	WqValue *init = past ? lo_cast(L, past, WQ_F32) : lo_expand(L, lo_scalar(L, WQ_F32, 0), 4, shape);
	lo_loop_begin(L, &loop, a.t, 1, &init);
	next = next_state(L, &a, &loop);
	y = lo2(L, OP_MatMul, at(L, a.q, &loop), next); /* [B,G,R,dv] */
	lo_loop_end(L, &loop, &next, 1, &y, out);
	y = lo_transpose(L, lo2(L, OP_Mul, out[1], a.scale), 5, (int64_t[]){ 1, 0, 2, 3, 4 });
	WqDim hidden = wq_dim_mul(L->m, a.dv, wq_dim_const(L->m, a.q_heads));
	lo_out(L, 0, lo_cast(L, lo_reshape(L, y, 3, (WqDim[]){ a.b, a.t, hidden }), t));
	if (lo_wants(L, 1))
		lo_out(L, 1, lo_cast(L, out[0], past ? lo_type_of(past) : t));
}
