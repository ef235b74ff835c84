"""wire/h2: flow control, both ways (RFC 9113, sections 5.2, 6.1 and 6.9)."""

import pytest

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.streams import Stream
from tests.unit.h2.speaking import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HEAD,
    HEADERS,
    PADDED,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    START,
    TRAILERS,
    WINDOW_UPDATE,
    Client,
    frame,
    number,
    request,
    setting,
)

FRAME = 16_384
WINDOW = 65_535


def update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def sizes(found: list[tuple[int, int, int, bytes]]) -> list[tuple[int, int, bool]]:
    """Of DATA frames: stream, bytes, and whether it ends the stream."""
    return [
        (stream, len(payload), flags == 1) for kind, flags, stream, payload in found if not kind
    ]


@pytest.mark.parametrize("stream", [0, 1])
def test_an_increment_of_no_size_is_an_error(stream: int) -> None:
    """6.9: of the stream, or of the connection."""
    client = Client()
    client.opens(1)
    if stream:
        client.breaks(1, PROTOCOL_ERROR, update(1, 0))
        assert client.told[-1] == ("cut", 1, PROTOCOL_ERROR)
    else:
        client.ends_with(PROTOCOL_ERROR, update(0, 0))


@pytest.mark.parametrize("stream", [0, 1])
def test_a_window_beyond_its_bound_is_an_error(stream: int) -> None:
    """6.9.1: 2^31 - 1 is the most, of the stream and of the connection."""
    client = Client()
    client.opens(1)
    assert client.says(update(stream, 0x7FFFFFFF - WINDOW)) == []
    if stream:
        client.breaks(1, FLOW_CONTROL_ERROR, update(1, 1))
    else:
        client.ends_with(FLOW_CONTROL_ERROR, update(0, 1))


@pytest.mark.parametrize("size", [0, 3, 5])
def test_a_window_update_has_four_bytes(size: int) -> None:
    """6.9: FRAME_SIZE_ERROR of the connection."""
    Client().ends_with(FRAME_SIZE_ERROR, frame(WINDOW_UPDATE, 0, 0, bytes(size)))


def test_data_beyond_the_streams_window_is_an_error() -> None:
    """6.9.1: FLOW_CONTROL_ERROR of the stream, as nothing was consumed."""
    client = Client(Limits(window=WINDOW))
    client.opens(1, end=False)
    client.says(frame(DATA, 0, 1, bytes(WINDOW)))
    client.breaks(1, FLOW_CONTROL_ERROR, frame(DATA, 0, 1, b"x"))
    assert client.told[-1] == ("cut", 1, FLOW_CONTROL_ERROR)


def test_data_beyond_the_connections_window_is_an_error() -> None:
    """6.9.1: FLOW_CONTROL_ERROR of the connection."""
    client = Client(Limits(connection_window=WINDOW))
    client.opens(1, end=False)
    client.ends_with(FLOW_CONTROL_ERROR, frame(DATA, 0, 1, bytes(WINDOW + 1)))


def test_the_connections_window_is_credited_as_bytes_arrive() -> None:
    """5.2: whatever the lane does with them, and on closed streams, too, padding included."""
    client = Client(Limits(connection_window=WINDOW))
    client.connection.reset(client.opens(1, end=False), CANCEL)
    client.hears()
    assert client.says(frame(DATA, 0, 1, bytes(20_000))) == []
    assert client.says(frame(DATA, PADDED, 1, b"\xff" + bytes(12_768))) == [
        (WINDOW_UPDATE, 0, 0, number(32_769))
    ]


def test_a_streams_window_is_credited_by_what_was_consumed() -> None:
    """5.2: at half a window; not once the request has ended."""
    client = Client(Limits(window=100_000))
    stream = client.opens(1, end=False)
    client.says(frame(DATA, 0, 1, bytes(90_000)))
    client.connection.consumed(stream, 49_999)
    assert client.hears() == []
    client.connection.consumed(stream, 1)
    assert client.hears() == [(WINDOW_UPDATE, 0, 1, number(50_000))]
    client.says(frame(DATA, END_STREAM, 1, bytes(60_000)))
    assert not client.connection.ended
    client.connection.consumed(stream, 100_000)
    assert client.hears() == []


