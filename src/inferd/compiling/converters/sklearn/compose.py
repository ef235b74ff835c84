"""Steps one after the other, and side by side: Pipeline, ColumnTransformer, FeatureUnion.

A step that is handed NaN or infinities made by an earlier one raises, if it takes none; so the run
fails there. Which tables may hold such numbers, though the model's input has none, is remembered.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    DOUBLE,
    INFINITE,
    as_dense,
    as_sparse,
    dense,
    fail_at,
    is_sparse,
    joined,
    require,
)
from inferd.compiling.converters.sklearn.trees import EMITTERS as TREES
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
    last = frame if between is None else Frame((between,))
    return context.emit(steps[-1], _checked(context, steps[-1], last), method)


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
    shown = _checked(context, step, frame) if method == "transform" else frame
    made = context.emit(step, shown, method)
    require(made.width, f"{type(step).__name__} gives one value a row")
    wild = method == "transform" and (_runs_wild(step) or _is_wild(context, shown.parts))
    return _marked(context, made) if wild else made


def _checked(context: Context, step: Any, frame: Frame) -> Frame:
    """*frame*, in a run that fails where an earlier step made numbers that *step* refuses."""
    refused = _refused(step) if _is_wild(context, frame.parts) else ()
    if not refused:
        return frame
    return Frame(tuple(_without(context, part, refused) for part in frame.parts))


def _without(context: Context, part: Value, refused: Sequence[float]) -> Value:
    if part.dtype.kind != "f":
        return part
    made = fail_at(context, part, refused)
    if is_sparse(context, Frame((part,))):
        made = as_sparse(context, made)
    return made if len(refused) > len(INFINITE) else _marked(context, made)


def _is_wild(context: Context, parts: Sequence[Value]) -> bool:
    """Whether any of *parts* may hold NaN or infinities that an earlier step made."""
    return any(context.graph.once(("wild", part.name), lambda: False) for part in parts)


def _marked(context: Context, made: Value) -> Value:
    """*made*, remembered as a table that may hold NaN or infinities."""
    context.graph.once(("wild", made.name), lambda: True)
    return made


def _runs_wild(step: Any) -> bool:
    """Whether *step* itself can turn finite numbers into NaN or infinities."""
    if type(step).__name__ == "FunctionTransformer":
        return isinstance(step.func, np.ufunc) and step.func not in TAME
    return type(step).__name__ in ("PolynomialFeatures", "PowerTransformer")


TAME = (np.absolute, np.ceil, np.floor, np.negative, np.sign, np.tanh)
"""Functions that are finite wherever their argument is."""


def _refused(step: Any) -> tuple[float, ...]:
    """The numbers that *step* raises for, going by its tags.

    None for steps that see to it themselves: those of this file, and trees.
    """
    from sklearn.feature_selection import SelectorMixin
    from sklearn.utils import get_tags

    foreign = type(step).__module__.partition(".")[0] != "sklearn"
    if foreign or type(step).__name__ in (*EMITTERS, *TREES, *TAKE_ALL):
        return ()
    tags, inner = get_tags(step), _inner(step)
    if tags.no_validation:
        return ()
    if isinstance(step, SelectorMixin):
        return () if tags.input_tags.allow_nan else (*INFINITE, float("nan"))
    if inner:
        return max((_refused(each) for each in inner), key=len)
    return INFINITE if tags.input_tags.allow_nan else (*INFINITE, float("nan"))


def _inner(step: Any) -> list[Any]:
    """The models that *step* hands its table to, as they were given to it."""
    several = [each for _, each in getattr(step, "estimators", ())]
    given = [*several, getattr(step, "estimator", None)]
    return [each for each in given if each is not None and not isinstance(each, str)]


TAKE_ALL = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


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
        if _is_wild(context, frame.parts):
            inner = Frame(tuple(_marked(context, part) for part in inner.parts))
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
    scaled = as_sparse(context, scaled) if is_sparse(context, Frame((made,))) else scaled
    return _marked(context, scaled) if _is_wild(context, (made,)) else scaled


def _side_by_side(context: Context, parts: list[Value], sparse: bool) -> Value:
    if not parts:
        raise CannotConvert("a table without columns")
    whole = joined(context, Frame(tuple(as_dense(context, part) for part in parts)))
    whole = as_sparse(context, whole) if sparse else whole
    return _marked(context, whole) if _is_wild(context, parts) else whole


EMITTERS = {
    "ColumnTransformer": _column_transformer,
    "FeatureUnion": _feature_union,
    "Pipeline": _pipeline,
}
