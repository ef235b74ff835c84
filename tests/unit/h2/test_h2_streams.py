"""wire/h2: the states of a stream, and what may come on one that is closed (RFC 9113, 5.1)."""

import pytest

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.controlling import FAREWELL
from tests.unit.h2.speaking import (
    ACK,
    CANCEL,
    DATA,
    END_STREAM,
    FIELDS,
    GOAWAY,
    HEAD,
    HEADERS,
    NO_ERROR,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    STREAM_CLOSED,
    TRAILERS,
    WINDOW_UPDATE,
    Client,
    field_of,
    frame,
    number,
    request,
)

MORE = {
    "data": frame(DATA, END_STREAM, 1, b"late"),
    "headers": request(1),
    "rst_stream": frame(RST_STREAM, 0, 1, number(CANCEL)),
    "window_update": frame(WINDOW_UPDATE, 0, 1, number(1)),
    "priority": frame(PRIORITY, 0, 1, number(3) + b"\x01"),
}


@pytest.mark.parametrize("name", ["data", "rst_stream", "window_update"])
def test_idle_streams_take_headers_and_priority_alone(name: str) -> None:
    """5.1, idle: anything else is a connection error PROTOCOL_ERROR."""
    Client().ends_with(PROTOCOL_ERROR, MORE[name])


def test_priority_on_an_idle_stream_is_ignored() -> None:
    """5.1, idle: and the stream is idle still."""
    client = Client()
    assert client.says(MORE["priority"], request(1)) == []
    assert client.told == [("request", 1, FIELDS, True)]


@pytest.mark.parametrize("name", ["data", "headers"])
def test_a_request_that_has_ended_takes_no_more(name: str) -> None:
    """5.1, half-closed (remote): a stream error STREAM_CLOSED, of which the sink is told."""
    client = Client()
    client.opens(1)
    client.breaks(1, STREAM_CLOSED, MORE[name])
    assert client.told[1:] == [("cut", 1, STREAM_CLOSED)]


@pytest.mark.parametrize("name", ["window_update", "priority"])
def test_a_request_that_has_ended_takes_what_is_about_its_answer(name: str) -> None:
    """5.1, half-closed (remote): window updates and priorities may come."""
    client = Client()
    client.opens(1)
    assert client.says(MORE[name]) == []
    assert 1 in client.connection.streams


def answered() -> Client:
    client = Client()
    client.connection.reply(client.opens(1), HEAD, b"answer", TRAILERS)
    client.hears()
    assert client.connection.streams == {}
    return client


@pytest.mark.parametrize("name", ["data", "headers"])
def test_a_stream_that_both_have_ended_takes_no_more(name: str) -> None:
    """5.1, closed: a connection error STREAM_CLOSED."""
    answered().ends_with(STREAM_CLOSED, MORE[name])


@pytest.mark.parametrize("name", ["rst_stream", "window_update", "priority"])
def test_what_crossed_the_end_of_an_answer_is_ignored(name: str) -> None:
    """5.1, closed: the peer may not have known."""
    client = answered()
    assert client.says(MORE[name], request(3)) == []
    assert client.told[-1][:2] == ("request", 3)


@pytest.mark.parametrize("name", ["data", "headers"])
def test_a_stream_that_the_peer_reset_takes_no_more(name: str) -> None:
    """5.1, closed: the peer knew; a connection error STREAM_CLOSED."""
    client = Client()
    client.opens(1, end=False)
    client.says(MORE["rst_stream"])
    assert client.told[1:] == [("cut", 1, CANCEL)]
    client.ends_with(STREAM_CLOSED, MORE[name])


@pytest.mark.parametrize("name", list(MORE))
def test_whatever_comes_on_a_stream_that_we_reset_is_ignored(name: str) -> None:
    """5.1, closed: any frame may have been on its way."""
    client = Client()
    stream = client.opens(1, end=False)
    client.connection.reset(stream, CANCEL)
    client.connection.reset(stream, CANCEL)
    assert client.hears() == [(RST_STREAM, 0, 1, number(CANCEL))]
    assert client.says(MORE[name], request(3)) == []
    assert client.told[1:] == [("request", 3, FIELDS, True)]


