/* cg.h: emission helpers. What they emit reads like the loops that it emits.
 *
 * A Cg is one LLVM module in the making, for one target. Values are scalars or vectors of a fixed number of lanes; every
 * arithmetic helper takes both, and a scalar beside a vector is splat. Constants fold at once. Control flow is structured
 * (cg_for .. cg_end, cg_if .. cg_else .. cg_end), so a value made in an enclosing scope may always be used. cg*.c, object*.c and jit.c
 * are the only includers of llvm-c.
 */
#ifndef WQ_CG_H
#define WQ_CG_H

#include "codegen/target.h"
#include "ir/base.h"

typedef struct LLVMOpaqueValue *CgVal;
typedef struct Cg Cg;

typedef enum CgKind { CG_VOID, CG_I1, CG_I8, CG_I16, CG_I32, CG_I64, CG_F16, CG_BF16, CG_F32, CG_F64, CG_PTR } CgKind;
typedef struct CgType {
	CgKind kind;
	int lanes; /* 1: a scalar */
} CgType;
static inline CgType cg_t(CgKind kind, int lanes) { return (CgType){kind, lanes}; }

Cg *cg_new(const WqTarget *t, const char *name, WqArena *a); /* lives as long as the arena */
const WqTarget *cg_target(const Cg *c);
WqArena *cg_arena(const Cg *c);

/* ---- types and constants ------------------------------------------------------------------------- */

CgType cg_type(Cg *c, CgVal v);
int cg_lanes(Cg *c, CgVal v);
int cg_kind_bytes(const Cg *c, CgKind k); /* of pointers: the target's */
bool cg_is_float(CgKind k);
CgKind cg_index(const Cg *c); /* CG_I64, or CG_I32 on 32-bit targets: sizes, indices, strides */

CgVal cg_idx(Cg *c, int64_t v);                /* of index type */
CgVal cg_int(Cg *c, CgType t, int64_t v);      /* splat where t has lanes */
CgVal cg_float(Cg *c, CgType t, double v);     /* f32 and f64 (rounded); exact bits of NaN: cg_bitcast an integer */
CgVal cg_zero(Cg *c, CgType t);
CgVal cg_undef(Cg *c, CgType t);
CgVal cg_null(Cg *c);
CgVal cg_iota(Cg *c, CgType t);                /* 0, 1, 2, ... */
bool cg_const(CgVal v, int64_t *out);          /* is it an integer constant? */
/* A table in read-only data of n elements (integers of the kind's size, or floats), aligned to 64. */
CgVal cg_table(Cg *c, CgKind k, int n, const void *data);
/* Read-only data of constants (numbers, strings, addresses of functions and data) one after the other, each aligned as in a C struct; an array of
 * structs is their fields in a row if each begins with the most aligned one. name: exported; NULL: private. */
CgVal cg_data(Cg *c, const char *name, int n, CgVal *field);
CgVal cg_string(Cg *c, const char *s); /* the address of a private string */

/* ---- arithmetic: integers or floats by the operands' type ----------------------------------------- */

CgVal cg_add(Cg *c, CgVal a, CgVal b);
CgVal cg_sub(Cg *c, CgVal a, CgVal b);
CgVal cg_mul(Cg *c, CgVal a, CgVal b);
CgVal cg_neg(Cg *c, CgVal a);
CgVal cg_fdiv(Cg *c, CgVal a, CgVal b);
CgVal cg_sdiv(Cg *c, CgVal a, CgVal b); /* the caller guards against 0 and overflow */
CgVal cg_udiv(Cg *c, CgVal a, CgVal b);
CgVal cg_srem(Cg *c, CgVal a, CgVal b);
CgVal cg_urem(Cg *c, CgVal a, CgVal b);
CgVal cg_and(Cg *c, CgVal a, CgVal b);
CgVal cg_or(Cg *c, CgVal a, CgVal b);
CgVal cg_xor(Cg *c, CgVal a, CgVal b);
CgVal cg_not(Cg *c, CgVal a);
CgVal cg_shl(Cg *c, CgVal a, CgVal b); /* by less than the width */
CgVal cg_lshr(Cg *c, CgVal a, CgVal b);
CgVal cg_ashr(Cg *c, CgVal a, CgVal b);
CgVal cg_addi(Cg *c, CgVal a, int64_t b); /* the same with a constant */
CgVal cg_muli(Cg *c, CgVal a, int64_t b);
CgVal cg_divi(Cg *c, CgVal a, int64_t b); /* unsigned, b > 0 */
/* a * b + c: fused where the CPU has it, else two operations; never a call. */
CgVal cg_fma(Cg *c, CgVal a, CgVal b, CgVal add);
bool cg_has_fma(const Cg *c, CgKind k); /* is it fused? */

