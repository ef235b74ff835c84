"""Runs summed up: medians over rounds, and ratios to the ceiling inside each round; no IO."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.contenders import Contender
from bench.models import Case


@dataclass(frozen=True)
class Run:
    """One server under load once; seconds and bytes."""

    case: str
    contender: str
    round: int
    rate: float
    p50: float
    p99: float
    cpu: float  # of the server, user and system, per request
    memory: int


@dataclass(frozen=True)
class Ratio:
    """A server's rate over its ceiling's, of the same round: the median and the extremes."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One server in one case over all rounds."""

    contender: Contender
    rate: float
    p50: float
    p99: float
    cpu: float
    memory: int
    ratio: Ratio | None


@dataclass(frozen=True)
class Table:
    """All servers in one case."""

    case: Case
    rows: list[Row]


def ratio_within(runs: Iterable[Run], run: Run, ceiling: str | None) -> float | None:
    """The rate of `run` over the ceiling's rate in the same case and round."""
    for other in runs:
        if (other.case, other.round, other.contender) == (run.case, run.round, ceiling):
            return run.rate / other.rate
    return None


def ratio(runs: Sequence[Run], case: str, contender: Contender) -> Ratio | None:
    """None for a ceiling itself, and where the ceiling was not measured."""
    own = [run for run in runs if (run.case, run.contender) == (case, contender.name)]
    found = [ratio_within(runs, run, contender.ceiling) for run in own]
    known = [value for value in found if value is not None]
    return Ratio(median(known), min(known), max(known)) if known else None


def row(runs: Sequence[Run], case: str, contender: Contender) -> Row:
    own = [run for run in runs if (run.case, run.contender) == (case, contender.name)]
    return Row(
        contender=contender,
        rate=median(run.rate for run in own),
        p50=median(run.p50 for run in own),
        p99=median(run.p99 for run in own),
        cpu=median(run.cpu for run in own),
        memory=max(run.memory for run in own),
        ratio=ratio(runs, case, contender),
    )


def tables(
    runs: Sequence[Run], cases: Iterable[Case], contenders: Iterable[Contender]
) -> list[Table]:
    order = list(contenders)
    return [
        Table(case, [row(runs, case.name, c) for c in order if c.takes(case)]) for case in cases
    ]


def remaining(done: int, total: int, elapsed: float) -> float | None:
    """Seconds still to go, if the rest is as slow as what is done; None before the first."""
    return elapsed / done * (total - done) if done else None


def to_go(done: int, total: int, elapsed: float) -> str:
    """The same in minutes and seconds."""
    minutes, seconds = divmod(round(remaining(done, total, elapsed) or 0.0), 60)
    return f"{minutes:3}:{seconds:02} to go"
