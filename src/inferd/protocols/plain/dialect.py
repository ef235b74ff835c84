"""The plain protocol's routes, its answers about health, and its errors: always ``{"error":
"..."}``."""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ServerLive, ServerReady
from inferd.errors import InferdError, NotReady
from inferd.protocols.base import (
    WEBSOCKET,
    Dialect,
    Documentation,
    Message,
    Operation,
    Payload,
    Route,
)
from inferd.protocols.plain.predict import Predict
from inferd.wire.json import encode


class Health(Operation):
    """Whether the process answers."""

    call = ServerLive

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b'{"status":"healthy"}')

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether the process answers.", _STATUS)


class Ready(Operation):
    """Whether every model can answer, and if not, why."""

    call = ServerReady

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerReady()

    def encode(self, call: Call, response: Any) -> Payload:
        if not response.ready:
            raise NotReady("not ready: " + "; ".join(response.reasons))
        return Payload(b'{"status":"ready"}')

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation(
            "Whether every model can answer; 503 with the reasons if not.", _STATUS
        )


_STATUS = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}


class Plain(Dialect):
    """See the package."""

    name = "plain"
    precedence = 10
    routes = (
        Route("GET", "/health", Health()),
        Route("GET", "/ready", Ready()),
        Route("POST", "/predict", Predict()),
        Route("POST", "/v1/predict", Predict()),
        Route("POST", "/v1/predict/{model}", Predict()),
        Route(WEBSOCKET, "/v1/stream/{model}", Predict()),
    )

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(encode({"error": str(error)}))
