"""What every call of a gRPC method has in common: its messages in, its time, its room to write and
its end (gRPC's PROTOCOL-HTTP2.md)."""

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import ceil
from typing import Protocol

from inferd.calls import Call, InferRequest
from inferd.errors import DeadlineExceeded, InferdError
from inferd.lanes.grpc_statuses import STATUS
from inferd.lanes.request_ids import REQUEST_ID, request_id
from inferd.lanes.rpc_routing import Head
from inferd.lanes.service import Service
from inferd.protocols.base import Message, Payload
from inferd.wire import codings, grpc
from inferd.wire.h2.connection import Connection
from inferd.wire.h2.headers import encode_fields
from inferd.wire.h2.streams import Stream

STATUS_OK = (b":status", b"200")
TYPE = (b"content-type", b"application/grpc")
BEGIN = encode_fields([STATUS_OK, TYPE])
OK = (b"grpc-status", b"0")
END = encode_fields([OK])

PUSHBACK = b"grpc-retry-pushback-ms"
"""When a client that retries by itself is to try again (gRPC's proposal A6)."""

LARGE = 1 << 17  # bytes of a message that are sooner sent apart from its prefix than copied
PACKED_FROM = 1024  # bytes of a message that are worth packing


class Carrier(Protocol):
    """The connection, as its calls need it."""

    service: Service
    h2: Connection
    writable: bool
    """Whether the client takes what is written."""

    def flush(self, size: int = 0) -> None:
        """Write what was given to ``h2``, *size* bytes of data: now, or when what is being read has
        been answered, or brought much."""

    def hold(self, size: int) -> None:
        """Count so many bytes more, or fewer, of messages that no call is made of yet.

        Raises PayloadTooLarge where they are too many.
        """


