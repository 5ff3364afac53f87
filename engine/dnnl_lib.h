/* dnnl_lib.h: inside the use of oneDNN (dnnl.c, dnnl_ops.c): the library's two versions, and what an operator tells of its
 * primitives. */
#ifndef WQ_DNNL_LIB_H
#define WQ_DNNL_LIB_H

#include "engine/exec.h"
#include "ir/window.h"

#include <oneapi/dnnl/dnnl.h>

typedef dnnl_memory_desc_t Md;
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t MdRef;
#define REF(md) (md)
#define MD_NONE NULL
#else
typedef const dnnl_memory_desc_t *MdRef;
#define REF(md) (&(md))
#define MD_NONE ((Md){ 0 })
#endif

/* stride NULL: of whatever layout the primitive likes. */
bool wq_md_make(Md *md, int n, const int64_t *dim, const int64_t *stride);

/* What a primitive is made from. */
typedef struct Sides {
	Md src, weight, bias, dst; /* weight: of any layout */
	Md plain;                  /* the weight as the graph has it */
	bool has_weight, has_bias;
	dnnl_dims_t stride, kernel, dilation, begin, end;
} Sides;

/* A piece of the work: n images, or rows or batches of a product. Of the first spatial axis: where it is cut. */
typedef struct Part {
	int64_t n, in, out, begin, end; /* in 0: the axis is whole */
} Part;

enum { MAX_JOBS = 16, MAX_KINDS = 4 };

typedef struct Job {
	int kind;
	Part part;
	size_t at_src, at_weight, at_dst; /* where its piece begins, in elements */
	dnnl_memory_t src, weight, bias, dst;
	dnnl_stream_t stream;
} Job;

typedef struct Key {
	int rank[3];
	int bias; /* of an int's size, so that there is no padding: keys are compared as bytes */
	int64_t dim[3][WQ_MAX_RANK];
} Key;

typedef struct Prim {
	Key key;
	bool made, usable;
	int what, n_job, n_kind;
	Job job[MAX_JOBS];
	Part part[MAX_KINDS]; /* jobs of one kind have parts of one shape, and share a primitive */
	dnnl_primitive_desc_t desc[MAX_KINDS];
	dnnl_primitive_t run[MAX_KINDS];
	dnnl_primitive_t pack; /* weight to the layout that the primitives want; NULL: as it is */
	dnnl_memory_t plain, want;
	void *packed;
	size_t packed_bytes;
	bool filled; /* packed holds a constant weight */
	bool failed;
} Prim;

enum { CONV, DECONV, MAX_POOL, AVERAGE_POOL, AVERAGE_POOL_PADDED, MATMUL };

/* What an operator tells: the sides of a primitive for a part, false to refuse; and how to cut the work into p->job. */
typedef struct Kind {
	bool (*describe)(WqCall *c, int what, const Part *part, Sides *s);
	void (*cut)(WqCall *c, Prim *p);
} Kind;

/* The node's primitives for its operands' shapes; NULL if oneDNN or the operator refuses. */
Prim *wq_prim_ready(WqCall *c, int what, const Kind *op);
/* Runs them; `weight` is the operand that is one, or -1. */
bool wq_prim_run(WqCall *c, Prim *p, int weight);

#endif
