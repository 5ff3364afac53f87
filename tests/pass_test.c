/* pass_test: the pass manager: pipeline text, options, errors, the log. */
#include "engine/engine.h"
#include "passes/pass.h"
#include "tests/test.h"

static const char text[] = "const one: f32[] = {1}\n"
			   "graph (x: f32[2]) {\n"
			   "  a: f32[2] = Mul(x, one)\n"
			   "  b: f32[2] = Exp(a)\n"
			   "  c: f32[2] = Exp(x)\n"
			   "  y: f32[2] = Add(b, c)\n"
			   "  return y\n"
			   "}\n";

static WqModule *module(void)
{
	WqModule *m = wq_parse("test", text, sizeof text - 1, (WqMapped){ 0 });
	m->fold = wq_engine_fold;
	return m;
}

static int nodes(const WqModule *m)
{
	int k = 0;
	WQ_FOR_NODES(n, m->main)
		k++;
	return k;
}

/* Runs a pipeline on the graph above and returns how many nodes it leaves. */
static int left_by(const char *pipeline)
{
	WqModule *m = module();
	wq_passes(m, pipeline);
	int k = nodes(m);
	wq_module_free(m);
	return k;
}

TEST(pipelines)
{
	CHECK(left_by("") == 4);
	CHECK(left_by("dce") == 4);
	CHECK(left_by("algebra") == 3);
	CHECK(left_by("cse,algebra") == 3);
	CHECK(left_by("algebra,cse") == 2);
	CHECK(left_by(" ( cse , algebra )* ") == 2);
	CHECK(left_by("(cse,(algebra)),cse") == 2);
	CHECK(left_by("clean") == 2);
	CHECK(left_by("opt") == 2);
}

TEST(options)
{
	CHECK(left_by("algebra(fast)") == 3);
	CHECK(left_by("algebra(fast=1)") == 3);
	CHECK(left_by("algebra(fast=0, fast=1),canon()") == 3);
	CHECK(left_by("fold(limit=64K),fold(limit=2M),fold(limit=1G),fold(limit=0x10)") == 4);
}

TEST(errors)
{
	WqModule *m = module();
	CHECK_FAILS(wq_passes(m, "nosuch"), "there is no pass \"nosuch\"");
	CHECK_FAILS(wq_passes(m, "nosuch"), "algebra"); /* lists what exists */
	CHECK_FAILS(wq_passes(m, "fold(size=1)"), "fold has no option \"size\"; it has: limit");
	CHECK_FAILS(wq_passes(m, "dce(x)"), "it has: none");
	CHECK_FAILS(wq_passes(m, "fold(limit=many)"), "takes a whole number");
	CHECK_FAILS(wq_passes(m, "fold(limit=9999999999G)"), "takes a whole number");
	CHECK_FAILS(wq_passes(m, "fold(limit=1"), "\")\" expected");
	CHECK_FAILS(wq_passes(m, "(fold"), "\")\" expected");
	CHECK_FAILS(wq_passes(m, "fold dce"), "\",\" expected");
	CHECK_FAILS(wq_passes(m, "fold,"), "a pass expected");
	char deep[600];
	memset(deep, '(', sizeof deep - 1);
	deep[sizeof deep - 1] = 0;
	CHECK_FAILS(wq_passes(m, deep), "nested too deeply");
	CHECK(nodes(m) == 4);
	wq_module_free(m);
}

static void count(void *arg, WqModule *m, const WqPassInfo *pass, int changes)
{
	(void)m;
	*(int *)arg += changes;
	CHECK(pass->run != NULL);
}

TEST(log)
{
	WqArena *a = wq_arena_new();
	WqModule *m = module();
	int seen = 0;
	FILE *f = tmpfile();
	if (!CHECK(f))
		return;
	WqPassLog log = { .a = a, .print_after = "cse", .out = f, .after = count, .arg = &seen };
	int changes = wq_pipeline_run(m, wq_pipeline_parse(a, "algebra,cse,cse"), &log);
	CHECK(changes == 2 && log.changes == 2 && seen == 2 && !log.unsettled);
	CHECK(log.stats.n == 2 && log.stats.v[1].runs == 2 && log.stats.v[1].changes == 1);
	WqStr s = { .a = a };
	wq_pass_log_print(&log, &s);
	CHECK(strstr(s.s, "algebra") && strstr(s.s, "cse"));
	char line[64] = "";
	CHECK(!fseek(f, 0, SEEK_SET));
	CHECK(fgets(line, sizeof line, f) && !strcmp(line, "# after cse: 1 changes\n"));
	fclose(f);
	wq_module_free(m);
	wq_arena_free(a);
}

TEST(table)
{
	WqArena *a = wq_arena_new();
	int n;
	const WqPassInfo *t = wq_pass_table(&n);
	WqStr s = { .a = a };
	wq_pass_list(&s);
	for (int i = 0; i < n; i++) {
		CHECK(wq_pass_find(t[i].name) == &t[i]);
		CHECK(strstr(s.s, t[i].name) && strstr(s.s, t[i].help));
	}
	CHECK(!wq_pass_find("nosuch"));
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(pipelines) TEST_RUN(options) TEST_RUN(errors) TEST_RUN(log) TEST_RUN(table))
