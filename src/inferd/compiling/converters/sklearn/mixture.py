"""Gaussian mixtures, and one Gaussian with outliers."""

import math
from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.scores import (
    affine,
    in_or_out,
    log_sum_exp,
    plain,
    row_norms,
    scaled,
    squared_norms,
    stacked,
    summed,
)
from inferd.compiling.converters.sklearn.tables import doubles, require
from inferd.compiling.graph import Value
from inferd.tensors import Array


def _mixture(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """GaussianMixture and BayesianGaussianMixture: sklearn.mixture._base."""
    logs = _log_density(context, model, doubles(context, frame))
    if hasattr(model, "degrees_of_freedom_"):
        logs = _bayesian(context, model, logs)
    logs = scaled(context, logs, "Add", model._estimate_log_weights())
    if method == "predict":
        return context.argmax(logs)
    norm = log_sum_exp(context, logs)
    if method == "score_samples":
        return context.flat(norm)
    require(method == "predict_proba", f"no {method}")
    node = context.graph.node
    return logs._replace(name=node("Exp", node("Sub", logs, norm)))


def _bayesian(context: Context, model: Any, logs: Value) -> Value:
    """What the uncertainty of means and covariances adds."""
    from scipy.special import digamma

    features = model.means_.shape[1]
    freedom = plain(model.degrees_of_freedom_)
    spread = np.atleast_1d(0.5 * features * np.log(freedom))
    steps = np.arange(0, features)[:, np.newaxis]
    volume = features * np.log(2.0) + np.sum(digamma(0.5 * (freedom - steps)), 0)
    more = np.atleast_1d(0.5 * (volume - features / plain(model.mean_precision_)))
    return scaled(context, scaled(context, logs, "Sub", spread), "Add", more)


def _log_density(context: Context, model: Any, table: Value) -> Value:
    """``_estimate_log_gaussian_prob``: [N, components]."""
    from sklearn.mixture._gaussian_mixture import _compute_log_det_cholesky

    kind, cholesky = model.covariance_type, plain(model.precisions_cholesky_)
    features = table.width
    volume = np.atleast_1d(_compute_log_det_cholesky(cholesky, kind, features))
    if kind in ("full", "tied"):
        squares = _turned(context, table, plain(model.means_), cholesky)
    else:
        squares = _expanded(context, table, plain(model.means_), cholesky**2)
    total = scaled(context, squares, "Add", features * math.log(2 * math.pi))
    return scaled(context, scaled(context, total, "Mul", -0.5), "Add", volume)


def _turned(context: Context, table: Value, means: Array, cholesky: Array) -> Value:
    parts = []
    for at, mean in enumerate(means):
        turn = cholesky[at] if cholesky.ndim == 3 else cholesky
        turned = scaled(context, affine(context, table, turn), "Sub", mean @ turn)
        parts.append(squared_norms(context, turned))
    return stacked(context, parts)


def _expanded(context: Context, table: Value, means: Array, precisions: Array) -> Value:
    """Diagonal and spherical covariances: the square multiplied out."""
    node = context.graph.node
    if precisions.ndim == 2:
        product = affine(context, table, (means * precisions).T)
        squares = table._replace(name=node("Mul", table, table))
        own = affine(context, squares, precisions.T).name
        constant = np.sum(means**2 * precisions, axis=1)
    else:
        product = scaled(context, affine(context, table, means.T), "Mul", precisions)
        own = node("Mul", row_norms(context, table), precisions.reshape(1, -1))
        constant = np.sum(means**2, axis=1) * precisions
    made = node("Sub", constant, scaled(context, product, "Mul", 2.0))
    return product._replace(name=node("Add", made, own))


def _envelope(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """EllipticEnvelope: the Mahalanobis distance."""
    node, apart = (
        context.graph.node,
        scaled(context, doubles(context, frame), "Sub", model.location_),
    )
    turned = affine(context, apart, model.get_precision())
    squares = summed(context, turned._replace(name=node("Mul", turned, apart)))
    root = node("Sqrt", context.flat(squares))
    scores = squares._replace(name=node("Neg", node("Mul", root, root)), width=0)
    if method == "score_samples":
        return scores
    decision = scaled(context, scores, "Sub", model.offset_)
    if method == "decision_function":
        return decision
    require(method == "predict", f"no {method}")
    return in_or_out(context, decision, "GreaterOrEqual")


EMITTERS = {
    **dict.fromkeys(("BayesianGaussianMixture", "GaussianMixture"), _mixture),
    "EllipticEnvelope": _envelope,
}
