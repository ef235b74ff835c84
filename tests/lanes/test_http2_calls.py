"""Calls of gRPC over real sockets, with a dialect that does as its messages say (gRPC's
PROTOCOL-HTTP2.md)."""

import gzip
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from fuzz import http2
from fuzz.http2 import PREFACE, START, frame, grpc_fields, head, message, plain_fields
from tests.lanes.conftest import Open, OpenRaw, Until
from tests.lanes.http2_client import told
from tests.lanes.scripted_rpc import ALL, EACH, LIMITS, MODELS, ONE, PARTS, RpcService
from tests.lanes.scripted_service import FOR_EVER
from tests.lanes.test_http2 import every, finish

CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 1, 3, 4, 8
UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 12, 13, 14
HELD, ECHO = message(b"hold"), message(b"echo")
WIDE = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, (1 << 31) - 1))


@pytest.fixture(scope="module")
def calm() -> Iterator[RpcService]:
    """A service that no test of this file changes."""
    running = RpcService()
    yield running
    running.close()


# -- what is asked and answered --


def test_one_message_is_answered_by_one(calm: RpcService, speak: Open) -> None:
    """A unary answer is a head, one message and trailers with the status."""
    client = speak(calm.url)
    answer = client.answer(client.call(ONE, ECHO))
    assert told(answer) == [b"echo"]
    assert answer.headers == {b":status": b"200", b"content-type": b"application/grpc"}
    assert answer.trailers == {b"grpc-status": b"0"}


def test_wherever_a_call_is_parted(calm: RpcService, raw: OpenRaw) -> None:
    """A message may be parted at any byte, and come in any number of DATA frames."""
    client, stream = raw(calm.url).send(START), 1
    for cut in range(len(ECHO) + 1):
        pieces = http2.body(stream, ECHO[:cut], end=False) + http2.body(stream, ECHO[cut:])
        client.send(head(stream, grpc_fields(ONE)) + pieces)
        assert http2.messages(bytes(client.answer(stream).body)) == [b"echo"]
        stream += 2


def test_many_calls_at_once(calm: RpcService, speak: Open) -> None:
    """Calls of one connection do not wait for one another."""
    client = speak(calm.url)
    calls = [client.call(ONE, message(b"word%d" % at)) for at in range(100)]
    assert [told(client.answer(call)) for call in reversed(calls)] == [
        [b"word%d" % at] for at in reversed(range(100))
    ]


def test_an_answer_in_parts(calm: RpcService, speak: Open) -> None:
    """Each part is a message, and so is what the dialect says at the end."""
    client = speak(calm.url)
    call = client.call(PARTS, message(b"parts 3"))
    assert told(client.answer(call)) == [b"0", b"1", b"2", b"[DONE]"]


@pytest.mark.parametrize("pieces", [(b"parts 1",), (b"pa", b"rts", b" 1"), (b"", b"parts 1", b"")])
def test_many_messages_that_are_one_request(
    calm: RpcService, speak: Open, pieces: tuple[bytes, ...]
) -> None:
    """Where a method takes all, its messages are one request, when the last has come."""
    client = speak(calm.url)
    call = client.call(ALL, *map(message, pieces[:-1]), end=False)
    client.say(call, message(pieces[-1]), end=True)
    assert told(client.answer(call)) == [b"0"]


def test_no_message_at_all(calm: RpcService, speak: Open) -> None:
    """Where a method takes all, that may be none; where it takes each, nothing is answered."""
    client = speak(calm.url)
    assert told(client.answer(client.call(ALL))) == [b""]
    assert told(client.answer(client.call(EACH))) == []


def test_a_dialogue(calm: RpcService, speak: Open) -> None:
    """Each message of a stream is answered before the next is sent, and the end by the end."""
    client = speak(calm.url)
    call = client.call(EACH, ECHO, end=False)
    for at in range(0, 20, 2):
        assert [client.message(call, at), client.message(call, at + 1)] == [b"echo", b"[DONE]"]
        client.say(call, ECHO)
    client.say(call, end=True)
    assert len(told(client.answer(call))) == 22


