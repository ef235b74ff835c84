"""Requests of HTTP/2 as nobody's gRPC library would send them, by the h2 package."""

import socket
from collections.abc import Mapping
from typing import Any, NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from tests.grpc.asking import PATIENCE

HEAD = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/grpc.testing.TestService/UnaryCall",
    ":authority": "localhost",
    "te": "trailers",
    "content-type": "application/grpc",
}


class Answer(NamedTuple):
    """What came on a stream until its end."""

    head: Mapping[str, str]
    body: bytes
    trailers: Mapping[str, str]
    reset: int | None
    """The code of the RST_STREAM, if that ended it."""

    @property
    def status(self) -> int | None:
        """gRPC's status, where there is one."""
        told = self.trailers.get("grpc-status") or self.head.get("grpc-status")
        return None if told is None else int(told)


def framed(body: bytes, flag: int = 0) -> bytes:
    """A message behind gRPC's prefix."""
    return bytes([flag]) + len(body).to_bytes(4, "big") + body


def ask(address: str, body: bytes, changes: Mapping[str, str | None] | None = None) -> Answer:
    """The answer to one request on a connection of its own; None takes a header away."""
    fields = {**HEAD, **(changes or {})}
    host, port = address.split(":")
    config = H2Configuration(
        header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
    )
    h2 = H2Connection(config)
    with socket.create_connection((host, int(port)), PATIENCE) as line:
        h2.initiate_connection()
        h2.send_headers(1, [(name, value) for name, value in fields.items() if value is not None])
        h2.send_data(1, body, end_stream=True)
        line.sendall(h2.data_to_send())
        return _read(line, h2)


def _read(line: socket.socket, h2: H2Connection) -> Answer:
    answer = Answer({}, b"", {}, None)
    while True:
        data = line.recv(1 << 16)
        if not data:
            raise EOFError("the connection ended")
        for event in h2.receive_data(data):
            answer = _with(answer, event, h2)
            if isinstance(event, StreamEnded | StreamReset):
                return answer
        line.sendall(h2.data_to_send())


def _with(answer: Answer, event: Event, h2: H2Connection) -> Answer:
    match event:
        case ResponseReceived(headers=headers):
            return answer._replace(head=_texts(headers))
        case TrailersReceived(headers=headers):
            return answer._replace(trailers=_texts(headers))
        case DataReceived(data=data, flow_controlled_length=length):
            h2.acknowledge_received_data(length or 0, 1)
            return answer._replace(body=answer.body + (data or b""))
        case StreamReset(error_code=code):
            return answer._replace(reset=code)
        case ConnectionTerminated():
            raise EOFError(f"the connection ends with {event!r}")
    return answer


def _texts(headers: Any) -> dict[str, str]:
    return dict(headers or ())
