/* regex.c: a pattern becomes a program of sets of characters and jumps; matching follows all ways through it at once, a
 * character at a time (Thompson), so that no pattern makes it slow. Jumps are relative: a part of a program can be
 * copied (repetitions) and moved (a jump before it).
 */
#include "ir/text.h"

#include <stdlib.h>

enum { MAX_PROGRAM = 10000, MAX_REPEAT = 1000, MAX_CHAR = 0x10ffff };

enum {
	SET,    /* a character of (or, if `except`, outside) the ranges from a on, b of them */
	SPLIT,  /* to a and to b, relative */
	JUMP,   /* to a */
	AT,     /* goes on only at a place of kind a */
	MATCH,
};

typedef struct Inst {
	uint8_t op;
	bool except, fold; /* SET; fold: in either case */
	int a, b;
} Inst;

typedef struct Range {
	int32_t lo, hi;
} Range;

struct WqRegex {
	WQ_VEC(Inst) code;
	WQ_VEC(Range) range;
	/* of matching: places to go on from, those reached, and the step at which a place was met last */
	int *seed, *reached;
	int64_t *met, step;
};

typedef struct Parser {
	WqArena *a;
	WqRegex *r;
	const char *pattern;
	WqString s;
	size_t at;
	int depth;
	bool fold, dot_all, multi; /* (?i) (?s) (?m) */
} Parser;

WQ_NORETURN static void bad(const Parser *p, const char *what)
{
	wq_fail(WQ_EINPUT, "the pattern '%.200s' is wrong at %zu: %s", p->pattern, p->at, what);
}

WQ_NORETURN static void unsupported(const Parser *p, const char *what)
{
	wq_fail(WQ_EUNSUPPORTED, "the pattern '%.200s' has %s", p->pattern, what);
}

static bool more(const Parser *p) { return p->at < p->s.n; }

/* The next byte, 0 at the end: all of the syntax is ASCII. */
static char peek(const Parser *p) { return more(p) ? p->s.p[p->at] : 0; }

static bool take(Parser *p, const char *text)
{
	size_t n = strlen(text);
	if (p->s.n - p->at < n || memcmp(p->s.p + p->at, text, n))
		return false;
	p->at += n;
	return true;
}

static int32_t next_char(Parser *p)
{
	if (!more(p))
		bad(p, "it ends early");
	int32_t c = wq_utf8_next(&p->s, &p->at);
	if (c < 0)
		bad(p, "not UTF-8");
	return c;
}

/* ---- the program ------------------------------------------------------------------------------------------ */

static void emit(Parser *p, Inst i)
{
	if (p->r->code.n >= MAX_PROGRAM)
		unsupported(p, "a program of more than 10000 steps");
	WQ_PUSH(p->a, p->r->code, i);
}

static void insert(Parser *p, int at, Inst i)
{
	emit(p, i);
	Inst *v = p->r->code.v;
	memmove(v + at + 1, v + at, (size_t)(p->r->code.n - 1 - at) * sizeof *v);
	v[at] = i;
}

/* ---- sets -------------------------------------------------------------------------------------------------- */

static void add(Parser *p, int32_t lo, int32_t hi) { WQ_PUSH(p->a, p->r->range, ((Range){ lo, hi })); }

/* Pairs of characters, in order; `except`: what lies between them. */
static void add_all(Parser *p, const char *pairs, bool except)
{
	int32_t from = 0;
	for (; *pairs; pairs += 2) {
		if (!except)
			add(p, pairs[0], pairs[1]);
		else if (pairs[0] > from)
			add(p, from, pairs[0] - 1);
		from = pairs[1] + 1;
	}
	if (except)
		add(p, from, MAX_CHAR);
}

