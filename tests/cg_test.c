/* The emission helpers: small functions run in this process and are compared with C; the same modules become objects for every target. */
#include "codegen/codegen.h"
#include "tests/test.h"

static const CgType P = {CG_PTR, 1};

/* A module for this CPU. */
static WqProgram *program(WqArena *a)
{
	WqProgram *p = WQ_NEW(a, WqProgram);
	p->a = a;
	p->o = (WqCodeOptions){.target = wq_target("native", NULL, NULL, a), .level = 3};
	p->cg = cg_new(p->o.target, "test", a);
	return p;
}

TEST(sum_of_a_row)
{
	WqArena *a = wq_arena_new();
	WqProgram *p = program(a);
	Cg *c = p->cg;
	CgFn f;
	CgKind ix = cg_index(c);
	cg_fn_begin(c, &f, "sum", cg_t(CG_F32, 1), 2, (CgType[]){P, {ix, 1}}, 1, 1, CG_EXPORT);
	CgVar acc = cg_var(c, cg_zero(c, cg_t(CG_F32, 8)));
	CgVal i = cg_for(c, cg_idx(c, 0), f.param[1], 8);
	CgVal left = cg_sub(c, f.param[1], i);
	cg_set(c, acc, cg_add(c, cg_get(c, acc), cg_load_part(c, cg_t(CG_F32, 8), cg_at(c, CG_F32, f.param[0], i), left, 0)));
	cg_end(c);
	cg_return(c, cg_hsum(c, cg_get(c, acc)));
	cg_fn_end(c);
	WqJit *j = wq_jit_new(p);
	float (*sum)(const float *, int64_t) = (float (*)(const float *, int64_t))(uintptr_t)wq_jit_symbol(j, "sum");
	float x[100];
	for (int k = 0; k < 100; k++)
		x[k] = (float)k;
	for (int n = 0; n <= 100; n++)
		CHECK_EQ(sum(x, n), n * (n - 1) / 2);
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(sum_of_a_row))
