"""What Triton's fields of the same names mean, one by one, through the schedulers themselves
(common/protobuf/model_config.proto, ModelDynamicBatching and ModelQueuePolicy)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from inferd import plugins
from inferd.clock import monotonic_ns
from inferd.engine import streaming
from inferd.engine.cost import Cost
from inferd.engine.schedulers.base import QueueStatistics, Scheduler
from inferd.engine.schedulers.batch import Batch
from inferd.engine.waiting import LAST, rank_of
from inferd.errors import Cancelled, ConfigError, DeadlineExceeded, QueueFull
from inferd.spec import Batching, QueuePolicy
from inferd.tensors import Array
from tests.unit.toys import (
    CountingReply,
    Engine,
    FakeClock,
    StreamingRuntime,
    ToyRuntime,
    until,
    values_of,
)

BOTH = pytest.mark.parametrize("name", ["batch", "direct"])
MS = 10**6  # nanoseconds


class Queue:
    """A scheduler whose model is busy until ``go``, and the requests that wait for it."""

    def __init__(self, name: str = "batch", instances: int = 1, **batching: Any) -> None:
        self.clock = FakeClock(10**9)
        self.engine = Engine(ToyRuntime(), clock=self.clock, threads=4)
        self.engine.runtime.may_run.clear()
        made = plugins.load("schedulers", name)
        self.scheduler: Scheduler = made(self.engine.execution, Batching(**batching), instances)
        if isinstance(self.scheduler, Batch):  # a clock that stands still would wait for ever
            self.scheduler._is_company_welcome = False
        self.replies: list[CountingReply] = []

    async def busy(self, rows: int = 1) -> None:
        """Give the model something to do."""
        self.scheduler(self.engine.ask(*[[0, 0]] * rows), CountingReply())
        await until(lambda: self.scheduler.statistics() == QueueStatistics(0, 0, 1))

    def ask(self, value: float, *, rows: int = 1, **fields: Any) -> CountingReply:
        """A request of rows that are all *value*, with these fields."""
        request, reply = self.engine.ask(*[[value, value]] * rows), CountingReply()
        for field, given in fields.items():
            setattr(request, field, given)
        self.scheduler(request, reply)
        self.replies.append(reply)
        return reply

    async def go(self) -> list[list[float]]:
        """Let the model run; the values of each of its calls after the first, in order."""
        self.engine.runtime.may_run.set()
        await until(lambda: all(reply.answered for reply in self.replies))
        await until(lambda: self.scheduler.statistics() == QueueStatistics(0, 0, 0))
        assert self.engine.version._users == 0
        return [[float(row[0]) for row in call] for call in self.engine.runtime.calls[1:]]

    def pass_ms(self, ms: float) -> None:
        """Let so much time pass, as the model's clock has it."""
        self.clock.now += int(ms * MS)


def error_of(reply: CountingReply) -> type[Exception]:
    """What kind of refusal it was."""
    (error,) = reply.errors
    return type(error)


@BOTH
def test_priority_levels(name: str) -> None:
    """Requests of level 1 run before those of level 2, and those of one level as they came."""

    async def go() -> None:
        queue = Queue(name, max_batch_size=1, priority_levels=3)
        await queue.busy()
        for value, priority in enumerate((3, 1, 2, 1, 3, 2)):
            queue.ask(value, priority=priority)
        assert await queue.go() == [[1], [3], [2], [5], [0], [4]]

    asyncio.run(go())


def test_a_batch_is_filled_from_the_highest_level_down() -> None:
    """Levels are an order, and no walls: whoever fits runs with those before him."""

    async def go() -> None:
        queue = Queue(max_batch_size=3, priority_levels=2)
        await queue.busy()
        for value, priority in enumerate((2, 2, 1, 1)):
            queue.ask(value, priority=priority)
        assert await queue.go() == [[2, 3, 0], [1]]

    asyncio.run(go())


@pytest.mark.parametrize(("default", "level"), [(0, 2), (1, 1), (3, 3)])
def test_default_priority_level(default: int, level: int) -> None:
    """It is that of a request that names none, or one that there is not; 0 is the middle one."""
    batching = Batching(priority_levels=3, default_priority_level=default)
    assert [batching.level_of(priority) for priority in (0, 4, 1 << 63)] == [level] * 3
    assert [batching.level_of(priority) for priority in (1, 2, 3)] == [1, 2, 3]
    assert batching.default_level == level


