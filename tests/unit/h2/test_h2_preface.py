"""wire/h2: the preface, frames and header blocks as they come (RFC 9113, sections 3, 4 and 5.5)."""

import pytest

from inferd.wire.h2.budgets import Limits
from tests.unit.h2.speaking import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FIELDS,
    FRAME_SIZE_ERROR,
    HEADERS,
    MAGIC,
    PADDED,
    PING,
    POST,
    PROTOCOL_ERROR,
    SETTINGS,
    START,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Client,
    frame,
    number,
    request,
    setting,
)


def test_our_preface_tells_our_limits() -> None:
    """3.4: SETTINGS come first; the connection's window is raised from the standard's 65535."""
    ours, update, acknowledged = Client().first
    assert ours[:3] == (SETTINGS, 0, 0)
    assert ours[3] == setting(3, 128) + setting(4, 1 << 20) + setting(5, 1 << 18) + setting(
        6, 1 << 16
    )
    assert update == (WINDOW_UPDATE, 0, 0, number((1 << 24) - 65535))
    assert acknowledged == (SETTINGS, ACK, 0, b"")


def test_a_connection_window_of_the_standards_own_size_needs_no_update() -> None:
    """6.9: an increment of 0 would be an error."""
    assert len(Client(Limits(connection_window=65535)).first) == 2


def test_the_preface_may_come_byte_by_byte() -> None:
    """3.4: `started` tells when it is complete, with its SETTINGS."""
    client = Client(start=b"")
    for at in range(len(START)):
        assert not client.connection.started
        client.says(START[at : at + 1])
    assert client.connection.started


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/1", b"x", MAGIC[:-1] + b"x"])
def test_another_preface_is_refused_at_its_first_wrong_byte(data: bytes) -> None:
    """3.4: PROTOCOL_ERROR, before the preface is complete."""
    Client(start=b"").ends_with(PROTOCOL_ERROR, data)


@pytest.mark.parametrize(
    "first", [request(1), frame(PING, 0, 0, b"12345678"), frame(SETTINGS, ACK, 0)]
)
def test_settings_come_first(first: bytes) -> None:
    """3.4: any other frame, or an acknowledgement, is a PROTOCOL_ERROR."""
    Client(start=MAGIC).ends_with(PROTOCOL_ERROR, first)


def test_a_frame_larger_than_ours_is_refused_before_it_is_there() -> None:
    """4.2: FRAME_SIZE_ERROR at its head; nothing of it is kept."""
    client = Client()
    client.ends_with(FRAME_SIZE_ERROR, frame(DATA, 0, 1, bytes(1 << 18) + b"x")[:9])
    assert client.connection.held_bytes == 0
    client = Client()
    client.says(b"\xff")
    client.ends_with(FRAME_SIZE_ERROR, b"\xff\xff\x00\x00\x00\x00\x00\x01")


def test_a_frame_of_the_largest_size_is_taken() -> None:
    """4.2: up to SETTINGS_MAX_FRAME_SIZE, also in pieces."""
    client = Client()
    whole = frame(DATA, END_STREAM, 1, b"x" * (1 << 18))
    client.says(request(1, end=False), whole[:100_000])
    assert client.connection.held_bytes == 100_000
    client.says(whole[100_000:], request(3))
    assert client.told[1] == ("data", 1, b"x" * (1 << 18), True)
    assert client.told[2][:2] == ("request", 3)
    assert client.connection.held_bytes == 0


def test_the_reserved_bit_is_ignored() -> None:
    """4.1: the bit above a stream's number means nothing."""
    client = Client()
    client.says(request(0x80000001))
    assert client.told == [("request", 1, FIELDS, True)]


def test_frames_of_unknown_types_are_ignored() -> None:
    """4.1 and 5.5: on any stream, of any content."""
    client = Client()
    assert client.says(frame(0xEE, 0xFF, 0, b"x"), frame(0x10, 0, 77, b""), request(1)) == []
    assert client.told == [("request", 1, FIELDS, True)]


def test_unknown_flags_are_ignored() -> None:
    """4.1: flags that a type does not have mean nothing."""
    client = Client()
    assert client.says(frame(PING, 0xFE, 0, b"12345678")) == [(PING, ACK, 0, b"12345678")]
    client.says(frame(HEADERS, 0xD2 | END_HEADERS | END_STREAM, 1, POST))
    assert client.told == [("request", 1, FIELDS, True)]


