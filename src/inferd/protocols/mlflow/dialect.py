"""MLflow's routes, its answers about the server, and its errors: ``{"error_code", "message"}``."""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ServerMetadata, ServerReady
from inferd.errors import Code, InferdError, NotReady
from inferd.protocols.base import Dialect, Documentation, Message, Operation, Payload, Route
from inferd.protocols.mlflow.invocations import Invocations
from inferd.wire.json import encode

TEXT = b"text/plain; charset=utf-8"


class Ping(Operation):
    """``/ping``: whether the models can answer, for clients that look at the status alone."""

    call = ServerReady
    content_type = TEXT  # MLflow says JSON, which an empty line is not

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerReady()

    def encode(self, call: Call, response: Any) -> Payload:
        if not response.ready:
            raise NotReady("not ready: " + "; ".join(response.reasons))
        return Payload(b"\n", TEXT)

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether every model can answer.", {"type": "string"})


class Version(Operation):
    """``GET /version``."""

    call = ServerMetadata
    content_type = TEXT  # MLflow says JSON, which a bare version is not

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerMetadata()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(response.version.encode(), TEXT)

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("The server's own version.", {"type": "string"})


class Mlflow(Dialect):
    """See the package."""

    name = "mlflow"
    precedence = 50
    routes = (
        Route("POST", "/invocations", Invocations()),
        Route("GET", "/ping", Ping()),
        Route("POST", "/ping", Ping()),
        Route("GET", "/version", Version()),
    )

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        code = _ERROR_CODES.get(self.code(error, message), "BAD_REQUEST")
        return Payload(encode({"error_code": code, "message": str(error)}))


# The names in mlflow/exceptions.py, each with the status that the code has here; without a name
# there: BAD_REQUEST, as for everything that the caller did wrong.
_ERROR_CODES = {
    Code.NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
    Code.UNIMPLEMENTED: "NOT_IMPLEMENTED",
    Code.UNAVAILABLE: "TEMPORARILY_UNAVAILABLE",
    Code.RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    Code.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    Code.CANCELLED: "CANCELLED",
    Code.INTERNAL: "INTERNAL_ERROR",
}
