/* cg_round.c: roots and rounding to integers, as instructions where the CPU has them, in plain arithmetic where not. */
#include "codegen/cg_impl.h"

static bool in_hardware(const WqTarget *t, CgKind k) { return k == CG_F32 ? t->hard_f32 : t->hard_f64; }

/* ---- square root ---------------------------------------------------------------------------------------- */

typedef struct Format { /* of a float, and of the integer of its size */
	CgType real, bits;
	int mantissa, bias;
} Format;

static Format format_of(CgKind k)
{
	return k == CG_F32 ? (Format){{CG_F32, 1}, {CG_I32, 1}, 23, 127} : (Format){{CG_F64, 1}, {CG_I64, 1}, 52, 1023};
}

static CgVal bit(Cg *c, const Format *f, int i) { return cg_shl(c, cg_int(c, f->bits, 1), cg_int(c, f->bits, i)); }

/* The root of a normal x > 0, digit by digit: q is the root so far, r the remainder, both scaled; one digit more than the mantissa has, and
 * whether anything remains, round it. A root never lies half way between two floats, so adding half is right. */
static CgVal root_of_normal(Cg *c, const Format *f, CgVal u)
{
	CgVal m = cg_or(c, cg_and(c, u, cg_int(c, f->bits, (INT64_C(1) << f->mantissa) - 1)), bit(c, f, f->mantissa));
	CgVal e = cg_addi(c, cg_lshr(c, u, cg_int(c, f->bits, f->mantissa)), -f->bias);
	CgVal odd = cg_and(c, e, cg_int(c, f->bits, 1));
	m = cg_shl(c, cg_shl(c, m, odd), cg_int(c, f->bits, 1));
	e = cg_ashr(c, cg_sub(c, e, odd), cg_int(c, f->bits, 1));
	CgVar r = cg_var(c, m), s = cg_var(c, cg_zero(c, f->bits)), q = cg_var(c, cg_zero(c, f->bits));
	CgVar digit = cg_var(c, bit(c, f, f->mantissa + 1));
	cg_for(c, cg_idx(c, 0), cg_idx(c, f->mantissa + 2), 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	CgVal d = cg_get(c, digit), t = cg_add(c, cg_get(c, s), d), rest = cg_get(c, r), fits = cg_cmp(c, CG_ULE, t, rest);
	cg_set(c, s, cg_select(c, fits, cg_add(c, t, d), cg_get(c, s)));
	cg_set(c, r, cg_shl(c, cg_select(c, fits, cg_sub(c, rest, t), rest), cg_int(c, f->bits, 1)));
	cg_set(c, q, cg_select(c, fits, cg_add(c, cg_get(c, q), d), cg_get(c, q)));
	cg_set(c, digit, cg_lshr(c, d, cg_int(c, f->bits, 1)));
	cg_end(c);
	CgVal root = cg_get(c, q), one = cg_int(c, f->bits, 1);
	root = cg_lshr(c, cg_add(c, root, cg_and(c, root, one)), one);
	return cg_add(c, root, cg_shl(c, cg_addi(c, e, f->bias - 1), cg_int(c, f->bits, f->mantissa)));
}

static void root_body(Cg *c, CgFn *fn)
{
	CgVal x = fn->param[0];
	Format f = format_of(cg_type(c, x).kind);
	int even = f.mantissa + 1 + (f.mantissa + 1) % 2; /* lifts subnormals; its half is taken off the root's exponent */
	CgVal u = cg_bitcast(c, x, f.bits), inf = cg_shl(c, cg_int(c, f.bits, 2 * f.bias + 1), cg_int(c, f.bits, f.mantissa));
	CgVal sign = bit(c, &f, cg_kind_bytes(c, f.bits.kind) * 8 - 1), a = cg_and(c, u, cg_not(c, sign));
	CgVal special = cg_or(c, cg_cmp(c, CG_EQ, a, cg_zero(c, f.bits)), cg_cmp(c, CG_UGE, u, inf));
	CgVal nan = cg_or(c, inf, bit(c, &f, f.mantissa - 1));
	CgVal is_bad = cg_or(c, cg_cmp(c, CG_UGT, a, inf), cg_cmp(c, CG_UGT, u, sign));
	CgVar out = cg_var(c, cg_select(c, is_bad, nan, u));
	cg_if(c, cg_not(c, special));
	CgVal tiny = cg_cmp(c, CG_ULT, a, bit(c, &f, f.mantissa));
	CgVal lifted = cg_bitcast(c, cg_mul(c, x, cg_float(c, f.real, (double)(INT64_C(1) << even))), f.bits);
	CgVal root = root_of_normal(c, &f, cg_select(c, tiny, lifted, u));
	CgVal lower = cg_shl(c, cg_int(c, f.bits, even / 2), cg_int(c, f.bits, f.mantissa));
	cg_set(c, out, cg_sub(c, root, cg_select(c, tiny, lower, cg_zero(c, f.bits))));
	cg_end(c);
	cg_return(c, cg_bitcast(c, cg_get(c, out), f.real));
}

CgVal cg_sqrt(Cg *c, CgVal a)
{
	CgType t = cg_type(c, a), one = cg_t(t.kind, 1);
	WQ_ASSERT(t.kind == CG_F32 || t.kind == CG_F64);
	if (in_hardware(c->t, t.kind))
		return cg_call_intrinsic(c, "llvm.sqrt", a, a, NULL, NULL);
	CgVal fn = cg_shared(c, t.kind == CG_F32 ? "wq_sqrt_f32" : "wq_sqrt_f64", one, 1, &one, root_body), v = cg_undef(c, t);
	for (int i = 0; i < t.lanes; i++)
		v = cg_insert(c, v, cg_call(c, fn, 1, (CgVal[]){cg_extract(c, a, i)}), i);
	return v;
}

/* ---- to integers ---------------------------------------------------------------------------------------- */

static CgVal with_sign(Cg *c, CgVal magnitude, CgVal sign) { return cg_call_intrinsic(c, "llvm.copysign", sign, magnitude, sign, NULL); }

/* |x| to the nearest integer: adding 2^mantissa pushes the fraction out. What is larger is an integer already; NaN stays. */
static CgVal nearest_magnitude(Cg *c, CgVal a)
{
	CgType t = cg_type(c, a);
	CgVal big = cg_float(c, t, t.kind == CG_F32 ? 0x1p23 : 0x1p52);
	return cg_select(c, cg_cmp(c, CG_LT, a, big), cg_sub(c, cg_add(c, a, big), big), a);
}

static CgVal nearest(Cg *c, CgVal x) { return with_sign(c, nearest_magnitude(c, cg_abs(c, x)), x); }

static bool has_round(const Cg *c, CgKind k) { return c->t->round && in_hardware(c->t, k); }

static CgVal round_by(Cg *c, const char *name, CgVal a) { return cg_call_intrinsic(c, name, a, a, NULL, NULL); }

/* x's nearest integer, corrected by -1 or 1 where it lies on the wrong side; x's sign stays, also that of a zero. */
static CgVal corrected(Cg *c, CgVal x, CgCmp wrong, double by)
{
	CgType t = cg_type(c, x);
	CgVal r = nearest(c, x), off = cg_select(c, cg_cmp(c, wrong, r, x), cg_float(c, t, by), cg_zero(c, t));
	return with_sign(c, cg_abs(c, cg_add(c, r, off)), x);
}

CgVal cg_floor(Cg *c, CgVal a) { return has_round(c, cg_type(c, a).kind) ? round_by(c, "llvm.floor", a) : corrected(c, a, CG_GT, -1); }
CgVal cg_ceil(Cg *c, CgVal a) { return has_round(c, cg_type(c, a).kind) ? round_by(c, "llvm.ceil", a) : corrected(c, a, CG_LT, 1); }
CgVal cg_rint(Cg *c, CgVal a) { return has_round(c, cg_type(c, a).kind) ? round_by(c, "llvm.rint", a) : nearest(c, a); }

CgVal cg_trunc(Cg *c, CgVal a)
{
	CgType t = cg_type(c, a);
	if (has_round(c, t.kind))
		return round_by(c, "llvm.trunc", a);
	CgVal m = cg_abs(c, a), r = nearest_magnitude(c, m);
	CgVal off = cg_select(c, cg_cmp(c, CG_GT, r, m), cg_float(c, t, -1), cg_zero(c, t));
	return with_sign(c, cg_add(c, r, off), a);
}
