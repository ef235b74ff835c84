"""A worker that holds as much as it may: who comes beyond that is told so, in its protocol."""

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

import inferd
from fuzz import http2
from fuzz.http2 import START, grpc_fields, head, message
from inferd.lanes.capacity import Capacity
from inferd.server.embedded import Server
from tests.conftest import ROW, Models
from tests.lanes import socket_client
from tests.lanes.client import Client, document, predict, request
from tests.lanes.conftest import Connect, OpenRaw, Until
from tests.lanes.scripted_rpc import EACH, ONE, RpcService
from tests.lanes.scripted_service import ScriptedService
from tests.lanes.socket_client import CLOSE, TEXT, Socket

AGES = [200_000]  # turns of the spinning model: a second or more
MOST = 50_000


@pytest.fixture
def narrow(models: Models) -> Iterator[tuple[Server, Capacity]]:
    """A server with room for few bytes."""
    with inferd.serve(
        models.iris, models.spin, default_model="iris", inline_limit_microseconds=0
    ) as server:
        yield server, _narrowed(server._worker._services["main"])


def _narrowed(service: Any, most: int = MOST) -> Capacity:
    room: Capacity = service.capacity
    room.request_bytes = most
    return room


def _padded(row: list[Any], size: int, model: str = "iris") -> bytes:
    body = json.dumps({"features": row}).encode()
    return request("POST", f"/v1/predict/{model}", body[:-1] + b" " * (size - len(body)) + b"}")


# -- bytes, HTTP/1.1 --


