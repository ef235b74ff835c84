"""WebSocket over literal bytes: the opening handshake, frames and closing, by RFC 6455's
sections."""

import json
import logging
import random
import time

import pytest

from inferd.server.embedded import Server
from tests.conftest import ROW
from tests.lanes.client import Client, document, predict, request
from tests.lanes.conftest import Connect
from tests.lanes.socket_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Socket,
    frame,
    head,
    row,
)

IRIS = "/v1/stream/iris"
ASK = json.dumps({"features": ROW}).encode()


def _socket(server: Server, target: str = IRIS) -> Socket:
    return Socket(server.url, target)


# -- the opening handshake --


def test_4_2_2_the_handshake_and_a_message(server: Server) -> None:
    """The RFC's own key gets the RFC's own answer, and a text message a text message."""
    with _socket(server).send(row(ROW)) as client:
        assert client.frame().document["prediction"] == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": "13, 8"}, 426),
        ({"Sec-WebSocket-Version": None}, 400),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
        ({"Sec-WebSocket-Key": "no base64 at all!!!!!!!!"}, 400),
        ({"Content-Length": "5"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://x.evil.example"}, 403),
        ({"Origin": "http://evil.example/x"}, 403),
        ({"Origin": "http://x:8080"}, 403),
        ({"Origin": "x"}, 403),
    ],
)
def test_4_2_1_a_bad_handshake_is_refused(
    server: Server, connect: Connect, changes: dict[str, str | None], status: int
) -> None:
    """What is no opening handshake, or comes from a foreign page (section 10.2), is refused in the
    dialect's form, and the connection ends."""
    client = connect(server.url).send(head(IRIS, changes))
    answer = client.answer()
    assert answer.status == status, answer
    assert document(answer)["error"]
    assert answer.header("connection") == "close"
    assert (answer.header("sec-websocket-version") == "13") == (status == 426)
    assert client.is_closed()


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Connection": "keep-alive, UPGRADE"},
        {"Origin": "http://X"},
        {"Origin": "https://x"},
        {"Origin": "http://x:80"},
        {"Host": "x:8000", "Origin": "http://x:8000"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Protocol": "chat"},
        {"Content-Length": "0"},
    ],
)
def test_4_2_1_what_a_handshake_may_say(
    server: Server, connect: Connect, changes: dict[str, str | None]
) -> None:
    """Case, lists, the server's own origin and offers of extensions are right; no offer is taken
    up (section 9.1)."""
    client = connect(server.url).send(head(IRIS, changes))
    answered = client.socket.recv(4096).lower()
    assert answered.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-extensions" not in answered
    assert b"sec-websocket-protocol" not in answered


def test_4_2_1_connection_may_be_told_in_two_fields(server: Server, connect: Connect) -> None:
    """Two Connection headers are one list."""
    sent = head(IRIS).replace(b"Connection:", b"Connection: keep-alive\r\nConnection:")
    assert connect(server.url).send(sent).socket.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_4_2_1_a_key_is_told_once(server: Server, connect: Connect) -> None:
    """Section 11.3.1: two keys are refused."""
    second = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    sent = head(IRIS).replace(b"Upgrade: ", second + b"Upgrade: ")
    assert connect(server.url).send(sent).answer().status == 400


def test_the_callers_id_comes_back(server: Server, connect: Connect) -> None:
    """As over HTTP, the handshake's x-request-id is echoed."""
    client = connect(server.url).send(head(IRIS, {"X-Request-Id": "abc-1"}))
    assert b"x-request-id: abc-1\r\n" in client.socket.recv(4096)


def test_without_an_upgrade_the_url_says_so(server: Server, connect: Connect) -> None:
    """RFC 9110, section 15.5.22: a plain GET learns what it must speak."""
    answer = connect(server.url).send(request("GET", IRIS)).answer()
    assert answer.status == 426
    assert answer.header("upgrade") == "websocket"


