/* dim_expr.h: what an expression of dimensions is made of; for dim.c and dim_range.c alone. */
#ifndef WQ_DIM_EXPR_H
#define WQ_DIM_EXPR_H

#include "ir/ir.h"

enum { MAX_TERMS = 12, MAX_ATOMS = 4, MAX_WEIGHT = 256 };

typedef enum { E_SUM, E_SYM, E_DIV, E_MOD, E_MIN, E_MAX, E_BCAST } ExprKind;

typedef struct Term {
	int64_t coef;
	int n;
	WqDim atom[MAX_ATOMS]; /* sorted; repeated for powers */
} Term;

typedef struct Poly {
	int64_t c;
	int n;
	Term t[MAX_TERMS];
} Poly;

typedef struct Expr {
	ExprKind kind;
	int weight; /* symbols and operations in it */
	int sym;
	WqDim a, b;
	Poly *p; /* E_SUM */
	const char *key;
} Expr;

typedef struct Sym {
	const char *name;
	WqDim dim;
	int64_t lo, hi;
} Sym;

struct WqDims {
	WqArena *a;
	WQ_VEC(Expr) e;
	WQ_VEC(Sym) sym;
	WqMap *exprs; /* key -> index + 1 */
	WqMap *syms;  /* name -> index + 1 */
	int fresh;
};

static inline const Expr *expr(const WqModule *m, WqDim d)
{
	int64_t i = -1 - d;
	WQ_ASSERT(d < 0 && m && m->dims && i < m->dims->e.n);
	return &m->dims->e.v[i];
}

static inline int64_t floordiv(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* The sum that an expression is, if only of one term. */
void wq_poly_of(const WqModule *m, WqDim d, Poly *p);

#endif
