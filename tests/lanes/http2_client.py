"""Clients of HTTP/2: one that the h2 package keeps to the rules, and one of literal bytes."""

from collections.abc import Iterable
from typing import Any, Self

import h2.config
import h2.connection
import h2.events

from fuzz.http2 import PING, Answer, Frame, Reader, frame, grpc_fields, messages
from tests.lanes.client import Client

Fields = Iterable[tuple[bytes, bytes]]


class Speaker:
    """One connection, by the rules; h2 takes nothing more after a GOAWAY. Where it does not
    *credit*, its windows stay as they are."""

    def __init__(self, url: str, *, credit: bool = True, **options: Any) -> None:
        self.plain = Client(url, **options)
        config = h2.config.H2Configuration(header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self._credit = credit
        self.answers: dict[int, Answer] = {}
        self.pings = 0
        """That were acknowledged."""
        self.asked_back = 0
        """Pings of the server's."""
        self.informed: list[int] = []
        """The statuses that told of answers to come."""
        self.goaway: Any = None
        """The code with which the server leaves."""
        self.flush()

    def ask(self, fields: Fields, data: bytes | None = None, *, end: bool = True) -> int:
        """Begin a request; its stream."""
        stream: int = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, list(fields), end_stream=data is None and end)
        self.flush()
        if data is not None:
            self.say(stream, data, end=end)
        return stream

    def say(self, stream: int, data: bytes = b"", *, end: bool = False) -> Self:
        """Send data, as the server's windows allow."""
        at = 0
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            piece = data[at : at + room]
            at += len(piece)
            last = at == len(data)
            if piece or last:
                self.h2.send_data(stream, piece, end_stream=end and last)
                self.flush()
            if last:
                return self
            if not room:
                self.pump()

    def call(self, path: str, *sent: bytes, end: bool = True, more: Fields = ()) -> int:
        """Begin a call of gRPC with messages that have their prefix."""
        return self.ask(grpc_fields(path, *more), b"".join(sent), end=end)

    def answer(self, stream: int) -> Answer:
        """All that comes on *stream*."""
        answer = self.answers[stream]
        while not answer.is_over:
            self.pump()
        return answer

    def message(self, stream: int, at: int) -> bytes:
        """The message number *at* of an answer that may go on."""
        answer = self.answers[stream]
        while True:
            data = bytes(answer.body)
            whole, found = 0, []
            while len(data) - whole >= 5:
                size = 5 + int.from_bytes(data[whole + 1 : whole + 5])
                if len(data) < whole + size:
                    break
                found.append(data[whole + 5 : whole + size])
                whole += size
            if len(found) > at:
                return found[at]
            assert not answer.is_over, (answer.headers, answer.trailers, answer.reset)
            self.pump()

    def round_trip(self) -> Self:
        """Wait until the server has taken all that was sent."""
        seen = self.pings
        self.h2.ping(b"a test's")
        self.flush()
        while self.pings == seen:
            self.pump()
        return self

    def is_closed(self) -> bool:
        """Whether the server closes; waits for it."""
        try:
            while True:
                self.pump()
        except EOFError:
            return True

    def pump(self) -> None:
        """Take what comes next."""
        if self.plain.ended:
            raise EOFError("the connection ended")
        self.plain._receive()
        data = bytes(self.plain._data)
        self.plain._data.clear()
        if data:
            for event in self.h2.receive_data(data):
                self._hear(event)
        self.flush()

    def flush(self) -> None:
        """Send what the rules ask for."""
        data = self.h2.data_to_send()
        if data and not self.plain.ended:
            self.plain.send(data)

    def close(self) -> None:
        """Close at once."""
        self.plain.close()

    def _hear(self, event: Any) -> None:
        stream = getattr(event, "stream_id", None)
        if stream in self.answers:
            self._hear_of(self.answers[stream], event)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif isinstance(event, h2.events.PingReceived):
            self.asked_back += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def _hear_of(self, answer: Answer, event: Any) -> None:
        if isinstance(event, h2.events.InformationalResponseReceived):
            self.informed.append(int(dict(event.headers)[b":status"]))
        elif isinstance(event, h2.events.ResponseReceived):
            answer.fields = list(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self._credit and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset) and not answer.ended:
            answer.reset = event.error_code


def told(answer: Answer) -> list[bytes]:
    """The messages of a call's whole answer, which ended well."""
    assert (answer.status, answer.grpc) == (200, 0), (answer.headers, answer.trailers)
    return messages(bytes(answer.body))


class Raw:
    """One connection of literal bytes, whose answers are read strictly."""

    def __init__(self, url: str, **options: Any) -> None:
        self.plain = Client(url, **options)
        self.reader = Reader()

    def send(self, data: bytes) -> Self:
        """Send all of *data*."""
        self.plain.send(data)
        return self

    def frame(self, kind: int) -> Frame:
        """The next frame of type *kind*; others before it are taken, too."""
        while True:
            for each in self._next():
                if each.kind == kind:
                    return each

    def round_trip(self) -> Self:
        """Wait until the server has taken all that was sent."""
        self.send(frame(PING, payload=b"a test's"))
        while self.frame(PING).payload != b"a test's":
            pass
        return self

    def answer(self, stream: int) -> Answer:
        """All that comes on *stream*."""
        while True:
            answer = self.reader.answers.get(stream)
            if answer and answer.is_over:
                return answer
            self._next()

    def left(self) -> int:
        """The code of the GOAWAY with which the server closes; waits for it."""
        while not self.plain.ended:
            self.plain._receive()
        self._take()
        assert self.reader.goaway, "it closed without a word"
        return self.reader.goaway.code

    def close(self) -> None:
        """Close at once."""
        self.plain.close()

    def _next(self) -> list[Frame]:
        found = self._take()
        while not found:
            if self.plain.ended:
                raise EOFError("the connection ended")
            self.plain._receive()
            found = self._take()
        return found

    def _take(self) -> list[Frame]:
        data = bytes(self.plain._data)
        self.plain._data.clear()
        return self.reader.feed(data)
