"""Makes a listening socket deaf: whoever knocks is not heard, and whoever was heard may come in.

Closing it resets the connections that the system has made and nobody has accepted yet, and there is
always one more on its way. So before it is closed, the first packet of new ones is dropped: their
clients knock again after a second, and are refused then.
"""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

SO_ATTACH_FILTER = 26  # asm-generic/socket.h

# linux/filter.h: instructions on a packet from its TCP header on, whose flags are byte 13.
SYN = 0x02
KEEP, DROP = 0xFFFFFFFF, 0
PROGRAM = (
    (0x30, 0, 0, 13),  # load the flags
    (0x45, 0, 1, SYN),  # where SYN is not among them, skip one
    (0x06, 0, 0, DROP),
    (0x06, 0, 0, KEEP),
)


def deafen(listener: socket.socket) -> None:
    """Drop what would begin a connection. Does nothing where the system cannot, or needs not."""
    if sys.platform != "linux" or listener.family == socket.AF_UNIX:
        return
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in PROGRAM)
    kept = ctypes.create_string_buffer(code)
    described = struct.pack("@HP", len(PROGRAM), ctypes.addressof(kept))
    with suppress(OSError):  # a sandbox may know no filters
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
