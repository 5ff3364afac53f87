/* ml_test: what is wrong with models of ai.onnx.ml; trees that lead nowhere, or back. Inputs are ones. */
#include "tests/onnx_case.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* dims, where there are none */

#define ML(version, type, node) \
	"<opset_import: [\"\" : 17, \"ai.onnx.ml\" : " version "]> g (float[2,3] x) => (" type " y) { [n] y = ai.onnx.ml." node " }"

/* Node 0 asks whether feature `f` is at most 0; then node `yes`, else `no`; nodes 1 and 2 are leaves that vote 5 and 7. */
#define TREE(f, yes, no, more) \
	ML("3", "float[2,1]", "TreeEnsembleRegressor <n_targets = 1, nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, 2], " \
		"nodes_featureids = [" f ", 0, 0], nodes_values = [0.0, 0.0, 0.0], nodes_truenodeids = [" yes ", 0, 0], " \
		"nodes_falsenodeids = [" no ", 0, 0], nodes_modes = [\"BRANCH_LEQ\", \"LEAF\", \"LEAF\"]" more "> (x)")
#define VOTES(nodes, targets) ", target_treeids = [0, 0], target_nodeids = [" nodes "], target_ids = [" targets "], target_weights = [5.0, 7.0]"

/* Of version 5: node 0 asks whether feature 0 is a member of `members`. */
#define SET(yes, members, root) \
	ML("5", "float[2,1]", "TreeEnsemble <n_targets = 1, nodes_featureids = [0], nodes_modes = uint8[1] {6}, nodes_splits = float[1] {0}, " \
		"nodes_truenodeids = [" yes "], nodes_trueleafs = [1], nodes_falsenodeids = [1], nodes_falseleafs = [1], " \
		"leaf_targetids = [0, 0], leaf_weights = float[2] {5, 7}, tree_roots = [" root "]" members "> (x)")

static const OnnxCase cases[] = {
	{ "a tree", TREE("2", "1", "2", VOTES("1, 2", "0, 0")), 0, "y f32[2,1] {7 7}" },
	{ "two leaves in one", TREE("2", "1", "1", VOTES("1, 1", "0, 0")), 0, "y f32[2,1] {12 12}" },
	{ "a leaf without votes", TREE("0", "2", "1", VOTES("2, 2", "0, 0")), 0, "y f32[2,1] {0 0}" },
	{ "a loop", TREE("0", "1", "0", VOTES("1, 2", "0, 0")), WQ_EINPUT, "a tree has a loop" },
	{ "no such node", TREE("0", "1", "3", VOTES("1, 2", "0, 0")), WQ_EINPUT, "tree 0 has no node 3" },
	{ "no such feature", TREE("3", "1", "2", VOTES("1, 2", "0, 0")), WQ_EINPUT, "a node asks for feature 3" },
	{ "no such target", TREE("0", "1", "2", VOTES("1, 2", "0, 1")), WQ_EINPUT, "votes for target 1 of 1" },
	{ "no votes", TREE("0", "1", "2", ""), WQ_EINPUT, "no nodes or leaves" },
	{ "a member", SET("0", ", membership_values = float[3] {3, 1, 4}", "0"), 0, "y f32[2,1] {5 5}" },
	{ "no member", SET("0", ", membership_values = float[2] {3, 4}", "0"), 0, "y f32[2,1] {7 7}" },
	{ "of no set", SET("0", "", "0"), 0, "y f32[2,1] {7 7}" },
	{ "no such leaf", SET("2", "", "0"), WQ_EINPUT, "a node leads to leaf 2 of 2" },
	{ "no such root", SET("0", "", "-1"), WQ_EINPUT, "a node leads to node -1 of 1" },
	{ "keys and values", ML("2", "int64[2,3]", "LabelEncoder <keys_floats = [1.0], values_int64s = [1, 2]> (x)"), WQ_EINPUT,
		"not of one length" },
	{ "keys of another type", ML("2", "int64[2,3]", "LabelEncoder <keys_int64s = [1], values_int64s = [1]> (x)"), WQ_EINPUT,
		"the input and the keys have different types" },
	{ "coefficients", ML("1", "float[2,2]", "LinearRegressor <targets = 2, coefficients = [1.0]> (x)"), WQ_EINPUT,
		"1 coefficients for 2 targets" },
	{ "features", ML("1", "float[2,3]", "Scaler <offset = [1.0, 2.0], scale = [1.0, 2.0]> (x)"), WQ_EINPUT,
		"2 elements in offset for 3 features" },
	{ "fewer and more columns", ML("1", "float[2,6]", "FeatureVectorizer <inputdimensions = [2, 4]> (x, x)"), 0,
		"y f32[2,6] {1 1 1 1 1 0 1 1 1 1 1 0}" },
};

TEST(models) { onnx_cases(WQ_COUNTOF(cases), cases); }

TEST_MAIN(TEST_RUN(models))
