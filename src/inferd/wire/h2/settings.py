"""SETTINGS without IO (RFC 9113, section 6.5): ours written, a peer's read and held against the
standard."""

import struct
from typing import Final

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.frames import (
    ACK,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    PROTOCOL_ERROR,
    SETTINGS,
    SMALLEST_FRAME,
    BrokenConnectionError,
    frame_head,
)

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

ACKNOWLEDGED: Final = frame_head(SETTINGS, ACK, 0)
"""The whole frame that says: your settings are in use."""

_ENTRY = struct.Struct(">HI")
_RANGES: Final = {
    ENABLE_PUSH: (0, 1, PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: (0, LARGEST_WINDOW, FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: (SMALLEST_FRAME, LARGEST_FRAME, PROTOCOL_ERROR),
}
"""The least and the most of a setting, and the error of what is outside."""


def written(limits: Limits) -> bytes:
    """The frame that tells our limits."""
    payload = b"".join(
        _ENTRY.pack(setting, value)
        for setting, value in (
            (MAX_CONCURRENT_STREAMS, limits.streams),
            (INITIAL_WINDOW_SIZE, limits.window),
            (MAX_FRAME_SIZE, limits.frame_bytes),
            (MAX_HEADER_LIST_SIZE, limits.header_bytes),
        )
    )
    return frame_head(len(payload) << 8 | SETTINGS, 0, 0) + payload


def read(payload: bytes) -> list[tuple[int, int]]:
    """The settings of a frame, in their order, unknown ones too; each is valid."""
    if len(payload) % _ENTRY.size:
        raise BrokenConnectionError(FRAME_SIZE_ERROR, "SETTINGS that are cut off")
    entries = list(_ENTRY.iter_unpack(payload))
    for setting, value in entries:
        least, most, code = _RANGES.get(setting, (0, value, 0))
        if not least <= value <= most:
            raise BrokenConnectionError(code, f"setting {setting} of {value}")
    return entries
