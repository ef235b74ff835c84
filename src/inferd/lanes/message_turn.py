"""One message of a WebSocket connection, from its last byte to the end of its answer: the lane's
Reply."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from inferd.calls import Call, InferRequest, InferResponse, Response
from inferd.engine.home import Done
from inferd.errors import InferdError, RunFailed
from inferd.lanes.exchange import own
from inferd.lanes.routing import Match
from inferd.lanes.turn import Carrier, Turn
from inferd.protocols.base import JSON, Message, Payload

TEXT, BINARY = 0x81, 0x82  # RFC 6455, section 5.2: a message's only frame, and its opcode


class MessageTurn(Turn):
    """See ``calls.Reply`` for what its users may rely on."""

    __slots__ = ("_carrier", "_encoding", "_end", "_parts", "_waiting", "call", "match", "message")

    def __init__(self, carrier: Carrier, match: Match, message: Message) -> None:
        super().__init__(keep_alive=True)
        self._carrier, self.match, self.message = carrier, match, message
        self.call: Call
        self._parts, self._encoding = 0, False
        self._waiting: deque[Response] = deque()
        """Parts that came while the one before was encoded in a thread."""
        self._end: InferdError | bool = False
        """Whether all parts were given, or the error that came instead of more."""

    def ask(self) -> None:
        """Answer the message, at once where its call is quick."""
        try:
            call = self.match.operation.decode(self.message, self._carrier.service.lookup)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call)

    def ask_in_thread(self, body: bytes | bytearray) -> None:
        """Decode a large message where it keeps nobody waiting, and go on after that."""
        self.reads = True
        home = self._carrier.service.home
        home.submit(home.codecs, partial(self._read, body), self._decoded)

    @property
    def writable(self) -> bool:
        return not self._encoding and self._carrier.is_writable(self)

    def on_writable(self, callback: Callable[[], None]) -> None:
        if self.writable or self.cancelled:
            callback()
        else:
            self._carrier.when_writable(partial(self.on_writable, callback))

    def part(self, response: Response) -> None:
        if self.cancelled or self.done:
            return
        if self._encoding:
            self._waiting.append(response)
        elif (
            isinstance(response, InferResponse)
            and response.size() > self._carrier.service.limits.offload_values
        ):
            self._encode_in_thread(response)
        else:
            self._write(self._encode(response))

    def end(self) -> None:
        self._end = True
        self._finish()

    def fail(self, error: InferdError) -> None:
        self._end = error
        self._finish()

    def _run(self, call: Call) -> None:
        self.call = call
        call.principal = self.message.principal
        self.match.handler(call, self)

    def _read(self, body: bytes | bytearray) -> Call:
        """Runs in a thread; copying the body by join releases the interpreter lock, too."""
        self.message.body = b"".join((body,))
        return self.match.operation.decode(self.message, self._carrier.service.lookup)

    def _decoded(self, done: Done[Call]) -> None:
        self.reads = False
        self._carrier.pace()
        if self.cancelled:
            self._give_up()
            return
        try:
            call = done.result()
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call)

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
        if self.cancelled or self.done:
            self._waiting.clear()
        else:
            self._write(done.result())
        while self._waiting and not self._encoding:
            self.part(self._waiting.popleft())
        if self._end:
            self._finish()
        self._carrier.call_back()

    def _write(self, part: Payload | InferdError) -> None:
        if isinstance(part, Payload):
            self._parts += 1
            self._send(part, last=False)
        else:
            self._waiting.clear()
            self.fail(part)
            self.cancelled = True  # so that its maker stops

    def _finish(self) -> None:
        """Say the end, after the last part."""
        if self._encoding or self._waiting or self.done:
            return
        error = self._end if isinstance(self._end, InferdError) else None
        if error is None and not self._parts and not self._streams():
            error = RunFailed("the model gave no answer")
        self.done = True
        if self.cancelled:
            self._give_up()
            return
        if error is not None:
            self._send(self.match.dialect.encode_error(error, self.message), last=True)
        elif self._streams():
            self._send(Payload(self.match.operation.encode_end(self.call)), last=True)
        else:
            self._carrier.send(self, b"", last=True)

    def _give_up(self) -> None:
        """Nobody waits for the answer."""
        self.done = True
        self._carrier.service.capacity.let_go(self)

    def _streams(self) -> bool:
        """Whether the client cannot know how many parts the answer has."""
        call = self.call
        return self.match.operation.streams or (
            isinstance(call, InferRequest) and call.handle.streams
        )

    def _send(self, payload: Payload, *, last: bool) -> None:
        is_text = payload.content_type.startswith(JSON) and not payload.tail
        *pieces, final = frame(TEXT if is_text else BINARY, payload.body, payload.tail)
        for piece in pieces:
            self._carrier.send(self, piece, last=False)
        self._carrier.send(self, final, last=last)


def frame(
    opcode: int, body: bytes, tail: Sequence[bytes | memoryview] = ()
) -> tuple[bytes | memoryview, ...]:
    """A message in one frame, unmasked as a server's must be (section 5.1), in pieces: what is
    large is not copied."""
    size = len(body) + sum([len(piece) for piece in tail])
    if size < 126:
        head = bytes((opcode, size))
    elif size < 1 << 16:
        head = bytes((opcode, 126)) + size.to_bytes(2)
    else:
        return (bytes((opcode, 127)) + size.to_bytes(8), body, *tail)
    return (head + body, *tail)
