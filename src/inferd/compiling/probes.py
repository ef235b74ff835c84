"""Probes: rows that try to make a compiled model answer otherwise than the model.

They are made without knowing how the model was compiled. Where it compares, they stand next to
where it compares; where its answer changes, next to that; and for the rest there are the values
that arithmetic finds hard.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from inferd.clock import Nanoseconds, monotonic_ns
from inferd.compiling.asking import Model, Search
from inferd.compiling.batches import (
    Inputs,
    Probe,
    cells,
    count,
    distinct,
    empty,
    join,
    one_thread,
    places,
    take,
)
from inferd.compiling.changes import changes
from inferd.compiling.probe_rows import HUGE, LARGE, SMALL, STRANGE, Source
from inferd.compiling.ranges import evenly, ranges
from inferd.tensors import Array

ROUNDS = 6
"""Generations of rows that are bred for ties."""


@one_thread()
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
    search = Search(fitted, source, clock)
    for kind, rows in _drafts(search, sample):
        vague = kind in ("ranges", "extremes") and not adjacent
        search.keep(kind, search.steady(rows) if vague else rows)
    search.keep("boundary", changes(search, adjacent))
    return search.probes


def _drafts(search: Search, sample: Inputs | None) -> Sequence[tuple[str, Inputs]]:
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


def _categories(search: Search) -> Sequence[Inputs]:
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


def _near_ties(search: Search, number: int) -> dict[str, Array]:
    """Rows bred for the least difference between the two best classes."""
    source, rng = search.source, search.source.rng
    pool = join([source.usual(number), source.grid(number)])
    if not (search.labels and search.scores):
        return take(pool, slice(0, 0))
    pool, scores = search.ask(pool, search.scores[:1])
    if not count(pool):
        return pool
    for _ in range(ROUNDS):
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


def _columns(fitted: Model, sample: Inputs | None) -> list[Array]:
    """The sample column by column; columns of no rows where there is none."""
    rows = sample if sample is not None else empty(fitted.signature, 0)
    return [cells(rows, place) for place in places(fitted.signature)]
