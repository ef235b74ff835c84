"""HTTP/2 frames without IO (RFC 9113, sections 4 and 6): their types, flags, error codes, and how
they are written."""

import struct
from typing import Final

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
ENHANCE_YOUR_CALM: Final = 0xB

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
SMALLEST_FRAME: Final = 1 << 14
"""What everybody takes as a payload; the most until SETTINGS say more."""
LARGEST_FRAME: Final = (1 << 24) - 1
NUMBERS: Final = 0x7FFFFFFF
"""The bits of a stream's number; the one above is reserved, and ignored (section 4.1)."""
LARGEST_WINDOW: Final = 0x7FFFFFFF
FIRST_WINDOW: Final = 65_535

_HEAD = struct.Struct(">IBI")  # length and type in the first four bytes, flags, stream
_NUMBER = struct.Struct(">I")

frame_head = _HEAD.pack
"""``frame_head(length << 8 | type, flags, stream)``: the nine bytes before a payload."""
read_head = _HEAD.unpack_from
"""The three numbers that ``frame_head`` was given."""
read_number = _NUMBER.unpack_from


class BrokenConnectionError(Exception):
    """What the peer did ends the whole connection (section 5.4.1). Never leaves this package."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


def rst_stream(stream: int, code: int) -> bytes:
    return frame_head(4 << 8 | RST_STREAM, 0, stream) + _NUMBER.pack(code)


def window_update(stream: int, increment: int) -> bytes:
    return frame_head(4 << 8 | WINDOW_UPDATE, 0, stream) + _NUMBER.pack(increment)


def ping(payload: bytes) -> bytes:
    return frame_head(8 << 8 | PING, 0, 0) + payload


def pong(payload: bytes) -> bytes:
    return frame_head(8 << 8 | PING, ACK, 0) + payload


def goaway(last: int, code: int, why: str = "") -> bytes:
    payload = _NUMBER.pack(last) + _NUMBER.pack(code) + why.encode("ascii", "replace")
    return frame_head(len(payload) << 8 | GOAWAY, 0, 0) + payload


def unpadded(payload: bytes) -> bytes:
    """*payload* without its padding (section 6.1)."""
    if not payload:
        raise BrokenConnectionError(FRAME_SIZE_ERROR, "a padded frame without its padding's length")
    padding = payload[0]
    if padding >= len(payload):
        raise BrokenConnectionError(PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - padding]
