/* loop.h: making core Loops from nested graphs; shared by Loop, Scan and SequenceMap (lower_control.c, lower_scan.c,
 * lower_sequence.c). */
#ifndef WQ_LOOP_H
#define WQ_LOOP_H

#include "frontend/importer.h"

typedef struct LoopBody {
	Lower *L;
	const Onnx__GraphProto *gp;
	int n_carried;
	bool has_cond; /* output 0 of gp is the condition to go on; else there is none */
	/* Binds the names of gp's inputs in the current scope. `in` builds in the body. */
	void (*bind)(struct LoopBody *b, Lower *in, WqValue *i, WqValue *cond, WqValue *const *carried);
	WqType i_type, cond_type; /* scalars, or one-element vectors where the model's body is declared so */
	void *arg;
	int n_out; /* set by loop_make */
} LoopBody;

/* The loop over gp, once the types of the carried values are wide enough to stay the same from one iteration to the
 * next. in: trip count, condition (either may be NULL), carried values. Returns b->n_out results: final carried values,
 * then scanned ones. */
WqValue **loop_make(LoopBody *b, WqValue **in);

/* Runs gp inlined (L's graph, a scope of its own) with its inputs bound to in[]; out[] gets its outputs. */
void graph_inline(Lower *L, const Onnx__GraphProto *gp, int n_in, WqValue *const *in, WqValue **out);

/* The elements of a sequence that is known; false if it is not. */
bool sequence_known(const WqValue *v, int *n, WqValue *const **elems);
WqValue *sequence_make(Lower *L, int n, WqValue *const *elems, const WqType *elem); /* elem: only needed if n == 0 */
/* t without sizes that differ from element to element: symbols become WQ_DIM_UNKNOWN. */
WqType type_of_elements(Lower *L, const WqType *t);

#endif