def test_other_urls_do_not_upgrade(server: Server, connect: Connect) -> None:
    """RFC 9110, section 7.8: an offer is not taken up where HTTP alone is spoken."""
    assert connect(server.url).send(head("/health")).answer().status == 200


def test_frames_in_the_handshakes_own_segment(server: Server, connect: Connect) -> None:
    """A client that does not wait for the answer loses nothing."""
    client = connect(server.url).send(head(IRIS) + row(ROW))
    data = b""
    while b"prediction" not in data:
        data += client.socket.recv(4096)
    assert data.startswith(b"HTTP/1.1 101 ")


def test_after_http_requests_on_the_same_connection(server: Server, connect: Connect) -> None:
    """A connection that was used for HTTP may become a WebSocket."""
    client = connect(server.url).send(predict(ROW))
    assert client.answer().status == 200
    assert client.send(head(IRIS)).socket.recv(4096).startswith(b"HTTP/1.1 101 ")


# -- frames --


def test_5_6_text_and_binary_are_both_bodies(server: Server) -> None:
    """A request may come as text or as binary; JSON is answered as text."""
    with _socket(server) as client:
        client.send(frame(TEXT, ASK) + frame(BINARY, ASK))
        first, second = client.frames(2)
        assert first == second
        assert first.opcode == TEXT


def test_5_1_what_is_not_masked_is_refused(server: Server) -> None:
    """A server closes on a frame without a mask."""
    with _socket(server).send(frame(TEXT, ASK, mask=b"")) as client:
        assert client.closes() == 1002


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
def test_5_2_reserved_bits_are_refused(server: Server, bits: int) -> None:
    """No extension was agreed on, so none of the three bits may be set."""
    with _socket(server).send(frame(TEXT, ASK, bits=bits)) as client:
        assert client.closes() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF])
def test_5_2_unknown_opcodes_are_refused(server: Server, opcode: int) -> None:
    """Reserved opcodes fail the connection."""
    with _socket(server).send(frame(opcode)) as client:
        assert client.closes() == 1002


@pytest.mark.parametrize(
    "length", [b"\xfe\x00\x05", b"\xff" + (5).to_bytes(8), b"\xff\xff" + bytes(7)]
)
def test_5_2_lengths_are_minimal_and_below_2_63(server: Server, length: bytes) -> None:
    """A length in more bytes than it needs, or with its highest bit set, fails the connection."""
    with _socket(server).send(b"\x81" + length + b"\x00\x00\x00\x00hello") as client:
        assert client.closes() == 1002


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_5_5_control_frames_are_whole_and_short(server: Server, opcode: int) -> None:
    """A control frame that is fragmented, or longer than 125 bytes, fails the connection."""
    for bad in (frame(opcode, b"\x03\xe8", fin=False), frame(opcode, b"\x03\xe8" + b"x" * 124)):
        with _socket(server).send(bad) as client:
            assert client.closes() == 1002


@pytest.mark.parametrize("size", [0, 1, 125])
def test_5_5_2_a_ping_is_answered_with_its_own_data(server: Server, size: int) -> None:
    """The pong holds what the ping held."""
    with _socket(server).send(frame(PING, b"p" * size)) as client:
        assert client.frame() == (PONG, b"p" * size)


def test_5_5_3_a_pong_that_nobody_asked_for_is_ignored(server: Server) -> None:
    """A one-way heartbeat needs no answer."""
    with _socket(server).send(frame(PONG, b"here") + row(ROW)) as client:
        assert client.frame().document["prediction"] == 0


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_4_fragments_are_one_message(server: Server, opcode: int) -> None:
    """A message in many frames, some of them empty, is one request."""
    pieces = [ASK[at : at + 3] for at in range(0, len(ASK), 3)]
    sent = frame(opcode, b"", fin=False)
    sent += b"".join(frame(CONTINUATION, piece, fin=False) for piece in pieces)
    with _socket(server).send(sent + frame(CONTINUATION)) as client:
        assert client.frame().document["prediction"] == 0


