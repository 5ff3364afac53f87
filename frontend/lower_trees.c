/* lower_trees.c: ensembles of decision trees, all trees and rows at once: a Loop of as many steps as the deepest tree
 * has takes places [N, trees] in one table of all nodes to the next.
 *
 * Every comparison becomes x <= split or x == split: > and >= change the branches, < takes the next smaller split, and
 * a set of members is a chain of ==. A leaf leads to itself.
 */
#include <math.h>
#include <stdlib.h>

#include "frontend/lower_loop.h"
#include "frontend/lower_ml.h"

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };
enum { AVERAGE, SUM, MIN, MAX };
enum { MOST_VOTES = 1 << 26 };

typedef struct Node {
	int64_t feature, yes, no;
	double split;
	bool equal;   /* else: at most */
	bool missing; /* NaN takes `yes` */
	bool leaf;
} Node;

typedef struct Vote {
	int64_t node, target;
	double weight;
} Vote;

typedef struct Trees {
	Lower *L;
	WqDtype t; /* of comparisons and sums */
	WQ_VEC(Node) node;
	WQ_VEC(int64_t) root;
	WQ_VEC(Vote) vote;
	int64_t targets;
	int aggregate;
	WqValue *base; /* [targets], [1], or NULL */
} Trees;

/* ---- nodes -------------------------------------------------------------------------------------------------- */

static double below(const Trees *t, double v)
{
	return t->t == WQ_F64 ? nextafter(v, -INFINITY) : (double)nextafterf((float)v, -INFINITY);
}

/* Node n as `mode` says; not MEMBER. Comparisons with NaN are false, but for !=. */
static void set_mode(const Trees *t, Node *n, int mode)
{
	if (mode == LT || mode == GTE)
		n->split = n->split == -INFINITY ? NAN : below(t, n->split);
	n->equal = mode == EQ || mode == NEQ;
	if (mode == GT || mode == GTE || mode == NEQ) {
		int64_t yes = n->yes;
		n->yes = n->no;
		n->no = yes;
		n->missing = mode != NEQ && !n->missing;
	}
}

/* How many steps from the roots to the leaves. A node is looked at again when what is below it is known; meanwhile it
 * is open, as are those above it. */
static int64_t depth_of(const Trees *t)
{
	enum { NEW, OPEN, DONE };
	const Node *v = t->node.v;
	char *state = WQ_NEW_N(t->L->m->arena, char, t->node.n);
	int64_t *depth = WQ_NEW_N(t->L->m->arena, int64_t, t->node.n), most = 0;
	WQ_VEC(int64_t) stack = { 0 };
	for (int i = 0; i < t->root.n; i++)
		WQ_PUSH(t->L->m->arena, stack, t->root.v[i]);
	while (stack.n) {
		int64_t i = stack.v[stack.n - 1], down[] = { v[i].yes, v[i].no };
		if (state[i] == DONE || v[i].leaf) {
			state[i] = DONE;
			stack.n--;
			continue;
		}
		bool ready = state[i] == OPEN;
		state[i] = OPEN;
		for (int k = 0; k < 2; k++) {
			if (state[down[k]] == NEW)
				WQ_PUSH(t->L->m->arena, stack, down[k]);
			else if (state[down[k]] == OPEN)
				lo_bad(t->L, "a tree has a loop");
		}
		if (ready) {
			depth[i] = 1 + (depth[down[0]] > depth[down[1]] ? depth[down[0]] : depth[down[1]]);
			state[i] = DONE;
		}
	}
	for (int i = 0; i < t->root.n; i++)
		most = depth[t->root.v[i]] > most ? depth[t->root.v[i]] : most;
	return most;
}

/* ---- the walk -------------------------------------------------------------------------------------------------- */

enum { FEATURE, YES, NO, SPLIT, EQUAL, MISSING };

