"""How long calls take, on a clock of our own."""

import itertools
from collections.abc import Mapping

import numpy as np

from inferd.compiling.speed import LEAST, MOST, speed
from inferd.tensors import Array


class Bench:
    """A model that takes a microsecond a row, and its clock; the first call takes a second."""

    def __init__(self) -> None:
        self.now = 0
        self.calls: list[int] = []

    def clock(self) -> int:
        return self.now

    def run(self, inputs: Mapping[str, Array]) -> None:
        rows = len(inputs["X"])
        self.now += 1000 * rows if rows in self.calls else 10**9
        self.calls.append(rows)


def rows(number: int) -> Mapping[str, Array]:
    return {"X": np.zeros((number, 1))}


def test_it_tells_microseconds_by_rows() -> None:
    """Each number of rows has its own microseconds a call, and the first call counts for none."""
    bench = Bench()
    assert speed(bench.run, rows, clock=bench.clock) == {1: 1.0, 64: 64.0, 1024: 1024.0}


def test_slow_calls_are_made_few_times() -> None:
    """A call of a tenth of a second is timed LEAST times, and a quick one MOST."""
    bench = Bench()
    speed(bench.run, rows, [1, 100_000], bench.clock)
    assert bench.calls.count(1) == MOST + 1
    assert bench.calls.count(100_000) == LEAST + 1


def test_one_slow_call_does_not_count() -> None:
    """The median is told: a pause during one call changes nothing."""
    readings = itertools.accumulate(itertools.chain([0, 5_000_000_000], itertools.cycle([1, 2000])))
    assert speed(lambda _: None, rows, [1], lambda: next(readings)) == {1: 2.0}