def test_a_late_header_block_still_changes_the_table() -> None:
    """4.3: a block on a stream that was reset is decoded, as later ones build on it."""
    client = Client()
    client.connection.reset(client.opens(1, end=False), CANCEL)
    indexed = b"\x40" + field_of(b"x", b"y")[1:]
    client.says(request(1, block=indexed), request(3, block=POST_AND_FIRST_ENTRY))
    assert client.told[-1] == ("request", 3, [*FIELDS, (b"x", b"y")], True)


POST_AND_FIRST_ENTRY = b"\x83\x86" + field_of(b":path", b"/a.B/C") + b"\xbe"


def test_an_answer_before_the_end_of_its_request_tells_the_peer_to_stop() -> None:
    """8.1: RST_STREAM with NO_ERROR after the answer; what comes late is ignored."""
    client = Client()
    client.connection.reply(client.opens(1, end=False), HEAD, b"no", TRAILERS)
    assert [(kind, stream) for kind, _, stream, _ in client.hears()] == [
        (HEADERS, 1),
        (DATA, 1),
        (HEADERS, 1),
        (RST_STREAM, 1),
    ]
    assert client.says(frame(DATA, END_STREAM, 1, b"late")) == []
    assert client.told == [("request", 1, FIELDS, False)]
    assert not client.connection.ended


@pytest.mark.parametrize("stream", [0, 2, 4])
def test_a_client_opens_odd_streams(stream: int) -> None:
    """5.1.1 and 6.2: even ones, and stream 0, are a connection error PROTOCOL_ERROR."""
    Client().ends_with(PROTOCOL_ERROR, request(stream))


def test_streams_are_opened_in_their_order() -> None:
    """5.1.1: those that were skipped are closed, and opening one is a PROTOCOL_ERROR."""
    client = Client()
    client.says(request(1), request(9))
    assert client.says(frame(PRIORITY, 0, 3, number(0) + b"\x01")) == []
    client.ends_with(PROTOCOL_ERROR, request(5))


def test_a_stream_behind_a_gap_was_opened() -> None:
    """5.1.1 and 5.1: opening it again is STREAM_CLOSED, as for any that has ended."""
    client = Client()
    client.connection.reply(client.opens(9), HEAD, b"answer", TRAILERS)
    client.ends_with(STREAM_CLOSED, request(9))


def test_gaps_are_remembered_in_bounds() -> None:
    """5.1.1: however many streams are skipped; opening one is an error always."""
    client = Client(Limits(streams=10_000))
    for stream in range(5, 10_000, 4):
        client.says(request(stream))
    client.ends_with(STREAM_CLOSED, request(3))


def test_streams_beyond_the_limit_are_refused() -> None:
    """5.1.2: REFUSED_STREAM, so that the client may ask again; their blocks are decoded."""
    client = Client(Limits(streams=2))
    client.says(request(1), request(3, end=False))
    indexed = b"\x83\x86" + field_of(b":path", b"/a.B/C") + b"\x40" + field_of(b"x", b"y")[1:]
    refused = client.says(request(5, end=False, block=indexed))
    assert refused == [(RST_STREAM, 0, 5, number(REFUSED_STREAM))]
    assert client.says(frame(DATA, 0, 5, b"on its way")) == []
    client.connection.reply(client.streams[1], HEAD, b"", TRAILERS)
    client.hears()
    client.says(request(7, block=POST_AND_FIRST_ENTRY))
    assert client.told[-1] == ("request", 7, [*FIELDS, (b"x", b"y")], True)