def test_padding_is_credited_without_the_lane() -> None:
    """6.1: it counts for the window, its length's byte too, and is not told to the sink."""
    client = Client(Limits(window=WINDOW))
    client.opens(1, end=False)
    padded = frame(DATA, PADDED, 1, b"\xff" + b"x" + bytes(255))
    got = client.says(padded * 127)
    assert got == []
    assert client.says(padded) == [(WINDOW_UPDATE, 0, 1, number(256 * 128))]
    assert client.told[1:] == [("data", 1, b"x", False)] * 128


@pytest.mark.parametrize(("padding", "code"), [(5, PROTOCOL_ERROR), (6, PROTOCOL_ERROR)])
def test_padding_longer_than_its_frame_is_an_error(padding: int, code: int) -> None:
    """6.1: PROTOCOL_ERROR of the connection."""
    client = Client()
    client.opens(1, end=False)
    client.ends_with(code, frame(DATA, PADDED, 1, bytes((padding,)) + bytes(4)))


def test_data_on_stream_0_is_an_error() -> None:
    """6.1: PROTOCOL_ERROR of the connection."""
    Client().ends_with(PROTOCOL_ERROR, frame(DATA, 0, 0, b"x"))


def test_answers_are_cut_to_the_peers_frames_and_wait_for_its_windows() -> None:
    """5.2 and 4.2: 16384 bytes a frame and 65535 in all, until the peer says more."""
    client = Client()
    stream = client.opens(1)
    connection = client.connection
    connection.send_headers(stream, HEAD)
    assert not connection.send_data(stream, bytes(100_000), end=True)
    assert sizes(client.hears()) == [(1, FRAME, False)] * 3 + [(1, FRAME - 1, False)]
    assert connection.queued_bytes == 100_000 - WINDOW
    assert client.says(update(1, 10)) == []
    assert sizes(client.says(update(0, 50_000))) == [(1, 10, False)]
    assert sizes(client.says(update(1, 50_000))) == [
        (1, FRAME, False),
        (1, FRAME, False),
        (1, 1687, True),
    ]
    assert connection.queued_bytes == 0
    assert connection.streams == {}


def test_the_peers_settings_make_larger_frames_and_windows() -> None:
    """6.5.2: SETTINGS_MAX_FRAME_SIZE and SETTINGS_INITIAL_WINDOW_SIZE of streams to come."""
    client = Client(start=START + frame(SETTINGS, 0, 0, setting(5, 40_000) + setting(4, 60_000)))
    stream = client.opens(1)
    assert not client.connection.send_data(stream, bytes(80_000))
    assert sizes(client.hears()) == [(1, 40_000, False), (1, 20_000, False)]


def test_a_new_first_window_changes_those_of_all_streams() -> None:
    """6.9.2: by the difference, below 0 as well; then that much more must be credited."""
    client = Client()
    stream = client.opens(1)
    client.connection.send_data(stream, bytes(100_000))
    client.says(update(0, 100_000))
    client.says(frame(SETTINGS, 0, 0, setting(4, 0)))
    assert client.says(update(1, WINDOW)) == []
    assert sizes(client.says(update(1, 7))) == [(1, 7, False)]
    acknowledged, *found = client.says(frame(SETTINGS, 0, 0, setting(4, 100)))
    assert acknowledged[0] == SETTINGS
    assert sizes(found) == [(1, 100, False)]


def test_a_new_first_window_may_not_overflow_any_stream() -> None:
    """6.9.2: FLOW_CONTROL_ERROR of the connection."""
    client = Client()
    client.opens(1)
    client.says(update(1, 1))
    client.ends_with(FLOW_CONTROL_ERROR, frame(SETTINGS, 0, 0, setting(4, 0x7FFFFFFF)))


