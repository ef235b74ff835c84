"""How long a call takes, by its number of rows."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from inferd.clock import Nanoseconds, monotonic_ns
from inferd.compiling.batches import Inputs

ROWS = (1, 64, 1024)
LEAST, MOST = 5, 200
"""Calls that are timed for each number of rows."""
ENOUGH_NS = 200_000_000
"""After this long no further call is timed, if LEAST were."""


def speed(
    run: Callable[[Inputs], Any],
    inputs_for_rows: Callable[[int], Inputs],
    rows: Sequence[int] = ROWS,
    clock: Nanoseconds = monotonic_ns,
) -> dict[int, float]:
    """Microseconds that a call takes, the median of several, by number of rows.

    The first call of each is not counted: it pays for what is made once.
    """
    return {number: _microseconds(run, inputs_for_rows(number), clock) for number in rows}


def _microseconds(run: Callable[[Inputs], Any], inputs: Inputs, clock: Nanoseconds) -> float:
    run(inputs)
    taken: list[int] = []
    while len(taken) < LEAST or (len(taken) < MOST and sum(taken) < ENOUGH_NS):
        start = clock()
        run(inputs)
        taken.append(clock() - start)
    return median(taken) / 1000
