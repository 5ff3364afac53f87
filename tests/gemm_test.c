/* Register tiles on plain pointers, compared with loops; every buffer ends at a page that faults. */
#include "codegen/codegen.h"
#include "codegen/gemm.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const CgType P = {CG_PTR, 1};

/* n bytes that end where memory does. */
static void *fenced(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page + page;
	char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	mprotect(p + room - page, page, PROT_NONE);
	return p + room - page - n;
}

static float *numbers(int64_t n, unsigned seed)
{
	float *p = fenced((size_t)n * sizeof *p);
	for (int64_t i = 0; i < n; i++)
		p[i] = (float)((int)((seed = seed * 1664525u + 1013904223u) >> 16) % 17 - 8) / 8;
	return p;
}

/* y[rows][cols] = x[rows][depth] w, where w is packed, or in place with strides, or read along k by dot products. */
enum { PANELS, IN_PLACE, TRANSPOSED, DOT };
typedef struct Case {
	Cg *c;
	int mode, lanes;
	CgVal y, x, w, first;
	int64_t rows, cols, depth;
	GemmShape shape, panel;
} Case;

static void store(Case *t, GemmTile *tile, CgVal first, int row, int v)
{
	Cg *c = t->c;
	bool dot = t->mode == DOT;
	CgVal value = gemm_result(tile, row, v), col = cg_addi(c, t->first, (int64_t)v * (dot ? 1 : t->lanes));
	CgVal to = cg_at(c, CG_F32, t->y, cg_add(c, cg_muli(c, cg_addi(c, first, row), t->cols), col));
	if (dot)
		cg_store(c, cg_hsum(c, value), to, 0);
	else
		cg_store_part(c, value, to, cg_min(c, cg_sub(c, cg_idx(c, t->cols), col), cg_idx(c, t->lanes)), 0);
}

static GemmWeights weights(const Case *t)
{
	Cg *c = t->c;
	GemmWeights w = {gemm_panel, gemm_type(CG_F32, true), t->lanes, .ptr = t->w};
	w.step = cg_idx(c, t->mode == IN_PLACE ? t->cols : 1);
	w.lane = cg_idx(c, t->mode == IN_PLACE ? 1 : t->depth);
	if (t->mode == PANELS) {
		w.ptr = cg_at(c, CG_F32, w.ptr, cg_muli(c, t->first, t->depth));
		return w;
	}
	w.load = t->mode == DOT ? gemm_columns : gemm_strided;
	w.ptr = cg_at(c, CG_F32, w.ptr, cg_mul(c, t->first, w.lane));
	w.count = t->mode == DOT ? NULL : cg_sub(c, cg_idx(c, t->cols), t->first);
	return w;
}

static void body(void *arg, CgVal first, int rows)
{
	Case *t = arg;
	Cg *c = t->c;
	GemmRows a = {gemm_row_splat, gemm_type(CG_F32, true), t->lanes, .row = cg_idx(c, t->depth), .step = cg_idx(c, 1)};
	GemmWeights w = weights(t);
	GemmTile tile;
	a.ptr = cg_at(c, CG_F32, t->x, cg_muli(c, first, t->depth));
	gemm_start(&tile, c, (GemmShape){rows, t->panel.vecs}, cg_t(CG_F32, t->lanes), NULL);
	if (t->mode == DOT) {
		int64_t whole = t->depth / t->lanes, done = whole * t->lanes;
		a.load = gemm_row_vector;
		gemm_steps(&tile, UINT32_MAX, &a, &w, cg_idx(c, whole));
		a.ptr = cg_ati(c, CG_F32, a.ptr, done);
		w.ptr = cg_ati(c, CG_F32, w.ptr, done);
		a.count = w.count = cg_idx(c, t->depth - done);
		gemm_steps(&tile, UINT32_MAX, &a, &w, cg_idx(c, t->depth > done));
	} else {
		gemm_steps(&tile, UINT32_MAX, &a, &w, cg_idx(c, t->depth));
	}
	for (int r = 0; r < rows; r++)
		for (int v = 0; v < t->panel.vecs; v++)
			store(t, &tile, first, r, v);
}

