"""Attacks by HTTP/2 as bytes, and who sends them: a process of its own, so that only the server
suffers from its work."""

import gzip
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

from fuzz import http2
from fuzz.http2 import PREFACE, START, Reader, block, frame, grpc_fields, head, message, number
from inferd.wire.h2.budgets import Limits
from inferd.wire.proto import message as proto
from tests.conftest import ROW

ATTACKERS = 4
SECONDS = 1.5  # that an attack is repeated
PATIENCE = 12.0  # seconds until an attacker must have been sent away
MANY = 3 * Limits().resets
MOST_BYTES = 4 << 20
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
CALM, CUT, REFUSED = http2.ENHANCE_YOUR_CALM, http2.CANCEL, 7
WIDEST = (1 << 31) - 1
WIDE = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, WIDEST))
WIDE += frame(http2.WINDOW_UPDATE, payload=number(WIDEST - 65535))


class Attack(NamedTuple):
    """What an attacker sends on each of his connections, and how that may end."""

    name: str
    pieces: Callable[[], Sequence[bytes]]
    ends: set[object]
    """A code of GOAWAY, or "" where it is closed without; those of streams as ("stream", code), and
    gRPC's statuses as ("grpc", status)."""
    pause: float = 0.0
    """Seconds between the pieces."""
    reads: bool = True
    repeats: bool = True


def _run(port: int, each: Attack, pieces: Sequence[bytes]) -> Counter[object]:
    """One attacker: how his connections, and the streams on them, ended."""
    ends: Counter[object] = Counter()
    finish = time.monotonic() + SECONDS
    while True:
        ends.update(_one(port, each, pieces))
        if time.monotonic() > finish or not each.repeats:
            return ends


def _one(port: int, each: Attack, pieces: Sequence[bytes]) -> Iterator[object]:
    reader = Reader()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        taker = threading.Thread(target=_take, args=(connection, reader, each.reads))
        taker.start()
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(each.pause)
        except OSError:
            pass  # sent away
        taker.join(PATIENCE)
        assert not taker.is_alive(), "the attacker was not sent away"
    for answer in reader.answers.values():
        if answer.reset:
            yield "stream", answer.reset
        elif answer.grpc is not None:
            yield "grpc", answer.grpc
    yield reader.goaway.code if reader.goaway else ""


def _take(connection: socket.socket, reader: Reader, reads: bool) -> None:
    """Read until the server closes; who does not read waits until the system tells that it has."""
    try:
        while not reads and connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1:
            time.sleep(0.05)
        while chunk := connection.recv(1 << 18):
            reader.feed(chunk)
    except OSError:
        return


@cache
def _pieces(at: int) -> Sequence[bytes]:
    return named(at).pieces()


def named(at: int) -> Attack:
    """The attack number *at*, or the honest crowd."""
    return ATTACKS[at] if at >= 0 else CROWD


def prepare(at: int) -> int:
    """Make the bytes of the attack number *at*; how many they are."""
    return sum(map(len, _pieces(at)))


def besiege(port: int, at: int) -> Counter[object]:
    """Have the server attacked in the manner number *at*; how it ended for the attackers."""
    pieces = _pieces(at)
    with ThreadPoolExecutor(ATTACKERS) as attackers:
        futures = [attackers.submit(_run, port, named(at), pieces) for _ in range(ATTACKERS)]
        return sum((future.result() for future in futures), Counter())


def iris() -> bytes:
    """A request for one row."""
    request = proto("inference.ModelInferRequest")(model_name="iris")
    tensor = request.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents.extend(ROW)
    return message(request.SerializeToString())


def zeros(count: int) -> bytes:
    """A request for so many numbers."""
    request = proto("inference.ModelInferRequest")(model_name="zeros")
    tensor = request.inputs.add(name="count", datatype="INT64", shape=[1])
    tensor.contents.int64_contents.append(count)
    return message(request.SerializeToString())


# -- the attacks --


