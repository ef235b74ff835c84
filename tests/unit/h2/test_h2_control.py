"""wire/h2: the frames that steer a connection (RFC 9113, sections 6.3 to 6.8)."""

import pytest

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.settings import read, written
from tests.unit.h2.speaking import (
    ACK,
    CANCEL,
    DATA,
    END_STREAM,
    FIELDS,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEAD,
    NO_ERROR,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    TRAILERS,
    Client,
    frame,
    number,
    request,
    setting,
)


def test_priority_of_a_wrong_size_resets_its_stream() -> None:
    """6.3: FRAME_SIZE_ERROR; of the connection where the stream is idle and cannot be reset."""
    client = Client()
    client.opens(1)
    client.breaks(1, FRAME_SIZE_ERROR, frame(PRIORITY, 0, 1, bytes(4)))
    assert client.says(frame(PRIORITY, 0, 1, bytes(6))) == []
    client.ends_with(FRAME_SIZE_ERROR, frame(PRIORITY, 0, 3, bytes(4)))


def test_a_stream_that_depends_on_itself_is_reset() -> None:
    """RFC 7540, 5.3.1: PROTOCOL_ERROR."""
    client = Client()
    client.opens(1)
    client.breaks(1, PROTOCOL_ERROR, frame(PRIORITY, 0, 1, number(1) + b"\x01"))


def test_priority_needs_a_stream() -> None:
    """6.3: on stream 0 it is a connection error PROTOCOL_ERROR."""
    Client().ends_with(PROTOCOL_ERROR, frame(PRIORITY, 0, 0, bytes(5)))


def test_a_reset_is_told_to_the_sink() -> None:
    """6.4: with its code; nothing is sent for it."""
    client = Client()
    client.opens(1, end=False)
    assert client.says(frame(RST_STREAM, 0, 1, number(CANCEL))) == []
    assert client.told[1:] == [("cut", 1, CANCEL)]
    assert client.connection.streams == {}


@pytest.mark.parametrize("size", [0, 3, 5])
def test_a_reset_has_four_bytes(size: int) -> None:
    """6.4: FRAME_SIZE_ERROR of the connection."""
    client = Client()
    client.opens(1)
    client.ends_with(FRAME_SIZE_ERROR, frame(RST_STREAM, 0, 1, bytes(size)))


def test_a_reset_needs_a_stream() -> None:
    """6.4: on stream 0 it is a connection error PROTOCOL_ERROR."""
    Client().ends_with(PROTOCOL_ERROR, frame(RST_STREAM, 0, 0, bytes(4)))


def test_settings_are_acknowledged() -> None:
    """6.5.3: one frame for one, in their order."""
    client = Client()
    got = client.says(
        frame(SETTINGS, 0, 0, setting(3, 7) + setting(0xFFFF, 1)), frame(SETTINGS, 0, 0)
    )
    assert got == [(SETTINGS, ACK, 0, b"")] * 2


def test_our_settings_being_acknowledged_is_noted() -> None:
    """6.5.3: the lane may ask; an acknowledgement is not acknowledged."""
    client = Client()
    assert not client.connection.is_acknowledged
    assert client.says(frame(SETTINGS, ACK, 0)) == []
    assert client.connection.is_acknowledged


@pytest.mark.parametrize(
    ("frame_", "code"),
    [
        (frame(SETTINGS, ACK, 0, b"x"), FRAME_SIZE_ERROR),
        (frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
        (frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, setting(2, 2)), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, setting(4, 1 << 31)), FLOW_CONTROL_ERROR),
        (frame(SETTINGS, 0, 0, setting(5, 16_383)), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, setting(5, 1 << 24)), PROTOCOL_ERROR),
    ],
)
def test_settings_that_are_wrong_break_the_connection(frame_: bytes, code: int) -> None:
    """6.5 and 6.5.2: each by its own code."""
    Client().ends_with(code, frame_)


def test_a_smaller_table_is_agreed_to_in_the_next_block() -> None:
    """RFC 7541, 4.2: once, at its beginning, whatever sends it; never for a larger one."""
    client = Client()
    client.says(frame(SETTINGS, 0, 0, setting(1, 10_000) + setting(1, 4096)))
    client.connection.reply(client.opens(1), HEAD, b"answer", TRAILERS)
    assert [payload for *_, payload in client.hears()] == [HEAD, b"answer", TRAILERS]
    client.says(frame(SETTINGS, 0, 0, setting(1, 4095)), frame(SETTINGS, 0, 0, setting(1, 8000)))
    client.connection.reply(client.opens(3), HEAD, b"answer", TRAILERS)
    assert [payload for *_, payload in client.hears()] == [b"\x20" + HEAD, b"answer", TRAILERS]
    client.says(frame(SETTINGS, 0, 0, setting(1, 0)))
    client.connection.send_headers(client.opens(5), HEAD, end=True)
    assert [payload for *_, payload in client.hears()] == [HEAD]


def test_settings_are_read_as_they_are_written() -> None:
    """6.5.1: sixteen bits of name, thirty-two of value."""
    limits = Limits(streams=7, window=70_000, frame_bytes=20_000, header_bytes=9)
    assert read(written(limits)[9:]) == [(3, 7), (4, 70_000), (5, 20_000), (6, 9)]


def test_nobody_pushes_to_a_server() -> None:
    """8.4: PUSH_PROMISE from a client is a connection error PROTOCOL_ERROR."""
    client = Client()
    client.opens(1, end=False)
    client.ends_with(PROTOCOL_ERROR, frame(PUSH_PROMISE, 4, 1, number(2) + b"\x82"))


def test_ping_is_answered_with_its_own_bytes() -> None:
    """6.7: and its acknowledgement with nothing."""
    client = Client()
    assert client.says(frame(PING, 0, 0, b"abcdefgh")) == [(PING, ACK, 0, b"abcdefgh")]
    assert client.says(frame(PING, ACK, 0, b"abcdefgh")) == []


@pytest.mark.parametrize(
    ("frame_", "code"),
    [
        (frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
        (frame(PING, 0, 0, bytes(9)), FRAME_SIZE_ERROR),
        (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
        (frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    ],
)
def test_ping_and_goaway_have_a_form(frame_: bytes, code: int) -> None:
    """6.7 and 6.8: eight bytes, on stream 0."""
    Client().ends_with(code, frame_)


def test_a_peer_that_leaves_gets_its_answers() -> None:
    """6.8: GOAWAY from a client refuses nothing of ours; its streams go on to their end."""
    client = Client()
    client.opens(1, end=False)
    text = b"too many pings" + b"x" * 1000
    assert client.says(frame(GOAWAY, 0, 0, number(0) + number(NO_ERROR) + text)) == []
    assert client.connection.is_peer_leaving
    assert client.connection.fault.startswith("too many pings")
    assert len(client.connection.fault) == 200
    client.says(frame(DATA, END_STREAM, 1, b"body"), request(3))
    assert client.told[1:] == [("data", 1, b"body", True), ("request", 3, FIELDS, True)]


def test_we_ask_for_a_sign_of_life() -> None:
    """6.7: its answer is an acknowledgement; a connection that has ended is not asked."""
    client = Client()
    client.connection.ping()
    assert client.hears() == [(PING, 0, 0, bytes(8))]
    client.connection.lost()
    client.hears()
    client.connection.ping()
    assert client.hears() == []