def test_priority_means_nothing_without_levels() -> None:
    """As in Triton: all have the same."""

    async def go() -> None:
        queue = Queue(max_batch_size=1)
        await queue.busy()
        for value, priority in enumerate((3, 1, 2)):
            queue.ask(value, priority=priority)
        assert await queue.go() == [[0], [1], [2]]

    asyncio.run(go())


def test_preferred_batch_size() -> None:
    """A batch of one of these sizes runs at once, the largest that can be had; what is over waits
    for the delay."""

    async def go() -> None:
        queue = Queue(preferred_batch_size=(2, 4), max_queue_delay_microseconds=10_000)
        await queue.busy(rows=4)
        for value in range(7):
            queue.ask(value)
        queue.engine.runtime.may_run.set()
        await until(lambda: len(queue.engine.runtime.calls) == 3)
        assert queue.scheduler.statistics().waiting_requests == 1
        queue.pass_ms(10)
        assert await queue.go() == [[0, 1, 2, 3], [4, 5], [6]]

    asyncio.run(go())


def test_max_queue_delay_microseconds_and_levels() -> None:
    """The delay is that of the one who waits longest, of whichever level he is."""

    async def go() -> None:
        queue = Queue(max_queue_delay_microseconds=10_000, priority_levels=2)
        queue.engine.runtime.may_run.set()
        queue.ask(0, priority=2)
        queue.pass_ms(6)
        queue.ask(1, priority=1)
        await until(lambda: queue.scheduler._alarm)
        assert not queue.engine.runtime.calls
        queue.pass_ms(4)
        await queue.go()
        assert [call[:, 0].tolist() for call in queue.engine.runtime.calls] == [[1, 0]]

    asyncio.run(go())


def test_a_full_batch_of_others_does_not_wait_with_the_oldest() -> None:
    """Who waits for company holds up nobody who has it."""

    async def go() -> None:
        queue = Queue(max_batch_size=2, max_queue_delay_microseconds=10_000)
        queue.engine.runtime.may_run.set()
        queue.ask(0)
        others = [queue.ask(value, outputs=[]) for value in (1, 2)]
        await until(lambda: all(other.answered for other in others))
        assert not queue.replies[0].answered
        queue.pass_ms(10)
        await queue.go()

    asyncio.run(go())


@BOTH
def test_default_timeout_microseconds_with_reject(name: str) -> None:
    """Who waited longer is refused when his time is over, though the model is busy still."""

    async def go() -> None:
        queue = Queue(name, queue=QueuePolicy(timeout_microseconds=5_000))
        await queue.busy()
        early = queue.ask(1)
        queue.pass_ms(3)
        later = queue.ask(2)
        queue.pass_ms(2)
        await until(lambda: early.answered)
        assert error_of(early) is DeadlineExceeded
        assert str(early.errors[0]) == "the request's deadline passed while it waited"
        assert not later.answered
        assert queue.scheduler.statistics() == QueueStatistics(1, 1, 1)
        assert await queue.go() == [[2]]
        assert queue.engine.execution.counters.read().fail.count == 1

    asyncio.run(go())


@BOTH
def test_timeout_action_delay(name: str) -> None:
    """Who waited longer runs after the others of his level, and before the next level."""

    async def go() -> None:
        delay = QueuePolicy(timeout_microseconds=5_000, timeout_action="delay")
        queue = Queue(name, max_batch_size=1, priority_levels=2, queue=delay)
        await queue.busy()
        queue.ask(0, priority=2)
        queue.ask(1, priority=1)
        queue.pass_ms(5)
        await until(lambda: queue.scheduler.queue.first().rank == rank_of(1, LAST))
        queue.ask(2, priority=1)
        queue.ask(3, priority=2)
        assert await queue.go() == [[2], [1], [3], [0]]
        assert all(reply.ends for reply in queue.replies)

    asyncio.run(go())


