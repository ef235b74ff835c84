"""wire/h2: what a hostile peer may do, and how soon its connection ends with ENHANCE_YOUR_CALM; a
steady one never does.

Each attack sends until it is stopped, and holds that no more was kept than the limits say.
"""

import time
from collections.abc import Callable

import pytest

from inferd.wire.h2.budgets import Budget, Limits
from inferd.wire.h2.streams import Stream
from tests.unit.h2.speaking import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEAD,
    HEADERS,
    PADDED,
    PING,
    POST,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    START,
    TRAILERS,
    WINDOW_UPDATE,
    Client,
    field_of,
    frame,
    number,
    request,
    setting,
)

MOST_TURNS = 100_000


def attack(client: Client, turn: Callable[[int], bytes]) -> int:
    """Send what *turn* gives, until the connection ends; how many turns that took."""
    for at in range(MOST_TURNS):
        found = client.says(turn(at))
        if client.connection.ended:
            kind, _, _, payload = found[-1]
            assert kind == GOAWAY
            assert int.from_bytes(payload[4:8], "big") == ENHANCE_YOUR_CALM
            assert client.connection.streams == {}
            assert client.connection.queued_bytes == 0
            return at + 1
        assert len(client.connection.streams) <= client.limits.streams
        assert client.connection.held_bytes <= 1000
    pytest.fail("nobody stopped it")


def id_of(at: int) -> int:
    return 2 * at + 1


def reset(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, number(CANCEL))


RESETS = {
    "CVE-2023-44487, rapid reset": lambda at: request(id_of(at), end=False) + reset(id_of(at)),
    "CVE-2023-44487, of whole requests": lambda at: request(id_of(at)) + reset(id_of(at)),
    "CVE-2025-8671, increments of 0": lambda at: (
        request(id_of(at)) + frame(WINDOW_UPDATE, 0, id_of(at), number(0))
    ),
    "CVE-2025-8671, windows that overflow": lambda at: (
        request(id_of(at)) + frame(WINDOW_UPDATE, 0, id_of(at), number(0x7FFFFFFF))
    ),
    "CVE-2025-8671, data after the end": lambda at: (
        request(id_of(at)) + frame(DATA, END_STREAM, id_of(at), b"x")
    ),
    "CVE-2025-8671, headers after the end": lambda at: request(id_of(at)) + request(id_of(at)),
    "CVE-2025-8671, priority of a wrong size": lambda at: (
        request(id_of(at)) + frame(PRIORITY, 0, id_of(at), bytes(4))
    ),
    "CVE-2025-8671, streams that depend on themselves": lambda at: (
        request(id_of(at)) + frame(PRIORITY, 0, id_of(at), number(id_of(at)) + b"\x01")
    ),
    "malformed requests": lambda at: request(id_of(at), block=b"\x82"),
    "trailers that do not end": lambda at: request(id_of(at), end=False) * 2,
}


@pytest.mark.parametrize("name", list(RESETS))
def test_requests_that_are_broken_off_soon_end_the_connection(name: str) -> None:
    """1000 at once, whoever resets them: the server's work was in vain either way."""
    client = Client()
    assert attack(client, RESETS[name]) == client.limits.resets + 1


def test_resets_among_honest_requests_are_taken() -> None:
    """A client may break off as many requests as it lets come to their end; 33 a second besides."""
    client = Client()
    for at in range(2000):
        client.connection.reply(client.opens(id_of(2 * at)), HEAD, b"answer", TRAILERS)
        client.hears()
        client.opens(id_of(2 * at + 1))
        assert client.says(reset(id_of(2 * at + 1))) == []
    for at in range(4000, 5000):
        client.now += 0.05
        assert client.says(request(id_of(at)), reset(id_of(at))) == []


FLOODS = {
    "CVE-2019-9512, pings": lambda at: frame(PING, 0, 0, bytes(8)),
    "answers to no ping": lambda at: frame(PING, ACK, 0, bytes(8)),
    "CVE-2019-9515, settings": lambda at: frame(SETTINGS, 0, 0),
    "CVE-2019-9515, settings in one frame": lambda at: frame(SETTINGS, 0, 0, setting(4, 1) * 30),
    "acknowledgements": lambda at: frame(SETTINGS, ACK, 0),
    "CVE-2019-9513, priorities": lambda at: frame(PRIORITY, 0, 1, number(at + 2) + b"\x01"),
    "window updates": lambda at: frame(WINDOW_UPDATE, 0, 0, number(1)),
    "window updates of a stream": lambda at: frame(WINDOW_UPDATE, 0, 1, number(1)),
    "CVE-2019-9518, empty data": lambda at: frame(DATA, 0, 3, b""),
    "CVE-2019-9518, data of padding": lambda at: frame(DATA, PADDED, 3, b"\x02ab"),
    "unknown frames": lambda at: frame(0xEE, 0, 0, b""),
    "goaway": lambda at: frame(GOAWAY, 0, 0, bytes(8)),
    "resets of what is closed": lambda at: reset(1),
    "refused streams": lambda at: request(id_of(at + 10), end=False),
    "CVE-2019-9518, empty headers that are refused": lambda at: request(id_of(at + 10), block=b""),
}


