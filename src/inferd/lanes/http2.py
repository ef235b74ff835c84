"""HTTP/2 over a socket (RFC 9113): gRPC is answered here, from where its bytes arrive; all other
requests as if they had come by HTTP/1.1, through ``http2_bridge``."""

import asyncio
import sys
from typing import Any

from inferd.clock import monotonic_ns
from inferd.errors import InferdError, PayloadTooLarge
from inferd.lanes.http1 import GOODBYE_SECONDS
from inferd.lanes.http2_bridge import Bridged
from inferd.lanes.patience import Patience, undelivered
from inferd.lanes.rpc_call import Refusal
from inferd.lanes.rpc_routing import Head, is_grpc
from inferd.lanes.rpc_stream import RpcStream
from inferd.lanes.rpc_turn import RpcTurn
from inferd.lanes.service import TICK_SECONDS, Service
from inferd.lanes.writing import FIRST_DOUBT, NEXT_DOUBT
from inferd.wire.h2.connection import Connection
from inferd.wire.h2.frames import CANCEL
from inferd.wire.h2.streams import OPEN, Stream

KEPT = 64  # heads that are remembered with their meaning, as many as the connection keeps
LARGEST_KEPT = 4096  # bytes of one: an idle connection shall not hold megabytes of them
SMALL = 1024  # bytes of one read, which cannot ask for much
TURN_NS = 1_000_000  # of what one read brought, before others have their turn
WRITTEN = 1 << 18  # bytes that were answered from which on nothing more is done before they leave
HELD = 2  # of the largest messages, so many of one connection are kept while they come


