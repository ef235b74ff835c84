"""inferd against the other servers, each by itself on one core: closed loop, and fixed rates.

They are not up at the same time, since some never idle. inferd is measured before them and after
them, so that a machine that grows faster or slower in between is seen.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from bench import add_sub, environments, measure, models, openloop, peers, process, triton
from bench.contenders import Contender
from bench.errors import BenchError
from bench.measure import Plan
from bench.models import Case
from bench.openloop import Manner, Phase
from bench.peers import Peer
from bench.results import Run, to_go
from bench.seen import CONNECTIONS

RATES = (100.0, 1000.0, 10000.0)
PROMPT = 0.1
"""Seconds within which 99 % of the answers come where a server keeps up."""
RATE_SECONDS = 3.0
PATIENT = Manner(connections=CONNECTIONS, patience=5.0, arrivals="random")
OWN_LAG = 0.005
"""Seconds that the load may be late by itself (p99)."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Offered:
    """A fixed rate, and the latencies from when each request was due."""

    rate: float
    p50: float
    p99: float
    kept_up: bool
    in_time: bool = True
    """Whether the load itself was; otherwise its core was not free, and this says nothing."""


@dataclass(frozen=True)
class Figure:
    """One server with one file: a run of each round, and what it did at each rate."""

    contender: Contender
    case: Case
    runs: Sequence[Run]
    offered: Sequence[Offered]

    @property
    def key(self) -> tuple[str, str]:
        return (self.contender.name, self.case.name)


@dataclass(frozen=True)
class Summary:
    """All figures of one server with one file."""

    contender: Contender
    case: Case
    rate: float
    cpu: float
    memory: int
    offered: Sequence[Offered]
    times: float | None
    """How many times as many requests inferd answers; None for itself."""


@dataclass
class Compared:
    """What was found, and who is missing for which reason."""

    summaries: list[Summary] = field(default_factory=list)
    same_code: list[Summary] = field(default_factory=list)
    """Of inferd and Triton with one piece of Python."""
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Task(NamedTuple):
    """One server with one file, and the rates at which it is asked, too."""

    contender: Contender
    case: Case
    rates: Sequence[float]


def prepare(plan: Plan, names: Sequence[str], say: Say) -> tuple[list[Task], Compared]:
    """What is to be measured of those with *names*, or of all, and what is known before.

    A server that cannot be had is left out with the reason.
    """
    found = Compared()
    here = [peer for peer in peers.choose(names) if _had(plan, peer, found, say)]
    cases = models.prepare(plan.folder, [f"{model}-{peers.ROWS}" for model in peers.MODELS])
    tasks = [
        task for case in cases for form in peers.FORMS for task in _order(plan, here, case, form)
    ]
    if not names or peers.TRITON in names:
        tasks += _add_sub_tasks(plan, found, say)
    return tasks, found


def compare(plan: Plan, tasks: Sequence[Task], found: Compared, say: Say) -> None:
    """Measure each, and note it in *found*. One that fails is left out with the reason."""
    figures: list[Figure] = []
    begun = time.monotonic()
    for number, task in enumerate(tasks, 1):
        name = f"{task.contender.name} ({task.case.name})"
        say(f"  [{number:3}/{len(tasks)}] {name}")
        try:
            figures.append(measure_one(plan, task))
        except BenchError as error:
            found.left_out[name] = str(error)
            say(f"      left out: {error}")
            continue
        left = to_go(number, len(tasks), time.monotonic() - begun)
        say(f"      {told(figures[-1])}  {left}")
    everything = summaries(figures)
    found.summaries = [each for each in everything if each.case.model != add_sub.NAME]
    found.same_code = [each for each in everything if each.case.model == add_sub.NAME]


def told(figure: Figure) -> str:
    """One figure, as it is found."""
    run = figure.runs[-1]
    kept = [each.rate for each in figure.offered if each.kept_up]
    most = f"  keeps up with {kept[-1]:,.0f}/s" if kept else ""
    return f"{run.rate:10,.1f} req/s  CPU {run.cpu * 1e6:9,.1f} us{most}"


def _had(plan: Plan, peer: Peer, found: Compared, say: Say) -> bool:
    """Whether its environment could be made."""
    if peer.environment is None:
        return True
    environment = peers.environment(peer.environment)
    try:
        environments.make(plan.folder, environment, say)
    except BenchError as error:
        found.left_out[peer.title] = str(error)
        return False
    found.versions |= environments.versions(plan.folder, environment)
    return True


def _order(plan: Plan, here: Sequence[Peer], case: Case, form: peers.Form) -> list[Task]:
    """inferd at both ends."""
    tasks = [Task(peer.contender(form, plan.folder), case, RATES) for peer in here]
    own = [task for task in tasks if task.contender.ceiling is None]
    return [*tasks, *own]


def _add_sub_tasks(plan: Plan, found: Compared, say: Say) -> list[Task]:
    try:
        triton.fetch(plan.folder)
        triton.give_python(plan.folder, say)
    except BenchError as error:
        found.left_out["Triton"] = str(error)
        say(f"  Triton is left out: {error}")
        return []
    case = add_sub.prepare(plan.folder)
    return [Task(contender, case, ()) for contender in add_sub.contenders(plan.folder)]


def measure_one(plan: Plan, task: Task) -> Figure:
    """Start it, prove its answer, put it under load, and stop it."""
    with measure.warm(plan, task.case, task.contender) as server:
        runs = [measure.one_round(plan, server, each) for each in range(1, plan.rounds + 1)]
        offered = at_rates(server, task.rates)
    return Figure(task.contender, task.case, runs, offered)


def at_rates(server: process.Server, rates: Iterable[float]) -> list[Offered]:
    """Until one is too much."""
    seen: list[Offered] = []
    for rate in rates:
        seen.append(at_rate(server, rate))
        if seen[-1].in_time and not seen[-1].kept_up:
            break
    return seen


def at_rate(server: process.Server, rate: float) -> Offered:
    found = openloop.run(server.url, server.question, [Phase(rate, RATE_SECONDS)], PATIENT)
    p50, p99 = found.percentile(50), found.percentile(99)
    kept_up = found.good == len(found.starts) and p99 <= PROMPT
    return Offered(rate, p50, p99, kept_up, found.lag <= OWN_LAG)


def summaries(figures: Sequence[Figure]) -> list[Summary]:
    """One for each server and file, in the order in which they were measured first."""
    by_key: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        by_key.setdefault(figure.key, []).append(figure)
    return [_summary(own, by_key) for own in by_key.values()]


def _summary(own: Sequence[Figure], by_key: dict[tuple[str, str], list[Figure]]) -> Summary:
    first = own[0]
    held = by_key.get((first.contender.ceiling or "", first.case.name))
    rate = _rate(own)
    runs = [run for figure in own for run in figure.runs]
    return Summary(
        contender=first.contender,
        case=first.case,
        rate=rate,
        cpu=median(run.cpu for run in runs),
        memory=max(run.memory for run in runs),
        offered=first.offered,
        times=_rate(held) / rate if held else None,
    )


def _rate(figures: Sequence[Figure]) -> float:
    return median(run.rate for figure in figures for run in figure.runs)
