#include "ir/tensor.h"

#include <math.h>

/* ---- element types ------------------------------------------------------------------------------ */

static const WqDtypeInfo dtypes[WQ_NUM_DTYPES] = {
#define F 'F'
#define I 'I'
#define U 'U'
#define B 'B'
#define S 'S'
#define C 'C'
#define DTYPE(NAME, num, text, bits, cls, npy) [num] = { text, #NAME, npy, bits, cls },
#include "ir/dtypes.def"
#undef DTYPE
#undef F
#undef I
#undef U
#undef B
#undef S
#undef C
};

bool wq_dtype_valid(int t) { return t > WQ_UNDEF && t < WQ_NUM_DTYPES; }

const WqDtypeInfo *wq_dtype(WqDtype t)
{
	WQ_ASSERT(wq_dtype_valid((int)t));
	return &dtypes[t];
}

WqDtype wq_dtype_parse(const char *text)
{
	for (int t = 1; t < WQ_NUM_DTYPES; t++)
		if (!strcmp(dtypes[t].text, text))
			return (WqDtype)t;
	return WQ_UNDEF;
}

bool wq_dtype_is_float(WqDtype t) { return wq_dtype(t)->cls == 'F'; }
bool wq_dtype_is_int(WqDtype t) { return wq_dtype(t)->cls == 'I' || wq_dtype(t)->cls == 'U'; }

bool wq_dtype_is_signed(WqDtype t)
{
	char c = wq_dtype(t)->cls;
	return c == 'I' || c == 'C' || (c == 'F' && t != WQ_F8E8M0);
}

size_t wq_dtype_size(WqDtype t) { return (size_t)(wq_dtype(t)->bits + 7) / 8; }

/* ---- sizes ---------------------------------------------------------------------------------------- */

/* So many elements of the widest type are 2^62 bytes. */
#define MAX_COUNT ((int64_t)1 << 58)

int64_t wq_shape_count(int rank, const int64_t *dim, const char *what)
{
	int64_t n = 1;
	bool empty = false;
	if (rank < 0 || rank > WQ_MAX_RANK)
		wq_fail(WQ_EINPUT, "%s: %d dimensions; at most %d are handled", what, rank, WQ_MAX_RANK);
	for (int i = 0; i < rank; i++) {
		if (dim[i] < 0)
			wq_fail(WQ_EINPUT, "%s: dimension %d is negative (%lld)", what, i, (long long)dim[i]);
		if (dim[i] == 0)
			empty = true;
		else if (__builtin_mul_overflow(n, dim[i], &n) || n > MAX_COUNT)
			wq_fail(WQ_EINPUT, "%s: the product of its dimensions overflows", what);
	}
	return empty ? 0 : n;
}

int64_t wq_tensor_count(const WqTensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++)
		n *= t->dim[i];
	return n;
}

size_t wq_packed_bytes(WqDtype t, int64_t count)
{
	int bits = wq_dtype(t)->bits;
	if (bits >= 8)
		return (size_t)count * (size_t)(bits / 8);
	int per = 8 / bits;
	return (size_t)(count / per + (count % per != 0));
}

size_t wq_tensor_bytes(const WqTensor *t)
{
	int64_t n = wq_tensor_count(t);
	return t->packed ? wq_packed_bytes(t->dtype, n) : (size_t)n * wq_dtype_size(t->dtype);
}

/* ---- sub-byte layouts ------------------------------------------------------------------------------ */

/* The element of so many bits at index i, sign-extended where the type has a sign. */
static inline uint8_t packed_at(const uint8_t *p, int bits, bool sign, int64_t i)
{
	int per = 8 / bits;
	int v = p[i / per] >> (int)(i % per) * bits & ((1 << bits) - 1);
	return (uint8_t)(sign && v >> (bits - 1) ? v - (1 << bits) : v);
}

void wq_unpack(WqDtype t, const void *packed, void *bytes, int64_t count)
{
	const WqDtypeInfo *d = wq_dtype(t);
	const uint8_t *p = packed;
	uint8_t *to = bytes;
	if (d->bits >= 8) {
		memmove(bytes, packed, wq_packed_bytes(t, count));
		return;
	}
	bool sign = d->cls == 'I';
	if (d->bits == 4)
		for (int64_t i = 0; i < count; i++)
			to[i] = packed_at(p, 4, sign, i);
	else
		for (int64_t i = 0; i < count; i++)
			to[i] = packed_at(p, 2, sign, i);
}

void wq_pack(WqDtype t, const void *bytes, void *packed, int64_t count)
{
	int bits = wq_dtype(t)->bits, per = bits < 8 ? 8 / bits : 1, mask = (1 << bits) - 1;
	const uint8_t *from = bytes;
	uint8_t *p = packed;
	if (bits >= 8) {
		memmove(packed, bytes, wq_packed_bytes(t, count));
		return;
	}
	for (int64_t i = 0; i < count; i += per) {
		int v = 0;
		for (int k = 0; k < per && i + k < count; k++)
			v |= (from[i + k] & mask) << k * bits;
		*p++ = (uint8_t)v;
	}
}

/* ---- single elements --------------------------------------------------------------------------------- */

