"""Batches: how near a served model comes to the best rate of its bare batches, and what a client
who is alone pays for them.

    python -m bench.batching

The server has one core, and so have the bare batches; the load has the other one.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from bench import load
from bench.errors import BenchError
from bench.process import free_port
from bench.seen import LoadResult
from bench.servers import lined
from inferd.artifact import Artifact
from inferd.runtimes.base import Runtime
from inferd.runtimes.onnx.runtime import OnnxRuntime

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".bench" / "batching"
CONNECTIONS = 64
SIZES = (1, 2, 4, 8, 16, 32, 48, 64)
"""Of the bare batches: no more requests than connections are ever there."""
LINES = ((2_000, 200), (10_000, 500), (20_000, 1_000))
"""Microseconds of a call and of each of its rows."""
HIDDEN, INPUTS, LAYERS = 3072, 4, 8
LIMIT = 10.0  # seconds for what takes no time


@dataclass(frozen=True)
class Model:
    """A file to serve."""

    title: str
    path: Path


@dataclass(frozen=True)
class Bare:
    """The best of the sizes of batch that were run without a server."""

    rate: float
    size: int


@dataclass(frozen=True)
class Crowd:
    """What the server did for all connections at once."""

    rate: float
    size: float
    """Rows of a batch."""
    busy: float
    """The share of the time in which the model computed."""


@dataclass(frozen=True)
class Row:
    """What is told of one model; each figure the median of all rounds."""

    title: str
    bare: Bare
    rate: float
    ratio: float
    """Of the served rate to the bare one, round by round."""
    filled: float
    """The same by what the server tells, for a machine that has other things to do: the share of
    the time in which the model computed, times the share of the best size that its batches had."""
    alone: float
    """Seconds that a lone client waits."""
    unbatched: float
    """The same where nothing is ever joined."""


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: float
    server_cpu: int
    load_cpu: int


def main(words: Sequence[str] | None = None) -> int:
    options = _options(words)
    if options.bare:
        print(json.dumps(vars(bare(Path(options.bare), options.seconds))))
        return 0
    plan = Plan(options.rounds, options.seconds, options.server_cpu, options.load_cpu)
    try:
        load.require(load.WRK)
        models = [each for each in prepare(plan.server_cpu) if options.only in each.title]
        print(text([measure(model, plan) for model in models]))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.batching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each model (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4, help="of each load (%(default)s)")
    parser.add_argument("--server-cpu", type=int, default=0, help="core of servers (%(default)s)")
    parser.add_argument("--load-cpu", type=int, default=1, help="core of the load (%(default)s)")
    parser.add_argument("--only", default="", help="models whose title has this in it")
    parser.add_argument("--bare", metavar="FILE", help="run its batches here, and tell the best")
    return parser.parse_args(words)


def prepare(cpu: int) -> list[Model]:
    """The models, made for the speed of this core."""
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK.parent / ".gitignore").write_text("*\n")
    _install(WORK / "site")
    turns = _turns_a_microsecond(cpu)
    models = [_lined(fixed, row, turns) for fixed, row in LINES]
    return [*models, _perceptron(WORK / f"perceptron-{LAYERS}-{HIDDEN}.onnx")]


def _install(site: Path) -> None:
    """The runtime as pip would install it."""
    info = site / "lined-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lined\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[inferd.runtimes]\nlined = bench.servers.lined\n")


def _turns_a_microsecond(cpu: int) -> float:
    with _on(cpu):
        took = []
        for _ in range(20):
            started = time.perf_counter()
            lined.turn(10_000)
            took.append(time.perf_counter() - started)
    return 10_000 / (min(took) * 1e6)


def _lined(fixed: float, per_row: float, turns: float) -> Model:
    path = WORK / f"line-{fixed}-{per_row}{lined.SUFFIX}"
    path.write_text(json.dumps({"fixed": fixed * turns, "per_row": per_row * turns}))
    return Model(f"{fixed / 1000:g} ms + {per_row / 1000:g} ms a row", path)


def _perceptron(path: Path) -> Model:
    """Too wide for the cache: a call reads all weights, whatever its rows."""
    title = f"ONNX perceptron, {LAYERS} layers of {HIDDEN}"
    if path.exists():
        return Model(title, path)
    from onnx import TensorProto, helper, numpy_helper, save

    numbers = np.random.default_rng(0)
    nodes, weights, before = [], [], "X"
    for at in range(LAYERS + 1):
        rows = INPUTS if at == 0 else HIDDEN
        columns = HIDDEN if at < LAYERS else 1
        name, after = f"W{at}", f"H{at}" if at < LAYERS else "Y"
        scaled = numbers.standard_normal((rows, columns)) / rows**0.5
        weights.append(numpy_helper.from_array(scaled.astype(np.float32), name))
        nodes.append(helper.make_node("MatMul", [before, name], [f"M{at}"]))
        nodes.append(helper.make_node("Relu", [f"M{at}"], [after]))
        before = after
    shapes = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", INPUTS])]
    answers = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["n", 1])]
    graph = helper.make_graph(nodes, "perceptron", shapes, answers, weights)
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return Model(title, path)


def bare(path: Path, seconds: float) -> Bare:
    """Run batches of each size in turn, with nothing around them, for *seconds* in all."""
    run = _opened(path)
    for size in SIZES:
        run(size)
    done = dict.fromkeys(SIZES, 0.0)
    spent = dict.fromkeys(SIZES, 0.0)
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for size in SIZES:
            started = time.perf_counter()
            run(size)
            spent[size] += time.perf_counter() - started
            done[size] += size
    return best(done, spent)


def best(rows: Mapping[int, float], seconds: Mapping[int, float]) -> Bare:
    """The size of batches at which most rows were run a second."""
    rates = {size: rows[size] / seconds[size] for size in rows}
    fastest = max(rates, key=rates.__getitem__)
    return Bare(rates[fastest], fastest)


def _opened(path: Path) -> Callable[[int], object]:
    """Runs so many rows by the runtime that the server uses, too."""
    artifact = Artifact(path)
    opener: type[Runtime] = lined.Lined if lined.Lined.recognises(artifact) else OnnxRuntime
    runtime = opener.open(artifact)
    names = runtime.signature.output_names
    return lambda rows: runtime.run({"X": np.ones((rows, INPUTS), np.float32)}, names)


def measure(model: Model, plan: Plan) -> Row:
    """Bare batches right before and after each load, so that both meet the same weather."""
    print(f"{model.title}:", flush=True)
    bares, crowds, ratios = [_bare_there(model, plan)], list[Crowd](), list[float]()
    alone, unbatched = list[float](), list[float]()
    with _serving(model, plan) as joined, _serving(model, plan, "--max-batch-size", "1") as single:
        for _ in range(plan.rounds):
            crowds.append(_crowded(joined, model, plan))
            bares.append(_bare_there(model, plan))
            ratios.append(crowds[-1].rate * 2 / (bares[-2].rate + bares[-1].rate))
            alone.append(_load(joined, 1, plan).p50)
            unbatched.append(_load(single, 1, plan).p50)
            print(
                f"  {crowds[-1].rate:,.0f}/s of {bares[-1].rate:,.0f}/s: {ratios[-1]:.3f},"
                f" by {crowds[-1].size:.1f}, {crowds[-1].busy:.3f} of the time;"
                f" alone {alone[-1] * 1e3:.2f} ms, unbatched {unbatched[-1] * 1e3:.2f} ms",
                flush=True,
            )
    best = Bare(median(b.rate for b in bares), max(bares, key=lambda b: b.rate).size)
    return Row(
        model.title,
        best,
        median(crowd.rate for crowd in crowds),
        median(ratios),
        median(crowd.busy * crowd.size / best.size for crowd in crowds),
        median(alone),
        median(unbatched),
    )


def _bare_there(model: Model, plan: Plan) -> Bare:
    argv = ["taskset", "-c", str(plan.server_cpu), sys.executable, "-m", "bench.batching"]
    argv += ["--bare", str(model.path), "--seconds", str(plan.seconds)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        raise BenchError(f"the bare batches ended with {done.returncode}:\n{done.stderr}")
    return Bare(**json.loads(done.stdout))


@contextmanager
def _serving(model: Model, plan: Plan, *options: str) -> Iterator[str]:
    """Yields the URL."""
    port = free_port()
    argv = ["taskset", "-c", str(plan.server_cpu), sys.executable, "-m", "inferd", "serve"]
    argv += [str(model.path), "--port", str(port), "--workers", "1", *options]
    with subprocess.Popen(argv, env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            if not (process.stdout and process.stdout.readline()):
                raise BenchError(f"the server of {model.path.name} did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _crowded(url: str, model: Model, plan: Plan) -> Crowd:
    """Counted from the end of one batch to that of another one: few batches are run, and those at
    the edges of a load are not whole."""
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(_load, url, CONNECTIONS, plan)
        time.sleep(plan.seconds * 0.2)
        before = _count(url, model)
        time.sleep(plan.seconds * 0.7)
        after = _count(url, model)
        loading.result()
    rows, calls, busy, seconds = (after[name] - before[name] for name in after)
    return Crowd(rows / seconds, rows / calls, busy / seconds)


def _count(url: str, model: Model) -> dict[str, float]:
    """What was done so far, and at which second the last batch was."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=LIMIT)
    try:
        connection.request("GET", f"/v2/models/{model.path.stem}/stats")
        (told,) = json.load(connection.getresponse())["model_stats"]
    finally:
        connection.close()
    return {
        "rows": told["inference_count"],
        "calls": told["execution_count"],
        "busy": sum(size["compute_infer"]["ns"] for size in told["batch_stats"]) / 1e9,
        "seconds": told["last_inference"] / 1000,
    }


