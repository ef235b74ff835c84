"""Runs one version's runtime, at once or in a thread, answers its requests and completes them.

Schedulers decide when and where; this does it. Everything here is for the loop thread, but the
bodies that run in a thread, which touch nothing but the runtime and the arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from inferd.calls import InferRequest, InferResponse, Reply
from inferd.clock import Nanoseconds
from inferd.engine.cost import Cost
from inferd.engine.home import Done, Home
from inferd.engine.statistics import Counters, Ran
from inferd.engine.streaming import stream
from inferd.errors import MAX_SHOWN, InferdError, RunFailed
from inferd.journal.record import Record
from inferd.log import logger
from inferd.runtimes.base import Runtime
from inferd.tensors import Array


class Waiting(msgspec.Struct, eq=False):
    """A request in a queue, and when it came (nanoseconds of the execution's clock)."""

    request: InferRequest
    reply: Reply
    since: int
    alone: bool = False
    """Not to be joined: it was part of a batch that failed."""


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
        clock = self.clock
        began = clock()
        try:
            outputs = self._run(request.inputs, request.outputs)
        except Exception as error:  # noqa: BLE001 - the dispatch boundary
            self.fail(request, reply, failure(error, request), began)
            return
        ended = clock()
        reply.part(InferResponse(request, outputs))
        reply.end()
        self.counters.ran_alone(request.rows, began, ended, clock())
        request.handle.release()  # as ``complete``, whose call would cost as much
        self._journal(request, False)

    def run_in_thread(
        self,
        inputs: Callable[[], Mapping[str, Array]],
        outputs: Sequence[str],
        then: Callable[[Done[Ran]], None],
    ) -> None:
        """Make the inputs and run the model in a thread, and give *then* what that gave."""
        run, clock = self.runtime.run, self.clock

        def work() -> Ran:
            began = clock()
            made = inputs()
            ready = clock()
            return Ran(run(made, outputs), began, ready, clock())

        self.home.submit(self.home.models, work, then)

    def stream_in_thread(self, waiting: Waiting, then: Callable[[], None]) -> None:
        """Run a streaming model in a thread, its parts going to the caller as fast as that takes
        them."""
        request, reply, clock = waiting.request, waiting.reply, self.clock
        parts = partial(self.runtime.stream, request.inputs, request.outputs)

        def work() -> Ran:
            began = clock()
            stream(parts, request, reply, self.home)
            return Ran({}, began, began, clock())

        def finish(done: Done[Ran]) -> None:
            if done.error:
                self.fail(request, reply, failure(done.error, request), waiting.since)
            else:
                reply.end()
                self._count((waiting,), done.result())
                self.complete(request, failed=False)
            then()

        self.home.submit(self.home.models, work, finish)

    def succeed(
        self, batch: Sequence[Waiting], ran: Ran, shares: Sequence[dict[str, Array]]
    ) -> None:
        """Answer the requests that one call ran, each with its share of the outputs."""
        for waiting, outputs in zip(batch, shares, strict=True):
            waiting.reply.part(InferResponse(waiting.request, outputs))
            waiting.reply.end()
            self.complete(waiting.request, failed=False)
        self._count(batch, ran)

    def fail(
        self, request: InferRequest, reply: Reply, error: InferdError, since: int | None = None
    ) -> None:
        """Answer *request*, which came at *since*, if it waited at all, with an error."""
        reply.fail(error)
        self.counters.failed(0 if since is None else self.clock() - since)
        self.complete(request, failed=True)

    def complete(self, request: InferRequest, *, failed: bool) -> None:
        """The completion hook: count, let go of the version, tell the journal. Once a request,
        after its answer."""
        self.counters.requests += 1
        request.handle.release()
        self._journal(request, failed)

    def _count(self, batch: Sequence[Waiting], ran: Ran) -> None:
        rows = sum(waiting.request.rows for waiting in batch)
        self.counters.ran(rows, ran, [waiting.since for waiting in batch], self.clock())


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
        (request.request_id or request.id)[:MAX_SHOWN],
        exc_info=error,
    )
    return RunFailed(
        f"model {request.handle.model!r} failed on this request", cure="The server's log says why."
    )
