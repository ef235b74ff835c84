"""The batch scheduler: what waits together runs together, and a fault stays where it belongs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from inferd.clock import monotonic_ns
from inferd.engine.cost import Cost
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


def test_a_batch_is_no_larger_than_its_deadlines_let_it_be() -> None:
    """It ends where the call would take too long for one in it; who would be late alone is not
    run."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(), 1)
        rooms = {7.0: 3.0, 8.0: 0.0, 9.0: 99.0}
        batch.admission.room = lambda now, rows, whole, deadline: rooms[deadline / 1e9]  # type: ignore[method-assign]
        replies = [_ask(batch, engine, [at, at], deadline=at) for at in (9.0, 7.0, 8.0, 9.0, 9.0)]
        await _answers(replies)
        assert [type(error) for error in replies[2].errors] == [DeadlineExceeded]
        assert [call[:, 0].tolist() for call in engine.runtime.calls] == [[9, 7, 9], [9]]

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


def test_a_quick_models_large_request_runs_in_pieces_as_large_as_what_it_runs_at_once() -> None:
    """One row more than is run on the spot costs one call more, and not a hundred."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), cost=Cost(0.0, 0.2))  # 1,000 rows in 200 us
        batch = Batch(engine.execution, Batching(4), 1)
        reply = _ask(batch, engine, *[[at, 0] for at in range(1500)])
        await _answers([reply])
        assert [len(call) for call in engine.runtime.calls] == [1000, 500]
        assert values_of(reply) == [[2 * at, 0] for at in range(1500)]

    asyncio.run(go())


def test_a_request_that_is_too_large_runs_as_several_calls() -> None:
    """Its answer is whole and in order; the last part has room for others, who do not wait for
    it."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(4), 1)
        small = _ask(batch, engine, [9, 9])
        large = _ask(batch, engine, *[[at, 0] for at in range(9)])
        after = _ask(batch, engine, [8, 8])
        await _answers([small, large, after])
        assert [call[:, 0].tolist() for call in engine.runtime.calls] == [
            [9, 0, 1, 2],
            [3, 4, 5, 6],
            [7, 8, 8],
        ]
        assert values_of(large) == [[2 * at, 0] for at in range(9)]
        assert values_of(small) == [[18, 18]]
        assert values_of(after) == [[16, 16]]
        counters = engine.execution.counters.read()
        assert (counters.requests, counters.rows, counters.executions) == (3, 11, 3)
        assert counters.success.count == 3
        assert batch.statistics() == QueueStatistics(0, 0, 0)

    asyncio.run(go())


def test_parts_of_one_request_run_side_by_side() -> None:
    """Each instance takes one."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), threads=4)
        engine.runtime.may_run.clear()
        batch = Batch(engine.execution, Batching(4), 2)
        large = _ask(batch, engine, *[[at, at] for at in range(12)])
        await until(lambda: batch.statistics() == QueueStatistics(1, 4, 2))
        engine.runtime.may_run.set()
        await _answers([large])
        assert values_of(large) == [[2 * at, 2 * at] for at in range(12)]

    asyncio.run(go())


def test_a_part_that_fails_fails_its_request_once() -> None:
    """The rest of it is not run any more; those beside it are answered."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        batch = Batch(engine.execution, Batching(4), 1)
        large = _ask(batch, engine, *[[-1 if at == 5 else at, 0] for at in range(20)])
        other = _ask(batch, engine, [1, 1])
        await _answers([large, other])
        await until(lambda: batch.statistics() == QueueStatistics(0, 0, 0))
        assert [type(error) for error in large.errors] == [RunFailed]
        assert (large.parts, values_of(other)) == (0, [[2, 2]])
        calls = [len(call) for call in engine.runtime.calls]
        assert calls in ([4, 4, 1], [4, 4, 4, 1])  # the third was in hand, and may have begun
        assert engine.version._users == 0

    asyncio.run(go())