def test_streams_take_turns_at_the_connections_window() -> None:
    """A frame's worth each: a large answer does not hold up the others."""
    client = Client()
    for stream in (1, 3, 5):
        client.opens(stream)
    for stream in (1, 3, 5):
        client.connection.send_data(client.streams[stream], bytes(60_000), end=True)
    first = sizes(client.hears())
    assert first == [(1, FRAME, False)] * 3 + [
        (1, 60_000 - 3 * FRAME, True),
        (3, WINDOW - 60_000, False),
    ]
    found = sizes(client.says(update(0, 1 << 20)))
    assert [stream for stream, _, _ in found] == [3, 5, 3, 5, 3, 5, 3, 5]
    assert found[-2:] == [
        (3, 54_465 - 3 * FRAME, True),
        (5, 60_000 - 3 * FRAME, True),
    ]


def test_room_is_told_once_when_all_has_left() -> None:
    """After a send_data that was False; the sink may send on from there."""
    client = Client()
    stream = client.opens(1)
    assert client.connection.send_data(stream, bytes(WINDOW))
    assert not client.connection.send_data(stream, bytes(10))
    assert not client.connection.send_data(stream, bytes(20))
    client.says(update(1, 29), update(0, 100))
    assert client.told[1:] == []
    assert sizes(client.says(update(1, 71))) == [(1, 1, False)]
    assert client.told[1:] == [("room", 1)]
    assert client.connection.send_data(stream, bytes(10))
    assert client.told[1:] == [("room", 1)]


def test_a_sink_that_sends_from_room_uses_no_stack() -> None:
    """Each of many streams sends again when it is told; they take turns in one loop."""

    class Generous(Client):
        def room(self, stream: Stream) -> None:
            if ("again", stream.id) not in self.told:
                self.told.append(("again", stream.id))
                self.connection.send_data(stream, bytes(1000))
            super().room(stream)

    client = Generous(Limits(streams=1000))
    client.says(*(request(2 * at + 1) for at in range(400)))
    client.connection.send_data(client.streams[1], bytes(WINDOW))
    for stream in client.streams.values():
        assert not client.connection.send_data(stream, bytes(1000))
    client.hears()
    found = sizes(client.says(update(1, 10_000), update(0, 10_000_000)))
    assert len(found) == 2 * 400
    assert client.told.count(("room", 799)) == 2
    assert client.connection.queued_bytes == 0


def test_trailers_wait_behind_the_data() -> None:
    """8.1: they end the stream, whose data has gone before."""
    client = Client()
    stream = client.opens(1)
    client.connection.reply(stream, HEAD, bytes(WINDOW + 5), TRAILERS)
    client.connection.send_data(stream, b"too late")
    client.connection.send_trailers(stream, HEAD)
    assert client.hears()[-1][0] == DATA
    found = client.says(update(1, 100), update(0, 100))
    assert found == [
        (DATA, 0, 1, bytes(5)),
        (HEADERS, END_HEADERS | END_STREAM, 1, TRAILERS),
    ]
    assert client.connection.streams == {}
    assert client.connection.completed == 1


def test_a_whole_answer_that_fits_goes_at_once() -> None:
    """`reply`: HEADERS, DATA, and trailers that end the stream."""
    client = Client()
    client.connection.reply(client.opens(1), HEAD, b"answer", TRAILERS)
    assert client.hears() == [
        (HEADERS, END_HEADERS, 1, HEAD),
        (DATA, 0, 1, b"answer"),
        (HEADERS, END_HEADERS | END_STREAM, 1, TRAILERS),
    ]
    assert client.connection.completed == 1


def test_an_answer_does_not_overtake_what_waits_for_the_connection() -> None:
    """`reply` takes its turn where the connection's window is used up."""
    client = Client()
    client.opens(1)
    client.connection.send_data(client.streams[1], bytes(WINDOW + 1000))
    client.hears()
    client.connection.reply(client.opens(3), HEAD, b"answer", TRAILERS)
    assert client.hears() == [(HEADERS, END_HEADERS, 3, HEAD)]
    found = client.says(update(1, 1000), update(0, 1006))
    assert sizes(found) == [(1, 1000, False), (3, 6, False)]
    assert found[-1] == (HEADERS, END_HEADERS | END_STREAM, 3, TRAILERS)


