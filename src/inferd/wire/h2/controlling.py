"""The frames that steer an HTTP/2 connection, without IO (RFC 9113, sections 5.4 and 6.3 to 6.9):
settings, windows, resets, signs of life, and how streams and the connection come to a bad end.
"""

from collections.abc import Callable
from typing import Final

from inferd.wire.h2 import settings
from inferd.wire.h2.budgets import FRAME_EARNS, REQUEST_EARNS, Budget, Limits
from inferd.wire.h2.frames import (
    ACK,
    CANCEL,
    ENHANCE_YOUR_CALM,
    FIRST_WINDOW,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    LARGEST_WINDOW,
    NO_ERROR,
    NUMBERS,
    PROTOCOL_ERROR,
    SETTINGS,
    BrokenConnectionError,
    ping,
    pong,
    read_number,
    window_update,
)
from inferd.wire.h2.sending import Sender, Sink
from inferd.wire.h2.streams import Stream

PRIORITY_BYTES: Final = 5
PING_BYTES: Final = 8
FAREWELL: Final = b"farewell"
"""The ping whose answer tells that the peer has read the GOAWAY that came with it."""
LEAST_GOAWAY: Final = 8
MOST_TEXT: Final = 200
"""Bytes that are kept of what a peer says with its GOAWAY."""


