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

#endif