@pytest.mark.parametrize("name", list(FLOODS))
def test_frames_that_bring_no_request_further_end_the_connection(name: str) -> None:
    """2000 at once, and what the two requests that came before them have earned."""
    client = Client(Limits(streams=2, connection_window=65_535))
    client.says(request(1), request(3, end=False))
    assert attack(client, FLOODS[name]) <= client.limits.control_frames + 32


def test_late_frames_on_streams_that_were_reset_are_a_flood_as_well() -> None:
    """They are ignored one by one, but not for ever; HEADERS and DATA alike."""
    for late in (request(1), frame(DATA, 0, 1, b"late")):
        client = Client()
        client.connection.reset(client.opens(1, end=False), CANCEL)
        attack(client, lambda _, late=late: late)  # type: ignore[misc]  # the default is its type


def test_requests_after_goaway_are_a_flood_as_well() -> None:
    """They are ignored, as their sender could not know; not for ever."""
    client = Client()
    client.connection.shut()
    client.hears()
    attack(client, lambda at: request(id_of(at)))


def test_control_frames_of_honest_clients_are_taken() -> None:
    """Some with each request, with each frame of an upload and of a download, and 200 a second."""
    client = Client(start=START + frame(SETTINGS, 0, 0, setting(4, 0x7FFFFFFF)))
    for at in range(2000):
        client.opens(id_of(at))
        client.connection.reply(client.streams[id_of(at)], HEAD, b"answer", TRAILERS)
        client.says(frame(PING, 0, 0, bytes(8)) * 3, frame(WINDOW_UPDATE, 0, 0, number(100)) * 3)
    up = client.opens(id_of(2000), end=False)
    for _ in range(5000):
        client.says(frame(DATA, 0, up.id, b"message"), frame(PING, 0, 0, bytes(8)))
        client.connection.consumed(up, 7)
    down = client.opens(id_of(2001))
    for _ in range(5000):
        client.connection.send_data(down, b"token")
        client.says(frame(WINDOW_UPDATE, 0, 0, number(5)), frame(WINDOW_UPDATE, 0, 1, number(5)))
    for _ in range(10_000):
        client.now += 0.005
        client.says(frame(PING, 0, 0, bytes(8)))
    assert not client.connection.ended, client.connection.fault


def test_an_answer_is_not_cut_into_single_bytes() -> None:
    """CVE-2019-9511 and 9517: windows that grow by 1 have earned nothing by the frames that they
    bring forth; the answer that waits is dropped with the connection."""
    client = Client(start=START + frame(SETTINGS, 0, 0, setting(4, 0)))
    stream = client.opens(1)
    client.connection.send_data(stream, bytes(10_000_000), end=True)
    assert attack(client, lambda _: frame(WINDOW_UPDATE, 0, 1, number(1))) < 2100


def test_a_reader_that_stalls_can_be_told() -> None:
    """CVE-2019-9511, of a peer that opens no window at all: `queued_bytes` tells what waits."""
    client = Client()
    for at in range(100):
        client.connection.send_data(client.opens(id_of(at)), bytes(10_000), end=True)
        client.hears()
    assert client.connection.queued_bytes == 100 * 10_000 - 65_535


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_a_header_block_without_end_ends_the_connection(payload: bytes) -> None:
    """CVE-2024-27316, CONTINUATION flood: frames are counted, empty or not."""
    client = Client()
    client.says(frame(HEADERS, END_STREAM, 1, POST))
    turns = attack(client, lambda _: frame(CONTINUATION, 0, 1, payload))
    assert turns == client.limits.fragments


def test_a_large_header_block_ends_the_connection_before_it_is_kept() -> None:
    """CVE-2024-27316: bytes are counted."""
    client = Client()
    client.says(frame(HEADERS, 0, 1, POST))
    client.says(*[frame(CONTINUATION, 0, 1, bytes(16_384))] * 3)
    assert client.connection.held_bytes < client.limits.header_bytes
    client.ends_with(ENHANCE_YOUR_CALM, frame(CONTINUATION, 0, 1, bytes(16_384)))
    assert client.connection.held_bytes == 0


