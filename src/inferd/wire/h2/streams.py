"""A stream of an HTTP/2 connection without IO (RFC 9113, section 5.1): its state, its windows, what
waits on it; and what is remembered of streams that are closed.

A stream begins when its request's head is complete, and is forgotten when both sides have ended it.
Half-closed (local) is no state of it: once our side has ended, what the peer goes on to send could
change nothing, and the stream is reset with NO_ERROR (section 8.1).
"""

from collections import deque
from typing import Any, Final

CLOSED: Final = 0
HALF_CLOSED_REMOTE: Final = 2
"""The request is complete; we may send."""
OPEN: Final = 3

PEER_SENDS: Final = 1
"""The bit of a state in which the peer may send."""
WE_SEND: Final = 2
"""The bit of a state in which we may send."""

MOST_GAPS: Final = 64


class Queue:
    """What was sent on a stream and waits for its window, or for the connection's."""

    __slots__ = ("ends", "is_parked", "pieces", "size", "stream", "trailers", "wants_room")

    def __init__(self, stream: "Stream") -> None:
        self.stream = stream
        self.pieces: deque[memoryview] = deque()
        self.size = 0
        self.trailers: bytes | None = None
        self.ends = False
        """Whether the last piece, or the trailers, end the stream."""
        self.is_parked = False
        """Whether it waits for its stream's window; otherwise it has a turn among all streams."""
        self.wants_room = False

    def put(self, data: memoryview) -> None:
        if data:
            self.pieces.append(data)
            self.size += len(data)

    def cut(self, most: int) -> memoryview:
        """The next bytes, as many as *most*; no copy."""
        piece = self.pieces[0]
        if len(piece) > most:
            self.pieces[0] = piece[most:]
            piece = piece[:most]
        else:
            self.pieces.popleft()
        self.size -= len(piece)
        return piece


class Stream:
    """One request and its answer."""

    __slots__ = ("id", "length", "owed", "queue", "receive_window", "send_window", "state", "user")

    def __init__(
        self, number: int, state: int, length: int, receive_window: int, send_window: int
    ) -> None:
        self.id, self.state = number, state
        self.length = length
        """Bytes that are to come by the request's content-length; below 0 where it says nothing."""
        self.receive_window, self.send_window = receive_window, send_window
        self.owed = 0
        """Bytes that were consumed, and not yet credited to the peer."""
        self.queue: Queue | None = None
        self.user: Any = None
        """Whatever the lane keeps with it; None again when its answer is whole."""


class Past:
    """What is remembered of streams that are closed: bounded, however long a connection lives."""

    __slots__ = ("_gaps", "_most", "_resets", "highest")

    def __init__(self, most: int) -> None:
        self.highest = 0
        """The highest number that the peer has used: no lower one is idle."""
        self._most = most
        self._resets: dict[int, None] = {}
        self._gaps: deque[tuple[int, int]] = deque(maxlen=MOST_GAPS)

    def use(self, number: int) -> None:
        """The peer has opened *number*, which closes all idle ones below it (section 5.1.1)."""
        if number > self.highest + 2:
            self._gaps.append((self.highest + 1, number - 1))
        self.highest = number

    def was_skipped(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._gaps)

    def remember_reset(self, number: int) -> None:
        """We reset *number*: frames that were on their way are ignored."""
        resets = self._resets
        resets[number] = None
        if len(resets) > self._most:
            del resets[next(iter(resets))]

    def is_late(self, number: int) -> bool:
        """Whether a frame on *number*, which is closed, may have been sent before its peer knew."""
        return number in self._resets
