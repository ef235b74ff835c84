"""What is sent on an HTTP/2 connection, without IO (RFC 9113, sections 5.2, 6.1, 6.2 and 6.9):
frames cut to the peer's size, data that waits for the peer's windows, and turns among streams.

Data is not copied: what was sent must stay as it is until it has been taken and written.
"""

from collections import deque
from typing import Final, Protocol, TypeAlias

from inferd.wire.h2.budgets import TINY, Limits
from inferd.wire.h2.decoding import TABLE_BYTES, Field
from inferd.wire.h2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW,
    HEADERS,
    NO_ERROR,
    SMALLEST_FRAME,
    frame_head,
    goaway,
    rst_stream,
    window_update,
)
from inferd.wire.h2.streams import (
    CLOSED,
    HALF_CLOSED_REMOTE,
    PEER_SENDS,
    WE_SEND,
    Past,
    Queue,
    Stream,
)

LARGE: Final = 1 << 16
"""Bytes of data from which joining what is to be written costs more than writing it in pieces..."""
LARGE_PIECE: Final = 1 << 11
"""... where these are as large as that on average: a frame's head is a piece, too."""

EMPTY_TABLE: Final = b"\x20"
"""At the beginning of a header block: the dynamic table holds nothing from now on."""

Piece: TypeAlias = bytes | memoryview


class Sink(Protocol):
    """Who uses a connection. Called from within what it calls, or from ``receive``; it may send on
    any stream, and reset it, from there."""

    def request(self, stream: Stream, fields: list[Field], ended: bool) -> None:
        """A request's head, complete and valid: names in lower case, pseudo-headers first. The list
        is shared with later requests, and not to be changed. *ended*: no body comes."""

    def data(self, stream: Stream, data: bytes, ended: bool) -> None:
        """Of a request's body; *ended*: the last, which may be empty. Trailers are dropped."""

    def cut(self, stream: Stream, code: int) -> None:
        """The stream was reset, by the peer or for a fault of its, or the connection broke.
        Whatever is sent on it from now on is dropped."""

    def room(self, stream: Stream) -> None:
        """All that was sent on it has left the queue. Once after a ``send_data`` that was False."""


