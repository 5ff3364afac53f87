/* code.h: options of code generation, and programs made by them: for compile, check, bench, run, inspect. */
#ifndef WQ_CLI_CODE_H
#define WQ_CLI_CODE_H

#include "cli/cli.h"

typedef struct CodeOptions {
	const char *target, *cpu, *attr; /* NULL: native */
	const char *symbol;              /* --symbol; NULL: from the output's name */
	int level;                       /* -O0 ... -O3; -1: the default, 3 */
	bool size;                       /* -Os, -Oz */
	int64_t flash, ram, stack;       /* budgets; -1: none */
	WQ_VEC(const char *) state;      /* --state OUTPUT=INPUT */
} CodeOptions;

void code_init(CodeOptions *o);
/* Takes argv[*i] if it is an option of code generation. */
bool code_option(CodeOptions *o, Common *c, int argc, char **argv, int *i);
/* "512K", "2M", "1000" */
int64_t option_bytes(const char *name, const char *text);
const WqTarget *code_target(const CodeOptions *o, Common *c); /* -v: prints it */


/* What a compiled model takes of the target, and whether that is within the budgets. */
typedef struct CodeSize {
	int64_t flash, weights, ram, live, stack;
} CodeSize;
CodeSize code_size(const WqProgram *p, int64_t flash);
void code_size_text(const CodeOptions *o, const CodeSize *s, WqStr *out); /* the table */
void code_check_budget(const CodeOptions *o, const CodeSize *s, WqArena *a); /* fails with WQ_EBUDGET and the table */

/* Sizes that the model leaves open are bounded by those of the data. */
void code_bound_by_data(WqModule *m, WqRt *const *in);
/* Compiles for this CPU and runs once; fails as the code's own error says. out: new references. */
void code_run_here(WqModule *m, WqRt *const *in, WqRt **out, int threads, WqArena *a);

#endif
