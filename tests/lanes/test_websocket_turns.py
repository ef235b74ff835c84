"""WebSocket behind a scripted dialect: answers in parts, back-pressure, what is under way, and the
end of connections."""

import http.client
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from inferd.calls import InferResponse
from inferd.errors import NotReady
from inferd.lanes.handshake import refuse, shake
from tests.lanes.client import document
from tests.lanes.conftest import Connect, Until
from tests.lanes.scripted_service import FOR_EVER, LIMITS, UNTELLABLE, ScriptedService
from tests.lanes.socket_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    OFFER,
    PING,
    PONG,
    TEXT,
    Frame,
    Socket,
    frame,
    head,
)


@pytest.fixture
def stage() -> Iterator[ScriptedService]:
    """A listener of one's own."""
    service = ScriptedService()
    yield service
    service.close()


Open = Callable[..., Socket]


@pytest.fixture
def play(stage: ScriptedService) -> Iterator[Open]:
    """Open a WebSocket on the stage."""
    sockets: list[Socket] = []

    def open_one(target: str = "/one", **options: Any) -> Socket:
        sockets.append(Socket(stage.url, target, **options))
        return sockets[-1]

    yield open_one
    for each in sockets:
        each.close()


def say(*lines: str) -> bytes:
    """A message for each of *lines*."""
    return b"".join(frame(TEXT, line.encode()) for line in lines)


def texts(frames: list[Frame]) -> list[str]:
    """What text messages say."""
    assert {each.opcode for each in frames} <= {TEXT}
    return [each.payload.decode() for each in frames]


# -- parts, and their end --


def test_a_whole_answer_is_one_message_without_an_end(play: Open) -> None:
    """A model that answers at once needs no mark: a question, an answer."""
    client = play().send(say("hello", "again"))
    assert texts(client.frames(2)) == ["hello", "again"]


def test_each_part_is_a_message_and_the_end_is_told(play: Open) -> None:
    """An operation that streams sends its parts, none or many, and what it says at the end."""
    client = play("/many").send(say("parts 3", "parts 0"))
    assert texts(client.frames(5)) == ["0", "1", "2", "[DONE]", "[DONE]"]


def test_a_model_in_parts_ends_with_an_empty_message(play: Open) -> None:
    """A model that answers in parts does so over an operation that does not stream, too; an empty
    message says that there are no more."""
    client = play("/model").send(say("3", "1", "0"))
    assert texts(client.frames(7)) == ["3", "4", "5", "", "1", "", ""]


def test_an_error_ends_a_stream_in_place_of_the_end(play: Open) -> None:
    """A model that fails on its way tells the error after the parts, and the connection goes on."""
    client = play("/model").send(say("-2", "1"))
    *parts, error, first, end = client.frames(5)
    assert texts(parts) == ["-2", "-1"]
    assert "failed" in error.document["error"]
    assert texts([first, end]) == ["1", ""]
    client = play("/many").send(say("fail 1", "hello"))
    first, error, *rest = client.frames(4)
    assert texts([first]) == ["0"]
    assert error.document == {"error": "it failed on the way"}
    assert texts(rest) == ["hello", "[DONE]"]


def test_a_model_without_an_answer_is_an_error(play: Open) -> None:
    """No part at all is no answer where there must be one."""
    assert "no answer" in play().send(say("parts 0")).frame().document["error"]


def test_an_error_of_encoding_is_the_answer(play: Open) -> None:
    """What encode raises is told, and what the model still says is dropped."""
    client = play().send(say("not_ready", "hello"))
    assert client.frame().document == {"error": "not ready at all"}
    assert texts([client.frame()]) == ["hello"]


