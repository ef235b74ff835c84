"""The Open Inference Protocol's routes, its answers about server and models, and its errors."""

from typing import Any

from inferd.calls import (
    Call,
    Handle,
    Lookup,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
)
from inferd.errors import InferdError, NotReady
from inferd.protocols.base import Dialect, Documentation, Message, Operation, Payload, Route
from inferd.protocols.oip.rest import Infer
from inferd.protocols.oip.texts import triton_text
from inferd.signature import TensorSpec
from inferd.wire.json import encode


class Live(Operation):
    """``GET /v2/health/live``."""

    call = ServerLive

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b'{"live":true}')

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether the process answers.", _OBJECT)


class Ready(Operation):
    """``GET /v2/health/ready``."""

    call = ServerReady

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerReady()

    def encode(self, call: Call, response: Any) -> Payload:
        if not response.ready:
            raise NotReady("not ready: " + "; ".join(response.reasons))
        return Payload(b'{"ready":true}')

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether every model can answer.", _OBJECT)


class DescribeServer(Operation):
    """``GET /v2``."""

    call = ServerMetadata

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerMetadata()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(
            encode({"name": response.name, "version": response.version, "extensions": []})
        )

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("The server's name, version and extensions.", _OBJECT)


class IsModelReady(Operation):
    """``GET /v2/models/{model}/ready``."""

    call = ModelReady

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ModelReady(message.path["model"], message.path.get("version"))

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode({"name": call.model, "ready": True}))  # type: ignore[attr-defined]

    def document(self, handle: Handle | None) -> Documentation | None:
        return Documentation(f"Whether {handle.model} can answer.", _OBJECT) if handle else None


class DescribeModel(Operation):
    """``GET /v2/models/{model}``."""

    call = ModelMetadata

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ModelMetadata(message.path["model"], message.path.get("version"))

    def encode(self, call: Call, response: Any) -> Payload:
        handle = response.handle
        return Payload(
            encode(
                {
                    "name": handle.model,
                    "versions": response.versions,
                    "platform": handle.runtime_name,
                    "inputs": [_tensor(spec) for spec in handle.signature.inputs],
                    "outputs": [_tensor(spec) for spec in handle.signature.outputs],
                }
            )
        )

    def document(self, handle: Handle | None) -> Documentation | None:
        return Documentation(f"What {handle.model} takes and gives.", _OBJECT) if handle else None


_OBJECT = {"type": "object"}


class Oip(Dialect):
    """See the package."""

    name = "oip"
    precedence = 20
    routes = (
        Route("GET", "/v2", DescribeServer()),
        Route("GET", "/v2/health/live", Live()),
        Route("GET", "/v2/health/ready", Ready()),
        *(
            route
            for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
            for route in (
                Route("GET", model, DescribeModel()),
                Route("GET", model + "/ready", IsModelReady()),
                Route("POST", model + "/infer", Infer()),
            )
        ),
    )

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        model = message.path.get("model", "") if message else ""
        return Payload(encode({"error": triton_text(error, model)}))


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
