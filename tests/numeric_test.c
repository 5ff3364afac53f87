/* Conversions of small floats, against tables and against a search for the nearest value. */
#include <math.h>

#include "ir/tensor.h"
#include "tests/test.h"

static uint64_t state = 88172645463325252u;
static uint32_t random32(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static float float_of(uint32_t u)
{
	float f;
	memcpy(&f, &u, 4);
	return f;
}

TEST(f16_known)
{
	static const struct { float f; uint16_t h;
	} v[] = {
		{ 0, 0 },
		{ 1, 0x3c00 },
		{ -2, 0xc000 },
		{ 65504, 0x7bff },
		{ 65519.996f, 0x7bff },
		{ 65520, 0x7c00 },
		{ 0x1p-24f, 1 },
		{ 0x1p-25f, 0 },
		{ 0x1.000002p-25f, 1 },
		{ 0x1p-14f, 0x0400 },
		{ 0x1.ff8p-15f, 0x03ff },
		{ INFINITY, 0x7c00 },
		{ 0.333333f, 0x3555 },
		{ 1 + 0x1p-11f, 0x3c00 },
		{ 1 + 3 * 0x1p-11f, 0x3c02 },
	};
	for (int i = 0; i < WQ_COUNTOF(v); i++) {
		CHECK_EQ(wq_f32_to_f16(v[i].f), v[i].h);
		CHECK_EQ(wq_f32_to_f16(-v[i].f), v[i].h ^ 0x8000);
	}
	CHECK(isnan(wq_f16_to_f32(wq_f32_to_f16(NAN))));
	CHECK(isnan(wq_f16_to_f32(wq_f32_to_f16(float_of(0x7f800001)))));
}

TEST(f16_and_bf16_round_trip)
{
	for (int i = 0; i < 65536; i++) {
		float f = wq_f16_to_f32((uint16_t)i), b = wq_bf16_to_f32((uint16_t)i);
		if (!isnan(f))
			CHECK_EQ(wq_f32_to_f16(f), i);
		if (!isnan(b))
			CHECK_EQ(wq_f32_to_bf16(b), i);
	}
	CHECK_EQ(wq_f32_to_bf16(float_of(0x3f808000)), 0x3f80);
	CHECK_EQ(wq_f32_to_bf16(float_of(0x3f818000)), 0x3f82);
	CHECK_EQ(wq_f32_to_bf16(float_of(0x3f808001)), 0x3f81);
	CHECK(isnan(wq_bf16_to_f32(wq_f32_to_bf16(float_of(0x7f800001)))));
}

TEST(f64_rounds_once)
{
	/* Rounding to f32 first gives exactly the tie, which then goes to even. */
	CHECK_EQ(wq_f64_to_f16(1 + 0x1p-11 + 0x1p-40), 0x3c01);
	CHECK_EQ(wq_f64_to_f16(1 + 3 * 0x1p-11 - 0x1p-40), 0x3c01);
	CHECK_EQ(wq_f64_to_bf16(1 + 0x1p-8 + 0x1p-40), 0x3f81);
	CHECK_EQ(wq_f64_to_f8(WQ_F8E4M3FN, 1 + 0x1p-4 + 0x1p-40, true, 'u'), 0x39);
	CHECK_EQ(wq_f64_to_f16(1e300), 0x7c00);
}

static uint8_t nearest(WqDtype t, int codes, float f)
{
	int best = -1;
	double distance = INFINITY;
	for (int c = 0; c < codes; c++) {
		double v = (double)wq_f8_to_f32(t, (uint8_t)c), d = fabs(v - (double)f);
		if (isfinite(v) && (d < distance || (d == distance && !(c & 1)))) {
			distance = d;
			best = c;
		}
	}
	return (uint8_t)best;
}

TEST(small_floats_round_to_nearest_even)
{
	static const WqDtype types[] = { WQ_F8E4M3FN, WQ_F8E4M3FNUZ, WQ_F8E5M2, WQ_F8E5M2FNUZ, WQ_F4E2M1 };
	for (int k = 0; k < WQ_COUNTOF(types); k++) {
		int codes = types[k] == WQ_F4E2M1 ? 8 : 128;
		for (int c = 0; c < 2 * codes; c++) {
			float f = wq_f8_to_f32(types[k], (uint8_t)c);
			if (!isnan(f))
				CHECK_EQ(wq_f32_to_f8(types[k], f, false, 'u'), c);
		}
		for (int i = 0; i < 20000; i++) {
			float f = ldexpf((float)(random32() >> 8), (int)(random32() % 40) - 46);
			if (i % 2) { /* at or beside a tie */
				int c = (int)(random32() % (unsigned)(codes - 1));
				f = (wq_f8_to_f32(types[k], (uint8_t)c) + wq_f8_to_f32(types[k], (uint8_t)(c + 1))) / 2;
				f = i % 4 == 1 ? f : nextafterf(f, i % 8 == 3 ? 0 : INFINITY);
			}
			if (fabsf(f) < 1e9f)
				CHECK_EQ(wq_f32_to_f8(types[k], f, true, 'u'), nearest(types[k], codes, f));
		}
	}
}

TEST(special_values)
{
	static const struct { float f; uint8_t sat[4], unsat[4]; } v[] = { /* e4m3fn, e4m3fnuz, e5m2, e5m2fnuz */
		{ INFINITY, { 0x7e, 0x7f, 0x7b, 0x7f }, { 0x7f, 0x80, 0x7c, 0x80 } },
		{ -INFINITY, { 0xfe, 0xff, 0xfb, 0xff }, { 0xff, 0x80, 0xfc, 0x80 } },
		{ 1e6f, { 0x7e, 0x7f, 0x7b, 0x7f }, { 0x7f, 0x80, 0x7c, 0x80 } },
		{ -1e6f, { 0xfe, 0xff, 0xfb, 0xff }, { 0xff, 0x80, 0xfc, 0x80 } },
		{ -0.0f, { 0x80, 0, 0x80, 0 }, { 0x80, 0, 0x80, 0 } },
		{ -1e-7f, { 0x80, 0, 0x80, 0 }, { 0x80, 0, 0x80, 0 } },
		{ NAN, { 0x7f, 0x80, 0x7e, 0x80 }, { 0x7f, 0x80, 0x7e, 0x80 } },
	};
	for (int i = 0; i < WQ_COUNTOF(v); i++)
		for (int t = 0; t < 4; t++) {
			CHECK_EQ(wq_f32_to_f8((WqDtype)(WQ_F8E4M3FN + t), v[i].f, true, 'u'), v[i].sat[t]);
			CHECK_EQ(wq_f32_to_f8((WqDtype)(WQ_F8E4M3FN + t), v[i].f, false, 'u'), v[i].unsat[t]);
		}
	CHECK(isinf(wq_f8_to_f32(WQ_F8E5M2, 0x7c)) && isnan(wq_f8_to_f32(WQ_F8E5M2, 0x7d)));
	CHECK(isnan(wq_f8_to_f32(WQ_F8E4M3FN, 0xff)) && isnan(wq_f8_to_f32(WQ_F8E4M3FNUZ, 0x80)));
}

TEST(f4e2m1_values)
{
	static const float values[] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
	for (int c = 0; c < 8; c++) {
		CHECK(wq_f8_to_f32(WQ_F4E2M1, (uint8_t)c) == values[c]);
		CHECK(wq_f8_to_f32(WQ_F4E2M1, (uint8_t)(c + 8)) == -values[c]);
	}
	CHECK_EQ(wq_f32_to_f8(WQ_F4E2M1, 1e9f, false, 'u'), 7);
	CHECK_EQ(wq_f32_to_f8(WQ_F4E2M1, -INFINITY, true, 'u'), 15);
	CHECK_EQ(wq_f32_to_f8(WQ_F4E2M1, NAN, true, 'u'), 8);
	CHECK_EQ(wq_f32_to_f8(WQ_F4E2M1, 5, true, 'u'), 6); /* a tie between 4 and 6 */
}

TEST(f8e8m0)
{
	static const struct { float f; uint8_t up, down, nearest; } v[] = {
		{ 1, 127, 127, 127 }, { 1.1f, 128, 127, 127 }, { 1.5f, 128, 127, 128 }, { 0.124f, 124, 123, 124 },
		{ 0, 0, 0, 0 }, { 3.4e38f, 254, 254, 254 }, { INFINITY, 254, 254, 254 }, { 0x1p-127f, 0, 0, 0 },
	};
	for (int i = 0; i < WQ_COUNTOF(v); i++) {
		CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, v[i].f, true, 'u'), v[i].up);
		CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, v[i].f, true, 'd'), v[i].down);
		CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, v[i].f, true, 'n'), v[i].nearest);
	}
	CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, 0, false, 'n'), 255);
	CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, INFINITY, false, 'n'), 255);
	CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, NAN, true, 'u'), 255);
	for (int c = 0; c < 255; c++)
		CHECK_EQ(wq_f32_to_f8(WQ_F8E8M0, wq_f8_to_f32(WQ_F8E8M0, (uint8_t)c), false, 'u'), c);
}

