/* gemm.h: the register tile that products and convolutions are made of.
 *
 * A tile is rows x vecs accumulators, all in registers. A row is a place of the result (a token, a pixel); a
 * vector's lanes are columns (output channels), or in a dot product places along k, whose sum is taken at the end.
 * What a tile multiplies comes through two plugs: GemmRows yields element k of a row, spread over the lanes;
 * GemmWeights yields the vectors of step k. A weight format is one GemmWeights: it decodes into registers what the
 * tile is about to use. Needs nothing but cg.h.
 */
#ifndef WQ_GEMM_H
#define WQ_GEMM_H

#include "codegen/cg.h"

enum { GEMM_ROWS = 32, GEMM_VECS = 8, GEMM_ACCS = 64 };

/* Elements in memory and what they are computed in. */
typedef struct GemmType {
	CgKind mem; /* CG_F16 and CG_BF16: 16 bits each */
	CgKind acc; /* f32 for 16-bit floats, i32 for narrow integers, else as mem */
	bool sign;  /* narrow integers are extended by sign */
} GemmType;
GemmType gemm_type(CgKind mem, bool sign);
CgKind gemm_bits(GemmType t); /* as it is loaded: CG_I16 for 16-bit floats */
int gemm_lanes(const WqTarget *t, CgKind acc); /* of an accumulator; 1 where vectors do not help */
/* `lanes` consecutive elements, as accumulators take them; the first n of them where n is not NULL, the others 0. */
CgVal gemm_load(Cg *c, GemmType t, int lanes, CgVal ptr, CgVal n);

/* ---- the two plugs ------------------------------------------------------------------------------- */

typedef struct GemmRows {
	CgVal (*load)(const struct GemmRows *a, Cg *c, int row, CgVal k); /* of the accumulators' type */
	GemmType type;
	int lanes;
	CgVal ptr; /* element k of row r lies at ptr + (r - first) * row + k * step, in elements */
	CgVal row, step;
	int first;   /* rows before it are not asked for */
	CgVal count; /* of a dot product: elements that exist in a vector; NULL: all */
} GemmRows;
CgVal gemm_row_splat(const GemmRows *a, Cg *c, int row, CgVal k);  /* one element in all lanes */
CgVal gemm_row_vector(const GemmRows *a, Cg *c, int row, CgVal k); /* of a dot product: elements k * lanes, ... */

typedef struct GemmWeights {
	/* vecs vectors of the accumulators' type */
	void (*load)(const struct GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w);
	GemmType type;
	int lanes;
	CgVal ptr;
	CgVal step, lane; /* strided ones: from k to k + 1, from lane to lane (of a dot product: from column to column) */
	CgVal count;      /* columns that exist, of all vectors; of a dot product elements of a vector; NULL: all */
	int ahead;        /* panels: bytes to prefetch ahead of the stream, 0: not */
} GemmWeights;
void gemm_panel(const GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w);   /* packed: [k][vecs][lanes] */
void gemm_strided(const GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w); /* in place */
void gemm_columns(const GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w); /* of a dot product: one vector a column */

/* ---- tiles ----------------------------------------------------------------------------------------- */

typedef struct GemmShape {
	int rows, vecs;
} GemmShape;
/* The shape that suits a result of so many rows (-1: not known) and vectors. width: the vectors of a panel, if they
 * are settled (0). */
GemmShape gemm_shape(const WqTarget *t, CgKind acc, int64_t rows, int64_t vecs, int width);

typedef struct GemmTile {
	Cg *c;
	int rows, vecs, chains; /* chains: accumulators that take turns, so that few of them still fill the multipliers */
	CgType type;
	CgVar acc[GEMM_ACCS];
} GemmTile;
void gemm_start(GemmTile *t, Cg *c, GemmShape s, CgType type, const CgVal *init); /* init: one a vector, or NULL */
/* Adds the products of k = 0 .. count-1, for the rows in `mask`. */
void gemm_steps(GemmTile *t, uint32_t mask, const GemmRows *a, const GemmWeights *b, CgVal count);
CgVal gemm_result(GemmTile *t, int row, int vec);

/* Covers [lo, hi) with tiles of `rows` and smaller ones for what remains. rest: how many these are, if any (-1: not
 * known). The body is emitted once a size. */
typedef void GemmBody(void *arg, CgVal first, int rows);
void gemm_cover(Cg *c, CgVal lo, CgVal hi, int64_t rest, int rows, GemmBody *body, void *arg);

/* ---- packed weights ------------------------------------------------------------------------------------ */

/* A [depth][cols] matrix as panels of vecs vectors, the last with what remains, columns padded with zeros; panel p
 * begins at element p * vecs * lanes * depth. */
typedef struct GemmPanels {
	int64_t depth, cols;
	int vecs, lanes;
	int bytes; /* of an element */
} GemmPanels;
int gemm_last_vecs(const GemmPanels *p);    /* vectors of the last panel */
int64_t gemm_panels_bytes(const GemmPanels *p);
/* Element (k, col) comes from get(arg, k, col), p->bytes of them. */
typedef const void *GemmElement(const void *arg, int64_t k, int64_t col);
void gemm_pack(const GemmPanels *p, GemmElement *get, const void *arg, void *out);

#endif
