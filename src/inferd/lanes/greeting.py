"""The first bytes of a connection: they tell whether it speaks HTTP/2, and all else is HTTP/1.1."""

import asyncio

from inferd.lanes.http1 import GOODBYE_SECONDS, Http1Connection
from inferd.lanes.patience import Patience
from inferd.lanes.service import Service
from inferd.lanes.turned_away import TurnedAway
from inferd.wire.h2.frames import PREFACE


class Greeting(asyncio.Protocol):
    """A connection of which it is not known yet what it speaks."""

    def __init__(self, service: Service) -> None:
        self._service, self._first = service, b""
        self._transport: asyncio.Transport
        self._patience = Patience(service.limits, service.now)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's is one
        service = self._service
        service.connections.add(self)
        if service.capacity.is_crowded:
            service.connections.discard(self)
            pass_on(transport, TurnedAway(service))
        else:
            service.begin(self)

    def data_received(self, data: bytes) -> None:
        first = self._first = self._first + data if self._first else data
        if first.startswith(PREFACE):
            from inferd.lanes.http2 import Http2Connection  # a server of REST may never need it

            self._go_on(Http2Connection(self._service))
        elif not PREFACE.startswith(first):
            self._go_on(Http1Connection(self._service))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.connections.discard(self)

    def tick(self, now: float) -> None:
        if self._transport.is_closing():
            self.abort()  # TLS waits for the client's goodbye; nothing was said that could be lost
        elif self._patience.is_over(now, deaf=False, idle=not self._first):
            self._transport.close()

    def warn(self) -> None:
        """Its first request may be on its way."""

    def drain(self) -> None:
        self._transport.close()
        if not self._transport.can_write_eof():
            self._service.home.loop.call_later(GOODBYE_SECONDS, self.abort)

    def abort(self) -> None:
        self._transport.abort()

    def _go_on(self, connection: asyncio.Protocol) -> None:
        self._service.connections.discard(self)
        pass_on(self._transport, connection)
        connection.data_received(self._first)


def pass_on(transport: asyncio.BaseTransport, connection: asyncio.Protocol) -> None:
    """Have *connection* go on with *transport*."""
    transport.set_protocol(connection)
    connection.connection_made(transport)
