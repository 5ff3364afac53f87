/* cross.h: objects for other CPUs run under QEMU, boards included, and wasm32 under node. Nothing is installed: a tool
 * that is missing is an error that names it. */
#ifndef WQ_CROSS_H
#define WQ_CROSS_H

#include "api/api.h"

typedef struct Cross Cross;

/* Looks for the tools and builds the runner for t, once for any number of objects: in the directory `keep`, or (NULL)
 * in one that goes with the arena. Processes forked from this one may use it at the same time. */
Cross *cross_new(const WqTarget *t, const char *keep, WqArena *a);
/* Links the object (of symbol "model") and calls it once, as api_call_jit does. weights: the program whose they are, if
 * they are not in the object. Fails when it writes where it must not, uses more stack than it promises, or faults; with
 * WQ_EUNSUPPORTED when it does not fit into the board. Program, in.bin, out.bin and a script `run` are in the directory
 * `name` of `keep`. */
int cross_call(const Cross *x, const ApiCall *c, const char *object, const WqProgram *weights, const char *name,
	       WqArena *a);
/* The same for a program that is not optimised yet. */
int cross_call_program(const Cross *x, const ApiCall *c, WqProgram *p, const char *name, WqArena *a);

/* The files that wqcc carries (files.c): the runtime's sources and the runner's. NULL if there is none of that name. */
const char *cli_file(const char *name, size_t *n);
/* All of them whose names start with `prefix`, in order; NULL behind the last. */
const char *cli_file_name(const char *prefix, int i);

#endif
