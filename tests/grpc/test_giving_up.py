"""Calls that are given up at any moment leave nothing behind: no stream, no bytes, no work."""

from random import Random
from typing import Any

import grpc
import pytest

from tests.grpc.asking import Stub, channel_to, outcome
from tests.grpc.cases import Case, case
from tests.grpc.interop_messages import message
from tests.grpc.interop_service import InteropServer
from tests.grpc.test_against_grpcio import begin

CALLS = 150  # of one connection: more that are given up in a moment are taken for a flood


def left(interop: InteropServer) -> dict[str, int]:
    """What the server still keeps."""
    every: Any = interop.service.connections

    def count() -> dict[str, int]:
        connections = [each for each in every if hasattr(each, "h2")]
        return {
            "streams": sum(len(each.h2.streams) for each in connections),
            "queued": sum(each.h2.queued_bytes for each in connections),
            "held": sum(each._held for each in connections),
            "busy": interop.service.home.busy,
            "unanswered": sum(not reply.done for reply in interop.replies),  # type: ignore[attr-defined]  # both kinds have it
        }

    return interop.ask(count)


def awake(chance: Random) -> list[Case]:
    """Calls of which none sleeps."""
    every = [case(chance) for _ in range(CALLS)]
    return [each for each in every if each.timeout is None]


def give_up(chance: Random, call: Any) -> None:
    """Cancel *call*, at once or after some of its messages."""
    try:
        for _ in range(chance.choice([0, 0, 1, 2])):
            next(call, None)
    except grpc.RpcError:
        return
    call.cancel()


@pytest.mark.parametrize("seed", range(3))
def test_given_up_anywhere(seed: int, interop: InteropServer, until: Any) -> None:
    """Half of the calls are cancelled; the others are answered, on the same connection."""
    chance = Random(seed)
    with channel_to(interop.address) as channel:
        calls = [begin(channel, each) for each in awake(chance)]
        cancelled = [chance.random() < 0.5 for _ in calls]
        for call, gone in zip(calls, cancelled, strict=True):
            if gone:
                give_up(chance, call)
        kept = [call for call, gone in zip(calls, cancelled, strict=True) if not gone]
        texts = [outcome(call).text for call in kept]
        assert not [text for text in texts if "Stream removed" in text or "Socket" in text]
        answer = Stub(channel).UnaryCall(message("SimpleRequest")(response_size=9))
        assert answer.payload.body == bytes(9)
    until(lambda: not any(left(interop).values()))


@pytest.mark.parametrize("seed", range(3))
def test_lost_anywhere(seed: int, interop: InteropServer, until: Any) -> None:
    """A connection that is lost amid its calls takes all of them with it."""
    chance = Random(seed)
    with channel_to(interop.address) as channel:
        calls = [begin(channel, each) for each in awake(chance)]
        give_up(chance, chance.choice(calls))
    until(lambda: not any(left(interop).values()))