def test_a_deadline_is_kept_by_one_who_is_delayed() -> None:
    """It is not a matter of the queue: an answer after it is of no use."""

    async def go() -> None:
        delay = QueuePolicy(timeout_microseconds=5_000, timeout_action="delay")
        queue = Queue(max_batch_size=1, queue=delay)
        await queue.busy()
        queue.ask(1)
        late = queue.ask(2, deadline=1.02)
        queue.pass_ms(5)
        await until(lambda: queue.scheduler.queue.first().rank == rank_of(0, LAST))
        queue.pass_ms(15)
        await until(lambda: late.answered)
        assert error_of(late) is DeadlineExceeded
        assert await queue.go() == [[1]]

    asyncio.run(go())


@BOTH
def test_a_timeout_is_prompt_for_one_whose_call_is_in_hand(name: str) -> None:
    """A call that was handed to a thread ahead of time has not begun: who is in it is refused when
    his time is over, and the model is not run for him; nor does a failure tell him twice."""

    async def go() -> None:
        queue = Queue(name, max_batch_size=1, queue=QueuePolicy(timeout_microseconds=5_000))
        await queue.busy()
        asked = [queue.ask(value) for value in (1, -2)]
        await until(lambda: queue.scheduler.running == 2)
        assert queue.scheduler.statistics() == QueueStatistics(2, 2, 1)
        queue.pass_ms(5)
        await until(lambda: all(reply.answered for reply in asked))
        assert [error_of(reply) for reply in asked] == [DeadlineExceeded] * 2
        assert await queue.go() == []
        assert not queue.scheduler.queue._timed

    asyncio.run(go())


@pytest.mark.parametrize(
    ("default", "own", "allowed", "waits"),
    [(5000, 2000, True, 2), (5000, 9000, True, 5), (5000, 2000, False, 5), (0, 3000, True, 3)],
)
def test_allow_timeout_override(default: int, own: int, allowed: bool, waits: int) -> None:
    """A request's own timeout shortens the default, and never lengthens it; unlike in Triton it
    counts, too, where there is no default."""

    async def go() -> None:
        policy = QueuePolicy(default, allow_timeout_override=allowed)
        queue = Queue(queue=policy)
        await queue.busy()
        asked = queue.ask(1, timeout_us=own)
        queue.pass_ms(waits - 0.1)
        for _ in range(3):
            await asyncio.sleep(0.001)
        assert not asked.answered
        queue.pass_ms(0.1)
        await until(lambda: asked.answered)
        assert error_of(asked) is DeadlineExceeded
        await queue.go()

    asyncio.run(go())


def test_a_timeout_that_may_not_be_overridden_is_for_ever() -> None:
    """With no default and no override a request's own timeout says nothing."""

    async def go() -> None:
        queue = Queue(queue=QueuePolicy(allow_timeout_override=False))
        await queue.busy()
        queue.ask(1, timeout_us=1)
        queue.pass_ms(10**6)
        assert await queue.go() == [[1]]

    asyncio.run(go())


@BOTH
def test_max_queue_size_is_each_levels(name: str) -> None:
    """A level that is full refuses at once, and others do not."""

    async def go() -> None:
        queue = Queue(
            name, max_batch_size=1, priority_levels=2, queue=QueuePolicy(max_queue_size=2)
        )
        await queue.busy()
        accepted = [queue.ask(value, priority=2) for value in (1, 2)]
        refused, first = queue.ask(3, priority=2), queue.ask(4, priority=1)
        assert error_of(refused) is QueueFull
        assert not any(reply.answered for reply in (*accepted, first))
        assert await queue.go() == [[4], [1], [2]]

    asyncio.run(go())


def test_max_queue_size_of_0_is_no_bound() -> None:
    """As in Triton."""

    async def go() -> None:
        queue = Queue(max_batch_size=5000, queue=QueuePolicy(max_queue_size=0))
        await queue.busy()
        for value in range(3000):
            queue.ask(value)
        (call,) = await queue.go()
        assert call == list(range(3000))

    asyncio.run(go())


def test_who_left_makes_room_in_a_full_queue() -> None:
    """Callers who went away are let go of before anybody is refused, but not at each refusal."""

    async def go() -> None:
        queue = Queue(max_batch_size=1, queue=QueuePolicy(max_queue_size=2))
        await queue.busy()
        gone, stays = queue.ask(1), queue.ask(2)
        gone.cancelled = True
        assert not queue.ask(3).answered
        assert error_of(gone) is Cancelled
        stays.cancelled = True
        assert error_of(queue.ask(4)) is QueueFull
        queue.pass_ms(10)
        assert not queue.ask(5).answered
        assert await queue.go() == [[3], [5]]

    asyncio.run(go())


