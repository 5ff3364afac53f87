/* string_test: operators on strings where they are not as ONNX's own cases have them: text that is not UTF-8,
 * whitespace and letters beyond ASCII, regular expressions by syntax, patterns that other matchers hang on. */
#include "engine/engine.h"
#include "ir/text.h"
#include "tests/test.h"

/* ---- regular expressions ------------------------------------------------------------------------------ */

static bool matches(const char *pattern, const char *text, size_t n)
{
	WqArena *a = wq_arena_new();
	bool yes = wq_regex_full_match(wq_regex_new(a, pattern), &(WqString){ text, n });
	wq_arena_free(a);
	return yes;
}

#define YES(pattern, text) CHECK(matches(pattern, text, strlen(text)))
#define NO(pattern, text) CHECK(!matches(pattern, text, strlen(text)))

TEST(sets)
{
	YES("[a-c]+", "abc");
	NO("[^a-c]", "b");
	YES("[]a]+", "]a");
	YES("[a-]+", "-a");
	YES("[\\d\\-x]+", "3-x");
	YES("[^\\D]", "7");
	YES("[[:alpha:][:digit:]]+", "a7Z");
	NO("[[:^alpha:]]", "a");
	YES("\\w+\\s\\W", "a_9\t-");
	YES("\\x41\\x{1F600}\\101", "A\xf0\x9f\x98\x80" "A");
	YES(".", "\xc3\xa9");
	NO(".", "\n");
	YES("(?s).", "\n");
	YES("[^a]", "\n");
}

TEST(groups_and_repetitions)
{
	YES("(a|bc|)d", "bcd");
	YES("(a|bc|)d", "d");
	YES("(?:ab){2,3}", "ababab");
	NO("(?:ab){2,3}", "abababab");
	YES("a{2,}?", "aaaa");
	YES("a{,2}", "a{,2}");
	YES("(?P<year>\\d{4})-(?<month>\\d\\d)", "2024-02");
	YES("(?i)stra(?-i:S)E", "STRASe");
	NO("(?i)stra(?-i:S)E", "strase");
	YES("(?i:\xc3\x89)a", "\xc3\xa9" "a"); /* E with an acute accent */
	NO("(?i:b)a", "BA");
	YES("\\Qa.b\\E.", "a.bc");
	YES("\\Aa\\b  \\bb\\z$", "a  b");
	NO("a\\Bb", "a b");
	YES("(?m)a$\\n^b", "a\nb");
	NO("a$\\n^b", "a\nb");
	YES("", "");
	YES("(|a)*(b*)*", "aab");
}

TEST(wrong_patterns)
{
	WqArena *a = wq_arena_new();
	static const char *const wrong[] = { "(", ")", "a)", "[a", "*", "a**", "a{2}{3}", "\\", "(?<>a)", "[b-a]", "a{3,2}",
		"a{1001}", "\\y", "\\x{110000}", "\\xg", "(?z)", "[[:no:]]", "\xff" };
	for (int i = 0; i < WQ_COUNTOF(wrong); i++)
		CHECK_ERROR(WQ_EINPUT, "is wrong at", wq_regex_new(a, wrong[i]));
	static const char *const not_here[][2] = { { "(?=a)", "lookahead" }, { "(?<!a)", "lookbehind" },
		{ "(a)\\1", "backreference" }, { "\\p{Greek}", "\\p" }, { "\\C", "single byte" },
		{ "((((a{100}){100}){100}){100})", "10000 steps" } };
	for (int i = 0; i < WQ_COUNTOF(not_here); i++)
		CHECK_ERROR(WQ_EUNSUPPORTED, not_here[i][1], wq_regex_new(a, not_here[i][0]));
	char deep[2001];
	memset(deep, '(', 2000);
	deep[2000] = 0;
	CHECK_ERROR(WQ_EUNSUPPORTED, "inside of one another", wq_regex_new(a, deep));
	wq_arena_free(a);
}

/* Exponential for whoever tries one way after the other. */
TEST(hostile_patterns)
{
	char text[4096];
	memset(text, 'a', sizeof text);
	text[sizeof text - 1] = 'b';
	CHECK(!matches("(a*)*", text, sizeof text));
	CHECK(!matches("(a|a|a?)+", text, sizeof text));
	CHECK(!matches("((a*)*)*", text, sizeof text));
	CHECK(!matches("(a?){999}a{999}", text, sizeof text));
	CHECK(matches("(x+x+)+y|a{1000}(a|b)*", text, sizeof text));
	CHECK(!matches("((((){1000}){1000}){1000})*", text, sizeof text));
}

TEST(text_that_is_not_utf8)
{
	CHECK(!matches("(?s).*", "\xff", 1));
	CHECK(!matches("(?s).*", "\xc3", 1));
	CHECK(matches("a.b", "a\0b", 3));
}

static void compile(WqArena *a) { wq_regex_new(a, "(a|[b-z]*){2}?c{3,5}|(?i:x)+"); }

TEST(without_memory) { test_sweep(compile); }

/* ---- operators ------------------------------------------------------------------------------------------ */

typedef struct Run {
	WqModule *m;
	WqEngine *e;
	WqRt *out[2];
} Run;

