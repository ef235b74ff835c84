"""XGBoost: its trees in float32 as its own predictor walks them, and the objective's link.

Margins are XGBoost's to the last bit: it starts from the intercept and adds leaf after leaf in
float32 (src/predictor/cpu_predictor.cc). So are the links: they need ``expf``, which is written
here as the C library computes it. Labels do not depend on that: they are cut at the margin where
the library itself begins to answer the other class.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inferd import plugins
from inferd.compile.converters.base import CannotConvert, Context, Converter, Frame
from inferd.compile.forest import LEAF, LT, MEMBER, Forest, Tree
from inferd.compile.graph import Value
from inferd.tensors import Array

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)

CLASSIFIERS = frozenset(("XGBClassifier", "XGBRFClassifier"))
REGRESSORS = frozenset(("XGBRegressor", "XGBRFRegressor", "XGBRanker"))

LINKS = {
    "binary:hinge": "step",
    "binary:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "count:poisson": "exp",
    "multi:softmax": "argmax",
    "multi:softprob": "softmax",
    "rank:map": "identity",
    "rank:ndcg": "identity",
    "rank:pairwise": "identity",
    "reg:absoluteerror": "identity",
    "reg:gamma": "exp",
    "reg:linear": "identity",
    "reg:logistic": "sigmoid",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:tweedie": "exp",
}
"""What an objective makes of the margin (``PredTransform`` in src/objective)."""

LARGEST_CATEGORY = 2**24
"""From here on no category is known: float32 cannot tell it from its neighbours."""


class XgboostConverter(Converter):
    """The wrappers in scikit-learn's manner, and what stands for a raw ``Booster``."""

    def emit(self, context: Context, model: Any, frame: Frame, method: str) -> Value:
        key = ("emit", id(model), frame, method)
        return context.graph.once(key, lambda: _emit(context, model, frame, method))


def _emit(context: Context, model: Any, frame: Frame, method: str) -> Value:
    classifier = _is_classifier(model)
    parsed = context.graph.once(("xgboost", id(model)), lambda: _parse(model))
    margin = context.graph.once(
        ("margin", id(model), frame), lambda: _margin(context, model, parsed, frame)
    )
    if method == "predict" and classifier:
        return _label(context, model, parsed, margin)
    if method == "predict":
        if parsed.link in ("softmax", "argmax"):
            raise CannotConvert(f"{parsed.objective} without classes")
        return _rank(context, _link(context, parsed.link, margin))
    if method == "predict_proba" and classifier:
        return _probabilities(context, model, parsed, margin)
    raise CannotConvert(f"no {method}")


def _is_classifier(model: Any) -> bool:
    name = type(model).__name__
    if hasattr(model, "inferd_library"):
        return hasattr(model, "classes_")
    if type(model).__module__ != "xgboost.sklearn" or name not in CLASSIFIERS | REGRESSORS:
        raise CannotConvert(f"{name} has no exact form")
    if callable(model.objective):
        raise CannotConvert("an objective of its own")
    return name in CLASSIFIERS


class _Parsed(NamedTuple):
    """A booster as its JSON tells it."""

    trees: Sequence[Mapping[str, Any]]
    groups: Sequence[int]
    """The target of each tree."""
    scales: Array | None
    """What each tree counts for, where trees were dropped."""
    base: Array
    """The intercept as a margin: float32 [targets]."""
    objective: str
    link: str
    features: int
    stump: Any
    """A booster of the same objective that answers for whatever margin it is handed."""


def _parse(model: Any) -> _Parsed:
    booster = _booster(model)
    document = json.loads(booster.save_raw("json"))
    learner = document["learner"]
    grower, scales = learner["gradient_booster"], None
    if grower["name"] == "dart":
        grower, scales = grower["gbtree"], np.array(grower["weight_drop"], np.float32)
    if grower["name"] != "gbtree":
        raise CannotConvert(f"the booster {grower['name']}")
    objective = learner["objective"]["name"]
    if objective not in LINKS:
        raise CannotConvert(f"the objective {objective}")
    content = grower["model"]
    if content.get("cats", {}).get("enc"):
        raise CannotConvert("categories that are told apart by name")
    trees, groups = content["trees"], content["tree_info"]
    stop = _stop(model, content["iteration_indptr"])
    features = int(learner["learner_model_param"]["num_feature"])
    stump = _stump(document)
    rows = np.zeros((1, features), np.float32)
    base = stump.inplace_predict(rows, predict_type="margin", validate_features=False)
    return _Parsed(
        trees[:stop],
        groups[:stop],
        scales,
        np.asarray(base, np.float32).reshape(-1),
        objective,
        LINKS[objective],
        features,
        stump,
    )


