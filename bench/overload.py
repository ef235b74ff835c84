"""An overload, measured: a model of 2 ms is offered ten times what it can answer, and then little.

python -m bench.overload --seconds 60      # writes the table of docs/overload.md
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from bench import openloop
from bench.dialects import GRPC_TYPE, JSON_TYPE, Question
from bench.errors import BenchError
from bench.machine import describe
from bench.messages import framed, infer
from bench.offered import GOOD, Result
from bench.openloop import Manner, Phase

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "overload.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"

Kind = Literal["thread", "process"]
Wire = Literal["HTTP", "gRPC"]
KINDS: Final[tuple[Kind, ...]] = ("thread", "process")
WIRES: Final[tuple[Wire, ...]] = ("HTTP", "gRPC")

MODELS: Final = ("model", "other")
OFFERED, CALM = 5000.0, 100.0  # requests a second
SETTLED = 0.020
"""Seconds within which all answers come when the overload is over: ten calls."""
AFTER = 3.0  # seconds of the calm that follows

THREAD = '''
"""Takes 2 ms for a request, and keeps nobody from the interpreter's lock."""
import time

from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec


class Pause(Runtime):
    name = "pause"
    parallel = False
    signature = Signature(
        (TensorSpec("X", "FP32", (1, 4)),), (TensorSpec("Y", "FP32", (1, 4)),), batch_axis=None
    )

    @classmethod
    def recognises(cls, artifact):
        return artifact.suffix == ".pause"

    @classmethod
    def open(cls, artifact):
        return cls()

    def run(self, inputs, outputs):
        time.sleep(0.002)
        return {"Y": inputs["X"] * 2}


plugin = Pause
'''
PROCESS = '''
"""As the other, in a process of its own."""
import time

from inferd import Signature, TensorSpec


class Model:
    signature = Signature(
        (TensorSpec("X", "FP32", (1, 4)),), (TensorSpec("Y", "FP32", (1, 4)),), batch_axis=None
    )

    def predict(self, inputs):
        time.sleep(0.002)
        return {"Y": inputs["X"] * 2}
