"""A client beyond those that may be connected at once: its connection ends, and it is told why
where its protocol has words for that."""

import asyncio

from inferd.errors import NotReady
from inferd.lanes.patience import Patience
from inferd.lanes.service import Service
from inferd.lanes.turn import error_answer
from inferd.wire.h2.frames import PREFACE

WAITING = 64
"""Such clients that are waited for until they have said what they speak; any further one is cut
off without a word: each takes one of the descriptors that are spared for other things."""

WORDS = "too many clients are connected"


class TurnedAway(asyncio.Protocol):
    """One such client's connection."""

    def __init__(self, service: Service) -> None:
        self._service, self._first = service, b""
        self._transport: asyncio.Transport
        self._patience = Patience(service.limits, service.now)
        self._told = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's is one
        self._service.uncounted.add(self)
        self._service.capacity.turned_away += 1
        if self._service.capacity.turned_away > WAITING:
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self._told:
            return  # what it sends before it has read the answer
        first = self._first = self._first + data
        if first.startswith(PREFACE):
            # No GOAWAY: gRPC's clients would take the connection for made, and connect again at
            # once and for ever. One that ends before SETTINGS has failed, and they back off.
            self._tell(b"")
        elif not PREFACE.startswith(first):
            self._tell(self._answer())

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.uncounted.discard(self)
        self._service.capacity.turned_away -= 1

    def tick(self, now: float) -> None:
        if self._patience.is_over(now, deaf=True, idle=False):
            self.abort()

    def warn(self) -> None:
        """It is going anyhow."""

    def drain(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._transport.abort()

    def _answer(self) -> bytes:
        service = self._service
        error = NotReady(WORDS, expected=f"at most {service.capacity.connections}")
        head, body = error_answer(service.routes.fallback, error, None, {}, service)
        return head + b"connection: close\r\n\r\n" + body

    def _tell(self, answer: bytes) -> None:
        """Write *answer*, and what comes is not read: closing at once would reset the connection
        under it."""
        self._told = True
        self._transport.write(answer)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
