"""engine.admission: simulated overloads, bursts, closed loops and changes of pace."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.engine.admission import FEW, LEAN, TRUST_NS, Admission, Pace
from inferd.engine.cost import UNKNOWN, Cost
from inferd.engine.waiting import FOREVER
from inferd.errors import DeadlineExceeded, QueueFull
from inferd.spec import Batching, QueuePolicy
from tests.unit.queueing import (
    MS,
    SECOND,
    Asked,
    Queue,
    answered,
    clients,
    goodput,
    offer,
    refusals,
    steady,
)

TWO_MS = Cost(2000.0, 0.0)
PEAK = 500.0  # answers a second of a model that takes 2 ms


def slow(batching: Batching | None = None) -> Queue:
    """A model of 2 ms that joins nothing."""
    return Queue(steady(2.0), TWO_MS, batching or Batching())


class TestDeadlines:
    """Ten times as many requests as can be answered, each with its time."""

    @pytest.mark.parametrize("budget_ms", [20, 100, 250, 1000])
    def test_an_overload_is_answered_at_the_models_pace(self, budget_ms: float) -> None:
        """Nearly all that the model can do is answered in time, late answers are rare, the others
        are refused for their time at once, and afterwards all is as before."""
        queue = slow()
        offer(queue, 10 * PEAK, 0, 4, budget_ms)
        offer(queue, PEAK / 2, 4, 7, budget_ms)
        queue.run()
        busy, after = queue.between(0, 4), queue.between(4 + budget_ms / 1000, 7)
        assert goodput(busy, 4) > 0.95 * PEAK
        assert np.percentile(answered(busy), 99) <= budget_ms
        assert refusals(busy) <= {DeadlineExceeded, QueueFull}
        told = [each.waited for each in busy if each.refusal is not None]
        assert np.percentile(told, 95) < 1, "most refusals come at once"
        assert all(each.good for each in after)
        assert np.median(answered(after)) < 5

    def test_two_calls_at_once_answer_twice_as_much(self) -> None:
        """The wait is that of several instances."""
        queue = Queue(steady(2.0), TWO_MS, instances=2)
        offer(queue, 10 * PEAK, 0, 3, 100)
        assert goodput(queue.run().asked, 3) > 0.95 * 2 * PEAK
        assert np.percentile(answered(queue.asked), 99) <= 100

    def test_what_is_joined_is_expected_to_be_joined(self) -> None:
        """A model of 2 ms and 0.05 ms a row is offered nine tenths of what it can do in batches,
        which is far beyond what it can do one by one: nearly nobody is refused."""
        queue = Queue(steady(2.0, 0.05), Cost(2000.0, 50.0), joins=True)
        offer(queue, 14_000, 0, 2, 100)
        queue.run()
        assert goodput(queue.asked, 2) > 0.99 * 14_000

    def test_batches_in_an_overload_are_in_time(self) -> None:
        """Joined calls: the whole batch must end in time, not only its first row."""
        queue = Queue(steady(2.0, 0.5), Cost(2000.0, 500.0), joins=True)
        offer(queue, 10_000, 0, 3, 200)
        queue.run()
        assert goodput(queue.asked, 3) > 0.9 * 2000
        assert np.percentile(answered(queue.asked), 99) <= 200

    def test_a_lighter_load_is_never_refused(self) -> None:
        """At four fifths of the model's pace a deadline of fifty calls refuses nobody."""
        queue = slow()
        offer(queue, 0.8 * PEAK, 0, 10, 100)
        assert not refusals(queue.run().asked)

    @pytest.mark.parametrize(("before", "after"), [(2.0, 20.0), (20.0, 2.0)])
    def test_a_change_of_pace_is_learned(self, before: float, after: float) -> None:
        """A model that becomes ten times slower, or quicker, is used fully again within a
        second."""

        def took(began: int, _rows: int) -> float:
            return MS * (before if began < 3 * SECOND else after)

        queue = Queue(took, Cost(before * 1000, 0.0))
        offer(queue, 5 * PEAK, 0, 7, 250)
        queue.run()
        assert goodput(queue.between(4, 7), 3) > 0.9 * 1000 / after
        assert np.percentile(answered(queue.between(4, 7)), 99) <= 250

    def test_nothing_known_refuses_nobody_until_a_call_has_ended(self) -> None:
        """Where the cost could not be measured, the first calls tell it."""
        queue = Queue(steady(2.0), UNKNOWN)
        offer(queue, 10 * PEAK, 0, 3, 100)
        queue.run()
        assert goodput(queue.asked, 3) > 0.95 * PEAK
        assert all(each.refusal is None for each in queue.between(0, 0.001))

    def test_one_pause_is_no_new_pace(self) -> None:
        """A single call of a second spoils the answers of that second only."""

        def took(began: int, _rows: int) -> float:
            return SECOND if SECOND <= began < SECOND + 3 * MS else 2 * MS

        queue = Queue(took, TWO_MS)
        offer(queue, 2 * PEAK, 0, 4, 100)
        queue.run()
        assert goodput(queue.between(2.2, 4), 1.8) > 0.95 * PEAK

    def test_a_first_call_that_was_slow_is_soon_forgotten(self) -> None:
        """A model that takes five seconds to wake up, and ten milliseconds then, is asked in vain
        for a few seconds more only."""

        def took(began: int, _rows: int) -> float:
            return MS * (5000 if began < SECOND else 10)

        queue = Queue(took, UNKNOWN)
        offer(queue, 20, 0, 20, 250)
        queue.run()
        assert goodput(queue.between(12, 20), 8) > 18

    def test_a_call_that_does_not_end_is_noticed(self) -> None:
        """While a call is overdue by more than a newcomer's time, he is refused at once."""
        admission = Admission(TWO_MS, Batching(), 1, joins=False)
        admission.began(0, 0, 1, 0)
        assert admission.admit(10 * MS, 0, 0, 1, 110 * MS) is None
        error = admission.admit(500 * MS, 0, 0, 1, 600 * MS)
        assert isinstance(error, DeadlineExceeded)
        assert str(error) == (
            "the answer would come too late: got 100 ms, expected about 500 ms. "
            "Give it more time, or try again later."
        )
        assert error.retry_after == pytest.approx(0.46, abs=0.01)

    def test_a_time_that_no_answer_can_meet_is_tried_now_and_then(self) -> None:
        """A deadline shorter than one call is refused, but for one request a second, so that a
        model that became quicker is noticed."""

        def took(began: int, _rows: int) -> float:
            return MS * (20 if began < 5 * SECOND else 1)

        queue = Queue(took, Cost(20_000.0, 0.0))
        offer(queue, 20, 0, 60, 10)
        queue.run()
        early = queue.between(0, 5)
        assert 3 <= sum(each.refusal is None for each in early) <= 7
        assert goodput(queue.between(50, 60), 10) > 18

    def test_a_deadline_that_has_passed_is_refused_whatever_is_known(self) -> None:
        """Also before anything ran."""
        admission = Admission(UNKNOWN, Batching(), 1, joins=False)
        assert isinstance(admission.admit(5, 0, 0, 1, 5), DeadlineExceeded)
        assert admission.admit(5, 0, 0, 1, 6) is None