def test_the_rest_of_a_request_whose_caller_left_is_not_run() -> None:
    """What was begun is finished, and told to nobody."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        engine.runtime.may_run.clear()
        batch = Batch(engine.execution, Batching(4), 1)
        large = _ask(batch, engine, *[[at, 0] for at in range(20)])
        await until(lambda: batch.statistics().running)
        large.cancelled = True
        engine.runtime.may_run.set()
        await _answers([large])
        await until(lambda: batch.statistics() == QueueStatistics(0, 0, 0))
        assert [type(error) for error in large.errors] == [Cancelled]
        assert [len(call) for call in engine.runtime.calls] == [4]

    asyncio.run(go())


def test_parts_that_do_not_fit_together_are_the_models_fault() -> None:
    """Where calls of it answer in different shapes there is no whole answer."""

    class Widening(ToyRuntime):
        def run(self, inputs: Any, outputs: Any) -> Any:
            rows = len(inputs["X"])
            return {"Y": np.zeros((rows, rows))}

    async def go() -> None:
        engine = Engine(Widening())
        large = _ask(Batch(engine.execution, Batching(4), 1), engine, *[[1, 1]] * 6)
        await _answers([large])
        assert [type(error) for error in large.errors] == [RunFailed]
        assert engine.version._users == 0
        counters = engine.execution.counters.read()
        assert (counters.success.count, counters.fail.count, counters.executions) == (0, 1, 2)

    asyncio.run(go())


def test_callers_who_ask_again_at_once_run_together() -> None:
    """Two who each wait for their answer would otherwise take turns, and pay for two calls."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), cost=Cost(2e6, 0.0), clock=monotonic_ns)
        batch = Batch(engine.execution, Batching(), 1)
        replies: list[CountingReply] = []

        class Again(CountingReply):
            def end(self) -> None:
                super().end()
                if len(replies) < 20:
                    asyncio.get_running_loop().call_later(0.002, ask)

        def ask() -> None:
            replies.append(Again())
            batch(engine.ask([1, 1]), replies[-1])

        engine.runtime.may_run.clear()
        ask()
        await until(lambda: batch.running)
        ask()
        engine.runtime.may_run.set()
        await until(lambda: len(replies) >= 20 and all(reply.answered for reply in replies))
        sizes = [len(call) for call in engine.runtime.calls]
        assert sizes[0] == 1
        assert sizes[1:4] == [2, 2, 2]
        assert batch.statistics() == QueueStatistics(0, 0, 0)

    asyncio.run(go())


def test_nobody_waits_for_company_beyond_his_time() -> None:
    """Who has little time left starts at once; others wait for one who may come again."""

    async def go(deadline: float) -> bool:
        clock = FakeClock(10**9)
        engine = Engine(ToyRuntime(), cost=Cost(1e6, 0.0), clock=clock)
        engine.runtime.may_run.clear()
        batch = Batch(engine.execution, Batching(), 1)
        first = _ask(batch, engine, [1, 1])
        await until(lambda: batch.running)
        second = _ask(batch, engine, [2, 2], deadline=deadline)
        clock.now += 1_900_000_000
        engine.runtime.may_run.set()
        await _answers([first])
        waited = batch.running == 0 and not second.answered
        clock.now += 10**9
        await _answers([second])
        assert values_of(second) == [[4, 4]]
        return waited

    assert asyncio.run(go(float("inf")))
    assert not asyncio.run(go(5.0))


def test_a_call_that_was_handed_over_is_not_begun_for_nobody() -> None:
    """Who leaves while his batch waits behind another costs the model nothing."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), cost=Cost(1000.0, 1.0), clock=monotonic_ns, threads=4)
        engine.runtime.may_run.clear()
        batch = Batch(engine.execution, Batching(2), 1)
        replies = [_ask(batch, engine, [at, at]) for at in range(4)]
        await until(lambda: batch.running == 2)
        replies[2].cancelled = replies[3].cancelled = True
        engine.runtime.may_run.set()
        await _answers(replies)
        assert [type(error) for reply in replies for error in reply.errors] == [Cancelled] * 2
        assert len(engine.runtime.calls) == 1

    asyncio.run(go())


@pytest.mark.parametrize(("levels", "ahead"), [(0, 1), (1, 1), (2, 0)])
def test_a_full_call_is_in_hand_before_the_one_before_it_ends(levels: int, ahead: int) -> None:
    """A model goes from one full batch to the next, whatever the loop does meanwhile; not where
    one of a higher level may come, and could not overtake it any more."""

    async def go() -> None:
        engine = Engine(ToyRuntime(), threads=4)
        engine.runtime.may_run.clear()
        batch = Batch(engine.execution, Batching(2, priority_levels=levels), 1)
        replies = [_ask(batch, engine, [at, at]) for at in range(7)]
        await until(lambda: batch.running == 1 + ahead)
        assert batch.statistics() == QueueStatistics(5, 5, 1)
        assert len(engine.runtime.seen_in) == 1
        engine.runtime.may_run.set()
        await _answers(replies)
        assert [len(call) for call in engine.runtime.calls] == [2, 2, 2, 1]
        assert [values_of(reply) for reply in replies] == [[[2 * at] * 2] for at in range(7)]

    asyncio.run(go())