def _booster(model: Any) -> Any:
    """The model's Booster; that of our own stand-in wherever it keeps it."""
    xgboost = plugins.require("xgboost", "xgboost")
    if hasattr(model, "get_booster"):
        return model.get_booster()
    found = [each for each in vars(model).values() if isinstance(each, xgboost.Booster)]
    if not found:
        raise CannotConvert("no booster")
    return found[0]


def _stop(model: Any, rounds: Sequence[int]) -> int:
    """How many trees the model's ``predict`` asks: those up to the best round, if one is known."""
    try:
        return rounds[int(model.best_iteration) + 1]
    except AttributeError:
        return rounds[-1]


def _stump(document: Any) -> Any:
    """The same booster with one tree that is one leaf of weight 0.

    How the intercept in the file becomes a margin is the objective's affair, and changed between
    releases; what this booster answers is right in each of them.
    """
    xgboost = plugins.require("xgboost", "xgboost")
    learner = document["learner"]
    names = ("gbtree_model_param", "iteration_indptr", "tree_info", "trees")
    grower = learner["gradient_booster"]
    content = grower.get("gbtree", grower)["model"]
    kept = {name: value for name, value in content.items() if name not in names}
    tree = {name: [] for name in content["trees"][0]} | {
        "base_weights": [0.0],
        "default_left": [0],
        "id": 0,
        "left_children": [LEAF],
        "loss_changes": [0.0],
        "parents": [2**31 - 1],
        "right_children": [LEAF],
        "split_conditions": [0.0],
        "split_indices": [0],
        "split_type": [0],
        "sum_hessian": [0.0],
        "tree_param": {
            "num_deleted": "0",
            "num_feature": learner["learner_model_param"]["num_feature"],
            "num_nodes": "1",
            "size_leaf_vector": "1",
        },
    }
    tree.pop("leaf_weights", None)
    parameters = content["gbtree_model_param"] | {"num_trees": "1", "num_parallel_tree": "1"}
    single = {
        "gbtree_model_param": parameters,
        "iteration_indptr": [0, 1],
        "tree_info": [0],
        "trees": [tree],
    }
    small = {"name": "gbtree", "model": kept | single}
    whole = document | {"learner": learner | {"gradient_booster": small}}
    return xgboost.Booster(model_file=bytearray(json.dumps(whole).encode()))


def _margin(context: Context, model: Any, parsed: _Parsed, frame: Frame) -> Value:
    """The sums before the link: float32 [N, targets]."""
    if frame.width != parsed.features:
        raise CannotConvert(f"{frame.width} columns for {parsed.features} features")
    matrix = context.matrix(frame, SINGLE)
    missing = getattr(model, "missing", None)
    if missing is not None and not np.isnan(missing):
        absent = context.graph.node("Equal", matrix, np.float32(missing))
        name = context.graph.node("Where", absent, np.float32(np.nan), matrix)
        matrix = matrix._replace(name=name)
    trees = [_tree(parsed, number) for number in range(len(parsed.trees))]
    reach = sum(np.abs(tree.weight).max() for tree in trees) + np.abs(parsed.base).max()
    if not reach < np.finfo(np.float32).max:
        raise CannotConvert("sums that may not be finite")
    known = {int(each) for tree in trees for each in tree.feature[list(tree.members)]}
    matrix = _categories(context, matrix, sorted(known))
    return context.forest(Forest(trees, len(parsed.base), SINGLE, parsed.base), matrix)


def _categories(context: Context, matrix: Value, known: Sequence[int]) -> Value:
    """*matrix* with whole numbers in its *known* columns, and -1 for what is no category.

    XGBoost drops fractions of what is not negative; ONNX Runtime does so for some sets only.
    """
    if not known:
        return matrix
    node, frame = context.graph.node, Frame((matrix,))
    parts = []
    for column in range(matrix.width):
        (part,) = context.select(frame, [column]).parts
        if column in known:
            beyond = node(
                "Or",
                node("Less", part, np.float32(0)),
                node("GreaterOrEqual", part, np.float32(LARGEST_CATEGORY)),
            )
            whole = node("Where", beyond, np.float32(-1), node("Floor", part))
            part = part._replace(name=whole)
        parts.append(part)
    return context.matrix(Frame(tuple(parts)), SINGLE)


