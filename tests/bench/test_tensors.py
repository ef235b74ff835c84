"""Tests of bench/tensors.py, bench/lines.py and their floor: what is carried, and what is told."""

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from bench import tensors
from bench.dialects import JSON_LENGTH
from bench.errors import BenchError
from bench.lines import PlainLine, ServedLine
from bench.servers import socket_echo
from bench.tensors import Transfer

Serve = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], int]]:
    """Run a server of one connection in a thread; its port."""
    threads = []

    def start(handle: Serve) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            connection, _ = listener.accept()
            with listener, connection:
                handle(connection)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for thread in threads:
        thread.join(5)


def answer(head: bytes, *, spoil: bool = False) -> Serve:
    """A server that sends all but its question's document back, after *head*."""

    def handle(connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        fields = dict(line.split(b": ") for line in data.split(b"\r\n\r\n")[0].split(b"\r\n")[1:])
        start = data.index(b"\r\n\r\n") + 4 + int(fields[JSON_LENGTH.encode()])
        end = data.index(b"\r\n\r\n") + 4 + int(fields[b"content-length"])
        while len(data) < end:
            data += connection.recv(65536)
        wanted = json.loads(data[data.index(b"{") : start])["outputs"][0]["name"]
        tensor = data[start:] if wanted == "copy" else data[start : start + 4]
        tensor = bytes(len(tensor)) if spoil else tensor
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(tensor) + tensor)

    return handle


OK = b"HTTP/1.1 200 OK\r\n"


def test_the_plain_socket_gives_back_the_end_of_what_it_took(
    serve: Callable[[Serve], int],
) -> None:
    """All of it, or the last value; then it waits for the next question."""
    port = serve(socket_echo.serve)
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        for wanted in (8, 3):
            line.sendall(socket_echo.SIZES.pack(8, wanted) + b"12345678")
            back = bytearray(wanted)
            assert socket_echo.fill(line, memoryview(back))
            assert back == b"12345678"[-wanted:]


@pytest.mark.parametrize("echo", [True, False], ids=["echo", "upload"])
def test_a_line_carries_tensors_and_looks_at_the_first_that_comes_back(
    echo: bool, serve: Callable[[Serve], int]
) -> None:
    """A right answer passes, on either line."""
    with ServedLine(serve(answer(OK)), 1024) as line:
        line.carry(echo)
    with PlainLine(serve(socket_echo.serve), 1024) as line:
        line.carry(echo)


@pytest.mark.parametrize(
    ("handle", "said"),
    [
        (answer(b"HTTP/1.1 400 Bad Request\r\n"), "expected 200"),
        (answer(OK, spoil=True), "what was sent"),
        (lambda connection: None, "no head"),
    ],
    ids=["status", "bytes", "closed"],
)
def test_a_tensor_that_does_not_come_back_ends_the_benchmark(
    handle: Serve, said: str, serve: Callable[[Serve], int]
) -> None:
    """A wrong answer is no speed."""
    with (
        ServedLine(serve(handle), 1024) as line,
        pytest.raises((BenchError, ConnectionResetError), match=f"{said}|reset"),
    ):
        line.carry(True)


def test_figures_are_told_by_size_in_billions_of_bytes() -> None:
    """A line a size, smallest first, gRPC's below REST's; both ways beside each other."""
    found = [
        Transfer(kind, way, size, 5e8, 1e9, 0.5)
        for kind, size in (("gRPC", 1 << 20), ("REST", 1 << 20), ("REST", 1 << 10))
        for way in tensors.WAYS
    ]
    figures = ["0.500", "1.000", "0.50"] * 2
    assert tensors.cells(found) == [
        ["1 KiB, REST", *figures],
        ["1 MiB, REST", *figures],
        ["1 MiB, gRPC", *figures],
    ]
