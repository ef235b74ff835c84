"""One process of a model, and the line to it."""

import os
import signal
import socket
import subprocess
import sys

from inferd.children import ending, environment
from inferd.errors import LoadError
from inferd.log import logger
from inferd.runtimes.base import Wanted
from inferd.wire.channel import Channel
from inferd.wire.frames import Buffer, Frame

PROGRAM = "inferd.server.host"  # by name: a runtime imports no program
LAST_WORDS = 0.5  # seconds for a process that failed to end: killed sooner, it could not tell how
GLANCE = 0.1  # seconds between two looks whether an answer is still wanted
HEEDED = 30.0  # seconds to leave a call: a model may be in a library's own code, or clean up


class Process:
    """Used by one thread at a time, and ended by any."""

    def __init__(self, title: str) -> None:
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self.gone = False
        """Whether it takes no further request."""
        with theirs:
            try:
                self._process = start_program(theirs.fileno(), title)
            except OSError as error:
                self._channel.close()
                raise LoadError(f"no process can be started: {error}") from None

    def ask(self, question: list[Buffer], wanted: Wanted | None = None) -> Frame:
        """Say *question* and wait for the answer. Raises OSError when there will be none.

        When *wanted* says no meanwhile, the process is told to leave the call, and answers that;
        one that does not is killed: others wait for it.
        """
        self._channel.send(question)
        if wanted is not None:
            self._heed(wanted)
        return self._channel.receive()

    def _heed(self, wanted: Wanted) -> None:
        """Wait for something to receive, and interrupt the model once the answer is not
        *wanted*."""
        while not self._channel.wait(GLANCE):
            if not wanted():
                self._process.send_signal(signal.SIGUSR1)  # see host.Model
                if not self._channel.wait(HEEDED):
                    logger.warning("a model's process went on for nobody, and is killed")
                    self.kill()
                return

    def hang_up(self) -> None:
        """Tell the process to end, and wake whoever waits for its answer."""
        self._channel.hang_up()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def discard(self) -> None:
        """Close the line of a process that failed, and make sure that it ends. For the thread that
        uses it."""
        self._channel.close()
        try:
            self._process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def close(self) -> None:
        """Close the line, on which nobody waits."""
        self._channel.close()

    def wait(self) -> str:
        """Wait until the process is no more, and tell how it ended."""
        return ending(self._process.wait())


def start_program(line: int, title: str) -> "subprocess.Popen[bytes]":
    """Start a model's own process, which inherits the file descriptor *line*. *title* is for
    whoever lists the machine's processes."""
    return subprocess.Popen(  # noqa: S603 - this interpreter, and a module of this package
        # Unbuffered: what a model prints is to be read when it prints it, and not when it ends.
        [sys.executable, "-u", "-P", "-m", PROGRAM, str(line), title],
        stdin=subprocess.DEVNULL,
        stdout=2,  # a model may print; what this program's standard output is for, it does not know
        pass_fds=(line,),
        start_new_session=True,  # Ctrl-C in the terminal is for the server, which drains first
        env=environment(os.environ, sys.path),
    )
