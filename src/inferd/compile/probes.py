"""Probes: rows that try to make a compiled model answer otherwise than the model.

They are made without knowing how the model was compiled. Where it compares, they stand next to
where it compares; where its answer changes, next to that; and for the rest there are the values
that arithmetic finds hard.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from inferd.clock import Nanoseconds, monotonic_ns
from inferd.compile.batches import (
    Inputs,
    Probe,
    answered,
    cells,
    count,
    distinct,
    empty,
    flat,
    join,
    places,
    take,
    unequal,
)
from inferd.compile.boundary import Steps, boundary
from inferd.compile.parity import differences, is_label
from inferd.compile.probe_rows import HUGE, LARGE, SMALL, STRANGE, Source
from inferd.compile.ranges import evenly, ranges
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
PAIRS = 48
"""Ways that are halved, of each of four sorts: between rows and along one column, to where a label
changes and to where a score does."""
TRIALS = 3
"""How often a row is moved to see whether its answer is steady."""
CELLS = 20_000_000
"""Values that all probes may have together."""
NATIVE_NS = 2_500_000_000
"""What all calls of the model may take, about."""
FAR = 10_000
"""Spreads from the center of a column, beyond which an answer has to be steady; see ``steady``."""
STEADY = {"FP64": 1e-11, "FP32": 1e-6, "FP16": 1e-3}
"""How much a steady score may change with the last bits of a row, by its datatype."""
NEAR = 100
"""Spreads from the center of each column, between which smooth models are searched for changes."""
LEAST = 0.1
"""The share of the rows that a slow model is asked nonetheless."""
TRIED = 64
"""Columns that are tried one by one for whether they take a value."""


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


def probes(
    fitted: Model,
    points: Mapping[int, Array],
    sample: Inputs | None = None,
    seed: int = 0,
    *,
    adjacent: bool = False,
    clock: Nanoseconds = monotonic_ns,
) -> list[Probe]:
    """Rows that the model answers, by kind: some thousands, or fewer where it is slow.

    *points* are values that the model is known to compare a column with, by the column's number;
    *sample* is rows of the user's own, all of which are asked. *adjacent*: the boundary is
    approached as far as floats go, which only a form that is to be exact can bear. Rows that the
    model refuses, by any exception, are left out. The same for the same seed, as far as *clock*
    lets the search for the boundary come.
    """
    known = ranges(fitted.model, points, _columns(fitted, sample), fitted.positions)
    source = Source(fitted.signature, known, np.random.default_rng(seed))
    search = _Search(fitted, source, clock)
    for kind, rows in _drafts(search, sample):
        vague = kind in ("ranges", "extremes") and not adjacent
        search.keep(kind, search.steady(rows) if vague else rows)
    search.keep("boundary", _boundary(search, adjacent))
    return search.probes


def _drafts(search: "_Search", sample: Inputs | None) -> Sequence[tuple[str, Inputs]]:
    source, number = search.source, search.number
    plain = np.flatnonzero(~source.texts & ~source.named).tolist()
    signed = [column for column in plain if source.signed[column]]
    wide = [column for column in plain if source.types[column] == np.float64]
    third = number("extremes") // 3
    drafts: list[tuple[str, Inputs]] = [("sample", sample)] if sample and count(sample) else []
    drafts += [
        ("thresholds", source.at_points(number("thresholds"))),
        ("ranges", source.spread(number("ranges"))),
        ("ties", source.grid(number("ties") * 2 // 3)),
        ("ties", _near_ties(search, number("ties") // 3)),
        ("extremes", source.sprinkled(third // 2, [v for v in SMALL + LARGE if v >= 0], plain)),
        ("extremes", source.sprinkled(third // 2, SMALL + LARGE, signed)),
        ("extremes", source.sprinkled(third, HUGE, search.taking(1e39, wide))),
        ("extremes", source.sprinkled(third // 2, [np.inf], search.taking(np.inf, plain))),
        ("extremes", source.sprinkled(third // 2, [-np.inf], search.taking(-np.inf, signed))),
    ]
    numeric = np.flatnonzero(~source.texts).tolist()
    taking = search.taking(np.nan, numeric)
    drafts.append(("missing", source.sprinkled(number("missing"), [np.nan], taking)))
    return drafts + [("categories", rows) for rows in _categories(search)]


def _categories(search: "_Search") -> Sequence[Inputs]:
    """Categories known and unknown, of strings and of numbers."""
    source, number = search.source, search.number("categories") // 2
    texts = np.flatnonzero(source.texts).tolist()
    known = [text for column in texts for text in source.ranges[column].texts[:50]]
    near = [change for text in known[:100] for change in (text + " ", text.upper(), text[:-1])]
    made: list[Inputs] = []
    if texts:
        made.append(source.usual(number))
        unseen = search.taking(STRANGE[2], texts)
        made.append(source.sprinkled(number, STRANGE + near + known, unseen))
    numbered = [column for column in range(len(source.ranges)) if source.is_numbered(column)]
    pairs = [(column, value) for column in numbered for value in source.strange_numbers(column)]
    pairs = [pairs[at] for at in evenly(len(pairs), number)] if pairs else []
    if pairs:
        made.append(source.one_changed(source.usual(len(pairs)), pairs))
    return made


class _Search:
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
        return take(rows, kept), _side_by_side([answers[name] for name in names])

    def keep(self, kind: str, rows: Inputs) -> None:
        """Make those of *rows* that the model takes a probe."""
        kept, _ = answered(self.fitted.run, rows, self.fitted.signature.output_names)
        if len(kept):
            self.probes.append(Probe(kind, take(rows, kept)))

    def steady(self, rows: Inputs) -> dict[str, Array]:
        """*rows* without those far from all data where the model's own answer is made of rounding.

        There it changes when each number becomes the next float; a form that adds up in another
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


