"""Priority and timeout as Triton's own clients send them, over REST and gRPC, to a busy server."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

import inferd
from inferd.server.embedded import Server
from tests.conftest import Models

BUSY = 60_000  # turns: a third of a second of one core
LIMIT = 10.0


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[Server]:
    """A slow model, with three levels of priority."""
    with inferd.serve(models.spin, inline_limit_microseconds=0, priority_levels=3) as running:
        yield running


Ask = Callable[..., Any]


@pytest.fixture(params=["http", "grpc"])
def ask(request: pytest.FixtureRequest, served: Server) -> Ask:
    """Asks the model to turn so often, by either client, on a connection of its own."""
    module: Any = {"http": triton_http, "grpc": triton_grpc}[request.param]
    address = served.url.removeprefix("http://")

    def infer(turns: int, **more: Any) -> float:
        given = module.InferInput("turns", [1], "INT64")
        given.set_data_from_numpy(np.array([turns], np.int64))
        with module.InferenceServerClient(address) as client:
            client.infer("spin", [given], **more)
        return time.monotonic()

    return infer


def queue_of(served: Server) -> Any:
    """What waits and runs, now."""
    scheduler: Any = served._worker.manager.lookup("spin").infer
    return scheduler.__self__.statistics()


def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* is true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.002)


@pytest.fixture
def busy(served: Server, ask: Ask) -> Iterator[ThreadPoolExecutor]:
    """Threads to ask in, while every instance of the model has something to do."""
    with ThreadPoolExecutor(16) as pool:
        until(lambda: queue_of(served).running == 0)
        instances = served._worker.manager.lookup("spin").instances
        calls = [pool.submit(ask, BUSY) for _ in range(instances)]
        until(lambda: queue_of(served).running == instances)
        yield pool
        for call in calls:
            call.result()


def test_a_higher_level_is_answered_first(
    served: Server, ask: Ask, busy: ThreadPoolExecutor
) -> None:
    """Whoever names none has the middle level."""
    instances = served._worker.manager.lookup("spin").instances
    asked: dict[int, list[Future[float]]] = {3: [], 0: [], 1: []}
    for priority, calls in asked.items():
        for _ in range(instances):
            calls.append(busy.submit(ask, BUSY // 10, priority=priority))
    until(lambda: queue_of(served).waiting_requests == 3 * instances)
    low, middle, high = [[call.result() for call in calls] for calls in asked.values()]
    assert max(high) < min(low)
    assert max(high) < max(middle) < max(low)


def test_a_timeout_is_kept_though_the_model_is_busy(
    served: Server, ask: Ask, busy: ThreadPoolExecutor
) -> None:
    """The caller is told in Triton's words, long before the model is free."""
    started = time.monotonic()
    with pytest.raises(InferenceServerException, match="Request timeout expired"):
        ask(1, timeout=50_000)
    assert 0.04 < time.monotonic() - started < 0.5
    assert queue_of(served).running > 0
