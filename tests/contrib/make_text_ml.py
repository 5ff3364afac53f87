#!/usr/bin/python3
"""Test folders for operators on strings and of ai.onnx.ml: numbers by ONNX Runtime, strings by Python. See cases.py."""
import re

import numpy as np

from cases import Cases, node

rng = np.random.default_rng(20)
text, ml = Cases(opset=20), Cases(opset=17)
ml4 = Cases(opset=21, ml=4)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def s(*values):
    return np.array(values, dtype=object)


def floats(v):
    return [float(x) for x in np.ravel(v)]


def one_text(name, op, inputs, expect, **attrs):
    text.add(name, [node(op, ",".join(inputs), ",".join(expect), domain="", **attrs)], inputs, list(expect), expect=expect)


def split(name, x, **attrs):
    parts = [v.split(attrs.get("delimiter") or None, attrs.get("maxsplit", -1)) for v in x.ravel()]
    most = max(map(len, parts), default=0)
    y = np.array([p + [""] * (most - len(p)) for p in parts], dtype=object).reshape(*x.shape, most)
    n = np.array([len(p) for p in parts], np.int64).reshape(x.shape)
    one_text("string_split_" + name, "StringSplit", {"x": x}, {"y": y, "n": n}, **attrs)


a, b = s("a", "é", "").reshape(3, 1), s("x", "", "日本")
one_text("string_concat_outer", "StringConcat", {"a": a, "b": b}, {"y": a + b})
one_text("string_concat_scalar", "StringConcat", {"a": a, "b": np.array("!", dtype=object)}, {"y": a + "!"})
split("blanks", s(" a  b ", "", "\tone\u3000two\nthree ", "x").reshape(2, 2))
split("blanks_most", s(" a  b  c ", "x y"), maxsplit=1)
split("blanks_none", s(" ", ""))
split("long", s("a--b---c", "--", "-"), delimiter="--")
split("long_most", s("a, b, c, d", "", ", "), delimiter=", ", maxsplit=2)

words = s("Monday", "éTÉ", "", "MONDAY", "Ärger", "x y")


def normalizer(name, x, stop, sensitive, action, expect):
    one_text("string_normalizer_" + name, "StringNormalizer", {"x": x}, {"y": expect}, stopwords=stop, is_case_sensitive=sensitive,
             case_change_action=action)


normalizer("upper", words, ["monday"], 0, "UPPER", s("ÉTÉ", "", "ÄRGER", "X Y"))
normalizer("fold", words, ["ÄRGER", "ÉTé"], 0, "NONE", s("Monday", "", "MONDAY", "x y"))
normalizer("sensitive", words.reshape(1, -1), ["Monday", "ärger"], 1, "LOWER", s("été", "", "monday", "ärger", "x y").reshape(1, -1))
normalizer("none_left", words[:1].reshape(1, 1), ["Monday"], 1, "LOWER", s("").reshape(1, 1))

tags = s("2024-02-29", "ab", "AB", "aab", "", "née", "a\nb").reshape(7, 1)
for name, p in {"date": r"(?P<y>\d{4})-\d{2}-\d\d", "any": ".*", "fold": "(?i)a+B", "either": "a?b|[^[:alnum:]]*|n.{2}"}.items():
    flags = 0 if "alnum" not in p else re.A
    want = [re.fullmatch(p.replace("[[:", "[").replace("alnum:]]", "\\w]"), v, flags) is not None for v in tags.ravel()]
    one_text("regex_" + name, "RegexFullMatch", {"x": tags}, {"y": np.array(want).reshape(7, 1)}, pattern=p)

# ---- ai.onnx.ml: features


def one(name, op, x, cases=ml, expect=None, outputs="y", **attrs):
    inputs = x if isinstance(x, dict) else {"x": x}
    cases.add("ml_" + name, [node(op, ",".join(inputs), outputs, domain="ai.onnx.ml", **attrs)], inputs, expect=expect)


one("binarizer", "Binarizer", f(3, 4), threshold=0.25)
one("scaler", "Scaler", f(3, 4), offset=floats(f(4)), scale=floats(f(4)))
one("scaler_int", "Scaler", np.arange(12).reshape(3, 4), offset=[1.5], scale=[0.25])
x = f(3, 4)
x[1] = 0
for norm in ("MAX", "L1", "L2"):
    one("normalizer_" + norm.lower(), "Normalizer", x, norm=norm)
holes = f(3, 2)
holes[1, 0] = holes[2, 1] = np.nan
one("imputer_nan", "Imputer", holes, imputed_value_floats=[7.0, 8.0], replaced_value_float=float("nan"))
one("imputer_one", "Imputer", np.array([[1, -1], [-1, 4]], np.int64), imputed_value_int64s=[9], replaced_value_int64=-1)
one("features", "FeatureVectorizer", {"a": f(2, 3), "b": f(2, 2)}, inputdimensions=[3, 2])
one("extractor", "ArrayFeatureExtractor", {"x": f(2, 3, 4), "i": np.array([[3, 0, 3]])})
one("one_hot", "OneHotEncoder", np.array([[3, 1], [7, 3]]), cats_int64s=[1, 3, 5])
one("one_hot_text", "OneHotEncoder", s("a", "b", "c"), cats_strings=["c", "a"], expect={"y": np.array([[0, 1], [0, 0], [1, 0]], np.float32)})

# ---- labels
one("labels_floats", "LabelEncoder", np.array([[1, 2.5], [np.nan, 9]], np.float32), keys_floats=[2.5, float("nan"), 1.0],
    values_int64s=[5, 6, 7], default_int64=-3, expect={"y": np.array([[7, 5], [6, -3]])})
