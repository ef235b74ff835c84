"""The last second of a server: what its clients send before they can know of its end is answered,
and tells them."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import inferd
from fuzz import http2
from fuzz.http2 import START, frame, grpc_fields, head, message, plain_fields
from inferd.server.embedded import Server
from inferd.wire.h2.controlling import FAREWELL
from tests.conftest import ROW, Models
from tests.lanes import socket_client
from tests.lanes.client import Client, document, predict, request
from tests.lanes.conftest import Connect, OpenRaw, Until
from tests.lanes.ending import Ending
from tests.lanes.scripted_rpc import ONE, RpcService
from tests.lanes.scripted_service import ScriptedService
from tests.lanes.socket_client import CLOSE, Socket
from tests.unit.python_files import COUNT, write

LONG = [60_000]  # turns of the spinning model: some tenths of a second
AGES = [200_000]  # a second or more
HELD, ECHO = message(b"hold"), message(b"echo")
PATIENT = 8.0  # seconds of a farewell that a test does not wait for
CLIENTS = 12


@pytest.fixture
def ending(models: Models) -> Iterator[tuple[Server, Ending]]:
    """A server of one's own, to be stopped."""
    with inferd.serve(
        models.iris, models.spin, default_model="iris", inline_limit_microseconds=0
    ) as running:
        yield running, Ending(running)


