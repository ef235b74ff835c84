"""Runtimes, clocks and replies that do as a test says, for what stands below the lanes."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from inferd.artifact import Artifact
from inferd.calls import InferRequest, Response
from inferd.engine.cost import UNKNOWN, Cost
from inferd.engine.execution import Execution
from inferd.engine.home import Home
from inferd.errors import InferdError
from inferd.journal import record
from inferd.models.manager import Version
from inferd.models.state import State
from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec
from inferd.spec import Batching, ModelSpec
from inferd.tensors import Array

R = TypeVar("R", bound=Runtime)

DOUBLING = Signature(
    (TensorSpec("X", "FP32", (-1, 2)),), (TensorSpec("Y", "FP32", (-1, 2)),), batch_axis=0
)


class ToyRuntime(Runtime):
    """Doubles its input; remembers every call, and fails on a negative number."""

    name = "toy"

    def __init__(self, signature: Signature = DOUBLING) -> None:
        self.signature = signature
        self.calls: list[Array] = []
        self.seen_in: set[int] = set()
        """The threads that ran it."""
        self.may_run = threading.Event()
        self.may_run.set()
        self.closed = 0

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".toy"

    @classmethod
    def open(cls, artifact: Artifact) -> "ToyRuntime":
        return cls()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        self.seen_in.add(threading.get_ident())
        assert self.may_run.wait(10)
        values = inputs["X"]
        self.calls.append(values)
        if (values < 0).any():
            raise ValueError("a secret of the model")
        return dict.fromkeys(outputs, values * 2)

    def close(self) -> None:
        self.closed += 1


class SerialRuntime(ToyRuntime):
    """The same, for one call at a time."""

    parallel = False


class StreamingRuntime(ToyRuntime):
    """Answers in as many parts as the input's first number says."""

    streams = True

    def __init__(self, signature: Signature = DOUBLING) -> None:
        super().__init__(signature)
        self.made = 0
        self.ended = threading.Event()

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        self.seen_in.add(threading.get_ident())
        count = int(inputs["X"][:1, :1].sum())
        try:
            for at in range(abs(count)):
                self.made += 1
                yield dict.fromkeys(outputs, inputs["X"] + np.float32(at))
            if count < 0:
                raise ValueError("a secret of the model")
        finally:
            self.ended.set()


class CountingReply:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.cancelled = False
        self.writable = True
        self.responses: list[Any] = []
        self.ends = 0
        self.errors: list[InferdError] = []

    @property
    def parts(self) -> int:
        return len(self.responses)

    @property
    def failures(self) -> int:
        return len(self.errors)

    @property
    def answered(self) -> bool:
        return bool(self.ends + self.failures)

    def on_writable(self, callback: Callable[[], None]) -> None:
        callback()

    def part(self, response: Response) -> None:
        self.responses.append(response)

    def end(self) -> None:
        self.ends += 1

    def fail(self, error: InferdError) -> None:
        self.errors.append(error)


class FakeClock:
    """Nanoseconds, which pass when a test says so."""

    def __init__(self, now: int = 0, step: int = 0) -> None:
        self.now, self.step = now, step

    def __call__(self) -> int:
        self.now += self.step
        return self.now


class Engine(Generic[R]):
    """A runtime with all that a scheduler needs, on a running loop."""

    def __init__(
        self,
        runtime: R,
        *,
        cost: Cost = UNKNOWN,
        clock: Callable[[], int] = FakeClock(),  # noqa: B008 - stands still
        threads: int = 2,
    ) -> None:
        self.runtime = runtime
        self.home = Home(threads)
        self.home.attach(asyncio.get_running_loop())
        self.execution = Execution(runtime, cost, 200.0, self.home, record.off, clock)
        self.version = version_of(runtime)

    def ask(self, *rows: Sequence[float], deadline: float = float("inf")) -> InferRequest:
        """A request of *rows*, its handle acquired."""
        values = np.array(rows, np.float32).reshape(-1, 2)
        self.version.acquire()
        names = self.runtime.signature.output_names
        return InferRequest(self.version, {"X": values}, names, len(values), {}, deadline=deadline)


def version_of(runtime: Runtime, name: str = "toy", number: str = "1") -> Version:
    """A version that is ready with *runtime*, and no scheduler."""
    version = Version(ModelSpec(name, number, Artifact(Path("x.toy")), Batching()))
    version.fill(runtime, _unanswered, {"X": np.zeros((1, 2), np.float32)})
    version.move(State.LOADING)
    version.move(State.READY)
    return version


def _unanswered(request: InferRequest, reply: Any) -> None:
    raise AssertionError("nobody should have asked")


async def until(true: Callable[[], object], seconds: float = 5.0) -> None:
    """Let the loop turn until *true*; fails after *seconds*."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not true():
        assert loop.time() < deadline, "it did not become true in time"
        await asyncio.sleep(0.001)  # a busy loop would keep the threads from running


def values_of(reply: CountingReply, name: str = "Y") -> list[Any]:
    """The values of a reply's only part."""
    (response,) = reply.responses
    values: list[Any] = response.outputs[name].tolist()
    return values
