/* cg_arith.c: arithmetic, comparisons, selection. LLVM's builder folds constants; what it leaves, x + 0 and the like, is folded here, so
 * that sizes and indices stay numbers wherever they can.
 */
#include "codegen/cg_impl.h"

void cg_match(Cg *c, CgVal *a, CgVal *b)
{
	int na = cg_lanes(c, *a), nb = cg_lanes(c, *b);
	if (na == nb)
		return;
	*a = cg_splat(c, *a, nb > na ? nb : na);
	*b = cg_splat(c, *b, nb > na ? nb : na);
}

static bool floats(Cg *c, CgVal v) { return cg_is_float(cg_type(c, v).kind); }

/* Are both of one type? A mistake shows here rather than as a module that does not verify. */
static void check(CgVal a, CgVal b)
{
	if (LLVMTypeOf(a) != LLVMTypeOf(b)) {
		char *ta = LLVMPrintTypeToString(LLVMTypeOf(a)), *tb = LLVMPrintTypeToString(LLVMTypeOf(b));
		WQ_BUG("operands of types %s and %s", ta, tb);
	}
}

static const LLVMOpcode INTEGERS_ONLY = LLVMUnreachable; /* in place of an operation of floats */

static CgVal binary(Cg *c, LLVMOpcode of_int, LLVMOpcode of_float, CgVal a, CgVal b)
{
	bool f = floats(c, a);
	WQ_ASSERT(!f || of_float != INTEGERS_ONLY);
	check(a, b);
	return LLVMBuildBinOp(c->b, f ? of_float : of_int, a, b, "");
}

static bool is(CgVal v, int64_t x)
{
	int64_t k;
	return cg_splat_const(v, &k) && k == x;
}

CgVal cg_add(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	if (is(a, 0))
		return b;
	if (is(b, 0))
		return a;
	return binary(c, LLVMAdd, LLVMFAdd, a, b);
}

CgVal cg_sub(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	if (is(b, 0))
		return a;
	if (a == b && !floats(c, a))
		return LLVMConstNull(LLVMTypeOf(a));
	return binary(c, LLVMSub, LLVMFSub, a, b);
}

CgVal cg_mul(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	if (is(a, 1) || is(b, 0))
		return b;
	if (is(b, 1) || is(a, 0))
		return a;
	return binary(c, LLVMMul, LLVMFMul, a, b);
}

CgVal cg_neg(Cg *c, CgVal a) { return floats(c, a) ? LLVMBuildFNeg(c->b, a, "") : LLVMBuildNeg(c->b, a, ""); }

CgVal cg_fdiv(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	WQ_ASSERT(floats(c, a));
	return binary(c, LLVMFDiv, LLVMFDiv, a, b);
}

static CgVal quotient(Cg *c, LLVMOpcode op, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	return is(b, 1) ? a : binary(c, op, INTEGERS_ONLY, a, b);
}

static CgVal remainder_of(Cg *c, LLVMOpcode op, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	return is(b, 1) ? LLVMConstNull(LLVMTypeOf(a)) : binary(c, op, INTEGERS_ONLY, a, b);
}

CgVal cg_sdiv(Cg *c, CgVal a, CgVal b) { return quotient(c, LLVMSDiv, a, b); }
CgVal cg_udiv(Cg *c, CgVal a, CgVal b) { return quotient(c, LLVMUDiv, a, b); }
CgVal cg_srem(Cg *c, CgVal a, CgVal b) { return remainder_of(c, LLVMSRem, a, b); }
CgVal cg_urem(Cg *c, CgVal a, CgVal b) { return remainder_of(c, LLVMURem, a, b); }

CgVal cg_and(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	if (a == b || is(a, 0) || is(b, -1))
		return a;
	return is(b, 0) || is(a, -1) ? b : binary(c, LLVMAnd, INTEGERS_ONLY, a, b);
}

CgVal cg_or(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	if (a == b || is(a, -1) || is(b, 0))
		return a;
	return is(b, -1) || is(a, 0) ? b : binary(c, LLVMOr, INTEGERS_ONLY, a, b);
}

CgVal cg_xor(Cg *c, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	if (is(b, 0))
		return a;
	return is(a, 0) ? b : binary(c, LLVMXor, INTEGERS_ONLY, a, b);
}

CgVal cg_not(Cg *c, CgVal a) { return LLVMBuildNot(c->b, a, ""); }

static CgVal shift(Cg *c, LLVMOpcode op, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	return is(b, 0) || is(a, 0) ? a : binary(c, op, INTEGERS_ONLY, a, b);
}

CgVal cg_shl(Cg *c, CgVal a, CgVal b) { return shift(c, LLVMShl, a, b); }
CgVal cg_lshr(Cg *c, CgVal a, CgVal b) { return shift(c, LLVMLShr, a, b); }
CgVal cg_ashr(Cg *c, CgVal a, CgVal b) { return shift(c, LLVMAShr, a, b); }

CgVal cg_addi(Cg *c, CgVal a, int64_t b) { return cg_add(c, a, cg_int(c, cg_type(c, a), b)); }
CgVal cg_muli(Cg *c, CgVal a, int64_t b) { return cg_mul(c, a, cg_int(c, cg_type(c, a), b)); }
CgVal cg_divi(Cg *c, CgVal a, int64_t b) { return cg_udiv(c, a, cg_int(c, cg_type(c, a), b)); }

bool cg_has_fma(const Cg *c, CgKind k) { return c->t->fma && (k == CG_F32 ? c->t->hard_f32 : k == CG_F64 && c->t->hard_f64); }

