"""A model that computes with several threads, by a clock of the test's own."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from inferd.tensors import Array
from tests.unit.toys import ToyRuntime


class Clock:
    """Adds up what all calls take, shared out over the cores that work at once."""

    def __init__(self, cores: float) -> None:
        self.now, self.cores, self.lock = 0.0, cores, threading.Lock()

    def spend(self, us: float) -> None:
        with self.lock:
            self.now += us * 1000 / self.cores

    def __call__(self) -> int:
        return int(self.now)


class Threaded(ToyRuntime):
    """A call takes a millisecond, divided by its threads as far as so many are useful.

    ``opened`` is shared by all that were opened of one model; with a ``drift`` each number of
    threads gives other answers.
    """

    def __init__(self, clock: Clock, useful: int, threads: int = 1, drift: float = 0) -> None:
        super().__init__()
        self.clock, self.useful, self.threads, self.drift = clock, useful, threads, drift
        self.opened: list[Threaded] = [self]

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        self.clock.spend(1000 / min(self.threads, self.useful))
        return dict.fromkeys(outputs, inputs["X"] * 2 + np.float32(self.drift * self.threads))

    def with_threads(self, threads: int) -> "Threaded | None":
        made = type(self)(self.clock, self.useful, threads, self.drift)
        made.opened = self.opened
        self.opened.append(made)
        return made
