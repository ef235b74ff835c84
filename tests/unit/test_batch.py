"""The batch scheduler: what waits together runs together, and a fault stays where it belongs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.engine.schedulers.base import QueueStatistics
from inferd.engine.schedulers.batch import Batch, group_of
from inferd.errors import Cancelled, DeadlineExceeded, RunFailed
from inferd.spec import Batching
from tests.unit.toys import CountingReply, Engine, FakeClock, ToyRuntime, until, values_of


def _ask(batch: Batch, engine: Engine[Any], *rows: Sequence[float], **more: Any) -> CountingReply:
    reply = CountingReply()
    batch(engine.ask(*rows, **more), reply)
    return reply


async def _answers(replies: list[CountingReply]) -> None:
    await until(lambda: all(reply.answered for reply in replies))


def test_requests_of_one_turn_are_one_call() -> None:
    """What came in one turn of the loop runs as one, in order, and each gets its own rows."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(), 1)
        replies = [_ask(batch, engine, [at, 0], [at, 1]) for at in range(5)]
        await _answers(replies)
        assert [len(call) for call in engine.runtime.calls] == [10]
        for at, reply in enumerate(replies):
            assert values_of(reply) == [[2 * at, 0], [2 * at, 2]]
        counters = engine.execution.counters.read()
        assert (counters.requests, counters.rows, counters.executions) == (5, 10, 1)

    asyncio.run(go())


def test_what_came_while_the_model_was_busy_is_one_call() -> None:
    """The queue behind a call leaves together, up to the limit."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        engine.runtime.may_run.clear()
        batch = Batch(engine.execution, Batching(max_batch_size=3), 1)
        first = _ask(batch, engine, [0, 0])
        await until(lambda: batch.statistics() == QueueStatistics(0, 0, 1))
        replies = [_ask(batch, engine, [at, at]) for at in range(7)]
        engine.runtime.may_run.set()
        await _answers([first, *replies])
        assert [len(call) for call in engine.runtime.calls] == [1, 3, 3, 1]
        assert [values_of(reply) for reply in replies] == [[[2 * at] * 2] for at in range(7)]

    asyncio.run(go())


def test_one_member_that_makes_the_model_fail_hurts_nobody_else() -> None:
    """A batch that failed is run again one by one: only who is to blame is told of a failure."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(), 1)
        replies = [_ask(batch, engine, [value, value]) for value in (1, -1, 2)]
        await _answers(replies)
        assert [len(call) for call in engine.runtime.calls] == [3, 1, 1, 1]
        assert [type(error) for error in replies[1].errors] == [RunFailed]
        assert [values_of(replies[at]) for at in (0, 2)] == [[[2, 2]], [[4, 4]]]
        counters = engine.execution.counters.read()
        assert (counters.requests, counters.fail.count) == (3, 1)
        assert engine.version._users == 0
        assert batch.statistics() == QueueStatistics(0, 0, 0)

    asyncio.run(go())


def test_a_model_that_loses_rows_fails_joined_and_answers_alone() -> None:
    """Where an output has not a row for each row sent, nobody gets another's."""

    class Merging(ToyRuntime):
        def run(self, inputs: Any, outputs: Any) -> Any:
            return {"Y": super().run(inputs, outputs)["Y"][:1]}

    async def go() -> None:
        engine = Engine(Merging())
        batch = Batch(engine.execution, Batching(), 1)
        replies = [_ask(batch, engine, [at, at]) for at in range(3)]
        await _answers(replies)
        assert [values_of(reply) for reply in replies] == [[[2 * at] * 2] for at in range(3)]

    asyncio.run(go())


def test_a_request_alone_in_its_batch_must_have_all_its_rows_answered() -> None:
    """A single request's outputs are held against its rows as well."""

    class Merging(ToyRuntime):
        def run(self, inputs: Any, outputs: Any) -> Any:
            return {"Y": super().run(inputs, outputs)["Y"][:1]}

    async def go() -> None:
        engine = Engine(Merging())
        reply = _ask(Batch(engine.execution, Batching(), 1), engine, [1, 1], [2, 2])
        await _answers([reply])
        assert "wrong number of rows" in str(reply.errors[0])

    asyncio.run(go())