def _load(url: str, connections: int, plan: Plan) -> LoadResult:
    path = WORK / "load.lua"
    body = json.dumps({"features": [1.0] * INPUTS})
    path.write_text(f'wrk.method = "POST"\nwrk.body = [=[{body}]=]\n')
    argv = ["taskset", "-c", str(plan.load_cpu), "wrk", "-t1", f"-c{connections}"]
    argv += [f"-d{max(1, round(plan.seconds))}s", "--latency", "-s", str(path), f"{url}/predict"]
    return load.run(load.WRK, argv, path)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INFERD_")}
    return kept | {"PYTHONPATH": os.pathsep.join([str(WORK / "site"), str(ROOT)])}


@contextmanager
def _on(cpu: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def text(rows: Sequence[Row]) -> str:
    """The table, as Markdown."""
    head = [
        "model",
        "bare, rows/s",
        "served, requests/s",
        "ratio",
        "filled",
        "alone, ms",
        "unbatched, ms",
    ]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *(_cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: Row) -> list[Any]:
    return [
        row.title,
        f"{row.bare.rate:,.0f} (by {row.bare.size})",
        f"{row.rate:,.0f}",
        f"{row.ratio:.3f}",
        f"{row.filled:.3f}",
        f"{row.alone * 1e3:.2f}",
        f"{row.unbatched * 1e3:.2f} ({row.alone / row.unbatched - 1:+.1%})",
    ]


if __name__ == "__main__":
    sys.exit(main())
