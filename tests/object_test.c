/* Objects with weights in them, and static libraries: linked by whatever linkers are here, and run where that can be. */
#include "codegen/object_file.h"
#include "tests/test.h"

#include <unistd.h>

enum { N = 5000 };
static int32_t numbers[N];

static void give_numbers(const void *from, WqSink *sink, void *arg)
{
	const char *p = from;
	sink(arg, p, 1); /* in pieces of any size */
	sink(arg, p + 1, sizeof numbers - 1);
}

static const WqBlob blob = {"model_weights_data", sizeof numbers, give_numbers, numbers};

/* i32 NAME(void): the sum of the numbers, and of a table that this module has besides. */
static void emit_sum(Cg *c, const char *name)
{
	static const int32_t more[] = {1000000, 2000000};
	CgType i32 = {CG_I32, 1};
	CgFn f;
	cg_fn_begin(c, &f, name, i32, 0, NULL, 0, 0, CG_EXPORT);
	CgVar sum = cg_var(c, cg_zero(c, i32));
	CgVal data = cg_extern_data(c, "model_weights_data"), i = cg_for(c, cg_idx(c, 0), cg_idx(c, N), 1);
	cg_set(c, sum, cg_add(c, cg_get(c, sum), cg_load(c, i32, cg_at(c, CG_I32, data, i), 0)));
	cg_end(c);
	CgVal at = cg_and(c, cg_resize(c, cg_get(c, sum), cg_index(c), false), cg_idx(c, 1));
	cg_return(c, cg_add(c, cg_get(c, sum), cg_load(c, i32, cg_at(c, CG_I32, cg_table(c, CG_I32, 2, more), at), 0)));
	cg_fn_end(c);
}

static int32_t expected(void)
{
	int32_t sum = 0;
	for (int i = 0; i < N; i++)
		sum += numbers[i] = i * 7 - 100;
	return sum + 1000000 * (1 + (sum & 1));
}

static WqObject object_for(const WqTarget *t, const char *fn, const char *name, WqArena *a)
{
	WqObject o = {.name = name, .blob = &blob};
	Cg *c = cg_new(t, name, a);
	emit_sum(c, fn);
	cg_optimize(c, 2, false);
	o.code = cg_emit(c, CG_OBJECT, &o.n);
	return o;
}

static const char *write_object(const WqObject *o, WqArena *a)
{
	const char *path = wq_sprintf(a, "%s/%s", test_dir(), o->name);
	WqFileOut *f = wq_file_create(a, path);
	wq_object_write(o, wq_file_sink, f, a);
	wq_file_commit(f);
	CHECK_EQ(wq_file_map(a, path).n, wq_object_bytes(o, a));
	return path;
}

static bool runs(const char *cmd) { return system(cmd) == 0; }

/* Does the linked file hold the numbers, aligned as asked? */
static bool holds_numbers(const char *path, WqArena *a)
{
	WqMapped m = wq_file_map(a, path);
	for (size_t i = 0; i + sizeof numbers <= m.n; i++)
		if (!memcmp(m.p + i, numbers, sizeof numbers))
			return true;
	return false;
}

TEST(linked_for_every_target)
{
	static const char *const names[] = {
#define TARGET(name, triple, cpu, attrs, abi, family, bits, bare, qemu, about) name,
#include "codegen/targets.def"
	};
	bool lld = runs("ld.lld-19 --version >/dev/null 2>&1"), wasm = runs("wasm-ld-19 --version >/dev/null 2>&1");
	expected();
	for (int i = 0; i < WQ_COUNTOF(names); i++) {
		WqArena *a = wq_arena_new();
		WqObject o = object_for(wq_target(names[i], NULL, NULL, a), "sum", wq_sprintf(a, "%s.o", names[i]), a);
		const char *path = write_object(&o, a);
		CHECK_MSG(holds_numbers(path, a), "%s: the numbers are not in the object", names[i]);
		const char *link = !strcmp(names[i], "wasm32") ? "wasm-ld-19 --no-entry --export=sum" : "ld.lld-19 -e sum";
		if (strstr(link, "wasm") ? wasm : lld) {
			CHECK_MSG(runs(wq_sprintf(a, "%s %s -o %s.linked", link, path, path)), "%s", names[i]);
			CHECK_MSG(holds_numbers(wq_sprintf(a, "%s.linked", path), a), "%s: the numbers are not in the program", names[i]);
		}
		wq_arena_free(a);
	}
}

TEST(wasm_runs)
{
	int32_t want = expected();
	WqArena *a = wq_arena_new();
	WqObject o = object_for(wq_target("wasm32", NULL, NULL, a), "sum", "w.o", a);
	const char *path = write_object(&o, a);
	if (runs("node --version >/dev/null 2>&1") && runs("wasm-ld-19 --version >/dev/null 2>&1")) {
		CHECK(runs(wq_sprintf(a, "wasm-ld-19 --no-entry --export=sum %s -o %s.wasm", path, path)));
		CHECK(runs(wq_sprintf(a, "node -e 'WebAssembly.instantiate(require(\"fs\").readFileSync(\"%s.wasm\")).then(m => "
					 "process.exit(m.instance.exports.sum() == %d ? 0 : 1))'", path, want)));
	}
	wq_arena_free(a);
}

