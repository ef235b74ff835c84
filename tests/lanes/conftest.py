"""Servers with the settings that the lane's tests need, and clients that are closed afterwards."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import inferd
from inferd.server.embedded import Server
from tests.conftest import Models
from tests.lanes.client import Client
from tests.lanes.http2_client import Raw, Speaker
from tests.lanes.scripted_rpc import RpcService

Connect = Callable[..., Client]
Open = Callable[..., Speaker]
OpenRaw = Callable[..., Raw]
Until = Callable[[Callable[[], Any]], None]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open connections to a URL."""
    clients: list[Client] = []

    def open_one(url: str, **options: Any) -> Client:
        clients.append(Client(url, **options))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


@pytest.fixture
def rpc() -> Iterator[RpcService]:
    """The scripted dialect."""
    running = RpcService()
    yield running
    running.close()


@pytest.fixture
def speak() -> Iterator[Open]:
    """Clients by the rules."""
    opened: list[Speaker] = []

    def open_one(url: str, **options: Any) -> Speaker:
        opened.append(Speaker(url, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def raw() -> Iterator[OpenRaw]:
    """Clients of literal bytes."""
    opened: list[Raw] = []

    def open_one(url: str, **options: Any) -> Raw:
        opened.append(Raw(url, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def threaded(models: Models) -> Iterator[Server]:
    """A server that runs every model in a thread, so that a slow one keeps nobody waiting."""
    paths = (models.iris, models.spin, models.zeros)
    with inferd.serve(*paths, default_model="iris", inline_limit_microseconds=0) as running:
        yield running


@pytest.fixture(scope="session")
def strict(models: Models) -> Iterator[Server]:
    """A server with little patience and small limits."""
    paths = (models.iris, models.spin, models.zeros)
    limits: dict[str, Any] = {
        "max_body_bytes": 10_000,
        "keep_alive_seconds": 1,
        "read_timeout_seconds": 1,
    }
    with inferd.serve(
        *paths, default_model="iris", inline_limit_microseconds=0, **limits
    ) as running:
        yield running


@pytest.fixture
def until() -> Until:
    """Wait until something is true; fail after ten seconds."""

    def wait(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it never became true"
            time.sleep(0.01)

    return wait