class Steered(Sender):
    """A connection that the peer's control frames steer."""

    def __init__(self, sink: Sink, limits: Limits, now: Callable[[], float]) -> None:
        super().__init__(sink, limits)
        self.ended = False
        """Whether the connection broke, or was lost: write what waits, and close it."""
        self.fault = ""
        """Why the connection ended, or what the peer said with its GOAWAY: for a log."""
        self.started = False
        """Whether the peer's preface, with its SETTINGS, is complete. Waiting is for the lane."""
        self.is_acknowledged = False
        """Whether the peer has said that it keeps to our SETTINGS."""
        self.takes_more = True
        """Whether new streams may come; if not, nothing does once none is left."""
        self.is_peer_leaving = False
        """Whether the peer has sent GOAWAY."""
        self.is_warning = False
        """Whether ``warn`` was called."""
        self.is_leaving = False
        """Whether ``shut`` was called: new streams are ignored."""
        self.requests = 0
        """Requests that the sink was told of."""
        self.stream_fault = ""
        """Why the last stream was reset that the peer got wrong: for a log."""
        self._only: tuple[int, int] | None = (SETTINGS, 0)
        """The type and the stream that the next frame must have."""
        self._accepted = 0
        """The highest stream that the sink was told of."""
        self._now = now
        moment = now()
        self._resets = Budget(limits.resets, limits.resets_a_second, moment)
        self._controls = Budget(limits.control_frames, limits.control_frames_a_second, moment)

    def start(self) -> None:
        """Our part of the preface (section 3.4)."""
        self._control(settings.written(self._limits))
        increment = self._limits.connection_window - FIRST_WINDOW
        if increment:
            self._control(window_update(0, increment))

    def warn(self) -> None:
        """Tell the peer to open no new streams, and take those that it opens before it knows: once
        it has answered a ping, ``shut`` follows by itself (section 6.8)."""
        if self.ended or self.is_leaving or self.is_warning:
            return
        self.is_warning = True
        # In this order: the Python package h2, under httpx, gives up at a PING behind a GOAWAY.
        self._control(ping(FAREWELL))
        self._write_goaway(NUMBERS, NO_ERROR)

    def shut(self, code: int = NO_ERROR) -> None:
        """Take no new streams, and tell the peer; those under way go on."""
        if not self.ended and not self.is_leaving:
            self.is_leaving, self.takes_more = True, False
            self._write_goaway(self._accepted, code)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        if not self.ended:
            self._control(ping(bytes(PING_BYTES)))

    def lost(self) -> None:
        """The transport is gone: every stream is cut."""
        if not self.ended:
            self._end(CANCEL, "the connection was lost")

    def _end(self, code: int, why: str) -> None:
        """Section 5.4.1."""
        self.ended, self.takes_more, self.fault = True, False, why
        self._write_goaway(self._accepted, code, why)
        for stream in list(self.streams.values()):
            self._cut(stream, code)

    def _cut(self, stream: Stream, code: int) -> None:
        if stream.state:  # the sink may have reset another one than it was told of
            self._drop(stream)
            self._sink.cut(stream, code)

    def _on_fault(self, number: int, code: int, why: str) -> None:
        """A stream error (section 5.4.2). The peer that makes us reset costs us as much as one that
        resets (CVE-2025-8671)."""
        stream = self.streams.get(number)
        if stream is None:
            if number > self._past.highest:  # an idle stream cannot be reset (section 6.4)
                raise BrokenConnectionError(code, why)
            return
        self.stream_fault = why
        self._spend_reset()
        self._write_reset(number, code)
        self._cut(stream, code)

    def _hold_closed(self, number: int) -> None:
        """A frame came on *number*, which is not under way: it must not be idle (section 5.1)."""
        if number > self._past.highest or not number & 1:
            raise BrokenConnectionError(
                PROTOCOL_ERROR, f"a frame on stream {number}, which is idle"
            )

    def _spend(self, cost: int = 1) -> None:
        """Frames came that bring no request further."""
        earned = self.requests * REQUEST_EARNS + self.data_frames * FRAME_EARNS
        if not self._controls.spend(cost, earned, self._now()):
            raise BrokenConnectionError(ENHANCE_YOUR_CALM, "a flood of frames without content")
        if self.backlog > self._limits.backlog:
            raise BrokenConnectionError(ENHANCE_YOUR_CALM, "answers to control frames are not read")

    def _spend_reset(self, cost: int = 1) -> None:
        """A request was in vain."""
        if not self._resets.spend(cost, self.completed, self._now()):
            raise BrokenConnectionError(
                ENHANCE_YOUR_CALM, "a flood of requests that are broken off"
            )

    def _on_priority(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.3: held against its form, and ignored."""
        self._spend()
        if not number:
            raise BrokenConnectionError(PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != PRIORITY_BYTES:
            self._on_fault(number, FRAME_SIZE_ERROR, "PRIORITY of a wrong size")
        elif read_number(payload)[0] & NUMBERS == number:  # RFC 7540, 5.3.1
            self._on_fault(number, PROTOCOL_ERROR, "a stream that depends on itself")

    def _on_rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.4."""
        if len(payload) != 4:
            raise BrokenConnectionError(FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
        stream = self.streams.get(number)
        if stream is None:
            self._hold_closed(number)
            self._spend()
            return
        self._spend_reset()
        self._cut(stream, read_number(payload)[0])

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.5."""
        if number:
            raise BrokenConnectionError(PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            self._on_acknowledged(payload)
            return
        entries = settings.read(payload)
        self._spend(1 + len(entries))
        for setting, value in entries:
            if setting == settings.INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif setting == settings.MAX_FRAME_SIZE:
                self._peer_frame = value
            elif setting == settings.HEADER_TABLE_SIZE:
                self._shrink_table(value)
        self._control(settings.ACKNOWLEDGED)
        if not self.started:
            self.started, self._only = True, None
        self._flush()

    def _on_acknowledged(self, payload: bytes) -> None:
        if payload:
            raise BrokenConnectionError(FRAME_SIZE_ERROR, "an acknowledgement with a payload")
        if not self.started:
            raise BrokenConnectionError(PROTOCOL_ERROR, "no SETTINGS at first")
        self._spend()
        self.is_acknowledged = True

    def _resize_windows(self, size: int) -> None:
        """Section 6.9.2: the difference goes to every stream; a window may fall below 0."""
        grown, self._peer_window = size - self._peer_window, size
        for stream in self.streams.values():
            stream.send_window += grown
            if stream.send_window > LARGEST_WINDOW:
                raise BrokenConnectionError(FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
            self._unpark(stream)

    def _on_push_promise(self, flags: int, number: int, payload: bytes) -> None:
        """Section 8.4: a client cannot push."""
        raise BrokenConnectionError(PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.7."""
        if number:
            raise BrokenConnectionError(PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != PING_BYTES:
            raise BrokenConnectionError(FRAME_SIZE_ERROR, "PING of a wrong size")
        self._spend()
        if not flags & ACK:
            self._control(pong(payload))
        elif self.is_warning and payload == FAREWELL:
            self.shut()

    def _on_goaway(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.8: the streams under way go on; we open none that it could refuse."""
        if number:
            raise BrokenConnectionError(PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < LEAST_GOAWAY:
            raise BrokenConnectionError(FRAME_SIZE_ERROR, "GOAWAY that is cut off")
        self._spend()
        self.is_peer_leaving, self.takes_more = True, False
        self.fault = payload[LEAST_GOAWAY:][:MOST_TEXT].decode("ascii", "replace")

    def _on_window_update(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.9."""
        if len(payload) != 4:
            raise BrokenConnectionError(FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        self._spend()
        increment = read_number(payload)[0] & NUMBERS
        if not number:
            self._send_window += increment
            if not increment:
                raise BrokenConnectionError(PROTOCOL_ERROR, "a window that grows by 0")
            if self._send_window > LARGEST_WINDOW:
                raise BrokenConnectionError(FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
        else:
            stream = self.streams.get(number)
            if stream is None:
                self._hold_closed(number)
                return
            stream.send_window += increment
            if not increment:
                self._on_fault(number, PROTOCOL_ERROR, "a window that grows by 0")
            elif stream.send_window > LARGEST_WINDOW:
                self._on_fault(number, FLOW_CONTROL_ERROR, "a window of more than 2^31 - 1")
            self._unpark(stream)
        self._flush()

    def _on_unknown(self, flags: int, number: int, payload: bytes) -> None:
        """Section 5.5: ignored."""
        self._spend()
