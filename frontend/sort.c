/* sort.c: the order in which a graph's nodes can run. ONNX wants them sorted; files in the wild are not always. */
#include "frontend/importer.h"

typedef WQ_VEC(int) Ints;

typedef struct Sort {
	Importer *im;
	size_t n;
	Onnx__NodeProto *const *nodes;
	WqMap *maker; /* name -> index of its node, plus 1 */
	Ints *deps;   /* per node: the nodes it needs */
	bool sorted;  /* as it stands */
} Sort;

/* The names that a nested graph defines itself hide those outside. */
typedef struct Hidden {
	const struct Hidden *up;
	WqMap *names;
	int depth;
} Hidden;

static void find_makers(Sort *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->nodes[i]->n_output; k++) {
			const char *name = s->nodes[i]->output[k];
			if (!*name)
				continue;
			intptr_t first = (intptr_t)wq_map_get(s->maker, name);
			if (first)
				wq_fail(WQ_EINPUT, "value '%.200s' is defined twice: by %s and by %s", name,
					node_label(s->im, s->nodes[first - 1]), node_label(s->im, s->nodes[i]));
			if (wq_map_get(s->im->scope->values, name))
				wq_fail(WQ_EINPUT,
					"value '%.200s' is defined twice: as an input or initializer, and by %s", name,
					node_label(s->im, s->nodes[i]));
			wq_map_put(s->maker, name, (void *)(intptr_t)(i + 1));
		}
}

static void need_name(Sort *s, int node, const char *name, const Hidden *h)
{
	for (; h; h = h->up)
		if (wq_map_get(h->names, name))
			return;
	intptr_t k = (intptr_t)wq_map_get(s->maker, name);
	if (!k)
		return;
	WQ_PUSH(s->im->tmp, s->deps[node], (int)(k - 1));
	if (k - 1 >= node)
		s->sorted = false;
}

static void need_node(Sort *s, int node, const Onnx__NodeProto *p, const Hidden *up);

static void need_graph(Sort *s, int node, const Onnx__GraphProto *g, const Hidden *up)
{
	Hidden h = { up, wq_map_new(s->im->tmp), up ? up->depth + 1 : 0 };
	if (h.depth > WQ_MAX_DEPTH)
		wq_fail(WQ_EINPUT, "graphs are nested deeper than %d", WQ_MAX_DEPTH);
	for (size_t i = 0; i < g->n_input; i++)
		if (g->input[i]->name)
			wq_map_put(h.names, g->input[i]->name, s);
	for (size_t i = 0; i < g->n_initializer; i++)
		if (g->initializer[i]->name)
			wq_map_put(h.names, g->initializer[i]->name, s);
	for (size_t i = 0; i < g->n_node; i++)
		for (size_t k = 0; k < g->node[i]->n_output; k++)
			wq_map_put(h.names, g->node[i]->output[k], s);
	for (size_t i = 0; i < g->n_node; i++)
		need_node(s, node, g->node[i], &h);
	for (size_t i = 0; i < g->n_output; i++)
		if (g->output[i]->name)
			need_name(s, node, g->output[i]->name, &h);
}

static void need_node(Sort *s, int node, const Onnx__NodeProto *p, const Hidden *up)
{
	for (size_t i = 0; i < p->n_input; i++)
		if (*p->input[i])
			need_name(s, node, p->input[i], up);
	for (size_t i = 0; i < p->n_attribute; i++) {
		const Onnx__AttributeProto *a = p->attribute[i];
		if (a->g)
			need_graph(s, node, a->g, up);
		for (size_t k = 0; k < a->n_graphs; k++)
			need_graph(s, node, a->graphs[k], up);
	}
}

/* path[0 .. n-1] are nodes each of which needs the next; the last needs `again`, which is among them. */
WQ_NORETURN static void fail_cycle(Sort *s, const int *path, int n, int again)
{
	WqStr b = { .a = s->im->tmp };
	int first = 0;
	while (path[first] != again)
		first++;
	for (int i = first; i < n; i++) {
		if (i - first == 8) {
			wq_str_printf(&b, "%d more, then ", n - i);
			break;
		}
		wq_str_printf(&b, "%s needs ", node_label(s->im, s->nodes[path[i]]));
	}
	wq_fail(WQ_EINPUT, "the graph has a cycle: %s%s", b.s, node_label(s->im, s->nodes[again]));
}

/* Depth first, with a stack of our own: a chain may be as long as the model. */
static void visit(Sort *s, int root, char *state, int *path, int *next, int *order, int *n_order)
{
	enum { NEW, OPEN, DONE };
	int n = 0;
	path[n++] = root;
	state[root] = OPEN;
	while (n) {
		int v = path[n - 1];
		if (next[v] == s->deps[v].n) {
			state[v] = DONE;
			order[(*n_order)++] = v;
			n--;
			continue;
		}
		int d = s->deps[v].v[next[v]++];
		if (state[d] == OPEN)
			fail_cycle(s, path, n, d);
		if (state[d] == NEW) {
			state[d] = OPEN;
			path[n++] = d;
		}
	}
}

int *import_order(Importer *im, size_t n, Onnx__NodeProto *const *nodes)
{
	if (n > INT32_MAX / 2)
		wq_fail(WQ_EINPUT, "a graph has %zu nodes", n);
	Sort s = { im, n, nodes, wq_map_new(im->tmp), WQ_NEW_N(im->tmp, Ints, n), true };
	int *order = WQ_NEW_N(im->tmp, int, n);
	find_makers(&s);
	for (size_t i = 0; i < n; i++)
		need_node(&s, (int)i, nodes[i], NULL);
	if (s.sorted) {
		for (size_t i = 0; i < n; i++)
			order[i] = (int)i;
		return order;
	}
	char *state = WQ_NEW_N(im->tmp, char, n);
	int *path = WQ_NEW_N(im->tmp, int, n), *next = WQ_NEW_N(im->tmp, int, n), n_order = 0;
	for (size_t i = 0; i < n; i++)
		if (!state[i])
			visit(&s, (int)i, state, path, next, order, &n_order);
	return order;
}
