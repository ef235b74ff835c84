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
from inferd.lanes.capacity import Capacity
from inferd.lanes.heads import KnownHeads
from inferd.lanes.routing import Routes
from inferd.log import logger
from inferd.wire.h2.budgets import Limits as H2Limits

TICK_SECONDS = 1.0  # the date's resolution, and fine enough for limits of seconds


LONG_LENGTH = 6  # digits of a body that is worth a second thought
NONE_AT_ONCE = 0  # bytes: what has none, as a question of health, takes no room


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

    def warn(self) -> None:
        """Let the client know that the end is near, and answer what it sends before it knows."""

    def drain(self) -> None:
        """Close when what was asked is answered; at once where nothing was."""

    def abort(self) -> None:
        """Close now."""


class Service:
    """One listener's share of the server. For the loop thread only."""

    def __init__(
        self,
        routes: Routes,
        lookup: Lookup,
        home: Home,
        door: Door,
        limits: Limits,
        capacity: Capacity | None = None,
    ) -> None:
        self.routes, self.lookup, self.home, self.door, self.limits = (
            routes,
            lookup,
            home,
            door,
            limits,
        )
        self.capacity = capacity or Capacity()
        """Of the worker; shared by all its listeners."""
        self.capacity.services.append(self)
        self.heads = KnownHeads()
        self.app: Any = None
        """The ASGI app for what no dialect answers; None: nothing."""
        self.connections: set[Connection] = set()
        """Of clients."""
        self.uncounted: set[Connection] = set()
        """Those that stand for a request on one of the others, and of clients that were turned
        away."""
        self.draining = self.parting = self.hurried = False
        """Whether the end is near; whether nobody is waited for any more who has asked nothing; and
        whether nobody is waited for at all."""
        self.careful, self.at_once = False, limits.offload_bytes
        """Whether an ordinary request needs a second look, and the bytes of a message that needs
        none: by these the quick paths heed the end, and the capacity."""
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
        for connection in self._every():
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

    def look_closely(self) -> None:
        """The end has come nearer, or the capacity's ``is_full`` has changed."""
        is_full = self.capacity.is_full
        self.careful = self.draining or is_full
        self.at_once = NONE_AT_ONCE if is_full else self.limits.offload_bytes

    def begin(self, connection: Connection) -> None:
        """*connection* has begun, perhaps late: shaking hands by TLS takes a while."""
        if self.parting:
            connection.drain()
        elif self.draining:
            connection.warn()

    async def drain(self, seconds: float, farewell: float = 0.0) -> int:
        """Let every connection end what it was asked; after *seconds* cut the rest off. How many
        were cut off.

        For the first *farewell* seconds also what clients send that cannot know of the end yet is
        answered: with it they are told.
        """
        begun = self.home.loop.time()
        if farewell:
            self.warn()
            await self._quiet(begun + min(farewell, seconds))
        self.part()
        await self._quiet(begun + seconds)
        left = tuple(self.connections)
        for connection in left:
            connection.abort()
        return len(left)

    def warn(self) -> None:
        """The end is near."""
        self.draining = True
        self.look_closely()
        for connection in self._every():
            connection.warn()

    def part(self) -> None:
        """The end has come: only what was asked is answered."""
        self.draining = self.parting = True
        self.look_closely()
        for connection in self._every():
            connection.drain()

    def stop(self) -> None:
        """Tick no more."""
        if self._ticking:
            self._ticking.cancel()

    def _every(self) -> tuple[Connection, ...]:
        return (*self.connections, *self.uncounted)

    async def _quiet(self, deadline: float) -> None:
        """Wait until no connection is left, or for *deadline*."""
        # Polled: a connection that ends has nobody to tell. Only while the server stops.
        while self.connections and self.home.loop.time() < deadline and not self.hurried:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
