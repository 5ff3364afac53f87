/* emit_matmul.c: MatMul as register tiles.
 *
 * One operand gives the tile's rows, the other its vectors. Vectors run along the result's columns, or, where the
 * result is one column wide and the left operand is constant, along its rows: then the operands change roles. A
 * constant that gives vectors is packed into panels; a computed one is read in place where its columns are
 * neighbours in memory, else (a transposed view) copied into a panel first. What is neighbours along k on both sides
 * and has few columns is a dot product with lanes along k.
 */
#include "codegen/tiles.h"

/* An operand as matrices: `outer` is its axis that the result has too (-1: none), `inner` the one that is summed;
 * the axes before both are batches. */
typedef struct Side {
	const WqValue *v;
	int operand, outer, inner, batches;
} Side;

typedef struct Plan { /* what types and target decide */
	Side row, col;          /* who gives rows, who gives vectors */
	int row_axis, col_axis; /* of the result; -1: none */
	int batches;            /* leading axes of the result */
	int skipped;            /* axes of one element behind row_axis */
	WqDim rows, cols, depth;
	GemmType type;
	int lanes;
	GemmShape shape;
} Plan;

static WqDim dim_of(const WqValue *v, int axis) { return axis < 0 ? 1 : v->type.dim[axis]; }

static Side side(const WqNode *n, int operand, bool right)
{
	const WqValue *v = n->in[operand];
	int rank = v->type.rank;
	if (rank == 1)
		return (Side){v, operand, -1, 0, 0};
	return (Side){v, operand, right ? rank - 1 : rank - 2, right ? rank - 2 : rank - 1, rank - 2};
}

static int64_t vectors(const Plan *p)
{
	return wq_dim_static(p->cols) ? (p->cols + p->lanes - 1) / p->lanes : GEMM_VECS;
}

static Plan plan(const WqTarget *t, const WqNode *n)
{
	Plan p = {.row = side(n, 0, false), .col = side(n, 1, true)};
	const WqType *y = &n->out[0]->type;
	bool has_row = p.row.outer >= 0, has_col = p.col.outer >= 0;
	p.batches = y->rank - has_row - has_col;
	p.row_axis = has_row ? p.batches : -1;
	p.col_axis = has_col ? y->rank - 1 : -1;
	/* [T,1,K] by one matrix is T rows, not T matrices of a row */
	while (!p.row.v->data && p.col.batches == 0 && p.row.batches > 0 && p.row.v->type.dim[p.row.outer] == 1) {
		p.row.outer--;
		p.row.batches--;
		p.batches--;
		p.row_axis--;
		p.skipped++;
	}
	if (dim_of(p.col.v, p.col.outer) == 1 && dim_of(p.row.v, p.row.outer) != 1 && p.row.v->data) {
		Plan was = p;
		p.row = was.col;
		p.col = was.row;
		p.row_axis = was.col_axis;
		p.col_axis = was.row_axis;
	}
	p.rows = dim_of(p.row.v, p.row.outer);
	p.cols = dim_of(p.col.v, p.col.outer);
	p.depth = dim_of(p.row.v, p.row.inner);
	p.type = tile_type(y->dtype);
	p.lanes = gemm_lanes(t, p.type.acc);
	p.shape = gemm_shape(t, p.type.acc, wq_dim_static(p.rows) ? p.rows : -1, vectors(&p), 0);
	return p;
}

/* ---- packing --------------------------------------------------------------------------------------------- */

static GemmPanels panels(const Plan *p, int bytes)
{
	return (GemmPanels){p->depth, p->cols, p->shape.vecs, p->lanes, bytes};
}

typedef struct Source { /* one matrix of a constant */
	const char *data;
	int64_t k, col; /* strides in bytes */
} Source;

static const void *element(const void *arg, int64_t k, int64_t col)
{
	const Source *s = arg;
	return s->data + k * s->k + col * s->col;
}

