"""Runs the command line as a person would, in a folder of its own."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

COMMAND = (sys.executable, "-m", "inferd")


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Serving:
    """``inferd serve`` in progress."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.banner = process, self._read_banner(process)
        found = re.search(r"https?://\S+", self.banner)
        self.url = found[0] if found else ""

    def end(self) -> Ended:
        """Wait for the end; say what it was."""
        out, err = self.process.communicate(timeout=15)
        return Ended(self.process.returncode, out, err)

    def _read_banner(self, process: "subprocess.Popen[str]") -> str:
        lines: list[str] = []
        assert process.stdout
        timer = threading.Timer(15, process.kill)
        timer.start()
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        timer.cancel()
        return "".join(lines)


Run = Callable[..., Ended]
Serve = Callable[..., Serving]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of the commands, with a cache of their own; to be changed by the test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("INFERD_")}
    return {**kept, "XDG_CACHE_HOME": str(tmp_path / "cache-home")}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run ``inferd`` with some arguments to its end."""

    def run_one(*arguments: object) -> Ended:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=15,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run_one


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Iterator[Serve]:
    """Start ``inferd serve`` with some arguments, on a free port unless one is named."""
    processes = []

    def start(*arguments: object, from_file: bool = False) -> Serving:
        named = from_file or "--port" in arguments or "INFERD_PORT" in environment
        port = () if named else ("--port", "0")
        process = subprocess.Popen(
            [*COMMAND, "serve", *map(str, arguments), *port],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        processes.append(process)
        return Serving(process)

    yield start
    for process in processes:
        process.kill()
        process.communicate()
