"""A streaming model, through the Direct scheduler to an AwaitableReply: parts, end, failure,
back-pressure and cancelling."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from inferd.calls import InferResponse
from inferd.engine import streaming
from inferd.engine.awaitable import AwaitableReply
from inferd.engine.home import Home
from inferd.engine.schedulers.base import QueueStatistics
from inferd.engine.schedulers.direct import Direct
from inferd.engine.streaming import stream
from inferd.errors import Cancelled, InferdError, RunFailed
from inferd.spec import Batching
from tests.unit.toys import CountingReply, Engine, StreamingRuntime, until


def _start(engine: Engine[Any], count: int) -> tuple[Direct, AwaitableReply]:
    direct, reply = Direct(engine.execution, Batching(), 1), AwaitableReply()
    direct(engine.ask([count, 0]), reply)
    return direct, reply


def _first(response: Any) -> float:
    value: float = response.outputs["Y"][0, 0]
    return value


def test_every_part_comes_in_order_and_then_the_end() -> None:
    """A stream is its parts, and completes its request once."""

    async def go() -> None:
        engine = Engine(StreamingRuntime())
        direct, reply = _start(engine, 20)
        assert [_first(part) async for part in reply] == [20 + at for at in range(20)]
        await until(lambda: direct.statistics() == QueueStatistics(0, 0, 0))
        counters = engine.execution.counters.read()
        assert (counters.requests, counters.fail.count, counters.executions) == (1, 0, 1)
        assert engine.runtime.ended.is_set()
        assert engine.version._users == 0

    asyncio.run(go())


def test_a_stream_of_no_parts_only_ends() -> None:
    """Nothing is a right answer of a stream, and none of a unary call."""

    async def go() -> None:
        engine = Engine(StreamingRuntime())
        assert [part async for part in _start(engine, 0)[1]] == []
        with pytest.raises(Cancelled, match="without an answer"):
            await _start(engine, 0)[1].first()

    asyncio.run(go())


def test_a_failure_comes_after_the_parts_before_it() -> None:
    """What was made is delivered; then the error ends the stream."""

    async def go() -> None:
        engine = Engine(StreamingRuntime())
        _, reply = _start(engine, -3)
        reader = aiter(reply)
        assert [_first(await anext(reader)) for _ in range(3)] == [-3, -2, -1]
        with pytest.raises(RunFailed, match="failed on this request"):
            await anext(reader)
        assert engine.execution.counters.read().fail.count == 1
        assert engine.runtime.ended.is_set()

    asyncio.run(go())


def test_the_model_makes_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not read stops the model; one that reads on lets it go on."""
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.0001)

    async def go() -> None:
        engine = Engine(StreamingRuntime())
        _, reply = _start(engine, 100)
        await until(lambda: not reply.writable)
        reader = aiter(reply)
        for read in range(1, 20):
            await anext(reader)
            await until(lambda: not reply.writable)
            # Held unread, and at most one more, which the thread may have made already.
            assert engine.runtime.made <= read + AwaitableReply.ROOM + 1
        assert len([part async for part in reader]) == 81
        assert engine.runtime.made == 100

    asyncio.run(go())


def test_a_caller_that_leaves_ends_the_model() -> None:
    """The generator is closed between two parts, the thread is free, the request is completed."""

    async def go() -> None:
        engine = Engine(StreamingRuntime())
        direct, reply = _start(engine, 10**9)
        reader = aiter(reply)
        await anext(reader)
        await reader.aclose()  # type: ignore[attr-defined]
        assert reply.cancelled
        await until(engine.runtime.ended.is_set)
        await until(lambda: direct.statistics().running == 0)
        assert engine.runtime.made <= AwaitableReply.ROOM + 3
        assert engine.execution.counters.read().requests == 1
        assert engine.version._users == 0
        assert [_first(p) async for p in _start(engine, 1)[1]] == [1]

    asyncio.run(go())


def test_an_iterator_without_close_may_be_left_early() -> None:
    """A model's stream need not be a generator."""

    class Endless(StreamingRuntime):
        def stream(self, inputs: Any, outputs: Any) -> Any:
            return iter(lambda: {"Y": inputs["X"]}, None)

    async def go() -> None:
        engine = Engine(Endless())
        direct, reply = _start(engine, 1)
        await until(lambda: not reply.writable)
        reply.cancel()
        await until(lambda: direct.statistics().running == 0)

    asyncio.run(go())


