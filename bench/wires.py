"""Both protocols of the open-loop load, from the client's side and without IO: HTTP/1.1 and gRPC.

A wire turns calls, which are numbers, into bytes, and bytes into the ends of calls. What is asked
is the same each time, so its bytes are made once.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol
from urllib.parse import SplitResult, unquote_to_bytes

import httptools
from hpack import Decoder

from bench.dialects import GRPC_TYPE, Question
from bench.errors import BenchError
from bench.grpc_line import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_FRAME,
    FIRST_WINDOW,
    FRAME_SIZE,
    GOAWAY,
    HEAD,
    HEADERS,
    INITIAL_WINDOW,
    PING,
    PREFACE,
    RST_STREAM,
    SETTING,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)
from bench.messages import PREFIX
from bench.offered import BROKEN

TABLE_SIZE, MOST_STREAMS = 1, 3  # of the settings
CANCEL, REFUSED = 8, 7  # why a stream is reset
WIDEST = (1 << 31) - 1
CREDIT_FROM = 1 << 30
CODES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


class Ended(NamedTuple):
    """The end of a call. For gRPC the body is the message, or what `grpc-message` says."""

    call: int
    status: str
    body: bytes
    headers: dict[str, str]


class Wire(Protocol):
    """One connection's protocol."""

    closing: bool
    """No call may begin here any more."""

    def hello(self) -> bytes:
        """What is sent first."""
        ...

    def room(self) -> bool:
        """Whether a call may begin now."""
        ...

    def begin(self, call: int) -> bytes: ...

    def feed(self, data: bytes) -> tuple[list[Ended], bytes]:
        """The calls that *data* ends, and what must be sent back."""
        ...

    def give_up(self, call: int) -> bytes | None:
        """What must be sent; None: only the connection's end ends the call."""
        ...

    def untouched(self) -> list[int]:
        """Take those that the server says it has not begun: they may be asked again elsewhere."""
        ...

    def under_way(self) -> list[int]: ...


class Http1:
    """HTTP/1.1 with one call at a time on a connection."""

    def __init__(self, url: SplitResult, question: Question) -> None:
        lines = [f"{question.method} {url.path or '/'} HTTP/1.1", f"host: {url.netloc}"]
        lines += [f"{name}: {text}" for name, text in question.headers.items()]
        lines += [f"content-length: {len(question.body)}"]
        self._request = "\r\n".join((*lines, "\r\n")).encode() + question.body
        self._parser = httptools.HttpResponseParser(self)
        self._call: int | None = None
        self._ended: list[Ended] = []
        self._body: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self.closing = False

    def hello(self) -> bytes:
        return b""

    def room(self) -> bool:
        return self._call is None and not self.closing

    def begin(self, call: int) -> bytes:
        self._call = call
        return self._request

    def feed(self, data: bytes) -> tuple[list[Ended], bytes]:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BenchError(f"no answer of HTTP/1.1: {error}, at {data[:200]!r}") from None
        ended, self._ended = self._ended, []
        return ended, b""

    def give_up(self, call: int) -> bytes | None:
        self._call, self.closing = None, True
        return None

    def untouched(self) -> list[int]:
        return []

    def under_way(self) -> list[int]:
        return [] if self._call is None else [self._call]

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        status = str(self._parser.get_status_code())
        headers = {} if status == "200" else _decoded(self._headers)
        if self._call is not None:
            self._ended.append(Ended(self._call, status, b"".join(self._body), headers))
        self._call = None
        self._body.clear()
        self._headers.clear()
        if not self._parser.should_keep_alive():
            self.closing = True


