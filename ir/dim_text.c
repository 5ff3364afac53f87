/* dim_text.c: dimension expressions as text: 3, N, past+1, 4*T, div(T+1,2), mod(a,b), min(a,b), max(a,b), bcast(a,b).
 * A symbol that is not an identifier stands in double quotes. */
#include "ir/ir.h"

#include <ctype.h>
#include <stdlib.h>

static bool ident(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	while (isalnum((unsigned char)*s) || *s == '_' || *s == '.')
		s++;
	return !*s;
}

static void print_sym(const char *s, WqStr *out)
{
	if (ident(s)) {
		wq_str_printf(out, "%s", s);
		return;
	}
	wq_str_printf(out, "\"");
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			wq_str_printf(out, "\\%c", *s);
		else if ((unsigned char)*s < 32)
			wq_str_printf(out, "\\x%02x", (unsigned char)*s);
		else
			wq_str_printf(out, "%c", *s);
	wq_str_printf(out, "\"");
}

/* Terms and factors are printed in the order of their text, so that the text does not depend on how the module grew. */
typedef struct Piece {
	int n; /* factors */
	int64_t coef;
	const char *text;
} Piece;

static const char *dim_text(const WqModule *m, WqDim d, WqArena *a)
{
	WqStr s = { .a = a };
	wq_dim_print(m, d, &s);
	return s.s;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int by_term(const void *a, const void *b)
{
	const Piece *x = a, *y = b;
	return x->n != y->n ? y->n - x->n : strcmp(x->text, y->text);
}

static void print_terms(const WqModule *m, WqDim d, WqStr *out)
{
	int n = wq_dim_num_terms(m, d);
	Piece *p = WQ_NEW_N(out->a, Piece, n);
	for (int i = 0; i < n; i++) {
		WqDim atom[8];
		const char *text[8] = { 0 };
		WqStr s = { .a = out->a };
		p[i].n = wq_dim_term(m, d, i, &p[i].coef, atom);
		for (int j = 0; j < p[i].n; j++)
			text[j] = dim_text(m, atom[j], out->a);
		qsort(text, (size_t)p[i].n, sizeof *text, by_text);
		for (int j = 0; j < p[i].n; j++)
			wq_str_printf(&s, j ? "*%s" : "%s", text[j]);
		p[i].text = s.s ? s.s : "";
	}
	qsort(p, (size_t)n, sizeof *p, by_term);
	for (int i = 0; i < n; i++) {
		int64_t mag = p[i].coef < 0 ? -p[i].coef : p[i].coef;
		if (p[i].coef < 0 || i > 0)
			wq_str_printf(out, p[i].coef < 0 ? "-" : "+");
		if (mag != 1 || p[i].n == 0)
			wq_str_printf(out, p[i].n ? "%lld*" : "%lld", (long long)mag);
		wq_str_printf(out, "%s", p[i].text);
	}
}

void wq_dim_print(const WqModule *m, WqDim d, WqStr *out)
{
	int sym;
	WqDim a, b;
	const char *fn;
	if (d == WQ_DIM_UNKNOWN) {
		wq_str_printf(out, "?");
	} else if (d >= 0) {
		wq_str_printf(out, "%lld", (long long)d);
	} else if (wq_dim_is_sym(m, d, &sym)) {
		print_sym(wq_dim_sym_name(m, sym), out);
	} else if ((fn = wq_dim_call(m, d, &a, &b))) {
		const char *t[2] = { dim_text(m, a, out->a), dim_text(m, b, out->a) };
		if (strcmp(fn, "div") && strcmp(fn, "mod")) /* the others commute */
			qsort(t, 2, sizeof *t, by_text);
		wq_str_printf(out, "%s(%s,%s)", fn, t[0], t[1]);
	} else {
		print_terms(m, d, out);
	}
}

/* ---- parsing ---------------------------------------------------------------------------------- */

typedef struct Parser {
	WqModule *m;
	const char *s;
	int depth;
} Parser;

static WqDim sum(Parser *p);

static void skip(Parser *p)
{
	while (*p->s == ' ')
		p->s++;
}

static bool eat(Parser *p, char c)
{
	skip(p);
	if (*p->s != c)
		return false;
	p->s++;
	return true;
}

WQ_NORETURN static void bad(Parser *p) { wq_fail(WQ_EINPUT, "not a dimension: '%.40s'", p->s); }

static WqDim call(Parser *p, const char *name, size_t n)
{
	static const struct {
		const char *name;
		WqDim (*fn)(WqModule *, WqDim, WqDim);
	} fns[] = { { "div", wq_dim_floordiv },
		    { "mod", wq_dim_mod },
		    { "min", wq_dim_min },
		    { "max", wq_dim_max },
		    { "bcast", wq_dim_bcast },
		    /* exporters' spellings */
		    { "FloorDiv", wq_dim_floordiv },
		    { "Mod", wq_dim_mod },
		    { "Min", wq_dim_min },
		    { "Max", wq_dim_max } };
	if (n == 5 && !memcmp(name, "floor", n)) { /* of a division, which is floored already */
		WqDim d = sum(p);
		if (!eat(p, ')'))
			bad(p);
		return d;
	}
	for (int i = 0; i < WQ_COUNTOF(fns); i++) {
		if (strlen(fns[i].name) != n || memcmp(fns[i].name, name, n))
			continue;
		WqDim a = sum(p);
		if (!eat(p, ','))
			bad(p);
		WqDim b = sum(p);
		if (!eat(p, ')'))
			bad(p);
		return fns[i].fn(p->m, a, b);
	}
	bad(p);
}

static WqDim quoted(Parser *p)
{
	WqStr name = { .a = p->m->arena };
	for (p->s++; *p->s && *p->s != '"'; p->s++) {
		char c = *p->s;
		if (c == '\\' && p->s[1] == 'x' && isxdigit((unsigned char)p->s[2]) && isxdigit((unsigned char)p->s[3])) {
			char hex[3] = { p->s[2], p->s[3], 0 };
			c = (char)strtol(hex, NULL, 16);
			p->s += 3;
		} else if (c == '\\' && p->s[1]) {
			c = *++p->s;
		}
		wq_str_write(&name, &c, 1);
	}
	if (!eat(p, '"') || !name.n || strlen(name.s) != name.n)
		bad(p);
	return wq_dim_sym(p->m, name.s);
}

static WqDim factor(Parser *p)
{
	skip(p);
	if (++p->depth > WQ_MAX_DEPTH)
		bad(p);
	WqDim d;
	const char *start = p->s;
	if (isdigit((unsigned char)*p->s)) {
		int64_t v = 0;
		for (; isdigit((unsigned char)*p->s); p->s++)
			if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p->s - '0', &v) || v >= WQ_DIM_INF)
				bad(p);
		d = v;
	} else if (*p->s == '"') {
		d = quoted(p);
	} else if (isalpha((unsigned char)*p->s) || *p->s == '_') {
		while (isalnum((unsigned char)*p->s) || *p->s == '_' || *p->s == '.')
			p->s++;
		size_t n = (size_t)(p->s - start);
		d = eat(p, '(') ? call(p, start, n) : wq_dim_sym(p->m, wq_strndup(p->m->arena, start, n));
	} else if (eat(p, '(')) {
		d = sum(p);
		if (!eat(p, ')'))
			bad(p);
	} else {
		bad(p);
	}
	p->depth--;
	return d;
}

