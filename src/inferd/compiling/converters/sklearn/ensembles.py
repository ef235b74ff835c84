"""Bagging and AdaBoost: many small models, which are one forest where they are trees."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.meta import ballots
from inferd.compiling.converters.sklearn.scores import (
    WHOLE,
    added,
    column,
    decided,
    repeated,
    scaled,
    softmax,
    stacked,
    summed,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, dense, require
from inferd.compiling.converters.sklearn.trees import as_trees_see_it, tree_of
from inferd.compiling.forest import Forest, Tree
from inferd.compiling.graph import Value
from inferd.tensors import Array

TREES = {
    "DecisionTreeClassifier": True,
    "DecisionTreeRegressor": False,
    "ExtraTreeClassifier": True,
    "ExtraTreeRegressor": False,
}
"""Single trees, and whether they tell classes apart."""


def _are_trees(models: Sequence[Any], classifiers: bool) -> bool:
    """Whether all *models* are trees of one output and of that kind."""
    return all(
        type(each).__module__ == "sklearn.tree._classes"
        and TREES.get(type(each).__name__) == classifiers
        and each.n_outputs_ == 1
        for each in models
    )


def _sums(context: Context, frame: Frame, trees: Sequence[Tree]) -> Value:
    targets = trees[0].weight.shape[1]
    forest = Forest(trees, targets, DOUBLE, np.zeros(targets))
    return context.forest(forest, as_trees_see_it(context, frame))


def _bagged(context: Context, model: Any, frame: Frame) -> list[tuple[Any, Frame]]:
    """Each estimator with the columns that it is shown."""
    dense(context, frame, "columns")
    pairs = zip(model.estimators_, model.estimators_features_, strict=True)
    return [(each, context.select(frame, list(columns))) for each, columns in pairs]


def _bagging_classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    if method == "decision_function":
        parts = [context.emit(e, inner, method) for e, inner in _bagged(context, model, frame)]
        return scaled(context, added(context, parts), "Div", model.n_estimators)
    key = ("bagging", id(model), frame)
    chances = context.graph.once(key, lambda: _bagged_chances(context, model, frame))
    if method == "predict":
        return context.labels(model.classes_, context.argmax(chances))
    require(method == "predict_proba", f"no {method}")
    return chances


def _bagged_chances(context: Context, model: Any, frame: Frame) -> Value:
    if _are_trees(model.estimators_, classifiers=True):
        total = _sums(context, frame, _bagged_trees(model, model.n_classes_))
    else:
        pairs = _bagged(context, model, frame)
        parts = [_chances(context, each, inner, model.n_classes_) for each, inner in pairs]
        total = added(context, parts)
    return scaled(context, total, "Div", model.n_estimators)


def _bagged_trees(model: Any, classes: int) -> list[Tree]:
    trees = []
    for each, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        values = each.tree_.value[:, 0, :]
        places = np.asarray(each.classes_, int) if hasattr(each, "classes_") else [0]
        weight = np.zeros((len(values), classes))
        weight[:, places] = values[:, : len(places)]
        trees.append(tree_of(each.tree_, weight, columns))
    return trees


def _chances(context: Context, model: Any, frame: Frame, classes: int) -> Value:
    """One estimator's, with zeros for classes that it never saw; its vote where it has none."""
    if not hasattr(model, "predict_proba"):
        return ballots(context, context.emit(model, frame, "predict"), classes)
    made = context.emit(model, frame, "predict_proba")
    if made.width == classes:
        return made
    nothing = column(context, repeated(context, frame, np.zeros(1)), 0)
    own = np.asarray(model.classes_).tolist()
    return stacked(
        context,
        [column(context, made, own.index(k)) if k in own else nothing for k in range(classes)],
    )


def _bagging_regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    if _are_trees(model.estimators_, classifiers=False):
        total = context.flat(_sums(context, frame, _bagged_trees(model, 1)))
    else:
        pairs = _bagged(context, model, frame)
        total = added(context, [context.emit(each, inner, method) for each, inner in pairs])
    return scaled(context, total, "Div", model.n_estimators)