typedef void Run(float *y, const float *x, const float *w, int64_t rows);

/* any: the loops over rows are emitted for any number. */
static Run *compile(WqArena *a, Case *t, bool any)
{
	WqProgram *p = WQ_NEW(a, WqProgram);
	CgFn f;
	p->a = a;
	p->o = (WqCodeOptions){.target = wq_target("native", NULL, NULL, a), .level = 3};
	Cg *c = t->c = p->cg = cg_new(p->o.target, "test", a);
	t->lanes = gemm_lanes(p->o.target, CG_F32);
	int per = t->mode == DOT ? 1 : t->lanes, columns = (int)((t->cols + per - 1) / per);
	t->shape = gemm_shape(p->o.target, CG_F32, any ? -1 : t->rows, columns, 0);
	CgType ix = {cg_index(c), 1};
	cg_fn_begin(c, &f, "run", cg_t(CG_VOID, 1), 4, (CgType[]){P, P, P, ix}, 7, 6, CG_EXPORT);
	t->y = f.param[0];
	t->x = f.param[1];
	t->w = f.param[2];
	for (int at = 0; at < columns; at += t->shape.vecs) {
		t->panel = (GemmShape){t->shape.rows, columns - at < t->shape.vecs ? columns - at : t->shape.vecs};
		t->first = cg_idx(c, (int64_t)at * per);
		gemm_cover(c, cg_idx(c, 0), any ? f.param[3] : cg_idx(c, t->rows), -1, t->shape.rows, body, t);
	}
	cg_return(c, NULL);
	cg_fn_end(c);
	return (Run *)(uintptr_t)wq_jit_symbol(wq_jit_new(p), "run");
}

static const void *element(const void *arg, int64_t k, int64_t col)
{
	const Case *t = ((void *const *)arg)[0];
	const float *w = ((void *const *)arg)[1];
	return w + k * t->cols + col;
}

/* w as the mode wants it. */
static float *arrange(const Case *t, float *w)
{
	if (t->mode == IN_PLACE)
		return w;
	if (t->mode == PANELS) {
		GemmPanels p = {t->depth, t->cols, t->shape.vecs, t->lanes, 4};
		float *out = fenced((size_t)gemm_panels_bytes(&p));
		gemm_pack(&p, element, (const void *[]){t, w}, out);
		return out;
	}
	float *out = fenced((size_t)(t->depth * t->cols) * sizeof *out);
	for (int64_t k = 0; k < t->depth; k++)
		for (int64_t j = 0; j < t->cols; j++)
			out[j * t->depth + k] = w[k * t->cols + j];
	return out;
}

static void try(int mode, int64_t rows, int64_t cols, int64_t depth, bool any)
{
	WqArena *a = wq_arena_new();
	Case t = {.mode = mode, .rows = rows, .cols = cols, .depth = depth};
	Run *run = compile(a, &t, any);
	float *x = numbers(rows * depth, 1), *w = numbers(depth * cols, 2), *y = fenced((size_t)(rows * cols) * sizeof *y);
	run(y, x, arrange(&t, w), rows);
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < cols; j++) {
			float sum = 0;
			for (int64_t k = 0; k < depth; k++)
				sum += x[i * depth + k] * w[k * cols + j];
			CHECK(y[i * cols + j] == sum); /* small multiples of 1/64: exact in any order */
		}
	wq_arena_free(a);
}

TEST(odd_shapes)
{
	static const int64_t shape[][3] = {{1, 1, 1}, {1, 33, 7}, {2, 16, 0}, {5, 20, 65}, {13, 48, 3}, {14, 31, 64},
		{29, 70, 9}, {64, 64, 100}};
	for (int mode = PANELS; mode <= DOT; mode++)
		for (int i = 0; i < WQ_COUNTOF(shape); i++)
			try(mode, shape[i][0], shape[i][1], shape[i][2], (mode + i) % 2);
}

TEST_MAIN(TEST_RUN(odd_shapes))
