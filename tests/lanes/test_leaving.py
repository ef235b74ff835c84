"""Clients that go, stop sending, or do not read."""

import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest

import inferd
from inferd.engine.schedulers.base import Scheduler
from inferd.server.embedded import Server
from tests.conftest import ROW, Models
from tests.lanes.client import Client, document, predict, request
from tests.lanes.conftest import Connect, Until

MIB = 1 << 20
AGES = [200_000]  # turns of the spinning model: a second or more


def zeros(count: int) -> bytes:
    """A request for an answer of *count* values."""
    tensor = f'{{"name":"count","shape":[1],"datatype":"INT64","data":[{count}]}}'
    return request("POST", "/v2/models/zeros/infer", f'{{"inputs":[{tensor}]}}'.encode())


@pytest.mark.parametrize(
    "data",
    [predict(ROW), predict([8000], "spin"), request("GET", "/openapi.json")],
    ids=["quick", "slow", "app"],
)
def test_9_6_a_half_closed_client_is_answered(
    threaded: Server, connect: Connect, data: bytes
) -> None:
    """A client that sends no more still reads its answers, and then the end."""
    client = connect(threaded.url).send(data * 3).finish_sending()
    assert [_final(client) for _ in range(3)] == [200] * 3
    assert client.is_closed()


def test_9_6_a_half_closed_client_with_half_a_request(threaded: Server, connect: Connect) -> None:
    """A request that was cut by its client is dropped, and what was asked before it is answered."""
    half = predict(ROW)[:-5]
    client = connect(threaded.url).send(predict([8000], "spin") + half).finish_sending()
    assert _final(client) == 200
    assert client.is_closed()


@pytest.mark.parametrize("manner", ["fin", "rst"])
@pytest.mark.parametrize("under_way", [True, False], ids=["runs", "waits"])
def test_a_client_that_goes_while_its_request_waits(
    threaded: Server, connect: Connect, until: Until, manner: str, *, under_way: bool
) -> None:
    """Its place is free at once, long before its answer would be made."""
    scheduler = _scheduler(threaded)
    first = connect(threaded.url).send(predict(AGES, "spin"))
    until(lambda: scheduler.statistics().running == 1)
    gone = first if under_way else connect(threaded.url).send(predict(AGES, "spin"))
    until(lambda: len(_connections(threaded)) == 1 + (gone is not first))
    if manner == "rst":
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()
    begun = time.monotonic()
    until(lambda: len(_connections(threaded)) == (gone is not first))
    assert time.monotonic() - begun < 2
    until(lambda: scheduler.statistics().running == 0)
    first.close()
    until(lambda: not _connections(threaded))


def test_a_half_closed_client_is_asked_whether_it_reads(threaded: Server, connect: Connect) -> None:
    """It is told ``100 Continue`` now and then while it waits, which means nothing; one of HTTP/1.0
    is not, which would take that for the answer."""
    client = connect(threaded.url).send(predict(AGES, "spin")).finish_sending()
    old = connect(threaded.url).send(predict(AGES, "spin", version="1.0")).finish_sending()
    told = [client.answer().status for _ in range(2)]
    assert told == [100, 100]
    assert _final(client) == 200
    assert old.answer().status == 200


def _final(client: Client) -> int:
    """The status of the next answer that is one."""
    while (status := client.answer().status) == 100:
        pass
    return status


@pytest.mark.parametrize(
    "data",
    [
        b"GET /hea",
        predict(ROW)[:-5],
        predict([20_000], "spin"),
        request("GET", "/openapi.json"),
        request("POST", "/openapi.json", headers="content-length: 100\r\n") + b"some",
        request("POST", "/predict", b"[" * 300_000),
    ],
)
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_a_client_that_goes_harms_nobody(
    threaded: Server, connect: Connect, until: Until, data: bytes, *, reset: bool
) -> None:
    """A client that goes in the middle of anything leaves the server as it was."""
    for _ in range(5):
        client = connect(threaded.url).send(data)
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    asked = connect(threaded.url).send(predict(ROW))
    assert document(asked.answer())["prediction"] == 0
    until(lambda: len(_connections(threaded)) == 1)


def test_a_client_that_goes_in_the_middle_of_an_answer(
    threaded: Server, connect: Connect, until: Until
) -> None:
    """The rest of a large answer is thrown away with the connection."""
    client = connect(threaded.url, receive_buffer=4096).send(zeros(3_000_000))
    client.socket.recv(1000)
    client.close()
    asked = connect(threaded.url).send(predict(ROW))
    assert asked.answer().status == 200
    until(lambda: len(_connections(threaded)) == 1)


def test_a_large_answer_reaches_a_slow_reader(threaded: Server, connect: Connect) -> None:
    """A large answer arrives whole, however slowly it is read."""
    client = connect(threaded.url, receive_buffer=4096).send(zeros(500_000) + predict(ROW))
    received = bytearray()
    while b'"prediction":0' not in received:
        received += client.socket.recv(20_000)
    assert received.count(b"0.0,") >= 499_999


def test_a_steady_reader_is_not_cut_off(strict: Server, connect: Connect) -> None:
    """A client that reads slowly, yet all the time, gets all of an answer that takes longer than
    the longest pause allowed."""
    client = connect(strict.url, receive_buffer=65536).send(zeros(4_000_000))
    received, started = 0, time.monotonic()
    while received < 16_000_000:
        chunk = client.socket.recv(65536)
        assert chunk, f"cut off after {received} bytes, {time.monotonic() - started:.1f} s"
        received += len(chunk)
        time.sleep(0.016)  # the reader's pace, not a wait: 4 MB/s
    assert time.monotonic() - started > 3


def test_a_client_that_never_reads_costs_little_memory(models: Models, connect: Connect) -> None:
    """A client that sends on and on and reads nothing is not read any more."""
    with inferd.serve(models.iris) as running, Client(running.url, receive_buffer=4096) as client:
        client.socket.settimeout(0.5)
        before, data, sent = psutil.Process(os.getpid()).memory_info().rss, predict(ROW) * 500, 0
        with suppress(TimeoutError):
            while sent < 64 * MIB:
                sent += client.socket.send(data)
        assert sent < 32 * MIB
        assert psutil.Process(os.getpid()).memory_info().rss - before < 64 * MIB
        assert connect(running.url).send(predict(ROW)).answer().status == 200


def test_a_client_that_reads_nothing_is_let_go(strict: Server, until: Until) -> None:
    """A client that takes nothing of its answer is cut off after the longest pause allowed."""
    with Client(strict.url, receive_buffer=4096) as client:
        client.send(zeros(5_000_000))
        until(lambda: not _connections(strict))


def _connections(server: Server) -> set[object]:
    """The server's own view of who is connected."""
    found: set[object] = set(server._worker._services["main"].connections)
    return found


def _scheduler(server: Server) -> Scheduler:
    """The queue of the spinning model."""
    handler: Any = server._worker.manager.lookup("spin").infer
    found: Scheduler = handler.__self__
    return found
