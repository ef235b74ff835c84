"""LightGBM: its trees in float64, read from the model's own text, and the objective's link.

Raw scores are LightGBM's to the last bit: leaf after leaf is added from 0 (GBDT::PredictRaw).
The links' exponentials are each library's own in the last bit; labels do not depend on them: two
classes are told apart at the score where the C library's ``exp`` does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inferd.compiling.categories import numbered, replaced
from inferd.compiling.converters.base import CannotConvert, Context, Converter, Frame
from inferd.compiling.forest import LEAF, LEQ, MEMBER, Forest, Tree
from inferd.compiling.graph import Value
from inferd.tensors import Array

DOUBLE = np.dtype(np.float64)

LINKS = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "fair": "identity",
    "gamma": "exp",
    "huber": "identity",
    "lambdarank": "identity",
    "mape": "identity",
    "multiclass": "softmax",
    "multiclassova": "sigmoid",
    "poisson": "exp",
    "quantile": "identity",
    "rank_xendcg": "identity",
    "regression": "identity",
    "regression_l1": "identity",
    "tweedie": "exp",
}
"""What an objective makes of the raw score (``ConvertOutput`` in src/objective)."""

ZERO = float(np.float32(1e-35))
"""What is not larger counts as zero (kZeroThreshold)."""
CATEGORICAL, DEFAULT_LEFT = 1, 2
"""Bits of a node's ``decision_type``; the next two say what is missing."""
MISSING_ZERO, MISSING_NAN = 1, 2

CLASSIFIERS = frozenset(("LGBMClassifier", "LightGBMBoosterClassifier"))
OTHERS = frozenset(("LGBMRegressor", "LGBMRanker", "LightGBMBooster"))
MODULES = frozenset(("lightgbm.sklearn", "inferd.estimators.boosters"))


class LightgbmConverter(Converter):
    """LightGBM's wrappers in scikit-learn's manner, and ours around a bare ``Booster``."""

    def emit(self, context: Context, model: Any, frame: Frame, method: str) -> Value:
        key = ("emit", id(model), frame, method)
        return context.graph.once(key, lambda: _emit(context, model, frame, method))


def _emit(context: Context, model: Any, frame: Frame, method: str) -> Value:
    name = type(model).__name__
    if type(model).__module__ not in MODULES or name not in CLASSIFIERS | OTHERS:
        raise CannotConvert(f"{name} has no exact form")
    _check_parameters(model)
    graph = context.graph
    booster = graph.once(("booster", id(model)), lambda: _read(model.booster_))
    score = graph.once(("score", id(model), frame), lambda: _score(context, model, booster, frame))
    match method, name in CLASSIFIERS:
        case "predict", True:
            return _label(context, model, booster, score)
        case "predict_proba", True:
            return _probabilities(context, booster, score)
        case "predict", False:
            value = _link(context, booster, score)
            return value if value.width > 1 else context.flat(value)
    raise CannotConvert(f"no {method}")


def _check_parameters(model: Any) -> None:
    """Some of a wrapper's parameters change how it predicts."""
    if callable(getattr(model, "objective", None)):
        raise CannotConvert("an objective of its own")
    parameters = model.get_params() if hasattr(model, "get_params") else {}
    found = sorted(set(parameters) & PREDICTING)
    if found:
        raise CannotConvert(f"the parameter {found[0]}")


PREDICTING = frozenset(
    (
        "is_predict_contrib",
        "is_predict_leaf_index",
        "is_predict_raw_score",
        "contrib",
        "leaf_index",
        "num_iteration_predict",
        "pred_early_stop",
        "predict_contrib",
        "predict_leaf_index",
        "predict_raw_score",
        "predict_rawscore",
        "raw_score",
        "start_iteration_predict",
    )
)


class _Booster(NamedTuple):
    """A booster as far as its answers depend on it."""

    trees: Sequence[Mapping[str, str]]
    targets: int
    objective: str
    options: Mapping[str, str]
    """The objective's: ``sigmoid`` and such."""
    features: int
    averages: bool

    @property
    def slope(self) -> float:
        """What the score is multiplied with before its sigmoid."""
        return float(self.options.get("sigmoid", 1))


