"""Every request is one call of the model: at once if it is quick, otherwise in a thread, in order
of arrival."""

from functools import partial

from inferd.calls import InferRequest, Reply
from inferd.engine.execution import Waiting, failure
from inferd.engine.home import Done
from inferd.engine.schedulers.base import Scheduler
from inferd.engine.statistics import Ran


class Direct(Scheduler):
    """For models whose rows cannot be joined, and for those that answer in parts."""

    def __call__(self, request: InferRequest, reply: Reply) -> None:
        execution = self.execution
        if request.rows <= execution.quick_rows and (self.parallel or not self.running):
            execution.answer_now(request, reply)
        elif self.enqueue(request, reply):
            self._fill()

    def _fill(self) -> None:
        """Start what waits while an instance is free."""
        if self.running < self.instances:
            self.drop()
        while self.waiting and self.running < self.instances:
            self._start(self.waiting.popleft())

    def _start(self, waiting: Waiting) -> None:
        self.running += 1
        request = waiting.request
        if self.execution.runtime.streams:
            self.execution.stream_in_thread(waiting, self._freed)
        else:
            self.execution.run_in_thread(
                lambda: request.inputs, request.outputs, partial(self._answer, waiting)
            )

    def _answer(self, waiting: Waiting, done: Done[Ran]) -> None:
        request = waiting.request
        try:
            ran = done.result()
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self.execution.fail(request, waiting.reply, failure(error, request), waiting.since)
        else:
            self.execution.succeed((waiting,), ran, (ran.outputs,))
        self._freed()

    def _freed(self) -> None:
        self.running -= 1
        self._fill()


plugin = Direct