/* a: the panels, the matrix's strides, how many matrices. */
static void fill(const WqPack *w, const WqTensor *t, void *out)
{
	GemmPanels p = {w->a[0], w->a[1], (int)w->a[2], (int)w->a[3], (int)w->a[4]};
	for (int64_t i = 0; i < w->a[7]; i++) {
		Source s = {(const char *)t->data + i * p.depth * p.cols * p.bytes, w->a[5] * p.bytes, w->a[6] * p.bytes};
		gemm_pack(&p, element, &s, (char *)out + i * gemm_panels_bytes(&p));
	}
}

/* A single constant column is read as it is: see dot(). */
static bool packs(const Plan *p) { return p->col.v->data && p->cols > 1 && p->depth > 0; }

static bool pack(const WqTarget *t, const WqNode *n, int i, WqPack *w)
{
	Plan p = plan(t, n);
	if (i != p.col.operand || !packs(&p))
		return false;
	const WqType *type = &p.col.v->type;
	GemmPanels g = panels(&p, (int)wq_dtype_size(type->dtype));
	int64_t matrices = 1;
	for (int d = 0; d < p.col.batches; d++)
		matrices *= type->dim[d];
	bool wide = p.col.inner < p.col.outer; /* [k][col] */
	int64_t a[] = {g.depth, g.cols, g.vecs, g.lanes, g.bytes, wide ? g.cols : 1, wide ? 1 : g.depth, matrices};
	memcpy(w->a, a, sizeof a);
	w->bytes = wq_mul_checked(gemm_panels_bytes(&g), matrices, "packed weights");
	w->fill = fill;
	w->layout = wide ? "gemm kn" : "gemm nk";
	return true;
}

/* ---- the kernel -------------------------------------------------------------------------------------------- */

typedef struct Mul {
	Kg *k;
	Cg *c;
	const WqNode *n;
	Plan p;
	CgTensor row, col; /* col: not of a packed constant */
	CgVal rows, cols, depth;
	CgVal matrix;      /* of the batch: where col's matrix begins, in elements */
	CgVal row_ptr;     /* and row's */
	CgVal packs;       /* packed matrices */
	CgAt at;           /* the batch's place in the result */
	CgVal first;       /* column of the panel */
	GemmShape shape;   /* of the panel */
	bool part;         /* columns may be missing */
	bool packed, copied, dot;
	GemmWeights w;
} Mul;

static CgVal stride(const Mul *m, const CgTensor *t, int axis) { return axis < 0 ? cg_idx(m->c, 0) : t->stride[axis]; }

/* Where the matrix of this batch begins in an operand. */
static CgVal batch_offset(const Mul *m, const CgTensor *t, int own)
{
	CgVal at = cg_idx(m->c, 0);
	for (int d = 0; d < own; d++) {
		CgVal one = cg_cmp(m->c, CG_EQ, t->dim[d], cg_idx(m->c, 1));
		CgVal by = cg_mul(m->c, m->at.ix[m->p.batches - own + d], t->stride[d]);
		at = cg_add(m->c, at, cg_select(m->c, one, cg_idx(m->c, 0), by));
	}
	return at;
}

/* The same of a packed constant: its matrices stand one behind the other. */
static CgVal packed_offset(const Mul *m)
{
	Cg *c = m->c;
	GemmPanels g = panels(&m->p, 1);
	CgVal at = cg_idx(c, 0);
	for (int d = 0, own = m->p.col.batches; d < own; d++) {
		WqDim size = m->p.col.v->type.dim[d];
		at = cg_muli(c, at, size);
		if (size > 1)
			at = cg_add(c, at, m->at.ix[m->p.batches - own + d]);
	}
	return cg_muli(c, at, gemm_panels_bytes(&g));
}

static void put(Mul *m, CgVal col, CgVal v)
{
	int axis = m->p.col_axis;
	CgAt at = m->at;
	at.axis = axis < 0 ? 0 : axis;
	if (axis >= 0)
		at.ix[axis] = col;
	tile_put(m->k, m->n, &at, v, m->part && !m->dot ? tile_columns(m->c, col, m->cols, m->p.lanes) : NULL);
}

