"""A request's place in the order of its connection: answers leave in the order of their
requests."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Protocol

from inferd.errors import InferdError, MethodNotAllowed, UnsupportedEncoding, UpgradeRequired
from inferd.lanes.request_ids import request_id_field
from inferd.lanes.service import Service
from inferd.lanes.statuses import STATUS
from inferd.protocols.base import Dialect, Message
from inferd.wire import codings

CLOSE = b"connection: close\r\n"


class Turn:
    """What the connection knows of a request that is being answered."""

    __slots__ = ("cancelled", "done", "held", "keep_alive", "lingers", "reads")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        """Whether the connection goes on after this answer."""
        self.cancelled = False
        """Whether the client has gone."""
        self.done = False
        """Whether the whole answer was handed to the connection."""
        self.lingers = False
        """Whether the client may still be sending what was refused, and must finish to hear it."""
        self.reads = False
        """Whether its large body is being read in a thread: one at a time is held for a client."""
        self.held: tuple[bytes | memoryview, ...] = ()
        """What was written before its turn."""

    @property
    def is_begun(self) -> bool:
        """Whether a part of the answer was written, with what its head says."""
        return False

    @property
    def takes_interim(self) -> bool:
        """Whether an answer that tells of another to come may still be written."""
        return False

    def take_back(self) -> None:
        """It is not the last after all: nothing of its answer was written yet."""
        self.keep_alive = True
        if self.held:
            head, *rest = self.held
            self.held = (bytes(head).replace(b"\r\n" + CLOSE, b"\r\n", 1), *rest)

    def disconnect(self) -> None:
        """The client has gone."""
        self.cancelled = True

    def hear_no_more(self) -> None:
        """The client sends no more, and may still read."""


class Carrier(Protocol):
    """The connection, as its turns need it."""

    service: Service

    def send(self, turn: Turn, data: bytes | memoryview, *, last: bool) -> None:
        """Write *data*, now or when it is *turn*'s turn; it is not changed after that."""

    def is_writable(self, turn: Turn) -> bool:
        """Whether *turn* is being read as fast as it writes."""

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call *callback* once ``is_writable`` may have changed, or the client has gone."""

    def pace(self) -> None:
        """Read on, or stop reading, as the turns have room."""

    def call_back(self) -> None:
        """Tell those who wait for room, who may have some."""

    def cut(self, turn: Turn) -> None:
        """Break *turn*'s answer off: close the connection where it stands, and not before."""


def error_answer(
    dialect: Dialect,
    error: InferdError,
    message: Message | None,
    fields: Mapping[bytes, bytes],
    service: Service,
) -> tuple[bytes, bytes]:
    """The head of an error's answer, without the empty line, and its body; *fields* are the
    request's headers, as far as they were read."""
    payload = dialect.encode_error(error, message)
    status, phrase = STATUS[dialect.code(error, message)]
    lines = [b"%b: %b\r\n" % field for field in (*error_fields(error), *payload.headers)]
    lines.append(request_id_field(fields))
    head = b"HTTP/1.1 %d %b\r\n%bcontent-type: %b\r\n%bcontent-length: %d\r\n"
    return head % (
        status,
        phrase,
        service.date,
        payload.content_type,
        b"".join(lines),
        len(payload.body),
    ), payload.body


def error_fields(error: InferdError) -> list[tuple[bytes, bytes]]:
    """The headers that an error's status calls for (RFC 9110, sections 10.2.3, 15.5.6, 15.5.16 and
    15.5.22)."""
    if error.retry_after:
        return [(b"retry-after", b"%d" % ceil(error.retry_after))]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allowed).encode())]
    if isinstance(error, UnsupportedEncoding):
        return [(b"accept-encoding", codings.NAMES.encode())]
    if isinstance(error, UpgradeRequired):
        return [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    return []


def connection_field(turn: Turn, *, old_http: bool) -> bytes:
    """The Connection header that *turn*'s answer needs: HTTP/1.1 keeps alive unsaid, HTTP/1.0
    closes unsaid."""
    if not turn.keep_alive:
        return CLOSE
    return b"connection: keep-alive\r\n" if old_http else b""