one("labels_to_text", "LabelEncoder", np.array([4, 0, 2]), keys_int64s=[2, 4], values_strings=["two", "four"],
    expect={"y": s("four", "_Unused", "two")})
one("labels_text_text", "LabelEncoder", s("b", "z"), keys_strings=["a", "b"], values_strings=["é", ""], default_string="?",
    expect={"y": s("", "?")})
one("labels_double", "LabelEncoder", np.array([0.1, 3]), ml4, keys_tensor=Cases.tensor(np.array([3, 0.1])),
    values_tensor=Cases.tensor(np.array([30, 1], np.int16)), default_tensor=Cases.tensor(np.array([-2], np.int16)),
    expect={"y": np.array([1, 30], np.int16)})
one("labels_repeated", "LabelEncoder", np.array([3, 4]), ml4, keys_int64s=[3, 4, 3], values_floats=[1.0, 2.0, 5.0],
    expect={"y": np.array([5, 2], np.float32)})
one("categories", "CategoryMapper", s("b", "x", "a"), cats_strings=["a", "b"], cats_int64s=[10, 20], default_int64=-5,
    expect={"y": np.array([20, -5, 10])})
one("categories_back", "CategoryMapper", np.array([[20, 1]]), cats_strings=["a", "b"], cats_int64s=[10, 20],
    expect={"y": s("b", "_Unused").reshape(1, 2)})

# ---- linear models
for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
    one("regressor_" + transform.lower(), "LinearRegressor", f(3, 4), coefficients=floats(f(2, 4)), intercepts=floats(f(2)), targets=2,
        post_transform=transform)
one("regressor_probit", "LinearRegressor", np.abs(f(3, 2)) / 8, coefficients=[0.5, 1.0], post_transform="PROBIT",
    intercepts=[0.1])

# ---- trees
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def trees(n, depth, modes, votes=1, targets=1):
    """Attributes of TreeEnsembleRegressor; splits are quarters, so that some inputs hit them."""
    a = {k: [] for k in ("nodes_treeids nodes_nodeids nodes_featureids nodes_values nodes_modes nodes_truenodeids nodes_falsenodeids "
                         "nodes_missing_value_tracks_true target_treeids target_nodeids target_ids target_weights").split()}

    def grow(tree, level):
        i = len(a["nodes_treeids"])
        place = a["nodes_treeids"].count(tree)
        leaf = level == depth or (level > 1 and rng.integers(4) == 0)
        for k, v in zip(a, (tree, place, int(rng.integers(3)), float(rng.integers(-4, 5)) / 4,
                            "LEAF" if leaf else modes[rng.integers(len(modes))], 0, 0, int(rng.integers(2)))):
            a[k].append(v)
        if leaf:
            for t in rng.permutation(targets)[:votes]:
                for k, v in zip(list(a)[8:], (tree, place, int(t), float(rng.integers(-16, 17)) / 8)):
                    a[k].append(v)
        else:
            a["nodes_truenodeids"][i] = grow(tree, level + 1)
            a["nodes_falsenodeids"][i] = grow(tree, level + 1)
        return place

    for t in range(n):
        grow(t, 0)
    return dict(a, n_targets=targets)


def quarters(*shape):
    x = rng.integers(-6, 7, shape).astype(np.float32) / 4
    x[0, 0] = x[-1, 1] = np.nan
    return x


one("trees_leq", "TreeEnsembleRegressor", quarters(16, 3), **trees(5, 4, MODES[:1]))
one("trees_modes", "TreeEnsembleRegressor", quarters(16, 3), **trees(4, 4, MODES))
one("trees_stump", "TreeEnsembleRegressor", quarters(8, 3), **trees(1, 1, MODES[1:2]))
for how in ("AVERAGE", "MIN", "MAX"):
    one("trees_" + how.lower(), "TreeEnsembleRegressor", quarters(8, 3), aggregate_function=how, base_values=[0.5, -1.0],
        **trees(4, 3, MODES[:4], 2, 2))
one("trees_votes", "TreeEnsembleRegressor", quarters(8, 3), base_values=[1.0, 2.0, 3.0], **trees(6, 3, MODES, 2, 3))
wide = trees(3, 3, MODES[:2])
wide.update({k + "_as_tensor": Cases.tensor(np.array(wide.pop(k)) + 1e-9) for k in ("nodes_values", "target_weights")})
one("trees_double", "TreeEnsembleRegressor", quarters(8, 3).astype(np.float64), **wide)

members = dict(nodes_featureids=[0, 1, 2, 0], nodes_modes=Cases.tensor(np.array([6, 3, 6, 0], np.uint8)),
               nodes_splits=Cases.tensor(np.array([0, 0.25, 0, 0.5], np.float32)), nodes_truenodeids=[1, 0, 2, 4], nodes_trueleafs=[0, 1, 1, 1],
               nodes_falsenodeids=[2, 1, 3, 4], nodes_falseleafs=[0, 1, 1, 1], leaf_targetids=[0, 1, 0, 1, 1],
               leaf_weights=Cases.tensor(np.array([1, 2, 4, 8, 16], np.float32)), tree_roots=[0, 3], n_targets=2,
               membership_values=Cases.tensor(np.array([1, 3, 2, np.nan, 1, np.nan], np.float32)))
ml5 = Cases(opset=21, ml=5)
one("trees_members", "TreeEnsemble", np.floor(quarters(16, 3) * 3), ml5, **members)
one("trees_softmax", "TreeEnsembleRegressor", quarters(4, 3), post_transform="SOFTMAX", **trees(3, 3, MODES, 2, 2))

for cases in (text, ml, ml4, ml5):
    cases.write()
