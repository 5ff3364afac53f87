/* jit_pool.h: a pool of threads, as wqrt.h wants it, for code that runs in this process. */
#ifndef WQ_JIT_POOL_H
#define WQ_JIT_POOL_H

#include "ir/base.h"
#include "wqrt.h"

wqrt_pool *wq_pool_new(int threads, WqArena *a); /* its threads end with the arena; fewer where the system gives fewer */

#endif