def test_a_unary_caller_gets_the_first_part() -> None:
    """``first`` returns one part, and lets the model off the others."""

    async def go() -> None:
        engine = Engine(StreamingRuntime())
        _, reply = _start(engine, 1)
        assert _first(await reply.first()) == 1
        direct, long = _start(engine, 10**9)
        assert _first(await long.first()) == 10**9
        await until(lambda: direct.statistics().running == 0)
        assert long.cancelled

    asyncio.run(go())


def test_a_thread_is_not_left_waiting_for_a_loop_that_is_gone() -> None:
    """Where the loop was closed under a stream, its thread ends and does not keep the process."""
    home, runtime = Home(1), StreamingRuntime()

    async def go() -> Any:
        home.attach(asyncio.get_running_loop())
        return Engine(runtime).ask([5, 0])

    request = asyncio.run(go())
    reply = CountingReply()

    def work() -> None:
        stream(lambda: runtime.stream(request.inputs, ["Y"]), request, reply, home)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(2)
    assert not thread.is_alive()


def test_a_thread_ends_when_the_loop_is_closed_before_it_took_the_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part that was handed over and never taken keeps no thread either."""
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.01)
    home, runtime = Home(1), StreamingRuntime()

    async def go() -> Any:
        return Engine(runtime).ask([5, 0])

    request = asyncio.run(go())
    loop = asyncio.new_event_loop()
    home.attach(loop)

    def work() -> None:
        stream(lambda: runtime.stream(request.inputs, ["Y"]), request, CountingReply(), home)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not runtime.made:
        thread.join(0.001)
    loop.close()
    thread.join(5)
    assert not thread.is_alive()
    assert runtime.ended.is_set()


class TestAwaitableReply:
    """The Reply itself, without an engine."""

    def test_parts_given_before_anybody_waits_are_kept(self) -> None:
        """Answered at once, or later: the caller sees no difference."""

        async def go() -> None:
            reply = AwaitableReply()
            reply.part(_response(1))
            reply.end()
            assert _first(await reply.first()) == 1

        asyncio.run(go())

    def test_who_waits_is_woken(self) -> None:
        """A part and an end that come later are seen."""

        async def go() -> None:
            reply = AwaitableReply()
            task = asyncio.ensure_future(reply.first())
            await asyncio.sleep(0)
            reply.part(_response(2))
            reply.end()
            assert _first(await task) == 2

        asyncio.run(go())

    def test_an_error_is_raised(self) -> None:
        """A call that failed raises its error where it is awaited."""

        async def go() -> None:
            reply = AwaitableReply()
            reply.fail(RunFailed("it broke"))
            with pytest.raises(RunFailed, match="it broke"):
                await reply.first()
            assert not reply.cancelled

        asyncio.run(go())

    def test_room_is_told_once(self) -> None:
        """A callback is called when there is room, once; at once where there is some already."""

        async def go() -> None:
            reply, told = AwaitableReply(), list[str]()
            reply.on_writable(lambda: told.append("at once"))
            assert told == ["at once"]
            for at in range(AwaitableReply.ROOM):
                assert reply.writable
                reply.part(_response(at))
            assert not reply.writable
            reply.on_writable(lambda: told.append("later"))
            assert told == ["at once"]
            reader = aiter(reply)
            await anext(reader)
            await anext(reader)
            assert told == ["at once", "later"]
            await reader.aclose()  # type: ignore[attr-defined]

        asyncio.run(go())

    def test_parts_after_the_caller_left_are_dropped(self) -> None:
        """Whoever waits for room is let go, and nothing is kept."""

        async def go() -> None:
            reply, told = AwaitableReply(), list[str]()
            for at in range(AwaitableReply.ROOM):
                reply.part(_response(at))
            reply.on_writable(lambda: told.append("go"))
            reply.cancel()
            reply.part(_response(9))
            assert told == ["go"]
            assert reply.cancelled
            assert reply.writable
            reply.fail(InferdError("owed all the same"))

        asyncio.run(go())


def _response(value: float) -> InferResponse:
    return InferResponse(None, {"Y": np.array([[value]])})  # type: ignore[arg-type]
