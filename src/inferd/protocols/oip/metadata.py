"""What the server and its models say of themselves."""

from typing import Any

from inferd.calls import (
    Call,
    Handle,
    Lookup,
    ModelDescription,
    ModelMetadata,
    ServerDescription,
    ServerMetadata,
)
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.oip.config import platform
from inferd.protocols.oip.schemas import TEXT, WHOLE, array, record
from inferd.signature import TensorSpec
from inferd.wire.json import encode

EXTENSIONS = (
    "classification",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
"""Triton's names for what is spoken here beyond the protocol itself."""


class DescribeServer(Operation):
    """``GET /v2``."""

    call = ServerMetadata

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ServerMetadata()

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(encode(server_metadata(response)))

    def document(self, handle: Handle | None) -> Documentation:
        schema = record(name=TEXT, version=TEXT, extensions=array(TEXT))
        return Documentation("The server's name, version and extensions.", schema)


class DescribeModel(Operation):
    """``GET /v2/models/{model}``. Where *strict*, the platform has Triton's name."""

    call = ModelMetadata

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def decode(self, message: Message, lookup: Lookup) -> Call:
        return ModelMetadata(message.path["model"], message.path.get("version"))

    def encode(self, call: Call, response: Any) -> Payload:
        asked = call.version  # type: ignore[attr-defined]  # decode makes nothing else
        return Payload(encode(model_metadata(response, asked, strict=self._strict)))

    def document(self, handle: Handle | None) -> Documentation | None:
        if handle is None:
            return None
        tensors = array(record(name=TEXT, datatype=TEXT, shape=array(WHOLE)))
        schema = record(
            name=TEXT, versions=array(TEXT), platform=TEXT, inputs=tensors, outputs=tensors
        )
        return Documentation(f"What {handle.model} takes and gives.", schema)


def server_metadata(described: ServerDescription) -> dict[str, Any]:
    """What the server says of itself."""
    return {"name": described.name, "version": described.version, "extensions": EXTENSIONS}


def model_metadata(
    described: ModelDescription, asked: str | None, *, strict: bool
) -> dict[str, Any]:
    """What a model says of itself, of which the version *asked* was named, if one was."""
    handle = described.handle
    return {
        "name": handle.model,
        "versions": described.versions if asked is None else [handle.version],
        "platform": platform(handle) if strict else handle.runtime_name,
        "inputs": [_tensor(spec) for spec in handle.signature.inputs],
        "outputs": [_tensor(spec) for spec in handle.signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}
