"""The two forms of a model held against each other, answer by answer."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from inferd.compiling.batches import (
    BATCH,
    Inputs,
    Probe,
    Run,
    answered,
    count,
    flat,
    join,
    one_thread,
    quiet,
    take,
    unequal,
)
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

BATCHES = (1, 2, 31, 64)
"""The sizes, beside BATCH, in which rows are asked again: the compiled form may add up in another
order for each, and its answers must hold in all."""
AGAIN = 186
"""Rows that are asked again in each size: a multiple of 31 and 2, and none of 64."""
AGAIN_KIND = "batch sizes"


class Parity(msgspec.Struct, frozen=True):
    """What became of the probes."""

    rows: int
    """Rows that the model answered and the compiled form was asked."""
    labels_differ: int
    """Rows with another label: an output of integers, strings or truth values, or ``label``."""
    largest_difference: float
    """Of all other outputs: the largest ``|a - b| / max(1, |a|)``, with a the model's number and b
    the compiled form's, both as float64. Two NaN are equal, and so are two infinities of one sign;
    any other pair with one of these is infinitely far apart."""
    identical: bool
    """Whether all outputs are equal bit for bit, but for the payload of NaN and the sign of 0."""
    worst: str
    """The kind of the probes with the most labels differing, or else with the largest difference;
    AGAIN_KIND only where all went well the first time; empty where all is identical."""
    kinds: dict[str, int]
    """Rows by kind."""
    failed: str = ""
    """Why there is no comparison: the compiled form raised where the model answered, or gave other
    shapes or datatypes. Nothing was asked after that."""


class _Failed(Exception):
    """The compiled form gave no comparable answer."""


class _Tally:
    """Counts, by kind."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self.rows: dict[str, int] = {}
        self.wrong: dict[str, int] = {}
        self.differences: dict[str, float] = {}
        self.identical = True

    def add(self, kind: str, native: Mapping[str, Array], compiled: Mapping[str, Array]) -> None:
        """Hold the answers to some rows against each other."""
        rows = len(next(iter(native.values())))
        wrong = np.zeros(rows, bool)
        largest = 0.0
        for spec in self._signature.outputs:
            ours, theirs = native[spec.name], compiled[spec.name]
            _comparable(spec, ours, theirs)
            if is_label(spec):
                different = flat(unequal(ours, theirs)).any(axis=1)
                wrong |= different
                self.identical &= not different.any()
            else:
                largest = max(largest, float(differences(ours, theirs).max(initial=0.0)))
                self.identical &= not unequal(ours, theirs).any()
        self.rows[kind] = self.rows.get(kind, 0) + rows
        self.wrong[kind] = self.wrong.get(kind, 0) + int(wrong.sum())
        self.differences[kind] = max(self.differences.get(kind, 0.0), largest)

    def parity(self, failed: str = "") -> Parity:
        """What was counted."""
        by_harm = {kind: (self.wrong[kind], self.differences[kind]) for kind in self.rows}
        again = by_harm.pop(AGAIN_KIND, (0, 0.0))
        worst = max(by_harm, key=by_harm.__getitem__, default="")
        if (
            worst and again > (0, 0.0) == by_harm[worst]
        ):  # rows that went well when they were asked first
            worst = AGAIN_KIND
        return Parity(
            rows=sum(self.rows.values()),
            labels_differ=sum(self.wrong.values()),
            largest_difference=max(self.differences.values(), default=0.0),
            identical=self.identical and not failed,
            worst="" if self.identical else worst,
            kinds=dict(self.rows),
            failed=failed,
        )


@one_thread()
def compare(
    native_run: Run, compiled_run: Run, signature: Signature, probes: Sequence[Probe]
) -> Parity:
    """Ask both forms all *probes*, BATCH rows at once, and some again in BATCHES.

    Rows that the model refuses are not compared, whatever the compiled form makes of them.
    """
    tally = _Tally(signature)
    outputs = signature.output_names
    asked: list[Inputs] = []
    answers: list[Mapping[str, Array]] = []
    kind = ""
    try:
        for kind, inputs in probes:
            kept, native = answered(native_run, inputs, outputs)
            if len(kept):
                rows = take(inputs, kept)
                tally.add(kind, native, _ask(compiled_run, rows, outputs, BATCH))
                asked.append(rows)
                answers.append(native)
        kind = AGAIN_KIND
        if asked:
            _again(compiled_run, join(asked), join(answers), tally)
    except _Failed as error:
        return tally.parity(f"{kind}: {error}")
    return tally.parity()


def is_label(spec: TensorSpec) -> bool:
    """Whether an output must be equal, rather than near: see Parity."""
    return spec.name == "label" or not spec.datatype.startswith("FP")


def differences(ours: Array, theirs: Array) -> Array:
    """How far numbers lie apart, each as ``Parity.largest_difference`` says."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    with np.errstate(all="ignore"):
        far = np.where(
            np.isfinite(a) & np.isfinite(b), np.abs(a - b) / np.maximum(1, np.abs(a)), np.inf
        )
    return np.where(unequal(a, b), far, 0.0)


def _again(run: Run, rows: Inputs, native: Mapping[str, Array], tally: _Tally) -> None:
    """Rows from all kinds, evenly, in each of BATCHES."""
    some = np.unique(np.linspace(0, count(rows) - 1, AGAIN).astype(np.int64))
    rows, native = take(rows, some), take(native, some)
    for size in BATCHES:
        tally.add(AGAIN_KIND, native, _ask(run, rows, tuple(native), size))


def _ask(run: Run, rows: Inputs, outputs: Sequence[str], size: int) -> Mapping[str, Array]:
    parts = []
    for start in range(0, count(rows), size):
        part = take(rows, slice(start, start + size))
        try:
            with quiet():
                answer = run(part, outputs)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            raise _Failed(str(error).partition("\n")[0] or type(error).__name__) from None
        for name in outputs:
            if np.ndim(answer[name]) == 0 or len(answer[name]) != count(part):
                raise _Failed(f"{name!r} has the shape {np.shape(answer[name])}")
        parts.append(answer)
    return join(parts)


def _comparable(spec: TensorSpec, ours: Array, theirs: Array) -> None:
    same = ours.dtype == theirs.dtype or (ours.dtype.kind in "OUS" and theirs.dtype.kind in "OUS")
    if not same or ours.shape != theirs.shape:
        raise _Failed(
            f"{spec.name!r} is {theirs.dtype}{list(theirs.shape)}"
            f" instead of {ours.dtype}{list(ours.shape)}"
        )
