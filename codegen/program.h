/* program.h: what the parts of code generation share: groups, places, and a kernel in the making. Emitters see kernel.h alone.
 *
 * Order of work (program.c): groups of each graph -> layout and places of values -> memory plan -> kernels and entry.
 */
#ifndef WQ_PROGRAM_H
#define WQ_PROGRAM_H

#include "codegen/codegen.h"
#include "codegen/kernel.h"

/* ---- groups (group.c) -------------------------------------------------------------------------------- */

typedef enum { GROUP_LOOP /* elementwise around its outputs */, GROUP_KERNEL, GROUP_VIEW /* no code but sizes */, GROUP_CONTROL } WqGroupKind;

typedef struct WqGroup {
	WqGroupKind kind;
	const WqNode *root;           /* KERNEL: whose loops; VIEW, CONTROL: the node; LOOP: the last */
	WQ_VEC(const WqNode *) nodes; /* in graph order */
	WQ_VEC(const WqValue *) in;   /* read from memory, distinct; constants that are immediates are not among them */
	WQ_VEC(const WqValue *) out;  /* stored */
	WQ_VEC(struct WqGroup *) after; /* groups that give sizes their values */
	int index;                    /* in the list it is in */
	int step, last;               /* when it runs: steps count through nested graphs; last > step for CONTROL */
	int scratch_item;             /* of the memory plan, -1: none */
	int64_t scratch;              /* bytes a thread */
	int *temp_item;               /* Loop: by carried value, where its next one waits; -1: needs not */
} WqGroup;

typedef struct WqGroups { /* of one graph, in the order they run */
	const WqGraph *graph;
	WQ_VEC(WqGroup *) v;
} WqGroups;

/* ---- places (place.c, layout.c) ------------------------------------------------------------------------ */

typedef enum {
	PLACE_NONE,
	PLACE_FUSED,  /* in registers of its group */
	PLACE_ARENA,
	PLACE_INPUT,  /* the caller's, number `index` */
	PLACE_OUTPUT,
	PLACE_WEIGHT, /* a constant */
	PLACE_VIEW,   /* of base, by node */
	PLACE_PART,   /* written straight into its place in base, the result of node, a Concat */
} WqPlaceKind;

typedef struct WqPlace {
	WqPlaceKind kind;
	const WqValue *v;
	WqGroup *group;       /* that computes it; NULL: inputs, constants */
	bool dense;           /* its elements fill a block, axes in `order` */
	uint8_t order[WQ_MAX_RANK]; /* axes by memory, outermost first */
	int index;            /* of the port */
	int64_t offset;       /* in arena */
	int64_t bytes;        /* at the largest sizes */
	struct WqWeight *weight;
	const WqValue *base;
	const WqNode *node;
	int item;             /* of the memory plan */
	int begin, end;       /* steps */
	bool read_once;
} WqPlace;

typedef struct WqWeight {
	const WqValue *v;
	bool packed;
	WqPack pack;
	int64_t offset, bytes;
	struct WqWeight *next;
} WqWeight;



typedef WQ_VEC(const WqValue *) WqValueVec;
typedef WQ_VEC(struct WqWeight *) WqWeightVec;

/* ---- state of a compilation ------------------------------------------------------------------------------- */

typedef struct WqBuild {
	WqProgram *p;
	WqModule *m;
	WqArena *a;
	Cg *cg;
	const WqTarget *target;
	WQ_VEC(WqGroups *) graphs; /* of every graph, nested ones included */
	struct PlaceTable *places;
	WQ_VEC(WqPlanItem) items;  /* of the arena */
	WqWeight *last_weight;
	int steps;
	WqMap *kernels;        /* key -> CgFn of equal kernels */
	int n_kernels;
	int max_threads;
	bool *known, *binds;   /* symbols; nodes by id */
	const WqNode **binder; /* which node gives a symbol its value; NULL: an input */
} WqBuild;

