/* arith.h as a model: i64[1] -> u64[24], for cross_test.c. */
#include "arith.h"
#include "wqrt.h"

static int32_t call(const wqrt_call *c)
{
	uint64_t sum[ARITH_SUMS];
	arith((int)*(const int64_t *)c->in[0], sum);
	for (int i = 0; i < ARITH_SUMS; i++)
		((uint64_t *)c->out[0])[i] = sum[i];
	c->out_dims[0] = ARITH_SUMS;
	return WQRT_OK;
}

static const int64_t in_dim[] = { 1 }, out_dim[] = { ARITH_SUMS };
static const wqrt_port in[] = { { "n", 7, 1, in_dim, 8 } }, out[] = { { "sums", 13, 1, out_dim, ARITH_SUMS * 8 } };
const wqrt_model model_model = { .version = WQRT_VERSION,
				 .name = "arith",
				 .arena_align = 64,
				 .stack_bytes = 4096,
				 .n_in = 1,
				 .n_out = 1,
				 .in = in,
				 .out = out,
				 .call = call };
