"""``GET /v1/models/{model}``: where its versions stand."""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelStates, VersionState
from inferd.errors import InvalidInput
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.tfserving.document import document_status
from inferd.protocols.tfserving.places import Place
from inferd.wire.json import encode


class Status(Place, Operation):
    """One entry a version, newest first. A label in the URL changes nothing, as in TensorFlow
    Serving."""

    call = ModelStates
    method, suffix = "GET", ""

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ModelStates(model=message.path["model"], version=self.version(message))

    def encode(self, call: Call, response: Any) -> Payload:
        answer: dict[str, Any] = {
            "model_version_status": [_status(each) for each in response.versions]
        }
        if not self.strict:  # what clients of KServe's V1 protocol read at the same URL
            ready = any(each.state == "ready" for each in response.versions)
            answer |= {"name": call.model, "ready": ready}  # type: ignore[attr-defined]  # decode's
        return Payload(encode(answer))

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_status(handle, strict=self.strict) if handle else None


class NoModel(Operation):
    """``GET /v1/models``, at which TensorFlow Serving has nothing to tell."""

    call = ModelStates

    def decode(self, message: Message, lookup: Lookup) -> Call:
        raise InvalidInput("Missing model name in request.")

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b"{}")  # never asked for, as nothing is decoded


STATES = {
    "new": "START",
    "loading": "LOADING",
    "ready": "AVAILABLE",
    "draining": "UNLOADING",
    "gone": "END",
    "failed": "END",
}


FAILED = "the version could not be loaded; the server's log says why"
"""The reason itself may name paths."""


def _status(version: VersionState) -> dict[str, Any]:
    failed = version.state == "failed"
    return {
        "version": version.version,
        "state": STATES.get(version.state, "UNKNOWN"),
        "status": {
            "error_code": "INTERNAL" if failed else "OK",
            "error_message": FAILED if failed else "",
        },
    }
