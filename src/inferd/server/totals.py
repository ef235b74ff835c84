"""What the whole server has done, from what each worker says: pure, and never going back."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from inferd.server.link import Answer, Report, VersionStatistics
from inferd.statistics import NOTHING, Statistics

Key: TypeAlias = tuple[str, str]
"""A model's name and a version's."""

PATIENCE = 0.25  # seconds; a worker that is slower counts with what it said last


class Totals:
    """The sum over all workers, those included that are no more."""

    def __init__(self) -> None:
        self._last: dict[int, dict[Key, Statistics]] = {}
        """What each worker said last of each version."""
        self._departed: dict[Key, Statistics] = {}

    def joined(self, worker: int) -> None:
        """Count *worker*, which has done nothing yet."""
        self._last[worker] = {}

    def lost(self, worker: int) -> None:
        """Keep what *worker* did, which does no more."""
        for key, done in self._last.pop(worker, {}).items():
            self._departed[key] = self._departed.get(key, NOTHING) + done

    def reported(self, worker: int, statistics: Iterable[VersionStatistics]) -> None:
        """Take what *worker* says of some versions; of the others it said the last before."""
        last = self._last.get(worker)
        if last is None:  # it was lost, and what it did is summed up
            return
        for model, version, done in map(_fields, statistics):
            known = last.get((model, version))
            if known is None or done.requests >= known.requests:
                last[model, version] = done

    def read(self) -> dict[Key, Statistics]:
        """The sum now."""
        total = dict(self._departed)
        for last in self._last.values():
            for key, done in last.items():
                total[key] = total.get(key, NOTHING) + done
        return total


def told(total: Mapping[Key, Statistics]) -> tuple[VersionStatistics, ...]:
    """*total* as it is said on a line."""
    return tuple(VersionStatistics(*key, done) for key, done in total.items())


def _fields(said: VersionStatistics) -> tuple[str, str, Statistics]:
    return said.model, said.version, said.statistics


class Said(NamedTuple):
    """What is to be said to a worker."""

    worker: int
    message: Report | Answer


class Asker(NamedTuple):
    """A worker that wants to know, and its own number for that."""

    worker: int
    number: int


class Rounds:
    """Asks every worker, so that an answer counts what was done before its question came.

    One round at a time: whoever asks meanwhile is answered by the next, whose reports are younger
    than his question. So a thousand questions are not a thousand times as many messages.
    """

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._workers: set[int] = set()
        self._asking: list[Asker] = []
        self._next: list[Asker] = []
        self._silent: set[int] = set()
        self._number = 0
        self.deadline: float | None = None
        """When this round ends, whoever is silent."""

    def joined(self, worker: int) -> None:
        """*worker* may ask, and can be asked."""
        self._workers.add(worker)

    def lost(self, worker: int, now: float) -> Iterator[Said]:
        """Nothing more comes from *worker*, and nothing more can be said to it."""
        self._workers.discard(worker)
        self._silent.discard(worker)
        self._asking = [each for each in self._asking if each.worker != worker]
        self._next = [each for each in self._next if each.worker != worker]
        yield from self._go_on(now)

    def ask(self, asker: Asker, now: float) -> Iterator[Said]:
        """Somebody wants to know."""
        self._next.append(asker)
        yield from self._go_on(now)

    def reported(self, worker: int, number: int, now: float) -> Iterator[Said]:
        """*worker* answered; of an earlier round it is too late, and counts all the same."""
        if number == self._number:
            self._silent.discard(worker)
        yield from self._go_on(now)

    def tick(self, now: float) -> Iterator[Said]:
        """Time passed."""
        if self.deadline is not None and now >= self.deadline:
            self._silent.clear()
        yield from self._go_on(now)

    def _go_on(self, now: float) -> Iterator[Said]:
        if self.deadline is not None and not self._silent:
            total = told(self._totals.read())
            yield from (Said(worker, Answer(number, total)) for worker, number in self._asking)
            self._asking, self.deadline = [], None
        if self.deadline is None and self._next:
            self._asking, self._next = self._next, []
            self._number += 1
            self._silent, self.deadline = set(self._workers), now + PATIENCE
            yield from (Said(worker, Report(self._number)) for worker in sorted(self._workers))