typedef enum { CG_EQ, CG_NE, CG_LT, CG_LE, CG_GT, CG_GE, CG_ULT, CG_ULE, CG_UGT, CG_UGE, CG_UNO /* either is NaN */ } CgCmp;
CgVal cg_cmp(Cg *c, CgCmp op, CgVal a, CgVal b); /* i1 lanes; floats: ordered, but NE is unordered */
CgVal cg_select(Cg *c, CgVal cond, CgVal yes, CgVal no);
CgVal cg_min(Cg *c, CgVal a, CgVal b); /* signed, or floats: a < b ? a : b */
CgVal cg_max(Cg *c, CgVal a, CgVal b); /* a > b ? a : b */
CgVal cg_umin(Cg *c, CgVal a, CgVal b);
CgVal cg_umax(Cg *c, CgVal a, CgVal b);
CgVal cg_abs(Cg *c, CgVal a);  /* floats: clears the sign; integers wrap */
CgVal cg_sqrt(Cg *c, CgVal a); /* correctly rounded; in software where the CPU has none (through the runtime's soft float) */
CgVal cg_floor(Cg *c, CgVal a);
CgVal cg_ceil(Cg *c, CgVal a);
CgVal cg_rint(Cg *c, CgVal a); /* halves to even */
CgVal cg_trunc(Cg *c, CgVal a);
CgVal cg_popcount(Cg *c, CgVal a);
CgVal cg_clz(Cg *c, CgVal a); /* of 0: the width */

/* ---- conversions ------------------------------------------------------------------------------------ */

CgVal cg_bitcast(Cg *c, CgVal v, CgType t);           /* same size; lanes may change */
CgVal cg_resize(Cg *c, CgVal v, CgKind k, bool sign); /* integers: truncates, or extends by sign or zero; i1 counts */
CgVal cg_to_float(Cg *c, CgVal v, CgKind k, bool sign);
CgVal cg_to_int(Cg *c, CgVal v, CgKind k, bool sign); /* truncates; saturates, NaN is 0 */
CgVal cg_fcast(Cg *c, CgVal v, CgKind k);             /* between f32 and f64 */
CgVal cg_half_to_f32(Cg *c, CgVal bits);   /* i16 lanes -> f32, exact; the same for bf16; any target */
CgVal cg_bf16_to_f32(Cg *c, CgVal bits);
CgVal cg_f32_to_half(Cg *c, CgVal v);      /* f32 -> i16 lanes, nearest even, NaN stays NaN */
CgVal cg_f32_to_bf16(Cg *c, CgVal v);
CgVal cg_f64_to_half(Cg *c, CgVal v);      /* one rounding */
CgVal cg_f64_to_bf16(Cg *c, CgVal v);

/* ---- vectors ------------------------------------------------------------------------------------------ */

CgVal cg_splat(Cg *c, CgVal v, int lanes); /* a vector of that many lanes stays as it is */
CgVal cg_extract(Cg *c, CgVal v, int lane);
CgVal cg_insert(Cg *c, CgVal v, CgVal x, int lane);
CgVal cg_extract_at(Cg *c, CgVal v, CgVal lane); /* any integer type */
CgVal cg_shuffle(Cg *c, CgVal a, CgVal b, int n, const int *mask); /* lanes of a, then of b; -1: undefined; b may be NULL */
CgVal cg_concat(Cg *c, CgVal a, CgVal b); /* the lanes of both */
CgVal cg_part(Cg *c, CgVal v, int first, int lanes); /* lanes 1: a scalar */
/* All lanes to one: a tree, the same on every target. */
CgVal cg_hsum(Cg *c, CgVal v);
CgVal cg_hmin(Cg *c, CgVal v); /* as cg_min */
CgVal cg_hmax(Cg *c, CgVal v);
CgVal cg_any(Cg *c, CgVal v); /* i1 lanes -> i1 */

/* ---- memory ------------------------------------------------------------------------------------------- */

CgVal cg_at(Cg *c, CgKind k, CgVal ptr, CgVal index);    /* the address of element `index` of an array of k */
CgVal cg_ati(Cg *c, CgKind k, CgVal ptr, int64_t index);
/* Loads and stores state what is known of the alignment, in bytes (0: the element's). CG_I1 is not for memory. */
CgVal cg_load(Cg *c, CgType t, CgVal ptr, int align);
void cg_store(Cg *c, CgVal v, CgVal ptr, int align);
/* The first n lanes (index type, 0..lanes); the others are 0 and their memory is not touched. */
CgVal cg_load_part(Cg *c, CgType t, CgVal ptr, CgVal n, int align);
void cg_store_part(Cg *c, CgVal v, CgVal ptr, CgVal n, int align);
CgVal cg_gather(Cg *c, CgKind k, CgVal ptr, CgVal index); /* element index[lane] for each lane */
void cg_memcpy(Cg *c, CgVal to, CgVal from, CgVal bytes); /* not overlapping; no library call on bare metal but the runtime's */
void cg_memset(Cg *c, CgVal to, int byte, CgVal bytes);
void cg_prefetch(Cg *c, CgVal ptr, int locality); /* 3: L1 ... 1: L3; nothing where the CPU has none */
CgVal cg_stack(Cg *c, CgKind k, int64_t n, int align); /* an array on the stack, of the function's entry block */

