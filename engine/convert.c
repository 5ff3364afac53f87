/* convert.c: every pair of number types, through one of five working types that holds the source exactly. */
#include "engine/convert.h"

#include "engine/vmath.h"

enum { BLOCK = 512 };

typedef enum { W_I32, W_I64, W_U64, W_F32, W_F64 } Work;

static Work work_of(WqDtype t)
{
	switch (t) {
	case WQ_I64: case WQ_U32: return W_I64;
	case WQ_U64: return W_U64;
	case WQ_F64: return W_F64;
	default: return wq_dtype_is_float(t) ? W_F32 : W_I32;
	}
}

/* ---- loading: in place when the element type is the working type ----------------------------- */

#define WIDEN(T, W, E) do { \
	const T *s = src; \
	W *d = buf; \
	for (int64_t i = 0; i < n; i++) { \
		T v = s[i]; \
		d[i] = (E); \
	} \
} while (0)

static void widen_f16(const void *src, void *buf, int64_t n);
static void widen_bf16(const void *src, void *buf, int64_t n);

static const void *load(WqDtype t, const void *src, void *buf, int64_t n)
{
	switch (t) {
	case WQ_I8: case WQ_I4: case WQ_I2: WIDEN(int8_t, int32_t, v); return buf;
	case WQ_U8: case WQ_U4: case WQ_U2: WIDEN(uint8_t, int32_t, v); return buf;
	case WQ_BOOL: WIDEN(uint8_t, int32_t, v != 0); return buf;
	case WQ_I16: WIDEN(int16_t, int32_t, v); return buf;
	case WQ_U16: WIDEN(uint16_t, int32_t, v); return buf;
	case WQ_U32: WIDEN(uint32_t, int64_t, v); return buf;
	case WQ_F16: widen_f16(src, buf, n); return buf;
	case WQ_BF16: widen_bf16(src, buf, n); return buf;
	case WQ_I32: case WQ_I64: case WQ_U64: case WQ_F32: case WQ_F64: return src;
	default: WIDEN(uint8_t, float, wq_f8_to_f32(t, v)); return buf;
	}
}

WQ_CLONES static void widen_f16(const void *src, void *buf, int64_t n)
{
	WIDEN(uint16_t, float, vm_f16_load(v));
}

WQ_CLONES static void widen_bf16(const void *src, void *buf, int64_t n)
{
	WIDEN(uint16_t, float, vm_bf16_load(v));
}

/* ---- floats to integers ---------------------------------------------------------------------- */

WQ_INLINE int32_t f32_to_i32(float v)
{
	float c = v >= 2147483648.0f || v < -2147483648.0f || v != v ? 0 : v;
	return v >= 2147483648.0f ? INT32_MAX : v < -2147483648.0f ? INT32_MIN : (int32_t)c;
}

WQ_INLINE int32_t f64_to_i32(double v)
{
	double c = v >= 2147483648.0 || v <= -2147483649.0 || v != v ? 0 : v;
	return v >= 2147483648.0 ? INT32_MAX : v <= -2147483649.0 ? INT32_MIN : (int32_t)c;
}

WQ_INLINE int64_t f64_to_i64(double v)
{
	double c = v >= 0x1p63 || v < -0x1p63 || v != v ? 0 : v;
	return v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)c;
}

/* Negative numbers keep their low bits. */
WQ_INLINE uint64_t f64_to_u64(double v)
{
	if (v >= 0x1p63)
		return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
	return (uint64_t)f64_to_i64(v);
}

/* ---- storing --------------------------------------------------------------------------------- */

#define LOOP(W, T, E) do { \
	const W *s = src; \
	T *d = dst; \
	for (int64_t i = 0; i < n; i++) { \
		W v = s[i]; \
		d[i] = (T)(E); \
	} \
} while (0)

#define SIGN_EXTEND(v, bits) ((int32_t)((uint32_t)(v) << (32 - (bits))) >> (32 - (bits)))

