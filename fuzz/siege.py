"""``python -m fuzz --connections``: spoilt bytes, in every manner, over many connections at once,
while a probe asks for the server's health and its memory and files are watched."""

# ruff: noqa: T201 - a program that prints

import asyncio
import multiprocessing as mp
import queue
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fuzz import client
from fuzz.client import Received
from fuzz.dialects import DIALECTS
from fuzz.models import write_all
from fuzz.record import Failure, Record, show
from fuzz.sessions import Maker, Manner
from fuzz.target import Target
from fuzz.watch import QUICK, SLOWEST, Watch, ask_health, trend

SETTINGS = {"read-timeout-seconds": "2", "keep-alive-seconds": "2"}
REPORT_SECONDS = 1.0
PATIENCE = 60.0  # seconds without any report
SETTLE_SECONDS = 15.0  # until every descriptor of a connection must be back


class Plan(NamedTuple):
    """What was asked for."""

    dialects: tuple[str, ...]
    minutes: float
    processes: int
    at_once: int
    """Connections of each process."""
    seed: int
    kept: Path
    doors: tuple[str, ...]


class Report(NamedTuple):
    """What one process found since its last."""

    connections: int
    counts: Counter[str]
    failures: list[Failure]


class Siege:
    """Runs the processes, and judges the server as a whole."""

    what = "connections"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._record = Record(plan.kept / self.what)
        self._done = 0

    def run(self) -> bool:
        """Run it; whether nothing failed."""
        plan, record = self._plan, self._record
        print(
            f"{self.what}: seed {plan.seed}, {plan.processes} x {plan.at_once} at once, "
            f"{plan.minutes:g} minutes"
        )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            target = Target(write_all(folder), folder, SETTINGS, plan.doors)
            try:
                self._besiege(target)
            finally:
                code = target.stop()
            for line in target.complaints():
                record.note(Failure("log", line, b""))
        if code:
            record.note(Failure("exit", f"the server ended with {code}", b""))
        record.tell()
        return not record.failures

    def _besiege(self, target: Target) -> None:
        port = next(iter(target.ports.values()))
        ask_health(port)
        idle = self._settled(target, 0)
        with Watch(target, port) as watch:
            self._drive(target, watch)
        self._sum_up(watch)
        if not target.is_alive():
            self._record.note(Failure("exit", "the server ended by itself", b""))
            return
        left = self._settled(target, idle)
        print(f"  descriptors: {idle} idle before, {left} idle after")
        if left > idle:
            self._record.note(Failure("descriptors", f"{left - idle} more than before", b""))

    def _settled(self, target: Target, wanted: int) -> int:
        """The descriptors of the idle server: at most *wanted*, or what it stays at."""
        deadline = time.monotonic() + (SETTLE_SECONDS if wanted else 3.0)
        while (held := target.descriptors()) > wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return held

    def _drive(self, target: Target, watch: Watch) -> None:
        plan, context = self._plan, mp.get_context("spawn")
        reports: Any = context.Queue()
        work_of, first = self._work(target)
        workers = [
            context.Process(
                target=work_of,
                args=(
                    *first,
                    dict(target.ports),
                    plan.seed * 1000 + at,
                    plan.minutes * 60,
                    plan.at_once,
                    reports,
                ),
            )
            for at in range(plan.processes)
        ]
        for worker in workers:
            worker.start()
        try:
            self._collect(target, watch, reports, len(workers))
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()

    def _work(self, target: Target) -> tuple[Any, Sequence[Any]]:
        """What each process runs, and what it is given first."""
        return work, (self._plan.dialects,)

    def _collect(self, target: Target, watch: Watch, reports: Any, running: int) -> None:
        record = self._record
        while running and target.is_alive() and not record.is_enough:
            try:
                report: Report | None = reports.get(timeout=PATIENCE)
            except queue.Empty:
                record.note(Failure("hang", "no process made any progress", b""))
                return
            if report is None:
                running -= 1
                continue
            self._done += report.connections
            record.counts += report.counts
            for failure in report.failures:
                record.note(failure)
            for line in target.complaints():
                record.note(Failure("log", line, b""))
            self._show(watch)

    def _show(self, watch: Watch) -> None:
        seconds = self._record.seconds()
        left = max(0.0, self._plan.minutes * 60 - seconds)
        state = ""
        if watch.samples:
            last = watch.samples[-1]
            state = f"{last.memory >> 20} MiB, {last.descriptors} descriptors, "
        show(
            f"{self._done:,} connections, {self._done / seconds:,.0f}/s, {state}"
            f"health p99 {watch.slowness()[0] * 1e3:.0f} ms, {left:.0f} s left, "
            f"{len(self._record.failures)} failures"
        )

    def _sum_up(self, watch: Watch) -> None:
        record, (late, slowest) = self._record, watch.slowness()
        print(f"\nconnections: {self._done:,} in {record.seconds():.0f} s")
        print(
            f"  health: {len(watch.probes):,} probes, p99 {late * 1e3:.0f} ms, "
            f"slowest {slowest * 1e3:.0f} ms, {len(watch.lost)} lost"
        )
        if watch.lost:
            record.note(Failure("health", f"{len(watch.lost)} lost, first {watch.lost[0]}", b""))
        if late > QUICK or slowest > SLOWEST:
            text = (
                f"p99 {late:.2f} s (at most {QUICK}), slowest {slowest:.2f} s (at most {SLOWEST})"
            )
            record.note(Failure("health", text, b""))
        found = trend(watch.samples)
        if found is None:
            print("  memory: too short a run to tell a trend")
            return
        text = (
            f"{found.growth / 2**20:+.1f} MiB of {found.middle / 2**20:.0f} in "
            f"{found.seconds:.0f} s after the warm-up"
        )
        print(f"  memory: {text}; most descriptors {max(s.descriptors for s in watch.samples)}")
        if found.leaks:
            record.note(Failure("memory", text, b""))