static double field_of(const Node *n, int field)
{
	switch (field) {
	case FEATURE: return (double)n->feature;
	case YES: return (double)n->yes;
	case NO: return (double)n->no;
	case SPLIT: return n->split;
	case EQUAL: return n->equal;
	default: return n->missing;
	}
}

/* A field of all nodes as a constant. *all, *any: whether it is true of branches. */
static WqValue *table(const Trees *t, int field, WqDtype type, bool *all, bool *any)
{
	WqTensor *c = wq_tensor_new(t->L->m, type, 1, (int64_t[]){ t->node.n });
	*all = true;
	*any = false;
	for (int i = 0; i < t->node.n; i++) {
		double v = field_of(&t->node.v[i], field);
		wq_tensor_set_f(c, i, v);
		if (!t->node.v[i].leaf && v != 0)
			*any = true;
		else if (!t->node.v[i].leaf)
			*all = false;
	}
	return wq_const(t->L->g, NULL, c);
}

static WqValue *step(const Trees *t, WqValue *x, WqValue *at, WqValue *const *of, bool all_equal, bool any_equal,
	bool any_missing)
{
	Lower *L = t->L;
	WqNode *n = lo_node(L, OP_GatherElements, 2, x, lo2(L, OP_Gather, of[FEATURE], at));
	wq_set_i(n, "axis", 1);
	WqValue *v = lo_result(L, n), *split = lo2(L, OP_Gather, of[SPLIT], at), *yes = NULL;
	if (any_equal)
		yes = lo2(L, OP_Equal, v, split);
	if (!all_equal) {
		WqValue *most = lo2(L, OP_LessOrEqual, v, split);
		yes = yes ? lo3(L, OP_Where, lo2(L, OP_Gather, of[EQUAL], at), yes, most) : most;
	}
	if (any_missing)
		yes = lo2(L, OP_Or, yes, lo2(L, OP_And, lo1(L, OP_IsNaN, v), lo2(L, OP_Gather, of[MISSING], at)));
	return lo3(L, OP_Where, yes, lo2(L, OP_Gather, of[YES], at), lo2(L, OP_Gather, of[NO], at));
}

/* x [N,F] of type t->t; i64 [N, trees]: the leaves */
static WqValue *leaves(const Trees *t, WqValue *x)
{
	Lower *L = t->L;
	static const WqDtype type[] = { WQ_I64, WQ_I64, WQ_I64, WQ_F64, WQ_BOOL, WQ_BOOL };
	WqValue *of[WQ_COUNTOF(type)];
	bool all[WQ_COUNTOF(type)], any[WQ_COUNTOF(type)];
	for (int i = 0; i < WQ_COUNTOF(type); i++)
		of[i] = table(t, i, i == SPLIT ? t->t : type[i], &all[i], &any[i]);
	WqValue *at = lo_expand(L, lo_i64s(L, t->root.n, t->root.v), 2, (WqDim[]){ lo_dim(L, x, 0), t->root.n });
	int64_t depth = depth_of(t);
	if (depth == 0)
		return at;
	LoLoop loop;
	lo_loop_begin(L, &loop, depth, 1, &at);
	WqValue *next = step(t, x, loop.state[0], of, all[EQUAL], any[EQUAL], any[MISSING]);
	lo_loop_end(L, &loop, &next, 0, NULL, &at);
	return at;
}

/* ---- votes ---------------------------------------------------------------------------------------------------- */

/* The votes of every node in a row: their targets and weights [nodes, *width]; what is left of a row is for a target
 * that is dropped. */