def test_requests_that_want_other_outputs_are_other_calls() -> None:
    """Only requests of equal inner shapes and wanted outputs are joined."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(), 1)
        plain, other = engine.ask([1, 1]), engine.ask([2, 2])
        other.outputs = []
        wide = engine.ask([3, 3])
        wide.inputs = {"X": np.zeros((1, 5), np.float32)}
        assert len({group_of(plain), group_of(other), group_of(wide)}) == 3
        assert group_of(plain) == group_of(engine.ask([7, 8], [9, 10]))
        replies = [CountingReply() for _ in range(3)]
        for request, reply in zip((plain, other, wide), replies, strict=True):
            batch(request, reply)
        await _answers(replies)
        assert [call.shape for call in engine.runtime.calls] == [(1, 2), (1, 2), (1, 5)]
        assert replies[1].responses[0].outputs == {}

    asyncio.run(go())


def test_a_delay_is_kept_and_not_exceeded() -> None:
    """A batch with room waits for company until its oldest has waited long enough."""

    async def go() -> None:
        clock = FakeClock(now=10**9)
        engine = Engine(ToyRuntime(), clock=clock)
        batch = Batch(engine.execution, Batching(4, max_queue_delay_microseconds=1000), 1)
        first = _ask(batch, engine, [1, 1])
        await until(lambda: batch._alarm is not None)
        assert batch.statistics() == QueueStatistics(1, 1, 0)
        clock.now += 400_000
        second = _ask(batch, engine, [2, 2])
        for _ in range(5):
            await asyncio.sleep(0)
        assert not engine.runtime.calls
        clock.now += 600_000
        await _answers([first, second])
        assert [len(call) for call in engine.runtime.calls] == [2]
        assert engine.execution.counters.read().queue.ns == 1_000_000 + 600_000

    asyncio.run(go())


def test_a_full_batch_waits_for_nobody() -> None:
    """With the limit reached, the delay is cut short."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(2, max_queue_delay_microseconds=10**9), 1)
        replies = [_ask(batch, engine, [at, at]) for at in range(2)]
        await _answers(replies)
        assert [len(call) for call in engine.runtime.calls] == [2]

    asyncio.run(go())


def test_a_late_request_is_dropped_before_its_batch_is_cut() -> None:
    """Its place in the batch is left to others."""

    async def go() -> None:
        clock = FakeClock(now=5 * 10**9)
        engine = Engine(ToyRuntime(), clock=clock)
        batch = Batch(engine.execution, Batching(2), 1)
        late = _ask(batch, engine, [1, 1], deadline=4.0)
        replies = [_ask(batch, engine, [at, at]) for at in range(2)]
        await _answers([late, *replies])
        assert [type(error) for error in late.errors] == [DeadlineExceeded]
        assert [len(call) for call in engine.runtime.calls] == [2]

    asyncio.run(go())


def test_who_is_dropped_from_the_middle_of_the_queue_leaves_the_others() -> None:
    """Requests are told apart by who they are, not by what they hold."""

    async def go() -> None:
        clock = FakeClock(now=5 * 10**9)
        engine = Engine(ToyRuntime(), clock=clock)
        batch = Batch(engine.execution, Batching(), 1)
        rows = [[1, 1], [1, 1]]
        first = _ask(batch, engine, *rows)
        gone = _ask(batch, engine, *rows)
        gone.cancelled = True
        last = _ask(batch, engine, *rows)
        await _answers([first, gone, last])
        assert [type(error) for error in gone.errors] == [Cancelled]
        assert values_of(first) == values_of(last) == [[2, 2], [2, 2]]

    asyncio.run(go())