def test_requests_of_a_stream_are_answered_in_their_order(
    rpc: RpcService, speak: Open, until: Until
) -> None:
    """A later request that is answered sooner waits for its turn."""
    client = speak(rpc.url)
    call = client.call(EACH, HELD, HELD, message(b"third"))
    until(lambda: rpc.handled == 3)
    rpc.ask(lambda: finish(rpc.held[1], "second"))
    rpc.ask(lambda: finish(rpc.held[0], "first"))
    words = [b"first", b"second", b"third"]
    assert told(client.answer(call)) == [each for word in words for each in (word, b"[DONE]")]


def test_a_callers_own_id_comes_back(calm: RpcService, speak: Open) -> None:
    """X-Request-ID is given back with the head of the answer, and is the call's own."""
    client = speak(calm.url)
    answer = client.answer(client.call(ONE, ECHO, more=[(b"x-request-id", b"abc")]))
    assert (answer.headers[b"x-request-id"], told(answer)) == (b"abc", [b"echo"])


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_packed_both_ways(calm: RpcService, speak: Open, coding: bytes) -> None:
    """Who packs, and takes packed answers, gets one packed where that is worth it."""
    import zlib

    unpack = gzip.decompress if coding == b"gzip" else zlib.decompress
    pack = gzip.compress if coding == b"gzip" else zlib.compress
    client = speak(calm.url)
    fields = [(b"grpc-encoding", coding), (b"grpc-accept-encoding", b"identity, " + coding)]
    sent = message(pack(b"much 5000"), packed=True)
    answer = client.answer(client.call(ONE, sent, more=fields))
    assert answer.headers[b"grpc-encoding"] == coding
    assert unpack(told(answer)[0]) == b'"%s"' % (b"x" * 5000)
    assert told(client.answer(client.call(ONE, ECHO, more=fields))) == [b"echo"]


# -- what is refused --


@pytest.mark.parametrize(
    ("path", "sent", "more", "status"),
    [
        ("/stage.Stage/None", [ECHO], [], UNIMPLEMENTED),
        ("/", [ECHO], [], UNIMPLEMENTED),
        (ONE, [ECHO], [(b"grpc-encoding", b"br")], UNIMPLEMENTED),
        (ONE, [ECHO], [(b"grpc-timeout", b"soon")], INVALID_ARGUMENT),
        (ONE, [], [], UNIMPLEMENTED),
        (ONE, [ECHO, ECHO], [], UNIMPLEMENTED),
        (PARTS, [ECHO, ECHO], [], UNIMPLEMENTED),
        (ONE, [ECHO[:-1]], [], INVALID_ARGUMENT),
        (ONE, [b"\x00"], [], INVALID_ARGUMENT),
        (ONE, [b"\x02" + ECHO[1:]], [], INVALID_ARGUMENT),
        (ONE, [b"\x01" + ECHO[1:]], [], INTERNAL),
        (ONE, [b"\x01" + ECHO[1:]], [(b"grpc-encoding", b"gzip")], INVALID_ARGUMENT),
        (ONE, [b"\x00" + http2.number(1_000_001)], [], RESOURCE_EXHAUSTED),
        (ONE, [message(b"explode")], [], INTERNAL),
        (ONE, [message(b"not_ready")], [], UNAVAILABLE),
        (ONE, [message(b"parts 0")], [], INTERNAL),
        (ONE, [message(b"parts 2")], [], UNIMPLEMENTED),
        (EACH, [ECHO[:-1]], [], INVALID_ARGUMENT),
        (EACH, [message(b"explode")], [], INTERNAL),
    ],
)
def test_a_failure_is_a_head_alone(
    calm: RpcService,
    speak: Open,
    path: str,
    sent: list[bytes],
    more: list[tuple[bytes, bytes]],
    status: int,
) -> None:
    """What fails before its first message is told in one header block (Trailers-Only), and the
    connection goes on."""
    client = speak(calm.url)
    answer = client.answer(client.call(path, *sent, more=more))
    assert (answer.status, answer.grpc) == (200, status)
    assert not answer.body
    assert not answer.trailers
    assert b"secret" not in answer.headers[b"grpc-message"]
    assert told(client.answer(client.call(ONE, ECHO))) == [b"echo"]


def test_a_failure_after_a_part(calm: RpcService, speak: Open) -> None:
    """What fails on its way ends with the status in the trailers."""
    client = speak(calm.url)
    answer = client.answer(client.call(PARTS, message(b"fail 2")))
    assert http2.messages(bytes(answer.body)) == [b"0", b"1"]
    assert (answer.trailers[b"grpc-status"], b"grpc-status" in answer.headers) == (b"13", False)


