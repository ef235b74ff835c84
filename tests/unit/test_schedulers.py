"""The built-in schedulers, on a real loop and real threads, with a runtime that does as told."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from inferd import plugins
from inferd.clock import monotonic_ns
from inferd.engine.cost import Cost
from inferd.engine.schedulers.base import QueueStatistics, Scheduler
from inferd.errors import (
    BadArtifact,
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    InferdError,
    QueueFull,
    RunFailed,
)
from inferd.models.state import State
from inferd.spec import Batching, QueuePolicy
from inferd.tensors import Array
from tests.unit.toys import (
    CountingReply,
    Engine,
    FakeClock,
    SerialRuntime,
    StreamingRuntime,
    ToyRuntime,
    until,
    values_of,
)

QUICK = Cost(1.0, 1.0)
ORDINARY = Batching()
IDLE = QueueStatistics(0, 0, 0)
BOTH = pytest.mark.parametrize("name", ["batch", "direct"])


def scheduler(
    name: str, engine: Engine[Any], batching: Batching = ORDINARY, instances: int = 1
) -> Scheduler:
    made: Scheduler = plugins.load("schedulers", name)(engine.execution, batching, instances)
    return made


def ask(each: Scheduler, engine: Engine[Any], *rows: Sequence[float], **more: Any) -> CountingReply:
    """One request, given to the scheduler."""
    reply = CountingReply()
    each(engine.ask(*rows, **more), reply)
    return reply


@BOTH
def test_a_quick_request_is_answered_before_the_call_returns(name: str) -> None:
    """No task and no thread: the answer is there at once, and the request is completed."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), cost=QUICK)
        reply = ask(scheduler(name, engine), engine, [1, 2])
        assert values_of(reply) == [[2, 4]]
        assert (reply.parts, reply.ends) == (1, 1)
        counters = engine.execution.counters.read()
        assert (counters.requests, counters.rows, counters.executions) == (1, 1, 1)
        assert engine.version._users == 0

    asyncio.run(go())


@pytest.mark.parametrize(
    ("name", "kind"),
    [("batch", ToyRuntime), ("direct", ToyRuntime), ("direct", StreamingRuntime)],
)
def test_a_request_of_no_rows_does_not_run_a_slow_model_on_the_loop(
    name: str, kind: type[ToyRuntime]
) -> None:
    """A model that is not known to be quick, or that streams, runs in a thread for any rows."""

    async def go() -> None:
        engine = Engine(kind())
        reply = ask(scheduler(name, engine), engine)
        await until(lambda: reply.answered)
        assert not reply.errors
        assert engine.runtime.seen_in
        assert threading.get_ident() not in engine.runtime.seen_in

    asyncio.run(go())


@BOTH
@pytest.mark.parametrize("limit", [0, 1])
def test_a_failing_model_is_told_without_its_inside(name: str, limit: int) -> None:
    """At once or in a thread: the caller is told that it failed, and nothing else."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), cost=Cost(1.0 if limit else 1e9, 0.0))
        reply = ask(scheduler(name, engine), engine, [-1, 0])
        await until(lambda: reply.answered)
        (error,) = reply.errors
        assert isinstance(error, RunFailed)
        assert str(error) == "model 'toy' failed on this request. The server's log says why."
        counters = engine.execution.counters.read()
        assert (counters.requests, counters.fail.count) == (1, 1)
        assert engine.version._users == 0

    asyncio.run(go())


@BOTH
def test_our_own_error_is_told_as_it_is(name: str) -> None:
    """An InferdError that a runtime raises reaches the caller."""

    class Refusing(ToyRuntime):
        def run(self, *_: Any) -> Any:
            raise QueueFull("the device is busy")

    async def go() -> None:
        engine = Engine(Refusing())
        reply = ask(scheduler(name, engine), engine, [1, 1])
        await until(lambda: reply.answered)
        assert [str(error) for error in reply.errors] == ["the device is busy"]

    asyncio.run(go())


@BOTH
@pytest.mark.parametrize("kind", [BadArtifact, ConfigError])
def test_what_only_the_operator_may_read_is_not_told(name: str, kind: type[InferdError]) -> None:
    """A model that opens another one may fail with an error of ours that names a path."""

    class Opening(ToyRuntime):
        def run(self, *_: Any) -> Any:
            raise kind("/srv/models/secret.onnx cannot be loaded")

    async def go() -> None:
        engine = Engine(Opening())
        reply = ask(scheduler(name, engine), engine, [1, 1])
        await until(lambda: reply.answered)
        (error,) = reply.errors
        assert str(error) == "model 'toy' failed on this request. The server's log says why."

    asyncio.run(go())


@BOTH
def test_a_full_queue_refuses(name: str) -> None:
    """Beyond the limit a request is refused at once; those that wait are answered."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        engine.runtime.may_run.clear()
        each = scheduler(
            name, engine, Batching(max_batch_size=1, queue=QueuePolicy(max_queue_size=2))
        )
        running = ask(each, engine, [0, 0])
        await until(lambda: each.statistics() == QueueStatistics(0, 0, 1))
        waiting = [ask(each, engine, [at, at], [at, at]) for at in (1, 2)]
        assert each.statistics() == QueueStatistics(2, 4, 1)
        refused = ask(each, engine, [3, 3])
        (error,) = refused.errors
        assert isinstance(error, QueueFull)
        assert str(error) == ("too many requests wait for this model: got 2. Try again later.")
        engine.runtime.may_run.set()
        await until(lambda: all(reply.answered for reply in [running, *waiting]))
        assert [values_of(reply)[0] for reply in waiting] == [[2, 2], [4, 4]]
        assert each.statistics() == IDLE

    asyncio.run(go())


