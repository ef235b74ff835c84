"""What a server under siege must keep: quick answers to a health probe, its memory, its files."""

import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from fuzz.answers import read_answer
from fuzz.target import Target

PROBE_SECONDS = 0.1
SAMPLE_SECONDS = 1.0
PROBE = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
PROBE_LIMIT = 5.0  # seconds until a probe is lost

QUICK = 0.75
"""Seconds that 99 of 100 probes may take: on few cores most of it is waiting for one that the
siege, or others, keep busy."""
SLOWEST = 3.0
"""Seconds that any may."""
WARM_UP = 1 / 3
"""The part of the samples that is dropped: buffers and pools grow until they are as large as they
will be."""
GROWTH_BYTES = 8 << 20
GROWTH_SHARE = 0.05
"""A run's growth is a leak where it is more than both."""
ENOUGH = 10  # samples to tell a trend by
MOST = 1500  # samples whose pairs are still few enough


class Sample(NamedTuple):
    """The server at one moment."""

    seconds: float
    memory: int
    descriptors: int


class Trend(NamedTuple):
    """What the memory did after the warm-up."""

    growth: float
    """Bytes, over the time that was looked at."""
    middle: float
    seconds: float

    @property
    def leaks(self) -> bool:
        """Whether that is more than noise."""
        return self.growth > max(GROWTH_BYTES, GROWTH_SHARE * self.middle)


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The median slope of all pairs of points (Theil and Sen): a few peaks do not tilt it."""
    x, y = np.asarray(times, float), np.asarray(values, float)
    first, second = np.triu_indices(len(x), 1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def trend(samples: Sequence[Sample]) -> Trend | None:
    """None where there are too few."""
    late = samples[int(len(samples) * WARM_UP) :]
    late = late[:: len(late) // MOST + 1]
    if len(late) < ENOUGH:
        return None
    lasted = late[-1].seconds - late[0].seconds
    memory = [each.memory for each in late]
    rate = slope([each.seconds for each in late], memory)
    return Trend(rate * lasted, float(np.median(memory)), lasted)


class Watch:
    """Probes and samples in threads of its own until it is left."""

    def __init__(self, target: Target, port: int) -> None:
        self._target, self._port = target, port
        self._begun = time.monotonic()
        self._left = threading.Event()
        self.samples: list[Sample] = []
        self.probes: list[float] = []
        """Seconds until each was answered."""
        self.lost: list[str] = []
        """Probes without the answer that they must have."""
        self._threads = [
            threading.Thread(target=self._every, args=each, daemon=True)
            for each in ((PROBE_SECONDS, self._probe), (SAMPLE_SECONDS, self._sample))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        for thread in self._threads:
            thread.join()

    def slowness(self) -> tuple[float, float]:
        """The 99th percentile of the probes, and the slowest."""
        probes = self.probes[:] or [0.0]
        return float(np.percentile(probes, 99)), max(probes)

    def _every(self, seconds: float, act: Any) -> None:
        while not self._left.wait(seconds):
            act()

    def _sample(self) -> None:
        if self._target.is_alive():
            now = time.monotonic() - self._begun
            self.samples.append(Sample(now, self._target.memory(), self._target.descriptors()))

    def _probe(self) -> None:
        begun = time.monotonic()
        try:
            ask_health(self._port)
        except (OSError, ValueError) as error:
            self.lost.append(f"{error!r} after {time.monotonic() - begun:.1f} s")
        else:
            self.probes.append(time.monotonic() - begun)


def ask_health(port: int) -> None:
    """One probe, on a connection of its own. Raises OSError, or ValueError for a wrong answer."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), PROBE_LIMIT) as connection:
        connection.sendall(PROBE)
        while (cut := read_answer(data, 0, "GET", ended=False)) is None:
            chunk = connection.recv(65536)
            if not chunk:
                raise ConnectionResetError("closed before its answer")
            data += chunk
    if cut.answer.status != 200:
        raise ValueError(f"answered {cut.answer.status}")
