"""WebSocket (RFC 6455): messages ask an operation of a dialect, over a connection that began as a
request of HTTP/1.1.

A client sends messages, text or binary, each of which is what the body of a request would be. For
each it gets

- one message, where the model answers at once;
- where the model answers in parts: one message a part, as they are made, and then an empty one,
  which says that there are no more;
- in place of what is missing, one message with the dialect's document of an error. The connection
  goes on.

JSON comes as text, all else as binary messages, and the answers come in the order of what was
asked, so that a client need not wait for one before it asks the next.

The server closes with 1001 when it stops, after what was asked is answered; with 1002, 1007 or 1009
after a client that breaks the standard or sends too large a message; with 1008 after one that stops
amid a message or answers no ping; with 1013 amid a message that it has no room for.
"""

import asyncio

from inferd.errors import Overloaded
from inferd.lanes.handshake import Fields, shake
from inferd.lanes.message_turn import MessageTurn
from inferd.lanes.routing import Match
from inferd.lanes.service import Service
from inferd.lanes.turn import Turn
from inferd.lanes.websocket_frames import Frames
from inferd.lanes.writing import WritingHalf
from inferd.log import logger
from inferd.protocols.base import Message

NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008  # RFC 6455, section 7.4.1
TRY_AGAIN_LATER = 1013  # of IANA's registry of close codes
STOPPING = "the server is stopping"

# Frames that are taken in one turn of the loop: a read may hold 40,000, and others wait meanwhile.
AT_ONCE = 64


