"""Rows that a model may find hard, made from what it remembers of its data; no model is asked."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from inferd.compiling.batches import Inputs, assemble, cells, count, join, places, take
from inferd.compiling.ranges import Range, evenly
from inferd.signature import Signature
from inferd.tensors import Array

SINGLE = np.finfo(np.float32)
DOUBLE = np.finfo(np.float64)
SMALL = [
    *(0.0, -0.0, 1.0, -1.0),
    *(5e-324, -5e-324, float(DOUBLE.tiny), -float(DOUBLE.tiny)),
    *(1e-45, -1e-45, float(SINGLE.tiny), -float(SINGLE.tiny)),
    *(1e-35, 1.0000000180025095e-35, -1e-35, 1e-10),  # LightGBM takes up to 1e-35 for zero
]
"""Zeros of both signs, denormal numbers, the smallest normal ones, and their like."""
LARGE = [float(SINGLE.max), -float(SINGLE.max), 1e30, -1e30, 1e10]
HUGE = [float(SINGLE.max) * (1 + 2**-25), 1e39, -1e39, 1e300, -1e300]
"""What float32 takes for an infinity."""
Step: TypeAlias = Callable[[np.random.Generator, int], Array]
STEPS: list[Step] = [
    lambda rng, n: rng.integers(-2, 3, n),
    lambda rng, n: rng.integers(-5, 11, n),
    lambda rng, n: rng.choice([-1, 1], n) * (2**24 + rng.integers(0, 100, n)),
    lambda rng, n: 1_600_000_000 + rng.integers(0, 10**8, n),
    lambda rng, n: rng.choice([-1, 1], n) * (2**53 + rng.integers(0, 100, n)),
    lambda rng, n: rng.integers(-20, 21, n) / 10,
]
"""Whole numbers that many rows share, that float32 cannot tell apart, that seconds since 1970 are,
and that float64 cannot tell apart; and tenths, which no float is."""
STRANGE = ["", " ", "unseen", "\u00fcnseen \u2603 \U0001f600", "unseen" * 100, "0", "nan", "None"]
"""Strings that no model was fitted with."""

Numbers: TypeAlias = Callable[[int, int], Array]
"""(column, rows) to values for it."""


class Source:
    """Makes rows. ``signed`` says which columns take negative numbers."""

    def __init__(
        self, signature: Signature, ranges: Sequence[Range], rng: np.random.Generator
    ) -> None:
        self.signature, self.ranges, self.rng = signature, ranges, rng
        self.places = places(signature)
        types = {spec.name: spec.type.numpy for spec in signature.inputs}
        self.types = [types[name] for name, _ in self.places]
        self.texts = np.array([each.kind == "O" for each in self.types])
        self.named = np.array([len(each.categories) > 0 for each in ranges]) & ~self.texts
        """Columns of numbers that are names: other numbers than those known may be refused."""
        self.signed = np.ones(len(ranges), bool)

    def rows(self, number: int, numbers: Numbers, share: float = 1.0) -> dict[str, Array]:
        """Rows with *numbers* in a *share* of the cells, and usual values in the others."""
        return assemble(
            self.signature,
            [self._cells(column, number, numbers, share) for column in range(len(self.ranges))],
        )

    def usual(self, number: int, scale: float = 1.0) -> dict[str, Array]:
        """Rows as the model's data had them, or *scale* times as far from their center."""
        return self.rows(number, lambda column, n: self._normal(column, n, scale))

    def spread(self, number: int) -> dict[str, Array]:
        """Usual rows, far and near; whole numbers, small and large; numbers of few decimals."""
        part = max(number // 10, 1)
        parts = [self.usual(part, scale) for scale in (0.1, 1.0, 10.0, 1000.0)]
        parts += [self.rows(part, self._rounded(decimals)) for decimals in (0, 1, 2)]
        parts += [
            self.rows(max(part // 4, 1), self._stepped(step), share)
            for step in STEPS
            for share in (1.0, 0.5)
        ]
        return join(parts)

    def grid(self, number: int) -> dict[str, Array]:
        """Rows whose columns have few values: many are alike, and few votes tell them apart."""
        few = [self._few(column) for column in range(len(self.ranges))]
        coarse = self.rows(number - number // 3, lambda c, n: self.rng.choice(few[c], n))
        twice = take(coarse, self.rng.integers(0, number - number // 3, number // 3))
        return join([coarse, twice])

    def at_points(self, number: int) -> dict[str, Array]:
        """Rows at each point of each column and right beside it, in all columns and in one."""
        lists = [self._beside(column) for column in range(len(self.ranges))]
        longest = max((len(values) for values in lists), default=0)
        if not longest:
            return self.usual(1)
        rows = min(longest * 2, number * 2 // 3)
        everywhere = self.rows(rows, lambda column, n: self._dealt(lists[column], column, n))
        pairs = [(column, value) for column, values in enumerate(lists) for value in values]
        pairs = [pairs[at] for at in evenly(len(pairs), number - number * 2 // 3)]
        return join([everywhere, self.one_changed(self.usual(len(pairs)), pairs)])

    def one_changed(self, base: Inputs, pairs: Sequence[tuple[int, object]]) -> dict[str, Array]:
        """*base*, each row with the value of one column changed: one (column, value) a row."""
        changed = {name: array.copy() for name, array in base.items()}
        with np.errstate(over="ignore"):
            for row, (column, value) in enumerate(pairs):
                cells(changed, self.places[column])[row] = value
        return changed

    def sprinkled(
        self, number: int, values: Sequence[object], columns: Sequence[int]
    ) -> dict[str, Array]:
        """Usual rows with *values* in some of *columns*: in one, a few, half, and all of them."""
        made = self.usual(number)
        if not (len(values) and len(columns)):
            return take(made, slice(0, 0))
        share = self.rng.choice([0.2, 0.5, 1.0], number)
        alone = np.arange(number) % 2 == 0
        only = np.asarray(columns)[np.arange(number) // 2 % len(columns)]
        pool = np.empty(len(values), object)
        pool[:] = values
        with np.errstate(over="ignore"):
            for column in columns:
                hit = np.where(alone, only == column, self.rng.random(number) < share)
                picked = pool[self.rng.integers(0, len(pool), int(hit.sum()))]
                cells(made, self.places[column])[hit] = picked
        return made

    def within(self, rows: Inputs, spreads: float) -> Array:
        """Which rows are finite, and at most *spreads* from the center of each column."""
        near = np.ones(count(rows), bool)
        for column in np.flatnonzero(~self.texts).tolist():
            center, spread = self.ranges[column][:2]
            values = cells(rows, self.places[column]).astype(float)
            near &= np.isfinite(values) & (np.abs(values - center) <= spreads * spread)
        return near

    def nudged(self, rows: Inputs) -> dict[str, Array]:
        """*rows* with each number moved by up to four floats of its datatype, to either side."""
        moved = {name: array.copy() for name, array in rows.items()}
        for column in np.flatnonzero(~self.texts & ~self.named).tolist():
            values = cells(moved, self.places[column])
            steps = self.rng.integers(-4, 5, len(values)).astype(values.dtype)
            with np.errstate(all="ignore"):
                beside = values + steps * np.spacing(values)
            values[:] = np.where(np.isfinite(beside), beside, values)
        return moved

    def is_numbered(self, column: int) -> bool:
        """Whether a column holds numbers of categories, to all appearances."""
        points = self.ranges[column].points
        whole = len(points) > 1 and bool((points == np.floor(points)).all())
        return bool(self.named[column]) or (whole and not self.texts[column])

    def strange_numbers(self, column: int) -> list[float]:
        """Numbers that are no category of a column of categories: beside, between and beyond."""
        known = self.ranges[column].categories
        known = known if len(known) else self.ranges[column].points
        few = known[evenly(len(known), 20)].tolist()
        beside = [v + d for v in few for d in (0.5, -0.5, 1e-9)]
        top = max(few, default=0.0)
        return [*few, *beside, top + 1, top + 100, -1.0, 255.0, 256.0, 65536.0, 2.0**31, 2.0**63]

    def _cells(self, column: int, number: int, numbers: Numbers, share: float) -> Array:
        if self.texts[column]:
            known = np.array(self.ranges[column].texts or ("a", "b"), object)
            return np.asarray(self.rng.choice(known, number))
        if self.named[column]:
            return np.asarray(self.rng.choice(self.ranges[column].categories, number))
        values = np.asarray(numbers(column, number), float)
        if share < 1:
            hit = self.rng.random(number) < share
            values = np.where(hit, values, self._normal(column, number, 1.0))
        return values if self.signed[column] else np.abs(values)

    def _normal(self, column: int, number: int, scale: float) -> Array:
        center, spread = self.ranges[column][:2]
        return np.asarray(center + spread * scale * self.rng.standard_normal(number))

    def _rounded(self, decimals: int) -> Numbers:
        return lambda column, n: np.round(self._normal(column, n, 1.0), decimals)

    def _stepped(self, step: Step) -> Numbers:
        return lambda _, n: step(self.rng, n)

    def _few(self, column: int) -> Array:
        """Three or four values, on both sides of the column's middle."""
        center, spread, points = self.ranges[column][:3]
        if len(points) > 1:
            cuts = points[evenly(len(points), 4)]
            return np.append((cuts[1:] + cuts[:-1]) / 2, cuts[-1])
        digits = -int(np.floor(np.log10(spread))) if spread > 0 else 0
        return np.round(center + spread * np.array([-1.0, 0.0, 1.0]), digits)

    def _beside(self, column: int) -> Array:
        """The points of a column, and the floats next to them, in both precisions."""
        known = self.ranges[column]
        if self.texts[column] or self.named[column]:
            return np.empty(0)
        return neighbours(known.points, self.types[column])

    def _dealt(self, values: Array, column: int, number: int) -> Array:
        """*number* of *values*, each as often as the others, in any order."""
        if not len(values):
            return self._normal(column, number, 1.0)
        if len(values) > number:
            values = values[evenly(len(values), number)]
        times = -(-number // len(values))
        return np.concatenate([self.rng.permutation(values) for _ in range(times)])[:number]


def neighbours(points: Array, dtype: np.dtype[np.generic]) -> Array:
    """*points* and the numbers right below and above them, as *dtype* and as float32 has them, and
    float32's nearest: distinct numbers of *dtype*, ascending."""
    with np.errstate(over="ignore", invalid="ignore"):
        near = points.astype(np.float32)
        made = [points, near]
        for side in (-np.inf, np.inf):
            made += [np.nextafter(points, side), np.nextafter(near, np.float32(side))]
        cast = np.concatenate([np.asarray(each, dtype) for each in made])
    return np.unique(cast[np.isfinite(cast)])
