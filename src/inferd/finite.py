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
"""Rows that a model is asked at most to find out about one input and one kind of number; columns
that are not reached count as refusing it."""


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
    found = {}
    for spec in signature.inputs:
        if spec.datatype not in ("FP32", "FP64") or len(spec.shape) != 2:
            continue
        columns = list(range(spec.shape[1]))
        search = _Search(run, row, spec.name)
        above, below = (search.among(columns, value, [TRIES]) for value in (np.inf, -np.inf))
        refused = Refused(
            tuple(search.among(columns, np.nan, [TRIES])), tuple(sorted({*above, *below}))
        )
        if refused != Refused():
            found[spec.name] = refused
    return found


class _Search:
    """Asks a model about columns of one of its inputs."""

    def __init__(
        self, run: Callable[[Mapping[str, Array]], Any], row: Mapping[str, Array], name: str
    ) -> None:
        self._run, self._row, self._name = run, row, name

    def among(self, columns: Sequence[int], value: float, tries: list[int]) -> list[int]:
        """Those of *columns* in which *value* is refused, by halving what is refused as a
        whole."""
        if not columns or (tries[0] > 0 and not self._refuses(columns, value)):
            return []
        tries[0] -= 1
        if len(columns) == 1 or tries[0] <= 0:
            return list(columns)
        half = len(columns) // 2
        return [
            *self.among(columns[:half], value, tries),
            *self.among(columns[half:], value, tries),
        ]

    def _refuses(self, columns: Sequence[int], value: float) -> bool:
        changed = self._row[self._name].copy()
        changed[:, list(columns)] = value
        try:
            self._run({**self._row, self._name: changed})
        except Exception:  # noqa: BLE001 - a model refuses in any way it likes
            return True
        return False


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
