"""Clusterers that predict: the nearest centre, in scikit-learn's form of the distance."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.scores import (
    affine,
    nearest,
    nearest_point,
    norms_of,
    plain,
    squared_distances,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, doubles, require
from inferd.compiling.graph import Value
from inferd.tensors import Array

LABEL = np.dtype(np.int32)


def _centres(model: Any, name: str = "cluster_centers_") -> Array:
    centres = getattr(model, name, None)
    require(centres is not None and len(centres), "no centres")
    require(np.asarray(centres).dtype == DOUBLE, "it computes in float32")
    return plain(centres)


def _closest(context: Context, table: Value, centres: Array) -> Value:
    """``lloyd_iter_chunked_dense``, which leaves the row's own norm out: int32 [N]."""
    product = affine(context, table, -2.0 * centres.T, norms_of(centres))
    return context.graph.cast(nearest(context, product), LABEL)


def _distances(context: Context, table: Value, centres: Array) -> Value:
    squares = squared_distances(context, table, centres)
    return squares._replace(name=context.graph.node("Sqrt", squares))


def _k_means(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """KMeans and MiniBatchKMeans."""
    table, centres = doubles(context, frame), _centres(model)
    if method == "transform":
        return _distances(context, table, centres)
    require(method == "predict", f"no {method}")
    return _closest(context, table, centres)


def _bisecting(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The nearer of two centres, from the root of the tree down."""
    if method != "predict":
        return _k_means(context, model, frame, method)
    _centres(model)
    moved = model._X_mean if hasattr(model, "_X_mean") else 0.0
    table = doubles(context, frame)

    def label(branch: Any) -> Any:
        if branch.left is None:
            return np.asarray(branch.label, LABEL)
        pair = np.vstack((branch.left.center, branch.right.center)) + moved
        first = context.graph.node("Equal", _closest(context, table, pair), np.asarray(0, LABEL))
        return context.graph.node("Where", first, label(branch.left), label(branch.right))

    made = label(model._bisecting_tree)
    require(isinstance(made, str), "a single cluster")
    return Value(made, 0, LABEL)


def _point(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """AffinityPropagation and MeanShift."""
    require(method == "predict", f"no {method}")
    return nearest_point(context, doubles(context, frame), _centres(model))


def _birch(context: Context, model: Any, frame: Frame, method: str) -> Value:
    table, centres = doubles(context, frame), _centres(model, "subcluster_centers_")
    if method == "transform":
        return _distances(context, table, centres)
    require(method == "predict", f"no {method}")
    index = nearest_point(context, table, centres, model._subcluster_norms)
    return context.labels(np.asarray(model.subcluster_labels_), index)


EMITTERS = {
    **dict.fromkeys(("AffinityPropagation", "MeanShift"), _point),
    **dict.fromkeys(("KMeans", "MiniBatchKMeans"), _k_means),
    "Birch": _birch,
    "BisectingKMeans": _bisecting,
}
