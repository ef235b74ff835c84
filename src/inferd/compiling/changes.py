"""Probes next to where a model's labels change, and its scores where these change in steps."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from inferd.compiling.asking import NATIVE_NS, Search, side_by_side
from inferd.compiling.batches import Inputs, answered, cells, count, join, take, unequal
from inferd.compiling.boundary import Steps, boundary
from inferd.compiling.ranges import evenly
from inferd.tensors import Array

PAIRS = 48
"""Ways that are halved, of each of four sorts: between rows and along one column, to where a label
changes and to where a score does."""
NEAR = 100
"""Spreads from the center of each column, between which smooth models are searched for changes."""
POOL = 4000
"""Rows that ways are chosen among."""


def changes(search: Search, adjacent: bool) -> dict[str, Array]:
    """Rows on both sides of changes between the probes so far; see ``boundary``."""
    calm = [p.inputs for p in search.probes if p.kind in ("sample", "thresholds", "ranges", "ties")]
    pool = join([search.source.usual(0), *calm])
    # Far away, a change is met where large numbers cancel out, and rounding alone moves it.
    pool = take(pool, search.source.within(pool, np.inf if adjacent else NEAR))
    if not count(pool):
        return pool
    pool = take(pool, evenly(count(pool), POOL))
    sorts = [names for names in (search.labels, _steps(search, pool)) if names]
    found = [take(pool, slice(0, 0))]
    for left, names in zip(range(len(sorts), 0, -1), sorts, strict=True):
        now = search.clock()
        until = now + max(search.deadline - now, NATIVE_NS // 2) // left
        steps = Steps(adjacent=adjacent, in_time=partial(_before, search, until))
        try:
            found.append(boundary(partial(_key, search, names), *_ways(search, pool, names), steps))
        except Refused:
            continue
    return join(found)


class Refused(Exception):
    """The model takes both ends of a way, and not all between."""


class Ways(NamedTuple):
    """Pairs of rows."""

    first: Inputs
    second: Inputs


def _before(search: Search, until: int) -> bool:
    return search.clock() < until


def _key(search: Search, names: Sequence[str], rows: Inputs) -> Array:
    taken, key = search.ask(rows, names)
    if count(taken) != count(rows):
        raise Refused
    return key


def _ways(search: Search, pool: Inputs, names: Sequence[str]) -> Ways:
    """Pairs of the *pool* with different answers, as many of each two answers as can be: PAIRS that
    differ in everything, and PAIRS in one column."""
    rng = search.source.rng
    pool, key = search.ask(pool, names)
    one, other = rng.integers(0, max(count(pool), 1), (2, PAIRS * 40 if count(pool) else 0))
    numbers = _numbered(key)
    picked = _balanced(numbers[one], numbers[other])
    whole = _named_alike(search, Ways(take(pool, one[picked]), take(pool, other[picked])))
    half = slice(PAIRS * 20)
    ways = _in_one_column(search, Ways(take(pool, one[half]), take(pool, other[half])))
    kept, after = answered(search.fitted.run, ways.second, names)
    if not len(kept):
        return whole
    both = _numbered(np.concatenate([key[one[half][kept]], side_by_side(list(after.values()))]))
    at = kept[_balanced(both[: len(kept)], both[len(kept) :])]
    return Ways(
        join([whole.first, take(ways.first, at)]), join([whole.second, take(ways.second, at)])
    )


def _named_alike(search: Search, ways: Ways) -> Ways:
    """*ways* that stay within the first row's categories: there are none between two."""
    second = {name: array.copy() for name, array in ways.second.items()}
    for column in np.flatnonzero(search.source.named).tolist():
        place = search.source.places[column]
        cells(second, place)[:] = cells(ways.first, place)
    return Ways(ways.first, second)


def _in_one_column(search: Search, ways: Ways) -> Ways:
    """*ways* that lead from the first row to the second's value of one column of numbers."""
    source = search.source
    plain = np.flatnonzero(~source.texts & ~source.named)
    second = {name: array.copy() for name, array in ways.first.items()}
    for row in range(count(second) if len(plain) else 0):
        place = source.places[source.rng.choice(plain)]
        cells(second, place)[row] = cells(ways.second, place)[row]
    return Ways(ways.first, second)


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


def _steps(search: Search, pool: Inputs) -> Sequence[str]:
    """The scores, if they stay as they are when all numbers change a little, for most rows."""
    if not search.scores:
        return ()
    source = search.source
    some = take(pool, evenly(count(pool), 200))
    moved = {name: array.copy() for name, array in some.items()}
    for column in np.flatnonzero(~source.texts & ~source.named):
        step = 1e-7 if source.types[column] == np.float64 else 1e-6
        with np.errstate(over="ignore"):  # the largest numbers have nowhere to go
            cells(moved, source.places[column])[:] *= 1 + step
    kept, _ = answered(search.fitted.run, moved, search.scores)
    before, after = (search.ask(take(rows, kept), search.scores)[1] for rows in (some, moved))
    if not len(before) == len(after) > 0:
        return ()
    return search.scores if unequal(before, after).any(axis=1).mean() < 0.5 else ()
