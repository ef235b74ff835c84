"""Columns on their way into trees: categories by name, and columns computed anew."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.graph import Value
from inferd.estimators.columns import kinds


def numbered(context: Context, model: Any, frame: Frame) -> Frame:
    """*frame* with numbers where *model* takes pandas' categories by their names: the place of each
    among the categories that the model was fitted with, NaN for any other.

    Raises CannotConvert for categories that are no strings.
    """
    try:
        found = kinds(model, frame.width)
    except ValueError as error:
        raise CannotConvert(str(error)) from None
    parts = list(frame.parts)
    for column, kind in enumerate(found):
        if kind.categories is None:
            continue
        names = list(kind.categories)
        if not all(isinstance(name, str) for name in names):
            raise CannotConvert("pandas' categories that are no strings")
        at = _part_of(frame, column)
        codes = context.graph.node(
            "LabelEncoder",
            parts[at],
            domain="ai.onnx.ml",
            keys_strings=names,
            values_floats=[float(code) for code in range(len(names))],
            default_float=float("nan"),
        )
        parts[at] = Value(codes, 1, np.dtype(np.float32))
    return Frame(tuple(parts))


def _part_of(frame: Frame, column: int) -> int:
    """The part that holds *column*, and nothing else."""
    starts = np.cumsum([0, *(part.width for part in frame.parts)])
    at = int(np.searchsorted(starts, column, side="right")) - 1
    if frame.parts[at].width != 1 or frame.parts[at].dtype != object:
        raise CannotConvert("pandas' categories that come as numbers")
    return at


def replaced(
    context: Context, matrix: Value, columns: Iterable[int], make: Callable[[Value], str]
) -> Value:
    """*matrix* with what *make* makes of each of *columns*, which are [N, 1]."""
    whole, start = Frame((matrix,)), 0
    parts: list[Value] = []
    for column in sorted(columns):
        if column > start:
            parts += context.select(whole, range(start, column)).parts
        (part,) = context.select(whole, [column]).parts
        parts.append(context.anew(part, make(part)))
        start = column + 1
    if not parts:
        return matrix
    if start < matrix.width:
        parts += context.select(whole, range(start, matrix.width)).parts
    return context.matrix(Frame(tuple(parts)), matrix.dtype)