def test_empty_continuations_of_many_blocks_are_a_flood() -> None:
    """CVE-2019-9518: though each block is short of the most frames."""
    empty = frame(CONTINUATION, 0, 1, b"") * 60
    client = Client(Limits(streams=1))
    client.opens(1)
    blocks = (
        frame(HEADERS, END_STREAM, id_of(at + 1), POST)
        + empty.replace(number(1), number(id_of(at + 1)))
        + frame(CONTINUATION, END_HEADERS, id_of(at + 1), b"")
        for at in range(MOST_TURNS)
    )
    assert attack(client, lambda _: next(blocks)) < 50


def test_what_is_owed_to_a_peer_that_does_not_read_is_bounded() -> None:
    """CVE-2019-9512 and 9515: a lane that cannot write does not take; `backlog` tells it."""
    client = Client(Limits(control_frames=10_000_000, backlog=100_000))
    connection = client.connection
    assert connection.backlog == 0
    pings = frame(PING, 0, 0, bytes(8)) * 100
    for _ in range(MOST_TURNS):
        connection.receive(pings)
        if connection.ended:
            break
    assert 100_000 < connection.backlog < 101_000
    assert client.hears()[-1][3][4:8] == number(ENHANCE_YOUR_CALM)
    assert connection.backlog == 0


def test_bytes_that_come_one_by_one_cost_no_more_the_longer_the_frame() -> None:
    """What is incomplete is added to, and never joined again: time is linear in the bytes."""
    client = Client()
    client.opens(1, end=False)
    whole = frame(DATA, 0, 1, bytes(1 << 18))
    client.connection.receive(whole[:9])
    pieces = [whole[at : at + 1] for at in range(9, len(whole) - 1)]

    def spent(pieces: list[bytes]) -> float:
        start = time.perf_counter()
        for piece in pieces:
            client.connection.receive(piece)
        return time.perf_counter() - start

    first, *_, last = (spent(pieces[at : at + 50_000]) for at in range(0, 250_000, 50_000))
    assert last < 5 * first + 0.1
    client.connection.receive(whole[250_009:])
    assert client.told[-1] == ("data", 1, bytes(1 << 18), False)


def test_a_block_of_many_literals_takes_time_by_the_byte() -> None:
    """A header block of the largest size, of the smallest fields, is read in well under a second;
    and what it means, more than is taken, is not kept."""
    client = Client()
    start = time.perf_counter()
    client.says(request(1, block=b"\x00\x01a\x00" * 16_000), request(3, block=b"\x82" * 65_000))
    client.says(request(5, block=b"\x20" * 65_000))
    assert time.perf_counter() - start < 2
    assert not client.connection.ended
    assert client.told == []


def test_many_settings_in_a_frame_are_not_worked_through() -> None:
    """Each new first window goes to every stream: a frame of thousands would take seconds."""
    client = Client()
    for at in range(128):
        client.opens(id_of(at))
    client.ends_with(ENHANCE_YOUR_CALM, frame(SETTINGS, 0, 0, setting(4, 1) * 40_000))


def test_honest_headers_with_a_changing_field_are_no_flood() -> None:
    """Each changes the table; nothing is remembered, and nothing held."""
    client = Client()
    for at in range(5000):
        indexed = b"\x40" + field_of(b"grpc-timeout", b"%du" % at)[1:]
        client.says(request(id_of(at), block=POST + indexed))
        client.connection.reply(client.streams.pop(id_of(at)), HEAD, b"answer", TRAILERS)
        assert client.told.pop()[2][3] == (b"grpc-timeout", b"%du" % at)
        client.hears()
    assert client.connection._heads.known == {}
    assert not client.connection.ended


def test_budgets_are_refilled_by_time_and_by_work_up_to_their_most() -> None:
    """Whoever was quiet for an hour has not saved up more than that."""
    budget = Budget(10, 2.0, 100.0)
    assert budget.spend(10, 0, 100.0)
    assert not budget.spend(1, 0, 100.0)
    assert budget.spend(1, 2, 100.0)
    assert budget.spend(2, 2, 101.0)
    assert not budget.spend(1, 2, 101.0)
    assert not budget.spend(11, 1000, 5000.0)


def test_sinks_that_reset_what_they_are_told_of_do_no_harm() -> None:
    """From within any call; of other streams as well."""

    class Cruel(Client):
        def cut(self, stream: Stream, code: int) -> None:
            super().cut(stream, code)
            for other in list(self.connection.streams.values()):
                self.connection.reset(other, CANCEL)

    client = Cruel()
    for at in range(5):
        client.opens(id_of(at))
    client.says(reset(1), frame(DATA, 0, 0))
    assert [told for told in client.told if told[0] == "cut"] == [("cut", 1, CANCEL)]
    client = Cruel()
    for at in range(5):
        client.opens(id_of(at))
    client.says(frame(DATA, 0, 0))
    assert [told for told in client.told if told[0] == "cut"] == [("cut", 1, 1)]
