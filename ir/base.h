/* base.h: memory, errors, strings, containers. Everything else stands on these.
 *
 * Memory  arenas freed wholesale; allocation zeroes and never returns NULL (it fails the call).
 * Errors  wq_fail() unwinds to the innermost WqTry; the public API turns that into an error object.
 */
#ifndef WQ_BASE_H
#define WQ_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WQ_COUNTOF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define WQ_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define WQ_NORETURN __attribute__((noreturn))

/* ---- errors (base.c) ------------------------------------------------------------------------ */

enum WqCode { /* also the program's exit codes */
	WQ_OK = 0,
	WQ_EINPUT = 1,       /* bad file, option, shape, missing input */
	WQ_EUNSUPPORTED = 2, /* valid, but not handled: the message lists everything */
	WQ_EBUDGET = 3,
	WQ_ECHECK = 4,
	WQ_ENOMEM = 5, /* a library's caller sees it; the program exits with 1 */
};

typedef struct WqError {
	int code;
	char text[8192];
} WqError;

typedef struct WqTry {
	jmp_buf jb;
	struct WqTry *up;
	WqError err;
} WqTry;

/* if (WQ_TRY(&t)) { ...; wq_try_end(&t); } else { t.err says what happened } */
#define WQ_TRY(t) (wq_try_push(t), setjmp((t)->jb) == 0)
void wq_try_push(WqTry *t);
void wq_try_end(WqTry *t);

/* In a handler that would turn the error into something else: a lack of memory goes on as it is. */
void wq_try_passes(const WqTry *t);

WQ_NORETURN void wq_fail(int code, const char *fmt, ...) WQ_PRINTF(2, 3);
WQ_NORETURN void wq_failv(int code, const char *fmt, va_list ap);
/* Our own mistake: print and abort. */
WQ_NORETURN void wq_bug(const char *file, int line, const char *fmt, ...) WQ_PRINTF(3, 4);
#define WQ_BUG(...) wq_bug(__FILE__, __LINE__, __VA_ARGS__)
#define WQ_ASSERT(c) ((c) ? (void)0 : wq_bug(__FILE__, __LINE__, "assertion failed: %s", #c))

/* Bounds every nesting that recurses (messages, graphs, expressions). */
#define WQ_MAX_DEPTH 100

/* ---- memory (base.c) ------------------------------------------------------------------------ */

typedef struct WqArena WqArena;

WqArena *wq_arena_new(void);
void wq_arena_free(WqArena *a); /* runs deferred cleanups, newest first; NULL is fine */
void *wq_alloc(WqArena *a, size_t n);             /* zeroed, 16-byte aligned */
void *wq_alloc_n(WqArena *a, size_t n, size_t size); /* overflow-checked */
void wq_defer(WqArena *a, void (*fn)(void *), void *p); /* fn(p) when the arena goes */
size_t wq_arena_bytes(const WqArena *a);
#define WQ_NEW(a, T) ((T *)wq_alloc((a), sizeof(T)))
#define WQ_NEW_N(a, T, n) ((T *)wq_alloc_n((a), (size_t)(n), sizeof(T)))

void *wq_raw_alloc(size_t n); /* zeroed, 64-byte aligned, fails with WQ_ENOMEM */
void *wq_raw_alloc_dirty(size_t n); /* the same, contents undefined: for buffers that are about to be filled */
void wq_raw_free(void *p);
/* For the failing-allocator tests: deny(n) true makes the next allocation of n bytes fail. Process-wide. */
void wq_alloc_set_deny(bool (*deny)(size_t n));
int64_t wq_alloc_live(void); /* raw allocations that have not been freed: the leak tests' count */
/* Largest single allocation that is tried (hostile shapes ask for terabytes). Default: the machine's RAM. */
void wq_alloc_set_limit(size_t bytes);

char *wq_strndup(WqArena *a, const char *s, size_t n);
char *wq_strdup(WqArena *a, const char *s);
char *wq_sprintf(WqArena *a, const char *fmt, ...) WQ_PRINTF(2, 3);

/* ---- containers (base.c) -------------------------------------------------------------------- */

/* A growing array in an arena: struct { T *v; int n, cap; }. */
#define WQ_VEC(T) struct { T *v; int n, cap; }
#define WQ_PUSH(a, vec, item) \
	(wq_vec_grow((a), (void **)&(vec).v, &(vec).cap, (vec).n + 1, sizeof *(vec).v), \
	 (vec).v[(vec).n++] = (item))
void wq_vec_grow(WqArena *a, void **v, int *cap, int need, size_t size);

typedef struct WqMap WqMap; /* string -> pointer; keys are copied into the arena; keeps insertion order */
WqMap *wq_map_new(WqArena *a);
void *wq_map_get(const WqMap *m, const char *key); /* NULL if absent */
void wq_map_put(WqMap *m, const char *key, void *value); /* replaces */
int wq_map_len(const WqMap *m);
void *wq_map_at(const WqMap *m, int i, const char **key);

/* A string that grows in an arena. */
typedef struct WqStr {
	WqArena *a;
	char *s; /* always terminated, never NULL after the first call */
	size_t n, cap;
} WqStr;
void wq_str_printf(WqStr *b, const char *fmt, ...) WQ_PRINTF(2, 3);
void wq_str_write(WqStr *b, const void *p, size_t n);

uint64_t wq_hash(const void *p, size_t n, uint64_t seed);

/* a*b and a+b with overflow as an error of the input ("what" names the culprit). */
int64_t wq_mul_checked(int64_t a, int64_t b, const char *what);
int64_t wq_add_checked(int64_t a, int64_t b, const char *what);

/* ---- files (file.c) ------------------------------------------------------------------------- */

typedef struct WqMapped {
	const uint8_t *p;
	size_t n;
} WqMapped;
WqMapped wq_file_map(WqArena *a, const char *path); /* read-only; unmapped with the arena */

/* Written under a temporary name beside the target; commit renames, dropping the arena unlinks. */
typedef struct WqFileOut WqFileOut;
WqFileOut *wq_file_create(WqArena *a, const char *path); /* "-" is standard output */
void wq_file_write(WqFileOut *f, const void *p, size_t n);
void wq_file_commit(WqFileOut *f);

#endif
