"""Tests of bench/wires.py: both protocols of the open-loop load, byte by byte and with a real
server."""

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from bench import openloop, wires
from bench.dialects import GRPC_TYPE, Question
from bench.errors import BenchError
from bench.grpc_line import END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame
from bench.messages import framed
from bench.openloop import Manner, Phase
from bench.wires import Grpc, Http1
from tests.bench import toys

URL = urlsplit("http://127.0.0.1:1/package.Service/Method")
QUESTION = Question(b"{}")
CALL = Question(framed(b"message"), GRPC_TYPE)
TRAILERS = b"\x88\x00\x0bgrpc-status\x010"


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_answers_of_http_are_read_however_they_are_cut(step: int) -> None:
    """A length, or chunks; each ends the call that it answers."""
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
    wire = Http1(URL, QUESTION)
    found = []
    for call, data in enumerate([toys.reply(b"two"), chunked]):
        wire.begin(call)
        assert not wire.room()
        for at in range(0, len(data), step):
            found += wire.feed(data[at : at + step])[0]
        assert wire.room()
    assert [(each.call, each.status, each.body) for each in found] == [
        (0, "200", b"two"),
        (1, "200", b"one"),
    ]


def test_what_is_no_http_is_told() -> None:
    """Another protocol on the port is not counted as an answer."""
    with pytest.raises(BenchError, match=r"no answer of HTTP/1\.1"):
        Http1(URL, QUESTION).feed(b"220 smtp ready\r\n\r\n")


def test_a_stream_that_was_refused_may_be_asked_again() -> None:
    """REFUSED_STREAM, and what GOAWAY leaves out, were not begun; other resets break the call."""
    wire = Grpc(URL, CALL)
    for call in range(4):  # on streams 1, 3, 5, 7
        wire.begin(call)
    refused = frame(RST_STREAM, 0, 1, (7).to_bytes(4, "big"))
    broken = frame(RST_STREAM, 0, 3, (2).to_bytes(4, "big"))
    last = frame(GOAWAY, 0, 0, (5).to_bytes(4, "big") + bytes(4))
    ended, _ = wire.feed(refused + broken + last)
    assert [(each.call, each.status) for each in ended] == [(1, "broken")]
    assert sorted(wire.untouched()) == [0, 3]
    assert wire.untouched() == []
    assert wire.under_way() == [2]
    assert wire.closing
    assert not wire.room()


def test_a_server_says_how_many_streams_it_takes() -> None:
    """There is room for so many calls, and again when one has ended."""
    wire = Grpc(URL, CALL)
    wire.feed(frame(SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x01"))
    wire.begin(0)
    assert not wire.room()
    (ended,), _ = wire.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, TRAILERS))
    assert ended.status == "OK"
    assert wire.room()


def test_a_message_larger_than_the_window_is_told() -> None:
    """This load sends each at once."""
    wire = Grpc(URL, Question(framed(bytes(100)), GRPC_TYPE))
    with pytest.raises(BenchError, match="105 bytes"):
        wire.feed(frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x10"))


@pytest.fixture
def served() -> Iterator[str]:
    """grpcio's own server, which refuses every third call."""
    count = iter(range(10**6))

    def method(request: bytes, context: Any) -> bytes:
        if next(count) % 3 == 2:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full, später")
        return request[::-1]

    def slow(request: bytes, context: Any) -> bytes:
        left = threading.Event()
        context.add_callback(left.set)
        assert left.wait(10), "the call was not cancelled"
        return request

    methods = {"Method": method, "Slow": slow}
    handler = grpc.method_handlers_generic_handler(
        "package.Service",
        {name: grpc.unary_unary_rpc_method_handler(each) for name, each in methods.items()},
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}/package.Service/Method"
    server.stop(0).wait()


def test_a_real_server_of_grpc_is_asked(served: str) -> None:
    """Messages come back, and refusals with their names and words."""
    manner = Manner(connections=2, right=b"egassem")
    seen = openloop.run(served, CALL, [Phase(300, 0.5)], manner)
    assert seen.counts == {"OK": 100, "RESOURCE_EXHAUSTED": 50}
    assert seen.refusals.words == {"RESOURCE_EXHAUSTED": {"full, später": 50}}


def test_a_call_that_is_given_up_is_cancelled(served: str) -> None:
    """Its stream is reset, the connection lives on, and the server knows."""
    slow = served.replace("Method", "Slow")
    seen = openloop.run(slow, CALL, [Phase(50, 0.2)], Manner(connections=1, patience=0.2))
    assert seen.counts == {"late": 10}
    again = openloop.run(served, CALL, [Phase(30, 0.1)], Manner(connections=1))
    assert again.good == 2


def test_the_question_chooses_the_protocol() -> None:
    """By its content type."""
    assert isinstance(wires.wire(URL, CALL), Grpc)
    assert isinstance(wires.wire(URL, QUESTION), Http1)