class TestOverload:
    """Requests without deadlines."""

    def test_an_overload_is_held_short_and_forgotten_at_its_end(self) -> None:
        """The queue fills first, as for a burst; then the wait falls to a quarter of the target,
        the model stays busy, and within a second of the end answers are as quick as before."""
        queue = slow()
        offer(queue, 10 * PEAK, 0, 12)
        offer(queue, PEAK / 2, 12, 15)
        queue.run()
        busy = queue.between(5, 12)
        assert max(answered(queue.between(0, 5))) <= 2500
        assert np.percentile(answered(busy), 99) <= 300
        assert goodput(queue.between(0, 12), 12) > 0.98 * PEAK
        assert refusals(busy) == {QueueFull}
        after = queue.between(13, 15)
        assert not refusals(after)
        assert max(answered(after)) < 50
        assert not queue.admission.overloaded

    def test_an_overload_is_told_with_its_wait(self) -> None:
        """What waits, what is allowed, and when it is worth asking again."""
        queue = slow()
        offer(queue, 10 * PEAK, 0, 6)
        queue.run(6 * SECOND)
        assert queue.admission.overloaded
        error = queue.admission.admit(queue.now, 200, 200, 1, FOREVER)
        assert isinstance(error, QueueFull)
        assert "ms of waiting, expected at most 250 ms. Try again later." in str(error)
        assert error.retry_after == pytest.approx(0.15, abs=0.05)
        assert queue.admission.admit(queue.now, FEW - 1, FEW - 1, 1, FOREVER) is None

    def test_a_burst_is_absorbed(self) -> None:
        """As many requests at once as may wait are all answered, though the last wait two
        seconds."""
        queue = slow()
        for _ in range(1000):
            queue.ask(Asked(0))
        offer(queue, PEAK / 4, 0, 4)
        assert not refusals(queue.run().between(0, 0.001))

    @pytest.mark.parametrize("joins", [False, True])
    @pytest.mark.parametrize("ms", [1, 20, 500])
    def test_a_closed_loop_is_never_refused(self, ms: float, joins: bool) -> None:
        """64 clients who each wait for their answer are no overload, however slow the model."""
        queue = Queue(steady(ms), Cost(ms * 1000, 0.0), joins=joins)
        clients(queue, 64, until=100 * ms / 1000)
        assert not refusals(queue.run().asked)

    def test_an_overload_that_everybody_left_is_over(self) -> None:
        """Those who were taken last had waited long; a burst that finds the model idle, an hour
        later, is a burst all the same."""
        queue = Queue(steady(20.0), Cost(20_000.0, 0.0), Batching(max_batch_size=4), joins=True)
        offer(queue, 2000, 0, 6)
        queue.run()
        assert queue.admission.overloaded
        for _ in range(500):
            queue.ask(Asked(3600 * SECOND))
        queue.run()
        assert not refusals(queue.between(3600, 3601))

    def test_a_target_of_zero_refuses_nobody_for_it(self) -> None:
        """Only the queue's bound is left."""
        queue = slow(Batching(queue_target_ms=0.0, queue=QueuePolicy(max_queue_size=2000)))
        offer(queue, 10 * PEAK, 0, 10)
        queue.run()
        assert not queue.admission.overloaded
        assert np.percentile(answered(queue.between(5, 10)), 50) > 3900

    def test_a_full_queue_says_when_it_will_have_emptied(self) -> None:
        """Retry-After of a full queue is the wait that it has."""
        admission = Admission(TWO_MS, Batching(), 1, joins=False)
        admission.began(0, 0, 1, 1000)
        error = admission.full(MS, 1000, 1000)
        assert str(error) == "too many requests wait for this model: got 1000. Try again later."
        assert error.retry_after == pytest.approx(2.0, abs=0.01)
        assert Admission(UNKNOWN, Batching(), 1, joins=False).full(0, 9, 9).retry_after == 1.0


