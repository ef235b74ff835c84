"""Binary tensors in bytes a second: up with a small answer, and both ways, through a model that
costs little, against a plain socket that carries the same bytes in the same round."""

import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol, Self

from bench import process
from bench.contenders import PYTHON
from bench.dialects import JSON_LENGTH
from bench.errors import BenchError
from bench.servers.socket_echo import SIZES, fill

LENGTHS = (1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20)
"""Bytes of the tensor."""
WAYS = ("upload", "echo")
MOST_BODY = 128 << 20  # of the server's setting: the largest tensor and its document
LEAST = 3  # round trips that a figure is taken from at least
START_LIMIT = 60.0
HEAD_LIMIT = 65536
NAME = "transfer"


class Line(Protocol):
    """A connection over which tensors go."""

    def carry(self, echo: bool) -> None: ...


@dataclass(frozen=True)
class Transfer:
    """One size one way: bytes a second of the server and of the plain socket, median over rounds,
    and the median of their ratios within a round."""

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
        for size in LENGTHS:
            for way in WAYS:
                with ServedLine(port, size) as line, PlainLine(plain, size) as floor:
                    found.append(_compare(way, size, (line, floor), rounds, seconds))
                say(text(found[-1]))
        return found


def text(transfer: Transfer) -> str:
    """One line for a terminal."""
    return (
        f"  {transfer.way:6} {words(transfer.size):>7}  inferd {transfer.served / 1e9:6.3f} GB/s  "
        f"socket {transfer.socket / 1e9:6.3f} GB/s  ratio {transfer.ratio:.2f}"
    )


def words(size: int) -> str:
    """A size as people say it."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def _compare(
    way: str, size: int, lines: tuple[Line, Line], rounds: int, seconds: float
) -> Transfer:
    echo = way == "echo"
    for line in lines:  # warm
        line.carry(echo)
    pairs = [
        tuple(_rate(line, echo, size, seconds / len(LENGTHS) / len(WAYS)) for line in lines)
        for _ in range(rounds)
    ]
    return Transfer(
        way,
        size,
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


class _Connected:
    """A connection that is closed at the end."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), START_LIMIT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class PlainLine(_Connected):
    """To ``bench.servers.socket_echo``."""

    def __init__(self, port: int, size: int) -> None:
        super().__init__(port)
        self._sent, self._back = blob(size), bytearray(size)

    def carry(self, echo: bool) -> None:
        """One tensor there, and one, or one value, back."""
        size = len(self._sent)
        wanted = size if echo else 4
        self._socket.sendall(SIZES.pack(size, wanted))
        self._socket.sendall(self._sent)
        if not fill(self._socket, memoryview(self._back)[:wanted]):
            raise BenchError("the plain socket closed its connection")


class ServedLine(_Connected):
    """To inferd, in the Open Inference Protocol's binary tensors."""

    def __init__(self, port: int, size: int) -> None:
        super().__init__(port)
        self._sent, self._back = blob(size), bytearray(size + HEAD_LIMIT)
        self._heads = {echo: self._head("copy" if echo else "first") for echo in (True, False)}
        self._checked: set[bool] = set()

    def carry(self, echo: bool) -> None:
        """One tensor there, and one, or one value, back."""
        self._socket.sendall(self._heads[echo])
        self._socket.sendall(self._sent)
        view = memoryview(self._back)
        got, blank = 0, -1
        while blank < 0:
            more = self._socket.recv_into(view[got:])
            got += more
            blank = self._back.find(b"\r\n\r\n", 0, got)
            if not more or (blank < 0 and got > HEAD_LIMIT):
                raise BenchError(f"no head of an answer in {bytes(view[:200])!r}")
        end = blank + 4 + _content_length(bytes(view[:blank]))
        if end > len(view) or not fill(self._socket, view[got:end]):
            raise BenchError("the server closed its connection, or answers too much")
        if echo not in self._checked:
            self._check(bytes(view[blank + 4 : end]), echo)
            self._checked.add(echo)

    def _head(self, output: str) -> bytes:
        size = len(self._sent)
        tensor = {
            "name": "x",
            "shape": [1, size // 4],
            "datatype": "FP32",
            "parameters": {"binary_data_size": size},
        }
        wanted = {"name": output, "parameters": {"binary_data": True}}
        document = json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
        lines = (
            f"POST /v2/models/{NAME}/infer HTTP/1.1",
            "host: localhost",
            f"content-length: {len(document) + size}",
            f"{JSON_LENGTH}: {len(document)}",
        )
        return "\r\n".join((*lines, "\r\n")).encode() + document

    def _check(self, body: bytes, echo: bool) -> None:
        """What comes back is what was sent, or its first value."""
        sent = self._sent if echo else self._sent[:4]
        if not body.endswith(sent):
            raise BenchError(f"got {body[:300]!r}, expected it to end with what was sent")


def _content_length(head: bytes) -> int:
    first, *lines = head.split(b"\r\n")
    if b" 200 " not in first:
        raise BenchError(f"the server answered {first!r}, expected 200")
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise BenchError("an answer without content-length")


def blob(size: int) -> bytes:
    """So many bytes of numbers that differ."""
    numbers = struct.pack("<256f", *range(256))
    return (numbers * (size // len(numbers) + 1))[:size]


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
    """The page's lines, a size a line."""
    lines: list[list[str]] = []
    by = {(each.way, each.size): each for each in transfers}
    for size in sorted({each.size for each in transfers}):
        line = [words(size)]
        for way in WAYS:
            each = by[way, size]
            line += [
                f"{each.served / 1e9:.3f}",
                f"{each.socket / 1e9:.3f}",
                f"{each.ratio:.2f}",
            ]
        lines.append(line)
    return lines
