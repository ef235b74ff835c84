"""Asks a fitted model about rows, and remembers those that it answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from inferd.clock import Nanoseconds
from inferd.compiling.batches import Inputs, Probe, answered, cells, count, flat, take, unequal
from inferd.compiling.parity import differences, is_label
from inferd.compiling.probe_rows import Source
from inferd.compiling.ranges import evenly
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

COUNTS = {
    "thresholds": 6000,
    "ranges": 4000,
    "ties": 1500,
    "extremes": 1200,
    "missing": 800,
    "categories": 800,
}
"""Rows of each kind, about, if the model is quick."""
CELLS = 20_000_000
"""Values that all probes may have together."""
NATIVE_NS = 2_500_000_000
"""What all calls of the model may take, about."""
LEAST = 0.1
"""The share of the rows that a slow model is asked nonetheless."""
TRIED = 64
"""Columns that are tried one by one for whether they take a value."""
TRIALS = 8
"""How often a row is moved to see whether its answer is steady."""
FAR = 10_000
"""Spreads from the center of a column, beyond which an answer has to be steady; see ``steady``."""
STEADY = {"FP64": 1e-11, "FP32": 1e-6, "FP16": 1e-3}
"""How much a steady score may change with the last bits of a row, by its datatype."""


class Model(Protocol):
    """What of a ``Fitted`` is used here."""

    @property
    def model(self) -> Any:
        """The library's own object."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    @property
    def positions(self) -> Sequence[int]:
        """Where the signature's columns stand in the table that the model was fitted on."""

    def run(self, inputs: Inputs, outputs: Sequence[str]) -> Mapping[str, Array]:
        """The answers, or any exception for rows that it refuses."""


class Search:
    """Asks the model, and keeps what it answers."""

    def __init__(self, fitted: Model, source: Source, clock: Nanoseconds) -> None:
        self.fitted, self.source, self.clock = fitted, source, clock
        outputs = fitted.signature.outputs
        self.labels = [spec.name for spec in outputs if is_label(spec)]
        self.scores = [spec.name for spec in outputs if not is_label(spec)]
        self.deadline = clock() + NATIVE_NS
        self.probes: list[Probe] = []
        source.signed[:] = False
        signed = self.taking(-1.0, np.flatnonzero(~source.texts & ~source.named).tolist())
        source.signed[signed] = True
        self._share = self._affordable()

    def number(self, kind: str) -> int:
        """How many rows of *kind* to make."""
        return max(int(COUNTS[kind] * self._share), 12)

    def ask(self, rows: Inputs, names: Sequence[str]) -> tuple[dict[str, Array], Array]:
        """The rows that the model takes, and the *names* of its outputs for them, side by side."""
        kept, answers = answered(self.fitted.run, rows, names)
        if not len(kept):
            return take(rows, kept), np.empty((0, 1))
        return take(rows, kept), side_by_side([answers[name] for name in names])

    def keep(self, kind: str, rows: Inputs) -> None:
        """Make those of *rows* that the model takes a probe."""
        kept, _ = answered(self.fitted.run, rows, self.fitted.signature.output_names)
        if len(kept):
            self.probes.append(Probe(kind, take(rows, kept)))

    def steady(self, rows: Inputs) -> dict[str, Array]:
        """*rows* without those far from all data where the model's own answer is made of rounding.

        There it changes when numbers change in their last bits; a form that adds up in another
        order, as one of another library may, has other roundings, and neither is right.
        """
        far = np.flatnonzero(~self.source.within(rows, FAR))
        unsteady = np.zeros(count(rows), bool)
        kept, before = answered(self.fitted.run, take(rows, far), self._names)
        far = far[kept]
        for _ in range(TRIALS if len(far) else 0):
            moved = self.source.nudged(take(rows, far))
            also, after = answered(self.fitted.run, moved, self._names)
            for spec in self.fitted.signature.outputs if after else ():
                changed = _changed(spec, before[spec.name][also], after[spec.name])
                unsteady[far[also]] |= changed
        return take(rows, ~unsteady)

    def taking(self, value: object, columns: Sequence[int]) -> list[int]:
        """Those of *columns* in which the model takes *value*; of many, only some are tried."""
        if not columns:
            return []
        together = self.source.usual(1)
        for column in columns:
            cells(together, self.source.places[column])[0] = value
        if len(self.ask(together, self._names)[1]):
            return list(columns)
        some = [columns[at] for at in evenly(len(columns), TRIED)]
        alone = self.source.one_changed(
            self.source.usual(len(some)), [(column, value) for column in some]
        )
        kept, _ = answered(self.fitted.run, alone, self._names)
        return [some[at] for at in kept]

    @property
    def _names(self) -> tuple[str, ...]:
        return self.fitted.signature.output_names

    def _affordable(self) -> float:
        """The share of all rows that there is time and memory for, by asking some."""
        total = sum(COUNTS.values())
        rows = self.source.usual(500)
        start = self.clock()
        taken, _ = self.ask(rows, self._names)
        each = (self.clock() - start) / max(count(taken), 1)
        in_time = NATIVE_NS / 2 / (each * total) if each else 1.0
        return max(min(1.0, in_time, CELLS / (total * len(self.source.ranges))), LEAST)


def _changed(spec: TensorSpec, before: Array, after: Array) -> Array:
    """Which rows have another label, or a score that is not near: bool [rows]."""
    if is_label(spec):
        return np.asarray(flat(unequal(before, after)).any(axis=1))
    return np.asarray(flat(differences(before, after)).max(axis=1) > STEADY[spec.datatype])


def side_by_side(answers: Sequence[Array]) -> Array:
    """Outputs as one array [rows, k]."""
    parts = [flat(each) for each in answers]
    if len({each.dtype.kind for each in parts}) > 1:
        parts = [each.astype(object) for each in parts]
    return np.concatenate(parts, axis=1)
