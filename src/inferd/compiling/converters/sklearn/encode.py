"""Categories as numbers: OneHotEncoder, OrdinalEncoder, TargetEncoder, column by column.

Where a category that ``fit`` did not see is an error, the compiled run fails as well: its index
reaches outside a table (``tables.FAR``).
"""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    as_sparse,
    beside,
    coded,
    dense,
    one,
    require,
)
from inferd.compiling.graph import Value
from inferd.tensors import Array

NOWHERE = -1
"""The column of a category that has none: it was dropped, or is unknown and ignored."""
DTYPES = frozenset(["bool", "float32", "float64", "int8", "int32", "int64", "uint8"])


def _one_hot(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """A column a category, or a group of infrequent ones; 1 in the row's own."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "categories")
    dtype = _dtype_of(model)
    columns = [
        coded(context, one(context, frame, at), categories, *_places(model, at))
        for at, categories in enumerate(model.categories_)
    ]
    made = hot(context, beside(context, columns), model._n_features_outs, dtype)
    return as_sparse(context, made) if model.sparse_output else made


def hot(context: Context, places: Value, widths: list[int], dtype: Any) -> Value:
    """Each number of [N, features] as a row of zeros, with 1 at that number: side by side."""
    require(sum(widths), "a table without columns")
    source = np.repeat(np.arange(len(widths)), widths)
    target = np.concatenate([np.arange(width) for width in widths]).astype(places.dtype)
    spread = context.graph.node("Gather", places, source, axis=1)
    equal = context.graph.node("Equal", spread, target)
    return context.graph.cast(Value(equal, len(source), np.dtype(bool)), dtype)


def _places(model: Any, at: int) -> tuple[Array, int | None]:
    """Each category's place among the columns of feature *at*, and an unknown one's."""
    places = _grouped(model, at)
    group = model._infrequent_indices[at] if model._infrequent_enabled else None
    unknown: int | None = NOWHERE
    if model.handle_unknown == "error":
        unknown = None
    elif model.handle_unknown in ("infrequent_if_exist", "warn"):
        unknown = NOWHERE if group is None else int(places[group[0]])
    else:
        require(model.handle_unknown == "ignore", f"handle_unknown={model.handle_unknown!r}")
    dropped = None
    if model._drop_idx_after_grouping is not None:
        dropped = model._drop_idx_after_grouping[at]
    if dropped is None:
        return places, unknown
    require(unknown is not None or model._n_features_outs[at], "a feature without columns")
    return _without(places, dropped), None if unknown is None else int(_without(unknown, dropped))


def _without(places: Any, dropped: int) -> Array:
    """*places* where the column *dropped* is gone, and those behind it have moved up."""
    moved = np.where(np.greater(places, dropped), np.subtract(places, 1), places)
    return np.where(np.equal(places, dropped), NOWHERE, moved)


def _grouped(model: Any, at: int) -> Array:
    """The number of each category of feature *at*, the infrequent ones with one number."""
    mapping = model._default_to_infrequent_mappings[at] if model._infrequent_enabled else None
    return np.arange(len(model.categories_[at])) if mapping is None else np.asarray(mapping)


def _ordinal(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The number of each category."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "categories")
    dtype = _dtype_of(model)
    columns = [
        coded(context, one(context, frame, at), categories, *_numbers(model, at, dtype))
        for at, categories in enumerate(model.categories_)
    ]
    return context.graph.cast(beside(context, columns), dtype)


def _numbers(model: Any, at: int, dtype: Any) -> tuple[Array, Any]:
    """The number of each category of feature *at*, and an unknown one's."""
    numbers = _grouped(model, at).astype(dtype)
    missing = model._missing_indices.get(at)
    if missing is not None:
        # The last category; it is never grouped, and not among those that may be.
        numbers = np.append(numbers[:missing], np.asarray(model.encoded_missing_value, dtype))
    held = np.float64 if dtype.kind == "f" else np.int64
    if model.handle_unknown == "error":
        return numbers.astype(held), None
    require(model.handle_unknown == "use_encoded_value", f"{model.handle_unknown!r} categories")
    return numbers.astype(held), held(np.asarray(model.unknown_value).astype(dtype))


def _target(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The mean of the target over each category; over all rows for an unknown one."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "categories")
    means, columns = np.atleast_1d(model.target_mean_), []
    classes = len(model.classes_) if model.target_type_ == "multiclass" else 1
    for number, encoding in enumerate(model.encodings_):
        at = number // classes
        encoded = np.asarray(encoding, np.float64)
        part = one(context, frame, at)
        mean = means[number % classes]
        columns.append(coded(context, part, model.categories_[at], encoded, mean))
    return beside(context, columns)


def _dtype_of(model: Any) -> Any:
    dtype = np.dtype(model.dtype)
    require(dtype.name in DTYPES, f"codes of {dtype}")
    return dtype


EMITTERS = {
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "TargetEncoder": _target,
}
