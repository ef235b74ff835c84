"""Runs one version's runtime, at once or in a thread, answers its requests and completes them.

Schedulers decide when and where; this does it. Everything here is for the loop thread, but the
bodies that run in a thread, which touch nothing but the runtime and the arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from inferd.calls import InferRequest, InferResponse, Reply
from inferd.clock import Nanoseconds
from inferd.engine.cost import Cost
from inferd.engine.home import Done, Home
from inferd.engine.statistics import Counters
from inferd.engine.streaming import stream
from inferd.errors import MAX_SHOWN, InferdError, RunFailed
from inferd.journal.record import Record
from inferd.log import logger
from inferd.runtimes.base import Runtime
from inferd.tensors import Array


class Execution:
    """The means of a scheduler: one loaded version, what it costs, and the threads it may run
    in."""

    def __init__(
        self,
        runtime: Runtime,
        cost: Cost,
        inline_limit_us: float,
        home: Home,
        journal: Record,
        clock: Nanoseconds,
    ) -> None:
        self.runtime, self.home, self.clock, self.counters = runtime, home, clock, Counters()
        self._journal, self._run = journal, runtime.run
        threaded = runtime.streams or not runtime.inline
        self.quick_rows = NONE if threaded else quick_rows(cost, inline_limit_us)
        """A request of so many rows is expected to take no longer than the loop may be kept."""

    def answer_now(self, request: InferRequest, reply: Reply) -> None:
        """Run *request* here, and answer it before returning."""
        started = self.clock()
        try:
            outputs = self._run(request.inputs, request.outputs)
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self.fail(request, reply, failure(error, request))
            return
        counters = self.counters
        counters.compute_ns += self.clock() - started
        counters.executions += 1
        reply.part(InferResponse(request, outputs))
        reply.end()
        self.complete(request, failed=False)

    def run_in_thread(
        self,
        inputs: Callable[[], Mapping[str, Array]],
        outputs: Sequence[str],
        then: Callable[[Done[dict[str, Array]]], None],
    ) -> None:
        """Make the inputs and run the model in a thread, and give *then* its outputs."""
        run = self.runtime.run
        self.home.submit(self.home.models, lambda: run(inputs(), outputs), self._timed(then))

    def stream_in_thread(
        self, request: InferRequest, reply: Reply, then: Callable[[], None]
    ) -> None:
        """Run a streaming model in a thread, its parts going to *reply* as fast as that takes
        them."""
        parts = partial(self.runtime.stream, request.inputs, request.outputs)
        work = partial(stream, parts, request, reply, self.home)

        def finish(done: Done[Any]) -> None:
            if done.error:
                self.fail(request, reply, failure(done.error, request))
            else:
                reply.end()
                self.complete(request, failed=False)
            then()

        self.home.submit(self.home.models, work, self._timed(finish))

    def succeed(self, request: InferRequest, reply: Reply, outputs: dict[str, Array]) -> None:
        """Answer *request*."""
        reply.part(InferResponse(request, outputs))
        reply.end()
        self.complete(request, failed=False)

    def fail(self, request: InferRequest, reply: Reply, error: InferdError) -> None:
        """Answer *request* with an error."""
        reply.fail(error)
        self.complete(request, failed=True)

    def complete(self, request: InferRequest, *, failed: bool) -> None:
        """The completion hook: count, let go of the version, tell the journal. Once a request,
        after its answer."""
        counters = self.counters
        counters.requests += 1
        counters.rows += request.rows
        if failed:
            counters.failures += 1
        request.handle.release()
        self._journal(request, failed)

    def _timed(self, then: Callable[[Done[Any]], None]) -> Callable[[Done[Any]], None]:
        started = self.clock()

        def finish(done: Done[Any]) -> None:
            self.counters.compute_ns += self.clock() - started
            self.counters.executions += 1
            then(done)

        return finish


def quick_rows(cost: Cost, limit_us: float) -> int:
    """How many rows a call may have to be expected within *limit_us*; NONE where not even one has.

    Solved once, so that the choice of place is one comparison a request.
    """
    if cost.of(1) > limit_us:
        return NONE
    return int((limit_us - cost.fixed) / cost.per_row) if cost.per_row > 0 else MANY


MANY, NONE = 1 << 62, -1


def failure(error: BaseException, request: InferRequest) -> InferdError:
    """What the caller is told of *error*: its own text where it is one of ours, and nothing of the
    inside otherwise."""
    if isinstance(error, InferdError):
        return error
    logger.error(
        "model %s version %s failed on request %r",
        request.handle.model,
        request.handle.version,
        request.id[:MAX_SHOWN],
        exc_info=error,
    )
    return RunFailed(
        f"model {request.handle.model!r} failed on this request", cure="The server's log says why."
    )
