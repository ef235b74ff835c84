"""What waits together runs together: in one turn of the loop, or while the model is busy, as one
call.

The cut - how much of those that can be one call runs now - is a pure function of them and the time.
"""

from collections.abc import Hashable, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from inferd.calls import InferRequest, Reply
from inferd.engine.company import Company
from inferd.engine.execution import Execution, failure
from inferd.engine.home import Done
from inferd.engine.joining import join, split
from inferd.engine.schedulers.base import Scheduler, is_gone, late, left
from inferd.engine.statistics import Ran
from inferd.engine.waiting import FOREVER, Line, Waiting
from inferd.errors import InferdError
from inferd.spec import Batching
from inferd.tensors import Array


class Seat(Protocol):
    """A waiting request as the cut sees it."""

    @property
    def rows(self) -> int:
        """Those that wait."""

    @property
    def since(self) -> int:
        """When it came."""


class Cut(NamedTuple):
    """What to do with a line of requests: run the first ``take`` of it and, of the next one, the
    first ``part`` rows; or, where that is nothing, look again at ``wake_at``."""

    take: int
    part: int = 0
    settled: bool = False
    """Whether it stays so, whoever comes behind them."""
    wake_at: float = 0


def cut(line: Sequence[Seat], batching: Batching, now: int) -> Cut:
    """As many of *line*, which can all be one call, as run now: from its front, with Triton's
    meaning of preferred sizes and of the delay; pure.

    The first that does not fit ends the batch: nobody is overtaken. One that fits into no batch
    fills this one, and waits on with the rest of its rows.
    """
    most, sizes = batching.max_batch_size, batching.preferred_batch_size
    largest, delay = max(sizes, default=most), batching.max_queue_delay_microseconds * 1000
    take = rows = part = 0
    preferred: int | None = None
    oldest, full = FOREVER, False
    for seat in line:
        more = rows + seat.rows
        if more > largest and take and preferred is None:  # a preferred size is not to be had
            preferred = take
        if more > most:
            full, part = True, most - rows if seat.rows > most else 0
            break
        take, rows, oldest = take + 1, more, min(oldest, seat.since)
        if rows in sizes:
            preferred = take
    overdue, settled = delay > 0 and now >= oldest + delay, full or rows >= largest
    if preferred is not None and sizes and not overdue:
        return Cut(preferred, 0, settled)
    if settled or overdue or not delay:
        return Cut(take, part, settled)
    return Cut(0, wake_at=oldest + delay)


LARGEST = 1 << 16
"""Rows that a batch is widened to at most."""


def widened(batching: Batching, quick_rows: int) -> Batching:
    """*batching* for a model that runs so many rows at once, uncut: where that is more than a batch
    may have, smaller pieces of a larger request would cost it a hundred calls for one."""
    most = min(quick_rows, LARGEST)
    if most <= batching.max_batch_size:
        return batching
    return msgspec.structs.replace(batching, max_batch_size=most)


def group_of(request: InferRequest) -> Hashable:
    """Requests of equal groups can be one call: same inputs, datatypes, trailing shapes and wanted
    outputs. (The version is the scheduler's.)"""
    inputs = [(name, array.dtype, array.shape[1:]) for name, array in request.inputs.items()]
    if len(inputs) == 1:
        return inputs[0], *request.outputs
    inputs.sort(key=itemgetter(0))
    return tuple(inputs), *request.outputs


Gone: TypeAlias = tuple[Waiting, InferdError]
"""One that is not to be run, and why."""