static void vote_tables(const Trees *t, int64_t *width, bool *spare, WqValue **target, WqValue **weight)
{
	WqModule *m = t->L->m;
	int64_t n = t->node.n, most = 1, *count = WQ_NEW_N(m->arena, int64_t, n);
	for (int i = 0; i < t->vote.n; i++)
		if (++count[t->vote.v[i].node] > most)
			most = count[t->vote.v[i].node];
	*width = most;
	*spare = false;
	for (int64_t i = 0; i < n; i++)
		*spare |= t->node.v[i].leaf && count[i] < most;
	if (n * most > MOST_VOTES)
		lo_unsupported(t->L, "%lld nodes of which one has %lld votes", (long long)n, (long long)most);
	WqTensor *id = wq_tensor_new(m, WQ_I64, 2, (int64_t[]){ n, most }), *w = wq_tensor_new(m, t->t, 2, id->dim);
	for (int64_t i = 0; *spare && i < n * most; i++)
		wq_tensor_set_i(id, i, t->targets);
	memset(count, 0, (size_t)n * sizeof *count);
	for (int i = 0; i < t->vote.n; i++) {
		int64_t at = t->vote.v[i].node * most + count[t->vote.v[i].node]++;
		wq_tensor_set_i(id, at, t->vote.v[i].target);
		wq_tensor_set_f(w, at, t->vote.v[i].weight);
	}
	*target = wq_const(t->L->g, NULL, id);
	*weight = wq_const(t->L->g, NULL, w);
}

/* The rows in the type of comparisons, which is also the sums'. */
static WqValue *input(Trees *t, bool doubles)
{
	WqValue *x = ml_rows(t->L, ml_float(t->L, lo_need(t->L, 0)));
	t->t = doubles ? WQ_F64 : lo_type_of(x);
	return lo_cast(t->L, x, t->t);
}

static void check_features(const Trees *t, const WqValue *x)
{
	WqDim features = lo_dim(t->L, x, 1);
	for (int i = 0; i < t->node.n; i++)
		if (t->node.v[i].feature < 0 || (wq_dim_static(features) && t->node.v[i].feature >= features))
			lo_bad(t->L, "a node asks for feature %lld", (long long)t->node.v[i].feature);
}

static void check_votes(const Trees *t)
{
	if (t->targets < 1 || t->targets > INT32_MAX)
		lo_bad(t->L, "%lld targets", (long long)t->targets);
	for (int i = 0; i < t->vote.n; i++) {
		int64_t target = t->vote.v[i].target;
		if (target < 0 || target >= t->targets)
			lo_bad(t->L, "a leaf votes for target %lld of %lld", (long long)target, (long long)t->targets);
	}
}

/* Of all trees: t->t [N, targets] */
static WqValue *scores(const Trees *t, WqValue *x)
{
	static const char *const how[] = { "add", "add", "min", "max" };
	Lower *L = t->L;
	int64_t width;
	bool spare;
	check_features(t, x);
	check_votes(t);
	WqValue *target, *weight, *at = leaves(t, x);
	vote_tables(t, &width, &spare, &target, &weight);
	WqDim rows = lo_dim(L, x, 0), votes[] = { rows, t->root.n * width };
	double largest = t->t == WQ_F64 ? 0x1.fffffffffffffp1023 : 0x1.fffffep127;
	double first = t->aggregate == MIN ? largest : t->aggregate == MAX ? -largest : 0;
	WqValue *y = lo_expand(L, lo_scalar(L, t->t, first), 2, (WqDim[]){ rows, t->targets + spare });
	WqNode *n = lo_node(L, OP_ScatterElements, 3, y, lo_reshape(L, lo2(L, OP_Gather, target, at), 2, votes),
		lo_reshape(L, lo2(L, OP_Gather, weight, at), 2, votes));
	wq_set_i(n, "axis", 1);
	wq_set_s(n, "reduction", how[t->aggregate]);
	y = lo_result(L, n);
	if (spare)
		y = lo_slice(L, y, 1, 0, t->targets, 1);
	if (t->aggregate == AVERAGE)
		y = lo2(L, OP_Div, y, lo_scalar(L, t->t, t->root.n));
	return t->base ? lo2(L, OP_Add, y, t->base) : y;
}

/* ---- TreeEnsemble ------------------------------------------------------------------------------------------------ */

