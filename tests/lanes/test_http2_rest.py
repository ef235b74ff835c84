"""Ordinary requests over HTTP/2: every dialect and the app answer as over HTTP/1.1."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from fuzz import http2
from fuzz.answers import Answer as OldAnswer
from fuzz.http2 import PREFACE, START, Answer, Field, frame, head, plain_fields
from inferd.server.embedded import Server
from tests.conftest import ROW
from tests.lanes import scripted_app
from tests.lanes.client import request
from tests.lanes.conftest import Connect, Open, OpenRaw, Until
from tests.lanes.http2_client import Speaker
from tests.lanes.scripted_rpc import LIMITS, RpcService
from tests.lanes.test_http2 import every

HOP = {"connection", "transfer-encoding", "date"}
JSON = "content-type: application/json\r\n"
BODY = json.dumps({"features": ROW}).encode()
MANY = json.dumps({"features": [ROW] * 300}).encode()
OIP = json.dumps(
    {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": ROW}]}
).encode()
BROKEN_OFF = 2  # INTERNAL_ERROR: RFC 9113, section 7


@pytest.fixture(scope="module")
def apps() -> Iterator[RpcService]:
    """A listener with the scripted app behind it."""
    running = RpcService()
    running.service.app = scripted_app.app
    yield running
    running.close()


@pytest.fixture
def client(server: Server, speak: Open) -> Speaker:
    """A connection to a server of real models."""
    return speak(server.url)


def ask(client: Speaker, method: str, target: str, data: bytes | None = None, *more: Field) -> Any:
    """The answer, and what it says as JSON."""
    answer = client.answer(client.ask(plain_fields(method, target, *more), data))
    assert answer.reset is None
    return answer, json.loads(answer.body) if answer.body else None


def old(answer: OldAnswer) -> tuple[Any, ...]:
    """What HTTP/1.1 answered, without what is of the connection."""
    fields = [(n.lower(), v) for n, v in answer.headers if n.lower() not in HOP]
    return answer.status, sorted(fields), answer.body


def new(answer: Answer) -> tuple[Any, ...]:
    """The same of HTTP/2."""
    fields = [(n.decode(), v.decode("latin-1")) for n, v in answer.fields]
    kept = [field for field in fields if field[0] not in HOP and not field[0].startswith(":")]
    return answer.status, sorted(kept), bytes(answer.body)


# -- the dialects --


@pytest.mark.parametrize(
    ("method", "target", "data", "headers"),
    [
        ("GET", "/health", None, ""),
        ("HEAD", "/health", None, ""),
        ("GET", "/v2", None, ""),
        ("GET", "/v2/models/iris", None, "x-request-id: abc\r\n"),
        ("HEAD", "/v2/models/iris", None, ""),
        ("GET", "/v1/models/iris/metadata", None, ""),
        ("POST", "/predict", BODY, ""),
        ("POST", "/v1/predict/iris", MANY, ""),
        ("POST", "/v1/predict/iris", MANY, "accept-encoding: gzip\r\n"),
        ("POST", "/predict", gzip.compress(MANY), "content-encoding: gzip\r\n"),
        ("POST", "/v1/models/iris:predict", b'{"instances": [[1, 2, 3, 4]]}', ""),
        ("POST", "/v2/models/iris/infer", OIP, "x-request-id: abc\r\n"),
        ("POST", "/v2/models/iris/infer", OIP[:-1], ""),
        ("POST", "/v2/models/none/infer", OIP, ""),
        (
            "POST",
            "/invocations",
            b'{"inputs": [[1, 2, 3, 4]]}',
            JSON,
        ),
        ("DELETE", "/predict", None, ""),
        ("GET", "/nowhere", None, ""),
        ("POST", "/nowhere", b"x", ""),
        ("GET", "/%zz", None, ""),
        ("POST", "/predict", BODY, "content-encoding: br\r\n"),
        ("GET", "/docs", None, ""),
        ("GET", "/openapi.json", None, ""),
        ("OPTIONS", "/predict", None, ""),
    ],
)
def test_the_same_as_over_http_1(  # noqa: PLR0913, PLR0917 - a table
    server: Server,
    client: Speaker,
    connect: Connect,
    method: str,
    target: str,
    data: bytes | None,
    headers: str,
) -> None:
    """Status, headers and body are those of HTTP/1.1, whether a length is announced or not."""
    expected = old(connect(server.url).send(request(method, target, data, headers)).answer(method))
    more = [
        (name.encode(), value.strip().encode())
        for name, _, value in (line.partition(":") for line in headers.splitlines())
    ]
    lengths: list[list[Field]] = [[]]
    if data is not None:
        lengths.append([(b"content-length", b"%d" % len(data))])
    for length in lengths:
        answer = client.answer(client.ask(plain_fields(method, target, *more, *length), data))
        assert steady(new(answer)) == steady(expected)


def steady(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """Without the id that differs from answer to answer."""
    status, fields, body = answer
    return status, [each for each in fields if each[0] != "x-inferd-id"], body


@pytest.mark.parametrize("size", [100, 300_000, 1_500_000, 5_000_000])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_any_size_is_whole(client: Speaker, size: int, announced: bool) -> None:
    """A large body arrives as it was sent, in whatever frames (RFC 9113, section 6.1)."""
    rows = [[float(at), 3.5, 1.4, 0.2] for at in range(size // 22)]
    data = json.dumps({"features": rows}).encode()
    length = [(b"content-length", b"%d" % len(data))] if announced else []
    answer, document = ask(client, "POST", "/v1/predict/prices", data, *length)
    assert (answer.status, len(document["predictions"])) == (200, len(rows))


def test_8_1_1_a_body_in_two_frames_with_a_pause(client: Speaker) -> None:
    """A body is read when it is whole, however long its pieces take."""
    stream = client.ask(plain_fields("POST", "/predict"), BODY[:5], end=False)
    client.round_trip()
    client.say(stream, BODY[5:]).round_trip().say(stream, end=True)
    assert client.answer(stream).status == 200


def test_8_3_1_where_the_host_stands(client: Speaker) -> None:
    """The host may be in :authority, in Host, or in neither (RFC 9113, section 8.3.1)."""
    base = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/health")]
    for more in ([(b":authority", b"a.example:80")], [(b":authority", b"[::1]:8000")]):
        assert client.answer(client.ask([*base, *more])).status == 200
    raw = [*base, (b"host", b"a.example")]
    assert client.answer(client.ask([(b":authority", b"a.example"), *raw])).status == 200


@pytest.mark.parametrize("authority", [b"", b"a b", b"a\r\nx: y", b"user@a", b"%00", b"\x80\xff"])
def test_8_3_1_an_odd_authority(apps: RpcService, raw: OpenRaw, authority: bytes) -> None:
    """Whatever stands for the host, it becomes one header or none, and is no way in."""
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/describe")]
    client = raw(apps.url).send(START + head(1, [*fields, (b":authority", authority)], end=True))
    answer = client.answer(1)
    assert answer.status in (200, 400) or answer.reset == http2.PROTOCOL_ERROR
    assert b"'x'" not in answer.body


def test_8_5_there_is_no_connect(apps: RpcService, raw: OpenRaw) -> None:
    """CONNECT is refused, with and without what RFC 8441 adds (RFC 9113, section 8.5)."""
    client = raw(apps.url).send(START)
    fields = [(b":method", b"CONNECT"), (b":authority", b"a:1")]
    client.send(head(1, fields))
    assert client.answer(1).reset == http2.PROTOCOL_ERROR
    client.send(head(3, [*fields, (b":protocol", b"websocket")]))
    assert client.answer(3).reset == http2.PROTOCOL_ERROR
    client.send(head(5, plain_fields("CONNECT", "/one")))
    assert client.answer(5).reset == http2.PROTOCOL_ERROR


def test_a_websocket_is_not_spoken(apps: RpcService, speak: Open) -> None:
    """What is asked by WebSocket only is answered 426, whatever a client offers."""
    client = speak(apps.url)
    answer = client.answer(client.ask(plain_fields("GET", "/one")))
    assert (answer.status, b"upgrade" in answer.headers) == (426, False)


def test_8_2_3_cookies_are_joined(apps: RpcService, speak: Open) -> None:
    """Cookies that come apart reach the app as one header (RFC 9113, section 8.2.3)."""
    client = speak(apps.url)
    fields = plain_fields("GET", "/describe", (b"cookie", b"a=1"), (b"cookie", b"b=2"))
    assert b"(b'cookie', b'a=1; b=2')" in client.answer(client.ask(fields)).body


# -- the app --

BREAKS_OFF = {"/fail_after_start", "/fail_in_the_middle", "/half", "/too_long", "/too_short"}
BREAKS_OFF |= {"/twice", "/split"}
WAITS = {"/until_disconnect", "/wait_early"}


@pytest.mark.parametrize("path", sorted(set(scripted_app.SCRIPTS) - WAITS - {"/large"}))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_app_answers_as_over_http_1(
    apps: RpcService, speak: Open, connect: Connect, path: str, method: str
) -> None:
    """What the app says is carried over; where it breaks off, the stream is reset."""
    client, data = speak(apps.url), b"body" if method == "POST" else None
    answer = client.answer(client.ask(plain_fields(method, path), data))
    plain = connect(apps.url).send(request(method, path, data))
    if answer.reset is not None:
        assert answer.reset == BROKEN_OFF
        with pytest.raises(EOFError):
            plain.answer(method)
        assert path in BREAKS_OFF
    elif path not in ("/describe", "/early"):
        assert new(answer) == old(plain.answer(method))
    else:
        assert answer.status == 200


@pytest.mark.parametrize("size", [0, 10, 100_000, 900_000])
def test_the_app_reads_a_body(apps: RpcService, speak: Open, size: int) -> None:
    """A body reaches the app whole, and is credited as the app takes it (section 6.9)."""
    client, data = speak(apps.url), b"x" * size
    assert client.answer(client.ask(plain_fields("POST", "/echo"), data)).body == data
    counted = client.answer(client.ask(plain_fields("POST", "/count"), data))
    assert counted.body == b"%d" % size


def test_8_1_an_early_answer(apps: RpcService, raw: OpenRaw) -> None:
    """An answer before the end of the body leaves at once; the rest is not wanted."""
    client = raw(apps.url).send(START + head(1, plain_fields("POST", "/wait_early")))
    answer = client.send(http2.body(1, b"begun", end=False)).answer(1)
    assert (bytes(answer.body), answer.ended) == (b"early", True)
    client.send(http2.body(1, b"x" * 1000, end=False)).round_trip()
    assert client.reader.answers[1].reset == http2.NO_ERROR


def test_8_1_what_follows_an_early_answer_counts_for_nothing(
    apps: RpcService, raw: OpenRaw, until: Until
) -> None:
    """Also where the client's window holds the answer back while it sends on."""
    start = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0))
    client = raw(apps.url).send(start + head(1, plain_fields("POST", "/wait_early")))
    client.round_trip()
    (connection,) = (each for each in apps.ask(lambda: every(apps)) if each.h2.streams)
    client.send(http2.body(1, b"begun", end=False)).round_trip()
    until(lambda: connection.h2.queued_bytes and connection.h2.streams[1].user._closing)
    client.send(http2.body(1, b"x" * 1000, end=False)).round_trip()
    client.send(frame(http2.WINDOW_UPDATE, 0, 1, http2.number(1000)))
    assert client.answer(1).body == b"early"
    assert connection._held == 0


