"""`python -m bench`: train what is missing, measure case by case, print tables, write the page."""

import argparse
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    chart,
    commands,
    contenders,
    load,
    machine,
    measure,
    models,
    report,
    results,
    starts,
    tensors,
    triton,
)
from bench.contenders import Contender
from bench.errors import BenchError
from bench.models import Case
from bench.report import Live
from bench.results import Run
from bench.seen import CONNECTIONS
from bench.tensors import Transfer

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = PAGE.with_suffix(".svg")


def main() -> int:
    options = parse_arguments()
    # As Ctrl-C: the servers end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bench(options)
    except BenchError as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", type=names, help=f"cases, of {','.join(models.case_names())}")
    known = ",".join(contender.name for contender in contenders.CONTENDERS)
    parser.add_argument("--servers", type=names, help=f"servers, of {known}")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server (%(default)s)")
    parser.add_argument("--seconds", type=int, default=4, help="of each run (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--server-cpu", type=int, default=0, help="core of servers (%(default)s)")
    parser.add_argument("--load-cpu", type=int, default=1, help="core of the load (%(default)s)")
    parser.add_argument("--tensors", action="store_true", help="carry tensors in a partial run too")
    parser.add_argument("--live", action="store_true", help="ask for nothing in a partial run too")
    parser.add_argument("--write", action="store_true", help="write the page after a partial run")
    parser.add_argument("--date", default=today(), help="shown on the page (%(default)s)")
    return parser.parse_args()


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def bench(options: argparse.Namespace) -> None:
    if options.quick:
        options.rounds, options.seconds = 1, 1
    partial = bool(options.quick or options.only or options.servers)
    plan = measure.Plan(options.rounds, options.seconds, options.server_cpu, options.load_cpu, WORK)
    measure.check_cores(plan)
    chosen = contenders.choose(options.servers)
    with_live = options.live or not partial
    for tool in tools(chosen + list(contenders.LIVE if with_live else ())):
        load.require(tool)
    cases = prepare(options.only)
    begun = starts.measure(cases, options.rounds, say)
    say(report.starts_text(begun))
    # Everything but the servers stays off the servers' core, this program included.
    os.sched_setaffinity(0, {options.load_cpu})

    runs = measure_all(plan, cases, chosen)
    tables = results.tables(runs, cases, chosen)
    say(f"\n{report.text(tables)}\n")
    live = measure_live(plan) if with_live else None
    carried: list[Transfer] = []
    if options.tensors or not partial:
        say("binary tensors")
        carried = tensors.measure(WORK, plan.rounds, plan.seconds, plan.server_cpu, say)
    if partial and not options.write:
        say("A partial run: docs/performance.md stays as it is (--write changes it).")
    else:
        write(report.Found(tables, begun, carried, live), plan, options.date)


def write(found: report.Found, plan: measure.Plan, day: str) -> None:
    setting = report.Setting(
        date=day,
        facts=machine.facts(),
        rounds=plan.rounds,
        seconds=plan.seconds,
        laps=measure.LAPS,
        longest=measure.LONGEST,
        connections=CONNECTIONS,
        server_cpu=plan.server_cpu,
        load_cpu=plan.load_cpu,
    )
    first = found.tables[0]
    lines = commands.repeat(plan, first.case, [row.contender for row in first.rows])
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(report.markdown(found, setting, lines))
    caption = f"{setting.facts['CPU']}, one core for the server, {day}"
    PICTURE.write_text(chart.svg(found.tables, caption))
    say(f"wrote {PAGE.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}")


def say(line: str) -> None:
    print(line, flush=True)


def prepare(only: list[str] | None) -> list[Case]:
    known = models.case_names()
    if unknown := sorted(set(only or ()) - set(known)):
        msg = f"got cases {unknown}, expected some of {known}"
        raise BenchError(msg)
    say(f"models and payloads in {WORK.relative_to(ROOT)}/ (trained on the first run)")
    WORK.mkdir(exist_ok=True)
    (WORK / ".gitignore").write_text("*\n")
    return models.prepare(WORK, only or known)


def tools(chosen: list[Contender]) -> list[load.Tool]:
    """Those that make the load of *chosen*."""
    found = {tool.name: tool for tool in (load.tool(each.dialect) for each in chosen)}
    return list(found.values())


def measure_live(plan: measure.Plan) -> Live:
    """The empty call, of Triton too where that can be had."""
    chosen, left_out = list(contenders.LIVE), ""
    try:
        triton.fetch(plan.folder)
    except BenchError as error:
        chosen = [each for each in chosen if each.name != contenders.TRITON]
        left_out = str(error)
        say(f"Triton is left out: {left_out}")
    cases = models.prepare(plan.folder, [contenders.LIVE_CASE])
    say("\nan empty call")
    table = results.tables(measure_all(plan, cases, chosen), cases, chosen)[0]
    live = Live(table, left_out)
    say(f"\n{report.live_text(live)}\n")
    return live


def measure_all(plan: measure.Plan, cases: list[Case], chosen: list[Contender]) -> list[Run]:
    progress = Progress(
        plan.rounds, sum(c.takes(case) for case in cases for c in chosen) * plan.rounds
    )
    runs: list[Run] = []
    for case in cases:
        progress.case(case)
        taking = [contender for contender in chosen if contender.takes(case)]
        for run in measure.measure(plan, case, taking, progress):
            runs.append(run)
            ceiling = next(c.ceiling for c in chosen if c.name == run.contender)
            progress.ended(run, results.ratio_within(runs, run, ceiling))
    return runs


class Progress:
    """One line a run: what is under load, then its figures and the time to go."""

    def __init__(self, rounds: int, total: int) -> None:
        self.rounds, self.total, self.done = rounds, total, 0
        self.start = time.monotonic()

    def case(self, case: Case) -> None:
        say(f"\n{case.name}: {case.title}")

    def warming(self, server: str) -> None:
        say(f"  start and warm {server}")

    def running(self, server: str, number: int) -> None:
        print(f"\r  round {number}/{self.rounds}  {server:16}", end="", flush=True)

    def ended(self, run: Run, ratio: float | None) -> None:
        self.done += 1
        left = results.remaining(self.done, self.total, time.monotonic() - self.start) or 0.0
        minutes, seconds = divmod(round(left), 60)
        shown = "" if ratio is None else f"ratio {ratio:.4f}"
        head = f"\r  [{self.done:3}/{self.total}] round {run.round}/{self.rounds}"
        say(
            f"{head}  {run.contender:16}{run.rate:10,.1f} req/s  {shown:12}  "
            f"p99 {run.p99 * 1e3:9,.2f} ms  "
            f"CPU {run.cpu * 1e6:9,.1f} us  {minutes:3}:{seconds:02} to go"
        )


if __name__ == "__main__":
    sys.exit(main())
