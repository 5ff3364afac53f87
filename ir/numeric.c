/* numeric.c: conversions between f32 and the small float formats, by their bits.
 *
 * A small float with M mantissa bits and bias B has the code s|e|m: value m * 2^(1-B-M) for e = 0 and
 * (2^M + m) * 2^(e-B-M) otherwise. What its largest codes mean is the row's business.
 */
#include "ir/tensor.h"

#include <math.h>

static uint32_t bits_of(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	return u;
}

static float float_of(uint32_t u)
{
	float f;
	memcpy(&f, &u, 4);
	return f;
}

enum { F32_INF = 0x7f800000 };

/* d as f32 rounded to odd: rounding that again to a format of at most 22 bits gives what rounding d at once would. */
static float round_to_odd(double d)
{
	float f = (float)d;
	if ((double)f == d || isnan(d))
		return f;
	uint32_t u = bits_of(f);
	if (!(u & 1)) /* the other neighbour of d is the odd one */
		u = fabs((double)f) > fabs(d) ? u - 1 : u + 1;
	return float_of(u);
}

/* ---- 16 bits ----------------------------------------------------------------------------------- */

float wq_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
	if (e == 31)
		return float_of(sign | F32_INF | m << 13 | (m ? 0x400000 : 0));
	if (e == 0)
		return float_of(sign | bits_of((float)m * 0x1p-24f));
	return float_of(sign | (e + 112) << 23 | m << 13);
}

uint16_t wq_f32_to_f16(float f)
{
	uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
	if (a > F32_INF)
		return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x1ff));
	if (a >= 0x477ff000) /* 65520: halfway to the exponent that means infinity */
		return (uint16_t)(sign | 0x7c00);
	if (a < 0x38800000) /* below 2^-14: the addition rounds to units of 2^-24 */
		return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - 0x3f000000));
	a += 0xfff + (a >> 13 & 1);
	return (uint16_t)(sign | ((a >> 13) - (112 << 10)));
}

uint16_t wq_f64_to_f16(double d) { return wq_f32_to_f16(round_to_odd(d)); }

float wq_bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t wq_f32_to_bf16(float f)
{
	uint32_t u = bits_of(f);
	if ((u & 0x7fffffff) > F32_INF)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

uint16_t wq_f64_to_bf16(double d) { return wq_f32_to_bf16(round_to_odd(d)); }

/* ---- 8 and 4 bits ------------------------------------------------------------------------------- */

typedef struct Small {
	uint8_t mant, bias, sign; /* sign: its bit */
	uint8_t max;              /* largest finite code */
	uint8_t inf, nan;         /* codes without sign; inf = nan where there is no infinity */
	bool unsigned_zero;       /* -0 is the only NaN */
} Small;

static const Small *small_of(WqDtype t)
{
	static const Small e4m3fn = { 3, 7, 0x80, 0x7e, 0x7f, 0x7f, false };
	static const Small e4m3fnuz = { 3, 8, 0x80, 0x7f, 0x80, 0x80, true };
	static const Small e5m2 = { 2, 15, 0x80, 0x7b, 0x7c, 0x7e, false };
	static const Small e5m2fnuz = { 2, 16, 0x80, 0x7f, 0x80, 0x80, true };
	/* No NaN: the operator's text says 6, its test data say -0, as does every implementation. */
	static const Small e2m1 = { 1, 1, 0x08, 0x07, 0x07, 0x08, false };
	switch (t) {
	case WQ_F8E4M3FN: return &e4m3fn;
	case WQ_F8E4M3FNUZ: return &e4m3fnuz;
	case WQ_F8E5M2: return &e5m2;
	case WQ_F8E5M2FNUZ: return &e5m2fnuz;
	case WQ_F4E2M1: return &e2m1;
	default: WQ_BUG("%d is no small float", (int)t);
	}
}

/* f8e8m0: 2^(code-127), 0xff is NaN; there is no zero and no sign. */
static float e8m0_to_f32(uint8_t code)
{
	if (code == 0xff)
		return NAN;
	return code ? float_of((uint32_t)code << 23) : 0x1p-127f;
}

static uint8_t f32_to_e8m0(float f, bool saturate, char round)
{
	float a = fabsf(f);
	if (isnan(f))
		return 0xff;
	if (a < 0x1p-127f)
		return saturate ? 0 : 0xff;
	if (isinf(f))
		return saturate ? 0xfe : 0xff;
	int e;
	float m = frexpf(a, &e); /* a = 2m * 2^(e-1), 2m in [1, 2) */
	int code = e - 1 + 127;
	if (round == 'u' ? m > 0.5f : round == 'n' ? m >= 0.75f : false)
		code++;
	if (code > 0xfe)
		return saturate ? 0xfe : 0xff;
	return (uint8_t)code;
}

float wq_f8_to_f32(WqDtype t, uint8_t code)
{
	if (t == WQ_F8E8M0)
		return e8m0_to_f32(code);
	const Small *s = small_of(t);
	uint32_t sign = code & s->sign ? 0x80000000u : 0, a = code & (s->sign - 1u);
	if (s->unsigned_zero ? code == s->nan : a > s->max)
		return float_of(sign | F32_INF | (a == s->inf && s->inf != s->nan ? 0 : 0x400000));
	if (a >> s->mant == 0) {
		float unit = float_of((uint32_t)(127 + 1 - s->bias - s->mant) << 23);
		return float_of(sign | bits_of((float)a * unit));
	}
	return float_of(sign | ((a << (23 - s->mant)) + ((127u - s->bias) << 23)));
}

uint8_t wq_f32_to_f8(WqDtype t, float f, bool saturate, char round)
{
	if (t == WQ_F8E8M0)
		return f32_to_e8m0(f, saturate, round);
	const Small *s = small_of(t);
	uint32_t u = bits_of(f), a = u & 0x7fffffff, code;
	uint8_t sign = u >> 31 ? s->sign : 0;
	int drop = 23 - s->mant;
	if (a > F32_INF)
		return s->nan | (s->unsigned_zero || t == WQ_F4E2M1 ? 0 : sign);
	if (a < (uint32_t)(127 + 1 - s->bias) << 23) { /* below the smallest normal: the addition rounds to its unit */
		uint32_t magic = (uint32_t)(127 + 1 - s->bias + drop) << 23;
		code = bits_of(float_of(a) + float_of(magic)) - magic;
	} else {
		a += (1u << (drop - 1)) - 1 + (a >> drop & 1);
		code = (a >> drop) - ((127u - s->bias) << s->mant);
	}
	if (code > s->max) {
		if (!saturate)
			return s->unsigned_zero ? s->nan : s->inf | sign;
		code = s->max;
	}
	return s->unsigned_zero && code == 0 ? 0 : (uint8_t)(code | sign);
}

uint8_t wq_f64_to_f8(WqDtype t, double d, bool saturate, char round)
{
	return wq_f32_to_f8(t, round_to_odd(d), saturate, round);
}