def test_priority_queue_policy() -> None:
    """A level may wait by rules of its own."""

    async def go() -> None:
        policies = {2: QueuePolicy(timeout_microseconds=5_000, max_queue_size=1)}
        queue = Queue(priority_levels=2, level_queues=policies)
        await queue.busy()
        first, second = queue.ask(1, priority=1), queue.ask(2, priority=2)
        assert error_of(queue.ask(3, priority=2)) is QueueFull
        queue.pass_ms(5)
        await until(lambda: second.answered)
        assert error_of(second) is DeadlineExceeded
        assert not first.answered
        assert await queue.go() == [[1]]

    asyncio.run(go())


@BOTH
def test_preserve_ordering(name: str) -> None:
    """With several instances an answer waits for those of the requests before it; one that failed
    or was refused in the queue takes its turn like others."""

    class Slow(ToyRuntime):
        def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
            if inputs["X"][0, 0] == 1:
                return super().run(inputs, outputs)
            return dict.fromkeys(outputs, inputs["X"])

    async def go() -> None:
        engine = Engine(Slow(), threads=4)
        engine.runtime.may_run.clear()
        ordered = Batching(max_batch_size=1, preserve_ordering=True)
        each: Scheduler = plugins.load("schedulers", name)(engine.execution, ordered, 2)
        replies = [CountingReply() for _ in range(5)]
        for value, reply in enumerate(replies, 1):
            each(engine.ask([value, value]), reply)
        replies[3].cancelled = True
        await until(lambda: each.statistics() == QueueStatistics(0, 0, 1))
        assert not any(reply.answered for reply in replies)
        engine.runtime.may_run.set()
        await until(lambda: replies[-1].answered)
        assert [values_of(reply)[0][0] for reply in (*replies[:3], replies[4])] == [2, 2, 3, 5]
        assert error_of(replies[3]) is Cancelled
        assert engine.version._users == 0

    asyncio.run(go())


