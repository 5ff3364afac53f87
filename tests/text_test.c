/* text_test: runs the cases of text files. text_test [-u] [FILE.t...]; without files, all of tests/text.
 *
 *   # run: algebra,dce            the pipeline, for all cases that follow
 *   # tol: 1e-5                   numbers may differ so much (relative); default: to the bit
 *   == title
 *   graph (x: f32[2]) { ... }
 *   --
 *   graph (x: f32[2]) { ... }     what the passes make of it; or "error: ..." with a part of the message
 *
 * Values that the passes made are called new1, new2... in the order of the text. Both graphs are also evaluated on
 * random data and must agree. -u rewrites what is expected.
 */
#include "tests/eval.h"

#include <ctype.h>
#include <glob.h>

typedef struct Suite {
	WqArena *a;
	bool update;
	int passed, failed;
} Suite;

typedef struct Case {
	const char *file, *title, *pipeline, *input, *want;
	double tol;
} Case;

static WqModule *parse(const Case *c)
{
	WqModule *m = wq_parse(c->title, c->input, strlen(c->input), (WqMapped){ 0 });
	m->fold = wq_engine_fold;
	return m;
}

static const char *evaluate(WqArena *a, const Case *c, WqModule *before, WqModule *after)
{
	WqStr why = { .a = a };
	for (uint64_t seed = 1; seed <= 3; seed++) {
		int n = before->main->outputs.n;
		WqRt **in = random_inputs(a, before, seed), **x, **y;
		drop_with(a, in, before->main->inputs.n);
		drop_with(a, x = run_graph(a, before, in, true), n);
		drop_with(a, y = run_graph(a, after, in, true), n);
		for (int i = 0; i < n && !why.n; i++)
			same_value(x[i], y[i], c->tol, &why);
	}
	return why.n ? why.s : NULL;
}

/* The text that the passes give, or "error: message"; *why is set when the numbers no longer agree. */
static const char *run(WqArena *a, const Case *c, const char **why)
{
	WqModule *volatile before = NULL, *volatile after = NULL;
	WqStr out = { .a = a };
	WqTry t;
	if (WQ_TRY(&t)) {
		WqPassLog log = { .a = a };
		before = parse(c);
		after = parse(c);
		wq_pipeline_run(after, wq_pipeline_parse(a, c->pipeline), &log);
		wq_print(after, &out, NULL, 256);
		*why = log.unsettled ? "the pipeline does not settle" : evaluate(a, c, before, after);
		wq_try_end(&t);
	} else {
		char *line = wq_strdup(a, t.err.text);
		line[strcspn(line, "\n")] = 0;
		wq_str_printf(&out, "error: %s\n", line);
	}
	wq_module_free(before);
	wq_module_free(after);
	return out.s;
}

