"""The rows that models are asked: like those they know, with gaps, off the points where their
answers change, and on coarse grids."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from inferd.tensors import Array
from tests.formats.cases import Table

Columns: TypeAlias = list[Array]
"""An array a column, float64 or object."""
Ask: TypeAlias = Callable[[Columns], Array]
"""What the model itself answers, one value or row of values for each row."""

SHARE = 50
"""For so many rows one pair, between which the point is sought where the answer changes."""
HALVINGS = 70
STRANGE = "never seen"
"""A word that no model knows."""


def columns_of(rows: Any) -> Columns:
    """A training table, column by column."""
    frame = pd.DataFrame(rows)
    return [
        frame[name].to_numpy(np.float64 if frame[name].dtype.kind in "fi" else object)
        for name in frame
    ]


def table_of(columns: Columns, like: Any) -> Any:
    """Rows as the library takes them: an array, or a DataFrame as the training table was one."""
    if isinstance(like, pd.DataFrame):
        frame = pd.DataFrame(dict(zip(like.columns, columns, strict=True)))
        return frame.astype(like.dtypes.to_dict())
    return np.column_stack(columns)


def kinds(
    table: Table, ask: Ask, points: Mapping[int, Array], rows: int, adjacent: bool
) -> Iterator[tuple[str, Columns]]:
    """Rows of every kind that the model takes, by kind.

    *adjacent*: as near to the points where the answer changes as numbers go; otherwise 1e-9 off, in
    parts of the way between two rows.
    """
    rng = np.random.default_rng(11)
    training = columns_of(table.rows)
    odd = _strange(table, training, ask)
    usual = [
        _wider(each, at in table.coded, odd.get(at), rows, rng) for at, each in enumerate(training)
    ]
    for kind in table.kinds:
        if kind == "numeric":
            yield kind, usual
        elif kind == "missing":
            free = [at for at in range(len(training)) if _takes(ask, training, at, np.nan)]
            if free:
                yield kind, [_holes(each, at in free, rng) for at, each in enumerate(usual)]
        elif kind == "near":
            free = [at for at in range(len(training)) if at not in table.coded]
            if free:
                yield kind, _near(usual, free, Changes(ask, points, adjacent), rng)
        else:
            yield kind, [_grid(each, rows, rng) for each in training]


def _takes(ask: Ask, training: Columns, at: int, value: Any) -> bool:
    """Whether the model answers a row with *value* in one column of numbers or words."""
    if training[at].dtype == object and not isinstance(value, str):
        return False
    row = [each[:1].copy() for each in training]
    row[at][0] = value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ask(row)
    except Exception:  # noqa: BLE001 - libraries refuse rows with whatever they like
        return False
    return True


def _strange(table: Table, training: Columns, ask: Ask) -> dict[int, Any]:
    """For every coded column a value that the model does not know and takes."""
    odd = {at: STRANGE if training[at].dtype == object else max(training[at]) + 1
           for at in table.coded}  # fmt: skip
    return {at: value for at, value in odd.items() if _takes(ask, training, at, value)}


def _wider(values: Array, coded: bool, odd: Any, rows: int, rng: np.random.Generator) -> Array:
    """Values like those known and beyond; codes as they are, with some *odd* ones."""
    known = values[~pd.isna(values)]
    drawn = rng.choice(known, rows)
    if coded:
        if odd is not None:
            drawn[rng.random(rows) < 0.03] = odd
        return drawn
    low, high = known.min(), known.max()
    far = rng.uniform(low - (high - low), high + (high - low), rows)
    made = np.where(rng.random(rows) < 0.3, far, drawn + rng.normal(0, known.std() / 3, rows))
    made = np.where(rng.random(rows) < 0.1, drawn, made)
    return np.abs(made) if low >= 0 else made


def _holes(values: Array, free: bool, rng: np.random.Generator) -> Array:
    return np.where(rng.random(len(values)) < 0.1, np.nan, values) if free else values


def _grid(values: Array, rows: int, rng: np.random.Generator) -> Array:
    """Whole and half numbers over the range of *values*, as thresholds between whole ones are."""
    return rng.choice(np.arange(values.min() - 0.5, values.max() + 1, 0.5), rows)


class Changes(NamedTuple):
    """Where a model's answers change."""

    ask: Ask
    points: Mapping[int, Array]
    adjacent: bool