static WqDim product(Parser *p)
{
	WqDim d = factor(p);
	for (;;) {
		if (eat(p, '*')) {
			d = wq_dim_mul(p->m, d, factor(p));
		} else if (eat(p, '/')) { /* exporters write / and // */
			eat(p, '/');
			d = wq_dim_floordiv(p->m, d, factor(p));
		} else if (eat(p, '%')) {
			d = wq_dim_mod(p->m, d, factor(p));
		} else {
			return d;
		}
	}
}

static WqDim sum(Parser *p)
{
	WqDim d = eat(p, '-') ? wq_dim_sub(p->m, 0, product(p)) : product(p);
	for (;;) {
		if (eat(p, '+'))
			d = wq_dim_add(p->m, d, product(p));
		else if (eat(p, '-'))
			d = wq_dim_sub(p->m, d, product(p));
		else
			return d;
	}
}

WqDim wq_dim_parse(WqModule *m, const char *s, const char **end)
{
	Parser p = { m, s, 0 };
	WqDim d = sum(&p);
	skip(&p);
	if (d == WQ_DIM_UNKNOWN)
		wq_fail(WQ_EINPUT, "the dimension '%.40s' is too complicated", s);
	if (end)
		*end = p.s;
	else if (*p.s)
		bad(&p);
	return d;
}