def test_a_failure_within_a_stream(calm: RpcService, speak: Open) -> None:
    """Where a dialect tells failures among the answers, the stream goes on."""
    client = speak(calm.url)
    call = client.call(EACH, message(b"fail 0"), ECHO)
    assert told(client.answer(call)) == [b"told: it failed on the way", b"echo", b"[DONE]"]


def test_a_second_message_is_refused_at_once(calm: RpcService, raw: OpenRaw) -> None:
    """A call of one message does not keep others until the end: they could be millions."""
    client = raw(calm.url).send(START + head(1, grpc_fields(ONE)))
    client.send(http2.body(1, message(b"") * 2, end=False))
    answer = client.answer(1)
    assert (answer.grpc, answer.ended) == (UNIMPLEMENTED, True)


def test_8_1_an_early_answer_asks_for_no_more(calm: RpcService, raw: OpenRaw) -> None:
    """Who is refused while he sends is told by NO_ERROR to stop (RFC 9113, section 8.1)."""
    client = raw(calm.url).send(START + head(1, grpc_fields("/stage.Stage/None")))
    assert client.answer(1).grpc == UNIMPLEMENTED
    client.send(http2.body(1, ECHO)).round_trip()
    assert client.reader.answers[1].reset == http2.NO_ERROR


def test_what_is_no_grpc(calm: RpcService, speak: Open) -> None:
    """gRPC-Web has a content type of its own, and is an ordinary request."""
    client = speak(calm.url)
    fields = plain_fields("POST", ONE, (b"content-type", b"application/grpc-web+proto"))
    assert client.answer(client.ask(fields, ECHO)).status == 404
    for kind in (b"application/grpc+proto", b"application/grpc;x=y", b"Application/GRPC"):
        fields = plain_fields("POST", ONE, (b"content-type", kind))
        assert told(client.answer(client.ask(fields, ECHO))) == [b"echo"]


# -- time, and who goes --


def test_a_deadline(rpc: RpcService, speak: Open, until: Until) -> None:
    """A call that takes longer than its caller said is ended, and its maker hears of it."""
    client = speak(rpc.url)
    for path in (ONE, EACH):
        answer = client.answer(client.call(path, HELD, more=[(b"grpc-timeout", b"50m")]))
        assert answer.grpc == DEADLINE_EXCEEDED
    assert all(reply.cancelled for reply in rpc.held)
    rpc.ask(lambda: finish(rpc.held[0], "late"))
    assert told(client.answer(client.call(ONE, ECHO))) == [b"echo"]


def test_a_deadline_that_is_kept(calm: RpcService, speak: Open) -> None:
    """Who is answered in time hears nothing of his deadline."""
    client = speak(calm.url)
    for told_time in (b"1S", b"99999999H"):
        call = client.call(ONE, ECHO, more=[(b"grpc-timeout", told_time)])
        assert told(client.answer(call)) == [b"echo"]


def test_a_request_that_does_not_come(rpc: RpcService, speak: Open) -> None:
    """The message of a call must come in time."""
    client = speak(rpc.url)
    call = client.call(ONE, ECHO[:3], end=False)
    client.round_trip()
    rpc.tick(LIMITS.read_timeout_seconds + 2)
    assert client.answer(call).grpc == DEADLINE_EXCEEDED


def test_a_request_that_trickles(rpc: RpcService, speak: Open) -> None:
    """A byte now and then does not keep a call waiting for ever."""
    client = speak(rpc.url)
    call = client.call(ONE, ECHO[:1], end=False)
    for byte in message(bytes(500))[1:]:
        client.say(call, bytes([byte])).round_trip()
        rpc.tick(1)
        if client.answers[call].is_over:
            break
    assert client.answers[call].grpc == DEADLINE_EXCEEDED


def test_a_call_that_its_client_cuts(rpc: RpcService, raw: OpenRaw, until: Until) -> None:
    """RST_STREAM reaches who makes the answer, and later answers go nowhere."""
    client = raw(rpc.url).send(START)
    for stream, path in ((1, ONE), (3, EACH), (5, PARTS)):
        client.send(head(stream, grpc_fields(path)) + http2.body(stream, HELD))
        until(lambda: rpc.held)
        client.send(frame(http2.RST_STREAM, 0, stream, http2.number(http2.CANCEL)))
        until(lambda: rpc.held[0].cancelled)
        rpc.ask(lambda: finish(rpc.held.pop(), "late"))
    client.round_trip()
    assert client.reader.answers == {}


