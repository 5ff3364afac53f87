/* eval_string.c: strings. New ones live in the module's arena: moved on by other operators, they last as long as any
 * value can. */
#include "engine/ew.h"
#include "ir/text.h"

/* What folding makes of constants stays small. */
enum { MOST_FOLDED = 64 << 10 };

static char *room(const WqCall *c, size_t n)
{
	if (!c->e && n > MOST_FOLDED)
		wq_call_fail(c, "too long to be computed before it is needed");
	return wq_alloc(c->node->graph->mod->arena, n);
}

/* ---- StringConcat ----------------------------------------------------------------------------------------- */

typedef struct Join {
	const WqString *a, *b;
	WqString *o;
	int64_t sa, sb;
	char *to; /* NULL: lengths are being added up */
	size_t bytes;
} Join;

static void put(char **to, const WqString *s)
{
	if (s->n)
		memcpy(*to, s->p, s->n);
	*to += s->n;
}

static void join_row(void *arg, const int64_t *off, int64_t at, int64_t n)
{
	Join *j = arg;
	for (int64_t i = 0; i < n; i++) {
		const WqString *a = j->a + off[0] + i * j->sa, *b = j->b + off[1] + i * j->sb;
		if (!j->to) {
			j->bytes = (size_t)wq_add_checked((int64_t)j->bytes, (int64_t)(a->n + b->n), "the strings");
			continue;
		}
		j->o[at + i] = (WqString){ j->to, a->n + b->n };
		put(&j->to, a);
		put(&j->to, b);
	}
}

void eval_string_concat(WqCall *c)
{
	EwPlan p;
	ew_plan(&p, &c->out[0], 2, c->in);
	/* the result may stand in an operand's memory */
	WqString *o = wq_alloc_n(c->tmp, (size_t)p.count, sizeof *o);
	Join j = { .a = c->in[0]->data, .b = c->in[1]->data, .o = o, .sa = ew_moves(&p, 0), .sb = ew_moves(&p, 1) };
	ew_walk(&p, 0, p.count, join_row, &j);
	j.to = room(c, j.bytes + 1);
	ew_walk(&p, 0, p.count, join_row, &j);
	if (p.count)
		memcpy(c->out[0].data, o, (size_t)p.count * sizeof *o);
}

/* ---- StringSplit ------------------------------------------------------------------------------------------ */

typedef struct Splitter {
	WqString delimiter; /* empty: whitespace */
	int64_t most;       /* splits; negative: any number */
} Splitter;

/* The first character from `at` on that is whitespace (or is not); the end if there is none. *after: behind it. */
static size_t find_space(const WqString *s, size_t at, bool space, size_t *after)
{
	while (at < s->n) {
		size_t here = at;
		int32_t ch = wq_utf8_next(s, &at);
		if (ch < 0)
			at = here + 1;
		*after = at;
		if ((ch >= 0 && wq_char_is_space(ch)) == space)
			return here;
	}
	*after = s->n;
	return s->n;
}

/* Runs of whitespace separate, and lead to nothing at both ends. The last split leaves the rest as it is. */
static int64_t split_space(const Splitter *k, const WqString *s, WqString *o)
{
	int64_t n = 0;
	size_t after, at = find_space(s, 0, false, &after);
	while (at < s->n) {
		size_t end = k->most >= 0 && n == k->most ? s->n : find_space(s, after, true, &after);
		if (o)
			o[n] = (WqString){ s->p + at, end - at };
		n++;
		at = find_space(s, end, false, &after);
	}
	return n;
}

/* The first delimiter from `at` on; the end if there is none. */
static size_t find_text(const WqString *s, size_t at, const WqString *delimiter)
{
	for (; s->n - at >= delimiter->n; at++) {
		const char *first = memchr(s->p + at, delimiter->p[0], s->n - at - delimiter->n + 1);
		if (!first)
			break;
		at = (size_t)(first - s->p);
		if (!memcmp(first, delimiter->p, delimiter->n))
			return at;
	}
	return s->n;
}

static int64_t split_text(const Splitter *k, const WqString *s, WqString *o)
{
	int64_t n = 0;
	for (size_t at = 0;; n++) {
		size_t end = k->most >= 0 && n == k->most ? s->n : find_text(s, at, &k->delimiter);
		if (o)
			o[n] = (WqString){ s->n ? s->p + at : "", end - at };
		if (end == s->n)
			return n + 1;
		at = end + k->delimiter.n;
	}
}

/* Views of the string's bytes; o NULL: only their number. */
static int64_t split(const Splitter *k, const WqString *s, WqString *o)
{
	return k->delimiter.n ? split_text(k, s, o) : split_space(k, s, o);
}

void eval_string_split(WqCall *c)
{
	const WqTensor *x = c->in[0];
	const WqString *s = x->data;
	const char *delimiter = wq_attr_s(c->node, "delimiter");
	Splitter k = { { delimiter, strlen(delimiter) }, wq_attr_i(c->node, "maxsplit") };
	int64_t count = wq_tensor_count(x), most = 0, dim[WQ_MAX_RANK];
	for (int64_t i = 0; i < count; i++) {
		int64_t n = split(&k, &s[i], NULL);
		most = n > most ? n : most;
		if (c->n_out > 1 && c->out[1].data)
			((int64_t *)c->out[1].data)[i] = n;
	}
	memcpy(dim, x->dim, sizeof dim);
	dim[x->rank] = most;
	wq_call_alloc(c, 0, WQ_STR, x->rank + 1, dim);
	WqString *o = c->out[0].data;
	for (int64_t i = 0; i < count; i++, o += most)
		for (int64_t n = split(&k, &s[i], o); n < most; n++)
			o[n] = (WqString){ "", 0 };
}

/* ---- StringCase -------------------------------------------------------------------------------------------- */

/* Bytes that are not UTF-8 stay. A character may grow by a byte or two: out NULL is for measuring. */
static size_t to_case(const WqString *s, bool upper, char *out)
{
	size_t n = 0;
	for (size_t at = 0; at < s->n;) {
		char ch[4];
		size_t here = at, bytes = 1;
		int32_t c = wq_utf8_next(s, &at);
		if (c < 0) {
			ch[0] = s->p[here];
			at = here + 1;
		} else {
			bytes = wq_utf8_put(ch, (uint32_t)(upper ? wq_char_upper(c) : wq_char_lower(c)));
		}
		if (out)
			memcpy(out + n, ch, bytes);
		n += bytes;
	}
	return n;
}

void eval_string_case(WqCall *c)
{
	const WqString *s = c->in[0]->data;
	WqString *o = c->out[0].data;
	bool upper = !strcmp(wq_attr_s(c->node, "to"), "upper");
	int64_t count = wq_tensor_count(c->in[0]);
	size_t bytes = 0;
	for (int64_t i = 0; i < count; i++)
		bytes += to_case(&s[i], upper, NULL);
	char *to = room(c, bytes + 1);
	for (int64_t i = 0; i < count; i++) {
		size_t n = to_case(&s[i], upper, to);
		o[i] = (WqString){ to, n };
		to += n;
	}
}

/* ---- RegexFullMatch ------------------------------------------------------------------------------------------ */

void eval_regex_full_match(WqCall *c)
{
	WqRegex *r = wq_regex_new(c->tmp, wq_attr_s(c->node, "pattern"));
	const WqString *s = c->in[0]->data;
	bool *o = c->out[0].data;
	for (int64_t i = 0, count = wq_tensor_count(c->in[0]); i < count; i++)
		o[i] = wq_regex_full_match(r, &s[i]);
}
