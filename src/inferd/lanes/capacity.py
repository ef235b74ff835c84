"""What one worker holds for its clients at most, over all its listeners: connections, and bytes of
requests."""

import sys
from collections.abc import Callable, Collection
from typing import Protocol

from inferd.config import Settings
from inferd.errors import Overloaded

SPARE_FILES = 256
"""Descriptors that are left for other things than connections: models, logs, pipes."""


class Counted(Protocol):
    """A listener's share of the server, as it is counted here."""

    @property
    def connections(self) -> Collection[object]:
        """Of clients."""

    def look_closely(self) -> None:
        """``is_full`` has changed."""


class Capacity:
    """For the loop thread only. Bytes count from when they come until their request is answered or
    given up; a request that comes and is answered in one turn of the loop is never counted."""

    def __init__(self, connections: int = sys.maxsize, request_bytes: int = sys.maxsize) -> None:
        self.connections, self.request_bytes = connections, request_bytes
        """The most of both."""
        self.bytes = 0
        """Of requests that are held."""
        self.is_full = False
        """Whether no further body is taken."""
        self.turned_away = 0
        """Clients that were too many, and are not gone yet."""
        self.services: list[Counted] = []
        self._held: dict[object, int] = {}

    @property
    def is_crowded(self) -> bool:
        """Whether more clients are connected than may be."""
        return sum([len(each.connections) for each in self.services]) > self.connections

    def expect(self, size: int) -> None:
        """Raise Overloaded where there is no room for *size* bytes more."""
        if self.is_full or self.bytes + size > self.request_bytes:
            raise Overloaded(
                "the server holds as many bytes of requests as it may",
                expected=f"at most {self.request_bytes}",
                cure="Send it again later.",
            )

    def hold(self, holder: object, size: int) -> None:
        """*holder* has *size* bytes now. Raises Overloaded where they are too many, and then it has
        as many as before."""
        more = size - self._held.get(holder, 0)
        if more > 0:
            self.expect(more)
        self.keep(holder, size)

    def keep(self, holder: object, size: int) -> None:
        """As ``hold``, for bytes that are there already, and taken."""
        self.bytes += size - self._held.get(holder, 0)
        self._held[holder] = size
        self._weigh()

    def let_go(self, holder: object) -> None:
        """*holder* has none any more; it may never have had some."""
        size = self._held.pop(holder, 0)
        if size:
            self.bytes -= size
            self._weigh()

    def _weigh(self) -> None:
        is_full = self.bytes >= self.request_bytes
        if is_full is not self.is_full:
            self.is_full = is_full
            for service in self.services:
                service.look_closely()


def capacity(settings: Settings, most_files: Callable[[], int] | None = None) -> Capacity:
    """What *settings* allow, and the system's limit of open files."""
    most = settings.max_connections or _most_connections((most_files or _most_files)())
    return Capacity(most, settings.max_inflight_bytes)


def _most_connections(files: int) -> int:
    return max(files - SPARE_FILES, files // 2)


def _most_files() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return sys.maxsize
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else most
