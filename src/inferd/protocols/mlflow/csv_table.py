"""A table as CSV: a row of names, then a row of values for each prediction.

An empty cell is a missing number. Rows are counted from 0, after the names, as in JSON.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO, TextIOWrapper
from itertools import islice
from math import nan
from typing import Any

import numpy as np

from inferd.calls import Handle
from inferd.errors import InvalidInput, MalformedRequest, WrongCount, WrongValue
from inferd.protocols.mlflow.frames import column_order
from inferd.protocols.mlflow.read import Table, joined
from inferd.tensors import Array, Datatype

CELLS = 1 << 13  # read in one step: a few milliseconds
UNKNOWN = 16  # columns beside each one that the model names
COLUMNS = 1 << 12  # columns that any model may be sent
FREE_COLUMNS = 1 << 16  # of a model that takes rows of any width
TEXT_COMMAS = 1 << 17  # in the texts of one row: as many as csv lets one cell be long


def read_csv(handle: Handle, body: bytes) -> Table:
    """The rows of *body*. Raises RequestError."""
    # A byte order mark is what Excel writes before UTF-8.
    text = TextIOWrapper(BytesIO(body), "utf-8-sig", newline="")
    try:
        return _read(handle, _Rows(text, most_columns(handle.reader.width)))
    except UnicodeDecodeError:
        raise MalformedRequest("the body is not UTF-8") from None
    except csv.Error as error:
        raise MalformedRequest(f"the body is not CSV: {error}") from None


def most_columns(width: int) -> int:
    """How many columns are read for a model whose rows have *width* values, or any number of them
    where that is -1."""
    return FREE_COLUMNS if width < 0 else max(COLUMNS, UNKNOWN * width)


class _Rows:
    """The rows of a CSV, none of which has many more cells than *most*."""

    def __init__(self, lines: Iterable[str], most: int) -> None:
        self._lines, self._most = lines, most
        self._commas = 0  # since the last row

    def __iter__(self) -> Iterator[list[str]]:
        """The rows, one by one. Raises InvalidInput for one that is too wide."""
        for row in csv.reader(self._bounded(), strict=True):
            self._commas = 0
            if len(row) > self._most:
                raise self._too_wide()
            if row:  # pandas, too, passes over empty lines
                yield row

    def _bounded(self) -> Iterator[str]:
        """The lines; csv makes a list of a row's cells however many they are."""
        for line in self._lines:
            self._commas += line.count(",")
            if self._commas > self._most + TEXT_COMMAS:
                raise self._too_wide()
            yield line

    def _too_wide(self) -> InvalidInput:
        return InvalidInput("the CSV has too many columns", expected=f"at most {self._most}")


def _read(handle: Handle, rows: Iterable[list[str]]) -> Table:
    lines = iter(rows)
    header = next(lines, [])
    if not header:
        raise MalformedRequest("the CSV is empty", expected="a row of names, then rows of values")
    order = _order(handle, header)
    names = [header[at] for at in order]
    types = _types(handle, len(names))
    parts, count, step = [], 0, max(1, CELLS // len(header))
    checked = _of_width(lines, len(header))
    while piece := list(islice(checked, step)):
        cells = list(zip(*piece, strict=True))
        columns = [
            _column(cells[place], datatype, name, count)
            for place, datatype, name in zip(order, types, names, strict=True)
        ]
        parts.append(handle.reader.table(columns))
        count += len(piece)
    return Table(joined(parts), count)


def _order(handle: Handle, header: list[str]) -> Sequence[int]:
    """Where the values of a row stand. Raises InvalidInput."""
    order = column_order(handle.reader.names, header)
    if order is not None:
        return order
    width = handle.reader.width
    if len(header) != width and width >= 0:
        raise WrongCount("columns", len(header), width)
    return range(len(header))


def _of_width(rows: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """*rows*, each held to *width* before the next is read."""
    for at, row in enumerate(rows):
        if len(row) != width:
            raise WrongCount("CSV", len(row), width, where=f"in row {at}")
        yield row


def _types(handle: Handle, width: int) -> list[Datatype]:
    """The datatype of each of a row's values."""
    inputs = handle.signature.inputs
    if len(inputs) == 1:
        return [inputs[0].type] * width
    if len(inputs) != width:
        raise WrongCount("columns", width, len(inputs))
    return [spec.type for spec in inputs]


def _column(cells: tuple[str, ...], datatype: Datatype, name: str, first: int) -> Array | list[Any]:
    """The *cells* of one column as values of *datatype*."""
    kind = datatype.numpy.kind
    if kind == "f" and "_" not in "".join(cells):  # which Python's own numbers may hold
        try:
            return np.array([float(cell) if cell else nan for cell in cells])
        except ValueError:
            pass  # told below
    return [_value(cell, kind, name, at) for at, cell in enumerate(cells, first)]


def _value(cell: str, kind: str, name: str, at: int) -> Any:
    """One cell. Raises WrongValue with its place."""
    if not cell and kind != "f":
        raise WrongValue(
            name, f"nothing in row {at}", _EXPECTED[kind] + ", which cannot be missing"
        )
    try:
        return _READ[kind](cell)
    except (ValueError, KeyError):
        raise WrongValue(name, f"{_what(cell)} in row {at}", _EXPECTED[kind]) from None


def _real(cell: str) -> float:
    if "_" in cell:
        raise ValueError
    return float(cell) if cell else nan


def _whole(cell: str) -> int:
    if "_" in cell:
        raise ValueError
    return int(cell)


def _what(cell: str) -> str:
    """What a cell that cannot be read is, without showing it."""
    try:
        float(cell)
    except ValueError:
        return "a text"
    return "a number"


_READ: dict[str, Any] = {
    "f": _real,
    "i": _whole,
    "u": _whole,
    "b": lambda cell: {"true": True, "false": False}[cell.lower()],
    "O": str,
}
_EXPECTED = {
    "f": "numbers",
    "i": "integers",
    "u": "integers",
    "b": "true or false",
    "O": "strings",
}
