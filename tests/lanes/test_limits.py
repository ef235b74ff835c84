"""What one client may ask for: sizes and times."""

import time
from contextlib import suppress

import pytest

from inferd.server.embedded import Server
from tests.conftest import ROW
from tests.lanes.client import predict, request
from tests.lanes.conftest import Connect

CHUNKED = "transfer-encoding: chunked\r\n"


def test_9110_15_5_14_body_refused_by_its_announced_length(
    strict: Server, connect: Connect
) -> None:
    """A body that is announced as too large is refused before a byte of it was sent."""
    client = connect(strict.url).send(
        request("POST", "/predict", headers="content-length: 10001\r\n")
    )
    answer = client.answer()
    assert (answer.status, answer.header("connection")) == (413, "close")
    assert "10000" in answer.body.decode()


def test_9110_15_5_14_the_largest_body_is_taken(strict: Server, connect: Connect) -> None:
    """A body of exactly the limit is read."""
    body = predict(ROW).partition(b"\r\n\r\n")[2].ljust(10_000)
    assert connect(strict.url).send(request("POST", "/predict", body)).answer().status == 200


def test_9110_15_5_14_body_refused_by_counting(strict: Server, connect: Connect) -> None:
    """A body without an announced length is refused when it has become too large."""
    client = connect(strict.url).send(request("POST", "/predict", headers=CHUNKED))
    for _ in range(11):
        client.send(b"3e8\r\n" + b" " * 1000 + b"\r\n")
    assert client.answer().status == 413
    assert client.is_closed()


def test_a_refusal_reaches_a_client_that_still_sends(strict: Server, connect: Connect) -> None:
    """A client that reads only after it has sent everything still gets the refusal."""
    client = connect(strict.url)
    client.send(request("POST", "/predict", b" " * 1_000_000))
    assert client.answer().status == 413


def test_a_refusal_waits_for_its_turn(strict: Server, connect: Connect) -> None:
    """A refused body does not overtake the slow answer that was asked for before it."""
    client = connect(strict.url)
    client.send(predict([8000], "spin") + request("POST", "/predict", b" " * 10_001))
    assert [answer.status for answer in client.answers(2)] == [200, 413]
    assert client.is_closed()


def test_9_5_a_refusal_does_not_cut_off_a_slow_answer(strict: Server, connect: Connect) -> None:
    """An answer that takes seconds arrives though the request after it was refused in its body."""
    client = connect(strict.url).send(predict([350_000], "spin"))
    client.send(request("POST", "/predict", headers=CHUNKED) + b"zz\r\n")
    assert [answer.status for answer in client.answers(2)] == [200, 400]


def test_9_6_a_refusal_behind_a_slow_answer_is_heard_by_a_client_that_still_sends(
    strict: Server, connect: Connect
) -> None:
    """A client is read on until it has both: closing at once would reset the connection under
    them."""
    client = connect(strict.url).send(predict([8000], "spin"))
    client.send(request("POST", "/predict", headers=CHUNKED) + b"zz\r\n")
    assert client.answer().status == 200
    for _ in range(50):  # what is sent to a connection that was closed resets it
        client.send(b"y" * 100_000)
    assert client.answer().status == 400


def test_5_4_too_many_headers(server: Server, connect: Connect) -> None:
    """A head without an end is refused before it fills the memory."""
    client = connect(server.url).send(b"GET /health HTTP/1.1\r\n")
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(200):
            client.send(b"x: " + b"y" * 1000 + b"\r\n")
    assert client.answer().status in (413, 431)
    assert client.is_closed()


def test_5_4_a_long_target_without_an_end(server: Server, connect: Connect) -> None:
    """The same for a request line."""
    client = connect(server.url).send(b"GET /")
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(200):
            client.send(b"y" * 1000)
    assert client.answer().status in (413, 414, 431)


def test_5_4_a_head_is_limited_in_one_piece_as_well(server: Server, connect: Connect) -> None:
    """The same head is refused however its bytes were cut on the way."""
    data = request("GET", "/health", headers=f"x: {'y' * 70_000}\r\n")
    client = connect(server.url)
    with suppress(BrokenPipeError, ConnectionResetError):
        client.send(data)
    assert client.answer().status in (413, 431)


def test_9_5_an_idle_connection_is_closed(strict: Server, connect: Connect) -> None:
    """A connection without a request is closed after the keep-alive time, and not before."""
    fresh, used = connect(strict.url), connect(strict.url)
    assert used.send(predict(ROW)).answer().status == 200
    started = time.monotonic()
    assert used.is_closed()
    assert fresh.is_closed()
    assert 0.8 < time.monotonic() - started < 4


@pytest.mark.parametrize(
    "part",
    [b"POST /pre", b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{}"],
    ids=["head", "body"],
)
def test_9_5_a_pause_within_a_request_is_limited(
    strict: Server, connect: Connect, part: bytes
) -> None:
    """A client that stops in the middle of a request is not waited for longer than allowed."""
    client = connect(strict.url).send(part)
    started = time.monotonic()
    assert client.answer().status == 408
    assert client.is_closed()
    assert time.monotonic() - started < 4


def test_9_5_a_head_that_trickles_is_limited(strict: Server, connect: Connect) -> None:
    """A client cannot keep a connection by sending a header's byte now and then."""
    client = connect(strict.url).send(b"GET /health HTTP/1.1\r\n")
    deadline = time.monotonic() + 6
    client.socket.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            client.send(b"x")
            if not client.socket.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("it was kept for six seconds")


def test_9_5_a_slow_model_is_no_idle_client(strict: Server, connect: Connect) -> None:
    """A connection that waits for a slow model is not closed as idle."""
    client = connect(strict.url).send(predict([200_000], "spin"))
    assert client.answer().status == 200
