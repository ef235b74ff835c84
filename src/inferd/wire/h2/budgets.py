"""How much a peer may do: a connection's limits, and budgets against floods of what costs it
little.

Each budget is a sum that costs are taken from. Time refills it, and so does honest work: requests
that come to their end, and frames with content. Who only resets, pings or sends empty frames has
soon spent it; the connection then ends with ENHANCE_YOUR_CALM.
"""

from typing import Final

from msgspec import Struct

from inferd.wire.h2.frames import FIRST_WINDOW, LARGEST_FRAME, LARGEST_WINDOW, SMALLEST_FRAME

REQUEST_EARNS: Final = 8
"""Control frames that a request pays for: window updates, pings that measure, its cancelling."""
FRAME_EARNS: Final = 2
"""Control frames that a DATA frame pays for, either way: a peer that credits each one does so on
the stream and on the connection."""
TINY: Final = 256
"""Bytes. A DATA frame that a window cut smaller pays for nothing: many small increments would have
each answer cut into single bytes (CVE-2019-9511 and 9517)."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one connection may use and do."""

    streams: int = 128
    """Most requests under way at once (SETTINGS_MAX_CONCURRENT_STREAMS)."""
    header_bytes: int = 1 << 16
    """Most bytes of a header list, and of the block that it comes in."""
    fragments: int = 64
    """Most frames that one header block comes in."""
    frame_bytes: int = 1 << 18
    """Most bytes of a frame's payload (SETTINGS_MAX_FRAME_SIZE). Larger frames are fewer turns of
    Python for a large tensor; each connection may hold one that is incomplete."""
    window: int = 1 << 20
    """Bytes that a stream may send before the lane has ``consumed`` some of them."""
    connection_window: int = 1 << 24
    """Bytes on their way on all streams. They are credited as they arrive."""
    resets: int = 1000
    """Requests that may be broken off at once, by the peer or for its faults (CVE-2023-44487 and
    CVE-2025-8671); as nghttp2 has it. A gateway whose own callers give up may cancel hundreds."""
    resets_a_second: float = 33.0
    control_frames: int = 2000
    """Frames that may come at once and bring no request further (CVE-2019-9512 to 9518)."""
    control_frames_a_second: float = 200.0
    backlog: int = 1 << 20
    """Most bytes of control frames, owed to the peer, that may wait to be taken."""
    remembered: int = 1000
    """Streams that we reset and the peer may not know of yet, whose frames are still ignored."""

    def __post_init__(self) -> None:
        # A peer sends by the standard's own values until it has read ours.
        _hold("window", self.window, FIRST_WINDOW, LARGEST_WINDOW)
        _hold("connection_window", self.connection_window, FIRST_WINDOW, LARGEST_WINDOW)
        _hold("frame_bytes", self.frame_bytes, SMALLEST_FRAME, LARGEST_FRAME)


class Budget:
    """A sum that is spent, and refilled by time and work, up to *most*."""

    __slots__ = ("_earned", "_left", "_most", "_rate", "_when")

    def __init__(self, most: float, rate: float, now: float) -> None:
        self._left = self._most = most
        self._rate, self._when = rate, now
        self._earned = 0

    def spend(self, cost: float, earned: int, now: float) -> bool:
        """Take *cost* off; False where so much is not left. *earned*: all that was earned by work
        since the connection began."""
        refill = earned - self._earned + (now - self._when) * self._rate
        self._left = min(self._most, self._left + refill) - cost
        self._earned, self._when = earned, now
        return self._left >= 0


def _hold(name: str, got: int, least: int, most: int) -> None:
    if not least <= got <= most:
        msg = f"HTTP/2 limit {name}: got {got}, expected {least} to {most}"
        raise ValueError(msg)