def test_a_request_that_is_read_in_a_thread_while_its_client_goes(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """A call that was cut before it was decoded is not asked."""
    large = message(b"gate " + b" " * LIMITS.offload_bytes + b"1")
    client = raw(rpc.url).send(START)
    for stream, path in ((1, ONE), (3, EACH)):
        operation: Any = rpc.stage.rpc and rpc.stage.rpc.methods[path]
        client.send(head(stream, grpc_fields(path)) + http2.body(stream, large))
        until(lambda operation=operation: operation.at_gate)  # type: ignore[misc]  # a lambda with a default
        client.send(frame(http2.RST_STREAM, 0, stream, http2.number(http2.CANCEL))).round_trip()
        operation.gate.set()
        until(lambda: rpc.ask(lambda: rpc.service.home.busy == 0))
    assert rpc.handled == 0
    client.send(head(5, grpc_fields(ONE)) + http2.body(5, ECHO))
    assert client.answer(5).grpc == 0


# -- how much of it is kept --


def test_6_9_a_large_message_in_a_small_window(calm: RpcService, speak: Open) -> None:
    """What a stream's window does not hold at once is credited as it comes (RFC 9113, 6.9)."""
    client = speak(calm.url)
    data = message(b"much 2000".ljust(999_000))
    for path in (ONE, ALL, PARTS):
        assert len(told(client.answer(client.call(path, data)))[0]) == 2002


def test_what_all_calls_of_a_connection_keep_is_limited(rpc: RpcService, raw: OpenRaw) -> None:
    """Messages that are not whole may be as large as two of the largest, on all streams of a
    connection."""
    client = raw(rpc.url).send(START)
    for stream in (1, 3, 5):
        begun = message(b"x".ljust(900_000))[:-1]
        client.send(head(stream, grpc_fields(ONE)) + http2.body(stream, begun, end=False))
    assert client.answer(5).grpc == RESOURCE_EXHAUSTED
    client.send(http2.body(3, b" "))
    assert client.answer(3).grpc is not None
    held = rpc.ask(lambda: every(rpc)[0]._held)
    assert 900_000 <= held < 1_000_000
    client.send(frame(http2.RST_STREAM, 0, 1, http2.number(http2.CANCEL))).round_trip()
    assert rpc.ask(lambda: every(rpc)[0]._held) == 0


def test_empty_messages_count_as_well(rpc: RpcService, raw: OpenRaw) -> None:
    """Messages without a byte are no way to fill a server's memory."""
    client = raw(rpc.url).send(START + head(1, grpc_fields(ALL)))
    data = http2.body(1, message(b"") * 3000, end=False)
    answer = None
    for _ in range(20):
        client.send(data)
        answer = client.round_trip().reader.answers.get(1)
        if answer and answer.is_over:
            break
    assert answer is not None
    assert answer.grpc == RESOURCE_EXHAUSTED


def test_a_stream_of_many_small_requests_waits_as_bytes(
    rpc: RpcService, raw: OpenRaw, until: Until
) -> None:
    """Of requests that wait for others, no more are read than are asked next; nothing is lost."""
    client = raw(rpc.url).send(WIDE + head(1, grpc_fields(EACH)))
    client.send(frame(http2.WINDOW_UPDATE, payload=http2.number(1 << 28)))
    client.send(http2.body(1, HELD * 64 + message(b"x") * 20_000))
    until(lambda: len(rpc.held) == 64)
    client.round_trip()
    call = rpc.ask(lambda: every(rpc)[0].h2.streams[1].user)
    assert len(call._waiting) <= 64
    assert rpc.handled == 64
    for reply in rpc.held:
        rpc.ask(lambda reply=reply: finish(reply, "h"))  # type: ignore[misc]  # a lambda with a default
    answers = http2.messages(bytes(client.answer(1).body))
    assert len(answers) == 2 * 20_064
    assert rpc.ask(lambda: every(rpc)[0]._held) == 0


def test_who_is_not_first_waits_for_his_turn_to_write(
    rpc: RpcService, speak: Open, until: Until
) -> None:
    """A stream's second request makes no parts that would pile up behind the first."""
    client = speak(rpc.url, credit=False)
    endless = message(b"%d" % FOR_EVER)
    call = client.call(MODELS, endless, endless, end=False)
    while len(client.answers[call].body) < 60_000:
        client.pump()
    made = rpc.runtime.made
    client.round_trip().round_trip().round_trip()
    assert rpc.runtime.made <= made + 2 < 30
    client.say(call, b"\x07" + bytes(4))  # no message: it ends the stream
    assert rpc.runtime.ended.wait(10)
    until(lambda: rpc.ask(lambda: rpc.engine.home.busy) == 0)


def test_a_window_that_opens_bit_by_bit(calm: RpcService, raw: OpenRaw) -> None:
    """However small its pieces must be, an answer arrives whole, its trailers last (6.9.1)."""
    client = raw(calm.url).send(PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0)))
    client.send(head(1, grpc_fields(ONE)) + http2.body(1, message(b"much 300")))
    client.round_trip()
    for size in (1, 2, 3, 100, 150, 51):
        assert not client.reader.answers[1].is_over
        client.send(frame(http2.WINDOW_UPDATE, 0, 1, http2.number(size))).round_trip()
    assert http2.messages(bytes(client.answer(1).body)) == [b'"%s"' % (b"x" * 300)]