static int by_lo(const void *a, const void *b)
{
	const Range *x = a, *y = b;
	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* The set of all ranges since `from`, in order and apart from one another. */
static void emit_set(Parser *p, int from, bool except)
{
	Range *v = p->r->range.v + from;
	int n = p->r->range.n - from, k = 0;
	if (n > 1)
		qsort(v, (size_t)n, sizeof *v, by_lo);
	for (int i = 1; i < n; i++)
		if (v[i].lo > v[k].hi)
			v[++k] = v[i];
		else if (v[i].hi > v[k].hi)
			v[k].hi = v[i].hi;
	n = n ? k + 1 : 0;
	p->r->range.n = from + n;
	emit(p, (Inst){ .op = SET, .except = except, .fold = p->fold, .a = from, .b = n });
}

static void emit_char(Parser *p, int32_t c)
{
	int from = p->r->range.n;
	add(p, c, c);
	emit_set(p, from, false);
}

/* \d \w \s and their opposites; false if c is none of them */
static bool add_letter_class(Parser *p, char c)
{
	switch (c) {
	case 'd': case 'D': add_all(p, "09", c == 'D'); return true;
	case 'w': case 'W': add_all(p, "09AZ__az", c == 'W'); return true;
	case 's': case 'S': add_all(p, "\t\n\f\r  ", c == 'S'); return true;
	default: return false;
	}
}

/* [:name:] and [:^name:], behind the [: */
static void add_named_class(Parser *p)
{
	static const char *const names[][2] = { { "alnum", "09AZaz" }, { "alpha", "AZaz" }, { "ascii", "\1\x7f" },
		{ "blank", "\t\t  " }, { "cntrl", "\1\x1f\x7f\x7f" }, { "digit", "09" }, { "graph", "!~" },
		{ "lower", "az" }, { "print", " ~" }, { "punct", "!/:@[`{~" }, { "space", "\t\r  " },
		{ "upper", "AZ" }, { "word", "09AZ__az" }, { "xdigit", "09AFaf" } };
	bool except = take(p, "^");
	for (int i = 0; i < WQ_COUNTOF(names); i++) {
		char name[16];
		snprintf(name, sizeof name, "%s:]", names[i][0]);
		if (!take(p, name))
			continue;
		add_all(p, names[i][1], except);
		if (!except && (!strcmp(names[i][0], "ascii") || !strcmp(names[i][0], "cntrl")))
			add(p, 0, 0); /* which no pair can tell */
		return;
	}
	bad(p, "no such [:class:]");
}

static int32_t digits(Parser *p, int base, int at_most)
{
	int32_t v = 0;
	for (int i = 0; i < at_most; i++, p->at++) {
		static const char known[] = "0123456789abcdefABCDEF";
		const char *digit = more(p) ? memchr(known, peek(p), sizeof known - 1) : NULL;
		int d = digit ? (int)(digit - known) : base;
		d = d > 15 ? d - 6 : d;
		if (!digit || d >= base)
			break;
		v = v * base + d;
	}
	return v;
}

static int32_t hex_char(Parser *p)
{
	bool braces = take(p, "{");
	size_t from = p->at;
	int32_t c = digits(p, 16, braces ? 6 : 2);
	if (c > MAX_CHAR || p->at == from || (!braces && p->at != from + 2) || (braces && !take(p, "}")))
		bad(p, "\\x without its digits");
	return c;
}

/* The character of an escape, behind the backslash. */
static int32_t escaped_char(Parser *p)
{
	static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
	int32_t c = next_char(p);
	const char *known = c < 0x80 && c ? strchr(from, c) : NULL;
	if (known)
		return to[known - from];
	if (c == 'x')
		return hex_char(p);
	if (c >= '0' && c <= '9') {
		p->at--;
		if (c > '7' || (c != '0' && (p->s.n - p->at < 2 || (p->s.p[p->at + 1] & ~7) != '0')))
			unsupported(p, "a backreference");
		return digits(p, 8, 3);
	}
	if (c == 'p' || c == 'P')
		unsupported(p, "a class by Unicode property (\\p)");
	if (c == 'C')
		unsupported(p, "a single byte (\\C)");
	if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		bad(p, "no such escape");
	return c;
}

static int32_t class_char(Parser *p)
{
	int32_t c = next_char(p);
	return c == '\\' ? escaped_char(p) : c;
}

/* Behind the [ */
static void bracket(Parser *p)
{
	int from = p->r->range.n;
	bool except = take(p, "^");
	for (bool first = true; first || peek(p) != ']'; first = false) {
		if (take(p, "[:")) {
			add_named_class(p);
			continue;
		}
		if (peek(p) == '\\' && p->s.n - p->at > 1 && add_letter_class(p, p->s.p[p->at + 1])) {
			p->at += 2;
			continue;
		}
		int32_t lo = class_char(p), hi = lo;
		if (peek(p) == '-' && p->s.n - p->at > 1 && p->s.p[p->at + 1] != ']') {
			p->at++;
			hi = class_char(p);
		}
		if (hi < lo)
			bad(p, "a range that ends before it begins");
		add(p, lo, hi);
	}
	p->at++;
	emit_set(p, from, except);
}

/* ---- syntax ------------------------------------------------------------------------------------------------ */

static void alternatives(Parser *p);

/* (?imsU-imsU) and (?imsU-imsU: behind the question mark; true: a group follows */
static bool flags(Parser *p)
{
	for (bool on = true;;) {
		int32_t c = next_char(p);
		switch (c) {
		case 'i': p->fold = on; break;
		case 's': p->dot_all = on; break;
		case 'm': p->multi = on; break;
		case 'U': break; /* which of several matches is no matter */
		case '-': on = false; break;
		case ':': return true;
		case ')': return false;
		case '=': case '!': unsupported(p, "a lookahead");
		default: bad(p, "no such group");
		}
	}
}

static void group_name(Parser *p)
{
	size_t from = p->at;
	while (more(p) && peek(p) != '>')
		p->at++;
	if (p->at == from || !take(p, ">"))
		bad(p, "a group's name without its end");
}

/* Behind the (; false: it only set flags, which hold to the end of the group around it. */
static bool group(Parser *p)
{
	bool fold = p->fold, dot_all = p->dot_all, multi = p->multi;
	if (take(p, "?<=") || take(p, "?<!"))
		unsupported(p, "a lookbehind");
	if (take(p, "?P=") || take(p, "?P>"))
		unsupported(p, "a backreference");
	if (take(p, "?P<") || take(p, "?<"))
		group_name(p);
	else if (take(p, "?") && !flags(p))
		return false;
	if (++p->depth > WQ_MAX_DEPTH)
		unsupported(p, "more than 100 groups inside of one another");
	alternatives(p);
	if (!take(p, ")"))
		bad(p, "a group without its end");
	p->depth--;
	p->fold = fold;
	p->dot_all = dot_all;
	p->multi = multi;
	return true;
}

static void quoted(Parser *p)
{
	while (more(p) && !take(p, "\\E"))
		emit_char(p, next_char(p));
}

/* Behind the backslash; false: nothing that can be repeated. */
static bool escape(Parser *p)
{
	int from = p->r->range.n;
	char c = peek(p);
	if (c == 'Q') {
		p->at++;
		quoted(p);
		return false;
	}
	if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
		p->at++;
		emit(p, (Inst){ .op = AT, .a = c });
	} else if (add_letter_class(p, c)) {
		p->at++;
		emit_set(p, from, false);
	} else {
		emit_char(p, escaped_char(p));
	}
	return true;
}

