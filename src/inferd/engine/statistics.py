"""Counts what a version does, on the loop thread, and reads it as one frozen record."""

from collections.abc import Sequence

import msgspec

from inferd.clock import wall_ms
from inferd.statistics import SizeStatistics, Statistics, Total
from inferd.tensors import Array


class Ran(msgspec.Struct):
    """A call of the model that returned: its outputs, and its moments in nanoseconds of the
    clock."""

    outputs: dict[str, Array]
    began: int
    """When a thread took it up."""
    ready: int
    """When its inputs were joined."""
    ended: int


Tally = list[int]
"""Of the calls with one number of rows: how many, and their input, infer and output nanoseconds."""

SIZES = 512
"""Numbers of rows that are told apart. A caller chooses his own: more could be anything."""


class Counters:
    """Adds up. For the loop thread only.

    What is counted for every quick request is one tally; all else is summed when it is read.
    """

    __slots__ = (
        "_failed_ns",
        "_failures",
        "_joined",
        "_joined_requests",
        "_last",
        "_other_rows",
        "_others",
        "_queue_ns",
        "_sizes",
        "requests",
    )

    def __init__(self) -> None:
        self.requests = 0
        """Requests completed."""
        self._failures = self._failed_ns = self._queue_ns = self._last = 0
        self._sizes: dict[int, Tally] = {}
        self._others, self._other_rows = [0, 0, 0, 0], 0
        self._joined_requests, self._joined = 0, [0, 0, 0]
        """What a call's second and further requests add: their number and, again, its durations."""

    def ran_alone(self, rows: int, began: int, ended: int, answered: int) -> None:
        """Count a call for one request, which did not wait and is completed."""
        tally = self._sizes.get(rows) or self._tally(rows)
        tally[0] += 1
        tally[2] += ended - began
        tally[3] += answered - ended
        self._last = ended
        self.requests += 1

    def ran(self, rows: int, ran: Ran, since: Sequence[int], answered: int) -> None:
        """Count a call of *rows* rows for the requests that waited *since*."""
        durations = _durations(ran, answered)
        tally, more = self._sizes.get(rows) or self._tally(rows), len(since) - 1
        tally[0] += 1
        for at, ns in enumerate(durations):
            tally[at + 1] += ns
            self._joined[at] += more * ns
        self._joined_requests += more
        self._queue_ns += len(since) * ran.began - sum(since)
        self._last = ran.ended

    def put_together(self, ran: Ran, since: int, answered: int) -> None:
        """Count a request that waited *since*, whose last call was *ran*, counted without it."""
        for at, ns in enumerate(_durations(ran, answered)):
            self._joined[at] += ns
        self._joined_requests += 1
        self._queue_ns += ran.began - since

    def failed(self, ns: int) -> None:
        """Count a request that ended with an error *ns* after it came."""
        self._failures += 1
        self._failed_ns += ns

    def read(self) -> Statistics:
        """The totals as they are now."""
        tallies = [self._others, *self._sizes.values()]
        executions, *once = (sum(tally[at] for tally in tallies) for at in range(4))
        count = executions + self._joined_requests
        taken = [ns + more for ns, more in zip(once, self._joined, strict=True)]
        read, infer, written = (Total(count, ns) for ns in taken)
        return Statistics(
            success=Total(count, self._queue_ns + sum(taken)),
            fail=Total(self._failures, self._failed_ns),
            queue=Total(count, self._queue_ns),
            compute_input=read,
            compute_infer=infer,
            compute_output=written,
            rows=self._other_rows + sum(rows * tally[0] for rows, tally in self._sizes.items()),
            executions=executions,
            last_inference_ms=wall_ms(self._last) if executions else 0,
            sizes=tuple(_size(rows, self._sizes[rows]) for rows in sorted(self._sizes)),
        )

    def _tally(self, rows: int) -> Tally:
        """Where calls of *rows* rows are counted, which was not yet."""
        if len(self._sizes) < SIZES:
            return self._sizes.setdefault(rows, [0, 0, 0, 0])
        self._other_rows += rows
        return self._others


def _durations(ran: Ran, answered: int) -> tuple[int, int, int]:
    return ran.ready - ran.began, ran.ended - ran.ready, answered - ran.ended


def _size(rows: int, tally: Tally) -> SizeStatistics:
    count, *durations = tally
    read, infer, written = (Total(count, ns) for ns in durations)
    return SizeStatistics(rows, read, infer, written)
