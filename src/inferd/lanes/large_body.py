"""Receives a large body of known length where it is to lie, without the parser and without joining
pieces."""

import asyncio

LARGE = 256 * 1024  # bytes of a body from which on this saves more than it costs
STEP = 1 << 20  # bytes of room at first; it doubles from there on


class Receiver(asyncio.Protocol):
    """The connection whose body it is, and the transport's protocol again after that."""

    def body_progressed(self, size: int) -> None:
        """*size* bytes of the body are there."""

    def body_arrived(self, body: bytearray) -> None:
        """All of it is there."""


class LargeBody(asyncio.BufferedProtocol):
    """Stands in for the connection from the head to the end of the body."""

    def __init__(
        self, owner: Receiver, transport: asyncio.Transport, begun: bytes, size: int
    ) -> None:
        self._owner, self._transport = owner, transport
        self._size, self._filled = size, len(begun)
        # It grows as it comes, so that a length that is only announced costs nothing.
        self._body = bytearray(begun)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: never beyond the body, so that what follows it is not read
        here."""
        body = self._body
        if self._filled == len(body):
            body += bytes(min(self._size - len(body), max(len(body), STEP)))
        return memoryview(body)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were received."""
        self._filled += nbytes
        if self._filled < self._size:
            self._owner.body_progressed(self._filled)
            return
        self._transport.set_protocol(self._owner)
        self._owner.body_arrived(self._body)

    def eof_received(self) -> bool | None:
        """The body will never be whole."""
        self._transport.set_protocol(self._owner)
        return self._owner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """As the connection's."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """As the connection's."""
        self._owner.resume_writing()
