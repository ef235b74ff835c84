"""The server that is soaked: its processes, their memory and descriptors, and its log."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil  # noqa: TID253 - a program of its own

from fuzz.target import ended, told_port

STOP_SECONDS = 60.0
CHANGE_SECONDS = 60.0
HOST = "inferd.server.host"
ALARMS = ("Traceback", "CRITICAL", " ERROR ")
EXPECTED = ("stood still, stopped by a signal", "was killed by SIGKILL", "ended with exit code 1")
"""In lines that tell of what was done to it; the last, of a worker whose model was killed while it
was loaded: one that failed by itself writes a traceback."""


class Held(NamedTuple):
    """What processes hold at one moment."""

    memory: int
    """Bytes; a page that several share counts once, in parts."""
    descriptors: int


class Server:
    """``inferd serve`` with several workers."""

    def __init__(self, models: Sequence[Path], log: Path, workers: int) -> None:
        self._log, self._seen = log, 0
        command = [sys.executable, "-m", "inferd", "serve", *map(str, models)]
        command += ["--port", "0", "--workers", str(workers), "--default-model", models[0].stem]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("INFERD_")},
            )
        assert self._process.stdout  # noqa: S101 - as asked for above
        self.port = told_port(self._process.stdout.readline(), log)
        self.supervisor = psutil.Process(self._process.pid)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def workers(self) -> list[psutil.Process]:
        """Those that answer, the oldest first."""
        found = [child for child in self.supervisor.children() if not _is_host(child)]
        return sorted(found, key=lambda each: each.pid)

    def hosts(self) -> list[psutil.Process]:
        """The models' own processes."""
        return [child for child in self.supervisor.children(recursive=True) if _is_host(child)]

    def held(self) -> Held:
        """By all processes together."""
        memory = descriptors = 0
        for process in (self.supervisor, *self.supervisor.children(recursive=True)):
            try:
                memory += process.memory_full_info().pss
                descriptors += process.num_fds()
            except psutil.Error:  # it ended meanwhile
                continue
        return Held(memory, descriptors)

    def command(self, *words: str) -> None:
        """Have it changed as an operator does. Raises RuntimeError with what he would read."""
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "inferd", *words, "--pid", str(self._process.pid)],
            capture_output=True,
            text=True,
            timeout=CHANGE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"inferd {' '.join(words)}: {done.stderr.strip()}")

    def complaints(self) -> list[str]:
        """The lines of its log since the last call that tell of a fault."""
        with self._log.open() as log:
            log.seek(self._seen)
            text = log.read()
            self._seen = log.tell()
        return [
            line
            for line in text.splitlines()
            if any(alarm in line for alarm in ALARMS) and not any(told in line for told in EXPECTED)
        ]

    def stop(self) -> int:
        """End it as a service manager does; its exit code."""
        return ended(self._process, STOP_SECONDS)


def _is_host(process: psutil.Process) -> bool:
    try:
        return HOST in process.cmdline()
    except psutil.Error:
        return False
