/* gemm.c: register tiles. See gemm.h. */
#include "codegen/gemm.h"

/* ---- elements --------------------------------------------------------------------------------------- */

GemmType gemm_type(CgKind mem, bool sign)
{
	bool small = mem == CG_F16 || mem == CG_BF16, narrow = mem == CG_I8 || mem == CG_I16;
	return (GemmType){mem, small ? CG_F32 : narrow ? CG_I32 : mem, sign};
}

int gemm_lanes(const WqTarget *t, CgKind acc)
{
	int bytes = acc == CG_F64 || acc == CG_I64 ? 8 : 4, n = t->vector_bytes / bytes;
	if ((acc == CG_F32 && !t->vector_f32) || (bytes == 8 && t->index_bits < 64 && t->family != WQ_X86))
		return 1;
	return n < 1 ? 1 : n;
}

static CgVal widen(Cg *c, GemmType t, CgVal v)
{
	if (t.mem == t.acc)
		return v;
	if (t.mem == CG_F16)
		return cg_half_to_f32(c, v);
	return t.mem == CG_BF16 ? cg_bf16_to_f32(c, v) : cg_resize(c, v, t.acc, t.sign);
}

CgKind gemm_bits(GemmType t) { return t.mem == CG_F16 || t.mem == CG_BF16 ? CG_I16 : t.mem; }

CgVal gemm_load(Cg *c, GemmType t, int lanes, CgVal ptr, CgVal n)
{
	CgType as = cg_t(gemm_bits(t), lanes);
	return widen(c, t, n ? cg_load_part(c, as, ptr, n, 0) : cg_load(c, as, ptr, 0));
}

static CgVal at(Cg *c, GemmType t, CgVal ptr, CgVal i) { return cg_at(c, gemm_bits(t), ptr, i); }

/* The row's own offset last: where it is a number it folds into the instruction. */
static CgVal row_ptr(const GemmRows *a, Cg *c, int row, CgVal k)
{
	return at(c, a->type, at(c, a->type, a->ptr, k), cg_muli(c, a->row, row - a->first));
}

CgVal gemm_row_splat(const GemmRows *a, Cg *c, int row, CgVal k)
{
	return cg_splat(c, gemm_load(c, a->type, 1, row_ptr(a, c, row, cg_mul(c, k, a->step)), NULL), a->lanes);
}

CgVal gemm_row_vector(const GemmRows *a, Cg *c, int row, CgVal k)
{
	return gemm_load(c, a->type, a->lanes, row_ptr(a, c, row, cg_muli(c, k, a->lanes)), a->count);
}

/* ---- weights ----------------------------------------------------------------------------------------- */

void gemm_panel(const GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w)
{
	CgVal ptr = at(c, b->type, b->ptr, cg_muli(c, k, (int64_t)vecs * b->lanes));
	int line = cg_target(c)->line, bytes = vecs * b->lanes * cg_kind_bytes(c, gemm_bits(b->type));
	for (int i = 0; b->ahead && i < bytes; i += line) {
		cg_prefetch(c, cg_ati(c, CG_I8, ptr, b->ahead + i), 3);
		cg_prefetch(c, cg_ati(c, CG_I8, ptr, 8 * b->ahead + i), 2);
	}
	for (int v = 0; v < vecs; v++)
		w[v] = gemm_load(c, b->type, b->lanes, cg_ati(c, gemm_bits(b->type), ptr, (int64_t)v * b->lanes), NULL);
}

/* Lanes beyond the last column: masked where they are neighbours in memory, else they read the last one again. */
void gemm_strided(const GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w)
{
	CgVal ptr = at(c, b->type, b->ptr, cg_mul(c, k, b->step)), zero = cg_idx(c, 0), full = cg_idx(c, b->lanes);
	int64_t unit;
	bool dense = cg_const(b->lane, &unit) && unit == 1;
	for (int v = 0; v < vecs; v++) {
		CgVal first = cg_idx(c, (int64_t)v * b->lanes);
		if (dense) {
			CgVal n = b->count ? cg_min(c, cg_max(c, cg_sub(c, b->count, first), zero), full) : NULL;
			w[v] = gemm_load(c, b->type, b->lanes, at(c, b->type, ptr, first), n);
			continue;
		}
		CgVal i = cg_add(c, first, cg_iota(c, cg_t(cg_index(c), b->lanes)));
		if (b->count)
			i = cg_min(c, i, cg_addi(c, b->count, -1));
		w[v] = widen(c, b->type, cg_gather(c, gemm_bits(b->type), ptr, cg_mul(c, i, b->lane)));
	}
}

