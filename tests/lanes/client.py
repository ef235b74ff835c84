"""A client that sends literal bytes and reads answers strictly."""

import json
import socket
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from fuzz.answers import Answer, read_answer

PATIENCE = 10.0  # seconds until a silent server fails the test


class Client:
    """One connection."""

    def __init__(self, url: str, *, receive_buffer: int = 0) -> None:
        place = urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.connect((place.hostname, place.port))
        except OSError:
            self.socket.close()
            raise
        self._data = bytearray()
        self.ended = False

    def send(self, data: bytes) -> Self:
        """Send all of *data*."""
        self.socket.sendall(data)
        return self

    def finish_sending(self) -> Self:
        """Send no more, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def answer(self, method: str = "GET") -> Answer:
        """The next answer."""
        while True:
            cut = read_answer(bytes(self._data), 0, method, ended=self.ended)
            if cut:
                del self._data[: cut.end]
                return cut.answer
            if self.ended:
                raise EOFError(f"the connection ended after {bytes(self._data[:200])!r}")
            self._receive()

    def answers(self, count: int) -> list[Answer]:
        """The next *count* answers."""
        return [self.answer() for _ in range(count)]

    def is_closed(self) -> bool:
        """Whether the server closes without a further byte; waits for it."""
        while not self.ended and not self._data:
            self._receive()
        return not self._data

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while not self.ended:
            self._receive()
        return bytes(self._data)

    def lives(self) -> bool:
        """Whether the connection takes one more request."""
        try:
            return self.send(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").answer().status > 0
        except (EOFError, OSError):
            return False

    def close(self) -> None:
        """Close at once."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self) -> None:
        try:
            chunk = self.socket.recv(1 << 18)
        except ConnectionResetError:
            chunk = b""
        self._data += chunk
        self.ended = not chunk


def request(
    method: str, target: str, body: bytes | None = None, headers: str = "", version: str = "1.1"
) -> bytes:
    """A request; *headers* are lines that each end with CRLF."""
    length = "" if body is None else f"content-length: {len(body)}\r\n"
    head = f"{method} {target} HTTP/{version}\r\nhost: x\r\n{headers}{length}\r\n"
    return head.encode() + (body or b"")


def predict(row: list[Any], model: str = "", headers: str = "", version: str = "1.1") -> bytes:
    """A plain request for one prediction."""
    target = f"/v1/predict/{model}" if model else "/predict"
    return request("POST", target, json.dumps({"features": row}).encode(), headers, version)


def document(answer: Answer) -> Any:
    """The JSON of *answer*."""
    return json.loads(answer.body)
