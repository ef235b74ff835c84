"""HTTP/2 as bytes (RFC 9113): frames and header blocks written as a client may, right or wrong, and
a server's read as strictly as one may."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hpack import Decoder, HPACKError

from fuzz.answers import Malformed

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 0, 1, 11
CANCEL = 8
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
LARGEST_FRAME = 1 << 14
"""What a server may send to a client that says nothing of it."""
ANY_FRAME = (1 << 24) - 1
GRPC = (b"content-type", b"application/grpc")

Field = tuple[bytes, bytes]


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of a RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8])


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame's bytes."""
    head = len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4)
    return head + payload


def number(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4)


def settings(*entries: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(name.to_bytes(2) + number(value) for name, value in entries)
    return frame(SETTINGS, payload=payload)


START = PREFACE + settings()


def block(fields: Iterable[Field]) -> bytes:
    """A header block of literals, which changes no table (RFC 7541, section 6.2.2)."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def indexed(name: bytes, value: bytes) -> bytes:
    """A field that enters the dynamic table (section 6.2.1)."""
    return b"\x40" + _string(name) + _string(value)


def head(stream: int, fields: Iterable[Field], *, end: bool = False) -> bytes:
    """A request's head in one frame."""
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(fields))


def body(stream: int, data: bytes, *, end: bool = True) -> bytes:
    """A request's data in frames that every server takes."""
    pieces = [data[at : at + LARGEST_FRAME] for at in range(0, len(data), LARGEST_FRAME)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(DATA, END_STREAM if end and at == last else 0, stream, piece)
        for at, piece in enumerate(pieces)
    )


def plain_fields(method: str, target: str, *more: Field) -> list[Field]:
    """The head of an ordinary request."""
    return [
        (b":method", method.encode()),
        (b":scheme", b"http"),
        (b":path", target.encode()),
        (b":authority", b"localhost"),
        *more,
    ]


def grpc_fields(path: str, *more: Field) -> list[Field]:
    """The head of a call."""
    return plain_fields("POST", path, GRPC, (b"te", b"trailers"), *more)


def message(data: bytes, *, packed: bool = False) -> bytes:
    """A message of gRPC behind its prefix."""
    return bytes([packed]) + number(len(data)) + data


def messages(data: bytes) -> list[bytes]:
    """The messages that *data* is. Raises Malformed."""
    found, at = [], 0
    while at < len(data):
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5])
        if data[at] > 1 or end > len(data) or len(data) < at + 5:
            raise Malformed(f"no message of gRPC: {data[at : at + 40]!r}")
        found.append(data[at + 5 : end])
        at = end
    return found


def _string(text: bytes) -> bytes:
    return _integer(len(text)) + text


def _integer(value: int) -> bytes:
    """Section 5.1, with a prefix of seven bits."""
    if value < 127:
        return bytes([value])
    value, written = value - 127, bytearray([127])
    while value >= 128:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


class Answer:
    """What came on one stream."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        """The head, as it came."""
        self.trailers: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.ended = False
        self.reset: int | None = None
        """The code with which the server broke it off."""

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The head; of a name that is twice there, the last."""
        return dict(self.fields)

    @property
    def status(self) -> int:
        """Of HTTP; 0 before the head came."""
        return int(self.headers.get(b":status", b"0"))

    @property
    def grpc(self) -> int | None:
        """gRPC's status, if it has come."""
        told = self.trailers.get(b"grpc-status", self.headers.get(b"grpc-status"))
        return None if told is None else int(told)

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.ended or self.reset is not None


class Reader:
    """All that a server sends on one connection. Raises Malformed for what none may send."""

    def __init__(self, most: int = LARGEST_FRAME) -> None:
        self._data, self._most = bytearray(), most
        self._decoder = Decoder()
        self._block: bytearray | None = None
        self._block_ends = False
        self.frames: list[Frame] = []
        """Those that are no answer, oldest first."""
        self.answers: dict[int, Answer] = {}

    @property
    def rest(self) -> bytes:
        """What came of an incomplete frame."""
        return bytes(self._data)

    @property
    def goaway(self) -> Frame | None:
        """The last one, if one came."""
        return next((each for each in reversed(self.frames) if each.kind == GOAWAY), None)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now."""
        self._data += data
        found = list(self._cut())
        for each in found:
            self._take(each)
        return found

    def _cut(self) -> Iterator[Frame]:
        data, at = self._data, 0
        while len(data) - at >= HEAD_BYTES:
            size = int.from_bytes(data[at : at + 3])
            if size > self._most:
                raise Malformed(f"a frame of {size} bytes: {bytes(data[at : at + 40])!r}")
            if len(data) < at + HEAD_BYTES + size:
                break
            stream = int.from_bytes(data[at + 5 : at + HEAD_BYTES])
            payload = bytes(data[at + HEAD_BYTES : at + HEAD_BYTES + size])
            yield Frame(data[at + 3], data[at + 4], stream, payload)
            at += HEAD_BYTES + size
        del data[:at]

    def _take(self, each: Frame) -> None:
        if self._block is not None and each.kind != CONTINUATION:
            raise Malformed("a frame within a header block")
        if each.kind == DATA:
            answer = self._open(each.stream)
            if not answer.status:
                raise Malformed("data before a head")
            answer.body += each.payload
            answer.ended = bool(each.flags & END_STREAM)
        elif each.kind == HEADERS:
            self._open(each.stream)
            self._block, self._block_ends = bytearray(), bool(each.flags & END_STREAM)
            self._add(each)
        elif each.kind == CONTINUATION:
            self._add(each)
        elif each.kind == RST_STREAM:
            self.answers.setdefault(each.stream, Answer()).reset = each.code
        elif each.kind in (SETTINGS, PING, GOAWAY, WINDOW_UPDATE):
            self.frames.append(each)
        else:
            raise Malformed(f"a frame of type {each.kind} from a server")

    def _open(self, stream: int) -> Answer:
        """The answer on *stream*, which goes on."""
        answer = self.answers.setdefault(stream, Answer())
        if not stream & 1 or answer.is_over:
            raise Malformed(f"a frame on stream {stream}, which is over")
        return answer

    def _add(self, each: Frame) -> None:
        """A piece of a header block."""
        if self._block is None:
            raise Malformed("CONTINUATION without a header block")
        self._block += each.payload
        if not each.flags & END_HEADERS:
            return
        try:
            fields = [(n, v) for n, v in self._decoder.decode(bytes(self._block), raw=True)]
        except HPACKError as error:
            raise Malformed(f"a header block that is none: {error}") from None
        self._block, answer = None, self.answers[each.stream]
        if any(name != name.lower() for name, _ in fields):
            raise Malformed("a name in upper case")
        if answer.status >= 200:
            if b":status" in dict(fields) or not self._block_ends:
                raise Malformed("trailers that are none")
            answer.trailers = dict(fields)
        else:
            answer.fields = fields
            if not answer.status:
                raise Malformed("a head without a status")
        answer.ended = self._block_ends
