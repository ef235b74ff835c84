"""Rows next to where a model's answer changes, found by halving the way between two rows.

Whatever a conversion does in fewer digits, or at another place by the width of one float, answers
otherwise there and hardly anywhere else.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inferd.compiling.batches import Inputs, count, distinct, flat, join, take, unequal
from inferd.tensors import Array

CLOSE = 20
"""Halvings before rows are kept: float32 arithmetic goes wrong by 2 ** -24 and more."""


class Steps(NamedTuple):
    """How far to go."""

    most: int = 30
    """Halvings; 30 come as near as 1e-9 of the way."""
    adjacent: bool = False
    """Whether to go on until the ends are neighbouring numbers in all columns, however many."""
    in_time: Callable[[], bool] = lambda: True
    """Asked before each halving whether there is time for one."""

    @property
    def limit(self) -> int:
        """The most halvings in all: 64 more tell any float64 from all others."""
        return self.most + 64 if self.adjacent else self.most


USUAL = Steps()


def boundary(
    key: Callable[[Inputs], Array], first: Inputs, second: Inputs, steps: Steps = USUAL
) -> dict[str, Array]:
    """Rows on both sides of a change of *key* on the way from each of *first* to its *second*.

    *key* gives the rows' answers, [rows] or [rows, k], and takes all rows between; pairs with equal
    answers are left out. Only numbers are halved, and must be finite: a way has the strings of
    *first*. All ways are halved together, by one call of *key* a step, and from CLOSE on both ends
    are kept at each.
    """
    second = {
        name: first[name] if array.dtype == object else array for name, array in second.items()
    }
    start = key(first)
    differ = _differ(start, key(second))
    here, there, start = take(first, differ), take(second, differ), start[differ]
    kept: list[Inputs] = []
    for step in range(steps.limit):
        if not (len(start) and steps.in_time()):
            break
        halve = _middle if step < steps.most else _between
        middle = {name: halve(here[name], there[name]) for name in here}
        beyond = _differ(start, key(middle))
        here, there = _either(beyond, here, middle), _either(beyond, middle, there)
        if step >= CLOSE:
            kept += [here, there]
            going = _open(here, there)
            here, there, start = take(here, going), take(there, going), start[going]
    return distinct(join([*kept, here, there]))


def _differ(ours: Array, theirs: Array) -> Array:
    return np.asarray(flat(unequal(ours, theirs)).any(axis=1))


def _middle(here: Array, there: Array) -> Array:
    if here.dtype == object:
        return here
    # Halved before they are added, for sums beyond the largest number; and kept between the ends,
    # which halving denormals may leave.
    half = here.dtype.type(0.5)
    middle = np.clip(here * half + there * half, np.minimum(here, there), np.maximum(here, there))
    return np.asarray(np.where(here == there, here, middle), here.dtype)


def _between(here: Array, there: Array) -> Array:
    """The number with as many floats to the one end as to the other; near zero these lie close."""
    if here.dtype == object:
        return here
    one, other = _ordinal(here), _ordinal(there)
    middle = (one >> 1) + (other >> 1) + (one & other & 1)  # the sum itself may be too large
    lowest = np.iinfo(middle.dtype).min
    return np.asarray(np.where(middle < 0, lowest - middle, middle).view(here.dtype))


def _ordinal(values: Array) -> Array:
    """Floats as integers in the same order, neighbours next to each other; both zeros are 0."""
    bits = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    return np.where(bits < 0, np.iinfo(bits.dtype).min - bits, bits)


def _either(which: Array, these: Inputs, those: Inputs) -> dict[str, Array]:
    return {
        name: np.where(which.reshape(-1, *[1] * (array.ndim - 1)), array, those[name])
        for name, array in these.items()
    }


def _open(here: Inputs, there: Inputs) -> Array:
    """Which ways have a number between their ends, in any column."""
    found = np.zeros(count(here), bool)
    for name, ours in here.items():
        if ours.dtype != object:
            middle = _between(ours, there[name])
            between = (middle != ours) & (middle != there[name])
            found |= flat(between).any(axis=1)
    return found
