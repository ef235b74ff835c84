"""gRPC's TestService (its src/proto/grpc/testing/test.proto) as a dialect, and a listener that
answers it on a real socket."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import msgspec

from inferd import config
from inferd.calls import Call, Lookup, Reply
from inferd.engine.home import Home
from inferd.errors import Code, InferdError, InvalidInput, MalformedRequest
from inferd.gate import door
from inferd.lanes.greeting import Greeting
from inferd.lanes.grpc_statuses import STATUS
from inferd.lanes.routing import Routes
from inferd.lanes.service import Limits, Service, limits
from inferd.protocols.base import Dialect, Message, Method, Payload, Rpc, Takes
from inferd.server.worker import new_loop
from tests.grpc.interop_messages import message

T = TypeVar("T")
SERVICE = "/grpc.testing.TestService/"
ECHO_INITIAL = b"x-grpc-test-echo-initial"
ECHO_TRAILING = b"x-grpc-test-echo-trailing-bin"
MOST = 1 << 20  # bytes of a message
MICROSECONDS = 1e-6
CODES = {number: code for code, number in reversed(STATUS.items())}
"""Of the statuses that inferd knows, by gRPC's numbers."""


class Part(msgspec.Struct, frozen=True):
    """One message to answer with."""

    size: int
    pause: float = 0.0
    """Seconds before it."""


class Script(Call, eq=False):
    """What a request wants to be answered: messages, and then a status."""

    parts: Sequence[Part] = ()
    status: tuple[int, str] = (0, "")
    echoes: Sequence[tuple[bytes, bytes]] = ()
    """Metadata of the request that the answer repeats."""


class Wanted(InferdError):
    """The failure that a request asked for."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


def parsed(name: str, body: bytes) -> Any:
    """The message that *body* is."""
    from google.protobuf.message import DecodeError

    try:
        return message(name).FromString(body)
    except DecodeError:
        raise MalformedRequest("this is no message of this method") from None


def single(request: Any) -> Script:
    """What a SimpleRequest wants."""
    return Script(parts=(Part(request.response_size),), status=_status(request))


def several(request: Any) -> Script:
    """What a StreamingOutputCallRequest wants."""
    parts = [Part(p.size, p.interval_us * MICROSECONDS) for p in request.response_parameters]
    return Script(parts=parts, status=_status(request))


def total(requests: Sequence[Any]) -> Script:
    """What many StreamingInputCallRequests want: their size as a number."""
    return Script(parts=(Part(sum(len(each.payload.body) for each in requests)),))


def joined(requests: Sequence[Any]) -> Script:
    """What StreamingOutputCallRequests want together."""
    scripts = [several(each) for each in requests]
    kept: list[Part] = []
    for script in scripts:
        kept += script.parts
        if script.status[0]:
            return Script(parts=kept, status=script.status)
    return Script(parts=kept)


def answer(name: str, size: int) -> bytes:
    """The message *name* with a body of *size* zeros."""
    if name == "Empty":
        return b""
    if name == "StreamingInputCallResponse":
        fields: dict[str, Any] = {"aggregated_payload_size": size}
    else:
        fields = {"payload": {"body": bytes(max(0, size))}}
    made: bytes = message(name)(**fields).SerializeToString()
    return made


def _status(request: Any) -> tuple[int, str]:
    return request.response_status.code, request.response_status.message


class Played(Method):
    """A method that answers as its request says."""

    call = Script

    def __init__(self, name: str) -> None:
        kind = METHODS[name]
        self._kind = kind
        self.takes, self.streams = kind.takes, kind.streams  # type: ignore[misc]  # one class for all

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return self._echoing(self._kind.script(self._read(message)), message)

    def decode_all(self, messages: Sequence[Message], lookup: Lookup) -> Call:
        script = self._kind.script([self._read(each) for each in messages])
        return self._echoing(script, messages[0]) if messages else script

    def encode(self, call: Call, response: Any) -> Payload:
        echoes = call.echoes  # type: ignore[attr-defined]  # a Script
        return Payload(
            answer(self._kind.gives, response),
            headers=[each for each in echoes if each[0] == ECHO_INITIAL],
            trailers=[each for each in echoes if each[0] == ECHO_TRAILING],
        )

    def _read(self, message: Message) -> Any:
        """The request in *message*, which must be packed where it says so."""
        request = parsed(self._kind.request, message.body)
        if self._kind.request in PACKABLE and request.HasField("expect_compressed"):
            wanted = request.expect_compressed.value
            if wanted != message.packed:
                raise InvalidInput("the message was expected in another form", got=str(not wanted))
        return request

    def _echoing(self, script: Script, message: Message) -> Script:
        names = ECHO_INITIAL, ECHO_TRAILING
        script.echoes = [(n, message.headers[n]) for n in names if n in message.headers]
        return script


class Kind(NamedTuple):
    """A method of the service."""

    request: str
    gives: str
    script: Callable[[Any], Script]
    takes: Takes = "one"
    streams: bool = False


PACKABLE = ("SimpleRequest", "StreamingInputCallRequest")
"""Messages that can say whether they are packed."""
_IN, _OUT = "StreamingOutputCallRequest", "StreamingOutputCallResponse"
METHODS = {
    "EmptyCall": Kind("Empty", "Empty", lambda _: Script(parts=(Part(0),))),
    "UnaryCall": Kind("SimpleRequest", "SimpleResponse", single),
    "StreamingOutputCall": Kind(_IN, _OUT, several, streams=True),
    "StreamingInputCall": Kind(
        "StreamingInputCallRequest", "StreamingInputCallResponse", total, "all"
    ),
    "FullDuplexCall": Kind(_IN, _OUT, several, "each", streams=True),
    "HalfDuplexCall": Kind(_IN, _OUT, joined, "all", streams=True),
}


class InteropRpc(Rpc):
    """The methods, and the statuses that were asked for."""

    methods: Mapping[str, Method] = {SERVICE + name: Played(name) for name in METHODS}

    def status(self, error: InferdError) -> tuple[Code, str]:
        code = CODES[error.number] if isinstance(error, Wanted) else error.code
        return code, error.text


class Interop(Dialect):
    """gRPC's TestService; it has no other form."""

    name = "interop"
    routes = ()
    rpc = InteropRpc()

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(error.text.encode(), b"text/plain")


