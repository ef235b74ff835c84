"""A server as a process: started on one core, watched, asked for its cost, and stopped."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import asking, dialects
from bench.contenders import Contender
from bench.dialects import Question
from bench.errors import BenchError
from bench.models import Case
from bench.seen import Cores

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 120.0
STOP_LIMIT = 10.0
# A run of a slow server leaves a full set of requests behind, each of which it still answers.
IDLE_LIMIT = 120.0
IDLE_WINDOW = 0.25
REST = 1.0
"""Seconds for a server that never idles."""
# One tick of the kernel's accounting: an idle server may show it, a working one shows 25.
IDLE_CPU = 0.011


@dataclass
class Server:
    """One running server of one case."""

    contender: Contender
    case: Case
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    question: Question
    reply_bytes: int = 0
    """Of the last answer that was looked at."""

    @property
    def url(self) -> str:
        return self.contender.url(self.case, self.port)

    def cpu_seconds(self) -> float:
        total = 0.0
        for process in tree(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> int:
        total = 0
        for process in tree(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def check(self) -> float:
        """Ask once; return the seconds it took. A wrong status or answer is an error."""
        start = time.perf_counter()
        try:
            status, reply = asking.ask(self.contender.dialect, self.url, self.question)
        except asking.Unreachable as error:
            raise BenchError(f"{self._where()} answers no more: {error.__cause__}") from error
        took = time.perf_counter() - start
        if status not in asking.RIGHT:
            msg = f"{self._where()} answered {status}, expected 200: {reply[:300]!r}"
            raise BenchError(msg)
        try:
            answer = dialects.read(self.contender.dialect, reply)
        except (LookupError, TypeError, ValueError) as error:
            msg = f"{self._where()} answered what is no {self.contender.dialect}: {reply[:300]!r}"
            raise BenchError(msg) from error
        expected = dialects.expected(self.contender.dialect, self.case.labels, self.case.classes)
        if answer != expected:
            msg = f"{self._where()} answered {answer}, expected {expected}"
            raise BenchError(msg)
        self.reply_bytes = len(reply)
        return took

    def settle(self) -> None:
        """Wait until the server has nothing left to do."""
        if self.contender.restless:
            time.sleep(REST)
            return
        _poll(self._is_idle, IDLE_LIMIT, f"{self._where()} still uses its core while idle")

    def wait_ready(self) -> None:
        _poll(self._is_up, START_LIMIT, f"{self._where()} is not up")

    def _is_idle(self) -> bool:
        before = self.cpu_seconds()
        time.sleep(IDLE_WINDOW)
        return self.cpu_seconds() - before <= IDLE_CPU

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            msg = f"{self._where()} ended with {self.process.returncode}:\n{tail}"
            raise BenchError(msg)
        try:
            status, _ = asking.ask(self.contender.dialect, self.url, self.question)
        except asking.Unreachable:
            return False
        return status not in self.contender.not_ready

    def _where(self) -> str:
        return f"{self.contender.name} ({self.case.name})"


@contextmanager
def running(contender: Contender, case: Case, cpu: Cores, folder: Path) -> Iterator[Server]:
    """Start a server on its core; stop it, with all that it started, in the end."""
    port, log = free_port(), folder / f"{case.name}-{contender.name}.log"
    argv = ["taskset", "-c", str(cpu), *contender.command(case, port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=_environment(contender, case),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        question = dialects.question(contender.dialect, case.rows, case.model)
        server = Server(contender, case, port, process, log, question)
        server.wait_ready()
        yield server
    finally:
        _stop(process)


def tree(root: int) -> list[psutil.Process]:
    """A process and all that it started; nothing where it has ended."""
    try:
        first = psutil.Process(root)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(contender: Contender, case: Case) -> dict[str, str]:
    # A setting of the caller's own inferd must not change what is measured.
    kept = {name: text for name, text in os.environ.items() if not name.startswith("INFERD_")}
    return kept | contender.settings(case)


def _poll(done: Callable[[], bool], limit: float, fault: str) -> None:
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            msg = f"{fault}, after {limit:.0f} s"
            raise BenchError(msg)
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    started = tree(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT)
    _kill_group(process.pid)
    for each in started:  # some make groups of their own
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


def _kill_group(group: int) -> None:
    """End what is left of the server's own session."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