def rapid_reset() -> list[bytes]:
    """CVE-2023-44487."""
    reset = number(http2.CANCEL)
    pair = [
        head(at, grpc_fields(INFER)) + frame(http2.RST_STREAM, 0, at, reset)
        for at in range(1, 20_001, 2)
    ]
    return [START, *joined(pair)]


def made_you_reset() -> list[bytes]:
    """CVE-2025-8671: the server is made to reset, by windows that grow by nothing."""
    wrong = number(0)
    pair = [
        head(at, grpc_fields(INFER)) + frame(http2.WINDOW_UPDATE, 0, at, wrong)
        for at in range(1, 20_001, 2)
    ]
    return [START, *joined(pair)]


def continuation_flood() -> list[bytes]:
    """CVE-2024-27316, with content and without."""
    begun = frame(http2.HEADERS, 0, 1, block([(b":method", b"POST")]))
    more = frame(http2.CONTINUATION, 0, 1, block([(b"x", b"y" * 100)]))
    return [START, begun, *joined([more] * 100 + [frame(http2.CONTINUATION, 0, 1)] * 50_000)]


def empty_frames() -> list[bytes]:
    """CVE-2019-9518."""
    return [START, head(1, grpc_fields(INFER)), *joined([frame(http2.DATA, 0, 1)] * 100_000)]


def hpack_bomb() -> list[bytes]:
    """A field of 4 KB in the table, and blocks that name it thousands of times."""
    fields = block(http2.plain_fields("GET", "/")) + http2.indexed(b"x", b"y" * 3900)
    first = frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, fields)
    blocks = [
        frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, at, b"\xbe" * 16_000)
        for at in range(3, 2 * MANY, 2)
    ]
    return [START, first, *joined(blocks)]


def long_lists() -> list[bytes]:
    """Heads of more fields than are taken."""
    fields = block([(b"x", b"")] * 2000)
    heads = [
        frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, at, fields)
        for at in range(1, 2 * MANY, 2)
    ]
    return [START, *joined(heads)]


def shut_windows() -> list[bytes]:
    """Answers for which there is never any room."""
    shut = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0))
    return [shut, *joined(asked(zeros(5000), 128))]


def unread_socket() -> list[bytes]:
    """Room for everything, and nobody who takes it."""
    return [WIDE, *joined(asked(zeros(20_000), 5000))]


def ping_flood() -> list[bytes]:
    """CVE-2019-9512."""
    return [START, *joined([frame(http2.PING, payload=bytes(8))] * 100_000)]


def settings_flood() -> list[bytes]:
    """CVE-2019-9515."""
    return [START, *joined([http2.settings((3, 1))] * 50_000)]


def window_flood() -> list[bytes]:
    """CVE-2019-9511 and 9517: windows that grow byte by byte."""
    asked_ = head(1, grpc_fields(INFER)) + http2.body(1, zeros(20_000))
    grown = frame(http2.WINDOW_UPDATE, 0, 1, number(1))
    shut = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0))
    return [shut, asked_, *joined([grown] * 50_000)]


def priority_flood() -> list[bytes]:
    """CVE-2019-9513."""
    return [START, *joined([frame(http2.PRIORITY, 0, 1, bytes(4) + b"\1")] * 50_000)]


def gzip_bomb() -> list[bytes]:
    """Messages that unpack to a thousand times their size."""
    bomb = message(gzip.compress(bytes(64 << 20)), packed=True)
    fields = grpc_fields(INFER, (b"grpc-encoding", b"gzip"))
    calls = [head(at, fields) + http2.body(at, bomb) for at in range(1, 101, 2)]
    return [START, *calls, frame(http2.GOAWAY, payload=bytes(8))]


def too_many_streams() -> list[bytes]:
    """Calls that are begun and never made."""
    return [START, *joined([head(at, grpc_fields(INFER)) for at in range(1, 20_001, 2)])]


def large_messages() -> list[bytes]:
    """As much as a connection may hold, and more, never whole."""
    begun = (b"\0" + number(MOST_BYTES) + bytes(900_000))[:900_000]
    calls = [
        head(at, grpc_fields(INFER)) + http2.body(at, begun, end=False) for at in range(1, 61, 2)
    ]
    return [START, *calls]


