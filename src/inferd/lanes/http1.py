"""HTTP/1.1 over a socket: the fast lane. Bytes are parsed where they arrive, and inference is
answered from there.

Requests of the dialects never become an ASGI scope, a task or a queue hop; all others go to the app
behind, through ``asgi_bridge``. Answers leave in the order of the requests (RFC 9112, section
9.3.2).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import httptools

from inferd.errors import InferdError, MalformedRequest, PayloadTooLarge, RouteNotFound
from inferd.lanes.asgi_bridge import AppTurn, Head
from inferd.lanes.exchange import Exchange, own
from inferd.lanes.heads import KnownHead
from inferd.lanes.routing import Match, origin_form
from inferd.lanes.service import TICK_SECONDS, Service
from inferd.lanes.turn import Turn, connection_field, error_answer
from inferd.log import logger
from inferd.protocols.base import Message

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# How long a refused body is read on, so that the refusal reaches a client that still sends: closing
# at once would reset the connection under its answer.
LINGER_SECONDS = 2.0


class Http1Connection(asyncio.Protocol):
    """One client's connection. ``httptools`` calls the ``on_`` methods while it is fed."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._turns: deque[Turn] = deque()
        """Requests whose answers are not wholly written, oldest first; empty while a quick one is
        answered."""
        self._writable, self._paused = True, False
        self._stalled, self._unsent = 0.0, 0
        """Since when the client has not read, and how much was left for it then."""
        self._callbacks: list[Callable[[], None]] = []
        self._heard = service.now
        self._idle = True
        """Whether no part of a request was read: the parser stands between two messages."""
        self._reading_head, self._head_bytes = True, 0
        self._data = b""
        """What the parser was fed last."""
        self._deaf = False
        """Whether what still arrives is thrown away: after a last request, or one that could not be
        understood."""
        self._begin()

    def _begin(self) -> None:
        """Forget the request that was read."""
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._fields: Mapping[bytes, bytes] = {}
        """The same as a mapping; made when they are complete, so that trailers never get in."""
        self._match: Match | None = None
        self._app: AppTurn | None = None
        self._error: InferdError | None = None
        self._chunks: list[bytes] = []
        self._size, self._principal = 0, ""

    # -- the event loop calls these --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._idle:
            self._heard = self.service.now
            known = self.service.heads.find(data)
            if known is not None and not self.service.draining:
                self._answer_known(known, data)
                return
        elif not self._reading_head:
            self._heard = self.service.now
        self._head_bytes += len(data)
        self._data = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # what follows would be another protocol; the request was answered
        except httptools.HttpParserCallbackError:  # a fault of ours, below, and not of the bytes
            logger.exception("a connection was cut off")
            self.abort()
        except httptools.HttpParserError as error:
            self._refuse(MalformedRequest(f"this is not HTTP/1.1: {error}"))
        # After a whole request there are none, and so nothing more to look at.
        if self._head_bytes and self._is_too_long():
            self._refuse_long_head()

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for is still answered (RFC 9112, section 9.6)."""
        self._deaf = True
        if self._app:
            self._drop_app()
        for turn in self._turns:
            turn.hear_no_more()
        return bool(self._turns)

    def connection_lost(self, exc: Exception | None) -> None:
        self.service.connections.discard(self)
        self._deaf = True
        self._forget_turns()
        self._call_back()

    def pause_writing(self) -> None:
        self._writable, self._stalled = False, self.service.now
        self._unsent = self._transport.get_write_buffer_size()
        self.pace()

    def resume_writing(self) -> None:
        self._writable = True
        self.pace()
        self._call_back()

    # -- the parser calls these --

    def on_message_begin(self) -> None:
        self._idle = False

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        arrived, self._reading_head, self._head_bytes = self._head_bytes, False, 0
        if self._deaf:
            return
        service = self.service
        if arrived > service.limits.head_bytes and self._head_size() > service.limits.head_bytes:
            self._refuse_long_head()
            return
        self._fields = fields = dict(self._headers)
        self._principal = service.door(fields)
        try:
            if not self._target.startswith(b"/"):
                self._target = origin_form(self._target)
            self._match = service.routes.find(self._parser.get_method(), self._target)
        except InferdError as error:
            self._error = error
        if (
            len(fields.get(b"content-length", b"")) >= service.limits.long_length
            or b"expect" in fields
        ):
            self._heed(fields)
        if self._match is None and self._error is None and not self._deaf:
            self._open_app()

    def on_body(self, chunk: bytes) -> None:
        if self._deaf:
            return
        self._size += len(chunk)
        if self._size > self.service.limits.body_bytes:
            self._refuse_body(self._size)
        elif self._app:
            self._app.feed(chunk)
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        self._idle, self._reading_head, self._head_bytes = True, True, 0
        if self._deaf:
            return
        keep_alive = self._parser.should_keep_alive() and not self.service.draining
        if b"upgrade" in self._fields:
            keep_alive = False  # nothing else is spoken here, and the parser reads no further
        self._deaf = not keep_alive
        if self._match is not None:
            if keep_alive and self._chunks:
                self.service.heads.learn(self._data, self._match, self._fields, self._size)
            self._infer(self._match, keep_alive)
        elif self._app:
            self._app.feed_end(keep_alive=keep_alive)
        elif self._error:
            self._tell(Turn(keep_alive), self._error)
        self._begin()

    # -- the walk of one request --

    def _answer_known(self, known: KnownHead, data: bytes) -> None:
        """Answer a whole request whose head was parsed before: on this path there is no parser."""
        self._fields, self._size = known.fields, known.total - known.size
        self._principal = self.service.door(known.fields)
        self._chunks.append(data[known.size :])
        self._infer(known.match, keep_alive=True)
        self._begin()

    def _infer(self, match: Match, keep_alive: bool) -> None:
        """Answer a dialect's request, at once where its call is quick."""
        message = Message(b"", match.path, self._fields, match.query, self._principal)
        exchange = Exchange(self, match, message, keep_alive)
        if not keep_alive or b"connection" in self._fields:
            # HTTP/1.0 keeps a connection only where a header says so, and every other 1.0 request
            # is a last one.
            exchange.old_http = self._is_old_http()
        queued = bool(self._turns)
        if queued:
            self._turns.append(exchange)
        if self._size > self.service.limits.offload_bytes:
            exchange.read_in_thread(self._chunks)
        else:
            message.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            try:
                exchange.call = call = match.operation.decode(message, self.service.lookup)
            except Exception as error:  # noqa: BLE001 - the transport boundary
                exchange.fail(own(error))
            else:
                match.handler(call, exchange)
        if not exchange.done and not queued:
            self._turns.append(exchange)
            self.pace()

    def _open_app(self) -> None:
        """Hand a request that no dialect knows to the app, before its body."""
        if self.service.app is None:
            self._error = RouteNotFound("nothing is served at this URL")
            return
        head = Head(
            self._parser.get_method(),
            self._target,
            tuple(self._headers),
            self._parser.get_http_version(),
        )
        self._app = AppTurn(self, head, self._transport)
        self._turns.append(self._app)
        self._app.start()

    # -- what the turns ask for --

    def send(self, turn: Turn, data: bytes, *, last: bool) -> None:
        turns = self._turns
        if turns and turns[0] is not turn:
            turn.held += (data,)
            return
        self._transport.write(data)
        if last and (turns or self._deaf):
            if turns:
                turns.popleft()
                self._flush()
            self._after(turn)

    def is_writable(self, turn: Turn) -> bool:
        return self._writable and (not self._turns or self._turns[0] is turn)

    def when_writable(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def pace(self) -> None:
        """Read while the client reads, few of its requests are under way, and the app takes its
        body."""
        room = (
            self._writable
            and len(self._turns) < self.service.limits.pipelined
            and not (self._app and self._app.is_full)
        )
        if room == self._paused and not self._transport.is_closing():
            self._paused = not room
            if room:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def cut(self, turn: Turn) -> None:
        turn.keep_alive, turn.done = False, True
        self.send(turn, b"", last=True)

    # -- what the service asks for --

    def tick(self, now: float) -> None:
        # What was heard since the last tick has that tick's time, up to a whole one too early.
        limits, silent = self.service.limits, now - self._heard - TICK_SECONDS
        if not self._writable and self._is_stalled(now):
            self.abort()
        elif self._turns and (self._reading_head or self._deaf):
            return  # the client waits for us
        elif self._deaf:
            if silent > LINGER_SECONDS:
                self.abort()
        elif silent > (limits.keep_alive_seconds if self._idle else limits.read_timeout_seconds):
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def drain(self) -> None:
        if not self._idle:
            return  # the request that is being read is answered, as the last
        self._deaf = True
        if self._turns:
            self._turns[-1].keep_alive = False
        else:
            self._transport.close()

    # -- inside --

    def _is_stalled(self, now: float) -> bool:
        """Whether the client has taken nothing of what waits for it for too long."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._stalled = now
        self._unsent = unsent
        return now - self._stalled - TICK_SECONDS > self.service.limits.read_timeout_seconds

    def _is_too_long(self) -> bool:
        return self._reading_head and self._head_bytes > self.service.limits.head_bytes

    def _head_size(self) -> int:
        return len(self._target) + sum(len(name) + len(value) for name, value in self._headers)

    def _refuse_long_head(self) -> None:
        self._refuse(PayloadTooLarge("the request line and headers are too long"))

    def _heed(self, fields: Mapping[bytes, bytes]) -> None:
        """Act on the headers that concern the transfer itself."""
        length = fields.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.service.limits.body_bytes:
            self._refuse_body(int(length))
        elif (
            fields.get(b"expect", b"").lower() == b"100-continue"
            and not self._turns
            and not self._is_old_http()  # RFC 9110, 10.1.1: ignored there
        ):
            self._transport.write(CONTINUE)

    def _refuse_body(self, size: int) -> None:
        limit = self.service.limits.body_bytes
        self._refuse(
            PayloadTooLarge(
                "the body is too large",
                got=f"{size} bytes or more",
                expected=f"at most {limit} bytes",
            )
        )

    def _refuse(self, error: InferdError) -> None:
        """Answer with *error*, and hear nothing more on this connection."""
        if self._deaf:
            return
        self._deaf, self._heard = True, self.service.now
        if self._app:
            self._drop_app()
        turn = Turn(keep_alive=False)
        turn.lingers = True
        self._tell(turn, error)

    def _drop_app(self) -> None:
        """Take the app's request back, whose body will never be whole."""
        app, self._app = self._app, None
        if app and app in self._turns:
            app.disconnect()
            if app.is_begun:
                self.cut(app)
            else:
                self._turns.remove(app)

    def _tell(self, turn: Turn, error: InferdError) -> None:
        """Answer *turn* with *error*, in its order."""
        head, body = error_answer(self.service.routes.fallback, error, None, self.service)
        if self._turns:
            self._turns.append(turn)
        turn.done = True
        field = connection_field(turn, old_http=self._is_old_http())
        if self._parser.get_method() == b"HEAD":
            body = b""
        self.send(turn, head + field + b"\r\n" + body, last=True)

    def _is_old_http(self) -> bool:
        return bool(self._parser.get_http_version() == "1.0")

    def _flush(self) -> None:
        """Let those go whose turn has come."""
        turns = self._turns
        while turns:
            turn = turns[0]
            if turn.held:
                self._transport.write(b"".join(turn.held))
                turn.held = ()
            if not turn.done:
                self._call_back()
                break
            turns.popleft()
            self._after(turn)
        self.pace()

    def _after(self, turn: Turn) -> None:
        """*turn*'s answer is written: close the connection if it was the last."""
        if not turn.keep_alive:
            self._deaf, self._heard = True, self.service.now
            self._forget_turns()  # there are some only where an answer broke off
        if turn.lingers:
            self._transport.write_eof()
        elif self._deaf and not self._turns:
            self._transport.close()

    def _forget_turns(self) -> None:
        turns = tuple(self._turns)
        self._turns.clear()
        for turn in turns:
            turn.disconnect()

    def _call_back(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
