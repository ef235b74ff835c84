"""Rows of several requests to one call's, and its outputs to their answers; and those of a request
that is too large for one call."""

from collections.abc import Sequence

import msgspec
import numpy as np

from inferd.errors import RunFailed
from inferd.tensors import Array


def join(inputs: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """The rows of all *inputs*, one after another; the very arrays where there is one only."""
    if len(inputs) == 1:
        return inputs[0]
    return {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}


def split(outputs: dict[str, Array], rows: Sequence[int]) -> list[dict[str, Array]]:
    """Each request's share of *outputs*. Raises RunFailed where an output has not one row for each
    row sent."""
    total = sum(rows)
    for name, array in outputs.items():
        if not array.shape or array.shape[0] != total:
            raise RunFailed(
                f"output {name!r} has the wrong number of rows",
                got=str(array.shape),
                expected=str(total),
            )
    end = 0
    if len(outputs) == 1:  # of most models: in half the time
        ((name, array),) = outputs.items()
        return [{name: array[end : (end := end + count)]} for count in rows]
    shares: list[dict[str, Array]] = []
    for count in rows:
        start, end = end, end + count
        shares.append({name: array[start:end] for name, array in outputs.items()})
    return shares


class Split(msgspec.Struct, eq=False):
    """The answer to a request that runs as several calls, which may end in any order."""

    missing: int
    """Rows that are not answered yet."""
    failed: bool = False
    """Whether the caller was told of a failure: no more is to be run."""
    parts: list[tuple[int, dict[str, Array]]] = []
    """The outputs so far, each with its first row."""

    def take(self, start: int, rows: int, outputs: dict[str, Array]) -> bool:
        """Keep the *outputs* of so many rows; whether now none is missing, and nobody was told of
        a failure."""
        self.parts.append((start, outputs))
        self.missing -= rows
        return not self.missing and not self.failed

    def whole(self) -> dict[str, Array]:
        """The answer, once nothing is missing."""
        self.parts.sort(key=lambda part: part[0])
        return join([outputs for _, outputs in self.parts])
