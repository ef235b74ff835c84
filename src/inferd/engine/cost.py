"""What a call costs, measured when a model is loaded, and where it runs because of that."""

from collections.abc import Callable, Mapping

import msgspec

from inferd.clock import Nanoseconds
from inferd.models.example import repeat_rows
from inferd.tensors import Array


class Cost(msgspec.Struct, frozen=True):
    """Microseconds of a call: ``fixed + per_row * rows``."""

    fixed: float
    per_row: float

    def of(self, rows: int) -> float:
        """The expected microseconds of a call with *rows* rows."""
        return self.fixed + self.per_row * rows


UNKNOWN = Cost(float("inf"), 0.0)
"""A model that could not be measured is taken for slow: a thread costs little, a blocked loop
everything."""

ROWS = 64  # the line's second point: far enough to tell the slope, quick enough to measure
REPEATS = 5  # the least of a few runs is the cost without the machine's other business

# What takes longer is slow whatever the exact figure, and is not run again to find out.
PATIENCE_US = 20_000
# A first run as long as this is not repeated at all: the server is to be ready soon.
GIVE_UP_US = 500_000


def fit(one_row_us: float, many_rows_us: float, rows: int) -> Cost:
    """The line through the costs of one row and of *rows* rows; neither part is negative."""
    per_row = max(0.0, (many_rows_us - one_row_us) / (rows - 1))
    return Cost(max(0.0, one_row_us - per_row), per_row)


def measure(
    run: Callable[[Mapping[str, Array]], object],
    row: Mapping[str, Array],
    joins: bool,
    clock: Nanoseconds,
) -> Cost:
    """Run one row a few times, and *ROWS* rows where rows can be joined. Blocks; raises whatever
    the model raises."""
    one = _least(run, row, clock)
    if not joins:
        return Cost(one, 0.0)
    many = _least(run, repeat_rows(row, ROWS), clock) if one < PATIENCE_US else one
    return fit(one, many, ROWS)


def _least(
    run: Callable[[Mapping[str, Array]], object], inputs: Mapping[str, Array], clock: Nanoseconds
) -> float:
    least = float("inf")
    for _ in range(REPEATS):
        started = clock()
        run(inputs)
        took = (clock() - started) / 1000
        least = min(least, took)
        if took > PATIENCE_US:
            break
    return least