def test_5_4_control_frames_between_fragments(server: Server) -> None:
    """A ping amid a message is answered at once, and the message goes on."""
    with _socket(server) as client:
        client.send(frame(TEXT, ASK[:5], fin=False) + frame(PING, b"amid"))
        assert client.frame() == (PONG, b"amid")
        client.send(frame(CONTINUATION, ASK[5:]))
        assert client.frame().document["prediction"] == 0


def test_5_4_messages_are_not_interleaved(server: Server) -> None:
    """A new message amid another, or the rest of one that never began, fails the connection."""
    for bad in (frame(TEXT, ASK[:5], fin=False) + frame(TEXT, ASK), frame(CONTINUATION, ASK)):
        with _socket(server).send(bad) as client:
            assert client.closes() == 1002


def test_one_byte_at_a_time(server: Server) -> None:
    """Frames may come in pieces of any size."""
    with _socket(server) as client:
        for byte in frame(TEXT, ASK[:9], fin=False) + frame(PING) + frame(CONTINUATION, ASK[9:]):
            client.send(bytes((byte,)))
        assert client.frame() == (PONG, b"")
        assert client.frame().document["prediction"] == 0


def test_many_frames_in_one_segment(server: Server) -> None:
    """Five hundred requests in one segment are answered in their order."""
    with _socket(server) as client:
        client.send(b"".join(row([*ROW[:3], "bad"] if at % 7 == 0 else ROW) for at in range(500)))
        for at, answer in enumerate(client.frames(500)):
            assert ("error" in answer.document) == (at % 7 == 0)


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"]
)
def test_8_1_text_that_is_not_utf_8_is_refused(server: Server, text: bytes) -> None:
    """Overlong forms, surrogates, what lies beyond Unicode and half a character fail the
    connection with 1007."""
    with _socket(server).send(frame(TEXT, text)) as client:
        assert client.closes() == 1007


def test_8_1_a_character_may_be_cut_by_fragments(server: Server) -> None:
    """Only the whole message must be UTF-8: half a character may wait for its other half."""
    body = '{"features": "\u20ac"}'.encode()
    cut = body.index(b"\xe2") + 1
    sent = frame(TEXT, body[:cut], fin=False) + frame(CONTINUATION, body[cut:])
    with _socket(server).send(sent) as client:
        assert "error" in client.frame().document


# -- answers --


def test_an_error_is_an_answer(server: Server) -> None:
    """What is wrong with one message is told by one message, and the connection goes on."""
    with _socket(server) as client:
        client.send(frame(TEXT, b"{") + frame(TEXT, b"") + row([1]) + row(ROW))
        told = [answer.document for answer in client.frames(4)]
    assert all("error" in each for each in told[:3])
    assert told[3]["prediction"] == 0


def test_an_unknown_model_is_told_by_message(server: Server) -> None:
    """The connection stands whatever the model's name: models come and go."""
    with _socket(server, "/v1/stream/nobody").send(row(ROW)) as client:
        assert "nobody" in client.frame().document["error"]


def test_a_large_message_and_a_large_answer(threaded: Server) -> None:
    """What is decoded and encoded in threads comes back whole, and in its order."""
    many = json.dumps({"features": [ROW] * 20_000}).encode()
    assert len(many) > 256 * 1024
    with Socket(threaded.url, IRIS) as client:
        client.send(frame(TEXT, many) + row(ROW))
        first, second = client.frames(2)
    assert first.document["predictions"] == [0] * 20_000
    assert second.document["prediction"] == 0


def test_answers_come_in_order(threaded: Server) -> None:
    """A quick answer waits for the slow one before it."""
    with Socket(threaded.url, "/v1/stream/spin") as client:
        client.send(row([3000]) + frame(TEXT, b"{") + row([1]))
        kinds = ["error" in answer.document for answer in client.frames(3)]
    assert kinds == [False, True, False]


