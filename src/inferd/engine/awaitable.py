"""A Reply that can be awaited: for ASGI servers, streams and notebooks, whose callers wait in a
coroutine."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from inferd.calls import Response
from inferd.errors import Cancelled, InferdError


class AwaitableReply:
    """Collects parts for ``async for``, or the only part for ``await first()``. For the loop thread
    only."""

    ROOM = 4  # parts held unread before the maker is asked to wait

    def __init__(self) -> None:
        self.cancelled = False
        self._parts: deque[Response] = deque()
        self._ended = False
        self._error: InferdError | None = None
        self._news = asyncio.Event()
        self._waiting: list[Callable[[], None]] = []

    @property
    def writable(self) -> bool:
        """Whether there is room for another part."""
        return len(self._parts) < self.ROOM

    def on_writable(self, callback: Callable[[], None]) -> None:
        """See ``calls.Reply``."""
        self._waiting.append(callback)
        self._tell()

    def part(self, response: Response) -> None:
        """See ``calls.Reply``."""
        if not self.cancelled:
            self._parts.append(response)
            self._news.set()

    def end(self) -> None:
        """See ``calls.Reply``."""
        self._ended = True
        self._news.set()

    def fail(self, error: InferdError) -> None:
        """See ``calls.Reply``."""
        self._error = error
        self._news.set()

    def cancel(self) -> None:
        """The caller goes away: nothing more is read."""
        self.cancelled = True
        self._parts.clear()
        self._tell()

    async def first(self) -> Response:
        """The only part of a unary answer. Raises the error that it ended with."""
        async for response in self:
            return response
        raise Cancelled("the call ended without an answer")

    async def __aiter__(self) -> AsyncIterator[Response]:
        """Every part, as it comes; leaving early cancels the call. Raises the error that it ended
        with."""
        try:
            while True:
                while self._parts:
                    response = self._parts.popleft()
                    self._tell()
                    yield response
                if self._error:
                    raise self._error
                if self._ended:
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            if not self._ended and not self._error:
                self.cancel()

    def _tell(self) -> None:
        """Call those who wait for room, if there is some, or nobody reads any more."""
        if self.writable or self.cancelled:
            callbacks, self._waiting = self._waiting, []
            for callback in callbacks:
                callback()
