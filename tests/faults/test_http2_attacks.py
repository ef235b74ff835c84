"""One client attacks a server by HTTP/2; another one is answered as if nothing were the matter."""

# ruff: noqa: T201 - prints what was measured: pytest -s shows it
import multiprocessing
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from fuzz import http2
from fuzz.http2 import START, Reader, frame, grpc_fields, head, number
from tests.conftest import Models
from tests.faults.http2_attackers import (
    ATTACKS,
    CROWD,
    INFER,
    MOST_BYTES,
    PATIENCE,
    SECONDS,
    besiege,
    iris,
    prepare,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

HONEST_CROWD = -1
GROWTH = 64 << 20  # bytes that a server may take more than before
READ_TIMEOUT = KEEP_ALIVE = 1


class Target(NamedTuple):
    """A server with one worker."""

    port: int
    processes: list[psutil.Process]

    def memory(self) -> int:
        """Bytes that it holds."""
        return sum(int(each.memory_info().rss) for each in self.processes)


@pytest.fixture(scope="module")
def target(models: Models) -> Iterator[Target]:
    """A server with little patience."""
    limits = {
        "read-timeout-seconds": READ_TIMEOUT,
        "keep-alive-seconds": KEEP_ALIVE,
        "max-body-bytes": MOST_BYTES,
        "port": 0,
        "workers": 1,
    }
    words = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "inferd", "serve", str(models.iris), str(models.zeros)]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline().partition("127.0.0.1:")[2].split()[0])
        supervisor = psutil.Process(process.pid)
        target = Target(port, [supervisor, *supervisor.children()])
        Honest(target).measure(0.5)  # its first answers take longer
        alone = np.percentile(Honest(target).measure(0.5), 99)
        print(f"\n{'attack':<22}{'p99':>9}{'slowest':>10}{'memory':>10}  ended by")
        print(f"{'nobody':<22}{alone * 1e3:>6.1f} ms")
        yield target
        process.terminate()
        assert process.wait(30) == 0


class Honest:
    """A client with one connection, which asks and waits for its answer."""

    def __init__(self, target: Target) -> None:
        self._socket = socket.create_connection(("127.0.0.1", target.port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(START)
        self._reader, self._stream, self._iris = Reader(), -1, iris()
        self._target = target
        self.peak = target.memory()
        """Bytes that the server held at most while it was asked."""

    def ask(self) -> float:
        """Seconds until the answer, which must be right."""
        self._stream += 2
        data = head(self._stream, grpc_fields(INFER)) + http2.body(self._stream, self._iris)
        started = time.perf_counter()
        self._socket.sendall(data)
        answers = self._reader.answers
        while self._stream not in answers or not answers[self._stream].is_over:
            chunk = self._socket.recv(65536)
            assert chunk, "an honest client was sent away"
            self._reader.feed(chunk)
        took = time.perf_counter() - started
        answer = answers.pop(self._stream)
        assert answer.grpc == 0, answer.trailers
        return took

    def measure(self, seconds: float, going: Callable[[], bool] = lambda: False) -> list[float]:
        """Ask for *seconds*, and as long as something is *going* on."""
        took, end = [], time.monotonic() + seconds
        increment = frame(http2.WINDOW_UPDATE, payload=number(1 << 20))
        while time.monotonic() < end or going():
            took.append(self.ask())
            if len(took) % 20 == 0:
                self._socket.sendall(increment)
                self.peak = max(self.peak, self._target.memory())
            time.sleep(0.002)  # a client's own time between two questions
        self._socket.close()
        return took


@pytest.fixture(scope="module")
def attackers() -> Iterator[ProcessPoolExecutor]:
    """Who attacks."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        yield process


class Siege(NamedTuple):
    """What came of one, for those who have no part in it and for those who have."""

    p99: float
    """Seconds within which 99 in 100 answers to others came."""
    slowest: float
    grown: int
    """Bytes that the server took more than before."""
    ends: Counter[object]


def besieged(target: Target, attackers: ProcessPoolExecutor, at: int) -> Siege:
    """Have *target* besieged in the manner number *at*, and ask it meanwhile."""
    before, honest = target.memory(), Honest(target)
    future = attackers.submit(besiege, target.port, at)
    took = honest.measure(SECONDS, future.running)
    ends, peak = future.result(), max(honest.peak, target.memory())
    return Siege(float(np.percentile(took, 99)), max(took), peak - before, ends)


@pytest.fixture(scope="module")
def calm(target: Target, attackers: ProcessPoolExecutor) -> float:
    """Seconds within which 99 in 100 answers come while as many clients as attack, honest ones,
    keep the server busy."""
    attackers.submit(prepare, HONEST_CROWD).result()
    sieges = [besieged(target, attackers, HONEST_CROWD) for _ in range(3)]
    for each in sieges:
        _tell(CROWD.name, each)
        assert set(each.ends) <= CROWD.ends
    return float(np.median([each.p99 for each in sieges]))


@pytest.mark.parametrize(
    "at", range(len(ATTACKS)), ids=[each.name.replace(" ", "-") for each in ATTACKS]
)
def test_an_attacker_is_sent_away_and_nobody_else_waits_longer_than_for_honest_clients(
    target: Target, attackers: ProcessPoolExecutor, calm: float, at: int
) -> None:
    """Others are answered in time, the server's memory stays bounded, and the attack ends."""
    each = ATTACKS[at]
    attackers.submit(prepare, at).result()
    for _ in range(2):  # once more where the machine had something else to do
        siege = besieged(target, attackers, at)
        _tell(each.name, siege)
        assert set(siege.ends) <= each.ends
        assert siege.grown < GROWTH
        if siege.p99 < 2 * calm:
            return
    pytest.fail("others had to wait")


def _tell(name: str, siege: Siege) -> None:
    ends = ", ".join(f"{_shown(end)} x {count}" for end, count in siege.ends.most_common(4))
    print(
        f"{name:<22}{siege.p99 * 1e3:>6.1f} ms{siege.slowest * 1e3:>7.1f} ms"
        f"{siege.grown / 2**20:>6.1f} MiB  {ends}"
    )


def _shown(end: object) -> str:
    if isinstance(end, tuple):
        return f"{end[0]} {end[1]}"
    return f"GOAWAY {end}" if isinstance(end, int) else "closed"
