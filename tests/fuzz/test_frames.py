"""Tests of the fuzzer of HTTP/2: what it sends, what it reads, and what it takes for a fault."""

from collections.abc import Callable

import pytest

from fuzz import calls, frame_sessions, http2
from fuzz.answers import Malformed
from fuzz.calls import Call
from fuzz.client import Received
from fuzz.dialects import DIALECTS
from fuzz.dialects.base import get
from fuzz.frame_sessions import FrameMaker, FrameSession
from fuzz.http2 import Frame, Reader, block, frame
from fuzz.request import MAIN
from fuzz.sessions import Manner
from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.connection import Connection

HEAD = frame(http2.HEADERS, http2.END_HEADERS, 1, block([(b":status", b"200")]))
TRAILERS = frame(
    http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, block([(b"grpc-status", b"0")])
)
DATA = frame(http2.DATA, 0, 1, b"data")
PLAIN_END = frame(http2.DATA, http2.END_STREAM, 1, b"{}")
ASKED = Call(MAIN, "x", tuple(http2.grpc_fields("/x")), b"", calm=(0, b"data"))
KNOWN = Call(MAIN, "/", tuple(http2.plain_fields("GET", "/")), b"", known=get("/", {}))
INTERNAL = block([(b":status", b"200"), (b"grpc-status", b"13"), (b"grpc-message", calls.SECRET)])


def kinds(data: bytes, asked: Call = ASKED, *, spoilt: bool = False) -> list[str]:
    """What is found wrong with an answer of these bytes."""
    session = FrameSession(MAIN, b"", (), Manner.CLOSE, {1: asked}, spoilt)
    return [kind for kind, _ in frame_sessions.faults(session, Received(data, reset=False))]


@pytest.mark.parametrize(
    ("data", "spoilt", "expected"),
    [
        (HEAD + DATA + TRAILERS, False, []),
        (HEAD + DATA, False, ["missing"]),
        (HEAD + DATA * 2 + TRAILERS, False, ["known"]),
        (HEAD + DATA + TRAILERS[:-1], False, ["cut answer", "missing"]),
        (HEAD + DATA + TRAILERS + DATA, False, ["malformed answer"]),
        (DATA, False, ["malformed answer"]),
        (frame(http2.GOAWAY, payload=bytes(7) + b"\1"), False, ["known", "missing"]),
        (frame(http2.GOAWAY, payload=bytes(7) + b"\1"), True, []),
        (frame(http2.RST_STREAM, 0, 1, http2.number(2)), True, ["broken off"]),
        (frame(http2.HEADERS, 5, 1, INTERNAL), True, ["internal"]),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, []),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, ["malformed answer"]),
    ],
)
def test_what_came_is_judged_by_what_was_asked(
    data: bytes, spoilt: bool, expected: list[str]
) -> None:
    """Each unspoilt call has its answer, whole and right; nothing may tell of a server's fault."""
    assert kinds(data, spoilt=spoilt) == expected


def test_an_ordinary_request_is_judged_as_over_http_1() -> None:
    """A known document must come, and another one is a fault."""
    assert kinds(HEAD + DATA + PLAIN_END, KNOWN) == ["known"]
    fields = block([(b":status", b"200"), (b"content-type", b"application/json")])
    assert kinds(frame(http2.HEADERS, 4, 1, fields) + PLAIN_END, KNOWN) == []


@pytest.mark.parametrize(
    "data",
    [
        frame(http2.PUSH_PROMISE, 4, 1, bytes(4)),
        frame(http2.CONTINUATION, 4, 1),
        frame(http2.HEADERS, 0, 1) + DATA,
        frame(http2.HEADERS, 4, 2, block([(b":status", b"200")])),
        frame(http2.HEADERS, 4, 1, block([(b"X", b"y")])),
        frame(http2.HEADERS, 4, 1, b"\xff\xff\xff"),
        HEAD + frame(http2.HEADERS, 4, 1, block([(b"x", b"y")])),
        bytes(3) + b"\x63" + bytes(5),
        b"\1\0\0" + bytes(6),
    ],
)
def test_frames_that_no_server_may_send_are_faults(data: bytes) -> None:
    """Whatever a client would have to guess about is malformed."""
    with pytest.raises(Malformed):
        Reader().feed(data)


class Sink:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.asked: dict[int, tuple[tuple[bytes, bytes], ...]] = {}
        self.bodies: dict[int, bytes] = {}

    def request(self, stream: object, fields: list[tuple[bytes, bytes]], ended: bool) -> None:
        self.asked[stream.id] = tuple(fields)  # type: ignore[attr-defined]  # a Stream
        self.bodies[stream.id] = b""  # type: ignore[attr-defined]  # a Stream

    def data(self, stream: object, data: bytes, ended: bool) -> None:
        self.bodies[stream.id] += data  # type: ignore[attr-defined]  # a Stream

    def cut(self, stream: object, code: int) -> None:
        raise AssertionError(code)

    def room(self, stream: object) -> None:
        """Nothing is sent."""


@pytest.fixture
def maker() -> FrameMaker:
    """Of all questions."""
    return FrameMaker(calls.questions(list(DIALECTS.values()), [MAIN, "tfserving"]), 5)


def test_what_is_not_spoilt_is_asked_as_it_was_meant(maker: FrameMaker) -> None:
    """However its frames are cut, padded and mixed, a session asks what it says."""
    right = [each for each in (maker.make() for _ in range(300)) if not each.spoilt]
    assert len(right) > 50
    for session in right:
        sink = Sink()
        connection = Connection(sink, Limits(), lambda: 0.0)
        connection.receive(session.data)
        assert not connection.ended, connection.fault
        assert sink.asked == {at: call.fields for at, call in session.asked.items()}
        assert sink.bodies == {at: call.data for at, call in session.asked.items()}


def test_a_maker_repeats_itself() -> None:
    """The same seed gives the same sessions, and the pieces are the session's bytes."""
    asked = calls.questions(list(DIALECTS.values()), [MAIN])
    one, other = (FrameMaker(asked, 5) for _ in range(2))
    made = [one.make() for _ in range(300)]
    assert made == [other.make() for _ in range(300)]
    assert all(b"".join(each.pieces()) == each.data for each in made)
    assert len({each.manner for each in made}) == len(Manner)


@pytest.mark.parametrize("spoil", frame_sessions.SPOILING)
def test_spoiling_works_on_any_frames(spoil: Callable[..., None]) -> None:
    """Even a single frame can be spoilt, and what comes of it can be sent."""
    import random

    for at in range(50):
        frames = [Frame(http2.HEADERS, 4, 1, b"x" * at)]
        spoil(random.Random(at), frames)
        assert all(frame(*each) for each in frames)
