"""Keeps workers serving: takes the addresses, forks, watches, replaces, reloads, stops. One thread,
which waits for its workers' words and deaths, for signals and for time.

It opens no model and answers nobody, so that nothing that a request does can end it.
"""

import logging
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from inferd import log, plugins
from inferd.config import Settings
from inferd.cores import cores
from inferd.errors import InferdError, LoadError, NotReady
from inferd.log import logger
from inferd.models import loader
from inferd.models.loader import Progress
from inferd.server import child, listeners, tls, watch
from inferd.server.child import Assignment
from inferd.server.control import Control, Told
from inferd.server.control_socket import ControlSocket
from inferd.server.crew import Crew
from inferd.server.link import Doing, Leaving, Line, Loaded, Message, Retire, Serving, Stop
from inferd.server.preload import preload
from inferd.server.process import STACKS, Continued, Ended, Halted, News
from inferd.server.signals import Signals, caught, lost_terminal
from inferd.server.spread import Spread
from inferd.server.stand_in import StandIn
from inferd.server.tls import Certificate
from inferd.server.watch import Action, Member, Phase, Start, Watch
from inferd.wire.messages import Failed, failed, raised

CLEAN = "ended with exit code 0"


class Generation(msgspec.Struct):
    """The workers that were started for the same settings."""

    settings: Settings
    certificate: Certificate | None
    told: list[Told]
    """Who waits for it."""
    banner: str = ""
    error: InferdError | None = None
    """Why it cannot serve."""


