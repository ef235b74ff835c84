"""Connections over which tensors go: to a plain socket, and to inferd by REST."""

import json
import socket
import struct
from typing import Protocol, Self

from bench.dialects import JSON_LENGTH
from bench.errors import BenchError
from bench.servers.socket_echo import SIZES, fill

CONNECT_LIMIT = 60.0
HEAD_LIMIT = 65536
NAME = "transfer"
"""Of the model."""
OUTPUTS = {True: "copy", False: "first"}
"""What is asked for: all of the tensor, or its first value."""


class Line(Protocol):
    """A connection over which tensors go."""

    def carry(self, echo: bool) -> None: ...


class Connected:
    """A connection that is closed at the end."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), CONNECT_LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class PlainLine(Connected):
    """To ``bench.servers.socket_echo``."""

    def __init__(self, port: int, size: int) -> None:
        super().__init__(port)
        self.sent, self._back = blob(size), bytearray(size)

    def carry(self, echo: bool) -> None:
        """One tensor there, and one, or one value, back."""
        size = len(self.sent)
        wanted = size if echo else 4
        self.socket.sendall(SIZES.pack(size, wanted))
        self.socket.sendall(self.sent)
        if not fill(self.socket, memoryview(self._back)[:wanted]):
            raise BenchError("the plain socket closed its connection")


class ServedLine(Connected):
    """To inferd, in the Open Inference Protocol's binary tensors."""

    def __init__(self, port: int, size: int) -> None:
        super().__init__(port)
        self.sent, self._back = blob(size), bytearray(size + HEAD_LIMIT)
        self._heads = {echo: self._head(OUTPUTS[echo]) for echo in (True, False)}
        self._checked: set[bool] = set()

    def carry(self, echo: bool) -> None:
        """One tensor there, and one, or one value, back."""
        try:
            self.socket.sendall(self._heads[echo])
            self.socket.sendall(self.sent)
        except ConnectionError as error:
            msg = f"no head of an answer: the connection broke off before ({error})"
            raise BenchError(msg) from None
        view = memoryview(self._back)
        got, blank = 0, -1
        while blank < 0:
            more = self.socket.recv_into(view[got:])
            got += more
            blank = self._back.find(b"\r\n\r\n", 0, got)
            if not more or (blank < 0 and got > HEAD_LIMIT):
                raise BenchError(f"no head of an answer in {bytes(view[:200])!r}")
        end = blank + 4 + _content_length(bytes(view[:blank]))
        if end > len(view) or not fill(self.socket, view[got:end]):
            raise BenchError("the server closed its connection, or answers too much")
        if echo not in self._checked:
            check(bytes(view[blank + 4 : end]), self.sent, echo)
            self._checked.add(echo)

    def _head(self, output: str) -> bytes:
        size = len(self.sent)
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


def check(body: bytes, sent: bytes, echo: bool) -> None:
    """What comes back is what was sent, or its first value."""
    if not body.endswith(sent if echo else sent[:4]):
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
