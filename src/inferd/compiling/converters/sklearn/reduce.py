"""Fewer columns: projections onto others, and selections of some."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    DOUBLE,
    as_sparse,
    dense,
    doubles,
    is_sparse,
    joined,
    require,
)
from inferd.compiling.graph import Value
from inferd.tensors import Array


def _pca(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """PCA and IncrementalPCA: projected, then centred."""
    require(method == "transform", f"no {method}")
    components = np.asarray(model.components_)
    centre = np.reshape(model.mean_, (1, -1)) @ components.T
    value = _projected(context, doubles(context, frame), components.T)
    value = value._replace(name=context.graph.node("Sub", value, centre.astype(DOUBLE)))
    if not model.whiten:
        return value
    scale = np.sqrt(model.explained_variance_)
    scale = np.maximum(scale, np.finfo(scale.dtype).eps)
    return value._replace(name=context.graph.node("Div", value, scale.astype(DOUBLE)))


def _truncated_svd(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """TruncatedSVD and GaussianRandomProjection: projected."""
    require(method == "transform", f"no {method}")
    return _projected(context, doubles(context, frame), np.asarray(model.components_).T)


def _fast_ica(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Centred, then projected."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "components")
    value = doubles(context, frame)
    if model.whiten:
        centre = np.asarray(model.mean_).astype(DOUBLE)
        value = value._replace(name=context.graph.node("Sub", value, centre))
    return _projected(context, value, np.asarray(model.components_).T)


def _rbf_sampler(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Cosines of random projections."""
    require(method == "transform", f"no {method}")
    require(model.random_weights_.dtype == DOUBLE, "projections of float32")
    value = _projected(context, doubles(context, frame), model.random_weights_)
    moved = context.graph.node("Add", value, np.asarray(model.random_offset_, DOUBLE))
    scale = np.float64((2.0 / model.n_components) ** 0.5)
    return value._replace(name=context.graph.node("Mul", context.graph.node("Cos", moved), scale))


def _projected(context: Context, value: Value, matrix: Array) -> Value:
    require(matrix.shape[0] == value.width, "a projection of another width")
    wide = np.ascontiguousarray(matrix, DOUBLE)
    return Value(context.graph.node("MatMul", value, wide), matrix.shape[1], DOUBLE)


def _selection(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Some columns, as they are."""
    require(method == "transform", f"no {method}")
    support = np.flatnonzero(model.get_support())
    require(len(support), "a table without columns")
    whole = joined(context, frame)
    (picked,) = context.select(Frame((whole,)), support.tolist()).parts
    return as_sparse(context, picked) if is_sparse(context, frame) else picked


def _elimination(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """RFE and RFECV: a selection, and maybe a model over it."""
    picked = _selection(context, model, frame, "transform")
    if method == "transform":
        return picked
    return context.emit(model.estimator_, Frame((picked,)), method)


EMITTERS = {
    "FastICA": _fast_ica,
    "GaussianRandomProjection": _truncated_svd,
    "GenericUnivariateSelect": _selection,
    "IncrementalPCA": _pca,
    "PCA": _pca,
    "RBFSampler": _rbf_sampler,
    "RFE": _elimination,
    "RFECV": _elimination,
    "SelectFdr": _selection,
    "SelectFpr": _selection,
    "SelectFromModel": _selection,
    "SelectFwe": _selection,
    "SelectKBest": _selection,
    "SelectPercentile": _selection,
    "SequentialFeatureSelector": _selection,
    "TruncatedSVD": _truncated_svd,
    "VarianceThreshold": _selection,
}
