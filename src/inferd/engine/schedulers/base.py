"""The contract of a scheduler: when and where the requests of one version run.

A plug-in of this kind is one file in this folder (or a third party's entry point in
``inferd.schedulers``) whose ``plugin`` is a subclass of Scheduler.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

import msgspec

from inferd.calls import InferRequest, Reply
from inferd.engine.admission import Admission
from inferd.engine.execution import Execution
from inferd.engine.home import Done
from inferd.engine.order import Order
from inferd.engine.statistics import Ran
from inferd.engine.waiting import FOREVER, Queue, Waiting, patience, rank_of
from inferd.errors import Cancelled, DeadlineExceeded, InferdError
from inferd.spec import Batching

LOOK_NS = 60_000_000_000  # an alarm that is set for later holds a version that may be gone by then
SWEEP_NS = 10_000_000  # a full queue is searched for callers who left no more often than this


class QueueStatistics(msgspec.Struct, frozen=True):
    """What a scheduler holds at this moment."""

    waiting_requests: int
    waiting_rows: int
    running: int
    """Calls of the runtime that are under way in threads."""


class Scheduler(ABC):
    """One for each version; a Handler. Called on the loop thread only, and must never block it.

    Every request that it is given is answered and completed exactly once, through the Execution:
    also when its caller went away, when its deadline passed, and when the model raises. It may hold
    a request, and the request's inputs, until then, and nothing of it after. At most ``instances``
    calls of the runtime are under way at once.
    """

    joins: ClassVar[bool] = False
    """Whether requests may run together."""

    def __init__(self, execution: Execution, batching: Batching, instances: int) -> None:
        self.execution, self.batching, self.instances = execution, batching, instances
        self.queue = Queue(batching)
        self.admission = Admission(execution.cost, batching, instances, joins=self.joins)
        self.parallel = execution.runtime.parallel and not batching.preserve_ordering
        """Whether a quick request may run now, whatever else does."""
        self.runs_ahead = batching.priority_levels < 2 and not execution.runtime.streams
        """Whether one call more than there are instances is handed to a thread, which begins it in
        the moment in which another ends. One of a higher level could not overtake it any more."""
        self.running = 0
        """Calls of the runtime that were handed to threads."""
        self.occupied = 0
        """Why no other call may run now: calls in threads, and requests whose order is kept."""
        self._ahead: Sequence[Waiting] = ()
        """The requests of a call that was handed to a thread before an instance was free."""
        self._order = Order(self._left) if batching.preserve_ordering else None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at, self._swept = FOREVER, -SWEEP_NS
        execution.limit(instances)

    @abstractmethod
    def __call__(self, request: InferRequest, reply: Reply) -> None:
        """Answer *request*, now or later."""

    @abstractmethod
    def fill(self) -> None:
        """Start what is due. Also called at a moment that was asked for by ``wake_at``."""

    def statistics(self) -> QueueStatistics:
        """What waits and what runs, now."""
        ahead = [each.rows for each in self._ahead if not each.refused]
        return QueueStatistics(
            len(self.queue) + len(ahead),
            self.queue.rows + sum(ahead),
            min(self.running, self.instances),
        )

    def enqueue(self, request: InferRequest, reply: Reply, group: Hashable = None) -> bool:
        """Let *request* wait; where it may not, refuse it and return False."""
        now = self.execution.clock()
        level = self.batching.level_of(request.priority)
        waits = patience(request, self.batching.policy_of(level))
        refusal = self._refusal(request, level, waits, now)
        if refusal and self._sweep(now):
            refusal = self._refusal(request, level, waits, now)
        if refusal:
            self.execution.fail(request, reply, refusal)
            return False
        if self._order:
            self.occupied += 1
            reply = self._order.place(reply)
        until = min(now + waits, request.deadline * 1e9)
        self.queue.add(Waiting(request, reply, now, request.rows, rank_of(level), group, until))
        if until < self._rings_at:
            self.wake_at(until)
        return True

    def began(self, now: int, batch: Sequence[Waiting], rows: int) -> None:
        """Count a call that is handed to a thread, of those of *batch*, who were taken."""
        oldest = min([each.since for each in batch])
        self.admission.began(now, oldest, rows, len(self.queue))
        self.running += 1
        self.occupied += 1
        if self.running > self.instances:
            self._ahead = batch
        else:
            self.queue.forget(batch)

    def ended(self, rows: int, done: Done[Ran]) -> None:
        """Count the end of a call of *rows* rows, well or not."""
        self.running -= 1
        self.occupied -= 1
        if self._ahead:  # it has begun: the thread of this one goes on with it
            self.queue.forget(self._ahead)
            self._ahead = ()
        self.admission.ran(self.execution.clock(), rows, well=done.error is None)

    def refuse(self, waiting: Waiting, error: InferdError) -> None:
        """Answer *waiting* with *error*, if it was not; nor another part of the same request."""
        if waiting.refused or (waiting.split is not None and waiting.split.failed):
            return
        waiting.refused = True
        if waiting.split is not None:
            waiting.split.failed = True
        self.execution.fail(waiting.request, waiting.reply, error, waiting.since)

    def expire(self, now: int) -> None:
        """Answer those who may wait no longer."""
        if now >= self.queue.next_time():
            for each in self.queue.expire(now):
                self.refuse(each, late())

    def wake_at(self, moment: float) -> None:
        """``fill`` at *moment*, if not before."""
        if moment >= self._rings_at:
            return
        if self._alarm:
            self._alarm.cancel()
        now = self.execution.clock()
        self._rings_at = min(moment, now + LOOK_NS)
        wait = max(0.0, self._rings_at - now) / 1e9
        self._alarm = self.execution.home.loop.call_later(wait, self._ring)

    def _ring(self) -> None:
        self._alarm, self._rings_at = None, FOREVER
        self.expire(self.execution.clock())
        self.fill()
        self.wake_at(self.queue.next_time())

    def _refusal(
        self, request: InferRequest, level: int, waits: float, now: int
    ) -> InferdError | None:
        """Why *request*, which waits so long at most, may not wait at all, if so."""
        policy, (waiting, rows) = self.batching.policy_of(level), self.queue.ahead(level)
        ahead = len(self._ahead)
        if 0 < policy.max_queue_size <= self.queue.of(level) + ahead:
            return self.admission.full(now, waiting + ahead, rows)
        until = request.deadline * 1e9
        if waits < FOREVER and policy.timeout_action == "reject":
            until = min(until, now + waits + self.admission.call_ns(request.rows))
        return self.admission.admit(now, waiting, rows, request.rows, until)

    def _sweep(self, now: int) -> bool:
        """Let go of those who went away; whether somebody did."""
        if now - self._swept < SWEEP_NS:
            return False
        self._swept = now
        gone = [each for each in self.queue if each.reply.cancelled]
        for each in gone:
            self.queue.remove(each)
        for each in gone:
            self.refuse(each, left())
        return bool(gone)

    def _left(self) -> None:
        """A request whose order is kept was answered."""
        self.occupied -= 1


def left() -> InferdError:
    """Why a request is not run whose caller has gone."""
    return Cancelled("the caller went away")


def late() -> InferdError:
    """Why a request is not run whose time is over."""
    return DeadlineExceeded("the request's deadline passed while it waited")


def is_gone(waiting: Waiting) -> bool:
    """Whether nobody waits for *waiting* any more."""
    split = waiting.split
    return waiting.reply.cancelled or waiting.refused or (split is not None and split.failed)


def check_scheduler(
    scheduler: Scheduler,
    ask: Callable[[], tuple[InferRequest, Any]],
    turn: Callable[[], None],
    requests: int,
) -> None:
    """Hold *scheduler* against this contract; AssertionError where it breaks it.

    ``ask`` makes a fresh request and a reply that counts its ``parts``, ``ends`` and ``failures``;
    ``turn`` runs the loop until nothing is under way.
    """
    replies = []
    for _ in range(requests):
        request, reply = ask()
        request.handle.acquire()
        replies.append(reply)
        scheduler(request, reply)
        assert scheduler.statistics().running <= scheduler.instances, (
            "more calls at once than instances"
        )
    turn()
    assert scheduler.statistics() == QueueStatistics(0, 0, 0), "something was left in the queue"
    for reply in replies:
        assert reply.ends + reply.failures == 1, "a request was not answered exactly once"
        streams = scheduler.execution.runtime.streams
        assert reply.failures or reply.parts == 1 or streams, "a unary answer has one part"
    assert scheduler.execution.counters.requests == requests, (
        "a request was not completed exactly once"
    )
