"""Holds what is true of the whole server, whichever worker is asked: what was done, and what is
served. The supervisor tells it what its workers say; it answers by what it has them told."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from inferd.clock import monotonic_ns
from inferd.errors import InferdError
from inferd.log import logger
from inferd.models import loader
from inferd.server.catalogue import Catalogue, Keys, Scan, Start, catalogue
from inferd.server.changes import Action, Changes, Current, Decided, Done, Say, Useless
from inferd.server.link import Applied, Ask, Beat, Change, Label, Load, Message, Prepared, Reported
from inferd.server.totals import Asker, Rounds, Said, Totals
from inferd.statistics import NOTHING
from inferd.wire.messages import Failed, failed, raised

Send: TypeAlias = Callable[[Message], None]
Told: TypeAlias = Callable[[Failed | None], None]
"""Whoever waits for a change is told: it holds everywhere, or, for that reason, nowhere."""
Abandon: TypeAlias = Callable[[], None]
"""Says that nobody waits any more."""
Dismiss: TypeAlias = Callable[[int, str], None]
"""Ends a worker, and has another one take its place; the text says why."""


def scan(load: Load) -> Keys:
    """Look at the disk, and open no model."""
    return frozenset((s.name, s.version) for s in loader.find([Path(load.path)], load.name))


def nothing() -> None:
    """Give up what is over already."""


class Served(msgspec.Struct, frozen=True):
    """A version that is served, for whoever lists them."""

    model: str
    version: str
    path: str
    labels: tuple[str, ...]
    requests: int
    failures: int


class Wanted(NamedTuple):
    """A change, the versions that it gives where it is a Load, and who is told."""

    change: Change
    gives: Keys
    told: Told


class Control:
    """For the supervisor's one thread. Workers are numbers that never come again."""

    def __init__(
        self,
        paths: Sequence[Path],
        name: str | None,
        dismiss: Dismiss,
        scan: Scan = scan,
        clock: Callable[[], float] = lambda: monotonic_ns() / 1e9,
    ) -> None:
        """Raises LoadError or ConfigError where nothing can be served at a path."""
        self._dismiss, self._scan, self._clock = dismiss, scan, clock
        given = [Load(str(path), name if len(paths) == 1 else None) for path in paths]
        self._catalogue: Catalogue = catalogue(given, scan)
        self.changed = False
        """Whether a change was made since the start."""
        self._sends: dict[int, Send] = {}
        self._totals = Totals()
        self._rounds = Rounds(self._totals)
        self._changes = Changes()
        self._todo: deque[Action] = deque()
        self._doing = False
        self._tickets = 0
        self._wanted: dict[int, Wanted] = {}
        """The changes that somebody waits for, by ticket."""
        self._current: dict[int, Callable[[], None]] = {}

    @property
    def start(self) -> Start:
        """What a worker that is started now is to load."""
        return self._catalogue.start

    def rescan(self) -> None:
        """Look again what lies at the paths, before everything is loaded anew. Raises LoadError or
        ConfigError, and then nothing has changed."""
        self._catalogue = self._catalogue.scanned(self._scan)

    def served(self) -> list[Served]:
        """Every version that is served."""
        total, labels = self._totals.read(), self._catalogue.labels
        return [
            Served(
                model,
                version,
                path,
                tuple(name for (of, name), to in sorted(labels.items()) if (of, to) == key),
                total.get(key, NOTHING).success.count,
                total.get(key, NOTHING).fail.count,
            )
            for key, path in sorted(self._catalogue.versions.items())
            for model, version in [key]
        ]

    def joined(self, worker: int, send: Send) -> None:
        """*worker* is started, with what ``start`` says in this moment."""
        self._sends[worker] = send
        self._totals.joined(worker)
        self._changes.joined(worker)

    def loaded(self, worker: int, current: Callable[[], None]) -> None:
        """*worker* has loaded that; *current* is called once it has what was changed meanwhile."""
        self._current[worker] = current
        self._rounds.joined(worker)
        self._do(self._changes.loaded(worker))

    def retired(self, worker: int) -> None:
        """*worker* is about to leave: what it does counts, and no change is asked of it."""
        self._do(self._changes.retired(worker))

    def lost(self, worker: int) -> None:
        """*worker* is no more."""
        self._sends.pop(worker, None)
        self._current.pop(worker, None)
        self._totals.lost(worker)
        self._say(self._rounds.lost(worker, self._clock()))
        self._do(self._changes.left(worker))

    def received(self, worker: int, message: Message) -> None:
        """*worker* says *message*."""
        match message:
            case Beat():
                self._totals.reported(worker, message.statistics)
            case Reported():
                self._totals.reported(worker, message.statistics)
                self._say(self._rounds.reported(worker, message.number, self._clock()))
            case Ask():
                self._say(self._rounds.ask(Asker(worker, message.number), self._clock()))
            case Prepared():
                self._do(self._changes.prepared(worker, message.change, message.failure))
            case Applied():
                self._do(self._changes.applied(worker, message.change))

    def tick(self, now: float) -> float | None:
        """Do what time demands; when to be called again at the latest."""
        self._say(self._rounds.tick(now))
        return self._rounds.deadline

    def change(self, change: Change, told: Told) -> Abandon:
        """Make *change* in every worker, and tell when it holds, or why it cannot. What is returned
        gives it up, as long as that is possible."""
        try:
            gives = self._scan(change) if isinstance(change, Load) else frozenset()
        except InferdError as error:
            told(failed(error))
            return nothing
        self._tickets += 1
        ticket = self._tickets
        self._wanted[ticket] = Wanted(change, gives, told)
        self._do(self._changes.wanted(ticket, change))
        return lambda: self._do(self._changes.abandoned(ticket))

    def close(self) -> None:
        """The server ends: whoever waits is told."""
        self._do(self._changes.close())

    def _do(self, actions: Iterable[Action]) -> None:
        """Do everything in its order, also what follows from doing some of it."""
        self._todo.extend(actions)
        if self._doing:
            return
        self._doing = True
        try:
            while self._todo:
                self._perform(self._todo.popleft())
        finally:
            self._doing = False

    def _perform(self, action: Action) -> None:
        match action:
            case Say(worker, message):
                self._send(worker, message)
            case Decided(ticket, change):
                gives = self._wanted[ticket].gives
                self._catalogue, self.changed = self._catalogue.after(change, gives), True
            case Done(ticket, failure):
                self._finish(ticket, failure)
            case Current(worker):
                self._current.pop(worker)()
            case Useless(worker, failure):
                self._dismiss(worker, f"it cannot make a change that was made: {raised(failure)}")

    def _finish(self, ticket: int, failure: Failed | None) -> None:
        change, _, told = self._wanted.pop(ticket)
        if failure:
            logger.warning("cannot %s: %s", described(change), raised(failure))
        else:
            logger.info("in every worker: %s", described(change))
        told(failure)

    def _say(self, said: Iterable[Said]) -> None:
        for worker, message in said:
            self._send(worker, message)

    def _send(self, worker: int, message: Message) -> None:
        if send := self._sends.get(worker):
            send(message)


def described(change: Change) -> str:
    """*change*, in words."""
    match change:
        case Load(path, name):
            return f"load {path}" + (f" as {name}" if name else "")
        case Label(model, label, version):
            return f"let {label} stand for version {version} of {model}"
    return f"unload {change.model}" + (f" version {change.version}" if change.version else "")
