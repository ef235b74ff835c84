"""One connection of the open-loop load: its socket, and what could not be sent yet."""

import errno
import select
import socket
from urllib.parse import SplitResult

from bench.wires import Wire

CHUNK = 1 << 18


class Link:
    """One connection: its socket, what could not be sent yet, and its protocol."""

    def __init__(self, url: SplitResult, wire: Wire, poll: select.epoll) -> None:
        self.wire = wire
        self.queued = self.connected = self.replaced = False
        self._poll, self._unsent = poll, wire.hello()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = self.socket.connect_ex((url.hostname or "127.0.0.1", url.port or 80))
        if error not in (0, errno.EINPROGRESS):
            self.socket.close()
            raise OSError(error, "connect")
        self.fd = self.socket.fileno()
        poll.register(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def send(self, data: bytes) -> None:
        """Now, or as soon as it can be sent. Raises OSError."""
        if self._unsent or not self.connected:
            self._unsent += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            self._poll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def writable(self) -> None:
        """Raises OSError, also where the connection could not be made."""
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "connect")
        self.connected = True
        if self._unsent:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        if not self._unsent:
            self._poll.modify(self.fd, select.EPOLLIN)

    def receive(self) -> bytes | None:
        """Empty at the end; None where there is nothing yet. Raises OSError."""
        try:
            return self.socket.recv(CHUNK)
        except BlockingIOError:
            return None

    def close(self) -> None:
        self.socket.close()  # which takes it out of epoll too
