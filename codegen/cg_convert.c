/* cg_convert.c: from one kind of number to another. The small floats convert in integer arithmetic wherever the CPU has no instruction for
 * it; LLVM would call a library.
 */
#include "codegen/cg_impl.h"

static CgType as(Cg *c, CgVal v, CgKind k) { return cg_t(k, cg_lanes(c, v)); }
static LLVMTypeRef llvm_as(Cg *c, CgVal v, CgKind k) { return cg_llvm_type(c, as(c, v, k)); }

CgVal cg_bitcast(Cg *c, CgVal v, CgType t) { return LLVMBuildBitCast(c->b, v, cg_llvm_type(c, t), ""); }

CgVal cg_resize(Cg *c, CgVal v, CgKind k, bool sign)
{
	CgKind from = cg_type(c, v).kind;
	WQ_ASSERT(from <= CG_I64 && k <= CG_I64 && k != CG_VOID);
	if (from == k)
		return v;
	if (from > k)
		return LLVMBuildTrunc(c->b, v, llvm_as(c, v, k), "");
	return sign ? LLVMBuildSExt(c->b, v, llvm_as(c, v, k), "") : LLVMBuildZExt(c->b, v, llvm_as(c, v, k), "");
}

CgVal cg_to_float(Cg *c, CgVal v, CgKind k, bool sign)
{
	return sign ? LLVMBuildSIToFP(c->b, v, llvm_as(c, v, k), "") : LLVMBuildUIToFP(c->b, v, llvm_as(c, v, k), "");
}

CgVal cg_to_int(Cg *c, CgVal v, CgKind k, bool sign)
{
	CgType types[2] = {as(c, v, k), cg_type(c, v)};
	return cg_intrinsic(c, sign ? "llvm.fptosi.sat" : "llvm.fptoui.sat", 2, types, 1, &v);
}

CgVal cg_fcast(Cg *c, CgVal v, CgKind k)
{
	CgKind from = cg_type(c, v).kind;
	WQ_ASSERT((from == CG_F32 || from == CG_F64) && (k == CG_F32 || k == CG_F64));
	if (from == k)
		return v;
	return k == CG_F64 ? LLVMBuildFPExt(c->b, v, llvm_as(c, v, k), "") : LLVMBuildFPTrunc(c->b, v, llvm_as(c, v, k), "");
}

/* ---- f16 and bf16 ----------------------------------------------------------------------------------------- */

static CgVal k32(Cg *c, CgVal like, uint32_t x) { return cg_int(c, as(c, like, CG_I32), (int32_t)x); }
static CgVal shl(Cg *c, CgVal v, int n) { return cg_shl(c, v, k32(c, v, (uint32_t)n)); }
static CgVal shr(Cg *c, CgVal v, int n) { return cg_lshr(c, v, k32(c, v, (uint32_t)n)); }
static CgVal to_bits(Cg *c, CgVal v) { return cg_bitcast(c, v, as(c, v, CG_I32)); }
static CgVal from_bits(Cg *c, CgVal v) { return cg_bitcast(c, v, as(c, v, CG_F32)); }

enum { HALF_BIAS = (127 - 15) << 23, HALF_MIN = 113 << 23 /* 2^-14, the least normal f16 */ };

/* The exponent moves by the difference of the biases, once more for infinities; a subnormal is what exceeds 2^-14. */
CgVal cg_half_to_f32(Cg *c, CgVal bits)
{
	if (c->t->half)
		return LLVMBuildFPExt(c->b, cg_bitcast(c, bits, as(c, bits, CG_F16)), llvm_as(c, bits, CG_F32), "");
	CgVal u = cg_resize(c, bits, CG_I32, false), a = shl(c, cg_and(c, u, k32(c, u, 0x7fff)), 13);
	CgVal normal = cg_add(c, a, k32(c, a, HALF_BIAS));
	CgVal large = cg_cmp(c, CG_UGE, a, k32(c, a, 0x7c00 << 13)), small = cg_cmp(c, CG_ULT, a, k32(c, a, 1 << 23));
	CgVal lifted = from_bits(c, cg_add(c, a, k32(c, a, HALF_MIN)));
	CgVal tiny = to_bits(c, cg_sub(c, lifted, from_bits(c, k32(c, a, HALF_MIN))));
	CgVal r = cg_select(c, large, cg_add(c, normal, k32(c, a, HALF_BIAS)), cg_select(c, small, tiny, normal));
	return from_bits(c, cg_or(c, r, shl(c, cg_and(c, u, k32(c, u, 0x8000)), 16)));
}

