"""Rows of features, as people have them, to a model's tensors; and a model's outputs to
predictions.

Shared by the plain protocol and the Python interface, so that the same row gives the same answer by
either.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from math import nan, prod
from types import NoneType
from typing import Any, TypeAlias

import numpy as np

from inferd.errors import InvalidInput, WrongCount, WrongShape, WrongValue, short
from inferd.signature import Roles, Signature, TensorSpec
from inferd.tensors import TABLE, Array, Datatype, flat_array, flatten, shown_values

FEATURES = "features"

Place: TypeAlias = Callable[[int], str]
"""Tells where the value at an index stands."""


class RowReader:
    """Makes a model's inputs from rows. One a version.

    A row is the list of its features: the elements of the only input, or one value for each of
    several inputs, in the signature's order. Where the features have ``names``, it may also be a
    record: an object of one value for each name, in any order. ``None`` is a missing number: NaN.
    """

    def __init__(self, signature: Signature, feature_names: Sequence[str] = ()) -> None:
        self._signature = signature
        self.names = _record_names(signature, feature_names)
        """The names of a record's values, in the order of a row; empty where none are known."""
        self._only = signature.inputs[0] if len(signature.inputs) == 1 else None
        self._inner = self._only.shape[1:] if self._only else ()
        self._free = any(d < 0 for d in self._inner)
        self._width = prod(self._inner) if not self._free else -1
        self.width = len(signature.inputs) if self._only is None else self._width
        """How many values a row has; -1 where the signature leaves that free."""
        self._any_rows = all(spec.shape and spec.shape[0] < 0 for spec in signature.inputs)
        self._quick = -1
        """The length of a row that may be read at once; -1 where none may."""
        if self._only is not None and self._any_rows:
            self._quick, self._one = self._width, (1, *self._inner)
            self._name, self._numpy = self._only.name, self._only.type.numpy
            self._values = _VALUES[self._only.datatype]

    def one(self, row: list[Any]) -> dict[str, Array]:
        """The inputs of one row. Raises InvalidInput."""
        if len(row) == self._quick and self._values.issuperset(map(type, row)):
            try:  # quick, for what is common
                return {self._name: np.array(row, self._numpy).reshape(self._one)}
            except (OverflowError, RuntimeWarning):
                pass  # told, or done without a warning, below
        return self.many([row])

    def record(self, record: Mapping[str, Any]) -> dict[str, Array]:
        """The inputs of one record. Raises InvalidInput."""
        return self.one(self._listed(record, 0))

    def many(self, rows: Sequence[Any], first: int = 0) -> dict[str, Array]:
        """The inputs of all *rows*, lists or records, which errors count from *first*. Raises
        InvalidInput for the first that is unfit."""
        inputs = (
            self._columns(rows, first)
            if self._only is None
            else {self._only.name: self._matrix(self._only, rows, first)}
        )
        return self._checked(inputs)

    def table(self, columns: Sequence[Array | list[Any]]) -> dict[str, Array]:
        """The inputs of a table, from its columns in the order of a row. Raises InvalidInput.

        An array stands for its numbers, true and false among them for 1 and 0; a list is held to
        what a row's values are held to.
        """
        if len(columns) != self.width and not self._free:
            raise WrongCount("columns", len(columns), self.width)
        if self._only is None:
            return self._checked(
                {
                    spec.name: _column(spec.type, each, spec.name).reshape(-1, *_ones(spec))
                    for spec, each in zip(self._signature.inputs, columns, strict=True)
                }
            )
        names = self.names or [str(at) for at in range(len(columns))]
        typed = [_column(self._only.type, *each) for each in zip(columns, names, strict=True)]
        inner = (len(typed),) if self._free else self._inner
        return self._checked({self._only.name: np.stack(typed, axis=1).reshape(-1, *inner)})

    def array(self, rows: Array) -> dict[str, Array]:
        """The inputs of an array of rows. Raises InvalidInput.

        It means what its values as lists do; true and false are 1 and 0 to a model of numbers.
        """
        if self._only is None:
            return self.table(list(rows.T)) if rows.ndim == 2 else self.many(rows.tolist())
        typed = _converted(self._only.type, rows)
        if typed is None or rows.ndim < 2 or prod(rows.shape[1:]) != self._quick:
            return self.many(rows.tolist())
        return {self._name: typed.reshape(len(rows), *self._inner)}

    def _checked(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """*inputs*, as a whole held against the signature."""
        for spec in self._signature.inputs if not self._any_rows else ():
            if not spec.admits(inputs[spec.name].shape):
                raise WrongShape(spec.name, inputs[spec.name].shape, spec.shape)
        return inputs

    def _lists(self, rows: Sequence[Any], width: int, first: int) -> Sequence[Any]:
        """*rows* as lists of *width* values. Raises for the first, counted from *first*, that
        cannot be one."""
        for at, row in enumerate(rows, first):
            if not isinstance(row, list):
                if isinstance(row, dict):
                    return self._lists(self._without_records(rows, first), width, first)
                expected = "a list, or an object by name," if self.names else "a list of features"
                raise WrongValue(FEATURES, f"row {at} that is no list", f"{expected} for each row")
            if len(row) != width:
                raise WrongCount(FEATURES, len(row), width, where=f"in row {at}")
        return rows

    def _without_records(self, rows: Sequence[Any], first: int) -> list[Any]:
        return [
            self._listed(row, at) if isinstance(row, dict) else row
            for at, row in enumerate(rows, first)
        ]

    def _listed(self, record: Mapping[str, Any], at: int) -> list[Any]:
        """The values of *record*, which errors call row *at*, in order."""
        if len(record) == len(self.names):
            try:
                return [record[name] for name in self.names]
            except KeyError:
                pass
        if not self.names:
            raise InvalidInput(
                f"row {at} is an object, and the names of this model's features are not known",
                expected="a list of features for each row",
            )
        raise misnamed(f"row {at} does not have the model's names", list(record), self.names)

    def _matrix(self, spec: TensorSpec, rows: Sequence[Any], first: int) -> Array:
        """All *rows* as the only input."""
        if len(self._inner) > 1:
            rows = [flatten(row) if isinstance(row, list) else row for row in rows]
        width = self._width if not self._free else self._width_of(rows)
        rows = self._lists(rows, width, first)
        inner = self._inner if not self._free else (width,)

        def place(at: int) -> str:
            row, column = divmod(at, width)
            named = len(self.names) == width
            where = f"for {short(self.names[column])!r}" if named else f"at position {column}"
            return f"{where} in row {first + row}"

        return _vector(spec.type, list(chain.from_iterable(rows)), place).reshape(len(rows), *inner)

    def _width_of(self, rows: Sequence[Any]) -> int:
        """As many values as the first row has, where the signature leaves one dimension free."""
        if len(self._inner) > 1:
            raise InvalidInput(
                "a row of features cannot be told into a tensor with several free dimensions"
            )
        if isinstance(rows[0], dict):
            return len(self.names)
        return len(rows[0]) if isinstance(rows[0], list) else 0

    def _columns(self, rows: Sequence[Any], first: int) -> dict[str, Array]:
        """One value of each row for each input."""
        rows = self._lists(rows, len(self._signature.inputs), first)
        columns = zip(self._signature.inputs, zip(*rows, strict=True), strict=True)
        return {
            spec.name: _column(spec.type, list(values), spec.name, first).reshape(
                len(rows), *_ones(spec)
            )
            for spec, values in columns
        }


def predictions(outputs: Mapping[str, Array], roles: Roles) -> tuple[Array, Array | None]:
    """What a person reads of an answer: one prediction a row, and, for classifiers, the classes'
    probabilities."""
    probability = outputs[roles.probability] if roles.probability else None
    return predicted(outputs, roles), probability


def predicted(outputs: Mapping[str, Array], roles: Roles) -> Array:
    """The predictions alone; a column of single values is flattened."""
    prediction = outputs[roles.prediction]
    if prediction.ndim == 0:
        return prediction.reshape(1)
    if prediction.ndim == 2 and prediction.shape[1] == 1:
        return prediction[:, 0]
    return prediction


def row_of(inputs: Mapping[str, Array]) -> list[Any]:
    """The first row of *inputs* as the list of its features: the inverse of ``RowReader.one``."""
    if len(inputs) == 1:
        (array,) = inputs.values()
        values = list(shown_values(array[:1].reshape(-1)))
    else:
        values = [shown_values(array.reshape(-1))[0] for array in inputs.values()]
    return [None if value != value else value for value in values]  # NaN alone


def misnamed(message: str, got: Sequence[Any], names: Sequence[str]) -> InvalidInput:
    """The error of who gave the names *got* for *names*: what is unknown, what is missing, and what
    was perhaps meant."""
    known, given = set(names), set(got)
    unknown = [str(name) for name in got if name not in known]
    missing = [name for name in names if name not in given]
    faults = [
        f"{word} {_names(found)}"
        for word, found in (("unknown", unknown), ("no", missing))
        if found
    ]
    # Against a hundred at most: each takes some ten microseconds.
    near = get_close_matches(short(unknown[0]), missing[:100], 1) if unknown else ()
    cure = f"Did you mean {near[0]!r} by {short(unknown[0])!r}?" if near else ""
    return InvalidInput(message, got=" and ".join(faults), expected=_names(names), cure=cure)


def _names(names: Sequence[str]) -> str:
    """The first of *names*."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(repr(short(name)) for name in names[:SHOWN_NAMES]) + more


SHOWN_NAMES = 20  # names in one text


def _record_names(signature: Signature, features: Sequence[str]) -> tuple[str, ...]:
    """The inputs' names; for one input those of its columns, where there is one for each."""
    if len(signature.inputs) != 1:
        return signature.input_names
    inner = signature.inputs[0].shape[1:]
    names = tuple(features) or (signature.input_names if prod(inner) == 1 else ())
    fit = len(inner) < 2 and prod(inner) in (-1, len(names)) and len(set(names)) == len(names)
    return names if fit else ()


_VALUES = {
    row.name: row.values | {NoneType} if float in row.values else row.values for row in TABLE
}
"""What a row may hold for a datatype: numpy, too, makes NaN of None."""


def _vector(datatype: Datatype, values: list[Any], place: Place) -> Array:
    """*values* as an array. Raises WrongValue with the *place* of the first that does not fit."""
    if not _VALUES[datatype.name].issuperset(map(type, values)):
        raise _misfit(datatype, values, place)
    try:
        return np.array(values, datatype.numpy)
    except (OverflowError, RuntimeWarning):  # it knows how to tell the one and to do the other
        return flat_array(FEATURES, [nan if v is None else v for v in values], datatype)


def _misfit(datatype: Datatype, values: list[Any], place: Place) -> WrongValue:
    """What the first value of a wrong kind is, where it stands, and what should; never the value
    itself."""
    allowed = _VALUES[datatype.name]
    at, value = next((i, v) for i, v in enumerate(values) if type(v) not in allowed)
    kind = type(value)
    missing = value is None or (kind is float and value != value)
    got = "NaN" if missing and value is not None else _KINDS.get(kind, f"a {kind.__name__}")
    expected = _EXPECTED[datatype.numpy.kind]
    if missing:
        expected += ", which cannot be missing"
    elif kind is bool:
        expected += " (1 for true, 0 for false)" if datatype.numpy.kind in "iuf" else ""
    return WrongValue(FEATURES, f"{got} {place(at)}", expected)


_KINDS: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    float: "a fraction",
    int: "an integer",
    list: "a list",
    dict: "an object",
    NoneType: "null",
}
_EXPECTED = {"b": "true or false", "i": "integers", "u": "integers", "f": "numbers", "O": "strings"}