def test_9110_10_1_1_who_expects_to_be_told_to_go_on(apps: RpcService, speak: Open) -> None:
    """Expect: 100-continue is answered before the body comes (RFC 9110, section 10.1.1)."""
    client = speak(apps.url)
    fields = plain_fields("POST", "/echo", (b"expect", b"100-continue"))
    stream = client.ask(fields, end=False)
    while not client.informed:
        client.pump()
    client.say(stream, b"body", end=True)
    assert (bytes(client.answer(stream).body), client.informed) == (b"body", [100])


def test_9110_15_5_14_a_body_that_is_too_large(apps: RpcService, raw: OpenRaw) -> None:
    """One that is announced, or comes, too large is refused, and the connection goes on."""
    most = LIMITS.body_bytes
    client = raw(apps.url).send(START)
    length = (b"content-length", b"%d" % (most + 1))
    client.send(head(1, plain_fields("POST", "/echo", length)))
    assert client.answer(1).status == 413
    client.send(head(3, plain_fields("POST", "/echo")))
    client.send(http2.body(3, bytes(most + 1), end=False))
    assert client.answer(3).status == 413
    client.send(head(5, plain_fields("GET", "/204"), end=True))
    assert client.answer(5).status == 204


def test_bodies_of_a_connection_are_limited_together(apps: RpcService, raw: OpenRaw) -> None:
    """A connection holds two of the largest bodies; a request that is too much is reset."""
    client = raw(apps.url).send(START)
    for stream in (1, 3, 5):
        client.send(head(stream, plain_fields("POST", "/echo")))
        client.send(http2.body(stream, bytes(900_000), end=False))
    client.round_trip()
    resets = [each.reset for each in client.reader.answers.values() if each.reset]
    assert resets == [http2.ENHANCE_YOUR_CALM]
    for stream in (1, 3, 5):
        client.send(frame(http2.RST_STREAM, 0, stream, http2.number(http2.CANCEL)))
    client.round_trip()
    connection = apps.ask(lambda: every(apps))[-1]
    assert connection._held == 0


