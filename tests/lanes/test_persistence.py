"""How long a connection lives and in which order it answers: RFC 9112, section 9."""

from contextlib import suppress

import pytest

from inferd.server.embedded import Server
from tests.conftest import ROW
from tests.lanes.client import document, predict, request
from tests.lanes.conftest import Connect

TURNS = [8000]  # of the spinning model: about a tenth of a second
HEALTH, DOCS = request("GET", "/health"), request("GET", "/openapi.json")


def test_9_3_keep_alive(server: Server, connect: Connect) -> None:
    """One connection takes many requests."""
    client = connect(server.url)
    for _ in range(20):
        assert client.send(predict(ROW)).answer().status == 200


def test_9_3_http_1_0_closes(server: Server, connect: Connect) -> None:
    """HTTP/1.0 ends the connection after one answer."""
    client = connect(server.url).send(predict(ROW, version="1.0"))
    answer = client.answer()
    assert (answer.status, answer.header("connection")) == (200, "close")
    assert client.is_closed()


@pytest.mark.parametrize("target", ["/health", "/predict", "/v2/models/nothing"])
def test_9_3_http_1_0_keep_alive(server: Server, connect: Connect, target: str) -> None:
    """HTTP/1.0 with keep-alive is told that it is kept, whatever the answer, and is kept."""
    client = connect(server.url)
    for _ in range(2):
        client.send(request("GET", target, headers="connection: keep-alive\r\n", version="1.0"))
        answer = client.answer()
        assert answer.header("connection") == "keep-alive"
        assert answer.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize("target", ["/health", "/openapi.json", "/nothing", "/predict"])
def test_9_6_connection_close(server: Server, connect: Connect, target: str) -> None:
    """A client that asks for the end of the connection is told of it and gets it."""
    client = connect(server.url).send(request("GET", target, headers="connection: close\r\n"))
    assert client.answer().header("connection") == "close"
    assert client.is_closed()


def test_9_6_nothing_is_read_after_connection_close(server: Server, connect: Connect) -> None:
    """Requests after the one that asked for the end are not answered."""
    client = connect(server.url)
    client.send(predict(ROW, headers="connection: close\r\n") + HEALTH)
    assert client.answer().status == 200
    assert client.is_closed()


def test_9_3_2_pipelining(server: Server, connect: Connect) -> None:
    """Requests sent together are answered in order."""
    targets = ["/health", "/v2", "/ready", "/v2/health/live", "/v2/models/iris", "/nothing"] * 30
    client = connect(server.url).send(b"".join(request("GET", target) for target in targets))
    bodies = [answer.body for answer in client.answers(len(targets))]
    assert len(set(bodies)) == 6
    assert bodies == bodies[:6] * 30


def test_9_3_2_pipelining_one_byte_at_a_time(server: Server, connect: Connect) -> None:
    """Several requests byte by byte are answered in order, too."""
    client = connect(server.url)
    for byte in predict(ROW) + HEALTH + DOCS + predict([6.7, 3.0, 5.2, 2.3]):
        client.send(bytes([byte]))
    first, health, openapi, last = client.answers(4)
    assert document(first)["prediction"] == 0
    assert document(health) == {"status": "healthy"}
    assert "openapi" in document(openapi)
    assert document(last)["prediction"] == 2


def test_9_3_2_a_slow_answer_comes_before_a_quick_one(threaded: Server, connect: Connect) -> None:
    """A quick answer waits for the slow one that was asked for before it."""
    client = connect(threaded.url)
    client.send(predict(TURNS, "spin") + predict(ROW) + HEALTH + predict(TURNS, "spin") + HEALTH)
    predictions = [document(answer).get("prediction") for answer in client.answers(5)]
    assert predictions == [64.0, 0, None, 64.0, None]


def test_9_3_2_the_app_answers_in_its_turn(threaded: Server, connect: Connect) -> None:
    """Requests of the app and inferences keep their order on one connection."""
    client = connect(threaded.url)
    client.send((predict(TURNS, "spin") + DOCS + predict(ROW) + request("GET", "/nothing")) * 3)
    seen = [(answer.status, len(answer.body) > 1000) for answer in client.answers(12)]
    assert seen == [(200, False), (200, True), (200, False), (404, False)] * 3


def test_9_3_2_more_pipelined_requests_than_are_taken_at_once(
    threaded: Server, connect: Connect
) -> None:
    """Hundreds of requests behind a slow one are all answered, in order."""
    client = connect(threaded.url)
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
    client.send(predict(TURNS, "spin") + b"".join(predict(row) for row in rows * 300))
    predictions = [document(answer)["prediction"] for answer in client.answers(601)]
    assert predictions == [64.0, *[0, 2] * 300]


@pytest.mark.parametrize("target", ["/health", "/openapi.json", "/nothing", "/predict"])
def test_9110_9_3_2_head_has_no_body(server: Server, connect: Connect, target: str) -> None:
    """HEAD gets the head alone, whatever the answer, and the next answer follows it at once."""
    client = connect(server.url).send(request("HEAD", target) + HEALTH)
    head = client.answer("HEAD")
    assert int(head.header("content-length") or 0) > 0
    assert document(client.answer()) == {"status": "healthy"}


@pytest.mark.parametrize("target", ["/health", "/v2/models/iris"])
def test_9110_9_3_2_head_is_get_without_the_body(
    server: Server, connect: Connect, target: str
) -> None:
    """HEAD's headers are those of GET."""
    client = connect(server.url).send(request("HEAD", target) + request("GET", target))
    head, got = client.answer("HEAD"), client.answer()
    assert head.status == got.status
    assert [h for h in head.headers if h[0] != "date"] == [h for h in got.headers if h[0] != "date"]


