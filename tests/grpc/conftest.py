"""The interop service, served by inferd and by grpcio, and channels to both."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from tests.grpc.asking import Stub, channel_to
from tests.grpc.grpcio_server import GrpcioServer
from tests.grpc.interop_service import InteropServer

Until = Callable[[Callable[[], Any]], None]


@pytest.fixture(scope="session")
def interop() -> Iterator[InteropServer]:
    """The service on inferd's own lane."""
    server = InteropServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def reference() -> Iterator[GrpcioServer]:
    """The service on grpcio's server."""
    server = GrpcioServer()
    yield server
    server.close()


@pytest.fixture
def channel(interop: InteropServer) -> Iterator[grpc.Channel]:
    """A connection to the interop service."""
    with channel_to(interop.address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    """The interop service, as its clients call it."""
    return Stub(channel)


@pytest.fixture
def until() -> Until:
    """Wait until something is true; fail after ten seconds."""

    def wait(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it never became true"
            time.sleep(0.01)

    return wait