def announced_gigabytes() -> list[bytes]:
    """Messages that say to be 4 GB."""
    begun = b"\0\xff\xff\xff\xff"
    calls = [
        head(at, grpc_fields(path)) + http2.body(at, begun, end=False)
        for at in range(1, 2001, 4)
        for at, path in ((at, INFER), (at + 2, STREAM))
    ]
    return [START, *joined(calls), frame(http2.GOAWAY, payload=bytes(8))]


def empty_messages() -> list[bytes]:
    """Streams of requests without a byte."""
    data = http2.body(1, message(b"") * 200_000, end=False)
    return [START, head(1, grpc_fields(STREAM)), data, frame(http2.GOAWAY, payload=bytes(8))]


def unread_stream() -> list[bytes]:
    """A stream of requests whose answers have no room."""
    shut = PREFACE + http2.settings((http2.INITIAL_WINDOW_SIZE, 0))
    data = http2.body(1, zeros(5000) * 15_000, end=False)
    return [shut, head(1, grpc_fields(STREAM)), data]


def slow_preface() -> list[bytes]:
    """A byte now and then, of what must come first."""
    return [bytes([byte]) for byte in PREFACE + frame(http2.SETTINGS, payload=bytes(6000))[:100]]


def slow_frame() -> list[bytes]:
    """A byte now and then, of a frame."""
    return [START, *(bytes([byte]) for byte in frame(http2.SETTINGS, payload=bytes(6000))[:100])]


def asked(question: bytes, count: int) -> list[bytes]:
    """The same call so many times."""
    fields = grpc_fields(INFER)
    return [head(at, fields) + http2.body(at, question) for at in range(1, 2 * count, 2)]


def crowd() -> list[bytes]:
    """No attack: honest calls, as fast as they are answered."""
    return [WIDE, *joined(asked(iris(), 5000)), frame(http2.GOAWAY, payload=bytes(8))]


def joined(frames: Sequence[bytes]) -> list[bytes]:
    """Sent a few hundred at once."""
    return [b"".join(frames[at : at + 500]) for at in range(0, len(frames), 500)]


STREAM_CALM, STREAM_CUT = ("stream", CALM), ("stream", CUT)
EXHAUSTED = ("grpc", 8)
ATTACKS = [
    Attack("rapid reset", rapid_reset, {CALM}),
    Attack("made you reset", made_you_reset, {CALM, ("stream", 1)}),
    Attack("continuation flood", continuation_flood, {CALM}),
    Attack("empty frames", empty_frames, {CALM}),
    Attack("hpack bomb", hpack_bomb, {CALM, STREAM_CALM}),
    Attack("long header lists", long_lists, {CALM, STREAM_CALM}),
    Attack("shut windows", shut_windows, {0, STREAM_CUT}, repeats=False),
    Attack(
        "unread socket",
        unread_socket,
        {"", ("grpc", 0), ("stream", REFUSED)},
        reads=False,
        repeats=False,
    ),
    Attack("ping flood", ping_flood, {CALM}),
    Attack("settings flood", settings_flood, {CALM}),
    Attack("window flood", window_flood, {CALM}),
    Attack("priority flood", priority_flood, {CALM}),
    Attack("gzip bomb", gzip_bomb, {"", EXHAUSTED}),
    Attack("too many streams", too_many_streams, {CALM, ("stream", REFUSED)}),
    Attack("large messages", large_messages, {0, EXHAUSTED, ("grpc", 4)}, repeats=False),
    Attack("announced gigabytes", announced_gigabytes, {"", EXHAUSTED}),
    Attack("empty messages", empty_messages, {"", 0, ("grpc", 3)}, repeats=False),
    Attack("unread stream", unread_stream, {0, STREAM_CUT}, repeats=False),
    Attack("slow preface", slow_preface, {""}, pause=0.1, repeats=False),
    Attack("slow frame", slow_frame, {""}, pause=0.1, repeats=False),
]
CROWD = Attack("honest crowd", crowd, {"", ("grpc", 0)})
"""What the others' wait is held against: as many clients, who mean no harm."""
