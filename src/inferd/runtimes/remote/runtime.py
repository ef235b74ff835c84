"""The runtime around the processes of a model: a request takes a free one, says what is to be run
and waits for the answer."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from inferd.artifact import Artifact
from inferd.errors import RunFailed, UnknownFormat
from inferd.runtimes.base import Runner, Runtime, Wanted
from inferd.runtimes.remote.pool import Pool
from inferd.runtimes.remote.process import Process
from inferd.tensors import Array
from inferd.wire import frames
from inferd.wire.frames import Buffer, Frame
from inferd.wire.messages import Enough, Failed, More, Opened, Ran, Run, Stream, raised


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

    def __init__(self, pool: Pool, opened: Opened) -> None:
        self._pool, self._opened = pool, opened
        self._caller = Caller(pool)
        self.name, self.signature = opened.name, opened.signature
        self.streams, self.instances = opened.streams, pool.size

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
        pool = Pool(artifact, runtime_name, processes)
        return cls(pool, pool.start())

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        return self._caller.run(inputs, outputs)

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        return self._caller.stream(inputs, outputs)

    def while_wanted(self, wanted: Wanted) -> Runner:
        return Caller(self._pool, wanted) if self._opened.interruptible else self._caller

    def example(self) -> Mapping[str, Any]:
        return self._opened.example

    def feature_names(self) -> tuple[str, ...]:
        return self._opened.feature_names

    def classes(self) -> tuple[str, ...]:
        return self._opened.classes

    def close(self) -> None:
        self._pool.close()


class Caller:
    """Has the processes of a pool run calls; while those are *wanted*, where that may change."""

    def __init__(self, pool: Pool, wanted: Wanted | None = None) -> None:
        self._pool, self._wanted = pool, wanted

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """As the contract's."""
        process, answer = self._begin(frames.encode(Run(tuple(outputs)), inputs))
        self._pool.give_back(process)
        _check(answer)
        return answer.tensors

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        """As the contract's. The process makes a part when the one before was taken."""
        process, answer = self._begin(frames.encode(Stream(tuple(outputs)), inputs))
        try:
            while isinstance(answer.message, Ran):
                yield answer.tensors
                answer = self._ask(process, frames.encode(More()))
        except GeneratorExit:  # nobody reads on: the model is told, and cleans up
            answer = self._ask(process, frames.encode(Enough()))
        self._pool.give_back(process)
        _check(answer)

    def _begin(self, question: list[Buffer]) -> tuple[Process, Frame]:
        """Ask a free process, and another where that one ends before it has read the question."""
        for _ in range(self._pool.size):
            process = self._pool.take()
            with suppress(NotBegun):
                return process, self._ask(process, question)
        process = self._pool.take()
        return process, self._ask(process, question)

    def _ask(self, process: Process, question: list[Buffer]) -> Frame:
        """The answer of *process*, which is of no more use where this raises."""
        try:
            return process.ask(question, self._wanted)
        except OSError as error:
            process.discard()
            # On Linux a Unix socket ends with a reset where the other side left something unread.
            unread = isinstance(error, BrokenPipeError | ConnectionResetError)
            raise (NotBegun if unread else RunFailed)(
                "the model's process ended while it had this request",
                cure="Send it again; if that fails, too, the server's log may say why.",
            ) from None
        except BaseException:
            process.discard()  # the answer is still on the line
            raise


class NotBegun(RunFailed):
    """The process ended before it had read the whole question."""


def _check(answer: Frame) -> None:
    """Raise what the model did, if it did."""
    if isinstance(answer.message, Failed):
        raise raised(answer.message)
