"""Models are loaded, loaded again, labelled and unloaded in a busy server of two workers: nobody's
request fails, and what was done is counted whichever worker is asked."""

import json
import os
import pickle
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from inferd.server import control_socket
from inferd.server.control_socket import Answer, Listed, Outcome, Question, Reload, ask, find
from inferd.server.link import Label, Load, Unload
from tests.conftest import Models
from tests.e2e import serving
from tests.e2e.serving import Serving, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

Crowd = serving.Load


class Deadly:
    """Whoever unpickles it ends."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


class Server(Serving):
    """A server with two workers, which is asked as ``inferd models`` and ``inferd reload`` ask."""

    def change(self, question: Question) -> Answer:
        """Ask for something."""
        return ask(find(self.process.pid, os.environ), question)

    def make(self, question: Question) -> None:
        """Ask for something that can be done."""
        assert self.change(question) == Outcome(None)

    def get(self, path: str) -> httpx.Response:
        """Ask over a connection of its own, so of whichever worker."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=serving.PATIENCE)

    def ready(self, model: str) -> set[bool]:
        """What the workers say of it."""
        answers = [self.get(f"/v2/models/{model}/ready").status_code for _ in range(8)]
        return {status == 200 for status in answers}

    def count(self) -> int:
        """How many requests for iris it says that it answered."""
        (statistics,) = json.loads(self.get("/v2/models/iris/stats").content)["model_stats"]
        count: int = statistics["inference_stats"]["success"]["count"]
        return count

    def kill(self, worker: psutil.Process) -> None:
        """End one of them at once, and wait until another one is there."""
        worker.send_signal(signal.SIGKILL)
        until(lambda: worker.pid not in self.pids() and len(self.pids()) == 2, "it is replaced")


@pytest.fixture
def server(models: Models, tmp_path: Path) -> Iterator[Server]:
    """It serves iris."""
    started = Server(tmp_path, models.iris, "--port", 0, "--workers", 2)
    try:
        yield started
        started.signal(signal.SIGTERM)
        assert started.end(30) == 0
    finally:
        started.close()


def test_fifty_changes_under_load_fail_no_request(
    server: Server, models: Models, tmp_path: Path
) -> None:
    """A model is loaded again in its place, others come and go: each change is told when it holds
    in both workers, and whoever asks meanwhile is answered."""
    again = tmp_path / "again.onnx"
    shutil.copy(models.iris, again)
    paths = [str(models.iris), str(again)]
    with Crowd(server, 6) as crowd:
        for at in range(10):
            server.make(Load(paths[at % 2], "iris"))
            server.make(Load(str(models.species)))
            server.make(Label("species", "stable", "1"))
            assert server.ready("species") == {True}
            server.make(Unload("species"))
            assert server.ready("species") == {False}
            server.make(Load(paths[at % 2], "iris"))
    assert set(crowd.seen) == {"200"}
    assert server.count() == crowd.seen.total()
    listed = server.change(control_socket.List())
    assert isinstance(listed, Listed)
    assert [(m.model, m.path, m.requests) for m in listed.models] == [
        ("iris", paths[1], crowd.seen.total())
    ]


def test_changes_leave_no_memory_and_no_descriptors_behind(server: Server, models: Models) -> None:
    """What was unloaded is freed."""

    def change(times: int) -> None:
        for _ in range(times):
            server.make(Load(str(models.species)))
            server.make(Load(str(models.iris)))
            server.make(Unload("species"))

    def held() -> list[tuple[int, int]]:
        return [(each.memory_info().rss, each.num_fds()) for each in server.workers()]

    change(10)
    before = held()
    change(40)
    for (memory, files), (memory_before, files_before) in zip(held(), before, strict=True):
        assert memory - memory_before < 8 << 20
        assert files <= files_before + 4


def test_every_worker_tells_the_whole_servers_statistics(server: Server) -> None:
    """They are the number of requests that were sent, whoever is asked; they go on, never back,
    when a worker is killed and when all are replaced."""
    with Crowd(server, 4) as crowd:
        counts = [server.count() for _ in range(50)]
    assert counts == sorted(counts)
    sent = crowd.seen.total()
    assert {server.count() for _ in range(10)} == {sent}
    server.kill(server.workers()[0])
    assert {server.count() for _ in range(10)} == {sent}
    server.make(Reload())
    assert {server.count() for _ in range(10)} == {sent}


