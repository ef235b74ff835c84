"""What no gRPC library sends, byte by byte: our lane answers as gRPC's PROTOCOL-HTTP2.md says, and
where that leaves it open, as grpcio's server or with a better status."""

import gzip
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from tests.grpc.grpcio_server import GrpcioServer
from tests.grpc.interop_messages import message
from tests.grpc.interop_service import SERVICE, InteropServer
from tests.grpc.wire_client import Answer, ask, framed

OK, INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL = 0, 3, 12, 13
NONE = None
"""No gRPC at all: a status of HTTP, or a reset stream."""
SIMPLE = message("SimpleRequest")(response_size=2000, payload={"body": bytes(100)})
ASKED = SIMPLE.SerializeToString()


class Sent(NamedTuple):
    """A request, and the statuses of ours and grpcio's server."""

    body: bytes
    headers: Mapping[str, str | None]
    ours: int | None
    grpcio: int | None


PLAIN = framed(ASKED)
GZIP = framed(gzip.compress(ASKED), 1)
CASES = {
    "plain": Sent(PLAIN, {}, OK, OK),
    "a subtype": Sent(PLAIN, {"content-type": "application/grpc+proto"}, OK, OK),
    "a parameter": Sent(PLAIN, {"content-type": "application/grpc; charset=utf-8"}, OK, OK),
    "another type": Sent(PLAIN, {"content-type": "application/grpc-web"}, NONE, OK),
    "no type": Sent(PLAIN, {"content-type": None}, NONE, OK),
    "another method": Sent(PLAIN, {":method": "PUT"}, UNIMPLEMENTED, NONE),
    "no te": Sent(PLAIN, {"te": None}, OK, NONE),
    "https": Sent(PLAIN, {":scheme": "https"}, OK, OK),
    "a length": Sent(PLAIN, {"content-length": str(len(PLAIN))}, OK, OK),
    "an unknown path": Sent(PLAIN, {":path": "/x/y"}, UNIMPLEMENTED, UNIMPLEMENTED),
    "no path": Sent(PLAIN, {":path": "/"}, UNIMPLEMENTED, UNIMPLEMENTED),
    "a query": Sent(PLAIN, {":path": f"{SERVICE}UnaryCall?x"}, UNIMPLEMENTED, UNIMPLEMENTED),
    "a wrong flag": Sent(framed(ASKED, 2), {}, INVALID_ARGUMENT, OK),
    "packed, not named": Sent(framed(ASKED, 1), {}, INTERNAL, INTERNAL),
    "packed as identity": Sent(framed(ASKED, 1), {"grpc-encoding": "identity"}, INTERNAL, INTERNAL),
    "packed": Sent(GZIP, {"grpc-encoding": "gzip"}, OK, OK),
    "named, not packed": Sent(PLAIN, {"grpc-encoding": "gzip"}, OK, OK),
    "damaged": Sent(framed(b"no gzip", 1), {"grpc-encoding": "gzip"}, INVALID_ARGUMENT, INTERNAL),
    "an unknown coding": Sent(GZIP, {"grpc-encoding": "snappy"}, UNIMPLEMENTED, INTERNAL),
    "cut off": Sent(PLAIN[:-3], {}, INVALID_ARGUMENT, UNIMPLEMENTED),
    "a prefix cut off": Sent(PLAIN[:3], {}, INVALID_ARGUMENT, UNIMPLEMENTED),
    "no message": Sent(b"", {}, UNIMPLEMENTED, UNIMPLEMENTED),
    "two messages": Sent(PLAIN * 2, {}, UNIMPLEMENTED, OK),
    "a timeout": Sent(PLAIN, {"grpc-timeout": "99999999H"}, OK, OK),
    "no timeout": Sent(PLAIN, {"grpc-timeout": "soon"}, INVALID_ARGUMENT, INTERNAL),
    "more digits": Sent(PLAIN, {"grpc-timeout": "123456789S"}, INVALID_ARGUMENT, OK),
}


@pytest.mark.parametrize("case", CASES)
def test_statuses(case: str, interop: InteropServer) -> None:
    """Each is answered on its stream."""
    sent = CASES[case]
    answer = ask(interop.address, sent.body, sent.headers)
    assert (answer.status, answer.reset) == (sent.ours, None)


@pytest.mark.parametrize("case", [name for name, sent in CASES.items() if sent.ours is not NONE])
def test_statuses_of_grpcio(case: str, reference: GrpcioServer) -> None:
    """What is said here of grpcio's server is so; a new version may know better."""
    sent = CASES[case]
    assert ask(reference.address, sent.body, sent.headers).status == sent.grpcio


def test_an_answer(interop: InteropServer) -> None:
    """Head, message and trailers are no more than gRPC needs; a refusal is trailers alone."""
    answer = ask(interop.address, PLAIN)
    assert answer.head == {":status": "200", "content-type": "application/grpc"}
    assert answer.trailers == {"grpc-status": "0"}
    assert len(answer.body) == 2011
    refusal = ask(interop.address, PLAIN, {":path": "/"})
    assert refusal.trailers == {}
    assert refusal.head.keys() == {":status", "content-type", "grpc-status", "grpc-message"}


def test_codings_are_told(interop: InteropServer) -> None:
    """Who asks in a coding that is not spoken is told those that are."""
    answer = ask(interop.address, GZIP, {"grpc-encoding": "snappy"})
    assert answer.head["grpc-accept-encoding"] == "identity,deflate,gzip"


@pytest.mark.parametrize("spaces", [" a ", "  ", "a ", " ", "\ta\n"])
def test_spaces_around_a_text(interop: InteropServer, spaces: str) -> None:
    """A text may begin and end with spaces, which HTTP/2's values may not."""
    asked = message("SimpleRequest")(response_status={"code": 5, "message": spaces})
    told = ask(interop.address, framed(asked.SerializeToString())).head["grpc-message"]
    assert told == told.strip()
    assert len(told) > 0


def packed(answer: Answer) -> list[bool]:
    """Of the messages of an answer, which came packed."""
    flags, at = [], 0
    while at < len(answer.body):
        flags.append(answer.body[at] == 1)
        at += 5 + int.from_bytes(answer.body[at + 1 : at + 5], "big")
    return flags


def test_server_compressed_unary(interop: InteropServer) -> None:
    """An answer is packed for who packs, and takes it so; the interop case's own way, by a field of
    the request, is for no dialect."""
    body = framed(message("SimpleRequest")(response_size=314159).SerializeToString())
    both = {"grpc-encoding": "gzip", "grpc-accept-encoding": "identity, gzip"}
    answer = ask(interop.address, body, both)
    assert (packed(answer), answer.head["grpc-encoding"]) == ([True], "gzip")
    whole = message("SimpleResponse").FromString(gzip.decompress(answer.body[5:]))
    assert whole.payload.body == bytes(314159)
    for headers in ({}, {"grpc-encoding": "gzip"}, {"grpc-accept-encoding": "gzip"}):
        plain = ask(interop.address, body, headers)
        assert packed(plain) == [False]
        assert "grpc-encoding" not in plain.head


def test_server_compressed_streaming(interop: InteropServer) -> None:
    """Each message of a stream is packed where that makes it shorter."""
    asked = message("StreamingOutputCallRequest")(
        response_parameters=[{"size": size} for size in (31415, 1, 92653)]
    )
    headers = {
        ":path": f"{SERVICE}StreamingOutputCall",
        "grpc-encoding": "deflate",
        "grpc-accept-encoding": "deflate",
    }
    answer = ask(interop.address, framed(asked.SerializeToString()), headers)
    assert packed(answer) == [True, False, True]
