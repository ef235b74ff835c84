"""One inference request of an HTTP/1 connection, from its last byte to its answer: the lane's
Reply."""

from collections.abc import Callable, Sequence
from functools import partial

from inferd.calls import Call, InferRequest, InferResponse, Response
from inferd.engine.home import Done
from inferd.errors import InferdError, RunFailed, Unsupported
from inferd.lanes.deadlines import timeout
from inferd.lanes.request_ids import request_id, request_id_field
from inferd.lanes.routing import Match
from inferd.lanes.turn import (
    Carrier,
    Turn,
    connection_field,
    error_answer,
)
from inferd.log import logger
from inferd.protocols.base import Message, Payload
from inferd.wire import codings

LAST_CHUNK = b"0\r\n\r\n"

PACKED_FROM = 1024  # bytes of an answer that are worth packing: fewer go in one segment anyhow
PACKED_AT_ONCE = 16 * 1024  # bytes that are packed in 0.2 ms; more are packed in a thread
JOINED = 64 * 1024  # bytes that are sooner copied together than written apart


class Exchange(Turn):
    """See ``calls.Reply`` for what its users may rely on."""

    __slots__ = (
        "_begun",
        "_carrier",
        "_response",
        "call",
        "match",
        "message",
        "old_http",
        "special",
    )

    def __init__(
        self, carrier: Carrier, match: Match, message: Message, *, keep_alive: bool, special: bool
    ) -> None:
        # Not by super().__init__, which takes as long as all of these together.
        self.keep_alive, self.cancelled, self.done = keep_alive, False, False
        self.lingers, self.reads, self.held = False, False, ()
        self._carrier, self.match, self.message = carrier, match, message
        self.call: Call
        self.special, self.old_http = special, False
        """Whether the request asks for more than an answer that is just written: for a last one, or
        one without a body, or packed, or with its own id; and whether it came by HTTP/1.0."""
        self._response: Response | None = None
        self._begun = False

    @property
    def is_begun(self) -> bool:
        return self._begun

    @property
    def takes_interim(self) -> bool:
        return not (self._begun or self.old_http)

    @property
    def writable(self) -> bool:
        return self._carrier.is_writable(self)

    def on_writable(self, callback: Callable[[], None]) -> None:
        if self.writable or self.cancelled:
            callback()
        else:
            self._carrier.when_writable(partial(self.on_writable, callback))

    def read_in_thread(self, chunks: Sequence[bytes | bytearray]) -> None:
        """Decode a large or packed body where it keeps nobody waiting, and go on after that."""
        self.reads = True
        home = self._carrier.service.home
        then = partial(self._decoded, home.loop.time())
        home.submit(home.codecs, partial(self._read, chunks), then)

    def _read(self, chunks: Sequence[bytes | bytearray]) -> Call:
        """Runs in a thread; joining the chunks releases the interpreter lock, too."""
        service, message = self._carrier.service, self.message
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        coding = message.headers.get(b"content-encoding")
        if coding is not None:
            body = codings.unpack(body, coding, service.limits.body_bytes)
        message.body = body  # type: ignore[assignment]
        return self.match.operation.decode(message, service.lookup)

    def _decoded(self, arrived: float, done: Done[Call]) -> None:
        self.reads = False
        self._carrier.pace()
        if self.cancelled:
            self._give_up()
            return
        try:
            call = done.result()
            # It may have been packed, and is larger now.
            self._carrier.service.capacity.hold(self, len(self.message.body))
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call, arrived)

    def ask(self) -> None:
        """Decode the request and answer it, at once where its call is quick."""
        match = self.match
        try:
            call = match.operation.decode(self.message, self._carrier.service.lookup)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call)

    def _run(self, call: Call, arrived: float = 0.0) -> None:
        """Have *call* answered, which knows what the request's head says beside; it *arrived* now
        where that is not told."""
        self.call, call.principal = call, self.message.principal
        if self.special:
            try:
                self._adopt(call, arrived)
            except InferdError as error:
                self.fail(error)
                return
        self.match.handler(call, self)

    def _adopt(self, call: Call, arrived: float) -> None:
        """Tell *call* what the head says. Raises InvalidInput."""
        headers = self.message.headers
        call.request_id = request_id(headers).decode("ascii")
        seconds = timeout(headers)
        if seconds is not None and isinstance(call, InferRequest):
            arrived = arrived or self._carrier.service.home.loop.time()
            call.deadline = min(call.deadline, arrived + seconds)

    def part(self, response: Response) -> None:
        if self.cancelled or self.done:
            return
        if self._response is None and not self.match.operation.streams:
            self._response = response
        elif self.match.operation.streams:
            self._stream(response)
        else:
            self.fail(Unsupported("this model answers in parts", cure="Ask a streaming URL."))
            self.cancelled = True  # so that its maker stops

    def end(self) -> None:
        response = self._response
        if self.cancelled or self.done:
            self._give_up()
        elif response is None:
            self._end_stream()
        elif (
            type(response) is InferResponse
            and response.size() > self._carrier.service.limits.offload_values
        ):
            self._work(partial(self._encoded, response))
        else:
            try:
                payload = self.match.operation.encode(self.call, response)
            except Exception as error:  # noqa: BLE001 - the transport boundary
                self.fail(own(error))
                return
            if not self.special:
                self._write(payload)
            elif self._coding(payload) and payload.size > PACKED_AT_ONCE:
                self._work(partial(self._packed, payload))
            else:
                self._write_special(self._packed(payload))

    def fail(self, error: InferdError) -> None:
        if self.done or self.cancelled:
            self._give_up()
        elif self._begun:
            told = self.match.operation.encode_failure(self.call, error)
            if told is None:  # cutting the connection is the only way left to say so in HTTP/1.1
                self._carrier.cut(self)
            else:
                self._finish_stream(b"", told)
        else:
            message = self.message
            head, body = error_answer(
                self.match.dialect, error, message, message.headers, self._carrier.service
            )
            field = connection_field(self, old_http=self.old_http)
            self._finish(head + field + b"\r\n" + (b"" if self.match.head_only else body))

    def _give_up(self) -> None:
        """Nobody waits for the answer, which is not made any more."""
        self.done = True
        self._carrier.service.capacity.let_go(self)

    def _encoded(self, response: Response) -> Payload:
        return self._packed(self.match.operation.encode(self.call, response))

    def _packed(self, payload: Payload) -> Payload:
        """*payload* in the coding that the client asks for, where there is one."""
        coding = self._coding(payload)
        if not coding:
            return payload
        headers = (
            *payload.headers,
            (b"content-encoding", coding),
            (b"vary", b"accept-encoding"),
        )
        body = codings.pack((payload.body, *payload.tail), coding)
        return Payload(body, payload.content_type, headers)

    def _coding(self, payload: Payload) -> bytes:
        accept = self.message.headers.get(b"accept-encoding", b"")
        if not accept or payload.size < PACKED_FROM:
            return b""
        return codings.wanted(accept)

    def _work(self, work: Callable[[], Payload]) -> None:
        """Make the payload in a thread."""
        home = self._carrier.service.home
        home.submit(home.codecs, work, self._worked)

    def _worked(self, done: Done[Payload]) -> None:
        if self.cancelled or self.done:
            self._give_up()
            return
        try:
            payload = done.result()
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._write_special(payload)

    def _write(self, payload: Payload) -> None:
        """Write the only answer: with nothing that the request asks for beside it."""
        if payload.tail or not self.keep_alive:  # which ends when the server does
            self._write_special(payload)
            return
        carrier, body, lines = self._carrier, payload.body, b""
        if payload.headers:
            lines = b"".join([b"%b: %b\r\n" % header for header in payload.headers])
        start = carrier.service.ok(payload.content_type)
        self.done = True
        carrier.send(self, b"%b%d\r\n%b\r\n%b" % (start, len(body), lines, body), last=True)

    def _write_special(self, payload: Payload) -> None:
        """Write the only answer, whatever the request asks for beside it."""
        length = b"content-length: %d\r\n" % payload.size
        head = self._head(payload) + length + connection_field(self, old_http=self.old_http)
        if self.match.head_only:
            self._finish(head + b"\r\n")
            return
        self.done = True
        pieces = [head, b"\r\n", payload.body, *payload.tail]
        if payload.size < JOINED:
            pieces = [b"".join(pieces)]
        for piece in pieces[:-1]:
            self._carrier.send(self, piece, last=False)
        self._carrier.send(self, pieces[-1], last=True)

    def _stream(self, response: Response) -> None:
        """Write one part: chunked, or up to the end of the connection for HTTP/1.0."""
        try:
            payload = self.match.operation.encode(self.call, response)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
            self.cancelled = True  # so that its maker stops
            return
        start = b"" if self._begun else self._start(payload)
        self._carrier.send(self, start + self._chunk(payload.body), last=False)

    def _end_stream(self) -> None:
        operation = self.match.operation
        if not operation.streams:
            self.fail(RunFailed("the model gave no answer"))
            return
        start = b"" if self._begun else self._start(Payload(b"", operation.content_type))
        self._finish_stream(start, operation.encode_end(self.call))

    def _start(self, payload: Payload) -> bytes:
        """The head of a stream."""
        self._begun = True
        framing = b"transfer-encoding: chunked\r\n"
        if self.old_http:
            self.keep_alive, framing = False, b""
        return (
            self._head(payload) + framing + connection_field(self, old_http=self.old_http) + b"\r\n"
        )

    def _chunk(self, data: bytes) -> bytes:
        if self.match.head_only:
            return b""
        return data if self.old_http or not data else b"%x\r\n%b\r\n" % (len(data), data)

    def _finish_stream(self, start: bytes, data: bytes) -> None:
        bare = self.old_http or self.match.head_only
        self._finish(start + self._chunk(data) + (b"" if bare else LAST_CHUNK))

    def _head(self, payload: Payload) -> bytes:
        lines = b"".join([b"%b: %b\r\n" % header for header in payload.headers])
        return b"HTTP/1.1 200 OK\r\n%bcontent-type: %b\r\n%b%b" % (
            self._carrier.service.date,
            payload.content_type,
            lines,
            request_id_field(self.message.headers),
        )

    def _finish(self, data: bytes) -> None:
        self.done = True
        self._carrier.send(self, data, last=True)


def own(error: Exception) -> InferdError:
    """*error* itself where it is one of ours; otherwise a text that tells nothing of the inside,
    and a line in the log."""
    if isinstance(error, InferdError):
        return error
    logger.error("a request or an answer could not be coded", exc_info=error)
    return RunFailed("the server failed on this request", cure="The server's log says why.")
