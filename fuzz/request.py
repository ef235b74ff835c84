"""A request in its parts, and how they become bytes."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from fuzz.codings import encode

MAIN = "main"
"""The name of the port that speaks every dialect."""


class Request(NamedTuple):
    """A request in its parts."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """Before any coding. None: no body, and no header that announces one."""
    chunks: tuple[int, ...] = ()
    """Sizes of the chunks that the body is sent in; empty: it is announced by its length."""
    coding: str = ""
    """How the body is coded, of ``fuzz.codings``; empty: not at all."""
    extension: str = ""
    """What follows each chunk's size."""
    after: bytes = b""
    """What is sent behind it, in another protocol: WebSocket's frames."""

    def serialise(self) -> bytes:
        """The request as bytes."""
        headers, body = list(self.headers), self.body or b""
        if self.coding:
            label, body = encode(self.coding, body)
            headers.append(("content-encoding", label))
        if self.body is not None:
            if self.chunks:
                headers.append(("transfer-encoding", "chunked"))
                body = b"".join(self._chunked(body))
            else:
                headers.append(("content-length", str(len(body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"{self.method} {self.target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n"
        return head.encode("latin-1") + body + self.after

    def offers(self) -> str:
        """The codings that an answer may have."""
        return ",".join(value for name, value in self.headers if name == "accept-encoding")

    def _chunked(self, body: bytes) -> Iterator[bytes]:
        at, extension = 0, self.extension.encode("latin-1")
        for size in itertools.cycle(self.chunks):
            piece = body[at : at + size]
            if not piece:
                break
            yield b"%x%b\r\n%b\r\n" % (len(piece), extension, piece)
            at += size
        yield b"0\r\n\r\n"