class Http2Connection(asyncio.Protocol):
    """One client's connection, from the preface on."""

    def __init__(self, service: Service) -> None:
        self.service, self.writable = service, True
        self.h2 = Connection(self, service.limits.h2, service.home.loop.time)
        self._transport: asyncio.Transport
        self._patience = Patience(service.limits, service.now)
        self._opened = service.now
        self._probed = 0.0
        """When the client was last asked for a sign of life."""
        self._heads: dict[int, Head] = {}
        """By the numbers of the lists of fields, which are the same where their bytes are."""
        self._reading = self._paused = False
        """Whether bytes are being taken, so that what is answered meanwhile is written after all;
        whether reading stands still."""
        self._parting = self._deaf = False
        """Whether all is said, and what still comes is thrown away; whether nothing more will
        come."""
        self._held, self._stalls = 0, False
        self._partial = 0
        """Bytes of a frame that was not whole at the last tick."""
        self._unwritten = 0
        """Bytes that were answered to what is being taken."""
        self._unread, self._until = b"", 0
        """What came, and waits for its turn, or until the client takes its answers; when the turn
        of what is being taken is over."""
        self._resting = False
        """Whether others have their turn first."""
        self._age = service.limits.connection_age_seconds or float("inf")

    # -- the transport calls these --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's is one
        self.service.connections.add(self)
        self.h2.start()
        self.service.begin(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._parting:
            return
        self._patience.heard = self.service.now
        if self._unread:
            self._unread += data
        elif len(data) > SMALL:
            self._take_turns(data)
        else:
            self._reading = True
            self.h2.receive(data)
            self._reading = False
            self.flush()

    def _take_turns(self, data: bytes) -> None:
        """Take *data*, but let others have a turn where that lasts: what is tiny may ask for much.
        A socket is read many times in one turn of the loop, too."""
        begun = monotonic_ns()
        self._until = begun + TURN_NS
        self._reading = True
        taken = self.h2.receive(data, self._has_enough)
        self._reading, self._unwritten = False, 0
        self._unread = data[taken:]
        self.flush()
        if self._unread or monotonic_ns() - begun > TURN_NS // 2:
            self._resting = True
            self.service.home.loop.call_soon(self._read_on)
        self._pace()

    def _has_enough(self) -> bool:
        return monotonic_ns() > self._until or not self.writable

    def _read_on(self) -> None:
        """Go on after others had their turn."""
        self._resting = False
        if self._unread and self.writable and not self._parting:
            data, self._unread = self._unread, b""
            self._take_turns(data)
        else:
            self._pace()

    def eof_received(self) -> bool:
        """The client sends no more: what it asked for is still answered, but for TLS, where the
        transport closes both ways."""
        self.h2.takes_more = False
        if self._parting or not self._transport.can_write_eof():
            return False
        self._deaf = True
        self._cut_hopeless()
        if self.h2.streams:
            self.service.home.loop.call_later(FIRST_DOUBT, self._probe_reader, NEXT_DOUBT)
        return bool(self.h2.streams)

    def _probe_reader(self, pause: float) -> None:
        """As ``WritingHalf`` does: has a client that sends no more gone for good?"""
        if self.h2.streams and not self._transport.is_closing():
            self.h2.ping()
            self.flush()
            self.service.home.loop.call_later(pause, self._probe_reader, 2 * pause)

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.connections.discard(self)
        self.writable = False
        self._unread = b""
        self.h2.lost()

    def pause_writing(self) -> None:
        self.writable = False
        self._patience.begin_stall(self.service.now, self._transport.get_write_buffer_size())
        self._pace()

    def resume_writing(self) -> None:
        self.writable = True
        if not self._resting:
            self._read_on()
        for stream in tuple(self.h2.streams.values()):
            if stream.user is not None:  # it was answered meanwhile
                stream.user.call_back()

    # -- what was received calls these --

    def request(self, stream: Stream, fields: list[tuple[bytes, bytes]], ended: bool) -> None:
        head = self._heads.get(id(fields))
        if head is None or head.fields is not fields:
            if not is_grpc(fields):
                stream.user = Bridged(self, stream, fields, ended)
                return
            head = self._learn(fields)
        target = head.target
        if isinstance(target, InferdError):
            stream.user = Refusal(self, stream, head, target)
            return
        kind = RpcStream if target.method.takes == "each" else RpcTurn
        stream.user = kind(self, stream, head, target)
        if ended:
            stream.user.data(b"", True)

    def data(self, stream: Stream, data: bytes, ended: bool) -> None:
        stream.user.data(data, ended)

    def cut(self, stream: Stream, code: int) -> None:
        if stream.user is not None:  # whose request failed here, it would be a bug of ours
            stream.user.cut()

    def room(self, stream: Stream) -> None:
        stream.user.room()

    def _learn(self, fields: list[tuple[bytes, bytes]]) -> Head:
        """What *fields* mean, which may come again."""
        head = self.service.routes.rpc.read(fields)
        if sum([len(name) + len(value) for name, value in fields]) <= LARGEST_KEPT:
            if len(self._heads) >= KEPT:
                self._heads.clear()
            self._heads[id(fields)] = head
        return head

    # -- the calls of this connection call these --

    def flush(self, size: int = 0) -> None:
        h2 = self.h2
        if self._reading:
            self._unwritten += size
            if self._unwritten > WRITTEN:
                self._unwritten = 0
                self._write()
            return
        if h2.has_output:
            self._write()
        if not (h2.streams or h2.takes_more):
            self._part()

    def info(self, name: str) -> Any:
        """What the transport tells."""
        return self._transport.get_extra_info(name)

    def hold(self, size: int) -> None:
        self._held += size
        most = HELD * self.service.limits.body_bytes
        if size > 0 and self._held > most:
            raise PayloadTooLarge("too much comes at once", expected=f"at most {most} bytes")

    # -- the service calls these --

    def tick(self, now: float) -> None:
        closing = self._transport.is_closing()
        if self._deaf:
            self._cut_hopeless()
        unsent = self.h2.queued_bytes  # what waits for the client's windows
        if closing or not self.writable:
            unsent += undelivered(self._transport)
        if unsent and not self._stalls and not closing:
            self._patience.begin_stall(now, unsent)
        self._stalls = bool(unsent)
        if unsent and self._patience.is_stalled(now, unsent):
            self._end_stall()
        elif closing:
            if not (unsent or self._transport.can_write_eof()):
                self.abort()  # TLS would wait for the client's goodbye
        elif self._parting:
            if self._patience.is_over(now, deaf=True, idle=False):
                self._close()
        else:
            self._doubt(now, idle=not unsent)

    def _end_stall(self) -> None:
        """The client takes nothing of what waits for it. Where that is no more than some answers,
        whose windows it does not open, the others may go on."""
        waiting = [each for each in self.h2.streams.values() if each.queue is not None]
        if not self.writable or not all(each.queue.is_parked for each in waiting):  # type: ignore[union-attr]  # there is one
            self.abort()
            return
        for stream in waiting:
            self._break_off(stream)
        self.flush()

    def _cut_hopeless(self) -> None:
        """A client that sends no more completes no request, and opens no window."""
        for stream in tuple(self.h2.streams.values()):
            if stream.state == OPEN or stream.queue is not None:
                self._break_off(stream)
        self.flush()

    def _doubt(self, now: float, *, idle: bool) -> None:
        """Leave who sends nothing, where the next word is the client's."""
        h2, patience = self.h2, self._patience
        if self._paused:
            return  # nothing of it is heard
        for stream in tuple(h2.streams.values()):
            if stream.user is not None:
                stream.user.tick(now)
        if not h2.started:
            patience.heard = self._opened  # its bytes may not come one by one for ever
        if h2.held_bytes or not h2.started:
            if patience.is_over(now, deaf=False, idle=False) or self._trickles(now):
                self._close()
        elif h2.streams:
            self._partial = 0
            self._probe(now)
        elif idle and patience.is_over(now, deaf=False, idle=True):
            self._retire()
        if now - self._opened > self._age and h2.takes_more:
            self._retire()

    def _retire(self) -> None:
        """Leave in two steps, a tick apart, so that no call is lost that is on its way."""
        if self.h2.is_warning:
            self._leave()
        else:
            self.warn()

    def _trickles(self, now: float) -> bool:
        """Whether a frame that is not whole comes too slowly, though it comes."""
        held, before = self.h2.held_bytes, self._partial
        self._partial = held
        if held < before or not before:  # it is another one
            self._patience.begin_body(now, 0)
        return self._patience.is_trickling(now, held)

    def _probe(self, now: float) -> None:
        """Ask a client for a sign of life that says nothing, where a call waits for its word."""
        h2, patience = self.h2, self._patience
        if not any(stream.state == OPEN for stream in h2.streams.values()):
            self._probed = 0.0
        elif self._probed > patience.heard:
            if now - self._probed - TICK_SECONDS > self.service.limits.read_timeout_seconds:
                self.abort()
        elif patience.is_over(now, deaf=False, idle=True):
            self._probed = now
            h2.ping()
            self.flush()

    def warn(self) -> None:
        self.h2.warn()
        self.flush()

    def drain(self) -> None:
        self._leave()
        self.service.home.loop.call_later(GOODBYE_SECONDS, self._see_off)

    def _see_off(self) -> None:
        """End a connection that only waits for the client's goodbye."""
        closing = self._transport.is_closing() or self._parting
        if closing and not undelivered(self._transport):
            self.abort()

    def abort(self) -> None:
        self._transport.abort()

    def _leave(self) -> None:
        """Take no new streams, and close when those that are open are answered (RFC 9113, section
        6.8)."""
        if self._parting:
            self._close()
            return
        self.h2.shut()
        self.flush()

    def _write(self) -> None:
        output = self.h2.take()
        if isinstance(output, bytes):
            self._transport.write(output)
        else:
            self._transport.writelines(output)

    def _break_off(self, stream: Stream) -> None:
        self.h2.reset(stream, CANCEL)
        stream.user.cut()

    def _part(self) -> None:
        """Say no more. Closing at once would reset the connection under what was said last, where
        the client still sends."""
        if self._parting or self._transport.is_closing():
            return
        self._parting, self._patience.heard = True, self.service.now
        if self._transport.can_write_eof() and not self._deaf:
            self._transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        if not self._transport.is_closing():
            self._patience.begin_stall(self.service.now, sys.maxsize)
            self._transport.close()

    def _pace(self) -> None:
        """Read while the client reads, and what was read is taken."""
        room = self.writable and not (self._unread or self._resting)
        if room == self._paused and not self._transport.is_closing():
            self._paused = not room
            if room:
                self._patience.heard = self.service.now
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