def test_an_empty_end_needs_no_window() -> None:
    """6.9.1: frames of no length may be sent when the window is used up."""
    client = Client()
    client.connection.send_data(client.opens(1), bytes(WINDOW))
    client.hears()
    client.connection.send_headers(client.opens(3), HEAD)
    assert client.connection.send_data(client.streams[3], b"")
    assert client.connection.send_data(client.streams[3], b"", end=True)
    assert client.hears()[1:] == [(DATA, END_STREAM, 3, b"")]
    client.connection.send_headers(client.opens(5), HEAD, end=True)
    assert client.hears() == [(HEADERS, END_HEADERS | END_STREAM, 5, HEAD)]


def test_an_end_behind_data_that_waits_goes_with_its_last_frame() -> None:
    """6.1: END_STREAM is on the last frame, though it was said later, and without data."""
    client = Client()
    stream = client.opens(1)
    client.connection.send_data(stream, bytes(WINDOW + 5))
    client.connection.send_data(stream, b"", end=True)
    client.hears()
    assert sizes(client.says(update(1, 100), update(0, 100))) == [(1, 5, True)]
    assert ("room", 1) not in client.told


def test_what_waits_is_dropped_with_its_stream() -> None:
    """5.4.2: the queue's memory is free, its turn is gone, and others go on."""
    client = Client()
    for stream in (1, 3, 5):
        client.connection.send_data(client.opens(stream), bytes(100_000))
    client.hears()
    client.says(frame(RST_STREAM, 0, 1, number(CANCEL)), frame(RST_STREAM, 0, 3, number(CANCEL)))
    assert client.connection.queued_bytes == 100_000
    assert len(client.connection._ready) == 1
    client.says(frame(RST_STREAM, 0, 5, number(CANCEL)))
    assert client.connection.queued_bytes == 0
    assert client.says(update(0, 100_000)) == []


def test_blocks_beyond_the_peers_frames_go_on_in_continuations() -> None:
    """6.10: END_HEADERS on the last, END_STREAM on the first."""
    client = Client()
    block = bytes(range(256)) * 150
    client.connection.send_headers(client.opens(1), block, end=True)
    found = client.hears()
    assert [(kind, flags) for kind, flags, _, _ in found] == [
        (HEADERS, END_STREAM),
        (CONTINUATION, 0),
        (CONTINUATION, END_HEADERS),
    ]
    assert b"".join(payload for *_, payload in found) == block
    client.connection.reply(client.opens(3), HEAD, b"x", block)
    assert [kind for kind, *_ in client.hears()] == [
        HEADERS, DATA, HEADERS, CONTINUATION, CONTINUATION,
    ]  # fmt: skip


def test_large_data_is_not_copied() -> None:
    """`take` gives the very memory that was sent, in pieces, whatever the peer's frames are; many
    small answers are one piece."""
    client = Client()
    stream = client.opens(1)
    client.says(update(0, 100_000), update(1, 100_000))
    client.connection.send_data(stream, bytes(100_000))
    assert isinstance(client.connection.take(), list)
    client = Client(start=START + frame(SETTINGS, 0, 0, setting(5, 1 << 20) + setting(4, 1 << 30)))
    client.says(update(0, 1 << 30))
    memory = bytearray(1 << 18)
    stream = client.opens(1)
    client.connection.send_headers(stream, HEAD)
    client.connection.send_data(stream, memoryview(memory).cast("I"))
    taken = client.connection.take()
    assert isinstance(taken, list)
    memory[:] = b"x" * len(memory)
    assert bytes(taken[-1]) == memory
    client.connection.reply(stream, b"", bytes(memory), TRAILERS)
    taken = client.connection.take()
    assert isinstance(taken, list)
    for at in range(3, 203, 2):
        client.connection.reply(client.opens(at), HEAD, bytes(1000), TRAILERS)
    assert isinstance(client.connection.take(), bytes)
    assert not client.connection.has_output
    assert client.connection.take() == b""


def test_limits_that_the_standard_does_not_have_are_refused() -> None:
    """A peer sends by the standard's first values until it has read ours, so none may be less."""
    with pytest.raises(ValueError, match="window: got 65534, expected 65535 to 2147483647"):
        Limits(window=65_534)
    with pytest.raises(ValueError, match="connection_window: got"):
        Limits(connection_window=1 << 31)
    with pytest.raises(ValueError, match="frame_bytes: got 16383, expected 16384 to 16777215"):
        Limits(frame_bytes=16_383)