static const int64_t *node_ints(Lower *L, const char *attr, int n)
{
	int count;
	const int64_t *v = lo_ints(L, attr, &count);
	if (count != n && (count || strcmp(attr, "nodes_missing_value_tracks_true") != 0))
		lo_bad(L, "%d %s for %d nodes", count, attr, n);
	return count ? v : NULL;
}

static const WqTensor *tensor_attr(Lower *L, const char *attr, int64_t n)
{
	WqValue *v = lo_tensor(L, attr);
	if (!v)
		return NULL;
	int64_t count = wq_tensor_count(v->data);
	if (n >= 0 && count != n)
		lo_bad(L, "%lld elements in %s instead of %lld", (long long)count, attr, (long long)n);
	return v->data;
}

static int64_t child(Lower *L, int64_t i, int64_t leaf, int n, int n_leaf)
{
	if (i < 0 || i >= (leaf ? n_leaf : n))
		lo_bad(L, "a node leads to %s %lld of %d", leaf ? "leaf" : "node", (long long)i, leaf ? n_leaf : n);
	return leaf ? n + i : i;
}

/* Node i asks for one of the members from *at on, up to the next NaN. */
static void set_members(Trees *t, int i, const WqTensor *members, int64_t *at)
{
	Node proto = t->node.v[i];
	proto.equal = true;
	proto.split = NAN; /* no member at all */
	for (bool first = true;; first = false) {
		double v = members && *at < wq_tensor_count(members) ? wq_tensor_get_f(members, *at) : NAN;
		++*at;
		if (isnan(v) && !first)
			return;
		if (!first) {
			t->node.v[i].no = t->node.n;
			i = t->node.n;
			WQ_PUSH(t->L->m->arena, t->node, proto);
		}
		t->node.v[i] = proto;
		t->node.v[i].split = v;
		if (isnan(v))
			return;
	}
}

static void read_nodes(Trees *t, int n, const WqTensor *modes, int n_leaf)
{
	Lower *L = t->L;
	const int64_t *feature = node_ints(L, "nodes_featureids", n), *yes = node_ints(L, "nodes_truenodeids", n);
	const int64_t *no = node_ints(L, "nodes_falsenodeids", n), *yes_leaf = node_ints(L, "nodes_trueleafs", n);
	const int64_t *no_leaf = node_ints(L, "nodes_falseleafs", n);
	const int64_t *missing = node_ints(L, "nodes_missing_value_tracks_true", n);
	const WqTensor *split = tensor_attr(L, "nodes_splits", n), *members = tensor_attr(L, "membership_values", -1);
	if (!split || !feature || !yes || !no || !yes_leaf || !no_leaf)
		lo_bad(L, "an attribute of the nodes is missing");
	for (int i = 0; i < n; i++)
		WQ_PUSH(L->m->arena, t->node, ((Node){ .feature = feature[i],
			.yes = child(L, yes[i], yes_leaf[i], n, n_leaf), .no = child(L, no[i], no_leaf[i], n, n_leaf),
			.split = wq_tensor_get_f(split, i), .missing = missing && missing[i] }));
	for (int i = 0; i < n_leaf; i++)
		WQ_PUSH(L->m->arena, t->node, ((Node){ .yes = n + i, .no = n + i, .leaf = true }));
	int64_t at = 0;
	for (int i = 0; i < n; i++) {
		int64_t mode = wq_tensor_get_i(modes, i);
		if (mode < LEQ || mode > MEMBER)
			lo_bad(L, "nodes_modes has %lld", (long long)mode);
		if (mode == MEMBER)
			set_members(t, i, members, &at);
		else
			set_mode(t, &t->node.v[i], (int)mode);
	}
}