static bool atom(Parser *p)
{
	int32_t c = next_char(p);
	int from = p->r->range.n;
	switch (c) {
	case '(': return group(p);
	case '[': bracket(p); return true;
	case '\\': return escape(p);
	case '^': emit(p, (Inst){ .op = AT, .a = p->multi ? '^' : 'A' }); return true;
	case '$': emit(p, (Inst){ .op = AT, .a = p->multi ? '$' : 'z' }); return true;
	case '*': case '+': case '?': bad(p, "nothing to repeat");
	case '.':
		if (!p->dot_all)
			add(p, '\n', '\n');
		emit_set(p, from, true);
		return true;
	default: emit_char(p, c); return true;
	}
}

/* {n} {n,} {n,m}: most -1 for no limit; false if it is only text */
static bool counts(Parser *p, int *least, int *most)
{
	size_t from = p->at;
	if (!take(p, "{"))
		return false;
	size_t first = p->at;
	*least = *most = digits(p, 10, 5);
	bool ok = p->at > first;
	if (ok && take(p, ",")) {
		first = p->at;
		*most = digits(p, 10, 5);
		if (p->at == first)
			*most = -1;
	}
	if (!ok || !take(p, "}")) {
		p->at = from;
		return false;
	}
	if (*least > MAX_REPEAT || *most > MAX_REPEAT || (*most >= 0 && *most < *least))
		bad(p, "{n,m} out of order, or more than 1000");
	return true;
}

/* * + ? and {}; false if nothing of that kind follows */
static bool repetition(Parser *p, int *least, int *most)
{
	if (take(p, "*"))
		return *least = 0, *most = -1, true;
	if (take(p, "+"))
		return *least = 1, *most = -1, true;
	if (take(p, "?"))
		return *least = 0, *most = 1, true;
	return counts(p, least, most);
}

static void emit_copy(Parser *p, const Inst *v, int n)
{
	for (int i = 0; i < n; i++)
		emit(p, v[i]);
}

/* The program from `from` on, again and again. */
static void repeat(Parser *p, int from, int least, int most)
{
	int n = p->r->code.n - from;
	Inst *part = WQ_NEW_N(p->a, Inst, n);
	if (n)
		memcpy(part, p->r->code.v + from, (size_t)n * sizeof *part);
	p->r->code.n = from;
	for (int i = 0; i < least; i++)
		emit_copy(p, part, n);
	if (most < 0 && least > 0) {
		emit(p, (Inst){ .op = SPLIT, .a = -n, .b = 1 });
	} else if (most < 0) {
		emit(p, (Inst){ .op = SPLIT, .a = 1, .b = n + 2 });
		emit_copy(p, part, n);
		emit(p, (Inst){ .op = JUMP, .a = -n - 1 });
	}
	for (int left = most - least; left > 0; left--) {
		emit(p, (Inst){ .op = SPLIT, .a = 1, .b = left * (n + 1) });
		emit_copy(p, part, n);
	}
}