class TestPace:
    """What a call takes, learned."""

    @given(st.floats(0, 1e6), st.floats(0, 1e5), st.data())
    def test_a_line_is_found(self, fixed: float, per_row: float, data: st.DataObject) -> None:
        """Calls of different sizes that lie on a line tell that line, wherever it began."""
        began = data.draw(st.sampled_from([UNKNOWN, Cost(5.0, 1.0), Cost(50_000.0, 900.0)]))
        pace = Pace(began)
        sizes = data.draw(st.lists(st.integers(1, 256), min_size=2, max_size=6, unique=True))
        sizes += [1, 256]
        for _ in range(100):
            for rows in sizes:
                pace.learn(rows, int(fixed * 1000 + per_row * 1000 * rows))
        most = fixed * 1000 + per_row * 1000 * 256
        rest = (
            2 * 256 * began.per_row * 1000 * LEAN / float(np.var(sizes))
        )  # of the slope it began with
        for rows in (1, 100, 256):
            exact = fixed * 1000 + per_row * 1000 * rows
            assert pace.of(rows) == pytest.approx(exact, abs=20_000 + most / 50 + rest)

    @given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10**12)), max_size=50))
    def test_nothing_takes_less_than_no_time(self, calls: list[tuple[int, int]]) -> None:
        """Whatever was seen, a call of more rows is never expected to take less, or less than
        nothing."""
        pace = Pace(UNKNOWN)
        for rows, took in calls:
            pace.learn(rows, took)
        assert pace.of(0) >= -1e-3
        assert pace.of(0) <= pace.of(1) <= pace.of(1000)

    def test_calls_of_one_size_keep_the_slope(self) -> None:
        """Where all calls have one row, a slower machine raises the line and does not turn it."""
        pace = Pace(Cost(1000.0, 10.0))
        for at in range(200):
            pace.learn(1, 2_000_000 + at % 7 * 10_000)
        assert pace.of(101) - pace.of(1) == pytest.approx(100 * 10_000, rel=0.01)
        assert pace.of(1) == pytest.approx(2_030_000, rel=0.01)


