"""The processes of one model: a pool holds a number of seats; in each a thread keeps one process
going, and starts another when it ends."""

import time
from concurrent.futures import Future
from threading import Condition, Event, Thread

import msgspec

from inferd.artifact import Artifact
from inferd.children import pause
from inferd.errors import BadArtifact, LoadError, NotReady
from inferd.log import logger
from inferd.runtimes.remote.process import Process
from inferd.wire import frames
from inferd.wire.messages import Failed, Open, Opened, raised

PATIENCE = 5.0  # seconds that a request waits while no process of its model works
GRACE = 1.0  # seconds that a process may take to end by itself
SETTLED = 30.0  # seconds after which a process that ends is no reason to pause


class Pool:
    """The processes of one model: a number of seats, and who of those that sit there is free."""

    def __init__(self, artifact: Artifact, runtime_name: str, size: int) -> None:
        # The working directory may be another when a process is started again.
        self.artifact = msgspec.structs.replace(artifact, path=artifact.path.absolute())
        self.question = frames.encode(Open(runtime_name, self.artifact))
        self.size = size
        self.closing = Event()
        self._stamp = _stamp(self.artifact)
        self._seats = [Seat(self) for _ in range(size)]
        self._changed = Condition()
        self._free: list[Process] = []  # the last used is taken first: its memory is still near
        self._working = 0

    def start(self) -> Opened:
        """Fill the seats; what the first process says of the model."""
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


def _stamp(artifact: Artifact) -> tuple[int, ...]:
    try:
        status = artifact.path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
