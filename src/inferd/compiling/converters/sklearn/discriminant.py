"""Discriminants and centroids: linear, quadratic, and the nearest centroid."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.linear import scores_of
from inferd.compiling.converters.sklearn.scores import (
    added,
    affine,
    column,
    complemented,
    decided,
    expit,
    nearest,
    nearest_point,
    plain,
    scaled,
    softmax,
    squared_distances,
    squared_norms,
    stacked,
    summed,
    wide,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, doubles, require
from inferd.compiling.graph import Value


def _linear(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """LinearDiscriminantAnalysis."""
    if method == "transform":
        return _projected(context, model, frame)
    scores = scores_of(context, model, frame)
    if method == "decision_function":
        return scores
    if method == "predict":
        return decided(context, model.classes_, scores)
    require(method == "predict_proba", f"no {method}")
    if len(model.classes_) == 2:
        return complemented(context, expit(context, scores))
    return softmax(context, scores)


def _projected(context: Context, model: Any, frame: Frame) -> Value:
    table = doubles(context, frame)
    if model.solver == "svd":
        table = scaled(context, table, "Sub", model.xbar_)
    return affine(context, table, plain(model.scalings_)[:, : model._max_components])


def _discriminated(context: Context, model: Any, scores: Value, method: str) -> Value:
    """``DiscriminantAnalysisPredictionMixin``, from a score for each class."""
    node = context.graph.node
    if method == "decision_function":
        if len(model.classes_) > 2:
            return scores
        first, second = (column(context, scores, at) for at in (0, 1))
        return first._replace(name=node("Sub", second, first))
    if method == "predict":
        return decided(context, model.classes_, scores)
    require(method == "predict_proba", f"no {method}")
    below = scores._replace(
        name=node("Sub", scores, node("ReduceMax", scores, axes=[1], keepdims=1))
    )
    total = summed(context, below._replace(name=node("Exp", below)))
    return scores._replace(name=node("Exp", node("Sub", below, node("Log", total))))


def _quadratic(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """QuadraticDiscriminantAnalysis."""
    table, norms = doubles(context, frame), []
    fitted = zip(model.means_, model.rotations_, model.scalings_, strict=True)
    for mean, rotation, scaling in fitted:
        turned = affine(context, scaled(context, table, "Sub", mean), rotation * scaling**-0.5)
        norms.append(squared_norms(context, turned))
    logs = np.array([np.sum(np.log(scaling)) for scaling in model.scalings_])
    half = scaled(context, scaled(context, stacked(context, norms), "Add", logs), "Mul", -0.5)
    scores = scaled(context, half, "Add", np.log(model.priors_))
    return _discriminated(context, model, scores, method)


def _nearest_centroid(context: Context, model: Any, frame: Frame, method: str) -> Value:
    alike = np.isclose(model.class_prior_, 1 / len(model.classes_)).all()
    if method == "predict" and alike:
        table = doubles(context, frame)
        centres = plain(model.centroids_)
        if model.metric == "euclidean":
            index = nearest_point(context, table, centres)
        else:
            index = nearest(context, _distances(context, model, table, centres))
        return context.labels(model.classes_, index)
    scores = _centroid_scores(context, model, frame)
    return _discriminated(context, model, scores, method)


def _distances(context: Context, model: Any, table: Value, centres: Any) -> Value:
    """To each centroid: squared ones for the Euclidean metric."""
    if model.metric == "euclidean":
        return squared_distances(context, table, centres)
    require(model.metric == "manhattan", f"the metric {model.metric}")
    # One column after the other, as the library adds them up.
    node, parts = context.graph.node, []
    for at in range(table.width):
        apart = node("Sub", wide(context, column(context, table, at)), centres[:, at][None])
        parts.append(Value(node("Abs", apart), len(centres), DOUBLE))
    return added(context, parts)


def _centroid_scores(context: Context, model: Any, frame: Frame) -> Value:
    spread = plain(model.within_class_std_dev_)
    spread = np.where(spread != 0, spread, 1.0)
    table = scaled(context, doubles(context, frame), "Div", spread)
    node, distances = (
        context.graph.node,
        _distances(context, model, table, plain(model.centroids_) / spread),
    )
    if model.metric == "euclidean":
        distances = distances._replace(name=node("Sqrt", distances))
    squares = node("Neg", node("Mul", distances, distances))
    priors = 2.0 * np.log(plain(model.class_prior_))
    return Value(node("Add", squares, priors), len(model.classes_), DOUBLE)


EMITTERS = {
    "LinearDiscriminantAnalysis": _linear,
    "NearestCentroid": _nearest_centroid,
    "QuadraticDiscriminantAnalysis": _quadratic,
}