/* A variable: in registers once optimised. */
typedef struct CgVar {
	CgVal slot;
	CgType type;
} CgVar;
CgVar cg_var(Cg *c, CgVal init);
CgVal cg_get(Cg *c, CgVar v);
void cg_set(Cg *c, CgVar v, CgVal x);

/* ---- control flow --------------------------------------------------------------------------------------- */

/* for (i = from; i < to; i += step): signed, step a positive constant; the index is returned. Nothing is emitted twice. */
CgVal cg_for(Cg *c, CgVal from, CgVal to, int64_t step);
CgVal cg_for_by(Cg *c, CgVal from, CgVal to, CgVal step);
enum { CG_NO_UNROLL = 1, CG_NO_VECTOR = 2, CG_UNROLL = 4, CG_VECTOR = 8 };
void cg_loop_hint(Cg *c, int hints); /* for the innermost open loop */
void cg_while(Cg *c);                /* while (true) until ... */
void cg_break_if(Cg *c, CgVal cond); /* leaves the innermost open loop, of any kind; directly in its body, not inside an if */
void cg_if(Cg *c, CgVal cond);       /* i1 */
void cg_else(Cg *c);
void cg_end(Cg *c);                  /* of a loop or an if */
/* The innermost open scope's number, and whether a scope is still open: a value made in an open scope may be used now. */
int cg_scope(const Cg *c);
bool cg_scope_open(const Cg *c, int scope);

/* ---- functions --------------------------------------------------------------------------------------------- */

typedef struct CgFn {
	CgVal value;
	int n;
	CgVal param[64];
} CgFn;
enum { CG_EXPORT = 1, CG_COLD = 2, CG_INLINE = 4, CG_NOINLINE = 8 };
/* Parameters of type CG_PTR are noalias when bit i of `noalias` is set, and readonly by `readonly`. */
void cg_fn_begin(Cg *c, CgFn *f, const char *name, CgType ret, int n, const CgType *params, uint64_t noalias, uint64_t readonly, int flags);
void cg_return(Cg *c, CgVal v);      /* v NULL: void; the last thing of a function, outside loops and ifs */
void cg_fn_end(Cg *c);
/* A function that the module has once, however often it is asked for; emit() gives its body, cg_return included. May be called while
 * another function is being built. For what is long and not worth its speed in line. */
CgVal cg_shared(Cg *c, const char *name, CgType ret, int n, const CgType *params, void (*emit)(Cg *c, CgFn *f));
CgVal cg_call(Cg *c, CgVal fn, int n, CgVal *args);
CgVal cg_call_ptr(Cg *c, CgVal ptr, CgType ret, int n, CgVal *args); /* through a pointer; parameters as the arguments are */
CgVal cg_extern(Cg *c, const char *name, CgType ret, int n, const CgType *params); /* a function of the runtime */
CgVal cg_extern_data(Cg *c, const char *name); /* a symbol's address, defined elsewhere */
/* An intrinsic by name, with overload types; gated: the caller has checked the target's features. n_type 0: not overloaded. */
CgVal cg_intrinsic(Cg *c, const char *name, int n_type, const CgType *types, int n, CgVal *args);

/* ---- math (cg_math*.c): own polynomials, f32 and f64, scalars and vectors, no library; at most 2 ulp for f32 ------- */

CgVal cg_exp(Cg *c, CgVal x);
CgVal cg_log(Cg *c, CgVal x);
CgVal cg_sin(Cg *c, CgVal x);
CgVal cg_cos(Cg *c, CgVal x);
CgVal cg_tan(Cg *c, CgVal x);
CgVal cg_asin(Cg *c, CgVal x);
CgVal cg_acos(Cg *c, CgVal x);
CgVal cg_atan(Cg *c, CgVal x);
CgVal cg_sinh(Cg *c, CgVal x);
CgVal cg_cosh(Cg *c, CgVal x);
CgVal cg_tanh(Cg *c, CgVal x);
CgVal cg_asinh(Cg *c, CgVal x);
CgVal cg_acosh(Cg *c, CgVal x);
CgVal cg_atanh(Cg *c, CgVal x);
CgVal cg_erf(Cg *c, CgVal x);
CgVal cg_normal_tail(Cg *c, CgVal x); /* the normal distribution's P(Z > x), x >= 0: 5 ulp */
CgVal cg_sigmoid(Cg *c, CgVal x);
CgVal cg_pow(Cg *c, CgVal x, CgVal y);
CgVal cg_fmod(Cg *c, CgVal x, CgVal y); /* exact, the dividend's sign */

/* ---- the product (object.c, jit.c) ------------------------------------------------------------------------------ */

enum { CG_OBJECT, CG_ASSEMBLY, CG_LLVM };
void cg_optimize(Cg *c, int level, bool size); /* verifies first: an invalid module is a bug; then LLVM's passes */
bool cg_optimized(const Cg *c);                  /* has it been? Only once. */
/* The module as bytes that live in the arena. */
void *cg_emit(Cg *c, int what, size_t *n);
int64_t cg_stack_bytes(Cg *c); /* after emission of an object or assembly: what a call of any function takes at most, a pool's own aside */

#endif
