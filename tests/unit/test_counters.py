"""engine/statistics, statistics and clock: what is counted, and when it was."""

import time

import pytest

from inferd import clock
from inferd.engine.statistics import SIZES, Counters, Ran
from inferd.statistics import NOTHING, SizeStatistics, Total


def test_nothing_is_counted_before_anything_was_done() -> None:
    """A fresh counter reads as the record of nothing."""
    assert Counters().read() == NOTHING
    assert NOTHING.requests == 0


def test_a_quick_request_is_its_model_and_its_answer() -> None:
    """It did not wait, and nothing was joined."""
    counters = Counters()
    counters.ran_alone(3, 100, 140, 150)
    told = counters.read()
    assert told.success == Total(1, 50)
    assert (told.queue, told.compute_input) == (Total(1, 0), Total(1, 0))
    assert (told.compute_infer, told.compute_output) == (Total(1, 40), Total(1, 10))
    assert (told.rows, told.executions) == (3, 1)
    assert told.sizes == (SizeStatistics(3, Total(1, 0), Total(1, 40), Total(1, 10)),)


def test_each_request_of_a_joined_call_has_the_whole_calls_times() -> None:
    """Triton counts a duration once for each request; that of a batch size, once for each call."""
    counters = Counters()
    counters.ran(5, Ran({}, 100, 110, 140), [70, 90], 160)
    told = counters.read()
    assert told.success == Total(2, 30 + 10 + 2 * 60)
    assert told.queue == Total(2, 40)
    durations = (told.compute_input, told.compute_infer, told.compute_output)
    assert durations == (Total(2, 20), Total(2, 60), Total(2, 40))
    assert (told.rows, told.executions) == (5, 1)
    assert told.sizes == (SizeStatistics(5, Total(1, 10), Total(1, 30), Total(1, 20)),)


def test_failures_stand_apart() -> None:
    """What failed is neither rows nor executions."""
    counters = Counters()
    counters.failed(7)
    counters.failed(0)
    told = counters.read()
    assert told.fail == Total(2, 7)
    assert (told.success.count, told.rows, told.executions, told.last_inference_ms) == (0, 0, 0, 0)
    assert told.requests == 2


def test_sizes_are_told_fewest_first() -> None:
    """And each once, however often it came."""
    counters = Counters()
    for rows in (9, 1, 4, 1):
        counters.ran_alone(rows, 0, 1, 1)
    assert [(size.rows, size.compute_infer.count) for size in counters.read().sizes] == [
        (1, 2),
        (4, 1),
        (9, 1),
    ]


def test_callers_cannot_make_it_remember_without_end() -> None:
    """Beyond a number of sizes, the totals are still right and no further one is told apart."""
    counters = Counters()
    many = SIZES + 100
    for rows in range(1, many + 1):
        counters.ran_alone(rows, 0, 2, 3)
    counters.ran(many + 1, Ran({}, 0, 1, 2), [0, 0], 3)
    told = counters.read()
    assert len(told.sizes) == SIZES
    assert told.rows == (many + 1) * (many + 2) // 2
    assert (told.executions, told.success.count) == (many + 1, many + 2)
    assert told.compute_infer == Total(many + 2, 2 * many + 2)


def test_the_last_inference_is_when_the_last_call_returned() -> None:
    """In milliseconds of the calendar."""
    counters = Counters()
    before = time.time_ns() // 1_000_000
    now = clock.monotonic_ns()
    counters.ran_alone(1, now - 5, now, now)
    assert abs(counters.read().last_inference_ms - before) < 60_000


def test_a_moment_has_one_time_of_day_however_the_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was told once is told again, and later moments come later."""
    moment = clock.monotonic_ns()
    first = clock.wall_ms(moment)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert clock.wall_ms(moment) == first
    assert clock.wall_ms(moment + 5_000_000) == first + 5
