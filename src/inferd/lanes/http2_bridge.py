"""An ordinary request of HTTP/2, answered by the lane of HTTP/1.1 as if it had come to it alone on
a connection: dialects, app and streams are there as everywhere."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import httptools

from inferd.errors import PayloadTooLarge
from inferd.lanes.http1 import Http1Connection
from inferd.lanes.service import Service
from inferd.wire.h2.connection import Connection
from inferd.wire.h2.frames import ENHANCE_YOUR_CALM
from inferd.wire.h2.headers import encode_fields
from inferd.wire.h2.streams import Stream

INTERNAL_ERROR = 2  # RFC 9113, section 7
FINAL = 200  # statuses below tell of an answer that is still to come

HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
"""Headers that speak of the connection, of which HTTP/2 has none (RFC 9113, section 8.2.2)."""


class Carrier(Protocol):
    """The connection of HTTP/2."""

    service: Service
    h2: Connection
    writable: bool
    """Whether the client takes what is written."""

    def flush(self, size: int = 0) -> None:
        """Write what was given to ``h2``, *size* bytes of data."""

    def info(self, name: str) -> Any:
        """What its transport tells."""

    def hold(self, size: int) -> None:
        """Count so many bytes more, or fewer, of requests that are not whole.

        Raises PayloadTooLarge where they are too many.
        """


class Bridged(asyncio.Transport):
    """One request: the transport of the connection that answers it."""

    def __init__(
        self, carrier: Carrier, stream: Stream, fields: Iterable[tuple[bytes, bytes]], ended: bool
    ) -> None:
        super().__init__()
        self._carrier, self._stream = carrier, stream
        told = dict(fields)
        self._bodiless = told[b":method"] == b"HEAD"
        self._chunks = not ended and b"content-length" not in told
        self._headers: list[tuple[bytes, bytes]] = []
        self._interim = False
        """Whether the parser reads a head that is no answer yet."""
        self._parser: Any = httptools.HttpResponseParser(self)
        self._ended, self._answered, self._closing = ended, False, False
        """Whether the request is whole, the answer is whole, and nothing more is written."""
        self._paused, self._full = False, False
        self._waiting: deque[tuple[bytes, int]] = deque()
        """What came while reading stood still."""
        self._held = 0
        self._protocol: Any = Http1Connection(carrier.service, bridged=True)
        self._protocol.connection_made(self)
        self._deliver(_head(fields, chunked=self._chunks))

    # -- the connection of HTTP/2 calls these --

    def data(self, data: bytes, ended: bool) -> None:
        self._ended, size = ended, len(data)
        if self._closing:  # it is answered, and the end of that waits for the client's window
            self._credit(size)
            return
        try:
            self._hold(0 if ended else self._held + size)
        except PayloadTooLarge:
            self._break_off(ENHANCE_YOUR_CALM)
            return
        if self._chunks:
            data = b"%x\r\n%b\r\n" % (size, data) if data else b""
            data += b"0\r\n\r\n" if ended else b""
        if self._paused:
            self._waiting.append((data, size))
        else:
            self._deliver(data)
            self._credit(size)

    def cut(self) -> None:
        self._closing = True
        self._drop()

    def room(self) -> None:
        self.call_back()

    def call_back(self) -> None:
        """There may be room to write."""
        if self._full and self._carrier.writable and self._stream.queue is None:
            self._full = False
            self._protocol.resume_writing()

    def tick(self, now: float) -> None:
        """The connection that answers has a clock of its own."""

    # -- the connection that answers calls these --

    def write(self, data: Any) -> None:
        if not (self._closing or self._answered):
            self._parser.feed_data(data)
            self._carrier.flush(len(data))
            self._pace()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        for data in list_of_data:
            self.write(data)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        while self._waiting and not self._paused:
            data, size = self._waiting.popleft()
            self._deliver(data)
            self._credit(size)

    def close(self) -> None:
        if self._closing:
            return
        if self._answered:
            self._closing = True
            self._soon(self._drop)
        else:
            self._break_off(INTERNAL_ERROR)

    def abort(self) -> None:
        self.close()

    def write_eof(self) -> None:
        """No more is written, and the rest of the request is not wanted."""
        self.close()

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        queue = self._stream.queue
        return queue.size if queue else 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if name == "socket" else self._carrier.info(name)

    # -- the parser of the answer calls these --

    def on_header(self, name: bytes, value: bytes) -> None:
        if (lower := name.lower()) not in HOP:
            self._headers.append((lower, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        fields = [(b":status", b"%d" % status), *self._headers]
        self._headers, self._interim = [], status < FINAL
        ends = self._bodiless and not self._interim
        self._carrier.h2.send_headers(self._stream, encode_fields(fields), end=ends)
        if ends:
            self._finish()

    def on_body(self, body: bytes) -> None:
        if not self._answered:
            self._carrier.h2.send_data(self._stream, body)

    def on_message_complete(self) -> None:
        if not (self._answered or self._interim):
            self._carrier.h2.send_data(self._stream, b"", end=True)
            self._finish()

    def _finish(self) -> None:
        self._answered = True
        self._soon(self._drop)

    def _soon(self, callback: Callable[[], None]) -> None:
        self._carrier.service.home.loop.call_soon(callback)

    def _break_off(self, code: int) -> None:
        self._closing = True
        self._carrier.h2.reset(self._stream, code)
        self._carrier.flush()
        self._soon(self._drop)

    def _drop(self) -> None:
        """The connection that answered has no more to do."""
        self._closing = True
        self._hold(0)
        self._waiting.clear()
        protocol, self._protocol = self._protocol, asyncio.Protocol()
        protocol.connection_lost(None)

    def _pace(self) -> None:
        """Have no more written while the client does not take it."""
        full = self._stream.queue is not None or not self._carrier.writable
        if full and not (self._full or self._answered or self._closing):
            self._full = True
            self._protocol.pause_writing()

    def _hold(self, size: int) -> None:
        more, self._held = size - self._held, size
        if more:
            self._carrier.hold(more)

    def _credit(self, size: int) -> None:
        if not self._ended:
            self._carrier.h2.consumed(self._stream, size)

    def _deliver(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            protocol = self._protocol
            if not isinstance(protocol, asyncio.BufferedProtocol):
                protocol.data_received(bytes(rest))
                return
            with memoryview(protocol.get_buffer(len(rest))) as room:  # it grows when let go
                size = min(len(room), len(rest))
                room[:size] = rest[:size]
            protocol.buffer_updated(size)
            rest = rest[size:]


def _head(fields: Iterable[tuple[bytes, bytes]], *, chunked: bool) -> bytes:
    """The head of the same request in HTTP/1.1 (RFC 9113, section 8.3.1)."""
    told = dict(fields)
    lines = [b"%b %b HTTP/1.1" % (told[b":method"], told[b":path"])]
    host = told.get(b":authority", told.get(b"host", b""))
    lines.append(b"host: " + host)
    cookies = [value for name, value in fields if name == b"cookie"]
    if cookies:  # RFC 9113, section 8.2.3
        lines.append(b"cookie: " + b"; ".join(cookies))
    skipped = (b"host", b"cookie", b"te")
    lines += [
        b"%b: %b" % (name, value)
        for name, value in fields
        if not name.startswith(b":") and name not in skipped
    ]
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n"
