"""Missing values filled in, and told: SimpleImputer, MissingIndicator."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    as_sparse,
    beside,
    doubles,
    fail_where,
    is_sparse,
    joined,
    remember,
    require,
)
from inferd.compiling.graph import Value
from inferd.tensors import Array

BOOL = np.dtype(bool)


def _simple_imputer(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The column's statistic where a value is missing; columns without one are left out."""
    require(method == "transform", f"no {method}")
    value = joined(context, frame)
    if value.dtype.kind in "biu" and model.strategy in ("mean", "median"):
        value = doubles(context, frame)
    require(value.dtype.kind in "fO", f"whole numbers for {model.strategy!r}")
    require((model._fit_dtype.kind == "O") == (value.dtype == object), "another kind of values")
    sparse = is_sparse(context, frame)
    require(
        not sparse or (not model.add_indicator and model.missing_values != 0), "a sparse matrix"
    )
    kept, statistics = _statistics(model, value.dtype)
    missing = _missing(context, frame, value, model.missing_values)
    made = _filled(context, _columns(context, value, kept), missing, kept, statistics)
    if model.add_indicator:
        made = _with_indicator(context, model.indicator_, made, missing)
    return as_sparse(context, made) if sparse else made


def _statistics(model: Any, dtype: Any) -> tuple[list[int], Array]:
    """The columns that stay, and what fills them, as the library would write it among *dtype*."""
    statistics = np.asarray(model.statistics_)
    kept = [
        at
        for at, each in enumerate(statistics.tolist())
        if model.keep_empty_features or each == each
    ]
    require(kept, "a table without columns")
    filling = statistics[kept].astype(model._fill_dtype, copy=False)
    if dtype.kind == "O":
        require(all(isinstance(each, str) for each in filling), "strings filled with another type")
    return kept, filling.astype(dtype)


def _missing(context: Context, frame: Frame, value: Value, marker: Any) -> Value | None:
    """Where *value* is missing: truth values, [N, width]; None where it never is."""
    number = isinstance(marker, int | float | np.number)
    if value.dtype == object:
        if isinstance(marker, str):
            return _equal_strings(context, value, marker)
        require(number and np.isnan(marker), f"missing_values={marker!r}")
        return None  # A string is never NaN.
    require(number, f"missing_values={marker!r}")
    if np.isnan(marker):
        return Value(context.graph.node("IsNaN", value), value.width, BOOL)
    for part in frame.parts:
        remember(context, part, np.array([marker], float))
    # Compared in the table's own datatype, as numpy does with a plain number.
    same = context.graph.node("Equal", value, np.asarray(marker).astype(value.dtype))
    return Value(same, value.width, BOOL)


def _equal_strings(context: Context, value: Value, marker: str) -> Value:
    """Opset 17 cannot compare strings, but LabelEncoder can tell one from all others."""
    from onnx import numpy_helper

    attributes = {
        "keys_tensor": numpy_helper.from_array(np.array([marker], object)),
        "values_tensor": numpy_helper.from_array(np.array([1], np.int64)),
        "default_tensor": numpy_helper.from_array(np.array([0], np.int64)),
    }
    name = context.graph.node("LabelEncoder", value, domain="ai.onnx.ml", **attributes)
    return context.graph.cast(Value(name, value.width, np.dtype(np.int64)), BOOL)


def _columns(context: Context, value: Value, kept: list[int]) -> Value:
    (picked,) = context.select(Frame((value,)), kept).parts
    return picked


def _filled(
    context: Context, value: Value, missing: Value | None, kept: list[int], statistics: Array
) -> Value:
    if missing is None:
        return value
    where = _columns(context, missing, kept)
    filling = context.graph.constant(statistics)
    return value._replace(name=context.graph.node("Where", where, filling, value))


def _with_indicator(context: Context, model: Any, made: Value, missing: Value | None) -> Value:
    """*made*, and beside it a column for each that had missing values in ``fit``: 1 if missing."""
    if not len(model.features_):
        return made
    if missing is None or made.dtype == object:
        raise CannotConvert("strings and numbers in one table")
    told = _columns(context, missing, list(model.features_))
    return beside(context, [made, context.graph.cast(told, made.dtype)])


def _missing_indicator(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Truth values; where a column may not be missing that was not in ``fit``, the run fails."""
    require(method == "transform", f"no {method}")
    sparse = is_sparse(context, frame)
    require(not sparse, "missing values of a sparse matrix")
    value = joined(context, frame)
    require(value.dtype.kind == "f" and len(model.features_), f"a table of {value.dtype}")
    missing = _missing(context, frame, value, model.missing_values)
    if missing is None:
        raise CannotConvert("nothing is missing")
    made = _columns(context, missing, list(model.features_))
    new = np.setdiff1d(np.arange(value.width), model.features_)
    if model.features == "missing-only" and model.error_on_new and len(new):
        told = context.graph.cast(_columns(context, missing, list(new)), np.float32)
        most = context.graph.node("ReduceMax", told, axes=[1], keepdims=1)
        made = fail_where(context, context.graph.node("Greater", most, np.float32(0)), made)
    return as_sparse(context, made) if model.sparse is True else made


EMITTERS = {
    "MissingIndicator": _missing_indicator,
    "SimpleImputer": _simple_imputer,
}
