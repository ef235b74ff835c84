"""Makes changes that hold in every worker or in none: what is to be said to whom, and when. Pure.

A change is prepared in one worker first: a model that brings a process down brings one down, and
what one worker compiled, the others find. Then all others prepare it, and when all have, it is
decided, and all make it. Before that, one failure undoes it everywhere; after it, a worker that
cannot follow is of no use any more. One change at a time; others wait for their turn.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from inferd.errors import LoadError, NotReady
from inferd.server.link import Change, Commit, Prepare, Rollback
from inferd.wire.messages import Failed, failed

LOG = "The server's log says more."
MOST = 100  # changes that wait for their turn


class Say(NamedTuple):
    """Say something to a worker."""

    worker: int
    message: Prepare | Commit | Rollback


class Current(NamedTuple):
    """A worker that was started meanwhile holds every change now."""

    worker: int


class Useless(NamedTuple):
    """A worker cannot follow a change that all others made."""

    worker: int
    failure: Failed


class Decided(NamedTuple):
    """A change will hold in every worker, and in those that are started from now on."""

    ticket: int
    change: Change


class Done(NamedTuple):
    """A change holds in every worker, or, for that reason, in none."""

    ticket: int
    failure: Failed | None


Action: TypeAlias = Say | Current | Useless | Decided | Done


class Follower(msgspec.Struct):
    """What is known of one worker."""

    holds: int
    """The number of the last change that it has made."""
    loaded: bool = False
    """Whether it listens: it has made itself ready with all that was decided when it started."""
    current: bool = False
    """Whether ``Current`` was said of it."""
    preparing: int = 0
    """The number of the change that it prepares; 0: none."""
    prepared: int = 0
    """The number of the change that it has prepared and not yet made; 0: none."""
    making: int = 0
    """The number of the change that it was told to make; 0: none."""

    @property
    def idle(self) -> bool:
        """Whether it waits for something to do."""
        return not (self.preparing or self.prepared or self.making)


class Wanted(NamedTuple):
    """A change that somebody waits for."""

    ticket: int
    change: Change


class Changes:
    """All workers, and the changes on their way to them.

    A method yields what is to be done, and must have come to its end before another is called."""

    def __init__(self) -> None:
        self._followers: dict[int, Follower] = {}
        self._waiting: deque[Wanted] = deque()
        self._trial: Wanted | None = None
        """The change that is being prepared and not yet decided."""
        self._decided: dict[int, Change] = {}
        """By number; those that every worker has made are forgotten."""
        self._owed: dict[int, int] = {}
        """Who is to be told, of those that were decided: tickets by number."""
        self._number = 0
        """Of the trial, or of the last change if there is none."""

    def joined(self, worker: int) -> None:
        """*worker* starts, with all that was decided until now."""
        self._followers[worker] = Follower(self._last_decided())

    def loaded(self, worker: int) -> Iterator[Action]:
        """*worker* has loaded that, and listens."""
        self._followers[worker].loaded = True
        yield from self._go_on()

    def left(self, worker: int) -> Iterator[Action]:
        """*worker* takes no part any more, or is no more."""
        follower = self._followers.pop(worker, None)
        if follower and self._trial and follower.preparing == self._number:
            error = LoadError("a worker ended while it prepared this change", cure=LOG)
            yield from self._undo(failed(error))
        yield from self._go_on()

    def retired(self, worker: int) -> Iterator[Action]:
        """*worker* is about to leave, and need not follow."""
        follower = self._followers.pop(worker, None)
        if follower and self._trial and self._number in (follower.preparing, follower.prepared):
            yield Say(worker, Rollback(self._number))
        yield from self._go_on()

    def wanted(self, ticket: int, change: Change) -> Iterator[Action]:
        """Somebody wants *change*, and waits for the outcome."""
        if len(self._waiting) >= MOST:
            error = NotReady("too many changes wait for their turn", cure="Try again later.")
            yield Done(ticket, failed(error))
            return
        self._waiting.append(Wanted(ticket, change))
        yield from self._go_on()

    def abandoned(self, ticket: int) -> Iterator[Action]:
        """Nobody waits for that change any more: unless it is decided, it is not made."""
        error = failed(NotReady("whoever asked for this change went away"))
        if self._trial and self._trial.ticket == ticket:
            yield from self._undo(error)
        for wanted in [each for each in self._waiting if each.ticket == ticket]:
            self._waiting.remove(wanted)
            yield Done(ticket, error)
        yield from self._go_on()

    def prepared(self, worker: int, number: int, failure: Failed | None) -> Iterator[Action]:
        """*worker* has prepared a change, or cannot."""
        follower = self._followers.get(worker)
        if follower is None or follower.preparing != number:  # it was undone meanwhile
            return
        follower.preparing = 0
        if failure is None:
            follower.prepared = number
        elif number in self._decided:
            del self._followers[worker]
            yield Useless(worker, failure)
        else:
            yield from self._undo(failure)
        yield from self._go_on()

    def applied(self, worker: int, number: int) -> Iterator[Action]:
        """*worker* has made a change."""
        follower = self._followers.get(worker)
        if follower is not None and follower.making == number:
            follower.making, follower.holds = 0, number
            yield from self._go_on()

    def close(self) -> Iterator[Action]:
        """The server ends."""
        error = failed(NotReady("the server stopped before the change was made everywhere"))
        waiting = [each.ticket for each in (self._trial, *self._waiting) if each]
        yield from (Done(ticket, error) for ticket in (*self._owed.values(), *waiting))
        self._trial, self._owed = None, {}
        self._waiting.clear()

    def _last_decided(self) -> int:
        return self._number - 1 if self._trial else self._number

    def _listening(self) -> dict[int, Follower]:
        return {worker: each for worker, each in self._followers.items() if each.loaded}

    def _go_on(self) -> Iterator[Action]:
        """Do whatever can be done now."""
        self._begin()
        if self._is_agreed():
            yield self._decide()
        for worker, follower in self._listening().items():
            yield from self._lead(worker, follower)
        yield from self._settle()

    def _begin(self) -> None:
        if self._trial is None and self._waiting and not self._owed:
            self._trial = self._waiting.popleft()
            self._number += 1

    def _is_agreed(self) -> bool:
        listening = self._listening().values()
        return bool(
            self._trial and listening and all(each.prepared == self._number for each in listening)
        )

    def _decide(self) -> Decided:
        trial = self._trial
        assert trial is not None  # noqa: S101 - asked a moment before
        self._decided[self._number], self._owed[self._number] = trial.change, trial.ticket
        self._trial = None
        return Decided(trial.ticket, trial.change)

    def _lead(self, worker: int, follower: Follower) -> Iterator[Action]:
        """Tell one worker what to do next, if there is something."""
        if follower.prepared in self._decided:
            follower.making, follower.prepared = follower.prepared, 0
            yield Say(worker, Commit(follower.making))
        if not follower.idle:
            return
        behind = next((n for n in sorted(self._decided) if n > follower.holds), 0)
        if not behind and not follower.current:
            follower.current = True
            yield Current(worker)
        change = self._decided.get(behind) or self._to_try()
        if change is not None:
            follower.preparing = behind or self._number
            yield Say(worker, Prepare(follower.preparing, change))

    def _to_try(self) -> Change | None:
        """The change that one more worker is to prepare: the first one must have succeeded."""
        listening = self._listening().values()
        alone = any(each.preparing == self._number for each in listening) and not any(
            each.prepared == self._number for each in listening
        )
        return self._trial.change if self._trial and not alone else None

    def _settle(self) -> Iterator[Action]:
        """Tell those whose change every worker has made, and let the next one begin."""
        listening = self._listening().values()
        held = min((each.holds for each in listening), default=0)
        if any(number <= held for number in self._owed):
            for number in [n for n in self._owed if n <= held]:
                yield Done(self._owed.pop(number), None)
            yield from self._go_on()
        every = min((each.holds for each in self._followers.values()), default=0)
        self._decided = {n: change for n, change in self._decided.items() if n > every}

    def _undo(self, failure: Failed) -> Iterator[Action]:
        """Have nobody make the trial, and tell why."""
        for worker, follower in self._followers.items():
            if self._number in (follower.preparing, follower.prepared):
                follower.preparing = follower.prepared = 0
                yield Say(worker, Rollback(self._number))
        if self._trial:
            ticket, self._trial = self._trial.ticket, None
            yield Done(ticket, failure)