class Player:
    """Answers one call."""

    def __init__(self, script: Script, reply: Reply, loop: asyncio.AbstractEventLoop) -> None:
        self._parts, self._reply, self._loop = deque(script.parts), reply, loop
        self._status = script.status

    def go_on(self) -> None:
        """Send what is due and has room."""
        reply, parts = self._reply, self._parts
        while parts and not reply.cancelled:
            if parts[0].pause:
                part = parts.popleft()
                parts.appendleft(Part(part.size))
                self._loop.call_later(part.pause, self.go_on)
                return
            if not reply.writable:
                reply.on_writable(self.go_on)
                return
            part_of: Any = parts.popleft().size
            reply.part(part_of)
        if self._status[0]:
            reply.fail(Wanted(*self._status))
        else:
            reply.end()


class InteropServer:
    """The listener, in a thread with a loop of its own."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        """Of all calls, oldest first."""
        self.port = 0
        self.service: Service
        self._stop: asyncio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def address(self) -> str:
        """As grpcio writes it."""
        return f"127.0.0.1:{self.port}"

    def ask(self, code: Callable[[], T]) -> T:
        """What *code* returns on the loop's thread."""
        told: Future[T] = Future()

        def run() -> None:
            try:
                told.set_result(code())
            except BaseException as error:  # noqa: BLE001 - raised again in the test
                told.set_exception(error)

        self.service.home.post(run)
        return told.result(10)

    def streams(self) -> int:
        """Requests under way on all connections."""
        every: Any = self.service.connections
        return self.ask(lambda: sum(len(each.h2.streams) for each in every if hasattr(each, "h2")))

    def close(self) -> None:
        """Stop, and cut what is left."""
        self.ask(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        home = Home(4)
        home.attach(loop)
        lookup: Any = None
        handlers: Any = {Script: self._play}
        routes = Routes([Interop()], handlers)
        self.service = service = Service(routes, lookup, home, door.off, LIMITS)
        service.start()
        self._stop = asyncio.Event()
        server = await loop.create_server(lambda: Greeting(service), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(service.connections):
            connection.abort()
        service.stop()
        home.close()

    def _play(self, script: Script, reply: Reply) -> None:
        self.replies.append(reply)
        Player(script, reply, self.service.home.loop).go_on()


LIMITS: Limits = limits(config.resolve({"max_body_bytes": MOST}, {}, {}))
