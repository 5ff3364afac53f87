/* conv.h: what the parts of emit_conv share. */
#ifndef WQ_CONV_H
#define WQ_CONV_H

#include "codegen/tiles.h"
#include "ir/window.h"

/* ---- conv_plan.c --------------------------------------------------------------------------------------- */

typedef struct ConvPlan {
	const WqNode *n;
	WqWindow w;               /* attributes only */
	int64_t group, cin, cout; /* channels of one group */
	int64_t taps;
	int axis;                 /* spatial axis along which a tile's rows lie */
	bool pointwise;           /* one tap, nothing skipped, nothing padded */
	bool depthwise;           /* lanes are channels of x too: told as one group of one input channel */
	bool by_column;           /* few output channels: weights are packed one channel after the other */
	bool dot;                 /* and x is channels-last: lanes are input channels, a vector is an output channel */
	GemmType type;
	int lanes;
	GemmShape shape;
} ConvPlan;
ConvPlan conv_plan(const WqTarget *t, const WqNode *n);
static inline bool conv_transposed(const WqNode *n) { return n->op == OP_ConvTranspose; }
int64_t conv_vectors(const ConvPlan *p);
static inline int conv_columns(const ConvPlan *p) { return p->dot ? 1 : p->lanes; } /* of a vector */
bool conv_packs(const ConvPlan *p); /* are its weights packed? */
GemmPanels conv_panels(const ConvPlan *p, int bytes);
bool conv_pack(const WqTarget *t, const WqNode *n, int i, WqPack *w);
const char *conv_refuse(const WqTarget *t, const WqNode *n);

/* ---- a kernel in the making ------------------------------------------------------------------------------ */

/* Places of the row axis that read x with the same taps: first, first + step, ...; tap j of place p is the kernel's
 * element kernel + j * kernel_step and reads x at p * stride + at + j * at_step. */
typedef struct ConvPhase {
	CgVal first, count, taps, kernel, at;
	int64_t step, stride, kernel_step, at_step;
} ConvPhase;

typedef struct Conv {
	Kg *k;
	Cg *c;
	ConvPlan p;
	CgTensor x, w; /* w: where it is not packed */
	CgVal packed;
	CgVal begin[WQ_MAX_RANK], in[WQ_MAX_RANK], out[WQ_MAX_RANK]; /* of spatial axes */
	CgVal out_images;
	bool flat;        /* all places are one row: unit is the step from place to place in x */
	CgVal unit;
	ConvPhase phase;
	CgAt at;          /* the line's place in the result: all but channel and row axis */
	CgVal group, first; /* the panel: its group and its first column there */
	CgVal base;       /* in x: image and channel */
	CgVal tap[WQ_MAX_RANK]; /* the kernel's element: of other axes */
	CgVal base_tap;   /* in x, with them */
	int vecs;         /* of the panel */
	bool part;
	enum { INSIDE, MASKED, CLIPPED } edge; /* all taps hit x; some, known now; some, tested when it runs */
	GemmTile tile;
	CgVal place;      /* of the tile's first row */
} Conv;

static inline CgVal conv_stride(const Conv *v, int d) { return v->x.stride[2 + d]; } /* of spatial axis d in x */
CgVal conv_begin(const Conv *v, int d);           /* padding before spatial axis d */
bool conv_flatten(Conv *v);                       /* do all places of an image lie in x at equal steps? */
void conv_settle(Conv *v, const WqTarget *t);     /* the tile's shape, now that strides are known */

/* ---- conv_tile.c, conv_row.c ------------------------------------------------------------------------------- */

enum { MASKED_TAPS = 12, MASKED_DEPTH = 4 }; /* at most so many taps, of at least so many channels, are written out */
void conv_tile(void *arg, CgVal place, int rows);                           /* a GemmBody of a Conv */
/* The rows of a tile at a known place for which tap j hits x. */
uint32_t conv_hits(const Conv *v, int64_t place, int rows, int64_t j);
void conv_row(Conv *v);                                                     /* the places of v->at's line */

#endif
