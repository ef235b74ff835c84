"""A stream of requests over gRPC, each answered for itself and in their order (bidirectional
streaming)."""

from collections import deque
from collections.abc import Callable
from functools import partial

from inferd.calls import Call, InferResponse, Response
from inferd.engine.home import Done
from inferd.errors import InferdError
from inferd.lanes.exchange import own
from inferd.lanes.rpc_call import Carrier, RpcCall
from inferd.lanes.rpc_routing import Head, Target
from inferd.protocols.base import Message, Payload
from inferd.wire.h2.streams import Stream

AT_ONCE = 64  # requests of one stream under way, and asked in one turn of the loop


class RpcStream(RpcCall):
    """What the requests have in common: the stream that they come and are answered on."""

    def __init__(self, carrier: Carrier, stream: Stream, head: Head, target: Target) -> None:
        super().__init__(carrier, stream, head)
        self.service, self.method, self.handler = carrier.service, target.method, target.handler
        self._waiting: deque[Message] = deque()
        """Those that are not asked yet."""
        self._asked: deque[Asked] = deque()
        """Those that are not wholly answered, oldest first."""
        self._uncredited = 0
        """Bytes that came and for which the client got no room for others."""
        self._busy = False
        """Whether requests are being asked, or soon will."""
        self._decoding = 0
        """Bytes of messages that are being decoded in threads."""
        self._doomed = False
        """Whether a request has failed that ends the stream when its turn comes."""

    def data(self, data: bytes, ended: bool) -> None:
        self._ended = ended
        if self._doomed or self.cancelled:  # its end may wait for the client's window
            return
        self._uncredited += len(data)
        self._fetch(data)
        if not self._busy:
            self._go_on()

    def tick(self, now: float) -> None:
        """Whoever streams may take his time."""

    def cut(self) -> None:
        self._forget()
        super().cut()

    def decode(self, message: Message) -> Call:
        """What *message* asks. It can take long. Raises RequestError."""
        return self.method.decode(self._unpack(message), self.service.lookup)

    def adopt(self, call: Call, message: Message) -> None:
        """Tell *call* what the stream's head says."""
        self._adopt(call, message)

    def send(self, asked: "Asked", payload: Payload) -> None:
        """Send one message of *asked*, now or when it is its turn."""
        if self._asked and self._asked[0] is not asked:
            asked.held.append(payload)
        elif not (self.cancelled or self.done):
            self._send(payload)

    def finished(self) -> None:
        """A request is answered: let those go whose turn has come."""
        asked = self._asked
        while asked and asked[0].done:
            failure = asked.popleft().failure
            if failure:
                self.break_off(failure)
            elif asked:
                for payload in asked[0].held:
                    self.send(asked[0], payload)
                asked[0].held.clear()
        self.call_back()

    def call_back(self) -> None:
        super().call_back()
        if not self._busy:
            self._go_on()

    def is_first(self, asked: "Asked") -> bool:
        """Whether it is the turn of *asked*."""
        return not self._asked or self._asked[0] is asked

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call *callback* once something has changed for who waits for room."""
        self._callbacks.append(callback)

    def decode_in_thread(self, message: Message, then: Callable[[Done[Call]], None]) -> None:
        """Decode a large message where it keeps nobody waiting. Few are decoded at once: each is
        held until then."""
        size, home = len(message.body), self.service.home
        self._decoding += size

        def decoded(done: Done[Call]) -> None:
            self._decoding -= size
            then(done)
            self.call_back()

        home.submit(home.codecs, partial(self.decode, message), decoded)

    def doom(self) -> None:
        """Ask nothing more: a request that was asked ends the stream."""
        self._doomed = True
        self._waiting.clear()

    def break_off(self, error: InferdError) -> None:
        """End the stream with *error*: nothing else on it is answered."""
        if not (self.cancelled or self.done):
            self._fail(error)
        self._forget()

    def _expire(self) -> None:
        self._forget()
        super()._expire()

    def _forget(self) -> None:
        self.cancelled = True
        self._waiting.clear()
        for asked in self._asked:
            asked.cancelled = True
        self.call_back()

    def _fetch(self, data: bytes = b"") -> None:
        """Have the next messages waiting, no more than are asked at once: each takes more room than
        the few bytes that it may be made of."""
        try:
            self._waiting += self._take(data, AT_ONCE - len(self._waiting))
            self._hold(sum([len(message.body) for message in self._waiting]))
            if self._ended and not self._waiting:
                self._end_messages()
        except InferdError as error:
            self.break_off(error)

    def _count(self, held: int) -> None:
        # Whole messages are few, and count when they are asked: each that there is no room for is
        # answered so, and the stream goes on.
        super()._count(self._messages.held if self._messages else 0)

    def _has_room(self) -> bool:
        most = self.service.limits.body_bytes
        return len(self._asked) < AT_ONCE and self.writable and self._decoding < most

    def _go_on(self) -> None:
        """Ask what waits, as far as there is room; end where all is answered."""
        self._busy = True
        for _ in range(AT_ONCE):
            if not self._waiting or not self._has_room():
                break
            asked = Asked(self, self._waiting.popleft())
            self._asked.append(asked)
            asked.ask()
            if not asked.done:
                asked.keep()
            if not self._waiting and self._messages and not self._doomed:
                self._fetch()
        self._busy = False
        if self.cancelled or self.done:
            return
        if self._waiting and self._has_room():
            self._busy = True
            self.service.home.loop.call_soon(self._go_on)  # others have their turn first
        elif not self._waiting and self._uncredited and not self._ended:
            size, self._uncredited = self._uncredited, 0
            self._hold(0)
            self._carrier.h2.consumed(self.stream, size)
        elif self._ended and not (self._waiting or self._asked):
            self._conclude()
        self._carrier.flush()


class Asked:
    """One request of a stream. See ``calls.Reply`` for what its users may rely on."""

    def __init__(self, owner: RpcStream, message: Message) -> None:
        self._owner, self._message = owner, message
        self._call: Call | None = None
        self.cancelled = self.done = self._kept = False
        self.held: list[Payload] = []
        """What was answered before its turn."""
        self.failure: InferdError | None = None
        """What ends the stream, now or when it is its turn."""
        self._later: deque[Response] = deque()
        self._encoding = False
        """Whether a part is being encoded in a thread; others wait behind it."""
        self._end: InferdError | bool = False
        """Whether all parts were given, or the error that came instead of more."""

    def ask(self) -> None:
        """Have the request answered, at once where its call is quick."""
        owner, message = self._owner, self._message
        if message.packed or len(message.body) > owner.service.at_once:
            self._ask_with_care()
            return
        try:
            call = owner.decode(message)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call)

    def _ask_with_care(self) -> None:
        """The request is large, or there is no room for it."""
        try:
            self._owner.service.capacity.expect(0)
        except InferdError as error:
            self.fail(error)
        else:
            self.keep()  # first: the thread may unpack it at once
            self._owner.decode_in_thread(self._message, self._decoded)

    def keep(self) -> None:
        """It is not answered at once."""
        if not self._kept:
            self._kept = True
            self._owner.service.capacity.keep(self, len(self._message.body))

    def _decoded(self, done: Done[Call]) -> None:
        if self.cancelled:
            self._finish()
            return
        try:
            call = done.result()
            # It may have been packed, and is larger now.
            self._owner.service.capacity.hold(self, len(self._message.body))
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call)

    def _run(self, call: Call) -> None:
        self._call = call
        self._owner.adopt(call, self._message)
        self._owner.handler(call, self)

    @property
    def writable(self) -> bool:
        owner = self._owner
        return not self._encoding and owner.writable and owner.is_first(self)

    def on_writable(self, callback: Callable[[], None]) -> None:
        if self.writable or self.cancelled:
            callback()
        else:
            self._owner.when_writable(partial(self.on_writable, callback))

    def part(self, response: Response) -> None:
        call, limits = self._call, self._owner.service.limits
        if self.cancelled or self.done or call is None:
            return
        if self._encoding:
            self._later.append(response)
        elif isinstance(response, InferResponse) and response.size() > limits.offload_values:
            self._encoding, home = True, self._owner.service.home
            home.submit(
                home.codecs, partial(self._owner.method.encode, call, response), self._encoded
            )
        else:
            try:
                payload = self._owner.method.encode(call, response)
            except Exception as error:  # noqa: BLE001 - the transport boundary
                self._drop(own(error))
            else:
                self._owner.send(self, payload)

    def end(self) -> None:
        self._end = True
        self._finish()

    def fail(self, error: InferdError) -> None:
        self._end = error
        self._finish()

    def _encoded(self, done: Done[Payload]) -> None:
        self._encoding = False
        if not (self.cancelled or self.done):
            try:
                self._owner.send(self, done.result())
            except Exception as error:  # noqa: BLE001 - the transport boundary
                self._drop(own(error))
        while self._later and not self._encoding:
            self.part(self._later.popleft())
        if self._end:
            self._finish()
        self._owner.call_back()

    def _drop(self, error: InferdError) -> None:
        """Tell *error* in place of what is missing."""
        self._later.clear()
        self.fail(error)
        self.cancelled = True  # so that its maker stops

    def _finish(self) -> None:
        """Say the end, after the last part."""
        if self._encoding or self._later or self.done:
            return
        owner, method = self._owner, self._owner.method
        if not self.cancelled:
            if isinstance(self._end, InferdError):
                told = method.encode_in_stream(self._call, self._message, self._end)
                if told is None:
                    self.failure = self._end
                    owner.doom()
                else:
                    owner.send(self, Payload(told))
            elif self._call is not None and (last := method.encode_end(self._call)):
                owner.send(self, Payload(last))
        self.done = True
        if self._kept:
            owner.service.capacity.let_go(self)
        owner.finished()