def work(
    dialects: tuple[str, ...],
    ports: Mapping[str, int],
    seed: int,
    seconds: float,
    at_once: int,
    reports: Any,
) -> None:
    """One process: besiege for *seconds* and report now and then."""
    maker = Maker([DIALECTS[name] for name in dialects], list(ports), seed)
    asyncio.run(Besieger(maker, ports, seed, reports).run(seconds, at_once))
    reports.put(None)


class Besieger:
    """The connections of one process."""

    def __init__(self, maker: Any, ports: Mapping[str, int], seed: int, reports: Any) -> None:
        self._maker, self._ports, self._reports = maker, ports, reports
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._report = Report(0, Counter(), [])

    async def run(self, seconds: float, at_once: int) -> None:
        """Keep *at_once* connections busy until the time is over."""
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._keep_busy(end))
            while time.monotonic() < end:
                await asyncio.sleep(REPORT_SECONDS)
                self._tell()
        self._tell()

    def _tell(self) -> None:
        self._reports.put(self._report)
        self._report = Report(0, Counter(), [])

    async def _keep_busy(self, end: float) -> None:
        while time.monotonic() < end:
            session = self._maker.make()
            await self._one(session)
            report = self._report
            report.counts[session.manner] += 1
            self._report = report._replace(connections=report.connections + 1)

    async def _one(self, session: Any) -> None:
        small = session.manner in (Manner.SLOW, Manner.DEAF)
        try:
            connection = client.connect(self._ports[session.door], self._random, small=small)
        except OSError as error:
            self._fail("refused", f"{error}", session)
            await asyncio.sleep(0.1)
            return
        with connection:
            begun = time.monotonic()
            try:
                received = await client.attack(connection, session)
            except client.Late as error:
                self._fail("late", f"after {time.monotonic() - begun:.1f} s {error}", session)
                return
            except OSError as error:
                self._fail("error", repr(error), session)
                return
        if received is None:
            return
        if received.reset:
            self._report.counts["ended by a reset"] += 1
        for kind, detail in self.faults(session, received):
            self._fail(kind, detail, session)

    def faults(self, session: Any, received: Received) -> Iterator[tuple[str, str]]:
        """What is wrong with what came."""
        return client.faults(session, received)

    def _fail(self, kind: str, detail: str, session: Any) -> None:
        self._report.counts[f"failure: {kind}"] += 1
        cuts = session.cuts if len(session.cuts) < 20 else "every byte"
        where = f"{detail}\ndoor {session.door}; client {session.manner}; cuts {cuts}"
        self._report.failures.append(Failure(kind, where, session.data))
