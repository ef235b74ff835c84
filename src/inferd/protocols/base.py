"""The contract of a dialect: a protocol's URLs and documents, without any IO.

A plug-in of this kind is one file or package in this folder (or a third party's entry point in
``inferd.protocols``) whose ``plugin`` is a Dialect. A dialect turns bytes into calls and responses
into bytes. It knows no socket and no status code: those are the lanes'. It is made once, shared by
all connections, and holds no state of a request.
"""

import re
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

import msgspec

from inferd.calls import Call, Handle, Lookup
from inferd.errors import Code, InferdError, MalformedRequest

T = TypeVar("T")

JSON = b"application/json"


class Message(msgspec.Struct):
    """What a lane read: one request's body, and what its head said."""

    body: bytes
    """As the client meant it: what its content coding packed is unpacked. In truth a bytearray
    where it is large, to which nobody writes, so that arrays may be views of it."""
    path: Mapping[str, str]
    """The variables of the route's path, percent-decoded once."""
    headers: Mapping[bytes, bytes] = {}
    """Names in lower case; of one that was sent twice, the last."""
    query: bytes = b""
    principal: str = ""
    packed: bool = False
    """Whether the body came packed, as a message of gRPC may or may not within one stream."""


class Payload(msgspec.Struct):
    """What a lane writes: a body, its content type, and further headers."""

    body: bytes
    content_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()
    tail: Sequence[bytes | memoryview] = ()
    """What follows the body: memory of large tensors, as bytes (format ``B``), which is not copied
    before it is written and must not be changed after."""
    trailers: Sequence[tuple[bytes, bytes]] = ()
    """What a gRPC answer says after its last message, beside its status."""

    @property
    def size(self) -> int:
        """The bytes of the body and what follows it."""
        return len(self.body) + sum([len(piece) for piece in self.tail])


class Documentation(msgspec.Struct, frozen=True):
    """An operation as the OpenAPI page shows it: JSON schemas, and a request that works."""

    summary: str
    response: Mapping[str, Any]
    request: Mapping[str, Any] | None = None
    example: Any = None
    optional: bool = False
    """Whether the request's body may be left out."""


class Operation(ABC):
    """One thing that a dialect can be asked: how its requests are read and its answers written.

    ``decode`` and ``encode`` may be called from the loop thread, or from a worker thread where a
    document is large; they must not block on anything but their own computing.
    """

    call: ClassVar[type[Call]]
    """What ``decode`` returns; the lane finds the handler by it."""

    streams: ClassVar[bool] = False
    """Whether the answer is written part by part, as it comes."""

    content_type: ClassVar[bytes] = JSON
    """Of a stream that has no parts; otherwise the first part's payload tells it."""

    @abstractmethod
    def decode(self, message: Message, lookup: Lookup) -> Call:
        """Read a request. Raises RequestError or Refused; then nothing else has happened."""

    @abstractmethod
    def encode(self, call: Call, response: Any) -> Payload:
        """Write the only part of an answer, or, where the operation streams, one part of it.

        An InferdError raised here is the answer: this is how a dialect says that something is not
        ready.
        """

    def document(self, handle: Handle | None) -> Documentation | None:
        """What to tell people about this operation on the model of *handle*; None: nothing.

        Where the route names no model, *handle* is the default model's, if there is one.
        """
        return None

    def encode_end(self, call: Call) -> bytes:
        """What closes a stream after its last part."""
        return b""

    def encode_failure(self, call: Call, error: InferdError) -> bytes | None:
        """What tells *error* in a stream that has begun, and so ends it.

        None: nothing can, and the stream breaks off.
        """
        return None


Takes: TypeAlias = Literal["one", "each", "all"]
"""What a gRPC method's messages are: one request; each a request; all together one request."""


class Method(Operation):
    """One method of a gRPC service. A message is a request's body, and its metadata the headers.

    Where it takes ``each``, the requests of a stream are answered in their order.
    """

    takes: ClassVar[Takes] = "one"

    def decode_all(self, messages: Sequence[Message], lookup: Lookup) -> Call:
        """Read a request of any number of messages; asked where it takes ``all``."""
        raise NotImplementedError

    def encode_in_stream(
        self, call: Call | None, message: Message, error: InferdError
    ) -> bytes | None:
        """A message that tells *error* to who sent *message*; then the stream goes on.

        *call* is None where the message could not be read. None: the stream ends with the error.
        """
        return None


