/* vmath.h: float functions written so that a loop over them becomes vector code: no calls, no branches, no conversions
 * between floats and integers other than by adding 1.5 * 2^23. Errors are at most about 2 ulp; the polynomials are
 * minimax fits of our own. NaN and infinities behave as in libm.
 */
#ifndef WQ_VMATH_H
#define WQ_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define WQ_INLINE static inline __attribute__((always_inline))

/* A function whose loops are compiled for several vector widths and chosen at load time. Sanitizers and ifuncs do not
 * mix. */
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
	!defined(WQ_COVERAGE) && \
	((defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12))
#define WQ_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WQ_CLONES
#endif

/* The next loop's iterations do not depend on each other, even where the result is an operand's buffer. */
#ifdef __clang__
#define WQ_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define WQ_IVDEP _Pragma("GCC ivdep")
#endif

WQ_INLINE float vm_from_bits(uint32_t u)
{
	float f;
	memcpy(&f, &u, 4);
	return f;
}

WQ_INLINE uint32_t vm_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	return u;
}

WQ_INLINE float vm_copysign(float mag, float sign)
{
	return vm_from_bits((vm_bits(mag) & 0x7fffffff) | (vm_bits(sign) & 0x80000000));
}

WQ_INLINE float vm_abs(float x)
{
	return vm_from_bits(vm_bits(x) & 0x7fffffff);
}

/* e^r - 1 - r for |r| <= ln2/2. */
WQ_INLINE float vm_exp_tail(float r)
{
	float p = 0.000197903433f;
	p = p * r + 0.0013944657f;
	p = p * r + 0.00833349706f;
	p = p * r + 0.041666295f;
	p = p * r + 0.166666659f;
	p = p * r + 0.5f;
	return p * r * r;
}

WQ_INLINE float vm_exp(float x)
{
	const float magic = 12582912.0f; /* 1.5 * 2^23: the sum's low bits are the rounded integer */
	float c = x < -104.0f ? -104.0f : x;
	c = c > 89.0f ? 89.0f : c;
	float t = c * 1.44269504f + magic;
	uint32_t n = vm_bits(t) - vm_bits(magic);
	float k = t - magic;
	float r = (c - k * 0.693145752f) - k * 1.42860677e-6f;
	/* 2^n in two factors, so that neither over- nor underflows */
	uint32_t h = (uint32_t)((int32_t)n >> 1);
	float s1 = vm_from_bits((h + 127) << 23), s2 = vm_from_bits((n - h + 127) << 23);
	return ((1.0f + (r + vm_exp_tail(r))) * s1) * s2;
}

WQ_INLINE float vm_sigmoid(float x)
{
	float e = vm_exp(-vm_abs(x));
	return (x < 0 ? e : 1.0f) / (1.0f + e);
}

WQ_INLINE float vm_tanh(float x)
{
	float a = vm_abs(x), u = x * x;
	float p = 0.00214754008f;
	p = p * u - 0.00818267764f;
	p = p * u + 0.0217029688f;
	p = p * u - 0.0539472046f;
	p = p * u + 0.133332098f;
	p = p * u - 0.333333309f;
	float small = x + x * u * p;
	float large = 1.0f - 2.0f / (vm_exp(2.0f * a) + 1.0f);
	return a < 0.625f ? small : vm_copysign(large, x);
}

/* The normal distribution's tail: P(Z > t) for t >= 0, accurate relatively down to the smallest floats. */
WQ_INLINE float vm_normal_tail(float t)
{
	t = t > 14.5f ? 14.5f : t;
	float s = (t - 4.0f) / (t + 4.0f);
	float p = -7.1611596e-05f;
	p = p * s - 6.05571679e-05f;
	p = p * s + 0.000692859303f;
	p = p * s - 0.000303759898f;
	p = p * s - 0.00500438244f;
	p = p * s + 0.0179402029f;
	p = p * s - 0.0321972695f;
	p = p * s + 0.0285999807f;
	p = p * s + 0.0139995961f;
	p = p * s - 0.0967034669f;
	p = p * s + 0.472053207f;
	/* t*t in two parts: high bits exactly, and what is left */
	float th = vm_from_bits(vm_bits(t) & 0xfffff000);
	float lo = -0.5f * (t - th) * (t + th);
	float e = vm_exp(-0.5f * th * th);
	e = e + e * (lo + lo * lo * (0.5f + lo * 0.166666667f));
	return e * p / (t + 1.0f);
}

WQ_INLINE float vm_erf(float x)
{
	float a = vm_abs(x), u = x * x;
	float p = 7.85386109e-05f;
	p = p * u - 0.000801019353f;
	p = p * u + 0.00518832767f;
	p = p * u - 0.0268538119f;
	p = p * u + 0.112835851f;
	p = p * u - 0.376126258f;
	p = p * u + 1.12837917f;
	float large = 1.0f - 2.0f * vm_normal_tail(a * 1.41421356f);
	return a < 1.0f ? x * p : vm_copysign(large, x);
}

/* x * P(Z < x) */
WQ_INLINE float vm_gelu(float x)
{
	float q = vm_normal_tail(vm_abs(x));
	float y = x * (x < 0 ? q : 1.0f - q);
	return x < -14.5f ? x * 0.0f : y;
}

WQ_INLINE float vm_gelu_tanh(float x)
{
	/* 0.5 (1 + tanh z) is sigmoid(2z), which keeps the negative tail */
	float z = 1.59576912f * (x + 0.044715f * x * x * x);
	float y = x * vm_sigmoid(z);
	return x < -1e6f ? -0.0f : y;
}

WQ_INLINE float vm_swish(float x, float alpha)
{
	return x * vm_sigmoid(alpha * x);
}

/* ---- 16-bit floats --------------------------------------------------------------------------- */

WQ_INLINE float vm_f16_load(uint16_t h)
{
	uint32_t m = (uint32_t)(h & 0x7fff) << 13;
	float f = vm_from_bits(m) * 0x1p112f; /* exact, also for subnormals */
	uint32_t inf = m >= (0x7c00u << 13) ? 0x7f800000u : 0;
	return vm_from_bits(vm_bits(f) | inf | (uint32_t)(h & 0x8000) << 16);
}

WQ_INLINE uint16_t vm_f16_store(float f)
{
	uint32_t u = vm_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
	uint32_t normal = (a + 0xfff + (a >> 13 & 1) - (112u << 23)) >> 13;
	uint32_t tiny = vm_bits(vm_from_bits(a) + 0.5f) - vm_bits(0.5f); /* 0.5's last place is 2^-24 */
	uint32_t r = a < 0x38800000u ? tiny : normal;
	r = a >= 0x477ff000u ? 0x7c00u : r;
	r = a > 0x7f800000u ? 0x7e00u : r;
	return (uint16_t)(r | sign);
}

WQ_INLINE float vm_bf16_load(uint16_t h)
{
	return vm_from_bits((uint32_t)h << 16);
}

WQ_INLINE uint16_t vm_bf16_store(float f)
{
	uint32_t u = vm_bits(f), nan = u >> 16 | 0x40;
	uint32_t r = (u + 0x7fff + (u >> 16 & 1)) >> 16;
	return (uint16_t)((u & 0x7fffffff) > 0x7f800000u ? nan : r);
}

#endif
