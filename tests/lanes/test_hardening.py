"""What the internet sends: heads that mean two things, bodies that trickle, and large ones."""

import json
import time

import psutil
import pytest

from inferd.server.embedded import Server
from tests.lanes.client import document, predict, request
from tests.lanes.conftest import Connect

ROW = [5.1, 3.5, 1.4, 0.2]
BODY = json.dumps({"features": ROW}).encode()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"", 400),
        (b"host: a\r\nhost: b\r\n", 400),
        (b"host: a\r\nhost: a\r\n", 400),
        (b"host: a\r\ncontent-type: a\r\ncontent-type: b\r\n", 400),
        (b"host: a\r\ntransfer-encoding: gzip, chunked\r\n", 501),
        (b"host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 400),
        (b"host: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n", 400),
        (b"host: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n", 400),
        (b"host: a\r\n" + b"x: y\r\n" * 100, 413),
    ],
)
def test_9112_3_2_and_6_a_head_that_means_two_things(
    server: Server, connect: Connect, lines: bytes, status: int
) -> None:
    """A head that another server could read in another way is refused, and all after it."""
    client = connect(server.url).send(b"POST /predict HTTP/1.1\r\n" + lines + b"\r\n")
    assert client.answer("POST").status == status
    assert client.is_closed()


def test_9112_3_2_http_1_0_needs_no_host(server: Server, connect: Connect) -> None:
    """Clients of HTTP/1.0 know no Host header."""
    assert connect(server.url).send(b"GET /health HTTP/1.0\r\n\r\n").answer().status == 200


@pytest.mark.parametrize("path", ["/v1/predict/%zz", "/v2/models/%4", "/%", "/docs/%g0"])
def test_3986_2_1_wrong_percent_encoding(server: Server, connect: Connect, path: str) -> None:
    """A path that is wrongly encoded is refused, and the connection goes on."""
    client = connect(server.url).send(request("GET", path))
    answer = client.answer()
    assert (answer.status, "percent-encoded" in document(answer)["error"]) == (400, True)
    assert client.lives()


def test_9110_15_5_9_a_body_that_trickles_is_limited(strict: Server, connect: Connect) -> None:
    """A client cannot keep a connection by sending a body's byte now and then: it is told 408."""
    client = connect(strict.url)
    client.send(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n")
    client.socket.settimeout(0.1)
    started = time.monotonic()
    while time.monotonic() - started < 8:
        try:
            client.send(b" ")
            if client.answer().status == 408:
                return
        except TimeoutError:
            continue
        except EOFError:
            break
    pytest.fail("it was kept")


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_9112_6_2_a_large_body_is_whole(server: Server, connect: Connect, pieces: int) -> None:
    """A body of megabytes is read as it was sent, however it was cut, and so is what follows it."""
    rows = [[float(at), 3.5, 1.4, 0.2] for at in range(60_000)]
    data = request("POST", "/predict", json.dumps({"features": rows}).encode()) + predict(ROW)
    client, size = connect(server.url), -(-len(data) // pieces)
    for at in range(0, len(data), size):
        client.send(data[at : at + size])
    large, small = client.answers(2)
    assert len(document(large)["predictions"]) == len(rows)
    assert document(small)["prediction"] == 0
    assert client.lives()


def test_9112_8_a_large_body_that_is_cut_off(server: Server, connect: Connect) -> None:
    """A client that ends amid a large body is let go."""
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n"
    assert connect(server.url).send(head + b"[" * 1_000_000).finish_sending().is_closed()


@pytest.mark.parametrize("target", ["/predict", "/health", "/nothing", "/openapi.json"])
def test_a_request_id_comes_back(server: Server, connect: Connect, target: str) -> None:
    """The caller's own id of a request is on its answer, whatever the answer is."""
    data = request("GET", target, None, "X-Request-ID: a-1/b=\r\n")
    assert connect(server.url).send(data).answer().header("x-request-id") == "a-1/b="


def test_a_request_id_comes_back_with_a_prediction(server: Server, connect: Connect) -> None:
    """Also on the fast lane, where a head is known by its bytes, and each with its own."""
    client = connect(server.url)
    for name in ("one", "two", "two"):
        answer = client.send(predict(ROW, headers=f"x-request-id: {name}\r\n")).answer()
        assert (answer.status, answer.header("x-request-id")) == (200, name)


@pytest.mark.parametrize("name", ["a b", "a\tb", "", "x" * 129, "é"])
def test_what_is_no_request_id_does_not_come_back(
    server: Server, connect: Connect, name: str
) -> None:
    """An id with spaces, or one of any length, is not repeated."""
    answer = connect(server.url).send(predict(ROW, headers=f"x-request-id: {name}\r\n")).answer()
    assert (answer.status, answer.header("x-request-id")) == (200, None)


def test_a_body_in_a_million_chunks_costs_what_it_holds(server: Server, connect: Connect) -> None:
    """Chunks of two bytes are joined as they come: the smallest parts make no largest request."""
    head = request("POST", "/predict", None, "transfer-encoding: chunked\r\n")
    client = connect(server.url).send(head + b"2\r\n  \r\n" * 200_000)
    client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert client.answer().status == 200


def test_9112_6_3_an_announced_length_costs_nothing(server: Server, connect: Connect) -> None:
    """A hundred clients that announce a body of 60 MB each, and send a byte, harm nobody."""
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 60000000\r\n\r\n{"
    before = psutil.Process().memory_info().rss
    clients = [connect(server.url).send(head) for _ in range(100)]
    assert connect(server.url).lives()
    assert psutil.Process().memory_info().rss - before < 300 << 20
    assert len(clients) == 100


def test_9110_15_5_9_a_refused_large_body_ends(strict: Server, connect: Connect) -> None:
    """A client that goes on to send after the refusal is cut off nevertheless."""
    client = connect(strict.url)
    client.send(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n")
    client.socket.settimeout(0.2)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            client.send(b" ")
            if not client.socket.recv(1000):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("it was kept")


def test_9110_7_8_a_thousand_offers_at_once(server: Server, connect: Connect) -> None:
    """Requests that all offer another protocol are all answered."""
    offer = b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    client = connect(server.url).send(offer * 1000)
    assert {answer.status for answer in client.answers(1000)} == {200}
    assert client.lives()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_9110_7_8_an_offer_beside_close(server: Server, connect: Connect, version: str) -> None:
    """What a head says beside its offer still holds."""
    data = request("GET", "/health", None, "connection: close, upgrade\r\nupgrade: x\r\n", version)
    client = connect(server.url).send(data)
    assert client.answer().header("connection") == "close"
    assert client.is_closed()


def test_9110_9_3_6_connect_with_an_offer(server: Server, connect: Connect) -> None:
    """A tunnel is refused, and the client is told."""
    data = b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    client = connect(server.url).send(data)
    assert client.answer().status >= 400
    assert client.is_closed()


def test_9110_8_6_the_length_of_head_is_that_of_get(server: Server, connect: Connect) -> None:
    """Also where the answer is packed."""
    client = connect(server.url)
    for target in ("/v2/models/iris/config", "/v2/models/iris"):
        line = "accept-encoding: gzip\r\n"
        get = client.send(request("GET", target, None, line)).answer()
        head = client.send(request("HEAD", target, None, line)).answer("HEAD")
        assert head.header("content-length") == get.header("content-length")


def test_an_error_after_head_has_its_body(server: Server, connect: Connect) -> None:
    """What is no request at all is no HEAD either."""
    client = connect(server.url).send(request("HEAD", "/v2") + b"\x00\x01")
    assert client.answer("HEAD").status == 200
    assert document(client.answer())["error"]
