"""Connections of HTTP/2 over real sockets: how they begin, rest, stall and end (RFC 9113)."""

from typing import Any

import msgspec
import pytest

from fuzz import http2
from fuzz.http2 import ENHANCE_YOUR_CALM, PREFACE, START, frame, grpc_fields, head, message
from inferd.server.embedded import Server
from tests.lanes.client import Client, request
from tests.lanes.conftest import Connect, Open, OpenRaw, Until
from tests.lanes.http2_client import told
from tests.lanes.scripted_rpc import EACH, LIMITS, MODEL, ONE, RpcService
from tests.lanes.scripted_service import FOR_EVER

KEEP_ALIVE, READ_TIMEOUT = LIMITS.keep_alive_seconds, LIMITS.read_timeout_seconds
HELD, ECHO = message(b"hold"), message(b"echo")


# -- how they begin --


def test_3_4_a_preface_that_comes_byte_by_byte(rpc: RpcService, raw: OpenRaw) -> None:
    """Wherever the preface is parted, HTTP/2 is spoken (RFC 9113, section 3.4)."""
    client = raw(rpc.url)
    for byte in START:
        client.send(bytes([byte]))
    client.send(head(1, grpc_fields(ONE)) + http2.body(1, ECHO))
    assert http2.messages(bytes(client.answer(1).body)) == [b"echo"]


@pytest.mark.parametrize("cut", [1, 2])
def test_a_beginning_that_the_two_share(server: Server, connect: Connect, cut: int) -> None:
    """``P`` may be the begin of a preface, or of POST: the next bytes tell."""
    data = request("POST", "/predict", b'{"features":[5.1,3.5,1.4,0.2]}')
    client = connect(server.url).send(data[:cut])
    assert client.send(data[cut:]).answer().status == 200


def test_3_4_what_is_no_preface_is_http_1(rpc: RpcService, connect: Connect) -> None:
    """Who begins as the preface and goes on otherwise is told 400 (RFC 9113, section 3.4)."""
    client = connect(rpc.url).send(PREFACE[:-4] + b"XX\r\n")
    assert client.answer().status == 400
    assert client.is_closed()


@pytest.mark.parametrize("begun", [b"", b"P", PREFACE[:-1]])
def test_a_preface_that_never_ends(rpc: RpcService, connect: Connect, begun: bytes) -> None:
    """Who does not say what he speaks is sent away in time."""
    client = connect(rpc.url).send(begun)
    client_is_known(rpc)
    rpc.tick((READ_TIMEOUT if begun else KEEP_ALIVE) + 2)
    assert client.is_closed()