def _column(datatype: Datatype, values: Array | list[Any], name: str, first: int = 0) -> Array:
    """One column of a table, called *name*, as a vector."""
    typed = _converted(datatype, values) if isinstance(values, np.ndarray) else None
    if typed is not None:
        return typed
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return _vector(datatype, listed, lambda at: f"for {short(name)!r} in row {first + at}")


def _converted(datatype: Datatype, array: Array) -> Array | None:
    """What the numbers of *array* become one by one, at once; None where that cannot be said of all
    of them."""
    kind, wanted = array.dtype.kind, datatype.numpy
    if wanted.kind == "f" and kind in "biuf":
        wide = array if kind == "f" else array.astype(np.float64)  # as a Python integer goes
        with np.errstate(over="ignore"):
            return wide.astype(wanted, order="C", copy=False)
    if wanted.kind in "biu" and kind in "biu" and np.can_cast(array.dtype, wanted):
        return array.astype(wanted, order="C", copy=False)
    return None


def _ones(spec: TensorSpec) -> tuple[int, ...]:
    """The dimensions after the first of a column's tensor, each of which must be able to be 1."""
    if any(d > 1 for d in spec.shape[1:]):
        raise InvalidInput(
            f"a row of features has no place for input {spec.name!r}", expected=str(spec)
        )
    return (1,) * (len(spec.shape) - 1)
