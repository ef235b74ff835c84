"""inferd.server.watch: what becomes of the workers, whatever they do."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inferd.server.link import Hurry, Open, Retire, Stop
from inferd.server.watch import (
    DUMP_SECONDS,
    HALTED_SECONDS,
    HURRY_SECONDS,
    SETTLED_SECONDS,
    Abandoned,
    Action,
    Dump,
    Kill,
    Patience,
    Phase,
    Start,
    Tell,
    Took,
    Watch,
)

PATIENCE = Patience(silent=10.0, leaving=30.0)


class Crew:
    """Workers that do at once what they are told, unless a test says otherwise."""

    def __init__(self, seats: int) -> None:
        self.watch, self.now = Watch(seats, PATIENCE), 100.0
        self.done: list[Action] = []

    def turn(self) -> list[Action]:
        """What is decided now."""
        actions = self.watch.decide(self.now)
        self.done += actions
        return actions

    def live(self, phase: Phase) -> list[int]:
        """The workers in *phase*."""
        return [m.number for m in self.watch.members.values() if m.phase is phase]

    def load(self) -> None:
        """Every worker that loads is done with that."""
        for number in self.live(Phase.LOADING):
            self.watch.loaded(number, self.now)

    def open(self) -> None:
        """Every worker that was told to open answers."""
        for member in list(self.watch.members.values()):
            if member.opening and member.phase is Phase.WAITING:
                self.watch.serving(member.number, self.now)

    def settle(self) -> list[Action]:
        """Go on until nothing happens any more; what was done."""
        before = len(self.done)
        for _ in range(5):
            self.turn()
            self.load()
            self.open()
        return self.done[before:]


def serving(seats: int = 2) -> Crew:
    """A crew of which all serve."""
    crew = Crew(seats)
    crew.watch.begin()
    crew.settle()
    assert len(crew.live(Phase.SERVING)) == seats
    return crew


def test_the_first_worker_loads_alone() -> None:
    """The others start when it has loaded, and find what it compiled."""
    crew = Crew(3)
    generation = crew.watch.begin()
    assert crew.turn() == [Start(1, 0, generation)]
    assert crew.turn() == []
    crew.load()
    assert crew.turn() == [Start(2, 1, generation), Start(3, 2, generation)]


def test_nobody_lets_clients_in_before_all_have_loaded() -> None:
    """Then all are told at once, and the generation has taken over when all serve."""
    crew = Crew(2)
    generation = crew.watch.begin()
    crew.turn()
    crew.load()
    crew.turn()
    assert crew.turn() == []
    crew.load()
    assert crew.turn() == [Tell(1, Open()), Tell(2, Open())]
    crew.watch.serving(2, crew.now)
    assert crew.turn() == []
    crew.watch.serving(1, crew.now)
    assert crew.turn() == [Took(generation)]


def test_a_start_that_fails_is_given_up() -> None:
    """One worker that ends takes the others with it, and nothing is tried again."""
    crew = Crew(2)
    generation = crew.watch.begin()
    crew.turn()
    crew.load()
    crew.turn()
    crew.watch.ended(2, crew.now)
    assert crew.turn() == [Kill(1, ""), Abandoned(generation)]
    crew.watch.ended(1, crew.now)
    assert crew.turn() == []
    assert crew.watch.wake() is None


def test_a_worker_that_ends_is_replaced_at_once() -> None:
    """In its seat, in the same turn; and let in as soon as it has loaded."""
    crew = serving()
    crew.watch.ended(1, crew.now)
    assert crew.turn() == [Start(3, 0, 1)]
    crew.load()
    assert crew.turn() == [Tell(3, Open())]


def test_workers_that_keep_ending_start_more_and_more_slowly() -> None:
    """Pauses double from a tenth of a second to ten; one that served a while starts afresh."""
    crew = serving(1)
    pauses = []
    for _ in range(12):
        (number,) = crew.watch.members
        crew.watch.ended(number, crew.now)
        ended_at = crew.now
        while not any(isinstance(action, Start) for action in crew.turn()):
            wake = crew.watch.wake()
            assert wake is not None
            crew.now = wake
        pauses.append(crew.now - ended_at)
        crew.settle()
    assert [round(each, 3) for each in pauses[:5]] == [0, 0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 10
    crew.now += SETTLED_SECONDS + 1
    (number,) = crew.watch.members
    crew.watch.heard(number, crew.now)
    crew.watch.ended(number, crew.now)
    assert isinstance(crew.turn()[0], Start)


def test_a_worker_that_stands_still_is_killed() -> None:
    """Three tenths of a second after it was stopped, unless it goes on before."""
    crew = serving()
    crew.watch.halted(1, crew.now)
    assert crew.turn() == []
    crew.now += HALTED_SECONDS / 2
    crew.watch.continued(1, crew.now)
    crew.watch.halted(2, crew.now)
    crew.now += HALTED_SECONDS
    (kill,) = crew.turn()
    assert isinstance(kill, Kill)
    assert kill.number == 2


def test_a_silent_worker_tells_where_it_stands_and_is_killed() -> None:
    """Unless it is heard before; one that loads may be silent."""
    crew = serving()
    crew.watch.ended(2, crew.now)
    crew.turn()  # its successor loads, and says nothing
    crew.now += PATIENCE.silent
    assert crew.turn() == [Dump(1)]
    crew.now += DUMP_SECONDS
    crew.watch.heard(1, crew.now)
    assert crew.turn() == []
    crew.now += PATIENCE.silent
    assert crew.turn() == [Dump(1)]
    crew.now += DUMP_SECONDS
    assert crew.turn() == [Kill(1, "gave no sign of life for 10 s")]


def test_a_reload_is_no_gap() -> None:
    """The old ones are told to retire when all new ones serve, and not before."""
    crew = serving()
    crew.watch.begin()
    told = crew.settle()
    assert [a for a in told if isinstance(a, Tell)] == [
        Tell(3, Open()),
        Tell(4, Open()),
        Tell(1, Retire()),
        Tell(2, Retire()),
    ]
    assert told[-1] == Took(2)
    crew.watch.ended(1, crew.now)
    assert crew.turn() == []


def test_a_reload_that_fails_changes_nothing() -> None:
    """The new ones end, the old ones stay, and another one may be tried."""
    crew = serving()
    crew.watch.begin()
    crew.turn()
    crew.watch.ended(3, crew.now)
    assert crew.turn() == [Abandoned(2)]
    assert crew.live(Phase.SERVING) == [1, 2]
    crew.watch.begin()
    assert Took(3) in crew.settle()


def test_a_reload_that_fails_late_cuts_nobody_off() -> None:
    """A new worker that lets clients in already answers them before it ends."""
    crew = serving()
    crew.watch.begin()
    for _ in range(2):
        crew.turn()
        crew.load()
    crew.turn()
    crew.watch.serving(3, crew.now)
    crew.watch.ended(4, crew.now)
    assert crew.turn() == [Tell(3, Retire()), Abandoned(2)]
    assert crew.live(Phase.SERVING) == [1, 2]


def test_a_worker_that_ends_during_a_reload_is_replaced() -> None:
    """By one with the settings that it had, which is ended when the new ones take over."""
    crew = serving()
    crew.watch.begin()
    crew.turn()
    crew.watch.ended(1, crew.now)
    assert crew.turn() == [Start(4, 0, 1)]
    crew.watch.loaded(3, crew.now)
    crew.turn()
    crew.watch.loaded(5, crew.now)
    crew.turn()
    crew.watch.serving(3, crew.now)
    crew.watch.serving(5, crew.now)
    assert crew.turn() == [Kill(4, ""), Tell(2, Retire()), Took(2)]


def test_a_stop_lets_all_leave() -> None:
    """Those that serve are told, those that load are ended; nobody is replaced."""
    crew = serving()
    crew.watch.ended(2, crew.now)
    crew.turn()
    crew.watch.stop()
    assert crew.turn() == [Kill(3, ""), Tell(1, Stop())]
    crew.watch.ended(1, crew.now)
    assert not crew.watch.over
    crew.watch.ended(3, crew.now)
    assert crew.turn() == []
    assert crew.watch.over


def test_whoever_does_not_leave_is_killed() -> None:
    """After the time that it may drain; a second after it was told to hurry."""
    crew = serving()
    crew.watch.stop()
    crew.turn()
    crew.now += PATIENCE.leaving - 2
    assert crew.turn() == []
    assert crew.watch.hurry(crew.now) == [Tell(1, Hurry()), Tell(2, Hurry())]
    assert crew.turn() == []
    crew.now += HURRY_SECONDS
    assert crew.turn() == [Kill(1, "did not end in time"), Kill(2, "did not end in time")]


SEATS = 3
ANY = st.integers(0, 1000)


class AnyCrew(RuleBasedStateMachine):
    """Workers that load, serve, hang, stand still and die as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.crew = Crew(SEATS)
        self.watch = self.crew.watch
        self.killed: set[int] = set()
        self.halted: dict[int, float] = {}
        self.freed: dict[int, float] = {}

    def act(self) -> None:
        """Do what is decided."""
        stopping = self.watch.stopping
        actions = self.crew.turn()
        assert self.watch.decide(self.crew.now) == [], "what was decided is not decided again"
        for action in actions:
            if isinstance(action, Kill):
                self.killed.add(action.number)
            assert not (stopping and isinstance(action, Start)), "nobody starts after the stop"
            if isinstance(action, Took):
                new = action.generation
                live = [m for m in self.watch.members.values() if m.generation == new]
                assert [m.phase for m in live] == [Phase.SERVING] * SEATS, "a reload is no gap"
        if any(isinstance(action, Tell) and action.message == Retire() for action in actions):
            assert any(isinstance(action, Took | Abandoned) for action in actions)

    def pick(self, which: int, numbers: list[int]) -> int | None:
        """One of *numbers*, if there are any."""
        return numbers[which % len(numbers)] if numbers else None

    @precondition(lambda self: self.watch.coming is None and not self.watch.stopping)
    @rule()
    def begin(self) -> None:
        """A start, or a reload."""
        self.watch.begin()
        self.act()

    @rule(which=ANY)
    def load(self, which: int) -> None:
        """One is done with loading."""
        number = self.pick(which, self.crew.live(Phase.LOADING))
        if number is not None:
            self.watch.loaded(number, self.crew.now)
            self.act()

    @rule()
    def open(self) -> None:
        """All that were told to serve do."""
        self.crew.open()
        self.act()

    @rule(which=ANY)
    def die(self, which: int) -> None:
        """One ends, killed or not."""
        number = self.pick(which, sorted(self.killed) or list(self.watch.members))
        if number is not None:
            self.killed.discard(number)
            self.halted.pop(number, None)
            self.watch.ended(number, self.crew.now)
            self.act()

    @rule(which=ANY)
    def halt(self, which: int) -> None:
        """One is stopped by a signal."""
        number = self.pick(which, list(self.watch.members))
        if number is not None and number not in self.halted:
            self.watch.halted(number, self.crew.now)
            self.halted[number] = self.crew.now
            self.act()

    @rule(which=ANY)
    def go_on(self, which: int) -> None:
        """One that was stopped goes on."""
        number = self.pick(which, [n for n in self.halted if n not in self.killed])
        if number is not None:
            del self.halted[number]
            self.watch.continued(number, self.crew.now)
            self.act()

    @rule(seconds=st.floats(0.01, 40), beats=st.booleans())
    def wait(self, seconds: float, beats: bool) -> None:
        """Time passes, as fast as the watch wants to be woken."""
        end = self.crew.now + seconds
        while self.crew.now < end:
            self.crew.now = min(end, self.watch.wake() or math.inf)
            if beats:
                for number in set(self.watch.members) - set(self.halted):
                    self.watch.heard(number, self.crew.now)
            self.act()

    @precondition(lambda self: not self.watch.stopping)
    @rule(really=st.integers(0, 9))
    def stop(self, really: int) -> None:
        """The server stops, now and then."""
        if really == 0:
            self.watch.stop()
            self.act()

    @invariant()
    def one_a_seat(self) -> None:
        """No two workers of one generation sit in a seat."""
        seats = [(m.generation, m.seat) for m in self.watch.members.values()]
        assert len(seats) == len(set(seats))

    @invariant()
    def every_seat_is_taken_or_paused(self) -> None:
        """Where no worker sits, one will start at a time that the watch knows."""
        wake = self.watch.wake()
        assert wake is None or wake > self.crew.now, "waiting is not spinning"
        if self.watch.current is not None and not self.watch.stopping:
            taken = {
                m.seat for m in self.watch.members.values() if m.generation == self.watch.current
            }
            for seat in set(range(SEATS)) - taken:
                assert wake is not None
                assert wake <= self.watch.seats[seat].free_at <= self.crew.now + 10

    @invariant()
    def nobody_stands_still_for_long(self) -> None:
        """Whoever was halted long ago was killed."""
        for number, since in self.halted.items():
            if self.crew.now >= since + HALTED_SECONDS:
                assert number in self.killed

    def teardown(self) -> None:
        """Left alone, a crew that ever served does so again, and one that stops is over."""
        for _ in range(10):
            for number in list(self.killed | set(self.halted)):
                self.watch.ended(number, self.crew.now)
            self.killed.clear()
            self.halted.clear()
            if self.watch.stopping:
                for number in self.crew.live(Phase.LEAVING):
                    self.watch.ended(number, self.crew.now)
            self.act()
            self.crew.load()
            self.act()
            self.crew.open()
            self.act()
            if not self.killed:
                self.crew.now += 10
                for number in list(self.watch.members):
                    self.watch.heard(number, self.crew.now)
                self.act()
        if self.watch.stopping:
            assert self.watch.over
        elif self.watch.current is not None:
            assert len(self.crew.live(Phase.SERVING)) == SEATS


TestAnyCrew = AnyCrew.TestCase
TestAnyCrew.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