class Sender:
    """The half of a connection that sends."""

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self.streams: dict[int, Stream] = {}
        """The requests under way."""
        self.completed = 0
        """Answers that were sent to their end."""
        self.data_frames = 0
        """Frames with content, either way, that are no flood."""
        self.queued_bytes = 0
        """Data that waits for windows. A peer that never opens them is for the lane to time."""
        self.backlog = 0
        """Bytes of control frames that wait to be taken. While they are many the lane, which cannot
        write, had better not read."""
        self._sink, self._limits = sink, limits
        self._past = Past(limits.remembered)
        self._out: list[Piece] = []
        self._out_data = 0
        """Bytes of data that wait to be taken."""
        self._ready: deque[Queue] = deque()
        """Those that wait for nothing but their turn, or the connection's window."""
        self._is_flushing = False
        self._table_bytes = TABLE_BYTES
        self._owes_table_size = False
        self._peer_frame = SMALLEST_FRAME
        self._peer_window = FIRST_WINDOW
        self._send_window = FIRST_WINDOW

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    def take(self) -> bytes | list[Piece]:
        """What is to be written now; it is forgotten here. In pieces where it is large."""
        out = self._out
        if not out:
            return b""
        size = self._out_data
        self._out = []
        self._out_data = self.backlog = 0
        if size >= LARGE and size >= len(out) * LARGE_PIECE:
            return out
        return b"".join(out)

    def reply(self, stream: Stream, head: bytes, data: bytes, trailers: bytes) -> None:
        """A whole answer at once; it ends the stream. The blocks are as for ``send_headers``."""
        size = len(data)
        if (
            stream.queue is not None
            or size > self._peer_frame
            or size > stream.send_window
            or size > self._send_window
            or self._ready
            or not stream.state & WE_SEND
            or self._owes_table_size
            or len(head) > SMALLEST_FRAME
            or len(trailers) > SMALLEST_FRAME
        ):
            self.send_headers(stream, head)
            self.send_data(stream, data)
            self.send_trailers(stream, trailers)
            return
        self._send_window -= size
        self._out_data += size
        number = stream.id
        self._out += (
            frame_head(len(head) << 8 | HEADERS, END_HEADERS, number),
            head,
            frame_head(size << 8 | DATA, 0, number),
            data,
            frame_head(len(trailers) << 8 | HEADERS, END_HEADERS | END_STREAM, number),
            trailers,
        )
        self._finish(stream)

    def send_headers(self, stream: Stream, block: bytes, *, end: bool = False) -> None:
        """An answer's head, before any data. *block* changes no table (``encode_fields``)."""
        if not stream.state & WE_SEND:
            return
        self._write_block(stream.id, block, END_STREAM if end else 0)
        if end:
            self._finish(stream)

    def send_data(self, stream: Stream, data: Piece, *, end: bool = False) -> bool:
        """Data of an answer. False where some waits for a window: then ``room`` is called when it
        has gone. Everything may be sent at once all the same; it waits, uncopied."""
        if not stream.state & WE_SEND:
            return True
        if not isinstance(data, bytes):
            data = memoryview(data).cast("B")
        size = len(data)
        if stream.queue is None and (
            not size
            or (
                size <= self._peer_frame
                and size <= stream.send_window
                and size <= self._send_window
                and not self._ready
            )
        ):
            if size or end:
                self._write_data(stream, data, end)
            if end:
                self._finish(stream)
            return True
        queue = self._enqueue(stream, memoryview(data), end)
        self._flush()
        if stream.queue is None:
            return True
        queue.wants_room = not queue.ends
        return False

    def send_trailers(self, stream: Stream, block: bytes) -> None:
        """After all data, also what waits; they end the stream."""
        queue = stream.queue
        if queue is None:
            self.send_headers(stream, block, end=True)
        elif not queue.ends:
            queue.trailers, queue.ends, queue.wants_room = block, True, False

    def reset(self, stream: Stream, code: int) -> None:
        """Break *stream* off. ``cut`` is not called."""
        if stream.state:
            self._drop(stream)
            self._write_reset(stream.id, code)

    def consumed(self, stream: Stream, size: int) -> None:
        """The lane has done with *size* bytes of a request's data, and takes as many more."""
        if not stream.state & PEER_SENDS:
            return
        stream.owed += size
        if stream.owed * 2 >= self._limits.window:
            stream.receive_window += stream.owed
            self._control(window_update(stream.id, stream.owed))
            stream.owed = 0

    def _finish(self, stream: Stream) -> None:
        """Our side of *stream* has ended. A peer that still sends is told that it need not."""
        is_open = stream.state != HALF_CLOSED_REMOTE
        stream.state = CLOSED
        stream.user = None  # which holds the stream: a circle takes the garbage collector to undo
        del self.streams[stream.id]
        self.completed += 1
        if is_open:
            self._write_reset(stream.id, NO_ERROR)

    def _drop(self, stream: Stream) -> None:
        """Forget *stream* and what waits on it."""
        stream.state = CLOSED
        del self.streams[stream.id]
        queue = stream.queue
        if queue is not None:
            stream.queue = None
            self.queued_bytes -= queue.size
            if not queue.is_parked:
                self._ready.remove(queue)

    def _enqueue(self, stream: Stream, data: memoryview, end: bool) -> Queue:
        queue = stream.queue
        if queue is None:
            queue = stream.queue = Queue(stream)
            self._ready.append(queue)
        if not queue.ends:
            queue.put(data)
            queue.ends = end
            self.queued_bytes += len(data)
        return queue

    def _unpark(self, stream: Stream) -> None:
        """The window of *stream* has grown."""
        queue = stream.queue
        if queue is not None and queue.is_parked and stream.send_window > 0:
            queue.is_parked = False
            self._ready.append(queue)

    def _flush(self) -> None:
        """Send what waits, as far as the windows go: a frame of each stream in its turn. What the
        sink sends from within ``room`` takes its turn here, too."""
        if self._is_flushing or not self._ready:
            return
        self._is_flushing = True
        try:
            self._flush_in_turns()
        finally:
            self._is_flushing = False

    def _flush_in_turns(self) -> None:
        ready = self._ready
        while ready and self._send_window > 0:
            queue = ready.popleft()
            stream = queue.stream
            most = min(self._peer_frame, stream.send_window, self._send_window)
            if most <= 0:
                queue.is_parked = True
                continue
            piece = queue.cut(most)
            self.queued_bytes -= len(piece)
            if queue.size:
                ready.append(queue)
                self._write_data(stream, piece, False)
            else:
                self._write_last(queue, piece)

    def _write_last(self, queue: Queue, piece: memoryview) -> None:
        """All that waited in *queue* goes with *piece*, and what is to follow it."""
        stream = queue.stream
        stream.queue = None
        self._write_data(stream, piece, queue.ends and queue.trailers is None)
        if queue.trailers is not None:
            self._write_block(stream.id, queue.trailers, END_STREAM)
        if queue.ends:
            self._finish(stream)
        elif queue.wants_room:
            self._sink.room(stream)

    def _write_data(self, stream: Stream, data: Piece, end: bool) -> None:
        size = len(data)
        stream.send_window -= size
        self._send_window -= size
        if size >= TINY or stream.queue is None:
            self.data_frames += 1
        self._out_data += size
        head = frame_head(size << 8 | DATA, END_STREAM if end else 0, stream.id)
        self._out += (head, data)

    def _write_block(self, number: int, block: bytes, flags: int) -> None:
        """Section 4.3: all frames of a block follow one another."""
        if self._owes_table_size:
            self._owes_table_size = False
            block = EMPTY_TABLE + block
        most, kind = self._peer_frame, HEADERS
        while len(block) > most:
            self._out += (frame_head(most << 8 | kind, flags, number), block[:most])
            block, kind, flags = block[most:], CONTINUATION, 0
        self._out += (frame_head(len(block) << 8 | kind, flags | END_HEADERS, number), block)

    def _shrink_table(self, most: int) -> None:
        """A peer that takes a smaller table than ours waits for our next block to say so, though
        nothing of ours was ever in it (RFC 7541, section 4.2)."""
        if most < self._table_bytes:
            self._table_bytes, self._owes_table_size = 0, True

    def _write_reset(self, number: int, code: int) -> None:
        self._past.remember_reset(number)
        self._control(rst_stream(number, code))

    def _write_goaway(self, last: int, code: int, why: str = "") -> None:
        self._control(goaway(last, code, why))

    def _control(self, frame: bytes) -> None:
        self._out.append(frame)
        self.backlog += len(frame)
