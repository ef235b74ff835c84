"""The loop thread, and the threads beside it that run slow models and large codecs."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

CODEC_THREADS = 2  # large documents at once; each holds several times its size in memory


class Done(msgspec.Struct, Generic[T]):
    """What became of work in a thread: its value, or the exception that it raised."""

    value: T | None
    error: BaseException | None = None

    def result(self) -> T:
        """The value; raises the exception, or TypeError where there is neither."""
        if self.error is not None:
            raise self.error
        if self.value is None:
            raise TypeError("the work returned nothing")
        return self.value


Then: TypeAlias = Callable[[Done[Any]], None]


class Home:
    """Where the request path lives. Made before the loop runs, attached to it once."""

    def __init__(self, model_threads: int) -> None:
        self.models: Executor = ThreadPoolExecutor(model_threads, "inferd-model")
        self.codecs: Executor = ThreadPoolExecutor(CODEC_THREADS, "inferd-codec")
        self._loop: asyncio.AbstractEventLoop | None = None
        self.busy = 0
        """Works under way or waiting in threads."""
        self.closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on *loop* from now on."""
        self._loop = loop

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop; asking before it was attached is a bug."""
        if self._loop is None:
            raise RuntimeError("the engine is not attached to an event loop")
        return self._loop

    def post(self, callback: Callable[..., None], *args: Any) -> bool:
        """Call *callback* on the loop thread, soon; False once the loop is gone.

        The one door from other threads.
        """
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop was closed: nobody is left to be told
            return False
        return True

    def submit(self, pool: Executor, work: Callable[[], Any], then: Then) -> None:
        """Run *work* in one of *pool*'s threads, and *then* on the loop thread."""
        self.busy += 1
        pool.submit(self.run, work, then)

    def close(self) -> None:
        """Take no more work. Threads that are busy end with what they do."""
        self.closed = True
        self.models.shutdown(wait=False, cancel_futures=True)
        self.codecs.shutdown(wait=False, cancel_futures=True)

    def run(self, work: Callable[[], Any], then: Then) -> None:
        """Run *work* in this thread, and *then* on the loop thread."""
        try:
            done = Done(work())
        except BaseException as error:  # noqa: BLE001 - told to the caller, on the loop
            done = Done(None, _told(error))
        self.post(self._finish, then, done)

    def _finish(self, then: Then, done: Done[Any]) -> None:
        self.busy -= 1
        then(done)


def _told(error: BaseException) -> Exception:
    """*error* as the loop is told of it: what would end a thread would end the loop, too, such as a
    model's ``sys.exit``, or a panic in a library written in Rust."""
    if isinstance(error, Exception):
        return error
    told = RuntimeError(f"{type(error).__name__} was raised in a thread")
    told.__cause__ = error
    return told


class Chain:
    """Works of which so many run at once, and the others after them, in order.

    A thread that has ended one begins the next one itself: another would first have to wake, and
    then to get the interpreter's lock, for which the loop competes (0.4 ms where that is busy).
    """

    def __init__(self, home: Home, at_once: int) -> None:
        self._home, self._free = home, at_once
        self._next: deque[tuple[Callable[[], Any], Then]] = deque()
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], Any], then: Then) -> None:
        """Run *work* in a thread for models, and *then* on the loop thread. For that thread."""
        self._home.busy += 1
        with self._lock:
            if not self._free:
                self._next.append((work, then))
                return
            self._free -= 1
        self._home.models.submit(self._run, work, then)

    def _run(self, work: Callable[[], Any], then: Then) -> None:
        while True:
            self._home.run(work, then)
            with self._lock:
                if not self._next or self._home.closed:
                    self._free += 1
                    return
                work, then = self._next.popleft()
