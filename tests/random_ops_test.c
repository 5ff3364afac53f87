/* random_ops_test: every operator on random operands and attributes, most of them nonsense. Each call gives a result
 * whose type is what the rule said, or an error of the input; nothing crashes. WQ_RANDOM_OPS=N: calls per operator
 * (default 300), WQ_RANDOM_SEED=N: other ones, WQ_RANDOM_OP=NAME: of one operator. */
#include "engine/engine.h"
#include "tests/random_ops.h"
#include "tests/test.h"

/* ---- calls ------------------------------------------------------------------------------------- */

/* What a call has made so far. */
typedef struct Held {
	WqModule *m;
	WqEngine *e;
	WqRt *out[8];
} Held;

static void drop(Held *h)
{
	for (int i = 0; i < WQ_COUNTOF(h->out); i++)
		wq_rt_unref(h->out[i]);
	wq_engine_free(h->e);
	wq_module_free(h->m);
}

static void call(Held *h, WqOp op)
{
	const WqOpInfo *info = wq_op(op);
	WqModule *m = h->m = wq_module_new("random");
	WqValue *in[16];
	int n_in = ops_operands(m->main, info, in);
	WqNode *n = wq_node_new(m->main, op, n_in, in);
	ops_attributes(n, info->attrs);
	int n_out = info->max_out < 0 ? info->min_out : info->max_out;
	wq_node_finish(n, n_out, NULL);
	for (int i = 0; i < n_out; i++)
		wq_output(m->main, "y", n->out[i]);
	WqEngine *e = wq_engine_new(m, &(WqEngineOptions){ .threads = 1, .plain = ops_one_in(2) });
	h->e = e;
	WqRt **out = h->out;
	wq_engine_run(e, NULL, out);
	for (int i = 0; i < n_out; i++) {
		const WqType *t = &n->out[i]->type;
		CHECK_MSG(out[i]->t.dtype == t->dtype && (t->rank < 0 || out[i]->t.rank == t->rank), "%s: result %d",
			  info->name, i);
		for (int k = 0; k < t->rank; k++)
			CHECK_MSG(!wq_dim_static(t->dim[k]) || t->dim[k] == out[i]->t.dim[k],
				  "%s: result %d, axis %d: %lld, not %lld", info->name, i, k,
				  (long long)out[i]->t.dim[k], (long long)t->dim[k]);
	}
}

TEST(no_call_crashes)
{
	const char *env = getenv("WQ_RANDOM_OPS"), *only = getenv("WQ_RANDOM_OP"), *seed = getenv("WQ_RANDOM_SEED");
	int times = env ? atoi(env) : 300;
	ops_state = seed ? strtoull(seed, NULL, 10) : 1;
	for (int op = 1; op < WQ_NUM_OPS; op++) {
		int worked = 0;
		if (wq_op((WqOp)op)->flags & (WQ_BODY | WQ_SEQ))
			continue;
		if (only && strcmp(only, wq_op((WqOp)op)->name))
			continue;
		for (int i = 0; i < times; i++) {
			Held h = { 0 };
			WqTry t;
			if (WQ_TRY(&t)) {
				call(&h, (WqOp)op);
				wq_try_end(&t);
				worked++;
			} else {
				CHECK_MSG(t.err.code != WQ_OK && t.err.text[0], "%s: an error that says nothing",
					  wq_op((WqOp)op)->name);
			}
			drop(&h);
		}
		if (getenv("WQ_VERBOSE"))
			printf("%-24s %d of %d\n", wq_op((WqOp)op)->name, worked, times);
	}
}

static int until_failure;
static bool deny(size_t n)
{
	(void)n;
	return until_failure-- == 0;
}

/* The same call with its first, second, ... allocation failing; leaks are the sanitizer's to find. */
static void fail_allocations(WqOp op, uint64_t seed)
{
	for (int k = 0; k < 60; k++) {
		Held h = { 0 };
		WqTry t;
		ops_state = seed;
		until_failure = k;
		wq_alloc_set_deny(deny);
		if (WQ_TRY(&t)) {
			call(&h, op);
			wq_try_end(&t);
		}
		wq_alloc_set_deny(NULL);
		drop(&h);
		if (until_failure >= 0)
			break;
	}
}

TEST(allocations_may_fail)
{
	const char *only = getenv("WQ_RANDOM_OP");
	for (int op = 1; op < WQ_NUM_OPS; op++)
		for (int i = 0; i < 8; i++)
			if (!(wq_op((WqOp)op)->flags & (WQ_BODY | WQ_SEQ)) &&
			    (!only || !strcmp(only, wq_op((WqOp)op)->name)))
				fail_allocations((WqOp)op, (uint64_t)(op * 1000 + i));
	CHECK(true);
}

int main(void)
{
	wq_alloc_set_limit(64 << 20);
	int failed = test_run("no_call_crashes", test_no_call_crashes, NULL);
	failed += test_run("allocations_may_fail", test_allocations_may_fail, NULL);
	printf("%d passed, %d failed\n", 2 - failed, failed);
	return failed != 0;
}
