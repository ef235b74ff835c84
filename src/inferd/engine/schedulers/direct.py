"""Every request is one call of the model: at once if it is quick, otherwise in a thread, in order
of arrival."""

from collections import deque
from functools import partial

from inferd.calls import InferRequest, Reply
from inferd.engine.execution import Execution, failure
from inferd.engine.home import Done
from inferd.engine.schedulers.base import QueueStatistics, Scheduler, Waiting
from inferd.spec import Batching
from inferd.tensors import Array


class Direct(Scheduler):
    """For models whose rows cannot be joined, and for those that answer in parts."""

    def __init__(self, execution: Execution, batching: Batching, instances: int) -> None:
        super().__init__(execution, batching, instances)
        self._parallel = execution.runtime.parallel
        self._waiting: deque[Waiting] = deque()
        self._running = 0

    def __call__(self, request: InferRequest, reply: Reply) -> None:
        execution = self.execution
        if request.rows <= execution.quick_rows and (self._parallel or not self._running):
            execution.answer_now(request, reply)
        elif len(self._waiting) >= self.batching.max_queue_size:
            execution.fail(request, reply, self.queue_full(len(self._waiting)))
        else:
            self._waiting.append(Waiting(request, reply, execution.clock()))
            self._fill()

    def statistics(self) -> QueueStatistics:
        return QueueStatistics(
            len(self._waiting), sum(w.request.rows for w in self._waiting), self._running
        )

    def _fill(self) -> None:
        """Start what waits while an instance is free."""
        while self._waiting and self._running < self.instances:
            now = self.execution.clock()
            waiting = self._waiting.popleft()
            self.execution.counters.queue_ns += now - waiting.since
            reason = self.reason_to_drop(waiting, now)
            if reason:
                self.execution.fail(waiting.request, waiting.reply, reason)
            else:
                self._start(waiting)

    def _start(self, waiting: Waiting) -> None:
        self._running += 1
        request = waiting.request
        if self.execution.runtime.streams:
            self.execution.stream_in_thread(request, waiting.reply, self._freed)
        else:
            self.execution.run_in_thread(
                request.inputs, request.outputs, partial(self._answer, waiting)
            )

    def _answer(self, waiting: Waiting, done: Done[dict[str, Array]]) -> None:
        try:
            outputs = done.result()
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self.execution.fail(waiting.request, waiting.reply, failure(error, waiting.request))
        else:
            self.execution.succeed(waiting.request, waiting.reply, outputs)
        self._freed()

    def _freed(self) -> None:
        self._running -= 1
        self._fill()


plugin = Direct
