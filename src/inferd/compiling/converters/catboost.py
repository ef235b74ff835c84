"""CatBoost: its trees over numbers, read from the model's own JSON, and the loss's link.

Raw values are CatBoost's to the last bit: features are compared in float32, leaves are added in
float64 tree after tree, and then scaled and shifted. Categories are refused: CatBoost hashes their
texts, and looks statistics up by the hash.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Converter, Frame
from inferd.compiling.forest import LEAF, LEQ, Forest, Tree
from inferd.compiling.graph import Value
from inferd.tensors import Array

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)

CLASSIFICATIONS = {
    "CrossEntropy": "sigmoid",
    "Logloss": "sigmoid",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "sigmoid",
}
"""The losses that tell classes apart, one row one class, and what makes probabilities of them."""

PARTS = frozenset(("features_info", "model_info", "oblivious_trees", "scale_and_bias", "trees"))
"""What the JSON of a model of numbers has; others have tables of statistics as well."""

OTHERS = frozenset(("CatBoost", "CatBoostRanker", "CatBoostRegressor"))


class CatboostConverter(Converter):
    """CatBoost's own classes."""

    def emit(self, context: Context, model: Any, frame: Frame, method: str) -> Value:
        key = ("emit", id(model), frame, method)
        return context.graph.once(key, lambda: _emit(context, model, frame, method))


def _emit(context: Context, model: Any, frame: Frame, method: str) -> Value:
    name = type(model).__name__
    classifier = name == "CatBoostClassifier"
    if type(model).__module__ != "catboost.core" or not (classifier or name in OTHERS):
        raise CannotConvert(f"{name} has no exact form")
    graph = context.graph
    ensemble = graph.once(("ensemble", id(model)), lambda: _read(model))
    raw = graph.once(("raw", id(model), frame), lambda: _raw(context, ensemble, frame))
    if method == "predict" and not classifier:
        return _value(context, model, raw)
    link = CLASSIFICATIONS.get(ensemble.loss)
    if not classifier or link is None or method not in ("predict", "predict_proba"):
        raise CannotConvert(f"no {method} for the loss {ensemble.loss}")
    if method == "predict":
        return _label(context, model, raw)
    return _probabilities(context, link, raw)


class _Ensemble(NamedTuple):
    """A model as far as its answers depend on it."""

    trees: Sequence[Tree]
    scale: float
    bias: Array
    """One for each target."""
    features: int
    loss: str


def _read(model: Any) -> _Ensemble:
    """*model*, as its own JSON tells it. Raises CannotConvert."""
    if model.get_cat_feature_indices() or model.get_text_feature_indices():
        raise CannotConvert("categories or texts, which CatBoost knows by their hashes only")
    document = _document(model)
    info = document["features_info"]
    if set(document) - PARTS or set(info) - {"float_features"}:
        raise CannotConvert("features that are no numbers")
    scale, bias = document["scale_and_bias"]
    columns = {each["feature_index"]: each for each in info["float_features"]}
    if "trees" in document:
        trees = [_tree(source, columns, len(bias)) for source in document["trees"]]
    else:
        trees = [_oblivious(source, columns, len(bias)) for source in document["oblivious_trees"]]
    loss = document["model_info"].get("params", {}).get("loss_function", {}).get("type", "unknown")
    features = 1 + max((each["flat_feature_index"] for each in columns.values()), default=-1)
    return _Ensemble(trees, float(scale), np.array(bias, float), features, loss)


