/* wqrt.h: what a compiled model and its caller agree on. Plain C99 and C++; nothing to link but the object.
 *
 * A model m compiled to m.o comes with m.h: sizes as macros, m_run with typed arguments, and the descriptor `m_model` below
 * for callers that load any model. Objects write no globals, allocate nothing and call nothing but the caller's pool.
 */
#ifndef WQRT_H
#define WQRT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { /* what a run returns */
	WQRT_OK = 0,
	WQRT_ESHAPE = 1, /* sizes of inputs that disagree */
	WQRT_EINDEX = 2, /* an index in the data is out of range */
	WQRT_EBOUND = 3, /* a size is beyond the bound the model was compiled for */
	WQRT_EVALUE = 4  /* another value that the model cannot work with */
};

/* fn(arg, i, n) for each i in [0, n), at once or in turn; returns when all are done. n: how many threads there are. */
typedef struct wqrt_pool {
	int32_t threads;
	void (*run)(struct wqrt_pool *pool, void (*fn)(void *arg, int32_t i, int32_t n), void *arg);
} wqrt_pool;

/* A pool over POSIX threads (runtime/threads.c): the caller's and threads - 1 others, which live as long as the pool. NULL: no memory. */
wqrt_pool *wqrt_pool_new(int32_t threads);
void wqrt_pool_free(wqrt_pool *pool);

typedef struct wqrt_port {
	const char *name;
	int32_t dtype; /* ONNX TensorProto.DataType; types under 8 bits have one element a byte */
	int32_t rank;
	const int64_t *dim; /* a size, or -1 - s: the size named sizes[s] if it is just that, or -1000: computed, see out_dims */
	int64_t max_bytes;  /* at the largest sizes */
} wqrt_port;

typedef struct wqrt_size { /* a named size */
	const char *name;
	int64_t lo, hi;
} wqrt_size;

typedef struct wqrt_state { /* an output that is the next call's input */
	int32_t input, output;
	int64_t bytes;
} wqrt_state;

typedef struct wqrt_call {
	void *arena;         /* arena_bytes, aligned to arena_align; contents do not matter */
	const void *weights; /* NULL: those in the object */
	const void *const *in;   /* one a port */
	const int64_t *in_dims;  /* the inputs' sizes, one input after the other */
	void *const *out;        /* one a port, max_bytes large */
	int64_t *out_dims;       /* NULL, or gets the outputs' sizes, one output after the other */
	wqrt_pool *pool;         /* NULL: this thread alone */
} wqrt_call;

#define WQRT_VERSION 1
typedef struct wqrt_model {
	uint32_t version; /* WQRT_VERSION */
	const char *name, *target;
	uint64_t arena_bytes, arena_align, weights_bytes, stack_bytes;
	uint64_t weights_hash; /* what a blob of weights must have in its header */
	int32_t n_in, n_out, n_size, n_state;
	const wqrt_port *in, *out;
	const wqrt_size *size;
	const wqrt_state *state;
	int32_t (*call)(const wqrt_call *call);
	const void *weights; /* in the object, or NULL */
} wqrt_model;

#ifdef __cplusplus
}
#endif
#endif
