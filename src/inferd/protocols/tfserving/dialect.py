"""TensorFlow Serving's routes and errors: as the main port speaks them, and as a port in its place
does."""

from typing import Any

from inferd.errors import Code, InferdError, MethodNotAllowed, QueueFull, RouteNotFound
from inferd.protocols.base import Dialect, Message, Payload, Route
from inferd.protocols.tfserving.classify import Classify, Regress
from inferd.protocols.tfserving.grpc.rpc import TfServingRpc
from inferd.protocols.tfserving.metadata import Metadata
from inferd.protocols.tfserving.predict import Predict
from inferd.protocols.tfserving.status import NoModel, Status
from inferd.protocols.tfserving.texts import malformed_text, tf_text
from inferd.wire.json import encode

DOOR = "tfserving"
PLACES = (
    "/v1/models/{model}",
    "/v1/models/{model}/versions/{version}",
    "/v1/models/{model}/labels/{label}",
)


def _routes(*, strict: bool) -> tuple[Route, ...]:
    kinds: tuple[Any, ...] = (Predict, Classify, Regress, Status, Metadata)
    operations = [kind(strict=strict) for kind in kinds]
    return tuple(
        Route(each.method, place + each.suffix, each) for place in PLACES for each in operations
    )


class TfServing(Dialect):
    """See the package."""

    name = "tfserving"
    precedence = 30
    separators = "/:"
    doors = (DOOR,)
    routes = _routes(strict=False)
    rpc = TfServingRpc()

    def at(self, door: str) -> Dialect:
        return _AT_ITS_DOOR if door == DOOR else self

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        return Payload(encode({"error": tf_text(error)}))


class AtItsDoor(TfServing):
    """Where its own clients expect its own errors."""

    routes = (*_routes(strict=True), Route("GET", "/v1/models", NoModel()))
    rpc = TfServingRpc(strict=True)

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        if isinstance(error, RouteNotFound | MethodNotAllowed) and _is_ours(error.target):
            return Payload(encode({"error": malformed_text(error)}))
        return super().encode_error(error, message)

    def code(self, error: InferdError, message: Message | None) -> Code:
        if isinstance(error, RouteNotFound | MethodNotAllowed) and _is_ours(error.target):
            return Code.INVALID_ARGUMENT
        return Code.UNAVAILABLE if isinstance(error, QueueFull) else error.code


def _is_ours(target: str) -> bool:
    """Whether TensorFlow Serving's REST API answers there at all."""
    return target[:4].lower() == "/v1/"


_AT_ITS_DOOR = AtItsDoor()
