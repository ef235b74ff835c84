"""RFC 9110, section 8.4: bodies that come packed, and answers that go packed."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from inferd.server.embedded import Server
from tests.lanes.client import document, request
from tests.lanes.conftest import Connect

ROW = [5.1, 3.5, 1.4, 0.2]
PLAIN = json.dumps({"features": ROW}).encode()
MANY = json.dumps({"features": [ROW] * 200}).encode()
PACKED = {
    "gzip": gzip.compress(PLAIN),
    "x-gzip": gzip.compress(PLAIN),
    "GZIP": gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]),  # RFC 1952, 2.2: two members
    "deflate": zlib.compress(PLAIN),
    "identity": PLAIN,
}
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


@pytest.mark.parametrize("coding", list(PACKED))
def test_9110_8_4_1_a_packed_body_is_unpacked(
    server: Server, connect: Connect, coding: str
) -> None:
    """A body in each coding that is spoken is the body that was packed."""
    data = request("POST", "/predict", PACKED[coding], f"content-encoding: {coding}\r\n")
    client = connect(server.url)
    for _ in range(2):
        assert client.send(data).answer().status == 200


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "nonsense"])
def test_9110_15_5_16_another_coding_is_refused(
    server: Server, connect: Connect, coding: str
) -> None:
    """What cannot be unpacked is told so, with the codings that can."""
    data = request("POST", "/predict", PLAIN, f"content-encoding: {coding}\r\n")
    answer = connect(server.url).send(data).answer()
    assert (answer.status, answer.header("accept-encoding")) == (415, "gzip, deflate")


@pytest.mark.parametrize(
    "body",
    [b"", b"\x1f\x8b", PACKED["gzip"][:-4], PACKED["gzip"] + b"x", PLAIN, zlib.compress(PLAIN)],
    ids=["empty", "head", "cut", "more", "plain", "other"],
)
def test_9110_8_4_a_damaged_body_is_refused(server: Server, connect: Connect, body: bytes) -> None:
    """A packed body that is cut off or damaged is the client's fault, and the connection goes
    on."""
    data = request("POST", "/predict", body, "content-encoding: gzip\r\n")
    client = connect(server.url).send(data)
    answer = client.answer()
    assert answer.status == 400
    assert "packed" in document(answer)["error"]
    assert client.lives()


@pytest.mark.parametrize("size", [1 << 21, 100 << 20])
def test_a_bomb_is_refused(server: Server, connect: Connect, size: int) -> None:
    """A small body that would unpack to a thousand times its size is not unpacked."""
    bomb = gzip.compress(b" " * size)
    data = request("POST", "/predict", bomb, "content-encoding: gzip\r\n")
    answer = connect(server.url).send(data).answer()
    assert answer.status == 413
    assert "unpacks" in document(answer)["error"]


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("br;q=1, deflate;q=0.5", "deflate"),
        ("*", "gzip"),
        ("gzip;q=0, *;q=0.1", "deflate"),
        ("identity", None),
        ("gzip;q=0.2, identity;q=0.9", None),
        ("br", None),
        ("gzip;q=nonsense", None),
    ],
)
def test_9110_12_5_3_an_answer_is_packed_as_the_client_prefers(
    server: Server, connect: Connect, accept: str, coding: str | None
) -> None:
    """A large answer comes in the coding with the greatest weight, and says so."""
    data = request("POST", "/predict", MANY, f"accept-encoding: {accept}\r\n")
    answer = connect(server.url).send(data).answer()
    assert answer.header("content-encoding") == coding
    body = UNPACK[coding](answer.body) if coding else answer.body
    assert len(json.loads(body)["predictions"]) == 200
    assert answer.header("vary") == ("accept-encoding" if coding else None)


def test_a_small_answer_is_not_packed(server: Server, connect: Connect) -> None:
    """What fits into one segment anyhow is sent as it is."""
    data = request("POST", "/predict", PLAIN, "accept-encoding: gzip\r\n")
    answer = connect(server.url).send(data).answer()
    assert answer.header("content-encoding") is None
    assert document(answer)["prediction"] == 0
