"""Workers are killed, stopped, replaced and told to end under the load of real clients: over one
connection that is kept, pipelined, and by gRPC."""

# ruff: noqa: T201 - prints what was measured: pytest -s shows it
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from soak.clients import Client, Grpc, Pipelined, Rest
from soak.models import Models, write_all
from soak.plan import BROKEN, Event, Failure, Kind, explained
from soak.server import Server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

LOAD = (Rest, Rest, Rest, Pipelined, Pipelined, Grpc, Grpc, Grpc)
REPLACED_SECONDS = 1.0
RELOADS = 10
GONE = ("ConnectionRefusedError", "failed to connect", "Connection refused")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The models, and what they answer."""
    return write_all(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def server(trained: Models, tmp_path: Path) -> Iterator[Server]:
    """Two workers with a model that is answered on the loop."""
    server = Server([trained.forest.path], tmp_path / "server.log", 2)
    yield server
    if server.is_alive:
        assert server.stop() == 0


@pytest.fixture
def load(server: Server, trained: Models) -> Iterator[list[Client]]:
    """Clients that ask all the time, and have been answered by now."""
    clients: list[Client] = [kind(server.port, trained, time.monotonic) for kind in LOAD]
    for client in clients:
        client.start()
    until(lambda: all(client.answered for client in clients))
    yield clients
    end(clients)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_only_what_a_lost_worker_had_begun_fails_and_it_is_replaced_within_a_second(
    server: Server, load: list[Client], number: signal.Signals
) -> None:
    """No client loses more than what was under way, and another process answers at once."""
    lost, *others = server.workers()
    before = {each.pid for each in server.workers()}
    lost.send_signal(number)
    killed = time.monotonic()
    until(lambda: len({each.pid for each in living(server)} - before) == 1 and not is_there(lost))
    took = time.monotonic() - killed
    answered = [client.answered for client in load]
    until(lambda: all(c.answered > a for c, a in zip(load, answered, strict=True)))
    end(load)
    failures = [failure for client in load for failure in client.failures]
    print(f"\n{number.name}: replaced in {took:.2f} s, {len(failures)} clients lost a request")
    assert all(each.is_running() for each in others)
    assert took < REPLACED_SECONDS
    assert all(len(client.failures) <= 1 for client in load), failures
    assert all(is_fault_of(failure, killed) for failure in failures), failures


def test_reloads_under_load_fail_no_request(server: Server, load: list[Client]) -> None:
    """New workers take over again and again, and no client notices."""
    for _ in range(RELOADS):
        before = {each.pid for each in server.workers()}
        os.kill(server.supervisor.pid, signal.SIGHUP)
        until(lambda before=before: not before & {each.pid for each in living(server)})  # type: ignore[misc]  # mypy infers no type for its default
    end(load)
    assert [failure for client in load for failure in client.failures] == []


def test_a_stop_under_load_fails_no_request(server: Server, load: list[Client]) -> None:
    """What was asked is answered; who comes later finds nobody, and loses nothing."""
    assert server.stop() == 0
    until(lambda: all(client.failures for client in load))
    end(load)
    failures = [failure for client in load for failure in client.failures]
    lost = [each for each in failures if not any(word in each.text for word in GONE)]
    assert lost == []


def living(server: Server) -> list[psutil.Process]:
    """The workers that have not ended."""
    return [each for each in server.workers() if is_there(each)]


def is_there(process: psutil.Process) -> bool:
    """Whether it runs: one that ended is listed until its parent has seen it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_fault_of(failure: Failure, killed: float) -> bool:
    """Whether a request failed because of the worker that was lost at that moment."""
    event = Event(killed, Kind.KILL_WORKER)
    return failure.kind == BROKEN and explained(failure, [event]) is not None


def end(clients: list[Client]) -> None:
    """Let them ask no more."""
    for client in clients:
        client.over.set()
    for client in clients:
        if client.is_alive():
            client.join()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for *condition*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)