@BOTH
def test_who_went_away_or_ran_out_of_time_is_not_run(name: str) -> None:
    """A request that is cancelled or late when its turn comes costs no call of the model."""

    async def go() -> None:
        clock = FakeClock()
        engine = Engine(ToyRuntime(), clock=clock)
        engine.runtime.may_run.clear()
        each = scheduler(name, engine, Batching(max_batch_size=1))
        first = ask(each, engine, [0, 0])
        await until(lambda: each.statistics().running)
        gone, late = ask(each, engine, [1, 1]), ask(each, engine, [2, 2], deadline=1.0)
        last = ask(each, engine, [3, 3], deadline=9.0)
        gone.cancelled = True
        clock.now = 2 * 10**9
        engine.runtime.may_run.set()
        await until(lambda: last.answered)
        assert [type(e) for r in (gone, late) for e in r.errors] == [Cancelled, DeadlineExceeded]
        assert values_of(first) == [[0, 0]]
        assert values_of(last) == [[6, 6]]
        assert len(engine.runtime.calls) == 2
        assert engine.execution.counters.read().fail.count == 2
        assert engine.version._users == 0

    asyncio.run(go())


@BOTH
def test_a_serial_model_is_never_entered_twice(name: str) -> None:
    """While one call is in a thread, a quick request waits for it."""

    async def go() -> None:
        engine = Engine(SerialRuntime(), cost=Cost(150.0, 10.0), clock=monotonic_ns)
        engine.runtime.may_run.clear()
        each = scheduler(name, engine)
        slow = ask(each, engine, *[[at, at] for at in range(9)])
        await until(lambda: each.statistics().running)
        quick = ask(each, engine, [1, 1])
        assert not quick.answered
        engine.runtime.may_run.set()
        await until(lambda: quick.answered)
        assert slow.answered
        assert values_of(quick) == [[2, 2]]
        assert values_of(ask(each, engine, [5, 5])) == [[10, 10]]

    asyncio.run(go())


@BOTH
def test_no_more_calls_than_instances_are_under_way(name: str) -> None:
    """Two instances run two calls side by side, and the third waits."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), threads=4)
        engine.runtime.may_run.clear()
        each = scheduler(name, engine, Batching(max_batch_size=1), instances=2)
        replies = [ask(each, engine, [at, at]) for at in range(3)]
        await until(lambda: each.statistics() == QueueStatistics(1, 1, 2))
        engine.runtime.may_run.set()
        await until(lambda: all(reply.answered for reply in replies))
        assert each.statistics() == IDLE

    asyncio.run(go())


@BOTH
def test_a_version_that_is_retired_closes_after_its_last_answer(name: str) -> None:
    """Who waits when a version is retired is still answered by it."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        engine.runtime.may_run.clear()
        each = scheduler(name, engine, Batching(max_batch_size=1))
        replies = [ask(each, engine, [at, at]) for at in range(2)]
        engine.version.move(State.DRAINING)
        engine.version.close_when_unused()
        assert engine.runtime.closed == 0
        engine.runtime.may_run.set()
        await until(lambda: all(reply.answered for reply in replies))
        assert [values_of(reply) for reply in replies] == [[[0, 0]], [[2, 2]]]
        assert engine.runtime.closed == 1

    asyncio.run(go())


@BOTH
def test_a_model_that_exits_has_failed(name: str) -> None:
    """Who asked is told, the others are answered, and the server goes on."""

    class Exiting(ToyRuntime):
        def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
            if (inputs["X"] == 7).any():
                raise SystemExit(3)
            return super().run(inputs, outputs)

    async def go() -> None:
        engine = Engine(Exiting())
        each = plugins.load("schedulers", name)(engine.execution, Batching(), 1)
        replies = [CountingReply() for _ in range(3)]
        for value, reply in zip((1, 7, 2), replies, strict=True):
            each(engine.ask([value, value]), reply)
        await until(lambda: all(reply.answered for reply in replies))
        assert [type(error) for error in replies[1].errors] == [RunFailed]
        assert [values_of(replies[at]) for at in (0, 2)] == [[[2, 2]], [[4, 4]]]
        assert engine.version._users == 0

    asyncio.run(go())
