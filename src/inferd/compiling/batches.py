"""Rows as a model takes them: an array [rows, width] or [rows] for each input; cut, joined and
asked."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

Inputs: TypeAlias = Mapping[str, Array]
Run: TypeAlias = Callable[[Inputs, Sequence[str]], Mapping[str, Array]]
"""As ``Runtime.run``: inputs and the outputs that are wanted, to those outputs."""

BATCH = 1000
"""Rows that are asked at once."""
REFUSALS = 200
"""How often a model may refuse a batch before the rows left over count as refused, too."""


class Probe(NamedTuple):
    """Rows that are meant to break a compiled model, and what they aim at."""

    kind: str
    inputs: Inputs


def count(rows: Inputs) -> int:
    """The number of rows."""
    return len(next(iter(rows.values())))


def take(rows: Inputs, index: Array | slice) -> dict[str, Array]:
    """The rows at *index*."""
    return {name: array[index] for name, array in rows.items()}


def join(parts: Sequence[Inputs]) -> dict[str, Array]:
    """The rows of all *parts*, one after the other; there is at least one part."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def distinct(rows: Inputs) -> dict[str, Array]:
    """Each row once."""
    seen = {row: at for at, row in enumerate(zip(*map(_keys, rows.values()), strict=True))}
    return take(rows, np.array(sorted(seen.values()), np.int64))


def places(signature: Signature) -> list[tuple[str, int]]:
    """Where each column of the model's table lies: its input, and its place in that."""
    return [(spec.name, at) for spec in signature.inputs for at in range(_width(spec))]


def cells(rows: Inputs, place: tuple[str, int]) -> Array:
    """One column of *rows*: a view, which writes through."""
    name, at = place
    return rows[name][:, at] if rows[name].ndim == 2 else rows[name]


def assemble(signature: Signature, columns: Sequence[Array]) -> dict[str, Array]:
    """A row for each element of the *columns*, in the model's order and datatypes."""
    made = empty(signature, len(columns[0]))
    with np.errstate(over="ignore"):
        for place, values in zip(places(signature), columns, strict=True):
            cells(made, place)[:] = values
    return made


def empty(signature: Signature, number: int) -> dict[str, Array]:
    """*number* rows of nothing in particular."""
    return {
        spec.name: np.empty((number, _width(spec))[: len(spec.shape)], spec.type.numpy)
        for spec in signature.inputs
    }


def _width(spec: TensorSpec) -> int:
    """The columns of an input; one where it does not tell."""
    return max(spec.shape[1], 1) if len(spec.shape) > 1 else 1


def unequal(ours: Array, theirs: Array) -> Array:
    """Where two arrays differ; NaN is equal to NaN, and 0.0 to -0.0."""
    different = np.asarray(ours != theirs, bool)
    if ours.dtype.kind == "f" and theirs.dtype.kind == "f":
        different &= ~(np.isnan(ours) & np.isnan(theirs))
    return different


def flat(array: Array) -> Array:
    """[rows, k], whatever follows the rows; also of no rows."""
    return array.reshape(len(array), prod(array.shape[1:]))


@contextmanager
def one_thread() -> Iterator[None]:
    """With libraries' own threads kept to one, where they can be: on cores that others use, too,
    hundreds of small calls wait for each other's threads for minutes."""
    try:
        limits = import_module("threadpoolctl").threadpool_limits  # comes with scikit-learn
    except ImportError:
        yield
        return
    with limits(1):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings: probes are meant to overflow, and to be divided by zero."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def answered(
    run: Run, rows: Inputs, outputs: Sequence[str], size: int = BATCH
) -> tuple[Array, dict[str, Array]]:
    """Which of *rows* a model takes, by number, and its answers to those; no answers for none.

    A batch that it refuses is halved until the rows that it refuses are left alone.
    """
    pending = [np.arange(start, min(start + size, count(rows)))
               for start in range(0, count(rows), size)][::-1]  # fmt: skip
    kept: list[Array] = []
    made: list[Mapping[str, Array]] = []
    refusals = 0
    while pending:
        index = pending.pop()
        try:
            with quiet():
                made.append(run(take(rows, index), outputs))
            kept.append(index)
        except Exception:  # noqa: BLE001 - libraries refuse rows with whatever they like
            refusals += 1
            if len(index) > 1 and refusals < REFUSALS:
                pending += [index[len(index) // 2 :], index[: len(index) // 2]]
    if not kept:
        return np.empty(0, np.int64), {}
    return np.concatenate(kept), {
        name: np.concatenate([each[name] for each in made]) for name in outputs
    }


def _keys(array: Array) -> list[object]:
    if array.dtype == object:
        return [tuple(row) for row in flat(array).tolist()]
    return [row.tobytes() for row in array]
