"""A row worth showing, from what the model remembers of its data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.compiling.ranges import Range, ranges
from inferd.estimators.fitted import Fitted
from inferd.tensors import Array


def example_row(fitted: Fitted, points: Mapping[int, Array]) -> list[Any]:
    """One value for each column that lies where the data lay; a row that the model answers.

    *points* are values that it is known to compare a column with.
    """
    given = [value for spec in fitted.signature.inputs for value in _first(fitted, spec.name)]
    nothing = [np.empty(0, object if isinstance(value, str) else float) for value in given]
    try:
        found = ranges(fitted.model, points, nothing, fitted.positions)
        row = [_value(each, value) for each, value in zip(found, given, strict=True)]
        fitted.run(_inputs(fitted, row), fitted.signature.output_names)
    except Exception:  # noqa: BLE001 - a model refuses a guess in any way it likes
        return given
    return row


def _first(fitted: Fitted, name: str) -> list[Any]:
    """The values of one input in the model's own example."""
    row = fitted.example()[name][0]
    return list(row) if isinstance(row, list) else [row]


def _value(column: Range, given: Any) -> Any:
    if isinstance(given, str):
        return column.texts[0] if column.texts else given
    if len(column.categories):
        return float(column.categories[0])
    # Half of all that a tree compares with lies below: a better middle than that of few splits.
    middle = float(np.median(column.points)) if len(column.points) else column.center
    return float(f"{middle:.3g}") if np.isfinite(middle) else given


def _inputs(fitted: Fitted, row: list[Any]) -> dict[str, Array]:
    inputs, values = {}, iter(row)
    for spec in fitted.signature.inputs:
        width = spec.shape[1] if len(spec.shape) > 1 else 1
        shape = [1, width][: len(spec.shape)]
        inputs[spec.name] = np.array([next(values) for _ in range(width)], spec.type.numpy).reshape(
            shape
        )
    return inputs
