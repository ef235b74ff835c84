"""The load: a program that asks one URL over many connections, and what it saw as a record."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import h2load, wrk
from bench.dialects import GRPC, Dialect, Question
from bench.errors import BenchError
from bench.seen import Cores, LoadResult


@dataclass(frozen=True)
class Tool:
    """One program, with what it reads and what it prints."""

    name: str
    package: str
    """That has it, on Debian."""
    suffix: str
    """Of the file that says what is asked."""
    write: Callable[[Question], bytes]
    command: Callable[[str, Question, Path | str, float, Cores], list[str]]
    parse: Callable[[str, Path], LoadResult]
    """Also from what it wrote beside the file."""


WRK = Tool("wrk", "wrk", ".lua", wrk.write, wrk.command, wrk.parse)
H2LOAD = Tool("h2load", "nghttp2-client", ".bin", h2load.write, h2load.command, h2load.parse)


def tool(dialect: Dialect) -> Tool:
    """What asks in *dialect*."""
    return H2LOAD if dialect in GRPC else WRK


def run(tool: Tool, argv: list[str], path: Path) -> LoadResult:
    """*argv* is its command, with the file at *path*."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{tool.name} ended with {done.returncode}: {done.stderr.strip() or done.stdout}"
        raise BenchError(msg)
    return tool.parse(done.stdout, path)


def require(tool: Tool) -> None:
    """Install it where we may; otherwise say how."""
    if shutil.which(tool.name):
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", tool.package]
    line = " ".join(install)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        msg = f"{tool.name} is not installed; on Debian or Ubuntu run: sudo {line}"
        raise BenchError(msg)
    subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
    if subprocess.run(install, check=False, stdout=subprocess.DEVNULL).returncode != 0:
        msg = f"{tool.name} could not be installed; try yourself: {line}"
        raise BenchError(msg)