def test_preserve_ordering_and_quick_requests() -> None:
    """A quick request runs at once only while none before it is unanswered."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), cost=Cost(150.0, 10.0), clock=monotonic_ns)
        engine.runtime.may_run.clear()
        ordered = Batching(preserve_ordering=True)
        each: Scheduler = plugins.load("schedulers", "batch")(engine.execution, ordered, 2)
        slow, quick, last = CountingReply(), CountingReply(), CountingReply()
        each(engine.ask(*[[1, 1]] * 9), slow)
        each(engine.ask([2, 2]), quick)
        assert not quick.answered
        engine.runtime.may_run.set()
        await until(lambda: quick.answered)
        assert slow.answered
        each(engine.ask([3, 3]), last)
        assert values_of(last) == [[6, 6]]

    asyncio.run(go())


def test_preserve_ordering_of_streams() -> None:
    """Their parts do not mix: one waits until the stream before it has ended."""

    async def go() -> None:
        engine = Engine(StreamingRuntime(), threads=4)
        ordered = Batching(preserve_ordering=True)
        each: Scheduler = plugins.load("schedulers", "direct")(engine.execution, ordered, 2)
        diary: list[float] = []

        class Reply(CountingReply):
            def part(self, response: Any) -> None:
                super().part(response)
                diary.append(float(response.outputs["Y"][0, 0]))

        replies = [Reply() for _ in range(3)]
        for at, reply in enumerate(replies, 1):
            each(engine.ask([5, 100 * at]), reply)
        await until(lambda: all(reply.answered for reply in replies))
        assert [reply.parts for reply in replies] == [5, 5, 5]
        assert [part.outputs["Y"][0, 1] for r in replies for part in r.responses] == [
            100 * at + part for at in (1, 2, 3) for part in range(5)
        ]
        assert diary == [5, 6, 7, 8, 9] * 3

    asyncio.run(go())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"max_batch_size": 4, "preferred_batch_size": (2, 8)},
            "got 2, 8, expected sizes from 1",
        ),
        ({"preferred_batch_size": (0,)}, "preferred_batch_size"),
        ({"default_priority_level": 1}, "at most priority_levels, which is 0"),
        ({"priority_levels": 2, "default_priority_level": 3}, "got 3, expected at most"),
        ({"priority_levels": 2, "level_queues": {3: QueuePolicy()}}, "got 3, expected from 1 to"),
        ({"preserve_ordering": True, "priority_levels": 2}, "at most one level of priority"),
        (
            {"preserve_ordering": True, "queue": QueuePolicy(timeout_action="delay")},
            "timeout_action reject",
        ),
    ],
)
def test_settings_that_do_not_go_together(fields: dict[str, Any], text: str) -> None:
    """What Triton refuses to load is refused, with what was got and expected."""
    with pytest.raises(ConfigError, match=text):
        Batching(**fields)


def test_a_delay_of_a_higher_level_holds_up_no_other_group() -> None:
    """Whose delay is over runs while a free model waits for the company of others."""

    async def go() -> None:
        queue = Queue(max_queue_delay_microseconds=10_000, priority_levels=2)
        queue.engine.runtime.may_run.set()
        low = queue.ask(0, priority=2, outputs=[])
        queue.pass_ms(6)
        high = queue.ask(1, priority=1)
        queue.pass_ms(4)
        await until(lambda: low.answered)
        assert not high.answered
        queue.pass_ms(6)
        await queue.go()

    asyncio.run(go())


@pytest.mark.parametrize("fields", [{"deadline": 1.005}, {"timeout_us": 5_000}])
def test_nobodys_time_runs_out_for_company(fields: dict[str, Any]) -> None:
    """Who may not wait as long as the delay lasts runs at once, with all that wait."""

    async def go() -> None:
        queue = Queue(max_queue_delay_microseconds=10_000)
        queue.engine.runtime.may_run.set()
        patient = queue.ask(0)
        await until(lambda: queue.scheduler._alarm)
        queue.ask(1, **fields)
        await until(lambda: patient.answered)
        await queue.go()
        assert [call[:, 0].tolist() for call in queue.engine.runtime.calls] == [[0, 1]]
        assert all(reply.ends for reply in queue.replies)

    asyncio.run(go())


def test_a_request_that_has_begun_goes_before_its_own_level_only() -> None:
    """One that is too large for a call holds up none of a higher level, however many calls it
    takes."""

    async def go() -> None:
        queue = Queue(max_batch_size=2, priority_levels=2)
        queue.ask(2, rows=6, priority=2)
        await until(lambda: queue.scheduler.statistics() == QueueStatistics(1, 4, 1))
        queue.ask(3, rows=2, priority=2)
        queue.ask(1, rows=2, priority=1)
        assert await queue.go() == [[1, 1], [2, 2], [2, 2], [3, 3]]

    asyncio.run(go())


def test_a_stream_whose_caller_leaves_before_its_turn_lets_the_model_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though the one before it is read as slowly as it likes."""
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.01)

    async def go() -> None:
        engine = Engine(StreamingRuntime(), threads=4)
        ordered = Batching(preserve_ordering=True)
        each: Scheduler = plugins.load("schedulers", "direct")(engine.execution, ordered, 2)
        callbacks: list[Callable[[], None]] = []

        class Slow(CountingReply):
            def on_writable(self, callback: Callable[[], None]) -> None:
                callbacks.append(callback)

        slow, leaves, last = Slow(), CountingReply(), CountingReply()
        slow.writable = False
        each(engine.ask([1, 1]), slow)
        await until(lambda: callbacks)
        each(engine.ask([2, 2]), leaves)
        await until(lambda: each._order and each._order._line[-1]._held)
        leaves.cancelled = True
        each(engine.ask([3, 3]), last)
        await until(lambda: engine.runtime.made == 3)
        for callback in callbacks:
            callback()
        await until(lambda: last.answered)
        assert (slow.parts, leaves.parts, last.parts) == (1, 1, 3)

    asyncio.run(go())


def test_a_long_patience_keeps_nothing_of_a_version_that_is_gone() -> None:
    """The alarm that it set rings within a minute, and is set no more once the answer is there."""

    async def go() -> None:
        queue = Queue()
        queue.engine.runtime.may_run.set()
        queue.ask(1, timeout_us=10**15)
        await queue.go()
        alarm = queue.scheduler._alarm
        assert alarm
        assert alarm.when() - asyncio.get_running_loop().time() < 61
        alarm.cancel()
        queue.scheduler._ring()
        assert queue.scheduler._alarm is None

    asyncio.run(go())
