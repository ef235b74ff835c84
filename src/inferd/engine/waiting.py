"""The requests that wait for one version: in which order, with whom, and for how long. Pure.

Coming and leaving take the same short time however many wait: nothing is ever gone through.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import chain, count
from typing import TypeAlias

import msgspec

from inferd.calls import InferRequest, Reply
from inferd.engine.joining import Split
from inferd.spec import Batching, QueuePolicy

FOREVER = float("inf")
BEGUN, FRESH, LAST = PLACES = range(3)
"""Where one stands within its level: first what has begun - the rest of a split one, and what is
run again -, and last what is delayed."""
CLUTTER = 64  # times of requests that have left, which are kept before they are cleared away


class Waiting(msgspec.Struct, eq=False):
    """A request in a queue. Moments are nanoseconds of the execution's clock."""

    request: InferRequest
    reply: Reply
    since: int
    rows: int
    """Of those that still wait."""
    rank: int = FRESH
    """Its level of priority, and its place within that, as one number."""
    group: Hashable = None
    """Those of one group can be one call."""
    until: float = FOREVER
    """When its patience ends."""
    alone: bool = False
    """Not to be joined: it was part of a batch that failed."""
    start: int = 0
    """The first of its rows that still waits."""
    split: Split | None = None
    """Where the answers to its parts come together, if it is too large for one call."""
    number: int = 0
    """Of its arrival."""
    line: "Line | None" = None
    """That of its group, while it stands there."""
    refused: bool = False
    """Whether it was answered with an error, although its call may still be run."""

    @property
    def level(self) -> int:
        """Its level of priority."""
        return self.rank // len(PLACES)

    def goes_on(self) -> None:
        """Stand before those of its level that have not begun, and wait for ever."""
        self.rank, self.until = rank_of(self.level, BEGUN), FOREVER


def rank_of(level: int, place: int = FRESH) -> int:
    """Where those of *level* and *place* stand: the least goes first."""
    return level * len(PLACES) + place


class Line:
    """Requests by rank, and within one by arrival."""

    __slots__ = ("_ranks", "group", "requests", "rows")

    def __init__(self, group: Hashable = None) -> None:
        self.group = group
        self._ranks: dict[int, Rank] = {}
        self.requests = self.rows = 0

    def __iter__(self) -> Iterator[Waiting]:
        ranks = self._ranks
        return chain.from_iterable(map(ranks.__getitem__, sorted(ranks)))

    def first(self) -> Waiting:
        """The one whose turn it is."""
        return next(iter(self._ranks[min(self._ranks)]))

    def add(self, waiting: Waiting) -> None:
        """Let *waiting* stand behind all of its rank."""
        members = self._ranks.get(waiting.rank)
        if members is None:
            members = self._ranks[waiting.rank] = OrderedDict()
        members[waiting] = None
        self.requests += 1
        self.rows += waiting.rows

    def remove(self, waiting: Waiting) -> None:
        """Let *waiting* go, wherever it stands."""
        members = self._ranks[waiting.rank]
        del members[waiting]
        if not members:
            del self._ranks[waiting.rank]
        self.requests -= 1
        self.rows -= waiting.rows


Rank: TypeAlias = OrderedDict[Waiting, None]
"""In order of arrival. Ordered, for a plain dict looks for its first member past all that left."""


