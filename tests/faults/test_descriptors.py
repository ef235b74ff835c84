"""A server that runs out of descriptors: it keeps its clients, does not spin, and recovers."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROW, Models
from tests.e2e.serving import until
from tests.lanes.client import Client, predict

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits from outside"),
]

ROOM, CROWD = 10, 60  # descriptors that are left, and clients that want one
REST = 1.5  # seconds over which nobody does anything


class Serving:
    """A server in processes of its own."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.url, self._process = url, psutil.Process(process.pid)

    def processes(self) -> list[psutil.Process]:
        """All of them."""
        return [self._process, *self._process.children(recursive=True)]

    def narrow(self) -> None:
        """Leave each process few descriptors more than it has."""
        for each in self.processes():
            most = each.num_fds() + ROOM
            resource.prlimit(each.pid, resource.RLIMIT_NOFILE, (most, most))

    def cpu_seconds(self) -> float:
        """That it has used."""
        times = [each.cpu_times() for each in self.processes()]
        return float(sum(each.user + each.system for each in times))


@pytest.fixture
def serving(models: Models, tmp_path: Path) -> Iterator[Serving]:
    """One worker that would take any number of connections."""
    command = [sys.executable, "-m", "inferd", "serve", str(models.iris), "--port", "0"]
    options = ["--workers", "1", "--max-connections", "100000"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, cwd=tmp_path, text=True
    ) as process:
        assert process.stdout
        try:
            yield Serving(process, process.stdout.readline().split()[5])
        finally:
            process.terminate()
            process.wait(20)


def test_accepting_is_not_spun(serving: Serving) -> None:
    """While more clients wait than there are descriptors, those that are connected are served, the
    server rests, and whoever comes later is served once some have gone."""
    with Client(serving.url) as client:
        assert client.send(predict(ROW)).answer().status == 200
        serving.narrow()
        crowd = [Client(serving.url) for _ in range(CROWD)]
        assert client.send(predict(ROW)).answer().status == 200
        before, begun = serving.cpu_seconds(), time.monotonic()
        until(lambda: time.monotonic() - begun > REST, "the time is over")
        assert serving.cpu_seconds() - before < REST / 3
        assert client.send(predict(ROW)).answer().status == 200
        for each in crowd:
            each.close()
        until(lambda: _is_served(serving.url), "a client is served again")


def _is_served(url: str) -> bool:
    try:
        with Client(url) as client:
            return client.send(predict(ROW)).answer().status == 200
    except (EOFError, OSError):
        return False
