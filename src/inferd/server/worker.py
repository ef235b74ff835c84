"""One serving process, as a timeline: take the addresses, load, open the doors, serve, drain,
stop."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from inferd import plugins
from inferd.app.deferred import Deferred
from inferd.config import Settings
from inferd.gate import door
from inferd.lanes.greeting import Greeting
from inferd.lanes.routing import Routes
from inferd.lanes.service import Service, limits
from inferd.log import logger
from inferd.models.loader import Progress, quiet
from inferd.models.manager import Manager
from inferd.pipeline import Pipeline, cores
from inferd.protocols.base import Dialect
from inferd.server import tls
from inferd.server.listeners import MAIN, Listener, plan, take


class Worker:
    """Serves the models at some paths until it is told to stop."""

    def __init__(self, paths: Sequence[Path], settings: Settings, name: str | None = None) -> None:
        self._paths, self._settings, self._name = paths, settings, name
        self.pipeline = Pipeline(settings, cores=cores())
        self.dialects: list[Dialect] = [dialect for _, dialect in plugins.load_all("protocols")]
        self.listeners: tuple[Listener, ...] = ()
        """The addresses that were taken, the main one first."""
        self._stop: asyncio.Event
        self._services: dict[str, Service] = {}
        self.cut_off = 0
        """Connections that did not end in time."""

    @property
    def manager(self) -> Manager:
        """The models."""
        return self.pipeline.manager

    @property
    def url(self) -> str:
        """Of the main listener."""
        return self.listeners[0].url

    @property
    def urls(self) -> dict[str, str]:
        """Of each listener, by its name."""
        return {listener.plan.name: listener.url for listener in self.listeners}

    def prepare(self, progress: Progress = quiet) -> None:
        """Take the addresses, then load: a taken port is told before, not after, the models were
        loaded. *progress* is told what is being done.

        Raises ConfigError or LoadError, and then holds nothing.
        """
        settings = self._settings
        try:
            certificate = tls.load(settings.tls_cert, settings.tls_key)
            self.listeners = take(plan(settings, self.dialects), settings, certificate)
            self.pipeline.load(self._paths, self._name, progress)
        except BaseException:
            self._let_go()
            raise
        for warning in certificate.warnings if certificate else ():
            logger.warning("%s", warning)

    async def serve(
        self, ready: Callable[[], None], settled: Callable[[], None] = lambda: None
    ) -> None:
        """Open the doors, call *ready*, and serve until ``stop``; then drain.

        *settled* is called when all that a long-lived server imports and makes is there.
        """
        try:
            await self._serve(ready, settled)
        finally:
            self._let_go()
        if self.cut_off:
            logger.warning("%d connections were cut off: they did not end in time", self.cut_off)

    async def _serve(self, ready: Callable[[], None], settled: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pipeline.home.attach(loop)
        self._stop = asyncio.Event()
        servers = [await self._open(listener) for listener in self.listeners]
        services = self._services.values()
        app = self._open_app(loop)
        app.add_done_callback(lambda _: settled())
        self._services[MAIN].app = Deferred(app)
        ready()
        await self._stop.wait()
        self.manager.stopping = True
        for server in servers:
            server.close()
        seconds = self._settings.drain_seconds
        self.cut_off = sum(await asyncio.gather(*(each.drain(seconds) for each in services)))
        for service in services:
            service.stop()

    async def _open(self, listener: Listener) -> asyncio.AbstractServer:
        """Answer at *listener*, with limits and connections of its own."""
        service = Service(
            Routes(listener.plan.dialects, self.pipeline.handlers),
            self.manager.lookup,
            self.pipeline.home,
            door.off,
            limits(self._settings),
        )
        self._services[listener.plan.name] = service
        service.start()
        return await listener.open(lambda: Greeting(service))

    def _let_go(self) -> None:
        """Give everything back."""
        for listener in self.listeners:
            listener.close()
        self.pipeline.close()

    def stop(self) -> None:
        """Stop serving. For the loop thread; a second call changes nothing."""
        self._stop.set()

    def hurry(self) -> None:
        """Wait no longer for what is in progress. For the loop thread, after ``stop``."""
        for service in self._services.values():
            service.hurried = True

    def _open_app(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[object]:
        """Make the app in a thread: importing FastAPI takes longer than all the rest, and inference
        needs none of it."""

        def make() -> object:
            from inferd.app.build import build

            for dialect in self.dialects:
                if dialect.rpc is not None:
                    dialect.rpc.prepare()
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
