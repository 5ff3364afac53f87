/* eval.h: what tests of passes share: random inputs for a graph, running it, comparing two runs. */
#ifndef WQ_TEST_EVAL_H
#define WQ_TEST_EVAL_H

#include "engine/engine.h"
#include "passes/pass.h"

#include <math.h>
#include <stdlib.h>

typedef struct Rng {
	uint64_t s;
} Rng;

static inline uint32_t rng_u32(Rng *r)
{
	r->s = r->s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->s >> 33);
}
static inline int rng_below(Rng *r, int n) { return (int)(rng_u32(r) % (uint32_t)n); }
static inline double rng_unit(Rng *r) { return rng_u32(r) / 2147483648.0; }

/* Every symbol that a type of the graph's inputs needs gets a size within its bounds, from 2 on. */
static inline int64_t *bind_symbols(WqArena *a, const WqModule *m)
{
	int n = wq_dim_num_syms(m);
	int64_t *bind = WQ_NEW_N(a, int64_t, n + 1);
	for (int i = 0; i < n; i++) {
		int64_t lo = wq_dim_lo(m, wq_dim_sym_at(m, i)), hi = wq_dim_hi(m, wq_dim_sym_at(m, i));
		bind[i] = 2 + i % 3 < lo ? lo : 2 + i % 3 > hi ? hi : 2 + i % 3;
	}
	return bind;
}

static inline double random_element(Rng *r, WqDtype t)
{
	if (t == WQ_BOOL)
		return rng_below(r, 2);
	if (wq_dtype_is_int(t))
		return rng_below(r, 5) - (wq_dtype_is_signed(t) ? 2 : 0);
	static const double special[] = { 0.0, -0.0, 1, -1, 0.5, 3 };
	return rng_below(r, 16) == 0 ? special[rng_below(r, WQ_COUNTOF(special))] : 4 * rng_unit(r) - 2;
}

static inline WqTensor *random_tensor(WqModule *m, Rng *r, WqDtype t, int rank, const int64_t *dim)
{
	WqTensor *x = wq_tensor_new(m, t, rank, dim);
	for (int64_t i = 0; i < wq_tensor_count(x); i++)
		wq_tensor_set_f(x, i, random_element(r, t));
	return x;
}

static inline void drop_all(WqRt **v, int n)
{
	for (int i = 0; i < n; i++)
		wq_rt_unref(v[i]);
}

static inline void drop_one(void *v) { wq_rt_unref(v); }

/* The references go with the arena: for what an error may leave behind. */
static inline void drop_with(WqArena *a, WqRt **v, int n)
{
	for (int i = 0; i < n; i++)
		wq_defer(a, drop_one, v[i]);
}

/* One input per graph input; the same seed gives the same for a graph with the same inputs. */
static inline WqRt **random_inputs(WqArena *a, WqModule *m, uint64_t seed)
{
	const WqGraph *g = m->main;
	WqRt **in = WQ_NEW_N(a, WqRt *, g->inputs.n + 1);
	int64_t *bind = bind_symbols(a, m);
	Rng r = { seed };
	for (int i = 0; i < g->inputs.n; i++) {
		const WqType *t = &g->inputs.v[i]->type;
		int64_t dim[WQ_MAX_RANK];
		if (t->kind != WQ_TENSOR || t->rank < 0) {
			drop_all(in, i);
			wq_fail(WQ_EINPUT, "input '%s' is not a tensor of known rank", g->inputs.v[i]->name);
		}
		for (int d = 0; d < t->rank; d++)
			if (!wq_dim_eval(m, t->dim[d], bind, wq_dim_num_syms(m), &dim[d])) {
				drop_all(in, i);
				wq_fail(WQ_EINPUT, "input '%s' has no size", g->inputs.v[i]->name);
			}
		in[i] = wq_rt_borrow(random_tensor(m, &r, t->dtype, t->rank, dim));
	}
	return in;
}

/* Results belong to the caller. */
static inline WqRt **run_graph(WqArena *a, WqModule *m, WqRt *const *in, bool plain)
{
	WqRt **out = WQ_NEW_N(a, WqRt *, m->main->outputs.n + 1);
	WqEngine *volatile e = NULL;
	WqTry t;
	if (WQ_TRY(&t)) {
		WqEngineOptions o = { .threads = 1, .plain = plain };
		e = wq_engine_new(m, &o);
		wq_engine_run(e, in, out);
		wq_try_end(&t);
		wq_engine_free(e);
		return out;
	}
	wq_engine_free(e);
	wq_fail(t.err.code, "%s", t.err.text);
}

static inline bool close_to(double x, double y, double tol, double scale)
{
	if (isnan(x) || isnan(y))
		return isnan(x) && isnan(y);
	if (tol == 0)
		return x == y && signbit(x) == signbit(y);
	return x == y || fabs(x - y) <= tol * (fmax(fabs(x), fabs(y)) + scale + 1e-3); /* a sum may cancel altogether */
}

/* Mean magnitude: what rounding is measured against where results cancel. */
static inline double scale_of(const WqTensor *t)
{
	double sum = 0;
	int64_t n = wq_tensor_count(t), k = 0;
	for (int64_t i = 0; i < n; i++) {
		double v = fabs(wq_tensor_get_f(t, i));
		if (isfinite(v)) {
			sum += v;
			k++;
		}
	}
	return k ? sum / (double)k : 0;
}

/* tol 0: to the bit (any NaN is as good as another). Appends what differs. */
static inline bool same_value(const WqRt *x, const WqRt *y, double tol, WqStr *why)
{
	if (x->kind != y->kind || x->n != y->n) {
		wq_str_printf(why, "another kind of value or number of elements");
		return false;
	}
	for (int i = 0; x->kind != WQ_TENSOR && i < x->n; i++)
		if (!same_value(x->elems[i], y->elems[i], tol, why))
			return false;
	if (x->kind != WQ_TENSOR)
		return true;
	if (x->t.dtype != y->t.dtype || x->t.rank != y->t.rank ||
	    memcmp(x->t.dim, y->t.dim, (size_t)x->t.rank * sizeof *x->t.dim)) {
		wq_str_printf(why, "another type or shape");
		return false;
	}
	int64_t n = wq_tensor_count(&x->t);
	WqDtype t = x->t.dtype;
	if (t == WQ_STR || t == WQ_C64 || t == WQ_C128 || (t != WQ_BOOL && !wq_dtype_is_float(t)))
		return (t == WQ_STR || !memcmp(x->t.data, y->t.data, wq_tensor_bytes(&x->t))) ||
		       (wq_str_printf(why, "values differ"), false);
	double unit = t == WQ_F16 ? 1e-3 : t == WQ_BF16 ? 8e-3 : t == WQ_F64 ? 1e-10 : tol, scale = scale_of(&y->t);
	if (tol > 0 && unit > tol)
		tol = 4 * unit;
	for (int64_t i = 0; i < n; i++) {
		double u = wq_tensor_get_f(&x->t, i), v = wq_tensor_get_f(&y->t, i);
		if (!close_to(u, v, tol, scale)) {
			wq_str_printf(why, "element %lld is %.9g, was %.9g", (long long)i, v, u);
			return false;
		}
	}
	return true;
}

#endif
