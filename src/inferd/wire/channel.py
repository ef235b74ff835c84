"""Frames over a blocking socket between two processes of one machine."""

import select
import socket
from contextlib import suppress

import numpy as np

from inferd.wire import frames
from inferd.wire.frames import PREFIX, Broken, Buffer, Frame

WINDOW = 64 * 1024  # a frame of at most so much is one write, and read in one piece
PIECES = 512  # of one write; the kernel takes 1,024 (IOV_MAX)


class Channel:
    """One end of a line on which question and answer take turns; for one thread at a time.

    Every method but ``close`` and ``hang_up`` raises OSError once the line is of no use.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._window = memoryview(bytearray(WINDOW))
        self._arrivals = select.poll()
        self._arrivals.register(line, select.POLLIN)

    def send(self, pieces: list[Buffer]) -> None:
        """Write a frame, in the pieces that ``frames.encode`` made of it."""
        if sum(map(len, pieces)) <= WINDOW:
            self._line.sendall(b"".join(pieces))
            return
        left = [memoryview(piece) for piece in pieces if len(piece)]
        left.reverse()
        while left:
            sent = self._line.sendmsg(left[: -PIECES - 1 : -1])
            while left and sent >= len(left[-1]):
                sent -= len(left.pop())
            if sent:
                left[-1] = left[-1][sent:]

    def wait(self, seconds: float) -> bool:
        """Whether there is something to receive, or the end, within so many seconds."""
        return bool(self._arrivals.poll(seconds * 1000))

    def receive(self) -> Frame:
        """Wait for a frame and read it."""
        window = self._window
        have = self._fill(window, 0, PREFIX.size)
        header, size = frames.sizes(window[: PREFIX.size])
        if have > PREFIX.size + size:
            raise Broken("more than one frame was sent")
        # Its own memory, and not made zero first: the frame's tensors are views of it.
        payload = np.empty(size, np.uint8)
        view: memoryview = payload.data
        read = have - PREFIX.size
        view[:read] = window[PREFIX.size : have]
        self._fill(view, read, size)
        return frames.decode(payload, header)

    def hang_up(self) -> None:
        """End the line for both sides, waking whoever waits on it. Any thread may, at any time."""
        with suppress(OSError):  # the other side was quicker, or it is closed
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the socket. For the thread that uses the line."""
        self._line.close()

    def _fill(self, view: memoryview, have: int, least: int) -> int:
        """Read into *view* beyond the *have* bytes of it, until there are *least* or more."""
        while have < least:
            got = self._line.recv_into(view[have:])
            if not got:
                raise ConnectionError("the other side hung up")
            have += got
        return have
