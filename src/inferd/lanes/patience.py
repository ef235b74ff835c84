"""How long a connection waits for a client that sends nothing, or takes nothing of its answers."""

import asyncio
import sys
from socket import SOL_SOCKET

from inferd.lanes.service import TICK_SECONDS, Limits

# How long a refused body is read on, so that the refusal reaches a client that still sends: closing
# at once would reset the connection under its answer.
LINGER_SECONDS = 2.0

# Bytes a second of a body at least, beside the pause that is allowed once; Apache's mod_reqtimeout
# asks for 500.
SLOWEST = 500


class Patience:
    """What is known of a client's silence. Times are the service's, which moves once a tick: each
    limit is a tick longer, so that nobody is cut off too early."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self.heard = now
        """When something of the client's last came."""
        self._taken, self._unsent = now, 0
        self._began, self._had = now, 0

    def begin_stall(self, now: float, unsent: int) -> None:
        """The client takes its answers more slowly than they are made; *unsent* bytes are left."""
        self._taken, self._unsent = now, unsent

    def is_stalled(self, now: float, unsent: int) -> bool:
        """Whether it took nothing of what is left for too long."""
        if unsent < self._unsent:
            self._taken = now
        self._unsent = unsent
        return now - self._taken - TICK_SECONDS > self._limits.read_timeout_seconds

    def begin_body(self, now: float, size: int) -> None:
        """From now on, with *size* bytes of it there, a body is to come at a decent rate."""
        self._began, self._had = now, size

    def is_trickling(self, now: float, size: int) -> bool:
        """Whether a body of which *size* bytes are there comes too slowly, though it comes."""
        allowed = self._limits.read_timeout_seconds + (size - self._had) / SLOWEST
        return now - self._began - TICK_SECONDS > allowed

    def is_over(self, now: float, *, deaf: bool, idle: bool) -> bool:
        """Whether it sent nothing for too long.

        *deaf*: nothing that it sends is heard any more. *idle*: it is not in the middle of a
        request.
        """
        if deaf:
            limit = LINGER_SECONDS
        else:
            limits = self._limits
            limit = limits.keep_alive_seconds if idle else limits.read_timeout_seconds
        return now - self.heard - TICK_SECONDS > limit


def undelivered(transport: asyncio.Transport) -> int:
    """Bytes that were written and not yet brought to the client: the transport keeps some, and
    the system others. The transport's alone would tell a steady reader late: the system
    takes more of them only when a good part of its own has left."""
    kept, socket = transport.get_write_buffer_size(), transport.get_extra_info("socket")
    if socket is None:
        return kept or UNKNOWN
    try:
        if sys.platform == "darwin":
            return kept + int(socket.getsockopt(SOL_SOCKET, SO_NWRITE))
        import fcntl
        import termios

        asked = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except (ImportError, OSError, ValueError):
        return kept or UNKNOWN
    return kept + int.from_bytes(asked, sys.byteorder)


SO_NWRITE = 0x1024  # sys/socket.h of macOS, where the other question is for terminals only

UNKNOWN = 1
"""Where the system does not tell: no progress is seen, so that it ends as a stall does."""