def _near_ties(search: _Search, number: int) -> dict[str, Array]:
    """Rows bred for the least difference between the two best classes."""
    source, rng = search.source, search.source.rng
    pool = join([source.usual(number), source.grid(number)])
    if not (search.labels and search.scores):
        return take(pool, slice(0, 0))
    pool, scores = search.ask(pool, search.scores[:1])
    if not count(pool):
        return pool
    for _ in range(6):
        best = np.asarray(np.argsort(_margin(scores), kind="stable")[:number])
        pool, scores = take(pool, best), scores[best]
        mothers, fathers = (take(pool, rng.integers(0, len(best), number)) for _ in range(2))
        mixed = {
            name: np.where(rng.random(array.shape) < 0.5, array, fathers[name])
            for name, array in mothers.items()
        }
        children, theirs = search.ask(mixed, search.scores[:1])
        if count(children):
            pool, scores = join([pool, children]), np.concatenate([scores, theirs])
    return distinct(take(pool, np.argsort(_margin(scores), kind="stable")[:number]))


def _margin(scores: Array) -> Array:
    """How far each row is from another label: between its two best scores, or from zero."""
    if scores.shape[1] == 1:
        return np.abs(scores[:, 0])
    two = np.sort(scores, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def _boundary(search: _Search, adjacent: bool) -> dict[str, Array]:
    """Rows next to changes of the labels, and of the scores where these change in steps."""
    calm = [p.inputs for p in search.probes if p.kind in ("sample", "thresholds", "ranges", "ties")]
    none = search.source.usual(0)
    if not calm:
        return none
    pool = join(calm)
    # Far away, a change is met where large numbers cancel out, and rounding alone moves it.
    pool = take(pool, search.source.within(pool, np.inf if adjacent else NEAR))
    pool = take(pool, evenly(count(pool), 4000) if count(pool) else slice(0, 0))
    sorts = [search.labels, search.scores if _stepwise(search, pool) else []]
    sorts = [names for names in sorts if names]
    found = [none]
    for left, names in zip(range(len(sorts), 0, -1), sorts, strict=True):
        now = search.clock()
        until = now + max(search.deadline - now, NATIVE_NS // 2) // left
        ways = _ways(search, pool, names)
        steps = Steps(adjacent=adjacent, in_time=lambda until=until: search.clock() < until)  # type: ignore[misc]
        try:
            found.append(boundary(lambda rows, n=names: _key(search, rows, n), *ways, steps))  # type: ignore[misc]
        except Refused:
            continue
    return join(found)


class Refused(Exception):
    """The model takes both ends of a way, and not all between."""


class Ways(NamedTuple):
    """Pairs of rows."""

    first: Inputs
    second: Inputs


def _key(search: _Search, rows: Inputs, names: Sequence[str]) -> Array:
    taken, key = search.ask(rows, names)
    if count(taken) != count(rows):
        raise Refused
    return key


def _ways(search: _Search, pool: Inputs, names: Sequence[str]) -> Ways:
    """Pairs of the *pool* with different answers, as many of each two answers as can be: PAIRS that
    differ in everything, and PAIRS in one column."""
    source, rng = search.source, search.source.rng
    pool, key = search.ask(pool, names)
    numbers = _numbered(key)
    rows = count(pool)
    one, other = rng.integers(0, rows, (2, PAIRS * 40)) if rows else np.empty((2, 0), np.int64)
    picked = _balanced(numbers[one], numbers[other])
    whole = Ways(take(pool, one[picked]), take(pool, other[picked]))
    second = {name: array.copy() for name, array in whole.second.items()}
    for column in np.flatnonzero(source.named):
        cells(second, source.places[column])[:] = cells(whole.first, source.places[column])
    one, other = one[: PAIRS * 20], other[: PAIRS * 20]
    first = take(pool, one)
    changed = {name: array.copy() for name, array in first.items()}
    plain = np.flatnonzero(~source.texts & ~source.named)
    if not (len(plain) and rows):
        return Ways(whole.first, second)
    for row, column in enumerate(rng.choice(plain, len(one))):
        cells(changed, source.places[column])[row] = cells(pool, source.places[column])[other[row]]
    taken, after = answered(search.fitted.run, changed, names)
    if not len(taken):
        return Ways(whole.first, second)
    both = _numbered(np.concatenate([key[one[taken]], _side_by_side(list(after.values()))]))
    at = taken[_balanced(both[: len(taken)], both[len(taken) :])]
    return Ways(join([whole.first, take(first, at)]), join([second, take(changed, at)]))


def _balanced(ours: Array, theirs: Array) -> Array:
    """Places where two answers differ, at most PAIRS, rare pairs of answers first."""
    seen: dict[tuple[int, int], int] = {}
    turns = []
    for at in np.flatnonzero(ours != theirs):
        pair = (min(ours[at], theirs[at]), max(ours[at], theirs[at]))
        seen[pair] = seen.get(pair, 0) + 1
        turns.append((seen[pair], at))
    return np.array([at for _, at in sorted(turns)[:PAIRS]], np.int64)


def _numbered(key: Array) -> Array:
    """A number for each distinct answer."""
    numbers: dict[Any, int] = {}
    rows = map(tuple, key.tolist()) if key.dtype == object else (row.tobytes() for row in key)
    return np.array([numbers.setdefault(row, len(numbers)) for row in rows], np.int64)


def _stepwise(search: _Search, pool: Inputs) -> bool:
    """Whether scores stay as they are when all numbers change a little, for most rows."""
    if not (search.scores and count(pool)):
        return False
    source = search.source
    some = take(pool, evenly(count(pool), 200))
    moved = {name: array.copy() for name, array in some.items()}
    for column in np.flatnonzero(~source.texts & ~source.named):
        cells(moved, source.places[column])[:] *= 1 + (
            1e-7 if source.types[column] == np.float64 else 1e-6
        )
    kept, _ = answered(search.fitted.run, moved, search.scores)
    before, after = (search.ask(take(rows, kept), search.scores)[1] for rows in (some, moved))
    return len(before) == len(after) > 0 and bool(unequal(before, after).any(axis=1).mean() < 0.5)


def _side_by_side(answers: Sequence[Array]) -> Array:
    """Outputs as one array [rows, k]."""
    parts = [flat(each) for each in answers]
    if len({each.dtype.kind for each in parts}) > 1:
        parts = [each.astype(object) for each in parts]
    return np.concatenate(parts, axis=1)


def _columns(fitted: Model, sample: Inputs | None) -> list[Array]:
    """The sample column by column; columns of no rows where there is none."""
    rows = sample if sample is not None else empty(fitted.signature, 0)
    return [cells(rows, place) for place in places(fitted.signature)]