void gemm_columns(const GemmWeights *b, Cg *c, CgVal k, int vecs, CgVal *w)
{
	CgVal ptr = at(c, b->type, b->ptr, cg_muli(c, k, b->lanes));
	for (int v = 0; v < vecs; v++)
		w[v] = gemm_load(c, b->type, b->lanes, at(c, b->type, ptr, cg_muli(c, b->lane, v)), b->count);
}

/* ---- the shape of a tile ------------------------------------------------------------------------------- */

/* Registers that accumulators, weights and a row's element may take together. */
static int registers(const WqTarget *t, CgKind acc)
{
	bool floats = cg_is_float(acc), vectors = gemm_lanes(t, acc) > 1;
	if (!vectors && (!floats || (acc == CG_F64 ? !t->hard_f64 : !t->hard_f32)))
		return 8; /* general registers, some of which hold addresses */
	return t->fma || !floats ? t->vector_regs : t->vector_regs - 1;
}

/* Accumulators that take turns: eight are needed, since a sum takes four cycles and two start in each. */
static int chains_of(int rows, int vecs)
{
	int n = 8 / (rows * vecs);
	return n < 1 ? 1 : n;
}

/* What one step of k takes, in sixteenths of a cycle: two products or loads a cycle; that weights stream from the
 * second cache, and the loop itself, cost a little. */
static int64_t step_cost(int rows, int vecs)
{
	int products = rows * vecs, loads = vecs == 1 ? rows + 1 : rows + vecs;
	return 8 * (products > loads ? products : loads) + 3 * vecs + rows + 8;
}

/* The same for all rows and panels. */
static int64_t cover_cost(GemmShape s, int64_t rows, int64_t vecs)
{
	int64_t sum = 0;
	for (int last = 0; last < 2; last++) {
		int v = last ? (int)(vecs % s.vecs) : s.vecs;
		int64_t panels = last ? 1 : vecs / s.vecs, rest = rows % s.rows;
		if (v)
			sum += panels * (rows / s.rows * step_cost(s.rows, v) + (rest ? step_cost((int)rest, v) : 0));
	}
	return sum;
}

GemmShape gemm_shape(const WqTarget *t, CgKind acc, int64_t rows, int64_t vecs, int width)
{
	int limit = registers(t, acc);
	GemmShape best = {1, width ? width : 1};
	int64_t least = INT64_MAX;
	for (int v = width ? width : 1; v <= (width ? width : GEMM_VECS) && v <= vecs; v++)
		for (int r = 1; r <= GEMM_ROWS && (rows < 0 || r <= rows) && r * v <= GEMM_ACCS; r++) {
			if (r * v + v + 1 > limit)
				break;
			/* unknown: very many, so that what remains does not count */
			int64_t cost = cover_cost((GemmShape){r, v}, rows < 0 ? 360360 : rows, vecs);
			if (cost < least) {
				least = cost;
				best = (GemmShape){r, v};
			}
		}
	return best;
}

/* ---- tiles --------------------------------------------------------------------------------------------- */

void gemm_start(GemmTile *t, Cg *c, GemmShape s, CgType type, const CgVal *init)
{
	*t = (GemmTile){.c = c, .rows = s.rows, .vecs = s.vecs, .chains = chains_of(s.rows, s.vecs), .type = type};
	WQ_ASSERT(t->chains * t->rows * t->vecs <= GEMM_ACCS);
	for (int i = 0; i < t->chains * t->rows * t->vecs; i++)
		t->acc[i] = cg_var(c, init && i < t->rows * t->vecs ? init[i % t->vecs] : cg_zero(c, type));
}

static void step(GemmTile *t, uint32_t mask, const GemmRows *a, const GemmWeights *b, CgVal k, int chain)
{
	CgVal w[GEMM_VECS];
	b->load(b, t->c, k, t->vecs, w);
	for (int r = 0; r < t->rows; r++) {
		if (!(mask >> r & 1))
			continue;
		CgVal x = a->load(a, t->c, r, k);
		CgVar *acc = t->acc + (ptrdiff_t)(chain * t->rows + r) * t->vecs;
		for (int v = 0; v < t->vecs; v++)
			cg_set(t->c, acc[v], cg_is_float(t->type.kind) ? cg_fma(t->c, x, w[v], cg_get(t->c, acc[v]))
				: cg_add(t->c, cg_mul(t->c, x, w[v]), cg_get(t->c, acc[v])));
	}
}

