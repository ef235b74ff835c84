"""Gradient boosting, of both kinds: trees that add up to a raw score, and the loss's link."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.trees import DOUBLE, as_trees_see_it, tree_of
from inferd.compiling.forest import LEAF, LEQ, MEMBER, Forest, Tree
from inferd.compiling.graph import Value
from inferd.tensors import Array


def _gradient_boosting(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """sklearn.ensemble._gb. The losses that a regressor is given have no link."""
    raw = context.graph.once(("raw", id(model), frame), lambda: _raw(context, model, frame))
    return _answer(context, model, raw, method, "GreaterOrEqual")


def _hist_gradient_boosting(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """sklearn.ensemble._hist_gradient_boosting."""
    raw = context.graph.once(("raw", id(model), frame), lambda: _hist_raw(context, model, frame))
    return _answer(context, model, raw, method, "Greater")


def _answer(context: Context, model: Any, raw: Value, method: str, positive: str) -> Value:
    """What *method* makes of the *raw* scores; *positive* is how two classes are told from zero."""
    if method == "decision_function":
        return raw if raw.width > 1 else context.flat(raw)
    if hasattr(model, "classes_"):
        return _classes(context, model, raw, method, positive)
    if method != "predict":
        raise CannotConvert(f"no {method}")
    return _inverse(context, model._loss, context.flat(raw))


def _raw(context: Context, model: Any, frame: Frame) -> Value:
    """Trees over float32 rows; float64 sums that begin with the initial estimator: [N, targets]."""
    stages, targets = model.estimators_.shape
    if model.init_ != "zero" and type(model.init_).__name__ not in (
        "DummyClassifier",
        "DummyRegressor",
    ):
        raise CannotConvert(f"begins with a {type(model.init_).__name__}")
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]
    trees = []
    for stage in range(stages):
        for target in range(targets):
            grown = model.estimators_[stage, target].tree_
            weight = np.zeros((grown.node_count, targets))
            weight[:, target] = model.learning_rate * grown.value[:, 0, 0]
            trees.append(tree_of(grown, weight))
    forest = Forest(trees, targets, DOUBLE, np.asarray(base, float))
    return context.forest(forest, as_trees_see_it(context, frame))


def _hist_raw(context: Context, model: Any, frame: Frame) -> Value:
    """Trees over float64 rows, categories first, as small numbers: [N, targets]."""
    if model._preprocessor is not None:
        matrix = context.emit(model._preprocessor, frame, "transform")
    else:
        matrix = context.matrix(frame)
    targets = model.n_trees_per_iteration_
    trees = [
        _predictor(predictor, target, targets)
        for iteration in model._predictors
        for target, predictor in enumerate(iteration)
    ]
    base = np.asarray(model._baseline_prediction, float).reshape(-1)
    forest = Forest(trees, targets, DOUBLE, np.broadcast_to(base, (targets,)))
    return context.forest(forest, matrix)


def _predictor(predictor: Any, target: int, targets: int) -> Tree:
    """One ``TreePredictor``: a table of nodes, and a bit set for each split by category."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    categorical = nodes["is_categorical"].astype(bool) & ~leaf
    weight = np.zeros((len(nodes), targets))
    weight[:, target] = nodes["value"]
    return Tree(
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        mode=np.where(categorical, MEMBER, LEQ).astype(np.uint8),
        threshold=np.where(categorical | leaf, 0.0, nodes["num_threshold"]),
        left=np.where(leaf, LEAF, nodes["left"].astype(np.int64)),
        right=np.where(leaf, LEAF, nodes["right"].astype(np.int64)),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        weight=weight,
        members={
            int(at): _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][at]])
            for at in np.flatnonzero(categorical)
        },
    )


def _members(bits: Array) -> Array:
    """The numbers of the set bits of 256, in words of 32."""
    words = np.asarray(bits, np.uint32)
    return np.flatnonzero((words[:, None] >> np.arange(32, dtype=np.uint32)) & 1).astype(float)


def _classes(context: Context, model: Any, raw: Value, method: str, positive: str) -> Value:
    """Labels or probabilities; *positive* is how two classes are told from zero."""
    node = context.graph.node
    if method == "predict":
        if raw.width > 1:
            return context.labels(model.classes_, context.argmax(raw))
        truth = Value(node(positive, context.flat(raw), np.float64(0)), 0, np.dtype(bool))
        return context.labels(model.classes_, context.graph.cast(truth, np.int64))
    if method != "predict_proba":
        raise CannotConvert(f"no {method}")
    if raw.width > 1:
        return raw._replace(name=node("Softmax", raw, axis=1))
    second = _inverse(context, model._loss, raw)
    first = node("Sub", np.float64(1), second)
    return Value(node("Concat", first, second, axis=1), 2, DOUBLE)


def _inverse(context: Context, loss: Any, raw: Value) -> Value:
    """The loss's inverse link: sklearn._loss.link."""
    node = context.graph.node
    match type(loss.link).__name__:
        case "IdentityLink":
            return raw
        case "LogLink":
            return raw._replace(name=node("Exp", raw))
        case "LogitLink":
            return raw._replace(name=node("Sigmoid", raw))
        case "HalfLogitLink":
            return raw._replace(name=node("Sigmoid", node("Mul", raw, np.float64(2))))
        case other:
            raise CannotConvert(f"the link {other}")


EMITTERS = {
    "GradientBoostingClassifier": _gradient_boosting,
    "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingClassifier": _hist_gradient_boosting,
    "HistGradientBoostingRegressor": _hist_gradient_boosting,
}
