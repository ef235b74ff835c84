"""XGBoost: its trees in float32 as its own predictor walks them, and the objective's link.

Margins are XGBoost's to the last bit: it starts from the intercept and adds leaf after leaf in
float32 (src/predictor/cpu_predictor.cc). So are the links: they need ``expf``, which is written
here as the C library computes it. Labels do not depend on that: they are cut at the margin where
the library itself begins to answer the other class.
"""

from typing import Any

import numpy as np

from inferd.compiling.categories import numbered, replaced
from inferd.compiling.converters.base import CannotConvert, Context, Converter, Frame
from inferd.compiling.converters.xgboost.booster import Booster, read
from inferd.compiling.converters.xgboost.links import DOUBLE, SINGLE, link
from inferd.compiling.forest import Forest
from inferd.compiling.graph import Value
from inferd.tensors import Array

CLASSIFIERS = frozenset(("XGBClassifier", "XGBRFClassifier"))
OTHERS = frozenset(("XGBRegressor", "XGBRFRegressor", "XGBRanker"))


class XgboostConverter(Converter):
    """XGBoost's wrappers in scikit-learn's manner."""

    def emit(self, context: Context, model: Any, frame: Frame, method: str) -> Value:
        key = ("emit", id(model), frame, method)
        return context.graph.once(key, lambda: _emit(context, model, frame, method))


def _emit(context: Context, model: Any, frame: Frame, method: str) -> Value:
    name = type(model).__name__
    if type(model).__module__ != "xgboost.sklearn" or name not in CLASSIFIERS | OTHERS:
        raise CannotConvert(f"{name} has no exact form")
    if callable(model.objective):
        raise CannotConvert("an objective of its own")
    graph = context.graph
    booster = graph.once(("booster", id(model)), lambda: read(model))
    margin = graph.once(
        ("margin", id(model), frame), lambda: _margin(context, model, booster, frame)
    )
    match method, name in CLASSIFIERS:
        case "predict", True:
            return _label(context, model, booster, margin)
        case "predict_proba", True:
            return _probabilities(context, model, booster, margin)
        case "predict", False if booster.link not in ("softmax", "argmax"):
            return _rank(context, link(context, booster.link, margin))
    raise CannotConvert(f"no {method} for {booster.objective}")


def _margin(context: Context, model: Any, booster: Booster, frame: Frame) -> Value:
    """The sums before the link: float32 [N, targets]."""
    if frame.width != booster.features:
        raise CannotConvert(f"{frame.width} columns for {booster.features} features")
    matrix = context.matrix(numbered(context, model, frame), SINGLE)
    if not np.isnan(model.missing):
        absent = context.graph.node("Equal", matrix, np.float32(model.missing))
        name = context.graph.node("Where", absent, np.float32(np.nan), matrix)
        matrix = context.anew(matrix, name)
    trees, base = booster.trees, booster.base
    reach = sum(np.abs(tree.weight).max() for tree in trees) + np.abs(base).max()
    if not reach < np.finfo(np.float32).max:
        raise CannotConvert("sums that may not be finite")
    known = {int(each) for tree in trees for each in tree.feature[list(tree.members)]}
    matrix = replaced(context, matrix, known, lambda column: _category(context, column))
    return context.forest(Forest(trees, len(base), SINGLE, base), matrix)


def _category(context: Context, column: Value) -> str:
    """Whole numbers, and -1 for what is no category (common::Decision).

    XGBoost drops the fraction of what is not negative; ONNX Runtime does so for some sets only.
    """
    node = context.graph.node
    negative = node("Less", column, np.float32(0))
    beyond = node("GreaterOrEqual", column, np.float32(LARGEST_CATEGORY))
    return node("Where", node("Or", negative, beyond), np.float32(-1), node("Floor", column))


LARGEST_CATEGORY = 2**24
"""From here on no category is known: float32 cannot tell it from its neighbours."""


def _rank(context: Context, value: Value) -> Value:
    return value if value.width > 1 else context.flat(value)


def _label(context: Context, model: Any, booster: Booster, margin: Value) -> Value:
    """XGBClassifier.predict: the most probable class, or whether 0.5 is exceeded."""
    graph = context.graph
    if booster.link == "argmax":
        index = context.argmax(margin)
        return graph.cast(index, np.int32)
    if booster.link == "softmax":
        if model.n_classes_ == 2:
            raise CannotConvert("two classes with multi:softprob")
        # Not of the margins: different ones become equal probabilities, and the first one wins.
        index = context.argmax(link(context, "softmax", margin))
        return context.labels(np.asarray(model.classes_), index)
    if margin.width > 1 and model.n_classes_ != 2:
        raise CannotConvert("several targets of several classes")
    exceeds = graph.node("GreaterOrEqual", margin, _cut(booster))
    truth = margin._replace(name=exceeds, dtype=np.dtype(bool))
    if margin.width > 1:
        return graph.cast(truth, DOUBLE)
    return graph.cast(context.flat(truth), np.int64)


def _cut(booster: Booster) -> np.float32:
    """The smallest margin for which the library's own answer exceeds 0.5: for the label's sake.

    Sought among all float32 numbers in order, some thousand at a time.
    """
    low, high = -INFINITY, INFINITY
    while high - low > 1:
        asked = np.arange(low + 1, high, max(1, (high - low) // 2000))
        over = np.flatnonzero(booster.answers(_floats(asked)) > 0.5)
        first = int(over[0]) if len(over) else len(asked)
        low, high = (
            int(asked[first - 1]) if first else low,
            int(asked[first]) if len(over) else high,
        )
    return np.float32(_floats(np.array([high]))[0])


INFINITY = int(np.float32(np.inf).view(np.int32))
"""Its place in that order, of which 0 is the middle."""


def _floats(places: Array) -> Array:
    """The float32 numbers at *places* in their order."""
    return np.copysign(np.abs(places).astype(np.int32).view(np.float32), places)


def _probabilities(context: Context, model: Any, booster: Booster, margin: Value) -> Value:
    """XGBClassifier.predict_proba."""
    if booster.link in ("softmax", "argmax"):
        return link(context, "softmax", margin)
    second = link(context, booster.link, margin)
    if margin.width > 1:
        if model.n_classes_ not in (2, margin.width):
            raise CannotConvert("several targets of several classes")
        return second
    first = context.graph.node("Sub", np.float32(1), second)
    return Value(context.graph.node("Concat", first, second, axis=1), 2, SINGLE)


plugin = XgboostConverter()
