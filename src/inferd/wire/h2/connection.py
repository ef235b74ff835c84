"""One HTTP/2 connection of a server, without IO (RFC 9113): bytes in, requests told to a Sink,
frames out.

The connection's receive window is credited as bytes arrive, so that a request whose lane is slow
holds back nobody but itself; what such requests hold is bounded by their number times a stream's
window, which ``consumed`` alone opens. A connection error sends GOAWAY, cuts every stream and sets
``ended``; the peer's bytes are ignored from then on.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from inferd.wire.h2.budgets import Limits
from inferd.wire.h2.controlling import PRIORITY_BYTES, Steered
from inferd.wire.h2.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HAS_PRIORITY,
    HEAD_BYTES,
    NUMBERS,
    PADDED,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    BrokenConnectionError,
    read_head,
    read_number,
    unpadded,
    window_update,
)
from inferd.wire.h2.headers import Head, Heads, trailers_fault
from inferd.wire.h2.sending import Sink
from inferd.wire.h2.streams import HALF_CLOSED_REMOTE, OPEN, PEER_SENDS, Stream

LONG_LIST_COST: Final = 10
"""Requests that a header list larger than is taken counts for: it was read to its end."""


class Connection(Steered):
    """What a lane holds of a connection."""

    def __init__(self, sink: Sink, limits: Limits, now: Callable[[], float]) -> None:
        super().__init__(sink, limits, now)
        self._rest = bytearray()
        """Of the preface, or of one frame, which is incomplete."""
        self._is_greeted = False
        self._block = bytearray()
        self._fragments = 0
        self._block_ends = 0
        """The END_STREAM flag of the HEADERS that began the block."""
        self._window = limits.connection_window
        self._heads = Heads(limits.header_bytes)
        self._known = self._heads.known

    @property
    def held_bytes(self) -> int:
        """Bytes that came and are incomplete: of a frame, or of a header block."""
        return len(self._rest) + len(self._block)

    def receive(self, data: bytes, enough: Callable[[], bool] | None = None) -> int:
        """What was read. Never raises for what the peer did. How much of it was taken: all, but
        where *enough*, which is asked after a frame, was true."""
        if self.ended:
            return len(data)
        at, end, most = 0, len(data), self._limits.frame_bytes
        try:
            if self._rest or not self._is_greeted:
                at = self._resume(data)
            while end - at >= HEAD_BYTES:
                word, flags, number = read_head(data, at)
                length = word >> 8
                if length > most:
                    raise _too_large()
                stop: int = at + HEAD_BYTES + length
                if stop > end:
                    break
                number &= NUMBERS
                if self._only is not None:
                    self._hold_only(word & 0xFF, number)
                _HANDLERS[word & 0xFF](self, flags, number, data[at + HEAD_BYTES : stop])
                at = stop
                if enough is not None and enough():
                    return at
            if at < end:
                self._rest += memoryview(data)[at:]
        except BrokenConnectionError as error:
            self._end(error.code, error.why)
        return end

    def _end(self, code: int, why: str) -> None:
        self._rest.clear()
        self._block.clear()
        super()._end(code, why)

    def _resume(self, data: bytes) -> int:
        """Complete the preface, or the frame, that has begun; gives how much of *data* that took.
        What is incomplete is only ever added to: bytes that come one by one cost no more."""
        rest = self._rest
        if not self._is_greeted:
            return self._greet(data)
        taken = max(0, HEAD_BYTES - len(rest))
        rest += data[:taken]
        if len(rest) < HEAD_BYTES:
            return len(data)
        word, flags, number = read_head(rest)
        if word >> 8 > self._limits.frame_bytes:
            raise _too_large()
        stop: int = taken + HEAD_BYTES + (word >> 8) - len(rest)
        rest += memoryview(data)[taken:stop]
        if stop > len(data):
            return len(data)
        payload = bytes(memoryview(rest)[HEAD_BYTES:])
        rest.clear()
        number &= NUMBERS
        if self._only is not None:
            self._hold_only(word & 0xFF, number)
        _HANDLERS[word & 0xFF](self, flags, number, payload)
        return stop

    def _greet(self, data: bytes) -> int:
        """Section 3.4. Whoever speaks something else is told so at its first wrong byte."""
        rest = self._rest
        taken = len(PREFACE) - len(rest)
        rest += data[:taken]
        if not PREFACE.startswith(rest):
            raise BrokenConnectionError(PROTOCOL_ERROR, "no preface of HTTP/2")
        if len(rest) == len(PREFACE):
            self._is_greeted = True
            rest.clear()
        return min(taken, len(data))

    def _hold_only(self, kind: int, number: int) -> None:
        """Sections 3.4 and 4.3."""
        if (kind, number) != self._only:
            why = "another frame within a header block" if self.started else "no SETTINGS at first"
            raise BrokenConnectionError(PROTOCOL_ERROR, why)

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.1. What comes on no open stream counts for the connection's window, too."""
        size = len(payload)
        self._window -= size
        if self._window * 2 < self._limits.connection_window:
            self._credit()
        stream = self.streams.get(number)
        if stream is None:
            self._on_stray_data(number)
            return
        if not stream.state & PEER_SENDS:
            self._on_fault(number, STREAM_CLOSED, "data after the end of a request")
            return
        stream.receive_window -= size
        if stream.receive_window < 0:
            self._on_fault(number, FLOW_CONTROL_ERROR, "data beyond the stream's window")
            return
        if flags & PADDED:
            payload = unpadded(payload)
            self.consumed(stream, size - len(payload))
        if flags & END_STREAM:
            if stream.length >= 0 and stream.length != len(payload):
                self._on_fault(number, PROTOCOL_ERROR, "less or more data than content-length says")
                return
            stream.state = HALF_CLOSED_REMOTE
            self._sink.data(stream, payload, True)
        else:
            self._on_more_data(stream, payload)

    def _on_more_data(self, stream: Stream, payload: bytes) -> None:
        """Data that does not end its stream."""
        if not payload:
            self._spend()
            return
        self.data_frames += 1
        if stream.length >= 0:
            stream.length -= len(payload)
            if stream.length < 0:
                self._on_fault(stream.id, PROTOCOL_ERROR, "more data than content-length says")
                return
        self._sink.data(stream, payload, False)

    def _credit(self) -> None:
        if self._window < 0:
            raise BrokenConnectionError(FLOW_CONTROL_ERROR, "data beyond the connection's window")
        whole = self._limits.connection_window
        self._control(window_update(0, whole - self._window))
        self._window = whole

    def _on_stray_data(self, number: int) -> None:
        self._hold_closed(number)
        self._spend()
        if not self._is_ignored(number):
            raise BrokenConnectionError(STREAM_CLOSED, f"data on stream {number}, which is closed")

    def _is_ignored(self, number: int) -> bool:
        """Whether frames on *number*, which is closed, may be on their way: we reset it, or have
        said that we do not take it (section 6.8)."""
        return self._past.is_late(number) or (self.is_leaving and number > self._accepted)

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.2."""
        if flags & PADDED:
            payload = unpadded(payload)
        if flags & HAS_PRIORITY:
            if len(payload) < PRIORITY_BYTES:
                raise BrokenConnectionError(FRAME_SIZE_ERROR, "HEADERS that are cut off")
            if read_number(payload)[0] & NUMBERS == number:  # RFC 7540, 5.3.1
                raise BrokenConnectionError(PROTOCOL_ERROR, "a stream that depends on itself")
            payload = payload[PRIORITY_BYTES:]
        if len(payload) > self._limits.header_bytes:
            raise _too_long()
        if flags & END_HEADERS:
            self._on_block(number, payload, flags & END_STREAM)
            return
        self._only = CONTINUATION, number
        self._block += payload
        self._fragments, self._block_ends = 1, flags & END_STREAM

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        """Section 6.10. Both bytes and frames are counted: empty ones cost as well
        (CVE-2024-27316)."""
        if self._only is None:
            raise BrokenConnectionError(PROTOCOL_ERROR, "CONTINUATION without a header block")
        self._fragments += 1
        block, limits = self._block, self._limits
        if self._fragments > limits.fragments or len(block) + len(payload) > limits.header_bytes:
            raise _too_long()
        if not payload:
            self._spend()
        block += payload
        if flags & END_HEADERS:
            self._only, whole = None, bytes(block)
            block.clear()
            self._on_block(number, whole, self._block_ends)

    def _on_block(self, number: int, block: bytes, ends: int) -> None:
        """A header block is complete. Each is decoded, whatever becomes of its stream: the dynamic
        table is the connection's."""
        head = self._known.get(block) or self._heads.read(block)
        past = self._past
        if number <= past.highest or not number & 1:
            self._on_further_head(number, head, ends)
            return
        past.use(number)
        if head.code or (ends and head.length > 0) or self.is_leaving:
            self._refuse(number, head)
        elif len(self.streams) >= self._limits.streams:
            self._spend()
            self._write_reset(number, REFUSED_STREAM)
        else:
            self._accepted = number
            self.requests += 1
            stream = self.streams[number] = Stream(
                number,
                HALF_CLOSED_REMOTE if ends else OPEN,
                head.length,
                self._limits.window,
                self._peer_window,
            )
            self._sink.request(stream, head.fields, bool(ends))

    def _refuse(self, number: int, head: Head) -> None:
        """Section 8.1.1; after our GOAWAY all is ignored."""
        if self.is_leaving:
            self._spend()
            return
        self.stream_fault = head.why or "a request that ends before its content-length"
        self._spend_reset(LONG_LIST_COST if head.code == ENHANCE_YOUR_CALM else 1)
        self._write_reset(number, head.code or PROTOCOL_ERROR)

    def _on_further_head(self, number: int, head: Head, ends: int) -> None:
        """A header block on a stream that is not new: trailers, or a fault (section 8.1)."""
        stream = self.streams.get(number)
        if stream is None:
            self._on_late_head(number)
        elif not stream.state & PEER_SENDS:
            self._on_fault(number, STREAM_CLOSED, "HEADERS after the end of a request")
        elif not ends:
            self._on_fault(number, PROTOCOL_ERROR, "trailers that do not end the stream")
        elif head.code == ENHANCE_YOUR_CALM or trailers_fault(head.fields):
            self._on_fault(number, head.code or PROTOCOL_ERROR, "trailers that are malformed")
        elif stream.length > 0:
            self._on_fault(number, PROTOCOL_ERROR, "less data than content-length says")
        else:
            stream.state = HALF_CLOSED_REMOTE
            self._sink.data(stream, b"", True)

    def _on_late_head(self, number: int) -> None:
        """Section 5.1.1: a number that was skipped is no stream's, and never will be."""
        if not number & 1 or self._past.was_skipped(number):
            raise BrokenConnectionError(PROTOCOL_ERROR, f"stream {number} cannot be opened")
        self._spend()
        if not self._is_ignored(number):
            raise BrokenConnectionError(
                STREAM_CLOSED, f"HEADERS on stream {number}, which is closed"
            )


def _too_large() -> BrokenConnectionError:
    return BrokenConnectionError(FRAME_SIZE_ERROR, "a frame larger than is taken")


def _too_long() -> BrokenConnectionError:
    return BrokenConnectionError(ENHANCE_YOUR_CALM, "a header block larger than is taken")


_Handler: TypeAlias = Callable[[Connection, int, int, bytes], None]
_BY_TYPE: Final[tuple[_Handler, ...]] = (
    Connection._on_data,
    Connection._on_headers,
    Connection._on_priority,
    Connection._on_rst_stream,
    Connection._on_settings,
    Connection._on_push_promise,
    Connection._on_ping,
    Connection._on_goaway,
    Connection._on_window_update,
    Connection._on_continuation,
)
_HANDLERS: Final = _BY_TYPE + (Connection._on_unknown,) * (256 - len(_BY_TYPE))
"""By the type of a frame: a byte. Functions, not bound methods: a connection is no cycle."""
