"""What a start costs: how long `inferd serve` takes until it answers, and what for."""

import os
import select
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import PYTHON
from bench.errors import BenchError
from bench.models import Case

LIMIT = 120.0
WAYS = ("pickle, compiled first", "pickle, compiled before", "pickle, not compiled", "ONNX file")


@dataclass(frozen=True)
class Start:
    """One model's seconds from the command to the banner, median over the rounds, by way."""

    model: str
    title: str
    seconds: tuple[float, ...]


def measure(cases: Sequence[Case], rounds: int, say: Callable[[str], None]) -> list[Start]:
    """Start each model of *cases* in each way, *rounds* times."""
    models = {case.model: case for case in cases}
    starts = []
    for case in models.values():
        say(f"  start {case.model}")
        runs = [_all_ways(case) for _ in range(rounds)]
        seconds = tuple(statistics.median(way) for way in zip(*runs, strict=True))
        starts.append(Start(case.model, case.title, seconds))
    return starts


def _all_ways(case: Case) -> tuple[float, ...]:
    with tempfile.TemporaryDirectory() as folder:
        cache = ("--cache-dir", str(Path(folder) / "cache"))
        return (
            _seconds(case.pickle, *cache),
            _seconds(case.pickle, *cache),
            _seconds(case.pickle, "--no-compile"),
            _seconds(case.onnx),
        )


def _seconds(path: Path, *options: str) -> float:
    """From the command to its first line, which comes when it answers."""
    argv = [PYTHON, "-m", "inferd", "serve", str(path), "--port", "0", *options]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("INFERD_")}
    begun = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=kept) as process:
        try:
            line = _first_line(process)
            took = time.perf_counter() - begun
        finally:
            process.terminate()
    if not line.startswith(b"inferd serves"):
        msg = f"{' '.join(argv)} did not start: {line!r}"
        raise BenchError(msg)
    return took


def _first_line(process: "subprocess.Popen[bytes]") -> bytes:
    """Empty where none comes in time."""
    out = process.stdout
    if out is None or not select.select([out], [], [], LIMIT)[0]:
        return b""
    return out.readline()