void lower_TreeEnsemble(Lower *L)
{
	Trees t = { .L = L, .aggregate = (int)lo_i(L, "aggregate_function", SUM), .targets = lo_i(L, "n_targets", 1) };
	WqDtype type = lo_type_of(lo_need(L, 0));
	WqValue *x = input(&t, false);
	int n_leaf, n_root;
	const int64_t *target = lo_ints(L, "leaf_targetids", &n_leaf), *root = lo_ints(L, "tree_roots", &n_root);
	const WqTensor *modes = tensor_attr(L, "nodes_modes", -1), *weight = tensor_attr(L, "leaf_weights", n_leaf);
	int64_t transform = lo_i(L, "post_transform", ML_NONE), n = modes ? wq_tensor_count(modes) : 0;
	if (!n || !weight || !n_root || n > INT32_MAX)
		lo_bad(L, "no nodes, leaves or roots");
	if (t.aggregate < AVERAGE || t.aggregate > MAX || transform < ML_NONE || transform > ML_PROBIT)
		lo_bad(L, "aggregate_function %d, post_transform %lld", t.aggregate, (long long)transform);
	read_nodes(&t, (int)n, modes, n_leaf);
	for (int i = 0; i < n_leaf; i++)
		WQ_PUSH(L->m->arena, t.vote, ((Vote){ n + i, target[i], wq_tensor_get_f(weight, i) }));
	for (int i = 0; i < n_root; i++)
		WQ_PUSH(L->m->arena, t.root, child(L, root[i], 0, (int)n, n_leaf));
	lo_out(L, 0, lo_cast(L, ml_transform(L, scores(&t, x), (int)transform), type));
}

/* ---- TreeEnsembleRegressor: nodes by the ids of their tree and their own ---------------------------------------- */

typedef struct Id {
	int64_t tree, node;
	int index;
} Id;

