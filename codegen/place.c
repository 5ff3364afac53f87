/* place.c: where each value is: in registers, in the caller's buffers, in the arena, among the weights, or a view of another; and when.
 */
#include "codegen/program.h"

/* ---- table ------------------------------------------------------------------------------------------------ */

typedef struct PlaceTable {
	WqPlace **slot;
	int n, cap;
} PlaceTable;

static size_t slot_of(const PlaceTable *t, const WqValue *v)
{
	size_t h = (size_t)((uintptr_t)v >> 4) * 0x9e3779b97f4a7c15u;
	size_t i = (h >> 20) & (size_t)(t->cap - 1);
	while (t->slot[i] && t->slot[i]->v != v)
		i = (i + 1) & (size_t)(t->cap - 1);
	return i;
}

static void grow(WqBuild *b, PlaceTable *t)
{
	PlaceTable old = *t;
	t->cap = old.cap ? old.cap * 2 : 256;
	t->slot = WQ_NEW_N(b->a, WqPlace *, t->cap);
	for (int i = 0; i < old.cap; i++)
		if (old.slot[i])
			t->slot[slot_of(t, old.slot[i]->v)] = old.slot[i];
}

WqPlace *wq_place(WqBuild *b, const WqValue *v)
{
	if (!b->places)
		b->places = WQ_NEW(b->a, PlaceTable);
	PlaceTable *t = b->places;
	if (t->n * 2 >= t->cap)
		grow(b, t);
	size_t i = slot_of(t, v);
	if (!t->slot[i]) {
		t->slot[i] = WQ_NEW(b->a, WqPlace);
		t->slot[i]->v = v;
		t->slot[i]->item = -1;
		t->n++;
	}
	return t->slot[i];
}

/* ---- sizes -------------------------------------------------------------------------------------------------- */

int64_t wq_max_count(const WqModule *m, const WqType *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++) {
		int64_t hi = wq_dim_hi(m, t->dim[i]);
		if (hi >= WQ_DIM_INF || (hi > 0 && n > (INT64_MAX >> 8) / hi))
			return -1;
		n *= hi > 0 ? hi : 0;
	}
	return n;
}

int64_t wq_max_bytes(const WqModule *m, const WqType *t)
{
	int64_t n = wq_max_count(m, t);
	if (n < 0) {
		WqStr s = {.a = m->arena};
		wq_type_print(m, t, &s);
		wq_fail(WQ_EUNSUPPORTED, "a tensor %s has no upper bound: give its sizes one with --dim NAME<=N", s.s);
	}
	return n * (int64_t)kg_bytes(t->dtype);
}

/* ---- kinds ------------------------------------------------------------------------------------------------------ */

static bool plain_order(const WqPlace *p)
{
	for (int i = 0; i < p->v->type.rank; i++)
		if (p->order[i] != i)
			return false;
	return p->dense;
}

static bool is_tensor(const WqValue *v) { return v->type.kind == WQ_TENSOR && v->type.rank >= 0; }

static void in_arena(WqBuild *b, WqPlace *p, int begin, int end)
{
	p->kind = PLACE_ARENA;
	p->bytes = wq_max_bytes(b->m, &p->v->type);
	p->begin = begin;
	p->end = end;
}

/* A result that its group stores: straight into the caller's buffer when it is an output that lies as the caller sees it. */
static void store_result(WqBuild *b, WqGroup *g, const WqValue *v, const WqGraph *graph)
{
	WqPlace *p = wq_place(b, v);
	p->group = g;
	if (!graph->parent && plain_order(p))
		for (int i = 0; i < graph->outputs.n; i++)
			if (graph->outputs.v[i].value == v) {
				p->kind = PLACE_OUTPUT;
				p->index = i;
				p->begin = p->end = g->step;
				return;
			}
	in_arena(b, p, g->step, g->last);
}

static void place_group(WqBuild *b, WqGroup *g, const WqGraph *graph)
{
	for (int i = 0; i < g->nodes.n; i++)
		for (int j = 0; j < g->nodes.v[i]->n_out; j++)
			if (g->nodes.v[i]->out[j]) {
				WqPlace *p = wq_place(b, g->nodes.v[i]->out[j]);
				p->kind = PLACE_FUSED;
				p->group = g;
			}
	if (g->kind == GROUP_VIEW) {
		WqPlace *p = wq_place(b, g->root->out[0]);
		p->kind = PLACE_VIEW;
		p->base = g->root->in[0];
		p->node = g->root;
		return;
	}
	for (int i = 0; i < g->out.n; i++)
		if (is_tensor(g->out.v[i]))
			store_result(b, g, g->out.v[i], graph);
	if (g->kind != GROUP_CONTROL)
		return;
	for (int k = 0; k < g->root->n_body; k++) {
		const WqGraph *body = g->root->body[k];
		for (int i = 0; i < body->inputs.n; i++)
			if (is_tensor(body->inputs.v[i]))
				in_arena(b, wq_place(b, body->inputs.v[i]), g->step, g->last);
	}
}

