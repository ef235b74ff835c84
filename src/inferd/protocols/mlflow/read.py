"""Rows, whole or in pieces, to a model's inputs."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from inferd.calls import Handle
from inferd.errors import InvalidInput, WrongValue
from inferd.rows import row_of
from inferd.tensors import Array

Pieces: TypeAlias = Iterable[list[Any]]
"""A list, in one piece or, where it is long, in several."""

Arrange: TypeAlias = Callable[[list[Any], int], list[Any]]
"""Turns a piece, whose first element has that number, into rows in the model's order."""


class Table(NamedTuple):
    """What a request asks to be predicted."""

    inputs: dict[str, Array]
    rows: int


def read_rows(handle: Handle, pieces: Pieces, arrange: Arrange) -> Table:
    """All rows of *pieces*. Raises InvalidInput."""
    parts: list[dict[str, Array]] = []
    count = 0
    for piece in pieces:
        if piece:
            parts.append(_inputs(handle, arrange(piece, count), count))
            count += len(piece)
    return Table(joined(parts), count)


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """The inputs of all *parts*. Raises InvalidInput where there is none."""
    if not parts:
        raise InvalidInput("there is no row to predict", expected="at least one")
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def wrapped(handle: Handle, piece: list[Any]) -> list[Any]:
    """*piece*, each value a row of its own, where the model takes one value a row."""
    if type(piece[0]) not in (list, dict) and len(row_of(handle.example)) == 1:
        return [[value] for value in piece]
    return piece


def _inputs(handle: Handle, rows: list[Any], first: int) -> dict[str, Array]:
    if len(rows) == 1 and type(rows[0]) is list and not first:
        try:
            return handle.reader.one(rows[0])
        except WrongValue as error:
            return _truths(handle, rows, error)
    try:
        return handle.reader.many(rows, first)
    except WrongValue as error:
        return _truths(handle, rows, error)


def _truths(handle: Handle, rows: list[Any], error: WrongValue) -> dict[str, Array]:
    """The inputs of rows some of whose columns are true and false alone: they are 1 and 0 to a
    model of numbers, as they are in a data frame. Raises *error* where that is not what was
    wrong."""
    if not all(type(row) is list and len(row) == len(rows[0]) for row in rows):
        raise error
    columns = [list(column) for column in zip(*rows, strict=True)]
    truths = [set(map(type, column)) == {bool} for column in columns]
    if not any(truths):
        raise error
    typed = zip(columns, truths, strict=True)
    return handle.reader.table([np.array(values) if truth else values for values, truth in typed])