static int by_id(const void *a, const void *b)
{
	const Id *x = a, *y = b;
	if (x->tree != y->tree)
		return x->tree < y->tree ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static int64_t find(const Trees *t, const Id *ids, int n, int64_t tree, int64_t node)
{
	const Id *id = bsearch(&(Id){ tree, node, 0 }, ids, (size_t)n, sizeof *ids, by_id);
	if (!id)
		lo_bad(t->L, "tree %lld has no node %lld", (long long)tree, (long long)node);
	return id->index;
}

/* Numbers of attribute NAME or NAME_as_tensor; NULL if neither is there. *wide: they are f64. */
static WqValue *numbers(Lower *L, const char *attr, bool *wide)
{
	int n;
	WqValue *v = lo_tensor(L, wq_sprintf(L->m->arena, "%s_as_tensor", attr));
	if (!v)
		return ml_floats(L, attr, WQ_F32, &n);
	*wide |= lo_type_of(v) == WQ_F64;
	return v;
}

static int mode_of(Lower *L, const char *name)
{
	static const char *const names[] = { "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ",
		"BRANCH_NEQ", [LEAF] = "LEAF" };
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	lo_bad(L, "nodes_modes has \"%s\"", name);
}

/* In order of ids; a tree's root is its first node in the order of the file. */
static Id *read_ids(Trees *t, int n)
{
	const int64_t *tree = node_ints(t->L, "nodes_treeids", n), *node = node_ints(t->L, "nodes_nodeids", n);
	Id *ids = WQ_NEW_N(t->L->m->arena, Id, n);
	if (!tree || !node)
		lo_bad(t->L, "no ids of the nodes");
	for (int i = 0; i < n; i++)
		ids[i] = (Id){ tree[i], node[i], i };
	qsort(ids, (size_t)n, sizeof *ids, by_id);
	for (int i = 0; i < n;) {
		long long tree_id = ids[i].tree;
		int64_t root = ids[i].index;
		int k = i + 1;
		for (; k < n && ids[k].tree == tree_id; k++) {
			root = ids[k].index < root ? ids[k].index : root;
			if (ids[k].node == ids[k - 1].node)
				lo_bad(t->L, "tree %lld has node %lld twice", tree_id, (long long)ids[k].node);
		}
		WQ_PUSH(t->L->m->arena, t->root, root);
		i = k;
	}
	return ids;
}

static void read_named_nodes(Trees *t, const Id *ids, int n, const char **modes, const WqTensor *split)
{
	Lower *L = t->L;
	const int64_t *tree = node_ints(L, "nodes_treeids", n), *feature = node_ints(L, "nodes_featureids", n);
	const int64_t *yes = node_ints(L, "nodes_truenodeids", n), *no = node_ints(L, "nodes_falsenodeids", n);
	const int64_t *missing = node_ints(L, "nodes_missing_value_tracks_true", n);
	if (!split || wq_tensor_count(split) != n || !feature || !yes || !no)
		lo_bad(L, "an attribute of the nodes is missing");
	for (int i = 0; i < n; i++) {
		int mode = mode_of(L, modes[i]);
		Node v = { .yes = i, .no = i, .leaf = mode == LEAF };
		if (!v.leaf) {
			v = (Node){ .feature = feature[i], .yes = find(t, ids, n, tree[i], yes[i]),
				.no = find(t, ids, n, tree[i], no[i]), .split = wq_tensor_get_f(split, i),
				.missing = missing && missing[i] };
			set_mode(t, &v, mode);
		}
		WQ_PUSH(L->m->arena, t->node, v);
	}
}

/* Attributes PREFIX_treeids, _nodeids, _ids, _weights */
static void read_votes(Trees *t, const Id *ids, int n, const char *prefix, const WqTensor *weight)
{
	Lower *L = t->L;
	static const char *const names[] = { "treeids", "nodeids", "ids" };
	const int64_t *v[WQ_COUNTOF(names)];
	int count[WQ_COUNTOF(names)];
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		v[i] = lo_ints(L, wq_sprintf(L->m->arena, "%s_%s", prefix, names[i]), &count[i]);
	if (!weight || count[0] != count[1] || count[0] != count[2] || wq_tensor_count(weight) != count[0])
		lo_bad(L, "the attributes %s_... are not of one length", prefix);
	for (int i = 0; i < count[0]; i++)
		WQ_PUSH(L->m->arena, t->vote, ((Vote){ .node = find(t, ids, n, v[0][i], v[1][i]), .target = v[2][i],
			.weight = wq_tensor_get_f(weight, i) }));
}

/* Everything but targets and aggregate; the input's rows. */
static WqValue *read_named(Trees *t, const char *prefix)
{
	Lower *L = t->L;
	int n;
	bool wide = false;
	const char **modes = lo_strings(L, "nodes_modes", &n);
	WqValue *split = numbers(L, "nodes_values", &wide), *base = numbers(L, "base_values", &wide);
	WqValue *weight = numbers(L, wq_sprintf(L->m->arena, "%s_weights", prefix), &wide);
	if (!n || !split || !weight)
		lo_bad(L, "no nodes or leaves");
	WqValue *x = input(t, wide);
	const Id *ids = read_ids(t, n);
	read_named_nodes(t, ids, n, modes, split->data);
	read_votes(t, ids, n, prefix, weight->data);
	t->base = base ? lo_cast(L, base, t->t) : NULL;
	return x;
}

void lower_TreeEnsembleRegressor(Lower *L)
{
	static const char *const names[] = { "AVERAGE", "SUM", "MIN", "MAX" };
	const char *name = lo_s(L, "aggregate_function", "SUM");
	Trees t = { .L = L, .aggregate = -1, .targets = lo_i(L, "n_targets", 1) };
	for (int i = 0; i < WQ_COUNTOF(names); i++)
		if (!strcmp(name, names[i]))
			t.aggregate = i;
	if (t.aggregate < 0)
		lo_bad(L, "aggregate_function is \"%s\"", name);
	WqValue *x = read_named(&t, "target");
	if (t.base && lo_dim(L, t.base, 0) != t.targets)
		lo_bad(L, "%lld base values for %lld targets", (long long)lo_dim(L, t.base, 0), (long long)t.targets);
	lo_out(L, 0, lo_cast(L, ml_transform(L, scores(&t, x), ml_transform_attr(L)), WQ_F32));
}
