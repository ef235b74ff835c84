"""Steps one after the other, and side by side: Pipeline, ColumnTransformer, FeatureUnion."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    DOUBLE,
    as_dense,
    as_sparse,
    dense,
    is_sparse,
    joined,
    require,
)
from inferd.compiling.graph import Value


def _pipeline(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """All steps but the last transform; what only ``fit`` reads (memory, transform_input) is left
    aside."""
    steps = [step for _, step in model.steps]
    if method == "inverse_transform":
        return _through(context, list(reversed(steps)), frame, method)
    if method == "transform":
        return _through(context, steps, frame, method)
    require(not _passes(steps[-1]), f"no {method}")
    between = _through(context, steps[:-1], frame, "transform") if _working(steps[:-1]) else None
    return context.emit(steps[-1], frame if between is None else Frame((between,)), method)


def _through(context: Context, steps: Sequence[Any], frame: Frame, method: str) -> Value:
    """What comes out behind the last of *steps*."""
    for step in _working(steps):
        frame = Frame((_transformed(context, step, frame, method),))
    return frame.parts[0] if is_sparse(context, frame) else joined(context, frame)


def _working(steps: Sequence[Any]) -> list[Any]:
    return [step for step in steps if not _passes(step)]


def _passes(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def _transformed(context: Context, step: Any, frame: Frame, method: str = "transform") -> Value:
    made = context.emit(step, frame, method)
    require(made.width, f"{type(step).__name__} gives one value a row")
    return made


def _column_transformer(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Each step over its own columns, which count as in ``fit``, whatever they were named by."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "columns")
    parts = []
    for name, step, columns in model.transformers_:
        places = list(model._transformer_to_input_indices[name])
        if (isinstance(step, str) and step == "drop") or not places:
            continue
        require(not np.isscalar(columns), "a column handed over as a list of values")
        inner = context.select(frame, places)
        made = joined(context, inner) if _passes(step) else _transformed(context, step, inner)
        parts.append(_weighted(context, model, name, made))
    return _side_by_side(context, parts, model.sparse_output_)


def _feature_union(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Each step over all columns."""
    require(method == "transform", f"no {method}")
    parts = []
    for name, step in model.transformer_list:
        if isinstance(step, str) and step == "drop":
            continue
        made = joined(context, frame) if _passes(step) else _transformed(context, step, frame)
        parts.append(_weighted(context, model, name, made))
    return _side_by_side(context, parts, is_sparse(context, Frame(tuple(parts))))


def _weighted(context: Context, model: Any, name: str, made: Value) -> Value:
    """The weight of step *name* over what it made."""
    weight = (model.transformer_weights or {}).get(name)
    if weight is None:
        return made
    require(made.dtype == DOUBLE, f"a weight over {made.dtype}")
    scaled = made._replace(name=context.graph.node("Mul", made, np.float64(weight)))
    return as_sparse(context, scaled) if is_sparse(context, Frame((made,))) else scaled


def _side_by_side(context: Context, parts: list[Value], sparse: bool) -> Value:
    if not parts:
        raise CannotConvert("a table without columns")
    whole = joined(context, Frame(tuple(as_dense(context, part) for part in parts)))
    return as_sparse(context, whole) if sparse else whole


EMITTERS = {
    "ColumnTransformer": _column_transformer,
    "FeatureUnion": _feature_union,
    "Pipeline": _pipeline,
}