class WebSocketConnection(WritingHalf, asyncio.Protocol):
    """One client's connection, from its opening handshake on, which matched *match* and had the
    headers *fields*."""

    def __init__(self, service: Service, match: Match, fields: Fields) -> None:
        super().__init__(service)
        self._match, self._fields = match, fields
        self._frames = Frames(self, service.limits.body_bytes)
        self._message = Message(b"", match.path)
        """What all messages have in common."""
        self._paused = False
        self._left = False
        """Whether frames were read that are not taken yet."""
        self._busy = False
        """Whether frames are being taken, or soon will."""
        self._pinged = False
        """Whether nothing came since the last ping."""
        self._holds = False
        """Whether a message that is not whole counts for the worker's capacity."""
        self._farewell: tuple[int, str] | None = None
        """Why the server closes. No message is taken any more, but by one that only warned."""
        self._answered = False
        """Whether the farewell is due, but that another message may have come already."""
        self._ended = False
        """Whether the client sends no more."""
        self._over = False
        """Whether nothing will be written any more."""

    # -- the transport calls these --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's is one
        self.service.connections.add(self)
        answer, message = shake(self.service, self._match, self._fields)
        self._transport.write(answer)
        if message is None:
            self._deaf = True
            self._hang_up()
        else:
            self._message = message
            self.service.begin(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._patience.heard, self._pinged = self.service.now, False
        if not self._frames.is_amid:
            self._patience.begin_body(self.service.now, 0)
        self._frames.feed(data)
        if not self._busy:
            self._take()

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for is still answered, as over HTTP."""
        self._deaf = self._ended = True
        if self._turns:
            self._leave(NORMAL, "")
        return self._outlives_the_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.connections.discard(self)
        self.service.capacity.let_go(self)
        self._deaf = self._over = True
        self._forget_turns()
        self.call_back()

    # -- the service calls these --

    def tick(self, now: float) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent and (self._over or not self._writable):
            self._patience.heard = now
            if self._patience.is_stalled(now, unsent):
                self.abort()
        elif self._over:
            if self._patience.is_over(now, deaf=True, idle=False):
                self.abort()
        elif not self._paused and not self._turns:  # otherwise the client waits for us
            self._doubt(now)

    def warn(self) -> None:
        # Behind the next answer: a client that has none to wait for may be sending just now.
        if self._farewell is None and not self._over:
            self._farewell = GOING_AWAY, STOPPING

    def drain(self) -> None:
        self._leave(GOING_AWAY, STOPPING)

    def abort(self) -> None:
        self._transport.abort()

    # -- its turns call these, and what WritingHalf has --

    def pace(self) -> None:
        """Read while the client reads, few of its messages are under way, none of them is being
        read in a thread, and all that was read is taken."""
        if self._transport.is_closing():
            return
        room = self._has_room()
        if room and self._left and not self._busy:
            self._busy = True
            self.service.home.loop.call_soon(self._take)
        if (room and not self._left) == self._paused:
            self._paused = not self._paused
            if self._paused:
                self._transport.pause_reading()
            else:
                self._patience.heard = self.service.now
                self._patience.begin_body(self.service.now, self._frames.size)
                self._transport.resume_reading()

    def _after(self, turn: Turn) -> None:
        self.service.capacity.let_go(turn)
        if self._farewell and not self._turns:
            if self._busy and self._is_warned():
                self._answered = True
            else:
                self._say_farewell(*self._farewell)

    # -- its frames call these --

    def on_message(self, body: bytes | bytearray) -> None:
        service = self.service
        self._patience.begin_body(service.now, 0)
        if self._holds:
            self._holds = False
            service.capacity.let_go(self)
        if self._over or (self._farewell and not self._is_warned()):
            return
        common = self._message
        message = Message(b"", common.path, common.headers, common.query, common.principal)
        turn = MessageTurn(self, self._match, message)
        if service.capacity.is_full:
            self._refuse(turn, len(body))
            return
        self._turns.append(turn)
        if len(body) > service.limits.offload_bytes:
            turn.ask_in_thread(body)
        else:
            message.body = bytes(body)
            turn.ask()
        if not turn.done:
            service.capacity.keep(turn, len(body))

    def on_ping(self, answer: bytes) -> None:
        self._transport.write(answer)

    def on_closed(self, answer: bytes) -> None:
        """Who closes wants no more answers: those that are not made yet never will be."""
        self._deaf = True
        self._forget_turns()
        self.call_back()
        self._transport.write(answer)
        self._ended = True
        self._hang_up()

    def on_fault(self, code: int, reason: str) -> None:
        self._deaf = True
        if self._over:  # it was told to go, and went badly
            self._close()
        else:
            self._leave(code, reason)

    # -- inside --

    def _has_room(self) -> bool:
        turns = self._turns
        return (
            self._writable
            and len(turns) < self.service.limits.pipelined
            and not (turns and turns[-1].reads)
        )

    def _take(self) -> None:
        """Take what was read, as far as there is room for it."""
        self._busy, self._left, allowed = True, False, AT_ONCE
        try:
            for _ in () if self._deaf else self._frames.tell():
                allowed -= 1
                if self._deaf:
                    break
                if not allowed or not self._has_room():
                    self._left = True
                    break
        except Exception:  # noqa: BLE001 - the transport boundary
            logger.exception("a connection was cut off")
            self.abort()
        self._busy = False
        if self._frames.is_amid and not self._deaf:
            self._hold()
        if self._answered and self._farewell and not (self._turns or self._left):
            self._say_farewell(*self._farewell)
        self.pace()

    def _hold(self) -> None:
        """Keep what came of a message that is not whole."""
        try:
            self.service.capacity.hold(self, self._frames.size)
        except Overloaded:
            self.on_fault(TRY_AGAIN_LATER, "the server holds as many bytes as it may")
        else:
            self._holds = True

    def _doubt(self, now: float) -> None:
        """Look for a client that has gone without a word."""
        patience, frames = self._patience, self._frames
        if frames.is_amid:
            late = patience.is_trickling(now, frames.size)
            if late or patience.is_over(now, deaf=False, idle=False):
                self._leave(POLICY, "the rest of a message did not come in time")
        elif not patience.is_over(now, deaf=False, idle=not self._pinged):
            return
        elif self._pinged:
            self._leave(POLICY, "no pong came in time")
        else:
            self._pinged, patience.heard = True, now
            self._transport.write(frames.ping())

    def _is_warned(self) -> bool:
        """Whether the server goes soon, and takes what a client sends that does not know."""
        return bool(self._farewell and self._farewell[0] == GOING_AWAY) and not self.service.parting

    def _refuse(self, turn: MessageTurn, size: int) -> None:
        """Answer a message that there is no room for; the connection goes on."""
        self._turns.append(turn)
        try:
            self.service.capacity.expect(size)
        except Overloaded as error:
            turn.fail(error)

    def _leave(self, code: int, reason: str) -> None:
        """Close, after what is under way is answered."""
        if not self._over:
            self._farewell = self._farewell or (code, reason)
            if not self._turns:
                self._say_farewell(*self._farewell)

    def _sign(self) -> bytes:
        return self._frames.ping()

    def _say_farewell(self, code: int, reason: str) -> None:
        if not self._over:
            self._transport.write(self._frames.close(code, reason))
            self._hang_up()

    def _hang_up(self) -> None:
        """Write no more. What the client still sends is read for a while: closing at once could
        reset the connection before it has read what was written."""
        self._over = True
        now, unsent = self.service.now, self._transport.get_write_buffer_size()
        self._patience.heard = now
        self._patience.begin_stall(now, unsent)
        if self._ended:
            self._close()
        elif self._deaf and self._transport.can_write_eof():
            self._transport.write_eof()  # its answer would not be understood
