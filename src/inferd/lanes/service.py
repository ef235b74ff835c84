"""What all connections of a listener share: routes, limits, the app behind, and the clock that
ticks once a second."""

import asyncio
from email.utils import formatdate
from typing import Any, Protocol

import msgspec

from inferd.calls import Lookup
from inferd.config import Settings
from inferd.engine.home import Home
from inferd.gate.door import Door
from inferd.lanes.heads import KnownHeads
from inferd.lanes.routing import Routes
from inferd.log import logger
from inferd.wire.h2.budgets import Limits as H2Limits

TICK_SECONDS = 1.0  # the date's resolution, and fine enough for limits of seconds


LONG_LENGTH = 6  # digits of a body that is worth a second thought


class Limits(msgspec.Struct, frozen=True):
    """What one connection may ask for."""

    body_bytes: int
    keep_alive_seconds: float
    read_timeout_seconds: float
    long_length: int
    """Digits of a content-length that may be large, or too large: shorter ones need no second
    look."""
    head_bytes: int = 64 * 1024
    """Request line and headers; nginx allows 32 KiB, Apache 100 fields of 8 KiB, and browsers send
    a few."""
    pipelined: int = 64
    """Requests of one connection under way; beyond that it is not read."""
    offload_bytes: int = 128 * 1024
    """A body larger than this is decoded in a thread: about a millisecond of parsing."""
    offload_values: int = 16 * 1024
    """An answer of more values than this is encoded in a thread."""
    connection_age_seconds: float = 0.0
    """After so long an HTTP/2 connection takes no new streams, and closes; 0: never."""
    h2: H2Limits = H2Limits()


def limits(settings: Settings) -> Limits:
    """The limits that *settings* ask for."""
    digits = min(len(str(settings.max_body_bytes)), LONG_LENGTH)
    return Limits(
        settings.max_body_bytes,
        settings.keep_alive_seconds,
        settings.read_timeout_seconds,
        digits,
        connection_age_seconds=settings.max_connection_age_seconds,
    )


class Connection(Protocol):
    """What the service asks of a connection, whatever it speaks."""

    def tick(self, now: float) -> None:
        """Once a second: close if the peer has been silent for too long."""

    def drain(self) -> None:
        """Close when what was asked is answered; at once where nothing was."""

    def abort(self) -> None:
        """Close now."""


class Service:
    """One listener's share of the server. For the loop thread only."""

    def __init__(
        self, routes: Routes, lookup: Lookup, home: Home, door: Door, limits: Limits
    ) -> None:
        self.routes, self.lookup, self.home, self.door, self.limits = (
            routes,
            lookup,
            home,
            door,
            limits,
        )
        self.heads = KnownHeads()
        self.app: Any = None
        """The ASGI app for what no dialect answers; None: nothing."""
        self.connections: set[Connection] = set()
        self.draining = self.hurried = False
        self.now = 0.0
        self.date = b""
        self._ok: dict[bytes, bytes] = {}
        self._ticking: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick, on the running loop."""
        loop = self.home.loop
        self.now = loop.time()
        # RFC 9110, 6.6.1: an origin server with a clock sends Date. Whole seconds, so one text
        # serves many answers.
        self.date = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
        self._ok = {}
        for connection in tuple(self.connections):
            try:
                connection.tick(self.now)
            except Exception:  # noqa: BLE001 - the clock goes on for all others
                logger.exception("a connection was cut off")
                connection.abort()
        self._ticking = loop.call_later(TICK_SECONDS, self.start)

    def ok(self, content_type: bytes) -> bytes:
        """The head of a successful answer up to the number of its length."""
        start = self._ok.get(content_type)
        if start is None:  # once for every date
            parts = b"HTTP/1.1 200 OK\r\n", self.date, b"content-type: ", content_type
            start = self._ok[content_type] = b"".join([*parts, b"\r\ncontent-length: "])
        return start

    async def drain(self, seconds: float) -> int:
        """Let every connection end what it was asked; after *seconds* cut the rest off. How many
        were cut off."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()
        deadline = self.home.loop.time() + seconds
        # Polled: a connection that ends has nobody to tell. Only while the server stops.
        while self.connections and self.home.loop.time() < deadline and not self.hurried:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        left = tuple(self.connections)
        for connection in left:
            connection.abort()
        return len(left)

    def stop(self) -> None:
        """Tick no more."""
        if self._ticking:
            self._ticking.cancel()
