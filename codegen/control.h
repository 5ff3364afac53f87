/* control.h: what entry.c and control.c share. */
#ifndef WQ_CONTROL_H
#define WQ_CONTROL_H

#include "codegen/program.h"

/* A graph's groups, in order, into the entry. A run that fails leaves the innermost block: cg_while .. wq_block_end. */
void wq_emit_graph(Kg *k, const WqGraph *g);
void wq_stop_on_error(Kg *k);
void wq_block_end(Kg *k);
void wq_emit_control(Kg *k, WqGroup *g);     /* If, Loop */
void wq_copy_dense(Kg *k, CgVal to, const CgTensor *from); /* row-major at `to` */
/* fn(args) through the caller's pool, or directly where there is none. */
void wq_call_shared(Kg *k, const KgCall *call, int n, CgVal *arg);

#endif
