"""Data frames as MLflow's clients send them: ``dataframe_split`` and ``dataframe_records``.

Columns are found by name, in any order; further ones are ignored, as MLflow ignores what a model's
signature does not name. Where the names of the features are not known, or the columns have numbers
for names, their order counts.
"""

from collections.abc import Sequence
from typing import Any

from inferd.calls import Handle
from inferd.errors import InvalidInput, WrongCount, short
from inferd.protocols.mlflow.columns import of_tensors, read_columns
from inferd.protocols.mlflow.read import Pieces, Table, read_rows
from inferd.rows import misnamed


def read_split(handle: Handle, columns: Sequence[Any] | None, data: Pieces) -> Table:
    """A frame's rows beside the names of its *columns*."""
    if columns is None:
        return read_rows(handle, data, lambda piece, _: piece)
    if of_tensors(handle):
        listed = [row for piece in data for row in _of_width(piece, len(columns), 0)]
        turned = zip(*listed, strict=True) if listed else [()] * len(columns)
        named = zip(map(str, columns), turned, strict=True)
        return read_columns(handle, {name: [list(values)] for name, values in named})
    order = column_order(handle.reader.names, columns)

    def arrange(piece: list[Any], first: int) -> list[Any]:
        rows = _of_width(piece, len(columns), first)
        return rows if order is None else [[row[at] for at in order] for row in rows]

    return read_rows(handle, data, arrange)


def read_records(handle: Handle, records: Pieces) -> Table:
    """A frame's rows as objects by column."""
    if of_tensors(handle):
        listed = [record for piece in records for record in piece]
        return read_columns(handle, _turned(handle, listed))
    names: Sequence[Any] = handle.reader.names

    def arrange(piece: list[Any], first: int) -> list[Any]:
        nonlocal names
        if not names and isinstance(piece[0], dict):
            names = list(piece[0])
        try:
            return [[record[name] for name in names] for record in piece]
        except (KeyError, TypeError):
            raise _misfit(piece, first, names) from None

    return read_rows(handle, records, arrange)


def column_order(names: Sequence[str], columns: Sequence[Any]) -> list[int] | None:
    """Where each of *names* stands among *columns*; None where the columns are to be taken as they
    are. Raises InvalidInput."""
    if not names or tuple(columns) == names or all(type(column) is int for column in columns):
        return None
    places = {column: at for at, column in enumerate(columns)}
    if len(places) < len(columns):
        twice = next(column for at, column in enumerate(columns) if places[column] != at)
        raise InvalidInput(
            f"column {short(str(twice))!r} stands twice", expected="each column once"
        )
    if not places.keys() >= set(names):
        raise misnamed("the columns do not have the model's names", columns, names)
    return [places[name] for name in names]


def _of_width(piece: list[Any], width: int, first: int) -> list[Any]:
    for at, row in enumerate(piece, first):
        if type(row) is not list:
            raise InvalidInput(f"row {at} of 'data' is no list", expected="a list for each row")
        if len(row) != width:
            raise WrongCount("data", len(row), width, where=f"in row {at}")
    return piece


def _turned(handle: Handle, records: list[Any]) -> dict[str, list[list[Any]]]:
    """The columns of *records*, for a model of several tensors."""
    names = handle.signature.input_names
    try:
        return {name: [[record[name] for record in records]] for name in names}
    except (KeyError, TypeError):
        raise _misfit(records, 0, names) from None


def _misfit(records: list[Any], first: int, names: Sequence[Any]) -> InvalidInput:
    """What is wrong with the first of *records* that lacks one of *names*."""
    for at, record in enumerate(records, first):
        if not isinstance(record, dict):
            return InvalidInput(f"row {at} is no object", expected="an object by name for each row")
        if not record.keys() >= set(names):
            return misnamed(f"row {at} does not have the model's names", list(record), names)
    raise AssertionError("every record has every name")