class Rpc:
    """A protocol over gRPC: its methods, and its way of telling errors."""

    methods: Mapping[str, Method]
    """By path: ``/package.Service/Method``."""

    def prepare(self) -> None:
        """Load what answering needs, before anybody asks. It may block; called from any thread."""

    def status(self, error: InferdError) -> tuple[Code, str]:
        """What kind of failure *error* is to this protocol's clients, and its text."""
        return error.code, error.text


WEBSOCKET = "WEBSOCKET"
"""The method of a route that is asked by messages over a WebSocket: each is one request's body, and
each part of an answer is one message."""


class Route(msgspec.Struct, frozen=True):
    """Where an operation is found. A path's ``{name}`` stands for one segment."""

    method: str
    path: str
    operation: Operation


class Dialect(ABC):
    """A protocol: its routes, and its way of telling errors."""

    name: ClassVar[str]

    precedence: ClassVar[int] = 100
    """Where two dialects of a port claim one URL, the lower number has it; ``docs/protocols.md``
    has the table."""

    separators: ClassVar[str] = "/"
    """Characters that end a variable of a path, where they are not percent-encoded."""

    doors: ClassVar[tuple[str, ...]] = ()
    """The ports of other servers on which it answers, beside the main one: names of settings, such
    as ``triton``."""

    routes: tuple[Route, ...]

    rpc: Rpc | None = None
    """The same protocol over gRPC, where it has that form."""

    @abstractmethod
    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        """Write an error; *message* is None when the request could not be read."""

    def code(self, error: InferdError, message: Message | None) -> Code:
        """What kind of failure *error* is to this protocol's clients."""
        return error.code

    def at(self, door: str) -> "Dialect":
        """The dialect as it is spoken at *door*, one of ``doors``.

        There it is as that server speaks it, where the main port knows better.
        """
        return self


class PerHandle(Generic[T]):
    """What a dialect makes once for each handle, and forgets with it. Any thread may ask."""

    def __init__(self, make: Callable[[Handle], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[weakref.ref[Handle], T]] = {}

    def __call__(self, handle: Handle) -> T:
        """What was made for *handle*."""
        # By its number, which takes half as long as a WeakKeyDictionary. No other handle can have
        # it: the entry goes before the handle's memory does.
        found = self._made.get(id(handle))
        if found is not None:
            return found[1]
        number, made = id(handle), self._make(handle)
        self._made[number] = weakref.ref(handle, lambda _: self._made.pop(number, None)), made
        return made


def check_dialect(dialect: Dialect, lookup: Lookup, bodies: Sequence[bytes]) -> None:
    """Hold *dialect* against this contract; AssertionError where it breaks it.

    Every operation must turn each of *bodies*, however wrong, into its call or one of our errors,
    which ``encode_error`` must then be able to write.
    """
    for form in (dialect, *(dialect.at(door) for door in dialect.doors)):
        _check_form(form, lookup, bodies)


def _check_form(dialect: Dialect, lookup: Lookup, bodies: Sequence[bytes]) -> None:
    assert dialect.routes, "a dialect without routes"
    for route in dialect.routes:
        assert route.path.startswith("/"), route.path
        path = dict.fromkeys(variables(route.path), "nobody")
        for body in bodies:
            message = Message(body, path)
            try:
                call = route.operation.decode(message, lookup)
            except InferdError as error:
                told, code = dialect.encode_error(error, message), dialect.code(error, message)
            else:
                told, code = Payload(b""), Code.INTERNAL
                assert isinstance(call, route.operation.call), f"{route.path} decodes another call"
            assert isinstance(told, Payload)
            assert isinstance(code, Code)
    assert isinstance(dialect.encode_error(MalformedRequest("no request at all"), None), Payload)
    if dialect.rpc is not None:
        _check_rpc(dialect.rpc, lookup, bodies)


def _check_rpc(rpc: Rpc, lookup: Lookup, bodies: Sequence[bytes]) -> None:
    for path, method in rpc.methods.items():
        assert _METHOD.fullmatch(path), path
        for body in bodies:
            message = Message(body, {})
            try:
                if method.takes == "all":
                    call = method.decode_all([message, message], lookup)
                else:
                    call = method.decode(message, lookup)
            except InferdError as error:
                code, text = rpc.status(error)
                assert isinstance(code, Code), path
                assert isinstance(text, str), path
                told = method.encode_in_stream(None, message, error)
                assert told is None or method.takes == "each", path
            else:
                assert isinstance(call, method.call), f"{path} decodes another call"


def variables(path: str) -> tuple[str, ...]:
    """The names in a route's path."""
    return tuple(_VARIABLE.findall(path))


_VARIABLE = re.compile(r"{(\w+)}")
_METHOD = re.compile(r"/[\w.]+/\w+")
