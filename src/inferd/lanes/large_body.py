"""Receives a large body of known length where it is to lie, without the parser and without joining
pieces."""

import asyncio


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
        # Zeroed pages cost no memory before they are written to: a length that is announced only
        # takes none.
        self._body = bytearray(size)
        self._body[: len(begun)] = begun
        self._room, self._filled = memoryview(self._body), len(begun)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: never beyond the body, so that what follows it is not read
        here."""
        return self._room[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were received."""
        self._filled += nbytes
        if self._filled < len(self._body):
            self._owner.body_progressed(self._filled)
            return
        self._room.release()
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
