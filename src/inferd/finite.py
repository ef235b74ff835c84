"""Numbers that a model does not take: NaN, or an infinity, in certain columns.

A library refuses such rows, and a compiled form would answer them all the same. So what a model
refuses is found out once, kept with it, and held against every request before the model runs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

from inferd.errors import WrongValue, short
from inferd.signature import Signature
from inferd.tensors import Array

TRIES = 600
"""Rows that a model is asked at most to find out; columns that are not reached count as taking
all."""


class Refused(msgspec.Struct, frozen=True):
    """The columns of one input that must not be NaN, and those that must not be infinite."""

    nan: tuple[int, ...] = ()
    infinite: tuple[int, ...] = ()


Refusals: TypeAlias = Mapping[str, Refused]
"""By input; an input that is not in it takes any number."""


def find(
    run: Callable[[Mapping[str, Array]], Any], row: Mapping[str, Array], signature: Signature
) -> dict[str, Refused]:
    """What *run* refuses, by raising, when put into *row*, which it answers."""
    tries = [TRIES]
    found = {}
    for spec in signature.inputs:
        if spec.datatype not in ("FP32", "FP64") or len(spec.shape) != 2:
            continue
        columns = list(range(spec.shape[1]))

        def refuses(columns: Sequence[int], value: float, name: str = spec.name) -> bool:
            changed = row[name].copy()
            changed[:, columns] = value
            tries[0] -= 1
            try:
                run({**row, name: changed})
            except Exception:  # noqa: BLE001 - a model refuses in any way it likes
                return True
            return False

        refused = Refused(
            tuple(_among(columns, lambda c: refuses(c, np.nan), tries)),
            tuple(_among(columns, lambda c: refuses(c, np.inf), tries)),
        )
        if refused != Refused():
            found[spec.name] = refused
    return found


def _among(
    columns: Sequence[int], refuses: Callable[[Sequence[int]], bool], tries: list[int]
) -> list[int]:
    """Those of *columns* that are refused, by halving what is refused as a whole."""
    if not columns or tries[0] <= 0 or not refuses(columns):
        return []
    if len(columns) == 1:
        return list(columns)
    half = len(columns) // 2
    return [*_among(columns[:half], refuses, tries), *_among(columns[half:], refuses, tries)]


class FiniteCheck:
    """Holds inputs against what a model refuses. One a model."""

    def __init__(self, refusals: Refusals, names: Sequence[str] = ()) -> None:
        self._refusals, self._names = refusals, names

    def __call__(self, inputs: Mapping[str, Array]) -> None:
        """Raise WrongValue where *inputs* hold a number that the model refuses.

        Counting is the quickest way to see that all are finite: 0.5 us for a small row.
        """
        for name in self._refusals:
            array = inputs[name]
            if np.count_nonzero(np.isfinite(array)) != array.size:
                self._look(name, array)

    def _look(self, name: str, array: Array) -> None:
        refused = self._refusals[name]
        for columns, test, what in (
            (refused.nan, np.isnan, "a missing number"),
            (refused.infinite, np.isinf, "an infinity"),
        ):
            bad = test(array[:, list(columns)]) if columns else np.zeros((0, 0), bool)
            if bad.any():
                row, at = np.argwhere(bad)[0]
                column = columns[at]
                known = f"{self._names[column]!r}" if column < len(self._names) else str(column)
                raise WrongValue(
                    short(name), f"{what} in row {row}, column {known}", "a finite number there"
                )