class Batch(Scheduler):
    """For models whose rows can be joined."""

    joins = True

    def __init__(self, execution: Execution, batching: Batching, instances: int) -> None:
        batching = widened(batching, execution.quick_rows)
        super().__init__(execution, batching, instances)
        self._woken = False
        self._company = Company(execution.cost.fixed)
        self._is_company_welcome = not (
            batching.max_queue_delay_microseconds or batching.preferred_batch_size
        )
        """Whether it is for us to say who waits for whom, and not for the operator."""
        self._enough = min(batching.preferred_batch_size, default=batching.max_batch_size)
        """Rows with which a batch may be settled."""

    def __call__(self, request: InferRequest, reply: Reply) -> None:
        execution = self.execution
        if request.rows <= execution.quick_rows and (self.parallel or not self.occupied):
            execution.answer_now(request, reply)
        elif self.enqueue(request, reply, group_of(request)):
            self._wake()

    def _wake(self) -> None:
        """Look at the queue at the end of this turn of the loop, when all that it brought is
        there."""
        if not self._woken and self.running <= self.instances:
            self._woken = True
            self.execution.home.loop.call_soon(self.fill)

    def fill(self) -> None:
        self._woken = False
        self._start_batches(settled=False)

    def _start_batches(self, *, settled: bool) -> None:
        """Start those that are due, or *settled* ones only, while an instance is free, and one more
        if that may be."""
        if not self.queue:
            return
        now = self.execution.clock()
        gone: list[Gone] = []
        while self.queue and self._may_start():
            waiting = len(self.queue)
            busy = self.running == self.instances
            if batch := self._next(now, settled or busy, gone):
                self._start(batch, now)
            elif len(self.queue) == waiting:
                break
        for each, reason in gone:  # now: an answer may bring the caller's next request
            self.refuse(each, reason)

    def _may_start(self) -> bool:
        if self.running < self.instances:
            return True
        ahead = self.runs_ahead and self.running == self.instances
        return ahead and self.queue.rows >= self._enough

    def _next(self, now: int, settled: bool, gone: list[Gone]) -> list[Waiting]:
        """The batch whose turn it is, taken out of the queue; nothing where none is due. Those that
        need not be run any more are taken out, too, and added to *gone*."""
        for group in self._groups(now):
            if not settled and self._waits_for_company(self.queue.line(group), now):
                break
            if not (line := self._line(group, now, gone)):
                continue
            chosen = cut(line, self.batching, now)
            if chosen.wake_at and chosen.wake_at > self._last_moment():
                chosen = cut(line, self.batching, int(chosen.wake_at))  # as if it were over
            if line[0].alone:
                chosen = Cut(1, settled=True)
            if chosen.wake_at:
                self.wake_at(chosen.wake_at)
            elif chosen.settled or not settled:
                return self._take(line, chosen)
        return []

    def _groups(self, now: int) -> list[Hashable]:
        """That whose turn it is; and those that need not wait for company, if that one may."""
        first, delay = self.queue.first().group, self.batching.max_queue_delay_microseconds * 1000
        if not delay:
            return [first]
        due = self.queue.groups(self._enough, now - delay)
        return [first, *(each for each in due if each != first)]

    def _line(self, group: Hashable, now: int, gone: list[Gone]) -> list[Waiting]:
        """Those of *group* that one call may hold, and the next one; fewer where the call would
        then end too late for some of them. Takes out those that need not be run any more."""
        line: list[Waiting] = []
        dropped: list[Gone] = []
        standing, rows, most = self.queue.line(group), 0, self.batching.max_batch_size
        whole, limit = float(min(max(standing.rows, 1), most)), FOREVER
        for each in standing:
            if is_gone(each):
                dropped.append((each, left()))
                continue
            if (deadline := each.request.deadline) < FOREVER:
                least = min(max(each.rows, 1), most)
                room = self.admission.room(now, least, whole, deadline * 1e9)
                if not room:
                    dropped.append((each, late()))
                    continue
                if room < whole:
                    whole = limit = room
            if line and rows + each.rows > limit:
                break
            line.append(each)
            rows += each.rows
            if rows > most:
                break
        for each, _ in dropped:
            self.queue.remove(each)
        gone += dropped
        return line

    def _waits_for_company(self, standing: Line, now: int) -> bool:
        """Whether those who were just answered are worth waiting for: not where the batch is full
        without them, where others could run, or where somebody's time would run out."""
        most = self.batching.max_batch_size
        others = standing.requests < len(self.queue) or standing.first().alone
        if not self._is_company_welcome or others or standing.rows >= most:
            return False
        until: float = self._company.wait_until(now, standing.group, standing.requests)
        if until > now:
            until = min(until, self._last_moment())
        if until <= now:
            return False
        self.wake_at(until)
        return True

    def _last_moment(self) -> float:
        """Until when a call may wait to begin, so that nobody's time runs out over it."""
        call = self.admission.call_ns(self.batching.max_batch_size)
        return self.queue.next_time() - 2 * call

    def _take(self, line: Sequence[Waiting], chosen: Cut) -> list[Waiting]:
        batch = list(line[: chosen.take])
        for each in batch:
            self.queue.take(each)
        if chosen.part:
            batch.append(self.queue.part(line[chosen.take], chosen.part))
        return batch

    def _start(self, batch: list[Waiting], now: int) -> None:
        rows = sum([each.rows for each in batch])
        self.began(now, batch, rows)
        self._company.began(now)
        self.execution.run_in_thread(
            lambda: join([_inputs(each) for each in batch]),
            batch[0].request.outputs,
            partial(self._answer, batch, rows),
            lambda: not all(map(is_gone, batch)),
        )

    def _answer(self, batch: list[Waiting], rows: int, done: Done[Ran]) -> None:
        self.ended(rows, done)
        try:
            ran = done.result()
            shares = split(ran.outputs, [each.rows for each in batch])
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self._fail(batch, error)
        else:
            self._start_batches(settled=True)  # first: it runs while answers are written
            self.execution.succeed(batch, ran, shares)
            group, now = batch[0].group, self.execution.clock()
            self._company.answered(now, group, len(batch), self.queue.waiting(group))
        self._start_batches(settled=False)

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        """Answer with the error, or, where several were joined, run each again alone: one may be to
        blame for all."""
        if len(batch) == 1:
            self.refuse(batch[0], failure(error, batch[0].request))
            return
        for each in batch:
            if not each.refused:
                self.queue.again(each)


plugin = Batch


def _inputs(waiting: Waiting) -> dict[str, Array]:
    """The rows of *waiting* that one call is to run."""
    inputs = waiting.request.inputs
    if waiting.split is None:
        return inputs
    end = waiting.start + waiting.rows
    return {name: array[waiting.start : end] for name, array in inputs.items()}