def test_a_fault_is_told_without_the_inside_and_logged(
    play: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of ours shows a client nothing, and stands in the log."""
    error = play().send(say("explode")).frame().document["error"]
    assert "secret" not in error
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_what_is_no_json_is_binary(play: Open) -> None:
    """Other content types, and JSON with raw memory behind it, come as one binary message."""
    client = play().send(say("bytes", "tail"))
    assert client.frames(2) == [(BINARY, b"{}"), (BINARY, b"head,tail.")]


def test_parts_that_are_encoded_in_threads_keep_their_order(play: Open) -> None:
    """A small part does not overtake a large one before it, nor the end any part."""
    client = play("/many").send(say("values 7", "hello"))
    assert texts(client.frames(10)) == [*"0123456", "[DONE]", "hello", "[DONE]"]


def test_an_error_of_a_part_drops_the_parts_behind_it(play: Open) -> None:
    """A part that cannot be encoded is told as an error, and ends the answer once."""
    client = play("/many").send(say("spoilt 5", "hello"))
    assert client.frame().document == {"error": "it cannot be told"}
    assert texts(client.frames(2)) == ["hello", "[DONE]"]


def test_an_error_of_a_part_stops_the_model(stage: ScriptedService, play: Open) -> None:
    """A model whose parts cannot be told makes no more of them."""
    client = play("/model").send(say(f"{UNTELLABLE}", "1"))
    assert client.frame().document == {"error": "it cannot be told"}
    assert stage.engine.runtime.ended.wait(10)
    assert texts(client.frames(2)) == ["1", ""]


def test_an_error_of_a_part_stops_the_model_over_ordinary_http(stage: ScriptedService) -> None:
    """It is so without messages, too: the error has its status, and the model makes no more."""
    asked = http.client.HTTPConnection(urlsplit(stage.url).netloc, timeout=10)
    asked.request("POST", "/parts", f"{UNTELLABLE}")
    answer = asked.getresponse()
    assert (answer.status, json.loads(answer.read())) == (503, {"error": "it cannot be told"})
    assert stage.engine.runtime.ended.wait(10)
    asked.close()


def test_no_part_is_asked_for_while_one_is_encoded(
    stage: ScriptedService, play: Open, until: Until
) -> None:
    """While a large part is written in a thread the reply is not writable; then it says so."""
    client = play().send(say("hold"))
    until(lambda: len(stage.held) == 1)
    reply: Any = stage.held[0]
    told: list[bool] = []

    def go() -> None:
        request = stage.engine.ask([1, 0])
        request.rows = 10_000
        reply.part(InferResponse(request, {"Y": np.ones((1, 1), np.float32)}))
        told.append(reply.writable)
        reply.on_writable(lambda: told.append(reply.writable))

    stage.ask(go)
    until(lambda: len(told) == 2)
    assert told == [False, True]
    stage.ask(reply.end)
    assert texts([client.frame()]) == ["1"]


@pytest.mark.parametrize("size", [123, 124, 125, 65_533, 65_534, 100_000])
def test_5_2_the_three_forms_of_a_length(play: Open, size: int) -> None:
    """Messages around the limits of the short, the 16-bit and the 64-bit length are whole."""
    assert play().send(say(f"much {size}")).frame() == (TEXT, b'"%s"' % (b"x" * size))


# -- what is under way --


def test_answers_wait_for_their_turn(stage: ScriptedService, play: Open, until: Until) -> None:
    """Parts of a later message are held until the earlier one is answered."""
    client = play("/many").send(say("hold", "hello"))
    until(lambda: stage.handled == 2)
    (held,) = stage.held
    part: Any = held.part
    stage.ask(lambda: part("late"))
    assert texts([client.frame()]) == ["late"]
    stage.ask(held.end)
    assert texts(client.frames(3)) == ["[DONE]", "hello", "[DONE]"]


def test_few_messages_are_under_way(stage: ScriptedService, play: Open, until: Until) -> None:
    """Beyond a number of unanswered messages the connection is not read, though all came in one
    segment; each answer lets one more in."""
    most = LIMITS.pipelined
    client = play().send(say(*["hold"] * (most + 10)))
    until(lambda: stage.handled == most)
    client.send(frame(PING))
    stage.ask(lambda: None)
    assert stage.handled == most
    for at in range(most + 10):
        until(lambda at=at: len(stage.held) > at)  # type: ignore[misc]  # a lambda with a default
        reply: Any = stage.held[at]
        stage.ask(lambda reply=reply, at=at: (reply.part(at), reply.end()))  # type: ignore[misc]  # as above
    answers = [each for each in client.frames(most + 11) if each.opcode == TEXT]
    assert texts(answers) == [str(at) for at in range(most + 10)]


@pytest.mark.slow
def test_a_slow_reader_stops_the_model(stage: ScriptedService, play: Open, until: Until) -> None:
    """While a client does not read, nothing is made for it beyond what fits; then it goes on."""
    client = play(receive_buffer=4096).send(say(*["much 100000"] * 300))
    until(lambda: _unwritable(stage))
    handled = stage.ask(lambda: stage.handled)
    assert handled < 200
    assert [len(each.payload) for each in client.frames(300)] == [100_002] * 300


def _unwritable(stage: ScriptedService) -> bool:
    (connection,) = stage.service.connections
    return not stage.ask(lambda: connection._writable)  # type: ignore[attr-defined]  # looks inside


def test_one_large_message_is_decoded_at_a_time(
    stage: ScriptedService, play: Open, until: Until
) -> None:
    """What comes behind a large message is not read before that was decoded."""
    one = stage.stage.one
    client = play().send(say("gate".ljust(200_000), "gate".ljust(200_000), "hello"))
    until(lambda: one.at_gate == 1)
    client.send(say("again"))
    stage.ask(lambda: None)
    assert (one.at_gate, stage.handled) == (1, 0)
    one.gate.set()
    assert texts(client.frames(4)) == ["gate", "gate", "hello", "again"]


def test_a_slow_reader_holds_a_stream(stage: ScriptedService, play: Open, until: Until) -> None:
    """A stream behind a client that does not read makes no more parts; leaving ends it."""
    client = play("/model", receive_buffer=4096).send(say(f"{FOR_EVER}"))
    made = -1

    def stands() -> bool:
        nonlocal made
        before, made = made, stage.engine.runtime.made
        return _unwritable(stage) and made == before

    until(stands)
    client.close()
    assert stage.engine.runtime.ended.wait(10)
    assert stage.engine.runtime.made < FOR_EVER


def test_5_5_1_closing_ends_a_stream(stage: ScriptedService, play: Open, until: Until) -> None:
    """A client that closes amid an answer in parts gets its close frame, and the model stops."""
    client = play("/model").send(say(f"{FOR_EVER}"))
    assert int(client.frame().payload) == FOR_EVER
    client.say_goodbye()
    while client.frame().opcode != CLOSE:
        pass
    assert client.is_closed()
    assert stage.engine.runtime.ended.wait(10)
    until(lambda: stage.engine.version._users == 0)


def test_7_1_7_a_failed_connection_ends_at_once(play: Open) -> None:
    """Nobody waits for a clock after a client that breaks the standard: it learns the code, and
    that nothing follows."""
    client = play().send(say("hello") + frame(3) + say("again"))
    assert texts([client.frame()]) == ["hello"]
    assert client.closes() == 1002


def test_closing_drops_what_is_under_way(
    stage: ScriptedService, play: Open, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """Answers to a client that has closed go nowhere, and nothing complains."""
    client = play().send(say("hold", "values 1", "hold")).say_goodbye(1001)
    assert client.closes() == 1001
    until(lambda: not stage.service.connections)
    first, second = stage.held
    part: Any = first.part
    assert first.cancelled
    stage.ask(lambda: part("late"))
    stage.ask(first.end)
    stage.ask(lambda: second.fail(NotReady("late")))
    called: list[bool] = []
    stage.ask(lambda: second.on_writable(lambda: called.append(True)))
    assert called == [True]
    assert caplog.records == []


# -- the end of the server --


def test_7_4_1_an_idle_client_is_told_that_the_server_goes(
    stage: ScriptedService, play: Open, until: Until
) -> None:
    """A stop closes an idle connection with 1001, and the client's answer closes it for good."""
    client = play().send(say("hello"))
    client.frame()
    stage.drain()
    last = client.frame()
    assert (last.opcode, last.code) == (CLOSE, 1001)
    client.say_goodbye(1001)
    assert client.is_closed()
    until(lambda: not stage.service.connections)


def test_7_4_1_what_is_under_way_is_answered_before_the_server_goes(
    stage: ScriptedService, play: Open, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """What was asked before a stop is answered; what comes after is not, and pings are."""
    client = play().send(say("hold"))
    until(lambda: len(stage.held) == 1)
    stage.drain()
    client.send(say("hello") + frame(PING, b"still?"))
    assert client.frame() == (PONG, b"still?")
    reply: Any = stage.held[0]
    stage.ask(lambda: (reply.part("done"), reply.end()))
    answer, last = client.frames(2)
    assert texts([answer]) == ["done"]
    assert (last.opcode, last.code) == (CLOSE, 1001)
    client.send(say("hello") + frame(PING)).say_goodbye(1001)
    assert client.is_closed()
    assert stage.handled == 1
    assert caplog.records == []


def test_a_client_that_does_not_close_is_cut_off(
    stage: ScriptedService, play: Open, until: Until
) -> None:
    """A client that ignores the server's close frame is waited for only a little."""
    client = play()
    stage.drain()
    assert client.frame().code == 1001
    stage.tick(2.0)
    assert stage.service.connections
    stage.tick(1.5)
    assert client.is_closed()
    until(lambda: not stage.service.connections)


def test_no_new_connection_while_the_server_stops(
    stage: ScriptedService, connect: Connect, until: Until
) -> None:
    """A handshake that comes too late is refused."""
    client = connect(stage.url)
    until(lambda: stage.service.connections)
    stage.ask(lambda: setattr(stage.service, "parting", True))
    assert client.send(head("/one")).answer().status >= 400


def test_5_5_2_silence_is_pinged_and_then_closed(stage: ScriptedService, play: Open) -> None:
    """After the time of an idle connection a ping is sent; any frame answers it; without one the
    client is told 1008."""
    client = play()
    stage.tick(LIMITS.keep_alive_seconds + 2)
    assert client.frame() == (PING, b"")
    client.send(frame(PONG) + say("hello"))
    assert texts([client.frame()]) == ["hello"]
    stage.tick(LIMITS.read_timeout_seconds + 2)
    stage.tick(LIMITS.keep_alive_seconds + 2)
    assert client.frame() == (PING, b"")
    stage.tick(LIMITS.read_timeout_seconds)
    stage.tick(2)
    assert client.frame().code == 1008


def test_a_client_that_waits_for_a_slow_model_is_not_silent(
    stage: ScriptedService, play: Open, until: Until
) -> None:
    """Nobody is doubted while an answer is owed."""
    client = play().send(say("hold"))
    until(lambda: len(stage.held) == 1)
    stage.tick(1000)
    stage.tick(1000)
    reply: Any = stage.held[0]
    stage.ask(lambda: (reply.part("done"), reply.end()))
    assert texts([client.frame()]) == ["done"]


def test_half_a_message_is_not_waited_for(stage: ScriptedService, play: Open, until: Until) -> None:
    """A client that stops amid a message is told 1008, and one that trickles, too."""
    client = play().send(frame(TEXT, b"he", fin=False) + frame(PING))
    assert client.frame().opcode == PONG
    stage.tick(LIMITS.read_timeout_seconds + 2)
    assert client.frame().code == 1008
    trickling = play()
    told = []
    for at in range(4):
        trickling.send(frame(CONTINUATION if at else TEXT, b"h", fin=False) + frame(PING))
        told.append(trickling.frame())
        stage.tick(LIMITS.read_timeout_seconds / 2)
    assert [each.opcode for each in told] == [PONG, PONG, PONG, CLOSE]
    assert told[-1].code == 1008


def test_a_large_part_of_a_message_earns_no_more_patience(
    stage: ScriptedService, play: Open
) -> None:
    """A client that sent much at once and then stops is told 1008 as soon as another."""
    client = play().send(frame(TEXT, b"h" * 500_000, fin=False) + frame(PING))
    assert client.frame().opcode == PONG
    stage.tick(LIMITS.read_timeout_seconds + 2)
    assert client.frame().code == 1008


def test_a_message_has_its_time_from_its_own_begin(stage: ScriptedService, play: Open) -> None:
    """The age of a connection does not count against a message that begins late."""
    client = play()
    stage.tick(LIMITS.keep_alive_seconds - 5)
    client.send(frame(TEXT, b"he", fin=False) + frame(PING))
    assert client.frame().opcode == PONG
    stage.tick(LIMITS.read_timeout_seconds / 2)
    client.send(frame(CONTINUATION, b"llo"))
    assert texts([client.frame()]) == ["hello"]


def test_a_client_that_takes_nothing_is_cut_off(
    stage: ScriptedService, play: Open, until: Until
) -> None:
    """Who does not read its answers loses the connection, also after a close frame."""
    client = play(receive_buffer=4096).send(say(*["much 100000"] * 200))
    until(lambda: _unwritable(stage))
    stage.tick(LIMITS.read_timeout_seconds)
    assert stage.service.connections
    stage.tick(LIMITS.read_timeout_seconds)
    until(lambda: not stage.service.connections)
    client.close()


# -- the handshake, without a connection --


def test_a_handshake_that_comes_too_late_is_refused(stage: ScriptedService) -> None:
    """A server that stops says so in the dialect's form."""
    fields = [(key.lower().encode(), value.encode()) for key, value in OFFER.items()]
    match = stage.service.routes.find(b"WEBSOCKET", b"/one")
    assert match is not None
    assert shake(stage.service, match, fields).message is not None
    stage.service.parting = True
    answer, message = shake(stage.service, match, fields)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert message is None


@pytest.mark.parametrize("name", ["host", "upgrade", "connection", "sec-websocket-key"])
def test_4_2_1_what_every_handshake_must_say(name: str) -> None:
    """Each of the required headers is missed."""
    fields = [(key.lower().encode(), value.encode()) for key, value in OFFER.items()]
    assert refuse(fields) is None
    refusal = refuse([field for field in fields if field[0] != name.encode()])
    assert refusal is not None
    assert refusal.status == b"400 Bad Request"


# -- the door --


def _strict_door(headers: Mapping[bytes, bytes]) -> str:
    if headers.get(b"authorization") != b"Bearer right":
        raise NotReady("nobody is let in without a word")
    return "somebody"


def test_the_door_is_asked_before_anything_else(connect: Connect) -> None:
    """Who may not enter learns nothing else, not even that the handshake is wrong; who may is
    known by name in every call."""
    stage = ScriptedService(door_=_strict_door)
    try:
        answer = connect(stage.url).send(head("/one", {"Sec-WebSocket-Version": "1"})).answer()
        assert "nobody is let in" in document(answer)["error"]
        client = connect(stage.url)
        client.send(head("/one", {"Authorization": "Bearer right"}) + say("hello", "who"))
        assert client.socket.recv(4096).startswith(b"HTTP/1.1 101 ")
    finally:
        stage.close()
    assert [call.principal for call in stage.calls] == ["somebody"] * 2
