"""WebSocket frames without IO (RFC 6455, section 5): bytes in, whole messages out, and messages in,
bytes out.

``wsproto`` reads the frames and holds them against the standard. No extension is spoken, not even
compression (RFC 7692): it costs up to 300 KiB of memory a connection, and a few bytes could claim
to be gigabytes. Clients offer it, and do without where it is not taken up.
"""

from collections.abc import Iterator
from typing import Protocol

from wsproto import connection, events  # noqa: TID253 - the file is for those who use it

State = connection.ConnectionState
TOO_BIG = 1009  # RFC 6455, section 7.4.1


class Reader(Protocol):
    """The connection, which is told what its client's frames mean."""

    def on_message(self, body: bytes | bytearray) -> None:
        """A message has come to its end."""

    def on_ping(self, answer: bytes) -> None:
        """The client asks for a sign of life: *answer*."""

    def on_closed(self, answer: bytes) -> None:
        """The client has closed its side. *answer* is owed to it; empty where we closed first."""

    def on_fault(self, code: int, reason: str) -> None:
        """The client broke the standard, or sent too much: nothing more can be read."""


class Frames:
    """One connection's frames. A message is held once, however many frames it comes in."""

    def __init__(self, reader: Reader, most: int) -> None:
        self._connection = connection.Connection(connection.ConnectionType.SERVER)
        self._reader, self._most = reader, most
        """Most bytes of a message."""
        self._body = bytearray()
        self.is_amid = False
        """Whether a message has begun and not ended."""

    @property
    def size(self) -> int:
        """Bytes that are there of a message that has not ended."""
        return len(self._body)

    def feed(self, data: bytes) -> None:
        """Take what was read; ``tell`` says what it holds."""
        self._connection.receive_data(data)

    def tell(self) -> Iterator[None]:
        """Tell the reader what was read, a frame or a piece of one each time. May be left, and
        taken up again later."""
        for event in self._connection.events():
            self._tell(event)
            yield

    def close(self, code: int, reason: str) -> bytes:
        """The frame that closes this side."""
        return self._connection.send(events.CloseConnection(code, reason))

    def ping(self) -> bytes:
        """A frame that asks whether the client is still there."""
        return self._connection.send(events.Ping())

    def _tell(self, event: events.Event) -> None:
        if isinstance(event, events.TextMessage):
            self._collect(event.data.encode(), whole=event.message_finished)
        elif isinstance(event, events.BytesMessage):
            self._collect(event.data, whole=event.message_finished)
        elif isinstance(event, events.CloseConnection):
            self._close(event)
        elif isinstance(event, events.Ping) and self._connection.state is State.OPEN:
            self._reader.on_ping(self._connection.send(event.response()))

    def _collect(self, data: bytes | bytearray, *, whole: bool) -> None:
        size = len(self._body) + len(data)
        self.is_amid = not whole
        if size > self._most:
            self._body = bytearray()
            reason = f"a message has at most {self._most} bytes"
            self._reader.on_fault(TOO_BIG, reason)
        elif whole and not self._body:
            self._reader.on_message(data)
        else:
            self._body += data
            if whole:
                body, self._body = self._body, bytearray()
                self._reader.on_message(body)

    def _close(self, event: events.CloseConnection) -> None:
        state = self._connection.state
        if state is State.REMOTE_CLOSING:
            self._reader.on_closed(self._connection.send(event.response()))
        elif state is State.CLOSED:
            self._reader.on_closed(b"")
        else:  # the client closes nothing: wsproto tells faults in this way
            self._reader.on_fault(event.code, event.reason or "")
