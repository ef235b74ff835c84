"""One worker's part in what the whole server does: it says what it has done, and makes the changes
that every worker makes."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from inferd.calls import ModelStatistics
from inferd.engine.home import Done
from inferd.engine.queries import Told, statistics
from inferd.errors import InferdError, LoadError, NotReady
from inferd.log import logger
from inferd.memory import trim
from inferd.models.manager import Key, Version
from inferd.pipeline import Pipeline
from inferd.runtimes.base import Runtime
from inferd.server.ahead import compile_ahead
from inferd.server.link import (
    Answer,
    Applied,
    Ask,
    Change,
    Commit,
    Label,
    Load,
    Message,
    Prepare,
    Prepared,
    Report,
    Reported,
    Rollback,
    Unload,
    VersionStatistics,
)
from inferd.wire.messages import Failed, failed

PATIENCE = 2.0  # seconds; the supervisor waits a quarter of one for the other workers


class Ready(NamedTuple):
    """A change that can be made in a moment, and cannot fail any more."""

    make: Callable[[], None]
    undo: Callable[[], None]


class Following:
    """Listens to the supervisor. For the loop thread, once there is one."""

    def __init__(self, pipeline: Pipeline, send: Callable[[Message], None]) -> None:
        self._pipeline, self._manager, self._send = pipeline, pipeline.manager, send
        self._ready: dict[int, Ready | None] = {}
        """The changes that were to be prepared, by number; None while that lasts."""
        self._asked: dict[int, Told] = {}
        self._numbers = itertools.count()
        self._said: dict[Key, int] = {}
        """The requests of each version when it was last told of."""
        pipeline.handlers[ModelStatistics] = statistics(self._manager, self._ask)

    def apply(self, change: Change) -> None:
        """Make *change* now: before anybody is let in. Blocks; raises InferdError."""
        self._prepare(change).make()

    def received(self, message: Message) -> None:
        """The supervisor says *message*."""
        match message:
            case Report(number):
                self._send(Reported(number, self.statistics()))
            case Answer(number, told):
                if tell := self._asked.pop(number, None):
                    tell(Done({(each.model, each.version): each.statistics for each in told}))
            case Prepare(number, change):
                self._begin(number, change)
            case Commit(number):
                self._make(number)
            case Rollback(number):
                if ready := self._ready.pop(number, None):
                    ready.undo()

    def statistics(self) -> tuple[VersionStatistics, ...]:
        """What the versions did that did something since this was last asked. The line loses
        nothing, so that all else is known at its other end."""
        done = self._manager.statistics()
        news = {key: each for key, each in done.items() if self._said.get(key, 0) != each.requests}
        self._said.update({key: each.requests for key, each in news.items()})
        return tuple(VersionStatistics(*key, each) for key, each in news.items())

    def _ask(self, told: Told) -> None:
        """What the whole server has done."""
        number = next(self._numbers)
        self._asked[number] = told
        self._pipeline.home.loop.call_later(PATIENCE, self._give_up, number)
        self._send(Ask(number))

    def _give_up(self, number: int) -> None:
        if tell := self._asked.pop(number, None):
            error = NotReady("the statistics of the whole server are not to be had now")
            tell(Done(None, error))

    def _begin(self, number: int, change: Change) -> None:
        """Prepare *change* in a thread of its own: loading a model may take minutes, or for
        ever."""
        self._ready[number] = None
        self._manager.dispose = self._free

        def work() -> None:
            try:
                ready, failure = self._prepare(change), None
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may refuse in any way
                ready, failure = None, _told(error)
            self._pipeline.home.post(self._prepared, number, ready, failure)

        threading.Thread(target=work, name="inferd-change", daemon=True).start()

    def _prepared(self, number: int, ready: Ready | None, failure: Failed | None) -> None:
        if number not in self._ready:  # it was undone meanwhile
            if ready:
                ready.undo()
        elif ready:
            self._ready[number] = ready
            self._send(Prepared(number))
        else:
            del self._ready[number]
            self._send(Prepared(number, failure))

    def _make(self, number: int) -> None:
        ready = self._ready.pop(number)
        assert ready is not None  # noqa: S101 - nothing is decided before it is prepared
        ready.make()
        self._send(Applied(number))

    def _prepare(self, change: Change) -> Ready:
        """Do all of *change* that takes time or may fail. Raises InferdError."""
        match change:
            case Load(path, name):
                return self._load(Path(path), name)
            case Unload(model, version):
                self._manager.lookup(model, version)
                return Ready(lambda: self._unload(model, version), _nothing)
            case Label(model, label, version):
                self._manager.lookup(model, version)
                return Ready(lambda: self._manager.label(model, label, version), _nothing)

    def _load(self, path: Path, name: str | None) -> Ready:
        manager, filled = self._manager, list[Version]()
        try:
            for spec in self._pipeline.find([path], name):
                compile_ahead(spec)
                version = manager.stage(spec)
                self._pipeline.prepare(version)
                filled.append(version)
        except BaseException:
            for version in filled:
                version.runtime.close()
            raise

        def make() -> None:
            for version in filled:
                manager.publish(version)

        def undo() -> None:
            for version in filled:
                manager.discard(version)

        return Ready(make, undo)

    def _unload(self, model: str, version: str | None) -> None:
        for each in self._manager.answering(model, version):
            self._manager.retire(each)

    def _free(self, runtime: Runtime) -> None:
        """Free *runtime* in a thread: ending its processes may take a second, and giving gigabytes
        back some milliseconds."""

        def work() -> None:
            runtime.close()
            trim()

        threading.Thread(target=work, name="inferd-change", daemon=True).start()


def _nothing() -> None:
    """Where nothing was prepared, nothing is undone."""


def _told(error: BaseException) -> Failed:
    """What is said of *error*: of one that is none of ours, the log says more."""
    if isinstance(error, InferdError):
        return failed(error)
    logger.error("a model could not be loaded", exc_info=error)
    text = f"{type(error).__name__}: {error}"
    return failed(LoadError("the model could not be loaded", got=text, cure=LOG))


LOG = "The server's log says more."