'''


@contextmanager
def served(folder: Path, kind: Kind) -> Iterator[int]:
    """A server of two models of 2 ms, ``model`` and ``other``, written into *folder*; its port."""
    about = folder / "pause-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pause\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[inferd.runtimes]\npause = pause_runtime\n")
    (folder / "pause_runtime.py").write_text(THREAD)
    models = [folder / (name + (".pause" if kind == "thread" else ".py")) for name in MODELS]
    for model in models:
        model.write_text("" if kind == "thread" else PROCESS)
    command = [sys.executable, "-m", "inferd", "serve", *map(str, models)]
    command += ["--port", "0", "--workers", "1"]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(folder)}, stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "127.0.0.1:" not in line:
            raise BenchError(f"the server of the {kind} did not start: {line!r}")
        yield int(line.partition("127.0.0.1:")[2].split()[0])
    finally:
        process.terminate()
        process.communicate(timeout=60)


@dataclass(frozen=True)
class Overload:
    """What was seen; seconds."""

    budget: float | None
    """What each request had."""
    peak: float
    """Answers a second when the model is always busy and nobody is refused."""
    busy: Result
    after: Result

    @property
    def goodput(self) -> float:
        """Answers a second of the overload that came in time."""
        busy, limit = self.busy, math.inf if self.budget is None else self.budget
        good = np.isin(busy.statuses, [at for at, name in enumerate(busy.names) if name in GOOD])
        ended = busy.starts + busy.latencies < busy.seconds
        return float(np.sum(good & ended & (busy.latencies <= limit))) / busy.seconds

    @property
    def share(self) -> float:
        """The goodput, of the peak."""
        return self.goodput / self.peak

    @property
    def recovered(self) -> float:
        """How long after the overload the last answer came late."""
        slow = self.after.latencies > SETTLED
        return float(self.after.starts[slow][-1]) - self.busy.seconds if slow.any() else 0.0


def measure(port: int, wire: Wire, seconds: float, budget: float | None) -> Overload:
    """Ask at *port* over *wire*, each request with *budget* seconds of time, if any."""
    peak = _peak(*question(port, wire, None))
    manner = Manner(connections=2048 if wire == "HTTP" else 16, patience=15.0)
    asked = question(port, wire, budget)
    seen = openloop.run(*asked, [Phase(OFFERED, seconds), Phase(CALM, AFTER)], manner)
    within = seen.between(0, seconds)
    return Overload(budget, peak, within, seen.between(seconds, seconds + AFTER))


def _peak(url: str, asked: Question) -> float:
    """Eight at a time, until all are answered."""
    seen = openloop.run(url, asked, [Phase(2000, 0.5)], Manner(connections=8, patience=60))
    if seen.good != len(seen.starts):
        raise BenchError(f"not all were answered: {seen.counts}")
    return seen.good / float(np.max(seen.starts + seen.latencies))


def question(
    port: int, wire: Wire, budget: float | None, model: str = "model"
) -> tuple[str, Question]:
    """The URL, and what is asked there."""
    if wire == "gRPC":
        url = f"http://127.0.0.1:{port}/inference.GRPCInferenceService/ModelInfer"
        timeout = {} if budget is None else {"grpc-timeout": f"{budget * 1000:.0f}m"}
        return url, Question(framed(infer([[1.0, 2.0, 3.0, 4.0]], model)), GRPC_TYPE | timeout)
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    body = json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()
    timeout = {} if budget is None else {"x-request-timeout-ms": f"{budget * 1000:.0f}"}
    return f"http://127.0.0.1:{port}/v2/models/{model}/infer", Question(body, JSON_TYPE | timeout)


def row(kind: Kind, wire: Wire, budget: float | None, seen: Overload) -> str:
    """A line of the table."""
    p50, p99 = (seen.busy.percentile(share) * 1000 for share in (50, 99))
    refused = {name: count for name, count in seen.busy.counts.items() if name not in GOOD}
    names = ", ".join(f"{name}: {count:,}" for name, count in sorted(refused.items()))
    told = seen.busy.percentile(99, *refused) * 1000
    cells = [
        f"{wire}, model in a {kind}",
        "none" if budget is None else f"{budget * 1000:.0f} ms",
        f"{seen.peak:.0f}",
        f"{seen.goodput:.0f} ({seen.share:.2f})",
        f"{p50:.0f} / {p99:.0f}",
        f"{told:.1f}",
        names,
        f"{seen.recovered:.2f}",
    ]
    return "| " + " | ".join(cells) + " |\n"


HEAD: Final = (
    "| asked over | deadline | peak/s | in time/s (of the peak) | p50 / p99 ms | refused within ms"
    " (p99) | refusals | calm after s |\n| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.overload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of overload (%(default)s)")
    parser.add_argument("--kinds", default=",".join(KINDS), help="%(default)s")
    parser.add_argument("--wires", default=",".join(WIRES), help="%(default)s")
    parser.add_argument("--budgets", default="0.25,", help="seconds; empty: none (%(default)s)")
    parser.add_argument("--write", action="store_true", help=f"into docs/{PAGE.name}")
    options = parser.parse_args(arguments)
    lines = [HEAD]
    for kind in (kind for kind in KINDS if kind in options.kinds.split(",")):
        with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "models", kind) as port:
            for wire in (wire for wire in WIRES if wire in options.wires.split(",")):
                for budget in options.budgets.split(","):
                    limit = float(budget) if budget else None
                    lines.append(
                        row(kind, wire, limit, measure(port, wire, options.seconds, limit))
                    )
                    print(lines[-1], end="", flush=True)
    if options.write:
        table = "".join(lines)
        note = f"\n{OFFERED:,.0f} requests a second for {options.seconds:.0f} s. {describe()}\n"
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(before + BEGIN + table + note + END + rest.partition(END)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
