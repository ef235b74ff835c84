"""One inference request of an HTTP/1 connection, from its last byte to its answer: the lane's
Reply."""

from collections.abc import Callable, Sequence
from functools import partial

from inferd.calls import Call, InferResponse, Response
from inferd.engine.home import Done
from inferd.errors import InferdError, RunFailed, Unsupported
from inferd.lanes.routing import Match
from inferd.lanes.turn import Carrier, Turn, connection_field, error_answer
from inferd.log import logger
from inferd.protocols.base import JSON, Message, Payload

LAST_CHUNK = b"0\r\n\r\n"


class Exchange(Turn):
    """See ``calls.Reply`` for what its users may rely on."""

    __slots__ = (
        "_begun",
        "_carrier",
        "_encoding",
        "_ended",
        "_payload",
        "call",
        "head_only",
        "match",
        "message",
        "old_http",
    )

    def __init__(self, carrier: Carrier, match: Match, message: Message, keep_alive: bool) -> None:
        # Not by super().__init__, which takes as long as all of these together.
        self.keep_alive, self.cancelled, self.done = keep_alive, False, False
        self.lingers, self.reads, self.held = False, False, ()
        self._carrier, self.match, self.message = carrier, match, message
        self.call: Call
        self.head_only = match.head_only
        """Whether the request was HEAD."""
        self.old_http = False
        """Whether it came by HTTP/1.0."""
        self._payload: Payload | InferdError | None = None
        self._begun = self._ended = self._encoding = False

    @property
    def writable(self) -> bool:
        return self._carrier.is_writable(self)

    def on_writable(self, callback: Callable[[], None]) -> None:
        if self.writable or self.cancelled:
            callback()
        else:
            self._carrier.when_writable(partial(self.on_writable, callback))

    def read_in_thread(self, chunks: Sequence[bytes]) -> None:
        """Decode a large body where it keeps nobody waiting, and go on after that."""
        self.reads = True
        home = self._carrier.service.home
        home.submit(home.codecs, partial(self._read, chunks), self._decoded)

    def _read(self, chunks: Sequence[bytes]) -> Call:
        """Runs in a thread; joining the chunks releases the interpreter lock, too."""
        self.message.body = b"".join(chunks)
        return self.match.operation.decode(self.message, self._carrier.service.lookup)

    def _decoded(self, done: Done[Call]) -> None:
        self.reads = False
        self._carrier.pace()
        try:
            self.call = done.result()
            self.call.principal = self.message.principal
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self.match.handler(self.call, self)

    def part(self, response: Response) -> None:
        if self.cancelled or self.done:
            return
        operation = self.match.operation
        if operation.streams:
            self._stream(response)
        elif self._payload is not None or self._encoding:
            error = Unsupported("this model answers in parts", cure="Ask a streaming URL.")
            self.fail(error)
            self.cancelled = True  # so that its maker stops
        elif (
            isinstance(response, InferResponse)
            and response.size() > self._carrier.service.limits.offload_values
        ):
            self._encode_in_thread(response)
        else:
            try:
                self._payload = operation.encode(self.call, response)
            except Exception as error:  # noqa: BLE001 - the transport boundary
                self._payload = own(error)

    def end(self) -> None:
        self._ended = True
        if self._encoding or self.done:
            return
        payload = self._payload
        if self.cancelled:
            self.done = True
        elif isinstance(payload, Payload):
            self.done = True
            self._carrier.send(self, self._answer(payload), last=True)
        elif payload is None and self.match.operation.streams:
            operation = self.match.operation
            start = b"" if self._begun else self._start(Payload(b"", operation.content_type))
            tail = self._chunk(operation.encode_end(self.call))
            self._finish(start + tail + (b"" if self.old_http else LAST_CHUNK))
        else:
            self.fail(payload or RunFailed("the model gave no answer"))

    def fail(self, error: InferdError) -> None:
        if self.done or self.cancelled:
            self.done = True
        elif (
            self._begun
        ):  # too late for a status: cutting the connection is the only way to say so in HTTP/1.1
            self._carrier.cut(self)
        else:
            head, body = error_answer(
                self.match.dialect, error, self.message, self._carrier.service
            )
            field = connection_field(self, old_http=self.old_http)
            self._finish(head + field + b"\r\n" + (b"" if self.head_only else body))

    def _encode(self, response: Response) -> Payload | InferdError:
        try:
            return self.match.operation.encode(self.call, response)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            return own(error)

    def _encode_in_thread(self, response: Response) -> None:
        self._encoding = True
        home = self._carrier.service.home
        home.submit(home.codecs, partial(self._encode, response), self._encoded)

    def _encoded(self, done: Done[Payload | InferdError]) -> None:
        self._encoding = False
        if self._payload is None:
            self._payload = done.value
        if self._ended:
            self.end()

    def _answer(self, payload: Payload) -> bytes:
        body = payload.body
        if (
            payload.content_type is JSON
            and self.keep_alive
            and not (payload.headers or self.old_http or self.head_only)
        ):
            return b"%b%d\r\n\r\n%b" % (self._carrier.service.ok_json, len(body), body)
        length = b"content-length: %d\r\n" % len(body)
        head = (
            self._head(payload) + length + connection_field(self, old_http=self.old_http) + b"\r\n"
        )
        return head if self.head_only else head + body

    def _stream(self, response: Response) -> None:
        """Write one part: chunked, or up to the end of the connection for HTTP/1.0."""
        payload = self._encode(response)
        if not isinstance(payload, Payload):
            self.fail(payload)
            return
        start = b"" if self._begun else self._start(payload)
        self._carrier.send(self, start + self._chunk(payload.body), last=False)

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
        return data if self.old_http or not data else b"%x\r\n%b\r\n" % (len(data), data)

    def _head(self, payload: Payload) -> bytes:
        lines = b"".join(b"%b: %b\r\n" % header for header in payload.headers)
        return b"HTTP/1.1 200 OK\r\n%bcontent-type: %b\r\n%b" % (
            self._carrier.service.date,
            payload.content_type,
            lines,
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