# -- closing --


@pytest.mark.parametrize("code", [1000, 1001, 1003, 3000, 4999])
def test_5_5_1_the_clients_code_is_echoed(server: Server, code: int) -> None:
    """The server closes with the client's own code, and the connection first (section 7.1.1)."""
    with _socket(server).say_goodbye(code) as client:
        assert client.closes() == code


def test_5_5_1_a_close_without_a_code(server: Server) -> None:
    """An empty close frame gets an empty one."""
    with _socket(server).send(frame(CLOSE)) as client:
        assert client.frame() == (CLOSE, b"")
        assert client.is_closed()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_7_4_codes_that_may_not_be_sent(server: Server, code: int) -> None:
    """A close frame with a code that is reserved or out of range fails the connection."""
    with _socket(server).say_goodbye(code) as client:
        assert client.closes() == 1002


@pytest.mark.parametrize(("payload", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007)])
def test_5_5_1_a_close_frame_that_is_none(server: Server, payload: bytes, code: int) -> None:
    """Half a code, or a reason that is not UTF-8, fails the connection."""
    with _socket(server).send(frame(CLOSE, payload)) as client:
        assert client.closes() == code


def test_5_5_1_nothing_is_heard_after_a_close(server: Server) -> None:
    """What follows a close frame is not answered."""
    with _socket(server) as client:
        client.send(frame(CLOSE) + row(ROW) + frame(PING))
        assert client.frame() == (CLOSE, b"")
        assert client.is_closed()


def test_a_half_closed_client_gets_its_answers(threaded: Server) -> None:
    """Who stops sending without a close frame still gets what it asked for, then a close."""
    with Socket(threaded.url, "/v1/stream/spin") as client:
        client.send(row([3000]) + row([1])).finish_sending()
        assert all("prediction" in answer.document for answer in client.frames(2))
        assert client.closes() == 1000


def test_a_client_that_leaves_amid_a_frame(server: Server) -> None:
    """A connection that ends without a close frame just ends."""
    with _socket(server).send(frame(TEXT, ASK)[:9]).finish_sending() as client:
        assert client.is_closed()


# -- limits --


def test_7_4_1_too_large_a_message_is_refused(strict: Server) -> None:
    """More bytes than a body may have are refused with 1009, in one frame or across fragments."""
    pieces = [frame(CONTINUATION, b" " * 1000, fin=False) for _ in range(11)]
    fragments = frame(TEXT, b" ", fin=False) + b"".join(pieces)
    for bad in (frame(TEXT, b" " * 10_001), frame(BINARY, b" " * 10_001), fragments):
        with Socket(strict.url, IRIS).send(bad) as client:
            assert client.closes() == 1009


def test_7_4_1_a_message_is_refused_before_it_is_whole(strict: Server) -> None:
    """A frame that claims to be of 2 GiB is refused when too much of it has come."""
    claim = b"\x82\xff" + (1 << 31).to_bytes(8) + b"\x00\x00\x00\x00"
    with Socket(strict.url, IRIS).send(claim + b"x" * 10_001) as client:
        assert client.closes() == 1009


def test_the_largest_message_is_taken(strict: Server) -> None:
    """A message of exactly the limit is answered."""
    with Socket(strict.url, IRIS).send(frame(TEXT, ASK.ljust(10_000))) as client:
        assert client.frame().document["prediction"] == 0


def test_a_refusal_reaches_a_client_that_still_sends(strict: Server) -> None:
    """A client that reads only after it has sent everything still learns why."""
    with Socket(strict.url, IRIS).send(frame(TEXT, b" " * 1_000_000)) as client:
        assert client.closes() == 1009


