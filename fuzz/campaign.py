"""A whole run: one server, some processes that ask it, the progress line, a table a dialect."""

# ruff: noqa: T201 - a program that prints

import multiprocessing as mp
import queue
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.dialects import DIALECTS
from fuzz.driver import Driver, Progress
from fuzz.models import write_all
from fuzz.record import Failure, Record, show
from fuzz.request import Request
from fuzz.seeds import make_corpus
from fuzz.target import DOORS, Target

PATIENCE = 60.0  # seconds without any progress
REPORT_SECONDS = 0.5


class Plan(NamedTuple):
    """What was asked for."""

    dialects: tuple[str, ...]
    requests: int
    """Of each dialect."""
    processes: int
    seed: int
    corpus: int
    kept: Path
    """Where the bytes that made something fail are written."""
    doors: tuple[str, ...] = DOORS
    """The ports of other servers that are opened."""


class Campaign:
    """Counts what the processes report."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._record = Record(plan.kept)
        self._memory: list[int] = []

    def run(self) -> bool:
        """Run it; whether nothing failed."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            target = Target(write_all(folder), folder, doors=self._plan.doors)
            try:
                failed = [name for name in self._plan.dialects if not self._run(target, name)]
            finally:
                code = target.stop()
            left = target.complaints()
        if code:
            self._record.note(Failure("exit", f"the server ended with {code}", b""))
        for line in left:
            self._record.note(Failure("log", line, b""))
        if failed or code or left:
            print(f"\nFAILED: {', '.join(failed) or 'at the end'}")
        return not (failed or code or left)

    def _run(self, target: Target, dialect: str) -> bool:
        """All requests of one dialect; whether nothing failed."""
        if not target.is_alive():
            return False
        plan = self._plan
        if not set(DIALECTS[dialect].doors) & set(target.ports):
            print(f"\n{dialect}: left out, its port is closed")
            return True
        print(f"\n{dialect}: seed {plan.seed}, making {plan.corpus} requests to begin with ...")
        corpus = make_corpus(DIALECTS[dialect].requests, plan.seed, plan.corpus)
        self._record, self._memory = Record(plan.kept / dialect), []
        sent = self._drive(target, dialect, corpus)
        seconds = self._record.seconds()
        print(f"\n{dialect}: {sent:,} requests in {seconds:.0f} s, {sent / seconds:,.0f}/s")
        if self._memory:
            first, most, last = self._memory[0], max(self._memory), self._memory[-1]
            print(
                f"  memory: {first >> 20} MiB at first, {most >> 20} at most, {last >> 20} at last"
            )
        self._record.tell()
        return not self._record.failures

    def _drive(self, target: Target, dialect: str, corpus: list[Request]) -> int:
        plan, context = self._plan, mp.get_context("spawn")
        reports: Any = context.Queue()
        share = -(-plan.requests // plan.processes)
        workers = [
            context.Process(
                target=work,
                args=(dialect, corpus, target.ports, plan.seed * 1000 + at, share, reports),
            )
            for at in range(plan.processes)
        ]
        for worker in workers:
            worker.start()
        try:
            return self._collect(target, reports, len(workers))
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()

    def _collect(self, target: Target, reports: Any, running: int) -> int:
        """Take reports until all are done; how many requests were sent."""
        record, sent = self._record, 0
        while running and target.is_alive() and not record.is_enough:
            try:
                progress: Progress | None = reports.get(timeout=PATIENCE)
            except queue.Empty:
                record.note(Failure("hang", "no process made any progress", b""))
                return sent
            if progress is None:
                running -= 1
            else:
                sent += progress.requests
                self._take(progress, target, sent)
        if not target.is_alive():
            record.note(Failure("exit", "the server ended by itself", b""))
        return sent

    def _take(self, progress: Progress, target: Target, sent: int) -> None:
        record = self._record
        record.counts += progress.counts
        for failure in progress.failures:
            record.note(failure)
        for line in target.complaints():
            record.counts["failure: log"] += 1
            record.note(Failure("log", line, b""))
        if target.is_alive():
            self._memory.append(target.memory())
        rate = sent / record.seconds()
        left = max(0, self._plan.requests - sent) / max(rate, 1)
        show(
            f"{sent:,} of {self._plan.requests:,} requests, {rate:,.0f}/s, "
            f"{left:.0f} s left, {len(record.failures)} failures"
        )


def work(
    dialect: str,
    corpus: list[Request],
    ports: Mapping[str, int],
    seed: int,
    requests: int,
    reports: Any,
) -> None:
    """One process: send *requests* and report now and then."""
    driver = Driver(DIALECTS[dialect], corpus, ports, seed)
    done, told, last = 0, 0, time.monotonic()
    while done < requests:
        done += driver.round(requests - done)
        if time.monotonic() - last > REPORT_SECONDS or driver.failures:
            reports.put(driver.report(done - told))
            told, last = done, time.monotonic()
    reports.put(driver.report(done - told))
    reports.put(None)