def _tree(parsed: _Parsed, number: int) -> Tree:
    """One tree; ``x < threshold`` goes left, and so does what is not in a set of categories."""
    source = parsed.trees[number]
    left = np.array(source["left_children"], np.int64)
    right = np.array(source["right_children"], np.int64)
    leaf = left == LEAF
    weight = _weights(parsed, number, leaf, right)
    right = np.where(leaf, LEAF, right)
    categorical = np.array(source["split_type"], bool) & ~leaf
    default_left = np.array(source["default_left"], bool)
    threshold = np.array(source["split_conditions"], np.float32).astype(np.float64)
    return Tree(
        feature=np.where(leaf, 0, np.array(source["split_indices"], np.int64)),
        mode=np.where(categorical, MEMBER, LT).astype(np.uint8),
        threshold=np.where(leaf | categorical, 0.0, threshold),
        left=np.where(categorical, right, left),
        right=np.where(categorical, left, right),
        missing_left=default_left ^ categorical,
        weight=weight,
        members=_members(source),
    )


def _weights(parsed: _Parsed, number: int, leaf: Array, right: Array) -> Array:
    """What each leaf adds to each target: float32 numbers, [nodes, targets]."""
    source, targets = parsed.trees[number], len(parsed.base)
    if int(source["tree_param"]["size_leaf_vector"]) > 1:
        if "leaf_weights" not in source or parsed.scales is not None:
            raise CannotConvert("leaves of several values, of an older form")
        rows = np.array(source["leaf_weights"], np.float32).reshape(-1, targets)
        return np.where(leaf[:, None], rows[np.where(leaf, right, 0)], 0).astype(np.float64)
    weight = np.zeros((len(leaf), targets))
    group = parsed.groups[number]
    values = np.array(source["split_conditions"], np.float32)
    if parsed.scales is not None:
        # Before 3.3 a dropped tree's leaf is what remains of it after the intercept was added to
        # it and taken away again (Dart::InplacePredict).
        if _older_than(3, 3):
            values = (parsed.base[group] + values) - parsed.base[group]
        values = values * parsed.scales[number]
    weight[:, group] = np.where(leaf, values, 0)
    return weight


def _older_than(*version: int) -> bool:
    xgboost = plugins.require("xgboost", "xgboost")
    return tuple(int(part) for part in xgboost.__version__.split(".")[:2]) < version


def _members(source: Mapping[str, Any]) -> dict[int, Array]:
    """The categories that go right, by node."""
    found = {}
    for node, start, size in zip(
        source["categories_nodes"],
        source["categories_segments"],
        source["categories_sizes"],
        strict=True,
    ):
        found[int(node)] = np.array(source["categories"][start : start + size], float)
    return found


def _link(context: Context, link: str, margin: Value) -> Value:
    """What the objective answers with, in the operations that XGBoost does in float32."""
    node = context.graph.node
    one = np.float32(1)
    match link:
        case "identity":
            return margin
        case "exp":
            return _exp(context, margin)
        case "step":
            positive = node("Greater", margin, np.float32(0))
            return context.graph.cast(margin._replace(name=positive, dtype=np.dtype(bool)), SINGLE)
        case "sigmoid":
            bounded = margin._replace(name=node("Min", node("Neg", margin), np.float32(88.7)))
            denominator = node("Add", _exp(context, bounded), one)
            return margin._replace(name=node("Div", one, denominator))
    return _softmax(context, margin)


def _softmax(context: Context, margin: Value) -> Value:
    """common::Softmax: float32, but for the sum, whose terms are added in float64."""
    node, graph = context.graph.node, context.graph
    largest = node("Unsqueeze", node("Max", *_columns(context, margin)), np.array([1], np.int64))
    powers = _exp(context, margin._replace(name=node("Sub", margin, largest)))
    total, *terms = _columns(context, graph.cast(powers, DOUBLE))
    for term in terms:
        total = node("Add", total, term)
    divisor = node(
        "Unsqueeze", graph.cast(Value(total, 0, DOUBLE), SINGLE), np.array([1], np.int64)
    )
    return margin._replace(name=node("Div", powers, divisor))


def _columns(context: Context, value: Value) -> list[str]:
    """Each column of *value*: [N]."""
    return [
        context.graph.node("Gather", value, np.array(column, np.int64), axis=1)
        for column in range(value.width)
    ]