class Supervisor:
    """Serves the models at *paths* in so many workers as *settings* ask for.

    *read* reads the settings again, for a reload. Made once a process, on its main thread, which
    must have no other threads.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        name: str | None,
        settings: Settings,
        read: Callable[[], Settings],
    ) -> None:
        self._settings, self._read = settings, read
        self._workers = settings.workers or cores()
        loader.find(paths, name)  # what is wrong with the paths together is told before all else
        self._control = Control([path.absolute() for path in paths], name, self._dismiss)
        self._selector = selectors.DefaultSelector()
        self._crew = Crew(self._selector, self._heard)
        self._watch = Watch(self._workers, watch.patience(settings))
        self._generations: dict[int, Generation] = {}
        self._reloads: list[Told] = []
        """Who asked for a reload that has not begun."""
        self._spread = Spread(2 * self._workers) if self._workers > 1 else None
        self._stopped_by = 0
        """The signal that did."""
        self._clean = True
        self._tick: float | None = None

    # The timeline.

    def start(self, progress: Progress) -> str:
        """Take the addresses, load in every worker, let clients in. The banner.

        *progress* is told what is being done. Raises InferdError, or what a signal means before
        anybody is served, and then nothing is left.
        """
        self._progress = progress
        dialects = [dialect for _, dialect in plugins.load_all("protocols")]
        taken = listeners.take_all(self._settings, dialects)
        self._shares = listeners.share(taken, self._workers)
        self._stand_in = (
            StandIn(self._selector, self._spread, self._shares) if self._spread else None
        )
        preload()
        self._has_lost_terminal = lost_terminal()
        self._signals = Signals(caught())
        self._selector.register(self._signals, selectors.EVENT_READ, self._obey)
        self._control_socket = ControlSocket(
            self._selector, self._control, self.reload, taken[0].url
        )
        told: list[Failed | None] = []
        try:
            self._begin(self._settings, taken[0].certificate, [told.append])
            self._act()
            while not told and not self._watch.over:
                self._turn()
            self._expect_started(told)
        except BaseException:
            self._end()
            raise
        return self._generations[self._watch.current or 0].banner

    def _expect_started(self, told: list[Failed | None]) -> None:
        """Raise why nobody is served: a signal, or a failure."""
        if self._stopped_by == signal.SIGINT:
            raise KeyboardInterrupt
        if self._stopped_by:
            raise SystemExit(128 + self._stopped_by)  # as a shell tells of a program's end by it
        for failure in told:
            if failure:
                raise raised(failure)

    def run(self) -> int:
        """Keep the workers serving until a signal, then let them end; the exit code."""
        while not self._watch.over:
            self._turn()
        self._end()
        return 0 if self._clean else 1

    def reload(self, told: Told) -> None:
        """Load everything again in new workers, beside the old ones, which leave when those
        serve."""
        self._reloads.append(told)
        self._begin_reload()

    def stop(self) -> None:
        """Stop serving; the second time, at once."""
        if self._watch.stopping:
            self._perform(self._watch.hurry(time.monotonic()))
            return
        self._watch.stop()
        self._clean = True  # whatever happened to workers that left before
        if self._stand_in:
            self._stand_in.cover({})
        for share in self._shares:  # the workers have them, and let nobody in when it is time
            for listener in share:
                listener.socket.close()

    # One turn.

    def _turn(self) -> None:
        """Wait until something happens, and do what follows from it."""
        moments = [moment for moment in (self._watch.wake(), self._tick) if moment is not None]
        timeout = max(0.0, min(moments) - time.monotonic()) if moments else None
        for key, events in self._selector.select(timeout):
            try:
                key.data(events)
            except Exception:  # noqa: BLE001 - the server outlives a fault in a conversation
                logger.exception("the supervisor met a fault")
        for number, news in self._crew.news():
            self._learn(number, news)
        self._tick = self._control.tick(time.monotonic())
        if self._spread:
            self._spread.sweep()
        self._act()
        if self._stand_in:
            seats = self._watch.vacant()
            generation = self._watch.current or 0
            self._stand_in.cover({seat: self._slot(seat, generation) for seat in seats})

    def _act(self) -> None:
        """Do what is to be done now."""
        while actions := self._watch.decide(time.monotonic()):
            self._perform(actions)

    def _obey(self, _: int) -> None:
        for number in self._signals.take():
            if number == signal.SIGHUP and not self._has_lost_terminal():
                self.reload(log_reload)
            elif number != signal.SIGCHLD:  # which tells that the crew has news
                self._stopped_by = self._stopped_by or number
                self.stop()

    def _heard(self, number: int, message: Message) -> None:
        now = time.monotonic()
        generation = self._generations[self._watch.members[number].generation]
        self._watch.heard(number, now)
        match message:
            case Doing(text):
                if self._watch.current is None:
                    self._progress(text)
            case Loaded(banner):
                generation.banner = banner
                self._control.loaded(number, lambda: self._watch.loaded(number, time.monotonic()))
            case Failed():
                self._fail(number, generation, message)
            case Serving():
                self._watch.serving(number, now)
            case Leaving(cut_off):
                self._clean = self._clean and not cut_off
            case _:
                self._control.received(number, message)

    def _learn(self, number: int, news: News) -> None:
        now = time.monotonic()
        match news:
            case Halted():
                self._watch.halted(number, now)
            case Continued():
                self._watch.continued(number, now)
            case Ended(how):
                member = self._watch.ended(number, now)
                self._control.lost(number)
                if self._spread:
                    self._spread.lost(self._slot(member.seat, member.generation))
                self._tell_end(member, how)

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Start():
                    self._start_worker(action)
                case watch.Tell(number, message):
                    self._crew.send(number, message)
                    if isinstance(message, Stop | Retire):
                        self._control.retired(number)
                case watch.Dump(number):
                    self._crew.signal(number, STACKS)
                case watch.Kill(number, why):
                    if why:
                        logger.error("worker %s %s: it is killed", self._name(number), why)
                    self._crew.signal(number, signal.SIGKILL)
                case watch.Took(generation):
                    self._took(generation)
                case watch.Abandoned(generation):
                    self._abandoned(generation)

    # Workers.

    def _start_worker(self, start: Start) -> None:
        generation = self._generations[start.generation]
        load = self._control.start
        slot = self._slot(start.seat, start.generation)
        assignment = Assignment(
            load.paths,
            load.name,
            load.changes,
            self._control.changed,
            generation.settings,
            tuple(
                listener._replace(certificate=generation.certificate)
                for listener in self._shares[start.seat]
            ),
            self._workers,
            partial(self._spread.seat, slot) if self._spread else None,
        )

        def main(line: Line) -> int:
            self._forget(start.seat)
            return child.run(assignment, line)

        try:
            self._crew.start(start.number, main)
        except OSError as error:
            generation.error = LoadError(f"no process can be started: {error.strerror}")
            self._tell_end(self._watch.ended(start.number, time.monotonic()), "could not start")
            return
        self._control.joined(start.number, partial(self._crew.send, start.number))

    def _forget(self, seat: int) -> None:
        """In a new worker: free what is the supervisor's, or another worker's."""
        self._signals.forget()
        self._selector.close()
        self._control_socket.forget()
        self._crew.forget()
        for other, share in enumerate(self._shares):
            for listener in share:
                if other != seat and not listener.place:
                    listener.socket.close()

    def _dismiss(self, number: int, why: str) -> None:
        """End a worker that is of no use."""
        logger.error("worker %s is killed: %s", self._name(number), why)
        self._crew.signal(number, signal.SIGKILL)

    def _fail(self, number: int, generation: Generation, failure: Failed) -> None:
        """A worker cannot load its models."""
        error = raised(failure)
        if self._watch.members[number].generation != self._watch.current:
            generation.error = error if isinstance(error, InferdError) else LoadError(str(error))
        else:
            logger.error("worker %s cannot load the models again: %s", self._name(number), error)

    def _tell_end(self, member: Member, how: str) -> None:
        """Tell the log of a worker's end that nobody asked for."""
        generation = self._generations.get(member.generation)
        if member.phase is Phase.LEAVING:
            self._clean = self._clean and how == CLEAN
            if how != CLEAN:
                logger.warning("a worker that was to leave %s", how)
        elif member.generation != self._watch.current:
            if generation and not generation.error:
                generation.error = LoadError(
                    f"the worker that was to load the models {how}", cure="Is there enough memory?"
                )
        elif not self._watch.stopping:
            seat = self._watch.seats[member.seat]
            level = logging.WARNING if seat.ended == 1 else logging.ERROR
            next_one = seat.succession(time.monotonic())
            logger.log(level, "worker %d %s%s", member.seat + 1, how, next_one)

    def _slot(self, seat: int, generation: int) -> int:
        """Where the workers of a seat meet the others; two may sit there during a reload."""
        return seat + self._workers * (generation % 2)

    def _name(self, number: int) -> str:
        """A worker, as the log calls it."""
        pid = f" (pid {self._crew.pid(number)})" if number in self._crew else ""
        return f"{self._watch.members[number].seat + 1}{pid}"

    # Generations.

    def _begin(self, settings: Settings, certificate: Certificate | None, told: list[Told]) -> None:
        self._generations[self._watch.begin()] = Generation(settings, certificate, told)

    def _begin_reload(self) -> None:
        """Begin the reload that was asked for, unless another one is under way."""
        if self._watch.coming is not None or self._watch.stopping or not self._reloads:
            return
        told, self._reloads = self._reloads, []
        try:
            settings = self._read()
            listeners.expect_unmoved(self._settings, settings)
            certificate = tls.load(settings.tls_cert, settings.tls_key)
            self._control.rescan()
        except InferdError as error:
            tell(told, failed(error))
            return
        self._begin(settings, certificate, told)

    def _took(self, number: int) -> None:
        generation = self._generations[number]
        self._settings = generation.settings
        log.start(generation.settings.log_level)
        self._watch.patience = watch.patience(generation.settings)
        self._settle(generation, None)

    def _abandoned(self, number: int) -> None:
        generation = self._generations[number]
        error = generation.error or LoadError("a worker ended before all served")
        self._settle(generation, failed(error))

    def _settle(self, generation: Generation, failure: Failed | None) -> None:
        """A generation has come, or is given up: tell who waits, and forget those that are gone."""
        used = {self._watch.current, *(m.generation for m in self._watch.members.values())}
        self._generations = {n: each for n, each in self._generations.items() if n in used}
        tell(generation.told, failure)
        self._begin_reload()

    def _end(self) -> None:
        """Leave nothing behind."""
        self._crew.end()
        told = [*self._reloads, *(each for g in self._generations.values() for each in g.told)]
        tell(told, failed(NotReady("the server stops")))
        self._control.close()
        self._control_socket.close()
        if self._spread:
            self._spread.close()
        for share in self._shares:
            for listener in share:
                listener.close()
        self._selector.close()
        self._signals.close()


def tell(told: list[Told], failure: Failed | None) -> None:
    """Tell everybody, and nobody twice."""
    while told:
        told.pop()(failure)


def log_reload(failure: Failed | None) -> None:
    """Tell the log of a reload that a signal asked for."""
    if failure:
        logger.error("nothing was reloaded: %s", raised(failure))
    else:
        logger.info("reloaded")
