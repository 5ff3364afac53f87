/* text.h: UTF-8, letters, regular expressions: what operators on strings share. */
#ifndef WQ_TEXT_H
#define WQ_TEXT_H

#include "ir/tensor.h"

/* The next character of a string (*at < s->n), or -1 where it is not UTF-8. */
int32_t wq_utf8_next(const WqString *s, size_t *at);
size_t wq_utf8_put(char out[4], uint32_t c);

bool wq_char_is_space(int32_t c); /* whitespace by Unicode */
/* The other case of a character, by the C library's table of Unicode whatever the process's locale: one character for
 * one, the same in every context and language. */
int32_t wq_char_lower(int32_t c);
int32_t wq_char_upper(int32_t c);

/* ---- regular expressions (regex.c) -------------------------------------------------------------------------
 * The syntax of RE2, without classes by Unicode property (\p) and \C; what RE2 has not (lookaround, backreferences) is
 * not here either. Time is proportional to the pattern's program times the text, whatever they are.
 */
typedef struct WqRegex WqRegex;
WqRegex *wq_regex_new(WqArena *a, const char *pattern); /* fails on what it cannot read, naming it */
/* Does the pattern match the whole of s? Never where s is not UTF-8. A regex serves one thread at a time. */
bool wq_regex_full_match(WqRegex *r, const WqString *s);

#endif
