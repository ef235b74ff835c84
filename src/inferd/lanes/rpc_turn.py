"""One request over gRPC, from its messages to its status: the lane's Reply. Its answer is one
message, or as many as the model makes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from inferd.calls import Call, InferResponse, Response
from inferd.engine.home import Done
from inferd.errors import InferdError, RequestTimeout, RunFailed, Unsupported
from inferd.lanes.exchange import own
from inferd.lanes.patience import SLOWEST
from inferd.lanes.rpc_call import BEGIN, END, Carrier, RpcCall
from inferd.lanes.rpc_routing import Head, Target
from inferd.lanes.service import TICK_SECONDS
from inferd.protocols.base import Message, Payload
from inferd.wire import grpc
from inferd.wire.h2.streams import Stream

MESSAGE_BYTES = 200  # that a message takes beside its own


class RpcTurn(RpcCall):
    """See ``calls.Reply`` for what its users may rely on."""

    def __init__(self, carrier: Carrier, stream: Stream, head: Head, target: Target) -> None:
        super().__init__(carrier, stream, head)
        self._target = target
        self._call: Call
        self._response: Response | None = None
        self._taken: list[Message] | None = None
        """Messages that are whole, while more may come."""
        self._came, self._waiting = 0, 0
        """Bytes that came, and those of messages that are whole."""
        self._began = self._heard = carrier.service.now

    def data(self, data: bytes, ended: bool) -> None:
        self._ended = ended
        if ended and self._messages is None:
            body = grpc.whole(data, self._carrier.service.at_once)
            if body is not None and self._target.method.takes == "one":  # mostly
                self._ask(self._message(body))
                return
        try:
            self._collect(data)
        except InferdError as error:
            self.fail(error)

    def tick(self, now: float) -> None:
        if self._ended or self.done or self._target.method.takes != "one":
            return
        limit = self._carrier.service.limits.read_timeout_seconds + TICK_SECONDS
        if now - self._heard > limit or now - self._began > limit + self._came / SLOWEST:
            self.fail(RequestTimeout("the request came too slowly"))

    def call_back(self) -> None:
        self._began = self._heard = self._carrier.service.now  # the client may not have been read
        super().call_back()

    def part(self, response: Response) -> None:
        if self.cancelled or self.done:
            return
        if self._target.method.streams:
            try:
                self._send(self._encode(response))
            except Exception as error:  # noqa: BLE001 - the transport boundary
                self.fail(own(error))
                self.cancelled = True  # so that its maker stops
        elif self._response is None:
            self._response = response
        else:
            self.fail(Unsupported("this model answers in parts", cure="Ask a streaming method."))
            self.cancelled = True

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
            self._work(partial(self._encode, response), self._answer_fully)
        else:
            try:
                payload = self._encode(response)
            except Exception as error:  # noqa: BLE001 - the transport boundary
                self.fail(own(error))
            else:
                self._answer(payload)

    def fail(self, error: InferdError) -> None:
        if self.done or self.cancelled:
            self._give_up()
        else:
            self._awaits = False
            self._fail(error)

    def _give_up(self) -> None:
        """Nobody waits for the answer, which is not made any more."""
        self.done = True
        self._carrier.service.capacity.let_go(self)

    def _collect(self, data: bytes) -> None:
        """Keep the messages until all are there. Raises RequestError."""
        self._heard = self._carrier.service.now
        self._came += len(data)
        if self._taken is None:
            self._taken = []
        taken, new = self._taken, self._take(data)
        taken += new
        self._waiting += sum([len(message.body) + MESSAGE_BYTES for message in new])
        self._hold(self._waiting)
        service, method = self._carrier.service, self._target.method
        if method.takes == "one" and len(taken) > 1:
            raise _not_one("more than one")
        if not self._ended:
            self._carrier.h2.consumed(self.stream, len(data))
            return
        self._taken = None
        self._end_messages()
        if method.takes == "all":
            message = taken[-1] if taken else self._message(b"")
            self._work(partial(self._decode_all, taken), partial(self._run, message=message))
            return
        if not taken:
            raise _not_one("none")
        message = taken[0]
        if message.packed or len(message.body) > service.limits.offload_bytes:
            self._work(partial(self._decode, message), partial(self._run_large, message=message))
        else:
            self._let_held()
            self._ask(message)

    def _ask(self, message: Message) -> None:
        """Have the request in *message* answered, at once where its call is quick."""
        try:
            call = self._decode(message)
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            self._run(call, message)

    def _decode(self, message: Message) -> Call:
        lookup = self._carrier.service.lookup
        return self._target.method.decode(self._unpack(message), lookup)

    def _decode_all(self, messages: Sequence[Message]) -> Call:
        lookup = self._carrier.service.lookup
        return self._target.method.decode_all([*map(self._unpack, messages)], lookup)

    def _run_large(self, call: Call, message: Message) -> None:
        """*message* may have been packed, and is larger now."""
        try:
            self._carrier.service.capacity.hold(self, len(message.body))
        except InferdError as error:
            self.fail(error)
        else:
            self._run(call, message)

    def _run(self, call: Call, message: Message) -> None:
        self._call = call
        self._adopt(call, message)
        self._target.handler(call, self)
        if not self.done:
            self._awaits = self._kept = True
            self._carrier.service.capacity.keep(self, len(message.body))

    def _encode(self, response: Response) -> Payload:
        return self._target.method.encode(self._call, response)

    def _answer(self, payload: Payload) -> None:
        """Send the only message, and the end."""
        head = self._head
        if head.plain and not (payload.headers or payload.trailers or payload.tail):  # mostly
            self.done, carrier = True, self._carrier
            if self._kept:
                self._awaits = False
                self._let_go()
            carrier.h2.reply(self.stream, BEGIN, grpc.framed(payload.body), END)
            carrier.flush(len(payload.body))
            return
        self._answer_fully(payload)

    def _answer_fully(self, payload: Payload) -> None:
        """The same, whatever is to be said beside, and without a copy of what is large."""
        self._awaits = False
        self._send(payload)
        self._conclude()

    def _end_stream(self) -> None:
        method = self._target.method
        if not method.streams:
            self.fail(RunFailed("the model gave no answer"))
            return
        self._awaits = False
        last = method.encode_end(self._call)
        if last:
            self._send(Payload(last))
        self._conclude()

    def _work(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do *work* in a thread, where it keeps nobody waiting, and *then* go on."""
        self._awaits, home = True, self._carrier.service.home
        home.submit(home.codecs, work, partial(self._worked, then))

    def _worked(self, then: Callable[[Any], None], done: Done[Any]) -> None:
        self._let_held()
        if self.cancelled or self.done:
            self._give_up()
            return
        try:
            value = done.result()
        except Exception as error:  # noqa: BLE001 - the transport boundary
            self.fail(own(error))
        else:
            then(value)


def _not_one(got: str) -> Unsupported:
    return Unsupported("this method takes one message", got=got, expected="exactly one")
