#include "frontend/lower_loop.h"

void lo_loop_begin(Lower *L, LoLoop *loop, WqDim steps, int n, WqValue *const *init)
{
	WQ_ASSERT(n <= LO_MAX_STATES);
	*loop = (LoLoop){ .outer = L->g, .steps = steps, .n = n };
	memcpy(loop->init, init, (size_t)n * sizeof *init);
	if (steps == 1) {
		loop->i = lo_scalar(L, WQ_I64, 0);
		memcpy(loop->state, init, (size_t)n * sizeof *init);
		return;
	}
	WqType i64 = wq_type_tensor(WQ_I64, 0, NULL), cond = wq_type_tensor(WQ_BOOL, 0, NULL);
	loop->body = wq_graph_new(L->g);
	loop->i = wq_input(loop->body, NULL, &i64);
	wq_output(loop->body, "continue", wq_input(loop->body, NULL, &cond));
	for (int k = 0; k < n; k++)
		loop->state[k] = wq_input(loop->body, NULL, &init[k]->type);
	L->g = loop->body;
}

void lo_loop_end(Lower *L, LoLoop *loop, WqValue *const *next, int n_scan, WqValue *const *scan, WqValue **out)
{
	WqValue *in[2 + LO_MAX_STATES];

	if (!loop->body) {
		memcpy(out, next, (size_t)loop->n * sizeof *next);
		for (int k = 0; k < n_scan; k++)
			out[loop->n + k] = lo_unsqueeze(L, scan[k], 1, (int64_t[]){ 0 });
		return;
	}
	for (int k = 0; k < loop->n; k++)
		wq_output(loop->body, wq_sprintf(L->m->arena, "state%d", k), next[k]);
	for (int k = 0; k < n_scan; k++)
		wq_output(loop->body, wq_sprintf(L->m->arena, "scan%d", k), scan[k]);
	L->g = loop->outer;
	in[0] = lo_dim_scalar(L, loop->steps, WQ_I64);
	in[1] = NULL;
	memcpy(in + 2, loop->init, (size_t)loop->n * sizeof *in);
	WqNode *n = wq_node_new(L->g, OP_Loop, 2 + loop->n, in);
	wq_node_add_body(n, loop->body);
	wq_node_finish(n, loop->n + n_scan, NULL);
	memcpy(out, n->out, (size_t)n->n_out * sizeof *out);
}
