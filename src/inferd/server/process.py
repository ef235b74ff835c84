"""A worker's process, as its parent has it: forked, watched, ended."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
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
    _flush()
    # What a child is sent before it has left its parent would be told to the parent.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_THE_PARENT)
    try:
        pid = os.fork()
        if not pid:
            ours.close()
            _be(main, Line(theirs), mask)
    except OSError:
        ours.close()
        theirs.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return Process(pid, Line(ours))


def bury(others: Collection[int]) -> None:
    """See off the dead that nobody waits for: all but *others*. A container's first process is
    given the children of workers that were killed."""
    with suppress(ChildProcessError):  # there are none at all
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in others:
                return
            os.waitpid(found.si_pid, 0)


def _be(main: Callable[[Line], int], line: Line, mask: Iterable[int]) -> NoReturn:
    """Be the child, which never goes back to where its parent was."""
    code = 1
    try:
        _leave_the_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = main(line)
    except BaseException:  # noqa: BLE001 - the end of a process, which has nobody else to tell
        logger.exception("a worker failed")
    finally:
        try:
            _flush()
        finally:
            # What the parent has to tidy up at its end is not the child's, and a model may run for
            # ever in its thread.
            os._exit(code)


def _flush() -> None:
    """Write out what was printed: otherwise each of two processes would."""
    sys.stdout.flush()
    sys.stderr.flush()


def _leave_the_parent() -> None:
    """Take no more part in what is the parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a model may have a process of its own
    for number in LEFT_TO_THE_PARENT:
        # Not SIG_IGN, which programs that a model starts would inherit: nobody could end them.
        signal.signal(number, lambda *_: None)
    os.setsid()  # what is typed in the terminal is the parent's
