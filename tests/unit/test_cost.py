"""inferd.engine.cost: the line through two measurements, with a clock of the test's own."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.engine.cost import PATIENCE_US, REPEATS, ROWS, UNKNOWN, Cost, fit, measure
from inferd.engine.execution import MANY, quick_rows
from inferd.tensors import Array
from tests.unit.toys import FakeClock

MICROSECONDS = st.floats(0, 1e7)
ROW = {"X": np.zeros((1, 2), np.float32)}


@given(MICROSECONDS, MICROSECONDS)
def test_a_line_through_two_points_is_never_negative(one: float, many: float) -> None:
    """Both parts are at least zero, and a slope that can be seen is kept."""
    cost = fit(one, many, ROWS)
    assert cost.fixed >= 0
    assert cost.per_row >= 0
    if one <= many <= one * ROWS:
        assert cost.of(1) == pytest.approx(one, abs=1e-6)
        assert cost.of(ROWS) == pytest.approx(many, abs=1e-3)


class Model:
    """Takes as long as a line says, and remembers how many rows it was run with."""

    def __init__(self, clock: FakeClock, line: Cost) -> None:
        self.clock, self.line, self.rows = clock, line, list[int]()

    def __call__(self, inputs: Mapping[str, Array]) -> None:
        rows = len(inputs["X"])
        self.rows.append(rows)
        # The first call of each size is slower, as with a real model.
        warm = 0 if rows in self.rows[:-1] else 500
        self.clock.now += int((self.line.of(rows) + warm) * 1000)


def test_the_least_of_a_few_runs_is_the_cost() -> None:
    """What a first run takes longer is left out."""
    clock = FakeClock()
    model = Model(clock, Cost(5.0, 2.0))
    cost = measure(model, ROW, joins=True, clock=clock)
    assert [cost.fixed, cost.per_row] == pytest.approx([5.0, 2.0])
    assert model.rows == [1] * REPEATS + [ROWS] * REPEATS


def test_a_model_of_indivisible_calls_has_a_fixed_cost() -> None:
    """Where rows cannot be joined, only the one call is measured."""
    clock = FakeClock()
    model = Model(clock, Cost(7.0, 0.0))
    assert measure(model, ROW, joins=False, clock=clock) == Cost(7.0, 0.0)
    assert set(model.rows) == {1}


def test_a_slow_model_is_run_once() -> None:
    """Nobody waits for figures that change nothing."""
    clock = FakeClock()
    model = Model(clock, Cost(PATIENCE_US * 2, 0.0))
    cost = measure(model, ROW, joins=True, clock=clock)
    assert model.rows == [1]
    assert cost.of(1) >= PATIENCE_US


def test_what_a_model_raises_is_passed_on() -> None:
    """Measuring hides nothing."""

    def broken(inputs: Mapping[str, Array]) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        measure(broken, ROW, joins=True, clock=FakeClock())


@given(st.floats(0, 1000), st.just(0.0) | st.floats(1e-6, 50), st.integers(0, 500))
def test_so_many_rows_are_quick_and_one_more_is_not(
    fixed: float, per_row: float, limit: int
) -> None:
    """The number of quick rows is the line solved for the limit."""
    cost = Cost(fixed, per_row)
    rows = quick_rows(cost, limit)
    if rows < 1:
        assert cost.of(1) >= limit * (1 - 1e-9)
    elif rows < MANY:
        assert cost.of(rows) <= limit + 1e-6
        assert cost.of(rows + 1) >= limit - 1e-6


def test_the_extremes_are_all_or_nothing() -> None:
    """An unmeasured model is never quick; one that costs nothing more a row is always."""
    assert quick_rows(UNKNOWN, 1e9) < 1
    assert quick_rows(Cost(10.0, 0.0), 200) == MANY
    assert quick_rows(Cost(10.0, 0.0), 9) < 1
    assert quick_rows(Cost(100.0, 1.0), 200) == 100
