"""A model that another runtime runs, in processes of its own, so that it never keeps this one's
interpreter.

A pool holds a number of seats; in each a thread keeps one process going, and starts another when it
ends. A request takes a free process, says what is to be run and waits for the answer.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from threading import Condition, Event, Thread
from typing import Any, NoReturn

import msgspec

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, LoadError, NotReady, RunFailed, UnknownFormat
from inferd.log import logger
from inferd.runtimes.base import Runtime
from inferd.tensors import Array
from inferd.wire import frames
from inferd.wire.channel import Channel
from inferd.wire.frames import Buffer, Frame
from inferd.wire.messages import Failed, Open, Opened, Run, raised

PROGRAM = "inferd.server.host"  # by name: a runtime imports no program
PATIENCE = 5.0  # seconds that a request waits while no process of its model works
GRACE = 1.0  # seconds that a process may take to end by itself
LAST_WORDS = 0.5  # as GRACE, of one that failed: killed sooner, it could not tell how it ended
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds between processes that keep ending
SETTLED = 30.0  # seconds after which a process that ends is no reason to pause

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class RemoteRuntime(Runtime):
    """What the loader starts around a runtime that holds the interpreter's lock.

    Its answers and its name are that runtime's. An exception of the model's comes back as a
    ModelError, which holds its traceback.
    """

    name = "remote"
    parallel = True
    holds_gil = False
    inline = False
    """Waiting for another process is nothing for the loop thread."""

    def __init__(self, pool: "Pool", opened: Opened) -> None:
        self._pool, self._opened = pool, opened
        self.name = opened.name  # type: ignore[misc]  # what is run is known only now
        self.signature = opened.signature

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return False

    @classmethod
    def open(cls, artifact: Artifact) -> NoReturn:
        raise UnknownFormat(f"{artifact.path} is opened by the runtime of its format")

    @classmethod
    def start(cls, artifact: Artifact, runtime_name: str, processes: int) -> "RemoteRuntime":
        """Open *artifact* by the runtime *runtime_name* in each of so many processes.

        Blocks until all have it. Raises LoadError, with the text that the runtime gave.
        """
        pool = Pool(artifact, runtime_name)
        started = cls(pool, pool.start(processes))
        started.instances = processes
        return started

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        question = frames.encode(Run(tuple(outputs)), inputs)
        process = self._pool.take()
        try:
            answer = process.ask(question)
        except OSError:
            process.discard()
            raise RunFailed(
                "the model's process ended while it had this request",
                cure="Send it again; if that fails, too, the server's log may say why.",
            ) from None
        except BaseException:
            process.discard()  # the answer is still on the line
            raise
        self._pool.give_back(process)
        if isinstance(answer.message, Failed):
            raise raised(answer.message)
        return answer.tensors

    def example(self) -> Mapping[str, Any]:
        return self._opened.example

    def feature_names(self) -> tuple[str, ...]:
        return self._opened.feature_names

    def classes(self) -> tuple[str, ...]:
        return self._opened.classes

    def close(self) -> None:
        self._pool.close()


plugin = RemoteRuntime


class Process:
    """One process, and the line to it. Used by one thread at a time, and ended by any."""

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

    def ask(self, question: list[Buffer]) -> Frame:
        """Say *question* and wait for the answer. Raises OSError when there will be none."""
        self._channel.send(question)
        return self._channel.receive()

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
        return _ending(self._process.wait())


class Pool:
    """The processes of one model: a number of seats, and who of those that sit there is free."""

    def __init__(self, artifact: Artifact, runtime_name: str) -> None:
        # The working directory may be another when a process is started again.
        self.artifact = msgspec.structs.replace(artifact, path=artifact.path.absolute())
        self.question = frames.encode(Open(runtime_name, self.artifact))
        self.closing = Event()
        self._stamp = _stamp(self.artifact)
        self._seats: list[Seat] = []
        self._changed = Condition()
        self._free: list[Process] = []  # the last used is taken first: its memory is still near
        self._working = 0

    def start(self, processes: int) -> Opened:
        """Fill so many seats; what the first process says of the model."""
        self._seats = [Seat(self) for _ in range(processes)]
        for seat in self._seats:
            seat.start()
        try:
            first, *_ = [seat.opened.result() for seat in self._seats]
        except BaseException:
            self.close()
            raise
        return first

    def take(self) -> Process:
        """A process that nobody uses; waits for it. Raises NotReady where none works."""
        with self._changed:
            while not self._free:
                came = self._changed.wait_for(self._may_come, PATIENCE)
                if self.closing.is_set() or not came:
                    raise NotReady("no process of this model works", cure="Send it again later.")
                if not self._free:
                    self._changed.wait()  # those at work come back, or end: either is told
            return self._free.pop()

    def give_back(self, process: Process) -> None:
        """Let others use *process*, which answered."""
        with self._changed:
            if process.gone:
                process.close()
            else:
                self._free.append(process)
                self._changed.notify()

    def enlist(self, process: Process) -> None:
        """Let requests use *process*, which opened the model."""
        with self._changed:
            self._working += 1
            self._free.append(process)
            self._changed.notify_all()

    def strike_off(self, process: Process) -> None:
        """Use *process* no more: it ended. Whoever waits for its answer is told."""
        with self._changed:
            process.gone = True
            self._working -= 1
            if process in self._free:
                self._free.remove(process)
                process.close()
            self._changed.notify_all()
        process.hang_up()

    def close(self) -> None:
        """End every process: politely, and then not."""
        self.closing.set()
        with self._changed:
            self._changed.notify_all()
        for seat in self._seats:
            seat.hang_up()
        deadline = time.monotonic() + GRACE
        for seat in self._seats:
            seat.join(max(0.0, deadline - time.monotonic()))
            seat.kill()
        for seat in self._seats:
            seat.join(GRACE)

    def check_unchanged(self) -> None:
        """Raise LoadError where another file lies at the artifact's place since the start.

        A version never changes while it is served: neither its signature nor its answers.
        """
        if _stamp(self.artifact) != self._stamp:
            raise LoadError(
                f"{self.artifact.path} is not the file that was loaded at first",
                cure="Restart the server to serve it as it is now.",
            )

    def _may_come(self) -> bool:
        return bool(self._free) or self._working > 0 or self.closing.is_set()


class Seat(Thread):
    """Keeps one process going.

    The thread stays while the process does, which is killed when the thread that started it ends.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__(name="inferd-seat", daemon=True)
        self._pool = pool
        self._process: Process | None = None
        self.opened: Future[Opened] = Future()
        """What the first process says of the model, or why it could not be loaded."""

    def run(self) -> None:
        ended = 0  # processes that ended soon after one another
        while not self._pool.closing.is_set():
            started = time.monotonic()
            try:
                self._fill()
            except Exception as error:  # noqa: BLE001 - start() or the log is told, whatever it is
                if not self.opened.done():
                    self.opened.set_exception(error)
                    return
                if not self._pool.closing.is_set():
                    logger.error("%s cannot be loaded again: %s", self._pool.artifact.path, error)
            ended = 1 if time.monotonic() - started > SETTLED else ended + 1
            self._pool.closing.wait(pause(ended))

    def hang_up(self) -> None:
        """Tell the process in this seat to end, if there is one."""
        if self._process:
            self._process.hang_up()

    def kill(self) -> None:
        """End the process in this seat at once, if there is one."""
        if self._process:
            self._process.kill()

    def _fill(self) -> None:
        """Seat a process and wait until it ends. Raises LoadError where it cannot open the
        model."""
        pool = self._pool
        pool.check_unchanged()
        self._process = process = Process(pool.artifact.path.name)
        try:
            opened = self._open(process)
        except BaseException:
            process.discard()
            process.wait()
            raise
        pool.enlist(process)
        if not self.opened.done():
            self.opened.set_result(opened)
        if pool.closing.is_set():  # meanwhile: nobody told this process
            process.hang_up()
        ending = process.wait()
        pool.strike_off(process)
        if not pool.closing.is_set():
            logger.warning("a process of %s %s; another starts", pool.artifact.path, ending)

    def _open(self, process: Process) -> Opened:
        """Have *process* open the model."""
        path = self._pool.artifact.path
        try:
            opened = process.ask(self._pool.question).message
        except OSError:
            process.discard()
            raise LoadError(
                f"the process that was to load {path} {process.wait()}",
                cure="Is there enough memory?",
            ) from None
        if isinstance(opened, Failed):
            error = raised(opened)
            raise error if isinstance(error, LoadError) else BadArtifact(str(error))
        if not isinstance(opened, Opened) or (
            self.opened.done() and opened.signature != self.opened.result().signature
        ):
            raise LoadError(f"{path} has another signature than before")
        return opened