static void write_text(const char *path, const char *text, WqArena *a)
{
	WqFileOut *f = wq_file_create(a, path);
	wq_file_write(f, text, strlen(text));
	wq_file_commit(f);
}

static void put(void *arg, const void *p, size_t n) { wq_str_write(arg, p, n); }

/* Two members, one with a long name, one without a blob; the linker finds both by the index. */
TEST(library)
{
	int32_t want = expected();
	WqArena *a = wq_arena_new();
	const WqTarget *t = wq_target("native", NULL, NULL, a);
	WqObject o[2] = {object_for(t, "first", "first.o", a), object_for(t, "second", "a_rather_long_name_for_an_object.o", a)};
	o[1].blob = NULL; /* its weights are the first one's */
	const char *dir = test_dir(), *path = wq_sprintf(a, "%s/libmodel.a", dir);
	WqFileOut *f = wq_file_create(a, path);
	wq_archive_write(o, 2, wq_file_sink, f, a);
	wq_file_commit(f);
	write_text(wq_sprintf(a, "%s/main.c", dir), wq_sprintf(a, "int first(void), second(void);\n"
		   "int main(void) { return first() != %d || second() != %d; }\n", want, want), a);
	CHECK(runs(wq_sprintf(a, "cc %s/main.c %s -o %s/main", dir, path, dir)) && runs(wq_sprintf(a, "%s/main", dir)));
	CHECK(runs(wq_sprintf(a, "cd %s && ar t libmodel.a | grep -q '^a_rather_long_name_for_an_object.o$'", dir)));
	WqStr one = {.a = a}, two = {.a = a};
	wq_archive_write(o, 2, put, &one, a);
	wq_archive_write(o, 2, put, &two, a);
	CHECK(one.n == two.n && !memcmp(one.s, two.s, one.n) && one.n % 2 == 0);
	wq_arena_free(a);
}

/* Code that does not ask for the weights stays as it is. */
TEST(unused_blob)
{
	WqArena *a = wq_arena_new();
	static const char *const names[] = {"native", "cortex-m4", "wasm32"};
	for (int i = 0; i < WQ_COUNTOF(names); i++) {
		WqObject o = {.name = "x.o", .blob = &blob};
		Cg *c = cg_new(wq_target(names[i], NULL, NULL, a), "x", a);
		CgFn f;
		cg_fn_begin(c, &f, "nothing", cg_t(CG_VOID, 1), 0, NULL, 0, 0, CG_EXPORT);
		cg_return(c, NULL);
		cg_fn_end(c);
		cg_optimize(c, 2, false);
		o.code = cg_emit(c, CG_OBJECT, &o.n);
		WqStr s = {.a = a};
		wq_object_write(&o, put, &s, a);
		CHECK(s.n == o.n && wq_object_bytes(&o, a) == (int64_t)o.n && !memcmp(s.s, o.code, o.n));
	}
	wq_arena_free(a);
}

/* More than 127 segments: their count takes another byte, and relocations in the data move. */
TEST(wasm_with_many_segments)
{
	expected();
	WqArena *a = wq_arena_new();
	WqObject o = {.name = "many.o", .blob = &blob};
	Cg *c = cg_new(wq_target("wasm32", NULL, NULL, a), "x", a);
	CgFn f;
	CgType i32 = {CG_I32, 1};
	CgVal table[126];
	for (int32_t i = 0; i < WQ_COUNTOF(table); i++)
		table[i] = cg_table(c, CG_I32, 1, &i);
	cg_fn_begin(c, &f, "sum", i32, 1, &i32, 0, 0, CG_EXPORT);
	CgVal pointers = cg_data(c, NULL, WQ_COUNTOF(table), table), data = cg_extern_data(c, "model_weights_data");
	CgVal at = cg_load(c, cg_t(CG_PTR, 1), cg_at(c, CG_PTR, pointers, f.param[0]), 0);
	cg_return(c, cg_add(c, cg_load(c, i32, at, 0), cg_load(c, i32, cg_at(c, CG_I32, data, f.param[0]), 0)));
	cg_fn_end(c);
	cg_optimize(c, 0, false);
	o.code = cg_emit(c, CG_OBJECT, &o.n);
	const char *path = write_object(&o, a);
	if (runs("node --version >/dev/null 2>&1") && runs("wasm-ld-19 --version >/dev/null 2>&1")) {
		CHECK(runs(wq_sprintf(a, "wasm-ld-19 --no-entry --export=sum %s -o %s.wasm", path, path)));
		for (int i = 0; i < 126; i += 25)
			CHECK(runs(wq_sprintf(a, "node -e 'WebAssembly.instantiate(require(\"fs\").readFileSync(\"%s.wasm\")).then(m => "
						 "process.exit(m.instance.exports.sum(%d) == %d ? 0 : 1))'", path, i, i + numbers[i])));
	}
	wq_arena_free(a);
}

TEST_MAIN(TEST_RUN(linked_for_every_target) TEST_RUN(wasm_runs) TEST_RUN(library) TEST_RUN(unused_blob) TEST_RUN(wasm_with_many_segments))
