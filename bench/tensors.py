"""Binary tensors in bytes a second: up with a small answer, and both ways, through a model that
costs little, against a plain socket that carries the same bytes in the same round."""

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import process
from bench.contenders import PYTHON
from bench.errors import BenchError
from bench.grpc_line import GrpcLine
from bench.lines import NAME, Line, PlainLine, ServedLine

SIZES = (1 << 10, 16 << 10, 256 << 10, 1 << 20, 16 << 20, 64 << 20)
"""Bytes of the tensor."""
BY_GRPC = (1 << 20, 16 << 20)
JOBS = [(size, "REST") for size in SIZES] + [(size, "gRPC") for size in BY_GRPC]
WAYS = ("upload", "echo")
MOST_BODY = 128 << 20  # of the server's setting: the largest tensor and its document
LEAST = 3  # round trips that a figure is taken from at least
START_LIMIT = 60.0


@dataclass(frozen=True)
class Transfer:
    """One size one way, by REST or by gRPC: bytes a second of the server and of the plain socket,
    median over rounds, and the median of their ratios within a round."""

    kind: str
    way: str
    size: int
    served: float
    socket: float
    ratio: float


def measure(
    folder: Path, rounds: int, seconds: float, cpu: int, say: Callable[[str], None]
) -> list[Transfer]:
    """All sizes both ways; *seconds* is shared by them all in one round of one server."""
    model = write_model(folder)
    with ExitStack() as stack:
        port, plain = process.free_port(), process.free_port()
        limit = ("--max-body-bytes", str(MOST_BODY))
        served = ("inferd", "serve", str(model), "--port", str(port), *limit)
        stack.enter_context(_running(served, port, cpu, folder))
        stack.enter_context(_running(("bench.servers.socket_echo", str(plain)), plain, cpu, folder))
        found = []
        each = seconds / len(JOBS) / len(WAYS)
        for size, kind in sorted(JOBS, key=_order):
            line_of = GrpcLine if kind == "gRPC" else ServedLine
            for way in WAYS:
                with line_of(port, size) as line, PlainLine(plain, size) as floor:
                    figures = _compare(way, size, (line, floor), rounds, each)
                found.append(Transfer(kind, way, size, *figures))
                say(text(found[-1]))
        return found


def text(transfer: Transfer) -> str:
    """One line for a terminal."""
    head = f"{transfer.kind} {transfer.way:6} {words(transfer.size):>7}"
    return (
        f"  {head}  inferd {transfer.served / 1e9:6.3f} GB/s  "
        f"socket {transfer.socket / 1e9:6.3f} GB/s  ratio {transfer.ratio:.2f}"
    )


def words(size: int) -> str:
    """A size as people say it."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def _compare(
    way: str, size: int, lines: tuple[Line, Line], rounds: int, seconds: float
) -> tuple[float, float, float]:
    """Of the first of *lines*, of the second, and their ratio."""
    echo = way == "echo"
    for line in lines:  # warm
        line.carry(echo)
    pairs = [tuple(_rate(line, echo, size, seconds) for line in lines) for _ in range(rounds)]
    return (
        median(served for served, _ in pairs),
        median(plain for _, plain in pairs),
        median(served / plain for served, plain in pairs),
    )


def _rate(line: Line, echo: bool, size: int, seconds: float) -> float:
    """Bytes a second; an echo carries each byte twice."""
    done, begun = 0, time.perf_counter()
    while (lasted := time.perf_counter() - begun) < seconds or done < LEAST:
        line.carry(echo)
        done += 1
    return done * size * (2 if echo else 1) / lasted


def write_model(folder: Path) -> Path:
    """A model with its input as one output, and the first value of each row as another."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Identity", ["x"], ["copy"]),
        helper.make_node("Slice", ["x", "start", "end", "axis"], ["first"]),
    ]
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None])],
        [
            helper.make_tensor_value_info("copy", TensorProto.FLOAT, [None, None]),
            helper.make_tensor_value_info("first", TensorProto.FLOAT, [None, 1]),
        ],
        [
            numpy_helper.from_array(np.array([at], np.int64), name)
            for name, at in (("start", 0), ("end", 1), ("axis", 1))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / f"{NAME}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _running(
    words_: tuple[str, ...], port: int, cpu: int, folder: Path
) -> "ExitStack[bool | None]":
    """``python -m`` *words_* on its core, once it takes connections; ended with the stack."""
    stack = ExitStack()
    argv = ["taskset", "-c", str(cpu), PYTHON, "-m", *words_]
    log = stack.enter_context((folder / f"{NAME}-{words_[0]}.log").open("wb"))
    server = subprocess.Popen(
        argv, cwd=process.ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    stack.callback(_end, server)
    deadline = time.monotonic() + START_LIMIT
    while not _is_open(port):
        if server.poll() is not None or time.monotonic() > deadline:
            stack.close()
            raise BenchError(f"{' '.join(argv)} did not start; see {log.name}")
        time.sleep(0.05)
    return stack


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(process.STOP_LIMIT)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def cells(transfers: Sequence[Transfer]) -> list[list[str]]:
    """The page's lines, one for a size and how it was carried."""
    lines: list[list[str]] = []
    by = {(each.size, each.kind, each.way): each for each in transfers}
    for size, kind in sorted({(each.size, each.kind) for each in transfers}, key=_order):
        line = [f"{words(size)}, {kind}"]
        for way in WAYS:
            each = by[size, kind, way]
            line += [
                f"{each.served / 1e9:.3f}",
                f"{each.socket / 1e9:.3f}",
                f"{each.ratio:.2f}",
            ]
        lines.append(line)
    return lines


def _order(job: tuple[int, str]) -> tuple[int, bool]:
    """REST first."""
    return job[0], job[1] != "REST"