/* Of the one operator of this text on strings a and, where it takes two, b. */
static Run run(const char *text, int n, const WqString *a, const WqString *b)
{
	Run r = { .m = wq_parse("test", text, strlen(text), (WqMapped){ 0 }) };
	WqTensor x = { .dtype = WQ_STR, .rank = 1, .dim = { n }, .data = (void *)(uintptr_t)a }, y = x;
	y.data = (void *)(uintptr_t)b;
	WqRt *in[] = { wq_rt_borrow(&x), wq_rt_borrow(&y) };
	r.e = wq_engine_new(r.m, &(WqEngineOptions){ .threads = 1 });
	wq_engine_run(r.e, in, r.out);
	wq_rt_unref(in[0]);
	wq_rt_unref(in[1]);
	return r;
}

static void drop(Run *r)
{
	wq_rt_unref(r->out[0]);
	wq_rt_unref(r->out[1]);
	wq_engine_free(r->e);
	wq_module_free(r->m);
}

static void check_strings(const WqRt *v, int n, const char *const *want)
{
	CHECK_EQ(wq_tensor_count(&v->t), n);
	const WqString *s = v->t.data;
	for (int i = 0; i < n && wq_tensor_count(&v->t) == n; i++)
		CHECK_MSG(s[i].n == strlen(want[i]) && !memcmp(s[i].p, want[i], s[i].n), "string %d is '%.*s', not '%s'",
			i, (int)s[i].n, s[i].p, want[i]);
}

TEST(concat_of_nothing)
{
	Run r = run("graph (x: str[2], y: str[2]) {\n  z: str[2] = StringConcat(x, y)\n  return z\n}\n", 2,
		(WqString[]){ { NULL, 0 }, { "a\xff", 2 } }, (WqString[]){ { NULL, 0 }, { NULL, 0 } });
	check_strings(r.out[0], 2, (const char *[]){ "", "a\xff" });
	drop(&r);
}

/* U+3000 separates; half a character is a character of its own. */
TEST(split_at_whitespace)
{
	Run r = run("graph (x: str[3]) {\n  y: str[3,u0], n: i64[3] = StringSplit(x) <maxsplit=1>\n  return y, n\n}\n", 3,
		(WqString[]){ { "\xe3\x80\x80" "a\xe3\x80\x80 b c ", 12 }, { " \t", 2 }, { "\xe3\x80", 2 } }, NULL);
	check_strings(r.out[0], 6, (const char *[]){ "a", "b c ", "", "", "\xe3\x80", "" });
	const int64_t *n = r.out[1]->t.data;
	CHECK(n[0] == 2 && n[1] == 0 && n[2] == 1);
	drop(&r);
}

TEST(split_at_text)
{
	Run r = run("graph (x: str[4]) {\n  y: str[4,u0], n: i64[4] = StringSplit(x) <delimiter=\"ab\">\n"
		"  return y, n\n}\n", 4, (WqString[]){ { "ab", 2 }, { "aab", 3 }, { NULL, 0 }, { "xaba", 4 } }, NULL);
	check_strings(r.out[0], 8, (const char *[]){ "", "", "a", "", "", "", "x", "a" });
	const int64_t *n = r.out[1]->t.data;
	CHECK(n[0] == 2 && n[1] == 2 && n[2] == 1 && n[3] == 2);
	drop(&r);
}

/* One letter for one, in any language and at any place of a word; what is no letter or not UTF-8 stays. Lengths in
 * bytes may change: U+023A has three bytes in lower case. */
TEST(cases)
{
	WqString x[] = { { "a\xc3\xa9\xff" "z\xc3", 6 }, { "\xc3\x9f", 2 }, { "\xd0\x96\xce\xa3", 4 }, { "\xc8\xba", 2 } };
	Run r = run("graph (x: str[4]) {\n  y: str[4] = StringCase(x) <to=\"upper\">\n  return y\n}\n", 4, x, NULL);
	check_strings(r.out[0], 4, (const char *[]){ "A\xc3\x89\xff" "Z\xc3", "\xc3\x9f", "\xd0\x96\xce\xa3", "\xc8\xba" });
	drop(&r);
	r = run("graph (x: str[4]) {\n  y: str[4] = StringCase(x) <to=\"lower\">\n  return y\n}\n", 4, x, NULL);
	check_strings(r.out[0], 4,
		(const char *[]){ "a\xc3\xa9\xff" "z\xc3", "\xc3\x9f", "\xd0\xb6\xcf\x83", "\xe2\xb1\xa5" });
	drop(&r);
}

TEST(patterns_are_read_early)
{
	const char *text = "graph (x: str[4]) {\n  y: bool[4] = RegexFullMatch(x) <pattern=\"a(\">\n  return y\n}\n";
	CHECK_FAILS(wq_parse("test", text, strlen(text), (WqMapped){ 0 }), "the pattern 'a(' is wrong");
}

TEST_MAIN(TEST_RUN(sets) TEST_RUN(groups_and_repetitions) TEST_RUN(wrong_patterns) TEST_RUN(hostile_patterns)
	TEST_RUN(text_that_is_not_utf8) TEST_RUN(without_memory) TEST_RUN(concat_of_nothing) TEST_RUN(split_at_whitespace)
	TEST_RUN(split_at_text) TEST_RUN(cases) TEST_RUN(patterns_are_read_early))
