"""A worker's process, as its parent has it: forked, watched, ended."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeAlias

from inferd.children import ending
from inferd.log import logger
from inferd.server.link import Line

STACKS = signal.SIGUSR2
"""Has a worker write on standard error where each of its threads stands."""

LEFT_TO_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a service manager may send to every process at once: the parent tells its workers."""


class Halted(NamedTuple):
    """It was stopped by a signal."""


class Continued(NamedTuple):
    """It goes on after that."""


class Ended(NamedTuple):
    """It is no more."""

    how: str


News: TypeAlias = Halted | Continued | Ended


class Process(NamedTuple):
    """A child of this process, and the line to it."""

    pid: int
    line: Line

    def news(self) -> News | None:
        """What became of it since the last question; None: nothing."""
        flags = os.WNOHANG | os.WUNTRACED | os.WCONTINUED
        pid, status = os.waitpid(self.pid, flags)
        if not pid:
            return None
        if os.WIFSTOPPED(status):
            return Halted()
        if os.WIFCONTINUED(status):
            return Continued()
        return Ended(ending(os.waitstatus_to_exitcode(status)))

    def wait(self) -> None:
        """Wait until it is no more."""
        os.waitpid(self.pid, 0)

    def send(self, number: int) -> None:
        """Send it a signal. Only before ``news`` says that it ended: its pid may be another's
        then."""
        os.kill(self.pid, number)


def fork(main: Callable[[Line], int]) -> Process:
    """Start a process that runs *main*, with its end of a line to here, and ends. Raises OSError.

    This process must have one thread: others, and the locks that they hold, would not be there.
    """
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if not pid:
        ours.close()
        _be(main, Line(theirs))
    theirs.close()
    return Process(pid, Line(ours))


def _be(main: Callable[[Line], int], line: Line) -> NoReturn:
    """Be the child, which never goes back to where its parent was."""
    code = 1
    try:
        _leave_the_parent()
        code = main(line)
    except BaseException:  # noqa: BLE001 - the end of a process, which has nobody else to tell
        logger.exception("a worker failed")
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            # What the parent has to tidy up at its end is not the child's, and a model may run for
            # ever in its thread.
            os._exit(code)


def _leave_the_parent() -> None:
    """Take no more part in what is the parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a model may have a process of its own
    for number in LEFT_TO_THE_PARENT:
        # Not SIG_IGN, which programs that a model starts would inherit: nobody could end them.
        signal.signal(number, lambda *_: None)
    os.setsid()  # what is typed in the terminal is the parent's
