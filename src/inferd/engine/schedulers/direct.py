"""Every request is one call of the model: at once if it is quick, otherwise in a thread, in order
of level and arrival."""

from functools import partial

from inferd.calls import InferRequest, Reply
from inferd.engine.execution import failure
from inferd.engine.home import Done
from inferd.engine.schedulers.base import Scheduler, is_gone, late, left
from inferd.engine.statistics import Ran
from inferd.engine.waiting import Waiting
from inferd.errors import InferdError


class Direct(Scheduler):
    """For models whose rows cannot be joined, and for those that answer in parts."""

    def __call__(self, request: InferRequest, reply: Reply) -> None:
        execution = self.execution
        if request.rows <= execution.quick_rows and (self.parallel or not self.occupied):
            execution.answer_now(request, reply)
        elif self.enqueue(request, reply):
            self.fill()

    def fill(self) -> None:
        """Start what waits while an instance is free, and one more if that may be."""
        most = self.instances + self.runs_ahead
        if self.running >= most:
            return
        now = self.execution.clock()
        gone: list[tuple[Waiting, InferdError]] = []
        while self.queue and self.running < most:
            first = self.queue.first()
            if is_gone(first):
                self.queue.remove(first)
                gone.append((first, left()))
            elif self.admission.too_late(now, first.rows, first.request.deadline * 1e9):
                self.queue.remove(first)
                gone.append((first, late()))
            else:
                self.queue.take(first)
                self._start(first, now)
        for waiting, reason in gone:
            self.refuse(waiting, reason)

    def _start(self, waiting: Waiting, now: int) -> None:
        self.began(now, (waiting,), waiting.rows)
        request = waiting.request
        if self.execution.runtime.streams:
            self.execution.stream_in_thread(waiting, partial(self._streamed, waiting))
        else:
            self.execution.run_in_thread(
                lambda: request.inputs,
                request.outputs,
                partial(self._answer, waiting),
                lambda: not is_gone(waiting),
            )

    def _answer(self, waiting: Waiting, done: Done[Ran]) -> None:
        self.ended(waiting.rows, done)
        self.fill()  # first: the answer is written while the next call runs
        try:
            ran = done.result()
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self.refuse(waiting, failure(error, waiting.request))
        else:
            self.execution.succeed((waiting,), ran, (ran.outputs,))

    def _streamed(self, waiting: Waiting, done: Done[Ran]) -> None:
        self.ended(waiting.rows, done)
        self.fill()


plugin = Direct
