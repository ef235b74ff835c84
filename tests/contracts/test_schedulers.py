"""Every scheduler keeps the contract of schedulers."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from inferd import plugins
from inferd.calls import InferRequest
from inferd.engine.cost import UNKNOWN, Cost
from inferd.engine.schedulers.base import QueueStatistics, Scheduler, check_scheduler
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
)

NAMES = plugins.names("schedulers")
IDLE = QueueStatistics(0, 0, 0)
COSTS = {"quick": Cost(1.0, 1.0), "slow": UNKNOWN}


def _check(
    name: str, runtime: ToyRuntime, cost: Cost, batching: Batching, instances: int
) -> list[CountingReply]:
    """Requests of every fate: none, one or more rows, late, cancelled, and failing."""
    replies: list[CountingReply] = []
    with asyncio.Runner() as runner:

        async def make() -> tuple[Engine[ToyRuntime], Scheduler]:
            engine = Engine(runtime, cost=cost, clock=FakeClock(10**9), threads=4)
            made = plugins.load("schedulers", name)(engine.execution, batching, instances)
            return engine, made

        engine, scheduler = runner.run(make())

        def ask() -> tuple[InferRequest, Any]:
            at, reply = len(replies), CountingReply()
            reply.cancelled = at % 7 == 6
            replies.append(reply)
            rows = [[-at if at % 6 == 5 else at, 0]] * (at % 4)
            request = engine.ask(*rows, deadline=0 if at % 5 == 4 else 1e9)
            request.handle.release()  # the check acquires it, as the engine does
            return request, reply

        def turn() -> None:
            runner.run(until(lambda: all(reply.answered for reply in replies)))
            runner.run(until(lambda: scheduler.statistics() == IDLE))

        check_scheduler(scheduler, ask, turn, 40)
        engine.home.close()
    assert engine.version._users == 0
    return replies


@pytest.mark.parametrize("kind", [ToyRuntime, SerialRuntime])
@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_request_is_answered_once(name: str, cost: str, kind: type[ToyRuntime]) -> None:
    """Whatever becomes of a request, and wherever it runs."""
    instances = 2 if kind.parallel else 1
    replies = _check(name, kind(), COSTS[cost], Batching(max_batch_size=8), instances)
    good = [at for at in range(40) if at % 7 != 6 and at % 5 != 4 and (at % 6 != 5 or not at % 4)]
    assert all(replies[at].ends for at in good)
    for at in good:
        assert replies[at].responses[0].outputs["Y"].tolist() == [[2 * at, 0]] * (at % 4)


@pytest.mark.parametrize("name", NAMES)
def test_a_short_queue_refuses_and_answers(name: str) -> None:
    """A refusal is an answer too."""
    replies = _check(name, ToyRuntime(), UNKNOWN, Batching(queue=QueuePolicy(max_queue_size=3)), 1)
    assert {type(e).__name__ for reply in replies for e in reply.errors} >= {"QueueFull"}


class Greeting(StreamingRuntime):
    """Has at least one part to give."""

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        yield dict.fromkeys(outputs, inputs["X"])
        yield from super().stream(inputs, outputs)


@pytest.mark.parametrize("name", ["direct"])
def test_a_stream_is_answered_once(name: str) -> None:
    """Schedulers that take streaming models end each stream once."""
    _check(name, Greeting(), UNKNOWN, Batching(), 2)
