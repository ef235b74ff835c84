"""Runs one version's runtime, at once or in a thread, answers its requests and completes them.

Schedulers decide when and where; this does it. Everything here is for the loop thread, but the
bodies that run in a thread, which touch nothing but the runtime and the arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from inferd.calls import InferRequest, InferResponse, Reply
from inferd.clock import Nanoseconds
from inferd.engine.cost import Cost
from inferd.engine.home import Chain, Done, Home
from inferd.engine.statistics import Counters, Ran
from inferd.engine.streaming import stream
from inferd.engine.waiting import Waiting
from inferd.errors import (
    MAX_SHOWN,
    Cancelled,
    ConfigError,
    InferdError,
    LoadError,
    RunFailed,
)
from inferd.journal.record import Record
from inferd.log import logger
from inferd.runtimes.base import Runtime, Wanted
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
        self.runtime, self.cost, self.home, self.clock = runtime, cost, home, clock
        self.counters = Counters()
        self._journal, self._run = journal, runtime.run
        self._chain = Chain(home, 1)
        threaded = runtime.streams or not runtime.inline
        self.quick_rows = NONE if threaded else quick_rows(cost, inline_limit_us)
        """A request of so many rows is expected to take no longer than the loop may be kept."""

    def limit(self, calls: int) -> None:
        """Run no more than so many *calls* at once in threads; a further one begins in the moment
        in which one ends, whatever the loop is doing."""
        self._chain = Chain(self.home, calls)

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
        wanted: Wanted,
    ) -> None:
        """Make the inputs and run the model in a thread, and give *then* what that gave; the model
        may be left, or not begun, once the answer is not *wanted* any more."""
        runtime, clock = self.runtime, self.clock

        def work() -> Ran:
            if not wanted():
                raise Cancelled("the caller went away")
            began = clock()
            made = inputs()
            ready = clock()
            return Ran(runtime.while_wanted(wanted).run(made, outputs), began, ready, clock())

        self._chain.submit(work, then)

    def stream_in_thread(self, waiting: Waiting, then: Callable[[Done[Ran]], None]) -> None:
        """Run a streaming model in a thread, its parts going to the caller as fast as that takes
        them."""
        request, reply, clock = waiting.request, waiting.reply, self.clock
        runner = self.runtime.while_wanted(lambda: not reply.cancelled)
        parts = partial(runner.stream, request.inputs, request.outputs)

        def work() -> Ran:
            began = clock()
            stream(parts, request, reply, self.home)
            return Ran({}, began, began, clock())

        def finish(done: Done[Ran]) -> None:
            if done.error:
                self.fail(request, reply, failure(done.error, request), waiting.since)
            else:
                reply.end()
                self._count(waiting.rows, done.result(), [waiting.since])
                self.complete(request, failed=False)
            then(done)

        self.home.submit(self.home.models, work, finish)

    def succeed(
        self, batch: Sequence[Waiting], ran: Ran, shares: Sequence[dict[str, Array]]
    ) -> None:
        """Answer the requests that one call ran, each with its share of the outputs; one that runs
        as several calls when the last of them has ended."""
        since = []
        for waiting, outputs in zip(batch, shares, strict=True):
            if waiting.refused:
                continue
            if waiting.split is None:
                self._answer(waiting, outputs)
                since.append(waiting.since)
            elif waiting.split.take(waiting.start, waiting.rows, outputs):
                # In a thread: the loop is not kept for copying what may be megabytes.
                whole, then = waiting.split.whole, partial(self._joined, waiting, ran)
                self.home.submit(self.home.codecs, whole, then)
        self._count(sum([waiting.rows for waiting in batch]), ran, since)

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

    def _answer(self, waiting: Waiting, outputs: dict[str, Array]) -> None:
        waiting.reply.part(InferResponse(waiting.request, outputs))
        waiting.reply.end()
        self.complete(waiting.request, failed=False)

    def _joined(self, waiting: Waiting, ran: Ran, done: Done[dict[str, Array]]) -> None:
        if done.error:
            error = failure(done.error, waiting.request)
            self.fail(waiting.request, waiting.reply, error, waiting.since)
        else:
            self._answer(waiting, done.result())
            self.counters.put_together(ran, waiting.since, self.clock())

    def _count(self, rows: int, ran: Ran, since: Sequence[int]) -> None:
        """Count a call of so many *rows*, which answers the requests that came *since*."""
        self.counters.ran(rows, ran, since, self.clock())


def quick_rows(cost: Cost, limit_us: float) -> int:
    """How many rows a call may have to be expected within *limit_us*; NONE where not even one has.

    Solved once, so that the choice of place is one comparison a request.
    """
    if cost.of(1) > limit_us:
        return NONE
    return int((limit_us - cost.fixed) / cost.per_row) if cost.per_row > 0 else MANY


MANY, NONE = 1 << 62, -1


def failure(error: BaseException, request: InferRequest) -> InferdError:
    """What the caller is told of *error*: its own text where it is one of ours that callers may
    read, and nothing of the inside otherwise."""
    if isinstance(error, InferdError) and not isinstance(error, LoadError | ConfigError):
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