static bool in_word(int c) { return isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-' || c == '"'; }

/* The length of a fresh name ("v17") that stands here as a word, or 0. */
static size_t fresh_name(const char *text, const char *s)
{
	size_t n = 1 + strspn(s + 1, "0123456789");
	bool word =
		*s == 'v' && n > 1 && (s == text || !in_word((unsigned char)s[-1])) && !in_word((unsigned char)s[n]);
	return word ? n : 0;
}

static bool occurs(const char *text, const char *name)
{
	for (const char *s = text; (s = strchr(s, 'v')); s++)
		if (fresh_name(text, s) == strlen(name) && !strncmp(s, name, strlen(name)))
			return true;
	return false;
}

/* Fresh names depend on how many were asked for before; the expected text must not. */
static const char *renamed(WqArena *a, const char *input, const char *text)
{
	WqStr out = { .a = a };
	WqMap *names = wq_map_new(a);
	for (const char *s = text; *s;) {
		size_t n = fresh_name(text, s);
		const char *name = n ? wq_strndup(a, s, n) : NULL;
		if (!n || occurs(input, name)) {
			n = n ? n : 1;
			wq_str_write(&out, s, n);
		} else {
			if (!wq_map_get(names, name))
				wq_map_put(names, name, wq_sprintf(a, "new%d", wq_map_len(names) + 1));
			wq_str_printf(&out, "%s", (const char *)wq_map_get(names, name));
		}
		s += n;
	}
	return out.s;
}

/* The printer starts with the module's name; cases leave it out. */
static const char *body(const char *s)
{
	return strncmp(s, "model ", 6) ? s : strchr(s, '\n') + 1;
}

static void check(Suite *s, const Case *c, WqStr *updated)
{
	const char *why = NULL, *got = renamed(s->a, c->input, body(run(s->a, c, &why)));
	bool same = !strcmp(got, c->want);
	if (why || (!same && !s->update)) {
		fprintf(stderr, "%s: %s: %s\n", c->file, c->title, why ? why : "another text");
		if (!same)
			fprintf(stderr, "--- expected\n%s--- got\n%s", c->want, got);
		s->failed++;
	} else {
		s->passed++;
	}
	wq_str_printf(updated, "%s", got);
}

static const char *line_of(WqArena *a, const char **s)
{
	size_t n = strcspn(*s, "\n");
	const char *line = wq_strndup(a, *s, n);
	*s += n + ((*s)[n] == '\n');
	return line;
}

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* Everything up to a line that starts with one of these. */
static const char *block(WqArena *a, const char **s, const char *end1, const char *end2)
{
	WqStr b = { .a = a };
	wq_str_printf(&b, "%s", "");
	while (**s && !starts(*s, end1) && !starts(*s, end2))
		wq_str_printf(&b, "%s\n", line_of(a, s));
	return b.s;
}

static char *trimmed(WqArena *a, const char *text)
{
	size_t n = strlen(text);
	while (n > 1 && text[n - 1] == '\n' && text[n - 2] == '\n')
		n--;
	return wq_strndup(a, text, n == 1 && text[0] == '\n' ? 0 : n);
}

static void run_file(Suite *s, const char *path)
{
	WqMapped f = wq_file_map(s->a, path);
	const char *at = wq_strndup(s->a, (const char *)f.p, f.n);
	WqStr out = { .a = s->a };
	Case c = { .file = path };
	while (*at) {
		const char *line = line_of(s->a, &at);
		wq_str_printf(&out, "%s\n", line);
		if (starts(line, "# run: "))
			c.pipeline = line + 7;
		else if (starts(line, "# tol: "))
			c.tol = strtod(line + 7, NULL);
		if (!starts(line, "== "))
			continue;
		c.title = line + 3;
		c.input = block(s->a, &at, "--", "== ");
		wq_str_printf(&out, "%s--\n", c.input);
		if (starts(at, "--"))
			line_of(s->a, &at);
		c.want = trimmed(s->a, block(s->a, &at, "== ", "# run: "));
		if (!c.pipeline)
			wq_fail(WQ_EINPUT, "%s: no \"# run:\" line before %s", path, c.title);
		check(s, &c, &out);
		if (*at)
			wq_str_printf(&out, "\n");
	}
	if (s->update) {
		WqFileOut *o = wq_file_create(s->a, path);
		wq_file_write(o, out.s, out.n);
		wq_file_commit(o);
	}
}

int main(int argc, char **argv)
{
	WqTry t;
	Suite s = { 0 };
	if (WQ_TRY(&t)) {
		s.a = wq_arena_new();
		int first = 1;
		if (argc > 1 && !strcmp(argv[1], "-u")) {
			s.update = true;
			first++;
		}
		for (int i = first; i < argc; i++)
			run_file(&s, argv[i]);
		glob_t g = { 0 };
		if (first == argc && !glob("tests/text/*.t", 0, NULL, &g))
			for (size_t i = 0; i < g.gl_pathc; i++)
				run_file(&s, g.gl_pathv[i]);
		globfree(&g);
		printf("%d passed, %d failed\n", s.passed, s.failed);
		wq_arena_free(s.a);
		wq_try_end(&t);
		return s.failed != 0;
	}
	fprintf(stderr, "text_test: %s\n", t.err.text);
	return 1;
}