def _near(
    usual: Columns, free: Sequence[int], changes: Changes, rng: np.random.Generator
) -> Columns:
    """Rows at the points where the answer changes, at the model's thresholds, and just beside."""
    rows = len(usual[0])
    pairs = _boundary(usual, free, changes.ask, rng)
    picked, which = rng.integers(len(pairs.low[0]), size=rows), rng.random(rows) < 0.5
    off = 10.0 ** rng.uniform(-9, -3, rows) * rng.choice([-1, 1], rows)
    way, moved = rng.integers(5, size=rows), rng.choice(list(free), rows)
    if changes.adjacent:
        off[way < 3] = 0  # of which two thirds make one step more in one column
    made = []
    for at in range(len(usual)):
        here = np.where(which, pairs.low[at][picked], pairs.high[at][picked])
        if at in free:
            here = here + off * pairs.step[at][picked]
            if changes.adjacent:
                here = _beside(here, (moved == at) & (way == 1), np.float64, rng)
                here = _beside(here, (moved == at) & (way == 2), np.float32, rng)
            at_points = rng.choice(changes.points.get(at, _middles(usual[at])), rows)
            at_points = _beside(at_points, rng.random(rows) < 0.3, np.float64, rng)
            at_points = _beside(at_points, rng.random(rows) < 0.3, np.float32, rng)
            here = np.where(
                (way == 4) & ((moved == at) | (rng.random(rows) < 0.1)), at_points, here
            )
        made.append(here)
    return made


class Pairs(NamedTuple):
    """Rows next to each other in float64 that a model answers differently."""

    low: Columns
    high: Columns
    step: Columns
    """The whole way on which they lie; nothing for columns that are not numbers."""


def _middles(values: Array) -> Array:
    some = np.unique(values[:200])
    return np.concatenate([some, (some[1:] + some[:-1]) / 2])


def _beside(values: Array, where: Array, kind: type, rng: np.random.Generator) -> Array:
    """The next number of *kind* above or below, at *where*."""
    toward: Array = np.where(rng.random(len(values)) < 0.5, np.inf, -np.inf).astype(kind)
    with np.errstate(over="ignore"):  # denormals
        return np.where(where, np.nextafter(values.astype(kind), toward).astype(np.float64), values)


def _boundary(usual: Columns, free: Sequence[int], ask: Ask, rng: np.random.Generator) -> Pairs:
    """Half of the pairs differ in one column only. Where the model answers all rows alike: some
    rows as they are."""
    pairs = len(usual[0]) // SHARE
    start = [each[:pairs].copy() for each in usual]
    stop = [each[pairs : 2 * pairs].copy() for each in usual]
    alone = rng.choice(list(free), pairs)
    for at in range(len(usual)):
        stays = (alone != at) & (np.arange(pairs) % 2 == 0) if at in free else np.full(pairs, True)
        stop[at] = np.where(stays, start[at], stop[at])
    first = _flat(ask(start))
    apart = (_flat(ask(stop)) != first).any(axis=1)
    if not apart.any():
        apart[:] = True
    first = first[apart]
    low, high = [each[apart] for each in start], [each[apart] for each in stop]
    step = [high[at] - low[at] if at in free else low[at] for at in range(len(usual))]
    for _ in range(HALVINGS):
        middle = [
            one + (other - one) / 2 if at in free else one
            for at, (one, other) in enumerate(zip(low, high, strict=True))
        ]
        same = (_flat(ask(middle)) == first).all(axis=1)
        low = [np.where(same, mid, one) for mid, one in zip(middle, low, strict=True)]
        high = [np.where(same, one, mid) for mid, one in zip(middle, high, strict=True)]
    return Pairs(low, high, step)


def _flat(answers: Array) -> Array:
    return answers.reshape(len(answers), -1)
