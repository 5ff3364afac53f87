/* dim.h: dimensions (dim.c, dim_range.c, dim_text.c). */
#ifndef WQ_DIM_H
#define WQ_DIM_H

#include "ir/base.h"

typedef struct WqModule WqModule;

/* A dimension is a number >= 0, or a handle (< 0) of an expression over named symbols that the module interns:
 * equal expressions have equal handles. Symbols have bounds. WQ_DIM_UNKNOWN is what a shape rule says of a size that only running
 * the operator tells; the builder makes a fresh symbol of it.
 */
typedef int64_t WqDim;
#define WQ_DIM_UNKNOWN INT64_MIN
#define WQ_DIM_INF (INT64_MAX / 4)
static inline bool wq_dim_static(WqDim d) { return d >= 0; }

WqDim wq_dim_sym(WqModule *m, const char *name); /* finds or makes; bounds [0, inf) when new */
WqDim wq_dim_fresh(WqModule *m, const char *stem, int64_t lo, int64_t hi); /* "u0", "u1", ... */
void wq_dim_bound(WqModule *m, WqDim sym, int64_t lo, int64_t hi);
/* Arithmetic; negative intermediate numbers are expressions too (wq_dim_const). Works on numbers without a module. */
WqDim wq_dim_const(WqModule *m, int64_t v);
bool wq_dim_get_const(const WqModule *m, WqDim d, int64_t *v); /* also for negative numbers */
WqDim wq_dim_add(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_sub(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_mul(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_floordiv(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_ceildiv(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_mod(WqModule *m, WqDim a, WqDim b); /* sign of the divisor, as Python */
WqDim wq_dim_min(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_max(WqModule *m, WqDim a, WqDim b);
WqDim wq_dim_bcast(WqModule *m, WqDim a, WqDim b); /* the broadcast of two dims: a == 1 ? b : a */
int64_t wq_dim_lo(const WqModule *m, WqDim d);
int64_t wq_dim_hi(const WqModule *m, WqDim d); /* WQ_DIM_INF when unbounded */
bool wq_dim_is_sym(const WqModule *m, WqDim d, int *index); /* a bare symbol; its index */
int wq_dim_num_syms(const WqModule *m);
const char *wq_dim_sym_name(const WqModule *m, int index);
WqDim wq_dim_sym_at(const WqModule *m, int index);
/* Value under bindings (indexed by symbol; < 0 is unbound): false if a symbol that it needs is unbound. */
bool wq_dim_eval(const WqModule *m, WqDim d, const int64_t *bind, int n_bind, int64_t *out);
/* Structure, for printing and for code: a sum of terms coef * atoms (up to 8; their number is returned), or a call of div,
 * mod, min, max, bcast (the function's name, or NULL). */
int wq_dim_num_terms(const WqModule *m, WqDim d);
int wq_dim_term(const WqModule *m, WqDim d, int i, int64_t *coef, WqDim *atoms);
const char *wq_dim_call(const WqModule *m, WqDim d, WqDim *a, WqDim *b);
void wq_dim_print(const WqModule *m, WqDim d, WqStr *out);
WqDim wq_dim_parse(WqModule *m, const char *s, const char **end); /* fails on nonsense */

#endif