enum { UNROLL = 48 }; /* products that are written out where the depth is a small number */

void gemm_steps(GemmTile *t, uint32_t mask, const GemmRows *a, const GemmWeights *b, CgVal count)
{
	Cg *c = t->c;
	int64_t n;
	if (cg_const(count, &n) && n * t->rows * t->vecs <= UNROLL) {
		for (int i = 0; i < n; i++)
			step(t, mask, a, b, cg_idx(c, i), i % t->chains);
		return;
	}
	CgVal zero = cg_idx(c, 0), whole = cg_sub(c, count, cg_urem(c, count, cg_idx(c, t->chains)));
	CgVal k = cg_for(c, zero, whole, t->chains);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	for (int i = 0; i < t->chains; i++)
		step(t, mask, a, b, cg_addi(c, k, i), i);
	cg_end(c);
	if (t->chains == 1)
		return;
	k = cg_for(c, whole, count, 1);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	step(t, mask, a, b, k, 0);
	cg_end(c);
}

CgVal gemm_result(GemmTile *t, int row, int vec)
{
	int at = row * t->vecs + vec, apart = t->rows * t->vecs;
	CgVal sum = cg_get(t->c, t->acc[at]);
	for (int i = 1; i < t->chains; i++)
		sum = cg_add(t->c, sum, cg_get(t->c, t->acc[i * apart + at]));
	return sum;
}

/* ---- covering a range with tiles -------------------------------------------------------------------------- */

static void loop(Cg *c, CgVal lo, CgVal hi, int rows, GemmBody *body, void *arg)
{
	CgVal first = cg_for(c, lo, hi, rows);
	cg_loop_hint(c, CG_NO_UNROLL | CG_NO_VECTOR);
	body(arg, first, rows);
	cg_end(c);
}

void gemm_cover(Cg *c, CgVal lo, CgVal hi, int64_t rest, int rows, GemmBody *body, void *arg)
{
	int64_t known;
	CgVal n = cg_sub(c, hi, lo);
	if (cg_const(n, &known)) {
		CgVal end = cg_addi(c, lo, known - known % rows);
		if (known >= rows)
			loop(c, lo, end, rows, body, arg);
		if (known % rows)
			body(arg, end, (int)(known % rows));
		return;
	}
	for (int r = rows; r; r = rest >= 0 ? 0 : r > 4 ? 4 : r > 1) {
		CgVal end = cg_sub(c, hi, cg_urem(c, cg_sub(c, hi, lo), cg_idx(c, r)));
		loop(c, lo, end, r, body, arg);
		lo = end;
	}
	if (rest > 0) {
		cg_if(c, cg_cmp(c, CG_LT, lo, hi));
		body(arg, lo, (int)rest);
		cg_end(c);
	}
}

/* ---- packed weights ------------------------------------------------------------------------------------------ */

int gemm_last_vecs(const GemmPanels *p)
{
	int64_t rest = p->cols % ((int64_t)p->vecs * p->lanes);
	return rest ? (int)((rest + p->lanes - 1) / p->lanes) : p->vecs;
}

int64_t gemm_panels_bytes(const GemmPanels *p)
{
	int64_t vecs = (p->cols + p->lanes - 1) / p->lanes;
	return wq_mul_checked(wq_mul_checked(vecs * p->lanes, p->depth, "packed weights"), p->bytes, "packed weights");
}

void gemm_pack(const GemmPanels *p, GemmElement *get, const void *arg, void *out)
{
	char *to = out;
	size_t size = (size_t)p->bytes;
	for (int64_t first = 0; first < p->cols; first += (int64_t)p->vecs * p->lanes) {
		int64_t left = (p->cols - first + p->lanes - 1) / p->lanes;
		int64_t width = (left < p->vecs ? left : p->vecs) * p->lanes;
		for (int64_t k = 0; k < p->depth; k++)
			for (int64_t i = 0; i < width; i++, to += size)
				if (first + i < p->cols)
					memcpy(to, get(arg, k, first + i), size);
				else
					memset(to, 0, size);
	}
}
