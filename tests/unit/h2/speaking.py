"""A client that says anything at all, right or wrong: frames by hand, and what a sink was told."""

from dataclasses import dataclass, field
from typing import Any

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.connection import Connection
from inferd.wire.h2.streams import Stream

MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    )


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def field_of(name: bytes, value: bytes) -> bytes:
    """A literal without indexing (RFC 7541, 6.2.2); both below 127 bytes."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


POST = b"\x83\x86" + field_of(b":path", b"/a.B/C")
"""``:method: POST``, ``:scheme: http`` and a path."""
FIELDS = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a.B/C")]
START = MAGIC + frame(SETTINGS, 0, 0)
HEAD = b"\x88"
"""``:status: 200``."""
TRAILERS = field_of(b"grpc-status", b"0")


def request(stream: int, *, end: bool = True, block: bytes = POST) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def setting(name: int, value: int) -> bytes:
    return name.to_bytes(2, "big") + number(value)


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """The frames of *data*, whole ones: type, flags, stream, payload."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 3], "big")
        head = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big")
        payload = data[at + 9 : at + 9 + length]
        assert len(payload) == length
        found.append((*head, payload))
        at += 9 + length
    return found


@dataclass
class Client:
    """Speaks with a connection, and is its sink, too."""

    limits: Limits = field(default_factory=Limits)
    start: bytes = START
    now: float = 0.0
    told: list[tuple[Any, ...]] = field(default_factory=list)
    streams: dict[int, Stream] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection = Connection(self, self.limits, lambda: self.now)
        self.connection.start()
        self.first = self.says(self.start)

    def says(self, *data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Send it in one piece; the frames that come back."""
        self.connection.receive(b"".join(data))
        return self.hears()

    def hears(self) -> list[tuple[int, int, int, bytes]]:
        out = self.connection.take()
        return frames(out if isinstance(out, bytes) else b"".join(out))

    def opens(self, stream: int = 1, *, end: bool = True) -> Stream:
        self.says(request(stream, end=end))
        return self.streams[stream]

    def ends_with(self, code: int, *data: bytes) -> None:
        """Hold that *data* is a connection error of that code."""
        kind, _, stream, payload = self.says(*data)[-1]
        assert (kind, stream) == (GOAWAY, 0)
        assert int.from_bytes(payload[4:8], "big") == code, payload[8:]
        assert self.connection.ended
        assert not self.connection.streams
        assert self.connection.fault.encode() == payload[8:] != b""

    def breaks(self, stream: int, code: int, *data: bytes) -> None:
        """Hold that *data* is a stream error of that code, and the connection goes on."""
        assert (RST_STREAM, 0, stream, number(code)) in self.says(*data)
        assert not self.connection.ended, self.connection.fault
        assert stream not in self.connection.streams
        assert self.connection.stream_fault
        assert (PING, ACK, 0, b"12345678") in self.says(frame(PING, 0, 0, b"12345678"))

    def request(self, stream: Stream, fields: list[tuple[bytes, bytes]], ended: bool) -> None:
        self.streams[stream.id] = stream
        self.told.append(("request", stream.id, list(fields), ended))

    def data(self, stream: Stream, data: bytes, ended: bool) -> None:
        self.told.append(("data", stream.id, data, ended))

    def cut(self, stream: Stream, code: int) -> None:
        self.told.append(("cut", stream.id, code))

    def room(self, stream: Stream) -> None:
        self.told.append(("room", stream.id))
