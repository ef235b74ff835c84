"""One serving process, as a timeline: take the addresses, load, open the doors, serve, drain,
stop."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from inferd import plugins
from inferd.app.deferred import Deferred
from inferd.config import Settings
from inferd.cores import cores
from inferd.gate import door
from inferd.lanes.capacity import capacity
from inferd.lanes.greeting import Greeting
from inferd.lanes.routing import Routes
from inferd.lanes.service import Service, limits
from inferd.log import logger
from inferd.models.loader import Progress, quiet
from inferd.models.manager import Manager
from inferd.pipeline import Pipeline
from inferd.protocols.base import Dialect
from inferd.server.deaf import deafen
from inferd.server.listeners import MAIN, Listener, take_all
from inferd.server.spread import Seat

HANDSHAKE_SECONDS = 0.1  # for a connection that was heard to be made: a packet there and back
TURNS = 1000  # of the loop, to let in who waits when a server stops: each lets in one or more


class Worker:
    """Serves the models at some paths until it is told to stop: alone, or as one of several with
    *listeners* that it was given."""

    def __init__(
        self,
        paths: Sequence[Path],
        settings: Settings,
        name: str | None = None,
        listeners: tuple[Listener, ...] = (),
        workers: int = 1,
    ) -> None:
        self._paths, self._settings, self._name = paths, settings, name
        self.pipeline = Pipeline(settings, max(1, cores() // workers), workers)
        self.dialects: list[Dialect] = [dialect for _, dialect in plugins.load_all("protocols")]
        self.listeners = listeners
        """The addresses that it has, the main one first."""
        self.seat: Seat | None = None
        """Where it takes connections from the other workers, and gives them some."""
        self.farewell_seconds = 0.0
        """How long clients may take to learn of the end, which are answered until then."""
        self._room = capacity(settings)
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._retires = False
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

    @property
    def connections(self) -> int:
        """How many are open."""
        return sum(len(service.connections) for service in self._services.values())

    def prepare(self, progress: Progress = quiet) -> None:
        """Take the addresses, then load: a taken port is told before, not after, the models were
        loaded. *progress* is told what is being done.

        Raises ConfigError or LoadError, and then holds nothing.
        """
        try:
            self.listeners = self.listeners or take_all(self._settings, self.dialects)
            self.pipeline.load(self._paths, self._name, progress)
        except BaseException:
            self._let_go()
            raise

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
        servers = [await self._open(listener) for listener in self.listeners]
        if self.seat:
            self.seat.open(loop)
        app = self._open_app(loop)
        app.add_done_callback(lambda _: settled())
        self._services[MAIN].app = Deferred(app)
        ready()
        await self._stop.wait()
        if not self._retires:
            await self._say_goodbye()
        if self.seat:
            await self.seat.close()
        for server in servers:
            server.close()
        await self._drain()

    async def _open(self, listener: Listener) -> asyncio.AbstractServer:
        """Answer at *listener*, with limits and connections of its own."""
        service = Service(
            Routes(listener.plan.dialects, self.pipeline.handlers),
            self.manager.lookup,
            self.pipeline.home,
            door.off,
            limits(self._settings),
            self._room,
        )
        self._services[listener.plan.name] = service
        service.start()

        def greet() -> asyncio.Protocol:
            return Greeting(service)

        if self.seat and listener.is_plain:
            return await listener.open(self.seat.factory(listener.plan.name, greet))
        return await listener.open(greet)

    async def _say_goodbye(self) -> None:
        """Say that the server stops, and let in who comes before that is noticed."""
        self.manager.stopping = True
        await self._wait(self._settings.shutdown_delay_seconds)
        if self.farewell_seconds:
            for listener in self.listeners:
                deafen(listener.socket)
            await self._wait(HANDSHAKE_SECONDS)
        for _ in range(TURNS):
            if not any(listener.has_waiting for listener in self.listeners):
                break
            await asyncio.sleep(0)

    async def _wait(self, seconds: float) -> None:
        """Go on for so long, or until that is to be hurried."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

    async def _drain(self) -> None:
        services, seconds = self._services.values(), self._settings.drain_timeout_seconds
        drains = (service.drain(seconds, self.farewell_seconds) for service in services)
        self.cut_off = sum(await asyncio.gather(*drains))
        for service in services:
            service.stop()

    def _let_go(self) -> None:
        """Give everything back."""
        for listener in self.listeners:
            listener.close()
        self.pipeline.close()

    def stop(self) -> None:
        """Stop serving: the server ends. For the loop thread; a second call changes nothing."""
        self._stop.set()

    def retire(self) -> None:
        """Stop serving: another worker has this one's place. For the loop thread."""
        self._retires = True
        self._stop.set()

    def hurry(self) -> None:
        """Wait no longer for what is in progress. For the loop thread, after ``stop``."""
        self._hurry.set()
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
