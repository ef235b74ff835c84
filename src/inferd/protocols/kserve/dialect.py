"""KServe V1's routes, its answers about the models, and its errors: always ``{"error": "..."}``."""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelReady, ServerLive, ServerMetadata
from inferd.errors import InferdError, MalformedRequest, ModelNotFound, NotReady
from inferd.protocols.base import Dialect, Documentation, Message, Operation, Payload, Route
from inferd.protocols.kserve.predict import Predict
from inferd.wire.json import encode

DOOR = "kserve"


class Alive(Operation):
    """``GET /``: whether the process answers."""

    call = ServerLive

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerLive()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b'{"status":"alive"}')

    def document(self, handle: Handle | None) -> Documentation:
        return Documentation("Whether the process answers.", _fields(status={"type": "string"}))


class ListModels(Operation):
    """``GET /v1/models``: the names of the models that can be asked."""

    call = ServerMetadata

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerMetadata()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode({"models": response.models}))

    def document(self, handle: Handle | None) -> Documentation:
        names = {"type": "array", "items": {"type": "string"}}
        return Documentation("The names of the models.", _fields(models=names))


class IsReady(Operation):
    """``GET /v1/models/{model}``: whether the model can be asked."""

    call = ModelReady

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ModelReady(model=message.path["model"])

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode({"name": call.model, "ready": True}))  # type: ignore[attr-defined]  # decode's

    def document(self, handle: Handle | None) -> Documentation | None:
        if handle is None:
            return None
        fields = _fields(name={"type": "string"}, ready={"type": "boolean"})
        return Documentation(f"Whether {handle.model} can answer.", fields)


def _fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


class Kserve(Dialect):
    """See the package."""

    name = "kserve"
    precedence = 40
    separators = "/:"
    doors = (DOOR,)
    routes: tuple[Route, ...] = (
        Route("GET", "/v1/models", ListModels()),
        Route("GET", "/v1/models/{model}", IsReady()),
        Route("POST", "/v1/models/{model}:predict", Predict()),
    )

    def at(self, door: str) -> Dialect:
        return _AT_ITS_DOOR if door == DOOR else self

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        model = message.path.get("model", "") if message else ""
        return Payload(encode({"error": _text(error, model)}))


class _AtItsDoor(Kserve):
    """Where nothing else claims the root, and KServe's server lists the models under V2, too."""

    routes = (
        Route("GET", "/", Alive()),
        Route("GET", "/v2/models", ListModels()),
        *Kserve.routes,
    )


_AT_ITS_DOOR = _AtItsDoor()


def _text(error: InferdError, model: str) -> str:
    """What KServe (kserve/errors.py) says of *error*, with our reason where it leaves room."""
    if isinstance(error, ModelNotFound):
        return f"Model with name {error.name} does not exist."
    if isinstance(error, NotReady) and model:
        return f"Model with name {model} is not ready. {error}"
    if isinstance(error, MalformedRequest):
        return f"Unrecognized request format: {error}"
    return str(error)
