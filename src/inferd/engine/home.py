"""The loop thread, and the threads beside it that run slow models and large codecs."""

import asyncio
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
        pool.submit(self._run, work, then)

    def close(self) -> None:
        """Take no more work. Threads that are busy end with what they do."""
        self.models.shutdown(wait=False, cancel_futures=True)
        self.codecs.shutdown(wait=False, cancel_futures=True)

    def _run(self, work: Callable[[], Any], then: Then) -> None:
        try:
            done = Done(work())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - told to the caller, on the loop
            done = Done(None, error)
        self.post(self._finish, then, done)

    def _finish(self, then: Then, done: Done[Any]) -> None:
        self.busy -= 1
        then(done)
