"""WebSocket frames (RFC 6455, section 5): written as a client must, read as strictly as one may."""

import struct
from typing import NamedTuple

from fuzz.answers import Malformed

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTROL = 8
"""The first opcode of a control frame."""
MASK = b"\x11\x22\x33\x44"
LONGEST_CONTROL = 125
CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""Those that may be sent (RFC 6455, section 7.4), with those that programs choose themselves."""


class Frame(NamedTuple):
    """One frame from the server."""

    opcode: int
    final: bool
    payload: bytes


def frame(opcode: int, payload: bytes, *, final: bool = True, rsv: int = 0) -> bytes:
    """A masked frame."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + struct.pack(">H", size)
    else:
        length = b"\xff" + struct.pack(">Q", size)
    mask = (MASK * (size // 4 + 1))[:size]
    hidden = (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(size) if size else b""
    return bytes([final << 7 | rsv << 4 | opcode]) + length + MASK + hidden


def close(code: int = 1000, reason: bytes = b"") -> bytes:
    """The frame that ends a connection."""
    return frame(CLOSE, struct.pack(">H", code) + reason)


def read_frames(data: bytes, at: int) -> tuple[list[Frame], int]:
    """All whole frames from *at*, and where the rest begins. Raises Malformed."""
    found: list[Frame] = []
    while len(data) - at >= 2:
        size, start = _length(data, at)
        if size is None or len(data) < start + size:
            break
        each = Frame(data[at] & 15, bool(data[at] & 128), data[start : start + size])
        _check(each, data[at] & 0x70)
        found.append(each)
        at = start + size
    return found, at


def _length(data: bytes, at: int) -> tuple[int | None, int]:
    """The size of the payload and where it begins; None where that is not told yet."""
    short = data[at + 1]
    if short & 128:
        raise Malformed("a masked frame from a server")
    if short < 126:
        return short, at + 2
    width, least = (2, 126) if short == 126 else (8, 65536)
    if len(data) < at + 2 + width:
        return None, at
    size = int.from_bytes(data[at + 2 : at + 2 + width])
    if size < least:
        raise Malformed(f"a frame's length {size} in {width} bytes")
    return size, at + 2 + width


def _check(each: Frame, rsv: int) -> None:
    if rsv or each.opcode not in (0, TEXT, BINARY, CLOSE, PING, PONG):
        raise Malformed(f"a frame of opcode {each.opcode} with reserved bits {rsv >> 4}")
    if each.opcode >= CONTROL and (not each.final or len(each.payload) > LONGEST_CONTROL):
        raise Malformed("a control frame in pieces, or too long")
    if each.opcode == TEXT and each.final:
        _text(each.payload)
    if each.opcode == CLOSE and each.payload:
        if len(each.payload) < 2 or int.from_bytes(each.payload[:2]) not in CLOSE_CODES:
            raise Malformed(f"close with {each.payload[:40]!r}")
        _text(each.payload[2:])


def _text(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"a text message: {error}") from None