WqGroups *wq_groups(WqBuild *b, const WqGraph *g);
WqGroups *wq_groups_of(const WqBuild *b, const WqGraph *g);
WqPlace *wq_place(WqBuild *b, const WqValue *v); /* made when new */
void wq_places(WqBuild *b);   /* of all values: kinds, layouts, steps */
void wq_layout(WqBuild *b, const WqGraph *g); /* how each value would lie in memory: before the groups */
WqWeight *wq_weight(WqBuild *b, const WqValue *v, const WqPack *pack); /* found or made */
void wq_emit_entry(WqBuild *b);
int64_t wq_max_bytes(const WqModule *m, const WqType *t); /* in memory form at the largest sizes; fails when unbounded */
int64_t wq_max_count(const WqModule *m, const WqType *t); /* -1: unbounded */
bool wq_is_immediate(const WqValue *v); /* a constant of one element, known to the code */
/* A small integer tensor whose elements are known expressions: computed where it is read, in no memory unless it is an output. */
bool wq_is_virtual(const WqValue *v);
bool wq_same_shape(const WqType *a, const WqType *b);
/* Does running n give some size its value? */
bool wq_binds(const WqBuild *b, const WqNode *n);
/* The nodes that give the sizes, or known elements, of v their values. */
void wq_each_binder(const WqBuild *b, const WqValue *v, void (*fn)(void *arg, const WqNode *n), void *arg);
/* The value whose memory v's lies in, through views and parts. */
const WqValue *wq_base(WqBuild *b, const WqValue *v);
/* Calls fn for each value that n reads, values that its nested graphs take from outside included. */
void wq_each_operand(const WqNode *n, void (*fn)(void *arg, const WqValue *v), void *arg);
bool wq_view_of(WqBuild *b, const WqNode *n); /* may n's result be a view of its operand, as that lies? */

/* ---- a kernel in the making (kernel*.c) ---------------------------------------------------------------------- */

typedef struct KgMemo {
	const WqValue *v;
	CgAt at;
	CgVal val;
	int scope;
} KgMemo;

typedef struct KgSize {
	WqDim d;
	CgVal val;
	int scope;
} KgSize;

struct Kg {
	WqBuild *b;
	Cg *cg;
	WqGroup *g;     /* NULL: the entry */
	WqArena *a;
	CgFn fn;
	CgVal sizes;    /* the sizes array: [0] the error, [1 + s] symbol s */
	CgVal scratch;
	CgVal thread, threads; /* index type; constants 0 and 1 when not shared */
	bool shared;    /* kg_share was called */
	bool faults;    /* kg_fault was called since this was last cleared */
	WqValueVec param;  /* whose memory fn.param[i] points at */
	WqWeightVec packed; /* fn.param[param.n + i] */
	const WqNode *bound_node;      /* kg_put is under way: its result, index and value */
	const WqValue *bound;
	CgAt bound_at;
	CgVal bound_val;
	CgVal part;     /* see kernel_elem.c; NULL: whole vectors */
	WQ_VEC(KgMemo) memo;
	WQ_VEC(KgSize) dims;
	/* the entry's own */
	CgVal arena, weights, in, out, pool;
};

void kg_init(Kg *k, WqBuild *b, WqGroup *g);
CgVal kg_base_ptr(Kg *k, const WqValue *v); /* the first byte of a value that has memory of its own */
/* The function of a group: equal groups share one. Fills args with what the call passes besides sizes, scratch and threads. */
typedef struct KgCall {
	CgFn *fn;
	const char *name;
	bool shared; /* may run on several threads */
	WqValueVec param;
	WqWeightVec packed;
} KgCall;
void wq_kernel(WqBuild *b, WqGroup *g, KgCall *call);
void kg_loop_group(Kg *k);
/* Copies one tensor of k (entry) into another of equal shape; inline loops. */
void kg_copy(Kg *k, const CgTensor *to, const CgTensor *from);
CgTensor kg_tensor_of(Kg *k, const WqValue *v);
/* Element i of an operand of one axis or none, in register form; 0 and a fault if it has not so many. */
CgVal kg_number(Kg *k, const WqValue *v, int64_t i);
void kg_forget(Kg *k); /* sizes may have changed */

#endif
