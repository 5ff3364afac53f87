/* cg_vector.c: lanes. */
#include "codegen/cg_impl.h"

static CgVal lane_number(Cg *c, int lane) { return LLVMConstInt(c->prim[CG_I32], (unsigned long long)lane, false); }

static CgVal const_splat(Cg *c, CgVal v, int lanes)
{
	CgVal few[64], *lane = lanes <= WQ_COUNTOF(few) ? few : WQ_NEW_N(c->a, CgVal, lanes);
	for (int i = 0; i < lanes; i++)
		lane[i] = v;
	return LLVMConstVector(lane, (unsigned)lanes);
}

CgVal cg_splat(Cg *c, CgVal v, int lanes)
{
	CgType t = cg_type(c, v);
	if (t.lanes == lanes)
		return v;
	if (t.lanes != 1)
		WQ_BUG("splat of %d lanes to %d", t.lanes, lanes);
	if (LLVMIsConstant(v))
		return const_splat(c, v, lanes);
	CgVal none = LLVMGetPoison(cg_llvm_type(c, cg_t(t.kind, lanes)));
	CgVal one = LLVMBuildInsertElement(c->b, none, v, lane_number(c, 0), "");
	return LLVMBuildShuffleVector(c->b, one, none, LLVMConstNull(cg_llvm_type(c, cg_t(CG_I32, lanes))), "");
}

CgVal cg_extract(Cg *c, CgVal v, int lane)
{
	int lanes = cg_lanes(c, v);
	WQ_ASSERT(lane >= 0 && lane < lanes);
	return lanes == 1 ? v : LLVMBuildExtractElement(c->b, v, lane_number(c, lane), "");
}

CgVal cg_insert(Cg *c, CgVal v, CgVal x, int lane)
{
	int lanes = cg_lanes(c, v);
	WQ_ASSERT(lane >= 0 && lane < lanes);
	return lanes == 1 ? x : LLVMBuildInsertElement(c->b, v, x, lane_number(c, lane), "");
}

CgVal cg_extract_at(Cg *c, CgVal v, CgVal lane)
{
	return cg_lanes(c, v) == 1 ? v : LLVMBuildExtractElement(c->b, v, lane, "");
}

/* A lane of a, then of b, by number. */
static CgVal lane_of(Cg *c, CgVal a, CgVal b, int i)
{
	int n = cg_lanes(c, a);
	if (i < 0)
		return cg_undef(c, cg_t(cg_type(c, a).kind, 1));
	return i < n ? cg_extract(c, a, i) : cg_extract(c, b, i - n);
}

CgVal cg_shuffle(Cg *c, CgVal a, CgVal b, int n, const int *mask)
{
	CgType t = cg_type(c, a);
	WQ_ASSERT(!b || cg_lanes(c, b) == t.lanes);
	if (n == 1)
		return lane_of(c, a, b, mask[0]);
	if (t.lanes == 1) { /* LLVM shuffles vectors only */
		CgVal v = cg_undef(c, cg_t(t.kind, n));
		for (int i = 0; i < n; i++)
			v = mask[i] < 0 ? v : cg_insert(c, v, lane_of(c, a, b, mask[i]), i);
		return v;
	}
	CgVal few[64], *lane = n <= WQ_COUNTOF(few) ? few : WQ_NEW_N(c->a, CgVal, n);
	for (int i = 0; i < n; i++) {
		WQ_ASSERT(mask[i] < t.lanes * (b ? 2 : 1));
		lane[i] = mask[i] < 0 ? LLVMGetPoison(c->prim[CG_I32]) : lane_number(c, mask[i]);
	}
	return LLVMBuildShuffleVector(c->b, a, b ? b : LLVMGetPoison(LLVMTypeOf(a)), LLVMConstVector(lane, (unsigned)n), "");
}

/* v with its first lane numbers from `first` on; -1 beyond its end. */
static CgVal window(Cg *c, CgVal v, int first, int lanes)
{
	int few[64], have = cg_lanes(c, v), *mask = lanes <= WQ_COUNTOF(few) ? few : WQ_NEW_N(c->a, int, lanes);
	for (int i = 0; i < lanes; i++)
		mask[i] = first + i < have ? first + i : -1;
	return cg_shuffle(c, v, NULL, lanes, mask);
}

CgVal cg_concat(Cg *c, CgVal a, CgVal b)
{
	int na = cg_lanes(c, a), nb = cg_lanes(c, b), n = na + nb, wide = na > nb ? na : nb;
	int few[64], *mask = n <= WQ_COUNTOF(few) ? few : WQ_NEW_N(c->a, int, n);
	for (int i = 0; i < n; i++)
		mask[i] = i < na ? i : wide + i - na;
	if (na < wide)
		a = window(c, a, 0, wide);
	if (nb < wide)
		b = window(c, b, 0, wide);
	return cg_shuffle(c, a, b, n, mask);
}

CgVal cg_part(Cg *c, CgVal v, int first, int lanes)
{
	int have = cg_lanes(c, v);
	WQ_ASSERT(first >= 0 && first + lanes <= have);
	return lanes == have ? v : window(c, v, first, lanes);
}

/* Halves are combined until one lane is left; an odd last lane is carried along. */
static CgVal reduce(Cg *c, CgVal v, CgVal (*op)(Cg *c, CgVal a, CgVal b))
{
	for (int n; (n = cg_lanes(c, v)) > 1;) {
		int half = n / 2;
		CgVal sum = op(c, cg_part(c, v, 0, half), cg_part(c, v, half, half));
		v = n % 2 ? cg_concat(c, sum, cg_extract(c, v, n - 1)) : sum;
	}
	return v;
}

CgVal cg_hsum(Cg *c, CgVal v) { return reduce(c, v, cg_add); }
CgVal cg_hmin(Cg *c, CgVal v) { return reduce(c, v, cg_min); }
CgVal cg_hmax(Cg *c, CgVal v) { return reduce(c, v, cg_max); }

CgVal cg_any(Cg *c, CgVal v)
{
	return cg_lanes(c, v) == 1 ? v : cg_call_intrinsic(c, "llvm.vector.reduce.or", v, v, NULL, NULL);
}
