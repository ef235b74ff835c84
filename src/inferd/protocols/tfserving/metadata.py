"""``GET /v1/models/{model}/metadata``: what its signatures take and give."""

from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelMetadata
from inferd.protocols.base import Documentation, Message, Operation, Payload
from inferd.protocols.tfserving.document import document_metadata
from inferd.protocols.tfserving.places import Place
from inferd.protocols.tfserving.signatures import SignatureDef, TensorInfo, signatures
from inferd.wire.json import encode


class Metadata(Place, Operation):
    """The SignatureDefs of one version, as protobuf's JSON has them: numbers of 64 bits are
    strings."""

    call = ModelMetadata
    method, suffix = "GET", "/metadata"

    def decode(self, message: Message, lookup: Lookup) -> Call:
        handle = self.find(message, lookup)
        return ModelMetadata(model=handle.model, version=handle.version)

    def encode(self, call: Call, response: Any) -> Payload:
        handle: Handle = response.handle
        defs = {name: _signature_def(each) for name, each in signatures(handle).defs.items()}
        return Payload(
            encode(
                {
                    "model_spec": {
                        "name": handle.model,
                        "signature_name": "",
                        "version": handle.version,
                    },
                    "metadata": {"signature_def": {"signature_def": defs}},
                }
            )
        )

    def document(self, handle: Handle | None) -> Documentation | None:
        return document_metadata(handle) if handle else None


def _signature_def(signature: SignatureDef) -> dict[str, Any]:
    return {
        "inputs": {alias: _info(info) for alias, info in signature.inputs.items()},
        "outputs": {alias: _info(info) for alias, info in signature.outputs.items()},
        "method_name": signature.method,
        "defaults": {},
    }


def _info(info: TensorInfo) -> dict[str, Any]:
    dimensions = [{"size": str(size), "name": ""} for size in info.shape]
    return {
        "dtype": info.dtype,
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": info.name,
    }