#define LOADER(T)                                                                                                      \
	static inline T load_##T(const void *p)                                                                        \
	{                                                                                                              \
		T v;                                                                                                   \
		memcpy(&v, p, sizeof v);                                                                               \
		return v;                                                                                              \
	}
LOADER(float)
LOADER(double)
LOADER(int16_t)
LOADER(int32_t)
LOADER(int64_t)
LOADER(uint16_t)
LOADER(uint32_t)
LOADER(uint64_t)
#undef LOADER

typedef struct Number { /* an element without loss: one of the two */
	bool is_int;
	int64_t i; /* u64: its bits */
	double f;
} Number;

static Number from_int(int64_t i) { return (Number){ true, i, (double)i }; }
static Number from_float(double f) { return (Number){ false, 0, f }; }

static Number number_at(const WqTensor *t, int64_t i)
{
	const WqDtypeInfo *d = wq_dtype(t->dtype);
	const uint8_t *at = (const uint8_t *)t->data + (t->packed ? 0 : (size_t)i * wq_dtype_size(t->dtype));
	uint8_t byte = t->packed ? packed_at(at, d->bits, d->cls == 'I', i) : *at;
	switch (t->dtype) {
	case WQ_BOOL: return from_int(byte != 0);
	case WQ_U8: case WQ_U4: case WQ_U2: return from_int(byte);
	case WQ_I8: case WQ_I4: case WQ_I2: return from_int((int8_t)byte);
	case WQ_U16: return from_int(load_uint16_t(at));
	case WQ_I16: return from_int(load_int16_t(at));
	case WQ_U32: return from_int(load_uint32_t(at));
	case WQ_I32: return from_int(load_int32_t(at));
	case WQ_I64: return from_int(load_int64_t(at));
	case WQ_U64: return (Number){ true, (int64_t)load_uint64_t(at), (double)load_uint64_t(at) };
	case WQ_F32: return from_float((double)load_float(at));
	case WQ_F64: return from_float(load_double(at));
	case WQ_F16: return from_float((double)wq_f16_to_f32(load_uint16_t(at)));
	case WQ_BF16: return from_float((double)wq_bf16_to_f32(load_uint16_t(at)));
	case WQ_F8E4M3FN: case WQ_F8E4M3FNUZ: case WQ_F8E5M2: case WQ_F8E5M2FNUZ: case WQ_F4E2M1: case WQ_F8E8M0:
		return from_float((double)wq_f8_to_f32(t->dtype, byte));
	case WQ_C64: case WQ_C128: case WQ_STR: case WQ_UNDEF: case WQ_NUM_DTYPES: break;
	}
	wq_fail(WQ_EINPUT, "a %s element is not a number", d->text); /* element types come from files */
}

/* Truncates; what does not fit 64 bits wraps as far as it is exact, and is the smallest integer otherwise. */
static int64_t int_of(double v)
{
	const double two63 = 9223372036854775808.0;
	if (v >= -two63 && v < two63)
		return (int64_t)v;
	if (v >= two63 && v < 2 * two63)
		return (int64_t)(uint64_t)v;
	return INT64_MIN;
}

double wq_tensor_get_f(const WqTensor *t, int64_t i) { return number_at(t, i).f; }

int64_t wq_tensor_get_i(const WqTensor *t, int64_t i)
{
	Number v = number_at(t, i);
	return v.is_int ? v.i : int_of(v.f);
}

static void store(void *at, const void *v, size_t n) { memcpy(at, v, n); }

static void number_set(WqTensor *t, int64_t i, Number v)
{
	WQ_ASSERT(!t->packed);
	const WqDtypeInfo *d = wq_dtype(t->dtype);
	uint8_t *at = (uint8_t *)t->data + (size_t)i * wq_dtype_size(t->dtype);
	if (d->cls == 'I' || d->cls == 'U') { /* the low bytes, on the little-endian machines this runs on */
		int64_t n = v.is_int ? v.i : int_of(v.f);
		if (d->bits < 8) { /* one element a byte, sign-extended */
			uint8_t low = (uint8_t)n;
			*at = packed_at(&low, d->bits, d->cls == 'I', 0);
		} else {
			store(at, &n, (size_t)d->bits / 8);
		}
		return;
	}
	float f = (float)v.f;
	uint16_t h = t->dtype == WQ_BF16 ? wq_f64_to_bf16(v.f) : wq_f64_to_f16(v.f);
	switch (t->dtype) {
	case WQ_BOOL: *at = v.is_int ? v.i != 0 : v.f != 0; return;
	case WQ_F32: store(at, &f, 4); return;
	case WQ_F64: store(at, &v.f, 8); return;
	case WQ_F16: case WQ_BF16: store(at, &h, 2); return;
	case WQ_F8E4M3FN: case WQ_F8E4M3FNUZ: case WQ_F8E5M2: case WQ_F8E5M2FNUZ: case WQ_F4E2M1: case WQ_F8E8M0:
		*at = wq_f64_to_f8(t->dtype, v.f, true, 'u');
		return;
	default: wq_fail(WQ_EINPUT, "a %s element is not a number", d->text); /* element types come from files */
	}
}

void wq_tensor_set_f(WqTensor *t, int64_t i, double v) { number_set(t, i, from_float(v)); }

void wq_tensor_set_i(WqTensor *t, int64_t i, int64_t v)
{
	number_set(t, i, from_int(v));
}
