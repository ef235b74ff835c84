"""inferd.engine.company: who is waited for, and who is not, with callers and a clock of the test's
own."""

import heapq
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.engine.company import AGAIN, PARTS, Company

US = 1000
GROUP = "one"


class Line:
    """A model of cost a + b * rows that runs what waits, as the batches do; simulated.

    ``back`` says after how many microseconds a caller asks again, given who he is.
    """

    def __init__(self, fixed_us: float, per_row_us: float, company: Company) -> None:
        self.fixed, self.per_row, self.company = fixed_us * US, per_row_us * US, company
        self.sizes: list[int] = []
        self.waited = 0
        """Nanoseconds for which the model stood still although somebody was there."""

    def run(self, callers: int, back: Callable[[int], float], until_us: float) -> float:
        """Requests a second."""
        coming = [(0, caller) for caller in range(callers)]
        now, served, line = 0, 0, list[int]()
        while now < until_us * US:
            now = max(now, 0 if line else coming[0][0])
            while coming and coming[0][0] <= now:
                line.append(heapq.heappop(coming)[1])
            until = self.company.wait_until(now, GROUP, len(line))
            if until > now:
                then = min(until, coming[0][0]) if coming else until
                self.waited += then - now
                now = then
                continue
            self.company.began(now)
            now += int(self.fixed + self.per_row * len(line))
            served, batch, line = served + len(line), line, []
            self.sizes.append(len(batch))
            for caller in batch:
                heapq.heappush(coming, (now + int(back(caller) * US), caller))
            while coming and coming[0][0] <= now:
                line.append(heapq.heappop(coming)[1])
            self.company.answered(now, GROUP, len(batch), len(line))
        return served / (now / 1e9)


def _rate(fixed_us: float, company: Company, back: Callable[[int], float]) -> float:
    return Line(fixed_us, 100, company).run(64, back, 2_000_000)


@pytest.mark.parametrize("fixed", [2_000, 5_000, 20_000])
def test_callers_who_ask_again_at_once_run_together(fixed: float) -> None:
    """Sixty-four that come back within a millisecond are one batch, not two that take turns."""

    def back(caller: int) -> float:
        return 100 + caller * 10

    best = 64 / (fixed + 64 * 100 + 100 + 63 * 10) * 1e6
    assert _rate(fixed, Company(fixed), back) >= 0.97 * best
    assert _rate(fixed, Company(0), back) <= 0.9 * best


def test_one_caller_alone_never_waits() -> None:
    """Nobody else was there, so nobody is missing."""
    line = Line(5_000, 100, Company(5_000))
    line.run(1, lambda _: 300, 1_000_000)
    assert line.waited == 0
    assert set(line.sizes) == {1}


@given(st.integers(2, 64), st.integers(0, 2**32))
def test_callers_who_do_not_come_back_are_waited_for_ever_less(callers: int, seed: int) -> None:
    """Those who think for long before they ask again cost a few per cent of the time at most."""

    def back(caller: int) -> float:
        return 200_000 + (caller * 7919 + seed) % 100_000

    line = Line(4_000, 100, Company(4_000))
    line.run(callers, back, 20_000_000)
    busy = sum(4_000 + 100 * size for size in line.sizes) * US
    assert line.waited <= 0.25 * busy / (AGAIN / PARTS) + 8 * 4_000 * US


def test_the_wait_is_given_up_when_nobody_comes_any_more() -> None:
    """After a part of the fixed cost without a newcomer, and after all of it in any case."""
    company = Company(1000)
    company.answered(0, GROUP, 10, 2)
    assert company.wait_until(0, GROUP, 2) == 250 * US
    assert company.wait_until(200 * US, GROUP, 3) == 450 * US
    assert company.wait_until(300 * US, GROUP, 3) == 450 * US
    assert company.wait_until(450 * US, GROUP, 3) == 450 * US
    company.answered(0, GROUP, 10, 2)
    for at in range(3, 10):
        assert company.wait_until((at - 2) * 140 * US, GROUP, at) <= 1000 * US
    assert company.wait_until(1000 * US, GROUP, 11) == 1000 * US


def test_nobody_is_waited_for_twice() -> None:
    """Once a batch was started those who come late are the next one's."""
    company = Company(1000)
    company.answered(0, GROUP, 2, 1)
    assert company.wait_until(250 * US, GROUP, 1) == 250 * US
    assert company.wait_until(260 * US, GROUP, 1) == 260 * US


def test_other_requests_are_not_kept_for_those_who_cannot_join_them() -> None:
    """A batch of another group starts at once."""
    company = Company(1000)
    company.answered(0, GROUP, 8, 0)
    assert company.wait_until(10, "another", 3) == 10


def test_a_model_of_unknown_cost_is_taken_to_cost_a_part_of_what_its_calls_take() -> None:
    """Before the first call nothing is known, and nobody is waited for."""
    company = Company(float("inf"))
    company.answered(0, GROUP, 8, 3)
    assert company.wait_until(100 * US, GROUP, 3) == 100 * US
    company.began(100 * US)
    company.answered(900 * US, GROUP, 8, 3)
    assert company.wait_until(900 * US, GROUP, 3) == (900 + 800 / PARTS / PARTS) * US


def test_callers_of_a_model_of_unknown_cost_run_together_too() -> None:
    """What its calls take tells enough."""
    best = 64 / (5_000 + 64 * 100 + 100 + 63 * 10) * 1e6
    assert _rate(5_000, Company(float("inf")), lambda caller: 100 + caller * 10) >= 0.97 * best


def test_what_was_not_worth_it_is_tried_again() -> None:
    """Callers may have changed: once in a while they are waited for again, and trusted when they
    come."""
    company = Company(1000)
    for at in range(10):
        company.answered(at * 10**7, GROUP, 8, 1)
        company.wait_until(at * 10**7 + 10**6, GROUP, 1)
    waits = []
    for at in range(100, 100 + 4 * AGAIN):
        now = at * 10**7
        company.answered(now, GROUP, 8, 1)
        waits.append(company.wait_until(now, GROUP, 1) > now)
        company.wait_until(now + 10, GROUP, 9)
    assert not waits[0]
    assert waits[AGAIN:].count(True) > 0
    assert all(waits[-AGAIN:])
