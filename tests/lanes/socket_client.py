"""A WebSocket client of literal bytes, which holds the server's frames against RFC 6455."""

import json
from typing import Any, NamedTuple, Self

from tests.lanes.client import Client

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the RFC's own, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
OFFER = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x37\xfa\x21\x3d"  # the RFC's own, section 5.7


class Frame(NamedTuple):
    """What the server sent."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of a close frame."""
        return int.from_bytes(self.payload[:2])

    @property
    def document(self) -> Any:
        """The JSON of a text message."""
        assert self.opcode == TEXT
        return json.loads(self.payload)


def head(target: str, changes: dict[str, str | None] | None = None) -> bytes:
    """An opening handshake; a change to None leaves a header out."""
    fields = {**OFFER, **(changes or {})}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = MASK, bits: int = 0
) -> bytes:
    """A client's frame; an empty *mask* leaves it out, *bits* are the reserved ones."""
    size = len(payload)
    if size < 126:
        length, more = size, b""
    elif size < 1 << 16:
        length, more = 126, size.to_bytes(2)
    else:
        length, more = 127, size.to_bytes(8)
    key = mask * (size // 4 + 1)
    body = bytes(a ^ b for a, b in zip(payload, key, strict=False)) if mask else payload
    start = bytes(((0x80 if fin else 0) | bits << 4 | opcode, (0x80 if mask else 0) | length))
    return start + more + mask + body


def row(values: list[Any]) -> bytes:
    """A message that asks for one prediction."""
    return frame(TEXT, json.dumps({"features": values}).encode())


class Socket(Client):
    """One connection, upgraded."""

    def __init__(self, url: str, target: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.send(head(target))
        answer = self._read_head()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        assert f"sec-websocket-accept: {ACCEPT}\r\n".encode() in answer

    def frame(self) -> Frame:
        """The next frame: whole, unmasked and without reserved bits, as a server's must be."""
        opcode, length = self._take(2)
        assert opcode & 0xF0 == 0x80, "FIN and nothing else"
        assert length < 128, "a server masks nothing: section 5.1"
        if length >= 126:
            length = int.from_bytes(self._take(2 if length == 126 else 8))
        return Frame(opcode & 0x0F, self._take(length))

    def frames(self, count: int) -> list[Frame]:
        """The next *count* frames."""
        return [self.frame() for _ in range(count)]

    def closes(self) -> int:
        """The code with which the server closes at once, and sends nothing after it."""
        last = self.frame()
        assert last.opcode == CLOSE, last
        last.payload[2:].decode()  # section 5.5.1: the reason is UTF-8
        assert self.is_closed()
        return last.code

    def say_goodbye(self, code: int = 1000) -> Self:
        """Close the client's side."""
        return self.send(frame(CLOSE, code.to_bytes(2)))

    def _read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._data and not self.ended:
            self._receive()
        size = self._data.find(b"\r\n\r\n") + 4
        return self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            if self.ended:
                raise EOFError(f"the connection ended after {bytes(self._data[:200])!r}")
            self._receive()
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken
