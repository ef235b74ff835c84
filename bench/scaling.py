"""What more workers cost: the CPU that a request takes with two of them, against one."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from bench import layout, machine, measure
from bench.contenders import INFERD, Contender
from bench.measure import Plan
from bench.models import Case
from bench.results import Run
from bench.seen import CONNECTIONS

WORKERS: Final = (1, 2)
ROUNDS: Final = 5
CASE: Final = "forest-1"
CORES_APART: Final = 4
"""With so many cores the load has some of its own."""

INTRODUCTION = """\
## More workers

<!-- Written by `make bench ARGS=--scaling`; changes by hand are lost. -->

`inferd serve model.onnx --workers N`, asked for one row of the forest in the plain dialect, by
`wrk` with {connections} connections. CPU is the time of all its processes, a request. *Of one
worker's* is the median of {rounds} rounds, in each of which the servers took turns; the lowest and
the highest are in brackets. With two cores, as many workers and the load share them.
"""


@dataclass(frozen=True)
class Scaled:
    """One number of workers: medians, and its CPU a request as a share of one worker's."""

    workers: int
    rate: float
    cpu: float
    memory: int
    shares: Sequence[float]
    """One a round."""


def compare(plan: Plan, case: Case, say: Callable[[str], None]) -> list[Scaled]:
    """Take turns, round after round."""
    plan = spread_out(plan, os.sched_getaffinity(0))
    with ExitStack() as stack:
        servers = [
            stack.enter_context(measure.warm(plan, case, contender(count))) for count in WORKERS
        ]
        runs = []
        for number in range(1, plan.rounds + 1):
            runs.append([measure.one_round(plan, server, number) for server in servers])
            shown = "  ".join(f"{run.rate:,.0f} req/s {run.cpu * 1e6:.1f} us" for run in runs[-1])
            say(f"  round {number}/{plan.rounds}  {shown}  ratio {_shares(runs)[-1][-1]:.3f}")
    columns = zip(WORKERS, zip(*runs, strict=True), zip(*_shares(runs), strict=True), strict=True)
    return [
        Scaled(
            workers=count,
            rate=median(run.rate for run in own),
            cpu=median(run.cpu for run in own),
            memory=max(run.memory for run in own),
            shares=shares,
        )
        for count, own, shares in columns
    ]


def _shares(runs: Sequence[Sequence[Run]]) -> list[list[float]]:
    return [[run.cpu / together[0].cpu for run in together] for together in runs]


def contender(workers: int) -> Contender:
    return Contender(
        name=f"inferd-{workers}-workers",
        title=f"{workers} worker{'s' if workers > 1 else ''}",
        about=f"`inferd serve model.onnx --workers {workers}`",
        dialect="plain",
        argv=(*INFERD, "--workers", str(workers)),
        one_row="/predict",
        many_rows="/predict",
    )


def spread_out(plan: Plan, allowed: set[int]) -> Plan:
    """The cores of the servers and of the load, apart where there are enough."""
    cores = sorted(allowed)
    most = max(WORKERS)
    apart = len(cores) >= CORES_APART
    served, load = (cores[:most], cores[most : 2 * most]) if apart else (cores, cores)
    return replace(plan, server_cpu=_listed(served), load_cpu=_listed(load))


def _listed(cores: Sequence[int]) -> str:
    return ",".join(map(str, cores))


def text(found: Sequence[Scaled]) -> str:
    return layout.aligned(_cells(found))


def markdown(found: Sequence[Scaled], facts: dict[str, str], date: str) -> str:
    """The part of the page."""
    intro = INTRODUCTION.format(connections=CONNECTIONS, rounds=len(found[0].shares))
    head, *lines = _cells(found)
    where = f"Measured on {date}: {machine.in_a_line(facts)}."
    return f"{intro.strip()}\n\n{layout.markdown(head, lines)}\n\n{where}"


def _cells(found: Sequence[Scaled]) -> list[list[str]]:
    return [
        ["workers", "requests/s", "CPU us", "of one worker's", "RSS MiB"],
        *(
            [
                str(each.workers),
                f"{each.rate:,.0f}",
                f"{each.cpu * 1e6:,.1f}",
                f"{median(each.shares):.2f} ({min(each.shares):.2f}-{max(each.shares):.2f})",
                f"{each.memory / 2**20:,.0f}",
            ]
            for each in found
        ),
    ]
