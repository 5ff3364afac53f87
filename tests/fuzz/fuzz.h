/* fuzz.h: what every fuzz target does around its work. */
#ifndef WQ_FUZZ_H
#define WQ_FUZZ_H

#include "ir/base.h"

/* Runs fn(arena, bytes); an error is a fine answer, a crash or a leak is not. */
static inline void fuzz_one(void (*fn)(WqArena *a, const uint8_t *p, size_t n), const uint8_t *p, size_t n)
{
	WqArena *a = wq_arena_new();
	WqTry t;
	wq_alloc_set_limit(64u << 20);
	if (WQ_TRY(&t)) {
		fn(a, p, n);
		wq_try_end(&t);
	}
	wq_arena_free(a);
}

#endif