def test_what_waits_counts_until_it_is_answered(
    narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """Requests that wait fill the room; another is refused with its connection kept, and taken
    once they are answered."""
    server, room = narrow
    busy = [connect(server.url).send(_padded([60_000], MOST // 4, "spin")) for _ in range(4)]
    until(lambda: room.is_full)
    client = connect(server.url)
    refused = client.send(predict(ROW)).answer()
    assert refused.status == 429
    assert refused.header("retry-after") == "1"
    assert "as many bytes" in document(refused)["error"]
    assert client.send(request("GET", "/health")).answer().status == 200
    assert [each.answer().status for each in busy] == [200] * 4
    assert room.bytes == 0
    assert client.send(predict(ROW)).answer().status == 200


def test_a_refusal_is_told_in_the_words_of_the_dialect(
    narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """Whoever asks in KServe's form is refused in it."""
    server, room = narrow
    connect(server.url).send(_padded(AGES, MOST, "spin"))
    until(lambda: room.is_full)
    body = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}'
    answer = connect(server.url).send(request("POST", "/v2/models/iris/infer", body)).answer()
    assert answer.status == 429
    assert set(document(answer)) == {"error"}


def test_a_large_body_is_refused_before_it_is_sent(
    narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """Its length is enough; the client is not told to go on with it."""
    server, room = narrow
    connect(server.url).send(_padded(AGES, MOST - 1000, "spin"))
    until(lambda: room.bytes)
    expects = "expect: 100-continue\r\n"
    for size, headers in ((40_000_000, ""), (2000, expects)):
        lines = f"{headers}content-length: {size}\r\n"
        client = connect(server.url).send(request("POST", "/predict", headers=lines))
        assert client.answer().status == 429
        assert client.is_closed()


def test_a_body_that_comes_counts(
    narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """What is there of bodies that are not whole fills the room as well, however they come, and
    leaves it with its client."""
    server, room = narrow
    data = _padded(ROW, MOST - 1000)
    client = connect(server.url).send(data[: MOST // 2])
    until(lambda: room.bytes > MOST // 4)
    chunked = request("POST", "/predict", headers="transfer-encoding: chunked\r\n")
    other = connect(server.url).send(chunked + b"%x\r\n%b\r\n" % (MOST, b" " * MOST))
    assert other.answer().status == 429
    assert other.is_closed()
    client.close()
    until(lambda: room.bytes == 0)


def test_a_client_that_goes_gives_its_room_back(
    narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """Bytes count until the model has done with them, and no longer."""
    server, room = narrow
    for size in (1000, 300_000):  # decoded at once, and in a thread
        room.request_bytes = 2 * size
        client = connect(server.url).send(_padded([9000], size, "spin") * 2)
        until(lambda: room.bytes)
        client.close()
        until(lambda: room.bytes == 0)


# -- bytes, the others --


def test_messages_are_refused_each_for_itself(until: Until) -> None:
    """A WebSocket's message that there is no room for is told so in its turn, and its connection
    goes on; half a one ends it with 1013."""
    stage = ScriptedService()
    try:
        room = _narrowed(stage.service, 10)
        with Socket(stage.url, "/one") as client, Socket(stage.url, "/one") as other:
            client.send(_say("hold" + " " * 10) + _say("hello"))
            until(lambda: room.is_full)
            other.send(socket_client.frame(TEXT, b"hel", fin=False))
            last = other.frame()
            assert (last.opcode, last.code) == (CLOSE, 1013)
            reply: Any = stage.held[0]
            stage.ask(lambda: (reply.part("done"), reply.end()))
            told = [each.payload for each in client.frames(2)]
            assert told[0] == b"done"
            assert b"as many bytes" in told[1]
            until(lambda: room.bytes == 0)
            assert client.send(_say("hello")).frame().payload == b"hello"
    finally:
        stage.close()


def _say(text: str) -> bytes:
    return socket_client.frame(TEXT, text.encode())


@pytest.mark.parametrize("cancels", [False, True], ids=["answered", "cancelled"])
def test_calls_are_refused(rpc: RpcService, raw: OpenRaw, until: Until, *, cancels: bool) -> None:
    """Over gRPC with RESOURCE_EXHAUSTED and the time to wait; a call that its client cancels counts
    until the model has done with it."""
    room = _narrowed(rpc.service, 10)
    held = message(b"hold" + b" " * 10)
    client = raw(rpc.url).send(START + head(1, grpc_fields(ONE)) + http2.body(1, held))
    until(lambda: room.is_full)
    client.send(head(3, grpc_fields(ONE)) + http2.body(3, message(b"echo")))
    refused = client.answer(3)
    assert refused.grpc == 8
    assert dict(refused.fields)[b"grpc-retry-pushback-ms"] == b"1000"
    if cancels:
        client.send(http2.frame(http2.RST_STREAM, 0, 1, http2.number(http2.CANCEL))).round_trip()
        assert room.is_full
    reply: Any = rpc.held[0]
    rpc.ask(lambda: (reply.part("done"), reply.end()))
    assert room.bytes == 0
    client.send(head(5, grpc_fields(ONE)) + http2.body(5, message(b"echo")))
    assert client.answer(5).grpc == 0


def test_requests_of_a_stream_are_refused_each_for_itself(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """A stream of requests goes on over one that there is no room for."""
    room = _narrowed(rpc.service, 10)
    client = raw(rpc.url).send(START + head(1, grpc_fields(EACH)))
    held = message(b"hold" + b" " * 10)
    client.send(http2.body(1, held, end=False))
    until(lambda: room.is_full)
    client.send(http2.body(1, message(b"echo"), end=False)).round_trip()
    reply: Any = rpc.held[0]
    rpc.ask(lambda: (reply.part("done"), reply.end()))
    client.send(http2.body(1, message(b"echo")))
    answer = client.answer(1)
    assert answer.grpc == 0
    parts = http2.messages(bytes(answer.body))
    assert parts[0] == b"done"
    assert sum(b"as many bytes" in each for each in parts) == 1
    assert parts[-2] == b"echo"
    assert room.bytes == 0


def test_who_has_gone_is_not_remembered(
    rpc: RpcService, raw: OpenRaw, narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """However a request came and ended, nothing is kept of it."""
    server, room = narrow
    room.request_bytes = 10_000_000
    data = _padded(ROW, 300_000)
    client = connect(server.url)
    assert {answer.status for answer in client.send(data * 3 + predict(ROW) * 3).answers(6)} == {
        200
    }
    connect(server.url).send(data[:-5]).close()
    connect(server.url).send(predict(ROW)[:-5]).close()
    connect(server.url).send(request("POST", "/v2/nothing", b"x" * 300_000)).answer()
    until(lambda: not room._held)
    calls = rpc.service.capacity
    speaker = raw(rpc.url).send(START + head(1, grpc_fields(EACH)))
    for _ in range(9):
        speaker.send(http2.body(1, message(b"echo") * 3, end=False))
    speaker.send(http2.body(1, b"")).answer(1)
    for at, sent in enumerate((message(b"echo"), message(b"hold"), message(b"explode"), b"\0\0")):
        speaker.send(head(3 + 2 * at, grpc_fields(ONE)) + http2.body(3 + 2 * at, sent))
    until(lambda: rpc.held)
    speaker.send(head(11, grpc_fields(ONE)) + http2.body(11, message(b"x" * 999)[:500], end=False))
    speaker.close()
    until(lambda: rpc.held[0].cancelled)
    rpc.ask(rpc.held[0].end)
    until(lambda: not calls._held)


# -- connections --


@pytest.fixture
def crowded(server: Server) -> Iterator[Server]:
    """The server, whose every client is one too many."""
    room = server._worker._services["main"].capacity
    before, room.connections = room.connections, 0
    yield server
    room.connections = before


def test_a_client_too_many_is_told(crowded: Server, connect: Connect) -> None:
    """Over HTTP/1.1 with 503 and the time to wait, however much of its request it has sent."""
    for data in (b"GET", predict(ROW), predict(ROW) * 1000):
        client = connect(crowded.url).send(data)
        answer = client.answer()
        assert (answer.status, answer.header("connection")) == (503, "close")
        assert answer.header("retry-after") == "1"
        assert "too many clients" in document(answer)["error"]
        assert client.is_closed()


def test_a_client_of_grpc_too_many_fails_at_once(crowded: Server, connect: Connect) -> None:
    """Its connection ends before the server's SETTINGS, so that it is told UNAVAILABLE and waits
    before it connects again."""
    assert connect(crowded.url).send(START + head(1, grpc_fields(ONE))).is_closed()
    with grpc.insecure_channel(crowded.url.removeprefix("http://")) as channel:
        call = channel.unary_unary(ONE)
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - begun < 5


def test_a_crowd_is_cut_off_without_a_word(crowded: Server, until: Until) -> None:
    """Of those that are too many and say nothing few are waited for, and not for long."""
    room = crowded._worker._services["main"].capacity
    crowd = [Client(crowded.url) for _ in range(100)]
    try:
        until(lambda: sum(_is_cut(each) for each in crowd) >= 36)
        assert room.turned_away <= 64
        until(lambda: room.turned_away == 0)
    finally:
        for each in crowd:
            each.close()


def _is_cut(client: Client) -> bool:
    client.socket.settimeout(0.001)
    try:
        client.ended = client.ended or client.socket.recv(1) == b""
    except ConnectionResetError:
        client.ended = True
    except TimeoutError:
        pass
    return client.ended


def test_a_place_is_free_when_its_client_has_gone(
    server: Server, connect: Connect, until: Until
) -> None:
    """Whoever comes after is served again."""
    service = server._worker._services["main"]
    room = service.capacity
    before, room.connections = room.connections, len(service.connections) + 1
    try:
        first = connect(server.url)
        assert first.send(predict(ROW)).answer().status == 200
        assert connect(server.url).send(predict(ROW)).answer().status == 503
        first.close()
        until(lambda: len(service.connections) < room.connections)
        assert connect(server.url).send(predict(ROW)).answer().status == 200
    finally:
        room.connections = before


def test_what_is_packed_counts_unpacked(
    narrow: tuple[Server, Capacity], connect: Connect, until: Until
) -> None:
    """A small body that is a large one in truth is refused before it waits for its model."""
    server, room = narrow
    row = json.dumps({"features": ROW}).encode()
    client = connect(server.url)
    for body, status in ((row + b" " * MOST, 429), (row, 200)):
        packed = gzip.compress(body)
        client.send(request("POST", "/predict", packed, "content-encoding: gzip\r\n"))
        assert client.answer().status == status
    until(lambda: not room._held)


@pytest.mark.parametrize("path", [ONE, EACH])
def test_messages_that_are_packed_count_unpacked(rpc: RpcService, raw: OpenRaw, path: str) -> None:
    """Over gRPC as well, each message for itself."""
    room = _narrowed(rpc.service, 1000)
    sent = message(gzip.compress(b"echo" + b" " * 2000), packed=True)
    fields = grpc_fields(path, (b"grpc-encoding", b"gzip"))
    answer = raw(rpc.url).send(START + head(1, fields) + http2.body(1, sent)).answer(1)
    assert answer.grpc == (8 if path == ONE else 0)
    assert path == ONE or b"as many bytes" in answer.body
    assert not room._held


def test_what_follows_an_end_that_waits_counts_for_nothing(rpc: RpcService, raw: OpenRaw) -> None:
    """A stream that has failed, of which its client's window holds the end back, keeps nothing of
    what the client still sends."""
    start = http2.PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0))
    client = raw(rpc.url).send(start + head(1, grpc_fields(EACH)))
    for data in (message(b"echo"), b"\2\0\0\0\0", message(b"x" * 999)[:500]):
        client.send(http2.body(1, data, end=False)).round_trip()
    client.send(http2.frame(http2.WINDOW_UPDATE, 0, 1, http2.number(1000)))
    assert client.answer(1).grpc == 3
    assert rpc.ask(lambda: dict(rpc.service.capacity._held)) == {}


def test_a_call_of_no_bytes_is_answered_though_there_is_no_room(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """As a question of the server's health is, which must not fail for the requests of others."""
    room = _narrowed(rpc.service, 10)
    held = message(b"hold" + b" " * 10)
    client = raw(rpc.url).send(START + head(1, grpc_fields(ONE)) + http2.body(1, held))
    until(lambda: room.is_full)
    client.send(head(3, grpc_fields(ONE)) + http2.body(3, message(b"")))
    assert client.answer(3).grpc == 0
