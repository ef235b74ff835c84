"""Models that compare a row with those they were fitted on: kernel ridge, Gaussian processes, and
label propagation."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.scores import (
    added,
    affine,
    narrow,
    norms_of,
    plain,
    repeated,
    row_norms,
    scaled,
    squared_distances,
    summed,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, dense, doubles, require
from inferd.compiling.graph import Value
from inferd.tensors import Array

MANY = 64
"""Columns beyond which distances are not added up one column at a time."""


def power(context: Context, base: Value, exponent: int) -> Value:
    """A whole power by repeated squaring, as libsvm's ``powi``."""
    made, square = base._replace(name=context.graph.constant(np.float64(1))), base
    while exponent:
        if exponent % 2:
            made = made._replace(name=context.graph.node("Mul", made, square))
        square = square._replace(name=context.graph.node("Mul", square, square))
        exponent //= 2
    return made


def radial(context: Context, table: Value, points: Any, gamma: float) -> Value:
    """``sklearn.metrics.pairwise.rbf_kernel``."""
    distances = scaled(context, squared_distances(context, table, points), "Mul", -gamma)
    return distances._replace(name=context.graph.node("Exp", distances))


def _pairwise(context: Context, model: Any, table: Value, points: Array) -> Value:
    """``pairwise_kernels`` with a kernel ridge's parameters."""
    kernel = model.kernel
    gamma = 1.0 / points.shape[1] if model.gamma is None else float(model.gamma)
    if kernel == "rbf":
        return radial(context, table, points, gamma)
    if kernel == "cosine":
        return _cosine(context, table, points)
    product = affine(context, table, points.T)
    if kernel == "linear":
        return product
    require(isinstance(kernel, str) and kernel in ("poly", "polynomial", "sigmoid"), "this kernel")
    product = scaled(context, scaled(context, product, "Mul", gamma), "Add", float(model.coef0))
    if kernel == "sigmoid":
        return product._replace(name=context.graph.node("Tanh", product))
    return scaled(context, product, "Pow", float(model.degree))


def _cosine(context: Context, table: Value, points: Array) -> Value:
    """The cosine of the angle between rows."""
    node = context.graph.node
    norm = node("Sqrt", row_norms(context, table))
    norm = node(
        "Where", node("Less", norm, np.float64(10 * np.finfo(float).eps)), np.float64(1), norm
    )
    lengths = np.sqrt(norms_of(points))
    lengths[lengths < 10 * np.finfo(float).eps] = 1.0
    unit = table._replace(name=node("Div", table, norm))
    return affine(context, unit, (points / lengths[:, None]).T)


def _kernel_ridge(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    dual = plain(model.dual_coef_)
    kernel = _pairwise(context, model, doubles(context, frame), plain(model.X_fit_))
    made = affine(context, kernel, dual.reshape(len(dual), -1))
    return context.flat(made) if dual.ndim == 1 else made


def _propagation(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """LabelPropagation and LabelSpreading."""
    require(model.kernel == "rbf", "neighbours")
    dense(context, frame, "distances")
    # The library has the fitted rows first: their norms are added before those of the row.
    weights = radial(context, doubles(context, frame), model.X_, float(model.gamma))
    shares = affine(context, weights, model.label_distributions_)
    chances = shares._replace(name=context.graph.node("Div", shares, summed(context, shares)))
    if method == "predict":
        return context.labels(model.classes_, context.argmax(chances))
    require(method == "predict_proba", f"no {method}")
    return chances


def _process(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """GaussianProcessRegressor."""
    require(method == "predict", f"no {method}")
    require(hasattr(model, "X_train_"), "a process that was never fitted")
    table, points = doubles(context, frame), plain(model.X_train_)
    kernel = _covariance(context, model.kernel_, table, points)
    alpha = plain(model.alpha_)
    made = affine(context, kernel, alpha.reshape(len(alpha), -1))
    made = scaled(context, made, "Mul", np.atleast_1d(model._y_train_std))
    return narrow(context, scaled(context, made, "Add", np.atleast_1d(model._y_train_mean)))


def _covariance(context: Context, kernel: Any, table: Value, points: Array) -> Value:
    """A kernel of ``sklearn.gaussian_process.kernels`` between rows and fitted ones."""
    node = context.graph.node
    require(type(kernel).__module__ == "sklearn.gaussian_process.kernels", "this kernel")
    match type(kernel).__name__:
        case "Sum" | "Product" as name:
            first = _covariance(context, kernel.k1, table, points)
            second = _covariance(context, kernel.k2, table, points)
            operator = "Add" if name == "Sum" else "Mul"
            return first._replace(name=node(operator, first, second))
        case "ConstantKernel":
            return _same(context, table, points, float(kernel.constant_value))
        case "WhiteKernel":
            return _same(context, table, points, 0.0)
        case "DotProduct":
            product = affine(context, table, points.T)
            return scaled(context, product, "Add", kernel.sigma_0**2)
        case "RBF":
            distances = _over(context, table, points, kernel.length_scale)
            return distances._replace(name=node("Exp", scaled(context, distances, "Mul", -0.5)))
        case "Matern":
            distances = _over(context, table, points, kernel.length_scale)
            root = distances._replace(name=node("Sqrt", distances))
            return _matern(context, root, float(kernel.nu))
        case other:
            raise CannotConvert(f"the kernel {other}")


def _same(context: Context, table: Value, points: Array, number: float) -> Value:
    return repeated(context, Frame((table,)), np.full(len(points), number))


def _over(context: Context, table: Value, points: Array, scale: Any) -> Value:
    """Squared distances over a length, subtracted before they are squared, as scipy does."""
    require(table.width <= MANY, f"distances over more than {MANY} columns")
    lengths = np.broadcast_to(np.squeeze(plain(scale)), (table.width,))
    near, far = scaled(context, table, "Div", lengths), points / lengths
    node, squares = context.graph.node, []
    for at in range(table.width):
        column = node("Gather", near, np.array([at]), axis=1)
        apart = node("Sub", column, far[:, at].reshape(1, -1))
        squares.append(Value(node("Mul", apart, apart), len(points), DOUBLE))
    return added(context, squares)


def _matern(context: Context, distances: Value, nu: float) -> Value:
    node = context.graph.node
    if nu == 0.5:
        return distances._replace(name=node("Exp", node("Neg", distances)))
    require(nu in (1.5, 2.5), f"the kernel Matern with nu={nu}")
    root = scaled(context, distances, "Mul", np.sqrt(2 * nu))
    decay = node("Exp", node("Neg", root))
    total = node("Add", np.float64(1), root)
    if nu == 2.5:
        total = node("Add", total, node("Div", node("Mul", root, root), np.float64(3)))
    return distances._replace(name=node("Mul", total, decay))


EMITTERS = {
    "GaussianProcessRegressor": _process,
    "KernelRidge": _kernel_ridge,
    "LabelPropagation": _propagation,
    "LabelSpreading": _propagation,
}
