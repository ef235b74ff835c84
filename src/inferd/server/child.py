"""One worker of several, in a process of its own: it says over its line how it is, and does what it
is told there."""

import asyncio
import faulthandler
import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from inferd import log
from inferd.children import end_with_parent
from inferd.config import Settings
from inferd.errors import InferdError
from inferd.log import logger
from inferd.server.banner import banner
from inferd.server.following import Following
from inferd.server.link import (
    Beat,
    Change,
    Doing,
    Hurry,
    Leaving,
    Line,
    Loaded,
    Message,
    Open,
    Retire,
    Serving,
    Stop,
)
from inferd.server.listeners import Listener
from inferd.server.process import STACKS
from inferd.server.program import FAREWELL_SECONDS
from inferd.server.spread import Seat
from inferd.server.worker import Worker, new_loop
from inferd.wire.messages import failed

BEAT_SECONDS = 0.5
LAST_WORDS_SECONDS = 1.0  # for the supervisor to take what is said at the end


class Assignment(NamedTuple):
    """What a worker is started for."""

    paths: tuple[Path, ...]
    name: str | None
    changes: tuple[Change, ...]
    """What is left to make of the changes since the server's start."""
    changed: bool
    """Whether there were any: maybe what the settings name is there no more, or not yet."""
    settings: Settings
    listeners: tuple[Listener, ...]
    workers: int
    """How many there are."""
    sit: Callable[[Callable[[], int]], Seat] | None
    """Takes its seat among those that pass connections to each other, from how many it has."""


def run(assignment: Assignment, line: Line) -> int:
    """Load, serve when that is told, leave; the process's exit code."""
    faulthandler.register(STACKS)
    end_with_parent(signal.SIGKILL)
    log.start(assignment.settings.log_level)
    worker = Worker(
        assignment.paths,
        assignment.settings,
        assignment.name,
        assignment.listeners,
        assignment.workers,
    )
    worker.farewell_seconds = FAREWELL_SECONDS
    if assignment.sit:
        worker.seat = assignment.sit(lambda: worker.connections)
    child = Child(worker, line)
    try:
        child.load(assignment)
    except InferdError as error:
        line.send(failed(error))
        return 1
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(child.live())
    return 0


class Child:
    """A worker, and its line to the supervisor."""

    def __init__(self, worker: Worker, line: Line) -> None:
        self._worker, self._line = worker, line
        self._following = Following(worker.pipeline, self._say)
        self._home = worker.pipeline.home
        self._let_in, self._dismissed = asyncio.Event(), False
        """Set when it is to open its doors, or to end without that."""
        self._lives = False

    def load(self, assignment: Assignment) -> None:
        """Load the models, and make what was changed. Raises InferdError."""
        pipeline, worker = self._worker.pipeline, self._worker

        def progress(text: str) -> None:
            self._say(Doing(text))

        if assignment.changed:
            found = pipeline.find(assignment.paths, assignment.name)
            pipeline.load_found(found, progress)
        else:
            worker.prepare(progress)
        for change in assignment.changes:
            self._following.apply(change)
        models = worker.manager.ready()
        told = (worker.dialects, worker.listeners, assignment.workers)
        self._say(Loaded(banner(models, *told) if models else ""))

    async def live(self) -> None:
        """Follow the supervisor to the end."""
        loop = asyncio.get_running_loop()
        self._home.attach(loop)
        self._lives = True
        loop.add_reader(self._line.fileno(), self._listen)
        self._beat()
        await self._let_in.wait()
        end_with_parent(0)  # from here on it is the line's end that is obeyed, with a goodbye
        if not self._dismissed:
            await self._worker.serve(lambda: self._say(Serving()), settled=gc.freeze)
        self._say(Beat(self._following.statistics()))
        self._say(Leaving(self._worker.cut_off))
        self._line.finish(LAST_WORDS_SECONDS)

    def _listen(self) -> None:
        try:
            messages = self._line.receive()
        except ConnectionError:
            logger.error("the supervisor is gone: this worker ends, too")
            self._home.loop.remove_reader(self._line.fileno())
            self._leave(self._worker.stop)
            return
        for message in messages:
            self._obey(message)

    def _obey(self, message: Message) -> None:
        match message:
            case Open():
                self._let_in.set()
            case Stop():
                self._leave(self._worker.stop)
            case Retire():
                self._leave(self._worker.retire)
            case Hurry():
                self._worker.hurry()
            case _:
                self._following.received(message)

    def _leave(self, how: Callable[[], None]) -> None:
        how()
        self._dismissed = not self._let_in.is_set()
        self._let_in.set()

    def _beat(self) -> None:
        """Give a sign of life, and again after a while."""
        self._home.loop.call_later(BEAT_SECONDS, self._beat)
        if self._worker.seat:
            self._worker.seat.refresh()
        if not self._line.wants_write:  # otherwise the supervisor stands still
            self._say(Beat(self._following.statistics()))

    def _say(self, message: Message) -> None:
        self._line.send(message)
        if self._line.wants_write and self._lives:
            self._home.loop.add_writer(self._line.fileno(), self._flush)

    def _flush(self) -> None:
        self._line.flush()
        if not self._line.wants_write:
            self._home.loop.remove_writer(self._line.fileno())
