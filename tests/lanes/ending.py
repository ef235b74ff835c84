"""A server that is told to stop by hand, so that a test knows where in its end it is."""

import asyncio
import time
from concurrent.futures import Future

from inferd.lanes.service import Service
from inferd.server.embedded import Server

SECONDS = 10.0  # that requests under way may take


class Ending:
    """The draining of *server*'s main listener, in another thread than the test's."""

    def __init__(self, server: Server) -> None:
        worker = server._worker
        self.service: Service = worker._services["main"]
        self._loop = worker.pipeline.home.loop
        self._drained: Future[int]

    def begin(self, farewell: float) -> None:
        """Tell the server, and return when it has told its clients."""
        draining = self.service.drain(SECONDS, farewell)
        self._drained = asyncio.run_coroutine_threadsafe(draining, self._loop)
        deadline = time.monotonic() + SECONDS
        while not self.service.draining:
            assert time.monotonic() < deadline, "it never began"
            time.sleep(0.001)
        told: Future[None] = Future()
        self._loop.call_soon_threadsafe(told.set_result, None)
        told.result(SECONDS)

    def cut_off(self) -> int:
        """The connections that had to be cut off; waits for the end."""
        return self._drained.result(2 * SECONDS)
