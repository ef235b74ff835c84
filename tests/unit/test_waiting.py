"""The queue: order, groups, levels and patience, against a plain list of who waits."""

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inferd.engine.waiting import CLUTTER, FOREVER, LAST, Queue, Waiting, patience, rank_of
from inferd.spec import Batching, QueuePolicy

DELAYED = QueuePolicy(timeout_action="delay")
LEVELS = Batching(priority_levels=3, level_queues={2: DELAYED})


def waiting(
    rows: int = 1, level: int = 0, group: str = "a", until: float = FOREVER, **request: Any
) -> Waiting:
    """A request of which the queue sees no more than this."""
    asked = SimpleNamespace(deadline=FOREVER, timeout_us=0) if not request else None
    asked = asked or SimpleNamespace(**{"deadline": FOREVER, "timeout_us": 0, **request})
    return Waiting(cast("Any", asked), cast("Any", None), 0, rows, rank_of(level), group, until)


class Queueing(RuleBasedStateMachine):
    """Requests come, leave, begin and run out of patience in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue(LEVELS)
        self.model: list[Waiting] = []
        """Who waits, in order of arrival."""
        self.now = 0

    @rule(
        rows=st.integers(0, 30),
        level=st.integers(1, 3),
        group=st.sampled_from("ab"),
        patience=st.none() | st.integers(0, 20),
        deadline=st.none() | st.integers(0, 20),
    )
    def come(
        self, rows: int, level: int, group: str, patience: int | None, deadline: int | None
    ) -> None:
        ends = FOREVER if deadline is None else self.now + deadline
        until = FOREVER if patience is None else self.now + patience
        each = waiting(rows, level, group, min(until, ends), deadline=ends / 1e9)
        self.queue.add(each)
        self.model.append(each)

    @precondition(lambda self: self.model)
    @rule(at=st.randoms())
    def leave(self, at: Any) -> None:
        each = at.choice(self.model)
        self.queue.remove(each)
        self.model.remove(each)

    @precondition(lambda self: self.model)
    @rule()
    def begin(self) -> None:
        """A part of the first is run: the rest goes on before its level, and waits for ever."""
        first = self.queue.first()
        if first.rows < 2:
            return
        before = first.rows, first.start
        part = self.queue.part(first, first.rows // 2)
        assert (part.rows + first.rows, part.start) == before
        assert first.start == part.start + part.rows
        assert part.split is first.split
        self.model.remove(first)
        self.model.append(first)

    @rule(passed=st.integers(0, 10))
    def pass_time(self, passed: int) -> None:
        self.now += passed
        over = self.queue.expire(self.now)
        for each in [each for each in self.model if each.until <= self.now]:
            assert each in over
            assert each.level != 2 or each.request.deadline * 1e9 <= self.now
        for each in over:
            self.model.remove(each)
        # Those that were delayed came again, in the order in which their patience ended.
        rank = rank_of(2, LAST)
        delayed = [each for each in self.model if each.rank == rank]
        self.model = [each for each in self.model if each.rank != rank]
        self.model += sorted(delayed, key=lambda each: each.number)

    @invariant()
    def everybody_stands_in_order(self) -> None:
        ordered = sorted(self.model, key=lambda each: each.rank)
        assert list(self.queue) == ordered
        assert not ordered or self.queue.first() is ordered[0]
        for group in "ab":
            mine = [each for each in ordered if each.group == group]
            assert self.queue.waiting(group) == len(mine)
            assert not mine or list(self.queue.line(group)) == mine
            many = sum(each.rows for each in mine) >= 10
            assert (group in self.queue.groups(10, -1)) == bool(mine and many)

    @invariant()
    def everybody_is_counted(self) -> None:
        assert len(self.queue) == len(self.model)
        assert self.queue.rows == sum(each.rows for each in self.model)
        for level in range(1, 4):
            ahead = [each for each in self.model if each.level <= level]
            assert self.queue.ahead(level) == (len(ahead), sum(each.rows for each in ahead))
            assert self.queue.of(level) == sum(e.level == level for e in self.model)
        assert self.queue.of(0) == len(self.model)

    @invariant()
    def nobodys_patience_ends_before_it_is_told(self) -> None:
        assert self.queue.next_time() <= min((each.until for each in self.model), default=FOREVER)


Queueing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueueing = Queueing.TestCase


def test_the_times_of_those_who_left_are_forgotten() -> None:
    """A long deadline costs no memory once its request is answered, and keeps nothing of it."""
    queue = Queue(Batching())
    stays = waiting(until=10.0)
    queue.add(stays)
    for at in range(10 * CLUTTER):
        each = waiting(until=1e9 + at)
        queue.add(each)
        queue.remove(each)
        assert len(queue._times) <= CLUTTER + 3
    assert list(queue._timed.values()) == [stays]
    assert queue.next_time() == 10.0


def test_who_was_taken_may_run_out_of_patience_until_he_is_forgotten() -> None:
    """A call that has not begun is no reason to wait longer; to be delayed it is too late."""
    queue = Queue(LEVELS)
    begun, late, delayed = (waiting(level=level, until=5.0) for level in (1, 1, 2))
    for each in (begun, late, delayed):
        queue.add(each)
        queue.take(each)
    queue.forget([begun])
    assert len(queue) == 0
    assert queue.expire(5) == [late]
    assert len(queue) == 0
    assert queue.next_time() == FOREVER


def test_what_is_run_again_goes_first_and_alone() -> None:
    """Before all of its level, in the order in which it was given back, and for ever."""
    queue = Queue(LEVELS)
    urgent, fresh = waiting(level=1), waiting(level=3)
    for each in (fresh, urgent):
        queue.add(each)
    first, second = waiting(level=3, until=1.0), waiting(level=3)
    queue.again(first)
    queue.again(second)
    assert list(queue) == [urgent, first, second, fresh]
    assert list(queue.line(first.group)) == [first]
    assert queue.expire(100) == []


@given(st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_patience_is_the_shorter_of_the_two(own: int, default: int, allowed: bool) -> None:
    """The request's own timeout shortens the policy's and never lengthens it; 0 says nothing."""
    policy = QueuePolicy(default, allow_timeout_override=allowed)
    said = [us * 1000 for us in (own if allowed else 0, default) if us]
    request = waiting(timeout_us=own).request
    assert patience(request, policy) == min(said, default=FOREVER)
