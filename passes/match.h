/* match.h: rewrite rules as text.
 *
 *   { "Add(MatMul!(x, w), b)",  "..." }
 *
 * Pattern:  Op(operand, ...)   a node of that operator whose result is used; `...` at the end: further operands, any
 *           Op{a=1 b=none}(..) and with these attributes
 *           Op!(...)           and its result has no use outside of the match
 *           x                  any value; the same name again: the same value (or an equal constant)
 *           $c                 any constant
 *           1.5                a constant all of whose elements are 1.5, as exactly as the type holds it
 *           1.41421~           the same to five digits (or what the type holds)
 *           _                  anything, also an absent operand
 *           s=Op(...)          the result gets a name
 *           A | B              either, within an operand
 * Operands of a commutative operator match in both orders.
 *
 * Result:   Op(operand, ...), x, $c as bound; 1.5 a scalar of the type of the node replaced; _ an absent operand;
 *           Op{a=1 b=$c *s}(..) attributes: a literal, a bound constant's number, all those of the node named s.
 * What is built is typed by the shape rules and folded on the way. If its type is not that of the node replaced,
 * the rule declines.
 *
 * A set of rules must end: each rule shrinks the graph or takes it one way towards a canonical form (the file says
 * which). The driver stops with an internal error after more firings than any terminating set needs.
 */
#ifndef WQ_MATCH_H
#define WQ_MATCH_H

#include "passes/pass.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* a rule leaves out what it does not need */

typedef struct WqMatch WqMatch;

typedef struct WqRule {
	const char *from;
	const char *to;                 /* NULL: `make` builds the result */
	bool (*when)(WqMatch *x);       /* NULL: always */
	WqValue *(*make)(WqMatch *x);   /* NULL result: the rule declines */
} WqRule;

/* Applies the rules everywhere until none fires. Returns the number of firings. */
int wq_rewrite(WqModule *m, const WqPassRun *r, const WqRule *rules, int n);

/* For guards and makers. */
WqValue *wq_m(const WqMatch *x, const char *name);              /* what the name stands for, without $ */
WqNode *wq_m_root(const WqMatch *x);                            /* the node that will be replaced */
bool wq_m_num(const WqMatch *x, const char *name, double *v);   /* a constant of one number */
WqArena *wq_m_arena(const WqMatch *x);
int64_t wq_m_option(const WqMatch *x, const char *option);      /* of the pass */
/* Builds before the root, folding: one-result operators without attributes. */
WqValue *wq_m_build(const WqMatch *x, WqOp op, int n, WqValue *const *in);
WqNode *wq_m_node(const WqMatch *x, WqOp op, int n,
		  WqValue *const *in); /* set attributes, then wq_node_value(n, wq_m_root(x)) */

/* What passes share. */
WqValue *wq_transpose_both(WqNode *outer); /* its operand is a Transpose as well: one that does both (algebra.c) */

#endif
