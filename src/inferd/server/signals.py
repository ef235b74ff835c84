"""The signals that this process is sent, as something to wait for beside sockets."""

import os
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType


class Signals:
    """Catches signals until it is closed. For the main thread."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._end, self._wakeup = socket.socketpair()
        self._end.setblocking(False)
        self._wakeup.setblocking(False)
        # Python writes the number of each caught signal there.
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _caught) for number in numbers}

    def fileno(self) -> int:
        """For whoever waits until there is one."""
        return self._end.fileno()

    def take(self) -> list[int]:
        """Those that have come."""
        try:
            return list(self._end.recv(4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Catch no more: what was to become of them becomes of them again."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.forget()

    def forget(self) -> None:
        """Free what a child of this process inherited."""
        self._end.close()
        self._wakeup.close()


def _caught(number: int, frame: FrameType | None) -> None:
    """A signal that is caught interrupts waiting, and is written where ``take`` finds it."""


def caught() -> list[signal.Signals]:
    """The signals that are obeyed. Who starts a program with ``nohup`` wants no SIGHUP to reach
    it."""
    numbers = [signal.SIGCHLD, signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


def lost_terminal() -> Callable[[], bool]:
    """Tells later whether this process has lost the terminal that it has now."""
    had = _has_terminal()
    return lambda: had and not _has_terminal()


def _has_terminal() -> bool:
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        return True
    return False