static void number_steps(WqBuild *b, WqGroups *gs)
{
	for (int i = 0; i < gs->v.n; i++) {
		WqGroup *g = gs->v.v[i];
		g->step = b->steps++;
		for (int k = 0; k < g->root->n_body && g->kind == GROUP_CONTROL; k++)
			number_steps(b, wq_groups_of(b, g->root->body[k]));
		g->last = g->kind == GROUP_CONTROL ? b->steps++ : g->step;
		place_group(b, g, gs->graph);
	}
}

/* ---- parts: what is concatenated is written where it belongs ------------------------------------------------------- */

static bool same_order(const WqPlace *p, const WqPlace *q)
{
	return p->dense && q->dense && !memcmp(p->order, q->order, (size_t)p->v->type.rank);
}

/* Does every reader of v take it with any strides? */
static bool readers_take_strides(WqBuild *b, const WqValue *v)
{
	for (int i = 0; i < v->uses.n; i++) {
		const WqNode *u = v->uses.v[i].node;
		if (u->op == OP_Reshape && wq_place(b, u->out[0])->kind == PLACE_VIEW)
			return false;
	}
	return !wq_value_is_output(v);
}

static bool may_be_part(WqBuild *b, const WqNode *n, int i)
{
	const WqValue *v = n->in[i];
	const WqPlace *p = wq_place(b, v);
	if (v->data || p->kind != PLACE_ARENA || !p->group || p->group->kind == GROUP_CONTROL || v->graph != n->graph)
		return false;
	for (int j = 0; j < n->n_in; j++)
		if (j != i && n->in[j] == v)
			return false;
	return same_order(p, wq_place(b, n->out[0])) && readers_take_strides(b, v);
}

/* Is axis the outermost in memory, but for sizes of 1? Then a part is a block itself. */
static bool outermost(const WqPlace *p, int axis)
{
	for (int i = 0; p->order[i] != axis; i++)
		if (p->v->type.dim[p->order[i]] != 1)
			return false;
	return true;
}

static void place_parts(WqBuild *b, WqGroup *g)
{
	const WqNode *n = g->root;
	const WqPlace *r = wq_place(b, n->out[0]);
	if (n->op != OP_Concat || g->kind != GROUP_KERNEL || g->nodes.n != 1 || (r->kind != PLACE_ARENA && r->kind != PLACE_OUTPUT))
		return;
	int64_t axis = wq_attr_i(n, "axis");
	axis += axis < 0 ? n->out[0]->type.rank : 0;
	int parts = 0;
	for (int i = 0; i < n->n_in; i++) {
		if (!may_be_part(b, n, i))
			continue;
		WqPlace *p = wq_place(b, n->in[i]);
		p->kind = PLACE_PART;
		p->base = n->out[0];
		p->node = n;
		p->index = i;
		p->dense = outermost(p, (int)axis);
		parts++;
	}
	if (parts == n->n_in)
		g->kind = GROUP_VIEW; /* nothing is left to do */
}

static void all_parts(WqBuild *b)
{
	for (int i = 0; i < b->graphs.n; i++)
		for (int j = 0; j < b->graphs.v[i]->v.n; j++)
			place_parts(b, b->graphs.v[i]->v.v[j]);
}

/* ---- lifetimes ------------------------------------------------------------------------------------------------- */

const WqValue *wq_base(WqBuild *b, const WqValue *v)
{
	WqPlace *p = wq_place(b, v);
	while (p->kind == PLACE_VIEW || p->kind == PLACE_PART) {
		v = p->base;
		p = wq_place(b, v);
	}
	return v;
}

static void used_at(WqBuild *b, const WqValue *v, int step)
{
	WqPlace *p = wq_place(b, wq_base(b, v));
	if (p->kind == PLACE_ARENA && p->end < step)
		p->end = step;
	if (p->kind == PLACE_ARENA && p->begin > step)
		p->begin = step;
}