def test_a_stream_of_the_app_stands_still(apps: RpcService, raw: OpenRaw, until: Until) -> None:
    """Neither a shut window nor an unread socket lets an endless answer pile up."""
    scripted_app.departures.clear()
    shut = raw(apps.url).send(PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 100)))
    shut.send(head(1, plain_fields("GET", "/large"), end=True)).round_trip()
    [connection] = [each for each in apps.ask(lambda: every(apps)) if each.h2.streams]
    queue = connection.h2.streams[1].queue
    assert queue.size <= 1 << 20
    size = queue.size
    shut.round_trip()
    assert queue.size == size
    wide = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, (1 << 31) - 1))
    wide += frame(http2.WINDOW_UPDATE, payload=http2.number((1 << 31) - 1 - 65535))
    deaf = raw(apps.url, receive_buffer=4096).send(wide)
    for stream in range(1, 21, 2):
        deaf.send(head(stream, plain_fields("GET", "/large"), end=True))
    until(lambda: apps.ask(lambda: any(not each.writable for each in every(apps))))
    kept = apps.ask(lambda: [each._transport.get_write_buffer_size() for each in every(apps)])
    assert max(kept) < 12 << 20
    shut.close()
    deaf.close()
    until(lambda: not apps.ask(lambda: every(apps)))


def test_an_endless_stream_ends_with_its_client(
    apps: RpcService, speak: Open, until: Until
) -> None:
    """The app hears when a stream is reset, and when its connection ends."""
    scripted_app.departures.clear()
    client = speak(apps.url)
    streams = [client.ask(plain_fields("GET", "/endless")) for _ in range(2)]
    while not all(client.answers[each].body for each in streams):
        client.pump()
    client.h2.reset_stream(streams[0])
    client.flush()
    until(lambda: scripted_app.departures == ["stream closed"])
    client.close()
    until(lambda: scripted_app.departures == ["stream closed"] * 2)


def test_a_server_that_stops_ends_plain_requests(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """A request under way is answered while the server drains, then the connection ends."""
    rpc.service.app = scripted_app.app
    client = raw(rpc.url).send(START + head(1, plain_fields("POST", "/echo")))
    client.send(http2.body(1, b"bo", end=False)).round_trip()
    rpc.drain()
    client.frame(http2.GOAWAY)
    client.send(http2.body(1, b"dy"))
    assert client.answer(1).body == b"body"
    assert client.left() == http2.NO_ERROR
    until(lambda: rpc.connections() == 0)