def test_earlier_answers_come_before_a_refusal(strict: Server) -> None:
    """What was asked before a message that is too large is answered first."""
    with Socket(strict.url, "/v1/stream/spin") as client:
        client.send(row([3000]) + frame(TEXT, b" " * 10_001))
        assert "prediction" in client.frame().document
        assert client.closes() == 1009


@pytest.mark.slow
def test_an_idle_client_is_pinged_and_may_stay(strict: Server) -> None:
    """A client that answers pings is kept longer than a silent one would be."""
    with Socket(strict.url, IRIS) as client:
        for _ in range(2):
            ping = client.frame()
            assert ping.opcode == PING
            client.send(frame(PONG, ping.payload))
        client.send(row(ROW))
        assert client.frame().document["prediction"] == 0


@pytest.mark.slow
def test_a_client_that_answers_no_ping_is_closed(strict: Server) -> None:
    """A client that has gone silent is told 1008, and then cut off."""
    with Socket(strict.url, IRIS) as client:
        assert client.frame().opcode == PING
        last = client.frame()
        assert (last.opcode, last.code) == (CLOSE, 1008)
        assert client.is_closed()


@pytest.mark.slow
def test_a_client_that_stops_amid_a_message_is_closed(strict: Server) -> None:
    """Half a message is waited for no longer than half a request."""
    with Socket(strict.url, IRIS).send(frame(TEXT, ASK[:5], fin=False)) as client:
        last = client.frame()
        assert (last.opcode, last.code) == (CLOSE, 1008)


# -- endurance --


@pytest.mark.slow
def test_ten_thousand_messages_leave_nothing_behind(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory after ten thousand messages on one connection is that after the first thousands."""
    import psutil

    process = psutil.Process()
    with _socket(server) as client:

        def ask(count: int) -> None:
            for _ in range(count // 50):
                client.send(row(ROW) * 50)
                assert all(answer.opcode == TEXT for answer in client.frames(50))

        ask(3000)
        before, began = process.memory_info().rss, time.perf_counter()
        ask(10_000)
        seconds = time.perf_counter() - began
    grown = process.memory_info().rss - before
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what people run this test for
            f" {10_000 / seconds:,.0f} messages a second, {grown / 1024:+,.0f} KiB", end=""
        )
    assert grown < 4 << 20


def _noise(dice: random.Random) -> bytes:
    """Frames that are nearly right, cut and joined at random."""
    sent = b""
    for _ in range(dice.randrange(1, 12)):
        payload = dice.choice((ASK, b"", b"{}", dice.randbytes(dice.randrange(200))))
        opcode = dice.choice((0, 1, 1, 1, 2, 8, 9, 10, dice.randrange(16)))
        sent += frame(
            opcode,
            payload,
            fin=dice.random() < 0.8,
            mask=b"" if dice.random() < 0.03 else dice.randbytes(4),
            bits=dice.choice((0,) * 20 + (1, 2, 4)),
        )
    if dice.random() < 0.5:
        spoilt = bytearray(sent)
        for _ in range(dice.randrange(1, 4)):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        sent = bytes(spoilt[: dice.randrange(1, len(spoilt) + 1)])
    return sent


@pytest.mark.slow
def test_noise_never_makes_the_server_log_a_fault(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever bytes come, the server answers in frames, closes or waits, and has no fault to
    log."""
    caplog.set_level(logging.WARNING)
    dice = random.Random(6455)
    deadline = time.monotonic() + 4
    rounds = 0
    while time.monotonic() < deadline:
        rounds += 1
        with _socket(server) as client:
            data = _noise(dice) if dice.random() < 0.8 else dice.randbytes(dice.randrange(1, 3000))
            try:
                client.send(data).finish_sending()
            except OSError:
                continue
            try:
                while client.frame().opcode != CLOSE:
                    pass
            except EOFError:
                pass
    assert rounds > 100
    assert caplog.records == []
    assert _alive(server)


def _alive(server: Server) -> bool:
    with Client(server.url) as client:
        return client.lives()