def _document(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def _raw(context: Context, ensemble: _Ensemble, frame: Frame) -> Value:
    """What the trees add up to, scaled and shifted: float64 [N, targets]."""
    if frame.width != ensemble.features:
        raise CannotConvert(f"{frame.width} columns for {ensemble.features} features")
    narrow = context.matrix(frame, SINGLE)
    matrix = context.cast(narrow, DOUBLE)
    targets = len(ensemble.bias)
    raw = context.forest(Forest(ensemble.trees, targets, DOUBLE, np.zeros(targets)), matrix)
    if ensemble.scale != 1:
        raw = raw._replace(name=context.graph.node("Mul", raw, np.float64(ensemble.scale)))
    if ensemble.bias.any():
        raw = raw._replace(name=context.graph.node("Add", raw, ensemble.bias))
    return raw


class _Split(NamedTuple):
    """``x > border``, by column of the table."""

    column: int
    border: float
    missing_left: bool

    @classmethod
    def of(cls, source: Mapping[str, Any], columns: Mapping[int, Mapping[str, Any]]) -> "_Split":
        if source["split_type"] != "FloatFeature":
            raise CannotConvert(f"a split of the kind {source['split_type']}")
        column = columns[source["float_feature_index"]]
        missing_left = column["nan_value_treatment"] != "AsTrue"
        border = float(np.float32(source["border"]))
        return cls(column["flat_feature_index"], border, missing_left)


NOTHING = _Split(0, 0.0, missing_left=False)
"""What stands in a leaf."""


def _oblivious(source: Mapping[str, Any], columns: Mapping[int, Any], targets: int) -> Tree:
    """A tree that asks the same at every node of a level; its first split is the leaf's lowest bit.

    Nodes are numbered level by level, so that the leaves come in CatBoost's order.
    """
    splits = [_Split.of(each, columns) for each in reversed(source["splits"] or ())]
    inner = 2 ** len(splits) - 1
    leaves = np.array(source["leaf_values"], float).reshape(-1, targets)
    asked = [split for level, split in enumerate(splits) for _ in range(2**level)]
    number = np.arange(inner)
    left = np.concatenate([2 * number + 1, np.full(len(leaves), LEAF)])
    right = np.concatenate([2 * number + 2, np.full(len(leaves), LEAF)])
    weight = np.concatenate([np.zeros((inner, targets)), leaves])
    return _assembled([*asked, *[NOTHING] * len(leaves)], left, right, weight)


def _tree(source: Mapping[str, Any], columns: Mapping[int, Any], targets: int) -> Tree:
    """A tree of any shape, as nested objects."""
    splits: list[_Split] = []
    left: list[int] = []
    right: list[int] = []
    weight: list[Array] = []
    waiting: list[tuple[Mapping[str, Any], list[int] | None, int]] = [(source, None, 0)]
    while waiting:
        node, side, parent = waiting.pop()
        here = len(splits)
        if side is not None:
            side[parent] = here
        leaf = "split" not in node
        splits.append(NOTHING if leaf else _Split.of(node["split"], columns))
        value = np.broadcast_to(np.array(node["value"] if leaf else 0, float), (targets,))
        weight.append(value)
        left.append(LEAF)
        right.append(LEAF)
        if not leaf:
            waiting += [(node["right"], right, here), (node["left"], left, here)]
    return _assembled(splits, np.array(left), np.array(right), np.array(weight))


def _assembled(splits: Sequence[_Split], left: Array, right: Array, weight: Array) -> Tree:
    """``x > border`` goes right."""
    return Tree(
        feature=np.array([split.column for split in splits], np.int64),
        mode=np.full(len(splits), LEQ, np.uint8),
        threshold=np.array([split.border for split in splits], float),
        left=left.astype(np.int64),
        right=right.astype(np.int64),
        missing_left=np.array([split.missing_left for split in splits]),
        weight=weight,
    )


def _value(context: Context, model: Any, raw: Value) -> Value:
    """What predict gives where there are no classes."""
    kind = "RawFormulaVal"
    if type(model).__name__ == "CatBoostRegressor":
        kind = model._get_default_prediction_type()
    if kind not in ("RawFormulaVal", "Exponent"):
        raise CannotConvert(f"the prediction {kind}")
    if kind == "Exponent":
        raw = raw._replace(name=context.graph.node("Exp", raw))
    return raw if raw.width > 1 else context.flat(raw)


def _label(context: Context, model: Any, raw: Value) -> Value:
    """CatBoostClassifier.predict: [N]; for more than two classes CatBoost itself gives [N, 1]."""
    graph, classes = context.graph, np.asarray(model.classes_)
    if len(classes) != max(2, raw.width):
        raise CannotConvert(f"{len(classes)} classes of {raw.width} values")
    if raw.width > 1:
        return context.labels(classes, context.argmax(raw))
    if model.get_probability_threshold() != 0.5:
        raise CannotConvert("a threshold of its own")
    positive = Value(graph.node("Greater", context.flat(raw), np.float64(0)), 0, np.dtype(bool))
    return context.labels(classes, graph.cast(positive, np.int64))


def _probabilities(context: Context, link: str, raw: Value) -> Value:
    """CatBoostClassifier.predict_proba."""
    node, one = context.graph.node, np.float64(1)
    if link == "softmax":
        return raw._replace(name=node("Softmax", raw, axis=1))
    second = node("Div", one, node("Add", one, node("Exp", node("Neg", raw))))
    if raw.width > 1:
        return raw._replace(name=second)
    return Value(node("Concat", node("Sub", one, second), second, axis=1), 2, DOUBLE)


plugin = CatboostConverter()