def test_statistics_never_go_back_under_a_load_that_loses_workers(server: Server) -> None:
    """Also while one is being killed: all that was ever told stays counted."""
    counts: list[int] = []

    def told() -> bool:
        try:
            counts.append(server.count())
        except httpx.TransportError:  # it was asked of the one that was killed
            return False
        return True

    with Crowd(server, 4):
        for worker in server.workers():
            counts += [server.count() for _ in range(20)]
            worker.send_signal(signal.SIGKILL)
            for _ in range(20):
                until(told, "it tells")
            until(lambda: len(server.pids()) == 2, "it is replaced")
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_a_worker_that_is_replaced_serves_what_was_changed(server: Server, models: Models) -> None:
    """A model that was loaded is there, one that was unloaded is not, and a label stands."""
    server.make(Load(str(models.species)))
    server.make(Label("species", "stable", "1"))
    server.make(Load(str(models.prices)))
    server.make(Unload("prices"))
    for worker in server.workers():
        server.kill(worker)
    assert server.ready("species") == {True}
    assert server.ready("prices") == {False}
    assert server.get("/v1/models/species/labels/stable").status_code == 200
    assert server.get("/v2/models/prices").status_code == 404


def test_a_model_that_cannot_be_loaded_is_served_by_none(server: Server, tmp_path: Path) -> None:
    """The reason is told, and the model of that name goes on."""
    broken = tmp_path / "iris.onnx"
    broken.write_bytes(b"no model")
    with Crowd(server, 4) as crowd:
        outcome = server.change(Load(str(broken)))
    assert isinstance(outcome, Outcome)
    assert outcome.failure is not None
    assert set(crowd.seen) == {"200"}


def test_a_model_that_ends_whoever_reads_it_ends_no_worker(models: Models, tmp_path: Path) -> None:
    """It is read by a process of its own first; how that ended is told."""
    deadly = tmp_path / "deadly.pkl"
    deadly.write_bytes(pickle.dumps(Deadly()))
    server = Server(tmp_path, models.iris, "--port", 0, "--workers", 2, "--trust-pickle")
    try:
        workers = server.pids()
        with Crowd(server, 4) as crowd:
            outcome = server.change(Load(str(deadly)))
        assert isinstance(outcome, Outcome)
        assert outcome.failure is not None
        assert "was killed by SIGABRT" in outcome.failure.message
        assert set(crowd.seen) == {"200"}
        assert server.pids() == workers
    finally:
        server.close()


@pytest.mark.parametrize("count", [4, 16, 64])
def test_connections_are_spread_evenly(server: Server, count: int) -> None:
    """Whichever worker the system brings them to, none has three more than the other, and each is
    answered on the connection that it made."""
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        assert [serving.answer(each) for each in connections] == [200] * count
        shares = [len(each.net_connections("tcp")) for each in server.workers()]
    assert max(shares) - min(shares) <= 2


def test_connections_that_were_given_to_a_stopped_worker_are_answered(server: Server) -> None:
    """It is replaced, and what waits in its inbox goes to another."""
    until(lambda: server.ask() == 200, "it answers")
    server.workers()[0].send_signal(signal.SIGSTOP)
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(32)]
        for each in connections:
            each.sendall(serving.REQUEST)
        assert [serving.status(each) for each in connections] == [200] * 32


def test_the_default_model_may_be_unloaded(models: Models, tmp_path: Path) -> None:
    """The setting that names it keeps no worker from being replaced, and no reload from being
    made."""
    options = ["--port", 0, "--workers", 2, "--default-model", "iris"]
    server = Server(tmp_path, models.iris, models.species, *options)
    try:
        server.make(Unload("iris"))
        for worker in server.workers():
            server.kill(worker)
        assert server.ready("species") == {True}
        server.make(Reload())
        server.make(Unload("species"))
        for worker in server.workers():
            server.kill(worker)
        server.make(Load(str(models.iris)))
        assert server.ready("iris") == {True}
        server.signal(signal.SIGTERM)
        assert server.end(30) == 0
    finally:
        server.close()


def test_a_path_that_cannot_be_looked_at_is_answered(server: Server, tmp_path: Path) -> None:
    """Whoever asks is told, and does not wait for ever."""
    outcome = server.change(Load(str(tmp_path / ("x" * 300))))
    assert isinstance(outcome, Outcome)
    assert outcome.failure is not None
    assert "File name too long" in outcome.failure.message
