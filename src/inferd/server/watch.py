"""What becomes of the workers: from what is known of each, and the time, to what is to be done. No
IO.

A *generation* is the workers that were started for one set of settings, one to a seat. One that
comes is abandoned when one of its workers ends before all serve; when all do, it takes over, and
those before it retire. A worker of the current one that ends is replaced.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias

import msgspec

from inferd.children import pause
from inferd.config import Settings
from inferd.server.link import Hurry, Open, Retire, Stop

HALTED_SECONDS = 0.3  # a debugger is attached to a server under load by nobody who means well
SETTLED_SECONDS = 10.0  # a worker that ends after so long is no reason to pause
DUMP_SECONDS = 0.2  # for a silent worker to write where each of its threads stands
LATE_SECONDS = 5.0  # for a worker beyond the time that it may take to end
HURRY_SECONDS = 1.0  # for a worker that is to wait for nothing


class Phase(Enum):
    """Where a worker stands; it goes forward only."""

    LOADING = 0
    WAITING = 1
    """Loaded, and let nobody in yet."""
    SERVING = 2
    LEAVING = 3


class Member(msgspec.Struct):
    """One worker, as far as is known."""

    number: int
    """Never another worker's."""
    seat: int
    generation: int
    started: float
    heard: float
    """When it gave the last sign of life."""
    phase: Phase = Phase.LOADING
    opening: bool = False
    """Whether it was told to let clients in."""
    halted: float | None = None
    """Since when it stands still, by a signal."""
    dumped: float | None = None
    """Since when it is to say where it stands."""
    limit: float = float("inf")
    """Until when it may take to leave."""
    doomed: bool = False


class Seat(msgspec.Struct):
    """One place for a worker of the current generation."""

    ended: int = 0
    """Workers that ended soon after one another."""
    free_at: float = 0.0
    """The next one may start from then on."""

    def succession(self, now: float) -> str:
        """What is said behind how a worker ended: whether it was the first one, and when the next
        one comes."""
        if self.ended <= 1:
            return "; another starts"
        seconds = max(0.0, self.free_at - now)
        return f", as {self.ended - 1} before it within seconds; another starts in {seconds:.1f} s"


class Patience(NamedTuple):
    """How long workers may take."""

    silent: float
    """To give a sign of life."""
    leaving: float
    """To end after they are told to."""


def patience(settings: Settings) -> Patience:
    """How long workers with *settings* may take."""
    leaving = settings.shutdown_delay_seconds + settings.drain_timeout_seconds + LATE_SECONDS
    return Patience(settings.heartbeat_timeout_seconds, leaving)


class Start(NamedTuple):
    """Start a worker."""

    number: int
    seat: int
    generation: int


class Tell(NamedTuple):
    """Say something to a worker."""

    number: int
    message: Open | Stop | Retire | Hurry


class Dump(NamedTuple):
    """Have a worker write where it stands."""

    number: int


class Kill(NamedTuple):
    """End a worker at once."""

    number: int
    why: str
    """For the log; empty where that is told otherwise."""


class Took(NamedTuple):
    """A generation took over: all its workers serve."""

    generation: int


class Abandoned(NamedTuple):
    """A generation was given up."""

    generation: int


Action: TypeAlias = Start | Tell | Dump | Kill | Took | Abandoned


