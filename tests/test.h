/* test.h: a test program is a list of TEST functions; it prints a line per failure and a summary, and exits 0, 1, or 77 (skipped).
 *
 *   TEST(adds) { CHECK(1 + 1 == 2); CHECK_FAILS(wq_fail(WQ_EINPUT, "no"), "no"); }
 *   TEST_MAIN(TEST_RUN(adds))
 */
#ifndef WQ_TEST_H
#define WQ_TEST_H

#include "ir/base.h"

#include <stdlib.h>

static _Atomic int test_failed, test_checks; /* some tests have threads */

#define TEST(name) static void test_##name(void)
#define CHECK(c) test_check((c), #c, __FILE__, __LINE__)
#define CHECK_MSG(c, ...) ((void)++test_checks, (c) ? (void)0 : test_fail(__FILE__, __LINE__, __VA_ARGS__))

static inline void test_fail(const char *file, int line, const char *fmt, ...) WQ_PRINTF(3, 4);
static inline void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	test_failed++;
	va_start(ap, fmt);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static inline bool test_check(bool ok, const char *what, const char *file, int line)
{
	test_checks++;
	if (!ok) {
		test_failed++;
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	}
	return ok;
}

/* stmt must fail with a message that contains `part`. */
#define CHECK_FAILS(stmt, part) \
	do { \
		WqTry t_; \
		if (WQ_TRY(&t_)) { \
			stmt; \
			wq_try_end(&t_); \
			CHECK_MSG(false, "no error from: %s", #stmt); \
		} else { \
			CHECK_MSG(strstr(t_.err.text, part), "'%s' is not in the message: %s", part, t_.err.text); \
		} \
	} while (0)

#define CHECK_EQ(a, b) test_eq((long long)(a), (long long)(b), #a, __FILE__, __LINE__)
static inline void test_eq(long long a, long long b, const char *what, const char *file, int line)
{
	test_checks++;
	if (a != b) {
		test_failed++;
		fprintf(stderr, "%s:%d: %s is %lld (0x%llx), expected %lld (0x%llx)\n", file, line, what, a, a, b, b);
	}
}

/* As CHECK_FAILS, with the code; the statement comes last and may have commas. */
#define CHECK_ERROR(want, part, ...) \
	do { \
		WqTry t_; \
		if (WQ_TRY(&t_)) { \
			__VA_ARGS__; \
			wq_try_end(&t_); \
			CHECK_MSG(false, "no error from: %s", #__VA_ARGS__); \
		} else { \
			CHECK_MSG(t_.err.code == (want) && strstr(t_.err.text, part), "error %d, not %d with '%s': %s", t_.err.code, \
				  (int)(want), part, t_.err.text); \
		} \
	} while (0)

/* Runs fn(arena) with its first, second, ... allocation failing until none does: each run must end in WQ_ENOMEM. */
static long test_allowed;
static inline bool test_deny(size_t n) { return (void)n, test_allowed-- == 0; }
static inline bool test_starved(void (*fn)(WqArena *a), long allowed)
{
	WqArena *a = wq_arena_new();
	WqTry t;
	test_allowed = allowed;
	wq_alloc_set_deny(test_deny);
	bool ok = WQ_TRY(&t);
	if (ok) {
		fn(a);
		wq_try_end(&t);
	}
	wq_alloc_set_deny(NULL);
	CHECK_MSG(ok || t.err.code == WQ_ENOMEM, "allocation %ld: %s", allowed, t.err.text);
	wq_arena_free(a);
	return !ok;
}
static inline void test_sweep(void (*fn)(WqArena *a))
{
	long i = 0;
	while (test_starved(fn, i))
		i++;
	CHECK(i > 0);
}

/* A directory that goes when the program ends. */
static char test_tmp[64];
static inline void test_remove_tmp(void)
{
	char cmd[128];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", test_tmp);
	if (system(cmd))
		fprintf(stderr, "%s stays\n", test_tmp);
}
static inline const char *test_dir(void)
{
	const char *base = getenv("TMPDIR");
	if (!test_tmp[0]) {
		snprintf(test_tmp, sizeof test_tmp, "%.40s/wqtestXXXXXX", base ? base : P_tmpdir);
		if (!mkdtemp(test_tmp))
			abort();
		atexit(test_remove_tmp);
	}
	return test_tmp;
}

/* An error that no test expects ends the program with its message. */
static inline int test_run(const char *name, void (*fn)(void), const char *only)
{
	WqTry t;
	if (only && strcmp(only, name))
		return 0;
	int before = test_failed;
	if (WQ_TRY(&t)) {
		fn();
		wq_try_end(&t);
	} else {
		test_failed++;
		fprintf(stderr, "%s: unexpected error: %s\n", name, t.err.text);
	}
	return test_failed > before;
}

#define TEST_RUN(name) failed += test_run(#name, test_##name, argc > 1 ? argv[1] : NULL), ran++;
#define TEST_SKIP(why) (printf("SKIP: %s\n", why), exit(77))

/* TEST_MAIN(TEST_RUN(a) TEST_RUN(b) ...) */
#define TEST_MAIN(...) \
	int main(int argc, char **argv) \
	{ \
		int failed = 0, ran = 0; \
		(void)argv; \
		(void)argc; \
		__VA_ARGS__ \
		printf("%d passed, %d failed\n", ran - failed, failed); \
		return failed != 0; \
	}

#endif
