"""Whoever takes his messages late, or sends more than is asked, costs no memory."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.grpc.asking import PATIENCE, Stub, channel_to
from tests.grpc.interop_messages import message
from tests.grpc.interop_service import MOST, InteropServer

PART = 70_000
COUNT = 300


def full(*sizes: int, payload: int = 0) -> Any:
    """A StreamingOutputCallRequest that wants answers of these sizes."""
    return message("StreamingOutputCallRequest")(
        payload={"body": bytes(payload)}, response_parameters=[{"size": each} for each in sizes]
    )


def queued(interop: InteropServer) -> int:
    """Bytes of answers that wait for their clients."""
    every: Any = interop.service.connections

    def count() -> int:
        return sum([each.h2.queued_bytes for each in every if hasattr(each, "h2")])

    return interop.ask(count)


def settled(interop: InteropServer, until: Any) -> int:
    """Bytes that wait once no more come."""
    seen = [-1]

    def is_steady() -> bool:
        seen.append(queued(interop))
        return len(seen) > 20 and seen[-1] > 0 and len(set(seen[-20:])) == 1

    until(is_steady)
    return seen[-1]


def test_a_late_reader_of_a_stream(stub: Any, interop: InteropServer, until: Any) -> None:
    """A stream of 21 MB whose client does not read makes a pause, and goes on when it does."""
    answers = stub.StreamingOutputCall(full(*[PART] * COUNT), timeout=PATIENCE)
    assert settled(interop, until) <= 2 * PART
    assert [len(each.payload.body) for each in answers] == [PART] * COUNT


def test_a_late_reader_of_a_conversation(stub: Any, interop: InteropServer, until: Any) -> None:
    """A client that asks and does not read is not read any more; then it gets all."""
    asked = 0

    def requests() -> Iterator[Any]:
        nonlocal asked
        for _ in range(COUNT):
            asked += 1
            yield full(PART, payload=PART)

    answers = stub.FullDuplexCall(requests(), timeout=PATIENCE)
    assert settled(interop, until) <= MOST + 2 * PART
    assert asked < COUNT
    assert [len(each.payload.body) for each in answers] == [PART] * COUNT


def test_too_much_at_once(stub: Any, until: Any, interop: InteropServer) -> None:
    """A request of many messages is no larger than two of the largest."""
    part = message("StreamingInputCallRequest")(payload={"body": bytes(PART)})
    with pytest.raises(grpc.RpcError) as caught:
        stub.StreamingInputCall(iter([part] * (3 * MOST // PART)), timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    until(lambda: interop.streams() == 0)


def test_others_go_on(stub: Any, interop: InteropServer, until: Any) -> None:
    """A client that does not read holds back neither its own other calls nor those of others."""
    late = stub.StreamingOutputCall(full(*[PART] * COUNT), timeout=PATIENCE)
    settled(interop, until)
    asked = message("SimpleRequest")(response_size=1000)
    assert stub.UnaryCall(asked, timeout=PATIENCE).payload.body == bytes(1000)
    with channel_to(interop.address) as channel:
        assert Stub(channel).UnaryCall(asked, timeout=PATIENCE).payload.body == bytes(1000)
    late.cancel()
    until(lambda: interop.streams() == 0)
    assert queued(interop) == 0
