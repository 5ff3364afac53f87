/* export.h: what export.c, entry.c and header.c share. */
#ifndef WQ_EXPORT_H
#define WQ_EXPORT_H

#include "codegen/program.h"
#include "wqrt.h"

/* Stands in the descriptor for the stack's size, which is known once the code is made; object.c puts the number there. */
#define WQ_STACK_MARK 0x4b43415453435157

void wq_emit_exports(WqBuild *b, const CgFn *main, const CgFn *call);
bool wq_has_open_outputs(const WqProgram *p); /* sizes of outputs that only running tells */

#endif
