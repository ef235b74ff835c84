"""One case: its servers side by side on one core, put under load in turn, round after round."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from bench import load, process
from bench.contenders import Contender
from bench.errors import BenchError
from bench.messages import PREFIX
from bench.models import Case
from bench.results import Run
from bench.seen import CONNECTIONS, Cores, LoadResult

WARM_UP = 1.0
# A lap is one answer on every connection. Over fewer laps a closed loop's latencies are those of
# its start, when the queue is still empty.
LAPS = 3
LONGEST = 15.0
SLICES = 4


@dataclass(frozen=True)
class Plan:
    """How each case is measured."""

    rounds: int
    seconds: float
    server_cpu: Cores
    load_cpu: Cores
    folder: Path


@dataclass(frozen=True)
class Slice:
    """One turn of a server within a round."""

    seen: LoadResult
    cpu_seconds: float
    memory: int


class Listener(Protocol):
    """Hears what is about to happen; a run that ended is yielded."""

    def warming(self, server: str) -> None: ...

    def running(self, server: str, number: int) -> None: ...


def check_cores(plan: Plan) -> None:
    allowed = os.sched_getaffinity(0)
    wanted = {plan.server_cpu, plan.load_cpu}
    if len(wanted) < 2 or not wanted <= allowed:
        msg = (
            f"got cores {plan.server_cpu} (server) and {plan.load_cpu} (load), expected two "
            f"different ones of {sorted(allowed)}; see --server-cpu and --load-cpu"
        )
        raise BenchError(msg)


def measure(
    plan: Plan, case: Case, contenders: Sequence[Contender], listener: Listener
) -> Iterator[Run]:
    """Yield each run as it ends.

    The machine's speed drifts within seconds. In each round the servers therefore take turns in
    slices, so that those that are compared meet the same weather.
    """
    with ExitStack() as stack:
        servers = [_start(plan, case, c, stack, listener) for c in contenders]
        for number in range(1, plan.rounds + 1):
            lengths = [_slices(plan, server) for server in servers]
            seen: list[list[Slice]] = [[] for _ in servers]
            for turn in range(SLICES):
                for server, seconds, slices in zip(servers, lengths, seen, strict=True):
                    if turn < len(seconds):
                        listener.running(server.contender.name, number)
                        slices.append(one_slice(plan, server, seconds[turn]))
            for server, slices in zip(servers, seen, strict=True):
                yield together(case.name, server.contender.name, number, slices)


def one_round(plan: Plan, server: process.Server, number: int) -> Run:
    """A round of a server that nobody takes turns with."""
    seconds = duration(plan.seconds, server.check())
    seen = one_slice(plan, server, seconds)
    return together(server.case.name, server.contender.name, number, [seen])


def script_path(plan: Plan, case: Case, contender: Contender) -> Path:
    suffix = load.tool(contender.dialect).suffix
    return plan.folder / f"{case.name}-{contender.dialect}{suffix}"


def duration(seconds: float, one_answer: float) -> float:
    """The seconds that a server needs for a few laps, where that is more than what was asked."""
    lap = one_answer * CONNECTIONS
    return max(seconds, min(LAPS * lap, LONGEST))


def _start(
    plan: Plan, case: Case, contender: Contender, stack: ExitStack, listener: Listener
) -> process.Server:
    """Start and warm one server; leave it idle."""
    listener.warming(contender.name)
    return stack.enter_context(warm(plan, case, contender))


@contextmanager
def warm(plan: Plan, case: Case, contender: Contender) -> Iterator[process.Server]:
    """A server that has been under load, and has nothing left to do."""
    with process.running(contender, case, plan.server_cpu, plan.folder) as server:
        path = script_path(plan, case, contender)
        path.write_bytes(load.tool(contender.dialect).write(server.question))
        _load(plan, server, duration(WARM_UP, server.check()))
        server.settle()
        yield server


def _slices(plan: Plan, server: process.Server) -> list[float]:
    """The seconds of each turn of a round; one long turn for a server that answers slowly."""
    seconds = duration(plan.seconds, server.check())
    return [seconds] if seconds > plan.seconds else [plan.seconds / SLICES] * SLICES


def one_slice(plan: Plan, server: process.Server, seconds: float) -> Slice:
    before = server.cpu_seconds()
    seen = _load(plan, server, seconds)
    used = server.cpu_seconds() - before
    memory = server.memory()
    server.settle()
    return Slice(seen, used, memory)


def together(case: str, contender: str, number: int, slices: Sequence[Slice]) -> Run:
    """The slices of one server's round as one run: rates over all, the median of the latencies."""
    requests = sum(each.seen.requests for each in slices)
    return Run(
        case=case,
        contender=contender,
        round=number,
        rate=requests / sum(each.seen.elapsed for each in slices),
        p50=median(each.seen.p50 for each in slices),
        p99=median(each.seen.p99 for each in slices),
        cpu=sum(each.cpu_seconds for each in slices) / requests,
        memory=max(each.memory for each in slices),
    )


def _load(plan: Plan, server: process.Server, seconds: float) -> LoadResult:
    tool = load.tool(server.contender.dialect)
    path = script_path(plan, server.case, server.contender)
    argv = tool.command(server.url, server.question, path, seconds, plan.load_cpu)
    seen = load.run(tool, argv, path)
    check_carried(seen, server.reply_bytes + PREFIX.size, server.contender.name)
    return seen


def check_carried(seen: LoadResult, size: int, name: str) -> None:
    """Where the load tells bytes and not what they are, each answer has as many as a right one.

    Those that were under way when it ended may have had theirs, and count for nothing.
    """
    if seen.carried is None:
        return
    if not 0 <= seen.carried - seen.requests * size <= CONNECTIONS * size:
        msg = (
            f"got {seen.carried} bytes in {seen.requests} answers of {name}, expected {size} in "
            "each: some of them were no right answers"
        )
        raise BenchError(msg)