static void sequence(Parser *p)
{
	while (more(p) && peek(p) != '|' && peek(p) != ')') {
		int from = p->r->code.n, least, most;
		bool repeats = atom(p);
		if (!repetition(p, &least, &most))
			continue;
		take(p, "?"); /* the shortest: no matter */
		int again[2];
		if (!repeats || repetition(p, &again[0], &again[1]))
			bad(p, "nothing to repeat");
		repeat(p, from, least, most);
	}
}

/* Each but the last: split(it, the next) it jump(end). Jumps to the end are chained until it is known. */
static void alternatives(Parser *p)
{
	int chain = -1, from = p->r->code.n;
	sequence(p);
	while (take(p, "|")) {
		insert(p, from, (Inst){ .op = SPLIT, .a = 1, .b = p->r->code.n - from + 2 });
		emit(p, (Inst){ .op = JUMP, .a = chain });
		chain = p->r->code.n - 1;
		from = p->r->code.n;
		sequence(p);
	}
	while (chain >= 0) {
		int before = p->r->code.v[chain].a;
		p->r->code.v[chain].a = p->r->code.n - chain;
		chain = before;
	}
}

WqRegex *wq_regex_new(WqArena *a, const char *pattern)
{
	WqRegex *r = WQ_NEW(a, WqRegex);
	Parser p = { .a = a, .r = r, .pattern = pattern, .s = { pattern, strlen(pattern) } };
	alternatives(&p);
	if (more(&p))
		bad(&p, "a ) without its group");
	WQ_PUSH(a, r->code, ((Inst){ .op = MATCH }));
	r->seed = WQ_NEW_N(a, int, r->code.n);
	r->reached = WQ_NEW_N(a, int, r->code.n);
	r->met = WQ_NEW_N(a, int64_t, r->code.n);
	return r;
}

/* ---- matching ---------------------------------------------------------------------------------------------- */

static bool in_ranges(const Range *v, int n, int32_t c)
{
	int lo = 0, hi = n;
	while (lo < hi) {
		int mid = (lo + hi) / 2;
		if (c > v[mid].hi)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && c >= v[lo].lo;
}

static bool in_set(const WqRegex *r, const Inst *i, int32_t c)
{
	const Range *v = r->range.v + i->a;
	bool in = in_ranges(v, i->b, c);
	if (!in && i->fold)
		in = in_ranges(v, i->b, wq_char_lower(c)) || in_ranges(v, i->b, wq_char_upper(c));
	return in != i->except;
}

static bool is_word(int32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* Is the place between these two characters (-1: none) of this kind? */
static bool at_place(int kind, int32_t before, int32_t after)
{
	switch (kind) {
	case 'A': return before < 0;
	case 'z': return after < 0;
	case '^': return before < 0 || before == '\n';
	case '$': return after < 0 || after == '\n';
	default: return (is_word(before) != is_word(after)) == (kind == 'b');
	}
}

/* Every place is a seed once at most, so that they all fit. */
static void meet(WqRegex *r, int *n_seed, int at)
{
	if (r->met[at] == r->step)
		return;
	r->met[at] = r->step;
	r->seed[(*n_seed)++] = at;
}

/* From the seeds over everything that takes no character: to the sets, which are told, or the end of the program,
 * which is the result. */
static bool follow(WqRegex *r, int n_seed, int32_t before, int32_t after, int *n_reached)
{
	bool matches = false;
	*n_reached = 0;
	while (n_seed > 0) {
		int at = r->seed[--n_seed];
		const Inst *i = &r->code.v[at];
		switch (i->op) {
		case SET: r->reached[(*n_reached)++] = at; break;
		case MATCH: matches = true; break;
		case JUMP: meet(r, &n_seed, at + i->a); break;
		case AT:
			if (at_place(i->a, before, after))
				meet(r, &n_seed, at + 1);
			break;
		default:
			meet(r, &n_seed, at + i->a);
			meet(r, &n_seed, at + i->b);
		}
	}
	return matches;
}

bool wq_regex_full_match(WqRegex *r, const WqString *s)
{
	int n_seed = 0, n_reached;
	int32_t before = -1;
	size_t at = 0;
	r->step++;
	meet(r, &n_seed, 0);
	for (;;) {
		bool end = at >= s->n;
		int32_t after = end ? -1 : wq_utf8_next(s, &at);
		bool matches = follow(r, n_seed, before, after, &n_reached);
		if (end || after < 0 || n_reached == 0)
			return end && matches;
		n_seed = 0;
		r->step++;
		for (int k = 0; k < n_reached; k++)
			if (in_set(r, &r->code.v[r->reached[k]], after))
				meet(r, &n_seed, r->reached[k] + 1);
		before = after;
	}
}