TEST(packing)
{
	static const uint8_t packed[] = { 0xe1, 0x7f, 0x03 };
	uint8_t bytes[12], back[3] = { 0 };
	wq_unpack(WQ_U4, packed, bytes, 5);
	CHECK(!memcmp(bytes, (uint8_t[]){ 1, 14, 15, 7, 3 }, 5));
	wq_unpack(WQ_I4, packed, bytes, 5);
	CHECK(!memcmp(bytes, (int8_t[]){ 1, -2, -1, 7, 3 }, 5));
	wq_pack(WQ_I4, bytes, back, 5);
	CHECK(!memcmp(back, packed, 3));
	wq_unpack(WQ_I2, packed, bytes, 10);
	CHECK(!memcmp(bytes, (int8_t[]){ 1, 0, -2, -1, -1, -1, -1, 1, -1, 0 }, 10));
	wq_pack(WQ_U2, bytes, back, 10);
	CHECK(!memcmp(back, packed, 3));
	CHECK_EQ(wq_packed_bytes(WQ_U2, 9), 3);
	CHECK_EQ(wq_packed_bytes(WQ_F16, 9), 18);
}

TEST(elements)
{
	uint8_t data[16] = { 0 };
	WqTensor t = { .dtype = WQ_I4, .rank = 1, .dim = { 4 }, .data = data };
	wq_tensor_set_f(&t, 0, 7.9);
	wq_tensor_set_i(&t, 1, 8); /* wraps */
	CHECK_EQ(wq_tensor_get_i(&t, 0), 7);
	CHECK_EQ(wq_tensor_get_i(&t, 1), -8);
	t.packed = true;
	data[0] = 0xf2;
	CHECK_EQ(wq_tensor_get_i(&t, 0), 2);
	CHECK_EQ(wq_tensor_get_i(&t, 1), -1);
	t = (WqTensor){ .dtype = WQ_U64, .rank = 1, .dim = { 2 }, .data = data };
	wq_tensor_set_i(&t, 0, -1);
	CHECK(wq_tensor_get_f(&t, 0) == 0x1p64);
	t.dtype = WQ_BOOL;
	wq_tensor_set_f(&t, 0, 0.25);
	CHECK_EQ(data[0], 1);
	t.dtype = WQ_F16;
	wq_tensor_set_f(&t, 1, -1.5);
	CHECK(wq_tensor_get_f(&t, 1) == -1.5 && wq_tensor_get_i(&t, 1) == -1);
}