static GemmRows rows_at(const Mul *m, CgVal first)
{
	Cg *c = m->c;
	CgVal row = stride(m, &m->row, m->p.row.outer);
	CgVal ptr = cg_at(c, kg_mem(m->row.dtype), m->row_ptr, cg_mul(c, first, row));
	return (GemmRows){gemm_row_splat, m->p.type, m->p.lanes, ptr, row, stride(m, &m->row, m->p.row.inner), 0, NULL};
}

static void set_row(Mul *m, CgVal row)
{
	if (m->p.row_axis >= 0)
		m->at.ix[m->p.row_axis] = row;
}

static void tile(void *arg, CgVal first, int rows)
{
	Mul *m = arg;
	Cg *c = m->c;
	GemmRows a = rows_at(m, first);
	GemmWeights w = m->w;
	GemmTile t;
	w.ahead = m->packed && rows == 1 && tile_is(m->rows, 1) ? 1024 : 0;
	gemm_start(&t, c, (GemmShape){rows, m->shape.vecs}, cg_t(m->p.type.acc, m->p.lanes), NULL);
	gemm_steps(&t, UINT32_MAX, &a, &w, m->depth);
	for (int r = 0; r < rows; r++) {
		set_row(m, cg_addi(c, first, r));
		for (int v = 0; v < m->shape.vecs; v++)
			put(m, cg_addi(c, m->first, (int64_t)v * m->p.lanes), gemm_result(&t, r, v));
	}
}

/* The same with lanes along k: what is left of k beyond whole vectors is added as scalars would be, in a vector of
 * its own. */
static void dot_tile(void *arg, CgVal first, int rows)
{
	Mul *m = arg;
	Cg *c = m->c;
	int lanes = m->p.lanes;
	GemmRows a = rows_at(m, first);
	GemmWeights w = m->w;
	GemmTile t;
	CgVal whole = cg_divi(c, m->depth, lanes), done = cg_muli(c, whole, lanes);
	a.load = gemm_row_vector;
	a.count = w.count = NULL;
	gemm_start(&t, c, (GemmShape){rows, m->shape.vecs}, cg_t(m->p.type.acc, lanes), NULL);
	gemm_steps(&t, UINT32_MAX, &a, &w, whole);
	a.ptr = cg_at(c, kg_mem(m->row.dtype), a.ptr, done);
	w.ptr = cg_at(c, kg_mem(m->col.dtype), w.ptr, done);
	a.count = w.count = cg_sub(c, m->depth, done);
	gemm_steps(&t, UINT32_MAX, &a, &w, cg_idx(c, !tile_is(a.count, 0)));
	for (int r = 0; r < rows; r++) {
		set_row(m, cg_addi(c, first, r));
		for (int v = 0; v < m->shape.vecs; v++)
			put(m, cg_addi(c, m->first, v), cg_hsum(c, gemm_result(&t, r, v)));
	}
}

/* ---- what computed operands need ------------------------------------------------------------------------------ */

enum { COPY_LIMIT = 1 << 20 };

static int64_t copy_bytes(const WqTarget *t, const Plan *p, const WqModule *mod)
{
	int64_t depth = wq_dim_hi(mod, p->depth), width = (int64_t)p->shape.vecs * p->lanes;
	int bytes = p->type.acc == CG_F64 || p->type.acc == CG_I64 ? 8 : 4;
	bool fits = !t->bare_metal && depth < COPY_LIMIT && depth * width * bytes <= COPY_LIMIT;
	return p->col.v->data || p->cols == 1 || !fits ? 0 : depth * width * bytes;
}

static int64_t scratch(const WqTarget *t, const WqNode *n)
{
	Plan p = plan(t, n);
	return copy_bytes(t, &p, n->graph->mod);
}

