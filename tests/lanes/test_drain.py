"""The end of a server: what was asked is answered, and nothing new is begun."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import inferd
from inferd.server.embedded import Server
from tests.conftest import ROW, Models
from tests.lanes.client import Client, predict, request
from tests.lanes.conftest import Connect, Until

LONG = [60_000]  # turns of the spinning model: some tenths of a second
FOR_EVER = [50_000_000]


@pytest.fixture
def stopping(models: Models) -> Iterator[Server]:
    """A server of one's own, to be stopped."""
    with inferd.serve(
        models.iris, models.spin, default_model="iris", inline_limit_microseconds=0
    ) as running:
        yield running


def _stop(server: Server) -> threading.Thread:
    thread = threading.Thread(target=server.stop)
    thread.start()
    return thread


def test_requests_in_progress_end(stopping: Server, connect: Connect) -> None:
    """What was asked before the stop is answered, as the connection's last."""
    busy = connect(stopping.url).send(predict(LONG, "spin"))
    assert connect(stopping.url).send(predict(ROW)).answer().status == 200
    thread = _stop(stopping)
    answer = busy.answer()
    assert (answer.status, answer.header("connection")) == (200, "close")
    assert busy.is_closed()
    thread.join()


def test_idle_connections_close(stopping: Server, connect: Connect) -> None:
    """Connections without a request are closed at once, used or not."""
    fresh, used = connect(stopping.url), connect(stopping.url)
    assert used.send(predict(ROW)).answer().status == 200
    _stop(stopping).join()
    assert used.is_closed()
    assert fresh.is_closed()


def test_new_connections_are_refused(stopping: Server, connect: Connect, until: Until) -> None:
    """Nobody is let in after the stop, also while requests are still in progress."""
    busy = connect(stopping.url).send(predict(LONG, "spin"))
    assert connect(stopping.url).send(predict(ROW)).answer().status == 200
    url = stopping.url
    thread = _stop(stopping)

    def refused() -> bool:
        try:
            with Client(url):
                return False
        except (ConnectionRefusedError, ConnectionResetError):  # reset: caught in the closing
            return True

    until(refused)
    assert busy.answer().status == 200
    thread.join()


def test_a_request_half_sent_is_answered(stopping: Server, connect: Connect, until: Until) -> None:
    """A client that is in the middle of its request may finish it."""
    data = predict(ROW)
    other = connect(stopping.url).send(data[:-5])
    assert connect(stopping.url).send(predict(ROW)).answer().status == 200
    thread = _stop(stopping)
    until(lambda: stopping._worker._services["main"].draining)
    answer = other.send(data[-5:]).answer()
    assert (answer.status, answer.header("connection")) == (200, "close")
    thread.join()


def test_the_app_is_drained_as_well(stopping: Server, connect: Connect) -> None:
    """An answer of the app that waits behind an inference leaves before the end."""
    busy = connect(stopping.url)
    busy.send(predict(LONG, "spin") + request("GET", "/openapi.json"))
    assert connect(stopping.url).send(predict(ROW)).answer().status == 200
    thread = _stop(stopping)
    assert [answer.status for answer in busy.answers(2)] == [200, 200]
    thread.join()


def test_not_ready_while_draining(stopping: Server, connect: Connect) -> None:
    """A health check on a connection that is still open hears that the server is going."""
    data = request("GET", "/ready")
    asking = connect(stopping.url).send(data[:-2])
    assert connect(stopping.url).send(predict(ROW)).answer().status == 200
    thread = _stop(stopping)
    busy = asking.send(data[-2:]).answer()
    assert busy.status in (200, 503)  # 200 only where it came before the stop
    thread.join()


def test_stopping_twice_is_stopping_once(stopping: Server) -> None:
    """A second stop changes nothing."""
    stopping.stop()
    stopping.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries(models: Models, tmp_path: Path, number: signal.Signals) -> None:
    """A second signal ends the draining of a request that would take for ever."""
    command = [sys.executable, "-m", "inferd", "serve", str(models.spin), "--port", "0"]
    with subprocess.Popen(
        [*command, "--inline-limit-microseconds", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().split()[5]
        try:
            with Client(url) as client, Client(url) as other:
                client.send(predict(FOR_EVER, "spin"))
                assert other.send(request("GET", "/health")).answer().status == 200
                process.send_signal(number)
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.5)
                process.send_signal(number)
                assert process.wait(5) == 1
                assert "cut off" in process.stderr.read()
        finally:
            process.kill()