class RpcCall(ABC):
    """The user of one stream of the connection."""

    _awaits = False
    """Whether a thread or the model has what was asked, and owes an end: until then it counts,
    though the client may have gone."""
    _trailers: Sequence[tuple[bytes, bytes]] = ()
    """What a message wants to be said at the end, beside the status."""

    def __init__(self, carrier: Carrier, stream: Stream, head: Head) -> None:
        self._carrier, self.stream, self._head = carrier, stream, head
        self.cancelled = self.done = False
        self._begun = self._ended = False
        """Whether the head of the answer was sent, and whether the client sent all."""
        self._full = False
        """Whether what was sent waits for the client."""
        self._messages: grpc.Messages | None = None
        """Where they do not come in one piece."""
        self._held, self._kept = 0, False
        """Bytes of messages that no call is made of yet, and whether there is anything to let go
        at the end."""
        self._callbacks: list[Callable[[], None]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        if head.timeout is not None:
            loop = carrier.service.home.loop
            self._deadline, self._kept = loop.time() + head.timeout, True
            self._alarm = loop.call_later(head.timeout, self._expire)

    # -- the connection calls these --

    @abstractmethod
    def data(self, data: bytes, ended: bool) -> None:
        """A part of the messages came; *ended*: the last one, which may be empty."""

    def cut(self) -> None:
        """The client takes nothing more, and sends nothing more."""
        self.cancelled = True
        self._let_go()
        self.call_back()

    def room(self) -> None:
        """What waited for the client has left."""
        self._full = False
        self.call_back()

    @abstractmethod
    def tick(self, now: float) -> None:
        """A second has passed."""

    def call_back(self) -> None:
        """Tell those who wait for room, who may have some."""
        if self._callbacks and (self.writable or self.cancelled):
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()

    # -- whoever answers calls these --

    @property
    def writable(self) -> bool:
        return not self._full and self._carrier.writable

    def on_writable(self, callback: Callable[[], None]) -> None:
        if self.writable or self.cancelled:
            callback()
        else:
            self._callbacks.append(callback)

    # -- and its kinds these --

    def _take(self, data: bytes, count: int = sys.maxsize) -> list[Message]:
        """The messages that are whole now, no more than *count*. Raises RequestError."""
        messages = self._messages
        if messages is None:
            most = self._carrier.service.limits.body_bytes
            messages = self._messages = grpc.Messages(most, self._head.coding)
        return [self._message(*piece) for piece in messages.cut(data, count)]

    def _end_messages(self) -> None:
        """There are no more. Raises MalformedRequest where one is cut off."""
        messages, self._messages = self._messages, None
        if messages is not None:
            messages.end()

    def _hold(self, waiting: int) -> None:
        """Keep *waiting* bytes of whole messages, and what came of the next one. Raises
        PayloadTooLarge where all calls of the connection keep too many, and Overloaded where all
        clients do."""
        held = waiting + (self._messages.held if self._messages else 0)
        self._kept = True
        self._count(held)
        more, self._held = held - self._held, held
        self._carrier.hold(more)

    def _count(self, held: int) -> None:
        """Have *held* bytes count for the worker's capacity. Raises Overloaded."""
        self._carrier.service.capacity.hold(self, held)

    def _let_held(self) -> None:
        """A call is made of what was kept, which counts for its connection no more."""
        if self._held:
            less, self._held = -self._held, 0
            self._carrier.hold(less)

    def _message(self, body: bytes, packed: bool = False) -> Message:
        metadata = self._head.metadata
        return Message(body, {}, metadata, b"", self._carrier.service.door(metadata), packed)

    def _unpack(self, message: Message) -> Message:
        """*message* as it was meant. It can take long. Raises RequestError."""
        if message.packed:
            most = self._carrier.service.limits.body_bytes
            message.body = codings.unpack(message.body, self._head.coding, most)
        return message

    def _adopt(self, call: Call, message: Message) -> None:
        """Tell *call* what its head says beside the message."""
        call.principal = message.principal
        if REQUEST_ID in message.headers:
            call.request_id = request_id(message.headers).decode("ascii")
        if self._deadline and isinstance(call, InferRequest):
            call.deadline = min(call.deadline, self._deadline)

    def _send(self, payload: Payload) -> None:
        """Send one message, after the head of the answer."""
        self._begin(payload.headers)
        if payload.trailers:
            self._trailers = payload.trailers
        send, size = self._carrier.h2.send_data, 0
        for piece in self._pieces(payload):
            if not send(self.stream, piece):
                self._full = True
            size += len(piece)
        self._carrier.flush(size)

    def _begin(self, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Send the head of the answer, if that was not done."""
        if not self._begun:
            self._begun = True
            self._carrier.h2.send_headers(self.stream, self._beginning(headers))

    def _pieces(self, payload: Payload) -> Sequence[bytes | memoryview]:
        """The message of *payload* as it is sent: what is large is not copied."""
        body, tail = payload.body, payload.tail
        if not tail and len(body) < LARGE:
            return (self._framed(body),)
        if self._head.packs:
            return (self._framed(b"".join((body, *tail))),)
        return (grpc.prefix(payload.size), body, *tail)

    def _framed(self, body: bytes) -> bytes:
        if self._head.packs and len(body) >= PACKED_FROM:
            return grpc.packed(body, self._head.coding)
        return grpc.framed(body)

    def _beginning(self, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        head = self._head
        if head.plain and not headers:
            return BEGIN
        fields = [STATUS_OK, TYPE, *headers]
        if head.packs:
            fields.append((b"grpc-encoding", head.coding))
        if told := request_id(head.metadata):
            fields.append((REQUEST_ID, told))
        return encode_fields(fields)

    def _conclude(self) -> None:
        """End the stream well, after its last message."""
        self._begin()
        self._finish(encode_fields([OK, *self._trailers]) if self._trailers else END)

    def _finish(self, trailers: bytes) -> None:
        """End the stream."""
        self._let_go()
        self.done = True
        self._carrier.h2.send_trailers(self.stream, trailers)
        self._carrier.flush()

    def _fail(self, error: InferdError) -> None:
        """End the stream with *error*."""
        code, text = self._head.rpc.status(error)
        fields = [(b"grpc-status", b"%d" % STATUS[code]), (b"grpc-message", grpc.percent(text))]
        if not self._begun:
            fields[:0] = STATUS_OK, TYPE
        if error.retry_after:
            fields.append((PUSHBACK, b"%d" % ceil(1000 * error.retry_after)))
        if isinstance(error, grpc.UnspokenCoding):
            fields.append((b"grpc-accept-encoding", grpc.CODINGS))
        self._finish(encode_fields(fields))

    def _expire(self) -> None:
        if not self.done:
            self._fail(DeadlineExceeded("the time that the caller gave has passed"))
        self.cancelled = True
        self.call_back()

    def _let_go(self) -> None:
        """Keep nothing any more."""
        self._kept, self._messages = False, None
        if self._alarm:
            self._alarm.cancel()
        self._let_held()
        if not self._awaits:
            self._carrier.service.capacity.let_go(self)


class Refusal(RpcCall):
    """A call that is answered by its head alone: with what is wrong in it."""

    def __init__(self, carrier: Carrier, stream: Stream, head: Head, error: InferdError) -> None:
        super().__init__(carrier, stream, head)
        self._fail(error)

    def data(self, data: bytes, ended: bool) -> None:
        """What was under way when the answer left."""

    def tick(self, now: float) -> None:
        """Its answer is sent."""