def test_a_request_after_the_stop_is_answered_as_the_last(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """A client may ask once more, on a connection that was used and on one that was not."""
    server, end = ending
    used, fresh = connect(server.url), connect(server.url)
    assert used.send(predict(ROW)).answer().status == 200
    assert connect(server.url).send(predict(ROW)).answer().status == 200  # all are accepted
    end.begin(PATIENT)
    for client in (used, fresh):
        answer = client.send(predict(ROW)).answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert client.is_closed()


def test_whoever_asks_nothing_is_waited_for_only_a_little(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """Idle connections are closed when the farewell is over, and count as ended well."""
    server, end = ending
    used, fresh = connect(server.url), connect(server.url)
    assert used.send(predict(ROW)).answer().status == 200
    end.begin(0.2)
    assert used.is_closed()
    assert fresh.is_closed()
    assert end.cut_off() == 0


def test_pipelined_requests_are_all_answered(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """Of what comes together all is answered, and only the last answer says that it is."""
    server, end = ending
    client = connect(server.url)
    assert client.send(predict(ROW)).answer().status == 200
    end.begin(PATIENT)
    client.send(predict(ROW) * 4 + request("GET", "/health") + request("GET", "/nothing"))
    answers = client.answers(6)
    assert [answer.status for answer in answers] == [200] * 5 + [404]
    assert [answer.header("connection") for answer in answers] == [None] * 5 + ["close"]
    assert client.is_closed()


def test_what_a_pipelined_request_asks_for_is_not_mixed_up(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """Each is answered as it was asked, though its answer waits for the request behind it."""
    server, end = ending
    client = connect(server.url)
    assert client.send(predict(ROW)).answer().status == 200
    end.begin(PATIENT)
    kept = "connection: keep-alive\r\n"
    old = predict(ROW, headers=kept, version="1.0")
    client.send(request("HEAD", "/nothing") + old + request("HEAD", "/health") + predict(ROW))
    assert client.answer("HEAD").status == 404
    second = client.answer()
    assert (second.status, second.header("connection")) == (200, "keep-alive")
    assert client.answer("HEAD").status == 200
    last = client.answer()
    assert (document(last)["prediction"], last.header("connection")) == (0, "close")
    assert client.is_closed()


def test_requests_that_come_one_by_one_behind_a_slow_one(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """What was taken for the last is not, once another comes before its answer has left."""
    server, end = ending
    client = connect(server.url).send(predict(LONG, "spin"))
    assert connect(server.url).send(predict(ROW)).answer().status == 200
    end.begin(PATIENT)
    client.send(predict(ROW))
    assert connect(server.url).send(request("GET", "/health")).answer().status == 200
    client.send(predict(ROW) + predict(ROW)[:30])
    assert connect(server.url).send(request("GET", "/health")).answer().status == 200
    client.send(predict(ROW)[30:])
    answers = client.answers(4)
    assert [answer.status for answer in answers] == [200] * 4
    assert [answer.header("connection") for answer in answers] == [None] * 3 + ["close"]
    assert client.is_closed()


def test_nothing_follows_an_answer_that_must_be_the_last(
    models: Models, connect: Connect, until: Until, tmp_path: Path
) -> None:
    """Neither a stream by HTTP/1.0, which ends with its connection, nor the app's answer to half a
    body is taken back as the last, though another request comes while it waits for its turn."""
    count = write(tmp_path, COUNT, "count.py")
    row = b'{"upto":3,"seconds":0}'
    kept = "connection: keep-alive\r\n"
    stream = request("POST", "/v2/models/count/generate_stream", row, kept, "1.0")
    half = request("POST", "/nothing", headers="content-length: 2\r\n") + b"1"
    with inferd.serve(
        models.iris, models.spin, count, inline_limit_microseconds=0, native_processes=0
    ) as server:
        clients = [connect(server.url) for _ in range(2)]
        for client in clients:
            assert client.send(request("GET", "/health")).answer().status == 200
        end = Ending(server)
        every: Any = tuple(end.service.connections)
        end.begin(PATIENT)
        for client, last in zip(clients, (stream, half), strict=True):
            client.send(predict(AGES, "spin") + last)
        until(lambda: all(len(each._turns) == 2 and each._turns[1].is_begun for each in every))
        clients[1].send(b"2")
        for client in clients:
            assert connect(server.url).send(request("GET", "/health")).answer().status == 200
            client.send(predict(ROW, "iris"))
            assert client.answer().status == 200
            answer = client.answer()
            assert answer.header("connection") == "close"
            assert b"HTTP/1.1" not in answer.body + client.rest()
        assert end.cut_off() == 0


def test_a_large_body_that_is_under_way_is_taken(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """A client in the middle of a large request sends the rest of it, and is answered."""
    server, end = ending
    padding = b" " * 2_000_000
    data = request("POST", "/predict", b'{"features":[5.1,3.5,1.4,0.2]' + padding + b"}")
    client = connect(server.url).send(data[:1_000_000])
    assert connect(server.url).send(predict(ROW)).answer().status == 200
    end.begin(0.1)
    answer = client.send(data[1_000_000:]).answer()
    assert (answer.status, answer.header("connection")) == (200, "close")
    assert document(answer)["prediction"] == 0
    assert end.cut_off() == 0


def test_what_follows_the_last_request_does_not_harm_its_answer(
    ending: tuple[Server, Ending], connect: Connect
) -> None:
    """A client that sends on after its last answer left still reads that answer: its connection
    is not reset."""
    server, end = ending
    client = connect(server.url)
    end.begin(PATIENT)
    client.send(predict(ROW))
    with suppress(OSError):  # on a machine that has other things to do the server has closed by now
        client.send(predict(ROW) * 200)
    answer = client.answer()
    while answer.header("connection") != "close":
        answer = client.answer()
    assert client.rest() == b""
    client.close()
    assert end.cut_off() == 0


def test_no_request_is_lost(models: Models, until: Until) -> None:
    """Of clients that always have a request under way, or send one whenever they like, none sees
    one fail: not the answer, nor the connection before it was told to close."""
    for _ in range(3):
        with inferd.serve(models.iris, models.spin, default_model="iris") as server:
            askers = [Asker(server.url, depth=1 + at % 3) for at in range(CLIENTS)]
            until(lambda askers=askers: all(asker.answered > 20 for asker in askers))  # type: ignore[misc]  # mypy knows no default of a lambda
            end = Ending(server)
            end.begin(PATIENT)
            for asker in askers:
                asker.thread.join(10)
            assert end.cut_off() == 0
        assert [asker.fault for asker in askers] == [""] * CLIENTS
        assert all(asker.was_told for asker in askers)


class Asker:
    """Sends *depth* requests at once, again and again, until it is told to go."""

    def __init__(self, url: str, depth: int) -> None:
        self._client, self._depth = Client(url), depth
        self.answered, self.was_told, self.fault = 0, False, ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._client as client:
                while not self.was_told:
                    client.send(predict(ROW) * self._depth)
                    for _ in range(self._depth):
                        answer = client.answer()
                        assert answer.status == 200
                        self.answered += 1
                        assert not self.was_told
                        self.was_told = answer.header("connection") == "close"
        except (AssertionError, OSError, EOFError) as error:
            self.fault = f"{type(error).__name__}: {error}"


# -- HTTP/2 --


def _finish(reply: Any) -> None:
    reply.part("done")
    reply.end()


def _last(goaway: http2.Frame) -> int:
    return int.from_bytes(goaway.payload[:4])


def test_6_8_a_client_is_warned_before_it_is_refused(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """The first GOAWAY refuses nothing, and what was on its way is answered; the second follows the
    client's answer to a ping and names the last stream (RFC 9113, section 6.8)."""
    client = raw(rpc.url).send(START + head(1, grpc_fields(ONE)) + http2.body(1, HELD))
    until(lambda: rpc.held)
    rpc.warn()
    goaway = client.frame(http2.GOAWAY)
    assert (_last(goaway), goaway.code) == (2**31 - 1, http2.NO_ERROR)
    client.send(head(3, grpc_fields(ONE)) + http2.body(3, ECHO))
    assert client.answer(3).grpc == 0
    client.send(frame(http2.PING, http2.ACK, payload=bytes(8))).round_trip()  # it answers another
    assert not rpc.ask(lambda: next(iter(rpc.service.connections)).h2.is_leaving)  # type: ignore[attr-defined]  # an HTTP/2 one
    client.send(frame(http2.PING, http2.ACK, payload=FAREWELL))
    goaway = client.frame(http2.GOAWAY)
    assert (_last(goaway), goaway.code) == (3, http2.NO_ERROR)
    client.send(head(5, grpc_fields(ONE)) + http2.body(5, ECHO))
    rpc.ask(lambda: _finish(rpc.held[0]))
    assert client.answer(1).grpc == 0
    assert client.left() == http2.NO_ERROR
    assert sorted(client.reader.answers) == [1, 3]


def test_6_8_a_client_that_answers_no_ping(rpc: RpcService, raw: OpenRaw) -> None:
    """When the farewell is over the connection ends without its answer."""
    client = raw(rpc.url).send(START).round_trip()
    rpc.warn()
    assert _last(client.frame(http2.GOAWAY)) == 2**31 - 1
    rpc.drain()
    assert client.left() == http2.NO_ERROR


def test_6_8_a_plain_request_after_the_warning(rpc: RpcService, raw: OpenRaw) -> None:
    """An ordinary request that was on its way is answered as it would have been before."""
    client = raw(rpc.url).send(START).round_trip()
    rpc.warn()
    client.frame(http2.GOAWAY)
    client.send(head(1, plain_fields("GET", "/nothing"), end=True))
    assert client.answer(1).status == 404
    client.send(head(3, plain_fields("GET", "/nothing"), end=True))
    assert client.answer(3).status == 404


def test_6_8_no_call_is_lost(rpc: RpcService, raw: OpenRaw) -> None:
    """A client that always has calls under way has each answered that it began before it knew."""
    clients = [raw(rpc.url).send(START) for _ in range(CLIENTS)]
    for at, client in enumerate(clients):
        for number in range(1, 200, 2):
            client.send(head(number, grpc_fields(ONE)) + http2.body(number, ECHO))
            if number == 101 and at == CLIENTS // 2:
                rpc.warn()
    for client in clients:
        client.send(frame(http2.PING, http2.ACK, payload=FAREWELL))
        assert all(client.answer(number).grpc == 0 for number in range(1, 200, 2))
        assert client.left() == http2.NO_ERROR


# -- WebSocket --


@pytest.fixture
def stage() -> Iterator[ScriptedService]:
    """The scripted dialect's messages."""
    running = ScriptedService()
    yield running
    running.close()


def test_7_4_1_a_message_after_the_warning_is_answered(stage: ScriptedService) -> None:
    """A client hears of the end behind its next answer, together with it."""
    with Socket(stage.url, "/one") as client:
        client.send(_say("hello"))
        client.frame()
        stage.warn()
        client.send(_say("hello") + _say("again"))
        first, second, last = client.frames(3)
        assert [first.payload, second.payload] == [b"hello", b"again"]
        assert (last.opcode, last.code) == (CLOSE, 1001)


def test_7_4_1_a_client_that_asks_nothing_more(stage: ScriptedService) -> None:
    """It is told when the farewell is over."""
    with Socket(stage.url, "/one") as client:
        stage.warn()
        client.send(b"\x89\x80\0\0\0\0")
        assert client.frame().opcode == 0xA
        stage.drain()
        assert client.frame().code == 1001


def test_a_handshake_after_the_warning_is_taken(stage: ScriptedService) -> None:
    """A client whose handshake was on its way asks once, and is told."""
    client = Client(stage.url)
    client.send(request("GET", "/nothing")).answer()
    stage.warn()
    client.close()
    with Socket(stage.url, "/one") as late:
        late.send(_say("hello"))
        answer, last = late.frames(2)
        assert (answer.payload, last.code) == (b"hello", 1001)


def _say(text: str) -> bytes:
    return socket_client.frame(socket_client.TEXT, text.encode())