/* NARROW: to 32 bits or fewer; LONG, ULONG: to 64; F32, F64: to floats; SMALL: to f8 and f4. */
#define STORE(name, W, NARROW, LONG, ULONG, F32, HALF, BHALF, SMALL) \
	WQ_CLONES static void name(WqDtype t, void *dst, const void *src, int64_t n, bool saturate, char round) \
	{ \
		switch (t) { \
		case WQ_BOOL: LOOP(W, uint8_t, v != 0); break; \
		case WQ_I2: LOOP(W, int8_t, SIGN_EXTEND(NARROW(v), 2)); break; \
		case WQ_I4: LOOP(W, int8_t, SIGN_EXTEND(NARROW(v), 4)); break; \
		case WQ_U2: LOOP(W, uint8_t, NARROW(v) & 3); break; \
		case WQ_U4: LOOP(W, uint8_t, NARROW(v) & 15); break; \
		case WQ_I8: case WQ_U8: LOOP(W, uint8_t, NARROW(v)); break; \
		case WQ_I16: case WQ_U16: LOOP(W, uint16_t, NARROW(v)); break; \
		case WQ_I32: LOOP(W, int32_t, NARROW(v)); break; \
		case WQ_U32: LOOP(W, uint32_t, LONG(v)); break; \
		case WQ_I64: LOOP(W, int64_t, LONG(v)); break; \
		case WQ_U64: LOOP(W, uint64_t, ULONG(v)); break; \
		case WQ_F32: LOOP(W, float, F32(v)); break; \
		case WQ_F64: LOOP(W, double, v); break; \
		case WQ_F16: LOOP(W, uint16_t, HALF(v)); break; \
		case WQ_BF16: LOOP(W, uint16_t, BHALF(v)); break; \
		default: LOOP(W, uint8_t, SMALL(t, v, saturate, round)); break; \
		} \
	}

#define I32_OF(v) ((int32_t)(uint32_t)(v))
#define I64_OF(v) ((int64_t)(v))
#define U64_OF(v) ((uint64_t)(v))
#define F32_OF(v) ((float)(v))
/* As f64, rounded to odd where f64 does not hold it: for a second rounding to 24 bits or fewer. */
WQ_INLINE double odd_u64(uint64_t v)
{
	return v >> 53 ? (double)((v & ~UINT64_C(0x7ff)) | (v & 0x7ff ? 0x800 : 0)) : (double)v;
}

WQ_INLINE double odd_i64(int64_t v)
{
	return v < 0 ? -odd_u64(0 - (uint64_t)v) : odd_u64((uint64_t)v);
}

#define I64_TO_F16(v) wq_f64_to_f16(odd_i64(v))
#define I64_TO_BF16(v) wq_f64_to_bf16(odd_i64(v))
#define I64_TO_F8(t, v, s, r) wq_f64_to_f8(t, odd_i64(v), s, r)
#define U64_TO_F16(v) wq_f64_to_f16(odd_u64(v))
#define U64_TO_BF16(v) wq_f64_to_bf16(odd_u64(v))
#define U64_TO_F8(t, v, s, r) wq_f64_to_f8(t, odd_u64(v), s, r)
#define F64_TO_F16(v) wq_f64_to_f16((double)(v))
#define F64_TO_BF16(v) wq_f64_to_bf16((double)(v))
#define F64_TO_F8(t, v, s, r) wq_f64_to_f8(t, (double)(v), s, r)

STORE(store_i32, int32_t, I32_OF, I64_OF, U64_OF, F32_OF, F64_TO_F16, F64_TO_BF16, F64_TO_F8)
STORE(store_i64, int64_t, I32_OF, I64_OF, U64_OF, F32_OF, I64_TO_F16, I64_TO_BF16, I64_TO_F8)
STORE(store_u64, uint64_t, I32_OF, I64_OF, U64_OF, F32_OF, U64_TO_F16, U64_TO_BF16, U64_TO_F8)
STORE(store_f32, float, f32_to_i32, f64_to_i64, f64_to_u64, F32_OF, vm_f16_store, vm_bf16_store, wq_f32_to_f8)
STORE(store_f64, double, f64_to_i32, f64_to_i64, f64_to_u64, F32_OF, F64_TO_F16, F64_TO_BF16, F64_TO_F8)

typedef void StoreFn(WqDtype t, void *dst, const void *src, int64_t n, bool saturate, char round);

void wq_convert(WqDtype to, void *dst, WqDtype from, const void *src, int64_t n, bool saturate, char round)
{
	static StoreFn *const store[] = {store_i32, store_i64, store_u64, store_f32, store_f64};
	size_t size_to = wq_dtype_size(to), size_from = wq_dtype_size(from);
	if (to == from) {
		if (n)
			memcpy(dst, src, (size_t)n * size_to);
		return;
	}
	double buf[BLOCK];
	Work w = work_of(from);
	for (int64_t at = 0; at < n; at += BLOCK) {
		int64_t k = n - at < BLOCK ? n - at : BLOCK;
		const void *v = load(from, (const char *)src + (size_t)at * size_from, buf, k);
		store[w](to, (char *)dst + (size_t)at * size_to, v, k, saturate, round);
	}
}
