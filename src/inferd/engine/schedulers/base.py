"""The contract of a scheduler: when and where the requests of one version run.

A plug-in of this kind is one file in this folder (or a third party's entry point in
``inferd.schedulers``) whose ``plugin`` is a subclass of Scheduler.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from inferd.calls import InferRequest, Reply
from inferd.engine.execution import Execution, Waiting
from inferd.errors import Cancelled, DeadlineExceeded, InferdError, QueueFull
from inferd.spec import Batching


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

    def __init__(self, execution: Execution, batching: Batching, instances: int) -> None:
        self.execution, self.batching, self.instances = execution, batching, instances
        self.parallel = execution.runtime.parallel
        self.waiting: deque[Waiting] = deque()
        """Requests in order of arrival."""
        self.running = 0
        """Calls of the runtime that are under way in threads."""

    @abstractmethod
    def __call__(self, request: InferRequest, reply: Reply) -> None:
        """Answer *request*, now or later."""

    def statistics(self) -> QueueStatistics:
        """What waits and what runs, now."""
        rows = sum(waiting.request.rows for waiting in self.waiting)
        return QueueStatistics(len(self.waiting), rows, self.running)

    def enqueue(self, request: InferRequest, reply: Reply) -> bool:
        """Let *request* wait; where too many do, refuse it and return False."""
        if len(self.waiting) >= self.batching.max_queue_size:
            self.drop()
        if len(self.waiting) >= self.batching.max_queue_size:
            got = str(len(self.waiting))
            error = QueueFull(
                "too many requests wait for this model", got=got, cure="Try again later."
            )
            self.execution.fail(request, reply, error)
            return False
        self.waiting.append(Waiting(request, reply, self.execution.clock()))
        return True

    def drop(self) -> None:
        """Answer those who need not be run any more."""
        now, kept = self.execution.clock(), deque[Waiting]()
        waiting, self.waiting = self.waiting, kept
        for each in waiting:
            reason = reason_to_drop(each, now)
            if reason:
                self.execution.fail(each.request, each.reply, reason, each.since)
            else:
                kept.append(each)


def reason_to_drop(waiting: Waiting, now: int) -> InferdError | None:
    """Why a request that waited need not be run any more, if so."""
    if waiting.reply.cancelled:
        return Cancelled("the caller went away")
    if waiting.request.deadline < now / 1e9:
        return DeadlineExceeded("the request's deadline passed while it waited")
    return None


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