@st.composite
def _admissions(draw: Callable[..., int]) -> tuple[Admission, int]:
    """An admission after anything may have happened, and the time."""
    joins, instances = draw(st.booleans()), draw(st.integers(1, 3))
    admission, now, running = Admission(TWO_MS, Batching(), instances, joins=bool(joins)), 0, 0
    for _ in range(draw(st.integers(0, 30))):
        now += draw(st.integers(0, 2 * SECOND))
        if running and draw(st.booleans()):
            running -= 1
            admission.ran(now, draw(st.integers(0, 300)), well=bool(draw(st.booleans())))
        elif running < instances:
            running += 1
            since = now - draw(st.integers(0, 5 * SECOND))
            admission.began(now, since, draw(st.integers(0, 300)), draw(st.integers(0, 1000)))
    return admission, now


@given(_admissions(), st.integers(0, 1000), st.integers(0, 300), st.integers(0, 5 * SECOND))
def test_whatever_happened_an_answer_is_sensible(
    made: tuple[Admission, int], waiting: int, rows: int, budget: int
) -> None:
    """Without a deadline only an overload refuses, and never a few; more time is never worse; every
    refusal says when to ask again."""
    admission, now = made
    place = now, waiting, waiting * 2, rows
    without, brief = admission.admit(*place, FOREVER), admission.admit(*place, now + budget)
    longer = admission.admit(*place, now + 2 * budget)
    if not admission.overloaded or waiting < FEW:
        assert without is None
    for error in (without, brief, longer, admission.full(now, waiting, waiting)):
        assert error is None or error.retry_after > 0 or isinstance(error, DeadlineExceeded)
    if isinstance(longer, DeadlineExceeded):
        assert isinstance(brief, DeadlineExceeded)
    assert admission.admit(now + 60 * SECOND, 0, 0, 1, FOREVER) is None


@given(_admissions(), st.integers(1, 256), st.integers(1, 256), st.integers(0, 5 * SECOND))
def test_a_call_has_room_for_who_is_in_it(
    made: tuple[Admission, int], rows: int, more: int, budget: int
) -> None:
    """Whatever happened: nothing, or at least the request itself and at most what waits; all of it
    where there is no hurry; and more with more time."""
    admission, now = made
    whole = rows + more
    room = admission.room(now, rows, whole, now + budget)
    assert room == 0 or rows <= room <= whole
    assert room <= admission.room(now, rows, whole, now + 2 * budget)
    assert admission.room(now, rows, whole, FOREVER) == whole
    assert admission.too_late(now, rows, now - 1)


def test_what_was_learned_long_ago_refuses_nobody() -> None:
    """After a second of rest a request is run, to learn anew."""
    admission = Admission(TWO_MS, Batching(), 1, joins=False)
    admission.began(0, 0, 1, 0)
    admission.ran(2 * MS, 1)
    assert isinstance(admission.admit(3 * MS, 0, 0, 1, 4 * MS), DeadlineExceeded)
    assert admission.too_late(3 * MS, 1, 4 * MS)
    later = 2 * MS + TRUST_NS
    assert admission.admit(later, 0, 0, 1, later + MS) is None
    assert not admission.too_late(later, 1, later + MS)
    assert admission.call_ns(1) == pytest.approx(2 * MS)