def test_3_4_settings_that_never_come(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """After the preface SETTINGS must come in time, even if bytes of them do (RFC 9113, 3.4)."""
    client = raw(rpc.url).send(PREFACE)
    client.frame(http2.SETTINGS)
    for byte in http2.settings((http2.INITIAL_WINDOW_SIZE, 1))[:-8]:
        client.send(bytes([byte]))
        rpc.tick(READ_TIMEOUT / 10)
    rpc.tick(READ_TIMEOUT / 2)
    until(lambda: rpc.connections() == 0)


def test_requests_before_the_settings_are_acknowledged(rpc: RpcService, raw: OpenRaw) -> None:
    """A client need not wait for the server's SETTINGS (RFC 9113, section 3.4)."""
    data = START + b"".join(
        head(at, grpc_fields(ONE)) + http2.body(at, ECHO) for at in range(1, 20, 2)
    )
    client = raw(rpc.url).send(data)
    assert [client.answer(at).grpc for at in range(1, 20, 2)] == [0] * 10


def client_is_known(rpc: RpcService) -> None:
    """Wait until the listener has taken a connection."""
    for _ in range(1000):
        if rpc.connections():
            return
    pytest.fail("nobody came")


# -- how they end --


def test_5_4_1_the_last_word_arrives(rpc: RpcService, raw: OpenRaw) -> None:
    """A client that broke a rule hears which, though it goes on to send (section 5.4.1)."""
    client = raw(rpc.url).send(START + frame(http2.PUSH_PROMISE, 0, 1, bytes(4)))
    for _ in range(50):
        client.send(frame(http2.PING, payload=bytes(8)))
    assert client.left() == http2.PROTOCOL_ERROR


def test_who_never_closes_is_closed(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """After its last word the server listens for a moment only."""
    client = raw(rpc.url).send(START + frame(http2.PUSH_PROMISE, 0, 1, bytes(4)))
    assert client.left() == http2.PROTOCOL_ERROR
    assert rpc.connections() == 1
    rpc.tick(4)
    until(lambda: rpc.connections() == 0)


def test_6_8_an_idle_connection_is_left(rpc: RpcService, speak: Open) -> None:
    """A client without calls is told GOAWAY and closed, also where it answers no ping (RFC 9113,
    section 6.8)."""
    client = speak(rpc.url)
    assert told(client.answer(client.call(ONE, ECHO))) == [b"echo"]
    rpc.tick(KEEP_ALIVE + 2)
    rpc.tick(1)
    assert client.is_closed()
    assert client.goaway == http2.NO_ERROR


def test_a_call_under_way_keeps_it_open(rpc: RpcService, speak: Open, until: Until) -> None:
    """Who waits for an answer is not idle, however long that takes."""
    client = speak(rpc.url)
    call = client.call(ONE, HELD)
    until(lambda: rpc.held)
    rpc.tick(KEEP_ALIVE * 10)
    rpc.ask(lambda: finish(rpc.held[0], "done"))
    assert told(client.answer(call)) == [b"done"]


def finish(reply: Any, part: Any) -> None:
    reply.part(part)
    reply.end()


def test_9_1_an_old_connection_is_left(raw: OpenRaw, until: Until) -> None:
    """Of a certain age it takes no new calls, and closes after those under way."""
    rpc = RpcService(msgspec.structs.replace(LIMITS, connection_age_seconds=600.0))
    try:
        client = raw(rpc.url).send(START + head(1, grpc_fields(ONE)) + http2.body(1, HELD))
        until(lambda: rpc.held)
        rpc.tick(500)
        client.round_trip()
        assert client.reader.goaway is None
        rpc.tick(101)
        assert client.frame(http2.GOAWAY).code == http2.NO_ERROR
        client.send(head(3, grpc_fields(ONE)) + http2.body(3, ECHO))  # on its way
        assert client.answer(3).grpc == 0
        rpc.tick(1)
        rpc.ask(lambda: finish(rpc.held[0], "done"))
        assert client.answer(1).grpc == 0
        assert client.left() == http2.NO_ERROR
    finally:
        rpc.close()


def test_6_8_a_draining_server(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """What was asked is answered, what is asked after GOAWAY is not (RFC 9113, section 6.8)."""
    client = raw(rpc.url).send(START + head(1, grpc_fields(ONE)) + http2.body(1, HELD))
    until(lambda: rpc.held)
    rpc.drain()
    leaving = client.frame(http2.GOAWAY)
    assert (leaving.payload[:4], leaving.code) == (http2.number(1), http2.NO_ERROR)
    client.send(head(3, grpc_fields(ONE)) + http2.body(3, ECHO))
    client.send(frame(http2.PING, payload=bytes(8)))
    client.frame(http2.PING)
    rpc.ask(lambda: finish(rpc.held[0], "done"))
    assert client.answer(1).grpc == 0
    assert client.left() == http2.NO_ERROR
    assert list(client.reader.answers) == [1]


def test_6_8_a_client_that_leaves(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """After the client's GOAWAY its last answer ends the connection."""
    client = raw(rpc.url).send(START + head(1, grpc_fields(ONE)) + http2.body(1, HELD))
    client.send(frame(http2.GOAWAY, payload=bytes(8)))
    until(lambda: rpc.held)
    rpc.ask(lambda: finish(rpc.held[0], "done"))
    assert client.answer(1).grpc == 0
    with pytest.raises(EOFError):
        client.frame(http2.GOAWAY)


def test_a_client_that_sends_no_more(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """What was asked whole is answered; what never will be whole is cut; then it closes."""
    whole = head(1, grpc_fields(ONE)) + http2.body(1, HELD)
    open_ = head(3, grpc_fields(EACH)) + http2.body(3, HELD, end=False)
    client = raw(rpc.url).send(START + whole + open_)
    until(lambda: len(rpc.held) == 2)
    client.plain.finish_sending()
    assert client.answer(3).reset == http2.CANCEL
    assert rpc.held[1].cancelled
    rpc.ask(lambda: finish(rpc.held[0], "done"))
    assert client.answer(1).grpc == 0
    with pytest.raises(EOFError):
        client.frame(http2.GOAWAY)


def test_6_9_a_client_that_will_open_no_window(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """After its end of sending, an answer that its windows do not hold is cut."""
    shut = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0))
    client = raw(rpc.url).send(shut + head(1, grpc_fields(ONE)) + http2.body(1, ECHO))
    client.send(head(3, grpc_fields(ONE)) + http2.body(3, HELD)).round_trip()
    client.plain.finish_sending()
    assert client.answer(1).reset == http2.CANCEL
    rpc.ask(lambda: finish(rpc.held[0], "done"))
    rpc.tick(1)
    assert client.answer(3).reset == http2.CANCEL
    until(lambda: rpc.connections() == 0)


def test_a_client_that_is_gone(rpc: RpcService, speak: Open, until: Until) -> None:
    """Its calls are cancelled, and who answers them later does no harm."""
    client = speak(rpc.url)
    for path in (ONE, EACH):
        client.call(path, HELD)
    until(lambda: len(rpc.held) == 2)
    client.close()
    until(lambda: all(reply.cancelled for reply in rpc.held))
    for reply in rpc.held:
        rpc.ask(lambda reply=reply: finish(reply, "late"))  # type: ignore[misc]  # mypy: a lambda with a default
    assert rpc.connections() == 0


def test_an_aborted_connection(rpc: RpcService, speak: Open, until: Until) -> None:
    """A server that is in a hurry closes at once; the calls hear of it."""
    client = speak(rpc.url)
    client.call(ONE, HELD)
    until(lambda: rpc.held)
    rpc.ask(every(rpc)[0].abort)
    assert client.is_closed()
    until(lambda: rpc.held[0].cancelled)


# -- how they rest --


def test_6_7_a_silent_client_is_asked_for_a_sign_of_life(
    rpc: RpcService, speak: Open, until: Until
) -> None:
    """A stream may be silent for hours, if its client still answers pings (section 6.7)."""
    client = speak(rpc.url)
    call = client.call(EACH, ECHO, end=False)
    assert client.message(call, 0) == b"echo"
    for asked in (1, 2, 3):
        rpc.tick(KEEP_ALIVE + 2)
        while client.asked_back < asked:
            client.pump()
        client.round_trip()
        rpc.tick(READ_TIMEOUT)
    client.say(call, ECHO, end=True)
    assert client.answer(call).grpc == 0


def test_a_client_that_gives_no_sign_of_life(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """Who vanished without a word is not waited for: its call is cancelled."""
    data = head(1, grpc_fields(EACH)) + http2.body(1, HELD, end=False)
    client = raw(rpc.url).send(START + data)
    until(lambda: rpc.held)
    rpc.tick(KEEP_ALIVE + 2)
    client.frame(http2.PING)
    rpc.tick(READ_TIMEOUT + 2)
    until(lambda: rpc.held[0].cancelled)
    assert rpc.connections() == 0


def test_a_frame_that_never_ends(rpc: RpcService, raw: OpenRaw) -> None:
    """A client that is silent within a frame is closed, whatever else it has open."""
    data = head(1, grpc_fields(EACH)) + http2.body(1, HELD, end=False)
    client = raw(rpc.url).send(START + data + frame(http2.PING, payload=bytes(8))[:-1])
    client.frame(http2.WINDOW_UPDATE)
    rpc.tick(READ_TIMEOUT + 2)
    with pytest.raises(EOFError):
        client.frame(http2.PING)


def test_a_frame_that_trickles(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """A byte now and then of a frame keeps no connection, and whole frames do."""
    client = raw(rpc.url).send(START + head(1, grpc_fields(EACH))).round_trip()
    pings = frame(http2.PING, payload=b"a test's") * 10
    for at in range(0, len(pings), 17):
        client.send(pings[at : at + 17])
        client.frame(http2.PING)
        rpc.tick(READ_TIMEOUT / 3)
    ticks = 0
    for byte in frame(http2.PRIORITY, 0, 1, bytes(5))[:12]:
        client.send(bytes([byte]))
        until(lambda: rpc.ask(lambda: all(each.h2.held_bytes for each in every(rpc))))
        rpc.tick(READ_TIMEOUT / 8)
        ticks += 1
        if not rpc.ask(lambda: every(rpc)):
            break
    assert 8 < ticks < 12


def test_much_that_comes_at_once_is_taken_in_turns(rpc: RpcService, raw: OpenRaw) -> None:
    """Nothing of a long read is lost or taken twice, where others have their turn in between."""
    many, size = range(1, 4001, 2), 20
    client = raw(rpc.url).send(
        PREFACE
        + http2.settings((http2.INITIAL_WINDOW_SIZE, (1 << 31) - 1))
        + frame(http2.WINDOW_UPDATE, payload=http2.number(1 << 30))
    )
    client.send(
        b"".join(
            head(at, grpc_fields(ONE)) + http2.body(at, message(b"much %d" % size)) for at in many
        )
    )
    answer = http2.message(b'"%s"' % (b"x" * size))
    assert all(client.answer(at).body == answer for at in many)
    assert rpc.handled == len(many)
    assert rpc.streams() == 0


# -- how they stall --


def test_6_9_an_answer_whose_window_stays_shut(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """Only the call whose answer nobody takes is cut, others go on (section 6.9)."""
    much = head(1, grpc_fields(ONE)) + http2.body(1, message(b"much 1000"))
    client = raw(rpc.url).send(PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 10)) + much)
    until(lambda: rpc.handled)
    rpc.tick(1)
    rpc.tick(READ_TIMEOUT + 2)
    assert client.answer(1).reset == http2.CANCEL
    client.send(head(3, grpc_fields(ONE)) + http2.body(3, message(b"x")))
    assert http2.messages(bytes(client.answer(3).body)) == [b"x"]


def test_6_9_a_connection_whose_window_stays_shut(
    rpc: RpcService, speak: Open, until: Until
) -> None:
    """Who takes no answer at all is sent away, with all its calls (section 6.9)."""
    client = speak(rpc.url, credit=False)
    for _ in range(3):
        client.call(ONE, message(b"much 60000"))
    until(lambda: rpc.handled == 3)
    rpc.tick(1)
    rpc.tick(READ_TIMEOUT + 2)
    assert client.is_closed()
    assert rpc.streams() == 0


def test_who_does_not_read_is_not_read(rpc: RpcService, raw: OpenRaw) -> None:
    """A client that asks and never reads is held back, and closed in time."""
    window = http2.settings((http2.INITIAL_WINDOW_SIZE, (1 << 31) - 1))
    client = raw(rpc.url, receive_buffer=4096)
    client.send(PREFACE + window)
    client.send(frame(http2.WINDOW_UPDATE, payload=http2.number((1 << 31) - 1 - 65535)))
    client.plain.socket.settimeout(0.5)
    asked = 0
    try:
        for at in range(1, 200_001, 2):
            data = http2.body(at, message(b"much 100000"))
            client.send(head(at, grpc_fields(ONE)) + data)
            asked += 1
    except TimeoutError:
        pass
    assert rpc.handled < asked < 100_000
    kept = rpc.ask(lambda: max(each._transport.get_write_buffer_size() for each in every(rpc)))
    assert kept < 10_000_000
    rpc.tick(1)
    rpc.tick(READ_TIMEOUT + 2)
    assert rpc.connections() == 0


def every(rpc: RpcService) -> list[Any]:
    """The connections, which are known by what they have."""
    return [each for each in rpc.service.connections if hasattr(each, "h2")]


def test_a_model_is_as_fast_as_its_reader(rpc: RpcService, speak: Open, until: Until) -> None:
    """A stream of parts stands still while its window is shut, and goes on when it opens."""
    client = speak(rpc.url, credit=False)
    call = client.call(MODEL, message(b"%d" % FOR_EVER))
    while len(client.answers[call].body) < 60_000:
        client.pump()
    client.round_trip()
    made = rpc.runtime.made
    client.round_trip().round_trip()
    assert rpc.runtime.made <= made + 2 < 20
    client.h2.increment_flow_control_window(500_000, call)
    client.h2.increment_flow_control_window(500_000)
    client.flush()
    while rpc.runtime.made < 40:
        client.pump()
    client.h2.reset_stream(call)
    client.flush()
    assert rpc.runtime.ended.wait(10)


def test_a_reader_of_the_socket_slows_the_model_down(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """Open windows do not help who does not read: the model stands still (of both kinds)."""
    client = raw(rpc.url, receive_buffer=4096)
    window = http2.settings((http2.INITIAL_WINDOW_SIZE, (1 << 31) - 1))
    wide = frame(http2.WINDOW_UPDATE, payload=http2.number((1 << 31) - 1 - 65535))
    data = http2.body(1, message(b"%d" % FOR_EVER))
    client.send(PREFACE + window + wide + head(1, grpc_fields(MODEL)) + data)
    until(lambda: rpc.ask(lambda: any(not each.writable for each in every(rpc))))
    made = rpc.runtime.made
    for _ in range(100):
        rpc.ask(lambda: None)
    assert rpc.runtime.made <= made + 1
    client.close()
    assert rpc.runtime.ended.wait(10)


def test_resets_without_end(rpc: RpcService, raw: OpenRaw) -> None:
    """Requests that are only made to be broken off end the connection (CVE-2023-44487)."""
    reset = http2.number(http2.CANCEL)
    client = raw(rpc.url).send(START)
    client.send(
        b"".join(
            head(at, grpc_fields(ONE)) + frame(http2.RST_STREAM, 0, at, reset)
            for at in range(1, 3001, 2)
        )
    )
    assert client.left() == ENHANCE_YOUR_CALM


def test_plain_http_1_is_untouched(rpc: RpcService) -> None:
    """A listener that speaks HTTP/2 answers HTTP/1.1 as ever."""
    with Client(rpc.url) as client:
        assert client.send(request("GET", "/nowhere")).answer().status == 404
