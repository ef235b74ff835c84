"""A model's own process: `python -m inferd.server.host FD` opens one artifact and runs it, as it is
told over the socket that it inherited as file descriptor FD.

It ends when that socket does, which is when the server lets go of the model, or is gone itself.
"""

import atexit
import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TypeVar

from inferd import plugins
from inferd.children import end_with_parent
from inferd.errors import BadArtifact, Cancelled, InferdError, RunFailed
from inferd.runtimes.base import Runtime
from inferd.tensors import Array
from inferd.wire import frames
from inferd.wire.channel import Channel
from inferd.wire.frames import Broken, Buffer, Frame
from inferd.wire.messages import Ended, Enough, More, Open, Opened, Ran, Run, Stream, failed

T = TypeVar("T")


def main() -> None:
    """The program."""
    line = socket.socket(fileno=int(sys.argv[1]))
    settle()
    set_apart(line)
    channel = Channel(line)
    try:
        serve(channel)
    except ConnectionError:
        leave()
    finally:
        channel.close()


def settle() -> None:
    """Leave it to the server when this process ends."""
    # A terminal's Ctrl-C, and a service manager's stop, reach every process at once; the server
    # still has requests to answer then.
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not SIG_IGN, which programs that a model starts would inherit: nobody could end them.
        signal.signal(number, lambda *_: None)
    # A model that is computing, or hangs, does not read its socket. The thread that started this
    # process has to stay.
    end_with_parent(signal.SIGKILL)
    faulthandler.enable()  # a crash in a library's own code says where


def set_apart(line: socket.socket) -> None:
    """Have the processes that a model starts be ordinary ones: they neither keep *line* open nor
    answer on it, and end as others do."""

    def forked() -> None:
        line.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    line.set_inheritable(False)
    os.register_at_fork(after_in_child=forked)


def leave() -> NoReturn:
    """End now: the server waits for it, and taking down all modules of a large library takes up to
    a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(0)


def serve(channel: Channel) -> None:
    """Open what is asked for and run it as often as is asked. Raises ConnectionError at the end."""
    model, answer = opened(channel.receive())
    channel.send(answer)
    if model is None:
        return
    try:
        while True:
            channel.send(model.answer(channel.receive()))
    finally:
        model.close()


class Interrupted(BaseException):
    """Nobody waits for the answer any more. Raised at whatever line the model is."""


class Model:
    """An opened runtime: each question is given one answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._parts: Iterator[dict[str, Array]] | None = None
        self._computing = False
        if runtime.interruptible:
            # The server asks nothing else before it has the answer to what it interrupts, so that
            # the signal cannot come so late that it would hit another call.
            signal.signal(signal.SIGUSR1, self._interrupt)

    def answer(self, frame: Frame) -> list[Buffer]:
        """What is answered to *frame*. Raises Broken where that asks for nothing."""
        try:
            return self._answer(frame)
        except Broken:
            raise
        except Interrupted:
            return self._failed(Cancelled("the caller went away"))
        except MemoryError:
            return self._failed(
                RunFailed("the model ran out of memory", cure="Send fewer rows at once.")
            )
        except Exception as error:  # noqa: BLE001 - a model may raise anything; the server is told
            return self._failed(error)

    def close(self) -> None:
        """Let the runtime go."""
        self._runtime.close()

    def _failed(self, error: Exception) -> list[Buffer]:
        self._parts = None
        return frames.encode(failed(error))

    def _answer(self, frame: Frame) -> list[Buffer]:
        match frame.message:
            case Run(outputs):
                run = partial(self._runtime.run, frame.tensors, outputs)
                return frames.encode(Ran(), self._computed(run))
            case Stream(outputs):
                self._parts = self._runtime.stream(frame.tensors, outputs)
                return self._part(self._parts)
            case More() if self._parts is not None:
                return self._part(self._parts)
            case Enough() if self._parts is not None:
                return self._end(self._parts)
        raise Broken("an artifact is opened once, and then run")

    def _part(self, parts: Iterator[dict[str, Array]]) -> list[Buffer]:
        part = self._computed(lambda: next(parts, None))
        return self._end(parts) if part is None else frames.encode(Ran(), part)

    def _end(self, parts: Any) -> list[Buffer]:
        """Have a generator clean up; other iterators have nothing to close."""
        self._parts = None
        close = getattr(parts, "close", None)
        if close is not None:
            close()
        return frames.encode(Ended())

    def _computed(self, work: Callable[[], T]) -> T:
        """What *work* gives. Only while it runs may it be interrupted."""
        self._computing = True
        try:
            return work()
        finally:
            self._computing = False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._computing:
            self._computing = False  # not again: what the model cleans up is left alone
            raise Interrupted


def opened(frame: Frame) -> tuple[Model | None, list[Buffer]]:
    """The model that *frame* asks for, and what is answered; None where it cannot be opened."""
    order = frame.message
    if not isinstance(order, Open):
        raise Broken("the first frame opens an artifact")
    try:
        runtime: Runtime = plugins.load("runtimes", order.runtime).open(order.artifact)
        return Model(runtime), frames.encode(described(runtime))
    except InferdError as error:
        return None, frames.encode(failed(error))
    except Exception as error:  # noqa: BLE001 - loading runs code of the artifact's libraries
        text = f"{order.artifact.path} cannot be loaded: {type(error).__name__}: {error}"
        return None, frames.encode(failed(BadArtifact(text)))


def described(runtime: Runtime) -> Opened:
    """What the server has to know of *runtime*."""
    return Opened(
        runtime.name,
        runtime.signature,
        dict(runtime.example()),
        runtime.feature_names(),
        runtime.classes(),
        runtime.streams,
        runtime.interruptible,
    )


if __name__ == "__main__":
    main()
