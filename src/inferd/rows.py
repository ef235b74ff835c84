"""Rows of features, as people have them, to a model's tensors; and a model's outputs to
predictions.

Shared by the plain protocol and the Python interface, so that the same row gives the same answer by
either.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import nan, prod
from typing import Any

import numpy as np

from inferd.errors import InvalidInput, WrongCount, WrongShape, WrongValue, short
from inferd.signature import Roles, Signature, TensorSpec
from inferd.tensors import Array, Datatype, flat_array, flatten, shown_values

FEATURES = "features"


class RowReader:
    """Makes a model's inputs from rows. One a version.

    A row is the list of its features: the elements of the only input, or one value for each of
    several inputs, in the signature's order; there it may also be an object by input name. ``None``
    is a missing number: NaN.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._names = signature.input_names
        self._only = signature.inputs[0] if len(signature.inputs) == 1 else None
        self._inner = self._only.shape[1:] if self._only else ()
        self._free = any(d < 0 for d in self._inner)
        self._width = prod(self._inner) if not self._free else -1
        self._one = (1, *self._inner)
        self._values: frozenset[type] = frozenset()
        """The values that a row of numbers may hold; empty where integers could be too large."""
        if self._only is not None and float in self._only.type.values:
            self._values, self._numpy = self._only.type.values, self._only.type.numpy
        self._any_rows = all(spec.shape and spec.shape[0] < 0 for spec in signature.inputs)

    def one(self, row: list[Any]) -> dict[str, Array]:
        """The inputs of one row. Raises InvalidInput."""
        if self._only is not None and len(row) == self._width and self._any_rows:
            if self._values.issuperset(map(type, row)):  # quick, for what is common
                try:
                    return {self._only.name: np.array(row, self._numpy).reshape(self._one)}
                except (OverflowError, RuntimeWarning):
                    pass  # told, or done without a warning, below
            return {self._only.name: _vector(self._only.type, row).reshape(self._one)}
        return self.many([row])

    def many(self, rows: Sequence[Any], first: int = 0) -> dict[str, Array]:
        """The inputs of all *rows*, which errors count from *first*. Raises InvalidInput for the
        first that is unfit."""
        inputs = (
            self._columns(rows, first)
            if self._only is None
            else {self._only.name: self._matrix(self._only, rows, first)}
        )
        for spec in self._signature.inputs if not self._any_rows else ():
            if not spec.admits(inputs[spec.name].shape):
                raise WrongShape(spec.name, inputs[spec.name].shape, spec.shape)
        return inputs

    def _matrix(self, spec: TensorSpec, rows: Sequence[Any], first: int) -> Array:
        """All *rows* as the only input."""
        if len(self._inner) > 1:
            rows = [flatten(row) if isinstance(row, list) else row for row in rows]
        width = self._width if not self._free else self._width_of(rows)
        for at, row in enumerate(rows, first):
            if not isinstance(row, list):
                raise WrongValue(
                    FEATURES, f"row {at} that is no list", "a list of features for each row"
                )
            if len(row) != width:
                raise WrongCount(FEATURES, len(row), width, where=f"in row {at}")
        inner = self._inner if not self._free else (width,)
        return _vector(spec.type, list(chain.from_iterable(rows))).reshape(len(rows), *inner)

    def _width_of(self, rows: Sequence[Any]) -> int:
        """As many values as the first row has, where the signature leaves one dimension free."""
        if len(self._inner) > 1:
            raise InvalidInput(
                "a row of features cannot be told into a tensor with several free dimensions"
            )
        return len(rows[0]) if isinstance(rows[0], list) else 0

    def _columns(self, rows: Sequence[Any], first: int) -> dict[str, Array]:
        """One value of each row for each input."""
        lists = [_in_order(row, self._names, at) for at, row in enumerate(rows, first)]
        return {
            spec.name: _vector(spec.type, list(column)).reshape(len(rows), *_ones(spec))
            for spec, column in zip(self._signature.inputs, zip(*lists, strict=True), strict=True)
        }


def predictions(outputs: Mapping[str, Array], roles: Roles) -> tuple[Array, Array | None]:
    """What a person reads of an answer: one prediction a row, and, for classifiers, the classes'
    probabilities.

    A column of single values is flattened.
    """
    prediction = outputs[roles.prediction]
    if prediction.ndim == 0:
        prediction = prediction.reshape(1)
    if prediction.ndim == 2 and prediction.shape[1] == 1:
        prediction = prediction[:, 0]
    return prediction, outputs[roles.probability] if roles.probability else None


def row_of(inputs: Mapping[str, Array]) -> list[Any]:
    """The first row of *inputs* as the list of its features: the inverse of ``RowReader.one``."""
    if len(inputs) == 1:
        (array,) = inputs.values()
        return list(shown_values(array[:1].reshape(-1)))
    return [shown_values(array.reshape(-1))[0] for array in inputs.values()]


def _vector(datatype: Datatype, values: list[Any]) -> Array:
    try:
        return flat_array(FEATURES, values, datatype)
    except WrongValue:
        if None not in values or float not in datatype.values:
            raise
        return flat_array(FEATURES, [nan if v is None else v for v in values], datatype)


def _ones(spec: TensorSpec) -> tuple[int, ...]:
    """The dimensions after the first of a column's tensor, each of which must be able to be 1."""
    if any(d > 1 for d in spec.shape[1:]):
        raise InvalidInput(
            f"a row of features has no place for input {spec.name!r}", expected=str(spec)
        )
    return (1,) * (len(spec.shape) - 1)


def _in_order(row: Any, names: Sequence[str], at: int) -> list[Any]:
    """The values of *row* in the order of *names*."""
    if isinstance(row, dict):
        unknown = [name for name in row if name not in names]
        missing = [name for name in names if name not in row]
        if unknown or missing:
            got = f"unknown {short(unknown[0])!r}" if unknown else f"no {missing[0]!r}"
            raise WrongValue(
                FEATURES, f"{got} in row {at}", "the names " + ", ".join(map(repr, names))
            )
        return [row[name] for name in names]
    if not isinstance(row, list):
        raise WrongValue(
            FEATURES, f"row {at} that is no list", "a list, or an object by name, for each row"
        )
    if len(row) != len(names):
        raise WrongCount(FEATURES, len(row), len(names), where=f"in row {at}")
    return row
