"""The requests of one stream: each is answered in its turn, whatever becomes of the others."""

from typing import Any

import grpc
import pytest

from tests.grpc.asking import PATIENCE, Outcome, Stub, channel_to, outcome
from tests.grpc.interop_messages import message
from tests.grpc.interop_service import SERVICE, InteropServer

SLOW = 50_000  # microseconds
NOT_FOUND, INVALID_ARGUMENT = 5, 3


def wants(*sizes: int, pause: int = 0, **fields: Any) -> Any:
    """A request for answers of these sizes, each after a pause."""
    parts = [{"size": size, "interval_us": pause} for size in sizes]
    return message("StreamingOutputCallRequest")(response_parameters=parts, **fields)


def ask(channel: grpc.Channel, *requests: Any) -> tuple[list[int], Outcome]:
    """The sizes of the answers, and how the stream ended."""
    bodies = [each if isinstance(each, bytes) else each.SerializeToString() for each in requests]
    call = channel.stream_stream(f"{SERVICE}FullDuplexCall")
    ended = outcome(call(iter(bodies), timeout=PATIENCE))
    make = message("StreamingOutputCallResponse")
    return [len(make.FromString(each).payload.body) for each in ended.messages], ended


def test_quick_ones_wait_for_slow_ones(channel: grpc.Channel) -> None:
    """Answers come in the order of their requests."""
    sizes, _ = ask(channel, wants(1, 2, pause=SLOW), wants(3), wants(4, pause=SLOW), wants(5, 6))
    assert sizes == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_failure_waits_its_turn(channel: grpc.Channel, interop: InteropServer, at: int) -> None:
    """What ends the stream is told after the answers to what came before it; what comes after it is
    not asked."""
    before = interop.ask(lambda: len(interop.replies))
    good = [wants(size, pause=SLOW) for size in range(1, at + 1)]
    failing = wants(response_status={"code": NOT_FOUND, "message": "gone"})
    sizes, ended = ask(channel, *good, failing, *[wants(9)] * 100)
    assert (sizes, ended.status, ended.text) == ([*range(1, at + 1)], NOT_FOUND, "gone")
    assert interop.ask(lambda: len(interop.replies)) <= before + at + 1


def test_what_is_no_message_waits_its_turn(channel: grpc.Channel) -> None:
    """The same of what cannot be read."""
    sizes, ended = ask(channel, wants(1, pause=SLOW), b"\xff", wants(9))
    assert (sizes, ended.status) == ([1], INVALID_ARGUMENT)


def test_a_failure_after_some_answers(channel: grpc.Channel) -> None:
    """A request may fail after some of its answers, which were sent."""
    failing = wants(2, 3, pause=SLOW, response_status={"code": NOT_FOUND, "message": "gone"})
    sizes, ended = ask(channel, wants(1), failing)
    assert (sizes, ended.status) == ([1, 2, 3], NOT_FOUND)


def test_packed_requests_keep_their_order(interop: InteropServer) -> None:
    """Requests that are unpacked in several threads are answered in the order that they came in."""
    requests = [wants(at, payload={"body": bytes(at % 3 * 300_000)}) for at in range(100)]
    with channel_to(interop.address, compression=grpc.Compression.Gzip) as channel:
        answers = Stub(channel).FullDuplexCall(iter(requests), timeout=PATIENCE)
        assert [len(each.payload.body) for each in answers] == [*range(100)]