def test_streams_that_have_ended_are_forgotten() -> None:
    """Memory: nothing is kept of a stream but its number's being used; of resets, so many."""
    client = Client(Limits(remembered=10, resets=100_000))
    for stream in range(1, 2001, 4):
        client.connection.reply(client.opens(stream), HEAD, b"answer", TRAILERS)
        client.connection.reset(client.opens(stream + 2, end=False), CANCEL)
        client.hears()
    assert client.connection.streams == {}
    assert len(client.connection._past._resets) == 10
    assert len(client.connection._past._gaps) == 0
    assert client.says(frame(DATA, 0, 1999, b"late")) == []
    client.ends_with(STREAM_CLOSED, frame(DATA, 0, 3, b"very late"))


def test_sending_on_a_stream_that_is_gone_does_nothing() -> None:
    """The lane need not know: whatever it sends on a stream that was cut is dropped."""
    client = Client()
    stream = client.opens(1)
    client.says(MORE["rst_stream"])
    connection = client.connection
    connection.send_headers(stream, HEAD)
    assert connection.send_data(stream, b"x" * 1_000_000)
    connection.send_trailers(stream, TRAILERS)
    connection.reply(stream, HEAD, b"answer", TRAILERS)
    connection.consumed(stream, 1 << 20)
    connection.reset(stream, NO_ERROR)
    assert client.hears() == []
    assert connection.queued_bytes == 0


def test_shutting_lets_what_is_under_way_come_to_its_end() -> None:
    """6.8: GOAWAY names the last stream that was taken; later ones are ignored, at any frame."""
    client = Client()
    stream = client.opens(1, end=False)
    client.connection.shut()
    client.connection.shut()
    assert client.hears() == [(GOAWAY, 0, 0, number(1) + number(NO_ERROR))]
    late = request(3, end=False) + frame(DATA, END_STREAM, 3, b"x") + request(5, block=b"\x83")
    assert client.says(late, frame(WINDOW_UPDATE, 0, 3, number(1))) == []
    client.says(frame(DATA, END_STREAM, 1, b"body"))
    assert client.told[1:] == [("data", 1, b"body", True)]
    client.connection.reply(stream, HEAD, b"answer", TRAILERS)
    assert len(client.hears()) == 3
    assert not client.connection.ended


def test_a_lost_transport_cuts_every_stream() -> None:
    """The lane says so once; a second time, or after an error, changes nothing."""
    client = Client()
    client.opens(1)
    client.connection.lost()
    client.connection.lost()
    assert client.told[1:] == [("cut", 1, CANCEL)]
    assert client.connection.ended


def test_a_warning_refuses_nothing_until_it_is_known() -> None:
    """6.8: the first GOAWAY names no stream. What comes after it is taken, until the peer has
    answered the ping that came with it, and no other."""
    client = Client()
    connection = client.connection
    connection.warn()
    connection.warn()
    warning = (GOAWAY, 0, 0, number(2**31 - 1) + number(NO_ERROR))
    assert client.hears() == [(PING, 0, 0, FAREWELL), warning]
    client.opens(1)
    assert client.says(frame(PING, ACK, 0, bytes(8))) == []
    client.opens(3)
    assert connection.takes_more
    left = client.says(frame(PING, ACK, 0, FAREWELL))
    assert left == [(GOAWAY, 0, 0, number(3) + number(NO_ERROR))]
    assert client.says(request(5)) == []
    assert [told[:2] for told in client.told] == [("request", 1), ("request", 3)]
    assert connection.is_leaving
    assert not connection.takes_more
    assert not connection.ended


def test_an_answer_to_a_ping_that_was_not_sent() -> None:
    """It ends nothing: only a warned peer can let the end come."""
    client = Client()
    assert client.says(frame(PING, ACK, 0, FAREWELL)) == []
    assert client.opens(1).id == 1


def test_shutting_at_once_after_a_warning() -> None:
    """A peer that answers nothing is not waited for: the lane shuts when it likes."""
    client = Client()
    client.connection.warn()
    client.opens(1)
    client.connection.shut()
    client.connection.warn()
    assert client.hears()[-1] == (GOAWAY, 0, 0, number(1) + number(NO_ERROR))