def _exp(context: Context, value: Value) -> Value:
    """``expf`` as glibc and musl compute it: in float64, and rounded once.

    exp(x) = 2^(k/32) * 2^(r/32), with k whole and r at most a half: the first factor from tables,
    the second by a polynomial (sysdeps/ieee754/flt-32/e_expf.c). Needs finite numbers.
    """
    node, graph = context.graph.node, context.graph
    x = node("Clip", graph.cast(value, DOUBLE), np.float64(-104), np.float64(89))  # 0 and infinity
    scaled = node("Mul", x, np.float64(32 * float.fromhex("0x1.71547652b82fep+0")))
    shifted = node("Add", scaled, np.float64(ROUNDS))
    whole = node("Sub", shifted, np.float64(ROUNDS))
    r = node("Sub", scaled, whole)
    k = graph.cast(Value(node("Add", whole, np.float64(32 * LOWEST)), 1, DOUBLE), np.int64).name
    exponent = node("Div", k, np.int64(32))
    fraction = node("Sub", k, node("Mul", exponent, np.int64(32)))
    roots = np.array([2.0 ** (i / 32) for i in range(32)])
    powers = np.array([2.0**i for i in range(-LOWEST, 130)])
    scale = node("Mul", node("Gather", roots, fraction), node("Gather", powers, exponent))
    high = node("Add", node("Mul", r, np.float64(CUBIC[0])), np.float64(CUBIC[1]))
    low = node("Add", node("Mul", r, np.float64(CUBIC[2])), np.float64(1))
    sum_ = node("Add", node("Mul", high, node("Mul", r, r)), low)
    return graph.cast(Value(node("Mul", sum_, scale), value.width, DOUBLE), SINGLE)


ROUNDS = 1.5 * 2.0**52
"""Added to a float64 number and taken away again, rounds it to a whole one."""
LOWEST = 151
"""exp(-104) is above 2 to the power of -151."""
CUBIC = (
    float.fromhex("0x1.c6af84b912394p-5") / 32**3,
    float.fromhex("0x1.ebfce50fac4f3p-3") / 32**2,
    float.fromhex("0x1.62e42ff0c52d6p-1") / 32,
)


def _rank(context: Context, value: Value) -> Value:
    return value if value.width > 1 else context.flat(value)


def _label(context: Context, model: Any, parsed: _Parsed, margin: Value) -> Value:
    """XGBClassifier.predict: the most probable class, or whether 0.5 is exceeded."""
    graph = context.graph
    if parsed.link == "argmax":
        index = context.argmax(margin)
        return graph.cast(index, np.int32)
    if parsed.link == "softmax":
        if model.n_classes_ == 2:
            raise CannotConvert("two classes with multi:softprob")
        # Not of the margins: different ones become equal probabilities, and the first one wins.
        index = context.argmax(_link(context, "softmax", margin))
        return context.labels(np.asarray(model.classes_), index)
    exceeds = graph.node("GreaterOrEqual", margin, _cut(parsed))
    truth = margin._replace(name=exceeds, dtype=np.dtype(bool))
    if margin.width > 1:
        return graph.cast(truth, DOUBLE)
    return graph.cast(context.flat(truth), np.int64)


def _cut(parsed: _Parsed) -> np.float32:
    """The smallest margin for which the library's own answer exceeds 0.5: for the label's sake."""
    rows = np.zeros((1, parsed.features), np.float32)

    def exceeds(margin: np.float32) -> bool:
        margins = np.full((1, len(parsed.base)), margin, np.float32)
        answer = parsed.stump.inplace_predict(rows, base_margin=margins, validate_features=False)
        return bool(np.asarray(answer).reshape(-1)[0] > 0.5)

    low, high = _number(np.float32(-np.inf)), _number(np.float32(np.inf))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeds(_float(middle)) else (middle, high)
    return _float(high)


def _number(value: np.float32) -> int:
    """The place of *value* among all float32 numbers in order."""
    bits = int(value.view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _float(number: int) -> np.float32:
    bits = np.int32(abs(number)).view(np.float32)
    return bits if number >= 0 else -bits


def _probabilities(context: Context, model: Any, parsed: _Parsed, margin: Value) -> Value:
    """XGBClassifier.predict_proba."""
    if parsed.link in ("softmax", "argmax"):
        return _link(context, "softmax", margin)
    second = _link(context, parsed.link, margin)
    if margin.width > 1:
        if model.n_classes_ not in (2, margin.width):
            raise CannotConvert("several targets of several classes")
        return second
    first = context.graph.node("Sub", np.float32(1), second)
    return Value(context.graph.node("Concat", first, second, axis=1), 2, SINGLE)


plugin = XgboostConverter()
