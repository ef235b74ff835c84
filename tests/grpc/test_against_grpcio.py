"""Our lane answers what grpcio's server answers, to calls as chance makes them; where it differs on
purpose is written here."""

from random import Random
from typing import Any

import grpc
import pytest

from tests.grpc.asking import OK, Outcome, begun, channel_to, outcome
from tests.grpc.cases import MARK, Case, case
from tests.grpc.grpcio_server import GrpcioServer
from tests.grpc.interop_service import METHODS, SERVICE, InteropServer

AT_ONCE = 16
INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 3, 8, 12, 13


def begin(channel: grpc.Channel, case: Case) -> Any:
    """Begin a call as its method wants it, where that can be."""
    kind, path = METHODS[case.method], SERVICE + case.method
    how = {"compression": case.compression, "metadata": case.metadata}
    if case.timeout:
        how["timeout"] = case.timeout
    if kind.takes != "one" or len(case.requests) != 1:
        return begun(channel, path, case.requests, **how)
    return channel.unary_stream(path)(case.requests[0], **{"timeout": 10.0, **how})


def agree(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Whether inferd's outcome is as it must be: grpcio's, but that

    * a method that takes one message refuses several, of which grpcio answers the first;
    * what is no message is the caller's fault, not the server's (INVALID_ARGUMENT, which the
      dialect chooses; grpcio has INTERNAL for all);
    * what is too large ends a call at once, and is told sooner than other faults;
    * texts are the same where the service made them;
    * metadata is repeated where there are messages both ways, as a dialect knows it by those.
    """
    if case.timeout:  # whether something came before that is chance
        return ours.status == theirs.status
    if case.oversized:
        came_before = theirs.messages[: len(ours.messages)]
        allowed = (RESOURCE_EXHAUSTED, UNIMPLEMENTED if case.miscounted else theirs.status)
        return ours.status in allowed and ours.messages == came_before
    if case.miscounted:
        return (ours.status, ours.messages) == (UNIMPLEMENTED, ())
    if case.broken and theirs.status == INTERNAL and not is_of_service(theirs):
        return (ours.status, ours.messages) == (INVALID_ARGUMENT, theirs.messages)
    if ours.status == OK and not (ours.messages and case.requests):
        return ours[:3] == theirs[:3]
    return ours == theirs if ours.status == OK else ours[:3] == theirs[:3]


def is_of_service(outcome: Outcome) -> bool:
    """Whether a failure is told by the service itself, not by the server."""
    return MARK in outcome.text or not outcome.text


def compare(seed: int, count: int, interop: InteropServer, reference: GrpcioServer) -> None:
    """Ask both *count* times the same; the first difference fails."""
    chance = Random(seed)
    with channel_to(interop.address) as ours, channel_to(reference.address) as theirs:
        for _ in range(0, count, AT_ONCE):
            cases = [case(chance) for _ in range(AT_ONCE)]
            calls = [(each, begin(ours, each), begin(theirs, each)) for each in cases]
            for each, one, other in calls:
                got, wanted = outcome(one), outcome(other)
                if not agree(each, got, wanted):
                    pytest.fail(told(each, got, wanted))


def told(case: Case, ours: Outcome, theirs: Outcome) -> str:
    """A difference, for people."""
    sent = [each[:80] for each in case.requests]
    lines = [f"{case._replace(requests=())} {sent}"]
    for came in (ours, theirs):
        sizes = [len(each) for each in came.messages]
        lines.append(f"{sizes} {came._replace(messages=())}")
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(4))
def test_the_same_calls(seed: int, interop: InteropServer, reference: GrpcioServer) -> None:
    """Hundreds of calls, sixteen at a time on one connection: messages, statuses, the service's
    texts and its metadata are the same."""
    compare(seed, 400, interop, reference)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_more(seed: int, interop: InteropServer, reference: GrpcioServer) -> None:
    """Thousands of them."""
    compare(seed, 1000, interop, reference)
