"""A whole run: one server, some processes that ask it, the progress line, the table at the end."""

# ruff: noqa: T201 - a program that prints

import multiprocessing as mp
import queue
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.driver import Driver, Failure, Progress
from fuzz.models import write_all
from fuzz.seeds import Request, make_corpus
from fuzz.target import Target

PATIENCE = 60.0  # seconds without any progress
REPORT_SECONDS = 0.5
ENOUGH = 50  # failures: more would tell nothing new


class Plan(NamedTuple):
    """What was asked for."""

    requests: int
    processes: int
    seed: int
    corpus: int
    kept: Path
    """Where the bytes that made something fail are written."""


class Campaign:
    """Counts what the processes report."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._started = plan, time.monotonic()
        self._sent, self._counts = 0, Counter[str]()
        self._failures: list[Failure] = []
        self._memory: list[int] = []

    def run(self) -> bool:
        """Run it; whether nothing failed."""
        plan = self._plan
        print(f"seed {plan.seed}: making {plan.corpus} requests to begin with ...", flush=True)
        corpus = make_corpus(plan.seed, plan.corpus)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            target = Target(write_all(folder), folder)
            try:
                self._started = time.monotonic()
                self._drive(target, corpus)
            finally:
                code = target.stop()
            self._note_complaints(target)
        if code:
            self._note(Failure("exit", f"the server ended with {code}", b""))
        self._tell()
        return not self._failures

    def _drive(self, target: Target, corpus: list[Request]) -> None:
        plan, context = self._plan, mp.get_context("spawn")
        reports: Any = context.Queue()
        share = -(-plan.requests // plan.processes)
        workers = [
            context.Process(
                target=work, args=(target.port, corpus, plan.seed * 1000 + at, share, reports)
            )
            for at in range(plan.processes)
        ]
        for worker in workers:
            worker.start()
        try:
            self._collect(target, reports, len(workers))
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()

    def _collect(self, target: Target, reports: Any, running: int) -> None:
        while running and target.is_alive() and len(self._failures) < ENOUGH:
            try:
                progress: Progress | None = reports.get(timeout=PATIENCE)
            except queue.Empty:
                self._note(Failure("hang", "no process made any progress", b""))
                return
            if progress is None:
                running -= 1
            else:
                self._take(progress, target)
        if not target.is_alive():
            self._note(Failure("exit", "the server ended by itself", b""))

    def _take(self, progress: Progress, target: Target) -> None:
        self._sent += progress.requests
        self._counts += progress.counts
        for failure in progress.failures:
            self._note(failure)
        self._note_complaints(target)
        if target.is_alive():
            self._memory.append(target.memory())
        self._show()

    def _note_complaints(self, target: Target) -> None:
        for line in target.complaints():
            self._counts["failure: log"] += 1
            self._note(Failure("log", line, b""))

    def _note(self, failure: Failure) -> None:
        self._failures.append(failure)
        if len(self._failures) > ENOUGH:
            return
        self._plan.kept.mkdir(parents=True, exist_ok=True)
        (self._plan.kept / ".gitignore").write_text("*\n")
        stem = f"{failure.kind.replace(' ', '-')}-{len(self._failures)}"
        (self._plan.kept / f"{stem}.bin").write_bytes(failure.sent)
        (self._plan.kept / f"{stem}.txt").write_text(f"{failure.detail}\n")
        print(f"\n{failure.kind}: {failure.detail[:300]}\n  {self._plan.kept / stem}.bin")

    def _show(self) -> None:
        seconds = time.monotonic() - self._started
        rate = self._sent / seconds
        left = max(0, self._plan.requests - self._sent) / max(rate, 1)
        line = (
            f"{self._sent:,} of {self._plan.requests:,} requests, {rate:,.0f}/s, "
            f"{left:.0f} s left, {len(self._failures)} failures"
        )
        sys.stdout.write(f"\r{line}   " if sys.stdout.isatty() else f"{line}\n")
        sys.stdout.flush()

    def _tell(self) -> None:
        seconds = time.monotonic() - self._started
        print(f"\n\n{self._sent:,} requests in {seconds:.0f} s, {self._sent / seconds:,.0f}/s")
        if self._memory:
            print(
                f"memory: {self._memory[0] >> 20} MiB at first, {max(self._memory) >> 20} at most"
            )
        width = max((len(name) for name in self._counts), default=0)
        for name, count in sorted(self._counts.items()):
            print(f"  {name:<{width}}  {count:>10,}")
        print("FAILED" if self._failures else "nothing failed")


def work(port: int, corpus: list[Request], seed: int, requests: int, reports: Any) -> None:
    """One process: send *requests* and report now and then."""
    driver, done, told, last = Driver(port, corpus, seed), 0, 0, time.monotonic()
    while done < requests:
        done += driver.round(requests - done)
        if time.monotonic() - last > REPORT_SECONDS or driver.failures:
            reports.put(driver.report(done - told))
            told, last = done, time.monotonic()
    reports.put(driver.report(done - told))
    reports.put(None)