class Watch:
    """All seats and workers. Events are told by methods; ``decide`` says, once, what is to be
    done."""

    def __init__(self, seats: int, patience: Patience) -> None:
        self.seats = [Seat() for _ in range(seats)]
        self.patience = patience
        self.members: dict[int, Member] = {}
        self.current: int | None = None
        self.coming: int | None = None
        self.stopping = False
        self._broken = False  # a worker of the coming generation ended
        self._generations = self._numbers = 0

    @property
    def over(self) -> bool:
        """Whether the server has stopped."""
        return self.stopping and not self.members

    # Events.

    def begin(self) -> int:
        """Let a new generation come; its number. None may be coming."""
        self._generations += 1
        self.coming, self._broken = self._generations, False
        return self._generations

    def loaded(self, number: int, now: float) -> None:
        """A worker loaded all models, and holds what was changed since. It may be gone."""
        if number in self.members:
            self._advance(number, Phase.WAITING, now)

    def serving(self, number: int, now: float) -> None:
        """A worker answers."""
        self._advance(number, Phase.SERVING, now)

    def heard(self, number: int, now: float) -> None:
        """A worker gave a sign of life."""
        member = self.members[number]
        member.heard, member.dumped = now, None

    def halted(self, number: int, now: float) -> None:
        """A worker was made to stand still."""
        self.members[number].halted = now

    def continued(self, number: int, now: float) -> None:
        """A worker goes on."""
        self.members[number].halted = None
        self.heard(number, now)

    def ended(self, number: int, now: float) -> Member:
        """A worker is no more."""
        member = self.members.pop(number)
        if member.generation == self.coming:
            self._broken = True
        elif member.generation == self.current and member.phase is not Phase.LEAVING:
            seat = self.seats[member.seat]
            settled = now - member.started > SETTLED_SECONDS
            seat.ended = 1 if settled else seat.ended + 1
            seat.free_at = now + pause(seat.ended)
        return member

    def stop(self) -> None:
        """The server is to stop."""
        self.stopping = True

    def hurry(self, now: float) -> Sequence[Action]:
        """The server is to stop at once."""
        self.stopping = True
        for member in self.members.values():
            member.limit = min(member.limit, now + HURRY_SECONDS)
        return [Tell(number, Hurry()) for number in self.members]

    # Decisions.

    def decide(self, now: float) -> list[Action]:
        """What is to be done now, and is then taken for done."""
        actions = list(self._kills(now))
        if self.stopping:
            return [*actions, *self._dismiss(list(self.members.values()), Stop(), now)]
        return [*actions, *self._come(now), *self._fill(now)]

    def vacant(self) -> set[int]:
        """The seats in which nobody serves, while somebody does in another."""
        if self.stopping or self.current is None:
            return set()
        serving = {m.seat for m in self.members.values() if m.phase is Phase.SERVING}
        return set(range(len(self.seats))) - serving if serving else set()

    def wake(self) -> float | None:
        """When to decide again, if nothing happens before; None: never."""
        moments = [moment for member in self.members.values() for moment in self._moments(member)]
        if not self.stopping and self.current is not None:
            moments += [self.seats[seat].free_at for seat in self._empty()]
        return min(moments, default=None)

    def _kills(self, now: float) -> Iterator[Action]:
        for member in self.members.values():
            if member.doomed:
                continue
            if self._is_silent(member, now) and member.dumped is None:
                member.dumped = now
                yield Dump(member.number)
            why = self._fault(member, now)
            if why:
                member.doomed = True
                yield Kill(member.number, why)

    def _fault(self, member: Member, now: float) -> str:
        """Why *member* is to be ended; empty where it is not."""
        if member.halted is not None and now >= member.halted + HALTED_SECONDS:
            return "stood still, stopped by a signal"
        if member.dumped is not None and now >= member.dumped + DUMP_SECONDS:
            return f"gave no sign of life for {self.patience.silent:g} s"
        if now >= member.limit:
            return "did not end in time"
        return ""

    def _is_silent(self, member: Member, now: float) -> bool:
        # One that loads says nothing: its thread is with the models, some for minutes.
        listens = member.phase in (Phase.WAITING, Phase.SERVING)
        return listens and now >= member.heard + self.patience.silent

    def _moments(self, member: Member) -> Iterator[float]:
        """When something may have to be done about *member*."""
        if member.doomed:
            return
        if member.halted is not None:
            yield member.halted + HALTED_SECONDS
        if member.dumped is not None:
            yield member.dumped + DUMP_SECONDS
        elif member.phase in (Phase.WAITING, Phase.SERVING):
            yield member.heard + self.patience.silent
        if member.phase is Phase.LEAVING:
            yield member.limit

    def _come(self, now: float) -> Iterator[Action]:
        """The next step of the coming generation."""
        generation = self.coming
        if generation is None:
            return
        if self._broken:
            self.coming = None
            # Those that let clients in already have something to end.
            yield from self._dismiss(self._of(generation), Retire(), now)
            yield Abandoned(generation)
            return
        if not self._of(generation):
            yield self._start(0, generation, now)
        elif len(self._of(generation)) < len(self.seats):
            # What the first one compiled is kept, and the others find it.
            if self._of(generation)[0].phase is not Phase.LOADING:
                for seat in range(1, len(self.seats)):
                    yield self._start(seat, generation, now)
        elif all(member.phase is Phase.WAITING for member in self._of(generation)):
            yield from self._open(self._of(generation))
        elif all(member.phase is Phase.SERVING for member in self._of(generation)):
            yield from self._take_over(generation, now)

    def _take_over(self, generation: int, now: float) -> Iterator[Action]:
        before = [m for m in self.members.values() if m.generation != generation]
        self.current, self.coming = generation, None
        self.seats = [Seat() for _ in self.seats]
        yield from self._dismiss(before, Retire(), now)
        yield Took(generation)

    def _fill(self, now: float) -> Iterator[Action]:
        """Fill the current generation's seats."""
        if self.current is None:
            return
        for seat in self._empty():
            if now >= self.seats[seat].free_at:
                yield self._start(seat, self.current, now)
        yield from self._open(self._of(self.current))

    def _open(self, members: Sequence[Member]) -> Iterator[Action]:
        for member in members:
            if member.phase is Phase.WAITING and not member.opening:
                member.opening = True
                yield Tell(member.number, Open())

    def _dismiss(
        self, members: Sequence[Member], message: Stop | Retire, now: float
    ) -> Iterator[Action]:
        """Let those of *members* leave that were not told to; one that lets nobody in yet has
        nothing to end."""
        serving = [m for m in members if m.phase is Phase.SERVING or m.opening]
        yield from self._kill_all([m for m in members if m not in serving])
        for member in serving:
            if member.phase is not Phase.LEAVING:
                member.phase = Phase.LEAVING
                member.limit = min(member.limit, now + self.patience.leaving)
                yield Tell(member.number, message)

    def _kill_all(self, members: Sequence[Member]) -> Iterator[Action]:
        for member in members:
            if not member.doomed:
                member.doomed = True
                yield Kill(member.number, "")

    def _start(self, seat: int, generation: int, now: float) -> Start:
        self._numbers += 1
        self.members[self._numbers] = Member(self._numbers, seat, generation, now, now)
        return Start(self._numbers, seat, generation)

    def _advance(self, number: int, phase: Phase, now: float) -> None:
        member = self.members[number]
        member.phase = max(member.phase, phase, key=lambda each: each.value)
        self.heard(number, now)

    def _of(self, generation: int) -> list[Member]:
        return [member for member in self.members.values() if member.generation == generation]

    def _empty(self) -> list[int]:
        """The seats that no worker of the current generation sits in."""
        taken = {m.seat for m in self.members.values() if m.generation == self.current}
        return [seat for seat in range(len(self.seats)) if seat not in taken]