def test_an_answer_that_is_encoded_in_a_thread(calm: RpcService, speak: Open) -> None:
    """Parts keep their order, though large ones are encoded elsewhere; a failure ends them."""
    client = speak(calm.url)
    call = client.call(EACH, message(b"values 5"), message(b"spoilt 3"), ECHO)
    expected = [b"0", b"1", b"2", b"3", b"4", b"[DONE]", b"told: it cannot be told"]
    assert told(client.answer(call)) == [*expected, b"echo", b"[DONE]"]


def test_a_connection_with_small_limits_is_quick_to_say_so(raw: OpenRaw) -> None:
    """More calls at once than are taken are refused, the others answered (RFC 9113, 5.1.2)."""
    limits = msgspec.structs.replace(LIMITS, h2=msgspec.structs.replace(LIMITS.h2, streams=2))
    rpc = RpcService(limits)
    try:
        client = raw(rpc.url).send(START)
        for stream in (1, 3, 5):
            client.send(head(stream, grpc_fields(ONE)))
        assert client.answer(5).reset == 7  # REFUSED_STREAM
        client.send(http2.body(3, ECHO))
        assert client.answer(3).grpc == 0
        client.send(head(7, grpc_fields(ONE)) + http2.body(7, ECHO))
        assert client.answer(7).grpc == 0
    finally:
        rpc.close()


def test_calls_are_not_slowed_by_their_number(calm: RpcService, raw: OpenRaw) -> None:
    """Messages of one byte each in their own frames cost linear time."""
    client = raw(calm.url).send(START + head(1, grpc_fields(ALL)))
    data = b"".join(http2.body(1, message(b" "), end=False) for _ in range(4000))
    started = time.monotonic()
    client.send(data + http2.body(1, message(b"parts 1")))
    assert client.answer(1).grpc == 0
    assert time.monotonic() - started < 5


def test_memory_that_follows_an_answer_is_a_part_of_its_message(
    rpc: RpcService, speak: Open
) -> None:
    """A payload's tail is sent behind its body, in the same message, packed or not."""
    client = speak(rpc.url)
    packed = (b"grpc-encoding", b"gzip"), (b"grpc-accept-encoding", b"gzip")
    for more in ((), packed):
        call = client.call(ONE, message(b"tail"), more=more)
        assert told(client.answer(call)) == [b"head,tail."]
    call = client.call(PARTS, message(b"tail"))
    assert told(client.answer(call)) == [b"head,tail.", b"[DONE]"]


@pytest.mark.parametrize("size", [(1 << 17) - 1000, 1 << 17, 3_000_000])
def test_a_large_answer_is_one_message(rpc: RpcService, speak: Open, size: int) -> None:
    """Its prefix may travel apart from it."""
    client = speak(rpc.url)
    for path in (ONE, PARTS):
        call = client.call(path, message(b"much %d" % size))
        assert told(client.answer(call))[0] == b'"%b"' % (b"x" * size)
