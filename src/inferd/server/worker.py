"""One serving process, as a timeline: take the address, load, open the doors, serve, drain,
stop."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from inferd import plugins
from inferd.app.deferred import Deferred
from inferd.config import Settings
from inferd.gate import door
from inferd.lanes.http1 import Http1Connection
from inferd.lanes.routing import Routes
from inferd.lanes.service import Service, limits
from inferd.log import logger
from inferd.models.loader import Progress, quiet
from inferd.models.manager import Manager
from inferd.pipeline import Pipeline, cores
from inferd.protocols.base import Dialect
from inferd.server.ports import bind, url_of

BACKLOG = 2048  # connections that wait to be accepted; the kernel caps it at its own limit


class Worker:
    """Serves the models at some paths until it is told to stop."""

    def __init__(self, paths: Sequence[Path], settings: Settings, name: str | None = None) -> None:
        self._paths, self._settings, self._name = paths, settings, name
        self.pipeline = Pipeline(settings, cores=cores())
        self.dialects: list[Dialect] = [dialect for _, dialect in plugins.load_all("protocols")]
        self._listener: socket.socket
        self.url: str
        """Of the address as it was bound."""
        self._stop: asyncio.Event
        self._service: Service
        self.cut_off = 0
        """Connections that did not end in time."""

    @property
    def manager(self) -> Manager:
        """The models."""
        return self.pipeline.manager

    def prepare(self, progress: Progress = quiet) -> None:
        """Take the address, then load: a taken port is told before, not after, the models were
        loaded. *progress* is told what is being done.

        Raises ConfigError or LoadError, and then holds nothing.
        """
        settings = self._settings
        self._listener = bind(
            settings.host, settings.port, insecure_no_auth=settings.insecure_no_auth
        )
        self.url = url_of(self._listener)
        try:
            self.pipeline.load(self._paths, self._name, progress)
        except BaseException:
            self._listener.close()
            self.pipeline.close()
            raise

    async def serve(
        self, ready: Callable[[], None], settled: Callable[[], None] = lambda: None
    ) -> None:
        """Open the doors, call *ready*, and serve until ``stop``; then drain.

        *settled* is called when all that a long-lived server imports and makes is there.
        """
        loop = asyncio.get_running_loop()
        self.pipeline.home.attach(loop)
        self._stop = asyncio.Event()
        routes = Routes(self.dialects, self.pipeline.handlers)
        self._service = service = Service(
            routes, self.manager.lookup, self.pipeline.home, door.off, limits(self._settings)
        )
        service.start()
        server = await loop.create_server(
            lambda: Http1Connection(service), sock=self._listener, backlog=BACKLOG
        )
        app = self._open_app(loop)
        app.add_done_callback(lambda _: settled())
        service.app = Deferred(app)
        ready()
        await self._stop.wait()
        self.manager.stopping = True
        server.close()
        self.cut_off = await service.drain(self._settings.drain_seconds)
        service.stop()
        self.pipeline.close()
        if self.cut_off:
            logger.warning("%d connections were cut off: they did not end in time", self.cut_off)

    def stop(self) -> None:
        """Stop serving. For the loop thread; a second call changes nothing."""
        self._stop.set()

    def hurry(self) -> None:
        """Wait no longer for what is in progress. For the loop thread, after ``stop``."""
        self._service.hurried = True

    def _open_app(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[object]:
        """Make the app in a thread: importing FastAPI takes longer than all the rest, and inference
        needs none of it."""

        def make() -> object:
            from inferd.app.build import build

            return build(self.manager, self.dialects)

        return loop.run_in_executor(self.pipeline.home.codecs, make)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where there is one: twice as fast as the standard library's on small
    requests."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