static void lifetimes(WqBuild *b)
{
	for (int i = 0; i < b->graphs.n; i++) {
		const WqGroups *gs = b->graphs.v[i];
		for (int j = 0; j < gs->v.n; j++) {
			const WqGroup *g = gs->v.v[j];
			for (int k = 0; k < g->in.n; k++)
				used_at(b, g->in.v[k], g->last);
			for (int k = 0; k < g->out.n; k++)
				used_at(b, g->out.v[k], g->step);
			for (int k = 0; k < g->root->n_body && g->kind == GROUP_CONTROL; k++)
				for (int o = 0; o < g->root->body[k]->outputs.n; o++)
					used_at(b, g->root->body[k]->outputs.v[o].value, g->last);
		}
		if (!gs->graph->parent)
			for (int o = 0; o < gs->graph->outputs.n; o++)
				used_at(b, gs->graph->outputs.v[o].value, b->steps);
	}
}

static int new_item(WqBuild *b, int64_t bytes, int begin, int end)
{
	WqPlanItem it = {.bytes = bytes, .begin = begin, .end = end};
	WQ_PUSH(b->a, b->items, it);
	return b->items.n - 1;
}

static void scratch_items(WqBuild *b)
{
	for (int i = 0; i < b->graphs.n; i++)
		for (int j = 0; j < b->graphs.v[i]->v.n; j++) {
			WqGroup *g = b->graphs.v[i]->v.v[j];
			g->scratch_item = -1;
			const WqEmit *e = wq_emit(g->root->op);
			if (g->kind != GROUP_KERNEL || !e->scratch)
				continue;
			g->scratch = (e->scratch(b->target, g->root) + 63) / 64 * 64;
			if (g->scratch > 0)
				g->scratch_item = new_item(b, g->scratch * b->max_threads, g->step, g->step);
		}
}

static bool is_body_input(const WqGraph *body, const WqValue *v)
{
	return v->graph == body && !v->def && !v->data;
}

/* A carried value whose next one is a view of some old one waits in memory of its own while they change places. */
static void temp_items(WqBuild *b, WqGroup *g)
{
	const WqGraph *body = g->root->body[0];
	int carried = body->inputs.n - 2;
	g->temp_item = WQ_NEW_N(b->a, int, carried + 1);
	for (int j = 0; j < carried; j++) {
		const WqValue *next = body->outputs.v[1 + j].value;
		g->temp_item[j] = -1;
		if (is_tensor(next) && next != body->inputs.v[2 + j] && !next->data && is_body_input(body, wq_base(b, next)))
			g->temp_item[j] = new_item(b, wq_max_bytes(b->m, &next->type), g->step, g->last);
	}
}

static void loop_items(WqBuild *b)
{
	for (int i = 0; i < b->graphs.n; i++)
		for (int j = 0; j < b->graphs.v[i]->v.n; j++)
			if (b->graphs.v[i]->v.v[j]->root->op == OP_Loop)
				temp_items(b, b->graphs.v[i]->v.v[j]);
}

static void plan(WqBuild *b)
{
	PlaceTable *t = b->places;
	/* in the order of definition, not of addresses: the plan must be the same in every run */
	WQ_VEC(WqPlace *) list = {0};
	for (int i = 0; i < t->cap; i++)
		if (t->slot[i] && t->slot[i]->kind == PLACE_ARENA)
			WQ_PUSH(b->a, list, t->slot[i]);
	for (int gap = list.n / 2; gap > 0; gap /= 2)
		for (int i = gap; i < list.n; i++)
			for (int j = i - gap; j >= 0; j -= gap) {
				WqPlace *x = list.v[j], *y = list.v[j + gap];
				if (x->begin < y->begin || (x->begin == y->begin && strcmp(x->v->name, y->v->name) <= 0))
					break;
				list.v[j] = y;
				list.v[j + gap] = x;
			}
	for (int i = 0; i < list.n; i++)
		list.v[i]->item = new_item(b, list.v[i]->bytes, list.v[i]->begin, list.v[i]->end);
	scratch_items(b);
	loop_items(b);
	b->p->arena_bytes = wq_plan(b->items.v, b->items.n, 64, &b->p->live_bytes, b->a);
	for (int i = 0; i < list.n; i++)
		list.v[i]->offset = b->items.v[list.v[i]->item].offset;
}

void wq_places(WqBuild *b)
{
	const WqGraph *g = b->m->main;
	for (int i = 0; i < g->inputs.n; i++) {
		WqPlace *p = wq_place(b, g->inputs.v[i]);
		p->kind = PLACE_INPUT;
		p->index = i;
	}
	number_steps(b, wq_groups_of(b, g));
	all_parts(b);
	lifetimes(b);
	plan(b);
}