def _boosted_classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """AdaBoostClassifier."""
    algorithm = getattr(model, "algorithm", "SAMME")  # gone with 1.8
    require(algorithm in ("SAMME", "deprecated"), f"the algorithm {algorithm}")
    require(model.n_classes_ > 1, "a single class")
    key = ("boosting", id(model), frame)
    decision = context.graph.once(key, lambda: _boosted(context, model, frame))
    if method == "decision_function":
        return decision
    if method == "predict":
        return decided(context, model.classes_, decision)
    require(method == "predict_proba", f"no {method}")
    if model.n_classes_ > 2:
        return softmax(context, scaled(context, decision, "Div", model.n_classes_ - 1))
    both = stacked(context, [scaled(context, decision, "Mul", -1.0), decision])
    return softmax(context, scaled(context, both, "Div", 2))


def _boosted(context: Context, model: Any, frame: Frame) -> Value:
    """The decision: each estimator's weight for its class, and a share of it against the rest."""
    weights = list(zip(model.estimators_, model.estimator_weights_, strict=False))
    if _are_trees(model.estimators_, classifiers=True):
        trees = [_boosted_tree(model, each, weight) for each, weight in weights]
        total = _sums(context, frame, trees)
    else:
        parts = [_boosted_part(context, model, frame, each, w) for each, w in weights]
        total = added(context, parts)
    total = scaled(context, total, "Div", model.estimator_weights_.sum())
    if model.n_classes_ > 2:
        return total
    signs = scaled(context, total, "Mul", np.array([-1.0, 1.0]))
    return context.flat(summed(context, signs))


def _shares(model: Any, index: Any, weight: float) -> Array:
    """What a vote for class *index* adds to each class."""
    others = -1 / (model.n_classes_ - 1) * weight
    mine = np.arange(model.n_classes_) == np.asarray(index)[..., None]
    return np.where(mine, weight, others)


def _boosted_tree(model: Any, grown: Any, weight: float) -> Tree:
    votes = grown.tree_.value[:, 0, : len(grown.classes_)].argmax(axis=1)
    places = np.searchsorted(model.classes_, grown.classes_)
    return tree_of(grown.tree_, _shares(model, places[votes], weight))


def _boosted_part(context: Context, model: Any, frame: Frame, each: Any, weight: float) -> Value:
    label = context.emit(each, frame, "predict")
    classes = np.asarray(model.classes_)
    if label.dtype.kind != "i" or classes.dtype.kind != "i":
        raise CannotConvert("boosted labels that are no numbers")
    table = _shares(model, np.arange(len(classes)), weight)
    mine = ballots_of(context, label, classes)
    return Value(context.graph.node("Gather", table, mine, axis=0), len(classes), DOUBLE)


def ballots_of(context: Context, label: Value, classes: Array) -> Value:
    """The number of each label among *classes*: int64 [N]."""
    node = context.graph.node
    wide = node("Unsqueeze", context.graph.cast(label, WHOLE), np.array([1], np.int64))
    same = node("Equal", wide, classes.astype(np.int64).reshape(1, -1))
    index = node("ArgMax", node("Cast", same, to=7), axis=1, keepdims=0)
    return Value(index, 0, WHOLE)


def _boosted_regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """AdaBoostRegressor: the weighted median."""
    require(method == "predict", f"no {method}")
    node, made = context.graph.node, _predictions(context, model, frame)
    weights = np.asarray(model.estimator_weights_[: made.width], float)
    ordered, order = context.graph.nodes(
        "TopK", made, np.array([made.width]), count=2, axis=1, largest=0, sorted=1
    )
    above = node("CumSum", node("Gather", weights, order), np.int64(1))
    half = node("Mul", node("Gather", above, np.array([made.width - 1]), axis=1), np.float64(0.5))
    reached = node("Cast", node("GreaterOrEqual", above, half), to=7)
    first = node("ArgMax", reached, axis=1, keepdims=1)
    return context.flat(Value(node("GatherElements", ordered, first, axis=1), 1, DOUBLE))


def _predictions(context: Context, model: Any, frame: Frame) -> Value:
    """What each estimator says: [N, estimators]."""
    models = model.estimators_
    if not _are_trees(models, classifiers=False):
        made = stacked(context, [context.emit(each, frame, "predict") for each in models])
        return context.graph.cast(made, DOUBLE)
    trees = []
    for at, each in enumerate(models):
        weight = np.zeros((each.tree_.node_count, len(models)))
        weight[:, at] = each.tree_.value[:, 0, 0]
        trees.append(tree_of(each.tree_, weight))
    return _sums(context, frame, trees)


EMITTERS = {
    "AdaBoostClassifier": _boosted_classifier,
    "AdaBoostRegressor": _boosted_regressor,
    "BaggingClassifier": _bagging_classifier,
    "BaggingRegressor": _bagging_regressor,
}