def pause(ended: int) -> float:
    """Seconds to wait after so many processes ended soon after one another: none after the
    first."""
    return min(FIRST_PAUSE * 2 ** min(ended - 2, 30), LONGEST_PAUSE) if ended > 1 else 0.0


def start_program(line: int, title: str) -> "subprocess.Popen[bytes]":
    """Start a model's own process, which inherits the file descriptor *line*. *title* is for
    whoever lists the machine's processes."""
    return subprocess.Popen(  # noqa: S603 - this interpreter, and a module of this package
        [sys.executable, "-P", "-m", PROGRAM, str(line), title],
        stdin=subprocess.DEVNULL,
        stdout=2,  # a model may print; what this program's standard output is for, it does not know
        pass_fds=(line,),
        start_new_session=True,  # Ctrl-C in the terminal is for the server, which drains first
        env=environment(os.environ, sys.path),
    )


def environment(ours: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """The process's environment: it imports what this one does, and computes in one thread unless
    the operator says otherwise."""
    found = os.pathsep.join(folder or os.getcwd() for folder in path)
    return {**dict.fromkeys(THREADS, "1"), **ours, "PYTHONPATH": found}


def _stamp(artifact: Artifact) -> tuple[int, ...]:
    try:
        status = artifact.path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-code}"
