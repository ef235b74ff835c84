"""A queue before a model, simulated event by event on a clock of its own: what the schedulers do
with ``engine.admission``, without threads, loops or waiting."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from inferd.engine.admission import Admission
from inferd.engine.cost import UNKNOWN, Cost
from inferd.engine.waiting import FOREVER
from inferd.errors import DeadlineExceeded, Refused
from inferd.spec import Batching

MS, SECOND = 1_000_000, 1_000_000_000

Took = Callable[[int, int], float]
"""The nanoseconds of a call, from when it begins and its rows."""


@dataclass(eq=False)
class Asked:
    """A request, and what became of it."""

    at: int
    rows: int = 1
    deadline: float = FOREVER
    end: int = 0
    refusal: Refused | None = None

    @property
    def good(self) -> bool:
        """Whether it was answered in time."""
        return self.refusal is None and self.end <= self.deadline

    @property
    def waited(self) -> float:
        """Milliseconds from the question to its end."""
        return (self.end - self.at) / MS


@dataclass
class Queue:
    """One model's; each event is handled in the order of its time."""

    took: Took
    cost: Cost = UNKNOWN
    batching: Batching = field(default_factory=Batching)
    instances: int = 1
    joins: bool = False
    ahead: int = 1
    """Calls that are handed over before an instance is free."""
    then: Callable[["Queue", Asked], None] = lambda _queue, _asked: None
    """What the client does with the answer."""

    def __post_init__(self) -> None:
        self.admission = Admission(self.cost, self.batching, self.instances, joins=self.joins)
        self.now, self.running, self.rows = 0, 0, 0
        self.asked: list[Asked] = []
        self._handed: deque[Sequence[Asked]] = deque()
        self._waiting: deque[Asked] = deque()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def ask(self, asked: Asked) -> None:
        """Let *asked* come when it is time."""
        self._at(asked.at, lambda: self._arrive(asked))

    def run(self, until: int = 1 << 62) -> "Queue":
        """Let time pass until nothing is left to happen, or until *until*."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self

    def between(self, begin: float, end: float) -> list[Asked]:
        """What was asked in these seconds."""
        return [each for each in self.asked if begin * SECOND <= each.at < end * SECOND]

    def _at(self, time: int, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), event))

    def _arrive(self, asked: Asked) -> None:
        self.asked.append(asked)
        place = self.now, len(self._waiting), self.rows
        refusal = self.admission.admit(*place, asked.rows, asked.deadline)
        if refusal is None and len(self._waiting) >= self.batching.queue.max_queue_size:
            refusal = self.admission.full(*place)
        if refusal is None:
            self._waiting.append(asked)
            self.rows += asked.rows
            self._at(self.now, self._fill)  # the end of this turn
        else:
            self._end(asked, refusal)

    def _fill(self) -> None:
        while self._waiting and self._may_start():
            batch = self._cut()
            if not batch:
                continue
            rows = sum(each.rows for each in batch)
            self.admission.began(self.now, batch[0].at, rows, len(self._waiting))
            if self.running < self.instances:
                self._start(batch)
            else:
                self._handed.append(batch)

    def _may_start(self) -> bool:
        """Whether an instance is free; or a short call would be full, to begin when one is."""
        if self.running < self.instances:
            return True
        size = self.batching.max_batch_size if self.joins else 1
        is_short = self.admission.call_ns(size) < 20 * MS
        return is_short and self.rows >= size and len(self._handed) < self.ahead

    def _cut(self) -> list[Asked]:
        room = float(min(self.rows, self.batching.max_batch_size) if self.joins else 1)
        batch, rows = list[Asked](), 0
        while self._waiting:
            first = self._waiting[0]
            left = self.admission.room(self.now, first.rows, room, first.deadline)
            if left and rows + first.rows > left:
                break
            self.rows -= self._waiting.popleft().rows
            if left:
                room = left
                batch.append(first)
                rows += first.rows
            else:
                self._end(first, DeadlineExceeded("late"))
        return batch

    def _start(self, batch: Sequence[Asked]) -> None:
        rows = sum(each.rows for each in batch)
        self.running += 1
        took = max(1, int(self.took(self.now, rows)))
        self._at(self.now + took, lambda: self._ran(batch, rows))

    def _ran(self, batch: Sequence[Asked], rows: int) -> None:
        self.running -= 1
        self.admission.ran(self.now, rows)
        for each in batch:
            self._end(each, None)
        if self._handed:
            self._start(self._handed.popleft())
        self._fill()

    def _end(self, asked: Asked, refusal: Refused | None) -> None:
        asked.end, asked.refusal = self.now, refusal
        self.then(self, asked)


def steady(ms: float, per_row_ms: float = 0.0, noise: float = 0.1) -> Took:
    """A call of so many milliseconds, give or take the share *noise*."""
    random = np.random.default_rng(0)
    return lambda _began, rows: (ms + per_row_ms * rows) * MS * random.uniform(1 - noise, 1 + noise)


def offer(queue: Queue, rate: float, begin: float, end: float, budget_ms: float = FOREVER) -> None:
    """An open loop: so many requests a second of many callers, whatever becomes of them."""
    random = np.random.default_rng(1)
    count = round(rate * (end - begin))
    for at in np.sort(random.uniform(begin, end, count)) * SECOND:
        queue.ask(Asked(int(at), deadline=at + budget_ms * MS))


def clients(queue: Queue, number: int, until: float) -> None:
    """A closed loop: each asks again when it has its answer."""

    def again(queue: Queue, _asked: Asked) -> None:
        if queue.now < until * SECOND:
            queue.ask(Asked(queue.now + MS // 10))

    queue.then = again
    for _ in range(number):
        queue.ask(Asked(0))


def goodput(asked: Iterable[Asked], seconds: float) -> float:
    """Answers in time, a second."""
    return sum(each.good for each in asked) / seconds


def answered(asked: Iterable[Asked]) -> list[float]:
    """The waits of those that were answered, in milliseconds."""
    return [each.waited for each in asked if each.refusal is None]


def refusals(asked: Iterable[Asked]) -> set[type[Refused]]:
    """The kinds of refusals there were."""
    return {type(each.refusal) for each in asked if each.refusal is not None}