/* Copies the panel at m->first, in accumulators' type, and makes it the weights. */
static void copy_panel(Mul *m, GemmWeights *from, int vecs)
{
	Cg *c = m->c;
	CgVal w[GEMM_VECS], to = kg_scratch(m->k), k = cg_for(c, cg_idx(c, 0), m->depth, 1);
	from->load(from, c, k, vecs, w);
	for (int v = 0; v < vecs; v++) {
		CgVal at = cg_muli(c, cg_addi(c, cg_muli(c, k, vecs), v), m->p.lanes);
		cg_store(c, w[v], cg_at(c, m->p.type.acc, to, at), 0);
	}
	cg_end(c);
	*from = (GemmWeights){gemm_panel, gemm_type(m->p.type.acc, true), m->p.lanes, .ptr = to};
}

/* ---- loops over panels and rows ------------------------------------------------------------------------------ */

/* A panel of `vecs` vectors (columns of a dot product) over the rows [lo, hi). */
static void panel(Mul *m, int vecs, bool part, CgVal lo, CgVal hi, int64_t rest)
{
	Cg *c = m->c;
	m->shape = (GemmShape){m->p.shape.rows, vecs};
	m->part = part;
	m->w = (GemmWeights){gemm_strided, m->p.type, m->p.lanes, .count = NULL};
	if (m->packed || m->dot)
		m->w.load = m->packed ? gemm_panel : gemm_columns;
	if (m->packed) {
		CgVal at = cg_add(c, m->matrix, cg_mul(c, m->first, m->depth));
		m->w.ptr = cg_at(c, kg_mem(m->p.col.v->type.dtype), m->packs, at);
	} else {
		m->w.step = stride(m, &m->col, m->p.col.inner);
		m->w.lane = stride(m, &m->col, m->p.col.outer);
		m->w.ptr = cg_at(c, kg_mem(m->col.dtype), m->col.ptr, cg_add(c, m->matrix, cg_mul(c, m->first, m->w.lane)));
		m->w.count = part && !m->dot ? cg_sub(c, m->cols, m->first) : NULL;
	}
	if (m->copied)
		copy_panel(m, &m->w, vecs);
	gemm_cover(c, lo, hi, rest, m->shape.rows, m->dot ? dot_tile : tile, m);
}

/* The panel that begins at column m->first: whole or the last. */
static void any_panel(Mul *m, CgVal lo, CgVal hi, int64_t rest)
{
	Cg *c = m->c;
	int per = m->dot ? 1 : m->p.lanes, vecs = m->p.shape.vecs;
	int64_t width = (int64_t)per * vecs, cols, over = -1;
	if (cg_const(m->cols, &cols))
		over = cols % width;
	int last = over < 0 ? vecs : (int)((over + per - 1) / per);
	if (over == 0) {
		panel(m, vecs, false, lo, hi, rest);
	} else if (over > 0 && cols < width) {
		m->first = cg_idx(c, 0);
		panel(m, last, true, lo, hi, rest);
	} else {
		cg_if(c, cg_cmp(c, CG_LE, cg_addi(c, m->first, width), m->cols));
		panel(m, vecs, false, lo, hi, rest);
		cg_else(c);
		if (over > 0)
			m->first = cg_idx(c, cols - over);
		panel(m, last, true, lo, hi, rest);
		cg_end(c);
	}
}

/* How the vectors' operand is read. */
static void choose_access(Mul *m, const WqTarget *t)
{
	Plan *p = &m->p;
	m->packed = packs(p);
	if (m->packed)
		return;
	m->col = tile_tensor(m->k, p->col.v);
	bool rows_run = tile_is(stride(m, &m->row, p->row.inner), 1);
	bool cols_run = tile_is(stride(m, &m->col, p->col.inner), 1);
	bool dense = tile_is(stride(m, &m->col, p->col.outer), 1), many = !wq_dim_static(p->rows) || p->rows >= 8;
	int64_t room = copy_bytes(t, p, m->n->graph->mod);
	m->copied = room > 0 && (dense ? wq_dim_static(p->rows) && p->rows >= 48 : many);
	m->dot = rows_run && cols_run && (p->cols == 1 || !m->copied);
	if (m->dot) {
		m->copied = false;
		int64_t rows = wq_dim_static(p->rows) ? p->rows : -1, cols = wq_dim_static(p->cols) ? p->cols : 1;
		p->shape = gemm_shape(t, p->type.acc, rows, cols, 0);
	}
}