def test_9110_10_1_1_expect_100_continue(server: Server, connect: Connect) -> None:
    """A client that asks first is told to go on, and then answered."""
    body = b'{"features":[5.1,3.5,1.4,0.2]}'
    head = request("POST", "/predict", body, "expect: 100-continue\r\n").removesuffix(body)
    client = connect(server.url).send(head)
    assert client.answer().status == 100
    assert client.send(body).answer().status == 200
    assert client.lives()


def test_9110_10_1_1_expect_in_http_1_0_is_ignored(server: Server, connect: Connect) -> None:
    """A client of HTTP/1.0 does not know interim answers and must not get one."""
    data = predict(ROW, headers="expect: 100-continue\r\n", version="1.0")
    assert connect(server.url).send(data).answer().status == 200


def test_9110_10_1_1_expect_of_a_body_too_large(strict: Server, connect: Connect) -> None:
    """A client that asks first with a body too large is refused without having sent it."""
    head = "expect: 100-continue\r\ncontent-length: 1000000\r\n"
    client = connect(strict.url).send(request("POST", "/predict", headers=head))
    assert client.answer().status == 413


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("GET", "/predict", "POST"),
        ("DELETE", "/health", "GET"),
        ("PUT", "/v2/models/iris/infer", "POST"),
        ("POST", "/v2/models/iris", "GET"),
        ("BREW", "/health", "GET"),
    ],
)
def test_9110_15_5_6_wrong_method(
    server: Server, connect: Connect, method: str, target: str, allow: str
) -> None:
    """A wrong method is told which are right, and the connection goes on."""
    client = connect(server.url).send(request(method, target))
    answer = client.answer()
    if method == "BREW":  # no method of any standard: the parser knows none
        assert answer.status in (400, 405, 501)
        return
    assert (answer.status, answer.header("allow")) == (405, allow)
    assert client.lives()


def test_9110_15_5_5_not_found(server: Server, connect: Connect) -> None:
    """An unknown URL is a 404 with an error in JSON, and the connection goes on."""
    client = connect(server.url).send(request("GET", "/nothing"))
    answer = client.answer()
    assert (answer.status, answer.header("content-type")) == (404, "application/json")
    assert client.lives()


@pytest.mark.parametrize("target", ["/health", "/openapi.json"])
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "nonsense"])
def test_9110_7_8_upgrade_is_declined(
    server: Server, connect: Connect, target: str, protocol: str
) -> None:
    """An offer to speak something else is not taken: the request is answered as without it."""
    headers = f"connection: upgrade\r\nupgrade: {protocol}\r\n"
    client = connect(server.url).send(request("GET", target, headers=headers) + HEALTH)
    assert [answer.status for answer in client.answers(2)] == [200, 200]
    assert client.lives()


@pytest.mark.parametrize("cut_at", [20, -10, None])
def test_9110_7_8_upgrade_with_a_body(server: Server, connect: Connect, cut_at: int | None) -> None:
    """Java's HttpClient offers HTTP/2 with every request: its body is read all the same."""
    offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n"
    data = request("POST", "/predict", b'{"features":[5.1,3.5,1.4,0.2]}', offer)
    client = connect(server.url)
    for part in (data[:cut_at], data[cut_at:] if cut_at else b"") * 2:
        client.send(part)
    assert [document(answer)["prediction"] for answer in client.answers(2)] == [0, 0]


def test_9112_7_1_2_trailers_are_limited(server: Server, connect: Connect) -> None:
    """What comes after a body is bounded as what comes before it."""
    client = connect(server.url)
    client.send(request("POST", "/predict", headers="transfer-encoding: chunked\r\n"))
    client.send(b"2\r\n{}\r\n0\r\n")
    with suppress(BrokenPipeError, ConnectionResetError):
        for at in range(400):
            client.send(b"x-%d: %b\r\n" % (at, b"y" * 1000))
    assert client.answer().status == 413


def test_9112_6_3_a_length_of_thousands_of_digits(server: Server, connect: Connect) -> None:
    """A length that Python would not read as a number is read by its digits."""
    zeros = f"content-length: {'0' * 5000}2\r\n"
    data = request("POST", "/predict", headers=zeros) + b"{}"
    assert connect(server.url).send(data).answer().status == 400


def test_9110_6_6_1_date(server: Server, connect: Connect) -> None:
    """Every answer has a date: of inference, of an error and of the app."""
    client = connect(server.url)
    for data in (predict(ROW), predict([]), DOCS, request("GET", "/nothing")):
        assert client.send(data).answer().header("date")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/predict/iris", 200),
        ("/v1/predict/%69ris", 200),
        ("/v1/predict/%2569ris", 404),
        ("/v1/predict/iris%00", 404),
        ("/v1/predict/iris%2Fx", 404),
        ("/v1/predict/%F0%9F%8C%B8", 404),
        ("/v1/predict/%ff", 400),
        ("/v1/predict/", 404),
        ("/v1/predict/iris?a=b&c", 200),
        ("/v1/predict/iris?", 200),
        ("/predict?x=%ff", 200),
        ("//predict", 404),
        ("/predict/", 404),
        ("/v1/../predict", 404),
    ],
)
def test_9110_4_2_targets(server: Server, connect: Connect, target: str, status: int) -> None:
    """A model's name is decoded once, the query is left aside, and nothing else is guessed."""
    body = b'{"features":[5.1,3.5,1.4,0.2]}'
    client = connect(server.url).send(request("POST", target, body))
    assert client.answer().status == status
    assert client.lives()