TEST(shapes_do_not_overflow)
{
	CHECK_EQ(wq_shape_count(0, NULL, "x"), 1);
	CHECK_EQ(wq_shape_count(3, (int64_t[]){ 2, 0, 5 }, "x"), 0);
	CHECK_ERROR(WQ_EINPUT, "overflows", wq_shape_count(2, (int64_t[]){ 1ll << 32, 1ll << 32 }, "x"));
	CHECK_ERROR(WQ_EINPUT, "overflows", wq_shape_count(3, (int64_t[]){ 1ll << 40, 1ll << 40, 0 }, "x"));
	CHECK_ERROR(WQ_EINPUT, "negative", wq_shape_count(1, (int64_t[]){ -1 }, "x"));
	CHECK_ERROR(WQ_EINPUT, "17 dimensions", wq_shape_count(17, (int64_t[17]){ 0 }, "x"));
}

TEST(dtype_table)
{
	for (int t = 1; t < WQ_NUM_DTYPES; t++) {
		CHECK(wq_dtype_valid(t));
		CHECK_EQ(wq_dtype_parse(wq_dtype((WqDtype)t)->text), t);
	}
	CHECK(!wq_dtype_valid(0) && !wq_dtype_valid(WQ_NUM_DTYPES) && wq_dtype_parse("f33") == WQ_UNDEF);
	CHECK_EQ(wq_dtype_size(WQ_I2), 1);
	CHECK_EQ(wq_dtype_size(WQ_STR), sizeof(WqString));
}

TEST_MAIN(TEST_RUN(f16_known)
	  TEST_RUN(f16_and_bf16_round_trip)
	  TEST_RUN(f64_rounds_once)
	  TEST_RUN(small_floats_round_to_nearest_even)
	  TEST_RUN(special_values)
	  TEST_RUN(f4e2m1_values)
	  TEST_RUN(f8e8m0)
	  TEST_RUN(packing)
	  TEST_RUN(elements)
	  TEST_RUN(shapes_do_not_overflow)
	  TEST_RUN(dtype_table))
