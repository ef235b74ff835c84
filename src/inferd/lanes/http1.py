"""HTTP/1.1 over a socket: the fast lane, where inference is answered from where its bytes arrive.

Requests of the dialects never become an ASGI scope, a task or a queue hop; all others go to the app
behind, through ``asgi_bridge``. This is the half of the connection that reads; ``writing`` is the
other, and ``refusing`` what both need where a request is not taken.
"""

import asyncio
from typing import Any

import httptools

from inferd.clock import monotonic_ns
from inferd.errors import InferdError, MalformedRequest, RouteNotFound
from inferd.lanes import heads
from inferd.lanes.asgi_bridge import AppTurn, Head
from inferd.lanes.exchange import Exchange
from inferd.lanes.large_body import LargeBody
from inferd.lanes.patience import undelivered
from inferd.lanes.refusing import RefusingHalf
from inferd.lanes.routing import Match, origin_form
from inferd.lanes.service import Service
from inferd.lanes.turn import Turn
from inferd.log import logger
from inferd.protocols.base import Message

LONG_TURN_NS = 5_000_000  # answering what one read brought takes microseconds, mostly

GOODBYE_SECONDS = 0.5  # for a client's confirmation that TLS has ended, when the server stops


class Http1Connection(RefusingHalf):
    """One client's connection. ``httptools`` calls the ``on_`` methods while it is fed."""

    def __init__(self, service: Service, *, bridged: bool = False) -> None:
        super().__init__(service)
        self._kind: set[Any] = service.uncounted if bridged else service.connections
        self._parser: Any = httptools.HttpRequestParser(self)
        self._paused = False
        self._idle = True
        """Whether no part of a request was read: the parser stands between two messages."""
        self._reading_head, self._head_bytes = True, 0
        self._data = b""
        """What the parser was fed last, if that began with a request."""
        self._last: Turn | None = None
        """The request that is taken for the last."""
        self._known: heads.KnownHead | None = None
        """The head of the request before, if that was known: the next one mostly has it, too."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._kind.add(self)
        self.service.begin(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._idle:
            self._patience.heard = self.service.now
            known = self._known
            if known is None or len(data) != known.total or not data.startswith(known.head):
                known = self._known = self.service.heads.find(data)
            if known is not None and not self.service.careful:
                self._answer_known(known, data)
                return
        elif not self._reading_head:
            self._patience.heard = self.service.now
        begun = monotonic_ns()
        self._feed(data)
        if monotonic_ns() - begun > LONG_TURN_NS and self._reads():
            # A socket is read many times in one turn of the loop, and others wait meanwhile.
            self._transport.pause_reading()
            self.service.home.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """Go on after others had their turn."""
        if self._reads():
            self._transport.resume_reading()

    def _reads(self) -> bool:
        return not self._paused and self in self._kind

    def _feed(self, data: bytes) -> None:
        while data and not self._deaf:
            data = self._parse(data)
        if self._unanswered and not self._transport.is_closing():
            self._complete_last()

    def _parse(self, data: bytes) -> bytes:
        """Give *data* to the parser; what is to be given to it next."""
        self._head_bytes += len(data)
        self._data, left = data if self._idle else b"", b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            left = self._answer_offer(data[offer.args[0] :])
        except httptools.HttpParserCallbackError:  # a fault of ours, below, and not of the bytes
            logger.exception("a connection was cut off")
            self.abort()
        except httptools.HttpParserError as error:
            self._refuse(MalformedRequest(f"this is not HTTP/1.1: {error}"))
        if self._head_bytes > self.service.limits.head_bytes:
            self._refuse(heads.too_long_a_head())
        elif not (self._idle or self._deaf):
            self._wait_for_rest()
        return left

    def _wait_for_rest(self) -> None:
        """The request is not whole."""
        if self._chunks and not self._hold(self._size):
            return
        if self._awaited > self._size:
            begun = b"".join(self._chunks)
            rest = LargeBody(self, self._transport, begun, self._awaited)
            self._transport.set_protocol(rest)

    def body_progressed(self, size: int) -> None:
        if self._hold(size):
            self._size, self._patience.heard = size, self.service.now

    def body_arrived(self, body: bytearray) -> None:
        self._chunks, self._size = [body], len(body)
        self.on_message_complete()
        if self._unanswered:
            self._complete_last()
        self._parser = httptools.HttpRequestParser(self)  # the other one still waits for the body

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for is still answered (RFC 9112, section 9.6)."""
        self._deaf = True
        if self._app:
            self._drop_app()
        for turn in self._turns:
            turn.hear_no_more()
        return self._outlives_the_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._kind.discard(self)
        self._deaf = True
        self._let_go()
        self._forget_turns()
        self.call_back()

    def on_message_begin(self) -> None:
        self._idle = False
        if self.service.draining:
            self._go_on_after_last()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading_head:  # what comes after a body are trailers, which nobody asked for
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        arrived, self._reading_head, self._head_bytes = self._head_bytes, False, 0
        if self._deaf:
            return
        service = self.service
        if arrived > service.limits.head_bytes < heads.head_size(self._target, self._headers):
            self._refuse(heads.too_long_a_head())
            return
        self._patience.begin_body(service.now, 0)
        self._fields = fields = dict(self._headers)
        if fault := heads.fault(self._headers, fields, old_http=self._is_old_http()):
            self._refuse(fault)
            return
        if b"upgrade" in fields and self._parser.should_upgrade():
            self._offered = True
            return
        try:
            self._principal = service.door(fields)
            if not self._target.startswith(b"/"):
                self._target = origin_form(self._target)
            self._match = service.routes.find(self._parser.get_method(), self._target)
        except InferdError as error:
            self._error = error
        length = len(fields.get(b"content-length", b""))
        if length >= service.limits.long_length or service.careful or b"expect" in fields:
            self._heed(fields)
        if self._match is None and self._error is None and not self._deaf:
            self._open_app()

    def on_body(self, chunk: bytes) -> None:
        if self._deaf:
            return
        self._size += len(chunk)
        self._head_bytes = 0  # so that it counts what is no body: heads, trailers, chunks' framing
        if self._size > self.service.limits.body_bytes:
            self._refuse(heads.too_large(str(self._size), self.service.limits.body_bytes))
        elif self._app:
            self._app.feed(chunk)
        elif self._match and not self._error:
            heads.collect(self._chunks, chunk)

    def on_message_complete(self) -> None:
        self._idle, self._reading_head, self._head_bytes = True, True, 0
        if self._deaf:
            return
        if self._offered:
            return  # answered when the parser has said where the body begins
        keep_alive = self._parser.should_keep_alive()
        if keep_alive and self.service.draining:
            self._unanswered = True
        else:
            self._complete(keep_alive=keep_alive)

    def _complete(self, *, keep_alive: bool) -> None:
        """Answer the request that was read."""
        self._deaf, self._unanswered = not keep_alive, False
        self._let_go()
        if self._error:
            self._tell(Turn(keep_alive), self._error)
        elif self._match is not None:
            self._answer_parsed(self._match, keep_alive)
        elif self._app:
            self._app.feed_end(keep_alive=keep_alive)
        self._begin()

    def _complete_last(self) -> None:
        """The end is near, and nothing has followed the request that was read: it is the last, but
        where another comes before its answer leaves."""
        self._complete(keep_alive=False)
        turns = self._turns
        # The end of the connection may end the answer to HTTP/1.0: nothing can follow that.
        if turns and not (self.service.parting or turns[-1].is_begun or self._is_old_http()):
            self._deaf, self._last = False, turns[-1]

    def _go_on_after_last(self) -> None:
        """Another request follows the one that was taken for the last."""
        if self._unanswered:
            self._complete(keep_alive=True)
        last, self._last = self._last, None
        if last is None:
            return
        if self._is_said(last):
            self._deaf = True
        else:
            last.take_back()

    def _is_said(self, turn: Turn) -> bool:
        """Whether the head of its answer was written."""
        return turn.is_begun and turn is self._turns[0]

    def _answer_offer(self, rest: bytes) -> bytes:
        """Speak WebSocket where that is asked for and spoken; otherwise serve the request as if it
        had offered no other protocol (RFC 9110, section 7.8).

        The parser takes what comes after such a head for that protocol, a body too: another one
        reads the same request without the offer, which is returned with the *rest*.
        """
        if self._deaf:
            return b""
        method, target, headers = self._parser.get_method(), self._target, self._headers
        if method == b"CONNECT":
            self._refuse(heads.no_tunnel())
            return b""
        match = self._websocket_match()
        if match is None:
            plain = heads.without_offer(method, target, headers, old_http=self._is_old_http())
            self._begin()
            self._parser = httptools.HttpRequestParser(self)
            return plain + rest
        self._begin()
        from inferd.lanes.websocket import WebSocketConnection  # few servers have such a client

        self._kind.discard(self)
        connection = WebSocketConnection(self.service, match, headers)
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        connection.data_received(rest)
        return b""

    def _websocket_match(self) -> Match | None:
        """The operation that the client wants to ask by WebSocket, where it may."""
        # Nothing may be under way: what is paused for this protocol, the next would not hear of.
        if self._is_old_http() or self._turns or not self._writable:
            return None
        if self._fields[b"upgrade"].lower() != b"websocket" or self._parser.get_method() != b"GET":
            return None
        return self.service.routes.find_websocket(self._target)

    def _answer_known(self, known: heads.KnownHead, data: bytes) -> None:
        """Answer a whole request whose head was parsed before: on this path there is no parser."""
        match, fields, service = known.match, known.fields, self.service
        body, principal = data[known.size :], service.door(fields)
        message = Message(body, match.path, fields, match.query, principal)
        self._ask(Exchange(self, match, message, keep_alive=True, special=known.special))

    def _answer_parsed(self, match: Match, keep_alive: bool) -> None:
        """Answer a request that the parser has read to its end."""
        chunks, fields = self._chunks, self._fields
        message = Message(b"", match.path, fields, match.query, self._principal)
        special = not keep_alive or match.head_only or heads.is_special(fields)
        exchange = Exchange(self, match, message, keep_alive=keep_alive, special=special)
        # HTTP/1.0 keeps a connection only where a header says so, and every other 1.0 request is a
        # last one.
        exchange.old_http = special and self._is_old_http()
        if b"content-encoding" in fields or self._size > self.service.limits.offload_bytes:
            self._await(exchange, self._size)
            exchange.read_in_thread(chunks)
            self.pace()
            return
        message.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)  # type: ignore[assignment]
        if keep_alive and message.body and not exchange.old_http:
            self.service.heads.learn(self._data, match, fields, special=special)
        self._ask(exchange)

    def _ask(self, exchange: Exchange) -> None:
        """Answer a dialect's request, at once where its call is quick and its turn has come."""
        if self._turns:
            self._await(exchange, len(exchange.message.body))
            exchange.ask()
            self.pace()
            return
        exchange.ask()
        if not exchange.done:
            self._await(exchange, len(exchange.message.body))
            self.pace()

    def _open_app(self) -> None:
        """Hand a request that no dialect knows to the app, before its body."""
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if self.service.app is None:
            self._error = RouteNotFound(method.decode("latin-1"), self._target.decode("latin-1"))
            return
        head = Head(method, self._target, tuple(self._headers), version)
        self._app = AppTurn(self, head, self._transport)
        self._turns.append(self._app)
        self._app.start()

    def pace(self) -> None:
        """Read while the client reads, few of its requests are under way, and the app takes its
        body."""
        room = (
            self._writable
            and len(self._turns) < self.service.limits.pipelined
            and not (self._app and self._app.is_full)
            and not any(turn.reads for turn in self._turns)
        )
        if room == self._paused and not self._transport.is_closing():
            self._paused = not room
            if room:
                self._patience.heard = self.service.now
                self._patience.begin_body(self.service.now, self._size)
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def tick(self, now: float) -> None:
        patience = self._patience
        if self._transport.is_closing() and not self._transport.can_write_eof():
            self._see_off(now)
        elif not self._writable and patience.is_stalled(now, undelivered(self._transport)):
            self.abort()
        elif self._paused or (self._turns and (self._reading_head or self._deaf)):
            return  # the client waits for us
        elif not self._reading_head and not self._deaf and patience.is_trickling(now, self._size):
            self._refuse(heads.too_slow())
        elif patience.is_over(now, deaf=self._deaf, idle=self._idle):
            if self._deaf or self._idle:
                self._close()
            else:
                self._refuse(heads.too_slow())

    def abort(self) -> None:
        self._transport.abort()

    def warn(self) -> None:
        turns = self._turns
        if not self._idle or not turns or self._is_old_http():
            return
        if not (turns[-1].done or turns[-1].is_begun):
            turns[-1].keep_alive, self._last = False, turns[-1]

    def drain(self) -> None:
        if not self._idle:
            return  # the request that is being read is answered, as the last
        self._deaf = True
        if self._turns:
            self._turns[-1].keep_alive = False
            return
        self._close()
        if not self._transport.can_write_eof():
            self.service.home.loop.call_later(
                GOODBYE_SECONDS, lambda: self._see_off(self.service.now)
            )