def test_padding_and_priority_are_taken_off() -> None:
    """6.2: HEADERS may have both; neither means anything to the request."""
    client = Client()
    flags = END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY
    client.says(frame(HEADERS, flags, 1, b"\x03" + number(0) + b"\x10" + POST + bytes(3)))
    assert client.told == [("request", 1, FIELDS, True)]


def test_headers_of_priority_alone_are_a_request_without_fields() -> None:
    """6.2: an empty block is whole, and its stream malformed."""
    client = Client()
    flags = END_HEADERS | END_STREAM | WITH_PRIORITY
    client.breaks(1, PROTOCOL_ERROR, frame(HEADERS, flags, 1, bytes(5)))


@pytest.mark.parametrize(
    ("flags", "payload", "code"),
    [
        (PADDED, b"", FRAME_SIZE_ERROR),
        (PADDED, b"\x05" + bytes(4), PROTOCOL_ERROR),
        (WITH_PRIORITY, bytes(4), FRAME_SIZE_ERROR),
        (WITH_PRIORITY, number(1) + b"\x00" + POST, PROTOCOL_ERROR),
    ],
)
def test_headers_cut_short_break_the_connection(flags: int, payload: bytes, code: int) -> None:
    """6.2: padding longer than the frame, priority fields that are cut off, a stream that depends
    on itself (RFC 7540, 5.3.1)."""
    Client().ends_with(code, frame(HEADERS, flags | END_HEADERS, 1, payload))


def test_a_header_block_may_come_in_many_frames() -> None:
    """6.10: HEADERS' own END_STREAM counts, whatever CONTINUATION says."""
    client = Client()
    client.says(frame(HEADERS, END_STREAM, 1, POST[:5]), frame(CONTINUATION, END_STREAM, 1))
    assert client.told == []
    assert client.connection.held_bytes == 5
    client.says(frame(CONTINUATION, END_HEADERS, 1, POST[5:]))
    assert client.told == [("request", 1, FIELDS, True)]
    assert client.connection.held_bytes == 0


@pytest.mark.parametrize(
    "other",
    [
        request(3),
        frame(CONTINUATION, END_HEADERS, 3, POST[5:]),
        frame(PING, 0, 0, b"12345678"),
        frame(0xEE, 0, 0),
    ],
)
def test_nothing_comes_between_the_frames_of_a_header_block(other: bytes) -> None:
    """4.3 and 5.5: no other stream's frame, none of an unknown type."""
    Client().ends_with(PROTOCOL_ERROR, frame(HEADERS, 0, 1, POST[:5]), other)


def test_continuation_follows_a_header_block_alone() -> None:
    """6.10: after END_HEADERS, or without HEADERS, it is a PROTOCOL_ERROR."""
    Client().ends_with(PROTOCOL_ERROR, frame(CONTINUATION, END_HEADERS, 1, POST))
    Client().ends_with(PROTOCOL_ERROR, request(1), frame(CONTINUATION, END_HEADERS, 1, POST))


def test_a_header_block_that_means_nothing_breaks_the_connection() -> None:
    """4.3: COMPRESSION_ERROR, as the table is no longer known."""
    Client().ends_with(COMPRESSION_ERROR, request(1, block=b"\xff\xff\xff"))


def test_a_header_block_larger_than_is_taken_breaks_the_connection() -> None:
    """6.10: it is not decoded, so the table is lost; one frame is held to it as well as many."""
    limits = Limits(header_bytes=100)
    Client(limits).ends_with(ENHANCE_YOUR_CALM, request(1, block=POST + bytes(100)))
    Client(limits).ends_with(
        ENHANCE_YOUR_CALM,
        frame(HEADERS, 0, 1, POST),
        frame(CONTINUATION, 0, 1, bytes(50)),
        frame(CONTINUATION, 0, 1, bytes(50)),
    )


def test_after_the_end_nothing_is_read() -> None:
    """5.4.1: what comes behind a connection error is ignored."""
    client = Client()
    client.ends_with(PROTOCOL_ERROR, frame(DATA, 0, 0), request(1))
    assert client.says(request(3), b"x" * 1000) == []
    assert client.told == []
    assert client.connection.held_bytes == 0


def test_a_connection_error_cuts_every_stream() -> None:
    """5.4.1: GOAWAY names the last stream that was taken; the sink is told of each."""
    client = Client()
    client.says(request(1, end=False), request(3))
    *_, (_, _, _, payload) = client.says(frame(DATA, 0, 0))
    assert payload[:8] == number(3) + number(PROTOCOL_ERROR)
    assert client.told[2:] == [("cut", 1, PROTOCOL_ERROR), ("cut", 3, PROTOCOL_ERROR)]