def _read(booster: Any) -> _Booster:
    """The model's text up to the best iteration, which is what ``predict`` goes to as well."""
    head, *blocks = booster.model_to_string().partition("\nend of trees")[0].split("\nTree=")
    fields = _fields(head)
    objective, *options = fields.get("objective", "none").split(" ")
    if objective not in LINKS:
        raise CannotConvert(f"the objective {objective}")
    return _Booster(
        [_fields(block) for block in blocks],
        int(fields["num_tree_per_iteration"]),
        objective,
        {name: value for name, _, value in (each.partition(":") for each in options)},
        int(fields["max_feature_idx"]) + 1,
        "average_output" in fields,
    )


def _fields(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


def _score(context: Context, model: Any, booster: _Booster, frame: Frame) -> Value:
    """What the trees add up to: float64 [N, targets]."""
    if frame.width != booster.features:
        raise CannotConvert(f"{frame.width} columns for {booster.features} features")
    graph = context.graph
    matrix = context.matrix(numbered(context, model, frame))
    tiny = graph.node("LessOrEqual", graph.node("Abs", matrix), np.float64(ZERO))
    matrix = context.anew(matrix, graph.node("Where", tiny, np.float64(0), matrix))
    trees = [_tree(booster, number) for number in range(len(booster.trees))]
    matrix = _with_zeros_missing(context, matrix, trees)
    known = {int(each) for tree in trees for each in tree.feature[list(tree.members)]}
    matrix = replaced(context, matrix, known, lambda column: _category(context, column))
    score = context.forest(
        Forest(trees, booster.targets, DOUBLE, np.zeros(booster.targets)), matrix
    )
    if booster.averages:
        rounds = np.float64(len(trees) // booster.targets)
        score = score._replace(name=graph.node("Div", score, rounds))
    return score


def _with_zeros_missing(context: Context, matrix: Value, trees: list[Tree]) -> Value:
    """*matrix*, and after it the columns of which nodes in *trees* take zero for missing, with NaN
    there; those nodes, marked by negative features, are given these columns."""
    asked = sorted({int(each) for tree in trees for each in tree.feature[tree.feature < 0]})
    if not asked:
        return matrix
    place = {feature: matrix.width + at for at, feature in enumerate(asked)}
    for number, tree in enumerate(trees):
        feature = np.array([place.get(int(each), int(each)) for each in tree.feature], np.int64)
        trees[number] = tree._replace(feature=feature)
    chosen = context.select(Frame((matrix,)), [-1 - feature for feature in asked])
    copies = context.matrix(chosen)
    zero = context.graph.node("Equal", copies, np.float64(0))
    name = context.graph.node("Where", zero, np.float64(np.nan), copies)
    return context.matrix(Frame((matrix, context.anew(copies, name))))


def _category(context: Context, column: Value) -> str:
    """Whole numbers towards zero, as C's ``static_cast<int>`` makes them."""
    node = context.graph.node
    negative = node("Less", column, np.float64(0))
    ceiling = node("Neg", node("Floor", node("Neg", column)))
    return node("Where", negative, ceiling, node("Floor", column))


def _tree(booster: _Booster, number: int) -> Tree:
    """One tree: LightGBM numbers nodes from 0 and leaves from -1 down; here leaves follow nodes.

    A feature of which zero is missing is marked as -1 - feature.
    """
    fields = booster.trees[number]
    if fields.get("is_linear", "0") != "0":
        raise CannotConvert("linear models in its leaves")
    values = _numbers(fields, "leaf_value")
    inner = len(values) - 1
    if not inner:  # such a tree lists no nodes
        fields = {"leaf_value": fields["leaf_value"]}
    feature = _numbers(fields, "split_feature", np.int64)
    kind = _numbers(fields, "decision_type", np.int64)
    threshold = _numbers(fields, "threshold")
    categorical, missing = (kind & CATEGORICAL) > 0, (kind >> 2) & 3
    default_left = (kind & DEFAULT_LEFT) > 0
    # Where NaN is not missing, it is taken for 0.
    nan_left = np.where(missing == 0, threshold >= 0, default_left) & ~categorical
    zero_missing = (missing == MISSING_ZERO) & ~categorical
    leaves = np.zeros(len(values), np.int64)
    weight = np.zeros((inner + len(values), booster.targets))
    weight[inner:, number % booster.targets] = values
    return Tree(
        feature=np.concatenate([np.where(zero_missing, -1 - feature, feature), leaves]),
        mode=np.concatenate([np.where(categorical, MEMBER, LEQ), leaves]).astype(np.uint8),
        threshold=np.concatenate([np.where(categorical, 0, threshold), leaves]),
        left=np.concatenate([_children(fields, "left_child", inner), leaves + LEAF]),
        right=np.concatenate([_children(fields, "right_child", inner), leaves + LEAF]),
        missing_left=np.concatenate([nan_left, leaves > 0]),
        weight=weight,
        members={
            int(node): _members(fields, int(threshold[node]))
            for node in np.flatnonzero(categorical)
        },
    )


def _numbers(fields: Mapping[str, str], name: str, dtype: Any = np.float64) -> Array:
    return np.array([dtype(each) for each in fields.get(name, "").split()], dtype)


def _children(fields: Mapping[str, str], name: str, inner: int) -> Array:
    child = _numbers(fields, name, np.int64)
    return np.where(child < 0, inner + ~child, child)


def _members(fields: Mapping[str, str], at: int) -> Array:
    """The categories of the set number *at*: the bits that are set in its words of 32."""
    ends = _numbers(fields, "cat_boundaries", np.int64)
    words = _numbers(fields, "cat_threshold", np.int64)[ends[at] : ends[at + 1]]
    return np.flatnonzero((words[:, None] >> np.arange(32)) & 1).astype(float)


def _link(context: Context, booster: _Booster, score: Value) -> Value:
    """What the objective answers with."""
    node, one = context.graph.node, np.float64(1)
    match LINKS[booster.objective]:
        case "identity" if "sqrt" in booster.options:
            signed = node("Mul", node("Sign", score), score)
            return score._replace(name=node("Mul", signed, score))
        case "identity":
            return score
        case "exp":
            return score._replace(name=node("Exp", score))
        case "sigmoid":
            power = node("Exp", node("Mul", score, np.float64(-booster.slope)))
            return score._replace(name=node("Div", one, node("Add", one, power)))
    return score._replace(name=node("Softmax", score, axis=1))


def _probabilities(context: Context, booster: _Booster, score: Value) -> Value:
    """LGBMClassifier.predict_proba."""
    second = _link(context, booster, score)
    if second.width > 1:
        return second
    first = context.graph.node("Sub", np.float64(1), second)
    return Value(context.graph.node("Concat", first, second, axis=1), 2, DOUBLE)


def _label(context: Context, model: Any, booster: _Booster, score: Value) -> Value:
    """LGBMClassifier.predict: the most probable class."""
    graph, classes = context.graph, np.asarray(model.classes_)
    if booster.targets > 1 and len(classes) == booster.targets:
        index = context.argmax(_probabilities(context, booster, score))
        return context.labels(classes, index)
    if len(classes) != 2 or LINKS[booster.objective] != "sigmoid":
        raise CannotConvert(f"{len(classes)} classes with the objective {booster.objective}")
    exceeds = graph.node("GreaterOrEqual", context.flat(score), _cut(booster))
    index = graph.cast(Value(exceeds, 0, np.dtype(bool)), np.int64)
    return context.labels(classes, index)


def _cut(booster: _Booster) -> np.float64:
    """The smallest score for which the second class is the more probable one, as computed."""

    def exceeds(score: float) -> bool:
        second = 1 / (1 + math.exp(-booster.slope * score))
        return second > 1 - second

    low, high = 0, int(np.float64(1).view(np.int64))  # the bits of positive numbers are in order
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeds(_float(middle)) else (middle, high)
    return np.float64(_float(high))


def _float(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


plugin = LightgbmConverter()
