/* cli.h: what the verbs share. One file per verb. */
#ifndef WQ_CLI_H
#define WQ_CLI_H

#include "engine/engine.h"
#include "frontend/frontend.h"

typedef int VerbFn(int argc, char **argv); /* argv[0] is the verb; returns the exit code */

/* Options that several verbs take. */
typedef struct Common {
	int verbose; /* -v: 1, -q: -1 */
	int threads; /* -j N, --threads N; 0: the machine's */
	bool plain;  /* --plain: no oneDNN */
	WQ_VEC(ImportDim) dims; /* --dim */
	WqArena *arena;
} Common;

/* Takes argv[*i] if it is a common option (moving *i over its argument). Fails on a bad one. */
bool common_option(Common *c, int argc, char **argv, int *i);
/* The argument of the option at argv[*i], given as "--opt VALUE" or "--opt=VALUE"; NULL if argv[*i] is another option. */
const char *option_value(const char *name, int argc, char **argv, int *i);

VerbFn verb_check;

#endif