CgVal cg_fma(Cg *c, CgVal a, CgVal b, CgVal add)
{
	cg_match(c, &a, &b);
	cg_match(c, &a, &add);
	cg_match(c, &b, &add);
	CgKind k = cg_type(c, a).kind;
	if (!cg_has_fma(c, k))
		return cg_add(c, cg_mul(c, a, b), add);
	return cg_call_intrinsic(c, "llvm.fma", a, a, b, add);
}

/* ---- comparisons ------------------------------------------------------------------------------------ */

/* By the bits of an f32. */
static CgVal is_nan(Cg *c, CgVal v)
{
	CgType t = cg_t(CG_I32, cg_lanes(c, v));
	return cg_cmp(c, CG_UGT, cg_and(c, cg_bitcast(c, v, t), cg_int(c, t, 0x7fffffff)), cg_int(c, t, 0x7f800000));
}

/* LLVM 19 makes "neither < nor >=" of a vector's unordered comparison, and on MVE takes >= for the opposite of <. */
static CgVal unordered(Cg *c, CgVal a, CgVal b)
{
	if (!wq_target_has(c->t, "mve.fp") || cg_type(c, a).kind != CG_F32)
		return LLVMBuildFCmp(c->b, LLVMRealUNO, a, b, "");
	return a == b ? is_nan(c, a) : cg_or(c, is_nan(c, a), is_nan(c, b));
}

/* Is either NaN? By their bits. */
static CgVal nan_by_bits(Cg *c, CgVal a, CgVal b)
{
	CgType t = cg_type(c, a), bits = cg_t(t.kind == CG_F32 ? CG_I32 : CG_I64, t.lanes);
	CgVal inf = cg_int(c, bits, t.kind == CG_F32 ? 0x7f800000 : INT64_C(0x7ff0000000000000));
	CgVal mask = cg_int(c, bits, t.kind == CG_F32 ? INT32_MAX : INT64_MAX), yes = NULL;
	for (int i = 0; i < (a == b ? 1 : 2); i++) {
		CgVal nan = cg_cmp(c, CG_GT, cg_and(c, cg_bitcast(c, i ? b : a, bits), mask), inf);
		yes = yes ? cg_or(c, yes, nan) : nan;
	}
	return yes;
}

/* LLVM makes two comparisons of "is either NaN", a < b and a >= b, and then, with MVE, takes one for the opposite of the other. */
static bool compares_badly(Cg *c, CgVal a) { return c->t->family == WQ_CORTEX_M && c->t->vector_f32 && cg_lanes(c, a) > 1; }

CgVal cg_cmp(Cg *c, CgCmp op, CgVal a, CgVal b)
{
	static const LLVMIntPredicate ints[] = {LLVMIntEQ, LLVMIntNE, LLVMIntSLT, LLVMIntSLE, LLVMIntSGT, LLVMIntSGE,
		LLVMIntULT, LLVMIntULE, LLVMIntUGT, LLVMIntUGE};
	static const LLVMRealPredicate reals[] = {LLVMRealOEQ, LLVMRealUNE, LLVMRealOLT, LLVMRealOLE, LLVMRealOGT, LLVMRealOGE};
	cg_match(c, &a, &b);
	check(a, b);
	if (!floats(c, a)) {
		WQ_ASSERT(op != CG_UNO);
		return LLVMBuildICmp(c->b, ints[op], a, b, "");
	}
	WQ_ASSERT(op == CG_UNO || op <= CG_GE);
	if (op == CG_UNO && compares_badly(c, a))
		return nan_by_bits(c, a, b);
	return op == CG_UNO ? unordered(c, a, b) : LLVMBuildFCmp(c->b, reals[op], a, b, "");
}

CgVal cg_select(Cg *c, CgVal cond, CgVal yes, CgVal no)
{
	int64_t k;
	cg_match(c, &yes, &no);
	check(yes, no);
	int lanes = cg_lanes(c, cond);
	if (lanes > 1) {
		yes = cg_splat(c, yes, lanes);
		no = cg_splat(c, no, lanes);
	}
	if (cg_splat_const(cond, &k))
		return k ? yes : no;
	return yes == no ? yes : LLVMBuildSelect(c->b, cond, yes, no, "");
}

static CgVal pick(Cg *c, CgCmp op, CgVal a, CgVal b)
{
	cg_match(c, &a, &b);
	return cg_select(c, cg_cmp(c, op, a, b), a, b);
}

CgVal cg_min(Cg *c, CgVal a, CgVal b) { return pick(c, CG_LT, a, b); }
CgVal cg_max(Cg *c, CgVal a, CgVal b) { return pick(c, CG_GT, a, b); }
CgVal cg_umin(Cg *c, CgVal a, CgVal b) { return pick(c, CG_ULT, a, b); }
CgVal cg_umax(Cg *c, CgVal a, CgVal b) { return pick(c, CG_UGT, a, b); }

CgVal cg_abs(Cg *c, CgVal a)
{
	if (floats(c, a))
		return cg_call_intrinsic(c, "llvm.fabs", a, a, NULL, NULL);
	return cg_select(c, cg_cmp(c, CG_LT, a, cg_zero(c, cg_type(c, a))), cg_neg(c, a), a);
}

CgVal cg_popcount(Cg *c, CgVal a) { return cg_call_intrinsic(c, "llvm.ctpop", a, a, NULL, NULL); }

CgVal cg_clz(Cg *c, CgVal a) { return cg_call_intrinsic(c, "llvm.ctlz", a, a, LLVMConstInt(c->prim[CG_I1], 0, false), NULL); }