CgVal cg_bf16_to_f32(Cg *c, CgVal bits) { return from_bits(c, shl(c, cg_resize(c, bits, CG_I32, false), 16)); }

/* The upper bits of a, rounded to nearest even at bit n. */
static CgVal rounded(Cg *c, CgVal a, int n)
{
	CgVal even = cg_and(c, shr(c, a, n), k32(c, a, 1));
	return shr(c, cg_add(c, cg_add(c, a, even), k32(c, a, (1u << (n - 1)) - 1)), n);
}

/* Below the least normal f16, 0.5 is added: then the float's own rounding is that of an f16. */
CgVal cg_f32_to_half(Cg *c, CgVal v)
{
	if (c->t->half)
		return cg_bitcast(c, LLVMBuildFPTrunc(c->b, v, llvm_as(c, v, CG_F16), ""), as(c, v, CG_I16));
	CgVal u = to_bits(c, v), a = cg_and(c, u, k32(c, u, 0x7fffffff)), half = k32(c, a, 126 << 23);
	CgVal normal = rounded(c, cg_sub(c, a, k32(c, a, HALF_BIAS)), 13);
	CgVal tiny = cg_sub(c, to_bits(c, cg_add(c, from_bits(c, a), from_bits(c, half))), half);
	CgVal nan = cg_or(c, k32(c, a, 0x7e00), cg_and(c, shr(c, a, 13), k32(c, a, 0x3ff)));
	CgVal r = cg_select(c, cg_cmp(c, CG_ULT, a, k32(c, a, HALF_MIN)), tiny, normal);
	r = cg_select(c, cg_cmp(c, CG_UGE, a, k32(c, a, 0x477ff000)), k32(c, a, 0x7c00), r); /* from 65520 on: infinity */
	r = cg_select(c, cg_cmp(c, CG_UGT, a, k32(c, a, 0x7f800000)), nan, r);
	return cg_resize(c, cg_or(c, r, cg_and(c, shr(c, u, 16), k32(c, u, 0x8000))), CG_I16, false);
}

CgVal cg_f32_to_bf16(Cg *c, CgVal v)
{
	CgVal u = to_bits(c, v), a = cg_and(c, u, k32(c, u, 0x7fffffff));
	CgVal nan = cg_or(c, shr(c, u, 16), k32(c, u, 0x40));
	return cg_resize(c, cg_select(c, cg_cmp(c, CG_UGT, a, k32(c, a, 0x7f800000)), nan, rounded(c, u, 16)), CG_I16, false);
}

/* d as an f32 rounded to odd: cut off, and the last bit set if anything was. Rounding that to a format two bits shorter is rounding d. */
static CgVal round_to_odd(Cg *c, CgVal d)
{
	CgVal f = cg_fcast(c, d, CG_F32), back = cg_fcast(c, f, CG_F64), u = to_bits(c, f);
	CgVal above = cg_cmp(c, CG_GT, cg_abs(c, back), cg_abs(c, d));
	CgVal inexact = cg_or(c, above, cg_cmp(c, CG_LT, cg_abs(c, back), cg_abs(c, d)));
	u = cg_sub(c, u, cg_resize(c, above, CG_I32, false));
	return from_bits(c, cg_or(c, u, cg_resize(c, inexact, CG_I32, false)));
}

CgVal cg_f64_to_half(Cg *c, CgVal v) { return cg_f32_to_half(c, round_to_odd(c, v)); }
CgVal cg_f64_to_bf16(Cg *c, CgVal v) { return cg_f32_to_bf16(c, round_to_odd(c, v)); }
