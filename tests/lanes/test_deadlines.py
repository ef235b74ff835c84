"""A caller that says how long it waits: what cannot be answered by then is not run."""

import pytest

from fuzz import http2
from fuzz.http2 import START, head, plain_fields
from inferd.server.embedded import Server
from tests.conftest import ROW
from tests.lanes.client import document, predict, request
from tests.lanes.conftest import Connect, OpenRaw

OURS, ENVOYS = "x-request-timeout-ms", "x-envoy-expected-rq-timeout-ms"


@pytest.mark.parametrize("name", [OURS, ENVOYS])
def test_a_request_with_time_enough(threaded: Server, connect: Connect, name: str) -> None:
    """It is answered, again and again: also where its head is known already."""
    client = connect(threaded.url)
    for _ in range(3):
        answer = client.send(predict(ROW, headers=f"{name}: 60000\r\n")).answer()
        assert (answer.status, document(answer)["prediction"]) == (200, 0)


@pytest.mark.parametrize("name", [OURS, ENVOYS])
def test_a_request_whose_time_is_over(threaded: Server, connect: Connect, name: str) -> None:
    """It is refused with 504 before it runs, and the connection goes on."""
    client = connect(threaded.url)
    for _ in range(3):
        refused = client.send(predict(ROW, headers=f"{name}: 0\r\n")).answer()
        assert refused.status == 504
    assert client.send(predict(ROW)).answer().status == 200


def test_the_time_of_a_large_request_begins_when_it_is_there(
    threaded: Server, connect: Connect
) -> None:
    """Decoding it in a thread is part of what its caller waits for."""
    body = b'{"features":[5.1,3.5,1.4,0.2]' + b" " * 1_000_000 + b"}"
    lines = f"{OURS}: 0.001\r\n"
    client = connect(threaded.url).send(request("POST", "/predict", body, lines))
    assert client.answer().status == 504


@pytest.mark.parametrize("value", ["soon", "-1", "1s"])
def test_a_time_that_is_none(threaded: Server, connect: Connect, value: str) -> None:
    """The caller is told what is wrong with its header, and nothing is run."""
    client = connect(threaded.url)
    for _ in range(2):
        answer = client.send(predict(ROW, headers=f"{OURS}: {value}\r\n")).answer()
        assert answer.status == 400
        assert OURS in document(answer)["error"]
    assert client.send(predict(ROW)).answer().status == 200


def test_requests_without_a_model_take_no_notice(threaded: Server, connect: Connect) -> None:
    """A health check is answered at once, whatever it says."""
    client = connect(threaded.url)
    answer = client.send(request("GET", "/v2/health/live", headers=f"{OURS}: 0\r\n")).answer()
    assert answer.status == 200


def test_over_http_2(threaded: Server, raw: OpenRaw) -> None:
    """The header means the same there."""
    fields = plain_fields(
        "POST", "/predict", (b"content-type", b"application/json"), (OURS.encode(), b"0")
    )
    client = raw(threaded.url).send(START + head(1, fields))
    client.send(http2.body(1, b'{"features":[5.1,3.5,1.4,0.2]}'))
    assert client.answer(1).status == 504
