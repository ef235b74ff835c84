"""A dialect of a third party: numbers with blanks between them, both ways."""

from typing import Any

from inferd.calls import Call, InferRequest, Lookup
from inferd.errors import InferdError, InvalidInput
from inferd.protocols.base import Dialect, Message, Operation, Payload, Route


class Ask(Operation):
    """``POST /toy/{model}``: one row."""

    call = InferRequest

    def decode(self, message: Message, lookup: Lookup) -> Call:
        handle = lookup(message.path["model"])
        try:
            row = [float(word) for word in message.body.split()]
        except ValueError:
            raise InvalidInput("that is no row", expected="numbers") from None
        return InferRequest(handle, handle.reader.one(row), handle.role_outputs, 1, {})

    def encode(self, call: Call, response: Any) -> Payload:
        (values,) = response.outputs.values()
        return Payload(" ".join(map(str, values.ravel().tolist())).encode(), b"text/plain")


class Toy(Dialect):
    """Speaks in words."""

    name = "toy"
    routes = (Route("POST", "/toy/{model}", Ask()),)

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(f"no: {error}".encode(), b"text/plain")


plugin = Toy()
