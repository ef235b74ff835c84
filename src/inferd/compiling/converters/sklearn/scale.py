"""Scalers: a number at a time, in scikit-learn's order of operations, so to the last bit."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    DOUBLE,
    as_sparse,
    dense,
    doubles,
    doubles_only,
    is_sparse,
    remember,
    require,
)
from inferd.compiling.graph import Value
from inferd.tensors import Array


class _Step(NamedTuple):
    """One operation over the table and a value for each column."""

    operator: str
    operand: Array


INVERSE = {"Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul"}

Steps = Callable[[Any], Iterator[_Step]]
"""What a fitted scaler does to a table, first to last."""


def _standard(model: Any) -> Iterator[_Step]:
    if model.with_mean:
        yield _Step("Sub", model.mean_)
    if model.with_std:
        yield _Step("Div", model.scale_)


def _robust(model: Any) -> Iterator[_Step]:
    if model.with_centering:
        yield _Step("Sub", model.center_)
    if model.with_scaling:
        yield _Step("Div", model.scale_)


def _max_abs(model: Any) -> Iterator[_Step]:
    yield _Step("Div", model.scale_)


def _min_max(model: Any) -> Iterator[_Step]:
    yield _Step("Mul", model.scale_)
    yield _Step("Add", model.min_)


def _scaler(steps: Steps) -> Callable[[Context, Any, Frame, str], Value]:
    """The emitter of a scaler that does *steps*, and the same backwards."""

    def emit(context: Context, model: Any, frame: Frame, method: str) -> Value:
        value, todo = doubles(context, frame), list(steps(model))
        if method == "inverse_transform":
            dense(context, frame, "the inverse")
            todo = [_Step(INVERSE[step.operator], step.operand) for step in reversed(todo)]
            return _apply(context, value, todo)
        require(method == "transform", f"no {method}")
        if not is_sparse(context, frame):
            return _clipped(context, model, _apply(context, value, todo))
        # A sparse matrix is multiplied by the reciprocals; zeros that are not stored stay zeros.
        require(all(step.operator == "Div" for step in todo), "a sparse matrix moved off zero")
        reciprocal = [_Step("Mul", 1.0 / step.operand) for step in todo]
        require(all(np.isfinite(s.operand).all() for s in reciprocal), "an infinite scale")
        return as_sparse(context, _clipped(context, model, _apply(context, value, reciprocal)))

    return emit


def _apply(context: Context, value: Value, steps: list[_Step]) -> Value:
    for operator, operand in steps:
        require(np.shape(operand) == (value.width,), "a scaler of another width")
        value = value._replace(
            name=context.graph.node(operator, value, np.asarray(operand, np.float64))
        )
    return value


def _clipped(context: Context, model: Any, value: Value) -> Value:
    if not getattr(model, "clip", False):
        return value
    low, high = getattr(model, "feature_range", (-1.0, 1.0))
    name = context.graph.node("Clip", value, np.float64(low), np.float64(high))
    return value._replace(name=name)


def _normalizer(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Each row over its norm, unless that is next to nothing."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "norms")
    value, node = doubles(context, frame), context.graph.node
    match model.norm:
        case "l1":
            norm = node("ReduceSum", node("Abs", value), np.array([1]), keepdims=1)
        case "l2":
            squares = node("ReduceSum", node("Mul", value, value), np.array([1]), keepdims=1)
            norm = node("Sqrt", squares)
        case "max":
            norm = node("ReduceMax", node("Abs", value), axes=[1], keepdims=1)
        case other:
            raise CannotConvert(f"the norm {other}")
    nothing = node("Less", norm, np.float64(10 * np.finfo(float).eps))
    norm = node("Where", nothing, np.float64(1), norm)
    return value._replace(name=node("Div", value, norm))


def _binarizer(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """1 above the threshold, 0 elsewhere."""
    require(method == "transform", f"no {method}")
    sparse = is_sparse(context, frame)
    require(not sparse or model.threshold >= 0, "a threshold below zero over a sparse matrix")
    value, threshold = doubles_only(context, frame), np.float64(model.threshold)
    for part in frame.parts:
        remember(context, part, np.array([threshold]))
    above = Value(context.graph.node("Greater", value, threshold), value.width, np.dtype(bool))
    made = context.graph.cast(above, DOUBLE)
    return as_sparse(context, made) if sparse else made


EMITTERS = {
    "Binarizer": _binarizer,
    "MaxAbsScaler": _scaler(_max_abs),
    "MinMaxScaler": _scaler(_min_max),
    "Normalizer": _normalizer,
    "RobustScaler": _scaler(_robust),
    "StandardScaler": _scaler(_standard),
}
