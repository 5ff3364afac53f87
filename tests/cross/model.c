/* A model by hand, for cross_test.c: y = 2 x + n / 3, where x is f32[N], n i64[2] and y f64[N, 2]. MODE: what it does
 * wrong. */
#include "wqrt.h"

static int32_t call(const wqrt_call *c)
{
	const float *x = c->in[0];
	const int64_t *n = c->in[1];
	double *y = c->out[0];
	int64_t size = c->in_dims[0];
	if (size > 9)
		return WQRT_EBOUND;
#if MODE == 1 /* beyond the output */
	y[18] = 1;
#elif MODE == 2
	*(float *)x = 1;
#elif MODE == 3
	volatile char deep[4000];
	for (int i = 0; i < 4000; i++)
		deep[i] = 1;
#elif MODE == 4
	__builtin_trap();
#elif MODE == 5 /* before the arena */
	((char *)c->arena)[-1] = 0;
#endif
	for (int64_t i = 0; i < size; i++)
		for (int k = 0; k < 2; k++)
			y[i * 2 + k] = 2.0 * x[i] + (double)(n[k] / 3);
	c->out_dims[0] = size;
	c->out_dims[1] = 2;
	return WQRT_OK;
}

static const int64_t x_dim[] = { -1 }, n_dim[] = { 2 }, y_dim[] = { -1, 2 };
static const wqrt_port in[] = { { "x", 1, 1, x_dim, 36 }, { "n", 7, 1, n_dim, 16 } },
		       out[] = { { "y", 11, 2, y_dim, 144 } };
static const wqrt_size sizes[] = { { "N", 0, 9 } };
const wqrt_model model_model = { .version = WQRT_VERSION,
				 .name = "model",
				 .arena_bytes = 100,
				 .arena_align = 64,
				 .stack_bytes = 500,
				 .n_in = 2,
				 .n_out = 1,
				 .n_size = 1,
				 .in = in,
				 .out = out,
				 .size = sizes,
				 .call = call };
