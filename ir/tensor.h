/* tensor.h: element types, and tensors as plain memory.
 *
 * Data is row-major and contiguous. Types under 8 bits have two layouts: packed as in ONNX files (lowest bits first,
 * over the whole flattened tensor) and unpacked, one element a byte (signed types sign-extended, f4e2m1 as its
 * code). Constants keep the file's packed bytes; the engine computes on unpacked ones.
 */
#ifndef WQ_TENSOR_H
#define WQ_TENSOR_H

#include "ir/base.h"

#define WQ_MAX_RANK 16

typedef enum WqDtype {
	WQ_UNDEF = 0,
#define DTYPE(NAME, num, text, bits, cls, npy) WQ_##NAME = num,
#include "ir/dtypes.def"
#undef DTYPE
	WQ_NUM_DTYPES
} WqDtype;

/* Type sets, for operator signatures. */
#define WQ_BIT(t) (1u << (t))
#define WQ_M_FLOAT (WQ_BIT(WQ_F32) | WQ_BIT(WQ_F16) | WQ_BIT(WQ_BF16) | WQ_BIT(WQ_F64))
#define WQ_M_SINT (WQ_BIT(WQ_I8) | WQ_BIT(WQ_I16) | WQ_BIT(WQ_I32) | WQ_BIT(WQ_I64))
#define WQ_M_UINT (WQ_BIT(WQ_U8) | WQ_BIT(WQ_U16) | WQ_BIT(WQ_U32) | WQ_BIT(WQ_U64))
#define WQ_M_INT (WQ_M_SINT | WQ_M_UINT)
#define WQ_M_NUM (WQ_M_FLOAT | WQ_M_INT)
#define WQ_M_BOOL WQ_BIT(WQ_BOOL)
#define WQ_M_STR WQ_BIT(WQ_STR)
#define WQ_M_ANY ((1u << WQ_NUM_DTYPES) - 2)

typedef struct WqDtypeInfo {
	const char *text; /* "f32" */
	const char *name; /* "FLOAT32" style upper-case name without prefix: F32 */
	const char *npy;  /* numpy descr, or NULL */
	int bits;
	char cls; /* F I U B S C */
} WqDtypeInfo;

const WqDtypeInfo *wq_dtype(WqDtype t); /* of a valid type */
bool wq_dtype_valid(int t);
WqDtype wq_dtype_parse(const char *text); /* WQ_UNDEF if unknown */
static inline bool wq_dtype_in(WqDtype t, uint32_t mask) { return t > 0 && (mask >> t & 1); }
bool wq_dtype_is_float(WqDtype t);
bool wq_dtype_is_int(WqDtype t); /* signed or unsigned, any width; not bool */
bool wq_dtype_is_signed(WqDtype t);
/* Bytes of one unpacked element (sub-byte types: 1). */
size_t wq_dtype_size(WqDtype t);

typedef struct WqString { /* an element of a string tensor */
	const char *p;
	size_t n;
} WqString;

typedef struct WqTensor {
	WqDtype dtype;
	bool packed; /* sub-byte types only: the ONNX layout */
	int rank;
	int64_t dim[WQ_MAX_RANK];
	void *data; /* may be unaligned when it is a view into a file: see wq_tensor_* readers */
} WqTensor;

int64_t wq_tensor_count(const WqTensor *t); /* elements; shapes are overflow-checked where they are made */
size_t wq_tensor_bytes(const WqTensor *t);
/* Elements of a shape; fails (naming what) on negative dims or overflow of 2^62 bytes. */
int64_t wq_shape_count(int rank, const int64_t *dim, const char *what);
size_t wq_packed_bytes(WqDtype t, int64_t count);

void wq_unpack(WqDtype t, const void *packed, void *bytes, int64_t count);
void wq_pack(WqDtype t, const void *bytes, void *packed, int64_t count);

/* Any numeric element as a double / int64 (bool 0/1; packed or not). For scalars and small operands. */
double wq_tensor_get_f(const WqTensor *t, int64_t i);
int64_t wq_tensor_get_i(const WqTensor *t, int64_t i);
/* The other way, into an unpacked tensor's element: floats round to nearest even (saturating below 16 bits; f8e8m0 up),
 * integers truncate, then wrap. */
void wq_tensor_set_f(WqTensor *t, int64_t i, double v);
void wq_tensor_set_i(WqTensor *t, int64_t i, int64_t v);

/* ---- scalar conversions (numeric.c): the definitions of the small float formats ---------------- */

float wq_f16_to_f32(uint16_t h);
uint16_t wq_f32_to_f16(float f); /* nearest even */
uint16_t wq_f64_to_f16(double d);
float wq_bf16_to_f32(uint16_t h);
uint16_t wq_f32_to_bf16(float f);
uint16_t wq_f64_to_bf16(double d);
/* f8 and f4 codes; saturate as the ONNX Cast attribute. round_up: 'n' nearest, 'u' up, 'd' down (f8e8m0 only). */
float wq_f8_to_f32(WqDtype t, uint8_t code);
uint8_t wq_f32_to_f8(WqDtype t, float f, bool saturate, char round);
uint8_t wq_f64_to_f8(WqDtype t, double d, bool saturate, char round);

#endif