class Queue:
    """All that waits for one version."""

    def __init__(self, batching: Batching) -> None:
        self._batching = batching
        self._all = Line()
        self._groups: dict[Hashable, Line] = {}
        self._tallies: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        """Requests and rows of each level, where there are levels."""
        self._timed: dict[int, Waiting] = {}
        self._times: list[tuple[float, int]] = []
        """A heap of when the patience of a number ends; also of numbers that have left."""
        self._numbers = count()

    def __len__(self) -> int:
        return self._all.requests

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._all)

    @property
    def rows(self) -> int:
        """Of all."""
        return self._all.rows

    def first(self) -> Waiting:
        """The one whose turn it is."""
        return self._all.first()

    def line(self, group: Hashable) -> Line:
        """Those of one group, of which there must be some."""
        return self._groups[group]

    def waiting(self, group: Hashable) -> int:
        """How many of *group* there are."""
        return self._groups[group].requests if group in self._groups else 0

    def groups(self, rows: int, since: int) -> list[Hashable]:
        """Those with so many rows, or whose first has waited *since* then."""
        lines = self._groups.values()
        return [each.group for each in lines if each.rows >= rows or each.first().since <= since]

    def of(self, level: int) -> int:
        """How many of *level* there are."""
        return self._tallies[level][0] if level else self._all.requests

    def ahead(self, level: int) -> tuple[int, int]:
        """How many requests and rows go before one of *level* that comes now."""
        if not level:
            return self._all.requests, self._all.rows
        before = [tally for each, tally in self._tallies.items() if each <= level]
        return sum([tally[0] for tally in before]), sum([tally[1] for tally in before])

    def add(self, waiting: Waiting) -> None:
        """Let *waiting* stand behind all of its rank."""
        waiting.number = next(self._numbers)
        self._stand(waiting)
        if waiting.until < FOREVER:
            self._time(waiting)

    def remove(self, waiting: Waiting) -> None:
        """Let *waiting* go, wherever it stands."""
        self.take(waiting)
        self.forget((waiting,))

    def take(self, waiting: Waiting) -> None:
        """Let *waiting* go to be run: until it begins, and is forgotten, its patience may end."""
        self._leave(waiting)

    def forget(self, taken: Iterable[Waiting]) -> None:
        """Do not ask for the patience of those who were *taken* any more."""
        if self._timed:
            for each in taken:
                self._timed.pop(each.number, None)
            self._tidy()

    def part(self, waiting: Waiting, rows: int) -> Waiting:
        """The next *rows* rows of *waiting*, whose others go on before those of its level that have
        not begun."""
        self.remove(waiting)
        waiting.goes_on()
        if waiting.split is None:
            waiting.split = Split(waiting.rows)
        part = Waiting(
            waiting.request,
            waiting.reply,
            waiting.since,
            rows,
            waiting.rank,
            waiting.group,
            start=waiting.start,
            split=waiting.split,
        )
        waiting.rows -= rows
        waiting.start += rows
        self._stand(waiting)
        return part

    def again(self, waiting: Waiting) -> None:
        """Let *waiting*, which was taken, stand before the others of its level, to be run alone."""
        waiting.goes_on()
        waiting.alone, waiting.group = True, waiting
        self.add(waiting)

    def next_time(self) -> float:
        """When somebody's patience ends, at the earliest."""
        while self._times and self._times[0][1] not in self._timed:  # one who has left
            heappop(self._times)
        return self._times[0][0] if self._times else FOREVER

    def expire(self, now: int) -> list[Waiting]:
        """Take out those who may wait no longer, also of those that were taken and have not begun;
        those that are to be delayed go behind the others of their level."""
        over: list[Waiting] = []
        while self._times and self._times[0][0] <= now:
            _, number = heappop(self._times)
            waiting = self._timed.pop(number, None)
            if waiting is None:
                continue
            stands, delays = waiting.line is not None, self._delays(waiting, now)
            if stands:
                self._leave(waiting)
            if not delays:
                over.append(waiting)
            elif stands:
                waiting.rank += 1
                waiting.until = waiting.request.deadline * 1e9
                self.add(waiting)
        return over

    def _delays(self, waiting: Waiting, now: int) -> bool:
        policy = self._batching.policy_of(waiting.level)
        return policy.timeout_action == "delay" and now < waiting.request.deadline * 1e9

    def _stand(self, waiting: Waiting) -> None:
        line = self._groups.get(waiting.group)
        if line is None:
            line = self._groups[waiting.group] = Line(waiting.group)
        waiting.line = line
        line.add(waiting)
        self._all.add(waiting)
        if self._batching.priority_levels:
            self._tally(waiting, 1, waiting.rows)

    def _leave(self, waiting: Waiting) -> None:
        line, waiting.line = waiting.line, None
        if line is None:
            raise KeyError("it does not wait")
        line.remove(waiting)
        if not line.requests:
            del self._groups[line.group]
        self._all.remove(waiting)
        if self._batching.priority_levels:
            self._tally(waiting, -1, -waiting.rows)

    def _tally(self, waiting: Waiting, requests: int, rows: int) -> None:
        tally = self._tallies[waiting.level]
        tally[0] += requests
        tally[1] += rows

    def _time(self, waiting: Waiting) -> None:
        self._timed[waiting.number] = waiting
        heappush(self._times, (waiting.until, waiting.number))

    def _tidy(self) -> None:
        """Forget the times of those that have left, where they are many."""
        if len(self._times) > 2 * len(self._timed) + CLUTTER:
            self._times = [(each.until, number) for number, each in self._timed.items()]
            heapify(self._times)


def patience(request: InferRequest, policy: QueuePolicy) -> float:
    """How many nanoseconds *request* may wait: its own timeout shortens the policy's, where that is
    allowed."""
    own = request.timeout_us if policy.allow_timeout_override else 0
    most = policy.timeout_microseconds
    if own and most:
        return min(own, most) * 1000
    return (own or most) * 1000 or FOREVER
