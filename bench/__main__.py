"""`python -m bench`: train what is missing, measure case by case, print tables, write the page."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    against,
    against_report,
    batching,
    chart,
    commands,
    contenders,
    load,
    machine,
    measure,
    models,
    page,
    peers,
    report,
    results,
    scaling,
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
ROUNDS = 3
PARTIAL = "A partial run: docs/performance.md stays as it is (--write changes it)."


TEACHING = """\
examples, by `make bench ARGS="..."` or scripts/bench ...:
  (nothing)                               inferd, its ceiling and FastAPI, all cases: half an hour
  --only forest-1 --servers inferd-oip    one case of one server; the page stays as it is
  --quick                                 all of it, one second each: does everything run?
  --peers                                 MLServer, LitServe, BentoML, Ray Serve, FastAPI, Flask
                                          and Triton, in environments that pip makes once under
                                          .bench/peers/: half an hour
  --peers litserve,bentoml                some of them; the page stays as it is
  --scaling                               the CPU of a request with two workers, against one
  --batching                              batches against the best that a model can do: it prints

Server and load have one core each, so the machine should have nothing else to do. All but
the last write a part of docs/performance.md of their own. By hand, at fixed rates:
python -m bench.openloop --help
"""


def main() -> int:
    options = parse_arguments()
    # As Ctrl-C: the servers end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.batching:
            return batching.main([])
        chosen_way(options)(options)
    except BenchError as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def chosen_way(options: argparse.Namespace) -> Callable[[argparse.Namespace], None]:
    if options.peers is not None:
        return bench_peers
    return bench_scaling if options.scaling else bench


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench",
        description=__doc__,
        epilog=TEACHING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    others = ",".join([*(peer.name for peer in peers.PEERS if peer.against), peers.TRITON])
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--peers", type=names, nargs="?", const=[], help=f"against other servers: {others}"
    )
    way.add_argument("--scaling", action="store_true", help="two workers against one")
    way.add_argument("--batching", action="store_true", help="batches against the best there is")
    parser.add_argument("--only", type=names, help=f"cases, of {','.join(models.case_names())}")
    known = ",".join(contender.name for contender in contenders.CONTENDERS)
    parser.add_argument("--servers", type=names, help=f"servers, of {known}")
    parser.add_argument("--rounds", type=int, help="runs of each server (3; of --scaling 5)")
    parser.add_argument("--seconds", type=int, help="of each run (4; of --peers 2)")
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    parser.add_argument("--server-cpu", type=int, default=0, help="core of servers (%(default)s)")
    parser.add_argument("--load-cpu", type=int, default=1, help="core of the load (%(default)s)")
    parser.add_argument("--tensors", action="store_true", help="carry tensors in a partial run too")
    parser.add_argument("--live", action="store_true", help="ask for nothing in a partial run too")
    parser.add_argument("--write", action="store_true", help="write the page after a partial run")
    parser.add_argument("--date", default=today(), help="shown on the page (%(default)s)")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    options.seconds = options.seconds or (4 if options.peers is None else 2)
    options.rounds = options.rounds or (scaling.ROUNDS if options.scaling else ROUNDS)
    return options


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def planned(options: argparse.Namespace) -> measure.Plan:
    plan = measure.Plan(options.rounds, options.seconds, options.server_cpu, options.load_cpu, WORK)
    measure.check_cores(plan)
    return plan


def bench_peers(options: argparse.Namespace) -> None:
    """inferd against the other servers, each in an environment of its own."""
    plan = planned(options)
    load.require(load.WRK)
    make_folder()
    os.sched_setaffinity(0, {options.load_cpu})
    tasks, found = against.prepare(plan, options.peers, say)
    against.compare(plan, tasks, found, say)
    say(f"\n{against_report.text(found)}\n")
    if (options.peers or options.quick) and not options.write:
        say(PARTIAL)
        return
    shown = against_report.Setting(options.date, machine.facts(), plan.rounds, plan.seconds)
    put("peers", against_report.markdown(found, shown))


def bench_scaling(options: argparse.Namespace) -> None:
    """Two workers against one."""
    plan = planned(options)
    load.require(load.WRK)
    (case,) = prepare([scaling.CASE])
    found = scaling.compare(plan, case, say)
    say(f"\n{scaling.text(found)}\n")
    if options.quick and not options.write:
        say(PARTIAL)
        return
    put("scaling", scaling.markdown(found, machine.facts(), options.date))


def bench(options: argparse.Namespace) -> None:
    """inferd, its ceiling and the usual app."""
    partial = bool(options.quick or options.only or options.servers)
    plan = planned(options)
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
        carried = tensors.measure(WORK, plan.rounds, plan.seconds, options.server_cpu, say)
    if partial and not options.write:
        say(PARTIAL)
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
    put("servers", report.markdown(found, setting, lines))
    caption = f"{setting.facts['CPU']}, one core for the server, {day}"
    PICTURE.write_text(chart.svg(found.tables, caption))
    say(f"wrote {PICTURE.relative_to(ROOT)}")


def put(part: str, text: str) -> None:
    page.put(PAGE, part, text)
    say(f"wrote the part {part!r} of {PAGE.relative_to(ROOT)}")


def say(line: str) -> None:
    print(line, flush=True)


def prepare(only: list[str] | None) -> list[Case]:
    known = models.case_names()
    if unknown := sorted(set(only or ()) - set(known)):
        msg = f"got cases {unknown}, expected some of {known}"
        raise BenchError(msg)
    say(f"models and payloads in {WORK.relative_to(ROOT)}/ (trained on the first run)")
    make_folder()
    return models.prepare(WORK, only or known)


def make_folder() -> None:
    WORK.mkdir(exist_ok=True)
    (WORK / ".gitignore").write_text("*\n")


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
        left = results.to_go(self.done, self.total, time.monotonic() - self.start)
        shown = "" if ratio is None else f"ratio {ratio:.4f}"
        head = f"\r  [{self.done:3}/{self.total}] round {run.round}/{self.rounds}"
        say(
            f"{head}  {run.contender:16}{run.rate:10,.1f} req/s  {shown:12}  "
            f"p99 {run.p99 * 1e3:9,.2f} ms  "
            f"CPU {run.cpu * 1e6:9,.1f} us  {left}"
        )


if __name__ == "__main__":
    sys.exit(main())
