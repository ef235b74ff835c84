"""A table as CSV: a row of names, then a row of values for each prediction.

An empty cell is a missing number. Rows are counted from 0, after the names, as in JSON.
"""

import csv
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from itertools import islice
from math import nan
from typing import Any

import numpy as np

from inferd.calls import Handle
from inferd.errors import MalformedRequest, WrongCount, WrongValue
from inferd.protocols.mlflow.frames import column_order
from inferd.protocols.mlflow.read import Table, joined
from inferd.tensors import Array, Datatype

CELLS = 1 << 13  # read in one step: a few milliseconds


def read_csv(handle: Handle, body: bytes) -> Table:
    """The rows of *body*. Raises RequestError."""
    # A byte order mark is what Excel writes before UTF-8.
    text = TextIOWrapper(BytesIO(body), "utf-8-sig", newline="")
    try:
        # pandas, too, passes over empty lines
        return _read(handle, (line for line in csv.reader(text, strict=True) if line))
    except UnicodeDecodeError:
        raise MalformedRequest("the body is not UTF-8") from None
    except csv.Error as error:
        raise MalformedRequest(f"the body is not CSV: {error}") from None


def _read(handle: Handle, lines: Iterator[list[str]]) -> Table:
    header = next(lines, [])
    if not header:
        raise MalformedRequest("the CSV is empty", expected="a row of names, then rows of values")
    order = column_order(handle.reader.names, header) or range(len(header))
    names = [header[at] for at in order]
    types = _types(handle, len(names))
    parts, count, step = [], 0, max(1, CELLS // len(header))
    while piece := list(islice(lines, step)):
        for at, row in enumerate(piece, count):
            if len(row) != len(header):
                raise WrongCount("CSV", len(row), len(header), where=f"in row {at}")
        cells = list(zip(*piece, strict=True))
        columns = [
            _column(cells[place], datatype, name, count)
            for place, datatype, name in zip(order, types, names, strict=True)
        ]
        parts.append(handle.reader.table(columns))
        count += len(piece)
    return Table(joined(parts), count)


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
