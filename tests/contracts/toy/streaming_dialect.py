"""A dialect of a third party that streams: one line of JSON a part, and one that says it is all."""

import json
from typing import Any

from inferd.calls import Call, InferRequest, Lookup
from inferd.errors import InferdError
from inferd.protocols.base import Dialect, Message, Operation, Payload, Route

LINES = b"application/x-ndjson"


class Follow(Operation):
    """``POST /toy/{model}``: a JSON list, which is one row."""

    call = InferRequest
    streams = True

    def decode(self, message: Message, lookup: Lookup) -> Call:
        handle = lookup(message.path["model"])
        row = json.loads(message.body)
        return InferRequest(handle, handle.reader.one(row), handle.role_outputs, 1, {})

    def encode(self, call: Call, response: Any) -> Payload:
        (values,) = response.outputs.values()
        return Payload(json.dumps(values[0].tolist()).encode() + b"\n", LINES)

    def encode_end(self, call: Call) -> bytes:
        return b'"all"\n'


class Lines(Dialect):
    """Speaks in lines."""

    name = "lines"
    routes = (Route("POST", "/toy/{model}", Follow()),)

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(json.dumps({"no": str(error)}).encode())


plugin = Lines()