class Grpc:
    """gRPC's unary calls, over HTTP/2, many at a time on a connection."""

    def __init__(self, url: SplitResult, question: Question) -> None:
        fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", url.path.encode())]
        fields += [(b":authority", url.netloc.encode())]
        fields += [(name.encode(), text.encode()) for name, text in question.headers.items()]
        self._block = b"".join(_literal(*field) for field in fields)
        self._body = question.body
        self._stream = -1
        self._calls: dict[int, int] = {}
        self._streams: dict[int, int] = {}
        self._messages: dict[int, list[bytes]] = {}
        self._fields: dict[int, dict[str, str]] = {}
        self._untouched: list[int] = []
        self._decoder = Decoder()
        self._known: dict[bytes, dict[str, str]] = {}
        self._rest = b""
        self._window, self._first_window = FIRST_WINDOW, FIRST_WINDOW
        self._frame, self._most = FIRST_FRAME, WIDEST
        self._received = 0
        self._ended: list[Ended] = []
        self._out: list[bytes] = []
        self.closing = False

    def hello(self) -> bytes:
        # Without a table that changes, a block of fields always means the same.
        settings = SETTING.pack(TABLE_SIZE, 0) + SETTING.pack(INITIAL_WINDOW, WIDEST)
        return PREFACE + frame(SETTINGS, 0, 0, settings) + _credit(WIDEST - FIRST_WINDOW)

    def room(self) -> bool:
        size = len(self._body)
        fits = self._window >= size and self._first_window >= size
        return fits and len(self._calls) < self._most and not self.closing

    def begin(self, call: int) -> bytes:
        self._stream += 2
        stream, body, size = self._stream, self._body, self._frame
        self._calls[stream], self._streams[call] = call, stream
        self._window -= len(body)
        parts = [frame(HEADERS, END_HEADERS, stream, self._block)]
        for at in range(0, len(body), size):
            last = END_STREAM if at + size >= len(body) else 0
            parts.append(frame(DATA, last, stream, body[at : at + size]))
        return b"".join(parts)

    def feed(self, data: bytes) -> tuple[list[Ended], bytes]:
        data, at = self._rest + data if self._rest else data, 0
        while len(data) - at >= HEAD.size:
            word, flags, stream = HEAD.unpack_from(data, at)
            end = at + HEAD.size + (word >> 8)
            if end > len(data):
                break
            self._on_frame(word & 0xFF, flags, stream, data[at + HEAD.size : end])
            at = end
        self._rest = data[at:]
        if self._received > CREDIT_FROM:
            self._out.append(_credit(self._received))
            self._received = 0
        ended, out = self._ended, b"".join(self._out)
        self._ended, self._out = [], []
        return ended, out

    def give_up(self, call: int) -> bytes | None:
        stream = self._streams[call]
        self._forget(stream)
        return frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))

    def untouched(self) -> list[int]:
        calls, self._untouched = self._untouched, []
        return calls

    def under_way(self) -> list[int]:
        return list(self._streams)

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case _ if kind == DATA:
                self._received += len(payload)
                if stream in self._calls:
                    self._messages.setdefault(stream, []).append(payload)
            case _ if kind == HEADERS:
                self._on_headers(flags, stream, payload)
            case _ if kind == SETTINGS and not flags & ACK:
                self._on_settings(payload)
            case _ if kind == PING and not flags & ACK:
                self._out.append(frame(PING, ACK, 0, payload))
            case _ if kind == WINDOW_UPDATE and stream == 0:
                self._window += int.from_bytes(payload, "big")
            case _ if kind == RST_STREAM and stream in self._calls:
                self._on_reset(stream, int.from_bytes(payload, "big"))
            case _ if kind == GOAWAY:
                self._on_goaway(int.from_bytes(payload[:4], "big"))

    def _on_headers(self, flags: int, stream: int, block: bytes) -> None:
        if not flags & END_HEADERS:
            raise BenchError("a server that continues its heads is more than this load knows")
        fields = self._known.get(block)
        if fields is None:
            pairs = self._decoder.decode(block, raw=True)
            fields = self._known[block] = _decoded((pair[0], pair[1]) for pair in pairs)
        if stream not in self._calls:
            return
        if not flags & END_STREAM:
            self._fields[stream] = fields
            return
        whole = self._fields.get(stream, {}) | fields
        message = b"".join(self._messages.get(stream, ()))
        call = self._forget(stream)
        code = whole.get("grpc-status")
        if code == "0":
            self._ended.append(Ended(call, "OK", message[PREFIX.size :], {}))
            return
        known = code is not None and code.isdigit() and int(code) < len(CODES)
        status = CODES[int(code or 0)] if known else f"HTTP {whole.get(':status')}"
        said = unquote_to_bytes(whole.get("grpc-message", ""))
        self._ended.append(Ended(call, status, said, whole))

    def _on_settings(self, payload: bytes) -> None:
        for setting, value in SETTING.iter_unpack(payload):
            if setting == INITIAL_WINDOW:
                self._first_window = value
            elif setting == FRAME_SIZE:
                self._frame = value
            elif setting == MOST_STREAMS:
                self._most = value
        if len(self._body) > self._first_window:
            size = f"{len(self._body)} bytes, more than the server's window"
            raise BenchError(f"this load sends a message at once, and this one has {size}")
        self._out.append(frame(SETTINGS, ACK, 0))

    def _on_reset(self, stream: int, reason: int) -> None:
        call = self._forget(stream)
        if reason == REFUSED:
            self._untouched.append(call)
        else:
            self._ended.append(Ended(call, BROKEN, b"RST_STREAM %d" % reason, {}))

    def _on_goaway(self, last: int) -> None:
        self.closing = True
        beyond = [stream for stream in self._calls if stream > last]
        self._untouched += [self._forget(stream) for stream in beyond]

    def _forget(self, stream: int) -> int:
        self._messages.pop(stream, None)
        self._fields.pop(stream, None)
        call = self._calls.pop(stream)
        del self._streams[call]
        return call


def wire(url: SplitResult, question: Question) -> Wire:
    """What the question's content type asks for."""
    grpc = question.headers.get("content-type") == GRPC_TYPE["content-type"]
    return Grpc(url, question) if grpc else Http1(url, question)


def _decoded(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


def _credit(size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big"))


def _literal(name: bytes, value: bytes) -> bytes:
    """A field of HPACK that is written out and never to be remembered."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, more = len(text) - 127, bytearray([127])
    while rest >= 128:
        more.append(rest & 127 | 128)
        rest >>= 7
    more.append(rest)
    return bytes(more) + text