/* Rows that are done at once for all panels, so that they stay in the second cache: a multiple of the tile's. */
static int64_t row_block(const Mul *m, const WqTarget *t)
{
	int64_t depth = 0, tile = m->p.shape.rows, bytes = cg_kind_bytes(m->c, m->p.type.acc), n;
	if (m->copied)
		return INT64_MAX / 2 / tile * tile; /* a panel is copied once */
	cg_const(m->depth, &depth);
	n = t->l2 / 4 / (bytes * (depth > 0 ? depth : 1024)) / tile * tile;
	return n < 4 * tile ? 4 * tile : n;
}

static void piece(Mul *m, CgVal i, CgVal n_panels, CgVal n_blocks, int64_t block)
{
	Cg *c = m->c;
	int per = m->dot ? 1 : m->p.lanes;
	CgVal rest = cg_udiv(c, i, n_panels), batch = cg_udiv(c, rest, n_blocks);
	m->first = cg_muli(c, cg_urem(c, i, n_panels), (int64_t)m->p.shape.vecs * per);
	for (int d = m->p.batches - 1; d >= 0; d--) {
		CgVal size = kg_size(m->k, m->n->out[0], d);
		m->at.ix[d] = cg_urem(c, batch, size);
		batch = cg_udiv(c, batch, size);
	}
	m->row_ptr = cg_at(c, kg_mem(m->row.dtype), m->row.ptr, batch_offset(m, &m->row, m->p.row.batches));
	if (m->packed)
		m->matrix = packed_offset(m);
	else
		m->matrix = batch_offset(m, &m->col, m->p.col.batches);
	int64_t rows, over = -1;
	CgVal lo = cg_idx(c, 0), hi = m->rows;
	if (cg_const(m->rows, &rows))
		over = rows % m->p.shape.rows;
	if (!tile_is(n_blocks, 1)) {
		lo = cg_muli(c, cg_urem(c, rest, n_blocks), block);
		hi = cg_min(c, cg_addi(c, lo, block), m->rows);
	}
	any_panel(m, lo, hi, over);
}

static void kernel(Kg *k, const WqNode *n)
{
	Cg *c = kg_cg(k);
	const WqTarget *t = cg_target(c);
	Mul m = {.k = k, .c = c, .n = n, .p = plan(t, n), .at = {.rank = n->out[0]->type.rank}};
	m.row = tile_tensor(k, m.p.row.v);
	for (int i = 1; i <= m.p.skipped; i++)
		m.at.ix[m.p.row_axis + i] = cg_idx(c, 0);
	m.rows = kg_dim(k, m.p.rows);
	m.cols = kg_dim(k, m.p.cols);
	m.depth = kg_dim(k, m.p.depth);
	choose_access(&m, t);
	if (m.packed)
		m.packs = kg_packed(k, m.p.col.operand);
	int64_t block = row_block(&m, t), rows;
	bool whole = m.copied || (cg_const(m.rows, &rows) && rows <= block);
	CgVal n_panels = tile_ceil_div(c, m.cols, (int64_t)m.p.shape.vecs * (m.dot ? 1 : m.p.lanes));
	CgVal n_blocks = whole ? cg_idx(c, 1) : tile_ceil_div(c, m.rows, block);
	CgVal pieces = cg_mul(c, n_panels, n_blocks), lo, hi;
	for (int d = 0; d < m.p.batches; d++)
		pieces = cg_mul(c, pieces, kg_size(k, n->out[0], d));
	kg_share(k, pieces, &lo, &hi);
	CgVal i = cg_for(c, lo, hi, 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	piece(&m, i, n_panels, n_blocks, block);
	cg_end(c);
}

const WqEmit emit_matmul = {
	.kernel = kernel,
	.epilogue = true,
	.direct = 3,
	.scratch = scratch,
	.pack = pack,
};
