"""HTTP/1.1 over a socket: the fast lane, where inference is answered from where its bytes arrive.

Requests of the dialects never become an ASGI scope, a task or a queue hop; all others go to the app
behind, through ``asgi_bridge``. Answers leave in the order of the requests (RFC 9112, section
9.3.2).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httptools

from inferd.errors import InferdError, MalformedRequest, RouteNotFound
from inferd.lanes import heads
from inferd.lanes.asgi_bridge import AppTurn, Head
from inferd.lanes.exchange import Exchange, own
from inferd.lanes.patience import Patience
from inferd.lanes.routing import Match, origin_form
from inferd.lanes.service import Service
from inferd.lanes.turn import Turn, connection_field, error_answer
from inferd.log import logger
from inferd.protocols.base import Message


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
        self._callbacks: list[Callable[[], None]] = []
        self._patience = Patience(service.limits, service.now)
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
        self._offered = False
        """Whether the head offers to speak another protocol."""
        self._chunks: list[bytes] = []
        self._size, self._principal = 0, ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._idle:
            self._patience.heard = self.service.now
            known = self.service.heads.find(data)
            if known is not None and not self.service.draining:
                self._answer_known(known, data)
                return
        elif not self._reading_head:
            self._patience.heard = self.service.now
        self._head_bytes += len(data)
        self._data = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserCallbackError:  # a fault of ours, below, and not of the bytes
            logger.exception("a connection was cut off")
            self.abort()
        except httptools.HttpParserError as error:
            self._refuse(MalformedRequest(f"this is not HTTP/1.1: {error}"))
        if self._head_bytes > self.service.limits.head_bytes:
            self._refuse(heads.too_long_a_head())

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
        self._writable = False
        self._patience.begin_stall(self.service.now, self._transport.get_write_buffer_size())
        self.pace()

    def resume_writing(self) -> None:
        self._writable = True
        self.pace()
        self._call_back()

    def on_message_begin(self) -> None:
        self._idle = False

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
        self._fields = fields = dict(self._headers)
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
        self._head_bytes = 0  # so that it counts what is no body: heads, trailers, chunks' framing
        if self._size > self.service.limits.body_bytes:
            self._refuse(heads.too_large(str(self._size), self.service.limits.body_bytes))
        elif self._app:
            self._app.feed(chunk)
        elif self._match:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        self._idle, self._reading_head, self._head_bytes = True, True, 0
        if self._deaf:
            return
        if self._offered:
            return  # answered when the parser has said where the body begins
        keep_alive = self._parser.should_keep_alive() and not self.service.draining
        self._deaf = not keep_alive
        if self._match is not None:
            self._answer_parsed(self._match, keep_alive)
        elif self._app:
            self._app.feed_end(keep_alive=keep_alive)
        elif self._error:
            self._tell(Turn(keep_alive), self._error)
        self._begin()

    def _decline(self, rest: bytes) -> None:
        """Serve a request as if it had offered no other protocol (RFC 9110, section 7.8).

        The parser takes what comes after such a head for that protocol, a body too: another one
        reads the same request without the offer.
        """
        if self._deaf:
            return
        method, target, headers = self._parser.get_method(), self._target, self._headers
        if method == b"CONNECT":
            self._deaf = True
            return
        self._begin()
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(heads.without_offer(method, target, headers) + rest)

    def _answer_known(self, known: heads.KnownHead, data: bytes) -> None:
        """Answer a whole request whose head was parsed before: on this path there is no parser."""
        match, fields = known.match, known.fields
        principal = self.service.door(fields)
        message = Message(data[known.size :], match.path, fields, match.query, principal)
        self._infer(match, message, keep_alive=True)

    def _answer_parsed(self, match: Match, keep_alive: bool) -> None:
        """Answer a request that the parser has read to its end."""
        chunks = self._chunks
        message = Message(b"", match.path, self._fields, match.query, self._principal)
        if self._size > self.service.limits.offload_bytes:
            self._infer(match, message, keep_alive, chunks)
            return
        message.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if keep_alive and message.body:
            self.service.heads.learn(self._data, match, self._fields, self._size)
        self._infer(match, message, keep_alive)

    def _infer(
        self, match: Match, message: Message, keep_alive: bool, chunks: Sequence[bytes] = ()
    ) -> None:
        """Answer a dialect's request, at once where its call is quick; *chunks*: its large body."""
        exchange = Exchange(self, match, message, keep_alive)
        if not keep_alive or b"connection" in message.headers:
            # HTTP/1.0 keeps a connection only where a header says so, and every other 1.0 request
            # is a last one.
            exchange.old_http = self._is_old_http()
        queued = bool(self._turns)
        if queued:
            self._turns.append(exchange)
        if chunks:
            exchange.read_in_thread(chunks)
        else:
            try:
                exchange.call = call = match.operation.decode(message, self.service.lookup)
                call.principal = message.principal
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
            self._error = RouteNotFound(
                self._parser.get_method().decode("latin-1"), self._target.decode("latin-1")
            )
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
            and not any(turn.reads for turn in self._turns)
        )
        if room == self._paused and not self._transport.is_closing():
            self._paused = not room
            if room:
                self._patience.heard = self.service.now
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def cut(self, turn: Turn) -> None:
        turn.keep_alive, turn.done = False, True
        self.send(turn, b"", last=True)

    def tick(self, now: float) -> None:
        patience, unsent = self._patience, self._transport.get_write_buffer_size()
        if not self._writable and patience.is_stalled(now, unsent):
            self.abort()
        elif self._paused or (self._turns and (self._reading_head or self._deaf)):
            return  # the client waits for us
        elif patience.is_over(now, deaf=self._deaf, idle=self._idle):
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

    def _heed(self, fields: Mapping[bytes, bytes]) -> None:
        """Act on the headers that concern the transfer itself."""
        size = heads.announced_excess(fields, self.service.limits.body_bytes)
        if size:
            self._refuse(heads.too_large(size, self.service.limits.body_bytes))
        elif heads.expects_go_ahead(fields) and not self._turns and not self._is_old_http():
            self._transport.write(heads.GO_AHEAD)

    def _refuse(self, error: InferdError) -> None:
        """Answer with *error*, and hear nothing more on this connection."""
        if self._deaf:
            return
        self._deaf, self._patience.heard = True, self.service.now
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
            self._deaf, self._patience.heard = True, self.service.now
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
