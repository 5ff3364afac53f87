/* cli.h: what the verbs share. One file per verb. */
#ifndef WQ_CLI_H
#define WQ_CLI_H

#include "api/api.h"
#include "passes/pass.h"

typedef int VerbFn(int argc, char **argv); /* argv[0] is the verb; returns the exit code */

/* Arenas of the program: what an error leaves behind is freed before exit. Done in any order. */
WqArena *cli_arena(void);
void cli_arena_done(WqArena *a);

/* Options that several verbs take. */
typedef struct Common {
	WqArena *arena;
	int verbose;          /* -v: 1, -q: -1 */
	int threads;          /* --threads N; 0: the machine's */
	bool plain;           /* --plain: no oneDNN */
	WQ_VEC(const char *) dims; /* --dim NAME=N, --dim NAME<=N */
	const char *passes;   /* -O PIPELINE */
	const char *print_after; /* --print-after NAME|all */
	bool time_passes;     /* --time-passes */
	bool from_ir;         /* --from-ir: MODEL is in the text form */
} Common;

/* Takes argv[*i] if it is a common option (moving *i over its argument). Fails on a bad one. */
bool common_option(Common *c, int argc, char **argv, int *i);
/* The argument of the option at argv[*i], given as "--opt VALUE" or "--opt=VALUE"; NULL if argv[*i] is another option. */
const char *option_value(const char *name, int argc, char **argv, int *i);
double option_number(const char *name, const char *text); /* fails on what is no number >= 0 */

/* Loads the model and runs -O's passes; fails as the library's error says. The model goes with the arena. */
wqcc_model *common_load(Common *c, const char *path);

/* On a terminal, unless -q: "12/300 what" on a line that the next one overwrites; done == all wipes it. */
void progress(const Common *c, int64_t done, int64_t all, const char *what);

VerbFn verb_compile, verb_run, verb_check, verb_eval, verb_bench, verb_inspect, verb_support, verb_runtime;

#endif
