"""What waits together runs together: in one turn of the loop, or while the model is busy, as one
call.

The cut - which requests, and when - is a pure function of the queue and the time.
"""

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from inferd.calls import InferRequest, Reply
from inferd.engine.execution import Execution, Waiting, failure
from inferd.engine.home import Done
from inferd.engine.schedulers.base import Scheduler
from inferd.engine.statistics import Ran
from inferd.errors import RunFailed
from inferd.spec import Batching
from inferd.tensors import Array


class Seat(NamedTuple):
    """A waiting request as the cut sees it: what it can be joined with, its rows, and since when it
    waits."""

    group: Hashable
    rows: int
    since: int


class Cut(NamedTuple):
    """What to do with the queue: run these (positions, oldest first) now, or, if none, look again
    at *wake_at*."""

    take: tuple[int, ...]
    wake_at: int = 0


def cut(queue: Sequence[Seat], batching: Batching, now: int) -> Cut:
    """The oldest request and as many later ones of its group as fit, in order; pure.

    The first of the group that does not fit ends the batch: nobody overtakes within a group. A
    request larger than ``max_batch_size`` runs alone. With a delay configured, a batch that is not
    full waits until its oldest request has waited that long.
    """
    oldest, taken, rows, full = queue[0], [0], queue[0].rows, False
    for at in range(1, len(queue)):
        if queue[at].group != oldest.group:
            continue
        if rows + queue[at].rows > batching.max_batch_size:
            full = True
            break
        taken.append(at)
        rows += queue[at].rows
    due = oldest.since + batching.max_queue_delay_microseconds * 1000
    if now >= due or full or rows >= batching.max_batch_size:
        return Cut(tuple(taken))
    return Cut((), due)


def group_of(request: InferRequest) -> Hashable:
    """Requests of equal groups can be one call: same inputs, trailing shapes and wanted outputs.
    (Datatypes are the signature's, and the version is the scheduler's.)"""
    return tuple((name, a.shape[1:]) for name, a in sorted(request.inputs.items())), tuple(
        request.outputs
    )


class Batch(Scheduler):
    """For models whose rows can be joined."""

    def __init__(self, execution: Execution, batching: Batching, instances: int) -> None:
        super().__init__(execution, batching, instances)
        self._woken = False
        self._alarm: asyncio.TimerHandle | None = None

    def __call__(self, request: InferRequest, reply: Reply) -> None:
        execution = self.execution
        if request.rows <= execution.quick_rows and (self.parallel or not self.running):
            execution.answer_now(request, reply)
        elif self.enqueue(request, reply):
            self._wake()

    def _wake(self) -> None:
        """Look at the queue at the end of this turn of the loop, when all that it brought is
        there."""
        if not self._woken and self.running < self.instances:
            self._woken = True
            self.execution.home.loop.call_soon(self._fill)

    def _fill(self) -> None:
        """Start batches while an instance is free and one is due."""
        self._woken = False
        if self._alarm:
            self._alarm.cancel()
        self.drop()
        while self.waiting and self.running < self.instances:
            now = self.execution.clock()
            chosen = cut([_seat(w) for w in self.waiting], self.batching, now)
            if not chosen.take:
                self._alarm = self.execution.home.loop.call_later(
                    (chosen.wake_at - now) / 1e9, self._fill
                )
                return
            self._start(self._remove(chosen.take))

    def _remove(self, positions: Sequence[int]) -> list[Waiting]:
        chosen = set(positions)
        batch = [w for at, w in enumerate(self.waiting) if at in chosen]
        self.waiting = deque(w for at, w in enumerate(self.waiting) if at not in chosen)
        return batch

    def _start(self, batch: list[Waiting]) -> None:
        self.running += 1
        first = batch[0].request
        self.execution.run_in_thread(
            partial(join, [w.request.inputs for w in batch]),
            first.outputs,
            partial(self._answer, batch),
        )

    def _answer(self, batch: list[Waiting], done: Done[Ran]) -> None:
        self.running -= 1
        try:
            ran = done.result()
            shares = split(ran.outputs, [w.request.rows for w in batch])
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self._fail(batch, error)
        else:
            self.execution.succeed(batch, ran, shares)
        self._fill()

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        """Answer with the error, or, where several were joined, run each again alone: one may be to
        blame for all."""
        if len(batch) == 1:
            (only,) = batch
            self.execution.fail(only.request, only.reply, failure(error, only.request), only.since)
            return
        for waiting in reversed(batch):
            waiting.alone = True
            self.waiting.appendleft(waiting)


plugin = Batch


def _seat(waiting: Waiting) -> Seat:
    group = id(waiting) if waiting.alone else group_of(waiting.request)
    return Seat(group, waiting.request.rows, waiting.since)


def join(inputs: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """The rows of all *inputs*, one after another; the very arrays where there is one only."""
    if len(inputs) == 1:
        return inputs[0]
    return {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}


def split(outputs: dict[str, Array], rows: Sequence[int]) -> list[dict[str, Array]]:
    """Each request's share of *outputs*. Raises RunFailed where an output has not one row for each
    row sent."""
    total = sum(rows)
    for name, array in outputs.items():
        if not array.shape or array.shape[0] != total:
            raise RunFailed(
                f"output {name!r} has the wrong number of rows",
                got=str(array.shape),
                expected=str(total),
            )
    ends = np.cumsum(rows).tolist()
    return [
        {name: array[end - count : end] for name, array in outputs.items()}
        for end, count in zip(ends, rows, strict=True)
    ]
