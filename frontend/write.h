/* write.h: between write.c and external.c. */
#ifndef WQ_FRONTEND_WRITE_H
#define WQ_FRONTEND_WRITE_H

#include "frontend/frontend.h"

typedef WQ_VEC(const void *) Pointers; /* messages of a model */

bool pointers_have(const Pointers *v, const void *p);

/* The external data files that the written model needs, and where their bytes go. */
typedef struct ExternalPlan ExternalPlan;

/* For tensors that are not dropped. Nothing is copied or moved where the output stands beside the input, or is standard
 * output. */
ExternalPlan *external_plan(OnnxModel *m, WqArena *a, const Pointers *dropped, const char *path);
bool external_moves(const ExternalPlan *x); /* some offsets change */
uint64_t external_offset(const ExternalPlan *x, const char *location, uint64_t old);
bool external_has(const ExternalPlan *x, const char *location);
void external_copy(const ExternalPlan *x);

#endif
